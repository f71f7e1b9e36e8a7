/*
 * Where the disk of a folder is mounted, so that it can be told later whether it still is.
 *
 * The folder of a disk that is not mounted is an empty one, or none: files that are gone look like
 * files that were deleted, and what is written there fills the disk below. Device numbers do not
 * tell, for they change; that something is mounted at the very place does.
 *
 * Functions block on the disk. From any thread.
 */
#pragma once

#include "base/error.h"

/* The highest folder above `folder` (or above where it would be) on the same filesystem; "/" for
 * that of the root. The caller frees it. NULL: no memory, or too long for a path. */
char *lsp_mount_of(const char *folder);
/* -LSP_E_NOT_FOUND: nothing is mounted there. NULL (it is not known) is fine. */
LSP_MUST_CHECK int lsp_mount_check(const char *mount, struct lsp_error *err);
