/*
 * A loop: one libuv loop in one registered thread, and the bridges to it.
 *
 * What a loop owns (sockets, timers, state machines) only its own thread touches, without locks.
 * Other threads hand it work: lsp_loop_post and go on, or lsp_loop_call and wait for the answer.
 * Functions that run on a loop are short and never block.
 *
 * An accepted post always runs, on the loop's thread, in the order of the posts. Once the loop is
 * closed new posts are refused with -LSP_E_CLOSED; the accepted ones still run before it ends. Who
 * will have to report later (a job in a pool) reserves a post in advance: that one is accepted even
 * after the close, and the loop does not end before it came.
 *
 * Closing is the owner's decision, not the token's: the loop that says goodbye to the peers must
 * outlive the cancel that makes it say so. An interrupt (task/registry.h) does close it.
 *
 * Verbs: lsp_loop_close asks it to end and returns; lsp_loop_stop also waits; lsp_loop_unref drops
 * a reference. libuv handles that others opened on it must be closed by their owners first; one
 * that was forgotten is closed with an error in the log.
 */
#pragma once

#include "task/registry.h"

#include <uv.h>

struct lsp_loop;

/* Starts the thread. The clock is the registry's. The caller gets one reference. */
LSP_MUST_CHECK int lsp_loop_start(struct lsp_tasks *tasks, const char *name,
	struct lsp_loop **ret_loop, struct lsp_error *err);
struct lsp_loop *lsp_loop_ref(struct lsp_loop *loop);
/* The last reference must not go before the loop has ended. */
void lsp_loop_unref(struct lsp_loop *loop);
LSP_DEFINE_CLEANUP(struct lsp_loop *, lsp_loop_unref);
#define _cleanup_loop_ _cleanup_(lsp_loop_unref_pointer)

/* From every thread. Idempotent. */
void lsp_loop_close(struct lsp_loop *loop);
/*
 * Closes it and waits until it has ended: 0, or -LSP_E_TIMEOUT at the deadline (the registry's
 * clock). Not from the loop's own thread.
 */
LSP_MUST_CHECK int lsp_loop_stop(struct lsp_loop *loop, lsp_time deadline, struct lsp_error *err);

/* For the loop's own thread (and before it has anything to run). */
uv_loop_t *lsp_loop_uv(struct lsp_loop *loop);
struct lsp_tasks *lsp_loop_tasks(struct lsp_loop *loop);
const struct lsp_clock *lsp_loop_clock(struct lsp_loop *loop);
/* Is the calling thread the loop's? */
bool lsp_loop_is_current(const struct lsp_loop *loop);

/* ---- Posts ------------------------------------------------------------------------------- */

/* The caller's storage, from the post until its function is called; its fields are the loop's. */
struct lsp_post {
	void (*function)(void *argument);
	void *argument;
	struct lsp_post *previous, *next;
	int state;
};

/*
 * Has function(argument) run on the loop's thread, soon. 0: it will run, exactly once.
 * -LSP_E_CLOSED (or no memory): it will not. From every thread, the loop's own included; never
 * blocks.
 */
LSP_MUST_CHECK int lsp_loop_post(struct lsp_loop *loop, void (*function)(void *argument),
	void *argument, struct lsp_error *err);
/* The same without an allocation. */
LSP_MUST_CHECK int lsp_loop_post_node(struct lsp_loop *loop, struct lsp_post *post,
	void (*function)(void *argument), void *argument, struct lsp_error *err);

/* Promises one post: -LSP_E_CLOSED once the loop is closed. */
LSP_MUST_CHECK int lsp_loop_reserve(struct lsp_loop *loop, struct lsp_error *err);
/* Keeps the promise: cannot fail. */
void lsp_loop_post_reserved(struct lsp_loop *loop, struct lsp_post *post,
	void (*function)(void *argument), void *argument);
/* Takes the promise back. */
void lsp_loop_unreserve(struct lsp_loop *loop);

typedef int (*lsp_loop_function)(void *argument, struct lsp_error *err);

/*
 * Runs function(argument) on the loop's thread and waits for its result. When the deadline (the
 * registry's clock) or the token (NULL: none) comes first, the function is withdrawn and will not
 * run; if it runs just then, its result is waited for and returned: so `argument` may live on the
 * caller's stack. On the loop's own thread it is simply called.
 */
LSP_MUST_CHECK int lsp_loop_call(struct lsp_loop *loop, lsp_loop_function function, void *argument,
	struct lsp_cancel *token, lsp_time deadline, struct lsp_error *err);

/* ---- Timers ------------------------------------------------------------------------------ */

/*
 * A timer on a loop, by the loop's clock, for the loop's thread alone. It belongs to whoever
 * declares it, is off until started, fires once per start, and is gone when lsp_timer_done returns
 * (no callback comes later, nothing has to be closed first).
 */
struct lsp_timer {
	struct lsp_loop *loop;
	void (*function)(void *argument);
	void *argument;
	lsp_time when;
	size_t index; /* in the loop's heap, from 1; 0: off */
};

LSP_MUST_CHECK int lsp_timer_init(struct lsp_timer *timer, struct lsp_loop *loop,
	void (*function)(void *argument), void *argument, struct lsp_error *err);
/* A zeroed timer is fine. */
void lsp_timer_done(struct lsp_timer *timer);
/* Fires at `when` (at once where that has passed; never for LSP_TIME_NEVER); replaces the last. */
void lsp_timer_start(struct lsp_timer *timer, lsp_time when);
void lsp_timer_stop(struct lsp_timer *timer);

static inline bool lsp_timer_is_on(const struct lsp_timer *timer)
{
	return timer->index != 0;
}
