#include "content/hasher.h"

#include "base/fs.h"
#include "task/cancel.h"
#include "wire/merkle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Fits the second level cache, where the copy out of the page cache is cheap to hash. */
#define READ_SIZE ((size_t)256 << 10)

#define YOUNG (2 * LSP_SECOND)
#define TRIES 3

/* ---- One file ---- */

/* Where in a file's tree we are: leaves into a piece, pieces into the file. */
struct file_hash {
	struct lsp_merkle piece;
	struct lsp_merkle file;
	uint64_t piece_leaves;
	struct lsp_hash *layer; /* NULL: the file is one piece */
};

static void end_piece(struct file_hash *hash)
{
	struct lsp_hash root;
	lsp_merkle_root(&hash->piece, hash->piece_leaves, &root);
	hash->layer[hash->file.count] = root;
	lsp_merkle_push(&hash->file, &root);
	lsp_merkle_init(&hash->piece, 0);
}

/* At most READ_SIZE; only the last run of a file may end within a leaf. */
static void add_bytes(struct file_hash *hash, const uint8_t *data, size_t size)
{
	struct lsp_hash leaves[READ_SIZE / LSP_LEAF_SIZE];
	lsp_merkle_hash_leaves(data, size, leaves);
	for (size_t i = 0; i < lsp_merkle_leaf_count(size); i++) {
		lsp_merkle_push(&hash->piece, &leaves[i]);
		if (hash->layer && hash->piece.count == hash->piece_leaves)
			end_piece(hash);
	}
}

static void take_root(struct file_hash *hash, struct lsp_hash *ret_root)
{
	if (!hash->layer) {
		lsp_merkle_root(&hash->piece, lsp_merkle_width(hash->piece.count), ret_root);
		return;
	}
	if (hash->piece.count)
		end_piece(hash);
	lsp_merkle_root(&hash->file, lsp_merkle_width(hash->file.count), ret_root);
}

/* Exactly `size` bytes; a file that ends before is one that somebody changes. */
static int read_all(int fd, void *data, size_t size, uint64_t offset, struct lsp_error *err)
{
	size_t got = 0;
	int r = lsp_fs_read_at(fd, data, size, offset, &got, err);
	if (r < 0)
		return r;
	if (got != size)
		return lsp_error_set(
			err, "content", LSP_E_BUSY, "the file became shorter while it was read");
	return 0;
}

int lsp_hasher_file(int fd, uint64_t size, uint32_t piece_length, struct lsp_hash *ret_root,
	struct lsp_hash *ret_layer, lsp_hasher_step step, void *argument, struct lsp_error *err)
{
	struct file_hash hash = {.piece_leaves = piece_length / LSP_LEAF_SIZE};
	lsp_merkle_init(&hash.piece, 0);
	lsp_merkle_init(&hash.file, (unsigned)__builtin_ctzll(hash.piece_leaves));
	hash.layer = size > piece_length ? ret_layer : NULL;
	if (size == 0) {
		memset(ret_root, 0, sizeof *ret_root);
		return 0;
	}
	size_t room = (size_t)LSP_MIN(size, (uint64_t)READ_SIZE);
	_cleanup_free_ uint8_t *buffer = malloc(room);
	if (!buffer)
		return lsp_error_no_memory(err, "content");
	for (uint64_t at = 0; at < size;) {
		size_t want = (size_t)LSP_MIN(size - at, (uint64_t)room);
		int r = read_all(fd, buffer, want, at, err);
		if (r < 0)
			return r;
		add_bytes(&hash, buffer, want);
		at += want;
		r = step ? step(argument, buffer, want, err) : 0;
		if (r < 0)
			return r;
	}
	take_root(&hash, ret_root);
	return 0;
}

int lsp_hasher_check_chunk(int fd, const struct lsp_chunk *chunk, struct lsp_error *err)
{
	size_t room = LSP_MIN((size_t)chunk->size, READ_SIZE);
	_cleanup_free_ uint8_t *buffer = malloc(room);
	if (!buffer)
		return lsp_error_no_memory(err, "content");
	struct file_hash hash = {0};
	lsp_merkle_init(&hash.piece, 0);
	for (uint32_t at = 0; at < chunk->size;) {
		size_t want = LSP_MIN((size_t)(chunk->size - at), room);
		size_t got = 0;
		int r = lsp_fs_read_at(fd, buffer, want, chunk->offset + at, &got, err);
		if (r < 0)
			return r;
		if (got != want)
			return lsp_error_set(
				err, "content", LSP_E_CORRUPT, "the file is too short");
		add_bytes(&hash, buffer, want);
		at += (uint32_t)want;
	}
	struct lsp_hash root;
	lsp_merkle_root(&hash.piece, chunk->leaf_width, &root);
	if (!lsp_hash_equal(&root, &chunk->hash))
		return lsp_error_set(
			err, "content", LSP_E_CORRUPT, "a chunk does not have its hash");
	return 0;
}

/* ---- A folder ---- */

struct run {
	int dir_fd;
	const struct lsp_hasher_options *options;
	const struct lsp_clock *clock;
	struct lsp_cancel *token;
	struct lsp_listing listing;
	struct lsp_manifest_entry *entries; /* as the listing */
	struct lsp_hash *layers;
	uint32_t piece_length;
	uint64_t done; /* bytes settled */
	uint64_t reported;
	uint64_t bytes_read;
	uint64_t settles_at;
};

static void run_reset(struct run *run)
{
	lsp_listing_done(&run->listing);
	free(run->entries);
	free(run->layers);
	run->entries = NULL;
	run->layers = NULL;
	run->done = run->reported = run->settles_at = 0;
}

static void report(struct run *run, bool last)
{
	if (!run->options->progress || (!last && run->done - run->reported < (1u << 20)))
		return;
	run->reported = run->done;
	run->options->progress(run->options->progress_argument, run->done, run->listing.total_size);
}

static int step(void *argument, const uint8_t *data, size_t size, struct lsp_error *err)
{
	struct run *run = argument;
	run->done += size;
	run->bytes_read += size;
	report(run, false);
	return lsp_cancel_check(run->token, err);
}

static bool is_near(int64_t stamp, uint64_t now)
{
	uint64_t at = stamp < 0 ? 0 : (uint64_t)stamp;
	return at > now ? at - now < YOUNG : now - at < YOUNG;
}

/* Within two seconds either way: times far in the future are somebody's wrong clock, not fresh. */
static bool is_young(struct run *run, const struct lsp_file_stamp *stamp)
{
	uint64_t now = lsp_wall(run->clock);
	return is_near(stamp->mtime_ns, now) || (stamp->ctime_ns && is_near(stamp->ctime_ns, now));
}

static size_t layer_count(const struct run *run, uint64_t size)
{
	return size > run->piece_length
		       ? (size_t)((size + run->piece_length - 1) / run->piece_length)
		       : 0;
}

/* -LSP_E_BUSY: it is not what was listed, or changed meanwhile. */
static int read_file(struct run *run, const struct lsp_listing_file *file,
	struct lsp_manifest_entry *entry, struct lsp_hash *layer, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_below(run->dir_fd, file->path, O_RDONLY, 0, &fd, err);
	if (r == -LSP_E_NOT_FOUND)
		return lsp_error_set(err, "content", LSP_E_BUSY,
			"\"%s\" went away while it was read", file->path);
	if (r < 0)
		return r;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	r = lsp_hasher_file(
		fd, file->stamp.size, run->piece_length, &entry->root, layer, step, run, err);
	if (r < 0)
		return r == -LSP_E_CANCELLED ? r : lsp_error_prefix(err, r, "\"%s\"", file->path);
	struct stat st;
	struct lsp_file_stamp now;
	if (fstat(fd, &st) < 0)
		return lsp_error_errno(err, "content", errno, "cannot look at \"%s\"", file->path);
	lsp_file_stamp_from(&st, &now);
	if (!lsp_file_stamp_equal(&now, &file->stamp))
		return lsp_error_set(
			err, "content", LSP_E_BUSY, "\"%s\" changed while it was read", file->path);
	if (is_young(run, &now))
		run->settles_at = lsp_wall(run->clock) + YOUNG;
	else if (run->options->cache)
		run->options->cache->store(run->options->cache->argument, file->path, &file->stamp,
			run->piece_length, &entry->root, layer, layer_count(run, now.size));
	return 0;
}

static int settle_file(struct run *run, const struct lsp_listing_file *file,
	struct lsp_manifest_entry *entry, struct lsp_hash *layer, struct lsp_error *err)
{
	*entry = (struct lsp_manifest_entry){.path = file->path,
		.size = file->stamp.size,
		.executable = file->executable,
		.layer = layer};
	if (entry->size == 0)
		return 0;
	const struct lsp_hash_cache_hooks *cache = run->options->cache;
	if (cache && cache->lookup(cache->argument, file->path, &file->stamp, run->piece_length,
			     &entry->root, layer) == 1) {
		run->done += entry->size;
		report(run, false);
		return lsp_cancel_check(run->token, err);
	}
	return read_file(run, file, entry, layer, err);
}

static int allocate(struct run *run, struct lsp_error *err)
{
	size_t layers = 0;
	run->piece_length = lsp_manifest_piece_length(run->listing.total_size);
	for (size_t i = 0; i < run->listing.count; i++)
		layers += layer_count(run, run->listing.files[i].stamp.size);
	run->entries = calloc(run->listing.count, sizeof *run->entries);
	run->layers = calloc(layers + 1, sizeof *run->layers);
	return run->entries && run->layers ? 0 : lsp_error_no_memory(err, "content");
}

static int try_once(struct run *run, const char *name, const struct lsp_manifest **ret_manifest,
	struct lsp_error *err)
{
	run_reset(run);
	int r = lsp_listing_read(run->dir_fd, run->token, &run->listing, err);
	if (r < 0)
		return r;
	if (run->listing.count == 0)
		return lsp_error_set(err, "content", LSP_E_NOT_FOUND,
			"the folder has no files to share; put the game's there");
	if (run->listing.total_size > LSP_MANIFEST_SIZE_MAX)
		return lsp_error_set(err, "content", LSP_E_TOO_LARGE,
			"more than 8 TiB to share; make several games of it");
	r = allocate(run, err);
	struct lsp_hash *layer = run->layers;
	for (size_t i = 0; r == 0 && i < run->listing.count; i++) {
		r = settle_file(run, &run->listing.files[i], &run->entries[i], layer, err);
		layer += layer_count(run, run->listing.files[i].stamp.size);
	}
	if (r < 0)
		return r;
	report(run, true);
	return lsp_manifest_build(name, run->entries, run->listing.count, ret_manifest, err);
}

int lsp_hasher_run(int dir_fd, const char *name, const struct lsp_hasher_options *options,
	struct lsp_cancel *token, struct lsp_hashed *ret_hashed, struct lsp_error *err)
{
	static const struct lsp_hasher_options plain;
	_cleanup_(run_reset) struct run run = {
		.dir_fd = dir_fd, .options = options ? options : &plain, .token = token};
	run.clock = run.options->clock ? run.options->clock : lsp_clock_system;
	const struct lsp_manifest *manifest = NULL;
	int r = -LSP_E_BUSY;
	for (int i = 0; i < TRIES && r == -LSP_E_BUSY; i++)
		r = try_once(&run, name, &manifest, err);
	if (r < 0)
		return r;
	*ret_hashed = (struct lsp_hashed){.manifest = manifest,
		.listing = run.listing,
		.bytes_read = run.bytes_read,
		.settles_at = run.settles_at};
	run.listing = (struct lsp_listing){0};
	return 0;
}

void lsp_hashed_done(struct lsp_hashed *hashed)
{
	lsp_manifest_unref(hashed->manifest);
	lsp_listing_done(&hashed->listing);
	*hashed = (struct lsp_hashed){0};
}
