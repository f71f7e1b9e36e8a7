/*
 * How a connection ends: the reason, in words of ours, whoever noticed it; the CONNECTION_CLOSE
 * that tells the other side; and the husk that is left for a second, since that packet may be lost
 * and the other side would go on sending.
 */
#include "net/endpoint_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define HUSK_TIME LSP_SECOND

static const struct {
	enum lsp_close_reason reason;
	const char *name;
} reason_names[] = {
	{LSP_CLOSE_GOODBYE, "goodbye"},
	{LSP_CLOSE_PROTOCOL, "protocol"},
	{LSP_CLOSE_DUPLICATE, "duplicate"},
	{LSP_CLOSE_REPLACED, "replaced"},
	{LSP_CLOSE_BUSY, "busy"},
	{LSP_CLOSE_VERSION, "version"},
	{LSP_CLOSE_IDENTITY, "identity"},
	{LSP_CLOSE_SELF, "self"},
	{LSP_CLOSE_CLONE, "clone"},
	{LSP_CLOSE_FORGOTTEN, "forgotten"},
	{LSP_CLOSE_FAILED, "failed"},
	{LSP_CLOSE_OTHER, "other"},
	{LSP_CLOSE_LOST, "lost"},
	{LSP_CLOSE_REFUSED, "refused"},
	{LSP_CLOSE_NO_ANSWER, "no_answer"},
};

const char *lsp_close_reason_name(enum lsp_close_reason reason)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(reason_names); i++) {
		if (reason_names[i].reason == reason)
			return reason_names[i].name;
	}
	return "other";
}

static enum lsp_close_reason reason_of_code(uint64_t code)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(reason_names); i++) {
		if (code < LSP_CLOSE_LOST && (uint64_t)reason_names[i].reason == code)
			return reason_names[i].reason;
	}
	return LSP_CLOSE_OTHER;
}

/* One line that a terminal can show: no control characters, and no broken UTF-8. */
static void clean_message(char *text)
{
	utf8proc_uint8_t *at = (utf8proc_uint8_t *)text;
	while (*at) {
		utf8proc_int32_t character;
		utf8proc_ssize_t size = utf8proc_iterate(at, -1, &character);
		if (size <= 0 || character < 0x20 || (character >= 0x7f && character < 0xa0)) {
			size = LSP_MAX(size, (utf8proc_ssize_t)1);
			memset(at, '?', (size_t)size);
		}
		at += size;
	}
}

void lsp_connection_end(struct lsp_connection *connection, enum lsp_close_reason reason,
	bool by_peer, const char *message)
{
	if (connection->state >= LSP_CONNECTION_ENDED)
		return;
	connection->state = LSP_CONNECTION_ENDED;
	connection->endpoint->ended = true;
	if (message)
		snprintf(
			connection->close_message, sizeof connection->close_message, "%s", message);
	clean_message(connection->close_message);
	connection->close = (struct lsp_close){reason, by_peer, connection->close_message};
	connection->say_nothing |= by_peer || reason == LSP_CLOSE_LOST ||
				   reason == LSP_CLOSE_NO_ANSWER || reason == LSP_CLOSE_SELF;
}

/* What the peer's CONNECTION_CLOSE says. */
static void end_by_peer(struct lsp_connection *connection)
{
	const ngtcp2_ccerr *error = ngtcp2_conn_get_ccerr(connection->quic);
	char text[LSP_CLOSE_MESSAGE_MAX];
	enum lsp_close_reason reason = LSP_CLOSE_PROTOCOL;
	snprintf(text, sizeof text, "%.*s", (int)LSP_MIN(error->reasonlen, sizeof text - 1),
		error->reason ? (const char *)error->reason : "");
	if (connection->reset_received) {
		reason = LSP_CLOSE_LOST;
		snprintf(text, sizeof text, "it was started anew");
	} else if (error->type == NGTCP2_CCERR_TYPE_APPLICATION) {
		reason = reason_of_code(error->error_code);
	} else if (error->error_code == NGTCP2_CONNECTION_REFUSED) {
		reason = LSP_CLOSE_BUSY;
	} else if (error->error_code == NGTCP2_NO_ERROR) {
		reason = LSP_CLOSE_OTHER;
	} else if (connection->state == LSP_CONNECTION_HANDSHAKE) {
		reason = LSP_CLOSE_REFUSED;
		if (!text[0])
			snprintf(text, sizeof text, "it refused the handshake (QUIC error 0x%llx)",
				(unsigned long long)error->error_code);
	} else if (!text[0]) {
		snprintf(text, sizeof text, "QUIC error 0x%llx",
			(unsigned long long)error->error_code);
	}
	lsp_connection_end(connection, reason, true, text);
}

static void end_by_crypto(struct lsp_connection *connection)
{
	uint8_t alert = ngtcp2_conn_get_tls_alert(connection->quic);
	const char *name = gnutls_alert_get_name((gnutls_alert_description_t)alert);
	char text[LSP_CLOSE_MESSAGE_MAX];
	snprintf(text, sizeof text, "TLS: %s", alert && name ? name : "the handshake failed");
	lsp_connection_end(connection, connection->was_up ? LSP_CLOSE_PROTOCOL : LSP_CLOSE_REFUSED,
		false, text);
}

void lsp_connection_break(struct lsp_connection *connection, int code)
{
	char text[LSP_CLOSE_MESSAGE_MAX];
	if (connection->state >= LSP_CONNECTION_ENDED)
		return;
	connection->quic_error = code;
	switch (code) {
	case NGTCP2_ERR_DRAINING:
		end_by_peer(connection);
		return;
	case NGTCP2_ERR_IDLE_CLOSE:
		snprintf(text, sizeof text, "no sign of life for %.1f s",
			(double)connection->endpoint->options.idle_timeout / LSP_SECOND);
		lsp_connection_end(connection,
			connection->was_up ? LSP_CLOSE_LOST : LSP_CLOSE_NO_ANSWER, false, text);
		return;
	case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
		lsp_connection_end(connection, LSP_CLOSE_NO_ANSWER, false, "no answer");
		return;
	case NGTCP2_ERR_CRYPTO:
		end_by_crypto(connection);
		return;
	case NGTCP2_ERR_NOMEM:
		lsp_connection_end(connection, LSP_CLOSE_FAILED, false,
			"the connection would need too much memory");
		return;
	case NGTCP2_ERR_DROP_CONN:
	case NGTCP2_ERR_RETRY:
		connection->say_nothing = true;
		lsp_connection_end(connection, LSP_CLOSE_REFUSED, false, "no valid handshake");
		return;
	case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
		lsp_connection_end(
			connection, LSP_CLOSE_REFUSED, false, "it speaks another version of QUIC");
		return;
	default:
		snprintf(text, sizeof text, "QUIC: %s", ngtcp2_strerror(code));
		lsp_connection_end(connection, LSP_CLOSE_PROTOCOL, false, text);
	}
}

static void fill_close(const struct lsp_connection *connection, ngtcp2_ccerr *error)
{
	const uint8_t *text = (const uint8_t *)connection->close_message;
	size_t size = strlen(connection->close_message);
	ngtcp2_ccerr_default(error);
	if (connection->quic_error == NGTCP2_ERR_CRYPTO)
		ngtcp2_ccerr_set_tls_alert(
			error, ngtcp2_conn_get_tls_alert(connection->quic), text, size);
	else if (connection->quic_error)
		ngtcp2_ccerr_set_liberr(error, connection->quic_error, text, size);
	else
		ngtcp2_ccerr_set_application_error(error,
			connection->close.reason < LSP_CLOSE_LOST ? connection->close.reason
								  : LSP_CLOSE_OTHER,
			text, size);
}

/* The close that fits: written, sent, and kept for those who missed it. */
static void send_close(struct lsp_connection *connection, lsp_time now)
{
	uint8_t packet[LSP_CLOSE_PACKET_MAX];
	ngtcp2_ccerr error;
	if (connection->was_up)
		lsp_connection_write_once(connection, now);
	fill_close(connection, &error);
	ngtcp2_path_storage path;
	ngtcp2_path_storage_zero(&path);
	ngtcp2_ssize size = ngtcp2_conn_write_connection_close(
		connection->quic, &path.path, NULL, packet, sizeof packet, &error, now);
	if (size <= 0)
		return;
	struct lsp_arrival to = {connection->socket, &connection->remote, &connection->local};
	(void)!lsp_endpoint_send_single(connection->endpoint, &to, packet, (size_t)size);
	connection->close_packet = malloc((size_t)size);
	if (!connection->close_packet)
		return;
	memcpy(connection->close_packet, packet, (size_t)size);
	connection->close_size = (size_t)size;
}

void lsp_connection_leave_handshakes(struct lsp_connection *connection)
{
	if (!connection->counted_handshake)
		return;
	connection->counted_handshake = false;
	connection->endpoint->handshake_count--;
}

static void drop_quic(struct lsp_connection *connection)
{
	if (connection->dirty)
		DL_DELETE2(connection->endpoint->dirty, connection, dirty_previous, dirty_next);
	connection->dirty = false;
	ngtcp2_conn_del(connection->quic);
	connection->quic = NULL;
	if (connection->tls)
		gnutls_deinit(connection->tls);
	connection->tls = NULL;
}

void lsp_connection_bury(struct lsp_connection *connection, lsp_time now)
{
	struct lsp_endpoint *endpoint = connection->endpoint;
	if (!connection->quic)
		return;
	if (!connection->say_nothing)
		send_close(connection, now);
	drop_quic(connection);
	connection->husk_until = now + HUSK_TIME;
	if (connection->outgoing || connection->was_up)
		endpoint->connection_count--;
	else
		endpoint->stats.failed_handshakes++;
	lsp_connection_leave_handshakes(connection);
}

/* Answers the 1st, 2nd, 4th, 8th … packet that comes late with the close again. */
void lsp_husk_receive(struct lsp_connection *connection, const struct lsp_arrival *arrival)
{
	unsigned count = ++connection->husk_packets;
	if (connection->close_packet && (count & (count - 1)) == 0 &&
		lsp_address_equal(arrival->remote, &connection->remote))
		(void)!lsp_endpoint_send_single(connection->endpoint, arrival,
			connection->close_packet, connection->close_size);
}

void lsp_connection_free(struct lsp_connection *connection)
{
	struct lsp_endpoint *endpoint = connection->endpoint;
	lsp_streams_free_all(connection);
	if (connection->quic || connection->tls)
		drop_quic(connection);
	for (size_t i = 0; i < LSP_CONNECTION_CIDS; i++)
		lsp_cid_table_remove(&endpoint->cids, &connection->cids[i]);
	DL_DELETE2(endpoint->connections, connection, previous, next);
	free(connection->close_packet);
	free(connection);
}
