/*
 * The page and its HTTP API: one more client of the public API.
 *
 * A browser talks HTTP/1.1 with a small server inside the peer. Everything it asks for becomes a
 * command of include/lanspread/lanspread.h, everything that happens reaches it as server-sent
 * events; this folder knows no state of the peer but what that API tells it. docs/api.yaml
 * describes every route; the table of them is in routes.c.
 *
 * One task, "http", owns all of it: libmicrohttpd's epoll set (no thread of the library's), the
 * peer's event stream, the caches. It sleeps in poll(2) on both and on its cancel token; nothing in
 * it blocks. So nothing here has a lock.
 *
 *     browser ── request ──▶ request.c ── lanspread_send ──▶ peer
 *        ▲                      call.c ◀── answer ────────────┘│
 *        └── text/event-stream ── events.c ◀── every event ────┘
 *
 * Who may talk to it (security.h): a start link carries a token, which becomes a cookie; without it
 * everything but the page's own static files is refused. Host and Origin are checked, bodies must
 * be JSON, GET changes nothing. Every count and size has a limit (limits.h).
 *
 * lsp_http_start and lsp_http_free may be called from every thread but "http". The server ends by
 * itself when its token is cancelled, when lsp_http_stop is called, or when the peer's stream ends.
 * A cancelled token says that the peer stops: its last events are waited for until the stream ends
 * (at most LSP_HTTP_LAST_EVENTS_MILLISECONDS). Then they are flushed (for at most half a second)
 * and connections are closed.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lanspread;
struct lsp_clock;
struct lsp_http;
struct lsp_tasks;

#define LSP_HTTP_DEFAULT_PORT 47777

/* All zero is the default. Strings are copied. */
struct lsp_http_options {
	/*
	 * "ADDRESS:PORT", "[ADDRESS]:PORT" or "PORT" (then 127.0.0.1). NULL: 127.0.0.1:47777, or a
	 * free port if that one is taken. A port that was named and is taken is an error.
	 */
	const char *listen;
	/*
	 * Keeps the token from one run to the next, so that an open page survives a restart of the
	 * peer: read if it is there, else made (mode 0600). NULL: a token for this run only.
	 */
	const char *token_file;
	/* NULL: the machine's. It times heartbeats and answers, not the sockets. */
	const struct lsp_clock *clock;
};

/*
 * Binds, and starts the task. `peer` must outlive the task, not the handle. The handle is the
 * caller's.
 */
LSP_MUST_CHECK int lsp_http_start(struct lanspread *peer, struct lsp_tasks *tasks,
	const struct lsp_http_options *options, struct lsp_http **ret_http, struct lsp_error *err);

/* The start link with its token: "http://127.0.0.1:47777/?token=…". Lives as long as the handle. */
const char *lsp_http_url(const struct lsp_http *http);
/* The same without the token: what may be shown and logged. */
const char *lsp_http_address(const struct lsp_http *http);
/* Whether only this machine reaches it. */
bool lsp_http_is_loopback(const struct lsp_http *http);

/* Asks the task to end though the peer goes on. Returns at once; idempotent; any thread. */
void lsp_http_stop(struct lsp_http *http);
/* Waits until it has ended by itself, which a peer's stop makes it do. Any thread but "http". */
void lsp_http_join(struct lsp_http *http);

/* Stops, waits for the task's end (under a second), frees. NULL is allowed. */
void lsp_http_free(struct lsp_http *http);
LSP_DEFINE_CLEANUP(struct lsp_http *, lsp_http_free);
