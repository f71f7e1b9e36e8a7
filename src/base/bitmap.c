#include "base/bitmap.h"

#include <string.h>

int lsp_bitmap_init(struct lsp_bitmap *map, size_t bits, struct lsp_error *err)
{
	uint8_t *bytes = calloc(1, bits / 8 + 1);
	if (!bytes)
		return lsp_error_no_memory(err, "base");
	*map = (struct lsp_bitmap){.bytes = bytes, .bits = bits};
	return 0;
}

void lsp_bitmap_done(struct lsp_bitmap *map)
{
	free(map->bytes);
	*map = (struct lsp_bitmap){0};
}

bool lsp_bitmap_set(struct lsp_bitmap *map, size_t bit)
{
	if (lsp_bitmap_get(map, bit))
		return false;
	map->bytes[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
	map->set++;
	return true;
}

bool lsp_bitmap_clear(struct lsp_bitmap *map, size_t bit)
{
	if (!lsp_bitmap_get(map, bit))
		return false;
	map->bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
	map->set--;
	return true;
}

static uint8_t spare_mask(size_t bits)
{
	return bits % 8 ? (uint8_t)(0xffu >> (bits % 8)) : 0;
}

void lsp_bitmap_fill(struct lsp_bitmap *map)
{
	if (!map->bits)
		return;
	memset(map->bytes, 0xff, lsp_bitmap_bytes(map));
	map->bytes[lsp_bitmap_bytes(map) - 1] &= (uint8_t)~spare_mask(map->bits);
	map->set = map->bits;
}

void lsp_bitmap_reset(struct lsp_bitmap *map)
{
	if (map->set)
		memset(map->bytes, 0, lsp_bitmap_bytes(map));
	map->set = 0;
}

/* The first bit at or after from whose byte, once xored with flip, has it set; end: none before. */
static size_t next(const struct lsp_bitmap *map, size_t from, size_t end, uint8_t flip)
{
	while (from < end) {
		uint8_t rest = (uint8_t)((map->bytes[from / 8] ^ flip) & (0xffu >> (from % 8)));
		if (rest) {
			size_t bit = from / 8 * 8 + (size_t)(__builtin_clz(rest) - 24);
			return bit < end ? bit : end;
		}
		from = (from / 8 + 1) * 8;
	}
	return end;
}

bool lsp_bitmap_any(const struct lsp_bitmap *map, size_t from, size_t end)
{
	end = end < map->bits ? end : map->bits;
	return next(map, from, end, 0) < end;
}

size_t lsp_bitmap_next_set(const struct lsp_bitmap *map, size_t from)
{
	return next(map, from, map->bits, 0);
}

size_t lsp_bitmap_next_clear(const struct lsp_bitmap *map, size_t from)
{
	return next(map, from, map->bits, 0xff);
}

int lsp_bitmap_load(
	struct lsp_bitmap *map, const uint8_t *bytes, size_t size, struct lsp_error *err)
{
	if (size != lsp_bitmap_bytes(map))
		return lsp_error_set(err, "base", LSP_E_PROTOCOL,
			"a bitmap of %zu bits has %zu bytes, not %zu", map->bits,
			lsp_bitmap_bytes(map), size);
	if (size && bytes[size - 1] & spare_mask(map->bits))
		return lsp_error_set(err, "base", LSP_E_PROTOCOL,
			"a bitmap of %zu bits has spare bits set at its end", map->bits);
	size_t set = 0;
	for (size_t i = 0; i < size; i++)
		set += (size_t)__builtin_popcount(bytes[i]);
	if (size)
		memcpy(map->bytes, bytes, size);
	map->set = set;
	return 0;
}
