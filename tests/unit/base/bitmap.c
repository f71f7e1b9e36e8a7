#include "base/bitmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct lsp_bitmap map_of(size_t bits)
{
	struct lsp_bitmap map = {0};
	assert_int_equal(lsp_bitmap_init(&map, bits, NULL), 0);
	return map;
}

static void a_new_map_is_all_zero(void **state)
{
	_cleanup_bitmap_ struct lsp_bitmap map = map_of(19);
	assert_int_equal(lsp_bitmap_bytes(&map), 3);
	assert_int_equal(map.set, 0);
	assert_int_equal(lsp_bitmap_next_set(&map, 0), 19);
	assert_int_equal(lsp_bitmap_next_clear(&map, 0), 0);
}

static void bit_0_is_the_high_bit_of_byte_0(void **state)
{
	_cleanup_bitmap_ struct lsp_bitmap map = map_of(16);
	lsp_bitmap_set(&map, 0);
	lsp_bitmap_set(&map, 9);
	assert_int_equal(map.bytes[0], 0x80);
	assert_int_equal(map.bytes[1], 0x40);
}

static void set_and_clear_say_whether_they_changed_it_and_the_count_follows(void **state)
{
	_cleanup_bitmap_ struct lsp_bitmap map = map_of(19);
	assert_true(lsp_bitmap_set(&map, 18));
	assert_false(lsp_bitmap_set(&map, 18));
	assert_int_equal(map.set, 1);
	assert_true(lsp_bitmap_get(&map, 18));
	assert_false(lsp_bitmap_get(&map, 19));
	assert_true(lsp_bitmap_clear(&map, 18));
	assert_false(lsp_bitmap_clear(&map, 18));
	assert_int_equal(map.set, 0);
}

static void any_looks_between_its_ends_and_reset_leaves_none(void **state)
{
	for (size_t bit = 0; bit < 30; bit++) {
		struct lsp_bitmap map = {0};
		assert_int_equal(lsp_bitmap_init(&map, 30, NULL), 0);
		assert_false(lsp_bitmap_any(&map, 0, 1000));
		assert_true(lsp_bitmap_set(&map, bit));
		for (size_t from = 0; from < 32; from++) {
			for (size_t end = from; end < 32; end++)
				assert_int_equal(
					lsp_bitmap_any(&map, from, end), from <= bit && bit < end);
		}
		lsp_bitmap_reset(&map);
		assert_int_equal(map.set, 0);
		assert_false(lsp_bitmap_any(&map, 0, 30));
		lsp_bitmap_done(&map);
	}
	struct lsp_bitmap empty = {0};
	lsp_bitmap_reset(&empty);
	assert_false(lsp_bitmap_any(&empty, 0, 8));
}

static void fill_sets_all_and_no_spare_bit(void **state)
{
	_cleanup_bitmap_ struct lsp_bitmap map = map_of(19);
	_cleanup_bitmap_ struct lsp_bitmap whole = map_of(16);
	_cleanup_bitmap_ struct lsp_bitmap empty = map_of(0);
	lsp_bitmap_fill(&map);
	assert_true(lsp_bitmap_full(&map));
	assert_int_equal(map.bytes[2], 0xe0);
	lsp_bitmap_fill(&whole);
	assert_int_equal(whole.bytes[1], 0xff);
	lsp_bitmap_fill(&empty);
	assert_true(lsp_bitmap_full(&empty));
}

static void the_next_set_and_clear_bits_are_found_across_bytes(void **state)
{
	for (size_t bits = 1; bits < 40; bits++) {
		for (size_t bit = 0; bit < bits; bit++) {
			struct lsp_bitmap map = map_of(bits);
			lsp_bitmap_set(&map, bit);
			for (size_t from = 0; from <= bits; from++)
				assert_int_equal(
					lsp_bitmap_next_set(&map, from), from <= bit ? bit : bits);
			lsp_bitmap_fill(&map);
			lsp_bitmap_clear(&map, bit);
			for (size_t from = 0; from <= bits; from++)
				assert_int_equal(lsp_bitmap_next_clear(&map, from),
					from <= bit ? bit : bits);
			lsp_bitmap_done(&map);
		}
	}
}

static void load_takes_bytes_and_counts_them(void **state)
{
	_cleanup_bitmap_ struct lsp_bitmap map = map_of(19);
	const uint8_t bytes[] = {0xff, 0x01, 0x20};
	assert_int_equal(lsp_bitmap_load(&map, bytes, 3, NULL), 0);
	assert_int_equal(map.set, 10);
	assert_true(lsp_bitmap_get(&map, 18));
}

static void load_refuses_a_wrong_size_and_spare_bits_and_changes_nothing(void **state)
{
	_cleanup_bitmap_ struct lsp_bitmap map = map_of(19);
	const uint8_t bytes[] = {0xff, 0xff, 0xf0, 0};
	struct lsp_error err = {0};
	lsp_bitmap_set(&map, 4);
	assert_int_equal(lsp_bitmap_load(&map, bytes, 2, &err), -LSP_E_PROTOCOL);
	assert_string_equal(err.message, "a bitmap of 19 bits has 3 bytes, not 2");
	assert_int_equal(lsp_bitmap_load(&map, bytes, 4, &err), -LSP_E_PROTOCOL);
	assert_int_equal(lsp_bitmap_load(&map, bytes, 3, &err), -LSP_E_PROTOCOL);
	assert_int_equal(map.set, 1);
	assert_int_equal(map.bytes[0], 0x08);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_map_is_all_zero),
		cmocka_unit_test(bit_0_is_the_high_bit_of_byte_0),
		cmocka_unit_test(set_and_clear_say_whether_they_changed_it_and_the_count_follows),
		cmocka_unit_test(any_looks_between_its_ends_and_reset_leaves_none),
		cmocka_unit_test(fill_sets_all_and_no_spare_bit),
		cmocka_unit_test(the_next_set_and_clear_bits_are_found_across_bytes),
		cmocka_unit_test(load_takes_bytes_and_counts_them),
		cmocka_unit_test(load_refuses_a_wrong_size_and_spare_bits_and_changes_nothing),
	};
	return cmocka_run_group_tests_name("base/bitmap", tests, NULL, NULL);
}
