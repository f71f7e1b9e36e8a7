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
	assert_ok(lsp_games_dir_open(in_folder(fixture, "a/games"), "kitchen", &dir, &err));
	char id[LSP_FOLDER_ID_SIZE];
	strcpy(id, dir->id);
	assert_int_equal(strlen(id), 32);
	assert_fails(lsp_games_dir_open(in_folder(fixture, "a/games"), "attic", &second, &err),
		LSP_E_BUSY, "(kitchen)");
	lsp_games_dir_close(dir);
	/* Mounted elsewhere it is the same. */
	assert_int_equal(rename(in_folder(fixture, "a"), in_folder(fixture, "b")), 0);
	assert_ok(lsp_games_dir_open(in_folder(fixture, "b/games"), "attic", &dir, &err));
	assert_string_equal(dir->id, id);
	lsp_games_dir_close(dir);
}

static void a_damaged_id_is_replaced_and_said(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_games_dir *dir = NULL;
	assert_ok(lsp_games_dir_open(in_folder(fixture, "games"), "x", &dir, &err));
	lsp_games_dir_close(dir);
	put_text(fixture, "games/.lanspread/id", "not an id at all, but as long as one is, surely");
	assert_ok(lsp_games_dir_open(in_folder(fixture, "games"), "x", &dir, &err));
	assert_int_equal(strlen(dir->id), 32);
	assert_non_null(strstr(fixture->warning, "damaged"));
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
