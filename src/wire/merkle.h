/*
 * The hash trees of BEP 52.
 *
 * A file is cut into leaves of 16 KiB (the last may be shorter), each hashed with SHA-256. Two
 * neighbours make their parent, up to the root. Missing leaves on the right count as 32 zero bytes:
 * up to the next power of two for the tree of a file, up to a whole piece for the pieces of a file
 * that has several. The hashes at the level where a node spans one piece are the file's piece
 * layer.
 *
 * A struct lsp_merkle takes nodes in order and holds one hash a level, so that a file of any size
 * is hashed in 1 KiB of memory. Pure; one owner, one thread.
 */
#pragma once

#include "base/error.h"
#include "base/sha256.h"
#include "wire/manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LSP_MERKLE_LEVELS 32

/* The root of a tree of 2^level zero leaves. level < LSP_MERKLE_LEVELS. */
const struct lsp_hash *lsp_merkle_zero(unsigned level);

/* ⌈size / 16 KiB⌉, and the smallest power of two ≥ leaves (1 for 0). */
uint64_t lsp_merkle_leaf_count(uint64_t size);
uint64_t lsp_merkle_width(uint64_t leaves);

struct lsp_merkle {
	unsigned level; /* of what is pushed: 0 for leaves, n for roots of 2^n leaves */
	uint64_t count; /* pushed so far */
	struct lsp_hash
		nodes[LSP_MERKLE_LEVELS]; /* [n]: a full subtree, where bit n of count is set */
};

/* level as above; level + log2(width) must stay below LSP_MERKLE_LEVELS. */
static inline void lsp_merkle_init(struct lsp_merkle *tree, unsigned level)
{
	tree->level = level;
	tree->count = 0;
}
/* The next node on the level. */
void lsp_merkle_push(struct lsp_merkle *tree, const struct lsp_hash *node);
/* The root over the nodes so far, padded to `width` (a power of two ≥ count; count ≥ 1). */
void lsp_merkle_root(const struct lsp_merkle *tree, uint64_t width, struct lsp_hash *ret_root);

/* The root of an array of nodes of a level. */
void lsp_merkle_root_of(const struct lsp_hash *nodes, size_t count, unsigned level, uint64_t width,
	struct lsp_hash *ret_root);

/* Hashes bytes leaf by leaf, several at a time, into an array of ⌈size / 16 KiB⌉. */
void lsp_merkle_hash_leaves(const void *data, size_t size, struct lsp_hash *ret_leaves);

/* Are these leaf_count hashes those of the chunk? */
bool lsp_merkle_check_leaves(const struct lsp_chunk *chunk, const struct lsp_hash *leaves);
