/* What is remembered of the torrents of games: swarm.json, and which .torrent files go with it. */
#include "peer/torrent_games_private.h"

#include "peer/peer.h"
#include "peer/torrent_files.h"
#include "peer/torrent_settings.h"
#include "peer/torrent_wish.h"
#include "wire/json.h"
#include "wire/path.h"

#include <string.h>

static bool is_text(const json_t *value, const char *text)
{
	return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

bool lsp_torrent_games_has_text(const json_t *object, const char *key, const char *text)
{
	return is_text(json_object_get(object, key), text);
}

size_t lsp_torrent_games_find_alias(const json_t *aliases, const char *id)
{
	size_t i = 0;
	while (i < json_array_size(aliases) && !is_text(json_array_get(aliases, i), id))
		i++;
	return i;
}

bool lsp_torrent_games_is_alias(const json_t *record, const char *id)
{
	const json_t *aliases = json_object_get(record, "aliases");
	return lsp_torrent_games_find_alias(aliases, id) < json_array_size(aliases);
}

/* The one that was added last, or NULL. */
static const char *last_alias(const json_t *record)
{
	const json_t *aliases = json_object_get(record, "aliases");
	return json_string_value(json_array_get(aliases, json_array_size(aliases) - 1));
}

bool lsp_torrent_games_is_recorded(struct lsp_peer *peer, const char *id)
{
	const char *game;
	json_t *record;
	if (json_object_size(peer->unread) ||
		json_is_true(json_object_get(lsp_torrent_wish_promise(peer, id), "alias")))
		return true;
	json_object_foreach (peer->torrent_games->records, game, record)
		if (lsp_torrent_games_is_alias(record, id) ||
			(lsp_torrent_games_has_text(record, "content", id) &&
				json_is_true(json_object_get(record, "shared"))))
			return true;
	return false;
}

/* ---- Records ---- */

json_t *lsp_torrent_games_record(
	const struct lsp_peer *peer, const char *game, const struct lsp_hash *content)
{
	json_t *record = json_object_get(peer->torrent_games->records, game);
	char hex[LSP_SHA256_HEX_SIZE];
	if (content)
		lsp_hash_to_hex(content, hex);
	return !content || lsp_torrent_games_has_text(record, "content", hex) ? record : NULL;
}

void lsp_torrent_games_save(struct lsp_peer *peer)
{
	struct lsp_torrent_games *games = peer->torrent_games;
	const char *id;
	json_t *value;
	lsp_peer_save_json(peer, LSP_TORRENT_GAMES_FILE, json_incref(games->records));
	if (games->changes) /* which may be taken back */
		return;
	json_object_foreach (games->dropped, id, value)
		if (!lsp_torrent_games_is_recorded(peer, id))
			lsp_torrent_files_drop(peer, id);
	json_object_clear(games->dropped);
}

static void drop_file(struct lsp_peer *peer, const json_t *id)
{
	if (id)
		json_object_set_new(
			peer->torrent_games->dropped, json_string_value(id), json_true());
}

/* Of another content none of these are. */
static void drop_files(struct lsp_peer *peer, const json_t *record)
{
	json_t *alias;
	size_t index;
	drop_file(peer, json_object_get(record, "content"));
	json_array_foreach (json_object_get(record, "aliases"), index, alias)
		drop_file(peer, alias);
}

json_t *lsp_torrent_games_want(
	struct lsp_peer *peer, const char *game, const struct lsp_hash *content)
{
	json_t *record = lsp_torrent_games_record(peer, game, NULL);
	char hex[LSP_SHA256_HEX_SIZE];
	if (lsp_torrent_games_record(peer, game, content))
		return record;
	lsp_hash_to_hex(content, hex);
	if (record) {
		drop_files(peer, record);
		json_object_set_new(record, "content", json_string(hex));
		json_object_set_new(record, "aliases", json_array());
		lsp_torrent_settings_forget_others(record);
		return record;
	}
	record = json_pack("{s:s, s:b, s:[]}", "content", hex, "shared", 0, "aliases");
	if (record && json_object_set_new(peer->torrent_games->records, game, record) < 0)
		record = NULL;
	return record;
}

bool lsp_torrent_games_has(const struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const char *id)
{
	const json_t *record = lsp_torrent_games_record(peer, game, content);
	return record && (lsp_torrent_games_has_text(record, "content", id) ||
				 lsp_torrent_games_is_alias(record, id));
}

bool lsp_torrent_games_content(
	const struct lsp_peer *peer, const char *game, struct lsp_hash *ret_content)
{
	json_t *record = lsp_torrent_games_record(peer, game, NULL);
	const char *hex = json_string_value(json_object_get(record, "content"));
	return json_array_size(json_object_get(record, "aliases")) && hex &&
	       lsp_hash_from_hex(hex, ret_content, NULL) == 0;
}

json_t *lsp_torrent_games_trackers(const struct lsp_peer *peer, const char *game)
{
	return json_object_get(lsp_torrent_games_record(peer, game, NULL), "trackers");
}

json_t *lsp_torrent_games_options(const struct lsp_peer *peer, const char *game)
{
	return json_object_get(lsp_torrent_games_record(peer, game, NULL), "options");
}

void lsp_torrent_games_set_options(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const json_t *options)
{
	json_t *record =
		json_object_size(options) ? lsp_torrent_games_want(peer, game, content) : NULL;
	json_t *kept = record ? json_deep_copy(options) : NULL;
	json_t *trackers = json_object_get(kept, "trackers");
	if (!kept)
		return;
	if (trackers)
		json_object_set(record, "trackers", trackers);
	json_object_del(kept, "trackers");
	json_object_del(kept, "paused"); /* a download's, which has a record of its own */
	json_object_set_new(record, "options", kept);
	json_object_del(record, "settings"); /* which are older */
	lsp_torrent_games_save(peer);
}

void lsp_torrent_games_fetch_options(
	const struct lsp_peer *peer, const char *game, bool own, json_t *arguments)
{
	const json_t *record = lsp_torrent_games_record(peer, game, NULL);
	const char *id = last_alias(record);
	lsp_torrent_wish_apply(
		arguments, json_object_get(record, "options"), LSP_TORRENT_STAGE_FETCH);
	lsp_torrent_wish_apply_lasting(
		arguments, lsp_torrent_settings_of(record, own, id ? id : ""));
}

/* What was asked since it began to be fetched the engine does not know: none of it goes. */
static bool note(json_t *of, const json_t *settings)
{
	_cleanup_json_ json_t *all = json_copy(of);
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)settings, key, value)
		json_object_set(all, key, value);
	return of && all && lsp_torrent_wish_note(of, all);
}

void lsp_torrent_games_note_settings(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const char *id, const json_t *settings)
{
	json_t *record = lsp_torrent_games_record(peer, game, NULL);
	if (!record && json_object_size(settings))
		record = lsp_torrent_games_want(peer, game, content);
	json_t *options = json_object_get(record, "options");
	if (record && !options && json_object_set_new(record, "options", json_object()) == 0)
		options = json_object_get(record, "options");
	bool changed = note(options, settings);
	changed |=
		note(lsp_torrent_settings_of(record, !lsp_torrent_games_is_alias(record, id), id),
			settings);
	if (changed)
		lsp_torrent_games_save(peer);
}

const char *lsp_torrent_games_alias(const struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, char **ret_path)
{
	const char *id = last_alias(lsp_torrent_games_record(peer, game, content));
	return id && (*ret_path = lsp_torrent_files_path(peer, id)) ? id : NULL;
}

int lsp_torrent_games_add_alias(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const char *id, struct lsp_error *err)
{
	json_t *record = lsp_torrent_games_want(peer, game, content);
	json_t *aliases = json_object_get(record, "aliases");
	if (lsp_torrent_games_is_alias(record, id))
		return 0;
	if (!aliases || json_array_append_new(aliases, json_string(id)) < 0)
		return lsp_error_no_memory(err, "peer");
	lsp_torrent_games_save(peer);
	return 0;
}

/* ---- A change that may be taken back ---- */

int lsp_torrent_games_change(
	struct lsp_peer *peer, const char *game, json_t **ret_before, struct lsp_error *err)
{
	json_t *record = lsp_torrent_games_record(peer, game, NULL);
	json_t *before = record ? json_deep_copy(record) : json_null();
	if (!before)
		return lsp_error_no_memory(err, "peer");
	peer->torrent_games->changes++;
	*ret_before = before;
	return 0;
}

void lsp_torrent_games_changed(struct lsp_peer *peer, const char *game, json_t *before, bool stands)
{
	struct lsp_torrent_games *games = peer->torrent_games;
	json_t *now = lsp_torrent_games_record(peer, game, NULL);
	games->changes--;
	if (!stands) {
		drop_files(peer, now);
		if (json_is_null(before))
			json_object_del(games->records, game);
		else
			json_object_set(games->records, game, before);
	}
	json_decref(before);
	if (!stands || json_object_size(games->dropped))
		lsp_torrent_games_save(peer);
}

/* ---- All of them ---- */

void lsp_torrent_games_each(
	const struct lsp_peer *peer, void (*call)(void *argument, const char *game), void *argument)
{
	const char *game;
	json_t *record;
	json_object_foreach (peer->torrent_games->records, game, record) {
		if (json_array_size(json_object_get(record, "aliases")) &&
			lsp_game_id_check(game, strlen(game), NULL) == 0)
			call(argument, game);
	}
}
