/*
 * What a peer may say of itself in the handshake: transport parameters at their limits and beyond,
 * by a client and by a server. The other endpoint is a good one.
 */
#include "pair.h"

#include "parameters.h"

#include <unistd.h>

/* Below the window of a request, 256 KiB: all of it may be sent at once. */
#define ECHO_SIZE (200 * 1024)

struct echo {
	size_t sent, received;
	bool over;
	uint64_t code;
};

static uint8_t byte_at(size_t offset)
{
	return (uint8_t)(offset * 7 + (offset >> 8));
}

static void echo_back(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
	struct echo *echo = argument;
	for (size_t i = 0; i < size; i++)
		assert_int_equal(data[i], byte_at(echo->received + i));
	echo->received += size;
	lsp_stream_consume(stream, size);
}

static void echo_over(struct lsp_stream *stream, uint64_t code, void *argument)
{
	struct echo *echo = argument;
	echo->over = true;
	echo->code = code;
}

static const struct lsp_stream_callbacks callbacks = {.data = echo_back, .closed = echo_over};

static void start_echo(struct side *side, struct echo *echo)
{
	static uint8_t data[ECHO_SIZE];
	struct lsp_stream *stream;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = byte_at(i);
	assert_int_equal(
		lsp_connection_open_stream(side->connection, &callbacks, echo, &stream, NULL), 0);
	assert_int_equal(lsp_stream_write(stream, data, sizeof data, NULL), 0);
	lsp_stream_finish(stream);
}

/* Both ways, so that each side opens a stream and answers one. */
static void echo_both_ways(struct pair *pair, const char *name)
{
	struct echo forth = {0}, back = {0};
	start_echo(&pair->a, &forth);
	start_echo(&pair->b, &back);
	RUN_UNTIL(&pair->loop, (forth.over && back.over) || pair->a.closed || pair->b.closed);
	if (forth.received != ECHO_SIZE || back.received != ECHO_SIZE || pair->a.closed)
		fail_msg("%s: %zu and %zu bytes; \"%s\" \"%s\"", name, forth.received,
			back.received, pair->a.message, pair->b.message);
	assert_int_equal(forth.code, LSP_STREAM_DONE);
	assert_int_equal(back.code, LSP_STREAM_DONE);
}

/* Runs a case with `side` as the one that announces it; the other one is good. */
static void run_case(const struct parameters_case *kind, enum parameters_side side)
{
	struct pair pair;
	print_message("%s of a %s\n", kind->name, side == PARAMETERS_CLIENT ? "client" : "server");
	parameters_use(kind, side);
	pair_open(&pair);
	(void)dial(&pair.a, lsp_endpoint_port(pair.b.endpoint), AF_INET, NULL);
	RUN_UNTIL(&pair.loop, pair.a.closed || (pair.a.connection && pair.b.connection));
	assert_true(parameters_announced() > 0);
	if (!pair.a.closed && kind->expected != REFUSED) {
		echo_both_ways(&pair, kind->name);
	} else if (kind->expected == SERVED) {
		fail_msg("%s: %s", kind->name, pair.a.message);
	} else {
		assert_int_equal(pair.b.connected, 0);
		/* Noticed by the server, or by the client itself. */
		bool by_peer = side == PARAMETERS_CLIENT;
		assert_int_equal(pair.a.close.by_peer, by_peer);
		if (pair.a.close.reason != (by_peer ? LSP_CLOSE_REFUSED : LSP_CLOSE_PROTOCOL) ||
			!pair.a.message[0])
			fail_msg("%s: %s \"%s\"", kind->name,
				lsp_close_reason_name(pair.a.close.reason), pair.a.message);
	}
	parameters_use(NULL, PARAMETERS_BOTH);
	pair_close(&pair);
}

static void run_all(bool refused)
{
	for (size_t i = 0; i < parameters_count; i++) {
		const struct parameters_case *kind = &parameters_cases[i];
		if ((kind->expected == REFUSED) != refused)
			continue;
		if (kind->side != PARAMETERS_SERVER)
			run_case(kind, PARAMETERS_CLIENT);
		if (kind->side != PARAMETERS_CLIENT)
			run_case(kind, PARAMETERS_SERVER);
	}
}

static int bait_socket(void)
{
	struct sockaddr_in address;
	socklen_t size = sizeof address;
	struct sockaddr_storage any = loopback(AF_INET, 0);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof address), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	parameters_set_bait(&address);
	return fd;
}

static void parameters_at_their_limits_serve_and_lead_nowhere(void **state)
{
	char byte;
	int bait = bait_socket();
	run_all(false);
	/* Nobody was sent to the preferred address. */
	assert_int_equal(recv(bait, &byte, 1, MSG_DONTWAIT), -1);
	close(bait);
}

static void parameters_beyond_their_limits_are_refused(void **state)
{
	int bait = bait_socket();
	run_all(true);
	close(bait);
}

/*
 * A peer that takes nothing: what is meant for it waits, costs no more than what was written, and
 * ends with the connection; what it does take passes.
 */
static void windows_of_nothing_hold_back_and_end_with_the_connection(void **state)
{
	static const struct {
		uint64_t id;
		bool answers, requests; /* held back: on streams that it opened; on ours */
	} rows[] = {
		{0x04, true, true}, {0x05, true, false}, {0x06, false, true}, {0x08, false, true}};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(rows); i++) {
		const struct parameters_case nothing = {.edit = REPLACE, .id = rows[i].id};
		struct lsp_connection_stats stats;
		struct echo forth = {0}, back = {0};
		struct pair pair;
		parameters_use(&nothing, PARAMETERS_CLIENT);
		pair_open(&pair);
		pair_connect(&pair, AF_INET);
		start_echo(&pair.a, &forth);
		start_echo(&pair.b, &back);
		RUN_UNTIL(&pair.loop, pair.b.streams && (rows[i].answers || forth.over) &&
					      (rows[i].requests || back.over));
		lsp_connection_get_stats(pair.b.connection, &stats);
		assert_true(stats.memory < 1 << 20);
		assert_true(stats.queued <= 2 * ECHO_SIZE);
		assert_int_equal(forth.received, rows[i].answers ? 0 : ECHO_SIZE);
		assert_int_equal(back.received, rows[i].requests ? 0 : ECHO_SIZE);
		lsp_endpoint_close_all(pair.a.endpoint, LSP_CLOSE_GOODBYE, "");
		RUN_UNTIL(&pair.loop, pair.b.closed && back.over);
		assert_int_equal(pair.b.close.reason, LSP_CLOSE_GOODBYE);
		assert_int_equal(
			back.code, rows[i].requests ? LSP_STREAM_CONNECTION : LSP_STREAM_DONE);
		parameters_use(NULL, PARAMETERS_BOTH);
		pair_close(&pair);
	}
}

static void who_wants_to_be_forgotten_after_a_millisecond_is(void **state)
{
	const struct parameters_case hasty = {.edit = REPLACE, .id = 0x01, .number = 1};
	struct pair pair;
	parameters_use(&hasty, PARAMETERS_CLIENT);
	pair_open(&pair);
	(void)dial(&pair.a, lsp_endpoint_port(pair.b.endpoint), AF_INET, NULL);
	RUN_UNTIL(&pair.loop, pair.a.closed && pair.b.closed == pair.b.connected);
	parameters_use(NULL, PARAMETERS_BOTH);
	/* The good one goes on with others. */
	pair.a.closed = pair.b.closed = 0;
	(void)dial(&pair.a, lsp_endpoint_port(pair.b.endpoint), AF_INET, NULL);
	RUN_UNTIL(&pair.loop, pair.a.connection && pair.b.connection);
	echo_both_ways(&pair, "the next one");
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_at_their_limits_serve_and_lead_nowhere),
		cmocka_unit_test(parameters_beyond_their_limits_are_refused),
		cmocka_unit_test(windows_of_nothing_hold_back_and_end_with_the_connection),
		cmocka_unit_test(who_wants_to_be_forgotten_after_a_millisecond_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
