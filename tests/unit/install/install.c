/*
 * Install, update, uninstall, remove and recovery, on a real folder; with the user's files in every
 * place where they can be; and with every mutating call failing, once and from then on.
 */
#include "world.h"

#include "base/log.h"
#include "base/text.h"
#include "install/record.h"
#include "install/space.h"
#include "install/transaction.h"
#include "install/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static uint64_t fixed_wall(const struct lsp_clock *clock)
{
	(void)clock;
	return UINT64_C(1769860800) * LSP_SECOND; /* noon of 2026-01-31, UTC */
}

#define KEPT "local.kept-2026-01-31"

static struct lsp_clock dated = {NULL, fixed_wall};
static struct lsp_unpacker here;
static struct lsp_install_options options = {.unpacker = &here, .clock = &dated};
static struct lsp_install_result result;

static const struct item version_one[] = {
	{.path = "game.bin", .text = "one"},
	{.path = "data/level", .text = "level one"},
	{.path = "data/settings.cfg", .text = "defaults"},
	{.path = "data/same.cfg", .text = "to be the same"},
	{.path = "gone.txt", .text = "only in one"},
	{.path = "start.sh", .text = "#!/bin/sh\n", .mode = 0755},
	{.path = "link", .link = "game.bin"},
};
static const struct item version_two[] = {
	{.path = "game.bin", .text = "two"},
	{.path = "data/level", .text = "level two"},
	{.path = "data/settings.cfg", .text = "defaults"},
	{.path = "data/same.cfg", .text = "what the user wrote too"},
	{.path = "new.txt", .text = "only in two"},
	{.path = "start.sh", .text = "#!/bin/sh\n", .mode = 0755},
	{.path = "link", .link = "new.txt"},
};

static void put_download(int fd, const struct item *items, size_t count, const char *version)
{
	write_archive(
		fd, "game.eti", ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE, NULL, NULL, items, count);
	put(fd, "version.ini", version);
}

static void install_one(struct world *world)
{
	struct lsp_error err = {0};
	put_download(world->game_fd, version_one, LSP_ARRAY_SIZE(version_one), "20240101\n");
	if (lsp_install(world->game_fd, &options, &result, &err) < 0)
		fail_msg("%s", err.message);
}

static void put_users_files(struct world *world)
{
	put(world->game_fd, "local/saves/slot1", "forty hours");
	put(world->game_fd, "local/data/settings.cfg", "my settings");
	put(world->game_fd, "local/data/same.cfg", "what the user wrote too");
	put(world->game_fd, "local/gone.txt", "edited by me");
	put(world->game_fd, "local/new.txt/inside", "a folder where two has a file");
}

static int update(struct world *world, struct lsp_error *err)
{
	return lsp_install_update(world->game_fd, NULL, &options, &result, err);
}

static void install_makes_local_and_a_record(void **state)
{
	struct world *world = *state;
	install_one(world);
	assert_true(holds(world->game_fd, "local/data/level", "level one"));
	assert_true(holds(world->game_fd, "version.ini", "20240101\n"));
	assert_false(lsp_fs_exists_below(world->game_fd, LSP_INSTALL_STAGING));
	struct lsp_install_state look;
	lsp_install_look(world->game_fd, &look);
	assert_true(look.installed && look.recorded && !look.pending);
	assert_string_equal(look.version, "20240101");
	struct lsp_error err = {0};
	assert_int_equal(lsp_install_check(world->game_fd, NULL, &err), 0);
	assert_int_equal(lsp_install(world->game_fd, &options, &result, &err), -LSP_E_EXISTS);
	drop(world->game_fd, "local/data/level");
	assert_int_equal(lsp_install_check(world->game_fd, NULL, &err), -LSP_E_CORRUPT);
	assert_non_null(strstr(err.message, "data/level"));
}

static void plain_files_are_copied_and_never_linked(void **state)
{
	struct world *world = *state;
	put(world->game_fd, "version.ini", "1.2\n");
	put(world->game_fd, "bin/game", "elf");
	put(world->game_fd, "data/pak0.pk3", "PK\x03\x04 is game data here");
	struct lsp_error err = {0};
	assert_int_equal(lsp_install(world->game_fd, &options, &result, &err), 0);
	struct stat shared, local;
	assert_int_equal(lsp_fs_stat_below(world->game_fd, "bin/game", &shared, NULL), 0);
	assert_int_equal(lsp_fs_stat_below(world->game_fd, "local/bin/game", &local, NULL), 0);
	assert_true(shared.st_ino != local.st_ino && local.st_nlink == 1);
	assert_true(holds(world->game_fd, "local/data/pak0.pk3", "PK\x03\x04 is game data here"));
	assert_false(lsp_fs_exists_below(world->game_fd, "local/version.ini"));
	put(world->game_fd, "local/bin/game", "the game wrote to itself");
	assert_true(holds(world->game_fd, "bin/game", "elf"));
}

static void update_moves_the_users_files_along(void **state)
{
	struct world *world = *state;
	struct lsp_error err = {0};
	install_one(world);
	put_users_files(world);
	put_download(world->game_fd, version_two, LSP_ARRAY_SIZE(version_two), "20250101\n");
	if (update(world, &err) < 0)
		fail_msg("%s", err.message);
	int game = world->game_fd;
	assert_true(holds(game, "local/game.bin", "two"));
	assert_true(holds(game, "local/saves/slot1", "forty hours"));
	assert_true(holds(game, "local/gone.txt", "edited by me"));
	assert_true(holds(game, "local/data/settings.cfg", "defaults"));
	assert_true(holds(game, KEPT "/data/settings.cfg", "my settings"));
	assert_true(holds(game, KEPT "/new.txt/inside", "a folder where two has a file"));
	assert_true(holds(game, "local/new.txt", "only in two"));
	assert_true(holds(game, KEPT "/data/same.cfg", NULL));
	assert_string_equal(result.kept, KEPT);
	assert_int_equal(result.kept_files, 2);
	assert_int_equal(result.moved_files, 2);
	struct lsp_install_state look;
	lsp_install_look(game, &look);
	assert_string_equal(look.version, "20250101");
	/* What was moved along is still the user's. */
	assert_int_equal(lsp_uninstall(game, false, &options, &result, &err), 0);
	assert_true(holds(game, KEPT "-2/saves/slot1", "forty hours"));
	assert_true(holds(game, KEPT "-2/gone.txt", "edited by me"));
	assert_string_equal(result.kept, KEPT "-2");
	assert_int_equal(result.kept_files, 2);
}

static int add_steps(void *argument, struct lsp_redo *redo, struct lsp_error *err)
{
	(void)argument;
	int r = lsp_redo_aside(redo, "version.ini", err);
	if (r == 0)
		r = lsp_redo_aside(redo, "game.eti", err);
	if (r == 0)
		r = lsp_redo_place(redo, ".lanspread/stage/files/game.eti", "game.eti", err);
	if (r == 0)
		r = lsp_redo_barrier(redo, err);
	if (r == 0)
		r = lsp_redo_place(redo, ".lanspread/stage/files/version.ini", "version.ini", err);
	return r;
}

static const char *const update_paths[] = {"game.eti", "version.ini"};
static const struct lsp_install_update staged_update = {
	".lanspread/stage/files", update_paths, 2, add_steps, NULL};

static void stage_version_two(struct world *world)
{
	_cleanup_close_ int stage = -1;
	assert_int_equal(lsp_fs_make_dirs_below(world->game_fd, ".lanspread/stage/files", NULL), 0);
	assert_int_equal(
		lsp_fs_open_dir_below(world->game_fd, ".lanspread/stage/files", &stage, NULL), 0);
	put_download(stage, version_two, LSP_ARRAY_SIZE(version_two), "20250101\n");
}

static void update_swaps_archives_and_local_in_one(void **state)
{
	struct world *world = *state;
	struct lsp_error err = {0};
	install_one(world);
	stage_version_two(world);
	if (lsp_install_update(world->game_fd, &staged_update, &options, &result, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(holds(world->game_fd, "local/game.bin", "two"));
	assert_true(holds(world->game_fd, "version.ini", "20250101\n"));
	assert_true(holds(world->game_fd, ".lanspread/stage/files/game.eti", NULL));
}

static void a_broken_update_changes_nothing(void **state)
{
	struct world *world = *state;
	_cleanup_buffer_ struct lsp_buffer before = {0};
	struct lsp_error err = {0};
	install_one(world);
	put_users_files(world);
	stage_version_two(world);
	put(world->game_fd, ".lanspread/stage/files/game.eti", "PK\x03\x04 and then nothing");
	snapshot(world->game_fd, &before);
	assert_true(
		lsp_install_update(world->game_fd, &staged_update, &options, &result, &err) < 0);
	assert_true(same_snapshot(world->game_fd, &before));
	assert_false(lsp_fs_exists_below(world->game_fd, LSP_INSTALL_STAGING));
	assert_true(lsp_fs_exists_below(world->game_fd, ".lanspread/stage/files/game.eti"));
}

static void uninstall_keeps_the_users_files_and_purge_does_not(void **state)
{
	struct world *world = *state;
	struct lsp_error err = {0};
	install_one(world);
	put_users_files(world);
	assert_int_equal(lsp_uninstall(world->game_fd, false, &options, &result, &err), 0);
	assert_false(lsp_fs_exists_below(world->game_fd, "local"));
	assert_true(holds(world->game_fd, KEPT "/saves/slot1", "forty hours"));
	assert_true(holds(world->game_fd, KEPT "/data/settings.cfg", "my settings"));
	assert_true(holds(world->game_fd, KEPT "/game.bin", NULL));
	assert_true(lsp_fs_exists_below(world->game_fd, "game.eti"));
	assert_int_equal(
		lsp_uninstall(world->game_fd, false, &options, &result, &err), -LSP_E_NOT_FOUND);
	assert_int_equal(lsp_install(world->game_fd, &options, &result, &err), 0);
	put_users_files(world);
	assert_int_equal(lsp_uninstall(world->game_fd, true, &options, &result, &err), 0);
	assert_false(lsp_fs_exists_below(world->game_fd, KEPT));
	assert_false(lsp_fs_exists_below(world->game_fd, "local"));
	assert_true(lsp_fs_exists_below(world->game_fd, "game.eti"));
}

static void without_a_record_everything_counts_as_the_users(void **state)
{
	struct world *world = *state;
	struct lsp_error err = {0};
	install_one(world);
	put(world->game_fd, LSP_RECORD_PATH, "lanspread installed 1\ntorn");
	assert_int_equal(lsp_uninstall(world->game_fd, false, &options, &result, &err), 0);
	assert_true(holds(world->game_fd, KEPT "/game.bin", "one"));
	assert_string_equal(result.kept, KEPT);
	assert_false(lsp_fs_exists_below(world->game_fd, LSP_RECORD_PATH));
}

static void a_save_written_during_the_swap_is_kept(void **state)
{
	struct world *world = *state;
	struct lsp_install_result late;
	struct lsp_error err = {0};
	install_one(world);
	/* As a crash between the commit and the deletion leaves it, with one more save. */
	assert_int_equal(lsp_fs_rename_below(
				 world->game_fd, "local", world->game_fd, LSP_KEEP_OLD_LOCAL, NULL),
		0);
	assert_int_equal(lsp_fs_rename_below(world->game_fd, LSP_RECORD_PATH, world->game_fd,
				 LSP_KEEP_OLD_RECORD, NULL),
		0);
	put(world->game_fd, LSP_KEEP_OLD_LOCAL "/late.sav", "just saved");
	assert_int_equal(lsp_install_recover(world->game_fd, &options, &late, &err), 0);
	assert_true(holds(world->game_fd, KEPT "/late.sav", "just saved"));
	assert_true(holds(world->game_fd, KEPT "/game.bin", NULL));
	assert_false(lsp_fs_exists_below(world->game_fd, LSP_KEEP_OLD_LOCAL));
	assert_int_equal(late.kept_files, 1);
}

static void remove_takes_the_download_and_nothing_else(void **state)
{
	struct world *world = *state;
	static const char *const paths[] = {"game.eti", "version.ini"};
	struct lsp_error err = {0};
	bool empty = true;
	install_one(world);
	put(world->game_fd, "notes.txt", "the user's");
	assert_int_equal(lsp_remove_download(world->game_fd, paths, 2, &options, &empty, &err), 0);
	assert_false(empty);
	assert_false(lsp_fs_exists_below(world->game_fd, "game.eti"));
	assert_false(lsp_fs_exists_below(world->game_fd, "version.ini"));
	assert_true(holds(world->game_fd, "notes.txt", "the user's"));
	assert_true(holds(world->game_fd, "local/game.bin", "one"));
	struct lsp_install_state look;
	lsp_install_look(world->game_fd, &look);
	assert_string_equal(look.version, "20240101"); /* local only, and its version is known */
	assert_int_equal(lsp_uninstall(world->game_fd, false, &options, &result, &err), 0);
	assert_int_equal(lsp_remove_download(world->game_fd, NULL, 0, &options, &empty, &err), 0);
	assert_true(empty);
}

static void touched_and_edited_files_are_told_apart(void **state)
{
	struct world *world = *state;
	struct lsp_error err = {0};
	struct stat st;
	_cleanup_close_ int fd = -1;
	install_one(world);
	/* FAT gives even seconds back; that is no edit. The same length and a new time is one. */
	assert_int_equal(
		lsp_fs_open_below(world->game_fd, "local/game.bin", O_RDWR, 0, &fd, NULL), 0);
	assert_int_equal(fstat(fd, &st), 0);
	int64_t even = (int64_t)(st.st_mtim.tv_sec / 2 * 2) * 1000000000;
	assert_int_equal(lsp_fs_set_mtime(fd, even, "game.bin", NULL), 0);
	put(world->game_fd, "local/data/level", "LEVEL ONE");
	assert_int_equal(lsp_uninstall(world->game_fd, false, &options, &result, &err), 0);
	assert_true(holds(world->game_fd, KEPT "/game.bin", NULL));
	assert_true(holds(world->game_fd, KEPT "/data/level", "LEVEL ONE"));
	assert_int_equal(result.kept_files, 1);
}

static void a_cancelled_install_leaves_nothing(void **state)
{
	struct world *world = *state;
	_cleanup_buffer_ struct lsp_buffer before = {0};
	struct lsp_install_options with_token = options;
	struct lsp_error err = {0};
	put_download(world->game_fd, version_one, LSP_ARRAY_SIZE(version_one), "1\n");
	snapshot(world->game_fd, &before);
	assert_int_equal(lsp_cancel_new(NULL, &with_token.token, NULL), 0);
	lsp_cancel_request(with_token.token, LSP_CANCEL_USER, NULL);
	assert_int_equal(lsp_install(world->game_fd, &with_token, &result, &err), -LSP_E_CANCELLED);
	lsp_cancel_unref(with_token.token);
	assert_true(same_snapshot(world->game_fd, &before));
}

static void too_little_space_names_both_numbers(void **state)
{
	(void)state;
	struct lsp_space space = {.needed = 4200000000, .free = 1000000000, .known = true};
	struct lsp_error err = {0};
	assert_int_equal(lsp_space_check(&space, "installing", &err), -LSP_E_NO_SPACE);
	assert_non_null(strstr(err.message, "4200000000"));
	assert_non_null(strstr(err.message, "1000000000"));
	space.needed = space.free;
	assert_int_equal(lsp_space_check(&space, "installing", &err), 0);
}

static void space_for_an_install_is_what_comes_out(void **state)
{
	struct world *world = *state;
	static const struct item large[] = {{.path = "zeros", .zeros = 3 << 20}};
	static const int formats[] = {
		ARCHIVE_FORMAT_ZIP, ARCHIVE_FORMAT_7ZIP, ARCHIVE_FORMAT_TAR_USTAR};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(formats); i++) {
		_cleanup_install_source_ struct lsp_install_source source = {0};
		_cleanup_archives_ struct lsp_archives archives = {0};
		struct lsp_space space;
		write_archive(world->game_fd, "g.eti", formats[i], ARCHIVE_FILTER_NONE, NULL, NULL,
			large, 1);
		assert_int_equal(lsp_install_source_read(world->game_fd, NULL, &source, NULL), 0);
		assert_int_equal(lsp_archives_find(&source, &archives, NULL), 0);
		assert_int_equal(
			lsp_space_for_install(&source, &archives, &here, NULL, NULL, &space, NULL),
			0);
		assert_true(space.known);
		assert_int_equal(space.needed, 3 << 20);
	}
}

/* ---- Recovery of all ---- */

struct seen {
	int count;
	char last[64];
};

static bool is_active(void *argument, const char *game)
{
	(void)argument;
	return strcmp(game, "busy") == 0;
}

static void on_report(void *argument, const char *game, const struct lsp_error *error,
	const struct lsp_install_result *done)
{
	struct seen *seen = argument;
	(void)done;
	assert_int_equal(error->code, 0);
	seen->count++;
	snprintf(seen->last, sizeof seen->last, "%s", game);
}

static void recovery_passes_over_active_games_and_follows_links(void **state)
{
	struct world *world = *state;
	struct seen seen = {0};
	struct lsp_recovery recovery = {is_active, on_report, &seen, NULL, NULL};
	struct lsp_error err = {0};
	put(world->root_fd, "games/busy/.lanspread/install/x", "in use");
	put(world->root_fd, "games/idle/.lanspread/stage/manifest", "a download");
	put(world->game_fd, ".lanspread/install/x", "left over");
	assert_int_equal(lsp_fs_symlink_below(world->root_fd, "games/linked", "../game", NULL), 0);
	_cleanup_close_ int games = -1;
	assert_int_equal(lsp_fs_open_dir_below(world->root_fd, "games", &games, NULL), 0);
	assert_int_equal(lsp_install_recover_all(games, &recovery, &err), 0);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.last, "linked");
	assert_false(lsp_fs_exists_below(world->game_fd, ".lanspread/install"));
	assert_true(lsp_fs_exists_below(games, "busy/.lanspread/install/x"));
	assert_true(lsp_fs_exists_below(games, "idle/.lanspread/stage/manifest"));
}

/* ---- Faults
 * -------------------------------------------------------------------------------------------------
 */

static struct {
	bool lasting;
	int at, seen, sys_errno;
} plan;

static int before(const struct lsp_fs_event *event, void *argument)
{
	(void)event;
	(void)argument;
	int n = plan.seen++;
	return n == plan.at || (plan.lasting && n > plan.at) ? plan.sys_errno : 0;
}

static const struct lsp_fs_hooks hooks = {before, NULL, NULL};

enum operation { INSTALL, UPDATE, UNINSTALL, PURGE, REMOVE, OPERATION_COUNT };

static void prepare(struct world *world, enum operation operation)
{
	bool empty;
	drop(world->game_fd, "local");
	drop(world->game_fd, KEPT);
	drop(world->game_fd, ".lanspread");
	(void)!lsp_remove_download(world->game_fd, NULL, 0, &options, &empty, NULL);
	if (operation == INSTALL) {
		put_download(world->game_fd, version_one, LSP_ARRAY_SIZE(version_one), "1\n");
		return;
	}
	install_one(world);
	put_users_files(world);
	if (operation == UPDATE)
		stage_version_two(world);
}

static int operate(struct world *world, enum operation operation, struct lsp_error *err)
{
	bool empty;
	switch (operation) {
	case INSTALL:
		return lsp_install(world->game_fd, &options, &result, err);
	case UPDATE:
		return lsp_install_update(world->game_fd, &staged_update, &options, &result, err);
	case UNINSTALL:
	case PURGE:
		return lsp_uninstall(world->game_fd, operation == PURGE, &options, &result, err);
	default:
		return lsp_remove_download(world->game_fd, NULL, 0, &options, &empty, err);
	}
}

/* One failing call: the old state, or a success that left something to be deleted later. */
static bool try_fault(struct world *world, enum operation operation, const struct lsp_buffer *old,
	const struct lsp_buffer *new)
{
	struct lsp_error err = {0};
	struct lsp_install_result recovered;
	prepare(world, operation);
	plan.seen = 0;
	lsp_fs_set_hooks(&hooks);
	int r = operate(world, operation, &err);
	bool hit = plan.seen > plan.at;
	lsp_fs_set_hooks(NULL);
	if (r < 0) {
		assert_true(hit && err.message[0] && err.code != LSP_E_FAILED);
		if (!plan.lasting)
			assert_true(same_snapshot(world->game_fd, old));
	}
	assert_int_equal(lsp_install_recover(world->game_fd, &options, &recovered, NULL), 0);
	bool is_old = same_snapshot(world->game_fd, old);
	if (!is_old && !same_snapshot(world->game_fd, new)) {
		_cleanup_buffer_ struct lsp_buffer mix = {0};
		snapshot(world->game_fd, &mix);
		fail_msg("operation %d, %s at %d (%s): result %d, pending %d:\n%s", operation,
			strerror(plan.sys_errno), plan.at, plan.lasting ? "lasting" : "once", r,
			result.pending, (const char *)mix.data);
	}
	if (r == 0)
		assert_false(is_old);
	if (is_old) { /* and it works once the cause is gone */
		if (operate(world, operation, &err) < 0)
			fail_msg("after %d at %d: %s", plan.sys_errno, plan.at, err.message);
		assert_true(same_snapshot(world->game_fd, new));
	}
	return hit;
}

static void a_failing_disk_leaves_the_old_state_and_then_it_works(void **state)
{
	struct world *world = *state;
	static const int errnos[] = {ENOSPC, EIO, EACCES, EROFS};
	int tried = 0;
	for (int operation = 0; operation < OPERATION_COUNT; operation++) {
		_cleanup_buffer_ struct lsp_buffer old = {0};
		_cleanup_buffer_ struct lsp_buffer new = {0};
		struct lsp_error err = {0};
		prepare(world, operation);
		snapshot(world->game_fd, &old);
		if (operate(world, operation, &err) < 0)
			fail_msg("%d: %s", operation, err.message);
		snapshot(world->game_fd, &new);
		for (size_t e = 0; e < 2 * LSP_ARRAY_SIZE(errnos); e++) {
			plan.sys_errno = errnos[e / 2];
			plan.lasting = e % 2;
			for (plan.at = 0; try_fault(world, operation, &old, &new); plan.at++)
				tried++;
		}
	}
	print_message("%d failing calls\n", tried);
	assert_true(tried > 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	dated.monotonic = lsp_clock_system->monotonic;
	lsp_unpacker_init_here(&here);
	lsp_log_set_level(LSP_LOG_ERROR);
	const struct CMUnitTest tests[] = {
		TEST(install_makes_local_and_a_record),
		TEST(plain_files_are_copied_and_never_linked),
		TEST(update_moves_the_users_files_along),
		TEST(update_swaps_archives_and_local_in_one),
		TEST(a_broken_update_changes_nothing),
		TEST(uninstall_keeps_the_users_files_and_purge_does_not),
		TEST(without_a_record_everything_counts_as_the_users),
		TEST(a_save_written_during_the_swap_is_kept),
		TEST(remove_takes_the_download_and_nothing_else),
		TEST(touched_and_edited_files_are_told_apart),
		TEST(a_cancelled_install_leaves_nothing),
		TEST(too_little_space_names_both_numbers),
		TEST(space_for_an_install_is_what_comes_out),
		TEST(recovery_passes_over_active_games_and_follows_links),
		TEST(a_failing_disk_leaves_the_old_state_and_then_it_works),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
