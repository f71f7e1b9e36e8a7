/* Stored torrents that stand still until it is known where they lie: over a shim that is none. */
#include "world.h"

#include "base/log.h"
#include "torrent/looks.h"

#include <pthread.h>
#include <sched.h>

#define GAME "6a3e000000000000000000000000000000000000000000000000000000000000"
#define PLACE_OF_DOOM "/tmp/fake/doom"
#define DEAD "/proc/fake/" /* that something is mounted above it is all that is known of it */
#define DEAD_COUNT 40

/* Who is asked, and what it says. */
static struct {
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	bool blocks;     /* one that asks about DOOM waits */
	int says;        /* of DOOM */
	unsigned asked;  /* about DOOM, and what is in DEAD */
	unsigned others; /* about the rest */
	char path[64];   /* of DOOM, the last */
	unsigned lines;  /* of the log, about silence */
	char line[512];  /* the last of them */
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int answer(
	void *argument, const char *id, const char *path, const char *name, struct lsp_error *err)
{
	pthread_mutex_lock(&disk.lock);
	bool is_doom = strcmp(id, DOOM) == 0 || strncmp(path, DEAD, strlen(DEAD)) == 0;
	disk.asked += is_doom;
	disk.others += !is_doom;
	if (is_doom)
		snprintf(disk.path, sizeof disk.path, "%s", path);
	while (is_doom && disk.blocks)
		pthread_cond_wait(&disk.changed, &disk.lock);
	int says = is_doom ? disk.says : 0;
	pthread_mutex_unlock(&disk.lock);
	if (says > 0)
		lsp_error_set(err, "test", LSP_E_INVALID, "the answer is no");
	return says;
}

static void set_disk(bool blocks, int says)
{
	pthread_mutex_lock(&disk.lock);
	disk.blocks = blocks;
	disk.says = says;
	pthread_cond_broadcast(&disk.changed);
	pthread_mutex_unlock(&disk.lock);
}

static unsigned asked(void)
{
	pthread_mutex_lock(&disk.lock);
	unsigned count = disk.asked;
	pthread_mutex_unlock(&disk.lock);
	return count;
}

/* DOOM was asked about so often. */
static void await_asked(struct world *world, unsigned count)
{
	lsp_time limit = fixture_limit();
	while (asked() < count) {
		world_settle(world);
		if (lsp_now(lsp_clock_system) > limit)
			fail_msg("it was asked about %u times", asked());
	}
}

static void note_line(
	enum lsp_log_level level, const char *component, const char *message, void *argument)
{
	if (!strstr(message, "answer"))
		return; /* and is not about where one lies */
	pthread_mutex_lock(&disk.lock);
	disk.lines++;
	snprintf(disk.line, sizeof disk.line, "%s", message);
	pthread_mutex_unlock(&disk.lock);
}

static unsigned lines(struct world *world, const char *words)
{
	world_settle(world);
	pthread_mutex_lock(&disk.lock);
	unsigned count = disk.lines;
	if (count && !strstr(disk.line, words))
		fail_msg("%s", disk.line);
	pthread_mutex_unlock(&disk.lock);
	return count;
}

static json_t *status_of(struct world *world, const char *id)
{
	json_t *list = rig_ask(&world->rig, LSP_TORRENT_LIST, json_pack("{s:s}", "torrent", id));
	json_t *status = json_incref(json_array_get(json_object_get(list, "torrents"), 0));
	json_decref(list);
	return status;
}

static bool is_so(struct world *world, const char *id, const char *state, bool paused)
{
	json_t *status = status_of(world, id);
	bool same = strcmp(json_string_value(json_object_get(status, "state")), state) == 0 &&
		    json_is_true(json_object_get(status, "paused")) == paused;
	json_decref(status);
	return same;
}

static void await_state(struct world *world, const char *id, const char *state, bool paused)
{
	lsp_time limit = fixture_limit();
	while (!is_so(world, id, state, paused)) {
		world_advance(world, 100 * LSP_MILLISECOND);
		world_settle(world);
		if (lsp_now(lsp_clock_system) > limit)
			fail_msg("%.4s is not %s", id, state);
	}
}

/* DOOM, in a place of its own, QUAKE and a game's are stored; the engine comes back. */
static void begin(struct world *world, bool blocks, int says)
{
	char folder[128];
	json_t *status = NULL;
	world_hold = NULL;
	world_init(world, NULL);
	assert_int_equal(
		world_try_add(world, DOOM,
			json_pack("{s:s, s:b}", "save_path", PLACE_OF_DOOM, "auto_managed", false),
			&status),
		0);
	json_decref(status);
	json_decref(world_add(world, QUAKE));
	assert_int_equal(
		world_try_add(world, GAME, json_pack("{s:s}", "game", "large"), &status), 0);
	json_decref(status);
	world_settle(world);
	snprintf(folder, sizeof folder, "%s", world->rig.folder);
	rig_stop(&world->rig);
	disk.asked = disk.others = disk.lines = 0;
	set_disk(blocks, says);
	world_hold = answer;
	world_init(world, folder);
	json_decref(rig_await(&world->rig, "torrent_added", "torrent", DOOM, 1));
	await_asked(world, 1);
}

static json_t *doom(void)
{
	return json_pack("{s:s}", "torrent", DOOM);
}

static void a_place_that_does_not_answer_keeps_nobody_else(void **state)
{
	struct world world;
	begin(&world, true, 0);
	await_state(&world, QUAKE, "downloading", false);
	await_state(&world, GAME, "downloading", false);
	assert_true(fake_add_flags(DOOM) & LSP_SHIM_PAUSED);
	assert_false(fake_add_flags(GAME) & LSP_SHIM_PAUSED); /* is where its download put it */
	await_state(&world, DOOM, "queued", false);
	assert_int_equal(disk.others, 1);
	set_disk(false, 0);
	await_state(&world, DOOM, "downloading", false);
	assert_int_equal(asked(), 1);
	world_done(&world);
}

static void one_that_lies_where_it_must_not_is_paused_for_good(void **state)
{
	struct world world;
	char folder[128];
	lsp_log_set_sink(note_line, NULL);
	begin(&world, false, 1);
	await_state(&world, DOOM, "paused", true);
	assert_int_equal(lines(&world, "0000 is held: the answer is no"), 1);
	lsp_log_set_sink(NULL, NULL);
	snprintf(folder, sizeof folder, "%s", world.rig.folder);
	rig_stop(&world.rig);
	world_init(&world, folder);
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", DOOM, 1));
	await_state(&world, DOOM, "paused", true);
	assert_int_equal(asked(), 1); /* and is not asked about while it is */
	world_done(&world);
}

static void the_engine_ends_while_a_place_does_not_answer(void **state)
{
	struct world world;
	begin(&world, true, 1);
	lsp_cancel_request(world.rig.runtime.root, LSP_CANCEL_USER, NULL);
	world_await_state(&world, LSP_SUPERVISED_STOPPED);
	assert_false(fake_is_open());
	set_disk(false, 1);
	world_done(&world);
}

static void where_memory_is_short_it_stands_still_and_is_asked_about_again(void **state)
{
	struct world world;
	begin(&world, false, -LSP_E_NO_MEMORY);
	await_state(&world, DOOM, "queued", false);
	world_advance(&world, 4 * LSP_SECOND);
	world_settle(&world);
	assert_int_equal(asked(), 1);
	for (unsigned i = 0; i < 20 && asked() == 1; i++) {
		world_advance(&world, LSP_SECOND);
		world_settle(&world);
	}
	await_asked(&world, 2);
	set_disk(false, 0);
	await_state(&world, DOOM, "downloading", false);
	world_done(&world);
}

static void who_is_paused_or_resumed_meanwhile_is_what_the_command_says(void **state)
{
	lsp_log_set_sink(note_line, NULL);
	for (unsigned resumes = 0; resumes < 2; resumes++) {
		struct world world;
		begin(&world, true, !resumes ? 0 : 1);
		json_decref(rig_ask(
			&world.rig, resumes ? LSP_TORRENT_RESUME : LSP_TORRENT_PAUSE, doom()));
		const char *wanted = resumes ? "downloading" : "paused";
		await_state(&world, DOOM, wanted, !resumes);
		set_disk(false, resumes ? 1 : 0);
		for (unsigned i = 0; i < 20; i++) {
			world_advance(&world, LSP_SECOND);
			world_settle(&world);
		}
		assert_true(is_so(&world, DOOM, wanted, !resumes));
		assert_int_equal(lines(&world, ""), 0); /* nor is it called held */
		world_done(&world);
	}
	lsp_log_set_sink(NULL, NULL);
}

static void what_the_library_does_not_resume_is_asked_about_again(void **state)
{
	struct world world;
	begin(&world, false, -LSP_E_NO_MEMORY);
	fake_fail_resumes(2);
	rig_refuse(&world.rig, LSP_TORRENT_RESUME, doom(), LSP_E_FAILED, NULL);
	await_state(&world, DOOM, "queued", false);
	set_disk(false, 0);
	/* The answers come from tasks: who knows how many seconds they take on this clock. */
	lsp_time limit = fixture_limit();
	while (!is_so(&world, DOOM, "downloading", false)) {
		world_advance(&world, LSP_SECOND);
		world_settle(&world);
		if (lsp_now(lsp_clock_system) > limit)
			fail_msg("it was asked about %u times, and is not resumed", asked());
	}
	assert_true(asked() >= 2);
	world_done(&world);
}

static void an_answer_about_one_that_was_removed_is_dropped(void **state)
{
	struct world world;
	begin(&world, true, 1);
	json_decref(rig_ask(&world.rig, LSP_TORRENT_REMOVE, doom()));
	json_decref(rig_await(&world.rig, "torrent_removed", "torrent", DOOM, 1));
	set_disk(false, 1);
	await_state(&world, QUAKE, "downloading", false);
	world_done(&world);
}

/* In as many places on one disk; the engine comes back. */
static void begin_with_a_dead_disk(struct world *world)
{
	char folder[128], id[65], place[64];
	json_t *status = NULL;
	world_hold = NULL;
	world_init(world, NULL);
	for (unsigned i = 0; i < DEAD_COUNT; i++) {
		snprintf(id, sizeof id, "%02x%062d", i + 1, 0);
		snprintf(place, sizeof place, DEAD "%u", i);
		assert_int_equal(
			world_try_add(world, id, json_pack("{s:s}", "save_path", place), &status),
			0);
		json_decref(status);
	}
	json_decref(world_add(world, QUAKE));
	world_settle(world);
	snprintf(folder, sizeof folder, "%s", world->rig.folder);
	rig_stop(&world->rig);
	disk.asked = disk.others = disk.lines = 0;
	set_disk(true, 0);
	world_hold = answer;
	world_init(world, folder);
}

static void a_disk_that_does_not_answer_keeps_no_other_and_is_told_of_once(void **state)
{
	struct world world;
	lsp_log_set_sink(note_line, NULL);
	begin_with_a_dead_disk(&world);
	json_decref(rig_await(&world.rig, "torrent_added", "torrent", QUAKE, 1));
	await_state(&world, QUAKE, "downloading", false);
	await_asked(&world, LSP_LOOKS_OF_DISK);
	world_settle(&world);
	assert_int_equal(asked(), LSP_LOOKS_OF_DISK);
	assert_int_equal(lines(&world, ""), 0);
	for (unsigned i = 0; i < 30; i++) {
		world_advance(&world, LSP_SECOND);
		world_settle(&world);
	}
	assert_int_equal(lines(&world, "the disk at /proc has not answered for 30 s"), 1);
	lines(&world, ": 40 stored torrents there stand still until it does");
	for (unsigned i = 0; i < 60; i++) {
		world_advance(&world, LSP_SECOND);
		world_settle(&world);
	}
	assert_int_equal(lines(&world, "the disk at /proc"), 1);
	set_disk(false, 0);
	await_asked(&world, DEAD_COUNT);
	lsp_time limit = fixture_limit();
	while (lines(&world, "") < 2)
		assert_true(lsp_now(lsp_clock_system) < limit);
	assert_int_equal(lines(&world, "has answered"), 2);
	lsp_log_set_sink(NULL, NULL);
	world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_place_that_does_not_answer_keeps_nobody_else),
		cmocka_unit_test(a_disk_that_does_not_answer_keeps_no_other_and_is_told_of_once),
		cmocka_unit_test(one_that_lies_where_it_must_not_is_paused_for_good),
		cmocka_unit_test(the_engine_ends_while_a_place_does_not_answer),
		cmocka_unit_test(where_memory_is_short_it_stands_still_and_is_asked_about_again),
		cmocka_unit_test(who_is_paused_or_resumed_meanwhile_is_what_the_command_says),
		cmocka_unit_test(what_the_library_does_not_resume_is_asked_about_again),
		cmocka_unit_test(an_answer_about_one_that_was_removed_is_dropped),
	};
	return cmocka_run_group_tests_name("torrent held", tests, NULL, NULL);
}
