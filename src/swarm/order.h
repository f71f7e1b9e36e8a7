/*
 * A set of chunks in the order of their rarity, equal ones in a random order.
 *
 * One array holds them sorted by rank (how many hold the chunk); `starts` says where each rank
 * begins. A chunk whose rank changes by one swaps places with the edge of its rank: O(1). Joining
 * and leaving costs one swap per rank above. Within its rank a chunk lands in a random place, so
 * that two nodes that know the same do not ask for the same.
 */
#pragma once

#include "base/error.h"
#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

struct lsp_order {
	uint32_t *chunks; /* size of them, sorted by rank */
	uint32_t *places; /* per chunk: where it stands; UINT32_MAX: not in the set */
	uint16_t *ranks;  /* per chunk, borrowed; changed through lsp_order_rank only */
	uint32_t *starts; /* per rank 0 … rank_count − 1: index of its first */
	uint32_t size, chunk_count;
	uint32_t rank_count, rank_capacity;
	struct lsp_random random;
};

LSP_MUST_CHECK int lsp_order_init(struct lsp_order *order, uint32_t chunk_count, uint16_t *ranks,
	uint64_t seed, struct lsp_error *err);
void lsp_order_done(struct lsp_order *order);
/* Ranks up to `rank` may be used from now on. */
LSP_MUST_CHECK int lsp_order_reserve(struct lsp_order *order, uint32_t rank, struct lsp_error *err);

static inline bool lsp_order_has(const struct lsp_order *order, uint32_t chunk)
{
	return order->places[chunk] != UINT32_MAX;
}

/* chunk must not be in it (add), must be in it (remove). */
void lsp_order_add(struct lsp_order *order, uint32_t chunk);
void lsp_order_remove(struct lsp_order *order, uint32_t chunk);
/* Its rank goes up or down by one; it need not be in the set. */
void lsp_order_up(struct lsp_order *order, uint32_t chunk);
void lsp_order_down(struct lsp_order *order, uint32_t chunk);
