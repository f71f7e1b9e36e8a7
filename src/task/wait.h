/*
 * Waiting: every blocking wait of ours is made of the two functions here, so that a cancelled
 * token, a deadline on a clock that may be a test's, and an interrupt all end it at once and not at
 * the next poll.
 *
 * A waiter is one thread's: it waits, any thread wakes. A wake that comes early is kept (one), so
 * "prepare, let the others know, wait" loses nothing.
 *
 * The interrupt: a task whose shutdown deadline has passed is interrupted (task/registry.h). From
 * then on every wait in its thread ends with -LSP_E_CANCELLED, whatever token it was given: even
 * the clean-up that ignores a cancelled token comes to an end.
 */
#pragma once

#include "task/cancel.h"

#include <poll.h>
#include <pthread.h>

struct lsp_waiter {
	pthread_mutex_t lock;
	pthread_cond_t changed;  /* by the monotonic clock */
	bool woken;              /* guarded by lock */
	struct lsp_waiter *next; /* guarded by the lock of the list's owner */
};

void lsp_waiter_init(struct lsp_waiter *waiter);
void lsp_waiter_done(struct lsp_waiter *waiter);
/* From every thread. Never blocks. */
void lsp_waiter_wake(struct lsp_waiter *waiter);

/*
 * 0 when woken, which uses the wake up; it wins over the other two: -LSP_E_CANCELLED when the token
 * is cancelled or the task interrupted, -LSP_E_TIMEOUT at the deadline. clock NULL: the machine's.
 */
LSP_MUST_CHECK int lsp_waiter_wait(struct lsp_waiter *waiter, struct lsp_cancel *token,
	const struct lsp_clock *clock, lsp_time deadline, struct lsp_error *err);

/* A list of waiters that are all woken at once. The owner's lock guards it. */
struct lsp_waiter_list {
	struct lsp_waiter *first;
};

void lsp_waiter_list_add(struct lsp_waiter_list *list, struct lsp_waiter *waiter);
void lsp_waiter_list_remove(struct lsp_waiter_list *list, struct lsp_waiter *waiter);
void lsp_waiter_list_wake(struct lsp_waiter_list *list);

/*
 * poll(2), at most 8 descriptors. The number that is ready (> 0), or an error as above, which wins:
 * a descriptor that is always ready cannot hide a cancelled token.
 */
LSP_MUST_CHECK int lsp_wait_poll(struct pollfd *fds, size_t count, struct lsp_cancel *token,
	const struct lsp_clock *clock, lsp_time deadline, struct lsp_error *err);

/* The interrupt of this thread, a token or NULL. Set by the registry alone. */
struct lsp_cancel *lsp_wait_interrupt(void);
void lsp_wait_set_interrupt(struct lsp_cancel *interrupt);
