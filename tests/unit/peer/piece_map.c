/* Chunks as pieces of another length, and back. */
#include "peer/piece_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define K 1024u

static const struct lsp_manifest_file files[] = {
	{.path = "a", .size = 300 * K, .chunk_count = 3},
	{.path = "empty"},
	{.path = "b", .size = 1, .chunk_count = 1},
	{.path = "c", .size = 256 * K, .chunk_count = 2},
};
static const struct lsp_manifest manifest = {.piece_length = 128 * K,
	.chunk_count = 6,
	.file_count = LSP_ARRAY_SIZE(files),
	.files = files};

static void set(struct lsp_bitmap *map, size_t bits, const char *text)
{
	assert_int_equal(lsp_bitmap_init(map, bits, NULL), 0);
	for (size_t i = 0; text[i]; i++) {
		if (text[i] == '1')
			lsp_bitmap_set(map, i);
	}
}

static void assert_bits(const struct lsp_bitmap *map, const char *text)
{
	assert_int_equal(map->bits, strlen(text));
	for (size_t i = 0; text[i]; i++)
		assert_int_equal(lsp_bitmap_get(map, i), text[i] == '1');
}

static void the_same_length_is_the_same_map(void **state)
{
	_cleanup_bitmap_ struct lsp_bitmap chunks = {0}, pieces = {0};
	assert_int_equal(lsp_piece_count(&manifest, 128 * K), 6);
	set(&chunks, 6, "101101");
	set(&pieces, 6, "");
	lsp_pieces_from_chunks(&manifest, 128 * K, &chunks, &pieces);
	assert_bits(&pieces, "101101");
}

static void shorter_pieces_are_there_with_their_chunk(void **state)
{
	_cleanup_bitmap_ struct lsp_bitmap chunks = {0}, pieces = {0}, again = {0};
	assert_int_equal(lsp_piece_count(&manifest, 64 * K), 5 + 1 + 4);
	set(&chunks, 6, "011100");
	set(&pieces, 10, "");
	set(&again, 6, "");
	lsp_pieces_from_chunks(&manifest, 64 * K, &chunks, &pieces);
	assert_bits(&pieces, "0011110000");
	lsp_chunks_from_pieces(&manifest, 64 * K, &pieces, &again);
	assert_bits(&again, "011100");
	lsp_bitmap_clear(&pieces, 3);
	_cleanup_bitmap_ struct lsp_bitmap less = {0};
	set(&less, 6, "");
	lsp_chunks_from_pieces(&manifest, 64 * K, &pieces, &less);
	assert_bits(&less, "001100");
}

static void a_longer_piece_needs_all_of_its_chunks(void **state)
{
	_cleanup_bitmap_ struct lsp_bitmap chunks = {0}, pieces = {0}, again = {0};
	assert_int_equal(lsp_piece_count(&manifest, 256 * K), 2 + 1 + 1);
	set(&chunks, 6, "101110");
	set(&pieces, 4, "");
	set(&again, 6, "");
	lsp_pieces_from_chunks(&manifest, 256 * K, &chunks, &pieces);
	assert_bits(&pieces, "0110");
	lsp_chunks_from_pieces(&manifest, 256 * K, &pieces, &again);
	assert_bits(&again, "001100");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_length_is_the_same_map),
		cmocka_unit_test(shorter_pieces_are_there_with_their_chunk),
		cmocka_unit_test(a_longer_piece_needs_all_of_its_chunks),
	};
	return cmocka_run_group_tests_name("peer/piece_map", tests, NULL, NULL);
}
