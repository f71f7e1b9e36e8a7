/* Alerts that the library threw away, one of each kind: over a shim that is none. */
#include "world.h"

#include "base/text.h"

#include <unistd.h>

#define MAGNET_ID "0123456789abcdef0123456789abcdef01234567"

static void begin(struct world *world, struct rig_call *pending, enum lsp_torrent_command command,
	json_t *arguments)
{
	struct lsp_torrent_call call = {.command = command, .arguments = arguments};
	rig_begin(&world->rig, pending, &call);
	assert_int_equal(pending->begun, 0);
	world_settle(world);
}

static void pass(struct world *world, unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		world_advance(world, LSP_SECOND);
		world_settle(world);
	}
}

/* With a torrent that is saved and at rest. */
static void world_at_rest(struct world *world)
{
	world_init(world, NULL);
	json_decref(world_add(world, DOOM));
	world_settle(world);
}

static void expect_lost(struct world *world, uint64_t count)
{
	world_settle(world);
	assert_int_equal(world_counters(world).alerts_dropped, count);
}

static int64_t size_of(struct world *world, const char *suffix)
{
	struct lsp_torrent_counters counters = world_counters(world);
	_cleanup_free_ char *path = lsp_text_format("%s/%s%s", world->rig.resume, DOOM, suffix);
	return access(path, F_OK) == 0 ? (int64_t)counters.resume_saved : -1;
}

/* ---- Saves ------------------------------------------------------------------------------- */

static void a_lost_save_is_asked_for_again_and_later_ones_come(void **state)
{
	struct world world;
	world_init(&world, NULL);
	fake_lose(LSP_SHIM_ALERT_RESUME_DATA);
	json_decref(world_add(&world, DOOM));
	expect_lost(&world, 1);
	/* All of it, though the library thinks that it has told. */
	assert_int_equal(fake_saves(DOOM), 2);
	assert_true(size_of(&world, ".fastresume") >= 0);
	assert_int_equal(world_health(&world), 0);
	int before = fake_saves(DOOM);
	pass(&world, 91);
	assert_in_range(fake_saves(DOOM) - before, 2, 3);
	world_done(&world);
}

static void a_lost_answer_that_nothing_has_changed_ends_the_save_too(void **state)
{
	struct world world;
	world_at_rest(&world);
	int before = fake_saves(DOOM);
	fake_lose(LSP_SHIM_ALERT_RESUME_FAILED);
	pass(&world, 136);
	assert_int_equal(world_counters(&world).alerts_dropped, 1);
	assert_in_range(fake_saves(DOOM) - before, 4, 5); /* of the interval, and once again */
	world_done(&world);
}

static void a_save_that_is_lost_at_the_end_is_made_in_its_time(void **state)
{
	struct world world;
	char folder[128];
	world_at_rest(&world);
	_cleanup_free_ char *blob = lsp_text_format("%s/%s.fastresume", world.rig.resume, DOOM);
	fake_progress(DOOM, 1 << 20, LSP_SHIM_STATE_DOWNLOADING, 0);
	assert_int_equal(unlink(blob), 0);
	snprintf(folder, sizeof folder, "%s", world.rig.folder);
	fake_lose(LSP_SHIM_ALERT_RESUME_DATA);
	rig_stop(&world.rig); /* no time passes */
	assert_int_equal(access(blob, F_OK), 0);
	rig_remove_tree(folder);
}

/* ---- Who comes and goes ------------------------------------------------------------------ */

static void a_lost_added_answers_who_added_it(void **state)
{
	struct world world;
	world_init(&world, NULL);
	fake_lose(LSP_SHIM_ALERT_ADDED);
	json_decref(world_add(&world, DOOM));
	expect_lost(&world, 1);
	assert_int_equal(rig_count(&world.rig, "torrent_added", "torrent", DOOM), 1);
	assert_true(size_of(&world, ".fastresume") >= 0);
	assert_true(size_of(&world, ".meta.json") >= 0);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_PAUSE, json_pack("{s:s}", "torrent", DOOM)));
	world_done(&world);
}

static void a_lost_added_of_one_that_was_not_taken_is_an_error(void **state)
{
	struct world world;
	json_t *status = NULL;
	world_init(&world, NULL);
	fake_fail_adds(1);
	fake_lose(LSP_SHIM_ALERT_ADDED);
	assert_int_equal(world_try_add(&world, DOOM, json_object(), &status), -LSP_E_FAILED);
	json_decref(world_add(&world, DOOM));
	world_done(&world);
}

static void a_lost_added_of_one_that_is_restored_leaves_it_at_work(void **state)
{
	struct world world;
	world_at_rest(&world);
	fake_lose(LSP_SHIM_ALERT_ADDED);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_RESTART, NULL));
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 2));
	expect_lost(&world, 1);
	assert_int_equal(world_health(&world), 0);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_PAUSE, json_pack("{s:s}", "torrent", DOOM)));
	world_done(&world);
}

static void a_lost_removed_answers_who_removed_it(void **state)
{
	struct world world;
	world_at_rest(&world);
	fake_lose(LSP_SHIM_ALERT_REMOVED);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_REMOVE, json_pack("{s:s}", "torrent", DOOM)));
	expect_lost(&world, 1);
	json_decref(rig_await(&world.rig, "torrent_removed", "torrent", DOOM, 1));
	assert_true(size_of(&world, ".meta.json") < 0);
	json_decref(world_add(&world, DOOM));
	world_done(&world);
}

static void a_lost_removed_with_data_waits_for_the_files(void **state)
{
	struct world world;
	struct rig_call remove;
	world_at_rest(&world);
	fake_lose(LSP_SHIM_ALERT_REMOVED);
	begin(&world, &remove, LSP_TORRENT_REMOVE,
		json_pack("{s:s, s:b}", "torrent", DOOM, "data", 1));
	fake_await_removal(DOOM);
	expect_lost(&world, 1);
	pass(&world, 30);
	assert_false(lsp_answer_is_complete(&remove.completed));
	assert_true(size_of(&world, ".meta.json") > 0); /* a kill now is made up for */
	fake_post(LSP_SHIM_ALERT_DELETED, DOOM, NULL, NULL, 0);
	rig_expect_end(&remove, 0, NULL);
	assert_true(size_of(&world, ".meta.json") < 0);
	json_decref(world_add(&world, DOOM));
	world_done(&world);
}

static void a_lost_deleted_is_given_up_after_a_minute_and_said_to_be_unknown(void **state)
{
	struct world world;
	struct rig_call remove;
	world_at_rest(&world);
	begin(&world, &remove, LSP_TORRENT_REMOVE,
		json_pack("{s:s, s:b}", "torrent", DOOM, "data", 1));
	fake_await_removal(DOOM);
	fake_lose(LSP_SHIM_ALERT_DELETED);
	fake_post(LSP_SHIM_ALERT_DELETED, DOOM, NULL, NULL, 0);
	expect_lost(&world, 1);
	pass(&world, 58);
	assert_false(lsp_answer_is_complete(&remove.completed));
	pass(&world, 4);
	assert_true(lsp_answer_is_complete(&remove.completed));
	rig_expect_end(&remove, LSP_E_IO, "is not known");
	json_decref(rig_await(&world.rig, "torrent_removed", "torrent", DOOM, 1));
	json_decref(world_add(&world, DOOM));
	world_done(&world);
}

/* ---- How one gets on --------------------------------------------------------------------- */

static void begin_move(struct world *world, struct rig_call *move, int count)
{
	begin(world, move, LSP_TORRENT_MOVE,
		json_pack("{s:s, s:s}", "torrent", DOOM, "save_path", "/tmp/elsewhere"));
	fake_await_move(DOOM, count);
}

static void a_lost_moved_is_seen_by_where_it_is(void **state)
{
	struct world world;
	struct rig_call move;
	world_at_rest(&world);
	begin_move(&world, &move, 1);
	/* Others are lost meanwhile: it still moves. */
	fake_lose(LSP_SHIM_ALERT_RESUMED);
	fake_post(LSP_SHIM_ALERT_RESUMED, DOOM, NULL, NULL, 0);
	expect_lost(&world, 1);
	assert_false(lsp_answer_is_complete(&move.completed));
	int before = fake_saves(DOOM);
	fake_lose(LSP_SHIM_ALERT_MOVED);
	fake_post(LSP_SHIM_ALERT_MOVED, DOOM, "/tmp/elsewhere", NULL, 0);
	rig_expect_end(&move, 0, NULL);
	expect_lost(&world, 2);
	assert_int_equal(fake_saves(DOOM), before + 1);
	json_t *list = rig_ask(&world.rig, LSP_TORRENT_LIST, json_pack("{s:s}", "torrent", DOOM));
	json_t *status = json_array_get(json_object_get(list, "torrents"), 0);
	assert_string_equal(
		json_string_value(json_object_get(status, "save_path")), "/tmp/elsewhere");
	json_decref(list);
	/* To where it is already. */
	begin_move(&world, &move, 2);
	fake_lose(LSP_SHIM_ALERT_MOVED);
	fake_post(LSP_SHIM_ALERT_MOVED, DOOM, "/tmp/elsewhere", NULL, 0);
	rig_expect_end(&move, 0, NULL);
	world_done(&world);
}

/* Its files are there by then. */
static void a_lost_move_failed_has_it_restored_at_the_new_place(void **state)
{
	struct world world;
	struct rig_call move;
	world_at_rest(&world);
	begin_move(&world, &move, 1);
	fake_lose(LSP_SHIM_ALERT_MOVE_FAILED);
	fake_post(LSP_SHIM_ALERT_MOVE_FAILED, DOOM, "/tmp/fake", "no room", 0);
	rig_expect_end(&move, 0, NULL);
	json_t *added = rig_await(&world.rig, "torrent_added", "torrent", DOOM, 2);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(added, "status"), "save_path")),
		"/tmp/elsewhere");
	json_decref(added);
	assert_int_equal(rig_count(&world.rig, "torrent_removed", NULL, NULL), 0);
	world_done(&world);
}

static void a_lost_paused_answers_who_paused_it(void **state)
{
	struct world world;
	world_at_rest(&world);
	int before = fake_saves(DOOM);
	fake_lose(LSP_SHIM_ALERT_PAUSED);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_PAUSE, json_pack("{s:s}", "torrent", DOOM)));
	expect_lost(&world, 1);
	assert_int_equal(fake_saves(DOOM), before + 1);
	world_done(&world);
}

static void a_lost_error_is_told_and_ends_what_waits(void **state)
{
	struct world world;
	world_at_rest(&world);
	fake_error(DOOM, "unplugged");
	fake_lose(LSP_SHIM_ALERT_TORRENT_ERROR);
	fake_post(LSP_SHIM_ALERT_TORRENT_ERROR, DOOM, NULL, "unplugged", 0);
	json_t *told = rig_await(&world.rig, "torrent_error", "torrent", DOOM, 1);
	assert_non_null(strstr(json_string_value(json_object_get(told, "message")), "unplugged"));
	json_decref(told);
	json_decref(rig_await(&world.rig, "torrent_state", "state", "failed", 1));
	assert_int_equal(world_health(&world), 1u << LSP_TORRENT_HEALTH_STORAGE);
	world_done(&world);
}

static void a_lost_finished_completes_it_once(void **state)
{
	struct world world;
	world_at_rest(&world);
	int before = fake_saves(DOOM);
	fake_progress(DOOM, 2 << 20, LSP_SHIM_STATE_SEEDING, LSP_SHIM_FINISHED | LSP_SHIM_SEEDING);
	fake_lose(LSP_SHIM_ALERT_FINISHED);
	fake_post(LSP_SHIM_ALERT_FINISHED, DOOM, NULL, NULL, 0);
	json_decref(rig_await(&world.rig, "torrent_completed", "torrent", DOOM, 1));
	json_decref(rig_await(&world.rig, "torrent_state", "state", "seeding", 1));
	world_settle(&world);
	assert_true(fake_saves(DOOM) > before);
	fake_post(LSP_SHIM_ALERT_FINISHED, DOOM, NULL, NULL, 0);
	world_settle(&world);
	assert_int_equal(rig_count(&world.rig, "torrent_completed", NULL, NULL), 1);
	world_done(&world);
}

static void a_lost_end_of_a_check_is_saved(void **state)
{
	struct world world;
	world_at_rest(&world);
	fake_progress(DOOM, 0, LSP_SHIM_STATE_CHECKING, 0);
	fake_post(LSP_SHIM_ALERT_STATE, DOOM, NULL, NULL, LSP_SHIM_STATE_CHECKING);
	world_settle(&world);
	int before = fake_saves(DOOM);
	fake_progress(DOOM, 1 << 20, LSP_SHIM_STATE_DOWNLOADING, 0);
	fake_lose(LSP_SHIM_ALERT_CHECKED);
	fake_post(LSP_SHIM_ALERT_CHECKED, DOOM, NULL, NULL, 0);
	expect_lost(&world, 1);
	assert_int_equal(fake_saves(DOOM), before + 1);
	world_done(&world);
}

static void lost_metadata_are_told_and_saved(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_ADD,
		json_pack("{s:s, s:s}", "save_path", "/tmp/fake", "magnet",
			"magnet:?xt=urn:btih:" MAGNET_ID)));
	world_settle(&world);
	int before = fake_saves(MAGNET_ID);
	fake_progress(MAGNET_ID, 0, LSP_SHIM_STATE_DOWNLOADING, LSP_SHIM_METADATA);
	fake_lose(LSP_SHIM_ALERT_METADATA);
	fake_post(LSP_SHIM_ALERT_METADATA, MAGNET_ID, NULL, NULL, 0);
	json_decref(rig_await(&world.rig, "torrent_metadata", "torrent", MAGNET_ID, 1));
	world_settle(&world);
	assert_int_equal(fake_saves(MAGNET_ID), before + 1);
	world_done(&world);
}

static void a_lost_status_is_made_up_for(void **state)
{
	struct world world;
	world_at_rest(&world);
	pass(&world, 2);
	fake_lose(LSP_SHIM_ALERT_STATUS);
	fake_progress(DOOM, 1234, LSP_SHIM_STATE_DOWNLOADING, 0);
	pass(&world, 2);
	json_t *list = rig_ask(&world.rig, LSP_TORRENT_LIST, NULL); /* as it is known */
	json_t *status = json_array_get(json_object_get(list, "torrents"), 0);
	assert_int_equal(json_integer_value(json_object_get(status, "done")), 1234);
	json_decref(list);
	assert_int_equal(world_counters(&world).alerts_dropped, 1);
	world_done(&world);
}

static void a_loss_of_nothing_that_matters_changes_nothing(void **state)
{
	struct world world;
	world_at_rest(&world);
	json_decref(world_add(&world, QUAKE));
	pass(&world, 3);
	int before = fake_saves(DOOM) + fake_saves(QUAKE);
	size_t added = rig_count(&world.rig, "torrent_added", NULL, NULL);
	size_t states = rig_count(&world.rig, "torrent_state", NULL, NULL);
	for (unsigned i = 1; i <= 3; i++) {
		fake_post(LSP_SHIM_ALERT_DROPPED, NULL, NULL, NULL, 0);
		expect_lost(&world, i);
	}
	assert_int_equal(fake_saves(DOOM) + fake_saves(QUAKE), before);
	assert_int_equal(rig_count(&world.rig, "torrent_added", NULL, NULL), added);
	assert_int_equal(rig_count(&world.rig, "torrent_state", NULL, NULL), states);
	assert_int_equal(rig_count(&world.rig, "torrent_error", NULL, NULL), 0);
	assert_int_equal(world_health(&world), 0);
	world_done(&world);
}

/* ---- Where it listens -------------------------------------------------------------------- */

static char *listens_at(struct world *world)
{
	json_t *answer = rig_ask(&world->rig, LSP_TORRENT_INSPECT, NULL);
	const char *text = json_string_value(json_array_get(json_object_get(answer, "listen"), 0));
	char *copy = text ? strdup(text) : NULL;
	json_decref(answer);
	return copy;
}

static void a_lost_listening_is_told_again_and_what_it_clears_is_cleared(void **state)
{
	struct world world;
	world_at_rest(&world);
	fake_post(LSP_SHIM_ALERT_LISTEN_FAILED, NULL, "0.0.0.0:47778", "it is taken", 1);
	world_settle(&world);
	assert_int_equal(world_health(&world), 1u << LSP_TORRENT_HEALTH_NETWORK);
	uint64_t listens = world_counters(&world).listens;
	fake_lose(LSP_SHIM_ALERT_LISTENING);
	fake_post(LSP_SHIM_ALERT_LISTENING, NULL, "0.0.0.0:47779", "", 1);
	expect_lost(&world, 1);
	world_settle(&world);
	assert_int_equal(world_health(&world), 0);
	assert_true(world_counters(&world).listens > listens); /* by which the port is asked for */
	_cleanup_free_ char *address = listens_at(&world);
	assert_string_equal(address, "0.0.0.0:47778");
	world_done(&world);
}

/* Where it is lost again it is told again, but not in a loop that has no end. */
static void a_listening_that_is_lost_again_is_told_again_later(void **state)
{
	struct world world;
	world_init(&world, NULL); /* without a torrent, too */
	json_decref(rig_ask(&world.rig, LSP_TORRENT_RESTART, NULL));
	world_settle(&world);
	fake_lose(LSP_SHIM_ALERT_LISTENING);
	fake_post(LSP_SHIM_ALERT_LISTENING, NULL, "0.0.0.0:47779", "", 1);
	expect_lost(&world, 1);
	world_settle(&world);
	assert_int_equal(world_counters(&world).listens, 1);
	fake_lose(LSP_SHIM_ALERT_LISTENING);
	fake_post(LSP_SHIM_ALERT_LISTENING, NULL, "0.0.0.0:47779", "", 1);
	expect_lost(&world, 2);
	world_settle(&world);
	assert_int_equal(world_counters(&world).listens, 1);
	pass(&world, 6);
	assert_int_equal(world_counters(&world).listens, 2);
	pass(&world, 20);
	assert_int_equal(world_counters(&world).listens, 2);
	world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lost_save_is_asked_for_again_and_later_ones_come),
		cmocka_unit_test(a_lost_answer_that_nothing_has_changed_ends_the_save_too),
		cmocka_unit_test(a_save_that_is_lost_at_the_end_is_made_in_its_time),
		cmocka_unit_test(a_lost_added_answers_who_added_it),
		cmocka_unit_test(a_lost_added_of_one_that_was_not_taken_is_an_error),
		cmocka_unit_test(a_lost_added_of_one_that_is_restored_leaves_it_at_work),
		cmocka_unit_test(a_lost_removed_answers_who_removed_it),
		cmocka_unit_test(a_lost_removed_with_data_waits_for_the_files),
		cmocka_unit_test(a_lost_deleted_is_given_up_after_a_minute_and_said_to_be_unknown),
		cmocka_unit_test(a_lost_moved_is_seen_by_where_it_is),
		cmocka_unit_test(a_lost_move_failed_has_it_restored_at_the_new_place),
		cmocka_unit_test(a_lost_paused_answers_who_paused_it),
		cmocka_unit_test(a_lost_error_is_told_and_ends_what_waits),
		cmocka_unit_test(a_lost_finished_completes_it_once),
		cmocka_unit_test(a_lost_end_of_a_check_is_saved),
		cmocka_unit_test(lost_metadata_are_told_and_saved),
		cmocka_unit_test(a_lost_status_is_made_up_for),
		cmocka_unit_test(a_lost_listening_is_told_again_and_what_it_clears_is_cleared),
		cmocka_unit_test(a_listening_that_is_lost_again_is_told_again_later),
		cmocka_unit_test(a_loss_of_nothing_that_matters_changes_nothing),
	};
	return cmocka_run_group_tests_name("torrent lost", tests, NULL, NULL);
}
