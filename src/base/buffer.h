/*
 * A growable run of bytes. Zero-initialised is empty and valid; lsp_buffer_done frees what it
 * holds and makes it empty again. One owner, one thread.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct lsp_buffer {
	uint8_t *data;
	size_t size;
	size_t capacity;
};

void lsp_buffer_done(struct lsp_buffer *buffer);
#define _cleanup_buffer_ _cleanup_(lsp_buffer_done)

/* Room for `extra` more bytes after size. */
LSP_MUST_CHECK int lsp_buffer_reserve(
	struct lsp_buffer *buffer, size_t extra, struct lsp_error *err);
LSP_MUST_CHECK int lsp_buffer_append(
	struct lsp_buffer *buffer, const void *data, size_t size, struct lsp_error *err);
LSP_MUST_CHECK int lsp_buffer_printf(
	struct lsp_buffer *buffer, struct lsp_error *err, const char *format, ...) LSP_PRINTF(3, 4);

/* Drops the first `count` bytes (at most size). */
void lsp_buffer_consume(struct lsp_buffer *buffer, size_t count);

/* Empties it and keeps the memory. */
static inline void lsp_buffer_reset(struct lsp_buffer *buffer)
{
	buffer->size = 0;
}
