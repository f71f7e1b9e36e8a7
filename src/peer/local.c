#include "peer/local.h"

#include "base/fs.h"
#include "base/log.h"
#include "peer/announce.h"
#include "peer/damage.h"
#include "peer/download.h"
#include "peer/events.h"
#include "peer/games.h"
#include "peer/limits.h"
#include "peer/peer.h"
#include "peer/session.h"
#include "peer/share.h"
#include "peer/torrent_games.h"
#include "store/picture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define OPEN_AGAIN (10 * LSP_SECOND)
#define SOURCE_FILES_MAX 8 /* descriptors that a served game keeps open */

struct lsp_local {
	struct lsp_peer *peer;
	struct lsp_library *library;
	struct lsp_catalog *catalog;
	const struct lsp_library_snapshot *snapshot;
	const struct lsp_catalog_snapshot *catalog_snapshot;
	struct opening *openings;
	lsp_time open_again;      /* when to look for games that are not served and should be */
	struct lsp_error trouble; /* the last that kept one from being served */
	atomic_bool posted;
	struct lsp_post post; /* used while `posted` */
};

int lsp_local_new(struct lsp_peer *peer, struct lsp_library *library, struct lsp_catalog *catalog,
	struct lsp_local **ret_local, struct lsp_error *err)
{
	struct lsp_local *local = calloc(1, sizeof *local);
	if (!local)
		return lsp_error_no_memory(err, "peer");
	local->peer = peer;
	local->library = library;
	local->catalog = catalog;
	local->catalog_snapshot = lsp_catalog_snapshot(catalog);
	*ret_local = local;
	return 0;
}

void lsp_local_free(struct lsp_local *local)
{
	if (!local)
		return;
	lsp_library_snapshot_unref(local->snapshot);
	lsp_catalog_snapshot_unref(local->catalog_snapshot);
	free(local);
}

/* ---- Sources: what a hashed game is served from ---- */

/* From the library's thread back to the loop. */
struct crossing {
	struct crossing *next; /* that waits for the same */
	struct lsp_peer *peer;
	struct lsp_post post;
	char game[LSP_GAME_ID_MAX + 1];
	bool was_damaged; /* what is there now may look the same, and is not shared yet */
	void (*done)(void *argument);
	void *argument;
};

static void arrive(struct crossing *crossing)
{
	while (crossing) {
		struct crossing copy = *crossing;
		free(crossing);
		copy.done(copy.argument);
		crossing = copy.next;
	}
}

struct opening {
	struct opening *prev, *next;
	struct lsp_job job;
	struct lsp_peer *peer;
	char game[LSP_GAME_ID_MAX + 1];
	struct lsp_source *source;
	struct crossing *waiting; /* for its end */
	bool again;               /* it failed before */
};

static void open_source(struct lsp_job *job)
{
	struct opening *opening = lsp_container_of(job, struct opening, job);
	job->result = lsp_library_source(opening->peer->local->library, opening->game,
		SOURCE_FILES_MAX, &opening->source, &job->error);
}

/* Once a game; and where all games have the same trouble, of the first of them. */
static void not_served(
	struct lsp_local *local, const struct opening *opening, const struct lsp_error *error)
{
	bool said = opening->again || strcmp(local->trouble.message, error->message) == 0;
	lsp_log(said ? LSP_LOG_DEBUG : LSP_LOG_WARNING, "peer",
		"%s is not served, and tried again: %s", opening->game, error->message);
	local->trouble = *error;
}

/* What a download has found missing in the folder would count as there. */
static bool is_being_mended(const struct lsp_share *share)
{
	uint64_t bytes;
	uint32_t chunks = 0;
	const struct lsp_download *download = share ? lsp_share_download(share) : NULL;
	if (download && lsp_download_mends(download))
		lsp_stage_left(lsp_share_stage(share), &bytes, &chunks);
	return chunks > 0;
}

static void source_opened(struct lsp_job *job)
{
	struct opening *opening = lsp_container_of(job, struct opening, job);
	struct lsp_peer *peer = opening->peer;
	const struct lsp_library_game *game = lsp_local_find(peer, opening->game);
	struct lsp_share *share,
		*before = game ? lsp_shares_find(peer->shares, &game->content) : NULL;
	if (job->result < 0) {
		not_served(peer->local, opening, &job->error);
	} else if (!is_being_mended(before) && game && game->state == LSP_LIBRARY_READY &&
		   lsp_hash_equal(
			   &game->content, &lsp_source_manifest(opening->source)->content_id)) {
		if (lsp_damage_found(peer, game, lsp_source_manifest(opening->source))) {
			lsp_announce_game(peer->announce, opening->game);
			lsp_games_publish_local(peer);
		} else if (lsp_shares_add_source(peer->shares, opening->game, opening->source,
				   &share, &job->error) < 0) {
			not_served(peer->local, opening, &job->error);
		} else {
			lsp_limits_take_share(peer->limits, share);
			if (share != before) /* else its sources are known */
				lsp_sessions_offer_share(peer, share);
			lsp_announce_game(peer->announce, opening->game);
			lsp_torrent_games_ready(peer, opening->game);
			lsp_peer_kick(peer);
		}
	}
	lsp_source_unref(opening->source);
	DL_DELETE(peer->local->openings, opening);
	struct crossing *waiting = opening->waiting;
	free(opening);
	arrive(waiting);
}

static void begin_opening(struct lsp_local *local, const char *game, bool again)
{
	struct opening *opening = calloc(1, sizeof *opening);
	struct lsp_error err = {0};
	if (!opening)
		return;
	opening->peer = local->peer;
	opening->again = again;
	snprintf(opening->game, sizeof opening->game, "%s", game);
	opening->job.work = open_source;
	opening->job.done = source_opened;
	if (lsp_pool_submit(local->peer->state_pool, local->peer->core, &opening->job, &err) < 0) {
		lsp_log_warning("peer", "%s is not served: %s", game, err.message);
		free(opening);
		return;
	}
	DL_APPEND(local->openings, opening);
}

static bool is_ready(const struct lsp_library_game *game)
{
	return game && game->state == LSP_LIBRARY_READY;
}

static void game_changed(
	void *argument, const struct lsp_library_game *before, const struct lsp_library_game *after)
{
	struct lsp_local *local = argument;
	const char *id = after ? after->id : before->id;
	bool same = is_ready(before) && is_ready(after) &&
		    lsp_hash_equal(&before->content, &after->content) &&
		    lsp_fingerprint_same_files(&before->fingerprint, &after->fingerprint);
	if (is_ready(before) && !same) {
		struct lsp_share *share = lsp_shares_find(local->peer->shares, &before->content);
		if (share)
			lsp_damage_was(local->peer, before, lsp_share_manifest(share));
		if (share && strcmp(lsp_share_game(share), id) == 0)
			lsp_share_drop_source(share);
		lsp_torrent_games_gone(local->peer, id);
	}
	if (is_ready(after) && !same)
		begin_opening(local, id, false);
	lsp_announce_game(local->peer->announce, id);
}

static struct opening *last_opening(const struct lsp_local *local, const char *game)
{
	struct opening *opening, *last = NULL;
	DL_FOREACH(local->openings, opening)
	{
		if (strcmp(opening->game, game) == 0)
			last = opening;
	}
	return last;
}

void lsp_local_tick(struct lsp_peer *peer, lsp_time now)
{
	struct lsp_local *local = peer->local;
	const struct lsp_library_snapshot *snapshot = local->snapshot;
	if (!snapshot || now < local->open_again)
		return;
	local->open_again = lsp_time_add(now, OPEN_AGAIN);
	for (size_t i = 0; i < snapshot->count; i++) {
		const struct lsp_library_game *game = snapshot->games[i];
		if (is_ready(game) && !lsp_shares_find(peer->shares, &game->content) &&
			!lsp_damage_is(peer, game, NULL) && !last_opening(local, game->id))
			begin_opening(local, game->id, true);
	}
}

/* ---- Snapshots ---- */

void lsp_local_take_snapshot(struct lsp_local *local)
{
	const struct lsp_library_snapshot *old = local->snapshot;
	local->snapshot = lsp_library_snapshot(local->library);
	const char *problem = local->snapshot->problem;
	if (old && problem[0] && strcmp(problem, old->problem) != 0)
		lsp_events_publish(local->peer->events, /* the library has it in the log */
			json_pack("{s:s, s:s}", "event", "warning", "message", problem));
	if (old != local->snapshot) {
		lsp_library_diff(old, local->snapshot, game_changed, local);
		lsp_games_local_changed(local->peer);
	}
	lsp_library_snapshot_unref(old);
}

static void take_snapshot(void *argument)
{
	struct lsp_peer *peer = argument;
	atomic_store(&peer->local->posted, false);
	lsp_local_take_snapshot(peer->local);
}

void lsp_local_library_changed(void *argument)
{
	struct lsp_peer *peer = argument;
	if (!peer->local || atomic_exchange(&peer->local->posted, true))
		return;
	if (lsp_loop_post_node(peer->core, &peer->local->post, take_snapshot, peer, NULL) < 0)
		atomic_store(&peer->local->posted, false); /* the loop is closing */
}

const struct lsp_library_snapshot *lsp_local_snapshot(const struct lsp_peer *peer)
{
	return peer->local->snapshot;
}

const struct lsp_catalog_snapshot *lsp_local_catalog_snapshot(const struct lsp_peer *peer)
{
	return peer->local->catalog_snapshot;
}

void lsp_local_catalog_changed(struct lsp_peer *peer)
{
	struct lsp_local *local = peer->local;
	lsp_catalog_snapshot_unref(local->catalog_snapshot);
	local->catalog_snapshot = lsp_catalog_snapshot(local->catalog);
	lsp_games_local_changed(peer);
}

struct lsp_library *lsp_local_library(const struct lsp_peer *peer)
{
	return peer->local->library;
}

struct lsp_catalog *lsp_local_catalog(const struct lsp_peer *peer)
{
	return peer->local->catalog;
}

const char *lsp_local_games_dir(const struct lsp_peer *peer)
{
	return peer->local->snapshot->games_dir;
}

const struct lsp_library_game *lsp_local_find(const struct lsp_peer *peer, const char *game)
{
	return lsp_library_find(peer->local->snapshot, game);
}

const struct lsp_manifest *lsp_local_manifest(const struct lsp_peer *peer, const char *game)
{
	struct lsp_share *share = lsp_shares_find_game(peer->shares, game);
	return share ? lsp_manifest_ref(lsp_share_manifest(share)) : NULL;
}

bool lsp_local_pinned_content(
	const struct lsp_peer *peer, const char *game, struct lsp_hash *ret_content)
{
	const struct lsp_catalog_entry *entry =
		lsp_catalog_find(peer->local->catalog_snapshot, game);
	if (!entry || !entry->has_content)
		return false;
	*ret_content = entry->content;
	return true;
}

/* ---- Operations ---- */

int lsp_local_hold(struct lsp_peer *peer, const char *game, struct lsp_error *err)
{
	return lsp_library_hold(peer->local->library, game, err);
}

/* What was found is shared before it is told of: who has it from us is not told in between that it
 * is gone. */
static void cross_on_loop(void *argument)
{
	struct crossing *crossing = argument;
	struct lsp_local *local = crossing->peer->local;
	lsp_local_take_snapshot(local);
	struct opening *last = last_opening(local, crossing->game);
	if (!last && crossing->was_damaged &&
		is_ready(lsp_library_find(local->snapshot, crossing->game))) {
		begin_opening(local, crossing->game, false);
		last = last_opening(local, crossing->game);
	}
	if (last) {
		crossing->next = last->waiting;
		last->waiting = crossing;
	} else {
		arrive(crossing);
	}
}

static void cross(void *argument)
{
	struct crossing *crossing = argument;
	lsp_loop_post_reserved(crossing->peer->core, &crossing->post, cross_on_loop, crossing);
}

/* NULL: nobody is to be told, the loop is closing, or there is no memory. */
static struct crossing *crossing_new(
	struct lsp_peer *peer, const char *game, void (*done)(void *argument), void *argument)
{
	struct crossing *crossing = done ? calloc(1, sizeof *crossing) : NULL;
	if (!crossing)
		return NULL;
	if (lsp_loop_reserve(peer->core, NULL) < 0) {
		free(crossing);
		return NULL;
	}
	*crossing = (struct crossing){.peer = peer, .done = done, .argument = argument};
	snprintf(crossing->game, sizeof crossing->game, "%s", game);
	return crossing;
}

void lsp_local_release(struct lsp_peer *peer, const char *game, const struct lsp_manifest *manifest,
	void (*done)(void *argument), void *argument)
{
	struct crossing *crossing = crossing_new(peer, game, done, argument);
	bool was_damaged = manifest && lsp_damage_end(peer, game);
	if (crossing)
		crossing->was_damaged = was_damaged;
	lsp_library_release(
		peer->local->library, game, manifest, crossing ? cross : NULL, crossing);
	if (!crossing && done)
		done(argument); /* last: `game` and the manifest may be its own */
}

void lsp_local_recheck(
	struct lsp_peer *peer, const char *game, void (*done)(void *argument), void *argument)
{
	struct crossing *crossing = crossing_new(peer, game, done, argument);
	lsp_library_recheck(peer->local->library, game, crossing ? cross : NULL, crossing);
	if (!crossing && done)
		done(argument);
}

/* ---- On a disk thread ---- */

int lsp_local_read_cover(struct lsp_peer *peer, const char *game, struct lsp_buffer *ret_cover,
	char *ret_media, size_t media_size, struct lsp_error *err)
{
	int r = lsp_catalog_cover(peer->local->catalog, game, ret_cover, err);
	if (r < 0)
		r = lsp_library_cover(peer->local->library, game, ret_cover, err);
	if (r < 0)
		return r;
	snprintf(ret_media, media_size, "%s",
		lsp_picture_type(lsp_picture_kind(ret_cover->data, ret_cover->size)));
	return 0;
}

void lsp_local_add_to_catalog(struct lsp_peer *peer, const char *game, const char *title,
	const char *version, uint64_t size, const char *cover)
{
	struct lsp_catalog *catalog = peer->local->catalog;
	_cleanup_(lsp_catalog_snapshot_unref_pointer) const struct lsp_catalog_snapshot *snapshot =
		lsp_catalog_snapshot(catalog);
	const struct lsp_catalog_entry *known = lsp_catalog_find(snapshot, game);
	_cleanup_buffer_ struct lsp_buffer picture = {0};
	struct lsp_catalog_entry entry = known ? *known : (struct lsp_catalog_entry){.id = game};
	struct lsp_catalog_cover_change change = {0};
	struct lsp_error err = {0};
	if (title || !entry.title)
		entry.title = title ? title : game;
	entry.version = version;
	entry.size = size;
	if (cover && !entry.has_cover &&
		lsp_fs_read_file(cover, LSP_PICTURE_MAX, &picture, NULL) == 0 &&
		lsp_picture_check(picture.data, picture.size, NULL) == 0)
		change = (struct lsp_catalog_cover_change){true, picture.data, picture.size};
	if (lsp_catalog_put(catalog, &entry, &change, &err) < 0)
		lsp_log_warning("peer", "%s is not in the catalogue: %s", game, err.message);
}

bool lsp_local_keep_title(struct lsp_peer *peer, const char *game, const char *title)
{
	struct lsp_catalog *catalog = peer->local->catalog;
	_cleanup_(lsp_catalog_snapshot_unref_pointer) const struct lsp_catalog_snapshot *snapshot =
		lsp_catalog_snapshot(catalog);
	struct lsp_catalog_entry entry = {.id = game, .title = title};
	struct lsp_error err = {0};
	if (!*title || strcmp(title, game) == 0 || lsp_catalog_find(snapshot, game))
		return false;
	if (lsp_catalog_put(catalog, &entry, NULL, &err) == 0)
		return true;
	lsp_log_info("peer", "the title of %s is not kept: %s", game, err.message);
	return false;
}
