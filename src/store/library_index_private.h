/* What library_index.c shares with hash_cache.c: the database of both. */
#pragma once

#include "store/db.h"
#include "store/library_index.h"

struct lsp_library_index {
	struct lsp_db *db;
	char folder_id[LSP_FOLDER_ID_SIZE];
	int64_t folder;   /* its row; 0: none is chosen */
	unsigned rebuilt; /* lsp_db_rebuilt when the row was looked up */
};

extern const char lsp_library_database[]; /* "library.db" */

/* Heals the database if it was damaged and makes sure of the folder's row. */
LSP_MUST_CHECK int lsp_library_index_ready(struct lsp_library_index *index, struct lsp_error *err);
/* The row of a game; 0 if it has none and make is false. */
LSP_MUST_CHECK int lsp_library_index_row(struct lsp_library_index *index, const char *game,
	bool make, int64_t *ret_row, struct lsp_error *err);
/* A connection of its own for reading. */
LSP_MUST_CHECK int lsp_library_index_reader(
	const char *state_folder, sqlite3 **ret_sqlite, struct lsp_error *err);
