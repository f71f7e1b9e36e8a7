/* What would be run to play a game. */
#include "world.h"

#include "base/text.h"
#include "install/play.h"

#include <fcntl.h>
#include <string.h>

static struct lsp_play play;
static struct lsp_error err;

static int find(struct world *world, const char *search)
{
	lsp_play_done(&play);
	err = (struct lsp_error){0};
	return lsp_play_find(world->game_fd, search, &play, &err);
}

static void make_executable(int fd, const char *path)
{
	_cleanup_close_ int file = -1;
	assert_int_equal(lsp_fs_open_below(fd, path, O_RDONLY, 0, &file, NULL), 0);
	assert_int_equal(lsp_fs_chmod(file, 0755, path, NULL), 0);
}

static void start_names_a_program_and_its_arguments(void **state)
{
	struct world *world = *state;
	put(world->game_fd, "local/bin/my game", "elf");
	make_executable(world->game_fd, "local/bin/my game");
	put(world->game_fd, "version.ini", "version=1\nstart=bin/my game\n");
	if (find(world, NULL) < 0)
		fail_msg("%s", err.message);
	assert_true(lsp_text_ends_with(play.argv[0], "/game/local/bin/my game"));
	assert_null(play.argv[1]);
	assert_true(lsp_text_ends_with(play.cwd, "/game/local/bin"));
	put(world->game_fd, "local/run", "elf");
	make_executable(world->game_fd, "local/run");
	put(world->game_fd, "version.ini", "version=1\nstart=run -window +map e1m1\n");
	assert_int_equal(find(world, NULL), 0);
	assert_string_equal(play.argv[1], "-window");
	assert_string_equal(play.argv[3], "e1m1");
	assert_null(play.argv[4]);
}

static void start_sh_runs_without_its_bit_too(void **state)
{
	struct world *world = *state;
	put(world->game_fd, "version.ini", "20240131\n");
	put(world->game_fd, "local/start.sh", "#!/bin/sh\n");
	assert_int_equal(find(world, NULL), 0);
	assert_string_equal(play.argv[0], "/bin/sh");
	assert_true(lsp_text_ends_with(play.argv[1], "/local/start.sh"));
	make_executable(world->game_fd, "local/start.sh");
	assert_int_equal(find(world, NULL), 0);
	assert_true(lsp_text_ends_with(play.argv[0], "/local/start.sh"));
}

static void windows_programs_go_to_wine_where_it_is(void **state)
{
	struct world *world = *state;
	put(world->game_fd, "local/Bin/Game.EXE", "MZ");
	put(world->game_fd, "version.ini", "version=1\nstart=Bin/Game.EXE\n");
	assert_int_equal(find(world, "/nonexistent"), -LSP_E_UNSUPPORTED);
	assert_non_null(strstr(err.message, "wine"));
	put(world->root_fd, "tools/wine", "#!/bin/sh\n");
	make_executable(world->root_fd, "tools/wine");
	_cleanup_free_ char *tools = lsp_text_format("/nonexistent:%s/tools", world->path);
	assert_int_equal(find(world, tools), 0);
	assert_true(lsp_text_ends_with(play.argv[0], "/tools/wine"));
	assert_true(lsp_text_ends_with(play.argv[1], "/local/Bin/Game.EXE"));
	put(world->game_fd, "local/Bin/go.cmd", "@echo off");
	put(world->game_fd, "version.ini", "version=1\nstart=Bin/go.cmd\n");
	assert_int_equal(find(world, tools), 0);
	assert_string_equal(play.argv[1], "cmd");
	assert_string_equal(play.argv[3], "go.cmd");
	assert_true(lsp_text_ends_with(play.cwd, "/local/Bin"));
}

static void without_a_start_the_folder_is_opened(void **state)
{
	struct world *world = *state;
	assert_int_equal(find(world, NULL), -LSP_E_NOT_FOUND);
	put(world->game_fd, "local/readme", "x");
	assert_int_equal(find(world, "/nonexistent"), -LSP_E_UNSUPPORTED);
	assert_non_null(strstr(err.message, "/game/local"));
	put(world->root_fd, "tools/xdg-open", "#!/bin/sh\n");
	make_executable(world->root_fd, "tools/xdg-open");
	_cleanup_free_ char *tools = lsp_text_format("%s/tools", world->path);
	assert_int_equal(find(world, tools), 0);
	assert_true(play.folder);
	assert_true(lsp_text_ends_with(play.argv[1], "/game/local"));
}

static void any_folder_is_shown_by_the_desktop_or_named(void **state)
{
	struct world *world = *state;
	_cleanup_free_ char *tools = lsp_text_format("%s/tools", world->path);
	struct lsp_play shown = {0};
	assert_int_equal(lsp_play_find_folder("/g/doom", tools, &shown, &err), -LSP_E_UNSUPPORTED);
	assert_non_null(strstr(err.message, "xdg-utils"));
	assert_non_null(strstr(err.message, "/g/doom"));
	put(world->root_fd, "tools/xdg-open", "#!/bin/sh\n");
	make_executable(world->root_fd, "tools/xdg-open");
	assert_int_equal(lsp_play_find_folder("/g/doom", tools, &shown, &err), 0);
	assert_true(shown.folder);
	assert_string_equal(shown.argv[1], "/g/doom");
	assert_string_equal(shown.cwd, "/g/doom");
	lsp_play_done(&shown);
}

static void a_start_that_leads_out_is_refused(void **state)
{
	struct world *world = *state;
	static const char *const lines[] = {"version=1\nstart=../version.ini\n",
		"version=1\nstart=/bin/sh\n", "version=1\nstart=link\n",
		"version=1\nstart=folder/../../x\n"};
	put(world->game_fd, "local/folder/x", "x");
	assert_int_equal(
		lsp_fs_symlink_below(world->game_fd, "local/link", "../../../bin/sh", NULL), 0);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lines); i++) {
		put(world->game_fd, "version.ini", lines[i]);
		int r = find(world, "/nonexistent");
		if (r >= 0)
			fail_msg("%s was taken", lines[i]);
	}
	put(world->game_fd, "version.ini", "version=1\nstart=gone\n");
	assert_int_equal(find(world, NULL), -LSP_E_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(start_names_a_program_and_its_arguments),
		TEST(start_sh_runs_without_its_bit_too),
		TEST(windows_programs_go_to_wine_where_it_is),
		TEST(without_a_start_the_folder_is_opened),
		TEST(any_folder_is_shown_by_the_desktop_or_named),
		TEST(a_start_that_leads_out_is_refused),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	lsp_play_done(&play);
	return r;
}
