/*
 * Who gets which chunk from whom.
 *
 * One lsp_swarm is the whole share of one node in every swarm it is in: what it fetches and what it
 * serves. It is a pure state machine: no sockets, threads, files or clock of its own. Time comes in
 * as `now` (never backwards; a smaller one counts as the last), chance from a seed, so hundreds of
 * nodes run in one process on a simulated clock (tests/sim) with the very code that the daemon
 * runs.
 *
 *     lsp_swarm_peer_add, lsp_swarm_game_add, lsp_swarm_peer_has_all, …   what happened
 *     lsp_swarm_run(swarm, now)                                          think
 *     while (lsp_swarm_next_action(swarm, &action)) …                    what to do
 *     sleep until lsp_swarm_deadline(swarm) or the next event
 *
 * The ideas are told in docs/swarm.md. In short. Fetching: a peer is chosen by how soon it would
 * deliver, then the rarest chunk that it has (ties by chance). What is in flight at a peer follows
 * its measured rate × delay. No chunk is ever in flight twice; near the end one that waits at a
 * slow peer is moved to a fast one. Serving: requests wait in one queue; the rarest chunk goes
 * first, equal ones to the peer that got least; every fourth turn goes by peer alone, so that
 * nobody starves. A seeder that is the bottleneck bounces a request for a chunk that it already
 * gave out
 * ("elsewhere"), naming one that nobody has yet: each chunk leaves once before any leaves twice.
 *
 * Names. A *game* is one content (a manifest) of which we hold some chunks; it is served as far as
 * we have it and, while *wanted*, fetched. A *source* is a peer that announced a game. A *request*
 * is a run of consecutive chunks asked of one source over one stream.
 *
 * Ids are numbers that are never used again; one whose thing is gone is ignored (lookups return
 * -LSP_E_NOT_FOUND), so an answer may race a cancel. `owner` pointers are the caller's and are only
 * handed back. Actions about a peer, a game or an upload are withdrawn when it is removed or its
 * end is told: an action that comes out of lsp_swarm_next_action speaks of things that are there.
 * Of a game that is removed only the ends of its requests and uploads are still said, with no
 * `game_owner`.
 *
 * Threads: one owner, no locks, nothing blocks. Memory: per game about 16 bytes a chunk (32 while
 * it is served), per source at most 2 bits and (after failures) one byte a chunk; requests and
 * queues are bounded by the limits below. Out of memory inside an event never corrupts: a request
 * is not made, or an announcement is forgotten and said to the caller (-LSP_E_NO_MEMORY).
 */
#pragma once

#include "base/bitmap.h"
#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t lsp_swarm_id; /* 0 is none */

/* ---- Limits ---------------------------------------------------------------------------------- */

#define LSP_SWARM_PARALLEL 16          /* requests in flight that make progress, all peers */
#define LSP_SWARM_PARALLEL_MAX 256     /* the same on a fast line with small chunks */
#define LSP_SWARM_REQUESTS_MAX 1024    /* with those at peers that send nothing */
#define LSP_SWARM_PEER_REQUESTS_MAX 64 /* in flight at one peer */
#define LSP_SWARM_WINDOW_MAX (UINT64_C(64) << 20) /* bytes in flight at one peer */
#define LSP_SWARM_RUN_BYTES (UINT64_C(192) << 10) /* small chunks in one request */
#define LSP_SWARM_RUN_CHUNKS 256                  /* and how many they may be */
#define LSP_SWARM_TRIES 3                         /* of one chunk at one peer */
#define LSP_SWARM_UPLOAD_QUEUE_MAX 64 /* requests of one peer that wait; more are refused */
#define LSP_SWARM_UPLOAD_SLOTS 4      /* uploads that run at once; more while receivers are slow */
#define LSP_SWARM_UPLOAD_SLOTS_MAX 32
#define LSP_SWARM_CHUNKS_MAX (1u << 24)
#define LSP_SWARM_PEERS_MAX 4096

/* ---- Life ------------------------------------------------------------------------------------ */

struct lsp_swarm;

LSP_MUST_CHECK int lsp_swarm_new(
	uint64_t seed, lsp_time now, struct lsp_swarm **ret_swarm, struct lsp_error *err);
/* Takes NULL. No actions come for what is still in flight. */
void lsp_swarm_free(struct lsp_swarm *swarm);
LSP_DEFINE_CLEANUP(struct lsp_swarm *, lsp_swarm_free);

/* ---- Games ----------------------------------------------------------------------------------- */

/*
 * `sizes` is chunk_count sizes in bytes, all above 0 (copied); `have` the chunks that are here and
 * verified (copied; NULL: none). Not wanted at first: served only.
 */
LSP_MUST_CHECK int lsp_swarm_game_add(struct lsp_swarm *swarm, uint32_t chunk_count,
	const uint32_t *sizes, const struct lsp_bitmap *have, void *owner, lsp_swarm_id *ret_game,
	struct lsp_error *err);
/* Its requests are cancelled (one action each), its uploads bounced or stopped. */
void lsp_swarm_game_remove(struct lsp_swarm *swarm, lsp_swarm_id game);
/* true: fetch it (start, resume). false: stop (pause, cancel): its requests are cancelled. */
void lsp_swarm_game_want(struct lsp_swarm *swarm, lsp_swarm_id game, bool wanted);
/* Chunks that came to be here by other means (reused from an old version), and ones that proved
 * damaged on our disk and are not served any more. Both are announced. */
void lsp_swarm_game_gained(
	struct lsp_swarm *swarm, lsp_swarm_id game, uint32_t first, uint32_t count);
void lsp_swarm_game_lost(
	struct lsp_swarm *swarm, lsp_swarm_id game, uint32_t first, uint32_t count);

enum lsp_swarm_state {
	LSP_SWARM_IDLE,     /* not wanted */
	LSP_SWARM_FETCHING, /* wanted, sources there */
	LSP_SWARM_WAITING,  /* wanted, no source at all: goes on by itself when one comes */
	LSP_SWARM_FAILED, /* a chunk has holders, none of them is left to try; a new announcement or
			   * lsp_swarm_game_want(true) starts it again */
	LSP_SWARM_COMPLETE, /* every chunk is here */
};

struct lsp_swarm_game_status {
	enum lsp_swarm_state state;
	uint32_t chunks_have, chunks_total;
	uint32_t sources;   /* that announced it and are not dropped */
	uint32_t in_flight; /* chunks asked for */
	bool stalled;       /* fetching, and no byte came for 10 s */
	uint64_t bytes_have, bytes_total;
	uint64_t bytes_received; /* of chunks, wasted ones too */
	uint64_t bytes_wasted;   /* of chunks that did not count: cancelled, rejected */
	uint64_t rate;           /* bytes a second of late */
	uint64_t upload_rate;
	uint32_t failed_chunk; /* the one that LSP_SWARM_FAILED speaks of */
};
LSP_MUST_CHECK int lsp_swarm_game_status(
	const struct lsp_swarm *swarm, lsp_swarm_id game, struct lsp_swarm_game_status *ret_status);
/* The chunks that are here; valid until the game is removed. NULL for an unknown id. */
const struct lsp_bitmap *lsp_swarm_game_have(const struct lsp_swarm *swarm, lsp_swarm_id game);
/* How many sources have the rarest of these chunks. 0 for an unknown id or chunks beyond the end.
 */
uint32_t lsp_swarm_game_availability(
	const struct lsp_swarm *swarm, lsp_swarm_id game, uint32_t first, uint32_t count);

/* ---- Peers ----------------------------------------------------------------------------------- */

/*
 * A connection to a peer is up. `key` is a number that stays the same for the same peer id (its
 * first 8 bytes): a peer that leaves and comes back does not lose the record of its bad chunks.
 */
LSP_MUST_CHECK int lsp_swarm_peer_add(struct lsp_swarm *swarm, uint64_t key, void *owner,
	lsp_swarm_id *ret_peer, struct lsp_error *err);
/* It is gone, with all that is in flight both ways; nobody is blamed and no action comes for it. */
void lsp_swarm_peer_remove(struct lsp_swarm *swarm, lsp_swarm_id peer);
/* The connection's round trip, as measured; sizes the window. */
void lsp_swarm_peer_rtt(struct lsp_swarm *swarm, lsp_swarm_id peer, uint64_t smoothed_nanoseconds);
/*
 * What this path's ping guard lets us ask for, wire bytes a second; LSP_PING_GUARD_FREE (at first):
 * all. Uploads are paced where their packets leave, by the connection.
 */
void lsp_swarm_peer_guard(struct lsp_swarm *swarm, lsp_swarm_id peer, uint64_t down);

/*
 * The peer announces a game: all of it, or the chunks in `have` (as many bits as the game has
 * chunks, else -LSP_E_PROTOCOL). It replaces what it announced before, lifts a drop (a liar's
 * probation grows with each) and makes tries count afresh.
 */
LSP_MUST_CHECK int lsp_swarm_peer_has_all(
	struct lsp_swarm *swarm, lsp_swarm_id peer, lsp_swarm_id game, struct lsp_error *err);
LSP_MUST_CHECK int lsp_swarm_peer_has(struct lsp_swarm *swarm, lsp_swarm_id peer, lsp_swarm_id game,
	const struct lsp_bitmap *have, struct lsp_error *err);
/* More chunks (it must have announced the game); fewer. -LSP_E_PROTOCOL outside the game. */
LSP_MUST_CHECK int lsp_swarm_peer_gained(struct lsp_swarm *swarm, lsp_swarm_id peer,
	lsp_swarm_id game, uint32_t first, uint32_t count, struct lsp_error *err);
LSP_MUST_CHECK int lsp_swarm_peer_lost(struct lsp_swarm *swarm, lsp_swarm_id peer,
	lsp_swarm_id game, uint32_t first, uint32_t count, struct lsp_error *err);
/* It does not share the game any more. */
void lsp_swarm_peer_withdrew(struct lsp_swarm *swarm, lsp_swarm_id peer, lsp_swarm_id game);

struct lsp_swarm_source_status {
	uint32_t chunks;    /* that it announced */
	uint32_t in_flight; /* requests at it, for every game */
	uint64_t window;    /* bytes that may be in flight at it */
	uint64_t rate;      /* bytes a second from it, 0: not measured yet */
	uint64_t bytes_received, bytes_sent;
	uint32_t rejected; /* bad chunks, ever */
	bool dropped;      /* for this game */
};
LSP_MUST_CHECK int lsp_swarm_source_status(const struct lsp_swarm *swarm, lsp_swarm_id peer,
	lsp_swarm_id game, struct lsp_swarm_source_status *ret_status);

/* ---- Our requests: what became of them ------------------------------------------------------- */

/* Payload bytes came. Counted at once: the window opens before the chunk is verified. */
void lsp_swarm_received(
	struct lsp_swarm *swarm, lsp_swarm_id request, uint64_t bytes, lsp_time now);
/* A chunk of the request is verified and on disk: it counts, is announced and served. */
void lsp_swarm_verified(
	struct lsp_swarm *swarm, lsp_swarm_id request, uint32_t chunk, lsp_time now);
/* It has the wrong hash: the peer is dropped for this game; the whole request is over. */
void lsp_swarm_rejected(
	struct lsp_swarm *swarm, lsp_swarm_id request, uint32_t chunk, lsp_time now);

enum lsp_swarm_failure {
	LSP_SWARM_BROKEN,  /* reset, short, an error answer: one of the tries of each chunk left */
	LSP_SWARM_MISSING, /* "I don't have that": taken as lsp_swarm_peer_lost of the first chunk
			      left */
	LSP_SWARM_LOCAL,   /* our own trouble (disk full): nobody's fault, no try counted */
};
void lsp_swarm_failed(struct lsp_swarm *swarm, lsp_swarm_id request, enum lsp_swarm_failure failure,
	lsp_time now);

enum lsp_swarm_bounce {
	LSP_SWARM_ELSEWHERE, /* others have it or get it now; the hint names one that nobody has */
	LSP_SWARM_BUSY,      /* the queue is full */
	LSP_SWARM_PAUSED,    /* uploads are paused */
};
#define LSP_SWARM_NO_HINT UINT32_MAX
/* The peer will not serve this now. No failure; it is asked for something else, or later. */
void lsp_swarm_bounced(struct lsp_swarm *swarm, lsp_swarm_id request, enum lsp_swarm_bounce reason,
	uint32_t hint, lsp_time now);

/* ---- Others' requests ------------------------------------------------------------------------ */

/*
 * A peer asks for chunks first … first + count − 1. It waits until an action starts or bounces it,
 * maybe in the same run. insist: as the request said (see lsp_swarm_action). -LSP_E_NOT_FOUND when
 * a chunk is not here or the ids are unknown, -LSP_E_PROTOCOL when the run breaks the limits,
 * -LSP_E_BUSY when too many of its requests wait; then nothing is queued and the caller answers.
 */
LSP_MUST_CHECK int lsp_swarm_upload_add(struct lsp_swarm *swarm, lsp_swarm_id peer,
	lsp_swarm_id game, uint32_t first, uint32_t count, bool insist, void *owner, lsp_time now,
	lsp_swarm_id *ret_upload, struct lsp_error *err);
/* Bytes of it were handed to the connection. */
void lsp_swarm_upload_sent(
	struct lsp_swarm *swarm, lsp_swarm_id upload, uint64_t bytes, lsp_time now);
/* Over: all of it was sent, or the peer cancelled it, or it failed. */
void lsp_swarm_upload_end(
	struct lsp_swarm *swarm, lsp_swarm_id upload, bool complete, lsp_time now);
/*
 * How many bytes of a running upload may be handed on now (limits, pause); at most `want`.
 * 0: ask again at *ret_again. What is granted counts against the limits at once; what then did not
 * leave is given back with lsp_swarm_game_unused.
 */
uint64_t lsp_swarm_upload_grant(struct lsp_swarm *swarm, lsp_swarm_id upload, uint64_t want,
	lsp_time now, lsp_time *ret_again);
/* So many bytes that it granted did not leave. Of a game that is gone: nothing. */
void lsp_swarm_game_unused(struct lsp_swarm *swarm, lsp_swarm_id game, uint64_t bytes);

/*
 * An answer with bytes of a game that leave without a place in the queue (a file, leaves). They
 * count against the same limits, and as what the peer took. Of the greedy one at a time is served
 * so while others ask. The caller's; it is ended before it is freed. Of a game that is gone all is
 * granted.
 */
struct lsp_swarm_aside {
	lsp_swarm_id peer, game;
};
/* As lsp_swarm_upload_grant. */
uint64_t lsp_swarm_aside_grant(struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside,
	uint64_t want, lsp_time now, lsp_time *ret_again);
/*
 * For one that leaves as a whole (leaves): false while uploads are paused, the game's own limit is
 * spent, or it has to wait for another of the greedy. true: it is charged in full, and what comes
 * next waits for that.
 */
LSP_MUST_CHECK bool lsp_swarm_aside_admit(
	struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside, uint64_t bytes, lsp_time now);
/* So many bytes that one of these two granted did not leave. */
void lsp_swarm_aside_unused(
	struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside, uint64_t bytes);
void lsp_swarm_aside_end(struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside);

/* ---- Limits ---------------------------------------------------------------------------------- */

/* Bytes a second on the wire, 0: no limit. overhead: wire bytes per payload byte (1.07 at MTU
 * 1500). */
struct lsp_swarm_limits {
	uint64_t down, up;
	double overhead; /* at least 1 */
	bool pause_uploads;
};
void lsp_swarm_set_limits(struct lsp_swarm *swarm, const struct lsp_swarm_limits *limits);
void lsp_swarm_set_game_limits(
	struct lsp_swarm *swarm, lsp_swarm_id game, uint64_t down, uint64_t up);

/* ---- What to do ------------------------------------------------------------------------------ */

enum lsp_swarm_action_kind {
	LSP_SWARM_REQUEST,  /* ask `peer` for chunks first … first + count − 1 of `game` */
	LSP_SWARM_CANCEL,   /* stop that request's stream; what still comes of it is dropped */
	LSP_SWARM_ANNOUNCE, /* tell every peer that takes part in `game` that we gained the run */
	LSP_SWARM_WITHDRAW, /* … that we lost it */
	LSP_SWARM_UPLOAD_START,  /* answer the upload `request` now, then send as grants allow */
	LSP_SWARM_UPLOAD_BOUNCE, /* answer it with `bounce` and `hint`; it is over */
	LSP_SWARM_UPLOAD_STOP,   /* reset it (it is over): game removed, chunk withdrawn, reader
				    stuck, pause */
	LSP_SWARM_DROPPED, /* `peer` sent a bad chunk (`first`) of `game`: tell it and the user */
	LSP_SWARM_STATE, /* the game's state is now `state` (announced once per change; what changed
			    again before it was taken is not told) */
};

struct lsp_swarm_action {
	enum lsp_swarm_action_kind kind;
	lsp_swarm_id request; /* REQUEST, CANCEL: ours; UPLOAD_*: theirs */
	lsp_swarm_id game, peer;
	void *game_owner, *peer_owner, *upload_owner;
	uint32_t first, count;
	uint64_t bytes; /* of the run */
	bool insist;    /* REQUEST: to be said in the message: nobody else would give it to us */
	enum lsp_swarm_bounce bounce;
	uint32_t hint;
	enum lsp_swarm_state state;
};

/* Thinks: makes requests, starts uploads, notices stalls. Cheap when nothing is due. */
void lsp_swarm_run(struct lsp_swarm *swarm, lsp_time now);
/* Takes the oldest action; false when there is none. */
bool lsp_swarm_next_action(struct lsp_swarm *swarm, struct lsp_swarm_action *ret_action);
/* When lsp_swarm_run is due if nothing happens before. LSP_TIME_NEVER when it has nothing to do. */
lsp_time lsp_swarm_deadline(const struct lsp_swarm *swarm);

/*
 * Everything that must hold, recounted from scratch (slow; for tests): every in-flight chunk
 * belongs to exactly one request, windows are kept, the rarity order is right, counts agree. false:
 * the text names what is wrong.
 */
bool lsp_swarm_check(const struct lsp_swarm *swarm, char ret_text[128]);
