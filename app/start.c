#include "start.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void to_descriptor(posix_spawn_file_actions_t *actions, int from, int to)
{
	if (from >= 0)
		posix_spawn_file_actions_adddup2(actions, from, to);
	else
		posix_spawn_file_actions_addopen(actions, to, "/dev/null", O_RDWR, 0);
}

int cli_start(
	const char *const argv[], int out_fd, int error_fd, pid_t *ret_pid, struct lsp_error *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, usual;
	pid_t pid;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	sigemptyset(&none);
	sigfillset(&usual);
	to_descriptor(&actions, -1, 0);
	to_descriptor(&actions, out_fd, 1);
	to_descriptor(&actions, error_fd, 2);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &usual);
	posix_spawnattr_setflags(
		&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	int failed =
		posix_spawnp(&pid, argv[0], &actions, &attributes, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (failed)
		return lsp_error_errno(err, "app", failed, "cannot start %s", argv[0]);
	*ret_pid = pid;
	return 0;
}

int cli_become(const char *const argv[], const char *cwd, struct lsp_error *err)
{
	sigset_t none;
	if (cwd && chdir(cwd) < 0)
		return lsp_error_errno(err, "app", errno, "cannot go to %s", cwd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(argv[0], (char *const *)argv);
	return lsp_error_errno(err, "app", errno, "cannot start %s", argv[0]);
}

int cli_open_in_desktop(const char *link, struct lsp_error *err)
{
	const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
	const char *argv[] = {"xdg-open", link, NULL};
	pid_t pid;
	if (!(x11 && x11[0]) && !(wayland && wayland[0]))
		return lsp_error_set(err, "app", LSP_E_UNSUPPORTED, "there is no desktop here");
	int r = cli_start(argv, -1, -1, &pid, err);
	if (r == -LSP_E_NOT_FOUND)
		return lsp_error_set(err, "app", LSP_E_UNSUPPORTED,
			"xdg-open is not installed (package xdg-utils)");
	return r;
}
