#include "peer/piece_map.h"

static uint64_t units(uint64_t size, uint32_t length)
{
	return size / length + (size % length != 0);
}

size_t lsp_piece_count(const struct lsp_manifest *manifest, uint32_t piece_length)
{
	uint64_t count = 0;
	for (uint32_t i = 0; i < manifest->file_count; i++)
		count += units(manifest->files[i].size, piece_length);
	return (size_t)count;
}

/* Units of one length in a file, numbered from `first`, and the same file in units of another. */
struct half {
	const struct lsp_bitmap *from;
	size_t from_first;
	uint32_t from_length;
	struct lsp_bitmap *to;
	size_t to_first;
	uint32_t to_length;
};

static void convert_file(const struct half *half, uint64_t size)
{
	uint64_t count = units(size, half->to_length);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t begin = i * half->to_length;
		uint64_t end = LSP_MIN(begin + half->to_length, size);
		uint64_t at = begin / half->from_length;
		uint64_t last = (end - 1) / half->from_length;
		while (at <= last && lsp_bitmap_get(half->from, half->from_first + (size_t)at))
			at++;
		if (at > last)
			lsp_bitmap_set(half->to, half->to_first + (size_t)i);
	}
}

static void convert(const struct lsp_manifest *manifest, const struct lsp_bitmap *from,
	uint32_t from_length, struct lsp_bitmap *to, uint32_t to_length)
{
	struct half half = {from, 0, from_length, to, 0, to_length};
	for (uint32_t i = 0; i < manifest->file_count; i++) {
		uint64_t size = manifest->files[i].size;
		convert_file(&half, size);
		half.from_first += (size_t)units(size, from_length);
		half.to_first += (size_t)units(size, to_length);
	}
}

void lsp_pieces_from_chunks(const struct lsp_manifest *manifest, uint32_t piece_length,
	const struct lsp_bitmap *chunks, struct lsp_bitmap *pieces)
{
	convert(manifest, chunks, manifest->piece_length, pieces, piece_length);
}

void lsp_chunks_from_pieces(const struct lsp_manifest *manifest, uint32_t piece_length,
	const struct lsp_bitmap *pieces, struct lsp_bitmap *chunks)
{
	convert(manifest, pieces, piece_length, chunks, manifest->piece_length);
}
