/*
 * A session: what two peers say to each other over one connection.
 *
 * The side that dialled says Hello first; until both have said it, nothing else is heard. Then each
 * lists the other's games, page by page, and from there on they tell each other what changes
 * (LibraryDelta, with revisions, so that a lost one is noticed and the list fetched anew), who has
 * which chunks (Follow, HaveUpdate), and that they are still there (Ping). A session feeds the
 * database and the swarm and is fed by them.
 *
 * There is one session per pair of peers. When both dial at once, the connection that the smaller
 * id dialled stays. When a peer comes again while its old session still seems alive, the old one is
 * asked: if it answers, two machines use one identity (a cloned disk), which is said to both users,
 * and the first stays; if not, it was dead and the new one takes its place.
 *
 * All on the core loop. A session is made when the handshake is done and ends with its connection.
 */
#pragma once

#include "net/endpoint.h"
#include "peer/share.h"

#include <jansson.h>

struct lsp_guard;
struct lsp_peer;
struct lsp_remote_peer;
struct lsp_request;
struct lsp_session;

/* A handshake is done. */
void lsp_session_start(struct lsp_peer *peer, struct lsp_connection *connection);
/* The connection is gone. */
void lsp_session_end(struct lsp_session *session, const struct lsp_close *close);
/* The peer opened a stream. */
void lsp_session_stream(struct lsp_session *session, struct lsp_stream *stream);

struct lsp_peer *lsp_session_peer(const struct lsp_session *session);
const char *lsp_session_name(const struct lsp_session *session); /* of a NULL session: "?" */
const struct lsp_hash *lsp_session_id(const struct lsp_session *session);
struct lsp_connection *lsp_session_connection(const struct lsp_session *session);
lsp_swarm_id lsp_session_swarm_peer(const struct lsp_session *session);
struct lsp_guard *lsp_session_guard(struct lsp_session *session);
bool lsp_session_is_established(const struct lsp_session *session);
/*
 * Until then it is asked for whole chunks: LSP_TIME_NEVER, as long as it is connected, of one whose
 * answers to requests for leaves are of no use.
 */
void lsp_session_refuse_leaves(struct lsp_session *session, lsp_time until);
bool lsp_session_gives_leaves(const struct lsp_session *session);
void lsp_session_count_sent(struct lsp_session *session, size_t bytes);
void lsp_session_count_received(struct lsp_session *session, size_t bytes);
struct lsp_session *lsp_session_next(const struct lsp_session *session);
/* The established one with that peer, or NULL. */
struct lsp_session *lsp_session_find(const struct lsp_peer *peer, const struct lsp_hash *id);

/* Once a second: pings, deadlines, round trips to the swarm. */
void lsp_sessions_tick(struct lsp_peer *peer);
/* What was announced since goes out. */
void lsp_sessions_flush_haves(struct lsp_peer *peer);
/* A share came to be: who announces its content becomes a source. */
void lsp_sessions_offer_share(struct lsp_peer *peer, struct lsp_share *share);
/* Chunks of a share were gained (lost): tell who follows it. */
void lsp_sessions_announce_chunks(struct lsp_peer *peer, struct lsp_share *share, uint32_t first,
	uint32_t count, bool gained);
/* Tells whoever was told another one where our torrent engine listens now. */
void lsp_sessions_tell_torrent_port(struct lsp_peer *peer);
/* Tells everybody. */
void lsp_sessions_tell_all(struct lsp_peer *peer, const struct lsp_request *request);
/* Tells the peer that a chunk from it was rejected, and the user. */
void lsp_session_reject_chunk(struct lsp_session *session, struct lsp_share *share, uint32_t chunk);

/*
 * Where its torrent engine listens, as "ADDRESS:PORT" (room for LSP_ADDRESS_TEXT_MAX). False: it
 * has none, or is known by link-local addresses alone, which libtorrent cannot dial.
 */
bool lsp_session_torrent_address(const struct lsp_session *session, char *ret_address);

/* The Peer object of docs/api.md. */
json_t *lsp_session_json(const struct lsp_session *session);
