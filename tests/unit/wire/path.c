/* Names that no manifest may hold, each refused for its own reason. */
#include "wire/path.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void names_that_lead_out_or_lie_are_refused(void **state)
{
	static const char *const bad[] = {"", "/", "/etc/passwd", "../x", "a/../b", "..", ".",
		"./a", "a/.", "a//b", "a/", "a\\b", "C:", "a:b", "a*", "a?", "a\"", "a<", "a>",
		"a|", "a\nb", "a\x7f", "a\xc2\x85", "a.", "a ", "a./b", "a /b", "con", "CON",
		"CoN.txt", "aux.tar.gz", "nul ", "COM1", "com0.x", "lpt9", "LPT\xc2\xb9", "CONIN$",
		"conout$.x", "con .x", "a/prn/b",
		"a\xe2\x80\xae"
		"b",
		"a\xe2\x81\xa6"
		"b",
		"a\xd8\x9c"
		"b",
		"a\xe2\x80\x8f", "a\xef\xbb\xbf", "a\xe2\x80\xa8", "a\xff", "a\xc3", "a\xc0\xaf",
		"a\xed\xa0\x80", "a\xf4\x90\x80\x80", "a\xef\xbf\xbf", "A\xcc\x88", "local",
		"Local/x", "LOCAL.KEPT-2024/x", ".lanspread/x", ".LanSpread", "LANSPR~1/x"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bad); i++) {
		struct lsp_error err = {0};
		if (lsp_path_check(bad[i], strlen(bad[i]), &err) != -LSP_E_INVALID)
			fail_msg("\"%s\" was accepted", bad[i]);
		assert_true(*err.message);
	}
	assert_int_equal(lsp_path_check("a\0b", 3, NULL), -LSP_E_INVALID);
}

static void ordinary_names_are_accepted(void **state)
{
	static const char *const good[] = {"version.ini", "a", "data/maps/\xc3\x84gypten.map",
		".hidden", "a..b", "...a", "console.txt", "com10", "COM", "nulls", "localhost/x",
		"a/local/b", "a/.lanspread", "local.txt",
		"\xe6\xb8\xb8\xe6\x88\x8f/\xf0\x9f\x8e\xae.bin", " a", "a b", "a~1", "100% fun!",
		"$x", "-x",
		"\xe2\x80\x8d"
		"a"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(good); i++) {
		struct lsp_error err = {0};
		if (lsp_path_check(good[i], strlen(good[i]), &err) < 0)
			fail_msg("\"%s\": %s", good[i], err.message);
	}
}

static void lengths_are_limited_at_the_documented_numbers(void **state)
{
	char text[LSP_PATH_MAX + 8];
	memset(text, 'a', sizeof text);
	assert_int_equal(lsp_path_check_name(text, 255, NULL), 0);
	assert_int_equal(lsp_path_check_name(text, 256, NULL), -LSP_E_INVALID);
	for (size_t i = 200; i < sizeof text; i += 200)
		text[i] = '/';
	assert_int_equal(lsp_path_check(text, LSP_PATH_MAX, NULL), 0);
	assert_int_equal(lsp_path_check(text, LSP_PATH_MAX + 1, NULL), -LSP_E_INVALID);
	for (size_t i = 1; i < 66; i += 2)
		text[i] = '/';
	assert_int_equal(lsp_path_check(text, 63, NULL), 0); /* 32 components */
	assert_int_equal(lsp_path_check(text, 65, NULL), -LSP_E_INVALID);
	memset(text, 'a', sizeof text);
	assert_int_equal(lsp_game_id_check(text, 100, NULL), 0);
	assert_int_equal(lsp_game_id_check(text, 101, NULL), -LSP_E_INVALID);
}

static void assert_collide(const char *a, const char *b, bool expected)
{
	_cleanup_free_ char *x = NULL, *y = NULL;
	assert_int_equal(lsp_path_key(a, strlen(a), &x, NULL), 0);
	assert_int_equal(lsp_path_key(b, strlen(b), &y, NULL), 0);
	assert_int_equal(strcmp(x, y) == 0, expected);
}

static void names_collide_by_case_and_by_unicode_form(void **state)
{
	assert_collide("README", "readme", true);
	assert_collide("\xc3\x84", "\xc3\xa4", true);
	assert_collide("stra\xc3\x9f"
		       "e",
		"STRASSE", true);
	assert_collide("a\xe2\x80\x8d"
		       "b",
		"ab", true); /* a joiner that nobody sees */
	assert_collide("a", "b", false);
	assert_collide("a", "\xc3\xa4", false);
}

static void the_order_is_the_one_of_the_file_tree(void **state)
{
	static const char *const ascending[] = {
		"a", "a/b", "a/b/c", "a/bc", "a b", "a.b", "aa", "b", "\xc3\xa4"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(ascending); i++) {
		for (size_t j = 0; j < LSP_ARRAY_SIZE(ascending); j++) {
			int order = lsp_path_compare(ascending[i], ascending[j]);
			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
}

static void ids_are_names_that_no_command_line_or_folder_misreads(void **state)
{
	static const char *const bad[] = {
		"", ".x", "-x", "~x", "$RECYCLE.BIN", " x", "a/b", "CON", "x."};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bad); i++)
		assert_int_equal(lsp_game_id_check(bad[i], strlen(bad[i]), NULL), -LSP_E_INVALID);
	assert_int_equal(lsp_game_id_check("Half-Life 2", 11, NULL), 0);
	assert_int_equal(lsp_game_id_check("0ad", 3, NULL), 0);
}

static void only_our_own_names_are_private_and_exactly_those(void **state)
{
	assert_true(lsp_path_is_private("local"));
	assert_true(lsp_path_is_private("local.kept-2026-01-31"));
	assert_true(lsp_path_is_private(".lanspread"));
	assert_false(lsp_path_is_private("Local"));
	assert_false(lsp_path_is_private("local.kept"));
}

static void labels_are_cleaned_and_cut_at_a_character(void **state)
{
	char out[LSP_LABEL_MAX + 1];
	lsp_label_clean("a\x1b[31mb\xe2\x80\xae\xff", 11, out, LSP_LABEL_MAX);
	assert_string_equal(out, "a\xef\xbf\xbd[31mb\xef\xbf\xbd\xef\xbf\xbd");
	lsp_label_clean("\xc3\xa4\xc3\xa4", 4, out, 3);
	assert_string_equal(out, "\xc3\xa4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_that_lead_out_or_lie_are_refused),
		cmocka_unit_test(ordinary_names_are_accepted),
		cmocka_unit_test(lengths_are_limited_at_the_documented_numbers),
		cmocka_unit_test(names_collide_by_case_and_by_unicode_form),
		cmocka_unit_test(the_order_is_the_one_of_the_file_tree),
		cmocka_unit_test(ids_are_names_that_no_command_line_or_folder_misreads),
		cmocka_unit_test(only_our_own_names_are_private_and_exactly_those),
		cmocka_unit_test(labels_are_cleaned_and_cut_at_a_character),
	};
	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
