/* The rarity order against a count from scratch, and the instruments of pacing. */
#include "swarm/order.h"
#include "base/cleanup.h"
#include "swarm/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CHUNKS 200
#define RANKS 12

static void check_sorted(const struct lsp_order *order)
{
	for (uint32_t i = 0; i < order->size; i++) {
		assert_int_equal(order->places[order->chunks[i]], i);
		if (i)
			assert_true(order->ranks[order->chunks[i - 1]] <=
				    order->ranks[order->chunks[i]]);
	}
	for (uint32_t rank = 0; rank < order->rank_count; rank++) {
		uint32_t below = 0;
		for (uint32_t i = 0; i < order->size; i++)
			below += order->ranks[order->chunks[i]] < rank;
		assert_int_equal(order->starts[rank], below);
	}
}

static void any_sequence_of_changes_keeps_it_sorted(void **state)
{
	static uint16_t ranks[CHUNKS];
	struct lsp_order order;
	struct lsp_random random;
	lsp_random_seed(&random, 7);
	memset(ranks, 0, sizeof(ranks));
	assert_int_equal(lsp_order_init(&order, CHUNKS, ranks, 3, NULL), 0);
	assert_int_equal(lsp_order_reserve(&order, RANKS, NULL), 0);
	for (int i = 0; i < 20000; i++) {
		uint32_t chunk = lsp_random_below(&random, CHUNKS);
		switch (lsp_random_below(&random, 4)) {
		case 0:
			if (ranks[chunk] < RANKS)
				lsp_order_up(&order, chunk);
			break;
		case 1:
			if (ranks[chunk])
				lsp_order_down(&order, chunk);
			break;
		case 2:
			if (lsp_order_has(&order, chunk))
				lsp_order_remove(&order, chunk);
			break;
		default:
			if (!lsp_order_has(&order, chunk))
				lsp_order_add(&order, chunk);
		}
		if (i % 50 == 0)
			check_sorted(&order);
	}
	lsp_order_done(&order);
}

static void equal_chunks_stand_in_an_order_that_the_seed_decides(void **state)
{
	static uint16_t ranks[2][CHUNKS];
	struct lsp_order a, b;
	uint32_t same = 0;
	assert_int_equal(lsp_order_init(&a, CHUNKS, ranks[0], 1, NULL), 0);
	assert_int_equal(lsp_order_init(&b, CHUNKS, ranks[1], 2, NULL), 0);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		lsp_order_add(&a, i);
		lsp_order_add(&b, i);
	}
	for (uint32_t i = 0; i < CHUNKS; i++)
		same += a.chunks[i] == b.chunks[i];
	assert_true(same < CHUNKS / 10);
	lsp_order_done(&a);
	lsp_order_done(&b);
}

static void a_bucket_gives_its_rate_and_keeps_its_debt(void **state)
{
	struct lsp_bucket bucket = {0};
	lsp_time now = LSP_SECOND;
	assert_true(lsp_bucket_tokens(&bucket, now) > 1e17); /* no limit */
	lsp_bucket_set(&bucket, 1000, LSP_SECOND / 10, now);
	lsp_bucket_take(&bucket, 2000);
	assert_true(lsp_bucket_when(&bucket, 1, now) > now + 2 * LSP_SECOND);
	lsp_bucket_set(&bucket, 4000, LSP_SECOND / 10, now);
	assert_in_range(lsp_bucket_when(&bucket, 1, now), now + LSP_SECOND / 2,
		now + LSP_SECOND * 6 / 10); /* the debt, at the new rate */
	now += 100 * LSP_SECOND;
	assert_true(lsp_bucket_tokens(&bucket, now) == 400); /* no more than a burst */
	assert_int_equal(lsp_bucket_when(&bucket, 1e9, now), now);
	lsp_bucket_set(&bucket, 8000, LSP_SECOND / 10, now);
	assert_true(lsp_bucket_tokens(&bucket, now) == 0); /* a surplus is not kept */
	lsp_bucket_take(&bucket, 8000);
	lsp_bucket_set(&bucket, 0, LSP_SECOND / 10, now);
	lsp_bucket_set(&bucket, 8000, LSP_SECOND / 10, now);
	assert_true(lsp_bucket_tokens(&bucket, now) == 0); /* nor a debt */
}

static void a_meter_tells_the_rate_of_late(void **state)
{
	struct lsp_meter meter = {0};
	lsp_time now = LSP_SECOND;
	for (int i = 0; i < 300; i++, now += LSP_SECOND / 100)
		lsp_meter_add(&meter, 1000, now);
	double rate = lsp_meter_rate(&meter, now);
	assert_true(rate > 95000 && rate < 105000);
	assert_true(lsp_meter_rate(&meter, now + 10 * LSP_SECOND) < 100);
}

static void a_service_is_measured_while_it_is_asked_for(void **state)
{
	struct lsp_service service = {0};
	lsp_time now = LSP_SECOND;
	for (int i = 0; i < 20; i++) {
		lsp_service_busy(&service, now);
		now += LSP_SECOND / 10;
		lsp_service_add(&service, 100000, now);
		lsp_service_idle(&service, now);
		now += LSP_SECOND; /* idle: does not count */
	}
	assert_true(lsp_service_rate(&service) > 950000 && lsp_service_rate(&service) < 1050000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_sequence_of_changes_keeps_it_sorted),
		cmocka_unit_test(equal_chunks_stand_in_an_order_that_the_seed_decides),
		cmocka_unit_test(a_bucket_gives_its_rate_and_keeps_its_debt),
		cmocka_unit_test(a_meter_tells_the_rate_of_late),
		cmocka_unit_test(a_service_is_measured_while_it_is_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
