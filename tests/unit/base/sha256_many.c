/* Many hashes at once are the hashes, for every length, number and place in memory. */
#include "base/sha256_many.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LEAF 16384
#define MOST 33

static uint8_t *make_bytes(size_t size)
{
	uint8_t *bytes = malloc(size);
	assert_non_null(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 131 ^ i >> 9);
	return bytes;
}

static bool is_right(const uint8_t *data, size_t size, size_t count)
{
	struct lsp_hash many[MOST + 1], one;
	memset(many, 0x55, sizeof many);
	lsp_sha256_many(many, data, size, count);
	for (size_t i = 0; i < count; i++) {
		lsp_sha256(&one, data + i * size, size);
		if (!lsp_hash_equal(&many[i], &one))
			return false;
	}
	return many[count].bytes[0] == 0x55 && many[count].bytes[31] == 0x55;
}

static void every_length_around_the_block_size_is_padded_right(void **state)
{
	static const size_t counts[] = {0, 1, 2, 7, 8, 15, 16, 17, 24, MOST};
	uint8_t *bytes = make_bytes(MOST * 300 + 7);
	for (size_t size = 0; size <= 300; size++) {
		for (size_t i = 0; i < LSP_ARRAY_SIZE(counts); i++)
			assert_true(is_right(bytes + size % 7, size, counts[i]));
	}
	free(bytes);
}

static void every_number_of_leaves_is_hashed_right(void **state)
{
	uint8_t *bytes = make_bytes(MOST * LEAF + 5);
	for (size_t count = 0; count <= MOST; count++)
		assert_true(is_right(bytes + count % 5, LEAF, count));
	free(bytes);
}

/* Longer than what the library's lanes can count. */
static void long_runs_are_hashed_right(void **state)
{
	static const size_t sizes[] = {32767, 32768, 32769, 65535, 65536, 1 << 20};
	uint8_t *bytes = make_bytes((size_t)9 << 20);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(sizes); i++)
		assert_true(is_right(bytes, sizes[i], 9));
	free(bytes);
}

static void *hash_on_a_thread(void *argument)
{
	bool right = true;
	for (int i = 0; i < 20; i++)
		right &= is_right(argument, LEAF, 16);
	return right ? argument : NULL;
}

static void threads_do_not_get_in_each_others_way(void **state)
{
	pthread_t threads[4];
	uint8_t *bytes = make_bytes(16 * LEAF + LSP_ARRAY_SIZE(threads));
	for (size_t i = 0; i < LSP_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hash_on_a_thread, bytes + i), 0);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(threads); i++) {
		void *result;
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_ptr_equal(result, bytes + i);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_around_the_block_size_is_padded_right),
		cmocka_unit_test(every_number_of_leaves_is_hashed_right),
		cmocka_unit_test(long_runs_are_hashed_right),
		cmocka_unit_test(threads_do_not_get_in_each_others_way),
	};
	print_message("libIPSec_MB's lanes are used from %zu runs on (0: not on this machine)\n",
		lsp_sha256_many_least());
	return cmocka_run_group_tests_name("sha256_many", tests, NULL, NULL);
}
