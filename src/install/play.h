/*
 * `lanspread play`: what would be run to play an installed game. Only found here, never started:
 * the client runs it in its own session, on its user's own command.
 *
 * In this order: what version.ini's `start=` names (below `local/`, arguments may follow), else
 * `start.sh`, else nothing but the folder itself, to be opened. An .exe is run by wine, a .cmd or
 * .bat by wine's cmd; a script without its executable bit by sh. The program's folder is the
 * working directory.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct lsp_play {
	char **argv; /* NULL-terminated; argv[0] an absolute path */
	char *cwd;   /* absolute */
	bool folder; /* it opens the folder, since the game has nothing to start */
};

void lsp_play_done(struct lsp_play *play);

/*
 * search_path: where wine and xdg-open are looked for; NULL: $PATH. -LSP_E_NOT_FOUND: not
 * installed, or `start=` names what is not there; -LSP_E_DENIED: it leads out of `local/`;
 * -LSP_E_UNSUPPORTED: it needs a program (wine, xdg-open) that is not installed, which the message
 * names.
 */
LSP_MUST_CHECK int lsp_play_find(
	int game_fd, const char *search_path, struct lsp_play *ret_play, struct lsp_error *err);

/* The same for the folder at `path` (absolute): what shows it in the desktop's file manager. */
LSP_MUST_CHECK int lsp_play_find_folder(const char *path, const char *search_path,
	struct lsp_play *ret_play, struct lsp_error *err);
