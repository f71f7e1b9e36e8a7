/*
 * The n-th allocation fails, for every n, those of jansson among them: messages are refused, for
 * want of memory.
 */
#include "wire/json.h"
#include "wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static long left = -1; /* allocations until the one that fails; below 0: none does */
static bool failed;

static bool fails(void)
{
	if (left < 0 || left-- > 0)
		return false;
	failed = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

/* Runs it with the first, the second, … allocation failing, until none does. */
static void run_starved(
	int (*run)(const void *argument, struct lsp_error *err), const void *argument)
{
	for (long n = 0;; n++) {
		struct lsp_error err = {0};
		(void)lsp_json_starved();
		failed = false;
		left = n;
		int r = run(argument, &err);
		left = -1;
		if (!failed) {
			if (r < 0)
				fail_msg("%s", err.message);
			return;
		}
		if (r != -LSP_E_NO_MEMORY)
			fail_msg("without allocation %ld: %d, \"%s\"", n, r, err.message);
	}
}

#define C "\"content\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\""

static int decode_and_encode(const void *argument, struct lsp_error *err)
{
	_cleanup_request_ struct lsp_request request = {0};
	_cleanup_buffer_ struct lsp_buffer frame = {0};
	const char *text = argument;
	int r = lsp_request_decode(text, strlen(text), &request, err);
	return r < 0 ? r : lsp_request_append(&request, &frame, err);
}

static void requests(void **state)
{
	static const char *const texts[] = {
		"\"Ping\"",
		"{\"GetGameFileData\":{\"id\":\"doom\",\"path\":\"a/b\"}}",
		"{\"GetBlocks\":{" C ",\"blocks\":[[0,1,2],[3,0,8]]}}",
		"{\"HaveUpdate\":{" C ",\"chunks\":[[0,1],[3,8]]}}",
		"{\"LibraryDelta\":{\"base\":1,\"revision\":2,\"changed\":[{\"id\":\"a\","
		"\"state\":\"hashing\"}],\"removed\":[\"b\",\"c\"]}}",
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(texts); i++)
		run_starved(decode_and_encode, texts[i]);
}

/* As large documents are built: no step is looked at. */
static int build(const void *argument, struct lsp_error *err)
{
	json_t *list = json_array(), *object = json_pack("{s:s}", "name", "quake");
	for (int i = 0; i < 20; i++)
		json_array_append_new(list, json_integer(i));
	json_object_set_new(object, "list", list);
	_cleanup_free_ char *text = lsp_json_dump(object, JSON_COMPACT);
	json_decref(object);
	if (!text)
		return lsp_error_no_memory(err, "wire");
	assert_string_equal(text, argument);
	return 0;
}

static void a_document_with_a_hole_does_not_leave(void **state)
{
	run_starved(build, "{\"name\":\"quake\",\"list\":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,"
			   "17,18,19]}");
}

/* A text of many pieces, in which jansson would not notice that one is missing. */
static int parse(const void *argument, struct lsp_error *err)
{
	const char *text = argument;
	json_t *value = NULL;
	int r = lsp_json_parse(text, strlen(text), &lsp_json_limits_peer, &value, err);
	if (r < 0)
		return r;
	_cleanup_free_ char *again = lsp_json_dump(value, JSON_COMPACT);
	json_decref(value);
	if (!again)
		return lsp_error_no_memory(err, "wire");
	assert_string_equal(again, text);
	return 0;
}

static void what_is_read_without_memory_is_not_something_else(void **state)
{
	run_starved(parse,
		"{\"a long name of a member that outgrows the first buffer of a reader\":["
		"123456789012345678,\"and a text that is much longer than sixteen bytes, and than "
		"thirty-two, and than sixty-four, and than one hundred and twenty-eight\",0.5]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(requests),
		cmocka_unit_test(a_document_with_a_hole_does_not_leave),
		cmocka_unit_test(what_is_read_without_memory_is_not_something_else)};
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
