/*
 * `lanspread run`: the library's smallest complete user. It turns options into a struct
 * lanspread_options, says in one line when the peer is ready, and then waits for a signal or for
 * the peer to stop by itself. What made it stop becomes the exit code: 0 only when it was asked to.
 */
#include "commands.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "lanspread/lanspread.h"
#include "wire/json.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOP_PATIENCE_MS 3000 /* the library gives its own tasks 2 s and names those that stay */
#define READY_PATIENCE_MS 10000
#define WAIT_AGAIN_MS 100
#define USUAL_HTTP "127.0.0.1:47777"

static inline void cleanup_peer(struct lanspread **peer)
{
	lanspread_free(*peer);
}

static inline void cleanup_stream(struct lanspread_stream **stream)
{
	lanspread_stream_free(*stream);
}

#define _cleanup_peer_ _cleanup_(cleanup_peer)
#define _cleanup_stream_ _cleanup_(cleanup_stream)

static int fail(struct cli *cli, const struct lanspread_error *api)
{
	struct lsp_error err = {0};
	lsp_error_set(&err, "app", api->code ? api->code : LSP_E_FAILED, "%s", api->message);
	return cli_fail(cli, &err);
}

/* ---- Options ---- */

/* The helpers lie beside a program in its build tree; an installed one knows their place. */
static char *helper_dir(void)
{
	char self[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
	if (size <= 0)
		return NULL;
	self[size] = '\0';
	char *slash = strrchr(self, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	_cleanup_free_ char *helper = lsp_text_format("%s/lanspread-discover", self);
	return helper && access(helper, X_OK) == 0 ? strdup(self) : NULL;
}

/* 0, or an exit code. `peers` has room for all that argv can hold. */
static int fill_options(struct cli *cli, const struct cli_arguments *arguments,
	struct lanspread_options *options, const char **peers)
{
	const char *level = cli_option(arguments, "log-level");
	*options = (struct lanspread_options){
		.struct_size = sizeof *options,
		.games_dir = cli_option(arguments, "games"),
		.state_dir = cli_option(arguments, "state"),
		.name = cli_option(arguments, "name"),
		.listen = cli_option(arguments, "listen"),
		.interface_name = cli_option(arguments, "interface"),
		.no_discovery = cli_flag(arguments, "no-discovery"),
		.catalog_file = cli_option(arguments, "catalog"),
		.unpacker_command = cli_option(arguments, "unpacker"),
		.swarm = cli_option(arguments, "swarm"),
		.http = cli_option(arguments, "http"),
	};
	for (int i = 0; cli_option_at(arguments, "peer", i); i++) {
		peers[i] = cli_option_at(arguments, "peer", i);
		options->peers = peers;
	}
	if (level) {
		enum lsp_log_level parsed;
		struct lsp_error err = {0};
		if (lsp_log_level_parse(level, &parsed, &err) < 0)
			return cli_usage_error(cli, "run: --log-level: %s", err.message);
		options->log_level = (enum lanspread_log_level)parsed;
		options->log_level_set = 1;
	}
	return CLI_DONE;
}

/* ---- Ready ---- */

/* Asks the peer itself, as any client would. The answer's result, a new reference, or NULL. */
static json_t *ask(struct lanspread *peer, struct lanspread_stream *stream, const char *command)
{
	uint64_t request;
	if (lanspread_send(peer, stream, command, &request, NULL) < 0)
		return NULL;
	for (;;) {
		char *json = NULL;
		if (lanspread_next_event(stream, READY_PATIENCE_MS, &json, NULL) < 0)
			return NULL;
		_cleanup_json_ json_t *event = json_loads(json, 0, NULL);
		lanspread_free_text(json);
		if (strcmp(cli_text(event, "event"), "answer") == 0 &&
			cli_number(event, "request") == request)
			return json_incref(json_object_get(event, "result"));
	}
}

static void print_ready(struct cli *cli, json_t *status, const char *page)
{
	const json_t *address;
	size_t i;
	if (cli->json) {
		_cleanup_json_ json_t *document = json_pack(
			"{s:b, s:O?, s:O?, s:O?, s:s?, s:s, s:i}", "ready", 1, "peer_id",
			json_object_get(status, "peer_id"), "name", json_object_get(status, "name"),
			"listen", json_object_get(status, "listen"), "page", page, "control",
			cli->control, "pid", (int)getpid());
		cli_print_json(cli, document);
		return;
	}
	fputs("ready: ", cli->out);
	cli_print_text(cli->out, cli_text(status, "name"));
	fprintf(cli->out, " (%.16s) at", cli_text(status, "peer_id"));
	json_array_foreach (json_object_get(status, "listen"), i, address) {
		fprintf(cli->out, "%s %s", i ? "," : "", json_string_value(address));
	}
	fprintf(cli->out, "; page %s; control %s\n", page ? page : "off", cli->control);
	fflush(cli->out);
}

/*
 * Where the page shall be: the flag, else the setting; NULL: the usual place or a free port. The
 * caller frees it.
 */
static char *choose_http(const struct cli_arguments *arguments, struct lanspread *peer,
	struct lanspread_stream *stream)
{
	const char *flag = cli_option(arguments, "http");
	if (flag)
		return strdup(flag);
	_cleanup_json_ json_t *result =
		ask(peer, stream, "{\"command\":\"config_get\",\"key\":\"http\"}");
	const char *setting = cli_text(json_object_get(result, "config"), "http");
	return setting[0] && strcmp(setting, USUAL_HTTP) != 0 ? strdup(setting) : NULL;
}

/* Whether a page's "ADDRESS:PORT" is one that other machines reach. */
static bool is_for_others(const char *http)
{
	static const char *const own[] = {"127.", "[::1]", "localhost:"};
	if (!http || !strrchr(http, ':'))
		return false; /* a port alone is on loopback */
	for (size_t i = 0; i < LSP_ARRAY_SIZE(own); i++) {
		if (strncmp(http, own[i], strlen(own[i])) == 0)
			return false;
	}
	return true;
}

/* The host by which others reach it: of a wildcard, an address that the peer listens at. */
static void outer_host(const json_t *status, const char *http, char out[256])
{
	size_t i, size = (size_t)(strrchr(http, ':') - http);
	json_t *entry;
	snprintf(out, 256, "%.*s", (int)size, http);
	if (strcmp(out, "0.0.0.0") != 0 && strcmp(out, "[::]") != 0)
		return;
	if (gethostname(out, 255) < 0)
		snprintf(out, 256, "ADDRESS");
	json_array_foreach (json_object_get(status, "listen"), i, entry) {
		const char *text = json_string_value(entry),
			   *port = text ? strrchr(text, ':') : NULL;
		if (!port || !is_for_others(text) || strncmp(text, "0.0.0.0:", 8) == 0)
			continue;
		snprintf(out, 256, "%.*s", (int)(port - text), text);
		return;
	}
}

/* Who opens the page to the hall is told what that means. */
static void say_who_reaches_it(
	struct cli *cli, const json_t *status, const char *http, const char *page)
{
	char host[256];
	const char *port = strrchr(page, ':');
	outer_host(status, http, host);
	if (port)
		cli_note(cli,
			"lanspread: other machines reach the page at http://%s%s: only with this "
			"link and its token; who has it controls this peer, and it is not "
			"encrypted",
			host, port);
}

/* Control socket, page, and the one line. 0, or an exit code. */
static int open_the_doors(struct cli *cli, const struct cli_arguments *arguments,
	struct lanspread *peer, struct lanspread_stream *stream)
{
	struct lanspread_error err = {0};
	char *page = NULL;
	if (lanspread_serve_control(peer, cli->control, &err) < 0)
		return fail(cli, &err);
	_cleanup_free_ char *http = choose_http(arguments, peer, stream);
	if (!http || strcmp(http, "off") != 0) {
		int r = lanspread_serve_http(peer, http, &page, &err);
		/* Not asked for and not in this build: the peer is of use without it. */
		if (r == -LANSPREAD_E_UNSUPPORTED && !http)
			cli_note(cli, "lanspread: no page: %s", err.message);
		else if (r < 0)
			return fail(cli, &err);
	}
	_cleanup_json_ json_t *status = ask(peer, stream, "{\"command\":\"status\"}");
	if (status)
		print_ready(cli, status, page);
	if (status && page && is_for_others(http))
		say_who_reaches_it(cli, status, http, page);
	lanspread_free_text(page);
	return CLI_DONE;
}

/* ---- Until the end ---- */

/* Reads events so that the end of the stream is noticed. False: it has ended. */
static bool drain(struct lanspread_stream *stream)
{
	for (;;) {
		char *json = NULL;
		int r = lanspread_next_event(stream, 0, &json, NULL);
		if (r == -LANSPREAD_E_TIMEOUT)
			return true;
		if (r < 0)
			return false;
		lanspread_free_text(json);
	}
}

static void wait_for_the_end(struct cli *cli, struct lanspread_stream *stream)
{
	for (;;) {
		struct pollfd fds[2] = {{.fd = cli->interrupt_fd, .events = POLLIN},
			{.fd = lanspread_stream_fd(stream), .events = POLLIN}};
		/* For want of memory, or of descriptors: nobody asked for the end. */
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			(void)poll(NULL, 0, WAIT_AGAIN_MS);
		if (fds[0].revents || (fds[1].revents && !drain(stream)))
			return;
	}
}

/* Stops the peer and says how it went. */
static int finish(struct cli *cli, struct lanspread *peer)
{
	struct lanspread_exit how = {0};
	struct lanspread_error err = {0};
	lanspread_shutdown(peer);
	if (lanspread_wait_stopped(peer, STOP_PATIENCE_MS, &how, &err) < 0) {
		/* Threads that do not stop cannot be joined, only left behind with the process. */
		fail(cli, &err);
		fflush(cli->out);
		_exit(CLI_FAILED);
	}
	if (how.graceful)
		return CLI_DONE;
	snprintf(err.message, sizeof err.message, "%s",
		how.message[0] ? how.message : "the peer stopped by itself");
	fail(cli, &err);
	return how.exit_code ? how.exit_code : CLI_FAILED;
}

int cli_run_daemon(struct cli *cli, const struct cli_arguments *arguments)
{
	const char *peers[CLI_MAX_ARGUMENTS + 1] = {NULL};
	struct lanspread_options options;
	struct lanspread_error err = {0};
	_cleanup_free_ char *helpers = helper_dir();
	_cleanup_peer_ struct lanspread *peer = NULL;
	_cleanup_stream_ struct lanspread_stream *stream = NULL;
	int code = fill_options(cli, arguments, &options, peers);
	if (code != CLI_DONE)
		return code;
	options.helper_dir = helpers;
	options.stop_fd = cli->interrupt_fd;
	options.stop_fd_set = 1;
	/* A socket or pipe that was closed on us is an error to handle, not a reason to die. */
	signal(SIGPIPE, SIG_IGN);
	if (lanspread_start(&options, &peer, &err) < 0 ||
		lanspread_subscribe(peer, &stream, &err) < 0)
		return fail(cli, &err);
	code = open_the_doors(cli, arguments, peer, stream);
	if (code == CLI_DONE)
		wait_for_the_end(cli, stream);
	int end = finish(cli, peer);
	return code != CLI_DONE ? code : end;
}
