#include "task/registry.h"

#include "fixture.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

/* A task that waits for its gate, whatever its token says. */
struct held {
	struct gate began, may_end;
	pid_t tid;
};

static void held_init(struct held *held)
{
	gate_init(&held->began);
	gate_init(&held->may_end);
}

static int hold(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct held *held = argument;
	held->tid = gettid();
	gate_open(&held->began);
	gate_pass(&held->may_end);
	return 0;
}

static int return_at_once(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	return 0;
}

static int wait_for_cancel(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	lsp_cancel_wait(token, NULL, LSP_TIME_NEVER);
	return lsp_cancel_check(token, err);
}

static size_t snapshot_count(struct lsp_tasks *tasks)
{
	_cleanup_free_ struct lsp_task_info *infos = NULL;
	size_t count;
	assert_ok(lsp_tasks_snapshot(tasks, &infos, &count, ERR));
	return count;
}

static void a_new_registry_is_empty(void **state)
{
	struct runtime runtime;
	runtime_init(&runtime, NULL);
	assert_int_equal(snapshot_count(runtime.tasks), 0);
	assert_int_equal(lsp_tasks_count(runtime.tasks), 0);
	runtime_done(&runtime);
}

static void spawn_lists_the_task_with_name_kind_age_state_and_thread(void **state)
{
	struct lsp_fake_clock clock;
	struct runtime runtime;
	struct held held;
	lsp_fake_clock_init(&clock);
	runtime_init(&runtime, &clock.clock);
	held_init(&held);
	assert_ok(lsp_tasks_spawn(
		runtime.tasks, "library monitor", LSP_TASK_MAINTENANCE, hold, &held, NULL, ERR));
	gate_await(&held.began);
	lsp_fake_clock_advance(&clock, 7 * LSP_SECOND);
	_cleanup_free_ struct lsp_task_info *infos = NULL;
	size_t count;
	assert_ok(lsp_tasks_snapshot(runtime.tasks, &infos, &count, ERR));
	assert_int_equal(count, 1);
	assert_int_equal(lsp_tasks_count(runtime.tasks), 1);
	assert_string_equal(infos[0].name, "library monitor");
	assert_string_equal(lsp_task_kind_name(infos[0].kind), "maintenance");
	assert_string_equal(lsp_task_state_name(infos[0].state), "running");
	assert_int_equal(infos[0].age, 7 * LSP_SECOND);
	assert_int_equal(infos[0].tid, held.tid);
	assert_false(infos[0].activity);
	gate_open(&held.may_end);
	runtime_done(&runtime);
}

static int read_own_name(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	pthread_getname_np(pthread_self(), argument, 16);
	return 0;
}

static void the_thread_has_the_first_15_bytes_of_the_name(void **state)
{
	struct runtime runtime;
	char name[16];
	runtime_init(&runtime, NULL);
	assert_ok(lsp_tasks_spawn(runtime.tasks, "a name of more than fifteen bytes",
		LSP_TASK_BACKGROUND, read_own_name, name, NULL, ERR));
	runtime_done(&runtime);
	assert_string_equal(name, "a name of more ");
}

static int read_own_mask(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	return pthread_sigmask(SIG_BLOCK, NULL, argument);
}

static void a_thread_blocks_signals_but_not_those_of_its_own_making(void **state)
{
	struct runtime runtime;
	sigset_t mask;
	runtime_init(&runtime, NULL);
	assert_ok(lsp_tasks_spawn(
		runtime.tasks, "mask", LSP_TASK_BACKGROUND, read_own_mask, &mask, NULL, ERR));
	runtime_done(&runtime);
	assert_true(sigismember(&mask, SIGTERM));
	assert_true(sigismember(&mask, SIGCHLD));
	/* Blocked, a fault would end the process past every handler. */
	assert_false(sigismember(&mask, SIGBUS));
	assert_false(sigismember(&mask, SIGSEGV));
}

static void a_cancelled_task_that_still_runs_is_shown_as_stopping(void **state)
{
	struct runtime runtime;
	struct held held;
	runtime_init(&runtime, NULL);
	held_init(&held);
	_cleanup_task_ struct lsp_task *task = NULL;
	assert_ok(lsp_tasks_spawn(runtime.tasks, "held", LSP_TASK_RPC, hold, &held, &task, ERR));
	lsp_task_abort(task, LSP_CANCEL_USER, NULL);
	_cleanup_free_ struct lsp_task_info *infos = NULL;
	size_t count;
	assert_ok(lsp_tasks_snapshot(runtime.tasks, &infos, &count, ERR));
	assert_int_equal(infos[0].state, LSP_TASK_STOPPING);
	gate_open(&held.may_end);
	runtime_done(&runtime);
}

static void a_finished_task_is_dropped(void **state)
{
	struct runtime runtime;
	runtime_init(&runtime, NULL);
	_cleanup_task_ struct lsp_task *task = NULL;
	assert_ok(lsp_tasks_spawn(
		runtime.tasks, "short", LSP_TASK_RPC, return_at_once, NULL, &task, ERR));
	assert_ok(lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR));
	assert_true(lsp_task_has_ended(task));
	while (lsp_tasks_count(runtime.tasks))
		sched_yield();
	assert_int_equal(snapshot_count(runtime.tasks), 0);
	runtime_done(&runtime);
}

static void every_task_has_a_token_below_the_root(void **state)
{
	struct runtime runtime;
	runtime_init(&runtime, NULL);
	_cleanup_task_ struct lsp_task *one = NULL, *two = NULL;
	assert_ok(lsp_tasks_spawn(
		runtime.tasks, "one", LSP_TASK_RPC, wait_for_cancel, NULL, &one, ERR));
	assert_ok(lsp_tasks_spawn(
		runtime.tasks, "two", LSP_TASK_RPC, wait_for_cancel, NULL, &two, ERR));
	lsp_task_abort(one, LSP_CANCEL_RPC, "just this one");
	assert_code(lsp_task_wait(one, NULL, NULL, fixture_limit(), ERR), LSP_E_CANCELLED);
	assert_string_equal(ERR->message, "cancelled: just this one");
	assert_false(lsp_task_has_ended(two));
	assert_false(lsp_cancel_requested(runtime.root));
	lsp_cancel_request(runtime.root, LSP_CANCEL_USER, "all");
	assert_code(lsp_task_wait(two, NULL, NULL, fixture_limit(), ERR), LSP_E_CANCELLED);
	runtime_done(&runtime);
}

static void a_task_can_have_its_token_below_an_operations(void **state)
{
	struct runtime runtime;
	runtime_init(&runtime, NULL);
	_cleanup_cancel_ struct lsp_cancel *operation = NULL;
	assert_ok(lsp_cancel_new(runtime.root, &operation, ERR));
	_cleanup_task_ struct lsp_task *task = NULL;
	assert_ok(lsp_tasks_spawn_below(runtime.tasks, operation, "install", LSP_TASK_MAINTENANCE,
		wait_for_cancel, NULL, &task, ERR));
	lsp_cancel_request(operation, LSP_CANCEL_USER, NULL);
	assert_code(lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR), LSP_E_CANCELLED);
	runtime_done(&runtime);
}

static int fail_on_purpose(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	return lsp_error_set(err, "test", LSP_E_CORRUPT, "the reason of the failure");
}

static void an_error_is_logged_with_the_tasks_name_and_kept_for_the_handle(void **state)
{
	struct captured_log log;
	struct runtime runtime;
	runtime_init(&runtime, NULL);
	capture_log(&log);
	_cleanup_task_ struct lsp_task *task = NULL;
	assert_ok(lsp_tasks_spawn(
		runtime.tasks, "failing", LSP_TASK_MAINTENANCE, fail_on_purpose, NULL, &task, ERR));
	assert_code(lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR), LSP_E_CORRUPT);
	assert_string_equal(ERR->message, "the reason of the failure");
	runtime_done(&runtime);
	release_log(&log);
	assert_string_equal(log.text, "error failing: the reason of the failure\n");
}

static void a_cancelled_task_is_no_error_in_the_log(void **state)
{
	struct captured_log log;
	struct runtime runtime;
	runtime_init(&runtime, NULL);
	capture_log(&log);
	assert_ok(lsp_tasks_spawn(runtime.tasks, "cancelled", LSP_TASK_MAINTENANCE, wait_for_cancel,
		NULL, NULL, ERR));
	lsp_cancel_request(runtime.root, LSP_CANCEL_USER, NULL);
	runtime_done(&runtime);
	release_log(&log);
	assert_string_equal(log.text, "");
}

/* ---- Joining ----------------------------------------------------------------------------- */

struct joiner {
	struct runtime *runtime;
	struct gate ended;
	int result;
};

static void *join_in_a_thread(void *argument)
{
	struct joiner *joiner = argument;
	joiner->result = lsp_tasks_join_all(joiner->runtime->tasks, LSP_TIME_NEVER, NULL, NULL);
	gate_open(&joiner->ended);
	return NULL;
}

static void await_refusal(struct lsp_tasks *tasks)
{
	int r;
	while ((r = lsp_tasks_spawn(
			tasks, "probe", LSP_TASK_RPC, return_at_once, NULL, NULL, NULL)) == 0)
		sched_yield();
	assert_code(r, LSP_E_CLOSED);
}

static void join_all_waits_for_tasks_that_end_in_time(void **state)
{
	struct runtime runtime;
	struct held held;
	struct joiner joiner = {.runtime = &runtime, .result = 1};
	pthread_t thread;
	runtime_init(&runtime, NULL);
	held_init(&held);
	gate_init(&joiner.ended);
	assert_ok(lsp_tasks_spawn(
		runtime.tasks, "fast", LSP_TASK_BACKGROUND, hold, &held, NULL, ERR));
	assert_int_equal(pthread_create(&thread, NULL, join_in_a_thread, &joiner), 0);
	await_refusal(runtime.tasks);
	for (int i = 0; i < 100; i++) {
		assert_false(gate_is_open(&joiner.ended));
		sched_yield();
	}
	gate_open(&held.may_end);
	gate_await(&joiner.ended);
	pthread_join(thread, NULL);
	assert_int_equal(joiner.result, 0);
	assert_int_equal(lsp_tasks_count(runtime.tasks), 0);
	runtime_done(&runtime);
}

static void nothing_can_be_spawned_or_begun_once_join_began(void **state)
{
	struct runtime runtime;
	struct lsp_task *task = NULL;
	runtime_init(&runtime, NULL);
	assert_ok(lsp_tasks_join_all(runtime.tasks, LSP_TIME_NEVER, NULL, ERR));
	assert_code(lsp_tasks_spawn(runtime.tasks, "late", LSP_TASK_BACKGROUND, return_at_once,
			    NULL, &task, ERR),
		LSP_E_CLOSED);
	assert_string_equal(ERR->message, "cannot start late: the program is shutting down");
	assert_code(lsp_tasks_begin(runtime.tasks, "late", LSP_TASK_RPC, NULL, &task, ERR),
		LSP_E_CLOSED);
	assert_null(task);
	runtime_done(&runtime);
}

/* Waits with a token of its own: only an interrupt ends that. */
static int wait_regardless(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct held *held = argument;
	_cleanup_cancel_ struct lsp_cancel *own = NULL;
	int r = lsp_cancel_new(NULL, &own, err);
	held->tid = gettid();
	gate_open(&held->began);
	if (r == 0)
		lsp_cancel_wait(own, NULL, LSP_TIME_NEVER);
	return r;
}

static bool thread_exists(pid_t tid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%d", (int)tid);
	return access(path, F_OK) == 0;
}

/* A thread that was joined may show in /proc a moment longer. */
static void await_thread_gone(pid_t tid)
{
	lsp_time limit = fixture_limit();
	while (thread_exists(tid)) {
		assert_true(lsp_now(lsp_clock_system) < limit);
		sched_yield();
	}
}

static void join_all_names_and_counts_stragglers_and_they_really_stop(void **state)
{
	struct lsp_fake_clock clock;
	struct captured_log log;
	struct runtime runtime;
	struct held held[2];
	lsp_fake_clock_init(&clock);
	runtime_init(&runtime, &clock.clock);
	for (int i = 0; i < 2; i++) {
		held_init(&held[i]);
		assert_ok(lsp_tasks_spawn(runtime.tasks, i ? "slow two" : "slow one",
			LSP_TASK_BACKGROUND, wait_regardless, &held[i], NULL, ERR));
		gate_await(&held[i].began);
	}
	lsp_cancel_request(runtime.root, LSP_CANCEL_USER, NULL);
	assert_int_equal(lsp_tasks_count(runtime.tasks), 2);
	assert_true(thread_exists(held[0].tid));
	capture_log(&log);
	size_t stragglers = 0;
	/* The deadline is now: nobody has to wait for the clock. */
	assert_code(lsp_tasks_join_all(runtime.tasks, lsp_now(&clock.clock), &stragglers, ERR),
		LSP_E_TIMEOUT);
	assert_int_equal(stragglers, 2);
	assert_string_equal(ERR->message, "2 tasks did not stop in time: slow one, slow two");
	/* Interrupted, they have stopped: a second join finds nobody, their threads are gone. */
	assert_ok(lsp_tasks_join_all(runtime.tasks, LSP_TIME_NEVER, NULL, ERR));
	release_log(&log);
	assert_non_null(strstr(log.text, "warning slow two: has not stopped in time"));
	assert_int_equal(snapshot_count(runtime.tasks), 0);
	await_thread_gone(held[0].tid);
	await_thread_gone(held[1].tid);
	runtime_done(&runtime);
}

struct passing {
	struct lsp_fake_clock clock;
	struct runtime runtime;
};

/* Moves the clock by exactly the time that the join has, once it has begun. */
static int pass_the_time(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct passing *passing = argument;
	while (lsp_tasks_spawn(passing->runtime.tasks, "probe", LSP_TASK_RPC, return_at_once, NULL,
		       NULL, NULL) == 0)
		sched_yield();
	lsp_fake_clock_advance(&passing->clock, 2 * LSP_SECOND);
	return 0;
}

static void join_all_has_one_deadline_for_all(void **state)
{
	struct passing passing;
	struct held held[8];
	lsp_fake_clock_init(&passing.clock);
	runtime_init(&passing.runtime, &passing.clock.clock);
	struct lsp_tasks *tasks = passing.runtime.tasks;
	for (int i = 0; i < 8; i++) {
		held_init(&held[i]);
		assert_ok(lsp_tasks_spawn(
			tasks, "stuck", LSP_TASK_BACKGROUND, wait_regardless, &held[i], NULL, ERR));
	}
	assert_ok(lsp_tasks_spawn(
		tasks, "time", LSP_TASK_BACKGROUND, pass_the_time, &passing, NULL, ERR));
	lsp_log_set_level(LSP_LOG_ERROR);
	/* The clock moves by the two seconds once: a deadline for each would never end. */
	size_t stragglers = 0;
	assert_code(lsp_tasks_join_all(tasks,
			    lsp_time_add(lsp_now(&passing.clock.clock), 2 * LSP_SECOND),
			    &stragglers, ERR),
		LSP_E_TIMEOUT);
	lsp_log_set_level(LSP_LOG_INFO);
	assert_true(stragglers >= 8);
	runtime_done(&passing.runtime);
}

static int spin(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	gate_open(argument);
	for (volatile bool forever = true; forever;)
		sched_yield();
	return 0;
}

/* What app/ does: no thread is killed in place, the process exits. */
static int exit_with_a_task_that_never_stops(void)
{
	struct lsp_fake_clock clock;
	struct lsp_cancel *root;
	struct lsp_tasks *tasks;
	struct gate began;
	size_t stragglers = 0;
	gate_init(&began);
	lsp_fake_clock_init(&clock);
	lsp_log_set_level(LSP_LOG_ERROR);
	if (lsp_cancel_new(NULL, &root, NULL) < 0 ||
		lsp_tasks_new(root, &clock.clock, &tasks, NULL) < 0 ||
		lsp_tasks_spawn(tasks, "spins", LSP_TASK_BACKGROUND, spin, &began, NULL, NULL) < 0)
		return 9;
	gate_pass(&began);
	lsp_cancel_request(root, LSP_CANCEL_USER, NULL);
	if (lsp_tasks_join_all(tasks, lsp_now(&clock.clock), &stragglers, NULL) != -LSP_E_TIMEOUT ||
		stragglers != 1)
		return 8;
	return 1;
}

static void a_straggler_that_cannot_be_interrupted_ends_with_the_process(void **state)
{
	pid_t child = fork();
	if (child == 0)
		_exit(exit_with_a_task_that_never_stops());
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(kill(child, 0), -1);
}

static int join_from_within(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	return lsp_tasks_join_all(argument, LSP_TIME_NEVER, NULL, err);
}

static void a_task_that_joins_does_not_wait_for_itself(void **state)
{
	struct runtime runtime;
	runtime_init(&runtime, NULL);
	_cleanup_task_ struct lsp_task *task = NULL;
	assert_ok(lsp_tasks_spawn(
		runtime.tasks, "short", LSP_TASK_RPC, return_at_once, NULL, NULL, ERR));
	assert_ok(lsp_tasks_spawn(runtime.tasks, "service", LSP_TASK_BACKGROUND, join_from_within,
		runtime.tasks, &task, ERR));
	assert_ok(lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR));
	runtime_done(&runtime);
}

static void a_handle_outlives_task_and_registry(void **state)
{
	struct runtime runtime;
	struct lsp_task *task = NULL;
	runtime_init(&runtime, NULL);
	assert_ok(lsp_tasks_spawn(
		runtime.tasks, "short", LSP_TASK_RPC, return_at_once, NULL, &task, ERR));
	runtime_done(&runtime);
	lsp_task_abort(task, LSP_CANCEL_USER, NULL);
	lsp_task_interrupt(task, "too late");
	assert_string_equal(lsp_task_name(task), "short");
	assert_ok(lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR));
	lsp_task_unref(task);
}

/* ---- Guards ------------------------------------------------------------------------------ */

struct noted {
	struct lsp_task_guard guard;
	char letter;
	char *order;
};

static void note(struct lsp_task_guard *guard)
{
	struct noted *noted = lsp_container_of(guard, struct noted, guard);
	size_t used = strlen(noted->order);
	noted->order[used] = noted->letter;
	noted->order[used + 1] = '\0';
}

struct leaving {
	struct gate may_end;
	int way; /* 0: returns, 1: fails, 2: is cancelled, 3: pthread_exit */
};

static int leave_somehow(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct leaving *leaving = argument;
	gate_pass(&leaving->may_end);
	switch (leaving->way) {
	case 1:
		return fail_on_purpose(token, NULL, err);
	case 2:
		return wait_for_cancel(token, NULL, err);
	case 3:
		pthread_exit(NULL);
	default:
		return 0;
	}
}

static void guards_are_released_on_every_way_out_before_anybody_goes_on(void **state)
{
	static const int results[] = {0, -LSP_E_CORRUPT, -LSP_E_CANCELLED, -LSP_E_FAILED};
	for (int way = 0; way < 4; way++) {
		struct captured_log log;
		struct runtime runtime;
		struct leaving leaving = {.way = way};
		char order[8] = "";
		struct noted a = {{note}, 'a', order}, b = {{note}, 'b', order},
			     late = {{note}, 'c', order};
		gate_init(&leaving.may_end);
		runtime_init(&runtime, NULL);
		capture_log(&log);
		_cleanup_task_ struct lsp_task *task = NULL;
		assert_ok(lsp_tasks_spawn(runtime.tasks, "leaving", LSP_TASK_MAINTENANCE,
			leave_somehow, &leaving, &task, ERR));
		assert_ok(lsp_task_attach(task, &a.guard, ERR));
		assert_ok(lsp_task_attach(task, &b.guard, ERR));
		gate_open(&leaving.may_end);
		if (way == 2)
			lsp_task_abort(task, LSP_CANCEL_USER, NULL);
		assert_int_equal(
			lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR), results[way]);
		assert_string_equal(order, "ba");
		assert_code(lsp_task_attach(task, &late.guard, ERR), LSP_E_CLOSED);
		runtime_done(&runtime);
		release_log(&log);
		assert_string_equal(order, "ba");
	}
}

static void a_thread_that_left_early_is_a_failure_with_its_name(void **state)
{
	struct captured_log log;
	struct runtime runtime;
	struct leaving leaving = {.way = 3};
	gate_init(&leaving.may_end);
	gate_open(&leaving.may_end);
	runtime_init(&runtime, NULL);
	capture_log(&log);
	assert_ok(lsp_tasks_spawn(runtime.tasks, "leaving", LSP_TASK_MAINTENANCE, leave_somehow,
		&leaving, NULL, ERR));
	runtime_done(&runtime);
	release_log(&log);
	assert_string_equal(log.text, "error leaving: its thread left early\n");
}

/* ---- Activities and the threads of the process ------------------------------------------- */

static void an_activity_is_listed_joined_and_dropped_like_a_thread(void **state)
{
	struct runtime runtime;
	struct joiner joiner = {.runtime = &runtime, .result = 1};
	struct lsp_task *task = NULL;
	pthread_t thread;
	runtime_init(&runtime, NULL);
	gate_init(&joiner.ended);
	assert_ok(
		lsp_tasks_begin(runtime.tasks, "peer anna", LSP_TASK_CONNECTION, NULL, &task, ERR));
	_cleanup_free_ struct lsp_task_info *infos = NULL;
	size_t count;
	assert_ok(lsp_tasks_snapshot(runtime.tasks, &infos, &count, ERR));
	assert_int_equal(count, 1);
	assert_true(infos[0].activity);
	assert_int_equal(infos[0].tid, gettid());
	assert_int_equal(pthread_create(&thread, NULL, join_in_a_thread, &joiner), 0);
	await_refusal(runtime.tasks);
	assert_false(gate_is_open(&joiner.ended));
	lsp_task_end(task, 0, NULL);
	pthread_join(thread, NULL);
	assert_int_equal(joiner.result, 0);
	runtime_done(&runtime);
}

static void an_activity_that_never_ends_is_a_straggler(void **state)
{
	struct lsp_fake_clock clock;
	struct runtime runtime;
	struct lsp_task *task = NULL;
	lsp_fake_clock_init(&clock);
	runtime_init(&runtime, &clock.clock);
	assert_ok(
		lsp_tasks_begin(runtime.tasks, "peer anna", LSP_TASK_CONNECTION, NULL, &task, ERR));
	lsp_log_set_level(LSP_LOG_ERROR);
	assert_code(
		lsp_tasks_join_all(runtime.tasks, lsp_now(&clock.clock), NULL, ERR), LSP_E_TIMEOUT);
	lsp_log_set_level(LSP_LOG_INFO);
	assert_string_equal(ERR->message, "1 task did not stop in time: peer anna");
	assert_true(lsp_cancel_requested(lsp_task_token(task)));
	lsp_task_end(task, 0, NULL);
	runtime_done(&runtime);
}

/* A library that starts a thread of its own, as libmicrohttpd or libtorrent would. */
struct library {
	struct gate began, may_end;
	pthread_t thread;
	pid_t tid;
};

static void *library_thread(void *argument)
{
	struct library *library = argument;
	library->tid = gettid();
	gate_open(&library->began);
	gate_pass(&library->may_end);
	return NULL;
}

static int use_library(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct library *library = argument;
	if (pthread_create(&library->thread, NULL, library_thread, library) != 0)
		return -LSP_E_FAILED;
	lsp_cancel_wait(token, NULL, LSP_TIME_NEVER);
	gate_open(&library->may_end);
	pthread_join(library->thread, NULL);
	return 0;
}

static bool listed(const struct lsp_task_info *infos, size_t count, pid_t tid)
{
	for (size_t i = 0; i < count; i++)
		if (infos[i].tid == tid)
			return true;
	return false;
}

/* Threads in /proc that neither list has. */
static size_t unlisted_threads(struct lsp_tasks *tasks)
{
	_cleanup_free_ struct lsp_task_info *ours = NULL, *foreign = NULL;
	size_t our_count, foreign_count, missing = 0;
	assert_ok(lsp_tasks_snapshot(tasks, &ours, &our_count, ERR));
	assert_ok(lsp_tasks_foreign(tasks, &foreign, &foreign_count, ERR));
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	while ((entry = readdir(dir))) {
		pid_t tid = (pid_t)atoi(entry->d_name);
		if (tid && !listed(ours, our_count, tid) && !listed(foreign, foreign_count, tid))
			missing++;
	}
	closedir(dir);
	return missing;
}

static void every_thread_of_the_process_is_listed_a_librarys_under_its_owner(void **state)
{
	struct runtime runtime;
	struct library library;
	struct lsp_task *main_task = NULL;
	runtime_init(&runtime, NULL);
	gate_init(&library.began);
	gate_init(&library.may_end);
	assert_ok(lsp_tasks_adopt_current(
		runtime.tasks, "main", LSP_TASK_BACKGROUND, &main_task, ERR));
	assert_ptr_equal(lsp_task_current(), main_task);
	assert_ok(lsp_tasks_spawn(runtime.tasks, "the page over http", LSP_TASK_BACKGROUND,
		use_library, &library, NULL, ERR));
	gate_await(&library.began);
	assert_int_equal(unlisted_threads(runtime.tasks), 0);
	_cleanup_free_ struct lsp_task_info *foreign = NULL, *ours = NULL;
	size_t count, our_count;
	assert_ok(lsp_tasks_snapshot(runtime.tasks, &ours, &our_count, ERR));
	assert_int_equal(our_count, 2);
	assert_true(listed(ours, our_count, getpid()));
	assert_false(listed(ours, our_count, library.tid));
	assert_ok(lsp_tasks_foreign(runtime.tasks, &foreign, &count, ERR));
	bool found = false;
	for (size_t i = 0; i < count; i++) {
		assert_false(listed(ours, our_count, foreign[i].tid));
		if (foreign[i].tid != library.tid)
			continue;
		found = true;
		assert_string_equal(foreign[i].owner, "the page over http");
		assert_string_equal(foreign[i].name, "the page over h");
		assert_int_equal(foreign[i].kind, LSP_TASK_FOREIGN);
	}
	assert_true(found);
	lsp_task_end(main_task, 0, NULL);
	assert_null(lsp_task_current());
	lsp_cancel_request(runtime.root, LSP_CANCEL_USER, NULL);
	runtime_done(&runtime);
}

static void a_task_of_another_registry_is_not_foreign(void **state)
{
	struct runtime one, two;
	struct held held;
	runtime_init(&one, NULL);
	runtime_init(&two, NULL);
	held_init(&held);
	assert_ok(lsp_tasks_spawn(one.tasks, "held", LSP_TASK_BACKGROUND, hold, &held, NULL, ERR));
	gate_await(&held.began);
	_cleanup_free_ struct lsp_task_info *foreign = NULL;
	size_t count;
	assert_ok(lsp_tasks_foreign(two.tasks, &foreign, &count, ERR));
	assert_false(listed(foreign, count, held.tid));
	gate_open(&held.may_end);
	runtime_done(&one);
	runtime_done(&two);
}

static int report_mask(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	return pthread_sigmask(SIG_SETMASK, NULL, argument);
}

static void signals_are_left_to_the_threads_that_were_there_before(void **state)
{
	struct runtime runtime;
	sigset_t mask, own;
	runtime_init(&runtime, NULL);
	assert_ok(lsp_tasks_spawn(
		runtime.tasks, "mask", LSP_TASK_RPC, report_mask, &mask, NULL, ERR));
	runtime_done(&runtime);
	pthread_sigmask(SIG_SETMASK, NULL, &own);
	assert_true(sigismember(&mask, SIGTERM));
	assert_true(sigismember(&mask, SIGINT));
	assert_false(sigismember(&own, SIGTERM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_straggler_that_cannot_be_interrupted_ends_with_the_process),
		cmocka_unit_test(a_new_registry_is_empty),
		cmocka_unit_test(spawn_lists_the_task_with_name_kind_age_state_and_thread),
		cmocka_unit_test(the_thread_has_the_first_15_bytes_of_the_name),
		cmocka_unit_test(a_thread_blocks_signals_but_not_those_of_its_own_making),
		cmocka_unit_test(a_cancelled_task_that_still_runs_is_shown_as_stopping),
		cmocka_unit_test(a_finished_task_is_dropped),
		cmocka_unit_test(every_task_has_a_token_below_the_root),
		cmocka_unit_test(a_task_can_have_its_token_below_an_operations),
		cmocka_unit_test(an_error_is_logged_with_the_tasks_name_and_kept_for_the_handle),
		cmocka_unit_test(a_cancelled_task_is_no_error_in_the_log),
		cmocka_unit_test(join_all_waits_for_tasks_that_end_in_time),
		cmocka_unit_test(nothing_can_be_spawned_or_begun_once_join_began),
		cmocka_unit_test(join_all_names_and_counts_stragglers_and_they_really_stop),
		cmocka_unit_test(join_all_has_one_deadline_for_all),
		cmocka_unit_test(a_task_that_joins_does_not_wait_for_itself),
		cmocka_unit_test(a_handle_outlives_task_and_registry),
		cmocka_unit_test(guards_are_released_on_every_way_out_before_anybody_goes_on),
		cmocka_unit_test(a_thread_that_left_early_is_a_failure_with_its_name),
		cmocka_unit_test(an_activity_is_listed_joined_and_dropped_like_a_thread),
		cmocka_unit_test(an_activity_that_never_ends_is_a_straggler),
		cmocka_unit_test(every_thread_of_the_process_is_listed_a_librarys_under_its_owner),
		cmocka_unit_test(a_task_of_another_registry_is_not_foreign),
		cmocka_unit_test(signals_are_left_to_the_threads_that_were_there_before),
	};
	return cmocka_run_group_tests_name("task/registry", tests, NULL, NULL);
}
