#include "install/extract_name.h"

#include "base/buffer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define DOMAIN "install"

/* Code page 437 from 0x80 on, as Unicode (IBM's table). */
/* clang-format off */
static const uint16_t code_page_437[128] = {
	0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8,
	0x00ef, 0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2,
	0x00fb, 0x00f9, 0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1,
	0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd,
	0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562,
	0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534,
	0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560,
	0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b,
	0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df, 0x0393,
	0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e, 0x03c6,
	0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248, 0x00b0,
	0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
};
/* clang-format on */

static int from_code_page(const char *raw, struct lsp_buffer *out, struct lsp_error *err)
{
	int r = 0;
	for (; r == 0 && *raw; raw++) {
		unsigned char byte = (unsigned char)*raw;
		utf8proc_uint8_t text[4];
		utf8proc_ssize_t size =
			utf8proc_encode_char(byte < 0x80 ? byte : code_page_437[byte - 0x80], text);
		r = lsp_buffer_append(out, text, (size_t)size, err);
	}
	return r < 0 ? r : lsp_buffer_append(out, "", 1, err);
}

static int to_nfc(const char *raw, char **ret_text, struct lsp_error *err)
{
	char *text = (char *)utf8proc_NFC((const utf8proc_uint8_t *)raw);
	if (!text) {
		_cleanup_buffer_ struct lsp_buffer converted = {0};
		int r = from_code_page(raw, &converted, err);
		if (r < 0)
			return r;
		text = (char *)utf8proc_NFC(converted.data);
	}
	if (!text)
		return lsp_error_no_memory(err, DOMAIN);
	*ret_text = text;
	return 0;
}

static int refuse(const char *raw, const char *why, struct lsp_error *err)
{
	return lsp_error_set(
		err, DOMAIN, LSP_E_DENIED, "the archive has an entry \"%.150s\" that %s", raw, why);
}

int lsp_extract_clean_name(const char *raw, uint32_t depth, char **ret_path, struct lsp_error *err)
{
	_cleanup_free_ char *text = NULL;
	int r = to_nfc(raw, &text, err);
	if (r < 0)
		return r;
	if (*text == '/')
		return refuse(raw, "starts at the root", err);
	char *out = text;
	const char *at = text;
	uint32_t names = 0;
	while (*at) {
		size_t length = strcspn(at, "/");
		for (size_t i = 0; i < length; i++)
			if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f)
				return refuse(raw, "has a control character", err);
		if (length == 2 && at[0] == '.' && at[1] == '.')
			return refuse(raw, "leads out of the game", err);
		if (length > 255)
			return refuse(raw, "has a name longer than 255 bytes", err);
		bool keep = length && !(length == 1 && *at == '.');
		if (keep && ++names > depth)
			return lsp_error_set(err, DOMAIN, LSP_E_TOO_LARGE,
				"the archive has an entry \"%.150s…\" in more than %u folders", raw,
				depth);
		if (keep) {
			if (out != text)
				*out++ = '/';
			memmove(out, at, length);
			out += length;
		}
		at += length;
		at += *at == '/';
	}
	*out = '\0';
	*ret_path = TAKE_PTR(text);
	return 0;
}
