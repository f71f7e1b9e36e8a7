/* Starting other programs from the command line: a browser, a game, ourselves as a peer. */
#pragma once

#include "base/error.h"

#include <sys/types.h>

/*
 * Starts argv[0] (looked up in PATH) in a session of its own, with the signals that we block let
 * through, stdin from /dev/null, and stdout and stderr to the descriptors given (−1: /dev/null).
 */
LSP_MUST_CHECK int cli_start(
	const char *const argv[], int out_fd, int error_fd, pid_t *ret_pid, struct lsp_error *err);

/* Becomes argv[0] in folder `cwd` (NULL: stay). Returns only on failure. */
LSP_MUST_CHECK int cli_become(const char *const argv[], const char *cwd, struct lsp_error *err);

/*
 * Opens a link or folder in the desktop's program for it. -LSP_E_UNSUPPORTED where there is no
 * desktop or no xdg-open.
 */
LSP_MUST_CHECK int cli_open_in_desktop(const char *link, struct lsp_error *err);
