#include "peer/damage.h"

#include "base/buffer.h"
#include "base/text.h"
#include "peer/peer.h"
#include "wire/path.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define RECORD "damaged.json"
#define NAMED_MAX 2 /* files in a line */
#define NAME_MAX_BYTES 100
#define PRINT_SIZE 33 /* 32 hexadecimal digits and a NUL */

/* What a game was when it was served last; kept as long as it is damaged. */
struct before {
	struct before *prev, *next;
	char game[LSP_GAME_ID_MAX + 1];
	struct lsp_fingerprint fingerprint;
	const struct lsp_manifest *manifest;
};

struct lsp_damage {
	struct before *befores;
	json_t *records; /* game id → {"content", "damaged", "fingerprint", "files"} */
};

int lsp_damage_new(struct lsp_peer *peer, struct lsp_damage **ret_damage, struct lsp_error *err)
{
	struct lsp_damage *damage = calloc(1, sizeof *damage);
	if (!damage)
		return lsp_error_no_memory(err, "peer");
	damage->records = lsp_peer_load_json(peer, RECORD);
	*ret_damage = damage;
	return 0;
}

static void drop(struct lsp_damage *damage, struct before *before)
{
	DL_DELETE(damage->befores, before);
	lsp_manifest_unref(before->manifest);
	free(before);
}

void lsp_damage_free(struct lsp_damage *damage)
{
	if (!damage)
		return;
	while (damage->befores)
		drop(damage, damage->befores);
	json_decref(damage->records);
	free(damage);
}

static struct before *find(const struct lsp_damage *damage, const char *game)
{
	struct before *before;
	DL_FOREACH(damage->befores, before)
	{
		if (strcmp(before->game, game) == 0)
			return before;
	}
	return NULL;
}

void lsp_damage_was(struct lsp_peer *peer, const struct lsp_library_game *game,
	const struct lsp_manifest *manifest)
{
	if (lsp_damage_is(peer, game, NULL))
		return; /* what it was before that is what counts */
	struct before *before = find(peer->damage, game->id);
	if (before)
		drop(peer->damage, before);
	before = calloc(1, sizeof *before);
	if (!before)
		return; /* then it is another content of the game, as if it had been written */
	snprintf(before->game, sizeof before->game, "%s", game->id);
	before->fingerprint = game->fingerprint;
	before->manifest = lsp_manifest_ref(manifest);
	DL_APPEND(peer->damage->befores, before);
}

/* ---- What differs ---- */

static json_t *chunk_count(const struct lsp_manifest *was, const struct lsp_manifest *is,
	const struct lsp_manifest_file *old, const struct lsp_manifest_file *new)
{
	json_int_t count = 0;
	for (uint32_t i = 0; i < old->chunk_count; i++) {
		struct lsp_chunk a, b;
		lsp_manifest_chunk(was, old->first_chunk + i, &a);
		if (new->chunk_count == old->chunk_count)
			lsp_manifest_chunk(is, new->first_chunk + i, &b);
		count += new->chunk_count != old->chunk_count || !lsp_hash_equal(&a.hash, &b.hash);
	}
	return json_integer(count);
}

/* Their names and sizes are the same. */
static json_t *compare(const struct lsp_manifest *was, const struct lsp_manifest *is)
{
	json_t *files = json_array();
	for (uint32_t i = 0; files && i < was->file_count; i++) {
		const struct lsp_manifest_file *old = &was->files[i];
		const struct lsp_manifest_file *new = lsp_manifest_find(is, old->path);
		if (new && !lsp_hash_equal(&old->root, &new->root))
			json_array_append_new(
				files, json_pack("{s:s, s:o, s:I}", "path", old->path, "chunks",
					       chunk_count(was, is, old, new), "of",
					       (json_int_t)old->chunk_count));
	}
	return files;
}

/* ---- The record ---- */

static const json_t *record_of(const struct lsp_peer *peer, const char *game)
{
	return json_object_get(peer->damage->records, game);
}

static bool has_hash(const json_t *record, const char *key, struct lsp_hash *ret_hash)
{
	const char *hex = json_string_value(json_object_get(record, key));
	return hex && lsp_hash_from_hex(hex, ret_hash, NULL) == 0;
}

static void save(struct lsp_peer *peer)
{
	lsp_peer_save_json(peer, RECORD, json_deep_copy(peer->damage->records));
}

static void print_to_hex(const struct lsp_fingerprint *print, char ret_hex[PRINT_SIZE])
{
	snprintf(
		ret_hex, PRINT_SIZE, "%016" PRIx64 "%016" PRIx64, print->files[0], print->files[1]);
}

/* False: no file differs (a mode does, which somebody set). */
static bool record(
	struct lsp_peer *peer, const struct before *before, const struct lsp_manifest *is)
{
	const struct lsp_manifest *was = before->manifest;
	char old[LSP_SHA256_HEX_SIZE], new[LSP_SHA256_HEX_SIZE], print[PRINT_SIZE];
	json_t *files = compare(was, is);
	if (!json_array_size(files)) {
		json_decref(files);
		return false;
	}
	lsp_hash_to_hex(&was->content_id, old);
	lsp_hash_to_hex(&is->content_id, new);
	print_to_hex(&before->fingerprint, print);
	json_object_set_new(peer->damage->records, before->game,
		json_pack("{s:s, s:s, s:s, s:o}", "content", old, "damaged", new, "fingerprint",
			print, "files", files));
	save(peer);
	_cleanup_free_ char *text = lsp_damage_text(peer, before->game);
	if (text)
		lsp_peer_warn(peer, "%s", text);
	return true;
}

bool lsp_damage_is(const struct lsp_peer *peer, const struct lsp_library_game *game,
	struct lsp_hash *ret_content)
{
	const json_t *found = game ? record_of(peer, game->id) : NULL;
	const char *known = json_string_value(json_object_get(found, "fingerprint"));
	struct lsp_hash was;
	char print[PRINT_SIZE];
	if (!known || game->state != LSP_LIBRARY_READY || !has_hash(found, "content", &was) ||
		lsp_hash_equal(&was, &game->content))
		return false;
	print_to_hex(&game->fingerprint, print);
	if (strcmp(print, known) != 0)
		return false;
	if (ret_content)
		*ret_content = was;
	return true;
}

/* A damaged game was hashed again. False: what differs is no file. */
static bool found_again(struct lsp_peer *peer, const struct before *before, const char *game,
	const struct lsp_manifest *manifest)
{
	json_t *found = json_object_get(peer->damage->records, game);
	struct lsp_hash known;
	if (has_hash(found, "damaged", &known) && lsp_hash_equal(&known, &manifest->content_id))
		return true;
	if (before)
		return record(peer, before, manifest);
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&manifest->content_id, hex);
	json_object_set_new(found, "damaged", json_string(hex));
	save(peer);
	return true;
}

bool lsp_damage_end(struct lsp_peer *peer, const char *game)
{
	struct before *before = find(peer->damage, game);
	if (before)
		drop(peer->damage, before);
	if (json_object_del(peer->damage->records, game) != 0)
		return false;
	save(peer);
	return true;
}

bool lsp_damage_found(struct lsp_peer *peer, const struct lsp_library_game *game,
	const struct lsp_manifest *manifest)
{
	const struct before *before = find(peer->damage, game->id);
	bool damaged = false;
	if (lsp_damage_is(peer, game, NULL))
		damaged = found_again(peer, before, game->id, manifest);
	else if (before && lsp_fingerprint_same_files(&before->fingerprint, &game->fingerprint) &&
		 !lsp_hash_equal(&before->manifest->content_id, &manifest->content_id))
		damaged = record(peer, before, manifest);
	if (!damaged)
		lsp_damage_end(peer, game->id);
	return damaged;
}

/* ---- In words ---- */

json_t *lsp_damage_files(const struct lsp_peer *peer, const char *game)
{
	return json_object_get(record_of(peer, game), "files");
}

char *lsp_damage_text(const struct lsp_peer *peer, const char *game)
{
	_cleanup_buffer_ struct lsp_buffer names = {0};
	json_t *files = lsp_damage_files(peer, game), *file;
	char name[NAME_MAX_BYTES + 1];
	size_t i, count = json_array_size(files);
	int r = 0;
	json_array_foreach (files, i, file) {
		const char *path = json_string_value(json_object_get(file, "path"));
		if (r < 0 || i == NAMED_MAX)
			break;
		path = path ? path : "?";
		lsp_label_clean(path, strlen(path), name, NAME_MAX_BYTES);
		r = lsp_buffer_printf(&names, NULL, "%s%s (%lld of %lld chunks)", i ? ", " : "",
			name, (long long)json_integer_value(json_object_get(file, "chunks")),
			(long long)json_integer_value(json_object_get(file, "of")));
	}
	if (r == 0 && count > NAMED_MAX)
		r = lsp_buffer_printf(&names, NULL, " and %zu more", count - NAMED_MAX);
	if (r < 0)
		return NULL;
	return lsp_text_format("%s is damaged on this disk: %.*s; `lanspread get %s` fetches what "
			       "is damaged again",
		game, (int)names.size, (const char *)names.data, game);
}
