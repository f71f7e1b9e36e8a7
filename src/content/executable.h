/*
 * Which files of a game are executable, where the disk cannot say.
 *
 * A content knows which of its files are executable, and its id depends on it; exFAT, NTFS and most
 * network disks show the same mode for all files. Where that happens, a download writes the paths
 * down, in `.lanspread/executable` beside the game, and who lists the folder believes that list
 * instead of the modes. Without the file, modes count.
 *
 * Reading and writing block on the disk; a loaded list belongs to one thread at a time.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "wire/manifest.h"

#include <stdbool.h>
#include <sys/stat.h>

#define LSP_EXECUTABLE_LIST ".lanspread/executable"

struct lsp_executables {
	bool listed; /* there is a list: modes do not count */
	struct lsp_buffer text;
	const char **paths; /* into the text, sorted by strcmp */
	size_t count;
};

/* Zeroed first. A list that cannot be read is an error: by the modes it would be another content.
 */
LSP_MUST_CHECK int lsp_executables_load(
	int game_fd, struct lsp_executables *ret_list, struct lsp_error *err);
void lsp_executables_done(struct lsp_executables *list);
#define _cleanup_executables_ _cleanup_(lsp_executables_done)

/* Is this file of the game, with that mode, executable? */
bool lsp_executables_has(const struct lsp_executables *list, const char *path, mode_t mode);

/* Writes the list of a content. */
LSP_MUST_CHECK int lsp_executables_write(
	int game_fd, const struct lsp_manifest *manifest, struct lsp_error *err);
