/* The end of a download, from the last chunk to a game that is shared from its folder. */
#include "commit_room.h"

/* What the watchdog of the game's upload limit looks at. */
static int sent_of_the_game(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	return (int)lsp_share_traffic(share)->sent;
}

/* From partial to whole in one word; who fetches from us is served all along. */
static void a_game_that_is_whole_is_not_withdrawn_first(void **state)
{
	struct other *other = *state;
	pthread_mutex_lock(&source_lock);
	get(other);
	await_source(other);
	RUN_UNTIL(&other->loop, told);
	for (uint32_t i = 0; i < theirs.manifest->chunk_count; i++)
		take_chunk(other, i); /* the files are in their places, and not shared from there */
	pthread_mutex_unlock(&source_lock);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	for (uint32_t i = 0; i < theirs.manifest->chunk_count; i++)
		take_chunk(other, i);
	for (unsigned i = 0; i + 1 < told; i++) /* once more where its title is told on the way */
		assert_int_equal(states[i], LSP_GAME_PARTIAL);
	assert_in_range(told, 2, LSP_ARRAY_SIZE(states));
	assert_int_equal(removed, 0);
	assert_int_equal(other->asked[LSP_REQUEST_WITHDRAW], 0);
	assert_int_equal(other->asked[LSP_REQUEST_FOLLOW], 1);
	assert_int_equal(on_the_loop(other, sent_of_the_game),
		2 * (PAK_SIZE + sizeof "20240101\n" - 1)); /* by two ways, once each */
	expect_the_game(other);
}

/* The first chunk is not here any more, as when it was found damaged. */
static int lose_a_chunk(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	lsp_swarm_game_lost(peer->swarm, lsp_share_swarm_game(share), 0, 1);
	lsp_peer_kick(peer);
	return 0;
}

static int state_in_swarm(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	struct lsp_swarm_game_status status = {0};
	assert_int_equal(
		lsp_swarm_game_status(peer->swarm, lsp_share_swarm_game(share), &status), 0);
	return (int)status.state;
}

static int is_held(void *argument, struct lsp_error *err)
{
	return lsp_library_is_held(lsp_local_library(argument), GAME);
}

static void what_is_lost_after_a_download_is_fetched_when_it_is_asked_for(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	assert_int_equal(on_the_loop(other, lose_a_chunk), 0);
	RUN_UNTIL(&other->loop, other->asked[LSP_REQUEST_WITHDRAW]);
	assert_int_equal(on_the_loop(other, state_in_swarm), LSP_SWARM_IDLE);
	assert_int_equal(fetches_without_stage, 0);
	get(other);
	other_expect(other, "download_finished");
	assert_int_equal(on_the_loop(other, state_in_swarm), LSP_SWARM_COMPLETE);
	assert_int_equal(fetches_without_stage, 0);
	expect_the_game(other);
}

static void a_commit_that_cannot_start_says_so_and_can_be_tried_again(void **state)
{
	struct other *other = *state;
	commits_to_refuse = 1;
	get(other);
	json_t *failed = other_await(other, "download_failed", NULL, NULL);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(failed, "error"), "message")),
		"no room for another job");
	json_decref(failed);
	assert_false(on_the_loop(other, is_held));
	unsigned asked = other->asked[LSP_REQUEST_GET_CHUNKS];
	get(other);
	other_expect(other, "download_finished");
	assert_int_equal(other->asked[LSP_REQUEST_GET_CHUNKS], asked);
	assert_int_equal(commits, 2);
	expect_the_game(other);
}

static void a_title_is_kept_when_nobody_is_there_who_gave_it(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	other_disconnect(other);
	other_stop_peer(other);
	other_start_peer(other);
	json_t *answer = other_ask(other, "{\"command\":\"list_games\"}");
	const json_t *games = json_object_get(json_object_get(answer, "result"), "games"), *game;
	const char *title = NULL;
	size_t index;
	json_array_foreach (games, index, game)
		if (strcmp(json_string_value(json_object_get(game, "id")), GAME) == 0)
			title = json_string_value(json_object_get(game, "title"));
	assert_string_equal(title, TITLE);
	json_decref(answer);
}

static void a_commit_begins_once_though_the_torrents_leave_at_once(void **state)
{
	struct other *other = *state;
	torrents_leave_at_once = true;
	get(other);
	other_expect(other, "download_finished");
	json_decref(other_ask(other, "{\"command\":\"status\"}"));
	assert_int_equal(commits, 1);
	expect_the_game(other);
}

/* Nothing is written where it was: that would be another disk. */
static void a_games_folder_that_is_gone_is_not_made_anew(void **state)
{
	struct other *other = *state;
	_cleanup_free_ char *games = lsp_text_format("%s/games", other->folder);
	_cleanup_free_ char *away = lsp_text_format("%s/away", other->folder);
	for (int mount_point = 0; mount_point < 2; mount_point++) {
		assert_int_equal(rename(games, away), 0);
		if (mount_point)
			assert_int_equal(mkdir(games, 0755), 0);
		get(other);
		json_t *failed = other_await(other, "download_failed", NULL, NULL);
		assert_non_null(strstr(json_string_value(json_object_get(
					       json_object_get(failed, "error"), "message")),
			"is gone"));
		json_decref(failed);
		assert_int_equal(rmdir(games), mount_point ? 0 : -1);
		assert_int_equal(rename(away, games), 0);
	}
	get(other);
	other_expect(other, "download_finished");
	expect_the_game(other);
}

/* Somebody cleans up below a peer that runs: rm -r games/.lanspread. */
static void a_games_folder_whose_own_files_are_removed_is_still_there(void **state)
{
	struct other *other = *state;
	int games = open_at(other->folder, "games");
	assert_int_equal(lsp_fs_remove_tree_below(games, ".lanspread", NULL), 0);
	get(other);
	other_expect(other, "download_finished");
	expect_the_game(other);
	close(games);
}

static int is_served(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	return share && lsp_share_has_source(share);
}

static int an_hour_later(void *argument, struct lsp_error *err)
{
	lsp_local_tick(argument, lsp_peer_now(argument) + 3600 * LSP_SECOND);
	return 0;
}

static void a_game_whose_files_could_not_be_opened_is_served_later(void **state)
{
	struct other *other = *state;
	atomic_store(&sources_to_refuse, 1);
	get(other);
	other_expect(other, "download_finished");
	assert_false(on_the_loop(other, is_served));
	assert_int_equal(on_the_loop(other, an_hour_later), 0);
	RUN_UNTIL(&other->loop, on_the_loop(other, is_served) && told_ready());
	for (uint32_t i = 0; i < theirs.manifest->chunk_count; i++)
		take_chunk(other, i);
}

/* A chunk is withdrawn for what the disk gave once; the next time it reads as it shall. */
static int read_wrongly_once(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	uint32_t first = lsp_manifest_find(theirs.manifest, "pak0.pak")->first_chunk;
	struct lsp_bitmap wrong = {0};
	uint8_t chunk[LSP_PIECE_LENGTH_MIN];
	assert_int_equal(lsp_bitmap_init(&wrong, theirs.manifest->chunk_count, NULL), 0);
	read_chunk(first, chunk);
	write_pak(lsp_local_games_dir(peer), 0, "fell over", 9);
	assert_int_equal(lsp_source_recheck(lsp_share_source(share), first, NULL, &wrong, NULL), 0);
	assert_int_equal(wrong.set, 1);
	lsp_bitmap_done(&wrong);
	write_pak(lsp_local_games_dir(peer), 0, chunk, 9);
	lsp_swarm_game_lost(peer->swarm, lsp_share_swarm_game(share), first, 1);
	lsp_local_recheck(peer, GAME, NULL, NULL);
	return 0;
}

static int is_whole(void *argument, struct lsp_error *err)
{
	uint32_t first = lsp_manifest_find(theirs.manifest, "pak0.pak")->first_chunk;
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	return share && lsp_share_has_source(share) &&
	       lsp_source_has(lsp_share_source(share), first);
}

static void what_was_withdrawn_and_proves_right_is_served_again(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	assert_true(on_the_loop(other, is_whole));
	assert_int_equal(on_the_loop(other, read_wrongly_once), 0);
	RUN_UNTIL(&other->loop, on_the_loop(other, is_whole));
	for (uint32_t i = 0; i < theirs.manifest->chunk_count; i++)
		take_chunk(other, i);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_game_that_is_whole_is_not_withdrawn_first),
		TEST(what_is_lost_after_a_download_is_fetched_when_it_is_asked_for),
		TEST(a_commit_that_cannot_start_says_so_and_can_be_tried_again),
		TEST(a_games_folder_that_is_gone_is_not_made_anew),
		TEST(a_games_folder_whose_own_files_are_removed_is_still_there),
		TEST(a_game_whose_files_could_not_be_opened_is_served_later),
		TEST(what_was_withdrawn_and_proves_right_is_served_again),
		TEST(a_title_is_kept_when_nobody_is_there_who_gave_it),
		TEST(a_commit_begins_once_though_the_torrents_leave_at_once),
	};
	return cmocka_run_group_tests_name("peer/commit", tests, NULL, NULL);
}
