/* A move of a torrent that the session has (moves.c). */
#include "torrent/moves_private.h"

#include "base/log.h"

#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN

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

/* The move is over, and it is free again: it goes on, or goes. Takes the move. */
static void let_go(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, struct lsp_move *move)
{
	struct lsp_error err = {0};
	torrent->move = NULL;
	lsp_move_free(move);
	if (!torrent->remove_waits) {
		if (!torrent->removing)
			lsp_torrent_goes_on(engine, torrent);
		return;
	}
	torrent->remove_waits = torrent->removing = false;
	int r = lsp_remove_begin(engine, torrent, torrent->remove_data, &err);
	if (r < 0 && r != -LSP_E_CLOSED) /* the program ends: the next start removes it */
		lsp_removal_fails(engine, torrent, r, &err);
}

/* ---- Out of the session and back --------------------------------------------------------- */

/* The store has all that brings it back. */
static bool can_leave(const struct lsp_torrent_engine *engine, const struct lsp_torrent *torrent)
{
	return engine->store && !torrent->transient && !torrent->record_dirty;
}

/* Once what came for it before is saved; until then lsp_moves_look tries again. */
static void leave(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, struct lsp_move *move)
{
	struct lsp_error err = {0};
	move->stage = LSP_MOVE_LEAVES;
	if (torrent->saving)
		return;
	move->has_left = torrent->removing = true;
	if (engine->shim_functions->remove(
		    engine->shim, torrent->number, LSP_SHIM_REMOVE_NOTHING, &err) == 0)
		return;
	lsp_log_warning(DOMAIN, "torrent %s: %s", torrent->record.id, err.message);
	torrent->removing = torrent->remove_waits;
	let_go(engine, torrent, move);
}

bool lsp_move_returns(const struct lsp_torrent *torrent)
{
	return torrent->move && torrent->move->stage == LSP_MOVE_LEAVES;
}

void lsp_move_on_left(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_error err = {0};
	char id[LSP_TORRENT_ID_MAX + 1];
	uint64_t number = torrent->number;
	bool leaves = torrent->remove_waits && !torrent->remove_data;
	snprintf(id, sizeof id, "%s", torrent->record.id);
	bool ends = engine->save_deadline != 0; /* the next session has it */
	lsp_torrent_drop(engine, torrent);
	if (ends)
		return;
	lsp_restore_all(engine);
	const struct lsp_torrent *again = lsp_torrent_by_id(engine, id);
	const struct lsp_move *stored = lsp_move_called(engine, id);
	if (again || stored) {
		lsp_calls_follow(engine, number, again ? again->number : stored->number);
		return;
	}
	if (leaves) { /* and is forgotten */
		lsp_calls_end(engine, number, 0, NULL);
		return;
	}
	lsp_error_set(&err, DOMAIN, LSP_E_IO,
		"its files are moved, but it could not be restored from the store, which is tried "
		"again");
	lsp_calls_end(engine, number, -err.code, &err);
}

/* ---- How it ends ------------------------------------------------------------------------- */

static void tell_failure(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_move *move, const struct lsp_error *error)
{
	struct lsp_error whole = *error, why = {0};
	const char *name = torrent->title ? torrent->title : torrent->record.id;
	if (move->moved.is_split)
		lsp_error_set(&whole, DOMAIN, error->code,
			"%s; some of its files are in each place by now: they are brought "
			"together at the new one, which is tried again and again",
			error->message);
	else if (move->moved.left.code)
		lsp_error_set(&whole, DOMAIN, error->code,
			"%s; what is left in %s is yours to delete (%s)", error->message, move->to,
			move->moved.left.message);
	struct lsp_shim_alert alert = {.type = LSP_SHIM_ALERT_MOVE_FAILED,
		.torrent = torrent->number,
		.number = error->code,
		.text = name,
		.error = whole.message};
	lsp_error_set(&why, DOMAIN, error->code, "%.100s cannot be moved: %s", name, whole.message);
	lsp_log_warning(DOMAIN, "torrent %s: %s", torrent->record.id, why.message);
	lsp_engine_emit(
		engine, lsp_event_error_beside(torrent->record.id, LSP_TORRENT_HEALTH_STORAGE,
				lsp_code_name(error->code), why.message));
	lsp_calls_on_alert(engine, &alert);
}

/* Takes the move. Whoever waits for it is told. */
static void fail(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_move *move, const struct lsp_error *error)
{
	if (!torrent->remove_waits)
		tell_failure(engine, torrent, move, error);
	/* In the session it would miss what is at the other place. */
	if (move->moved.is_split && can_leave(engine, torrent))
		leave(engine, torrent, move);
	else
		let_go(engine, torrent, move);
}

static void take_back_note(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, const struct lsp_move *move)
{
	(void)!lsp_move_note_undone(&torrent->record, move, NULL);
	lsp_session_write_record(engine, torrent);
}

/* The place is free. From here on a kill has the next start do the rest. */
static int begin_work(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_move *move, struct lsp_error *err)
{
	struct lsp_error why = {0};
	move->expected = move->found;
	int r = lsp_move_note(&torrent->record, move, false, err);
	if (r < 0)
		return r;
	r = write_first(engine, torrent, &why);
	if (r < 0) {
		(void)!lsp_move_note_undone(&torrent->record, move, NULL);
		return lsp_error_set(
			err, DOMAIN, -r, "where it goes cannot be noted: %s", why.message);
	}
	r = lsp_move_start(engine, move, LSP_MOVE_WORKS, err);
	if (r < 0)
		take_back_note(engine, torrent, move);
	return r;
}

/* They are all there: the record first, then the library. */
static int tell_library(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_move *move, struct lsp_error *err)
{
	int r = lsp_move_note(&torrent->record, move, true, err);
	if (r < 0)
		return r;
	lsp_session_write_record(engine, torrent);
	lsp_move_tell_left(engine, move);
	if (move->moved.left.code && can_leave(engine, torrent)) {
		leave(engine, torrent, move); /* what is left it would put over the new ones */
		return 0;
	}
	move->stage = LSP_MOVE_IS_TOLD;
	r = engine->shim_functions->move(engine->shim, torrent->number, move->to, err);
	if (r == 0 || !can_leave(engine, torrent))
		return r;
	lsp_log_warning(DOMAIN, "torrent %s: %s", torrent->record.id, err->message);
	leave(engine, torrent, move);
	return 0;
}

void lsp_move_step(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_move *move, int r, struct lsp_error *err)
{
	if (r == -LSP_E_CANCELLED && !move->undo) {
		torrent->move = NULL; /* the program ends: the next start does the rest */
		lsp_move_free(move);
		return;
	}
	bool worked = move->stage == LSP_MOVE_WORKS;
	if (r == 0 && !worked && torrent->remove_waits)
		r = lsp_error_set(err, DOMAIN, LSP_E_CANCELLED, "it is removed");
	if (r == 0)
		r = worked ? tell_library(engine, torrent, move, err)
			   : begin_work(engine, torrent, move, err);
	else if (worked && !move->moved.is_split)
		take_back_note(engine, torrent, move);
	if (r < 0)
		fail(engine, torrent, move, err);
	else if (move->stage == LSP_MOVE_IS_TOLD && torrent->remove_waits)
		let_go(engine, torrent, move); /* the library does one after the other */
}

/* ---- What the others call ---------------------------------------------------------------- */

int lsp_move_begin(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, const char *path,
	struct lsp_error *err)
{
	struct lsp_move *move = NULL;
	int r = lsp_move_of(engine, torrent, path, &move, err);
	if (r < 0)
		return r;
	/* One that was told to pause may not have let go of its files: PAUSED is still to come. */
	bool stands = (torrent->status.flags & LSP_SHIM_PAUSED) && torrent->is_still;
	r = engine->shim_functions->pause(engine->shim, torrent->number, err);
	if (r < 0) {
		lsp_move_free(move);
		return r;
	}
	torrent->move = move;
	move->stage = LSP_MOVE_PAUSES;
	if (!stands)
		return 0;
	r = lsp_move_start(engine, move, LSP_MOVE_LOOKS, err);
	if (r < 0) {
		torrent->move = NULL;
		lsp_move_free(move);
		lsp_torrent_goes_on(engine, torrent);
	}
	return r;
}

void lsp_move_on_paused(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_move *move = torrent->move;
	struct lsp_error err = {0};
	torrent->is_still = true;
	if (!move || move->stage != LSP_MOVE_PAUSES)
		return;
	if (torrent->remove_waits)
		let_go(engine, torrent, move);
	else if (lsp_move_start(engine, move, LSP_MOVE_LOOKS, &err) < 0)
		fail(engine, torrent, move, &err);
}

void lsp_move_on_told(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	if (torrent->move && torrent->move->stage == LSP_MOVE_IS_TOLD)
		let_go(engine, torrent, torrent->move);
}

bool lsp_move_on_refused(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert)
{
	struct lsp_move *move = torrent->move;
	if (!move || move->stage != LSP_MOVE_IS_TOLD || torrent->removing ||
		!can_leave(engine, torrent))
		return false;
	lsp_log_warning(DOMAIN,
		"torrent %s: its files are in %s, which the library does not take (%s): it is "
		"restored there",
		torrent->record.id, move->to, alert->error);
	leave(engine, torrent, move);
	return true;
}

bool lsp_move_is_at_it(const struct lsp_move *move)
{
	return move->stage != LSP_MOVE_IS_TOLD;
}

bool lsp_move_deletes(const struct lsp_move *move)
{
	return move->deletes;
}

/* It has done what it was told. */
static bool is_done(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, const struct lsp_move *move)
{
	lsp_torrent_refresh(engine, torrent);
	uint32_t flags = torrent->status.flags;
	return move->stage == LSP_MOVE_IS_TOLD ? !(flags & LSP_SHIM_MOVING)
					       : (flags & LSP_SHIM_PAUSED) != 0;
}

/*
 * For how many looks (seconds) it has not said so. Where alerts were thrown away that may be for
 * ever; else a pause is told once the disk has let go of the files, which is waited for.
 */
static unsigned patience(const struct lsp_torrent_engine *engine, const struct lsp_move *move)
{
	return move->stage == LSP_MOVE_IS_TOLD || engine->tally.alerts_dropped ? 2 : 60;
}

static void look_at(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_move *move = torrent->move;
	if (!move || move->job)
		return;
	if (move->stage == LSP_MOVE_LEAVES) {
		if (!move->has_left)
			leave(engine, torrent, move);
		return;
	}
	if (!is_done(engine, torrent, move) || move->unanswered++ < patience(engine, move))
		return;
	move->unanswered = 0;
	if (move->stage == LSP_MOVE_PAUSES)
		lsp_move_on_paused(engine, torrent);
	else
		lsp_move_on_told(engine, torrent);
}

void lsp_moves_look(struct lsp_torrent_engine *engine)
{
	struct lsp_torrent *torrent, *next;
	for (torrent = engine->by_number; torrent; torrent = next) {
		next = torrent->by_number.next;
		look_at(engine, torrent);
	}
}

void lsp_move_stop(struct lsp_move *move)
{
	move->undo = true;
	if (move->job)
		lsp_task_abort(move->job->task, LSP_CANCEL_USER, "the torrent is removed");
}

void lsp_move_drop(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_move *move = TAKE_PTR(torrent->move);
	if (move && move->job)
		lsp_move_store(engine, move);
	else
		lsp_move_free(move);
}
