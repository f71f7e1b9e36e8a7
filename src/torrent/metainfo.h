/*
 * Writing a .torrent: BEP 3 and BEP 52 from a list of files that were hashed.
 *
 * v2 alone, or hybrid: then the v1 half has the same files with padding between, so that each
 * begins with a piece (BEP 47), and no path twice. What is written is canonical bencoding; for a
 * library game without `private` and `source` the info dictionary is the game's own, whose hash is
 * the content id.
 *
 * Pure; from every thread.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "base/sha256.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define LSP_METAINFO_PIECE_MIN 16384u
#define LSP_METAINFO_PIECE_MAX (64u << 20)

struct lsp_metainfo_file {
	const char *path; /* below the torrent's folder, '/' between */
	uint64_t size;
	bool executable;
	struct lsp_hash root;         /* ignored if empty */
	const struct lsp_hash *layer; /* one hash a piece, for files of more than one; else NULL */
};

struct lsp_metainfo {
	const char *name;
	uint32_t piece_length;                 /* a power of two */
	const struct lsp_metainfo_file *files; /* in lsp_path_compare order, at least one */
	size_t file_count;
	bool single;          /* one file, named as the torrent, without a folder */
	const uint8_t *sha1s; /* hybrid: 20 bytes for each piece; NULL: v2 alone */
	size_t sha1_count;
	bool is_private;
	const char *source, *comment; /* NULL: none */
	const json_t *trackers;       /* [url or [url, …]]; NULL */
	const json_t *web_seeds;      /* [url]; NULL */
	int64_t created;              /* seconds since 1970; 0: not said */
	const uint8_t *info;
	size_t info_size; /* an info dictionary as it is; NULL: made */
};

/* Pieces of so many bytes, over all files. */
uint64_t lsp_metainfo_pieces(const struct lsp_metainfo *metainfo);
LSP_MUST_CHECK int lsp_metainfo_write(
	const struct lsp_metainfo *metainfo, struct lsp_buffer *buffer, struct lsp_error *err);
