#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char last[4096];
static int lines;

static void keep(
	enum lsp_log_level level, const char *component, const char *message, void *argument)
{
	snprintf(last, sizeof last, "%s %s: %s", lsp_log_level_name(level), component, message);
	lines++;
	*(int *)argument += 1;
}

static int counted;

static int set_up(void **state)
{
	lines = counted = 0;
	last[0] = '\0';
	lsp_log_set_level(LSP_LOG_INFO);
	lsp_log_set_sink(keep, &counted);
	return 0;
}

static int tear_down(void **state)
{
	lsp_log_set_sink(NULL, NULL);
	lsp_log_set_level(LSP_LOG_INFO);
	return 0;
}

static void a_line_reaches_the_sink_with_level_and_component(void **state)
{
	lsp_log_warning("net", "peer %d is slow", 7);
	assert_string_equal(last, "warning net: peer 7 is slow");
	assert_int_equal(counted, 1);
}

static int formatted;

static const char *count_formatting(void)
{
	formatted++;
	return "x";
}

static void lines_above_the_level_are_dropped(void **state)
{
	lsp_log_debug("net", "%s", count_formatting());
	assert_int_equal(lines, 0);
	lsp_log_set_level(LSP_LOG_DEBUG);
	assert_int_equal(lsp_log_level(), LSP_LOG_DEBUG);
	lsp_log_debug("net", "%s", count_formatting());
	assert_int_equal(lines, 1);
	lsp_log_set_level(LSP_LOG_ERROR);
	lsp_log_warning("net", "x");
	assert_int_equal(lines, 1);
	lsp_log_error("net", "x");
	assert_int_equal(lines, 2);
}

static void what_would_draw_on_a_terminal_is_escaped(void **state)
{
	lsp_log_info("net", "a\nb\x1b[31mc\x7f");
	assert_string_equal(last, "info net: a\\x0ab\\x1b[31mc\\x7f");
	lsp_log_info("net", "csi \xc2\x9b here"); /* U+009B: an escape sequence's beginning */
	assert_string_equal(last, "info net: csi \\xc2\\x9b here");
	lsp_log_info("net", "exe\xe2\x80\xae"
			    "gnp"); /* U+202E turns the text around */
	assert_string_equal(last, "info net: exe\\xe2\\x80\\xaegnp");
}

static void names_in_other_scripts_stay_readable_and_bad_utf8_is_escaped(void **state)
{
	lsp_log_info("net", "Zoë 東京 🎮");
	assert_string_equal(last, "info net: Zoë 東京 🎮");
	lsp_log_info("net", "a\xff"
			    "b\x80\xc3");
	assert_string_equal(last, "info net: a\\xffb\\x80\\xc3");
	lsp_log_info("net", "\xc0\x80 \xe0\x80\xaf"); /* over-long forms */
	assert_string_equal(last, "info net: \\xc0\\x80 \\xe0\\x80\\xaf");
}

static void a_long_line_is_cut_and_never_overflows(void **state)
{
	char text[5000];
	memset(text, '\n', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	lsp_log_info("net", "%s", text);
	assert_int_equal(lines, 1);
	assert_true(strlen(last) < 2100);
}

static void the_words_for_levels_are_read_back(void **state)
{
	enum lsp_log_level level = LSP_LOG_ERROR;
	struct lsp_error err = {0};
	for (int i = LSP_LOG_ERROR; i <= LSP_LOG_DEBUG; i++) {
		const char *word = lsp_log_level_name((enum lsp_log_level)i);
		assert_int_equal(lsp_log_level_parse(word, &level, &err), 0);
		assert_int_equal(level, i);
	}
	assert_int_equal(lsp_log_level_parse("loud", &level, &err), -LSP_E_INVALID);
	assert_int_equal(level, LSP_LOG_DEBUG);
	assert_string_equal(
		err.message, "log level \"loud\" is none of error, warning, info, debug");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_line_reaches_the_sink_with_level_and_component),
		CASE(lines_above_the_level_are_dropped),
		CASE(what_would_draw_on_a_terminal_is_escaped),
		CASE(names_in_other_scripts_stay_readable_and_bad_utf8_is_escaped),
		CASE(a_long_line_is_cut_and_never_overflows),
		CASE(the_words_for_levels_are_read_back),
	};
	return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
