/*
 * What is served: ranges of a game's files, under the manifest that was announced.
 *
 * A source opens files below the game's folder as they are asked for and keeps at most `max_open`
 * descriptors, the least recently used going first. A file is opened only as what was hashed: size
 * and time of modification must be those of the listing beside the manifest, then and on every
 * read. So a reader gets bytes of the announced content or an error
 * (-LSP_E_CORRUPT: changed; -LSP_E_NOT_FOUND: gone), never something else; the receiver verifies in
 * any case. An update or uninstall beside it does no harm: what is open stays readable.
 *
 * Told that a chunk was rejected, lsp_source_recheck hashes that file anew and says what to
 * withdraw; the source never serves those chunks again.
 *
 * Threads: all functions may be called from every thread at once; those that read block on the
 * disk, but for lsp_source_read_chunk_now.
 */
#pragma once

#include "base/bitmap.h"
#include "base/error.h"
#include "content/hasher.h"
#include "wire/manifest.h"

#include <stddef.h>
#include <stdint.h>

struct lsp_source;

/* listing: of the same files in the same order; both are taken over by reference and by copy. */
LSP_MUST_CHECK int lsp_source_new(int dir_fd, const struct lsp_manifest *manifest,
	const struct lsp_listing *listing, unsigned max_open, struct lsp_source **ret_source,
	struct lsp_error *err);
struct lsp_source *lsp_source_ref(struct lsp_source *source);
void lsp_source_unref(struct lsp_source *source);
LSP_DEFINE_CLEANUP(struct lsp_source *, lsp_source_unref);
#define _cleanup_source_ _cleanup_(lsp_source_unref_pointer)

const struct lsp_manifest *lsp_source_manifest(const struct lsp_source *source);

/* Exactly `size` bytes of a file, all of them inside it. */
LSP_MUST_CHECK int lsp_source_read(struct lsp_source *source, uint32_t file, uint64_t offset,
	void *data, size_t size, struct lsp_error *err);
/* The same by chunk; -LSP_E_NOT_FOUND for one that was withdrawn. */
LSP_MUST_CHECK int lsp_source_read_chunk(struct lsp_source *source, uint32_t chunk, uint64_t offset,
	void *data, size_t size, struct lsp_error *err);

/*
 * The same without waiting for the disk, so that a loop may ask: -LSP_E_BUSY when the file is not
 * open or the bytes are not in memory.
 */
LSP_MUST_CHECK int lsp_source_read_chunk_now(struct lsp_source *source, uint32_t chunk,
	uint64_t offset, void *data, size_t size, struct lsp_error *err);

/* Leaf hashes of a chunk (leaf_count of them), from the disk; -LSP_E_CORRUPT when they do not fit.
 */
LSP_MUST_CHECK int lsp_source_leaves(struct lsp_source *source, uint32_t chunk,
	struct lsp_hash *ret_leaves, struct lsp_error *err);

/* False for a chunk that was withdrawn. */
bool lsp_source_has(struct lsp_source *source, uint32_t chunk);

/*
 * Reads the file of a chunk that somebody rejected. wrong (initialised, chunk_count bits) gets the
 * bits of all its chunks whose bytes are not what was announced, all if it is gone or changed.
 */
LSP_MUST_CHECK int lsp_source_recheck(struct lsp_source *source, uint32_t chunk,
	struct lsp_cancel *token, struct lsp_bitmap *wrong, struct lsp_error *err);

/* Closes all descriptors (memory pressure, unmount); later reads open anew. */
void lsp_source_close_files(struct lsp_source *source);
