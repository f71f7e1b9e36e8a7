/*
 * Sending. Connections that have something to send take turns; a turn is one batch of packets of
 * one size that leaves in one system call. Within a connection the streams take turns too, of
 * STREAM_TURN bytes; one that was idle goes first, so that a request is not stuck behind bulk. A
 * stream that has room again is told between two turns: what it writes then is still in the cache
 * when its packets are made.
 *
 * A limit in bytes per second holds back stream data only: acknowledgements and what is sent again
 * go out and are paid for, so the limit holds on the wire and the peer's sending is not throttled
 * by ours.
 */
#include "net/endpoint_private.h"

#include <poll.h>
#include <string.h>

#define STREAM_TURN (32 * 1024)
#define TURNS_PER_LOOP 24
#define VECTORS 8
#define LIMIT_BURST (10 * LSP_MILLISECOND)
/* What the limit holds back waits until so much may be sent again, not for every single packet. */
#define LIMIT_PATIENCE (4 * LSP_MILLISECOND)
/* Of acknowledgements alone: some 3 KiB. */
#define UNPACED_TURNS_MAX 64
/* The same for a connection's own limit, whose packets share a line with a game's. */
#define PACE_BURST (3 * LSP_MILLISECOND)
#define PACE_PATIENCE LSP_MILLISECOND
/* How long close_all waits for room in a full socket. */
#define CLOSE_PATIENCE_MS 20

enum turn { TURN_DONE, TURN_MORE, TURN_BLOCKED };

/* ---- Limits ---- */

static size_t overhead(const struct lsp_udp_socket *socket)
{
	return socket->family == AF_INET ? LSP_WIRE_OVERHEAD_V4 : LSP_WIRE_OVERHEAD_V6;
}

static bool data_allowed(struct lsp_connection *connection, lsp_time now)
{
	struct lsp_rate_limit *all = &connection->endpoint->limit;
	return !connection->paused &&
	       lsp_rate_limit_opens(&connection->limit, PACE_PATIENCE, now) &&
	       lsp_rate_limit_opens(all, LIMIT_PATIENCE, now);
}

static uint64_t data_left(const struct lsp_connection *connection, lsp_time now)
{
	uint64_t ours = lsp_rate_limit_left(&connection->limit, now);
	uint64_t all = lsp_rate_limit_left(&connection->endpoint->limit, now);
	return LSP_MIN(ours, all);
}

lsp_time lsp_connection_resume_at(const struct lsp_connection *connection)
{
	const struct lsp_rate_limit *all = &connection->endpoint->limit;
	lsp_time ours = connection->limit.rate ? connection->limit.paid + PACE_PATIENCE : 0;
	lsp_time others = all->rate ? all->paid + LIMIT_PATIENCE : 0;
	return LSP_MAX(ours, others);
}

void lsp_connection_set_send_limit(struct lsp_connection *connection, uint64_t bytes_per_second)
{
	lsp_rate_limit_change(&connection->limit, bytes_per_second, PACE_BURST,
		lsp_endpoint_now(connection->endpoint));
	if (connection->paused)
		lsp_connection_mark_dirty(connection);
	connection->paused = false;
}

void lsp_endpoint_set_send_limit(struct lsp_endpoint *endpoint, uint64_t bytes_per_second)
{
	struct lsp_connection *connection;
	lsp_rate_limit_set(
		&endpoint->limit, bytes_per_second, LIMIT_BURST, lsp_endpoint_now(endpoint));
	DL_FOREACH2(endpoint->connections, connection, next)
	{
		connection->paused = false;
		lsp_connection_mark_dirty(connection);
	}
}

/* ---- One packet ---- */

/* The stream's next bytes; true if those are its last. */
static bool gather(const struct lsp_stream *stream, ngtcp2_vec vectors[VECTORS], size_t *ret_count)
{
	const struct lsp_segment *segment = stream->sending;
	size_t offset = stream->sending_offset, count = 0;
	size_t total = 0;
	while (segment && count < VECTORS && total < LSP_UDP_BATCH_MAX) {
		vectors[count].base = (uint8_t *)segment->data + offset;
		vectors[count].len = segment->size - offset;
		total += vectors[count].len;
		count++;
		offset = 0;
		segment = segment->next;
	}
	*ret_count = count;
	return !segment && stream->finish;
}

static void advance(struct lsp_stream *stream, uint64_t count)
{
	while (stream->sending) {
		uint64_t left = stream->sending->size - stream->sending_offset;
		if (count < left) {
			stream->sending_offset += count;
			return;
		}
		count -= left;
		stream->sending = stream->sending->next;
		stream->sending_offset = 0;
	}
}

static void account(struct lsp_stream *stream, uint64_t count, bool last)
{
	struct lsp_connection *connection = stream->connection;
	stream->sent += count;
	stream->turn += count;
	connection->sent += count;
	connection->queued -= count;
	advance(stream, count);
	if (last && stream->sent == stream->written)
		stream->fin_sent = true;
	if (!stream->sending && (!stream->finish || stream->fin_sent)) {
		lsp_stream_unready(stream);
	} else if (stream->turn >= STREAM_TURN) {
		lsp_stream_unready(stream);
		lsp_stream_make_ready(stream, false);
	}
	lsp_stream_check_drained(stream);
}

static void data_blocked(struct lsp_connection *connection, struct lsp_stream *stream)
{
	if (ngtcp2_conn_get_max_data_left(connection->quic) == 0) {
		connection->data_blocked = true; /* until something is received */
		return;
	}
	stream->blocked = true;
	lsp_stream_unready(stream);
}

static ngtcp2_ssize write_packet(struct lsp_connection *connection, uint8_t *packet, size_t room,
	ngtcp2_path *path, bool with_data, lsp_time now)
{
	for (;;) {
		struct lsp_stream *stream =
			with_data && !connection->data_blocked ? connection->ready : NULL;
		ngtcp2_vec vectors[VECTORS];
		size_t count = 0;
		ngtcp2_ssize used = -1;
		bool last = stream && gather(stream, vectors, &count);
		uint32_t flags = stream ? NGTCP2_WRITE_STREAM_FLAG_MORE : 0;
		if (last)
			flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
		ngtcp2_ssize size = ngtcp2_conn_writev_stream(connection->quic, path, NULL, packet,
			room, &used, flags, stream ? stream->id : -1, vectors, count, now);
		if (stream && used >= 0)
			account(stream, (uint64_t)used, last);
		if (size == NGTCP2_ERR_WRITE_MORE)
			continue;
		if (size == NGTCP2_ERR_STREAM_DATA_BLOCKED && stream)
			data_blocked(connection, stream);
		else if ((size == NGTCP2_ERR_STREAM_SHUT_WR ||
				 size == NGTCP2_ERR_STREAM_NOT_FOUND) &&
			 stream)
			lsp_stream_write_over(stream);
		else
			return size;
	}
}

/* ---- One turn: a batch ---- */

static bool flush(struct lsp_endpoint *endpoint, struct lsp_udp_socket *socket)
{
	int broken;
	bool sent = lsp_udp_flush(socket, &broken);
	if (broken)
		lsp_endpoint_socket_failed(endpoint, broken);
	return sent;
}

static void begin_batch(struct lsp_connection *connection, const ngtcp2_path *path)
{
	struct lsp_udp_batch *batch = connection->socket->out;
	if (path->remote.addrlen && path->remote.addrlen <= sizeof connection->remote)
		memcpy(&connection->remote, path->remote.addr, path->remote.addrlen);
	batch->remote = connection->remote;
	batch->local = connection->local;
	batch->dscp = connection->lower_effort ? LSP_DSCP_LOWER_EFFORT : 0;
}

static bool same_place(const struct lsp_udp_batch *batch, const ngtcp2_path *path)
{
	return path->remote.addrlen <= sizeof batch->remote &&
	       memcmp(&batch->remote, path->remote.addr, path->remote.addrlen) == 0;
}

/* The packets of one turn. */
static void count_packets(
	struct lsp_connection *connection, uint64_t size, uint64_t count, lsp_time now)
{
	uint64_t on_wire = size + count * overhead(connection->socket);
	connection->sent_wire += size;
	connection->sent_packets += count;
	connection->endpoint->stats.sent_wire += size;
	connection->endpoint->stats.sent_packets += count;
	lsp_rate_limit_spend(&connection->limit, on_wire, now);
	lsp_rate_limit_spend(&connection->endpoint->limit, on_wire, now);
}

/*
 * Adds the packet that was just written behind the batch. False: the socket is blocked (the packet
 * is then lost, as on the wire). A packet that does not fit the batch sends that first.
 */
static bool add_to_batch(struct lsp_connection *connection, size_t size, const ngtcp2_path *path)
{
	struct lsp_udp_batch *batch = connection->socket->out;
	if (batch->size && (size > batch->segment || !same_place(batch, path))) {
		size_t at = batch->size;
		if (!flush(connection->endpoint, connection->socket))
			return false;
		memmove(batch->data, batch->data + at, size);
	}
	if (!batch->size) {
		begin_batch(connection, path);
		batch->segment = size;
	}
	batch->size += size;
	return true;
}

/* Bytes this turn may send. A limit's last packet is overdrawn: it would follow alone. */
static size_t turn_size(struct lsp_connection *connection, size_t payload, lsp_time now)
{
	uint64_t cap = ngtcp2_conn_get_send_quantum(connection->quic);
	uint64_t left = data_left(connection, now);
	if (left < cap)
		cap = LSP_MIN(cap, left + payload);
	cap = LSP_MAX(cap, (uint64_t)payload);
	return (size_t)LSP_MIN(cap, (uint64_t)LSP_UDP_BATCH_MAX);
}

/* Packets until the batch is full; *ret_size and *ret_count: what was written. */
static enum turn write_packets(struct lsp_connection *connection, bool with_data,
	uint64_t *ret_size, uint64_t *ret_count, lsp_time now)
{
	struct lsp_udp_batch *batch = connection->socket->out;
	size_t payload = ngtcp2_conn_get_path_max_tx_udp_payload_size(connection->quic);
	size_t cap = turn_size(connection, payload, now);
	ngtcp2_path_storage storage;
	for (;;) {
		ngtcp2_path_storage_zero(&storage);
		ngtcp2_ssize size = write_packet(connection, batch->data + batch->size,
			LSP_UDP_BATCH_MAX - batch->size, &storage.path, with_data, now);
		if (size < 0) {
			lsp_connection_break(connection, (int)size);
			return TURN_DONE;
		}
		if (size == 0)
			return TURN_DONE;
		*ret_size += (uint64_t)size;
		(*ret_count)++;
		if (!add_to_batch(connection, (size_t)size, &storage.path))
			return TURN_BLOCKED;
		/* A probe for a larger packet size goes alone: what is too large takes with it all
		 * that leaves in the same call. */
		bool probe = (size_t)size > payload;
		if (probe || (size_t)size < batch->segment || *ret_count == LSP_UDP_SEGMENTS_MAX ||
			batch->size + batch->segment > cap ||
			batch->size + payload > LSP_UDP_BATCH_MAX)
			return TURN_MORE;
	}
}

static enum turn fill_batch(struct lsp_connection *connection, bool with_data, lsp_time now)
{
	uint64_t size = 0, count = 0;
	enum turn turn = write_packets(connection, with_data, &size, &count, now);
	if (count)
		count_packets(connection, size, count, now);
	return turn;
}

/*
 * Tells ngtcp2 what was sent, for its pacing, which asks to be woken when the next packet may go:
 * for acknowledgements, which are not paced, that would be a timer each. They are told of together,
 * now and then.
 */
static void pace(struct lsp_connection *connection, uint64_t sent_before, lsp_time now)
{
	bool data = connection->sent != sent_before || connection->ready;
	if (!data && ++connection->unpaced_turns < UNPACED_TURNS_MAX)
		return;
	connection->unpaced_turns = 0;
	ngtcp2_conn_update_pkt_tx_time(connection->quic, now);
}

/* Samples that came and went between two turns are few and not missed. */
static void note_round_trip(struct lsp_connection *connection)
{
	ngtcp2_conn_info info;
	ngtcp2_conn_get_conn_info(connection->quic, &info);
	if (info.min_rtt == UINT64_MAX || info.latest_rtt == connection->rtt_seen)
		return;
	connection->rtt_seen = info.latest_rtt;
	if (!connection->rtt_count || info.latest_rtt < connection->rtt_least)
		connection->rtt_least = info.latest_rtt;
	connection->rtt_count++;
}

/*
 * What is held back goes on in the order of this list, and the first may take all that a limit has
 * by then: who sent is the last. Nobody else goes before his turn, whatever comes in meanwhile.
 */
static void to_the_back(struct lsp_connection *connection)
{
	struct lsp_endpoint *endpoint = connection->endpoint;
	DL_DELETE2(endpoint->connections, connection, previous, next);
	DL_APPEND2(endpoint->connections, connection, previous, next);
}

static enum turn take_turn(struct lsp_connection *connection, lsp_time now)
{
	struct lsp_udp_socket *socket = connection->socket;
	if (socket->blocked)
		return TURN_BLOCKED;
	note_round_trip(connection);
	bool with_data = data_allowed(connection, now);
	uint64_t sent_before = connection->sent;
	enum turn turn = fill_batch(connection, with_data, now);
	pace(connection, sent_before, now);
	if (socket->out->size && !flush(connection->endpoint, socket))
		turn = TURN_BLOCKED;
	connection->expiry = ngtcp2_conn_get_expiry(connection->quic);
	if (connection->endpoint->limit.rate && connection->sent != sent_before)
		to_the_back(connection);
	/* What a limit holds back is taken up again when it allows. */
	if (turn == TURN_DONE && !with_data && connection->ready)
		connection->paused = true;
	return turn;
}

void lsp_connection_write_once(struct lsp_connection *connection, lsp_time now)
{
	if (connection->socket->blocked)
		return;
	(void)fill_batch(connection, data_allowed(connection, now), now);
	if (connection->socket->out->size)
		(void)flush(connection->endpoint, connection->socket);
}

bool lsp_endpoint_send(struct lsp_endpoint *endpoint, lsp_time now)
{
	struct lsp_connection *connection;
	bool blocked[2] = {false, false}, more = false;
	for (int turns = 0; turns < TURNS_PER_LOOP && (connection = endpoint->dirty); turns++) {
		size_t index = (size_t)(connection->socket - endpoint->sockets);
		if (blocked[index])
			break; /* the writable socket wakes us */
		DL_DELETE2(endpoint->dirty, connection, dirty_previous, dirty_next);
		connection->dirty = false;
		if (connection->state >= LSP_CONNECTION_ENDED)
			continue;
		now = lsp_endpoint_now(endpoint);
		enum turn turn = take_turn(connection, now);
		if (turn != TURN_DONE)
			lsp_connection_mark_dirty(connection);
		(void)lsp_streams_run_events(endpoint);
		blocked[index] = turn == TURN_BLOCKED;
	}
	DL_FOREACH2(endpoint->dirty, connection, dirty_next)
	more |= !connection->socket->blocked;
	return more;
}

/* ---- Single packets ---- */

/* Only while everything closes: a full socket gets a moment to empty. */
static void wait_for_room(struct lsp_endpoint *endpoint, struct lsp_udp_socket *socket)
{
	struct pollfd poller = {socket->fd, POLLOUT, 0};
	if (endpoint->closing && poll(&poller, 1, CLOSE_PATIENCE_MS) > 0)
		(void)flush(endpoint, socket);
}

bool lsp_endpoint_send_single(struct lsp_endpoint *endpoint, const struct lsp_arrival *arrival,
	const uint8_t *data, size_t size)
{
	struct lsp_udp_socket *socket = arrival->socket;
	struct lsp_udp_batch *batch = socket->out;
	if (socket->blocked)
		wait_for_room(endpoint, socket);
	if (socket->blocked || batch->size)
		return false;
	memcpy(batch->data, data, size);
	batch->size = batch->segment = size;
	batch->remote = *arrival->remote;
	batch->local = *arrival->local;
	batch->dscp = 0;
	endpoint->stats.sent_wire += size;
	endpoint->stats.sent_packets++;
	return flush(endpoint, socket);
}
