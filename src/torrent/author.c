#include "torrent/author.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "content/hasher.h"
#include "task/cancel.h"
#include "torrent/metainfo.h"
#include "torrent/sha1.h"
#include "wire/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define DOMAIN "torrent"
#define DEPTH_MAX 64

struct file {
	char *path;
	uint64_t size;
	bool executable;
	struct lsp_hash root;
	struct lsp_hash *layer;
};

struct work {
	const struct lsp_author *author;
	struct lsp_cancel *token;
	int dir_fd;
	struct file *files;
	size_t count, room;
	bool single, is_game;
	uint32_t piece_length;
	uint64_t done, total;
	struct lsp_sha1 *sha1; /* NULL: there is no v1 half */
	uint32_t in_piece;     /* bytes of the piece that it is in */
	uint8_t *sha1s;
	size_t sha1_count;
};

static void work_done(struct work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		free(work->files[i].path);
		free(work->files[i].layer);
	}
	free(work->files);
	free(work->sha1s);
	lsp_sha1_free(work->sha1);
	if (work->dir_fd >= 0)
		close(work->dir_fd);
}

/* ---- The walk ---------------------------------------------------------------------------- */

static int keep_file(
	struct work *work, const char *path, const struct stat *st, struct lsp_error *err)
{
	if (work->count == work->room) {
		size_t room = work->room ? work->room * 2 : 64;
		struct file *more = realloc(work->files, room * sizeof *more);
		if (!more)
			return lsp_error_no_memory(err, DOMAIN);
		work->files = more;
		work->room = room;
	}
	struct file *file = &work->files[work->count];
	memset(file, 0, sizeof *file);
	file->path = strdup(path);
	if (!file->path)
		return lsp_error_no_memory(err, DOMAIN);
	file->size = (uint64_t)st->st_size;
	file->executable = st->st_mode & 0100;
	work->count++;
	return 0;
}

static bool is_utf8(const char *name)
{
	const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)name;
	utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(name), used;
	utf8proc_int32_t point;
	for (; left > 0; at += used, left -= used) {
		used = utf8proc_iterate(at, left, &point);
		if (used <= 0)
			return false;
	}
	return true;
}

static int walk(struct work *work, const char *folder, unsigned depth, struct lsp_error *err);

static int look_at(struct work *work, const char *path, unsigned depth, struct lsp_error *err)
{
	struct stat st;
	int r = lsp_cancel_check(work->token, err);
	if (r == 0)
		r = lsp_fs_stat_below(work->dir_fd, path, &st, err);
	if (r < 0)
		return r;
	if (S_ISREG(st.st_mode))
		return keep_file(work, path, &st, err);
	if (S_ISDIR(st.st_mode))
		return walk(work, path, depth + 1, err);
	return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
		"%.300s is neither a file nor a folder: a torrent cannot have it", path);
}

static int walk(struct work *work, const char *folder, unsigned depth, struct lsp_error *err)
{
	if (depth > DEPTH_MAX)
		return lsp_error_set(err, DOMAIN, LSP_E_TOO_LARGE,
			"%.300s is more than %d folders deep", folder, DEPTH_MAX);
	int fd = -1;
	int r = lsp_fs_open_dir_below(work->dir_fd, *folder ? folder : ".", &fd, err);
	DIR *dir = r == 0 ? fdopendir(fd) : NULL;
	if (r == 0 && !dir) {
		r = lsp_error_errno(err, DOMAIN, errno, "cannot list %.300s", folder);
		close(fd);
	}
	const struct dirent *entry;
	while (r == 0 && (entry = readdir(dir))) {
		const char *name = entry->d_name;
		bool is_ours = !*folder && work->is_game && lsp_path_is_private(name);
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || is_ours)
			continue;
		_cleanup_free_ char *path =
			lsp_text_format("%s%s%s", folder, *folder ? "/" : "", name);
		if (!path)
			r = lsp_error_no_memory(err, DOMAIN);
		else if (!is_utf8(name))
			r = lsp_error_set(err, DOMAIN, LSP_E_INVALID,
				"a name in \"%.300s\" is no UTF-8: a torrent cannot have it",
				folder);
		else
			r = look_at(work, path, depth, err);
	}
	if (dir)
		closedir(dir);
	return r;
}

static int compare_files(const void *a, const void *b)
{
	return lsp_path_compare(((const struct file *)a)->path, ((const struct file *)b)->path);
}

/* The folder that the files are below: of a single file the one that it is in. */
static int open_path(struct work *work, struct lsp_error *err)
{
	const char *path = work->author->path;
	int r = lsp_fs_open_dir(path, &work->dir_fd, err);
	if (r == 0) {
		work->is_game = lsp_fs_exists_below(work->dir_fd, "version.ini");
		return 0;
	}
	const char *slash = strrchr(path, '/');
	if (r != -LSP_E_DENIED || !slash || !slash[1])
		return r;
	_cleanup_free_ char *folder = lsp_text_format("%.*s/", (int)(slash - path), path);
	if (!folder)
		return lsp_error_no_memory(err, DOMAIN);
	work->single = true;
	lsp_error_clear(err);
	return lsp_fs_open_dir(folder, &work->dir_fd, err);
}

static int find_files(struct work *work, struct lsp_error *err)
{
	int r = open_path(work, err);
	if (r == 0 && work->single)
		r = look_at(work, strrchr(work->author->path, '/') + 1, 0, err);
	else if (r == 0)
		r = walk(work, "", 0, err);
	if (r == 0 && work->count == 0)
		return lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND, "there is no file in %.300s",
			work->author->path);
	if (r == 0)
		qsort(work->files, work->count, sizeof *work->files, compare_files);
	return r;
}

/* ---- Hashing ----------------------------------------------------------------------------- */

static void end_piece(struct work *work)
{
	lsp_sha1_take(work->sha1, work->sha1s + LSP_SHA1_SIZE * work->sha1_count++);
	work->in_piece = 0;
}

/* The v1 half: its pieces are of the length of the trees'. */
static void add_bytes(struct work *work, const uint8_t *data, size_t size)
{
	for (size_t part; size > 0; data += part, size -= part) {
		part = LSP_MIN(size, (size_t)(work->piece_length - work->in_piece));
		lsp_sha1_update(work->sha1, data, part);
		work->in_piece += (uint32_t)part;
		if (work->in_piece == work->piece_length)
			end_piece(work);
	}
}

/* Padding reaches from the end of each file but the last to a full piece. */
static void end_file(struct work *work, bool last)
{
	if (!work->sha1 || work->in_piece == 0)
		return;
	if (!last)
		lsp_sha1_zeros(work->sha1, work->piece_length - work->in_piece);
	end_piece(work);
}

static int step(void *argument, const uint8_t *data, size_t size, struct lsp_error *err)
{
	struct work *work = argument;
	if (work->sha1)
		add_bytes(work, data, size);
	work->done += size;
	if (work->author->progress)
		work->author->progress(work->author->argument, work->done, work->total);
	return lsp_cancel_check(work->token, err);
}

static int read_stamp(
	int fd, const struct file *file, struct lsp_file_stamp *ret_stamp, struct lsp_error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return lsp_error_errno(err, DOMAIN, errno, "cannot look at %.300s", file->path);
	lsp_file_stamp_from(&st, ret_stamp);
	return 0;
}

/* Its tree, and what it adds to the v1 half. A change while it is read is none of a torrent. */
static int read_file(struct work *work, const struct file *file, struct lsp_hash *ret_root,
	struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	struct lsp_file_stamp before, after;
	int r = lsp_fs_open_below(work->dir_fd, file->path, O_RDONLY, 0, &fd, err);
	if (r == 0)
		r = read_stamp(fd, file, &before, err);
	if (r < 0)
		return r;
	r = lsp_hasher_file(
		fd, file->size, work->piece_length, ret_root, file->layer, step, work, err);
	if (r < 0)
		return r == -LSP_E_CANCELLED ? r : lsp_error_prefix(err, r, "%.200s", file->path);
	r = read_stamp(fd, file, &after, err);
	if (r == 0 && (before.size != file->size || !lsp_file_stamp_equal(&before, &after)))
		return lsp_error_set(err, DOMAIN, LSP_E_BUSY,
			"%.300s changed while it was read: try again when nobody writes to it",
			file->path);
	return r;
}

static int hash_file(struct work *work, struct file *file, struct lsp_error *err)
{
	struct lsp_hash root;
	int r = file->size > 0 ? read_file(work, file, &root, err) : 0;
	if (r < 0 || file->size == 0)
		return r;
	/* Of a game the tree is known. One that is another now would make a torrent of two halves,
	 * which nobody can have both of. */
	if (work->author->manifest && !lsp_hash_equal(&root, &file->root))
		return lsp_error_set(err, DOMAIN, LSP_E_BUSY,
			"%.300s is not what it was when the game was hashed: try again once it is "
			"hashed anew (`lanspread verify` does that)",
			file->path);
	file->root = root;
	return 0;
}

static int begin_v1(struct work *work, struct lsp_error *err)
{
	uint64_t pieces = 0;
	for (size_t i = 0; i < work->count; i++)
		pieces += (work->files[i].size + work->piece_length - 1) / work->piece_length;
	work->sha1s = malloc((size_t)pieces * LSP_SHA1_SIZE + 1);
	return work->sha1s ? lsp_sha1_new(&work->sha1, err) : lsp_error_no_memory(err, DOMAIN);
}

/* In one pass. */
static int hash_files(struct work *work, struct lsp_error *err)
{
	int r = work->author->hybrid ? begin_v1(work, err) : 0;
	for (size_t i = 0; r == 0 && i < work->count; i++) {
		r = hash_file(work, &work->files[i], err);
		if (r == 0)
			end_file(work, i + 1 == work->count);
	}
	return r;
}

static int make_layers(struct work *work, struct lsp_error *err)
{
	for (size_t i = 0; i < work->count; i++) {
		struct file *file = &work->files[i];
		uint64_t pieces = (file->size + work->piece_length - 1) / work->piece_length;
		if (pieces > 1 && !(file->layer = calloc((size_t)pieces, sizeof *file->layer)))
			return lsp_error_no_memory(err, DOMAIN);
	}
	return 0;
}

static int hash_all(struct work *work, struct lsp_error *err)
{
	for (size_t i = 0; i < work->count; i++)
		work->total += work->files[i].size;
	if (work->total == 0)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"there is not a byte in %.300s: a torrent needs some", work->author->path);
	work->piece_length = work->author->piece_length ? work->author->piece_length
							: lsp_manifest_piece_length(work->total);
	int r = make_layers(work, err);
	return r < 0 ? r : hash_files(work, err);
}

/* A library game: its files are known, and so are their trees. */
static int take_manifest(struct work *work, struct lsp_error *err)
{
	const struct lsp_manifest *manifest = work->author->manifest;
	work->files = calloc(manifest->file_count, sizeof *work->files);
	if (!work->files)
		return lsp_error_no_memory(err, DOMAIN);
	for (uint32_t i = 0; i < manifest->file_count; i++) {
		const struct lsp_manifest_file *from = &manifest->files[i];
		struct file *file = &work->files[work->count];
		file->path = strdup(from->path);
		if (from->chunk_count > 1)
			file->layer = malloc(from->chunk_count * sizeof *file->layer);
		work->count++;
		if (!file->path || (from->chunk_count > 1 && !file->layer))
			return lsp_error_no_memory(err, DOMAIN);
		if (file->layer)
			memcpy(file->layer, from->layer, from->chunk_count * sizeof *file->layer);
		file->size = from->size;
		file->executable = from->executable;
		file->root = from->root;
	}
	work->piece_length = manifest->piece_length;
	work->total = manifest->total_size;
	if (!work->author->hybrid)
		return 0;
	if (!work->author->path)
		return lsp_error_set(
			err, DOMAIN, LSP_E_INVALID, "path is missing: a hybrid reads the files");
	int r = lsp_fs_open_dir(work->author->path, &work->dir_fd, err);
	return r < 0 ? r : hash_files(work, err);
}

/* ---- Writing ----------------------------------------------------------------------------- */

static int write_it(const struct work *work, struct lsp_buffer *buffer, struct lsp_error *err)
{
	const struct lsp_author *author = work->author;
	_cleanup_free_ struct lsp_metainfo_file *files = calloc(work->count, sizeof *files);
	if (!files)
		return lsp_error_no_memory(err, DOMAIN);
	for (size_t i = 0; i < work->count; i++)
		files[i] = (struct lsp_metainfo_file){.path = work->files[i].path,
			.size = work->files[i].size,
			.executable = work->files[i].executable,
			.root = work->files[i].root,
			.layer = work->files[i].layer};
	struct lsp_metainfo metainfo = {.piece_length = work->piece_length,
		.files = files,
		.file_count = work->count,
		.sha1s = author->hybrid ? work->sha1s : NULL,
		.sha1_count = work->sha1_count,
		.is_private = author->is_private,
		.source = author->source,
		.comment = author->comment,
		.trackers = author->trackers,
		.web_seeds = author->web_seeds,
		.created = author->created};
	_cleanup_free_ char *path = strdup(author->path ? author->path : "");
	if (!path)
		return lsp_error_no_memory(err, DOMAIN);
	for (size_t size = strlen(path); size > 1 && path[size - 1] == '/'; size--)
		path[size - 1] = '\0';
	const char *slash = strrchr(path, '/');
	metainfo.name = author->name       ? author->name
			: author->manifest ? author->manifest->name
					   : (slash ? slash + 1 : path);
	metainfo.single = work->single && strcmp(metainfo.name, files[0].path) == 0;
	bool is_game = author->manifest && !author->hybrid && !author->is_private &&
		       !author->source && strcmp(metainfo.name, author->manifest->name) == 0;
	if (is_game) {
		metainfo.info = author->manifest->info;
		metainfo.info_size = author->manifest->info_size;
	}
	if (!*metainfo.name || strchr(metainfo.name, '/'))
		return lsp_error_set(
			err, DOMAIN, LSP_E_INVALID, "the torrent's name must be one of a folder");
	return lsp_metainfo_write(&metainfo, buffer, err);
}

static int check_length(const struct lsp_author *author, struct lsp_error *err)
{
	uint32_t length = author->piece_length;
	bool fine = length == 0 ||
		    (length >= LSP_METAINFO_PIECE_MIN && length <= LSP_METAINFO_PIECE_MAX &&
			    (length & (length - 1)) == 0);
	return fine ? 0
		    : lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			      "piece_length must be a power of two from 16384 to 67108864");
}

int lsp_author_run(const struct lsp_author *author, struct lsp_cancel *token,
	struct lsp_buffer *buffer, struct lsp_error *err)
{
	struct work work = {.author = author, .token = token, .dir_fd = -1};
	int r = check_length(author, err);
	if (r == 0 && author->manifest)
		r = take_manifest(&work, err);
	else if (r == 0)
		r = find_files(&work, err);
	if (r == 0 && !author->manifest)
		r = hash_all(&work, err);
	if (r == 0)
		r = write_it(&work, buffer, err);
	work_done(&work);
	return r;
}
