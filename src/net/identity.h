/*
 * Who this machine is to others: a key pair that is made at the first start and never leaves the
 * state folder, and the peer id that follows from it.
 *
 * The key is Ed25519 (RFC 8410), kept as unencrypted PKCS #8 PEM in `<state>/identity.key`, mode
 * 0600. The peer id is the SHA-256 of the public key as a DER SubjectPublicKeyInfo (what RFC 7469
 * hashes), written as 64 lower-case hexadecimal digits; names are mere labels. In the handshake the
 * key comes as a self-signed X.509 certificate, made anew at every start; nothing in it but the key
 * means anything.
 *
 * An identity is immutable once loaded and may be read from every thread. Loading and creating
 * block on the disk.
 */
#pragma once

#include "base/cleanup.h"
#include "base/sha256.h"

#include <gnutls/gnutls.h>

#define LSP_IDENTITY_FILE "identity.key"

struct lsp_identity;

/*
 * The identity in that folder, made first where there is none (the folder must be there). A file
 * that is no key gives -LSP_E_PROTOCOL and is left alone: losing an identity is the user's
 * decision. A file that others can read is taken and its mode corrected.
 */
LSP_MUST_CHECK int lsp_identity_open(
	const char *state_dir, struct lsp_identity **ret_identity, struct lsp_error *err);

/* One that is on no disk, for tests and benchmarks. */
LSP_MUST_CHECK int lsp_identity_new(struct lsp_identity **ret_identity, struct lsp_error *err);

/*
 * Replaces the key in that folder by a new one (this machine becomes a new peer) and gives the new
 * identity. It does not need the old one to be readable. Who uses the old one goes on until the
 * endpoint is made anew.
 */
LSP_MUST_CHECK int lsp_identity_rotate(
	const char *state_dir, struct lsp_identity **ret_identity, struct lsp_error *err);

struct lsp_identity *lsp_identity_ref(struct lsp_identity *identity);
void lsp_identity_unref(struct lsp_identity *identity);
LSP_DEFINE_CLEANUP(struct lsp_identity *, lsp_identity_unref);
#define _cleanup_identity_ _cleanup_(lsp_identity_unref_pointer)

const struct lsp_hash *lsp_identity_peer_id(const struct lsp_identity *identity);

/* Certificate and key for a TLS session; as long as the identity is held. */
gnutls_certificate_credentials_t lsp_identity_credentials(const struct lsp_identity *identity);

/*
 * 32 bytes that only this identity knows, the same after a restart, different for each purpose:
 * SHA-256 of the private key and the purpose.
 */
void lsp_identity_secret(
	const struct lsp_identity *identity, const char *purpose, struct lsp_hash *ret_secret);

/* The peer id of a certificate (DER). -LSP_E_PROTOCOL where it is none. */
LSP_MUST_CHECK int lsp_identity_of_certificate(
	const void *der, size_t size, struct lsp_hash *ret_peer_id, struct lsp_error *err);
