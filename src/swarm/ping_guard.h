/*
 * The ping guard: bulk that gets out of a game's way.
 *
 * A full queue in front of a slow line delays everything that shares the line. One guard watches
 * one path (a connection) through its round trip times: the smallest of late is the base; what the
 * smallest of the last few milliseconds lies above it is the queue that stands. The guard turns
 * that into a rate: growing while the line is empty, at rest near the target, falling at once when
 * the queue stands above it. Single late samples (a busy processor, a lost packet) do not count,
 * since only the smallest of an interval does. A sender begins with little and doubles until it
 * sees the first queue; so it does after a rest. Every 10 s or so it lets the queue drain for a few
 * round trips, so that the base is seen again and guards that share a line agree about it (as
 * LEDBAT++ does, draft-irtf-iccrg-ledbat-plus-plus).
 *
 * Pure: the caller feeds samples and asks for the rate; sender paces its stream writes with it, a
 * receiver its requests. One owner, no allocation, any number of them.
 */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define LSP_PING_GUARD_FREE UINT64_MAX /* a rate: no bound */

/*
 * A sender's guard aims at a millisecond. A receiver's is for senders that have none: it has fewer
 * and coarser samples, waits longer for them and aims higher.
 */
enum lsp_ping_guard_role { LSP_PING_GUARD_SENDER, LSP_PING_GUARD_RECEIVER };

struct lsp_ping_guard {
	/* Set by lsp_ping_guard_init. */
	uint64_t target;     /* nanoseconds of standing queue to aim for */
	uint64_t interval;   /* nanoseconds from one decision to the next, at least */
	uint64_t floor;      /* bytes a second it never goes below */
	uint64_t start_rate; /* bytes a second; of a receiver LSP_PING_GUARD_FREE */
	/* The machine's own. */
	uint64_t base[6]; /* smallest round trip per stretch of 5 s, newest first */
	lsp_time base_since;
	uint64_t interval_min; /* smallest round trip of the running interval */
	uint32_t interval_samples;
	lsp_time interval_since, sampled;
	uint64_t interval_bytes; /* acknowledged or received in it */
	lsp_time moved;          /* the last of them */
	uint64_t queue;          /* the last interval's standing queue, nanoseconds */
	uint64_t rate;           /* bytes a second */
	uint64_t delivered;      /* bytes a second that got through, of late */
	uint64_t line;           /* the rate at which a queue stood last: what the line gives us */
	uint64_t last_queue;     /* when the rate was cut last */
	uint32_t calm;           /* intervals that went well in a row */
	uint64_t resume_rate;    /* to go back to after a drain */
	lsp_time next_drain;
	bool starting; /* no queue was seen yet */
	bool draining, cutting;
	bool started;
};

void lsp_ping_guard_init(struct lsp_ping_guard *guard, enum lsp_ping_guard_role role);

/* Bytes are about to move: after a rest of seconds it starts anew, for the line may be another's.
 */
void lsp_ping_guard_move(struct lsp_ping_guard *guard, lsp_time now);

/*
 * Round trips were measured: so many, the smallest of them. min is the connection's own smallest, 0
 * if unknown; it only ever lowers the base. Only while bulk moves: others' queues are not ours.
 */
void lsp_ping_guard_sample(
	struct lsp_ping_guard *guard, uint64_t least, uint64_t min, uint32_t count, lsp_time now);
/* Bytes were acknowledged (sender) or arrived (receiver). Growth needs a rate that is used. */
void lsp_ping_guard_delivered(struct lsp_ping_guard *guard, uint64_t bytes, lsp_time now);

/* Bytes a second allowed now; a receiver's is LSP_PING_GUARD_FREE until it saw a queue. */
uint64_t lsp_ping_guard_rate(const struct lsp_ping_guard *guard);
/* The standing queue of the last interval, nanoseconds: for status and tests. */
uint64_t lsp_ping_guard_queue(const struct lsp_ping_guard *guard);
