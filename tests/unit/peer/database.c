/* The peer database: who has what, what is newest, and which contents there are of it. */
#include "peer/database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct lsp_version version(const char *text)
{
	struct lsp_version v;
	assert_int_equal(lsp_version_parse(text, strlen(text), &v, NULL), 0);
	return v;
}

static struct lsp_hash hash(uint8_t byte)
{
	struct lsp_hash h;
	memset(h.bytes, byte, sizeof h.bytes);
	return h;
}

struct fixture {
	struct lsp_database *database;
	struct lsp_remote_peer *peers[3];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_int_equal(lsp_database_new(&f->database, NULL), 0);
	for (uint8_t i = 0; i < 3; i++) {
		struct lsp_hash id = hash((uint8_t)(i + 1));
		assert_int_equal(
			lsp_database_add_peer(f->database, &id, NULL, &f->peers[i], NULL), 0);
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 3; i++)
		lsp_database_remove_peer(f->database, f->peers[i]);
	assert_int_equal(lsp_database_game_count(f->database), 0);
	lsp_database_free(f->database);
	free(f);
	return 0;
}

static void announce(struct fixture *f, int peer, const char *game, const char *version_text,
	uint8_t content, enum lsp_holding holding)
{
	struct lsp_version v = version(version_text);
	struct lsp_hash h = hash(content);
	assert_int_equal(lsp_database_set_game(f->database, f->peers[peer], game, "Title", &v, &h,
				 1000, holding, NULL),
		0);
}

static void the_newest_version_of_all_peers_is_found(void **state)
{
	struct fixture *f = *state;
	announce(f, 0, "quake", "20230101", 1, LSP_HOLDING_READY);
	announce(f, 1, "quake", "20240131", 2, LSP_HOLDING_READY);
	const struct lsp_known_game *game = lsp_database_find(f->database, "quake");
	assert_int_equal(game->holder_count, 2);
	assert_string_equal(lsp_known_game_newest(game)->text, "20240131");
	struct lsp_variant variants[4];
	assert_int_equal(lsp_known_game_variants(game, variants, 4), 1);
	assert_int_equal(variants[0].content.bytes[0], 2);
}

static void contents_of_one_version_are_told_apart_and_counted(void **state)
{
	struct fixture *f = *state;
	announce(f, 0, "quake", "1.0", 9, LSP_HOLDING_READY);
	announce(f, 1, "quake", "1.0", 7, LSP_HOLDING_READY);
	announce(f, 2, "quake", "1.0", 7, LSP_HOLDING_PARTIAL);
	struct lsp_variant variants[4];
	const struct lsp_known_game *game = lsp_database_find(f->database, "quake");
	assert_int_equal(lsp_known_game_variants(game, variants, 4), 2);
	assert_int_equal(variants[0].content.bytes[0], 7);
	assert_int_equal(variants[0].ready, 1);
	assert_int_equal(variants[0].partial, 1);
	assert_int_equal(variants[1].content.bytes[0], 9);
}

static void a_game_that_is_being_hashed_is_newest_but_no_variant_yet(void **state)
{
	struct fixture *f = *state;
	announce(f, 0, "quake", "1.0", 1, LSP_HOLDING_READY);
	announce(f, 1, "quake", "2.0", 0, LSP_HOLDING_READY); /* no content: so it is hashing */
	const struct lsp_known_game *game = lsp_database_find(f->database, "quake");
	assert_string_equal(lsp_known_game_newest(game)->text, "2.0");
	struct lsp_variant variants[4];
	assert_int_equal(lsp_known_game_variants(game, variants, 4), 1);
	assert_string_equal(variants[0].version.text, "1.0");
}

static void what_a_peer_says_anew_takes_the_place_of_the_old(void **state)
{
	struct fixture *f = *state;
	announce(f, 0, "quake", "1.0", 1, LSP_HOLDING_PARTIAL);
	announce(f, 0, "quake", "1.1", 3, LSP_HOLDING_READY);
	const struct lsp_known_game *game = lsp_database_find(f->database, "quake");
	assert_int_equal(game->holder_count, 1);
	assert_string_equal(lsp_known_game_newest(game)->text, "1.1");
	assert_int_equal(f->peers[0]->game_count, 1);
}

static void a_game_goes_with_its_last_holder(void **state)
{
	struct fixture *f = *state;
	announce(f, 0, "quake", "1.0", 1, LSP_HOLDING_READY);
	announce(f, 1, "quake", "1.0", 1, LSP_HOLDING_READY);
	assert_true(lsp_database_remove_game(f->database, f->peers[0], "quake"));
	assert_false(lsp_database_remove_game(f->database, f->peers[0], "quake"));
	assert_non_null(lsp_database_find(f->database, "quake"));
	lsp_database_clear_games(f->database, f->peers[1]);
	assert_null(lsp_database_find(f->database, "quake"));
	assert_null(lsp_database_next(f->database, NULL));
}

/* A game of a thousand holders is told by what they say, which is one thing. */
static void holders_who_say_the_same_share_what_they_say(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 3; i++)
		announce(f, i, "quake", "1.0", 1, i ? LSP_HOLDING_READY : LSP_HOLDING_PARTIAL);
	const struct lsp_known_game *game = lsp_database_find(f->database, "quake");
	assert_non_null(game->editions);
	assert_null(game->editions->next);
	assert_int_equal(game->editions->holders[LSP_HOLDING_READY], 2);
	assert_int_equal(game->editions->holders[LSP_HOLDING_PARTIAL], 1);
	announce(f, 0, "quake", "1.0", 1, LSP_HOLDING_READY);
	assert_int_equal(game->editions->holders[LSP_HOLDING_PARTIAL], 0);
	announce(f, 1, "quake", "1.1", 2, LSP_HOLDING_READY);
	assert_non_null(game->editions->next);
	lsp_database_clear_games(f->database, f->peers[1]);
	assert_null(game->editions->next);
	assert_int_equal(game->editions->holders[LSP_HOLDING_READY], 2);
}

enum { PEERS = 20, GAMES = 60, STEPS = 20000 };

/* What each peer said of each game last; size 0: it has none. */
struct said {
	uint64_t size;
	unsigned minor; /* of version 1.minor */
	bool titled, ready;
};

static void check_game(const struct lsp_database *database, const char *name,
	struct lsp_remote_peer **peers, const struct said said[PEERS])
{
	const struct lsp_known_game *game = lsp_database_find(database, name);
	int newest = -1, ready = -1;
	bool titled = false;
	for (int i = 0; i < PEERS; i++) {
		const struct lsp_remote_game *copy =
			game ? lsp_database_copy_of(game, peers[i]) : NULL;
		assert_int_equal(copy ? copy->said->size : 0, said[i].size);
		if (!copy)
			continue;
		newest = LSP_MAX(newest, (int)said[i].minor);
		if (said[i].ready)
			ready = LSP_MAX(ready, (int)said[i].minor);
		titled |= said[i].titled;
	}
	assert_int_equal(game != NULL, newest >= 0);
	if (!game)
		return;
	struct lsp_variant variant;
	struct lsp_version wanted = version((char[]){'1', '.', (char)('0' + newest), 0});
	assert_int_equal(lsp_version_compare(lsp_known_game_newest(game), &wanted), 0);
	assert_int_equal(lsp_known_game_title(game) != NULL, titled);
	assert_int_equal(lsp_known_game_variants(game, &variant, 1), ready >= 0);
	if (ready >= 0) {
		wanted = version((char[]){'1', '.', (char)('0' + ready), 0});
		assert_int_equal(lsp_version_compare(&variant.version, &wanted), 0);
	}
}

/* Whatever order they come and go in, what is told is what was said last. */
static void many_holders_and_games_are_told_as_they_were_announced(void **state)
{
	static struct said said[GAMES][PEERS];
	struct lsp_database *database = NULL;
	struct lsp_remote_peer *peers[PEERS];
	uint64_t x = 1;
	size_t copies = 0;
	assert_int_equal(lsp_database_new(&database, NULL), 0);
	for (uint8_t i = 0; i < PEERS; i++) {
		struct lsp_hash id = hash(i);
		assert_int_equal(lsp_database_add_peer(database, &id, NULL, &peers[i], NULL), 0);
	}
	for (uint64_t step = 1; step <= STEPS; step++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		size_t p = (x >> 33) % PEERS, g = (x >> 40) % GAMES;
		struct said *one = &said[g][p];
		char name[16];
		snprintf(name, sizeof name, "game-%zu", g);
		copies -= one->size != 0;
		if (x >> 62) {
			*one = (struct said){step, (x >> 20) % 8, x >> 19 & 1, x >> 18 & 1};
			struct lsp_version v =
				version((char[]){'1', '.', (char)('0' + one->minor), 0});
			struct lsp_hash content = hash(one->ready);
			assert_int_equal(lsp_database_set_game(database, peers[p], name,
						 one->titled ? "Title" : NULL, &v, &content, step,
						 LSP_HOLDING_READY, NULL),
				0);
		} else {
			assert_int_equal(
				lsp_database_remove_game(database, peers[p], name), one->size != 0);
			*one = (struct said){0};
		}
		copies += one->size != 0;
		assert_int_equal(lsp_database_copy_count(database), copies);
		check_game(database, name, peers, said[g]);
	}
	for (int i = 0; i < PEERS; i++)
		lsp_database_remove_peer(database, peers[i]);
	assert_int_equal(lsp_database_copy_count(database), 0);
	lsp_database_free(database);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_newest_version_of_all_peers_is_found),
		TEST(contents_of_one_version_are_told_apart_and_counted),
		TEST(a_game_that_is_being_hashed_is_newest_but_no_variant_yet),
		TEST(what_a_peer_says_anew_takes_the_place_of_the_old),
		TEST(a_game_goes_with_its_last_holder),
		TEST(holders_who_say_the_same_share_what_they_say),
		cmocka_unit_test(many_holders_and_games_are_told_as_they_were_announced),
	};
	return cmocka_run_group_tests_name("database", tests, NULL, NULL);
}
