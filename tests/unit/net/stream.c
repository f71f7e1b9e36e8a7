#include "pair.h"

#include "net/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <unistd.h>

#define WINDOW (4u << 20) /* of a stream, unless told */

/* One end of a stream as a test sees it. */
struct end {
	struct lsp_stream *stream;
	uint64_t received, drained, to_send, sent;
	uint64_t code, unsent;
	unsigned closed, fins, released;
	bool hold; /* does not consume */
	bool bad;  /* a byte was wrong */
	size_t block;
	uint8_t *block_data;
	unsigned blocks_out;
};

/* What stands at an offset: any slip shows. */
static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)((offset * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static void end_data(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
	struct end *end = argument;
	assert_int_equal(end->fins, 0);
	for (size_t i = 0; i < size; i++)
		end->bad |= data[i] != byte_at(end->received + i);
	end->received += size;
	end->fins += fin;
	if (!end->hold)
		lsp_stream_consume(stream, size);
}

static void end_release(void *argument)
{
	struct end *end = argument;
	end->released++;
	end->blocks_out--;
}

/* Sends `to_send` bytes as the stream drains, 64 KiB at a time and without copying. */
static void end_drained(struct lsp_stream *stream, void *argument)
{
	struct end *end = argument;
	end->drained++;
	while (end->sent < end->to_send && lsp_stream_queued(stream) < 512 * 1024) {
		size_t size = (size_t)LSP_MIN(end->to_send - end->sent, (uint64_t)65536);
		uint8_t *data = malloc(size);
		assert_non_null(data);
		for (size_t i = 0; i < size; i++)
			data[i] = byte_at(end->sent + i);
		assert_int_equal(lsp_stream_write_owned(stream, data, size, free, data, NULL), 0);
		end->sent += size;
	}
	if (end->sent == end->to_send)
		lsp_stream_finish(stream);
}

static void end_closed(struct lsp_stream *stream, uint64_t code, void *argument)
{
	struct end *end = argument;
	end->closed++;
	end->code = code;
	end->unsent = lsp_stream_unsent(stream);
	end->stream = NULL;
}

static const struct lsp_stream_callbacks end_callbacks = {
	.data = end_data, .drained = end_drained, .closed = end_closed};

static void open_end(struct pair *pair, struct end *end)
{
	struct lsp_error err = {0};
	if (lsp_connection_open_stream(
		    pair->a.connection, &end_callbacks, end, &end->stream, &err) < 0)
		fail_msg("%s", err.message);
}

static void a_request_and_its_answer_pass(void **state)
{
	struct pair pair;
	struct end end = {0};
	uint8_t request[5000];
	for (size_t i = 0; i < sizeof request; i++)
		request[i] = byte_at(i);
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	open_end(&pair, &end);
	assert_int_equal(lsp_stream_write(end.stream, request, 100, NULL), 0);
	assert_int_equal(
		lsp_stream_write(end.stream, request + 100, sizeof request - 100, NULL), 0);
	assert_int_equal(lsp_stream_queued(end.stream), sizeof request);
	lsp_stream_finish(end.stream);
	assert_int_equal(lsp_stream_write(end.stream, "x", 1, NULL), -LSP_E_CLOSED);
	RUN_UNTIL(&pair.loop, end.closed);
	assert_int_equal(end.received, sizeof request);
	assert_false(end.bad);
	assert_int_equal(end.fins, 1);
	assert_int_equal(end.code, LSP_STREAM_DONE);
	struct lsp_connection_stats stats;
	lsp_connection_get_stats(pair.a.connection, &stats);
	assert_int_equal(stats.sent, sizeof request);
	assert_int_equal(stats.received, sizeof request);
	assert_true(stats.sent_wire > stats.sent);
	assert_true(stats.rtt_min > 0 && stats.rtt_latest >= stats.rtt_min);
	assert_int_equal(stats.streams, 0);
	pair_close(&pair);
}

/* a asks with an empty request, b answers with `size` bytes. */
static void transfer(struct pair *pair, struct end *asker, struct end *answerer, uint64_t size)
{
	answerer->to_send = size;
	pair->b.stream_callbacks = &end_callbacks;
	pair->b.stream_argument = answerer;
	open_end(pair, asker);
	lsp_stream_finish(asker->stream);
	RUN_UNTIL(&pair->loop, pair->b.stream && answerer->fins);
	answerer->stream = pair->b.stream;
	end_drained(answerer->stream, answerer);
}

static struct lsp_endpoint_stats sender, receiver; /* of the last one */

static void transfer_is_exact(struct lsp_endpoint_options options, uint64_t size)
{
	struct pair pair;
	struct end asker = {0}, answerer = {0};
	pair_open_with(&pair, options, options);
	pair_connect(&pair, AF_INET);
	transfer(&pair, &asker, &answerer, size);
	RUN_UNTIL(&pair.loop, asker.closed && answerer.closed);
	assert_int_equal(asker.received, size);
	assert_false(asker.bad);
	assert_int_equal(asker.code, LSP_STREAM_DONE);
	assert_int_equal(answerer.code, LSP_STREAM_DONE);
	lsp_endpoint_get_stats(pair.a.endpoint, &receiver);
	lsp_endpoint_get_stats(pair.b.endpoint, &sender);
	pair_close(&pair);
}

static void sixty_four_mebibytes_come_byte_for_byte(void **state)
{
	transfer_is_exact((struct lsp_endpoint_options){0}, 64 << 20);
}

static bool kernel_takes(int option)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), value = option == UDP_GRO;
	bool takes = setsockopt(fd, SOL_UDP, option, &value, sizeof value) == 0;
	close(fd);
	return takes;
}

/* Seven packets a call on loopback, where the kernel can. */
static void many_packets_leave_and_come_by_one_call(void **state)
{
	transfer_is_exact((struct lsp_endpoint_options){0}, 16 << 20);
	assert_int_equal(sender.gso, kernel_takes(UDP_SEGMENT));
	assert_int_equal(receiver.gro, kernel_takes(UDP_GRO));
#if !defined(__SANITIZE_ADDRESS__) &&                                                              \
	!defined(__SANITIZE_THREAD__) /* slow: there is less to send */
	if (sender.gso)
		assert_true(sender.sent_packets > 2 * sender.send_calls);
	if (receiver.gro)
		assert_true(receiver.received_packets > 2 * receiver.received_messages);
#endif
}

static void without_offloads_it_works_too(void **state)
{
	transfer_is_exact((struct lsp_endpoint_options){.no_gso = true, .no_gro = true}, 4 << 20);
	assert_true(sender.sent_packets <= sender.send_calls);
	assert_int_equal(receiver.received_packets, receiver.received_messages);
}

static void at_the_smallest_mtu_it_works_too(void **state)
{
	transfer_is_exact((struct lsp_endpoint_options){.max_udp_payload = 1200}, 4 << 20);
}

static unsigned refused_offloads;

/* A driver that cannot segment: EIO, as from a device without checksum offload. */
static ssize_t refuse_gso(int fd, const struct msghdr *message, int flags)
{
	if (message->msg_iov->iov_len > 9000) {
		refused_offloads++;
		errno = EIO;
		return -1;
	}
	return sendmsg(fd, message, flags);
}

static void a_driver_that_refuses_gso_is_sent_packet_by_packet(void **state)
{
	refused_offloads = 0;
	lsp_udp_set_sendmsg(refuse_gso);
	transfer_is_exact((struct lsp_endpoint_options){0}, 4 << 20);
	lsp_udp_set_sendmsg(NULL);
	assert_in_range(refused_offloads, 1, 2); /* once per socket that tried */
}

static unsigned probes_refused, lost_beside_probes;

/* A line with an MTU of 1500: what is larger is refused, and all that is sent by the same call. */
static ssize_t mtu_1500(int fd, const struct msghdr *message, int flags)
{
	size_t size = message->msg_iov->iov_len, segment = size;
	struct msghdr copy = *message;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&copy); c; c = CMSG_NXTHDR(&copy, c)) {
		uint16_t given;
		if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_SEGMENT)
			continue;
		memcpy(&given, CMSG_DATA(c), sizeof given);
		segment = given;
	}
	if (segment <= 1472)
		return sendmsg(fd, message, flags);
	probes_refused++;
	lost_beside_probes += size > segment;
	errno = EMSGSIZE;
	return -1;
}

static void a_probe_for_larger_packets_takes_no_other_packet_with_it(void **state)
{
	struct pair pair;
	probes_refused = lost_beside_probes = 0;
	lsp_udp_set_sendmsg(mtu_1500);
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	/* Packets of which one is a probe need to leave together: there is always one more. */
	while (probes_refused < 6) {
		struct end end = {0};
		open_end(&pair, &end);
		assert_int_equal(lsp_stream_write(end.stream, (uint8_t[3000]){0}, 3000, NULL), 0);
		lsp_stream_finish(end.stream);
		RUN_UNTIL(&pair.loop, end.closed);
		assert_int_equal(end.received, 3000);
	}
	pair_close(&pair);
	lsp_udp_set_sendmsg(NULL);
	assert_int_equal(lost_beside_probes, 0);
}

static unsigned full_socket_turns;

static ssize_t often_full(int fd, const struct msghdr *message, int flags)
{
	if (++full_socket_turns % 3 == 0) {
		errno = EAGAIN;
		return -1;
	}
	return sendmsg(fd, message, flags);
}

static void a_full_socket_only_delays(void **state)
{
	full_socket_turns = 0;
	lsp_udp_set_sendmsg(often_full);
	transfer_is_exact((struct lsp_endpoint_options){0}, 4 << 20);
	lsp_udp_set_sendmsg(NULL);
}

static void a_reader_that_does_not_consume_holds_the_sender(void **state)
{
	struct pair pair;
	struct end asker = {.hold = true}, answerer = {0};
	struct lsp_endpoint_options options = {.stream_window = 256 * 1024};
	pair_open_with(&pair, options, options);
	pair_connect(&pair, AF_INET);
	transfer(&pair, &asker, &answerer, 2 << 20);
	RUN_UNTIL(&pair.loop, asker.received == 256 * 1024);
	/* A round trip on another stream: had more been sent, it would be here. */
	struct end ping = {0};
	pair.b.stream_callbacks = NULL;
	open_end(&pair, &ping);
	uint8_t byte = byte_at(0);
	assert_int_equal(lsp_stream_write(ping.stream, &byte, 1, NULL), 0);
	lsp_stream_finish(ping.stream);
	RUN_UNTIL(&pair.loop, ping.closed);
	assert_int_equal(asker.received, 256 * 1024);
	asker.hold = false;
	lsp_stream_consume(asker.stream, 256 * 1024);
	RUN_UNTIL(&pair.loop, asker.closed);
	assert_int_equal(asker.received, 2 << 20);
	assert_false(asker.bad);
	pair_close(&pair);
}

static void a_reset_reaches_the_other_side_with_its_code(void **state)
{
	struct pair pair;
	struct end asker = {0}, answerer = {0};
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	transfer(&pair, &asker, &answerer, UINT64_C(1) << 40);
	RUN_UNTIL(&pair.loop, asker.received > 1 << 20);
	lsp_stream_reset(answerer.stream, LSP_STREAM_FAILED);
	assert_int_equal(answerer.closed, 0); /* never from inside */
	RUN_UNTIL(&pair.loop, asker.closed && answerer.closed);
	assert_int_equal(answerer.code, LSP_STREAM_FAILED);
	assert_int_equal(asker.code, LSP_STREAM_FAILED);
	assert_non_null(pair.a.connection);
	pair_close(&pair);
}

static void an_asker_that_lets_go_stops_the_answer(void **state)
{
	struct pair pair;
	struct end asker = {0}, answerer = {0};
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	transfer(&pair, &asker, &answerer, UINT64_C(1) << 40);
	RUN_UNTIL(&pair.loop, asker.received > 1 << 20);
	lsp_stream_abort(asker.stream, LSP_STREAM_CANCELLED);
	RUN_UNTIL(&pair.loop, answerer.closed);
	assert_int_equal(answerer.code, LSP_STREAM_CANCELLED);
	assert_int_equal(asker.closed, 0);
	pair_close(&pair);
}

/* By whomever a stream is given up, who wrote it is told what never left. */
static void what_waited_in_a_stream_is_told(void **state)
{
	for (int way = 0; way < 3; way++) {
		struct pair pair;
		struct end asker = {.hold = true}, answerer = {0};
		pair_open(&pair);
		pair_connect(&pair, AF_INET);
		transfer(&pair, &asker, &answerer, UINT64_C(1) << 40);
		RUN_UNTIL(&pair.loop, asker.received == WINDOW);
		assert_true(answerer.sent > WINDOW);
		if (way == 0)
			lsp_stream_reset(answerer.stream, LSP_STREAM_FAILED);
		else if (way == 1)
			lsp_stream_abort(asker.stream, LSP_STREAM_CANCELLED);
		else
			lsp_connection_close(pair.a.connection, LSP_CLOSE_GOODBYE, NULL);
		RUN_UNTIL(&pair.loop, answerer.closed);
		assert_int_equal(answerer.unsent, answerer.sent - WINDOW);
		pair_close(&pair);
	}
}

/* What was received of aborted streams goes back to the window of the connection. */
static void the_window_of_the_connection_survives_aborted_streams(void **state)
{
	struct pair pair;
	struct lsp_endpoint_options options = {
		.stream_window = 128 * 1024, .connection_window = 256 * 1024};
	pair_open_with(&pair, options, options);
	pair_connect(&pair, AF_INET);
	for (int i = 0; i < 12; i++) {
		struct end asker = {.hold = true}, answerer = {0};
		transfer(&pair, &asker, &answerer, 1 << 20);
		RUN_UNTIL(&pair.loop, asker.received >= 64 * 1024);
		lsp_stream_abort(asker.stream, LSP_STREAM_CANCELLED);
		RUN_UNTIL(&pair.loop, answerer.closed);
	}
	struct end asker = {0}, answerer = {0};
	transfer(&pair, &asker, &answerer, 1 << 20);
	RUN_UNTIL(&pair.loop, asker.closed);
	assert_int_equal(asker.code, LSP_STREAM_DONE);
	pair_close(&pair);
}

static void a_thousand_streams_at_once_all_come_back(void **state)
{
	enum { COUNT = 1000 };
	struct pair pair;
	static struct end ends[COUNT];
	uint8_t bytes[300];
	unsigned closed = 0;
	memset(ends, 0, sizeof ends);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = byte_at(i);
	pair_open(&pair); /* 256 at a time: the others wait for their turn */
	pair_connect(&pair, AF_INET);
	for (size_t i = 0; i < COUNT; i++) {
		open_end(&pair, &ends[i]);
		assert_int_equal(lsp_stream_write(ends[i].stream, bytes, sizeof bytes, NULL), 0);
		lsp_stream_finish(ends[i].stream);
	}
	RUN_UNTIL(&pair.loop, ({
		closed = 0;
		for (size_t i = 0; i < COUNT; i++)
			closed += ends[i].closed;
		closed == COUNT;
	}));
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(ends[i].code, LSP_STREAM_DONE);
		assert_int_equal(ends[i].received, sizeof bytes);
		assert_false(ends[i].bad);
	}
	assert_int_equal(pair.b.streams, COUNT);
	pair_close(&pair);
}

static void a_small_message_overtakes_bulk(void **state)
{
	struct pair pair;
	struct end asker = {0}, answerer = {0}, ping = {0};
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	transfer(&pair, &asker, &answerer, 64 << 20);
	RUN_UNTIL(&pair.loop, asker.received > 1 << 20);
	pair.b.stream_callbacks = NULL;
	open_end(&pair, &ping);
	uint8_t byte = byte_at(0);
	assert_int_equal(lsp_stream_write(ping.stream, &byte, 1, NULL), 0);
	lsp_stream_finish(ping.stream);
	RUN_UNTIL(&pair.loop, ping.closed);
	assert_int_equal(asker.closed, 0);
	assert_true(asker.received < 48 << 20);
	pair_close(&pair);
}

static void two_streams_share_a_connection_evenly(void **state)
{
	struct pair pair;
	struct end first = {0}, second = {0}, first_answer = {0}, second_answer = {0};
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	transfer(&pair, &first, &first_answer, UINT64_C(1) << 40);
	transfer(&pair, &second, &second_answer, UINT64_C(1) << 40);
	uint64_t before = first.received;
	RUN_UNTIL(&pair.loop, second.received > 24 << 20);
	uint64_t meanwhile = first.received - before;
	assert_in_range(meanwhile, second.received / 2, second.received * 2);
	pair_close(&pair);
}

static void the_end_of_a_connection_ends_its_streams_first(void **state)
{
	struct pair pair;
	struct end asker = {0}, answerer = {0};
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	transfer(&pair, &asker, &answerer, UINT64_C(1) << 40);
	RUN_UNTIL(&pair.loop, asker.received > 1 << 20);
	lsp_connection_close(pair.b.connection, LSP_CLOSE_GOODBYE, "");
	RUN_UNTIL(&pair.loop, pair.a.closed && pair.b.closed);
	assert_int_equal(asker.code, LSP_STREAM_CONNECTION);
	assert_int_equal(answerer.code, LSP_STREAM_CONNECTION);
	assert_int_equal(asker.closed, 1);
	assert_int_equal(answerer.closed, 1);
	pair_close(&pair);
}

static void owned_bytes_are_released_once_on_every_way_out(void **state)
{
	static uint8_t bytes[100000];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = byte_at(i);
	for (int way = 0; way < 4; way++) {
		struct pair pair;
		struct end end = {.blocks_out = 2};
		pair_open(&pair);
		pair_connect(&pair, AF_INET);
		open_end(&pair, &end);
		for (int i = 0; i < 2; i++)
			assert_int_equal(lsp_stream_write_owned(end.stream, bytes, sizeof bytes / 2,
						 end_release, &end, NULL),
				0);
		if (way == 0)
			lsp_stream_finish(end.stream);
		else if (way == 1)
			lsp_stream_reset(end.stream, LSP_STREAM_CANCELLED);
		else if (way == 2)
			lsp_stream_abort(end.stream, LSP_STREAM_CANCELLED);
		else
			lsp_connection_close(pair.a.connection, LSP_CLOSE_GOODBYE, "");
		RUN_UNTIL(&pair.loop, end.released == 2);
		pair_close(&pair);
		assert_int_equal(end.released, 2);
	}
}

static void a_stream_that_nobody_takes_is_reset(void **state)
{
	struct pair pair;
	struct end end = {0};
	struct lsp_endpoint_callbacks deaf = side_callbacks;
	deaf.stream = NULL;
	memset(&pair, 0, sizeof pair);
	assert_int_equal(uv_loop_init(&pair.loop), 0);
	side_open(&pair.a, &pair.loop, (struct lsp_endpoint_options){0});
	assert_int_equal(lsp_identity_new(&pair.b.identity, NULL), 0);
	struct lsp_endpoint_options options = {.loop = &pair.loop,
		.identity = pair.b.identity,
		.callbacks = &deaf,
		.argument = &pair.b};
	assert_int_equal(lsp_endpoint_new(&options, &pair.b.endpoint, NULL), 0);
	pair_connect(&pair, AF_INET);
	open_end(&pair, &end);
	assert_int_equal(lsp_stream_write(end.stream, "hello", 5, NULL), 0);
	RUN_UNTIL(&pair.loop, end.closed);
	assert_int_equal(end.code, LSP_STREAM_CANCELLED);
	pair_close(&pair);
}

static void who_opens_and_resets_streams_without_end_is_dropped(void **state)
{
	struct pair pair;
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	for (int i = 0; pair.a.connection && i < 100000; i++) {
		struct end end = {0};
		if (lsp_connection_open_stream(
			    pair.a.connection, &end_callbacks, &end, &end.stream, NULL) == 0) {
			(void)!lsp_stream_write(end.stream, "x", 1, NULL);
			lsp_stream_abort(end.stream, LSP_STREAM_CANCELLED);
		}
		if (i % 100 == 0)
			uv_run(&pair.loop, UV_RUN_NOWAIT);
	}
	RUN_UNTIL(&pair.loop, pair.b.closed);
	assert_int_equal(pair.b.close.reason, LSP_CLOSE_PROTOCOL);
	assert_false(pair.b.close.by_peer);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_and_its_answer_pass),
		cmocka_unit_test(sixty_four_mebibytes_come_byte_for_byte),
		cmocka_unit_test(many_packets_leave_and_come_by_one_call),
		cmocka_unit_test(without_offloads_it_works_too),
		cmocka_unit_test(at_the_smallest_mtu_it_works_too),
		cmocka_unit_test(a_driver_that_refuses_gso_is_sent_packet_by_packet),
		cmocka_unit_test(a_probe_for_larger_packets_takes_no_other_packet_with_it),
		cmocka_unit_test(a_full_socket_only_delays),
		cmocka_unit_test(a_reader_that_does_not_consume_holds_the_sender),
		cmocka_unit_test(a_reset_reaches_the_other_side_with_its_code),
		cmocka_unit_test(an_asker_that_lets_go_stops_the_answer),
		cmocka_unit_test(what_waited_in_a_stream_is_told),
		cmocka_unit_test(the_window_of_the_connection_survives_aborted_streams),
		cmocka_unit_test(a_thousand_streams_at_once_all_come_back),
		cmocka_unit_test(a_small_message_overtakes_bulk),
		cmocka_unit_test(two_streams_share_a_connection_evenly),
		cmocka_unit_test(the_end_of_a_connection_ends_its_streams_first),
		cmocka_unit_test(owned_bytes_are_released_once_on_every_way_out),
		cmocka_unit_test(a_stream_that_nobody_takes_is_reset),
		cmocka_unit_test(who_opens_and_resets_streams_without_end_is_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
