/*
 * One catalogue entry in the making, cell by cell, from whatever source: a row of SQLite, a record
 * of CSV, an object of JSON. Every cell comes as text and is checked against the column it is for.
 * Internal to the catalogue. One owner, one thread.
 */
#pragma once

#include "store/catalog.h"

#include <sqlite3.h>

enum lsp_catalog_column {
	LSP_CATALOG_ID,
	LSP_CATALOG_TITLE,
	LSP_CATALOG_KEY,
	LSP_CATALOG_RELEASE,
	LSP_CATALOG_PUBLISHER,
	LSP_CATALOG_GENRE,
	LSP_CATALOG_VERSION,
	LSP_CATALOG_README_DE,
	LSP_CATALOG_README_EN,
	LSP_CATALOG_README_FR,
	LSP_CATALOG_TEXT_COUNT, /* the columns before this one are texts */
	LSP_CATALOG_SIZE = LSP_CATALOG_TEXT_COUNT,
	LSP_CATALOG_MAX_PLAYERS,
	LSP_CATALOG_MASTER_REQUIRED,
	LSP_CATALOG_CONTENT,
	LSP_CATALOG_COVER, /* no cell: bytes, handled apart */
	LSP_CATALOG_COLUMN_COUNT
};

const char *lsp_catalog_column_name(enum lsp_catalog_column column);
/* LSP_CATALOG_COLUMN_COUNT for a name that is none; case does not matter. */
enum lsp_catalog_column lsp_catalog_column_find(const char *name);

struct lsp_catalog_row {
	char *texts[LSP_CATALOG_TEXT_COUNT]; /* owned; NULL: not known */
	uint64_t size;
	uint32_t max_players;
	bool master_required;
	bool has_content;
	struct lsp_hash content;
	bool has_cover;
};

void lsp_catalog_row_done(struct lsp_catalog_row *row);
#define _cleanup_catalog_row_ _cleanup_(lsp_catalog_row_done)

LSP_MUST_CHECK int lsp_catalog_row_copy(
	struct lsp_catalog_row *row, const struct lsp_catalog_entry *entry, struct lsp_error *err);
/* A view of the row; valid as long as it is. */
struct lsp_catalog_entry lsp_catalog_row_view(const struct lsp_catalog_row *row);

/* An empty text makes the cell unknown. -LSP_E_INVALID says what the column wants. */
LSP_MUST_CHECK int lsp_catalog_row_set(struct lsp_catalog_row *row, enum lsp_catalog_column column,
	const char *text, size_t size, struct lsp_error *err);
/* Has it what every entry must have? */
LSP_MUST_CHECK int lsp_catalog_row_check(const struct lsp_catalog_row *row, struct lsp_error *err);

bool lsp_catalog_entry_equal(const struct lsp_catalog_entry *a, const struct lsp_catalog_entry *b);

/* ---- Layers: immutable, counted lists of entries ------------------------------------------- */

struct lsp_catalog_layer {
	_Atomic unsigned references;
	size_t count;
	size_t capacity;
	struct lsp_catalog_row *rows; /* by id */
	struct lsp_catalog_entry *entries;
};

LSP_MUST_CHECK int lsp_catalog_layer_new(
	struct lsp_catalog_layer **ret_layer, struct lsp_error *err);
struct lsp_catalog_layer *lsp_catalog_layer_ref(struct lsp_catalog_layer *layer);
void lsp_catalog_layer_unref(struct lsp_catalog_layer *layer);
LSP_DEFINE_CLEANUP(struct lsp_catalog_layer *, lsp_catalog_layer_unref);
#define _cleanup_catalog_layer_ _cleanup_(lsp_catalog_layer_unref_pointer)
/* Before it is sealed. Takes the row's texts. */
LSP_MUST_CHECK int lsp_catalog_layer_add(
	struct lsp_catalog_layer *layer, struct lsp_catalog_row *row, struct lsp_error *err);
/* Sorts it and makes the views; an id that is there twice is an error that names it. */
LSP_MUST_CHECK int lsp_catalog_layer_seal(struct lsp_catalog_layer *layer, struct lsp_error *err);

/* All rows of the table `games` of an open database; `name` is for messages. */
LSP_MUST_CHECK int lsp_catalog_layer_read(sqlite3 *sqlite, const char *name,
	struct lsp_catalog_layer **ret_layer, struct lsp_error *err);

/* ---- Writing, for imports ------------------------------------------------------------------ */

struct lsp_db;

LSP_MUST_CHECK int lsp_catalog_write_row(struct lsp_db *db, const struct lsp_catalog_row *row,
	const struct lsp_catalog_cover_change *cover, struct lsp_error *err);
/* Runs the body in one transaction and makes a new snapshot if it returned 0. */
LSP_MUST_CHECK int lsp_catalog_transaction(struct lsp_catalog *catalog,
	int (*body)(struct lsp_db *db, void *argument, struct lsp_error *err), void *argument,
	struct lsp_error *err);
