#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const code_names[LSP_E_CODE_COUNT] = {
	[LSP_OK] = "ok",
	[LSP_E_FAILED] = "failed",
	[LSP_E_NO_MEMORY] = "no_memory",
	[LSP_E_INVALID] = "invalid",
	[LSP_E_PROTOCOL] = "protocol",
	[LSP_E_TOO_LARGE] = "too_large",
	[LSP_E_NOT_FOUND] = "not_found",
	[LSP_E_EXISTS] = "exists",
	[LSP_E_BUSY] = "busy",
	[LSP_E_DENIED] = "denied",
	[LSP_E_NO_SPACE] = "no_space",
	[LSP_E_IO] = "io",
	[LSP_E_CANCELLED] = "cancelled",
	[LSP_E_TIMEOUT] = "timeout",
	[LSP_E_CLOSED] = "closed",
	[LSP_E_UNSUPPORTED] = "unsupported",
	[LSP_E_CORRUPT] = "corrupt",
};

#define MESSAGE_SIZE sizeof((struct lsp_error *)NULL)->message
/* What is formatted before it is cut: two of the longest paths that Linux takes, and words. */
#define WHOLE_SIZE (2 * 4096 + 1024)
#define GAP "…"

static bool is_inside_a_character(char byte)
{
	return ((unsigned char)byte & 0xC0) == 0x80;
}

/*
 * At most `most` bytes of the text, in place. What is too much is taken from its middle, between
 * two characters: a message begins with what failed and ends with why, and a long path lies
 * between.
 */
static void shorten(char *text, size_t most)
{
	size_t size = strlen(text);
	if (size <= most)
		return;
	size_t keep = most - (sizeof GAP - 1), head = keep / 3, tail = size - (keep - head);
	while (head > 0 && is_inside_a_character(text[head]))
		head--;
	while (tail < size && is_inside_a_character(text[tail]))
		tail++;
	memcpy(text + head, GAP, sizeof GAP - 1);
	memmove(text + head + sizeof GAP - 1, text + tail, size - tail + 1);
}

/* The bytes of a character that begins so. */
static size_t size_of_character(char first)
{
	unsigned char byte = (unsigned char)first;
	return byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
}

/* A text that did not fit may end inside a character: that goes. */
static void drop_torn_character(char *text)
{
	size_t size = strlen(text), first = size;
	while (first > 0 && is_inside_a_character(text[first - 1]))
		first--;
	if (first > 0 && size - (first - 1) < size_of_character(text[first - 1]))
		text[first - 1] = '\0';
}

static void format_whole(char whole[WHOLE_SIZE], const char *format, va_list arguments)
{
	if (vsnprintf(whole, WHOLE_SIZE, format, arguments) >= WHOLE_SIZE)
		drop_torn_character(whole);
}

/* The message, with `why` (": …", or "") behind it. */
static void fill(struct lsp_error *err, const char *domain, int code, int sys_errno,
	const char *why, const char *format, va_list arguments)
{
	/* Formatted aside first: an argument may be the old message of the same error. */
	char whole[WHOLE_SIZE];
	format_whole(whole, format, arguments);
	shorten(whole, MESSAGE_SIZE - 1 - strlen(why));
	err->domain = domain;
	err->code = code;
	err->sys_errno = sys_errno;
	size_t size = strlen(whole);
	memcpy(err->message, whole, size);
	memcpy(err->message + size, why, strlen(why) + 1);
}

int lsp_error_set(struct lsp_error *err, const char *domain, int code, const char *format, ...)
{
	if (err) {
		va_list arguments;
		va_start(arguments, format);
		fill(err, domain, code, 0, "", format, arguments);
		va_end(arguments);
	}
	return -code;
}

static int code_of_errno(int sys_errno)
{
	switch (sys_errno) {
	case ENOSPC:
	case EDQUOT:
		return LSP_E_NO_SPACE;
	case ENOENT:
		return LSP_E_NOT_FOUND;
	case EEXIST:
	case ENOTEMPTY:
		return LSP_E_EXISTS;
	case EACCES:
	case EPERM:
	case EROFS:
	case EXDEV:
	case ELOOP:
	case ENOTDIR:
		return LSP_E_DENIED;
	case ENOMEM:
		return LSP_E_NO_MEMORY;
	case EBUSY:
	case ETXTBSY:
		return LSP_E_BUSY;
	case ETIMEDOUT:
		return LSP_E_TIMEOUT;
	default:
		return LSP_E_IO;
	}
}

int lsp_error_errno(
	struct lsp_error *err, const char *domain, int sys_errno, const char *format, ...)
{
	int code = code_of_errno(sys_errno);
	if (err) {
		char text[128], why[sizeof text + 2];
		snprintf(why, sizeof why, ": %s", strerror_r(sys_errno, text, sizeof text));
		va_list arguments;
		va_start(arguments, format);
		fill(err, domain, code, sys_errno, why, format, arguments);
		va_end(arguments);
	}
	return -code;
}

int lsp_error_no_memory(struct lsp_error *err, const char *domain)
{
	return lsp_error_set(err, domain, LSP_E_NO_MEMORY, "out of memory");
}

int lsp_error_prefix(struct lsp_error *err, int r, const char *format, ...)
{
	if (!err)
		return r;
	char message[WHOLE_SIZE + 2 + MESSAGE_SIZE];
	va_list arguments;
	va_start(arguments, format);
	format_whole(message, format, arguments);
	va_end(arguments);
	shorten(message, MESSAGE_SIZE / 2);
	size_t size = strlen(message);
	snprintf(message + size, sizeof message - size, ": %s", err->message);
	shorten(message, MESSAGE_SIZE - 1);
	memcpy(err->message, message, strlen(message) + 1);
	err->code = -r;
	return r;
}

void lsp_error_clear(struct lsp_error *err)
{
	if (err)
		memset(err, 0, sizeof *err);
}

const char *lsp_code_name(int code)
{
	if (code < 0 || code >= LSP_E_CODE_COUNT)
		return "failed";
	return code_names[code];
}
