#include "http/path.h"

#include "base/text.h"

#include <string.h>
#include <utf8proc.h>

static bool is_utf8(const char *text, size_t length)
{
	const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
	utf8proc_ssize_t left = (utf8proc_ssize_t)length;
	while (left > 0) {
		utf8proc_int32_t codepoint;
		utf8proc_ssize_t used = utf8proc_iterate(at, left, &codepoint);
		if (used <= 0)
			return false;
		at += used;
		left -= used;
	}
	return true;
}

static bool decode_segment(const char *raw, size_t length, char out[LSP_HTTP_MAX_SEGMENT])
{
	size_t used = 0;
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)raw[i];
		if (byte == '%') {
			char digits[3] = {0};
			if (length - i < 3)
				return false;
			memcpy(digits, raw + i + 1, 2);
			if (!lsp_text_from_hex(digits, &byte, 1))
				return false;
			i += 2;
		}
		if (byte == '/' || byte == '\\' || byte < 0x20 || byte == 0x7f)
			return false;
		if (used + 1 >= LSP_HTTP_MAX_SEGMENT)
			return false;
		out[used++] = (char)byte;
	}
	out[used] = '\0';
	return strcmp(out, ".") != 0 && strcmp(out, "..") != 0 && is_utf8(out, used);
}

bool lsp_http_path_parse(struct lsp_http_path *ret_path, const char *raw)
{
	ret_path->count = 0;
	if (raw[0] != '/')
		return false;
	if (!raw[1])
		return true;
	for (const char *at = raw; *at == '/';) {
		const char *start = at + 1;
		size_t length = strcspn(start, "/");
		if (length == 0 || ret_path->count == LSP_HTTP_MAX_SEGMENTS)
			return false;
		if (!decode_segment(start, length, ret_path->segments[ret_path->count]))
			return false;
		ret_path->count++;
		at = start + length;
	}
	return true;
}

bool lsp_http_path_match(const struct lsp_http_path *path, const char *pattern,
	const char *ret_parameters[LSP_HTTP_MAX_PARAMETERS])
{
	size_t index = 0, parameters = 0;
	if (strcmp(pattern, "/") == 0)
		return path->count == 0;
	for (const char *at = pattern; *at == '/'; index++) {
		const char *start = at + 1;
		size_t length = strcspn(start, "/");
		if (index >= path->count)
			return false;
		const char *segment = path->segments[index];
		if (start[0] == '{') {
			if (parameters < LSP_HTTP_MAX_PARAMETERS)
				ret_parameters[parameters++] = segment;
		} else if (strlen(segment) != length || memcmp(segment, start, length) != 0) {
			return false;
		}
		at = start + length;
	}
	return index == path->count;
}
