/*
 * What outlasts a kill: a move and a removal with its data.
 */
#include "scene.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- Order ------------------------------------------------------------------------------- */

static struct {
	struct lsp_fs_hooks hooks;
	char record[256], wanted[64];
	unsigned asked, noted;
} order;

/* Is it in the record before a file goes? */
static int ask_record(const struct lsp_fs_event *event, void *argument)
{
	bool goes = event->call == LSP_FS_RENAME && strlen(event->path) == 1;
	FILE *file = goes ? fopen(order.record, "re") : NULL;
	char text[4096] = "";
	if (!file)
		return 0;
	order.asked++;
	order.noted += fread(text, 1, sizeof text - 1, file) > 0 && strstr(text, order.wanted);
	fclose(file);
	return 0;
}

static void where_it_goes_is_stored_before_a_file_is_moved(void **state)
{
	struct scene scene;
	struct rig_call move;
	scene_init(&scene);
	order.hooks = (struct lsp_fs_hooks){.before = ask_record};
	snprintf(order.record, sizeof order.record, "%s", scene.record);
	strcpy(order.wanted, "\"moving_to\"");
	order.asked = order.noted = 0;
	lsp_fs_set_hooks(&order.hooks);
	scene_begin_move(&scene, &move);
	lsp_fs_set_hooks(NULL);
	assert_int_equal(order.asked, 2);
	assert_int_equal(order.noted, 2);
	/* And that they are there before the library is told. */
	json_t *record = scene_record(&scene);
	assert_string_equal(json_string_value(json_object_get(record, "save_path")), scene.new);
	assert_null(json_object_get(record, "moving_to"));
	json_decref(record);
	scene_end_move(&scene, &move);
	world_done(&scene.world);
}

static void that_its_files_go_is_stored_until_they_are_gone(void **state)
{
	struct scene scene;
	struct rig_call remove;
	struct rig_answer answer;
	scene_init(&scene);
	struct lsp_torrent_call call = {.command = LSP_TORRENT_REMOVE,
		.arguments = json_pack("{s:s, s:b}", "torrent", DOOM, "data", 1)};
	rig_begin(&scene.world.rig, &remove, &call);
	fake_await_removal(DOOM);
	world_settle(&scene.world); /* REMOVED came, DELETED has not */
	json_t *record = scene_record(&scene);
	assert_true(json_is_true(json_object_get(record, "removing")));
	json_decref(record);
	/* A kill here: the library had deleted one of the two. */
	_cleanup_free_ char *first = lsp_text_format("%s/fake/a", scene.old);
	assert_int_equal(unlink(first), 0);
	scene_start_again(&scene, NULL);
	rig_end(&remove, &answer);
	assert_int_equal(answer.result, -LSP_E_CLOSED);
	rig_answer_done(&answer);
	json_t *removed = rig_await(&scene.world.rig, "torrent_removed", "torrent", DOOM, 1);
	assert_true(json_is_true(json_object_get(removed, "data")));
	json_decref(removed);
	assert_int_equal(access(scene.record, F_OK), -1);
	assert_false(scene_has(scene.old, "b"));
	_cleanup_free_ char *folder = lsp_text_format("%s/fake", scene.old);
	assert_int_equal(access(folder, F_OK), -1);
	assert_int_equal(rig_count(&scene.world.rig, "torrent_added", NULL, NULL), 0);
	world_done(&scene.world);
}

/* ---- The next start ---------------------------------------------------------------------- */

static void a_move_that_was_cut_short_is_finished_before_the_torrent_is_added(void **state)
{
	struct scene scene;
	scene_init(&scene);
	scene_put_one_there(&scene);
	scene_start_again(&scene, scene_moving(&scene, 2));
	scene_expect_moved(&scene);
	assert_int_equal(world_health(&scene.world), 0);
	world_done(&scene.world);
}

static void what_keeps_a_move_from_its_end_is_told_until_it_is_gone(void **state)
{
	struct scene scene;
	char message[512];
	scene_init(&scene);
	scene_put_one_there(&scene);
	/* The disk with one of them is not mounted. */
	_cleanup_free_ char *away = lsp_text_format("%s.away", scene.new);
	assert_int_equal(rename(scene.new, away), 0);
	scene_start_again(&scene, scene_moving(&scene, 2));
	json_decref(rig_await(&scene.world.rig, "torrent_error", "torrent", DOOM, 1));
	assert_int_equal(world_health(&scene.world), 1u << LSP_TORRENT_HEALTH_STORAGE);
	rig_refuse(&scene.world.rig, LSP_TORRENT_MOVE,
		json_pack("{s:s, s:s}", "torrent", DOOM, "save_path", scene.new), LSP_E_BUSY,
		message);
	assert_non_null(strstr(message, "is a disk not mounted?"));
	assert_true(scene_has(scene.old, "b"));
	/* It is tried again, and told once. */
	assert_int_equal(rename(away, scene.new), 0);
	while (rig_count(&scene.world.rig, "torrent_added", NULL, NULL) == 0) {
		world_advance(&scene.world, LSP_SECOND);
		world_settle(&scene.world);
	}
	scene_expect_moved(&scene);
	assert_int_equal(world_health(&scene.world), 0);
	assert_int_equal(rig_count(&scene.world.rig, "torrent_error", "torrent", DOOM), 1);
	world_done(&scene.world);
}

static void a_place_that_is_taken_is_refused_and_nothing_has_changed(void **state)
{
	struct scene scene;
	char message[512];
	scene_init(&scene);
	rig_file(scene.new, "fake/b", 500, 3);
	rig_refuse(&scene.world.rig, LSP_TORRENT_MOVE,
		json_pack("{s:s, s:s}", "torrent", DOOM, "save_path", scene.new), LSP_E_EXISTS,
		message);
	assert_non_null(strstr(message, "fake/b is there already"));
	assert_true(scene_has(scene.old, "a") && scene_has(scene.old, "b"));
	assert_false(scene_has(scene.new, "a"));
	json_t *record = scene_record(&scene);
	assert_null(json_object_get(record, "moving_to"));
	json_decref(record);
	/* It goes on as it did. */
	json_t *list = rig_ask(&scene.world.rig, LSP_TORRENT_LIST, NULL);
	const json_t *status = json_array_get(json_object_get(list, "torrents"), 0);
	assert_string_equal(json_string_value(json_object_get(status, "save_path")), scene.old);
	assert_true(json_is_false(json_object_get(status, "paused")));
	json_decref(list);
	world_done(&scene.world);
}

static void one_whose_disk_is_not_there_is_not_moved(void **state)
{
	struct scene scene;
	char message[512];
	scene_init(&scene);
	fake_progress(DOOM, 1000, LSP_SHIM_STATE_DOWNLOADING, 0);
	_cleanup_free_ char *away = lsp_text_format("%s.away", scene.old);
	assert_int_equal(rename(scene.old, away), 0);
	rig_refuse(&scene.world.rig, LSP_TORRENT_MOVE,
		json_pack("{s:s, s:s}", "torrent", DOOM, "save_path", scene.new), LSP_E_NOT_FOUND,
		message);
	assert_non_null(strstr(message, scene.old));
	assert_non_null(strstr(message, "is a disk not mounted?"));
	json_t *record = scene_record(&scene);
	assert_null(json_object_get(record, "moving_to"));
	assert_string_equal(json_string_value(json_object_get(record, "save_path")), scene.old);
	json_decref(record);
	/* Once it is there again nothing is in the way. */
	assert_int_equal(rename(away, scene.old), 0);
	struct rig_call move;
	scene_begin_move(&scene, &move);
	scene_end_move(&scene, &move);
	world_done(&scene.world);
}

static void a_long_path_does_not_take_the_reason_away(void **state)
{
	struct scene scene;
	char name[201], message[512];
	scene_init(&scene);
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	_cleanup_free_ char *far = lsp_text_format("%s/%s/%s/%s", scene.new, name, name, name);
	_cleanup_free_ char *folder = lsp_text_format("%s/fake", far);
	_cleanup_free_ char *file = lsp_text_format("%s/b", folder);
	assert_ok(lsp_fs_make_dirs(folder, false, ERR));
	assert_ok(lsp_fs_write_file(file, "b", 1, 0600, ERR));
	rig_refuse(&scene.world.rig, LSP_TORRENT_MOVE,
		json_pack("{s:s, s:s}", "torrent", DOOM, "save_path", far), LSP_E_EXISTS, message);
	assert_non_null(strstr(message, "fake cannot be moved: /tmp/"));
	assert_non_null(strstr(message, "/fake/b is there already: take another folder, or put it "
					"elsewhere first"));
	world_done(&scene.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_it_goes_is_stored_before_a_file_is_moved),
		cmocka_unit_test(that_its_files_go_is_stored_until_they_are_gone),
		cmocka_unit_test(a_move_that_was_cut_short_is_finished_before_the_torrent_is_added),
		cmocka_unit_test(what_keeps_a_move_from_its_end_is_told_until_it_is_gone),
		cmocka_unit_test(a_place_that_is_taken_is_refused_and_nothing_has_changed),
		cmocka_unit_test(one_whose_disk_is_not_there_is_not_moved),
		cmocka_unit_test(a_long_path_does_not_take_the_reason_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
