#include "peer/download_private.h"

#include "base/log.h"
#include "peer/announce.h"
#include "peer/choice.h"
#include "peer/download_record.h"
#include "peer/events.h"
#include "peer/games.h"
#include "peer/limits.h"
#include "peer/local.h"
#include "peer/manifests.h"
#include "peer/peer.h"
#include "peer/session.h"
#include "peer/torrent_games.h"
#include "task/operation.h"

#include <string.h>

#include <utlist.h>

#define PROGRESS_INTERVAL (100 * LSP_MILLISECOND)
#define SYNC_INTERVAL (10 * LSP_SECOND)
#define SYNC_BYTES (UINT64_C(256) << 20)
#define ASK_AGAIN (3 * LSP_SECOND) /* for a manifest that no holder gave */

static void advance(struct lsp_download *download);

/* ---- Life ---- */

static const char *event_prefix(const struct lsp_download *download)
{
	return download->purpose == LSP_DOWNLOAD_THEN_UPDATE ? "update" : "download";
}

void lsp_download_publish(const struct lsp_download *download, const char *what, json_t *members)
{
	char name[32];
	snprintf(name, sizeof name, "%s_%s", event_prefix(download), what);
	json_t *event = json_pack("{s:s, s:s}", "event", name, "game", download->game);
	if (event && members)
		json_object_update(event, members);
	json_decref(members);
	lsp_events_publish(download->peer->events, event);
}

static int create(struct lsp_peer *peer, const char *game, const struct lsp_hash *content,
	enum lsp_download_purpose purpose, struct lsp_download **ret_download,
	struct lsp_error *err)
{
	struct lsp_download *download = calloc(1, sizeof *download);
	if (!download)
		return lsp_error_no_memory(err, "peer");
	download->peer = peer;
	snprintf(download->game, sizeof download->game, "%s", game);
	download->purpose = purpose;
	if (content) {
		download->has_content = true;
		download->content = *content;
	}
	enum lsp_operation_kind kind = purpose == LSP_DOWNLOAD_THEN_UPDATE
					       ? LSP_OPERATION_UPDATING
					       : LSP_OPERATION_DOWNLOADING;
	int r = lsp_operation_begin(
		peer->operations, game, kind, peer->root, &download->operation, err);
	if (r < 0) {
		free(download);
		return r;
	}
	DL_APPEND(peer->downloads, download);
	*ret_download = download;
	return 0;
}

/* An update has another content in mind than what is here. */
static bool is_said_to_be_here(const struct lsp_download *download)
{
	const struct lsp_library_game *local = lsp_local_find(download->peer, download->game);
	if (!local || !download->has_content || download->newer_than[0])
		return false;
	return local->state == LSP_LIBRARY_HASHING ||
	       lsp_download_content_is_here(download->peer, download->game, &download->content);
}

int lsp_download_start(struct lsp_peer *peer, const char *game,
	const struct lsp_download_options *options, json_t **ret_variants, struct lsp_error *err)
{
	struct lsp_hash chosen;
	const struct lsp_hash *content = options->content;
	const char *newer_than = options->newer_than ? options->newer_than : "";
	/* A torrent that says what the game is needs nobody else who has it. */
	int r = 0;
	if (!options->manifest)
		r = lsp_choice_make(peer, game, content, newer_than, &chosen, ret_variants, err);
	if (r < 0 && r != -LSP_E_NOT_FOUND)
		return r;
	if (r == 0 && !options->manifest)
		content = &chosen;
	struct lsp_download *download;
	int s = create(peer, game, content, options->purpose, &download, err);
	if (s < 0)
		return s;
	snprintf(download->newer_than, sizeof download->newer_than, "%s", newer_than);
	download->engine = options->engine;
	download->check_folder = is_said_to_be_here(download);
	if (options->manifest)
		download->manifest = lsp_manifest_ref(options->manifest);
	lsp_download_records_save(peer);
	advance(download);
	return 0;
}

void lsp_download_stop_all(struct lsp_peer *peer)
{
	struct lsp_download *download, *next;
	DL_FOREACH_SAFE(peer->downloads, download, next)
	{
		/* No event and no change to the record: it goes on at the next start. */
		lsp_manifest_query_free(TAKE_PTR(download->query));
		if (download->job)
			lsp_download_job_cancel(download->job);
	}
}

/* After the loop has nothing left to run. */
void lsp_download_free_all(struct lsp_peer *peer)
{
	struct lsp_download *download, *next;
	DL_FOREACH_SAFE(peer->downloads, download, next)
	{
		DL_DELETE(peer->downloads, download);
		lsp_operation_unref(TAKE_PTR(download->operation));
		lsp_download_free(download);
	}
}

/* ---- Phases ---- */

static void set_waiting(struct lsp_download *download, bool waiting)
{
	if (download->waiting == waiting)
		return;
	download->waiting = waiting;
	lsp_operation_set_waiting(download->operation, waiting);
	if (waiting && download->begun)
		lsp_events_publish(download->peer->events,
			json_pack("{s:s, s:s, s:s}", "event", "download_all_peers_gone", "game",
				download->game, "engine", lsp_engine_name(download->engine)));
}

static void manifest_came(
	void *argument, const struct lsp_manifest *manifest, const struct lsp_error *error)
{
	struct lsp_download *download = argument;
	download->query = NULL;
	if (error && error->code == LSP_E_DENIED) {
		lsp_download_fail(download, error);
		return;
	}
	if (error) {
		/* Whoever was asked is gone or lied; others are asked as they come. */
		lsp_log_debug("peer", "manifest of %s: %s", download->game, error->message);
		download->ask_at = lsp_peer_now(download->peer) + ASK_AGAIN;
		set_waiting(download, true);
		return;
	}
	download->manifest = lsp_manifest_ref(manifest);
	if (!download->job) /* the library is being asked, too */
		advance(download);
}

static void choose(struct lsp_download *download)
{
	struct lsp_hash chosen;
	json_t *variants = NULL;
	struct lsp_error err = {0};
	int r = lsp_choice_make(download->peer, download->game, NULL, download->newer_than, &chosen,
		&variants, &err);
	if (r == 0) {
		download->has_content = true;
		download->content = chosen;
		lsp_download_records_save(download->peer);
		advance(download);
	} else if (r == -LSP_E_NOT_FOUND) {
		set_waiting(download, true);
	} else {
		lsp_download_fail(download, &err);
	}
	json_decref(variants);
}

static void ask_for_manifest(struct lsp_download *download)
{
	download->phase = PHASE_MANIFEST;
	if (download->query)
		return;
	struct lsp_error err = {0};
	int r = lsp_manifest_query(download->peer, download->game, &download->content,
		manifest_came, download, &download->query, &err);
	if (r == -LSP_E_NOT_FOUND)
		set_waiting(download, true);
	else if (r < 0)
		lsp_download_fail(download, &err);
}

void lsp_download_start_job(
	struct lsp_download *download, enum phase phase, enum lsp_download_job_kind kind)
{
	struct lsp_error err = {0};
	_cleanup_free_ char *alias = NULL;
	(void)lsp_torrent_games_alias(download->peer, download->game, &download->content, &alias);
	lsp_choice_title(download->peer, download->game, download->title, sizeof download->title);
	struct lsp_download_task task = {
		.kind = kind,
		.game = download->game,
		.content = &download->content,
		.manifest = download->manifest,
		.local = download->old,
		.stage = download->stage,
		.torrent = alias,
		.title = download->title,
		.in_library = download->check_folder,
		.take_written = download->engine == LSP_ENGINE_SWARM,
	};
	download->phase = phase;
	int r = lsp_download_job_start(download->peer, download, &task,
		lsp_operation_token(download->operation), &download->job, &err);
	if (r < 0)
		lsp_download_fail(download, &err);
}

static void announce_files(struct lsp_download *download)
{
	const struct lsp_manifest *manifest = download->manifest;
	json_t *event = lsp_games_files_json(manifest);
	if (event)
		json_object_update_missing_new(
			event, json_pack("{s:s, s:s, s:s}", "event", "got_game_files", "game",
				       download->game, "version", download->version));
	lsp_events_publish(download->peer->events, event);
}

void lsp_download_torrent_stopped(struct lsp_download *download)
{
	download->torrent = NULL;
	if (download->phase == PHASE_FLUSHING)
		lsp_download_commit(download);
	else if (download->phase == PHASE_ENDING)
		lsp_download_end(download);
	else
		lsp_download_drive_engines(download);
}

void lsp_download_torrent_alone(struct lsp_download *download, bool alone)
{
	if (download->phase == PHASE_FETCHING)
		set_waiting(download, alone);
}

/* The stage is open: into the swarm with it. */
static void enter_swarm(struct lsp_download *download)
{
	struct lsp_peer *peer = download->peer;
	struct lsp_error err = {0};
	struct lsp_share *share = lsp_shares_find(peer->shares, &download->content);
	bool served = share && lsp_share_has_source(share);
	if (lsp_shares_add_stage(
		    peer->shares, download->game, download->stage, download, &share, &err) < 0) {
		lsp_download_fail(download, &err);
		return;
	}
	if (served && !lsp_share_has_source(share)) /* what is there is not what it was */
		lsp_local_recheck(peer, download->game, NULL, NULL);
	lsp_limits_take_share(peer->limits, share);
	download->share = lsp_share_ref(share);
	download->phase = PHASE_FETCHING;
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&download->content, hex);
	lsp_download_publish(download, "begin",
		json_pack("{s:s, s:s, s:I}", "content", hex, "version", download->version, "size",
			(json_int_t)download->manifest->total_size));
	download->begun = true;
	download->last_sync = lsp_peer_now(peer);
	lsp_sessions_offer_share(peer, share);
	lsp_announce_game(peer->announce, download->game);
	lsp_peer_kick(peer);
	struct lsp_swarm_game_status status = {0};
	if (lsp_swarm_game_status(peer->swarm, lsp_share_swarm_game(share), &status) == 0 &&
		status.chunks_have == status.chunks_total)
		lsp_download_commit(download); /* all of it was here already */
	else
		lsp_download_drive_engines(download);
}

void lsp_download_job_done(struct lsp_download *download, struct lsp_download_result *result)
{
	download->job = NULL;
	if (result->manifest && !download->manifest)
		download->manifest = TAKE_PTR(result->manifest);
	if (result->stage) {
		lsp_stage_unref(download->stage);
		download->stage = TAKE_PTR(result->stage);
		lsp_manifest_unref(download->old);
		download->old = TAKE_PTR(result->local);
	}
	if (download->phase == PHASE_ENDING) {
		lsp_download_end(download);
		return;
	}
	if (result->code < 0) {
		if (result->code == -LSP_E_CANCELLED && lsp_cancel_requested(download->peer->root))
			return; /* the peer stops; the record stays */
		lsp_download_fail(download, &result->error);
		return;
	}
	switch (result->kind) {
	case LSP_DOWNLOAD_JOB_FIND:
		advance(download);
		break;
	case LSP_DOWNLOAD_JOB_OPEN:
		enter_swarm(download);
		break;
	case LSP_DOWNLOAD_JOB_COMMIT:
		lsp_download_committed(download, result);
		break;
	case LSP_DOWNLOAD_JOB_SYNC:
		if (download->phase == PHASE_FLUSHING)
			lsp_download_commit(download);
		break;
	}
}

static void advance(struct lsp_download *download)
{
	if (!download->has_content) {
		choose(download);
	} else if (!download->manifest && !download->manifest_from_stage) {
		download->manifest_from_stage = true;
		lsp_download_start_job(download, PHASE_MANIFEST, LSP_DOWNLOAD_JOB_FIND);
	} else if (!download->manifest) {
		ask_for_manifest(download);
	} else if (!download->stage) {
		lsp_manifest_query_free(TAKE_PTR(download->query)); /* the library was quicker */
		set_waiting(download, false);
		lsp_choice_version(download->peer, download->game, &download->content,
			download->version, sizeof download->version);
		announce_files(download);
		lsp_download_start_job(download, PHASE_OPENING, LSP_DOWNLOAD_JOB_OPEN);
	}
}

/* ---- From outside ---- */

void lsp_download_sources_changed(struct lsp_peer *peer, const char *game)
{
	struct lsp_download *download = lsp_download_find(peer, game);
	if (!download || download->paused)
		return;
	if (download->phase == PHASE_CHOOSING ||
		(download->phase == PHASE_MANIFEST && !download->job && !download->query))
		advance(download);
}

void lsp_download_swarm_state(struct lsp_download *download, enum lsp_swarm_state state)
{
	struct lsp_error err = {0};
	if (download->phase != PHASE_FETCHING)
		return;
	switch (state) {
	case LSP_SWARM_COMPLETE:
		set_waiting(download, false);
		lsp_download_commit(download);
		break;
	case LSP_SWARM_WAITING:
		if (download->engine == LSP_ENGINE_LAN)
			set_waiting(download, true);
		break;
	case LSP_SWARM_FETCHING:
		set_waiting(download, false);
		break;
	case LSP_SWARM_FAILED:
		lsp_error_set(&err, "peer", LSP_E_CORRUPT,
			"no peer gave all of %s as its content id says; try again when other "
			"peers have it",
			download->game);
		lsp_download_fail(download, &err);
		break;
	case LSP_SWARM_IDLE:
		break;
	}
}

void lsp_download_count_received(struct lsp_share *share, size_t bytes)
{
	struct lsp_download *download = lsp_share_download(share);
	if (!download)
		return;
	lsp_rate_add(&download->rate, bytes, lsp_peer_now(download->peer));
	download->dirty = true;
}

void lsp_download_fetch_ended(struct lsp_share *share)
{
	struct lsp_download *download = lsp_share_download(share);
	if (!download)
		return;
	if (download->phase == PHASE_FLUSHING)
		lsp_download_commit(download);
	else if (download->phase == PHASE_ENDING && !download->job)
		lsp_download_end(download);
}

void lsp_download_trouble(struct lsp_share *share, const struct lsp_error *error)
{
	struct lsp_download *download = lsp_share_download(share);
	if (download)
		lsp_download_fail(download, error);
}

/* ---- Progress ---- */

bool lsp_download_then_install(struct lsp_peer *peer, const char *game)
{
	struct lsp_download *download = lsp_download_find(peer, game);
	if (!download)
		return false;
	if (download->purpose == LSP_DOWNLOAD_ONLY) {
		download->purpose = LSP_DOWNLOAD_THEN_INSTALL;
		lsp_download_records_save(peer);
	}
	return true;
}

static void sync_if_due(struct lsp_download *download, lsp_time now)
{
	if (download->job || download->phase != PHASE_FETCHING)
		return;
	uint64_t unsynced = lsp_stage_unsynced(download->stage);
	if (unsynced < SYNC_BYTES && (!unsynced || now < download->last_sync + SYNC_INTERVAL))
		return;
	download->last_sync = now;
	lsp_download_start_job(download, PHASE_FETCHING, LSP_DOWNLOAD_JOB_SYNC);
}

void lsp_download_tick(struct lsp_peer *peer)
{
	lsp_time now = lsp_peer_now(peer);
	struct lsp_download *download, *next;
	DL_FOREACH_SAFE(peer->downloads, download, next)
	sync_if_due(download, now); /* may end it */
	DL_FOREACH_SAFE(peer->downloads, download, next)
	{
		if (now >= download->next_progress && lsp_download_take_progress(download)) {
			download->next_progress = now + PROGRESS_INTERVAL;
			lsp_download_publish(
				download, "progress", lsp_download_progress_json(download));
		}
		if (lsp_download_is_committed(download)) {
			lsp_download_finish(download);
		} else if (lsp_download_can_be_checked(download)) {
			download->asked_library = true;
			lsp_download_start_job(download, PHASE_MANIFEST, LSP_DOWNLOAD_JOB_FIND);
		} else if (lsp_download_commit_is_due(download, now)) {
			lsp_download_commit(download); /* may end it */
		} else if (download->phase == PHASE_MANIFEST && download->ask_at &&
			   now >= download->ask_at) {
			download->ask_at = 0;
			lsp_download_sources_changed(peer, download->game);
		} else {
			lsp_download_drive_engines(download); /* may end it */
		}
	}
}

/* ---- After a restart ---- */

static void restore_one(
	struct lsp_peer *peer, const char *game, const struct lsp_download_record *record)
{
	struct lsp_error err = {0};
	if (record->has_content && !record->check_folder &&
		lsp_download_content_is_here(peer, game, &record->content)) {
		if (lsp_local_find(peer, game)->availability == LSP_AVAILABILITY_DOWNLOADED)
			lsp_download_follow_up(peer, game, record->purpose);
		return;
	}
	struct lsp_download *download;
	if (lsp_game_id_check(game, strlen(game), &err) < 0 ||
		create(peer, game, record->has_content ? &record->content : NULL, record->purpose,
			&download, &err) < 0) {
		lsp_log_warning(
			"peer", "download of %s is not taken up again: %s", game, err.message);
		return;
	}
	snprintf(download->newer_than, sizeof download->newer_than, "%s", record->newer_than);
	download->restored = true;
	download->paused = record->paused;
	download->check_folder = record->check_folder;
	download->engine = record->engine;
	lsp_log_info("peer", "download of %s goes on", game);
	advance(download);
}

void lsp_download_restore(struct lsp_peer *peer)
{
	lsp_download_records_load(peer, restore_one);
}
