/*
 * Commands: what a client may ask of a peer, as one table.
 *
 * A command is a JSON object {"command": NAME, …}. It is checked against its row of the table
 * (lsp_commands in command_table.c: name, arguments, handler) before its handler runs, so that a
 * handler sees only arguments of the right type, within their bounds, and no unknown ones.
 *
 * Every command ends in exactly one answer. Its handler gives it at once, or keeps the call and
 * gives it later; what is still unanswered when the peer stops is answered with "closed". A handler
 * that returns an error must not have answered or kept it: the error becomes the answer.
 *
 * All on the core loop.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct lanspread_stream;
struct lsp_peer;
struct lsp_call;
struct lsp_calls;

enum lsp_argument_type {
	LSP_ARGUMENT_END = 0,
	LSP_ARGUMENT_GAME,   /* a game id by the rules of wire/path.h */
	LSP_ARGUMENT_TEXT,   /* up to 64 KiB, without NUL */
	LSP_ARGUMENT_DATA,   /* the same without a bound but the command's */
	LSP_ARGUMENT_NUMBER, /* a whole number from 0 to 2^53 */
	LSP_ARGUMENT_BOOLEAN,
	LSP_ARGUMENT_HASH, /* up to 64 hexadecimal digits: a content or peer id or its beginning */
	LSP_ARGUMENT_ANY,  /* any JSON; the handler checks it */
};

struct lsp_argument {
	const char *name;
	enum lsp_argument_type type;
	bool required;
};

struct lsp_command {
	const char *name;
	int (*run)(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err);
	const struct lsp_argument *arguments; /* ends with a NULL name */
};

/* Each ends with a NULL name. The second is torrent_command_table.c: the torrent engine's. */
extern const struct lsp_command lsp_commands[];
extern const struct lsp_command lsp_torrent_commands[];

/* ---- Running them ---- */

LSP_MUST_CHECK int lsp_calls_new(
	struct lsp_peer *peer, struct lsp_calls **ret_calls, struct lsp_error *err);
/* Answers what is open with "closed", and frees. */
void lsp_calls_free(struct lsp_calls *calls);

/*
 * Parses, checks and runs one command. Takes a reference of the stream (NULL: nobody is told).
 * Whatever happens, an answer with this number reaches the stream.
 */
void lsp_calls_run(struct lsp_calls *calls, struct lanspread_stream *stream, uint64_t number,
	const char *json);
/*
 * Answers what is open with "closed": nobody waits for a peer that stops. The calls themselves stay
 * with whoever works on them, whose answer then goes nowhere.
 */
void lsp_calls_close(struct lsp_calls *calls);

/* ---- For handlers ---- */

/* Arguments by name; absent: NULL, the fallback. Texts live as long as the call. */
const char *lsp_call_text(const struct lsp_call *call, const char *name);
uint64_t lsp_call_number(const struct lsp_call *call, const char *name, uint64_t fallback);
bool lsp_call_flag(const struct lsp_call *call, const char *name);
json_t *lsp_call_json(const struct lsp_call *call, const char *name);
/* The command's name, and all of its arguments (borrowed). */
const char *lsp_call_command(const struct lsp_call *call);
json_t *lsp_call_document(const struct lsp_call *call);

/*
 * The one answer; the call is gone afterwards. `result` is taken over (NULL: an empty object).
 * lsp_call_fail takes the detail from err.
 */
void lsp_call_answer(struct lsp_call *call, json_t *result);
/* The same once everything that was to be saved until now (lsp_peer_save_json) is on the disk. */
void lsp_call_answer_saved(struct lsp_call *call, json_t *result);
void lsp_call_fail(struct lsp_call *call, const struct lsp_error *err);
/* A failure with more beside it ("variants", say): members of `more` join the error object. */
void lsp_call_fail_with(struct lsp_call *call, const struct lsp_error *err, json_t *more);

/* {"code":"…","message":"…"}, as answers and events carry it. */
json_t *lsp_error_to_json(const struct lsp_error *err);
