/*
 * The content of a game as an install sees it: its files (what is shared: not `local/`,
 * `local.kept-…`, `.lanspread/`), and where each of them lies. During an update a part of the new
 * content is still in the download's stage and the rest where it was; this is the one place that
 * knows.
 */
#pragma once

#include "base/error.h"
#include "task/cancel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lsp_install_source_file {
	char *path;  /* in the content */
	char *where; /* below the game's folder */
	uint64_t size;
	bool executable;
};

struct lsp_install_source {
	int game_fd;                           /* borrowed */
	struct lsp_install_source_file *files; /* sorted by path, bytes */
	size_t count, capacity;
	uint64_t size;
};

void lsp_install_source_done(struct lsp_install_source *source);
#define _cleanup_install_source_ _cleanup_(lsp_install_source_done)

/*
 * All files of the game's folder. A symlink or a device in it is -LSP_E_DENIED (no shared content
 * has them).
 */
LSP_MUST_CHECK int lsp_install_source_read(int game_fd, struct lsp_cancel *token,
	struct lsp_install_source *ret_source, struct lsp_error *err);

/*
 * The files named in `paths`, each taken from `overlay` (a folder below the game's) if it is there,
 * else from the game's folder. -LSP_E_NOT_FOUND names one that is in neither.
 */
LSP_MUST_CHECK int lsp_install_source_overlay(int game_fd, const char *overlay,
	const char *const *paths, size_t count, struct lsp_install_source *ret_source,
	struct lsp_error *err);

/* NULL when there is no such path. */
const struct lsp_install_source_file *lsp_install_source_find(
	const struct lsp_install_source *source, const char *path);

/* The version in its version.ini, "" when there is none that can be read. */
void lsp_install_source_version(
	const struct lsp_install_source *source, char *ret_version, size_t size);
