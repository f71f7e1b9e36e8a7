#include "net/cid_table.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

int lsp_cid_table_init(struct lsp_cid_table *table, size_t buckets, struct lsp_error *err)
{
	struct lsp_cid_entry **memory = calloc(buckets, sizeof(struct lsp_cid_entry *));
	if (!memory)
		return lsp_error_no_memory(err, "net");
	table->buckets = memory;
	table->mask = buckets - 1;
	lsp_random_bytes(table->key, sizeof table->key);
	return 0;
}

void lsp_cid_table_done(struct lsp_cid_table *table)
{
	free(table->buckets);
	table->buckets = NULL;
}

/* Two rounds of multiply and fold under a secret key. */
static size_t bucket_of(const struct lsp_cid_table *table, const uint8_t *cid, size_t size)
{
	uint64_t words[3] = {0};
	memcpy(words, cid, size < sizeof words ? size : sizeof words);
	unsigned __int128 product =
		(unsigned __int128)(words[0] ^ table->key[0]) * (words[1] ^ table->key[1] ^ size);
	uint64_t folded = (uint64_t)product ^ (uint64_t)(product >> 64) ^ words[2];
	product = (unsigned __int128)(folded ^ table->key[1]) * (table->key[0] | 1);
	return ((uint64_t)product ^ (uint64_t)(product >> 64)) & table->mask;
}

void lsp_cid_table_add(struct lsp_cid_table *table, struct lsp_cid_entry *entry, void *owner)
{
	struct lsp_cid_entry **bucket =
		&table->buckets[bucket_of(table, entry->cid.data, entry->cid.datalen)];
	entry->owner = owner;
	entry->next = *bucket;
	*bucket = entry;
}

void lsp_cid_table_remove(struct lsp_cid_table *table, struct lsp_cid_entry *entry)
{
	if (!entry->owner)
		return;
	if (table->last == entry)
		table->last = NULL;
	struct lsp_cid_entry **link =
		&table->buckets[bucket_of(table, entry->cid.data, entry->cid.datalen)];
	while (*link && *link != entry)
		link = &(*link)->next;
	if (*link)
		*link = entry->next;
	entry->owner = NULL;
	entry->next = NULL;
}

static bool matches(const struct lsp_cid_entry *entry, const uint8_t *cid, size_t size)
{
	return entry->cid.datalen == size && memcmp(entry->cid.data, cid, size) == 0;
}

void *lsp_cid_table_find(struct lsp_cid_table *table, const uint8_t *cid, size_t size)
{
	struct lsp_cid_entry *entry = table->last;
	if (entry && matches(entry, cid, size))
		return entry->owner;
	entry = table->buckets[bucket_of(table, cid, size)];
	while (entry && !matches(entry, cid, size))
		entry = entry->next;
	if (!entry)
		return NULL;
	table->last = entry;
	return entry->owner;
}
