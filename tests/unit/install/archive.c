/*
 * Unpacking, right and refused: every format, hostile archives, a child that hangs, dies or lies.
 * The built-in unpacker runs for real: LANSPREAD_UNPACK names lanspread-unpack.
 */
#include "world.h"

#include "base/text.h"
#include "install/archive.h"
#include "install/tree.h"
#include "task/registry.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static struct lsp_cancel *root_token;
static struct lsp_tasks *tasks;
static struct lsp_unpacker builtin;

static int begin_group(void **state)
{
	(void)state;
	const char *helper = getenv("LANSPREAD_UNPACK");
	assert_non_null(helper);
	assert_int_equal(lsp_cancel_new(NULL, &root_token, NULL), 0);
	assert_int_equal(lsp_tasks_new(root_token, NULL, &tasks, NULL), 0);
	lsp_unpacker_init_builtin(&builtin, tasks, helper);
	builtin.no_fallback = true;
	return 0;
}

static int end_group(void **state)
{
	(void)state;
	struct lsp_error err = {0};
	lsp_time deadline = lsp_now(lsp_clock_system) + 60 * LSP_SECOND;
	lsp_cancel_request(root_token, LSP_CANCEL_RUN_COMPLETED, NULL);
	assert_int_equal(lsp_tasks_join_all(tasks, deadline, NULL, &err), 0);
	lsp_tasks_free(tasks);
	lsp_cancel_unref(root_token);
	return 0;
}

/* Unpacks all archives of the game's folder into "out". */
static int unpack_with(struct world *world, const struct lsp_unpacker *unpacker,
	const struct lsp_unpack_limits *limits, struct lsp_cancel *token,
	struct lsp_unpack_stats *ret_stats, struct lsp_error *err)
{
	_cleanup_install_source_ struct lsp_install_source source = {0};
	_cleanup_archives_ struct lsp_archives archives = {0};
	_cleanup_close_ int target = -1;
	drop(world->root_fd, "out");
	assert_int_equal(lsp_fs_make_dirs_below(world->root_fd, "out", NULL), 0);
	assert_int_equal(lsp_fs_open_dir_below(world->root_fd, "out", &target, NULL), 0);
	int r = lsp_install_source_read(world->game_fd, NULL, &source, err);
	if (r == 0)
		r = lsp_archives_find(&source, &archives, err);
	if (r == 0)
		assert_true(archives.count > 0);
	for (size_t i = 0; r == 0 && i < archives.count; i++) {
		struct lsp_unpack_request request = {.archive = &archives.list[i],
			.game_fd = world->game_fd,
			.target_fd = target,
			.limits = limits,
			.token = token};
		r = unpacker->unpack(unpacker, &request, ret_stats, err);
	}
	return r;
}

static int unpack(struct world *world, struct lsp_error *err)
{
	struct lsp_unpack_stats stats;
	return unpack_with(world, &builtin, NULL, NULL, &stats, err);
}

/* Nothing but "game" and "out" may ever appear beside them. */
static void assert_nothing_outside(struct world *world)
{
	DIR *dir = opendir(world->path);
	struct dirent *entry;
	while ((entry = readdir(dir)))
		assert_true(entry->d_name[0] == '.' || strcmp(entry->d_name, "game") == 0 ||
			    strcmp(entry->d_name, "out") == 0);
	closedir(dir);
}

static const struct item usual[] = {
	{.path = "folder/", .mode = 0755},
	{.path = "folder/a.txt", .text = "first"},
	{.path = "start.sh", .text = "#!/bin/sh\n", .mode = 0755},
	{.path = "deep/er/b.bin", .text = "second"},
	{.path = "empty", .text = ""},
};

static void assert_usual(struct world *world)
{
	assert_true(holds(world->root_fd, "out/folder/a.txt", "first"));
	assert_true(holds(world->root_fd, "out/deep/er/b.bin", "second"));
	assert_true(holds(world->root_fd, "out/empty", ""));
	struct stat st;
	assert_int_equal(lsp_fs_stat_below(world->root_fd, "out/start.sh", &st, NULL), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
	assert_int_equal(lsp_fs_stat_below(world->root_fd, "out/folder/a.txt", &st, NULL), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
}

static void every_format_unpacks_whatever_its_name(void **state)
{
	struct world *world = *state;
	static const struct {
		const char *label;
		int format, filter;
	} kinds[] = {
		{"zip", ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE},
		{"7z", ARCHIVE_FORMAT_7ZIP, ARCHIVE_FILTER_NONE},
		{"tar", ARCHIVE_FORMAT_TAR_PAX_RESTRICTED, ARCHIVE_FILTER_NONE},
		{"tar.gz", ARCHIVE_FORMAT_TAR_PAX_RESTRICTED, ARCHIVE_FILTER_GZIP},
		{"tar.xz", ARCHIVE_FORMAT_TAR_PAX_RESTRICTED, ARCHIVE_FILTER_XZ},
		{"tar.bz2", ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_BZIP2},
		{"tar.zst", ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_ZSTD},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(kinds); i++) {
		struct lsp_error err = {0};
		write_archive(world->game_fd, "game.eti", kinds[i].format, kinds[i].filter, NULL,
			NULL, usual, LSP_ARRAY_SIZE(usual));
		if (unpack(world, &err) < 0)
			fail_msg("%s: %s", kinds[i].label, err.message);
		assert_usual(world);
	}
	struct lsp_error err = {0};
	write_rar5(world->game_fd, "game.eti", 0, usual + 1, LSP_ARRAY_SIZE(usual) - 1, false);
	if (unpack(world, &err) < 0)
		fail_msg("rar5: %s", err.message);
	assert_usual(world);
}

static void links_inside_and_times_are_kept_and_hard_links_become_copies(void **state)
{
	struct world *world = *state;
	static const struct item items[] = {
		{.path = "lib/real.so", .text = "code", .mode = 0755},
		{.path = "lib/link.so", .link = "real.so"},
		{.path = "bin/up", .link = "../lib/real.so"},
		{.path = "lib/second.so", .hard = "lib/real.so", .mode = 0755},
	};
	struct lsp_error err = {0};
	write_archive(world->game_fd, "g.eti", ARCHIVE_FORMAT_TAR_PAX_RESTRICTED,
		ARCHIVE_FILTER_GZIP, NULL, NULL, items, LSP_ARRAY_SIZE(items));
	if (unpack(world, &err) < 0)
		fail_msg("%s", err.message);
	char text[64];
	assert_int_equal(
		lsp_tree_read_link(world->root_fd, "out/bin/up", text, sizeof text, NULL), 0);
	assert_string_equal(text, "../lib/real.so");
	struct stat st;
	assert_int_equal(lsp_fs_stat_below(world->root_fd, "out/lib/second.so", &st, NULL), 0);
	assert_true(S_ISREG(st.st_mode) && st.st_nlink == 1);
	assert_true(holds(world->root_fd, "out/lib/second.so", "code"));
	assert_int_equal(lsp_fs_stat_below(world->root_fd, "out/lib/real.so", &st, NULL), 0);
	assert_int_equal(st.st_mtime, 1600000000);
}

static void sparse_files_stay_sparse(void **state)
{
	struct world *world = *state;
	_cleanup_close_ int fd = -1;
	struct stat st;
	assert_int_equal(
		lsp_fs_open_below(world->root_fd, "game/sparse", O_RDWR | O_CREAT, 0644, &fd, NULL),
		0);
	assert_int_equal(lsp_fs_write_at(fd, "end", 3, 64 << 20, "sparse", NULL), 0);
	char command[600];
	snprintf(command, sizeof command, "cd %s/game && tar -S -cf g.tar sparse && rm sparse",
		world->path);
	assert_int_equal(system(command), 0);
	struct lsp_error err = {0};
	if (unpack(world, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(lsp_fs_stat_below(world->root_fd, "out/sparse", &st, NULL), 0);
	assert_int_equal(st.st_size, (64 << 20) + 3);
	assert_true(st.st_blocks * 512 < 1 << 20);
}

static void expect_refusal(struct world *world, const char *label, const struct item *items,
	size_t count, int code, const char *words)
{
	struct lsp_error err = {0};
	write_archive(world->game_fd, "g.eti", ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_NONE, NULL,
		NULL, items, count);
	int r = unpack(world, &err);
	if (r != -code || !strstr(err.message, words))
		fail_msg("%s: %d, \"%s\"", label, r, err.message);
	assert_nothing_outside(world);
}

static void hostile_names_and_links_are_refused(void **state)
{
	struct world *world = *state;
	static const struct {
		const char *label;
		struct item items[3];
		size_t count;
		const char *words;
	} cases[] = {
		{"dot dot", {{.path = "../escape", .text = "x"}}, 1, "leads out"},
		{"dot dot inside", {{.path = "a/../../escape", .text = "x"}}, 1, "leads out"},
		{"absolute", {{.path = "/tmp/lanspread-escape", .text = "x"}}, 1, "root"},
		{"control", {{.path = "a\x1b[2Jb", .text = "x"}}, 1, "control"},
		{"link out", {{.path = "l", .link = "../.."}}, 1, "leads out"},
		{"link absolute", {{.path = "l", .link = "/etc"}}, 1, "leads out"},
		{"link by links", {{.path = "a/b", .link = ".."}, {.path = "c", .link = "a/b/.."}},
			2, "leads out"},
		{"link, then file", {{.path = "l", .link = "d"}, {.path = "l/x", .text = "x"}}, 2,
			"both as a link and a folder"},
		{"hard link out", {{.path = "h", .hard = "../../etc/passwd"}}, 1, "leads out"},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++)
		expect_refusal(world, cases[i].label, cases[i].items, cases[i].count, LSP_E_DENIED,
			cases[i].words);
}

static void a_file_through_an_earlier_archives_link_is_refused(void **state)
{
	struct world *world = *state;
	static const struct item first[] = {
		{.path = "l", .link = "d"}, {.path = "d/x", .text = "1"}};
	static const struct item second[] = {{.path = "l/x", .text = "2"}};
	write_archive(world->game_fd, "a.eti", ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, NULL,
		NULL, first, 2);
	write_archive(world->game_fd, "b.eti", ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, NULL,
		NULL, second, 1);
	struct lsp_error err = {0};
	assert_true(unpack(world, &err) < 0);
	assert_true(holds(world->root_fd, "out/d/x", "1"));
}

static void devices_set_id_bits_and_attributes_are_stripped(void **state)
{
	struct world *world = *state;
	static const struct item items[] = {{.path = "fifo", .type = AE_IFIFO},
		{.path = "null", .type = AE_IFCHR},
		{.path = "root.sh", .text = "x", .mode = 06755, .attribute = "user.evil"}};
	write_archive(world->game_fd, "g.eti", ARCHIVE_FORMAT_TAR_PAX_RESTRICTED,
		ARCHIVE_FILTER_NONE, NULL, NULL, items, LSP_ARRAY_SIZE(items));
	struct lsp_unpack_stats stats;
	struct lsp_error err = {0};
	assert_int_equal(unpack_with(world, &builtin, NULL, NULL, &stats, &err), 0);
	assert_int_equal(stats.skipped, 2);
	struct stat st;
	assert_int_equal(lsp_fs_stat_below(world->root_fd, "out/root.sh", &st, NULL), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
	_cleanup_close_ int fd = -1;
	char names[64];
	assert_int_equal(
		lsp_fs_open_below(world->root_fd, "out/root.sh", O_RDONLY, 0, &fd, NULL), 0);
	assert_true(flistxattr(fd, names, sizeof names) <= 0 || !strstr(names, "user.evil"));
	assert_false(lsp_fs_exists_below(world->root_fd, "out/fifo"));
	assert_false(lsp_fs_exists_below(world->root_fd, "out/null"));
}

static void bombs_end_at_the_caps(void **state)
{
	struct world *world = *state;
	static const struct item bomb[] = {{.path = "zeros", .zeros = 64 << 20}};
	static const struct item many[] = {{.path = "1", .text = ""}, {.path = "2", .text = ""},
		{.path = "3", .text = ""}, {.path = "4", .text = ""}};
	static const struct item deep[] = {{.path = "a/b/c/d/e/f", .text = ""}};
	struct lsp_unpack_limits limits = lsp_unpack_limits_default;
	struct lsp_unpack_stats stats;
	struct lsp_error err = {0};
	limits.ratio_free = 1 << 20;
	limits.ratio = 100;
	write_archive(world->game_fd, "g.eti", ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE, NULL, NULL,
		bomb, 1);
	assert_int_equal(
		unpack_with(world, &builtin, &limits, NULL, &stats, &err), -LSP_E_TOO_LARGE);
	assert_non_null(strstr(err.message, "times its size"));
	limits = lsp_unpack_limits_default;
	limits.bytes = 10 << 20;
	assert_int_equal(
		unpack_with(world, &builtin, &limits, NULL, &stats, &err), -LSP_E_TOO_LARGE);
	limits.entries = 3;
	write_archive(world->game_fd, "g.eti", ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE, NULL, NULL,
		many, 4);
	assert_int_equal(
		unpack_with(world, &builtin, &limits, NULL, &stats, &err), -LSP_E_TOO_LARGE);
	limits.depth = 5;
	write_archive(world->game_fd, "g.eti", ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE, NULL, NULL,
		deep, 1);
	assert_int_equal(
		unpack_with(world, &builtin, &limits, NULL, &stats, &err), -LSP_E_TOO_LARGE);
}

static void encrypted_truncated_and_garbage_say_so(void **state)
{
	struct world *world = *state;
	struct lsp_error err = {0};
	write_archive(world->game_fd, "g.eti", ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE,
		"zip:encryption=aes256", "secret", usual + 1, 3);
	assert_int_equal(unpack(world, &err), -LSP_E_DENIED);
	assert_non_null(strstr(err.message, "encrypted"));
	assert_non_null(strstr(err.message, "g.eti"));
	static const struct item large[] = {{.path = "zeros", .zeros = 1 << 20}};
	static const int formats[] = {
		ARCHIVE_FORMAT_ZIP, ARCHIVE_FORMAT_7ZIP, ARCHIVE_FORMAT_TAR_USTAR};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(formats); i++) {
		_cleanup_close_ int fd = -1;
		struct stat st;
		write_archive(world->game_fd, "g.eti", formats[i], ARCHIVE_FILTER_NONE, NULL, NULL,
			large, 1);
		assert_int_equal(
			lsp_fs_open_below(world->game_fd, "g.eti", O_RDWR, 0, &fd, NULL), 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(
			lsp_fs_truncate(fd, (uint64_t)st.st_size * 2 / 3, "g.eti", NULL), 0);
		err = (struct lsp_error){0};
		assert_int_equal(unpack(world, &err), -LSP_E_CORRUPT);
		assert_non_null(strstr(err.message, "g.eti"));
	}
	/* A tar that ends between two entries. */
	_cleanup_close_ int fd = -1;
	write_archive(world->game_fd, "g.eti", ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, NULL,
		NULL, usual + 1, 3);
	assert_int_equal(lsp_fs_open_below(world->game_fd, "g.eti", O_RDWR, 0, &fd, NULL), 0);
	assert_int_equal(lsp_fs_truncate(fd, 2 * 1024, "g.eti", NULL), 0);
	err = (struct lsp_error){0};
	assert_int_equal(unpack(world, &err), -LSP_E_CORRUPT);
	assert_non_null(strstr(err.message, "g.eti"));
	put(world->game_fd, "g.eti", "this is no archive");
	assert_int_equal(unpack(world, &err), -LSP_E_PROTOCOL);
	assert_non_null(strstr(err.message, "g.eti"));
	put(world->game_fd, "g.eti", "Rar!\x1a\x07\x01");
	assert_true(unpack(world, &err) < 0);
}

static void volumes_are_joined_and_a_gap_is_named(void **state)
{
	struct world *world = *state;
	_cleanup_buffer_ struct lsp_buffer whole = {0};
	struct lsp_error err = {0};
	write_archive(world->game_fd, "x", ARCHIVE_FORMAT_7ZIP, ARCHIVE_FILTER_NONE, NULL, NULL,
		usual, LSP_ARRAY_SIZE(usual));
	assert_int_equal(lsp_fs_read_file_below(world->game_fd, "x", 1 << 20, &whole, NULL), 0);
	drop(world->game_fd, "x");
	size_t third = whole.size / 3;
	for (unsigned i = 0; i < 3; i++) {
		char name[16];
		snprintf(name, sizeof name, "x.7z.%03u", i + 1);
		assert_int_equal(
			lsp_fs_write_file_below(world->game_fd, name, whole.data + i * third,
				i == 2 ? whole.size - 2 * third : third, 0644, NULL),
			0);
	}
	put(world->game_fd, "version.ini", "1\n");
	if (unpack(world, &err) < 0)
		fail_msg("%s", err.message);
	assert_usual(world);
	drop(world->game_fd, "x.7z.002");
	assert_int_equal(unpack(world, &err), -LSP_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "x.7z.002"));
	drop(world->game_fd, "x.7z.003");
	drop(world->game_fd, "x.7z.001");
	write_rar5(world->game_fd, "y.part1.rar", 0, usual + 1, 1, true);
	assert_int_equal(unpack(world, &err), -LSP_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "y.part1.rar\" goes on in another part"));
	write_rar5(world->game_fd, "y.part3.rar", 0, usual + 1, 1, false);
	assert_int_equal(unpack(world, &err), -LSP_E_NOT_FOUND);
	assert_non_null(strstr(err.message, "y.part2.rar"));
}

static void archives_unpack_in_the_order_of_their_names(void **state)
{
	struct world *world = *state;
	static const struct item base[] = {
		{.path = "a", .text = "base"}, {.path = "b", .text = "b"}};
	static const struct item patch[] = {{.path = "a", .text = "patched"}};
	write_archive(world->game_fd, "game.eti", ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE, NULL,
		NULL, base, 2);
	write_archive(world->game_fd, "game2-patch.eti", ARCHIVE_FORMAT_7ZIP, ARCHIVE_FILTER_NONE,
		NULL, NULL, patch, 1);
	struct lsp_error err = {0};
	assert_int_equal(unpack(world, &err), 0);
	assert_true(holds(world->root_fd, "out/a", "patched"));
	assert_true(holds(world->root_fd, "out/b", "b"));
}

/* ---- A child that is not well ---- */

static void make_script(struct world *world, const char *text, char path[512])
{
	snprintf(path, 512, "%s/game/.script", world->path);
	assert_int_equal(
		lsp_fs_write_file_below(world->game_fd, ".script", text, strlen(text), 0755, NULL),
		0);
}

static int unpack_by_script(struct world *world, const char *text, struct lsp_error *err)
{
	char path[512];
	struct lsp_unpacker sick;
	struct lsp_unpack_stats stats;
	struct lsp_unpack_limits limits = lsp_unpack_limits_default;
	limits.stall = 300 * LSP_MILLISECOND;
	make_script(world, text, path);
	write_archive(world->game_fd, "g.eti", ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE, NULL, NULL,
		usual, LSP_ARRAY_SIZE(usual));
	lsp_unpacker_init_builtin(&sick, tasks, path);
	sick.no_fallback = true;
	return unpack_with(world, &sick, &limits, NULL, &stats, err);
}

static void a_child_without_progress_is_ended_by_the_watchdog(void **state)
{
	struct lsp_error err = {0};
	lsp_time before = lsp_now(lsp_clock_system);
	assert_int_equal(
		unpack_by_script(*state, "#!/bin/sh\nexec sleep 600\n", &err), -LSP_E_TIMEOUT);
	assert_non_null(strstr(err.message, "no progress"));
	assert_true(lsp_now(lsp_clock_system) - before < 30 * LSP_SECOND);
}

static void a_child_that_dies_or_lies_is_an_error(void **state)
{
	struct lsp_error err = {0};
	assert_true(unpack_by_script(*state, "#!/bin/sh\nkill -SEGV $$\n", &err) < 0);
	assert_non_null(strstr(err.message, "unpacker failed"));
	assert_true(unpack_by_script(*state, "#!/bin/sh\nexit 0\n", &err) < 0);
	assert_true(unpack_by_script(*state, "#!/bin/sh\necho garbage on the pipe\n", &err) < 0);
	assert_true(unpack_by_script(*state, "#!/bin/sh\nhead -c 100000 /dev/zero\n", &err) < 0);
}

static void a_child_out_of_memory_leaves_the_parent_alive(void **state)
{
	struct world *world = *state;
	static const struct item items[] = {{.path = "zeros", .zeros = 8 << 20}};
	struct lsp_unpack_limits limits = lsp_unpack_limits_default;
	struct lsp_unpack_stats stats;
	struct lsp_error err = {0};
	limits.memory = 48 << 20;
	write_archive(world->game_fd, "g.eti", ARCHIVE_FORMAT_7ZIP, ARCHIVE_FILTER_NONE,
		"7zip:compression=lzma2,7zip:compression-level=9", NULL, items, 1);
	int r = unpack_with(world, &builtin, &limits, NULL, &stats, &err);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	(void)r; /* no limit on address space then */
#else
	assert_true(r < 0);
	assert_true(err.message[0]);
#endif
}

static void *cancel_soon(void *argument)
{
	/* The unpacker is in its child by now or will find the token cancelled: both must end. */
	lsp_cancel_request(argument, LSP_CANCEL_USER, NULL);
	return NULL;
}

static void cancel_ends_it_at_once(void **state)
{
	struct world *world = *state;
	struct lsp_cancel *token;
	struct lsp_unpacker slow;
	struct lsp_unpack_stats stats;
	struct lsp_error err = {0};
	pthread_t thread;
	char path[512];
	make_script(world, "#!/bin/sh\nexec sleep 600\n", path);
	write_archive(world->game_fd, "g.eti", ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE, NULL, NULL,
		usual, LSP_ARRAY_SIZE(usual));
	lsp_unpacker_init_builtin(&slow, tasks, path);
	assert_int_equal(lsp_cancel_new(root_token, &token, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, token), 0);
	assert_int_equal(unpack_with(world, &slow, NULL, token, &stats, &err), -LSP_E_CANCELLED);
	pthread_join(thread, NULL);
	lsp_cancel_unref(token);
}

/* ---- Other unpackers ---- */

static void what_libarchive_refuses_goes_to_another_tool(void **state)
{
	struct world *world = *state;
	struct lsp_unpacker unpacker = builtin;
	struct lsp_unpack_stats stats;
	struct lsp_error err = {0};
	write_rar5(world->game_fd, "g.eti", 11, usual + 1, 3, false); /* 256 MiB of dictionary */
	unpacker.no_fallback = false;
	unpacker.fallback_path = "/nonexistent";
	assert_int_equal(
		unpack_with(world, &unpacker, NULL, NULL, &stats, &err), -LSP_E_UNSUPPORTED);
	assert_non_null(strstr(err.message, "ictionary"));
	assert_non_null(strstr(err.message, "unrar or unar"));
	if (access("/usr/bin/unar", X_OK) != 0 && access("/usr/bin/unrar", X_OK) != 0) {
		print_message("neither unar nor unrar is installed: the fallback is not tried\n");
		return;
	}
	unpacker.fallback_path = NULL;
	if (unpack_with(world, &unpacker, NULL, NULL, &stats, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(holds(world->root_fd, "out/folder/a.txt", "first"));
	assert_true(holds(world->root_fd, "out/deep/er/b.bin", "second"));
	assert_nothing_outside(world);
}

static void a_command_unpacks_and_is_checked(void **state)
{
	struct world *world = *state;
	struct lsp_unpacker unpacker;
	struct lsp_unpack_stats stats;
	struct lsp_error err = {0};
	char path[512];
	put(world->game_fd, "version.ini", "1");
	write_archive(world->game_fd, "g.eti", ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, NULL,
		NULL, usual, LSP_ARRAY_SIZE(usual));
	make_script(
		world, "#!/bin/sh\ntar -xf \"$1\" -C \"$2\" && chmod u+s \"$2/start.sh\"\n", path);
	lsp_unpacker_init_command(&unpacker, tasks, path);
	if (unpack_with(world, &unpacker, NULL, NULL, &stats, &err) < 0)
		fail_msg("%s", err.message);
	assert_usual(world);
	make_script(world, "#!/bin/sh\nln -s /etc \"$2/etc\"\n", path);
	assert_int_equal(unpack_with(world, &unpacker, NULL, NULL, &stats, &err), -LSP_E_DENIED);
	make_script(world, "#!/bin/sh\necho the disc is scratched >&2; exit 3\n", path);
	assert_true(unpack_with(world, &unpacker, NULL, NULL, &stats, &err) < 0);
	assert_non_null(strstr(err.message, "scratched"));
}

static int callback(const char *archive, const char *target, const volatile int *cancelled,
	char *message, size_t message_size, void *argument)
{
	assert_int_equal(*cancelled, 0);
	assert_true(lsp_text_ends_with(archive, "/game/g.eti") && *archive == '/');
	if (argument) {
		snprintf(message, message_size, "%s", (const char *)argument);
		return 1;
	}
	int fd;
	assert_int_equal(lsp_fs_open_dir(target, &fd, NULL), 0);
	put(fd, "made", "by a callback");
	close(fd);
	return 0;
}

static void a_callback_unpacks(void **state)
{
	struct world *world = *state;
	struct lsp_unpacker unpacker;
	struct lsp_unpack_stats stats;
	struct lsp_error err = {0};
	write_rar5(world->game_fd, "g.eti", 0, usual + 1, 1, false);
	lsp_unpacker_init_callback(&unpacker, callback, NULL);
	assert_int_equal(unpack_with(world, &unpacker, NULL, NULL, &stats, &err), 0);
	assert_true(holds(world->root_fd, "out/made", "by a callback"));
	lsp_unpacker_init_callback(&unpacker, callback, (char[]){"no such codec"});
	assert_int_equal(unpack_with(world, &unpacker, NULL, NULL, &stats, &err), -LSP_E_FAILED);
	assert_non_null(strstr(err.message, "no such codec"));
}

/* ---- Fixtures
 * ---------------------------------------------------------------------------------------------------
 */

static int fixtures_dir(void)
{
	const char *named = getenv("LANSPREAD_FIXTURES"), *beside = getenv("LANSPREAD_SOURCE");
	_cleanup_free_ char *path = named    ? lsp_text_format("%s/rar", named)
				    : beside ? lsp_text_format("%s/../shared/fixtures/rar", beside)
					     : NULL;
	int fd = -1;
	return path && lsp_fs_open_dir(path, &fd, NULL) == 0 ? fd : -1;
}

static void every_fixture_is_unpacked_right_or_refused_right(void **state)
{
	struct world *world = *state;
	static const struct {
		const char *name;
		int code;
		const char *file; /* that must be there */
		uint64_t size;
	} expected[] = {
		{"rar5_compressed.rar", 0, "out/test.bin", 1200},
		{"rar5_multiple_files_solid.rar", 0, "out/test4.bin", 4096},
		{"rar5_symlink.rar", 0, "out/file.txt", 5},
		{"rar5_unicode.rar", 0, "out/👋🌎.txt", 13},
		{"rar_binary_data.rar", 0, "out/random_data.bin", 1048576},
		{"rar_compress_normal.rar", 0, "out/testdir/LibarchiveAddingTest.html", 20111},
		{"rar5_encrypted.rar", LSP_E_DENIED, NULL, 0},
		{"rar5_truncated_huff.rar", LSP_E_CORRUPT, NULL, 0},
	};
	_cleanup_close_ int fixtures = fixtures_dir();
	if (fixtures < 0) {
		print_message("skipped: no fixtures (set LANSPREAD_FIXTURES)\n");
		skip();
	}
	for (size_t i = 0; i < LSP_ARRAY_SIZE(expected); i++) {
		_cleanup_close_ int from = -1;
		struct lsp_error err = {0};
		if (lsp_fs_open_below(fixtures, expected[i].name, O_RDONLY, 0, &from, NULL) < 0)
			continue;
		drop(world->game_fd, "g.eti");
		assert_int_equal(lsp_tree_copy_file(from, world->game_fd, "g.eti", 0644, NULL, NULL,
					 NULL, NULL),
			0);
		int r = unpack(world, &err);
		if (r != -expected[i].code)
			fail_msg("%s: %d, %s", expected[i].name, r, err.message);
		struct stat st;
		if (expected[i].file) {
			assert_int_equal(
				lsp_fs_stat_below(world->root_fd, expected[i].file, &st, NULL), 0);
			assert_int_equal(st.st_size, expected[i].size);
		}
		assert_nothing_outside(world);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_format_unpacks_whatever_its_name),
		TEST(links_inside_and_times_are_kept_and_hard_links_become_copies),
		TEST(sparse_files_stay_sparse),
		TEST(hostile_names_and_links_are_refused),
		TEST(a_file_through_an_earlier_archives_link_is_refused),
		TEST(devices_set_id_bits_and_attributes_are_stripped),
		TEST(bombs_end_at_the_caps),
		TEST(encrypted_truncated_and_garbage_say_so),
		TEST(volumes_are_joined_and_a_gap_is_named),
		TEST(archives_unpack_in_the_order_of_their_names),
		TEST(a_child_without_progress_is_ended_by_the_watchdog),
		TEST(a_child_that_dies_or_lies_is_an_error),
		TEST(a_child_out_of_memory_leaves_the_parent_alive),
		TEST(cancel_ends_it_at_once),
		TEST(what_libarchive_refuses_goes_to_another_tool),
		TEST(a_command_unpacks_and_is_checked),
		TEST(a_callback_unpacks),
		TEST(every_fixture_is_unpacked_right_or_refused_right),
	};
	return cmocka_run_group_tests(tests, begin_group, end_group);
}
