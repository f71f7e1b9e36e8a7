#include "wire/merkle.h"

#include "base/sha256_many.h"

#include <assert.h>
#include <pthread.h>

static struct lsp_hash zeros[LSP_MERKLE_LEVELS];
static pthread_once_t zeros_once = PTHREAD_ONCE_INIT;

static void make_zeros(void)
{
	for (unsigned i = 1; i < LSP_MERKLE_LEVELS; i++)
		lsp_sha256_pair(&zeros[i], &zeros[i - 1], &zeros[i - 1]);
}

const struct lsp_hash *lsp_merkle_zero(unsigned level)
{
	assert(level < LSP_MERKLE_LEVELS);
	pthread_once(&zeros_once, make_zeros);
	return &zeros[level];
}

uint64_t lsp_merkle_leaf_count(uint64_t size)
{
	return size / LSP_LEAF_SIZE + (size % LSP_LEAF_SIZE != 0);
}

uint64_t lsp_merkle_width(uint64_t leaves)
{
	uint64_t width = 1;
	while (width < leaves)
		width *= 2;
	return width;
}

void lsp_merkle_push(struct lsp_merkle *tree, const struct lsp_hash *node)
{
	struct lsp_hash carry = *node;
	unsigned n = 0;
	for (; tree->count >> n & 1; n++)
		lsp_sha256_pair(&carry, &tree->nodes[n], &carry);
	tree->nodes[n] = carry;
	tree->count++;
}

/*
 * Walks up the right edge. `carry`, once there is one, is the padded subtree right of everything on
 * its level.
 */
void lsp_merkle_root(const struct lsp_merkle *tree, uint64_t width, struct lsp_hash *ret_root)
{
	assert(tree->count > 0 && tree->count <= width);
	struct lsp_hash carry;
	bool carries = false;
	unsigned n = 0;
	for (; UINT64_C(1) << n < width; n++) {
		const struct lsp_hash *zero = lsp_merkle_zero(tree->level + n);
		if (tree->count >> n & 1)
			lsp_sha256_pair(&carry, &tree->nodes[n], carries ? &carry : zero);
		else if (carries)
			lsp_sha256_pair(&carry, &carry, zero);
		carries |= tree->count >> n & 1;
	}
	*ret_root = carries ? carry : tree->nodes[n];
}

void lsp_merkle_root_of(const struct lsp_hash *nodes, size_t count, unsigned level, uint64_t width,
	struct lsp_hash *ret_root)
{
	struct lsp_merkle tree;
	lsp_merkle_init(&tree, level);
	for (size_t i = 0; i < count; i++)
		lsp_merkle_push(&tree, &nodes[i]);
	lsp_merkle_root(&tree, width, ret_root);
}

void lsp_merkle_hash_leaves(const void *data, size_t size, struct lsp_hash *ret_leaves)
{
	const uint8_t *bytes = data;
	size_t whole = size / LSP_LEAF_SIZE, rest = size % LSP_LEAF_SIZE;
	lsp_sha256_many(ret_leaves, bytes, LSP_LEAF_SIZE, whole);
	if (rest)
		lsp_sha256(&ret_leaves[whole], bytes + whole * LSP_LEAF_SIZE, rest);
}

bool lsp_merkle_check_leaves(const struct lsp_chunk *chunk, const struct lsp_hash *leaves)
{
	struct lsp_hash root;
	lsp_merkle_root_of(leaves, chunk->leaf_count, 0, chunk->leaf_width, &root);
	return lsp_hash_equal(&root, &chunk->hash);
}
