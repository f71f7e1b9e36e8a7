/*
 * The hashes of single files, so that nothing is read twice to learn what it is.
 *
 * A file is known by its games folder's id, its game, its path in there, its size and the time of
 * its last modification, and by its time of change where a filesystem has one that means something
 * (0 otherwise); device and inode numbers are left out, for they differ each time a removable disk
 * is plugged in. What is remembered is the root of its hash tree and, for a file of several pieces,
 * its piece layer with the piece length that it was made for.
 *
 * It is part of the library index (one database, one writer). While a game is hashed on another
 * thread nobody touches the database: the owner loads the game's known files into a table (struct
 * lsp_file_hashes), the hasher looks up and adds there, and the owner stores the table afterwards.
 * A table belongs to one thread at a time.
 *
 * The index by root tells where a file with certain content lies on this machine: how a renamed
 * copy is adopted without a download.
 */
#pragma once

#include "store/library_index.h"

struct lsp_file_hash {
	const char *path; /* relative to the game's folder */
	uint64_t size;
	int64_t mtime_ns;
	int64_t ctime_ns;
	struct lsp_hash root;
	uint32_t piece_length; /* of the layer; 0 without one */
	uint32_t layer_count;
	const struct lsp_hash *layer;
	bool used; /* looked up with success, or added, since the table was loaded */
};

/* A table of one game's files. Zero-initialised is empty. */
struct lsp_file_hashes {
	struct lsp_file_hash *files; /* an open-addressed hash table, path NULL: a free slot */
	size_t capacity;             /* a power of two, or 0 */
	size_t count;
};

void lsp_file_hashes_done(struct lsp_file_hashes *hashes);
#define _cleanup_file_hashes_ _cleanup_(lsp_file_hashes_done)

/* NULL unless path, size and times agree; a ctime_ns of 0 on either side agrees with all. */
const struct lsp_file_hash *lsp_file_hashes_find(struct lsp_file_hashes *hashes, const char *path,
	uint64_t size, int64_t mtime_ns, int64_t ctime_ns);
/* Copies it, replacing what was there for that path. */
LSP_MUST_CHECK int lsp_file_hashes_add(
	struct lsp_file_hashes *hashes, const struct lsp_file_hash *file, struct lsp_error *err);

/* What is known of the game's files. Hashes that are damaged on disk are left out. */
LSP_MUST_CHECK int lsp_hash_cache_load(struct lsp_library_index *index, const char *game,
	struct lsp_file_hashes *ret_hashes, struct lsp_error *err);
/* Adds the table's entries to what is known of the game, in one transaction. */
LSP_MUST_CHECK int lsp_hash_cache_add(struct lsp_library_index *index, const char *game,
	const struct lsp_file_hashes *hashes, struct lsp_error *err);
/*
 * Makes the table what is known of the game, in one transaction. only_used: entries that were not
 * used since they were loaded are of files that are gone, and go too.
 */
LSP_MUST_CHECK int lsp_hash_cache_store(struct lsp_library_index *index, const char *game,
	const struct lsp_file_hashes *hashes, bool only_used, struct lsp_error *err);
