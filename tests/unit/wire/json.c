/* What must not reach the parser, and fields read with tolerance where it is due. */
#include "wire/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, size_t size)
{
	_cleanup_json_ json_t *value = NULL;
	struct lsp_error err = {0};
	int r = lsp_json_parse(text, size, &lsp_json_limits_peer, &value, &err);
	assert_true(r == 0 || *err.message);
	return r;
}

static int parse_text(const char *text)
{
	return parse(text, strlen(text));
}

static void nesting_is_limited_to_sixteen_whatever_the_length(void **state)
{
	char text[64];
	for (int depth = 1; depth <= 20; depth++) {
		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		assert_int_equal(
			parse(text, 2u * (size_t)depth), depth <= 16 ? 0 : -LSP_E_TOO_LARGE);
	}
	char *deep = malloc(200000);
	memset(deep, '[', 100000);
	memset(deep + 100000, ']', 100000);
	assert_int_equal(parse(deep, 200000), -LSP_E_TOO_LARGE);
	free(deep);
}

static void brackets_within_strings_do_not_count(void **state)
{
	assert_int_equal(parse_text("{\"[[[[[[[[[[[[[[[[[[[[[[\":\"}]\\\"{{{{\"}"), 0);
}

static void nul_is_refused_raw_and_escaped(void **state)
{
	assert_int_equal(parse("[\0]", 3), -LSP_E_PROTOCOL);
	assert_int_equal(parse("[\"\0\"]", 5), -LSP_E_PROTOCOL);
	assert_int_equal(parse_text("[\"\\u0000\"]"), -LSP_E_PROTOCOL);
}

static void duplicate_keys_and_numbers_out_of_range_are_refused(void **state)
{
	assert_int_equal(parse_text("{\"a\":1,\"a\":2}"), -LSP_E_PROTOCOL);
	assert_int_equal(parse_text("[1e999]"), -LSP_E_PROTOCOL);
	assert_int_equal(parse_text("[-1e999]"), -LSP_E_PROTOCOL);
	assert_int_equal(parse_text("[9223372036854775808]"), -LSP_E_PROTOCOL);
	assert_int_equal(parse_text("[9223372036854775807]"), 0);
}

static void what_is_no_json_is_refused(void **state)
{
	static const char *const bad[] = {"", "{", "]", "{]", "\"abc", "\"abc\\", "[1,]", "{\"a\"}",
		"nul", "[01]", "[\"\xff\"]", "{} {}", "[\"\\ud800\"]"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_text(bad[i]), -LSP_E_PROTOCOL);
}

static void size_and_the_number_of_values_are_limited(void **state)
{
	size_t size = lsp_json_limits_peer.size;
	char *text = malloc(size + 1);
	memset(text, ' ', size + 1);
	text[0] = '0';
	assert_int_equal(parse(text, size), 0);
	assert_int_equal(parse(text, size + 1), -LSP_E_TOO_LARGE);
	for (size_t i = 0; i + 1 < size; i += 2)
		memcpy(text + i, "0,", 2);
	text[0] = '[';
	assert_int_equal(parse(text, size), -LSP_E_TOO_LARGE);
	for (size_t i = 1; i + 3 < size; i += 3)
		memcpy(text + i, "{},", 3);
	assert_int_equal(parse(text, size), -LSP_E_TOO_LARGE);
	free(text);
}

static void fields_may_be_absent_or_null_but_not_wrong(void **state)
{
	const char *text =
		"{\"n\":7,\"neg\":-1,\"real\":1.0,\"null\":null,\"s\":\"abc\",\"b\":true,"
		"\"l\":[1,2]}";
	_cleanup_json_ json_t *object = NULL;
	assert_int_equal(
		lsp_json_parse(text, strlen(text), &lsp_json_limits_peer, &object, NULL), 0);
	uint64_t n = 5;
	assert_int_equal(lsp_json_get_u64(object, "absent", 10, &n, NULL), 0);
	assert_int_equal(lsp_json_get_u64(object, "null", 10, &n, NULL), 0);
	assert_int_equal(n, 5);
	assert_int_equal(lsp_json_get_u64(object, "n", 10, &n, NULL), 0);
	assert_int_equal(n, 7);
	assert_int_equal(lsp_json_get_u64(object, "n", 6, &n, NULL), -LSP_E_PROTOCOL);
	assert_int_equal(lsp_json_get_u64(object, "neg", 10, &n, NULL), -LSP_E_PROTOCOL);
	assert_int_equal(lsp_json_get_u64(object, "real", 10, &n, NULL), -LSP_E_PROTOCOL);
	const char *s = "kept";
	assert_int_equal(lsp_json_get_text(object, "n", 10, &s, NULL), -LSP_E_PROTOCOL);
	assert_int_equal(lsp_json_get_text(object, "s", 2, &s, NULL), -LSP_E_TOO_LARGE);
	assert_string_equal(s, "kept");
	assert_int_equal(lsp_json_get_text(object, "s", 3, &s, NULL), 0);
	assert_string_equal(s, "abc");
	bool b = false;
	assert_int_equal(lsp_json_get_bool(object, "b", &b, NULL), 0);
	assert_true(b);
	assert_int_equal(lsp_json_get_bool(object, "n", &b, NULL), -LSP_E_PROTOCOL);
	json_t *list = NULL;
	assert_int_equal(lsp_json_get_array(object, "l", 1, &list, NULL), -LSP_E_TOO_LARGE);
	assert_int_equal(lsp_json_get_array(object, "s", 1, &list, NULL), -LSP_E_PROTOCOL);
	assert_int_equal(lsp_json_get_array(object, "l", 2, &list, NULL), 0);
	assert_int_equal(json_array_size(list), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nesting_is_limited_to_sixteen_whatever_the_length),
		cmocka_unit_test(brackets_within_strings_do_not_count),
		cmocka_unit_test(nul_is_refused_raw_and_escaped),
		cmocka_unit_test(duplicate_keys_and_numbers_out_of_range_are_refused),
		cmocka_unit_test(what_is_no_json_is_refused),
		cmocka_unit_test(size_and_the_number_of_values_are_limited),
		cmocka_unit_test(fields_may_be_absent_or_null_but_not_wrong),
	};
	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
