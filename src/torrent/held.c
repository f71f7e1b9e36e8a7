/*
 * Where a stored torrent lies by now.
 *
 * Somebody may have made the folder of a stored torrent one that it must not write to. Who knows
 * (the `hold` of engine.h) asks the disk, and a network mount that has gone silent does not answer
 * for minutes. So the torrent is added standing still (`is_unasked`; its record says nothing of
 * that, its state is "queued"), and once the session has it a task of its own asks. The worker
 * takes the answer as it takes what any job came to:
 *
 *   free           it goes on, unless its record says that it is paused
 *   held           `paused` is in its record from now on, as if somebody had paused it
 *   cannot be said (memory is short) it stands on, and is asked about again, after five seconds and
 *                  ever longer times
 *
 * A command is worth more than an answer. Who pauses or resumes it has decided, and nothing is
 * asked any more. While it moves or is removed nothing is asked, and what comes then is dropped, as
 * is what comes about another place than it has by now: where it stays, it is asked about again.
 *
 * A place is asked about by one task at a time, and no more than LOOKS_MAX run: what lies in a
 * place that does not answer waits for that place alone. A look that hangs is waited for by nobody
 * but the registry, which names it at the end of the program.
 */
#include "torrent/engine_private.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN
#define LOOKS_MAX 32
#define PATIENCE_MAX (300 * LSP_SECOND)

/* The worker makes it and takes it back; the task reads it meanwhile. */
struct lsp_held_look {
	struct lsp_held_look *next; /* the worker's: of those that run */
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

static struct lsp_held_look *look_new(const struct lsp_torrent *torrent)
{
	const char *name = lsp_report_folder(torrent);
	struct lsp_held_look *look = calloc(1, sizeof *look);
	if (!look)
		return NULL;
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

void lsp_held_ask(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	if (!torrent->is_unasked)
		return;
	torrent->ask_at = torrent->ask_wait = 0;
	engine->next_ask = 0;
}

/* ---- The answer -------------------------------------------------------------------------- */

static void ask_later(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	uint64_t wait = torrent->ask_wait ? torrent->ask_wait * 2 : LSP_STORE_PATIENCE;
	torrent->ask_wait = LSP_MIN(wait, PATIENCE_MAX);
	torrent->ask_at = lsp_time_add(lsp_now(engine->clock), torrent->ask_wait);
	engine->next_ask = LSP_MIN(engine->next_ask, torrent->ask_at);
}

/* In the record too: whoever resumes it is asked where it lies again. */
static void hold(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_error err = {0};
	if (lsp_torrent_record_set(&torrent->record, "paused", json_true(), &err) < 0) {
		lsp_log_warning(DOMAIN, "%s", err.message);
		ask_later(engine, torrent);
		return;
	}
	torrent->is_unasked = false;
	lsp_session_write_record(engine, torrent);
	lsp_torrent_refresh(engine, torrent);
}

void lsp_torrent_goes_on(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_error err = {0};
	int r = 0;
	if (torrent->is_unasked) {
		lsp_held_ask(engine, torrent);
		return;
	}
	if (!torrent->record.paused && !torrent->record.goal_met) {
		uint32_t managed = torrent->record.auto_managed ? LSP_SHIM_AUTO_MANAGED : 0;
		r = engine->shim_functions->resume(engine->shim, torrent->number, &err);
		if (r == 0)
			r = engine->shim_functions->set_flags(engine->shim, torrent->number,
				managed, LSP_SHIM_AUTO_MANAGED, &err);
	}
	if (r < 0)
		lsp_log_warning(DOMAIN, "torrent %s: %s", torrent->record.id, err.message);
}

static void take_answer(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_held_look *look, int result)
{
	bool is_busy = torrent->removing || torrent->move;
	bool is_elsewhere = strcmp(torrent->record.save_path, look->path) != 0;
	torrent->is_asked = false;
	if (!torrent->is_unasked || !engine->shim || engine->broken)
		return;
	if (is_busy || is_elsewhere) {
		lsp_held_ask(engine, torrent);
	} else if (result < 0) {
		ask_later(engine, torrent);
	} else if (result > 0) {
		hold(engine, torrent);
	} else {
		torrent->is_unasked = false;
		lsp_torrent_goes_on(engine, torrent);
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
	return engine->hold(engine->hold_argument, look->id, look->path, look->name);
}

static void forget_look(struct lsp_torrent_engine *engine, const struct lsp_held_look *look)
{
	struct lsp_held_look **at = &engine->looks;
	while (*at != look)
		at = &(*at)->next;
	*at = look->next;
}

static int finish(struct lsp_torrent_job *job, struct lsp_error *err)
{
	struct lsp_torrent_engine *engine = job->engine;
	const struct lsp_held_look *look = job->argument;
	struct lsp_torrent *torrent = lsp_torrent_by_number(engine, look->number);
	forget_look(engine, look);
	engine->next_ask = 0; /* others may have waited for this one */
	if (torrent)
		take_answer(engine, torrent, look, job->result);
	return 0;
}

static void ask(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_error err = {0};
	struct lsp_held_look *look = look_new(torrent);
	int r = look ? lsp_job_start(engine, NULL, NULL, true, work, finish, look, look_free, &err)
		     : lsp_error_no_memory(&err, DOMAIN);
	if (r < 0) {
		lsp_log_warning(DOMAIN, "where torrent %s lies cannot be asked now: %s",
			torrent->record.id, err.message);
		ask_later(engine, torrent);
		return;
	}
	look->next = engine->looks;
	engine->looks = look;
	torrent->is_asked = true;
}

static size_t count_looks(
	const struct lsp_torrent_engine *engine, const char *path, bool *ret_is_there)
{
	size_t count = 0;
	*ret_is_there = false;
	for (const struct lsp_held_look *look = engine->looks; look; look = look->next, count++)
		*ret_is_there |= strcmp(look->path, path) == 0;
	return count;
}

void lsp_held_due(struct lsp_torrent_engine *engine, lsp_time now)
{
	struct lsp_torrent *torrent;
	if (now < engine->next_ask)
		return;
	engine->next_ask = LSP_TIME_NEVER;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next) {
		bool is_there;
		if (!torrent->is_unasked || torrent->is_asked || !torrent->added ||
			torrent->removing || torrent->move)
			continue;
		if (now < torrent->ask_at)
			engine->next_ask = LSP_MIN(engine->next_ask, torrent->ask_at);
		else if (count_looks(engine, torrent->record.save_path, &is_there) < LOOKS_MAX &&
			 !is_there)
			ask(engine, torrent);
	}
}
