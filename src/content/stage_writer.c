#include "base/fs.h"
#include "content/stage_private.h"
#include "wire/merkle.h"

#include <assert.h>
#include <string.h>

#define LEAVES_AT_ONCE 16
#define WRITE_BACK_MIN (1u << 20) /* small files: waiting for the disk's queue costs more */

struct lsp_stage_writer {
	struct lsp_stage *stage;
	uint32_t chunk;
	struct lsp_chunk c;
	bool owner;
	bool ended;      /* finished, or failed: takes nothing more */
	int fd;          /* the owner's */
	uint8_t *memory; /* the second's */
	uint32_t got;
	struct lsp_merkle tree;
	struct lsp_sha256 *leaf; /* of one that comes in parts; NULL until there is one */
	uint32_t leaf_got;
};

int lsp_stage_writer_new(struct lsp_stage *stage, uint32_t chunk,
	struct lsp_stage_writer **ret_writer, struct lsp_error *err)
{
	int r = lsp_stage_check(stage, err);
	if (r < 0)
		return r;
	struct lsp_stage_writer *writer = calloc(1, sizeof *writer);
	if (!writer)
		return lsp_error_no_memory(err, "content");
	r = lsp_stage_claim_take(stage, chunk, true, &writer->owner, err);
	if (r < 0) {
		free(writer);
		return r;
	}
	_cleanup_(lsp_stage_writer_free_pointer) struct lsp_stage_writer *undo = writer;
	writer->stage = lsp_stage_ref(stage);
	writer->chunk = chunk;
	writer->fd = -1;
	lsp_merkle_init(&writer->tree, 0);
	lsp_manifest_chunk(stage->manifest, chunk, &writer->c);
	if (writer->owner)
		r = lsp_stage_open_file(stage, writer->c.file, &writer->fd, err);
	if (r == 0 && !writer->owner && !(writer->memory = malloc(writer->c.size)))
		r = lsp_error_no_memory(err, "content");
	if (r < 0)
		return r;
	*ret_writer = TAKE_PTR(undo);
	return 0;
}

void lsp_stage_writer_free(struct lsp_stage_writer *writer)
{
	if (!writer)
		return;
	lsp_stage_claim_release(writer->stage, writer->chunk, writer->owner);
	lsp_cleanup_close(&writer->fd);
	lsp_sha256_free(writer->leaf);
	free(writer->memory);
	lsp_stage_unref(writer->stage);
	free(writer);
}

/* Bytes of the leaf that comes next: the last one is shorter. */
static uint32_t next_leaf(const struct lsp_stage_writer *writer)
{
	uint32_t left = writer->c.size - (uint32_t)writer->tree.count * LSP_LEAF_SIZE;
	return LSP_MIN(left, LSP_LEAF_SIZE);
}

/* The leaf that is not whole yet takes what it needs, *ret_took. */
static int hash_part(struct lsp_stage_writer *writer, const uint8_t *data, size_t size,
	size_t *ret_took, struct lsp_error *err)
{
	uint32_t whole = next_leaf(writer);
	size_t take = LSP_MIN(size, (size_t)(whole - writer->leaf_got));
	int r = writer->leaf ? 0 : lsp_sha256_new(&writer->leaf, err);
	if (r < 0)
		return r;
	lsp_sha256_update(writer->leaf, data, take);
	writer->leaf_got += (uint32_t)take;
	if (writer->leaf_got == whole) {
		struct lsp_hash hash;
		lsp_sha256_take(writer->leaf, &hash);
		lsp_merkle_push(&writer->tree, &hash);
		writer->leaf_got = 0;
	}
	*ret_took = take;
	return 0;
}

/* Whole leaves are hashed where they lie, several in one go. */
static size_t hash_whole(struct lsp_stage_writer *writer, const uint8_t *data, size_t size)
{
	struct lsp_hash leaves[LEAVES_AT_ONCE];
	size_t count = LSP_MIN(size / LSP_LEAF_SIZE, (size_t)LEAVES_AT_ONCE);
	size_t took = count ? count * LSP_LEAF_SIZE : next_leaf(writer);
	lsp_merkle_hash_leaves(data, took, leaves);
	for (size_t i = 0; i < LSP_MAX(count, (size_t)1); i++)
		lsp_merkle_push(&writer->tree, &leaves[i]);
	return took;
}

static int hash_bytes(
	struct lsp_stage_writer *writer, const uint8_t *data, size_t size, struct lsp_error *err)
{
	int r = 0;
	while (size && r == 0) {
		size_t took = 0;
		if (writer->leaf_got == 0 && size >= next_leaf(writer))
			took = hash_whole(writer, data, size);
		else
			r = hash_part(writer, data, size, &took, err);
		data += took;
		size -= took;
	}
	return r;
}

static int lost(struct lsp_stage_writer *writer, struct lsp_error *err)
{
	writer->ended = true;
	return lsp_error_set(err, "content", LSP_E_EXISTS, "chunk %u came from elsewhere meanwhile",
		writer->chunk);
}

/* As the owner; the claim keeps the second out meanwhile. */
static int write_owned(
	struct lsp_stage_writer *writer, const void *data, size_t size, struct lsp_error *err)
{
	struct lsp_stage *stage = writer->stage;
	if (!lsp_stage_claim_begin_write(stage, writer->chunk))
		return lost(writer, err);
	int r = lsp_fs_write_at(writer->fd, data, size, writer->c.offset + writer->got,
		stage->manifest->files[writer->c.file].path, err);
	lsp_stage_claim_end_write(stage, writer->chunk);
	if (r == 0)
		lsp_stage_wrote(stage, writer->c.file, size);
	return r;
}

int lsp_stage_writer_write(
	struct lsp_stage_writer *writer, const void *data, size_t size, struct lsp_error *err)
{
	if (writer->ended)
		return lsp_error_set(err, "content", LSP_E_INVALID, "the writer has ended");
	int r = lsp_stage_check(writer->stage, err);
	if (r < 0)
		return r;
	if (size > writer->c.size - writer->got) {
		writer->ended = true;
		return lsp_error_set(err, "content", LSP_E_PROTOCOL,
			"more bytes than the %u of chunk %u", writer->c.size, writer->chunk);
	}
	if (size == 0)
		return 0;
	if (writer->owner)
		r = write_owned(writer, data, size, err);
	else if (lsp_stage_has(writer->stage, writer->chunk))
		r = lost(writer, err);
	else
		memcpy(writer->memory + writer->got, data, size);
	if (r < 0) {
		writer->ended = true;
		return r;
	}
	r = hash_bytes(writer, data, size, err);
	if (r < 0) {
		writer->ended = true;
		return r;
	}
	writer->got += (uint32_t)size;
	return 0;
}

/* Revokes the owner and puts the collected bytes into the file. */
static int take_over(struct lsp_stage_writer *writer, struct lsp_error *err)
{
	struct lsp_stage *stage = writer->stage;
	if (!lsp_stage_claim_revoke(stage, writer->chunk))
		return lost(writer, err);
	int r = lsp_stage_open_file(stage, writer->c.file, &writer->fd, err);
	if (r == 0)
		r = lsp_fs_write_at(writer->fd, writer->memory, writer->c.size, writer->c.offset,
			stage->manifest->files[writer->c.file].path, err);
	if (r == 0)
		lsp_stage_wrote(stage, writer->c.file, writer->c.size);
	return r;
}

int lsp_stage_writer_finish(struct lsp_stage_writer *writer, struct lsp_error *err)
{
	if (writer->ended)
		return lsp_error_set(err, "content", LSP_E_INVALID, "the writer has ended");
	writer->ended = true;
	if (writer->got != writer->c.size)
		return lsp_error_set(err, "content", LSP_E_PROTOCOL,
			"chunk %u ended after %u of %u bytes", writer->chunk, writer->got,
			writer->c.size);
	struct lsp_hash root;
	lsp_merkle_root(&writer->tree, writer->c.leaf_width, &root);
	if (!lsp_hash_equal(&root, &writer->c.hash))
		return lsp_error_set(err, "content", LSP_E_CORRUPT,
			"chunk %u does not have its hash", writer->chunk);
	int r = writer->owner ? 0 : take_over(writer, err);
	if (r < 0)
		return r;
	/* The owner's marking is one more write: a second may be revoking it right now. */
	if (writer->owner && !lsp_stage_claim_begin_write(writer->stage, writer->chunk))
		return lost(writer, err);
	r = lsp_stage_mark(writer->stage, writer->chunk, err);
	if (writer->owner)
		lsp_stage_claim_end_write(writer->stage, writer->chunk);
	if (writer->c.size >=
		WRITE_BACK_MIN) /* so that the sync at the end, or at a stop, is short */
		lsp_fs_write_back(writer->fd, writer->c.offset, writer->c.size);
	return r;
}
