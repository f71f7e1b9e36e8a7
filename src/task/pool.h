/*
 * A pool: a few registered threads for work that blocks (disk, hashing), with its end reported to a
 * loop.
 *
 * A job is the caller's storage from lsp_pool_submit until its `done` is called, which happens
 * exactly once, on the loop's thread, whatever became of it: it worked, or it was cancelled while
 * it was still queued (then `work` has not run and result is -LSP_E_CANCELLED). A job with a token
 * leaves the queue at once when the token is cancelled; work that runs looks at job->token itself.
 * The loop stays up until the done of every accepted job has run.
 *
 * The queue is bounded: a full one refuses with -LSP_E_BUSY. Threads share the jobs first come,
 * first served. Verbs: close refuses new jobs and lets the queued ones run; abort also cancels the
 * queued ones; stop closes and waits for the threads to end.
 */
#pragma once

#include "task/loop.h"

struct lsp_pool;

struct lsp_job {
	/* The caller's, set before the submit. */
	void (*work)(struct lsp_job *job); /* on a pool thread; may block; sets result and error */
	void (*done)(struct lsp_job *job); /* on the loop; may free or submit the job again */
	struct lsp_cancel *token;          /* NULL: none; the caller keeps it alive until done */
	int result;                        /* 0, or a negative code */
	struct lsp_error error;

	/* The pool's. */
	struct lsp_pool *pool;
	struct lsp_loop *loop;
	struct lsp_job *previous, *next;
	struct lsp_cancel_callback on_cancel;
	struct lsp_post post;
	int state;
};

/* threads: at least 1; they are named "<name>.0", … limit: jobs that may wait in the queue. */
LSP_MUST_CHECK int lsp_pool_new(struct lsp_tasks *tasks, const char *name, unsigned threads,
	size_t limit, struct lsp_pool **ret_pool, struct lsp_error *err);
/* Aborts, waits for the threads (as long as their last jobs take) and frees. */
void lsp_pool_free(struct lsp_pool *pool);
LSP_DEFINE_CLEANUP(struct lsp_pool *, lsp_pool_free);
#define _cleanup_pool_ _cleanup_(lsp_pool_free_pointer)

/* 0: done will be called. Else (-LSP_E_BUSY, -LSP_E_CLOSED of pool or loop) it will not. */
LSP_MUST_CHECK int lsp_pool_submit(
	struct lsp_pool *pool, struct lsp_loop *loop, struct lsp_job *job, struct lsp_error *err);

/*
 * Takes a job out of the queue: true, and its done comes with -LSP_E_CANCELLED. False when it runs
 * or has run. Only while the job is the pool's, so from the loop's thread, before done.
 */
bool lsp_job_cancel(struct lsp_job *job);

typedef int (*lsp_pool_function)(struct lsp_cancel *token, void *argument, struct lsp_error *err);

/*
 * For a thread that may block: runs function(token, argument) on a pool thread and waits for its
 * result. When the token or the deadline (the registry's clock) comes first it is withdrawn from
 * the queue; if it runs already it is waited for, so `argument` may live on the caller's stack, and
 * the function must heed the token.
 */
LSP_MUST_CHECK int lsp_pool_call(struct lsp_pool *pool, lsp_pool_function function, void *argument,
	struct lsp_cancel *token, lsp_time deadline, struct lsp_error *err);

void lsp_pool_close(struct lsp_pool *pool);
void lsp_pool_abort(struct lsp_pool *pool);
/* 0 when all threads have ended; -LSP_E_TIMEOUT at the deadline (the registry's clock). */
LSP_MUST_CHECK int lsp_pool_stop(struct lsp_pool *pool, lsp_time deadline, struct lsp_error *err);

/* Jobs that wait, jobs that run. */
void lsp_pool_load(struct lsp_pool *pool, size_t *ret_queued, size_t *ret_running);
