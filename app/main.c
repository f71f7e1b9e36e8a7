/* The program's edge: signals become a descriptor, the terminal is asked for its width. */
#include "cli.h"

#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

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
