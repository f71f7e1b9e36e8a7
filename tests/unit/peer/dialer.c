/* The dialer: politeness between two ends, back-off, ranks, memory, and floods. */
#include "peer/dialer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

static struct lsp_hash hash(uint8_t byte)
{
	struct lsp_hash h;
	memset(h.bytes, byte, sizeof h.bytes);
	return h;
}

static struct sockaddr_storage address(const char *text)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&storage;
	in->sin_family = AF_INET;
	in->sin_port = htons(47777);
	assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
	return storage;
}

static bool is_address(const struct lsp_dial *dial, const char *text)
{
	struct sockaddr_storage wanted = address(text);
	return ((const struct sockaddr_in *)&dial->address)->sin_addr.s_addr ==
	       ((const struct sockaddr_in *)&wanted)->sin_addr.s_addr;
}

struct fixture {
	struct lsp_dialer *dialer;
	struct lsp_hash small, large; /* ids below and above our own */
	lsp_time now;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct lsp_hash own = hash(0x80);
	f->small = hash(0x10);
	f->large = hash(0xf0);
	f->now = LSP_SECOND;
	assert_int_equal(lsp_dialer_new(&own, 1, &f->dialer, NULL), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	lsp_dialer_free(f->dialer);
	free(f);
	return 0;
}

static void found(struct fixture *f, const struct lsp_hash *id, const char *text, unsigned rank)
{
	struct sockaddr_storage a = address(text);
	lsp_dialer_found(f->dialer, id, &a, rank, f->now);
}

static void the_smaller_id_dials_at_once_the_larger_after_a_second(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	found(f, &f->large, "10.0.0.1", 0);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(lsp_hash_equal(&dial.id, &f->large));
	found(f, &f->small, "10.0.0.2", 0);
	assert_false(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_int_equal(lsp_dialer_wake(f->dialer), f->now + LSP_DIALER_POLITENESS);
	f->now += LSP_DIALER_POLITENESS;
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(lsp_hash_equal(&dial.id, &f->small));
}

static void one_that_is_connected_is_not_dialled(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	found(f, &f->small, "10.0.0.2", 0);
	struct sockaddr_storage a = address("10.0.0.2");
	lsp_dialer_connected(f->dialer, &f->small, &a, f->now);
	assert_false(lsp_dialer_next(f->dialer, f->now + 60 * LSP_SECOND, &dial));
	assert_int_equal(lsp_dialer_wake(f->dialer), LSP_TIME_NEVER);
}

static void nothing_is_dialled_between_the_handshake_and_the_hello(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	struct sockaddr_storage a = address("10.0.0.2");
	found(f, &f->large, "10.0.0.2", 0);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_CONNECTED, f->now);
	found(f, &f->large, "10.0.0.3", 0); /* its other address is announced just now */
	assert_false(lsp_dialer_next(f->dialer, f->now + 60 * LSP_SECOND, &dial));
	assert_int_equal(lsp_dialer_wake(f->dialer), LSP_TIME_NEVER);
	lsp_dialer_disconnected(f->dialer, &f->large, false, f->now);
	assert_true(lsp_dialer_next(f->dialer, f->now + 60 * LSP_SECOND, &dial));
	lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_CONNECTED, f->now);
	lsp_dialer_connected(f->dialer, &f->large, &a, f->now);
	lsp_dialer_disconnected(f->dialer, &f->large, false, f->now);
	assert_true(lsp_dialer_next(f->dialer, f->now + 60 * LSP_SECOND, &dial));
}

static void our_own_id_somewhere_else_is_dialled_since_a_clone_must_be_found_out(void **state)
{
	struct fixture *f = *state;
	struct lsp_hash own = hash(0x80);
	struct lsp_dial dial;
	found(f, &own, "10.0.0.9", 0);
	assert_true(lsp_dialer_next(f->dialer, f->now + LSP_DIALER_POLITENESS, &dial));
	assert_true(dial.has_id && lsp_hash_equal(&dial.id, &own));
	lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_REFUSED, f->now);
	assert_false(lsp_dialer_next(f->dialer, f->now + 10 * LSP_SECOND, &dial));
}

static void the_next_address_is_tried_right_after_a_failure_best_rank_first(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	found(f, &f->large, "10.9.0.1", 5); /* a dead end with a worse rank */
	found(f, &f->large, "10.0.0.1", 1);
	f->now += LSP_DIALER_RESOLUTION_DELAY;
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(is_address(&dial, "10.0.0.1"));
	lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_FAILED, f->now);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(is_address(&dial, "10.9.0.1"));
	lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_FAILED, f->now);
	assert_false(lsp_dialer_next(f->dialer, f->now, &dial));
}

/* Its answer would reach nobody, and the other attempts would never end. */
static void an_address_that_is_being_tried_is_not_crowded_out(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial first, second, dial;
	found(f, &f->large, "10.0.1.1", 9);
	f->now += LSP_DIALER_RESOLUTION_DELAY;
	assert_true(lsp_dialer_next(f->dialer, f->now, &first));
	for (int i = 0; i < 2 * LSP_DIALER_MAX_ADDRESSES; i++) {
		char text[16];
		snprintf(text, sizeof text, "10.0.0.%d", i + 1);
		found(f, &f->large, text, 5);
	}
	f->now += LSP_DIALER_WORSE_ATTEMPT_DELAY;
	assert_true(lsp_dialer_next(f->dialer, f->now, &second));
	lsp_dialer_result(f->dialer, first.attempt, LSP_DIAL_CONNECTED, f->now);
	assert_false(lsp_dialer_next(f->dialer, f->now + 60 * LSP_SECOND, &dial));
	lsp_dialer_connected(f->dialer, &f->large, &first.address, f->now);
	lsp_dialer_disconnected(f->dialer, &f->large, false, f->now);
	f->now = lsp_dialer_wake(f->dialer);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(is_address(&dial, "10.0.0.1"));
}

static void a_refusal_is_of_one_address_and_the_next_is_tried_right_after_it(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	found(f, &f->large, "10.0.0.1", 0);
	found(f, &f->large, "10.0.0.2", 5);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(is_address(&dial, "10.0.0.1"));
	lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_REFUSED, f->now);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(is_address(&dial, "10.0.0.2"));
	/* Nobody is there: that one is tried again by itself, as often as if it were the only one.
	 */
	lsp_time refused_until = f->now + LSP_DIALER_REFUSED_WAIT;
	for (int i = 0; i < 3; i++) {
		lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_FAILED, f->now);
		assert_false(lsp_dialer_next(f->dialer, f->now, &dial));
		f->now = lsp_dialer_wake(f->dialer);
		assert_true(f->now < refused_until);
		assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
		assert_true(is_address(&dial, "10.0.0.2"));
	}
	f->now = refused_until;
	lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_REFUSED, f->now);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(is_address(&dial, "10.0.0.1"));
}

static void who_refuses_is_told_of_once_for_all_addresses(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial first, second;
	struct lsp_hash who = hash(0x55), another = hash(0x66);
	found(f, &f->large, "10.0.0.1", 0);
	found(f, &f->large, "10.0.0.2", 0);
	assert_true(lsp_dialer_next(f->dialer, f->now, &first));
	assert_true(lsp_dialer_is_news(f->dialer, first.attempt, &who, f->now));
	lsp_dialer_result(f->dialer, first.attempt, LSP_DIAL_REFUSED, f->now);
	assert_true(lsp_dialer_next(f->dialer, f->now, &second));
	assert_false(lsp_dialer_is_news(f->dialer, second.attempt, &who, f->now));
	assert_true(lsp_dialer_is_news(f->dialer, second.attempt, &another, f->now));
	lsp_dialer_result(f->dialer, second.attempt, LSP_DIAL_REFUSED, f->now);
	f->now = lsp_dialer_wake(f->dialer);
	assert_true(lsp_dialer_next(f->dialer, f->now, &first));
	assert_true(lsp_dialer_is_news(f->dialer, first.attempt, &another, f->now));
}

static void while_one_address_does_not_answer_the_next_is_tried_too(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial first, second, third, none;
	found(f, &f->large, "10.0.0.1", 0);
	found(f, &f->large, "10.0.0.2", 5);
	found(f, &f->large, "10.9.0.1", 20);
	assert_true(lsp_dialer_next(f->dialer, f->now, &first));
	assert_true(is_address(&first, "10.0.0.1"));
	assert_false(lsp_dialer_next(f->dialer, f->now, &none));
	assert_int_equal(lsp_dialer_wake(f->dialer), f->now + LSP_DIALER_ATTEMPT_DELAY);
	f->now += LSP_DIALER_ATTEMPT_DELAY;
	assert_true(lsp_dialer_next(f->dialer, f->now, &second));
	assert_true(is_address(&second, "10.0.0.2"));
	assert_int_equal(second.candidate, first.candidate);
	/* Another kind of interface: more patience. */
	assert_int_equal(lsp_dialer_wake(f->dialer), f->now + LSP_DIALER_WORSE_ATTEMPT_DELAY);
	/* The one fails, the other is still waited for, and the third need not wait any more. */
	lsp_dialer_result(f->dialer, second.attempt, LSP_DIAL_FAILED, f->now);
	assert_true(lsp_dialer_next(f->dialer, f->now, &third));
	assert_true(is_address(&third, "10.9.0.1"));
	lsp_dialer_result(f->dialer, third.attempt, LSP_DIAL_FAILED, f->now);
	assert_int_equal(lsp_dialer_wake(f->dialer), LSP_TIME_NEVER);
	lsp_dialer_result(f->dialer, first.attempt, LSP_DIAL_FAILED, f->now);
	assert_true(lsp_dialer_wake(f->dialer) >= f->now + LSP_SECOND);
	assert_true(lsp_dialer_wake(f->dialer) != LSP_TIME_NEVER);
}

static void the_first_that_answers_ends_the_other_attempts(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial first, second, none;
	struct sockaddr_storage a = address("10.0.0.2");
	found(f, &f->large, "10.0.0.1", 0);
	found(f, &f->large, "10.0.0.2", 0);
	assert_true(lsp_dialer_next(f->dialer, f->now, &first));
	f->now += LSP_DIALER_ATTEMPT_DELAY;
	assert_true(lsp_dialer_next(f->dialer, f->now, &second));
	lsp_dialer_result(f->dialer, second.attempt, LSP_DIAL_CONNECTED, f->now);
	lsp_dialer_result(f->dialer, first.attempt, LSP_DIAL_FAILED, f->now); /* nobody asks */
	assert_false(lsp_dialer_next(f->dialer, f->now + 60 * LSP_SECOND, &none));
	lsp_dialer_connected(f->dialer, &f->large, &a, f->now);
	assert_int_equal(lsp_dialer_wake(f->dialer), LSP_TIME_NEVER);
	/* And both may be dialled again. */
	lsp_dialer_disconnected(f->dialer, &f->large, false, f->now);
	f->now = lsp_dialer_wake(f->dialer);
	assert_true(lsp_dialer_next(f->dialer, f->now, &first));
	assert_true(is_address(&first, "10.0.0.1"));
	f->now += LSP_DIALER_ATTEMPT_DELAY;
	assert_true(lsp_dialer_next(f->dialer, f->now, &second));
	assert_true(is_address(&second, "10.0.0.2"));
}

static void a_better_address_that_is_announced_a_moment_later_is_dialled_first(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	found(f, &f->large, "10.9.0.1", 25);
	assert_false(lsp_dialer_next(f->dialer, f->now, &dial));
	lsp_time until = f->now + LSP_DIALER_RESOLUTION_DELAY;
	assert_int_equal(lsp_dialer_wake(f->dialer), until);
	f->now = until - 1;
	found(f, &f->large, "10.0.0.1", 20); /* does not put it off */
	assert_false(lsp_dialer_next(f->dialer, f->now, &dial));
	f->now = until;
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(is_address(&dial, "10.0.0.1"));
}

static void the_best_rank_waits_for_no_other(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	found(f, &f->large, "10.9.0.1", 5);
	found(f, &f->large, "10.0.0.1", 0);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(is_address(&dial, "10.0.0.1"));
}

static void failures_back_off_to_fifteen_seconds(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	found(f, &f->large, "10.0.0.1", 0);
	uint64_t last = 0;
	for (int i = 0; i < 10; i++) {
		assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
		lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_FAILED, f->now);
		last = lsp_dialer_wake(f->dialer) - f->now;
		assert_true(last >= LSP_SECOND);
		assert_true(last <= 19 * LSP_SECOND);
		f->now += last;
	}
	assert_true(last >= 15 * LSP_SECOND);
}

static void one_that_said_goodbye_is_dialled_again_only_when_announced_anew(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	found(f, &f->large, "10.0.0.1", 0);
	struct sockaddr_storage a = address("10.0.0.1");
	lsp_dialer_connected(f->dialer, &f->large, &a, f->now);
	lsp_dialer_disconnected(f->dialer, &f->large, true, f->now);
	assert_int_equal(lsp_dialer_wake(f->dialer), LSP_TIME_NEVER);
	lsp_dialer_lost(f->dialer, &f->large, NULL, f->now);
	found(f, &f->large, "10.0.0.1", 0);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
}

static void one_that_was_lost_is_dialled_again(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	struct sockaddr_storage a = address("10.0.0.1");
	lsp_dialer_connected(f->dialer, &f->large, &a, f->now); /* it dialled us */
	lsp_dialer_disconnected(f->dialer, &f->large, false, f->now);
	f->now = lsp_dialer_wake(f->dialer);
	assert_true(f->now != LSP_TIME_NEVER);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(is_address(&dial, "10.0.0.1"));
}

static void an_address_that_the_user_gave_takes_the_id_of_who_answers(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	struct sockaddr_storage a = address("192.0.2.1");
	lsp_dialer_manual(f->dialer, NULL, &a, f->now);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_false(dial.has_id);
	lsp_dialer_connected(f->dialer, &f->small, &a, f->now);
	lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_CONNECTED, f->now);
	assert_int_equal(lsp_dialer_count(f->dialer), 1);
	/* It is kept for good, and trusted on first use from here on. */
	lsp_dialer_disconnected(f->dialer, &f->small, true, f->now);
	f->now += 10 * LSP_DIALER_MEMORY;
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(dial.has_id);
}

static void who_is_forgotten_at_an_address_of_the_users_is_trusted_anew(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage a = address("10.0.0.1"), other = address("10.0.0.2");
	struct lsp_dial dial;
	lsp_dialer_manual(f->dialer, NULL, &a, f->now);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_null(lsp_dialer_learned(f->dialer, dial.attempt));
	lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_CONNECTED, f->now);
	lsp_dialer_connected(f->dialer, &f->large, &a, f->now);
	assert_true(lsp_hash_equal(lsp_dialer_known(f->dialer, 0), &f->large));
	assert_null(lsp_dialer_known(f->dialer, 1));
	/* It comes back with another key, by a connection of its own; the old one is refused. */
	lsp_dialer_connected(f->dialer, &f->large, &other, f->now);
	lsp_dialer_disconnected(f->dialer, &f->large, true, f->now);
	f->now += 60 * LSP_SECOND;
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_true(dial.has_id);
	assert_true(lsp_hash_equal(lsp_dialer_learned(f->dialer, dial.attempt), &f->large));
	lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_REFUSED, f->now);
	assert_true(lsp_dialer_forget(f->dialer, &f->large, f->now));
	assert_false(lsp_dialer_forget(f->dialer, &f->large, f->now));
	/* At once, whoever is there, and only where the user said. */
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_false(dial.has_id);
	assert_memory_equal(&dial.address, &a, sizeof(struct sockaddr_in));
	lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_FAILED, f->now);
	assert_true(lsp_dialer_wake(f->dialer) > f->now);
	/* An id that the user gave is no such thing. */
	lsp_dialer_manual(f->dialer, &f->small, &other, f->now);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_null(lsp_dialer_learned(f->dialer, dial.attempt));
	assert_true(lsp_dialer_forget(f->dialer, &f->small, f->now));
	assert_int_equal(lsp_dialer_count(f->dialer), 1);
}

static void a_refusal_is_not_repeated_for_twenty_seconds(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	found(f, &f->large, "10.0.0.1", 0);
	assert_true(lsp_dialer_next(f->dialer, f->now, &dial));
	lsp_dialer_result(f->dialer, dial.attempt, LSP_DIAL_REFUSED, f->now);
	assert_true(lsp_dialer_wake(f->dialer) >= f->now + 20 * LSP_SECOND);
}

static void a_flood_of_announcements_is_bounded_and_keeps_live_peers(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage a = address("10.0.0.1");
	lsp_dialer_connected(f->dialer, &f->large, &a, f->now);
	for (uint32_t i = 0; i < 10000; i++) {
		struct lsp_hash id = hash(0x33);
		memcpy(id.bytes, &i, sizeof i);
		found(f, &id, "10.0.0.2", 0);
	}
	assert_true(lsp_dialer_count(f->dialer) <= LSP_DIALER_MAX);
	assert_true(lsp_dialer_forget(f->dialer, &f->large, f->now)); /* it was still there */
}

static void what_nobody_announces_any_more_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct lsp_dial dial;
	found(f, &f->small, "10.0.0.1", 0);
	lsp_dialer_lost(f->dialer, &f->small, NULL, f->now);
	f->now += LSP_DIALER_MEMORY;
	assert_false(lsp_dialer_next(f->dialer, f->now, &dial));
	assert_int_equal(lsp_dialer_count(f->dialer), 0);
}

static void the_address_for_others_is_the_best_that_needs_no_zone(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage zoned = {0}, got, best = address("10.0.0.1");
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&zoned;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(47777);
	in6->sin6_scope_id = 2;
	assert_int_equal(inet_pton(AF_INET6, "fe80::1", &in6->sin6_addr), 1);
	assert_false(lsp_dialer_global_address(f->dialer, &f->large, &got));
	lsp_dialer_found(f->dialer, &f->large, &zoned, 0, f->now);
	assert_false(lsp_dialer_global_address(f->dialer, &f->large, &got));
	found(f, &f->large, "10.0.0.2", 2);
	found(f, &f->large, "10.0.0.1", 1);
	assert_true(lsp_dialer_global_address(f->dialer, &f->large, &got));
	assert_memory_equal(&got, &best, sizeof(struct sockaddr_in));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_smaller_id_dials_at_once_the_larger_after_a_second),
		TEST(one_that_is_connected_is_not_dialled),
		TEST(nothing_is_dialled_between_the_handshake_and_the_hello),
		TEST(our_own_id_somewhere_else_is_dialled_since_a_clone_must_be_found_out),
		TEST(the_next_address_is_tried_right_after_a_failure_best_rank_first),
		TEST(an_address_that_is_being_tried_is_not_crowded_out),
		TEST(a_refusal_is_of_one_address_and_the_next_is_tried_right_after_it),
		TEST(who_refuses_is_told_of_once_for_all_addresses),
		TEST(while_one_address_does_not_answer_the_next_is_tried_too),
		TEST(the_first_that_answers_ends_the_other_attempts),
		TEST(a_better_address_that_is_announced_a_moment_later_is_dialled_first),
		TEST(the_best_rank_waits_for_no_other),
		TEST(failures_back_off_to_fifteen_seconds),
		TEST(one_that_said_goodbye_is_dialled_again_only_when_announced_anew),
		TEST(one_that_was_lost_is_dialled_again),
		TEST(an_address_that_the_user_gave_takes_the_id_of_who_answers),
		TEST(who_is_forgotten_at_an_address_of_the_users_is_trusted_anew),
		TEST(a_refusal_is_not_repeated_for_twenty_seconds),
		TEST(a_flood_of_announcements_is_bounded_and_keeps_live_peers),
		TEST(what_nobody_announces_any_more_is_forgotten),
		TEST(the_address_for_others_is_the_best_that_needs_no_zone),
	};
	return cmocka_run_group_tests_name("dialer", tests, NULL, NULL);
}
