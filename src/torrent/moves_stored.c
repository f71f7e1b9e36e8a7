/*
 * A move, or a removal with data, of a torrent that the session does not have: one that the start
 * found in a record, that outlived its session, or whose torrent left it (moves.c).
 *
 * What keeps it from its end is said once and stays in the health; it is tried again after five
 * seconds, then after twice as long each time, up to five minutes, and at once when somebody asks
 * for the torrent. A removal ends it: without data the torrent is forgotten as it is.
 */
#include "torrent/moves_private.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <utlist.h>

#define DOMAIN LSP_TORRENT_DOMAIN
#define PATIENCE_MOST (5 * 60 * LSP_SECOND)

void lsp_move_store(struct lsp_torrent_engine *engine, struct lsp_move *move)
{
	DL_APPEND(engine->moves, move);
}

static void drop(struct lsp_torrent_engine *engine, struct lsp_move *move)
{
	DL_DELETE(engine->moves, move);
	lsp_move_free(move);
}

void lsp_moves_free(struct lsp_torrent_engine *engine)
{
	struct lsp_move *move, *next;
	DL_FOREACH_SAFE(engine->moves, move, next)
	{
		drop(engine, move);
	}
}

/* ---- What is said ------------------------------------------------------------------------ */

static void moving_key(const char *id, char key[LSP_FAULT_KEY_MAX])
{
	snprintf(key, LSP_FAULT_KEY_MAX, "moving %s", id);
}

static const char *what_it_is(const struct lsp_move *move)
{
	return move->deletes ? "the removal of torrent" : "the move of torrent";
}

static void tell_stuck(struct lsp_torrent_engine *engine, struct lsp_move *move, int result,
	const struct lsp_error *error)
{
	char key[LSP_FAULT_KEY_MAX];
	struct lsp_error told = {0};
	moving_key(move->id, key);
	bool is_new = strcmp(move->why.message, error->message) != 0;
	move->why = *error;
	move->wait = move->wait ? LSP_MIN(2 * move->wait, (uint64_t)PATIENCE_MOST)
				: (uint64_t)LSP_STORE_PATIENCE;
	move->due = lsp_time_add(lsp_now(engine->clock), move->wait);
	lsp_error_set(&told, DOMAIN, -result,
		"%s %s cannot be finished, which is tried again at least every 5 minutes: %s",
		what_it_is(move), move->id, move->why.message);
	lsp_engine_fail(engine, LSP_TORRENT_HEALTH_STORAGE, key, told.message);
	if (is_new)
		lsp_engine_emit(engine, lsp_event_error(move->id, "io", told.message));
	lsp_calls_end(engine, move->number, result, &told);
}

/* Nothing keeps it any more. */
static void clear_stuck(struct lsp_torrent_engine *engine, const struct lsp_move *move)
{
	char key[LSP_FAULT_KEY_MAX];
	moving_key(move->id, key);
	lsp_engine_clear(engine, LSP_TORRENT_HEALTH_STORAGE, key);
}

static void emit_removed(struct lsp_torrent_engine *engine, const char *id, bool data)
{
	lsp_engine_emit(engine, json_pack("{s:s, s:s, s:b}", "event", "torrent_removed", "torrent",
					id, "data", data));
}

/* ---- How it ends ------------------------------------------------------------------------- */

/* The record in the store, which alone knows of it. */
static int change_record(struct lsp_torrent_engine *engine, const struct lsp_move *move,
	int (*change)(
		struct lsp_record *record, const struct lsp_move *move, struct lsp_error *err),
	struct lsp_error *err)
{
	struct lsp_resume_entry entry = {0};
	if (!engine->store)
		return 0;
	int r = lsp_resume_store_load(engine->store, move->id, &entry, err);
	if (r == 0 && entry.record.json) {
		r = change(&entry.record, move, err);
		if (r == 0)
			r = lsp_resume_store_write_record(engine->store, &entry.record, err);
	}
	lsp_resume_entry_done(&entry);
	return r;
}

static int note_over(struct lsp_record *record, const struct lsp_move *move, struct lsp_error *err)
{
	return lsp_move_note(record, move, true, err);
}

static int note_under_way(
	struct lsp_record *record, const struct lsp_move *move, struct lsp_error *err)
{
	return lsp_move_note(record, move, false, err);
}

static int note_removing(
	struct lsp_record *record, const struct lsp_move *move, struct lsp_error *err)
{
	return lsp_torrent_record_set(record, "removing", json_true(), err);
}

/* Of what is deleted only the old place is left to do; its disk is noted by itself. */
static int note_one_place(
	struct lsp_record *record, const struct lsp_move *move, struct lsp_error *err)
{
	int r = lsp_move_note_undone(record, move, err);
	json_t *mount = move->from_mount ? lsp_translate_text(move->from_mount) : NULL;
	if (r == 0 && mount)
		return lsp_torrent_record_set(record, "save_mount", mount, err);
	json_decref(mount);
	return r;
}

/* Is a worker there that will be, or is this the end? */
static bool ends(const struct lsp_torrent_engine *engine)
{
	return !engine->accepting; /* the worker's own thread has written it */
}

/* The torrent is added, if it is still stored. Takes the move. */
static void is_over(struct lsp_torrent_engine *engine, struct lsp_move *move)
{
	clear_stuck(engine, move);
	drop(engine, move);
	if (engine->shim && !ends(engine))
		lsp_restore_all(engine);
}

/* Its files stay where they are. Takes the move. */
static void forget(struct lsp_torrent_engine *engine, struct lsp_move *move)
{
	struct lsp_error err = {0};
	int r = engine->store ? lsp_session_forget(engine, move->id, &err) : 0;
	lsp_log_info(DOMAIN, "torrent %s is removed; its files are in %s%s%s", move->id, move->from,
		move->to ? " and in " : "", move->to ? move->to : "");
	clear_stuck(engine, move);
	emit_removed(engine, move->id, false);
	lsp_calls_end(engine, move->number, r, &err);
	drop(engine, move);
}

/* Of one that is deleted the disks must be known, and noted, before anything is. */
static int start(struct lsp_torrent_engine *engine, struct lsp_move *move, struct lsp_error *err)
{
	bool is_known = !move->deletes || move->from_mount;
	return lsp_move_start(engine, move, is_known ? LSP_MOVE_WORKS : LSP_MOVE_LOOKS, err);
}

/* It was only looked whether it can be: of what is in the other place nothing is its own. */
static void stay(struct lsp_move *move)
{
	free(TAKE_PTR(move->to));
	free(TAKE_PTR(move->to_mount));
	free(TAKE_PTR(move->from_mount)); /* which is noted before anything is deleted */
}

/* What it was told to be, while a task was at its files or before that. */
static void begin_removal(struct lsp_torrent_engine *engine, struct lsp_move *move)
{
	struct lsp_error err = {0};
	move->is_removed = false;
	move->deletes = move->removes_data;
	if (!move->deletes) {
		forget(engine, move);
		return;
	}
	move->wait = 0;
	move->has_content = true;
	if (move->back) /* what is in its first place is its own */
		lsp_move_turn(move);
	int r = start(engine, move, &err);
	if (r < 0)
		tell_stuck(engine, move, r, &err);
}

/* All that could be is deleted. Takes the move. */
static void is_deleted(struct lsp_torrent_engine *engine, struct lsp_move *move)
{
	struct lsp_error err = move->left;
	int r = -err.code;
	if (r < 0) {
		lsp_log_warning(DOMAIN, "torrent %s: %s", move->id, err.message);
		lsp_engine_emit(engine, lsp_event_error(move->id, "io", err.message));
	} else {
		lsp_log_info(DOMAIN, "torrent %s is removed, with its files", move->id);
	}
	if (engine->store && lsp_session_forget(engine, move->id, r < 0 ? NULL : &err) < 0 &&
		r == 0)
		r = -err.code;
	clear_stuck(engine, move);
	emit_removed(engine, move->id, !move->left.code);
	lsp_calls_end(engine, move->number, r, &err);
	drop(engine, move);
}

/* The files to be deleted are there. */
static void have_looked(
	struct lsp_torrent_engine *engine, struct lsp_move *move, int r, struct lsp_error *err)
{
	if (r == 0)
		r = change_record(engine, move, move->to ? note_under_way : note_one_place, err);
	if (r == 0 || r == -LSP_E_NO_SPACE)
		r = lsp_move_start(engine, move, LSP_MOVE_WORKS, err);
	if (r < 0)
		tell_stuck(engine, move, r, err);
}

static void end_deletion(
	struct lsp_torrent_engine *engine, struct lsp_move *move, int r, struct lsp_error *err)
{
	if (r == 0 && !move->to) {
		is_deleted(engine, move);
		return;
	}
	if (r == 0) {
		/* Else a start that goes on might take another's file there for one of these. */
		r = change_record(engine, move, note_one_place, err);
		if (r == -LSP_E_NO_SPACE && move->others == 0)
			r = 0; /* none is there */
	}
	if (r == 0) {
		free(TAKE_PTR(move->to));
		r = lsp_move_start(engine, move, LSP_MOVE_WORKS, err);
	}
	if (r < 0)
		tell_stuck(engine, move, r, err);
}

static void end_move(
	struct lsp_torrent_engine *engine, struct lsp_move *move, int r, struct lsp_error *err)
{
	if (r == -LSP_E_NO_SPACE && !move->forgets) {
		lsp_log_warning(
			DOMAIN, "torrent %s: its move is taken back: %s", move->id, err->message);
		lsp_move_turn(move);
		r = change_record(engine, move, note_under_way, err);
		if (r < 0)
			lsp_move_turn(move);
		else
			r = lsp_error_set(err, DOMAIN, LSP_E_NO_SPACE,
				"%s is full: it is moved back", move->from);
	} else if (r == 0) {
		r = move->forgets ? 0 : change_record(engine, move, note_over, err);
		lsp_move_tell_left(engine, move);
	}
	if (r < 0)
		tell_stuck(engine, move, r, err);
	else if (move->forgets) {
		lsp_move_turn(move); /* they are in one place */
		free(TAKE_PTR(move->to));
		forget(engine, move);
	} else
		is_over(engine, move);
}

void lsp_move_stored_step(
	struct lsp_torrent_engine *engine, struct lsp_move *move, int result, struct lsp_error *err)
{
	bool was_live = !move->goes_on, looked = move->stage == LSP_MOVE_LOOKS;
	move->goes_on = true;
	if (looked && was_live)
		stay(move);
	if (ends(engine))
		drop(engine, move); /* the next start does the rest */
	else if (move->is_removed)
		begin_removal(engine, move);
	else if ((looked && was_live) || result == -LSP_E_CANCELLED)
		is_over(engine, move); /* nothing is done, or the record says how it goes on */
	else if (looked)
		have_looked(engine, move, result, err);
	else if (move->deletes)
		end_deletion(engine, move, result, err);
	else if (was_live && result < 0 && !move->moved.is_split) {
		/* Its session is gone: it was taken back, as it would have been there. */
		lsp_log_warning(DOMAIN, "torrent %s cannot be moved: %s", move->id, err->message);
		lsp_engine_emit(engine, lsp_event_error_beside(move->id, LSP_TORRENT_HEALTH_STORAGE,
						lsp_code_name(-result), err->message));
		if (change_record(engine, move, lsp_move_note_undone, err) < 0)
			tell_stuck(engine, move, -err->code, err);
		else
			is_over(engine, move);
	} else
		end_move(engine, move, result, err);
}

/* ---- Again ------------------------------------------------------------------------------- */

lsp_time lsp_moves_next(const struct lsp_torrent_engine *engine)
{
	const struct lsp_move *move;
	lsp_time next = LSP_TIME_NEVER;
	DL_FOREACH(engine->moves, move)
	{
		if (!move->job)
			next = LSP_MIN(next, move->due);
	}
	return next;
}

void lsp_moves_retry(struct lsp_torrent_engine *engine, lsp_time now)
{
	struct lsp_move *move, *next;
	DL_FOREACH_SAFE(engine->moves, move, next)
	{
		struct lsp_error err = {0};
		if (move->job || now < move->due)
			continue;
		int r = start(engine, move, &err);
		if (r < 0)
			tell_stuck(engine, move, r, &err);
	}
}

/* ---- What the others call ---------------------------------------------------------------- */

int lsp_move_restore(struct lsp_torrent_engine *engine, const struct lsp_record *record,
	struct lsp_shim_source *source, struct lsp_error *err)
{
	struct lsp_move *move = NULL;
	if (record->leaving && !record->moving_to) { /* which was over */
		lsp_log_info(
			DOMAIN, "torrent %s: its removal was cut short and is done", record->id);
		int r = lsp_session_forget(engine, record->id, err);
		emit_removed(engine, record->id, false);
		return r < 0 ? 0 : r; /* which is tried again, and said */
	}
	int r = lsp_move_new(engine, source, record, record->moving_to, &move, err);
	if (r < 0)
		return r;
	bool is_short = false;
	if (record->save_mount)
		is_short |= !(move->from_mount = strdup(record->save_mount));
	if (record->moving_mount)
		is_short |= !(move->to_mount = strdup(record->moving_mount));
	move->number = engine->next_number++;
	move->goes_on = true;
	move->back = record->moving_back;
	move->deletes = move->has_content = record->removing;
	move->forgets = record->leaving && !record->removing;
	move->expected = record->moving_files;
	if (move->to && (move->deletes ? move->back : move->forgets && !move->back))
		lsp_move_turn(move);
	r = is_short ? lsp_error_no_memory(err, DOMAIN) : start(engine, move, err);
	if (r < 0)
		lsp_move_free(move);
	else
		lsp_move_store(engine, move);
	return r < 0 ? r : 0;
}

bool lsp_move_is_stored(const struct lsp_torrent_engine *engine, const char *id)
{
	const struct lsp_move *move;
	DL_FOREACH(engine->moves, move)
	{
		if (strcmp(move->id, id) == 0)
			return true;
	}
	return false;
}

size_t lsp_moves_called(
	const struct lsp_torrent_engine *engine, const char *name, struct lsp_move **ret_first)
{
	struct lsp_move *move;
	size_t size = strlen(name), count = 0;
	*ret_first = NULL;
	DL_FOREACH(engine->moves, move)
	{
		if (size < 6 || strncasecmp(move->id, name, size) != 0)
			continue;
		if (count++ == 0)
			*ret_first = move;
	}
	return count;
}

struct lsp_move *lsp_move_called(const struct lsp_torrent_engine *engine, const char *name)
{
	struct lsp_move *first;
	lsp_moves_called(engine, name, &first);
	return first;
}

uint64_t lsp_move_number(const struct lsp_move *move)
{
	return move->number;
}

bool lsp_moves_work_at(const struct lsp_torrent_engine *engine, uint64_t number)
{
	const struct lsp_move *move;
	DL_FOREACH(engine->moves, move)
	{
		if (move->number == number)
			return move->job;
	}
	return false;
}

int lsp_move_refuse(struct lsp_torrent_engine *engine, struct lsp_move *move, struct lsp_error *err)
{
	if (move->job)
		return lsp_error_set(err, DOMAIN, LSP_E_BUSY,
			"what was begun with the files of torrent %s, to move or delete them, was "
			"cut short and is being finished",
			move->id);
	move->due = lsp_now(engine->clock);
	move->wait = 0;
	return lsp_error_set(err, DOMAIN, LSP_E_BUSY,
		"%s %s cannot be finished, which is tried again now (`lanspread torrent remove` "
		"forgets it): %s",
		what_it_is(move), move->id, move->why.message);
}

json_t *lsp_move_json(const struct lsp_move *move)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:s*}", "id", move->id, "save_path",
		lsp_translate_text(move->from), "moving_to",
		move->to ? lsp_translate_text(move->to) : json_null(), "folder",
		move->folder ? lsp_translate_text(move->folder) : json_null(), "game", move->game);
}

int lsp_move_remove(
	struct lsp_torrent_engine *engine, struct lsp_move *move, bool data, struct lsp_error *err)
{
	if (data && move->deletes && move->job && !move->is_removed)
		return 0; /* it is at that */
	int r = data && !move->deletes ? change_record(engine, move, note_removing, err) : 0;
	if (r < 0 && r != -LSP_E_NO_SPACE) /* which is what people delete for */
		return r;
	if (r < 0)
		lsp_log_warning(DOMAIN, "torrent %s is removed, which a kill would undo: %s",
			move->id, err->message);
	move->is_removed = true;
	move->removes_data = data;
	if (move->job)
		lsp_task_abort(move->job->task, LSP_CANCEL_USER, "the torrent is removed");
	else
		begin_removal(engine, move);
	return 0;
}
