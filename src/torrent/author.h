/*
 * Making a .torrent of what lies on the disk.
 *
 * A folder or a file is walked and hashed in one pass: its trees (v2), and for a hybrid the SHA-1
 * of its pieces too. For a library game the manifest has the trees, and only a hybrid reads; what
 * it reads must have those trees. Links and names that are no UTF-8 are errors that name the file;
 * in a game's folder what is never shared (`local/`, `.lanspread/`, …) is left out. A file that
 * changes meanwhile, or is not the manifest's, is -LSP_E_BUSY.
 *
 * Blocks on disk and processor: for a task of its own. Ends within a MiB of reading after the token
 * was cancelled (-LSP_E_CANCELLED). `progress` is called on the same thread, about once a MiB.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "wire/manifest.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct lsp_cancel;

struct lsp_author {
	const char *path;                    /* absolute; NULL where nothing has to be read */
	const struct lsp_manifest *manifest; /* NULL: the trees are made */
	const char *name;                    /* NULL: the manifest's, the path's last */
	bool hybrid;
	uint32_t piece_length; /* 0: by the size, as a game's */
	bool is_private;
	const char *source, *comment;
	const json_t *trackers, *web_seeds;
	int64_t created;
	void (*progress)(void *argument, uint64_t done, uint64_t total); /* bytes; may be NULL */
	void *argument;
};

/* Appends the .torrent. -LSP_E_INVALID, -LSP_E_NOT_FOUND and others name the file. */
LSP_MUST_CHECK int lsp_author_run(const struct lsp_author *author, struct lsp_cancel *token,
	struct lsp_buffer *buffer, struct lsp_error *err);
