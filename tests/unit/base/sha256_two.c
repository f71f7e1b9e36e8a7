/* Two hashes at once are the two hashes, for every length and every place in memory. */
#include "base/sha256_two.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_two(const uint8_t *first, const uint8_t *second, size_t size)
{
	struct lsp_hash two[2], one, other;
	lsp_sha256_two(two, first, second, size);
	lsp_sha256(&one, first, size);
	lsp_sha256(&other, second, size);
	assert_memory_equal(&two[0], &one, sizeof one);
	assert_memory_equal(&two[1], &other, sizeof other);
}

static void every_length_around_the_block_size_is_padded_right(void **state)
{
	uint8_t bytes[1024];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 37 ^ i >> 3);
	for (size_t size = 0; size <= 300; size++)
		assert_two(bytes + size % 7, bytes + 500 + size % 5, size);
}

static void long_messages_are_hashed_right(void **state)
{
	size_t size = 100003;
	uint8_t *bytes = malloc(2 * size);
	assert_non_null(bytes);
	for (size_t i = 0; i < 2 * size; i++)
		bytes[i] = (uint8_t)(i * 131 ^ i >> 9);
	assert_two(bytes, bytes + size, 16384);
	assert_two(bytes + size, bytes, size);
	free(bytes);
}

static void the_published_vector_comes_out_of_both_lanes(void **state)
{
	struct lsp_hash two[2];
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_sha256_two(two, "abc", "abc", 3);
	for (int i = 0; i < 2; i++) {
		lsp_hash_to_hex(&two[i], hex);
		assert_string_equal(
			hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_around_the_block_size_is_padded_right),
		cmocka_unit_test(long_messages_are_hashed_right),
		cmocka_unit_test(the_published_vector_comes_out_of_both_lanes),
	};
	return cmocka_run_group_tests_name("sha256_two", tests, NULL, NULL);
}
