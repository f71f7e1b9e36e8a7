/* What the library says, and what is done about it. */
#include "torrent/engine_private.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN

/* ---- Status ------------------------------------------------------------------------------ */

/*
 * The library's rates are means of some seconds that take a minute to fade: who has no peers gives
 * and gets nothing, and who has all that it wants gets nothing.
 */
static void drop_faded_rates(struct lsp_shim_status *status)
{
	if (status->peers == 0)
		status->upload_rate = 0;
	if (status->peers == 0 || (status->flags & LSP_SHIM_FINISHED))
		status->download_rate = 0;
}

/* All of a new status but the state that it may mean. */
static void note_status(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_status *status)
{
	int64_t done = torrent->status.done, wanted = torrent->status.wanted;
	snprintf(torrent->error, sizeof torrent->error, "%s", status->error ? status->error : "");
	torrent->status = *status;
	/* What its resume data say is known to us, and not yet to the library. */
	if (torrent->stored && status->state == LSP_SHIM_STATE_CHECKING_RESUME) {
		torrent->status.done = done;
		torrent->status.wanted = wanted;
	}
	torrent->status.error = torrent->error;
	torrent->status.save_path = torrent->status.name = torrent->status.tracker = NULL;
	drop_faded_rates(&torrent->status);
	torrent->status_at = lsp_now(engine->clock);
	torrent->is_still &= (status->flags & LSP_SHIM_PAUSED) != 0;
	if (!*torrent->error)
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_STORAGE, torrent->record.id);
	bool lacks =
		status->state == LSP_SHIM_STATE_DOWNLOADING && !(status->flags & LSP_SHIM_FINISHED);
	if (lacks && torrent->record.completed &&
		lsp_torrent_record_set(&torrent->record, "completed", NULL, NULL) == 0)
		torrent->record_dirty = true; /* a new run of the download */
	lsp_torrent_limits_count(engine, torrent);
	lsp_report_sample(engine, torrent);
}

struct looked {
	struct lsp_torrent_engine *engine;
	struct lsp_torrent *torrent;
};

static void on_looked(void *argument, const struct lsp_shim_status *status)
{
	struct looked *looked = argument;
	note_status(looked->engine, looked->torrent, status);
}

static void look(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct looked looked = {engine, torrent};
	struct lsp_error err = {0};
	if (engine->shim_functions->status(
		    engine->shim, torrent->number, on_looked, &looked, &err) < 0)
		lsp_log_debug(DOMAIN, "%s", err.message);
}

void lsp_torrent_refresh(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	look(engine, torrent);
	if (torrent->status_at)
		lsp_report_state(engine, torrent);
}

static void on_looked_around(void *argument, const struct lsp_shim_status *status)
{
	struct lsp_torrent_engine *engine = argument;
	struct lsp_torrent *torrent = lsp_torrent_by_number(engine, status->torrent);
	if (!torrent || !torrent->added)
		return;
	note_status(engine, torrent, status);
	lsp_report_state(engine, torrent);
}

void lsp_torrents_refresh(struct lsp_torrent_engine *engine)
{
	struct lsp_error err = {0};
	if (engine->shim_functions->statuses(engine->shim, on_looked_around, engine, &err) < 0)
		lsp_log_debug(DOMAIN, "%s", err.message);
}

/* What the alert says may be over already, and still was: after the last sample of before. */
static void on_state(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, uint32_t state)
{
	uint32_t flags = torrent->status.flags;
	bool were_known = torrent->status_at;
	torrent->was_checked |= state == LSP_SHIM_STATE_CHECKING;
	look(engine, torrent);
	struct lsp_shim_status now = torrent->status;
	torrent->status.state = state;
	if (were_known)
		torrent->status.flags = flags;
	lsp_report_state(engine, torrent);
	torrent->status = now;
	if (torrent->status_at)
		lsp_report_state(engine, torrent);
}

/* ---- A torrent comes, goes, gets on ------------------------------------------------------ */

/* In the health until the session takes it: its files stay, the next start tries again. */
static void tell_restored(struct lsp_torrent_engine *engine, const char *id, const char *error)
{
	char key[LSP_FAULT_KEY_MAX], message[600];
	snprintf(key, sizeof key, "%s add", id);
	snprintf(message, sizeof message, "torrent %s is not restored: %.300s", id, error);
	if (*error)
		lsp_engine_fail(engine, LSP_TORRENT_HEALTH_RESUME_STORE, key, message);
	else
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_RESUME_STORE, key);
}

static void on_added(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert)
{
	if (*alert->error) {
		lsp_engine_emit(engine, lsp_event_error(torrent->record.id,
						lsp_code_name(LSP_E_FAILED), alert->error));
		return; /* dropped once the calls were told */
	}
	torrent->added = true;
	lsp_held_ask(engine, torrent);
	torrent->is_still = lsp_torrent_flags(engine, torrent) & LSP_SHIM_PAUSED;
	tell_restored(engine, torrent->record.id, "");
	struct lsp_error err = {0};
	if (torrent->has_place && engine->shim_functions->set_queue_position(
					  engine->shim, torrent->number, torrent->place, &err) < 0)
		lsp_log_warning(DOMAIN, "torrent %s: %s", torrent->record.id, err.message);
	if ((torrent->record.max_download || torrent->record.max_upload) &&
		lsp_torrent_limits_watch(engine, torrent, &err) < 0)
		lsp_log_warning(DOMAIN, "torrent %s: %s", torrent->record.id, err.message);
	if (!torrent->restored) { /* of hundreds at the start the updates tell soon enough */
		lsp_torrent_refresh(engine, torrent);
		lsp_session_write_record(engine, torrent);
		torrent->blob_dirty = true;
		lsp_session_save(engine, torrent);
	}
	lsp_engine_emit(
		engine, json_pack("{s:s, s:s, s:o}", "event", "torrent_added", "torrent",
				torrent->record.id, "status", lsp_report_status(engine, torrent)));
	torrent->told = true;
	if (torrent->status_at) {
		lsp_report_sample(engine, torrent);
		lsp_report_state(engine, torrent);
	}
	if (torrent->has_metadata && !torrent->restored)
		lsp_report_metadata(engine, torrent);
	if (torrent->reconciled) {
		/* At a start hardly anybody listens yet. */
		lsp_log_warning(DOMAIN, "torrent %s: %s", torrent->record.id, torrent->reconciled);
		lsp_engine_emit(
			engine, lsp_event_selection(torrent->record.id, torrent->reconciled));
		lsp_session_write_record(engine, torrent);
		lsp_session_save(engine, torrent);
	}
}

static void on_metadata(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	struct lsp_shim_source *source = NULL;
	struct lsp_error err = {0};
	int r = shim->source(engine->shim, torrent->number, &source, &err);
	if (r == 0) {
		lsp_torrent_take_source(engine, torrent, source);
		shim->source_free(source);
	}
	if (r == 0)
		r = shim->set_root(engine->shim, torrent->number, torrent->record.root, &err);
	if (r == 0 && torrent->fresh_selection)
		r = lsp_torrent_apply_selection(engine, torrent, &err);
	if (r < 0)
		lsp_engine_emit(engine,
			lsp_event_error(torrent->record.id, lsp_code_name(-r), err.message));
	torrent->fresh_selection = r < 0;
	lsp_report_metadata(engine, torrent);
	lsp_session_save(engine, torrent);
}

static void on_finished(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	lsp_torrent_refresh(engine, torrent);
	lsp_report_flush(engine, torrent);
	/* Where nothing is wanted (yet) the library calls that finished. */
	bool is_done = (torrent->status.flags & LSP_SHIM_FINISHED) && torrent->status.wanted > 0 &&
		       !torrent->fresh_selection;
	if (torrent->record.completed || torrent->removing || !is_done)
		return;
	json_t *now = json_integer((json_int_t)(lsp_wall(engine->clock) / LSP_SECOND));
	if (lsp_torrent_record_set(&torrent->record, "completed", now, NULL) < 0)
		return;
	lsp_engine_emit(engine,
		json_pack("{s:s, s:s, s:s, s:o, s:o, s:I}", "event", "torrent_completed", "torrent",
			torrent->record.id, "save_path", torrent->record.save_path, "name",
			lsp_translate_text(torrent->title ? torrent->title : ""), "game",
			torrent->record.game ? json_string(torrent->record.game) : json_null(),
			"total", (json_int_t)torrent->status.wanted));
	lsp_session_write_record(engine, torrent);
	lsp_session_save(engine, torrent);
}

int lsp_torrent_undeleted(const struct lsp_torrent *torrent, const struct lsp_shim_alert *alert,
	struct lsp_error *err)
{
	const char *name = torrent->record.root ? torrent->record.root : torrent->title;
	return lsp_error_set(err, DOMAIN, LSP_E_IO,
		"the torrent is removed, but not all of its files: what is left of "
		"%s/%s is yours to delete (%s)",
		torrent->record.save_path, name ? name : "", alert->error);
}

static void on_gone(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert)
{
	if (torrent->saving && engine->saves_outstanding > 0)
		engine->saves_outstanding--;
	torrent->saving = false;
	torrent->was_removed = true;
	/* With its data it stays in the store until these are gone: a kill before has them deleted
	 * at the next start. */
	if (lsp_move_returns(torrent))
		return;
	if (alert->type != LSP_SHIM_ALERT_REMOVED || !torrent->remove_data) {
		struct lsp_error err = {0};
		if (torrent->keep_stored)
			json_object_set_new(engine->kept, torrent->record.id, json_true());
		else if (!torrent->transient && engine->store &&
			 lsp_session_forget(engine, torrent->record.id, &err) < 0)
			snprintf(torrent->store_error, sizeof torrent->store_error, "%.255s",
				err.message);
	}
	if (alert->type == LSP_SHIM_ALERT_DELETE_FAILED) {
		struct lsp_error err = {0};
		(void)!lsp_torrent_undeleted(torrent, alert, &err);
		/* Who had it removed by its seeding goal waits for no answer. */
		lsp_log_warning(DOMAIN, "torrent %s: %s", torrent->record.id, err.message);
		lsp_engine_emit(engine, lsp_event_error(torrent->record.id, "io", err.message));
	}
}

static bool is_gone(const struct lsp_torrent *torrent, const struct lsp_shim_alert *alert)
{
	switch (alert->type) {
	case LSP_SHIM_ALERT_REMOVED:
		return !torrent->remove_data || lsp_move_returns(torrent);
	case LSP_SHIM_ALERT_DELETED:
	case LSP_SHIM_ALERT_DELETE_FAILED:
		return true;
	case LSP_SHIM_ALERT_ADDED:
		return *alert->error;
	default:
		return false;
	}
}

static void on_moved(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert)
{
	json_t *path = lsp_translate_text(alert->text);
	struct lsp_error err = {0};
	if (lsp_torrent_record_set(&torrent->record, "save_path", path, &err) < 0)
		lsp_log_warning(DOMAIN, "torrent %s: where it is cannot be kept: %s",
			torrent->record.id, err.message);
	lsp_session_write_record(engine, torrent);
	lsp_session_save(engine, torrent);
}

/* ---- Each alert -------------------------------------------------------------------------- */

static void about_torrent(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert)
{
	const char *id = torrent->record.id;
	switch (alert->type) {
	case LSP_SHIM_ALERT_ADDED:
		on_added(engine, torrent, alert);
		break;
	case LSP_SHIM_ALERT_REMOVED:
	case LSP_SHIM_ALERT_DELETED:
	case LSP_SHIM_ALERT_DELETE_FAILED:
		on_gone(engine, torrent, alert);
		break;
	case LSP_SHIM_ALERT_STATUS:
		note_status(engine, torrent, alert->status);
		lsp_report_state(engine, torrent);
		break;
	case LSP_SHIM_ALERT_METADATA:
		on_metadata(engine, torrent);
		break;
	case LSP_SHIM_ALERT_FINISHED:
		on_finished(engine, torrent);
		break;
	case LSP_SHIM_ALERT_PAUSED:
		if (!engine->save_deadline) /* at the end all pause, and each look waits */
			lsp_torrent_refresh(engine, torrent);
		lsp_report_flush(engine, torrent);
		lsp_session_save(engine, torrent);
		lsp_move_on_paused(engine, torrent);
		break;
	case LSP_SHIM_ALERT_STATE:
		on_state(engine, torrent, (uint32_t)alert->number);
		break;
	case LSP_SHIM_ALERT_CHECKED: /* also of what was restored, without a look at a file */
		lsp_torrent_refresh(engine, torrent);
		if (torrent->was_checked)
			lsp_session_save(engine, torrent);
		torrent->was_checked = false;
		break;
	case LSP_SHIM_ALERT_RESUMED:
		torrent->is_still = false;
		lsp_torrent_refresh(engine, torrent);
		break;
	case LSP_SHIM_ALERT_RESUME_DATA:
	case LSP_SHIM_ALERT_RESUME_FAILED:
		lsp_session_on_saved(engine, torrent, alert);
		break;
	case LSP_SHIM_ALERT_MOVED:
		on_moved(engine, torrent, alert);
		break;
	case LSP_SHIM_ALERT_FILE_ERROR:
	case LSP_SHIM_ALERT_TORRENT_ERROR:
	case LSP_SHIM_ALERT_METADATA_FAILED:
	case LSP_SHIM_ALERT_RESUME_REJECTED:
		lsp_engine_emit(engine, lsp_event_alert_error(id, alert));
		lsp_torrent_refresh(engine, torrent);
		break;
	case LSP_SHIM_ALERT_TRACKER_REPLY:
	case LSP_SHIM_ALERT_TRACKER_WARNING:
	case LSP_SHIM_ALERT_TRACKER_ERROR:
	case LSP_SHIM_ALERT_WEB_SEED_ERROR:
		lsp_engine_emit(engine, lsp_event_tracker(id, alert));
		break;
	default:
		break;
	}
}

/* An address has one port: a new one is in place of the old. */
static void note_listening(struct lsp_torrent_engine *engine, const char *address)
{
	size_t host = (size_t)(strrchr(address, ':') - address) + 1;
	const char *known;
	json_t *value;
	void *next;
	json_object_foreach_safe(engine->listening, next, known, value)
	{
		if (strncmp(known, address, host) == 0 && !strchr(known + host, ':'))
			json_object_del(engine->listening, known);
	}
	json_object_set_new(engine->listening, address, json_true());
	engine->tally.listens++;
}

static void about_session(struct lsp_torrent_engine *engine, const struct lsp_shim_alert *alert)
{
	switch (alert->type) {
	case LSP_SHIM_ALERT_LISTENING:
		if (alert->number && strchr(alert->text, ':'))
			note_listening(engine, alert->text);
		break;
	case LSP_SHIM_ALERT_COUNTED:
		engine->tally.read_back +=
			lsp_torrent_grown(alert->number, &engine->counted_read_back);
		engine->counts_told = true;
		break;
	case LSP_SHIM_ALERT_DROPPED:
		engine->tally.alerts_dropped++;
		engine->alerts_lost = true;
		engine->listen_lost |= alert->number != 0;
		lsp_log_warning(DOMAIN, "the library threw alerts away: too much at once; every "
					"torrent is asked how it is");
		break;
	case LSP_SHIM_ALERT_SESSION_ERROR:
		engine->broken = true;
		lsp_error_set(&engine->broken_error, DOMAIN, LSP_E_FAILED,
			"the BitTorrent session broke: %.300s", alert->error);
		break;
	default:
		break;
	}
}

/* What was turned off, or taken away, while the word of its failure was on its way. */
static bool is_over(const struct lsp_torrent_engine *engine, const struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert)
{
	switch (alert->type) {
	case LSP_SHIM_ALERT_TRACKER_ERROR:
		return torrent && torrent->record.trackers_set &&
		       !lsp_torrent_record_has_tracker(&torrent->record, alert->text);
	case LSP_SHIM_ALERT_LISTEN_FAILED:
		return !*engine->listen_wanted;
	case LSP_SHIM_ALERT_PORT_MAP_FAILED:
		return !lsp_configuration_maps_ports(&engine->configuration);
	default:
		return false;
	}
}

static void note_health(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert)
{
	if (is_over(engine, torrent, alert))
		return;
	enum lsp_torrent_component component;
	char key[LSP_FAULT_KEY_MAX], message[600];
	const char *id = torrent ? torrent->record.id : NULL;
	switch (lsp_translate_health(alert, id, &component, key)) {
	case LSP_TRANSLATE_FAULT:
		snprintf(message, sizeof message, "%.200s: %.300s", alert->text, alert->error);
		lsp_engine_fail(engine, component, key, message);
		break;
	case LSP_TRANSLATE_SUCCESS:
		lsp_engine_clear(engine, component, key);
		break;
	default:
		break;
	}
}

void lsp_alert_take(struct lsp_torrent_engine *engine, const struct lsp_shim_alert *alert)
{
	struct lsp_torrent *torrent =
		alert->torrent ? lsp_torrent_by_number(engine, alert->torrent) : NULL;
	if (alert->torrent && !torrent)
		return; /* it is gone */
	note_health(engine, torrent, alert);
	if (!torrent) {
		about_session(engine, alert);
		return;
	}
	if (alert->type == LSP_SHIM_ALERT_MOVE_FAILED &&
		lsp_move_on_refused(engine, torrent, alert))
		return;
	bool gone = is_gone(torrent, alert);
	bool was_here = torrent->added;
	about_torrent(engine, torrent, alert);
	if (gone && lsp_move_returns(torrent)) {
		lsp_move_on_left(engine, torrent);
		return;
	}
	if (gone && was_here)
		lsp_engine_emit(engine,
			json_pack("{s:s, s:s, s:b}", "event", "torrent_removed", "torrent",
				torrent->record.id, "data", alert->type == LSP_SHIM_ALERT_DELETED));
	if (alert->type == LSP_SHIM_ALERT_MOVED || alert->type == LSP_SHIM_ALERT_MOVE_FAILED) {
		/* It stood still; who waits is told how it goes on. */
		lsp_move_on_told(engine, torrent);
		lsp_torrent_refresh(engine, torrent);
	}
	lsp_calls_on_alert(engine, alert);
	if (!gone)
		return;
	bool is_lost = torrent->stored && !was_here;
	char id[LSP_TORRENT_ID_MAX + 1];
	snprintf(id, sizeof id, "%s", torrent->record.id);
	lsp_torrent_drop(engine, torrent);
	if (is_lost) { /* what was said of it went with it */
		engine->tally.restored--;
		tell_restored(engine, id, alert->error);
	}
}

static void on_alert(void *argument, const struct lsp_shim_alert *alert)
{
	struct lsp_torrent_engine *engine = argument;
	engine->tally.alerts++;
	lsp_alert_take(engine, alert);
}

void lsp_alerts_pop(struct lsp_torrent_engine *engine)
{
	engine->shim_functions->pop(engine->shim, on_alert, engine);
}

void lsp_alerts_drain(struct lsp_torrent_engine *engine)
{
	if (!engine->shim)
		return;
	lsp_alerts_pop(engine);
	lsp_lost_recover(engine);
	lsp_engine_publish(engine);
}
