#include "task/loop.h"

#include "fixture.h"

#include <sched.h>

/* A runtime with one loop. */
struct looped {
	struct lsp_fake_clock clock;
	struct runtime runtime;
	struct lsp_loop *loop;
};

static void looped_init(struct looped *l, bool fake)
{
	lsp_fake_clock_init(&l->clock);
	runtime_init(&l->runtime, fake ? &l->clock.clock : NULL);
	assert_ok(lsp_loop_start(l->runtime.tasks, "core", &l->loop, ERR));
}

static void looped_done(struct looped *l)
{
	assert_ok(lsp_loop_stop(l->loop, LSP_TIME_NEVER, ERR));
	lsp_loop_unref(l->loop);
	runtime_done(&l->runtime);
}

/* Holds the loop's thread in a callback until the test lets it go. */
struct blocker {
	struct gate began, may_end;
};

static void block(void *argument)
{
	struct blocker *blocker = argument;
	gate_open(&blocker->began);
	gate_pass(&blocker->may_end);
}

static void block_loop(struct lsp_loop *loop, struct blocker *blocker)
{
	gate_init(&blocker->began);
	gate_init(&blocker->may_end);
	assert_ok(lsp_loop_post(loop, block, blocker, ERR));
	gate_await(&blocker->began);
}

/* ---- Posts ------------------------------------------------------------------------------- */

struct sequence {
	struct lsp_loop *loop;
	int numbers[100];
	int count;
	bool elsewhere;
};

struct step {
	struct sequence *sequence;
	int number;
};

static void take_step(void *argument)
{
	struct step *step = argument;
	struct sequence *sequence = step->sequence;
	sequence->elsewhere |= !lsp_loop_is_current(sequence->loop);
	sequence->numbers[sequence->count++] = step->number;
}

static void posts_run_on_the_loops_thread_in_their_order(void **state)
{
	struct looped l;
	looped_init(&l, false);
	struct sequence sequence = {.loop = l.loop};
	struct step steps[100];
	for (int i = 0; i < 100; i++) {
		steps[i] = (struct step){&sequence, i};
		assert_ok(lsp_loop_post(l.loop, take_step, &steps[i], ERR));
	}
	assert_false(lsp_loop_is_current(l.loop));
	looped_done(&l);
	assert_int_equal(sequence.count, 100);
	assert_false(sequence.elsewhere);
	for (int i = 0; i < 100; i++)
		assert_int_equal(sequence.numbers[i], i);
}

static void accepted_posts_run_before_a_closed_loop_ends_and_later_ones_are_refused(void **state)
{
	struct looped l;
	struct blocker blocker;
	looped_init(&l, false);
	struct sequence sequence = {.loop = l.loop};
	struct step steps[50];
	struct lsp_post node;
	block_loop(l.loop, &blocker);
	for (int i = 0; i < 50; i++) {
		steps[i] = (struct step){&sequence, i};
		assert_ok(lsp_loop_post(l.loop, take_step, &steps[i], ERR));
	}
	lsp_loop_close(l.loop);
	lsp_loop_close(l.loop);
	assert_code(lsp_loop_post(l.loop, take_step, &steps[0], ERR), LSP_E_CLOSED);
	assert_string_equal(ERR->message, "the loop core was shut down");
	assert_code(lsp_loop_post_node(l.loop, &node, take_step, &steps[0], ERR), LSP_E_CLOSED);
	assert_code(lsp_loop_reserve(l.loop, ERR), LSP_E_CLOSED);
	gate_open(&blocker.may_end);
	looped_done(&l);
	assert_int_equal(sequence.count, 50);
}

static void a_reserved_post_is_accepted_after_the_close_and_holds_the_loop(void **state)
{
	struct looped l;
	looped_init(&l, true);
	struct sequence sequence = {.loop = l.loop};
	struct step step = {&sequence, 7};
	struct lsp_post node;
	assert_ok(lsp_loop_reserve(l.loop, ERR));
	assert_ok(lsp_loop_reserve(l.loop, ERR));
	/* The deadline is now: the loop is still up. */
	assert_code(lsp_loop_stop(l.loop, lsp_now(&l.clock.clock), ERR), LSP_E_TIMEOUT);
	lsp_loop_post_reserved(l.loop, &node, take_step, &step);
	lsp_loop_unreserve(l.loop);
	looped_done(&l);
	assert_int_equal(sequence.count, 1);
}

struct reposting {
	struct lsp_loop *loop;
	int left;
	int refused;
};

static void post_again(void *argument)
{
	struct reposting *reposting = argument;
	if (reposting->left-- > 0 &&
		lsp_loop_post(reposting->loop, post_again, reposting, NULL) < 0)
		reposting->refused++;
}

static int posts_left(void *argument, struct lsp_error *err)
{
	struct reposting *reposting = argument;
	return reposting->left >= 0;
}

static void a_post_may_post(void **state)
{
	struct looped l;
	looped_init(&l, false);
	struct reposting reposting = {l.loop, 1000, 0};
	assert_ok(lsp_loop_post(l.loop, post_again, &reposting, ERR));
	while (lsp_loop_call(l.loop, posts_left, &reposting, NULL, LSP_TIME_NEVER, ERR) > 0)
		;
	looped_done(&l);
	assert_int_equal(reposting.refused, 0);
	assert_int_equal(reposting.left, -1);
}

/* ---- Calls ------------------------------------------------------------------------------- */

struct question {
	struct lsp_loop *loop;
	int calls;
	bool on_loop;
	int result;
};

static int answer(void *argument, struct lsp_error *err)
{
	struct question *question = argument;
	question->calls++;
	question->on_loop = lsp_loop_is_current(question->loop);
	if (question->result < 0)
		return lsp_error_set(err, "test", -question->result, "the answer is no");
	return question->result;
}

static void a_call_gives_the_functions_result_and_error(void **state)
{
	struct looped l;
	looped_init(&l, false);
	struct question yes = {.loop = l.loop, .result = 42}, no = {.loop = l.loop};
	no.result = -LSP_E_NOT_FOUND;
	assert_int_equal(lsp_loop_call(l.loop, answer, &yes, NULL, LSP_TIME_NEVER, ERR), 42);
	assert_true(yes.on_loop);
	assert_code(lsp_loop_call(l.loop, answer, &no, NULL, LSP_TIME_NEVER, ERR), LSP_E_NOT_FOUND);
	assert_string_equal(ERR->message, "the answer is no");
	looped_done(&l);
}

static void a_call_to_a_closed_loop_is_refused(void **state)
{
	struct looped l;
	looped_init(&l, false);
	struct question question = {.loop = l.loop};
	lsp_loop_close(l.loop);
	assert_code(
		lsp_loop_call(l.loop, answer, &question, NULL, LSP_TIME_NEVER, ERR), LSP_E_CLOSED);
	looped_done(&l);
	assert_int_equal(question.calls, 0);
}

static void a_call_at_its_deadline_is_withdrawn_and_never_runs(void **state)
{
	struct looped l;
	struct blocker blocker;
	looped_init(&l, true);
	struct question question = {.loop = l.loop};
	block_loop(l.loop, &blocker);
	assert_code(lsp_loop_call(l.loop, answer, &question, NULL, lsp_now(&l.clock.clock), ERR),
		LSP_E_TIMEOUT);
	gate_open(&blocker.may_end);
	looped_done(&l);
	assert_int_equal(question.calls, 0);
}

static void a_call_whose_token_is_cancelled_is_withdrawn_and_never_runs(void **state)
{
	struct looped l;
	struct blocker blocker;
	looped_init(&l, false);
	struct question question = {.loop = l.loop};
	_cleanup_cancel_ struct lsp_cancel *token = NULL;
	assert_ok(lsp_cancel_new(NULL, &token, ERR));
	lsp_cancel_request(token, LSP_CANCEL_USER, "enough");
	block_loop(l.loop, &blocker);
	assert_code(lsp_loop_call(l.loop, answer, &question, token, LSP_TIME_NEVER, ERR),
		LSP_E_CANCELLED);
	assert_string_equal(ERR->message, "cancelled: enough");
	gate_open(&blocker.may_end);
	looped_done(&l);
	assert_int_equal(question.calls, 0);
}

struct slow_question {
	struct blocker blocker;
	struct lsp_loop *loop;
	struct lsp_cancel *token;
	struct gate ended;
	int result;
};

static int answer_slowly(void *argument, struct lsp_error *err)
{
	struct slow_question *question = argument;
	block(&question->blocker);
	return 17;
}

static int ask(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct slow_question *question = argument;
	question->result = lsp_loop_call(
		question->loop, answer_slowly, question, question->token, LSP_TIME_NEVER, err);
	gate_open(&question->ended);
	return 0;
}

static void a_call_that_runs_when_it_is_cancelled_gives_its_result(void **state)
{
	struct looped l;
	looped_init(&l, false);
	struct slow_question question = {.loop = l.loop};
	gate_init(&question.blocker.began);
	gate_init(&question.blocker.may_end);
	gate_init(&question.ended);
	assert_ok(lsp_cancel_new(NULL, &question.token, ERR));
	assert_ok(
		lsp_tasks_spawn(l.runtime.tasks, "asks", LSP_TASK_RPC, ask, &question, NULL, ERR));
	gate_await(&question.blocker.began);
	lsp_cancel_request(question.token, LSP_CANCEL_USER, NULL);
	for (int i = 0; i < 100; i++) {
		assert_false(gate_is_open(&question.ended));
		sched_yield();
	}
	gate_open(&question.blocker.may_end);
	gate_await(&question.ended);
	assert_int_equal(question.result, 17);
	looped_done(&l);
	lsp_cancel_unref(question.token);
}

static int call_itself(void *argument, struct lsp_error *err)
{
	struct question *question = argument;
	return lsp_loop_call(question->loop, answer, question, NULL, LSP_TIME_NEVER, err);
}

static void a_call_on_the_loops_own_thread_is_a_plain_call(void **state)
{
	struct looped l;
	looped_init(&l, false);
	struct question question = {.loop = l.loop, .result = 3};
	assert_int_equal(
		lsp_loop_call(l.loop, call_itself, &question, NULL, LSP_TIME_NEVER, ERR), 3);
	assert_int_equal(question.calls, 1);
	looped_done(&l);
}

/* ---- Timers ------------------------------------------------------------------------------ */

struct timers {
	struct looped l;
	struct lsp_timer timer[4];
	char order[32]; /* which fired */
	struct gate fired;
	lsp_time at;
	int again;
};

#define DEFINE_FIRE(n)                                                                             \
	static void fire_##n(void *argument)                                                       \
	{                                                                                          \
		struct timers *timers = argument;                                                  \
		strcat(timers->order, #n);                                                         \
	}
DEFINE_FIRE(0)
DEFINE_FIRE(1)
DEFINE_FIRE(2)

static void fire_last(void *argument)
{
	struct timers *timers = argument;
	timers->at = lsp_now(lsp_loop_clock(timers->l.loop));
	strcat(timers->order, "!");
	gate_open(&timers->fired);
}

static int set_timers(void *argument, struct lsp_error *err)
{
	struct timers *timers = argument;
	void (*functions[])(void *) = {fire_0, fire_1, fire_2, fire_last};
	int r = 0;
	for (int i = 0; i < 4 && r == 0; i++)
		r = lsp_timer_init(&timers->timer[i], timers->l.loop, functions[i], timers, err);
	if (r < 0)
		return r;
	lsp_time now = lsp_now(lsp_loop_clock(timers->l.loop));
	lsp_timer_start(&timers->timer[3], now + 40 * LSP_MILLISECOND);
	lsp_timer_start(&timers->timer[2], now + 10 * LSP_MILLISECOND);
	lsp_timer_start(&timers->timer[1], now + 20 * LSP_MILLISECOND);
	lsp_timer_start(&timers->timer[0], now + 30 * LSP_MILLISECOND);
	/* Pushed back, and stopped. */
	lsp_timer_start(&timers->timer[2], now + 35 * LSP_MILLISECOND);
	lsp_timer_stop(&timers->timer[1]);
	lsp_timer_start(&timers->timer[1], LSP_TIME_NEVER);
	return lsp_timer_is_on(&timers->timer[1]);
}

static int end_timers(void *argument, struct lsp_error *err)
{
	struct timers *timers = argument;
	for (int i = 0; i < 4; i++) {
		lsp_timer_done(&timers->timer[i]);
		lsp_timer_done(&timers->timer[i]);
	}
	return 0;
}

static int nothing(void *argument, struct lsp_error *err)
{
	return 0;
}

static void sync_with(struct lsp_loop *loop)
{
	assert_ok(lsp_loop_call(loop, nothing, NULL, NULL, LSP_TIME_NEVER, ERR));
}

static void timers_fire_in_order_by_the_clock_that_the_test_owns(void **state)
{
	struct timers timers = {.order = ""};
	looped_init(&timers.l, true);
	gate_init(&timers.fired);
	struct lsp_loop *loop = timers.l.loop;
	assert_ok(lsp_loop_call(loop, set_timers, &timers, NULL, LSP_TIME_NEVER, ERR));
	lsp_fake_clock_advance(&timers.l.clock, 40 * LSP_MILLISECOND - 1);
	sync_with(loop);
	sync_with(loop);
	assert_string_equal(timers.order, "02");
	lsp_fake_clock_advance(&timers.l.clock, 1);
	gate_await(&timers.fired);
	assert_ok(lsp_loop_call(loop, end_timers, &timers, NULL, LSP_TIME_NEVER, ERR));
	assert_string_equal(timers.order, "02!");
	looped_done(&timers.l);
}

static void timers_fire_by_the_machines_clock_and_not_early(void **state)
{
	struct timers timers = {.order = ""};
	looped_init(&timers.l, false);
	gate_init(&timers.fired);
	struct lsp_loop *loop = timers.l.loop;
	lsp_time before = lsp_now(lsp_clock_system);
	assert_ok(lsp_loop_call(loop, set_timers, &timers, NULL, LSP_TIME_NEVER, ERR));
	gate_await(&timers.fired);
	assert_ok(lsp_loop_call(loop, end_timers, &timers, NULL, LSP_TIME_NEVER, ERR));
	assert_string_equal(timers.order, "02!");
	assert_true(timers.at >= before + 40 * LSP_MILLISECOND);
	looped_done(&timers.l);
}

static void fire_again(void *argument)
{
	struct timers *timers = argument;
	if (++timers->again == 1000)
		lsp_timer_done(&timers->timer[0]); /* from inside itself */
	else
		lsp_timer_start(&timers->timer[0], 0); /* long past */
	if (timers->again == 1000)
		gate_open(&timers->fired);
}

static int start_again(void *argument, struct lsp_error *err)
{
	struct timers *timers = argument;
	int r = lsp_timer_init(&timers->timer[0], timers->l.loop, fire_again, timers, err);
	if (r == 0)
		lsp_timer_start(&timers->timer[0], 0);
	return r;
}

static void a_timer_that_restarts_itself_at_once_starves_nobody(void **state)
{
	struct timers timers = {.order = ""};
	looped_init(&timers.l, true);
	gate_init(&timers.fired);
	assert_ok(lsp_loop_call(timers.l.loop, start_again, &timers, NULL, LSP_TIME_NEVER, ERR));
	sync_with(timers.l.loop);
	gate_await(&timers.fired);
	assert_int_equal(timers.again, 1000);
	looped_done(&timers.l);
}

#define MANY 500

struct many_timers {
	struct looped l;
	struct lsp_timer timers[MANY];
	lsp_time last;
	int fired, out_of_order;
};

static void fire_one_of_many(void *argument)
{
	struct many_timers *many = argument;
	lsp_time earliest = LSP_TIME_NEVER;
	for (int i = 0; i < MANY; i++)
		if (lsp_timer_is_on(&many->timers[i]))
			earliest = LSP_MIN(earliest, many->timers[i].when);
	many->out_of_order += earliest < many->last;
	many->last = earliest == LSP_TIME_NEVER ? many->last : earliest;
	many->fired++;
}

static int start_many(void *argument, struct lsp_error *err)
{
	struct many_timers *many = argument;
	uint32_t x = 12345;
	for (int i = 0; i < MANY; i++) {
		int r = lsp_timer_init(&many->timers[i], many->l.loop, fire_one_of_many, many, err);
		if (r < 0)
			return r;
		lsp_timer_start(&many->timers[i], 2 * LSP_SECOND + (x = x * 1664525 + 1) % 1000);
	}
	for (int i = 0; i < MANY; i += 3)
		lsp_timer_stop(&many->timers[i]);
	return 0;
}

static void many_timers_started_and_stopped_at_random_keep_their_order(void **state)
{
	static struct many_timers many;
	looped_init(&many.l, true);
	assert_ok(lsp_loop_call(many.l.loop, start_many, &many, NULL, LSP_TIME_NEVER, ERR));
	lsp_fake_clock_advance(&many.l.clock, 10 * LSP_SECOND);
	sync_with(many.l.loop);
	sync_with(many.l.loop);
	looped_done(&many.l);
	assert_int_equal(many.fired, MANY - (MANY + 2) / 3);
	assert_int_equal(many.out_of_order, 0);
}

/* ---- The end ----------------------------------------------------------------------------- */

static void the_loop_outlives_the_cancel_of_its_token_but_not_an_interrupt(void **state)
{
	struct looped l;
	looped_init(&l, true);
	lsp_cancel_request(l.runtime.root, LSP_CANCEL_USER, NULL);
	struct question question = {.loop = l.loop, .result = 5};
	assert_int_equal(lsp_loop_call(l.loop, answer, &question, NULL, LSP_TIME_NEVER, ERR), 5);
	lsp_log_set_level(LSP_LOG_ERROR);
	assert_code(lsp_tasks_join_all(l.runtime.tasks, lsp_now(&l.clock.clock), NULL, ERR),
		LSP_E_TIMEOUT);
	lsp_log_set_level(LSP_LOG_INFO);
	assert_string_equal(ERR->message, "1 task did not stop in time: core");
	assert_ok(lsp_tasks_join_all(l.runtime.tasks, LSP_TIME_NEVER, NULL, ERR));
	assert_code(lsp_loop_post(l.loop, block, NULL, ERR), LSP_E_CLOSED);
	lsp_loop_unref(l.loop);
	runtime_done(&l.runtime);
}

static uv_timer_t forgotten;

static int forget_a_handle(void *argument, struct lsp_error *err)
{
	return uv_timer_init(lsp_loop_uv(argument), &forgotten);
}

static void a_forgotten_handle_is_closed_and_named_in_the_log(void **state)
{
	struct captured_log log;
	struct looped l;
	looped_init(&l, false);
	capture_log(&log);
	assert_ok(lsp_loop_call(l.loop, forget_a_handle, l.loop, NULL, LSP_TIME_NEVER, ERR));
	looped_done(&l);
	release_log(&log);
	assert_string_equal(log.text, "error core: a timer handle was left open on the loop\n");
}

static void a_loop_cannot_start_once_join_began(void **state)
{
	struct runtime runtime;
	struct lsp_loop *loop = NULL;
	runtime_init(&runtime, NULL);
	assert_ok(lsp_tasks_join_all(runtime.tasks, LSP_TIME_NEVER, NULL, ERR));
	assert_code(lsp_loop_start(runtime.tasks, "late", &loop, ERR), LSP_E_CLOSED);
	assert_null(loop);
	runtime_done(&runtime);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(posts_run_on_the_loops_thread_in_their_order),
		cmocka_unit_test(
			accepted_posts_run_before_a_closed_loop_ends_and_later_ones_are_refused),
		cmocka_unit_test(a_reserved_post_is_accepted_after_the_close_and_holds_the_loop),
		cmocka_unit_test(a_post_may_post),
		cmocka_unit_test(a_call_gives_the_functions_result_and_error),
		cmocka_unit_test(a_call_to_a_closed_loop_is_refused),
		cmocka_unit_test(a_call_at_its_deadline_is_withdrawn_and_never_runs),
		cmocka_unit_test(a_call_whose_token_is_cancelled_is_withdrawn_and_never_runs),
		cmocka_unit_test(a_call_that_runs_when_it_is_cancelled_gives_its_result),
		cmocka_unit_test(a_call_on_the_loops_own_thread_is_a_plain_call),
		cmocka_unit_test(timers_fire_in_order_by_the_clock_that_the_test_owns),
		cmocka_unit_test(timers_fire_by_the_machines_clock_and_not_early),
		cmocka_unit_test(a_timer_that_restarts_itself_at_once_starves_nobody),
		cmocka_unit_test(many_timers_started_and_stopped_at_random_keep_their_order),
		cmocka_unit_test(the_loop_outlives_the_cancel_of_its_token_but_not_an_interrupt),
		cmocka_unit_test(a_forgotten_handle_is_closed_and_named_in_the_log),
		cmocka_unit_test(a_loop_cannot_start_once_join_began),
	};
	return cmocka_run_group_tests_name("task/loop", tests, NULL, NULL);
}
