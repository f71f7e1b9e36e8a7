#include "task/service.h"

#include "fixture.h"

#include <sched.h>

/* A service whose hooks write down that they ran, and fail, block or spawn as they are told. */
struct tested {
	struct lsp_fake_clock clock;
	struct runtime runtime;
	struct captured_log log;
	struct lsp_service *service;
	struct lsp_service_exit exit;

	char order[256]; /* "pre_start on_start …" */
	enum lsp_service_stage fails, waits_for_ever, never_returns, waits_for_cancel;
	struct gate waiting, may_return;
	bool run_returns;
	bool token_was_cancelled[LSP_STAGE_COUNT];
	struct lsp_task *task; /* that on_start spawned */
	bool task_ended_before_on_stop;
	bool spawns;

	char peers[128];
	struct gate in_call, call_may_end;
	bool slow_calls;
	int health;
};

static int tested_task(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	lsp_cancel_wait(token, NULL, LSP_TIME_NEVER);
	return 0;
}

static int hook(struct tested *t, enum lsp_service_stage stage,
	const struct lsp_service_context *context, struct lsp_error *err)
{
	if (t->order[0])
		strcat(t->order, " ");
	strcat(t->order, lsp_service_stage_name(stage));
	t->token_was_cancelled[stage] = lsp_cancel_requested(context->token);
	if (t->waits_for_ever == stage) {
		_cleanup_cancel_ struct lsp_cancel *own = NULL;
		int r = lsp_cancel_new(NULL, &own, err);
		gate_open(&t->waiting);
		return r < 0 ? r : !lsp_cancel_wait(own, NULL, LSP_TIME_NEVER);
	}
	if (t->never_returns == stage) {
		gate_open(&t->waiting);
		gate_pass(&t->may_return);
	}
	if (t->waits_for_cancel == stage) {
		gate_open(&t->waiting);
		lsp_cancel_wait(context->token, NULL, LSP_TIME_NEVER);
		return lsp_cancel_check(context->token, err);
	}
	if (t->fails == stage)
		return lsp_error_set(
			err, "test", LSP_E_IO, "%s says no", lsp_service_stage_name(stage));
	return 0;
}

static int pre_start(void *node, const struct lsp_service_context *context, struct lsp_error *err)
{
	return hook(node, LSP_STAGE_PRE_START, context, err);
}

static int on_start(void *node, const struct lsp_service_context *context, struct lsp_error *err)
{
	struct tested *t = node;
	if (t->spawns && lsp_tasks_spawn(context->tasks, "sync", LSP_TASK_BACKGROUND, tested_task,
				 NULL, &t->task, err) < 0)
		return -LSP_E_FAILED;
	return hook(node, LSP_STAGE_ON_START, context, err);
}

static int run(void *node, const struct lsp_service_context *context, struct lsp_error *err)
{
	struct tested *t = node;
	int r = hook(node, LSP_STAGE_RUN, context, err);
	if (r < 0 || t->run_returns)
		return r;
	gate_open(&t->waiting);
	lsp_cancel_wait(context->token, NULL, LSP_TIME_NEVER);
	return lsp_cancel_check(context->token, err);
}

static int on_stop(void *node, const struct lsp_service_context *context, struct lsp_error *err)
{
	struct tested *t = node;
	t->task_ended_before_on_stop = t->task && lsp_task_has_ended(t->task);
	return hook(node, LSP_STAGE_ON_STOP, context, err);
}

static int post_stop(void *node, const struct lsp_service_context *context, struct lsp_error *err)
{
	return hook(node, LSP_STAGE_POST_STOP, context, err);
}

static void note_peer(struct tested *t, const char *what, const char *peer)
{
	strcat(t->peers, what);
	strcat(t->peers, peer);
}

static void on_connected(void *node, const char *peer)
{
	note_peer(node, " +", peer);
}

static void on_disconnected(void *node, const char *peer)
{
	note_peer(node, " -", peer);
}

static int on_message(
	void *node, const char *peer, const void *data, size_t size, struct lsp_error *err)
{
	note_peer(node, " !", peer);
	return (int)size;
}

static int dispatch(void *node, const char *method, const char *parameters, char **ret_result,
	struct lsp_error *err)
{
	struct tested *t = node;
	if (t->slow_calls) {
		gate_open(&t->in_call);
		gate_pass(&t->call_may_end);
	}
	*ret_result = strdup(parameters);
	return *ret_result ? 0 : -LSP_E_NO_MEMORY;
}

static int health(void *node, struct lsp_error *err)
{
	struct tested *t = node;
	return t->health < 0 ? lsp_error_set(err, "test", -t->health, "a fever") : 0;
}

static const struct lsp_service_node node = {pre_start, on_start, run, on_stop, post_stop};
static const struct lsp_service_peers peers = {on_connected, on_disconnected, on_message};
static const struct lsp_service_rpc rpc = {dispatch, health};

static void tested_init(struct tested *t)
{
	memset(t, 0, sizeof *t);
	lsp_fake_clock_init(&t->clock);
	runtime_init(&t->runtime, &t->clock.clock);
	capture_log(&t->log);
	gate_init(&t->waiting);
	gate_init(&t->may_return);
	gate_init(&t->in_call);
	gate_init(&t->call_may_end);
}

static void make_with(struct tested *t, const struct lsp_service_options *options)
{
	assert_ok(lsp_service_new(options, &t->service, ERR));
}

static void make(struct tested *t)
{
	struct lsp_service_options options = {
		.name = "node",
		.node = &node,
		.peers = &peers,
		.rpc = &rpc,
		.argument = t,
		.tasks = t->runtime.tasks,
	};
	make_with(t, &options);
}

static void tested_done(struct tested *t)
{
	lsp_service_unref(t->service);
	runtime_done(&t->runtime);
	lsp_task_unref(t->task);
	release_log(&t->log);
}

/* ---- The order, and what a failure does to it -------------------------------------------- */

static void the_hooks_run_in_their_order_and_the_end_is_graceful(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	t.run_returns = true;
	assert_ok(lsp_service_run(t.service, &t.exit, ERR));
	assert_string_equal(t.order, "pre_start on_start run on_stop post_stop");
	assert_int_equal(t.exit.reason.kind, LSP_CANCEL_RUN_COMPLETED);
	assert_true(t.exit.is_graceful);
	assert_int_equal(lsp_service_exit_code(&t.exit), 0);
	assert_int_equal(lsp_service_state(t.service), LSP_SERVICE_STOPPED);
	tested_done(&t);
}

static void when_pre_start_fails_nothing_else_runs(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	t.fails = LSP_STAGE_PRE_START;
	assert_code(lsp_service_run(t.service, &t.exit, ERR), LSP_E_IO);
	assert_string_equal(ERR->message, "pre_start says no");
	assert_string_equal(t.order, "pre_start");
	assert_int_equal(t.exit.failed, LSP_STAGE_PRE_START);
	assert_int_equal(t.exit.reason.kind, LSP_CANCEL_FATAL);
	assert_false(t.exit.is_graceful);
	assert_int_equal(lsp_service_exit_code(&t.exit), 1);
	tested_done(&t);
}

static void when_on_start_fails_post_stop_runs(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	t.fails = LSP_STAGE_ON_START;
	t.spawns = true;
	assert_code(lsp_service_run(t.service, &t.exit, ERR), LSP_E_IO);
	assert_string_equal(t.order, "pre_start on_start post_stop");
	assert_int_equal(t.exit.failed, LSP_STAGE_ON_START);
	assert_true(lsp_task_has_ended(t.task)); /* and what it had spawned is joined */
	tested_done(&t);
}

static void when_run_fails_tasks_are_joined_and_both_stop_hooks_run(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	t.fails = LSP_STAGE_RUN;
	t.spawns = true;
	assert_code(lsp_service_run(t.service, &t.exit, ERR), LSP_E_IO);
	assert_string_equal(t.order, "pre_start on_start run on_stop post_stop");
	assert_true(t.task_ended_before_on_stop);
	assert_int_equal(t.exit.reason.kind, LSP_CANCEL_FATAL);
	assert_string_equal(t.exit.reason.text, "run says no");
	assert_false(t.exit.is_graceful);
	tested_done(&t);
}

static void a_failing_stop_hook_does_not_skip_the_next(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	t.run_returns = true;
	t.fails = LSP_STAGE_ON_STOP;
	assert_code(lsp_service_run(t.service, &t.exit, ERR), LSP_E_IO);
	assert_string_equal(t.order, "pre_start on_start run on_stop post_stop");
	assert_int_equal(t.exit.failed, LSP_STAGE_ON_STOP);
	assert_int_equal(t.exit.reason.kind, LSP_CANCEL_RUN_COMPLETED);
	assert_false(t.exit.is_graceful);
	tested_done(&t);
}

static void starting_twice_is_an_error(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	assert_ok(lsp_service_start(t.service, ERR));
	assert_code(lsp_service_start(t.service, ERR), LSP_E_EXISTS);
	assert_code(lsp_service_run(t.service, NULL, ERR), LSP_E_EXISTS);
	lsp_service_shutdown(t.service, LSP_CANCEL_USER, NULL);
	assert_ok(lsp_service_wait(t.service, LSP_TIME_NEVER, &t.exit, ERR));
	assert_code(lsp_service_start(t.service, ERR), LSP_E_EXISTS);
	assert_string_equal(t.order, "pre_start on_start run on_stop post_stop");
	tested_done(&t);
}

static void every_part_and_hook_is_optional(void **state)
{
	struct tested t;
	tested_init(&t);
	struct lsp_service_options options = {.name = "empty", .tasks = t.runtime.tasks};
	char *result = NULL;
	make_with(&t, &options);
	assert_code(lsp_service_wait(t.service, LSP_TIME_NEVER, NULL, ERR), LSP_E_INVALID);
	assert_ok(lsp_service_start(t.service, ERR));
	while (lsp_service_state(t.service) != LSP_SERVICE_RUNNING)
		sched_yield();
	assert_ok(lsp_service_connected(t.service, "anna", ERR));
	assert_ok(lsp_service_message(t.service, "anna", "x", 1, ERR));
	assert_ok(lsp_service_disconnected(t.service, "anna", ERR));
	assert_ok(lsp_service_health(t.service, ERR));
	assert_code(
		lsp_service_dispatch(t.service, "status", "{}", &result, ERR), LSP_E_UNSUPPORTED);
	lsp_service_shutdown(t.service, LSP_CANCEL_RPC, NULL);
	assert_ok(lsp_service_wait(t.service, LSP_TIME_NEVER, &t.exit, ERR));
	assert_int_equal(t.exit.reason.kind, LSP_CANCEL_RPC);
	tested_done(&t);
}

/* ---- Stopping ---------------------------------------------------------------------------- */

static void a_shutdown_while_it_serves_is_graceful_with_its_reason(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	t.spawns = true;
	assert_ok(lsp_service_start(t.service, ERR));
	gate_await(&t.waiting);
	_cleanup_free_ struct lsp_task_info *infos = NULL;
	size_t count;
	assert_ok(lsp_service_tasks(t.service, &infos, &count, ERR));
	assert_int_equal(count, 1);
	assert_string_equal(infos[0].name, "sync");
	assert_true(lsp_service_shutdown(t.service, LSP_CANCEL_RELOAD, "new settings"));
	assert_false(lsp_service_shutdown(t.service, LSP_CANCEL_USER, NULL));
	assert_ok(lsp_service_wait(t.service, LSP_TIME_NEVER, &t.exit, ERR));
	assert_int_equal(t.exit.reason.kind, LSP_CANCEL_RELOAD);
	assert_string_equal(t.exit.reason.text, "new settings");
	assert_true(t.exit.is_graceful);
	assert_true(t.task_ended_before_on_stop);
	/* The stop hooks can still wait: their token is not the cancelled one. */
	assert_false(t.token_was_cancelled[LSP_STAGE_ON_STOP]);
	assert_false(t.token_was_cancelled[LSP_STAGE_POST_STOP]);
	tested_done(&t);
}

static void the_programs_root_token_stops_it_too(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	assert_ok(lsp_service_start(t.service, ERR));
	gate_await(&t.waiting);
	lsp_cancel_request(t.runtime.root, LSP_CANCEL_USER, "SIGTERM");
	assert_ok(lsp_service_wait(t.service, LSP_TIME_NEVER, &t.exit, ERR));
	assert_string_equal(t.exit.reason.text, "SIGTERM");
	tested_done(&t);
}

static void a_shutdown_in_the_midst_of_the_start_is_no_failure(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	t.waits_for_cancel = LSP_STAGE_ON_START;
	assert_ok(lsp_service_start(t.service, ERR));
	gate_await(&t.waiting);
	lsp_service_shutdown(t.service, LSP_CANCEL_USER, NULL);
	assert_ok(lsp_service_wait(t.service, LSP_TIME_NEVER, &t.exit, ERR));
	assert_string_equal(t.order, "pre_start on_start post_stop");
	assert_true(t.exit.is_graceful);
	assert_int_equal(t.exit.reason.kind, LSP_CANCEL_USER);
	tested_done(&t);
}

static void waiting_for_it_can_be_given_up(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	assert_ok(lsp_service_start(t.service, ERR));
	assert_code(
		lsp_service_wait(t.service, lsp_now(&t.clock.clock), &t.exit, ERR), LSP_E_TIMEOUT);
	lsp_service_shutdown(t.service, LSP_CANCEL_USER, NULL);
	assert_ok(lsp_service_wait(t.service, LSP_TIME_NEVER, &t.exit, ERR));
	tested_done(&t);
}

static void the_handle_outlives_the_service_and_does_nothing_then(void **state)
{
	struct tested t;
	char *result = NULL;
	tested_init(&t);
	make(&t);
	_cleanup_service_ struct lsp_service *handle = lsp_service_ref(t.service);
	t.run_returns = true;
	assert_ok(lsp_service_run(t.service, &t.exit, ERR));
	tested_done(&t);
	assert_false(lsp_service_shutdown(handle, LSP_CANCEL_USER, NULL));
	assert_code(lsp_service_connected(handle, "anna", ERR), LSP_E_CLOSED);
	assert_code(lsp_service_message(handle, "anna", "x", 1, ERR), LSP_E_CLOSED);
	assert_code(lsp_service_dispatch(handle, "status", "{}", &result, ERR), LSP_E_CLOSED);
	assert_code(lsp_service_health(handle, ERR), LSP_E_CLOSED);
	_cleanup_free_ struct lsp_task_info *infos = NULL;
	size_t count = 1;
	assert_ok(lsp_service_tasks(handle, &infos, &count, ERR));
	assert_int_equal(count, 0);
	assert_string_equal(t.peers, "");
}

/* ---- Deadlines --------------------------------------------------------------------------- */

static bool was_logged(struct tested *t, const char *text)
{
	pthread_mutex_lock(&t->log.lock);
	bool found = strstr(t->log.text, text);
	pthread_mutex_unlock(&t->log.lock);
	return found;
}

/* The clock is moved on until a deadline came; what follows from it takes no more time. */
static void let_time_pass_until(struct tested *t, const char *logged)
{
	lsp_time limit = fixture_limit();
	while (!was_logged(t, logged)) {
		assert_true(lsp_now(lsp_clock_system) < limit);
		lsp_fake_clock_advance(&t->clock, LSP_SECOND / 4);
		sched_yield();
	}
}

/* The clock is moved on until the service has stopped: every deadline comes. */
static void let_time_pass(struct tested *t)
{
	lsp_time limit = fixture_limit();
	while (lsp_service_state(t->service) != LSP_SERVICE_STOPPED) {
		assert_true(lsp_now(lsp_clock_system) < limit);
		lsp_fake_clock_advance(&t->clock, LSP_SECOND);
		sched_yield();
	}
}

static void a_hook_that_is_late_is_interrupted_and_has_failed(void **state)
{
	static const enum lsp_service_stage stages[] = {
		LSP_STAGE_PRE_START, LSP_STAGE_ON_START, LSP_STAGE_ON_STOP, LSP_STAGE_POST_STOP};
	static const char *const orders[] = {"pre_start", "pre_start on_start post_stop",
		"pre_start on_start run on_stop post_stop",
		"pre_start on_start run on_stop post_stop"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(stages); i++) {
		struct tested t;
		tested_init(&t);
		make(&t);
		t.waits_for_ever = stages[i];
		t.run_returns = true;
		assert_ok(lsp_service_start(t.service, ERR));
		gate_await(&t.waiting);
		let_time_pass_until(&t, "is late and was interrupted");
		assert_code(
			lsp_service_wait(t.service, LSP_TIME_NEVER, &t.exit, ERR), LSP_E_TIMEOUT);
		assert_string_equal(t.order, orders[i]);
		assert_int_equal(t.exit.failed, stages[i]);
		assert_false(t.exit.is_graceful);
		/* It did return when it was interrupted. */
		assert_null(strstr(t.exit.error.message, "nor when"));
		tested_done(&t);
	}
}

static void run_has_all_the_time_until_the_shutdown(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	t.waits_for_ever = LSP_STAGE_RUN;
	assert_ok(lsp_service_start(t.service, ERR));
	gate_await(&t.waiting);
	lsp_fake_clock_advance(&t.clock, 24 * 3600 * LSP_SECOND);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(lsp_service_state(t.service), LSP_SERVICE_RUNNING);
		sched_yield();
	}
	lsp_service_shutdown(t.service, LSP_CANCEL_USER, NULL);
	let_time_pass_until(&t, "is late and was interrupted");
	assert_code(lsp_service_wait(t.service, LSP_TIME_NEVER, &t.exit, ERR), LSP_E_TIMEOUT);
	assert_int_equal(t.exit.failed, LSP_STAGE_RUN);
	assert_int_equal(t.exit.reason.kind, LSP_CANCEL_USER);
	assert_string_equal(t.order, "pre_start on_start run on_stop post_stop");
	tested_done(&t);
}

static void no_hook_follows_one_that_never_returns_and_it_is_a_straggler(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	t.never_returns = LSP_STAGE_ON_STOP;
	t.run_returns = true;
	assert_ok(lsp_service_start(t.service, ERR));
	gate_await(&t.waiting);
	let_time_pass(&t);
	assert_code(lsp_service_wait(t.service, LSP_TIME_NEVER, &t.exit, ERR), LSP_E_TIMEOUT);
	assert_string_equal(t.order, "pre_start on_start run on_stop");
	assert_int_equal(t.exit.stragglers, 1);
	assert_int_equal(lsp_service_exit_code(&t.exit), 1);
	assert_non_null(strstr(ERR->message, "nor when it was interrupted"));
	/* The program's join names it, once the service's own thread is gone. */
	while (lsp_tasks_count(t.runtime.tasks) > 1)
		sched_yield();
	assert_code(lsp_tasks_join_all(t.runtime.tasks, lsp_now(&t.clock.clock), NULL, ERR),
		LSP_E_TIMEOUT);
	assert_string_equal(ERR->message, "1 task did not stop in time: node.on_stop");
	gate_open(&t.may_return);
	tested_done(&t);
}

static int ignore_the_token(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	_cleanup_cancel_ struct lsp_cancel *own = NULL;
	int r = lsp_cancel_new(NULL, &own, err);
	if (r == 0)
		lsp_cancel_wait(own, NULL, LSP_TIME_NEVER);
	return r;
}

static int start_a_straggler(
	void *argument, const struct lsp_service_context *context, struct lsp_error *err)
{
	return lsp_tasks_spawn(
		context->tasks, "deaf", LSP_TASK_BACKGROUND, ignore_the_token, NULL, NULL, err);
}

static void stragglers_are_counted_and_the_exit_is_not_graceful(void **state)
{
	static const struct lsp_service_node deaf = {
		.on_start = start_a_straggler, .on_stop = on_stop, .post_stop = post_stop};
	struct tested t;
	tested_init(&t);
	struct lsp_service_options options = {
		.name = "node", .node = &deaf, .argument = &t, .tasks = t.runtime.tasks};
	make_with(&t, &options);
	assert_ok(lsp_service_start(t.service, ERR));
	while (lsp_service_state(t.service) != LSP_SERVICE_RUNNING)
		sched_yield();
	lsp_service_shutdown(t.service, LSP_CANCEL_USER, NULL);
	let_time_pass_until(&t, "has not stopped in time; interrupted");
	assert_code(lsp_service_wait(t.service, LSP_TIME_NEVER, &t.exit, ERR), LSP_E_TIMEOUT);
	assert_int_equal(t.exit.stragglers, 1);
	assert_int_equal(t.exit.failed, LSP_STAGE_JOIN);
	assert_string_equal(t.exit.error.message, "1 task did not stop in time: deaf");
	assert_string_equal(t.order, "on_stop post_stop");
	assert_int_equal(lsp_service_exit_code(&t.exit), 1);
	tested_done(&t);
}

/* ---- The peer and RPC APIs --------------------------------------------------------------- */

static void peers_and_requests_reach_the_node_while_it_runs(void **state)
{
	struct tested t;
	char *result = NULL;
	tested_init(&t);
	make(&t);
	assert_code(lsp_service_connected(t.service, "early", ERR), LSP_E_CLOSED);
	assert_ok(lsp_service_start(t.service, ERR));
	gate_await(&t.waiting);
	assert_ok(lsp_service_connected(t.service, "anna", ERR));
	assert_int_equal(lsp_service_message(t.service, "anna", "abc", 3, ERR), 3);
	assert_ok(lsp_service_disconnected(t.service, "anna", ERR));
	assert_string_equal(t.peers, " +anna !anna -anna");
	assert_ok(lsp_service_dispatch(t.service, "echo", "{\"a\":1}", &result, ERR));
	assert_string_equal(result, "{\"a\":1}");
	free(result);
	assert_ok(lsp_service_health(t.service, ERR));
	t.health = -LSP_E_FAILED;
	assert_code(lsp_service_health(t.service, ERR), LSP_E_FAILED);
	assert_string_equal(ERR->message, "a fever");
	lsp_service_shutdown(t.service, LSP_CANCEL_USER, NULL);
	assert_ok(lsp_service_wait(t.service, LSP_TIME_NEVER, &t.exit, ERR));
	tested_done(&t);
}

static int ask_slowly(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct tested *t = argument;
	char *result = NULL;
	int r = lsp_service_dispatch(t->service, "slow", "{}", &result, err);
	free(result);
	return r;
}

static void a_call_that_is_inside_is_over_before_on_stop(void **state)
{
	struct tested t;
	tested_init(&t);
	make(&t);
	t.slow_calls = true;
	assert_ok(lsp_service_start(t.service, ERR));
	gate_await(&t.waiting);
	_cleanup_task_ struct lsp_task *asker = NULL;
	assert_ok(lsp_tasks_spawn(
		t.runtime.tasks, "asker", LSP_TASK_RPC, ask_slowly, &t, &asker, ERR));
	gate_await(&t.in_call);
	lsp_service_shutdown(t.service, LSP_CANCEL_USER, NULL);
	while (lsp_service_state(t.service) != LSP_SERVICE_STOPPING)
		sched_yield();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(lsp_service_state(t.service), LSP_SERVICE_STOPPING);
		sched_yield();
	}
	gate_open(&t.call_may_end);
	assert_ok(lsp_service_wait(t.service, LSP_TIME_NEVER, &t.exit, ERR));
	assert_ok(lsp_task_wait(asker, NULL, NULL, fixture_limit(), ERR));
	assert_string_equal(t.order, "pre_start on_start run on_stop post_stop");
	tested_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hooks_run_in_their_order_and_the_end_is_graceful),
		cmocka_unit_test(when_pre_start_fails_nothing_else_runs),
		cmocka_unit_test(when_on_start_fails_post_stop_runs),
		cmocka_unit_test(when_run_fails_tasks_are_joined_and_both_stop_hooks_run),
		cmocka_unit_test(a_failing_stop_hook_does_not_skip_the_next),
		cmocka_unit_test(starting_twice_is_an_error),
		cmocka_unit_test(every_part_and_hook_is_optional),
		cmocka_unit_test(a_shutdown_while_it_serves_is_graceful_with_its_reason),
		cmocka_unit_test(the_programs_root_token_stops_it_too),
		cmocka_unit_test(a_shutdown_in_the_midst_of_the_start_is_no_failure),
		cmocka_unit_test(waiting_for_it_can_be_given_up),
		cmocka_unit_test(the_handle_outlives_the_service_and_does_nothing_then),
		cmocka_unit_test(a_hook_that_is_late_is_interrupted_and_has_failed),
		cmocka_unit_test(run_has_all_the_time_until_the_shutdown),
		cmocka_unit_test(no_hook_follows_one_that_never_returns_and_it_is_a_straggler),
		cmocka_unit_test(stragglers_are_counted_and_the_exit_is_not_graceful),
		cmocka_unit_test(peers_and_requests_reach_the_node_while_it_runs),
		cmocka_unit_test(a_call_that_is_inside_is_over_before_on_stop),
	};
	return cmocka_run_group_tests_name("task/service", tests, NULL, NULL);
}
