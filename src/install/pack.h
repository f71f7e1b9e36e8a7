/*
 * One deterministic tar of a folder: the same files give the same bytes, whoever packs them, when
 * and where. POSIX ustar with pax records where a path, a link or a length does not fit
 * (POSIX.1-2001, pax Interchange Format); entries in the order of a walk by names' bytes; the time
 * is 1980-01-01.
 */
#pragma once

#include "base/error.h"
#include "task/cancel.h"

#include <stdint.h>

typedef int (*lsp_pack_step)(void *argument, uint64_t bytes, struct lsp_error *err);

/*
 * Packs what is below folder_fd, but for version.ini at its top, into the empty file `to_fd`.
 * -LSP_E_DENIED for what is no file, folder or symlink, and for a symlink that leads out;
 * -LSP_E_BUSY when a file changes its length meanwhile.
 */
LSP_MUST_CHECK int lsp_pack_folder(int folder_fd, int to_fd, struct lsp_cancel *token,
	lsp_pack_step step, void *argument, uint64_t *ret_size, struct lsp_error *err);
