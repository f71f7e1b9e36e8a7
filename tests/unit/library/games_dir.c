#include "fixture.h"

#include "library/games_dir.h"

static int check(struct fixture *fixture, const char *path, struct lsp_games_dir_check *result,
	struct lsp_error *err)
{
	return lsp_games_dir_check(path, in_folder(fixture, "state"), result, err);
}

static void a_folder_that_is_there_or_can_be_made_will_do(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(mkdir(in_folder(fixture, "state"), 0700), 0);
	assert_int_equal(mkdir(in_folder(fixture, "games"), 0700), 0);
	struct lsp_games_dir_check result = {0};
	assert_ok(check(fixture, in_folder(fixture, "games//"), &result, &err));
	assert_true(result.exists && result.free > 0);
	assert_string_equal(result.path, in_folder(fixture, "games"));
	lsp_games_dir_check_done(&result);
	assert_ok(check(fixture, in_folder(fixture, "new/and/deep"), &result, &err));
	assert_false(result.exists);
	assert_int_equal(access(in_folder(fixture, "new"), F_OK), -1);
	lsp_games_dir_check_done(&result);
}

static void what_cannot_be_a_games_folder_is_refused_with_the_reason(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(mkdir(in_folder(fixture, "state"), 0700), 0);
	put_text(fixture, "file", "x");
	assert_int_equal(symlink(in_folder(fixture, "state"), in_folder(fixture, "link")), 0);
	struct lsp_games_dir_check result = {0};
	assert_fails(check(fixture, "/", &result, &err), LSP_E_INVALID, "\"/\"");
	assert_fails(check(fixture, "relative", &result, &err), LSP_E_INVALID, "absolute");
	assert_fails(check(fixture, "", &result, &err), LSP_E_INVALID, "absolute");
	assert_fails(check(fixture, in_folder(fixture, "state"), &result, &err), LSP_E_INVALID,
		"state folder");
	assert_fails(check(fixture, in_folder(fixture, "state/games"), &result, &err),
		LSP_E_INVALID, "state folder");
	assert_fails(check(fixture, in_folder(fixture, "link/games"), &result, &err), LSP_E_INVALID,
		"state folder");
	assert_fails(check(fixture, fixture->folder, &result, &err), LSP_E_INVALID, "state folder");
	assert_true(check(fixture, in_folder(fixture, "file"), &result, NULL) < 0);
	assert_true(check(fixture, in_folder(fixture, "file/below"), &result, NULL) < 0);
	char longest[5000];
	memset(longest, 'x', sizeof longest);
	longest[0] = '/';
	longest[sizeof longest - 1] = '\0';
	assert_true(check(fixture, longest, &result, NULL) < 0);
}

static void a_folder_without_write_permission_is_refused(void **state)
{
	struct fixture *fixture = *state;
	if (geteuid() == 0)
		skip(); /* root may write everywhere */
	assert_int_equal(mkdir(in_folder(fixture, "state"), 0700), 0);
	assert_int_equal(mkdir(in_folder(fixture, "games"), 0500), 0);
	struct lsp_games_dir_check result = {0};
	assert_fails(check(fixture, in_folder(fixture, "games"), &result, &err), LSP_E_DENIED,
		"writing");
}

static void the_home_folder_is_expanded(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(mkdir(in_folder(fixture, "state"), 0700), 0);
	const char *home = getenv("HOME");
	char *old = home ? strdup(home) : NULL;
	setenv("HOME", fixture->folder, 1);
	struct lsp_games_dir_check result = {0};
	assert_ok(check(fixture, "~/Games/lanspread", &result, &err));
	assert_string_equal(result.path, in_folder(fixture, "Games/lanspread"));
	lsp_games_dir_check_done(&result);
	if (old)
		setenv("HOME", old, 1);
	free(old);
}

static void it_is_made_locked_and_keeps_its_id(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_games_dir *dir = NULL, *second = NULL;
	assert_ok(lsp_games_dir_open(in_folder(fixture, "a/games"), "kitchen", NULL, &dir, &err));
	char id[LSP_FOLDER_ID_SIZE];
	strcpy(id, dir->place.id);
	assert_int_equal(strlen(id), 32);
	assert_fails(
		lsp_games_dir_open(in_folder(fixture, "a/games"), "attic", NULL, &second, &err),
		LSP_E_BUSY, "(kitchen)");
	lsp_games_dir_close(dir);
	/* Mounted elsewhere it is the same. */
	assert_int_equal(rename(in_folder(fixture, "a"), in_folder(fixture, "b")), 0);
	assert_ok(lsp_games_dir_open(in_folder(fixture, "b/games"), "attic", NULL, &dir, &err));
	assert_string_equal(dir->place.id, id);
	lsp_games_dir_close(dir);
}

static void a_damaged_id_is_replaced_and_said(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_games_dir *dir = NULL;
	assert_ok(lsp_games_dir_open(in_folder(fixture, "games"), "x", NULL, &dir, &err));
	lsp_games_dir_close(dir);
	put_text(fixture, "games/.lanspread/id", "not an id at all, but as long as one is, surely");
	assert_ok(lsp_games_dir_open(in_folder(fixture, "games"), "x", NULL, &dir, &err));
	assert_int_equal(strlen(dir->place.id), 32);
	assert_non_null(strstr(fixture->warning, "damaged"));
	lsp_games_dir_close(dir);
}

/* So that what is too long to be one is none, too. */
static void a_damaged_id_may_be_of_any_length(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_games_dir *dir = NULL;
	char text[200];
	memset(text, 'a', sizeof text);
	assert_ok(lsp_games_dir_open(in_folder(fixture, "games"), "x", NULL, &dir, &err));
	lsp_games_dir_close(dir);
	put_bytes(fixture, "games/.lanspread/id", text, sizeof text);
	assert_ok(lsp_games_dir_open(in_folder(fixture, "games"), "x", NULL, &dir, &err));
	assert_non_null(strstr(fixture->warning, "damaged"));
	lsp_games_dir_close(dir);
}

struct unreadable {
	const char *path;
	int error;
};

static int refuse_reading(const char *path, void *argument)
{
	const struct unreadable *unreadable = argument;
	return strcmp(path, unreadable->path) == 0 ? unreadable->error : 0;
}

static void an_id_that_cannot_be_read_is_an_error_and_stays(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_games_dir *dir = NULL;
	enum lsp_games_dir_found found;
	const char *games = in_folder(fixture, "games");
	assert_ok(lsp_games_dir_open(games, "x", NULL, &dir, &err));
	struct lsp_games_dir_place place = dir->place;
	lsp_games_dir_close(dir);
	static const int errors[] = {EIO, EACCES, EMFILE, ENOMEM};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(errors); i++) {
		struct unreadable id = {".lanspread/id", errors[i]};
		const struct lsp_fs_hooks hooks = {.before_read = refuse_reading, .argument = &id};
		struct lsp_error why = {0};
		lsp_fs_set_hooks(&hooks);
		int opened = lsp_games_dir_open(games, "x", NULL, &dir, &why);
		int found_out = lsp_games_dir_find(games, &place, &found, NULL, NULL);
		lsp_fs_set_hooks(NULL);
		assert_true(opened < 0 && found_out == opened);
		assert_int_equal(why.sys_errno, errors[i]);
		assert_non_null(strstr(why.message, games));
		assert_non_null(strstr(why.message, "make it readable"));
		assert_null(strchr(why.message, '\n'));
	}
	assert_int_equal(fixture->warnings, 0);
	assert_ok(lsp_games_dir_open(games, "x", NULL, &dir, &err));
	assert_string_equal(dir->place.id, place.id);
	lsp_games_dir_close(dir);
}

/* It may be the empty one that a mount leaves behind: nothing is made in it. */
static void a_folder_that_cannot_be_looked_into_is_not_taken_for_another(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_games_dir *dir = NULL;
	struct unreadable inside = {".", EMFILE};
	const struct lsp_fs_hooks hooks = {.before_read = refuse_reading, .argument = &inside};
	enum lsp_games_dir_found found;
	struct lsp_error why = {0};
	const char *games = in_folder(fixture, "games");
	assert_ok(lsp_games_dir_open(games, "x", NULL, &dir, &err));
	assert_int_equal(rename(games, in_folder(fixture, "away")), 0);
	assert_int_equal(mkdir(games, 0755), 0);
	lsp_fs_set_hooks(&hooks);
	int r = lsp_games_dir_find(games, &dir->place, &found, NULL, &why);
	lsp_fs_set_hooks(NULL);
	assert_int_equal(r, -LSP_E_IO);
	assert_int_equal(why.sys_errno, EMFILE);
	lsp_games_dir_close(dir);
}

static enum lsp_games_dir_found find(
	struct fixture *fixture, const char *path, const struct lsp_games_dir_place *place)
{
	enum lsp_games_dir_found found;
	assert_ok(lsp_games_dir_find(in_folder(fixture, path), place, &found, NULL, &err));
	return found;
}

static void one_that_is_known_is_known_again(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_games_dir *dir = NULL;
	struct lsp_games_dir_place place;
	enum lsp_games_dir_found found;
	assert_ok(lsp_games_dir_open(in_folder(fixture, "games"), "x", NULL, &dir, &err));
	place = dir->place;
	assert_int_equal(find(fixture, "games", &place), LSP_GAMES_DIR_SAME);
	/* By its id, wherever it is mounted, and whatever the mount is called. */
	place.device++;
	assert_int_equal(rename(in_folder(fixture, "games"), in_folder(fixture, "usb")), 0);
	assert_int_equal(find(fixture, "usb", &place), LSP_GAMES_DIR_SAME);
	place.device--;
	/* Nothing there, or what a mount leaves behind. */
	assert_fails(lsp_games_dir_find(in_folder(fixture, "games"), &place, &found, NULL, &err),
		LSP_E_NOT_FOUND, "is gone");
	assert_int_equal(mkdir(in_folder(fixture, "games"), 0755), 0);
	assert_fails(lsp_games_dir_find(in_folder(fixture, "games"), &place, &found, NULL, &err),
		LSP_E_NOT_FOUND, "is gone");
	put_text(fixture, "games/readme", "somebody else's");
	assert_int_equal(find(fixture, "games", &place), LSP_GAMES_DIR_OTHER);
	/* By being the same folder, while it has no id; with another's it is another disk's. */
	assert_int_equal(
		rename(in_folder(fixture, "usb/.lanspread"), in_folder(fixture, "old")), 0);
	assert_int_equal(find(fixture, "usb", &place), LSP_GAMES_DIR_WITHOUT_ID);
	assert_int_equal(mkdir(in_folder(fixture, "usb/.lanspread"), 0755), 0);
	put_text(fixture, "usb/.lanspread/id", "broken");
	assert_int_equal(find(fixture, "usb", &place), LSP_GAMES_DIR_WITHOUT_ID);
	put_text(fixture, "usb/.lanspread/id", "0123456789abcdef0123456789abcdef\n");
	assert_int_equal(find(fixture, "usb", &place), LSP_GAMES_DIR_OTHER);
	lsp_games_dir_close(dir);
}

/* Its numbers say nothing: of two sticks that take turns they are the same. */
static void one_without_an_id_that_nobody_had_open_is_a_new_one(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_games_dir *dir = NULL;
	assert_ok(lsp_games_dir_open(in_folder(fixture, "usb"), "x", NULL, &dir, &err));
	struct lsp_games_dir_place before = dir->place;
	lsp_games_dir_close(dir);
	assert_int_equal(
		rename(in_folder(fixture, "usb/.lanspread"), in_folder(fixture, "old")), 0);
	put_text(fixture, "usb/readme", "of the other stick");
	assert_ok(lsp_games_dir_open(in_folder(fixture, "usb"), "x", &before, &dir, &err));
	assert_int_equal(dir->place.device, before.device);
	assert_int_equal(dir->place.inode, before.inode);
	assert_string_not_equal(dir->place.id, before.id);
	lsp_games_dir_close(dir);
}

static void one_whose_id_was_removed_gets_it_back_and_its_lock(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_games_dir *dir = NULL, *second = NULL;
	assert_ok(lsp_games_dir_open(in_folder(fixture, "games"), "kitchen", NULL, &dir, &err));
	char id[LSP_FOLDER_ID_SIZE];
	strcpy(id, dir->place.id);
	for (int whole = 0; whole < 2; whole++) {
		assert_int_equal(unlink(in_folder(fixture, "games/.lanspread/id")), 0);
		if (whole)
			assert_int_equal(rename(in_folder(fixture, "games/.lanspread"),
						 in_folder(fixture, "old")),
				0);
		_cleanup_close_ int fd = -1;
		assert_ok(lsp_fs_open_dir(dir->path, &fd, &err));
		assert_ok(lsp_games_dir_renew(dir, fd, "kitchen", &err));
		assert_fails(lsp_games_dir_open(
				     in_folder(fixture, "games"), "attic", NULL, &second, &err),
			LSP_E_BUSY, "(kitchen)");
	}
	lsp_games_dir_close(dir);
	assert_ok(lsp_games_dir_open(in_folder(fixture, "games"), "attic", NULL, &dir, &err));
	assert_string_equal(dir->place.id, id);
	lsp_games_dir_close(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(a_folder_that_is_there_or_can_be_made_will_do),
		FIXTURE_TEST(what_cannot_be_a_games_folder_is_refused_with_the_reason),
		FIXTURE_TEST(a_folder_without_write_permission_is_refused),
		FIXTURE_TEST(the_home_folder_is_expanded),
		FIXTURE_TEST(it_is_made_locked_and_keeps_its_id),
		FIXTURE_TEST(a_damaged_id_is_replaced_and_said),
		FIXTURE_TEST(a_damaged_id_may_be_of_any_length),
		FIXTURE_TEST(an_id_that_cannot_be_read_is_an_error_and_stays),
		FIXTURE_TEST(a_folder_that_cannot_be_looked_into_is_not_taken_for_another),
		FIXTURE_TEST(one_that_is_known_is_known_again),
		FIXTURE_TEST(one_without_an_id_that_nobody_had_open_is_a_new_one),
		FIXTURE_TEST(one_whose_id_was_removed_gets_it_back_and_its_lock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
