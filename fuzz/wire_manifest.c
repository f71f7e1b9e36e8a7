/* A manifest that is accepted is written back byte for byte, and its chunks tile its files. */
#include "wire/manifest.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_chunks(const struct lsp_manifest *manifest)
{
	uint64_t total = 0;
	for (uint32_t i = 0; i < manifest->chunk_count && i < 5000; i++) {
		struct lsp_chunk chunk;
		lsp_manifest_chunk(manifest, i, &chunk);
		const struct lsp_manifest_file *file = &manifest->files[chunk.file];
		if (chunk.size == 0 || chunk.offset + chunk.size > file->size ||
			chunk.leaf_count > chunk.leaf_width)
			abort();
		total += chunk.size;
	}
	if (manifest->chunk_count <= 5000 && total != manifest->total_size)
		abort();
	for (uint32_t i = 0; i < manifest->file_count; i++) {
		if (lsp_manifest_find(manifest, manifest->files[i].path) != &manifest->files[i])
			abort();
	}
}

static void check_torrent(const uint8_t *data, size_t size)
{
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL, *again = NULL;
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	if (lsp_manifest_parse_torrent(data, size, &manifest, NULL) < 0)
		return;
	if (lsp_manifest_write_torrent(manifest, &bytes, NULL) < 0 ||
		lsp_manifest_parse_torrent(bytes.data, bytes.size, &again, NULL) < 0 ||
		!lsp_hash_equal(&manifest->content_id, &again->content_id))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	check_torrent(data, size);
	if (lsp_manifest_parse(data, size, NULL, &manifest, NULL) < 0)
		return 0;
	check_chunks(manifest);
	if (lsp_manifest_serialize(manifest, &bytes, NULL) < 0 || bytes.size != size ||
		memcmp(bytes.data, data, size) != 0)
		abort();
	return 0;
}
