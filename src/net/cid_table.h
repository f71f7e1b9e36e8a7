/*
 * Which connection does a packet belong to: a hash table from connection ids (RFC 9000, 5.1) to
 * whatever its owner keeps. Entries are the caller's storage; the table allocates only when it is
 * made. The hash is keyed, since a stranger chooses the first id of a connection. One thread.
 */
#pragma once

#include "base/error.h"

#include <ngtcp2/ngtcp2.h>
#include <stdbool.h>
#include <stddef.h>

struct lsp_cid_entry {
	ngtcp2_cid cid;
	void *owner;                /* NULL: not in the table */
	struct lsp_cid_entry *next; /* in its bucket */
};

struct lsp_cid_table {
	struct lsp_cid_entry **buckets;
	struct lsp_cid_entry *last; /* found last: packets come in runs; NULL: none, or removed */
	size_t mask;
	uint64_t key[2];
};

/* buckets: a power of two. */
LSP_MUST_CHECK int lsp_cid_table_init(
	struct lsp_cid_table *table, size_t buckets, struct lsp_error *err);
void lsp_cid_table_done(struct lsp_cid_table *table);

void lsp_cid_table_add(struct lsp_cid_table *table, struct lsp_cid_entry *entry, void *owner);
/* An entry that is not in the table is fine. */
void lsp_cid_table_remove(struct lsp_cid_table *table, struct lsp_cid_entry *entry);
/* The owner, or NULL. */
void *lsp_cid_table_find(struct lsp_cid_table *table, const uint8_t *cid, size_t size);
