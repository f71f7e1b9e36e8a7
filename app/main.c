/* The program's edge: signals become a descriptor, the terminal is asked for its width. */
#include "cli.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/*
 * What was started without one of the three standard descriptors must not get a database or a
 * socket in its place, into which messages would go. Where it wants to write, that fails.
 */
static void fill_standard_descriptors(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static int watch_signals(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	/* Before any thread is made, so that all of them inherit it. */
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
	struct winsize size = {0};
	fill_standard_descriptors();
	struct cli cli = {
		.out = stdout,
		.errors = stderr,
		.terminal = isatty(STDOUT_FILENO) != 0,
		.interrupt_fd = watch_signals(),
		.program = "/proc/self/exe",
	};
	setlocale(LC_CTYPE, "");
	if (cli.terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		cli.columns = size.ws_col;
	return cli_main(&cli, argc, argv);
}
