#include "scene.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"

#include <stdlib.h>
#include <unistd.h>

bool scene_has(const char *folder, const char *file)
{
	_cleanup_free_ char *path = lsp_text_format("%s/fake/%s", folder, file);
	return access(path, F_OK) == 0;
}

/* A torrent whose two files are there. */
void scene_init(struct scene *scene)
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

json_t *scene_record(const struct scene *scene)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	assert_ok(lsp_fs_read_file(scene->record, 1 << 20, &content, ERR));
	json_t *record = json_loadb((const char *)content.data, content.size, 0, NULL);
	assert_non_null(record);
	return record;
}

/* The engine ends, its record says `changes`, and another starts. */
void scene_start_again(struct scene *scene, json_t *changes)
{
	char folder[128];
	snprintf(folder, sizeof folder, "%s", scene->world.rig.folder);
	rig_stop(&scene->world.rig);
	if (changes) {
		json_t *record = scene_record(scene);
		json_object_update(record, changes);
		assert_int_equal(json_dump_file(record, scene->record, 0), 0);
		json_decref(record);
		json_decref(changes);
	}
	world_init(&scene->world, folder);
}

json_t *scene_moving(const struct scene *scene, int files)
{
	return json_pack("{s:s, s:i}", "moving_to", scene->new, "moving_files", files);
}

void scene_put_one_there(const struct scene *scene)
{
	rig_file(scene->new, "fake/a", 1000, 1);
	_cleanup_free_ char *path = lsp_text_format("%s/fake/a", scene->old);
	assert_int_equal(unlink(path), 0);
}

void scene_expect_moved(struct scene *scene)
{
	json_t *added = rig_await(&scene->world.rig, "torrent_added", "torrent", DOOM, 1);
	const json_t *status = json_object_get(added, "status");
	assert_string_equal(json_string_value(json_object_get(status, "save_path")), scene->new);
	json_decref(added);
	json_t *record = scene_record(scene);
	assert_null(json_object_get(record, "moving_to"));
	assert_null(json_object_get(record, "moving_files"));
	assert_string_equal(json_string_value(json_object_get(record, "save_path")), scene->new);
	json_decref(record);
	assert_true(scene_has(scene->new, "a") && scene_has(scene->new, "b"));
	assert_false(scene_has(scene->old, "a") || scene_has(scene->old, "b"));
}

/* Up to where the library is told. */
void scene_begin_move(struct scene *scene, struct rig_call *ret_move)
{
	struct lsp_torrent_call call = {.command = LSP_TORRENT_MOVE,
		.arguments = json_pack("{s:s, s:s}", "torrent", DOOM, "save_path", scene->new)};
	rig_begin(&scene->world.rig, ret_move, &call);
	fake_await_move(DOOM, 1);
}

void scene_end_move(const struct scene *scene, struct rig_call *move)
{
	struct rig_answer answer;
	fake_post(LSP_SHIM_ALERT_MOVED, DOOM, scene->new, NULL, 0);
	rig_end(move, &answer);
	assert_int_equal(answer.result, 0);
	/* How it goes on, not how it stood while it moved. */
	const char *state = json_string_value(json_object_get(answer.value, "state"));
	assert_int_equal(strcmp(state, "paused") == 0,
		json_is_true(json_object_get(answer.value, "paused")));
	rig_answer_done(&answer);
	assert_true(scene_has(scene->new, "a") && scene_has(scene->new, "b"));
}
