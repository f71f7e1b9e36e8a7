/*
 * JSON from people nobody should trust, and from our own children.
 *
 * jansson parses; before it sees a text, a scan without recursion or allocation holds it to limits:
 * size, nesting, how many values and containers there are (a megabyte of "{},{},…" would cost
 * jansson 140 of them), no NUL in any form. Duplicate keys and numbers that do not fit (1e999,
 * 2^63) are errors. After that, lsp_json_get_* read fields as serde does: unknown ones are ignored,
 * absent ones and null leave the default that the caller put there, of the wrong type or out of
 * range is an error that names the field.
 *
 * Pure; every function may be called from every thread; a json_t belongs to one thread at a time.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lsp_json_limits {
	size_t size;       /* bytes of text */
	size_t values;     /* of every kind, keys not counted */
	size_t containers; /* arrays and objects */
	unsigned depth;    /* "[]" is 1 */
};

/* docs/protocol.md, "Limits": what a peer may send. */
extern const struct lsp_json_limits lsp_json_limits_peer;
/* For our own programs on this machine (control socket, child pipes): 64 MiB. */
extern const struct lsp_json_limits lsp_json_limits_local;

static inline void lsp_cleanup_json(json_t **value)
{
	json_decref(*value);
}
#define _cleanup_json_ _cleanup_(lsp_cleanup_json)

/* The scan alone. -LSP_E_TOO_LARGE for a limit, -LSP_E_PROTOCOL for the rest. */
LSP_MUST_CHECK int lsp_json_check(
	const char *text, size_t size, const struct lsp_json_limits *limits, struct lsp_error *err);

/* Scan and parse; any value may stand at the top. The caller owns *ret_value (json_decref). */
LSP_MUST_CHECK int lsp_json_parse(const char *text, size_t size,
	const struct lsp_json_limits *limits, json_t **ret_value, struct lsp_error *err);

/*
 * json_loadb; but where jansson lacks memory, which it does not always notice and reads something
 * else then, it gives NULL and json_error_out_of_memory. For texts that are not held to the limits.
 */
json_t *lsp_json_load(const char *text, size_t size, size_t flags, json_error_t *ret_error);

/*
 * What goes out. jansson goes on where it lacks memory, and so does who builds a large document
 * without looking at each step: there would be a hole in it, and a file or a message that says
 * something else. So an allocation of jansson's that failed is remembered for its thread, and the
 * next document that leaves here is refused in its place: rather one too many than one with a hole.
 */

/* Compact UTF-8 at the end of a buffer. */
LSP_MUST_CHECK int lsp_json_append(
	const json_t *value, struct lsp_buffer *buffer, struct lsp_error *err);
/* json_dumps, for the caller to free; NULL: no memory, now or when the document was built. */
char *lsp_json_dump(const json_t *value, size_t flags);
/* Whether an allocation of jansson's has failed on this thread since this was last asked. */
bool lsp_json_starved(void);

/*
 * Fields of an object. Absent or null: 0, and *value stays. Wrong type or range: -LSP_E_PROTOCOL.
 * A whole number must be written as one ("1.0" and "1e3" are none).
 */
LSP_MUST_CHECK int lsp_json_get_u64(const json_t *object, const char *key, uint64_t max,
	uint64_t *value, struct lsp_error *err);
LSP_MUST_CHECK int lsp_json_get_bool(
	const json_t *object, const char *key, bool *value, struct lsp_error *err);
/* The text lives as long as the object does. max: bytes. */
LSP_MUST_CHECK int lsp_json_get_text(const json_t *object, const char *key, size_t max,
	const char **value, struct lsp_error *err);
/* An array; borrowed. */
LSP_MUST_CHECK int lsp_json_get_array(const json_t *object, const char *key, size_t max_count,
	json_t **value, struct lsp_error *err);
