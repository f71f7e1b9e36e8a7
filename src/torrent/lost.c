/*
 * Alerts that never came. The library throws some away when its queue is full, and says only that
 * it did; whoever waits for one of them would wait for ever: a save that is under way, and with it
 * every later save of that torrent; a call; a torrent on its way in or out; who is to be told where
 * the session listens.
 *
 * So after each loss the session is asked what it has, and every torrent how it is. What is
 * different from what we know is taken as the alert that would have told of it: from there on all
 * goes its usual way. What nobody can tell any more, whether the last of a torrent's files is gone,
 * is waited for a minute and then said to be unknown.
 *
 * The library does what it is told in turn: once it has answered who is there, each earlier order
 * to add or to remove has been carried out, and its alert is in the queue or lost.
 */
#include "torrent/engine_private.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN

static void note_present(void *argument, uint64_t number)
{
	struct lsp_torrent *torrent = lsp_torrent_by_number(argument, number);
	if (torrent)
		torrent->is_present = true;
}

static void take(struct lsp_torrent_engine *engine, const struct lsp_torrent *torrent,
	enum lsp_shim_alert_type type, int64_t number, const char *text, const char *error)
{
	const struct lsp_shim_alert alert = {.type = type,
		.torrent = torrent->number,
		.number = number,
		.text = text,
		.error = error};
	lsp_alert_take(engine, &alert);
}

/* ---- How one is -------------------------------------------------------------------------- */

struct found {
	bool known;
	uint32_t state, flags;
	char save_path[LSP_RECORD_TEXT_MAX + 1], error[256];
};

static void note_status(void *argument, const struct lsp_shim_status *status)
{
	struct found *found = argument;
	found->known = true;
	found->state = status->state;
	found->flags = status->flags;
	snprintf(found->save_path, sizeof found->save_path, "%s",
		status->save_path ? status->save_path : "");
	snprintf(found->error, sizeof found->error, "%s", status->error ? status->error : "");
}

/* One that moves is asked about again when it has come to rest. */
static void recover_place(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, const struct found *found)
{
	const struct lsp_call *call =
		lsp_calls_waiting(engine, torrent->number, LSP_SHIM_ALERT_MOVED);
	if ((found->flags & LSP_SHIM_MOVING) || !*found->save_path ||
		(torrent->move && lsp_move_is_at_it(torrent->move)))
		return;
	const char *wanted =
		call ? json_string_value(json_object_get(call->call.arguments, "save_path")) : NULL;
	bool is_elsewhere = strcmp(found->save_path, torrent->record.save_path) != 0;
	/* The record says where the files are before the library is told. */
	if (is_elsewhere != (torrent->move != NULL) ||
		(wanted && strcmp(found->save_path, wanted) == 0))
		take(engine, torrent, LSP_SHIM_ALERT_MOVED, 0, found->save_path, "");
	else if (call)
		take(engine, torrent, LSP_SHIM_ALERT_MOVE_FAILED, 0, found->save_path,
			"it is where it was, and why is not known");
}

static void recover_state(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct found found = {0};
	struct lsp_error err = {0};
	if (engine->shim_functions->status(
		    engine->shim, torrent->number, note_status, &found, &err) < 0 ||
		!found.known)
		return;
	bool was_paused = torrent->status.flags & LSP_SHIM_PAUSED;
	bool checks = found.state == LSP_SHIM_STATE_CHECKING ||
		      found.state == LSP_SHIM_STATE_CHECKING_RESUME;
	if ((found.flags & LSP_SHIM_METADATA) && !torrent->has_metadata)
		take(engine, torrent, LSP_SHIM_ALERT_METADATA, 0, "", "");
	if (*found.error && !*torrent->error)
		take(engine, torrent, LSP_SHIM_ALERT_TORRENT_ERROR, 0, "", found.error);
	if (found.state != torrent->status.state)
		take(engine, torrent, LSP_SHIM_ALERT_STATE, found.state, "", "");
	if (torrent->was_checked && !checks)
		take(engine, torrent, LSP_SHIM_ALERT_CHECKED, 0, "", "");
	if ((found.flags & LSP_SHIM_FINISHED) && !torrent->record.completed)
		take(engine, torrent, LSP_SHIM_ALERT_FINISHED, 0, "", "");
	if ((found.flags & LSP_SHIM_PAUSED) &&
		(!was_paused || lsp_calls_waiting(engine, torrent->number, LSP_SHIM_ALERT_PAUSED)))
		take(engine, torrent, LSP_SHIM_ALERT_PAUSED, 0, "", "");
	recover_place(engine, torrent, &found);
	lsp_torrent_refresh(engine, torrent);
}

/* ---- Where it listens -------------------------------------------------------------------- */

/*
 * Nobody can ask the library for its addresses, only for one port. So it is to stop listening and
 * begin again, which it tells; who is connected by TCP stays so. Not at once again: where hardly
 * any alert gets through, what it says may be lost once more.
 */
static void listen_again(struct lsp_torrent_engine *engine, lsp_time now)
{
	struct lsp_shim_setting listen = {
		.name = "listen_interfaces", .kind = LSP_SHIM_TEXT, .text = ""};
	struct lsp_error err = {0};
	if (!engine->listen_lost || now < engine->next_listen || engine->save_deadline)
		return;
	engine->listen_lost = false;
	engine->next_listen = lsp_time_add(now, LSP_STORE_PATIENCE);
	json_object_clear(engine->listening);
	int r = engine->shim_functions->apply(engine->shim, &listen, 1, &err);
	listen.text = engine->listen_wanted;
	if (r == 0)
		r = engine->shim_functions->apply(engine->shim, &listen, 1, &err);
	if (r < 0) {
		lsp_log_warning(DOMAIN, "%s", err.message);
		engine->listen_lost = true;
	}
}

/* ---- Who is there ------------------------------------------------------------------------ */

/* It may be gone after this. */
static void recover_one(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	if (!torrent->is_present && !torrent->added) {
		take(engine, torrent, LSP_SHIM_ALERT_ADDED, 0, "",
			"the session did not take it, and why is not known");
	} else if (torrent->removing) {
		if (!torrent->is_present && torrent->remove_data)
			torrent->gone_by = lsp_time_add(lsp_now(engine->clock), LSP_CALL_PATIENCE);
		if (!torrent->is_present && !torrent->was_removed)
			take(engine, torrent, LSP_SHIM_ALERT_REMOVED, 0, "", "");
	} else if (torrent->is_present) {
		if (torrent->added)
			lsp_session_save_lost(engine, torrent);
		else
			take(engine, torrent, LSP_SHIM_ALERT_ADDED, 0, "", "");
		recover_state(engine, torrent);
	}
}

void lsp_lost_recover(struct lsp_torrent_engine *engine)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	struct lsp_torrent *torrent, *next;
	struct lsp_error err = {0};
	if (!engine->alerts_lost)
		return;
	engine->alerts_lost = false;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next)
		torrent->is_present = false;
	if (shim->present(engine->shim, note_present, engine, &err) < 0) {
		lsp_log_debug(DOMAIN, "%s", err.message);
		engine->alerts_lost = true; /* with the next alerts, or the next tick */
		return;
	}
	/* What was told before that answer tells more than we can guess. */
	lsp_alerts_pop(engine);
	for (torrent = engine->by_number; torrent; torrent = next) {
		next = torrent->by_number.next;
		recover_one(engine, torrent);
	}
	listen_again(engine, lsp_now(engine->clock));
	if (engine->alerts_lost)
		lsp_engine_wake(engine);
}

void lsp_lost_expire(struct lsp_torrent_engine *engine, lsp_time now)
{
	struct lsp_torrent *torrent, *next;
	for (torrent = engine->by_number; torrent; torrent = next) {
		next = torrent->by_number.next;
		if (torrent->gone_by && now >= torrent->gone_by)
			take(engine, torrent, LSP_SHIM_ALERT_DELETE_FAILED, 0, "",
				"whether anything is left is not known");
	}
	listen_again(engine, now);
}
