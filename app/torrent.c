/*
 * torrent COMMAND, and share. A torrent command is passed through as torrent_COMMAND, so that the
 * engine's commands are written down once (docs/torrent.md). The first arguments have names; all
 * others come as --set KEY=VALUE.
 *
 * What reads or moves many bytes (create, share --hybrid, move) is waited for as long as it takes,
 * with its progress; Ctrl-C ends a create.
 */
#include "commands.h"
#include "progress.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "wire/base64.h"
#include "wire/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	const char *takes[2];
	bool path; /* the first may be a file here */
	bool slow;
} verbs[] = {
	{"list", {"torrent"}},
	{"files", {"torrent"}},
	{"peers", {"torrent"}},
	{"have", {"torrent"}},
	{"export", {"torrent"}},
	{"add", {"source"}, true},
	{"create", {"path"}, true, true},
	{"cancel", {"job"}},
	{"remove", {"torrent"}, .slow = true},
	{"pause", {"torrent"}},
	{"resume", {"torrent"}},
	{"sequential", {"torrent", "on"}},
	{"limits", {"torrent"}},
	{"select", {"torrent"}},
	{"options", {"torrent"}},
	{"trackers", {"torrent"}},
	{"web_seeds", {"torrent"}},
	{"reannounce", {"torrent"}},
	{"recheck", {"torrent"}},
	{"move", {"torrent", "save_path"}, .slow = true},
	{"deadline", {"torrent", "piece"}},
	{"add_peers", {"torrent"}},
	{"inspect"},
	{"configure"},
	{"restart", .slow = true},
};

/* ---- What is sent ---- */

/* A word that is JSON (a number, true) is that; other words are texts. */
static json_t *value_of(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
	return value ? value : json_string(text);
}

static void set_positional(json_t *command, const char *key, const char *text, bool path)
{
	_cleanup_free_ char *whole = path ? realpath(text, NULL) : NULL;
	if (strcmp(key, "on") == 0 || strcmp(key, "piece") == 0)
		cli_set_json(command, key, value_of(text));
	else
		cli_set(command, key, whole ? whole : text);
}

/* KEY=VALUE, the value as JSON where it can be read as JSON. */
static bool set_member(json_t *object, const char *text)
{
	const char *equals = strchr(text, '=');
	if (!equals || equals == text)
		return false;
	_cleanup_free_ char *key = strndup(text, (size_t)(equals - text));
	if (key)
		cli_set_json(object, key, value_of(equals + 1));
	return key != NULL;
}

static int set_members(
	struct cli *cli, const struct cli_arguments *arguments, const char *verb, json_t *object)
{
	for (int k = 0; cli_option_at(arguments, "set", k); k++)
		if (!set_member(object, cli_option_at(arguments, "set", k)))
			return cli_usage_error(cli, "torrent %s: --set takes KEY=VALUE", verb);
	return CLI_DONE;
}

/* Where a move goes, as seen from here and not from the daemon. */
static int make_absolute(json_t *command, const char *key)
{
	const char *path = cli_text(command, key);
	char here[4096];
	if (!*path || *path == '/' || !getcwd(here, sizeof here))
		return 0;
	_cleanup_free_ char *whole = lsp_text_format("%s/%s", here, path);
	if (whole)
		cli_set(command, key, whole);
	return 0;
}

/* The index of the verb, or −1 with the mistake said. */
static int find_verb(struct cli *cli, const struct cli_arguments *arguments)
{
	for (size_t i = 0; i < LSP_ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, arguments->positional[0]) != 0)
			continue;
		int takes = verbs[i].takes[0] ? verbs[i].takes[1] ? 2 : 1 : 0;
		if (arguments->count - 1 <= takes)
			return (int)i;
		cli_usage_error(cli, "torrent %s: too many arguments", verbs[i].name);
		return -1;
	}
	cli_usage_error(cli, "torrent: there is no command '%s'", arguments->positional[0]);
	return -1;
}

/* NULL, with the mistake said, when it is wrong. */
static json_t *build(struct cli *cli, const struct cli_arguments *arguments, int verb)
{
	char name[64];
	snprintf(name, sizeof name, "torrent_%.40s", verbs[verb].name);
	json_t *command = cli_command_new(name);
	for (int k = 0; k + 1 < arguments->count; k++)
		set_positional(command, verbs[verb].takes[k], arguments->positional[k + 1],
			verbs[verb].path && k == 0);
	if (set_members(cli, arguments, verbs[verb].name, command) != CLI_DONE) {
		json_decref(command);
		return NULL;
	}
	make_absolute(command, "save_path");
	if (cli_flag(arguments, "as-game"))
		cli_set_json(command, "as_game", json_true());
	if (cli_flag(arguments, "data"))
		cli_set_json(command, "data", json_true());
	return command;
}

/* ---- Waiting
 * ------------------------------------------------------------------------------------------------
 */

struct watching {
	struct cli *cli;
	const char *job;
	bool drawn;
};

static void watch(void *argument, const json_t *event)
{
	struct watching *watching = argument;
	struct cli *cli = watching->cli;
	char line[CLI_PROGRESS_MAX];
	if (strcmp(cli_text(event, "event"), "torrent_create_progress") != 0 ||
		strcmp(cli_text(event, "job"), watching->job) != 0)
		return;
	if (cli->json) {
		cli_print_json(cli, event);
	} else if (cli->terminal) {
		fputs("\r\033[K", cli->out);
		cli_print_text(cli->out, cli_progress_line("", event, cli->columns, line));
		fflush(cli->out);
		watching->drawn = true;
	}
}

/* Sends, and waits as long as it takes. The command is dropped. */
static int call_slowly(struct cli *cli, json_t *command, const char *job, json_t **ret_result)
{
	struct watching watching = {.cli = cli, .job = job};
	struct lsp_error err = {0};
	lsp_control_on_event(cli->connection, watch, &watching);
	int r = cli_call_within(cli, command, LSP_TIME_NEVER, ret_result, NULL, &err);
	lsp_control_on_event(cli->connection, NULL, NULL);
	if (watching.drawn)
		fputs("\r\033[K", cli->out);
	return r < 0 ? cli_fail(cli, &err) : CLI_DONE;
}

/* ---- What comes back ---- */

static int write_bytes(struct cli *cli, const char *path, const uint8_t *bytes, size_t size)
{
	struct lsp_error err = {0};
	FILE *file = fopen(path, "wb");
	bool fine = file && fwrite(bytes, 1, size, file) == size;
	if (file && fclose(file) != 0)
		fine = false;
	if (fine)
		return CLI_DONE;
	lsp_error_errno(&err, "torrent", errno, "cannot write \"%s\"", path);
	return cli_fail(cli, &err);
}

/* The .torrent in the result goes into a file; its path takes the place of the bytes. */
static int save_metainfo(struct cli *cli, const struct cli_arguments *arguments, json_t *result)
{
	const char *text = cli_text(result, "metainfo"), *output = cli_option(arguments, "output");
	const char *name = cli_text(result, "name");
	size_t size = strlen(text), padding = 0;
	if (!*text)
		return CLI_DONE;
	_cleanup_free_ char *path =
		output ? strdup(output) : lsp_text_format("%s.torrent", *name ? name : "unnamed");
	_cleanup_free_ uint8_t *bytes = malloc(size + 1);
	struct lsp_error err = {0};
	while (padding < 2 && padding < size && text[size - 1 - padding] == '=')
		padding++;
	size_t decoded = size / 4 * 3 - padding;
	int r = path && bytes ? lsp_base64_decode(text, size, bytes, decoded, &err)
			      : lsp_error_no_memory(&err, "torrent");
	if (r < 0)
		return cli_fail(cli, &err);
	int code = write_bytes(cli, path, bytes, decoded);
	json_object_del(result, "metainfo");
	if (code == CLI_DONE)
		cli_set(result, "file", path);
	return code;
}

static void print_result(struct cli *cli, const json_t *result)
{
	if (cli->json) {
		cli_print_json(cli, result);
		return;
	}
	_cleanup_free_ char *text = json_dumps(result, JSON_INDENT(2));
	cli_print_text(cli->out, text ? text : "");
	fputc('\n', cli->out);
}

/* What is configured stays, but for the keys that are given: null takes one away. */
static int configure(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *now = NULL, *result = NULL;
	int code = cli_call_or_fail(cli, cli_command_new("torrent_configure"), &now);
	json_t *configuration = json_object_get(now, "configuration"), *value;
	const char *key;
	void *next;
	if (code != CLI_DONE || !cli_option_at(arguments, "set", 0)) {
		if (code == CLI_DONE)
			print_result(cli, now);
		return code;
	}
	code = set_members(cli, arguments, "configure", configuration);
	if (code != CLI_DONE)
		return code;
	json_object_foreach_safe(configuration, next, key, value)
	{
		if (json_is_null(value))
			json_object_del(configuration, key);
	}
	json_t *command = cli_command_new("torrent_configure");
	cli_set_json(command, "configuration", json_incref(configuration));
	code = cli_call_or_fail(cli, command, &result);
	if (code == CLI_DONE)
		print_result(cli, now);
	return code;
}

int cli_run_torrent(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *result = NULL;
	_cleanup_free_ char *job = lsp_text_format("create %d", (int)getpid());
	int verb = find_verb(cli, arguments);
	if (verb >= 0 && strcmp(verbs[verb].name, "configure") == 0)
		return configure(cli, arguments);
	json_t *command = verb >= 0 ? build(cli, arguments, verb) : NULL;
	if (!command || !job)
		return CLI_USAGE;
	bool creates = strcmp(verbs[verb].name, "create") == 0;
	if (creates)
		cli_set(command, "job", job);
	int code = verbs[verb].slow ? call_slowly(cli, command, job, &result)
				    : cli_call_or_fail(cli, command, &result);
	if (code != CLI_DONE && creates) {
		/* Ctrl-C: nobody waits for it any more. */
		json_t *cancel = cli_command_new("torrent_cancel");
		_cleanup_json_ json_t *cancelled = NULL;
		cli_set(cancel, "job", job);
		(void)!cli_call(cli, cancel, &cancelled, NULL, NULL);
	}
	if (code == CLI_DONE)
		code = save_metainfo(cli, arguments, result);
	if (code == CLI_DONE)
		print_result(cli, result);
	return code;
}

int cli_run_share(struct cli *cli, const struct cli_arguments *arguments)
{
	json_t *command = cli_command_new("share"), *trackers = json_array();
	_cleanup_json_ json_t *result = NULL;
	_cleanup_free_ char *job = lsp_text_format("share %s", arguments->positional[0]);
	cli_set(command, "game", arguments->positional[0]);
	if (cli_flag(arguments, "hybrid"))
		cli_set_json(command, "hybrid", json_true());
	for (int k = 0; cli_option_at(arguments, "tracker", k); k++)
		json_array_append_new(
			trackers, json_string(cli_option_at(arguments, "tracker", k)));
	if (json_array_size(trackers))
		cli_set_json(command, "trackers", json_incref(trackers));
	json_decref(trackers);
	int code = call_slowly(cli, command, job ? job : "", &result);
	if (code != CLI_DONE)
		return code;
	if (cli->json) {
		cli_print_json(cli, result);
		return code;
	}
	cli_print_text(cli->out, cli_text(result, "magnet"));
	fputc('\n', cli->out);
	if (!cli_flag(arguments, "magnet") && cli_text(result, "torrent")[0]) {
		cli_print_text(cli->out, cli_text(result, "torrent"));
		fputc('\n', cli->out);
	}
	return code;
}
