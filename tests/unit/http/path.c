#include "http/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void segments_are_cut_and_decoded(void **state)
{
	struct lsp_http_path path;
	assert_true(lsp_http_path_parse(&path, "/api/games/half%20life%C3%A4"));
	assert_int_equal(path.count, 3);
	assert_string_equal(path.segments[2], "half life\xc3\xa4");
	assert_true(lsp_http_path_parse(&path, "/"));
	assert_int_equal(path.count, 0);
}

static void what_is_no_path_is_refused(void **state)
{
	static const char *const bad[] = {"", "api", "//", "/a//b", "/a/", "/..", "/a/../b", "/.",
		"/..%2f", "/%2e%2e", "/a%2fb", "/a%5cb", "/a\\b", "/%", "/%4", "/%zz", "/%00",
		"/a%0ab", "/a\x7f", "/%ff%fe", "/1/2/3/4/5/6/7"};
	struct lsp_http_path path;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (lsp_http_path_parse(&path, bad[i]))
			fail_msg("\"%s\" was taken", bad[i]);
	}
}

static void a_segment_of_255_bytes_is_the_longest(void **state)
{
	struct lsp_http_path path;
	char raw[300] = "/";
	memset(raw + 1, 'a', 255);
	assert_true(lsp_http_path_parse(&path, raw));
	raw[256] = 'a';
	assert_false(lsp_http_path_parse(&path, raw));
}

static void patterns_match_whole_paths(void **state)
{
	struct lsp_http_path path;
	const char *parameters[LSP_HTTP_MAX_PARAMETERS] = {NULL};
	assert_true(lsp_http_path_parse(&path, "/api/games/quake/install"));
	assert_true(lsp_http_path_match(&path, "/api/games/{id}/install", parameters));
	assert_string_equal(parameters[0], "quake");
	assert_false(lsp_http_path_match(&path, "/api/games/{id}", parameters));
	assert_false(lsp_http_path_match(&path, "/api/games/{id}/install/now", parameters));
	assert_false(lsp_http_path_match(&path, "/api/games/{id}/instal", parameters));
	assert_false(lsp_http_path_match(&path, "/", parameters));
	assert_true(lsp_http_path_parse(&path, "/"));
	assert_true(lsp_http_path_match(&path, "/", parameters));
	assert_false(lsp_http_path_match(&path, "/{x}", parameters));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_are_cut_and_decoded),
		cmocka_unit_test(what_is_no_path_is_refused),
		cmocka_unit_test(a_segment_of_255_bytes_is_the_longest),
		cmocka_unit_test(patterns_match_whole_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
