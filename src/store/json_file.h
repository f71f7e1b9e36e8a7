/*
 * Small JSON documents on disk: what cannot be rebuilt (pins, choices, settings).
 *
 * A document is an object. Saving is atomic (base/fs.h: old content or new, whatever happens).
 * Loading one that cannot be understood never loses it and never stops the start: the file is
 * renamed to <name>.damaged, said in the log, and the document begins empty.
 *
 * Threads: any; save and load block on the disk.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

#define LSP_JSON_FILE_MAX ((size_t)16 << 20) /* bytes of a document */

/* An empty object when there is no file. The caller owns *ret_object. -LSP_E_IO and the like. */
LSP_MUST_CHECK int lsp_json_file_load(const char *path, json_t **ret_object, struct lsp_error *err);
/* The same, but -LSP_E_PROTOCOL names line and column of what is wrong, and the file stays. */
LSP_MUST_CHECK int lsp_json_file_read(const char *path, json_t **ret_object, struct lsp_error *err);
/* Indented, keys sorted, with a final newline; mode 0600. */
LSP_MUST_CHECK int lsp_json_file_save(
	const char *path, const json_t *object, struct lsp_error *err);
