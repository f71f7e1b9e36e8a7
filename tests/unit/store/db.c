#include "fixture.h"

#include "store/db.h"

static const char schema[] = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);";
static const char other_schema[] = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text BLOB);";

static int open_notes(struct fixture *fixture, struct lsp_db **db, struct lsp_error *err)
{
	return lsp_db_open(fixture->folder, "notes.db", schema, LSP_DB_REBUILD, db, err);
}

static int add_note(struct lsp_db *db, const char *text, struct lsp_error *err)
{
	_cleanup_statement_ sqlite3_stmt *put = NULL;
	int r = lsp_db_prepare(db, "INSERT INTO notes (text) VALUES (?1)", &put, err);
	if (r < 0)
		return r;
	sqlite3_bind_text(put, 1, text, -1, SQLITE_STATIC);
	return lsp_db_run(db, put, err);
}

static int count_notes(struct lsp_db *db, int *count, struct lsp_error *err)
{
	_cleanup_statement_ sqlite3_stmt *all = NULL;
	int r = lsp_db_prepare(db, "SELECT count(*) FROM notes", &all, err);
	if (r == 0)
		r = lsp_db_step(db, all, err);
	if (r > 0)
		*count = sqlite3_column_int(all, 0);
	return r < 0 ? r : 0;
}

static void fill(struct fixture *fixture, int notes)
{
	_cleanup_db_ struct lsp_db *db = NULL;
	assert_ok(open_notes(fixture, &db, &err));
	assert_ok(lsp_db_begin(db, &err));
	for (int i = 0; i < notes; i++)
		assert_ok(add_note(db, "some text that fills a page before long", &err));
	assert_ok(lsp_db_commit(db, &err));
}

/* As a crash leaves it: a copy of what is on disk while the database is open, log and all. */
static void crash_copy(struct fixture *fixture, const char *suffix)
{
	char from[32], to[32];
	_cleanup_buffer_ struct lsp_buffer content = {0};
	snprintf(from, sizeof from, "notes.db%s", suffix);
	snprintf(to, sizeof to, "after.db%s", suffix);
	assert_ok(lsp_fs_read_file(in_folder(fixture, from), 1 << 24, &content, &err));
	put_bytes(fixture, to, content.data, content.size);
}

static void reopen(struct fixture *fixture, const char *name, unsigned *rebuilt, int *count)
{
	_cleanup_db_ struct lsp_db *db = NULL;
	assert_ok(lsp_db_open(fixture->folder, name, schema, LSP_DB_REBUILD, &db, &err));
	assert_ok(count_notes(db, count, &err));
	*rebuilt = lsp_db_rebuilt(db);
	assert_ok(add_note(db, "it can be written again", &err));
}

static void what_was_committed_is_there_after_a_close(void **state)
{
	fill(*state, 3);
	unsigned rebuilt;
	int count;
	reopen(*state, "notes.db", &rebuilt, &count);
	assert_int_equal(count, 3);
	assert_int_equal(rebuilt, 0);
}

static void what_was_committed_is_there_after_a_crash(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_db_ struct lsp_db *db = NULL;
	assert_ok(open_notes(fixture, &db, &err));
	assert_ok(add_note(db, "one", &err));
	crash_copy(fixture, "");
	crash_copy(fixture, "-wal");
	unsigned rebuilt;
	int count;
	reopen(fixture, "after.db", &rebuilt, &count);
	assert_int_equal(count, 1);
	assert_int_equal(rebuilt, 0);
}

static void a_lost_log_is_noticed_and_the_database_built_anew(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_db_ struct lsp_db *db = NULL;
	assert_ok(open_notes(fixture, &db, &err));
	assert_ok(add_note(db, "one", &err));
	crash_copy(fixture, "");
	unsigned rebuilt;
	int count;
	reopen(fixture, "after.db", &rebuilt, &count);
	assert_int_equal(count, 0);
	assert_int_equal(rebuilt, 1);
	assert_non_null(strstr(fixture->warning, "log is lost"));
}

static void a_truncated_database_is_built_anew(void **state)
{
	struct fixture *fixture = *state;
	static const off_t lengths[] = {0, 1, 40, 100, 4096, 5000, 8192};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lengths); i++) {
		fill(fixture, 1000);
		assert_int_equal(truncate(in_folder(fixture, "notes.db"), lengths[i]), 0);
		unsigned rebuilt;
		int count;
		reopen(fixture, "notes.db", &rebuilt, &count);
		assert_int_equal(count, 0);
		assert_int_equal(rebuilt, 1);
	}
	assert_int_equal(fixture->warnings, LSP_ARRAY_SIZE(lengths));
}

static void garbage_is_built_anew(void **state)
{
	struct fixture *fixture = *state;
	char garbage[20000];
	memset(garbage, 'x', sizeof garbage);
	put_bytes(fixture, "notes.db", garbage, sizeof garbage);
	put_bytes(fixture, "notes.db-wal", garbage, 5000);
	unsigned rebuilt;
	int count;
	reopen(fixture, "notes.db", &rebuilt, &count);
	assert_int_equal(rebuilt, 1);
}

static void another_schema_is_built_anew(void **state)
{
	struct fixture *fixture = *state;
	fill(fixture, 3);
	_cleanup_db_ struct lsp_db *db = NULL;
	assert_ok(
		lsp_db_open(fixture->folder, "notes.db", other_schema, LSP_DB_REBUILD, &db, &err));
	int count;
	assert_ok(count_notes(db, &count, &err));
	assert_int_equal(count, 0);
	assert_non_null(strstr(fixture->warning, "another version"));
}

static void a_table_added_by_hand_is_another_schema(void **state)
{
	struct fixture *fixture = *state;
	fill(fixture, 3);
	sqlite3 *sqlite;
	assert_int_equal(sqlite3_open(in_folder(fixture, "notes.db"), &sqlite), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(sqlite, "CREATE TABLE more (x)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(sqlite);
	unsigned rebuilt;
	int count;
	reopen(fixture, "notes.db", &rebuilt, &count);
	assert_int_equal(rebuilt, 1);
}

/* Overwrites every page after the first three, where the rows are, behind SQLite's back. */
static void damage_pages(struct fixture *fixture)
{
	char page[4096];
	memset(page, 0x5a, sizeof page);
	int fd = open(in_folder(fixture, "notes.db"), O_RDWR | O_CLOEXEC);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size > 8 * 4096);
	for (off_t at = 3 * 4096; at < st.st_size; at += 4096)
		assert_int_equal(pwrite(fd, page, sizeof page, at), sizeof page);
	close(fd);
}

static void damage_that_shows_later_fails_calls_until_it_is_healed(void **state)
{
	struct fixture *fixture = *state;
	fill(fixture, 2000);
	damage_pages(fixture);
	_cleanup_db_ struct lsp_db *db = NULL;
	assert_ok(open_notes(fixture, &db, &err));
	int count = 0;
	assert_fails(count_notes(db, &count, &err), LSP_E_CORRUPT, "notes.db");
	assert_fails(add_note(db, "lost", &err), LSP_E_CORRUPT, "damaged");
	assert_ok(lsp_db_ready(db, &err));
	assert_int_equal(lsp_db_rebuilt(db), 1);
	assert_ok(add_note(db, "kept", &err));
	assert_ok(count_notes(db, &count, &err));
	assert_int_equal(count, 1);
}

static void damage_after_a_crash_is_found_when_it_is_opened(void **state)
{
	struct fixture *fixture = *state;
	fill(fixture, 2000);
	sqlite3 *sqlite;
	assert_int_equal(sqlite3_open(in_folder(fixture, "notes.db"), &sqlite), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(sqlite, "UPDATE lsp_state SET open = 1", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(sqlite);
	damage_pages(fixture);
	put_text(fixture, "notes.db-wal", "");
	unsigned rebuilt;
	int count;
	reopen(fixture, "notes.db", &rebuilt, &count);
	assert_int_equal(rebuilt, 1);
	assert_non_null(strstr(fixture->warning, "pages are damaged"));
}

static void what_a_person_put_in_is_set_aside_not_deleted(void **state)
{
	struct fixture *fixture = *state;
	put_text(fixture, "notes.db", "somebody's work");
	_cleanup_db_ struct lsp_db *db = NULL;
	assert_ok(lsp_db_open(fixture->folder, "notes.db", schema, LSP_DB_SET_ASIDE, &db, &err));
	_cleanup_buffer_ struct lsp_buffer content = {0};
	assert_ok(lsp_fs_read_file(in_folder(fixture, "notes.db.damaged"), 100, &content, &err));
	assert_string_equal((char *)content.data, "somebody's work");
	assert_non_null(strstr(fixture->warning, "notes.db.damaged"));
}

static void a_fifo_in_its_place_is_refused_without_waiting(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(mkfifo(in_folder(fixture, "notes.db"), 0600), 0);
	struct lsp_db *db = NULL;
	assert_fails(open_notes(fixture, &db, &err), LSP_E_DENIED, "no regular file");
}

static void a_missing_folder_is_a_clear_error(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_db *db = NULL;
	assert_fails(lsp_db_open(in_folder(fixture, "nowhere"), "notes.db", schema, LSP_DB_REBUILD,
			     &db, &err),
		LSP_E_DENIED, "nowhere/notes.db");
}

static void a_rolled_back_transaction_leaves_nothing(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_db_ struct lsp_db *db = NULL;
	assert_ok(open_notes(fixture, &db, &err));
	assert_ok(lsp_db_begin(db, &err));
	assert_ok(add_note(db, "no", &err));
	lsp_db_rollback(db);
	lsp_db_rollback(db);
	int count;
	assert_ok(count_notes(db, &count, &err));
	assert_int_equal(count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(what_was_committed_is_there_after_a_close),
		FIXTURE_TEST(what_was_committed_is_there_after_a_crash),
		FIXTURE_TEST(a_lost_log_is_noticed_and_the_database_built_anew),
		FIXTURE_TEST(a_truncated_database_is_built_anew),
		FIXTURE_TEST(garbage_is_built_anew),
		FIXTURE_TEST(another_schema_is_built_anew),
		FIXTURE_TEST(a_table_added_by_hand_is_another_schema),
		FIXTURE_TEST(damage_that_shows_later_fails_calls_until_it_is_healed),
		FIXTURE_TEST(damage_after_a_crash_is_found_when_it_is_opened),
		FIXTURE_TEST(what_a_person_put_in_is_set_aside_not_deleted),
		FIXTURE_TEST(a_fifo_in_its_place_is_refused_without_waiting),
		FIXTURE_TEST(a_missing_folder_is_a_clear_error),
		FIXTURE_TEST(a_rolled_back_transaction_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
