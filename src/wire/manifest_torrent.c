/* A manifest as a .torrent file: the info dictionary beside piece layers that are keyed by root. */
#include "wire/bencode.h"
#include "wire/manifest_private.h"

#include <string.h>

/* A file of more than one piece; torrents have one layer for all files of the same root. */
static int compare_roots(const void *a, const void *b)
{
	const struct lsp_manifest_file *const *x = a, *const *y = b;
	return memcmp((*x)->root.bytes, (*y)->root.bytes, LSP_SHA256_SIZE);
}

static int layered_files(const struct lsp_manifest *manifest,
	const struct lsp_manifest_file ***ret_files, size_t *ret_count, struct lsp_error *err)
{
	const struct lsp_manifest_file **files = calloc(manifest->file_count, sizeof *files);
	if (!files)
		return lsp_error_no_memory(err, "wire");
	size_t count = 0;
	for (uint32_t i = 0; i < manifest->file_count; i++) {
		if (manifest->files[i].chunk_count > 1)
			files[count++] = &manifest->files[i];
	}
	qsort(files, count, sizeof *files, compare_roots);
	*ret_files = files;
	*ret_count = count;
	return 0;
}

int lsp_manifest_write_torrent(
	const struct lsp_manifest *manifest, struct lsp_buffer *buffer, struct lsp_error *err)
{
	_cleanup_free_ const struct lsp_manifest_file **files = NULL;
	size_t count = 0;
	int r = layered_files(manifest, &files, &count, err);
	if (r == 0)
		r = lsp_bencode_begin_dict(buffer, err);
	if (r == 0)
		r = lsp_bencode_put_text(buffer, "info", err);
	if (r == 0)
		r = lsp_buffer_append(buffer, manifest->info, manifest->info_size, err);
	if (r == 0)
		r = lsp_bencode_put_text(buffer, "piece layers", err);
	if (r == 0)
		r = lsp_bencode_begin_dict(buffer, err);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (i && lsp_hash_equal(&files[i]->root, &files[i - 1]->root))
			continue;
		r = lsp_bencode_put_string(buffer, files[i]->root.bytes, LSP_SHA256_SIZE, err);
		if (r == 0)
			r = lsp_bencode_put_string(buffer, files[i]->layer,
				files[i]->chunk_count * sizeof(struct lsp_hash), err);
	}
	if (r == 0)
		r = lsp_bencode_end(buffer, err);
	return r < 0 ? r : lsp_bencode_end(buffer, err);
}

/* ---- Reading ---- */

struct span {
	const uint8_t *data;
	size_t size;
};

/* Where in the bytes the two values lie. */
static int find_parts(
	struct span all, struct span *ret_info, struct span *ret_layers, struct lsp_error *err)
{
	struct lsp_bencode_reader reader;
	struct lsp_bencode_token token;
	lsp_bencode_reader_init(&reader, all.data, all.size);
	int r = lsp_bencode_next(&reader, &token, err);
	if (r < 0)
		return r;
	if (token.type != LSP_BENCODE_DICT)
		return lsp_error_set(err, "wire", LSP_E_PROTOCOL, "not a torrent file");
	for (;;) {
		r = lsp_bencode_next(&reader, &token, err);
		if (r < 0)
			return r;
		if (token.type == LSP_BENCODE_END)
			return lsp_bencode_next(&reader, &token, err);
		size_t start = reader.at;
		r = lsp_bencode_skip(&reader, err);
		if (r < 0)
			return r;
		struct span value = {all.data + start, reader.at - start};
		if (LSP_BENCODE_IS(&token, "info"))
			*ret_info = value;
		else if (LSP_BENCODE_IS(&token, "piece layers"))
			*ret_layers = value;
	}
}

/* Copies one layer to every file that has its root; how many that were. */
static int take_layer(struct lsp_manifest_box *box, const struct lsp_manifest_file **files,
	size_t count, const struct lsp_bencode_token *root, const struct lsp_bencode_token *layer,
	size_t *taken, struct lsp_error *err)
{
	if (root->size != LSP_SHA256_SIZE)
		return lsp_error_set(
			err, "wire", LSP_E_PROTOCOL, "torrent: a root that is not 32 bytes");
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(files[middle]->root.bytes, root->string, LSP_SHA256_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < count && memcmp(files[low]->root.bytes, root->string, LSP_SHA256_SIZE) == 0;
		low++) {
		if (layer->size != files[low]->chunk_count * sizeof(struct lsp_hash))
			return lsp_error_set(err, "wire", LSP_E_PROTOCOL,
				"torrent: a piece layer of the wrong length");
		memcpy(box->layers + (files[low]->layer - box->layers), layer->string, layer->size);
		++*taken;
	}
	return 0;
}

static int read_layers(struct lsp_manifest_box *box, struct span layers, struct lsp_error *err)
{
	_cleanup_free_ const struct lsp_manifest_file **files = NULL;
	size_t count = 0, taken = 0;
	int r = layered_files(&box->manifest, &files, &count, err);
	if (r < 0)
		return r;
	struct lsp_bencode_reader reader;
	struct lsp_bencode_token key, value;
	lsp_bencode_reader_init(&reader, layers.data, layers.size);
	r = layers.size ? lsp_bencode_next(&reader, &key, err) : 0;
	if (r == 0 && layers.size && key.type != LSP_BENCODE_DICT)
		r = lsp_error_set(
			err, "wire", LSP_E_PROTOCOL, "torrent: piece layers are no dictionary");
	while (r == 0 && layers.size) {
		r = lsp_bencode_next(&reader, &key, err);
		if (r < 0 || key.type == LSP_BENCODE_END)
			break;
		r = lsp_bencode_next(&reader, &value, err);
		if (r == 0 && value.type != LSP_BENCODE_STRING)
			r = lsp_error_set(err, "wire", LSP_E_PROTOCOL,
				"torrent: a piece layer that is no string");
		if (r == 0)
			r = take_layer(box, files, count, &key, &value, &taken, err);
	}
	if (r == 0 && taken != count)
		r = lsp_error_set(err, "wire", LSP_E_PROTOCOL, "torrent: a piece layer is missing");
	return r;
}

int lsp_manifest_parse_torrent(const void *data, size_t size,
	const struct lsp_manifest **ret_manifest, struct lsp_error *err)
{
	struct span info = {0}, layers = {0};
	int r = find_parts((struct span){data, size}, &info, &layers, err);
	if (r < 0)
		return r;
	if (!info.data)
		return lsp_error_set(
			err, "wire", LSP_E_PROTOCOL, "not a torrent file: it has no info");
	_cleanup_(lsp_manifest_box_free_pointer) struct lsp_manifest_box *box = NULL;
	r = lsp_manifest_parse_info(info.data, info.size, &box, err);
	if (r == 0)
		r = lsp_manifest_allocate_layers(box, err);
	if (r == 0)
		r = read_layers(box, layers, err);
	if (r == 0)
		r = lsp_manifest_check_layers(box, err);
	if (r < 0)
		return r;
	*ret_manifest = &TAKE_PTR(box)->manifest;
	return 0;
}
