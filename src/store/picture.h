/*
 * Cover pictures: which kind a run of bytes is, told by its first bytes alone, never by a name.
 * Whatever is none of the kinds here is not shown to a browser. Pure; from every thread.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>

#define LSP_PICTURE_MAX ((size_t)2 << 20) /* bytes of a cover */

enum lsp_picture {
	LSP_PICTURE_NONE,
	LSP_PICTURE_PNG,
	LSP_PICTURE_JPEG,
	LSP_PICTURE_WEBP,
	LSP_PICTURE_GIF
};

enum lsp_picture lsp_picture_kind(const void *data, size_t size);
/* "image/png" and so on; NULL for none. */
const char *lsp_picture_type(enum lsp_picture kind);

/* -LSP_E_TOO_LARGE over the cap, -LSP_E_INVALID for what is no picture of these kinds. */
LSP_MUST_CHECK int lsp_picture_check(const void *data, size_t size, struct lsp_error *err);
