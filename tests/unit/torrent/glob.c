#include "torrent/glob.h"

#include "../task/fixture.h"

#include <time.h>

static void patterns_name_what_a_person_means(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool matches;
	} cases[] = {
		{"*.txt", "readme.txt", true},
		{"*.txt", "docs/deep/README.TXT", true},
		{"*.txt", "readme.txt.bak", false},
		{"maps", "base/maps/e1m1.bsp", true},
		{"maps/", "maps/e1m1.bsp", true},
		{"base/maps", "base/maps/e1m1.bsp", true},
		{"base/maps", "other/base/maps/e1m1.bsp", false},
		{"base/*.pak", "base/pak0.pak", true},
		{"base/*.pak", "base/deep/pak0.pak", false},
		{"base/**/*.pak", "base/deep/er/pak0.pak", true},
		{"base/**/*.pak", "base/pak0.pak", true},
		{"**/*.pak", "pak0.pak", true},
		{"pak[0-3].pak", "pak2.pak", true},
		{"pak[!0-3].pak", "pak2.pak", false},
		{"pak?.pak", "pak\xc3\xa4.pak", true},
		{"pak?.pak", "pak22.pak", false},
		{"?", "/", false},
		{"[]]", "]", true},
		{"*", "a/b", true},
		{"/readme", "readme", true},
		{"/readme", "docs/readme", false},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++)
		if (lsp_glob_matches(cases[i].pattern, cases[i].path) != cases[i].matches)
			fail_msg("%s on %s", cases[i].pattern, cases[i].path);
}

static void what_is_no_pattern_is_refused(void **state)
{
	char pattern[LSP_GLOB_MAX + 2];
	memset(pattern, 'a', sizeof pattern);
	pattern[LSP_GLOB_MAX + 1] = '\0';
	assert_code(lsp_glob_check(pattern, ERR), LSP_E_INVALID);
	assert_code(lsp_glob_check("", ERR), LSP_E_INVALID);
	assert_code(lsp_glob_check("a[bc", ERR), LSP_E_INVALID);
	assert_false(lsp_glob_matches("a[bc", "ab"));
	pattern[LSP_GLOB_MAX] = '\0';
	assert_ok(lsp_glob_check(pattern, ERR));
}

static void no_pattern_is_slow(void **state)
{
	char pattern[LSP_GLOB_MAX + 1] = "", path[LSP_GLOB_PATH_MAX + 1];
	for (unsigned i = 0; i + 2 < LSP_GLOB_MAX; i += 2)
		memcpy(pattern + i, "*a", 3);
	memset(path, 'a', sizeof path - 1);
	path[sizeof path - 2] = 'b';
	path[sizeof path - 1] = '\0';
	assert_false(lsp_glob_matches(pattern, path)); /* and it ends */
}

/* Nanoseconds of the processor that a path of full length takes with a pattern of so many bytes. */
static uint64_t cost(const char *part, size_t size)
{
	char pattern[LSP_GLOB_MAX + 1], path[LSP_GLOB_PATH_MAX + 1];
	uint64_t least = UINT64_MAX;
	for (size_t i = 0; i < size; i++)
		pattern[i] = part[i % strlen(part)];
	pattern[size] = '\0';
	memset(path, 'a', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	for (int i = 0; i < 5; i++) {
		struct timespec before, after;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
		(void)lsp_glob_matches(pattern, path);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
		least = LSP_MIN(least, (uint64_t)((after.tv_sec - before.tv_sec) * 1000000000 +
						  after.tv_nsec - before.tv_nsec));
	}
	return least;
}

static void time_grows_with_the_pattern_and_not_with_its_square(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip();
#endif
	/* Four times as long: 4, and not 16. */
	assert_in_range(cost("**/", 252) / cost("**/", 63), 0, 9);
	assert_in_range(cost("**", 252) / cost("**", 63), 0, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_name_what_a_person_means),
		cmocka_unit_test(what_is_no_pattern_is_refused),
		cmocka_unit_test(no_pattern_is_slow),
		cmocka_unit_test(time_grows_with_the_pattern_and_not_with_its_square),
	};
	return cmocka_run_group_tests_name("torrent glob", tests, NULL, NULL);
}
