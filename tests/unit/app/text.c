/* What people see: progress lines, times, tables, escaped names. */
#include "base/cleanup.h"
#include "cli.h"
#include "progress.h"
#include "suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_line(json_t *progress, int columns, const char *expected)
{
	char line[CLI_PROGRESS_MAX];
	assert_string_equal(cli_progress_line("quake", progress, columns, line), expected);
	json_decref(progress);
}

static json_t *progress(json_int_t done, json_int_t total)
{
	return json_pack("{s:I, s:I}", "done", done, "total", total);
}

static void a_line_shows_what_is_known(void **state)
{
	json_t *all = progress(1200000000, 2400000000);
	json_object_update_new(
		all, json_pack("{s:i, s:i, s:i}", "rate", 110000000, "eta_s", 11, "sources", 3));
	expect_line(all, 100,
		"quake  [###############---------------]   50 %  1.2 GB of 2.4 GB  110.0 MB/s  "
		"0:11 left  from 3");
	json_t *preparing = progress(25000, 50000);
	json_object_set_new(preparing, "phase", json_string("preparing"));
	expect_line(preparing, 60, "quake   50 %  checking what is here, 25.0 kB of 50.0 kB");
	expect_line(progress(0, 50000), 20, "quake    0 %");
	expect_line(progress(0, 0), 100, "quake  working ...");
	expect_line(
		json_pack("{s:s, s:i}", "phase", "hashing", "total", 0), 100, "quake  hashing ...");
}

static void a_narrow_terminal_cuts_no_figure_in_two(void **state)
{
	static const struct {
		int columns;
		const char *line;
	} cases[] = {
		{60, "quake   50 %  1.2 GB of 2.4 GB  110.0 MB/s  0:11 left"},
		{45, "quake   50 %  1.2 GB of 2.4 GB  110.0 MB/s"},
		{42, "quake   50 %  1.2 GB of 2.4 GB"},
		{30, "quake   50 %"},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		json_t *all = progress(1200000000, 2400000000);
		json_object_update_new(all,
			json_pack("{s:i, s:i, s:i}", "rate", 110000000, "eta_s", 11, "sources", 3));
		expect_line(all, cases[i].columns, cases[i].line);
	}
}

static void json_on_a_terminal_is_ascii(void **state)
{
	json_t *name = json_string("\xc2\x9b[31m\xe2\x80\xae");
	for (int terminal = 0; terminal < 2; terminal++) {
		_cleanup_free_ char *text = NULL;
		size_t size;
		struct cli cli = {.out = open_memstream(&text, &size), .terminal = terminal};
		cli_print_json(&cli, name);
		fclose(cli.out);
		assert_string_equal(text,
			terminal ? "\"\\u009B[31m\\u202E\"\n" : "\"\xc2\x9b[31m\xe2\x80\xae\"\n");
	}
	json_decref(name);
}

static void a_narrow_terminal_loses_the_bar_first(void **state)
{
	char line[CLI_PROGRESS_MAX];
	for (int columns = 1; columns < 200; columns++) {
		json_t *document = progress(5, 10);
		cli_progress_line("quake", document, columns, line);
		assert_true(strlen(line) < (size_t)columns);
		json_decref(document);
	}
}

static void nonsense_from_the_peer_stays_within_bounds(void **state)
{
	char line[CLI_PROGRESS_MAX], title[2000];
	memset(title, 'x', sizeof title - 1);
	title[sizeof title - 1] = '\0';
	json_t *document = progress(INT64_MAX, 1);
	cli_progress_line(title, document, 0, line);
	assert_true(strlen(line) < CLI_PROGRESS_MAX);
	json_decref(document);
	document = json_pack("{s:s, s:i}", "done", "much", "total", -5);
	assert_non_null(strstr(cli_progress_line("q", document, 100, line), "working"));
	json_decref(document);
}

static void times_are_short(void **state)
{
	char text[32];
	assert_string_equal(cli_progress_time(0, text), "0:00");
	assert_string_equal(cli_progress_time(67, text), "1:07");
	assert_string_equal(cli_progress_time(3 * 3600 + 62, text), "3:01:02");
}

static void a_table_aligns_and_cannot_be_drawn_on(void **state)
{
	char *out = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&out, &size);
	struct cli_table table;
	cli_table_init(&table, 2);
	cli_table_add(&table, (const char *[]){"ID", "TITLE"});
	cli_table_add(&table, (const char *[]){"\xe7\x8c\xab", "cat"});
	cli_table_add(&table, (const char *[]){"\033[2J", NULL});
	cli_table_add(&table, (const char *[]){"\xff", ""});
	cli_table_print(&table, file);
	cli_table_done(&table);
	fclose(file);
	assert_string_equal(out, "ID         TITLE\n"
				 "\xe7\x8c\xab         cat\n"
				 "\\u001b[2J  -\n"
				 "\\xff       -\n");
	free(out);
}

static const char *suggested(const char *word, const char *const *candidates)
{
	static struct cli_suggestion suggestion;
	cli_suggestion_init(&suggestion, word);
	for (; *candidates; candidates++)
		cli_suggestion_offer(&suggestion, *candidates);
	return suggestion.best;
}

static void what_is_near_is_suggested_and_nothing_else(void **state)
{
	static const char *const games[] = {"ut", "quake", "quake2", "openarena", "0ad", NULL};
	static const char *const cases[][2] = {{"quaek", "quake"}, {"Quake", "quake"},
		{"qake", "quake"}, {"quake22", "quake2"}, {"openarnea", "openarena"},
		{"open arenaa", "openarena"}, {"doom", ""}, {"", ""}, {"ot", "ut"}, {"x", ""},
		{"quarry", ""}, {"qqqqqq", ""}};
	char longest[500];
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++)
		assert_string_equal(suggested(cases[i][0], games), cases[i][1]);
	memset(longest, 'q', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_string_equal(suggested(longest, games), "");
	assert_string_equal(suggested("quake", (const char *const[]){longest, NULL}), "");
}

static void expect_table_with(bool terminal, int columns, const char *spare, const char *expected)
{
	static const char *const rows[][4] = {{"ID", "TITLE", "OPERATION", "SIZE"},
		{"quake", "Quake \xe7\x8c\xab of the north", "", "1.5 GB"},
		{"doom", "Doom", NULL, "2.0 GB"}};
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	struct cli cli = {.terminal = terminal, .columns = columns};
	struct cli_table table;
	cli_table_init(&table, 4);
	cli_table_fit(&table, &cli, 1, spare);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(rows); i++)
		cli_table_add(&table, rows[i]);
	cli_table_print(&table, file);
	cli_table_done(&table);
	fclose(file);
	assert_string_equal(text, expected);
	free(text);
}

static void expect_table(bool terminal, int columns, const char *expected)
{
	expect_table_with(terminal, columns, NULL, expected);
}

static void a_terminal_that_is_still_too_narrow_loses_what_can_be_spared(void **state)
{
	expect_table_with(true, 23, "31",
		"ID     TITLE     SIZE\n"
		"quake  Quake \xe2\x80\xa6   1.5 GB\n"
		"doom   Doom      2.0 GB\n");
	/* What is left has the room of what went. */
	expect_table_with(true, 22, "31",
		"ID     TITLE\n"
		"quake  Quake \xe7\x8c\xab of th\xe2\x80\xa6\n"
		"doom   Doom\n");
	expect_table_with(true, 14, "31", "ID\nquake\ndoom\n");
	expect_table_with(false, 14, "31",
		"ID     TITLE                  OPERATION  SIZE\n"
		"quake  Quake \xe7\x8c\xab of the north  -          1.5 GB\n"
		"doom   Doom                   -          2.0 GB\n");
}

static void a_narrow_terminal_loses_what_says_nothing_and_then_the_ends_of_titles(void **state)
{
	const char *whole = "ID     TITLE                  OPERATION  SIZE\n"
			    "quake  Quake \xe7\x8c\xab of the north  -          1.5 GB\n"
			    "doom   Doom                   -          2.0 GB\n";
	expect_table(true, 0, whole);
	expect_table(true, 47, whole);
	expect_table(false, 20, whole); /* a pipe has no end of the line */
	expect_table(true, 46,
		"ID     TITLE                  SIZE\n"
		"quake  Quake \xe7\x8c\xab of the north  1.5 GB\n"
		"doom   Doom                   2.0 GB\n");
	/* A wide character that would stand in the last column but one is left out whole. */
	expect_table(true, 23,
		"ID     TITLE     SIZE\n"
		"quake  Quake \xe2\x80\xa6   1.5 GB\n"
		"doom   Doom      2.0 GB\n");
	expect_table(true, 24,
		"ID     TITLE      SIZE\n"
		"quake  Quake \xe7\x8c\xab\xe2\x80\xa6  1.5 GB\n"
		"doom   Doom       2.0 GB\n");
	expect_table(true, 3,
		"ID     TITLE     SIZE\n"
		"quake  Quake \xe2\x80\xa6   1.5 GB\n"
		"doom   Doom      2.0 GB\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_shows_what_is_known),
		cmocka_unit_test(a_narrow_terminal_cuts_no_figure_in_two),
		cmocka_unit_test(json_on_a_terminal_is_ascii),
		cmocka_unit_test(a_narrow_terminal_loses_the_bar_first),
		cmocka_unit_test(nonsense_from_the_peer_stays_within_bounds),
		cmocka_unit_test(times_are_short),
		cmocka_unit_test(a_table_aligns_and_cannot_be_drawn_on),
		cmocka_unit_test(
			a_narrow_terminal_loses_what_says_nothing_and_then_the_ends_of_titles),
		cmocka_unit_test(a_terminal_that_is_still_too_narrow_loses_what_can_be_spared),
		cmocka_unit_test(what_is_near_is_suggested_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
