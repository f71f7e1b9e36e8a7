/*
 * What a stream costs in allocations, ours and ngtcp2's: those of the beginning, and of a slice of
 * what is sent, but none for a packet. This program's malloc counts (and, under a sanitizer, which
 * has one of its own, does not: then nothing is judged).
 */
#include "pair.h"

#include <stdlib.h>

#define SLICE 65536
#define FIRST (UINT64_C(16) << 20) /* until then windows and pools grow */
#define MEASURED (UINT64_C(64) << 20)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

#if defined(SANITIZED) || !defined(__GLIBC__)
static const bool counts = false;
static unsigned long allocations;
#else
static const bool counts = true;
#define COUNTED __attribute__((visibility("default")))
static unsigned long allocations;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

COUNTED void *malloc(size_t size)
{
	allocations++;
	return __libc_malloc(size);
}

COUNTED void *calloc(size_t count, size_t size)
{
	allocations++;
	return __libc_calloc(count, size);
}

COUNTED void *realloc(void *memory, size_t size)
{
	allocations++;
	return __libc_realloc(memory, size);
}
#endif

static uint64_t received;

static void take(
	struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin, void *argument)
{
	received += size;
	lsp_stream_consume(stream, size);
}

static void give(struct lsp_stream *stream, void *argument)
{
	static uint8_t slice[SLICE];
	while (lsp_stream_queued(stream) < 8 * SLICE)
		assert_int_equal(
			lsp_stream_write_owned(stream, slice, sizeof slice, NULL, NULL, NULL), 0);
}

static void closed(struct lsp_stream *stream, uint64_t code, void *argument)
{
}

static const struct lsp_stream_callbacks callbacks = {
	.data = take, .drained = give, .closed = closed};

static void packets_cost_no_allocation(void **state)
{
	struct pair pair;
	struct lsp_stream *stream;
	struct lsp_endpoint_stats before, after;
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	pair.b.stream_callbacks = &callbacks;
	assert_int_equal(
		lsp_connection_open_stream(pair.a.connection, &callbacks, NULL, &stream, NULL), 0);
	give(stream, NULL);
	RUN_UNTIL(&pair.loop, received >= FIRST);
	lsp_endpoint_get_stats(pair.b.endpoint, &before);
	unsigned long then = allocations;
	RUN_UNTIL(&pair.loop, received >= FIRST + MEASURED);
	lsp_endpoint_get_stats(pair.b.endpoint, &after);
	unsigned long spent = allocations - then;
	uint64_t packets = after.received_packets - before.received_packets;
	print_message("%lu allocations for %llu packets, %llu slices\n", spent,
		(unsigned long long)packets, (unsigned long long)(MEASURED / SLICE));
	assert_true(packets > 4 * (MEASURED / SLICE));
	if (counts) {
		assert_true(spent > MEASURED / SLICE / 2); /* so it does count */
		assert_true(spent < MEASURED / SLICE * 3 / 2);
	}
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(packets_cost_no_allocation)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
