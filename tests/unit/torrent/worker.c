/* The worker on a clock that the test owns, over a shim that is none. */
#include "world.h"

#include "base/fs.h"
#include "base/text.h"

#include <errno.h>

static void a_session_that_breaks_is_opened_again_with_what_is_stored(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 1));
	fake_post(LSP_SHIM_ALERT_SESSION_ERROR, NULL, NULL, "a bug", 0);
	json_decref(rig_await(&world.rig, "torrent_error", "torrent", DOOM, 1));
	json_decref(rig_await(&world.rig, "torrent_session_error", "component", "session", 1));
	world_await_state(&world, LSP_SUPERVISED_RESTARTING);
	assert_true(world_health(&world) & (1u << LSP_TORRENT_HEALTH_SESSION));
	/* Meanwhile calls are refused, and say so. */
	char message[512];
	rig_refuse(&world.rig, LSP_TORRENT_LIST, NULL, LSP_E_CLOSED, message);
	assert_non_null(strstr(message, "not available"));
	world_await_opens(&world, 2);
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 2));
	json_decref(rig_await(&world.rig, "torrent_health", NULL, NULL, 2));
	assert_int_equal(world_health(&world), 0);
	world_done(&world);
}

/* It waits now: how long, from this moment on? Then that long passes. */
static uint64_t sit_out(struct world *world)
{
	world_await_state(world, LSP_SUPERVISED_RESTARTING);
	struct lsp_supervised_info info = world_supervised(world);
	uint64_t delay = info.restart_at - lsp_now(&world->clock.clock);
	world_advance(world, delay);
	for (unsigned i = 0; world_supervised(world).restarts == info.restarts; i++) {
		sched_yield();
		if (i > 50000000)
			fail_msg("the engine was not started again");
	}
	return delay;
}

static void after_a_break_it_tries_five_times_gives_up_and_comes_back_with_the_next_call(
	void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	fake_fail_opens(6);
	fake_post(LSP_SHIM_ALERT_SESSION_ERROR, NULL, NULL, "a bug", 0);
	/* After 1, 2, 4, 8 and 16 seconds, or up to three tenths sooner. */
	for (unsigned i = 0; i < 5; i++) {
		uint64_t most = LSP_SECOND << i;
		assert_in_range(sit_out(&world), most * 7 / 10, most);
	}
	world_await_state(&world, LSP_SUPERVISED_UNHEALTHY);
	assert_int_equal(fake_opens(), 1 + 5);
	assert_true(world_health(&world) & (1u << LSP_TORRENT_HEALTH_SESSION));
	world_advance(&world, 3600 * LSP_SECOND);
	assert_int_equal(fake_opens(), 1 + 5);
	/* The next call starts it afresh: that open fails too, and the call with it. */
	rig_refuse(&world.rig, LSP_TORRENT_LIST, NULL, LSP_E_CLOSED, NULL);
	assert_in_range(sit_out(&world), LSP_SECOND * 7 / 10, LSP_SECOND);
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 2));
	world_settle(&world);
	assert_int_equal(world_health(&world), 0);
	world_done(&world);
}

static void an_unhealthy_engine_answers_the_call_that_started_it(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	fake_fail_opens(5);
	fake_post(LSP_SHIM_ALERT_SESSION_ERROR, NULL, NULL, "a bug", 0);
	world_await_opens(&world, 6);
	world_await_state(&world, LSP_SUPERVISED_UNHEALTHY);
	json_t *list = rig_ask(&world.rig, LSP_TORRENT_LIST, NULL);
	assert_int_equal(json_array_size(json_object_get(list, "torrents")), 1);
	json_decref(list);
	world_done(&world);
}

static void restart_gives_a_new_session_at_once(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	json_decref(rig_ask(&world.rig, LSP_TORRENT_RESTART, NULL));
	assert_int_equal(fake_opens(), 2);
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 2));
	world_done(&world);
}

static void progress_comes_ten_times_a_second_and_the_last_sample_always(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	world_settle(&world);
	size_t before = rig_count(&world.rig, "torrent_progress", NULL, NULL);
	int64_t done = 0;
	for (unsigned i = 0; i < 200; i++) { /* ten seconds, twenty samples each */
		done += 1000;
		fake_progress(DOOM, done, LSP_SHIM_STATE_DOWNLOADING, 0);
		fake_post(LSP_SHIM_ALERT_RESUMED, DOOM, NULL, NULL, 0); /* has it looked at */
		world_advance(&world, 50 * LSP_MILLISECOND);
		world_settle(&world);
	}
	size_t told = rig_count(&world.rig, "torrent_progress", NULL, NULL) - before;
	assert_in_range(told, 50, 101);
	/* The latest of those that were not told comes in its turn. */
	world_advance(&world, 100 * LSP_MILLISECOND);
	world_settle(&world);
	size_t until = rig_count(&world.rig, "torrent_progress", NULL, NULL);
	json_t *latest = rig_await(&world.rig, "torrent_progress", NULL, NULL, until);
	assert_int_equal(json_integer_value(json_object_get(latest, "done")), done);
	json_decref(latest);
	fake_progress(DOOM, 2 << 20, LSP_SHIM_STATE_SEEDING, LSP_SHIM_FINISHED | LSP_SHIM_SEEDING);
	fake_post(LSP_SHIM_ALERT_FINISHED, DOOM, NULL, NULL, 0);
	json_decref(rig_await(&world.rig, "torrent_completed", "torrent", DOOM, 1));
	size_t count = rig_count(&world.rig, "torrent_progress", NULL, NULL);
	json_t *last = rig_await(&world.rig, "torrent_progress", NULL, NULL, count);
	assert_int_equal(json_integer_value(json_object_get(last, "done")), 2 << 20);
	json_decref(last);
	/* Once per run. */
	fake_post(LSP_SHIM_ALERT_FINISHED, DOOM, NULL, NULL, 0);
	world_settle(&world);
	assert_int_equal(rig_count(&world.rig, "torrent_completed", NULL, NULL), 1);
	world_done(&world);
}

/* The events of a torrent so far, by their names; a state and a sample with what they say. */
static char *told_of(struct world *world, const char *id)
{
	struct lsp_buffer text = {0};
	size_t index;
	json_t *event;
	pthread_mutex_lock(&world->rig.lock);
	json_array_foreach (world->rig.events, index, event) {
		const char *torrent = json_string_value(json_object_get(event, "torrent"));
		const char *name = json_string_value(json_object_get(event, "event"));
		const char *state = json_string_value(json_object_get(event, "state"));
		const json_t *done = json_object_get(event, "done");
		const json_t *rate = json_object_get(event, "download_rate");
		if (!torrent || strcmp(torrent, id) != 0)
			continue;
		int r = lsp_buffer_printf(&text, NULL, "%s", name + strlen("torrent_"));
		if (r == 0 && state)
			r = lsp_buffer_printf(&text, NULL, " %s", state);
		if (r == 0 && done)
			r = lsp_buffer_printf(&text, NULL, " %d", (int)json_integer_value(done));
		if (r == 0 && rate)
			r = lsp_buffer_printf(&text, NULL, " at %d", (int)json_integer_value(rate));
		if (r == 0)
			r = lsp_buffer_printf(&text, NULL, "; ");
		assert_int_equal(r, 0);
	}
	pthread_mutex_unlock(&world->rig.lock);
	return (char *)text.data;
}

static void a_torrent_is_told_of_first_and_its_end_after_its_last_sample(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	world_settle(&world);
	fake_progress(DOOM, 1000, LSP_SHIM_STATE_DOWNLOADING, 0);
	fake_post(LSP_SHIM_ALERT_RESUMED, DOOM, NULL, NULL, 0);
	world_advance(&world, LSP_SECOND);
	world_settle(&world);
	/* Both ends at once, and in less time than there is between two samples. */
	fake_progress(DOOM, 2 << 20, LSP_SHIM_STATE_SEEDING, LSP_SHIM_FINISHED | LSP_SHIM_SEEDING);
	fake_post(LSP_SHIM_ALERT_STATE, DOOM, NULL, NULL, LSP_SHIM_STATE_FINISHED);
	fake_post(LSP_SHIM_ALERT_FINISHED, DOOM, NULL, NULL, 0);
	json_decref(rig_await(&world.rig, "torrent_completed", "torrent", DOOM, 1));
	_cleanup_free_ char *told = told_of(&world, DOOM);
	/* A state has what the last sample had: a reader that fell behind gets no samples. */
	assert_string_equal(told, "added; progress 0 at 0; state downloading 0; metadata; files; "
				  "progress 1000 at 1000; progress 2097152 at 0; "
				  "state completed 2097152; state seeding 2097152; completed; ");
	world_done(&world);
}

static void an_idle_engine_ticks_once_a_second_and_one_without_torrents_not_at_all(void **state)
{
	struct world world;
	world_init(&world, NULL);
	world_settle(&world);
	assert_int_equal(fake_opens(), 0);
	json_decref(world_add(&world, DOOM));
	fake_progress(DOOM, 2 << 20, LSP_SHIM_STATE_SEEDING, LSP_SHIM_FINISHED | LSP_SHIM_SEEDING);
	for (unsigned i = 0; i < 30; i++) {
		world_advance(&world, 100 * LSP_MILLISECOND);
		world_settle(&world);
	}
	int before = fake_updates();
	for (unsigned i = 0; i < 100; i++) {
		world_advance(&world, 100 * LSP_MILLISECOND);
		world_settle(&world);
	}
	assert_in_range(fake_updates() - before, 9, 11);
	world_done(&world);
}

/* Seconds, so that each is ticked in. */
static void pass(struct world *world, unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		world_advance(world, LSP_SECOND);
		world_settle(world);
	}
}

static void after_the_last_torrent_went_none_is_counted_and_it_rests(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	pass(&world, 3);
	assert_int_equal(world_counters(&world).torrents, 1);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_REMOVE, json_pack("{s:s}", "torrent", DOOM)));
	pass(&world, 3);
	assert_int_equal(world_counters(&world).torrents, 0);
	assert_int_equal(world_counters(&world).downloading, 0);
	int before = fake_updates();
	pass(&world, 10);
	assert_int_equal(fake_updates(), before);
	world_done(&world);
}

static void it_saves_in_time_and_at_the_end(void **state)
{
	struct world world;
	char folder[128];
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	world_settle(&world);
	assert_int_equal(fake_saves(DOOM), 1);
	for (unsigned i = 0; i < 120; i++) {
		world_advance(&world, LSP_SECOND);
		world_settle(&world);
	}
	assert_in_range(fake_saves(DOOM), 3, 4); /* each 45 s, the first earlier by chance */
	snprintf(folder, sizeof folder, "%s", world.rig.folder);
	int before = fake_saves(DOOM);
	rig_stop(&world.rig);
	assert_in_range(fake_saves(DOOM), before + 1, before + 2); /* and once it stands still */
	world_init(&world, folder);
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 1));
	world_done(&world);
}

static void one_that_was_restored_is_listed_as_the_session_has_it(void **state)
{
	struct world world;
	char folder[128];
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	snprintf(folder, sizeof folder, "%s", world.rig.folder);
	rig_stop(&world.rig);
	world_init(&world, folder);
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 1));
	/* No update has come. */
	json_t *list = rig_ask(&world.rig, LSP_TORRENT_LIST, NULL);
	const json_t *status = json_array_get(json_object_get(list, "torrents"), 0);
	assert_string_equal(json_string_value(json_object_get(status, "state")), "downloading");
	assert_int_equal(json_integer_value(json_object_get(status, "total")), 2 << 20);
	json_decref(list);
	world_done(&world);
}

/* Saved for this alone: the interval is far. */
static void assert_saved_by(struct world *world, enum lsp_shim_alert_type type, const char *text)
{
	int before = fake_saves(DOOM);
	fake_post(type, DOOM, text, NULL, 0);
	world_settle(world);
	assert_int_equal(fake_saves(DOOM), before + 1);
}

static void it_saves_on_pause_finish_move_and_after_a_check(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	world_settle(&world);
	assert_saved_by(&world, LSP_SHIM_ALERT_PAUSED, NULL);
	assert_saved_by(&world, LSP_SHIM_ALERT_MOVED, "/tmp/elsewhere");
	fake_progress(DOOM, 2 << 20, LSP_SHIM_STATE_SEEDING, LSP_SHIM_FINISHED | LSP_SHIM_SEEDING);
	assert_saved_by(&world, LSP_SHIM_ALERT_FINISHED, NULL);
	int before = fake_saves(DOOM);
	fake_post(LSP_SHIM_ALERT_CHECKED, DOOM, NULL, NULL, 0); /* no file was read */
	world_settle(&world);
	assert_int_equal(fake_saves(DOOM), before);
	fake_post(LSP_SHIM_ALERT_STATE, DOOM, NULL, NULL, LSP_SHIM_STATE_CHECKING);
	world_settle(&world);
	assert_saved_by(&world, LSP_SHIM_ALERT_CHECKED, NULL);
	world_done(&world);
}

static void the_interval_can_be_set(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	world_settle(&world);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_CONFIGURE,
		json_pack("{s:{s:i}}", "configuration", "save_interval", 2)));
	int before = fake_saves(DOOM);
	for (unsigned i = 0; i < 20; i++) {
		world_advance(&world, LSP_SECOND);
		world_settle(&world);
	}
	assert_in_range(fake_saves(DOOM) - before, 9, 10);
	world_done(&world);
}

/* ---- A full disk ------------------------------------------------------------------------- */

static atomic_bool full;

static int no_space(const struct lsp_fs_event *event, void *argument)
{
	return full && event->call == LSP_FS_WRITE ? ENOSPC : 0;
}

/* There is room again: soon all is well, long before the interval. */
static void await_room(struct world *world)
{
	full = false;
	for (unsigned i = 0; i < 20 && world_health(world); i++) {
		world_advance(world, LSP_SECOND);
		world_settle(world);
	}
	assert_int_equal(world_health(world), 0);
}

static void a_full_disk_degrades_the_store_until_the_next_good_write(void **state)
{
	struct lsp_fs_hooks hooks = {.before = no_space};
	struct world world;
	lsp_fs_set_hooks(&hooks);
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	world_settle(&world);
	full = true;
	json_decref(world_add(&world, QUAKE)); /* works, and is said not to be stored */
	json_t *told = rig_await(&world.rig, "torrent_error", "torrent", QUAKE, 1);
	assert_string_equal(json_string_value(json_object_get(told, "component")), "resume_store");
	json_decref(told);
	assert_int_equal(world_health(&world), 1u << LSP_TORRENT_HEALTH_RESUME_STORE);
	await_room(&world);
	_cleanup_free_ char *record = lsp_text_format("%s/%s.meta.json", world.rig.resume, QUAKE);
	_cleanup_free_ char *blob = lsp_text_format("%s/%s.fastresume", world.rig.resume, QUAKE);
	assert_int_equal(access(record, F_OK), 0);
	assert_int_equal(access(blob, F_OK), 0);
	/* What was stored before is made up for as well, though the library has nothing new. */
	full = true;
	fake_progress(QUAKE, 1000, LSP_SHIM_STATE_DOWNLOADING, 0);
	fake_post(LSP_SHIM_ALERT_PAUSED, QUAKE, NULL, NULL, 0);
	world_settle(&world);
	assert_int_equal(world_health(&world), 1u << LSP_TORRENT_HEALTH_RESUME_STORE);
	assert_int_equal(access(blob, F_OK), 0);
	await_room(&world);
	world_done(&world);
	lsp_fs_set_hooks(NULL);
}

static void limits_that_are_not_taken_degrade_until_they_are(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	fake_ignore_limits(1);
	rig_refuse(&world.rig, LSP_TORRENT_LIMITS, json_pack("{s:i}", "max_download", 1000),
		LSP_E_FAILED, NULL);
	assert_int_equal(world_health(&world), 1u << LSP_TORRENT_HEALTH_LIMITS);
	fake_ignore_limits(0);
	for (unsigned i = 0; i < 3; i++) {
		world_advance(&world, LSP_SECOND);
		world_settle(&world);
	}
	assert_int_equal(world_health(&world), 0);
	/* And payload that is over the cap is seen. */
	int64_t done = 0;
	for (unsigned i = 0; i < 12; i++) {
		done += 150000;
		fake_progress(DOOM, done, LSP_SHIM_STATE_DOWNLOADING, 0);
		world_advance(&world, LSP_SECOND);
		world_settle(&world);
	}
	assert_int_equal(world_health(&world), 1u << LSP_TORRENT_HEALTH_LIMITS);
	world_done(&world);
}

static void each_component_clears_by_its_own_success(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	fake_post(LSP_SHIM_ALERT_LISTEN_FAILED, NULL, "0.0.0.0:1", "in use", 1);
	fake_post(LSP_SHIM_ALERT_TRACKER_ERROR, DOOM, "http://a", "no", 0);
	fake_post(LSP_SHIM_ALERT_FILE_ERROR, DOOM, "/tmp/fake/a", "unplugged", 0);
	json_decref(rig_await(&world.rig, "torrent_error", "torrent", DOOM, 1));
	world_settle(&world);
	fake_post(LSP_SHIM_ALERT_TRACKER_REPLY, DOOM, "http://another", NULL, 3);
	world_settle(&world);
	assert_true(world_health(&world) & (1u << LSP_TORRENT_HEALTH_TRACKER));
	assert_true(world_health(&world) & (1u << LSP_TORRENT_HEALTH_NETWORK));
	fake_post(LSP_SHIM_ALERT_TRACKER_REPLY, DOOM, "http://a", NULL, 3);
	world_settle(&world);
	assert_false(world_health(&world) & (1u << LSP_TORRENT_HEALTH_TRACKER));
	assert_true(world_health(&world) & (1u << LSP_TORRENT_HEALTH_NETWORK));
	fake_post(LSP_SHIM_ALERT_LISTENING, NULL, "0.0.0.0:2", NULL, 1);
	fake_post(LSP_SHIM_ALERT_CHECKED, DOOM, NULL, NULL, 0);
	world_settle(&world);
	assert_int_equal(world_health(&world), 0);
	world_done(&world);
}

/* What nobody asks for any more cannot succeed: it was no success that it waits for. */
static void what_is_turned_off_is_no_fault_any_longer(void **state)
{
	struct world world;
	const uint32_t network = 1u << LSP_TORRENT_HEALTH_NETWORK;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	json_decref(rig_ask(&world.rig, LSP_TORRENT_CONFIGURE,
		json_pack("{s:{s:b}}", "configuration", "upnp", 1)));
	fake_post(LSP_SHIM_ALERT_PORT_MAP_FAILED, NULL, NULL, "no router", 0);
	world_settle(&world);
	assert_int_equal(world_health(&world), network);
	json_decref(
		rig_ask(&world.rig, LSP_TORRENT_CONFIGURE, json_pack("{s:{}}", "configuration")));
	assert_int_equal(world_health(&world), 0);
	fake_post(LSP_SHIM_ALERT_PORT_MAP_FAILED, NULL, NULL, "stopped", 0); /* on its way then */
	fake_post(LSP_SHIM_ALERT_LISTEN_FAILED, NULL, "0.0.0.0:1", "in use", 1);
	world_settle(&world);
	assert_int_equal(world_health(&world), network);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_CONFIGURE,
		json_pack("{s:{s:[]}}", "configuration", "listen")));
	assert_int_equal(world_health(&world), 0);
	fake_post(LSP_SHIM_ALERT_LISTEN_FAILED, NULL, "0.0.0.0:1", "in use", 1);
	world_settle(&world);
	assert_int_equal(world_health(&world), 0);
	world_done(&world);
}

static void calls_that_are_wrong_say_what(void **state)
{
	struct world world;
	char message[512];
	world_init(&world, NULL);
	rig_refuse(&world.rig, LSP_TORRENT_PAUSE, NULL, LSP_E_INVALID, message);
	assert_string_equal(message, "torrent is missing");
	rig_refuse(&world.rig, LSP_TORRENT_PAUSE, json_pack("{s:s}", "torrent", "abcdef"),
		LSP_E_NOT_FOUND, message);
	rig_refuse(&world.rig, LSP_TORRENT_PAUSE, json_pack("{s:i}", "torrent", 5), LSP_E_INVALID,
		NULL);
	rig_refuse(&world.rig, LSP_TORRENT_ADD, json_pack("{s:s}", "save_path", "/tmp"),
		LSP_E_INVALID, message);
	assert_non_null(strstr(message, "magnet is missing"));
	rig_refuse(&world.rig, LSP_TORRENT_ADD,
		json_pack("{s:s, s:s}", "save_path", "relative", "magnet",
			"magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567"),
		LSP_E_INVALID, message);
	assert_non_null(strstr(message, "save_path"));
	rig_refuse(&world.rig, LSP_TORRENT_CONFIGURE,
		json_pack("{s:{s:b}}", "configuration", "dth", 1), LSP_E_INVALID, message);
	assert_non_null(strstr(message, "dth"));
	world_done(&world);
}

/* ---- Waking ------------------------------------------------------------------------------ */

static void a_call_that_comes_while_another_waits_for_the_library_is_answered(void **state)
{
	struct world world;
	struct rig_call inspecting, listing;
	struct rig_answer inspected, listed;
	world_init(&world, NULL);
	struct lsp_torrent_call inspect = {.command = LSP_TORRENT_INSPECT};
	rig_begin(&world.rig, &inspecting, &inspect);
	/* It knows the counts, and waits to be told where the session listens. */
	for (unsigned i = 0; world_counters(&world).alerts == 0; i++) {
		sched_yield();
		if (i > 50000000)
			fail_msg("nothing is inspected");
	}
	struct lsp_torrent_call list = {.command = LSP_TORRENT_LIST};
	rig_begin(&world.rig, &listing, &list);
	fake_post(LSP_SHIM_ALERT_LISTENING, NULL, "0.0.0.0:2", NULL, 1);
	rig_end(&inspecting, &inspected);
	assert_int_equal(inspected.result, 0);
	/* Without a torrent no tick comes to look at the queue. */
	rig_end(&listing, &listed);
	assert_int_equal(listed.result, 0);
	rig_answer_done(&inspected);
	rig_answer_done(&listed);
	world_done(&world);
}

/* ---- The store --------------------------------------------------------------------------- */

static void a_stored_torrent_that_the_session_does_not_take_is_told(void **state)
{
	struct world world;
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	world_settle(&world);
	fake_fail_adds(1);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_RESTART, NULL));
	json_decref(rig_await(&world.rig, "torrent_error", "torrent", DOOM, 1));
	json_t *told =
		rig_await(&world.rig, "torrent_session_error", "component", "resume_store", 1);
	const char *message = json_string_value(json_object_get(told, "message"));
	assert_non_null(strstr(message, DOOM));
	assert_non_null(strstr(message, "no torrent today"));
	json_decref(told);
	world_settle(&world);
	assert_int_equal(world_health(&world), 1u << LSP_TORRENT_HEALTH_RESUME_STORE);
	assert_int_equal(world_counters(&world).restored, 0);
	/* Its files are still there. */
	json_decref(rig_ask(&world.rig, LSP_TORRENT_RESTART, NULL));
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 2));
	world_settle(&world);
	assert_int_equal(world_health(&world), 0);
	assert_int_equal(world_counters(&world).restored, 1);
	world_done(&world);
}

static int no_unlink(const struct lsp_fs_event *event, void *argument)
{
	return full && event->call == LSP_FS_UNLINK ? EACCES : 0;
}

static void files_that_cannot_be_removed_degrade_the_store_until_it_works_again(void **state)
{
	struct lsp_fs_hooks hooks = {.before = no_unlink};
	struct world world;
	char message[512];
	lsp_fs_set_hooks(&hooks);
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	world_settle(&world);
	full = true;
	rig_refuse(&world.rig, LSP_TORRENT_REMOVE, json_pack("{s:s}", "torrent", DOOM), LSP_E_IO,
		message);
	assert_non_null(strstr(message, "is removed, but not from the disk"));
	world_settle(&world);
	assert_int_equal(world_health(&world), 1u << LSP_TORRENT_HEALTH_RESUME_STORE);
	/* It is not a good write of another that it waits for, nor does a new session bring it
	 * back. */
	json_decref(world_add(&world, QUAKE));
	json_decref(rig_ask(&world.rig, LSP_TORRENT_RESTART, NULL));
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", QUAKE, 2));
	world_settle(&world);
	assert_int_equal(rig_count(&world.rig, "torrent_added", "torrent", DOOM), 1);
	assert_int_equal(world_health(&world), 1u << LSP_TORRENT_HEALTH_RESUME_STORE);
	full = false;
	json_decref(rig_ask(&world.rig, LSP_TORRENT_REMOVE, json_pack("{s:s}", "torrent", QUAKE)));
	await_room(&world); /* without a torrent, too */
	_cleanup_free_ char *record = lsp_text_format("%s/%s.meta.json", world.rig.resume, DOOM);
	assert_int_equal(access(record, F_OK), -1);
	world_done(&world);
	lsp_fs_set_hooks(NULL);
}

static void one_that_is_removed_and_kept_comes_back_until_it_is_forgotten(void **state)
{
	struct world world;
	char folder[128];
	world_init(&world, NULL);
	for (int forgotten = 0; forgotten < 2; forgotten++) {
		json_decref(world_add(&world, DOOM));
		world_settle(&world);
		json_decref(rig_ask(&world.rig, LSP_TORRENT_REMOVE,
			json_pack("{s:s, s:b}", "torrent", DOOM, "keep", 1)));
		/* For this program it is gone. */
		json_decref(rig_ask(&world.rig, LSP_TORRENT_RESTART, NULL));
		assert_int_equal(world_counters(&world).restored, (unsigned)forgotten);
		if (forgotten)
			json_decref(rig_ask(&world.rig, LSP_TORRENT_FORGET,
				json_pack("{s:s}", "torrent", DOOM)));
		snprintf(folder, sizeof folder, "%s", world.rig.folder);
		rig_stop(&world.rig);
		world_init(&world, folder);
		world_settle(&world);
		assert_int_equal(world_counters(&world).restored, (unsigned)!forgotten);
		if (!forgotten)
			json_decref(rig_ask(&world.rig, LSP_TORRENT_REMOVE,
				json_pack("{s:s}", "torrent", DOOM)));
	}
	/* What was added again is not forgotten. */
	json_decref(world_add(&world, DOOM));
	json_decref(rig_ask(&world.rig, LSP_TORRENT_REMOVE,
		json_pack("{s:s, s:b}", "torrent", DOOM, "keep", 1)));
	json_decref(world_add(&world, DOOM));
	json_decref(rig_ask(&world.rig, LSP_TORRENT_FORGET, json_pack("{s:s}", "torrent", DOOM)));
	_cleanup_free_ char *record = lsp_text_format("%s/%s.meta.json", world.rig.resume, DOOM);
	assert_int_equal(access(record, F_OK), 0);
	world_done(&world);
}

static void one_that_is_added_again_keeps_what_could_not_be_removed(void **state)
{
	struct lsp_fs_hooks hooks = {.before = no_unlink};
	struct world world;
	lsp_fs_set_hooks(&hooks);
	world_init(&world, NULL);
	json_decref(world_add(&world, DOOM));
	world_settle(&world);
	full = true;
	rig_refuse(&world.rig, LSP_TORRENT_REMOVE, json_pack("{s:s}", "torrent", DOOM), LSP_E_IO,
		NULL);
	full = false;
	json_decref(world_add(&world, DOOM));
	assert_int_equal(world_health(&world), 0);
	for (unsigned i = 0; i < 10; i++) {
		world_advance(&world, LSP_SECOND);
		world_settle(&world);
	}
	_cleanup_free_ char *record = lsp_text_format("%s/%s.meta.json", world.rig.resume, DOOM);
	assert_int_equal(access(record, F_OK), 0);
	world_done(&world);
	lsp_fs_set_hooks(NULL);
}

/* ---- Peers ------------------------------------------------------------------------------- */

static void a_peer_that_is_no_address_is_refused_when_it_is_given(void **state)
{
	static const char *const wrong[] = {"nonsense", "", "10.0.0.2", "10.0.0.2:", "10.0.0.2:0",
		"10.0.0.2:65536", "10.0.0.2: 80", "10.0.0.2:-1", ":6881", "[]:6881", "host:6881",
		"10.0.0.2%eth0:6881", "[fd00::2:6881", "[fd00::zz]:6881", "10.0.0.256:6881"};
	static const char *const right[] = {"10.0.0.2:6881", "[fd00::2]:1", "[fe80::1%eth0]:65535"};
	struct world world;
	char message[512];
	world_init(&world, NULL);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(wrong); i++) {
		rig_refuse(&world.rig, LSP_TORRENT_ADD_PEERS,
			json_pack("{s:[s, s]}", "peers", right[0], wrong[i]), LSP_E_INVALID,
			message);
		assert_non_null(strstr(message, "is no address and port"));
		assert_non_null(strstr(message, wrong[i]));
		rig_refuse(&world.rig, LSP_TORRENT_ADD,
			json_pack("{s:s, s:s, s:[s]}", "save_path", "/tmp/fake", "magnet",
				"magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567",
				"peers", wrong[i]),
			LSP_E_INVALID, NULL);
	}
	rig_refuse(&world.rig, LSP_TORRENT_ADD_PEERS, NULL, LSP_E_INVALID, NULL);
	rig_refuse(&world.rig, LSP_TORRENT_ADD_PEERS, json_pack("{s:[i]}", "peers", 5),
		LSP_E_INVALID, NULL);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(right); i++)
		json_decref(rig_ask(&world.rig, LSP_TORRENT_ADD_PEERS,
			json_pack("{s:[s]}", "peers", right[i])));
	world_done(&world);
}

static void add_with(struct world *world, const char *id, const char *file, const char *peers)
{
	char text[256];
	struct lsp_torrent_call call = {.command = LSP_TORRENT_ADD,
		.arguments = json_pack(
			"{s:s, s:[s]}", "save_path", "/tmp/fake", peers, "10.0.0.2:6881")};
	struct rig_answer answer;
	snprintf(text, sizeof text, "torrent:%s:%s", id, file);
	assert_ok(lsp_buffer_append(&call.metainfo, text, strlen(text), ERR));
	rig_call_full(&world->rig, &call, &answer);
	assert_int_equal(answer.result, 0);
	rig_answer_done(&answer);
}

static void a_private_torrent_is_told_of_no_peers_that_happen_to_be_near(void **state)
{
	struct world world;
	world_init(&world, NULL);
	add_with(&world, DOOM, "private", "lan_peers");
	add_with(&world, QUAKE, "a", "lan_peers");
	assert_int_equal(fake_peers(DOOM), 0);
	assert_int_equal(fake_peers(QUAKE), 1);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_ADD_PEERS,
		json_pack("{s:s, s:[s]}", "torrent", DOOM, "lan_peers", "10.0.0.3:6881")));
	json_decref(rig_ask(&world.rig, LSP_TORRENT_ADD_PEERS,
		json_pack("{s:[s]}", "lan_peers", "10.0.0.3:6881")));
	assert_int_equal(fake_peers(DOOM), 0);
	assert_int_equal(fake_peers(QUAKE), 2);
	/* Whom the user names is another matter. */
	json_decref(rig_ask(&world.rig, LSP_TORRENT_ADD_PEERS,
		json_pack("{s:s, s:[s]}", "torrent", DOOM, "peers", "10.0.0.4:6881")));
	assert_int_equal(fake_peers(DOOM), 1);
	world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_that_breaks_is_opened_again_with_what_is_stored),
		cmocka_unit_test(
			after_a_break_it_tries_five_times_gives_up_and_comes_back_with_the_next_call),
		cmocka_unit_test(an_unhealthy_engine_answers_the_call_that_started_it),
		cmocka_unit_test(restart_gives_a_new_session_at_once),
		cmocka_unit_test(progress_comes_ten_times_a_second_and_the_last_sample_always),
		cmocka_unit_test(a_torrent_is_told_of_first_and_its_end_after_its_last_sample),
		cmocka_unit_test(
			an_idle_engine_ticks_once_a_second_and_one_without_torrents_not_at_all),
		cmocka_unit_test(after_the_last_torrent_went_none_is_counted_and_it_rests),
		cmocka_unit_test(it_saves_in_time_and_at_the_end),
		cmocka_unit_test(one_that_was_restored_is_listed_as_the_session_has_it),
		cmocka_unit_test(it_saves_on_pause_finish_move_and_after_a_check),
		cmocka_unit_test(the_interval_can_be_set),
		cmocka_unit_test(a_full_disk_degrades_the_store_until_the_next_good_write),
		cmocka_unit_test(limits_that_are_not_taken_degrade_until_they_are),
		cmocka_unit_test(each_component_clears_by_its_own_success),
		cmocka_unit_test(what_is_turned_off_is_no_fault_any_longer),
		cmocka_unit_test(calls_that_are_wrong_say_what),
		cmocka_unit_test(a_call_that_comes_while_another_waits_for_the_library_is_answered),
		cmocka_unit_test(a_stored_torrent_that_the_session_does_not_take_is_told),
		cmocka_unit_test(
			files_that_cannot_be_removed_degrade_the_store_until_it_works_again),
		cmocka_unit_test(one_that_is_removed_and_kept_comes_back_until_it_is_forgotten),
		cmocka_unit_test(one_that_is_added_again_keeps_what_could_not_be_removed),
		cmocka_unit_test(a_peer_that_is_no_address_is_refused_when_it_is_given),
		cmocka_unit_test(a_private_torrent_is_told_of_no_peers_that_happen_to_be_near),
	};
	return cmocka_run_group_tests_name("torrent worker", tests, NULL, NULL);
}
