#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void the_machines_clock_does_not_go_back(void **state)
{
	lsp_time last = lsp_now(lsp_clock_system);
	for (int i = 0; i < 1000; i++) {
		lsp_time now = lsp_now(lsp_clock_system);
		assert_true(now >= last);
		last = now;
	}
	/* The wall clock counts from 1970: it is past 2020. */
	assert_true(lsp_wall(lsp_clock_system) > UINT64_C(1577836800) * LSP_SECOND);
	assert_null(lsp_clock_system->watch);
}

static void never_stays_never(void **state)
{
	assert_int_equal(lsp_time_add(5, 7), 12);
	assert_true(lsp_time_add(LSP_TIME_NEVER, 1) == LSP_TIME_NEVER);
	assert_true(lsp_time_add(1, LSP_TIME_NEVER) == LSP_TIME_NEVER);
	assert_true(lsp_time_add(LSP_TIME_NEVER - 5, 6) == LSP_TIME_NEVER);
	assert_int_equal(lsp_time_left(10, 15), 5);
	assert_int_equal(lsp_time_left(15, 15), 0);
	assert_int_equal(lsp_time_left(16, 15), 0);
}

static void a_fake_clock_moves_only_when_it_is_moved(void **state)
{
	struct lsp_fake_clock fake;
	lsp_fake_clock_init(&fake);
	uint64_t wall = lsp_wall(&fake.clock);
	assert_int_equal(lsp_now(&fake.clock), LSP_SECOND);
	assert_int_equal(lsp_now(&fake.clock), LSP_SECOND);
	lsp_fake_clock_advance(&fake, 3 * LSP_MILLISECOND);
	assert_int_equal(lsp_now(&fake.clock), LSP_SECOND + 3 * LSP_MILLISECOND);
	assert_int_equal(lsp_wall(&fake.clock), wall + 3 * LSP_MILLISECOND);
}

static void count(void *argument)
{
	++*(int *)argument;
}

static void whoever_watches_a_fake_clock_is_told_of_each_move(void **state)
{
	struct lsp_fake_clock fake;
	int calls[3] = {0};
	struct lsp_clock_watch watches[3];
	lsp_fake_clock_init(&fake);
	for (int i = 0; i < 3; i++) {
		watches[i] = (struct lsp_clock_watch){.moved = count, .argument = &calls[i]};
		fake.clock.watch(&fake.clock, &watches[i], true);
	}
	lsp_fake_clock_advance(&fake, 1);
	fake.clock.watch(&fake.clock, &watches[1], false);
	lsp_fake_clock_advance(&fake, 1);
	fake.clock.watch(&fake.clock, &watches[0], false);
	fake.clock.watch(&fake.clock, &watches[2], false);
	lsp_fake_clock_advance(&fake, 1);
	assert_int_equal(calls[0], 2);
	assert_int_equal(calls[1], 1);
	assert_int_equal(calls[2], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_machines_clock_does_not_go_back),
		cmocka_unit_test(never_stays_never),
		cmocka_unit_test(a_fake_clock_moves_only_when_it_is_moved),
		cmocka_unit_test(whoever_watches_a_fake_clock_is_told_of_each_move),
	};
	return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
