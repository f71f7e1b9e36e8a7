/* A late game begins, stands still, goes on. */
#include "torrent_late_room.h"

/* ---- Beginning, and standing still ---- */

static int take(struct lsp_peer *peer)
{
	struct lsp_error err = {0};
	return lsp_torrent_late_take(peer, GAME, ID, &err);
}

static void one_that_is_cancelled_while_it_moves_rests_once_it_has_moved(void **state)
{
	struct lsp_peer *peer = *state;
	assert_int_equal(take(peer), 0);
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	assert_int_equal(room.failed, 0);
	assert_true(is_busy(peer));
	answer(LSP_TORRENT_MOVE, (struct lsp_torrent_answer){0});
	assert_int_equal(room.told[LSP_TORRENT_PAUSE], 1);
	assert_int_equal(room.failed, 1);
	assert_false(is_busy(peer));
	assert_false(lsp_torrent_late_cancel(late_of(peer)));
}

static void one_that_cannot_be_moved_is_gone_and_fails_once(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_torrent_answer refused = {.result = -LSP_E_NO_SPACE};
	lsp_error_set(&refused.error, "torrent", LSP_E_NO_SPACE, "the disk is full");
	assert_int_equal(take(peer), 0);
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	answer(LSP_TORRENT_MOVE, refused);
	lsp_torrent_late_tick(peer);
	assert_int_equal(room.failed, 1);
	assert_int_equal(room.told[LSP_TORRENT_REMOVE], 1);
	assert_null(late_of(peer));
}

static int start_one(struct lsp_peer *peer, const char *id, struct lsp_call *call)
{
	struct lsp_error err = {0};
	struct lsp_buffer metainfo = {0};
	struct lsp_torrent_late_source source = {
		.metainfo = &metainfo, .id = id, .call = call, .kept = call ? NULL : "kept"};
	int r = lsp_torrent_late_start(peer, GAME, &source, &err);
	snprintf(room.failure, sizeof room.failure, "%s", err.message);
	return r;
}

static struct lsp_torrent_answer with_id(void)
{
	return (struct lsp_torrent_answer){.value = json_pack("{s:s}", "id", ID)};
}

static void what_a_magnet_brought_is_kept_until_the_engine_has_stored_it(void **state)
{
	struct lsp_peer *peer = *state;
	assert_int_equal(start_one(peer, ID, NULL), 0);
	assert_int_equal(room.dropped, 0);
	answer(LSP_TORRENT_ADD, with_id());
	assert_int_equal(room.dropped, 1);
	assert_string_equal(lsp_torrent_late_game(peer, ID), GAME);
}

static void who_adds_one_is_answered_when_the_engine_has_it(void **state)
{
	struct lsp_peer *peer = *state;
	int caller = 0;
	struct lsp_torrent_answer refused = with_id();
	assert_int_equal(start_one(peer, ID, (struct lsp_call *)&caller), 0);
	assert_int_equal(room.answered, 0);
	answer(LSP_TORRENT_ADD, with_id());
	assert_int_equal(room.answered, 1);
	lsp_torrent_late_free_all(peer);
	refused.result = -LSP_E_EXISTS;
	assert_int_equal(start_one(peer, ID, (struct lsp_call *)&caller), 0);
	answer(LSP_TORRENT_ADD, refused);
	assert_int_equal(room.answered, 1);
	assert_non_null(strstr(room.failure, "torrent remove"));
	assert_int_equal(room.failed, 0); /* who waits has been told */
	assert_null(late_of(peer));
}

static void one_that_rests_goes_on_by_the_same_torrent_only(void **state)
{
	struct lsp_peer *peer = *state;
	int caller = 0;
	bring_back(peer, "downloading");
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	assert_int_equal(start_one(peer, OTHER, (struct lsp_call *)&caller), -LSP_E_EXISTS);
	assert_non_null(strstr(room.failure, "lanspread get " GAME));
	assert_false(is_busy(peer));
	assert_int_equal(start_one(peer, ID, (struct lsp_call *)&caller), 0);
	assert_int_equal(room.told[LSP_TORRENT_RESUME], 1);
	assert_int_equal(room.answered, 1);
	assert_true(is_busy(peer));
}

static void one_that_was_killed_goes_on_with_all_of_its_files(void **state)
{
	struct lsp_peer *peer = *state;
	bring_back(peer, "downloading");
	assert_string_equal(lsp_torrent_late_game(peer, ID), GAME);
	assert_int_equal(room.told[LSP_TORRENT_SELECT], 1);
	assert_true(is_busy(peer));
}

static void one_that_rested_does_so_after_a_restart(void **state)
{
	struct lsp_peer *peer = *state;
	bring_back(peer, "downloading");
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	be_killed(peer);
	bring_back(peer, "downloading"); /* before the pause was stored */
	assert_false(is_busy(peer));
	assert_int_equal(room.told[LSP_TORRENT_PAUSE], 1);
	assert_int_equal(room.failed, 1);
}

static void another_version_that_was_put_there_takes_nothing_from_one_that_rests(void **state)
{
	struct lsp_peer *peer = *state;
	bring_back(peer, "downloading");
	assert_true(lsp_torrent_late_cancel(late_of(peer)));
	be_killed(peer);
	room.is_local = true;
	memset(room.local.content.bytes, 7, sizeof room.local.content.bytes);
	room.local.state = LSP_LIBRARY_READY;
	bring_back(peer, "paused");
	assert_non_null(late_of(peer));
	assert_null(room.asked.done);
	assert_int_equal(room.told[LSP_TORRENT_REMOVE], 0);
}

static void one_whose_files_are_a_download_already_goes_with_what_it_has(void **state)
{
	struct lsp_peer *peer = *state;
	room.running = true;
	room.aliases = 1;
	room.readied = 0;
	bring_back(peer, "downloading");
	assert_null(late_of(peer));
	assert_true(lsp_torrent_late_leaves(peer, ID));
	answer(LSP_TORRENT_REMOVE, (struct lsp_torrent_answer){0});
	assert_false(lsp_torrent_late_leaves(peer, ID));
	assert_int_equal(room.readied, 1); /* what is called the same may be seeded now */
}

static void one_whose_torrent_is_removed_by_somebody_ends(void **state)
{
	struct lsp_peer *peer = *state;
	assert_int_equal(take(peer), 0);
	assert_null(lsp_torrent_late_game(peer, OTHER));
	event(peer, json_pack("{s:s}", "event", "torrent_removed"));
	assert_int_equal(room.failed, 0); /* it is not over before the answer to its move */
	answer(LSP_TORRENT_MOVE, (struct lsp_torrent_answer){0});
	assert_int_equal(room.failed, 1);
	assert_null(late_of(peer));
	assert_false(is_busy(peer));
}

static void a_failure_is_told_once_and_what_a_new_session_mends_is_none(void **state)
{
	struct lsp_peer *peer = *state;
	bring_back(peer, "downloading");
	error_event(peer, "closed");
	error_event(peer, "corrupt");
	assert_true(is_busy(peer));
	error_event(peer, "no_space");
	state_event(peer, "failed");
	assert_int_equal(room.failed, 1);
	assert_false(is_busy(peer));
	assert_non_null(strstr(room.failure, "no space to download " GAME));
	assert_int_equal(room.told[LSP_TORRENT_PAUSE], 1);
	assert_int_equal(lsp_torrent_late_go_on(late_of(peer), NULL), 0);
	assert_true(is_busy(peer));
	assert_int_equal(room.failed, 1);
}

static void what_fails_beside_the_torrent_does_not_end_the_download(void **state)
{
	struct lsp_peer *peer = *state;
	bring_back(peer, "downloading");
	error_event_beside(peer, "resume_store", "no_space");
	error_event_beside(peer, "resume_store", "io");
	error_event_beside(peer, "storage", "io");
	lsp_torrent_late_tick(peer);
	assert_true(is_busy(peer));
	assert_int_equal(room.failed, 0);
	assert_int_equal(room.told[LSP_TORRENT_PAUSE], 0);
	/* A failure of its own files afterwards does. */
	error_event(peer, "no_space");
	assert_int_equal(room.failed, 1);
	assert_false(is_busy(peer));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, room_start, room_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_that_is_cancelled_while_it_moves_rests_once_it_has_moved),
		TEST(one_that_cannot_be_moved_is_gone_and_fails_once),
		TEST(what_a_magnet_brought_is_kept_until_the_engine_has_stored_it),
		TEST(who_adds_one_is_answered_when_the_engine_has_it),
		TEST(one_that_rests_goes_on_by_the_same_torrent_only),
		TEST(one_that_was_killed_goes_on_with_all_of_its_files),
		TEST(another_version_that_was_put_there_takes_nothing_from_one_that_rests),
		TEST(one_that_rested_does_so_after_a_restart),
		TEST(one_whose_files_are_a_download_already_goes_with_what_it_has),
		TEST(one_whose_torrent_is_removed_by_somebody_ends),
		TEST(a_failure_is_told_once_and_what_a_new_session_mends_is_none),
		TEST(what_fails_beside_the_torrent_does_not_end_the_download),
	};
	return cmocka_run_group_tests_name("torrent late", tests, NULL, NULL);
}
