/*
 * Caps and goals: the limits that are in effect by the clock, whether the session keeps them, and
 * the end of seeding, which libtorrent's own limits do not bring about (they only reorder its
 * queue).
 */
#include "torrent/engine_private.h"

#include "base/log.h"

#include <stdio.h>

#define DOMAIN LSP_TORRENT_DOMAIN

/* Reads back what was set; a difference is a fault until they agree. */
static void read_back(struct lsp_torrent_engine *engine)
{
	static const char *const names[] = {"download_rate_limit", "upload_rate_limit"};
	const int64_t wanted[] = {engine->effective_download, engine->effective_upload};
	bool same = true;
	for (unsigned i = 0; i < 2; i++) {
		struct lsp_shim_setting setting = {0};
		struct lsp_error err = {0};
		int r = engine->shim_functions->setting(engine->shim, names[i], &setting, &err);
		same = same && r == 0 && setting.number == wanted[i];
	}
	if (same)
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_LIMITS, "settings");
	else
		lsp_engine_fail(engine, LSP_TORRENT_HEALTH_LIMITS, "settings",
			"the session does not have the limits that were set");
}

/*
 * The library hands out quota once it has all that a peer wants, or after twenty ticks. With its
 * own ticks of half a second a download that is slowed down stands still for ten seconds, and then
 * takes it all at once; without a limit they are often enough.
 */
static void set_pace(struct lsp_torrent_engine *engine, bool limited)
{
	const struct lsp_torrent *torrent;
	struct lsp_error err = {0};
	for (torrent = engine->by_number; torrent && !limited; torrent = torrent->by_number.next)
		limited = torrent->record.max_download || torrent->record.max_upload;
	if (limited == engine->is_brisk)
		return;
	const struct lsp_shim_setting setting = {
		.name = "tick_interval", .kind = LSP_SHIM_NUMBER, .number = limited ? 100 : 500};
	engine->is_brisk = limited;
	if (engine->shim_functions->apply(engine->shim, &setting, 1, &err) < 0)
		lsp_log_warning(DOMAIN, "%s", err.message);
}

/* Two places give limits, the configuration and the command: both are kept. 0 is none. */
static uint32_t lower_of(uint32_t one, uint32_t other)
{
	return one && other ? LSP_MIN(one, other) : one + other;
}

/* Another cap is in effect from now on. One that is gone cannot be broken. */
static void watch(struct lsp_torrent_engine *engine, struct lsp_watchdog *watchdog, uint64_t cap,
	const char *key)
{
	lsp_watchdog_set(watchdog, cap, lsp_now(engine->clock));
	if (!cap)
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_LIMITS, key);
}

void lsp_torrent_limits_apply(struct lsp_torrent_engine *engine, bool again)
{
	uint32_t download, upload;
	struct lsp_error err = {0};
	lsp_configuration_limits(
		&engine->configuration, lsp_wall(engine->clock), &download, &upload);
	download = lower_of(download, engine->base_download);
	upload = lower_of(upload, engine->base_upload);
	bool changed = download != engine->effective_download || upload != engine->effective_upload;
	bool doubtful = lsp_faults_has(&engine->faults, LSP_TORRENT_HEALTH_LIMITS, "settings");
	if (engine->shim)
		set_pace(engine, download || upload);
	if (!engine->shim || (!changed && !again && !doubtful))
		return;
	const struct lsp_shim_setting settings[] = {
		{.name = "download_rate_limit", .kind = LSP_SHIM_NUMBER, .number = download},
		{.name = "upload_rate_limit", .kind = LSP_SHIM_NUMBER, .number = upload}};
	engine->effective_download = download;
	engine->effective_upload = upload;
	if (engine->shim_functions->apply(engine->shim, settings, 2, &err) < 0)
		lsp_log_warning(DOMAIN, "%s", err.message);
	/* What goes to the LAN may be over them then, and is counted with the rest. */
	if (!engine->configuration.limit_lan)
		download = upload = 0;
	watch(engine, &engine->download_watchdog, download, "download");
	watch(engine, &engine->upload_watchdog, upload, "upload");
	read_back(engine);
}

#define KEY_MAX (LSP_TORRENT_ID_MAX + 16)

static const char *key_of(
	const struct lsp_torrent *torrent, const char *direction, char key[KEY_MAX])
{
	snprintf(key, KEY_MAX, "%s %s", torrent->record.id, direction);
	return key;
}

int lsp_torrent_limits_watch(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, struct lsp_error *err)
{
	char key[KEY_MAX];
	int32_t download = 0, upload = 0;
	int r = engine->shim_functions->limits(
		engine->shim, torrent->number, &download, &upload, err);
	if (r < 0)
		return r;
	watch(engine, &torrent->download_watchdog, torrent->record.max_download,
		key_of(torrent, "download", key));
	watch(engine, &torrent->upload_watchdog, torrent->record.max_upload,
		key_of(torrent, "upload", key));
	set_pace(engine, engine->effective_download || engine->effective_upload);
	if ((uint64_t)download == torrent->record.max_download &&
		(uint64_t)upload == torrent->record.max_upload) {
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_LIMITS, torrent->record.id);
		return 0;
	}
	char message[200];
	snprintf(message, sizeof message,
		"torrent %s: the session does not have the limits that were set for it",
		torrent->record.id);
	lsp_engine_fail(engine, LSP_TORRENT_HEALTH_LIMITS, torrent->record.id, message);
	return lsp_error_set(err, DOMAIN, LSP_E_FAILED, "the session did not take the limits");
}

int lsp_torrent_limits_of_torrent(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, struct lsp_error *err)
{
	int r = engine->shim_functions->set_limits(engine->shim, torrent->number,
		(int32_t)torrent->record.max_download, (int32_t)torrent->record.max_upload, err);
	return r < 0 ? r : lsp_torrent_limits_watch(engine, torrent, err);
}

/* ---- What really passes ------------------------------------------------------------------ */

uint64_t lsp_torrent_grown(int64_t now, int64_t *counted)
{
	int64_t more = now > *counted ? now - *counted : 0;
	*counted = now;
	return (uint64_t)more;
}

void lsp_torrent_limits_count(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	engine->tally.received +=
		lsp_torrent_grown(torrent->status.session_downloaded, &torrent->counted_download);
	engine->tally.sent +=
		lsp_torrent_grown(torrent->status.session_uploaded, &torrent->counted_upload);
}

static void look_at(struct lsp_torrent_engine *engine, struct lsp_watchdog *watchdog,
	uint64_t total, lsp_time now, const char *key, const char *direction)
{
	uint64_t rate = 0;
	char message[200];
	enum lsp_watchdog_verdict verdict = lsp_watchdog_look(watchdog, total, now, &rate);
	if (verdict == LSP_WATCHDOG_HOLDS)
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_LIMITS, key);
	if (verdict != LSP_WATCHDOG_STALE)
		return;
	snprintf(message, sizeof message,
		"the limit of %llu bytes a second for the %s does not hold: it is %llu",
		(unsigned long long)watchdog->cap, direction, (unsigned long long)rate);
	lsp_engine_fail(engine, LSP_TORRENT_HEALTH_LIMITS, key, message);
}

static void look_at_torrent(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, lsp_time now)
{
	char key[KEY_MAX];
	if (!torrent->added || torrent->removing)
		return;
	if (lsp_faults_has(&engine->faults, LSP_TORRENT_HEALTH_LIMITS, torrent->record.id))
		(void)!lsp_torrent_limits_of_torrent(engine, torrent, NULL); /* once more */
	look_at(engine, &torrent->download_watchdog, (uint64_t)torrent->status.session_downloaded,
		now, key_of(torrent, "download", key), "download of a torrent");
	look_at(engine, &torrent->upload_watchdog, (uint64_t)torrent->status.session_uploaded, now,
		key_of(torrent, "upload", key), "upload of a torrent");
}

void lsp_torrent_limits_look(struct lsp_torrent_engine *engine, lsp_time now)
{
	struct lsp_torrent_counters *tally = &engine->tally;
	const struct lsp_torrent *other;
	struct lsp_torrent *torrent;
	bool doubtful = lsp_faults_degraded(&engine->faults) & (1u << LSP_TORRENT_HEALTH_LIMITS);
	look_at(engine, &engine->download_watchdog, tally->received, now, "download", "download");
	look_at(engine, &engine->upload_watchdog, tally->sent, now, "upload", "upload");
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next)
		if (torrent->record.max_download || torrent->record.max_upload || doubtful)
			look_at_torrent(engine, torrent, now);
	tally->torrents = tally->downloading = tally->seeding = tally->failed = tally->peers = 0;
	tally->upload_rate = tally->download_rate = 0;
	for (other = engine->by_number; other; other = other->by_number.next) {
		tally->torrents++;
		tally->downloading += other->state == LSP_TORRENT_DOWNLOADING ||
				      other->state == LSP_TORRENT_FETCHING_METADATA;
		tally->seeding += other->state == LSP_TORRENT_SEEDING;
		tally->failed += other->state == LSP_TORRENT_FAILED;
		tally->peers += (uint64_t)other->status.peers;
		tally->upload_rate += (uint64_t)other->status.upload_rate;
		tally->download_rate += (uint64_t)other->status.download_rate;
	}
}

/* ---- The end of seeding ------------------------------------------------------------------ */

static bool goal_is_met(const struct lsp_torrent *torrent, lsp_time now)
{
	const struct lsp_record *record = &torrent->record;
	const struct lsp_shim_status *status = &torrent->status;
	bool seeds =
		torrent->state == LSP_TORRENT_SEEDING || torrent->state == LSP_TORRENT_COMPLETED;
	if (!seeds || record->goal_met || torrent->removing || torrent->cannot_be_deleted ||
		lsp_move_returns(torrent) || /* it is asked again once it is back */
		torrent->status_at == 0 || (status->flags & LSP_SHIM_PAUSED))
		return false;
	uint64_t seeded = (uint64_t)status->finished_seconds +
			  lsp_time_left(torrent->status_at, now) / LSP_SECOND;
	double ratio =
		lsp_translate_ratio(status->uploaded, status->downloaded, (int64_t)torrent->size);
	return (record->seed_ratio > 0 && ratio >= record->seed_ratio) ||
	       (record->seed_time > 0 && seeded >= record->seed_time);
}

static void meet_goal(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_error err = {0};
	int r;
	lsp_log_info(DOMAIN, "torrent %s has seeded enough", torrent->record.id);
	if (torrent->record.seed_remove) {
		torrent->is_removed_by_goal = true;
		r = lsp_remove_begin(engine, torrent, torrent->record.seed_remove_data, &err);
	} else {
		r = lsp_torrent_record_set(&torrent->record, "goal_met", json_true(), &err);
		if (r == 0)
			r = engine->shim_functions->pause(engine->shim, torrent->number, &err);
		lsp_session_write_record(engine, torrent);
	}
	if (r < 0)
		lsp_engine_emit(engine,
			lsp_event_error(torrent->record.id, lsp_code_name(-r), err.message));
}

void lsp_goals_look(struct lsp_torrent_engine *engine, lsp_time now)
{
	struct lsp_torrent *torrent, *next;
	for (torrent = engine->by_number; torrent; torrent = next) {
		next = torrent->by_number.next;
		if (goal_is_met(torrent, now))
			meet_goal(engine, torrent);
	}
}
