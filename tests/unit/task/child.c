#include "task/child.h"

#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

struct nursery {
	struct lsp_fake_clock clock;
	struct runtime runtime;
	struct lsp_child *child;
	struct lsp_child_options options;
	const char *argv[4];
};

static void nursery_init(struct nursery *n, const char *script)
{
	memset(n, 0, sizeof *n);
	lsp_fake_clock_init(&n->clock);
	runtime_init(&n->runtime, &n->clock.clock);
	n->argv[0] = "sh";
	n->argv[1] = "-c";
	n->argv[2] = script;
	n->options = (struct lsp_child_options){
		.argv = n->argv, .output = LSP_CHILD_PIPE, .quiet = true};
}

static void start(struct nursery *n)
{
	assert_ok(lsp_child_start(n->runtime.tasks, "unpack", &n->options, &n->child, ERR));
}

static void nursery_done(struct nursery *n)
{
	lsp_child_free(n->child);
	runtime_done(&n->runtime);
}

static const char *next_line(struct nursery *n)
{
	const char *line = NULL;
	int r = lsp_child_read_line(n->child, NULL, LSP_TIME_NEVER, &line, ERR);
	if (r < 0)
		fail_msg("%s", ERR->message);
	return r ? line : NULL;
}

/* ---- What it says and hears -------------------------------------------------------------- */

static void its_output_is_read_line_by_line_to_the_end(void **state)
{
	struct nursery n;
	nursery_init(&n, "echo one; echo; printf three");
	start(&n);
	assert_string_equal(next_line(&n), "one");
	assert_string_equal(next_line(&n), "");
	assert_string_equal(next_line(&n), "three");
	assert_null(next_line(&n));
	assert_ok(lsp_child_finish(n.child, ERR));
	assert_int_equal(lsp_child_exit_status(n.child), 0);
	nursery_done(&n);
}

static void its_output_is_read_as_bytes(void **state)
{
	struct nursery n;
	char bytes[4];
	nursery_init(&n, "printf 'abcdefXY'");
	start(&n);
	assert_int_equal(lsp_child_read_all(n.child, bytes, 3, NULL, LSP_TIME_NEVER, ERR), 1);
	assert_memory_equal(bytes, "abc", 3);
	assert_int_equal(lsp_child_read_all(n.child, bytes, 3, NULL, LSP_TIME_NEVER, ERR), 1);
	assert_code(
		lsp_child_read_all(n.child, bytes, 3, NULL, LSP_TIME_NEVER, ERR), LSP_E_PROTOCOL);
	assert_string_equal(ERR->message, "unpack ended in the midst of a message");
	assert_int_equal(lsp_child_read_all(n.child, bytes, 3, NULL, LSP_TIME_NEVER, ERR), 0);
	nursery_done(&n);
}

static void its_input_is_written_and_closed(void **state)
{
	struct nursery n;
	nursery_init(&n, "cat; echo end");
	n.options.input = LSP_CHILD_PIPE;
	start(&n);
	assert_ok(lsp_child_write(n.child, "hello\n", 6, NULL, LSP_TIME_NEVER, ERR));
	assert_string_equal(next_line(&n), "hello");
	lsp_child_close_input(n.child);
	assert_string_equal(next_line(&n), "end");
	assert_ok(lsp_child_finish(n.child, ERR));
	nursery_done(&n);
}

static void a_child_that_reads_no_more_is_an_error_and_no_signal(void **state)
{
	struct nursery n;
	nursery_init(&n, "exec 0<&-; echo closed; exec sleep 1000");
	n.options.input = LSP_CHILD_PIPE;
	start(&n);
	assert_string_equal(next_line(&n), "closed");
	assert_code(lsp_child_write(n.child, "x", 1, NULL, LSP_TIME_NEVER, ERR), LSP_E_CLOSED);
	assert_string_equal(ERR->message, "unpack reads no more");
	nursery_done(&n);
}

static void a_line_without_an_end_is_an_error(void **state)
{
	struct nursery n;
	const char *line;
	nursery_init(&n, "exec tr '\\0' x < /dev/zero");
	start(&n);
	assert_code(
		lsp_child_read_line(n.child, NULL, LSP_TIME_NEVER, &line, ERR), LSP_E_TOO_LARGE);
	nursery_done(&n);
}

static void what_it_says_on_stderr_is_logged_under_its_name_and_bounded(void **state)
{
	struct captured_log log;
	struct nursery n;
	nursery_init(&n, "i=0; while [ $i -lt 1000 ]; do echo line $i >&2; i=$((i+1)); done");
	n.options.quiet = false;
	capture_log(&log);
	start(&n);
	assert_null(next_line(&n));
	assert_ok(lsp_child_finish(n.child, ERR));
	nursery_done(&n);
	release_log(&log);
	assert_non_null(strstr(log.text, "info unpack: line 0\n"));
	assert_non_null(strstr(log.text, "info unpack: line 99\n"));
	assert_null(strstr(log.text, "line 100\n"));
	assert_non_null(strstr(log.text, "what else it says is not logged"));
}

/* ---- How it ends ------------------------------------------------------------------------- */

static void its_exit_status_and_last_words_are_the_error(void **state)
{
	struct nursery n;
	nursery_init(&n, "echo first >&2; echo 'the archive is cut short' >&2; exit 3");
	start(&n);
	assert_code(lsp_child_finish(n.child, ERR), LSP_E_FAILED);
	assert_string_equal(ERR->message, "unpack exited with status 3: the archive is cut short");
	assert_int_equal(lsp_child_exit_status(n.child), 3);
	nursery_done(&n);
}

static void the_signal_that_killed_it_is_the_error(void **state)
{
	struct nursery n;
	nursery_init(&n, "kill -SEGV $$");
	start(&n);
	assert_code(lsp_child_finish(n.child, ERR), LSP_E_FAILED);
	assert_string_equal(ERR->message, "unpack was killed by signal 11 (Segmentation fault)");
	assert_int_equal(lsp_child_exit_status(n.child), 128 + SIGSEGV);
	nursery_done(&n);
}

static void a_program_that_is_not_there_is_an_error_of_the_start(void **state)
{
	struct nursery n;
	nursery_init(&n, "");
	n.argv[0] = "lanspread-no-such-program";
	assert_code(lsp_child_start(n.runtime.tasks, "unpack", &n.options, &n.child, ERR),
		LSP_E_NOT_FOUND);
	assert_non_null(strstr(ERR->message, "lanspread-no-such-program"));
	n.argv[0] = "/nowhere/at/all";
	assert_code(lsp_child_start(n.runtime.tasks, "unpack", &n.options, &n.child, ERR),
		LSP_E_NOT_FOUND);
	n.argv[0] = "/dev/null";
	assert_code(lsp_child_start(n.runtime.tasks, "unpack", &n.options, &n.child, ERR),
		LSP_E_DENIED);
	assert_string_equal(ERR->message, "cannot run \"/dev/null\": Permission denied");
	nursery_done(&n);
}

static void at_its_deadline_it_gets_sigterm_and_after_the_grace_sigkill(void **state)
{
	struct nursery n;
	nursery_init(&n, "trap 'echo term' TERM; echo ready; while :; do read x || :; done");
	n.options.input = LSP_CHILD_PIPE;
	n.options.deadline = lsp_time_add(lsp_now(&n.clock.clock), 30 * LSP_SECOND);
	n.options.grace = 5 * LSP_SECOND;
	start(&n);
	assert_string_equal(next_line(&n), "ready");
	lsp_fake_clock_advance(&n.clock, 30 * LSP_SECOND);
	assert_string_equal(next_line(&n), "term");
	assert_int_equal(lsp_child_exit_status(n.child), -1);
	lsp_fake_clock_advance(&n.clock, 5 * LSP_SECOND);
	assert_null(next_line(&n));
	assert_code(lsp_child_wait(n.child, NULL, LSP_TIME_NEVER, ERR), LSP_E_TIMEOUT);
	assert_string_equal(ERR->message, "unpack did not end before its deadline and was stopped");
	assert_int_equal(lsp_child_exit_status(n.child), 128 + SIGKILL);
	nursery_done(&n);
}

static void a_cancelled_token_ends_it_though_nobody_is_in_a_call(void **state)
{
	struct nursery n;
	_cleanup_cancel_ struct lsp_cancel *token = NULL;
	assert_ok(lsp_cancel_new(NULL, &token, ERR));
	nursery_init(&n, "echo ready; exec sleep 1000");
	n.options.token = token;
	start(&n);
	assert_string_equal(next_line(&n), "ready");
	lsp_cancel_request(token, LSP_CANCEL_USER, "the user has changed their mind");
	while (lsp_child_exit_status(n.child) < 0)
		sched_yield();
	assert_int_equal(lsp_child_exit_status(n.child), 128 + SIGTERM);
	assert_code(lsp_child_finish(n.child, ERR), LSP_E_CANCELLED);
	assert_string_equal(ERR->message, "cancelled: the user has changed their mind");
	nursery_done(&n);
}

static void the_shutdown_token_ends_it_where_it_has_none_of_its_own(void **state)
{
	struct nursery n;
	nursery_init(&n, "exec sleep 1000");
	start(&n);
	lsp_cancel_request(n.runtime.root, LSP_CANCEL_USER, NULL);
	assert_code(lsp_child_finish(n.child, ERR), LSP_E_CANCELLED);
	nursery_done(&n);
}

static void a_stopped_child_can_be_ended(void **state)
{
	struct nursery n;
	nursery_init(&n, "echo ready; kill -STOP $$; exec sleep 1000");
	start(&n);
	assert_string_equal(next_line(&n), "ready");
	lsp_child_terminate(n.child);
	assert_code(lsp_child_finish(n.child, ERR), LSP_E_CANCELLED);
	nursery_done(&n);
}

static void a_call_that_is_cancelled_or_late_leaves_the_child_alone(void **state)
{
	struct nursery n;
	_cleanup_cancel_ struct lsp_cancel *token = NULL;
	char bytes[8];
	size_t got;
	assert_ok(lsp_cancel_new(NULL, &token, ERR));
	nursery_init(&n, "read x; echo $x");
	n.options.input = LSP_CHILD_PIPE;
	start(&n);
	assert_code(lsp_child_read(n.child, bytes, 8, token, lsp_now(&n.clock.clock), &got, ERR),
		LSP_E_TIMEOUT);
	lsp_cancel_request(token, LSP_CANCEL_USER, NULL);
	assert_code(lsp_child_read(n.child, bytes, 8, token, LSP_TIME_NEVER, &got, ERR),
		LSP_E_CANCELLED);
	assert_code(lsp_child_wait(n.child, token, LSP_TIME_NEVER, ERR), LSP_E_CANCELLED);
	assert_ok(lsp_child_write(n.child, "alive\n", 6, NULL, LSP_TIME_NEVER, ERR));
	assert_string_equal(next_line(&n), "alive");
	assert_ok(lsp_child_finish(n.child, ERR));
	nursery_done(&n);
}

static void a_cancelled_token_starts_nothing(void **state)
{
	struct nursery n;
	nursery_init(&n, "exec sleep 1000");
	lsp_cancel_request(n.runtime.root, LSP_CANCEL_USER, NULL);
	assert_code(lsp_child_start(n.runtime.tasks, "unpack", &n.options, &n.child, ERR),
		LSP_E_CANCELLED);
	nursery_done(&n);
}

static void an_interrupted_watcher_kills_and_reaps_its_child(void **state)
{
	struct nursery n;
	nursery_init(&n, "trap '' TERM; echo ready; exec sleep 1000");
	_cleanup_cancel_ struct lsp_cancel *own = NULL;
	assert_ok(lsp_cancel_new(NULL, &own, ERR));
	n.options.token = own;
	start(&n);
	assert_string_equal(next_line(&n), "ready");
	lsp_log_set_level(LSP_LOG_ERROR);
	assert_code(lsp_tasks_join_all(n.runtime.tasks, lsp_now(&n.clock.clock), NULL, ERR),
		LSP_E_TIMEOUT);
	lsp_log_set_level(LSP_LOG_INFO);
	assert_code(lsp_child_wait(n.child, NULL, LSP_TIME_NEVER, ERR), LSP_E_CANCELLED);
	assert_int_equal(lsp_child_exit_status(n.child), 128 + SIGKILL);
	nursery_done(&n);
}

/* ---- Nothing is left behind -------------------------------------------------------------- */

static void freeing_the_handle_kills_and_reaps_it(void **state)
{
	struct nursery n;
	nursery_init(&n, "trap '' TERM; echo ready; exec sleep 1000");
	start(&n);
	assert_string_equal(next_line(&n), "ready");
	pid_t pid = lsp_child_pid(n.child);
	lsp_child_free(TAKE_PTR(n.child));
	nursery_done(&n);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

/* The test is a subreaper: it inherits and can await the orphans. */
static int await_orphan(pid_t pid)
{
	int status = 0;
	pid_t got;
	do {
		got = waitpid(pid, &status, 0);
	} while (got < 0 && errno == EINTR);
	assert_int_equal(got, pid);
	assert_true(WIFSIGNALED(status));
	return WTERMSIG(status);
}

static void what_it_started_and_left_behind_is_killed(void **state)
{
	struct nursery n;
	nursery_init(&n, "sleep 1000 >/dev/null 2>&1 & echo $!");
	start(&n);
	pid_t orphan = (pid_t)atoi(next_line(&n));
	assert_true(orphan > 0);
	assert_ok(lsp_child_finish(n.child, ERR));
	assert_int_equal(await_orphan(orphan), SIGKILL);
	nursery_done(&n);
}

/* In a process of its own: starts a child, tells its id, and never comes back. */
static void be_a_daemon(int fd)
{
	struct nursery n;
	nursery_init(&n, "exec sleep 1000");
	start(&n);
	pid_t pid = lsp_child_pid(n.child);
	(void)!write(fd, &pid, sizeof pid);
	for (;;)
		pause();
}

static void no_child_outlives_a_killed_daemon(void **state)
{
	int ends[2];
	pid_t child = 0;
	assert_int_equal(pipe(ends), 0);
	pid_t daemon = fork();
	if (daemon == 0)
		be_a_daemon(ends[1]);
	close(ends[1]);
	assert_int_equal(read(ends[0], &child, sizeof child), sizeof child);
	close(ends[0]);
	assert_int_equal(kill(child, 0), 0);
	kill(daemon, SIGKILL);
	assert_int_equal(await_orphan(daemon), SIGKILL);
	assert_int_equal(await_orphan(child), SIGKILL);
}

/* ---- What it gets ------------------------------------------------------------------------ */

static void it_gets_its_descriptors_and_no_others(void **state)
{
	struct nursery n;
	int ends[2], passed[2], leaked = open("/dev/null", O_RDONLY); /* not O_CLOEXEC */
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "through 3\n", 10), 10);
	close(ends[1]);
	nursery_init(&n, "for f in /proc/$$/fd/*; do echo ${f##*/}; done; cat <&3");
	passed[0] = ends[0];
	passed[1] = leaked;
	n.options.fds = passed;
	n.options.fd_count = 1;
	start(&n);
	close(ends[0]);
	/* The fifth is the shell's own, for reading that folder. */
	for (int i = 0; i <= 4; i++) {
		char number[4];
		snprintf(number, sizeof number, "%d", i);
		assert_string_equal(next_line(&n), number);
	}
	assert_string_equal(next_line(&n), "through 3");
	assert_null(next_line(&n));
	assert_ok(lsp_child_finish(n.child, ERR));
	close(leaked);
	nursery_done(&n);
}

static void too_many_descriptors_are_refused(void **state)
{
	struct nursery n;
	int fds[LSP_CHILD_FDS_MAX + 1] = {0};
	nursery_init(&n, "exit 0");
	n.options.fds = fds;
	n.options.fd_count = LSP_ARRAY_SIZE(fds);
	assert_code(lsp_child_start(n.runtime.tasks, "unpack", &n.options, &n.child, ERR),
		LSP_E_INVALID);
	nursery_done(&n);
}

static void it_has_default_signals_and_a_group_of_its_own(void **state)
{
	struct nursery n;
	signal(SIGPIPE, SIG_IGN);
	/* Read by the shell itself: while it starts another program it may block all signals. */
	nursery_init(&n, "while read -r name value; do case $name in SigBlk:|SigIgn:) echo $value; "
			 "esac; done </proc/$$/status; cut -d' ' -f5 /proc/$$/stat; echo $$");
	start(&n);
	signal(SIGPIPE, SIG_DFL);
	assert_string_equal(next_line(&n), "0000000000000000");
	assert_string_equal(next_line(&n), "0000000000000000");
	char group[32];
	snprintf(group, sizeof group, "%s", next_line(&n));
	assert_string_equal(next_line(&n), group);
	assert_ok(lsp_child_finish(n.child, ERR));
	nursery_done(&n);
}

static void its_environment_can_be_given(void **state)
{
	struct nursery n;
	const char *environment[] = {"GAME=doom", NULL};
	nursery_init(&n, "echo \"$GAME$HOME\"");
	n.options.environment = environment;
	start(&n);
	assert_string_equal(next_line(&n), "doom");
	assert_ok(lsp_child_finish(n.child, ERR));
	nursery_done(&n);
}

static void twenty_children_live_side_by_side(void **state)
{
	struct nursery n;
	struct lsp_child *children[20] = {NULL};
	nursery_init(&n, "read x; echo $x");
	n.options.input = LSP_CHILD_PIPE;
	for (int i = 0; i < 20; i++)
		assert_ok(
			lsp_child_start(n.runtime.tasks, "unpack", &n.options, &children[i], ERR));
	for (int i = 0; i < 20; i++) {
		char number[8];
		const char *line = NULL;
		int size = snprintf(number, sizeof number, "%d\n", i);
		assert_ok(lsp_child_write(
			children[i], number, (size_t)size, NULL, LSP_TIME_NEVER, ERR));
		assert_int_equal(
			lsp_child_read_line(children[i], NULL, LSP_TIME_NEVER, &line, ERR), 1);
		assert_int_equal(atoi(line), i);
		assert_ok(lsp_child_finish(children[i], ERR));
		lsp_child_free(children[i]);
	}
	nursery_done(&n);
}

static int end_at_once(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	return 0;
}

static size_t open_descriptors(void)
{
	size_t count = 0;
	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Takes all descriptors there are, but for `spare` of them. */
static void leave_spare(int taken[256], size_t spare)
{
	size_t count = 0;
	int fd;
	while (count < 255 && (fd = dup(0)) >= 0)
		taken[count++] = fd;
	while (spare-- && count)
		close(taken[--count]);
	taken[count] = -1;
}

static void with_too_few_descriptors_it_does_not_start_and_leaves_none_open(void **state)
{
	struct rlimit before, few = {100, 100};
	struct nursery n;
	int r = -1;
	nursery_init(&n, "echo alive");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	size_t open_before = open_descriptors(), spare;
	for (spare = 0; r < 0 && spare < 40; spare++) {
		int taken[256];
		struct lsp_error e = {0};
		leave_spare(taken, spare);
		r = lsp_child_start(n.runtime.tasks, "unpack", &n.options, &n.child, &e);
		for (int i = 0; taken[i] >= 0; i++)
			close(taken[i]);
		if (r < 0)
			assert_true(e.message[0]);
		/* The next thread that ends joins the watcher, and what that had is closed. */
		while (r < 0 && lsp_tasks_count(n.runtime.tasks))
			sched_yield();
		if (r < 0)
			assert_ok(lsp_tasks_spawn(n.runtime.tasks, "next", LSP_TASK_RPC,
				end_at_once, NULL, NULL, ERR));
		while (r < 0 && open_descriptors() != open_before)
			sched_yield();
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(spare > 5);
	assert_int_equal(r, 0);
	assert_string_equal(next_line(&n), "alive");
	assert_ok(lsp_child_finish(n.child, ERR));
	nursery_done(&n);
}

static void a_child_whose_end_the_system_keeps_to_itself_has_failed(void **state)
{
	struct nursery n;
	signal(SIGCHLD, SIG_IGN);
	nursery_init(&n, "read x");
	n.options.input = LSP_CHILD_PIPE; /* it ends when this is closed */
	start(&n);
	assert_code(lsp_child_finish(n.child, ERR), LSP_E_FAILED);
	assert_string_equal(ERR->message, "unpack has ended, and the system does not say how");
	signal(SIGCHLD, SIG_DFL);
	nursery_done(&n);
}

int main(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_child_outlives_a_killed_daemon),
		cmocka_unit_test(its_output_is_read_line_by_line_to_the_end),
		cmocka_unit_test(its_output_is_read_as_bytes),
		cmocka_unit_test(its_input_is_written_and_closed),
		cmocka_unit_test(a_child_that_reads_no_more_is_an_error_and_no_signal),
		cmocka_unit_test(a_line_without_an_end_is_an_error),
		cmocka_unit_test(what_it_says_on_stderr_is_logged_under_its_name_and_bounded),
		cmocka_unit_test(its_exit_status_and_last_words_are_the_error),
		cmocka_unit_test(the_signal_that_killed_it_is_the_error),
		cmocka_unit_test(a_program_that_is_not_there_is_an_error_of_the_start),
		cmocka_unit_test(at_its_deadline_it_gets_sigterm_and_after_the_grace_sigkill),
		cmocka_unit_test(a_cancelled_token_ends_it_though_nobody_is_in_a_call),
		cmocka_unit_test(the_shutdown_token_ends_it_where_it_has_none_of_its_own),
		cmocka_unit_test(a_stopped_child_can_be_ended),
		cmocka_unit_test(a_call_that_is_cancelled_or_late_leaves_the_child_alone),
		cmocka_unit_test(a_cancelled_token_starts_nothing),
		cmocka_unit_test(an_interrupted_watcher_kills_and_reaps_its_child),
		cmocka_unit_test(freeing_the_handle_kills_and_reaps_it),
		cmocka_unit_test(what_it_started_and_left_behind_is_killed),
		cmocka_unit_test(it_gets_its_descriptors_and_no_others),
		cmocka_unit_test(too_many_descriptors_are_refused),
		cmocka_unit_test(it_has_default_signals_and_a_group_of_its_own),
		cmocka_unit_test(its_environment_can_be_given),
		cmocka_unit_test(twenty_children_live_side_by_side),
		cmocka_unit_test(with_too_few_descriptors_it_does_not_start_and_leaves_none_open),
		cmocka_unit_test(a_child_whose_end_the_system_keeps_to_itself_has_failed),
	};
	return cmocka_run_group_tests_name("task/child", tests, NULL, NULL);
}
