/* What a connection's user may do with it and ask of it, beside its streams. */
#include "net/endpoint_private.h"

void lsp_connection_close(
	struct lsp_connection *connection, enum lsp_close_reason reason, const char *message)
{
	lsp_connection_end(connection, reason, false, message ? message : "");
}

void lsp_connection_abandon(struct lsp_connection *connection, const char *message)
{
	lsp_connection_end(connection, LSP_CLOSE_LOST, false, message ? message : "");
}

void lsp_connection_set_user(struct lsp_connection *connection, void *user)
{
	connection->user = user;
}

void *lsp_connection_user(const struct lsp_connection *connection)
{
	return connection->user;
}

struct lsp_endpoint *lsp_connection_endpoint(const struct lsp_connection *connection)
{
	return connection->endpoint;
}

const struct lsp_hash *lsp_connection_peer_id(const struct lsp_connection *connection)
{
	return connection->key_known ? &connection->peer_id : &connection->expected;
}

bool lsp_connection_is_outgoing(const struct lsp_connection *connection)
{
	return connection->outgoing;
}

const struct sockaddr_storage *lsp_connection_address(const struct lsp_connection *connection)
{
	return &connection->remote;
}

void lsp_connection_set_lower_effort(struct lsp_connection *connection, bool on)
{
	connection->lower_effort = on;
}

bool lsp_connection_take_round_trip(
	struct lsp_connection *connection, uint64_t *ret_least, unsigned *ret_count)
{
	if (!connection->rtt_count)
		return false;
	*ret_least = connection->rtt_least;
	*ret_count = connection->rtt_count;
	connection->rtt_count = 0;
	return true;
}

void lsp_connection_get_stats(
	const struct lsp_connection *connection, struct lsp_connection_stats *ret_stats)
{
	struct lsp_connection_stats stats = {
		.sent = connection->sent,
		.received = connection->received,
		.sent_wire = connection->sent_wire,
		.received_wire = connection->received_wire,
		.sent_packets = connection->sent_packets,
		.received_packets = connection->received_packets,
		.queued = connection->queued,
		.memory = connection->memory,
		.streams = connection->stream_count,
		.since = connection->since,
		.last_received = connection->last_received,
	};
	if (connection->quic) {
		ngtcp2_conn_info info;
		ngtcp2_conn_get_conn_info(connection->quic, &info);
		bool measured = info.min_rtt != UINT64_MAX;
		stats.rtt_latest = measured ? info.latest_rtt : 0;
		stats.rtt_min = measured ? info.min_rtt : 0;
		stats.rtt_smoothed = measured ? info.smoothed_rtt : 0;
		stats.rtt_variation = measured ? info.rttvar : 0;
		stats.cwnd = info.cwnd;
		stats.in_flight = info.bytes_in_flight;
		stats.udp_payload = ngtcp2_conn_get_path_max_tx_udp_payload_size(connection->quic);
	}
	*ret_stats = stats;
}
