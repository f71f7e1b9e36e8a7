#include "net/rate_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void without_a_rate_everything_is_allowed(void **state)
{
	struct lsp_rate_limit limit = {0};
	lsp_rate_limit_spend(&limit, UINT64_MAX, 5);
	assert_true(lsp_rate_limit_allows(&limit, 5));
	assert_true(lsp_rate_limit_left(&limit, 5) == UINT64_MAX);
}

static void the_burst_is_there_at_once_and_no_more(void **state)
{
	struct lsp_rate_limit limit;
	unsigned spent = 0;
	lsp_rate_limit_set(&limit, 200, 10 * LSP_SECOND, 100 * LSP_SECOND);
	assert_int_equal(lsp_rate_limit_left(&limit, 100 * LSP_SECOND), 2000);
	while (lsp_rate_limit_allows(&limit, 100 * LSP_SECOND)) {
		lsp_rate_limit_spend(&limit, 1, 100 * LSP_SECOND);
		spent++;
	}
	assert_in_range(spent, 2000, 2001);
	assert_true(lsp_rate_limit_allows(&limit, 101 * LSP_SECOND));
}

static void over_a_second_the_rate_is_exact_whatever_the_steps(void **state)
{
	for (uint64_t step = 17 * LSP_MICROSECOND; step < 5 * LSP_MILLISECOND; step *= 3) {
		struct lsp_rate_limit limit;
		uint64_t spent = 0;
		lsp_time begin = 5 * LSP_SECOND, now;
		lsp_rate_limit_set(&limit, 10000000, 10 * LSP_MILLISECOND, begin);
		for (now = begin; now < begin + LSP_SECOND; now += step) {
			while (lsp_rate_limit_allows(&limit, now)) {
				lsp_rate_limit_spend(&limit, 1500, now);
				spent += 1500;
			}
		}
		assert_in_range(spent, 9900000, 10200000); /* the rate and one burst */
	}
}

/* However often it is asked: at each millionth of a second here, as every acknowledgement does. */
static void what_ran_out_opens_when_it_is_worth_while(void **state)
{
	struct lsp_rate_limit limit;
	lsp_time begin = 5 * LSP_SECOND, patience = 4 * LSP_MILLISECOND;
	uint64_t spent = 0, openings = 0;
	bool open = true;
	lsp_rate_limit_set(&limit, 10000000, 10 * LSP_MILLISECOND, begin);
	for (lsp_time now = begin; now < begin + LSP_SECOND; now += LSP_MICROSECOND) {
		while (lsp_rate_limit_opens(&limit, patience, now)) {
			openings += !open;
			open = true;
			lsp_rate_limit_spend(&limit, 1500, now);
			spent += 1500;
		}
		open = false;
	}
	assert_in_range(spent, 9900000, 10200000);
	assert_in_range(openings, 240, 251);
	lsp_rate_limit_set(&limit, 0, 0, begin);
	assert_true(lsp_rate_limit_opens(&limit, patience, begin));
}

static void what_is_overdrawn_is_paid_for_later(void **state)
{
	struct lsp_rate_limit limit;
	lsp_rate_limit_set(&limit, 1000, 0, LSP_SECOND);
	lsp_rate_limit_spend(&limit, 5000, LSP_SECOND);
	assert_false(lsp_rate_limit_allows(&limit, 5 * LSP_SECOND));
	assert_true(lsp_rate_limit_allows(&limit, 6 * LSP_SECOND));
}

static void a_change_saves_nothing_up_and_keeps_the_debt(void **state)
{
	struct lsp_rate_limit limit = {0};
	lsp_time now = 10 * LSP_SECOND;
	lsp_rate_limit_change(&limit, 1000, 10 * LSP_MILLISECOND, now);
	assert_true(lsp_rate_limit_allows(&limit, now));
	assert_int_equal(lsp_rate_limit_left(&limit, now), 0);
	lsp_rate_limit_spend(&limit, 100, now); /* a tenth of a second of it */
	lsp_rate_limit_change(&limit, 2000, 10 * LSP_MILLISECOND, now);
	assert_false(lsp_rate_limit_allows(&limit, now + 49 * LSP_MILLISECOND));
	assert_true(lsp_rate_limit_allows(&limit, now + 50 * LSP_MILLISECOND));
	lsp_rate_limit_change(&limit, 0, 0, now);
	assert_true(lsp_rate_limit_allows(&limit, now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_ran_out_opens_when_it_is_worth_while),
		cmocka_unit_test(a_change_saves_nothing_up_and_keeps_the_debt),
		cmocka_unit_test(without_a_rate_everything_is_allowed),
		cmocka_unit_test(the_burst_is_there_at_once_and_no_more),
		cmocka_unit_test(over_a_second_the_rate_is_exact_whatever_the_steps),
		cmocka_unit_test(what_is_overdrawn_is_paid_for_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
