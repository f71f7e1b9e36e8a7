/*
 * Who joins the threads that have ended? Each thread, as its last act, takes the one that ended
 * before it and joins that; so at any time at most one ended thread is unjoined, nobody has to
 * tick, and the last one is joined by join_all or free. A chain of joins always ends: each waits
 * for one that is further on its way out.
 *
 * Between the end of its function and its join a task is LEAVING: no longer shown or waited for,
 * but still known, so that the scan of /proc does not take its thread for a stranger's.
 */
#include "task/registry.h"

#include "base/log.h"
#include "task/answer.h"
#include "task/registry_private.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/*
 * Threads that may be on their way out at once. Short tasks can be spawned faster than the kernel
 * takes their threads down; beyond this the spawner waits for one to be gone.
 */
#define LEAVING_MAX 64

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_SIZE (8u << 20)
#else
#define STACK_SIZE (1u << 20)
#endif

static _Thread_local struct lsp_task *current;

static const char *const kind_names[LSP_TASK_KIND_COUNT] = {
	"background", "connection", "rpc", "maintenance", "foreign"};
static const char *const state_names[LSP_TASK_STATE_COUNT] = {"running", "stopping", "interrupted"};

const char *lsp_task_kind_name(enum lsp_task_kind kind)
{
	return kind_names[kind];
}

const char *lsp_task_state_name(enum lsp_task_state state)
{
	return state_names[state];
}

static pid_t current_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* ---- All registries of the process, for the scan of its threads -------------------------- */

struct lsp_registries lsp_registries = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void list_registry(struct lsp_tasks *tasks)
{
	pthread_mutex_lock(&lsp_registries.lock);
	tasks->next_registry = lsp_registries.first;
	lsp_registries.first = tasks;
	pthread_mutex_unlock(&lsp_registries.lock);
}

static void unlist_registry(struct lsp_tasks *tasks)
{
	pthread_mutex_lock(&lsp_registries.lock);
	struct lsp_tasks **at = &lsp_registries.first;
	while (*at != tasks)
		at = &(*at)->next_registry;
	*at = tasks->next_registry;
	pthread_mutex_unlock(&lsp_registries.lock);
}

int lsp_tasks_new(struct lsp_cancel *root, const struct lsp_clock *clock,
	struct lsp_tasks **ret_tasks, struct lsp_error *err)
{
	struct lsp_tasks *tasks = calloc(1, sizeof *tasks);
	if (!tasks)
		return lsp_error_no_memory(err, "task");
	tasks->root = lsp_cancel_ref(root);
	tasks->clock = clock ? clock : lsp_clock_system;
	pthread_mutex_init(&tasks->lock, NULL);
	pthread_cond_init(&tasks->started, NULL);
	pthread_cond_init(&tasks->left, NULL);
	list_registry(tasks);
	*ret_tasks = tasks;
	return 0;
}

struct lsp_cancel *lsp_tasks_root(struct lsp_tasks *tasks)
{
	return tasks->root;
}

const struct lsp_clock *lsp_tasks_clock(struct lsp_tasks *tasks)
{
	return tasks->clock;
}

/* ---- Entries ----------------------------------------------------------------------------- */

static int new_task(struct lsp_tasks *tasks, const char *name, enum lsp_task_kind kind,
	struct lsp_cancel *parent, struct lsp_task **ret_task, struct lsp_error *err)
{
	_cleanup_task_ struct lsp_task *task = calloc(1, sizeof *task);
	if (!task)
		return lsp_error_no_memory(err, "task");
	atomic_init(&task->references, 1);
	lsp_answer_init(&task->ended);
	snprintf(task->name, sizeof task->name, "%s", name);
	task->kind = kind;
	task->tasks = tasks;
	task->since = lsp_now(tasks->clock);
	int r = lsp_cancel_new(parent ? parent : tasks->root, &task->token, err);
	if (r == 0)
		r = lsp_cancel_new(NULL, &task->interrupt, err);
	if (r < 0)
		return r;
	*ret_task = TAKE_PTR(task);
	return 0;
}

struct lsp_task *lsp_task_ref(struct lsp_task *task)
{
	if (task)
		atomic_fetch_add_explicit(&task->references, 1, memory_order_relaxed);
	return task;
}

void lsp_task_unref(struct lsp_task *task)
{
	if (!task || atomic_fetch_sub(&task->references, 1) != 1)
		return;
	lsp_cancel_unref(task->token);
	lsp_cancel_unref(task->interrupt);
	lsp_answer_done(&task->ended);
	free(task);
}

/* Under the lock. The list is in order of age. */
static void link_task(struct lsp_tasks *tasks, struct lsp_task *task)
{
	task->previous = tasks->last;
	*(tasks->last ? &tasks->last->next : &tasks->first) = task;
	tasks->last = task;
	tasks->running += task->form != LSP_TASK_ADOPTED;
}

static void unlink_task(struct lsp_tasks *tasks, struct lsp_task *task)
{
	*(task->previous ? &task->previous->next : &tasks->first) = task->next;
	*(task->next ? &task->next->previous : &tasks->last) = task->previous;
}

/* Calls what was attached, and closes the door for more. */
static void release_guards(struct lsp_task *task)
{
	for (;;) {
		pthread_mutex_lock(&task->ended.lock);
		struct lsp_task_guard *guard = task->guards;
		if (guard)
			task->guards = guard->next;
		else
			task->guards_closed = true;
		pthread_mutex_unlock(&task->ended.lock);
		if (!guard)
			return;
		guard->release(guard);
	}
}

int lsp_task_attach(struct lsp_task *task, struct lsp_task_guard *guard, struct lsp_error *err)
{
	pthread_mutex_lock(&task->ended.lock);
	bool closed = task->guards_closed;
	if (!closed) {
		guard->next = task->guards;
		task->guards = guard;
	}
	pthread_mutex_unlock(&task->ended.lock);
	if (closed)
		return lsp_error_set(
			err, "task", LSP_E_CLOSED, "the task %s has ended", task->name);
	return 0;
}

static void log_result(struct lsp_task *task, int result, const struct lsp_error *err)
{
	if (result == -LSP_E_CANCELLED && lsp_cancel_requested(task->token))
		lsp_log_debug(task->name, "%s", err->message);
	else if (result < 0)
		lsp_log_error(
			task->name, "%s", err->message[0] ? err->message : lsp_code_name(-result));
}

/* The end of every task, before its entry goes: guards, log, and those who wait for it. */
static void conclude(struct lsp_task *task, int result, const struct lsp_error *err)
{
	static const struct lsp_error none;
	err = err ? err : &none;
	release_guards(task);
	log_result(task, result, err);
	lsp_answer_complete(&task->ended, result, err);
}

/* ---- Threads ----------------------------------------------------------------------------- */

static void join_thread(struct lsp_task *task)
{
	struct lsp_tasks *tasks = task->tasks;
	pthread_join(task->thread, NULL);
	pthread_mutex_lock(&tasks->lock);
	unlink_task(tasks, task);
	tasks->leaving--;
	pthread_cond_broadcast(&tasks->left);
	pthread_mutex_unlock(&tasks->lock);
	lsp_task_unref(task);
}

/* The last act of a thread; also where it left by pthread_exit. */
static void leave(void *argument)
{
	struct lsp_task *task = argument;
	struct lsp_tasks *tasks = task->tasks;
	conclude(task, task->result, &task->error);
	current = NULL;
	lsp_wait_set_interrupt(NULL);
	pthread_mutex_lock(&tasks->lock);
	struct lsp_task *before = tasks->unjoined;
	tasks->unjoined = task;
	task->leaving = true;
	tasks->leaving++;
	tasks->running--;
	lsp_waiter_list_wake(&tasks->joiners);
	pthread_mutex_unlock(&tasks->lock);
	if (before)
		join_thread(before);
}

static void *thread_main(void *argument)
{
	struct lsp_task *task = argument;
	struct lsp_tasks *tasks = task->tasks;
	char name[16];
	snprintf(name, sizeof name, "%.15s", task->name);
	pthread_setname_np(pthread_self(), name);
	current = task;
	lsp_wait_set_interrupt(task->interrupt);
	pthread_mutex_lock(&tasks->lock);
	task->tid = current_tid();
	pthread_cond_broadcast(&tasks->started);
	pthread_mutex_unlock(&tasks->lock);
	task->result = lsp_error_set(&task->error, "task", LSP_E_FAILED, "its thread left early");
	pthread_cleanup_push(leave, task);
	struct lsp_error err = {0};
	task->result = task->function(task->token, task->argument, &err);
	task->error = err;
	pthread_cleanup_pop(1);
	return NULL;
}

/*
 * Every signal but those that a thread causes by itself: blocked, they would end the process past
 * any handler. libtorrent's threads, which inherit this, turn a SIGBUS (a full disk under a mapped
 * file, a file cut short) into an error.
 */
static void fill_asynchronous(sigset_t *set)
{
	static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
	sigfillset(set);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(own); i++)
		sigdelset(set, own[i]);
}

static int start_thread(struct lsp_task *task)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	fill_asynchronous(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int sys_errno = pthread_create(&task->thread, &attributes, thread_main, task);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return sys_errno;
}

static int refused(const struct lsp_task *task, struct lsp_error *err)
{
	return lsp_error_set(err, "task", LSP_E_CLOSED,
		"cannot start %s: the program is shutting down", task->name);
}

int lsp_tasks_spawn(struct lsp_tasks *tasks, const char *name, enum lsp_task_kind kind,
	lsp_task_function function, void *argument, struct lsp_task **ret_task,
	struct lsp_error *err)
{
	return lsp_tasks_spawn_below(tasks, NULL, name, kind, function, argument, ret_task, err);
}

int lsp_tasks_spawn_below(struct lsp_tasks *tasks, struct lsp_cancel *parent, const char *name,
	enum lsp_task_kind kind, lsp_task_function function, void *argument,
	struct lsp_task **ret_task, struct lsp_error *err)
{
	_cleanup_task_ struct lsp_task *task = NULL;
	int r = new_task(tasks, name, kind, parent, &task, err);
	if (r < 0)
		return r;
	task->form = LSP_TASK_THREAD;
	task->function = function;
	task->argument = argument;
	lsp_task_ref(task); /* the registry's, until its thread is joined */
	pthread_mutex_lock(&tasks->lock);
	while (tasks->leaving > LEAVING_MAX)
		pthread_cond_wait(&tasks->left, &tasks->lock);
	bool joining = tasks->joining;
	int sys_errno = 0;
	if (!joining) {
		link_task(tasks, task); /* before it can leave */
		sys_errno = start_thread(task);
		if (sys_errno) {
			unlink_task(tasks, task);
			tasks->running--;
			pthread_cond_broadcast(&tasks->started);
		}
	}
	pthread_mutex_unlock(&tasks->lock);
	if (joining || sys_errno) {
		lsp_task_unref(task);
		return joining ? refused(task, err)
			       : lsp_error_errno(err, "task", sys_errno, "cannot start %s", name);
	}
	if (ret_task)
		*ret_task = TAKE_PTR(task);
	return 0;
}

struct lsp_task *lsp_task_current(void)
{
	return current;
}

/* ---- Activities and adopted threads ------------------------------------------------------ */

static int enter(struct lsp_tasks *tasks, struct lsp_task *task, struct lsp_error *err)
{
	task->tid = current_tid();
	pthread_mutex_lock(&tasks->lock);
	bool joining = tasks->joining && task->form != LSP_TASK_ADOPTED;
	if (!joining)
		link_task(tasks, task);
	pthread_mutex_unlock(&tasks->lock);
	return joining ? refused(task, err) : 0;
}

int lsp_tasks_begin(struct lsp_tasks *tasks, const char *name, enum lsp_task_kind kind,
	struct lsp_cancel *parent, struct lsp_task **ret_task, struct lsp_error *err)
{
	_cleanup_task_ struct lsp_task *task = NULL;
	int r = new_task(tasks, name, kind, parent, &task, err);
	if (r < 0)
		return r;
	task->form = LSP_TASK_ACTIVITY;
	r = enter(tasks, task, err);
	if (r < 0)
		return r;
	*ret_task = TAKE_PTR(task);
	return 0;
}

int lsp_tasks_adopt_current(struct lsp_tasks *tasks, const char *name, enum lsp_task_kind kind,
	struct lsp_task **ret_task, struct lsp_error *err)
{
	_cleanup_task_ struct lsp_task *task = NULL;
	assert(!current);
	int r = new_task(tasks, name, kind, NULL, &task, err);
	if (r < 0)
		return r;
	task->form = LSP_TASK_ADOPTED;
	r = enter(tasks, task, err);
	if (r < 0)
		return r;
	current = task;
	*ret_task = TAKE_PTR(task);
	return 0;
}

void lsp_task_end(struct lsp_task *task, int result, const struct lsp_error *err)
{
	struct lsp_tasks *tasks = task->tasks;
	assert(task->form != LSP_TASK_THREAD);
	conclude(task, result, err);
	if (task == current)
		current = NULL;
	pthread_mutex_lock(&tasks->lock);
	unlink_task(tasks, task);
	tasks->running -= task->form != LSP_TASK_ADOPTED;
	lsp_waiter_list_wake(&tasks->joiners);
	pthread_mutex_unlock(&tasks->lock);
	lsp_task_unref(task);
}

/* ---- One task ---------------------------------------------------------------------------- */

const char *lsp_task_name(const struct lsp_task *task)
{
	return task->name;
}

struct lsp_cancel *lsp_task_token(struct lsp_task *task)
{
	return task->token;
}

void lsp_task_abort(struct lsp_task *task, enum lsp_cancel_kind kind, const char *text)
{
	lsp_cancel_request(task->token, kind, text);
}

void lsp_task_interrupt(struct lsp_task *task, const char *text)
{
	lsp_cancel_request(task->token, LSP_CANCEL_FATAL, text);
	lsp_cancel_request(task->interrupt, LSP_CANCEL_FATAL, text);
}

int lsp_task_wait(struct lsp_task *task, struct lsp_cancel *token, const struct lsp_clock *clock,
	lsp_time deadline, struct lsp_error *err)
{
	return lsp_answer_wait(&task->ended, token, clock, deadline, err);
}

bool lsp_task_has_ended(struct lsp_task *task)
{
	return lsp_answer_is_complete(&task->ended);
}

/* ---- Joining ----------------------------------------------------------------------------- */

/* Is this entry one that a join in this thread waits for? */
static bool awaited(const struct lsp_task *task)
{
	return task->form != LSP_TASK_ADOPTED && !task->leaving && task != current;
}

/* Blocks until nobody is awaited any more. */
static int wait_for_all(struct lsp_tasks *tasks, lsp_time deadline, struct lsp_error *err)
{
	struct lsp_waiter waiter;
	int r = 0;
	lsp_waiter_init(&waiter);
	pthread_mutex_lock(&tasks->lock);
	tasks->joining = true;
	lsp_waiter_list_add(&tasks->joiners, &waiter);
	size_t own = current && current->tasks == tasks && current->form == LSP_TASK_THREAD;
	while (tasks->running > own && r == 0) {
		pthread_mutex_unlock(&tasks->lock);
		r = lsp_waiter_wait(&waiter, NULL, tasks->clock, deadline, err);
		pthread_mutex_lock(&tasks->lock);
	}
	if (tasks->running <= own)
		r = 0;
	lsp_waiter_list_remove(&tasks->joiners, &waiter);
	pthread_mutex_unlock(&tasks->lock);
	lsp_waiter_done(&waiter);
	return r;
}

static struct lsp_task *next_to_interrupt(struct lsp_tasks *tasks)
{
	pthread_mutex_lock(&tasks->lock);
	struct lsp_task *task = tasks->first;
	while (task && (!awaited(task) || task->interrupted))
		task = task->next;
	if (task)
		task->interrupted = true;
	lsp_task_ref(task);
	pthread_mutex_unlock(&tasks->lock);
	return task;
}

/* Names and counts who has not ended. */
static size_t name_stragglers(struct lsp_tasks *tasks, char *names, size_t size)
{
	size_t count = 0, used = 0;
	names[0] = '\0';
	pthread_mutex_lock(&tasks->lock);
	for (struct lsp_task *task = tasks->first; task; task = task->next) {
		if (!awaited(task))
			continue;
		const char *comma = count++ ? ", " : "";
		if (used + strlen(task->name) + 8 < size)
			used += (size_t)snprintf(
				names + used, size - used, "%s%s", comma, task->name);
		else if (used + 6 < size)
			used += (size_t)snprintf(names + used, size - used, ", …");
	}
	pthread_mutex_unlock(&tasks->lock);
	return count;
}

static void join_last(struct lsp_tasks *tasks)
{
	pthread_mutex_lock(&tasks->lock);
	struct lsp_task *last = tasks->unjoined;
	tasks->unjoined = NULL;
	pthread_mutex_unlock(&tasks->lock);
	if (last)
		join_thread(last);
}

int lsp_tasks_join_all(
	struct lsp_tasks *tasks, lsp_time deadline, size_t *ret_stragglers, struct lsp_error *err)
{
	char names[400];
	int r = wait_for_all(tasks, deadline, err);
	if (r == 0) {
		join_last(tasks);
		return 0;
	}
	size_t count = name_stragglers(tasks, names, sizeof names);
	struct lsp_task *task;
	while ((task = next_to_interrupt(tasks))) {
		lsp_log_warning(task->name, "has not stopped in time; interrupted");
		lsp_task_interrupt(task, "the shutdown deadline has passed");
		lsp_task_unref(task);
	}
	if (count == 0) {
		join_last(tasks);
		return 0;
	}
	if (ret_stragglers)
		*ret_stragglers = count;
	return lsp_error_set(err, "task", LSP_E_TIMEOUT, "%zu %s not stop in time: %s", count,
		count == 1 ? "task did" : "tasks did", names);
}

void lsp_tasks_free(struct lsp_tasks *tasks)
{
	if (!tasks)
		return;
	join_last(tasks);
	assert(!tasks->first);
	unlist_registry(tasks);
	lsp_cancel_unref(tasks->root);
	pthread_cond_destroy(&tasks->started);
	pthread_cond_destroy(&tasks->left);
	pthread_mutex_destroy(&tasks->lock);
	free(tasks);
}
