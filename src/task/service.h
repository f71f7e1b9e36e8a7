/*
 * A service: the whole life of a program that serves, in hooks that come in a fixed order.
 *
 *     pre_start → on_start → run → (the tasks are joined) → on_stop → post_stop
 *
 * A service has three parts, each optional, and each hook of them is optional too: the node (the
 * hooks above), the peer API (a message came, a peer came or went) and the RPC API (dispatch a
 * request, report health).
 *
 * The rules:
 *  - pre_start fails: nothing else runs.
 *  - on_start fails: post_stop runs.
 *  - run fails: the tasks are joined, on_stop and post_stop run.
 *  - run returns without an error, though nobody asked: the work is done (run_completed), and the
 *    service stops. Without a run hook it serves until it is told to stop.
 *  - A stop hook that fails does not skip the next.
 *  - Starting twice is an error.
 *  - The service (it is its own handle, reference counted) outlives its run; everything is a no-op
 *    then: the node's hooks are not called once stopping began, and calls that came before are over
 *    before on_stop.
 *
 * Each hook runs in a task of its own, "<name>.on_start" and so on, with a token: pre_start,
 * on_start and run below the service's shutdown token, the two stop hooks with one of their own,
 * since they run when all else is cancelled. A hook that passes its deadline is cancelled and
 * interrupted and has as long again to return; that is a failure. One that does not return even
 * then is left to the straggler list of the registry: no further hook runs, since it still uses the
 * node, and the exit is not graceful. run has the deadline from the moment of the shutdown.
 *
 * lsp_service_run and lsp_service_wait block; everything else may be called from every thread.
 */
#pragma once

#include "task/registry.h"

struct lsp_service;

/* What a hook may use. Valid until post_stop has returned. */
struct lsp_service_context {
	struct lsp_service *service;
	struct lsp_tasks *tasks;  /* the service's own: joined before on_stop */
	struct lsp_cancel *token; /* of this hook */
};

typedef int (*lsp_service_hook)(
	void *node, const struct lsp_service_context *context, struct lsp_error *err);

struct lsp_service_node {
	lsp_service_hook pre_start, on_start, run, on_stop, post_stop;
};

/* Called in the thread that has the news; must not block. */
struct lsp_service_peers {
	void (*on_connected)(void *node, const char *peer);
	void (*on_disconnected)(void *node, const char *peer);
	int (*on_message)(
		void *node, const char *peer, const void *data, size_t size, struct lsp_error *err);
};

struct lsp_service_rpc {
	/* *ret_result: JSON, the caller frees it. */
	int (*dispatch)(void *node, const char *method, const char *parameters, char **ret_result,
		struct lsp_error *err);
	/* 0: healthy. */
	int (*health)(void *node, struct lsp_error *err);
};

struct lsp_service_options {
	const char *name;                    /* at most 32 bytes */
	const struct lsp_service_node *node; /* NULL: none; the like for the next two */
	const struct lsp_service_peers *peers;
	const struct lsp_service_rpc *rpc;
	void *argument;          /* the hooks' `node` */
	struct lsp_tasks *tasks; /* the program's registry, for the hooks' threads */
	uint64_t hook_deadline;  /* nanoseconds by its clock; 0: 10 s */
	uint64_t join_deadline;  /* for all tasks together; 0: 2 s */
};

enum lsp_service_state {
	LSP_SERVICE_NEW,
	LSP_SERVICE_STARTING,
	LSP_SERVICE_RUNNING,
	LSP_SERVICE_STOPPING,
	LSP_SERVICE_STOPPED,
};

enum lsp_service_stage {
	LSP_STAGE_NONE,
	LSP_STAGE_PRE_START,
	LSP_STAGE_ON_START,
	LSP_STAGE_RUN,
	LSP_STAGE_JOIN,
	LSP_STAGE_ON_STOP,
	LSP_STAGE_POST_STOP,
	LSP_STAGE_COUNT
};

/* "none", "pre_start", "on_start", "run", "join", "on_stop", "post_stop". */
const char *lsp_service_stage_name(enum lsp_service_stage stage);

struct lsp_service_exit {
	struct lsp_cancel_reason reason; /* why it stopped: the first reason */
	bool is_graceful;                /* not fatal, nothing failed, nobody was left behind */
	enum lsp_service_stage failed;   /* the first that failed, and its error */
	struct lsp_error error;
	size_t stragglers; /* tasks and hooks that did not stop in time */
};

/* What the program exits with: 0 when graceful, else 1. */
static inline int lsp_service_exit_code(const struct lsp_service_exit *exit)
{
	return exit->is_graceful ? 0 : 1;
}

/* The options' structs must outlive the run; name is copied. The caller gets one reference. */
LSP_MUST_CHECK int lsp_service_new(const struct lsp_service_options *options,
	struct lsp_service **ret_service, struct lsp_error *err);
struct lsp_service *lsp_service_ref(struct lsp_service *service);
void lsp_service_unref(struct lsp_service *service);
LSP_DEFINE_CLEANUP(struct lsp_service *, lsp_service_unref);
#define _cleanup_service_ _cleanup_(lsp_service_unref_pointer)

/*
 * Lives the whole life in the calling thread: 0 when it stopped gracefully, else the first error,
 * and *ret_exit either way (may be NULL). -LSP_E_EXISTS, and nothing done, when it was started.
 */
LSP_MUST_CHECK int lsp_service_run(
	struct lsp_service *service, struct lsp_service_exit *ret_exit, struct lsp_error *err);
/* The same in a task of its own, named as the service. */
LSP_MUST_CHECK int lsp_service_start(struct lsp_service *service, struct lsp_error *err);
/* Waits until it has stopped: as lsp_service_run, or -LSP_E_TIMEOUT. Before a start: INVALID. */
LSP_MUST_CHECK int lsp_service_wait(struct lsp_service *service, lsp_time deadline,
	struct lsp_service_exit *ret_exit, struct lsp_error *err);

/* Asks it to stop. False where it was asked before, or has stopped. */
bool lsp_service_shutdown(struct lsp_service *service, enum lsp_cancel_kind kind, const char *text);

enum lsp_service_state lsp_service_state(struct lsp_service *service);
/* The live tasks of the service, none once it stopped. The caller frees the array. */
LSP_MUST_CHECK int lsp_service_tasks(struct lsp_service *service, struct lsp_task_info **ret_infos,
	size_t *ret_count, struct lsp_error *err);

/* To the peer API. -LSP_E_CLOSED unless it is running; 0 where there is no such hook. */
LSP_MUST_CHECK int lsp_service_connected(
	struct lsp_service *service, const char *peer, struct lsp_error *err);
LSP_MUST_CHECK int lsp_service_disconnected(
	struct lsp_service *service, const char *peer, struct lsp_error *err);
LSP_MUST_CHECK int lsp_service_message(struct lsp_service *service, const char *peer,
	const void *data, size_t size, struct lsp_error *err);
/* To the RPC API. -LSP_E_CLOSED unless it is running; dispatch without a hook: UNSUPPORTED. */
LSP_MUST_CHECK int lsp_service_dispatch(struct lsp_service *service, const char *method,
	const char *parameters, char **ret_result, struct lsp_error *err);
LSP_MUST_CHECK int lsp_service_health(struct lsp_service *service, struct lsp_error *err);
