/*
 * A sample of pieces: is what lies on the disk likely to be the whole torrent?
 *
 * Before a torrent is seeded without a check, up to LSP_SAMPLE_PIECES of its pieces are read and
 * compared with their hashes: the first, the last, and others by chance; and every file must be
 * there and have its size. It reads the disk and blocks; from a task of its own.
 */
#pragma once

#include "base/error.h"
#include "torrent/shim.h"

struct lsp_cancel;

#define LSP_SAMPLE_PIECES 16

/*
 * root: the top folder's name below save_path. 0: all that was looked at is right.
 * -LSP_E_CORRUPT names the file that is not; -LSP_E_NOT_FOUND one that is missing.
 */
LSP_MUST_CHECK int lsp_sample_check(const struct lsp_shim_functions *shim,
	struct lsp_shim_source *source, const char *save_path, const char *root, uint64_t seed,
	struct lsp_cancel *token, struct lsp_error *err);
