/*
 * A bad link and bad company. The relay stands between the two endpoints and loses, doubles and
 * swaps datagrams by a seeded generator; the stranger is a plain socket that sends what it likes.
 */
#include "pair.h"

#include <unistd.h>

#define LSP_WIRE_HEADERS 42.0 /* UDP, IPv4, Ethernet */

struct relay {
	int front, back; /* a talks to the front, b to the back */
	uv_poll_t polls[2];
	struct sockaddr_storage a, b;
	struct lsp_random random;
	unsigned lose, swap; /* per thousand */
	size_t largest;      /* longer datagrams are lost: the link's MTU */
	bool cut;
	uint8_t held[65536];
	size_t held_size;
	int held_fd;
	struct sockaddr_storage held_to;
	unsigned passed, lost, swapped;
	uint8_t first[2048]; /* what a sent first: an Initial */
	size_t first_size;
};

static int udp_socket(void)
{
	struct sockaddr_storage any = loopback(AF_INET, 0);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), buffer = 4 << 20;
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(struct sockaddr_in)), 0);
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	return lsp_address_port(&address);
}

static void pass(int fd, const void *data, size_t size, const struct sockaddr_storage *to)
{
	(void)!sendto(fd, data, size, 0, (const struct sockaddr *)to, sizeof(struct sockaddr_in));
}

static void relay_one(struct relay *relay, int fd, const uint8_t *data, size_t size,
	const struct sockaddr_storage *to)
{
	bool too_long = relay->largest && size > relay->largest;
	if (relay->cut || too_long || lsp_random_below(&relay->random, 1000) < relay->lose) {
		relay->lost++;
		return;
	}
	relay->passed++;
	if (!relay->held_size && lsp_random_below(&relay->random, 1000) < relay->swap) {
		memcpy(relay->held, data, size);
		relay->held_size = size;
		relay->held_fd = fd;
		relay->held_to = *to;
		relay->swapped++;
		return;
	}
	pass(fd, data, size, to);
	if (relay->held_size)
		pass(relay->held_fd, relay->held, relay->held_size, &relay->held_to);
	relay->held_size = 0;
}

static void on_relay(uv_poll_t *handle, int status, int events)
{
	struct relay *relay = handle->data;
	bool from_a = handle == &relay->polls[0];
	static uint8_t data[65536];
	struct sockaddr_storage from;
	for (int i = 0; i < 64; i++) {
		socklen_t length = sizeof from;
		ssize_t size = recvfrom(from_a ? relay->front : relay->back, data, sizeof data, 0,
			(struct sockaddr *)&from, &length);
		if (size < 0)
			return;
		if (from_a)
			relay->a = from;
		if (from_a && !relay->first_size && (size_t)size <= sizeof relay->first) {
			memcpy(relay->first, data, (size_t)size);
			relay->first_size = (size_t)size;
		}
		relay_one(relay, from_a ? relay->back : relay->front, data, (size_t)size,
			from_a ? &relay->b : &relay->a);
	}
}

static void relay_open(struct relay *relay, struct pair *pair, uint64_t seed)
{
	memset(relay, 0, sizeof *relay);
	lsp_random_seed(&relay->random, seed);
	relay->front = udp_socket();
	relay->back = udp_socket();
	relay->b = loopback(AF_INET, lsp_endpoint_port(pair->b.endpoint));
	int fds[] = {relay->front, relay->back};
	for (int i = 0; i < 2; i++) {
		uv_poll_init(&pair->loop, &relay->polls[i], fds[i]);
		relay->polls[i].data = relay;
		uv_poll_start(&relay->polls[i], UV_READABLE, on_relay);
	}
}

static void relay_close(struct relay *relay, struct pair *pair)
{
	for (int i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&relay->polls[i], NULL);
	uv_run(&pair->loop, UV_RUN_NOWAIT);
	close(relay->front);
	close(relay->back);
}

/* ---- Bytes over the bad link ---- */

struct echo {
	uint64_t sent, received, size;
	bool bad;
	unsigned closed;
	uint64_t code;
};

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)((offset * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static void echo_back(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
	struct echo *echo = argument;
	for (size_t i = 0; i < size; i++)
		echo->bad |= data[i] != byte_at(echo->received + i);
	echo->received += size;
	lsp_stream_consume(stream, size);
}

static void echo_feed(struct lsp_stream *stream, void *argument)
{
	struct echo *echo = argument;
	uint8_t data[4096];
	while (echo->sent < echo->size && lsp_stream_queued(stream) < 128 * 1024) {
		size_t size = (size_t)LSP_MIN(echo->size - echo->sent, (uint64_t)sizeof data);
		for (size_t i = 0; i < size; i++)
			data[i] = byte_at(echo->sent + i);
		assert_int_equal(lsp_stream_write(stream, data, size, NULL), 0);
		echo->sent += size;
	}
	if (echo->sent == echo->size)
		lsp_stream_finish(stream);
}

static void echo_over(struct lsp_stream *stream, uint64_t code, void *argument)
{
	struct echo *echo = argument;
	echo->closed++;
	echo->code = code;
}

static const struct lsp_stream_callbacks echo_callbacks = {
	.data = echo_back, .drained = echo_feed, .closed = echo_over};

static void start_echo(struct pair *pair, struct echo *echo)
{
	struct lsp_stream *stream;
	assert_int_equal(lsp_connection_open_stream(
				 pair->a.connection, &echo_callbacks, echo, &stream, NULL),
		0);
	echo_feed(stream, echo);
}

static void connect_over(struct pair *pair, struct relay *relay)
{
	(void)dial(&pair->a, port_of(relay->front), AF_INET, NULL);
	RUN_UNTIL(&pair->loop, pair->a.connection && pair->b.connection);
}

static void bytes_survive_a_link_that_loses_and_swaps(void **state)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct pair pair;
		struct relay relay;
		struct echo echo = {.size = 1 << 20};
		pair_open(&pair);
		relay_open(&relay, &pair, seed);
		connect_over(&pair, &relay);
		relay.lose = 30;
		relay.swap = 100;
		start_echo(&pair, &echo);
		RUN_UNTIL(&pair.loop, echo.closed);
		assert_int_equal(echo.code, LSP_STREAM_DONE);
		assert_int_equal(echo.received, echo.size);
		assert_false(echo.bad);
		assert_true(relay.lost > 0 && relay.swapped > 0);
		relay_close(&relay, &pair);
		pair_close(&pair);
	}
}

static void a_link_that_loses_a_fifth_and_takes_1200_bytes_is_enough(void **state)
{
	struct pair pair;
	struct relay relay;
	struct echo echo = {.size = 64 << 10};
	pair_open(&pair);
	relay_open(&relay, &pair, 7);
	relay.largest = 1200;
	connect_over(&pair, &relay);
	relay.lose = 200;
	start_echo(&pair, &echo);
	RUN_UNTIL(&pair.loop, echo.closed);
	assert_int_equal(echo.code, LSP_STREAM_DONE);
	assert_false(echo.bad);
	struct lsp_connection_stats stats;
	lsp_connection_get_stats(pair.a.connection, &stats);
	assert_int_equal(stats.udp_payload, 1200);
	relay_close(&relay, &pair);
	pair_close(&pair);
}

/* ---- A line by air ---- */

#define AIR_RATE 6000000 /* bytes a second */
#define AIR_QUEUE 128    /* packets that an access point keeps for one of its machines */
#define AIR_PACKET 1500

struct air_way {
	struct air *air;
	int from, to;
	const struct sockaddr_storage *target;
	uint8_t data[AIR_QUEUE][AIR_PACKET];
	size_t size[AIR_QUEUE];
	unsigned first, count;
	uint64_t offered, used; /* bytes: that the line had room for, that went */
};

/* The relay's two ways, each with a queue that goes out in turns some milliseconds apart. */
struct air {
	struct relay relay;
	struct air_way ways[2];
	uv_timer_t turn;
	uint64_t wait; /* until the next turn, ms */
};

static void on_air(uv_poll_t *handle, int status, int events)
{
	struct air_way *way = handle->data;
	uint8_t data[AIR_PACKET + 1];
	struct sockaddr_storage from;
	for (int i = 0; i < 4 * AIR_QUEUE; i++) {
		socklen_t length = sizeof from;
		ssize_t size = recvfrom(
			way->from, data, sizeof data, 0, (struct sockaddr *)&from, &length);
		if (size < 0)
			return;
		if (way == &way->air->ways[0])
			way->air->relay.a = from;
		if (way->count == AIR_QUEUE || size > AIR_PACKET)
			continue;
		unsigned at = (way->first + way->count++) % AIR_QUEUE;
		memcpy(way->data[at], data, (size_t)size);
		way->size[at] = (size_t)size;
	}
}

static void on_turn(uv_timer_t *timer)
{
	struct air *air = timer->data;
	for (int i = 0; i < 2; i++) {
		struct air_way *way = &air->ways[i];
		uint64_t room = air->wait * AIR_RATE / 1000;
		way->offered += room;
		for (; way->count && way->size[way->first] <= room; way->count--) {
			size_t size = way->size[way->first];
			pass(way->to, way->data[way->first], size, way->target);
			way->first = (way->first + 1) % AIR_QUEUE;
			way->used += size;
			room -= size;
		}
	}
	air->wait = 2 + lsp_random_below(&air->relay.random, 9);
	uv_timer_start(timer, on_turn, air->wait, 0);
}

static void air_open(struct air *air, struct pair *pair, uint64_t seed)
{
	relay_open(&air->relay, pair, seed);
	int fds[] = {air->relay.front, air->relay.back};
	const struct sockaddr_storage *targets[] = {&air->relay.b, &air->relay.a};
	for (int i = 0; i < 2; i++) {
		air->ways[i] = (struct air_way){
			.air = air, .from = fds[i], .to = fds[1 - i], .target = targets[i]};
		air->relay.polls[i].data = &air->ways[i];
		uv_poll_start(&air->relay.polls[i], UV_READABLE, on_air);
	}
	uv_timer_init(&pair->loop, &air->turn);
	air->turn.data = air;
	air->wait = 5;
	uv_timer_start(&air->turn, on_turn, air->wait, 0);
}

static void air_close(struct air *air, struct pair *pair)
{
	uv_close((uv_handle_t *)&air->turn, NULL);
	relay_close(&air->relay, pair);
}

static void sink_data(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
	uint64_t *received = argument;
	*received += size;
	lsp_stream_consume(stream, size);
	if (fin)
		lsp_stream_finish(stream);
}

/* Round trips of 4 to 20 ms, and every packet of a turn at once: no sign that the line is full. */
static void a_line_whose_packets_come_in_bursts_is_kept_full(void **state)
{
	static const struct lsp_stream_callbacks sink = {.data = sink_data, .closed = echo_closed};
	static struct air air;
	struct pair pair;
	struct echo echo = {.size = 8 << 20};
	uint64_t received = 0;
	pair_open(&pair);
	pair.b.stream_callbacks = &sink;
	pair.b.stream_argument = &received;
	air_open(&air, &pair, 7);
	connect_over(&pair, &air.relay);
	air.ways[0].offered = air.ways[0].used = 0;
	start_echo(&pair, &echo);
	RUN_UNTIL(&pair.loop, received == echo.size);
	double share = (double)air.ways[0].used / (double)air.ways[0].offered;
	print_message("%.0f %% of the line\n", share * 100);
	assert_true(share > 0.6);
	air_close(&air, &pair);
	pair_close(&pair);
}

static void a_larger_path_is_discovered(void **state)
{
	struct pair pair;
	struct relay relay;
	struct lsp_connection_stats stats = {0};
	pair_open(&pair);
	relay_open(&relay, &pair, 7);
	relay.largest = 1472;
	connect_over(&pair, &relay);
	RUN_UNTIL(&pair.loop,
		(lsp_connection_get_stats(pair.a.connection, &stats), stats.udp_payload == 1472));
	relay.largest = 0;
	struct pair jumbo;
	pair_open(&jumbo);
	pair_connect(&jumbo, AF_INET);
	RUN_UNTIL(&jumbo.loop,
		(lsp_connection_get_stats(jumbo.a.connection, &stats), stats.udp_payload == 8972));
	pair_close(&jumbo);
	relay_close(&relay, &pair);
	pair_close(&pair);
}

static void a_pulled_cable_is_noticed_within_five_seconds(void **state)
{
	struct pair pair;
	struct relay relay;
	pair_open(&pair); /* with the times that everybody gets */
	relay_open(&relay, &pair, 7);
	connect_over(&pair, &relay);
	relay.cut = true;
	lsp_time begin = lsp_now(lsp_clock_system);
	RUN_UNTIL(&pair.loop, pair.a.closed && pair.b.closed);
	assert_int_equal(pair.a.close.reason, LSP_CLOSE_LOST);
	assert_int_equal(pair.b.close.reason, LSP_CLOSE_LOST);
	assert_true(lsp_now(lsp_clock_system) - begin < 5 * LSP_SECOND);
	relay_close(&relay, &pair);
	pair_close(&pair);
}

/* ---- Strangers ---- */

static void garbage_and_empty_datagrams_change_nothing(void **state)
{
	struct pair pair;
	struct lsp_random random;
	struct echo echo = {.size = 1 << 20};
	uint8_t data[1500];
	int stranger = udp_socket();
	lsp_random_seed(&random, 3);
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	struct sockaddr_storage to = loopback(AF_INET, lsp_endpoint_port(pair.b.endpoint));
	start_echo(&pair, &echo);
	for (int i = 0; i < 5000; i++) {
		size_t size = i % 3 ? lsp_random_below(&random, sizeof data) : 0;
		for (size_t k = 0; k < size; k++)
			data[k] = (uint8_t)lsp_random_next(&random);
		if (i % 5 == 0)
			memcpy(data, "\xc3\x00\x00\x00\x01\x08", 6); /* a long header */
		pass(stranger, data, size, &to);
		if (i % 50 == 0)
			uv_run(&pair.loop, UV_RUN_NOWAIT);
	}
	RUN_UNTIL(&pair.loop, echo.closed);
	assert_int_equal(echo.code, LSP_STREAM_DONE);
	assert_false(echo.bad);
	struct lsp_endpoint_stats stats;
	lsp_endpoint_get_stats(pair.b.endpoint, &stats);
	assert_true(stats.dropped > 0);
	assert_int_equal(stats.connections, 1);
	close(stranger);
	pair_close(&pair);
}

static size_t drain_socket(int fd)
{
	uint8_t data[65536];
	ssize_t size;
	size_t all = 0;
	while ((size = recv(fd, data, sizeof data, MSG_DONTWAIT)) >= 0)
		all += (size_t)size;
	return all;
}

static void a_spoofed_initial_gets_at_most_three_times_its_size(void **state)
{
	struct pair pair;
	struct relay relay;
	struct lsp_endpoint_stats stats = {0};
	struct lsp_endpoint_options short_time = {.handshake_timeout = 400 * LSP_MILLISECOND};
	int victim = udp_socket();
	pair_open_with(&pair, short_time, short_time);
	relay_open(&relay, &pair, 1);
	relay.cut = true; /* a's Initial is only looked at */
	(void)dial(&pair.a, port_of(relay.front), AF_INET, NULL);
	RUN_UNTIL(&pair.loop, relay.first_size);
	assert_int_equal(relay.first_size, 1200);
	pass(victim, relay.first, relay.first_size, &relay.b);
	size_t got = 0;
	RUN_UNTIL(&pair.loop,
		(got += drain_socket(victim), lsp_endpoint_get_stats(pair.b.endpoint, &stats),
			stats.failed_handshakes == 1));
	assert_true(got > 0);
	assert_true(got <= 3 * relay.first_size);
	assert_int_equal(pair.b.connected + pair.b.closed, 0);
	close(victim);
	relay_close(&relay, &pair);
	pair_close(&pair);
}

static lsp_time stopped_time(const struct lsp_clock *clock)
{
	return 1000 * LSP_SECOND;
}

/* No time passes there, so what is used up of a limit stays used up. */
static void a_flood_of_strays_leaves_retry_to_who_comes_in_earnest(void **state)
{
	static const struct lsp_clock stopped = {.monotonic = stopped_time};
	struct pair pair;
	struct relay relay;
	struct lsp_endpoint_stats stats = {0};
	uint8_t stray[100] = {0x40};
	int stranger = udp_socket();
	pair_open_with(&pair, (struct lsp_endpoint_options){0},
		(struct lsp_endpoint_options){.always_retry = true, .clock = &stopped});
	relay_open(&relay, &pair, 1);
	relay.cut = true; /* a's Initial is only looked at */
	(void)dial(&pair.a, port_of(relay.front), AF_INET, NULL);
	RUN_UNTIL(&pair.loop, relay.first_size);
	for (unsigned sent = 0; sent < 1100; sent++) {
		pass(stranger, stray, sizeof stray, &relay.b);
		RUN_UNTIL(&pair.loop,
			(lsp_endpoint_get_stats(pair.b.endpoint, &stats), stats.dropped > sent));
	}
	assert_in_range(stats.resets, 1, 1050); /* the rest got no answer */
	pass(stranger, relay.first, relay.first_size, &relay.b);
	RUN_UNTIL(
		&pair.loop, (lsp_endpoint_get_stats(pair.b.endpoint, &stats), stats.retries == 1));
	close(stranger);
	relay_close(&relay, &pair);
	pair_close(&pair);
}

static void a_flood_of_handshakes_is_met_with_retry_and_limits(void **state)
{
	struct pair pair;
	struct lsp_endpoint_stats stats = {0};
	struct lsp_endpoint_options few = {.retry_threshold = 4, .max_handshakes = 8};
	pair_open_with(&pair, (struct lsp_endpoint_options){0}, few);
	/* Eight dial at once; those beyond the threshold prove their address, and all come up. */
	for (int i = 0; i < 8; i++)
		(void)dial(&pair.a, lsp_endpoint_port(pair.b.endpoint), AF_INET, NULL);
	RUN_UNTIL(&pair.loop, pair.a.connected == 8 && pair.b.connected == 8);
	lsp_endpoint_get_stats(pair.b.endpoint, &stats);
	assert_in_range(stats.retries, 1, 8);
	assert_int_equal(stats.handshakes, 0);
	assert_int_equal(stats.connections, 8);
	pair_close(&pair);
}

/* A side at an address of its own on loopback. */
static void open_at(struct side *side, struct pair *pair, const char *host)
{
	struct sockaddr_storage address;
	assert_int_equal(lsp_address_parse(host, 0, &address, NULL), 0);
	memset(side, 0, sizeof *side);
	side_open(side, &pair->loop, (struct lsp_endpoint_options){.listen = &address});
}

static void a_full_table_makes_room_for_who_takes_up_less_of_it(void **state)
{
	static const char *const hosts[] = {"127.0.0.2", "127.0.0.3", "127.0.0.4"};
	struct lsp_endpoint_stats stats;
	struct side others[3];
	struct pair pair;
	pair_open_with(&pair, (struct lsp_endpoint_options){0},
		(struct lsp_endpoint_options){.max_connections = 3});
	uint16_t port = lsp_endpoint_port(pair.b.endpoint);
	for (int i = 0; i < 3; i++)
		(void)dial(&pair.a, port, AF_INET, NULL);
	RUN_UNTIL(&pair.loop, pair.a.connected == 3 && pair.b.connected == 3);
	/* One more from the same address: no. */
	(void)dial(&pair.a, port, AF_INET, NULL);
	RUN_UNTIL(&pair.loop, pair.a.closed == 1);
	assert_int_equal(pair.a.close.reason, LSP_CLOSE_BUSY);
	assert_int_equal(pair.b.closed, 0);
	/* Others: until all take up the same. */
	for (unsigned i = 0; i < 3; i++) {
		open_at(&others[i], &pair, hosts[i]);
		(void)dial(&others[i], port, AF_INET, NULL);
		RUN_UNTIL(&pair.loop, others[i].connection || others[i].closed);
		if (i < 2) {
			assert_non_null(others[i].connection);
			RUN_UNTIL(&pair.loop, pair.a.closed == 2 + i && pair.b.closed == 1 + i);
			assert_int_equal(pair.a.close.reason, LSP_CLOSE_BUSY);
			assert_non_null(strstr(pair.a.message, "from your address"));
		} else {
			RUN_UNTIL(&pair.loop, others[i].closed);
			assert_int_equal(others[i].close.reason, LSP_CLOSE_BUSY);
		}
	}
	lsp_endpoint_get_stats(pair.b.endpoint, &stats);
	assert_int_equal(stats.connections, 3);
	for (int i = 0; i < 3; i++)
		side_close(&others[i], &pair.loop);
	pair_close(&pair);
}

/* Two handshakes that never end, from one address, are all that it has room for. */
static void half_a_handshake_gives_way_to_a_whole_one_from_elsewhere(void **state)
{
	struct lsp_endpoint_stats stats;
	struct pair pair;
	struct relay relay;
	struct side other;
	pair_open_with(&pair, (struct lsp_endpoint_options){0},
		(struct lsp_endpoint_options){.retry_threshold = 2, .max_handshakes = 2});
	relay_open(&relay, &pair, 1);
	relay.largest = 1; /* nothing passes by itself */
	for (unsigned i = 0; i < 2; i++) {
		relay.first_size = 0;
		(void)dial(&pair.a, port_of(relay.front), AF_INET, NULL);
		RUN_UNTIL(&pair.loop, relay.first_size);
		pass(relay.back, relay.first, relay.first_size, &relay.b);
		RUN_UNTIL(&pair.loop, (lsp_endpoint_get_stats(pair.b.endpoint, &stats),
					      stats.handshakes == i + 1));
	}
	open_at(&other, &pair, "127.0.0.2");
	(void)dial(&other, lsp_endpoint_port(pair.b.endpoint), AF_INET, NULL);
	RUN_UNTIL(&pair.loop, other.connection && pair.b.connection);
	lsp_endpoint_get_stats(pair.b.endpoint, &stats);
	assert_int_equal(stats.handshakes, 1);
	assert_int_equal(stats.failed_handshakes, 1);
	assert_true(stats.retries > 0);
	side_close(&other, &pair.loop);
	relay_close(&relay, &pair);
	pair_close(&pair);
}

/* ---- Limits
 * ---------------------------------------------------------------------------------------------------
 */

static void a_send_limit_holds_on_the_wire(void **state)
{
	struct pair pair;
	struct lsp_connection_stats before, after;
	struct echo echo = {.size = UINT64_C(1) << 40};
	const uint64_t rate = 4000000;
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	lsp_connection_set_send_limit(pair.a.connection, rate);
	start_echo(&pair, &echo);
	RUN_UNTIL(&pair.loop, echo.received > 100000);
	lsp_connection_get_stats(pair.a.connection, &before);
	lsp_time begin = lsp_now(lsp_clock_system);
	RUN_UNTIL(&pair.loop, lsp_now(lsp_clock_system) - begin > 2 * LSP_SECOND);
	lsp_connection_get_stats(pair.a.connection, &after);
	double seconds = (double)(lsp_now(lsp_clock_system) - begin) / LSP_SECOND;
	double wire = (double)(after.sent_wire - before.sent_wire) +
		      LSP_WIRE_HEADERS * (double)(after.sent_packets - before.sent_packets);
	assert_true(wire / seconds < 1.1 * (double)rate);
	assert_true(wire / seconds > 0.2 * (double)rate); /* a busy machine may be late */
	lsp_connection_set_send_limit(pair.a.connection, 0);
	pair_close(&pair);
}

static void connections_under_one_limit_take_turns(void **state)
{
	struct pair pair;
	struct side other = {0};
	struct lsp_connection_stats stats;
	struct lsp_connection *both[2];
	struct echo echoes[] = {{.size = UINT64_C(1) << 40}, {.size = UINT64_C(1) << 40}};
	const uint64_t rate = 2000000;
	uint64_t sent[2], before = 0;
	pair_open(&pair);
	side_open(&other, &pair.loop, (struct lsp_endpoint_options){0});
	pair_connect(&pair, AF_INET);
	both[0] = pair.a.connection;
	(void)dial(&pair.a, lsp_endpoint_port(other.endpoint), AF_INET, NULL);
	RUN_UNTIL(&pair.loop, other.connection && pair.a.connection != both[0]);
	both[1] = pair.a.connection;
	lsp_endpoint_set_send_limit(pair.a.endpoint, rate);
	for (size_t i = 0; i < 2; i++) {
		pair.a.connection = both[i];
		lsp_connection_get_stats(both[i], &stats);
		before += stats.sent_wire;
		start_echo(&pair, &echoes[i]);
	}
	lsp_time begin = lsp_now(lsp_clock_system);
	RUN_UNTIL(&pair.loop, lsp_now(lsp_clock_system) - begin > 2 * LSP_SECOND &&
				      echoes[0].received + echoes[1].received > 1000000);
	for (size_t i = 0; i < 2; i++) {
		lsp_connection_get_stats(both[i], &stats);
		sent[i] = stats.sent_wire;
	}
	assert_in_range(sent[0], sent[1] / 3, sent[1] * 3);
	double seconds = (double)(lsp_now(lsp_clock_system) - begin) / LSP_SECOND;
	assert_true((double)(sent[0] + sent[1] - before) < 1.1 * (double)rate * seconds);
	side_close(&other, &pair.loop);
	pair_close(&pair);
}

static void quic_state_of_a_connection_is_bounded(void **state)
{
	struct pair pair;
	struct lsp_endpoint_options tight = {.connection_memory = 20000};
	pair_open_with(
		&pair, (struct lsp_endpoint_options){.handshake_timeout = LSP_SECOND}, tight);
	(void)dial(&pair.a, lsp_endpoint_port(pair.b.endpoint), AF_INET, NULL);
	RUN_UNTIL(&pair.loop, pair.a.closed);
	assert_int_equal(pair.b.connected, 0);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_survive_a_link_that_loses_and_swaps),
		cmocka_unit_test(a_link_that_loses_a_fifth_and_takes_1200_bytes_is_enough),
		cmocka_unit_test(a_line_whose_packets_come_in_bursts_is_kept_full),
		cmocka_unit_test(a_larger_path_is_discovered),
		cmocka_unit_test(a_pulled_cable_is_noticed_within_five_seconds),
		cmocka_unit_test(garbage_and_empty_datagrams_change_nothing),
		cmocka_unit_test(a_spoofed_initial_gets_at_most_three_times_its_size),
		cmocka_unit_test(a_flood_of_strays_leaves_retry_to_who_comes_in_earnest),
		cmocka_unit_test(a_flood_of_handshakes_is_met_with_retry_and_limits),
		cmocka_unit_test(a_full_table_makes_room_for_who_takes_up_less_of_it),
		cmocka_unit_test(half_a_handshake_gives_way_to_a_whole_one_from_elsewhere),
		cmocka_unit_test(a_send_limit_holds_on_the_wire),
		cmocka_unit_test(connections_under_one_limit_take_turns),
		cmocka_unit_test(quic_state_of_a_connection_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
