/*
 * The worker: one thread, three things to wait for (alerts and calls by the eventfd, and the time),
 * and after each wake all of what came. It ticks ten times a second while something moves, once a
 * second while there are torrents, and not at all without a session.
 */
#include "torrent/engine_private.h"

#include "base/log.h"
#include "task/wait.h"

#include <string.h>
#include <unistd.h>

static void accept_calls(struct lsp_torrent_engine *engine, bool accepting)
{
	pthread_mutex_lock(&engine->lock);
	engine->accepting = accepting;
	pthread_mutex_unlock(&engine->lock);
}

static void begin_calls(struct lsp_torrent_engine *engine)
{
	for (struct lsp_call *call = lsp_engine_take_calls(engine), *next; call; call = next) {
		next = call->next;
		call->next = NULL;
		lsp_torrent_call_begin(engine, call);
	}
}

/* Does anything move, so that somebody may look at it? */
static bool is_active(const struct lsp_torrent_engine *engine)
{
	const struct lsp_torrent *torrent;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next) {
		const struct lsp_shim_status *status = &torrent->status;
		bool works = torrent->state == LSP_TORRENT_CHECKING ||
			     (torrent->state == LSP_TORRENT_DOWNLOADING && status->peers > 0);
		if (torrent->added &&
			(works || status->download_rate > 0 || status->upload_rate > 0 ||
				torrent->progress.has_kept || torrent->status_at == 0))
			return true;
	}
	return false;
}

static int tick(struct lsp_torrent_engine *engine, lsp_time now, struct lsp_error *err)
{
	struct lsp_torrent *torrent;
	lsp_moves_retry(engine, now);
	lsp_held_due(engine, now);
	int r = lsp_restore_due(engine, now, err);
	if (r < 0 || !engine->shim || now < engine->next_tick)
		return r;
	engine->shim_functions->post_updates(engine->shim);
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next)
		lsp_report_progress(engine, torrent, now);
	if (now >= engine->next_second) {
		engine->next_second = lsp_time_add(now, LSP_SECOND);
		lsp_torrent_limits_apply(engine, false);
		lsp_torrent_limits_look(engine, now);
		lsp_goals_look(engine, now);
		lsp_session_look_if_due(engine, now);
		lsp_session_save_due(engine, now);
		lsp_session_forget_due(engine, now);
		lsp_moves_look(engine);
		lsp_calls_expire(engine, now);
		lsp_lost_expire(engine, now);
		engine->shim_functions->post_counts(engine->shim);
	}
	engine->next_tick = lsp_time_add(now, is_active(engine) ? LSP_TICK_ACTIVE : LSP_TICK_IDLE);
	lsp_engine_publish(engine);
	return 0;
}

static lsp_time next_wake(const struct lsp_torrent_engine *engine)
{
	/* A limit that does not hold, or what is left in the store, is looked at again. */
	bool doubtful = lsp_faults_degraded(&engine->faults) & (1u << LSP_TORRENT_HEALTH_LIMITS);
	bool needed = engine->shim &&
		      (engine->by_number || engine->tally.torrents || engine->waiting || doubtful ||
			      engine->listen_lost || json_object_size(engine->leftovers));
	lsp_time read = LSP_MIN(lsp_restore_next(engine), lsp_moves_next(engine));
	read = LSP_MIN(read, lsp_held_next(engine));
	return needed ? LSP_MIN(engine->next_tick, read) : read;
}

static void drain_wake(struct lsp_torrent_engine *engine)
{
	uint64_t count;
	ssize_t ignored = read(engine->wake_fd, &count, sizeof count);
	(void)ignored; /* nothing there is fine too */
}

/* Until the token is cancelled (-LSP_E_CANCELLED) or the session breaks. */
static int serve(struct lsp_torrent_engine *engine, struct lsp_cancel *token, struct lsp_error *err)
{
	struct pollfd fd = {.fd = engine->wake_fd, .events = POLLIN};
	for (;;) {
		begin_calls(engine);
		lsp_jobs_report(engine);
		lsp_jobs_finish(engine, NULL);
		lsp_alerts_drain(engine);
		if (engine->broken) {
			*err = engine->broken_error;
			return -err->code;
		}
		lsp_time now = lsp_now(engine->clock);
		int r = now >= next_wake(engine) ? tick(engine, now, err) : 0;
		if (r < 0)
			return r;
		/* A call that waited took the wake of what was queued meanwhile. */
		if (engine->wake_taken)
			lsp_engine_wake(engine);
		engine->wake_taken = false;
		r = lsp_wait_poll(&fd, 1, token, engine->clock, next_wake(engine), err);
		if (r < 0 && r != -LSP_E_TIMEOUT)
			return r;
		drain_wake(engine);
	}
}

static int open_if_needed(struct lsp_torrent_engine *engine, struct lsp_error *err)
{
	bool was_broken = lsp_faults_has(&engine->faults, LSP_TORRENT_HEALTH_SESSION, "session");
	return was_broken ? lsp_session_open(engine, err) : lsp_restore_open(engine, err);
}

/* The engine is degraded at once, and everybody is told. */
static void tell_failure(struct lsp_torrent_engine *engine, const struct lsp_error *error)
{
	struct lsp_torrent *torrent;
	lsp_engine_fail(engine, LSP_TORRENT_HEALTH_SESSION, "session", error->message);
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next)
		lsp_engine_emit(
			engine, lsp_event_error(torrent->record.id, "closed", error->message));
}

int lsp_torrent_worker(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct lsp_torrent_engine *engine = argument;
	struct lsp_error why = {0};
	engine->broken = false;
	accept_calls(engine, true);
	int r = open_if_needed(engine, &why);
	if (r == 0)
		r = serve(engine, token, &why);
	bool stops = lsp_cancel_requested(token);
	accept_calls(engine, false);
	if (!stops)
		tell_failure(engine, &why);
	struct lsp_error closed = {0};
	lsp_error_set(&closed, LSP_TORRENT_DOMAIN, LSP_E_CLOSED, "the torrent engine %s%.300s",
		stops ? "has stopped" : "is not available: ", stops ? "" : why.message);
	lsp_jobs_finish(engine, &closed);
	lsp_calls_fail_all(engine, &closed);
	lsp_time now = lsp_now(engine->clock);
	lsp_session_close(engine, stops ? lsp_time_add(now, engine->shutdown_deadline) : now);
	lsp_engine_publish(engine);
	if (err)
		*err = why;
	return r;
}
