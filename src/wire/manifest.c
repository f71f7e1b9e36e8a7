#include "wire/bencode.h"
#include "wire/manifest_private.h"
#include "wire/merkle.h"

#include <assert.h>
#include <string.h>

/* ---- Lifetime --------------------------------------------------------------------------- */

void lsp_manifest_box_free(struct lsp_manifest_box *box)
{
	if (!box)
		return;
	free(box->files);
	free(box->paths);
	free(box->info);
	free(box->layers);
	free(box);
}

static struct lsp_manifest_box *box_of(const struct lsp_manifest *manifest)
{
	return lsp_container_of(
		(struct lsp_manifest *)(uintptr_t)manifest, struct lsp_manifest_box, manifest);
}

const struct lsp_manifest *lsp_manifest_ref(const struct lsp_manifest *manifest)
{
	atomic_fetch_add_explicit(&box_of(manifest)->refs, 1, memory_order_relaxed);
	return manifest;
}

void lsp_manifest_unref(const struct lsp_manifest *manifest)
{
	if (!manifest)
		return;
	struct lsp_manifest_box *box = box_of(manifest);
	if (atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) == 1)
		lsp_manifest_box_free(box);
}

/* ---- Reading it ---- */

uint32_t lsp_manifest_piece_length(uint64_t total_size)
{
	uint32_t length = LSP_PIECE_LENGTH_MIN;
	while (length < LSP_PIECE_LENGTH_MAX && (uint64_t)length * 1024 < total_size)
		length *= 2;
	return length;
}

/*
 * An empty file has the first_chunk of the file after it: so the last one at or below has the
 * chunk, and is not empty.
 */
static uint32_t file_of_chunk(const struct lsp_manifest *manifest, uint32_t index)
{
	uint32_t low = 0, high = manifest->file_count;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (manifest->files[middle].first_chunk <= index)
			low = middle;
		else
			high = middle;
	}
	return low;
}

void lsp_manifest_chunk(
	const struct lsp_manifest *manifest, uint32_t index, struct lsp_chunk *ret_chunk)
{
	assert(index < manifest->chunk_count);
	uint32_t number = file_of_chunk(manifest, index);
	const struct lsp_manifest_file *file = &manifest->files[number];
	uint32_t piece = index - file->first_chunk;
	uint64_t offset = (uint64_t)piece * manifest->piece_length;
	uint64_t left = file->size - offset;
	uint32_t size = (uint32_t)LSP_MIN(left, (uint64_t)manifest->piece_length);
	uint32_t leaves = (uint32_t)lsp_merkle_leaf_count(size);
	*ret_chunk = (struct lsp_chunk){
		.file = number,
		.offset = offset,
		.size = size,
		.leaf_count = leaves,
		.leaf_width = file->chunk_count == 1 ? (uint32_t)lsp_merkle_width(leaves)
						     : manifest->piece_length / LSP_LEAF_SIZE,
		.hash = file->layer[piece],
	};
}

const struct lsp_manifest_file *lsp_manifest_find(
	const struct lsp_manifest *manifest, const char *path)
{
	uint32_t low = 0, high = manifest->file_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = lsp_path_compare(path, manifest->files[middle].path);
		if (order == 0)
			return &manifest->files[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* ---- Piece layers ---- */

int lsp_manifest_allocate_layers(struct lsp_manifest_box *box, struct lsp_error *err)
{
	box->layers = calloc(box->layer_count + 1, sizeof *box->layers);
	if (!box->layers)
		return lsp_error_no_memory(err, "wire");
	struct lsp_hash *next = box->layers;
	for (uint32_t i = 0; i < box->manifest.file_count; i++) {
		struct lsp_manifest_file *file = &box->files[i];
		if (file->chunk_count <= 1)
			continue;
		file->layer = next;
		next += file->chunk_count;
	}
	return 0;
}

int lsp_manifest_check_layers(const struct lsp_manifest_box *box, struct lsp_error *err)
{
	const struct lsp_manifest *manifest = &box->manifest;
	unsigned level = (unsigned)__builtin_ctz(manifest->piece_length / LSP_LEAF_SIZE);
	for (uint32_t i = 0; i < manifest->file_count; i++) {
		const struct lsp_manifest_file *file = &manifest->files[i];
		if (file->chunk_count <= 1)
			continue;
		struct lsp_hash root;
		lsp_merkle_root_of(file->layer, file->chunk_count, level,
			lsp_merkle_width(file->chunk_count), &root);
		if (!lsp_hash_equal(&root, &file->root))
			return lsp_error_set(err, "wire", LSP_E_CORRUPT,
				"manifest: the piece hashes of \"%s\" do not lead to its root",
				file->path);
	}
	return 0;
}

/* ---- Transport form ---- */

static void put_u32(uint8_t *out, size_t value)
{
	out[0] = (uint8_t)(value >> 24);
	out[1] = (uint8_t)(value >> 16);
	out[2] = (uint8_t)(value >> 8);
	out[3] = (uint8_t)value;
}

/* A length and as many bytes, from the front of what is left. */
static int take_part(const uint8_t **data, size_t *size, const uint8_t **ret_part, size_t *ret_size,
	struct lsp_error *err)
{
	const uint8_t *d = *data;
	if (*size < 4)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "manifest: cut short");
	size_t length = (size_t)d[0] << 24 | (size_t)d[1] << 16 | (size_t)d[2] << 8 | d[3];
	if (length > *size - 4)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "manifest: cut short");
	*ret_part = d + 4;
	*ret_size = length;
	*data += 4 + length;
	*size -= 4 + length;
	return 0;
}

int lsp_manifest_parse(const void *data, size_t size, const struct lsp_hash *expected,
	const struct lsp_manifest **ret_manifest, struct lsp_error *err)
{
	const uint8_t *rest = data, *info = NULL, *layers = NULL;
	size_t left = size, info_size = 0, layers_size = 0;
	int r = take_part(&rest, &left, &info, &info_size, err);
	if (r == 0)
		r = take_part(&rest, &left, &layers, &layers_size, err);
	if (r < 0)
		return r;
	if (left)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "manifest: bytes after the end");
	struct lsp_hash id;
	lsp_sha256(&id, info, info_size);
	if (expected && !lsp_hash_equal(&id, expected))
		return lsp_error_set(err, "wire", LSP_E_CORRUPT,
			"manifest: it is of another content than was asked for");
	_cleanup_(lsp_manifest_box_free_pointer) struct lsp_manifest_box *box = NULL;
	r = lsp_manifest_parse_info(info, info_size, &box, err);
	if (r < 0)
		return r;
	if (layers_size != box->layer_count * LSP_SHA256_SIZE)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL,
			"manifest: %zu bytes of piece hashes instead of %zu", layers_size,
			box->layer_count * LSP_SHA256_SIZE);
	r = lsp_manifest_allocate_layers(box, err);
	if (r < 0)
		return r;
	if (layers_size)
		memcpy(box->layers, layers, layers_size);
	r = lsp_manifest_check_layers(box, err);
	if (r < 0)
		return r;
	*ret_manifest = &TAKE_PTR(box)->manifest;
	return 0;
}

bool lsp_manifest_is_forbidden(const void *data, size_t size, const struct lsp_hash *content)
{
	const uint8_t *rest = data, *info = NULL;
	size_t left = size, info_size = 0;
	struct lsp_hash id;
	struct lsp_error error = {0}; /* the kind of a failure goes through it */
	_cleanup_(lsp_manifest_box_free_pointer) struct lsp_manifest_box *box = NULL;
	if (take_part(&rest, &left, &info, &info_size, &error) < 0)
		return false;
	lsp_sha256(&id, info, info_size);
	if (!lsp_hash_equal(&id, content))
		return false;
	int r = lsp_manifest_parse_info(info, info_size, &box, &error);
	return r == -LSP_E_PROTOCOL || r == -LSP_E_TOO_LARGE;
}

size_t lsp_manifest_serialized_size(const struct lsp_manifest *manifest)
{
	return 8 + manifest->info_size + box_of(manifest)->layer_count * LSP_SHA256_SIZE;
}

int lsp_manifest_serialize(
	const struct lsp_manifest *manifest, struct lsp_buffer *buffer, struct lsp_error *err)
{
	const struct lsp_manifest_box *box = box_of(manifest);
	size_t layers_size = box->layer_count * LSP_SHA256_SIZE;
	int r = lsp_buffer_reserve(buffer, lsp_manifest_serialized_size(manifest), err);
	if (r < 0)
		return r;
	uint8_t *out = buffer->data + buffer->size;
	put_u32(out, manifest->info_size);
	memcpy(out + 4, manifest->info, manifest->info_size);
	out += 4 + manifest->info_size;
	put_u32(out, layers_size);
	if (layers_size)
		memcpy(out + 4, box->layers, layers_size);
	buffer->size += lsp_manifest_serialized_size(manifest);
	return 0;
}
