/*
 * What to do about a service that failed: its policy, and the count of failures that a back-off
 * needs. Pure: no clock, no thread, no allocation; supervisor.h drives it.
 */
#pragma once

#include "base/clock.h"
#include "base/random.h"

enum lsp_policy_kind {
	LSP_POLICY_REQUIRED,    /* without it there is no program: RuntimeFailed, shutdown */
	LSP_POLICY_RESTART,     /* it runs again after a delay */
	LSP_POLICY_BEST_EFFORT, /* logged, shown in status, over */
};

/* "required", "restart", "best_effort". */
const char *lsp_policy_kind_name(enum lsp_policy_kind kind);

struct lsp_policy {
	enum lsp_policy_kind kind;
	/* For RESTART. Nanoseconds where nothing else is said. */
	uint64_t delay;   /* before the first restart */
	double factor;    /* that the delay grows by with each failure in a row; below 1: 1 */
	uint64_t ceiling; /* that it grows to; 0: none */
	double jitter;    /* 0 to 1: the share of the delay that is left to chance */
	unsigned give_up; /* after so many failures in a row; 0: never */
	uint64_t healthy; /* a run this long ends the row; 0: LSP_POLICY_HEALTHY */
};

#define LSP_POLICY_HEALTHY (60 * LSP_SECOND)

enum lsp_verdict {
	LSP_VERDICT_FATAL,   /* the runtime goes down */
	LSP_VERDICT_RESTART, /* again, after the delay */
	LSP_VERDICT_GIVE_UP, /* unhealthy, until somebody asks for it */
	LSP_VERDICT_OVER,    /* for good */
};

/*
 * After a failure of a run that took `ran` nanoseconds. *row is the count of failures in a row, 0
 * at first. *ret_delay is set for a RESTART: within delay × (1 − jitter) and delay.
 */
enum lsp_verdict lsp_restart_judge(const struct lsp_policy *policy, unsigned *row, uint64_t ran,
	struct lsp_random *random, uint64_t *ret_delay);
