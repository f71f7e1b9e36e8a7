#include "http/listen.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void addresses_are_understood(void **state)
{
	static const struct {
		const char *text, *is;
	} table[] = {
		{NULL, "127.0.0.1:47777"},
		{"8080", "127.0.0.1:8080"},
		{"127.0.0.1:0", "127.0.0.1:0"},
		{"localhost:81", "127.0.0.1:81"},
		{"0.0.0.0:82", "127.0.0.1:82"},
		{"[::1]:83", "[::1]:83"},
		{"[::]:84", "[::1]:84"},
		{"192.168.7.7:85", "192.168.7.7:85"},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(table); i++) {
		union lsp_http_address address;
		char text[96];
		assert_int_equal(lsp_http_address_parse(table[i].text, &address, NULL), 0);
		lsp_http_address_text(&address, text, sizeof text);
		assert_string_equal(text, table[i].is);
	}
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = {"", "x", ":", "1.2.3.4:", "1.2.3.4:70000",
		"host.example:80", "1.2.3:80", "[::1:80"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bad); i++) {
		union lsp_http_address address;
		struct lsp_error err = {0};
		assert_int_equal(lsp_http_address_parse(bad[i], &address, &err), -LSP_E_INVALID);
		assert_true(err.message[0]);
	}
}

static void a_taken_port_is_said_or_replaced_by_a_free_one(void **state)
{
	union lsp_http_address first, second;
	_cleanup_close_ int fd = -1, other = -1;
	struct lsp_error err = {0};
	assert_int_equal(lsp_http_address_parse("127.0.0.1:0", &first, NULL), 0);
	assert_int_equal(lsp_http_listen(&first, false, &fd, &err), 0);
	second = first;
	assert_int_equal(lsp_http_listen(&second, false, &other, &err), -LSP_E_BUSY);
	assert_int_equal(lsp_http_listen(&second, true, &other, &err), 0);
	assert_int_not_equal(lsp_http_address_port(&first), lsp_http_address_port(&second));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_understood),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(a_taken_port_is_said_or_replaced_by_a_free_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
