/*
 * Time.
 *
 * Two kinds. Monotonic time orders events and measures spans: nanoseconds since an unknown start,
 * as lsp_time (uint64_t). Wall time is for people and files: nanoseconds since 1970.
 *
 * A state machine never asks for the time: it takes `now` as an argument. What must ask (a loop, a
 * wait) asks the clock it was given, so that a test can own it: the system's, or a fake one that
 * moves only when the test moves it. All functions may be called from every thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef uint64_t lsp_time; /* monotonic, nanoseconds */

#define LSP_MICROSECOND UINT64_C(1000)
#define LSP_MILLISECOND UINT64_C(1000000)
#define LSP_SECOND UINT64_C(1000000000)
#define LSP_TIME_NEVER UINT64_MAX /* a deadline that does not come */

/*
 * Told whenever a clock that a test owns has moved. `moved` runs in the thread that moves the clock
 * and only wakes something up (a condition, an eventfd): it must not call back into the clock.
 */
struct lsp_clock_watch {
	void (*moved)(void *argument);
	void *argument;
	struct lsp_clock_watch *previous, *next; /* the clock's */
};

struct lsp_clock {
	lsp_time (*monotonic)(const struct lsp_clock *clock);
	uint64_t (*wall)(const struct lsp_clock *clock);
	/*
	 * NULL for the machine's clock, for which the kernel wakes who waits. Otherwise begins
	 * (`on`) or ends a watch; once it has ended, `moved` is not running and will not run.
	 */
	void (*watch)(const struct lsp_clock *clock, struct lsp_clock_watch *watch, bool on);
};

/* The machine's clocks (CLOCK_MONOTONIC, CLOCK_REALTIME). Static. */
extern const struct lsp_clock *const lsp_clock_system;

static inline lsp_time lsp_now(const struct lsp_clock *clock)
{
	return clock->monotonic(clock);
}

static inline uint64_t lsp_wall(const struct lsp_clock *clock)
{
	return clock->wall(clock);
}

/* a + b without wrapping: LSP_TIME_NEVER stays NEVER. */
static inline lsp_time lsp_time_add(lsp_time a, uint64_t b)
{
	return a > LSP_TIME_NEVER - b ? LSP_TIME_NEVER : a + b;
}

/* Nanoseconds from now until the deadline; 0 when it has passed. */
static inline uint64_t lsp_time_left(lsp_time now, lsp_time deadline)
{
	return deadline > now ? deadline - now : 0;
}

/*
 * A clock for tests. Set it up with lsp_fake_clock_init; it starts at one second. Whoever waits by
 * it (task/wait.h, a loop's timers) wakes when lsp_fake_clock_advance reaches the deadline, so a
 * test drives hours without sleeping.
 */
struct lsp_fake_clock {
	struct lsp_clock clock;
	_Atomic uint64_t monotonic_now;
	_Atomic uint64_t wall_now;
	pthread_mutex_t lock; /* guards the list; held while the watchers are told */
	struct lsp_clock_watch *watches;
};

void lsp_fake_clock_init(struct lsp_fake_clock *fake);
void lsp_fake_clock_advance(struct lsp_fake_clock *fake, uint64_t nanoseconds);
