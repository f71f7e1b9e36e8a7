#include "torrent/coalesce.h"

#include "../task/fixture.h"

static struct lsp_progress_sample sample(int64_t done)
{
	return (struct lsp_progress_sample){.done = done, .total = 1000};
}

static void the_first_passes_and_the_latest_waits_its_turn(void **state)
{
	struct lsp_coalescer coalescer = {0};
	struct lsp_progress_sample out, a = sample(1), b = sample(2), c = sample(3);
	lsp_time now = LSP_SECOND;
	assert_true(lsp_coalescer_offer(&coalescer, &a, now));
	assert_int_equal(lsp_coalescer_due(&coalescer), LSP_TIME_NEVER);
	assert_false(lsp_coalescer_offer(&coalescer, &b, now + 1));
	assert_false(lsp_coalescer_offer(&coalescer, &c, now + 2));
	assert_int_equal(lsp_coalescer_due(&coalescer), now + LSP_PROGRESS_INTERVAL);
	assert_false(lsp_coalescer_take(&coalescer, now + 3, false, &out));
	assert_true(lsp_coalescer_take(&coalescer, now + LSP_PROGRESS_INTERVAL, false, &out));
	assert_int_equal(out.done, 3);
	assert_int_equal(coalescer.merged, 1);
	assert_int_equal(coalescer.passed, 2);
	assert_false(lsp_coalescer_take(&coalescer, LSP_TIME_NEVER, true, &out));
}

static void a_flush_gives_the_last_at_once(void **state)
{
	struct lsp_coalescer coalescer = {0};
	struct lsp_progress_sample out, a = sample(1), b = sample(1000);
	assert_true(lsp_coalescer_offer(&coalescer, &a, LSP_SECOND));
	assert_false(lsp_coalescer_offer(&coalescer, &b, LSP_SECOND + 1));
	assert_true(lsp_coalescer_take(&coalescer, LSP_SECOND + 2, true, &out));
	assert_int_equal(out.done, 1000);
}

static void what_says_the_same_is_not_said_again(void **state)
{
	struct lsp_coalescer coalescer = {0};
	struct lsp_progress_sample a = sample(1), b = sample(2), out;
	assert_true(lsp_coalescer_offer(&coalescer, &a, LSP_SECOND));
	assert_false(lsp_coalescer_offer(&coalescer, &a, 5 * LSP_SECOND));
	assert_true(lsp_coalescer_offer(&coalescer, &b, 6 * LSP_SECOND));
	assert_false(lsp_coalescer_offer(&coalescer, &a, 6 * LSP_SECOND + 1));
	assert_false(lsp_coalescer_offer(&coalescer, &b, 6 * LSP_SECOND + 2));
	assert_false(lsp_coalescer_take(&coalescer, LSP_TIME_NEVER, true, &out));
}

static void never_more_than_ten_a_second(void **state)
{
	struct lsp_coalescer coalescer = {0};
	struct lsp_progress_sample out;
	unsigned passed = 0;
	for (unsigned i = 0; i < 10000; i++) { /* a millisecond apart */
		struct lsp_progress_sample each = sample(i);
		lsp_time now = LSP_SECOND + i * LSP_MILLISECOND;
		passed += lsp_coalescer_take(&coalescer, now, false, &out);
		passed += lsp_coalescer_offer(&coalescer, &each, now);
	}
	assert_in_range(passed, 95, 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_passes_and_the_latest_waits_its_turn),
		cmocka_unit_test(a_flush_gives_the_last_at_once),
		cmocka_unit_test(what_says_the_same_is_not_said_again),
		cmocka_unit_test(never_more_than_ten_a_second),
	};
	return cmocka_run_group_tests_name("torrent coalesce", tests, NULL, NULL);
}
