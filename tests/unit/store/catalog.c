#include "fixture.h"

#include "store/catalog.h"

#include <sqlite3.h>

static const char gif[] = "GIF89a-and-so-on";

/* A catalogue file made by somebody else's tools. */
static void make_file(struct fixture *fixture, const char *sql)
{
	sqlite3 *sqlite;
	assert_int_equal(sqlite3_open(in_folder(fixture, "their.db"), &sqlite), SQLITE_OK);
	char *message = NULL;
	if (sqlite3_exec(sqlite, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s", message);
	sqlite3_close(sqlite);
}

static int open_file(struct fixture *fixture, struct lsp_catalog **catalog, struct lsp_error *err)
{
	return lsp_catalog_open(fixture->folder, in_folder(fixture, "their.db"), catalog, err);
}

#define FULL_TABLE                                                                                 \
	"CREATE TABLE games (id TEXT, title TEXT, key TEXT, release TEXT, publisher TEXT, size "   \
	"INTEGER, readme_de TEXT, readme_en TEXT, readme_fr TEXT, max_players INTEGER, "           \
	"master_required INTEGER, genre TEXT, version TEXT, cover BLOB, content TEXT, extra "      \
	"TEXT);"

static void without_a_file_the_built_in_games_are_there(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_catalog_ struct lsp_catalog *catalog = NULL;
	assert_ok(lsp_catalog_open(fixture->folder, NULL, &catalog, &err));
	_cleanup_catalog_snapshot_ const struct lsp_catalog_snapshot *all =
		lsp_catalog_snapshot(catalog);
	assert_int_equal(all->count, lsp_catalog_builtin_count);
	const struct lsp_catalog_entry *entry = lsp_catalog_find(all, "freedoom");
	assert_non_null(entry);
	assert_string_equal(entry->title, "Freedoom");
	assert_null(lsp_catalog_find(all, "no-such-game"));
}

static void built_in_games_are_complete_and_in_order(void **state)
{
	assert_true(lsp_catalog_builtin_count >= 15 && lsp_catalog_builtin_count <= 25);
	for (size_t i = 0; i < lsp_catalog_builtin_count; i++) {
		const struct lsp_catalog_entry *entry = &lsp_catalog_builtin[i];
		assert_true(i == 0 || strcmp(lsp_catalog_builtin[i - 1].id, entry->id) < 0);
		assert_true(entry->title && entry->release && entry->publisher && entry->genre);
		assert_true(entry->readme_de && entry->readme_en && entry->readme_fr);
		assert_null(strchr(entry->readme_en, '\n'));
	}
}

static void a_catalogue_file_is_read_with_all_its_columns(void **state)
{
	make_file(*state, FULL_TABLE
		"INSERT INTO games VALUES ('quake', 'Quäke', 'K-1', '1996-06-22', 'id', 50000000, "
		"'d', "
		"'e', 'f', 16, 1, 'Shooter', '1.06', x'474946383961', "
		"'00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF', 'x');"
		"INSERT INTO games (id, title) VALUES ('doom', 'Doom');");
	_cleanup_catalog_ struct lsp_catalog *catalog = NULL;
	assert_ok(open_file(*state, &catalog, &err));
	_cleanup_catalog_snapshot_ const struct lsp_catalog_snapshot *all =
		lsp_catalog_snapshot(catalog);
	assert_int_equal(all->count, 2);
	assert_string_equal(all->entries[0]->id, "doom");
	const struct lsp_catalog_entry *entry = lsp_catalog_find(all, "quake");
	assert_string_equal(entry->title, "Quäke");
	assert_string_equal(entry->key, "K-1");
	assert_string_equal(entry->release, "1996-06-22");
	assert_string_equal(entry->publisher, "id");
	assert_string_equal(entry->readme_fr, "f");
	assert_string_equal(entry->version, "1.06");
	assert_int_equal(entry->size, 50000000);
	assert_int_equal(entry->max_players, 16);
	assert_true(entry->master_required && entry->has_content && entry->has_cover);
	assert_int_equal(entry->content.bytes[31], 0xff);
	_cleanup_buffer_ struct lsp_buffer cover = {0};
	assert_ok(lsp_catalog_cover(catalog, "quake", &cover, &err));
	assert_int_equal(cover.size, 6);
	assert_fails(lsp_catalog_cover(catalog, "doom", &cover, &err), LSP_E_NOT_FOUND, "no cover");
}

static void a_file_with_only_some_columns_will_do(void **state)
{
	make_file(*state, "CREATE TABLE games (title TEXT, id TEXT); INSERT INTO games VALUES "
			  "('Quake', 'quake');");
	_cleanup_catalog_ struct lsp_catalog *catalog = NULL;
	assert_ok(open_file(*state, &catalog, &err));
	_cleanup_catalog_snapshot_ const struct lsp_catalog_snapshot *all =
		lsp_catalog_snapshot(catalog);
	assert_string_equal(lsp_catalog_find(all, "quake")->title, "Quake");
}

static void a_file_that_cannot_be_read_is_a_clear_error(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_catalog *catalog = NULL;
	assert_fails(open_file(fixture, &catalog, &err), LSP_E_NOT_FOUND, "their.db");
	put_text(fixture, "their.db", "this is no database, but it is long enough to look at");
	assert_fails(open_file(fixture, &catalog, &err), LSP_E_PROTOCOL, "their.db");
	assert_int_equal(unlink(in_folder(fixture, "their.db")), 0);
	assert_int_equal(mkdir(in_folder(fixture, "their.db"), 0700), 0);
	assert_fails(open_file(fixture, &catalog, &err), LSP_E_INVALID, "no regular file");
	assert_int_equal(rmdir(in_folder(fixture, "their.db")), 0);
	assert_int_equal(mkfifo(in_folder(fixture, "their.db"), 0600), 0);
	assert_fails(open_file(fixture, &catalog, &err), LSP_E_INVALID, "no regular file");
}

static void a_file_of_another_schema_is_a_clear_error(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_catalog *catalog = NULL;
	make_file(fixture, "CREATE TABLE films (id TEXT, title TEXT);");
	assert_fails(open_file(fixture, &catalog, &err), LSP_E_PROTOCOL, "no table \"games\"");
	make_file(fixture, "CREATE TABLE games (id TEXT, name TEXT);");
	assert_fails(open_file(fixture, &catalog, &err), LSP_E_PROTOCOL, "column \"title\"");
}

static void a_cell_that_is_wrong_is_named_by_row_and_column(void **state)
{
	static const struct {
		const char *values, *says;
	} cases[] = {
		{"('a/b', 'T', NULL, NULL, NULL)", "column id"},
		{"(NULL, 'T', NULL, NULL, NULL)", "id is empty"},
		{"('a', NULL, NULL, NULL, NULL)", "title is empty"},
		{"('a', 'T', 'much', NULL, NULL)", "column size"},
		{"('a', 'T', -5, NULL, NULL)", "column size"},
		{"('a', 'T', 1.5, NULL, NULL)", "column size"},
		{"('a', 'T', NULL, 'perhaps', NULL)", "column master_required"},
		{"('a', 'T', NULL, NULL, 'abc')", "column content"},
		{"('a', CAST(x'ff41' AS TEXT), NULL, NULL, NULL)", "column title"},
	};
	struct fixture *fixture = *state;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		char sql[500];
		unlink(in_folder(fixture, "their.db"));
		snprintf(sql, sizeof sql,
			"CREATE TABLE games (id, title, size, master_required, content); INSERT "
			"INTO "
			"games VALUES %s;",
			cases[i].values);
		make_file(fixture, sql);
		struct lsp_catalog *catalog = NULL;
		struct lsp_error err = {0};
		assert_true(open_file(fixture, &catalog, &err) < 0);
		if (!strstr(err.message, cases[i].says) || !strstr(err.message, "row 1"))
			fail_msg("%s: %s", cases[i].values, err.message);
	}
}

static void a_game_that_is_there_twice_is_an_error(void **state)
{
	struct lsp_catalog *catalog = NULL;
	make_file(*state,
		"CREATE TABLE games (id, title); INSERT INTO games VALUES ('a', 'A'), ('a', "
		"'B');");
	assert_fails(open_file(*state, &catalog, &err), LSP_E_INVALID, "\"a\" is there twice");
}

static void an_entry_that_was_put_wins_over_the_one_below(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_catalog *catalog = NULL;
	assert_ok(lsp_catalog_open(fixture->folder, NULL, &catalog, &err));
	struct lsp_catalog_entry mine = {.id = "freedoom", .title = "My Freedoom", .size = 5};
	struct lsp_catalog_cover_change cover = {true, gif, sizeof gif};
	assert_ok(lsp_catalog_put(catalog, &mine, &cover, &err));
	lsp_catalog_close(catalog);
	assert_ok(lsp_catalog_open(fixture->folder, NULL, &catalog, &err));
	const struct lsp_catalog_snapshot *all = lsp_catalog_snapshot(catalog);
	assert_int_equal(all->count, lsp_catalog_builtin_count);
	assert_string_equal(lsp_catalog_find(all, "freedoom")->title, "My Freedoom");
	assert_true(lsp_catalog_find(all, "freedoom")->has_cover);
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	assert_ok(lsp_catalog_cover(catalog, "freedoom", &bytes, &err));
	assert_int_equal(bytes.size, sizeof gif);
	lsp_catalog_snapshot_unref(all);
	assert_ok(lsp_catalog_put(catalog, &mine, NULL, &err));
	assert_ok(lsp_catalog_cover(catalog, "freedoom", &bytes, &err));
	assert_ok(lsp_catalog_remove(catalog, "freedoom", &err));
	assert_ok(lsp_catalog_remove(catalog, "never-there", &err));
	all = lsp_catalog_snapshot(catalog);
	assert_string_equal(lsp_catalog_find(all, "freedoom")->title, "Freedoom");
	lsp_catalog_snapshot_unref(all);
	lsp_catalog_close(catalog);
}

static void a_snapshot_stays_as_it_was(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_catalog *catalog = NULL;
	assert_ok(lsp_catalog_open(fixture->folder, NULL, &catalog, &err));
	const struct lsp_catalog_snapshot *before = lsp_catalog_snapshot(catalog);
	struct lsp_catalog_entry mine = {.id = "zz", .title = "Z"};
	assert_ok(lsp_catalog_put(catalog, &mine, NULL, &err));
	assert_null(lsp_catalog_find(before, "zz"));
	const struct lsp_catalog_snapshot *after = lsp_catalog_snapshot(catalog);
	lsp_catalog_close(catalog);
	assert_string_equal(lsp_catalog_find(after, "zz")->title, "Z");
	assert_string_equal(lsp_catalog_find(before, "xonotic")->title, "Xonotic");
	lsp_catalog_snapshot_unref(before);
	lsp_catalog_snapshot_unref(after);
}

static void a_cover_that_is_no_picture_is_refused(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_catalog_ struct lsp_catalog *catalog = NULL;
	assert_ok(lsp_catalog_open(fixture->folder, NULL, &catalog, &err));
	struct lsp_catalog_entry mine = {.id = "zz", .title = "Z"};
	struct lsp_catalog_cover_change cover = {true, "<svg>", 5};
	assert_fails(lsp_catalog_put(catalog, &mine, &cover, &err), LSP_E_INVALID, "PNG");
	assert_fails(lsp_catalog_cover(catalog, "zz", &(struct lsp_buffer){0}, &err),
		LSP_E_NOT_FOUND, "zz");
}

static void a_damaged_catalogue_of_ours_is_set_aside_and_the_start_goes_on(void **state)
{
	struct fixture *fixture = *state;
	put_text(fixture, "catalog.db", "somebody wrote over it, with this long sentence here");
	_cleanup_catalog_ struct lsp_catalog *catalog = NULL;
	assert_ok(lsp_catalog_open(fixture->folder, NULL, &catalog, &err));
	_cleanup_catalog_snapshot_ const struct lsp_catalog_snapshot *all =
		lsp_catalog_snapshot(catalog);
	assert_int_equal(all->count, lsp_catalog_builtin_count);
	assert_int_equal(access(in_folder(fixture, "catalog.db.damaged"), F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(without_a_file_the_built_in_games_are_there),
		FIXTURE_TEST(built_in_games_are_complete_and_in_order),
		FIXTURE_TEST(a_catalogue_file_is_read_with_all_its_columns),
		FIXTURE_TEST(a_file_with_only_some_columns_will_do),
		FIXTURE_TEST(a_file_that_cannot_be_read_is_a_clear_error),
		FIXTURE_TEST(a_file_of_another_schema_is_a_clear_error),
		FIXTURE_TEST(a_cell_that_is_wrong_is_named_by_row_and_column),
		FIXTURE_TEST(a_game_that_is_there_twice_is_an_error),
		FIXTURE_TEST(an_entry_that_was_put_wins_over_the_one_below),
		FIXTURE_TEST(a_snapshot_stays_as_it_was),
		FIXTURE_TEST(a_cover_that_is_no_picture_is_refused),
		FIXTURE_TEST(a_damaged_catalogue_of_ours_is_set_aside_and_the_start_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
