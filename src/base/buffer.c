#include "base/buffer.h"

#include <stdarg.h>
#include <string.h>

void lsp_buffer_done(struct lsp_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct lsp_buffer){0};
}

int lsp_buffer_reserve(struct lsp_buffer *buffer, size_t extra, struct lsp_error *err)
{
	if (extra <= buffer->capacity - buffer->size)
		return 0;
	if (extra > SIZE_MAX / 2 - buffer->size)
		return lsp_error_no_memory(err, "base");
	size_t wanted = LSP_MAX(buffer->size + extra, (size_t)64);
	wanted = LSP_MAX(wanted, buffer->capacity * 2);
	uint8_t *data = realloc(buffer->data, wanted);
	if (!data)
		return lsp_error_no_memory(err, "base");
	buffer->data = data;
	buffer->capacity = wanted;
	return 0;
}

int lsp_buffer_append(
	struct lsp_buffer *buffer, const void *data, size_t size, struct lsp_error *err)
{
	int r = lsp_buffer_reserve(buffer, size, err);
	if (r < 0)
		return r;
	if (size)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
	return 0;
}

int lsp_buffer_printf(struct lsp_buffer *buffer, struct lsp_error *err, const char *format, ...)
{
	va_list arguments, again;
	va_start(arguments, format);
	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	int r = length < 0 ? lsp_error_set(err, "base", LSP_E_INVALID, "text cannot be formatted")
			   : lsp_buffer_reserve(buffer, (size_t)length + 1, err);
	if (r == 0) {
		vsnprintf((char *)buffer->data + buffer->size, (size_t)length + 1, format, again);
		buffer->size += (size_t)length;
	}
	va_end(again);
	return r;
}

void lsp_buffer_consume(struct lsp_buffer *buffer, size_t count)
{
	count = LSP_MIN(count, buffer->size);
	buffer->size -= count;
	if (buffer->size)
		memmove(buffer->data, buffer->data + count, buffer->size);
}
