/* Adding games, and packing them the same way everywhere. */
#include "world.h"

#include "base/log.h"
#include "base/text.h"
#include "install/add.h"
#include "install/pack.h"
#include "install/tree.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static struct lsp_add_options options = {.game = "quake", .version = "1.2.10"};

static int add(
	struct world *world, const char *from, struct lsp_add_result *result, struct lsp_error *err)
{
	_cleanup_free_ char *path = lsp_text_format("%s/%s", world->path, from);
	*result = (struct lsp_add_result){0};
	return lsp_add(world->game_fd, path, &options, result, err);
}

static void put_original(struct world *world, const char *folder)
{
	static const char *const files[] = {"bin/run", "data/pak0.pak", "cover.jpg", "b.txt"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path = lsp_text_format("%s/%s", folder, files[i]);
		put(world->root_fd, path, files[i]);
	}
	_cleanup_free_ char *run = lsp_text_format("%s/bin/run", folder);
	_cleanup_close_ int fd = -1;
	assert_int_equal(lsp_fs_open_below(world->root_fd, run, O_RDONLY, 0, &fd, NULL), 0);
	assert_int_equal(lsp_fs_chmod(fd, 0755, run, NULL), 0);
}

static void a_folder_becomes_plain_files_and_a_version(void **state)
{
	struct world *world = *state;
	struct lsp_add_result result;
	struct lsp_error err = {0};
	put_original(world, "original");
	put(world->root_fd, "original/version.ini", "somebody's own");
	if (add(world, "original", &result, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(holds(world->game_fd, "quake/data/pak0.pak", "data/pak0.pak"));
	assert_true(holds(world->game_fd, "quake/version.ini", "1.2.10\n"));
	struct stat st;
	assert_int_equal(lsp_fs_stat_below(world->game_fd, "quake/bin/run", &st, NULL), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
	assert_int_equal(st.st_nlink, 1);
	assert_false(lsp_fs_exists_below(world->game_fd, "quake/.lanspread/install"));
	assert_true(lsp_text_ends_with(result.cover, "/original/cover.jpg"));
	assert_int_equal(result.files, 4);
	assert_false(result.packed);
	lsp_add_result_done(&result);
	assert_int_equal(add(world, "original", &result, &err), -LSP_E_EXISTS);
}

static void a_folder_around_the_library_is_no_game(void **state)
{
	struct world *world = *state;
	_cleanup_free_ char *library = lsp_text_format("/proc/self/fd/%d", world->game_fd);
	_cleanup_free_ char *folder = realpath(library, NULL);
	struct lsp_add_result result = {0};
	struct lsp_error err = {0};
	put(world->root_fd, "original/a", "a");
	assert_int_equal(add(world, ".", &result, &err), -LSP_E_INVALID);
	assert_non_null(strstr(err.message, "the games folder is in"));
	assert_int_equal(lsp_add(world->game_fd, folder, &options, &result, &err), -LSP_E_INVALID);
	assert_false(lsp_fs_exists_below(world->game_fd, "quake"));
}

static void an_archive_is_taken_as_it_is(void **state)
{
	struct world *world = *state;
	static const struct item items[] = {{.path = "a", .text = "a"}};
	struct lsp_add_result result;
	struct lsp_error err = {0};
	write_rar5(world->root_fd, "quake.eti", 0, items, 1, false);
	assert_int_equal(add(world, "quake.eti", &result, &err), 0);
	assert_true(lsp_fs_exists_below(world->game_fd, "quake/quake.eti"));
	assert_true(holds(world->game_fd, "quake/version.ini", "1.2.10\n"));
	put(world->root_fd, "letter.txt", "no archive");
	options.game = "other";
	assert_int_equal(add(world, "letter.txt", &result, &err), -LSP_E_INVALID);
	options.game = "quake";
	assert_false(lsp_fs_exists_below(world->game_fd, "other"));
}

static void read_all(struct world *world, const char *path, struct lsp_buffer *out)
{
	assert_int_equal(lsp_fs_read_file_below(world->game_fd, path, 1 << 20, out, NULL), 0);
}

static void packing_twice_gives_the_same_bytes_and_links_force_it(void **state)
{
	struct world *world = *state;
	_cleanup_buffer_ struct lsp_buffer one = {0};
	_cleanup_buffer_ struct lsp_buffer two = {0};
	struct lsp_add_result result;
	struct lsp_error err = {0};
	char name[180] = "folder/";
	memset(name + 7, 'n', 150);
	put_original(world, "one");
	put_original(world, "elsewhere");
	for (int i = 0; i < 2; i++) {
		const char *folder = i ? "elsewhere" : "one";
		_cleanup_free_ char *link = lsp_text_format("%s/link", folder);
		_cleanup_free_ char *longer = lsp_text_format("%s/%s", folder, name);
		assert_int_equal(lsp_fs_symlink_below(world->root_fd, link, "bin/run", NULL), 0);
		put(world->root_fd, longer, "a long name");
		options.game = i ? "second" : "first";
		if (add(world, folder, &result, &err) < 0)
			fail_msg("%s", err.message);
		assert_true(result.packed);
		lsp_add_result_done(&result);
	}
	options.game = "quake";
	read_all(world, "first/first.tar", &one);
	read_all(world, "second/second.tar", &two);
	assert_int_equal(one.size, two.size);
	assert_memory_equal(one.data, two.data, one.size);
	/* And what was packed installs. */
	_cleanup_close_ int game = -1;
	struct lsp_unpacker here;
	struct lsp_install_result installed;
	lsp_unpacker_init_here(&here);
	struct lsp_install_options install = {.unpacker = &here};
	assert_int_equal(lsp_fs_open_dir_below(world->game_fd, "first", &game, NULL), 0);
	if (lsp_install(game, &install, &installed, &err) < 0)
		fail_msg("%s", err.message);
	_cleanup_free_ char *unpacked = lsp_text_format("local/%s", name);
	assert_true(holds(game, unpacked, "a long name"));
	assert_true(holds(game, "local/b.txt", "b.txt"));
	char text[32];
	assert_int_equal(lsp_tree_read_link(game, "local/link", text, sizeof text, NULL), 0);
	assert_string_equal(text, "bin/run");
}

static void what_cannot_be_shared_is_refused_by_name(void **state)
{
	struct world *world = *state;
	struct lsp_add_result result;
	struct lsp_error err = {0};
	put(world->root_fd, "bad/CON", "x");
	assert_int_equal(add(world, "bad", &result, &err), -LSP_E_INVALID);
	assert_non_null(strstr(err.message, "CON"));
	assert_non_null(strstr(err.message, "--pack"));
	assert_false(lsp_fs_exists_below(world->game_fd, "quake"));
	options.pack = true;
	assert_int_equal(add(world, "bad", &result, &err), 0);
	options.pack = false;
	lsp_add_result_done(&result);
	options.game = "links";
	assert_int_equal(lsp_fs_make_dirs_below(world->root_fd, "out", NULL), 0);
	put(world->root_fd, "out/file", "x");
	assert_int_equal(lsp_fs_symlink_below(world->root_fd, "out/up", "../game", NULL), 0);
	assert_int_equal(add(world, "out", &result, &err), -LSP_E_DENIED);
	assert_false(lsp_fs_exists_below(world->game_fd, "links"));
	options.game = "../links";
	assert_int_equal(add(world, "out", &result, &err), -LSP_E_INVALID);
	options.game = "quake";
	options.version = "newest";
	assert_int_equal(add(world, "out", &result, &err), -LSP_E_INVALID);
	options.version = "1.2.10";
	assert_int_equal(add(world, "nowhere", &result, &err), -LSP_E_NOT_FOUND);
}

static int fail_at, seen;

static int before(const struct lsp_fs_event *event, void *argument)
{
	(void)event;
	(void)argument;
	return seen++ == fail_at ? 28 /* ENOSPC */ : 0;
}

static void a_full_disk_leaves_no_game(void **state)
{
	struct world *world = *state;
	static const struct lsp_fs_hooks hooks = {before, NULL, NULL};
	put_original(world, "original");
	for (fail_at = 0;; fail_at++) {
		struct lsp_add_result result;
		struct lsp_error err = {0};
		seen = 0;
		lsp_fs_set_hooks(&hooks);
		int r = add(world, "original", &result, &err);
		lsp_fs_set_hooks(NULL);
		lsp_add_result_done(&result);
		bool game = lsp_fs_exists_below(world->game_fd, "quake/version.ini");
		assert_int_equal(r == 0, game);
		if (r < 0)
			assert_false(lsp_fs_exists_below(world->game_fd, "quake"));
		drop(world->game_fd, "quake");
		if (seen <= fail_at)
			break;
	}
	assert_true(fail_at > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_folder_becomes_plain_files_and_a_version),
		TEST(a_folder_around_the_library_is_no_game),
		TEST(an_archive_is_taken_as_it_is),
		TEST(packing_twice_gives_the_same_bytes_and_links_force_it),
		TEST(what_cannot_be_shared_is_refused_by_name),
		TEST(a_full_disk_leaves_no_game),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
