/*
 * The end. What stops what, in order: the root token; goodbyes and everything that the loop drives;
 * the pools, so that no job comes any more; the endpoint's handles; the loop, which first runs what
 * was promised to it (the ends of operations); the event streams, and with them the servers that
 * read them; every task. One deadline for all of it.
 */
#include "base/log.h"
#include "library/library.h"
#include "net/identity.h"
#include "peer/download.h"
#include "peer/events.h"
#include "peer/games.h"
#include "peer/guard.h"
#include "peer/runtime_private.h"
#include "peer/session.h"
#include "peer/torrent_late.h"
#include "task/operation.h"

#include <stdlib.h>

void lsp_runtime_operations_changed(void *argument);

static void operations_changed(void *argument)
{
	lsp_games_publish_local(argument);
}

void lsp_runtime_operations_changed(void *argument)
{
	struct lsp_peer *peer = argument;
	(void)!lsp_loop_post(peer->core, operations_changed, peer, NULL);
}

/* ---- On the loop ---- */

static void endpoint_closed(void *argument)
{
	struct lsp_runtime *runtime = argument;
	lsp_answer_complete(&runtime->endpoint_closed, 0, NULL);
}

/* Says goodbye and lets go of everything that would start something new. */
static int begin_stop(void *argument, struct lsp_error *err)
{
	struct lsp_runtime *runtime = argument;
	struct lsp_peer *peer = &runtime->peer;
	struct lsp_cancel_reason reason;
	lsp_cancel_get_reason(peer->root, &reason);
	if (peer->connect)
		lsp_connect_goodbye(
			peer->connect, reason.text[0] ? reason.text : "leaving the party");
	lsp_download_stop_all(peer);
	lsp_torrent_late_stop_all(peer);
	if (peer->calls)
		lsp_calls_close(peer->calls);
	if (runtime->liveness)
		lsp_supervised_remove(TAKE_PTR(runtime->liveness));
	if (peer->connect)
		lsp_connect_stop(peer->connect, endpoint_closed, runtime);
	else
		endpoint_closed(runtime);
	peer->stopping = true;
	lsp_timer_done(&peer->tick);
	lsp_timer_done(&peer->swarm_timer);
	lsp_timer_done(&runtime->liveness_timer);
	lsp_guards_stop(peer->guards);
	return 0;
}

/* ---- In the runtime's task ---- */

static void stop_pool(struct lsp_pool *pool, bool abort, lsp_time deadline)
{
	struct lsp_error err = {0};
	if (!pool)
		return;
	if (abort)
		lsp_pool_abort(pool);
	if (lsp_pool_stop(pool, deadline, &err) < 0)
		lsp_log_warning("peer", "%s", err.message);
}

static void stop_loop(struct lsp_runtime *runtime, lsp_time deadline, struct lsp_error *err)
{
	struct lsp_peer *peer = &runtime->peer;
	lsp_answer_init(&runtime->endpoint_closed);
	if (atomic_load(&runtime->core_gone)) {
		/* What it owned cannot be taken down by anybody else. */
		runtime->unjoined = true;
		endpoint_closed(runtime);
	} else if (lsp_loop_call(peer->core, begin_stop, runtime, NULL, deadline, err) < 0) {
		lsp_log_warning("peer", "the core loop does not answer: %s", err->message);
	}
	if (runtime->library)
		lsp_library_abort(runtime->library);
	stop_pool(runtime->hash, true, deadline);
	stop_pool(peer->prepare, true, deadline);
	stop_pool(peer->disk, true, deadline);
	(void)!lsp_answer_wait(&runtime->endpoint_closed, NULL, peer->clock, deadline, NULL);
	stop_pool(peer->state_pool, false, deadline);
	if (lsp_loop_stop(peer->core, deadline, err) < 0)
		runtime->unjoined = true;
}

static void stop_everything(struct lsp_runtime *runtime, struct lsp_error *err)
{
	struct lsp_peer *peer = &runtime->peer;
	lsp_time deadline = lsp_peer_now(peer) + LSP_RUNTIME_STOP_DEADLINE;
	if (peer->core)
		stop_loop(runtime, deadline, err);
	if (peer->events && (!runtime->unjoined || atomic_load(&runtime->core_gone)))
		lsp_events_close(peer->events);
	if (peer->tasks && lsp_tasks_join_all(peer->tasks, deadline, NULL, err) < 0)
		runtime->unjoined = true;
}

static void fill_exit(struct lsp_runtime *runtime, const struct lsp_error *err)
{
	struct lsp_cancel_reason reason;
	struct lanspread_exit *exit = &runtime->exit;
	lsp_cancel_get_reason(runtime->peer.root, &reason);
	snprintf(exit->reason, sizeof exit->reason, "%s", lsp_cancel_kind_name(reason.kind));
	exit->graceful = reason.kind != LSP_CANCEL_FATAL && !runtime->unjoined;
	exit->exit_code = exit->graceful ? 0 : 1;
	if (runtime->failed_component[0])
		snprintf(exit->message, sizeof exit->message, "%s failed: %.400s",
			runtime->failed_component, runtime->failed_error.message);
	else if (runtime->unjoined)
		snprintf(exit->message, sizeof exit->message, "%s", err->message);
	else if (!exit->graceful)
		snprintf(exit->message, sizeof exit->message, "%s", reason.text);
}

int lsp_runtime_task(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct lsp_runtime *runtime = argument;
	struct lsp_error why = {0};
	lsp_cancel_wait(token, NULL, LSP_TIME_NEVER);
	stop_everything(runtime, &why);
	fill_exit(runtime, &why);
	if (!runtime->exit.graceful)
		lsp_log_error("peer", "stopped: %s", runtime->exit.message);
	lsp_answer_complete(&runtime->stopped, 0, NULL);
	return 0;
}

int lsp_runtime_wait(struct lsp_runtime *runtime, lsp_time deadline,
	struct lanspread_exit *ret_exit, struct lsp_error *err)
{
	int r = lsp_answer_wait(&runtime->stopped, NULL, lsp_clock_system, deadline, err);
	if (r == 0 && ret_exit)
		*ret_exit = runtime->exit;
	return r;
}

/* ---- Freeing
 * --------------------------------------------------------------------------------------------------
 */

static void free_all(struct lsp_runtime *runtime)
{
	struct lsp_peer *peer = &runtime->peer;
	if (runtime->unjoined)
		return; /* somebody may still use it; the program is about to exit with an error */
	lsp_library_free(runtime->library);
	lsp_runtime_free_core(runtime);
	lsp_pool_free(peer->prepare);
	lsp_pool_free(peer->disk);
	lsp_pool_free(peer->state_pool);
	lsp_pool_free(runtime->hash);
	lsp_loop_unref(peer->core);
	lsp_supervisor_free(runtime->supervisor);
	lsp_operations_free(peer->operations);
	lsp_tasks_free(peer->tasks);
	lsp_cancel_unref(peer->root);
	lsp_catalog_close(runtime->catalog);
	lsp_identity_unref(runtime->identity);
	lsp_config_free(runtime->config);
	lsp_folder_lock_release(runtime->lock);
	free(atomic_load(&runtime->http_url));
	free(runtime->unpack_helper);
	free(runtime->discover_helper);
	free(runtime->unpacker_command);
	free(runtime->listen);
	free(runtime->interface);
	for (char **host = runtime->hosts; host && *host; host++)
		free(*host);
	free(runtime->hosts);
	free(peer->state_dir);
	lsp_answer_done(&runtime->stopped);
	free(runtime);
}

void lsp_runtime_unwind(struct lsp_runtime *runtime)
{
	struct lsp_error err = {0};
	if (runtime->peer.root) {
		lsp_cancel_request(runtime->peer.root, LSP_CANCEL_FATAL, "the start failed");
		stop_everything(runtime, &err);
	}
	free_all(runtime);
}

void lsp_runtime_free(struct lsp_runtime *runtime)
{
	struct lsp_error err = {0};
	(void)!lsp_runtime_wait(runtime, LSP_TIME_NEVER, NULL, &err);
	/* The runtime's own task, too, is on its way out. */
	if (!runtime->unjoined &&
		lsp_tasks_join_all(runtime->peer.tasks, LSP_TIME_NEVER, NULL, &err) < 0)
		runtime->unjoined = true;
	free_all(runtime);
}
