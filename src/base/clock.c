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

static const struct lsp_clock system_clock = {system_monotonic, system_wall, NULL};
const struct lsp_clock *const lsp_clock_system = &system_clock;

static lsp_time fake_monotonic(const struct lsp_clock *clock)
{
	return atomic_load(&((struct lsp_fake_clock *)clock)->monotonic_now);
}

static uint64_t fake_wall(const struct lsp_clock *clock)
{
	return atomic_load(&((struct lsp_fake_clock *)clock)->wall_now);
}

static void fake_watch(const struct lsp_clock *clock, struct lsp_clock_watch *watch, bool on)
{
	struct lsp_fake_clock *fake = (struct lsp_fake_clock *)clock;
	pthread_mutex_lock(&fake->lock);
	if (on) {
		watch->previous = NULL;
		watch->next = fake->watches;
		if (watch->next)
			watch->next->previous = watch;
		fake->watches = watch;
	} else {
		if (watch->next)
			watch->next->previous = watch->previous;
		*(watch->previous ? &watch->previous->next : &fake->watches) = watch->next;
	}
	pthread_mutex_unlock(&fake->lock);
}

void lsp_fake_clock_init(struct lsp_fake_clock *fake)
{
	fake->clock = (struct lsp_clock){fake_monotonic, fake_wall, fake_watch};
	atomic_store(&fake->monotonic_now, LSP_SECOND);
	atomic_store(&fake->wall_now, UINT64_C(1700000000) * LSP_SECOND);
	pthread_mutex_init(&fake->lock, NULL);
	fake->watches = NULL;
}

void lsp_fake_clock_advance(struct lsp_fake_clock *fake, uint64_t nanoseconds)
{
	atomic_fetch_add(&fake->monotonic_now, nanoseconds);
	atomic_fetch_add(&fake->wall_now, nanoseconds);
	pthread_mutex_lock(&fake->lock);
	for (struct lsp_clock_watch *watch = fake->watches; watch; watch = watch->next)
		watch->moved(watch->argument);
	pthread_mutex_unlock(&fake->lock);
}
