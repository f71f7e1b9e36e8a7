/*
 * The mark of an orderly close is a row in a table of our own, lsp_state. It is set to "open" and
 * folded into the main file before anybody writes, so that the main file alone tells whether a log
 * must be beside it. SQLite deletes the log when the last connection closes, and only then.
 *
 * The schema is compared with what SQLite itself makes of the text in an empty database in memory:
 * a column that was added by hand shows, and a change of our text needs no version number.
 */
#include "store/db.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define STATEMENTS_MAX 48

struct kept_statement {
	const char *sql;
	sqlite3_stmt *statement;
};

struct lsp_db {
	sqlite3 *sqlite;
	char *folder;
	char *name;
	char *path;
	const char *schema;
	enum lsp_db_policy policy;
	unsigned rebuilt;
	bool damaged; /* met by a statement; made anew as soon as none is in use */
	unsigned kept_count;
	struct kept_statement kept[STATEMENTS_MAX];
};

static const char state_schema[] = "CREATE TABLE lsp_state (open INTEGER NOT NULL);";

static bool is_damage(int result)
{
	int primary = result & 0xff;
	return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_FORMAT ||
	       result == SQLITE_IOERR_SHORT_READ;
}

int lsp_db_error(sqlite3 *sqlite, int result, const char *what, struct lsp_error *err)
{
	int code = LSP_E_IO;
	switch (result & 0xff) {
	case SQLITE_NOMEM:
		return lsp_error_no_memory(err, "store");
	case SQLITE_FULL:
		code = LSP_E_NO_SPACE;
		break;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
	case SQLITE_CANTOPEN:
		code = LSP_E_DENIED;
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		code = LSP_E_BUSY;
		break;
	case SQLITE_TOOBIG:
		code = LSP_E_TOO_LARGE;
		break;
	default:
		if (is_damage(result))
			code = LSP_E_CORRUPT;
	}
	const char *text = sqlite ? sqlite3_errmsg(sqlite) : sqlite3_errstr(result);
	int r = lsp_error_set(err, "store", code, "%s: %s", what, text);
	if (err && sqlite)
		err->sys_errno = sqlite3_system_errno(sqlite);
	return r;
}

/* ---- Looking at what is there ---- */

/* One text from a query of one row; NULL when it fails or has none. The caller frees it. */
static char *query_text(sqlite3 *sqlite, const char *sql)
{
	sqlite3_stmt *statement = NULL;
	char *text = NULL;
	if (sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL) == SQLITE_OK &&
		sqlite3_step(statement) == SQLITE_ROW) {
		const char *value = (const char *)sqlite3_column_text(statement, 0);
		text = value ? strdup(value) : NULL;
	}
	sqlite3_finalize(statement);
	return text;
}

static char *describe_schema(sqlite3 *sqlite)
{
	return query_text(sqlite,
		"SELECT group_concat(type || ' ' || name || ' ' || ifnull(sql, ''), char(10)) FROM "
		"(SELECT * FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name)");
}

static int make_tables(sqlite3 *sqlite, const char *schema)
{
	int r = sqlite3_exec(sqlite, state_schema, NULL, NULL, NULL);
	if (r == SQLITE_OK)
		r = sqlite3_exec(sqlite, "INSERT INTO lsp_state VALUES (0)", NULL, NULL, NULL);
	return r == SQLITE_OK ? sqlite3_exec(sqlite, schema, NULL, NULL, NULL) : r;
}

static bool schema_matches(sqlite3 *sqlite, const char *schema)
{
	sqlite3 *model = NULL;
	bool same = false;
	if (sqlite3_open(":memory:", &model) == SQLITE_OK &&
		make_tables(model, schema) == SQLITE_OK) {
		_cleanup_free_ char *want = describe_schema(model);
		_cleanup_free_ char *have = describe_schema(sqlite);
		same = want && have && strcmp(want, have) == 0;
	}
	sqlite3_close(model);
	return same;
}

/*
 * Is it as long as the page count in its header says? (SQLite file format, 1.3.) With a log beside
 * it that proves nothing: a checkpoint that was cut off wrote page 1 first and can be finished.
 */
static bool is_whole(const char *path, bool has_log, const char **ret_reason)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	unsigned char header[32];
	struct stat st;
	if (!file || fread(header, 1, sizeof header, file) != sizeof header ||
		memcmp(header, "SQLite format 3", 16) != 0) {
		*ret_reason = "it is no SQLite database";
		return false;
	}
	uint64_t page = (uint64_t)header[16] << 8 | header[17];
	uint64_t pages =
		(uint64_t)header[28] << 24 | header[29] << 16 | header[30] << 8 | header[31];
	if (page == 1)
		page = 65536;
	if (fstat(fileno(file), &st) < 0 || (!has_log && (uint64_t)st.st_size < page * pages)) {
		*ret_reason = "it is truncated";
		return false;
	}
	return true;
}

/* NULL when the database that is open is sound, else what is wrong with it. */
static const char *find_damage(sqlite3 *sqlite, const char *schema, bool log_was_there)
{
	_cleanup_free_ char *count = query_text(sqlite, "SELECT count(*) FROM sqlite_schema");
	if (!count)
		return "it cannot be read";
	if (!schema_matches(sqlite, schema))
		return "it was made by another version";
	_cleanup_free_ char *open = query_text(sqlite, "SELECT open FROM lsp_state");
	if (!open)
		return "it cannot be read";
	if (strcmp(open, "0") == 0)
		return NULL;
	if (!log_was_there)
		return "its write-ahead log is lost";
	_cleanup_free_ char *check = query_text(sqlite, "PRAGMA quick_check(1)");
	return check && strcmp(check, "ok") == 0 ? NULL : "its pages are damaged";
}

/* ---- Opening ------------------------------------------------------------------------------- */

static int connect_file(struct lsp_db *db, struct lsp_error *err)
{
	int result = sqlite3_open_v2(db->path, &db->sqlite,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (result == SQLITE_OK) {
		sqlite3_extended_result_codes(db->sqlite, 1);
		sqlite3_busy_timeout(db->sqlite, 2000);
		result = sqlite3_exec(db->sqlite,
			"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA "
			"cache_size=-4096;"
			"PRAGMA trusted_schema=OFF; PRAGMA journal_size_limit=4194304;",
			NULL, NULL, NULL);
	}
	if (result == SQLITE_OK)
		return 0;
	int r = lsp_db_error(db->sqlite, result, db->path, err);
	sqlite3_close(db->sqlite);
	db->sqlite = NULL;
	return r;
}

static void disconnect(struct lsp_db *db)
{
	for (unsigned i = 0; i < db->kept_count; i++)
		sqlite3_finalize(db->kept[i].statement);
	db->kept_count = 0;
	sqlite3_close(db->sqlite);
	db->sqlite = NULL;
}

/* Takes the file and what SQLite keeps beside it out of the way. */
static int discard(struct lsp_db *db, struct lsp_error *err)
{
	static const char *const suffixes[] = {"-wal", "-shm", "-journal", ""};
	_cleanup_close_ int dir = -1;
	int r = lsp_fs_open_dir(db->folder, &dir, err);
	for (size_t i = 0; r == 0 && i < LSP_ARRAY_SIZE(suffixes); i++) {
		_cleanup_free_ char *from = lsp_text_format("%s%s", db->name, suffixes[i]);
		_cleanup_free_ char *to = lsp_text_format("%s.damaged%s", db->name, suffixes[i]);
		if (!from || !to)
			return lsp_error_no_memory(err, "store");
		if (!lsp_fs_exists_below(dir, from))
			continue;
		r = db->policy == LSP_DB_SET_ASIDE ? lsp_fs_rename_below(dir, from, dir, to, err)
						   : lsp_fs_unlink_below(dir, from, err);
	}
	return r;
}

/* Sets the mark "open" (or not) and brings it into the main file. */
static int mark_open(struct lsp_db *db, bool open, struct lsp_error *err)
{
	int result = sqlite3_exec(db->sqlite,
		open ? "UPDATE lsp_state SET open = 1" : "UPDATE lsp_state SET open = 0", NULL,
		NULL, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_wal_checkpoint_v2(
			db->sqlite, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return result == SQLITE_OK ? 0 : lsp_db_error(db->sqlite, result, db->path, err);
}

static int create(struct lsp_db *db, struct lsp_error *err)
{
	int r = connect_file(db, err);
	if (r < 0)
		return r;
	int result = sqlite3_exec(db->sqlite, "BEGIN", NULL, NULL, NULL);
	if (result == SQLITE_OK)
		result = make_tables(db->sqlite, db->schema);
	if (result == SQLITE_OK)
		result = sqlite3_exec(db->sqlite, "COMMIT", NULL, NULL, NULL);
	r = result == SQLITE_OK ? mark_open(db, true, err)
				: lsp_db_error(db->sqlite, result, db->path, err);
	if (r < 0)
		disconnect(db);
	return r;
}

static int make_anew(struct lsp_db *db, const char *reason, struct lsp_error *err)
{
	if (db->policy == LSP_DB_SET_ASIDE)
		lsp_log_warning("store", "%s: %s; it is kept as %s.damaged and an empty one begun",
			db->path, reason, db->name);
	else
		lsp_log_warning("store", "%s: %s; it is built anew", db->path, reason);
	int r = discard(db, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "cannot replace the damaged %s", db->path);
	db->rebuilt++;
	return create(db, err);
}

/* Opens what is there. *ret_damage: why it cannot be used; then nothing is left open. */
static int open_existing(struct lsp_db *db, const char **ret_damage, struct lsp_error *err)
{
	_cleanup_free_ char *log = lsp_text_format("%s-wal", db->path);
	if (!log)
		return lsp_error_no_memory(err, "store");
	struct stat st;
	bool log_was_there = stat(log, &st) == 0;
	*ret_damage = NULL;
	if (!is_whole(db->path, log_was_there && st.st_size > 0, ret_damage))
		return 0;
	struct lsp_error detail = {0};
	int r = connect_file(db, &detail);
	if (r == -LSP_E_CORRUPT) {
		*ret_damage = "it cannot be read";
		return 0;
	}
	if (r < 0) {
		if (err)
			*err = detail;
		return r;
	}
	*ret_damage = find_damage(db->sqlite, db->schema, log_was_there);
	if (*ret_damage)
		disconnect(db);
	return *ret_damage ? 0 : mark_open(db, true, err);
}

static int open_or_create(struct lsp_db *db, struct lsp_error *err)
{
	struct stat st;
	if (stat(db->path, &st) < 0)
		return errno == ENOENT ? create(db, err)
				       : lsp_error_errno(err, "store", errno,
						 "cannot look at \"%s\"", db->path);
	if (!S_ISREG(st.st_mode))
		return lsp_error_set(err, "store", LSP_E_DENIED,
			"\"%s\" is no regular file: move it away", db->path);
	if (access(db->path, R_OK | W_OK) < 0)
		return lsp_error_errno(err, "store", errno, "cannot open \"%s\"", db->path);
	const char *damage = NULL;
	int r = st.st_size == 0 ? 0 : open_existing(db, &damage, err);
	if (r == 0 && st.st_size == 0)
		damage = "it is empty";
	return r == 0 && damage ? make_anew(db, damage, err) : r;
}

static void free_db(struct lsp_db *db)
{
	disconnect(db);
	free(db->folder);
	free(db->name);
	free(db->path);
	free(db);
}

int lsp_db_open(const char *folder, const char *name, const char *schema, enum lsp_db_policy policy,
	struct lsp_db **ret_db, struct lsp_error *err)
{
	struct lsp_db *db = calloc(1, sizeof *db);
	if (!db)
		return lsp_error_no_memory(err, "store");
	db->schema = schema;
	db->policy = policy;
	db->folder = strdup(folder);
	db->name = strdup(name);
	db->path = lsp_text_format("%s/%s", folder, name);
	int r = db->folder && db->name && db->path ? open_or_create(db, err)
						   : lsp_error_no_memory(err, "store");
	if (r < 0) {
		free_db(db);
		return r;
	}
	*ret_db = db;
	return 0;
}

void lsp_db_close(struct lsp_db *db)
{
	if (!db)
		return;
	if (db->sqlite) {
		lsp_db_rollback(db);
		struct lsp_error err = {0};
		if (!db->damaged && mark_open(db, false, &err) < 0)
			lsp_log_warning("store", "%s", err.message);
	}
	free_db(db);
}

unsigned lsp_db_rebuilt(const struct lsp_db *db)
{
	return db->rebuilt;
}

/* ---- Statements ---------------------------------------------------------------------------- */

/* Damage that showed while in use is remembered here and healed by lsp_db_ready. */
static int fail(struct lsp_db *db, int result, struct lsp_error *err)
{
	if (is_damage(result))
		db->damaged = true;
	return lsp_db_error(db->sqlite, result, db->path, err);
}

int lsp_db_ready(struct lsp_db *db, struct lsp_error *err)
{
	if (db->sqlite && !db->damaged)
		return 0;
	disconnect(db);
	int r = make_anew(db, "damage was found while it was in use", err);
	if (r == 0)
		db->damaged = false;
	return r;
}

int lsp_db_prepare(
	struct lsp_db *db, const char *sql, sqlite3_stmt **ret_statement, struct lsp_error *err)
{
	if (!db->sqlite || db->damaged)
		return lsp_error_set(err, "store", LSP_E_CORRUPT, "%s is damaged", db->path);
	for (unsigned i = 0; i < db->kept_count; i++) {
		if (strcmp(db->kept[i].sql, sql) == 0) {
			*ret_statement = db->kept[i].statement;
			return 0;
		}
	}
	assert(db->kept_count < STATEMENTS_MAX);
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v3(
		db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
	if (result != SQLITE_OK)
		return fail(db, result, err);
	db->kept[db->kept_count++] = (struct kept_statement){sql, statement};
	*ret_statement = statement;
	return 0;
}

int lsp_db_step(struct lsp_db *db, sqlite3_stmt *statement, struct lsp_error *err)
{
	int result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		return 1;
	if (result == SQLITE_DONE)
		return 0;
	int r = fail(db, result, err);
	sqlite3_reset(statement);
	return r;
}

int lsp_db_run(struct lsp_db *db, sqlite3_stmt *statement, struct lsp_error *err)
{
	int r;
	do {
		r = lsp_db_step(db, statement, err);
	} while (r > 0);
	sqlite3_reset(statement);
	return r;
}

int lsp_db_exec(struct lsp_db *db, const char *sql, struct lsp_error *err)
{
	if (!db->sqlite || db->damaged)
		return lsp_error_set(err, "store", LSP_E_CORRUPT, "%s is damaged", db->path);
	int result = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
	return result == SQLITE_OK ? 0 : fail(db, result, err);
}

int lsp_db_begin(struct lsp_db *db, struct lsp_error *err)
{
	return lsp_db_exec(db, "BEGIN IMMEDIATE", err);
}

int lsp_db_commit(struct lsp_db *db, struct lsp_error *err)
{
	return lsp_db_exec(db, "COMMIT", err);
}

void lsp_db_rollback(struct lsp_db *db)
{
	if (db->sqlite && !sqlite3_get_autocommit(db->sqlite))
		(void)sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
}
