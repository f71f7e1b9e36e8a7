#include "task/supervisor.h"

#include "fixture.h"

/* A runtime with a supervisor, on a clock that the test owns. */
struct supervised {
	struct lsp_fake_clock clock;
	struct runtime runtime;
	struct lsp_supervisor *supervisor;
	struct lsp_waiter changed;
	struct captured_log log;

	/* What runtime_failed said; written before the root token is cancelled. */
	int failures;
	char component[64], message[128];
	bool was_cancelled_before;
};

static void on_runtime_failed(void *argument, const char *component, const struct lsp_error *error)
{
	struct supervised *s = argument;
	s->failures++;
	snprintf(s->component, sizeof s->component, "%s", component);
	snprintf(s->message, sizeof s->message, "%.100s", error->message);
	s->was_cancelled_before = lsp_cancel_requested(s->runtime.root);
}

static void on_changed(void *argument)
{
	struct supervised *s = argument;
	lsp_waiter_wake(&s->changed);
}

static void supervised_init(struct supervised *s)
{
	memset(s, 0, sizeof *s);
	lsp_waiter_init(&s->changed);
	lsp_fake_clock_init(&s->clock);
	runtime_init(&s->runtime, &s->clock.clock);
	struct lsp_supervisor_events events = {on_runtime_failed, on_changed, s};
	assert_ok(lsp_supervisor_new(s->runtime.tasks, &events, &s->supervisor, ERR));
	capture_log(&s->log);
}

static void supervised_done(struct supervised *s)
{
	lsp_cancel_request(s->runtime.root, LSP_CANCEL_USER, NULL);
	runtime_done(&s->runtime);
	lsp_supervisor_free(s->supervisor);
	lsp_waiter_done(&s->changed);
	release_log(&s->log);
}

static struct lsp_supervised_info look(struct supervised *s)
{
	_cleanup_free_ struct lsp_supervised_info *infos = NULL;
	size_t count;
	assert_ok(lsp_supervisor_snapshot(s->supervisor, &infos, &count, ERR));
	assert_int_equal(count, 1);
	return infos[0];
}

/* Until the one service has that state and that many restarts. */
static struct lsp_supervised_info await_state(
	struct supervised *s, enum lsp_supervised_state wanted, unsigned restarts)
{
	for (;;) {
		struct lsp_supervised_info info = look(s);
		if (info.state == wanted && info.restarts == restarts)
			return info;
		assert_ok(lsp_waiter_wait(&s->changed, NULL, NULL, fixture_limit(), ERR));
	}
}

/* ---- Services that are threads ----------------------------------------------------------- */

/* Fails as often as it is told to, then runs until it is cancelled. */
struct shaky {
	atomic_int runs;
	int failures;
	bool silently; /* ends without an error */
};

static int run_shakily(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct shaky *shaky = argument;
	int run = atomic_fetch_add(&shaky->runs, 1);
	if (run < shaky->failures && shaky->silently)
		return 0;
	if (run < shaky->failures)
		return lsp_error_set(err, "net", LSP_E_IO, "failure %d", run + 1);
	lsp_cancel_wait(token, NULL, LSP_TIME_NEVER);
	return lsp_cancel_check(token, err);
}

static void a_required_failure_emits_runtime_failed_then_cancels_the_runtime(void **state)
{
	struct lsp_policy required = {.kind = LSP_POLICY_REQUIRED};
	struct supervised s;
	struct shaky shaky = {.failures = 1};
	supervised_init(&s);
	assert_ok(lsp_supervisor_run(s.supervisor, "quic", &required, run_shakily, &shaky, ERR));
	assert_true(lsp_cancel_wait(s.runtime.root, NULL, fixture_limit()));
	assert_int_equal(s.failures, 1);
	assert_string_equal(s.component, "quic");
	assert_string_equal(s.message, "failure 1");
	assert_false(s.was_cancelled_before);
	struct lsp_cancel_reason reason;
	lsp_cancel_get_reason(s.runtime.root, &reason);
	assert_int_equal(reason.kind, LSP_CANCEL_FATAL);
	assert_string_equal(reason.text, "quic failed: failure 1");
	struct lsp_supervised_info info = look(&s);
	assert_int_equal(info.state, LSP_SUPERVISED_FAILED);
	assert_int_equal(info.error.code, LSP_E_IO);
	supervised_done(&s);
	assert_int_equal(shaky.runs, 1);
}

static int finish_the_work(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	lsp_cancel_wait(token, NULL, LSP_TIME_NEVER);
	*(bool *)argument = true; /* the goodbyes */
	return 0;
}

static void other_tasks_still_run_to_completion_after_a_required_failure(void **state)
{
	struct lsp_policy required = {.kind = LSP_POLICY_REQUIRED};
	struct supervised s;
	struct shaky shaky = {.failures = 1};
	bool said_goodbye = false;
	supervised_init(&s);
	assert_ok(lsp_tasks_spawn(s.runtime.tasks, "commands", LSP_TASK_BACKGROUND, finish_the_work,
		&said_goodbye, NULL, ERR));
	assert_ok(lsp_supervisor_run(s.supervisor, "quic", &required, run_shakily, &shaky, ERR));
	assert_true(lsp_cancel_wait(s.runtime.root, NULL, fixture_limit()));
	supervised_done(&s);
	assert_true(said_goodbye);
}

static void a_service_that_ends_by_itself_without_an_error_has_failed_too(void **state)
{
	struct lsp_policy required = {.kind = LSP_POLICY_REQUIRED};
	struct supervised s;
	struct shaky shaky = {.failures = 1, .silently = true};
	supervised_init(&s);
	assert_ok(lsp_supervisor_run(s.supervisor, "quic", &required, run_shakily, &shaky, ERR));
	assert_true(lsp_cancel_wait(s.runtime.root, NULL, fixture_limit()));
	assert_string_equal(s.message, "it ended by itself, though nobody asked it to");
	supervised_done(&s);
}

static void a_restart_policy_restarts_after_its_delay_until_shutdown(void **state)
{
	struct lsp_policy restart = {.kind = LSP_POLICY_RESTART, .delay = 5 * LSP_SECOND};
	struct supervised s;
	struct shaky shaky = {.failures = 1000000};
	supervised_init(&s);
	assert_ok(
		lsp_supervisor_run(s.supervisor, "discovery", &restart, run_shakily, &shaky, ERR));
	for (unsigned i = 0; i < 20; i++) {
		struct lsp_supervised_info info = await_state(&s, LSP_SUPERVISED_RESTARTING, i);
		assert_int_equal(shaky.runs, i + 1);
		assert_int_equal(info.restart_at, lsp_now(&s.clock.clock) + 5 * LSP_SECOND);
		lsp_fake_clock_advance(&s.clock, 5 * LSP_SECOND - 1);
		assert_int_equal(look(&s).state, LSP_SUPERVISED_RESTARTING);
		lsp_fake_clock_advance(&s.clock, 1);
	}
	await_state(&s, LSP_SUPERVISED_RESTARTING, 20);
	lsp_cancel_request(s.runtime.root, LSP_CANCEL_USER, NULL);
	await_state(&s, LSP_SUPERVISED_STOPPED, 20);
	assert_int_equal(s.failures, 0);
	supervised_done(&s);
	assert_int_equal(shaky.runs, 21);
}

static void restarts_are_counted_and_the_last_error_is_kept(void **state)
{
	struct lsp_policy restart = {.kind = LSP_POLICY_RESTART, .delay = LSP_SECOND};
	struct supervised s;
	struct shaky shaky = {.failures = 2};
	supervised_init(&s);
	assert_ok(lsp_supervisor_run(s.supervisor, "liveness", &restart, run_shakily, &shaky, ERR));
	await_state(&s, LSP_SUPERVISED_RESTARTING, 0);
	lsp_fake_clock_advance(&s.clock, LSP_SECOND);
	await_state(&s, LSP_SUPERVISED_RESTARTING, 1);
	lsp_fake_clock_advance(&s.clock, LSP_SECOND);
	struct lsp_supervised_info info = await_state(&s, LSP_SUPERVISED_RUNNING, 2);
	assert_string_equal(info.name, "liveness");
	assert_string_equal(lsp_policy_kind_name(info.policy), "restart");
	assert_string_equal(lsp_supervised_state_name(info.state), "running");
	assert_string_equal(info.error.message, "failure 2");
	supervised_done(&s);
}

static void a_best_effort_failure_stops_nothing_and_is_shown(void **state)
{
	struct lsp_policy best_effort = {.kind = LSP_POLICY_BEST_EFFORT};
	struct supervised s;
	struct shaky shaky = {.failures = 1};
	supervised_init(&s);
	assert_ok(lsp_supervisor_run(
		s.supervisor, "monitor", &best_effort, run_shakily, &shaky, ERR));
	struct lsp_supervised_info info = await_state(&s, LSP_SUPERVISED_FAILED, 0);
	assert_string_equal(info.error.message, "failure 1");
	assert_false(lsp_cancel_requested(s.runtime.root));
	assert_int_equal(s.failures, 0);
	assert_code(lsp_supervisor_restart(s.supervisor, "monitor", ERR), LSP_E_CLOSED);
	supervised_done(&s);
	assert_int_equal(shaky.runs, 1);
}

static void an_end_that_was_asked_for_is_no_failure(void **state)
{
	struct lsp_policy required = {.kind = LSP_POLICY_REQUIRED};
	struct supervised s;
	struct shaky shaky = {.failures = 0};
	supervised_init(&s);
	assert_ok(lsp_supervisor_run(s.supervisor, "quic", &required, run_shakily, &shaky, ERR));
	lsp_cancel_request(s.runtime.root, LSP_CANCEL_USER, "SIGTERM");
	struct lsp_supervised_info info = await_state(&s, LSP_SUPERVISED_STOPPED, 0);
	assert_int_equal(info.error.code, 0);
	assert_int_equal(s.failures, 0);
	supervised_done(&s);
}

static void a_service_that_gave_up_is_unhealthy_and_starts_afresh_when_asked(void **state)
{
	struct lsp_policy torrent = {
		.kind = LSP_POLICY_RESTART,
		.delay = LSP_SECOND,
		.factor = 2,
		.ceiling = 30 * LSP_SECOND,
		.give_up = 5,
	};
	struct supervised s;
	struct shaky shaky = {.failures = 6};
	supervised_init(&s);
	assert_ok(lsp_supervisor_run(s.supervisor, "torrent", &torrent, run_shakily, &shaky, ERR));
	for (unsigned i = 0; i < 4; i++) {
		struct lsp_supervised_info info = await_state(&s, LSP_SUPERVISED_RESTARTING, i);
		assert_int_equal(info.restart_at - lsp_now(&s.clock.clock), (LSP_SECOND << i));
		lsp_fake_clock_advance(&s.clock, LSP_SECOND << i);
	}
	await_state(&s, LSP_SUPERVISED_UNHEALTHY, 4);
	lsp_fake_clock_advance(&s.clock, 3600 * LSP_SECOND);
	assert_int_equal(look(&s).state, LSP_SUPERVISED_UNHEALTHY);
	assert_int_equal(shaky.runs, 5);
	assert_ok(lsp_supervisor_restart(s.supervisor, "torrent", ERR));
	/* Afresh: its sixth failure is the first of a new row. */
	struct lsp_supervised_info info = await_state(&s, LSP_SUPERVISED_RESTARTING, 5);
	assert_int_equal(info.restart_at - lsp_now(&s.clock.clock), LSP_SECOND);
	/* And a wait can be cut short. */
	assert_ok(lsp_supervisor_restart(s.supervisor, "torrent", ERR));
	await_state(&s, LSP_SUPERVISED_RUNNING, 6);
	assert_code(lsp_supervisor_restart(s.supervisor, "torrent", ERR), LSP_E_EXISTS);
	assert_code(lsp_supervisor_restart(s.supervisor, "no such", ERR), LSP_E_NOT_FOUND);
	supervised_done(&s);
}

static void a_name_is_one_services(void **state)
{
	struct lsp_policy restart = {.kind = LSP_POLICY_RESTART, .delay = LSP_SECOND};
	struct supervised s;
	struct shaky shaky = {.failures = 0}, other = {.failures = 0};
	supervised_init(&s);
	assert_ok(lsp_supervisor_run(s.supervisor, "quic", &restart, run_shakily, &shaky, ERR));
	assert_code(lsp_supervisor_run(s.supervisor, "quic", &restart, run_shakily, &other, ERR),
		LSP_E_EXISTS);
	supervised_done(&s);
	assert_int_equal(other.runs, 0);
}

static void nothing_is_supervised_once_join_began(void **state)
{
	struct lsp_policy restart = {.kind = LSP_POLICY_RESTART, .delay = LSP_SECOND};
	struct supervised s;
	struct shaky shaky = {.failures = 0};
	supervised_init(&s);
	assert_ok(lsp_tasks_join_all(s.runtime.tasks, LSP_TIME_NEVER, NULL, ERR));
	assert_code(lsp_supervisor_run(s.supervisor, "late", &restart, run_shakily, &shaky, ERR),
		LSP_E_CLOSED);
	_cleanup_free_ struct lsp_supervised_info *infos = NULL;
	size_t count;
	assert_ok(lsp_supervisor_snapshot(s.supervisor, &infos, &count, ERR));
	assert_int_equal(count, 0);
	supervised_done(&s);
}

/* ---- Services that a loop owns ----------------------------------------------------------- */

struct owned {
	struct supervised s;
	struct lsp_loop *loop;
	struct lsp_supervised *service;
	struct lsp_policy policy;
	int failing_starts;
	int starts, stops;
};

static int start_owned(void *argument, struct lsp_error *err)
{
	struct owned *o = argument;
	if (o->starts++ < o->failing_starts)
		return lsp_error_set(err, "net", LSP_E_BUSY, "the port is taken");
	return 0;
}

static void stop_owned(void *argument)
{
	struct owned *o = argument;
	o->stops++;
}

static int add_owned(void *argument, struct lsp_error *err)
{
	static const struct lsp_supervised_hooks hooks = {start_owned, stop_owned};
	struct owned *o = argument;
	return lsp_supervisor_add(
		o->s.supervisor, o->loop, "quic", &o->policy, &hooks, o, &o->service, err);
}

static int fail_owned(void *argument, struct lsp_error *err)
{
	struct owned *o = argument;
	struct lsp_error error = {0};
	lsp_error_set(&error, "net", LSP_E_IO, "the socket is gone");
	lsp_supervised_failed(o->service, &error);
	return 0;
}

static int end_owned(void *argument, struct lsp_error *err)
{
	struct owned *o = argument;
	lsp_supervised_failed(o->service, NULL);
	return 0;
}

static int remove_owned(void *argument, struct lsp_error *err)
{
	struct owned *o = argument;
	lsp_supervised_remove(o->service);
	return 0;
}

static int have_a_turn(void *argument, struct lsp_error *err)
{
	return 0;
}

static void on_loop(struct owned *o, lsp_loop_function function)
{
	assert_ok(lsp_loop_call(o->loop, function, o, NULL, LSP_TIME_NEVER, ERR));
}

static void owned_init(struct owned *o, enum lsp_policy_kind kind)
{
	*o = (struct owned){.policy = {.kind = kind, .delay = 5 * LSP_SECOND, .give_up = 3}};
	supervised_init(&o->s);
	assert_ok(lsp_loop_start(o->s.runtime.tasks, "core", &o->loop, ERR));
}

static void owned_done(struct owned *o)
{
	on_loop(o, remove_owned);
	assert_ok(lsp_loop_stop(o->loop, LSP_TIME_NEVER, ERR));
	lsp_loop_unref(o->loop);
	supervised_done(&o->s);
	assert_int_equal(o->starts - LSP_MIN(o->failing_starts, o->starts), o->stops);
}

static void a_loops_service_restarts_by_the_loops_clock(void **state)
{
	struct owned o;
	owned_init(&o, LSP_POLICY_RESTART);
	on_loop(&o, add_owned);
	await_state(&o.s, LSP_SUPERVISED_RUNNING, 0);
	on_loop(&o, fail_owned);
	struct lsp_supervised_info info = await_state(&o.s, LSP_SUPERVISED_RESTARTING, 0);
	assert_string_equal(info.error.message, "the socket is gone");
	assert_int_equal(o.stops, 1);
	lsp_fake_clock_advance(&o.s.clock, 5 * LSP_SECOND);
	await_state(&o.s, LSP_SUPERVISED_RUNNING, 1);
	on_loop(&o, end_owned);
	info = await_state(&o.s, LSP_SUPERVISED_RESTARTING, 1);
	assert_string_equal(info.error.message, "it ended by itself, though nobody asked it to");
	owned_done(&o);
	assert_int_equal(o.starts, 2);
}

static void a_loops_service_that_cannot_start_has_failed(void **state)
{
	struct owned o;
	owned_init(&o, LSP_POLICY_RESTART);
	o.failing_starts = 3;
	on_loop(&o, add_owned);
	await_state(&o.s, LSP_SUPERVISED_RESTARTING, 0);
	lsp_fake_clock_advance(&o.s.clock, 5 * LSP_SECOND);
	await_state(&o.s, LSP_SUPERVISED_RESTARTING, 1);
	lsp_fake_clock_advance(&o.s.clock, 5 * LSP_SECOND);
	struct lsp_supervised_info info = await_state(&o.s, LSP_SUPERVISED_UNHEALTHY, 2);
	assert_string_equal(info.error.message, "the port is taken");
	assert_int_equal(o.stops, 0);
	assert_ok(lsp_supervisor_restart(o.s.supervisor, "quic", ERR));
	await_state(&o.s, LSP_SUPERVISED_RUNNING, 3);
	owned_done(&o);
}

static void a_required_loop_service_brings_the_runtime_down(void **state)
{
	struct owned o;
	owned_init(&o, LSP_POLICY_REQUIRED);
	on_loop(&o, add_owned);
	on_loop(&o, fail_owned);
	assert_true(lsp_cancel_requested(o.s.runtime.root));
	assert_string_equal(o.s.component, "quic");
	assert_string_equal(o.s.message, "the socket is gone");
	assert_false(o.s.was_cancelled_before);
	/* The loop still runs: the goodbyes can go out. */
	on_loop(&o, fail_owned);
	assert_int_equal(o.s.failures, 1);
	owned_done(&o);
}

static void a_loops_service_does_not_restart_once_the_runtime_stops(void **state)
{
	struct owned o;
	owned_init(&o, LSP_POLICY_RESTART);
	on_loop(&o, add_owned);
	on_loop(&o, fail_owned);
	await_state(&o.s, LSP_SUPERVISED_RESTARTING, 0);
	lsp_cancel_request(o.s.runtime.root, LSP_CANCEL_USER, NULL);
	lsp_fake_clock_advance(&o.s.clock, 5 * LSP_SECOND);
	await_state(&o.s, LSP_SUPERVISED_STOPPED, 0);
	owned_done(&o);
	assert_int_equal(o.starts, 1);
}

static void a_loops_service_outlives_the_root_token_until_its_owner_removes_it(void **state)
{
	struct owned o;
	owned_init(&o, LSP_POLICY_REQUIRED);
	on_loop(&o, add_owned);
	lsp_cancel_request(o.s.runtime.root, LSP_CANCEL_USER, NULL);
	on_loop(&o, have_a_turn);
	assert_int_equal(look(&o.s).state, LSP_SUPERVISED_RUNNING);
	assert_int_equal(o.stops, 0);
	owned_done(&o);
	assert_int_equal(o.stops, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_required_failure_emits_runtime_failed_then_cancels_the_runtime),
		cmocka_unit_test(other_tasks_still_run_to_completion_after_a_required_failure),
		cmocka_unit_test(a_service_that_ends_by_itself_without_an_error_has_failed_too),
		cmocka_unit_test(a_restart_policy_restarts_after_its_delay_until_shutdown),
		cmocka_unit_test(restarts_are_counted_and_the_last_error_is_kept),
		cmocka_unit_test(a_best_effort_failure_stops_nothing_and_is_shown),
		cmocka_unit_test(an_end_that_was_asked_for_is_no_failure),
		cmocka_unit_test(a_service_that_gave_up_is_unhealthy_and_starts_afresh_when_asked),
		cmocka_unit_test(a_name_is_one_services),
		cmocka_unit_test(nothing_is_supervised_once_join_began),
		cmocka_unit_test(a_loops_service_restarts_by_the_loops_clock),
		cmocka_unit_test(a_loops_service_that_cannot_start_has_failed),
		cmocka_unit_test(a_required_loop_service_brings_the_runtime_down),
		cmocka_unit_test(a_loops_service_does_not_restart_once_the_runtime_stops),
		cmocka_unit_test(
			a_loops_service_outlives_the_root_token_until_its_owner_removes_it),
	};
	return cmocka_run_group_tests_name("task/supervisor", tests, NULL, NULL);
}
