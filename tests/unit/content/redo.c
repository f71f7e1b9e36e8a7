/*
 * The redo list: a game of two files and a folder goes from old to new by six steps. Every mutating
 * call is made to fail once, to fail from then on, and to be the last one of the process; and each
 * time the folder holds the old state or the new one.
 */
#include "content/redo.h"

#include "base/fs.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

static char root[256];
static int root_fd = -1;

static void put(const char *path, const char *text)
{
	char *copy = strdup(path), *slash = strrchr(copy, '/');
	if (slash) {
		*slash = '\0';
		assert_int_equal(lsp_fs_make_dirs_below(root_fd, copy, NULL), 0);
	}
	free(copy);
	int r = lsp_fs_write_file_below(root_fd, path, text, strlen(text), 0644, NULL);
	assert_int_equal(r, 0);
}

static bool holds(const char *path, const char *text)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	if (lsp_fs_read_file_below(root_fd, path, 4096, &content, NULL) < 0)
		return text == NULL;
	return text && strcmp((const char *)content.data, text) == 0;
}

static void reset(void)
{
	static const char *const all[] = {
		"version.ini", "data", "local", "extra", "new", LSP_REDO_PRIVATE};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(all); i++)
		assert_int_equal(lsp_fs_remove_tree_below(root_fd, all[i], NULL), 0);
	put("version.ini", "1");
	put("data/a", "old a");
	put("local/exe", "old exe");
	put("extra/only-old", "x");
	put(LSP_REDO_PRIVATE "/stage/version.ini", "2");
	put(LSP_REDO_PRIVATE "/stage/data/a", "new a");
	put(LSP_REDO_PRIVATE "/stage/b", "b");
	put(LSP_REDO_PRIVATE "/install/local/exe", "new exe");
}

static bool is_old(void)
{
	return holds("version.ini", "1") && holds("data/a", "old a") &&
	       holds("local/exe", "old exe") && holds("extra/only-old", "x") &&
	       holds("new/b", NULL) && !lsp_fs_exists_below(root_fd, "new");
}

static bool is_new(void)
{
	return holds("version.ini", "2") && holds("data/a", "new a") &&
	       holds("local/exe", "new exe") && holds("new/b", "b") &&
	       !lsp_fs_exists_below(root_fd, "extra");
}

static int commit(bool *ret_pending, struct lsp_error *err)
{
	_cleanup_(lsp_redo_free_pointer) struct lsp_redo *redo = NULL;
	int r = lsp_redo_new("update", &redo, err);
	static const char *const asides[] = {"version.ini", "data/a", "local", "extra/only-old"};
	for (size_t i = 0; r == 0 && i < LSP_ARRAY_SIZE(asides); i++)
		r = lsp_redo_aside(redo, asides[i], err);
	if (r == 0)
		r = lsp_redo_drop_folder(redo, "extra", err);
	if (r == 0)
		r = lsp_redo_make_folder(redo, "new", err);
	if (r == 0)
		r = lsp_redo_place(redo, LSP_REDO_PRIVATE "/stage/data/a", "data/a", err);
	if (r == 0)
		r = lsp_redo_place(redo, LSP_REDO_PRIVATE "/stage/b", "new/b", err);
	if (r == 0)
		r = lsp_redo_place(redo, LSP_REDO_PRIVATE "/install/local", "local", err);
	if (r == 0)
		r = lsp_redo_barrier(redo, err);
	if (r == 0)
		r = lsp_redo_place(redo, LSP_REDO_PRIVATE "/stage/version.ini", "version.ini", err);
	return r < 0 ? r : lsp_redo_commit(redo, root_fd, ret_pending, err);
}

/* ---- Faults ---- */

enum fault { FAIL_ONCE, FAIL_ON, DIE };

static struct {
	enum fault fault;
	int at, seen, sys_errno;
} plan;

static int before(const struct lsp_fs_event *event, void *argument)
{
	(void)event;
	(void)argument;
	int n = plan.seen++;
	if (n < plan.at || (plan.fault == FAIL_ONCE && n > plan.at))
		return 0;
	if (plan.fault == DIE)
		_exit(9);
	return plan.sys_errno;
}

static const struct lsp_fs_hooks fault_hooks = {before, NULL, NULL};

static void arm(enum fault fault, int at, int sys_errno)
{
	plan.fault = fault;
	plan.at = at;
	plan.seen = 0;
	plan.sys_errno = sys_errno;
	lsp_fs_set_hooks(&fault_hooks);
}

static void commits(void **state)
{
	(void)state;
	reset();
	assert_true(is_old());
	struct lsp_error err = {0};
	bool pending = true;
	assert_int_equal(commit(&pending, &err), 0);
	assert_false(pending);
	assert_true(is_new());
	assert_false(lsp_redo_pending(root_fd));
	assert_true(holds(LSP_REDO_OLD "/data/a", "old a"));
	assert_int_equal(lsp_redo_clean(root_fd, &err), 0);
	assert_false(lsp_fs_exists_below(root_fd, LSP_REDO_OLD));
}

static void one_failing_call_leaves_the_old_state(void **state)
{
	(void)state;
	static const int errnos[] = {ENOSPC, EIO, EACCES, EROFS};
	for (size_t e = 0; e < LSP_ARRAY_SIZE(errnos); e++) {
		for (int at = 0;; at++) {
			reset();
			struct lsp_error err = {0};
			bool pending = true;
			arm(FAIL_ONCE, at, errnos[e]);
			int r = commit(&pending, &err);
			lsp_fs_set_hooks(NULL);
			if (plan.seen <= at) {
				assert_int_equal(r, 0);
				assert_true(at > 20);
				break;
			}
			if (r == 0) { /* only the removal of the intent may fail so late */
				assert_true(pending && is_new());
			} else {
				assert_true(err.message[0] && !pending);
				assert_true(is_old());
			}
			assert_int_equal(lsp_redo_recover(root_fd, NULL, &err), 0);
			assert_true(r == 0 ? is_new() : is_old());
			assert_int_equal(lsp_redo_clean(root_fd, &err), 0);
			if (r < 0) /* and it works now */
				assert_int_equal(commit(&pending, &err), 0);
			assert_true(is_new());
		}
	}
}

static void a_disk_that_goes_read_only_is_completed_or_unchanged_later(void **state)
{
	(void)state;
	for (int at = 0;; at++) {
		reset();
		struct lsp_error err = {0};
		bool pending = true;
		arm(FAIL_ON, at, EROFS);
		int r = commit(&pending, &err);
		int seen = plan.seen;
		lsp_fs_set_hooks(NULL);
		bool forward = false;
		assert_int_equal(lsp_redo_recover(root_fd, &forward, &err), 0);
		assert_true(r == 0 || pending ? is_new() : is_old());
		if (seen <= at)
			break;
	}
}

static int in_child(enum fault fault, int at, int (*function)(void))
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		arm(fault, at, 0);
		_exit(function() < 0 ? 1 : 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static int run_commit(void)
{
	return commit(NULL, NULL);
}

static int run_recover(void)
{
	return lsp_redo_recover(root_fd, NULL, NULL);
}

static void dying_before_any_call_leaves_old_or_new(void **state)
{
	(void)state;
	int points = 0;
	for (int at = 0;; at++) {
		reset();
		int code = in_child(DIE, at, run_commit);
		if (code != 9) {
			assert_int_equal(code, 0);
			break;
		}
		bool decided = lsp_redo_pending(root_fd) || is_new();
		for (int again = 0;; again++, points++)
			if (in_child(DIE, again, run_recover) != 9)
				break;
		assert_false(lsp_redo_pending(root_fd));
		assert_true(decided ? is_new() : is_old());
	}
	print_message("%d kill points in recovery\n", points);
	assert_true(points > 50);
}

static void a_torn_intent_counts_as_not_there(void **state)
{
	(void)state;
	reset();
	put(LSP_REDO_INTENT, "lanspread intent 1\nupdate");
	bool forward = true;
	assert_int_equal(lsp_redo_recover(root_fd, &forward, NULL), 0);
	assert_false(forward || lsp_redo_pending(root_fd));
	assert_true(is_old());
	assert_int_equal(in_child(DIE, 12, run_commit), 9);
	assert_true(lsp_redo_pending(root_fd));
	_cleanup_buffer_ struct lsp_buffer content = {0};
	assert_int_equal(
		lsp_fs_read_file_below(root_fd, LSP_REDO_INTENT, 65536, &content, NULL), 0);
	for (size_t cut = 0; cut < content.size; cut++) {
		assert_int_equal(lsp_fs_write_file_below(
					 root_fd, LSP_REDO_INTENT, content.data, cut, 0644, NULL),
			0);
		assert_int_equal(lsp_redo_recover(root_fd, &forward, NULL), 0);
		assert_false(forward || lsp_redo_pending(root_fd));
	}
	content.data[content.size / 2] ^= 1;
	assert_int_equal(lsp_fs_write_file_below(
				 root_fd, LSP_REDO_INTENT, content.data, content.size, 0644, NULL),
		0);
	assert_int_equal(lsp_redo_recover(root_fd, &forward, NULL), 0);
	assert_false(forward);
}

static void what_is_lost_on_both_sides_is_named(void **state)
{
	(void)state;
	reset();
	int at = 0;
	do /* the first point at which the intent is durable */
		reset();
	while (in_child(DIE, at++, run_commit) == 9 && !lsp_redo_pending(root_fd));
	assert_int_equal(lsp_fs_remove_tree_below(root_fd, LSP_REDO_PRIVATE "/stage/b", NULL), 0);
	struct lsp_error err = {0};
	assert_int_equal(lsp_redo_recover(root_fd, NULL, &err), -LSP_E_CORRUPT);
	assert_non_null(strstr(err.message, "new/b"));
	assert_true(lsp_redo_pending(root_fd));
	assert_true(holds("version.ini", NULL));
	assert_int_equal(lsp_redo_clean(root_fd, &err), -LSP_E_BUSY);
	assert_int_equal(commit(NULL, &err), -LSP_E_BUSY);
}

/* Else what was set aside would be removed, and an interrupted change called none. */
static void an_intent_that_cannot_be_looked_for_counts_as_there(void **state)
{
	(void)state;
	struct rlimit old;
	struct lsp_error err = {0};
	int at = 0;
	do
		reset();
	while (in_child(DIE, at++, run_commit) == 9 && !lsp_redo_pending(root_fd));
	int lowest = dup(0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	struct rlimit none = {(rlim_t)lowest, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	bool forward = true, pending = lsp_redo_pending(root_fd), committed = false;
	int recovered = lsp_redo_recover(root_fd, &forward, &err);
	int cleaned = lsp_redo_clean(root_fd, NULL);
	int again = commit(&committed, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(pending && !forward && committed);
	assert_int_equal(recovered, -LSP_E_IO);
	assert_int_equal(err.sys_errno, EMFILE);
	assert_int_equal(cleaned, -LSP_E_IO);
	assert_int_equal(again, -LSP_E_IO);
	assert_int_equal(lsp_redo_recover(root_fd, &forward, &err), 0);
	assert_true(forward && is_new());
}

static void what_is_in_the_way_or_missing_changes_nothing(void **state)
{
	(void)state;
	reset();
	put("new/b", "mine");
	struct lsp_error err = {0};
	assert_int_equal(commit(NULL, &err), -LSP_E_EXISTS);
	assert_true(holds("new/b", "mine") && holds("version.ini", "1") &&
		    holds("local/exe", "old exe") && !lsp_redo_pending(root_fd));
	reset();
	assert_int_equal(lsp_fs_remove_tree_below(root_fd, "extra/only-old", NULL), 0);
	assert_int_equal(commit(NULL, &err), -LSP_E_NOT_FOUND);
	assert_true(holds("version.ini", "1") && holds("data/a", "old a"));
}

int main(void)
{
	/* In memory where that is: thousands of fsyncs cost half a minute on a busy disk. */
	snprintf(root, sizeof root, "%s/lanspread-redo-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(root) || lsp_fs_open_dir(root, &root_fd, NULL) < 0)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commits),
		cmocka_unit_test(one_failing_call_leaves_the_old_state),
		cmocka_unit_test(a_disk_that_goes_read_only_is_completed_or_unchanged_later),
		cmocka_unit_test(dying_before_any_call_leaves_old_or_new),
		cmocka_unit_test(a_torn_intent_counts_as_not_there),
		cmocka_unit_test(what_is_lost_on_both_sides_is_named),
		cmocka_unit_test(an_intent_that_cannot_be_looked_for_counts_as_there),
		cmocka_unit_test(what_is_in_the_way_or_missing_changes_nothing),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	char *slash = strrchr(root, '/');
	int parent = -1;
	*slash = '\0';
	if (lsp_fs_open_dir(root, &parent, NULL) == 0)
		(void)!lsp_fs_remove_tree_below(parent, slash + 1, NULL);
	return r;
}
