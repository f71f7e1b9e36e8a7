#include "task/child.h"

#include "base/log.h"
#include "task/answer.h"
#include "task/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define STDERR_LINE_MAX 256
#define STDERR_LINES_MAX 100 /* that are logged; a child may not fill the log */

struct lsp_child {
	/* Immutable once it has started. */
	struct lsp_tasks *tasks;
	char name[LSP_TASK_NAME_MAX];
	struct lsp_cancel *stop; /* below the options' token */
	lsp_time deadline;
	uint64_t grace;
	bool quiet;
	pid_t pid;

	atomic_uint references; /* the handle's and the watcher's */
	atomic_bool unwanted;   /* the handle is gone */

	/* Of the thread that writes, of the thread that reads. */
	int input, output;
	struct lsp_buffer line;
	size_t line_used; /* of `line`, by the line that was given last */

	/* Of the watcher. */
	const struct lsp_spawn *spawn; /* the starter's, until `started` */
	struct lsp_answer started;
	int pidfd, messages;
	char message[STDERR_LINE_MAX], last_message[STDERR_LINE_MAX];
	size_t message_size;
	unsigned message_count;
	int ended_by; /* 0; LSP_E_CANCELLED, LSP_E_TIMEOUT; another: it could not be watched */

	pthread_mutex_t lock; /* guards: */
	bool reaped;          /* its process id may be somebody else's */
	int exit_status;

	struct lsp_answer ended;
};

static void unref(struct lsp_child *child)
{
	if (atomic_fetch_sub(&child->references, 1) != 1)
		return;
	lsp_cleanup_close(&child->input);
	lsp_cleanup_close(&child->output);
	lsp_cleanup_close(&child->messages);
	lsp_cleanup_close(&child->pidfd);
	lsp_buffer_done(&child->line);
	lsp_cancel_unref(child->stop);
	lsp_answer_done(&child->started);
	lsp_answer_done(&child->ended);
	pthread_mutex_destroy(&child->lock);
	free(child);
}

LSP_DEFINE_CLEANUP(struct lsp_child *, unref);

static void signal_group(struct lsp_child *child, int number)
{
	pthread_mutex_lock(&child->lock);
	if (!child->reaped)
		kill(-child->pid, number);
	pthread_mutex_unlock(&child->lock);
}

/* ---- What it says on stderr -------------------------------------------------------------- */

static void end_message(struct lsp_child *child)
{
	if (!child->message_size)
		return;
	child->message[child->message_size] = '\0';
	child->message_size = 0;
	memcpy(child->last_message, child->message, sizeof child->last_message);
	if (child->quiet || ++child->message_count > STDERR_LINES_MAX)
		return;
	lsp_log_info(child->name, "%s", child->message);
	if (child->message_count == STDERR_LINES_MAX)
		lsp_log_info(child->name, "what else it says is not logged");
}

/* Reads what is there, a few kB at most. */
static void read_messages(struct lsp_child *child)
{
	char data[4096];
	ssize_t size = read(child->messages, data, sizeof data);
	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (size <= 0) {
		close(TAKE_FD(child->messages));
		return;
	}
	for (ssize_t i = 0; i < size; i++) {
		if (data[i] == '\n')
			end_message(child);
		else if (child->message_size < STDERR_LINE_MAX - 1)
			child->message[child->message_size++] = data[i];
	}
}

/* ---- The watcher ------------------------------------------------------------------------- */

/* Waits until the process has ended (0), or the token or the deadline says so. */
static int watch_until(struct lsp_child *child, struct lsp_cancel *token, lsp_time deadline)
{
	for (;;) {
		struct pollfd fds[2] = {
			{.fd = child->pidfd, .events = POLLIN},
			{.fd = child->messages, .events = POLLIN},
		};
		int r = lsp_wait_poll(fds, child->messages < 0 ? 1 : 2, token,
			lsp_tasks_clock(child->tasks), deadline, NULL);
		if (r < 0)
			return r;
		if (fds[1].revents && child->messages >= 0)
			read_messages(child);
		if (fds[0].revents)
			return 0;
	}
}

/* SIGTERM, the grace time, SIGKILL; each stage ends early when the child does. */
static void watch(struct lsp_child *child)
{
	const struct lsp_clock *clock = lsp_tasks_clock(child->tasks);
	int r = watch_until(child, child->stop, child->deadline);
	if (r == 0)
		return;
	child->ended_by = -r;
	if (!atomic_load(&child->unwanted)) {
		lsp_time grace_ends = lsp_time_add(lsp_now(clock), child->grace);
		signal_group(child, SIGTERM);
		signal_group(child, SIGCONT); /* a stopped one could not die */
		r = watch_until(child, NULL, grace_ends);
		if (r == 0)
			return;
	}
	signal_group(child, SIGKILL);
	/* The kernel ends it now; even an interrupted watcher must not leave a zombie. */
	struct lsp_cancel *interrupt = lsp_wait_interrupt();
	lsp_wait_set_interrupt(NULL);
	while (watch_until(child, NULL, LSP_TIME_NEVER) < 0)
		;
	lsp_wait_set_interrupt(interrupt);
}

static void reap(struct lsp_child *child, siginfo_t *ret_info)
{
	signal_group(child, SIGKILL); /* what it started and left behind */
	while (child->messages >= 0) {
		struct pollfd fd = {.fd = child->messages, .events = POLLIN};
		if (poll(&fd, 1, 0) <= 0)
			break;
		read_messages(child);
	}
	end_message(child);
	pthread_mutex_lock(&child->lock);
	while (waitid(P_PIDFD, (id_t)child->pidfd, ret_info, WEXITED) < 0 && errno == EINTR)
		;
	child->reaped = true;
	child->exit_status =
		ret_info->si_code == CLD_EXITED ? ret_info->si_status : 128 + ret_info->si_status;
	pthread_mutex_unlock(&child->lock);
}

/* What its end means. */
static int judge(struct lsp_child *child, const siginfo_t *info, struct lsp_error *err)
{
	const char *colon = child->last_message[0] ? ": " : "";
	if (child->ended_by == LSP_E_CANCELLED) {
		int r = lsp_cancel_check(child->stop, err);
		return r < 0 ? r
			     : lsp_error_set(err, "task", LSP_E_CANCELLED,
				       "%s was stopped: the shutdown deadline has passed",
				       child->name);
	}
	if (child->ended_by == LSP_E_TIMEOUT)
		return lsp_error_set(err, "task", LSP_E_TIMEOUT,
			"%s did not end before its deadline and was stopped%s%s", child->name,
			colon, child->last_message);
	if (child->ended_by)
		return lsp_error_set(err, "task", child->ended_by,
			"%s was stopped: it could not be watched", child->name);
	if (!info->si_pid) /* somebody set SIGCHLD to be ignored */
		return lsp_error_set(err, "task", LSP_E_FAILED,
			"%s has ended, and the system does not say how", child->name);
	if (info->si_code != CLD_EXITED)
		return lsp_error_set(err, "task", LSP_E_FAILED,
			"%s was killed by signal %d (%s)%s%s", child->name, info->si_status,
			strsignal(info->si_status), colon, child->last_message);
	if (info->si_status != 0)
		return lsp_error_set(err, "task", LSP_E_FAILED, "%s exited with status %d%s%s",
			child->name, info->si_status, colon, child->last_message);
	return 0;
}

/* The descriptors that its waits will need: there are enough now, or it does not start. */
static int open_enders(struct lsp_child *child, struct lsp_error *err)
{
	int ignored, r = lsp_cancel_fd(child->stop, &ignored, err);
	return r < 0 ? r : lsp_cancel_fd(lsp_wait_interrupt(), &ignored, err);
}

static int watcher_main(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	_cleanup_(unref_pointer) struct lsp_child *child = argument;
	struct lsp_error failure = {0};
	siginfo_t info = {0};
	int r = open_enders(child, &failure);
	if (r == 0)
		r = lsp_spawn(child->spawn, &child->pid, &child->pidfd, &failure);
	child->spawn = NULL;
	lsp_answer_complete(&child->started, r, &failure);
	if (r < 0)
		return 0; /* told to who started it */
	watch(child);
	reap(child, &info);
	r = judge(child, &info, &failure);
	if (r < 0)
		lsp_log_debug(child->name, "%s", failure.message);
	lsp_answer_complete(&child->ended, r, &failure);
	return 0;
}

/* ---- Starting ---------------------------------------------------------------------------- */

/* The child's side of one of its standard streams; our side where there is a pipe. */
static int open_stream(enum lsp_child_stream kind, bool child_reads, int *ret_theirs, int *ret_ours,
	struct lsp_error *err)
{
	int ends[2];
	if (kind == LSP_CHILD_INHERIT)
		return 0;
	if (kind == LSP_CHILD_NULL) {
		*ret_theirs = open("/dev/null", (child_reads ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
		return *ret_theirs >= 0
			       ? 0
			       : lsp_error_errno(err, "task", errno, "cannot open \"/dev/null\"");
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return lsp_error_errno(err, "task", errno, "cannot make a pipe");
	*ret_theirs = ends[!child_reads];
	*ret_ours = ends[child_reads];
	if (fcntl(*ret_ours, F_SETFL, O_NONBLOCK) < 0)
		return lsp_error_errno(err, "task", errno, "cannot make a pipe");
	return 0;
}

static int new_child(struct lsp_tasks *tasks, const char *name,
	const struct lsp_child_options *options, struct lsp_child **ret_child,
	struct lsp_error *err)
{
	struct lsp_child *child = calloc(1, sizeof *child);
	if (!child)
		return lsp_error_no_memory(err, "task");
	child->tasks = tasks;
	snprintf(child->name, sizeof child->name, "%s", name);
	child->deadline = options->deadline ? options->deadline : LSP_TIME_NEVER;
	child->grace = options->grace ? options->grace : LSP_CHILD_GRACE;
	child->quiet = options->quiet;
	child->input = child->output = child->messages = child->pidfd = -1;
	child->exit_status = -1;
	atomic_init(&child->references, 1);
	atomic_init(&child->unwanted, false);
	lsp_answer_init(&child->started);
	lsp_answer_init(&child->ended);
	pthread_mutex_init(&child->lock, NULL);
	int r = lsp_cancel_new(
		options->token ? options->token : lsp_tasks_root(tasks), &child->stop, err);
	if (r < 0) {
		unref(child);
		return r;
	}
	*ret_child = child;
	return 0;
}

struct streams {
	int theirs[3];
};

static void streams_done(struct streams *streams)
{
	for (int i = 0; i < 3; i++)
		lsp_cleanup_close(&streams->theirs[i]);
}

int lsp_child_start(struct lsp_tasks *tasks, const char *name,
	const struct lsp_child_options *options, struct lsp_child **ret_child,
	struct lsp_error *err)
{
	_cleanup_(unref_pointer) struct lsp_child *child = NULL;
	_cleanup_(streams_done) struct streams streams = {{-1, -1, -1}};
	int r = new_child(tasks, name, options, &child, err);
	if (r == 0)
		r = lsp_cancel_check(child->stop, err);
	if (r == 0)
		r = open_stream(options->input, true, &streams.theirs[0], &child->input, err);
	if (r == 0)
		r = open_stream(options->output, false, &streams.theirs[1], &child->output, err);
	if (r == 0)
		r = open_stream(LSP_CHILD_PIPE, false, &streams.theirs[2], &child->messages, err);
	if (r < 0)
		return r;
	struct lsp_spawn spawn = {options->argv, options->environment,
		{streams.theirs[0], streams.theirs[1], streams.theirs[2]}, options->fds,
		options->fd_count};
	child->spawn = &spawn;
	atomic_fetch_add(&child->references, 1);
	r = lsp_tasks_spawn(tasks, name, LSP_TASK_MAINTENANCE, watcher_main, child, NULL, err);
	if (r < 0) {
		atomic_fetch_sub(&child->references, 1);
		return r;
	}
	r = lsp_answer_settle(&child->started, err);
	if (r == 0)
		*ret_child = TAKE_PTR(child);
	return r;
}

void lsp_child_free(struct lsp_child *child)
{
	if (!child)
		return;
	if (child->input >= 0)
		close(TAKE_FD(child->input));
	if (child->output >= 0)
		close(TAKE_FD(child->output));
	if (!lsp_answer_is_complete(&child->ended)) {
		atomic_store(&child->unwanted, true);
		lsp_cancel_request(child->stop, LSP_CANCEL_USER, "nobody waits for it");
		signal_group(child, SIGKILL);
	}
	unref(child);
}

pid_t lsp_child_pid(const struct lsp_child *child)
{
	return child->pid;
}

void lsp_child_terminate(struct lsp_child *child)
{
	lsp_cancel_request(child->stop, LSP_CANCEL_USER, "it was told to end");
}

/* ---- Reading ----------------------------------------------------------------------------- */

int lsp_child_read(struct lsp_child *child, void *data, size_t size, struct lsp_cancel *token,
	lsp_time deadline, size_t *ret_read, struct lsp_error *err)
{
	assert(child->output >= 0);
	for (;;) {
		struct pollfd fd = {.fd = child->output, .events = POLLIN};
		int r = lsp_wait_poll(&fd, 1, token, lsp_tasks_clock(child->tasks), deadline, err);
		if (r < 0)
			return r;
		ssize_t got = read(child->output, data, size);
		if (got >= 0) {
			*ret_read = (size_t)got;
			return 0;
		}
		if (errno != EINTR && errno != EAGAIN)
			return lsp_error_errno(
				err, "task", errno, "cannot read from %s", child->name);
	}
}

int lsp_child_read_all(struct lsp_child *child, void *data, size_t size, struct lsp_cancel *token,
	lsp_time deadline, struct lsp_error *err)
{
	size_t done = 0, got = 1;
	while (done < size && got) {
		int r = lsp_child_read(
			child, (char *)data + done, size - done, token, deadline, &got, err);
		if (r < 0)
			return r;
		done += got;
	}
	if (done < size && done)
		return lsp_error_set(err, "task", LSP_E_PROTOCOL,
			"%s ended in the midst of a message", child->name);
	return done == size;
}

/* Gives the first line of the buffer, if there is one. */
static bool take_line(struct lsp_child *child, bool at_end, const char **ret_line)
{
	struct lsp_buffer *line = &child->line;
	char *end = line->size ? memchr(line->data, '\n', line->size) : NULL;
	if (!end && !(at_end && line->size))
		return false;
	size_t length = end ? (size_t)(end - (char *)line->data) : line->size;
	line->data[length] = '\0'; /* there is room: see lsp_child_read_line */
	child->line_used = LSP_MIN(length + 1, line->size);
	*ret_line = (char *)line->data;
	return true;
}

int lsp_child_read_line(struct lsp_child *child, struct lsp_cancel *token, lsp_time deadline,
	const char **ret_line, struct lsp_error *err)
{
	struct lsp_buffer *line = &child->line;
	lsp_buffer_consume(line, child->line_used);
	child->line_used = 0;
	for (;;) {
		if (take_line(child, false, ret_line))
			return 1;
		if (line->size > LSP_CHILD_LINE_MAX)
			return lsp_error_set(err, "task", LSP_E_TOO_LARGE,
				"%s wrote a line of more than %u bytes", child->name,
				LSP_CHILD_LINE_MAX);
		size_t got;
		int r = lsp_buffer_reserve(line, 4096, err);
		if (r == 0) /* one byte stays free for the NUL */
			r = lsp_child_read(child, line->data + line->size,
				line->capacity - line->size - 1, token, deadline, &got, err);
		if (r < 0)
			return r;
		line->size += got;
		if (got == 0)
			return take_line(child, true, ret_line);
	}
}

/* ---- Writing ----------------------------------------------------------------------------- */

/* write(2) to a pipe that may be broken, without the signal that would end the program. */
static ssize_t write_quietly(int fd, const void *data, size_t size)
{
	sigset_t broken, before, pending;
	struct timespec none = {0};
	sigemptyset(&broken);
	sigaddset(&broken, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &broken, &before);
	ssize_t put = write(fd, data, size);
	int sys_errno = put < 0 ? errno : 0;
	if (sys_errno == EPIPE && !sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&broken, NULL, &none) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = sys_errno;
	return put;
}

int lsp_child_write(struct lsp_child *child, const void *data, size_t size,
	struct lsp_cancel *token, lsp_time deadline, struct lsp_error *err)
{
	assert(child->input >= 0);
	size_t done = 0;
	while (done < size) {
		struct pollfd fd = {.fd = child->input, .events = POLLOUT};
		int r = lsp_wait_poll(&fd, 1, token, lsp_tasks_clock(child->tasks), deadline, err);
		if (r < 0)
			return r;
		ssize_t put = write_quietly(child->input, (const char *)data + done, size - done);
		if (put >= 0)
			done += (size_t)put;
		else if (errno == EPIPE)
			return lsp_error_set(
				err, "task", LSP_E_CLOSED, "%s reads no more", child->name);
		else if (errno != EINTR && errno != EAGAIN)
			return lsp_error_errno(
				err, "task", errno, "cannot write to %s", child->name);
	}
	return 0;
}

void lsp_child_close_input(struct lsp_child *child)
{
	if (child->input >= 0)
		close(TAKE_FD(child->input));
}

/* ---- The end ----------------------------------------------------------------------------- */

int lsp_child_wait(
	struct lsp_child *child, struct lsp_cancel *token, lsp_time deadline, struct lsp_error *err)
{
	return lsp_answer_wait(&child->ended, token, lsp_tasks_clock(child->tasks), deadline, err);
}

int lsp_child_finish(struct lsp_child *child, struct lsp_error *err)
{
	lsp_child_close_input(child);
	return lsp_child_wait(child, NULL, LSP_TIME_NEVER, err);
}

int lsp_child_exit_status(struct lsp_child *child)
{
	pthread_mutex_lock(&child->lock);
	int status = child->exit_status;
	pthread_mutex_unlock(&child->lock);
	return status;
}
