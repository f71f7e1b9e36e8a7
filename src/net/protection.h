/*
 * Packet protection (RFC 9001, section 5) of the packets that carry data: AES-128-GCM, and the AES
 * mask over the header, by libIPSec_MB, which uses the processor's widest AES instructions (VAES
 * and VPCLMULQDQ where it has them) and takes a third of GnuTLS's time for a packet
 * (docs/performance.md). It is for x86-64; where it is not built in, not able or not right (it is
 * checked against GnuTLS before first use), and for handshakes and other ciphers, ngtcp2's own
 * helper over GnuTLS does the work. Which of the two did cannot be told from the wire.
 *
 * ngtcp2 keeps a key as an opaque handle that comes back with each packet; ours are told from the
 * helper's by their lowest bit. So everything of ngtcp2_callbacks that touches a key must be ours,
 * which lsp_protection_set_callbacks sees to. Secrets come from TLS by lsp_protection_attach.
 *
 * Pure but for the keys it allocates; from every thread.
 */
#pragma once

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <stdbool.h>

/* encrypt, decrypt, hp_mask, update_key and the two that free keys. */
void lsp_protection_set_callbacks(ngtcp2_callbacks *callbacks);

/*
 * After ngtcp2_crypto_gnutls_configure_…_session: keys are made here from now on. The session's
 * pointer is an ngtcp2_crypto_conn_ref, as the helper wants it.
 */
void lsp_protection_attach(gnutls_session_t session);

/* Is libIPSec_MB at hand and right? */
bool lsp_protection_is_fast(void);
/* For tests and measurements: false leaves new keys to GnuTLS, process-wide. */
void lsp_protection_set_fast(bool on);

/* ---- For tests: keys without a handshake ------------------------------------------------ */

#define LSP_PROTECTION_KEY_SIZE 16
#define LSP_PROTECTION_TAG_SIZE 16
#define LSP_PROTECTION_IV_SIZE 12

/* The three keys of RFC 9001, 5.1 from a secret, by HKDF-Expand-Label (RFC 8446, 7.1). */
struct lsp_protection_keys {
	uint8_t key[LSP_PROTECTION_KEY_SIZE];
	uint8_t iv[LSP_PROTECTION_IV_SIZE];
	uint8_t header_key[LSP_PROTECTION_KEY_SIZE];
};
int lsp_protection_derive(struct lsp_protection_keys *ret_keys, const ngtcp2_crypto_md *md,
	const uint8_t *secret, size_t size);
/* Handles for the callbacks; 0, or −1 when they cannot be had. */
int lsp_protection_aead_new(ngtcp2_crypto_aead_ctx *ret_handle, const uint8_t *key);
int lsp_protection_header_new(ngtcp2_crypto_cipher_ctx *ret_handle, const uint8_t *key);
