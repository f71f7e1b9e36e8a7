#include "peer/exchange.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

/* ---- Asking ---- */

struct lsp_exchange {
	struct lsp_stream *stream; /* NULL once it has ended */
	const struct lsp_exchange_callbacks *callbacks;
	void *argument;
	struct lsp_frame_decoder decoder;
	bool answered, calling, aborted;
	uint64_t left; /* raw bytes still to come */
	struct lsp_error error;
	bool failed;
	struct lsp_error_response refusal;
	bool refused;
};

static void exchange_free(struct lsp_exchange *exchange)
{
	lsp_frame_decoder_done(&exchange->decoder);
	free(exchange);
}

void *lsp_exchange_argument(const struct lsp_exchange *exchange)
{
	return exchange->argument;
}

const struct lsp_error_response *lsp_exchange_refusal(const struct lsp_exchange *exchange)
{
	return exchange->refused ? &exchange->refusal : NULL;
}

void lsp_exchange_consume(struct lsp_exchange *exchange, size_t size)
{
	if (exchange->stream)
		lsp_stream_consume(exchange->stream, size);
}

/* Lets go of the stream; what comes of it later is nobody's. */
static void detach(struct lsp_exchange *exchange)
{
	struct lsp_stream *stream = TAKE_PTR(exchange->stream);
	if (stream)
		lsp_stream_abort(stream, LSP_STREAM_CANCELLED);
}

void lsp_exchange_abort(struct lsp_exchange *exchange)
{
	if (exchange->aborted)
		return;
	exchange->aborted = true;
	detach(exchange);
	if (!exchange->calling)
		exchange_free(exchange);
}

/* The one end. The stream is let go of first, so that `done` may do what it likes. */
static void finish(struct lsp_exchange *exchange)
{
	detach(exchange);
	exchange->calling = true;
	exchange->callbacks->done(exchange, exchange->failed ? &exchange->error : NULL);
	exchange_free(exchange);
}

static void fail(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	exchange->failed = true;
	exchange->error = *error;
	finish(exchange);
}

/* Runs a callback of the owner's; false when the exchange was aborted in it (and is gone). */
#define CALL(exchange, call)                                                                       \
	({                                                                                         \
		(exchange)->calling = true;                                                        \
		call;                                                                              \
		(exchange)->calling = false;                                                       \
		bool alive_ = !(exchange)->aborted;                                                \
		if (!alive_)                                                                       \
			exchange_free(exchange);                                                   \
		alive_;                                                                            \
	})

/* The response frame. False: the exchange is over. */
static bool take_response(struct lsp_exchange *exchange, const char *payload, size_t size)
{
	_cleanup_response_ struct lsp_response response = {0};
	struct lsp_error err = {0};
	if (lsp_response_decode(payload, size, &response, &err) < 0) {
		fail(exchange, &err);
		return false;
	}
	exchange->answered = true;
	if (response.type == LSP_RESPONSE_ERROR) {
		exchange->refused = true;
		exchange->refusal = response.error;
		lsp_error_set(&err, "remote", response.error.code, "%s", response.error.message);
		fail(exchange, &err);
		return false;
	}
	if (response.type == LSP_RESPONSE_BYTES) {
		exchange->left = response.bytes.length;
		if (!exchange->callbacks->bytes) {
			lsp_error_set(&err, "peer", LSP_E_PROTOCOL, "bytes where none belong");
			fail(exchange, &err);
			return false;
		}
	}
	if (!exchange->callbacks->response)
		return true;
	return CALL(exchange, exchange->callbacks->response(exchange, &response));
}

static bool take_bytes(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
	if (size > exchange->left) {
		struct lsp_error err = {0};
		lsp_error_set(&err, "peer", LSP_E_PROTOCOL, "more bytes than were promised");
		fail(exchange, &err);
		return false;
	}
	exchange->left -= size;
	return CALL(exchange, exchange->callbacks->bytes(exchange, data, size));
}

/* Bytes of the response frame. False: the exchange is over. */
static bool take_frame(
	struct lsp_exchange *exchange, const uint8_t *data, size_t size, size_t *ret_used)
{
	struct lsp_error err = {0};
	const char *payload;
	size_t length;
	int r = lsp_frame_decoder_feed(
		&exchange->decoder, data, size, ret_used, &payload, &length, &err);
	if (r < 0) {
		fail(exchange, &err);
		return false;
	}
	lsp_stream_consume(exchange->stream, *ret_used);
	return r == 0 || take_response(exchange, payload, length);
}

/* Once a packet: no error is set up before there is one. */
static void exchange_data(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
	struct lsp_exchange *exchange = argument;
	while (size && !exchange->answered) {
		size_t used;
		if (!take_frame(exchange, data, size, &used))
			return;
		data += used;
		size -= used;
	}
	if (size && !take_bytes(exchange, data, size))
		return;
	if (!fin)
		return;
	if (!exchange->answered || exchange->left) {
		struct lsp_error err = {0};
		lsp_error_set(&err, "peer", LSP_E_PROTOCOL, "the answer ends too early");
		fail(exchange, &err);
	} else {
		finish(exchange);
	}
}

static void exchange_closed(struct lsp_stream *stream, uint64_t code, void *argument)
{
	struct lsp_exchange *exchange = argument;
	struct lsp_error err = {0};
	exchange->stream = NULL;
	lsp_error_set(&err, "peer", LSP_E_CLOSED, "the stream ended before the answer did");
	fail(exchange, &err);
}

static const struct lsp_stream_callbacks exchange_callbacks = {
	.data = exchange_data,
	.closed = exchange_closed,
};

static int start(struct lsp_connection *connection, const struct lsp_buffer *frame,
	const struct lsp_exchange_callbacks *callbacks, void *argument,
	struct lsp_exchange **ret_exchange, struct lsp_error *err)
{
	struct lsp_exchange *exchange = calloc(1, sizeof *exchange);
	if (!exchange)
		return lsp_error_no_memory(err, "peer");
	exchange->callbacks = callbacks;
	exchange->argument = argument;
	lsp_frame_decoder_init(&exchange->decoder, LSP_FRAME_MAX);
	int r = lsp_connection_open_stream(
		connection, &exchange_callbacks, exchange, &exchange->stream, err);
	if (r == 0) {
		r = lsp_stream_write(exchange->stream, frame->data, frame->size, err);
		if (r < 0)
			detach(exchange);
	}
	if (r < 0) {
		exchange_free(exchange);
		return r;
	}
	lsp_stream_finish(exchange->stream);
	*ret_exchange = exchange;
	return 0;
}

int lsp_exchange_start(struct lsp_connection *connection, const struct lsp_request *request,
	const struct lsp_exchange_callbacks *callbacks, void *argument,
	struct lsp_exchange **ret_exchange, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer frame = {0};
	int r = lsp_request_append(request, &frame, err);
	return r < 0 ? r : start(connection, &frame, callbacks, argument, ret_exchange, err);
}

static void told(struct lsp_exchange *exchange, const struct lsp_error *error)
{
}

void lsp_exchange_tell_frame(struct lsp_connection *connection, const struct lsp_buffer *frame)
{
	static const struct lsp_exchange_callbacks callbacks = {.done = told};
	struct lsp_exchange *exchange;
	struct lsp_error err = {0};
	if (start(connection, frame, &callbacks, NULL, &exchange, &err) < 0)
		lsp_log_debug("peer", "cannot tell: %s", err.message);
}

void lsp_exchange_tell(struct lsp_connection *connection, const struct lsp_request *request)
{
	_cleanup_buffer_ struct lsp_buffer frame = {0};
	struct lsp_error err = {0};
	if (lsp_request_append(request, &frame, &err) < 0)
		lsp_log_debug("peer", "cannot tell of %s: %s", lsp_request_name(request->type),
			err.message);
	else
		lsp_exchange_tell_frame(connection, &frame);
}

/* ---- Answering ---- */

struct lsp_responder {
	struct lsp_responder *prev, *next;
	struct lsp_stream *stream;
	struct lsp_responder_hooks hooks;
	struct lsp_responder_owner owner;
	struct lsp_frame_decoder decoder;
	bool asked, answered, in_bytes, reset;
	uint64_t left;  /* raw bytes still to be given */
	uint64_t given; /* bytes of the answer that were written */
	uint64_t taken; /* of those, when it was last looked at */
	lsp_time since; /* opened, or the last time that something was taken */
};

static void responder_abort(struct lsp_responder *responder, uint64_t code)
{
	responder->reset = true;
	lsp_stream_reset(responder->stream, code); /* `closed` follows, later */
}

static void breach(struct lsp_responder *responder, const struct lsp_error *error)
{
	struct lsp_responder_hooks hooks = responder->hooks;
	responder_abort(responder, LSP_STREAM_PROTOCOL);
	hooks.breach(hooks.argument, error);
}

static void take_request(struct lsp_responder *responder, const char *payload, size_t size)
{
	_cleanup_request_ struct lsp_request request = {0};
	struct lsp_error err = {0};
	responder->asked = true;
	int r = lsp_request_decode(payload, size, &request, &err);
	if (r == 0)
		responder->hooks.request(responder->hooks.argument, responder, &request);
	else if (r == -LSP_E_UNSUPPORTED || r == -LSP_E_NO_MEMORY)
		lsp_responder_fail(responder, &err);
	else
		breach(responder, &err);
}

static void responder_data(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
	struct lsp_responder *responder = argument;
	struct lsp_error err = {0};
	const char *payload;
	size_t used = 0, length;
	if (size) {
		if (responder->asked) {
			lsp_error_set(&err, "peer", LSP_E_PROTOCOL, "bytes behind a request");
			breach(responder, &err);
			return;
		}
		int r = lsp_frame_decoder_feed(
			&responder->decoder, data, size, &used, &payload, &length, &err);
		lsp_stream_consume(stream, size);
		if (r == 1 && used < size)
			r = lsp_error_set(&err, "peer", LSP_E_PROTOCOL, "bytes behind a request");
		if (r < 0) {
			breach(responder, &err);
			return;
		}
		if (r == 1) {
			take_request(responder, payload, length);
			return;
		}
	}
	if (fin && !responder->asked) {
		lsp_error_set(&err, "peer", LSP_E_PROTOCOL, "a request that ends too early");
		breach(responder, &err);
	}
}

static void responder_drained(struct lsp_stream *stream, void *argument)
{
	struct lsp_responder *responder = argument;
	if (responder->in_bytes && responder->left && responder->owner.more)
		responder->owner.more(responder->owner.argument);
}

static void responder_closed(struct lsp_stream *stream, uint64_t code, void *argument)
{
	struct lsp_responder *responder = argument;
	if (responder->hooks.all)
		DL_DELETE(*responder->hooks.all, responder);
	lsp_frame_decoder_done(&responder->decoder);
	if (responder->owner.gone)
		responder->owner.gone(responder->owner.argument);
	free(responder);
}

void lsp_responder_start(struct lsp_stream *stream, const struct lsp_responder_hooks *hooks)
{
	static const struct lsp_stream_callbacks callbacks = {
		.data = responder_data,
		.drained = responder_drained,
		.closed = responder_closed,
	};
	struct lsp_responder *responder = calloc(1, sizeof *responder);
	if (!responder) {
		lsp_stream_abort(stream, LSP_STREAM_CANCELLED);
		return;
	}
	responder->stream = stream;
	responder->hooks = *hooks;
	if (hooks->all) {
		DL_APPEND(*hooks->all, responder);
		responder->since = lsp_now(hooks->clock);
	}
	lsp_frame_decoder_init(&responder->decoder, LSP_FRAME_MAX);
	lsp_stream_set_callbacks(stream, &callbacks, responder);
}

#define LEAST_IN_TIME (LSP_REQUEST_DEADLINE / LSP_SECOND * 1000) /* bytes */

/* Has the other side had nothing to take since the last look, or taken some of it? */
static bool moves_on(struct lsp_responder *responder)
{
	uint64_t taken = responder->given - lsp_stream_queued(responder->stream);
	bool took = taken != responder->taken;
	bool ours = !responder->answered || (responder->left && taken == responder->given);
	responder->taken = taken;
	return took || ours;
}

unsigned lsp_responders_tick(struct lsp_responder *all, lsp_time now)
{
	unsigned late = 0;
	struct lsp_responder *responder;
	DL_FOREACH(all, responder)
	{
		if (responder->reset)
			continue;
		if (!responder->asked) {
			if (now < lsp_time_add(responder->since, LSP_REQUEST_DEADLINE))
				continue;
			bool trickled = responder->decoder.buffer.size < LEAST_IN_TIME;
			responder_abort(responder, LSP_STREAM_BUSY);
			late += trickled ? LSP_REQUEST_TRICKLED : 1;
		} else if (moves_on(responder)) {
			responder->since = now;
		} else if (now >= lsp_time_add(responder->since, LSP_ANSWER_DEADLINE)) {
			responder_abort(responder, LSP_STREAM_CANCELLED);
		}
	}
	return late;
}

bool lsp_responders_have_room(const struct lsp_responder *all)
{
	size_t waiting = 0;
	const struct lsp_responder *responder;
	DL_FOREACH(all, responder)
	{
		if (responder->answered && !responder->owner.gone && !responder->reset)
			waiting += lsp_stream_queued(responder->stream);
	}
	return waiting < LSP_COPIED_ANSWERS_MAX;
}

void lsp_responder_own(struct lsp_responder *responder, const struct lsp_responder_owner *owner)
{
	responder->owner = *owner;
}

static bool send_frame(struct lsp_responder *responder, const struct lsp_response *response)
{
	_cleanup_buffer_ struct lsp_buffer frame = {0};
	struct lsp_error err = {0};
	if (responder->answered)
		return false;
	responder->answered = true;
	int r = lsp_response_append(response, &frame, &err);
	if (r == 0)
		r = lsp_stream_write(responder->stream, frame.data, frame.size, &err);
	responder->given += frame.size;
	if (r < 0) {
		lsp_log_warning("peer", "cannot answer: %s", err.message);
		responder_abort(responder, LSP_STREAM_FAILED);
	}
	return r == 0;
}

void lsp_responder_send(struct lsp_responder *responder, const struct lsp_response *response)
{
	struct lsp_stream *stream = responder->stream;
	if (send_frame(responder, response))
		lsp_stream_finish(stream);
}

void lsp_responder_ok(struct lsp_responder *responder)
{
	struct lsp_response response = {.type = LSP_RESPONSE_OK};
	lsp_responder_send(responder, &response);
}

void lsp_responder_fail(struct lsp_responder *responder, const struct lsp_error *failure)
{
	struct lsp_response response = {.type = LSP_RESPONSE_ERROR};
	response.error.code = failure->code;
	lsp_label_clean(failure->message, strlen(failure->message), response.error.message,
		sizeof response.error.message - 1);
	lsp_responder_send(responder, &response);
}

void lsp_responder_put_off(struct lsp_responder *responder)
{
	struct lsp_response response = {.type = LSP_RESPONSE_ERROR};
	response.error.code = LSP_E_BUSY;
	response.error.retry_ms = 1000;
	snprintf(response.error.message, sizeof response.error.message, "too much at a time");
	lsp_responder_send(responder, &response);
}

void lsp_responder_begin_bytes(struct lsp_responder *responder, const struct lsp_response *response)
{
	struct lsp_stream *stream = responder->stream;
	responder->left = response->bytes.length;
	responder->in_bytes = true;
	if (send_frame(responder, response) && !response->bytes.length)
		lsp_stream_finish(stream);
}

bool lsp_responder_bytes(struct lsp_responder *responder, const uint8_t *data, size_t size,
	void (*release)(void *argument), void *argument)
{
	struct lsp_stream *stream = responder->stream;
	struct lsp_error err = {0};
	responder->left -= LSP_MIN((uint64_t)size, responder->left);
	responder->given += size;
	bool last = responder->left == 0;
	if (lsp_stream_write_owned(stream, data, size, release, argument, &err) < 0) {
		release(argument);
		responder_abort(responder, LSP_STREAM_FAILED);
		return false;
	}
	if (last)
		lsp_stream_finish(stream);
	return true;
}

size_t lsp_responder_queued(const struct lsp_responder *responder)
{
	return lsp_stream_queued(responder->stream);
}

uint64_t lsp_responder_unsent(const struct lsp_responder *responder)
{
	return lsp_stream_unsent(responder->stream);
}

void lsp_responder_abort(struct lsp_responder *responder)
{
	responder_abort(responder, LSP_STREAM_FAILED);
}
