/* The block pool: its ceiling, its line of waiters, and that memory is kept and given back. */
#include "peer/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct taker {
	struct lsp_block_waiter waiter;
	struct lsp_blocks *pool;
	struct lsp_block *block;
	int *order, turn;
};

static void take_now(struct lsp_block_waiter *waiter)
{
	struct taker *taker = (struct taker *)waiter;
	taker->block = lsp_blocks_take(taker->pool, waiter);
	taker->turn = ++*taker->order;
}

static void no_more_blocks_are_out_than_the_limit(void **state)
{
	struct lsp_blocks *pool;
	assert_int_equal(lsp_blocks_new(2, &pool, NULL), 0);
	struct lsp_block *a = lsp_blocks_take(pool, NULL), *b = lsp_blocks_take(pool, NULL);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(lsp_blocks_take(pool, NULL));
	lsp_block_give(a);
	assert_ptr_equal(lsp_blocks_take(pool, NULL), a); /* the same memory again */
	lsp_block_give(a);
	lsp_block_give(b);
	lsp_blocks_free(pool);
}

/* What has arrived must go somewhere; then others wait the longer. */
static void what_is_taken_anyway_counts(void **state)
{
	struct lsp_blocks *pool;
	assert_int_equal(lsp_blocks_new(1, &pool, NULL), 0);
	struct lsp_block *a = lsp_blocks_take_anyway(pool), *b = lsp_blocks_take_anyway(pool);
	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(lsp_blocks_in_use(pool), 2);
	lsp_block_give(a);
	assert_null(lsp_blocks_take(pool, NULL));
	lsp_block_give(b);
	a = lsp_blocks_take(pool, NULL);
	assert_non_null(a);
	lsp_block_give(a);
	assert_int_equal(lsp_blocks_in_use(pool), 0);
	lsp_blocks_free(pool);
}

static void waiters_are_served_in_line(void **state)
{
	struct lsp_blocks *pool;
	int order = 0;
	assert_int_equal(lsp_blocks_new(1, &pool, NULL), 0);
	struct lsp_block *a = lsp_blocks_take(pool, NULL);
	struct taker first = {.pool = pool, .order = &order, .waiter.ready = take_now};
	struct taker second = first;
	assert_null(lsp_blocks_take(pool, &first.waiter));
	assert_null(lsp_blocks_take(pool, &second.waiter));
	lsp_block_give(a);
	assert_int_equal(first.turn, 1);
	assert_non_null(first.block);
	assert_int_equal(second.turn, 0);
	lsp_block_give(first.block);
	assert_int_equal(second.turn, 2);
	lsp_block_give(second.block);
	lsp_blocks_free(pool);
}

static void nobody_jumps_the_line(void **state)
{
	struct lsp_blocks *pool;
	int order = 0;
	assert_int_equal(lsp_blocks_new(1, &pool, NULL), 0);
	struct lsp_block *a = lsp_blocks_take(pool, NULL);
	struct taker waiting = {.pool = pool, .order = &order, .waiter.ready = take_now};
	assert_null(lsp_blocks_take(pool, &waiting.waiter));
	lsp_blocks_cancel_wait(pool, &waiting.waiter);
	lsp_block_give(a);
	assert_int_equal(waiting.turn, 0); /* one that left the line is not called */
	assert_int_equal(lsp_blocks_in_use(pool), 0);
	lsp_blocks_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_more_blocks_are_out_than_the_limit),
		cmocka_unit_test(what_is_taken_anyway_counts),
		cmocka_unit_test(waiters_are_served_in_line),
		cmocka_unit_test(nobody_jumps_the_line),
	};
	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}
