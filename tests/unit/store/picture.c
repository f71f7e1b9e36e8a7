#include "fixture.h"

#include "store/picture.h"

static void the_kind_is_told_by_the_first_bytes(void **state)
{
	assert_int_equal(lsp_picture_kind("\x89PNG\r\n\x1a\n", 8), LSP_PICTURE_PNG);
	assert_int_equal(lsp_picture_kind("\xff\xd8\xff\xe0", 4), LSP_PICTURE_JPEG);
	assert_int_equal(lsp_picture_kind("RIFF\0\0\0\0WEBP", 12), LSP_PICTURE_WEBP);
	assert_int_equal(lsp_picture_kind("GIF89a", 6), LSP_PICTURE_GIF);
	assert_string_equal(lsp_picture_type(LSP_PICTURE_WEBP), "image/webp");
}

static void a_page_or_a_stump_is_no_picture(void **state)
{
	assert_int_equal(lsp_picture_kind("<svg onload=x>", 14), LSP_PICTURE_NONE);
	assert_int_equal(lsp_picture_kind("\x89PNG", 4), LSP_PICTURE_NONE);
	assert_int_equal(lsp_picture_kind("RIFF\0\0\0\0WAVE", 12), LSP_PICTURE_NONE);
	assert_int_equal(lsp_picture_kind("", 0), LSP_PICTURE_NONE);
	assert_null(lsp_picture_type(LSP_PICTURE_NONE));
	assert_fails(lsp_picture_check("<html>", 6, &err), LSP_E_INVALID, "none of PNG");
}

static void a_picture_over_the_cap_is_refused(void **state)
{
	char *data = calloc(1, LSP_PICTURE_MAX + 1);
	memcpy(data, "GIF89a", 6);
	assert_ok(lsp_picture_check(data, LSP_PICTURE_MAX, &err));
	assert_fails(lsp_picture_check(data, LSP_PICTURE_MAX + 1, &err), LSP_E_TOO_LARGE, "cover");
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kind_is_told_by_the_first_bytes),
		cmocka_unit_test(a_page_or_a_stump_is_no_picture),
		cmocka_unit_test(a_picture_over_the_cap_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
