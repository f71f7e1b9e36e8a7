#include "swarm/pace.h"

#include <math.h>

#define METER_WINDOW 1.0   /* seconds */
#define SERVICE_WINDOW 2.0 /* busy seconds */

static double seconds_between(lsp_time from, lsp_time to)
{
	return to > from ? (double)(to - from) / 1e9 : 0;
}

void lsp_bucket_set(struct lsp_bucket *bucket, uint64_t rate, uint64_t burst, lsp_time now)
{
	double tokens = bucket->rate ? lsp_bucket_tokens(bucket, now) : 0;
	bucket->rate = rate;
	bucket->burst = fmax((double)rate * (double)burst / 1e9, 1); /* else it never has a byte */
	bucket->tokens = tokens < 0 ? tokens : 0;
	bucket->filled = now;
}

double lsp_bucket_tokens(struct lsp_bucket *bucket, lsp_time now)
{
	if (!bucket->rate)
		return 1e18;
	bucket->tokens += seconds_between(bucket->filled, now) * (double)bucket->rate;
	bucket->tokens = fmin(bucket->tokens, bucket->burst);
	if (now > bucket->filled)
		bucket->filled = now;
	return bucket->tokens;
}

void lsp_bucket_take(struct lsp_bucket *bucket, double bytes)
{
	if (bucket->rate)
		bucket->tokens = fmin(bucket->tokens - bytes, bucket->burst);
}

lsp_time lsp_bucket_when(struct lsp_bucket *bucket, double bytes, lsp_time now)
{
	double missing = fmin(bytes, bucket->burst) - lsp_bucket_tokens(bucket, now);
	if (!bucket->rate || missing <= 0)
		return now;
	double wait = ceil(missing / (double)bucket->rate * 1e9);
	return wait < 1e18 ? lsp_time_add(now, (uint64_t)wait) : LSP_TIME_NEVER;
}

void lsp_meter_add(struct lsp_meter *meter, uint64_t bytes, lsp_time now)
{
	if (!meter->at)
		meter->at = now;
	double passed = seconds_between(meter->at, now), keep = exp(-passed / METER_WINDOW);
	meter->bytes = meter->bytes * keep + (double)bytes;
	meter->seconds = meter->seconds * keep + METER_WINDOW * (1 - keep);
	meter->at = now;
}

double lsp_meter_rate(const struct lsp_meter *meter, lsp_time now)
{
	double passed = seconds_between(meter->at, now), keep = exp(-passed / METER_WINDOW);
	double seconds = meter->seconds * keep + METER_WINDOW * (1 - keep);
	/* The first moments would give absurd rates: a tenth of a second is the least that counts.
	 */
	return meter->bytes * keep / fmax(seconds, METER_WINDOW / 10);
}

static void service_pass(struct lsp_service *service, lsp_time now)
{
	double passed = seconds_between(service->at, now), keep = exp(-passed / SERVICE_WINDOW);
	service->bytes *= keep;
	service->seconds = service->seconds * keep + passed;
	service->at = now;
}

void lsp_service_busy(struct lsp_service *service, lsp_time now)
{
	if (service->at)
		service_pass(service, now);
	service->at = now;
}

void lsp_service_idle(struct lsp_service *service, lsp_time now)
{
	if (service->at)
		service_pass(service, now);
	service->at = 0;
}

void lsp_service_add(struct lsp_service *service, uint64_t bytes, lsp_time now)
{
	if (service->at)
		service_pass(service, now);
	service->bytes += (double)bytes;
}

double lsp_service_rate(const struct lsp_service *service)
{
	return service->bytes / fmax(service->seconds, 0.0005);
}
