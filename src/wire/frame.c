#include "wire/frame.h"

#include "wire/json.h"

#include <string.h>

/* Room is made in steps of this much, as bytes arrive. */
#define STEP ((size_t)16 << 10)

static void put_header(uint8_t *header, size_t size)
{
	header[0] = (uint8_t)(size >> 24);
	header[1] = (uint8_t)(size >> 16);
	header[2] = (uint8_t)(size >> 8);
	header[3] = (uint8_t)size;
}

static int check_size(size_t size, size_t limit, struct lsp_error *err)
{
	if (size == 0 || size > limit)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE,
			"a frame holds 1 to %zu bytes, not %zu", limit, size);
	return 0;
}

int lsp_frame_append(struct lsp_buffer *buffer, const void *payload, size_t size, size_t limit,
	struct lsp_error *err)
{
	int r = check_size(size, limit, err);
	if (r == 0)
		r = lsp_buffer_reserve(buffer, LSP_FRAME_HEADER_SIZE + size, err);
	if (r < 0)
		return r;
	put_header(buffer->data + buffer->size, size);
	memcpy(buffer->data + buffer->size + LSP_FRAME_HEADER_SIZE, payload, size);
	buffer->size += LSP_FRAME_HEADER_SIZE + size;
	return 0;
}

int lsp_frame_append_json(
	struct lsp_buffer *buffer, const json_t *value, size_t limit, struct lsp_error *err)
{
	size_t start = buffer->size;
	static const uint8_t nothing[LSP_FRAME_HEADER_SIZE];
	int r = lsp_buffer_append(buffer, nothing, sizeof nothing, err);
	if (r == 0)
		r = lsp_json_append(value, buffer, err);
	size_t size = buffer->size - start - LSP_FRAME_HEADER_SIZE;
	if (r == 0)
		r = check_size(size, limit, err);
	if (r < 0) {
		buffer->size = start;
		return r;
	}
	put_header(buffer->data + start, size);
	return 0;
}

void lsp_frame_decoder_init(struct lsp_frame_decoder *decoder, size_t limit)
{
	*decoder = (struct lsp_frame_decoder){.limit = limit};
}

void lsp_frame_decoder_done(struct lsp_frame_decoder *decoder)
{
	lsp_buffer_done(&decoder->buffer);
}

/* Completes the header from the bytes; how many it took, or an error. */
static int feed_header(struct lsp_frame_decoder *decoder, const uint8_t *data, size_t size,
	size_t *ret_used, struct lsp_error *err)
{
	size_t take = LSP_MIN(size, LSP_FRAME_HEADER_SIZE - decoder->header_size);
	if (take)
		memcpy(decoder->header + decoder->header_size, data, take);
	decoder->header_size += take;
	*ret_used = take;
	if (decoder->header_size < LSP_FRAME_HEADER_SIZE)
		return 0;
	const uint8_t *h = decoder->header;
	decoder->length = (size_t)h[0] << 24 | (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3];
	if (decoder->length == 0)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "a frame of length 0");
	if (decoder->length > decoder->limit)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE,
			"a frame of %zu bytes, more than %zu", decoder->length, decoder->limit);
	return 0;
}

int lsp_frame_decoder_feed(struct lsp_frame_decoder *decoder, const void *data, size_t size,
	size_t *ret_used, const char **ret_payload, size_t *ret_size, struct lsp_error *err)
{
	const uint8_t *bytes = data;
	size_t used = 0;
	if (decoder->delivered) {
		decoder->delivered = false;
		decoder->header_size = 0;
		lsp_buffer_reset(&decoder->buffer);
	}
	if (decoder->header_size < LSP_FRAME_HEADER_SIZE) {
		int r = feed_header(decoder, bytes, size, &used, err);
		if (r < 0)
			return r;
	}
	struct lsp_buffer *buffer = &decoder->buffer;
	while (used < size && buffer->size < decoder->length) {
		size_t take = LSP_MIN(size - used, decoder->length - buffer->size);
		take = LSP_MIN(take, STEP);
		int r = lsp_buffer_reserve(buffer, take + 1, err);
		if (r < 0)
			return r;
		memcpy(buffer->data + buffer->size, bytes + used, take);
		buffer->size += take;
		used += take;
	}
	*ret_used = used;
	if (decoder->header_size < LSP_FRAME_HEADER_SIZE || buffer->size < decoder->length)
		return 0;
	buffer->data[buffer->size] = '\0';
	decoder->delivered = true;
	*ret_payload = (const char *)buffer->data;
	*ret_size = buffer->size;
	return 1;
}
