/*
 * A game that is here and is asked for once more: it is looked at, and what fell over on the disk
 * is fetched, by leaves where somebody gives their hashes.
 */
#include "commit_room.h"

/* The library is held, or it may look in between. */
static int damage_a_leaf(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	assert_int_equal(lsp_local_hold(peer, GAME, err), 0);
	write_pak(lsp_local_games_dir(peer), 200000, "fell over", 9);
	lsp_local_release(peer, GAME, NULL, NULL, NULL);
	return 0;
}

static int is_going_on_after_a_tick(void *argument, struct lsp_error *err)
{
	lsp_download_tick(argument);
	return lsp_download_find(argument, GAME) != NULL;
}

/* One that is here is asked for again; its manifest is asked for, and nobody gives it. */
static void get_again(struct other *other)
{
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	keep_manifest_request = library_is_silent = true;
	get(other);
	RUN_UNTIL(&other->loop, other->kept);
}

/* The library still believes what it has read once: who asks again wants it looked at. */
static void a_game_that_is_asked_for_again_is_looked_at_however_long_its_manifest_takes(
	void **state)
{
	struct other *other = *state;
	get_again(other);
	assert_true(on_the_loop(other, is_going_on_after_a_tick));
	assert_int_equal(on_the_loop(other, damage_a_leaf), 0);
	send_manifest(TAKE_PTR(other->kept));
	other_expect(other, "download_finished");
	expect_the_game(other);
}

/* What the library believes at the next start is what it believed before. */
static void a_game_that_fell_over_is_mended_though_a_restart_comes_in_between(void **state)
{
	struct other *other = *state;
	_cleanup_free_ char *games = lsp_text_format("%s/games", other->folder);
	get_again(other);
	other_disconnect(other);
	other_stop_peer(other);
	library_is_silent = false;
	write_pak(games, 200000, "fell over", 9); /* now: it would be seen before, sometimes */
	other_start_peer(other);
	assert_true(on_the_loop(other, is_going_on_after_a_tick));
	other_connect(other); /* its manifest need not be given again, and is not */
	other_expect(other, "download_finished");
	expect_the_game(other);
}

/* The same where the folder is hashed only after the start: again nobody need give its manifest. */
static void one_that_proves_whole_after_a_restart_waits_for_nobody(void **state)
{
	struct other *other = *state;
	_cleanup_free_ char *index = lsp_text_format("%s/state/library.db", other->folder);
	get_again(other);
	other_disconnect(other);
	other_stop_peer(other);
	library_is_silent = false;
	assert_int_equal(unlink(index), 0);
	other_start_peer(other);
	other_expect(other, "download_finished");
	expect_the_game(other);
}

static void one_that_is_here_needs_nobody_to_give_its_manifest(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	assert_int_equal(on_the_loop(other, damage_a_leaf), 0);
	get(other);
	other_expect(other, "download_finished");
	assert_int_equal(other->asked[LSP_REQUEST_GET_MANIFEST], 1);
	expect_the_game(other);
}

static bool is_hashing(json_t *event, const void *argument)
{
	json_t *game = json_array_get(json_object_get(event, "games"), 0);
	const char *its = json_string_value(json_object_get(game, "operation"));
	return its && strcmp(its, "hashing") == 0;
}

/* The library did not know it when it was asked for, and knows it while he keeps its manifest. */
static void who_keeps_a_manifest_is_not_waited_for_once_the_library_knows_it(void **state)
{
	struct other *other = *state;
	_cleanup_free_ char *index = lsp_text_format("%s/state/library.db", other->folder);
	get(other);
	other_expect(other, "download_finished");
	other_disconnect(other);
	other_stop_peer(other);
	assert_int_equal(unlink(index), 0);
	pthread_mutex_lock(&hash_lock);
	other_start_peer(other);
	json_decref(other_await(other, "local_games_updated", is_hashing, NULL));
	other_connect(other);
	json_decref(other_await(other, "remote_games_updated", has_games, NULL));
	keep_manifest_request = true;
	get(other);
	RUN_UNTIL(&other->loop, other->kept);
	assert_int_equal(queries_given_up, 0);
	pthread_mutex_unlock(&hash_lock);
	other_expect(other, "download_finished");
	assert_int_equal(queries_given_up, 1); /* and not, in its time, ended */
	expect_the_game(other);
}

static void who_answers_no_hashes_is_asked_for_the_whole_chunk(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	assert_int_equal(on_the_loop(other, damage_a_leaf), 0);
	hashes_refused_with = LSP_E_UNSUPPORTED;
	unsigned chunks = other->asked[LSP_REQUEST_GET_CHUNKS];
	get(other);
	other_expect(other, "download_finished");
	assert_int_equal(other->asked[LSP_REQUEST_GET_HASHES], 1);
	assert_int_equal(other->asked[LSP_REQUEST_GET_CHUNKS], chunks + 1);
	/* What proved damaged on the way was not ours to give any more. */
	RUN_UNTIL(&other->loop, other->asked[LSP_REQUEST_WITHDRAW]);
	expect_the_game(other);
}

static int bytes_for_the_swarm(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	struct lsp_swarm_game_status status = {0};
	assert_int_equal(
		lsp_swarm_game_status(peer->swarm, lsp_share_swarm_game(share), &status), 0);
	assert_int_equal(status.bytes_wasted, 0);
	assert_int_equal(lsp_share_traffic(share)->received, status.bytes_received);
	return (int)status.bytes_received;
}

/* The swarm keeps the download limits, and takes who gives nothing for stalled. */
static void what_comes_leaf_by_leaf_counts_for_the_swarm_too(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	int whole = on_the_loop(other, bytes_for_the_swarm);
	assert_int_equal(on_the_loop(other, damage_a_leaf), 0);
	get(other);
	other_expect(other, "download_finished");
	assert_int_equal(other->asked[LSP_REQUEST_GET_BLOCKS], 1);
	assert_int_equal(on_the_loop(other, bytes_for_the_swarm) - whole,
		LSP_LEAF_SIZE + LSP_PIECE_LENGTH_MIN / LSP_LEAF_SIZE * LSP_SHA256_SIZE);
	expect_the_game(other);
}

static int gives_leaves(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	assert_non_null(peer->sessions);
	return lsp_session_gives_leaves(peer->sessions);
}

static int after_the_pause(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	lsp_time until = peer->sessions->leaves_from;
	assert_true(until > lsp_peer_now(peer) && until <= lsp_peer_now(peer) + 10 * LSP_SECOND);
	peer->sessions->leaves_from = 0; /* as if it had passed */
	return lsp_session_gives_leaves(peer->sessions);
}

/* A disk that failed once says nothing about the next request. */
static void who_fails_to_give_hashes_is_asked_for_them_again_later(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	for (int i = 0; i < 2; i++) {
		assert_int_equal(on_the_loop(other, damage_a_leaf), 0);
		hashes_refused_with = i == 0 ? LSP_E_IO : LSP_E_UNSUPPORTED;
		get(other);
		other_expect(other, "download_finished");
		assert_int_equal(other->asked[LSP_REQUEST_GET_HASHES], i + 1);
		assert_false(on_the_loop(other, gives_leaves));
		if (i == 0)
			assert_true(on_the_loop(other, after_the_pause));
		expect_the_game(other);
	}
	assert_false(on_the_loop(other, gives_leaves));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_game_that_is_asked_for_again_is_looked_at_however_long_its_manifest_takes),
		TEST(a_game_that_fell_over_is_mended_though_a_restart_comes_in_between),
		TEST(one_that_proves_whole_after_a_restart_waits_for_nobody),
		TEST(one_that_is_here_needs_nobody_to_give_its_manifest),
		TEST(who_keeps_a_manifest_is_not_waited_for_once_the_library_knows_it),
		TEST(who_answers_no_hashes_is_asked_for_the_whole_chunk),
		TEST(who_fails_to_give_hashes_is_asked_for_them_again_later),
		TEST(what_comes_leaf_by_leaf_counts_for_the_swarm_too),
	};
	return cmocka_run_group_tests_name("peer/again", tests, NULL, NULL);
}
