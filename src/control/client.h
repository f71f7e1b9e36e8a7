/*
 * The client's side of the control socket (control/server.h), for the command line.
 *
 * A client is one connection: commands go out, answers and events come in. Calls block in poll(2)
 * up to their deadline, on the machine's clock; a descriptor that becomes readable (a signal, the
 * end of a terminal) can end a wait. One owner, one thread. What comes from the daemon is checked
 * like anything else from outside: a broken frame ends the connection with an error.
 */
#pragma once

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"

#include <jansson.h>

struct lsp_control_connection;

#define LSP_CONTROL_CONNECT_PATIENCE (5 * LSP_SECOND) /* with a peer that lets nobody in */

/*
 * Connects to the socket at `path`. -LSP_E_NOT_FOUND when no peer serves it: no such file, or a
 * stale one; -LSP_E_DENIED when it is another user's. The message says which. -LSP_E_TIMEOUT when
 * as many wait to be let in as there is room for, and nobody is.
 */
LSP_MUST_CHECK int lsp_control_connect(
	const char *path, struct lsp_control_connection **ret_connection, struct lsp_error *err);
/* The same with another patience, in nanoseconds, at least a microsecond. */
LSP_MUST_CHECK int lsp_control_connect_within(const char *path, uint64_t patience,
	struct lsp_control_connection **ret_connection, struct lsp_error *err);
void lsp_control_disconnect(struct lsp_control_connection *connection);
LSP_DEFINE_CLEANUP(struct lsp_control_connection *, lsp_control_disconnect);
#define _cleanup_control_ _cleanup_(lsp_control_disconnect_pointer)

/* Readable: waits with lsp_control_next and lsp_control_call end with -LSP_E_CANCELLED. −1: none.
 */
void lsp_control_interrupted_by(struct lsp_control_connection *connection, int fd);

/*
 * Events that arrive while a call waits go to this function (borrowed; on the calling thread)
 * instead of being kept for lsp_control_next. NULL: they are kept.
 */
void lsp_control_on_event(struct lsp_control_connection *connection,
	void (*function)(void *argument, const json_t *event), void *argument);

/*
 * Sends a command and waits for its answer, up to `timeout` nanoseconds (LSP_TIME_NEVER: as long as
 * it takes). 0: *ret_result is the answer's "result". A refusal gives its code and message and, in
 * *ret_error if that is not NULL, the error object with whatever stands beside them. Events that
 * arrive meanwhile are kept for lsp_control_next. -LSP_E_CLOSED when the daemon is gone.
 */
LSP_MUST_CHECK int lsp_control_call(struct lsp_control_connection *connection,
	const json_t *command, uint64_t timeout, json_t **ret_result, json_t **ret_error,
	struct lsp_error *err);

/*
 * The next event, in the order in which they came. -LSP_E_TIMEOUT at the deadline;
 * -LSP_E_CLOSED after the last one.
 */
LSP_MUST_CHECK int lsp_control_next(struct lsp_control_connection *connection, uint64_t timeout,
	json_t **ret_event, struct lsp_error *err);

/*
 * A descriptor that becomes readable when the process that serves the connection has ended, and
 * with it everything that it held: locks, ports. −1 where that cannot be told: it is this process,
 * or one that is not seen from here. The caller closes it.
 */
int lsp_control_process(const struct lsp_control_connection *connection);

/* "not_found" → LSP_E_NOT_FOUND; LSP_E_FAILED for a name that is none. */
int lsp_control_code(const char *name);
