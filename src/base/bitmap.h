/*
 * A fixed-size set of small numbers: which chunks, which files. Bit 0 is the high bit of byte 0, as
 * BitTorrent's bitfield message has it (BEP 3), so that the bytes can go to disk and over the wire.
 * Zero-initialised is an empty map of no bits. One owner, one thread.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lsp_bitmap {
	uint8_t *bytes;
	size_t bits;
	size_t set; /* how many are one; kept as bits change */
};

/* All zero. */
LSP_MUST_CHECK int lsp_bitmap_init(struct lsp_bitmap *map, size_t bits, struct lsp_error *err);
void lsp_bitmap_done(struct lsp_bitmap *map);
#define _cleanup_bitmap_ _cleanup_(lsp_bitmap_done)

static inline size_t lsp_bitmap_bytes(const struct lsp_bitmap *map)
{
	return (map->bits + 7) / 8;
}

static inline bool lsp_bitmap_get(const struct lsp_bitmap *map, size_t bit)
{
	return bit < map->bits && (map->bytes[bit / 8] & (0x80u >> (bit % 8)));
}

/* True if that changed it. bit must be below bits. */
bool lsp_bitmap_set(struct lsp_bitmap *map, size_t bit);
bool lsp_bitmap_clear(struct lsp_bitmap *map, size_t bit);
void lsp_bitmap_fill(struct lsp_bitmap *map);
void lsp_bitmap_reset(struct lsp_bitmap *map); /* none is set */
/* Is one set from `from` on and before `end`? */
bool lsp_bitmap_any(const struct lsp_bitmap *map, size_t from, size_t end);

static inline bool lsp_bitmap_full(const struct lsp_bitmap *map)
{
	return map->set == map->bits;
}

/* The first bit at or after `from` that is set (clear); map->bits if there is none. */
size_t lsp_bitmap_next_set(const struct lsp_bitmap *map, size_t from);
size_t lsp_bitmap_next_clear(const struct lsp_bitmap *map, size_t from);

/*
 * Takes `size` bytes as the new content of a map that was initialised. -LSP_E_PROTOCOL when the
 * size differs from lsp_bitmap_bytes or a spare bit at the end is set; the map stays as it was.
 */
LSP_MUST_CHECK int lsp_bitmap_load(
	struct lsp_bitmap *map, const uint8_t *bytes, size_t size, struct lsp_error *err);
