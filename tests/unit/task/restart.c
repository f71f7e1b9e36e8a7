#include "task/restart.h"

#include "fixture.h"

static const struct lsp_policy five_seconds = {.kind = LSP_POLICY_RESTART, .delay = 5 * LSP_SECOND};
/* As the torrent engine has it. */
static const struct lsp_policy back_off = {
	.kind = LSP_POLICY_RESTART,
	.delay = LSP_SECOND,
	.factor = 2,
	.ceiling = 30 * LSP_SECOND,
	.jitter = 0.25,
	.give_up = 20,
};

static void a_required_service_brings_the_runtime_down(void **state)
{
	struct lsp_policy policy = {.kind = LSP_POLICY_REQUIRED};
	unsigned row = 0;
	assert_int_equal(lsp_restart_judge(&policy, &row, 0, NULL, NULL), LSP_VERDICT_FATAL);
}

static void a_best_effort_service_is_over(void **state)
{
	struct lsp_policy policy = {.kind = LSP_POLICY_BEST_EFFORT};
	unsigned row = 0;
	assert_int_equal(lsp_restart_judge(&policy, &row, 0, NULL, NULL), LSP_VERDICT_OVER);
}

static void without_a_factor_the_delay_stays_the_same_for_ever(void **state)
{
	struct lsp_random random;
	unsigned row = 0;
	lsp_random_seed(&random, 1);
	for (int i = 0; i < 1000; i++) {
		uint64_t delay = 0;
		assert_int_equal(lsp_restart_judge(&five_seconds, &row, 0, &random, &delay),
			LSP_VERDICT_RESTART);
		assert_int_equal(delay, 5 * LSP_SECOND);
	}
}

static void the_back_off_grows_to_its_ceiling_and_jitter_only_shortens_it(void **state)
{
	static const uint64_t seconds[] = {1, 2, 4, 8, 16, 30, 30, 30};
	struct lsp_random random;
	unsigned row = 0;
	bool varied = false;
	lsp_random_seed(&random, 7);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(seconds); i++) {
		uint64_t delay = 0, most = seconds[i] * LSP_SECOND;
		assert_int_equal(lsp_restart_judge(&back_off, &row, 0, &random, &delay),
			LSP_VERDICT_RESTART);
		assert_true(delay <= most);
		assert_true(delay >= most - most / 4);
		varied |= delay != most;
	}
	assert_true(varied);
}

static void it_gives_up_after_so_many_failures_in_a_row(void **state)
{
	struct lsp_random random;
	unsigned row = 0;
	uint64_t delay;
	lsp_random_seed(&random, 7);
	for (unsigned i = 1; i < back_off.give_up; i++)
		assert_int_equal(lsp_restart_judge(&back_off, &row, 0, &random, &delay),
			LSP_VERDICT_RESTART);
	assert_int_equal(
		lsp_restart_judge(&back_off, &row, 0, &random, &delay), LSP_VERDICT_GIVE_UP);
	assert_int_equal(row, back_off.give_up);
}

static void a_long_healthy_run_ends_the_row(void **state)
{
	struct lsp_policy policy = back_off;
	struct lsp_random random;
	unsigned row = 0;
	uint64_t delay;
	policy.jitter = 0;
	lsp_random_seed(&random, 7);
	for (int i = 0; i < 5; i++)
		assert_int_equal(
			lsp_restart_judge(&policy, &row, 0, &random, &delay), LSP_VERDICT_RESTART);
	assert_int_equal(delay, 16 * LSP_SECOND);
	assert_int_equal(lsp_restart_judge(&policy, &row, LSP_POLICY_HEALTHY, &random, &delay),
		LSP_VERDICT_RESTART);
	assert_int_equal(delay, LSP_SECOND);
	assert_int_equal(row, 1);
}

static void a_huge_factor_does_not_overflow(void **state)
{
	struct lsp_policy policy = {
		.kind = LSP_POLICY_RESTART, .delay = LSP_SECOND, .factor = 1e300};
	struct lsp_random random;
	unsigned row = 100000;
	uint64_t delay;
	lsp_random_seed(&random, 7);
	assert_int_equal(lsp_restart_judge(&policy, &row, 0, &random, &delay), LSP_VERDICT_RESTART);
	assert_true(delay <= UINT64_MAX / 4 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_required_service_brings_the_runtime_down),
		cmocka_unit_test(a_best_effort_service_is_over),
		cmocka_unit_test(without_a_factor_the_delay_stays_the_same_for_ever),
		cmocka_unit_test(the_back_off_grows_to_its_ceiling_and_jitter_only_shortens_it),
		cmocka_unit_test(it_gives_up_after_so_many_failures_in_a_row),
		cmocka_unit_test(a_long_healthy_run_ends_the_row),
		cmocka_unit_test(a_huge_factor_does_not_overflow),
	};
	return cmocka_run_group_tests_name("task/restart", tests, NULL, NULL);
}
