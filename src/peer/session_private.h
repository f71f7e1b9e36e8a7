/* What the files of a session share: session.c, session_games.c, session_haves.c. */
#pragma once

#include "peer/guard.h"
#include "peer/rate.h"
#include "peer/session.h"
#include "wire/message.h"

#include <stdarg.h>

struct lsp_exchange;
struct lsp_responder;

enum session_state {
	SESSION_GREETING, /* not both have said Hello */
	SESSION_ESTABLISHED,
	SESSION_GONE,
};

/* A content whose chunks this peer wants to hear of. */
struct lsp_follow {
	struct lsp_follow *prev, *next;
	struct lsp_hash content;
	struct lsp_ranges pending; /* gained, not told yet */
};

struct lsp_session {
	struct lsp_session *prev, *next; /* of the peer */
	struct lsp_peer *peer;
	struct lsp_connection *connection;
	enum session_state state;
	bool dialled;      /* by us */
	bool greeted;      /* its Hello came */
	bool listed_early; /* the other side has our list already: it is told of changes from then
			      on */
	lsp_time leaves_from; /* until then it is not asked for any */
	bool took_over; /* from another connection with the same peer: nothing new to anybody */

	struct lsp_hash id, instance;
	char name[LSP_PEER_NAME_MAX + 1]; /* before its Hello: the beginning of its id */
	uint64_t version;
	uint16_t torrent_port;      /* TCP, of its torrent engine; 0: it has none */
	uint16_t told_torrent_port; /* ours, as it was told last */
	lsp_time since;
	struct lsp_exchange *hello;

	struct lsp_session *challenger, *challenged; /* somebody with the same id; the other way */
	struct lsp_exchange *probe;
	lsp_time probe_deadline;

	lsp_time last_heard, last_ping;
	struct lsp_exchange *ping;

	uint64_t sent, received; /* payload bytes */
	struct lsp_rate up_rate, down_rate;

	/* Its games. */
	struct lsp_remote_peer *remote;
	lsp_swarm_id swarm_peer;
	struct lsp_guard guard;
	struct lsp_exchange *listing;
	bool list_again; /* a delta came that does not fit */
	uint64_t listing_revision;
	struct lsp_text_list listed; /* ids seen in this listing */
	char list_after[LSP_GAME_ID_MAX + 1];

	struct lsp_responder *responders; /* all of its requests */
	unsigned late_requests;

	/* What it was given and has not taken yet: serve_disk.c, upload.c. */
	size_t answer_bytes;
	unsigned answers, file_uploads;

	/* What it follows here. */
	struct lsp_follow *follows;
	size_t follow_count;
};

void lsp_session_refuse(struct lsp_session *session, enum lsp_close_reason reason,
	const char *format, ...) LSP_PRINTF(3, 4);
/* The other side's Hello, in a request or a response. */
void lsp_session_take_hello(struct lsp_session *session, const struct lsp_hello *hello);
void lsp_session_fill_hello(struct lsp_session *session, struct lsp_hello *hello);

/* session_games.c */
void lsp_session_list_games(struct lsp_session *session);
void lsp_session_take_delta(struct lsp_session *session, const struct lsp_library_delta *delta);
void lsp_session_stop_listing(struct lsp_session *session);

/* session_haves.c */
void lsp_session_take_haves(struct lsp_session *session, const struct lsp_haves *haves);
void lsp_session_take_have_update(struct lsp_session *session, const struct lsp_chunk_set *update);
void lsp_session_take_withdraw(struct lsp_session *session, const struct lsp_chunk_set *set);
LSP_MUST_CHECK int lsp_session_follow(struct lsp_session *session, const struct lsp_hash *content,
	struct lsp_haves *ret_haves, struct lsp_error *err);
void lsp_session_unfollow(struct lsp_session *session, const struct lsp_hash *content);
/* Its announcement of a content changed: a source of ours, or not any more. */
void lsp_session_source(struct lsp_session *session, const struct lsp_hash *content);
void lsp_session_drop_follows(struct lsp_session *session);
