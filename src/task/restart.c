#include "task/restart.h"

const char *lsp_policy_kind_name(enum lsp_policy_kind kind)
{
	static const char *const names[] = {"required", "restart", "best_effort"};
	return names[kind];
}

static uint64_t delay_after(
	const struct lsp_policy *policy, unsigned row, struct lsp_random *random)
{
	double delay = (double)policy->delay;
	double ceiling = policy->ceiling ? (double)policy->ceiling : (double)(UINT64_MAX / 4);
	for (unsigned i = 1; i < row && delay < ceiling && policy->factor > 1; i++)
		delay *= policy->factor;
	if (delay > ceiling)
		delay = ceiling;
	return (uint64_t)(delay - delay * policy->jitter * lsp_random_unit(random));
}

enum lsp_verdict lsp_restart_judge(const struct lsp_policy *policy, unsigned *row, uint64_t ran,
	struct lsp_random *random, uint64_t *ret_delay)
{
	if (policy->kind == LSP_POLICY_REQUIRED)
		return LSP_VERDICT_FATAL;
	if (policy->kind == LSP_POLICY_BEST_EFFORT)
		return LSP_VERDICT_OVER;
	uint64_t healthy = policy->healthy ? policy->healthy : LSP_POLICY_HEALTHY;
	*row = ran >= healthy ? 1 : *row + 1;
	if (policy->give_up && *row >= policy->give_up)
		return LSP_VERDICT_GIVE_UP;
	*ret_delay = delay_after(policy, *row, random);
	return LSP_VERDICT_RESTART;
}
