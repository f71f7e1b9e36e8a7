#include "net/endpoint_private.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CID_BUCKETS 4096
#define STRAY_ANSWERS 1000 /* a second */
#define RETRIES 20000      /* a second: some tenth of a core */
#define PORT_TRIES 20

/* ---- What the loop does ---- */

static void run_timers(struct lsp_endpoint *endpoint, lsp_time now)
{
	struct lsp_connection *connection, *next;
	DL_FOREACH_SAFE2(endpoint->connections, connection, next, next)
	{
		if (connection->state == LSP_CONNECTION_HUSK) {
			if (connection->husk_until <= now)
				lsp_connection_free(connection);
			continue;
		}
		lsp_connection_run_timers(connection, now);
		if (connection->paused && lsp_connection_resume_at(connection) <= now) {
			connection->paused = false;
			lsp_connection_mark_dirty(connection);
		}
	}
}

/* The peers hear of it first, then the caller: its streams, then the connection. */
static void finish_connection(struct lsp_endpoint *endpoint, struct lsp_connection *connection)
{
	lsp_connection_bury(connection, lsp_endpoint_now(endpoint));
	lsp_streams_end_all(connection);
	connection->state = LSP_CONNECTION_HUSK;
	if ((connection->outgoing || connection->was_up) && endpoint->callbacks->closed &&
		!endpoint->silent)
		endpoint->callbacks->closed(connection, &connection->close, endpoint->argument);
	connection->user = NULL;
}

static bool reap(struct lsp_endpoint *endpoint)
{
	struct lsp_connection *connection, *next;
	if (!endpoint->ended)
		return false;
	endpoint->ended = false;
	DL_FOREACH_SAFE2(endpoint->connections, connection, next, next)
	{
		if (connection->state == LSP_CONNECTION_ENDED)
			finish_connection(endpoint, connection);
	}
	return true;
}

void lsp_endpoint_socket_failed(struct lsp_endpoint *endpoint, int sys_errno)
{
	if (endpoint->broken)
		return;
	endpoint->broken = true;
	lsp_error_errno(&endpoint->broken_error, "net", sys_errno, "the UDP socket broke");
}

static void report_broken(struct lsp_endpoint *endpoint)
{
	struct lsp_connection *connection;
	if (!endpoint->broken || endpoint->closing)
		return;
	endpoint->closing = true;
	DL_FOREACH2(endpoint->connections, connection, next)
	{
		connection->say_nothing = true;
		lsp_connection_end(
			connection, LSP_CLOSE_FAILED, false, endpoint->broken_error.message);
	}
	(void)reap(endpoint);
	if (endpoint->callbacks->failed && !endpoint->silent)
		endpoint->callbacks->failed(&endpoint->broken_error, endpoint->argument);
}

lsp_time lsp_endpoint_deadline(const struct lsp_endpoint *endpoint)
{
	lsp_time deadline = LSP_TIME_NEVER;
	const struct lsp_connection *connection;
	DL_FOREACH2(endpoint->connections, connection, next)
	{
		lsp_time when = connection->state == LSP_CONNECTION_HUSK ? connection->husk_until
									 : connection->expiry;
		if (connection->refusing)
			when = LSP_MIN(when, connection->refuse_at);
		if (connection->paused)
			when = LSP_MIN(when, lsp_connection_resume_at(connection));
		deadline = LSP_MIN(deadline, when);
	}
	return deadline;
}

/* Moves the alarm only when it would ring too late: one that rings too early costs less. */
static void set_alarm(struct lsp_endpoint *endpoint)
{
	lsp_time deadline = lsp_endpoint_deadline(endpoint);
	if (endpoint->clock != lsp_clock_system || deadline >= endpoint->alarm_at)
		return;
	endpoint->alarm_at = deadline;
	lsp_time when = deadline ? deadline : 1; /* 0 would switch it off */
	struct itimerspec spec = {
		.it_value = {(time_t)(when / LSP_SECOND), (long)(when % LSP_SECOND)}};
	(void)timerfd_settime(endpoint->alarm_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void watch_sockets(struct lsp_endpoint *endpoint);

static void on_idle(uv_idle_t *handle)
{
}

void lsp_endpoint_tick(struct lsp_endpoint *endpoint)
{
	lsp_time now = lsp_endpoint_now(endpoint);
	bool more = false, again = true;
	run_timers(endpoint, now);
	for (int round = 0; round < 3 && again; round++) {
		again = lsp_streams_run_events(endpoint);
		again |= reap(endpoint);
		more = lsp_endpoint_send(endpoint, now);
		again |= endpoint->events || endpoint->ended;
	}
	report_broken(endpoint);
	if (endpoint->handles == 0)
		return;
	watch_sockets(endpoint);
	if (more || endpoint->events || endpoint->ended)
		uv_idle_start(&endpoint->idle, on_idle);
	else
		uv_idle_stop(&endpoint->idle);
	set_alarm(endpoint);
}

static void on_prepare(uv_prepare_t *handle)
{
	lsp_endpoint_tick(handle->data);
}

static void on_alarm(uv_poll_t *handle, int status, int events)
{
	struct lsp_endpoint *endpoint = handle->data;
	uint64_t count;
	(void)!read(endpoint->alarm_fd, &count, sizeof count);
	endpoint->alarm_at = LSP_TIME_NEVER; /* the prepare that follows does what is due */
}

static void on_socket(uv_poll_t *handle, int status, int events)
{
	struct lsp_endpoint *endpoint = handle->data;
	struct lsp_udp_socket *socket = &endpoint->sockets[handle - endpoint->polls];
	int broken;
	if (status < 0) {
		lsp_endpoint_socket_failed(endpoint, -status);
		return;
	}
	if (events & UV_DISCONNECT) { /* it was shut down: readable for ever, and nothing comes */
		lsp_endpoint_socket_failed(endpoint, EPIPE);
		return;
	}
	if ((events & UV_WRITABLE) && socket->blocked && !lsp_udp_flush(socket, &broken) && broken)
		lsp_endpoint_socket_failed(endpoint, broken);
	if (events & UV_READABLE)
		(void)lsp_endpoint_receive(endpoint, socket);
}

/* Readable always; writable while it is full. */
static void watch_sockets(struct lsp_endpoint *endpoint)
{
	for (size_t i = 0; i < endpoint->socket_count; i++) {
		struct lsp_udp_socket *socket = &endpoint->sockets[i];
		int events = UV_READABLE | UV_DISCONNECT | (socket->blocked ? UV_WRITABLE : 0);
		if (events != socket->watched && !endpoint->broken) {
			socket->watched = events;
			uv_poll_start(&endpoint->polls[i], events, on_socket);
		}
	}
}

/* ---- Opening ---- */

static void fill_defaults(struct lsp_endpoint_options *options)
{
#define DEFAULT(field, value) options->field = options->field ? options->field : (value)
	DEFAULT(clock, lsp_clock_system);
	DEFAULT(max_connections, 512);
	DEFAULT(max_handshakes, 256);
	DEFAULT(retry_threshold, 32);
	DEFAULT(max_streams, 256);
	DEFAULT(max_resets, 200);
	DEFAULT(stream_window, 4u << 20);
	DEFAULT(request_window, 256u << 10);
	DEFAULT(connection_window, 16u << 20);
	DEFAULT(connection_memory, 64u << 20);
	DEFAULT(low_water, 256u << 10);
	DEFAULT(idle_timeout, 3800 * LSP_MILLISECOND);
	DEFAULT(keep_alive, 800 * LSP_MILLISECOND);
	DEFAULT(handshake_timeout, 5 * LSP_SECOND);
	DEFAULT(socket_buffer, 8u << 20);
	DEFAULT(max_udp_payload, 8972);
#undef DEFAULT
	options->max_udp_payload = LSP_MIN(options->max_udp_payload, (unsigned)LSP_UDP_BATCH_MAX);
	options->max_udp_payload =
		LSP_MAX(options->max_udp_payload, (unsigned)NGTCP2_MAX_UDP_PAYLOAD_SIZE);
}

static int open_socket(struct lsp_endpoint *endpoint, const struct sockaddr_storage *address,
	struct lsp_error *err)
{
	const struct lsp_endpoint_options *options = &endpoint->options;
	struct lsp_udp_options udp = {.address = *address,
		.interface = options->interface,
		.buffer = options->socket_buffer,
		.no_gso = options->no_gso,
		.no_gro = options->no_gro,
		.told = &endpoint->refusal_told};
	int r = lsp_udp_open(&udp, &endpoint->sockets[endpoint->socket_count], err);
	if (r < 0)
		return r;
	endpoint->port = lsp_udp_port(&endpoint->sockets[endpoint->socket_count]);
	endpoint->socket_count++;
	return 0;
}

static void close_sockets(struct lsp_endpoint *endpoint)
{
	for (size_t i = 0; i < endpoint->socket_count; i++)
		lsp_udp_close(&endpoint->sockets[i]);
	endpoint->socket_count = 0;
}

/* IPv4 and IPv6 with one port number. A machine without one of the families has the other. */
static int open_both(struct lsp_endpoint *endpoint, struct lsp_error *err)
{
	struct sockaddr_storage v4 = {.ss_family = AF_INET}, v6 = {.ss_family = AF_INET6};
	uint16_t port = endpoint->options.port;
	int r = -LSP_E_BUSY;
	for (int try = 0; try < (port ? 1 : PORT_TRIES) && r == -LSP_E_BUSY; try++) {
		struct lsp_error v4_error = {0}, v6_error = {0};
		lsp_address_set_port(&v4, port);
		r = open_socket(endpoint, &v4, &v4_error);
		lsp_address_set_port(&v6, r == 0 ? endpoint->port : port);
		if (r == -LSP_E_BUSY || r == -LSP_E_NOT_FOUND) {
			if (err)
				*err = v4_error;
			return r;
		}
		bool only_v4 = r == 0;
		r = open_socket(endpoint, &v6, &v6_error);
		if (r < 0 && r != -LSP_E_BUSY && only_v4)
			return 0;
		if (r < 0 && err)
			*err = v6_error;
		if (r < 0)
			close_sockets(endpoint);
	}
	return r;
}

static int open_sockets(struct lsp_endpoint *endpoint, struct lsp_error *err)
{
	const struct sockaddr_storage *listen = endpoint->options.listen;
	if (!listen)
		return open_both(endpoint, err);
	if (!lsp_address_size(listen))
		return lsp_error_set(
			err, "net", LSP_E_INVALID, "the listen address is neither IPv4 nor IPv6");
	return open_socket(endpoint, listen, err);
}

static int start_handles(struct lsp_endpoint *endpoint, struct lsp_error *err)
{
	uv_loop_t *loop = endpoint->loop;
	endpoint->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (endpoint->alarm_fd < 0)
		return lsp_error_errno(err, "net", errno, "cannot make a timer");
	uv_prepare_init(loop, &endpoint->prepare);
	uv_idle_init(loop, &endpoint->idle);
	endpoint->prepare.data = endpoint->idle.data = endpoint;
	endpoint->prepare_open = true;
	endpoint->handles = 2;
	int r = uv_poll_init(loop, &endpoint->alarm, endpoint->alarm_fd);
	if (r == 0) {
		endpoint->alarm_open = true;
		endpoint->alarm.data = endpoint;
		endpoint->handles++;
		r = uv_poll_start(&endpoint->alarm, UV_READABLE, on_alarm);
	}
	for (size_t i = 0; i < endpoint->socket_count && r == 0; i++) {
		r = uv_poll_init(loop, &endpoint->polls[i], endpoint->sockets[i].fd);
		if (r < 0)
			break;
		endpoint->polls_open[i] = true;
		endpoint->polls[i].data = endpoint;
		endpoint->handles++;
	}
	if (r < 0)
		return lsp_error_set(err, "net", LSP_E_IO, "libuv: %s", uv_strerror(r));
	uv_prepare_start(&endpoint->prepare, on_prepare);
	watch_sockets(endpoint);
	return 0;
}

static void free_now(struct lsp_endpoint *endpoint)
{
	void (*freed)(void *argument) = endpoint->freed;
	void *argument = endpoint->freed_argument;
	while (endpoint->connections)
		lsp_connection_free(endpoint->connections);
	close_sockets(endpoint);
	if (endpoint->alarm_fd >= 0)
		close(endpoint->alarm_fd);
	lsp_udp_receiver_free(endpoint->receiver);
	lsp_cid_table_done(&endpoint->cids);
	lsp_identity_unref(endpoint->identity);
	gnutls_memset(endpoint->token_secret, 0, sizeof endpoint->token_secret);
	gnutls_memset(endpoint->reset_secret, 0, sizeof endpoint->reset_secret);
	free(endpoint);
	if (freed)
		freed(argument);
}

static void on_closed_handle(uv_handle_t *handle)
{
	struct lsp_endpoint *endpoint = handle->data;
	if (--endpoint->handles == 0)
		free_now(endpoint);
}

static void close_handles(struct lsp_endpoint *endpoint)
{
	if (!endpoint->prepare_open) {
		free_now(endpoint);
		return;
	}
	uv_close((uv_handle_t *)&endpoint->prepare, on_closed_handle);
	uv_close((uv_handle_t *)&endpoint->idle, on_closed_handle);
	if (endpoint->alarm_open)
		uv_close((uv_handle_t *)&endpoint->alarm, on_closed_handle);
	for (size_t i = 0; i < 2; i++) {
		if (endpoint->polls_open[i])
			uv_close((uv_handle_t *)&endpoint->polls[i], on_closed_handle);
	}
}

static void make_secrets(struct lsp_endpoint *endpoint)
{
	struct lsp_hash secret;
	lsp_identity_secret(endpoint->identity, "stateless reset", &secret);
	memcpy(endpoint->reset_secret, secret.bytes, sizeof endpoint->reset_secret);
	lsp_identity_secret(endpoint->identity, "retry token", &secret);
	memcpy(endpoint->token_secret, secret.bytes, sizeof endpoint->token_secret);
}

int lsp_endpoint_new(const struct lsp_endpoint_options *options, struct lsp_endpoint **ret_endpoint,
	struct lsp_error *err)
{
	struct lsp_endpoint *endpoint = calloc(1, sizeof *endpoint);
	if (!endpoint)
		return lsp_error_no_memory(err, "net");
	endpoint->options = *options;
	fill_defaults(&endpoint->options);
	endpoint->loop = options->loop;
	endpoint->clock = endpoint->options.clock;
	endpoint->identity = lsp_identity_ref(options->identity);
	endpoint->callbacks = options->callbacks;
	endpoint->argument = options->argument;
	endpoint->lower_effort = !options->plain_dscp;
	endpoint->alarm_fd = -1;
	endpoint->alarm_at = LSP_TIME_NEVER;
	make_secrets(endpoint);
	lsp_rate_limit_set(
		&endpoint->stray_answers, STRAY_ANSWERS, LSP_SECOND, lsp_endpoint_now(endpoint));
	lsp_rate_limit_set(
		&endpoint->retry_answers, RETRIES, LSP_SECOND, lsp_endpoint_now(endpoint));
	int r = lsp_cid_table_init(&endpoint->cids, CID_BUCKETS, err);
	if (r == 0)
		r = lsp_udp_receiver_new(&endpoint->receiver, err);
	if (r == 0)
		r = open_sockets(endpoint, err);
	if (r == 0)
		r = start_handles(endpoint, err);
	endpoint->options.listen = NULL; /* the caller's pointers end here */
	endpoint->options.interface = NULL;
	if (r < 0) {
		close_handles(endpoint);
		return r;
	}
	*ret_endpoint = endpoint;
	return 0;
}

/* ---- Closing ---- */

/* The second time, for the sake of a full receive buffer at the other end. */
static void repeat_close(struct lsp_connection *connection)
{
	struct lsp_arrival to = {connection->socket, &connection->remote, &connection->local};
	if (connection->close_packet)
		(void)lsp_endpoint_send_single(connection->endpoint, &to, connection->close_packet,
			connection->close_size);
}

void lsp_endpoint_close_all(
	struct lsp_endpoint *endpoint, enum lsp_close_reason reason, const char *message)
{
	struct lsp_connection *connection;
	lsp_time now = lsp_endpoint_now(endpoint);
	endpoint->closing = true;
	DL_FOREACH2(endpoint->connections, connection, next)
	lsp_connection_close(connection, reason, message);
	if (endpoint->in_quic)
		return; /* a moment later, from the loop */
	DL_FOREACH2(endpoint->connections, connection, next)
	lsp_connection_bury(connection, now);
	DL_FOREACH2(endpoint->connections, connection, next)
	repeat_close(connection);
}

void lsp_endpoint_free(struct lsp_endpoint *endpoint, void (*freed)(void *argument), void *argument)
{
	struct lsp_connection *connection;
	endpoint->freed = freed;
	endpoint->freed_argument = argument;
	lsp_endpoint_close_all(endpoint, LSP_CLOSE_GOODBYE, "");
	while (reap(endpoint))
		;
	while (lsp_streams_run_events(endpoint))
		;
	DL_FOREACH2(endpoint->connections, connection, next)
	repeat_close(connection);
	endpoint->silent = true;
	close_handles(endpoint);
}

/* ---- For the caller ---- */

static struct lsp_udp_socket *socket_for(struct lsp_endpoint *endpoint, int family)
{
	for (size_t i = 0; i < endpoint->socket_count; i++) {
		if (endpoint->sockets[i].family == family)
			return &endpoint->sockets[i];
	}
	return NULL;
}

int lsp_endpoint_connect(struct lsp_endpoint *endpoint, const struct sockaddr_storage *address,
	const struct lsp_hash *expected, void *user, struct lsp_connection **ret_connection,
	struct lsp_error *err)
{
	struct sockaddr_storage remote = *address;
	char text[LSP_ADDRESS_TEXT_MAX];
	lsp_address_unmap(&remote);
	struct lsp_udp_socket *socket = socket_for(endpoint, remote.ss_family);
	lsp_address_format(&remote, text);
	if (endpoint->closing)
		return lsp_error_set(err, "net", LSP_E_CLOSED, "the endpoint is closing");
	if (!socket)
		return lsp_error_set(err, "net", LSP_E_UNSUPPORTED,
			"cannot connect to %s: there is no socket for that family", text);
	if (!lsp_address_is_unicast(&remote) || !lsp_address_port(&remote))
		return lsp_error_set(
			err, "net", LSP_E_INVALID, "%s is not the address of one peer", text);
	if (endpoint->connection_count >= endpoint->options.max_connections &&
		!lsp_endpoint_make_room(endpoint, &remote, LSP_CONNECTION_UP))
		return lsp_error_set(err, "net", LSP_E_BUSY, "there are %u connections already",
			endpoint->connection_count);
	struct lsp_connection *connection;
	int r = lsp_connection_new_client(endpoint, socket, &remote, &connection, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "cannot connect to %s", text);
	connection->user = user;
	connection->has_expected = expected != NULL;
	if (expected)
		connection->expected = *expected;
	*ret_connection = connection;
	return 0;
}

uint16_t lsp_endpoint_port(const struct lsp_endpoint *endpoint)
{
	return endpoint->port;
}

bool lsp_endpoint_has_family(const struct lsp_endpoint *endpoint, int family)
{
	return socket_for((struct lsp_endpoint *)endpoint, family) != NULL;
}

const struct lsp_hash *lsp_endpoint_peer_id(const struct lsp_endpoint *endpoint)
{
	return lsp_identity_peer_id(endpoint->identity);
}

void lsp_endpoint_set_lower_effort(struct lsp_endpoint *endpoint, bool on)
{
	struct lsp_connection *connection;
	endpoint->lower_effort = on;
	DL_FOREACH2(endpoint->connections, connection, next)
	connection->lower_effort = on;
}

void lsp_endpoint_get_stats(
	const struct lsp_endpoint *endpoint, struct lsp_endpoint_stats *ret_stats)
{
	struct lsp_endpoint_stats stats = endpoint->stats;
	stats.connections = endpoint->connection_count;
	stats.handshakes = endpoint->handshake_count;
	stats.gso = stats.gro = endpoint->socket_count > 0;
	for (size_t i = 0; i < endpoint->socket_count; i++) {
		const struct lsp_udp_socket *socket = &endpoint->sockets[i];
		stats.send_calls += socket->send_calls;
		stats.receive_calls += socket->receive_calls;
		stats.received_messages += socket->received_messages;
		stats.gso &= socket->gso;
		stats.gro &= socket->gro;
		stats.receive_buffer = socket->receive_buffer;
	}
	*ret_stats = stats;
}
