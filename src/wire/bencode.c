#include "wire/bencode.h"

#include <inttypes.h>
#include <string.h>

void lsp_bencode_reader_init(struct lsp_bencode_reader *reader, const void *data, size_t size)
{
	*reader = (struct lsp_bencode_reader){.data = data, .size = size};
}

static int wrong(const struct lsp_bencode_reader *reader, struct lsp_error *err, const char *what)
{
	return lsp_error_set(
		err, "wire", LSP_E_PROTOCOL, "bencoding, byte %zu: %s", reader->at, what);
}

/* Digits up to `end`, canonical, at most `max`. Leaves `at` behind the end character. */
static int read_digits(struct lsp_bencode_reader *reader, char end, uint64_t max,
	uint64_t *ret_value, struct lsp_error *err)
{
	size_t start = reader->at;
	uint64_t value = 0;
	while (reader->at < reader->size) {
		uint8_t c = reader->data[reader->at];
		size_t digits = reader->at - start;
		if (c == (uint8_t)end && digits > 0) {
			reader->at++;
			*ret_value = value;
			return 0;
		}
		if (c < '0' || c > '9')
			return wrong(reader, err, "not a digit in a number");
		if (digits > 0 && value == 0)
			return wrong(reader, err, "a number with a leading zero");
		uint64_t digit = c - '0';
		if (value > (max - digit) / 10)
			return wrong(reader, err, "a number out of range");
		value = value * 10 + digit;
		reader->at++;
	}
	return wrong(reader, err, "the end inside a number");
}

static int read_integer(
	struct lsp_bencode_reader *reader, struct lsp_bencode_token *token, struct lsp_error *err)
{
	reader->at++; /* 'i' */
	bool negative = reader->at < reader->size && reader->data[reader->at] == '-';
	if (negative)
		reader->at++;
	uint64_t value = 0;
	int r = read_digits(reader, 'e', INT64_MAX, &value, err);
	if (r < 0)
		return r;
	if (negative && value == 0)
		return wrong(reader, err, "\"-0\"");
	token->type = LSP_BENCODE_INTEGER;
	token->integer = negative ? -(int64_t)value : (int64_t)value;
	return 0;
}

static int read_string(
	struct lsp_bencode_reader *reader, struct lsp_bencode_token *token, struct lsp_error *err)
{
	uint64_t length = 0;
	int r = read_digits(reader, ':', INT64_MAX, &length, err);
	if (r < 0)
		return r;
	if (length > reader->size - reader->at)
		return wrong(reader, err, "a string longer than what is left");
	token->type = LSP_BENCODE_STRING;
	token->string = reader->data + reader->at;
	token->size = (size_t)length;
	reader->at += (size_t)length;
	return 0;
}

static int open_level(
	struct lsp_bencode_reader *reader, struct lsp_bencode_token *token, struct lsp_error *err)
{
	if (reader->depth == LSP_BENCODE_DEPTH_MAX)
		return wrong(reader, err, "nested too deeply");
	bool is_dict = reader->data[reader->at++] == 'd';
	reader->levels[reader->depth++] = (struct lsp_bencode_level){.is_dict = is_dict};
	token->type = is_dict ? LSP_BENCODE_DICT : LSP_BENCODE_LIST;
	return 0;
}

static int close_level(
	struct lsp_bencode_reader *reader, struct lsp_bencode_token *token, struct lsp_error *err)
{
	if (reader->depth == 0)
		return wrong(reader, err, "an end of nothing");
	if (reader->levels[reader->depth - 1].wants_value)
		return wrong(reader, err, "a key without a value");
	reader->at++;
	reader->depth--;
	token->type = LSP_BENCODE_END;
	return 0;
}

/* A string in key position: must be above the one before. */
static int take_key(struct lsp_bencode_reader *reader, struct lsp_bencode_level *level,
	struct lsp_bencode_token *token, struct lsp_error *err)
{
	if (token->type != LSP_BENCODE_STRING)
		return wrong(reader, err, "a key that is not a string");
	if (level->last_key) {
		size_t shared = LSP_MIN(level->last_size, token->size);
		int order = memcmp(level->last_key, token->string, shared);
		if (order > 0 || (order == 0 && level->last_size >= token->size))
			return wrong(reader, err, "keys out of order or twice");
	}
	level->last_key = token->string;
	level->last_size = token->size;
	level->wants_value = true;
	token->is_key = true;
	return 0;
}

static int read_token(
	struct lsp_bencode_reader *reader, struct lsp_bencode_token *token, struct lsp_error *err)
{
	switch (reader->data[reader->at]) {
	case 'i':
		return read_integer(reader, token, err);
	case 'l':
	case 'd':
		return open_level(reader, token, err);
	case 'e':
		return close_level(reader, token, err);
	default:
		return read_string(reader, token, err);
	}
}

int lsp_bencode_next(struct lsp_bencode_reader *reader, struct lsp_bencode_token *ret_token,
	struct lsp_error *err)
{
	struct lsp_bencode_token token = {.start = reader->at, .end = reader->at};
	if (reader->complete) {
		if (reader->at != reader->size)
			return wrong(reader, err, "bytes after the end");
		token.type = LSP_BENCODE_DONE;
		*ret_token = token;
		return 0;
	}
	if (reader->at >= reader->size)
		return wrong(reader, err, "the end inside a value");
	struct lsp_bencode_level *level = reader->depth ? &reader->levels[reader->depth - 1] : NULL;
	bool key = level && level->is_dict && !level->wants_value;
	uint8_t first = reader->data[reader->at];
	if (key && (first == 'i' || first == 'l' || first == 'd'))
		return wrong(reader, err, "a key that is not a string");
	int r = read_token(reader, &token, err);
	if (r < 0)
		return r;
	if (key && token.type != LSP_BENCODE_END)
		r = take_key(reader, level, &token, err);
	else if (!key && level && token.type != LSP_BENCODE_END)
		level->wants_value = false;
	if (r < 0)
		return r;
	reader->complete = reader->depth == 0;
	token.end = reader->at;
	*ret_token = token;
	return 0;
}

int lsp_bencode_skip(struct lsp_bencode_reader *reader, struct lsp_error *err)
{
	unsigned depth = reader->depth;
	struct lsp_bencode_token token;
	do {
		int r = lsp_bencode_next(reader, &token, err);
		if (r < 0)
			return r;
	} while (reader->depth > depth || (token.is_key && reader->depth == depth));
	return 0;
}

int lsp_bencode_put_integer(struct lsp_buffer *buffer, int64_t value, struct lsp_error *err)
{
	return lsp_buffer_printf(buffer, err, "i%" PRId64 "e", value);
}

int lsp_bencode_put_string(
	struct lsp_buffer *buffer, const void *data, size_t size, struct lsp_error *err)
{
	int r = lsp_buffer_printf(buffer, err, "%zu:", size);
	return r < 0 ? r : lsp_buffer_append(buffer, data, size, err);
}

int lsp_bencode_put_text(struct lsp_buffer *buffer, const char *text, struct lsp_error *err)
{
	return lsp_bencode_put_string(buffer, text, strlen(text), err);
}

int lsp_bencode_begin_dict(struct lsp_buffer *buffer, struct lsp_error *err)
{
	return lsp_buffer_append(buffer, "d", 1, err);
}

int lsp_bencode_begin_list(struct lsp_buffer *buffer, struct lsp_error *err)
{
	return lsp_buffer_append(buffer, "l", 1, err);
}

int lsp_bencode_end(struct lsp_buffer *buffer, struct lsp_error *err)
{
	return lsp_buffer_append(buffer, "e", 1, err);
}
