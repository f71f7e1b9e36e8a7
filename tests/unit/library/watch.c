#include "fixture.h"

#include "library/watch.h"

struct seen {
	unsigned count;
	uint32_t owner;
	char name[300];
};

static void note(void *argument, uint32_t owner, const char *name)
{
	struct seen *seen = argument;
	seen->count++;
	seen->owner = owner;
	snprintf(seen->name, sizeof seen->name, "%s", name);
}

static void watch_it(struct lsp_watch *watch, uint32_t owner, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(lsp_watch_folder(watch, owner, fd, &err));
}

static void a_change_comes_with_its_owner_and_name(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	_cleanup_watch_ struct lsp_watch *watch = NULL;
	assert_ok(lsp_watch_new(&watch, &err));
	put_file(shelf, "a/x", "1");
	put_file(shelf, "b/x", "1");
	watch_it(watch, 7, in_games(shelf, "a"));
	watch_it(watch, 8, in_games(shelf, "b"));
	struct seen seen = {0};
	assert_false(lsp_watch_read(watch, note, &seen));
	assert_int_equal(seen.count, 0);
	put_file(shelf, "b/new", "1");
	assert_false(lsp_watch_read(watch, note, &seen));
	assert_true(seen.count > 0);
	assert_int_equal(seen.owner, 8);
	assert_string_equal(seen.name, "new");
}

static void who_is_forgotten_has_no_events_and_no_watches(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	_cleanup_watch_ struct lsp_watch *watch = NULL;
	struct seen seen = {0};
	assert_ok(lsp_watch_new(&watch, &err));
	put_file(shelf, "a/deep/x", "1");
	put_file(shelf, "b/x", "1");
	watch_it(watch, 7, in_games(shelf, "a"));
	watch_it(watch, 7, in_games(shelf, "a/deep"));
	watch_it(watch, 8, in_games(shelf, "b"));
	put_file(shelf, "a/deep/y", "1"); /* which is in the queue already */
	lsp_watch_forget(watch, 7);
	put_file(shelf, "a/z", "1");
	assert_false(lsp_watch_read(watch, note, &seen));
	assert_int_equal(seen.count, 0);
	assert_int_equal(lsp_watch_count(watch), 1);
	watch_it(watch, 9, in_games(shelf, "a")); /* and may come again */
	put_file(shelf, "a/w", "1");
	assert_false(lsp_watch_read(watch, note, &seen));
	assert_int_equal(seen.owner, 9);
	lsp_watch_forget(watch, 0);
	seen = (struct seen){0};
	put_file(shelf, "b/y", "1");
	assert_false(lsp_watch_read(watch, note, &seen));
	assert_int_equal(seen.count, 0);
	assert_int_equal(lsp_watch_count(watch), 0);
}

static void reading_a_file_is_no_event(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	_cleanup_watch_ struct lsp_watch *watch = NULL;
	assert_ok(lsp_watch_new(&watch, &err));
	put_file(shelf, "a/x", "1");
	watch_it(watch, 7, in_games(shelf, "a"));
	_cleanup_buffer_ struct lsp_buffer content = {0};
	assert_ok(lsp_fs_read_file(in_games(shelf, "a/x"), 10, &content, &err));
	struct seen seen = {0};
	lsp_watch_read(watch, note, &seen);
	assert_int_equal(seen.count, 0);
}

static void a_folder_watched_again_goes_over_to_the_new_owner(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	_cleanup_watch_ struct lsp_watch *watch = NULL;
	assert_ok(lsp_watch_new(&watch, &err));
	char path[40];
	for (int i = 0; i < 600; i++) {
		snprintf(path, sizeof path, "g%d/x", i);
		put_file(shelf, path, "1");
		snprintf(path, sizeof path, "g%d", i);
		watch_it(watch, 10 + (uint32_t)i % 3, in_games(shelf, path));
	}
	assert_int_equal(lsp_watch_count(watch), 600);
	watch_it(watch, 77, in_games(shelf, "g5"));
	assert_int_equal(lsp_watch_count(watch), 600);
	struct seen seen = {0};
	put_file(shelf, "g5/new", "1");
	lsp_watch_read(watch, note, &seen);
	assert_int_equal(seen.owner, 77);
	put_file(shelf, "g599/new", "1");
	lsp_watch_read(watch, note, &seen);
	assert_int_equal(seen.owner, 12);
}

static void a_folder_that_is_gone_is_dropped(void **state)
{
	struct shelf *shelf = shelf_begin(state);
	_cleanup_watch_ struct lsp_watch *watch = NULL;
	assert_ok(lsp_watch_new(&watch, &err));
	assert_int_equal(mkdir(in_games(shelf, "a"), 0755), 0);
	watch_it(watch, 7, in_games(shelf, "a"));
	assert_int_equal(rmdir(in_games(shelf, "a")), 0);
	struct seen seen = {0};
	lsp_watch_read(watch, note, &seen);
	assert_true(seen.count > 0);
	assert_int_equal(lsp_watch_count(watch), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_change_comes_with_its_owner_and_name),
		FIXTURE_TEST(who_is_forgotten_has_no_events_and_no_watches),
		FIXTURE_TEST(reading_a_file_is_no_event),
		FIXTURE_TEST(a_folder_watched_again_goes_over_to_the_new_owner),
		FIXTURE_TEST(a_folder_that_is_gone_is_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
