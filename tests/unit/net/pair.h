/*
 * Two endpoints on loopback and one libuv loop in the test's own thread. A test runs the loop until
 * what it waits for is so; TEST_DEADLINE only ends a test that would hang.
 */
#pragma once

#include "base/random.h"
#include "net/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define TEST_DEADLINE (60 * LSP_SECOND)

/* What the endpoint told one side. */
struct side {
	struct lsp_endpoint *endpoint;
	struct lsp_identity *identity;
	struct lsp_connection *connection; /* the newest that came up */
	unsigned connected, closed, streams, freed;
	struct lsp_close close;
	char message[LSP_CLOSE_MESSAGE_MAX];
	/* For streams that the peer opens; NULL: they are echoed. */
	const struct lsp_stream_callbacks *stream_callbacks;
	void *stream_argument;
	struct lsp_stream *stream; /* the newest that the peer opened */
};

struct pair {
	uv_loop_t loop;
	struct side a, b;
};

static void side_connected(struct lsp_connection *connection, void *argument)
{
	struct side *side = argument;
	side->connection = connection;
	side->connected++;
}

static void side_closed(
	struct lsp_connection *connection, const struct lsp_close *close, void *argument)
{
	struct side *side = argument;
	side->closed++;
	side->close = *close;
	snprintf(side->message, sizeof side->message, "%s", close->message);
	if (side->connection == connection)
		side->connection = NULL;
}

static void echo_data(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
	lsp_stream_consume(stream, size);
	assert_int_equal(lsp_stream_write(stream, data, size, NULL), 0);
	if (fin)
		lsp_stream_finish(stream);
}

static void echo_closed(struct lsp_stream *stream, uint64_t code, void *argument)
{
}

static void side_stream(
	struct lsp_connection *connection, struct lsp_stream *stream, void *argument)
{
	static const struct lsp_stream_callbacks echo = {.data = echo_data, .closed = echo_closed};
	struct side *side = argument;
	side->streams++;
	side->stream = stream;
	lsp_stream_set_callbacks(stream, side->stream_callbacks ? side->stream_callbacks : &echo,
		side->stream_argument);
}

static const struct lsp_endpoint_callbacks side_callbacks = {
	.connected = side_connected,
	.closed = side_closed,
	.stream = side_stream,
};

__attribute__((unused)) static struct sockaddr_storage loopback(int family, uint16_t port)
{
	struct sockaddr_storage address;
	assert_int_equal(
		lsp_address_parse(family == AF_INET ? "127.0.0.1" : "::1", port, &address, NULL),
		0);
	return address;
}

static void side_open(struct side *side, uv_loop_t *loop, struct lsp_endpoint_options options)
{
	struct lsp_error err = {0};
	if (!side->identity)
		assert_int_equal(lsp_identity_new(&side->identity, &err), 0);
	options.loop = loop;
	options.identity = side->identity;
	options.callbacks = &side_callbacks;
	options.argument = side;
	if (lsp_endpoint_new(&options, &side->endpoint, &err) < 0)
		fail_msg("%s", err.message);
}

static void side_freed(void *argument)
{
	struct side *side = argument;
	side->freed++;
}

static void side_close(struct side *side, uv_loop_t *loop)
{
	if (side->endpoint) {
		unsigned before = side->freed;
		lsp_endpoint_free(side->endpoint, side_freed, side);
		side->endpoint = NULL;
		while (side->freed == before)
			uv_run(loop, UV_RUN_ONCE);
	}
	lsp_identity_unref(side->identity);
	side->identity = NULL;
}

__attribute__((unused)) static void pair_open_with(
	struct pair *pair, struct lsp_endpoint_options a, struct lsp_endpoint_options b)
{
	memset(pair, 0, sizeof *pair);
	assert_int_equal(uv_loop_init(&pair->loop), 0);
	side_open(&pair->a, &pair->loop, a);
	side_open(&pair->b, &pair->loop, b);
}

__attribute__((unused)) static void pair_open(struct pair *pair)
{
	struct lsp_endpoint_options options = {0};
	pair_open_with(pair, options, options);
}

__attribute__((unused)) static void pair_close(struct pair *pair)
{
	side_close(&pair->a, &pair->loop);
	side_close(&pair->b, &pair->loop);
	uv_run(&pair->loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&pair->loop), 0);
}

__attribute__((unused)) static void on_guard(uv_timer_t *timer)
{
	fail_msg("what the test waits for did not come");
}

/* Runs the loop until the condition holds. */
#define RUN_UNTIL(loop_, condition)                                                                \
	do {                                                                                       \
		uv_timer_t guard_;                                                                 \
		uv_timer_init((loop_), &guard_);                                                   \
		uv_timer_start(&guard_, on_guard, TEST_DEADLINE / LSP_MILLISECOND, 0);             \
		while (!(condition))                                                               \
			uv_run((loop_), UV_RUN_ONCE);                                              \
		uv_timer_stop(&guard_);                                                            \
		uv_close((uv_handle_t *)&guard_, NULL);                                            \
		uv_run((loop_), UV_RUN_NOWAIT);                                                    \
	} while (0)

__attribute__((unused)) static struct lsp_connection *dial(
	struct side *from, uint16_t port, int family, const struct lsp_hash *expected)
{
	struct lsp_error err = {0};
	struct sockaddr_storage address = loopback(family, port);
	struct lsp_connection *connection;
	if (lsp_endpoint_connect(from->endpoint, &address, expected, NULL, &connection, &err) < 0)
		fail_msg("%s", err.message);
	return connection;
}

/* a dials b, and both have come up. */
__attribute__((unused)) static void pair_connect(struct pair *pair, int family)
{
	(void)dial(&pair->a, lsp_endpoint_port(pair->b.endpoint), family, NULL);
	RUN_UNTIL(&pair->loop, pair->a.connection && pair->b.connection);
}
