#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void set_fills_the_error_and_returns_the_negative_code(void **state)
{
	struct lsp_error err = {0};
	assert_int_equal(lsp_error_set(&err, "net", LSP_E_TIMEOUT, "no answer from %s", "anna"),
		-LSP_E_TIMEOUT);
	assert_string_equal(err.domain, "net");
	assert_int_equal(err.code, LSP_E_TIMEOUT);
	assert_int_equal(err.sys_errno, 0);
	assert_string_equal(err.message, "no answer from anna");
}

static void null_drops_the_detail_and_keeps_the_code(void **state)
{
	assert_int_equal(lsp_error_set(NULL, "net", LSP_E_BUSY, "x"), -LSP_E_BUSY);
	assert_int_equal(lsp_error_errno(NULL, "net", ENOSPC, "x"), -LSP_E_NO_SPACE);
	assert_int_equal(lsp_error_no_memory(NULL, "net"), -LSP_E_NO_MEMORY);
	assert_int_equal(lsp_error_prefix(NULL, -LSP_E_NO_SPACE, "x"), -LSP_E_NO_SPACE);
	lsp_error_clear(NULL);
}

static void an_errno_becomes_a_code_and_its_text_is_appended(void **state)
{
	static const int codes[][2] = {{ENOSPC, LSP_E_NO_SPACE}, {EDQUOT, LSP_E_NO_SPACE},
		{ENOENT, LSP_E_NOT_FOUND}, {EEXIST, LSP_E_EXISTS}, {EACCES, LSP_E_DENIED},
		{EPERM, LSP_E_DENIED}, {EROFS, LSP_E_DENIED}, {EXDEV, LSP_E_DENIED},
		{ELOOP, LSP_E_DENIED}, {ENOTDIR, LSP_E_DENIED}, {ENOMEM, LSP_E_NO_MEMORY},
		{EBUSY, LSP_E_BUSY}, {ETIMEDOUT, LSP_E_TIMEOUT}, {EIO, LSP_E_IO},
		{ECONNRESET, LSP_E_IO}};
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		struct lsp_error err = {0};
		assert_int_equal(lsp_error_errno(&err, "base", codes[i][0], "x"), -codes[i][1]);
		assert_int_equal(err.sys_errno, codes[i][0]);
	}
	struct lsp_error err = {0};
	lsp_error_errno(&err, "base", ENOENT, "cannot open \"%s\"", "a");
	assert_string_equal(err.message, "cannot open \"a\": No such file or directory");
}

static void a_prefix_goes_before_the_message_and_the_code_stays(void **state)
{
	struct lsp_error err = {0};
	lsp_error_set(&err, "wire", LSP_E_PROTOCOL, "bad line");
	assert_int_equal(lsp_error_prefix(&err, -LSP_E_PROTOCOL, "version.ini of %s", "doom"),
		-LSP_E_PROTOCOL);
	assert_int_equal(err.code, LSP_E_PROTOCOL);
	assert_string_equal(err.message, "version.ini of doom: bad line");
	assert_int_equal(lsp_error_prefix(&err, -LSP_E_IO, "x"), -LSP_E_IO);
	assert_int_equal(err.code, LSP_E_IO);
}

static void the_old_message_may_be_an_argument_of_the_new(void **state)
{
	struct lsp_error err = {0};
	lsp_error_set(&err, "a", LSP_E_IO, "inner");
	lsp_error_set(&err, "b", LSP_E_IO, "outer (%s)", err.message);
	assert_string_equal(err.message, "outer (inner)");
}

static void expect_cut(const struct lsp_error *err, const char *begin, const char *end)
{
	size_t size = strlen(err->message);
	assert_in_range(size, sizeof err->message - 8, sizeof err->message - 1);
	assert_memory_equal(err->message, begin, strlen(begin));
	assert_string_equal(err->message + size - strlen(end), end);
	assert_non_null(strstr(err->message, "…"));
}

static void of_a_message_that_is_too_long_the_middle_is_left_out(void **state)
{
	char path[4096];
	struct lsp_error err = {0};
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	lsp_error_set(&err, "a", LSP_E_IO, "\"%s\" is no folder: take another", path);
	expect_cut(&err, "\"xxx", "xxx\" is no folder: take another");
	lsp_error_errno(&err, "a", EACCES, "cannot rename \"%s\" to \"%s\"", path, path);
	expect_cut(&err, "cannot rename \"xxx", "xxx\": Permission denied");
	/* Nor does what is put before it, or around it, take the reason away. */
	lsp_error_prefix(&err, -LSP_E_IO, "the content of %s", path);
	expect_cut(&err, "the content of xxx", "xxx\": Permission denied");
	lsp_error_set(&err, "a", LSP_E_IO, "%s cannot be moved: %s", path, err.message);
	expect_cut(&err, "xxx", "xxx\": Permission denied");
}

static void a_message_is_cut_between_two_characters(void **state)
{
	char text[2000] = "", character[5] = "€";
	for (size_t before = 0; before < 4; before++) {
		struct lsp_error err = {0};
		memset(text, 'a', before);
		text[before] = '\0';
		while (strlen(text) < 1900)
			strcat(text, character);
		lsp_error_set(&err, "a", LSP_E_IO, "%s", text);
		for (const char *at = err.message + before; *at; at += strlen(character))
			assert_true(strncmp(at, character, 3) == 0 || strncmp(at, "…", 3) == 0);
	}
}

/* Whole characters of three bytes, behind what begins and a gap. */
static void expect_whole_characters(const char *message)
{
	const char *at = strstr(message, "…");
	assert_non_null(at);
	for (at += strlen("…"); *at; at += strlen("€"))
		assert_memory_equal(at, "€", strlen("€"));
}

static void what_is_too_long_to_be_formatted_ends_with_a_whole_character(void **state)
{
	char text[3 * 4096 + 1];
	for (size_t i = 0; i + 3 < sizeof text; i += 3)
		memcpy(text + i, "€", 4);
	for (int shift = 0; shift < 3; shift++) {
		struct lsp_error err = {0};
		assert_int_equal(
			lsp_error_set(&err, "base", LSP_E_INVALID, "%.*s%s", shift, "xx", text),
			-LSP_E_INVALID);
		expect_whole_characters(err.message);
	}
}

static void clear_goes_back_to_no_error(void **state)
{
	struct lsp_error err = {0};
	lsp_error_errno(&err, "a", EIO, "x");
	lsp_error_clear(&err);
	assert_int_equal(err.code, LSP_OK);
	assert_string_equal(err.message, "");
}

static void every_code_has_a_name_and_no_other_number_has(void **state)
{
	for (int code = 0; code < LSP_E_CODE_COUNT; code++)
		assert_non_null(lsp_code_name(code));
	assert_string_equal(lsp_code_name(LSP_E_NOT_FOUND), "not_found");
	assert_string_equal(lsp_code_name(LSP_E_CORRUPT), "corrupt");
	assert_string_equal(lsp_code_name(-1), "failed");
	assert_string_equal(lsp_code_name(LSP_E_CODE_COUNT), "failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_the_error_and_returns_the_negative_code),
		cmocka_unit_test(null_drops_the_detail_and_keeps_the_code),
		cmocka_unit_test(an_errno_becomes_a_code_and_its_text_is_appended),
		cmocka_unit_test(a_prefix_goes_before_the_message_and_the_code_stays),
		cmocka_unit_test(the_old_message_may_be_an_argument_of_the_new),
		cmocka_unit_test(of_a_message_that_is_too_long_the_middle_is_left_out),
		cmocka_unit_test(a_message_is_cut_between_two_characters),
		cmocka_unit_test(what_is_too_long_to_be_formatted_ends_with_a_whole_character),
		cmocka_unit_test(clear_goes_back_to_no_error),
		cmocka_unit_test(every_code_has_a_name_and_no_other_number_has),
	};
	return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
