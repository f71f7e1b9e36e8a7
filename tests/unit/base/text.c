#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void format_allocates_what_it_needs(void **state)
{
	char *text = lsp_text_format("%s/%0*d", "games", 2000, 7);
	assert_int_equal(strlen(text), 2006);
	free(text);
}

static void starts_and_ends_are_compared_whole(void **state)
{
	assert_true(lsp_text_starts_with("version.ini", "version"));
	assert_true(lsp_text_starts_with("x", ""));
	assert_false(lsp_text_starts_with("ver", "version"));
	assert_true(lsp_text_ends_with("game.eti", ".eti"));
	assert_true(lsp_text_ends_with("x", ""));
	assert_false(lsp_text_ends_with("ti", ".eti"));
	assert_false(lsp_text_ends_with("game.etix", ".eti"));
}

static void hex_goes_there_and_back(void **state)
{
	uint8_t all[256], back[256];
	char hex[513];
	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	lsp_text_to_hex(all, sizeof all, hex);
	assert_int_equal(strlen(hex), 512);
	assert_true(lsp_text_from_hex(hex, back, sizeof back));
	assert_memory_equal(all, back, sizeof all);
	assert_true(lsp_text_from_hex("aAfF", back, 2));
	assert_int_equal(back[0], 0xaa);
}

static void what_is_no_hex_digit_is_refused(void **state)
{
	uint8_t back[4];
	char text[3] = "00";
	for (int c = 0; c < 256; c++) {
		bool digit = strchr("0123456789abcdefABCDEF", c) && c;
		text[0] = (char)c;
		text[1] = '0';
		assert_int_equal(lsp_text_from_hex(text, back, 1), digit);
		text[0] = '0';
		text[1] = (char)c;
		assert_int_equal(lsp_text_from_hex(text, back, 1), digit);
	}
	assert_false(lsp_text_from_hex("", back, 4));
	assert_false(lsp_text_from_hex("abc", back, 2));
}

static void whole_numbers_are_read_and_nothing_else(void **state)
{
	uint64_t value = 7;
	struct lsp_error err = {0};
	assert_int_equal(lsp_text_to_u64("0", &value, &err), 0);
	assert_true(value == 0);
	assert_int_equal(lsp_text_to_u64("18446744073709551615", &value, &err), 0);
	assert_true(value == UINT64_MAX);
	static const char *const others[] = {"", " 1", "1 ", "-1", "+1", "0x10", "1e3", "1.0", "a",
		"18446744073709551616", "99999999999999999999999"};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_int_equal(lsp_text_to_u64(others[i], &value, &err), -LSP_E_INVALID);
	assert_true(value == UINT64_MAX);
}

static void sizes_are_written_for_people(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {{0, "0 bytes"}, {999, "999 bytes"}, {1000, "1.0 kB"}, {1449999, "1.4 MB"},
		{999949, "999.9 kB"}, {999950, "1.0 MB"}, {UINT64_C(30000000000), "30.0 GB"},
		{UINT64_MAX, "18.4 EB"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char out[LSP_TEXT_SIZE_MAX];
		assert_string_equal(lsp_text_size(cases[i].bytes, out), cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(format_allocates_what_it_needs),
		cmocka_unit_test(starts_and_ends_are_compared_whole),
		cmocka_unit_test(hex_goes_there_and_back),
		cmocka_unit_test(what_is_no_hex_digit_is_refused),
		cmocka_unit_test(whole_numbers_are_read_and_nothing_else),
		cmocka_unit_test(sizes_are_written_for_people),
	};
	return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
