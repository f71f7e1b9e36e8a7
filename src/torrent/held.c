/*
 * Where a stored torrent lies by now.
 *
 * Somebody may have made the folder of a stored torrent one that it must not write to. Who knows
 * (the `hold` of engine.h) asks the disk, and a network mount that has gone silent does not answer
 * for minutes. So the torrent is added standing still (`is_unasked`; its record says nothing of
 * that, its state is "queued"), and once the session has it a task of its own asks. The worker
 * takes the answer as it takes what any job came to:
 *
 *   free           it goes on, unless its record says that it is paused; if the library does not
 *                  have it go on it is as if that could not be said
 *   held           `paused` is in its record from now on, as if somebody had paused it
 *   cannot be said (memory is short) it stands on, and is asked about again, after five seconds and
 *                  ever longer times
 *
 * A command is worth more than an answer. Who pauses or resumes it has decided, and nothing is
 * asked any more. While it moves or is removed nothing is asked, and what comes then is dropped, as
 * is what comes about another place than it has by now: where it stays, it is asked about again.
 *
 * Each waits for its turn (looks.h), and until then for its time where it is asked about later: an
 * answer costs the same however many wait. Turns are by disk, as the table of what is mounted has
 * it by the name of the path alone, for the place itself may not answer: what a symbolic link leads
 * to counts as of the disk that the link is on. A disk that is silent is told of once. A look that
 * hangs is waited for by nobody but the registry, which names it at the end of the program.
 */
#include "torrent/engine_private.h"

#include "base/log.h"
#include "torrent/mounts.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define DOMAIN LSP_TORRENT_DOMAIN
#define PATIENCE_MAX (300 * LSP_SECOND)

/* The worker makes it and takes it back; the task reads it meanwhile. */
struct lsp_held_look {
	struct lsp_look_place *place; /* the worker's */
	uint64_t number;
	char id[LSP_TORRENT_ID_MAX + 1];
	char *path, *name; /* name NULL: nobody knows yet */
};

static void look_free(void *argument)
{
	struct lsp_held_look *look = argument;
	free(look->path);
	free(look->name);
	free(look);
}

static struct lsp_held_look *look_new(
	const struct lsp_torrent *torrent, struct lsp_look_place *place)
{
	const char *name = lsp_report_folder(torrent);
	struct lsp_held_look *look = calloc(1, sizeof *look);
	if (!look)
		return NULL;
	look->place = place;
	look->number = torrent->number;
	snprintf(look->id, sizeof look->id, "%s", torrent->record.id);
	look->path = strdup(torrent->record.save_path);
	look->name = name ? strdup(name) : NULL;
	if (look->path && (look->name || !name))
		return look;
	look_free(look);
	return NULL;
}

void lsp_held_begin(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	const struct lsp_record *record = &torrent->record;
	torrent->is_unasked = engine->hold && !record->paused && !record->game;
}

/* ---- Waiting ----------------------------------------------------------------------------- */

static void wait_until(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, lsp_time time)
{
	torrent->ask_at = time;
	DL_APPEND2(engine->asked_later, torrent, ask_previous, ask_next);
	engine->next_ask = LSP_MIN(engine->next_ask, time);
}

static void stop_waiting(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	lsp_looks_remove(&engine->looks, &torrent->ask);
	if (torrent->ask_at != LSP_TIME_NEVER)
		DL_DELETE2(engine->asked_later, torrent, ask_previous, ask_next);
	torrent->ask_at = LSP_TIME_NEVER;
}

void lsp_held_ask(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	if (!torrent->is_unasked || torrent->is_asked)
		return;
	stop_waiting(engine, torrent);
	torrent->ask_wait = 0;
	wait_until(engine, torrent, 0);
}

void lsp_held_forget(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	stop_waiting(engine, torrent);
	torrent->is_unasked = false;
}

/* To the whole second, so that those of one are looked at together. */
static void ask_later(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	uint64_t wait = torrent->ask_wait ? torrent->ask_wait * 2 : LSP_STORE_PATIENCE;
	torrent->ask_wait = LSP_MIN(wait, PATIENCE_MAX);
	lsp_time time = lsp_time_add(lsp_now(engine->clock), torrent->ask_wait + LSP_SECOND - 1);
	wait_until(engine, torrent, time - time % LSP_SECOND);
}

/* ---- The answer -------------------------------------------------------------------------- */

/* In the record too: whoever resumes it is asked where it lies again. */
static void hold(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, const struct lsp_error *why)
{
	struct lsp_error err = {0};
	if (lsp_torrent_record_set(&torrent->record, "paused", json_true(), &err) < 0) {
		lsp_log_warning(DOMAIN, "torrent %s: %s", torrent->record.id, err.message);
		ask_later(engine, torrent);
		return;
	}
	lsp_log_warning(DOMAIN, "torrent %s is held: %s", torrent->record.id, why->message);
	lsp_held_forget(engine, torrent);
	lsp_session_write_record(engine, torrent);
	lsp_torrent_refresh(engine, torrent);
}

int lsp_torrent_run(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, struct lsp_error *err)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	uint32_t managed = torrent->record.auto_managed ? LSP_SHIM_AUTO_MANAGED : 0;
	int r = shim->resume(engine->shim, torrent->number, err);
	if (r < 0)
		return r;
	lsp_held_forget(engine, torrent);
	return shim->set_flags(engine->shim, torrent->number, managed, LSP_SHIM_AUTO_MANAGED, err);
}

/* Unless its record is against that. */
static void run_if_wanted(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_error err = {0};
	if (torrent->record.paused || torrent->record.goal_met)
		lsp_held_forget(engine, torrent);
	else if (lsp_torrent_run(engine, torrent, &err) < 0)
		lsp_log_warning(DOMAIN, "torrent %s: %s", torrent->record.id, err.message);
}

void lsp_torrent_goes_on(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	if (torrent->is_unasked)
		lsp_held_ask(engine, torrent);
	else
		run_if_wanted(engine, torrent);
}

static void take_answer(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_held_look *look, int result, const struct lsp_error *why)
{
	bool is_elsewhere = strcmp(torrent->record.save_path, look->path) != 0;
	torrent->is_asked = false;
	if (!torrent->is_unasked || !engine->shim || engine->broken)
		return;
	if (torrent->removing || torrent->move)
		return; /* where it stays, lsp_torrent_goes_on has it asked about again */
	if (is_elsewhere) {
		lsp_held_ask(engine, torrent);
	} else if (result < 0) {
		ask_later(engine, torrent);
	} else if (result > 0) {
		hold(engine, torrent, why);
	} else {
		run_if_wanted(engine, torrent);
		if (torrent->is_unasked) /* the library did not take it */
			ask_later(engine, torrent);
		lsp_torrent_refresh(engine, torrent);
	}
}

/* ---- The task ---------------------------------------------------------------------------- */

static int work(struct lsp_torrent_job *job, struct lsp_cancel *token, struct lsp_error *err)
{
	const struct lsp_torrent_engine *engine = job->engine;
	const struct lsp_held_look *look = job->argument;
	if (lsp_cancel_requested(token))
		return lsp_error_set(err, DOMAIN, LSP_E_CANCELLED, "the program ends");
	return engine->hold(engine->hold_argument, look->id, look->path, look->name, err);
}

static int finish(struct lsp_torrent_job *job, struct lsp_error *err)
{
	struct lsp_torrent_engine *engine = job->engine;
	const struct lsp_held_look *look = job->argument;
	struct lsp_torrent *torrent = lsp_torrent_by_number(engine, look->number);
	if (lsp_looks_end(&engine->looks, look->place))
		lsp_log_info(DOMAIN, "%s has answered: what is stored there is asked about again",
			look->path);
	if (torrent)
		take_answer(engine, torrent, look, job->result, &job->error);
	return 0;
}

/* Its turn has come. */
static void ask(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_look_place *place)
{
	struct lsp_error err = {0};
	struct lsp_held_look *look = look_new(torrent, place);
	int r = look ? lsp_job_start(engine, NULL, NULL, true, work, finish, look, look_free, &err)
		     : lsp_error_no_memory(&err, DOMAIN);
	torrent->is_asked = r >= 0;
	if (r >= 0)
		return;
	lsp_log_warning(DOMAIN, "where torrent %s lies cannot be asked now: %s", torrent->record.id,
		err.message);
	(void)lsp_looks_end(&engine->looks, place);
	ask_later(engine, torrent);
}

/* Their time has come: from now on they wait for their turn. */
static void take_turns(struct lsp_torrent_engine *engine, lsp_time now)
{
	struct lsp_torrent *torrent, *next;
	struct lsp_error err = {0};
	struct lsp_mounts mounts = {0};
	bool is_known = lsp_mounts_read(LSP_MOUNTS_TABLE, &mounts, NULL) == 0;
	engine->next_ask = LSP_TIME_NEVER;
	DL_FOREACH_SAFE2(engine->asked_later, torrent, next, ask_next)
	{
		const char *path = torrent->record.save_path;
		if (now < torrent->ask_at) {
			engine->next_ask = LSP_MIN(engine->next_ask, torrent->ask_at);
			continue;
		}
		const char *disk = is_known ? lsp_mounts_above(&mounts, path) : NULL;
		stop_waiting(engine, torrent);
		if (lsp_looks_add(&engine->looks, &torrent->ask, path, disk, &err) < 0)
			ask_later(engine, torrent);
	}
	lsp_mounts_done(&mounts);
}

static void tell_silent(struct lsp_torrent_engine *engine, lsp_time now)
{
	struct lsp_looks_silence silence;
	while (lsp_looks_take_silent(&engine->looks, now, &silence))
		lsp_log_warning(DOMAIN,
			"the disk at %s has not answered for %d s (about %s): %zu stored "
			"torrent%s there stand%s still until it does",
			silence.disk, (int)(LSP_LOOKS_PATIENCE / LSP_SECOND), silence.path,
			silence.waiting, silence.waiting == 1 ? "" : "s",
			silence.waiting == 1 ? "s" : "");
}

void lsp_held_due(struct lsp_torrent_engine *engine, lsp_time now)
{
	struct lsp_look_place *place;
	struct lsp_look_wait *wait;
	if (now >= engine->next_ask)
		take_turns(engine, now);
	tell_silent(engine, now);
	while (engine->shim && (wait = lsp_looks_begin(&engine->looks, now, &place))) {
		struct lsp_torrent *torrent = lsp_container_of(wait, struct lsp_torrent, ask);
		if (torrent->removing || torrent->move)
			(void)lsp_looks_end(&engine->looks, place);
		else
			ask(engine, torrent, place);
	}
}

lsp_time lsp_held_next(const struct lsp_torrent_engine *engine)
{
	bool may_begin = engine->shim && lsp_looks_may_begin(&engine->looks);
	return may_begin ? 0 : LSP_MIN(engine->next_ask, lsp_looks_silent_at(&engine->looks));
}
