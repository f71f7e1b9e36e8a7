#include "base/fs.h"
#include "content/stage_private.h"
#include "wire/merkle.h"

#include <fcntl.h>
#include <string.h>

struct lsp_stage_fill {
	struct lsp_stage *stage;
	uint32_t chunk;
	struct lsp_chunk c;
	int fd;
	struct lsp_bitmap have; /* leaves */
	struct lsp_hash leaves[];
};

static uint32_t leaf_size(const struct lsp_chunk *c, uint32_t leaf)
{
	uint32_t left = c->size - leaf * LSP_LEAF_SIZE;
	return LSP_MIN(left, LSP_LEAF_SIZE);
}

/* -LSP_E_EXISTS: a second took the chunk over meanwhile. */
static int write_leaf(
	struct lsp_stage_fill *fill, uint32_t leaf, const void *data, struct lsp_error *err)
{
	struct lsp_stage *stage = fill->stage;
	if (!lsp_stage_claim_begin_write(stage, fill->chunk))
		return lsp_error_set(err, "content", LSP_E_EXISTS,
			"chunk %u came from elsewhere meanwhile", fill->chunk);
	uint32_t size = leaf_size(&fill->c, leaf);
	int r = lsp_fs_write_at(fill->fd, data, size,
		fill->c.offset + (uint64_t)leaf * LSP_LEAF_SIZE,
		stage->manifest->files[fill->c.file].path, err);
	lsp_stage_claim_end_write(stage, fill->chunk);
	if (r == 0) {
		lsp_stage_wrote(stage, fill->c.file, size);
		lsp_bitmap_set(&fill->have, leaf);
	}
	return r;
}

/*
 * Looks through the chunk's bytes at the same place of another file, and takes the leaves that are
 * right. in_place: the bytes are those of the staged file itself and need no writing. Bytes that
 * cannot be read are bytes that are not there.
 */
static int take_from(
	struct lsp_stage_fill *fill, int fd, bool in_place, uint8_t *bytes, struct lsp_error *err)
{
	size_t got = 0;
	if (lsp_fs_read_at(fd, bytes, fill->c.size, fill->c.offset, &got, NULL) < 0)
		return 0;
	for (uint32_t i = 0; i < fill->c.leaf_count; i++) {
		size_t at = (size_t)i * LSP_LEAF_SIZE;
		uint32_t size = leaf_size(&fill->c, i);
		struct lsp_hash hash;
		if (lsp_bitmap_get(&fill->have, i) || at + size > got)
			continue;
		lsp_sha256(&hash, bytes + at, size);
		if (!lsp_hash_equal(&hash, &fill->leaves[i]))
			continue;
		int r = 0;
		if (in_place)
			lsp_bitmap_set(&fill->have, i);
		else
			r = write_leaf(fill, i, bytes + at, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_from_locals(struct lsp_stage_fill *fill, uint8_t *bytes, struct lsp_error *err)
{
	struct lsp_stage *stage = fill->stage;
	const char *path = stage->manifest->files[fill->c.file].path;
	pthread_mutex_lock(&stage->lock);
	unsigned count = stage->local_count; /* entries below it never change */
	pthread_mutex_unlock(&stage->lock);
	for (unsigned i = 0; i < count && !lsp_bitmap_full(&fill->have); i++) {
		_cleanup_close_ int fd = -1;
		if (!lsp_manifest_find(stage->locals[i].manifest, path) ||
			lsp_fs_open_below(stage->locals[i].dir_fd, path, O_RDONLY, 0, &fd, NULL) <
				0)
			continue;
		int r = take_from(fill, fd, false, bytes, err);
		if (r < 0)
			return r;
	}
	return 0;
}

bool lsp_stage_may_fill(struct lsp_stage *stage, uint32_t chunk)
{
	if (chunk >= stage->manifest->chunk_count)
		return false;
	struct lsp_chunk c;
	lsp_manifest_chunk(stage->manifest, chunk, &c);
	bool may = false;
	pthread_mutex_lock(&stage->lock);
	for (unsigned i = 0; i < stage->local_count; i++) {
		const struct lsp_manifest_file *file = lsp_manifest_find(
			stage->locals[i].manifest, stage->manifest->files[c.file].path);
		may |= file && file->size > c.offset;
	}
	pthread_mutex_unlock(&stage->lock);
	return may;
}

static int begin(struct lsp_stage_fill *fill, struct lsp_error *err)
{
	int r = lsp_bitmap_init(&fill->have, fill->c.leaf_count, err);
	if (r == 0)
		r = lsp_stage_open_file(fill->stage, fill->c.file, &fill->fd, err);
	if (r < 0)
		return r;
	_cleanup_free_ uint8_t *bytes = malloc(fill->c.size);
	if (!bytes)
		return lsp_error_no_memory(err, "content");
	r = take_from(fill, fill->fd, true, bytes, err);
	return r < 0 ? r : take_from_locals(fill, bytes, err);
}

int lsp_stage_fill_new(struct lsp_stage *stage, uint32_t chunk, const struct lsp_hash *leaves,
	size_t leaf_count, struct lsp_stage_fill **ret_fill, struct lsp_error *err)
{
	bool owner;
	struct lsp_chunk c;
	int r = lsp_stage_check(stage, err);
	if (r < 0)
		return r;
	if (chunk >= stage->manifest->chunk_count)
		return lsp_error_set(err, "content", LSP_E_INVALID, "there is no chunk %u", chunk);
	lsp_manifest_chunk(stage->manifest, chunk, &c);
	if (leaf_count != c.leaf_count || !lsp_merkle_check_leaves(&c, leaves))
		return lsp_error_set(err, "content", LSP_E_CORRUPT,
			"the leaf hashes are not those of chunk %u", chunk);
	struct lsp_stage_fill *fill = calloc(1, sizeof *fill + leaf_count * sizeof *leaves);
	if (!fill)
		return lsp_error_no_memory(err, "content");
	r = lsp_stage_claim_take(stage, chunk, false, &owner, err);
	if (r < 0) {
		free(fill);
		return r;
	}
	_cleanup_(lsp_stage_fill_free_pointer) struct lsp_stage_fill *undo = fill;
	fill->stage = lsp_stage_ref(stage);
	fill->chunk = chunk;
	fill->c = c;
	fill->fd = -1;
	memcpy(fill->leaves, leaves, leaf_count * sizeof *leaves);
	r = begin(fill, err);
	if (r < 0)
		return r;
	*ret_fill = TAKE_PTR(undo);
	return 0;
}

const struct lsp_bitmap *lsp_stage_fill_leaves(const struct lsp_stage_fill *fill)
{
	return &fill->have;
}

int lsp_stage_fill_write(struct lsp_stage_fill *fill, uint32_t leaf, const void *data, size_t size,
	struct lsp_error *err)
{
	struct lsp_hash hash;
	int r = lsp_stage_check(fill->stage, err);
	if (r < 0)
		return r;
	if (leaf >= fill->c.leaf_count || size != leaf_size(&fill->c, leaf))
		return lsp_error_set(err, "content", LSP_E_PROTOCOL, "not a leaf of the chunk");
	lsp_sha256(&hash, data, size);
	if (!lsp_hash_equal(&hash, &fill->leaves[leaf]))
		return lsp_error_set(err, "content", LSP_E_CORRUPT,
			"leaf %u of chunk %u does not have its hash", leaf, fill->chunk);
	return lsp_bitmap_get(&fill->have, leaf) ? 0 : write_leaf(fill, leaf, data, err);
}

int lsp_stage_fill_finish(struct lsp_stage_fill *fill, struct lsp_error *err)
{
	if (!lsp_bitmap_full(&fill->have))
		return lsp_error_set(err, "content", LSP_E_PROTOCOL,
			"%zu leaves of chunk %u are missing", fill->have.bits - fill->have.set,
			fill->chunk);
	if (!lsp_stage_claim_begin_write(fill->stage, fill->chunk))
		return lsp_error_set(err, "content", LSP_E_EXISTS,
			"chunk %u came from elsewhere meanwhile", fill->chunk);
	int r = lsp_stage_mark(fill->stage, fill->chunk, err);
	lsp_stage_claim_end_write(fill->stage, fill->chunk);
	return r;
}

void lsp_stage_fill_free(struct lsp_stage_fill *fill)
{
	if (!fill)
		return;
	lsp_stage_claim_release(fill->stage, fill->chunk, true);
	lsp_cleanup_close(&fill->fd);
	lsp_bitmap_done(&fill->have);
	lsp_stage_unref(fill->stage);
	free(fill);
}
