/*
 * A rate limit: so many units a second, with a short burst. It is a point in time (the generic cell
 * rate algorithm of ATM Forum TM 4.0): what is spent moves it forward, and while it lies in the
 * future nothing may be spent. Exact at every rate and clock, and it may be overdrawn: what must go
 * out goes and is paid for later. Zero-initialised: no limit. One owner, one thread.
 */
#pragma once

#include "base/clock.h"

#include <stdbool.h>

struct lsp_rate_limit {
	uint64_t rate;  /* units a second; 0: no limit */
	uint64_t burst; /* nanoseconds of the rate that may be saved up */
	lsp_time paid;  /* until when is paid */
	bool shut;      /* it ran out and is not worth while yet: lsp_rate_limit_opens */
};

/* Begins with the whole burst saved up. */
static inline void lsp_rate_limit_set(
	struct lsp_rate_limit *limit, uint64_t rate, uint64_t burst, lsp_time now)
{
	limit->rate = rate;
	limit->burst = burst;
	limit->paid = now > burst ? now - burst : 0;
	limit->shut = false;
}

/*
 * Another rate: nothing is saved up by it, and a debt stays as many units as it was. A limit that
 * changes often, by a controller, changes so.
 */
static inline void lsp_rate_limit_change(
	struct lsp_rate_limit *limit, uint64_t rate, uint64_t burst, lsp_time now)
{
	if (!limit->rate || !rate)
		limit->paid = now;
	else if (limit->paid > now)
		limit->paid = now + (uint64_t)((unsigned __int128)(limit->paid - now) *
					       limit->rate / rate);
	limit->rate = rate;
	limit->burst = burst;
}

/* May something be spent? */
static inline bool lsp_rate_limit_allows(const struct lsp_rate_limit *limit, lsp_time now)
{
	return !limit->rate || limit->paid <= now;
}

/*
 * May something be spent, by whoever spends many units at a time? What ran out opens again when
 * `patience` nanoseconds of the rate may be spent (at most the burst), not for every single unit:
 * each time costs wake-ups and system calls at both ends.
 */
static inline bool lsp_rate_limit_opens(
	struct lsp_rate_limit *limit, uint64_t patience, lsp_time now)
{
	if (!lsp_rate_limit_allows(limit, now))
		limit->shut = true;
	else if (!limit->rate || now - limit->paid >= patience)
		limit->shut = false;
	return !limit->shut;
}

static inline void lsp_rate_limit_spend(struct lsp_rate_limit *limit, uint64_t units, lsp_time now)
{
	if (!limit->rate)
		return;
	if (now > limit->burst && limit->paid < now - limit->burst)
		limit->paid = now - limit->burst;
	limit->paid += (uint64_t)((unsigned __int128)units * LSP_SECOND / limit->rate);
}

/* Units that may be spent now without overdrawing; UINT64_MAX without a limit. */
static inline uint64_t lsp_rate_limit_left(const struct lsp_rate_limit *limit, lsp_time now)
{
	if (!limit->rate)
		return UINT64_MAX;
	if (limit->paid >= now)
		return 0;
	uint64_t saved = now - limit->paid < limit->burst ? now - limit->paid : limit->burst;
	return (uint64_t)((unsigned __int128)saved * limit->rate / LSP_SECOND);
}
