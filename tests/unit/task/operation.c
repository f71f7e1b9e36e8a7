#include "task/operation.h"

#include "fixture.h"
#include "task/child.h"

struct table {
	struct runtime runtime;
	struct lsp_operations *operations;
	atomic_int changes;
};

static void count_change(void *argument)
{
	struct table *table = argument;
	atomic_fetch_add(&table->changes, 1);
}

static void table_init(struct table *t)
{
	runtime_init(&t->runtime, NULL);
	atomic_init(&t->changes, 0);
	assert_ok(lsp_operations_new(count_change, t, &t->operations, ERR));
}

static void table_done(struct table *t)
{
	runtime_done(&t->runtime);
	lsp_operations_free(t->operations);
}

static struct lsp_operation *begin(struct table *t, const char *game, enum lsp_operation_kind kind)
{
	struct lsp_operation *operation = NULL;
	assert_ok(lsp_operation_begin(t->operations, game, kind, t->runtime.root, &operation, ERR));
	return operation;
}

static size_t listed(struct table *t)
{
	_cleanup_free_ struct lsp_operation_info *infos = NULL;
	size_t count;
	assert_ok(lsp_operations_snapshot(t->operations, &infos, &count, ERR));
	return count;
}

static void an_operation_is_on_the_table_from_begin_to_end(void **state)
{
	struct table t;
	table_init(&t);
	assert_int_equal(listed(&t), 0);
	_cleanup_operation_ struct lsp_operation *doom =
		begin(&t, "doom", LSP_OPERATION_DOWNLOADING);
	_cleanup_operation_ struct lsp_operation *quake =
		begin(&t, "quake", LSP_OPERATION_INSTALLING);
	_cleanup_free_ struct lsp_operation_info *infos = NULL;
	size_t count;
	assert_ok(lsp_operations_snapshot(t.operations, &infos, &count, ERR));
	assert_int_equal(count, 2);
	assert_string_equal(infos[0].game, "doom");
	assert_string_equal(lsp_operation_kind_name(infos[0].kind), "downloading");
	assert_string_equal(infos[1].game, "quake");
	assert_int_equal(infos[1].kind, LSP_OPERATION_INSTALLING);
	assert_int_equal(lsp_operations_of(t.operations, "doom"), LSP_OPERATION_DOWNLOADING);
	assert_true(lsp_operation_end(doom));
	assert_int_equal(lsp_operations_of(t.operations, "doom"), LSP_OPERATION_NONE);
	assert_int_equal(listed(&t), 1);
	assert_true(lsp_operation_end(quake));
	table_done(&t);
}

static void each_begin_and_end_is_one_change_and_the_second_end_is_none(void **state)
{
	struct table t;
	table_init(&t);
	struct lsp_operation *doom = begin(&t, "doom", LSP_OPERATION_UPDATING);
	assert_int_equal(t.changes, 1);
	assert_true(lsp_operation_end(doom));
	assert_false(lsp_operation_end(doom));
	assert_int_equal(t.changes, 2);
	lsp_operation_unref(doom);
	assert_int_equal(t.changes, 2);
	table_done(&t);
}

static void a_game_has_at_most_one_operation(void **state)
{
	struct table t;
	table_init(&t);
	struct lsp_operation *second = NULL;
	_cleanup_operation_ struct lsp_operation *doom =
		begin(&t, "doom", LSP_OPERATION_UNINSTALLING);
	assert_code(lsp_operation_begin(
			    t.operations, "doom", LSP_OPERATION_INSTALLING, NULL, &second, ERR),
		LSP_E_BUSY);
	assert_string_equal(ERR->message,
		"doom is being uninstalled; wait, or `lanspread cancel doom` ends that");
	assert_null(second);
	assert_int_equal(t.changes, 1);
	assert_true(lsp_operation_end(doom));
	_cleanup_operation_ struct lsp_operation *again =
		begin(&t, "doom", LSP_OPERATION_INSTALLING);
	/* The old guard no longer speaks for the game. */
	assert_false(lsp_operation_end(doom));
	assert_int_equal(lsp_operations_of(t.operations, "doom"), LSP_OPERATION_INSTALLING);
	table_done(&t);
}

static void an_id_that_is_empty_or_too_long_is_refused(void **state)
{
	struct table t;
	struct lsp_operation *operation = NULL;
	char id[LSP_OPERATION_GAME_MAX + 1];
	memset(id, 'x', sizeof id - 1);
	id[sizeof id - 1] = '\0';
	table_init(&t);
	assert_code(
		lsp_operation_begin(t.operations, "", LSP_OPERATION_HASHING, NULL, &operation, ERR),
		LSP_E_INVALID);
	assert_code(
		lsp_operation_begin(t.operations, id, LSP_OPERATION_HASHING, NULL, &operation, ERR),
		LSP_E_INVALID);
	assert_int_equal(listed(&t), 0);
	table_done(&t);
}

static void the_last_reference_clears_it(void **state)
{
	struct table t;
	table_init(&t);
	struct lsp_operation *doom = begin(&t, "doom", LSP_OPERATION_DOWNLOADING);
	lsp_operation_ref(doom);
	lsp_operation_unref(doom);
	assert_int_equal(listed(&t), 1);
	lsp_operation_unref(doom);
	assert_int_equal(listed(&t), 0);
	assert_int_equal(t.changes, 2);
	table_done(&t);
}

/* ---- Every way out of a task ------------------------------------------------------------- */

enum way { SUCCESS, FAILURE, CANCEL, KILLED_CHILD, LEFT_EARLY, WAYS };

struct running {
	struct table *table;
	enum way way;
	struct gate attached;
};

static int run_a_child_that_is_killed(struct lsp_tasks *tasks, struct lsp_error *err)
{
	const char *const argv[] = {"sh", "-c", "kill -KILL $$", NULL};
	struct lsp_child_options options = {.argv = argv};
	_cleanup_child_ struct lsp_child *child = NULL;
	int r = lsp_child_start(tasks, "unpack", &options, &child, err);
	return r < 0 ? r : lsp_child_finish(child, err);
}

static int operate(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct running *running = argument;
	gate_pass(&running->attached);
	switch (running->way) {
	case FAILURE:
		return lsp_error_set(err, "test", LSP_E_NO_SPACE, "the disk is full");
	case CANCEL:
		lsp_cancel_wait(token, NULL, LSP_TIME_NEVER);
		return lsp_cancel_check(token, err);
	case KILLED_CHILD:
		return run_a_child_that_is_killed(running->table->runtime.tasks, err);
	case LEFT_EARLY:
		pthread_exit(NULL);
	default:
		return 0;
	}
}

static void it_is_cleared_on_every_way_out_of_its_task(void **state)
{
	static const int results[WAYS] = {
		0, -LSP_E_NO_SPACE, -LSP_E_CANCELLED, -LSP_E_FAILED, -LSP_E_FAILED};
	for (int way = 0; way < WAYS; way++) {
		struct captured_log log;
		struct table t;
		struct running running = {&t, (enum way)way};
		table_init(&t);
		capture_log(&log);
		gate_init(&running.attached);
		struct lsp_operation *doom = begin(&t, "doom", LSP_OPERATION_INSTALLING);
		_cleanup_task_ struct lsp_task *task = NULL;
		assert_ok(lsp_tasks_spawn_below(t.runtime.tasks, lsp_operation_token(doom),
			"install", LSP_TASK_MAINTENANCE, operate, &running, &task, ERR));
		assert_ok(lsp_operation_attach(doom, task, ERR));
		lsp_operation_unref(doom); /* the task's guard holds it now */
		assert_int_equal(listed(&t), 1);
		gate_open(&running.attached);
		if (way == CANCEL)
			assert_true(lsp_operations_cancel(
				t.operations, "doom", LSP_CANCEL_USER, "enough"));
		assert_int_equal(
			lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR), results[way]);
		if (way == KILLED_CHILD)
			assert_string_equal(ERR->message, "unpack was killed by signal 9 (Killed)");
		/* Whoever waited for the task finds the table without it. */
		assert_int_equal(listed(&t), 0);
		assert_int_equal(t.changes, 2);
		table_done(&t);
		release_log(&log);
	}
}

static void attaching_to_a_task_that_has_ended_ends_the_operation(void **state)
{
	struct table t;
	struct running running = {&t, SUCCESS};
	table_init(&t);
	gate_init(&running.attached);
	gate_open(&running.attached);
	_cleanup_task_ struct lsp_task *task = NULL;
	assert_ok(lsp_tasks_spawn(
		t.runtime.tasks, "install", LSP_TASK_MAINTENANCE, operate, &running, &task, ERR));
	assert_ok(lsp_task_wait(task, NULL, NULL, fixture_limit(), ERR));
	_cleanup_operation_ struct lsp_operation *doom =
		begin(&t, "doom", LSP_OPERATION_INSTALLING);
	assert_code(lsp_operation_attach(doom, task, ERR), LSP_E_CLOSED);
	assert_int_equal(listed(&t), 0);
	table_done(&t);
}

static void it_can_be_attached_to_an_activity_and_only_once(void **state)
{
	struct table t;
	struct lsp_task *activity = NULL;
	table_init(&t);
	_cleanup_operation_ struct lsp_operation *doom =
		begin(&t, "doom", LSP_OPERATION_DOWNLOADING);
	assert_ok(lsp_tasks_begin(t.runtime.tasks, "download doom", LSP_TASK_MAINTENANCE,
		lsp_operation_token(doom), &activity, ERR));
	assert_ok(lsp_operation_attach(doom, activity, ERR));
	assert_code(lsp_operation_attach(doom, activity, ERR), LSP_E_EXISTS);
	assert_int_equal(listed(&t), 1);
	lsp_task_end(activity, 0, NULL);
	assert_int_equal(listed(&t), 0);
	table_done(&t);
}

/* ---- Tokens, waiting, threads ------------------------------------------------------------ */

static void cancelling_one_leaves_the_others_and_the_runtime_alone(void **state)
{
	struct table t;
	table_init(&t);
	_cleanup_operation_ struct lsp_operation *doom =
		begin(&t, "doom", LSP_OPERATION_DOWNLOADING);
	_cleanup_operation_ struct lsp_operation *quake =
		begin(&t, "quake", LSP_OPERATION_DOWNLOADING);
	assert_true(lsp_operations_cancel(t.operations, "doom", LSP_CANCEL_PEERS_GONE, NULL));
	assert_false(lsp_operations_cancel(t.operations, "hexen", LSP_CANCEL_USER, NULL));
	assert_int_equal(lsp_cancel_reason(lsp_operation_token(doom)), LSP_CANCEL_PEERS_GONE);
	assert_false(lsp_cancel_requested(lsp_operation_token(quake)));
	assert_false(lsp_cancel_requested(t.runtime.root));
	_cleanup_free_ struct lsp_operation_info *infos = NULL;
	size_t count;
	assert_ok(lsp_operations_snapshot(t.operations, &infos, &count, ERR));
	assert_int_equal(count, 2); /* it is on the table until its guard goes */
	assert_true(infos[0].cancelled);
	assert_false(infos[1].cancelled);
	lsp_cancel_request(t.runtime.root, LSP_CANCEL_USER, NULL);
	assert_true(lsp_cancel_requested(lsp_operation_token(quake)));
	table_done(&t);
}

static void a_waiting_download_and_a_hashing_block_nothing(void **state)
{
	struct table t;
	table_init(&t);
	_cleanup_operation_ struct lsp_operation *doom =
		begin(&t, "doom", LSP_OPERATION_DOWNLOADING);
	_cleanup_operation_ struct lsp_operation *quake = begin(&t, "quake", LSP_OPERATION_HASHING);
	assert_int_equal(lsp_operations_blocking(t.operations), 1);
	lsp_operation_set_waiting(doom, true);
	lsp_operation_set_waiting(doom, true);
	assert_int_equal(t.changes, 3);
	assert_int_equal(lsp_operations_blocking(t.operations), 0);
	_cleanup_free_ struct lsp_operation_info *infos = NULL;
	size_t count;
	assert_ok(lsp_operations_snapshot(t.operations, &infos, &count, ERR));
	assert_true(infos[0].waiting);
	assert_false(infos[1].waiting);
	table_done(&t);
}

static void a_guard_outlives_the_table(void **state)
{
	struct table t;
	table_init(&t);
	struct lsp_operation *doom = begin(&t, "doom", LSP_OPERATION_DOWNLOADING);
	table_done(&t);
	assert_true(lsp_operation_end(doom));
	assert_int_equal(t.changes, 1);
	lsp_operation_unref(doom);
}

struct racer {
	struct table *table;
	struct gate *start;
	atomic_int *inside;
	atomic_int *together, *wins;
};

static int race(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct racer *racer = argument;
	gate_pass(racer->start);
	for (int i = 0; i < 200; i++) {
		struct lsp_operation *operation = NULL;
		if (lsp_operation_begin(racer->table->operations, "doom", LSP_OPERATION_INSTALLING,
			    token, &operation, NULL) < 0)
			continue;
		if (atomic_fetch_add(racer->inside, 1) != 0)
			atomic_fetch_add(racer->together, 1);
		atomic_fetch_add(racer->wins, 1);
		atomic_fetch_sub(racer->inside, 1);
		lsp_operation_end(operation);
		lsp_operation_unref(operation);
	}
	return 0;
}

static void of_many_threads_one_at_a_time_has_the_game(void **state)
{
	struct table t;
	struct gate start;
	atomic_int inside = 0, together = 0, wins = 0;
	struct racer racer = {&t, &start, &inside, &together, &wins};
	table_init(&t);
	gate_init(&start);
	for (int i = 0; i < 4; i++)
		assert_ok(lsp_tasks_spawn(
			t.runtime.tasks, "racer", LSP_TASK_MAINTENANCE, race, &racer, NULL, ERR));
	gate_open(&start);
	assert_ok(lsp_tasks_join_all(t.runtime.tasks, LSP_TIME_NEVER, NULL, ERR));
	assert_int_equal(together, 0);
	assert_true(wins > 0);
	assert_int_equal(t.changes, 2 * wins);
	assert_int_equal(listed(&t), 0);
	table_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_operation_is_on_the_table_from_begin_to_end),
		cmocka_unit_test(each_begin_and_end_is_one_change_and_the_second_end_is_none),
		cmocka_unit_test(a_game_has_at_most_one_operation),
		cmocka_unit_test(an_id_that_is_empty_or_too_long_is_refused),
		cmocka_unit_test(the_last_reference_clears_it),
		cmocka_unit_test(it_is_cleared_on_every_way_out_of_its_task),
		cmocka_unit_test(attaching_to_a_task_that_has_ended_ends_the_operation),
		cmocka_unit_test(it_can_be_attached_to_an_activity_and_only_once),
		cmocka_unit_test(cancelling_one_leaves_the_others_and_the_runtime_alone),
		cmocka_unit_test(a_waiting_download_and_a_hashing_block_nothing),
		cmocka_unit_test(a_guard_outlives_the_table),
		cmocka_unit_test(of_many_threads_one_at_a_time_has_the_game),
	};
	return cmocka_run_group_tests_name("task/operation", tests, NULL, NULL);
}
