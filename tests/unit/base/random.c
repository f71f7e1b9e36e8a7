#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

static void the_same_seed_gives_the_same_numbers(void **state)
{
	struct lsp_random a, b, c;
	lsp_random_seed(&a, 42);
	lsp_random_seed(&b, 42);
	lsp_random_seed(&c, 43);
	bool differs = false;
	for (int i = 0; i < 100; i++) {
		uint64_t x = lsp_random_next(&a);
		assert_true(x == lsp_random_next(&b));
		differs |= x != lsp_random_next(&c);
	}
	assert_true(differs);
}

static void the_numbers_are_those_of_the_published_generator(void **state)
{
	/* xoshiro256** from the state 1, 2, 3, 4: its first outputs, worked out by hand. */
	struct lsp_random random = {{1, 2, 3, 4}};
	assert_int_equal(lsp_random_next(&random), 11520);
	assert_int_equal(lsp_random_next(&random), 0);
	assert_int_equal(lsp_random_next(&random), 1509978240);
}

static void below_stays_below_and_reaches_every_number(void **state)
{
	struct lsp_random random;
	unsigned seen[7] = {0};
	lsp_random_seed(&random, 1);
	for (int i = 0; i < 7000; i++) {
		uint64_t x = lsp_random_below(&random, 7);
		assert_true(x < 7);
		seen[x]++;
	}
	for (int i = 0; i < 7; i++)
		assert_in_range(seen[i], 800, 1200);
	assert_int_equal(lsp_random_below(&random, 0), 0);
	assert_int_equal(lsp_random_below(&random, 1), 0);
	assert_true(lsp_random_below(&random, UINT64_MAX) < UINT64_MAX);
}

static void unit_is_from_0_to_below_1(void **state)
{
	struct lsp_random random;
	double sum = 0;
	lsp_random_seed(&random, 9);
	for (int i = 0; i < 10000; i++) {
		double x = lsp_random_unit(&random);
		assert_true(x >= 0 && x < 1);
		sum += x;
	}
	assert_true(sum > 4800 && sum < 5200);
}

static void the_kernels_bytes_differ_and_reach_the_whole_buffer(void **state)
{
	uint8_t a[1000] = {0}, b[1000] = {0};
	lsp_random_bytes(a, sizeof a);
	lsp_random_bytes(b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
	/* 16 zeros in a row come by chance once in 2^128. */
	static const uint8_t zeros[16];
	assert_memory_not_equal(a + sizeof a - 16, zeros, 16);
	lsp_random_bytes(a, 0);
	struct lsp_random x, y;
	lsp_random_init(&x);
	lsp_random_init(&y);
	assert_memory_not_equal(&x, &y, sizeof x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_seed_gives_the_same_numbers),
		cmocka_unit_test(the_numbers_are_those_of_the_published_generator),
		cmocka_unit_test(below_stays_below_and_reaches_every_number),
		cmocka_unit_test(unit_is_from_0_to_below_1),
		cmocka_unit_test(the_kernels_bytes_differ_and_reach_the_whole_buffer),
	};
	return cmocka_run_group_tests_name("base/random", tests, NULL, NULL);
}
