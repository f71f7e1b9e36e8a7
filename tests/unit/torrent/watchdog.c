#include "torrent/watchdog.h"

#include "../task/fixture.h"

static void a_cap_that_holds_is_left_alone(void **state)
{
	struct lsp_watchdog watchdog = {0};
	uint64_t rate, total = 5000000;
	lsp_watchdog_set(&watchdog, 1000000, LSP_SECOND);
	for (unsigned i = 1; i < 60; i++, total += 1000000)
		assert_int_equal(lsp_watchdog_look(&watchdog, total, (1 + i) * LSP_SECOND, &rate),
			LSP_WATCHDOG_SAME);
	assert_false(watchdog.stale);
}

static void what_passes_in_the_grace_does_not_count_and_after_it_does(void **state)
{
	struct lsp_watchdog watchdog = {0};
	uint64_t rate = 0, total = 0;
	bool stale = false;
	lsp_watchdog_set(&watchdog, 2 << 20, LSP_SECOND);
	for (unsigned i = 1; i < 12; i++) {
		total += 74u << 20; /* as it was without classes of peers */
		lsp_time now = (1 + i) * LSP_SECOND;
		bool now_stale =
			lsp_watchdog_look(&watchdog, total, now, &rate) == LSP_WATCHDOG_STALE;
		if (now < LSP_SECOND + LSP_WATCHDOG_GRACE)
			assert_false(now_stale);
		stale |= now_stale;
	}
	assert_true(stale);
	assert_in_range(rate, 73u << 20, 75u << 20);
	for (unsigned i = 0; i < 20; i++)
		if (lsp_watchdog_look(&watchdog, total, (20 + i) * LSP_SECOND, &rate) ==
			LSP_WATCHDOG_HOLDS)
			stale = false;
	assert_false(stale);
}

static void no_cap_is_never_stale(void **state)
{
	struct lsp_watchdog watchdog = {0};
	uint64_t rate;
	lsp_watchdog_set(&watchdog, 0, LSP_SECOND);
	assert_int_equal(lsp_watchdog_look(&watchdog, UINT64_MAX / 2, 100 * LSP_SECOND, &rate),
		LSP_WATCHDOG_SAME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cap_that_holds_is_left_alone),
		cmocka_unit_test(what_passes_in_the_grace_does_not_count_and_after_it_does),
		cmocka_unit_test(no_cap_is_never_stale),
	};
	return cmocka_run_group_tests_name("torrent watchdog", tests, NULL, NULL);
}
