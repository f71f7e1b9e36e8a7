/*
 * Which content of a game is damage, and until when: with a stand-in for the state folder. What the
 * library would find is the test's to say.
 */
#include "peer/damage.h"

#include "peer/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GAME "quake"
/* 99 bytes, and then a letter of two: byte 100 is in the middle of it. */
#define DEEP                                                                                       \
	"data/"                                                                                    \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                                          \
	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\xc3\xbc.pak"

static struct lsp_peer peer;
static json_t *disk; /* damaged.json */
static unsigned warnings;

json_t *lsp_peer_load_json(struct lsp_peer *its, const char *name)
{
	return json_deep_copy(disk);
}

void lsp_peer_save_json(struct lsp_peer *its, const char *name, json_t *document)
{
	json_decref(disk);
	disk = document;
}

void lsp_peer_warn(struct lsp_peer *its, const char *format, ...)
{
	warnings++;
}

static void start(void)
{
	assert_int_equal(lsp_damage_new(&peer, &peer.damage, NULL), 0);
}

static void restart(void)
{
	lsp_damage_free(peer.damage);
	start();
}

static int begin(void **state)
{
	disk = json_object();
	warnings = 0;
	start();
	return 0;
}

static int end(void **state)
{
	lsp_damage_free(peer.damage);
	json_decref(disk);
	return 0;
}

/* The same two files; their bytes are what the letters say. */
static const struct lsp_manifest *content(char first, char second)
{
	struct lsp_manifest_entry entries[] = {
		{.path = DEEP, .size = 1000, .root = {{(uint8_t)first}}},
		{.path = "pak1.pak", .size = 1000, .root = {{(uint8_t)second}}},
	};
	const struct lsp_manifest *manifest;
	assert_int_equal(lsp_manifest_build(GAME, entries, 2, &manifest, NULL), 0);
	return manifest;
}

/* The game is ready so; times: what stands for its files' names, sizes and times. */
static struct lsp_library_game ready(const struct lsp_manifest *manifest, uint64_t times)
{
	struct lsp_library_game game = {.id = GAME,
		.state = LSP_LIBRARY_READY,
		.fingerprint = {{times, UINT64_MAX}, 0},
		.content = manifest->content_id};
	return game;
}

static void serve(char first, char second, uint64_t times)
{
	_cleanup_manifest_ const struct lsp_manifest *manifest = content(first, second);
	struct lsp_library_game game = ready(manifest, times);
	lsp_damage_was(&peer, &game, manifest);
}

/* It was hashed, and is that. */
static bool is_damaged(char first, char second, uint64_t times)
{
	_cleanup_manifest_ const struct lsp_manifest *manifest = content(first, second);
	struct lsp_library_game game = ready(manifest, times);
	bool damaged = lsp_damage_found(&peer, &game, manifest);
	assert_int_equal(lsp_damage_is(&peer, &game, NULL), damaged);
	assert_int_equal(json_object_size(disk), damaged);
	return damaged;
}

/* What `get` would bring back from that. */
static void expect_was(char first, char second, uint64_t times, char was_first, char was_second)
{
	_cleanup_manifest_ const struct lsp_manifest *is = content(first, second);
	_cleanup_manifest_ const struct lsp_manifest *was = content(was_first, was_second);
	struct lsp_library_game game = ready(is, times);
	struct lsp_hash found;
	assert_true(lsp_damage_is(&peer, &game, &found));
	assert_true(lsp_hash_equal(&found, &was->content_id));
}

static void one_byte_after_the_other_is_still_damage(void **state)
{
	serve('a', 'a', 1);
	assert_true(is_damaged('x', 'a', 1));
	assert_int_equal(json_array_size(lsp_damage_files(&peer, GAME)), 1);
	assert_true(is_damaged('x', 'y', 1));
	assert_int_equal(json_array_size(lsp_damage_files(&peer, GAME)), 2);
	assert_int_equal(warnings, 2);
	expect_was('x', 'y', 1, 'a', 'a');
	/* The second one alone, and as it was told already. */
	assert_true(is_damaged('a', 'y', 1));
	assert_true(is_damaged('a', 'y', 1));
	assert_int_equal(warnings, 3);
	expect_was('a', 'y', 1, 'a', 'a');
}

static void it_is_damaged_after_a_restart_too(void **state)
{
	serve('a', 'a', 1);
	assert_true(is_damaged('x', 'a', 1));
	restart();
	assert_true(is_damaged('x', 'a', 1));
	assert_true(is_damaged('x', 'y', 1));
	restart();
	assert_true(is_damaged('x', 'y', 1));
	expect_was('x', 'y', 1, 'a', 'a');
	assert_false(is_damaged('a', 'a', 1));
}

/* Somebody fetches just what the disk made of it: the game is a share then. */
static void what_is_damaged_is_not_what_it_was(void **state)
{
	serve('a', 'a', 1);
	assert_true(is_damaged('x', 'a', 1));
	serve('x', 'a', 1);
	assert_true(is_damaged('x', 'y', 1));
	expect_was('x', 'y', 1, 'a', 'a');
}

static void what_heals_is_served(void **state)
{
	serve('a', 'a', 1);
	assert_true(is_damaged('x', 'a', 1));
	assert_false(is_damaged('a', 'a', 1));
	serve('a', 'a', 1);
	assert_true(is_damaged('a', 'y', 1));
}

static void what_is_touched_or_written_is_the_users_own(void **state)
{
	serve('a', 'a', 1);
	assert_false(is_damaged('w', 'a', 2));
	serve('w', 'a', 2);
	assert_true(is_damaged('x', 'a', 2));
	assert_false(is_damaged('x', 'a', 3));
	assert_false(is_damaged('x', 'a', 3));
	serve('x', 'a', 3);
	assert_true(is_damaged('x', 'y', 3));
	expect_was('x', 'y', 3, 'x', 'a');
}

static void what_an_operation_put_there_is_served(void **state)
{
	assert_false(lsp_damage_end(&peer, GAME));
	serve('a', 'a', 1);
	assert_true(is_damaged('x', 'a', 1));
	assert_true(lsp_damage_end(&peer, GAME));
	assert_false(is_damaged('x', 'a', 1));
}

static void an_older_record_is_dropped(void **state)
{
	static const char *const prints[] = {"", "\"fingerprint\": 7,", "\"fingerprint\": \"7\","};
	_cleanup_manifest_ const struct lsp_manifest *was = content('a', 'a');
	_cleanup_manifest_ const struct lsp_manifest *is = content('x', 'a');
	char old[LSP_SHA256_HEX_SIZE], new[LSP_SHA256_HEX_SIZE], text[400];
	lsp_hash_to_hex(&was->content_id, old);
	lsp_hash_to_hex(&is->content_id, new);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(prints); i++) {
		snprintf(text, sizeof text,
			"{\"" GAME "\": {%s \"content\": \"%s\", \"damaged\": \"%s\", "
			"\"files\": []}}",
			prints[i], old, new);
		json_decref(disk);
		disk = json_loads(text, 0, NULL);
		assert_int_equal(json_object_size(disk), 1);
		restart();
		assert_false(is_damaged('x', 'a', 1));
	}
}

static void a_long_name_is_cut_at_a_letter(void **state)
{
	serve('a', 'a', 1);
	assert_true(is_damaged('x', 'a', 1));
	char *text = lsp_damage_text(&peer, GAME);
	json_t *string = json_string(text);
	assert_non_null(string); /* else it is no UTF-8 */
	assert_non_null(strstr(text, "bbb (1 of 1 chunks)"));
	json_decref(string);
	free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(one_byte_after_the_other_is_still_damage),
		TEST(it_is_damaged_after_a_restart_too),
		TEST(what_is_damaged_is_not_what_it_was),
		TEST(what_heals_is_served),
		TEST(what_is_touched_or_written_is_the_users_own),
		TEST(what_an_operation_put_there_is_served),
		TEST(an_older_record_is_dropped),
		TEST(a_long_name_is_cut_at_a_letter),
	};
	return cmocka_run_group_tests_name("peer/damage", tests, NULL, NULL);
}
