/*
 * One uv_async wakes the loop for posts, for the close and for a clock that a test moved. Timers
 * are a heap of our own in front of one timerfd (libuv's count whole milliseconds, which is coarse
 * for a packet pacer, and need an asynchronous close). The descriptor is set just before the loop
 * sleeps, and only when it would fire too late: a timer that is pushed back on every packet costs
 * no system call.
 */
#include "task/loop.h"

#include "base/log.h"
#include "task/answer.h"
#include "task/timer_heap.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>

enum post_state { POST_QUEUED = 1, POST_QUEUED_OWNED, POST_TAKEN };

struct lsp_loop {
	/* Immutable. */
	struct lsp_tasks *tasks;
	const struct lsp_clock *clock;
	char name[LSP_TASK_NAME_MAX];
	struct lsp_task *task; /* for the owner's lsp_loop_stop */

	atomic_uint references;

	/* Owned by the loop's thread. */
	uv_loop_t uv;
	uv_async_t wake; /* uv_async_send from every thread, under `lock`, while `open` */
	uv_prepare_t before_sleep;
	uv_poll_t alarm;
	int alarm_fd;
	lsp_time alarm_at; /* what alarm_fd is set to; LSP_TIME_NEVER: off */
	struct lsp_timer_heap timers;
	struct lsp_clock_watch watch;
	struct lsp_cancel_callback on_interrupt;

	pthread_mutex_t lock; /* guards what follows */
	struct lsp_post *first, *last;
	size_t queued;
	size_t reserved;
	bool closed; /* takes no more posts */
	bool open;   /* `wake` can be used */
};

static _Thread_local struct lsp_loop *current;

static void wake_up(struct lsp_loop *loop)
{
	if (loop->open)
		uv_async_send(&loop->wake);
}

/* ---- The queue --------------------------------------------------------------------------- */

static void append(struct lsp_loop *loop, struct lsp_post *post)
{
	post->next = NULL;
	post->previous = loop->last;
	*(loop->last ? &loop->last->next : &loop->first) = post;
	loop->last = post;
	loop->queued++;
	if (!post->previous)
		wake_up(loop);
}

static void take(struct lsp_loop *loop, struct lsp_post *post)
{
	*(post->previous ? &post->previous->next : &loop->first) = post->next;
	*(post->next ? &post->next->previous : &loop->last) = post->previous;
	post->state = POST_TAKEN;
	loop->queued--;
}

static int accept_post(struct lsp_loop *loop, struct lsp_post *post, struct lsp_error *err)
{
	pthread_mutex_lock(&loop->lock);
	bool closed = loop->closed;
	if (!closed)
		append(loop, post);
	pthread_mutex_unlock(&loop->lock);
	if (closed)
		return lsp_error_set(
			err, "task", LSP_E_CLOSED, "the loop %s was shut down", loop->name);
	return 0;
}

int lsp_loop_post_node(struct lsp_loop *loop, struct lsp_post *post,
	void (*function)(void *argument), void *argument, struct lsp_error *err)
{
	*post = (struct lsp_post){function, argument, .state = POST_QUEUED};
	return accept_post(loop, post, err);
}

int lsp_loop_post(struct lsp_loop *loop, void (*function)(void *argument), void *argument,
	struct lsp_error *err)
{
	_cleanup_free_ struct lsp_post *post = malloc(sizeof *post);
	if (!post)
		return lsp_error_no_memory(err, "task");
	*post = (struct lsp_post){function, argument, .state = POST_QUEUED_OWNED};
	int r = accept_post(loop, post, err);
	if (r == 0)
		TAKE_PTR(post);
	return r;
}

int lsp_loop_reserve(struct lsp_loop *loop, struct lsp_error *err)
{
	pthread_mutex_lock(&loop->lock);
	bool closed = loop->closed;
	loop->reserved += !closed;
	pthread_mutex_unlock(&loop->lock);
	if (closed)
		return lsp_error_set(
			err, "task", LSP_E_CLOSED, "the loop %s was shut down", loop->name);
	return 0;
}

void lsp_loop_post_reserved(struct lsp_loop *loop, struct lsp_post *post,
	void (*function)(void *argument), void *argument)
{
	*post = (struct lsp_post){function, argument, .state = POST_QUEUED};
	pthread_mutex_lock(&loop->lock);
	assert(loop->reserved);
	loop->reserved--;
	append(loop, post);
	pthread_mutex_unlock(&loop->lock);
}

void lsp_loop_unreserve(struct lsp_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	assert(loop->reserved);
	loop->reserved--;
	wake_up(loop);
	pthread_mutex_unlock(&loop->lock);
}

/* Runs what was queued when it began; what that queues comes in the next round. */
static void run_posts(struct lsp_loop *loop)
{
	struct lsp_post *post;
	pthread_mutex_lock(&loop->lock);
	for (size_t turns = loop->queued; turns && (post = loop->first); turns--) {
		bool owned = post->state == POST_QUEUED_OWNED;
		void (*function)(void *) = post->function;
		void *argument = post->argument;
		take(loop, post);
		pthread_mutex_unlock(&loop->lock);
		if (owned)
			free(post);
		function(argument);
		pthread_mutex_lock(&loop->lock);
	}
	if (loop->first)
		wake_up(loop);
	pthread_mutex_unlock(&loop->lock);
}

/* ---- Calls ------------------------------------------------------------------------------- */

struct call {
	struct lsp_post post;
	struct lsp_answer answer;
	lsp_loop_function function;
	void *argument;
};

static void run_call(void *argument)
{
	struct call *call = argument;
	struct lsp_error err = {0};
	int r = call->function(call->argument, &err);
	lsp_answer_complete(&call->answer, r, &err);
}

/* False when it runs or has run. */
static bool withdraw(struct lsp_loop *loop, struct lsp_post *post)
{
	pthread_mutex_lock(&loop->lock);
	bool queued = post->state != POST_TAKEN;
	if (queued)
		take(loop, post);
	pthread_mutex_unlock(&loop->lock);
	return queued;
}

int lsp_loop_call(struct lsp_loop *loop, lsp_loop_function function, void *argument,
	struct lsp_cancel *token, lsp_time deadline, struct lsp_error *err)
{
	if (lsp_loop_is_current(loop))
		return function(argument, err);
	struct call call = {.function = function, .argument = argument};
	struct lsp_error gave_up = {0};
	lsp_answer_init(&call.answer);
	int r = lsp_loop_post_node(loop, &call.post, run_call, &call, err);
	if (r < 0) {
		lsp_answer_done(&call.answer);
		return r;
	}
	r = lsp_answer_wait(&call.answer, token, loop->clock, deadline, &gave_up);
	if (!lsp_answer_is_complete(&call.answer) && withdraw(loop, &call.post)) {
		if (err)
			*err = gave_up;
	} else {
		r = lsp_answer_settle(&call.answer, err);
	}
	lsp_answer_done(&call.answer);
	return r;
}

/* ---- Timers ------------------------------------------------------------------------------ */

int lsp_timer_init(struct lsp_timer *timer, struct lsp_loop *loop, void (*function)(void *argument),
	void *argument, struct lsp_error *err)
{
	assert(lsp_loop_is_current(loop));
	int r = lsp_timer_heap_grow(&loop->timers, err);
	if (r == 0)
		*timer = (struct lsp_timer){loop, function, argument, LSP_TIME_NEVER, 0};
	return r;
}

void lsp_timer_done(struct lsp_timer *timer)
{
	if (!timer->loop)
		return;
	lsp_timer_stop(timer);
	timer->loop->timers.known--;
	timer->loop = NULL;
}

void lsp_timer_stop(struct lsp_timer *timer)
{
	assert(!timer->loop || lsp_loop_is_current(timer->loop));
	if (timer->index)
		lsp_timer_heap_remove(&timer->loop->timers, timer);
}

void lsp_timer_start(struct lsp_timer *timer, lsp_time when)
{
	lsp_timer_stop(timer);
	timer->when = when;
	if (when != LSP_TIME_NEVER)
		lsp_timer_heap_add(&timer->loop->timers, timer);
}

static void run_timers(struct lsp_loop *loop)
{
	lsp_time now = lsp_now(loop->clock);
	struct lsp_timer *timer;
	/* A timer that starts itself again at once gets its turn in the next round. */
	for (size_t turns = loop->timers.count; turns; turns--) {
		timer = lsp_timer_heap_first(&loop->timers);
		if (!timer || timer->when > now)
			return;
		lsp_timer_heap_remove(&loop->timers, timer);
		timer->function(timer->argument);
	}
	timer = lsp_timer_heap_first(&loop->timers);
	if (timer && timer->when <= now)
		uv_async_send(&loop->wake);
}

/* Before each sleep: the alarm must not come later than the first timer. */
static void set_alarm(uv_prepare_t *handle)
{
	struct lsp_loop *loop = handle->data;
	struct lsp_timer *timer = lsp_timer_heap_first(&loop->timers);
	if (loop->clock->watch || !timer || timer->when >= loop->alarm_at)
		return;
	lsp_time when = timer->when ? timer->when : 1; /* 0 would switch it off */
	struct itimerspec spec = {
		.it_value = {(time_t)(when / LSP_SECOND), (long)(when % LSP_SECOND)}};
	timerfd_settime(loop->alarm_fd, TFD_TIMER_ABSTIME, &spec, NULL);
	loop->alarm_at = timer->when;
}

static void on_alarm(uv_poll_t *handle, int status, int events)
{
	struct lsp_loop *loop = handle->data;
	uint64_t expirations;
	(void)!read(loop->alarm_fd, &expirations, sizeof expirations);
	loop->alarm_at = LSP_TIME_NEVER;
	run_timers(loop);
}

/* ---- The thread -------------------------------------------------------------------------- */

static void close_own_handles(struct lsp_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->open = false;
	pthread_mutex_unlock(&loop->lock);
	if (loop->clock->watch)
		loop->clock->watch(loop->clock, &loop->watch, false);
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_close((uv_handle_t *)&loop->before_sleep, NULL);
	uv_close((uv_handle_t *)&loop->alarm, NULL);
	uv_stop(&loop->uv);
}

static void on_wake(uv_async_t *handle)
{
	struct lsp_loop *loop = handle->data;
	run_posts(loop);
	run_timers(loop);
	pthread_mutex_lock(&loop->lock);
	bool over = loop->closed && !loop->first && !loop->reserved;
	pthread_mutex_unlock(&loop->lock);
	if (over && !uv_is_closing((uv_handle_t *)handle))
		close_own_handles(loop);
}

static void close_forgotten(uv_handle_t *handle, void *argument)
{
	struct lsp_loop *loop = argument;
	if (uv_is_closing(handle))
		return;
	lsp_log_error(loop->name, "a %s handle was left open on the loop",
		uv_handle_type_name(uv_handle_get_type(handle)));
	uv_close(handle, NULL);
}

static void on_moved(void *argument)
{
	struct lsp_loop *loop = argument;
	uv_async_send(&loop->wake);
}

static void on_interrupt(void *argument)
{
	lsp_loop_close(argument);
}

static int loop_main(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct lsp_loop *loop = argument;
	current = loop;
	lsp_cancel_register(lsp_wait_interrupt(), &loop->on_interrupt, on_interrupt, loop);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	lsp_cancel_unregister(&loop->on_interrupt);
	uv_walk(&loop->uv, close_forgotten, loop);
	while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
		;
	current = NULL;
	lsp_loop_unref(loop);
	return 0;
}

/* ---- Life -------------------------------------------------------------------------------- */

static int make_handles(struct lsp_loop *loop, struct lsp_error *err)
{
	loop->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->alarm_fd < 0)
		return lsp_error_errno(err, "task", errno, "cannot make a timer");
	int r = uv_loop_init(&loop->uv);
	if (r < 0) {
		close(loop->alarm_fd);
		return lsp_error_errno(err, "task", -r, "cannot make a loop");
	}
	r = uv_async_init(&loop->uv, &loop->wake, on_wake);
	if (r == 0) {
		r = uv_poll_init(&loop->uv, &loop->alarm, loop->alarm_fd);
		if (r < 0)
			uv_close((uv_handle_t *)&loop->wake, NULL);
	}
	if (r < 0) {
		uv_run(&loop->uv, UV_RUN_DEFAULT);
		uv_loop_close(&loop->uv);
		close(loop->alarm_fd);
		return lsp_error_errno(err, "task", -r, "cannot make a loop");
	}
	loop->wake.data = loop->before_sleep.data = loop->alarm.data = loop;
	uv_prepare_init(&loop->uv, &loop->before_sleep);
	uv_prepare_start(&loop->before_sleep, set_alarm);
	uv_poll_start(&loop->alarm, UV_READABLE, on_alarm);
	loop->alarm_at = LSP_TIME_NEVER;
	loop->open = true;
	return 0;
}

int lsp_loop_start(struct lsp_tasks *tasks, const char *name, struct lsp_loop **ret_loop,
	struct lsp_error *err)
{
	struct lsp_loop *loop = calloc(1, sizeof *loop);
	if (!loop)
		return lsp_error_no_memory(err, "task");
	loop->tasks = tasks;
	loop->clock = lsp_tasks_clock(tasks);
	snprintf(loop->name, sizeof loop->name, "%s", name);
	loop->watch = (struct lsp_clock_watch){.moved = on_moved, .argument = loop};
	int r = make_handles(loop, err);
	if (r < 0) {
		free(loop);
		return r;
	}
	pthread_mutex_init(&loop->lock, NULL);
	atomic_init(&loop->references, 2); /* the caller's and the thread's */
	if (loop->clock->watch)
		loop->clock->watch(loop->clock, &loop->watch, true);
	r = lsp_tasks_spawn(tasks, name, LSP_TASK_BACKGROUND, loop_main, loop, &loop->task, err);
	if (r < 0) {
		close_own_handles(loop);
		while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
			;
		lsp_loop_unref(loop);
		lsp_loop_unref(loop);
		return r;
	}
	*ret_loop = loop;
	return 0;
}

struct lsp_loop *lsp_loop_ref(struct lsp_loop *loop)
{
	if (loop)
		atomic_fetch_add_explicit(&loop->references, 1, memory_order_relaxed);
	return loop;
}

void lsp_loop_unref(struct lsp_loop *loop)
{
	if (!loop || atomic_fetch_sub(&loop->references, 1) != 1)
		return;
	int r = uv_loop_close(&loop->uv);
	assert(r == 0);
	(void)r;
	close(loop->alarm_fd);
	lsp_timer_heap_done(&loop->timers);
	lsp_task_unref(loop->task);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

void lsp_loop_close(struct lsp_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->closed = true;
	wake_up(loop);
	pthread_mutex_unlock(&loop->lock);
}

int lsp_loop_stop(struct lsp_loop *loop, lsp_time deadline, struct lsp_error *err)
{
	assert(!lsp_loop_is_current(loop));
	lsp_loop_close(loop);
	return lsp_task_wait(loop->task, NULL, loop->clock, deadline, err);
}

uv_loop_t *lsp_loop_uv(struct lsp_loop *loop)
{
	return &loop->uv;
}

struct lsp_tasks *lsp_loop_tasks(struct lsp_loop *loop)
{
	return loop->tasks;
}

const struct lsp_clock *lsp_loop_clock(struct lsp_loop *loop)
{
	return loop->clock;
}

bool lsp_loop_is_current(const struct lsp_loop *loop)
{
	return loop && current == loop;
}
