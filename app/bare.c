/* Without a command: a peer, if none runs here, and its page. And `open`, the page alone. */
#include "commands.h"

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "control/path.h"
#include "start.h"
#include "wire/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define START_PATIENCE (60 * LSP_SECOND)
#define READY_LINE_MAX 65536
#define TOKEN_MAX 4096

static int show_page(struct cli *cli, const char *link)
{
	struct lsp_error err = {0};
	if (cli->json) {
		_cleanup_json_ json_t *document = json_pack("{s:s}", "page", link);
		cli_print_json(cli, document);
	} else {
		fprintf(cli->out, "%s\n", link);
		fflush(cli->out);
	}
	if (cli_open_in_desktop(link, &err) < 0)
		cli_note(cli, "lanspread: open that link in a browser (%s)", err.message);
	return CLI_DONE;
}

/* ---- open ---- */

/*
 * The start link: the address from the peer, the token from its state folder, which only its user
 * can read.
 */
static int find_link(const json_t *status, char **ret_link, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer token = {0};
	_cleanup_free_ char *path = NULL, *link = NULL;
	const char *address = cli_text(status, "http");
	if (!address[0])
		return lsp_error_set(err, "app", LSP_E_NOT_FOUND,
			"this peer serves no page; it was started with --http off");
	path = lsp_text_format("%s/page.token", cli_text(status, "state_dir"));
	if (!path)
		return lsp_error_no_memory(err, "app");
	int r = lsp_fs_read_file(path, TOKEN_MAX, &token, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "the page's token");
	size_t length = strcspn((const char *)token.data, "\r\n");
	link = lsp_text_format("%s%s?token=%.*s", address,
		lsp_text_ends_with(address, "/") ? "" : "/", (int)length, (const char *)token.data);
	if (!link)
		return lsp_error_no_memory(err, "app");
	*ret_link = TAKE_PTR(link);
	return 0;
}

int cli_run_open(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *status = NULL;
	_cleanup_free_ char *link = NULL;
	struct lsp_error err = {0};
	int code = cli_call_or_fail(cli, cli_command_new("status"), &status);
	if (code != CLI_DONE)
		return code;
	if (find_link(status, &link, &err) < 0)
		return cli_fail(cli, &err);
	return show_page(cli, link);
}

/* ---- Starting a peer ---- */

/* The first line of a pipe, without its newline. */
static int read_line(int fd, struct lsp_buffer *line, struct lsp_error *err)
{
	lsp_time deadline = lsp_time_add(lsp_now(lsp_clock_system), START_PATIENCE);
	for (;;) {
		struct pollfd fds = {.fd = fd, .events = POLLIN};
		uint64_t left = lsp_time_left(lsp_now(lsp_clock_system), deadline);
		if (left == 0)
			return lsp_error_set(err, "app", LSP_E_TIMEOUT,
				"the peer did not get ready in time; `lanspread run` shows why");
		if (poll(&fds, 1, (int)(left / LSP_MILLISECOND) + 1) < 0 && errno != EINTR)
			return lsp_error_errno(err, "app", errno, "cannot wait for the peer");
		if (!fds.revents)
			continue;
		int r = lsp_buffer_reserve(line, 4096, err);
		if (r < 0)
			return r;
		ssize_t got = read(fd, line->data + line->size, 4095);
		if (got <= 0 || line->size + (size_t)got > READY_LINE_MAX)
			return lsp_error_set(err, "app", LSP_E_FAILED,
				"the peer did not start; `lanspread run` shows why");
		line->size += (size_t)got;
		line->data[line->size] = '\0';
		char *end = memchr(line->data, '\n', line->size);
		if (end) {
			*end = '\0';
			return 0;
		}
	}
}

/* A peer in the background, its log in the state folder; *ret_ready is what it said when ready. */
static int start_peer(struct cli *cli, json_t **ret_ready, char **ret_log, struct lsp_error *err)
{
	_cleanup_free_ char *state = NULL, *log = NULL;
	_cleanup_close_ int log_fd = -1, read_fd = -1, write_fd = -1;
	_cleanup_buffer_ struct lsp_buffer line = {0};
	const char *argv[] = {cli->program, "run", "--json", "--control", cli->control, NULL};
	int fds[2];
	pid_t pid;
	int r = lsp_control_state_dir(&state, err);
	if (r == 0)
		r = lsp_fs_make_dirs(state, true, err);
	if (r < 0)
		return r;
	log = lsp_text_format("%s/lanspread.log", state);
	if (!log)
		return lsp_error_no_memory(err, "app");
	log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return lsp_error_errno(err, "app", errno, "cannot write %s", log);
	read_fd = fds[0];
	write_fd = fds[1];
	*ret_log = TAKE_PTR(log);
	r = cli_start(argv, write_fd, log_fd, &pid, err);
	if (r < 0)
		return r;
	close(TAKE_FD(write_fd));
	r = read_line(read_fd, &line, err);
	if (r < 0)
		return r;
	return lsp_json_parse((const char *)line.data, strlen((const char *)line.data),
		&lsp_json_limits_local, ret_ready, err);
}

static int start_and_open(struct cli *cli)
{
	_cleanup_json_ json_t *ready = NULL;
	_cleanup_free_ char *log = NULL;
	struct lsp_error err = {0};
	if (start_peer(cli, &ready, &log, &err) < 0) {
		if (log)
			cli_note(cli, "lanspread: its log is %s", log);
		return cli_fail(cli, &err);
	}
	cli_note(cli, "lanspread: a peer runs now, its log is %s; 'lanspread stop' stops it", log);
	if (!cli_text(ready, "page")[0]) {
		cli_note(cli, "lanspread: it serves no page");
		return CLI_DONE;
	}
	return show_page(cli, cli_text(ready, "page"));
}

int cli_run_bare(struct cli *cli, const struct cli_arguments *arguments)
{
	struct lsp_error err = {0};
	int r = lsp_control_connect(cli->control, &cli->connection, &err);
	if (r == -LSP_E_NOT_FOUND)
		return start_and_open(cli);
	if (r < 0)
		return cli_fail(cli, &err);
	lsp_control_interrupted_by(cli->connection, cli->interrupt_fd);
	return cli_run_open(cli, arguments);
}
