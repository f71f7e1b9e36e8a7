/*
 * The QUIC endpoint: one UDP port, on which this machine is client and server at once.
 *
 * An endpoint makes connections and takes them; a connection carries bidirectional streams, one per
 * request. QUIC version 1 (RFC 9000) with mutual TLS 1.3, ALPN "lanspread/1"; who the other side is
 * follows from its key alone (net/identity.h). There is no 0-RTT and no resumption.
 *
 * Everything belongs to the thread of the uv_loop_t that the endpoint was given: every function
 * here is called there, every callback comes there, nothing blocks and nothing is locked. Writing
 * only queues: packets go out just before the loop waits, so many small writes share a packet. A
 * callback may call everything here, lsp_endpoint_free apart.
 *
 * Ownership. The endpoint owns the connections, a connection its streams. A connection may be used
 * until its `closed` callback has returned; a stream until its own has, or until it was let go of
 * with lsp_stream_abort. Closing never calls back from inside: `closed` of the streams, then of the
 * connection, come from the loop a moment later, exactly once each, and no other callback in
 * between.
 *
 * A connection that falls silent (a cable was pulled) is LSP_CLOSE_LOST after the idle timeout;
 * keep-alive packets see to it that silence means that. A connection that was closed on purpose
 * tells the other side why: a reason and a line of text.
 *
 * Floods are bounded: connections, handshakes, streams and memory per connection have limits;
 * handshakes beyond a threshold must prove their address first (Retry); packets that bring nothing
 * are thinned out before they are decrypted (ngtcp2 before 1.13 has no limit of its own for those).
 *
 * The clock is given. A test that owns it calls lsp_endpoint_tick after moving it.
 */
#pragma once

#include "net/address.h"
#include "net/identity.h"

#include "base/clock.h"

#include <uv.h>

struct lsp_endpoint;
struct lsp_connection;
struct lsp_stream;

#define LSP_ENDPOINT_ALPN "lanspread/1"
#define LSP_CLOSE_MESSAGE_MAX 256

/*
 * Why a connection ended. Those below LSP_CLOSE_LOST travel as the application error code of
 * CONNECTION_CLOSE: their numbers are part of the protocol (docs/protocol.md). Another number that
 * comes from a peer is taken as LSP_CLOSE_OTHER.
 */
enum lsp_close_reason {
	LSP_CLOSE_GOODBYE = 0,   /* it leaves, in peace */
	LSP_CLOSE_PROTOCOL = 1,  /* the other side broke a rule */
	LSP_CLOSE_DUPLICATE = 2, /* another connection between the two is kept */
	LSP_CLOSE_REPLACED = 3,  /* the peer came again, this one was taken for dead */
	LSP_CLOSE_BUSY = 4,      /* a limit is reached: try later */
	LSP_CLOSE_VERSION = 5,   /* no common protocol version */
	LSP_CLOSE_IDENTITY = 6,  /* the key is not the one that was announced or pinned */
	LSP_CLOSE_SELF = 7,      /* that is this very process */
	LSP_CLOSE_CLONE = 8,     /* another machine with our own key: a cloned disk */
	LSP_CLOSE_FORGOTTEN = 9, /* the user removed this peer */
	LSP_CLOSE_FAILED = 10,   /* something broke on the side that closes */
	LSP_CLOSE_OTHER = 15,
	/* Noticed here, never sent: */
	LSP_CLOSE_LOST = 1000, /* silence, or the other side forgot the connection (it restarted) */
	LSP_CLOSE_REFUSED,   /* the handshake failed: no common version, no certificate, no ALPN */
	LSP_CLOSE_NO_ANSWER, /* nobody answered the handshake in time */
};

/* "goodbye", "protocol", "lost", …: stable, for JSON. */
const char *lsp_close_reason_name(enum lsp_close_reason reason);

struct lsp_close {
	enum lsp_close_reason reason;
	bool by_peer; /* the other side said so; false: noticed or decided here */
	const char
		*message; /* one line, printable UTF-8, may be empty; until the callback returns */
};

/*
 * What a stream is reset with: part of the protocol as well. 0 is an orderly end.
 */
enum lsp_stream_code {
	LSP_STREAM_DONE = 0, /* both directions ended with FIN and all of ours was acknowledged */
	LSP_STREAM_CANCELLED = 1, /* not wanted any more */
	LSP_STREAM_PROTOCOL = 2,  /* the other side broke a rule on it */
	LSP_STREAM_FAILED = 3,    /* what it was for failed */
	LSP_STREAM_BUSY = 4,      /* a limit is reached */
	/* Never sent: */
	LSP_STREAM_CONNECTION = 1000, /* the connection ended */
};

/* ---- The endpoint ---- */

struct lsp_endpoint_callbacks {
	/* A handshake is done, in either direction; the peer's id is proven. */
	void (*connected)(struct lsp_connection *connection, void *argument);
	/*
	 * A connection that was made here (whether it came to `connected` or not), or that came to
	 * `connected`, is over. Incoming handshakes that fail are only counted.
	 */
	void (*closed)(
		struct lsp_connection *connection, const struct lsp_close *close, void *argument);
	/*
	 * The peer opened a stream. Give it callbacks here (lsp_stream_set_callbacks), or it is
	 * reset.
	 */
	void (*stream)(
		struct lsp_connection *connection, struct lsp_stream *stream, void *argument);
	/*
	 * The sockets do not work any more. The endpoint is of no use: free it (later, not here).
	 * All connections have been closed as FAILED.
	 */
	void (*failed)(const struct lsp_error *error, void *argument);
};

/* Zero in a field means its default, which is in brackets. */
struct lsp_endpoint_options {
	uv_loop_t *loop;
	const struct lsp_clock *clock;                  /* [the machine's] */
	struct lsp_identity *identity;                  /* a reference is taken */
	const struct lsp_endpoint_callbacks *callbacks; /* stays; `connected` … may be NULL */
	void *argument;

	const struct sockaddr_storage *listen; /* one address; NULL: all, IPv4 and IPv6 */
	uint16_t port;                         /* used when `listen` is NULL; 0: a free one */
	const char *interface;                 /* only this one (SO_BINDTODEVICE); NULL: all */

	unsigned max_connections; /* established ones, both directions [512] */
	unsigned max_handshakes;  /* incoming, unfinished [256] */
	unsigned retry_threshold; /* from so many on Retry; 1 with `always_retry` [32] */
	bool always_retry;
	unsigned max_streams;  /* that a peer may have open at once, per connection [256] */
	unsigned max_resets;   /* streams a second that a peer may reset, in the long run [200] */
	size_t stream_window;  /* bytes in flight to us on a stream that we opened [4 MiB] */
	size_t request_window; /* on a stream that the peer opened [256 KiB] */
	size_t connection_window; /* on all of them together [16 MiB] */
	size_t connection_memory; /* of the QUIC state of one connection [64 MiB] */
	size_t low_water;      /* unsent bytes of a stream below which it is `drained` [256 KiB] */
	uint64_t idle_timeout; /* ns [3.8 s] */
	uint64_t keep_alive;   /* ns [0.8 s] */
	uint64_t handshake_timeout; /* ns [5 s] */
	size_t socket_buffer;       /* asked for, in bytes [8 MiB] */
	unsigned max_udp_payload; /* the largest that path MTU discovery tries [8972]; 1200 to 65507
				   */
	bool no_gso, no_gro;      /* for tests and measurements */
	bool plain_dscp;          /* do not mark as lower effort (RFC 8622) */
};

/*
 * Binds the sockets. -LSP_E_BUSY when the port is taken (two daemons never share one);
 * -LSP_E_NOT_FOUND for an interface that is not there. The options are needed only until it
 * returns.
 */
LSP_MUST_CHECK int lsp_endpoint_new(const struct lsp_endpoint_options *options,
	struct lsp_endpoint **ret_endpoint, struct lsp_error *err);

/*
 * Tells every peer that we leave (reason and text, at once, before it returns) and takes no new
 * connections. Their `closed` callbacks come as always. Idempotent.
 */
void lsp_endpoint_close_all(
	struct lsp_endpoint *endpoint, enum lsp_close_reason reason, const char *message);

/*
 * Closes everything that is still open, calls the `closed` callbacks that are due, stops all
 * callbacks and frees it, once the loop has run on for a moment (its libuv handles must close);
 * `freed`, if not NULL, is called then.
 */
void lsp_endpoint_free(
	struct lsp_endpoint *endpoint, void (*freed)(void *argument), void *argument);

/* The port, the same for both families. */
uint16_t lsp_endpoint_port(const struct lsp_endpoint *endpoint);
/* Does it have a socket for this family (AF_INET, AF_INET6)? */
bool lsp_endpoint_has_family(const struct lsp_endpoint *endpoint, int family);
const struct lsp_hash *lsp_endpoint_peer_id(const struct lsp_endpoint *endpoint);

/* Runs what is due by the clock, then sends. The loop does this by itself with the machine's clock.
 */
void lsp_endpoint_tick(struct lsp_endpoint *endpoint);
/* When something will be due; LSP_TIME_NEVER: nothing as things stand. */
lsp_time lsp_endpoint_deadline(const struct lsp_endpoint *endpoint);

/*
 * At most so many bytes a second leave this endpoint, as the wire counts them (with the headers of
 * UDP, IP and Ethernet); 0: no limit. Acknowledgements are counted and never held back. In effect
 * at once.
 */
void lsp_endpoint_set_send_limit(struct lsp_endpoint *endpoint, uint64_t bytes_per_second);
/* Marks packets as lower effort (RFC 8622), or not. Connections that come later inherit it. */
void lsp_endpoint_set_lower_effort(struct lsp_endpoint *endpoint, bool on);

struct lsp_endpoint_stats {
	uint64_t sent_wire, received_wire;       /* UDP payload bytes */
	uint64_t sent_packets, received_packets; /* QUIC packets (datagrams on the wire) */
	uint64_t send_calls, receive_calls;      /* of the kernel */
	uint64_t received_messages;              /* that it gave us, each of one packet or more */
	uint64_t dropped; /* datagrams that belonged to nobody or were no QUIC */
	uint64_t thinned; /* packets dropped because their connection floods */
	uint64_t retries; /* Retry packets sent */
	uint64_t resets;  /* stateless resets sent */
	uint64_t refused; /* incoming handshakes refused: a limit */
	uint64_t failed_handshakes;
	unsigned connections, handshakes; /* now; outgoing handshakes count as connections */
	bool gso, gro;                    /* in use */
	int receive_buffer;               /* what the kernel gave, bytes */
};
void lsp_endpoint_get_stats(
	const struct lsp_endpoint *endpoint, struct lsp_endpoint_stats *ret_stats);

/* ---- Connections ---- */

/*
 * Begins a handshake with whoever is at that address. With an expected id, another key is refused
 * (LSP_CLOSE_IDENTITY, with a message that names both). Exactly one `closed` comes for it, later,
 * whatever happens. -LSP_E_BUSY at the limit of connections, -LSP_E_UNSUPPORTED for a family that
 * has no socket, -LSP_E_CLOSED after lsp_endpoint_close_all.
 */
LSP_MUST_CHECK int lsp_endpoint_connect(struct lsp_endpoint *endpoint,
	const struct sockaddr_storage *address, const struct lsp_hash *expected, void *user,
	struct lsp_connection **ret_connection, struct lsp_error *err);

/* Ends it and tells the other side. The message may be NULL. Nothing on one that has ended. */
void lsp_connection_close(
	struct lsp_connection *connection, enum lsp_close_reason reason, const char *message);
/* Ends it as lost, without a word to the other side. */
void lsp_connection_abandon(struct lsp_connection *connection, const char *message);

/* The caller's pointer; of an incoming connection NULL at first. */
void lsp_connection_set_user(struct lsp_connection *connection, void *user);
void *lsp_connection_user(const struct lsp_connection *connection);
struct lsp_endpoint *lsp_connection_endpoint(const struct lsp_connection *connection);
/* The proven id; before `connected` the expected one, or all zero. */
const struct lsp_hash *lsp_connection_peer_id(const struct lsp_connection *connection);
/* Who opened it: we did. */
bool lsp_connection_is_outgoing(const struct lsp_connection *connection);
/* Where the peer is now. */
const struct sockaddr_storage *lsp_connection_address(const struct lsp_connection *connection);

/*
 * The endpoint's functions of the same names, for one connection; both limits hold. This one is for
 * a controller that changes it many times a second: a change saves nothing up, packets leave in
 * bursts of a millisecond, and what could not be sent for a while is not made up for.
 */
void lsp_connection_set_send_limit(struct lsp_connection *connection, uint64_t bytes_per_second);
void lsp_connection_set_lower_effort(struct lsp_connection *connection, bool on);

struct lsp_connection_stats {
	uint64_t sent, received; /* stream bytes; what is sent again does not count again */
	uint64_t sent_wire, received_wire; /* UDP payload bytes */
	uint64_t sent_packets, received_packets;
	uint64_t rtt_latest, rtt_min, rtt_smoothed; /* ns; 0 before the first sample */
	uint64_t rtt_variation;
	uint64_t cwnd, in_flight; /* bytes */
	uint64_t queued;          /* unsent bytes of all streams */
	size_t udp_payload;       /* the path's, as discovered so far */
	size_t memory;            /* bytes of QUIC state */
	unsigned streams;         /* open now */
	lsp_time since;           /* handshake done (or begun) */
	lsp_time last_received;   /* a packet came; 0: none yet */
};
void lsp_connection_get_stats(
	const struct lsp_connection *connection, struct lsp_connection_stats *ret_stats);
/*
 * The smallest round trip that was measured since this was asked last, ns, and how many were;
 * false: none was. It is raw: the peer's ACK delay is in it (the smallest of several has none).
 */
bool lsp_connection_take_round_trip(
	struct lsp_connection *connection, uint64_t *ret_least, unsigned *ret_count);

/* ---- Streams ---- */

struct lsp_stream_callbacks {
	/*
	 * Bytes in order, valid during the call only; fin with the last ones (or with none). Every
	 * byte takes room in the window until lsp_stream_consume gives it back: a slow reader holds
	 * the sender.
	 */
	void (*data)(struct lsp_stream *stream, const uint8_t *data, size_t size, bool fin,
		void *argument);
	/*
	 * Less than the low-water mark is unsent: write more, or finish. Once per write, and once
	 * more when nothing is left. May be NULL.
	 */
	void (*drained)(struct lsp_stream *stream, void *argument);
	/*
	 * It is over: an enum lsp_stream_code, or another number that the peer chose. Any other
	 * code than DONE: bytes may be missing in either direction.
	 */
	void (*closed)(struct lsp_stream *stream, uint64_t code, void *argument);
};

/*
 * Opens one. It may wait unsent until the peer allows another stream. -LSP_E_CLOSED when the
 * connection is over or not yet `connected`; -LSP_E_BUSY beyond 16384 of ours at once. callbacks
 * stays, argument is theirs.
 */
LSP_MUST_CHECK int lsp_connection_open_stream(struct lsp_connection *connection,
	const struct lsp_stream_callbacks *callbacks, void *argument,
	struct lsp_stream **ret_stream, struct lsp_error *err);

void lsp_stream_set_callbacks(
	struct lsp_stream *stream, const struct lsp_stream_callbacks *callbacks, void *argument);
struct lsp_connection *lsp_stream_connection(const struct lsp_stream *stream);

/* Queues a copy. -LSP_E_CLOSED when its sending side is over (then `closed` comes, or came). */
LSP_MUST_CHECK int lsp_stream_write(
	struct lsp_stream *stream, const void *data, size_t size, struct lsp_error *err);
/*
 * Queues the caller's own bytes, which must stay as they are until release(argument) is called, on
 * the loop: when the peer has acknowledged them, or the stream is over, or after an abort. On an
 * error nothing is queued and release is not called.
 */
LSP_MUST_CHECK int lsp_stream_write_owned(struct lsp_stream *stream, const void *data, size_t size,
	void (*release)(void *argument), void *argument, struct lsp_error *err);
/* No more will be written: FIN follows what is queued. */
void lsp_stream_finish(struct lsp_stream *stream);
/* Gives back room in the window, at most what was received. */
void lsp_stream_consume(struct lsp_stream *stream, size_t size);
/* Written and not yet sent. */
size_t lsp_stream_queued(const struct lsp_stream *stream);
/* Bytes that were written and will never be sent: either side gave the stream up before. */
uint64_t lsp_stream_unsent(const struct lsp_stream *stream);
/* Gives up both directions; what is queued is dropped. `closed` with this code follows. */
void lsp_stream_reset(struct lsp_stream *stream, uint64_t code);
/*
 * Lets go of it: no callback comes any more and the handle is gone. What is not complete is reset
 * with this code; a stream that is (FIN received, finish called) ends in its own time.
 */
void lsp_stream_abort(struct lsp_stream *stream, uint64_t code);
