/*
 * What outlasts a kill: a move and a removal with its data. The store and the files are put as a
 * kill leaves them, and an engine starts on them; over a shim that is none.
 */
#include "world.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"

#include <stdlib.h>
#include <unistd.h>

struct scene {
	struct world world;
	char old[160], new[160], record[256];
};

static bool there(const char *folder, const char *file)
{
	_cleanup_free_ char *path = lsp_text_format("%s/fake/%s", folder, file);
	return access(path, F_OK) == 0;
}

/* A torrent whose two files are there. */
static void scene_init(struct scene *scene)
{
	json_t *status = NULL;
	world_init(&scene->world, NULL);
	const char *folder = scene->world.rig.folder;
	snprintf(scene->old, sizeof scene->old, "%s/old", folder);
	snprintf(scene->new, sizeof scene->new, "%s/new", folder);
	snprintf(scene->record, sizeof scene->record, "%s/" DOOM ".meta.json",
		scene->world.rig.resume);
	rig_file(scene->old, "fake/a", 1000, 1);
	rig_file(scene->old, "fake/b", 1000, 2);
	assert_int_equal(world_try_add(&scene->world, DOOM,
				 json_pack("{s:s}", "save_path", scene->old), &status),
		0);
	json_decref(status);
	world_settle(&scene->world);
}

static json_t *read_record(const struct scene *scene)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	assert_ok(lsp_fs_read_file(scene->record, 1 << 20, &content, ERR));
	json_t *record = json_loadb((const char *)content.data, content.size, 0, NULL);
	assert_non_null(record);
	return record;
}

/* The engine ends, its record says `changes`, and another starts. */
static void start_again(struct scene *scene, json_t *changes)
{
	char folder[128];
	snprintf(folder, sizeof folder, "%s", scene->world.rig.folder);
	rig_stop(&scene->world.rig);
	if (changes) {
		json_t *record = read_record(scene);
		json_object_update(record, changes);
		assert_int_equal(json_dump_file(record, scene->record, 0), 0);
		json_decref(record);
		json_decref(changes);
	}
	world_init(&scene->world, folder);
}

static json_t *moving(const struct scene *scene, int files)
{
	return json_pack("{s:s, s:i}", "moving_to", scene->new, "moving_files", files);
}

static void put_one_there(const struct scene *scene)
{
	rig_file(scene->new, "fake/a", 1000, 1);
	_cleanup_free_ char *path = lsp_text_format("%s/fake/a", scene->old);
	assert_int_equal(unlink(path), 0);
}

static void expect_moved(struct scene *scene)
{
	json_t *added = rig_await(&scene->world.rig, "torrent_added", "torrent", DOOM, 1);
	const json_t *status = json_object_get(added, "status");
	assert_string_equal(json_string_value(json_object_get(status, "save_path")), scene->new);
	json_decref(added);
	json_t *record = read_record(scene);
	assert_null(json_object_get(record, "moving_to"));
	assert_null(json_object_get(record, "moving_files"));
	assert_string_equal(json_string_value(json_object_get(record, "save_path")), scene->new);
	json_decref(record);
	assert_true(there(scene->new, "a") && there(scene->new, "b"));
	assert_false(there(scene->old, "a") || there(scene->old, "b"));
}

/* Up to where the library is told. */
static void begin_move(struct scene *scene, struct rig_call *ret_move)
{
	struct lsp_torrent_call call = {.command = LSP_TORRENT_MOVE,
		.arguments = json_pack("{s:s, s:s}", "torrent", DOOM, "save_path", scene->new)};
	rig_begin(&scene->world.rig, ret_move, &call);
	fake_await_move(DOOM, 1);
}

static void end_move(const struct scene *scene, struct rig_call *move)
{
	struct rig_answer answer;
	fake_post(LSP_SHIM_ALERT_MOVED, DOOM, scene->new, NULL, 0);
	rig_end(move, &answer);
	assert_int_equal(answer.result, 0);
	rig_answer_done(&answer);
	assert_true(there(scene->new, "a") && there(scene->new, "b"));
}

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
	begin_move(&scene, &move);
	lsp_fs_set_hooks(NULL);
	assert_int_equal(order.asked, 2);
	assert_int_equal(order.noted, 2);
	/* And that they are there before the library is told. */
	json_t *record = read_record(&scene);
	assert_string_equal(json_string_value(json_object_get(record, "save_path")), scene.new);
	assert_null(json_object_get(record, "moving_to"));
	json_decref(record);
	end_move(&scene, &move);
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
	world_settle(&scene.world); /* REMOVED came, DELETED has not */
	json_t *record = read_record(&scene);
	assert_true(json_is_true(json_object_get(record, "removing")));
	json_decref(record);
	/* A kill here: the library had deleted one of the two. */
	_cleanup_free_ char *first = lsp_text_format("%s/fake/a", scene.old);
	assert_int_equal(unlink(first), 0);
	start_again(&scene, NULL);
	rig_end(&remove, &answer);
	assert_int_equal(answer.result, -LSP_E_CLOSED);
	rig_answer_done(&answer);
	json_t *removed = rig_await(&scene.world.rig, "torrent_removed", "torrent", DOOM, 1);
	assert_true(json_is_true(json_object_get(removed, "data")));
	json_decref(removed);
	assert_int_equal(access(scene.record, F_OK), -1);
	assert_false(there(scene.old, "b"));
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
	put_one_there(&scene);
	start_again(&scene, moving(&scene, 2));
	expect_moved(&scene);
	assert_int_equal(world_health(&scene.world), 0);
	world_done(&scene.world);
}

static void what_keeps_a_move_from_its_end_is_told_until_it_is_gone(void **state)
{
	struct scene scene;
	char message[512];
	scene_init(&scene);
	put_one_there(&scene);
	/* The disk with one of them is not mounted. */
	_cleanup_free_ char *away = lsp_text_format("%s.away", scene.new);
	assert_int_equal(rename(scene.new, away), 0);
	start_again(&scene, moving(&scene, 2));
	json_decref(rig_await(&scene.world.rig, "torrent_error", "torrent", DOOM, 1));
	assert_int_equal(world_health(&scene.world), 1u << LSP_TORRENT_HEALTH_STORAGE);
	rig_refuse(&scene.world.rig, LSP_TORRENT_MOVE,
		json_pack("{s:s, s:s}", "torrent", DOOM, "save_path", scene.new), LSP_E_BUSY,
		message);
	assert_non_null(strstr(message, "is a disk not mounted?"));
	assert_true(there(scene.old, "b"));
	/* It is tried again, and told once. */
	assert_int_equal(rename(away, scene.new), 0);
	while (rig_count(&scene.world.rig, "torrent_added", NULL, NULL) == 0) {
		world_advance(&scene.world, LSP_SECOND);
		world_settle(&scene.world);
	}
	expect_moved(&scene);
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
	assert_true(there(scene.old, "a") && there(scene.old, "b"));
	assert_false(there(scene.new, "a"));
	json_t *record = read_record(&scene);
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
	json_t *record = read_record(&scene);
	assert_null(json_object_get(record, "moving_to"));
	assert_string_equal(json_string_value(json_object_get(record, "save_path")), scene.old);
	json_decref(record);
	/* Once it is there again nothing is in the way. */
	assert_int_equal(rename(away, scene.old), 0);
	struct rig_call move;
	begin_move(&scene, &move);
	end_move(&scene, &move);
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
