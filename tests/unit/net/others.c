/* Others' datagrams, told from ours by the kernel's counters. */
#include "net/others.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SNMP                                                                                       \
	"Ip: Forwarding DefaultTTL\nIp: 1 64\n"                                                    \
	"Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 123 4 5 678 9\n"        \
	"UdpLite: InDatagrams NoPorts InErrors OutDatagrams\nUdpLite: 1 1 1 1\n"
#define SNMP6                                                                                      \
	"Ip6InReceives   \t9\nUdp6InDatagrams                 \t7\nUdp6OutDatagrams\t20\n"         \
	"Ip6InMcastPkts 3\n"
#define NETSTAT "TcpExt: A\nTcpExt: 1\nIpExt: InNoRoutes InMcastPkts OutMcastPkts\nIpExt: 0 11 12\n"

static void the_counters_of_both_families_are_added(void **state)
{
	struct lsp_datagrams got;
	assert_int_equal(lsp_others_parse(SNMP, SNMP6, NETSTAT, &got, NULL), 0);
	assert_int_equal(got.in, 130);
	assert_int_equal(got.out, 698);
	assert_int_equal(got.multicast_in, 11 + 3);
	assert_int_equal(got.multicast_out, 12);
	assert_int_equal(lsp_others_parse(SNMP, NULL, NULL, &got, NULL), 0);
	assert_int_equal(got.in, 123);
}

static void texts_without_the_counters_are_refused(void **state)
{
	static const char *const texts[] = {"", "Udp:", "Udp: InDatagrams OutDatagrams",
		"Udp: InDatagrams OutDatagrams\n", "Udp: InDatagrams OutDatagrams\nUdp: 1",
		"Udp: InDatagrams OutDatagrams\nUdp: one two\n", "Udp: NoPorts\nUdp: 1\n",
		"Tcp: InSegs\nTcp: 1\n", "\n\n\n"};
	struct lsp_datagrams got;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(texts); i++)
		assert_int_equal(lsp_others_parse(texts[i], "", "", &got, NULL), -LSP_E_PROTOCOL);
}

static void this_machine_has_them_and_they_go_on(void **state)
{
	struct lsp_counters counters;
	struct lsp_datagrams before, after;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof to;
	char byte = 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &size), 0);
	assert_int_equal(lsp_counters_open(&counters, NULL), 0);
	assert_int_equal(lsp_counters_read(&counters, &before, NULL), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(sendto(fd, &byte, 1, 0, (struct sockaddr *)&to, sizeof to), 1);
		assert_int_equal(recv(fd, &byte, 1, 0), 1);
	}
	assert_int_equal(lsp_counters_read(&counters, &after, NULL), 0);
	assert_true(after.in - before.in >= 100 && after.out - before.out >= 100);
	lsp_counters_close(&counters);
	assert_int_equal(lsp_counters_read(&counters, &after, NULL), -LSP_E_IO);
	close(fd);
}

/* A machine whose bulk leaves in batches of 40 packets. */
struct machine {
	struct lsp_others others;
	struct lsp_datagrams kernel;
	struct lsp_endpoint_stats ours;
	lsp_time now;
	bool by_packets; /* how this kernel counts ours */
	unsigned looks;
};

static bool pass(struct machine *m, lsp_time time, double game_hz, unsigned batches_a_look)
{
	static double owed;
	bool seen = false;
	lsp_time next;
	for (lsp_time end = m->now + time; m->now < end; m->now = next) {
		uint64_t calls = batches_a_look, packets = batches_a_look * UINT64_C(40);
		m->ours.send_calls += calls;
		m->ours.sent_packets += packets;
		m->ours.received_messages += calls;
		m->ours.received_packets += packets;
		m->kernel.out += m->by_packets ? packets : calls;
		m->kernel.in += calls;
		seen = lsp_others_look(&m->others, &m->kernel, &m->ours, m->now);
		m->looks++;
		next = lsp_others_next_look(&m->others, m->now);
		owed += game_hz * (double)(next - m->now) / (double)LSP_SECOND;
		m->kernel.out += (uint64_t)owed;
		owed -= (double)(uint64_t)owed;
	}
	return seen;
}

static void who_is_alone_looks_seldom_and_sees_a_game_as_soon(void **state)
{
	for (unsigned phase = 0; phase < 100; phase += 5) {
		struct machine m = {.now = LSP_SECOND};
		assert_false(pass(&m, 10 * LSP_SECOND, 0, 50));
		m.looks = 0;
		assert_false(pass(&m, 10 * LSP_SECOND, 0, 50));
		assert_true(m.looks <= 101);
		/* 64 a second, from that part of the time between two looks on. */
		m.kernel.out += (100 - phase) * 64 / 1000;
		assert_true(pass(&m, 130 * LSP_MILLISECOND, 64, 50));
	}
}

static void a_game_is_seen_within_a_tenth_of_a_second_and_bulk_of_ours_never(void **state)
{
	for (int by_packets = 0; by_packets < 2; by_packets++) {
		struct machine m = {.now = LSP_SECOND, .by_packets = by_packets};
		assert_false(pass(&m, 3 * LSP_SECOND, 0, 50));
		assert_true(pass(&m, 150 * LSP_MILLISECOND, 64, 50));
		assert_true(pass(&m, 2 * LSP_SECOND, 64, 50));
		assert_true(pass(&m, 4 * LSP_SECOND, 0, 50)); /* it may come back */
		assert_false(pass(&m, 2 * LSP_SECOND, 0, 50));
	}
}

static void a_few_packets_now_and_then_are_nobody(void **state)
{
	struct machine m = {.now = LSP_SECOND};
	for (int i = 0; i < 10; i++) {
		m.kernel.out += 3; /* a question of mDNS */
		assert_false(pass(&m, LSP_SECOND, 2, 50));
	}
}

static void discovery_is_nobody_however_much_of_it(void **state)
{
	struct machine m = {.now = LSP_SECOND};
	for (int i = 0; i < 100; i++) {
		m.kernel.in += 30; /* ten packets, three listeners */
		m.kernel.multicast_in += 10;
		assert_false(pass(&m, 100 * LSP_MILLISECOND, 0, 50));
	}
}

static void discovery_that_is_read_late_is_nobody_either(void **state)
{
	struct machine m = {.now = LSP_SECOND};
	assert_false(pass(&m, LSP_SECOND, 0, 50));
	for (int i = 0; i < 20; i++) {
		m.kernel.multicast_in += 10;
		assert_false(pass(&m, 400 * LSP_MILLISECOND, 0, 50));
		m.kernel.in += 10;
		assert_false(pass(&m, 100 * LSP_MILLISECOND, 0, 50));
	}
	assert_true(pass(&m, 150 * LSP_MILLISECOND, 64, 50)); /* and a game is seen all the same */
}

static void looks_a_second_apart_see_a_game_and_nothing_less(void **state)
{
	for (unsigned hz = 0; hz <= 64; hz += 4) {
		struct machine m = {.now = LSP_SECOND};
		bool seen = false;
		for (int i = 0; i < 10; i++) {
			m.kernel.out += hz;
			m.kernel.in += hz / 2;
			seen = lsp_others_look(&m.others, &m.kernel, &m.ours, m.now);
			m.now += LSP_SECOND + i * 20 * LSP_MILLISECOND;
		}
		assert_true(hz < 12 ? !seen : hz < 30 || seen); /* it tells 16 to 20 */
		/* And the look of the moment when bulk begins, whenever it is. */
		m.kernel.out += hz / 4;
		m.now -= 3 * LSP_SECOND / 4;
		seen = lsp_others_look(&m.others, &m.kernel, &m.ours, m.now);
		assert_true(hz < 12 ? !seen : hz < 36 || seen);
	}
}

static void who_begins_to_play_between_two_seldom_looks_is_seen_at_the_next(void **state)
{
	struct machine m = {.now = LSP_SECOND};
	assert_false(lsp_others_look(&m.others, &m.kernel, &m.ours, m.now));
	m.now += LSP_SECOND;
	assert_false(lsp_others_look(&m.others, &m.kernel, &m.ours, m.now));
	m.kernel.out += 32;
	m.now += LSP_SECOND;
	assert_true(lsp_others_look(&m.others, &m.kernel, &m.ours, m.now));
}

static void what_came_in_an_hour_of_rest_came_at_no_rate(void **state)
{
	struct machine m = {.now = LSP_SECOND};
	assert_false(pass(&m, LSP_SECOND, 0, 1));
	m.kernel.in += 100000;
	m.now += 3600 * LSP_SECOND;
	assert_false(pass(&m, LSP_SECOND, 0, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_counters_of_both_families_are_added),
		cmocka_unit_test(texts_without_the_counters_are_refused),
		cmocka_unit_test(this_machine_has_them_and_they_go_on),
		cmocka_unit_test(a_game_is_seen_within_a_tenth_of_a_second_and_bulk_of_ours_never),
		cmocka_unit_test(who_is_alone_looks_seldom_and_sees_a_game_as_soon),
		cmocka_unit_test(a_few_packets_now_and_then_are_nobody),
		cmocka_unit_test(discovery_is_nobody_however_much_of_it),
		cmocka_unit_test(discovery_that_is_read_late_is_nobody_either),
		cmocka_unit_test(looks_a_second_apart_see_a_game_and_nothing_less),
		cmocka_unit_test(who_begins_to_play_between_two_seldom_looks_is_seen_at_the_next),
		cmocka_unit_test(what_came_in_an_hour_of_rest_came_at_no_rate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
