/*
 * What the files of the endpoint share. endpoint.c is the life of the endpoint and what its loop
 * does; receive.c sorts datagrams and takes connections; connection.c is one connection and its
 * ngtcp2 callbacks; tls.c its handshake; stream.c the streams and their queues; send.c decides
 * whose bytes go into the next packet.
 *
 * Callbacks of ngtcp2 run in the midst of its work, where neither writing packets nor freeing the
 * connection is allowed. So everything of that kind is only noted, and done by lsp_endpoint_tick,
 * which the loop calls just before it waits.
 */
#pragma once

#include "net/cid_table.h"
#include "net/endpoint.h"
#include "net/rate_limit.h"
#include "net/udp.h"

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <utlist.h>

/* In every packet that comes to us: 16 would be half a percent of the line. */
#define LSP_CID_SIZE 8
/* Ids of ours that one connection can have at a time: ngtcp2 hands out up to 8, and the first two.
 */
#define LSP_CONNECTION_CIDS 12
#define LSP_LOCAL_STREAMS_MAX 16384
#define LSP_CLOSE_PACKET_MAX 1200
/* Headers that the wire counts besides the UDP payload: UDP, IPv4 or IPv6, Ethernet. */
#define LSP_WIRE_OVERHEAD_V4 (8 + 20 + 14)
#define LSP_WIRE_OVERHEAD_V6 (8 + 40 + 14)
#define LSP_DSCP_LOWER_EFFORT 1

/* ---- Streams ---- */

/* A run of bytes that waits to be sent, or to be acknowledged. */
struct lsp_segment {
	struct lsp_segment *next;
	const uint8_t *data;
	size_t size, capacity; /* capacity: of own_data; 0 for the caller's bytes */
	uint64_t end;          /* stream offset behind it */
	void (*release)(void *argument);
	void *argument;
	uint8_t own_data[];
};

struct lsp_stream {
	struct lsp_connection *connection;
	int64_t id; /* −1: the peer has not allowed it yet */
	const struct lsp_stream_callbacks *callbacks;
	void *argument;

	/* Sending. `sending` is the segment that the next byte comes from. */
	struct lsp_segment *first, *last, *sending;
	size_t sending_offset;
	uint64_t written; /* all that was queued */
	uint64_t unsent;  /* of it, what was dropped */
	uint64_t sent;    /* of it given to QUIC */
	uint64_t turn;    /* bytes sent in this turn */

	uint64_t received, consumed;
	uint64_t end_code;

	bool finish; /* no more will be written */
	bool fin_sent;
	bool write_over; /* reset, or the peer wants no more */
	bool fin_received;
	bool reset_received;
	bool shut;    /* we have reset it */
	bool ready;   /* in the connection's list of those that can send */
	bool blocked; /* by the peer's window */
	bool want_drained, in_events;
	bool over;      /* `closed` is due or was called: the handle is dead */
	bool detached;  /* nobody listens any more */
	bool quic_over; /* ngtcp2 does not know it any more */

	struct lsp_stream *previous, *next;             /* of the connection */
	struct lsp_stream *ready_previous, *ready_next; /* ready, or waiting for an id */
	struct lsp_stream *event_previous, *event_next; /* drained or closed is due */
};

/* ---- Connections ---- */

enum lsp_connection_state {
	LSP_CONNECTION_HANDSHAKE,
	LSP_CONNECTION_UP,    /* `connected` was called */
	LSP_CONNECTION_ENDED, /* nothing more comes but `closed` */
	LSP_CONNECTION_HUSK,  /* `closed` was called; late packets are answered with the close */
};

struct lsp_connection {
	struct lsp_endpoint *endpoint;
	enum lsp_connection_state state;
	bool outgoing, was_up, counted_handshake;
	void *user;

	ngtcp2_conn *quic; /* NULL: a husk */
	gnutls_session_t tls;
	ngtcp2_crypto_conn_ref reference;
	ngtcp2_mem allocator;
	size_t memory; /* what ngtcp2 has allocated */

	struct lsp_udp_socket *socket;
	struct sockaddr_storage remote;
	struct lsp_udp_local local;
	struct lsp_cid_entry cids[LSP_CONNECTION_CIDS];

	bool has_expected, key_known;
	struct lsp_hash expected, peer_id;

	/* The end. */
	struct lsp_close close;
	char close_message[LSP_CLOSE_MESSAGE_MAX];
	int quic_error;      /* of ngtcp2, negative; 0: closed for a reason of ours */
	bool say_nothing;    /* do not send CONNECTION_CLOSE */
	bool reset_received; /* a stateless reset: the other side forgot us */
	bool refusing;       /* the key is wrong: closes once the other side can read why */
	lsp_time refuse_at;
	uint8_t *close_packet; /* of a husk */
	size_t close_size;
	unsigned husk_packets;
	lsp_time husk_until;

	/* Sending. */
	bool dirty;        /* in the endpoint's list of those with something to send */
	bool paused;       /* waits for a limit of bytes per second */
	bool data_blocked; /* the peer's window for the whole connection is full */
	bool lower_effort;
	lsp_time expiry;        /* when ngtcp2 wants to be called */
	unsigned unpaced_turns; /* of acknowledgements alone */
	struct lsp_rate_limit limit;
	uint64_t rtt_seen, rtt_least; /* the last sample; the smallest since it was taken */
	unsigned rtt_count;           /* samples since */
	struct lsp_stream *ready, *waiting, *streams;
	unsigned stream_count, local_stream_count;
	uint64_t queued;

	/* Floods: packets that brought nothing, and streams that were reset. */
	bool progress;
	struct lsp_rate_limit idle_packets, stream_resets;

	uint64_t sent, received, sent_wire, received_wire, sent_packets, received_packets;
	lsp_time since, last_received;

	struct lsp_connection *previous, *next; /* of the endpoint */
	struct lsp_connection *dirty_previous, *dirty_next;
};

/* ---- The endpoint ---- */

struct lsp_endpoint {
	uv_loop_t *loop;
	const struct lsp_clock *clock;
	struct lsp_identity *identity;
	const struct lsp_endpoint_callbacks *callbacks;
	void *argument;
	struct lsp_endpoint_options options; /* with the defaults filled in */
	uint16_t port;

	struct lsp_udp_socket sockets[2];
	size_t socket_count;
	bool refusal_told; /* see udp.h */
	struct lsp_udp_receiver *receiver;
	struct lsp_cid_table cids;
	uint8_t reset_secret[LSP_SHA256_SIZE], token_secret[LSP_SHA256_SIZE];

	struct lsp_connection *connections, *dirty;
	struct lsp_stream *events; /* streams with `drained` or `closed` due */
	unsigned connection_count, handshake_count;
	bool in_quic; /* in the midst of ngtcp2's work */
	bool ended;   /* some connection has ended and was not reaped yet */
	bool closing; /* takes and makes no more connections */
	bool silent;  /* no more callbacks: being freed */
	bool broken;
	struct lsp_error broken_error;

	struct lsp_rate_limit limit;
	struct lsp_rate_limit stray_answers; /* resets, version negotiation, refusals */
	struct lsp_rate_limit retry_answers;
	struct lsp_endpoint_stats stats;
	bool lower_effort;

	/* libuv */
	uv_poll_t polls[2];
	uv_poll_t alarm;
	uv_prepare_t prepare;
	uv_idle_t idle;
	int alarm_fd;
	lsp_time alarm_at;
	unsigned handles;
	bool alarm_open, prepare_open, polls_open[2];
	void (*freed)(void *argument);
	void *freed_argument;
};

static inline lsp_time lsp_endpoint_now(const struct lsp_endpoint *endpoint)
{
	return lsp_now(endpoint->clock);
}

/* tls.c */
LSP_MUST_CHECK int lsp_connection_start_tls(
	struct lsp_connection *connection, struct lsp_error *err);

/* connection.c */
struct lsp_arrival {
	struct lsp_udp_socket *socket;
	const struct sockaddr_storage *remote;
	const struct lsp_udp_local *local;
};
LSP_MUST_CHECK int lsp_connection_new_client(struct lsp_endpoint *endpoint,
	struct lsp_udp_socket *socket, const struct sockaddr_storage *remote,
	struct lsp_connection **ret_connection, struct lsp_error *err);
/*
 * odcid NULL: no Retry came before. now: when its first packet came, which is read next (time must
 * not run backwards for ngtcp2, which asserts it).
 */
LSP_MUST_CHECK int lsp_connection_new_server(struct lsp_endpoint *endpoint,
	const struct lsp_arrival *arrival, const ngtcp2_pkt_hd *header, const ngtcp2_cid *odcid,
	lsp_time now, struct lsp_connection **ret_connection, struct lsp_error *err);
/* One packet of it. */
void lsp_connection_read(struct lsp_connection *connection, const struct lsp_arrival *arrival,
	const uint8_t *data, size_t size, lsp_time now);
void lsp_connection_run_timers(struct lsp_connection *connection, lsp_time now);
void lsp_connection_mark_dirty(struct lsp_connection *connection);
void lsp_connection_new_cid(ngtcp2_cid *ret_cid);

/* connection_end.c */
/* Notes the end; the first reason wins. */
void lsp_connection_end(struct lsp_connection *connection, enum lsp_close_reason reason,
	bool by_peer, const char *message);
/* Ends it for an error of ngtcp2. */
void lsp_connection_break(struct lsp_connection *connection, int code);
/* Writes and sends CONNECTION_CLOSE, and drops the QUIC state. It becomes a husk. */
void lsp_connection_bury(struct lsp_connection *connection, lsp_time now);
void lsp_connection_free(struct lsp_connection *connection);
/* It is no handshake under way any more: it is up, or it failed. */
void lsp_connection_leave_handshakes(struct lsp_connection *connection);
/* A husk was sent something: it answers now and then. */
void lsp_husk_receive(struct lsp_connection *connection, const struct lsp_arrival *arrival);

/* crowd.c */
/*
 * The table of connections in that state (HANDSHAKE: incoming ones; UP) is full: who would give way
 * to this newcomer. One of the address that has most of them, if that is more than the newcomer's
 * would have; else NULL.
 */
struct lsp_connection *lsp_endpoint_crowded(struct lsp_endpoint *endpoint,
	const struct sockaddr_storage *newcomer, enum lsp_connection_state state);
/* Ends it. False: nobody gives way. */
bool lsp_endpoint_make_room(struct lsp_endpoint *endpoint, const struct sockaddr_storage *newcomer,
	enum lsp_connection_state state);

/* stream.c */
int lsp_stream_accept(struct lsp_connection *connection, int64_t id);
int lsp_stream_receive(struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin);
void lsp_stream_acked(struct lsp_stream *stream, uint64_t end);
void lsp_stream_quic_closed(struct lsp_stream *stream, uint64_t code);
void lsp_stream_remote_reset(struct lsp_stream *stream, uint64_t code);
/* The peer's window has room again. */
void lsp_stream_unblock(struct lsp_stream *stream);
/* Ids for the streams that wait for one. */
void lsp_streams_open_waiting(struct lsp_connection *connection);
void lsp_stream_make_ready(struct lsp_stream *stream, bool in_front);
void lsp_stream_unready(struct lsp_stream *stream);
/* The sending side is over (the peer stopped it). */
void lsp_stream_write_over(struct lsp_stream *stream);
void lsp_stream_check_drained(struct lsp_stream *stream);
/* Calls `drained` and `closed` that are due. True if there were any. */
bool lsp_streams_run_events(struct lsp_endpoint *endpoint);
/* The connection ended: all its streams close. */
void lsp_streams_end_all(struct lsp_connection *connection);
/* Frees them. */
void lsp_streams_free_all(struct lsp_connection *connection);

/* send.c */
/* Sends what may be sent; false: there is more, and the loop should come back at once. */
bool lsp_endpoint_send(struct lsp_endpoint *endpoint, lsp_time now);
/* A packet that belongs to no connection's queue. False: no room, it is dropped. */
bool lsp_endpoint_send_single(struct lsp_endpoint *endpoint, const struct lsp_arrival *arrival,
	const uint8_t *data, size_t size);
/* One turn of a connection, for a close that follows. */
void lsp_connection_write_once(struct lsp_connection *connection, lsp_time now);
/* When a paused connection may go on. */
lsp_time lsp_connection_resume_at(const struct lsp_connection *connection);
void lsp_endpoint_socket_failed(struct lsp_endpoint *endpoint, int sys_errno);

/* receive.c */
/* Reads what is there, up to a bound; true if there may be more. */
bool lsp_endpoint_receive(struct lsp_endpoint *endpoint, struct lsp_udp_socket *socket);
