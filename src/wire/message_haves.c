/*
 * HaveUpdate, read without a tree. In a room everybody tells everybody of chunks, several times a
 * second: it is the one message whose decoding counts (docs/performance.md). Only what
 * lsp_request_append writes is read here; whatever differs from that, and all that is wrong, is
 * left to the decoder of all messages, which knows what to say about it.
 */
#include "wire/message_table.h"

#include <stdlib.h>
#include <string.h>

struct text {
	const char *at, *end;
};

static bool take(struct text *text, const char *word)
{
	size_t size = strlen(word);
	if ((size_t)(text->end - text->at) < size || memcmp(text->at, word, size) != 0)
		return false;
	text->at += size;
	return true;
}

static bool take_hash(struct text *text, struct lsp_hash *ret_hash)
{
	char hex[LSP_SHA256_HEX_SIZE] = {0};
	size_t size = sizeof hex - 1;
	if ((size_t)(text->end - text->at) < size)
		return false;
	memcpy(hex, text->at, size);
	text->at += size;
	return strlen(hex) == size && lsp_hash_from_hex(hex, ret_hash, NULL) == 0;
}

/* At most LSP_MESSAGE_CHUNKS_MAX, without needless zeros, as JSON has it. */
static bool take_number(struct text *text, uint64_t *ret_number)
{
	const char *start = text->at;
	uint64_t number = 0;
	while (text->at < text->end && *text->at >= '0' && *text->at <= '9') {
		number = number * 10 + (uint64_t)(*text->at++ - '0');
		if (number > LSP_MESSAGE_CHUNKS_MAX)
			return false;
	}
	*ret_number = number;
	return text->at > start && (*start != '0' || text->at == start + 1);
}

static bool take_ranges(struct text *text, struct lsp_ranges *ranges, size_t room)
{
	uint64_t total = 0;
	do {
		struct lsp_range range;
		if (ranges->count == room || !take(text, "[") || !take_number(text, &range.first) ||
			!take(text, ",") || !take_number(text, &range.count) || !range.count ||
			!take(text, "]"))
			return false;
		total += range.count;
		if (total > LSP_MESSAGE_CHUNKS_MAX)
			return false;
		ranges->items[ranges->count++] = range;
	} while (take(text, ","));
	return true;
}

int lsp_message_read_haves(
	const char *data, size_t size, struct lsp_chunk_set *ret_set, struct lsp_error *err)
{
	struct text text = {data, data + size};
	struct lsp_chunk_set set = {0};
	if (!take(&text, "{\"HaveUpdate\":{\"content\":\"") || !take_hash(&text, &set.content) ||
		!take(&text, "\",\"chunks\":["))
		return 0;
	size_t room = LSP_MIN((size_t)(text.end - text.at) / strlen("[0,1],") + 1,
		(size_t)LSP_MESSAGE_RANGES_MAX);
	set.chunks.items = malloc(room * sizeof *set.chunks.items);
	if (!set.chunks.items)
		return lsp_error_no_memory(err, "wire");
	if (take_ranges(&text, &set.chunks, room) && take(&text, "]}}") && text.at == text.end) {
		*ret_set = set;
		return 1;
	}
	lsp_ranges_done(&set.chunks);
	return 0;
}
