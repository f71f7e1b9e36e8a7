#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

/* A folder of the test's own, and what the hooks saw and shall refuse. */
static char root[64];
static int dir = -1;

static struct {
	struct lsp_fs_hooks hooks;
	enum lsp_fs_call refuse; /* this call… */
	int sys_errno;           /* …with this; 0: none */
	int times;               /* so often; −1: always */
	int before, after;
	char calls[2048]; /* "rename a b; …" of the calls that succeeded */
} seen;

static int before(const struct lsp_fs_event *event, void *argument)
{
	seen.before++;
	if (!seen.sys_errno || event->call != seen.refuse || seen.times == 0)
		return 0;
	seen.times -= seen.times > 0;
	return seen.sys_errno;
}

static void after(const struct lsp_fs_event *event, void *argument)
{
	static const char *const names[] = {"open", "write", "truncate", "sync", "mkdir", "rename",
		"exchange", "unlink", "rmdir", "symlink", "chmod", "clone"};
	size_t used = strlen(seen.calls);
	seen.after++;
	snprintf(seen.calls + used, sizeof seen.calls - used, "%s%s%s%s%s", used ? "; " : "",
		names[event->call], event->path ? " " : "", event->path ? event->path : "",
		event->target ? " →" : "");
}

static void refuse(enum lsp_fs_call call, int sys_errno, int times)
{
	seen.refuse = call;
	seen.sys_errno = sys_errno;
	seen.times = times;
}

static int set_up(void **state)
{
	memset(&seen, 0, sizeof seen);
	seen.hooks = (struct lsp_fs_hooks){.before = before, .after = after};
	strcpy(root, "/tmp/lanspread-unit-XXXXXX");
	if (!mkdtemp(root) || lsp_fs_open_dir(root, &dir, NULL) < 0)
		return -1;
	lsp_fs_set_hooks(&seen.hooks);
	return 0;
}

static int tear_down(void **state)
{
	int top = -1;
	lsp_fs_set_hooks(NULL);
	close(dir);
	if (lsp_fs_open_dir("/tmp", &top, NULL) < 0)
		return -1;
	int r = lsp_fs_remove_tree_below(top, root + 5, NULL);
	close(top);
	return r;
}

#define assert_ok(call)                                                                            \
	do {                                                                                       \
		struct lsp_error e_ = {0};                                                         \
		struct lsp_error *err = &e_;                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, err->message);                                   \
	} while (0)
#define assert_code(call, code) assert_int_equal((call), -(code))

static void put(const char *path, const char *text)
{
	assert_ok(lsp_fs_write_file_below(dir, path, text, strlen(text), 0644, err));
}

static void assert_content(const char *path, const char *text)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	assert_ok(lsp_fs_read_file_below(dir, path, 1 << 20, &content, err));
	assert_string_equal((char *)content.data, text);
	assert_int_equal(content.size, strlen(text));
}

/* ---- Nothing leads out ------------------------------------------------------------------- */

static void a_path_below_cannot_leave(void **state)
{
	int fd = -1;
	struct stat st;
	assert_ok(lsp_fs_make_dirs_below(dir, "a", err));
	assert_ok(lsp_fs_symlink_below(dir, "out", "/etc", err));
	assert_ok(lsp_fs_symlink_below(dir, "a/up", "..", err));
	assert_code(lsp_fs_stat_below(dir, "out/passwd", &st, NULL), LSP_E_DENIED);
	assert_code(lsp_fs_make_dirs_below(dir, "a/up/b", NULL), LSP_E_DENIED);
	assert_code(lsp_fs_rename_below(dir, "a", dir, "a/up/b", NULL), LSP_E_DENIED);
	assert_code(lsp_fs_unlink_below(dir, "out/passwd", NULL), LSP_E_DENIED);
	assert_code(lsp_fs_open_dir_below(dir, "out", &fd, NULL), LSP_E_DENIED);
	static const char *const paths[] = {
		"../x", "/etc/passwd", "a/../../x", "out/passwd", "a/up/x", "out"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(paths); i++) {
		struct lsp_error e = {0};
		assert_code(lsp_fs_open_below(dir, paths[i], O_RDWR | O_CREAT, 0600, &fd, &e),
			LSP_E_DENIED);
		assert_int_equal(fd, -1);
		assert_true(lsp_fs_write_file_below(dir, paths[i], "x", 1, 0600, &e) < 0 ||
			    strcmp(paths[i], "out") == 0);
	}
	/* In words for who put the link there. */
	struct lsp_error e = {0};
	assert_code(lsp_fs_open_dir_below(dir, "out", &fd, &e), LSP_E_DENIED);
	assert_non_null(strstr(e.message, "\"out\": a link or a file is where a folder"));
	assert_code(lsp_fs_open_below(dir, "out/passwd", O_RDONLY, 0, &fd, &e), LSP_E_DENIED);
	assert_true(e.sys_errno == ELOOP || e.sys_errno == ENOTDIR); /* without openat2 */
	assert_non_null(strstr(e.message, e.sys_errno == ELOOP ? "it is a symbolic link, or behind"
							       : "a link or a file is where"));
	assert_code(lsp_fs_open_below(dir, "../x", O_RDONLY, 0, &fd, &e), LSP_E_DENIED);
	assert_non_null(strstr(e.message, "\"../x\": it leads out of the folder"));
	/* Replacing a link by a file does not follow it. */
	struct stat etc;
	assert_int_equal(stat("/etc", &etc), 0);
	assert_true(S_ISDIR(etc.st_mode));
	assert_content("out", "x");
}

static void the_users_own_path_may_be_a_symlink(void **state)
{
	char link[96];
	int fd = -1;
	snprintf(link, sizeof link, "%s/games", root);
	assert_ok(lsp_fs_make_dirs_below(dir, "disk", err));
	assert_int_equal(symlink("disk", link), 0);
	assert_ok(lsp_fs_open_dir(link, &fd, err));
	assert_ok(lsp_fs_write_file_below(fd, "f", "x", 1, 0644, err));
	close(fd);
	assert_content("disk/f", "x");
}

static void removing_a_tree_never_follows_a_link(void **state)
{
	put("kept", "precious");
	assert_ok(lsp_fs_make_dirs_below(dir, "tree/deep/er", err));
	put("tree/deep/f", "x");
	assert_ok(lsp_fs_symlink_below(dir, "tree/deep/link", "../..", err));
	assert_ok(lsp_fs_symlink_below(dir, "tree/abs", root, err));
	assert_ok(lsp_fs_remove_tree_below(dir, "tree", err));
	assert_false(lsp_fs_exists_below(dir, "tree"));
	assert_content("kept", "precious");
	assert_ok(lsp_fs_remove_tree_below(dir, "tree", err));
	assert_ok(lsp_fs_remove_tree_below(dir, "no/such", err));
}

/* ---- What is no file never blocks -------------------------------------------------------- */

static void a_fifo_in_place_of_a_file_is_refused_and_never_blocks(void **state)
{
	static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_CREAT | O_TRUNC};
	_cleanup_buffer_ struct lsp_buffer content = {0};
	char path[96];
	snprintf(path, sizeof path, "%s/pipe", root);
	assert_int_equal(mkfifo(path, 0600), 0);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(flags); i++) {
		int fd = -1;
		struct lsp_error e = {0};
		assert_code(lsp_fs_open_below(dir, "pipe", flags[i], 0600, &fd, &e), LSP_E_DENIED);
		assert_string_equal(e.message, "\"pipe\" is not a regular file; move it away");
		assert_int_equal(fd, -1);
	}
	assert_true(lsp_fs_read_file_below(dir, "pipe", 100, &content, NULL) < 0);
	assert_true(lsp_fs_read_file(path, 100, &content, NULL) < 0);
}

static void a_socket_and_a_folder_are_no_files_either(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = -1;
	snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", root);
	_cleanup_close_ int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof address), 0);
	assert_ok(lsp_fs_make_dirs_below(dir, "folder", err));
	assert_code(lsp_fs_open_below(dir, "sock", O_RDONLY, 0, &fd, NULL), LSP_E_DENIED);
	assert_code(lsp_fs_open_below(dir, "folder", O_RDONLY, 0, &fd, NULL), LSP_E_DENIED);
	assert_code(lsp_fs_open_below(dir, "folder", O_RDWR, 0, &fd, NULL), LSP_E_DENIED);
	assert_ok(lsp_fs_open_below(dir, "folder", O_RDONLY | O_DIRECTORY, 0, &fd, err));
	close(fd);
}

/* ---- Reading and writing ----------------------------------------------------------------- */

static void pattern(uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
}

static void short_reads_and_writes_move_the_same_bytes(void **state)
{
	static uint8_t data[100000], back[100000];
	int fd = -1;
	size_t got;
	pattern(data, sizeof data);
	assert_ok(lsp_fs_open_below(dir, "f", O_RDWR | O_CREAT, 0600, &fd, err));
	seen.hooks.at_most = 777;
	assert_ok(lsp_fs_write_at(fd, data, sizeof data, 5, "f", err));
	assert_ok(lsp_fs_read_at(fd, back, sizeof back, 5, &got, err));
	seen.hooks.at_most = 0;
	assert_int_equal(got, sizeof data);
	assert_memory_equal(data, back, sizeof data);
	/* Less only at the end of the file. */
	assert_ok(lsp_fs_read_at(fd, back, sizeof back, sizeof data, &got, err));
	assert_int_equal(got, 5);
	assert_ok(lsp_fs_read_at(fd, back, sizeof back, 1 << 30, &got, err));
	assert_int_equal(got, 0);
	close(fd);
}

static void only_what_is_in_memory_is_read_at_once(void **state)
{
	static uint8_t data[100000], back[100000];
	int pipes[2], memory = memfd_create("memory", MFD_CLOEXEC), fd = -1;
	pattern(data, sizeof data);
	assert_true(memory >= 0);
	assert_ok(lsp_fs_write_at(memory, data, sizeof data, 0, "memory", err));
	assert_ok(lsp_fs_read_cached(memory, back, 50000, 7, err));
	assert_memory_equal(back, data + 7, 50000);
	/* All or nothing. */
	assert_int_equal(
		lsp_fs_read_cached(memory, back, 100, sizeof data - 99, NULL), -LSP_E_BUSY);
	close(memory);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(lsp_fs_read_cached(pipes[0], back, 1, 0, NULL), -LSP_E_BUSY);
	close(pipes[0]);
	close(pipes[1]);
	/* A filesystem that cannot tell says so; none blocks, and none gives other bytes. */
	assert_ok(lsp_fs_open_below(dir, "f", O_RDWR | O_CREAT, 0600, &fd, err));
	assert_ok(lsp_fs_write_at(fd, data, sizeof data, 0, "f", err));
	int r = lsp_fs_read_cached(fd, back, sizeof back, 0, NULL);
	assert_true(r == 0 || r == -LSP_E_BUSY);
	if (r == 0)
		assert_memory_equal(back, data, sizeof data);
	close(fd);
}

static void an_interrupted_call_is_made_again(void **state)
{
	static const enum lsp_fs_call calls[] = {LSP_FS_WRITE, LSP_FS_SYNC, LSP_FS_RENAME,
		LSP_FS_CHMOD, LSP_FS_MKDIR, LSP_FS_UNLINK};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(calls); i++) {
		refuse(calls[i], EINTR, 3);
		put("f", "hello");
		assert_ok(lsp_fs_make_dirs_below(dir, "d", err));
		assert_ok(lsp_fs_unlink_below(dir, "f", err));
		assert_ok(lsp_fs_remove_tree_below(dir, "d", err));
		assert_int_equal(seen.times, 0);
	}
}

static void a_limit_on_the_file_size_is_an_error_not_a_signal_of_success(void **state)
{
	static uint8_t data[8192];
	struct rlimit old, small = {4096, 4096};
	int fd = -1;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_ok(lsp_fs_open_below(dir, "f", O_RDWR | O_CREAT, 0600, &fd, err));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int r = lsp_fs_write_at(fd, data, sizeof data, 0, "f", NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_true(r < 0);
	close(fd);
}

static void truncate_sizes_a_file_up_and_down(void **state)
{
	int fd = -1;
	struct stat st;
	assert_ok(lsp_fs_open_below(dir, "f", O_RDWR | O_CREAT, 0600, &fd, err));
	assert_ok(lsp_fs_truncate(fd, UINT64_C(5) << 30, "f", err));
	assert_ok(lsp_fs_stat_below(dir, "f", &st, err));
	assert_true(st.st_size == INT64_C(5) << 30);
	assert_ok(lsp_fs_truncate(fd, 3, "f", err));
	assert_ok(lsp_fs_stat_below(dir, "f", &st, err));
	assert_int_equal(st.st_size, 3);
	close(fd);
}

/* ---- Whole files ------------------------------------------------------------------------- */

static void writing_a_file_replaces_it_by_way_of_a_temporary_one(void **state)
{
	struct stat st;
	put("f", "old");
	seen.calls[0] = '\0';
	put("f", "new");
	assert_string_equal(seen.calls, "open .f.tmp; chmod; write; sync; rename .f.tmp →; sync");
	assert_content("f", "new");
	assert_ok(lsp_fs_write_file_below(dir, "secret", "k", 1, 0600, err));
	assert_ok(lsp_fs_stat_below(dir, "secret", &st, err));
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_failure_at_any_step_leaves_the_old_content_and_no_litter(void **state)
{
	static const struct {
		enum lsp_fs_call call;
		int sys_errno, code;
	} steps[] = {{LSP_FS_OPEN, EACCES, LSP_E_DENIED}, {LSP_FS_CHMOD, EPERM, LSP_E_DENIED},
		{LSP_FS_WRITE, ENOSPC, LSP_E_NO_SPACE}, {LSP_FS_WRITE, EIO, LSP_E_IO},
		{LSP_FS_SYNC, EIO, LSP_E_IO}, {LSP_FS_RENAME, EROFS, LSP_E_DENIED}};
	put("f", "old");
	for (size_t i = 0; i < LSP_ARRAY_SIZE(steps); i++) {
		struct lsp_error e = {0};
		refuse(steps[i].call, steps[i].sys_errno, 1);
		assert_code(lsp_fs_write_file_below(dir, "f", "new", 3, 0644, &e), steps[i].code);
		assert_int_equal(e.sys_errno, steps[i].sys_errno);
		assert_content("f", "old");
		assert_false(lsp_fs_exists_below(dir, ".f.tmp"));
	}
}

static void a_file_over_the_limit_is_refused(void **state)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	struct lsp_error e = {0};
	char path[96];
	put("f", "12345");
	assert_ok(lsp_fs_read_file_below(dir, "f", 5, &content, err));
	assert_code(lsp_fs_read_file_below(dir, "f", 4, &content, &e), LSP_E_TOO_LARGE);
	assert_string_equal(e.message, "\"f\" is larger than 4 bytes");
	assert_string_equal((char *)content.data, "12345"); /* as it was */
	snprintf(path, sizeof path, "%s/f", root);
	assert_code(lsp_fs_read_file(path, 4, &content, &e), LSP_E_TOO_LARGE);
	assert_code(lsp_fs_read_file_below(dir, "none", 4, &content, &e), LSP_E_NOT_FOUND);
}

static void files_of_every_size_around_a_block_are_read_whole(void **state)
{
	static char text[20000];
	for (size_t size = 0; size < sizeof text; size += size < 4090 || size > 4100 ? 1021 : 1) {
		_cleanup_buffer_ struct lsp_buffer content = {0};
		memset(text, 'x', size);
		assert_ok(lsp_fs_write_file_below(dir, "f", text, size, 0644, err));
		assert_ok(lsp_fs_read_file_below(dir, "f", sizeof text, &content, err));
		assert_int_equal(content.size, size);
		assert_int_equal(content.data[size], 0);
	}
}

static void a_file_by_the_users_own_path_is_written_and_read(void **state)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	char path[96];
	snprintf(path, sizeof path, "%s/config.json", root);
	assert_ok(lsp_fs_write_file(path, "{}", 2, 0600, err));
	assert_ok(lsp_fs_read_file(path, 100, &content, err));
	assert_string_equal((char *)content.data, "{}");
	snprintf(path, sizeof path, "%s/none/config.json", root);
	assert_code(lsp_fs_write_file(path, "{}", 2, 0600, NULL), LSP_E_NOT_FOUND);
}

/* ---- Folders and names ------------------------------------------------------------------- */

static void folders_are_made_with_their_parents(void **state)
{
	char path[96];
	struct stat st;
	snprintf(path, sizeof path, "%s/x//y/z/", root);
	assert_ok(lsp_fs_make_dirs(path, true, err));
	assert_ok(lsp_fs_make_dirs(path, true, err));
	assert_ok(lsp_fs_stat_below(dir, "x/y/z", &st, err));
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_ok(lsp_fs_make_dirs_below(dir, "p/q", err));
	assert_ok(lsp_fs_make_dirs_below(dir, "p/q/r", err));
	assert_true(lsp_fs_exists_below(dir, "p/q/r"));
	assert_code(lsp_fs_make_dirs("", false, NULL), LSP_E_INVALID);
	put("file", "x");
	assert_true(lsp_fs_make_dirs_below(dir, "file/sub", NULL) < 0);
}

static void rename_replaces_and_exchange_swaps(void **state)
{
	struct lsp_error e = {0};
	put("a", "A");
	put("b", "B");
	assert_ok(lsp_fs_make_dirs_below(dir, "d", err));
	int r = lsp_fs_exchange_below(dir, "a", dir, "b", &e);
	if (r == -LSP_E_UNSUPPORTED) { /* not on this filesystem */
		assert_content("a", "A");
	} else {
		assert_int_equal(r, 0);
		assert_content("a", "B");
		assert_content("b", "A");
	}
	put("a", "one");
	assert_ok(lsp_fs_rename_below(dir, "a", dir, "d/b", err));
	assert_ok(lsp_fs_rename_below(dir, "d/b", dir, "b", err));
	assert_content("b", "one");
	assert_false(lsp_fs_exists_below(dir, "a"));
	assert_code(lsp_fs_rename_below(dir, "none", dir, "b", NULL), LSP_E_NOT_FOUND);
	refuse(LSP_FS_EXCHANGE, EINVAL, 1);
	assert_code(lsp_fs_exchange_below(dir, "b", dir, "b", NULL), LSP_E_UNSUPPORTED);
}

static void only_what_is_there_and_empty_is_removed(void **state)
{
	assert_ok(lsp_fs_make_dirs_below(dir, "d", err));
	put("d/f", "x");
	assert_code(lsp_fs_rmdir_below(dir, "d", NULL), LSP_E_EXISTS); /* something is in it */
	assert_ok(lsp_fs_unlink_below(dir, "d/f", err));
	assert_ok(lsp_fs_rmdir_below(dir, "d", err));
	assert_code(lsp_fs_unlink_below(dir, "d/f", NULL), LSP_E_NOT_FOUND);
}

static void a_clone_has_the_same_bytes_or_is_unsupported(void **state)
{
	int from = -1, to = -1;
	put("from", "bytes");
	assert_ok(lsp_fs_open_below(dir, "from", O_RDONLY, 0, &from, err));
	assert_ok(lsp_fs_open_below(dir, "to", O_RDWR | O_CREAT, 0600, &to, err));
	int r = lsp_fs_clone(from, to, NULL);
	if (r == 0)
		assert_content("to", "bytes");
	else
		assert_int_equal(r, -LSP_E_UNSUPPORTED);
	close(from);
	close(to);
}

static void the_free_space_is_told(void **state)
{
	uint64_t bytes = 0;
	assert_ok(lsp_fs_free_space(dir, &bytes, err));
	assert_true(bytes > 0);
}

/* ---- Hooks ------------------------------------------------------------------------------- */

static void every_mutating_call_asks_before_and_tells_after(void **state)
{
	int fd = -1;
	assert_ok(lsp_fs_make_dirs_below(dir, "d", err));
	assert_ok(lsp_fs_open_below(dir, "d/f", O_RDWR | O_CREAT, 0600, &fd, err));
	assert_ok(lsp_fs_write_at(fd, "x", 1, 0, "f", err));
	assert_ok(lsp_fs_truncate(fd, 9, "f", err));
	assert_ok(lsp_fs_chmod(fd, 0644, "f", err));
	assert_ok(lsp_fs_sync(fd, "f", err));
	close(fd);
	assert_ok(lsp_fs_rename_below(dir, "d/f", dir, "g", err));
	assert_ok(lsp_fs_sync_dir_below(dir, "d", err));
	assert_ok(lsp_fs_symlink_below(dir, "l", "g", err));
	assert_ok(lsp_fs_unlink_below(dir, "l", err));
	assert_ok(lsp_fs_rmdir_below(dir, "d", err));
	assert_string_equal(seen.calls, "mkdir d; open d/f; write; truncate; chmod; sync; "
					"rename f →; sync; symlink l →; unlink l; rmdir d");
	assert_int_equal(seen.before, 11);
	/* Reading asks nobody. */
	assert_ok(lsp_fs_open_below(dir, "g", O_RDONLY, 0, &fd, err));
	close(fd);
	assert_int_equal(seen.before, 11);
}

static void a_refused_call_does_not_happen(void **state)
{
	int fd = -1;
	put("f", "x");
	refuse(LSP_FS_UNLINK, EIO, 1);
	assert_code(lsp_fs_unlink_below(dir, "f", NULL), LSP_E_IO);
	assert_true(lsp_fs_exists_below(dir, "f"));
	refuse(LSP_FS_OPEN, EMFILE, 1);
	assert_code(lsp_fs_open_below(dir, "g", O_RDWR | O_CREAT, 0600, &fd, NULL), LSP_E_IO);
	assert_false(lsp_fs_exists_below(dir, "g"));
	refuse(LSP_FS_MKDIR, ENOSPC, 1);
	assert_code(lsp_fs_make_dirs_below(dir, "d/e", NULL), LSP_E_NO_SPACE);
	assert_false(lsp_fs_exists_below(dir, "d"));
	refuse(LSP_FS_SYMLINK, EPERM, 1);
	assert_code(lsp_fs_symlink_below(dir, "l", "f", NULL), LSP_E_DENIED);
	assert_false(lsp_fs_exists_below(dir, "l"));
}

static void files_are_staged_first_and_take_their_names_when_they_are_committed(void **state)
{
	put("a", "old");
	assert_ok(lsp_fs_stage_file(dir, "a", "new", 3, 0600, err));
	assert_ok(lsp_fs_stage_file(dir, "b", "new", 3, 0600, err));
	assert_content("a", "old");
	assert_false(lsp_fs_exists_below(dir, "b"));
	assert_ok(lsp_fs_settle_file(dir, "a", err));
	assert_content("a", "old");
	assert_ok(lsp_fs_commit_file(dir, "a", err));
	assert_content("a", "new");
	lsp_fs_drop_file(dir, "b");
	assert_false(lsp_fs_exists_below(dir, ".b.tmp"));
	assert_code(lsp_fs_commit_file(dir, "b", NULL), LSP_E_NOT_FOUND);
	assert_false(lsp_fs_exists_below(dir, "b"));
	/* A failure leaves the old one and no litter. */
	refuse(LSP_FS_WRITE, ENOSPC, 1);
	assert_code(lsp_fs_stage_file(dir, "a", "newer", 5, 0600, NULL), LSP_E_NO_SPACE);
	refuse(LSP_FS_SYNC, EIO, 1);
	assert_ok(lsp_fs_stage_file(dir, "a", "newer", 5, 0600, err));
	assert_code(lsp_fs_settle_file(dir, "a", NULL), LSP_E_IO);
	assert_content("a", "new");
	lsp_fs_drop_file(dir, "a");
	assert_false(lsp_fs_exists_below(dir, ".a.tmp"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_path_below_cannot_leave),
		CASE(the_users_own_path_may_be_a_symlink),
		CASE(removing_a_tree_never_follows_a_link),
		CASE(a_fifo_in_place_of_a_file_is_refused_and_never_blocks),
		CASE(a_socket_and_a_folder_are_no_files_either),
		CASE(short_reads_and_writes_move_the_same_bytes),
		CASE(only_what_is_in_memory_is_read_at_once),
		CASE(an_interrupted_call_is_made_again),
		CASE(a_limit_on_the_file_size_is_an_error_not_a_signal_of_success),
		CASE(truncate_sizes_a_file_up_and_down),
		CASE(writing_a_file_replaces_it_by_way_of_a_temporary_one),
		CASE(a_failure_at_any_step_leaves_the_old_content_and_no_litter),
		CASE(files_are_staged_first_and_take_their_names_when_they_are_committed),
		CASE(a_file_over_the_limit_is_refused),
		CASE(files_of_every_size_around_a_block_are_read_whole),
		CASE(a_file_by_the_users_own_path_is_written_and_read),
		CASE(folders_are_made_with_their_parents),
		CASE(rename_replaces_and_exchange_swaps),
		CASE(only_what_is_there_and_empty_is_removed),
		CASE(a_clone_has_the_same_bytes_or_is_unsupported),
		CASE(the_free_space_is_told),
		CASE(every_mutating_call_asks_before_and_tells_after),
		CASE(a_refused_call_does_not_happen),
	};
	return cmocka_run_group_tests_name("base/fs", tests, NULL, NULL);
}
