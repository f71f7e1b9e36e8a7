/*
 * Where the disk of a folder is mounted, so that it can be told later whether it still is.
 *
 * The folder of a disk that is not mounted is an empty one, or none: files that are gone look like
 * files that were deleted, and what is written there fills the disk below. Device numbers do not
 * tell, for they change; that something is mounted at the very place does.
 *
 * Functions block on the disk, but for those of the table, which is the kernel's: a disk that does
 * not answer is not touched by them. From any thread.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stddef.h>

/* The highest folder above `folder` (or above where it would be) on the same filesystem; "/" for
 * that of the root. The caller frees it. NULL: no memory, or too long for a path. */
char *lsp_mount_of(const char *folder);
/* -LSP_E_NOT_FOUND: nothing is mounted there. NULL (it is not known) is fine. */
LSP_MUST_CHECK int lsp_mount_check(const char *mount, struct lsp_error *err);

/* What is mounted, as the kernel's table has it (proc_pid_mounts(5)). Of zeros it is empty. */
struct lsp_mounts {
	char **points;
	size_t count;
};

#define LSP_MOUNTS_TABLE "/proc/self/mounts"

/* table: its path. One that cannot be read to its end is an error, and nothing of it is known. */
LSP_MUST_CHECK int lsp_mounts_read(
	const char *table, struct lsp_mounts *ret_mounts, struct lsp_error *err);
/*
 * The mount point that an absolute path is below by its name alone: a symbolic link on the way is
 * not followed. NULL: none is. It lives as long as the table.
 */
const char *lsp_mounts_above(const struct lsp_mounts *mounts, const char *path);
void lsp_mounts_done(struct lsp_mounts *mounts);
