#include "store/library_index_private.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

const char lsp_library_database[] = "library.db";

/*
 * A game has a row as soon as any of its files has a hash; `content` is NULL until all have. The
 * fingerprint's halves are stored as the signed numbers that SQLite has.
 */
static const char schema[] =
	"CREATE TABLE folders (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, used INTEGER NOT "
	"NULL);"
	"CREATE TABLE games (row INTEGER PRIMARY KEY, folder INTEGER NOT NULL, id TEXT NOT NULL, "
	"files0 INTEGER, files1 INTEGER, changes INTEGER, structure INTEGER, content BLOB, size "
	"INTEGER, file_count "
	"INTEGER, chunk_count INTEGER, piece_length INTEGER, version TEXT, UNIQUE (folder, id));"
	"CREATE TABLE manifests (game INTEGER PRIMARY KEY, data BLOB NOT NULL);"
	"CREATE TABLE files (row INTEGER PRIMARY KEY, game INTEGER NOT NULL, path TEXT NOT NULL, "
	"size INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, root BLOB NOT "
	"NULL, "
	"piece_length INTEGER NOT NULL, layer BLOB);"
	"CREATE UNIQUE INDEX files_by_game ON files (game, path);"
	"CREATE INDEX files_by_root ON files (root);";

int lsp_library_index_open(
	const char *state_folder, struct lsp_library_index **ret_index, struct lsp_error *err)
{
	_cleanup_library_index_ struct lsp_library_index *index = calloc(1, sizeof *index);
	if (!index)
		return lsp_error_no_memory(err, "store");
	int r = lsp_db_open(
		state_folder, lsp_library_database, schema, LSP_DB_REBUILD, &index->db, err);
	if (r == 0)
		*ret_index = TAKE_PTR(index);
	return r;
}

void lsp_library_index_close(struct lsp_library_index *index)
{
	if (!index)
		return;
	lsp_db_close(index->db);
	free(index);
}

static int run(struct lsp_db *db, const char *sql, int64_t row, struct lsp_error *err)
{
	_cleanup_statement_ sqlite3_stmt *statement = NULL;
	int r = lsp_db_prepare(db, sql, &statement, err);
	if (r < 0)
		return r;
	if (sqlite3_bind_parameter_count(statement) > 0)
		sqlite3_bind_int64(statement, 1, row);
	return lsp_db_run(db, statement, err);
}

/* Folders that were not used for long go, with all that hangs on them. */
static int prune_folders(struct lsp_db *db, struct lsp_error *err)
{
	static const char *const steps[] = {
		("DELETE FROM folders WHERE row NOT IN (SELECT row FROM folders ORDER BY used DESC "
		 "LIMIT ?1)"),
		"DELETE FROM games WHERE folder NOT IN (SELECT row FROM folders)",
		"DELETE FROM manifests WHERE game NOT IN (SELECT row FROM games)",
		"DELETE FROM files WHERE game NOT IN (SELECT row FROM games)",
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < LSP_ARRAY_SIZE(steps); i++)
		r = run(db, steps[i], LSP_INDEX_FOLDERS_MAX, err);
	return r;
}

static int choose_folder(struct lsp_library_index *index, int64_t *ret_row, struct lsp_error *err)
{
	_cleanup_statement_ sqlite3_stmt *put = NULL;
	int r = lsp_db_prepare(index->db,
		"INSERT INTO folders (id, used) VALUES (?1, (SELECT ifnull(max(used), 0) + 1 FROM "
		"folders)) ON CONFLICT (id) DO UPDATE SET used = excluded.used RETURNING row",
		&put, err);
	if (r < 0)
		return r;
	sqlite3_bind_text(put, 1, index->folder_id, -1, SQLITE_STATIC);
	r = lsp_db_step(index->db, put, err);
	if (r > 0) {
		*ret_row = sqlite3_column_int64(put, 0);
		r = lsp_db_step(index->db, put, err);
	}
	return r;
}

static int use_folder(struct lsp_library_index *index, struct lsp_error *err)
{
	int64_t row = 0;
	int r = lsp_db_begin(index->db, err);
	if (r == 0)
		r = choose_folder(index, &row, err);
	if (r == 0)
		r = prune_folders(index->db, err);
	if (r == 0)
		r = lsp_db_commit(index->db, err);
	if (r < 0)
		lsp_db_rollback(index->db);
	index->folder = r < 0 ? 0 : row;
	index->rebuilt = lsp_db_rebuilt(index->db);
	return r;
}

int lsp_library_index_use(
	struct lsp_library_index *index, const char *folder_id, struct lsp_error *err)
{
	snprintf(index->folder_id, sizeof index->folder_id, "%s", folder_id);
	index->folder = 0;
	return lsp_library_index_ready(index, err);
}

int lsp_library_index_ready(struct lsp_library_index *index, struct lsp_error *err)
{
	int r = lsp_db_ready(index->db, err);
	if (r < 0)
		return r;
	if (index->folder && index->rebuilt == lsp_db_rebuilt(index->db))
		return 0;
	if (!index->folder_id[0])
		return lsp_error_set(err, "store", LSP_E_INVALID, "no games folder is chosen");
	return use_folder(index, err);
}

static int find_row(
	struct lsp_library_index *index, const char *game, int64_t *ret_row, struct lsp_error *err)
{
	_cleanup_statement_ sqlite3_stmt *find = NULL;
	int r = lsp_db_prepare(
		index->db, "SELECT row FROM games WHERE folder = ?1 AND id = ?2", &find, err);
	if (r < 0)
		return r;
	sqlite3_bind_int64(find, 1, index->folder);
	sqlite3_bind_text(find, 2, game, -1, SQLITE_STATIC);
	r = lsp_db_step(index->db, find, err);
	*ret_row = r > 0 ? sqlite3_column_int64(find, 0) : 0;
	return r < 0 ? r : 0;
}

int lsp_library_index_row(struct lsp_library_index *index, const char *game, bool make,
	int64_t *ret_row, struct lsp_error *err)
{
	int r = find_row(index, game, ret_row, err);
	if (r < 0 || *ret_row || !make)
		return r;
	_cleanup_statement_ sqlite3_stmt *put = NULL;
	r = lsp_db_prepare(index->db, "INSERT INTO games (folder, id) VALUES (?1, ?2)", &put, err);
	if (r < 0)
		return r;
	sqlite3_bind_int64(put, 1, index->folder);
	sqlite3_bind_text(put, 2, game, -1, SQLITE_STATIC);
	r = lsp_db_run(index->db, put, err);
	return r < 0 ? r : find_row(index, game, ret_row, err);
}

/* ---- Games --------------------------------------------------------------------------------- */

static bool read_hash(sqlite3_stmt *statement, int column, struct lsp_hash *ret_hash)
{
	const void *data = sqlite3_column_blob(statement, column);
	if (!data || sqlite3_column_bytes(statement, column) != LSP_SHA256_SIZE)
		return false;
	memcpy(ret_hash->bytes, data, LSP_SHA256_SIZE);
	return true;
}

static bool read_game(sqlite3_stmt *statement, struct lsp_index_game *ret_game)
{
	const char *id = (const char *)sqlite3_column_text(statement, 0);
	const char *version = (const char *)sqlite3_column_text(statement, 9);
	if (!id || strlen(id) > LSP_GAME_ID_MAX || !version ||
		strlen(version) > LSP_VERSION_TEXT_MAX ||
		!read_hash(statement, 4, &ret_game->content))
		return false;
	snprintf(ret_game->id, sizeof ret_game->id, "%s", id);
	snprintf(ret_game->version, sizeof ret_game->version, "%s", version);
	ret_game->fingerprint =
		(struct lsp_fingerprint){{(uint64_t)sqlite3_column_int64(statement, 1),
						 (uint64_t)sqlite3_column_int64(statement, 2)},
			(uint64_t)sqlite3_column_int64(statement, 3)};
	ret_game->structure = (uint64_t)sqlite3_column_int64(statement, 10);
	ret_game->size = (uint64_t)sqlite3_column_int64(statement, 5);
	ret_game->file_count = (uint32_t)sqlite3_column_int64(statement, 6);
	ret_game->chunk_count = (uint32_t)sqlite3_column_int64(statement, 7);
	ret_game->piece_length = (uint32_t)sqlite3_column_int64(statement, 8);
	return true;
}

int lsp_library_index_load(struct lsp_library_index *index, struct lsp_index_game **ret_games,
	size_t *ret_count, struct lsp_error *err)
{
	int r = lsp_library_index_ready(index, err);
	if (r < 0)
		return r;
	_cleanup_statement_ sqlite3_stmt *all = NULL;
	r = lsp_db_prepare(index->db,
		"SELECT id, files0, files1, changes, content, size, file_count, chunk_count, "
		"piece_length, version, structure FROM games WHERE folder = ?1 AND content IS NOT "
		"NULL ORDER "
		"BY "
		"id",
		&all, err);
	if (r < 0)
		return r;
	sqlite3_bind_int64(all, 1, index->folder);
	_cleanup_free_ struct lsp_index_game *games = NULL;
	size_t count = 0, capacity = 0;
	while ((r = lsp_db_step(index->db, all, err)) > 0) {
		if (count == capacity) {
			capacity = capacity ? capacity * 2 : 64;
			struct lsp_index_game *more = reallocarray(games, capacity, sizeof *games);
			if (!more)
				return lsp_error_no_memory(err, "store");
			games = more;
		}
		count += read_game(all, &games[count]);
	}
	if (r < 0)
		return r;
	*ret_games = TAKE_PTR(games);
	*ret_count = count;
	return 0;
}

static int put_game(struct lsp_library_index *index, const struct lsp_index_game *game, int64_t row,
	struct lsp_error *err)
{
	_cleanup_statement_ sqlite3_stmt *put = NULL;
	int r = lsp_db_prepare(index->db,
		"UPDATE games SET files0 = ?2, files1 = ?3, changes = ?4, content = ?5, size = ?6, "
		"file_count = ?7, chunk_count = ?8, piece_length = ?9, version = ?10, structure = "
		"?11 WHERE row = "
		"?1",
		&put, err);
	if (r < 0)
		return r;
	sqlite3_bind_int64(put, 1, row);
	sqlite3_bind_int64(put, 2, (sqlite3_int64)game->fingerprint.files[0]);
	sqlite3_bind_int64(put, 3, (sqlite3_int64)game->fingerprint.files[1]);
	sqlite3_bind_int64(put, 4, (sqlite3_int64)game->fingerprint.changes);
	sqlite3_bind_blob(put, 5, game->content.bytes, LSP_SHA256_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(put, 6, (sqlite3_int64)game->size);
	sqlite3_bind_int64(put, 7, game->file_count);
	sqlite3_bind_int64(put, 8, game->chunk_count);
	sqlite3_bind_int64(put, 9, game->piece_length);
	sqlite3_bind_text(put, 10, game->version, -1, SQLITE_STATIC);
	sqlite3_bind_int64(put, 11, (sqlite3_int64)game->structure);
	return lsp_db_run(index->db, put, err);
}

static int put_manifest(struct lsp_library_index *index, int64_t row, const void *manifest,
	size_t size, struct lsp_error *err)
{
	_cleanup_statement_ sqlite3_stmt *put = NULL;
	int r = lsp_db_prepare(index->db,
		"INSERT OR REPLACE INTO manifests (game, data) VALUES (?1, ?2)", &put, err);
	if (r < 0)
		return r;
	sqlite3_bind_int64(put, 1, row);
	sqlite3_bind_blob64(put, 2, manifest, size, SQLITE_STATIC);
	return lsp_db_run(index->db, put, err);
}

int lsp_library_index_put(struct lsp_library_index *index, const struct lsp_index_game *game,
	const void *manifest, size_t manifest_size, struct lsp_error *err)
{
	int64_t row = 0;
	int r = lsp_library_index_ready(index, err);
	if (r == 0)
		r = lsp_db_begin(index->db, err);
	if (r == 0)
		r = lsp_library_index_row(index, game->id, true, &row, err);
	if (r == 0)
		r = put_game(index, game, row, err);
	if (r == 0)
		r = put_manifest(index, row, manifest, manifest_size, err);
	if (r == 0)
		r = lsp_db_commit(index->db, err);
	if (r < 0)
		lsp_db_rollback(index->db);
	return r;
}

int lsp_library_index_touch(
	struct lsp_library_index *index, const char *id, uint64_t structure, struct lsp_error *err)
{
	int r = lsp_library_index_ready(index, err);
	if (r < 0)
		return r;
	_cleanup_statement_ sqlite3_stmt *put = NULL;
	r = lsp_db_prepare(index->db,
		"UPDATE games SET structure = ?3 WHERE folder = ?1 AND id = ?2", &put, err);
	if (r < 0)
		return r;
	sqlite3_bind_int64(put, 1, index->folder);
	sqlite3_bind_text(put, 2, id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(put, 3, (sqlite3_int64)structure);
	return lsp_db_run(index->db, put, err);
}

static int remove_row(struct lsp_library_index *index, int64_t row, struct lsp_error *err)
{
	static const char *const steps[] = {
		"DELETE FROM files WHERE game = ?1",
		"DELETE FROM manifests WHERE game = ?1",
		"DELETE FROM games WHERE row = ?1",
	};
	int r = lsp_db_begin(index->db, err);
	for (size_t i = 0; r == 0 && i < LSP_ARRAY_SIZE(steps); i++)
		r = run(index->db, steps[i], row, err);
	if (r == 0)
		r = lsp_db_commit(index->db, err);
	if (r < 0)
		lsp_db_rollback(index->db);
	return r;
}

int lsp_library_index_remove(struct lsp_library_index *index, const char *id, struct lsp_error *err)
{
	int64_t row = 0;
	int r = lsp_library_index_ready(index, err);
	if (r == 0)
		r = lsp_library_index_row(index, id, false, &row, err);
	return r < 0 || !row ? r : remove_row(index, row, err);
}

/* ---- Readers ------------------------------------------------------------------------------- */

int lsp_library_index_reader(const char *state_folder, sqlite3 **ret_sqlite, struct lsp_error *err)
{
	_cleanup_free_ char *path = lsp_text_format("%s/%s", state_folder, lsp_library_database);
	if (!path)
		return lsp_error_no_memory(err, "store");
	sqlite3 *sqlite = NULL;
	int result =
		sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	if (result != SQLITE_OK) {
		int r = lsp_db_error(sqlite, result, path, err);
		sqlite3_close(sqlite);
		return r;
	}
	sqlite3_busy_timeout(sqlite, 2000);
	*ret_sqlite = sqlite;
	return 0;
}

static int read_manifest(sqlite3 *sqlite, sqlite3_stmt *find, const char *id,
	struct lsp_buffer *ret_manifest, struct lsp_error *err)
{
	int result = sqlite3_step(find);
	if (result == SQLITE_DONE)
		return lsp_error_set(err, "store", LSP_E_NOT_FOUND,
			"the manifest of \"%s\" is not in the library index", id);
	if (result != SQLITE_ROW)
		return lsp_db_error(sqlite, result, lsp_library_database, err);
	return lsp_buffer_append(ret_manifest, sqlite3_column_blob(find, 0),
		(size_t)sqlite3_column_bytes(find, 0), err);
}

int lsp_library_index_manifest(const char *state_folder, const char *folder_id, const char *id,
	const struct lsp_hash *content, struct lsp_buffer *ret_manifest, struct lsp_error *err)
{
	sqlite3 *sqlite = NULL;
	int r = lsp_library_index_reader(state_folder, &sqlite, err);
	if (r < 0)
		return r;
	sqlite3_stmt *find = NULL;
	int result = sqlite3_prepare_v2(sqlite,
		"SELECT manifests.data FROM manifests JOIN games ON games.row = manifests.game "
		"JOIN "
		"folders ON folders.row = games.folder WHERE folders.id = ?1 AND games.id = ?2 AND "
		"games.content = ?3",
		-1, &find, NULL);
	if (result == SQLITE_OK) {
		sqlite3_bind_text(find, 1, folder_id, -1, SQLITE_STATIC);
		sqlite3_bind_text(find, 2, id, -1, SQLITE_STATIC);
		sqlite3_bind_blob(find, 3, content->bytes, LSP_SHA256_SIZE, SQLITE_STATIC);
		r = read_manifest(sqlite, find, id, ret_manifest, err);
	} else {
		r = lsp_db_error(sqlite, result, lsp_library_database, err);
	}
	sqlite3_finalize(find);
	sqlite3_close(sqlite);
	return r;
}
