/*
 * Blocks: the memory that file bytes pass through between the disk and the network.
 *
 * All transfers of a peer, in and out, share one pool of fixed-size blocks. The pool has a ceiling,
 * so memory stays bounded however many peers ask; what finds the pool empty waits in line and is
 * told when a block is free. Blocks are kept for the next use: nothing is allocated per packet or
 * per request once the pool is warm. The memory is given back with the pool.
 *
 * The pool and its waiters belong to the core loop. A block that was taken belongs to its taker,
 * who may hand it to a disk worker, and gives it back on the core loop.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LSP_BLOCK_SIZE (256u << 10) /* bytes; a multiple of the 16 KiB leaves of BEP 52 */

struct lsp_blocks;

struct lsp_block {
	struct lsp_blocks *pool;
	struct lsp_block *next; /* the user's, for chains */
	unsigned holders;       /* who must give it back: 1 when it is taken */
	size_t size;            /* the user's: bytes in use */
	_Alignas(64) uint8_t data[LSP_BLOCK_SIZE];
};

/* Somebody who waits for a block. Zero it before first use; it must stay until told or cancelled.
 */
struct lsp_block_waiter {
	struct lsp_block_waiter *next, *previous;
	void (*ready)(struct lsp_block_waiter *waiter);
	bool waiting;
};

/* limit: blocks in use at most. */
LSP_MUST_CHECK int lsp_blocks_new(
	size_t limit, struct lsp_blocks **ret_blocks, struct lsp_error *err);
/* All blocks must have been given back. */
void lsp_blocks_free(struct lsp_blocks *blocks);

/*
 * A block, or NULL when the limit is reached, others wait or memory is short. In that case the
 * waiter (if not NULL and not waiting already) joins the line, and its `ready` runs once a block
 * may be taken: it then calls this again.
 */
struct lsp_block *lsp_blocks_take(struct lsp_blocks *blocks, struct lsp_block_waiter *waiter);
/*
 * A block in any case (NULL: memory is short): for bytes that have arrived and must go somewhere.
 * How many of those there are the flow control of the connections bounds.
 */
struct lsp_block *lsp_blocks_take_anyway(struct lsp_blocks *blocks);
/* One more must give it back: a block that goes out in slices. */
void lsp_block_keep(struct lsp_block *block);
/* Gives it back (NULL is allowed); the last who does wakes the first in line. */
void lsp_block_give(struct lsp_block *block);
void lsp_blocks_cancel_wait(struct lsp_blocks *blocks, struct lsp_block_waiter *waiter);

size_t lsp_blocks_in_use(const struct lsp_blocks *blocks);
