/*
 * Removing a torrent, with its files or without them.
 *
 * With them a task looks first whether they are there: those of a disk that is not mounted would be
 * called deleted. Then the record says that they go, and from which disk, and the library deletes
 * them; a kill has the next start do the rest (moves_stored.c). One that is on its way to another
 * folder is taken back first; that it is removed is in the record meanwhile.
 */
#include "torrent/moves_private.h"

#include "base/log.h"

#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN
#define ALERT(type) (UINT64_C(1) << LSP_SHIM_ALERT_##type)

/* Of a record: what says that it is removed. */
static const char *const keys[] = {"removing", "leaving", "save_mount", NULL};

/*
 * What becomes of it, before it does. A full disk, which is what people delete files for, is no
 * reason not to. key: "removing" or "leaving". mount: of its files; NULL: not known.
 */
static void note(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, const char *key,
	const char *mount)
{
	struct lsp_error err = {0};
	json_t *changes = json_pack("{s:n, s:n}", "removing", "leaving");
	if (torrent->transient || !engine->store || !changes) {
		json_decref(changes);
		return;
	}
	json_object_set_new(changes, key, json_true());
	if (mount)
		json_object_set_new(changes, "save_mount", lsp_translate_text(mount));
	int r = lsp_torrent_record_merge(&torrent->record, changes, keys, &err);
	json_decref(changes);
	if (r == 0)
		r = lsp_resume_store_write_record(engine->store, &torrent->record, &err);
	torrent->record_dirty = r < 0;
	if (r < 0)
		lsp_log_warning(DOMAIN,
			"torrent %s: that it is removed cannot be noted, so a kill would undo or "
			"leave some of it: %s",
			torrent->record.id, err.message);
}

/*
 * It is not removed after all: else the next start would do what was told to have failed. What
 * cannot be written now is tried again.
 */
static void take_back_note(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	if (!torrent->record.removing && !torrent->record.leaving)
		return;
	lsp_torrent_record_clear(&torrent->record, keys);
	lsp_session_write_record(engine, torrent);
}

static int tell_library(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, bool data,
	const char *mount, struct lsp_error *err)
{
	if (data)
		note(engine, torrent, "removing", mount);
	int r = engine->shim_functions->remove(engine->shim, torrent->number,
		data ? LSP_SHIM_REMOVE_DATA : LSP_SHIM_REMOVE_PARTS, err);
	if (r < 0) {
		take_back_note(engine, torrent);
		return r;
	}
	torrent->removing = true;
	torrent->remove_data = data;
	return 0;
}

void lsp_removal_fails(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, int result,
	const struct lsp_error *error)
{
	torrent->removing = torrent->keep_stored = false;
	torrent->cannot_be_deleted |= torrent->is_removed_by_goal;
	lsp_torrent_goes_on(engine, torrent); /* it may have stood still for a move */
	torrent->blob_dirty = true;           /* what was told of it meanwhile was not kept */
	lsp_session_save(engine, torrent);
	take_back_note(engine, torrent);
	lsp_log_warning(
		DOMAIN, "torrent %s is not removed: %s", torrent->record.id, error->message);
	/* Who had it removed by its seeding goal waits for no answer. */
	if (lsp_calls_end(engine, torrent->number, result, error) == 0)
		lsp_engine_emit(engine,
			lsp_event_error_beside(torrent->record.id, LSP_TORRENT_HEALTH_STORAGE,
				lsp_code_name(-result), error->message));
}

void lsp_removal_step(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_move *move, int r, struct lsp_error *err)
{
	torrent->move = NULL;
	if (r == 0)
		r = tell_library(engine, torrent, true, move->from_mount, err);
	lsp_move_free(move);
	if (r == -LSP_E_CANCELLED) /* the program ends */
		torrent->removing = torrent->keep_stored = false;
	else if (r < 0)
		lsp_removal_fails(engine, torrent, r, err);
}

static int look_first(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, struct lsp_error *err)
{
	struct lsp_move *move = NULL;
	int r = lsp_move_of(engine, torrent, NULL, &move, err);
	if (r < 0)
		return r;
	move->deletes = true;
	move->has_content &= !torrent->may_be_absent;
	r = lsp_move_start(engine, move, LSP_MOVE_LOOKS, err);
	if (r < 0) {
		lsp_move_free(move);
		return r;
	}
	torrent->move = move;
	torrent->removing = torrent->remove_data = true;
	return 0;
}

int lsp_remove_begin(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, bool data,
	struct lsp_error *err)
{
	struct lsp_move *move = torrent->move;
	if (move && lsp_move_returns(torrent))
		return lsp_error_set(err, DOMAIN, LSP_E_BUSY,
			"its files have just been moved: try again in a moment");
	if (move && lsp_move_is_at_it(move)) { /* first its files are where they were */
		note(engine, torrent, data ? "removing" : "leaving", NULL);
		torrent->removing = torrent->remove_waits = true;
		torrent->remove_data = data;
		lsp_move_stop(move);
		return 0;
	}
	if (data && torrent->has_metadata && !move)
		return look_first(engine, torrent, err);
	return tell_library(engine, torrent, data, move ? move->to_mount : NULL, err);
}

/* ---- The commands ------------------------------------------------------------------------ */

/* One that the session does not have, since its files are in the middle of a move. */
static int remove_stored(struct lsp_torrent_engine *engine, struct lsp_call *call,
	struct lsp_move *move, bool data, struct lsp_error *err)
{
	lsp_torrent_call_wait_for(engine, call, move->number, ALERT(REMOVED));
	int r = lsp_move_remove(engine, move, data, err);
	if (r < 0)
		lsp_calls_end(engine, move->number, r, err);
	return 1;
}

LSP_COMMAND(remove)
{
	struct lsp_torrent *torrent = NULL;
	const char *name = NULL;
	bool data = false, keep = false, absent = false;
	int r = lsp_torrent_call_switch(call, "data", &data, err);
	if (r == 0)
		r = lsp_torrent_call_switch(call, "absent", &absent, err);
	if (r == 0)
		r = lsp_torrent_call_switch(call, "keep", &keep, err);
	if (r == 0)
		r = lsp_torrent_call_text(call, "torrent", true, &name, err);
	if (r < 0)
		return r;
	r = lsp_torrent_call_torrent(engine, call, &torrent, err);
	struct lsp_move *stored =
		r == -LSP_E_BUSY && !torrent ? lsp_move_called(engine, name) : NULL;
	if (stored)
		return remove_stored(engine, call, stored, data, err);
	if (r == 0) {
		torrent->may_be_absent = absent;
		torrent->is_removed_by_goal = false;
		r = lsp_remove_begin(engine, torrent, data, err);
	}
	if (r < 0)
		return r;
	torrent->keep_stored = keep;
	return lsp_torrent_call_wait_for(engine, call, torrent->number,
		data ? ALERT(DELETED) | ALERT(DELETE_FAILED) : ALERT(REMOVED));
}

LSP_COMMAND(forget)
{
	const char *id = NULL;
	int r = lsp_torrent_call_text(call, "torrent", true, &id, err);
	if (r < 0)
		return r;
	/* One that was added again is not meant. */
	if (json_object_del(engine->kept, id) == 0 && engine->store)
		r = lsp_session_forget(engine, id, err);
	return r;
}
