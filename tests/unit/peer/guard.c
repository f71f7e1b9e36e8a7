/*
 * The ping guard's looks alone, between stand-ins for the loop's timers, the sessions, their
 * connections and the kernel's counters: when a path is held back, and when it is let go.
 */
#include "peer/guard.h"

#include "net/others.h"
#include "peer/connect.h"
#include "peer/peer.h"
#include "peer/session.h"
#include "swarm/swarm.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define START_RATE (UINT64_C(256) << 10)
#define RTT (2 * LSP_MILLISECOND)

static struct lsp_fake_clock clock_now;
static struct lsp_peer peer;
static struct lsp_guard guard; /* the only session's */
static struct lsp_connection_stats stats;
static uint64_t send_limit, request_limit;
static uint64_t line; /* bytes a second; 0: nothing gets through */
static uint64_t round_trip;
static uint32_t address; /* IPv4, of the other end */
static bool others_here;
static unsigned looks;
static struct lsp_timer *timers[2];

/* Only their addresses are looked at. */
#define SESSION ((struct lsp_session *)&guard)
#define CONNECTION ((struct lsp_connection *)&stats)

int lsp_timer_init(struct lsp_timer *timer, struct lsp_loop *loop, void (*function)(void *argument),
	void *argument, struct lsp_error *err)
{
	*timer = (struct lsp_timer){.function = function, .argument = argument};
	timers[timers[0] != NULL] = timer;
	return 0;
}

void lsp_timer_done(struct lsp_timer *timer)
{
	timer->index = 0;
}

void lsp_timer_start(struct lsp_timer *timer, lsp_time when)
{
	timer->when = when;
	timer->index = 1;
}

struct lsp_peer *lsp_session_peer(const struct lsp_session *session)
{
	return &peer;
}

struct lsp_connection *lsp_session_connection(const struct lsp_session *session)
{
	return CONNECTION;
}

lsp_swarm_id lsp_session_swarm_peer(const struct lsp_session *session)
{
	return 0;
}

struct lsp_guard *lsp_session_guard(struct lsp_session *session)
{
	return &guard;
}

bool lsp_session_is_established(const struct lsp_session *session)
{
	return true;
}

struct lsp_session *lsp_session_next(const struct lsp_session *session)
{
	return NULL;
}

const struct sockaddr_storage *lsp_connection_address(const struct lsp_connection *connection)
{
	static struct sockaddr_storage storage;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
	v4->sin_family = AF_INET;
	v4->sin_addr.s_addr = htonl(address);
	return &storage;
}

void lsp_connection_set_send_limit(struct lsp_connection *connection, uint64_t bytes_per_second)
{
	send_limit = bytes_per_second;
}

void lsp_connection_get_stats(
	const struct lsp_connection *connection, struct lsp_connection_stats *ret_stats)
{
	looks++;
	*ret_stats = stats;
}

bool lsp_connection_take_round_trip(
	struct lsp_connection *connection, uint64_t *ret_least, unsigned *ret_count)
{
	*ret_least = round_trip;
	*ret_count = 1;
	return line && (stats.queued || stats.received);
}

void lsp_swarm_peer_guard(struct lsp_swarm *swarm, lsp_swarm_id id, uint64_t down)
{
	request_limit = down;
}

void lsp_peer_kick(struct lsp_peer *kicked)
{
}

struct lsp_endpoint *lsp_connect_endpoint(const struct lsp_connect *connect)
{
	return (struct lsp_endpoint *)&peer; /* only its address is looked at */
}

void lsp_endpoint_get_stats(
	const struct lsp_endpoint *endpoint, struct lsp_endpoint_stats *ret_stats)
{
	memset(ret_stats, 0, sizeof *ret_stats);
}

int lsp_counters_open(struct lsp_counters *counters, struct lsp_error *err)
{
	return 0;
}

void lsp_counters_close(struct lsp_counters *counters)
{
}

int lsp_counters_read(
	struct lsp_counters *counters, struct lsp_datagrams *ret_datagrams, struct lsp_error *err)
{
	memset(ret_datagrams, 0, sizeof *ret_datagrams);
	return 0;
}

bool lsp_others_look(struct lsp_others *others, const struct lsp_datagrams *kernel,
	const struct lsp_endpoint_stats *ours, lsp_time now)
{
	return others_here;
}

lsp_time lsp_others_next_look(const struct lsp_others *others, lsp_time now)
{
	return now + LSP_OTHERS_CALM_LOOK;
}

static void guarded_init(bool others)
{
	memset(&peer, 0, sizeof peer);
	memset(&guard, 0, sizeof guard);
	memset(&stats, 0, sizeof stats);
	memset(timers, 0, sizeof timers);
	send_limit = request_limit = 0;
	line = 100000000;
	round_trip = RTT;
	address = 0x0a000001;
	others_here = others;
	lsp_fake_clock_init(&clock_now);
	peer.clock = &clock_now.clock;
	peer.sessions = SESSION;
	assert_int_equal(lsp_guards_new(&peer, &peer.guards, NULL), 0);
	lsp_guards_switch(peer.guards, true);
}

static void guarded_done(void)
{
	lsp_guards_stop(peer.guards);
	lsp_guards_free(peer.guards);
}

static void run_timers(void)
{
	for (size_t i = 0; i < 2; i++)
		if (timers[i]->index && timers[i]->when <= lsp_peer_now(&peer)) {
			timers[i]->index = 0;
			timers[i]->function(timers[i]->argument);
		}
}

/* The loop for so long: its timers, its ticks, and packets as many as the limit lets through. */
static void pass(uint64_t nanoseconds, bool bulk)
{
	for (uint64_t passed = 0; passed < nanoseconds; passed += LSP_MILLISECOND) {
		uint64_t bytes = bulk ? LSP_MIN(send_limit ? send_limit : line, line) / 1000 : 0;
		stats.queued = bulk ? 1000000 : 0;
		stats.sent_wire += bytes;
		peer.sent += bytes;
		lsp_fake_clock_advance(&clock_now, LSP_MILLISECOND);
		run_timers();
		if (passed % (100 * LSP_MILLISECOND) == 0)
			lsp_guards_tick(peer.guards);
	}
}

/* A gentle transfer of a second. */
static uint64_t serve(void)
{
	lsp_guards_serve(peer.guards, SESSION, true);
	assert_int_equal(send_limit, START_RATE);
	pass(LSP_SECOND, true);
	assert_true(send_limit > 4 * START_RATE);
	return send_limit;
}

static void what_comes_after_a_gentle_transfer_is_free(void **state)
{
	guarded_init(false);
	serve();
	pass(3 * LSP_SECOND, false);
	assert_int_equal(send_limit, 0);
	unsigned before = looks;
	pass(3 * LSP_SECOND, false);
	assert_int_equal(looks, before); /* nothing moves: nobody looks */
	pass(8 * LSP_SECOND, true);      /* another's, when its time has passed */
	assert_int_equal(send_limit, 0);
	guarded_done();
}

static void after_a_short_pause_it_goes_on_as_fast(void **state)
{
	guarded_init(false);
	uint64_t reached = serve();
	pass(1500 * LSP_MILLISECOND, false);
	assert_int_equal(send_limit, 0);
	lsp_guards_serve(peer.guards, SESSION, true);
	assert_int_equal(send_limit, reached);
	guarded_done();
}

static void after_a_rest_it_begins_carefully(void **state)
{
	guarded_init(false);
	serve();
	pass(3 * LSP_SECOND, false);
	serve();
	guarded_done();
}

static void bulk_that_goes_on_by_itself_is_guarded_again(void **state)
{
	guarded_init(false);
	uint64_t reached = serve();
	pass(1500 * LSP_MILLISECOND, false); /* a stall: no request follows */
	pass(300 * LSP_MILLISECOND, true);
	assert_true(send_limit >= reached);
	guarded_done();
}

static void after_a_stall_a_slow_line_is_guarded_still(void **state)
{
	guarded_init(false);
	serve();
	line = 0;
	for (int i = 0; i < 60; i++) { /* longer than a gentle request is remembered */
		pass(100 * LSP_MILLISECOND, true);
		assert_int_not_equal(send_limit, 0);
	}
	line = 200000;
	for (int i = 0; i < 100; i++) { /* of the same request: no other one follows */
		pass(100 * LSP_MILLISECOND, true);
		assert_int_not_equal(send_limit, 0);
	}
	lsp_guards_serve(peer.guards, SESSION, false); /* the game is over */
	pass(6 * LSP_SECOND, true);
	assert_int_equal(send_limit, 0);
	guarded_done();
}

static void a_game_that_begins_beside_a_slow_transfer_is_seen(void **state)
{
	guarded_init(false);
	line = 200000;
	lsp_guards_serve(peer.guards, SESSION, false);
	pass(5 * LSP_SECOND, true);
	assert_int_equal(send_limit, 0);
	others_here = true;
	pass(1100 * LSP_MILLISECOND, true);
	assert_int_not_equal(send_limit, 0);
	pass(5 * LSP_SECOND, true);
	assert_int_not_equal(send_limit, 0);
	guarded_done();
}

static void beside_others_only_what_moves_is_held_back(void **state)
{
	guarded_init(true);
	assert_true(lsp_guards_ask(peer.guards, SESSION));
	lsp_guards_serve(peer.guards, SESSION, false);
	assert_int_equal(send_limit, START_RATE);
	pass(3 * LSP_SECOND, false);
	assert_int_equal(send_limit, 0);
	lsp_guards_switch(peer.guards, false);
	lsp_guards_switch(peer.guards, true); /* it knows of the others still */
	pass(LSP_SECOND, false);
	assert_int_equal(send_limit, 0);
	assert_true(request_limit == 0 || request_limit == LSP_PING_GUARD_FREE);
	guarded_done();
}

static void who_is_switched_off_holds_nothing_back(void **state)
{
	guarded_init(true);
	lsp_guards_serve(peer.guards, SESSION, true);
	assert_int_not_equal(send_limit, 0);
	lsp_guards_switch(peer.guards, false);
	assert_int_equal(send_limit, 0);
	lsp_guards_serve(peer.guards, SESSION, true);
	assert_false(lsp_guards_ask(peer.guards, SESSION));
	pass(LSP_SECOND, true);
	assert_int_equal(send_limit, 0);
	guarded_done();
}

static void a_path_over_loopback_is_free(void **state)
{
	guarded_init(true);
	address = 0x7f000001;
	lsp_guards_serve(peer.guards, SESSION, true);
	pass(LSP_SECOND, true);
	assert_int_equal(send_limit, 0);
	guarded_done();
}

/* Where we stood still ourselves, packets waited for us and not on the line. */
static void a_look_that_is_late_is_no_witness_of_a_queue(void **state)
{
	guarded_init(false);
	uint64_t reached = serve();
	round_trip = RTT + 15 * LSP_MILLISECOND;
	for (int i = 0; i < 20; i++) {
		stats.sent_wire += send_limit / 50;
		lsp_fake_clock_advance(&clock_now, 20 * LSP_MILLISECOND);
		run_timers();
	}
	assert_true(send_limit >= reached);
	pass(LSP_SECOND / 2, true); /* the same, seen in time */
	assert_true(send_limit < reached);
	guarded_done();
}

/* From one who does not guard: what is asked for is held back when a queue stands. */
static void requests_are_paced_where_the_sender_lets_a_queue_stand(void **state)
{
	guarded_init(true);
	assert_true(lsp_guards_ask(peer.guards, SESSION));
	stats.rtt_min = RTT;
	for (int i = 0; i < 2000; i++) {
		bool queue = i >= 500;
		stats.rtt_smoothed = RTT + (queue ? 40 * LSP_MILLISECOND : 0);
		stats.received += line / 1000;
		stats.received_wire += line / 1000;
		peer.received += line / 1000;
		assert_true(queue || !request_limit || request_limit == LSP_PING_GUARD_FREE);
		pass(LSP_MILLISECOND, false);
	}
	assert_in_range(request_limit, 1, line);
	guarded_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_comes_after_a_gentle_transfer_is_free),
		cmocka_unit_test(after_a_short_pause_it_goes_on_as_fast),
		cmocka_unit_test(after_a_rest_it_begins_carefully),
		cmocka_unit_test(bulk_that_goes_on_by_itself_is_guarded_again),
		cmocka_unit_test(after_a_stall_a_slow_line_is_guarded_still),
		cmocka_unit_test(a_game_that_begins_beside_a_slow_transfer_is_seen),
		cmocka_unit_test(beside_others_only_what_moves_is_held_back),
		cmocka_unit_test(who_is_switched_off_holds_nothing_back),
		cmocka_unit_test(a_path_over_loopback_is_free),
		cmocka_unit_test(a_look_that_is_late_is_no_witness_of_a_queue),
		cmocka_unit_test(requests_are_paced_where_the_sender_lets_a_queue_stand),
	};
	return cmocka_run_group_tests_name("peer/guard", tests, NULL, NULL);
}
