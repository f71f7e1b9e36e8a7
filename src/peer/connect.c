#include "peer/connect.h"

#include "base/log.h"
#include "base/text.h"
#include "net/address.h"
#include "peer/dialer.h"
#include "peer/events.h"
#include "peer/peer.h"
#include "peer/session.h"
#include "peer/upload.h"
#include "task/supervisor.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define DEFAULT_PORT 47777

/* A --peer. */
struct manual {
	char host[256];
	uint16_t port;
	bool has_id, resolved;
	struct lsp_hash id;
};

/* A handshake that we began; the connection's user until there is a session. */
struct attempt {
	struct attempt *prev, *next;
	struct lsp_connection *connection;
	uint64_t number, candidate; /* the dialer's */
	bool over;                  /* another one to the same peer came to be first */
};

struct lsp_connect {
	struct lsp_peer *peer;
	struct lsp_identity *identity;
	char *interface;
	bool has_listen, port_is_free_choice, port_was_taken;
	struct sockaddr_storage listen;
	bool has_address;
	uint16_t port;

	struct lsp_endpoint *endpoint;
	struct lsp_supervised *service;
	struct lsp_dialer *dialer;
	struct lsp_timer timer;
	struct attempt *attempts;
	struct manual *manuals;
	size_t manual_count;
	void (*stopped)(void *argument);
	void *stopped_argument;
};

static void dial_due(void *argument);
static void end_attempt(struct lsp_connect *connect, struct attempt *attempt);

/* ---- Options ---- */

/* "[ADDRESS:]PORT" with brackets around IPv6. */
static int split_host_port(
	const char *text, char *host, size_t host_size, uint16_t *ret_port, struct lsp_error *err)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;
	if (lsp_text_to_u64(colon ? colon + 1 : text, &port, NULL) < 0 || port > 65535)
		return lsp_error_set(err, "peer", LSP_E_INVALID,
			"\"%.100s\" does not end in a port (0 to 65535)", text);
	size_t length = colon ? (size_t)(colon - text) : 0;
	if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	if (length >= host_size)
		return lsp_error_set(err, "peer", LSP_E_INVALID, "the host's name is too long");
	memcpy(host, text, length);
	host[length] = '\0';
	*ret_port = (uint16_t)port;
	return 0;
}

static int parse_listen(struct lsp_connect *connect, const char *text, struct lsp_error *err)
{
	char host[128];
	connect->port = DEFAULT_PORT;
	connect->port_is_free_choice = !text;
	if (!text)
		return 0;
	int r = split_host_port(text, host, sizeof host, &connect->port, err);
	if (r == 0 && host[0]) {
		connect->has_address = true;
		r = lsp_address_parse(host, connect->port, &connect->listen, err);
	}
	return r < 0 ? lsp_error_prefix(err, r, "--listen %s", text) : 0;
}

static int parse_manual(const char *text, struct manual *manual, struct lsp_error *err)
{
	_cleanup_free_ char *copy = strdup(text);
	if (!copy)
		return lsp_error_no_memory(err, "peer");
	char *id = strchr(copy, '#');
	int r = 0;
	if (id) {
		*id++ = '\0';
		manual->has_id = true;
		r = lsp_hash_from_hex(id, &manual->id, err);
	}
	if (r == 0)
		r = split_host_port(copy, manual->host, sizeof manual->host, &manual->port, err);
	if (r == 0 && !manual->host[0])
		r = lsp_error_set(err, "peer", LSP_E_INVALID, "a host is missing");
	if (r == 0 && manual->port == 0)
		r = lsp_error_set(err, "peer", LSP_E_INVALID, "nobody listens on port 0");
	return r < 0 ? lsp_error_prefix(err, r, "--peer %s", text) : 0;
}

static int add_manuals(struct lsp_connect *connect, const char *const *peers, struct lsp_error *err)
{
	size_t count = 0;
	while (peers && peers[count])
		count++;
	connect->manuals = calloc(count + 1, sizeof *connect->manuals);
	if (!connect->manuals)
		return lsp_error_no_memory(err, "peer");
	for (size_t i = 0; i < count; i++) {
		struct manual *manual = &connect->manuals[connect->manual_count++];
		struct sockaddr_storage address;
		int r = parse_manual(peers[i], manual, err);
		if (r < 0)
			return r;
		if (lsp_address_parse(manual->host, manual->port, &address, NULL) < 0)
			continue; /* a name, for the discovery child */
		manual->resolved = true;
		lsp_dialer_manual(connect->dialer, manual->has_id ? &manual->id : NULL, &address,
			lsp_peer_now(connect->peer));
	}
	return 0;
}

void lsp_connect_free(struct lsp_connect *connect)
{
	if (!connect)
		return;
	while (connect->attempts)
		end_attempt(connect, connect->attempts);
	lsp_dialer_free(connect->dialer);
	lsp_identity_unref(connect->identity);
	free(connect->manuals);
	free(connect->interface);
	free(connect);
}

int lsp_connect_new(struct lsp_peer *peer, const struct lsp_connect_options *options,
	struct lsp_connect **ret_connect, struct lsp_error *err)
{
	uint64_t seed;
	struct lsp_connect *connect = calloc(1, sizeof *connect);
	if (!connect)
		return lsp_error_no_memory(err, "peer");
	connect->peer = peer;
	connect->identity = lsp_identity_ref(options->identity);
	lsp_random_bytes(&seed, sizeof seed);
	int r = lsp_timer_init(&connect->timer, peer->core, dial_due, connect, err);
	if (r == 0)
		r = lsp_dialer_new(&peer->id, seed, &connect->dialer, err);
	if (r == 0)
		r = parse_listen(connect, options->listen, err);
	if (r == 0)
		r = add_manuals(connect, options->peers, err);
	if (r == 0 && options->interface && !(connect->interface = strdup(options->interface)))
		r = lsp_error_no_memory(err, "peer");
	if (r < 0) {
		lsp_connect_free(connect);
		return r;
	}
	*ret_connect = connect;
	return 0;
}

/* ---- Dialling ---- */

static void arm(struct lsp_connect *connect)
{
	if (connect->endpoint && !connect->peer->stopping)
		lsp_timer_start(&connect->timer, lsp_dialer_wake(connect->dialer));
}

static int begin_attempt(
	struct lsp_connect *connect, const struct lsp_dial *dial, struct lsp_error *err)
{
	struct attempt *attempt = calloc(1, sizeof *attempt);
	if (!attempt)
		return lsp_error_no_memory(err, "peer");
	attempt->number = dial->attempt;
	attempt->candidate = dial->candidate;
	/* Odd: no session. */
	int r = lsp_endpoint_connect(connect->endpoint, &dial->address,
		dial->has_id ? &dial->id : NULL, (void *)((uintptr_t)attempt | 1),
		&attempt->connection, err);
	if (r < 0)
		free(attempt);
	else
		DL_APPEND(connect->attempts, attempt);
	return r;
}

static void dial(struct lsp_connect *connect, const struct lsp_dial *dial)
{
	struct lsp_error err = {0};
	char text[LSP_ADDRESS_TEXT_MAX];
	lsp_log_debug("peer", "dialling %s", lsp_address_format(&dial->address, text));
	if (begin_attempt(connect, dial, &err) == 0)
		return;
	lsp_log_debug("peer", "cannot dial %s: %s", text, err.message);
	lsp_dialer_result(
		connect->dialer, dial->attempt, LSP_DIAL_FAILED, lsp_peer_now(connect->peer));
}

static void dial_due(void *argument)
{
	struct lsp_connect *connect = argument;
	struct lsp_dial next;
	if (!connect->endpoint || connect->peer->stopping)
		return;
	while (lsp_dialer_next(connect->dialer, lsp_peer_now(connect->peer), &next))
		dial(connect, &next);
	arm(connect);
}

/* What a connection without a session was dialled for; NULL: it came. */
static struct attempt *attempt_of(const struct lsp_connection *connection)
{
	uintptr_t user = (uintptr_t)lsp_connection_user(connection);
	return user & 1 ? (struct attempt *)(user - 1) : NULL;
}

static struct lsp_session *session_of(const struct lsp_connection *connection)
{
	uintptr_t user = (uintptr_t)lsp_connection_user(connection);
	return user & 1 ? NULL : (struct lsp_session *)user;
}

static void end_attempt(struct lsp_connect *connect, struct attempt *attempt)
{
	DL_DELETE(connect->attempts, attempt);
	free(attempt);
}

/* ---- From the endpoint ---- */

/* The first of the attempts to reach a peer: the others end. */
static void attempt_succeeded(struct lsp_connect *connect, struct attempt *attempt)
{
	struct attempt *other;
	lsp_dialer_result(
		connect->dialer, attempt->number, LSP_DIAL_CONNECTED, lsp_peer_now(connect->peer));
	DL_FOREACH(connect->attempts, other)
	{
		if (other == attempt || other->candidate != attempt->candidate || other->over)
			continue;
		other->over = true;
		lsp_connection_close(
			other->connection, LSP_CLOSE_DUPLICATE, "another address answered first");
	}
	end_attempt(connect, attempt);
}

static void connected(struct lsp_connection *connection, void *argument)
{
	struct lsp_connect *connect = argument;
	struct attempt *attempt = attempt_of(connection);
	if (attempt)
		attempt_succeeded(connect, attempt);
	lsp_connection_set_user(connection, NULL);
	lsp_session_start(connect->peer, connection);
}

/* Somebody who answered, but must not be spoken to: said to the user, in words. */
static void tell_refused(
	struct lsp_connect *connect, const struct lsp_connection *connection, const char *message)
{
	char id[LSP_SHA256_HEX_SIZE], address[LSP_ADDRESS_TEXT_MAX];
	lsp_hash_to_hex(lsp_connection_peer_id(connection), id);
	lsp_address_format(lsp_connection_address(connection), address);
	lsp_peer_warn(connect->peer, "%s is refused: %s", address, message);
	lsp_events_publish(connect->peer->events,
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "event", "peer_disconnected", "peer", id,
			"name", address, "reason", "refused", "message", message));
}

/* Another key than before where the user gave an address alone: only the user can tell why. */
static void tell_another_key(struct lsp_connect *connect, const struct lsp_connection *connection,
	const struct lsp_hash *learned, const char *message)
{
	char id[LSP_SHA256_HEX_SIZE], text[400];
	lsp_hash_to_hex(learned, id);
	snprintf(text, sizeof text,
		"%.200s; if it has a new identity, `lanspread peers forget %.16s` trusts that",
		message, id);
	tell_refused(connect, connection, text);
}

/* A dial that came to nothing. */
static void attempt_failed(struct lsp_connect *connect, const struct attempt *attempt,
	const struct lsp_connection *connection, const struct lsp_close *close)
{
	char text[LSP_ADDRESS_TEXT_MAX];
	lsp_time now = lsp_peer_now(connect->peer);
	const struct lsp_hash *learned = lsp_dialer_learned(connect->dialer, attempt->number);
	bool refused = close->reason == LSP_CLOSE_IDENTITY || close->reason == LSP_CLOSE_SELF ||
		       close->reason == LSP_CLOSE_CLONE || close->reason == LSP_CLOSE_VERSION;
	bool told = refused && !lsp_dialer_is_news(connect->dialer, attempt->number,
				       lsp_connection_peer_id(connection), now);
	if (!told && close->reason == LSP_CLOSE_CLONE)
		tell_refused(connect, connection,
			"it has this machine's identity (a cloned disk?): run `lanspread identity "
			"rotate` on one of them");
	else if (!told && close->reason == LSP_CLOSE_IDENTITY && learned)
		tell_another_key(connect, connection, learned, close->message);
	else if (!told && refused && close->reason != LSP_CLOSE_SELF)
		tell_refused(connect, connection, close->message);
	else
		lsp_log_debug("peer", "no connection with %s: %s (%s)",
			lsp_address_format(lsp_connection_address(connection), text),
			lsp_close_reason_name(close->reason), close->message);
	lsp_dialer_result(connect->dialer, attempt->number,
		refused ? LSP_DIAL_REFUSED : LSP_DIAL_FAILED, now);
}

static void closed(struct lsp_connection *connection, const struct lsp_close *close, void *argument)
{
	struct lsp_connect *connect = argument;
	struct lsp_session *session = session_of(connection);
	struct attempt *attempt = attempt_of(connection);
	if (session)
		lsp_session_end(session, close);
	if (attempt && !attempt->over)
		attempt_failed(connect, attempt, connection, close);
	else if (attempt) /* which the dialer knows, unless it forgot the one that came to be */
		lsp_dialer_result(connect->dialer, attempt->number, LSP_DIAL_FAILED,
			lsp_peer_now(connect->peer));
	if (attempt)
		end_attempt(connect, attempt);
	arm(connect);
}

static void stream_opened(
	struct lsp_connection *connection, struct lsp_stream *stream, void *argument)
{
	struct lsp_session *session = session_of(connection);
	if (session)
		lsp_session_stream(session, stream);
}

static void failed(const struct lsp_error *error, void *argument)
{
	struct lsp_connect *connect = argument;
	lsp_supervised_failed(connect->service, error);
}

/* ---- The service
 * -----------------------------------------------------------------------------------------------
 */

static int make_endpoint(struct lsp_connect *connect, uint16_t port, struct lsp_error *err)
{
	static const struct lsp_endpoint_callbacks callbacks = {
		.connected = connected,
		.closed = closed,
		.stream = stream_opened,
		.failed = failed,
	};
	struct lsp_endpoint_options options = {
		.loop = lsp_loop_uv(connect->peer->core),
		.clock = connect->peer->clock,
		.identity = connect->identity,
		.callbacks = &callbacks,
		.argument = connect,
		.listen = connect->has_address ? &connect->listen : NULL,
		.port = port,
		.interface = connect->interface,
		.low_water = LSP_UPLOAD_LOW_WATER,
	};
	return lsp_endpoint_new(&options, &connect->endpoint, err);
}

static int start(void *argument, struct lsp_error *err)
{
	struct lsp_connect *connect = argument;
	int r = make_endpoint(connect, connect->port, err);
	if (r == -LSP_E_BUSY && connect->port_is_free_choice) {
		connect->port_was_taken = true;
		r = make_endpoint(connect, 0, err);
	}
	if (r < 0)
		return r;
	connect->port = lsp_endpoint_port(connect->endpoint);
	dial_due(connect);
	return 0;
}

static void freed(void *argument)
{
	struct lsp_connect *connect = argument;
	if (connect->stopped)
		connect->stopped(connect->stopped_argument);
}

static void stop(void *argument)
{
	struct lsp_connect *connect = argument;
	if (lsp_timer_is_on(&connect->timer))
		lsp_timer_stop(&connect->timer);
	if (connect->endpoint)
		lsp_endpoint_free(TAKE_PTR(connect->endpoint), freed, connect);
}

int lsp_connect_start(
	struct lsp_connect *connect, struct lsp_supervisor *supervisor, struct lsp_error *err)
{
	static const struct lsp_policy required = {.kind = LSP_POLICY_REQUIRED};
	static const struct lsp_supervised_hooks hooks = {.start = start, .stop = stop};
	return lsp_supervisor_add(supervisor, connect->peer->core, "quic", &required, &hooks,
		connect, &connect->service, err);
}

void lsp_connect_goodbye(struct lsp_connect *connect, const char *why)
{
	lsp_timer_stop(&connect->timer);
	if (connect->endpoint)
		lsp_endpoint_close_all(connect->endpoint, LSP_CLOSE_GOODBYE, why);
}

void lsp_connect_stop(struct lsp_connect *connect, void (*done)(void *argument), void *argument)
{
	bool running = connect->endpoint != NULL;
	lsp_timer_done(&connect->timer);
	connect->stopped = done;
	connect->stopped_argument = argument;
	if (connect->service)
		lsp_supervised_remove(TAKE_PTR(connect->service));
	if (!running)
		done(argument);
}

void lsp_connect_fail(struct lsp_connect *connect, const char *why)
{
	struct lsp_error err = {0};
	lsp_error_set(&err, "net", LSP_E_FAILED, "%s", why);
	if (connect->service)
		lsp_supervised_failed(connect->service, &err);
}

const char *lsp_connect_interface(const struct lsp_connect *connect)
{
	return connect->interface;
}

struct lsp_endpoint *lsp_connect_endpoint(const struct lsp_connect *connect)
{
	return connect->endpoint;
}

const struct sockaddr_storage *lsp_connect_listen(const struct lsp_connect *connect)
{
	return connect->has_address ? &connect->listen : NULL;
}

uint16_t lsp_connect_port(const struct lsp_connect *connect)
{
	return connect->port;
}

bool lsp_connect_port_was_taken(const struct lsp_connect *connect)
{
	return connect->port_was_taken;
}

/* ---- From discovery and sessions ---- */

void lsp_connect_found(struct lsp_connect *connect, const struct lsp_hash *id,
	const struct sockaddr_storage *address, unsigned rank)
{
	lsp_dialer_found(connect->dialer, id, address, rank, lsp_peer_now(connect->peer));
	arm(connect);
}

void lsp_connect_lost(struct lsp_connect *connect, const struct lsp_hash *id)
{
	lsp_dialer_lost(connect->dialer, id, NULL, lsp_peer_now(connect->peer));
}

const char *lsp_connect_unresolved(
	const struct lsp_connect *connect, size_t index, uint16_t *ret_port)
{
	for (size_t i = 0; i < connect->manual_count; i++) {
		if (connect->manuals[i].resolved || index--)
			continue;
		*ret_port = connect->manuals[i].port;
		return connect->manuals[i].host;
	}
	return NULL;
}

void lsp_connect_resolved(struct lsp_connect *connect, const char *host, uint16_t port,
	const struct sockaddr_storage *address)
{
	for (size_t i = 0; i < connect->manual_count; i++) {
		struct manual *manual = &connect->manuals[i];
		if (manual->port == port && strcmp(manual->host, host) == 0)
			lsp_dialer_manual(connect->dialer, manual->has_id ? &manual->id : NULL,
				address, lsp_peer_now(connect->peer));
	}
	arm(connect);
}

void lsp_connect_session_up(struct lsp_connect *connect, struct lsp_session *session)
{
	lsp_dialer_connected(connect->dialer, lsp_session_id(session),
		lsp_connection_address(lsp_session_connection(session)),
		lsp_peer_now(connect->peer));
	arm(connect);
}

void lsp_connect_session_down(struct lsp_connect *connect, struct lsp_session *session,
	enum lsp_close_reason reason, bool was_up)
{
	lsp_time now = lsp_peer_now(connect->peer);
	bool outgoing = lsp_connection_is_outgoing(lsp_session_connection(session));
	bool another = lsp_session_find(connect->peer, lsp_session_id(session)) != NULL;
	/* Who refuses us, or is refused, is not dialled back for having come. */
	if (!was_up && !outgoing)
		return;
	/* Now it is known who is there. Greeted and refused, it must not be dialled over and over.
	 */
	if (!was_up)
		lsp_dialer_connected(connect->dialer, lsp_session_id(session),
			lsp_connection_address(lsp_session_connection(session)), now);
	if (another)
		return;
	lsp_dialer_disconnected(
		connect->dialer, lsp_session_id(session), reason == LSP_CLOSE_GOODBYE, now);
	arm(connect);
}

bool lsp_connect_global_address(const struct lsp_connect *connect, const struct lsp_hash *id,
	struct sockaddr_storage *ret_address)
{
	return lsp_dialer_global_address(connect->dialer, id, ret_address);
}

bool lsp_connect_forget(struct lsp_connect *connect, const struct lsp_hash *id)
{
	struct lsp_session *session = lsp_session_find(connect->peer, id);
	if (session)
		lsp_connection_close(lsp_session_connection(session), LSP_CLOSE_FORGOTTEN,
			"the user removed this peer");
	bool known = lsp_dialer_forget(connect->dialer, id, lsp_peer_now(connect->peer));
	arm(connect);
	return known || session;
}

const struct lsp_hash *lsp_connect_known(const struct lsp_connect *connect, size_t index)
{
	return lsp_dialer_known(connect->dialer, index);
}
