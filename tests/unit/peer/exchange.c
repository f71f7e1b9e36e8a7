/* Requests that do not come whole, and answers that nobody takes. */
#include "../net/pair.h"

#include "peer/exchange.h"

#include <stdlib.h>

struct answering {
	struct pair pair;
	struct lsp_fake_clock clock;
	struct lsp_responder *all, *asked;
	unsigned gone;
	uint64_t code; /* that the asking side's stream was reset with */
	bool reset;
	const char *raw; /* the answer to anything, as bytes; NULL: a responder answers */
	size_t raw_size, taken;
	int ended; /* how an exchange did: -1, well; else the error's code */
};

static struct answering *self;

static void request_came(
	void *argument, struct lsp_responder *responder, struct lsp_request *request)
{
	((struct answering *)argument)->asked = responder;
}

static void breach(void *argument, const struct lsp_error *error)
{
	fail_msg("%s", error->message);
}

static void answer_raw(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
	lsp_stream_consume(stream, size);
	if (!fin)
		return;
	assert_int_equal(lsp_stream_write(stream, self->raw, self->raw_size, NULL), 0);
	lsp_stream_finish(stream);
}

static void raw_is_over(struct lsp_stream *stream, uint64_t code, void *argument)
{
}

static void stream_came(
	struct lsp_connection *connection, struct lsp_stream *stream, void *argument)
{
	static const struct lsp_stream_callbacks raw = {.data = answer_raw, .closed = raw_is_over};
	if (self->raw) {
		lsp_stream_set_callbacks(stream, &raw, self);
		return;
	}
	lsp_responder_start(stream, &(struct lsp_responder_hooks){.request = request_came,
					    .breach = breach,
					    .argument = self,
					    .all = &self->all,
					    .clock = &self->clock.clock});
}

static void take_none(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
}

static void was_reset(struct lsp_stream *stream, uint64_t code, void *argument)
{
	self->code = code;
	self->reset = true;
}

static const struct lsp_stream_callbacks asking = {.data = take_none, .closed = was_reset};

static void open_side(
	struct side *side, const struct lsp_endpoint_callbacks *callbacks, uint64_t stream_window)
{
	side_close(side, &self->pair.loop);
	assert_int_equal(lsp_identity_new(&side->identity, NULL), 0);
	struct lsp_endpoint_options options = {.loop = &self->pair.loop,
		.identity = side->identity,
		.callbacks = callbacks,
		.argument = side,
		.stream_window = stream_window};
	assert_int_equal(lsp_endpoint_new(&options, &side->endpoint, NULL), 0);
}

/* *state: NULL, or how many bytes of an answer the asking side takes unread. */
static int set_up(void **state)
{
	static struct lsp_endpoint_callbacks callbacks;
	const uint64_t *window = *state;
	self = calloc(1, sizeof *self);
	lsp_fake_clock_init(&self->clock);
	pair_open(&self->pair);
	callbacks = side_callbacks;
	callbacks.stream = stream_came;
	open_side(&self->pair.b, &callbacks, 0);
	if (window)
		open_side(&self->pair.a, &side_callbacks, *window);
	pair_connect(&self->pair, AF_INET);
	return 0;
}

static int tear_down(void **state)
{
	pair_close(&self->pair);
	assert_null(self->all);
	free(self);
	return 0;
}

static struct lsp_stream *open_stream(const void *bytes, size_t size)
{
	struct lsp_stream *stream;
	assert_int_equal(
		lsp_connection_open_stream(self->pair.a.connection, &asking, self, &stream, NULL),
		0);
	assert_int_equal(lsp_stream_write(stream, bytes, size, NULL), 0);
	return stream;
}

static unsigned tick_after(uint64_t nanoseconds)
{
	lsp_fake_clock_advance(&self->clock, nanoseconds);
	return lsp_responders_tick(self->all, lsp_now(&self->clock.clock));
}

static void test_half_a_request(void **state)
{
	(void)open_stream("\0\0", 2);
	RUN_UNTIL(&self->pair.loop, self->all);
	assert_int_equal(tick_after(9 * LSP_SECOND), 0);
	assert_int_equal(tick_after(LSP_SECOND), LSP_REQUEST_TRICKLED);
	assert_int_equal(tick_after(LSP_SECOND), 0);
	RUN_UNTIL(&self->pair.loop, self->reset);
	assert_int_equal(self->code, LSP_STREAM_BUSY);
}

static bool has_come(size_t size)
{
	struct lsp_connection_stats stats;
	lsp_connection_get_stats(self->pair.b.connection, &stats);
	return stats.received >= size;
}

/* A long one over a slow link is late, but no trickle. */
static void test_most_of_a_long_request(void **state)
{
	static const char start[50000] = {0, 1, 0, 0, ' '};
	(void)open_stream(start, sizeof start);
	RUN_UNTIL(&self->pair.loop, has_come(sizeof start));
	assert_int_equal(tick_after(10 * LSP_SECOND), 1);
	RUN_UNTIL(&self->pair.loop, self->reset);
	assert_int_equal(self->code, LSP_STREAM_BUSY);
}

static void ask(void)
{
	static const char frame[] = "\0\0\0\6\"Ping\"";
	lsp_stream_finish(open_stream(frame, sizeof frame - 1));
	RUN_UNTIL(&self->pair.loop, self->asked);
}

static void gone(void *argument)
{
	self->gone++;
}

static void nothing(void *argument)
{
}

static void test_an_answer_that_nobody_takes(void **state)
{
	size_t size = 8 << 20; /* more than the window */
	uint8_t *bytes = calloc(1, size);
	struct lsp_response response = {.type = LSP_RESPONSE_BYTES};
	response.bytes.length = size;
	ask();
	lsp_responder_own(self->asked, &(struct lsp_responder_owner){.gone = gone});
	assert_int_equal(tick_after(1000 * LSP_SECOND), 0); /* that was our own time */
	lsp_responder_begin_bytes(self->asked, &response);
	lsp_responder_bytes(self->asked, bytes, size, nothing, NULL);
	RUN_UNTIL(&self->pair.loop, lsp_responder_queued(self->asked) < size - (2 << 20));
	(void)tick_after(LSP_SECOND); /* it took some */
	(void)tick_after(29 * LSP_SECOND);
	assert_int_equal(self->gone, 0);
	(void)tick_after(LSP_SECOND);
	RUN_UNTIL(&self->pair.loop, self->gone);
	RUN_UNTIL(&self->pair.loop, self->reset);
	assert_int_equal(self->code, LSP_STREAM_CANCELLED);
	free(bytes);
}

/* Each is copied. What has an owner is no part of it. */
static void test_lists_that_nobody_takes(void **state)
{
	static struct lsp_game_summary games[LSP_MESSAGE_GAMES_MAX];
	struct lsp_response response = {.type = LSP_RESPONSE_GAMES};
	response.games.games = (struct lsp_game_list){games, LSP_ARRAY_SIZE(games)};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(games); i++) {
		memset(games[i].id, 'a', LSP_GAME_ID_MAX);
		memset(games[i].title, 'a', LSP_LABEL_MAX);
	}
	size_t waiting = 0, unowned = 0;
	ask();
	lsp_responder_own(self->asked, &(struct lsp_responder_owner){.gone = gone});
	lsp_responder_send(self->asked, &response);
	for (; lsp_responders_have_room(self->all); unowned++) {
		assert_true(waiting < LSP_COPIED_ANSWERS_MAX + (1 << 20)); /* some was sent */
		self->asked = NULL;
		ask();
		lsp_responder_send(self->asked, &response);
		waiting += lsp_responder_queued(self->asked);
	}
	assert_true(waiting >= LSP_COPIED_ANSWERS_MAX);
	assert_true(unowned > 16);
	(void)tick_after(LSP_SECOND);
	(void)tick_after(LSP_ANSWER_DEADLINE); /* given up, all of them */
	assert_true(lsp_responders_have_room(self->all));
}

/* ---- The asking end ---- */

static void took_bytes(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
	self->taken += size;
	lsp_exchange_consume(exchange, size);
}

static void exchange_ended(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	self->ended = error ? (int)error->code : -1;
}

/* How a request ends that is answered by a frame that promises five bytes, and by these. */
static int answered_by(const char *bytes)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.bytes = took_bytes, .done = exchange_ended};
	struct lsp_request request = {.type = LSP_REQUEST_PING};
	struct lsp_exchange *exchange;
	char raw[64] = "\0\0\0\x16{\"Bytes\":{\"length\":5}}";
	size_t frame = 4 + strlen(raw + 4);
	raw[3] = (char)(frame - 4);
	strcpy(raw + frame, bytes);
	self->raw = raw;
	self->raw_size = frame + strlen(bytes);
	self->ended = 0;
	self->taken = 0;
	assert_int_equal(lsp_exchange_start(self->pair.a.connection, &request, &callbacks, NULL,
				 &exchange, NULL),
		0);
	RUN_UNTIL(&self->pair.loop, self->ended);
	assert_true(self->taken <= 5);
	return self->ended;
}

static void test_as_many_bytes_as_were_promised(void **state)
{
	assert_int_equal(answered_by("quake"), -1);
	assert_int_equal(answered_by("quak"), LSP_E_PROTOCOL);
	assert_int_equal(answered_by("quake3"), LSP_E_PROTOCOL);
	assert_int_equal(answered_by(""), LSP_E_PROTOCOL);
}

int main(void)
{
	static uint64_t narrow = 4096;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_half_a_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_most_of_a_long_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_an_answer_that_nobody_takes, set_up, tear_down),
		cmocka_unit_test_prestate_setup_teardown(
			test_lists_that_nobody_takes, set_up, tear_down, &narrow),
		cmocka_unit_test_setup_teardown(
			test_as_many_bytes_as_were_promised, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("exchange", tests, NULL, NULL);
}
