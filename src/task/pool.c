#include "task/pool.h"

#include "task/answer.h"
#include "task/registry_private.h"

#include <assert.h>
#include <stdio.h>

enum job_state { JOB_NEW, JOB_CANCELLED_EARLY, JOB_QUEUED, JOB_RUNNING, JOB_ENDED };

struct worker {
	struct lsp_waiter waiter;
	struct worker *next_idle;
	bool idle; /* it is on the list; who takes it off wakes it */
};

struct lsp_pool {
	/* Immutable. */
	struct lsp_tasks *tasks;
	size_t limit;
	unsigned threads;
	struct lsp_task **workers;

	pthread_mutex_t lock; /* guards what follows, and state and links of the jobs */
	struct lsp_job *first, *last;
	size_t queued, running;
	bool closed;
	struct worker *idle; /* workers that wait for a job */
};

/* ---- The queue --------------------------------------------------------------------------- */

static void wake_one(struct lsp_pool *pool)
{
	struct worker *worker = pool->idle;
	if (!worker)
		return;
	pool->idle = worker->next_idle;
	worker->idle = false;
	lsp_waiter_wake(&worker->waiter);
}

static void append(struct lsp_pool *pool, struct lsp_job *job)
{
	job->state = JOB_QUEUED;
	job->next = NULL;
	job->previous = pool->last;
	*(pool->last ? &pool->last->next : &pool->first) = job;
	pool->last = job;
	pool->queued++;
	wake_one(pool);
}

static void take(struct lsp_pool *pool, struct lsp_job *job, enum job_state state)
{
	*(job->previous ? &job->previous->next : &pool->first) = job->next;
	*(job->next ? &job->next->previous : &pool->last) = job->previous;
	job->state = state;
	pool->queued--;
}

static void run_done(void *argument)
{
	struct lsp_job *job = argument;
	job->done(job);
}

/* The one place where a job leaves the pool; nothing may touch it afterwards. */
static void report(struct lsp_job *job)
{
	lsp_cancel_unregister(&job->on_cancel);
	if (job->loop)
		lsp_loop_post_reserved(job->loop, &job->post, run_done, job);
	else
		job->done(job); /* lsp_pool_call */
}

static void report_cancelled(struct lsp_job *job)
{
	if (lsp_cancel_check(job->token, &job->error) == 0)
		lsp_error_set(&job->error, "task", LSP_E_CANCELLED, "cancelled before it began");
	job->result = -LSP_E_CANCELLED;
	report(job);
}

/* Whoever takes the job out of the queue reports it, so a cancel and a worker cannot both. */
static bool take_queued(struct lsp_pool *pool, struct lsp_job *job)
{
	pthread_mutex_lock(&pool->lock);
	bool queued = job->state == JOB_QUEUED;
	if (queued)
		take(pool, job, JOB_ENDED);
	pthread_mutex_unlock(&pool->lock);
	return queued;
}

bool lsp_job_cancel(struct lsp_job *job)
{
	bool queued = take_queued(job->pool, job);
	if (queued)
		report_cancelled(job);
	return queued;
}

static void on_cancel(void *argument)
{
	struct lsp_job *job = argument;
	struct lsp_pool *pool = job->pool;
	pthread_mutex_lock(&pool->lock);
	if (job->state == JOB_NEW)
		job->state = JOB_CANCELLED_EARLY;
	pthread_mutex_unlock(&pool->lock);
	lsp_job_cancel(job);
}

/*
 * The callback is registered first, since a queued job may be gone before this function returns; a
 * cancel that comes between the two is found in the job's state.
 */
static int enqueue(struct lsp_pool *pool, struct lsp_job *job, struct lsp_error *err)
{
	job->pool = pool;
	job->state = JOB_NEW;
	job->result = 0;
	job->error = (struct lsp_error){0};
	lsp_cancel_register(job->token, &job->on_cancel, on_cancel, job);
	pthread_mutex_lock(&pool->lock);
	bool cancelled = job->state == JOB_CANCELLED_EARLY;
	bool closed = pool->closed, full = pool->queued >= pool->limit;
	if (cancelled)
		job->state = JOB_ENDED;
	else if (!closed && !full)
		append(pool, job);
	pthread_mutex_unlock(&pool->lock);
	if (cancelled) {
		report_cancelled(job);
		return 0;
	}
	if (!closed && !full)
		return 0;
	lsp_cancel_unregister(&job->on_cancel);
	if (closed)
		return lsp_error_set(err, "task", LSP_E_CLOSED, "the pool was shut down");
	return lsp_error_set(err, "task", LSP_E_BUSY, "%zu jobs wait already", pool->limit);
}

int lsp_pool_submit(
	struct lsp_pool *pool, struct lsp_loop *loop, struct lsp_job *job, struct lsp_error *err)
{
	assert(loop);
	int r = lsp_loop_reserve(loop, err);
	if (r < 0)
		return r;
	job->loop = loop;
	r = enqueue(pool, job, err);
	if (r < 0)
		lsp_loop_unreserve(loop);
	return r;
}

/* ---- Calls ------------------------------------------------------------------------------- */

struct call {
	struct lsp_job job;
	struct lsp_answer answer;
	lsp_pool_function function;
	void *argument;
};

static void work_call(struct lsp_job *job)
{
	struct call *call = lsp_container_of(job, struct call, job);
	job->result = call->function(job->token, call->argument, &job->error);
}

static void call_done(struct lsp_job *job)
{
	struct call *call = lsp_container_of(job, struct call, job);
	lsp_answer_complete(&call->answer, job->result, &job->error);
}

int lsp_pool_call(struct lsp_pool *pool, lsp_pool_function function, void *argument,
	struct lsp_cancel *token, lsp_time deadline, struct lsp_error *err)
{
	struct call call = {
		.job = {.work = work_call, .done = call_done, .token = token},
		.function = function,
		.argument = argument,
	};
	struct lsp_error gave_up = {0};
	lsp_answer_init(&call.answer);
	int r = enqueue(pool, &call.job, err);
	if (r == 0) {
		r = lsp_answer_wait(
			&call.answer, NULL, lsp_tasks_clock(pool->tasks), deadline, &gave_up);
		if (!lsp_answer_is_complete(&call.answer) && take_queued(pool, &call.job)) {
			lsp_cancel_unregister(&call.job.on_cancel);
			if (err)
				*err = gave_up;
		} else {
			r = lsp_answer_settle(&call.answer, err);
		}
	}
	lsp_answer_done(&call.answer);
	return r;
}

/* ---- Workers ----------------------------------------------------------------------------- */

/* Under the lock: waits for a job or the end of the pool. False when there is nothing left to do.
 */
static bool wait_for_job(struct lsp_pool *pool, struct worker *worker)
{
	while (!pool->first && !pool->closed) {
		worker->idle = true;
		worker->next_idle = pool->idle;
		pool->idle = worker;
		pthread_mutex_unlock(&pool->lock);
		int r = lsp_waiter_wait(&worker->waiter, NULL, NULL, LSP_TIME_NEVER, NULL);
		pthread_mutex_lock(&pool->lock);
		if (worker->idle) {
			struct worker **at = &pool->idle;
			while (*at != worker)
				at = &(*at)->next_idle;
			*at = worker->next_idle;
			worker->idle = false;
		}
		if (r < 0) /* interrupted */
			return false;
	}
	return pool->first;
}

static int work(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct lsp_pool *pool = argument;
	struct worker worker = {0};
	lsp_waiter_init(&worker.waiter);
	pthread_mutex_lock(&pool->lock);
	while (wait_for_job(pool, &worker)) {
		struct lsp_job *job = pool->first;
		take(pool, job, JOB_RUNNING);
		pool->running++;
		pthread_mutex_unlock(&pool->lock);
		job->work(job);
		report(job);
		pthread_mutex_lock(&pool->lock);
		pool->running--;
	}
	pthread_mutex_unlock(&pool->lock);
	lsp_waiter_done(&worker.waiter);
	if (lsp_cancel_requested(lsp_wait_interrupt()))
		lsp_pool_abort(pool);
	return 0;
}

/* ---- Life -------------------------------------------------------------------------------- */

static int start_workers(
	struct lsp_pool *pool, const char *name, unsigned threads, struct lsp_error *err)
{
	int r = 0;
	for (unsigned i = 0; i < threads && r == 0; i++) {
		char worker_name[LSP_TASK_NAME_MAX];
		snprintf(worker_name, sizeof worker_name, "%.30s.%u", name, i);
		r = lsp_tasks_spawn(pool->tasks, worker_name, LSP_TASK_BACKGROUND, work, pool,
			&pool->workers[i], err);
		pool->threads += r == 0;
	}
	return r;
}

int lsp_pool_new(struct lsp_tasks *tasks, const char *name, unsigned threads, size_t limit,
	struct lsp_pool **ret_pool, struct lsp_error *err)
{
	assert(threads > 0 && limit > 0);
	struct lsp_pool *pool = calloc(1, sizeof *pool);
	if (!pool)
		return lsp_error_no_memory(err, "task");
	pool->tasks = tasks;
	pool->limit = limit;
	pthread_mutex_init(&pool->lock, NULL);
	pool->workers = calloc(threads, sizeof(struct lsp_task *));
	int r = pool->workers ? start_workers(pool, name, threads, err)
			      : lsp_error_no_memory(err, "task");
	if (r < 0) {
		lsp_pool_free(pool);
		return r;
	}
	*ret_pool = pool;
	return 0;
}

void lsp_pool_close(struct lsp_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->closed = true;
	while (pool->idle)
		wake_one(pool);
	pthread_mutex_unlock(&pool->lock);
}

void lsp_pool_abort(struct lsp_pool *pool)
{
	lsp_pool_close(pool);
	for (;;) {
		pthread_mutex_lock(&pool->lock);
		struct lsp_job *job = pool->first;
		if (job)
			take(pool, job, JOB_ENDED);
		pthread_mutex_unlock(&pool->lock);
		if (!job)
			return;
		report_cancelled(job);
	}
}

int lsp_pool_stop(struct lsp_pool *pool, lsp_time deadline, struct lsp_error *err)
{
	lsp_pool_close(pool);
	int r = 0;
	for (unsigned i = 0; i < pool->threads && r == 0; i++)
		r = lsp_task_wait(
			pool->workers[i], NULL, lsp_tasks_clock(pool->tasks), deadline, err);
	return r;
}

void lsp_pool_free(struct lsp_pool *pool)
{
	if (!pool)
		return;
	lsp_pool_abort(pool);
	for (unsigned i = 0; i < pool->threads; i++) {
		(void)!lsp_answer_settle(&pool->workers[i]->ended, NULL);
		lsp_task_unref(pool->workers[i]);
	}
	free(pool->workers);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void lsp_pool_load(struct lsp_pool *pool, size_t *ret_queued, size_t *ret_running)
{
	pthread_mutex_lock(&pool->lock);
	*ret_queued = pool->queued;
	*ret_running = pool->running;
	pthread_mutex_unlock(&pool->lock);
}
