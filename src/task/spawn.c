/*
 * Between vfork and exec the child runs in our memory while our thread is suspended: it may only
 * make system calls and write to its own stack. So everything that can be prepared is prepared
 * before: the program's path, descriptors moved out of the way of the numbers they shall become, a
 * pipe for the errno of a failed exec (which closes by itself when exec succeeds).
 */
#include "task/spawn.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FDS_MAX 8
#define FD_FLOOR (3 + FDS_MAX) /* above every number that the child assigns */

extern char **environ;

struct plan {
	const char *path;
	char *const *argv;
	char *const *environment;
	int fds[3 + FDS_MAX]; /* what becomes 0, 1, 2, 3, …; −1: stays as it is */
	size_t fd_count;
	int report; /* the pipe for errno */
	pid_t parent;
};

static void plan_done(struct plan *plan)
{
	for (size_t i = 0; i < plan->fd_count; i++)
		lsp_cleanup_close(&plan->fds[i]);
}

/* ---- In the child ------------------------------------------------------------------------ */

static void reset_signals(void)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	for (int number = 1; number < NSIG; number++)
		if (number != SIGKILL && number != SIGSTOP)
			sigaction(number, &standard, NULL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_above(unsigned first, int but)
{
	/* `but` is above all of them, so two ranges do. */
	if (syscall(SYS_close_range, first, (unsigned)but - 1, 0) == 0 &&
		syscall(SYS_close_range, (unsigned)but + 1, ~0u, 0) == 0)
		return;
	long limit = sysconf(_SC_OPEN_MAX);
	for (long fd = (long)first; fd < (limit < 0 ? 1024 : limit); fd++)
		if (fd != but)
			close((int)fd);
}

static void give_up(const struct plan *plan)
{
	int sys_errno = errno;
	(void)!write(plan->report, &sys_errno, sizeof sys_errno);
	_exit(127);
}

static void run_child(const struct plan *plan)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != plan->parent) /* died in between: the signal will not come */
		_exit(127);
	for (size_t i = 0; i < plan->fd_count; i++)
		if (plan->fds[i] >= 0 && dup2(plan->fds[i], (int)i) < 0)
			give_up(plan);
	close_above((unsigned)plan->fd_count, plan->report);
	reset_signals();
	execve(plan->path, plan->argv, plan->environment);
	give_up(plan);
}

/* ---- In the parent ----------------------------------------------------------------------- */

static int move_fds(struct plan *plan, const struct lsp_spawn *spawn, struct lsp_error *err)
{
	for (size_t i = 0; i < 3 + spawn->fd_count; i++) {
		int fd = i < 3 ? spawn->streams[i] : spawn->fds[i - 3];
		plan->fds[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_FLOOR);
		plan->fd_count = i + 1;
		if (fd >= 0 && plan->fds[i] < 0)
			return lsp_error_errno(
				err, "task", errno, "cannot pass a descriptor to a child");
	}
	return 0;
}

/* The first of PATH's folders that has it as an executable; a name with a slash is a path. */
static int find_program(const char *name, char **ret_path, struct lsp_error *err)
{
	const char *folders = getenv("PATH");
	if (strchr(name, '/'))
		folders = NULL;
	else if (!folders)
		folders = "/usr/local/bin:/usr/bin:/bin";
	_cleanup_free_ char *path = folders ? NULL : strdup(name);
	while (folders) {
		const char *end = strchrnul(folders, ':');
		free(path);
		path = lsp_text_format("%.*s%s%s", (int)(end - folders), folders,
			end == folders ? "./" : "/", name);
		if (!path || access(path, X_OK) == 0)
			break;
		if (!*end)
			return lsp_error_set(err, "task", LSP_E_NOT_FOUND,
				"there is no program \"%s\" on this machine", name);
		folders = end + 1;
	}
	if (!path)
		return lsp_error_no_memory(err, "task");
	*ret_path = TAKE_PTR(path);
	return 0;
}

/* vfork's child must not return from the function that called it, hence one of its own. */
static __attribute__((noinline)) pid_t fork_and_run(const struct plan *plan)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	pid_t pid = fork(); /* their run times do not follow a vfork */
#else
	pid_t pid = vfork();
#endif
	if (pid == 0)
		run_child(plan);
	return pid;
}

/* 0, or the errno that exec failed with. */
static int read_report(int fd)
{
	int sys_errno = 0;
	ssize_t got;
	do {
		got = read(fd, &sys_errno, sizeof sys_errno);
	} while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof sys_errno ? sys_errno : 0;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int fork_child(struct plan *plan, pid_t *ret_pid, int *ret_pidfd, struct lsp_error *err)
{
	int report[2];
	if (pipe2(report, O_CLOEXEC) < 0)
		return lsp_error_errno(err, "task", errno, "cannot make a pipe");
	_cleanup_close_ int reads = report[0];
	_cleanup_close_ int low = report[1];
	_cleanup_close_ int writes = fcntl(low, F_DUPFD_CLOEXEC, FD_FLOOR);
	if (writes < 0)
		return lsp_error_errno(err, "task", errno, "cannot make a pipe");
	close(TAKE_FD(low));
	sigset_t all, before;
	sigfillset(&all);
	plan->report = writes;
	plan->parent = getpid();
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork_and_run(plan);
	int sys_errno = pid < 0 ? errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return lsp_error_errno(err, "task", sys_errno, "cannot fork");
	close(TAKE_FD(writes));
	sys_errno = read_report(reads);
	_cleanup_close_ int pidfd = sys_errno ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (sys_errno || pidfd < 0) {
		int code = sys_errno ? sys_errno : errno;
		if (code != ESRCH) /* it is there, or at least not reaped by somebody else */
			kill(pid, SIGKILL);
		reap(pid);
		return lsp_error_errno(err, "task", code, "cannot run \"%s\"", plan->path);
	}
	*ret_pid = pid;
	*ret_pidfd = TAKE_FD(pidfd);
	return 0;
}

int lsp_spawn(const struct lsp_spawn *spawn, pid_t *ret_pid, int *ret_pidfd, struct lsp_error *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_(plan_done) struct plan plan = {0};
	if (spawn->fd_count > FDS_MAX)
		return lsp_error_set(err, "task", LSP_E_INVALID,
			"a child can be passed %d descriptors, not %zu", FDS_MAX, spawn->fd_count);
	int r = find_program(spawn->argv[0], &path, err);
	if (r == 0)
		r = move_fds(&plan, spawn, err);
	if (r < 0)
		return r;
	plan.path = path;
	plan.argv = (char *const *)spawn->argv;
	plan.environment = spawn->environment ? (char *const *)spawn->environment : environ;
	return fork_child(&plan, ret_pid, ret_pidfd, err);
}
