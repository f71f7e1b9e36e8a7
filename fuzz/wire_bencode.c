/* What reads as bencoding is written back the same, token by token: there is one spelling. */
#include "wire/bencode.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int write_back(const struct lsp_bencode_token *token, struct lsp_buffer *buffer)
{
	switch (token->type) {
	case LSP_BENCODE_INTEGER:
		return lsp_bencode_put_integer(buffer, token->integer, NULL);
	case LSP_BENCODE_STRING:
		return lsp_bencode_put_string(buffer, token->string, token->size, NULL);
	case LSP_BENCODE_LIST:
		return lsp_bencode_begin_list(buffer, NULL);
	case LSP_BENCODE_DICT:
		return lsp_bencode_begin_dict(buffer, NULL);
	default:
		return lsp_bencode_end(buffer, NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buffer_ struct lsp_buffer buffer = {0};
	struct lsp_bencode_reader reader, skipper;
	struct lsp_bencode_token token;
	lsp_bencode_reader_init(&reader, data, size);
	lsp_bencode_reader_init(&skipper, data, size);
	bool skips = lsp_bencode_skip(&skipper, NULL) == 0 &&
		     lsp_bencode_next(&skipper, &token, NULL) == 0;
	bool reads = false;
	while (lsp_bencode_next(&reader, &token, NULL) == 0) {
		reads = token.type == LSP_BENCODE_DONE;
		if (reads || write_back(&token, &buffer) < 0)
			break;
	}
	if (reads != skips)
		abort();
	if (reads && (buffer.size != size || memcmp(buffer.data, data, size) != 0))
		abort();
	return 0;
}
