/*
 * The handshake: TLS 1.3 with certificates on both sides. A certificate is nothing but the carrier
 * of a key; TLS proves that the other side has it, and its hash is the peer id. Which id is fine is
 * decided once the handshake is done (connection.c), so that a refusal can say why in words.
 */
#include "net/endpoint_private.h"

#include "net/protection.h"

#include <gnutls/abstract.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <string.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_AES
#define HWCAP_AES (1 << 3)
#endif
#endif

static bool has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes");
#elif defined(__aarch64__)
	return getauxval(AT_HWCAP) & HWCAP_AES;
#else
	return false;
#endif
}

/* AES first where the processor has it. */
#define PRIORITY(ciphers)                                                                          \
	"%DISABLE_TLS13_COMPAT_MODE:NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:" ciphers            \
	":-GROUP-ALL:+GROUP-X25519"

static const char *priority(void)
{
	return has_aes() ? PRIORITY("+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM")
			 : PRIORITY("+CHACHA20-POLY1305:+AES-128-GCM:+AES-256-GCM");
}

static struct lsp_connection *connection_of(gnutls_session_t session)
{
	ngtcp2_crypto_conn_ref *reference = gnutls_session_get_ptr(session);
	return reference->user_data;
}

/* Takes the id of the key; no chain, name or date is looked at. */
static int verify(gnutls_session_t session)
{
	struct lsp_connection *connection = connection_of(session);
	unsigned count = 0;
	const gnutls_datum_t *certificates = gnutls_certificate_get_peers(session, &count);
	if (!certificates || !count || gnutls_certificate_type_get(session) != GNUTLS_CRT_X509)
		return GNUTLS_E_CERTIFICATE_ERROR;
	if (lsp_identity_of_certificate(
		    certificates[0].data, certificates[0].size, &connection->peer_id, NULL) < 0)
		return GNUTLS_E_CERTIFICATE_ERROR;
	connection->key_known = true;
	return 0;
}

static ngtcp2_conn *quic_of(ngtcp2_crypto_conn_ref *reference)
{
	struct lsp_connection *connection = reference->user_data;
	return connection->quic;
}

static int set_up(struct lsp_connection *connection)
{
	static char alpn[] = LSP_ENDPOINT_ALPN;
	gnutls_datum_t protocol = {(unsigned char *)alpn, sizeof alpn - 1};
	gnutls_session_t tls = connection->tls;
	int r = gnutls_priority_set_direct(tls, priority(), NULL);
	if (r < 0)
		return r;
	if ((connection->outgoing ? ngtcp2_crypto_gnutls_configure_client_session(tls)
				  : ngtcp2_crypto_gnutls_configure_server_session(tls)) != 0)
		return GNUTLS_E_INTERNAL_ERROR;
	lsp_protection_attach(tls);
	r = gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE,
		lsp_identity_credentials(connection->endpoint->identity));
	if (r < 0)
		return r;
	gnutls_session_set_verify_function(tls, verify);
	if (!connection->outgoing)
		gnutls_certificate_server_set_request(tls, GNUTLS_CERT_REQUIRE);
	return gnutls_alpn_set_protocols(tls, &protocol, 1, GNUTLS_ALPN_MANDATORY);
}

int lsp_connection_start_tls(struct lsp_connection *connection, struct lsp_error *err)
{
	unsigned flags = connection->outgoing ? GNUTLS_CLIENT : GNUTLS_SERVER;
	int r = gnutls_init(&connection->tls, flags | GNUTLS_NO_TICKETS);
	if (r < 0) {
		connection->tls = NULL;
		return lsp_error_no_memory(err, "net");
	}
	connection->reference = (ngtcp2_crypto_conn_ref){quic_of, connection};
	gnutls_session_set_ptr(connection->tls, &connection->reference);
	r = set_up(connection);
	if (r < 0)
		return lsp_error_set(
			err, "net", LSP_E_FAILED, "cannot set up TLS: %s", gnutls_strerror(r));
	ngtcp2_conn_set_tls_native_handle(connection->quic, connection->tls);
	return 0;
}
