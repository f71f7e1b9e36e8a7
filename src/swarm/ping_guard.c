/*
 * Two nested intervals. A sample interval (at least 15 ms, a few samples) yields its smallest round
 * trip; that less the base is the queue that stands. The base is the smallest of the last half
 * minute, in stretches of 5 s, so that a path that really became longer is believed in time.
 *
 * The rule per interval: above the target the rate falls in proportion to the excess (at most to a
 * half, and never above what was really delivered, since a rate that the line does not take only
 * feeds the queue); below it grows: doubling until a queue was first seen, then by a sixteenth of
 * what is delivered, less and less near the target. A rate that was not used says nothing and does
 * not grow.
 */
#include "swarm/ping_guard.h"

#include "base/cleanup.h"

#include <string.h>

#define TARGET LSP_MILLISECOND
#define FLOOR (UINT64_C(64) << 10)
#define START_RATE (UINT64_C(1) << 20)
#define INTERVAL (15 * LSP_MILLISECOND)
#define INTERVAL_MOST (100 * LSP_MILLISECOND)
#define INTERVAL_SAMPLES 3
#define BASE_STRETCH (5 * LSP_SECOND)
#define DRAIN_EVERY (10 * LSP_SECOND)
#define DRAIN_SHARE 4 /* of the rate, while draining */
#define RATE_MOST (UINT64_C(1) << 40)

void lsp_ping_guard_init(struct lsp_ping_guard *guard)
{
	memset(guard, 0, sizeof(*guard));
	guard->target = TARGET;
	guard->floor = FLOOR;
	guard->starting = true;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(guard->base); i++)
		guard->base[i] = UINT64_MAX;
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

static void grow(struct lsp_ping_guard *guard)
{
	/* Used, if three quarters of it got through. */
	if (guard->delivered < guard->rate / 4 * 3)
		return;
	if (guard->starting && guard->queue < guard->target / 2) {
		guard->rate *= 2;
	} else {
		uint64_t room = guard->target - guard->queue;
		guard->starting = false;
		guard->rate +=
			(uint64_t)((double)guard->rate / 16 * (double)room / (double)guard->target);
	}
	guard->rate = LSP_MIN(guard->rate, RATE_MOST);
}

static void shrink(struct lsp_ping_guard *guard)
{
	double excess = (double)guard->queue / (double)guard->target - 1;
	double keep = 1 - LSP_MIN(excess * 0.15, 0.5);
	guard->starting = false;
	if (guard->delivered)
		guard->rate = LSP_MIN(guard->rate, guard->delivered + guard->delivered / 16);
	guard->rate = (uint64_t)((double)guard->rate * keep);
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

static void interval_end(struct lsp_ping_guard *guard, lsp_time now)
{
	uint64_t base = base_of(guard), passed = now - guard->interval_since;
	guard->queue = guard->interval_min > base ? guard->interval_min - base : 0;
	guard->delivered = (uint64_t)((double)guard->interval_bytes * 1e9 / (double)passed);
	guard->interval_min = UINT64_MAX;
	guard->interval_samples = 0;
	guard->interval_bytes = 0;
	guard->interval_since = now;
	if (!drain(guard, now)) {
		if (guard->queue > guard->target)
			shrink(guard);
		else
			grow(guard);
	}
	guard->rate = LSP_MAX(guard->rate, guard->floor);
}

void lsp_ping_guard_sample(
	struct lsp_ping_guard *guard, uint64_t latest, uint64_t min, lsp_time now)
{
	if (!guard->started) {
		guard->started = true;
		guard->rate = START_RATE;
		guard->base_since = guard->interval_since = now;
		guard->interval_min = UINT64_MAX;
		guard->next_drain = now + DRAIN_EVERY;
	}
	turn_base(guard, now);
	guard->base[0] = LSP_MIN(guard->base[0], latest);
	if (min && base_of(guard) == latest && min < latest)
		guard->base[0] = min; /* the connection saw less before we looked */
	guard->interval_min = LSP_MIN(guard->interval_min, latest);
	guard->interval_samples++;
	uint64_t passed = now - LSP_MIN(guard->interval_since, now);
	if (passed >= INTERVAL_MOST ||
		(passed >= INTERVAL && guard->interval_samples >= INTERVAL_SAMPLES))
		interval_end(guard, now);
}

void lsp_ping_guard_delivered(struct lsp_ping_guard *guard, uint64_t bytes, lsp_time now)
{
	(void)now;
	guard->interval_bytes += bytes;
}

uint64_t lsp_ping_guard_rate(const struct lsp_ping_guard *guard)
{
	return guard->started ? guard->rate : LSP_PING_GUARD_FREE;
}

uint64_t lsp_ping_guard_queue(const struct lsp_ping_guard *guard)
{
	return guard->queue;
}
