/*
 * What the files of this folder share: the server, a request on its way, the parts they call of
 * each other. Everything here belongs to the task "http" and is touched by no other thread, but for
 * what struct lsp_http says.
 */
#pragma once

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "http/limits.h"
#include "http/path.h"
#include "http/security.h"

#include <jansson.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lanspread;
struct lanspread_stream;
struct lsp_cancel;
struct lsp_http;
struct lsp_http_call;
struct lsp_http_covers;
struct lsp_http_events;
struct lsp_http_games;
struct lsp_http_request;
struct lsp_task;

/* ---- Routes (routes.c) ---- */

struct lsp_http_route {
	const char *method;  /* "GET" also answers HEAD */
	const char *pattern; /* as lsp_http_path_match takes it */
	/* Replies, or suspends the request until somebody replies. */
	void (*run)(struct lsp_http_request *request);
	const char *command;                            /* what lsp_http_run_command sends */
	const char *arguments[LSP_HTTP_MAX_PARAMETERS]; /* the names of the path's parameters */
	bool is_public;                                 /* needs no token: static files */
	bool loopback_only;                             /* clients of this machine alone */
	size_t max_body;                                /* bytes; 0: LSP_HTTP_MAX_BODY */
};

/* Ends with a NULL method. */
extern const struct lsp_http_route lsp_http_routes[];

/* ---- A request (request.c) ---- */

struct lsp_http_request {
	struct lsp_http *http;
	struct MHD_Connection *connection;
	const struct lsp_http_route *route;
	struct lsp_http_path path;
	const char *parameters[LSP_HTTP_MAX_PARAMETERS]; /* into path */
	struct lsp_buffer body;
	json_t *document; /* the body, an object; NULL for GET */
	bool body_too_large;
	bool suspended;
	bool failed; /* out of memory: the connection is closed */
	bool waited; /* what it was suspended for is in a cache now: its route runs again */
	unsigned status;
	struct MHD_Response *response; /* what resume sends */
	bool response_shared;          /* it is not ours to destroy */

	struct lsp_http_call *call; /* the command that it waits for */
	/* In a list of those that wait for the list of games (games.c). */
	struct lsp_http_request *next_waiting;
	bool waiting;
};

/* libmicrohttpd's callbacks; `cls` is the server. */
enum MHD_Result lsp_http_on_request(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload_data, size_t *upload_data_size,
	void **connection_state);
void lsp_http_on_completed(void *cls, struct MHD_Connection *connection, void **connection_state,
	enum MHD_RequestTerminationCode code);

/* Between these two a request waits; after resume its reply is sent, or its route runs again. */
void lsp_http_request_suspend(struct lsp_http_request *request);
void lsp_http_request_resume(struct lsp_http_request *request);

/* ---- Replies (reply.c): exactly one for each request ---- */

/* Takes the response over. NULL: out of memory, which closes the connection. */
void lsp_http_reply(
	struct lsp_http_request *request, unsigned status, struct MHD_Response *response);
/* 200 with a response that stays the caller's; its headers were set by lsp_http_common_headers. */
void lsp_http_reply_shared(struct lsp_http_request *request, struct MHD_Response *response);
void lsp_http_common_headers(struct MHD_Response *response);
/* Copies the bytes. */
struct MHD_Response *lsp_http_response(const char *type, const void *data, size_t size);
void lsp_http_header(struct MHD_Response *response, const char *name, const char *value);
/* Drops the reference of json. */
void lsp_http_reply_json(struct lsp_http_request *request, unsigned status, json_t *json);
/* {"error":{"code","message","where"}} */
void lsp_http_reply_error(struct lsp_http_request *request, unsigned status, const char *code,
	const char *where, const char *format, ...) LSP_PRINTF(5, 6);
/* The peer's own error object. */
void lsp_http_reply_refusal(struct lsp_http_request *request, json_t *error);
/* 304 if the request says that it has this, else false. */
bool lsp_http_reply_not_modified(struct lsp_http_request *request, const char *etag);
/* `"0123456789abcdef"` from a hash of the bytes. */
#define LSP_HTTP_ETAG_SIZE 24
void lsp_http_etag(char ret_etag[LSP_HTTP_ETAG_SIZE], const void *data, size_t size);
unsigned lsp_http_status_of_code(const char *code);

/* ---- Commands (call.c) ---- */

struct lsp_http_answer {
	bool ok;
	json_t *value; /* the result or the error object; borrowed. Never NULL */
};

typedef void (*lsp_http_answer_function)(void *argument, const struct lsp_http_answer *answer);

/*
 * Sends a command (its reference is dropped) and calls `answered` once: with the peer's answer, or
 * with an error of our own after LSP_HTTP_ANSWER_SECONDS and at the end of the server.
 */
LSP_MUST_CHECK int lsp_http_call(struct lsp_http *http, json_t *command,
	lsp_http_answer_function answered, void *argument, struct lsp_http_call **ret_call,
	struct lsp_error *err);
/* The caller no longer wants the answer. NULL is allowed. */
void lsp_http_call_abandon(struct lsp_http_call *call);
/* An "answer" event of the peer's. */
void lsp_http_call_answered(struct lsp_http *http, json_t *event);
void lsp_http_calls_expire(struct lsp_http *http, lsp_time now);
void lsp_http_calls_fail(struct lsp_http *http, const char *code, const char *message);

/* Sends what the route says, with the path's parameters and the body's members; replies with the
 * answer. */
void lsp_http_run_command(struct lsp_http_request *request);
/* The same for another end than a plain reply. */
void lsp_http_request_call(
	struct lsp_http_request *request, json_t *command, lsp_http_answer_function answered);

/* ---- The list of games, cached (games.c) ---- */

/*
 * The answer of list_games as it is served, kept until an event says that it may have changed. It
 * is also what a new event stream begins with.
 */
struct lsp_http_list {
	json_t *json;                  /* {"games":[…]} */
	struct lsp_http_text *state;   /* the same as a first event (events.c) */
	struct MHD_Response *response; /* shared by all who get it */
	char etag[LSP_HTTP_ETAG_SIZE];
	uint64_t sequence; /* of the first event that is not in it */
};

LSP_MUST_CHECK int lsp_http_games_new(
	struct lsp_http *http, struct lsp_http_games **ret_games, struct lsp_error *err);
void lsp_http_games_free(struct lsp_http_games *games);
/* Something happened. Progress alone makes the list stale after a second, anything else at once. */
void lsp_http_games_touch(struct lsp_http_games *games, bool progress_only);
/* The list if it is fresh, else NULL; then it is asked for. `waiter` (may be NULL) is resumed, and
 * lsp_http_events_state_ready is called, when it is there. */
const struct lsp_http_list *lsp_http_games_want(
	struct lsp_http_games *games, struct lsp_http_request *waiter);
/* The last list, however old; NULL before the first. */
const struct lsp_http_list *lsp_http_games_last(const struct lsp_http_games *games);
void lsp_http_games_forget(struct lsp_http_games *games, struct lsp_http_request *waiter);
void lsp_http_run_games(struct lsp_http_request *request);

/* ---- Server-sent events (events.c) ---- */

/* A shared, immutable run of bytes. */
struct lsp_http_text {
	size_t references;
	size_t size;
	char data[];
};

struct lsp_http_text *lsp_http_text_new(const void *data, size_t size);
struct lsp_http_text *lsp_http_text_ref(struct lsp_http_text *text);
void lsp_http_text_unref(struct lsp_http_text *text);
/* "data: <json>\n\n" */
struct lsp_http_text *lsp_http_text_event(const char *json);

LSP_MUST_CHECK int lsp_http_events_new(
	struct lsp_http *http, struct lsp_http_events **ret_events, struct lsp_error *err);
void lsp_http_events_free(struct lsp_http_events *events);
/* Numbers an event of the peer's, keeps it for replay, sends it to everybody: at once, or with what
 * else comes until lsp_http_events_due. */
void lsp_http_events_push(struct lsp_http_events *events, const char *name, const char *json);
/* When lsp_http_events_send must be called for what was gathered; LSP_TIME_NEVER: nothing was. */
lsp_time lsp_http_events_due(const struct lsp_http_events *events);
void lsp_http_events_send(struct lsp_http_events *events, lsp_time now);
uint64_t lsp_http_events_next_sequence(const struct lsp_http_events *events);
/* A list of games came (or failed: NULL); clients that wait for their first event go on. */
void lsp_http_events_state_ready(struct lsp_http_events *events, const struct lsp_http_list *list);
void lsp_http_events_heartbeat(struct lsp_http_events *events);
/* No more events: every client gets what is left, then the end. */
void lsp_http_events_close(struct lsp_http_events *events);
size_t lsp_http_events_clients(const struct lsp_http_events *events);
void lsp_http_run_events(struct lsp_http_request *request);

/* ---- The other routes ---- */

LSP_MUST_CHECK int lsp_http_covers_new(struct lsp_http_covers **ret_covers, struct lsp_error *err);
void lsp_http_covers_free(struct lsp_http_covers *covers);
void lsp_http_run_cover(struct lsp_http_request *request);
void lsp_http_run_asset(struct lsp_http_request *request);
void lsp_http_run_page(struct lsp_http_request *request);
void lsp_http_run_metrics(struct lsp_http_request *request);
void lsp_http_run_play(struct lsp_http_request *request);

/* ---- The server (server.c) ---- */

struct lsp_http {
	/* Immutable once started */
	struct lanspread *peer;
	const struct lsp_clock *clock;
	struct lsp_http_names names;
	char host_name[256];
	char token[LSP_HTTP_TOKEN_HEX_SIZE];
	char cookie_name[32];
	char address[96];
	char url[96 + 80];
	unsigned event_client_limit;
	struct lsp_task *task; /* NULL when it could not be started */

	/* Any thread */
	atomic_bool closed_alone; /* by lsp_http_stop, not because the peer stops */

	/* Owned by the task */
	int listen_fd; /* libmicrohttpd's once it runs */
	struct MHD_Daemon *daemon;
	struct lanspread_stream *stream;
	struct lsp_http_call *calls;
	size_t call_count;
	struct lsp_http_games *games;
	struct lsp_http_events *events;
	struct lsp_http_covers *covers;
	lsp_time next_heartbeat;
	size_t requests_served;
	bool closing;
};
