/*
 * The control socket: the public API for other programs on this machine, for the same user.
 *
 * Each connection is one client with an event stream of its own. It sends commands as frames
 * (wire/frame.h) and reads frames: first the events of its stream, local_games_updated leading, and
 * for each command, in the order of the commands, {"event":"accepted","request":N} or
 * {"event":"refused","error":{…}}; the answer to N follows. Commands and events pass through as
 * text.
 *
 * One task, "control", owns all of it and sleeps in one epoll set; nothing in it blocks, so nothing
 * here has a lock. Memory is bounded: events wait in the client's stream, which is bounded, until
 * the client has read what was sent before. A client that does not read at all for `stall` while
 * something waits for it is dropped; so is one that sends a frame over the limit. There are at most
 * LSP_CONTROL_MAX_CLIENTS. Only the same user and root may connect: the file's mode and the
 * kernel's word on the other side both say so.
 *
 * The task ends when the peer's streams have ended, or at most LSP_CONTROL_GRACE after its token
 * was cancelled: what happens in between, runtime_failed above all, still reaches the clients.
 */
#pragma once

#include "base/clock.h"
#include "base/error.h"

struct lanspread;
struct lsp_tasks;

#define LSP_CONTROL_MAX_CLIENTS 64
#define LSP_CONTROL_STALL (30 * LSP_SECOND)
#define LSP_CONTROL_GRACE (LSP_SECOND / 2)

struct lsp_control_options {
	const char *path; /* the socket; copied */
	uint64_t stall;   /* nanoseconds; 0: LSP_CONTROL_STALL */
};

/*
 * Opens the socket and starts the task, which owns everything from then on and cleans up when it
 * ends. The peer must not be freed before. Blocks on the disk for a moment.
 */
LSP_MUST_CHECK int lsp_control_start(struct lanspread *peer, struct lsp_tasks *tasks,
	const struct lsp_control_options *options, struct lsp_error *err);
