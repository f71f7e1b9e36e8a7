#include "torrent/sha1.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>

struct lsp_sha1 {
	gnutls_hash_hd_t hash;
};

int lsp_sha1_new(struct lsp_sha1 **ret_sha, struct lsp_error *err)
{
	struct lsp_sha1 *sha = calloc(1, sizeof *sha);
	if (!sha)
		return lsp_error_no_memory(err, "torrent");
	int r = gnutls_hash_init(&sha->hash, GNUTLS_DIG_SHA1);
	if (r < 0) {
		free(sha);
		return lsp_error_set(err, "torrent", LSP_E_FAILED, "no SHA-1 on this machine: %s",
			gnutls_strerror(r));
	}
	*ret_sha = sha;
	return 0;
}

void lsp_sha1_free(struct lsp_sha1 *sha)
{
	if (!sha)
		return;
	gnutls_hash_deinit(sha->hash, NULL);
	free(sha);
}

void lsp_sha1_update(struct lsp_sha1 *sha, const void *data, size_t size)
{
	gnutls_hash(sha->hash, data, size);
}

void lsp_sha1_zeros(struct lsp_sha1 *sha, uint64_t count)
{
	static const uint8_t zeros[16384];
	while (count > 0) {
		size_t part = count < sizeof zeros ? (size_t)count : sizeof zeros;
		lsp_sha1_update(sha, zeros, part);
		count -= part;
	}
}

void lsp_sha1_take(struct lsp_sha1 *sha, uint8_t ret_hash[LSP_SHA1_SIZE])
{
	gnutls_hash_output(sha->hash, ret_hash);
}
