#include "peer/torrent_wish.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "peer/peer.h"
#include "store/json_file.h"
#include "torrent/engine.h"
#include "wire/json.h"

#include <string.h>

#define FILE_NAME "as-game.json"

/* ---- Options ---- */

#define METADATA (1u << LSP_TORRENT_STAGE_METADATA)
#define FETCH (1u << LSP_TORRENT_STAGE_FETCH)
#define SEED (1u << LSP_TORRENT_STAGE_SEED)

/* Seeding goals would end a torrent that is whole before it is a game. */
static const struct {
	const char *key;
	unsigned stages;
} options[] = {
	{"category", FETCH | SEED}, /* of a magnet it is ours, see torrent_add.c */
	{"tags", METADATA | FETCH | SEED},
	{"paused", METADATA | FETCH},
	{"sequential", METADATA | FETCH},
	{"queue_position", METADATA | FETCH},
	{"auto_managed", METADATA | FETCH | SEED},
	{"pex", METADATA | FETCH | SEED},
	{"super_seeding", SEED},
	{"trackers", METADATA | FETCH | SEED},
	{"trackers_set", METADATA | FETCH | SEED},
	{"web_seeds", METADATA | FETCH | SEED},
	{"peers", METADATA | FETCH},
	{"max_download", METADATA | FETCH | SEED},
	{"max_upload", METADATA | FETCH | SEED},
	{"max_connections", METADATA | FETCH | SEED},
	{"max_uploads", METADATA | FETCH | SEED},
	{"seed_ratio", SEED},
	{"seed_time", SEED},
	{"seed_remove", SEED},
};

static const struct {
	const char *key, *why;
} contradictions[] = {
	{"include", "a game is whole or none"},
	{"exclude", "a game is whole or none"},
	{"skip_fluff", "a game is whole or none"},
	{"priorities", "a game is whole or none"},
	{"save_path", "a game's files go into the games folder"},
	{"storage", "a game's download lays out its files itself"},
	{"have", "what is here of a game is found without it"},
	{"name", "a game's torrent is called as the game, whose id \"game\" gives"},
	{"seed_remove_data", "its files are the game's, which `lanspread remove` deletes"},
};

int lsp_torrent_wish_check(const json_t *arguments, json_t **ret_options, struct lsp_error *err)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(contradictions); i++)
		if (json_object_get(arguments, contradictions[i].key))
			return lsp_error_set(err, "torrent", LSP_E_INVALID,
				"%s contradicts --as-game: %s", contradictions[i].key,
				contradictions[i].why);
	_cleanup_json_ json_t *found = json_object();
	for (size_t i = 0; i < LSP_ARRAY_SIZE(options); i++) {
		json_t *value = json_object_get(arguments, options[i].key);
		if (value && !json_is_null(value))
			json_object_set(found, options[i].key, value);
	}
	int r = found ? lsp_torrent_add_check(found, err) : lsp_error_no_memory(err, "peer");
	if (r == 0)
		*ret_options = TAKE_PTR(found);
	return r;
}

void lsp_torrent_wish_apply(json_t *arguments, const json_t *wanted, enum lsp_torrent_stage stage)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(options); i++) {
		json_t *value = json_object_get(wanted, options[i].key);
		if (value && (options[i].stages & 1u << stage))
			json_object_set_new(arguments, options[i].key, json_deep_copy(value));
	}
}

static bool is_lasting(unsigned stages)
{
	return (stages & FETCH) && (stages & SEED);
}

void lsp_torrent_wish_apply_lasting(json_t *arguments, const json_t *wanted)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(options); i++) {
		json_t *value = json_object_get(wanted, options[i].key);
		if (value && is_lasting(options[i].stages))
			json_object_set_new(arguments, options[i].key, json_deep_copy(value));
	}
}

/* The engine has been told of it: that it says nothing of it means that it was taken away. */
static bool says_all(const char *key, unsigned stages)
{
	return is_lasting(stages) && strcmp(key, "trackers") != 0;
}

bool lsp_torrent_wish_note(json_t *wanted, const json_t *settings)
{
	bool changed = false;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(options); i++) {
		const char *key = options[i].key;
		json_t *before = json_object_get(wanted, key);
		json_t *now = json_object_get(settings, key);
		const char *text = json_string_value(now);
		if (!(options[i].stages & SEED) || (now && json_equal(before, now)) ||
			(text && strcmp(text, LSP_TORRENT_WISH_CATEGORY) == 0))
			continue;
		if (now)
			changed |= json_object_set_new(wanted, key, json_deep_copy(now)) == 0;
		else if (says_all(key, options[i].stages))
			changed |= json_object_del(wanted, key) == 0;
	}
	return changed;
}

/* ---- What is kept ---- */

static json_t *wish_of(const struct lsp_peer *peer, const char *id)
{
	return json_object_get(peer->torrent_wishes, id);
}

static void save(struct lsp_peer *peer)
{
	lsp_peer_save_json(peer, FILE_NAME, json_incref(peer->torrent_wishes));
}

/* Takes the value; NULL: none. */
static void set(struct lsp_peer *peer, const char *id, const char *key, json_t *value)
{
	json_t *wish = wish_of(peer, id);
	if (!wish && !value)
		return;
	if (!wish) {
		wish = json_object();
		json_object_set_new(peer->torrent_wishes, id, wish);
	}
	if (value)
		json_object_set_new(wish, key, value);
	else if (json_object_del(wish, key) < 0)
		return;
	if (json_object_size(wish) == 0)
		json_object_del(peer->torrent_wishes, id);
	save(peer);
}

json_t *lsp_torrent_wish_options(const struct lsp_peer *peer, const char *id)
{
	return json_object_get(wish_of(peer, id), "options");
}

void lsp_torrent_wish_keep(struct lsp_peer *peer, const char *id, json_t *wanted)
{
	lsp_torrent_wish_drop(peer, id);
	if (json_object_size(wanted))
		set(peer, id, "options", json_deep_copy(wanted));
}

void lsp_torrent_wish_update(struct lsp_peer *peer, const char *id, const json_t *settings)
{
	_cleanup_json_ json_t *now = json_object();
	json_t *before = lsp_torrent_wish_options(peer, id);
	if (!now || (before && json_object_update(now, before) < 0))
		return;
	if (lsp_torrent_wish_note(now, settings))
		set(peer, id, "options", json_object_size(now) ? json_incref(now) : NULL);
}

bool lsp_torrent_wish_stopped(const struct lsp_peer *peer, const char *id)
{
	return json_is_true(json_object_get(wish_of(peer, id), "stopped"));
}

void lsp_torrent_wish_set_stopped(struct lsp_peer *peer, const char *id, bool stopped)
{
	set(peer, id, "stopped", stopped ? json_true() : NULL);
}

json_t *lsp_torrent_wish_promise(const struct lsp_peer *peer, const char *id)
{
	return json_object_get(wish_of(peer, id), "promise");
}

bool lsp_torrent_wish_promised(
	const struct lsp_peer *peer, const char *id, struct lsp_hash *ret_content)
{
	json_t *content = json_object_get(lsp_torrent_wish_promise(peer, id), "content");
	const char *hex = json_string_value(content);
	return hex && lsp_hash_from_hex(hex, ret_content, NULL) == 0;
}

void lsp_torrent_wish_set_promise(struct lsp_peer *peer, const char *id, json_t *promise)
{
	set(peer, id, "promise", promise);
}

int lsp_torrent_wish_is_kept(const struct lsp_peer *peer, const char *id,
	const struct lsp_hash *content, struct lsp_error *err)
{
	_cleanup_free_ char *path = lsp_text_format("%s/" FILE_NAME, peer->state_dir);
	_cleanup_json_ json_t *document = NULL;
	struct lsp_error why = {0};
	char hex[LSP_SHA256_HEX_SIZE];
	int r = path ? lsp_json_file_read(path, &document, &why)
		     : lsp_error_no_memory(&why, "peer");
	json_t *promise = json_object_get(json_object_get(document, id), "promise");
	const char *kept = json_string_value(json_object_get(promise, "content"));
	lsp_hash_to_hex(content, hex);
	if (r == 0 && kept && strcmp(kept, hex) == 0)
		return 0;
	return lsp_error_set(err, "torrent", LSP_E_FAILED,
		"what becomes of its files cannot be kept in %.200s (is the disk full?), so they "
		"stay the torrent's%s%.200s",
		peer->state_dir, r < 0 ? ": " : "", r < 0 ? why.message : "");
}

void lsp_torrent_wish_drop(struct lsp_peer *peer, const char *id)
{
	if (json_object_del(peer->torrent_wishes, id) == 0)
		save(peer);
}
