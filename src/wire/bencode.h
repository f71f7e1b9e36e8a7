/*
 * Bencoding (BEP 3), strict: the only spelling of a value is the canonical one, so that bytes and
 * meaning stand for each other and a hash of the bytes identifies the meaning.
 *
 * The reader is pulled token by token and never recurses; it refuses numbers with leading zeros or
 * "-0", keys that are not strings in strictly ascending raw order, nesting beyond
 * LSP_BENCODE_DEPTH_MAX, values after the end. Strings point into the caller's bytes. The writer
 * appends to a buffer; it does not sort: its callers write keys in order.
 *
 * Pure; one owner, one thread.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LSP_BENCODE_DEPTH_MAX 48

enum lsp_bencode_type {
	LSP_BENCODE_INTEGER,
	LSP_BENCODE_STRING, /* a value, or a key of a dictionary */
	LSP_BENCODE_LIST,   /* its values follow, then END */
	LSP_BENCODE_DICT,   /* its keys and values follow in turn, then END */
	LSP_BENCODE_END,    /* of the innermost list or dictionary */
	LSP_BENCODE_DONE,   /* the top value is complete and so are the bytes */
};

struct lsp_bencode_token {
	enum lsp_bencode_type type;
	bool is_key;
	int64_t integer;
	const uint8_t *string; /* into the bytes that are read; not NUL-terminated */
	size_t size;
	size_t start; /* where in the bytes the token begins, */
	size_t end;   /* and the first byte after it */
};

struct lsp_bencode_level {
	bool is_dict;
	bool wants_value; /* dictionaries: a key was read */
	const uint8_t *last_key;
	size_t last_size;
};

struct lsp_bencode_reader {
	const uint8_t *data;
	size_t size;
	size_t at;
	unsigned depth;
	bool complete;
	struct lsp_bencode_level levels[LSP_BENCODE_DEPTH_MAX];
};

void lsp_bencode_reader_init(struct lsp_bencode_reader *reader, const void *data, size_t size);
/* -LSP_E_PROTOCOL says what is wrong and where. After DONE or an error, do not call it again. */
LSP_MUST_CHECK int lsp_bencode_next(struct lsp_bencode_reader *reader,
	struct lsp_bencode_token *ret_token, struct lsp_error *err);
/* Passes over the value that comes next, whatever it is. */
LSP_MUST_CHECK int lsp_bencode_skip(struct lsp_bencode_reader *reader, struct lsp_error *err);

static inline bool lsp_bencode_token_is(
	const struct lsp_bencode_token *token, const char *text, size_t size)
{
	return token->size == size && __builtin_memcmp(token->string, text, size) == 0;
}
/* Is this string token the literal? */
#define LSP_BENCODE_IS(token, literal) lsp_bencode_token_is(token, literal, sizeof(literal) - 1)

LSP_MUST_CHECK int lsp_bencode_put_integer(
	struct lsp_buffer *buffer, int64_t value, struct lsp_error *err);
LSP_MUST_CHECK int lsp_bencode_put_string(
	struct lsp_buffer *buffer, const void *data, size_t size, struct lsp_error *err);
LSP_MUST_CHECK int lsp_bencode_put_text(
	struct lsp_buffer *buffer, const char *text, struct lsp_error *err);
LSP_MUST_CHECK int lsp_bencode_begin_dict(struct lsp_buffer *buffer, struct lsp_error *err);
LSP_MUST_CHECK int lsp_bencode_begin_list(struct lsp_buffer *buffer, struct lsp_error *err);
LSP_MUST_CHECK int lsp_bencode_end(struct lsp_buffer *buffer, struct lsp_error *err);
