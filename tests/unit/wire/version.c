/* version.ini in its forms, an order without gaps, and words for what is wrong. */
#include "wire/version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int compare(const char *a, const char *b)
{
	int order = lsp_version_compare_text(a, b);
	assert_int_equal(order<0, lsp_version_compare_text(b, a)> 0);
	return order;
}

static void versions_are_ordered_by_number_not_by_letter(void **state)
{
	static const char *const ascending[] = {"not a version", "0", "1.02", "1.2", "1.2.0",
		"1.2.0.5", "1.2.9", "1.2.10", "1.10", "2", "10", "20231231", "20240131",
		"20240131.1", "20240201", "999999999999999999"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(ascending); i++) {
		for (size_t j = 0; j < LSP_ARRAY_SIZE(ascending); j++) {
			int order = compare(ascending[i], ascending[j]);
			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
}

static void a_bad_version_says_what_stands_where_a_digit_should_be(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"v1.2", "'v'"},
		{"1.2b", "'b'"},
		{"1..2", "'.'"},
		{"1.", "ends where"},
		{"", "empty"},
		{".1", "'.'"},
		{"-1", "'-'"},
		{"1 2", "0x20"},
		{"1234567890123456789", "18 digits"},
		{"1.2.3.4.5.6.7.8.9", "more than 8"},
		{"\xc3\xa4", "0xc3"},
		{"1.000000000000000000000000000000000000000000000000000000000000000000",
			"63 bytes"},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		struct lsp_version version;
		struct lsp_error err = {0};
		assert_int_equal(
			lsp_version_parse(cases[i].text, strlen(cases[i].text), &version, &err),
			-LSP_E_INVALID);
		if (!strstr(err.message, cases[i].says))
			fail_msg("\"%s\": %s", cases[i].text, err.message);
	}
}

static void check_file(const char *text, const char *version, const char *start)
{
	_cleanup_version_file_ struct lsp_version_file file = {0};
	struct lsp_error err = {0};
	if (lsp_version_file_parse(text, strlen(text), &file, &err) < 0)
		fail_msg("\"%s\": %s", text, err.message);
	assert_string_equal(file.version.text, version);
	if (start)
		assert_string_equal(file.start, start);
	else
		assert_null(file.start);
}

static void the_file_is_a_version_or_an_ini(void **state)
{
	check_file("20240131", "20240131", NULL);
	check_file("  1.2.10\r\n\r\n", "1.2.10", NULL);
	check_file("\xef\xbb\xbf"
		   "1.2\n",
		"1.2", NULL);
	check_file("version=3", "3", NULL);
	check_file("; note\r\n[game]\r\nVERSION = 1.2\r\nStart=bin\\game.exe\r\nother=x\r\n", "1.2",
		"bin/game.exe");
	check_file("start=run.sh\nversion=1\n", "1", "run.sh");
}

static void a_bad_file_says_why(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", "empty"},
		{" \r\n\t", "empty"},
		{"hello", "'h'"},
		{"a\nb", "no line \"version=\""},
		{"start=x\n", "no line \"version=\""},
		{"version=", "empty"},
		{"version=1\nversion=1\n", "two lines"},
		{"version=1\nstart=a\nstart=b", "two lines"},
		{"version=1\nstart=../x", "\"start=\""},
		{"version=1\nstart=/bin/sh", "\"start=\""},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		_cleanup_version_file_ struct lsp_version_file file = {0};
		struct lsp_error err = {0};
		assert_int_equal(
			lsp_version_file_parse(cases[i].text, strlen(cases[i].text), &file, &err),
			-LSP_E_INVALID);
		if (!strstr(err.message, cases[i].says))
			fail_msg("\"%s\": %s", cases[i].text, err.message);
	}
	_cleanup_version_file_ struct lsp_version_file file = {0};
	assert_int_equal(lsp_version_file_parse("1\0", 2, &file, NULL), -LSP_E_INVALID);
	char *long_text = malloc(LSP_VERSION_FILE_MAX + 1);
	memset(long_text, ' ', LSP_VERSION_FILE_MAX + 1);
	assert_int_equal(lsp_version_file_parse(long_text, LSP_VERSION_FILE_MAX + 1, &file, NULL),
		-LSP_E_TOO_LARGE);
	free(long_text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_are_ordered_by_number_not_by_letter),
		cmocka_unit_test(a_bad_version_says_what_stands_where_a_digit_should_be),
		cmocka_unit_test(the_file_is_a_version_or_an_ini),
		cmocka_unit_test(a_bad_file_says_why),
	};
	return cmocka_run_group_tests_name("version", tests, NULL, NULL);
}
