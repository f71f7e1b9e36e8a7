/* Damage, want and bad names: told where it is, and the rest goes on. */
#include "fixture.h"

#include <signal.h>
#include <sys/resource.h>

static void trouble_with_one_game_is_its_own(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "good");
	put_game(shelf, "fifo");
	put_game(shelf, "link");
	put_game(shelf, "version");
	put_game(shelf, "name");
	assert_int_equal(mkfifo(in_games(shelf, "fifo/pipe"), 0600), 0);
	assert_int_equal(symlink("/etc/passwd", in_games(shelf, "link/file")), 0);
	put_file(shelf, "version/version.ini", "newest");
	put_file(shelf, "name/aux.txt", "no name for Windows");
	assert_ok(shelf_open(shelf, &err));
	assert_ok(lsp_library_scan(shelf->library, NULL, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "good", LSP_LIBRARY_READY);
	static const char *const bad[][2] = {{"fifo", "pipe"}, {"link", "symbolic link"},
		{"version", "version.ini"}, {"name", "aux.txt"}};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bad); i++) {
		assert_state(shelf, bad[i][0], LSP_LIBRARY_NOT_SHARED);
		if (!strstr(see(shelf, bad[i][0])->problem, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], see(shelf, bad[i][0])->problem);
	}
	/* Put right, they are shared. */
	assert_int_equal(unlink(in_games(shelf, "fifo/pipe")), 0);
	put_file(shelf, "version/version.ini", "1.0");
	assert_int_equal(unlink(in_games(shelf, "name/aux.txt")), 0);
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "fifo", LSP_LIBRARY_READY);
	assert_state(shelf, "version", LSP_LIBRARY_READY);
	assert_state(shelf, "name", LSP_LIBRARY_READY);
	shelf_close(shelf);
}

static void an_unreadable_folder_is_reported_and_the_scan_goes_on(void **state)
{
	if (geteuid() == 0)
		skip(); /* nothing is unreadable to root */
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "good");
	put_game(shelf, "locked");
	put_game(shelf, "partly");
	assert_int_equal(chmod(in_games(shelf, "locked"), 0), 0);
	assert_int_equal(chmod(in_games(shelf, "partly/data"), 0), 0);
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "good", LSP_LIBRARY_READY);
	assert_state(shelf, "locked", LSP_LIBRARY_NOT_SHARED);
	assert_non_null(strstr(see(shelf, "locked")->problem, "Permission denied"));
	assert_state(shelf, "partly", LSP_LIBRARY_NOT_SHARED);
	assert_non_null(strstr(see(shelf, "partly")->problem, "Permission denied"));
	assert_int_equal(chmod(in_games(shelf, "locked"), 0755), 0);
	assert_int_equal(chmod(in_games(shelf, "partly/data"), 0755), 0);
	shelf_close(shelf);
}

static void a_games_folder_that_cannot_be_used_does_not_stop_the_start(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	assert_int_equal(rmdir(shelf->games), 0);
	put_text(shelf->fixture, "games", "a file where the folder should be");
	assert_ok(shelf_open(shelf, &err));
	assert_fails(lsp_library_scan(shelf->library, NULL, &err), LSP_E_IO, "games");
	assert_null(see(shelf, "quake"));
	assert_true(shelf->snapshot->problem[0] != '\0');
	/* The disk is plugged in: it is found without a restart. */
	assert_int_equal(unlink(shelf->games), 0);
	assert_int_equal(mkdir(shelf->games, 0755), 0);
	put_game(shelf, "quake");
	run_for(shelf, 20 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_string_equal(shelf->snapshot->problem, "");
	shelf_close(shelf);
}

static void a_games_folder_below_home_is_a_path_before_it_can_be_used(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	char whole[sizeof shelf->games];
	assert_int_equal(setenv("HOME", shelf->fixture->folder, 1), 0);
	assert_int_equal(rmdir(shelf->games), 0);
	put_text(shelf->fixture, "games", "a file where the folder should be");
	snprintf(whole, sizeof whole, "%s", shelf->games);
	snprintf(shelf->games, sizeof shelf->games, "~/games");
	assert_ok(shelf_open(shelf, &err));
	assert_null(see(shelf, "quake"));
	assert_true(shelf->snapshot->problem[0] != '\0');
	/* What installs and adds opens it by this name. */
	assert_string_equal(shelf->snapshot->games_dir, whole);
	shelf_close(shelf);
}

static void an_unplugged_disk_costs_no_hashes(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	struct lsp_hash content = see(shelf, "quake")->content;
	const char *away = in_folder(shelf->fixture, "away");
	assert_int_equal(rename(shelf->games, away), 0);
	assert_int_equal(mkdir(shelf->games, 0755), 0); /* the empty mount point */
	lsp_library_refresh(shelf->library, NULL, NULL, NULL);
	run_for(shelf, LSP_SECOND);
	assert_null(see(shelf, "quake"));
	assert_int_equal(rename(shelf->games, in_folder(shelf->fixture, "mount-point")), 0);
	assert_int_equal(rename(away, shelf->games), 0);
	lsp_library_refresh(shelf->library, NULL, NULL, NULL);
	lsp_library_step(shelf->library, NULL);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_true(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	shelf_close(shelf);
}

/* However often it is looked for, nothing is made in its place, and it is as it was when it is
 * back.
 */
static void a_games_folder_that_goes_away_is_missed_until_it_is_back(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	struct lsp_hash content = see(shelf, "quake")->content;
	const char *away = in_folder(shelf->fixture, "away");
	for (int mount_point = 0; mount_point < 2; mount_point++) {
		assert_int_equal(rename(shelf->games, away), 0);
		if (mount_point)
			assert_int_equal(mkdir(shelf->games, 0755), 0);
		lsp_library_refresh(shelf->library, NULL, NULL, NULL);
		run_for(shelf, 100 * LSP_SECOND);
		assert_null(see(shelf, "quake"));
		assert_non_null(strstr(shelf->snapshot->problem, "is gone"));
		assert_non_null(strstr(shelf->snapshot->problem, "games-dir"));
		/* What is in its place is as it was: nothing, or an empty folder. */
		assert_int_equal(rmdir(shelf->games), mount_point ? 0 : -1);
		assert_int_equal(rename(away, shelf->games), 0);
		run_for(shelf, 20 * LSP_SECOND);
		assert_state(shelf, "quake", LSP_LIBRARY_READY);
		assert_string_equal(shelf->snapshot->problem, "");
		assert_true(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	}
	shelf_close(shelf);
}

/* Whoever empties the folder has not lost it. */
static void a_games_folder_that_was_emptied_is_still_there(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_int_equal(rename(in_games(shelf, "quake"), in_folder(shelf->fixture, "quake")), 0);
	assert_int_equal(
		rename(in_games(shelf, ".lanspread"), in_folder(shelf->fixture, "old")), 0);
	lsp_library_refresh(shelf->library, NULL, NULL, NULL);
	run_for(shelf, 20 * LSP_SECOND);
	assert_null(see(shelf, "quake"));
	assert_string_equal(shelf->snapshot->problem, "");
	put_game(shelf, "doom");
	run_for(shelf, 20 * LSP_SECOND);
	assert_state(shelf, "doom", LSP_LIBRARY_READY);
	shelf_close(shelf);
}

/* Somebody has cleaned up: nothing is hashed anew, and the folder is what it was. */
static void a_games_folder_without_its_id_gets_it_back(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	struct lsp_games_dir_place before = shelf->snapshot->place;
	assert_int_equal(
		rename(in_games(shelf, ".lanspread"), in_folder(shelf->fixture, "old")), 0);
	lsp_library_refresh(shelf->library, NULL, NULL, NULL);
	lsp_library_step(shelf->library, NULL);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_string_equal(shelf->snapshot->problem, "");
	shelf_close(shelf);
	assert_ok(shelf_open(shelf, &err));
	lsp_library_step(shelf->library, NULL);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_string_equal(shelf->snapshot->place.id, before.id);
	shelf_close(shelf);
}

static int refuse_private(const struct lsp_fs_event *event, void *argument)
{
	const char *path = event->target ? event->target : event->path;
	return path && strncmp(path, ".lanspread", 10) == 0 ? ENOSPC : 0;
}

/* Its games stay, and when there is room again it is what it was. */
static void a_games_folder_that_cannot_get_its_id_back_now_gets_it_later(void **state)
{
	static const struct lsp_fs_hooks full = {.before = refuse_private};
	struct shelf *shelf = shelf_begin(state);
	struct lsp_games_dir *second = NULL;
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	struct lsp_games_dir_place before = shelf->snapshot->place;
	assert_int_equal(
		rename(in_games(shelf, ".lanspread"), in_folder(shelf->fixture, "old")), 0);
	lsp_fs_set_hooks(&full);
	lsp_library_refresh(shelf->library, NULL, NULL, NULL);
	for (int i = 0; i < 10; i++) {
		run_for(shelf, 10 * LSP_SECOND);
		assert_state(shelf, "quake", LSP_LIBRARY_READY);
		assert_non_null(strstr(shelf->snapshot->problem, "cannot write to the games"));
		assert_non_null(strstr(shelf->snapshot->problem, "No space left"));
	}
	put_game(shelf, "doom"); /* which is seen all the same */
	run_for(shelf, 10 * LSP_SECOND);
	assert_state(shelf, "doom", LSP_LIBRARY_READY);
	assert_int_equal(shelf->fixture->warnings, 1);
	lsp_fs_set_hooks(NULL);
	run_for(shelf, 10 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_string_equal(shelf->snapshot->problem, "");
	assert_string_equal(shelf->snapshot->place.id, before.id);
	assert_fails(lsp_games_dir_open(shelf->games, "attic", NULL, &second, &err), LSP_E_BUSY,
		"(test)");
	shelf_close(shelf);
}

/* Also where what is shown of it is not to the letter what is logged. */
static void trouble_that_lasts_is_logged_once(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	const char *away = in_folder(shelf->fixture, "away");
	snprintf(shelf->games, sizeof shelf->games, "%s/a\tname", shelf->fixture->folder);
	assert_int_equal(mkdir(shelf->games, 0755), 0);
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_int_equal(rename(shelf->games, away), 0);
	lsp_library_refresh(shelf->library, NULL, NULL, NULL);
	run_for(shelf, 100 * LSP_SECOND);
	assert_null(see(shelf, "quake"));
	assert_non_null(strstr(shelf->snapshot->problem, "is gone"));
	assert_int_equal(shelf->fixture->warnings, 1);
	shelf_close(shelf);
}

static void a_damaged_index_is_rebuilt_by_hashing(void **state)
{
	static const struct {
		off_t length;
		const char *bytes;
	} damage[] = {
		{0, NULL}, {5000, NULL}, {0, "garbage in place of the database, long enough"}};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(damage); i++) {
		struct shelf *shelf = shelf_begin(state);
		put_game(shelf, "quake");
		assert_ok(shelf_open(shelf, &err));
		run_for(shelf, 5 * LSP_SECOND);
		struct lsp_hash content = see(shelf, "quake")->content;
		shelf_close(shelf);
		if (damage[i].bytes)
			put_text(shelf->fixture, "library.db", damage[i].bytes);
		else
			assert_int_equal(
				truncate(in_folder(shelf->fixture, "library.db"), damage[i].length),
				0);
		assert_ok(shelf_open(shelf, &err));
		assert_non_null(strstr(shelf->fixture->warning, "built anew"));
		run_for(shelf, 5 * LSP_SECOND);
		assert_state(shelf, "quake", LSP_LIBRARY_READY);
		assert_true(lsp_hash_equal(&see(shelf, "quake")->content, &content));
		shelf_close(shelf);
	}
}

static void want_of_descriptors_passes(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	put_game(shelf, "doom");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	struct rlimit old;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	int lowest = dup(0);
	close(lowest);
	struct rlimit none = {(rlim_t)lowest, old.rlim_max};
	put_game(shelf, "hexen");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	lsp_library_refresh(shelf->library, NULL, NULL, NULL);
	lsp_library_refresh(shelf->library, "quake", NULL, NULL);
	run_for(shelf, 5 * LSP_SECOND);
	const struct lsp_library_game *quake = see(shelf, "quake");
	bool kept = quake && quake->state == LSP_LIBRARY_READY;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(kept); /* what was known stands meanwhile */
	run_for(shelf, 20 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_state(shelf, "hexen", LSP_LIBRARY_READY);
	assert_string_equal(shelf->snapshot->problem, "");
	shelf_close(shelf);
}

static void want_of_descriptors_costs_a_games_folder_no_lock(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	struct lsp_games_dir *second = NULL;
	struct rlimit old;
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (int left = 0; left < 6; left++) {
		int lowest = dup(0);
		close(lowest);
		struct rlimit few = {(rlim_t)(lowest + left), old.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		lsp_library_refresh(shelf->library, NULL, NULL, NULL);
		lsp_library_step(shelf->library, NULL);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		lsp_library_refresh(shelf->library, NULL, NULL, NULL);
		lsp_library_step(shelf->library, NULL);
		assert_fails(lsp_games_dir_open(shelf->games, "attic", NULL, &second, &err),
			LSP_E_BUSY, "(test)");
		assert_state(shelf, "quake", LSP_LIBRARY_READY);
	}
	shelf_close(shelf);
}

/* Its manifest is where it was; nobody hashes anything for that. */
static void want_of_descriptors_withdraws_no_game(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	const struct lsp_manifest *manifest = NULL;
	struct rlimit old;
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	unsigned before = shelf->changes;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	int lowest = dup(0);
	close(lowest);
	struct rlimit none = {(rlim_t)lowest, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int r = lsp_library_manifest(shelf->library, "quake", &manifest, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(r < 0 && r != -LSP_E_NOT_FOUND);
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_int_equal(shelf->changes, before);
	assert_ok(lsp_library_manifest(shelf->library, "quake", &manifest, &err));
	lsp_manifest_unref(manifest);
	shelf_close(shelf);
}

static void folders_with_impossible_names_are_passed_over(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "good");
	put_game(shelf, "CON");
	put_game(shelf, "trailing.");
	put_game(shelf, "bad\xff");
	put_game(shelf, "-option");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "good", LSP_LIBRARY_READY);
	assert_int_equal(shelf->snapshot->count, 1);
	assert_true(shelf->fixture->warnings >= 4);
	shelf_close(shelf);
}

static void an_empty_game_and_an_empty_library_are_fine(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_null(see(shelf, "x"));
	assert_int_equal(shelf->snapshot->count, 0);
	assert_int_equal(mkdir(in_games(shelf, "empty"), 0755), 0);
	put_file(shelf, "only-version/version.ini", "1\n");
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "empty", LSP_LIBRARY_NOT_SHARED);
	assert_state(shelf, "only-version", LSP_LIBRARY_READY);
	shelf_close(shelf);
}

static void a_full_disk_for_the_index_does_not_keep_games_from_being_ready(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	assert_ok(lsp_library_scan(shelf->library, NULL, &err));
	/* A limit on file sizes stops SQLite's log from growing. */
	struct rlimit old, small = {0};
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_cur = 4096;
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	run_for(shelf, 5 * LSP_SECOND);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_non_null(strstr(shelf->fixture->warning, "next start"));
	shelf_close(shelf);
}

static void note_answer(void *argument, int result, const struct lsp_error *err)
{
	*(int *)argument = result;
}

static void a_games_folder_that_the_index_does_not_take_leaves_the_old_one(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	char other[120];
	snprintf(other, sizeof other, "%s/other", shelf->fixture->folder);
	int answer = 1;
	struct rlimit old, small = {0};
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_cur = 4096;
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	lsp_library_set_games_dir(shelf->library, other, note_answer, &answer);
	lsp_library_step(shelf->library, NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(answer < 0);
	run_for(shelf, 20 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_string_equal(shelf->snapshot->games_dir, shelf->games);
	assert_string_equal(shelf->snapshot->problem, "");
	put_game(shelf, "doom"); /* and what is hashed is stored as of the old one */
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "doom", LSP_LIBRARY_READY);
	shelf_close(shelf);
	assert_ok(shelf_open(shelf, &err));
	lsp_library_step(shelf->library, NULL);
	assert_state(shelf, "doom", LSP_LIBRARY_READY);
	shelf_close(shelf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(trouble_with_one_game_is_its_own),
		FIXTURE_TEST(an_unreadable_folder_is_reported_and_the_scan_goes_on),
		FIXTURE_TEST(a_games_folder_that_cannot_be_used_does_not_stop_the_start),
		FIXTURE_TEST(a_games_folder_below_home_is_a_path_before_it_can_be_used),
		FIXTURE_TEST(an_unplugged_disk_costs_no_hashes),
		FIXTURE_TEST(a_games_folder_that_goes_away_is_missed_until_it_is_back),
		FIXTURE_TEST(a_games_folder_that_was_emptied_is_still_there),
		FIXTURE_TEST(a_games_folder_without_its_id_gets_it_back),
		FIXTURE_TEST(a_games_folder_that_cannot_get_its_id_back_now_gets_it_later),
		FIXTURE_TEST(trouble_that_lasts_is_logged_once),
		FIXTURE_TEST(a_damaged_index_is_rebuilt_by_hashing),
		FIXTURE_TEST(want_of_descriptors_passes),
		FIXTURE_TEST(want_of_descriptors_costs_a_games_folder_no_lock),
		FIXTURE_TEST(want_of_descriptors_withdraws_no_game),
		FIXTURE_TEST(folders_with_impossible_names_are_passed_over),
		FIXTURE_TEST(an_empty_game_and_an_empty_library_are_fine),
		FIXTURE_TEST(a_full_disk_for_the_index_does_not_keep_games_from_being_ready),
		FIXTURE_TEST(a_games_folder_that_the_index_does_not_take_leaves_the_old_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
