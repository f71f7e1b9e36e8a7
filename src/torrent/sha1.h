/*
 * SHA-1, for the v1 half of torrents alone (BEP 3): nothing of ours rests on it. Through GnuTLS.
 * From every thread; a hash in progress belongs to one.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define LSP_SHA1_SIZE 20

struct lsp_sha1;
LSP_MUST_CHECK int lsp_sha1_new(struct lsp_sha1 **ret_sha, struct lsp_error *err);
void lsp_sha1_free(struct lsp_sha1 *sha);
LSP_DEFINE_CLEANUP(struct lsp_sha1 *, lsp_sha1_free);
void lsp_sha1_update(struct lsp_sha1 *sha, const void *data, size_t size);
/* So many zero bytes: padding. */
void lsp_sha1_zeros(struct lsp_sha1 *sha, uint64_t count);
/* Gives the hash and makes it ready for the next run of bytes. */
void lsp_sha1_take(struct lsp_sha1 *sha, uint8_t ret_hash[LSP_SHA1_SIZE]);
