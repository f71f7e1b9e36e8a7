/*
 * The fork and exec of a child process, and nothing else: see child.h for what the child gets.
 * Called by the thread that will outlive the child, since the child is killed when it ends.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

struct lsp_spawn {
	const char *const *argv;
	const char *const *environment; /* NULL: our own */
	int streams[3];                 /* become 0, 1, 2; −1: inherited */
	const int *fds;                 /* become 3, 4, … */
	size_t fd_count;
};

/*
 * Returns when exec has happened or failed. The pidfd is the caller's to close, and the process the
 * caller's to reap.
 */
LSP_MUST_CHECK int lsp_spawn(
	const struct lsp_spawn *spawn, pid_t *ret_pid, int *ret_pidfd, struct lsp_error *err);
