/*
 * The supervisor: what happens when a service fails.
 *
 * A service fails when its function returns an error, and also when it returns without one though
 * nobody asked it to stop. Its policy (restart.h) decides:
 *
 *  - Required: `runtime_failed` is called with its name and error, and then the runtime's root
 *    token is cancelled as fatal. Nothing else is cut short: command loop, goodbyes and event
 *    streams end in their own order, after the event.
 *  - Restart: it runs again after the delay, until the runtime stops. Each restart is counted.
 * After `give_up` failures in a row it is unhealthy, until lsp_supervisor_restart starts it afresh.
 *  - BestEffort: logged, shown in the snapshot, over.
 *
 * A failure after the root token was cancelled is none: it is stopped.
 *
 * A service is a thread (lsp_supervisor_run) or something that a loop owns (lsp_supervisor_add).
 * What the supervisor cannot contain is a crash of the process; what is likely to crash runs in a
 * child process (child.h), and the process itself is restarted from outside (docs/runtime.md).
 *
 * Delays are by the registry's clock. Callbacks come without a lock held, from the thread that
 * noticed: the service's or the loop's. Every function may be called from every thread unless it
 * says otherwise; none blocks.
 */
#pragma once

#include "task/loop.h"
#include "task/restart.h"

struct lsp_supervisor;
struct lsp_supervised;

struct lsp_supervisor_events {
	void (*runtime_failed)(
		void *argument, const char *component, const struct lsp_error *error);
	/* A service changed its state; may be NULL. */
	void (*changed)(void *argument);
	void *argument;
};

LSP_MUST_CHECK int lsp_supervisor_new(struct lsp_tasks *tasks,
	const struct lsp_supervisor_events *events, struct lsp_supervisor **ret_supervisor,
	struct lsp_error *err);
/* After its services have ended (the registry was joined). */
void lsp_supervisor_free(struct lsp_supervisor *supervisor);
LSP_DEFINE_CLEANUP(struct lsp_supervisor *, lsp_supervisor_free);
#define _cleanup_supervisor_ _cleanup_(lsp_supervisor_free_pointer)

/*
 * Runs function(token, argument) in a task of that name, again and again as the policy says. The
 * thread stays while the service waits to be restarted. name: at most 47 bytes, one of its kind.
 */
LSP_MUST_CHECK int lsp_supervisor_run(struct lsp_supervisor *supervisor, const char *name,
	const struct lsp_policy *policy, lsp_task_function function, void *argument,
	struct lsp_error *err);

/* ---- Services that a loop owns ----------------------------------------------------------- */

/* Called on the loop's thread. */
struct lsp_supervised_hooks {
	/* An error is a failure; stop is not called then. */
	int (*start)(void *argument, struct lsp_error *err);
	/* Takes down what start built: after a failure, and at the end. */
	void (*stop)(void *argument);
};

/*
 * On the loop's thread: starts the service at once, as an activity of that name. It stays until
 * lsp_supervised_remove, also while it waits for a restart or is over.
 */
LSP_MUST_CHECK int lsp_supervisor_add(struct lsp_supervisor *supervisor, struct lsp_loop *loop,
	const char *name, const struct lsp_policy *policy, const struct lsp_supervised_hooks *hooks,
	void *argument, struct lsp_supervised **ret_service, struct lsp_error *err);

/* On the loop's thread, while it runs: it has failed. Calls stop. NULL: it ended by itself. */
void lsp_supervised_failed(struct lsp_supervised *service, const struct lsp_error *error);

/*
 * On the loop's thread: the end; calls stop if it runs. The root token does not do this, since a
 * service that says goodbye has to outlive it: the owner does, when the goodbyes are out.
 */
void lsp_supervised_remove(struct lsp_supervised *service);

/* ---- What it looks like ------------------------------------------------------------------ */

enum lsp_supervised_state {
	LSP_SUPERVISED_RUNNING,
	LSP_SUPERVISED_RESTARTING, /* waits for its delay to pass */
	LSP_SUPERVISED_UNHEALTHY,  /* given up, until it is asked for */
	LSP_SUPERVISED_FAILED,     /* over */
	LSP_SUPERVISED_STOPPED,    /* because the runtime stops */
	LSP_SUPERVISED_STATE_COUNT
};

/* "running", "restarting", "unhealthy", "failed", "stopped". */
const char *lsp_supervised_state_name(enum lsp_supervised_state state);

struct lsp_supervised_info {
	char name[LSP_TASK_NAME_MAX];
	enum lsp_policy_kind policy;
	enum lsp_supervised_state state;
	unsigned restarts;      /* since it was added */
	lsp_time restart_at;    /* while RESTARTING */
	struct lsp_error error; /* the last failure; code 0: none yet */
};

/* The services in the order they were added, in an array that the caller frees. */
LSP_MUST_CHECK int lsp_supervisor_snapshot(struct lsp_supervisor *supervisor,
	struct lsp_supervised_info **ret_infos, size_t *ret_count, struct lsp_error *err);

/*
 * Starts a service that waits or was given up at once and afresh (its row of failures begins anew).
 * -LSP_E_NOT_FOUND, -LSP_E_EXISTS while it runs, -LSP_E_CLOSED when it is over or stopped.
 */
LSP_MUST_CHECK int lsp_supervisor_restart(
	struct lsp_supervisor *supervisor, const char *name, struct lsp_error *err);
