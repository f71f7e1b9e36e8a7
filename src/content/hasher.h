/*
 * From a folder to a manifest.
 *
 * Scanning takes names, sizes and times (a struct lsp_listing); hashing reads what no cache vouches
 * for. Both leave out what is never shared: `local/`, `local.kept-…`, `.lanspread/`. A symlink, a
 * device, a FIFO, a name that no manifest may have are errors that name the file: `add --pack`
 * takes such a folder as one archive.
 *
 * A stamp is what tells a changed file without reading it. A file that changes while it is read is
 * read again, three times at most; one that was written less than two seconds before it was hashed
 * may change again within the same tick of its clock, so it does not go to the cache, and the
 * result says when to hash again.
 *
 * Functions block on the disk and the processor: call them on a hash thread, never on a loop. They
 * return -LSP_E_CANCELLED soon (within 1 MiB of reading) after their token is cancelled. Callbacks
 * run on the calling thread.
 */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "base/sha256.h"
#include "wire/manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct lsp_cancel;

struct lsp_file_stamp {
	uint64_t size;
	int64_t mtime_ns; /* since 1970 */
	int64_t ctime_ns; /* 0 where it means nothing */
};

void lsp_file_stamp_from(const struct stat *st, struct lsp_file_stamp *ret_stamp);
/* Sizes and times of modification; and of change, unless one is 0. */
bool lsp_file_stamp_equal(const struct lsp_file_stamp *a, const struct lsp_file_stamp *b);

/* ---- Scan ------------------------------------------------------------------------------- */

struct lsp_listing_file {
	char *path;
	struct lsp_file_stamp stamp;
	bool executable;
};

struct lsp_listing {
	struct lsp_listing_file *files; /* in lsp_path_compare order */
	size_t count;
	uint64_t total_size;
};

/* The files below a game's folder. Zeroed first; free with lsp_listing_done. */
LSP_MUST_CHECK int lsp_listing_read(int dir_fd, struct lsp_cancel *token,
	struct lsp_listing *ret_listing, struct lsp_error *err);
void lsp_listing_done(struct lsp_listing *listing);
#define _cleanup_listing_ _cleanup_(lsp_listing_done)

/* Same files, stamps and modes: what was hashed from the one is true of the other. */
bool lsp_listing_equal(const struct lsp_listing *a, const struct lsp_listing *b);

/* ---- Hash ------------------------------------------------------------------------------- */

/*
 * Where hashes of files are remembered; the caller keys it by the games folder's id and the game.
 * layer has ⌈size / piece_length⌉ hashes when size > piece_length, else none. Never asked for empty
 * files.
 */
struct lsp_hash_cache_hooks {
	/* 1: known, filled in; 0: not known. Trouble with the cache is 0 too. */
	int (*lookup)(void *argument, const char *path, const struct lsp_file_stamp *stamp,
		uint32_t piece_length, struct lsp_hash *ret_root, struct lsp_hash *ret_layer);
	void (*store)(void *argument, const char *path, const struct lsp_file_stamp *stamp,
		uint32_t piece_length, const struct lsp_hash *root, const struct lsp_hash *layer,
		size_t layer_count);
	void *argument;
};

struct lsp_hasher_options {
	const struct lsp_hash_cache_hooks *cache; /* NULL: none */
	/* Bytes settled so far (hashed, or vouched for), of the total. At most once a MiB. */
	void (*progress)(void *argument, uint64_t done, uint64_t total);
	void *progress_argument;
	const struct lsp_clock *clock; /* whose wall time tells young files; NULL: the system's */
};

struct lsp_hashed {
	const struct lsp_manifest *manifest; /* a reference of the receiver's */
	struct lsp_listing listing;          /* the stamps that the hashes belong to; same order */
	uint64_t bytes_read;                 /* the rest was vouched for */
	uint64_t settles_at; /* wall ns: hash again then, some files were young; 0: all settled */
};

/*
 * Scans the folder and hashes it as the content of the game `name`. An empty folder is
 * -LSP_E_NOT_FOUND; files that keep changing are -LSP_E_BUSY.
 */
LSP_MUST_CHECK int lsp_hasher_run(int dir_fd, const char *name,
	const struct lsp_hasher_options *options, struct lsp_cancel *token,
	struct lsp_hashed *ret_hashed, struct lsp_error *err);
void lsp_hashed_done(struct lsp_hashed *hashed);
#define _cleanup_hashed_ _cleanup_(lsp_hashed_done)

/*
 * One open file of `size` bytes: its root and, if it is longer than a piece, its piece layer
 * (room for ⌈size / piece_length⌉ hashes). step is called with each run of bytes in turn, may be
 * NULL, and stops the work with a negative code. -LSP_E_BUSY when the file is not that long.
 */
typedef int (*lsp_hasher_step)(
	void *argument, const uint8_t *data, size_t size, struct lsp_error *err);
LSP_MUST_CHECK int lsp_hasher_file(int fd, uint64_t size, uint32_t piece_length,
	struct lsp_hash *ret_root, struct lsp_hash *ret_layer, lsp_hasher_step step, void *argument,
	struct lsp_error *err);

/* Does this chunk of an open file have its hash? 0, -LSP_E_CORRUPT, or an error of reading. */
LSP_MUST_CHECK int lsp_hasher_check_chunk(
	int fd, const struct lsp_chunk *chunk, struct lsp_error *err);
