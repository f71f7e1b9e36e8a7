#include "store/picture.h"

#include <string.h>

enum lsp_picture lsp_picture_kind(const void *data, size_t size)
{
	if (size >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
		return LSP_PICTURE_PNG;
	if (size >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0)
		return LSP_PICTURE_JPEG;
	if (size >= 12 && memcmp(data, "RIFF", 4) == 0 &&
		memcmp((const char *)data + 8, "WEBP", 4) == 0)
		return LSP_PICTURE_WEBP;
	if (size >= 6 && (memcmp(data, "GIF87a", 6) == 0 || memcmp(data, "GIF89a", 6) == 0))
		return LSP_PICTURE_GIF;
	return LSP_PICTURE_NONE;
}

const char *lsp_picture_type(enum lsp_picture kind)
{
	switch (kind) {
	case LSP_PICTURE_PNG:
		return "image/png";
	case LSP_PICTURE_JPEG:
		return "image/jpeg";
	case LSP_PICTURE_WEBP:
		return "image/webp";
	case LSP_PICTURE_GIF:
		return "image/gif";
	case LSP_PICTURE_NONE:
		break;
	}
	return NULL;
}

int lsp_picture_check(const void *data, size_t size, struct lsp_error *err)
{
	if (size > LSP_PICTURE_MAX)
		return lsp_error_set(err, "store", LSP_E_TOO_LARGE,
			"the picture has %zu bytes; a cover may have %zu", size, LSP_PICTURE_MAX);
	if (lsp_picture_kind(data, size) == LSP_PICTURE_NONE)
		return lsp_error_set(err, "store", LSP_E_INVALID,
			"the picture is none of PNG, JPEG, WebP and GIF");
	return 0;
}
