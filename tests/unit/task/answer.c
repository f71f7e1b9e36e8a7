#include "task/answer.h"

#include "fixture.h"

static void exactly_one_completion_counts(void **state)
{
	struct lsp_answer answer;
	struct lsp_error first = {0}, second = {0};
	lsp_answer_init(&answer);
	assert_false(lsp_answer_is_complete(&answer));
	lsp_error_set(&first, "test", LSP_E_BUSY, "first");
	lsp_error_set(&second, "test", LSP_E_IO, "second");
	assert_true(lsp_answer_complete(&answer, -LSP_E_BUSY, &first));
	assert_false(lsp_answer_complete(&answer, -LSP_E_IO, &second));
	assert_false(lsp_answer_complete(&answer, 0, NULL));
	assert_code(lsp_answer_wait(&answer, NULL, NULL, LSP_TIME_NEVER, ERR), LSP_E_BUSY);
	assert_string_equal(ERR->message, "first");
	assert_code(lsp_answer_wait(&answer, NULL, NULL, LSP_TIME_NEVER, ERR), LSP_E_BUSY);
	lsp_answer_done(&answer);
}

static void a_complete_answer_is_given_even_to_a_cancelled_or_late_wait(void **state)
{
	struct lsp_answer answer;
	_cleanup_cancel_ struct lsp_cancel *token = NULL;
	assert_ok(lsp_cancel_new(NULL, &token, ERR));
	lsp_cancel_request(token, LSP_CANCEL_USER, NULL);
	lsp_answer_init(&answer);
	assert_code(lsp_answer_wait(&answer, token, NULL, LSP_TIME_NEVER, ERR), LSP_E_CANCELLED);
	assert_code(lsp_answer_wait(&answer, NULL, NULL, 0, ERR), LSP_E_TIMEOUT);
	lsp_answer_complete(&answer, 42, NULL);
	assert_int_equal(lsp_answer_wait(&answer, token, NULL, 0, ERR), 42);
	lsp_answer_done(&answer);
}

struct waiting {
	struct lsp_answer *answer;
	struct gate began;
	int result;
};

static int wait_for_it(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct waiting *waiting = argument;
	gate_open(&waiting->began);
	waiting->result = lsp_answer_wait(waiting->answer, token, NULL, LSP_TIME_NEVER, err);
	lsp_answer_unref(waiting->answer);
	return 0;
}

static void everybody_who_waits_gets_it_and_one_that_gave_up_leaves_it_to_the_others(void **state)
{
	struct runtime runtime;
	struct waiting waiting[3];
	struct lsp_task *tasks[3];
	_cleanup_answer_ struct lsp_answer *answer = NULL;
	runtime_init(&runtime, NULL);
	assert_ok(lsp_answer_new(&answer, ERR));
	for (int i = 0; i < 3; i++) {
		waiting[i] = (struct waiting){.answer = lsp_answer_ref(answer)};
		gate_init(&waiting[i].began);
		assert_ok(lsp_tasks_spawn(runtime.tasks, "waits", LSP_TASK_RPC, wait_for_it,
			&waiting[i], &tasks[i], ERR));
		gate_await(&waiting[i].began);
	}
	lsp_task_abort(tasks[1], LSP_CANCEL_USER, NULL);
	assert_ok(lsp_task_wait(tasks[1], NULL, NULL, fixture_limit(), ERR));
	lsp_answer_complete(answer, 7, NULL);
	runtime_done(&runtime);
	assert_int_equal(waiting[0].result, 7);
	assert_int_equal(waiting[1].result, -LSP_E_CANCELLED);
	assert_int_equal(waiting[2].result, 7);
	for (int i = 0; i < 3; i++)
		lsp_task_unref(tasks[i]);
}

static int settle_though_interrupted(
	struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct waiting *waiting = argument;
	gate_open(&waiting->began);
	waiting->result = lsp_answer_settle(waiting->answer, err);
	return 0;
}

static void settling_waits_whoever_is_interrupted(void **state)
{
	struct runtime runtime;
	struct lsp_answer answer;
	struct waiting waiting = {.answer = &answer};
	lsp_answer_init(&answer);
	gate_init(&waiting.began);
	runtime_init(&runtime, NULL);
	_cleanup_task_ struct lsp_task *task = NULL;
	assert_ok(lsp_tasks_spawn(runtime.tasks, "settles", LSP_TASK_RPC, settle_though_interrupted,
		&waiting, &task, ERR));
	gate_await(&waiting.began);
	lsp_task_interrupt(task, "the end");
	assert_false(lsp_task_has_ended(task));
	lsp_answer_complete(&answer, 9, NULL);
	assert_ok(lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR));
	assert_int_equal(waiting.result, 9);
	runtime_done(&runtime);
	lsp_answer_done(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_one_completion_counts),
		cmocka_unit_test(a_complete_answer_is_given_even_to_a_cancelled_or_late_wait),
		cmocka_unit_test(
			everybody_who_waits_gets_it_and_one_that_gave_up_leaves_it_to_the_others),
		cmocka_unit_test(settling_waits_whoever_is_interrupted),
	};
	return cmocka_run_group_tests_name("task/answer", tests, NULL, NULL);
}
