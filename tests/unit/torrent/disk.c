/* What takes the disk long, or fails there: on a clock that the test owns, over a shim that is
 * none. */
#include "world.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"

#include <stdatomic.h>
#include <stdlib.h>

#define MINUTE (60 * LSP_SECOND)

static void begin(struct world *world, struct rig_call *pending, enum lsp_torrent_command command,
	json_t *arguments)
{
	struct lsp_torrent_call call = {.command = command, .arguments = arguments};
	rig_begin(&world->rig, pending, &call);
	assert_int_equal(pending->begun, 0);
	world_settle(world); /* it was begun */
}

static json_t *move_arguments(void)
{
	return json_pack("{s:s, s:s}", "torrent", DOOM, "save_path", "/tmp/elsewhere");
}

static json_t *remove_arguments(void)
{
	return json_pack("{s:s, s:b}", "torrent", DOOM, "data", 1);
}

static bool is_answered(struct rig_call *pending)
{
	return lsp_answer_is_complete(&pending->completed);
}

/* So many minutes, in steps. */
static void pass_minutes(struct world *world, unsigned minutes)
{
	for (unsigned i = 0; i < minutes * 6; i++) {
		world_advance(world, MINUTE / 6);
		world_settle(world);
	}
}

/* ---- Waiting ----------------------------------------------------------------------------- */

static void a_move_is_waited_for_as_long_as_the_session_moves(void **state)
{
	struct world world;
	struct rig_call move, lost;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	begin(&world, &move, LSP_TORRENT_MOVE, move_arguments());
	fake_await_move(DOOM, 1);
	pass_minutes(&world, 10);
	assert_false(is_answered(&move));
	fake_post(LSP_SHIM_ALERT_MOVED, DOOM, "/tmp/elsewhere", NULL, 0);
	rig_expect_end(&move, 0, NULL);
	/* One of which it says no such thing is over after a minute. */
	fake_hide_moves(1);
	begin(&world, &lost, LSP_TORRENT_MOVE, move_arguments());
	fake_await_move(DOOM, 2);
	pass_minutes(&world, 2);
	assert_true(is_answered(&lost));
	rig_expect_end(&lost, LSP_E_TIMEOUT, "within a minute");
	world_done(&world);
}

static void a_torrent_that_is_removed_while_it_moves_has_not_moved(void **state)
{
	struct world world;
	struct rig_call move;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	begin(&world, &move, LSP_TORRENT_MOVE, move_arguments());
	json_decref(rig_ask(&world.rig, LSP_TORRENT_REMOVE, json_pack("{s:s}", "torrent", DOOM)));
	rig_expect_end(&move, LSP_E_NOT_FOUND, "was removed before");
	world_done(&world);
}

static void what_is_waited_for_can_be_given_up(void **state)
{
	struct world world;
	struct rig_call move, remove;
	char message[512];
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	begin(&world, &move, LSP_TORRENT_MOVE, move_arguments());
	json_decref(
		rig_ask(&world.rig, LSP_TORRENT_CANCEL, json_pack("{s:s}", "torrent", "d00d00")));
	rig_expect_end(&move, LSP_E_CANCELLED, "all the same");
	rig_refuse(&world.rig, LSP_TORRENT_CANCEL, json_pack("{s:s}", "torrent", DOOM),
		LSP_E_NOT_FOUND, message);
	assert_non_null(strstr(message, "nobody waits"));
	begin(&world, &remove, LSP_TORRENT_REMOVE, remove_arguments());
	fake_await_removal(DOOM);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_CANCEL, json_pack("{s:s}", "torrent", DOOM)));
	rig_expect_end(&remove, LSP_E_CANCELLED, NULL);
	rig_refuse(&world.rig, LSP_TORRENT_CANCEL, NULL, LSP_E_INVALID, message);
	assert_string_equal(message, "job is missing");
	world_done(&world);
}

/* ---- Deleting ---------------------------------------------------------------------------- */

static void files_are_waited_for_until_they_are_deleted(void **state)
{
	struct world world;
	struct rig_call remove;
	json_t *status = NULL;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	begin(&world, &remove, LSP_TORRENT_REMOVE, remove_arguments());
	fake_await_removal(DOOM);
	pass_minutes(&world, 10);
	assert_false(is_answered(&remove));
	/* It is neither here nor gone. */
	assert_int_equal(world_try_add(&world, DOOM, json_object(), &status), -LSP_E_BUSY);
	assert_null(status);
	fake_post(LSP_SHIM_ALERT_DELETED, DOOM, NULL, NULL, 0);
	rig_expect_end(&remove, 0, NULL);
	json_decref(world_add(&world, DOOM));
	world_done(&world);
}

static void files_that_cannot_be_deleted_are_told_once_with_their_place(void **state)
{
	struct world world;
	struct rig_call remove;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	begin(&world, &remove, LSP_TORRENT_REMOVE, remove_arguments());
	fake_await_removal(DOOM);
	fake_post(LSP_SHIM_ALERT_DELETE_FAILED, DOOM, NULL, "Permission denied", 0);
	rig_expect_end(
		&remove, LSP_E_IO, "what is left of /tmp/fake/fake is yours to delete (Permission");
	json_t *removed = rig_await(&world.rig, "torrent_removed", "torrent", DOOM, 1);
	assert_true(json_is_false(json_object_get(removed, "data")));
	json_decref(removed);
	json_t *error = rig_await(&world.rig, "torrent_error", "torrent", DOOM, 1);
	assert_non_null(strstr(json_string_value(json_object_get(error, "message")), "/tmp/fake"));
	json_decref(error);
	pass_minutes(&world, 1);
	assert_int_equal(rig_count(&world.rig, "torrent_error", "torrent", DOOM), 1);
	assert_int_equal(world_health(&world), 0);
	/* Nothing is left of it here: neither in the list, nor after a restart, nor in the way. */
	json_decref(rig_ask(&world.rig, LSP_TORRENT_RESTART, NULL));
	json_t *list = rig_ask(&world.rig, LSP_TORRENT_LIST, NULL);
	assert_int_equal(json_array_size(json_object_get(list, "torrents")), 0);
	json_decref(list);
	json_decref(world_add(&world, DOOM));
	world_done(&world);
}

/* ---- Limits ------------------------------------------------------------------------------ */

/* Twelve seconds of more than any limit here. */
static void exceed(struct world *world)
{
	static int64_t done;
	for (unsigned i = 0; i < 12; i++) {
		done += 150000;
		fake_progress(DOOM, done, LSP_SHIM_STATE_DOWNLOADING, 0);
		world_advance(world, LSP_SECOND);
		world_settle(world);
	}
}

static void a_limit_that_came_with_its_torrent_is_watched(void **state)
{
	struct world world;
	char folder[128];
	json_t *status = NULL;
	const uint32_t limits = 1u << LSP_TORRENT_HEALTH_LIMITS;
	world_init(&world, NULL);
	assert_int_equal(
		world_try_add(&world, DOOM, json_pack("{s:i}", "max_download", 1000), &status), 0);
	json_decref(status);
	exceed(&world);
	assert_int_equal(world_health(&world), limits);
	/* The same of one from the store. */
	snprintf(folder, sizeof folder, "%s", world.rig.folder);
	rig_stop(&world.rig);
	world_init(&world, folder);
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 1));
	world_settle(&world);
	assert_int_equal(world_health(&world), 0);
	exceed(&world);
	assert_int_equal(world_health(&world), limits);
	/* One that is taken back is not broken any more. */
	json_decref(rig_ask(&world.rig, LSP_TORRENT_LIMITS,
		json_pack("{s:s, s:i}", "torrent", DOOM, "max_download", 0)));
	assert_int_equal(world_health(&world), 0);
	world_done(&world);
}

static void a_limit_of_a_torrent_that_is_not_taken_is_told_again_until_it_is(void **state)
{
	struct world world;
	json_t *status = NULL;
	world_init(&world, NULL);
	fake_ignore_limits(1);
	assert_int_equal(
		world_try_add(&world, DOOM, json_pack("{s:i}", "max_download", 1000), &status), 0);
	json_decref(status);
	assert_int_equal(world_health(&world), 1u << LSP_TORRENT_HEALTH_LIMITS);
	fake_ignore_limits(0);
	for (unsigned i = 0; i < 3; i++) {
		world_advance(&world, LSP_SECOND);
		world_settle(&world);
	}
	assert_int_equal(world_health(&world), 0);
	world_done(&world);
}

static void a_limit_for_all_that_was_broken_holds_once_all_are_gone(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	json_decref(
		rig_ask(&world.rig, LSP_TORRENT_LIMITS, json_pack("{s:i}", "max_download", 1000)));
	exceed(&world);
	assert_int_equal(world_health(&world), 1u << LSP_TORRENT_HEALTH_LIMITS);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_REMOVE, json_pack("{s:s}", "torrent", DOOM)));
	pass_minutes(&world, 1);
	assert_int_equal(world_health(&world), 0);
	world_done(&world);
}

static void what_a_torrent_has_is_told_without_copying_what_it_is(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	world_settle(&world);
	int before = fake_copies();
	json_t *have = rig_ask(&world.rig, LSP_TORRENT_HAVE, json_pack("{s:s}", "torrent", DOOM));
	assert_int_equal(json_integer_value(json_object_get(have, "piece_length")), 1 << 20);
	assert_int_equal(json_integer_value(json_object_get(have, "pieces")), 2);
	assert_int_equal(json_integer_value(json_object_get(have, "have")), 1);
	assert_int_equal(fake_copies(), before);
	json_decref(have);
	world_done(&world);
}

/* ---- A creation, while the engine is not well -------------------------------------------- */

/* A clock at which the thread of a creation stands still until it may go on. */
static struct gate arrived, go_on;
static lsp_time (*own_time)(const struct lsp_clock *clock);

static lsp_time time_that_holds(const struct lsp_clock *clock)
{
	const struct lsp_task *task = lsp_task_current();
	if (task && strcmp(lsp_task_name(task), "torrent-job") == 0) {
		gate_open(&arrived);
		(void)gate_pass(&go_on);
	}
	return own_time(clock);
}

static void a_creation_that_ends_while_the_engine_is_given_up_is_answered(void **state)
{
	struct world world;
	struct rig_call create;
	gate_init(&arrived);
	gate_init(&go_on);
	lsp_fake_clock_init(&world.clock);
	own_time = world.clock.clock.monotonic;
	world_time = time_that_holds;
	world_init(&world, NULL);
	world_time = NULL;
	rig_file(world.rig.folder, "things/one", 3000000, 1);
	_cleanup_free_ char *path = lsp_text_format("%s/things", world.rig.folder);
	json_decref(world_add(&world, DOOM));
	begin(&world, &create, LSP_TORRENT_CREATE, json_pack("{s:s}", "path", path));
	gate_await(&arrived);
	fake_fail_opens(5);
	fake_post(LSP_SHIM_ALERT_SESSION_ERROR, NULL, NULL, "a bug", 0);
	world_await_opens(&world, 6);
	world_await_state(&world, LSP_SUPERVISED_UNHEALTHY);
	assert_false(is_answered(&create));
	gate_open(&go_on);
	rig_expect_end(&create, 0, NULL);
	/* And the next session goes on as if nothing had been. */
	json_t *list = rig_ask(&world.rig, LSP_TORRENT_LIST, NULL);
	assert_int_equal(json_array_size(json_object_get(list, "torrents")), 1);
	json_decref(list);
	world_done(&world);
}

/* ---- The end ----------------------------------------------------------------------------- */

static char said[512];

static void hear(
	enum lsp_log_level level, const char *component, const char *message, void *argument)
{
	if (strstr(message, "not saved in time"))
		snprintf(said, sizeof said, "%s", message);
}

/* The end of the engine, which waits for time to go on if it `waits`; how long it took. */
static uint64_t stop(struct world *world, bool waits)
{
	lsp_time begun = lsp_now(&world->clock.clock);
	said[0] = '\0';
	lsp_log_set_sink(hear, NULL);
	lsp_cancel_request(world->rig.runtime.root, LSP_CANCEL_USER, NULL);
	for (unsigned i = 0; fake_is_open(); i++) {
		if (waits && i % 1000 == 999)
			world_advance(world, 10 * LSP_MILLISECOND);
		sched_yield();
		if (i > 50000000)
			fail_msg("the engine does not end");
	}
	uint64_t span = lsp_now(&world->clock.clock) - begun;
	rig_stop(&world->rig);
	lsp_log_set_sink(NULL, NULL);
	return span;
}

static void a_save_that_is_never_answered_is_given_up_at_the_deadline(void **state)
{
	struct world world;
	char folder[128];
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	json_decref(world_add(&world, QUAKE));
	world_settle(&world);
	snprintf(folder, sizeof folder, "%s", world.rig.folder);
	fake_hold_saves(1);
	assert_true(stop(&world, true) >= 1500 * LSP_MILLISECOND);
	assert_non_null(strstr(said, "2 torrents were not saved in time"));
	/* What was stored before stands. */
	world_init(&world, folder);
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", QUAKE, 1));
	world_settle(&world);
	assert_int_equal(world_counters(&world).restored, 2);
	assert_int_equal(world_health(&world), 0);
	world_done(&world);
}

static atomic_bool slow;
static atomic_uint writes;

static _Atomic enum lsp_fs_call slow_call;

/* Each file takes a fifth of a second, by what it is slow in. */
static int slow_disk(const struct lsp_fs_event *event, void *argument)
{
	if (slow && event->call == LSP_FS_RENAME)
		writes++;
	if (slow && event->call == slow_call)
		lsp_fake_clock_advance(argument, LSP_SECOND / 5);
	return 0;
}

static void end_on_a_slow_disk(enum lsp_fs_call call)
{
	struct world world;
	struct lsp_fs_hooks hooks = {.before = slow_disk, .argument = &world.clock};
	char id[65];
	world_init(&world, NULL);
	lsp_fs_set_hooks(&hooks);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(id, sizeof id, "%064u", i + 1);
		json_decref(world_add(&world, id));
		world_settle(&world);
		fake_progress(id, 1 << 20, LSP_SHIM_STATE_DOWNLOADING, 0);
	}
	slow_call = call;
	slow = true;
	writes = 0;
	assert_in_range(stop(&world, false), 1500 * LSP_MILLISECOND, 2 * LSP_SECOND);
	slow = false;
	/* All that had their time were saved, and no more. */
	assert_in_range(writes, 5, 10);
	assert_non_null(strstr(said, "torrents were not saved in time"));
	assert_int_equal(atoi(said), 50 - writes);
	lsp_fs_set_hooks(NULL);
	rig_remove_tree(world.rig.folder);
}

static void a_slow_disk_does_not_hold_up_the_end(void **state)
{
	end_on_a_slow_disk(LSP_FS_RENAME);
	end_on_a_slow_disk(LSP_FS_SYNC);
}

static atomic_uint syncs;

static int count_syncs(const struct lsp_fs_event *event, void *argument)
{
	syncs += event->call == LSP_FS_SYNC;
	return 0;
}

static void at_the_end_the_disk_and_the_session_are_waited_for_once_and_not_for_each(void **state)
{
	struct world world;
	struct lsp_fs_hooks hooks = {.before = count_syncs};
	char id[65];
	world_init(&world, NULL);
	lsp_fs_set_hooks(&hooks);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(id, sizeof id, "%064u", i + 1);
		json_decref(world_add(&world, id));
		world_settle(&world);
		fake_progress(id, 1 << 20, LSP_SHIM_STATE_DOWNLOADING, 0);
	}
	uint64_t before = world_counters(&world).resume_saved;
	struct lsp_torrent_counters counters;
	syncs = 0;
	lsp_cancel_request(world.rig.runtime.root, LSP_CANCEL_USER, NULL);
	assert_ok(lsp_tasks_join_all(world.rig.runtime.tasks, LSP_TIME_NEVER, NULL, ERR));
	lsp_torrent_counters(world.rig.engine, &counters);
	assert_int_equal(counters.resume_saved - before, 50);
	/* One of each file, and of the folder as often as the session's answers came in rounds. */
	assert_in_range(syncs, 50, 70);
	assert_int_equal(fake_looks(), 0);
	lsp_fs_set_hooks(NULL);
	world_done(&world);
}

/* ---- No store ---------------------------------------------------------------------------- */

static void without_a_folder_for_the_store_the_engine_works_and_says_so(void **state)
{
	struct world world;
	char folder[] = "/tmp/lanspread-torrent-XXXXXX";
	assert_non_null(mkdtemp(folder));
	rig_file(folder, "resume", 8, 1); /* a file where the folder should be */
	world_init(&world, folder);
	json_t *told =
		rig_await(&world.rig, "torrent_session_error", "component", "resume_store", 1);
	assert_non_null(strstr(json_string_value(json_object_get(told, "message")),
		"the folder of the torrents' state"));
	json_decref(told);
	json_decref(world_add(&world, DOOM));
	fake_post(LSP_SHIM_ALERT_FINISHED, DOOM, NULL, NULL, 0);
	pass_minutes(&world, 2);
	assert_int_equal(world_health(&world), 1u << LSP_TORRENT_HEALTH_RESUME_STORE);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_PAUSE, json_pack("{s:s}", "torrent", DOOM)));
	json_decref(rig_ask(&world.rig, LSP_TORRENT_REMOVE, json_pack("{s:s}", "torrent", DOOM)));
	json_decref(rig_ask(&world.rig, LSP_TORRENT_RESTART, NULL));
	world_done(&world);
}

static void a_selection_is_answered_as_it_was_chosen(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	json_t *answer = rig_ask(&world.rig, LSP_TORRENT_SELECT,
		json_pack("{s:s, s:[s]}", "torrent", DOOM, "exclude", "b"));
	json_t *files = json_object_get(answer, "files");
	assert_int_equal(json_array_size(files), 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(
			json_string_value(json_object_get(json_array_get(files, i), "priority")),
			i == 0 ? "normal" : "skip");
	json_decref(answer);
	world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_move_is_waited_for_as_long_as_the_session_moves),
		cmocka_unit_test(a_torrent_that_is_removed_while_it_moves_has_not_moved),
		cmocka_unit_test(what_is_waited_for_can_be_given_up),
		cmocka_unit_test(files_are_waited_for_until_they_are_deleted),
		cmocka_unit_test(files_that_cannot_be_deleted_are_told_once_with_their_place),
		cmocka_unit_test(a_limit_that_came_with_its_torrent_is_watched),
		cmocka_unit_test(a_limit_of_a_torrent_that_is_not_taken_is_told_again_until_it_is),
		cmocka_unit_test(a_limit_for_all_that_was_broken_holds_once_all_are_gone),
		cmocka_unit_test(what_a_torrent_has_is_told_without_copying_what_it_is),
		cmocka_unit_test(a_creation_that_ends_while_the_engine_is_given_up_is_answered),
		cmocka_unit_test(a_save_that_is_never_answered_is_given_up_at_the_deadline),
		cmocka_unit_test(a_slow_disk_does_not_hold_up_the_end),
		cmocka_unit_test(
			at_the_end_the_disk_and_the_session_are_waited_for_once_and_not_for_each),
		cmocka_unit_test(a_selection_is_answered_as_it_was_chosen),
		cmocka_unit_test(without_a_folder_for_the_store_the_engine_works_and_says_so),
	};
	return cmocka_run_group_tests_name("torrent disk", tests, NULL, NULL);
}
