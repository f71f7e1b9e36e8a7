#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *lsp_text_format(const char *format, ...)
{
	char *text;
	va_list arguments;
	va_start(arguments, format);
	int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	return length < 0 ? NULL : text;
}

bool lsp_text_starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool lsp_text_ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), tail = strlen(suffix);
	return length >= tail && memcmp(text + length - tail, suffix, tail) == 0;
}

void lsp_text_to_hex(const uint8_t *data, size_t size, char *ret_hex)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < size; i++) {
		ret_hex[2 * i] = digits[data[i] >> 4];
		ret_hex[2 * i + 1] = digits[data[i] & 15];
	}
	ret_hex[2 * size] = '\0';
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool lsp_text_from_hex(const char *hex, uint8_t *ret_data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		int high = digit_value(hex[2 * i]);
		int low = high < 0 ? -1 : digit_value(hex[2 * i + 1]);
		if (low < 0)
			return false;
		ret_data[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int lsp_text_to_u64(const char *text, uint64_t *ret_value, struct lsp_error *err)
{
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		return lsp_error_set(
			err, "base", LSP_E_INVALID, "\"%.40s\" is not a whole number", text);
	*ret_value = value;
	return 0;
}

const char *lsp_text_size(uint64_t bytes, char out[LSP_TEXT_SIZE_MAX])
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	if (bytes < 1000) {
		snprintf(out, LSP_TEXT_SIZE_MAX, "%u bytes", (unsigned)bytes);
		return out;
	}
	double value = (double)bytes / 1000;
	size_t unit = 0;
	while (value >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
		value /= 1000;
		unit++;
	}
	snprintf(out, LSP_TEXT_SIZE_MAX, "%.1f %s", value, units[unit]);
	return out;
}
