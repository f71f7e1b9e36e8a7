#include "peer/guard.h"

#include "base/log.h"
#include "net/others.h"
#include "peer/connect.h"
#include "peer/peer.h"
#include "peer/session.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define LOOK (5 * LSP_MILLISECOND)
#define LATE (3 * LSP_MILLISECOND) /* a look that comes so late is no witness */
#define MOVING 65536               /* bytes in 100 ms, both ways, that are bulk */
#define LINGER LSP_SECOND          /* looks go on for so long after the last bulk */
#define IDLE_LOOK LSP_SECOND       /* for others, while nothing moves */
#define BULK_LOOK 16384            /* bytes in one look that are bulk */
#define BULK_LOOK_STREAMS 4096
#define GENTLE_TIME (5 * LSP_SECOND) /* from a gentle request on */
#define WIRE_HEADERS 42              /* a packet's, beside the UDP payload: UDP, IPv4, Ethernet */

struct lsp_guards {
	struct lsp_peer *peer;
	struct lsp_timer timer, watch; /* of the paths; for others */
	bool on, shared;
	struct lsp_others others;
	struct lsp_counters counters;
	lsp_time due, until, idle_look;
	uint64_t moved; /* bytes, at the last tick */
};

static void look(void *argument);
static void watch(void *argument);

int lsp_guards_new(struct lsp_peer *peer, struct lsp_guards **ret_guards, struct lsp_error *err)
{
	struct lsp_guards *guards = calloc(1, sizeof *guards);
	if (!guards)
		return lsp_error_no_memory(err, "peer");
	guards->peer = peer;
	(void)lsp_counters_open(&guards->counters, NULL); /* without: nobody is seen */
	int r = lsp_timer_init(&guards->timer, peer->core, look, guards, err);
	if (r == 0)
		r = lsp_timer_init(&guards->watch, peer->core, watch, guards, err);
	if (r < 0) {
		lsp_timer_done(&guards->timer);
		lsp_guards_free(guards);
		return r;
	}
	*ret_guards = guards;
	return 0;
}

void lsp_guards_stop(struct lsp_guards *guards)
{
	if (!guards)
		return;
	lsp_timer_done(&guards->timer);
	lsp_timer_done(&guards->watch);
}

void lsp_guards_free(struct lsp_guards *guards)
{
	if (guards)
		lsp_counters_close(&guards->counters);
	free(guards);
}

/* ---- One path -------------------------------------------------------------------------------- */

/* Its rates are those of what is engaged. */
static void apply(struct lsp_session *session)
{
	struct lsp_guard *guard = lsp_session_guard(session);
	uint64_t up = guard->up_engaged ? lsp_ping_guard_rate(&guard->up) : LSP_PING_GUARD_FREE;
	uint64_t down =
		guard->down_engaged ? lsp_ping_guard_rate(&guard->down) : LSP_PING_GUARD_FREE;
	up = up == LSP_PING_GUARD_FREE ? 0 : up;
	down = down == LSP_PING_GUARD_FREE ? 0 : down;
	if (up != guard->up_rate)
		lsp_connection_set_send_limit(lsp_session_connection(session), up);
	if (down != guard->down_rate)
		lsp_swarm_peer_guard(lsp_session_peer(session)->swarm,
			lsp_session_swarm_peer(session), down ? down : LSP_PING_GUARD_FREE);
	guard->up_rate = up;
	guard->down_rate = down;
}

static bool is_loopback(const struct lsp_session *session)
{
	const struct sockaddr_storage *address =
		lsp_connection_address(lsp_session_connection(session));
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	return address->ss_family == AF_INET ? ntohl(v4->sin_addr.s_addr) >> 24 == 127
					     : IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* Who is engaged begins afresh: what was learned of the line is old. Not so after a mere pause. */
static void engage(const struct lsp_guards *guards, struct lsp_session *session, lsp_time now)
{
	struct lsp_guard *guard = lsp_session_guard(session);
	bool down = guards->on && guards->shared && !is_loopback(session);
	bool up = down || (guards->on && guard->gentle_until > now && !is_loopback(session));
	if (up && !guard->up_engaged && !guard->up_kept)
		lsp_ping_guard_init(&guard->up, LSP_PING_GUARD_SENDER);
	if (down && !guard->down_engaged && !guard->down_kept)
		lsp_ping_guard_init(&guard->down, LSP_PING_GUARD_RECEIVER);
	guard->up_engaged = up;
	guard->down_engaged = down;
	guard->up_kept = guard->down_kept = false;
	lsp_ping_guard_move(&guard->up, now);
	lsp_ping_guard_move(&guard->down, now);
	apply(session);
}

static void look_at(
	struct lsp_guards *guards, struct lsp_session *session, bool witness, lsp_time now)
{
	struct lsp_guard *guard = lsp_session_guard(session);
	struct lsp_connection *connection = lsp_session_connection(session);
	struct lsp_connection_stats stats;
	uint64_t least = 0;
	unsigned count = 0;
	lsp_connection_get_stats(connection, &stats);
	uint64_t acked = stats.sent_wire - LSP_MIN(stats.in_flight, stats.sent_wire) +
			 stats.sent_packets * WIRE_HEADERS;
	uint64_t received = stats.received_wire + stats.received_packets * WIRE_HEADERS;
	uint64_t up = acked > guard->acked ? acked - guard->acked : 0;
	uint64_t down = received - guard->received;
	bool bulk_down = stats.received - guard->stream_received >= BULK_LOOK_STREAMS;
	guard->acked = LSP_MAX(acked, guard->acked);
	guard->received = received;
	guard->stream_received = stats.received;
	bool sampled = lsp_connection_take_round_trip(connection, &least, &count) && witness;
	if (guard->up_engaged && (stats.queued || up >= BULK_LOOK)) {
		lsp_ping_guard_delivered(&guard->up, up, now);
		if (sampled)
			lsp_ping_guard_sample(&guard->up, least, stats.rtt_min, count, now);
	}
	if (guard->down_engaged && bulk_down) {
		lsp_ping_guard_delivered(&guard->down, down, now);
		if (sampled)
			lsp_ping_guard_sample(
				&guard->down, stats.rtt_smoothed, stats.rtt_min, count, now);
	}
	if (stats.queued) { /* however slow it is, and if it stands still */
		guards->until = LSP_MAX(guards->until, now + LINGER);
		if (guard->gentle)
			guard->gentle_until = now + GENTLE_TIME;
	}
	apply(session);
}

/* ---- All of them ----------------------------------------------------------------------------- */

/*
 * Once no bulk moves no look comes: a limit that nobody adapts would hold back what is asked for
 * next. What was learned is kept for when bulk goes on.
 */
static bool let_go_at_rest(struct lsp_guards *guards, lsp_time now)
{
	if (now <= guards->until)
		return false;
	for (struct lsp_session *s = guards->peer->sessions; s; s = lsp_session_next(s)) {
		struct lsp_guard *guard = lsp_session_guard(s);
		if (!lsp_session_is_established(s) || !(guard->up_engaged || guard->down_engaged))
			continue;
		guard->up_kept = guard->up_engaged;
		guard->down_kept = guard->down_engaged;
		guard->up_engaged = guard->down_engaged = false;
		apply(s);
	}
	return true;
}

static void look(void *argument)
{
	struct lsp_guards *guards = argument;
	struct lsp_peer *peer = guards->peer;
	lsp_time now = lsp_peer_now(peer);
	bool witness = now < guards->due + LATE, any = false;
	if (peer->stopping || let_go_at_rest(guards, now))
		return;
	for (struct lsp_session *s = peer->sessions; s; s = lsp_session_next(s)) {
		const struct lsp_guard *guard = lsp_session_guard(s);
		if (!lsp_session_is_established(s) || !(guard->up_engaged || guard->down_engaged))
			continue;
		any = true;
		look_at(guards, s, witness, now);
	}
	if (!any)
		return;
	guards->due = now + LOOK;
	lsp_timer_start(&guards->timer, guards->due);
}

static void start_looks(struct lsp_guards *guards, lsp_time now)
{
	if (lsp_timer_is_on(&guards->timer))
		return;
	guards->due = now;
	look(guards);
}

static void look_for_others(struct lsp_guards *guards, lsp_time now)
{
	struct lsp_endpoint *endpoint = lsp_connect_endpoint(guards->peer->connect);
	struct lsp_endpoint_stats stats;
	struct lsp_datagrams datagrams;
	if (!endpoint || lsp_counters_read(&guards->counters, &datagrams, NULL) < 0)
		return;
	lsp_endpoint_get_stats(endpoint, &stats);
	bool shared = lsp_others_look(&guards->others, &datagrams, &stats, now);
	if (shared != guards->shared)
		lsp_log_debug("peer", "ping guard: %s",
			shared ? "another program here minds delays" : "nobody here minds delays");
	guards->shared = shared;
}

static void engage_all(struct lsp_guards *guards, lsp_time now)
{
	for (struct lsp_session *s = guards->peer->sessions; s; s = lsp_session_next(s))
		if (lsp_session_is_established(s))
			engage(guards, s, now);
}

void lsp_guards_switch(struct lsp_guards *guards, bool on)
{
	guards->on = on;
	engage_all(guards, lsp_peer_now(guards->peer));
	lsp_peer_kick(guards->peer);
}

/* While bulk moves: is somebody there? */
static void watch(void *argument)
{
	struct lsp_guards *guards = argument;
	lsp_time now = lsp_peer_now(guards->peer);
	if (!guards->on || guards->peer->stopping || let_go_at_rest(guards, now))
		return;
	look_for_others(guards, now);
	engage_all(guards, now);
	lsp_timer_start(&guards->watch, lsp_others_next_look(&guards->others, now));
	start_looks(guards, now);
}

/* On a line so slow that it does not count as bulk by what moves. */
static bool is_bulk_waiting(const struct lsp_peer *peer)
{
	for (struct lsp_session *s = peer->sessions; s; s = lsp_session_next(s)) {
		struct lsp_connection_stats stats;
		if (!lsp_session_is_established(s))
			continue;
		lsp_connection_get_stats(lsp_session_connection(s), &stats);
		if (stats.queued >= BULK_LOOK)
			return true;
	}
	return false;
}

static void idle_look(struct lsp_guards *guards, lsp_time now)
{
	look_for_others(guards, now);
	guards->idle_look = now + IDLE_LOOK;
	if (!guards->shared || !is_bulk_waiting(guards->peer))
		return;
	guards->until = now + LINGER;
	watch(guards);
}

void lsp_guards_tick(struct lsp_guards *guards)
{
	struct lsp_peer *peer = guards->peer;
	uint64_t moved = peer->sent + peer->received;
	if (moved - guards->moved >= MOVING)
		guards->until = lsp_peer_now(peer) + LINGER;
	guards->moved = moved;
	if (!lsp_timer_is_on(&guards->watch))
		watch(guards);
	if (guards->on && !lsp_timer_is_on(&guards->watch) &&
		lsp_peer_now(peer) >= guards->idle_look)
		idle_look(guards, lsp_peer_now(peer));
}

/* Bytes will move on that path: it is known at once whether they are to be held back. */
static void begin(struct lsp_guards *guards, struct lsp_session *session)
{
	lsp_time now = lsp_peer_now(guards->peer);
	guards->until = now + LINGER;
	if (!lsp_timer_is_on(&guards->watch))
		watch(guards);
	engage(guards, session, now);
	if (lsp_session_guard(session)->up_engaged)
		start_looks(guards, now);
}

bool lsp_guards_ask(struct lsp_guards *guards, struct lsp_session *session)
{
	begin(guards, session);
	return guards->on && guards->shared;
}

void lsp_guards_serve(struct lsp_guards *guards, struct lsp_session *session, bool gentle)
{
	struct lsp_guard *guard = lsp_session_guard(session);
	guard->gentle = gentle;
	if (gentle)
		guard->gentle_until = lsp_peer_now(guards->peer) + GENTLE_TIME;
	begin(guards, session);
}
