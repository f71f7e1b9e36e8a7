#include "task/cancel.h"

#include "fixture.h"

#include <poll.h>
#include <sched.h>

static struct lsp_cancel *new_token(struct lsp_cancel *parent)
{
	struct lsp_cancel *token = NULL;
	assert_ok(lsp_cancel_new(parent, &token, ERR));
	return token;
}

static void a_new_token_is_not_cancelled(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *token = new_token(NULL);
	struct lsp_cancel_reason reason;
	assert_false(lsp_cancel_requested(token));
	assert_ok(lsp_cancel_check(token, ERR));
	lsp_cancel_get_reason(token, &reason);
	assert_int_equal(reason.kind, LSP_CANCEL_NONE);
	assert_string_equal(reason.text, "");
}

static void the_first_reason_wins(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *token = new_token(NULL);
	assert_true(lsp_cancel_request(token, LSP_CANCEL_FATAL, "the disk is gone"));
	assert_false(lsp_cancel_request(token, LSP_CANCEL_USER, "Ctrl-C"));
	struct lsp_cancel_reason reason;
	lsp_cancel_get_reason(token, &reason);
	assert_int_equal(reason.kind, LSP_CANCEL_FATAL);
	assert_string_equal(reason.text, "the disk is gone");
	assert_code(lsp_cancel_check(token, ERR), LSP_E_CANCELLED);
	assert_string_equal(ERR->message, "cancelled: the disk is gone");
}

static void cancelling_a_child_leaves_the_parent_and_its_siblings_alone(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *parent = new_token(NULL);
	_cleanup_cancel_ struct lsp_cancel *child = new_token(parent);
	_cleanup_cancel_ struct lsp_cancel *sibling = new_token(parent);
	lsp_cancel_request(child, LSP_CANCEL_PEERS_GONE, NULL);
	assert_false(lsp_cancel_requested(parent));
	assert_false(lsp_cancel_requested(sibling));
	assert_true(lsp_cancel_requested(child));
}

static void cancelling_a_parent_cancels_all_below_for_the_same_reason(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *root = new_token(NULL);
	_cleanup_cancel_ struct lsp_cancel *child = new_token(root);
	_cleanup_cancel_ struct lsp_cancel *grandchild = new_token(child);
	lsp_cancel_request(root, LSP_CANCEL_RELOAD, "new settings");
	struct lsp_cancel_reason reason;
	lsp_cancel_get_reason(grandchild, &reason);
	assert_int_equal(reason.kind, LSP_CANCEL_RELOAD);
	assert_string_equal(reason.text, "new settings");
}

static void a_child_that_was_cancelled_first_keeps_its_own_reason(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *root = new_token(NULL);
	_cleanup_cancel_ struct lsp_cancel *child = new_token(root);
	lsp_cancel_request(child, LSP_CANCEL_PEERS_GONE, NULL);
	lsp_cancel_request(root, LSP_CANCEL_USER, NULL);
	assert_int_equal(lsp_cancel_reason(child), LSP_CANCEL_PEERS_GONE);
	assert_int_equal(lsp_cancel_reason(root), LSP_CANCEL_USER);
}

static void a_child_of_a_cancelled_token_is_born_cancelled(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *root = new_token(NULL);
	lsp_cancel_request(root, LSP_CANCEL_RPC, "stop");
	_cleanup_cancel_ struct lsp_cancel *child = new_token(root);
	assert_int_equal(lsp_cancel_reason(child), LSP_CANCEL_RPC);
}

static void a_child_outlives_the_callers_reference_to_its_parent(void **state)
{
	struct lsp_cancel *root = new_token(NULL);
	struct lsp_cancel *middle = new_token(root);
	struct lsp_cancel *leaf = new_token(middle);
	lsp_cancel_unref(middle);
	lsp_cancel_request(root, LSP_CANCEL_USER, NULL);
	lsp_cancel_unref(root);
	assert_true(lsp_cancel_requested(leaf));
	lsp_cancel_unref(leaf);
}

static void a_chain_of_a_hundred_thousand_tokens_costs_no_stack(void **state)
{
	struct lsp_cancel *root = new_token(NULL), *leaf = lsp_cancel_ref(root);
	for (int i = 0; i < 100000; i++) {
		struct lsp_cancel *child = new_token(leaf);
		lsp_cancel_unref(leaf);
		leaf = child;
	}
	lsp_cancel_request(root, LSP_CANCEL_USER, NULL);
	assert_true(lsp_cancel_requested(leaf));
	lsp_cancel_unref(root);
	lsp_cancel_unref(leaf);
}

static void a_text_that_is_too_long_is_cut(void **state)
{
	char text[1000];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	_cleanup_cancel_ struct lsp_cancel *token = new_token(NULL);
	lsp_cancel_request(token, LSP_CANCEL_FATAL, text);
	struct lsp_cancel_reason reason;
	lsp_cancel_get_reason(token, &reason);
	assert_int_equal(strlen(reason.text), LSP_CANCEL_TEXT_MAX - 1);
}

static void null_is_a_token_that_is_never_cancelled(void **state)
{
	assert_false(lsp_cancel_requested(NULL));
	assert_false(lsp_cancel_request(NULL, LSP_CANCEL_USER, NULL));
	assert_ok(lsp_cancel_check(NULL, ERR));
	lsp_cancel_unref(lsp_cancel_ref(NULL));
}

static void every_kind_has_a_name(void **state)
{
	static const char *const names[] = {
		"none", "user", "rpc", "reload", "run_completed", "peers_gone", "fatal"};
	for (int i = 0; i < LSP_CANCEL_KIND_COUNT; i++)
		assert_string_equal(lsp_cancel_kind_name((enum lsp_cancel_kind)i), names[i]);
}

/* ---- The descriptor ---------------------------------------------------------------------- */

static bool readable(struct lsp_cancel *token)
{
	int fd = -1;
	assert_ok(lsp_cancel_fd(token, &fd, ERR));
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	return poll(&poll_fd, 1, 0) == 1;
}

static void the_descriptor_polls_readable_once_cancelled_and_stays_so(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *root = new_token(NULL);
	_cleanup_cancel_ struct lsp_cancel *child = new_token(root);
	int first, second;
	assert_ok(lsp_cancel_fd(child, &first, ERR));
	assert_ok(lsp_cancel_fd(child, &second, ERR));
	assert_int_equal(first, second);
	assert_false(readable(child));
	lsp_cancel_request(root, LSP_CANCEL_USER, NULL);
	assert_true(readable(child));
	assert_true(readable(child));
}

static void a_descriptor_that_is_asked_for_late_is_readable_at_once(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *token = new_token(NULL);
	lsp_cancel_request(token, LSP_CANCEL_USER, NULL);
	assert_true(readable(token));
}

/* ---- Callbacks --------------------------------------------------------------------------- */

struct count {
	struct lsp_cancel *token;
	struct lsp_cancel_callback callback;
	int calls;
	enum lsp_cancel_kind seen;
};

static void count_call(void *argument)
{
	struct count *count = argument;
	count->calls++;
	count->seen = lsp_cancel_reason(count->token);
}

static void a_callback_runs_exactly_once_and_sees_the_reason(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *root = new_token(NULL);
	_cleanup_cancel_ struct lsp_cancel *token = new_token(root);
	struct count count = {.token = token};
	lsp_cancel_register(token, &count.callback, count_call, &count);
	assert_int_equal(count.calls, 0);
	lsp_cancel_request(token, LSP_CANCEL_RPC, NULL);
	lsp_cancel_request(token, LSP_CANCEL_USER, NULL);
	lsp_cancel_request(root, LSP_CANCEL_USER, NULL);
	assert_int_equal(count.calls, 1);
	assert_int_equal(count.seen, LSP_CANCEL_RPC);
	assert_true(lsp_cancel_unregister(&count.callback));
	assert_false(lsp_cancel_unregister(&count.callback));
}

static void a_callback_on_a_cancelled_token_runs_at_once(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *token = new_token(NULL);
	lsp_cancel_request(token, LSP_CANCEL_USER, NULL);
	struct count count = {.token = token};
	lsp_cancel_register(token, &count.callback, count_call, &count);
	assert_int_equal(count.calls, 1);
	assert_true(lsp_cancel_unregister(&count.callback));
}

static void an_unregistered_callback_does_not_run(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *token = new_token(NULL);
	struct count a = {.token = token}, b = {.token = token}, c = {.token = token};
	lsp_cancel_register(token, &a.callback, count_call, &a);
	lsp_cancel_register(token, &b.callback, count_call, &b);
	lsp_cancel_register(token, &c.callback, count_call, &c);
	assert_false(lsp_cancel_unregister(&b.callback));
	lsp_cancel_request(token, LSP_CANCEL_USER, NULL);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 0);
	assert_int_equal(c.calls, 1);
	lsp_cancel_unregister(&a.callback);
	lsp_cancel_unregister(&c.callback);
}

static void by_the_first_callback_the_whole_tree_reads_cancelled(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *root = new_token(NULL);
	_cleanup_cancel_ struct lsp_cancel *child = new_token(root);
	struct count count = {.token = child};
	lsp_cancel_register(root, &count.callback, count_call, &count);
	lsp_cancel_request(root, LSP_CANCEL_USER, NULL);
	assert_int_equal(count.seen, LSP_CANCEL_USER);
	lsp_cancel_unregister(&count.callback);
}

struct self {
	struct lsp_cancel_callback callback;
	struct self *other;
	int *calls;
};

/* Unregisters and frees itself while it fires, and another that still waits. */
static void free_self_and_other(void *argument)
{
	struct self *self = argument;
	++*self->calls;
	lsp_cancel_unregister(&self->callback);
	if (self->other) {
		lsp_cancel_unregister(&self->other->callback);
		free(self->other);
	}
	free(self);
}

static void a_callback_may_unregister_itself_and_others_while_it_fires(void **state)
{
	_cleanup_cancel_ struct lsp_cancel *token = new_token(NULL);
	int calls = 0;
	struct self *waiting = calloc(1, sizeof *waiting), *firing = calloc(1, sizeof *firing);
	waiting->calls = firing->calls = &calls;
	firing->other = waiting;
	lsp_cancel_register(token, &waiting->callback, free_self_and_other, waiting);
	/* The last registered fires first. */
	lsp_cancel_register(token, &firing->callback, free_self_and_other, firing);
	lsp_cancel_request(token, LSP_CANCEL_USER, NULL);
	assert_int_equal(calls, 1);
	/* The same where it fires at once. */
	struct self *late = calloc(1, sizeof *late);
	late->calls = &calls;
	lsp_cancel_register(token, &late->callback, free_self_and_other, late);
	assert_int_equal(calls, 2);
}

struct slow {
	struct lsp_cancel *token;
	struct lsp_cancel_callback callback;
	struct gate began, may_end;
	atomic_bool ended;
};

static void run_slowly(void *argument)
{
	struct slow *slow = argument;
	gate_open(&slow->began);
	gate_pass(&slow->may_end);
	atomic_store(&slow->ended, true);
}

static int cancel_it(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	lsp_cancel_request(argument, LSP_CANCEL_USER, NULL);
	return 0;
}

struct unregistering {
	struct slow *slow;
	struct gate began;
	bool ended_before_it_returned;
};

static int unregister_it(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct unregistering *u = argument;
	gate_open(&u->began);
	lsp_cancel_unregister(&u->slow->callback);
	u->ended_before_it_returned = atomic_load(&u->slow->ended);
	return 0;
}

static void unregistering_from_another_thread_waits_for_a_running_callback(void **state)
{
	struct runtime runtime;
	runtime_init(&runtime, NULL);
	_cleanup_cancel_ struct lsp_cancel *token = new_token(NULL);
	struct slow slow = {.token = token};
	struct unregistering u = {.slow = &slow};
	gate_init(&slow.began);
	gate_init(&slow.may_end);
	gate_init(&u.began);
	lsp_cancel_register(token, &slow.callback, run_slowly, &slow);
	_cleanup_task_ struct lsp_task *canceller = NULL, *unregisterer = NULL;
	assert_ok(lsp_tasks_spawn(runtime.tasks, "canceller", LSP_TASK_MAINTENANCE, cancel_it,
		token, &canceller, ERR));
	gate_await(&slow.began);
	assert_ok(lsp_tasks_spawn(runtime.tasks, "unregisterer", LSP_TASK_MAINTENANCE,
		unregister_it, &u, &unregisterer, ERR));
	gate_await(&u.began);
	for (int i = 0; i < 100; i++) {
		assert_false(lsp_task_has_ended(unregisterer));
		sched_yield();
	}
	gate_open(&slow.may_end);
	assert_ok(lsp_task_wait(unregisterer, NULL, NULL, fixture_limit(), ERR));
	assert_true(u.ended_before_it_returned);
	runtime_done(&runtime);
}

/* ---- Waiting ----------------------------------------------------------------------------- */

static int wait_forever(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	gate_open(argument);
	return lsp_cancel_wait(token, NULL, LSP_TIME_NEVER) ? 0 : -LSP_E_FAILED;
}

static void a_wait_ends_when_the_token_is_cancelled(void **state)
{
	struct runtime runtime;
	struct gate began;
	gate_init(&began);
	runtime_init(&runtime, NULL);
	_cleanup_task_ struct lsp_task *task = NULL;
	assert_ok(lsp_tasks_spawn(
		runtime.tasks, "waits", LSP_TASK_MAINTENANCE, wait_forever, &began, &task, ERR));
	gate_await(&began);
	lsp_task_abort(task, LSP_CANCEL_USER, NULL);
	assert_ok(lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR));
	runtime_done(&runtime);
}

struct clocked_wait {
	struct lsp_fake_clock clock;
	struct gate ended;
	bool cancelled;
};

static int wait_an_hour(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct clocked_wait *wait = argument;
	lsp_time start = LSP_SECOND; /* where a fake clock begins */
	wait->cancelled =
		lsp_cancel_wait(token, &wait->clock.clock, lsp_time_add(start, 3600 * LSP_SECOND));
	gate_open(&wait->ended);
	return 0;
}

static void a_wait_ends_at_its_deadline_on_the_clock_it_was_given(void **state)
{
	struct runtime runtime;
	struct clocked_wait wait = {.cancelled = true};
	runtime_init(&runtime, NULL);
	lsp_fake_clock_init(&wait.clock);
	gate_init(&wait.ended);
	_cleanup_task_ struct lsp_task *task = NULL;
	assert_ok(lsp_tasks_spawn(
		runtime.tasks, "waits", LSP_TASK_MAINTENANCE, wait_an_hour, &wait, &task, ERR));
	lsp_fake_clock_advance(&wait.clock, 3600 * LSP_SECOND - 1);
	for (int i = 0; i < 100; i++) {
		assert_false(gate_is_open(&wait.ended));
		sched_yield();
	}
	lsp_fake_clock_advance(&wait.clock, 1);
	gate_await(&wait.ended);
	assert_false(wait.cancelled);
	runtime_done(&runtime);
}

/* ---- Many threads ------------------------------------------------------------------------ */

struct watcher {
	struct lsp_cancel *token;
	struct lsp_cancel_reason seen;
};

static int watch_the_flag(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct watcher *watcher = argument;
	while (!lsp_cancel_requested(watcher->token))
		sched_yield();
	lsp_cancel_get_reason(watcher->token, &watcher->seen);
	return 0;
}

static void whoever_sees_the_flag_sees_the_whole_reason(void **state)
{
	for (int round = 0; round < 50; round++) {
		struct runtime runtime;
		runtime_init(&runtime, NULL);
		_cleanup_cancel_ struct lsp_cancel *root = new_token(NULL);
		_cleanup_cancel_ struct lsp_cancel *child = new_token(root);
		struct watcher watchers[4];
		for (int i = 0; i < 4; i++) {
			watchers[i] = (struct watcher){.token = i % 2 ? child : root};
			assert_ok(lsp_tasks_spawn(runtime.tasks, "watcher", LSP_TASK_MAINTENANCE,
				watch_the_flag, &watchers[i], NULL, ERR));
		}
		lsp_cancel_request(root, LSP_CANCEL_FATAL, "because of the test");
		runtime_done(&runtime);
		for (int i = 0; i < 4; i++) {
			assert_int_equal(watchers[i].seen.kind, LSP_CANCEL_FATAL);
			assert_string_equal(watchers[i].seen.text, "because of the test");
		}
	}
}

static int request_it(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct watcher *watcher = argument;
	bool first = lsp_cancel_request(
		watcher->token, LSP_CANCEL_FATAL, lsp_task_name(lsp_task_current()));
	lsp_cancel_get_reason(watcher->token, &watcher->seen);
	return first;
}

static void of_many_requests_at_once_exactly_one_wins(void **state)
{
	for (int round = 0; round < 50; round++) {
		struct runtime runtime;
		runtime_init(&runtime, NULL);
		_cleanup_cancel_ struct lsp_cancel *token = new_token(NULL);
		struct watcher requesters[4];
		struct lsp_task *tasks[4];
		int winners = 0;
		for (int i = 0; i < 4; i++) {
			char name[] = "requester.0";
			name[10] = (char)('0' + i);
			requesters[i] = (struct watcher){.token = token};
			assert_ok(lsp_tasks_spawn(runtime.tasks, name, LSP_TASK_MAINTENANCE,
				request_it, &requesters[i], &tasks[i], ERR));
		}
		for (int i = 0; i < 4; i++) {
			int r = lsp_task_wait(tasks[i], NULL, NULL, fixture_limit(), ERR);
			winners += r == 1;
			if (r == 1)
				assert_string_equal(
					requesters[i].seen.text, lsp_task_name(tasks[i]));
			assert_string_equal(requesters[i].seen.text, requesters[0].seen.text);
			lsp_task_unref(tasks[i]);
		}
		assert_int_equal(winners, 1);
		runtime_done(&runtime);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_token_is_not_cancelled),
		cmocka_unit_test(the_first_reason_wins),
		cmocka_unit_test(cancelling_a_child_leaves_the_parent_and_its_siblings_alone),
		cmocka_unit_test(cancelling_a_parent_cancels_all_below_for_the_same_reason),
		cmocka_unit_test(a_child_that_was_cancelled_first_keeps_its_own_reason),
		cmocka_unit_test(a_child_of_a_cancelled_token_is_born_cancelled),
		cmocka_unit_test(a_child_outlives_the_callers_reference_to_its_parent),
		cmocka_unit_test(a_chain_of_a_hundred_thousand_tokens_costs_no_stack),
		cmocka_unit_test(a_text_that_is_too_long_is_cut),
		cmocka_unit_test(null_is_a_token_that_is_never_cancelled),
		cmocka_unit_test(every_kind_has_a_name),
		cmocka_unit_test(the_descriptor_polls_readable_once_cancelled_and_stays_so),
		cmocka_unit_test(a_descriptor_that_is_asked_for_late_is_readable_at_once),
		cmocka_unit_test(a_callback_runs_exactly_once_and_sees_the_reason),
		cmocka_unit_test(a_callback_on_a_cancelled_token_runs_at_once),
		cmocka_unit_test(an_unregistered_callback_does_not_run),
		cmocka_unit_test(by_the_first_callback_the_whole_tree_reads_cancelled),
		cmocka_unit_test(a_callback_may_unregister_itself_and_others_while_it_fires),
		cmocka_unit_test(unregistering_from_another_thread_waits_for_a_running_callback),
		cmocka_unit_test(a_wait_ends_when_the_token_is_cancelled),
		cmocka_unit_test(a_wait_ends_at_its_deadline_on_the_clock_it_was_given),
		cmocka_unit_test(whoever_sees_the_flag_sees_the_whole_reason),
		cmocka_unit_test(of_many_requests_at_once_exactly_one_wins),
	};
	return cmocka_run_group_tests_name("task/cancel", tests, NULL, NULL);
}
