#include "net/protection.h"

#include "base/cleanup.h"

#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_bool switched_off;

void lsp_protection_set_fast(bool on)
{
	switched_off = !on;
}

/* ---- Keys from secrets ---- */

/* HKDF-Expand-Label with an empty context. */
static int expand(uint8_t *ret_key, size_t key_size, const ngtcp2_crypto_md *md,
	const uint8_t *secret, size_t size, const char *label)
{
	static const char prefix[] = "tls13 ";
	uint8_t info[64];
	size_t label_size = sizeof prefix - 1 + strlen(label), used = 0;
	info[used++] = 0;
	info[used++] = (uint8_t)key_size;
	info[used++] = (uint8_t)label_size;
	memcpy(info + used, prefix, sizeof prefix - 1);
	memcpy(info + used + sizeof prefix - 1, label, strlen(label));
	used += label_size;
	info[used++] = 0;
	return ngtcp2_crypto_hkdf_expand(ret_key, key_size, md, secret, size, info, used);
}

int lsp_protection_derive(struct lsp_protection_keys *ret_keys, const ngtcp2_crypto_md *md,
	const uint8_t *secret, size_t size)
{
	if (expand(ret_keys->key, sizeof ret_keys->key, md, secret, size, "quic key") != 0 ||
		expand(ret_keys->iv, sizeof ret_keys->iv, md, secret, size, "quic iv") != 0 ||
		expand(ret_keys->header_key, sizeof ret_keys->header_key, md, secret, size,
			"quic hp") != 0)
		return -1;
	return 0;
}

#ifdef HAVE_IPSEC_MB

#include "base/ipsec_mb.h"

/* ---- The library ---- */

static IMB_MGR *library; /* NULL: not at hand, or not right; set once */

struct aead_key {
	_Alignas(64) struct gcm_key_data data;
};

struct header_key {
	_Alignas(16) uint8_t expanded[11 * 16];
};

static void seal(const struct aead_key *key, uint8_t *out, const uint8_t *text, size_t size,
	const uint8_t *nonce, const uint8_t *extra, size_t extra_size)
{
	struct gcm_context_data context;
	IMB_AES128_GCM_ENC(library, &key->data, &context, out, text, size, nonce, extra, extra_size,
		out + size, LSP_PROTECTION_TAG_SIZE);
}

/* Does it agree with GnuTLS? The lengths go over the borders of its loops. */
static bool agrees(void)
{
	static const size_t sizes[] = {1, 15, 16, 17, 255, 256, 1432};
	uint8_t text[1432], ours[1448], theirs[1448], nonce[12] = {7}, extra[21] = {9}, key[16];
	struct aead_key data;
	gnutls_aead_cipher_hd_t cipher;
	gnutls_datum_t datum = {key, sizeof key};
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)(i * 31);
	memcpy(key, text + 100, sizeof key);
	if (gnutls_aead_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_GCM, &datum) < 0)
		return false;
	IMB_AES128_GCM_PRE(library, key, &data.data);
	bool same = true;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(sizes); i++) {
		size_t size = sizeof theirs;
		same &= gnutls_aead_cipher_encrypt(cipher, nonce, sizeof nonce, extra, sizeof extra,
				LSP_PROTECTION_TAG_SIZE, text, sizes[i], theirs, &size) == 0;
		seal(&data, ours, text, sizes[i], nonce, extra, sizeof extra);
		same &= memcmp(ours, theirs, sizes[i] + LSP_PROTECTION_TAG_SIZE) == 0;
	}
	gnutls_aead_cipher_deinit(cipher);
	return same;
}

static void open_library(void)
{
	library = lsp_ipsec_mb_new(IMB_FEATURE_AESNI);
	if (library && !agrees()) {
		free_mb_mgr(library);
		library = NULL;
	}
}

bool lsp_protection_is_fast(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, open_library);
	return library && !switched_off;
}

/* ---- Handles ---- */

static bool is_ours(const void *handle)
{
	return (uintptr_t)handle & 1;
}

static void *to_handle(void *key)
{
	return (uint8_t *)key + 1;
}

static void *from_handle(void *handle)
{
	return (uint8_t *)handle - 1;
}

static void free_key(void *handle, size_t size)
{
	void *key = from_handle(handle);
	gnutls_memset(key, 0, size);
	free(key);
}

int lsp_protection_aead_new(ngtcp2_crypto_aead_ctx *ret_handle, const uint8_t *key)
{
	struct aead_key *made = lsp_protection_is_fast() ? aligned_alloc(64, sizeof *made) : NULL;
	if (!made)
		return -1;
	IMB_AES128_GCM_PRE(library, key, &made->data);
	ret_handle->native_handle = to_handle(made);
	return 0;
}

int lsp_protection_header_new(ngtcp2_crypto_cipher_ctx *ret_handle, const uint8_t *key)
{
	struct header_key *made = lsp_protection_is_fast() ? aligned_alloc(16, sizeof *made) : NULL;
	_Alignas(16) uint8_t unused[11 * 16]; /* the keys for decrypting */
	if (!made)
		return -1;
	IMB_AES_KEYEXP_128(library, key, made->expanded, unused);
	gnutls_memset(unused, 0, sizeof unused);
	ret_handle->native_handle = to_handle(made);
	return 0;
}

/* ---- Callbacks of ngtcp2 ---- */

static int encrypt_packet(uint8_t *dest, const ngtcp2_crypto_aead *aead,
	const ngtcp2_crypto_aead_ctx *handle, const uint8_t *text, size_t size,
	const uint8_t *nonce, size_t nonce_size, const uint8_t *extra, size_t extra_size)
{
	if (!is_ours(handle->native_handle))
		return ngtcp2_crypto_encrypt_cb(
			dest, aead, handle, text, size, nonce, nonce_size, extra, extra_size);
	seal(from_handle(handle->native_handle), dest, text, size, nonce, extra, extra_size);
	return 0;
}

static int decrypt_packet(uint8_t *dest, const ngtcp2_crypto_aead *aead,
	const ngtcp2_crypto_aead_ctx *handle, const uint8_t *sealed, size_t size,
	const uint8_t *nonce, size_t nonce_size, const uint8_t *extra, size_t extra_size)
{
	if (!is_ours(handle->native_handle))
		return ngtcp2_crypto_decrypt_cb(
			dest, aead, handle, sealed, size, nonce, nonce_size, extra, extra_size);
	const struct aead_key *key = from_handle(handle->native_handle);
	struct gcm_context_data context;
	uint8_t tag[LSP_PROTECTION_TAG_SIZE];
	if (size < sizeof tag)
		return NGTCP2_ERR_DECRYPT;
	size -= sizeof tag;
	IMB_AES128_GCM_DEC(library, &key->data, &context, dest, sealed, size, nonce, extra,
		extra_size, tag, sizeof tag);
	return gnutls_memcmp(tag, sealed + size, sizeof tag) == 0 ? 0 : NGTCP2_ERR_DECRYPT;
}

/* AES of the sample: one block of CFB over zeros with the sample for its IV. */
static int mask_header(uint8_t *dest, const ngtcp2_crypto_cipher *cipher,
	const ngtcp2_crypto_cipher_ctx *handle, const uint8_t *sample)
{
	static const uint8_t zeros[16];
	uint8_t block[16];
	if (!is_ours(handle->native_handle))
		return ngtcp2_crypto_hp_mask_cb(dest, cipher, handle, sample);
	const struct header_key *key = from_handle(handle->native_handle);
	IMB_AES128_CFB_ONE(library, block, zeros, sample, key->expanded, sizeof block);
	memcpy(dest, block, NGTCP2_HP_MASKLEN);
	return 0;
}

static void free_aead_key(ngtcp2_conn *quic, ngtcp2_crypto_aead_ctx *handle, void *user)
{
	if (is_ours(handle->native_handle))
		free_key(handle->native_handle, sizeof(struct aead_key));
	else
		ngtcp2_crypto_delete_crypto_aead_ctx_cb(quic, handle, user);
}

static void free_header_key(ngtcp2_conn *quic, ngtcp2_crypto_cipher_ctx *handle, void *user)
{
	if (is_ours(handle->native_handle))
		free_key(handle->native_handle, sizeof(struct header_key));
	else
		ngtcp2_crypto_delete_crypto_cipher_ctx_cb(quic, handle, user);
}

/* Ours in place of the helper's, which made it from the same bytes. */
static int replace(ngtcp2_crypto_aead_ctx *handle, const uint8_t *key)
{
	ngtcp2_crypto_aead_ctx made;
	if (lsp_protection_aead_new(&made, key) < 0)
		return -1;
	ngtcp2_crypto_aead_ctx_free(handle);
	*handle = made;
	return 0;
}

static bool is_aes_128(ngtcp2_conn *quic)
{
	gnutls_session_t session = ngtcp2_conn_get_tls_native_handle(quic);
	return gnutls_cipher_get(session) == GNUTLS_CIPHER_AES_128_GCM;
}

/* A key phase ends (RFC 9001, 6): ngtcp2 begins the next before the cipher's limit. */
static int update_key(ngtcp2_conn *quic, uint8_t *rx_secret, uint8_t *tx_secret,
	ngtcp2_crypto_aead_ctx *rx, uint8_t *rx_iv, ngtcp2_crypto_aead_ctx *tx, uint8_t *tx_iv,
	const uint8_t *old_rx_secret, const uint8_t *old_tx_secret, size_t secret_size, void *user)
{
	uint8_t rx_key[64], tx_key[64];
	if (ngtcp2_crypto_update_key(quic, rx_secret, tx_secret, rx, rx_key, rx_iv, tx, tx_key,
		    tx_iv, old_rx_secret, old_tx_secret, secret_size) != 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	/* Without memory, or switched off meanwhile, the helper's do as well. */
	if (is_aes_128(quic) && lsp_protection_is_fast()) {
		(void)!replace(rx, rx_key);
		(void)!replace(tx, tx_key);
	}
	gnutls_memset(rx_key, 0, sizeof rx_key);
	gnutls_memset(tx_key, 0, sizeof tx_key);
	return 0;
}

void lsp_protection_set_callbacks(ngtcp2_callbacks *callbacks)
{
	callbacks->encrypt = encrypt_packet;
	callbacks->decrypt = decrypt_packet;
	callbacks->hp_mask = mask_header;
	callbacks->update_key = update_key;
	callbacks->delete_crypto_aead_ctx = free_aead_key;
	callbacks->delete_crypto_cipher_ctx = free_header_key;
}

/* ---- Secrets from TLS ---- */

static int install(ngtcp2_conn *quic, const uint8_t *secret, size_t size, bool receiving)
{
	struct lsp_protection_keys keys;
	ngtcp2_crypto_aead_ctx aead = {0};
	ngtcp2_crypto_cipher_ctx header = {0};
	int r = lsp_protection_derive(&keys, &ngtcp2_conn_get_crypto_ctx(quic)->md, secret, size);
	if (r == 0)
		r = lsp_protection_aead_new(&aead, keys.key);
	if (r == 0)
		r = lsp_protection_header_new(&header, keys.header_key);
	if (r == 0 && receiving)
		r = ngtcp2_conn_install_rx_key(
			quic, secret, size, &aead, keys.iv, sizeof keys.iv, &header);
	else if (r == 0)
		r = ngtcp2_conn_install_tx_key(
			quic, secret, size, &aead, keys.iv, sizeof keys.iv, &header);
	gnutls_memset(&keys, 0, sizeof keys);
	if (r == 0)
		return 0;
	if (header.native_handle)
		free_header_key(quic, &header, NULL);
	if (aead.native_handle)
		free_aead_key(quic, &aead, NULL);
	return -1;
}

static int install_by_helper(ngtcp2_conn *quic, ngtcp2_encryption_level level,
	const uint8_t *secret, size_t size, bool receiving)
{
	return receiving ? ngtcp2_crypto_derive_and_install_rx_key(
				   quic, NULL, NULL, NULL, level, secret, size)
			 : ngtcp2_crypto_derive_and_install_tx_key(
				   quic, NULL, NULL, NULL, level, secret, size);
}

static int take_secrets(gnutls_session_t session, gnutls_record_encryption_level_t gnutls_level,
	const void *rx_secret, const void *tx_secret, size_t size)
{
	ngtcp2_crypto_conn_ref *reference = gnutls_session_get_ptr(session);
	ngtcp2_conn *quic = reference->get_conn(reference);
	ngtcp2_encryption_level level =
		ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(gnutls_level);
	bool ours = level == NGTCP2_ENCRYPTION_LEVEL_1RTT && lsp_protection_is_fast() &&
		    gnutls_cipher_get(session) == GNUTLS_CIPHER_AES_128_GCM;
	int r = 0;
	if (rx_secret)
		r = ours ? install(quic, rx_secret, size, true)
			 : install_by_helper(quic, level, rx_secret, size, true);
	if (r == 0 && tx_secret)
		r = ours ? install(quic, tx_secret, size, false)
			 : install_by_helper(quic, level, tx_secret, size, false);
	return r;
}

void lsp_protection_attach(gnutls_session_t session)
{
	gnutls_handshake_set_secret_function(session, take_secrets);
}

#else

bool lsp_protection_is_fast(void)
{
	return false;
}

int lsp_protection_aead_new(ngtcp2_crypto_aead_ctx *ret_handle, const uint8_t *key)
{
	return -1;
}

int lsp_protection_header_new(ngtcp2_crypto_cipher_ctx *ret_handle, const uint8_t *key)
{
	return -1;
}

void lsp_protection_set_callbacks(ngtcp2_callbacks *callbacks)
{
	callbacks->encrypt = ngtcp2_crypto_encrypt_cb;
	callbacks->decrypt = ngtcp2_crypto_decrypt_cb;
	callbacks->hp_mask = ngtcp2_crypto_hp_mask_cb;
	callbacks->update_key = ngtcp2_crypto_update_key_cb;
	callbacks->delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
	callbacks->delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
}

void lsp_protection_attach(gnutls_session_t session)
{
}

#endif
