/*
 * What is seeded when, between stand-ins for the engine, the shares and the downloads: an engine
 * that answers when the test says so.
 */
#include "peer/torrent_games.h"

#include "peer/download.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/share.h"
#include "peer/torrent_files.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "wire/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GAME "quake"

/* ---- Stand-ins ---- */

static struct {
	enum lsp_torrent_command command;
	json_t *arguments;
	void (*done)(void *argument, struct lsp_torrent_answer *answer);
	void *argument;
} calls[16];
static size_t call_count, answered;
static unsigned left;
static struct lsp_manifest manifest;
static bool everything;                /* is seeded: the setting is lan */
static const struct lsp_hash *fetched; /* of the game, by a download */
static json_t *known;                  /* torrent → what the engine said of it */

int lsp_torrents_call(struct lsp_peer *peer, struct lsp_torrent_call *call, struct lsp_error *err)
{
	assert_true(call_count < LSP_ARRAY_SIZE(calls));
	calls[call_count].command = call->command;
	calls[call_count].arguments = call->arguments;
	calls[call_count].done = call->done;
	calls[call_count++].argument = call->argument;
	return 0;
}

int lsp_torrents_ask(struct lsp_peer *peer, enum lsp_torrent_command command, const char *id,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err)
{
	struct lsp_torrent_call call = {.command = command, .done = done, .argument = argument};
	return lsp_torrents_call(peer, &call, err);
}

void lsp_torrents_tell(struct lsp_peer *peer, enum lsp_torrent_command command, json_t *arguments)
{
	json_decref(arguments);
}

static bool is_off;
static unsigned ensured;

bool lsp_torrents_are_running(const struct lsp_torrents *torrents)
{
	return !is_off;
}

int lsp_torrents_ensure(struct lsp_torrents *torrents, struct lsp_error *err)
{
	ensured++;
	return 0;
}

int lsp_torrent_add_check(const json_t *options, struct lsp_error *err)
{
	return 0;
}

void lsp_peer_warn(struct lsp_peer *peer, const char *format, ...)
{
}

bool lsp_torrents_seed_all(const struct lsp_torrents *torrents)
{
	return everything;
}

const json_t *lsp_torrents_known(const struct lsp_torrents *torrents, const char *id)
{
	return json_object_get(known, id);
}

struct lsp_download *lsp_download_find(const struct lsp_peer *peer, const char *game)
{
	return fetched ? (struct lsp_download *)&fetched : NULL; /* only its address is looked at */
}

const struct lsp_hash *lsp_download_content(const struct lsp_download *download)
{
	return fetched;
}

struct lsp_share *lsp_shares_find_game(const struct lsp_shares *shares, const char *game)
{
	return (struct lsp_share *)&manifest; /* only its address is looked at */
}

struct lsp_share *lsp_shares_next(const struct lsp_shares *shares, struct lsp_share *share)
{
	return NULL;
}

bool lsp_share_has_source(const struct lsp_share *share)
{
	return true;
}

const char *lsp_share_game(const struct lsp_share *share)
{
	return GAME;
}

const struct lsp_manifest *lsp_share_manifest(const struct lsp_share *share)
{
	return &manifest;
}

const struct lsp_manifest *lsp_manifest_ref(const struct lsp_manifest *of)
{
	return of;
}

const char *lsp_local_games_dir(const struct lsp_peer *peer)
{
	return "/games";
}

static json_t *stored; /* swarm.json, of the next start */

json_t *lsp_peer_load_json(struct lsp_peer *peer, const char *name)
{
	json_t *document = stored ? stored : json_object();
	stored = NULL;
	return document;
}

static json_t *saved; /* swarm.json */

void lsp_peer_save_json(struct lsp_peer *peer, const char *name, json_t *document)
{
	json_decref(saved);
	saved = json_deep_copy(document);
	json_decref(document);
}

void lsp_download_torrents_left(struct lsp_peer *peer, const char *game)
{
	assert_string_equal(game, GAME);
	left++;
}

int lsp_pool_submit(
	struct lsp_pool *pool, struct lsp_loop *loop, struct lsp_job *job, struct lsp_error *err)
{
	fail_msg("no alias is read here");
	return -1;
}

char *lsp_torrent_files_path(const struct lsp_peer *peer, const char *id)
{
	fail_msg("no alias is read here");
	return NULL;
}

static char dropped[8][LSP_SHA256_HEX_SIZE];
static size_t drop_count;

/* A kill after it must not leave a record that refers to it. */
void lsp_torrent_files_drop(struct lsp_peer *peer, const char *id)
{
	const char *game;
	json_t *record, *alias;
	size_t index;
	json_object_foreach (saved, game, record)
		json_array_foreach (json_object_get(record, "aliases"), index, alias)
			assert_string_not_equal(json_string_value(alias), id);
	assert_true(drop_count < LSP_ARRAY_SIZE(dropped));
	snprintf(dropped[drop_count++], sizeof dropped[0], "%s", id);
}

static bool (*wanted)(struct lsp_peer *peer, const char *id);

void lsp_torrent_files_sweep(
	struct lsp_peer *peer, bool (*is_wanted)(struct lsp_peer *peer, const char *id))
{
	wanted = is_wanted;
}

/* ---- The tests ---- */

static int start(void **state)
{
	static struct lsp_peer peer;
	call_count = answered = left = 0;
	drop_count = 0;
	wanted = NULL;
	everything = true;
	memset(&manifest, 0, sizeof manifest);
	*state = &peer;
	return lsp_torrent_games_new(&peer, &peer.torrent_games, NULL);
}

static int end(void **state)
{
	struct lsp_peer *peer = *state;
	while (answered < call_count) { /* as when the peer stops */
		calls[answered].done(calls[answered].argument, NULL);
		answered++;
	}
	for (size_t i = 0; i < LSP_ARRAY_SIZE(calls); i++)
		json_decref(calls[i].arguments);
	memset(calls, 0, sizeof calls);
	lsp_torrent_games_free(peer->torrent_games);
	json_decref(TAKE_PTR(peer->torrent_wishes));
	json_decref(TAKE_PTR(peer->unread));
	json_decref(TAKE_PTR(saved));
	return 0;
}

/* The engine has been asked for this, and nothing else since the last answer; it says: result. */
static void engine_answers(enum lsp_torrent_command command, int result)
{
	struct lsp_torrent_answer answer = {.result = result};
	assert_true(answered < call_count);
	assert_int_equal(calls[answered].command, command);
	answered++;
	calls[answered - 1].done(calls[answered - 1].argument, &answer);
}

static void whoever_waits_is_told_when_all_have_left(void **state)
{
	struct lsp_peer *peer = *state;
	lsp_torrent_games_ready(peer, GAME);
	engine_answers(LSP_TORRENT_ADD, 0);
	assert_false(lsp_torrent_games_leaving(peer, GAME));
	lsp_torrent_games_gone(peer, GAME);
	assert_true(lsp_torrent_games_leaving(peer, GAME));
	assert_int_equal(left, 0);
	engine_answers(LSP_TORRENT_REMOVE, 0);
	assert_false(lsp_torrent_games_leaving(peer, GAME));
	assert_int_equal(left, 1);
	assert_int_equal(answered, call_count);
}

static void what_is_not_there_has_left(void **state)
{
	struct lsp_peer *peer = *state;
	lsp_torrent_games_gone(peer, GAME);
	assert_false(lsp_torrent_games_leaving(peer, GAME));
	assert_int_equal(call_count, 0);
	lsp_torrent_games_ready(peer, GAME);
	engine_answers(LSP_TORRENT_ADD, 0);
	lsp_torrent_games_gone(peer, GAME);
	engine_answers(LSP_TORRENT_REMOVE, -LSP_E_NOT_FOUND);
	assert_int_equal(left, 1);
}

/* Else it would go on to seed what is not the content any more. */
static void what_is_still_being_added_leaves_once_it_is_there(void **state)
{
	struct lsp_peer *peer = *state;
	lsp_torrent_games_ready(peer, GAME);
	lsp_torrent_games_gone(peer, GAME);
	struct lsp_torrent_answer busy = {.result = -LSP_E_BUSY}, added = {0};
	assert_int_equal(calls[1].command, LSP_TORRENT_REMOVE);
	calls[1].done(calls[1].argument, &busy);
	assert_true(lsp_torrent_games_leaving(peer, GAME));
	assert_int_equal(call_count, 2);
	calls[0].done(calls[0].argument, &added);
	answered = 2;
	assert_int_equal(left, 0);
	engine_answers(LSP_TORRENT_REMOVE, 0);
	assert_int_equal(left, 1);
	assert_false(lsp_torrent_games_leaving(peer, GAME));
}

static void what_comes_back_while_it_leaves_is_seeded_afterwards(void **state)
{
	struct lsp_peer *peer = *state;
	lsp_torrent_games_ready(peer, GAME);
	engine_answers(LSP_TORRENT_ADD, 0);
	lsp_torrent_games_gone(peer, GAME);
	lsp_torrent_games_ready(peer, GAME);
	assert_int_equal(call_count, 2); /* the engine would say that it is there */
	engine_answers(LSP_TORRENT_REMOVE, 0);
	engine_answers(LSP_TORRENT_ADD, 0);
	/* Unless it goes again meanwhile. */
	lsp_torrent_games_gone(peer, GAME);
	lsp_torrent_games_ready(peer, GAME);
	lsp_torrent_games_gone(peer, GAME);
	engine_answers(LSP_TORRENT_REMOVE, 0);
	assert_int_equal(answered, call_count);
	assert_int_equal(left, 2);
}

static void one_that_has_seeded_enough_and_went_can_be_shared_again(void **state)
{
	struct lsp_peer *peer = *state;
	char id[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&manifest.content_id, id);
	lsp_torrent_games_share(peer, GAME, &manifest.content_id, NULL);
	engine_answers(LSP_TORRENT_ADD, 0);
	assert_string_equal(lsp_torrent_games_seeded(peer, id), GAME);
	json_t *event = json_pack("{s:b}", "data", 0);
	lsp_torrent_games_event(peer, "torrent_removed", id, event);
	json_decref(event);
	assert_null(lsp_torrent_games_seeded(peer, id));
	lsp_torrent_games_share(peer, GAME, &manifest.content_id, NULL);
	engine_answers(LSP_TORRENT_ADD, 0);
	assert_string_equal(lsp_torrent_games_seeded(peer, id), GAME);
	assert_int_equal(answered, call_count);
}

static void says(struct lsp_peer *peer, const char *name, json_t *event)
{
	char id[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&manifest.content_id, id);
	lsp_torrent_games_event(peer, name, id, event);
	json_decref(event);
}

/* As at the beginning of a session. */
static void seed_again(struct lsp_peer *peer)
{
	says(peer, "torrent_removed", json_pack("{s:b}", "session_closed", 1));
	lsp_torrent_games_ready(peer, GAME);
	engine_answers(LSP_TORRENT_ADD, 0);
}

static void assert_added_with(const char *key, const char *expected)
{
	const json_t *value = json_object_get(calls[call_count - 1].arguments, key);
	char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	if (expected)
		assert_string_equal(text, expected);
	else
		assert_null(text);
	free(text);
}

static void what_was_set_holds_in_the_next_session(void **state)
{
	struct lsp_peer *peer = *state;
	lsp_torrent_games_ready(peer, GAME);
	engine_answers(LSP_TORRENT_ADD, 0);
	assert_added_with("paused", NULL);
	says(peer, "torrent_settings",
		json_pack("{s:{s:b, s:i, s:[s], s:b, s:b}}", "settings", "paused", 1, "max_upload",
			5000, "trackers", "udp://a/", "trackers_set", 1, "goal_met", 1));
	seed_again(peer);
	assert_added_with("paused", "true");
	assert_added_with("max_upload", "5000");
	assert_added_with("goal_met", "true");
	assert_added_with("of", NULL);
	/* What is shared with another tracker has that one too. */
	json_t *trackers = json_pack("[s, s]", "udp://a/", "udp://b/");
	lsp_torrent_games_share(peer, GAME, &manifest.content_id, trackers);
	json_decref(trackers);
	seed_again(peer);
	assert_added_with("trackers", "[\"udp://a/\",\"udp://b/\"]");
	assert_int_equal(answered, call_count);
}

static void what_is_set_of_the_torrent_that_fetches_it_holds_for_it_and_its_seed(void **state)
{
	struct lsp_peer *peer = *state;
	char id[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&manifest.content_id, id);
	json_t *asked = json_pack("{s:i, s:s}", "max_upload", 1000, "category", "party");
	lsp_torrent_games_set_options(peer, GAME, &manifest.content_id, asked);
	json_decref(asked);
	json_t *set = json_pack("{s:i, s:b}", "max_upload", 5000, "paused", 1);
	lsp_torrent_games_note_settings(peer, GAME, &manifest.content_id, id, set);
	json_decref(set);
	json_t *arguments = json_object(),
	       *expected = json_pack("{s:i, s:s}", "max_upload", 5000, "category", "party");
	lsp_torrent_games_fetch_options(peer, GAME, true, arguments);
	assert_true(json_equal(arguments, expected));
	json_decref(arguments);
	json_decref(expected);
	lsp_torrent_games_ready(peer, GAME);
	engine_answers(LSP_TORRENT_ADD, 0);
	assert_added_with("max_upload", "5000");
	assert_added_with("category", "\"party\"");
	assert_added_with("paused", NULL);
	/* And what was set of the seed holds for the download of its next content. */
	says(peer, "torrent_settings",
		json_pack("{s:{s:i, s:b}}", "settings", "max_upload", 7, "paused", 1));
	arguments = json_object();
	lsp_torrent_games_fetch_options(peer, GAME, true, arguments);
	assert_int_equal(json_integer_value(json_object_get(arguments, "max_upload")), 7);
	assert_null(json_object_get(arguments, "paused"));
	json_decref(arguments);
}

static void who_shares_a_game_shares_its_next_content(void **state)
{
	struct lsp_peer *peer = *state;
	everything = false;
	lsp_torrent_games_ready(peer, GAME);
	assert_int_equal(call_count, 0);
	lsp_torrent_games_share(peer, GAME, &manifest.content_id, NULL);
	engine_answers(LSP_TORRENT_ADD, 0);
	says(peer, "torrent_settings",
		json_pack("{s:{s:i, s:b}}", "settings", "max_upload", 5000, "goal_met", 1));
	lsp_torrent_games_gone(peer, GAME);
	engine_answers(LSP_TORRENT_REMOVE, 0);
	manifest.content_id.bytes[0] = 1;
	lsp_torrent_games_ready(peer, GAME);
	engine_answers(LSP_TORRENT_ADD, 0);
	assert_added_with("max_upload", "5000");
	assert_added_with("goal_met", NULL); /* this one has given nothing yet */
	/* And one whose torrent is removed is not, whatever its content was when it was shared. */
	char id[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&manifest.content_id, id);
	assert_true(lsp_torrent_games_forget(peer, id));
	lsp_torrent_games_ready(peer, GAME);
	assert_int_equal(answered, call_count);
}

static void what_was_removed_stays_away_where_all_are_seeded(void **state)
{
	struct lsp_peer *peer = *state;
	char id[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&manifest.content_id, id);
	lsp_torrent_games_ready(peer, GAME);
	engine_answers(LSP_TORRENT_ADD, 0);
	assert_true(lsp_torrent_games_forget(peer, id));
	lsp_torrent_games_ready(peer, GAME);
	assert_int_equal(answered, call_count);
	manifest.content_id.bytes[0] = 1;
	lsp_torrent_games_ready(peer, GAME);
	assert_int_equal(answered, call_count);
	lsp_torrent_games_share(peer, GAME, &manifest.content_id, NULL);
	engine_answers(LSP_TORRENT_ADD, 0);
}

/* With the setting off, of all games that were shared or added once, those that are here start it.
 */
static void what_was_asked_for_starts_the_engine_when_it_is_here(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_hash other = {{9}};
	is_off = true;
	ensured = 0;
	lsp_torrent_games_ready(peer, GAME);
	assert_int_equal(lsp_torrent_games_add_alias(peer, GAME, &other, "0123", NULL), 0);
	lsp_torrent_games_ready(peer, GAME); /* another content of it */
	assert_int_equal(ensured, 0);
	assert_int_equal(
		lsp_torrent_games_add_alias(peer, GAME, &manifest.content_id, "0123", NULL), 0);
	lsp_torrent_games_ready(peer, GAME);
	assert_int_equal(ensured, 1);
	is_off = false;
}

static void one_that_waits_to_leave_is_let_go_at_the_end(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_torrent_answer busy = {.result = -LSP_E_BUSY};
	lsp_torrent_games_ready(peer, GAME);
	lsp_torrent_games_gone(peer, GAME);
	calls[1].done(calls[1].argument, &busy);
	call_count = 1; /* that one is answered; the other never is */
}

static void the_torrent_of_a_game_that_is_fetched_is_that_of_the_content_that_comes(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_hash coming;
	char id[LSP_SHA256_HEX_SIZE];
	memset(coming.bytes, 0xc0, sizeof coming.bytes);
	lsp_hash_to_hex(&coming, id);
	known = json_pack("{s:{s:i, s:i}}", id, "peers", 3, "seeds", 2);
	assert_null(lsp_torrent_games_json(peer, GAME)); /* what is here is another content */
	fetched = &coming;
	json_t *swarm = lsp_torrent_games_json(peer, GAME),
	       *wanted = json_pack("{s:[s], s:i, s:i}", "torrents", id, "peers", 3, "seeds", 2);
	assert_true(json_equal(swarm, wanted));
	json_decref(swarm);
	json_decref(wanted);
	json_decref(known);
	known = NULL;
	fetched = NULL;
}

static void a_torrent_file_goes_with_the_last_that_refers_to_it(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_hash next = {{7}};
	char id[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&manifest.content_id, id);
	everything = false;
	lsp_torrent_games_share(peer, GAME, &manifest.content_id, NULL);
	assert_int_equal(
		lsp_torrent_games_add_alias(peer, GAME, &manifest.content_id, "0123", NULL), 0);
	assert_int_equal(
		lsp_torrent_games_add_alias(peer, "doom", &manifest.content_id, "0123", NULL), 0);
	assert_int_equal(drop_count, 0);
	/* It is removed: both games' record of it goes. */
	assert_true(lsp_torrent_games_forget(peer, "0123"));
	assert_int_equal(drop_count, 1);
	assert_string_equal(dropped[0], "0123");
	/* That of a game which is shared no more. */
	assert_true(lsp_torrent_games_forget(peer, id));
	assert_int_equal(drop_count, 2);
	assert_string_equal(dropped[1], id);
	/* Those of a content that is replaced. */
	assert_int_equal(
		lsp_torrent_games_add_alias(peer, GAME, &manifest.content_id, "4567", NULL), 0);
	assert_int_equal(lsp_torrent_games_add_alias(peer, GAME, &next, "89ab", NULL), 0);
	assert_int_equal(drop_count, 4);
	assert_string_equal(dropped[2], id);
	assert_string_equal(dropped[3], "4567");
	engine_answers(LSP_TORRENT_ADD, 0);
}

static void a_torrent_file_stays_that_another_game_or_the_next_content_has_too(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_hash next = {{7}}, last = {{8}};
	everything = false;
	assert_int_equal(
		lsp_torrent_games_add_alias(peer, "doom", &manifest.content_id, "0123", NULL), 0);
	assert_int_equal(
		lsp_torrent_games_add_alias(peer, GAME, &manifest.content_id, "0123", NULL), 0);
	assert_int_equal(lsp_torrent_games_add_alias(peer, GAME, &next, "4567", NULL), 0);
	assert_int_equal(drop_count, 1); /* that of its content, under which it had none */
	assert_string_not_equal(dropped[0], "0123");
	assert_int_equal(lsp_torrent_games_add_alias(peer, GAME, &last, "4567", NULL), 0);
	assert_int_equal(drop_count, 2);
	assert_string_not_equal(dropped[1], "4567");
	assert_true(lsp_torrent_games_forget(peer, "0123"));
	assert_int_equal(drop_count, 3);
	assert_string_equal(dropped[2], "0123");
	/* Nor does one go while it is not known what a file says that could not be read. */
	peer->unread = json_pack("{s:b}", "as-game.json", 1);
	assert_true(lsp_torrent_games_forget(peer, "4567"));
	assert_int_equal(drop_count, 3);
}

static bool was_dropped(const char *id)
{
	size_t i = 0;
	while (i < drop_count && strcmp(dropped[i], id) != 0)
		i++;
	return i < drop_count;
}

/* A download of another content that did not begin. */
static void a_change_that_is_taken_back_leaves_the_record_and_its_files(void **state)
{
	struct lsp_peer *peer = *state;
	struct lsp_hash next = {{7}};
	json_t *before = NULL;
	everything = false;
	for (unsigned is_new = 0; is_new < 2; is_new++) {
		if (!is_new)
			assert_int_equal(lsp_torrent_games_add_alias(
						 peer, GAME, &manifest.content_id, "0123", NULL),
				0);
		_cleanup_json_ json_t *was = json_deep_copy(saved);
		const char *game = is_new ? "doom" : GAME;
		drop_count = 0;
		assert_int_equal(lsp_torrent_games_change(peer, game, &before, NULL), 0);
		assert_int_equal(lsp_torrent_games_add_alias(peer, game, &next, "89ab", NULL), 0);
		assert_int_equal(drop_count, 0);
		lsp_torrent_games_changed(peer, game, before, false);
		assert_true(json_equal(saved, was));
		assert_true(was_dropped("89ab"));
		assert_false(was_dropped("0123"));
	}
	/* One that stands. */
	drop_count = 0;
	assert_int_equal(lsp_torrent_games_change(peer, GAME, &before, NULL), 0);
	assert_int_equal(lsp_torrent_games_add_alias(peer, GAME, &next, "89ab", NULL), 0);
	lsp_torrent_games_changed(peer, GAME, before, true);
	assert_true(was_dropped("0123") && !was_dropped("89ab"));
	assert_true(lsp_torrent_games_has(peer, GAME, &next, "89ab"));
}

static void a_start_wants_the_torrents_that_are_recorded_and_only_knows_those_it_could_read(
	void **state)
{
	struct lsp_peer *peer = *state;
	assert_null(wanted); /* nothing is recorded, or it could not be read */
	lsp_torrent_games_free(peer->torrent_games);
	stored = json_pack("{s:{s:s, s:b, s:[s]}, s:{s:s, s:b, s:[]}}", GAME, "content", "aa",
		"shared", 1, "aliases", "bb", "doom", "content", "cc", "shared", 0, "aliases");
	assert_int_equal(lsp_torrent_games_new(peer, &peer->torrent_games, NULL), 0);
	assert_non_null(wanted);
	assert_true(wanted(peer, "aa") && wanted(peer, "bb"));
	assert_false(wanted(peer, "cc") || wanted(peer, "dd"));
	/* Nor those alone: one is about to be a game's. */
	peer->torrent_wishes = json_pack("{s:{s:{s:b}}, s:{s:{s:b}}}", "dd", "promise", "alias", 1,
		"ee", "promise", "alias", 0);
	assert_true(wanted(peer, "dd"));
	assert_false(wanted(peer, "ee"));
	peer->unread = json_pack("{s:b}", "as-game.json", 1);
	assert_true(wanted(peer, "ee"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_torrent_of_a_game_that_is_fetched_is_that_of_the_content_that_comes,
			start, end),
		cmocka_unit_test_setup_teardown(
			whoever_waits_is_told_when_all_have_left, start, end),
		cmocka_unit_test_setup_teardown(what_is_not_there_has_left, start, end),
		cmocka_unit_test_setup_teardown(
			what_is_still_being_added_leaves_once_it_is_there, start, end),
		cmocka_unit_test_setup_teardown(
			what_comes_back_while_it_leaves_is_seeded_afterwards, start, end),
		cmocka_unit_test_setup_teardown(
			one_that_has_seeded_enough_and_went_can_be_shared_again, start, end),
		cmocka_unit_test_setup_teardown(what_was_set_holds_in_the_next_session, start, end),
		cmocka_unit_test_setup_teardown(
			what_is_set_of_the_torrent_that_fetches_it_holds_for_it_and_its_seed, start,
			end),
		cmocka_unit_test_setup_teardown(
			who_shares_a_game_shares_its_next_content, start, end),
		cmocka_unit_test_setup_teardown(
			what_was_removed_stays_away_where_all_are_seeded, start, end),
		cmocka_unit_test_setup_teardown(
			what_was_asked_for_starts_the_engine_when_it_is_here, start, end),
		cmocka_unit_test_setup_teardown(
			one_that_waits_to_leave_is_let_go_at_the_end, start, end),
		cmocka_unit_test_setup_teardown(
			a_torrent_file_goes_with_the_last_that_refers_to_it, start, end),
		cmocka_unit_test_setup_teardown(
			a_torrent_file_stays_that_another_game_or_the_next_content_has_too, start,
			end),
		cmocka_unit_test_setup_teardown(
			a_change_that_is_taken_back_leaves_the_record_and_its_files, start, end),
		cmocka_unit_test_setup_teardown(
			a_start_wants_the_torrents_that_are_recorded_and_only_knows_those_it_could_read,
			start, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
