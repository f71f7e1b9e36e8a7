/* A copy under another name costs no download. */
#include "world.h"

#include "base/text.h"
#include "content/hasher.h"
#include "install/adopt.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

static void put_pattern(int fd, const char *path, size_t size, unsigned seed)
{
	_cleanup_free_ unsigned char *data = malloc(size);
	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)((i * 2654435761u + seed) >> 13);
	assert_int_equal(lsp_fs_write_file_below(fd, path, data, size, 0644, NULL), 0);
}

static int make_folder(struct world *world, const char *name)
{
	int fd;
	assert_int_equal(lsp_fs_make_dirs_below(world->root_fd, name, NULL), 0);
	assert_int_equal(lsp_fs_open_dir_below(world->root_fd, name, &fd, NULL), 0);
	return fd;
}

static void open_stage(
	struct world *world, const struct lsp_manifest *manifest, struct lsp_stage **ret_stage)
{
	struct lsp_error err = {0};
	if (lsp_stage_open(world->game_fd, manifest, ret_stage, &err) < 0 ||
		lsp_stage_prepare(*ret_stage, NULL, NULL, NULL, &err) < 0)
		fail_msg("%s", err.message);
}

static void a_renamed_copy_costs_no_download(void **state)
{
	struct world *world = *state;
	_cleanup_hashed_ struct lsp_hashed original = {0};
	_cleanup_hashed_ struct lsp_hashed copy = {0};
	_cleanup_hashed_ struct lsp_hashed other = {0};
	_cleanup_close_ int a = make_folder(world, "seeder");
	_cleanup_close_ int b = make_folder(world, "copied by hand");
	_cleanup_close_ int c = make_folder(world, "something else");
	struct lsp_hasher_options options = {0};
	struct lsp_error err = {0};
	put_pattern(a, "game.eti", 700000, 1);
	put_pattern(a, "extra.bin", 300000, 2);
	put(a, "version.ini", "20240131\n");
	put_pattern(b, "renamed.rar", 700000, 1);
	put_pattern(b, "renamed.bin", 300000, 2);
	put(b, "version.ini", "20240131\n");
	put_pattern(c, "unrelated", 500000, 3);
	assert_int_equal(lsp_hasher_run(a, "game", &options, NULL, &original, &err), 0);
	assert_int_equal(lsp_hasher_run(b, "copy", &options, NULL, &copy, &err), 0);
	assert_int_equal(lsp_hasher_run(c, "else", &options, NULL, &other, &err), 0);
	struct lsp_adopt_candidate candidates[] = {{c, other.manifest}, {b, copy.manifest}};
	struct lsp_adopt_match matches[2];
	size_t count;
	assert_int_equal(
		lsp_adopt_rank(original.manifest, candidates, 2, matches, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(matches[0].candidate, 1);
	assert_int_equal(matches[0].bytes, original.manifest->total_size);
	_cleanup_stage_ struct lsp_stage *stage = NULL;
	uint64_t gained = 0, bytes;
	uint32_t chunks;
	open_stage(world, original.manifest, &stage);
	if (lsp_adopt_run(stage, candidates, 2, NULL, NULL, NULL, &gained, &err) < 0)
		fail_msg("%s", err.message);
	lsp_stage_left(stage, &bytes, &chunks);
	assert_int_equal(chunks, 0);
	assert_int_equal(gained, original.manifest->total_size);
	assert_int_equal(lsp_stage_commit(stage, NULL, &err), 0);
	assert_true(holds(world->game_fd, "version.ini", "20240131\n"));
	assert_true(lsp_fs_exists_below(world->game_fd, "game.eti"));
}

static void a_folder_that_nobody_hashed_gives_what_it_has(void **state)
{
	struct world *world = *state;
	_cleanup_hashed_ struct lsp_hashed original = {0};
	_cleanup_close_ int a = make_folder(world, "seeder");
	_cleanup_close_ int b = make_folder(world, "half");
	struct lsp_hasher_options options = {0};
	struct lsp_error err = {0};
	put_pattern(a, "game.eti", 700000, 1);
	put_pattern(a, "extra.bin", 300000, 2);
	put_pattern(b, "game (copy).eti", 700000, 1);
	assert_int_equal(lsp_hasher_run(a, "game", &options, NULL, &original, &err), 0);
	_cleanup_stage_ struct lsp_stage *stage = NULL;
	uint64_t gained = 0;
	open_stage(world, original.manifest, &stage);
	if (lsp_adopt_folder(stage, b, false, NULL, NULL, NULL, &gained, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(gained, 700000);
}

static void what_was_copied_in_by_hand_stays_where_it_is(void **state)
{
	struct world *world = *state;
	_cleanup_hashed_ struct lsp_hashed original = {0};
	_cleanup_close_ int a = make_folder(world, "seeder");
	struct lsp_hasher_options options = {0};
	struct lsp_error err = {0};
	struct stat before, after;
	put_pattern(a, "game.eti", 700000, 1);
	put_pattern(a, "extra.bin", 300000, 2);
	put(a, "version.ini", "20240131\n");
	put_pattern(world->game_fd, "game.eti", 700000, 1);
	put_pattern(world->game_fd, "extra.bin", 300000, 3);
	assert_int_equal(lsp_fs_stat_below(world->game_fd, "game.eti", &before, NULL), 0);
	assert_int_equal(lsp_hasher_run(a, "game", &options, NULL, &original, &err), 0);
	_cleanup_stage_ struct lsp_stage *stage = NULL;
	uint64_t gained = 0;
	open_stage(world, original.manifest, &stage);
	if (lsp_adopt_folder(stage, world->game_fd, true, NULL, NULL, NULL, &gained, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(gained, 700000);
	assert_true(lsp_stage_space_needed(stage, NULL) < 400000);
	if (lsp_adopt_folder(stage, a, false, NULL, NULL, NULL, &gained, &err) < 0)
		fail_msg("%s", err.message);
	if (lsp_stage_commit(stage, NULL, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(lsp_fs_stat_below(world->game_fd, "game.eti", &after, NULL), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_true(holds(world->game_fd, "version.ini", "20240131\n"));
	/* Of the same name and other content: the user's, kept. */
	assert_int_equal(lsp_fs_stat_below(world->game_fd, "extra.bin", &after, NULL), 0);
	int found = 0;
	_cleanup_free_ char *path = lsp_text_format("%s/game", world->path);
	DIR *dir = opendir(path);
	for (struct dirent *entry; (entry = readdir(dir));)
		found += strncmp(entry->d_name, "local.kept-", 11) == 0;
	closedir(dir);
	assert_int_equal(found, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_renamed_copy_costs_no_download),
		TEST(a_folder_that_nobody_hashed_gives_what_it_has),
		TEST(what_was_copied_in_by_hand_stays_where_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
