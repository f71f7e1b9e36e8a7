/*
 * Base64 (RFC 4648, section 4, with padding), strict: no line breaks, no spare bits. Pure; from
 * every thread.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the text for that many bytes, without its NUL. */
static inline size_t lsp_base64_size(size_t bytes)
{
	return (bytes + 2) / 3 * 4;
}

/* out has room for lsp_base64_size(size) + 1. */
void lsp_base64_encode(const void *data, size_t size, char *out);

/* Exactly `size` bytes; -LSP_E_PROTOCOL when the text is of another length or not base64. */
LSP_MUST_CHECK int lsp_base64_decode(
	const char *text, size_t text_size, uint8_t *ret_data, size_t size, struct lsp_error *err);
