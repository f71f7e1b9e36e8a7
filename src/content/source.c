#include "content/source.h"

#include "base/fs.h"
#include "content/file_cache.h"
#include "task/cancel.h"
#include "wire/merkle.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct lsp_source {
	_Atomic unsigned refs;

	/* immutable */
	int dir_fd;
	const struct lsp_manifest *manifest;
	struct lsp_file_stamp *stamps; /* one a file */
	struct lsp_file_cache *cache;

	pthread_mutex_t lock; /* guards: */
	struct lsp_bitmap withdrawn;
};

static const char *path_of(const struct lsp_source *source, uint32_t file)
{
	return source->manifest->files[file].path;
}

static int changed(const struct lsp_source *source, uint32_t file, struct lsp_error *err)
{
	return lsp_error_set(err, "content", LSP_E_CORRUPT,
		"\"%s\" is no longer what was announced", path_of(source, file));
}

/*
 * Without the time of change: it moves when a file is renamed, its mode set or its name removed, by
 * an update of ours or a backup, and the bytes are the same. Who brings the other times back after
 * changing bytes is found out by the receiver's hash.
 */
static void stamp_of(const struct stat *st, struct lsp_file_stamp *ret_stamp)
{
	lsp_file_stamp_from(st, ret_stamp);
	ret_stamp->ctime_ns = 0;
}

/* Opens only what was hashed. */
static int open_file(void *argument, uint32_t file, int *ret_fd, struct lsp_error *err)
{
	struct lsp_source *source = argument;
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_below(source->dir_fd, path_of(source, file), O_RDONLY, 0, &fd, err);
	if (r < 0)
		return r;
	struct stat st;
	struct lsp_file_stamp stamp;
	if (fstat(fd, &st) < 0)
		return lsp_error_errno(
			err, "content", errno, "cannot look at \"%s\"", path_of(source, file));
	stamp_of(&st, &stamp);
	if (!lsp_file_stamp_equal(&stamp, &source->stamps[file]))
		return changed(source, file, err);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int check_listing(const struct lsp_manifest *manifest, const struct lsp_listing *listing,
	struct lsp_error *err)
{
	bool same = manifest->file_count == listing->count;
	for (uint32_t i = 0; same && i < manifest->file_count; i++)
		same = strcmp(manifest->files[i].path, listing->files[i].path) == 0 &&
		       manifest->files[i].size == listing->files[i].stamp.size;
	return same ? 0
		    : lsp_error_set(err, "content", LSP_E_INVALID,
			      "the folder does not hold the files of the manifest");
}

int lsp_source_new(int dir_fd, const struct lsp_manifest *manifest,
	const struct lsp_listing *listing, unsigned max_open, struct lsp_source **ret_source,
	struct lsp_error *err)
{
	int r = check_listing(manifest, listing, err);
	if (r < 0)
		return r;
	_cleanup_source_ struct lsp_source *source = calloc(1, sizeof *source);
	if (!source)
		return lsp_error_no_memory(err, "content");
	source->refs = 1;
	source->manifest = lsp_manifest_ref(manifest);
	pthread_mutex_init(&source->lock, NULL);
	source->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	if (source->dir_fd < 0)
		return lsp_error_errno(err, "content", errno, "cannot keep the folder open");
	source->stamps = calloc(manifest->file_count, sizeof *source->stamps);
	if (!source->stamps)
		return lsp_error_no_memory(err, "content");
	for (uint32_t i = 0; i < manifest->file_count; i++)
		source->stamps[i] = listing->files[i].stamp;
	r = lsp_bitmap_init(&source->withdrawn, manifest->chunk_count, err);
	if (r == 0)
		r = lsp_file_cache_new(max_open, open_file, source, &source->cache, err);
	if (r < 0)
		return r;
	*ret_source = TAKE_PTR(source);
	return 0;
}

struct lsp_source *lsp_source_ref(struct lsp_source *source)
{
	atomic_fetch_add_explicit(&source->refs, 1, memory_order_relaxed);
	return source;
}

void lsp_source_unref(struct lsp_source *source)
{
	if (!source || atomic_fetch_sub_explicit(&source->refs, 1, memory_order_acq_rel) != 1)
		return;
	lsp_file_cache_free(source->cache);
	lsp_cleanup_close(&source->dir_fd);
	lsp_bitmap_done(&source->withdrawn);
	lsp_manifest_unref(source->manifest);
	pthread_mutex_destroy(&source->lock);
	free(source->stamps);
	free(source);
}

const struct lsp_manifest *lsp_source_manifest(const struct lsp_source *source)
{
	return source->manifest;
}

/* Bytes from an open file that still is what it was when it was opened. */
static int read_open(struct lsp_source *source, uint32_t file, int fd, uint64_t offset, void *data,
	size_t size, bool now, struct lsp_error *err)
{
	size_t got = size;
	int r = now ? lsp_fs_read_cached(fd, data, size, offset, err)
		    : lsp_fs_read_at(fd, data, size, offset, &got, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "\"%s\"", path_of(source, file));
	struct stat st;
	if (fstat(fd, &st) < 0)
		return lsp_error_errno(
			err, "content", errno, "cannot look at \"%s\"", path_of(source, file));
	struct lsp_file_stamp stamp;
	stamp_of(&st, &stamp);
	if (got != size || !lsp_file_stamp_equal(&stamp, &source->stamps[file]))
		return changed(source, file, err);
	return 0;
}

static int acquire(
	struct lsp_source *source, uint32_t file, bool now, int *ret_fd, struct lsp_error *err)
{
	if (!now)
		return lsp_file_cache_acquire(source->cache, file, ret_fd, err);
	if (lsp_file_cache_acquire_open(source->cache, file, ret_fd))
		return 0;
	return lsp_error_set(
		err, "content", LSP_E_BUSY, "\"%s\" is not open", path_of(source, file));
}

static int read_file(struct lsp_source *source, uint32_t file, uint64_t offset, void *data,
	size_t size, bool now, struct lsp_error *err)
{
	if (file >= source->manifest->file_count || offset > source->manifest->files[file].size ||
		size > source->manifest->files[file].size - offset)
		return lsp_error_set(err, "content", LSP_E_INVALID, "outside of the file");
	if (size == 0)
		return 0;
	int fd = -1;
	int r = acquire(source, file, now, &fd, err);
	if (r < 0)
		return r;
	r = read_open(source, file, fd, offset, data, size, now, err);
	lsp_file_cache_release(source->cache, file, fd);
	if (r == -LSP_E_CORRUPT)
		lsp_file_cache_drop(source->cache, file);
	return r;
}

int lsp_source_read(struct lsp_source *source, uint32_t file, uint64_t offset, void *data,
	size_t size, struct lsp_error *err)
{
	return read_file(source, file, offset, data, size, false, err);
}

bool lsp_source_has(struct lsp_source *source, uint32_t chunk)
{
	if (chunk >= source->manifest->chunk_count)
		return false;
	pthread_mutex_lock(&source->lock);
	bool has = !lsp_bitmap_get(&source->withdrawn, chunk);
	pthread_mutex_unlock(&source->lock);
	return has;
}

static int read_chunk(struct lsp_source *source, uint32_t chunk, uint64_t offset, void *data,
	size_t size, bool now, struct lsp_error *err)
{
	if (!lsp_source_has(source, chunk))
		return lsp_error_set(
			err, "content", LSP_E_NOT_FOUND, "chunk %u is not here", chunk);
	struct lsp_chunk c;
	lsp_manifest_chunk(source->manifest, chunk, &c);
	if (offset > c.size || size > c.size - offset)
		return lsp_error_set(err, "content", LSP_E_INVALID, "outside of the chunk");
	return read_file(source, c.file, c.offset + offset, data, size, now, err);
}

int lsp_source_read_chunk(struct lsp_source *source, uint32_t chunk, uint64_t offset, void *data,
	size_t size, struct lsp_error *err)
{
	return read_chunk(source, chunk, offset, data, size, false, err);
}

int lsp_source_read_chunk_now(struct lsp_source *source, uint32_t chunk, uint64_t offset,
	void *data, size_t size, struct lsp_error *err)
{
	return read_chunk(source, chunk, offset, data, size, true, err);
}

int lsp_source_leaves(struct lsp_source *source, uint32_t chunk, struct lsp_hash *ret_leaves,
	struct lsp_error *err)
{
	if (!lsp_source_has(source, chunk))
		return lsp_error_set(
			err, "content", LSP_E_NOT_FOUND, "chunk %u is not here", chunk);
	struct lsp_chunk c;
	lsp_manifest_chunk(source->manifest, chunk, &c);
	_cleanup_free_ uint8_t *bytes = malloc(c.size);
	if (!bytes)
		return lsp_error_no_memory(err, "content");
	int r = lsp_source_read_chunk(source, chunk, 0, bytes, c.size, err);
	if (r < 0)
		return r;
	lsp_merkle_hash_leaves(bytes, c.size, ret_leaves);
	return lsp_merkle_check_leaves(&c, ret_leaves) ? 0 : changed(source, c.file, err);
}

/* ---- A chunk was rejected ---- */

static void withdraw(struct lsp_source *source, uint32_t chunk, struct lsp_bitmap *wrong)
{
	pthread_mutex_lock(&source->lock);
	lsp_bitmap_set(&source->withdrawn, chunk);
	pthread_mutex_unlock(&source->lock);
	lsp_bitmap_set(wrong, chunk);
}

int lsp_source_recheck(struct lsp_source *source, uint32_t chunk, struct lsp_cancel *token,
	struct lsp_bitmap *wrong, struct lsp_error *err)
{
	if (chunk >= source->manifest->chunk_count)
		return lsp_error_set(err, "content", LSP_E_INVALID, "no chunk %u", chunk);
	struct lsp_chunk c;
	lsp_manifest_chunk(source->manifest, chunk, &c);
	const struct lsp_manifest_file *file = &source->manifest->files[c.file];
	int fd = -1;
	int opened = lsp_file_cache_acquire(source->cache, c.file, &fd, err);
	if (opened < 0 && opened != -LSP_E_NOT_FOUND && opened != -LSP_E_CORRUPT &&
		opened != -LSP_E_DENIED)
		return opened;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < file->chunk_count; i++) {
		lsp_manifest_chunk(source->manifest, file->first_chunk + i, &c);
		int checked = opened < 0 ? opened : lsp_hasher_check_chunk(fd, &c, err);
		if (checked < 0 && checked != -LSP_E_NO_MEMORY)
			withdraw(source, file->first_chunk + i, wrong);
		r = checked == -LSP_E_NO_MEMORY ? checked : lsp_cancel_check(token, err);
	}
	if (opened == 0)
		lsp_file_cache_release(source->cache, c.file, fd);
	return r;
}

void lsp_source_close_files(struct lsp_source *source)
{
	lsp_file_cache_drop_all(source->cache);
}
