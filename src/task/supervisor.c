#include "task/supervisor.h"

#include "base/log.h"
#include "base/text.h"
#include "task/wait.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct lsp_supervised {
	/* Immutable. */
	struct lsp_supervisor *supervisor;
	struct lsp_policy policy;
	void *argument;
	lsp_task_function function; /* a thread's */
	struct lsp_loop *loop;      /* or a loop's */
	struct lsp_supervised_hooks hooks;

	/* Of the thread that runs it, or of the loop. */
	struct lsp_waiter waiter; /* woken from every thread */
	struct lsp_timer timer;
	struct lsp_task *activity;
	unsigned row;
	lsp_time since;
	bool up; /* start succeeded and stop was not called */

	/* Guarded by the supervisor's lock. */
	struct lsp_supervised_info info;
	bool afresh; /* lsp_supervisor_restart asked */
	bool removed;
	struct lsp_supervised *next;
};

struct lsp_supervisor {
	/* Immutable. */
	struct lsp_tasks *tasks;
	const struct lsp_clock *clock;
	struct lsp_supervisor_events events;

	pthread_mutex_t lock; /* guards what follows and the `info` of the services */
	struct lsp_random random;
	struct lsp_supervised *first;
};

static const char *const state_names[LSP_SUPERVISED_STATE_COUNT] = {
	"running", "restarting", "unhealthy", "failed", "stopped"};

const char *lsp_supervised_state_name(enum lsp_supervised_state state)
{
	return state_names[state];
}

int lsp_supervisor_new(struct lsp_tasks *tasks, const struct lsp_supervisor_events *events,
	struct lsp_supervisor **ret_supervisor, struct lsp_error *err)
{
	struct lsp_supervisor *supervisor = calloc(1, sizeof *supervisor);
	if (!supervisor)
		return lsp_error_no_memory(err, "task");
	supervisor->tasks = tasks;
	supervisor->clock = lsp_tasks_clock(tasks);
	supervisor->events = *events;
	lsp_random_init(&supervisor->random);
	pthread_mutex_init(&supervisor->lock, NULL);
	*ret_supervisor = supervisor;
	return 0;
}

static void free_service(struct lsp_supervised *service)
{
	lsp_waiter_done(&service->waiter);
	free(service);
}

void lsp_supervisor_free(struct lsp_supervisor *supervisor)
{
	if (!supervisor)
		return;
	while (supervisor->first) {
		struct lsp_supervised *service = supervisor->first;
		supervisor->first = service->next;
		free_service(service);
	}
	pthread_mutex_destroy(&supervisor->lock);
	free(supervisor);
}

/* ---- The list ---------------------------------------------------------------------------- */

static struct lsp_supervised *find(struct lsp_supervisor *supervisor, const char *name)
{
	struct lsp_supervised *at = supervisor->first;
	while (at && (at->removed || strcmp(at->info.name, name) != 0))
		at = at->next;
	return at;
}

static int add_service(struct lsp_supervisor *supervisor, const char *name,
	const struct lsp_policy *policy, struct lsp_supervised *service, struct lsp_error *err)
{
	service->supervisor = supervisor;
	service->policy = *policy;
	service->info.policy = policy->kind;
	snprintf(service->info.name, sizeof service->info.name, "%s", name);
	lsp_waiter_init(&service->waiter);
	pthread_mutex_lock(&supervisor->lock);
	bool known = find(supervisor, service->info.name);
	struct lsp_supervised **end = &supervisor->first;
	while (*end)
		end = &(*end)->next;
	if (!known)
		*end = service;
	pthread_mutex_unlock(&supervisor->lock);
	if (known)
		return lsp_error_set(
			err, "task", LSP_E_EXISTS, "there is a service %s already", name);
	return 0;
}

static void drop_service(struct lsp_supervised *service)
{
	struct lsp_supervisor *supervisor = service->supervisor;
	pthread_mutex_lock(&supervisor->lock);
	struct lsp_supervised **at = &supervisor->first;
	while (*at != service)
		at = &(*at)->next;
	*at = service->next;
	pthread_mutex_unlock(&supervisor->lock);
	free_service(service);
}

static void tell_change(struct lsp_supervisor *supervisor)
{
	if (supervisor->events.changed)
		supervisor->events.changed(supervisor->events.argument);
}

static void set_state(
	struct lsp_supervised *service, enum lsp_supervised_state state, lsp_time restart_at)
{
	struct lsp_supervisor *supervisor = service->supervisor;
	pthread_mutex_lock(&supervisor->lock);
	service->info.state = state;
	service->info.restart_at = restart_at;
	pthread_mutex_unlock(&supervisor->lock);
	tell_change(supervisor);
}

/* Begins another run: who sees it counted sees it running. */
static void note_restart(struct lsp_supervised *service)
{
	struct lsp_supervisor *supervisor = service->supervisor;
	service->since = lsp_now(supervisor->clock);
	pthread_mutex_lock(&supervisor->lock);
	service->info.restarts++;
	service->info.state = LSP_SUPERVISED_RUNNING;
	service->info.restart_at = 0;
	service->afresh = false;
	pthread_mutex_unlock(&supervisor->lock);
	tell_change(supervisor);
}

static bool asked_afresh(struct lsp_supervised *service)
{
	pthread_mutex_lock(&service->supervisor->lock);
	bool afresh = service->afresh;
	pthread_mutex_unlock(&service->supervisor->lock);
	return afresh;
}

/* ---- A failure --------------------------------------------------------------------------- */

static void bring_down(struct lsp_supervised *service, const struct lsp_error *error)
{
	struct lsp_supervisor *supervisor = service->supervisor;
	const char *name = service->info.name;
	_cleanup_free_ char *text = lsp_text_format("%s failed: %s", name, error->message);
	if (supervisor->events.runtime_failed)
		supervisor->events.runtime_failed(supervisor->events.argument, name, error);
	lsp_cancel_request(lsp_tasks_root(supervisor->tasks), LSP_CANCEL_FATAL, text ? text : name);
}

/* Applies the policy; the new state, and when it shall run again where it is RESTARTING. */
static enum lsp_supervised_state fail(
	struct lsp_supervised *service, const struct lsp_error *error, lsp_time *ret_restart_at)
{
	struct lsp_supervisor *supervisor = service->supervisor;
	lsp_time now = lsp_now(supervisor->clock);
	uint64_t delay = 0;
	pthread_mutex_lock(&supervisor->lock);
	service->info.error = *error;
	enum lsp_verdict verdict = lsp_restart_judge(&service->policy, &service->row,
		lsp_time_left(service->since, now), &supervisor->random, &delay);
	pthread_mutex_unlock(&supervisor->lock);
	*ret_restart_at = lsp_time_add(now, delay);
	switch (verdict) {
	case LSP_VERDICT_RESTART:
		lsp_log_warning(service->info.name, "failed, runs again in %.1f s: %s",
			(double)delay / 1e9, error->message);
		return LSP_SUPERVISED_RESTARTING;
	case LSP_VERDICT_GIVE_UP:
		lsp_log_error(service->info.name, "failed %u times in a row, given up: %s",
			service->row, error->message);
		return LSP_SUPERVISED_UNHEALTHY;
	case LSP_VERDICT_FATAL:
		lsp_log_error(service->info.name, "failed, and nothing works without it: %s",
			error->message);
		return LSP_SUPERVISED_FAILED;
	default:
		lsp_log_warning(service->info.name, "failed, and stays off: %s", error->message);
		return LSP_SUPERVISED_FAILED;
	}
}

/* An end without an error is one too; an error without words gets its code's. */
static struct lsp_error failure_of(int result, const struct lsp_error *error)
{
	struct lsp_error failure = error ? *error : (struct lsp_error){0};
	if (result >= 0)
		lsp_error_set(&failure, "task", LSP_E_FAILED,
			"it ended by itself, though nobody asked it to");
	else if (!failure.code)
		lsp_error_set(&failure, "task", -result, "%s", lsp_code_name(-result));
	return failure;
}

/* The state, and what follows from it for the runtime. */
static void enter_failed(
	struct lsp_supervised *service, enum lsp_supervised_state state, lsp_time restart_at)
{
	struct lsp_error error = service->info.error; /* written by this thread alone */
	set_state(service, state, restart_at);
	if (state == LSP_SUPERVISED_FAILED && service->policy.kind == LSP_POLICY_REQUIRED)
		bring_down(service, &error);
}

/* ---- A service in a thread --------------------------------------------------------------- */

/* Until it is time to run again: true. False when the runtime stops first. */
static bool wait_for_restart(struct lsp_supervised *service, struct lsp_cancel *token,
	enum lsp_supervised_state state, lsp_time restart_at)
{
	lsp_time deadline = state == LSP_SUPERVISED_RESTARTING ? restart_at : LSP_TIME_NEVER;
	for (;;) {
		int r = lsp_waiter_wait(
			&service->waiter, token, service->supervisor->clock, deadline, NULL);
		if (r == -LSP_E_CANCELLED)
			return false;
		if (r == -LSP_E_TIMEOUT)
			return true;
		if (asked_afresh(service)) {
			service->row = 0;
			return true;
		}
	}
}

static int run_service(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct lsp_supervised *service = argument;
	service->since = lsp_now(service->supervisor->clock);
	for (;;) {
		struct lsp_error error = {0};
		lsp_time restart_at;
		int r = service->function(token, service->argument, &error);
		if (lsp_cancel_requested(token))
			break;
		error = failure_of(r, &error);
		enum lsp_supervised_state state = fail(service, &error, &restart_at);
		enter_failed(service, state, restart_at);
		if (state == LSP_SUPERVISED_FAILED)
			return 0;
		if (!wait_for_restart(service, token, state, restart_at))
			break;
		note_restart(service);
	}
	set_state(service, LSP_SUPERVISED_STOPPED, 0);
	return 0;
}

int lsp_supervisor_run(struct lsp_supervisor *supervisor, const char *name,
	const struct lsp_policy *policy, lsp_task_function function, void *argument,
	struct lsp_error *err)
{
	struct lsp_supervised *service = calloc(1, sizeof *service);
	if (!service)
		return lsp_error_no_memory(err, "task");
	service->function = function;
	service->argument = argument;
	int r = add_service(supervisor, name, policy, service, err);
	if (r < 0) {
		free_service(service);
		return r;
	}
	r = lsp_tasks_spawn(
		supervisor->tasks, name, LSP_TASK_BACKGROUND, run_service, service, NULL, err);
	if (r < 0)
		drop_service(service);
	return r;
}

/* ---- A service on a loop ----------------------------------------------------------------- */

static bool runtime_stops(struct lsp_supervised *service)
{
	return lsp_cancel_requested(lsp_tasks_root(service->supervisor->tasks));
}

static void loop_service_failed(struct lsp_supervised *service, const struct lsp_error *error)
{
	lsp_time restart_at;
	if (runtime_stops(service)) {
		set_state(service, LSP_SUPERVISED_STOPPED, 0);
		return;
	}
	enum lsp_supervised_state state = fail(service, error, &restart_at);
	if (state == LSP_SUPERVISED_RESTARTING)
		lsp_timer_start(&service->timer, restart_at);
	enter_failed(service, state, restart_at);
}

static void start_loop_service(struct lsp_supervised *service)
{
	struct lsp_error error = {0};
	int r = service->hooks.start(service->argument, &error);
	service->up = r >= 0;
	if (r < 0) {
		error = failure_of(r, &error);
		loop_service_failed(service, &error);
	}
}

static void on_restart(void *argument)
{
	struct lsp_supervised *service = argument;
	if (runtime_stops(service)) {
		set_state(service, LSP_SUPERVISED_STOPPED, 0);
		return;
	}
	if (asked_afresh(service))
		service->row = 0;
	note_restart(service);
	start_loop_service(service);
}

/* Runs on the loop: lsp_supervisor_restart asked. */
static void restart_now(void *argument)
{
	struct lsp_supervised *service = argument;
	if (!service->removed && !service->up && asked_afresh(service))
		lsp_timer_start(&service->timer, 0);
}

int lsp_supervisor_add(struct lsp_supervisor *supervisor, struct lsp_loop *loop, const char *name,
	const struct lsp_policy *policy, const struct lsp_supervised_hooks *hooks, void *argument,
	struct lsp_supervised **ret_service, struct lsp_error *err)
{
	assert(lsp_loop_is_current(loop));
	struct lsp_supervised *service = calloc(1, sizeof *service);
	if (!service)
		return lsp_error_no_memory(err, "task");
	service->loop = loop;
	service->hooks = *hooks;
	service->argument = argument;
	int r = add_service(supervisor, name, policy, service, err);
	if (r < 0) {
		free_service(service);
		return r;
	}
	r = lsp_timer_init(&service->timer, loop, on_restart, service, err);
	if (r == 0)
		r = lsp_tasks_begin(supervisor->tasks, name, LSP_TASK_BACKGROUND, NULL,
			&service->activity, err);
	if (r < 0) {
		lsp_timer_done(&service->timer);
		drop_service(service);
		return r;
	}
	service->since = lsp_now(supervisor->clock);
	*ret_service = service;
	start_loop_service(service);
	return 0;
}

static void stop_loop_service(struct lsp_supervised *service)
{
	if (service->up)
		service->hooks.stop(service->argument);
	service->up = false;
}

void lsp_supervised_failed(struct lsp_supervised *service, const struct lsp_error *error)
{
	assert(lsp_loop_is_current(service->loop));
	if (!service->up)
		return;
	struct lsp_error failure = failure_of(error ? -LSP_E_FAILED : 0, error);
	stop_loop_service(service);
	loop_service_failed(service, &failure);
}

void lsp_supervised_remove(struct lsp_supervised *service)
{
	assert(lsp_loop_is_current(service->loop));
	struct lsp_supervisor *supervisor = service->supervisor;
	stop_loop_service(service);
	lsp_timer_done(&service->timer);
	pthread_mutex_lock(&supervisor->lock);
	service->removed = true; /* freed with the supervisor: a restart may be on its way */
	pthread_mutex_unlock(&supervisor->lock);
	lsp_task_end(TAKE_PTR(service->activity), 0, NULL);
	if (supervisor->events.changed)
		supervisor->events.changed(supervisor->events.argument);
}

/* ---- Questions and wishes ---------------------------------------------------------------- */

int lsp_supervisor_snapshot(struct lsp_supervisor *supervisor,
	struct lsp_supervised_info **ret_infos, size_t *ret_count, struct lsp_error *err)
{
	size_t count = 0;
	pthread_mutex_lock(&supervisor->lock);
	for (struct lsp_supervised *at = supervisor->first; at; at = at->next)
		count++;
	struct lsp_supervised_info *infos = calloc(count + 1, sizeof *infos), *info = infos;
	for (struct lsp_supervised *at = supervisor->first; infos && at; at = at->next)
		if (!at->removed)
			*info++ = at->info;
	pthread_mutex_unlock(&supervisor->lock);
	if (!infos)
		return lsp_error_no_memory(err, "task");
	*ret_count = (size_t)(info - infos);
	*ret_infos = infos;
	return 0;
}

static int may_restart(
	const struct lsp_supervised *service, const char *name, struct lsp_error *err)
{
	if (!service)
		return lsp_error_set(err, "task", LSP_E_NOT_FOUND, "there is no service %s", name);
	if (service->info.state == LSP_SUPERVISED_RUNNING)
		return lsp_error_set(err, "task", LSP_E_EXISTS, "%s runs already", name);
	if (service->info.state == LSP_SUPERVISED_FAILED ||
		service->info.state == LSP_SUPERVISED_STOPPED)
		return lsp_error_set(err, "task", LSP_E_CLOSED, "%s is %s and cannot be restarted",
			name, state_names[service->info.state]);
	return 0;
}

int lsp_supervisor_restart(
	struct lsp_supervisor *supervisor, const char *name, struct lsp_error *err)
{
	pthread_mutex_lock(&supervisor->lock);
	struct lsp_supervised *service = find(supervisor, name);
	int r = may_restart(service, name, err);
	if (r == 0)
		service->afresh = true;
	pthread_mutex_unlock(&supervisor->lock);
	if (r < 0)
		return r;
	if (service->loop)
		return lsp_loop_post(service->loop, restart_now, service, err);
	lsp_waiter_wake(&service->waiter);
	return 0;
}
