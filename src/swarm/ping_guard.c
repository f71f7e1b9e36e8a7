/*
 * Two nested intervals. A sample interval (at least 15 ms, a few samples) yields its smallest round
 * trip; that less the base is the queue that stands. The base is the smallest of the last half
 * minute, in stretches of 5 s, so that a path that really became longer is believed in time.
 *
 * The rule per interval: with a queue above the target, what was delivered is what the line gives
 * this flow; the rate falls to that, less a part that lets the queue drain in an interval, and
 * the next cut waits until the queue stops falling. Below the target it grows: at once back to what
 * the line gave, then slowly. A rate that was not used says nothing and does not grow.
 *
 * A sender's start is a slow one (RFC 9002, 7.3.1, by rates instead of windows): from little on it
 * doubles every 120 ms, so that in the 10 ms from a queue's beginning to the first packet that
 * tells of it the rate passes the line's by a fifteenth only. It looks more often meanwhile and at
 * less of a queue; the first one ends it. A false end costs a second: boldness comes back.
 */
#include "swarm/ping_guard.h"

#include "base/cleanup.h"

#include <math.h>
#include <string.h>

#define TARGET LSP_MILLISECOND
#define FLOOR (UINT64_C(64) << 10)
#define START_RATE (UINT64_C(256) << 10) /* twenty senders at once: 50 Mbit/s */
#define START_INTERVAL (5 * LSP_MILLISECOND)
#define START_DOUBLING (120 * LSP_MILLISECOND)
#define START_TARGET (LSP_MILLISECOND / 2)
#define START_CUT (1.0 / 4)   /* at its end: what stands in the meantime is to drain at once */
#define REST (2 * LSP_SECOND) /* nothing moved for so long: others may be on the line by now */
#define RECEIVER_TARGET (8 * LSP_MILLISECOND)
#define INTERVAL (15 * LSP_MILLISECOND)
#define RECEIVER_INTERVAL (60 * LSP_MILLISECOND)
#define INTERVAL_MOST (100 * LSP_MILLISECOND)
#define PAUSE                                                                                      \
	(250 * LSP_MILLISECOND) /* no sample for so long: a new beginning, not an interval         \
				 */
/* What moves more than a line of 2.5 Gbit/s takes is held by processors, not by a queue of a game's
 */
#define LINE_MOST (UINT64_C(320) << 20)
#define INTERVAL_SAMPLES 3
#define BASE_STRETCH (5 * LSP_SECOND)
#define DRAIN_TIME (15 * LSP_MILLISECOND) /* in which a queue that stands is to be gone */
#define CUT_LEAST (1.0 / 16)
#define NEARLY 16  /* below the line's rate by that part */
#define SLOWLY 128 /* a part of the rate, in an interval */
#define CALM 20    /* intervals that went well beyond the line's rate, before it grows boldly */
#define BOLDNESS_MOST 8u
#define ADDED (UINT64_C(8) << 10) /* bytes a second, in an interval */
#define DRAIN_EVERY (10 * LSP_SECOND)
#define DRAIN_SHARE 4 /* of the rate, while draining */
#define RATE_MOST (UINT64_C(1) << 40)

static void start(struct lsp_ping_guard *guard)
{
	guard->rate = guard->start_rate;
	guard->line = 0;
	guard->calm = 0;
	guard->starting = true;
	guard->draining = guard->cutting = false;
}

void lsp_ping_guard_init(struct lsp_ping_guard *guard, enum lsp_ping_guard_role role)
{
	memset(guard, 0, sizeof(*guard));
	bool sender = role == LSP_PING_GUARD_SENDER;
	guard->target = sender ? TARGET : RECEIVER_TARGET;
	guard->interval = sender ? INTERVAL : RECEIVER_INTERVAL;
	guard->floor = FLOOR;
	guard->start_rate = sender ? START_RATE : LSP_PING_GUARD_FREE;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(guard->base); i++)
		guard->base[i] = UINT64_MAX;
	start(guard);
}

void lsp_ping_guard_move(struct lsp_ping_guard *guard, lsp_time now)
{
	if (guard->started && now > guard->moved + REST)
		start(guard);
}

static uint64_t base_of(const struct lsp_ping_guard *guard)
{
	uint64_t base = UINT64_MAX;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(guard->base); i++)
		base = LSP_MIN(base, guard->base[i]);
	return base;
}

static void turn_base(struct lsp_ping_guard *guard, lsp_time now)
{
	size_t count = LSP_ARRAY_SIZE(guard->base);
	if (now - guard->base_since < BASE_STRETCH)
		return;
	memmove(guard->base + 1, guard->base, (count - 1) * sizeof(*guard->base));
	guard->base[0] = UINT64_MAX;
	guard->base_since = now;
}

/* A receiver's start is no slow one. */
static bool is_slow_start(const struct lsp_ping_guard *guard)
{
	return guard->starting && guard->start_rate != LSP_PING_GUARD_FREE;
}

static bool is_used(const struct lsp_ping_guard *guard)
{
	return guard->delivered >= guard->rate / 4 * 3;
}

/*
 * Quickly back to nearly what the line gave last, then slowly: a line may take a burst before its
 * queue stands (a shaper's bucket, a switch), so what is too much is seen late. What went well for
 * longer than a burst can hide is free: others have left the line. A little is added whatever the
 * rate, so that flows that share a line become alike. passed: the interval, nanoseconds.
 */
static void grow(struct lsp_ping_guard *guard, uint64_t passed)
{
	guard->cutting = false;
	if (!is_used(guard))
		return;
	if (guard->starting) {
		double doublings = (double)LSP_MIN(passed, INTERVAL) / (double)START_DOUBLING;
		guard->rate += (uint64_t)((double)guard->rate * doublings * M_LN2);
	} else if (guard->rate < guard->line - guard->line / NEARLY) {
		guard->rate += LSP_MAX((guard->line - guard->rate) / 2, guard->rate / SLOWLY);
	} else {
		uint32_t boldness = guard->calm < CALM ? 1 : 1 + guard->calm - CALM;
		guard->calm++;
		guard->rate += guard->rate / SLOWLY * LSP_MIN(boldness, BOLDNESS_MOST) +
			       ADDED * passed / INTERVAL;
	}
	guard->rate = LSP_MIN(guard->rate, RATE_MOST);
}

/* A queue stands, so what was delivered is what the line gives us: that, less what is to drain. */
static void shrink(struct lsp_ping_guard *guard)
{
	if (guard->rate == LSP_PING_GUARD_FREE)
		guard->rate = LSP_MIN(guard->delivered, RATE_MOST);
	bool used = is_used(guard) || guard->cutting;
	bool falls = guard->cutting && guard->queue < guard->last_queue / 4 * 3;
	double least = is_slow_start(guard) ? START_CUT : CUT_LEAST;
	guard->starting = false;
	guard->calm = 0;
	guard->last_queue = guard->queue;
	guard->cutting = true;
	if (used)
		guard->line = guard->delivered;
	if (falls)
		return; /* the last cut works */
	/* Not our queue alone, if we send less than we may: by halves, until we are held again. */
	uint64_t given = LSP_MIN(guard->rate, LSP_MAX(guard->delivered, guard->rate / 2));
	uint64_t excess = guard->queue - LSP_MIN(guard->queue, guard->target);
	double part = (double)excess / (double)DRAIN_TIME;
	guard->rate = (uint64_t)((double)given * (1 - LSP_MIN(LSP_MAX(part, least), 0.5)));
}

/* Every so often, let the queue run dry: the base is seen again. */
static bool drain(struct lsp_ping_guard *guard, lsp_time now)
{
	if (guard->draining) {
		guard->draining = false;
		guard->rate = guard->resume_rate;
		return true;
	}
	if (now < guard->next_drain || guard->starting)
		return false;
	guard->next_drain = now + DRAIN_EVERY;
	if (guard->queue < guard->target / 8)
		return false; /* it is dry */
	guard->draining = true;
	guard->resume_rate = guard->rate;
	guard->rate /= DRAIN_SHARE;
	return true;
}

static void interval_begin(struct lsp_ping_guard *guard, lsp_time now)
{
	guard->interval_min = UINT64_MAX;
	guard->interval_samples = 0;
	guard->interval_bytes = 0;
	guard->interval_since = now;
}

static void interval_end(struct lsp_ping_guard *guard, lsp_time now)
{
	uint64_t base = base_of(guard), passed = now - guard->interval_since;
	guard->queue = guard->interval_min > base ? guard->interval_min - base : 0;
	guard->delivered = (uint64_t)((double)guard->interval_bytes * 1e9 / (double)passed);
	interval_begin(guard, now);
	if (guard->delivered > LINE_MOST && !is_slow_start(guard)) {
		guard->rate = LSP_MAX(guard->rate, guard->delivered * 2);
	} else if (!drain(guard, now)) {
		if (guard->queue <= (is_slow_start(guard) ? START_TARGET : guard->target))
			grow(guard, passed);
		else
			shrink(guard);
	}
	guard->rate = LSP_MAX(guard->rate, guard->floor);
}

void lsp_ping_guard_sample(
	struct lsp_ping_guard *guard, uint64_t least, uint64_t min, uint32_t count, lsp_time now)
{
	if (!guard->started) {
		guard->started = true;
		guard->base_since = now;
		interval_begin(guard, now);
		guard->next_drain = now + DRAIN_EVERY;
	}
	if (now - LSP_MIN(guard->sampled, now) > PAUSE)
		interval_begin(guard, now);
	guard->sampled = now;
	turn_base(guard, now);
	guard->base[0] = LSP_MIN(guard->base[0], least);
	if (min && base_of(guard) == least && min < least)
		guard->base[0] = min; /* the connection saw less before we looked */
	guard->interval_min = LSP_MIN(guard->interval_min, least);
	guard->interval_samples += count;
	uint64_t passed = now - LSP_MIN(guard->interval_since, now);
	uint64_t interval = is_slow_start(guard) ? START_INTERVAL : guard->interval;
	if (passed >= INTERVAL_MOST ||
		(passed >= interval && guard->interval_samples >= INTERVAL_SAMPLES))
		interval_end(guard, now);
}

void lsp_ping_guard_delivered(struct lsp_ping_guard *guard, uint64_t bytes, lsp_time now)
{
	guard->interval_bytes += bytes;
	if (bytes)
		guard->moved = now;
}

uint64_t lsp_ping_guard_rate(const struct lsp_ping_guard *guard)
{
	return guard->rate;
}

uint64_t lsp_ping_guard_queue(const struct lsp_ping_guard *guard)
{
	return guard->queue;
}
