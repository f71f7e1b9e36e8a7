/*
 * Torrents whose files are on their way: to another folder, or off the disk.
 *
 * A move of a torrent that the session has (moves_live.c). The torrent stands still (PAUSED says
 * that the library has let go of its files), a task looks whether the new place is free and how
 * many files there are, and makes its folder; then the record says where they go (`moving_to`,
 * `moving_files`) and which disks that takes (`save_mount`, `moving_mount`), a task moves them
 * (files.h), the record says where they are, and the library is told. Where it would do something
 * to the files if it were told (one that is left at the old place it would put over the new one;
 * some are in each place), the torrent leaves the session and is restored from its record.
 *
 * A stored one (moves_stored.c). A session that begins and finds `moving_to` in a record has a task
 * finish the move before the torrent is added, so that nothing is checked against half of its
 * files. What keeps it from that is in the health, and it is tried again, after five seconds and
 * ever longer times; where the disk is full it is taken back instead (`moving_back`).
 *
 * A removal with its data (removals.c). A task looks whether they are there; the record says
 * `removing` before the library deletes, and is forgotten when that has told how it went. A session
 * that finds it has a task delete what is left, once the disk is there, at both places of a move.
 *
 * This file is what they have in common: the move itself, its task, its record.
 */
#include "torrent/moves_private.h"

#include "base/fs.h"
#include "base/log.h"
#include "torrent/mounts.h"

#include <stdlib.h>
#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN

void lsp_move_free(struct lsp_move *move)
{
	if (!move)
		return;
	lsp_files_done(&move->files);
	free(move->known);
	free(move->from);
	free(move->to);
	free(move->from_mount);
	free(move->to_mount);
	free(move->folder);
	free(move->game);
	free(move);
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

static int collect_files(struct lsp_torrent_engine *engine, struct lsp_shim_source *source,
	const char *root, struct lsp_move *move, struct lsp_error *err)
{
	struct collecting collecting = {.files = &move->files, .err = err};
	char parts[64];
	int r = engine->shim_functions->source_places(source, root, collect, &collecting, err);
	if (r == 0)
		r = collecting.result;
	/* What came for files that are not wanted the library keeps in one of its own. */
	snprintf(parts, sizeof parts, ".%.40s.parts", move->id);
	if (r == 0)
		r = lsp_files_append(&move->files, parts, err);
	if (r == 0 && !(move->known = calloc(move->files.count, sizeof *move->known)))
		r = lsp_error_no_memory(err, DOMAIN);
	return r;
}

/* A copy; NULL of NULL. */
static char *copy(const char *text, bool *is_short)
{
	char *copied = text ? strdup(text) : NULL;
	*is_short |= text && !copied;
	return copied;
}

int lsp_move_new(struct lsp_torrent_engine *engine, struct lsp_shim_source *source,
	const struct lsp_record *record, const char *to, struct lsp_move **ret_move,
	struct lsp_error *err)
{
	struct lsp_move *move = calloc(1, sizeof *move);
	struct lsp_shim_info info;
	bool is_short = !move;
	if (!move)
		return lsp_error_no_memory(err, DOMAIN);
	engine->shim_functions->source_info(source, &info);
	snprintf(move->id, sizeof move->id, "%s", record->id);
	snprintf(move->files.mark, sizeof move->files.mark, "%.16s", record->id);
	move->from = copy(record->save_path, &is_short);
	move->to = copy(to, &is_short);
	move->folder = copy(record->root ? record->root : info.name, &is_short);
	move->game = copy(record->game, &is_short);
	int r = is_short ? lsp_error_no_memory(err, DOMAIN)
			 : collect_files(engine, source, record->root, move, err);
	if (r < 0) {
		lsp_move_free(move);
		return r;
	}
	*ret_move = move;
	return 0;
}

int lsp_move_of(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, const char *to,
	struct lsp_move **ret_move, struct lsp_error *err)
{
	struct lsp_shim_source *source = NULL;
	struct lsp_move *move = NULL;
	int r = engine->shim_functions->source(engine->shim, torrent->number, &source, err);
	if (r == 0)
		r = lsp_move_new(engine, source, &torrent->record, to, &move, err);
	engine->shim_functions->source_free(source);
	if (r < 0)
		return r;
	lsp_torrent_refresh(engine, torrent);
	move->number = torrent->number;
	move->has_content = torrent->status.done > 0;
	*ret_move = move;
	return 0;
}

void lsp_move_turn(struct lsp_move *move)
{
	char *place = move->from, *mount = move->from_mount;
	move->from = move->to;
	move->from_mount = move->to_mount;
	move->to = place;
	move->to_mount = mount;
	move->back = !move->back;
}

/* ---- The task ---------------------------------------------------------------------------- */

static int is_missing(struct lsp_error *err, const struct lsp_move *move, const char *else_)
{
	return lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND,
		"none of its files is in %s: is a disk not mounted? (If they are gone, %s)",
		move->from, else_);
}

/* A disk that is not mounted looks like one on which nothing is. */
static int check_all_are_there(const struct lsp_move *move, struct lsp_error *err)
{
	size_t found = 0;
	int r = lsp_files_count_either(&move->files, move->from, move->to, &found, err);
	if (r == 0 && found < move->expected)
		return lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND,
			"of %llu files %zu are neither in %s nor in %s: is a disk not mounted?",
			(unsigned long long)move->expected, (size_t)move->expected - found,
			move->from, move->to);
	return r;
}

/* Is the new place free, and the old one there? The new one's folder is, from here on. */
static int look(struct lsp_move *move, struct lsp_error *err)
{
	const char *to = move->deletes ? NULL : move->to;
	const char *other = move->deletes ? move->to : NULL;
	int r = to ? lsp_files_check_free(&move->files, move->from, to, err) : 0;
	if (r == 0)
		r = lsp_files_count_either(&move->files, move->from, other, &move->found, err);
	if (r == 0 && move->has_content && move->found == 0)
		return is_missing(
			err, move, to ? "recheck it first" : "remove it without its data");
	if (r == 0 && to)
		r = lsp_fs_make_dirs(to, false, err);
	if (r < 0)
		return r;
	if (!move->from_mount)
		move->from_mount = lsp_mount_of(move->from);
	if (!move->to_mount && move->to)
		move->to_mount = lsp_mount_of(move->to);
	return 0;
}

static int check_mounts(const struct lsp_move *move, struct lsp_error *err)
{
	int r = lsp_mount_check(move->from_mount, err);
	return r == 0 && move->to ? lsp_mount_check(move->to_mount, err) : r;
}

/* What it was brought to first, then where it is; what cannot be deleted is no failure. */
static int delete (
	struct lsp_move *move, const struct lsp_files_move *orders, struct lsp_cancel *token)
{
	struct lsp_error why = {0};
	int r = move->to ? lsp_files_delete_moved(orders, token, &move->others, &why)
			 : lsp_files_delete(&move->files, move->from, &why);
	if (r == -LSP_E_CANCELLED)
		return r;
	if (r < 0 && !move->left.code)
		lsp_error_set(&move->left, DOMAIN, LSP_E_IO,
			"the torrent is removed, but not all of its files: what is left in %s is "
			"yours to delete (%s)",
			move->to ? move->to : move->from, why.message);
	return 0;
}

static int work(struct lsp_torrent_job *job, struct lsp_cancel *token, struct lsp_error *err)
{
	struct lsp_move *move = job->argument;
	if (move->stage == LSP_MOVE_LOOKS)
		return look(move, err);
	struct lsp_files_move orders = {.files = &move->files,
		.from = move->from,
		.to = move->to,
		.to_is_there = true,
		.known = move->known,
		.undo = !move->goes_on,
		.undo_cancelled = &move->undo};
	int r = check_mounts(move, err);
	if (r < 0)
		return r;
	if (move->deletes)
		return delete (move, &orders, token);
	r = check_all_are_there(move, err);
	return r < 0 ? r : lsp_files_move(&orders, token, &move->moved, err);
}

/* On the worker, whatever came of it and whether there is a session or not. */
static int finish(struct lsp_torrent_job *job, struct lsp_error *err)
{
	struct lsp_torrent_engine *engine = job->engine;
	struct lsp_move *move = job->argument;
	struct lsp_torrent *torrent = lsp_torrent_by_id(engine, move->id);
	move->job = NULL;
	*err = job->error;
	if (!torrent || torrent->move != move)
		lsp_move_stored_step(engine, move, job->result, err);
	else if (move->deletes)
		lsp_removal_step(engine, torrent, move, job->result, err);
	else
		lsp_move_step(engine, torrent, move, job->result, err);
	return 0;
}

static void leave_alone(void *argument)
{
}

int lsp_move_start(struct lsp_torrent_engine *engine, struct lsp_move *move,
	enum lsp_move_stage stage, struct lsp_error *err)
{
	enum lsp_move_stage before = move->stage;
	move->stage = stage;
	int r = lsp_job_start(engine, NULL, NULL, true, work, finish, move, leave_alone, err);
	if (r < 0) {
		move->stage = before;
		return r;
	}
	move->job = engine->running_jobs; /* the first */
	return 0;
}

/* ---- Records ----------------------------------------------------------------------------- */

/* Every field of a move, as these say; `to` NULL: none is under way. */
static int note(struct lsp_record *record, const char *save_path, const char *to,
	const struct lsp_move *move, struct lsp_error *err)
{
	static const char *const keys[] = {"save_path", "moving_to", "moving_files", "moving_back",
		"save_mount", "moving_mount", NULL};
	json_t *changes = json_object();
	int r = changes ? 0 : -1;
	for (unsigned i = 0; r == 0 && keys[i]; i++)
		r = json_object_set_new(changes, keys[i], json_null());
	if (r == 0)
		r = json_object_set_new(changes, "save_path", lsp_translate_text(save_path));
	if (r == 0 && to) {
		r = json_object_set_new(changes, "moving_to", lsp_translate_text(to));
		r |= json_object_set_new(
			changes, "moving_files", json_integer((json_int_t)move->expected));
		if (move->back)
			r |= json_object_set_new(changes, "moving_back", json_true());
		if (move->from_mount)
			r |= json_object_set_new(
				changes, "save_mount", lsp_translate_text(move->from_mount));
		if (move->to_mount)
			r |= json_object_set_new(
				changes, "moving_mount", lsp_translate_text(move->to_mount));
	}
	r = r == 0 ? lsp_torrent_record_merge(record, changes, keys, err)
		   : lsp_error_no_memory(err, DOMAIN);
	json_decref(changes);
	return r;
}

int lsp_move_note(
	struct lsp_record *record, const struct lsp_move *move, bool is_over, struct lsp_error *err)
{
	return is_over ? note(record, move->to, NULL, move, err)
		       : note(record, move->from, move->to, move, err);
}

int lsp_move_note_undone(
	struct lsp_record *record, const struct lsp_move *move, struct lsp_error *err)
{
	return note(record, move->from, NULL, move, err);
}

void lsp_move_tell_left(struct lsp_torrent_engine *engine, const struct lsp_move *move)
{
	struct lsp_error left = {0};
	if (!move->moved.left.code)
		return;
	lsp_error_set(&left, DOMAIN, LSP_E_IO,
		"the torrent is in %s now, but not all of it could be deleted from %s: what is "
		"left there is yours to delete (%s)",
		move->to, move->from, move->moved.left.message);
	lsp_log_warning(DOMAIN, "torrent %s: %s", move->id, left.message);
	lsp_engine_emit(engine, lsp_event_error_beside(move->id, LSP_TORRENT_HEALTH_STORAGE,
					lsp_code_name(left.code), left.message));
	lsp_calls_tell_left(engine, move->number, left.message);
}
