/*
 * A game that comes by a torrent whose content is not known yet, between stand-ins for the engine
 * and the rest of the peer: an engine that answers when the test says so.
 */
#include "peer/torrent_late.h"

#include "peer/download.h"
#include "peer/events.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/torrent_games.h"
#include "peer/torrent_kept.h"
#include "peer/torrents.h"
#include "task/operation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GAME "quake"
#define ID "0123456789abcdef0123456789abcdef01234567"

/* ---- Stand-ins ---- */

/* The last call that somebody waits for, and what was told beside it. */
static struct lsp_torrent_call asked;
static unsigned told[LSP_TORRENT_COMMAND_COUNT], failed, dropped;
static bool running; /* a download of it */

int lsp_torrents_call(struct lsp_peer *peer, struct lsp_torrent_call *call, struct lsp_error *err)
{
	asked = *call;
	json_decref(call->arguments);
	lsp_buffer_done(&call->metainfo);
	return 0;
}

int lsp_torrents_ask(struct lsp_peer *peer, enum lsp_torrent_command command, const char *id,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err)
{
	asked = (struct lsp_torrent_call){.command = command, .done = done, .argument = argument};
	return 0;
}

void lsp_torrents_tell(struct lsp_peer *peer, enum lsp_torrent_command command, json_t *arguments)
{
	told[command]++;
	json_decref(arguments);
}

json_t *lsp_torrents_lan_peers(struct lsp_peer *peer)
{
	return json_array();
}

void lsp_events_publish(struct lsp_events *events, json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	failed += strcmp(name, "download_failed") == 0;
	json_decref(event);
}

json_t *lsp_error_to_json(const struct lsp_error *error)
{
	return json_null();
}

void lsp_games_publish_local(struct lsp_peer *peer)
{
}

const char *lsp_local_games_dir(const struct lsp_peer *peer)
{
	return "/games";
}

struct lsp_download *lsp_download_find(const struct lsp_peer *peer, const char *game)
{
	return running ? (struct lsp_download *)&running : NULL;
}

const struct lsp_library_game *lsp_local_find(const struct lsp_peer *peer, const char *game)
{
	return NULL;
}

int lsp_download_start(struct lsp_peer *peer, const char *game,
	const struct lsp_download_options *options, json_t **ret_variants, struct lsp_error *err)
{
	fail_msg("nothing is whole here");
	return -1;
}

void lsp_torrent_games_share(
	struct lsp_peer *peer, const char *game, const struct lsp_hash *content, json_t *trackers)
{
}

int lsp_torrent_games_keep(const struct lsp_peer *peer, const char *id,
	const struct lsp_buffer *metainfo, struct lsp_error *err)
{
	return 0;
}

void lsp_torrent_kept_drop(struct lsp_peer *peer, const char *name)
{
	dropped++;
}

int lsp_torrent_games_add_alias(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const char *id, struct lsp_error *err)
{
	return 0;
}

/* ---- The tests ---- */

static int start(void **state)
{
	static struct lsp_peer peer;
	struct lsp_error err = {0};
	memset(told, 0, sizeof told);
	failed = dropped = 0;
	running = false;
	peer = (struct lsp_peer){0};
	*state = &peer;
	return lsp_operations_new(NULL, NULL, &peer.operations, &err);
}

static int end(void **state)
{
	struct lsp_peer *peer = *state;
	lsp_torrent_late_free_all(peer);
	lsp_operations_free(peer->operations);
	return 0;
}

static void one_that_is_cancelled_while_it_moves_ends_once_it_has_moved(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_error err = {0};
	struct lsp_torrent_answer moved = {0};
	assert_int_equal(lsp_torrent_late_take(peer, GAME, ID, &err), 0);
	assert_int_equal(asked.command, LSP_TORRENT_MOVE);
	assert_true(lsp_operations_cancel(peer->operations, GAME, LSP_CANCEL_USER, NULL));
	lsp_torrent_late_tick(peer);
	assert_int_equal(failed, 0);
	assert_non_null(peer->torrent_lates);
	asked.done(asked.argument, &moved);
	lsp_torrent_late_tick(peer);
	assert_int_equal(told[LSP_TORRENT_REMOVE], 1);
	assert_int_equal(failed, 1);
	assert_null(peer->torrent_lates);
	assert_int_equal(lsp_operations_of(peer->operations, GAME), LSP_OPERATION_NONE);
}

static void one_that_is_cancelled_while_it_cannot_be_moved_fails_once(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_error err = {0};
	struct lsp_torrent_answer refused = {.result = -LSP_E_NO_SPACE};
	lsp_error_set(&refused.error, "torrent", LSP_E_NO_SPACE, "the disk is full");
	assert_int_equal(lsp_torrent_late_take(peer, GAME, ID, &err), 0);
	assert_true(lsp_operations_cancel(peer->operations, GAME, LSP_CANCEL_USER, NULL));
	lsp_torrent_late_tick(peer);
	asked.done(asked.argument, &refused);
	lsp_torrent_late_tick(peer);
	assert_int_equal(failed, 1);
	assert_null(peer->torrent_lates);
}

static void what_a_magnet_brought_is_kept_until_the_engine_has_stored_it(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_error err = {0};
	struct lsp_buffer metainfo = {0};
	struct lsp_torrent_answer added = {.value = json_pack("{s:s}", "id", ID)};
	assert_int_equal(lsp_torrent_late_start(peer, GAME, &metainfo, "kept", &err), 0);
	assert_int_equal(asked.command, LSP_TORRENT_ADD);
	assert_int_equal(dropped, 0);
	asked.done(asked.argument, &added);
	assert_int_equal(dropped, 1);
	assert_string_equal(lsp_torrent_late_game(peer, ID), GAME);
	json_decref(added.value);
}

/* From the engine's store, in the game's folder. */
static void bring_back(struct lsp_peer *peer)
{
	json_t *event =
		json_pack("{s:{s:s}}", "status", "save_path", "/games/" GAME "/.lanspread/torrent");
	lsp_torrent_late_event(peer, "torrent_added", ID, event);
	json_decref(event);
}

static void one_that_was_killed_goes_on_with_all_of_its_files(void **state)
{
	struct lsp_peer *peer = *state;
	bring_back(peer);
	assert_string_equal(lsp_torrent_late_game(peer, ID), GAME);
	assert_int_equal(told[LSP_TORRENT_SELECT], 1);
}

static void one_whose_files_are_a_download_already_is_let_go(void **state)
{
	struct lsp_peer *peer = *state;
	running = true;
	bring_back(peer);
	assert_null(peer->torrent_lates);
	assert_int_equal(told[LSP_TORRENT_REMOVE], 1);
}

static void one_whose_torrent_is_removed_by_somebody_ends(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_error err = {0};
	struct lsp_torrent_answer moved = {0};
	assert_int_equal(lsp_torrent_late_take(peer, GAME, ID, &err), 0);
	assert_string_equal(lsp_torrent_late_game(peer, ID), GAME);
	assert_null(lsp_torrent_late_game(peer, "76543210"));
	lsp_torrent_late_event(peer, "torrent_removed", ID, NULL);
	lsp_torrent_late_tick(peer); /* it is not over before the answer to its move */
	assert_int_equal(failed, 0);
	asked.done(asked.argument, &moved);
	lsp_torrent_late_tick(peer);
	assert_int_equal(failed, 1);
	assert_null(peer->torrent_lates);
	assert_null(lsp_torrent_late_game(peer, ID));
	assert_int_equal(lsp_operations_of(peer->operations, GAME), LSP_OPERATION_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			one_that_is_cancelled_while_it_moves_ends_once_it_has_moved, start, end),
		cmocka_unit_test_setup_teardown(
			one_that_is_cancelled_while_it_cannot_be_moved_fails_once, start, end),
		cmocka_unit_test_setup_teardown(
			what_a_magnet_brought_is_kept_until_the_engine_has_stored_it, start, end),
		cmocka_unit_test_setup_teardown(
			one_that_was_killed_goes_on_with_all_of_its_files, start, end),
		cmocka_unit_test_setup_teardown(
			one_whose_files_are_a_download_already_is_let_go, start, end),
		cmocka_unit_test_setup_teardown(
			one_whose_torrent_is_removed_by_somebody_ends, start, end),
	};
	return cmocka_run_group_tests_name("torrent late", tests, NULL, NULL);
}
