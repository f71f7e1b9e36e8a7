#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "content/redo.h"
#include "content/stage_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define READERS_MAX 16
#define MANIFEST_FILE_MAX (LSP_MANIFEST_INFO_MAX + LSP_MANIFEST_LAYERS_MAX + 8)

/* ---- What lies in a game's folder ---- */

int lsp_stage_find(int game_dir_fd, const struct lsp_manifest **ret_manifest, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	int r = lsp_fs_read_file_below(game_dir_fd, LSP_STAGE_FOLDER "/" LSP_STAGE_MANIFEST,
		MANIFEST_FILE_MAX, &text, err);
	if (r < 0)
		return r;
	r = lsp_manifest_parse(text.data, text.size, NULL, ret_manifest, err);
	return r < 0 ? lsp_error_prefix(err, r, "the download in " LSP_STAGE_FOLDER) : 0;
}

/* Our own entries and no others: an install may stage beside us. */
int lsp_stage_remove(int game_dir_fd, struct lsp_error *err)
{
	static const char *const ours[] = {LSP_STAGE_MANIFEST, LSP_STAGE_MAP, LSP_STAGE_MAP_SYNCED,
		LSP_STAGE_KEPT, LSP_STAGE_FILES};
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_dir_below(game_dir_fd, LSP_STAGE_FOLDER, &fd, err);
	if (r == -LSP_E_NOT_FOUND)
		return 0;
	for (size_t i = 0; r == 0 && i < LSP_ARRAY_SIZE(ours); i++)
		r = lsp_fs_remove_tree_below(fd, ours[i], err);
	if (r == 0 && lsp_fs_rmdir_below(game_dir_fd, LSP_STAGE_FOLDER, NULL) < 0)
		lsp_log_debug("content", "the stage folder stays: it holds something else");
	return r;
}

/* ---- Open ---- */

/* For serving: a verified chunk lies in the stage, where it is kept, or where it was moved to. */
static int open_reader(void *argument, uint32_t file, int *ret_fd, struct lsp_error *err)
{
	struct lsp_stage *stage = argument;
	const char *path = stage->manifest->files[file].path;
	pthread_mutex_lock(&stage->lock);
	bool kept = lsp_bitmap_get(&stage->kept, file), moving = stage->moving;
	struct lsp_file_stamp expected =
		kept ? stage->kept_stamps[file] : (struct lsp_file_stamp){0};
	pthread_mutex_unlock(&stage->lock);
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_below(
		kept ? stage->game_fd : stage->files_fd, path, O_RDONLY, 0, &fd, err);
	if (r == -LSP_E_NOT_FOUND && moving)
		r = lsp_fs_open_below(stage->game_fd, path, O_RDONLY, 0, &fd, err);
	if (r < 0)
		return r;
	struct stat st;
	struct lsp_file_stamp stamp;
	if (fstat(fd, &st) < 0)
		return lsp_error_errno(err, "content", errno, "cannot look at \"%s\"", path);
	lsp_file_stamp_from(&st, &stamp);
	if (kept && !lsp_file_stamp_equal(&stamp, &expected))
		return lsp_error_set(err, "content", LSP_E_CORRUPT,
			"\"%s\" was changed since it was read: leave it alone and start again",
			path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* The folder with our manifest in it; what another content left is removed first. */
static int open_folder(struct lsp_stage *stage, struct lsp_error *err)
{
	_cleanup_manifest_ const struct lsp_manifest *found = NULL;
	_cleanup_buffer_ struct lsp_buffer text = {0};
	int r = lsp_stage_find(stage->game_fd, &found, err);
	bool ours = r == 0 && lsp_hash_equal(&found->content_id, &stage->manifest->content_id);
	if (r < 0 && r != -LSP_E_NOT_FOUND && r != -LSP_E_PROTOCOL && r != -LSP_E_CORRUPT)
		return r;
	r = ours ? 0 : lsp_stage_remove(stage->game_fd, err);
	if (r == 0)
		r = lsp_fs_make_dirs_below(
			stage->game_fd, LSP_STAGE_FOLDER "/" LSP_STAGE_FILES, err);
	if (r == 0)
		r = lsp_fs_open_dir_below(stage->game_fd, LSP_STAGE_FOLDER, &stage->stage_fd, err);
	if (r == 0)
		r = lsp_fs_open_dir_below(stage->stage_fd, LSP_STAGE_FILES, &stage->files_fd, err);
	if (r == 0 && !ours)
		r = lsp_manifest_serialize(stage->manifest, &text, err);
	if (r == 0 && !ours)
		r = lsp_fs_write_file_below(
			stage->stage_fd, LSP_STAGE_MANIFEST, text.data, text.size, 0644, err);
	/* What leads here must survive a power cut as well. */
	if (r == 0 && !ours)
		r = lsp_redo_sync_folder(stage->game_fd, LSP_REDO_PRIVATE, err);
	if (r == 0 && !ours)
		r = lsp_redo_sync_folder(stage->game_fd, ".", err);
	return r;
}

/* Moves the chunks of a file from believed and doubtful to missing. */
static void forget_file(struct lsp_stage *stage, const struct lsp_manifest_file *file)
{
	for (uint32_t i = 0; i < file->chunk_count; i++) {
		lsp_bitmap_clear(&stage->staged, file->first_chunk + i);
		lsp_bitmap_clear(&stage->doubtful, file->first_chunk + i);
	}
}

/*
 * A map speaks of files: those that are not there, or too short, have nothing. What was written
 * before a kill may not have reached the disk, so the next sync is of all that have something.
 */
static void compare_with_files(struct lsp_stage *stage)
{
	for (uint32_t i = 0; i < stage->manifest->file_count; i++) {
		const struct lsp_manifest_file *file = &stage->manifest->files[i];
		size_t end = (size_t)file->first_chunk + file->chunk_count;
		if (!lsp_bitmap_any(&stage->staged, file->first_chunk, end) &&
			!lsp_bitmap_any(&stage->doubtful, file->first_chunk, end))
			continue;
		struct stat st;
		if (lsp_fs_stat_below(stage->files_fd, file->path, &st, NULL) < 0 ||
			!S_ISREG(st.st_mode) || (uint64_t)st.st_size != file->size)
			forget_file(stage, file);
		else
			lsp_bitmap_set(&stage->dirty, i);
	}
}

static uint64_t count_left(struct lsp_stage *stage)
{
	uint64_t left = 0;
	size_t end = stage->manifest->chunk_count;
	for (size_t i = lsp_bitmap_next_clear(&stage->done, 0); i < end;
		i = lsp_bitmap_next_clear(&stage->done, i + 1)) {
		struct lsp_chunk chunk;
		lsp_manifest_chunk(stage->manifest, (uint32_t)i, &chunk);
		left += chunk.size;
	}
	return left;
}

/*
 * "boot <id>", then "<file> <size> <mtime> <ctime>" a line. A line that does not fit ends the
 * reading: not kept. After another boot none is: a file that somebody else wrote may not have
 * reached the disk before the power went, and its size and times tell nothing of that.
 */
static void load_kept(struct lsp_stage *stage)
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	if (lsp_fs_read_file_below(stage->stage_fd, LSP_STAGE_KEPT, 64u << 20, &text, NULL) < 0)
		return;
	char *save = NULL, *line = strtok_r((char *)text.data, "\n", &save);
	if (!line || !*stage->boot || strncmp(line, "boot ", 5) != 0 ||
		strcmp(line + 5, stage->boot) != 0)
		return;
	while ((line = strtok_r(NULL, "\n", &save))) {
		unsigned long long file, size;
		long long mtime, ctime;
		if (sscanf(line, "%llu %llu %lld %lld", &file, &size, &mtime, &ctime) != 4 ||
			file >= stage->manifest->file_count)
			return;
		stage->kept_stamps[file] = (struct lsp_file_stamp){size, mtime, ctime};
		lsp_bitmap_set(&stage->kept, (size_t)file);
		if (!lsp_stage_is_kept(stage, (uint32_t)file))
			lsp_bitmap_clear(&stage->kept, (size_t)file);
	}
}

/* What counts: what is staged, and what is kept, for which its stamps vouch and not the maps. */
static void count_done(struct lsp_stage *stage)
{
	for (size_t i = lsp_bitmap_next_set(&stage->staged, 0); i < stage->staged.bits;
		i = lsp_bitmap_next_set(&stage->staged, i + 1))
		lsp_bitmap_set(&stage->done, i);
	for (size_t i = lsp_bitmap_next_set(&stage->kept, 0); i < stage->kept.bits;
		i = lsp_bitmap_next_set(&stage->kept, i + 1)) {
		const struct lsp_manifest_file *file = &stage->manifest->files[i];
		for (uint32_t c = 0; c < file->chunk_count; c++) {
			lsp_bitmap_set(&stage->done, file->first_chunk + c);
			lsp_bitmap_clear(&stage->doubtful, file->first_chunk + c);
		}
	}
}

static int load(struct lsp_stage *stage, struct lsp_error *err)
{
	size_t chunks = stage->manifest->chunk_count, files = stage->manifest->file_count;
	int r = lsp_bitmap_init(&stage->done, chunks, err);
	if (r == 0)
		r = lsp_bitmap_init(&stage->staged, chunks, err);
	if (r == 0)
		r = lsp_bitmap_init(&stage->doubtful, chunks, err);
	if (r == 0)
		r = lsp_bitmap_init(&stage->map_dirty, (chunks + 7) / 8, err);
	if (r == 0)
		r = lsp_bitmap_init(&stage->kept, files, err);
	if (r == 0)
		r = lsp_bitmap_init(&stage->dirty, files, err);
	if (r == 0 && !(stage->kept_stamps = calloc(files, sizeof *stage->kept_stamps)))
		r = lsp_error_no_memory(err, "content");
	if (r == 0)
		r = lsp_file_cache_new(READERS_MAX, open_reader, stage, &stage->readers, err);
	if (r == 0)
		r = lsp_stage_map_load(stage->stage_fd, &stage->manifest->content_id, stage->boot,
			&stage->staged, &stage->doubtful, err);
	if (r < 0)
		return r;
	load_kept(stage);
	compare_with_files(stage);
	count_done(stage);
	stage->left_bytes = count_left(stage);
	return 0;
}

int lsp_stage_open(int game_dir_fd, const struct lsp_manifest *manifest,
	struct lsp_stage **ret_stage, struct lsp_error *err)
{
	struct lsp_stage *fresh = calloc(1, sizeof *fresh);
	if (!fresh)
		return lsp_error_no_memory(err, "content");
	fresh->refs = 1;
	fresh->manifest = lsp_manifest_ref(manifest);
	fresh->game_fd = fresh->stage_fd = fresh->files_fd = fresh->map_fd = -1;
	pthread_mutex_init(&fresh->lock, NULL);
	pthread_cond_init(&fresh->write_ended, NULL);
	lsp_boot_id_read(fresh->boot);
	_cleanup_stage_ struct lsp_stage *stage = fresh;
	stage->game_fd = fcntl(game_dir_fd, F_DUPFD_CLOEXEC, 3);
	if (stage->game_fd < 0)
		return lsp_error_errno(err, "content", errno, "cannot keep the folder open");
	int r = open_folder(stage, err);
	if (r == 0)
		r = load(stage, err);
	if (r < 0)
		return r;
	*ret_stage = TAKE_PTR(stage);
	return 0;
}

struct lsp_stage *lsp_stage_ref(struct lsp_stage *stage)
{
	atomic_fetch_add_explicit(&stage->refs, 1, memory_order_relaxed);
	return stage;
}

void lsp_stage_unref(struct lsp_stage *stage)
{
	if (!stage || atomic_fetch_sub_explicit(&stage->refs, 1, memory_order_acq_rel) != 1)
		return;
	lsp_file_cache_free(stage->readers);
	for (unsigned i = 0; i < stage->local_count; i++) {
		lsp_cleanup_close(&stage->locals[i].dir_fd);
		lsp_manifest_unref(stage->locals[i].manifest);
	}
	lsp_cleanup_close(&stage->map_fd);
	lsp_cleanup_close(&stage->files_fd);
	lsp_cleanup_close(&stage->stage_fd);
	lsp_cleanup_close(&stage->game_fd);
	lsp_bitmap_done(&stage->done);
	lsp_bitmap_done(&stage->staged);
	lsp_bitmap_done(&stage->doubtful);
	lsp_bitmap_done(&stage->map_dirty);
	lsp_bitmap_done(&stage->kept);
	lsp_bitmap_done(&stage->dirty);
	free(stage->kept_stamps);
	pthread_cond_destroy(&stage->write_ended);
	pthread_mutex_destroy(&stage->lock);
	lsp_manifest_unref(stage->manifest);
	free(stage);
}

/* ---- State ---- */

const struct lsp_manifest *lsp_stage_manifest(const struct lsp_stage *stage)
{
	return stage->manifest;
}

int lsp_stage_check(struct lsp_stage *stage, struct lsp_error *err)
{
	pthread_mutex_lock(&stage->lock);
	struct lsp_error broken = stage->broken;
	pthread_mutex_unlock(&stage->lock);
	if (broken.code && err)
		*err = broken;
	return -broken.code;
}

int lsp_stage_break(struct lsp_stage *stage, const struct lsp_error *why)
{
	pthread_mutex_lock(&stage->lock);
	if (!stage->broken.code)
		stage->broken = *why;
	pthread_mutex_unlock(&stage->lock);
	return -why->code;
}

bool lsp_stage_has(struct lsp_stage *stage, uint32_t chunk)
{
	pthread_mutex_lock(&stage->lock);
	bool has = lsp_bitmap_get(&stage->done, chunk);
	pthread_mutex_unlock(&stage->lock);
	return has;
}

void lsp_stage_chunks_copy(struct lsp_stage *stage, struct lsp_bitmap *map)
{
	pthread_mutex_lock(&stage->lock);
	memcpy(map->bytes, stage->done.bytes, lsp_bitmap_bytes(&stage->done));
	map->set = stage->done.set;
	pthread_mutex_unlock(&stage->lock);
}

void lsp_stage_staged_copy(struct lsp_stage *stage, struct lsp_bitmap *map)
{
	pthread_mutex_lock(&stage->lock);
	memcpy(map->bytes, stage->staged.bytes, lsp_bitmap_bytes(&stage->staged));
	map->set = stage->staged.set;
	pthread_mutex_unlock(&stage->lock);
}

void lsp_stage_kept_copy(struct lsp_stage *stage, struct lsp_bitmap *map)
{
	pthread_mutex_lock(&stage->lock);
	memcpy(map->bytes, stage->kept.bytes, lsp_bitmap_bytes(&stage->kept));
	map->set = stage->kept.set;
	pthread_mutex_unlock(&stage->lock);
}

void lsp_stage_left(struct lsp_stage *stage, uint64_t *ret_bytes, uint32_t *ret_chunks)
{
	pthread_mutex_lock(&stage->lock);
	*ret_bytes = stage->left_bytes;
	*ret_chunks = (uint32_t)(stage->done.bits - stage->done.set);
	pthread_mutex_unlock(&stage->lock);
}

static bool has_file(const struct lsp_manifest *old, const struct lsp_manifest_file *file)
{
	const struct lsp_manifest_file *same = old ? lsp_manifest_find(old, file->path) : NULL;
	return same && same->size == file->size && same->executable == file->executable &&
	       lsp_hash_equal(&same->root, &file->root);
}

uint64_t lsp_stage_space_needed(struct lsp_stage *stage, const struct lsp_manifest *old)
{
	uint64_t needed = 0;
	for (uint32_t i = 0; i < stage->manifest->file_count; i++) {
		const struct lsp_manifest_file *file = &stage->manifest->files[i];
		struct stat st;
		pthread_mutex_lock(&stage->lock);
		bool kept = lsp_bitmap_get(&stage->kept, i);
		bool written = lsp_bitmap_get(&stage->staged, file->first_chunk) ||
			       lsp_bitmap_get(&stage->doubtful, file->first_chunk);
		pthread_mutex_unlock(&stage->lock);
		if (kept || file->size == 0 || has_file(old, file))
			continue;
		uint64_t there = 0;
		/* A file of one chunk has it whole or hardly anything: not asked for 20,000 times.
		 */
		if ((written || file->chunk_count > 1) &&
			lsp_fs_stat_below(stage->files_fd, file->path, &st, NULL) == 0)
			there = (uint64_t)st.st_blocks * 512;
		needed += file->size > there ? file->size - there : 0;
	}
	return needed;
}

uint64_t lsp_stage_unsynced(struct lsp_stage *stage)
{
	pthread_mutex_lock(&stage->lock);
	uint64_t bytes = stage->unsynced;
	pthread_mutex_unlock(&stage->lock);
	return bytes;
}

void lsp_stage_wrote(struct lsp_stage *stage, uint32_t file, uint64_t bytes)
{
	pthread_mutex_lock(&stage->lock);
	lsp_bitmap_set(&stage->dirty, file);
	stage->unsynced += bytes;
	pthread_mutex_unlock(&stage->lock);
}

/*
 * Bits go to the disk by one thread at a time, so that an older byte never overwrites a newer one:
 * who finds another at it leaves the byte marked for that one.
 */
static int flush_map(struct lsp_stage *stage, struct lsp_error *err)
{
	int r = 0;
	pthread_mutex_lock(&stage->lock);
	if (stage->map_writing || stage->map_fd < 0) {
		pthread_mutex_unlock(&stage->lock);
		return 0;
	}
	stage->map_writing = true;
	for (;;) {
		size_t index = lsp_bitmap_next_set(&stage->map_dirty, 0);
		if (index == stage->map_dirty.bits || r < 0)
			break;
		uint8_t byte = stage->staged.bytes[index];
		lsp_bitmap_clear(&stage->map_dirty, index);
		pthread_mutex_unlock(&stage->lock);
		r = lsp_stage_map_write(stage->map_fd, index, byte, err);
		pthread_mutex_lock(&stage->lock);
		if (r < 0)
			lsp_bitmap_set(&stage->map_dirty, index);
	}
	stage->map_writing = false;
	pthread_mutex_unlock(&stage->lock);
	return r;
}

int lsp_stage_mark(struct lsp_stage *stage, uint32_t chunk, struct lsp_error *err)
{
	struct lsp_chunk c;
	lsp_manifest_chunk(stage->manifest, chunk, &c);
	pthread_mutex_lock(&stage->lock);
	if (lsp_bitmap_set(&stage->done, chunk))
		stage->left_bytes -= c.size;
	if (lsp_bitmap_set(&stage->staged, chunk))
		lsp_bitmap_set(&stage->map_dirty, chunk / 8);
	lsp_bitmap_set(&stage->dirty, c.file); /* also where it was found, written by another */
	pthread_mutex_unlock(&stage->lock);
	return flush_map(stage, err);
}

/* ---- Files ---- */

int lsp_stage_open_file(struct lsp_stage *stage, uint32_t file, int *ret_fd, struct lsp_error *err)
{
	const struct lsp_manifest_file *f = &stage->manifest->files[file];
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_below(
		stage->files_fd, f->path, O_RDWR | O_CREAT, f->executable ? 0755 : 0644, &fd, err);
	if (r < 0)
		return r;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return lsp_error_errno(err, "content", errno, "cannot look at \"%s\"", f->path);
	if (st.st_nlink != 1)
		return lsp_error_set(err, "content", LSP_E_DENIED,
			"\"%s\" in the stage has another name too (a hard link), and is not "
			"written: remove it there and get the game again",
			f->path);
	if ((uint64_t)st.st_size != f->size)
		r = lsp_fs_truncate(fd, f->size, f->path, err);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int read_staged(struct lsp_stage *stage, uint32_t file, uint64_t offset, void *data,
	size_t size, bool now, struct lsp_error *err)
{
	int fd = -1, r = 0;
	size_t got = size;
	if (!now)
		r = lsp_file_cache_acquire(stage->readers, file, &fd, err);
	else if (!lsp_file_cache_acquire_open(stage->readers, file, &fd))
		r = lsp_error_set(err, "content", LSP_E_BUSY, "the file is not open");
	if (r < 0)
		return r;
	r = now ? lsp_fs_read_cached(fd, data, size, offset, err)
		: lsp_fs_read_at(fd, data, size, offset, &got, err);
	lsp_file_cache_release(stage->readers, file, fd);
	if (r == 0 && got != size)
		return lsp_error_set(err, "content", LSP_E_CORRUPT, "\"%s\" became shorter",
			stage->manifest->files[file].path);
	return r;
}

static int read_verified(struct lsp_stage *stage, uint32_t chunk, uint64_t offset, void *data,
	size_t size, bool now, struct lsp_error *err)
{
	if (!lsp_stage_has(stage, chunk))
		return lsp_error_set(
			err, "content", LSP_E_NOT_FOUND, "chunk %u is not here yet", chunk);
	struct lsp_chunk c;
	lsp_manifest_chunk(stage->manifest, chunk, &c);
	if (offset > c.size || size > c.size - offset)
		return lsp_error_set(err, "content", LSP_E_INVALID, "outside of the chunk");
	return read_staged(stage, c.file, c.offset + offset, data, size, now, err);
}

int lsp_stage_read(struct lsp_stage *stage, uint32_t chunk, uint64_t offset, void *data,
	size_t size, struct lsp_error *err)
{
	return read_verified(stage, chunk, offset, data, size, false, err);
}

int lsp_stage_read_now(struct lsp_stage *stage, uint32_t chunk, uint64_t offset, void *data,
	size_t size, struct lsp_error *err)
{
	return read_verified(stage, chunk, offset, data, size, true, err);
}
