/*
 * Receiving: which connection a datagram belongs to, and what becomes of one that belongs to none:
 * a new connection, a Retry, a version negotiation, a stateless reset, or nothing. Whatever is sent
 * to an unproven address is smaller than what came from there, and all of it together is limited.
 */
#include "net/endpoint_private.h"

#include "base/random.h"

#include <string.h>

#define RETRY_TOKEN_LIFE (10 * LSP_SECOND)
#define INITIAL_MIN 1200
/* A reset must be smaller than what it answers, and look like a packet (RFC 9000, 10.3). */
#define RESET_SIZE 33

/* May we answer a stranger? */
static bool may_spend(struct lsp_rate_limit *limit, lsp_time now)
{
	if (!lsp_rate_limit_allows(limit, now))
		return false;
	lsp_rate_limit_spend(limit, 1, now);
	return true;
}

static bool may_answer(struct lsp_endpoint *endpoint, lsp_time now)
{
	return may_spend(&endpoint->stray_answers, now);
}

static void send_version_negotiation(struct lsp_endpoint *endpoint,
	const struct lsp_arrival *arrival, const ngtcp2_version_cid *ids, size_t size, lsp_time now)
{
	uint8_t packet[INITIAL_MIN];
	uint32_t versions[] = {NGTCP2_PROTO_VER_V1};
	if (size < INITIAL_MIN || !may_answer(endpoint, now))
		return;
	uint8_t unpredictable;
	lsp_random_bytes(&unpredictable, 1);
	ngtcp2_ssize length = ngtcp2_pkt_write_version_negotiation(packet, sizeof packet,
		unpredictable, ids->scid, ids->scidlen, ids->dcid, ids->dcidlen, versions,
		LSP_ARRAY_SIZE(versions));
	if (length > 0)
		(void)lsp_endpoint_send_single(endpoint, arrival, packet, (size_t)length);
}

/* A peer that we forgot (we were restarted) learns at once that it talks to nobody. */
static void send_stateless_reset(struct lsp_endpoint *endpoint, const struct lsp_arrival *arrival,
	const ngtcp2_version_cid *ids, size_t size)
{
	uint8_t packet[RESET_SIZE], noise[RESET_SIZE];
	uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
	ngtcp2_cid cid;
	if (size <= RESET_SIZE || endpoint->closing)
		return;
	ngtcp2_cid_init(&cid, ids->dcid, ids->dcidlen);
	if (ngtcp2_crypto_generate_stateless_reset_token(
		    token, endpoint->reset_secret, sizeof endpoint->reset_secret, &cid) != 0)
		return;
	lsp_random_bytes(noise, sizeof noise);
	ngtcp2_ssize length = ngtcp2_pkt_write_stateless_reset(
		packet, sizeof packet, token, noise, RESET_SIZE - NGTCP2_STATELESS_RESET_TOKENLEN);
	if (length > 0 && lsp_endpoint_send_single(endpoint, arrival, packet, (size_t)length))
		endpoint->stats.resets++;
}

static void send_retry(struct lsp_endpoint *endpoint, const struct lsp_arrival *arrival,
	const ngtcp2_pkt_hd *header, lsp_time now)
{
	uint8_t packet[INITIAL_MIN], token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2];
	ngtcp2_cid cid;
	/* A limit of its own: in a flood of whatever, who comes in earnest depends on it. */
	if (!may_spend(&endpoint->retry_answers, now))
		return;
	lsp_connection_new_cid(&cid);
	ngtcp2_ssize size = ngtcp2_crypto_generate_retry_token2(token, endpoint->token_secret,
		sizeof endpoint->token_secret, header->version,
		(const ngtcp2_sockaddr *)arrival->remote, lsp_address_size(arrival->remote), &cid,
		&header->dcid, now);
	if (size < 0)
		return;
	size = ngtcp2_crypto_write_retry(packet, sizeof packet, header->version, &header->scid,
		&cid, &header->dcid, token, (size_t)size);
	if (size > 0 && lsp_endpoint_send_single(endpoint, arrival, packet, (size_t)size))
		endpoint->stats.retries++;
}

static void send_refusal(struct lsp_endpoint *endpoint, const struct lsp_arrival *arrival,
	const ngtcp2_pkt_hd *header, uint64_t code, lsp_time now)
{
	static const char reason[] = "not now";
	uint8_t packet[INITIAL_MIN];
	endpoint->stats.refused++;
	if (!may_answer(endpoint, now))
		return;
	ngtcp2_ssize size = ngtcp2_crypto_write_connection_close(packet, sizeof packet,
		header->version, &header->scid, &header->dcid, code, (const uint8_t *)reason,
		sizeof reason - 1);
	if (size > 0)
		(void)lsp_endpoint_send_single(endpoint, arrival, packet, (size_t)size);
}

/*
 * A handshake with ourselves: it comes from our own port, and its source id is one of ours. It is
 * told apart from a cloned disk by this.
 */
static bool is_ourselves(struct lsp_endpoint *endpoint, const struct lsp_arrival *arrival,
	const ngtcp2_pkt_hd *header)
{
	struct lsp_connection *connection =
		lsp_cid_table_find(&endpoint->cids, header->scid.data, header->scid.datalen);
	if (!connection || !connection->outgoing ||
		lsp_address_port(arrival->remote) != endpoint->port)
		return false;
	lsp_connection_end(connection, LSP_CLOSE_SELF, false, "that address is our own");
	return true;
}

enum token { TOKEN_NONE, TOKEN_GOOD, TOKEN_BAD };

static enum token check_token(struct lsp_endpoint *endpoint, const struct lsp_arrival *arrival,
	const ngtcp2_pkt_hd *header, ngtcp2_cid *ret_odcid, lsp_time now)
{
	if (!header->tokenlen || header->token[0] != NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2)
		return TOKEN_NONE;
	return ngtcp2_crypto_verify_retry_token2(ret_odcid, header->token, header->tokenlen,
		       endpoint->token_secret, sizeof endpoint->token_secret, header->version,
		       (const ngtcp2_sockaddr *)arrival->remote, lsp_address_size(arrival->remote),
		       &header->dcid, RETRY_TOKEN_LIFE, now) == 0
		       ? TOKEN_GOOD
		       : TOKEN_BAD;
}

/* Is there room for one more, or does somebody give way? Handshakes do so for proven addresses
 * only. */
static bool has_room(
	struct lsp_endpoint *endpoint, const struct sockaddr_storage *newcomer, enum token token)
{
	const struct lsp_endpoint_options *options = &endpoint->options;
	if (endpoint->connection_count >= options->max_connections &&
		!lsp_endpoint_crowded(endpoint, newcomer, LSP_CONNECTION_UP))
		return false;
	return endpoint->handshake_count < options->max_handshakes ||
	       (token == TOKEN_GOOD &&
		       lsp_endpoint_make_room(endpoint, newcomer, LSP_CONNECTION_HANDSHAKE));
}

/* A new connection, or what is said in place of one. NULL: the packet is done with. */
static struct lsp_connection *accept_connection(struct lsp_endpoint *endpoint,
	const struct lsp_arrival *arrival, const uint8_t *data, size_t size, lsp_time now)
{
	const struct lsp_endpoint_options *options = &endpoint->options;
	struct lsp_connection *connection = NULL;
	ngtcp2_pkt_hd header;
	ngtcp2_cid odcid;
	if (endpoint->closing || ngtcp2_accept(&header, data, size) != 0) {
		endpoint->stats.dropped++;
		return NULL;
	}
	if (is_ourselves(endpoint, arrival, &header))
		return NULL;
	enum token token = check_token(endpoint, arrival, &header, &odcid, now);
	bool crowded =
		options->always_retry || endpoint->handshake_count >= options->retry_threshold;
	if (token == TOKEN_BAD) {
		send_refusal(endpoint, arrival, &header, NGTCP2_INVALID_TOKEN, now);
	} else if (token == TOKEN_NONE && crowded) {
		send_retry(endpoint, arrival, &header, now);
	} else if (!has_room(endpoint, arrival->remote, token)) {
		send_refusal(endpoint, arrival, &header, NGTCP2_CONNECTION_REFUSED, now);
	} else if (lsp_connection_new_server(endpoint, arrival, &header,
			   token == TOKEN_GOOD ? &odcid : NULL, now, &connection, NULL) < 0) {
		endpoint->stats.refused++;
		return NULL;
	}
	return connection;
}

/*
 * A stateless reset comes to an id that is none of ours: ngtcp2 knows it by its last 16 bytes. So a
 * short packet to an unknown id is shown to the connections with that address, now and then.
 */
static bool offer_reset(struct lsp_endpoint *endpoint, const struct lsp_arrival *arrival,
	const uint8_t *data, size_t size, lsp_time now)
{
	struct lsp_connection *connection;
	DL_FOREACH2(endpoint->connections, connection, next)
	{
		if (connection->state != LSP_CONNECTION_UP ||
			!lsp_address_equal(&connection->remote, arrival->remote))
			continue;
		lsp_connection_read(connection, arrival, data, size, now);
		if (connection->reset_received)
			return true;
	}
	return false;
}

static void receive_unknown(struct lsp_endpoint *endpoint, const struct lsp_arrival *arrival,
	const ngtcp2_version_cid *ids, const uint8_t *data, size_t size, lsp_time now)
{
	endpoint->stats.dropped++;
	if (!may_answer(endpoint, now) || offer_reset(endpoint, arrival, data, size, now))
		return;
	send_stateless_reset(endpoint, arrival, ids, size);
}

static void receive_packet(struct lsp_endpoint *endpoint, const struct lsp_arrival *arrival,
	const uint8_t *data, size_t size, lsp_time now)
{
	ngtcp2_version_cid ids;
	int r = ngtcp2_pkt_decode_version_cid(&ids, data, size, LSP_CID_SIZE);
	if (r == NGTCP2_ERR_VERSION_NEGOTIATION) {
		send_version_negotiation(endpoint, arrival, &ids, size, now);
		return;
	}
	if (r != 0) {
		endpoint->stats.dropped++;
		return;
	}
	struct lsp_connection *connection =
		lsp_cid_table_find(&endpoint->cids, ids.dcid, ids.dcidlen);
	if (!connection && ids.version == 0) {
		receive_unknown(endpoint, arrival, &ids, data, size, now);
		return;
	}
	if (!connection)
		connection = accept_connection(endpoint, arrival, data, size, now);
	if (connection)
		lsp_connection_read(connection, arrival, data, size, now);
}

static void receive_message(struct lsp_endpoint *endpoint, struct lsp_udp_socket *socket,
	struct lsp_udp_message *message, lsp_time now)
{
	struct lsp_arrival arrival = {socket, &message->remote, &message->local};
	endpoint->stats.received_wire += message->size;
	if (!lsp_address_port(&message->remote))
		return; /* nobody can be answered there */
	for (size_t at = 0; at < message->size; at += message->segment) {
		size_t size = LSP_MIN(message->segment, message->size - at);
		const uint8_t *data = message->data + at;
		endpoint->stats.received_packets++;
		receive_packet(endpoint, &arrival, data, size, now);
	}
}

bool lsp_endpoint_receive(struct lsp_endpoint *endpoint, struct lsp_udp_socket *socket)
{
	struct lsp_udp_message messages[LSP_UDP_MESSAGES];
	int count = lsp_udp_receive(endpoint->receiver, socket, messages);
	if (count < 0) {
		lsp_endpoint_socket_failed(endpoint, -count);
		return false;
	}
	lsp_time now = lsp_endpoint_now(endpoint);
	for (int i = 0; i < count; i++)
		receive_message(endpoint, socket, &messages[i], now);
	return count == LSP_UDP_MESSAGES;
}
