/*
 * torrent COMMAND, and share. A torrent command is passed through as torrent_COMMAND, so that the
 * engine's commands are written down once (docs/torrent.md). The first arguments have names; all
 * others come as --set KEY=VALUE.
 *
 * What reads or moves many bytes (create, share --hybrid, move) is waited for as long as it takes,
 * with its progress; Ctrl-C ends a create, and the pass of a hybrid.
 */
#include "commands.h"
#include "progress.h"
#include "suggest.h"
#include "torrent_print.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "wire/base64.h"
#include "wire/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const struct {
	const char *name;
	const char *takes[2];
	int needs; /* so many of these; by --set will do */
	bool path; /* the first may be a file here */
	bool slow;
} verbs[] = {
	{"list", {"torrent"}},
	{"files", {"torrent"}, .needs = 1},
	{"peers", {"torrent"}, .needs = 1},
	{"have", {"torrent"}, .needs = 1},
	{"export", {"torrent"}, .needs = 1},
	{"add", {"source"}, .path = true},
	{"create", {"path"}, .path = true, .slow = true},
	{"cancel", {"job"}, .needs = 1},
	{"remove", {"torrent"}, .needs = 1, .slow = true},
	{"pause", {"torrent"}, .needs = 1},
	{"resume", {"torrent"}, .needs = 1},
	{"sequential", {"torrent", "on"}, .needs = 1},
	{"limits", {"torrent"}},
	{"select", {"torrent"}, .needs = 1},
	{"options", {"torrent"}, .needs = 1},
	{"trackers", {"torrent"}, .needs = 1},
	{"web_seeds", {"torrent"}, .needs = 1},
	{"reannounce", {"torrent"}, .needs = 1},
	{"recheck", {"torrent"}, .needs = 1},
	{"move", {"torrent", "save_path"}, .needs = 2, .slow = true},
	{"deadline", {"torrent", "piece"}, .needs = 2},
	{"add_peers", {"torrent"}, .needs = 1},
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

/* The daemon has another working directory. A link is none of a file. */
static int set_file(struct cli *cli, json_t *command, const char *key, const char *text)
{
	_cleanup_free_ char *whole = realpath(text, NULL);
	struct lsp_error err = {0};
	cli_set(command, key, whole ? whole : text);
	if (whole || strstr(text, "://") || strncasecmp(text, "magnet:", 7) == 0)
		return CLI_DONE;
	lsp_error_set(&err, "app", LSP_E_NOT_FOUND, "cannot read %s: %m", text);
	return cli_fail(cli, &err);
}

static void set_positional(json_t *command, const char *key, const char *text)
{
	bool on = strcmp(text, "on") == 0;
	if (strcmp(key, "on") == 0 && (on || strcmp(text, "off") == 0))
		cli_set_json(command, key, json_boolean(on));
	else if (strcmp(key, "on") == 0 || strcmp(key, "piece") == 0)
		cli_set_json(command, key, value_of(text));
	else
		cli_set(command, key, text);
}

/* A list's members may be given one by one: --set exclude=*.iso --set exclude=*.nfo. */
static bool is_list(const char *key)
{
	static const char *const lists[] = {"add", "dht_nodes", "exclude", "include", "ip_filter",
		"listen", "peers", "remove", "set", "tags", "trackers", "web_seeds"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lists); i++)
		if (strcmp(lists[i], key) == 0)
			return true;
	return false;
}

static json_t *member_value(const json_t *object, const char *key, const char *text)
{
	json_int_t rate;
	if ((strcmp(key, "max_download") == 0 || strcmp(key, "max_upload") == 0) &&
		cli_parse_rate(text, &rate))
		return json_integer(rate);
	json_t *value = value_of(text);
	if (!is_list(key) || !json_is_string(value))
		return value;
	json_t *before = json_object_get(object, key);
	json_t *list = json_is_array(before) ? json_copy(before) : json_array();
	json_array_append_new(list, value);
	return list;
}

/* KEY=VALUE, the value as JSON where it can be read as JSON. */
static bool set_member(json_t *object, const char *text)
{
	const char *equals = strchr(text, '=');
	if (!equals || equals == text)
		return false;
	_cleanup_free_ char *key = strndup(text, (size_t)(equals - text));
	if (key)
		cli_set_json(object, key, member_value(object, key, equals + 1));
	return key != NULL;
}

static int set_members(
	struct cli *cli, const struct cli_arguments *arguments, const char *verb, json_t *object)
{
	_cleanup_json_ json_t *given = json_object();
	for (int k = 0; cli_option_at(arguments, "set", k); k++)
		if (!set_member(given, cli_option_at(arguments, "set", k)))
			return cli_usage_error(cli, "torrent %s: --set takes KEY=VALUE", verb);
	json_object_update(object, given);
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
	char text[CLI_SUGGESTION_TEXT_MAX];
	struct cli_suggestion suggestion;
	cli_suggestion_init(&suggestion, arguments->positional[0]);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(verbs); i++)
		cli_suggestion_offer(&suggestion, verbs[i].name);
	cli_usage_error(cli, "torrent: there is no command '%s'%s", arguments->positional[0],
		cli_suggestion_text(&suggestion, "'", "'", text));
	return -1;
}

static int set_arguments(
	struct cli *cli, const struct cli_arguments *arguments, int verb, json_t *command)
{
	int code = CLI_DONE;
	for (int k = 0; code == CLI_DONE && k + 1 < arguments->count; k++) {
		const char *key = verbs[verb].takes[k], *text = arguments->positional[k + 1];
		if (verbs[verb].path && k == 0)
			code = set_file(cli, command, key, text);
		else
			set_positional(command, key, text);
	}
	return code == CLI_DONE ? set_members(cli, arguments, verbs[verb].name, command) : code;
}

/* CLI_DONE, or the exit code of a mistake that was said. */
static int build(
	struct cli *cli, const struct cli_arguments *arguments, int verb, json_t **ret_command)
{
	char name[64];
	snprintf(name, sizeof name, "torrent_%.40s", verbs[verb].name);
	_cleanup_json_ json_t *command = cli_command_new(name);
	int code = set_arguments(cli, arguments, verb, command);
	if (code != CLI_DONE)
		return code;
	for (int k = 0; k < verbs[verb].needs; k++) {
		_cleanup_free_ char *word = cli_placeholder(verbs[verb].takes[k]);
		if (!json_object_get(command, verbs[verb].takes[k]))
			return cli_usage_error(cli, "torrent %s: %s is missing", verbs[verb].name,
				word ? word : "an argument");
	}
	make_absolute(command, "save_path");
	if (cli_flag(arguments, "as-game"))
		cli_set_json(command, "as_game", json_true());
	if (cli_flag(arguments, "data"))
		cli_set_json(command, "data", json_true());
	*ret_command = TAKE_PTR(command);
	return CLI_DONE;
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

#define CANCEL_PATIENCE (2 * LSP_SECOND)

/* Ctrl-C: nobody waits for it any more, and not for long that the peer says so. */
static void cancel_job(struct cli *cli, const char *job)
{
	json_t *command = cli_command_new("torrent_cancel");
	_cleanup_json_ json_t *result = NULL;
	cli_set(command, "job", job);
	lsp_control_interrupted_by(cli->connection, -1);
	(void)!cli_call_within(cli, command, CANCEL_PATIENCE, &result, NULL, NULL);
}

/* Sends, and waits as long as it takes: for a job with its name, which ends with us. The command is
 * dropped. */
static int call_slowly(struct cli *cli, json_t *command, const char *job, json_t **ret_result)
{
	struct watching watching = {.cli = cli, .job = job};
	struct lsp_error err = {0};
	lsp_control_on_event(cli->connection, watch, &watching);
	int r = cli_call_within(cli, command, LSP_TIME_NEVER, ret_result, NULL, &err);
	lsp_control_on_event(cli->connection, NULL, NULL);
	if (watching.drawn)
		fputs("\r\033[K", cli->out);
	if (r == -LSP_E_CANCELLED && *job)
		cancel_job(cli, job);
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

/* For a name that a stranger chose: no folder, nothing hidden. */
static char *file_for(const char *name)
{
	bool fine = *name && *name != '.' && !strchr(name, '/');
	return lsp_text_format("%s.torrent", fine ? name : "unnamed");
}

/* The .torrent in the result goes into a file; its path takes the place of the bytes. */
static int save_metainfo(struct cli *cli, const struct cli_arguments *arguments, json_t *result)
{
	const char *text = cli_text(result, "metainfo"), *output = cli_option(arguments, "output");
	const char *name = cli_text(result, "name");
	size_t size = strlen(text), padding = 0;
	if (!*text)
		return CLI_DONE;
	_cleanup_free_ char *path = output ? strdup(output) : file_for(name);
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

static void print_result(struct cli *cli, const char *verb, const json_t *result)
{
	if (cli->json)
		cli_print_json(cli, result);
	else
		cli_torrent_print(cli, verb, result);
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
			print_result(cli, "configure", now);
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
		print_result(cli, "configure", now);
	return code;
}

/* What is mistyped needs no peer. */
int cli_check_torrent(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *command = NULL;
	int verb = find_verb(cli, arguments);
	return verb < 0 ? CLI_USAGE : build(cli, arguments, verb, &command);
}

int cli_run_torrent(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *result = NULL;
	_cleanup_free_ char *job = lsp_text_format("create %d", (int)getpid());
	int verb = find_verb(cli, arguments);
	if (verb < 0 || !job)
		return CLI_USAGE;
	if (strcmp(verbs[verb].name, "configure") == 0)
		return configure(cli, arguments);
	json_t *command = NULL;
	int code = build(cli, arguments, verb, &command);
	if (code != CLI_DONE)
		return code;
	bool creates = strcmp(verbs[verb].name, "create") == 0;
	if (creates)
		cli_set(command, "job", job);
	code = verbs[verb].slow ? call_slowly(cli, command, creates ? job : "", &result)
				: cli_call_or_fail(cli, command, &result);
	if (code == CLI_DONE)
		code = save_metainfo(cli, arguments, result);
	if (code == CLI_DONE)
		print_result(cli, verbs[verb].name, result);
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
