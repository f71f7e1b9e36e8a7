/*
 * The socket file: made with mode 0600 and never with another, under another name until somebody
 * listens, held by a lock beside it.
 *
 * The lock (PATH.lock, flock) says whether a peer serves PATH: it vanishes with its process,
 * however that ends. So a socket file without a held lock is a stale one and is replaced; what is
 * not a socket is never touched; a socket that somebody answers is left to them.
 *
 * One owner. Blocks only on the disk.
 */
#pragma once

#include "base/error.h"

struct lsp_control_socket {
	int fd; /* listens; non-blocking */
	int lock_fd;
	char *path;
};

/* -LSP_E_BUSY when a live peer serves that path; -LSP_E_EXISTS when something else is there. */
LSP_MUST_CHECK int lsp_control_socket_open(
	const char *path, struct lsp_control_socket *ret_socket, struct lsp_error *err);
/* Removes the socket file and the lock. Zeroed or closed before is fine. */
void lsp_control_socket_close(struct lsp_control_socket *socket);
