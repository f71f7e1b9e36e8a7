#include "base/sha256.h"

#include "base/text.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

/* Handed to GnuTLS as an opaque handle; ours in name alone. */
static gnutls_hash_hd_t handle(struct lsp_sha256 *sha)
{
	return (gnutls_hash_hd_t)(void *)sha;
}

void lsp_sha256(struct lsp_hash *ret_hash, const void *data, size_t size)
{
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, data, size, ret_hash->bytes) < 0)
		abort(); /* SHA-256 is compiled in; only a broken GnuTLS comes here */
}

void lsp_sha256_pair(
	struct lsp_hash *ret_hash, const struct lsp_hash *left, const struct lsp_hash *right)
{
	uint8_t both[2 * LSP_SHA256_SIZE];
	memcpy(both, left->bytes, LSP_SHA256_SIZE);
	memcpy(both + LSP_SHA256_SIZE, right->bytes, LSP_SHA256_SIZE);
	lsp_sha256(ret_hash, both, sizeof both);
}

int lsp_sha256_new(struct lsp_sha256 **ret_sha, struct lsp_error *err)
{
	gnutls_hash_hd_t hash;
	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0)
		return lsp_error_no_memory(err, "base");
	*ret_sha = (struct lsp_sha256 *)(void *)hash;
	return 0;
}

void lsp_sha256_free(struct lsp_sha256 *sha)
{
	if (sha)
		gnutls_hash_deinit(handle(sha), NULL);
}

void lsp_sha256_update(struct lsp_sha256 *sha, const void *data, size_t size)
{
	if (size && gnutls_hash(handle(sha), data, size) < 0)
		abort();
}

void lsp_sha256_take(struct lsp_sha256 *sha, struct lsp_hash *ret_hash)
{
	gnutls_hash_output(handle(sha), ret_hash->bytes);
}

bool lsp_hash_equal(const struct lsp_hash *a, const struct lsp_hash *b)
{
	return memcmp(a->bytes, b->bytes, LSP_SHA256_SIZE) == 0;
}

bool lsp_hash_is_zero(const struct lsp_hash *hash)
{
	static const struct lsp_hash zero;
	return lsp_hash_equal(hash, &zero);
}

void lsp_hash_to_hex(const struct lsp_hash *hash, char ret_hex[LSP_SHA256_HEX_SIZE])
{
	lsp_text_to_hex(hash->bytes, LSP_SHA256_SIZE, ret_hex);
}

int lsp_hash_from_hex(const char *hex, struct lsp_hash *ret_hash, struct lsp_error *err)
{
	struct lsp_hash hash;
	if (strlen(hex) != 2 * LSP_SHA256_SIZE ||
		!lsp_text_from_hex(hex, hash.bytes, LSP_SHA256_SIZE))
		return lsp_error_set(
			err, "base", LSP_E_INVALID, "\"%.80s\" is not 64 hexadecimal digits", hex);
	*ret_hash = hash;
	return 0;
}
