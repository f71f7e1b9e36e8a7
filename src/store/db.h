/*
 * An SQLite database of ours: a cache that can be rebuilt, or a file that can be set aside.
 *
 * A database lives in the state folder, in WAL mode, under a schema that its module gives as text.
 * Opening it proves that it is sound before anything relies on it:
 *
 *   - it is a regular file, no shorter than its own header says (a truncated copy);
 *   - its tables and indexes are those of the schema, to the letter: there are no migrations;
 *   - if it was not closed in order, its write-ahead log is still there (a lost one means that the
 *     last minutes may be missing or torn), and SQLite's quick_check finds nothing.
 *
 * What fails any of these is deleted and made anew with a warning (LSP_DB_REBUILD), or renamed to
 * <name>.damaged (LSP_DB_SET_ASIDE) where it held what a person had put in. Damage that shows only
 * later makes the call that met it and all that follow fail with -LSP_E_CORRUPT, until lsp_db_ready
 * has made it anew, empty; a module calls that first in each of its entry points.
 *
 * Threads: a database belongs to one thread at a time; that thread is its only writer. Every call
 * may block on the disk. Nothing here waits for another process: the folder's lock keeps others
 * out.
 *
 * A statement is named by its SQL text, compiled at first use, kept, and reset at the end of scope:
 *
 *     _cleanup_statement_ sqlite3_stmt *put = NULL;
 *     int r = lsp_db_prepare(db, "INSERT INTO seen VALUES (?1, ?2)", &put, err);
 *     ...
 *     r = lsp_db_run(db, put, err);
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lsp_db_policy { LSP_DB_REBUILD, LSP_DB_SET_ASIDE };

struct lsp_db;

/*
 * Opens or makes <folder>/<name>. schema: CREATE statements with a semicolon each; it must outlive
 * the database. -LSP_E_DENIED, -LSP_E_NO_SPACE or -LSP_E_IO when the folder cannot be written.
 */
LSP_MUST_CHECK int lsp_db_open(const char *folder, const char *name, const char *schema,
	enum lsp_db_policy policy, struct lsp_db **ret_db, struct lsp_error *err);
/* Folds the log into the file and marks it as closed in order. */
void lsp_db_close(struct lsp_db *db);
LSP_DEFINE_CLEANUP(struct lsp_db *, lsp_db_close);
#define _cleanup_db_ _cleanup_(lsp_db_close_pointer)

/* How often it was made anew since it was opened, because what was there could not be used. */
unsigned lsp_db_rebuilt(const struct lsp_db *db);

/* Makes it anew if damage was met. No statement may be held across this call. */
LSP_MUST_CHECK int lsp_db_ready(struct lsp_db *db, struct lsp_error *err);

/* The statement for this text, unbound. Not two of the same text at a time. */
LSP_MUST_CHECK int lsp_db_prepare(
	struct lsp_db *db, const char *sql, sqlite3_stmt **ret_statement, struct lsp_error *err);

static inline void lsp_cleanup_statement(sqlite3_stmt **statement)
{
	if (*statement) {
		sqlite3_reset(*statement);
		sqlite3_clear_bindings(*statement);
	}
}
#define _cleanup_statement_ _cleanup_(lsp_cleanup_statement)

/* 1: there is a row; 0: there is none any more. */
LSP_MUST_CHECK int lsp_db_step(struct lsp_db *db, sqlite3_stmt *statement, struct lsp_error *err);
/* Steps to the end and resets; rows are dropped. */
LSP_MUST_CHECK int lsp_db_run(struct lsp_db *db, sqlite3_stmt *statement, struct lsp_error *err);
/* Statements without parameters. */
LSP_MUST_CHECK int lsp_db_exec(struct lsp_db *db, const char *sql, struct lsp_error *err);

/*
 * A transaction. After a failure in between, call lsp_db_rollback; it is harmless without one open.
 */
LSP_MUST_CHECK int lsp_db_begin(struct lsp_db *db, struct lsp_error *err);
LSP_MUST_CHECK int lsp_db_commit(struct lsp_db *db, struct lsp_error *err);
void lsp_db_rollback(struct lsp_db *db);

/* The error of an SQLite result code, with `what` before it. Returns the negative code. */
int lsp_db_error(sqlite3 *sqlite, int result, const char *what, struct lsp_error *err);
