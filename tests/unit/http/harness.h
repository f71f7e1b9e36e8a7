/*
 * A server over a fake peer, and a client that says exactly what it is told to: for the tests of
 * src/http. Every read has a deadline; one that passes is a failure.
 */
#pragma once

#include "fake_peer.h"

#include "base/clock.h"
#include "http/http.h"
#include "task/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct harness {
	struct lanspread *peer;
	struct lsp_tasks *tasks;
	struct lsp_cancel *root;
	struct lsp_http *http;
	struct lsp_fake_clock clock; /* the server's, for heartbeats and answers */
	char token[65];
	unsigned port;
};

/* cmocka's setup and teardown; *state is the harness. Two games are there: "quake" and "doom". */
int harness_setup(void **state);
int harness_teardown(void **state);

struct reply {
	unsigned status;
	char *head; /* status line and headers */
	char *body; /* with a NUL after it; chunks put together */
	size_t size;
};

void reply_free(struct reply *reply);
#define _cleanup_reply_ _cleanup_(reply_free)
/* The value of a header, in a static buffer; NULL. */
const char *reply_header(const struct reply *reply, const char *name);
/* error.code of a JSON error, in a static buffer; "" if there is none. */
const char *reply_error(const struct reply *reply);

/* A connection of its own; blocking, with a deadline. */
int harness_connect(const struct harness *harness);
void harness_write(int fd, const void *data, size_t size);
/* Reads a whole reply; with HEAD there is no body to wait for. False when the connection ended. */
bool harness_read_reply(int fd, bool head, struct reply *reply);

/*
 * One request with the token and a proper Host; `headers` (may be NULL) are whole lines that end in
 * CRLF. A body makes it a JSON one unless the headers have a Content-Type.
 */
void harness_request(const struct harness *harness, const char *method, const char *path,
	const char *headers, const char *body, struct reply *reply);
/* The same without token or anything else that was not given. */
void harness_raw(const struct harness *harness, const char *request, struct reply *reply);

/* ---- Event streams ---- */

struct sse {
	int fd;
	char *buffer; /* what came and is not taken yet, unchunked */
	size_t size;
	size_t chunk_left;
	char id[64]; /* the last id */
};

/* Opens a stream; `last_id` may be NULL. */
void sse_open(const struct harness *harness, const char *last_id, struct sse *sse);
/* The next event's data as JSON (a heartbeat: {"heartbeat": true}); NULL at the end. */
json_t *sse_next(struct sse *sse);
/* Skips to the next event of this name; fails at the end of the stream. */
json_t *sse_expect(struct sse *sse, const char *name);
void sse_close(struct sse *sse);
