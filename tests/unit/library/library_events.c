/* What the library makes of changes in folders: events of the kernel, steps of the test. */
#include "fixture.h"

static void a_folder_that_is_copied_in_is_seen_and_hashed_once(void **state)
{
	struct shelf *shelf = shelf_start(state);
	unsigned ready = 0;
	put_file(shelf, "quake/version.ini", "20240131\n");
	for (int i = 0; i < 40; i++) { /* a file each quarter of a second */
		char path[60];
		snprintf(path, sizeof path, "quake/data-%d/file", i);
		put_file(shelf, path, "some bytes");
		run_for(shelf, LSP_SECOND / 4);
		const struct lsp_library_game *game = see(shelf, "quake");
		ready += game && game->state == LSP_LIBRARY_READY;
	}
	assert_int_equal(ready, 0); /* never hashed in between */
	assert_state(shelf, "quake", LSP_LIBRARY_HASHING);
	run_for(shelf, 3 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_int_equal(see(shelf, "quake")->file_count, 41);
	shelf_close(shelf);
}

static void a_new_game_shows_within_a_second(void **state)
{
	struct shelf *shelf = shelf_start(state);
	put_game(shelf, "quake");
	run_for(shelf, LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_HASHING);
	shelf_close(shelf);
}

static void a_change_withdraws_the_content_at_once(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	struct lsp_hash content = see(shelf, "quake")->content;
	put_file(shelf, "quake/data/pak0.pak", "other");
	run_for(shelf, LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_HASHING);
	run_for(shelf, 4 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_false(lsp_hash_equal(&see(shelf, "quake")->content, &content));
	shelf_close(shelf);
}

static void a_change_in_a_folder_made_later_is_noticed(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	put_file(shelf, "quake/new/deep/file", "1");
	run_for(shelf, 5 * LSP_SECOND);
	assert_int_equal(see(shelf, "quake")->file_count, 3);
	put_file(shelf, "quake/new/deep/another", "1");
	run_for(shelf, 5 * LSP_SECOND);
	assert_int_equal(see(shelf, "quake")->file_count, 4);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	shelf_close(shelf);
}

static void installing_and_uninstalling_shows_and_hashes_nothing(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	put_file(shelf, "quake/local/start.sh", "x");
	run_for(shelf, LSP_SECOND);
	assert_int_equal(see(shelf, "quake")->availability, LSP_AVAILABILITY_INSTALLED);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	unsigned before = shelf->changes;
	put_file(shelf, "quake/local/save.dat", "the game runs and writes");
	run_for(shelf, 10 * LSP_SECOND);
	assert_int_equal(shelf->changes, before);
	shelf_close(shelf);
}

static void a_game_folder_that_vanishes_is_gone_at_once(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_int_equal(rename(in_games(shelf, "quake"), in_folder(shelf->fixture, "away")), 0);
	run_for(shelf, LSP_SECOND);
	assert_null(see(shelf, "quake"));
	shelf_close(shelf);
}

static void ignore_answer(void *argument, int result, const struct lsp_error *err)
{
}

/* Of this process, as the kernel counts them. */
static unsigned count_watches(void)
{
	unsigned count = 0;
	char path[60], text[60], line[300];
	for (int fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t size = readlink(path, text, sizeof text - 1);
		text[LSP_MAX(size, 0)] = '\0';
		if (strcmp(text, "anon_inode:inotify") != 0)
			continue;
		snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
		FILE *file = fopen(path, "re");
		while (file && fgets(line, sizeof line, file))
			count += strncmp(line, "inotify ", 8) == 0;
		if (file)
			fclose(file);
	}
	return count;
}

static void what_has_gone_is_not_watched_any_more(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	char other[120];
	snprintf(other, sizeof other, "%s/other", shelf->fixture->folder);
	put_game(shelf, "quake");
	put_game(shelf, "doom");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_int_equal(count_watches(), 5); /* of the games folder, and two of each game */
	assert_int_equal(rename(in_games(shelf, "quake"), in_folder(shelf->fixture, "away")), 0);
	run_for(shelf, LSP_SECOND);
	assert_null(see(shelf, "quake"));
	assert_int_equal(count_watches(), 3);
	lsp_library_set_games_dir(shelf->library, other, ignore_answer, NULL);
	run_for(shelf, LSP_SECOND);
	assert_int_equal(count_watches(), 1);
	shelf_close(shelf);
}

static void what_makes_a_games_folder_ours_is_back_within_a_second(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	struct lsp_games_dir *second = NULL;
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	unsigned before = shelf->changes;
	assert_int_equal(
		rename(in_games(shelf, ".lanspread"), in_folder(shelf->fixture, "old")), 0);
	run_for(shelf, LSP_SECOND);
	assert_fails(lsp_games_dir_open(shelf->games, "attic", NULL, &second, &err), LSP_E_BUSY,
		"(test)");
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_int_equal(shelf->changes, before);
	/* And it is not listed again for what it has made. */
	lsp_time next = lsp_library_step(shelf->library, NULL);
	assert_true(next - lsp_now(&shelf->clock.clock) > 200 * LSP_SECOND);
	shelf_close(shelf);
}

static void a_renamed_game_is_another_game_with_the_same_files(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_int_equal(rename(in_games(shelf, "quake"), in_games(shelf, "quake2")), 0);
	run_for(shelf, 5 * LSP_SECOND);
	assert_null(see(shelf, "quake"));
	assert_state(shelf, "quake2", LSP_LIBRARY_READY);
	shelf_close(shelf);
}

static void lost_events_are_made_up_for_by_a_look_at_everything(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	put_game(shelf, "doom");
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 5 * LSP_SECOND);
	/* More events than the queue holds, none of them read meanwhile. */
	FILE *limit_file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	unsigned limit = 0;
	assert_non_null(limit_file);
	assert_int_equal(fscanf(limit_file, "%u", &limit), 1);
	fclose(limit_file);
	if (limit > 100000) {
		shelf_close(shelf);
		skip();
	}
	char a[1100], b[1100];
	snprintf(a, sizeof a, "%s", in_games(shelf, "doom/data/pak0.pak"));
	snprintf(b, sizeof b, "%s", in_games(shelf, "doom/data/pak1.pak"));
	for (unsigned i = 0; i <= limit / 4; i++) {
		assert_int_equal(rename(a, b), 0);
		assert_int_equal(rename(b, a), 0);
	}
	put_file(shelf, "quake/data/new", "x"); /* whose event is lost */
	put_game(shelf, "hexen");
	run_for(shelf, 5 * LSP_SECOND);
	assert_int_equal(see(shelf, "quake")->file_count, 3);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	assert_state(shelf, "hexen", LSP_LIBRARY_READY);
	shelf_close(shelf);
}

static void without_events_the_periodic_look_finds_every_change(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	put_game(shelf, "quake");
	struct lsp_library_options options = {.games_dir = shelf->games,
		.state_dir = shelf->fixture->folder,
		.holder = "test",
		.clock = &shelf->clock.clock,
		.rescan_interval = 60 * LSP_SECOND,
		.no_events = true};
	assert_ok(lsp_library_new(&options, &shelf->library, &err));
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	put_file(shelf, "quake/data/new", "x");
	put_game(shelf, "doom");
	run_for(shelf, 30 * LSP_SECOND);
	assert_int_equal(see(shelf, "quake")->file_count, 2);
	run_for(shelf, 40 * LSP_SECOND);
	assert_int_equal(see(shelf, "quake")->file_count, 3);
	assert_state(shelf, "doom", LSP_LIBRARY_READY);
	lsp_library_set_rescan_interval(shelf->library, 10 * LSP_SECOND);
	run_for(shelf, 60 * LSP_SECOND); /* from the next one on */
	put_file(shelf, "quake/data/newer", "x");
	run_for(shelf, 12 * LSP_SECOND);
	assert_int_equal(see(shelf, "quake")->file_count, 4);
	shelf_close(shelf);
}

static void an_interval_that_is_set_twice_before_it_is_taken_is_taken(void **state)
{
	struct shelf *shelf = shelf_start(state);
	run_for(shelf, 5 * LSP_SECOND);
	for (int i = 0; i < 2; i++)
		lsp_library_set_rescan_interval(shelf->library, 10 * LSP_SECOND);
	lsp_time next = lsp_library_step(shelf->library, NULL);
	assert_true(next <= lsp_now(&shelf->clock.clock) + 10 * LSP_SECOND);
	shelf_close(shelf);
}

static void a_file_that_grows_without_events_is_not_hashed_half(void **state)
{
	struct shelf *shelf = shelf_start(state);
	put_file(shelf, "quake/version.ini", "1\n");
	FILE *file = fopen(in_games(shelf, "quake/big.pak"), "we"); /* open all the while */
	for (int i = 0; i < 20; i++) {
		fprintf(file, "more and more of it %d\n", i);
		fflush(file);
		run_for(shelf, LSP_SECOND);
		const struct lsp_library_game *game = see(shelf, "quake");
		assert_true(!game || game->state == LSP_LIBRARY_HASHING);
	}
	fclose(file);
	run_for(shelf, 5 * LSP_SECOND);
	assert_state(shelf, "quake", LSP_LIBRARY_READY);
	shelf_close(shelf);
}

static void an_idle_library_asks_for_nothing_but_its_rescan(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	for (int i = 0; i < 50; i++) {
		char id[20];
		snprintf(id, sizeof id, "game-%d", i);
		put_game(shelf, id);
	}
	assert_ok(shelf_open(shelf, &err));
	run_for(shelf, 10 * LSP_SECOND);
	lsp_time now = lsp_now(&shelf->clock.clock);
	lsp_time next = lsp_library_step(shelf->library, NULL);
	assert_true(next - now > 200 * LSP_SECOND);
	shelf_close(shelf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_folder_that_is_copied_in_is_seen_and_hashed_once),
		FIXTURE_TEST(a_new_game_shows_within_a_second),
		FIXTURE_TEST(a_change_withdraws_the_content_at_once),
		FIXTURE_TEST(a_change_in_a_folder_made_later_is_noticed),
		FIXTURE_TEST(installing_and_uninstalling_shows_and_hashes_nothing),
		FIXTURE_TEST(a_game_folder_that_vanishes_is_gone_at_once),
		FIXTURE_TEST(what_has_gone_is_not_watched_any_more),
		FIXTURE_TEST(what_makes_a_games_folder_ours_is_back_within_a_second),
		FIXTURE_TEST(a_renamed_game_is_another_game_with_the_same_files),
		FIXTURE_TEST(lost_events_are_made_up_for_by_a_look_at_everything),
		FIXTURE_TEST(without_events_the_periodic_look_finds_every_change),
		FIXTURE_TEST(an_interval_that_is_set_twice_before_it_is_taken_is_taken),
		FIXTURE_TEST(a_file_that_grows_without_events_is_not_hashed_half),
		FIXTURE_TEST(an_idle_library_asks_for_nothing_but_its_rescan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
