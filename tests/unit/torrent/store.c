/* The store when it cannot be read, or what is in it is wrong: over a shim that is none. */
#include "fake_source.h"
#include "world.h"

#include "base/fs.h"
#include "base/text.h"
#include "torrent/resume.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#define STORE (1u << LSP_TORRENT_HEALTH_RESUME_STORE)

/* What ends so cannot be read, for this reason; 0: all can. */
static const char *unreadable;
static atomic_int reason;

static int refuse(const char *path, void *argument)
{
	return reason && lsp_text_ends_with(path, unreadable) ? reason : 0;
}

static const struct lsp_fs_hooks hooks = {.before_read = refuse};

/* Two that are stored: how long, does not matter. */
static void world_with_two(struct world *world, char folder[128])
{
	json_t *status = NULL;
	reason = 0;
	lsp_fs_set_hooks(&hooks);
	world_init(world, NULL);
	assert_int_equal(
		world_try_add(world, DOOM, json_pack("{s:s}", "category", "fps"), &status), 0);
	json_decref(status);
	json_decref(world_add(world, QUAKE));
	world_settle(world);
	snprintf(folder, 128, "%s", world->rig.folder);
	rig_stop(&world->rig);
}

static void done(struct world *world)
{
	world_done(world);
	lsp_fs_set_hooks(NULL);
}

static bool is_stored(struct world *world, const char *id, const char *suffix)
{
	_cleanup_free_ char *path = lsp_text_format("%s/%s%s", world->rig.resume, id, suffix);
	return access(path, F_OK) == 0;
}

static json_t *status_of(struct world *world, const char *id)
{
	json_t *list = rig_ask(&world->rig, LSP_TORRENT_LIST, json_pack("{s:s}", "torrent", id));
	json_t *status = json_incref(json_array_get(json_object_get(list, "torrents"), 0));
	json_decref(list);
	return status;
}

/* So many seconds, one by one. */
static void pass(struct world *world, unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		world_advance(world, LSP_SECOND);
		world_settle(world);
	}
}

static void expect_unread(struct world *world, int sys_errno)
{
	char message[512];
	json_t *told =
		rig_await(&world->rig, "torrent_session_error", "component", "resume_store", 1);
	snprintf(
		message, sizeof message, "%s", json_string_value(json_object_get(told, "message")));
	json_decref(told);
	assert_non_null(strstr(message, DOOM));
	assert_non_null(strstr(message, strerror(sys_errno)));
	assert_non_null(strstr(message, "tried again"));
	json_decref(rig_await(&world->rig, "torrent_added", "torrent", QUAKE, 1));
	/* It is neither here nor to be written over. */
	rig_refuse(&world->rig, LSP_TORRENT_LIST, json_pack("{s:s}", "torrent", DOOM), LSP_E_BUSY,
		message);
	assert_non_null(strstr(message, strerror(sys_errno)));
	json_t *status = NULL;
	assert_int_equal(world_try_add(world, DOOM, json_object(), &status), -LSP_E_BUSY);
	assert_null(status);
	/* Said once, however often it is tried. */
	pass(world, 17);
	assert_int_equal(rig_count(&world->rig, "torrent_session_error", NULL, NULL), 1);
	assert_int_equal(rig_count(&world->rig, "torrent_error", NULL, NULL), 0);
	assert_int_equal(world_health(world), STORE);
	assert_int_equal(world_counters(world).restored, 1);
}

static void what_cannot_be_read_now_is_left_as_it_is_and_tried_again(void **state)
{
	static const int reasons[] = {EMFILE, ENFILE, EACCES, EIO, ENOMEM};
	static const char *const parts[] = {DOOM ".meta.json", DOOM ".fastresume"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(reasons) * LSP_ARRAY_SIZE(parts); i++) {
		struct world world;
		char folder[128];
		world_with_two(&world, folder);
		unreadable = parts[i % LSP_ARRAY_SIZE(parts)];
		reason = reasons[i / LSP_ARRAY_SIZE(parts)];
		world_init(&world, folder);
		expect_unread(&world, reason);
		reason = 0;
		pass(&world, 5);
		json_t *status = status_of(&world, DOOM);
		assert_string_equal(json_string_value(json_object_get(status, "category")), "fps");
		json_decref(status);
		assert_false(fake_add_flags(DOOM) & LSP_SHIM_CHECK); /* its pieces are known */
		assert_int_equal(world_health(&world), 0);
		assert_int_equal(world_counters(&world).restored, 2);
		assert_int_equal(world_counters(&world).quarantined, 0);
		assert_false(is_stored(&world, DOOM, ".meta.json.damaged"));
		assert_false(is_stored(&world, DOOM, ".fastresume.damaged"));
		done(&world);
	}
}

static void adding_one_that_could_not_be_read_reads_it_first(void **state)
{
	struct world world;
	char folder[128];
	json_t *status = NULL;
	world_with_two(&world, folder);
	unreadable = DOOM ".fastresume";
	reason = EMFILE;
	world_init(&world, folder);
	json_decref(rig_await(&world.rig, "torrent_session_error", NULL, NULL, 1));
	reason = 0;
	assert_int_equal(world_try_add(&world, DOOM, json_object(), &status), -LSP_E_EXISTS);
	assert_string_equal(json_string_value(json_object_get(status, "category")), "fps");
	json_decref(status);
	assert_int_equal(world_health(&world), 0);
	done(&world);
}

static void a_torrent_file_is_missed_only_where_the_resume_data_are_gone(void **state)
{
	struct world world;
	char folder[128];
	for (int gone = 0; gone < 2; gone++) {
		world_with_two(&world, folder);
		_cleanup_free_ char *blob =
			lsp_text_format("%s/%s.fastresume", world.rig.resume, DOOM);
		if (gone)
			assert_int_equal(unlink(blob), 0);
		unreadable = DOOM ".torrent";
		reason = EIO;
		world_init(&world, folder);
		json_decref(rig_await(&world.rig, "torrent_added", "torrent", QUAKE, 1));
		world_settle(&world);
		assert_int_equal(world_health(&world), gone ? STORE : 0);
		assert_int_equal(world_counters(&world).restored, 2 - (unsigned)gone);
		reason = 0;
		pass(&world, gone ? 50 : 5); /* until it was saved */
		assert_int_equal(world_health(&world), 0);
		assert_int_equal(world_counters(&world).restored, 2);
		assert_int_equal((fake_add_flags(DOOM) & LSP_SHIM_CHECK) != 0, gone);
		done(&world);
	}
}

static void a_folder_that_cannot_be_listed_is_listed_later(void **state)
{
	struct world world;
	char folder[128];
	world_with_two(&world, folder);
	unreadable = ".";
	reason = EMFILE;
	world_init(&world, folder);
	json_decref(rig_await(&world.rig, "torrent_session_error", "component", "resume_store", 1));
	pass(&world, 11);
	assert_int_equal(fake_opens(), 0);
	assert_int_equal(world_health(&world), STORE);
	reason = 0;
	pass(&world, 5);
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 1));
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", QUAKE, 1));
	assert_int_equal(world_health(&world), 0);
	/* The same while a session is there. */
	reason = EMFILE;
	json_decref(rig_ask(&world.rig, LSP_TORRENT_RESTART, NULL));
	pass(&world, 11);
	assert_int_equal(world_health(&world), STORE);
	assert_int_equal(rig_count(&world.rig, "torrent_added", NULL, NULL), 2);
	reason = 0;
	pass(&world, 5);
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 2));
	assert_int_equal(world_health(&world), 0);
	done(&world);
}

static void a_folder_that_comes_late_gets_what_is_here(void **state)
{
	struct world world;
	reason = EACCES;
	unreadable = "/resume";
	lsp_fs_set_hooks(&hooks);
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	pass(&world, 60);
	assert_int_equal(world_health(&world), STORE);
	assert_false(is_stored(&world, DOOM, ".fastresume"));
	reason = 0;
	pass(&world, 8);
	assert_int_equal(world_health(&world), 0);
	assert_true(is_stored(&world, DOOM, ".fastresume"));
	assert_true(is_stored(&world, DOOM, ".meta.json"));
	done(&world);
}

static void what_is_wrong_is_set_aside_alone(void **state)
{
	static const char *const parts[] = {".meta.json", ".fastresume"};
	for (int i = 0; i < 6; i++) { /* empty, and no file at all: a folder, a link */
		struct world world;
		char folder[128];
		const char *part = parts[i % 2];
		world_with_two(&world, folder);
		_cleanup_free_ char *path =
			lsp_text_format("%s/%s%s", world.rig.resume, DOOM, part);
		assert_int_equal(unlink(path), 0);
		if (i < 2)
			assert_ok(lsp_fs_write_file(path, "", 0, 0600, ERR));
		else if (i < 4)
			assert_ok(lsp_fs_make_dirs(path, true, ERR));
		else
			assert_int_equal(symlink(folder, path), 0);
		world_init(&world, folder);
		json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 1));
		json_decref(rig_await(&world.rig, "torrent_added", "torrent", QUAKE, 1));
		world_settle(&world);
		_cleanup_free_ char *aside = lsp_text_format("%s.damaged", part);
		assert_true(is_stored(&world, DOOM, aside));
		assert_int_equal(world_counters(&world).quarantined, 1);
		assert_int_equal(world_counters(&world).restored, 2);
		done(&world);
	}
}

static void who_rests_is_not_written_again_but_every_quarter_of_an_hour(void **state)
{
	struct world world;
	char folder[128];
	world_with_two(&world, folder);
	world_init(&world, folder); /* what is on the disk counts too */
	fake_count_active(1);
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 1));
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", QUAKE, 1));
	pass(&world, 60); /* where they stand in the queue was not known before */
	uint64_t saved = world_counters(&world).resume_saved;
	int asked = fake_saves(DOOM);
	pass(&world, 780);
	assert_true(fake_saves(DOOM) >= asked + 15);
	assert_int_equal(world_counters(&world).resume_saved, saved);
	fake_progress(DOOM, 1000, LSP_SHIM_STATE_DOWNLOADING, 0);
	pass(&world, 46);
	assert_int_equal(world_counters(&world).resume_saved, saved + 1);
	pass(&world, 120);
	assert_int_equal(world_counters(&world).resume_saved, saved + 2); /* QUAKE */
	done(&world);
}

static void assert_same(bool same, const char *a, const char *b)
{
	struct lsp_hash one, other;
	assert_ok(lsp_resume_digest(a, strlen(a), &one, ERR));
	assert_ok(lsp_resume_digest(b, strlen(b), &other, ERR));
	assert_int_equal(memcmp(&one, &other, sizeof one) == 0, same);
}

static void resume_data_are_compared_but_for_how_long_it_was_active(void **state)
{
	const char *some = "d11:active_timei9e13:finished_timei0e4:nameli1ee12:seeding_timei5ee";
	assert_same(true, some,
		"d11:active_timei10e13:finished_timei77e4:nameli1ee12:seeding_timei500ee");
	assert_same(
		false, some, "d11:active_timei9e13:finished_timei0e4:nameli2ee12:seeding_timei5ee");
	assert_same(false, some, "d11:active_timei9e");
	assert_same(true, "11:active_timei", "11:active_timei12");
	assert_same(false, "", "11:active_timei");
	assert_same(true, "", "");
}

/* ---- Many of them ------------------------------------------------------------------------ */

enum { MANY = 50 };

/* A start with many that are stored, each with a half of what it wants. */
static void world_with_many(struct world *world)
{
	char id[65], folder[128];
	world_init(world, NULL);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(id, sizeof id, "%064u", i + 1);
		json_decref(world_add(world, id));
		fake_progress(id, FAKE_FILE_SIZE, LSP_SHIM_STATE_DOWNLOADING, 0);
	}
	world_settle(world);
	snprintf(folder, sizeof folder, "%s", world->rig.folder);
	rig_stop(&world->rig);
	world_init(world, folder);
	json_decref(rig_await(&world->rig, "torrent_added", NULL, NULL, MANY));
}

/* Nothing was told of them yet but that they are there. */
static void the_first_list_after_a_start_asks_the_session_once(void **state)
{
	struct world world;
	world_with_many(&world);
	int looks = fake_looks();
	for (int i = 0; i < 2; i++) {
		json_t *list = rig_ask(&world.rig, LSP_TORRENT_LIST, NULL);
		assert_int_equal(json_array_size(json_object_get(list, "torrents")), MANY);
		assert_int_equal(fake_looks(), looks + 1);
		json_decref(list);
	}
	world_done(&world);
}

static void what_comes_back_says_how_far_it_was(void **state)
{
	struct world world;
	world_with_many(&world);
	json_t *event = rig_await(&world.rig, "torrent_added", NULL, NULL, MANY);
	const json_t *status = json_object_get(event, "status");
	assert_int_equal(json_integer_value(json_object_get(status, "done")), FAKE_FILE_SIZE);
	assert_int_equal(json_integer_value(json_object_get(status, "total")), 2 * FAKE_FILE_SIZE);
	json_decref(event);
	world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_read_now_is_left_as_it_is_and_tried_again),
		cmocka_unit_test(adding_one_that_could_not_be_read_reads_it_first),
		cmocka_unit_test(a_torrent_file_is_missed_only_where_the_resume_data_are_gone),
		cmocka_unit_test(a_folder_that_cannot_be_listed_is_listed_later),
		cmocka_unit_test(a_folder_that_comes_late_gets_what_is_here),
		cmocka_unit_test(what_is_wrong_is_set_aside_alone),
		cmocka_unit_test(who_rests_is_not_written_again_but_every_quarter_of_an_hour),
		cmocka_unit_test(resume_data_are_compared_but_for_how_long_it_was_active),
		cmocka_unit_test(the_first_list_after_a_start_asks_the_session_once),
		cmocka_unit_test(what_comes_back_says_how_far_it_was),
	};
	return cmocka_run_group_tests_name("torrent store", tests, NULL, NULL);
}
