/*
 * `lanspread add`: a folder or an archive that somebody has becomes a game in the library.
 *
 * The game's folder gets the files themselves (blocks shared with the original where the filesystem
 * can, never hard links), or, packed, one archive `<game>.tar`; and version.ini, the version and a
 * line feed, last. The same input gives the same bytes on every machine, so two people who add the
 * same thing have one content id: a packed archive has its files in the order of their names'
 * bytes, one fixed time, no owners, and modes 0644 or 0755.
 *
 * A folder is packed when it was asked for, and when it has symlinks, which shared content cannot
 * hold. Names that other systems cannot have are refused unless packed. An original version.ini at
 * the top of the folder is left out. Everything is prepared in `.lanspread/install/` and moved by
 * one redo list: a crash leaves no half game (only leftovers that recovery deletes).
 *
 * Blocks, in the calling task's thread; cancelled within 1 MiB of copying.
 */
#pragma once

#include "base/error.h"
#include "install/install.h"

#include <stdbool.h>
#include <stdint.h>

struct lsp_add_options {
	const char *game;    /* its id: the name of its folder in the games folder */
	const char *version; /* "20240131" or "1.2.10" */
	bool pack;
	struct lsp_cancel *token;
	lsp_install_progress progress; /* phases "looking", "copying", "packing", "syncing" */
	void *argument;
};

struct lsp_add_result {
	uint64_t size;  /* bytes of the new game's content */
	uint64_t files; /* of the original */
	bool packed;
	char *cover; /* a picture in the folder that may be its cover (cover.jpg, folder.png …): an
			absolute path; NULL: none */
};

void lsp_add_result_done(struct lsp_add_result *result);

/*
 * source: the user's own path of a folder or an archive. -LSP_E_EXISTS when the game is in the
 * library; -LSP_E_INVALID for an id, a version or a file name that cannot be (says which);
 * -LSP_E_DENIED for a device or a link that leads out; -LSP_E_NO_SPACE.
 */
LSP_MUST_CHECK int lsp_add(int games_fd, const char *source, const struct lsp_add_options *options,
	struct lsp_add_result *ret_result, struct lsp_error *err);
