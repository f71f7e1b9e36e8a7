/* A message that decodes encodes, and means the same when it is decoded again. */
#include "wire/frame.h"
#include "wire/message.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct lsp_buffer *a, const struct lsp_buffer *b)
{
	return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* Behind a blank nothing is read by the short way of what is frequent. */
static int decode_the_long_way(const char *text, size_t size, struct lsp_request *ret_request)
{
	_cleanup_buffer_ struct lsp_buffer spaced = {0};
	if (lsp_buffer_append(&spaced, " ", 1, NULL) < 0 ||
		lsp_buffer_append(&spaced, text, size, NULL) < 0)
		abort();
	return lsp_request_decode((char *)spaced.data, spaced.size, ret_request, NULL);
}

static void try_request(const char *text, size_t size)
{
	_cleanup_request_ struct lsp_request request = {0}, again = {0}, slow = {0};
	_cleanup_buffer_ struct lsp_buffer one = {0}, two = {0};
	int r = lsp_request_decode(text, size, &request, NULL);
	if (size < 1 << 16 && decode_the_long_way(text, size, &slow) != r)
		abort();
	if (r < 0)
		return;
	if (lsp_request_append(&request, &one, NULL) < 0 ||
		lsp_request_decode((char *)one.data + LSP_FRAME_HEADER_SIZE,
			one.size - LSP_FRAME_HEADER_SIZE, &again, NULL) < 0 ||
		lsp_request_append(&again, &two, NULL) < 0 || !same(&one, &two))
		abort();
}

static void try_response(const char *text, size_t size)
{
	_cleanup_response_ struct lsp_response response = {0}, again = {0};
	_cleanup_buffer_ struct lsp_buffer one = {0}, two = {0};
	if (lsp_response_decode(text, size, &response, NULL) < 0)
		return;
	if (lsp_response_append(&response, &one, NULL) < 0 ||
		lsp_response_decode((char *)one.data + LSP_FRAME_HEADER_SIZE,
			one.size - LSP_FRAME_HEADER_SIZE, &again, NULL) < 0 ||
		lsp_response_append(&again, &two, NULL) < 0 || !same(&one, &two))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_request((const char *)data, size);
	try_response((const char *)data, size);
	return 0;
}
