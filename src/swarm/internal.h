/*
 * The insides of an lsp_swarm, shared by the files of this folder only.
 *
 * A chunk of a game is in exactly one of three sets: `have`, `want` (missing, asked of nobody) or
 * `flying` (in one request). The set `want` is kept twice more: in the rarity order, to find the
 * rarest, and as a count per source (`useful`), so that a source with nothing for us costs nothing.
 */
#pragma once

#include "base/random.h"
#include "swarm/order.h"
#include "swarm/pace.h"
#include "swarm/ping_guard.h"
#include "swarm/swarm.h"

#define HOUSEKEEPING (25 * LSP_MILLISECOND)
#define SETTLING (300 * LSP_MILLISECOND) /* awake for so long after a change */
#define SLUGGISH (300 * LSP_MILLISECOND) /* no byte for that long: not counted as parallel */
#define SLOW_AFTER LSP_SECOND            /* asked for so long without a whole answer … */
#define SLUGGISH_PART 64 /* nor is who gives less than such a part of all that comes */
#define STALL_STARTED (4 * LSP_SECOND)  /* no byte in the middle of an answer */
#define STALL_WAITING (10 * LSP_SECOND) /* no byte of any answer: it may be a long queue */
#define TRICKLE_AFTER (10 * LSP_SECOND) /* one request takes longer … */
#define TRICKLE_RATE 4096               /* … at less than that */
#define BACKOFF_FIRST LSP_SECOND
#define BACKOFF_MAX (30 * LSP_SECOND)
#define FAILURES_FREE 2                      /* in a row, before a peer that breaks off rests */
#define FAILURE_REST (100 * LSP_MILLISECOND) /* doubling with each */
#define BOUNCE_LIFE (1500 * LSP_MILLISECOND) /* a bounced chunk is not asked of that peer again */
#define BOUNCE_IDLE (250 * LSP_MILLISECOND)  /* … unless nothing else is to be had */
#define BOUNCES_MAX 10                       /* of one chunk, then we insist */
#define CLOCK_GAP (2 * LSP_SECOND)           /* without a run: we slept, nobody is to blame */
#define ASKING (1 * LSP_SECOND)              /* after its last request a peer may come back */
#define AIR_LIFE (2 * LSP_SECOND)            /* from a chunk's last byte to its announcement */
#define QUEUE_PATIENCE (5 * LSP_SECOND)      /* who waits longer hears "busy": we are alive */
#define UPLOAD_STALL (20 * LSP_SECOND)
#define UPLOAD_SLUGGISH (250 * LSP_MILLISECOND) /* its receiver does not read: no slot taken */
#define UPLOAD_STUCK LSP_SECOND                 /* the same as a stall, where every slot is taken */
#define PAUSE_PATIENCE (1500 * LSP_MILLISECOND) /* what runs may finish within that */
#define PROBATION_FIRST (5 * LSP_SECOND)
#define VERIFYING_MAX 256 /* requests that came and are not verified yet */
#define LIARS_MAX 1024
#define ACCOUNTS_MAX 512

struct peer;
struct game;

/* Slots with generations: stale ids find nothing. */
struct table {
	struct slot {
		void *item;
		uint32_t generation;
		uint32_t next_free;
	} * slots;
	uint32_t size, capacity;
	uint32_t free_head; /* index + 1; 0: none */
};

struct link {
	struct link *next, *previous;
};

/* What a peer took of a game; see greed.c. Bytes. */
struct account {
	uint64_t taken;           /* that it had from us, less what is forgiven */
	uint64_t told;            /* that it announced, when last looked at */
	uint64_t withdrawn;       /* told of and lost again, to be forgiven; part of `taken` */
	struct lsp_bucket pardon; /* what may be forgiven now */
};

/* A peer that announced a game. */
struct source {
	struct peer *peer;
	struct game *game;
	uint32_t index;      /* in game->sources */
	struct source *next; /* of the same peer */
	bool all;            /* has every chunk; `have` is then not allocated */
	bool dropped;
	struct lsp_bitmap have;
	struct lsp_bitmap bounced;
	lsp_time bounced_at;    /* the last time */
	lsp_time probation_end; /* after a drop: not asked before */
	uint8_t *tries;         /* per chunk; NULL: none failed */
	uint32_t useful;        /* chunks of `want` that it has */
	bool resting;  /* looked at in vain; until something changes or the next housekeeping */
	uint32_t hint; /* a chunk that it would like to give, LSP_SWARM_NO_HINT */
	uint32_t rejected;
	uint64_t bytes_received, bytes_sent;
	uint64_t bytes_announced; /* of the chunks in `have` */
	struct account account;
};

struct request {
	lsp_swarm_id id;
	struct source *source;
	struct link in_game, in_peer;
	uint32_t first, count, left; /* left: neither verified nor given up */
	uint64_t bytes, received;
	lsp_time asked, progress;
	uint64_t done[LSP_SWARM_RUN_CHUNKS / 64];
	bool arrived; /* every byte came; being verified */
};

struct upload {
	lsp_swarm_id id;
	struct peer *peer;
	struct game *game;
	struct link link; /* waiting or running */
	uint32_t first, count;
	uint64_t bytes, sent, sequence;
	lsp_time asked;
	bool insist, running;
	void *owner;
	lsp_time started, progress;
};

struct game {
	lsp_swarm_id id;
	void *owner;
	uint32_t chunk_count;
	uint32_t *sizes;
	uint64_t bytes_total, bytes_have, bytes_flying, bytes_wanted;
	struct lsp_bitmap have, want, flying;
	struct lsp_bitmap units; /* where a group of small chunks begins: same on every node */
	uint16_t *holders;       /* per chunk, sources with `all` not counted */
	uint8_t *bounces;        /* per chunk, of late */
	struct lsp_order order;  /* of `want` by `holders` */
	struct source **sources;
	uint32_t source_count, source_capacity, all_count, undropped;
	struct link requests;
	uint32_t request_count;
	bool wanted, dry;
	bool starved;     /* the last round would have asked for more, and nobody gives it */
	bool seeders_due; /* a complete source may have no request of ours */
	enum lsp_swarm_state state;
	uint32_t failed_chunk;
	lsp_time check_failed; /* when to look again whether it failed */
	uint64_t served;       /* fairness between games: bytes asked for */
	lsp_time progress;
	struct lsp_bitmap news; /* gained and not announced */
	lsp_time news_due;
	struct lsp_meter rate, upload_rate;
	uint64_t bytes_received, bytes_wasted;
	struct lsp_bucket down, up;
	/* Serving; `given` is allocated at the first request, `fresh` when all of it is here, too.
	 */
	lsp_swarm_id asker;         /* whose request came last */
	lsp_time asked;             /* that request */
	lsp_time asked_else;        /* the last one of anybody else */
	lsp_time *given;            /* per chunk: in the air until; 0: not */
	uint32_t *fresh, *fresh_at; /* chunks nobody else has and that are not in the air */
	uint32_t fresh_count, fresh_turn;
	lsp_time air_check;
};

struct peer {
	lsp_swarm_id id;
	uint64_t key;
	void *owner;
	struct source *sources;
	struct link requests;   /* oldest first */
	uint32_t request_count; /* with bytes to come */
	uint64_t bytes_flying, window, rtt;
	struct lsp_service service;
	lsp_time progress, backoff_end;
	uint64_t retry_after; /* the next back-off */
	bool proven, sluggish;
	bool slow;      /* sluggish, although something comes now and then */
	bool delivered; /* a chunk of its was verified */
	bool suspect;   /* none was, and an answer of its broke off */
	uint32_t uploads_waiting, uploads_running;
	uint64_t upload_served;
	uint64_t stray_sent;   /* of games that it never announced anything about */
	bool stuck;            /* it let an upload stand still, and took nothing since */
	lsp_time took;         /* a byte of any upload */
	lsp_time modest_asked; /* the last time when it was not greedy */
	uint32_t failures;     /* answers in a row that broke off */
	struct lsp_bucket guard_down;
};

/* A peer that sent bad chunks, remembered when it left. */
struct liar {
	uint64_t key;
	uint32_t rejected;
};

/* The account of a peer that left or withdrew the game; game 0: of all that it never announced. */
struct closed_account {
	uint64_t key;
	lsp_swarm_id game;
	lsp_time at;
	struct account account;
};

struct lsp_swarm {
	struct lsp_random random;
	lsp_time now, housekeeping;
	lsp_time last_run, looked; /* looked: or woken */
	lsp_time stirred; /* when something last happened that may matter to what we fetch */
	bool asleep;      /* the next housekeeping is when something can change by itself */
	double mean_rate; /* of a peer that was measured */
	struct table games, peers, requests, uploads;
	uint32_t game_count, peer_count, request_count, upload_count, verifying;
	uint32_t suspect_count; /* peers */
	uint32_t live_requests; /* those at peers that are not sluggish */
	uint64_t live_bytes;
	struct lsp_meter rate, upload_rate;
	struct link waiting, running; /* uploads */
	uint32_t waiting_count, running_count;
	uint64_t sequence, turn;
	lsp_swarm_id modest;   /* the peer that asked last of those that are not greedy */
	lsp_time modest_asked; /* … and when */
	const struct lsp_swarm_aside *aside; /* of the greedy, whose turn it is; NULL: nobody's */
	lsp_time aside_end;                  /* … and until when */
	lsp_time paused_at;
	struct lsp_swarm_limits limits;
	uint32_t limited_games; /* with an upload limit of their own */
	struct lsp_bucket down, up;
	lsp_time tokens_at; /* when a bucket that held us back has enough */
	bool fetch_due, upload_due;
	struct liar liars[LIARS_MAX];
	uint32_t liar_count, liar_next;
	struct closed_account closed[ACCOUNTS_MAX];
	uint32_t closed_count, closed_next;
	struct lsp_swarm_action *actions;
	size_t action_first, action_count, action_capacity;
};

/* ---- table.c --------------------------------------------------------------------------------- */
LSP_MUST_CHECK int table_add(
	struct table *table, void *item, lsp_swarm_id *ret_id, struct lsp_error *err);
void *table_get(const struct table *table, lsp_swarm_id id);
void table_remove(struct table *table, lsp_swarm_id id);
void table_done(struct table *table);
/* The item at a slot or NULL; for loops over 0 … size − 1. */
static inline void *table_at(const struct table *table, uint32_t slot)
{
	return table->slots[slot].item;
}

void link_init(struct link *list);
void link_append(struct link *list, struct link *link);
void link_remove(struct link *link);
#define link_each(list, at)                                                                        \
	for (struct link *at = (list)->next, *next_##at = at->next; at != (list);                  \
		at = next_##at, next_##at = at->next)

/* ---- swarm.c --------------------------------------------------------------------------------- */
void swarm_clock(struct lsp_swarm *swarm, lsp_time now);
/* Room for `extra` more actions; false: no memory. */
bool actions_reserve(struct lsp_swarm *swarm, size_t extra);
/* Must have been reserved; NULL when it was not and there is no memory. */
struct lsp_swarm_action *actions_push(struct lsp_swarm *swarm, enum lsp_swarm_action_kind kind,
	struct game *game, struct peer *peer);
/* The one that was pushed last and is not handed out yet; NULL: none. */
struct lsp_swarm_action *actions_last(struct lsp_swarm *swarm);
/* The one that waits to tell the game's state, or a new one. NULL: no memory. */
struct lsp_swarm_action *actions_state(struct lsp_swarm *swarm, struct game *game);
void actions_withdraw(struct lsp_swarm *swarm, lsp_swarm_id game, lsp_swarm_id peer);
/* Takes an action on that request back if it was not handed out yet. */
bool actions_take_back(struct lsp_swarm *swarm, lsp_swarm_id request);

/* ---- game.c ---------------------------------------------------------------------------------- */
void game_want_chunk(struct game *game, uint32_t chunk);     /* into `want` */
void game_unwant_chunk(struct game *game, uint32_t chunk);   /* out of it */
void game_state(struct lsp_swarm *swarm, struct game *game); /* what it is now */
void game_enter_state(struct lsp_swarm *swarm, struct game *game, enum lsp_swarm_state state);
void game_news(struct lsp_swarm *swarm, struct game *game, lsp_time now);
uint64_t game_run_bytes(const struct game *game, uint32_t first, uint32_t count);

/* ---- source.c -------------------------------------------------------------------------------- */
static inline bool source_has(const struct source *source, uint32_t chunk)
{
	return source->all || lsp_bitmap_get(&source->have, chunk);
}
/* May this chunk be asked of it? */
bool source_gives(const struct source *source, uint32_t chunk);
/* … and now: neither it nor its peer rests. */
bool source_would_give(const struct lsp_swarm *swarm, const struct source *source, uint32_t chunk);
struct source *source_find(const struct game *game, const struct peer *peer);
void source_free(struct lsp_swarm *swarm, struct source *source);
void source_drop(struct lsp_swarm *swarm, struct source *source, uint32_t chunk);
void source_lost_chunk(struct lsp_swarm *swarm, struct source *source, uint32_t chunk);
uint32_t liar_count(const struct lsp_swarm *swarm, uint64_t key);
void liar_note(struct lsp_swarm *swarm, uint64_t key);

/* ---- fetch.c --------------------------------------------------------------------------------- */
void fetch_run(struct lsp_swarm *swarm);
/* Is there anything to ask for of this game? */
bool fetch_wants(const struct game *game);
/* Seconds until `bytes` more would have come from it. */
double peer_eta(const struct lsp_swarm *swarm, const struct peer *peer, uint64_t bytes);
/* Asks source for a run around this chunk of `want`, which it must give. False: no memory. */
bool fetch_ask(struct lsp_swarm *swarm, struct source *source, uint32_t chunk);
/* ---- moves.c --------------------------------------------------------------------------------- */
void fetch_watch(struct lsp_swarm *swarm); /* every HOUSEKEEPING: stalls, tail, failures */
/* With nothing under way: when time alone lets something more be asked for. `now`: soon. */
lsp_time fetch_wakes(const struct lsp_swarm *swarm);
void peer_backoff(struct lsp_swarm *swarm, struct peer *peer);
/* Sluggish peers do not count among those that make progress. */
void peer_sluggish(struct lsp_swarm *swarm, struct peer *peer, bool sluggish);
/* ---- result.c -------------------------------------------------------------------------------- */
enum request_end { REQUEST_NOBODY, REQUEST_TRY };
/*
 * Gives its chunks back to `want`; cancel: an action tells the caller. Frees it. Where the other
 * side ended it (no cancel), what did not come is not charged to the limits.
 */
void request_end(
	struct lsp_swarm *swarm, struct request *request, enum request_end how, bool cancel);

/* ---- upload.c -------------------------------------------------------------------------------- */
void upload_free(struct lsp_swarm *swarm, struct upload *upload);
/* Says so and frees it. */
void upload_stop(struct lsp_swarm *swarm, struct upload *upload);
/* ---- greed.c --------------------------------------------------------------------------------- */
/* A source begins, with the account that it had of late; one ends, and its peer may come back. */
void greed_open(struct lsp_swarm *swarm, struct source *source);
void greed_close(struct lsp_swarm *swarm, struct source *source);
/* The same for what a peer takes of games that it never announced. */
void greed_meet(struct lsp_swarm *swarm, struct peer *peer);
void greed_part(struct lsp_swarm *swarm, const struct peer *peer);
/* What it announces changed, or time passed: what it lost is forgiven. */
void greed_settle(const struct lsp_swarm *swarm, struct source *source);
void greed_sent(const struct lsp_swarm *swarm, const struct upload *upload, uint64_t bytes);
/* Does its peer take more than it should? */
bool upload_is_greedy(const struct upload *upload);
/* It asks, and is not greedy. */
void greed_note_modest(struct lsp_swarm *swarm, struct peer *peer);
/* Does this answer wait, with so many bytes, for another of the greedy? Else it may go now. */
bool greed_holds_back(struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside, uint64_t bytes);
/* Into the account of its peer. */
void greed_took_aside(
	const struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside, uint64_t bytes);
/* ---- queue.c --------------------------------------------------------------------------------- */
void upload_run(struct lsp_swarm *swarm);
void upload_watch(struct lsp_swarm *swarm); /* every HOUSEKEEPING */
/* After a sleep, before anybody is bounced: what came down from the air meanwhile. */
void air_clear(struct lsp_swarm *swarm);
/* The tables of `fresh`, at the first upload of a game. */
LSP_MUST_CHECK int fresh_init(struct game *game, struct lsp_error *err);
/* A chunk's holders or our own having it changed: is it fresh? */
void upload_chunk_changed(struct game *game, uint32_t chunk);
