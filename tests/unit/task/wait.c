#include "task/wait.h"

#include "fixture.h"

#include <errno.h>
#include <sched.h>

/* ---- Waiters ----------------------------------------------------------------------------- */

static void a_wake_that_comes_early_is_kept_and_used_once(void **state)
{
	struct lsp_fake_clock clock;
	struct lsp_waiter waiter;
	lsp_fake_clock_init(&clock);
	lsp_waiter_init(&waiter);
	lsp_waiter_wake(&waiter);
	lsp_waiter_wake(&waiter);
	lsp_time now = lsp_now(&clock.clock);
	assert_ok(lsp_waiter_wait(&waiter, NULL, &clock.clock, now, ERR));
	assert_code(lsp_waiter_wait(&waiter, NULL, &clock.clock, now, ERR), LSP_E_TIMEOUT);
	assert_string_equal(ERR->message, "the deadline has passed");
	lsp_waiter_done(&waiter);
}

static void a_wake_wins_over_a_cancel_and_a_cancel_over_the_deadline(void **state)
{
	struct lsp_fake_clock clock;
	struct lsp_waiter waiter;
	_cleanup_cancel_ struct lsp_cancel *token = NULL;
	assert_ok(lsp_cancel_new(NULL, &token, ERR));
	lsp_cancel_request(token, LSP_CANCEL_USER, "enough");
	lsp_fake_clock_init(&clock);
	lsp_waiter_init(&waiter);
	lsp_waiter_wake(&waiter);
	lsp_time now = lsp_now(&clock.clock);
	assert_ok(lsp_waiter_wait(&waiter, token, &clock.clock, now, ERR));
	assert_code(lsp_waiter_wait(&waiter, token, &clock.clock, now, ERR), LSP_E_CANCELLED);
	assert_string_equal(ERR->message, "cancelled: enough");
	lsp_waiter_done(&waiter);
}

static void a_deadline_on_the_machines_clock_is_not_early(void **state)
{
	struct lsp_waiter waiter;
	lsp_waiter_init(&waiter);
	lsp_time deadline = lsp_now(lsp_clock_system) + 20 * LSP_MILLISECOND;
	assert_code(lsp_waiter_wait(&waiter, NULL, NULL, deadline, ERR), LSP_E_TIMEOUT);
	assert_true(lsp_now(lsp_clock_system) >= deadline);
	lsp_waiter_done(&waiter);
}

static void a_list_is_woken_as_a_whole_without_those_that_left(void **state)
{
	struct lsp_waiter waiters[3];
	struct lsp_waiter_list list = {NULL};
	for (int i = 0; i < 3; i++) {
		lsp_waiter_init(&waiters[i]);
		lsp_waiter_list_add(&list, &waiters[i]);
	}
	lsp_waiter_list_remove(&list, &waiters[1]);
	lsp_waiter_list_wake(&list);
	assert_ok(lsp_waiter_wait(&waiters[0], NULL, NULL, 0, ERR));
	assert_code(lsp_waiter_wait(&waiters[1], NULL, NULL, 0, ERR), LSP_E_TIMEOUT);
	assert_ok(lsp_waiter_wait(&waiters[2], NULL, NULL, 0, ERR));
	for (int i = 0; i < 3; i++)
		lsp_waiter_done(&waiters[i]);
}

/* ---- Descriptors ------------------------------------------------------------------------- */

struct pipes {
	int ends[2];
	struct pollfd fd;
};

static void pipes_init(struct pipes *p)
{
	assert_int_equal(pipe(p->ends), 0);
	p->fd = (struct pollfd){.fd = p->ends[0], .events = POLLIN};
}

static void pipes_done(struct pipes *p)
{
	close(p->ends[0]);
	close(p->ends[1]);
}

static void a_ready_descriptor_ends_the_wait(void **state)
{
	struct pipes p;
	pipes_init(&p);
	assert_int_equal(write(p.ends[1], "x", 1), 1);
	assert_int_equal(lsp_wait_poll(&p.fd, 1, NULL, NULL, LSP_TIME_NEVER, ERR), 1);
	assert_int_equal(p.fd.revents, POLLIN);
	pipes_done(&p);
}

static void a_descriptor_that_is_always_ready_hides_neither_cancel_nor_deadline(void **state)
{
	struct lsp_fake_clock clock;
	struct pipes p;
	_cleanup_cancel_ struct lsp_cancel *token = NULL;
	lsp_fake_clock_init(&clock);
	pipes_init(&p);
	assert_ok(lsp_cancel_new(NULL, &token, ERR));
	assert_int_equal(write(p.ends[1], "x", 1), 1);
	assert_code(lsp_wait_poll(&p.fd, 1, token, &clock.clock, lsp_now(&clock.clock), ERR),
		LSP_E_TIMEOUT);
	lsp_cancel_request(token, LSP_CANCEL_USER, NULL);
	assert_code(
		lsp_wait_poll(&p.fd, 1, token, &clock.clock, LSP_TIME_NEVER, ERR), LSP_E_CANCELLED);
	pipes_done(&p);
}

struct polling {
	struct lsp_fake_clock clock;
	struct pipes pipes;
	struct gate began, ended;
	lsp_time deadline;
	int result;
};

static int poll_in_a_task(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct polling *polling = argument;
	gate_open(&polling->began);
	polling->result = lsp_wait_poll(
		&polling->pipes.fd, 1, token, &polling->clock.clock, polling->deadline, err);
	gate_open(&polling->ended);
	return 0;
}

static void polling_init(struct polling *polling, struct runtime *runtime, uint64_t span)
{
	lsp_fake_clock_init(&polling->clock);
	runtime_init(runtime, &polling->clock.clock);
	pipes_init(&polling->pipes);
	gate_init(&polling->began);
	gate_init(&polling->ended);
	polling->deadline = lsp_time_add(lsp_now(&polling->clock.clock), span);
	assert_ok(lsp_tasks_spawn(
		runtime->tasks, "polls", LSP_TASK_MAINTENANCE, poll_in_a_task, polling, NULL, ERR));
	gate_await(&polling->began);
}

static void a_poll_ends_at_its_deadline_on_the_clock_it_was_given(void **state)
{
	struct runtime runtime;
	struct polling polling;
	polling_init(&polling, &runtime, 3600 * LSP_SECOND);
	lsp_fake_clock_advance(&polling.clock, 3600 * LSP_SECOND - 1);
	for (int i = 0; i < 100; i++) {
		assert_false(gate_is_open(&polling.ended));
		sched_yield();
	}
	lsp_fake_clock_advance(&polling.clock, 1);
	gate_await(&polling.ended);
	assert_int_equal(polling.result, -LSP_E_TIMEOUT);
	runtime_done(&runtime);
	pipes_done(&polling.pipes);
}

static void a_poll_ends_when_the_token_is_cancelled(void **state)
{
	struct runtime runtime;
	struct polling polling;
	polling_init(&polling, &runtime, LSP_TIME_NEVER);
	lsp_cancel_request(runtime.root, LSP_CANCEL_USER, NULL);
	gate_await(&polling.ended);
	assert_int_equal(polling.result, -LSP_E_CANCELLED);
	runtime_done(&runtime);
	pipes_done(&polling.pipes);
}

static int wait_without_a_token(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct pollfd fd = {.fd = -1};
	int *results = argument;
	struct lsp_waiter waiter;
	lsp_waiter_init(&waiter);
	results[0] = lsp_waiter_wait(&waiter, NULL, NULL, LSP_TIME_NEVER, err);
	results[1] = lsp_waiter_wait(&waiter, NULL, NULL, LSP_TIME_NEVER, err);
	results[2] = lsp_wait_poll(&fd, 1, NULL, NULL, LSP_TIME_NEVER, err);
	lsp_waiter_done(&waiter);
	return 0;
}

static void an_interrupt_ends_every_wait_of_its_thread_from_then_on(void **state)
{
	struct runtime runtime;
	int results[3] = {0};
	runtime_init(&runtime, NULL);
	_cleanup_task_ struct lsp_task *task = NULL;
	assert_ok(lsp_tasks_spawn(runtime.tasks, "waits", LSP_TASK_MAINTENANCE,
		wait_without_a_token, results, &task, ERR));
	lsp_task_interrupt(task, "the end");
	assert_ok(lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR));
	for (int i = 0; i < 3; i++)
		assert_int_equal(results[i], -LSP_E_CANCELLED);
	runtime_done(&runtime);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wake_that_comes_early_is_kept_and_used_once),
		cmocka_unit_test(a_wake_wins_over_a_cancel_and_a_cancel_over_the_deadline),
		cmocka_unit_test(a_deadline_on_the_machines_clock_is_not_early),
		cmocka_unit_test(a_list_is_woken_as_a_whole_without_those_that_left),
		cmocka_unit_test(a_ready_descriptor_ends_the_wait),
		cmocka_unit_test(
			a_descriptor_that_is_always_ready_hides_neither_cancel_nor_deadline),
		cmocka_unit_test(a_poll_ends_at_its_deadline_on_the_clock_it_was_given),
		cmocka_unit_test(a_poll_ends_when_the_token_is_cancelled),
		cmocka_unit_test(an_interrupt_ends_every_wait_of_its_thread_from_then_on),
	};
	return cmocka_run_group_tests_name("task/wait", tests, NULL, NULL);
}
