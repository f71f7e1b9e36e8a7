/*
 * The messages as tables: which fields each has, of what kind, where they lie in its struct. One
 * encoder and one decoder (message_encode.c, message_decode.c) walk them; docs/protocol.md lists
 * the same.
 */
#pragma once

#include "wire/message.h"

enum lsp_field_kind {
	LSP_FIELD_NUMBER,  /* uint64_t, min to max; absent: `absent` */
	LSP_FIELD_BOOL,    /* bool */
	LSP_FIELD_HASH,    /* struct lsp_hash; 64 hexadecimal digits; absent: all zero */
	LSP_FIELD_ID,      /* char[], a game's id */
	LSP_FIELD_VERSION, /* char[], a version */
	LSP_FIELD_LABEL,   /* char[max + 1], cleaned */
	LSP_FIELD_WORD,    /* char[LSP_WORD_MAX + 1] */
	LSP_FIELD_PATH,    /* char *, a path in a manifest */
	LSP_FIELD_CODE,    /* int, an error's code by name */
	LSP_FIELD_STATE,   /* enum lsp_game_state by name */
	LSP_FIELD_RANGES,  /* struct lsp_ranges */
	LSP_FIELD_RUNS,    /* struct lsp_get_blocks, its runs */
	LSP_FIELD_GAMES,   /* struct lsp_game_list, at most max */
	LSP_FIELD_IDS,     /* struct lsp_text_list of game ids, at most max */
	LSP_FIELD_WORDS,   /* struct lsp_text_list of words, at most max */
	LSP_FIELD_GAME,    /* struct lsp_game_list of exactly one: an object, not a list */
	LSP_FIELD_BITMAP,  /* struct lsp_bitmap: the keys "count" and "bits" */
};

struct lsp_field {
	const char *key;
	enum lsp_field_kind kind;
	size_t offset;
	bool required;
	uint64_t min;
	uint64_t max;
	uint64_t absent;
};

struct lsp_message_type {
	const char *name;
	const struct lsp_field *fields;
	size_t field_count;
	/* What the fields must be together; NULL: nothing more. */
	int (*check)(const void *body, struct lsp_error *err);
};

extern const struct lsp_message_type lsp_request_types[LSP_REQUEST_COUNT];
extern const struct lsp_message_type lsp_response_types[LSP_RESPONSE_COUNT];
extern const struct lsp_message_type lsp_game_summary_type;

#define LSP_GAME_STATE_COUNT 3
extern const char *const lsp_game_state_names[LSP_GAME_STATE_COUNT];

/* Is this a text that a field of that kind may hold? -LSP_E_PROTOCOL says why not. */
LSP_MUST_CHECK int lsp_field_check_text(enum lsp_field_kind kind, const char *key, const char *text,
	size_t size, struct lsp_error *err);

/* Frees what the fields of a body own and zeroes them. */
void lsp_fields_done(const struct lsp_message_type *type, void *body);

/* The most frequent request: 1 if that is what the text is, to the letter; 0: it is anything else;
 * -LSP_E_NO_MEMORY. */
LSP_MUST_CHECK int lsp_message_read_haves(
	const char *data, size_t size, struct lsp_chunk_set *ret_set, struct lsp_error *err);
