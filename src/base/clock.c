#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * LSP_SECOND + (uint64_t)t.tv_nsec;
}

static lsp_time system_monotonic(const struct lsp_clock *clock)
{
	return read_clock(CLOCK_MONOTONIC);
}

static uint64_t system_wall(const struct lsp_clock *clock)
{
	return read_clock(CLOCK_REALTIME);
}

static const struct lsp_clock system_clock = {system_monotonic, system_wall};
const struct lsp_clock *const lsp_clock_system = &system_clock;

static lsp_time fake_monotonic(const struct lsp_clock *clock)
{
	return atomic_load(&((struct lsp_fake_clock *)clock)->monotonic_now);
}

static uint64_t fake_wall(const struct lsp_clock *clock)
{
	return atomic_load(&((struct lsp_fake_clock *)clock)->wall_now);
}

void lsp_fake_clock_init(struct lsp_fake_clock *fake)
{
	fake->clock = (struct lsp_clock){fake_monotonic, fake_wall};
	atomic_store(&fake->monotonic_now, LSP_SECOND);
	atomic_store(&fake->wall_now, UINT64_C(1700000000) * LSP_SECOND);
}

void lsp_fake_clock_advance(struct lsp_fake_clock *fake, uint64_t nanoseconds)
{
	atomic_fetch_add(&fake->monotonic_now, nanoseconds);
	atomic_fetch_add(&fake->wall_now, nanoseconds);
}
