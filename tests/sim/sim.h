/*
 * A party on a simulated clock: nodes with lines, each running the very lsp_swarm of the daemon.
 *
 * A line takes bytes one quantum after the other, uplink and downlink apart; a flow (one answer)
 * has a window of unacknowledged bytes, flows of a node share its uplink in turn. Every payload
 * byte costs SIM_OVERHEAD bytes on the wire, every message SIM_MESSAGE, and each message takes the
 * path's delay. Time is exact and chance is seeded: the same seed gives the same run to the last
 * bit.
 *
 * Hostile nodes speak the protocol without an lsp_swarm: see enum sim_kind.
 */
#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "swarm/swarm.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_OVERHEAD                                                                               \
	1.066           /* MTU 1500: Ethernet, IP, UDP, QUIC around about 1,420 bytes of payload */
#define SIM_MESSAGE 200 /* bytes of a message on the wire */
#define SIM_WINDOW (256u << 10)
#define MBIT (1e6 / 8)

enum sim_kind {
	SIM_HONEST,
	SIM_POISONER,  /* claims all, sends bad bytes */
	SIM_CLAIMER,   /* claims all, answers "I don't have that" */
	SIM_STALLER,   /* claims all, never answers */
	SIM_TRICKLER,  /* claims all, sends 100 bytes a second */
	SIM_FLOODER,   /* claims nothing, asks everybody for everything, again and again */
	SIM_TAKER,     /* the same, but announces the game, and no chunk of it ever */
	SIM_MUTE,      /* a taker that reads nothing of what it asked for */
	SIM_RESETTER,  /* claims all, resets every stream half way */
	SIM_PRETENDER, /* claims all but the last chunk, and again each second, and has none */
	SIM_RELAPSER,  /* a poisoner that announces itself anew each second */
	SIM_DRIPPER,   /* claims all, sends 5 kB a second, never silent for long */
	SIM_BOUNCER,   /* claims all, bounces every request, a moment before it looks stuck */
};

struct sim_flow;
struct ask;

struct sim_node {
	enum sim_kind kind;
	double up, down; /* bytes a second */
	uint64_t delay;  /* its half of a path's one-way delay */
	double fail;     /* share of the answers that it resets half way */
	bool here;       /* takes part now */
	bool stopped;    /* its process stands still (SIGSTOP) */
	struct lsp_swarm *swarm;
	lsp_swarm_id games[2];
	lsp_swarm_id *peers; /* by node: its id here; 0: not connected */
	struct sim_flow *flows;
	uint32_t turn;
	lsp_time up_free, down_free, run_at;
	bool sending;
	lsp_time joined, done[2];
	uint64_t sent, received; /* payload bytes */
	uint64_t kept;           /* of those received, that became chunks: the rest is waste */
	uint64_t dropped_honest; /* honest peers that it dropped */
	uint32_t dropped_hostile, states_failed, states_waiting;
};

struct sim {
	lsp_time now;
	struct lsp_random random;
	struct sim_node *nodes;
	uint32_t node_count;
	uint32_t games;
	uint32_t chunk_count[2];
	uint32_t *sizes[2];
	uint64_t bytes[2];
	struct sim_event *heap;
	struct ask *asks;
	size_t heap_size, heap_capacity;
	uint64_t sequence, events, messages;
	uint64_t run_delay;  /* a turn of the daemon's loop; 100 µs unless told */
	uint64_t quantum;    /* payload bytes that a line takes at once; 16 KiB unless told */
	bool check;          /* lsp_swarm_check on a sample of runs */
	uint32_t unfinished; /* honest nodes that are here, want and lack something */
	/* Called when a node has verified its n-th chunk; for churn that follows progress. */
	void (*on_chunk)(struct sim *sim, uint32_t node, uint32_t have);
};

/* The design's chunks: the smallest power of two ≥ size/1024 within 128 KiB and 4 MiB. */
void sim_init(struct sim *sim, uint64_t seed, uint32_t node_count);
void sim_game(struct sim *sim, uint64_t bytes); /* one large file */
void sim_game_files(struct sim *sim, uint32_t files, uint32_t size);
void sim_done(struct sim *sim);

/* Sets a node up; `share` of the chunks (at random) are there. It does not take part yet. */
void sim_node(struct sim *sim, uint32_t node, enum sim_kind kind, double up, double down,
	uint64_t delay, double share);
void sim_join(struct sim *sim, uint32_t node);
void sim_leave(struct sim *sim, uint32_t node); /* by goodbye or crash: everybody sees it gone */
void sim_join_at(struct sim *sim, uint32_t node, lsp_time at);
void sim_leave_at(struct sim *sim, uint32_t node, lsp_time at);
void sim_stop_at(struct sim *sim, uint32_t node, lsp_time at, lsp_time again);

/* Runs until every honest node here has everything, nothing is left to happen or `limit`. */
bool sim_run(struct sim *sim, lsp_time limit);
/* Runs to this moment. */
void sim_run_to(struct sim *sim, lsp_time until);

double sim_last_done(const struct sim *sim, uint32_t game); /* seconds, over honest nodes here */
double sim_waste(const struct sim *sim); /* share of the payload that came and did not count */
void sim_assert(bool condition, const char *format, ...);
