/* A late game that is whole becomes one, whatever goes wrong or is killed on the way. */
#include "torrent_late_room.h"

#include "content/stage.h"

/* ---- Becoming a game ---- */

/* It has all, is exported and hashed, another stage goes, and its torrent and the promise are kept.
 */
static void be_promised(void)
{
	have_all();
	answer(LSP_TORRENT_EXPORT, exported());
	for (unsigned i = 0; i < 4; i++)
		run_job();
}

/* Up to the answer that it has left the session. */
static void become_promised(struct lsp_peer *peer)
{
	write_files();
	bring_back(peer, "seeding");
	be_promised();
}

static void leave_the_session(struct lsp_peer *peer)
{
	become_promised(peer);
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
}

static void be_killed_with_a_stage(struct lsp_peer *peer)
{
	leave_the_session(peer);
	room.jobs[0]->work(room.jobs[0]);
	be_killed(peer);
}

static void one_that_is_whole_becomes_a_download_of_its_content(void **state)
{
	struct lsp_peer *peer = *state;
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, exported());
	run_job(); /* hashed */
	run_job(); /* another stage is gone */
	assert_int_equal(room.kept, 0);
	run_job(); /* its torrent is kept */
	assert_int_equal(room.kept, 1);
	assert_true(is_there(".lanspread/torrent/files/data"));
	assert_false(lsp_torrent_late_cancel(late_of(peer))); /* too late */
	run_job();                                            /* promised */
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	run_job(); /* placed */
	assert_true(is_there(".lanspread/stage/files/data"));
	assert_false(is_there(".lanspread/torrent"));
	assert_int_equal(room.downloads, 1);
	assert_int_equal(room.engine, LSP_ENGINE_SWARM);
	assert_int_equal(room.aliases, 1);
	assert_int_equal(room.told[LSP_TORRENT_FORGET], 0); /* the saves come first */
	run_job();
	assert_int_equal(room.told[LSP_TORRENT_FORGET], 1);
	assert_null(late_of(peer));
	assert_int_equal(room.failed, 0);
}

static void a_cancel_while_it_is_hashed_leaves_it_to_the_engine(void **state)
{
	struct lsp_peer *peer = *state;
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, exported());
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	run_job();
	assert_int_equal(room.failed, 1);
	assert_false(is_busy(peer));
	assert_true(is_there(".lanspread/torrent/files/data"));
	assert_int_equal(room.told[LSP_TORRENT_PAUSE], 1);
	assert_int_equal(room.told[LSP_TORRENT_REMOVE], 0);
	/* And it goes on from there. */
	assert_int_equal(lsp_torrent_late_go_on(late_of(peer), NULL), 0);
	lsp_torrent_late_tick(peer);
	assert_int_equal(room.asked.command, LSP_TORRENT_HAVE);
}

static void a_session_that_breaks_is_waited_for(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_torrent_answer closed = {.result = -LSP_E_CLOSED, .error.code = LSP_E_CLOSED};
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, closed);
	assert_int_equal(room.asked.command, LSP_TORRENT_HAVE);
	answer(LSP_TORRENT_HAVE, closed);
	assert_true(is_busy(peer));
	bring_back(peer, "seeding");
	lsp_torrent_late_tick(peer);
	assert_int_equal(room.asked.command, LSP_TORRENT_HAVE);
	assert_int_equal(room.failed, 0);
}

static void what_no_game_may_have_fails_and_stays_with_the_engine(void **state)
{
	struct lsp_peer *peer = *state;
	write_file(".lanspread/torrent/files/aux.txt", "no");
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, exported());
	run_job();
	assert_int_equal(room.failed, 1);
	assert_non_null(strstr(room.failure, "aux"));
	assert_int_equal(room.told[LSP_TORRENT_REMOVE], 0);
	assert_non_null(late_of(peer));
}

static void a_game_that_came_meanwhile_is_not_overwritten(void **state)
{
	struct lsp_peer *peer = *state;
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, exported());
	room.local = (struct lsp_library_game){.state = LSP_LIBRARY_READY};
	room.is_local = true;
	run_job();
	assert_int_equal(room.failed, 1);
	assert_non_null(strstr(room.failure, "another content"));
	assert_int_equal(room.told[LSP_TORRENT_REMOVE], 0);
}

/* Until the promise is kept, or is not, nothing is lost whenever the program is killed. */
static void a_kill_before_the_files_were_moved_leaves_a_torrent_that_has_them(void **state)
{
	struct lsp_peer *peer = *state;
	leave_the_session(peer);
	be_killed(peer);
	bring_back(peer, "seeding");
	assert_int_equal(
		room.told[LSP_TORRENT_PAUSE], 1); /* until it is known where its files are */
	run_job();
	assert_int_equal(room.told[LSP_TORRENT_RESUME], 1);
	assert_int_equal(room.asked.command, LSP_TORRENT_HAVE);
	assert_int_equal(room.downloads, 0);
}

static void a_kill_after_that_leaves_a_download(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_hash content = {0};
	be_killed_with_a_stage(peer);
	write_file(".lanspread/torrent/files/empty", ""); /* as the engine does at its start */
	bring_back(peer, "downloading");
	run_job();
	assert_int_equal(room.downloads, 1);
	assert_false(lsp_hash_equal(&room.wanted, &content));
	assert_int_equal(room.aliases, 1);
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	assert_null(late_of(peer));
	run_job();
}

static void a_stage_that_cannot_be_made_is_tried_again(void **state)
{
	struct lsp_peer *peer = *state;
	leave_the_session(peer);
	struct lsp_job *job = room.jobs[0];
	room.job_count = 0;
	job->result = lsp_error_set(&job->error, "content", LSP_E_NO_SPACE, "the disk is full");
	job->done(job);
	assert_int_equal(room.failed, 1);
	assert_false(is_busy(peer));
	assert_true(is_there(".lanspread/torrent/files/data"));
	assert_int_equal(room.told[LSP_TORRENT_FORGET], 0);
	assert_int_equal(lsp_torrent_late_go_on(late_of(peer), NULL), 0);
	run_job();
	assert_int_equal(room.downloads, 1);
	assert_true(is_there(".lanspread/stage/files/data"));
	run_job();
}

static struct lsp_torrent_answer closed_answer(void)
{
	return (struct lsp_torrent_answer){.result = -LSP_E_CLOSED,
		.error = {.code = LSP_E_CLOSED, .message = "the engine broke"}};
}

/* The session may have let it go before it broke: it is in no session then, and still a torrent. */
static void one_whose_session_breaks_while_it_leaves_is_told_to_leave_the_next(void **state)
{
	struct lsp_peer *peer = *state;
	become_promised(peer);
	answer(LSP_TORRENT_REMOVE, closed_answer());
	assert_int_equal(room.failed, 0);
	assert_null(room.asked.done);
	room.is_closed = true;
	lsp_torrent_late_tick(peer);
	assert_null(room.asked.done);
	room.is_closed = false;
	lsp_torrent_late_tick(peer);
	struct lsp_torrent_answer gone = {.result = -LSP_E_NOT_FOUND};
	answer(LSP_TORRENT_REMOVE, gone);
	run_job();
	assert_int_equal(room.downloads, 1);
	assert_true(is_there(".lanspread/stage/files/data"));
	run_job();
	lsp_torrent_late_tick(peer);
	assert_null(room.asked.done);
	assert_null(late_of(peer));
}

static void one_whose_promise_cannot_be_kept_stays_a_torrent(void **state)
{
	struct lsp_peer *peer = *state;
	become_whole(peer);
	answer(LSP_TORRENT_EXPORT, exported());
	run_job();
	room.is_full = true;
	run_job();
	run_job();
	run_job();
	assert_null(room.asked.done);
	assert_int_equal(room.failed, 1);
	assert_non_null(strstr(room.failure, "is the disk full?"));
	assert_true(is_there(".lanspread/torrent/files/data"));
	/* And becomes a game when there is room. */
	room.is_full = false;
	assert_int_equal(lsp_torrent_late_go_on(late_of(peer), NULL), 0);
	lsp_torrent_late_tick(peer);
	be_promised();
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	run_job();
	assert_int_equal(room.downloads, 1);
	run_job();
}

static void a_download_that_does_not_begin_is_begun_again_with_all_that_is_there(void **state)
{
	struct lsp_peer *peer = *state;
	leave_the_session(peer);
	room.refusal = -LSP_E_NO_MEMORY;
	run_job();
	assert_int_equal(room.failed, 1);
	assert_int_equal(room.told[LSP_TORRENT_FORGET], 0);
	assert_true(is_there(".lanspread/stage/files/data"));
	assert_int_equal(lsp_torrent_late_go_on(late_of(peer), NULL), 0);
	run_job();
	assert_int_equal(room.downloads, 1);
	assert_true(is_there(".lanspread/stage/files/data"));
	run_job();
	assert_int_equal(room.told[LSP_TORRENT_FORGET], 1);
}

/* ---- What was set of it ---- */

static void settings_event(struct lsp_peer *peer, json_t *settings)
{
	event(peer, json_pack("{s:s, s:o}", "event", "torrent_settings", "settings", settings));
}

static void expect_options(json_t *expected)
{
	if (!json_equal(room.options, expected)) {
		char *text = json_dumps(room.options, JSON_ENCODE_ANY);
		fail_msg("the game has %s", text ? text : "nothing");
	}
	json_decref(expected);
}

static void what_was_asked_for(struct lsp_peer *peer)
{
	json_t *asked = json_pack("{s:i, s:s, s:[s], s:f, s:s}", "max_upload", 1000, "category",
		"party", "tags", "one", "seed_ratio", 2.0, "peers", "x");
	lsp_torrent_wish_keep(peer, ID, asked);
	json_decref(asked);
}

static void what_is_set_of_it_holds_once_it_is_a_game(void **state)
{
	struct lsp_peer *peer = *state;
	what_was_asked_for(peer);
	become_promised(peer);
	/* Of what it was asked for its tags were taken away; of what holds later it knows nothing.
	 */
	settings_event(peer, json_pack("{s:i, s:i, s:s, s:b, s:[s], s:b}", "max_upload", 5000,
				     "max_download", 7, "category", "hall", "paused", 1, "trackers",
				     "udp://a:1", "trackers_set", 1));
	be_killed(peer);
	bring_back(peer, "seeding");
	run_job();
	be_promised();
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	run_job();
	expect_options(json_pack("{s:i, s:i, s:s, s:f, s:s, s:[s], s:b}", "max_upload", 5000,
		"max_download", 7, "category", "hall", "seed_ratio", 2.0, "peers", "x", "trackers",
		"udp://a:1", "trackers_set", 1));
	run_job();
}

/* It is to go on by the LAN. */
static void ask_for_the_manifest(struct lsp_peer *peer)
{
	struct lsp_hash content = {{1}}; /* whose it is nobody looks at before it comes */
	assert_int_equal(lsp_torrent_late_go_on_by_lan(late_of(peer), &content, NULL), 0);
}

static void manifest_comes(void)
{
	struct lsp_manifest_entry entry = {.path = "version.ini", .size = 9, .root = {{1}}};
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
	assert_int_equal(lsp_manifest_build(GAME, &entry, 1, &manifest, NULL), 0);
	room.manifest_came(room.manifest_argument, manifest, NULL);
}

static void by_the_lan_it_keeps_its_limits_and_tells_no_tracker(void **state)
{
	struct lsp_peer *peer = *state;
	write_files();
	bring_back(peer, "downloading");
	settings_event(peer, json_pack("{s:i, s:[s], s:b}", "max_upload", 5000, "trackers",
				     "udp://a:1", "trackers_set", 1));
	ask_for_the_manifest(peer);
	manifest_comes();
	run_job();
	run_job();
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	run_job();
	expect_options(json_pack("{s:i}", "max_upload", 5000));
	run_job();
}

/* ---- What cannot be seen is not taken for absent ---- */

static const char *unreadable; /* the end of the path, on which opening fails */
static int fault;

static int before_read(const char *path, void *argument)
{
	return unreadable && lsp_text_ends_with(path, unreadable) ? fault : 0;
}

static const struct lsp_fs_hooks hooks = {.before_read = before_read};

static void a_stage_that_cannot_be_read_after_a_kill_is_neither_fetched_again_nor_lost(void **state)
{
	struct lsp_peer *peer = *state;
	static const int faults[] = {EIO, EMFILE, EACCES};
	be_killed_with_a_stage(peer);
	bring_back(peer, "downloading");
	for (size_t i = 0; i < LSP_ARRAY_SIZE(faults); i++) {
		unreadable = i ? "/manifest" : GAME;
		fault = faults[i];
		room.failure[0] = '\0';
		lsp_fs_set_hooks(&hooks);
		while (room.job_count > 0) /* which may look at the disk too */
			run_job();
		lsp_fs_set_hooks(NULL);
		assert_int_equal(room.failed, i + 1);
		assert_non_null(strstr(room.failure, i ? "manifest" : GAME));
		assert_int_equal(room.told[LSP_TORRENT_RESUME], 0);
		assert_int_equal(room.downloads, 0);
		assert_true(is_there(".lanspread/stage/files/data"));
		assert_true(lsp_torrent_late_is_held(late_of(peer)));
		assert_int_equal(lsp_torrent_late_go_on_by_lan(late_of(peer), &room.wanted, NULL),
			-LSP_E_BUSY);
		assert_int_equal(lsp_torrent_late_go_on(late_of(peer), NULL), 0);
		assert_false(lsp_torrent_late_cancel(late_of(peer)));
	}
	run_job();
	assert_int_equal(room.downloads, 1);
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	run_job();
}

/* As it is after such a fault: who rests has nobody who waits for it. */
static void one_that_rests_with_a_stage_keeps_it_until_it_is_wanted(void **state)
{
	struct lsp_peer *peer = *state;
	be_killed_with_a_stage(peer);
	lsp_torrent_wish_set_stopped(peer, ID, true);
	bring_back(peer, "paused");
	run_job();
	lsp_torrent_late_tick(peer);
	assert_int_equal(room.downloads, 0);
	assert_int_equal(room.told[LSP_TORRENT_RESUME], 0);
	assert_int_equal(lsp_torrent_late_go_on(late_of(peer), NULL), 0);
	assert_int_equal(room.told[LSP_TORRENT_RESUME], 0);
	run_job();
	assert_int_equal(room.downloads, 1);
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	run_job();
}

static void files_that_cannot_be_seen_are_not_replaced_by_an_empty_stage(void **state)
{
	struct lsp_peer *peer = *state;
	leave_the_session(peer);
	/* A link in the way: what it leads to is not looked at. */
	char *from = path_of(".lanspread/torrent"), *to = path_of("elsewhere");
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(symlink(to, from), 0);
	run_job();
	assert_int_equal(room.failed, 1);
	assert_int_equal(room.downloads, 0);
	assert_false(is_there(".lanspread/stage/manifest"));
	assert_true(is_there("elsewhere/files/data"));
	assert_int_equal(unlink(from), 0);
	assert_int_equal(rename(to, from), 0);
	assert_int_equal(lsp_torrent_late_go_on(late_of(peer), NULL), 0);
	run_job();
	assert_int_equal(room.downloads, 1);
	assert_true(is_there(".lanspread/stage/files/data"));
	run_job();
	free(from);
	free(to);
}

static void one_goes_on_by_the_lan_with_what_it_has(void **state)
{
	struct lsp_peer *peer = *state;
	write_files();
	bring_back(peer, "downloading");
	ask_for_the_manifest(peer);
	manifest_comes();
	run_job();
	run_job();
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	run_job();
	assert_int_equal(room.downloads, 1);
	assert_int_equal(room.engine, LSP_ENGINE_LAN);
	assert_int_equal(room.aliases, 0);
	assert_true(is_there(".lanspread/stage/files/version.ini"));
	run_job();
}

static void one_that_is_cancelled_while_its_manifest_is_asked_for_rests(void **state)
{
	struct lsp_peer *peer = *state;
	bring_back(peer, "downloading");
	ask_for_the_manifest(peer);
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	manifest_comes();
	assert_int_equal(room.job_count, 0);
	assert_int_equal(room.downloads, 0);
	assert_int_equal(room.failed, 1);
	assert_non_null(strstr(room.failure, "cancelled"));
	assert_false(is_busy(peer));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, room_start, room_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_that_is_whole_becomes_a_download_of_its_content),
		TEST(a_cancel_while_it_is_hashed_leaves_it_to_the_engine),
		TEST(a_session_that_breaks_is_waited_for),
		TEST(what_no_game_may_have_fails_and_stays_with_the_engine),
		TEST(a_game_that_came_meanwhile_is_not_overwritten),
		TEST(a_kill_before_the_files_were_moved_leaves_a_torrent_that_has_them),
		TEST(a_kill_after_that_leaves_a_download),
		TEST(a_stage_that_cannot_be_made_is_tried_again),
		TEST(one_whose_session_breaks_while_it_leaves_is_told_to_leave_the_next),
		TEST(one_whose_promise_cannot_be_kept_stays_a_torrent),
		TEST(a_download_that_does_not_begin_is_begun_again_with_all_that_is_there),
		TEST(what_is_set_of_it_holds_once_it_is_a_game),
		TEST(by_the_lan_it_keeps_its_limits_and_tells_no_tracker),
		TEST(a_stage_that_cannot_be_read_after_a_kill_is_neither_fetched_again_nor_lost),
		TEST(one_that_rests_with_a_stage_keeps_it_until_it_is_wanted),
		TEST(files_that_cannot_be_seen_are_not_replaced_by_an_empty_stage),
		TEST(one_goes_on_by_the_lan_with_what_it_has),
		TEST(one_that_is_cancelled_while_its_manifest_is_asked_for_rests),
	};
	return cmocka_run_group_tests_name("torrent promote", tests, NULL, NULL);
}
