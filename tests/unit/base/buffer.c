#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void zeroed_is_empty_and_can_be_done_twice(void **state)
{
	struct lsp_buffer buffer = {0};
	lsp_buffer_consume(&buffer, 5);
	lsp_buffer_done(&buffer);
	lsp_buffer_done(&buffer);
	assert_int_equal(buffer.size, 0);
	assert_null(buffer.data);
}

static void what_is_appended_is_there_in_order(void **state)
{
	_cleanup_buffer_ struct lsp_buffer buffer = {0};
	for (int i = 0; i < 1000; i++) {
		uint8_t bytes[3] = {(uint8_t)i, (uint8_t)(i >> 8), 7};
		assert_int_equal(lsp_buffer_append(&buffer, bytes, 3, NULL), 0);
	}
	assert_int_equal(lsp_buffer_append(&buffer, NULL, 0, NULL), 0);
	assert_int_equal(buffer.size, 3000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buffer.data[3 * i] | buffer.data[3 * i + 1] << 8, i);
}

static void printf_appends_text_of_any_length(void **state)
{
	_cleanup_buffer_ struct lsp_buffer buffer = {0};
	assert_int_equal(lsp_buffer_printf(&buffer, NULL, "%s-%d", "ab", 12), 0);
	assert_int_equal(lsp_buffer_printf(&buffer, NULL, "%*s", 5000, "x"), 0);
	assert_int_equal(buffer.size, 5005);
	assert_memory_equal(buffer.data, "ab-12   ", 8);
	assert_int_equal(buffer.data[5004], 'x');
}

static void consume_drops_from_the_front_and_at_most_all(void **state)
{
	_cleanup_buffer_ struct lsp_buffer buffer = {0};
	assert_int_equal(lsp_buffer_append(&buffer, "hello", 5, NULL), 0);
	lsp_buffer_consume(&buffer, 2);
	assert_int_equal(buffer.size, 3);
	assert_memory_equal(buffer.data, "llo", 3);
	lsp_buffer_consume(&buffer, 100);
	assert_int_equal(buffer.size, 0);
}

static void reset_keeps_the_memory(void **state)
{
	_cleanup_buffer_ struct lsp_buffer buffer = {0};
	assert_int_equal(lsp_buffer_append(&buffer, "hello", 5, NULL), 0);
	uint8_t *data = buffer.data;
	lsp_buffer_reset(&buffer);
	assert_int_equal(buffer.size, 0);
	assert_ptr_equal(buffer.data, data);
}

static void a_size_that_no_memory_has_is_an_error_and_changes_nothing(void **state)
{
	_cleanup_buffer_ struct lsp_buffer buffer = {0};
	struct lsp_error err = {0};
	assert_int_equal(lsp_buffer_append(&buffer, "hello", 5, NULL), 0);
	assert_int_equal(lsp_buffer_reserve(&buffer, SIZE_MAX - 3, &err), -LSP_E_NO_MEMORY);
	assert_int_equal(lsp_buffer_reserve(&buffer, SIZE_MAX, &err), -LSP_E_NO_MEMORY);
	assert_int_equal(buffer.size, 5);
	assert_memory_equal(buffer.data, "hello", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeroed_is_empty_and_can_be_done_twice),
		cmocka_unit_test(what_is_appended_is_there_in_order),
		cmocka_unit_test(printf_appends_text_of_any_length),
		cmocka_unit_test(consume_drops_from_the_front_and_at_most_all),
		cmocka_unit_test(reset_keeps_the_memory),
		cmocka_unit_test(a_size_that_no_memory_has_is_an_error_and_changes_nothing),
	};
	return cmocka_run_group_tests_name("base/buffer", tests, NULL, NULL);
}
