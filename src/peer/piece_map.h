/*
 * Chunks and pieces: what a bitmap of the one means as a bitmap of the other.
 *
 * A game's chunks are the pieces of its own v2 torrent. An alias with the same files may have
 * pieces of another length; in both, every file begins with a piece of its own, and files come in
 * the same order. Pure.
 */
#pragma once

#include "base/bitmap.h"
#include "wire/manifest.h"

/* Pieces of this length (a power of two from 16 KiB on) that the files of the manifest make. */
size_t lsp_piece_count(const struct lsp_manifest *manifest, uint32_t piece_length);

/*
 * `pieces` (initialised, all zero, lsp_piece_count bits) gets those that lie wholly in set chunks;
 * `chunks` (likewise, chunk_count bits) those that lie wholly in set pieces.
 */
void lsp_pieces_from_chunks(const struct lsp_manifest *manifest, uint32_t piece_length,
	const struct lsp_bitmap *chunks, struct lsp_bitmap *pieces);
void lsp_chunks_from_pieces(const struct lsp_manifest *manifest, uint32_t piece_length,
	const struct lsp_bitmap *pieces, struct lsp_bitmap *chunks);
