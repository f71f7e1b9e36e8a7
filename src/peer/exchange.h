/*
 * Exchanges: one request and its answer over one stream, from both ends.
 *
 * The asking end (lsp_exchange) opens a stream, sends its frame and gets one response frame, behind
 * Bytes the raw bytes. The answering end (lsp_responder) reads one request frame, hands it to the
 * handler and sends what that gives, at once or later. Both hold the limits of docs/protocol.md:
 * how large a frame is, how long it may take to arrive, that exactly as many bytes follow as were
 * promised, that nothing follows where nothing should. Whoever breaks them is told (close code) and
 * the handler of broken rules decides about the connection.
 *
 * All on the core loop. An exchange ends in exactly one `done`, unless it is aborted first; then in
 * none. A responder ends by itself; its handler learns by `gone` when the other side gave up on it.
 */
#pragma once

#include "net/endpoint.h"
#include "wire/frame.h"
#include "wire/message.h"

#include "base/clock.h"

#include <stdbool.h>

#define LSP_REQUEST_DEADLINE (10 * LSP_SECOND) /* from the opening of a stream to its request */
#define LSP_ANSWER_DEADLINE (30 * LSP_SECOND)  /* without a byte of an answer taken */

/* ---- Asking ---- */

struct lsp_exchange;

struct lsp_exchange_callbacks {
	/*
	 * The response. It is the exchange's: take what is needed out of it. An Error response
	 * comes as `done` instead. NULL: any response but an Error is fine.
	 */
	void (*response)(struct lsp_exchange *exchange, struct lsp_response *response);
	/*
	 * Raw bytes behind Bytes, in order, never more than promised. Each byte is to be given back
	 * with lsp_exchange_consume when it is out of memory: that is what holds a fast sender.
	 * NULL: a Bytes response is a breach.
	 */
	void (*bytes)(struct lsp_exchange *exchange, const uint8_t *data, size_t size);
	/*
	 * It is over. error NULL: the response and all of its bytes came. The Error response of the
	 * other side is error->domain "remote". The exchange is freed after it returns.
	 */
	void (*done)(struct lsp_exchange *exchange, const struct lsp_error *error);
};

/* `argument` is for the callbacks: lsp_exchange_argument. */
LSP_MUST_CHECK int lsp_exchange_start(struct lsp_connection *connection,
	const struct lsp_request *request, const struct lsp_exchange_callbacks *callbacks,
	void *argument, struct lsp_exchange **ret_exchange, struct lsp_error *err);
/* Stops the stream; `done` will not come. May be called from a callback of its own. */
void lsp_exchange_abort(struct lsp_exchange *exchange);
void *lsp_exchange_argument(const struct lsp_exchange *exchange);
void lsp_exchange_consume(struct lsp_exchange *exchange, size_t size);
/* The Error response, once `done` came with domain "remote": bounce and retry_ms stand in it. */
const struct lsp_error_response *lsp_exchange_refusal(const struct lsp_exchange *exchange);

/* Asks for something that is answered by Ok, or by an Error that nobody needs to hear of. */
void lsp_exchange_tell(struct lsp_connection *connection, const struct lsp_request *request);
/* The same with what lsp_request_append gave: who tells many encodes once. */
void lsp_exchange_tell_frame(struct lsp_connection *connection, const struct lsp_buffer *frame);

/* ---- Answering ---- */

struct lsp_responder;

/* Gets each request (the responder's; take out of it what is needed) and must see to its answer. */
typedef void (*lsp_responder_handler)(
	void *argument, struct lsp_responder *responder, struct lsp_request *request);
/* The other side broke a rule: what, in words. The stream is reset already. */
typedef void (*lsp_responder_breach)(void *argument, const struct lsp_error *error);

struct lsp_responder_hooks {
	lsp_responder_handler request;
	lsp_responder_breach breach;
	void *argument;
	struct lsp_responder *
		*all; /* a list for lsp_responders_tick, empty at first; may be NULL */
	const struct lsp_clock *clock;
};

/*
 * Resets the streams of the list whose request does not come whole in time (code BUSY), and those
 * whose answer the other side does not take (CANCELLED); the time that an answer takes us does not
 * count. Returns how many requests were late; one of which hardly anything came (less than 1 kB for
 * each second) counts as LSP_REQUEST_TRICKLED of them: no honest peer's link is that slow and
 * alive.
 */
#define LSP_REQUEST_TRICKLED 1000
unsigned lsp_responders_tick(struct lsp_responder *all, lsp_time now);

/*
 * Answers are copied into their streams, unless they have an owner, who sees to that. Is there room
 * for one more of them? Not when LSP_COPIED_ANSWERS_MAX of this list wait to be taken; one alone
 * may be larger.
 */
#define LSP_COPIED_ANSWERS_MAX ((size_t)16 << 20) /* bytes */
bool lsp_responders_have_room(const struct lsp_responder *all);

/* For a stream that the peer opened. It lives until its answer is sent or the stream ends. */
void lsp_responder_start(struct lsp_stream *stream, const struct lsp_responder_hooks *hooks);

/* The answer, and the end. */
void lsp_responder_send(struct lsp_responder *responder, const struct lsp_response *response);
void lsp_responder_ok(struct lsp_responder *responder);
void lsp_responder_fail(struct lsp_responder *responder, const struct lsp_error *failure);
/* Busy: too much is under way for this peer, or for all; to be asked again in a second. */
void lsp_responder_put_off(struct lsp_responder *responder);

/*
 * For an answer that is not given at once: `gone` is called when the stream has ended, whether all
 * was sent or not: the last call of all. `more` is called while the answer is Bytes and there is
 * room for more of them (never from inside of the functions here).
 */
struct lsp_responder_owner {
	void (*more)(void *argument);
	void (*gone)(void *argument);
	void *argument;
};
void lsp_responder_own(struct lsp_responder *responder, const struct lsp_responder_owner *owner);

/* An answer of Bytes: the frame now, then exactly response->bytes.length bytes as they get ready.
 */
void lsp_responder_begin_bytes(
	struct lsp_responder *responder, const struct lsp_response *response);
/*
 * Not copied: `release` is called (on the core loop) when the bytes are not needed any more. False:
 * the stream has ended, give no more.
 */
bool lsp_responder_bytes(struct lsp_responder *responder, const uint8_t *data, size_t size,
	void (*release)(void *argument), void *argument);
/* Bytes that wait to be sent. */
size_t lsp_responder_queued(const struct lsp_responder *responder);
/* While `gone` is called: bytes of the answer that never left, since the stream was given up. */
uint64_t lsp_responder_unsent(const struct lsp_responder *responder);
/* Ends the answer short: the stream is reset, the asker sees a failure. `gone` still comes. */
void lsp_responder_abort(struct lsp_responder *responder);
