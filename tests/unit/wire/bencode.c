/* One spelling for each value, and no other. */
#include "wire/bencode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The type of the last token, or the error. */
static int read_all(const char *text, size_t size)
{
	struct lsp_bencode_reader reader;
	struct lsp_bencode_token token;
	lsp_bencode_reader_init(&reader, text, size);
	for (;;) {
		int r = lsp_bencode_next(&reader, &token, NULL);
		if (r < 0)
			return r;
		if (token.type == LSP_BENCODE_DONE)
			return LSP_BENCODE_DONE;
	}
}

static void what_is_not_canonical_is_refused(void **state)
{
	static const char *const bad[] = {"", "i", "ie", "i-e", "i-0e", "i01e", "i00e", "i1",
		"i+1e", "i1x", "1", "1:", "01:a", "-1:a", "2:a", "l", "li1e", "d", "d1:a", "d1:ae",
		"di1e1:ae", "dlei1ee", "d1:bi1e1:ai1ee", "d1:ai1e1:ai1ee", "d2:aai1e1:ai1ee", "e",
		"i1ei2e", "i9223372036854775808e", "99999999999999999999:", "x", "d1:ai1eee"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bad); i++)
		assert_int_equal(read_all(bad[i], strlen(bad[i])), -LSP_E_PROTOCOL);
}

static void what_is_canonical_is_read(void **state)
{
	static const char *const good[] = {"i0e", "i-1e", "i9223372036854775807e", "0:", "3:abc",
		"le", "de", "d0:0:1:ai1e2:aalee", "lllleeee"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(good); i++)
		assert_int_equal(read_all(good[i], strlen(good[i])), LSP_BENCODE_DONE);
	assert_int_equal(read_all("3:a\0b", 5), LSP_BENCODE_DONE);
}

static void nesting_is_limited(void **state)
{
	char text[200];
	for (size_t depth = 40; depth < 60; depth++) {
		memset(text, 'l', depth);
		memset(text + depth, 'e', depth);
		int expected = depth <= LSP_BENCODE_DEPTH_MAX ? LSP_BENCODE_DONE : -LSP_E_PROTOCOL;
		assert_int_equal(read_all(text, 2 * depth), expected);
	}
}

static void a_value_is_skipped_whole(void **state)
{
	const char *text = "d1:ad1:bl1:cli1eeee1:zi7ee";
	struct lsp_bencode_reader reader;
	struct lsp_bencode_token token;
	lsp_bencode_reader_init(&reader, text, strlen(text));
	assert_int_equal(lsp_bencode_next(&reader, &token, NULL), 0);
	assert_int_equal(lsp_bencode_next(&reader, &token, NULL), 0);
	assert_true(token.is_key && LSP_BENCODE_IS(&token, "a"));
	assert_int_equal(lsp_bencode_skip(&reader, NULL), 0);
	assert_int_equal(lsp_bencode_next(&reader, &token, NULL), 0);
	assert_true(token.is_key && LSP_BENCODE_IS(&token, "z"));
	assert_int_equal(lsp_bencode_next(&reader, &token, NULL), 0);
	assert_int_equal(token.integer, 7);
	assert_int_equal(token.end, strlen(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_canonical_is_refused),
		cmocka_unit_test(what_is_canonical_is_read),
		cmocka_unit_test(nesting_is_limited),
		cmocka_unit_test(a_value_is_skipped_whole),
	};
	return cmocka_run_group_tests_name("bencode", tests, NULL, NULL);
}
