/*
 * Covers: what counts as a picture, and what stands in for one that is missing. Pure; any thread.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The type that the first bytes tell, whatever anybody said it were: PNG, JPEG, GIF, WebP. NULL for
 * everything else; SVG is not among them, since it can carry scripts.
 */
const char *lsp_http_picture_type(const void *data, size_t size);

/* Standard alphabet, padded (RFC 4648, 4). At most `limit` bytes come out. */
LSP_MUST_CHECK int lsp_http_base64_decode(const char *text, size_t length, size_t limit,
	struct lsp_buffer *ret_data, struct lsp_error *err);

/*
 * A poster drawn from a title and an id: the id chooses colours and pattern, so that a game looks
 * the same everywhere; the title is written on it. An SVG of 300 by 450, some kilobytes, without
 * anything that acts or loads. Both texts may be anything.
 */
LSP_MUST_CHECK int lsp_http_poster(
	const char *id, const char *title, struct lsp_buffer *ret_svg, struct lsp_error *err);
