#include "fixture.h"

#include "store/library_index.h"

static const char folder_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char folder_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static struct lsp_index_game make_game(const char *id, uint8_t content)
{
	struct lsp_index_game game = {.fingerprint = {{UINT64_MAX - 3, 5}, 7},
		.size = UINT64_C(1) << 40,
		.file_count = 3,
		.chunk_count = 9,
		.piece_length = 131072,
		.version = "1.2"};
	snprintf(game.id, sizeof game.id, "%s", id);
	memset(game.content.bytes, content, sizeof game.content.bytes);
	return game;
}

static struct lsp_library_index *open_index(struct fixture *fixture, const char *folder)
{
	struct lsp_library_index *index = NULL;
	assert_ok(lsp_library_index_open(fixture->folder, &index, &err));
	assert_ok(lsp_library_index_use(index, folder, &err));
	return index;
}

static size_t count_games(struct lsp_library_index *index)
{
	_cleanup_free_ struct lsp_index_game *games = NULL;
	size_t count = 77;
	assert_ok(lsp_library_index_load(index, &games, &count, &err));
	return count;
}

static void what_was_put_is_loaded_after_a_restart(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_library_index *index = open_index(fixture, folder_a);
	struct lsp_index_game quake = make_game("quake", 1), doom = make_game("dööm", 2);
	assert_ok(lsp_library_index_put(index, &quake, "manifest", 8, &err));
	assert_ok(lsp_library_index_put(index, &doom, "other", 5, &err));
	lsp_library_index_close(index);
	index = open_index(fixture, folder_a);
	_cleanup_free_ struct lsp_index_game *games = NULL;
	size_t count = 0;
	assert_ok(lsp_library_index_load(index, &games, &count, &err));
	assert_int_equal(count, 2);
	assert_string_equal(games[0].id, "dööm");
	assert_memory_equal(&games[1].fingerprint, &quake.fingerprint, sizeof quake.fingerprint);
	assert_true(lsp_hash_equal(&games[1].content, &quake.content));
	assert_int_equal(games[1].size, quake.size);
	assert_string_equal(games[1].version, "1.2");
	lsp_library_index_close(index);
}

static void a_manifest_is_found_by_game_and_content(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_library_index *index = open_index(fixture, folder_a);
	struct lsp_index_game quake = make_game("quake", 1), other = make_game("quake", 9);
	assert_ok(lsp_library_index_put(index, &quake, "manifest", 8, &err));
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	assert_ok(lsp_library_index_manifest(
		fixture->folder, folder_a, "quake", &quake.content, &bytes, &err));
	assert_int_equal(bytes.size, 8);
	assert_fails(lsp_library_index_manifest(
			     fixture->folder, folder_a, "quake", &other.content, &bytes, &err),
		LSP_E_NOT_FOUND, "quake");
	assert_fails(lsp_library_index_manifest(
			     fixture->folder, folder_b, "quake", &quake.content, &bytes, &err),
		LSP_E_NOT_FOUND, "quake");
	lsp_library_index_close(index);
}

static void folders_are_kept_apart(void **state)
{
	struct lsp_library_index *index = open_index(*state, folder_a);
	struct lsp_index_game quake = make_game("quake", 1);
	assert_ok(lsp_library_index_put(index, &quake, "m", 1, &err));
	assert_ok(lsp_library_index_use(index, folder_b, &err));
	assert_int_equal(count_games(index), 0);
	assert_ok(lsp_library_index_use(index, folder_a, &err));
	assert_int_equal(count_games(index), 1);
	assert_ok(lsp_library_index_remove(index, "quake", &err));
	assert_ok(lsp_library_index_remove(index, "quake", &err));
	assert_int_equal(count_games(index), 0);
	lsp_library_index_close(index);
}

static void folders_not_used_for_long_are_forgotten(void **state)
{
	struct lsp_library_index *index = open_index(*state, folder_a);
	struct lsp_index_game quake = make_game("quake", 1);
	assert_ok(lsp_library_index_put(index, &quake, "m", 1, &err));
	for (int i = 0; i < LSP_INDEX_FOLDERS_MAX; i++) {
		char id[LSP_FOLDER_ID_SIZE];
		snprintf(id, sizeof id, "%032d", i);
		assert_ok(lsp_library_index_use(index, id, &err));
	}
	assert_ok(lsp_library_index_use(index, folder_a, &err));
	assert_int_equal(count_games(index), 0);
	lsp_library_index_close(index);
}

static void a_touched_game_keeps_its_content(void **state)
{
	struct lsp_library_index *index = open_index(*state, folder_a);
	struct lsp_index_game quake = make_game("quake", 1);
	assert_ok(lsp_library_index_put(index, &quake, "m", 1, &err));
	assert_ok(lsp_library_index_touch(index, "quake", UINT64_MAX, &err));
	_cleanup_free_ struct lsp_index_game *games = NULL;
	size_t count = 0;
	assert_ok(lsp_library_index_load(index, &games, &count, &err));
	assert_true(games[0].structure == UINT64_MAX);
	assert_true(lsp_hash_equal(&games[0].content, &quake.content));
	lsp_library_index_close(index);
}

static void a_damaged_index_is_built_anew_with_a_warning(void **state)
{
	struct fixture *fixture = *state;
	lsp_library_index_close(open_index(fixture, folder_a));
	assert_int_equal(truncate(in_folder(fixture, "library.db"), 5000), 0);
	struct lsp_library_index *index = open_index(fixture, folder_a);
	assert_int_equal(fixture->warnings, 1);
	struct lsp_index_game quake = make_game("quake", 1);
	assert_ok(lsp_library_index_put(index, &quake, "m", 1, &err));
	assert_int_equal(count_games(index), 1);
	lsp_library_index_close(index);
}

static void damage_while_in_use_costs_what_was_known_and_no_more(void **state)
{
	struct fixture *fixture = *state;
	struct lsp_library_index *index = open_index(fixture, folder_a);
	static char big[300000];
	struct lsp_index_game quake = make_game("quake", 1);
	assert_ok(lsp_library_index_put(index, &quake, big, sizeof big, &err));
	lsp_library_index_close(index);
	char page[4096];
	memset(page, 0x5a, sizeof page);
	int fd = open(in_folder(fixture, "library.db"), O_RDWR | O_CLOEXEC);
	for (int i = 2; i < 60; i++)
		assert_int_equal(pwrite(fd, page, sizeof page, i * 4096), sizeof page);
	close(fd);
	index = NULL;
	assert_ok(lsp_library_index_open(fixture->folder, &index, &err));
	int first = lsp_library_index_use(index, folder_a, NULL);
	assert_int_equal(first, -LSP_E_CORRUPT);
	assert_int_equal(count_games(index), 0);
	assert_ok(lsp_library_index_put(index, &quake, "m", 1, &err));
	assert_int_equal(count_games(index), 1);
	lsp_library_index_close(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(what_was_put_is_loaded_after_a_restart),
		FIXTURE_TEST(a_manifest_is_found_by_game_and_content),
		FIXTURE_TEST(folders_are_kept_apart),
		FIXTURE_TEST(folders_not_used_for_long_are_forgotten),
		FIXTURE_TEST(a_touched_game_keeps_its_content),
		FIXTURE_TEST(a_damaged_index_is_built_anew_with_a_warning),
		FIXTURE_TEST(damage_while_in_use_costs_what_was_known_and_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
