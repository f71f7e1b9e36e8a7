#include "http/security.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void a_loopback_server_answers_to_loopback_names_alone(void **state)
{
	static const char *const ours[] = {"127.0.0.1:47777", "127.0.0.1", "localhost:80",
		"LOCALHOST", "[::1]:47777", "127.1.2.3:1"};
	static const char *const foreign[] = {"evil.example", "evil.example:47777", "", "hall-7",
		"192.168.1.5:47777", "127.0.0.1.evil.example", "localhost.evil.example", "[::1",
		"127.0.0.1:80x", "[fe80::1]:47777", "0x7f.1:1", ":80"};
	const struct lsp_http_names names = {.loopback = true, .host_name = "hall-7"};
	for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
		assert_true(lsp_http_host_is_ours(&names, ours[i]));
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
		if (lsp_http_host_is_ours(&names, foreign[i]))
			fail_msg("\"%s\" was taken", foreign[i]);
	}
	assert_false(lsp_http_host_is_ours(&names, NULL));
}

static void a_server_for_the_hall_answers_to_addresses_and_the_machine_s_name(void **state)
{
	const struct lsp_http_names names = {.loopback = false, .host_name = "hall-7"};
	assert_true(lsp_http_host_is_ours(&names, "192.168.1.5:47777"));
	assert_true(lsp_http_host_is_ours(&names, "hall-7:47777"));
	assert_true(lsp_http_host_is_ours(&names, "Hall-7.local:47777"));
	assert_false(lsp_http_host_is_ours(&names, "hall-7.evil.example"));
	assert_false(lsp_http_host_is_ours(&names, "evil.example"));
}

static void an_origin_must_be_the_host(void **state)
{
	assert_true(lsp_http_origin_is_ours(NULL, "localhost:1"));
	assert_true(lsp_http_origin_is_ours("http://localhost:1", "localhost:1"));
	assert_false(lsp_http_origin_is_ours("http://localhost:2", "localhost:1"));
	assert_false(lsp_http_origin_is_ours("https://localhost:1", "localhost:1"));
	assert_false(lsp_http_origin_is_ours("null", "localhost:1"));
	assert_false(lsp_http_origin_is_ours("http://evil.example", "localhost:1"));
	assert_true(lsp_http_fetch_site_is_ours(NULL));
	assert_true(lsp_http_fetch_site_is_ours("same-origin"));
	assert_false(lsp_http_fetch_site_is_ours("same-site"));
	assert_false(lsp_http_fetch_site_is_ours("cross-site"));
}

static void tokens_match_whole(void **state)
{
	assert_true(lsp_http_token_matches("abcd", "abcd"));
	assert_false(lsp_http_token_matches("abcd", "abce"));
	assert_false(lsp_http_token_matches("abcd", "abc"));
	assert_false(lsp_http_token_matches("abcd", "abcde"));
	assert_false(lsp_http_token_matches("abcd", ""));
	assert_false(lsp_http_token_matches("abcd", NULL));
}

static void what_a_form_can_send_is_told_from_json(void **state)
{
	assert_int_equal(lsp_http_content_kind("application/json"), LSP_HTTP_JSON);
	assert_int_equal(lsp_http_content_kind("Application/JSON; charset=utf-8"), LSP_HTTP_JSON);
	assert_int_equal(lsp_http_content_kind("application/x-www-form-urlencoded"), LSP_HTTP_FORM);
	assert_int_equal(lsp_http_content_kind("multipart/form-data; boundary=x"), LSP_HTTP_FORM);
	assert_int_equal(lsp_http_content_kind("text/plain;application/json"), LSP_HTTP_FORM);
	assert_int_equal(lsp_http_content_kind(NULL), LSP_HTTP_FORM);
	assert_int_equal(lsp_http_content_kind("application/jsonp"), LSP_HTTP_OTHER_CONTENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loopback_server_answers_to_loopback_names_alone),
		cmocka_unit_test(a_server_for_the_hall_answers_to_addresses_and_the_machine_s_name),
		cmocka_unit_test(an_origin_must_be_the_host),
		cmocka_unit_test(tokens_match_whole),
		cmocka_unit_test(what_a_form_can_send_is_told_from_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
