#include "torrent/sample.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/random.h"
#include "content/hasher.h"
#include "task/cancel.h"
#include "torrent/sha1.h"

#include <fcntl.h>
#include <string.h>

#define DOMAIN "torrent"

struct sample {
	const struct lsp_shim_functions *shim;
	struct lsp_shim_source *source;
	struct lsp_shim_info info;
	int dir_fd;
};

static int open_file(struct sample *sample, const char *path, int *ret_fd, struct lsp_error *err)
{
	return lsp_fs_open_below(sample->dir_fd, path, O_RDONLY, 0, ret_fd, err);
}

static int check_sizes(struct sample *sample, struct lsp_cancel *token, struct lsp_error *err)
{
	for (uint32_t i = 0; i < sample->info.files; i++) {
		struct lsp_shim_file file;
		struct stat st;
		sample->shim->source_file(sample->source, i, &file);
		if (file.flags & (LSP_SHIM_FILE_PAD | LSP_SHIM_FILE_SYMLINK))
			continue;
		int r = lsp_cancel_check(token, err);
		if (r == 0)
			r = lsp_fs_stat_below(sample->dir_fd, file.path, &st, err);
		if (r < 0)
			return r;
		if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != file.size)
			return lsp_error_set(err, DOMAIN, LSP_E_CORRUPT,
				"%.300s has another size than in the torrent", file.path);
	}
	return 0;
}

/* ---- One piece --------------------------------------------------------------------------- */

struct reading {
	struct sample *sample;
	struct lsp_sha1 *sha1; /* NULL: the piece is of one file, by its tree */
	struct lsp_chunk chunk;
	struct lsp_error *err;
	int result;
	char path[512];
};

static int read_slice(struct reading *reading, const struct lsp_shim_slice *slice)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ uint8_t *block = malloc(LSP_LEAF_SIZE);
	if (!block)
		return lsp_error_no_memory(reading->err, DOMAIN);
	int r = open_file(reading->sample, slice->path, &fd, reading->err);
	for (uint64_t at = 0; r == 0 && at < slice->size;) {
		size_t part = (size_t)LSP_MIN((uint64_t)LSP_LEAF_SIZE, slice->size - at), got = 0;
		r = lsp_fs_read_at(fd, block, part, slice->offset + at, &got, reading->err);
		if (r == 0 && got < part)
			r = lsp_error_set(reading->err, DOMAIN, LSP_E_CORRUPT,
				"%.300s is too short", slice->path);
		if (r == 0)
			lsp_sha1_update(reading->sha1, block, part);
		at += part;
	}
	return r;
}

static int check_tree(struct reading *reading, const struct lsp_shim_slice *slice)
{
	_cleanup_close_ int fd = -1;
	int r = open_file(reading->sample, slice->path, &fd, reading->err);
	if (r < 0)
		return r;
	reading->chunk.offset = slice->offset;
	reading->chunk.size = (uint32_t)slice->size;
	reading->chunk.leaf_count = (uint32_t)((slice->size + LSP_LEAF_SIZE - 1) / LSP_LEAF_SIZE);
	return lsp_hasher_check_chunk(fd, &reading->chunk, reading->err);
}

/* The hash is known only after the slices were told: those of a v2 piece are kept until then. */
static void on_slice(void *argument, const struct lsp_shim_slice *slice)
{
	struct reading *reading = argument;
	if (reading->result < 0)
		return;
	if (slice->pad) {
		lsp_sha1_zeros(reading->sha1, slice->size);
		return;
	}
	snprintf(reading->path, sizeof reading->path, "%s", slice->path);
	reading->chunk.offset = slice->offset;
	reading->chunk.size = (uint32_t)slice->size;
	if (reading->sha1)
		reading->result = read_slice(reading, slice);
}

static int check_piece(struct sample *sample, uint32_t piece, struct lsp_error *err)
{
	struct reading reading = {.sample = sample, .err = err};
	uint8_t hash[LSP_SHA256_SIZE], got[LSP_SHA1_SIZE];
	_cleanup_(lsp_sha1_free_pointer) struct lsp_sha1 *sha1 = NULL;
	bool by_tree = sample->info.flags & LSP_SHIM_HAS_LAYERS;
	int r = by_tree ? 0 : lsp_sha1_new(&sha1, err);
	if (r < 0)
		return r;
	reading.sha1 = sha1;
	r = sample->shim->source_piece(
		sample->source, piece, on_slice, &reading, hash, &reading.chunk.leaf_width, err);
	if (r < 0 || reading.result < 0)
		return r < 0 ? r : reading.result;
	if (by_tree) {
		struct lsp_shim_slice slice = {.path = reading.path,
			.offset = reading.chunk.offset,
			.size = reading.chunk.size};
		memcpy(reading.chunk.hash.bytes, hash, sizeof hash);
		r = check_tree(&reading, &slice);
	} else {
		lsp_sha1_take(sha1, got);
		if (memcmp(got, hash, sizeof got) != 0)
			r = -LSP_E_CORRUPT;
	}
	if (r == -LSP_E_CORRUPT)
		lsp_error_set(err, DOMAIN, LSP_E_CORRUPT,
			"%.300s is not what the torrent has: let all of it be checked "
			"(have=check)",
			reading.path);
	return r;
}

/* ---- All of it --------------------------------------------------------------------------- */

static int open_root(const char *save_path, const char *root, int *ret_fd, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_dir(save_path, &fd, err);
	if (r == 0 && root)
		return lsp_fs_open_dir_below(fd, root, ret_fd, err);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

int lsp_sample_check(const struct lsp_shim_functions *shim, struct lsp_shim_source *source,
	const char *save_path, const char *root, uint64_t seed, struct lsp_cancel *token,
	struct lsp_error *err)
{
	struct sample sample = {.shim = shim, .source = source};
	_cleanup_close_ int fd = -1;
	struct lsp_random random;
	lsp_random_seed(&random, seed);
	shim->source_info(source, &sample.info);
	const char *folder = root;
	if (!folder && !(sample.info.flags & LSP_SHIM_SINGLE_FILE))
		folder = sample.info.name;
	int r = open_root(save_path, folder, &fd, err);
	sample.dir_fd = fd;
	if (r == 0)
		r = check_sizes(&sample, token, err);
	uint32_t pieces = sample.info.pieces;
	uint32_t count = LSP_MIN(pieces, (uint32_t)LSP_SAMPLE_PIECES);
	for (uint32_t i = 0; r == 0 && i < count; i++) {
		uint32_t piece = i == 0   ? 0
				 : i == 1 ? pieces - 1
				 : pieces <= LSP_SAMPLE_PIECES
					 ? i - 1
					 : (uint32_t)lsp_random_below(&random, pieces);
		r = lsp_cancel_check(token, err);
		if (r == 0)
			r = check_piece(&sample, piece, err);
	}
	return r;
}
