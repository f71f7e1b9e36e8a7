#include "peer/session.h"

#include "base/log.h"
#include "base/text.h"
#include "peer/announce.h"
#include "peer/connect.h"
#include "peer/database.h"
#include "peer/download.h"
#include "peer/events.h"
#include "peer/exchange.h"
#include "peer/fetch.h"
#include "peer/games.h"
#include "peer/peer.h"
#include "peer/serve.h"
#include "peer/session_private.h"
#include "peer/torrents.h"

#include <string.h>

#include <utlist.h>

#define PING_INTERVAL (2 * LSP_SECOND)
#define PING_DEADLINE (4500 * LSP_MILLISECOND) /* a pulled cable is noticed within 5 s */
#define HELLO_DEADLINE (10 * LSP_SECOND)
#define LATE_REQUESTS_MAX 16

/* ---- Small questions ---- */

struct lsp_peer *lsp_session_peer(const struct lsp_session *session)
{
	return session->peer;
}

const char *lsp_session_name(const struct lsp_session *session)
{
	return session ? session->name : "?";
}

const struct lsp_hash *lsp_session_id(const struct lsp_session *session)
{
	return &session->id;
}

struct lsp_connection *lsp_session_connection(const struct lsp_session *session)
{
	return session->connection;
}

lsp_swarm_id lsp_session_swarm_peer(const struct lsp_session *session)
{
	return session->swarm_peer;
}

struct lsp_guard *lsp_session_guard(struct lsp_session *session)
{
	return &session->guard;
}

bool lsp_session_is_established(const struct lsp_session *session)
{
	return session->state == SESSION_ESTABLISHED;
}

struct lsp_session *lsp_session_next(const struct lsp_session *session)
{
	return session->next;
}

void lsp_session_refuse_leaves(struct lsp_session *session, lsp_time until)
{
	session->leaves_from = LSP_MAX(session->leaves_from, until);
}

bool lsp_session_gives_leaves(const struct lsp_session *session)
{
	return lsp_peer_now(session->peer) >= session->leaves_from;
}

void lsp_session_count_sent(struct lsp_session *session, size_t bytes)
{
	lsp_time now = lsp_peer_now(session->peer);
	session->sent += bytes;
	session->peer->sent += bytes;
	lsp_rate_add(&session->up_rate, bytes, now);
	lsp_rate_add(&session->peer->up_rate, bytes, now);
}

void lsp_session_count_received(struct lsp_session *session, size_t bytes)
{
	lsp_time now = lsp_peer_now(session->peer);
	session->received += bytes;
	session->peer->received += bytes;
	lsp_rate_add(&session->down_rate, bytes, now);
	lsp_rate_add(&session->peer->down_rate, bytes, now);
}

struct lsp_session *lsp_session_find(const struct lsp_peer *peer, const struct lsp_hash *id)
{
	struct lsp_session *session;
	DL_FOREACH(peer->sessions, session)
	{
		if (session->state == SESSION_ESTABLISHED && lsp_hash_equal(&session->id, id))
			return session;
	}
	return NULL;
}

bool lsp_session_torrent_address(const struct lsp_session *session, char *ret_address)
{
	if (!session->torrent_port)
		return false;
	struct sockaddr_storage address = *lsp_connection_address(session->connection);
	/* libtorrent's list of peers keeps addresses without their zone: it would dial nobody. */
	if (lsp_address_is_link_local(&address) &&
		!lsp_connect_global_address(session->peer->connect, &session->id, &address))
		return false;
	lsp_address_set_port(&address, session->torrent_port);
	lsp_address_format(&address, ret_address);
	return true;
}

json_t *lsp_session_json(const struct lsp_session *session)
{
	lsp_time now = lsp_peer_now(session->peer);
	struct lsp_connection_stats stats = {0};
	char id[LSP_SHA256_HEX_SIZE], address[LSP_ADDRESS_TEXT_MAX];
	lsp_hash_to_hex(&session->id, id);
	lsp_address_format(lsp_connection_address(session->connection), address);
	lsp_connection_get_stats(session->connection, &stats);
	return json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I}", "id", id,
		"name", session->name, "address", address, "connected", 1, "games",
		(json_int_t)(session->remote ? session->remote->game_count : 0), "sent",
		(json_int_t)session->sent, "received", (json_int_t)session->received, "up_rate",
		(json_int_t)lsp_rate_get(&session->up_rate, now), "down_rate",
		(json_int_t)lsp_rate_get(&session->down_rate, now), "rtt_ms",
		(double)stats.rtt_smoothed / (double)LSP_MILLISECOND, "version",
		(json_int_t)session->version, "since_s",
		(json_int_t)((now - session->since) / LSP_SECOND));
}

/* ---- Beginning ---- */

void lsp_session_refuse(
	struct lsp_session *session, enum lsp_close_reason reason, const char *format, ...)
{
	char message[200];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	lsp_log_warning("peer", "%s: %s", session->name, message);
	lsp_connection_close(session->connection, reason, message);
}

/* Where it finds our torrent engine. */
static uint16_t port_for(const struct lsp_session *session)
{
	return lsp_torrents_port(
		session->peer->torrents, lsp_connection_address(session->connection));
}

void lsp_session_fill_hello(struct lsp_session *session, struct lsp_hello *hello)
{
	struct lsp_peer *peer = session->peer;
	hello->version = LSP_PROTOCOL_VERSION;
	hello->peer = peer->id;
	hello->instance = peer->instance;
	snprintf(hello->name, sizeof hello->name, "%s", peer->name);
	hello->port = lsp_connect_port(peer->connect);
	hello->revision = lsp_announce_revision(peer->announce);
	hello->games = lsp_announce_count(peer->announce);
	hello->torrent_port = session->told_torrent_port = port_for(session);
}

static void hello_response(struct lsp_exchange *exchange, struct lsp_response *response)
{
	struct lsp_session *session = lsp_exchange_argument(exchange);
	if (response->type != LSP_RESPONSE_HELLO) {
		lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "no Hello in answer to ours");
		return;
	}
	lsp_session_take_hello(session, &response->hello);
}

static void hello_done(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct lsp_session *session = lsp_exchange_argument(exchange);
	session->hello = NULL;
	if (error)
		lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "Hello: %s", error->message);
}

static void say_hello(struct lsp_session *session)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.response = hello_response, .done = hello_done};
	struct lsp_request request = {.type = LSP_REQUEST_HELLO};
	struct lsp_error err = {0};
	lsp_session_fill_hello(session, &request.hello);
	if (lsp_exchange_start(
		    session->connection, &request, &callbacks, session, &session->hello, &err) < 0)
		lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "Hello: %s", err.message);
}

void lsp_session_start(struct lsp_peer *peer, struct lsp_connection *connection)
{
	struct lsp_session *session = calloc(1, sizeof *session);
	if (!session) {
		lsp_connection_close(connection, LSP_CLOSE_BUSY, "out of memory");
		return;
	}
	session->peer = peer;
	session->connection = connection;
	session->id = *lsp_connection_peer_id(connection);
	session->dialled = lsp_connection_is_outgoing(connection);
	session->since = session->last_heard = lsp_peer_now(peer);
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&session->id, hex);
	snprintf(session->name, sizeof session->name, "%.8s", hex);
	DL_APPEND(peer->sessions, session);
	lsp_connection_set_user(connection, session);
	if (session->dialled)
		say_hello(session);
}

/* ---- Two connections with one peer ---- */

/* Does the connection that we dialled stay, when both sides dialled? */
static bool ours_stays(const struct lsp_session *session)
{
	return memcmp(session->peer->id.bytes, session->id.bytes, LSP_SHA256_SIZE) < 0;
}

static void establish(struct lsp_session *session);

static void old_answered(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct lsp_session *old = lsp_exchange_argument(exchange), *challenger = old->challenger;
	old->probe = NULL;
	if (!challenger)
		return;
	if (error) { /* its end lets the challenger in */
		lsp_connection_close(old->connection, LSP_CLOSE_REPLACED, "it came again");
		return;
	}
	old->challenger = challenger->challenged = NULL;
	lsp_peer_warn(old->peer,
		"two machines use the identity of %s (a cloned disk?): run `lanspread identity "
		"rotate` on one of them",
		old->name);
	lsp_session_refuse(challenger, LSP_CLOSE_CLONE,
		"another machine uses this identity already: run `lanspread identity rotate`");
}

/* It comes again while its old session stands: is the old one alive? */
static void probe(struct lsp_session *old, struct lsp_session *challenger)
{
	static const struct lsp_exchange_callbacks callbacks = {.done = old_answered};
	struct lsp_request ping = {.type = LSP_REQUEST_PING};
	if (old->challenger) {
		lsp_session_refuse(challenger, LSP_CLOSE_BUSY, "one at a time");
		return;
	}
	old->challenger = challenger;
	challenger->challenged = old;
	old->probe_deadline = lsp_peer_now(old->peer) + LSP_SECOND;
	if (lsp_exchange_start(old->connection, &ping, &callbacks, old, &old->probe, NULL) < 0)
		lsp_connection_close(old->connection, LSP_CLOSE_REPLACED, "it came again");
}

/*
 * It dialled twice, and keeps the connection whose Hello was answered first. We must not choose: we
 * may have seen the Hellos in another order, and each side would close what the other keeps. The
 * end of the old session lets this one in.
 */
static void wait_for_its_choice(struct lsp_session *old, struct lsp_session *session)
{
	if (old->challenger) {
		lsp_session_refuse(session, LSP_CLOSE_BUSY, "one at a time");
		return;
	}
	old->challenger = session;
	session->challenged = old;
}

/* Both have said hello. False: this session does not go on (now). */
static bool settle_duplicates(struct lsp_session *session)
{
	struct lsp_session *old = lsp_session_find(session->peer, &session->id);
	if (!old)
		return true;
	if (!lsp_hash_equal(&old->instance, &session->instance)) {
		probe(old, session);
		return false;
	}
	bool same_way = old->dialled == session->dialled;
	if (same_way && !session->dialled) {
		wait_for_its_choice(old, session);
		return false;
	}
	if (same_way || session->dialled != ours_stays(session)) {
		lsp_connection_close(session->connection, LSP_CLOSE_DUPLICATE, "");
		return false;
	}
	/* What runs on the old connection ends and is asked for again on the new one. */
	session->took_over = true;
	lsp_connection_close(old->connection, LSP_CLOSE_DUPLICATE, "");
	return true;
}

static void tell_port_if_changed(struct lsp_session *session)
{
	struct lsp_request request = {.type = LSP_REQUEST_TORRENT_PORT};
	uint16_t port = port_for(session);
	request.torrent_port.port = port;
	if (port != session->told_torrent_port)
		lsp_exchange_tell(session->connection, &request);
	session->told_torrent_port = port;
}

void lsp_sessions_tell_torrent_port(struct lsp_peer *peer)
{
	struct lsp_session *session;
	DL_FOREACH(peer->sessions, session)
	{
		if (session->state == SESSION_ESTABLISHED)
			tell_port_if_changed(session);
	}
}

static void establish(struct lsp_session *session)
{
	struct lsp_peer *peer = session->peer;
	struct lsp_error err = {0};
	uint64_t key;
	memcpy(&key, session->id.bytes, sizeof key);
	int r = lsp_database_add_peer(
		peer->database, &session->id, session, &session->remote, &err);
	if (r == 0)
		r = lsp_swarm_peer_add(peer->swarm, key, session, &session->swarm_peer, &err);
	if (r < 0) {
		lsp_session_refuse(session, LSP_CLOSE_BUSY, "%s", err.message);
		return;
	}
	session->state = SESSION_ESTABLISHED;
	lsp_connect_session_up(peer->connect, session);
	if (!session->took_over) {
		lsp_log_info("peer", "connected with %s", session->name);
		lsp_events_publish(peer->events, json_pack("{s:s, s:o}", "event", "peer_connected",
							 "peer", lsp_session_json(session)));
	}
	lsp_session_list_games(session);
	tell_port_if_changed(session); /* since our Hello: who is being greeted is not told */
	lsp_torrents_peer_came(peer->torrents, session);
}

void lsp_session_take_hello(struct lsp_session *session, const struct lsp_hello *hello)
{
	if (hello->version != LSP_PROTOCOL_VERSION) {
		lsp_session_refuse(session, LSP_CLOSE_VERSION,
			"it speaks version %llu of the protocol, we speak %d: update the older one",
			(unsigned long long)hello->version, LSP_PROTOCOL_VERSION);
		return;
	}
	if (!lsp_hash_equal(&hello->peer, &session->id)) {
		lsp_session_refuse(session, LSP_CLOSE_IDENTITY,
			"its Hello names another peer than its handshake");
		return;
	}
	if (lsp_hash_equal(&hello->instance, &session->peer->instance)) {
		lsp_session_refuse(session, LSP_CLOSE_SELF, "that is ourselves");
		return;
	}
	session->instance = hello->instance;
	session->version = hello->version;
	session->torrent_port = (uint16_t)hello->torrent_port;
	if (hello->name[0])
		snprintf(session->name, sizeof session->name, "%s", hello->name);
	if (settle_duplicates(session))
		establish(session);
}

/* ---- The end ---- */

static const char *reason_word(enum lsp_close_reason reason)
{
	switch (reason) {
	case LSP_CLOSE_GOODBYE:
		return "goodbye";
	case LSP_CLOSE_LOST:
	case LSP_CLOSE_NO_ANSWER:
	case LSP_CLOSE_FAILED:
		return "lost";
	default:
		return "refused";
	}
}

/* Takes it out of everything; exchanges and responders end with the streams, which have ended. */
static void withdraw(struct lsp_session *session)
{
	struct lsp_peer *peer = session->peer;
	if (session->challenger)
		session->challenger->challenged = NULL;
	if (session->challenged)
		session->challenged->challenger = NULL;
	lsp_session_stop_listing(session);
	lsp_session_drop_follows(session);
	if (session->swarm_peer)
		lsp_swarm_peer_remove(peer->swarm, session->swarm_peer);
	session->swarm_peer = 0;
	lsp_fetch_cancel_all(session);
	if (session->remote)
		lsp_games_peer_gone(peer, TAKE_PTR(session->remote));
	lsp_peer_kick(peer);
}

static void tell_gone(struct lsp_session *session, const struct lsp_close *close)
{
	char id[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&session->id, id);
	if (close->reason == LSP_CLOSE_GOODBYE)
		lsp_log_info("peer", close->by_peer ? "Goodbye from %s" : "Goodbye to %s",
			session->name);
	else
		lsp_log_info("peer", "%s is gone (%s): %s", session->name,
			lsp_close_reason_name(close->reason), close->message);
	lsp_events_publish(session->peer->events,
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "event", "peer_disconnected", "peer", id,
			"name", session->name, "reason", reason_word(close->reason), "message",
			close->message));
}

/* The other connection with the same peer, which goes on where this one ends as a duplicate. */
static struct lsp_session *find_heir(const struct lsp_session *session)
{
	struct lsp_session *other;
	DL_FOREACH(session->peer->sessions, other)
	{
		if (other != session && lsp_hash_equal(&other->id, &session->id))
			return other;
	}
	return NULL;
}

void lsp_session_end(struct lsp_session *session, const struct lsp_close *close)
{
	struct lsp_peer *peer = session->peer;
	struct lsp_session *challenger = session->challenger;
	bool was_up = session->state == SESSION_ESTABLISHED;
	session->state = SESSION_GONE;
	DL_DELETE(peer->sessions, session);
	withdraw(session);
	lsp_connect_session_down(peer->connect, session, close->reason, was_up);
	struct lsp_session *heir = close->reason == LSP_CLOSE_DUPLICATE ? find_heir(session) : NULL;
	if (heir)
		heir->took_over |= was_up || session->took_over;
	else if (was_up || session->took_over)
		tell_gone(session, close);
	free(session);
	if (challenger && challenger->state == SESSION_GREETING)
		establish(challenger);
}

void lsp_session_stream(struct lsp_session *session, struct lsp_stream *stream)
{
	lsp_serve_stream(session, stream);
}

/* ---- Liveness ---- */

static void pong(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct lsp_session *session = lsp_exchange_argument(exchange);
	session->ping = NULL;
	if (!error)
		session->last_heard = lsp_peer_now(session->peer);
}

static void ping(struct lsp_session *session, lsp_time now)
{
	static const struct lsp_exchange_callbacks callbacks = {.done = pong};
	struct lsp_request request = {.type = LSP_REQUEST_PING};
	if (session->ping)
		return;
	session->last_ping = now;
	(void)!lsp_exchange_start(
		session->connection, &request, &callbacks, session, &session->ping, NULL);
}

static void tick(struct lsp_session *session, lsp_time now)
{
	session->late_requests += lsp_responders_tick(session->responders, now);
	if (session->late_requests > LATE_REQUESTS_MAX) {
		lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "its requests do not come whole");
		return;
	}
	if (session->state == SESSION_GREETING) {
		bool late = now > session->since + HELLO_DEADLINE;
		if (late && session->challenged && !session->challenged->probe)
			lsp_connection_close(session->connection, LSP_CLOSE_DUPLICATE, "");
		else if (late && !session->challenged)
			lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "no Hello in time");
		return;
	}
	struct lsp_connection_stats stats = {0};
	lsp_connection_get_stats(session->connection, &stats);
	if (stats.rtt_smoothed)
		lsp_swarm_peer_rtt(session->peer->swarm, session->swarm_peer, stats.rtt_smoothed);
	if (session->list_again && !session->listing)
		lsp_session_list_games(session);
	if (session->probe && now > session->probe_deadline) {
		lsp_exchange_abort(TAKE_PTR(session->probe));
		lsp_connection_close(session->connection, LSP_CLOSE_REPLACED, "it came again");
		return;
	}
	if (stats.last_received > session->last_heard)
		session->last_heard = stats.last_received;
	if (now > session->last_heard + PING_DEADLINE && session->ping)
		lsp_connection_abandon(session->connection, "no answer to pings");
	else if (now >= session->last_ping + PING_INTERVAL)
		ping(session, now);
}

void lsp_sessions_tick(struct lsp_peer *peer)
{
	lsp_time now = lsp_peer_now(peer);
	struct lsp_session *session, *next;
	DL_FOREACH_SAFE(peer->sessions, session, next)
	tick(session, now);
}
