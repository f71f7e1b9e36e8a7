#include "task/service.h"

#include "base/log.h"
#include "task/answer.h"

#include <stdio.h>
#include <string.h>

#define HOOK_DEADLINE (10 * LSP_SECOND)
#define JOIN_DEADLINE (2 * LSP_SECOND)
#define INTERRUPTED_GRACE LSP_SECOND /* for stragglers to come back in */

struct lsp_service {
	/* Immutable. */
	char name[33];
	struct lsp_service_node node;
	struct lsp_service_peers peers;
	struct lsp_service_rpc rpc;
	void *argument;
	struct lsp_tasks *outer;
	const struct lsp_clock *clock;
	uint64_t hook_deadline, join_deadline;
	struct lsp_cancel *shutdown;

	atomic_uint references;
	struct lsp_answer stopped;

	/* Of the thread that lives the life; read by others once `stopped`. */
	struct lsp_service_exit exit;
	bool stuck; /* a hook did not return: the node is still in use */

	pthread_mutex_t lock; /* guards what follows */
	enum lsp_service_state state;
	struct lsp_tasks *tasks; /* NULL before the start and after the stop */
	size_t calls;            /* into the peer and RPC APIs */
	struct lsp_waiter_list calls_over;
};

static const char *const stage_names[LSP_STAGE_COUNT] = {
	"none", "pre_start", "on_start", "run", "join", "on_stop", "post_stop"};

const char *lsp_service_stage_name(enum lsp_service_stage stage)
{
	return stage_names[stage];
}

int lsp_service_new(const struct lsp_service_options *options, struct lsp_service **ret_service,
	struct lsp_error *err)
{
	struct lsp_service *service = calloc(1, sizeof *service);
	if (!service)
		return lsp_error_no_memory(err, "task");
	snprintf(service->name, sizeof service->name, "%s", options->name);
	if (options->node)
		service->node = *options->node;
	if (options->peers)
		service->peers = *options->peers;
	if (options->rpc)
		service->rpc = *options->rpc;
	service->argument = options->argument;
	service->outer = options->tasks;
	service->clock = lsp_tasks_clock(options->tasks);
	service->hook_deadline = options->hook_deadline ? options->hook_deadline : HOOK_DEADLINE;
	service->join_deadline = options->join_deadline ? options->join_deadline : JOIN_DEADLINE;
	atomic_init(&service->references, 1);
	lsp_answer_init(&service->stopped);
	pthread_mutex_init(&service->lock, NULL);
	int r = lsp_cancel_new(lsp_tasks_root(options->tasks), &service->shutdown, err);
	if (r < 0) {
		lsp_service_unref(service);
		return r;
	}
	*ret_service = service;
	return 0;
}

struct lsp_service *lsp_service_ref(struct lsp_service *service)
{
	if (service)
		atomic_fetch_add_explicit(&service->references, 1, memory_order_relaxed);
	return service;
}

void lsp_service_unref(struct lsp_service *service)
{
	if (!service || atomic_fetch_sub(&service->references, 1) != 1)
		return;
	lsp_cancel_unref(service->shutdown);
	lsp_answer_done(&service->stopped);
	pthread_mutex_destroy(&service->lock);
	free(service);
}

static void set_state(struct lsp_service *service, enum lsp_service_state state)
{
	pthread_mutex_lock(&service->lock);
	service->state = state;
	pthread_mutex_unlock(&service->lock);
}

enum lsp_service_state lsp_service_state(struct lsp_service *service)
{
	pthread_mutex_lock(&service->lock);
	enum lsp_service_state state = service->state;
	pthread_mutex_unlock(&service->lock);
	return state;
}

/* ---- Hooks ------------------------------------------------------------------------------- */

/* Shared by the hook's task and the one that waits for it, which may give up. */
struct hook_call {
	atomic_uint references;
	lsp_service_hook hook;
	void *argument;
	struct lsp_service_context context;
	struct lsp_service *service; /* a reference */
	struct lsp_answer answer;
};

static void call_unref(struct hook_call *call)
{
	if (atomic_fetch_sub(&call->references, 1) != 1)
		return;
	lsp_answer_done(&call->answer);
	lsp_service_unref(call->service);
	free(call);
}

static int call_hook(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct hook_call *call = argument;
	struct lsp_error error = {0};
	call->context.token = token;
	int r = call->hook(call->argument, &call->context, &error);
	lsp_answer_complete(&call->answer, r, &error);
	call_unref(call);
	return 0; /* the answer is looked at by who waits for it */
}

static lsp_time from_now(struct lsp_service *service, uint64_t span)
{
	return lsp_time_add(lsp_now(service->clock), span);
}

/* Waits for the hook, and if it is late makes it return. Sets `stuck` when that fails. */
static int await_hook(struct lsp_service *service, enum lsp_service_stage stage,
	struct hook_call *call, struct lsp_task *task, struct lsp_error *err)
{
	if (stage == LSP_STAGE_RUN) /* it has all the time until somebody stops the service */
		(void)!lsp_answer_wait(
			&call->answer, service->shutdown, service->clock, LSP_TIME_NEVER, NULL);
	int r = lsp_answer_wait(&call->answer, NULL, service->clock,
		from_now(service, service->hook_deadline), err);
	if (lsp_answer_is_complete(&call->answer))
		return lsp_answer_wait(&call->answer, NULL, NULL, LSP_TIME_NEVER, err);
	lsp_log_warning(service->name, "%s is late and was interrupted", stage_names[stage]);
	lsp_time again = from_now(service, service->hook_deadline);
	lsp_task_interrupt(task, "its deadline has passed");
	(void)!lsp_answer_wait(&call->answer, NULL, service->clock, again, NULL);
	service->stuck = !lsp_answer_is_complete(&call->answer);
	r = lsp_error_set(err, "task", LSP_E_TIMEOUT, "%s did not return within its deadline%s",
		stage_names[stage], service->stuck ? ", nor when it was interrupted" : "");
	return r;
}

static int start_hook(struct lsp_service *service, enum lsp_service_stage stage,
	lsp_service_hook hook, struct hook_call **ret_call, struct lsp_task **ret_task,
	struct lsp_error *err)
{
	struct hook_call *call = calloc(1, sizeof *call);
	if (!call)
		return lsp_error_no_memory(err, "task");
	atomic_init(&call->references, 2);
	call->hook = hook;
	call->argument = service->argument;
	call->service = lsp_service_ref(service);
	call->context = (struct lsp_service_context){service, service->tasks, NULL};
	lsp_answer_init(&call->answer);
	char name[LSP_TASK_NAME_MAX];
	snprintf(name, sizeof name, "%s.%s", service->name, stage_names[stage]);
	/* The stop hooks run when all else is cancelled: they get a root of their own. */
	_cleanup_cancel_ struct lsp_cancel *parent = NULL;
	int r = 0;
	if (stage == LSP_STAGE_ON_STOP || stage == LSP_STAGE_POST_STOP)
		r = lsp_cancel_new(NULL, &parent, err);
	else
		parent = lsp_cancel_ref(service->shutdown);
	if (r == 0)
		r = lsp_tasks_spawn_below(service->outer, parent, name, LSP_TASK_BACKGROUND,
			call_hook, call, ret_task, err);
	if (r < 0) {
		call_unref(call);
		call_unref(call);
		return r;
	}
	*ret_call = call;
	return 0;
}

static void note_failure(
	struct lsp_service *service, enum lsp_service_stage stage, const struct lsp_error *error)
{
	lsp_log_error(service->name, "%s failed: %s", stage_names[stage], error->message);
	if (service->exit.failed)
		return;
	service->exit.failed = stage;
	service->exit.error = *error;
}

/* Runs one hook to its end. True if it succeeded, or is not there. */
static bool run_hook(
	struct lsp_service *service, enum lsp_service_stage stage, lsp_service_hook hook)
{
	struct lsp_error error = {0};
	struct hook_call *call = NULL;
	_cleanup_task_ struct lsp_task *task = NULL;
	if (!hook || service->stuck)
		return true;
	int r = start_hook(service, stage, hook, &call, &task, &error);
	if (r == 0) {
		r = await_hook(service, stage, call, task, &error);
		call_unref(call);
	}
	if (r >= 0)
		return true;
	/* To come back because one was told to is what was asked for. */
	if (r == -LSP_E_CANCELLED && stage <= LSP_STAGE_RUN &&
		lsp_cancel_requested(service->shutdown))
		return stage == LSP_STAGE_RUN;
	if (!error.code)
		lsp_error_set(&error, "task", -r, "%s", lsp_code_name(-r));
	note_failure(service, stage, &error);
	return false;
}

/* ---- The life ---------------------------------------------------------------------------- */

static void serve(struct lsp_service *service)
{
	set_state(service, LSP_SERVICE_RUNNING);
	if (!service->node.run)
		(void)!lsp_cancel_wait(service->shutdown, service->clock, LSP_TIME_NEVER);
	else if (run_hook(service, LSP_STAGE_RUN, service->node.run))
		lsp_cancel_request(service->shutdown, LSP_CANCEL_RUN_COMPLETED, NULL);
	else
		lsp_cancel_request(
			service->shutdown, LSP_CANCEL_FATAL, service->exit.error.message);
}

/* No new call gets in; those that are inside come out. */
static void end_calls(struct lsp_service *service)
{
	struct lsp_waiter waiter;
	struct lsp_error error = {0};
	lsp_time deadline = from_now(service, service->hook_deadline);
	int r = 0;
	lsp_waiter_init(&waiter);
	pthread_mutex_lock(&service->lock);
	service->state = LSP_SERVICE_STOPPING;
	lsp_waiter_list_add(&service->calls_over, &waiter);
	while (service->calls && r == 0) {
		pthread_mutex_unlock(&service->lock);
		r = lsp_waiter_wait(&waiter, NULL, service->clock, deadline, &error);
		pthread_mutex_lock(&service->lock);
	}
	service->stuck |= service->calls != 0;
	lsp_waiter_list_remove(&service->calls_over, &waiter);
	pthread_mutex_unlock(&service->lock);
	lsp_waiter_done(&waiter);
	if (r < 0) {
		lsp_error_set(&error, "task", LSP_E_TIMEOUT, "a call did not return");
		note_failure(service, LSP_STAGE_JOIN, &error);
	}
}

static void join_tasks(struct lsp_service *service)
{
	struct lsp_error error = {0};
	int r = lsp_tasks_join_all(service->tasks, from_now(service, service->join_deadline),
		&service->exit.stragglers, &error);
	if (r < 0)
		note_failure(service, LSP_STAGE_JOIN, &error);
}

/* Frees the registry, unless a straggler still needs it; then the program exits with it. */
static void drop_tasks(struct lsp_service *service)
{
	struct lsp_tasks *tasks = service->tasks;
	bool free_it =
		lsp_tasks_join_all(tasks, from_now(service, INTERRUPTED_GRACE), NULL, NULL) == 0;
	pthread_mutex_lock(&service->lock);
	service->tasks = NULL;
	pthread_mutex_unlock(&service->lock);
	if (free_it && !service->stuck)
		lsp_tasks_free(tasks);
}

static void live(struct lsp_service *service)
{
	const struct lsp_service_node *node = &service->node;
	bool prepared = run_hook(service, LSP_STAGE_PRE_START, node->pre_start);
	bool started = prepared && run_hook(service, LSP_STAGE_ON_START, node->on_start);
	if (started)
		serve(service);
	else
		lsp_cancel_request(
			service->shutdown, LSP_CANCEL_FATAL, service->exit.error.message);
	end_calls(service);
	join_tasks(service); /* also what a failed start hook has spawned */
	if (started)
		run_hook(service, LSP_STAGE_ON_STOP, node->on_stop);
	if (prepared)
		run_hook(service, LSP_STAGE_POST_STOP, node->post_stop);
	service->exit.stragglers += service->stuck;
	lsp_cancel_get_reason(service->shutdown, &service->exit.reason);
	service->exit.is_graceful = service->exit.reason.kind != LSP_CANCEL_FATAL &&
				    !service->exit.failed && !service->exit.stragglers;
	drop_tasks(service);
	set_state(service, LSP_SERVICE_STOPPED);
}

/* The one start. */
static int begin(struct lsp_service *service, struct lsp_error *err)
{
	struct lsp_tasks *tasks = NULL;
	int r = lsp_tasks_new(service->shutdown, service->clock, &tasks, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&service->lock);
	bool first = service->state == LSP_SERVICE_NEW;
	if (first) {
		service->state = LSP_SERVICE_STARTING;
		service->tasks = tasks;
	}
	pthread_mutex_unlock(&service->lock);
	if (first)
		return 0;
	lsp_tasks_free(tasks);
	return lsp_error_set(err, "task", LSP_E_EXISTS, "%s was started before", service->name);
}

static int report(
	struct lsp_service *service, struct lsp_service_exit *ret_exit, struct lsp_error *err)
{
	const struct lsp_service_exit *exit = &service->exit;
	if (ret_exit)
		*ret_exit = *exit;
	if (exit->is_graceful)
		return 0;
	if (err && exit->failed) {
		*err = exit->error;
		return -exit->error.code;
	}
	if (exit->failed)
		return -exit->error.code;
	return lsp_error_set(err, "task", LSP_E_FAILED, "%s",
		exit->reason.text[0] ? exit->reason.text : "it stopped for a fatal reason");
}

int lsp_service_run(
	struct lsp_service *service, struct lsp_service_exit *ret_exit, struct lsp_error *err)
{
	int r = begin(service, err);
	if (r < 0)
		return r;
	live(service);
	lsp_answer_complete(&service->stopped, 0, NULL);
	return report(service, ret_exit, err);
}

static int service_main(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	_cleanup_service_ struct lsp_service *service = argument;
	live(service);
	lsp_answer_complete(&service->stopped, 0, NULL);
	return 0; /* what failed is logged, and told to who waits */
}

int lsp_service_start(struct lsp_service *service, struct lsp_error *err)
{
	int r = begin(service, err);
	if (r < 0)
		return r;
	lsp_service_ref(service);
	r = lsp_tasks_spawn(service->outer, service->name, LSP_TASK_BACKGROUND, service_main,
		service, NULL, err);
	if (r < 0) {
		drop_tasks(service);
		set_state(service, LSP_SERVICE_NEW);
		lsp_service_unref(service);
	}
	return r;
}

int lsp_service_wait(struct lsp_service *service, lsp_time deadline,
	struct lsp_service_exit *ret_exit, struct lsp_error *err)
{
	if (lsp_service_state(service) == LSP_SERVICE_NEW)
		return lsp_error_set(
			err, "task", LSP_E_INVALID, "%s was not started", service->name);
	int r = lsp_answer_wait(&service->stopped, NULL, service->clock, deadline, err);
	return r < 0 ? r : report(service, ret_exit, err);
}

bool lsp_service_shutdown(struct lsp_service *service, enum lsp_cancel_kind kind, const char *text)
{
	return lsp_cancel_request(service->shutdown, kind, text);
}

int lsp_service_tasks(struct lsp_service *service, struct lsp_task_info **ret_infos,
	size_t *ret_count, struct lsp_error *err)
{
	/* Under the lock, so that the registry does not go meanwhile; a snapshot does not block. */
	pthread_mutex_lock(&service->lock);
	int r = 0;
	if (service->tasks) {
		r = lsp_tasks_snapshot(service->tasks, ret_infos, ret_count, err);
	} else {
		*ret_infos = NULL;
		*ret_count = 0;
	}
	pthread_mutex_unlock(&service->lock);
	return r;
}

/* ---- The peer and RPC APIs --------------------------------------------------------------- */

static int enter(struct lsp_service *service, struct lsp_error *err)
{
	pthread_mutex_lock(&service->lock);
	bool running = service->state == LSP_SERVICE_RUNNING;
	service->calls += running;
	pthread_mutex_unlock(&service->lock);
	return running ? 0
		       : lsp_error_set(
				 err, "task", LSP_E_CLOSED, "%s is not running", service->name);
}

static int leave(struct lsp_service *service, int result)
{
	pthread_mutex_lock(&service->lock);
	if (--service->calls == 0)
		lsp_waiter_list_wake(&service->calls_over);
	pthread_mutex_unlock(&service->lock);
	return result;
}

int lsp_service_connected(struct lsp_service *service, const char *peer, struct lsp_error *err)
{
	int r = enter(service, err);
	if (r < 0)
		return r;
	if (service->peers.on_connected)
		service->peers.on_connected(service->argument, peer);
	return leave(service, 0);
}

int lsp_service_disconnected(struct lsp_service *service, const char *peer, struct lsp_error *err)
{
	int r = enter(service, err);
	if (r < 0)
		return r;
	if (service->peers.on_disconnected)
		service->peers.on_disconnected(service->argument, peer);
	return leave(service, 0);
}

int lsp_service_message(struct lsp_service *service, const char *peer, const void *data,
	size_t size, struct lsp_error *err)
{
	int r = enter(service, err);
	if (r < 0)
		return r;
	if (service->peers.on_message)
		r = service->peers.on_message(service->argument, peer, data, size, err);
	return leave(service, r);
}

int lsp_service_dispatch(struct lsp_service *service, const char *method, const char *parameters,
	char **ret_result, struct lsp_error *err)
{
	int r = enter(service, err);
	if (r < 0)
		return r;
	if (service->rpc.dispatch)
		r = service->rpc.dispatch(service->argument, method, parameters, ret_result, err);
	else
		r = lsp_error_set(
			err, "task", LSP_E_UNSUPPORTED, "%s answers no requests", service->name);
	return leave(service, r);
}

int lsp_service_health(struct lsp_service *service, struct lsp_error *err)
{
	int r = enter(service, err);
	if (r < 0)
		return r;
	if (service->rpc.health)
		r = service->rpc.health(service->argument, err);
	return leave(service, r);
}
