/*
 * What the last scans and hashings of a games folder found: library.db in the state folder.
 *
 * For every game of a games folder (known by the folder's own id, since a disk may be mounted
 * elsewhere tomorrow) it holds the fingerprint of the files that were hashed, the content that they
 * are, and the manifest. A start that finds the same fingerprint has the game ready without reading
 * a byte of it. Beside them lie the hashes of single files (store/hash_cache.h). All of it is a
 * cache: losing it costs time.
 *
 * Threads: the index belongs to one thread, which also is its only writer. Manifests and file roots
 * can be read from every thread through a reader of one's own. Everything may block on the disk.
 */
#pragma once

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/sha256.h"
#include "wire/path.h"
#include "wire/version.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LSP_FOLDER_ID_SIZE 33   /* 32 hexadecimal digits and a NUL */
#define LSP_INDEX_FOLDERS_MAX 8 /* games folders that are remembered, the last used ones */

/* Two sums over a game's files: what they are (names, sizes, modification), and when inodes
 * changed. */
struct lsp_fingerprint {
	uint64_t files[2];
	uint64_t changes;
};

struct lsp_index_game {
	char id[LSP_GAME_ID_MAX + 1];
	struct lsp_fingerprint fingerprint;
	uint64_t structure; /* a sum over its folders and their times; 0: not known */
	struct lsp_hash content;
	uint64_t size;
	uint32_t file_count;
	uint32_t chunk_count;
	uint32_t piece_length;
	char version[LSP_VERSION_TEXT_MAX + 1];
};

struct lsp_library_index;

/* Opens <state_folder>/library.db; one that is damaged is built anew. */
LSP_MUST_CHECK int lsp_library_index_open(
	const char *state_folder, struct lsp_library_index **ret_index, struct lsp_error *err);
void lsp_library_index_close(struct lsp_library_index *index);
LSP_DEFINE_CLEANUP(struct lsp_library_index *, lsp_library_index_close);
#define _cleanup_library_index_ _cleanup_(lsp_library_index_close_pointer)

/* Chooses the games folder that the calls below are about. */
LSP_MUST_CHECK int lsp_library_index_use(
	struct lsp_library_index *index, const char *folder_id, struct lsp_error *err);

/* All games of the folder, by id, in an array that the caller frees. */
LSP_MUST_CHECK int lsp_library_index_load(struct lsp_library_index *index,
	struct lsp_index_game **ret_games, size_t *ret_count, struct lsp_error *err);

/* Keeps a game and its manifest (in the transport form of wire/manifest.h), replacing the last. */
LSP_MUST_CHECK int lsp_library_index_put(struct lsp_library_index *index,
	const struct lsp_index_game *game, const void *manifest, size_t manifest_size,
	struct lsp_error *err);
/* The same files, in folders of these times. */
LSP_MUST_CHECK int lsp_library_index_touch(
	struct lsp_library_index *index, const char *id, uint64_t structure, struct lsp_error *err);
/* The game, its manifest and its files' hashes. Absent is fine. */
LSP_MUST_CHECK int lsp_library_index_remove(
	struct lsp_library_index *index, const char *id, struct lsp_error *err);

/* ---- Reading beside the owner -------------------------------------------------------------- */

/*
 * The manifest's bytes. A connection of its own for the one call: from every thread.
 * -LSP_E_NOT_FOUND when there is none for that game with that content.
 */
LSP_MUST_CHECK int lsp_library_index_manifest(const char *state_folder, const char *folder_id,
	const char *id, const struct lsp_hash *content, struct lsp_buffer *ret_manifest,
	struct lsp_error *err);
