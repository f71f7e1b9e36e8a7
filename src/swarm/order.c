#include "swarm/order.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int lsp_order_init(struct lsp_order *order, uint32_t chunk_count, uint16_t *ranks, uint64_t seed,
	struct lsp_error *err)
{
	*order = (struct lsp_order){.ranks = ranks, .chunk_count = chunk_count};
	lsp_random_seed(&order->random, seed);
	order->chunks = calloc(chunk_count ? chunk_count : 1, sizeof(*order->chunks));
	order->places = malloc((chunk_count ? chunk_count : 1) * sizeof(*order->places));
	if (!order->chunks || !order->places || lsp_order_reserve(order, 0, NULL) < 0) {
		lsp_order_done(order);
		return lsp_error_no_memory(err, "swarm");
	}
	memset(order->places, 0xff, chunk_count * sizeof(*order->places));
	return 0;
}

void lsp_order_done(struct lsp_order *order)
{
	free(order->chunks);
	free(order->places);
	free(order->starts);
	*order = (struct lsp_order){0};
}

int lsp_order_reserve(struct lsp_order *order, uint32_t rank, struct lsp_error *err)
{
	if (rank >= order->rank_capacity) {
		uint32_t capacity = rank + 16 + rank / 2;
		uint32_t *starts = realloc(order->starts, capacity * sizeof(*starts));
		if (!starts)
			return lsp_error_no_memory(err, "swarm");
		order->starts = starts;
		order->rank_capacity = capacity;
	}
	while (order->rank_count <= rank)
		order->starts[order->rank_count++] = order->size;
	return 0;
}

static void put(struct lsp_order *order, uint32_t place, uint32_t chunk)
{
	order->chunks[place] = chunk;
	order->places[chunk] = place;
}

static void swap(struct lsp_order *order, uint32_t a, uint32_t b)
{
	uint32_t at_a = order->chunks[a], at_b = order->chunks[b];
	put(order, a, at_b);
	put(order, b, at_a);
}

static uint32_t rank_end(const struct lsp_order *order, uint32_t rank)
{
	return rank + 1 < order->rank_count ? order->starts[rank + 1] : order->size;
}

static void shuffle(struct lsp_order *order, uint32_t chunk)
{
	uint32_t rank = order->ranks[chunk], from = order->starts[rank];
	uint32_t other = from + lsp_random_below(&order->random, rank_end(order, rank) - from);
	swap(order, order->places[chunk], other);
}

void lsp_order_add(struct lsp_order *order, uint32_t chunk)
{
	uint32_t rank = order->ranks[chunk], hole = order->size++;
	assert(!lsp_order_has(order, chunk) && rank < order->rank_count);
	/* The hole at the end walks down to the end of our rank, one swap a rank. */
	for (uint32_t above = order->rank_count - 1; above > rank; above--) {
		uint32_t first = order->starts[above]++;
		if (first != hole)
			put(order, hole, order->chunks[first]);
		hole = first;
	}
	put(order, hole, chunk);
	shuffle(order, chunk);
}

void lsp_order_remove(struct lsp_order *order, uint32_t chunk)
{
	uint32_t rank = order->ranks[chunk], hole = order->places[chunk];
	assert(lsp_order_has(order, chunk));
	for (; rank < order->rank_count; rank++) {
		uint32_t last = rank_end(order, rank) - 1;
		if (last != hole)
			put(order, hole, order->chunks[last]);
		hole = last;
		if (rank + 1 < order->rank_count)
			order->starts[rank + 1]--;
	}
	order->size--;
	order->places[chunk] = UINT32_MAX;
}

void lsp_order_up(struct lsp_order *order, uint32_t chunk)
{
	uint32_t rank = order->ranks[chunk]++;
	assert(rank + 1u < order->rank_count);
	if (!lsp_order_has(order, chunk))
		return;
	uint32_t last = rank_end(order, rank) - 1;
	swap(order, order->places[chunk], last);
	order->starts[rank + 1]--;
	shuffle(order, chunk);
}

void lsp_order_down(struct lsp_order *order, uint32_t chunk)
{
	uint32_t rank = order->ranks[chunk]--;
	assert(rank > 0);
	if (!lsp_order_has(order, chunk))
		return;
	swap(order, order->places[chunk], order->starts[rank]);
	order->starts[rank]++;
	shuffle(order, chunk);
}
