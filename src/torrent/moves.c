/*
 * Torrents whose files are on their way: to another folder, or off the disk.
 *
 * A move. The torrent stands still (PAUSED says that the library has let go of its files), a task
 * looks whether the new place is free and how many files there are; then the record says where they
 * go (`moving_to`, `moving_files`), a task moves them (files.h), the record says where they are,
 * and the library is told. A session that begins and finds `moving_to` in a record has the task
 * finish the move before the torrent is added, so that nothing is checked against half of its
 * files.
 * What keeps it from that is in the health, and it is tried again every five seconds; where the
 * disk is full it is taken back instead.
 *
 * A removal with its data. The record says `removing` before the library deletes, and is forgotten
 * when that has told how it went. A session that finds it has a task delete what is left.
 *
 * A move belongs to its torrent while the torrent stands still for it and when the library is told,
 * and to the job in between, which may outlive the session and then ends as one of the start does.
 */
#include "torrent/engine_private.h"

#include "base/log.h"
#include "base/text.h"
#include "torrent/files.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN

enum stage { PAUSES, LOOKS, WORKS, IS_TOLD };

struct lsp_move {
	char id[LSP_TORRENT_ID_MAX + 1];
	char *from, *to; /* `to` NULL: they are deleted */
	struct lsp_files files;
	uint64_t expected; /* so many are at one of the places at least */
	size_t found;      /* by LOOKS */
	bool has_content;  /* some of it has come: there is a file of it */
	enum stage stage;
	unsigned unanswered;         /* looks at which the library had done it and not said so */
	bool of_start;               /* no session has the torrent */
	bool is_starting;            /* its job is, and does not own it yet */
	struct lsp_torrent_job *job; /* NULL: none runs */
	_Atomic bool undo;           /* what is cancelled is taken back; the job asks */
	struct lsp_files_moved moved;
};

static void move_free(struct lsp_move *move)
{
	if (!move)
		return;
	lsp_files_done(&move->files);
	free(move->from);
	free(move->to);
	free(move);
}

static void job_argument_free(void *argument)
{
	struct lsp_move *move = argument;
	if (move && !move->is_starting)
		move_free(move);
}

/* ---- Its files --------------------------------------------------------------------------- */

struct collecting {
	struct lsp_files *files;
	struct lsp_error *err;
	int result;
};

static void collect(void *argument, const char *path)
{
	struct collecting *collecting = argument;
	if (collecting->result == 0)
		collecting->result = lsp_files_append(collecting->files, path, collecting->err);
}

/* What came for files that are not wanted the library keeps in one of its own. */
static int add_part_file(struct lsp_move *move, struct lsp_error *err)
{
	char name[64];
	snprintf(name, sizeof name, ".%.40s.parts", move->id);
	return lsp_files_append(&move->files, name, err);
}

static int move_new(struct lsp_torrent_engine *engine, struct lsp_shim_source *source,
	const struct lsp_record *record, const char *to, struct lsp_move **ret_move,
	struct lsp_error *err)
{
	struct lsp_move *move = calloc(1, sizeof *move);
	if (!move)
		return lsp_error_no_memory(err, DOMAIN);
	snprintf(move->id, sizeof move->id, "%s", record->id);
	snprintf(move->files.mark, sizeof move->files.mark, "%.16s", record->id);
	move->from = strdup(record->save_path);
	move->to = to ? strdup(to) : NULL;
	struct collecting collecting = {.files = &move->files, .err = err};
	int r = move->from && (move->to || !to) ? 0 : lsp_error_no_memory(err, DOMAIN);
	if (r == 0)
		r = engine->shim_functions->source_places(
			source, record->root, collect, &collecting, err);
	if (r == 0)
		r = collecting.result;
	if (r == 0)
		r = add_part_file(move, err);
	if (r < 0) {
		move_free(move);
		return r;
	}
	*ret_move = move;
	return 0;
}

/* ---- The job ----------------------------------------------------------------------------- */

/* A disk that is not mounted looks like one on which nothing is. */
static int check_all_are_there(const struct lsp_move *move, struct lsp_error *err)
{
	size_t found = 0;
	int r = lsp_files_count_either(&move->files, move->from, move->to, &found, err);
	if (r == 0 && found < move->expected)
		return lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND,
			"of %llu files %zu are neither in %.200s nor in %.200s: is a disk not "
			"mounted?",
			(unsigned long long)move->expected, (size_t)move->expected - found,
			move->from, move->to);
	return r;
}

/* Is the new place free, and the old one there? */
static int look(struct lsp_move *move, struct lsp_error *err)
{
	int r = lsp_files_check_free(&move->files, move->from, move->to, err);
	if (r == 0)
		r = lsp_files_count(&move->files, move->from, &move->found, err);
	if (r == 0 && move->has_content && move->found == 0)
		return lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND,
			"none of its files is in %.300s: is a disk not mounted? (If they are gone, "
			"recheck it first)",
			move->from);
	return r;
}

static int work(struct lsp_torrent_job *job, struct lsp_cancel *token, struct lsp_error *err)
{
	struct lsp_move *move = job->argument;
	if (!move->to)
		return lsp_files_delete(&move->files, move->from, err);
	if (move->stage == LOOKS)
		return look(move, err);
	int r = check_all_are_there(move, err);
	struct lsp_files_move orders = {.files = &move->files,
		.from = move->from,
		.to = move->to,
		.undo = !move->of_start,
		.undo_cancelled = &move->undo};
	return r < 0 ? r : lsp_files_move(&orders, token, &move->moved, err);
}

static int finish(struct lsp_torrent_job *job, struct lsp_error *err);

/* After a failure the move is still the caller's. */
static int start_job(struct lsp_torrent_engine *engine, struct lsp_move *move, enum stage stage,
	struct lsp_error *err)
{
	move->stage = stage;
	move->is_starting = true;
	json_object_set_new(engine->moving, move->id, json_true());
	int r = lsp_job_start(engine, NULL, NULL, true, work, finish, move, job_argument_free, err);
	move->is_starting = false;
	if (r < 0) {
		json_object_del(engine->moving, move->id);
		return r;
	}
	move->job = engine->running_jobs; /* the first */
	return 0;
}

/* ---- Records ----------------------------------------------------------------------------- */

/* What the record says of the move; `to` NULL: it is over. */
static int note_move(struct lsp_record *record, const char *save_path, const char *to,
	uint64_t files, struct lsp_error *err)
{
	static const char *const keys[] = {"save_path", "moving_to", "moving_files", NULL};
	json_t *changes = to ? json_pack("{s:o, s:o, s:I}", keys[0], lsp_translate_text(save_path),
				       keys[1], lsp_translate_text(to), keys[2], (json_int_t)files)
			     : json_pack("{s:o, s:n, s:n}", keys[0], lsp_translate_text(save_path),
				       keys[1], keys[2]);
	if (!changes)
		return lsp_error_no_memory(err, DOMAIN);
	int r = lsp_torrent_record_merge(record, changes, keys, err);
	json_decref(changes);
	return r;
}

/* Before anything is done to a file. Without a store nothing outlasts a kill. */
static int write_first(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, struct lsp_error *err)
{
	torrent->record_dirty = true;
	if (torrent->transient || !engine->store)
		return 0;
	int r = lsp_resume_store_write_record(engine->store, &torrent->record, err);
	torrent->record_dirty = r < 0;
	return r;
}

static void tell_left(
	struct lsp_torrent_engine *engine, const struct lsp_move *move, const char *id)
{
	char message[800];
	if (!move->moved.left.code)
		return;
	snprintf(message, sizeof message,
		"the torrent is in %.200s now, but not all of it could be deleted from %.200s: "
		"what is left there is yours to delete (%.250s)",
		move->to, move->from, move->moved.left.message);
	lsp_log_warning(DOMAIN, "torrent %s: %s", id, message);
	lsp_engine_emit(
		engine, lsp_event_error_beside(id, LSP_TORRENT_HEALTH_STORAGE, "io", message));
}

/* ---- One that the session has ------------------------------------------------------------ */

static void goes_on(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_error err = {0};
	int r = 0;
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

/* The move is over, and it is free again: it goes on, or goes. */
static void let_go(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_error err = {0};
	torrent->move = NULL;
	if (!torrent->remove_waits) {
		if (!torrent->removing)
			goes_on(engine, torrent);
		return;
	}
	torrent->remove_waits = torrent->removing = false;
	if (lsp_remove_begin(engine, torrent, torrent->remove_data, &err) < 0)
		lsp_log_warning(DOMAIN, "torrent %s: %s", torrent->record.id, err.message);
}

/* Takes the move. Whoever waits for it is told. */
static void fail(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_move *move, const struct lsp_error *error)
{
	char message[512];
	struct lsp_error why = {0};
	const char *name = torrent->title ? torrent->title : torrent->record.id;
	snprintf(message, sizeof message, "%.350s%s", error->message,
		move->moved.is_split ? "; some of its files are in each place, and the next start "
				       "tries again"
				     : "");
	struct lsp_shim_alert alert = {.type = LSP_SHIM_ALERT_MOVE_FAILED,
		.torrent = torrent->number,
		.number = error->code,
		.text = name,
		.error = message};
	if (!torrent->remove_waits) {
		lsp_error_set(
			&why, DOMAIN, error->code, "%.100s cannot be moved: %.380s", name, message);
		lsp_log_warning(DOMAIN, "torrent %s: %s", torrent->record.id, why.message);
		lsp_engine_emit(engine,
			lsp_event_error_beside(torrent->record.id, LSP_TORRENT_HEALTH_STORAGE,
				lsp_code_name(error->code), why.message));
		lsp_calls_on_alert(engine, &alert);
	}
	let_go(engine, torrent);
	move_free(move);
}

/* The place is free. From here on a kill has the next start do the rest. */
static int begin_work(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_move *move, struct lsp_error *err)
{
	struct lsp_error why = {0};
	int r = note_move(&torrent->record, move->from, move->to, move->found, err);
	if (r < 0)
		return r;
	move->expected = move->found;
	r = write_first(engine, torrent, &why);
	if (r < 0) {
		(void)!note_move(&torrent->record, move->from, NULL, 0, NULL);
		return lsp_error_set(
			err, DOMAIN, -r, "where it goes cannot be noted: %.300s", why.message);
	}
	return start_job(engine, move, WORKS, err);
}

/* They are all there: the record first, then the library. */
static int tell_library(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_move *move, struct lsp_error *err)
{
	int r = note_move(&torrent->record, move->to, NULL, 0, err);
	if (r < 0)
		return r;
	lsp_session_write_record(engine, torrent);
	tell_left(engine, move, torrent->record.id);
	move->stage = IS_TOLD;
	return engine->shim_functions->move(engine->shim, torrent->number, move->to, err);
}

/* Takes the move. */
static void step(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_move *move, int r, struct lsp_error *err)
{
	if (r == -LSP_E_CANCELLED && !move->undo) {
		torrent->move = NULL; /* the program ends: the next start does the rest */
		move_free(move);
		return;
	}
	bool worked = move->stage == WORKS;
	if (r == 0 && !worked && torrent->remove_waits)
		r = lsp_error_set(err, DOMAIN, LSP_E_CANCELLED, "it is removed");
	if (r == 0)
		r = worked ? tell_library(engine, torrent, move, err)
			   : begin_work(engine, torrent, move, err);
	else if (worked && !move->moved.is_split) {
		(void)!note_move(&torrent->record, move->from, NULL, 0, NULL);
		lsp_session_write_record(engine, torrent);
	}
	if (r < 0) {
		fail(engine, torrent, move, err);
	} else if (worked && torrent->remove_waits) { /* the library does one after the other */
		let_go(engine, torrent);
		move_free(move);
	}
}

/* ---- One of the start -------------------------------------------------------------------- */

static void moving_key(const char *id, char key[LSP_FAULT_KEY_MAX])
{
	snprintf(key, LSP_FAULT_KEY_MAX, "moving %s", id);
}

static void tell_stuck(struct lsp_torrent_engine *engine, const char *id, const char *why)
{
	char key[LSP_FAULT_KEY_MAX], message[600];
	moving_key(id, key);
	bool is_new = !json_object_get(engine->stuck, id);
	json_object_set_new(engine->stuck, id, lsp_translate_text(why));
	engine->next_read = lsp_time_add(lsp_now(engine->clock), LSP_STORE_PATIENCE);
	snprintf(message, sizeof message,
		"the move of torrent %s cannot be finished, which is tried again every 5 s: %.400s",
		id, why);
	lsp_engine_fail(engine, LSP_TORRENT_HEALTH_STORAGE, key, message);
	if (is_new)
		lsp_engine_emit(engine, lsp_event_error(id, "io", message));
}

/* The record in the store, which alone knows of it. Full disks have it go back. */
static int note_in_store(struct lsp_torrent_engine *engine, const struct lsp_move *move, int result,
	struct lsp_error *err)
{
	struct lsp_resume_entry entry = {0};
	if (!engine->store)
		return 0;
	int r = lsp_resume_store_load(engine->store, move->id, &entry, err);
	if (r == 0 && entry.record.json) {
		r = result < 0 ? note_move(&entry.record, move->to, move->from, move->expected, err)
			       : note_move(&entry.record, move->to, NULL, 0, err);
		if (r == 0)
			r = lsp_resume_store_write_record(engine->store, &entry.record, err);
	}
	lsp_resume_entry_done(&entry);
	return r;
}

static void end_deletion(struct lsp_torrent_engine *engine, const struct lsp_move *move, int r,
	struct lsp_error *err)
{
	char message[600];
	if (r == -LSP_E_CANCELLED)
		return;
	if (r < 0) {
		snprintf(message, sizeof message,
			"the torrent is removed, but not all of its files: what is left in %.200s "
			"is yours to delete (%.250s)",
			move->from, err->message);
		lsp_log_warning(DOMAIN, "torrent %s: %s", move->id, message);
		lsp_engine_emit(engine, lsp_event_error(move->id, "io", message));
	} else {
		lsp_log_info(DOMAIN,
			"torrent %s: its removal, with its files, was cut short and is done",
			move->id);
	}
	if (engine->store)
		(void)!lsp_session_forget(engine, move->id, NULL);
	lsp_engine_emit(engine, json_pack("{s:s, s:s, s:b}", "event", "torrent_removed", "torrent",
					move->id, "data", r == 0));
}

static void end_move(struct lsp_torrent_engine *engine, const struct lsp_move *move, int r,
	struct lsp_error *err)
{
	char key[LSP_FAULT_KEY_MAX];
	if (r == -LSP_E_CANCELLED)
		return;
	if (move->stage == LOOKS) { /* nothing was done yet */
		r = 0;
	} else if (r == -LSP_E_NO_SPACE) {
		lsp_log_warning(
			DOMAIN, "torrent %s: its move is taken back: %s", move->id, err->message);
		r = note_in_store(engine, move, -LSP_E_NO_SPACE, err);
		if (r == 0)
			lsp_error_set(err, DOMAIN, LSP_E_NO_SPACE,
				"%.300s is full: it is moved back", move->to);
		r = -LSP_E_NO_SPACE;
	} else if (r == 0) {
		r = note_in_store(engine, move, 0, err);
		tell_left(engine, move, move->id);
	}
	if (r < 0) {
		tell_stuck(engine, move->id, err->message);
		return;
	}
	moving_key(move->id, key);
	json_object_del(engine->stuck, move->id);
	lsp_engine_clear(engine, LSP_TORRENT_HEALTH_STORAGE, key);
	if (engine->shim)
		lsp_restore_all(engine);
}

/* On the worker, whatever came of it and whether there is a session or not. */
static int finish(struct lsp_torrent_job *job, struct lsp_error *err)
{
	struct lsp_torrent_engine *engine = job->engine;
	struct lsp_move *move = TAKE_PTR(job->argument);
	struct lsp_torrent *torrent = lsp_torrent_by_id(engine, move->id);
	move->job = NULL;
	json_object_del(engine->moving, move->id);
	*err = job->error;
	if (torrent && torrent->move == move) {
		step(engine, torrent, move, job->result, err);
		return 0;
	}
	if (!move->to)
		end_deletion(engine, move, job->result, err);
	else
		end_move(engine, move, job->result, err);
	move_free(move);
	return 0;
}

/* ---- What the others call ---------------------------------------------------------------- */

int lsp_move_begin(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, const char *path,
	struct lsp_error *err)
{
	struct lsp_shim_source *source = NULL;
	struct lsp_move *move = NULL;
	int r = engine->shim_functions->source(engine->shim, torrent->number, &source, err);
	if (r == 0)
		r = move_new(engine, source, &torrent->record, path, &move, err);
	engine->shim_functions->source_free(source);
	if (r < 0)
		return r;
	lsp_torrent_refresh(engine, torrent);
	move->has_content = torrent->status.done > 0;
	bool stands = torrent->status.flags & LSP_SHIM_PAUSED;
	r = engine->shim_functions->pause(engine->shim, torrent->number, err);
	if (r < 0) {
		move_free(move);
		return r;
	}
	torrent->move = move;
	move->stage = PAUSES;
	if (!stands)
		return 0;
	r = start_job(engine, move, LOOKS, err);
	if (r < 0) {
		torrent->move = NULL;
		move_free(move);
	}
	return r;
}

void lsp_move_on_paused(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_move *move = torrent->move;
	struct lsp_error err = {0};
	if (!move || move->stage != PAUSES)
		return;
	if (torrent->remove_waits) {
		let_go(engine, torrent);
		move_free(move);
		return;
	}
	if (start_job(engine, move, LOOKS, &err) < 0)
		fail(engine, torrent, move, &err);
}

void lsp_move_on_told(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_move *move = torrent->move;
	if (!move || move->stage != IS_TOLD)
		return;
	let_go(engine, torrent);
	move_free(move);
}

bool lsp_move_is_at_it(const struct lsp_move *move)
{
	return move->stage != IS_TOLD;
}

/* It has done what it was told. What it says of that is in its queue by then, or was thrown away.
 */
static bool is_answered(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, const struct lsp_move *move)
{
	lsp_torrent_refresh(engine, torrent);
	uint32_t flags = torrent->status.flags;
	return move->stage == IS_TOLD ? !(flags & LSP_SHIM_MOVING)
				      : (flags & LSP_SHIM_PAUSED) && engine->tally.alerts_dropped;
}

void lsp_moves_look(struct lsp_torrent_engine *engine)
{
	struct lsp_torrent *torrent, *next;
	for (torrent = engine->by_number; torrent; torrent = next) {
		struct lsp_move *move = torrent->move;
		next = torrent->by_number.next;
		if (!move || move->job || !is_answered(engine, torrent, move) ||
			move->unanswered++ < 2)
			continue;
		move->unanswered = 0;
		if (move->stage == PAUSES)
			lsp_move_on_paused(engine, torrent);
		else
			lsp_move_on_told(engine, torrent);
	}
}

void lsp_move_stop(struct lsp_move *move)
{
	move->undo = true;
	if (move->job)
		lsp_task_abort(move->job->task, LSP_CANCEL_USER, "the torrent is removed");
}

void lsp_move_drop(struct lsp_torrent *torrent)
{
	struct lsp_move *move = TAKE_PTR(torrent->move);
	if (move && !move->job)
		move_free(move);
}

int lsp_move_restore(struct lsp_torrent_engine *engine, const struct lsp_record *record,
	struct lsp_shim_source *source, struct lsp_error *err)
{
	struct lsp_move *move = NULL;
	const char *to = record->removing ? NULL : record->moving_to;
	int r = move_new(engine, source, record, to, &move, err);
	if (r < 0)
		return r;
	move->of_start = true;
	move->expected = record->moving_files;
	r = start_job(engine, move, WORKS, err);
	if (r < 0)
		move_free(move);
	return r;
}
