/* What has to happen between open and the first writer, and each sync. */
#include "base/fs.h"
#include "content/redo.h"
#include "content/stage_private.h"
#include "task/cancel.h"

#include <fcntl.h>
#include <string.h>

#define SYNC_EACH_MAX 32

/* ---- Folders and sizes ---- */

/* Length of the folder part of a path; 0: none. */
static size_t folder_size(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) : 0;
}

/* Files come sorted, so a folder's files stand together: is this the first one of its folder? */
static bool same_folder(const char *a, const char *b)
{
	size_t size = folder_size(a);
	return size == folder_size(b) && memcmp(a, b, size) == 0;
}

static int make_folder_of(struct lsp_stage *stage, const char *path, struct lsp_error *err)
{
	size_t size = folder_size(path);
	if (size == 0)
		return 0;
	_cleanup_free_ char *folder = strndup(path, size);
	if (!folder)
		return lsp_error_no_memory(err, "content");
	return lsp_fs_make_dirs_below(stage->files_fd, folder, err);
}

/* Small files are made when their one chunk comes; empty ones now, since no chunk will. */
static int lay_out(struct lsp_stage *stage, struct lsp_cancel *token, struct lsp_error *err)
{
	const char *before = "";
	for (uint32_t i = 0; i < stage->manifest->file_count; i++) {
		const struct lsp_manifest_file *file = &stage->manifest->files[i];
		int r = lsp_cancel_check(token, err);
		if (r == 0 && !same_folder(before, file->path))
			r = make_folder_of(stage, file->path, err);
		before = file->path;
		_cleanup_close_ int fd = -1;
		if (r == 0 && file->chunk_count != 1 && !lsp_bitmap_get(&stage->kept, i))
			r = lsp_stage_open_file(stage, i, &fd, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- Doubts ---- */

/* 0: settled either way; an error only where the disk or memory fails. */
static int settle(struct lsp_stage *stage, uint32_t chunk, int fd, struct lsp_error *err)
{
	struct lsp_chunk c;
	struct lsp_error why = {0};
	lsp_manifest_chunk(stage->manifest, chunk, &c);
	int r = lsp_hasher_check_chunk(fd, &c, &why);
	if (r < 0 && r != -LSP_E_CORRUPT) {
		if (err)
			*err = why;
		return r;
	}
	return r == 0 ? lsp_stage_mark(stage, chunk, err) : 0;
}

static int settle_all(struct lsp_stage *stage, struct lsp_cancel *token,
	lsp_stage_progress progress, void *argument, struct lsp_error *err)
{
	uint64_t total = (uint64_t)stage->doubtful.set * stage->manifest->piece_length, done = 0;
	uint32_t open_file = UINT32_MAX;
	_cleanup_close_ int fd = -1;
	size_t chunk = lsp_bitmap_next_set(&stage->doubtful, 0);
	for (; chunk < stage->doubtful.bits;
		chunk = lsp_bitmap_next_set(&stage->doubtful, chunk + 1)) {
		struct lsp_chunk c;
		lsp_manifest_chunk(stage->manifest, (uint32_t)chunk, &c);
		int r = lsp_cancel_check(token, err);
		if (r == 0 && c.file != open_file) {
			lsp_cleanup_close(&fd);
			fd = -1;
			r = lsp_fs_open_below(stage->files_fd, stage->manifest->files[c.file].path,
				O_RDONLY, 0, &fd, err);
			open_file = c.file;
		}
		if (r == 0)
			r = settle(stage, (uint32_t)chunk, fd, err);
		if (r < 0)
			return r;
		done += c.size;
		if (progress)
			progress(argument, done, LSP_MAX(done, total));
	}
	return 0;
}

/*
 * The new `chunks` is written last: until then the old one, with its older boot, still tells which
 * chunks are worth checking, should we be killed meanwhile.
 */
int lsp_stage_prepare(struct lsp_stage *stage, struct lsp_cancel *token,
	lsp_stage_progress progress, void *argument, struct lsp_error *err)
{
	int r = lsp_stage_check(stage, err);
	if (r == 0)
		r = lay_out(stage, token, err);
	if (r == 0)
		r = settle_all(stage, token, progress, argument, err);
	int fd = -1;
	if (r == 0)
		r = lsp_stage_map_create(stage->stage_fd, &stage->manifest->content_id, stage->boot,
			&stage->staged, &fd, err);
	if (r < 0)
		return r;
	lsp_cleanup_close(&stage->map_fd);
	stage->map_fd = fd;
	return 0;
}

/* ---- Sync ---- */

/* The folders of a path from its own up to, and with, files/ itself; those shared with `before`
 * not. */
static int sync_folders_of(
	struct lsp_stage *stage, const char *before, const char *path, struct lsp_error *err)
{
	_cleanup_free_ char *folder = strdup(path);
	if (!folder)
		return lsp_error_no_memory(err, "content");
	for (;;) {
		size_t size = folder_size(folder);
		folder[size] = '\0';
		if (size == 0)
			return 0;
		if (strncmp(before, folder, size) == 0 && before[size] == '/')
			return 0;
		int r = lsp_redo_sync_folder(stage->files_fd, folder, err);
		if (r < 0)
			return r;
	}
}

static int sync_file(struct lsp_stage *stage, uint32_t file, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	const char *path = stage->manifest->files[file].path;
	int r = lsp_fs_open_below(stage->files_fd, path, O_RDONLY, 0, &fd, err);
	return r < 0 ? r : lsp_fs_sync(fd, path, err);
}

static int sync_each(struct lsp_stage *stage, const struct lsp_bitmap *which, struct lsp_error *err)
{
	for (size_t i = lsp_bitmap_next_set(which, 0); i < which->bits;
		i = lsp_bitmap_next_set(which, i + 1)) {
		int r = sync_file(stage, (uint32_t)i, err);
		if (r < 0)
			return r;
	}
	const char *before = "";
	for (size_t i = lsp_bitmap_next_set(which, 0); i < which->bits;
		i = lsp_bitmap_next_set(which, i + 1)) {
		int r = sync_folders_of(stage, before, stage->manifest->files[i].path, err);
		if (r < 0)
			return r;
		before = stage->manifest->files[i].path;
	}
	return lsp_redo_sync_folder(stage->stage_fd, LSP_STAGE_FILES, err);
}

/*
 * Files in `which`, and every folder that leads to one. Many at once go to the disk by one sync of
 * the filesystem: 20,000 small files one by one took 45 s.
 */
static int sync_files(
	struct lsp_stage *stage, const struct lsp_bitmap *which, struct lsp_error *err)
{
	if (which->set > SYNC_EACH_MAX)
		return lsp_fs_sync_all(stage->files_fd, LSP_STAGE_FILES, err);
	return sync_each(stage, which, err);
}

/* What is to be synced and what may be believed afterwards, at one moment. */
static int snapshot(struct lsp_stage *stage, struct lsp_bitmap *dirty, struct lsp_bitmap *done,
	bool all, struct lsp_error *err)
{
	int r = lsp_bitmap_init(dirty, stage->dirty.bits, err);
	if (r == 0)
		r = lsp_bitmap_init(done, stage->done.bits, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&stage->lock);
	memcpy(dirty->bytes, stage->dirty.bytes, lsp_bitmap_bytes(dirty));
	dirty->set = stage->dirty.set;
	memcpy(done->bytes, stage->staged.bytes, lsp_bitmap_bytes(done));
	done->set = stage->staged.set;
	lsp_bitmap_reset(&stage->dirty);
	stage->unsynced = 0;
	for (size_t i = 0; all && i < dirty->bits; i++) {
		if (!lsp_bitmap_get(&stage->kept, i))
			lsp_bitmap_set(dirty, i);
	}
	pthread_mutex_unlock(&stage->lock);
	return 0;
}

static int sync_once(struct lsp_stage *stage, bool all, struct lsp_error *err)
{
	_cleanup_bitmap_ struct lsp_bitmap dirty = {0}, done = {0};
	int r = lsp_stage_check(stage, err);
	if (r == 0)
		r = snapshot(stage, &dirty, &done, all, err);
	if (r < 0 || dirty.set == 0)
		return r;
	struct lsp_error why = {0};
	r = sync_files(stage, &dirty, &why);
	if (r == 0)
		r = lsp_stage_map_write_synced(
			stage->stage_fd, &stage->manifest->content_id, &done, &why);
	if (r == 0)
		return 0;
	if (err)
		*err = why;
	return lsp_stage_break(stage, &why);
}

static int sync_with(struct lsp_stage *stage, bool all, struct lsp_error *err)
{
	pthread_mutex_lock(&stage->lock);
	while (stage->syncing)
		pthread_cond_wait(&stage->write_ended, &stage->lock);
	stage->syncing = true;
	pthread_mutex_unlock(&stage->lock);
	int r = sync_once(stage, all, err);
	pthread_mutex_lock(&stage->lock);
	stage->syncing = false;
	pthread_cond_broadcast(&stage->write_ended);
	pthread_mutex_unlock(&stage->lock);
	return r;
}

int lsp_stage_sync(struct lsp_stage *stage, struct lsp_error *err)
{
	return sync_with(stage, false, err);
}

int lsp_stage_sync_all(struct lsp_stage *stage, struct lsp_error *err)
{
	return sync_with(stage, true, err);
}
