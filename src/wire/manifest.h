/*
 * A manifest: exactly what a game consists of, and the identity that follows from it.
 *
 * A manifest is a BitTorrent v2 info dictionary (BEP 52) in one canonical form, plus the piece
 * layers of its files. Its content id is the SHA-256 of the info dictionary: the v2 info-hash. The
 * form: keys `file tree`, `meta version` 2, `name` (the game id), `piece length` and no others;
 * paths that pass lsp_path_check and do not collide; `attr` absent or "x"; empty files yes, empty
 * folders, symlinks and pad files no; the piece length that lsp_manifest_piece_length gives, no
 * other.
 *
 * A **chunk** is a piece: the unit that is verified, announced and asked for. Chunks are numbered
 * across the game: files in the order of the file tree, each file's pieces in order. A piece never
 * spans two files; an empty file has none.
 *
 * A manifest is immutable and counted: ref and unref from every thread, everything in it may be
 * read by all. Parsing checks everything, so that who holds a manifest need not doubt it: every
 * limit, every path, collisions, canonical spelling, the piece layers against the roots. It costs
 * one pass of hashing over the layers (0.8 ms per 10 GB of game) and does no I/O.
 */
#pragma once

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/sha256.h"
#include "wire/path.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A block of BEP 52: what the leaves of a file's tree are hashes of. */
#define LSP_LEAF_SIZE 16384u
#define LSP_PIECE_LENGTH_MIN (128u << 10)
#define LSP_PIECE_LENGTH_MAX (4u << 20)

#define LSP_MANIFEST_FILES_MAX (1u << 18)
#define LSP_MANIFEST_SIZE_MAX (UINT64_C(1) << 43)   /* 8 TiB of content */
#define LSP_MANIFEST_INFO_MAX ((size_t)64 << 20)    /* bytes of info dictionary */
#define LSP_MANIFEST_LAYERS_MAX ((size_t)128 << 20) /* bytes of piece layers */

struct lsp_manifest_file {
	const char *path; /* relative, '/' between */
	uint64_t size;
	bool executable;
	uint32_t first_chunk;         /* number of its first chunk (of the next file's, if empty) */
	uint32_t chunk_count;         /* 0 if empty */
	struct lsp_hash root;         /* all zero if empty */
	const struct lsp_hash *layer; /* chunk_count hashes, one a chunk; the root itself for one */
};

struct lsp_manifest {
	struct lsp_hash content_id;
	char name[LSP_GAME_ID_MAX + 1];
	uint32_t piece_length;
	uint64_t total_size;
	uint32_t chunk_count;
	uint32_t file_count;                   /* at least 1 */
	const struct lsp_manifest_file *files; /* in lsp_path_compare order */
	const uint8_t *info;                   /* the info dictionary, raw */
	size_t info_size;
};

const struct lsp_manifest *lsp_manifest_ref(const struct lsp_manifest *manifest);
void lsp_manifest_unref(const struct lsp_manifest *manifest);
LSP_DEFINE_CLEANUP(const struct lsp_manifest *, lsp_manifest_unref);
#define _cleanup_manifest_ _cleanup_(lsp_manifest_unref_pointer)

/* The smallest power of two ≥ total_size / 1024, within 128 KiB and 4 MiB. */
uint32_t lsp_manifest_piece_length(uint64_t total_size);

/* ---- Chunks ----------------------------------------------------------------------------- */

struct lsp_chunk {
	uint32_t file;       /* index into files */
	uint64_t offset;     /* in that file */
	uint32_t size;       /* 1 to piece_length */
	uint32_t leaf_count; /* ⌈size / 16 KiB⌉ */
	/*
	 * Leaves of the tree that `hash` is the root of, a power of two: piece_length / 16 KiB for
	 * a piece of a larger file; for a file of one piece only as many as its own leaves need.
	 */
	uint32_t leaf_width;
	struct lsp_hash hash;
};

/* index must be below chunk_count (an assertion). O(log files). */
void lsp_manifest_chunk(
	const struct lsp_manifest *manifest, uint32_t index, struct lsp_chunk *ret_chunk);

/* The file with that path; NULL if there is none. O(log files). */
const struct lsp_manifest_file *lsp_manifest_find(
	const struct lsp_manifest *manifest, const char *path);

/* ---- Parse and build -------------------------------------------------------------------- */

/*
 * The transport form, as GetManifest sends it and as the disk keeps it: 4-byte big-endian length
 * and the info dictionary; 4-byte big-endian length and the piece layers: for each file of more
 * than one piece, in order, its hashes back to back. Not a byte more.
 *
 * expected: the content id that was asked for, or NULL. -LSP_E_CORRUPT when it is another,
 * -LSP_E_PROTOCOL or -LSP_E_TOO_LARGE for a broken rule, named in the message.
 */
LSP_MUST_CHECK int lsp_manifest_parse(const void *data, size_t size,
	const struct lsp_hash *expected, const struct lsp_manifest **ret_manifest,
	struct lsp_error *err);
/*
 * After a parse that failed: these bytes are that content, and its own info dictionary breaks a
 * rule, so that nobody can give a better manifest of it.
 */
bool lsp_manifest_is_forbidden(const void *data, size_t size, const struct lsp_hash *content);
LSP_MUST_CHECK int lsp_manifest_serialize(
	const struct lsp_manifest *manifest, struct lsp_buffer *buffer, struct lsp_error *err);
/* Bytes that lsp_manifest_serialize appends. */
size_t lsp_manifest_serialized_size(const struct lsp_manifest *manifest);

/*
 * The form of a .torrent file: a dictionary with `info` and `piece layers`. Other keys beside them
 * are passed over. A torrent that is not in our canonical form is -LSP_E_UNSUPPORTED or
 * -LSP_E_PROTOCOL.
 */
LSP_MUST_CHECK int lsp_manifest_parse_torrent(const void *data, size_t size,
	const struct lsp_manifest **ret_manifest, struct lsp_error *err);
LSP_MUST_CHECK int lsp_manifest_write_torrent(
	const struct lsp_manifest *manifest, struct lsp_buffer *buffer, struct lsp_error *err);

struct lsp_manifest_entry {
	const char *path;
	uint64_t size;
	bool executable;
	struct lsp_hash root;         /* ignored if empty */
	const struct lsp_hash *layer; /* one hash a piece; may be NULL for files of one piece */
};

/*
 * From a list of files in any order, hashed with lsp_manifest_piece_length of their sum. The same
 * checks as of a parsed one: -LSP_E_INVALID names the file that breaks a rule.
 */
LSP_MUST_CHECK int lsp_manifest_build(const char *name, const struct lsp_manifest_entry *entries,
	size_t count, const struct lsp_manifest **ret_manifest, struct lsp_error *err);
