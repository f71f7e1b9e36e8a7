/*
 * Bytes a second, of late: a ring of short slots over the last two seconds. Zero-initialised is a
 * rate of nothing. Pure; one owner.
 */
#pragma once

#include "base/clock.h"

#include <string.h>

#define LSP_RATE_SLOTS 20
#define LSP_RATE_SLOT (100 * LSP_MILLISECOND)

struct lsp_rate {
	uint64_t slots[LSP_RATE_SLOTS];
	uint64_t newest; /* number of the newest slot: its time / LSP_RATE_SLOT */
	uint64_t first;  /* number of the first slot ever, for a young rate */
};

static inline void lsp_rate_add(struct lsp_rate *rate, uint64_t bytes, lsp_time now)
{
	uint64_t slot = now / LSP_RATE_SLOT;
	if (!rate->first || slot >= rate->newest + LSP_RATE_SLOTS) {
		memset(rate->slots, 0, sizeof rate->slots);
		rate->first = rate->newest = slot;
	}
	for (; rate->newest < slot; rate->newest++)
		rate->slots[(rate->newest + 1) % LSP_RATE_SLOTS] = 0;
	rate->slots[slot % LSP_RATE_SLOTS] += bytes;
}

static inline uint64_t lsp_rate_get(const struct lsp_rate *rate, lsp_time now)
{
	uint64_t slot = now / LSP_RATE_SLOT, sum = 0;
	if (!rate->first)
		return 0;
	for (uint64_t s = rate->newest; s + LSP_RATE_SLOTS > slot && s >= rate->first; s--)
		sum += rate->slots[s % LSP_RATE_SLOTS];
	uint64_t span = slot - rate->first + 1;
	if (span > LSP_RATE_SLOTS)
		span = LSP_RATE_SLOTS;
	return sum * (LSP_SECOND / LSP_RATE_SLOT) / span;
}
