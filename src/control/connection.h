/*
 * One client of the control socket: its descriptor, its stream, what it sent and what waits to be
 * sent to it. Owned by the control task; every function returns at once.
 */
#pragma once

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "wire/frame.h"

#include <stdbool.h>
#include <stddef.h>

struct lanspread;
struct lanspread_stream;

struct lsp_control_client {
	struct lsp_control_client *next;
	int fd;
	struct lanspread *peer;
	struct lanspread_stream *stream;
	bool stream_over; /* it has ended: the peer has stopped */
	struct lsp_frame_decoder decoder;
	struct lsp_buffer out;
	size_t sent;        /* of out */
	lsp_time progress;  /* when it last read something, or had nothing to read */
	bool reading_over;  /* it closed its side, or broke the format */
	bool gone;          /* to be freed */
	int stream_watched; /* the descriptor that is in the epoll set for the stream; −1 */
	bool watches_write;
};

/* Takes the descriptor over, also on failure. */
LSP_MUST_CHECK int lsp_control_client_new(struct lanspread *peer, int fd, lsp_time now,
	struct lsp_control_client **ret_client, struct lsp_error *err);
void lsp_control_client_free(struct lsp_control_client *client);

/* Reads commands until the socket is empty, and sends them on. */
void lsp_control_client_read(struct lsp_control_client *client);
/* Moves events into `out` while that is short, and writes. */
void lsp_control_client_pump(struct lsp_control_client *client, lsp_time now);

/* Something waits to be written. */
static inline bool lsp_control_client_is_full(const struct lsp_control_client *client)
{
	return client->sent < client->out.size;
}

/* Says why to a client that is not let in, as far as its socket takes it, and closes. */
void lsp_control_turn_away(int fd, int code, const char *message);
