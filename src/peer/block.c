#include "peer/block.h"

#include "base/huge.h"

#include <assert.h>
#include <stdlib.h>

#include <utlist.h>

/* What fits a huge page: seven. */
#define SLAB_BLOCKS ((LSP_HUGE_PAGE - 64) / sizeof(struct lsp_block))

struct slab {
	struct slab *next;
	_Alignas(64) struct lsp_block blocks[SLAB_BLOCKS];
};
_Static_assert(sizeof(struct slab) <= LSP_HUGE_PAGE, "a slab fits its huge page");

struct lsp_blocks {
	size_t limit, in_use;
	struct lsp_block *free;
	struct slab *slabs;
	struct lsp_block_waiter *waiters;
	bool waking; /* inside a waiter's ready: it may take although others wait */
};

int lsp_blocks_new(size_t limit, struct lsp_blocks **ret_blocks, struct lsp_error *err)
{
	struct lsp_blocks *blocks = calloc(1, sizeof *blocks);
	if (!blocks)
		return lsp_error_no_memory(err, "peer");
	blocks->limit = limit;
	*ret_blocks = blocks;
	return 0;
}

void lsp_blocks_free(struct lsp_blocks *blocks)
{
	struct slab *slab, *next;
	if (!blocks)
		return;
	assert(blocks->in_use == 0);
	LL_FOREACH_SAFE(blocks->slabs, slab, next)
	{
		free(slab);
	}
	free(blocks);
}

static void add_slab(struct lsp_blocks *blocks)
{
	struct slab *slab = lsp_huge_alloc(sizeof *slab);
	if (!slab)
		return;
	LL_PREPEND(blocks->slabs, slab);
	for (size_t i = 0; i < SLAB_BLOCKS; i++) {
		slab->blocks[i].pool = blocks;
		LL_PREPEND(blocks->free, &slab->blocks[i]);
	}
}

static struct lsp_block *take_free_or_new(struct lsp_blocks *blocks)
{
	if (!blocks->free)
		add_slab(blocks);
	struct lsp_block *block = blocks->free;
	if (block)
		LL_DELETE(blocks->free, block);
	return block;
}

static struct lsp_block *hand_out(struct lsp_blocks *blocks, struct lsp_block *block)
{
	blocks->in_use++;
	block->next = NULL;
	block->size = 0;
	block->holders = 1;
	return block;
}

void lsp_block_keep(struct lsp_block *block)
{
	block->holders++;
}

struct lsp_block *lsp_blocks_take_anyway(struct lsp_blocks *blocks)
{
	struct lsp_block *block = take_free_or_new(blocks);
	return block ? hand_out(blocks, block) : NULL;
}

struct lsp_block *lsp_blocks_take(struct lsp_blocks *blocks, struct lsp_block_waiter *waiter)
{
	struct lsp_block *block = NULL;
	if (blocks->in_use < blocks->limit && (!blocks->waiters || blocks->waking))
		block = take_free_or_new(blocks);
	if (block)
		return hand_out(blocks, block);
	if (waiter && !waiter->waiting) {
		waiter->waiting = true;
		DL_APPEND2(blocks->waiters, waiter, previous, next);
	}
	return NULL;
}

void lsp_blocks_cancel_wait(struct lsp_blocks *blocks, struct lsp_block_waiter *waiter)
{
	if (!waiter->waiting)
		return;
	waiter->waiting = false;
	DL_DELETE2(blocks->waiters, waiter, previous, next);
}

/* As many as there are blocks for; a round each, since a waiter may not take after all. */
static void wake_waiters(struct lsp_blocks *blocks)
{
	if (blocks->waking)
		return;
	blocks->waking = true;
	size_t rounds = blocks->limit > blocks->in_use ? blocks->limit - blocks->in_use : 0;
	for (; rounds && blocks->waiters; rounds--) {
		struct lsp_block_waiter *first = blocks->waiters;
		lsp_blocks_cancel_wait(blocks, first);
		first->ready(first);
		if (blocks->in_use >= blocks->limit)
			break;
	}
	blocks->waking = false;
}

void lsp_block_give(struct lsp_block *block)
{
	if (!block || --block->holders)
		return;
	struct lsp_blocks *blocks = block->pool;
	LL_PREPEND(blocks->free, block);
	blocks->in_use--;
	wake_waiters(blocks);
}

size_t lsp_blocks_in_use(const struct lsp_blocks *blocks)
{
	return blocks->in_use;
}
