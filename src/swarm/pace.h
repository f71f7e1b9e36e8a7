/*
 * Three small instruments of pacing, all plain values without allocation: a bucket of tokens, a
 * meter of what passed of late, and a meter of how fast one serves us.
 */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

/* Tokens in bytes. Zero-initialised it has no limit. It may be overdrawn: what follows waits. */
struct lsp_bucket {
	uint64_t rate; /* bytes a second; 0: no limit */
	double tokens;
	double burst; /* the most it holds */
	lsp_time filled;
};

/*
 * burst: nanoseconds' worth of the rate that may go at once. A debt is kept, at the new rate, a
 * surplus never. Without a limit nothing is owed: what could have gone meanwhile is more than the
 * one request that a debt is.
 */
void lsp_bucket_set(struct lsp_bucket *bucket, uint64_t rate, uint64_t burst, lsp_time now);
/* Tokens there now; a very large number without a limit. */
double lsp_bucket_tokens(struct lsp_bucket *bucket, lsp_time now);
void lsp_bucket_take(struct lsp_bucket *bucket, double bytes);
/* When it will hold `bytes` (or its burst, if that is less); now if it does. */
lsp_time lsp_bucket_when(struct lsp_bucket *bucket, double bytes, lsp_time now);

/* Bytes a second over about the last second. Zero-initialised is ready. */
struct lsp_meter {
	double bytes;   /* decayed */
	double seconds; /* decayed: how much of the window it has seen */
	lsp_time at;
};
void lsp_meter_add(struct lsp_meter *meter, uint64_t bytes, lsp_time now);
double lsp_meter_rate(const struct lsp_meter *meter, lsp_time now);

/* Bytes a second while something is asked for, over about the last two busy seconds. */
struct lsp_service {
	double bytes, seconds;
	lsp_time at; /* busy since, or last counted; 0: idle */
};
void lsp_service_busy(struct lsp_service *service, lsp_time now);
void lsp_service_idle(struct lsp_service *service, lsp_time now);
void lsp_service_add(struct lsp_service *service, uint64_t bytes, lsp_time now);
/* 0: not measured yet. */
double lsp_service_rate(const struct lsp_service *service);
