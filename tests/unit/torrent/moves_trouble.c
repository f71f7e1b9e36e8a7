/* What keeps a move or a removal from its end, and who ends it. */
#include "fake_source.h"
#include "scene.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "torrent/engine_private.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define DOOM2 "d00d002000000000000000000000000000000000000000000000000000000000"

static json_t *named(const char *key, const char *value)
{
	return json_pack("{s:s, s:s*}", "torrent", DOOM, key, value);
}

static json_t *removal(bool data)
{
	return json_pack("{s:s, s:b}", "torrent", DOOM, "data", data);
}

static void begin_remove(struct scene *scene, struct rig_call *remove, bool data)
{
	struct lsp_torrent_call call = {.command = LSP_TORRENT_REMOVE, .arguments = removal(data)};
	rig_begin(&scene->world.rig, remove, &call);
}

static void begin_move(struct scene *scene, struct rig_call *move)
{
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_MOVE, .arguments = named("save_path", scene->new)};
	rig_begin(&scene->world.rig, move, &call);
}

static void expect_stuck(struct scene *scene, const char *words)
{
	char message[512];
	json_decref(rig_await(&scene->world.rig, "torrent_error", "torrent", DOOM, 1));
	assert_int_equal(world_health(&scene->world), 1u << LSP_TORRENT_HEALTH_STORAGE);
	rig_refuse(&scene->world.rig, LSP_TORRENT_PAUSE, named("no", NULL), LSP_E_BUSY, message);
	if (!strstr(message, words))
		fail_msg("\"%s\" is not in \"%s\"", words, message);
}

static void expect_forgotten(struct scene *scene, bool data)
{
	json_t *removed = rig_await(&scene->world.rig, "torrent_removed", "torrent", DOOM, 1);
	assert_int_equal(json_is_true(json_object_get(removed, "data")), data);
	json_decref(removed);
	assert_int_equal(access(scene->record, F_OK), -1);
	assert_int_equal(world_health(&scene->world), 0);
	assert_int_equal(rig_count(&scene->world.rig, "torrent_added", NULL, NULL), 0);
}

/* Its place is there again, or gone. */
static void put_away(const char *folder, bool back)
{
	_cleanup_free_ char *away = lsp_text_format("%s.away", folder);
	assert_int_equal(back ? rename(away, folder) : rename(folder, away), 0);
}

/* Of `b` another one is in the new place. */
static void put_another_there(const struct scene *scene)
{
	scene_put_one_there(scene);
	rig_file(scene->new, "fake/b", 1000, 9);
}

/* ---- One that cannot be finished ---------------------------------------------------------- */

static void one_that_cannot_be_finished_is_forgotten_by_a_removal(void **state)
{
	struct scene scene;
	scene_init(&scene);
	put_another_there(&scene);
	scene_start_again(&scene, scene_moving(&scene, 2));
	expect_stuck(&scene, "another file has the name");
	json_decref(rig_ask(&scene.world.rig, LSP_TORRENT_REMOVE, removal(false)));
	expect_forgotten(&scene, false);
	assert_true(scene_has(scene.old, "b") && scene_has(scene.new, "a"));
	world_done(&scene.world);
}

/* The first digits may be those of another as well. */
static void one_that_cannot_be_finished_is_not_meant_by_what_names_two(void **state)
{
	struct scene scene;
	json_t *status = NULL, *arguments = json_pack("{s:s}", "torrent", "d00d00");
	char message[512];
	scene_init(&scene);
	put_another_there(&scene);
	scene_start_again(&scene, scene_moving(&scene, 2));
	expect_stuck(&scene, "another file has the name");
	rig_refuse(
		&scene.world.rig, LSP_TORRENT_PAUSE, json_incref(arguments), LSP_E_BUSY, message);
	assert_int_equal(world_try_add(&scene.world, DOOM2,
				 json_pack("{s:s}", "save_path", scene.old), &status),
		0);
	json_decref(status);
	rig_refuse(&scene.world.rig, LSP_TORRENT_REMOVE, arguments, LSP_E_INVALID, message);
	assert_non_null(strstr(message, "more than one torrent begins with d00d00"));
	assert_true(scene_has(scene.old, "b") && scene_has(scene.new, "a"));
	world_done(&scene.world);
}

static void with_its_data_what_is_its_own_goes_from_both_places(void **state)
{
	for (unsigned back = 0; back < 2; back++) {
		struct scene scene;
		scene_init(&scene);
		put_another_there(&scene);
		json_t *record =
			back ? json_pack("{s:s, s:s, s:i, s:b}", "save_path", scene.new,
				       "moving_to", scene.old, "moving_files", 2, "moving_back", 1)
			     : scene_moving(&scene, 2);
		scene_start_again(&scene, record);
		expect_stuck(&scene, "another file has the name");
		json_decref(rig_ask(&scene.world.rig, LSP_TORRENT_REMOVE, removal(true)));
		expect_forgotten(&scene, true);
		assert_false(scene_has(scene.old, "a") || scene_has(scene.old, "b"));
		assert_false(scene_has(scene.new, "a"));
		assert_true(scene_has(scene.new, "b")); /* somebody's */
		world_done(&scene.world);
	}
}

/* A kill while it did so: the record says both. */
static void a_removal_from_both_places_is_finished_by_the_next_start(void **state)
{
	struct scene scene;
	scene_init(&scene);
	put_another_there(&scene);
	json_t *record = scene_moving(&scene, 2);
	json_object_set_new(record, "removing", json_true());
	json_object_set_new(record, "save_mount", json_string("/"));
	scene_start_again(&scene, record);
	expect_forgotten(&scene, true);
	assert_false(scene_has(scene.old, "b") || scene_has(scene.new, "a"));
	assert_true(scene_has(scene.new, "b"));
	world_done(&scene.world);
}

/* And without its data it is one place that the files are in. */
static void a_removal_of_one_that_moves_is_finished_by_the_next_start(void **state)
{
	struct scene scene;
	scene_init(&scene);
	scene_put_one_there(&scene);
	json_t *record = scene_moving(&scene, 2);
	json_object_set_new(record, "leaving", json_true());
	scene_start_again(&scene, record);
	expect_forgotten(&scene, false);
	assert_true(scene_has(scene.old, "a") && scene_has(scene.old, "b"));
	assert_false(scene_has(scene.new, "a"));
	world_done(&scene.world);
}

static atomic_uint jobs, finished_jobs, refused_job;

/* No time passes while a task is at it. */
static void await_jobs(struct scene *scene)
{
	world_settle(&scene->world);
	while (finished_jobs < jobs)
		world_settle(&scene->world);
}

static void it_is_tried_again_ever_more_seldom_and_at_once_when_somebody_asks(void **state)
{
	struct scene scene;
	char message[512];
	scene_init(&scene);
	put_another_there(&scene);
	jobs = finished_jobs = 0;
	scene_start_again(&scene, scene_moving(&scene, 2));
	json_decref(rig_await(&scene.world.rig, "torrent_error", "torrent", DOOM, 1));
	await_jobs(&scene);
	for (unsigned i = 0; i < 3600; i++) {
		world_advance(&scene.world, LSP_SECOND);
		await_jobs(&scene);
	}
	/* At first, after 5, 10, 20, 40, 80 and 160 s, then each 300. */
	assert_in_range(jobs, 1 + 6 + 9, 1 + 6 + 11);
	assert_int_equal(rig_count(&scene.world.rig, "torrent_error", "torrent", DOOM), 1);
	_cleanup_free_ char *other = lsp_text_format("%s/fake/b", scene.new);
	assert_int_equal(unlink(other), 0);
	rig_refuse(&scene.world.rig, LSP_TORRENT_PAUSE, named("no", NULL), LSP_E_BUSY, message);
	scene_expect_moved(&scene); /* and no time passes */
	assert_int_equal(world_health(&scene.world), 0);
	world_done(&scene.world);
}

/* ---- Disks that are not there ------------------------------------------------------------ */

static void files_of_a_disk_that_is_not_mounted_are_not_called_deleted(void **state)
{
	struct scene scene;
	scene_init(&scene);
	/* Nothing is mounted at that place. */
	json_t *record = json_pack("{s:b, s:s}", "removing", 1, "save_mount", scene.old);
	scene_start_again(&scene, record);
	expect_stuck(&scene, "is not there: mount it");
	assert_int_equal(access(scene.record, F_OK), 0);
	assert_true(scene_has(scene.old, "a") && scene_has(scene.old, "b"));
	/* With its data it waits for the disk, and says so. */
	struct rig_call remove;
	begin_remove(&scene, &remove, true);
	rig_expect_end(&remove, LSP_E_NOT_FOUND, "is not there: mount it");
	json_decref(rig_ask(&scene.world.rig, LSP_TORRENT_REMOVE, removal(false)));
	expect_forgotten(&scene, false);
	world_done(&scene.world);
}

/* As a program noted it that did not know of disks, or one that was in the middle of a move. */
static void of_one_whose_disk_is_not_known_the_files_must_be_there(void **state)
{
	struct scene scene;
	struct rig_call remove;
	char message[512];
	scene_init(&scene);
	put_away(scene.old, false);
	scene_start_again(&scene, json_pack("{s:b}", "removing", 1));
	expect_stuck(&scene, "is a disk not mounted?");
	begin_remove(&scene, &remove, true);
	rig_expect_end(&remove, LSP_E_NOT_FOUND, "is a disk not mounted?");
	put_away(scene.old, true);
	rig_refuse(&scene.world.rig, LSP_TORRENT_PAUSE, named("no", NULL), LSP_E_BUSY, message);
	expect_forgotten(&scene, true);
	assert_false(scene_has(scene.old, "a") || scene_has(scene.old, "b"));
	world_done(&scene.world);
}

static void one_whose_owner_knows_that_its_files_are_gone_is_removed(void **state)
{
	struct scene scene;
	struct rig_call remove;
	scene_init(&scene);
	fake_progress(DOOM, 1000, LSP_SHIM_STATE_DOWNLOADING, 0);
	put_away(scene.old, false);
	struct lsp_torrent_call call = {.command = LSP_TORRENT_REMOVE,
		.arguments = json_pack("{s:s, s:b, s:b}", "torrent", DOOM, "data", 1, "absent", 1)};
	rig_begin(&scene.world.rig, &remove, &call);
	fake_await_removal(DOOM);
	fake_post(LSP_SHIM_ALERT_DELETED, DOOM, NULL, NULL, 0);
	rig_expect_end(&remove, 0, NULL);
	world_done(&scene.world);
}

static void one_of_which_no_file_is_there_is_not_removed_with_its_data(void **state)
{
	struct scene scene;
	char message[512];
	scene_init(&scene);
	fake_progress(DOOM, 1000, LSP_SHIM_STATE_DOWNLOADING, 0);
	put_away(scene.old, false);
	rig_refuse(&scene.world.rig, LSP_TORRENT_REMOVE, removal(true), LSP_E_NOT_FOUND, message);
	assert_non_null(strstr(message, "is a disk not mounted?"));
	json_t *record = scene_record(&scene);
	assert_null(json_object_get(record, "removing"));
	json_decref(record);
	put_away(scene.old, true);
	struct rig_call remove;
	begin_remove(&scene, &remove, true);
	fake_await_removal(DOOM);
	fake_post(LSP_SHIM_ALERT_DELETED, DOOM, NULL, NULL, 0);
	rig_expect_end(&remove, 0, NULL);
	world_done(&scene.world);
}

static void one_that_could_not_be_removed_still_has_its_goal(void **state)
{
	struct scene scene;
	scene_init(&scene);
	scene_start_again(&scene, json_pack("{s:i}", "seed_time", 1));
	json_decref(rig_await(&scene.world.rig, "torrent_added", "torrent", DOOM, 1));
	fake_progress(DOOM, 2 * FAKE_FILE_SIZE, LSP_SHIM_STATE_DOWNLOADING, 0);
	put_away(scene.old, false);
	rig_refuse(&scene.world.rig, LSP_TORRENT_REMOVE, removal(true), LSP_E_NOT_FOUND, NULL);
	put_away(scene.old, true);
	fake_progress(DOOM, 2 * FAKE_FILE_SIZE, LSP_SHIM_STATE_SEEDING, LSP_SHIM_FINISHED);
	for (unsigned i = 0; i < 5; i++) {
		world_advance(&scene.world, LSP_SECOND);
		world_settle(&scene.world);
	}
	json_t *record = scene_record(&scene);
	assert_true(json_is_true(json_object_get(record, "goal_met")));
	json_decref(record);
	world_done(&scene.world);
}

static void a_start_makes_no_folder_for_a_move_and_fills_none_below_a_mount_point(void **state)
{
	for (unsigned is_known = 0; is_known < 2; is_known++) {
		struct scene scene;
		scene_init(&scene);
		json_t *record = scene_moving(&scene, 2);
		if (is_known) { /* the folder is there, and nothing is mounted at it */
			json_object_set_new(record, "moving_mount", json_string(scene.new));
			assert_ok(lsp_fs_make_dirs(scene.new, false, ERR));
		}
		scene_start_again(&scene, record);
		expect_stuck(
			&scene, is_known ? "is not there: mount it" : "is a disk not mounted?");
		assert_true(scene_has(scene.old, "a") && scene_has(scene.old, "b"));
		assert_false(scene_has(scene.new, "a"));
		assert_int_equal(access(scene.new, F_OK), is_known ? 0 : -1);
		world_done(&scene.world);
	}
}

/* ---- Of one that the session has --------------------------------------------------------- */

static struct {
	struct lsp_fs_hooks hooks;
	unsigned renames;
	bool apart;
	unsigned holds;      /* at which rename; 0: at none */
	const char *refused; /* its renames, or (apart) deletions, but of the first */
	struct gate arrived, go_on;
} disk;

static int before(const struct lsp_fs_event *event, void *argument)
{
	bool is_file = event->path && strlen(event->path) == 1;
	if (event->call == LSP_FS_RENAME && is_file) {
		disk.renames++;
		if (disk.renames == disk.holds) {
			gate_open(&disk.arrived);
			(void)gate_pass(&disk.go_on);
		}
		if (disk.apart)
			return EXDEV;
		return disk.refused && disk.renames > 1 ? EIO : 0;
	}
	if (event->call == LSP_FS_CLONE)
		return EOPNOTSUPP;
	return disk.apart && event->call == LSP_FS_UNLINK && is_file && disk.refused &&
			       strcmp(event->path, disk.refused) == 0
		       ? EACCES
		       : 0;
}

static void change_disk(bool apart, const char *refused)
{
	disk.hooks = (struct lsp_fs_hooks){.before = before};
	disk.renames = 0;
	disk.apart = apart;
	disk.refused = refused;
	disk.holds = 0;
	lsp_fs_set_hooks(&disk.hooks);
}

static void what_is_left_at_the_old_place_the_library_is_not_shown(void **state)
{
	struct scene scene;
	struct rig_call move;
	scene_init(&scene);
	change_disk(true, "a");
	begin_move(&scene, &move);
	while (rig_count(&scene.world.rig, "torrent_added", "torrent", DOOM) < 2) {
		world_advance(&scene.world, LSP_SECOND / 4);
		world_settle(&scene.world);
	}
	struct rig_answer answer;
	rig_end(&move, &answer);
	assert_int_equal(answer.result, 0);
	const char *left = json_string_value(json_object_get(answer.value, "left"));
	assert_non_null(left);
	lsp_fs_set_hooks(NULL);
	json_t *added = rig_await(&scene.world.rig, "torrent_added", "torrent", DOOM, 2);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(added, "status"), "save_path")),
		scene.new);
	json_decref(added);
	json_t *told = rig_await(&scene.world.rig, "torrent_error", "torrent", DOOM, 1);
	const char *message = json_string_value(json_object_get(told, "message"));
	assert_non_null(strstr(message, "what is left there is yours to delete"));
	assert_non_null(strstr(message, scene.old));
	assert_string_equal(left, message);
	json_decref(told);
	rig_answer_done(&answer);
	assert_int_equal(rig_count(&scene.world.rig, "torrent_removed", NULL, NULL), 0);
	assert_int_equal(fake_moves_told(), 0);
	assert_true(scene_has(scene.new, "a") && scene_has(scene.new, "b"));
	assert_true(scene_has(scene.old, "a") && !scene_has(scene.old, "b"));
	/* It is there at the next start, too. */
	scene_start_again(&scene, NULL);
	added = rig_await(&scene.world.rig, "torrent_added", "torrent", DOOM, 1);
	json_decref(added);
	world_done(&scene.world);
}

/* Which is not refused once a second, but waits. */
static void one_that_leaves_and_comes_back_has_not_seeded_enough_meanwhile(void **state)
{
	struct scene scene;
	struct rig_call move;
	scene_init(&scene);
	scene_start_again(&scene, json_pack("{s:i, s:b}", "seed_time", 1, "seed_remove", 1));
	json_decref(rig_await(&scene.world.rig, "torrent_added", "torrent", DOOM, 1));
	world_settle(&scene.world);
	fake_hold_saves(1);
	change_disk(true, "a");
	begin_move(&scene, &move);
	json_decref(rig_await(&scene.world.rig, "torrent_error", "torrent", DOOM, 1));
	lsp_fs_set_hooks(NULL);
	fake_progress(DOOM, 2 * FAKE_FILE_SIZE, LSP_SHIM_STATE_SEEDING, LSP_SHIM_FINISHED);
	for (unsigned i = 0; i < 5; i++) {
		world_advance(&scene.world, LSP_SECOND);
		world_settle(&scene.world);
	}
	assert_int_equal(rig_count(&scene.world.rig, "torrent_error", "torrent", DOOM), 1);
	assert_false(lsp_answer_is_complete(&move.completed));
	fake_hold_saves(0);
	fake_post(LSP_SHIM_ALERT_RESUME_FAILED, DOOM, NULL, NULL, 1);
	while (rig_count(&scene.world.rig, "torrent_added", "torrent", DOOM) < 2) {
		world_advance(&scene.world, LSP_SECOND / 4);
		world_settle(&scene.world);
	}
	rig_expect_end(&move, 0, NULL);
	world_done(&scene.world);
}

static void one_whose_files_are_in_each_place_is_brought_together_out_of_the_session(void **state)
{
	struct scene scene;
	struct rig_call move;
	scene_init(&scene);
	change_disk(false, "b"); /* it does not move, and `a` does not come back */
	begin_move(&scene, &move);
	rig_expect_end(&move, LSP_E_IO, "some of its files are in each place");
	lsp_fs_set_hooks(NULL);
	while (rig_count(&scene.world.rig, "torrent_added", "torrent", DOOM) < 2) {
		world_advance(&scene.world, LSP_SECOND);
		world_settle(&scene.world);
	}
	assert_true(scene_has(scene.new, "a") && scene_has(scene.new, "b"));
	assert_false(scene_has(scene.old, "a") || scene_has(scene.old, "b"));
	json_t *record = scene_record(&scene);
	assert_string_equal(json_string_value(json_object_get(record, "save_path")), scene.new);
	assert_null(json_object_get(record, "moving_to"));
	json_decref(record);
	assert_int_equal(world_health(&scene.world), 0);
	assert_int_equal(rig_count(&scene.world.rig, "torrent_removed", NULL, NULL), 0);
	world_done(&scene.world);
}

static void a_move_beside_a_pause_waits_until_the_library_has_let_go(void **state)
{
	struct scene scene;
	struct rig_call pause, move;
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_PAUSE, .arguments = named("no", NULL)};
	scene_init(&scene);
	fake_hold_pauses(1);
	rig_begin(&scene.world.rig, &pause, &call);
	begin_move(&scene, &move);
	for (unsigned i = 0; i < 10; i++) {
		world_advance(&scene.world, LSP_SECOND);
		world_settle(&scene.world);
	}
	json_t *record = scene_record(&scene);
	assert_null(json_object_get(record, "moving_to"));
	json_decref(record);
	assert_true(scene_has(scene.old, "a") && access(scene.new, F_OK) < 0);
	fake_post(LSP_SHIM_ALERT_PAUSED, DOOM, NULL, NULL, 0);
	rig_expect_end(&pause, 0, NULL);
	fake_await_move(DOOM, 1);
	scene_end_move(&scene, &move);
	/* One that has stood still for long waits for nothing. */
	struct lsp_torrent_call back = {
		.command = LSP_TORRENT_MOVE, .arguments = named("save_path", scene.old)};
	rig_begin(&scene.world.rig, &move, &back);
	fake_await_move(DOOM, 2);
	fake_post(LSP_SHIM_ALERT_MOVED, DOOM, scene.old, NULL, 0);
	rig_expect_end(&move, 0, NULL);
	world_done(&scene.world);
}

static void hold_disk(unsigned at)
{
	gate_init(&disk.arrived);
	gate_init(&disk.go_on);
	change_disk(false, NULL);
	disk.holds = at;
}

static void a_removal_of_one_whose_files_a_start_moves_waits_for_that_task(void **state)
{
	for (unsigned data = 0; data < 2; data++) {
		struct scene scene;
		struct rig_call remove;
		scene_init(&scene);
		assert_ok(lsp_fs_make_dirs(scene.new, false, ERR));
		hold_disk(2);
		scene_start_again(&scene, scene_moving(&scene, 2));
		gate_await(&disk.arrived);
		begin_remove(&scene, &remove, data);
		world_settle(&scene.world);
		assert_false(lsp_answer_is_complete(&remove.completed));
		gate_open(&disk.go_on);
		rig_expect_end(&remove, 0, NULL);
		lsp_fs_set_hooks(NULL);
		expect_forgotten(&scene, data);
		for (const char *file = "a"; file; file = *file == 'a' ? "b" : NULL)
			assert_int_equal(
				scene_has(scene.old, file) + scene_has(scene.new, file), !data);
		world_done(&scene.world);
	}
}

/* It belongs to no session meanwhile. */
static void a_task_that_outlives_its_session_ends_as_it_would_have_in_it(void **state)
{
	for (unsigned fails = 0; fails < 2; fails++) {
		struct scene scene;
		struct rig_call move;
		scene_init(&scene);
		hold_disk(1);
		if (fails) /* the second, and the first comes back */
			rig_file(scene.new, "fake/c", 1, 1);
		begin_move(&scene, &move);
		gate_await(&disk.arrived);
		json_decref(rig_ask(&scene.world.rig, LSP_TORRENT_RESTART, NULL));
		rig_expect_end(&move, LSP_E_CLOSED, NULL);
		assert_int_equal(rig_count(&scene.world.rig, "torrent_added", "torrent", DOOM), 1);
		if (fails)
			rig_file(scene.new, "fake/b", 1000, 9);
		gate_open(&disk.go_on);
		json_decref(rig_await(&scene.world.rig, "torrent_added", "torrent", DOOM, 2));
		lsp_fs_set_hooks(NULL);
		const char *place = fails ? scene.old : scene.new;
		json_t *record = scene_record(&scene);
		assert_string_equal(json_string_value(json_object_get(record, "save_path")), place);
		assert_null(json_object_get(record, "moving_to"));
		json_decref(record);
		assert_true(scene_has(place, "a") && scene_has(place, "b"));
		assert_int_equal(
			rig_count(&scene.world.rig, "torrent_error", "component", "storage"),
			fails);
		assert_int_equal(world_health(&scene.world), 0);
		world_done(&scene.world);
	}
}

static atomic_bool look_is_held;

/* The look whether it can be, and not what the engine looks at meanwhile. */
static int hold_look(const char *path, void *argument)
{
	const struct scene *scene = argument;
	if (strcmp(path, scene->old) == 0 && atomic_exchange(&look_is_held, false)) {
		gate_open(&disk.arrived);
		(void)gate_pass(&disk.go_on);
	}
	return 0;
}

static void what_lies_where_it_was_to_go_is_not_deleted_with_its_data(void **state)
{
	struct scene scene;
	struct rig_call move, remove;
	scene_init(&scene);
	rig_file(scene.new, "fake/b", 1000, 9);
	_cleanup_free_ char *path = lsp_text_format("%s/fake/b", scene.old);
	assert_int_equal(unlink(path), 0); /* which did not come yet */
	gate_init(&disk.arrived);
	gate_init(&disk.go_on);
	atomic_store(&look_is_held, true);
	disk.hooks = (struct lsp_fs_hooks){.before_read = hold_look, .argument = &scene};
	lsp_fs_set_hooks(&disk.hooks);
	begin_move(&scene, &move);
	gate_await(&disk.arrived);
	json_decref(rig_ask(&scene.world.rig, LSP_TORRENT_RESTART, NULL));
	rig_expect_end(&move, LSP_E_CLOSED, NULL);
	begin_remove(&scene, &remove, true);
	world_settle(&scene.world);
	gate_open(&disk.go_on);
	rig_expect_end(&remove, 0, NULL);
	lsp_fs_set_hooks(NULL);
	assert_int_equal(access(scene.record, F_OK), -1);
	assert_true(scene_has(scene.new, "b") && !scene_has(scene.old, "a"));
	world_done(&scene.world);
}

/* The program ends and starts again, which does the rest of the removal. */
static void start_again_and_finish(
	struct scene *scene, struct rig_call *move, struct rig_call *remove)
{
	struct rig_answer answer;
	lsp_fs_set_hooks(NULL);
	scene_start_again(scene, NULL);
	rig_end(move, &answer);
	assert_true(answer.result < 0);
	rig_answer_done(&answer);
	rig_end(remove, &answer);
	rig_answer_done(&answer);
	while (access(scene->record, F_OK) == 0)
		world_settle(&scene->world);
}

static void that_one_is_removed_while_it_moves_is_stored_at_once(void **state)
{
	for (unsigned data = 0; data < 2; data++) {
		struct scene scene;
		struct rig_call move, remove;
		scene_init(&scene);
		hold_disk(2);
		begin_move(&scene, &move);
		gate_await(&disk.arrived);
		begin_remove(&scene, &remove, data);
		world_settle(&scene.world);
		json_t *record = scene_record(&scene);
		assert_string_equal(
			json_string_value(json_object_get(record, "moving_to")), scene.new);
		assert_int_equal(json_is_true(json_object_get(record, "removing")), data);
		assert_int_equal(json_is_true(json_object_get(record, "leaving")), !data);
		json_decref(record);
		assert_false(lsp_answer_is_complete(&remove.completed));
		gate_open(&disk.go_on);
		start_again_and_finish(&scene, &move, &remove);
		assert_int_equal(scene_has(scene.old, "a") && scene_has(scene.old, "b"), !data);
		assert_false(scene_has(scene.new, "a") || scene_has(scene.new, "b"));
		world_done(&scene.world);
	}
}

/* ---- Tasks that cannot be had ------------------------------------------------------------ */

static atomic_bool is_refused;
static atomic_bool is_late; /* what is refused comes when the program ends */
static int (*real_finish)(struct lsp_torrent_job *, struct lsp_error *);

/* All jobs here are of moves. */
static int count_finished(struct lsp_torrent_job *job, struct lsp_error *err)
{
	int r = real_finish(job, err);
	finished_jobs++;
	return r;
}

int __wrap_lsp_job_start(struct lsp_torrent_engine *engine, struct lsp_call *call, const char *name,
	bool needs_worker,
	int (*work)(struct lsp_torrent_job *, struct lsp_cancel *, struct lsp_error *),
	int (*finish)(struct lsp_torrent_job *, struct lsp_error *), void *argument,
	void (*free_argument)(void *), struct lsp_error *err);
int __real_lsp_job_start(struct lsp_torrent_engine *engine, struct lsp_call *call, const char *name,
	bool needs_worker,
	int (*work)(struct lsp_torrent_job *, struct lsp_cancel *, struct lsp_error *),
	int (*finish)(struct lsp_torrent_job *, struct lsp_error *), void *argument,
	void (*free_argument)(void *), struct lsp_error *err);

int __wrap_lsp_job_start(struct lsp_torrent_engine *engine, struct lsp_call *call, const char *name,
	bool needs_worker,
	int (*work)(struct lsp_torrent_job *, struct lsp_cancel *, struct lsp_error *),
	int (*finish)(struct lsp_torrent_job *, struct lsp_error *), void *argument,
	void (*free_argument)(void *), struct lsp_error *err)
{
	if (++jobs == refused_job) {
		is_refused = true;
		if (is_late)
			return lsp_error_set(
				err, "task", LSP_E_CLOSED, "cannot start %s: late", name);
		return lsp_error_no_memory(err, "torrent");
	}
	real_finish = finish;
	return __real_lsp_job_start(engine, call, name, needs_worker, work, count_finished,
		argument, free_argument, err);
}

static void a_move_whose_task_cannot_be_had_has_not_begun(void **state)
{
	for (unsigned which = 1; which <= 2; which++) {
		struct scene scene;
		struct rig_call move;
		scene_init(&scene);
		jobs = 0;
		refused_job = which;
		begin_move(&scene, &move);
		rig_expect_end(&move, LSP_E_NO_MEMORY, NULL);
		refused_job = 0;
		json_t *record = scene_record(&scene);
		assert_null(json_object_get(record, "moving_to"));
		assert_string_equal(
			json_string_value(json_object_get(record, "save_path")), scene.old);
		json_decref(record);
		assert_true(scene_has(scene.old, "a") && scene_has(scene.old, "b"));
		scene_begin_move(&scene, &move);
		scene_end_move(&scene, &move);
		world_done(&scene.world);
	}
}

static int refuse_record(const struct lsp_fs_event *event, void *argument)
{
	bool is_record = event->call == LSP_FS_RENAME && event->target &&
			 strstr(event->target, ".meta.json");
	return is_record && is_refused ? EIO : before(event, NULL);
}

/* Whoever removes it while it moves; the task that does it, behind the move, is refused. */
static void refuse_removal(struct scene *scene, struct rig_call *move, struct rig_call *remove)
{
	is_refused = false;
	begin_move(scene, move);
	gate_await(&disk.arrived);
	begin_remove(scene, remove, true);
	world_settle(&scene->world);
	refused_job = jobs + 1;
	gate_open(&disk.go_on);
	while (!is_refused)
		world_settle(&scene->world);
	refused_job = 0;
}

/* What was told is what the next start does, also where that cannot be written at once. */
static void a_removal_whose_task_cannot_be_had_is_done_by_no_start(void **state)
{
	for (unsigned fails = 0; fails < 2; fails++) {
		struct scene scene;
		struct rig_call move, remove;
		scene_init(&scene);
		hold_disk(2);
		disk.hooks.before = fails ? refuse_record : before;
		lsp_fs_set_hooks(&disk.hooks);
		refuse_removal(&scene, &move, &remove);
		rig_expect_end(&remove, LSP_E_NO_MEMORY, NULL);
		rig_expect_end(&move, LSP_E_NO_MEMORY, NULL);
		lsp_fs_set_hooks(NULL);
		if (fails) {
			json_decref(rig_await(
				&scene.world.rig, "torrent_error", "component", "resume_store", 1));
			world_advance(&scene.world, LSP_STORE_PATIENCE);
			world_settle(&scene.world);
		}
		json_t *record = scene_record(&scene);
		assert_null(json_object_get(record, "removing"));
		assert_null(json_object_get(record, "moving_to"));
		json_decref(record);
		scene_start_again(&scene, NULL);
		json_decref(rig_await(&scene.world.rig, "torrent_added", "torrent", DOOM, 1));
		assert_true(scene_has(scene.old, "a") && scene_has(scene.old, "b"));
		world_done(&scene.world);
	}
}

/* What is in the record before it begins is not taken back because the program ends meanwhile. */
static void a_removal_whose_task_comes_too_late_is_done_by_the_next_start(void **state)
{
	struct scene scene;
	struct rig_call move, remove;
	scene_init(&scene);
	hold_disk(2);
	is_late = true;
	refuse_removal(&scene, &move, &remove);
	is_late = false;
	start_again_and_finish(&scene, &move, &remove);
	assert_false(scene_has(scene.old, "a") || scene_has(scene.old, "b"));
	world_done(&scene.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_cannot_be_finished_is_forgotten_by_a_removal),
		cmocka_unit_test(one_that_cannot_be_finished_is_not_meant_by_what_names_two),
		cmocka_unit_test(with_its_data_what_is_its_own_goes_from_both_places),
		cmocka_unit_test(a_removal_from_both_places_is_finished_by_the_next_start),
		cmocka_unit_test(a_removal_of_one_that_moves_is_finished_by_the_next_start),
		cmocka_unit_test(it_is_tried_again_ever_more_seldom_and_at_once_when_somebody_asks),
		cmocka_unit_test(files_of_a_disk_that_is_not_mounted_are_not_called_deleted),
		cmocka_unit_test(of_one_whose_disk_is_not_known_the_files_must_be_there),
		cmocka_unit_test(one_whose_owner_knows_that_its_files_are_gone_is_removed),
		cmocka_unit_test(a_removal_of_one_whose_files_a_start_moves_waits_for_that_task),
		cmocka_unit_test(a_task_that_outlives_its_session_ends_as_it_would_have_in_it),
		cmocka_unit_test(one_of_which_no_file_is_there_is_not_removed_with_its_data),
		cmocka_unit_test(one_that_could_not_be_removed_still_has_its_goal),
		cmocka_unit_test(
			a_start_makes_no_folder_for_a_move_and_fills_none_below_a_mount_point),
		cmocka_unit_test(what_is_left_at_the_old_place_the_library_is_not_shown),
		cmocka_unit_test(
			one_whose_files_are_in_each_place_is_brought_together_out_of_the_session),
		cmocka_unit_test(a_move_beside_a_pause_waits_until_the_library_has_let_go),
		cmocka_unit_test(what_lies_where_it_was_to_go_is_not_deleted_with_its_data),
		cmocka_unit_test(that_one_is_removed_while_it_moves_is_stored_at_once),
		cmocka_unit_test(a_move_whose_task_cannot_be_had_has_not_begun),
		cmocka_unit_test(a_removal_whose_task_cannot_be_had_is_done_by_no_start),
		cmocka_unit_test(a_removal_whose_task_comes_too_late_is_done_by_the_next_start),
		cmocka_unit_test(one_that_leaves_and_comes_back_has_not_seeded_enough_meanwhile),
	};
	return cmocka_run_group_tests_name("torrent moves, trouble", tests, NULL, NULL);
}
