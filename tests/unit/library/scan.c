#include "fixture.h"

#include "library/scan.h"

#include <sys/resource.h>

static struct lsp_scan scan(struct shelf *shelf, const char *id)
{
	struct lsp_scan result = {0};
	assert_ok(lsp_scan_game(shelf->games, id, NULL, NULL, NULL, &result, &err));
	return result;
}

static void a_game_is_summed_up(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	put_file(shelf, "quake/base.eti", "archive");
	put_file(shelf, "quake/local/save.dat", "not shared");
	put_file(shelf, "quake/.lanspread/stage/x", "not shared");
	put_file(shelf, "quake/local.kept-2026-01-01/save", "not shared");
	struct lsp_scan s = scan(shelf, "quake");
	assert_int_equal(s.file_count, 3);
	assert_int_equal(s.size, 9 + 5 + 7);
	assert_true(s.has_version && s.has_local && s.has_archive);
	assert_string_equal(s.version, "20240131");
	assert_string_equal(s.problem, "");
}

static void what_is_not_shared_does_not_change_the_fingerprint(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	struct lsp_scan before = scan(shelf, "quake");
	put_file(shelf, "quake/local/save.dat", "x");
	put_file(shelf, "quake/.lanspread/intent", "x");
	struct lsp_scan after = scan(shelf, "quake");
	assert_memory_equal(&before.fingerprint, &after.fingerprint, sizeof before.fingerprint);
}

static void every_change_of_a_file_changes_the_fingerprint(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	put_file(shelf, "quake/data/b/x", "same");
	struct lsp_scan last = scan(shelf, "quake");
	const char *pak = in_games(shelf, "quake/data/pak0.pak");
	struct timespec times[2] = {{1000000000, 1}, {1000000000, 1}};
	for (int i = 0; i < 6; i++) {
		switch (i) {
		case 0: /* size */
			put_file(shelf, "quake/data/pak0.pak", "longer than before");
			break;
		case 1: /* time alone */
			assert_int_equal(utimensat(AT_FDCWD, pak, times, 0), 0);
			break;
		case 2: /* one nanosecond */
			times[1].tv_nsec = 2;
			assert_int_equal(utimensat(AT_FDCWD, pak, times, 0), 0);
			break;
		case 3: /* the mode */
			assert_int_equal(chmod(pak, 0755), 0);
			break;
		case 4: /* the name */
			assert_int_equal(rename(pak, in_games(shelf, "quake/data/pak1.pak")), 0);
			break;
		case 5: /* the folder it is in */
			assert_int_equal(rename(in_games(shelf, "quake/data/b"),
						 in_games(shelf, "quake/data/c")),
				0);
			break;
		}
		struct lsp_scan now = scan(shelf, "quake");
		if (lsp_fingerprint_same_files(&last.fingerprint, &now.fingerprint))
			fail_msg("change %d does not show", i);
		last = now;
	}
}

static void names_that_swap_their_content_change_the_fingerprint(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_file(shelf, "a/version.ini", "1\n");
	put_file(shelf, "a/x", "1");
	put_file(shelf, "a/y", "22");
	struct lsp_scan before = scan(shelf, "a");
	assert_int_equal(rename(in_games(shelf, "a/x"), in_games(shelf, "a/z")), 0);
	assert_int_equal(rename(in_games(shelf, "a/y"), in_games(shelf, "a/x")), 0);
	assert_int_equal(rename(in_games(shelf, "a/z"), in_games(shelf, "a/y")), 0);
	struct lsp_scan after = scan(shelf, "a");
	assert_false(lsp_fingerprint_same_files(&before.fingerprint, &after.fingerprint));
}

static void restored_times_change_only_the_sum_of_changes(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	const char *pak = in_games(shelf, "quake/data/pak0.pak");
	struct stat st;
	assert_int_equal(stat(pak, &st), 0);
	struct lsp_scan before = scan(shelf, "quake");
	if (before.fingerprint.changes == 0)
		skip(); /* a filesystem without times of change */
	/* The clock that stamps files moves in steps: write until it has. */
	struct stat now;
	do {
		put_file(shelf, "quake/data/pak0.pak", "QUAKE");
		struct timespec times[2] = {st.st_atim, st.st_mtim};
		assert_int_equal(utimensat(AT_FDCWD, pak, times, 0), 0);
		assert_int_equal(stat(pak, &now), 0);
	} while (now.st_ctim.tv_nsec == st.st_ctim.tv_nsec &&
		 now.st_ctim.tv_sec == st.st_ctim.tv_sec);
	struct lsp_scan after = scan(shelf, "quake");
	assert_true(lsp_fingerprint_same_files(&before.fingerprint, &after.fingerprint));
	assert_false(lsp_fingerprint_equal(&before.fingerprint, &after.fingerprint));
}

/* What the index would know of a game after that look. */
static struct lsp_index_game know(const struct lsp_scan *s)
{
	struct lsp_index_game known = {.fingerprint = s->fingerprint,
		.structure = s->structure,
		.size = s->size,
		.file_count = s->file_count};
	strcpy(known.version, s->version);
	return known;
}

static struct lsp_scan look_quickly(struct shelf *shelf, const struct lsp_index_game *known)
{
	struct lsp_scan result = {0};
	assert_ok(lsp_scan_game(shelf->games, "quake", NULL, known, NULL, &result, &err));
	return result;
}

static void a_quick_look_assumes_the_files_of_unchanged_folders(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	put_file(shelf, "quake/local/start.sh", "x");
	put_file(shelf, "quake/base.eti", "x");
	struct lsp_scan proper = scan(shelf, "quake");
	struct lsp_index_game known = know(&proper);
	struct lsp_scan quick = look_quickly(shelf, &known);
	assert_true(quick.assumed);
	assert_false(proper.assumed);
	assert_memory_equal(&quick.fingerprint, &proper.fingerprint, sizeof quick.fingerprint);
	assert_true(quick.has_version && quick.has_local && quick.has_archive);
	assert_int_equal(quick.size, proper.size);
	assert_string_equal(quick.version, "20240131");
}

static void a_quick_look_at_folders_that_changed_becomes_a_proper_one(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	struct lsp_scan proper = scan(shelf, "quake");
	struct lsp_index_game known = know(&proper);
	put_file(shelf, "quake/data/more", "x");
	struct lsp_scan quick = look_quickly(shelf, &known);
	assert_false(quick.assumed);
	assert_int_equal(quick.file_count, 3);
	known = know(&quick);
	assert_int_equal(mkfifo(in_games(shelf, "quake/data/pipe"), 0600), 0);
	quick = look_quickly(shelf, &known);
	assert_false(quick.assumed);
	assert_non_null(strstr(quick.problem, "pipe"));
}

static void a_listing_has_the_fingerprint_of_a_scan(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "Größe");
	put_file(shelf, "Größe/a/b/c/d/e", "");
	put_file(shelf, "Größe/a.b/c", "1");
	assert_int_equal(chmod(in_games(shelf, "Größe/a.b/c"), 0755), 0);
	struct lsp_scan s = scan(shelf, "Größe");
	_cleanup_close_ int dir = -1;
	_cleanup_listing_ struct lsp_listing listing = {0};
	assert_ok(lsp_fs_open_dir(in_games(shelf, "Größe"), &dir, &err));
	assert_ok(lsp_listing_read(dir, NULL, &listing, &err));
	struct lsp_fingerprint print;
	lsp_scan_fingerprint(&listing, lsp_scan_has_changes(dir), &print);
	assert_memory_equal(&print, &s.fingerprint, sizeof print);
}

static void a_broken_version_is_a_problem_that_says_why(void **state)
{
	static const char *const texts[] = {"", "\n", "latest", "1..2", "2024-01-31", "version=\n",
		"[game]\nstart=x\n", "\xff\xfe\x00", "1.2.3.4.5.6.7.8.9", "99999999999999999999"};
	struct shelf *shelf = shelf_begin(state);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(texts); i++) {
		put_file(shelf, "quake/version.ini", texts[i]);
		struct lsp_scan s = scan(shelf, "quake");
		assert_true(s.has_version);
		assert_string_equal(s.version, "");
		if (!strstr(s.problem, "version.ini") || strlen(s.problem) < 20)
			fail_msg("\"%s\": %s", texts[i], s.problem);
	}
}

static void versions_of_both_forms_are_taken(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_file(shelf, "quake/version.ini", " 1.02.10\r\n");
	assert_string_equal(scan(shelf, "quake").version, "1.02.10");
	put_file(shelf, "quake/version.ini", "; made by hand\n[game]\nversion=20240131\n");
	assert_string_equal(scan(shelf, "quake").version, "20240131");
}

static void version_of_record(int game_fd, char ret_version[LSP_VERSION_TEXT_MAX + 1])
{
	assert_true(game_fd >= 0);
	snprintf(ret_version, LSP_VERSION_TEXT_MAX + 1, "1.2");
}

static void pass_by(void *argument, int dir_fd, const char *path)
{
	(void)argument;
	(void)dir_fd;
	(void)path;
}

static void what_is_installed_without_its_archive_has_the_version_of_its_record(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	struct lsp_scan_hooks hooks = {pass_by, NULL, version_of_record};
	struct lsp_scan s = {0};
	put_file(shelf, "quake/local/save.dat", "x");
	assert_ok(lsp_scan_game(shelf->games, "quake", &hooks, NULL, NULL, &s, &err));
	assert_true(s.has_local && !s.has_version);
	assert_string_equal(s.version, "1.2");
	put_file(shelf, "quake/version.ini", "2.0\n");
	assert_ok(lsp_scan_game(shelf->games, "quake", &hooks, NULL, NULL, &s, &err));
	assert_string_equal(s.version, "2.0");
}

static void what_cannot_be_shared_is_named(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_int_equal(mkfifo(in_games(shelf, "quake/data/pipe"), 0600), 0);
	struct lsp_scan s = scan(shelf, "quake");
	assert_non_null(strstr(s.problem, "data/pipe"));
	assert_int_equal(unlink(in_games(shelf, "quake/data/pipe")), 0);
	assert_int_equal(symlink("/etc", in_games(shelf, "quake/data/link")), 0);
	s = scan(shelf, "quake");
	assert_non_null(strstr(s.problem, "symbolic link"));
	assert_int_equal(s.file_count, 2);
}

static void a_fifo_for_version_ini_does_not_block(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_file(shelf, "quake/data", "x");
	assert_int_equal(mkfifo(in_games(shelf, "quake/version.ini"), 0600), 0);
	struct lsp_scan s = scan(shelf, "quake");
	assert_false(s.has_version);
	assert_non_null(strstr(s.problem, "version.ini"));
}

static void a_linked_game_folder_is_followed_and_a_missing_one_is_told(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_int_equal(
		rename(in_games(shelf, "quake"), in_folder(shelf->fixture, "elsewhere")), 0);
	assert_int_equal(
		symlink(in_folder(shelf->fixture, "elsewhere"), in_games(shelf, "quake")), 0);
	assert_int_equal(scan(shelf, "quake").file_count, 2);
	struct lsp_scan s;
	assert_fails(lsp_scan_game(shelf->games, "doom", NULL, NULL, NULL, &s, &err),
		LSP_E_NOT_FOUND, "doom");
	put_file(shelf, "file", "x");
	assert_fails(lsp_scan_game(shelf->games, "file", NULL, NULL, NULL, &s, &err),
		LSP_E_NOT_FOUND, "file");
}

static void a_deep_folder_needs_two_descriptors(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	char path[400] = "quake/version.ini";
	put_file(shelf, path, "1\n");
	strcpy(path, "quake");
	for (int i = 0; i < 60; i++)
		strcat(path, "/d");
	strcat(path, "/x");
	put_file(shelf, path, "x");
	struct rlimit old, tight;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	int lowest = dup(0);
	tight = (struct rlimit){(rlim_t)lowest + 2, old.rlim_max};
	close(lowest);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	struct lsp_scan s = scan(shelf, "quake");
	tight.rlim_cur--;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	struct lsp_scan starved = scan(shelf, "quake");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(s.file_count, 2);
	assert_string_equal(s.problem, "");
	assert_true(starved.try_again);
	assert_true(starved.problem[0] != '\0');
}

static void a_cancelled_scan_stops(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	struct lsp_cancel *token = NULL;
	assert_ok(lsp_cancel_new(NULL, &token, &err));
	lsp_cancel_request(token, LSP_CANCEL_USER, NULL);
	struct lsp_scan s;
	assert_int_equal(lsp_scan_game(shelf->games, "quake", NULL, NULL, token, &s, NULL),
		-LSP_E_CANCELLED);
	lsp_cancel_unref(token);
}

static void names_from_elsewhere_are_made_harmless_in_messages(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_int_equal(mkfifo(in_games(shelf, "quake/\x1b[31mred\n\xff"), 0600), 0);
	struct lsp_scan s = scan(shelf, "quake");
	assert_null(strchr(s.problem, '\x1b'));
	assert_null(strchr(s.problem, '\n'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_game_is_summed_up),
		FIXTURE_TEST(what_is_not_shared_does_not_change_the_fingerprint),
		FIXTURE_TEST(every_change_of_a_file_changes_the_fingerprint),
		FIXTURE_TEST(names_that_swap_their_content_change_the_fingerprint),
		FIXTURE_TEST(restored_times_change_only_the_sum_of_changes),
		FIXTURE_TEST(a_quick_look_assumes_the_files_of_unchanged_folders),
		FIXTURE_TEST(a_quick_look_at_folders_that_changed_becomes_a_proper_one),
		FIXTURE_TEST(a_listing_has_the_fingerprint_of_a_scan),
		FIXTURE_TEST(a_broken_version_is_a_problem_that_says_why),
		FIXTURE_TEST(versions_of_both_forms_are_taken),
		FIXTURE_TEST(what_is_installed_without_its_archive_has_the_version_of_its_record),
		FIXTURE_TEST(what_cannot_be_shared_is_named),
		FIXTURE_TEST(a_fifo_for_version_ini_does_not_block),
		FIXTURE_TEST(a_linked_game_folder_is_followed_and_a_missing_one_is_told),
		FIXTURE_TEST(a_deep_folder_needs_two_descriptors),
		FIXTURE_TEST(a_cancelled_scan_stops),
		FIXTURE_TEST(names_from_elsewhere_are_made_harmless_in_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
