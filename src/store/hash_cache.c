#include "store/hash_cache.h"

#include "store/library_index_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The table of a game ------------------------------------------------------------------- */

static void free_file(struct lsp_file_hash *file)
{
	free((void *)file->path);
	free((void *)file->layer);
	*file = (struct lsp_file_hash){0};
}

void lsp_file_hashes_done(struct lsp_file_hashes *hashes)
{
	for (size_t i = 0; i < hashes->capacity; i++)
		free_file(&hashes->files[i]);
	free(hashes->files);
	*hashes = (struct lsp_file_hashes){0};
}

/* FNV-1a. */
static size_t slot_hash(const char *path)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 0x100000001b3;
	return (size_t)(hash ^ hash >> 32);
}

/* Where the path is or would go. There always is a free slot. */
static struct lsp_file_hash *find_slot(
	struct lsp_file_hash *files, size_t capacity, const char *path)
{
	size_t at = slot_hash(path) & (capacity - 1);
	while (files[at].path && strcmp(files[at].path, path) != 0)
		at = (at + 1) & (capacity - 1);
	return &files[at];
}

static int grow(struct lsp_file_hashes *hashes, struct lsp_error *err)
{
	size_t capacity = hashes->capacity ? hashes->capacity * 2 : 64;
	struct lsp_file_hash *files = calloc(capacity, sizeof *files);
	if (!files)
		return lsp_error_no_memory(err, "store");
	for (size_t i = 0; i < hashes->capacity; i++) {
		if (hashes->files[i].path)
			*find_slot(files, capacity, hashes->files[i].path) = hashes->files[i];
	}
	free(hashes->files);
	hashes->files = files;
	hashes->capacity = capacity;
	return 0;
}

int lsp_file_hashes_add(
	struct lsp_file_hashes *hashes, const struct lsp_file_hash *file, struct lsp_error *err)
{
	if (hashes->count * 4 >= hashes->capacity * 3) {
		int r = grow(hashes, err);
		if (r < 0)
			return r;
	}
	struct lsp_file_hash copy = *file;
	copy.path = strdup(file->path);
	copy.layer = NULL;
	if (file->layer_count > 0) {
		struct lsp_hash *layer = malloc(file->layer_count * sizeof *layer);
		if (layer)
			memcpy(layer, file->layer, file->layer_count * sizeof *layer);
		copy.layer = layer;
	}
	if (!copy.path || (file->layer_count > 0 && !copy.layer)) {
		free_file(&copy);
		return lsp_error_no_memory(err, "store");
	}
	struct lsp_file_hash *slot = find_slot(hashes->files, hashes->capacity, file->path);
	hashes->count += slot->path ? 0 : 1;
	free_file(slot);
	*slot = copy;
	return 0;
}

const struct lsp_file_hash *lsp_file_hashes_find(struct lsp_file_hashes *hashes, const char *path,
	uint64_t size, int64_t mtime_ns, int64_t ctime_ns)
{
	if (hashes->count == 0)
		return NULL;
	struct lsp_file_hash *file = find_slot(hashes->files, hashes->capacity, path);
	if (!file->path || file->size != size || file->mtime_ns != mtime_ns)
		return NULL;
	if (file->ctime_ns && ctime_ns && file->ctime_ns != ctime_ns)
		return NULL;
	file->used = true;
	return file;
}

/* ---- On disk
 * -----------------------------------------------------------------------------------------------
 */

/* 1: a sound one; 0: one that cannot be what we stored. Points into the statement's row. */
static int read_file(sqlite3_stmt *row, struct lsp_file_hash *ret_file)
{
	const char *path = (const char *)sqlite3_column_text(row, 0);
	const void *root = sqlite3_column_blob(row, 4);
	size_t layer_size = (size_t)sqlite3_column_bytes(row, 6);
	if (!path || !root || sqlite3_column_bytes(row, 4) != LSP_SHA256_SIZE ||
		layer_size % LSP_SHA256_SIZE != 0)
		return 0;
	*ret_file = (struct lsp_file_hash){
		.path = path,
		.size = (uint64_t)sqlite3_column_int64(row, 1),
		.mtime_ns = sqlite3_column_int64(row, 2),
		.ctime_ns = sqlite3_column_int64(row, 3),
		.piece_length = (uint32_t)sqlite3_column_int64(row, 5),
		.layer_count = (uint32_t)(layer_size / LSP_SHA256_SIZE),
		.layer = sqlite3_column_blob(row, 6),
	};
	memcpy(ret_file->root.bytes, root, LSP_SHA256_SIZE);
	if (ret_file->layer_count == 0)
		return ret_file->piece_length == 0;
	uint64_t piece = ret_file->piece_length;
	return piece > 0 && ret_file->layer_count == (ret_file->size + piece - 1) / piece;
}

int lsp_hash_cache_load(struct lsp_library_index *index, const char *game,
	struct lsp_file_hashes *ret_hashes, struct lsp_error *err)
{
	int64_t row = 0;
	int r = lsp_library_index_ready(index, err);
	if (r == 0)
		r = lsp_library_index_row(index, game, false, &row, err);
	if (r < 0)
		return r;
	_cleanup_statement_ sqlite3_stmt *all = NULL;
	r = lsp_db_prepare(index->db,
		"SELECT path, size, mtime, ctime, root, piece_length, layer FROM files WHERE game "
		"= ?1",
		&all, err);
	if (r < 0)
		return r;
	sqlite3_bind_int64(all, 1, row);
	_cleanup_file_hashes_ struct lsp_file_hashes hashes = {0};
	while ((r = lsp_db_step(index->db, all, err)) > 0) {
		struct lsp_file_hash file;
		if (read_file(all, &file) && (r = lsp_file_hashes_add(&hashes, &file, err)) < 0)
			return r;
	}
	if (r < 0)
		return r;
	*ret_hashes = hashes;
	hashes = (struct lsp_file_hashes){0};
	return 0;
}

static int clear_files(struct lsp_library_index *index, int64_t row, struct lsp_error *err)
{
	_cleanup_statement_ sqlite3_stmt *clear = NULL;
	int r = lsp_db_prepare(index->db, "DELETE FROM files WHERE game = ?1", &clear, err);
	if (r < 0)
		return r;
	sqlite3_bind_int64(clear, 1, row);
	return lsp_db_run(index->db, clear, err);
}

static int insert_file(struct lsp_library_index *index, int64_t row,
	const struct lsp_file_hash *file, struct lsp_error *err)
{
	_cleanup_statement_ sqlite3_stmt *put = NULL;
	int r = lsp_db_prepare(index->db,
		"INSERT OR REPLACE INTO files (game, path, size, mtime, ctime, root, piece_length, "
		"layer) "
		"VALUES "
		"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
		&put, err);
	if (r < 0)
		return r;
	sqlite3_bind_int64(put, 1, row);
	sqlite3_bind_text(put, 2, file->path, -1, SQLITE_STATIC);
	sqlite3_bind_int64(put, 3, (sqlite3_int64)file->size);
	sqlite3_bind_int64(put, 4, file->mtime_ns);
	sqlite3_bind_int64(put, 5, file->ctime_ns);
	sqlite3_bind_blob(put, 6, file->root.bytes, LSP_SHA256_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(put, 7, file->layer_count > 0 ? file->piece_length : 0);
	if (file->layer_count > 0)
		sqlite3_bind_blob64(put, 8, file->layer,
			(sqlite3_uint64)file->layer_count * LSP_SHA256_SIZE, SQLITE_STATIC);
	return lsp_db_run(index->db, put, err);
}

/* clear: the table is all there is. only_used: see lsp_hash_cache_store. */
static int store_files(struct lsp_library_index *index, int64_t row,
	const struct lsp_file_hashes *hashes, bool clear, bool only_used, struct lsp_error *err)
{
	int r = clear ? clear_files(index, row, err) : 0;
	for (size_t i = 0; r == 0 && i < hashes->capacity; i++) {
		const struct lsp_file_hash *file = &hashes->files[i];
		if (file->path && (file->used || !only_used))
			r = insert_file(index, row, file, err);
	}
	return r;
}

static int write_table(struct lsp_library_index *index, const char *game,
	const struct lsp_file_hashes *hashes, bool clear, bool only_used, struct lsp_error *err)
{
	int64_t row = 0;
	int r = lsp_library_index_ready(index, err);
	if (r == 0)
		r = lsp_db_begin(index->db, err);
	if (r == 0)
		r = lsp_library_index_row(index, game, true, &row, err);
	if (r == 0)
		r = store_files(index, row, hashes, clear, only_used, err);
	if (r == 0)
		r = lsp_db_commit(index->db, err);
	if (r < 0)
		lsp_db_rollback(index->db);
	return r;
}

int lsp_hash_cache_store(struct lsp_library_index *index, const char *game,
	const struct lsp_file_hashes *hashes, bool only_used, struct lsp_error *err)
{
	return write_table(index, game, hashes, true, only_used, err);
}

int lsp_hash_cache_add(struct lsp_library_index *index, const char *game,
	const struct lsp_file_hashes *hashes, struct lsp_error *err)
{
	return hashes->count > 0 ? write_table(index, game, hashes, false, false, err) : 0;
}
