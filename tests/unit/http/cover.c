#include "http/cover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void pictures_are_known_by_their_first_bytes(void **state)
{
	assert_string_equal(lsp_http_picture_type("\x89PNG\r\n\x1a\n", 8), "image/png");
	assert_string_equal(lsp_http_picture_type("\xff\xd8\xff\xe0", 4), "image/jpeg");
	assert_string_equal(lsp_http_picture_type("GIF89a..", 8), "image/gif");
	assert_string_equal(lsp_http_picture_type("RIFF\0\0\0\0WEBPVP8 ", 16), "image/webp");
	assert_null(lsp_http_picture_type("<svg onload=alert(1)>", 21));
	assert_null(lsp_http_picture_type("<html>", 6));
	assert_null(lsp_http_picture_type("\x89PN", 3));
	assert_null(lsp_http_picture_type("RIFF\0\0\0\0WAVE", 12));
	assert_null(lsp_http_picture_type("", 0));
}

static void base64_decodes(const char *text, const char *data)
{
	_cleanup_buffer_ struct lsp_buffer out = {0};
	assert_int_equal(lsp_http_base64_decode(text, strlen(text), 100, &out, NULL), 0);
	assert_int_equal(out.size, strlen(data));
	if (out.size)
		assert_memory_equal(out.data, data, out.size);
}

static void base64_is_decoded(void **state)
{
	base64_decodes("", "");
	base64_decodes("Zg==", "f");
	base64_decodes("Zm8=", "fo");
	base64_decodes("Zm9v", "foo");
	base64_decodes("Zm9vYmFy", "foobar");
	base64_decodes("+/+/", "\xfb\xff\xbf");
}

static void what_is_no_base64_is_refused(void **state)
{
	static const char *const bad[] = {
		"Z", "Zg=", "Zg", "====", "Z===", "Zg==Zg==", "Zm9\n", "Zm-_"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bad); i++) {
		_cleanup_buffer_ struct lsp_buffer out = {0};
		if (lsp_http_base64_decode(bad[i], strlen(bad[i]), 100, &out, NULL) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	_cleanup_buffer_ struct lsp_buffer out = {0};
	assert_int_equal(
		lsp_http_base64_decode("Zm9vYmFyZm9v", 12, 6, &out, NULL), -LSP_E_TOO_LARGE);
}

static void poster(const char *id, const char *title, struct lsp_buffer *svg)
{
	assert_int_equal(lsp_http_poster(id, title, svg, NULL), 0);
	assert_int_equal(lsp_buffer_append(svg, "", 1, NULL), 0);
}

static void a_poster_is_the_same_everywhere_and_another_for_another_game(void **state)
{
	_cleanup_buffer_ struct lsp_buffer a = {0}, b = {0}, c = {0};
	poster("quake", "Quake", &a);
	poster("quake", "Quake", &b);
	poster("quake2", "Quake", &c);
	assert_string_equal((char *)a.data, (char *)b.data);
	assert_string_not_equal((char *)a.data, (char *)c.data);
	assert_non_null(strstr((char *)a.data, ">Quake</text>"));
}

static void markup_in_a_title_stays_text(void **state)
{
	_cleanup_buffer_ struct lsp_buffer svg = {0};
	poster("x", "<script>alert('1')</script> & \"x\"", &svg);
	const char *text = (const char *)svg.data;
	assert_null(strstr(text, "<script"));
	assert_null(strstr(text, "</script"));
	assert_non_null(strstr(text, "&lt;script&gt;"));
	assert_non_null(strstr(text, "&amp;"));
}

static void a_title_of_anything_at_all_makes_a_well_formed_poster(void **state)
{
	static const char *const titles[] = {"", " ", "\xff\xfe\x80", "\x01\x02\n\t",
		"\xe2\x80\xae"
		"gpj.exe",
		"AVeryLongWordWithoutAnySpaceThatGoesOnAndOnAndOnAndOnAndOn"
		"AndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOn",
		"a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m",
		"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x81\xae\xe3\x82\xb2\xe3\x83\xbc\xe3\x83"
		"\xa0"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(titles); i++) {
		_cleanup_buffer_ struct lsp_buffer svg = {0};
		poster("id", titles[i], &svg);
		size_t length = strlen((char *)svg.data);
		assert_int_equal(length + 1, svg.size);
		assert_string_equal((char *)svg.data + length - 6, "</svg>");
		for (size_t at = 0; at < length; at++)
			assert_true(svg.data[at] >= 0x20);
		assert_null(strstr((char *)svg.data, "\xe2\x80\xae"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pictures_are_known_by_their_first_bytes),
		cmocka_unit_test(base64_is_decoded),
		cmocka_unit_test(what_is_no_base64_is_refused),
		cmocka_unit_test(a_poster_is_the_same_everywhere_and_another_for_another_game),
		cmocka_unit_test(markup_in_a_title_stays_text),
		cmocka_unit_test(a_title_of_anything_at_all_makes_a_well_formed_poster),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
