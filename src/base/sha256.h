/*
 * SHA-256 (FIPS 180-4), through GnuTLS, which uses the processor's own instructions. Pure; from
 * every thread; a hash in progress belongs to one.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define LSP_SHA256_SIZE 32
#define LSP_SHA256_HEX_SIZE 65 /* with the final NUL */

struct lsp_hash {
	uint8_t bytes[LSP_SHA256_SIZE];
};

/* Of one run of bytes, of two. */
void lsp_sha256(struct lsp_hash *ret_hash, const void *data, size_t size);
void lsp_sha256_pair(
	struct lsp_hash *ret_hash, const struct lsp_hash *left, const struct lsp_hash *right);

/* Of bytes as they come. */
struct lsp_sha256;
LSP_MUST_CHECK int lsp_sha256_new(struct lsp_sha256 **ret_sha, struct lsp_error *err);
void lsp_sha256_free(struct lsp_sha256 *sha);
LSP_DEFINE_CLEANUP(struct lsp_sha256 *, lsp_sha256_free);
void lsp_sha256_update(struct lsp_sha256 *sha, const void *data, size_t size);
/* Gives the hash and makes it ready for the next run of bytes. */
void lsp_sha256_take(struct lsp_sha256 *sha, struct lsp_hash *ret_hash);

bool lsp_hash_equal(const struct lsp_hash *a, const struct lsp_hash *b);
bool lsp_hash_is_zero(const struct lsp_hash *hash);

/* Lower-case hexadecimal, with a NUL. */
void lsp_hash_to_hex(const struct lsp_hash *hash, char ret_hex[LSP_SHA256_HEX_SIZE]);
/* Exactly 64 hexadecimal digits of either case. */
LSP_MUST_CHECK int lsp_hash_from_hex(
	const char *hex, struct lsp_hash *ret_hash, struct lsp_error *err);
