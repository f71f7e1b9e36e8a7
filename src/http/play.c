/*
 * POST /api/games/{id}/play: starts an installed game in the peer's own session, for a person at
 * that very machine (the route is for loopback clients alone). /open-folder shows the game's folder
 * in the file manager the same way. What to run is the peer's to say (play_info, folder_info); it
 * is started detached, since a game outlives the page and may outlive the peer.
 */
#include "http/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARGUMENTS 64

static char **argv_of(json_t *list)
{
	size_t count = json_array_size(list);
	if (count == 0 || count > MAX_ARGUMENTS)
		return NULL;
	char **argv = calloc(count + 1, sizeof *argv);
	for (size_t i = 0; argv && i < count; i++) {
		argv[i] = (char *)json_string_value(json_array_get(list, i));
		if (!argv[i]) {
			free(argv);
			return NULL;
		}
	}
	return argv;
}

/* In the grandchild: only calls that are safe after fork. Tells errno through the pipe. */
static _Noreturn void become(char *const *argv, const char *folder, int pipe_fd)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (chdir(folder) == 0 && null >= 0 && dup2(null, STDIN_FILENO) >= 0)
		execvp(argv[0], argv);
	int error = errno;
	ssize_t written = write(pipe_fd, &error, sizeof error);
	_exit(written == sizeof error ? 127 : 126);
}

/* Twice forked, so that nobody here has to wait for the game. Returns 0 or an errno. */
static int start_detached(char *const *argv, const char *folder)
{
	int fds[2], error = 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return errno;
	pid_t child = fork();
	if (child < 0) {
		error = errno;
		close(fds[0]);
		close(fds[1]);
		return error;
	}
	if (child == 0) {
		setsid();
		pid_t grandchild = fork();
		if (grandchild == 0)
			become(argv, folder, fds[1]);
		_exit(grandchild < 0);
	}
	close(fds[1]);
	int status = 0;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	ssize_t got = read(fds[0], &error, sizeof error);
	close(fds[0]);
	if (got == sizeof error)
		return error;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EAGAIN;
}

static void play_answered(void *argument, const struct lsp_http_answer *answer)
{
	struct lsp_http_request *request = argument;
	request->call = NULL;
	if (!answer->ok) {
		lsp_http_reply_refusal(request, answer->value);
		return;
	}
	const char *folder = json_string_value(json_object_get(answer->value, "cwd"));
	_cleanup_free_ char **argv = argv_of(json_object_get(answer->value, "argv"));
	if (!folder || !argv) {
		lsp_http_reply_error(request, MHD_HTTP_BAD_GATEWAY, "protocol", "peer",
			"the peer did not say how to start this game");
		return;
	}
	int error = start_detached(argv, folder);
	if (error)
		lsp_http_reply_error(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "failed", "game",
			"%s could not be started: %s", argv[0], strerror(error));
	else
		lsp_http_reply_json(request, MHD_HTTP_OK,
			json_pack("{s:b, s:O}", "started", 1, "argv",
				json_object_get(answer->value, "argv")));
}

void lsp_http_run_play(struct lsp_http_request *request)
{
	lsp_http_request_call(request,
		json_pack("{s:s, s:s}", "command", request->route->command, "game",
			request->parameters[0]),
		play_answered);
}
