/* The v1 half of a hybrid, as clients read it that know no padding (BEP 47). */
#include "torrent/metainfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PIECE 16384

static const struct lsp_metainfo_file files[] = {
	{.path = "a", .size = PIECE - 100},
	{.path = "b", .size = 2 * PIECE},
	{.path = "c", .size = PIECE - 100},
	{.path = "d/e", .size = PIECE - 7},
	{.path = "d/empty"},
	{.path = "d/f", .size = PIECE - 100},
	{.path = "g", .size = PIECE - 100},
};

static void no_path_of_a_hybrid_comes_twice(void **state)
{
	static const uint8_t sha1s[8 * 20];
	static const struct lsp_hash layer[2];
	struct lsp_metainfo_file with_layers[LSP_ARRAY_SIZE(files)];
	struct lsp_metainfo metainfo = {.name = "game",
		.piece_length = PIECE,
		.files = with_layers,
		.file_count = LSP_ARRAY_SIZE(files),
		.sha1s = sha1s,
		.sha1_count = 7};
	struct lsp_buffer buffer = {0};
	memcpy(with_layers, files, sizeof files);
	with_layers[1].layer = layer;
	assert_int_equal(lsp_metainfo_write(&metainfo, &buffer, NULL), 0);
	/* The first of a length is called as BEP 47 recommends. */
	static const char *const padding[] = {"d4:attr1:p6:lengthi100e4:pathl4:.pad3:100ee",
		"d4:attr1:p6:lengthi100e4:pathl4:.pad5:100.2ee",
		"d4:attr1:p6:lengthi7e4:pathl4:.pad1:7ee",
		"d4:attr1:p6:lengthi100e4:pathl4:.pad5:100.5ee"};
	const uint8_t *at = buffer.data;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(padding); i++) {
		const uint8_t *found = memmem(at, buffer.size - (size_t)(at - buffer.data),
			padding[i], strlen(padding[i]));
		assert_non_null(found);
		at = found + strlen(padding[i]);
	}
	/* None after the last file. */
	assert_null(memmem(at, buffer.size - (size_t)(at - buffer.data), ".pad", 4));
	lsp_buffer_done(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(no_path_of_a_hybrid_comes_twice)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
