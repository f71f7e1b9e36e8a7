#include "peer/torrent_check.h"

#include "peer/local.h"
#include "wire/manifest.h"
#include "wire/metainfo.h"
#include "wire/path.h"
#include "wire/version.h"

#include <stdlib.h>
#include <string.h>

static int check_version(uint64_t size, struct lsp_error *err)
{
	if (size == 0)
		return lsp_error_set(err, "torrent", LSP_E_INVALID,
			"its version.ini is empty, so it is no game: add it without --as-game");
	if (size > LSP_VERSION_FILE_MAX)
		return lsp_error_set(err, "torrent", LSP_E_INVALID,
			"its version.ini has %llu bytes, and none has more than %d, so it is no "
			"game: add it without --as-game",
			(unsigned long long)size, LSP_VERSION_FILE_MAX);
	return 0;
}

static int compare(const void *one, const void *other)
{
	const struct lsp_manifest_entry *a = one, *b = other;
	return lsp_path_compare(a->path, b->path);
}

static int check_twice(struct lsp_manifest_entry *entries, size_t count, struct lsp_error *err)
{
	qsort(entries, count, sizeof *entries, compare);
	for (size_t i = 1; i < count; i++) {
		const char *before = entries[i - 1].path, *path = entries[i].path;
		size_t size = strlen(before);
		if (strcmp(before, path) == 0)
			return lsp_error_set(err, "torrent", LSP_E_INVALID,
				"no game may have the torrent's files: \"%.300s\" is there twice",
				path);
		if (strncmp(before, path, size) == 0 && path[size] == '/')
			return lsp_error_set(err, "torrent", LSP_E_INVALID,
				"no game may have the torrent's files: \"%.300s\" is a file and a "
				"folder",
				before);
	}
	return 0;
}

/* All but sizes and hashes: a manifest of these files could be built, which is what they become. */
static int check(const char *game, struct lsp_manifest_entry *entries, size_t count,
	const char *called, struct lsp_error *err)
{
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
	bool has_version = false;
	uint64_t version_size = 0;
	for (size_t i = 0; i < count; i++) {
		memset(&entries[i].root, 1, sizeof entries[i].root);
		if (strcmp(entries[i].path, "version.ini") == 0) {
			has_version = true;
			version_size = entries[i].size;
		}
		entries[i].size = LSP_MIN(entries[i].size, UINT64_C(1)); /* of one piece */
	}
	if (!has_version)
		return lsp_error_set(err, "torrent", LSP_E_INVALID,
			"\"%s\" carries no version.ini, so it is no game: add it without --as-game",
			called);
	int r = check_twice(entries, count, err);
	if (r < 0)
		return r;
	r = lsp_manifest_build(game, entries, count, &manifest, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "no game may have the torrent's files");
	return check_version(version_size, err);
}

int lsp_torrent_check_metainfo(
	const struct lsp_metainfo *metainfo, const char *game, struct lsp_error *err)
{
	size_t count = metainfo->single ? 0 : metainfo->file_count;
	_cleanup_free_ struct lsp_manifest_entry *entries = calloc(count + 1, sizeof *entries);
	if (!entries)
		return lsp_error_no_memory(err, "peer");
	for (size_t i = 0; i < count; i++) {
		const struct lsp_metainfo_file *file = &metainfo->files[i];
		if (file->symlink)
			return lsp_error_set(err, "torrent", LSP_E_INVALID,
				"\"%.300s\" is a symbolic link, which no game may have",
				file->path);
		entries[i].path = file->path;
		entries[i].size = file->size;
	}
	return check(game, entries, count, metainfo->name, err);
}

int lsp_torrent_check_listed(const char *game, const json_t *files, struct lsp_error *err)
{
	size_t count = json_array_size(files);
	_cleanup_free_ struct lsp_manifest_entry *entries = calloc(count + 1, sizeof *entries);
	if (!entries)
		return lsp_error_no_memory(err, "peer");
	for (size_t i = 0; i < count; i++) {
		const json_t *file = json_array_get(files, i);
		const char *path = json_string_value(json_object_get(file, "path"));
		entries[i].path = path ? path : "";
		entries[i].size = (uint64_t)json_integer_value(json_object_get(file, "size"));
	}
	return check(game, entries, count, game, err);
}

int lsp_torrent_check_id_free(const struct lsp_peer *peer, const char *game, struct lsp_error *err)
{
	const struct lsp_library_game *local = lsp_local_find(peer, game);
	if (local && local->availability != LSP_AVAILABILITY_NONE &&
		local->availability != LSP_AVAILABILITY_LOCAL_ONLY)
		return lsp_error_set(err, "torrent", LSP_E_EXISTS,
			"there is a game \"%s\" here with another content: `lanspread remove %s` "
			"first, or give another id with --set game=ID",
			game, game);
	return 0;
}
