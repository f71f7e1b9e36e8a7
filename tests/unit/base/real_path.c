#include "base/real_path.h"

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
		cmocka_unit_test(the_root_has_nothing_above),
		cmocka_unit_test(what_no_system_takes_is_no_path),
		cmocka_unit_test(a_folder_beside_is_not_below),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
