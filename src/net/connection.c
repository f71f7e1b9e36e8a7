#include "net/endpoint_private.h"

#include "base/log.h"
#include "base/random.h"
#include "net/protection.h"

#include <gnutls/crypto.h>
#include <malloc.h>
#include <string.h>

/* The first packets wait for an answer this long before they are sent again: a LAN is quick. */
#define INITIAL_RTT (50 * LSP_MILLISECOND)
#define REFUSAL_TIME LSP_SECOND
/* Packets a second, and streams, that may bring nothing before they are thinned out (cut off). */
#define IDLE_PACKET_RATE 20000
#define IDLE_PACKET_BURST (2 * LSP_SECOND)
#define STREAM_RESET_BURST (10 * LSP_SECOND)

/* ---- Memory: what one connection may cost is bounded ---- */

static bool reserve(struct lsp_connection *connection, size_t size)
{
	return connection->memory + size <= connection->endpoint->options.connection_memory;
}

static void *quic_malloc(size_t size, void *argument)
{
	struct lsp_connection *connection = argument;
	void *memory = reserve(connection, size) ? malloc(size) : NULL;
	connection->memory += malloc_usable_size(memory);
	return memory;
}

static void quic_free(void *memory, void *argument)
{
	struct lsp_connection *connection = argument;
	connection->memory -= malloc_usable_size(memory);
	free(memory);
}

static void *quic_calloc(size_t count, size_t size, void *argument)
{
	struct lsp_connection *connection = argument;
	if (size && count > SIZE_MAX / size)
		return NULL;
	void *memory = reserve(connection, count * size) ? calloc(count, size) : NULL;
	connection->memory += malloc_usable_size(memory);
	return memory;
}

static void *quic_realloc(void *memory, size_t size, void *argument)
{
	struct lsp_connection *connection = argument;
	size_t before = malloc_usable_size(memory);
	if (size > before && !reserve(connection, size - before))
		return NULL;
	void *grown = realloc(memory, size);
	if (grown)
		connection->memory += malloc_usable_size(grown) - before;
	return grown;
}

/* ---- Callbacks of ngtcp2 ---- */

static void on_rand(uint8_t *data, size_t size, const ngtcp2_rand_ctx *context)
{
	(void)!gnutls_rnd(GNUTLS_RND_NONCE, data, size);
}

/* Byte 0 is for the thread that owns the connection, once there are several. */
void lsp_connection_new_cid(ngtcp2_cid *ret_cid)
{
	ret_cid->datalen = LSP_CID_SIZE;
	lsp_random_bytes(ret_cid->data, LSP_CID_SIZE);
	ret_cid->data[0] = 0;
}

static struct lsp_cid_entry *free_cid_slot(struct lsp_connection *connection)
{
	for (size_t i = 0; i < LSP_CONNECTION_CIDS; i++) {
		if (!connection->cids[i].owner)
			return &connection->cids[i];
	}
	return NULL;
}

static int add_cid(struct lsp_connection *connection, const ngtcp2_cid *cid)
{
	struct lsp_cid_entry *entry = free_cid_slot(connection);
	if (!entry)
		return -1;
	entry->cid = *cid;
	lsp_cid_table_add(&connection->endpoint->cids, entry, connection);
	return 0;
}

static int on_new_cid(ngtcp2_conn *quic, ngtcp2_cid *cid, uint8_t *token, size_t size, void *user)
{
	struct lsp_connection *connection = user;
	struct lsp_endpoint *endpoint = connection->endpoint;
	lsp_connection_new_cid(cid);
	if (ngtcp2_crypto_generate_stateless_reset_token(
		    token, endpoint->reset_secret, sizeof endpoint->reset_secret, cid) != 0 ||
		add_cid(connection, cid) < 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int on_remove_cid(ngtcp2_conn *quic, const ngtcp2_cid *cid, void *user)
{
	struct lsp_connection *connection = user;
	for (size_t i = 0; i < LSP_CONNECTION_CIDS; i++) {
		struct lsp_cid_entry *entry = &connection->cids[i];
		if (entry->owner && ngtcp2_cid_eq(&entry->cid, cid)) {
			lsp_cid_table_remove(&connection->endpoint->cids, entry);
			break;
		}
	}
	return 0;
}

static bool is_over(const struct lsp_connection *connection)
{
	return connection->state >= LSP_CONNECTION_ENDED || connection->refusing;
}

static int on_stream_data(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t offset,
	const uint8_t *data, size_t size, void *user, void *stream_user)
{
	struct lsp_connection *connection = user;
	connection->progress |= size > 0 || (flags & NGTCP2_STREAM_DATA_FLAG_FIN);
	connection->received += size;
	if (is_over(connection) || !stream_user)
		return 0;
	return lsp_stream_receive(stream_user, data, size, flags & NGTCP2_STREAM_DATA_FLAG_FIN);
}

static int on_acked(ngtcp2_conn *quic, int64_t id, uint64_t offset, uint64_t size, void *user,
	void *stream_user)
{
	struct lsp_connection *connection = user;
	connection->progress |= size > 0;
	if (stream_user)
		lsp_stream_acked(stream_user, offset + size);
	return 0;
}

static int on_stream_open(ngtcp2_conn *quic, int64_t id, void *user)
{
	struct lsp_connection *connection = user;
	if (is_over(connection))
		return 0;
	return lsp_stream_accept(connection, id);
}

static int on_stream_close(
	ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t code, void *user, void *stream_user)
{
	struct lsp_connection *connection = user;
	connection->progress = true;
	if (!ngtcp2_conn_is_local_stream(quic, id))
		ngtcp2_conn_extend_max_streams_bidi(quic, 1);
	if (stream_user)
		lsp_stream_quic_closed(stream_user,
			flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET ? code : 0);
	return 0;
}

static int on_stream_reset(ngtcp2_conn *quic, int64_t id, uint64_t final_size, uint64_t code,
	void *user, void *stream_user)
{
	struct lsp_connection *connection = user;
	lsp_time now = lsp_endpoint_now(connection->endpoint);
	lsp_rate_limit_spend(&connection->stream_resets, 1, now);
	if (!lsp_rate_limit_allows(&connection->stream_resets, now))
		lsp_connection_end(connection, LSP_CLOSE_PROTOCOL, false,
			"too many streams that were opened and reset");
	if (stream_user)
		lsp_stream_remote_reset(stream_user, code);
	return 0;
}

static int on_more_streams(ngtcp2_conn *quic, uint64_t max_streams, void *user)
{
	lsp_streams_open_waiting(user);
	return 0;
}

static int on_more_stream_data(
	ngtcp2_conn *quic, int64_t id, uint64_t max_data, void *user, void *stream_user)
{
	if (stream_user)
		lsp_stream_unblock(stream_user);
	return 0;
}

static int on_stateless_reset(
	ngtcp2_conn *quic, const ngtcp2_pkt_stateless_reset *reset, void *user)
{
	struct lsp_connection *connection = user;
	connection->reset_received = true;
	return 0;
}

static int on_crypto_data(ngtcp2_conn *quic, ngtcp2_encryption_level level, uint64_t offset,
	const uint8_t *data, size_t size, void *user)
{
	struct lsp_connection *connection = user;
	connection->progress = true;
	return ngtcp2_crypto_recv_crypto_data_cb(quic, level, offset, data, size, user);
}

/* ---- The handshake is done ---- */

static bool right_protocol(struct lsp_connection *connection)
{
	gnutls_datum_t chosen;
	return gnutls_alpn_get_selected_protocol(connection->tls, &chosen) == 0 &&
	       chosen.size == sizeof LSP_ENDPOINT_ALPN - 1 &&
	       memcmp(chosen.data, LSP_ENDPOINT_ALPN, chosen.size) == 0;
}

static void note_close(struct lsp_connection *connection, enum lsp_close_reason reason,
	const char *format, ...) LSP_PRINTF(3, 4);

static void note_close(
	struct lsp_connection *connection, enum lsp_close_reason reason, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(connection->close_message, sizeof connection->close_message, format, arguments);
	va_end(arguments);
	connection->close.reason = reason;
}

/* Is the key one that we talk to? Else the reason is noted. */
static bool check_key(struct lsp_connection *connection)
{
	struct lsp_endpoint *endpoint = connection->endpoint;
	char theirs[LSP_SHA256_HEX_SIZE], expected[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&connection->peer_id, theirs);
	lsp_hash_to_hex(&connection->expected, expected);
	if (!connection->key_known || !right_protocol(connection)) {
		note_close(connection, LSP_CLOSE_REFUSED, "no certificate, or another protocol");
		return false;
	}
	if (connection->has_expected &&
		!lsp_hash_equal(&connection->expected, &connection->peer_id)) {
		note_close(connection, LSP_CLOSE_IDENTITY,
			"expected peer %.16s…, but the key there is that of %.16s…", expected,
			theirs);
		return false;
	}
	if (lsp_hash_equal(lsp_identity_peer_id(endpoint->identity), &connection->peer_id)) {
		note_close(connection, LSP_CLOSE_CLONE,
			"another machine uses the same identity (a cloned disk?): run `lanspread "
			"identity rotate` on one of the two");
		return false;
	}
	return true;
}

static void come_up(struct lsp_connection *connection)
{
	struct lsp_endpoint *endpoint = connection->endpoint;
	connection->state = LSP_CONNECTION_UP;
	connection->was_up = true;
	connection->since = lsp_endpoint_now(endpoint);
	lsp_connection_leave_handshakes(connection);
	if (!connection->outgoing)
		endpoint->connection_count++;
	if (endpoint->callbacks->connected && !endpoint->silent)
		endpoint->callbacks->connected(connection, endpoint->argument);
}

static int on_handshake_completed(ngtcp2_conn *quic, void *user)
{
	struct lsp_connection *connection = user;
	struct lsp_endpoint *endpoint = connection->endpoint;
	if (is_over(connection))
		return 0;
	ngtcp2_conn_set_keep_alive_timeout(quic, endpoint->options.keep_alive);
	if (!check_key(connection)) {
		if (!connection->outgoing) {
			lsp_connection_end(connection, connection->close.reason, false, NULL);
			return 0;
		}
		/* The other side can read why only once it is done too. */
		connection->refusing = true;
		connection->refuse_at = lsp_endpoint_now(endpoint) + REFUSAL_TIME;
	} else if (!connection->outgoing &&
		   endpoint->connection_count >= endpoint->options.max_connections &&
		   !lsp_endpoint_make_room(endpoint, &connection->remote, LSP_CONNECTION_UP)) {
		endpoint->stats.refused++;
		lsp_connection_end(
			connection, LSP_CLOSE_BUSY, false, "it has too many connections");
	} else {
		come_up(connection);
	}
	return 0;
}

static int on_handshake_confirmed(ngtcp2_conn *quic, void *user)
{
	struct lsp_connection *connection = user;
	if (connection->refusing)
		lsp_connection_end(connection, connection->close.reason, false, NULL);
	return 0;
}

/* Those of packet protection are added (protection.h). */
static const ngtcp2_callbacks quic_callbacks = {
	.client_initial = ngtcp2_crypto_client_initial_cb,
	.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
	.recv_crypto_data = on_crypto_data,
	.handshake_completed = on_handshake_completed,
	.handshake_confirmed = on_handshake_confirmed,
	.recv_retry = ngtcp2_crypto_recv_retry_cb,
	.recv_stream_data = on_stream_data,
	.acked_stream_data_offset = on_acked,
	.stream_open = on_stream_open,
	.stream_close = on_stream_close,
	.stream_reset = on_stream_reset,
	.recv_stateless_reset = on_stateless_reset,
	.extend_max_local_streams_bidi = on_more_streams,
	.extend_max_stream_data = on_more_stream_data,
	.rand = on_rand,
	.get_new_connection_id = on_new_cid,
	.remove_connection_id = on_remove_cid,
	.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

/* ---- Making one ---- */

/*
 * What path MTU discovery tries, in this order; what is not larger than the last success, or not
 * smaller than the smallest failure, is left out. Ethernet first, then jumbo frames, then tunnels.
 */
static const uint16_t probes_v4[] = {1472, 8972, 4052, 1432, 1392, 1332};
static const uint16_t probes_v6[] = {1452, 8952, 4032, 1412, 1372, 1312};

static size_t payload_limit(const struct lsp_endpoint *endpoint, int family)
{
	size_t limit = endpoint->options.max_udp_payload;
	return family == AF_INET6 && limit == 8972 ? 8952 : limit;
}

static ngtcp2_callbacks all_callbacks(void)
{
	ngtcp2_callbacks callbacks = quic_callbacks;
	lsp_protection_set_callbacks(&callbacks);
	return callbacks;
}

static void fill_settings(const struct lsp_connection *connection, ngtcp2_settings *settings)
{
	const struct lsp_endpoint *endpoint = connection->endpoint;
	int family = connection->socket->family;
	ngtcp2_settings_default(settings);
	settings->initial_ts = connection->since;
	settings->cc_algo = NGTCP2_CC_ALGO_CUBIC;
	settings->initial_rtt = INITIAL_RTT;
	settings->handshake_timeout = endpoint->options.handshake_timeout;
	settings->max_tx_udp_payload_size = payload_limit(endpoint, family);
	settings->pmtud_probes = family == AF_INET6 ? probes_v6 : probes_v4;
	settings->pmtud_probeslen = LSP_ARRAY_SIZE(probes_v4);
	settings->no_pmtud = settings->max_tx_udp_payload_size <= NGTCP2_MAX_UDP_PAYLOAD_SIZE;
}

static void fill_parameters(
	const struct lsp_endpoint *endpoint, ngtcp2_transport_params *parameters)
{
	const struct lsp_endpoint_options *options = &endpoint->options;
	ngtcp2_transport_params_default(parameters);
	parameters->initial_max_streams_bidi = options->max_streams;
	parameters->initial_max_stream_data_bidi_local = options->stream_window;
	parameters->initial_max_stream_data_bidi_remote = options->request_window;
	parameters->initial_max_data = options->connection_window;
	parameters->max_idle_timeout = options->idle_timeout;
	parameters->active_connection_id_limit = 4;
	parameters->max_ack_delay = 10 * LSP_MILLISECOND;
	parameters->grease_quic_bit = 0;
}

static struct lsp_connection *allocate(struct lsp_endpoint *endpoint, struct lsp_udp_socket *socket,
	const struct sockaddr_storage *remote, bool outgoing, lsp_time now)
{
	struct lsp_connection *connection = calloc(1, sizeof *connection);
	if (!connection)
		return NULL;
	connection->endpoint = endpoint;
	connection->socket = socket;
	connection->remote = *remote;
	connection->outgoing = outgoing;
	connection->lower_effort = endpoint->lower_effort;
	connection->since = now;
	connection->expiry = LSP_TIME_NEVER;
	connection->allocator =
		(ngtcp2_mem){connection, quic_malloc, quic_free, quic_calloc, quic_realloc};
	lsp_rate_limit_set(&connection->idle_packets, IDLE_PACKET_RATE, IDLE_PACKET_BURST, now);
	lsp_rate_limit_set(
		&connection->stream_resets, endpoint->options.max_resets, STREAM_RESET_BURST, now);
	DL_APPEND2(endpoint->connections, connection, previous, next);
	return connection;
}

/* The local end of the path is the same for all: which address it is, is the socket's matter. */
static ngtcp2_path path_to(
	const struct lsp_udp_socket *socket, const struct sockaddr_storage *remote)
{
	static struct sockaddr_in any_v4 = {.sin_family = AF_INET};
	static struct sockaddr_in6 any_v6 = {.sin6_family = AF_INET6};
	ngtcp2_path path = {.remote = {(ngtcp2_sockaddr *)remote, lsp_address_size(remote)}};
	if (socket->family == AF_INET)
		path.local = (ngtcp2_addr){(ngtcp2_sockaddr *)&any_v4, sizeof any_v4};
	else
		path.local = (ngtcp2_addr){(ngtcp2_sockaddr *)&any_v6, sizeof any_v6};
	return path;
}

int lsp_connection_new_client(struct lsp_endpoint *endpoint, struct lsp_udp_socket *socket,
	const struct sockaddr_storage *remote, struct lsp_connection **ret_connection,
	struct lsp_error *err)
{
	struct lsp_connection *connection =
		allocate(endpoint, socket, remote, true, lsp_endpoint_now(endpoint));
	if (!connection)
		return lsp_error_no_memory(err, "net");
	ngtcp2_settings settings;
	ngtcp2_transport_params parameters;
	ngtcp2_cid ours, theirs = {.datalen = 18};
	ngtcp2_path path = path_to(socket, remote);
	ngtcp2_callbacks callbacks = all_callbacks();
	lsp_random_bytes(theirs.data, theirs.datalen);
	lsp_connection_new_cid(&ours);
	fill_settings(connection, &settings);
	fill_parameters(endpoint, &parameters);
	int r = ngtcp2_conn_client_new(&connection->quic, &theirs, &ours, &path,
		NGTCP2_PROTO_VER_V1, &callbacks, &settings, &parameters, &connection->allocator,
		connection);
	if (r != 0 || add_cid(connection, &ours) < 0) {
		lsp_connection_free(connection);
		return lsp_error_no_memory(err, "net");
	}
	r = lsp_connection_start_tls(connection, err);
	if (r < 0) {
		lsp_connection_free(connection);
		return r;
	}
	endpoint->connection_count++;
	lsp_connection_mark_dirty(connection);
	*ret_connection = connection;
	return 0;
}

static int make_server_quic(
	struct lsp_connection *connection, const ngtcp2_pkt_hd *header, const ngtcp2_cid *odcid)
{
	struct lsp_endpoint *endpoint = connection->endpoint;
	ngtcp2_settings settings;
	ngtcp2_transport_params parameters;
	ngtcp2_cid ours;
	ngtcp2_path path = path_to(connection->socket, &connection->remote);
	ngtcp2_callbacks callbacks = all_callbacks();
	lsp_connection_new_cid(&ours);
	fill_settings(connection, &settings);
	fill_parameters(endpoint, &parameters);
	parameters.original_dcid = odcid ? *odcid : header->dcid;
	parameters.original_dcid_present = 1;
	if (odcid) {
		parameters.retry_scid = header->dcid;
		parameters.retry_scid_present = 1;
		settings.token = header->token;
		settings.tokenlen = header->tokenlen;
		settings.token_type = NGTCP2_TOKEN_TYPE_RETRY;
	}
	if (ngtcp2_crypto_generate_stateless_reset_token(parameters.stateless_reset_token,
		    endpoint->reset_secret, sizeof endpoint->reset_secret, &ours) == 0)
		parameters.stateless_reset_token_present = 1;
	if (ngtcp2_conn_server_new(&connection->quic, &header->scid, &ours, &path, header->version,
		    &callbacks, &settings, &parameters, &connection->allocator, connection) != 0)
		return -1;
	return add_cid(connection, &ours) < 0 ? -1 : add_cid(connection, &header->dcid);
}

int lsp_connection_new_server(struct lsp_endpoint *endpoint, const struct lsp_arrival *arrival,
	const ngtcp2_pkt_hd *header, const ngtcp2_cid *odcid, lsp_time now,
	struct lsp_connection **ret_connection, struct lsp_error *err)
{
	struct lsp_connection *connection =
		allocate(endpoint, arrival->socket, arrival->remote, false, now);
	if (!connection)
		return lsp_error_no_memory(err, "net");
	connection->local = *arrival->local;
	if (make_server_quic(connection, header, odcid) < 0) {
		lsp_connection_free(connection);
		return lsp_error_no_memory(err, "net");
	}
	int r = lsp_connection_start_tls(connection, err);
	if (r < 0) {
		lsp_connection_free(connection);
		return r;
	}
	connection->counted_handshake = true;
	endpoint->handshake_count++;
	*ret_connection = connection;
	return 0;
}

/* ---- Reading, timers ---- */

void lsp_connection_mark_dirty(struct lsp_connection *connection)
{
	if (connection->dirty || !connection->quic)
		return;
	connection->dirty = true;
	DL_APPEND2(connection->endpoint->dirty, connection, dirty_previous, dirty_next);
}

void lsp_connection_read(struct lsp_connection *connection, const struct lsp_arrival *arrival,
	const uint8_t *data, size_t size, lsp_time now)
{
	struct lsp_endpoint *endpoint = connection->endpoint;
	if (connection->state == LSP_CONNECTION_HUSK)
		lsp_husk_receive(connection, arrival);
	if (connection->state >= LSP_CONNECTION_ENDED)
		return;
	if (!lsp_rate_limit_allows(&connection->idle_packets, now)) {
		endpoint->stats.thinned++;
		return;
	}
	ngtcp2_path path = path_to(arrival->socket, arrival->remote);
	ngtcp2_pkt_info info = {0};
	connection->progress = false;
	connection->received_wire += size;
	connection->received_packets++;
	connection->last_received = now;
	endpoint->in_quic = true;
	int r = ngtcp2_conn_read_pkt(connection->quic, &path, &info, data, size, now);
	endpoint->in_quic = false;
	if (!connection->progress)
		lsp_rate_limit_spend(&connection->idle_packets, 1, now);
	if (r != 0)
		lsp_connection_break(connection, r);
	else
		connection->local = *arrival->local;
	connection->data_blocked = false;
	lsp_connection_mark_dirty(connection);
}

void lsp_connection_run_timers(struct lsp_connection *connection, lsp_time now)
{
	if (connection->state >= LSP_CONNECTION_ENDED)
		return;
	if (connection->refusing && connection->refuse_at <= now) {
		lsp_connection_end(connection, connection->close.reason, false, NULL);
		return;
	}
	if (connection->expiry > now)
		return;
	connection->endpoint->in_quic = true;
	int r = ngtcp2_conn_handle_expiry(connection->quic, now);
	connection->endpoint->in_quic = false;
	if (r != 0)
		lsp_connection_break(connection, r);
	lsp_connection_mark_dirty(connection);
}
