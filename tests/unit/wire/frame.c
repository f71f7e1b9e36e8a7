/* Frames: what is refused before anything is allocated, and pieces of every size. */
#include "wire/frame.h"

#include "wire/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int feed(struct lsp_frame_decoder *decoder, const void *data, size_t size, size_t *used,
	const char **payload, size_t *payload_size)
{
	struct lsp_error err = {0};
	return lsp_frame_decoder_feed(decoder, data, size, used, payload, payload_size, &err);
}

static void a_frame_comes_out_whatever_pieces_it_arrives_in(void **state)
{
	struct lsp_buffer stream = {0};
	assert_int_equal(lsp_frame_append(&stream, "\"Ping\"", 6, LSP_FRAME_MAX, NULL), 0);
	assert_int_equal(lsp_frame_append(&stream, "{\"A\":{}}", 8, LSP_FRAME_MAX, NULL), 0);
	for (size_t step = 1; step <= stream.size; step++) {
		struct lsp_frame_decoder decoder;
		lsp_frame_decoder_init(&decoder, LSP_FRAME_MAX);
		size_t at = 0;
		int frames = 0;
		while (at < stream.size) {
			const char *payload;
			size_t used, size;
			size_t piece = LSP_MIN(step, stream.size - at);
			int r = feed(&decoder, stream.data + at, piece, &used, &payload, &size);
			assert_true(r >= 0);
			assert_true(r == 1 || used == piece);
			if (r == 1)
				assert_string_equal(payload, frames++ ? "{\"A\":{}}" : "\"Ping\"");
			at += used;
		}
		assert_int_equal(frames, 2);
		assert_true(lsp_frame_decoder_is_idle(&decoder));
		lsp_frame_decoder_done(&decoder);
	}
	lsp_buffer_done(&stream);
}

static void the_decoder_stops_behind_a_frame_where_raw_bytes_begin(void **state)
{
	struct lsp_frame_decoder decoder;
	lsp_frame_decoder_init(&decoder, LSP_FRAME_MAX);
	const char *payload;
	size_t used, size;
	assert_int_equal(feed(&decoder, "\0\0\0\2{}raw", 9, &used, &payload, &size), 1);
	assert_int_equal(used, 6);
	assert_int_equal(size, 2);
	lsp_frame_decoder_done(&decoder);
}

static void lengths_of_zero_and_above_the_limit_are_refused_with_nothing_allocated(void **state)
{
	static const struct {
		const char *header;
		int code;
	} cases[] = {
		{"\0\0\0\0", LSP_E_PROTOCOL},
		{"\0\x10\0\1", LSP_E_TOO_LARGE},
		{"\xff\xff\xff\xff", LSP_E_TOO_LARGE},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		struct lsp_frame_decoder decoder;
		lsp_frame_decoder_init(&decoder, LSP_FRAME_MAX);
		const char *payload;
		size_t used, size;
		int r = feed(&decoder, cases[i].header, 4, &used, &payload, &size);
		assert_int_equal(r, -cases[i].code);
		assert_int_equal(decoder.buffer.capacity, 0);
		lsp_frame_decoder_done(&decoder);
	}
}

static void a_promised_megabyte_costs_only_what_arrived(void **state)
{
	struct lsp_frame_decoder decoder;
	lsp_frame_decoder_init(&decoder, LSP_FRAME_MAX);
	const char *payload;
	size_t used, size;
	assert_int_equal(feed(&decoder, "\0\x10\0\0{\"", 6, &used, &payload, &size), 0);
	assert_true(decoder.buffer.capacity < 4096);
	assert_false(lsp_frame_decoder_is_idle(&decoder));
	lsp_frame_decoder_done(&decoder);
}

static void a_frame_of_exactly_the_limit_passes_both_ways(void **state)
{
	char *text = malloc(LSP_FRAME_MAX);
	assert_non_null(text);
	memset(text, ' ', LSP_FRAME_MAX);
	struct lsp_buffer stream = {0};
	struct lsp_error err = {0};
	assert_int_equal(lsp_frame_append(&stream, text, LSP_FRAME_MAX, LSP_FRAME_MAX, &err), 0);
	assert_int_equal(lsp_frame_append(&stream, text, LSP_FRAME_MAX, LSP_FRAME_MAX - 1, &err),
		-LSP_E_TOO_LARGE);
	assert_int_equal(lsp_frame_append(&stream, text, 0, LSP_FRAME_MAX, &err), -LSP_E_TOO_LARGE);
	struct lsp_frame_decoder decoder;
	lsp_frame_decoder_init(&decoder, LSP_FRAME_MAX);
	const char *payload;
	size_t used, size;
	assert_int_equal(feed(&decoder, stream.data, stream.size, &used, &payload, &size), 1);
	assert_int_equal(size, LSP_FRAME_MAX);
	lsp_frame_decoder_done(&decoder);
	lsp_buffer_done(&stream);
	free(text);
}

static void json_that_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
	struct lsp_buffer stream = {0};
	_cleanup_json_ json_t *value = json_string("0123456789");
	assert_int_equal(lsp_frame_append_json(&stream, value, 12, NULL), 0);
	assert_int_equal(stream.size, 16);
	assert_int_equal(lsp_frame_append_json(&stream, value, 11, NULL), -LSP_E_TOO_LARGE);
	assert_int_equal(stream.size, 16);
	lsp_buffer_done(&stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_comes_out_whatever_pieces_it_arrives_in),
		cmocka_unit_test(the_decoder_stops_behind_a_frame_where_raw_bytes_begin),
		cmocka_unit_test(
			lengths_of_zero_and_above_the_limit_are_refused_with_nothing_allocated),
		cmocka_unit_test(a_promised_megabyte_costs_only_what_arrived),
		cmocka_unit_test(a_frame_of_exactly_the_limit_passes_both_ways),
		cmocka_unit_test(json_that_does_not_fit_leaves_the_buffer_as_it_was),
	};
	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
