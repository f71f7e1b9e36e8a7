/* The same frames come out whether the bytes arrive at once or in pieces. The first byte chooses.
 */
#include "wire/frame.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 4096

/* A digest of the frames in the bytes; the last bit says how it ended. */
static uint64_t decode(const uint8_t *data, size_t size, size_t piece)
{
	struct lsp_frame_decoder decoder;
	uint64_t digest = 14695981039346656037u;
	lsp_frame_decoder_init(&decoder, LIMIT);
	for (size_t at = 0; at < size;) {
		const char *payload;
		size_t used, length;
		int r = lsp_frame_decoder_feed(&decoder, data + at, LSP_MIN(piece, size - at),
			&used, &payload, &length, NULL);
		if (r < 0) {
			lsp_frame_decoder_done(&decoder);
			return digest << 1;
		}
		if (r == 1 && (length == 0 || length > LIMIT || payload[length] != '\0'))
			abort();
		for (size_t i = 0; r == 1 && i < length; i++)
			digest = (digest ^ (uint8_t)payload[i]) * 1099511628211u;
		at += used;
	}
	lsp_frame_decoder_done(&decoder);
	return digest << 1 | 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	size_t piece = data[0] % 64 + 1u;
	if (decode(data + 1, size - 1, piece) != decode(data + 1, size - 1, size))
		abort();
	return 0;
}
