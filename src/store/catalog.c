/*
 * The state folder's layer is a database (catalog.db); in memory a catalogue is the layer below,
 * the layer of the state folder, and the newest snapshot over both. A write goes to the database,
 * then the layer is read back whole: what shows is what is stored.
 */
#include "store/catalog_row.h"

#include "base/fs.h"
#include "base/text.h"
#include "store/db.h"
#include "store/picture.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

static const char schema[] =
	"CREATE TABLE games (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL, key TEXT, "
	"release TEXT, publisher TEXT, genre TEXT, version TEXT, readme_de TEXT, readme_en TEXT, "
	"readme_fr TEXT, size INTEGER, max_players INTEGER, master_required INTEGER, content TEXT, "
	"cover BLOB) WITHOUT ROWID;";

static const char database_name[] = "catalog.db";

struct snapshot {
	struct lsp_catalog_snapshot public;
	_Atomic unsigned references;
	struct lsp_catalog_layer *below;
	struct lsp_catalog_layer *own;
	struct lsp_catalog_entry *joined; /* copies whose cover comes from below */
};

struct lsp_catalog {
	/* immutable */
	char *file; /* NULL: the built-in entries */
	char *own_path;
	struct lsp_catalog_layer *below;

	/* the writer's; `writing` keeps a second one out */
	_Atomic bool writing;
	struct lsp_db *db;

	pthread_mutex_t lock; /* newest */
	const struct lsp_catalog_snapshot *newest;
};

/* ---- Snapshots ----------------------------------------------------------------------------- */

static struct snapshot *snapshot_of(const struct lsp_catalog_snapshot *snapshot)
{
	return lsp_container_of(snapshot, struct snapshot, public);
}

const struct lsp_catalog_snapshot *lsp_catalog_snapshot_ref(
	const struct lsp_catalog_snapshot *snapshot)
{
	snapshot_of(snapshot)->references++;
	return snapshot;
}

void lsp_catalog_snapshot_unref(const struct lsp_catalog_snapshot *public)
{
	if (!public)
		return;
	struct snapshot *snapshot = snapshot_of(public);
	if (--snapshot->references > 0)
		return;
	lsp_catalog_layer_unref(snapshot->below);
	lsp_catalog_layer_unref(snapshot->own);
	free(snapshot->joined);
	free((void *)snapshot->public.entries);
	free(snapshot);
}

/* Both lists by id; of two with one id the own one, with the cover from below if it has none. */
static void merge(struct snapshot *snapshot, const struct lsp_catalog_entry **entries)
{
	const struct lsp_catalog_layer *below = snapshot->below, *own = snapshot->own;
	size_t i = 0, j = 0, n = 0;
	while (i < below->count || j < own->count) {
		int order = i == below->count ? 1
			    : j == own->count ? -1
					      : strcmp(below->entries[i].id, own->entries[j].id);
		if (order < 0) {
			entries[n++] = &below->entries[i++];
			continue;
		}
		snapshot->joined[j] = own->entries[j];
		if (order == 0 && below->entries[i++].has_cover)
			snapshot->joined[j].has_cover = true;
		entries[n++] = &snapshot->joined[j++];
	}
	snapshot->public.count = n;
}

static int make_snapshot(struct lsp_catalog *catalog, struct lsp_catalog_layer *own,
	const struct lsp_catalog_snapshot **ret_snapshot, struct lsp_error *err)
{
	struct snapshot *snapshot = calloc(1, sizeof *snapshot);
	size_t most = catalog->below->count + own->count;
	const struct lsp_catalog_entry **entries = calloc(most + 1, sizeof *entries);
	struct lsp_catalog_entry *joined = calloc(own->count + 1, sizeof *joined);
	if (!snapshot || !entries || !joined) {
		free(snapshot);
		free(entries);
		free(joined);
		return lsp_error_no_memory(err, "store");
	}
	snapshot->references = 1;
	snapshot->below = lsp_catalog_layer_ref(catalog->below);
	snapshot->own = lsp_catalog_layer_ref(own);
	snapshot->joined = joined;
	snapshot->public.entries = entries;
	merge(snapshot, entries);
	*ret_snapshot = &snapshot->public;
	return 0;
}

const struct lsp_catalog_snapshot *lsp_catalog_snapshot(struct lsp_catalog *catalog)
{
	pthread_mutex_lock(&catalog->lock);
	const struct lsp_catalog_snapshot *newest = lsp_catalog_snapshot_ref(catalog->newest);
	pthread_mutex_unlock(&catalog->lock);
	return newest;
}

const struct lsp_catalog_entry *lsp_catalog_find(
	const struct lsp_catalog_snapshot *snapshot, const char *id)
{
	size_t low = 0, high = snapshot->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(id, snapshot->entries[middle]->id);
		if (order == 0)
			return snapshot->entries[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* ---- Opening ------------------------------------------------------------------------------- */

static int load_builtin(struct lsp_catalog_layer **ret_layer, struct lsp_error *err)
{
	_cleanup_catalog_layer_ struct lsp_catalog_layer *layer = NULL;
	int r = lsp_catalog_layer_new(&layer, err);
	for (size_t i = 0; r == 0 && i < lsp_catalog_builtin_count; i++) {
		_cleanup_catalog_row_ struct lsp_catalog_row row = {0};
		r = lsp_catalog_row_copy(&row, &lsp_catalog_builtin[i], err);
		if (r == 0)
			r = lsp_catalog_layer_add(layer, &row, err);
	}
	if (r == 0)
		r = lsp_catalog_layer_seal(layer, err);
	if (r == 0)
		*ret_layer = TAKE_PTR(layer);
	return r;
}

/* A connection for reading. A file on a read-only disk is taken as one that does not change. */
static int open_read_only(const char *path, sqlite3 **ret_sqlite, struct lsp_error *err)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return lsp_error_errno(err, "store", errno, "cannot open the catalogue %s", path);
	if (!S_ISREG(st.st_mode))
		return lsp_error_set(
			err, "store", LSP_E_INVALID, "the catalogue %s is no regular file", path);
	if (access(path, R_OK) < 0)
		return lsp_error_errno(err, "store", errno, "cannot read the catalogue %s", path);
	sqlite3 *sqlite = NULL;
	int result =
		sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (result == SQLITE_OK) {
		sqlite3_busy_timeout(sqlite, 2000);
		result = sqlite3_exec(
			sqlite, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
	}
	if (result == SQLITE_OK) {
		*ret_sqlite = sqlite;
		return 0;
	}
	int r = lsp_error_set(err, "store", LSP_E_PROTOCOL, "cannot read the catalogue %s: %s",
		path, sqlite ? sqlite3_errmsg(sqlite) : sqlite3_errstr(result));
	sqlite3_close(sqlite);
	return r;
}

static int load_file(const char *path, struct lsp_catalog_layer **ret_layer, struct lsp_error *err)
{
	sqlite3 *sqlite = NULL;
	int r = open_read_only(path, &sqlite, err);
	if (r < 0)
		return r;
	r = lsp_catalog_layer_read(sqlite, path, ret_layer, err);
	sqlite3_close(sqlite);
	return r;
}

/* Reads the state folder's layer back and makes it show. */
static int refresh(struct lsp_catalog *catalog, struct lsp_error *err)
{
	_cleanup_catalog_layer_ struct lsp_catalog_layer *own = NULL;
	int r = load_file(catalog->own_path, &own, err);
	if (r < 0)
		return r;
	const struct lsp_catalog_snapshot *snapshot = NULL;
	r = make_snapshot(catalog, own, &snapshot, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&catalog->lock);
	const struct lsp_catalog_snapshot *old = catalog->newest;
	catalog->newest = snapshot;
	pthread_mutex_unlock(&catalog->lock);
	lsp_catalog_snapshot_unref(old);
	return 0;
}

int lsp_catalog_open(const char *state_folder, const char *file, struct lsp_catalog **ret_catalog,
	struct lsp_error *err)
{
	_cleanup_catalog_ struct lsp_catalog *catalog = calloc(1, sizeof *catalog);
	if (!catalog)
		return lsp_error_no_memory(err, "store");
	pthread_mutex_init(&catalog->lock, NULL);
	catalog->own_path = lsp_text_format("%s/%s", state_folder, database_name);
	catalog->file = file ? strdup(file) : NULL;
	if (!catalog->own_path || (file && !catalog->file))
		return lsp_error_no_memory(err, "store");
	int r = file ? load_file(file, &catalog->below, err) : load_builtin(&catalog->below, err);
	if (r == 0)
		r = lsp_db_open(
			state_folder, database_name, schema, LSP_DB_SET_ASIDE, &catalog->db, err);
	if (r == 0)
		r = refresh(catalog, err);
	if (r == 0)
		*ret_catalog = TAKE_PTR(catalog);
	return r;
}

void lsp_catalog_close(struct lsp_catalog *catalog)
{
	if (!catalog)
		return;
	lsp_catalog_snapshot_unref(catalog->newest);
	lsp_catalog_layer_unref(catalog->below);
	lsp_db_close(catalog->db);
	pthread_mutex_destroy(&catalog->lock);
	free(catalog->own_path);
	free(catalog->file);
	free(catalog);
}

/* ---- Covers
 * ------------------------------------------------------------------------------------------------
 */

/* 1: the row has a say about its cover, in *ret_cover (empty: none); 0: it has none. */
static int read_cover(sqlite3 *sqlite, const char *path, const char *id,
	struct lsp_buffer *ret_cover, struct lsp_error *err)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(
		sqlite, "SELECT cover FROM games WHERE id = ?1", -1, &statement, NULL);
	if (result != SQLITE_OK) {
		sqlite3_finalize(statement);
		return 0; /* a catalogue without that column */
	}
	sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
	result = sqlite3_step(statement);
	int r = 0;
	if (result == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
		const void *data = sqlite3_column_blob(statement, 0);
		size_t size = (size_t)sqlite3_column_bytes(statement, 0);
		r = size > 0 ? lsp_picture_check(data, size, err) : 0;
		if (r == 0 && size > 0)
			r = lsp_buffer_append(ret_cover, data, size, err);
		r = r < 0 ? r : 1;
	} else if (result != SQLITE_ROW && result != SQLITE_DONE) {
		r = lsp_db_error(sqlite, result, path, err);
	}
	sqlite3_finalize(statement);
	return r;
}

int lsp_catalog_cover(struct lsp_catalog *catalog, const char *id, struct lsp_buffer *ret_cover,
	struct lsp_error *err)
{
	const char *const paths[] = {catalog->own_path, catalog->file};
	_cleanup_buffer_ struct lsp_buffer cover = {0};
	int r = 0;
	for (size_t i = 0; r == 0 && i < LSP_ARRAY_SIZE(paths) && paths[i]; i++) {
		sqlite3 *sqlite = NULL;
		r = open_read_only(paths[i], &sqlite, err);
		if (r < 0)
			return r;
		r = read_cover(sqlite, paths[i], id, &cover, err);
		sqlite3_close(sqlite);
	}
	if (r < 0)
		return r;
	if (cover.size == 0)
		return lsp_error_set(
			err, "store", LSP_E_NOT_FOUND, "the catalogue has no cover of \"%s\"", id);
	lsp_buffer_done(ret_cover);
	*ret_cover = cover;
	cover = (struct lsp_buffer){0};
	return 0;
}

/* ---- Writing
 * ------------------------------------------------------------------------------------------------
 */

static int begin_writing(struct lsp_catalog *catalog, struct lsp_error *err)
{
	if (atomic_exchange(&catalog->writing, true))
		return lsp_error_set(err, "store", LSP_E_BUSY,
			"the catalogue is being written by another command; try again");
	int r = lsp_db_ready(catalog->db, err);
	if (r == 0)
		r = lsp_db_begin(catalog->db, err);
	if (r < 0)
		catalog->writing = false;
	return r;
}

/* Commits if r is 0, else takes everything back. Returns what came of it. */
static int end_writing(struct lsp_catalog *catalog, int r, struct lsp_error *err)
{
	if (r == 0)
		r = lsp_db_commit(catalog->db, err);
	if (r < 0)
		lsp_db_rollback(catalog->db);
	else
		r = refresh(catalog, err);
	catalog->writing = false;
	return r;
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
	if (text)
		sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

int lsp_catalog_write_row(struct lsp_db *db, const struct lsp_catalog_row *row,
	const struct lsp_catalog_cover_change *cover, struct lsp_error *err)
{
	_cleanup_statement_ sqlite3_stmt *put = NULL;
	int r = lsp_db_prepare(db,
		"INSERT INTO games (id, title, key, release, publisher, genre, version, readme_de, "
		"readme_en, readme_fr, size, max_players, master_required, content, cover) VALUES "
		"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT "
		"(id) "
		"DO UPDATE SET title = ?2, key = ?3, release = ?4, publisher = ?5, genre = ?6, "
		"version = ?7, readme_de = ?8, readme_en = ?9, readme_fr = ?10, size = ?11, "
		"max_players = ?12, master_required = ?13, content = ?14, "
		"cover = CASE WHEN ?16 THEN ?15 ELSE cover END",
		&put, err);
	if (r < 0)
		return r;
	for (int i = 0; i < LSP_CATALOG_TEXT_COUNT; i++)
		bind_text(put, i + 1, row->texts[i]);
	char content[LSP_SHA256_HEX_SIZE];
	if (row->size > 0)
		sqlite3_bind_int64(put, 11, (sqlite3_int64)row->size);
	if (row->max_players > 0)
		sqlite3_bind_int64(put, 12, row->max_players);
	sqlite3_bind_int(put, 13, row->master_required);
	if (row->has_content) {
		lsp_hash_to_hex(&row->content, content);
		bind_text(put, 14, content);
	}
	if (cover && cover->change)
		sqlite3_bind_blob64(
			put, 15, cover->size ? cover->data : "", cover->size, SQLITE_STATIC);
	sqlite3_bind_int(put, 16, cover && cover->change);
	return lsp_db_run(db, put, err);
}

int lsp_catalog_put(struct lsp_catalog *catalog, const struct lsp_catalog_entry *entry,
	const struct lsp_catalog_cover_change *cover, struct lsp_error *err)
{
	_cleanup_catalog_row_ struct lsp_catalog_row row = {0};
	int r = lsp_catalog_row_copy(&row, entry, err);
	if (r == 0)
		r = lsp_catalog_row_check(&row, err);
	if (r == 0 && cover && cover->change && cover->size > 0)
		r = lsp_picture_check(cover->data, cover->size, err);
	if (r == 0)
		r = begin_writing(catalog, err);
	if (r < 0)
		return r;
	r = lsp_catalog_write_row(catalog->db, &row, cover, err);
	return end_writing(catalog, r, err);
}

static int delete_row(struct lsp_db *db, const char *id, struct lsp_error *err)
{
	_cleanup_statement_ sqlite3_stmt *drop = NULL;
	int r = lsp_db_prepare(db, "DELETE FROM games WHERE id = ?1", &drop, err);
	if (r < 0)
		return r;
	bind_text(drop, 1, id);
	return lsp_db_run(db, drop, err);
}

int lsp_catalog_remove(struct lsp_catalog *catalog, const char *id, struct lsp_error *err)
{
	int r = begin_writing(catalog, err);
	if (r < 0)
		return r;
	r = delete_row(catalog->db, id, err);
	return end_writing(catalog, r, err);
}

int lsp_catalog_transaction(struct lsp_catalog *catalog,
	int (*body)(struct lsp_db *db, void *argument, struct lsp_error *err), void *argument,
	struct lsp_error *err)
{
	int r = begin_writing(catalog, err);
	if (r < 0)
		return r;
	r = body(catalog->db, argument, err);
	return end_writing(catalog, r, err);
}
