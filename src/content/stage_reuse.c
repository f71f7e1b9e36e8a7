/*
 * What is on this machine already: whole files by root, pieces by hash. Nothing is believed that
 * was not hashed here and now: of a byte that fell over on the disk no size and no time tells.
 */
#include "base/fs.h"
#include "content/executable.h"
#include "content/stage_private.h"
#include "task/cancel.h"
#include "wire/merkle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define COPY_SIZE ((size_t)256 << 10)

struct reuse {
	struct lsp_stage *stage;
	int dir_fd;
	const struct lsp_manifest *other;
	bool in_place;
	struct lsp_cancel *token;
	lsp_stage_progress progress;
	void *argument;
	uint64_t done;
	struct lsp_executables executables; /* of dir_fd */
	uint32_t *by_root;                  /* files of `other` in order of root */
	uint32_t *by_hash; /* chunks of `other` in order of hash; NULL: other piece length */
};

/* ---- Kept files ---- */

bool lsp_stage_is_kept(struct lsp_stage *stage, uint32_t file)
{
	struct stat st;
	struct lsp_file_stamp stamp;
	pthread_mutex_lock(&stage->lock);
	bool kept = lsp_bitmap_get(&stage->kept, file);
	struct lsp_file_stamp expected = stage->kept_stamps[file];
	pthread_mutex_unlock(&stage->lock);
	const struct lsp_manifest_file *f = &stage->manifest->files[file];
	if (!kept || lsp_fs_stat_below(stage->game_fd, f->path, &st, NULL) < 0 ||
		!S_ISREG(st.st_mode))
		return false;
	lsp_file_stamp_from(&st, &stamp);
	return stamp.size == f->size && lsp_file_stamp_equal(&stamp, &expected);
}

int lsp_stage_save_kept(struct lsp_stage *stage, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	size_t count = 0;
	int r = lsp_buffer_printf(&text, err, "boot %s\n", stage->boot);
	for (uint32_t i = 0; r == 0 && i < stage->manifest->file_count; i++) {
		pthread_mutex_lock(&stage->lock);
		bool kept = lsp_bitmap_get(&stage->kept, i);
		struct lsp_file_stamp stamp = stage->kept_stamps[i];
		pthread_mutex_unlock(&stage->lock);
		count += kept;
		if (kept)
			r = lsp_buffer_printf(&text, err,
				"%" PRIu32 " %" PRIu64 " %" PRId64 " %" PRId64 "\n", i, stamp.size,
				stamp.mtime_ns, stamp.ctime_ns);
	}
	if (r == 0 && count)
		r = lsp_fs_write_file_below(
			stage->stage_fd, LSP_STAGE_KEPT, text.data, text.size, 0644, err);
	return r;
}

/* What was staged of it is gone. */
static void keep(struct lsp_stage *stage, uint32_t file, const struct lsp_file_stamp *stamp)
{
	const struct lsp_manifest_file *f = &stage->manifest->files[file];
	pthread_mutex_lock(&stage->lock);
	lsp_bitmap_set(&stage->kept, file);
	lsp_bitmap_clear(&stage->dirty, file);
	stage->kept_stamps[file] = *stamp;
	for (uint32_t i = 0; i < f->chunk_count; i++) {
		uint32_t chunk = f->first_chunk + i;
		struct lsp_chunk c;
		lsp_manifest_chunk(stage->manifest, chunk, &c);
		if (lsp_bitmap_set(&stage->done, chunk))
			stage->left_bytes -= c.size;
		if (lsp_bitmap_clear(&stage->staged, chunk))
			lsp_bitmap_set(&stage->map_dirty, chunk / 8);
	}
	pthread_mutex_unlock(&stage->lock);
	lsp_file_cache_drop(stage->readers, file);
}

/* Is the open file what the manifest says? Reads all of it. */
static int hash_matches(
	struct reuse *reuse, uint32_t file, int fd, bool *ret_matches, struct lsp_error *err)
{
	const struct lsp_manifest_file *f = &reuse->stage->manifest->files[file];
	for (uint32_t i = 0; i < f->chunk_count; i++) {
		struct lsp_chunk c;
		lsp_manifest_chunk(reuse->stage->manifest, f->first_chunk + i, &c);
		int r = lsp_cancel_check(reuse->token, err);
		if (r < 0)
			return r;
		if (lsp_hasher_check_chunk(fd, &c, NULL) < 0) {
			*ret_matches = false;
			return 0;
		}
	}
	*ret_matches = true;
	return 0;
}

/* True in *ret_kept if the file can stay where it is. */
static int try_keep(struct reuse *reuse, uint32_t file, bool *ret_kept, struct lsp_error *err)
{
	const struct lsp_manifest_file *f = &reuse->stage->manifest->files[file];
	const struct lsp_manifest_file *same = lsp_manifest_find(reuse->other, f->path);
	*ret_kept = false;
	if (!reuse->in_place || !same || same->size != f->size ||
		same->executable != f->executable || !lsp_hash_equal(&same->root, &f->root))
		return 0;
	_cleanup_close_ int fd = -1;
	struct stat st;
	struct lsp_file_stamp stamp;
	if (lsp_fs_open_below(reuse->dir_fd, f->path, O_RDONLY, 0, &fd, NULL) < 0 ||
		fstat(fd, &st) < 0)
		return 0;
	lsp_file_stamp_from(&st, &stamp);
	if (stamp.size != f->size ||
		lsp_executables_has(&reuse->executables, f->path, st.st_mode) != f->executable)
		return 0;
	bool matches;
	int r = hash_matches(reuse, file, fd, &matches, err);
	if (r < 0 || !matches)
		return r;
	/* Nobody shall find an empty place-holder where the stage would have the file. */
	r = lsp_fs_remove_tree_below(reuse->stage->files_fd, f->path, err);
	if (r < 0)
		return r;
	keep(reuse->stage, file, &stamp);
	*ret_kept = true;
	return 0;
}

/* ---- Copies
 * -----------------------------------------------------------------------------------------------
 */

/* One chunk from an open file at an offset, hashed on its way. What does not fit is not an error.
 */
static int copy_chunk(struct reuse *reuse, uint32_t chunk, int fd, uint64_t offset, uint8_t *buffer,
	struct lsp_error *err)
{
	_cleanup_(lsp_stage_writer_free_pointer) struct lsp_stage_writer *writer = NULL;
	struct lsp_chunk c;
	lsp_manifest_chunk(reuse->stage->manifest, chunk, &c);
	int r = lsp_stage_writer_new(reuse->stage, chunk, &writer, err);
	for (uint32_t at = 0; r == 0 && at < c.size;) {
		size_t want = LSP_MIN((size_t)(c.size - at), COPY_SIZE), got = 0;
		if (lsp_fs_read_at(fd, buffer, want, offset + at, &got, NULL) < 0 || got != want)
			return 0;
		r = lsp_stage_writer_write(writer, buffer, want, err);
		at += (uint32_t)want;
	}
	if (r == 0)
		r = lsp_stage_writer_finish(writer, err);
	return r == -LSP_E_CORRUPT || r == -LSP_E_EXISTS || r == -LSP_E_BUSY ? 0 : r;
}

static void advance(struct reuse *reuse, uint64_t bytes)
{
	reuse->done += bytes;
	if (reuse->progress)
		reuse->progress(reuse->argument, reuse->done, reuse->stage->manifest->total_size);
}

static const struct lsp_manifest_file *find_by_root(
	const struct reuse *reuse, const struct lsp_manifest_file *file)
{
	uint32_t low = 0, high = reuse->other->file_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct lsp_manifest_file *f = &reuse->other->files[reuse->by_root[middle]];
		if (memcmp(f->root.bytes, file->root.bytes, LSP_SHA256_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < reuse->other->file_count; low++) {
		const struct lsp_manifest_file *f = &reuse->other->files[reuse->by_root[low]];
		if (!lsp_hash_equal(&f->root, &file->root))
			break;
		if (f->size == file->size)
			return f;
	}
	return NULL;
}

static bool has_staged(struct lsp_stage *stage, const struct lsp_manifest_file *file)
{
	pthread_mutex_lock(&stage->lock);
	bool has = lsp_bitmap_any(
		&stage->staged, file->first_chunk, (size_t)file->first_chunk + file->chunk_count);
	pthread_mutex_unlock(&stage->lock);
	return has;
}

/*
 * A reflink of the namesake first, where the filesystem has them: then only what differs takes
 * space. Nothing in it counts before it is hashed. Not over what counts already, also where a
 * filesystem calls a file without blocks whatever is in it.
 */
static void try_clone(struct reuse *reuse, uint32_t file, int from_fd)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	const struct lsp_manifest_file *f = &reuse->stage->manifest->files[file];
	if (has_staged(reuse->stage, f) || lsp_stage_open_file(reuse->stage, file, &fd, NULL) < 0 ||
		fstat(fd, &st) < 0 || st.st_blocks != 0 ||
		lsp_fs_truncate(fd, 0, f->path, NULL) < 0)
		return;
	if (lsp_fs_clone(from_fd, fd, NULL) == 0)
		lsp_stage_wrote(reuse->stage, file, f->size);
	/* Whether it worked or not, the size is the manifest's again. */
	if (lsp_fs_truncate(fd, f->size, f->path, NULL) < 0)
		return;
}

/* Chunks of the staged file that a clone already made right. */
static int check_cloned(struct reuse *reuse, uint32_t chunk, int staged_fd, struct lsp_error *err)
{
	struct lsp_chunk c;
	lsp_manifest_chunk(reuse->stage->manifest, chunk, &c);
	if (lsp_hasher_check_chunk(staged_fd, &c, NULL) < 0)
		return 0;
	return lsp_stage_mark(reuse->stage, chunk, err);
}

/* The whole file from one of the same root, chunk by chunk. */
static int copy_file(struct reuse *reuse, uint32_t file, const struct lsp_manifest_file *from,
	uint8_t *buffer, struct lsp_error *err)
{
	const struct lsp_manifest_file *f = &reuse->stage->manifest->files[file];
	_cleanup_close_ int fd = -1, staged = -1;
	if (lsp_fs_open_below(reuse->dir_fd, from->path, O_RDONLY, 0, &fd, NULL) < 0)
		return 0;
	try_clone(reuse, file, fd);
	int r = lsp_stage_open_file(reuse->stage, file, &staged, err);
	for (uint32_t i = 0; r == 0 && i < f->chunk_count; i++) {
		uint32_t chunk = f->first_chunk + i;
		struct lsp_chunk c;
		lsp_manifest_chunk(reuse->stage->manifest, chunk, &c);
		r = lsp_cancel_check(reuse->token, err);
		if (r == 0 && !lsp_stage_has(reuse->stage, chunk))
			r = check_cloned(reuse, chunk, staged, err);
		if (r == 0 && !lsp_stage_has(reuse->stage, chunk))
			r = copy_chunk(reuse, chunk, fd, c.offset, buffer, err);
		advance(reuse, c.size);
	}
	return r;
}

/* ---- Pieces
 * -------------------------------------------------------------------------------------------------
 */

static int compare_hashes(const void *a, const void *b, void *argument)
{
	const struct lsp_manifest *manifest = argument;
	struct lsp_chunk x, y;
	lsp_manifest_chunk(manifest, *(const uint32_t *)a, &x);
	lsp_manifest_chunk(manifest, *(const uint32_t *)b, &y);
	return memcmp(x.hash.bytes, y.hash.bytes, LSP_SHA256_SIZE);
}

static int compare_roots(const void *a, const void *b, void *argument)
{
	const struct lsp_manifest *manifest = argument;
	return memcmp(manifest->files[*(const uint32_t *)a].root.bytes,
		manifest->files[*(const uint32_t *)b].root.bytes, LSP_SHA256_SIZE);
}

static int sort_index(const struct lsp_manifest *manifest, uint32_t count,
	int (*compare)(const void *, const void *, void *), uint32_t **ret_index,
	struct lsp_error *err)
{
	uint32_t *index = calloc(count + 1u, sizeof *index);
	if (!index)
		return lsp_error_no_memory(err, "content");
	for (uint32_t i = 0; i < count; i++)
		index[i] = i;
	qsort_r(index, count, sizeof *index, compare, (void *)(uintptr_t)manifest);
	*ret_index = index;
	return 0;
}

/* A chunk of `other` with the same hash and size; false if there is none. */
static bool find_by_hash(
	const struct reuse *reuse, const struct lsp_chunk *chunk, struct lsp_chunk *ret_same)
{
	uint32_t low = 0, high = reuse->by_hash ? reuse->other->chunk_count : 0;
	uint32_t end = high;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		lsp_manifest_chunk(reuse->other, reuse->by_hash[middle], ret_same);
		if (memcmp(ret_same->hash.bytes, chunk->hash.bytes, LSP_SHA256_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == end)
		return false;
	lsp_manifest_chunk(reuse->other, reuse->by_hash[low], ret_same);
	return lsp_hash_equal(&ret_same->hash, &chunk->hash) && ret_same->size == chunk->size;
}

static int copy_piece(struct reuse *reuse, uint32_t chunk, uint8_t *buffer, struct lsp_error *err)
{
	struct lsp_chunk c, same;
	_cleanup_close_ int fd = -1;
	lsp_manifest_chunk(reuse->stage->manifest, chunk, &c);
	advance(reuse, c.size);
	if (lsp_stage_has(reuse->stage, chunk) || !find_by_hash(reuse, &c, &same))
		return 0;
	const char *path = reuse->other->files[same.file].path;
	if (lsp_fs_open_below(reuse->dir_fd, path, O_RDONLY, 0, &fd, NULL) < 0)
		return 0;
	return copy_chunk(reuse, chunk, fd, same.offset, buffer, err);
}

/* A file that changed: what is the same in it, or anywhere else, piece by piece. */
static int copy_pieces(struct reuse *reuse, uint32_t file, uint8_t *buffer, struct lsp_error *err)
{
	const struct lsp_manifest_file *f = &reuse->stage->manifest->files[file];
	_cleanup_close_ int fd = -1;
	if (f->chunk_count > 1 && lsp_manifest_find(reuse->other, f->path) &&
		lsp_fs_open_below(reuse->dir_fd, f->path, O_RDONLY, 0, &fd, NULL) == 0)
		try_clone(reuse, file, fd);
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < f->chunk_count; i++) {
		r = lsp_cancel_check(reuse->token, err);
		if (r == 0)
			r = copy_piece(reuse, f->first_chunk + i, buffer, err);
	}
	return r;
}

/* ---- All of it
 * ------------------------------------------------------------------------------------------------
 */

static bool file_is_done(struct lsp_stage *stage, const struct lsp_manifest_file *file)
{
	pthread_mutex_lock(&stage->lock);
	size_t next = lsp_bitmap_next_clear(&stage->done, file->first_chunk);
	pthread_mutex_unlock(&stage->lock);
	return next >= (size_t)file->first_chunk + file->chunk_count;
}

static int reuse_file(struct reuse *reuse, uint32_t file, uint8_t *buffer, struct lsp_error *err)
{
	const struct lsp_manifest_file *f = &reuse->stage->manifest->files[file];
	bool kept = false;
	int r = lsp_cancel_check(reuse->token, err);
	if (r == 0 && f->size && file_is_done(reuse->stage, f)) {
		advance(reuse, f->size);
		return 0;
	}
	if (r == 0)
		r = try_keep(reuse, file, &kept, err);
	if (f->size == 0)
		return r;
	if (kept)
		advance(reuse, f->size);
	if (r < 0 || kept)
		return r;
	const struct lsp_manifest_file *same = find_by_root(reuse, f);
	return same ? copy_file(reuse, file, same, buffer, err)
		    : copy_pieces(reuse, file, buffer, err);
}

static int remember(struct reuse *reuse, struct lsp_error *err)
{
	struct lsp_stage *stage = reuse->stage;
	int fd = fcntl(reuse->dir_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return lsp_error_errno(err, "content", errno, "cannot keep the folder open");
	pthread_mutex_lock(&stage->lock);
	bool room = stage->local_count < LSP_STAGE_LOCALS_MAX;
	if (room)
		stage->locals[stage->local_count++] =
			(struct lsp_stage_local){fd, lsp_manifest_ref(reuse->other)};
	pthread_mutex_unlock(&stage->lock);
	if (!room)
		close(fd);
	return 0;
}

int lsp_stage_reuse(struct lsp_stage *stage, int dir_fd, const struct lsp_manifest *other,
	bool in_place, struct lsp_cancel *token, lsp_stage_progress progress, void *argument,
	struct lsp_error *err)
{
	_cleanup_free_ uint32_t *by_root = NULL, *by_hash = NULL;
	_cleanup_free_ uint8_t *buffer = malloc(COPY_SIZE);
	int r = buffer ? lsp_stage_check(stage, err) : lsp_error_no_memory(err, "content");
	if (r == 0)
		r = sort_index(other, other->file_count, compare_roots, &by_root, err);
	if (r == 0 && other->piece_length == stage->manifest->piece_length)
		r = sort_index(other, other->chunk_count, compare_hashes, &by_hash, err);
	if (r < 0)
		return r;
	struct reuse reuse = {.stage = stage,
		.dir_fd = dir_fd,
		.other = other,
		.in_place = in_place,
		.token = token,
		.progress = progress,
		.argument = argument,
		.by_root = by_root,
		.by_hash = by_hash};
	r = lsp_executables_load(dir_fd, &reuse.executables, err);
	if (r == 0)
		r = remember(&reuse, err);
	for (uint32_t i = 0; r == 0 && i < stage->manifest->file_count; i++)
		r = reuse_file(&reuse, i, buffer, err);
	int saved = in_place ? lsp_stage_save_kept(stage, r < 0 ? NULL : err) : 0;
	lsp_executables_done(&reuse.executables);
	return r < 0 ? r : saved;
}
