/*
 * Frames: a 4-byte big-endian length and that many bytes of JSON. The one codec of the wire, of the
 * control socket and of the pipes to child processes.
 *
 * The decoder is fed whatever pieces arrive. It stops behind each frame and says how much it took,
 * since raw bytes may follow a frame on a stream. A length of 0 or above the limit is refused when
 * its four bytes are there, before anything is allocated; for a length that is allowed, memory
 * grows with the bytes that really came, so that a promise of 1 MiB costs nothing.
 *
 * Pure; one owner, one thread.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LSP_FRAME_HEADER_SIZE 4
#define LSP_FRAME_MAX ((size_t)1 << 20)        /* between peers */
#define LSP_FRAME_MAX_LOCAL ((size_t)64 << 20) /* control socket, child pipes */

/* Appends header and payload. -LSP_E_TOO_LARGE for 0 bytes or more than `limit`. */
LSP_MUST_CHECK int lsp_frame_append(struct lsp_buffer *buffer, const void *payload, size_t size,
	size_t limit, struct lsp_error *err);
/* The same with a JSON value as the payload; the buffer stays as it was on failure. */
LSP_MUST_CHECK int lsp_frame_append_json(
	struct lsp_buffer *buffer, const json_t *value, size_t limit, struct lsp_error *err);

struct lsp_frame_decoder {
	size_t limit;
	uint8_t header[LSP_FRAME_HEADER_SIZE];
	size_t header_size;
	size_t length;            /* known when the header is there */
	struct lsp_buffer buffer; /* the payload so far */
	bool delivered;           /* the frame in the buffer was handed out */
};

void lsp_frame_decoder_init(struct lsp_frame_decoder *decoder, size_t limit);
void lsp_frame_decoder_done(struct lsp_frame_decoder *decoder);

/*
 * Takes bytes: *ret_used of them. Returns 1 with a frame when one is complete: *ret_payload lives
 * until the next call and is followed by a NUL that does not count; 0 when all bytes were taken and
 * more are needed; -LSP_E_PROTOCOL (length 0), -LSP_E_TOO_LARGE (above the limit) or
 * -LSP_E_NO_MEMORY, after which the decoder is of no further use.
 */
LSP_MUST_CHECK int lsp_frame_decoder_feed(struct lsp_frame_decoder *decoder, const void *data,
	size_t size, size_t *ret_used, const char **ret_payload, size_t *ret_size,
	struct lsp_error *err);

/* True between frames: a stream that ends elsewhere was cut. */
static inline bool lsp_frame_decoder_is_idle(const struct lsp_frame_decoder *decoder)
{
	return decoder->delivered || decoder->header_size == 0;
}
