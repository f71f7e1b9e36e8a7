/*
 * The n-th allocation fails, for every n: messages are refused, for want of memory. Those of
 * jansson itself are not among them (it is a library of its own).
 */
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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(requests)};
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
