#include "wire/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void lsp_base64_encode(const void *data, size_t size, char *out)
{
	const uint8_t *in = data;
	for (size_t i = 0; i < size; i += 3) {
		size_t n = size - i < 3 ? size - i : 3;
		uint32_t group = (uint32_t)in[i] << 16;
		group |= n > 1 ? (uint32_t)in[i + 1] << 8 : 0;
		group |= n > 2 ? in[i + 2] : 0;
		*out++ = alphabet[group >> 18];
		*out++ = alphabet[group >> 12 & 63];
		*out++ = n > 1 ? alphabet[group >> 6 & 63] : '=';
		*out++ = n > 2 ? alphabet[group & 63] : '=';
	}
	*out = '\0';
}

/* 0 to 63, or −1. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* n bytes (1 to 3) from four characters; false when they are not base64 of so many. */
static bool decode_group(const char *text, uint8_t *out, size_t n)
{
	uint32_t group = 0;
	for (size_t i = 0; i < 4; i++) {
		int value = i <= n ? value_of(text[i]) : text[i] == '=' ? 0 : -1;
		if (value < 0)
			return false;
		group = group << 6 | (uint32_t)value;
	}
	for (size_t i = 0; i < 3; i++) {
		uint8_t byte = (uint8_t)(group >> (16 - 8 * i));
		if (i < n)
			out[i] = byte;
		else if (byte)
			return false;
	}
	return true;
}

int lsp_base64_decode(
	const char *text, size_t text_size, uint8_t *ret_data, size_t size, struct lsp_error *err)
{
	if (text_size != lsp_base64_size(size))
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL,
			"base64 of %zu characters does not stand for %zu bytes", text_size, size);
	for (size_t i = 0; i < size; i += 3) {
		if (!decode_group(text + i / 3 * 4, ret_data + i, LSP_MIN(size - i, (size_t)3)))
			return lsp_error_set(err, "wire", LSP_E_PROTOCOL,
				"not base64 at character %zu", i / 3 * 4);
	}
	return 0;
}
