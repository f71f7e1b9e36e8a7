/*
 * Streams. A stream's bytes wait in segments: those before `sending` were given to QUIC and are
 * kept, since it may need them again, until the peer has acknowledged them.
 *
 * A stream can end in several ways: both sides are done (ngtcp2 says so), one side resets it, the
 * connection goes. stream_end() notes the first; the `closed` callback comes from the endpoint's
 * list of events, never from inside of whatever caused it. Once the QUIC side is shut by a reset,
 * ngtcp2 never looks at the bytes again and forgets our pointer, so they can be released at once.
 */
#include "net/endpoint_private.h"

#include <string.h>

#define SEGMENT_CAPACITY_MIN 512

/* ---- Segments ---- */

static void release_segment(struct lsp_segment *segment)
{
	if (segment->release)
		segment->release(segment->argument);
	free(segment);
}

static void release_up_to(struct lsp_stream *stream, uint64_t end)
{
	while (stream->first && stream->first->end <= end && stream->first != stream->sending) {
		struct lsp_segment *segment = stream->first;
		stream->first = segment->next;
		if (!stream->first)
			stream->last = NULL;
		release_segment(segment);
	}
}

static void release_all(struct lsp_stream *stream)
{
	stream->connection->queued -= stream->written - stream->sent;
	stream->unsent += stream->written - stream->sent;
	stream->sent = stream->written;
	stream->sending = NULL;
	release_up_to(stream, UINT64_MAX);
}

static void append_segment(struct lsp_stream *stream, struct lsp_segment *segment)
{
	segment->next = NULL;
	if (stream->last)
		stream->last->next = segment;
	else
		stream->first = segment;
	stream->last = segment;
	if (!stream->sending) {
		stream->sending = segment;
		stream->sending_offset = 0;
	}
}

/* ---- Who is ready ---- */

void lsp_stream_unready(struct lsp_stream *stream)
{
	struct lsp_connection *connection = stream->connection;
	if (!stream->ready)
		return;
	stream->ready = false;
	stream->turn = 0;
	if (stream->id < 0)
		DL_DELETE2(connection->waiting, stream, ready_previous, ready_next);
	else
		DL_DELETE2(connection->ready, stream, ready_previous, ready_next);
}

/* In front: who was idle goes first, so that a small message does not wait behind bulk. */
void lsp_stream_make_ready(struct lsp_stream *stream, bool in_front)
{
	struct lsp_connection *connection = stream->connection;
	bool something = stream->sending || (stream->finish && !stream->fin_sent);
	if (!something || stream->ready || stream->write_over || stream->id < 0 || stream->blocked)
		return;
	stream->ready = true;
	if (in_front)
		DL_PREPEND2(connection->ready, stream, ready_previous, ready_next);
	else
		DL_APPEND2(connection->ready, stream, ready_previous, ready_next);
	lsp_connection_mark_dirty(connection);
}

void lsp_stream_unblock(struct lsp_stream *stream)
{
	stream->blocked = false;
	lsp_stream_make_ready(stream, false);
}

/* ---- Events ---- */

static void add_event(struct lsp_stream *stream)
{
	if (stream->in_events)
		return;
	stream->in_events = true;
	DL_APPEND2(stream->connection->endpoint->events, stream, event_previous, event_next);
}

static void remove_event(struct lsp_stream *stream)
{
	if (!stream->in_events)
		return;
	stream->in_events = false;
	DL_DELETE2(stream->connection->endpoint->events, stream, event_previous, event_next);
}

void lsp_stream_check_drained(struct lsp_stream *stream)
{
	size_t low_water = stream->connection->endpoint->options.low_water;
	uint64_t queued = stream->written - stream->sent;
	/* Empty counts anew: a writer that found it full enough the first time must not stall. */
	stream->want_drained |= queued == 0;
	if (stream->want_drained && !stream->finish && queued < low_water)
		add_event(stream);
}

/* ---- The end of a stream ---- */

static void stream_free(struct lsp_stream *stream)
{
	struct lsp_connection *connection = stream->connection;
	lsp_stream_unready(stream);
	remove_event(stream);
	release_all(stream);
	DL_DELETE2(connection->streams, stream, previous, next);
	connection->stream_count--;
	free(stream);
}

/* Nothing of it may be used by ngtcp2 after this. */
static void forget_quic(struct lsp_stream *stream)
{
	struct lsp_connection *connection = stream->connection;
	if (stream->quic_over)
		return;
	stream->quic_over = true;
	if (!connection->quic)
		return;
	ngtcp2_conn_extend_max_offset(connection->quic, stream->received - stream->consumed);
	stream->consumed = stream->received;
	if (stream->id >= 0)
		(void)ngtcp2_conn_set_stream_user_data(connection->quic, stream->id, NULL);
	lsp_connection_mark_dirty(connection);
}

static void stream_end(struct lsp_stream *stream, uint64_t code)
{
	if (stream->over)
		return;
	stream->over = true;
	stream->end_code = code;
	stream->want_drained = false;
	lsp_stream_unready(stream);
	add_event(stream);
}

/* RESET_STREAM and STOP_SENDING, and nothing more of it. */
static void shut(struct lsp_stream *stream, uint64_t code)
{
	struct lsp_connection *connection = stream->connection;
	if (!stream->quic_over && connection->quic && stream->id >= 0)
		(void)ngtcp2_conn_shutdown_stream(connection->quic, 0, stream->id, code);
	lsp_stream_unready(stream);
	forget_quic(stream);
	stream->write_over = true;
	release_all(stream);
}

void lsp_stream_quic_closed(struct lsp_stream *stream, uint64_t code)
{
	bool complete = stream->fin_received && stream->fin_sent && !stream->reset_received;
	forget_quic(stream);
	stream->write_over = true;
	release_all(stream);
	if (stream->detached)
		add_event(stream);
	else
		stream_end(stream, complete ? LSP_STREAM_DONE : code ? code : LSP_STREAM_CANCELLED);
}

void lsp_stream_remote_reset(struct lsp_stream *stream, uint64_t code)
{
	stream->reset_received = true;
	shut(stream, LSP_STREAM_CANCELLED);
	if (stream->detached)
		add_event(stream);
	else
		stream_end(stream, code ? code : LSP_STREAM_CANCELLED);
}

/* The peer wants no more of it. Found out in the midst of writing a packet: shut later. */
void lsp_stream_write_over(struct lsp_stream *stream)
{
	stream->write_over = true;
	lsp_stream_unready(stream);
	if (stream->detached)
		add_event(stream);
	else
		stream_end(stream, LSP_STREAM_CANCELLED);
}

static void run_event(struct lsp_stream *stream)
{
	bool silent = stream->connection->endpoint->silent;
	if (stream->write_over && !stream->quic_over)
		shut(stream, LSP_STREAM_CANCELLED);
	if (stream->detached) {
		stream_free(stream);
		return;
	}
	if (stream->over) {
		const struct lsp_stream_callbacks *callbacks = stream->callbacks;
		stream->detached = true;
		release_all(stream);
		if (callbacks && callbacks->closed && !silent)
			callbacks->closed(stream, stream->end_code, stream->argument);
		stream_free(stream);
		return;
	}
	if (!stream->want_drained)
		return;
	stream->want_drained = false;
	if (stream->callbacks && stream->callbacks->drained && !silent)
		stream->callbacks->drained(stream, stream->argument);
}

bool lsp_streams_run_events(struct lsp_endpoint *endpoint)
{
	struct lsp_stream *stream;
	bool any = endpoint->events != NULL;
	/* Those that come while these run wait for the next round. */
	struct lsp_stream *last = any ? endpoint->events->event_previous : NULL;
	while ((stream = endpoint->events)) {
		bool was_last = stream == last;
		remove_event(stream);
		run_event(stream);
		if (was_last)
			break;
	}
	return any;
}

void lsp_streams_end_all(struct lsp_connection *connection)
{
	struct lsp_stream *stream, *next;
	DL_FOREACH_SAFE2(connection->streams, stream, next, next)
	{
		stream->quic_over = true;
		stream->write_over = true;
		if (stream->detached)
			add_event(stream);
		else
			stream_end(stream, LSP_STREAM_CONNECTION);
	}
	while ((stream = connection->streams)) {
		remove_event(stream);
		run_event(stream);
	}
}

void lsp_streams_free_all(struct lsp_connection *connection)
{
	while (connection->streams)
		stream_free(connection->streams);
}

/* ---- Opening ---- */

static struct lsp_stream *stream_new(struct lsp_connection *connection, int64_t id)
{
	struct lsp_stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return NULL;
	stream->connection = connection;
	stream->id = id;
	DL_APPEND2(connection->streams, stream, previous, next);
	connection->stream_count++;
	return stream;
}

int lsp_stream_accept(struct lsp_connection *connection, int64_t id)
{
	struct lsp_endpoint *endpoint = connection->endpoint;
	struct lsp_stream *stream = stream_new(connection, id);
	if (!stream)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	(void)ngtcp2_conn_set_stream_user_data(connection->quic, id, stream);
	if (endpoint->callbacks->stream && !endpoint->silent)
		endpoint->callbacks->stream(connection, stream, endpoint->argument);
	if (!stream->callbacks && !stream->detached)
		lsp_stream_abort(stream, LSP_STREAM_CANCELLED);
	return 0;
}

void lsp_streams_open_waiting(struct lsp_connection *connection)
{
	struct lsp_stream *stream;
	while ((stream = connection->waiting) && connection->state < LSP_CONNECTION_ENDED) {
		int64_t id;
		if (ngtcp2_conn_open_bidi_stream(connection->quic, &id, stream) != 0)
			return;
		lsp_stream_unready(stream);
		stream->id = id;
		lsp_stream_make_ready(stream, false);
	}
}

int lsp_connection_open_stream(struct lsp_connection *connection,
	const struct lsp_stream_callbacks *callbacks, void *argument,
	struct lsp_stream **ret_stream, struct lsp_error *err)
{
	if (connection->state != LSP_CONNECTION_UP)
		return lsp_error_set(err, "net", LSP_E_CLOSED, "the connection is not open");
	if (connection->stream_count >= LSP_LOCAL_STREAMS_MAX)
		return lsp_error_set(err, "net", LSP_E_BUSY, "more than %d requests at once",
			LSP_LOCAL_STREAMS_MAX);
	struct lsp_stream *stream = stream_new(connection, -1);
	if (!stream)
		return lsp_error_no_memory(err, "net");
	stream->callbacks = callbacks;
	stream->argument = argument;
	stream->ready = true;
	DL_APPEND2(connection->waiting, stream, ready_previous, ready_next);
	lsp_streams_open_waiting(connection);
	*ret_stream = stream;
	return 0;
}

void lsp_stream_set_callbacks(
	struct lsp_stream *stream, const struct lsp_stream_callbacks *callbacks, void *argument)
{
	stream->callbacks = callbacks;
	stream->argument = argument;
}

struct lsp_connection *lsp_stream_connection(const struct lsp_stream *stream)
{
	return stream->connection;
}

/* ---- Receiving ---- */

/* The stream may be gone when the callback returns. */
int lsp_stream_receive(struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin)
{
	stream->received += size;
	stream->fin_received |= fin;
	if (stream->detached || stream->over || !stream->callbacks)
		lsp_stream_consume(stream, size);
	else
		stream->callbacks->data(stream, data, size, fin, stream->argument);
	return 0;
}

void lsp_stream_consume(struct lsp_stream *stream, size_t size)
{
	struct lsp_connection *connection = stream->connection;
	uint64_t left = stream->received - stream->consumed;
	uint64_t count = LSP_MIN((uint64_t)size, left);
	stream->consumed += count;
	if (!count || !connection->quic || stream->quic_over)
		return;
	ngtcp2_conn_extend_max_offset(connection->quic, count);
	if (!stream->fin_received)
		(void)ngtcp2_conn_extend_max_stream_offset(connection->quic, stream->id, count);
	lsp_connection_mark_dirty(connection);
}

/* ---- Sending ---- */

void lsp_stream_acked(struct lsp_stream *stream, uint64_t end)
{
	release_up_to(stream, end);
}

static int check_writable(const struct lsp_stream *stream, struct lsp_error *err)
{
	if (stream->over || stream->write_over || stream->finish ||
		stream->connection->state >= LSP_CONNECTION_ENDED)
		return lsp_error_set(err, "net", LSP_E_CLOSED, "the stream has ended");
	return 0;
}

static void count_written(struct lsp_stream *stream, size_t size)
{
	stream->written += size;
	stream->connection->queued += size;
	stream->last->end = stream->written;
	stream->want_drained = true;
	lsp_stream_make_ready(stream, true);
	lsp_connection_mark_dirty(stream->connection);
}

/* Into the room that the last copied segment has left; false: there is none. */
static bool append_to_last(struct lsp_stream *stream, const void *data, size_t size)
{
	struct lsp_segment *last = stream->last;
	if (!last || last->capacity - last->size < size || !last->capacity)
		return false;
	memcpy(last->own_data + last->size, data, size);
	if (!stream->sending) {
		stream->sending = last;
		stream->sending_offset = last->size;
	}
	last->size += size;
	return true;
}

int lsp_stream_write(
	struct lsp_stream *stream, const void *data, size_t size, struct lsp_error *err)
{
	int r = check_writable(stream, err);
	if (r < 0 || !size)
		return r;
	if (!append_to_last(stream, data, size)) {
		size_t capacity = LSP_MAX(size, (size_t)SEGMENT_CAPACITY_MIN);
		struct lsp_segment *segment = malloc(sizeof *segment + capacity);
		if (!segment)
			return lsp_error_no_memory(err, "net");
		*segment = (struct lsp_segment){
			.data = segment->own_data, .size = size, .capacity = capacity};
		memcpy(segment->own_data, data, size);
		append_segment(stream, segment);
	}
	count_written(stream, size);
	return 0;
}

int lsp_stream_write_owned(struct lsp_stream *stream, const void *data, size_t size,
	void (*release)(void *argument), void *argument, struct lsp_error *err)
{
	int r = check_writable(stream, err);
	if (r < 0)
		return r;
	if (!size) {
		if (release)
			release(argument);
		return 0;
	}
	struct lsp_segment *segment = malloc(sizeof *segment);
	if (!segment)
		return lsp_error_no_memory(err, "net");
	*segment = (struct lsp_segment){
		.data = data, .size = size, .release = release, .argument = argument};
	append_segment(stream, segment);
	count_written(stream, size);
	return 0;
}

void lsp_stream_finish(struct lsp_stream *stream)
{
	if (stream->finish || stream->over || stream->write_over)
		return;
	stream->finish = true;
	stream->want_drained = false;
	lsp_stream_make_ready(stream, true);
}

size_t lsp_stream_queued(const struct lsp_stream *stream)
{
	return (size_t)(stream->written - stream->sent);
}

uint64_t lsp_stream_unsent(const struct lsp_stream *stream)
{
	return stream->unsent;
}

void lsp_stream_reset(struct lsp_stream *stream, uint64_t code)
{
	if (stream->over)
		return;
	shut(stream, code);
	stream_end(stream, code);
}

void lsp_stream_abort(struct lsp_stream *stream, uint64_t code)
{
	if (stream->detached)
		return;
	stream->detached = true;
	stream->callbacks = NULL;
	if (stream->over || stream->quic_over) {
		add_event(stream); /* freed from there */
		return;
	}
	if (stream->fin_received && stream->finish)
		return; /* it ends in its own time */
	shut(stream, code);
	add_event(stream);
}
