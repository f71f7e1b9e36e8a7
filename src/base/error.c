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

static void fill(struct lsp_error *err, const char *domain, int code, int sys_errno,
	const char *format, va_list arguments)
{
	/* Formatted aside first: an argument may be the old message of the same error. */
	char message[sizeof err->message];
	vsnprintf(message, sizeof message, format, arguments);
	err->domain = domain;
	err->code = code;
	err->sys_errno = sys_errno;
	memcpy(err->message, message, sizeof message);
}

int lsp_error_set(struct lsp_error *err, const char *domain, int code, const char *format, ...)
{
	if (err) {
		va_list arguments;
		va_start(arguments, format);
		fill(err, domain, code, 0, format, arguments);
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
		va_list arguments;
		va_start(arguments, format);
		fill(err, domain, code, sys_errno, format, arguments);
		va_end(arguments);
		size_t length = strlen(err->message);
		char text[128];
		snprintf(err->message + length, sizeof err->message - length, ": %s",
			strerror_r(sys_errno, text, sizeof text));
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
	char before[sizeof err->message], message[2 * sizeof err->message + 2];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(before, sizeof before, format, arguments);
	va_end(arguments);
	snprintf(message, sizeof message, "%s: %s", before, err->message);
	memcpy(err->message, message, sizeof err->message);
	err->message[sizeof err->message - 1] = '\0';
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
