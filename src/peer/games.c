#include "peer/games.h"

#include "base/log.h"
#include "peer/announce.h"
#include "peer/choice.h"
#include "peer/damage.h"
#include "peer/database.h"
#include "peer/download.h"
#include "peer/events.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/share.h"
#include "peer/torrent_games.h"
#include "peer/torrent_late.h"
#include "task/operation.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define HASHING_INTERVAL (250 * LSP_MILLISECOND)

struct lsp_games {
	struct lsp_peer *peer;
	bool local_dirty;
	lsp_time next_hashing; /* when to tell how far the reading of files is */
	json_t *remote_dirty;  /* the ids as keys */
};

int lsp_games_new(struct lsp_peer *peer, struct lsp_games **ret_games, struct lsp_error *err)
{
	struct lsp_games *games = calloc(1, sizeof *games);
	if (!games || !(games->remote_dirty = json_object())) {
		free(games);
		return lsp_error_no_memory(err, "peer");
	}
	games->peer = peer;
	*ret_games = games;
	return 0;
}

void lsp_games_free(struct lsp_games *games)
{
	if (!games)
		return;
	json_decref(games->remote_dirty);
	free(games);
}

/* ---- One game ---- */

/* Everything that is known of a game, from all sides. */
struct view {
	const char *id;
	const struct lsp_catalog_entry *entry;
	const struct lsp_library_game *local;
	const struct lsp_known_game *known;
	struct lsp_download *download;
	const struct lsp_torrent_late *late;
	enum lsp_operation_kind operation;
	bool by_torrent; /* a torrent that was added is it */
};

static struct view view_of(const struct lsp_peer *peer, const char *game)
{
	struct lsp_hash content;
	return (struct view){
		.id = game,
		.entry = lsp_catalog_find(lsp_local_catalog_snapshot(peer), game),
		.local = lsp_local_find(peer, game),
		.known = lsp_database_find(peer->database, game),
		.download = lsp_download_find(peer, game),
		.late = lsp_torrent_late_find(peer, game),
		.operation = lsp_operations_of(peer->operations, game),
		.by_torrent = lsp_torrent_games_content(peer, game, &content),
	};
}

bool lsp_games_known(const struct lsp_peer *peer, const char *game)
{
	struct view view = view_of(peer, game);
	struct lsp_hash content;
	return view.entry || view.local || view.known || view.download || view.late ||
	       lsp_torrent_games_content(peer, game, &content);
}

int lsp_games_unknown(const char *game, struct lsp_error *err)
{
	return lsp_error_set(err, "peer", LSP_E_NOT_FOUND,
		"no game \"%s\" is known here; `lanspread games` lists them", game);
}

static const char *availability(const struct view *view)
{
	if (view->local && view->local->availability != LSP_AVAILABILITY_NONE)
		return lsp_availability_name(view->local->availability);
	return view->known || view->by_torrent || view->late ? "remote" : "unavailable";
}

static const char *title(const struct view *view)
{
	const char *remote = view->known ? lsp_known_game_title(view->known) : NULL;
	if (view->entry && view->entry->title)
		return view->entry->title;
	return remote ? remote : view->id;
}

static void set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

static void set_text(json_t *object, const char *key, const char *text)
{
	set(object, key, text && *text ? json_string(text) : json_null());
}

static void set_hash(json_t *object, const char *key, const struct lsp_hash *hash)
{
	char hex[LSP_SHA256_HEX_SIZE];
	if (hash)
		lsp_hash_to_hex(hash, hex);
	set_text(object, key, hash ? hex : NULL);
}

static json_t *hashing_progress(const struct lsp_library_game *local)
{
	return json_pack("{s:I, s:I, s:s}", "done", (json_int_t)atomic_load(&local->progress->done),
		"total", (json_int_t)atomic_load(&local->progress->total), "phase", "hashing");
}

/* What goes on with it. A game that is hashed in the background shows so when nothing else does. */
static void add_operation(json_t *object, const struct view *view)
{
	bool hashing = view->local && view->local->state == LSP_LIBRARY_HASHING;
	const char *operation = lsp_operation_kind_name(view->operation);
	if (view->operation == LSP_OPERATION_NONE && hashing)
		operation = lsp_operation_kind_name(LSP_OPERATION_HASHING);
	set(object, "operation", json_string(operation));
	set(object, "waiting",
		json_boolean(view->download
				     ? lsp_download_is_waiting(view->download)
				     : view->late && lsp_torrent_late_is_waiting(view->late)));
	set(object, "paused",
		json_boolean(view->download
				     ? lsp_download_is_paused(view->download)
				     : view->late && lsp_torrent_late_is_paused(view->late)));
	if (view->download)
		set(object, "progress", lsp_download_progress_json(view->download));
	else if (view->late)
		set(object, "progress", lsp_torrent_late_progress_json(view->late));
	else if (hashing && view->local->progress)
		set(object, "progress", hashing_progress(view->local));
	else
		set(object, "progress", json_null());
}

/* Versions, content, size and who has it. */
static void add_versions(json_t *object, const struct view *view)
{
	const struct lsp_version *newest = view->known ? lsp_known_game_newest(view->known) : NULL;
	const char *local = view->local ? view->local->version : "";
	struct lsp_variant variants[16];
	size_t count = view->known ? lsp_known_game_variants(view->known, variants, 16) : 0;
	size_t sources = 0;
	for (size_t i = 0; i < count; i++)
		sources += variants[i].ready + variants[i].partial;
	bool local_newer = *local && (!newest || lsp_version_compare_text(local, newest->text) > 0);
	bool ready = view->local && view->local->state == LSP_LIBRARY_READY;
	uint64_t size = view->entry ? view->entry->size : 0;
	if (count)
		size = variants[0].size;
	else if (view->known)
		size = lsp_known_game_size(view->known);
	if (view->local && view->local->size)
		size = view->local->size;
	set_text(object, "local_version", local);
	set_text(object, "latest_version", local_newer ? local : newest ? newest->text : NULL);
	set_hash(object, "content",
		ready        ? &view->local->content
		: count == 1 ? &variants[0].content
			     : NULL);
	set(object, "size", json_integer((json_int_t)size));
	set(object, "sources", json_integer((json_int_t)sources));
	set(object, "variants", json_integer((json_int_t)count));
}

static void add_catalog(json_t *object, const struct lsp_catalog_entry *entry)
{
	set_text(object, "key", entry->key);
	set_text(object, "release", entry->release);
	set_text(object, "publisher", entry->publisher);
	set_text(object, "genre", entry->genre);
	set_text(object, "readme_de", entry->readme_de);
	set_text(object, "readme_en", entry->readme_en);
	set_text(object, "readme_fr", entry->readme_fr);
	set(object, "max_players",
		entry->max_players ? json_integer(entry->max_players) : json_null());
	set(object, "master_required", json_boolean(entry->master_required));
	set(object, "cover", json_boolean(entry->has_cover));
}

static void set_problem(
	json_t *object, const struct lsp_peer *peer, const struct lsp_library_game *local)
{
	_cleanup_free_ char *damage =
		lsp_damage_is(peer, local, NULL) ? lsp_damage_text(peer, local->id) : NULL;
	set_text(object, "problem", damage ? damage : local ? local->problem : NULL);
	set(object, "damaged", json_boolean(damage));
}

static json_t *game_json(const struct lsp_peer *peer, const struct view *view)
{
	json_t *object = json_object();
	if (!object)
		return NULL;
	set(object, "id", json_string(view->id));
	set(object, "title", json_string(title(view)));
	set(object, "availability", json_string(availability(view)));
	add_operation(object, view);
	add_versions(object, view);
	json_t *swarm = lsp_torrent_games_json(peer, view->id);
	set(object, "swarm", swarm ? swarm : json_null());
	set_problem(object, peer, view->local);
	if (view->entry)
		add_catalog(object, view->entry);
	return object;
}

json_t *lsp_games_json(struct lsp_peer *peer, const char *game)
{
	struct view view = view_of(peer, game);
	bool known = view.entry || view.local || view.known || view.download || view.late ||
		     view.by_torrent || view.operation != LSP_OPERATION_NONE;
	return known ? game_json(peer, &view) : NULL;
}

/* ---- All of them ---- */

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct ids {
	const char **items;
	size_t count, room;
};

static void add_id(void *argument, const char *id)
{
	struct ids *ids = argument;
	if (ids->count < ids->room)
		ids->items[ids->count++] = id;
}

static void count_id(void *argument, const char *id)
{
	++*(size_t *)argument;
}

/* The ids of all sides, each once, in order. The array is the caller's, the texts are not. */
static const char **list_ids(struct lsp_peer *peer, size_t *ret_count)
{
	const struct lsp_catalog_snapshot *catalog = lsp_local_catalog_snapshot(peer);
	const struct lsp_library_snapshot *library = lsp_local_snapshot(peer);
	const struct lsp_known_game *known = NULL;
	struct lsp_download *download;
	struct ids ids = {0};
	size_t unique = 0;
	for (download = peer->downloads; download; download = lsp_download_next(download))
		ids.room++;
	lsp_torrent_games_each(peer, count_id, &ids.room);
	lsp_torrent_late_each(peer, count_id, &ids.room);
	ids.room += catalog->count + library->count + lsp_database_game_count(peer->database);
	ids.items = calloc(ids.room + 1, sizeof *ids.items);
	if (!ids.items)
		return NULL;
	for (size_t i = 0; i < catalog->count; i++)
		add_id(&ids, catalog->entries[i]->id);
	for (size_t i = 0; i < library->count; i++)
		add_id(&ids, library->games[i]->id);
	while ((known = lsp_database_next(peer->database, known)))
		add_id(&ids, known->id);
	for (download = peer->downloads; download; download = lsp_download_next(download))
		add_id(&ids, lsp_download_game(download));
	lsp_torrent_games_each(peer, add_id, &ids);
	lsp_torrent_late_each(peer, add_id, &ids);
	qsort(ids.items, ids.count, sizeof *ids.items, compare_ids);
	for (size_t i = 0; i < ids.count; i++) {
		if (!unique || strcmp(ids.items[unique - 1], ids.items[i]) != 0)
			ids.items[unique++] = ids.items[i];
	}
	*ret_count = unique;
	return ids.items;
}

json_t *lsp_games_list_json(struct lsp_peer *peer)
{
	size_t count = 0;
	_cleanup_free_ const char **ids = list_ids(peer, &count);
	json_t *list = ids ? json_array() : NULL;
	for (size_t i = 0; list && i < count; i++)
		json_array_append_new(list, lsp_games_json(peer, ids[i]));
	return list;
}

json_t *lsp_games_files_json(const struct lsp_manifest *manifest)
{
	char hex[LSP_SHA256_HEX_SIZE];
	json_t *files = json_array();
	for (uint32_t i = 0; files && i < manifest->file_count; i++)
		json_array_append_new(
			files, json_pack("{s:s, s:I}", "path", manifest->files[i].path, "size",
				       (json_int_t)manifest->files[i].size));
	lsp_hash_to_hex(&manifest->content_id, hex);
	return json_pack("{s:s, s:I, s:o}", "content", hex, "size",
		(json_int_t)manifest->total_size, "files", files);
}

/* The table of operations, and the games that are in it without a folder here. */
static json_t *operations_json(struct lsp_peer *peer, json_t *games)
{
	struct lsp_operation_info *infos = NULL;
	size_t count = 0;
	json_t *list = json_array();
	if (lsp_operations_snapshot(peer->operations, &infos, &count, NULL) < 0)
		return list;
	for (size_t i = 0; i < count; i++) {
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "game", infos[i].game, "operation",
				      lsp_operation_kind_name(infos[i].kind)));
		if (!lsp_local_find(peer, infos[i].game))
			json_array_append_new(games, lsp_games_json(peer, infos[i].game));
	}
	free(infos);
	return list;
}

json_t *lsp_games_snapshot(void *argument)
{
	struct lsp_peer *peer = argument;
	const struct lsp_library_snapshot *library = lsp_local_snapshot(peer);
	json_t *games = json_array();
	for (size_t i = 0; games && i < library->count; i++)
		json_array_append_new(games, lsp_games_json(peer, library->games[i]->id));
	json_t *operations = games ? operations_json(peer, games) : NULL;
	return json_pack("{s:s, s:o, s:o}", "event", "local_games_updated", "games", games,
		"operations", operations);
}

/* ---- Telling ---- */

void lsp_games_local_changed(struct lsp_peer *peer)
{
	peer->games->local_dirty = true;
}

void lsp_games_publish_local(struct lsp_peer *peer)
{
	peer->games->local_dirty = false;
	if (lsp_events_subscribers(peer->events))
		lsp_events_publish(peer->events, lsp_games_snapshot(peer));
}

void lsp_games_remote_changed(struct lsp_peer *peer, const char *game)
{
	json_object_set_new(peer->games->remote_dirty, game, json_true());
	lsp_download_sources_changed(peer, game);
}

void lsp_games_peer_gone(struct lsp_peer *peer, struct lsp_remote_peer *remote)
{
	struct lsp_remote_game *copy;
	DL_FOREACH2(remote->games, copy, next_game)
	json_object_set_new(peer->games->remote_dirty, copy->game->id, json_true());
	lsp_database_remove_peer(peer->database, remote);
}

static void publish_remote(struct lsp_peer *peer)
{
	if (!lsp_events_subscribers(peer->events)) {
		json_object_clear(peer->games->remote_dirty);
		return;
	}
	json_t *changed = json_array(), *removed = json_array(), *value;
	const char *id;
	json_object_foreach (peer->games->remote_dirty, id, value) {
		json_t *game = lsp_games_json(peer, id);
		if (game)
			json_array_append_new(changed, game);
		else
			json_array_append_new(removed, json_string(id));
	}
	json_object_clear(peer->games->remote_dirty);
	lsp_events_publish(
		peer->events, json_pack("{s:s, s:o, s:o}", "event", "remote_games_updated", "games",
				      changed, "removed", removed));
}

/* How far the games are whose files are being read. */
static void tell_hashing(struct lsp_peer *peer)
{
	const struct lsp_library_snapshot *snapshot = lsp_local_snapshot(peer);
	for (size_t i = 0; i < snapshot->count; i++) {
		const struct lsp_library_game *game = snapshot->games[i];
		if (game->state != LSP_LIBRARY_HASHING || !game->progress ||
			atomic_load(&game->progress->done) == 0)
			continue;
		enum lsp_operation_kind kind = lsp_operations_of(peer->operations, game->id);
		if (kind != LSP_OPERATION_NONE && kind != LSP_OPERATION_VERIFYING)
			continue;
		json_t *event = hashing_progress(game);
		set(event, "event",
			json_string(kind == LSP_OPERATION_NONE ? "hashing_progress"
							       : "verify_progress"));
		set(event, "game", json_string(game->id));
		lsp_events_publish(peer->events, event);
	}
}

void lsp_games_flush(struct lsp_peer *peer)
{
	lsp_time now = lsp_peer_now(peer);
	if (now >= peer->games->next_hashing && lsp_events_subscribers(peer->events) &&
		lsp_local_snapshot(peer)) {
		peer->games->next_hashing = lsp_time_add(now, HASHING_INTERVAL);
		tell_hashing(peer);
	}
	if (peer->games->local_dirty)
		lsp_games_publish_local(peer);
	if (json_object_size(peer->games->remote_dirty))
		publish_remote(peer);
}

/* ---- For the others ---- */

/* A download that others may fetch from while it runs. */
static bool partial_summary(
	const struct lsp_peer *peer, const char *game, struct lsp_game_summary *summary)
{
	struct lsp_download *download = lsp_download_find(peer, game);
	const struct lsp_hash *content = download ? lsp_download_content(download) : NULL;
	struct lsp_share *share = content ? lsp_shares_find(peer->shares, content) : NULL;
	if (!share || !lsp_share_stage(share))
		return false;
	summary->state = LSP_GAME_PARTIAL;
	summary->content = *content;
	summary->size = lsp_share_manifest(share)->total_size;
	snprintf(summary->version, sizeof summary->version, "%s", lsp_download_version(download));
	return true;
}

enum lsp_games_announced lsp_games_summary(
	struct lsp_peer *peer, const char *game, struct lsp_game_summary *ret_summary)
{
	struct view view = view_of(peer, game);
	struct lsp_game_summary summary = {0};
	snprintf(summary.id, sizeof summary.id, "%s", game);
	if (view.entry && view.entry->title)
		lsp_label_clean(
			view.entry->title, strlen(view.entry->title), summary.title, LSP_LABEL_MAX);
	summary.has_cover = view.entry && view.entry->has_cover;
	if (partial_summary(peer, game, &summary)) {
		*ret_summary = summary;
		return LSP_GAMES_ANNOUNCED;
	}
	if (view.operation != LSP_OPERATION_NONE && view.operation != LSP_OPERATION_DOWNLOADING &&
		view.operation != LSP_OPERATION_HASHING)
		return LSP_GAMES_UNCHANGED;
	if (!view.local || view.local->state == LSP_LIBRARY_NOT_SHARED ||
		lsp_damage_is(peer, view.local, NULL))
		return LSP_GAMES_ABSENT;
	struct lsp_share *share = view.local->state == LSP_LIBRARY_READY
					  ? lsp_shares_find(peer->shares, &view.local->content)
					  : NULL;
	bool ready = share && lsp_share_has_source(share);
	summary.state = ready ? LSP_GAME_READY : LSP_GAME_HASHING;
	if (ready)
		summary.content = view.local->content;
	summary.size = view.local->size;
	snprintf(summary.version, sizeof summary.version, "%s", view.local->version);
	*ret_summary = summary;
	return LSP_GAMES_ANNOUNCED;
}
