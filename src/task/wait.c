/*
 * A wait registers with its three enders (token, interrupt, a clock that a test owns), each of
 * which merely nudges the condition, and then looks at the facts itself: who nudges needs to say
 * nothing, and nothing is lost between the look and the sleep, since a nudge takes the waiter's
 * lock.
 */
#include "task/wait.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#define POLL_MAX 8

static _Thread_local struct lsp_cancel *thread_interrupt;

struct lsp_cancel *lsp_wait_interrupt(void)
{
	return thread_interrupt;
}

void lsp_wait_set_interrupt(struct lsp_cancel *interrupt)
{
	thread_interrupt = interrupt;
}

void lsp_waiter_init(struct lsp_waiter *waiter)
{
	*waiter = (struct lsp_waiter){0};
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&waiter->lock, NULL);
	pthread_cond_init(&waiter->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

void lsp_waiter_done(struct lsp_waiter *waiter)
{
	pthread_cond_destroy(&waiter->changed);
	pthread_mutex_destroy(&waiter->lock);
}

void lsp_waiter_wake(struct lsp_waiter *waiter)
{
	pthread_mutex_lock(&waiter->lock);
	waiter->woken = true;
	pthread_cond_broadcast(&waiter->changed);
	pthread_mutex_unlock(&waiter->lock);
}

static void nudge(void *argument)
{
	struct lsp_waiter *waiter = argument;
	pthread_mutex_lock(&waiter->lock);
	pthread_cond_broadcast(&waiter->changed);
	pthread_mutex_unlock(&waiter->lock);
}

static int ended(struct lsp_cancel *token, const struct lsp_clock *clock, lsp_time deadline,
	struct lsp_error *err)
{
	if (lsp_cancel_requested(token))
		return lsp_cancel_check(token, err);
	if (lsp_cancel_requested(thread_interrupt))
		return lsp_cancel_check(thread_interrupt, err);
	if (deadline != LSP_TIME_NEVER && lsp_now(clock) >= deadline)
		return lsp_error_set(err, "task", LSP_E_TIMEOUT, "the deadline has passed");
	return 0;
}

static void sleep_until(struct lsp_waiter *waiter, const struct lsp_clock *clock, lsp_time deadline)
{
	if (clock->watch || deadline == LSP_TIME_NEVER) {
		pthread_cond_wait(&waiter->changed, &waiter->lock);
		return;
	}
	struct timespec until = {
		.tv_sec = (time_t)(deadline / LSP_SECOND),
		.tv_nsec = (long)(deadline % LSP_SECOND),
	};
	pthread_cond_timedwait(&waiter->changed, &waiter->lock, &until);
}

int lsp_waiter_wait(struct lsp_waiter *waiter, struct lsp_cancel *token,
	const struct lsp_clock *clock, lsp_time deadline, struct lsp_error *err)
{
	struct lsp_cancel_callback on_cancel, on_interrupt;
	struct lsp_clock_watch watch = {.moved = nudge, .argument = waiter};
	clock = clock ? clock : lsp_clock_system;
	lsp_cancel_register(token, &on_cancel, nudge, waiter);
	lsp_cancel_register(thread_interrupt, &on_interrupt, nudge, waiter);
	if (clock->watch)
		clock->watch(clock, &watch, true);
	int r = 0;
	pthread_mutex_lock(&waiter->lock);
	while (!waiter->woken && (r = ended(token, clock, deadline, err)) == 0)
		sleep_until(waiter, clock, deadline);
	if (waiter->woken)
		waiter->woken = false;
	pthread_mutex_unlock(&waiter->lock);
	if (clock->watch)
		clock->watch(clock, &watch, false);
	lsp_cancel_unregister(&on_interrupt);
	lsp_cancel_unregister(&on_cancel);
	return r;
}

void lsp_waiter_list_add(struct lsp_waiter_list *list, struct lsp_waiter *waiter)
{
	waiter->next = list->first;
	list->first = waiter;
}

void lsp_waiter_list_remove(struct lsp_waiter_list *list, struct lsp_waiter *waiter)
{
	struct lsp_waiter **at = &list->first;
	while (*at != waiter)
		at = &(*at)->next;
	*at = waiter->next;
}

void lsp_waiter_list_wake(struct lsp_waiter_list *list)
{
	for (struct lsp_waiter *waiter = list->first; waiter; waiter = waiter->next)
		lsp_waiter_wake(waiter);
}

bool lsp_cancel_wait(struct lsp_cancel *token, const struct lsp_clock *clock, lsp_time deadline)
{
	struct lsp_waiter waiter;
	lsp_waiter_init(&waiter);
	int r = lsp_waiter_wait(&waiter, token, clock, deadline, NULL);
	lsp_waiter_done(&waiter);
	return r == -LSP_E_CANCELLED;
}

/* ---- Descriptors ------------------------------------------------------------------------- */

static void ring(void *argument)
{
	eventfd_write(*(int *)argument, 1);
}

static int poll_once(struct pollfd *all, size_t wanted, size_t count, const struct lsp_clock *clock,
	lsp_time deadline, struct lsp_error *err)
{
	struct timespec left, *timeout = NULL;
	if (!clock->watch && deadline != LSP_TIME_NEVER) {
		uint64_t ns = lsp_time_left(lsp_now(clock), deadline);
		left = (struct timespec){(time_t)(ns / LSP_SECOND), (long)(ns % LSP_SECOND)};
		timeout = &left;
	}
	int ready = ppoll(all, count, timeout, NULL);
	if (ready < 0 && errno != EINTR)
		return lsp_error_errno(err, "task", errno, "cannot wait for a descriptor");
	if (ready <= 0)
		return 0;
	ready = 0;
	for (size_t i = 0; i < wanted; i++)
		ready += all[i].revents != 0;
	return ready;
}

/* Adds the descriptors that end a wait early behind the caller's own. */
static int add_enders(struct pollfd *all, size_t *count, struct lsp_cancel *token, int moved,
	struct lsp_error *err)
{
	struct lsp_cancel *enders[] = {token, thread_interrupt};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(enders); i++) {
		int fd, r = enders[i] ? lsp_cancel_fd(enders[i], &fd, err) : 0;
		if (r < 0)
			return r;
		if (enders[i])
			all[(*count)++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
	if (moved >= 0)
		all[(*count)++] = (struct pollfd){.fd = moved, .events = POLLIN};
	return 0;
}

static int poll_until(struct pollfd *fds, size_t wanted, struct lsp_cancel *token, int moved,
	const struct lsp_clock *clock, lsp_time deadline, struct lsp_error *err)
{
	struct pollfd all[POLL_MAX + 3];
	size_t count = wanted;
	memcpy(all, fds, wanted * sizeof *fds);
	int r = add_enders(all, &count, token, moved, err);
	while (r == 0) {
		eventfd_t ignored;
		if (moved >= 0)
			eventfd_read(moved, &ignored);
		r = ended(token, clock, deadline, err);
		if (r == 0)
			r = poll_once(all, wanted, count, clock, deadline, err);
	}
	if (r > 0)
		memcpy(fds, all, wanted * sizeof *fds);
	return r;
}

int lsp_wait_poll(struct pollfd *fds, size_t count, struct lsp_cancel *token,
	const struct lsp_clock *clock, lsp_time deadline, struct lsp_error *err)
{
	assert(count <= POLL_MAX);
	clock = clock ? clock : lsp_clock_system;
	if (!clock->watch)
		return poll_until(fds, count, token, -1, clock, deadline, err);
	_cleanup_close_ int moved = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (moved < 0)
		return lsp_error_errno(err, "task", errno, "cannot make an eventfd");
	struct lsp_clock_watch watch = {.moved = ring, .argument = &moved};
	clock->watch(clock, &watch, true);
	int r = poll_until(fds, count, token, moved, clock, deadline, err);
	clock->watch(clock, &watch, false);
	return r;
}
