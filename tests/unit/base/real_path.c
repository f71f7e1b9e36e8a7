#include "base/real_path.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void expect(const char *folder, const char *given, const char *wanted)
{
	char *path = lsp_text_format("%s/%s", folder, given);
	char *real = lsp_real_path(path), *whole = lsp_text_format("%s%s", folder, wanted);
	assert_string_equal(real, whole);
	free(path);
	free(real);
	free(whole);
}

static void a_path_leads_where_the_disk_says(void **state)
{
	char made[] = "/tmp/lanspread-real-XXXXXX";
	assert_non_null(mkdtemp(made));
	char *folder = realpath(made, NULL), *games = lsp_text_format("%s/games", folder);
	char *link = lsp_text_format("%s/link", folder);
	assert_int_equal(mkdir(games, 0700), 0);
	assert_int_equal(symlink("games", link), 0);
	expect(folder, "games/", "/games");
	expect(folder, ".//games/./new/one", "/games/new/one");
	expect(folder, "nowhere/../games", "/games");
	expect(folder, "nowhere/deeper/../../link/new", "/games/new");
	expect(folder, "link/..", "");
	expect(folder, "games-2/..x", "/games-2/..x");
	unlink(link);
	rmdir(games);
	rmdir(folder);
	free(folder);
	free(games);
	free(link);
}

static void a_link_leads_where_nothing_is_yet(void **state)
{
	static const char *const links[][2] = {{"relative", "games/new"},
		{"twice", "relative/deep"}, {"here", "there"}, {"there", "here"},
		{"self", "./self"}};
	char made[] = "/tmp/lanspread-real-XXXXXX";
	assert_non_null(mkdtemp(made));
	char *folder = realpath(made, NULL), *target = lsp_text_format("%s/games/new", folder);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(links); i++) {
		char *link = lsp_text_format("%s/%s", folder, links[i][0]);
		assert_int_equal(symlink(links[i][1], link), 0);
		free(link);
	}
	char *absolute = lsp_text_format("%s/absolute", folder);
	assert_int_equal(symlink(target, absolute), 0);
	expect(folder, "relative", "/games/new");
	expect(folder, "absolute/one", "/games/new/one");
	expect(folder, "twice/er", "/games/new/deep/er");
	/* What turns in circles leads nowhere, and that ends. */
	expect(folder, "self/one", "/self/one");
	char *circle = lsp_text_format("%s/here/one", folder), *real = lsp_real_path(circle);
	assert_true(lsp_real_path_is_below(real, folder));
	free(circle);
	free(real);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(links); i++) {
		char *link = lsp_text_format("%s/%s", folder, links[i][0]);
		unlink(link);
		free(link);
	}
	unlink(absolute);
	rmdir(folder);
	free(absolute);
	free(target);
	free(folder);
}

static void the_root_has_nothing_above(void **state)
{
	char *real = lsp_real_path("/../..//");
	assert_string_equal(real, "");
	assert_true(lsp_real_path_is_below("/games", real));
	free(real);
}

static void what_no_system_takes_is_no_path(void **state)
{
	char *path = lsp_text_format("/%0*d", 1 << 16, 7);
	assert_null(lsp_real_path(path));
	free(path);
}

static void a_folder_beside_is_not_below(void **state)
{
	assert_true(lsp_real_path_is_below("/games", "/games"));
	assert_true(lsp_real_path_is_below("/games/quake", "/games"));
	assert_false(lsp_real_path_is_below("/games-2", "/games"));
	assert_false(lsp_real_path_is_below("/", "/games"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_leads_where_the_disk_says),
		cmocka_unit_test(a_link_leads_where_nothing_is_yet),
		cmocka_unit_test(the_root_has_nothing_above),
		cmocka_unit_test(what_no_system_takes_is_no_path),
		cmocka_unit_test(a_folder_beside_is_not_below),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
