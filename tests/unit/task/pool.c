#include "task/pool.h"

#include "fixture.h"

#include <sched.h>

struct pooled {
	struct lsp_fake_clock clock;
	struct runtime runtime;
	struct lsp_loop *loop;
	struct lsp_pool *pool;
};

static void pooled_init(struct pooled *p, unsigned threads, size_t limit)
{
	lsp_fake_clock_init(&p->clock);
	runtime_init(&p->runtime, &p->clock.clock);
	assert_ok(lsp_loop_start(p->runtime.tasks, "core", &p->loop, ERR));
	assert_ok(lsp_pool_new(p->runtime.tasks, "disk", threads, limit, &p->pool, ERR));
}

/* Every done has run when this returns: the loop waits for them. */
static void pooled_done(struct pooled *p)
{
	lsp_pool_free(p->pool);
	assert_ok(lsp_loop_stop(p->loop, LSP_TIME_NEVER, ERR));
	lsp_loop_unref(p->loop);
	runtime_done(&p->runtime);
}

struct test_job {
	struct lsp_job job;
	struct pooled *pooled;
	struct gate began, may_end, reported;
	int worked, done;
	bool worked_on_loop, done_elsewhere;
	int result;
};

static void work(struct lsp_job *job)
{
	struct test_job *t = lsp_container_of(job, struct test_job, job);
	t->worked++;
	t->worked_on_loop = lsp_loop_is_current(t->pooled->loop);
	gate_open(&t->began);
	gate_pass(&t->may_end);
	job->result = t->result;
	if (t->result < 0)
		lsp_error_set(&job->error, "test", -t->result, "the disk says no");
}

static void done(struct lsp_job *job)
{
	struct test_job *t = lsp_container_of(job, struct test_job, job);
	t->done++;
	t->done_elsewhere = !lsp_loop_is_current(t->pooled->loop);
	gate_open(&t->reported);
}

static void job_init(struct test_job *t, struct pooled *p)
{
	*t = (struct test_job){.job = {.work = work, .done = done}, .pooled = p};
	gate_init(&t->began);
	gate_init(&t->may_end);
	gate_init(&t->reported);
}

static void submit(struct test_job *t)
{
	assert_ok(lsp_pool_submit(t->pooled->pool, t->pooled->loop, &t->job, ERR));
}

static void a_job_works_on_a_pool_thread_and_is_done_on_the_loop_once(void **state)
{
	struct pooled p;
	struct test_job t;
	pooled_init(&p, 1, 10);
	job_init(&t, &p);
	t.result = -LSP_E_IO;
	gate_open(&t.may_end);
	submit(&t);
	gate_await(&t.reported);
	pooled_done(&p);
	assert_int_equal(t.worked, 1);
	assert_int_equal(t.done, 1);
	assert_false(t.worked_on_loop);
	assert_false(t.done_elsewhere);
	assert_int_equal(t.job.result, -LSP_E_IO);
	assert_string_equal(t.job.error.message, "the disk says no");
}

static void jobs_run_side_by_side_on_as_many_threads_as_there_are(void **state)
{
	struct pooled p;
	struct test_job t[3];
	pooled_init(&p, 3, 10);
	for (int i = 0; i < 3; i++) {
		job_init(&t[i], &p);
		submit(&t[i]);
	}
	for (int i = 0; i < 3; i++)
		gate_await(&t[i].began);
	size_t queued, running;
	lsp_pool_load(p.pool, &queued, &running);
	assert_int_equal(queued, 0);
	assert_int_equal(running, 3);
	for (int i = 0; i < 3; i++)
		gate_open(&t[i].may_end);
	pooled_done(&p);
	for (int i = 0; i < 3; i++)
		assert_int_equal(t[i].done, 1);
}

static void a_queued_job_can_be_cancelled_a_running_one_cannot(void **state)
{
	struct pooled p;
	struct test_job running, queued;
	pooled_init(&p, 1, 10);
	job_init(&running, &p);
	job_init(&queued, &p);
	submit(&running);
	submit(&queued);
	gate_await(&running.began);
	assert_false(lsp_job_cancel(&running.job));
	assert_true(lsp_job_cancel(&queued.job));
	gate_await(&queued.reported); /* though the thread is still busy */
	assert_int_equal(queued.job.result, -LSP_E_CANCELLED);
	gate_open(&running.may_end);
	pooled_done(&p);
	assert_int_equal(queued.worked, 0);
	assert_int_equal(queued.done, 1);
	assert_int_equal(running.done, 1);
	assert_int_equal(running.job.result, 0);
}

static void a_cancelled_token_takes_the_job_out_of_the_queue_at_once(void **state)
{
	struct pooled p;
	struct test_job running, queued, late;
	_cleanup_cancel_ struct lsp_cancel *token = NULL;
	assert_ok(lsp_cancel_new(NULL, &token, ERR));
	pooled_init(&p, 1, 10);
	job_init(&running, &p);
	job_init(&queued, &p);
	job_init(&late, &p);
	running.job.token = queued.job.token = late.job.token = token;
	submit(&running);
	gate_await(&running.began);
	submit(&queued);
	lsp_cancel_request(token, LSP_CANCEL_USER, "enough");
	gate_await(&queued.reported);
	assert_string_equal(queued.job.error.message, "cancelled: enough");
	submit(&late); /* cancelled before it came */
	gate_await(&late.reported);
	assert_int_equal(late.job.result, -LSP_E_CANCELLED);
	gate_open(&running.may_end);
	pooled_done(&p);
	assert_int_equal(queued.worked + late.worked, 0);
	assert_int_equal(running.worked, 1);
}

static void a_full_queue_refuses(void **state)
{
	struct pooled p;
	struct test_job t[4];
	pooled_init(&p, 1, 2);
	for (int i = 0; i < 4; i++) {
		job_init(&t[i], &p);
		gate_open(&t[i].may_end);
	}
	gate_init(&t[0].may_end);
	submit(&t[0]);
	gate_await(&t[0].began);
	submit(&t[1]);
	submit(&t[2]);
	assert_code(lsp_pool_submit(p.pool, p.loop, &t[3].job, ERR), LSP_E_BUSY);
	assert_string_equal(ERR->message, "2 jobs wait already");
	gate_open(&t[0].may_end);
	gate_await(&t[2].reported);
	pooled_done(&p);
	assert_int_equal(t[3].done, 0);
}

static void close_lets_the_queue_run_and_refuses_more(void **state)
{
	struct pooled p;
	struct test_job t[3];
	pooled_init(&p, 1, 10);
	for (int i = 0; i < 3; i++)
		job_init(&t[i], &p);
	submit(&t[0]);
	submit(&t[1]);
	gate_await(&t[0].began);
	lsp_pool_close(p.pool);
	assert_code(lsp_pool_submit(p.pool, p.loop, &t[2].job, ERR), LSP_E_CLOSED);
	assert_code(lsp_pool_stop(p.pool, lsp_now(&p.clock.clock), ERR), LSP_E_TIMEOUT);
	gate_open(&t[0].may_end);
	gate_open(&t[1].may_end);
	assert_ok(lsp_pool_stop(p.pool, LSP_TIME_NEVER, ERR));
	pooled_done(&p);
	assert_int_equal(t[1].worked, 1);
	assert_int_equal(t[1].done, 1);
	assert_int_equal(t[2].done, 0);
}

static void abort_cancels_the_queue(void **state)
{
	struct pooled p;
	struct test_job t[2];
	pooled_init(&p, 1, 10);
	for (int i = 0; i < 2; i++) {
		job_init(&t[i], &p);
		submit(&t[i]);
	}
	gate_await(&t[0].began);
	lsp_pool_abort(p.pool);
	gate_await(&t[1].reported);
	gate_open(&t[0].may_end);
	pooled_done(&p);
	assert_int_equal(t[0].done, 1);
	assert_int_equal(t[1].worked, 0);
	assert_int_equal(t[1].job.result, -LSP_E_CANCELLED);
}

static void the_loop_stays_up_until_every_job_is_done(void **state)
{
	struct pooled p;
	struct test_job t;
	pooled_init(&p, 1, 10);
	job_init(&t, &p);
	submit(&t);
	gate_await(&t.began);
	assert_code(lsp_loop_stop(p.loop, lsp_now(&p.clock.clock), ERR), LSP_E_TIMEOUT);
	gate_open(&t.may_end);
	pooled_done(&p);
	assert_int_equal(t.done, 1);
	assert_false(t.done_elsewhere);
}

static void a_job_for_a_closed_loop_is_refused(void **state)
{
	struct pooled p;
	struct test_job t;
	pooled_init(&p, 1, 10);
	job_init(&t, &p);
	lsp_loop_close(p.loop);
	assert_code(lsp_pool_submit(p.pool, p.loop, &t.job, ERR), LSP_E_CLOSED);
	pooled_done(&p);
	assert_int_equal(t.worked + t.done, 0);
}

static void done_and_submit_again(struct lsp_job *job)
{
	struct test_job *t = lsp_container_of(job, struct test_job, job);
	if (++t->done == 100 || lsp_pool_submit(t->pooled->pool, t->pooled->loop, job, NULL) < 0)
		gate_open(&t->reported);
}

static void a_job_may_be_submitted_again_from_its_done(void **state)
{
	struct pooled p;
	struct test_job t;
	pooled_init(&p, 2, 10);
	job_init(&t, &p);
	t.job.done = done_and_submit_again;
	gate_open(&t.may_end);
	submit(&t);
	gate_await(&t.reported);
	pooled_done(&p);
	assert_int_equal(t.done, 100);
	assert_int_equal(t.worked, 100);
}

static void interrupted_workers_give_the_queue_back(void **state)
{
	struct pooled p;
	struct test_job t[2];
	pooled_init(&p, 1, 10);
	job_init(&t[0], &p);
	job_init(&t[1], &p);
	submit(&t[0]);
	gate_await(&t[0].began);
	submit(&t[1]);
	lsp_log_set_level(LSP_LOG_ERROR);
	size_t stragglers;
	assert_code(lsp_tasks_join_all(p.runtime.tasks, lsp_now(&p.clock.clock), &stragglers, ERR),
		LSP_E_TIMEOUT);
	lsp_log_set_level(LSP_LOG_INFO);
	assert_int_equal(stragglers, 2);
	assert_string_equal(ERR->message, "2 tasks did not stop in time: core, disk.0");
	gate_open(&t[0].may_end);
	gate_open(&t[1].may_end);
	pooled_done(&p);
	assert_int_equal(t[0].done, 1);
	assert_int_equal(t[1].done, 1);
}

/* ---- Calls ------------------------------------------------------------------------------- */

struct called {
	struct gate began, may_end;
	int calls;
};

static int called(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct called *c = argument;
	c->calls++;
	gate_open(&c->began);
	gate_pass(&c->may_end);
	return lsp_error_set(err, "test", LSP_E_CORRUPT, "a bit flipped");
}

static void a_call_waits_for_the_result(void **state)
{
	struct pooled p;
	struct called c = {.calls = 0};
	pooled_init(&p, 1, 10);
	gate_init(&c.began);
	gate_init(&c.may_end);
	gate_open(&c.may_end);
	assert_code(lsp_pool_call(p.pool, called, &c, NULL, LSP_TIME_NEVER, ERR), LSP_E_CORRUPT);
	assert_string_equal(ERR->message, "a bit flipped");
	pooled_done(&p);
}

static void a_queued_call_is_withdrawn_at_its_deadline_or_cancel(void **state)
{
	struct pooled p;
	struct test_job t;
	struct called c = {.calls = 0};
	_cleanup_cancel_ struct lsp_cancel *token = NULL;
	assert_ok(lsp_cancel_new(NULL, &token, ERR));
	pooled_init(&p, 1, 10);
	job_init(&t, &p);
	submit(&t);
	gate_await(&t.began);
	assert_code(lsp_pool_call(p.pool, called, &c, token, lsp_now(&p.clock.clock), ERR),
		LSP_E_TIMEOUT);
	lsp_cancel_request(token, LSP_CANCEL_USER, NULL);
	assert_code(lsp_pool_call(p.pool, called, &c, token, LSP_TIME_NEVER, ERR), LSP_E_CANCELLED);
	gate_open(&t.may_end);
	pooled_done(&p);
	assert_int_equal(c.calls, 0);
}

struct caller {
	struct pooled *p;
	struct called called;
	struct lsp_cancel *token;
	struct gate ended;
	int result;
};

static int make_call(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct caller *caller = argument;
	caller->result = lsp_pool_call(
		caller->p->pool, called, &caller->called, caller->token, LSP_TIME_NEVER, err);
	gate_open(&caller->ended);
	return 0;
}

static void a_running_call_that_is_cancelled_is_waited_for(void **state)
{
	struct pooled p;
	struct caller caller = {.p = &p};
	assert_ok(lsp_cancel_new(NULL, &caller.token, ERR));
	pooled_init(&p, 1, 10);
	gate_init(&caller.called.began);
	gate_init(&caller.called.may_end);
	gate_init(&caller.ended);
	assert_ok(lsp_tasks_spawn(
		p.runtime.tasks, "calls", LSP_TASK_RPC, make_call, &caller, NULL, ERR));
	gate_await(&caller.called.began);
	lsp_cancel_request(caller.token, LSP_CANCEL_USER, NULL);
	for (int i = 0; i < 100; i++) {
		assert_false(gate_is_open(&caller.ended));
		sched_yield();
	}
	gate_open(&caller.called.may_end);
	gate_await(&caller.ended);
	assert_int_equal(caller.result, -LSP_E_CORRUPT);
	pooled_done(&p);
	lsp_cancel_unref(caller.token);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_works_on_a_pool_thread_and_is_done_on_the_loop_once),
		cmocka_unit_test(jobs_run_side_by_side_on_as_many_threads_as_there_are),
		cmocka_unit_test(a_queued_job_can_be_cancelled_a_running_one_cannot),
		cmocka_unit_test(a_cancelled_token_takes_the_job_out_of_the_queue_at_once),
		cmocka_unit_test(a_full_queue_refuses),
		cmocka_unit_test(close_lets_the_queue_run_and_refuses_more),
		cmocka_unit_test(abort_cancels_the_queue),
		cmocka_unit_test(the_loop_stays_up_until_every_job_is_done),
		cmocka_unit_test(a_job_for_a_closed_loop_is_refused),
		cmocka_unit_test(a_job_may_be_submitted_again_from_its_done),
		cmocka_unit_test(interrupted_workers_give_the_queue_back),
		cmocka_unit_test(a_call_waits_for_the_result),
		cmocka_unit_test(a_queued_call_is_withdrawn_at_its_deadline_or_cancel),
		cmocka_unit_test(a_running_call_that_is_cancelled_is_waited_for),
	};
	return cmocka_run_group_tests_name("task/pool", tests, NULL, NULL);
}
