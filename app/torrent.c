/*
 * torrent COMMAND: passed through as torrent_COMMAND, so that the engine's commands are written
 * down once (docs/torrent.md). The first arguments have names; all others come as --set KEY=VALUE.
 */
#include "commands.h"

#include "base/cleanup.h"
#include "wire/json.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	const char *takes[2];
	bool path; /* the first may be a file here */
} verbs[] = {
	{"list"},
	{"restart"},
	{"configure"},
	{"add", {"source"}, true},
	{"create", {"path"}, true},
	{"pause", {"id"}},
	{"resume", {"id"}},
	{"remove", {"id"}},
	{"limits", {"id"}},
	{"select", {"id"}},
	{"options", {"id"}},
	{"trackers", {"id"}},
	{"peers", {"id"}},
	{"reannounce", {"id"}},
	{"recheck", {"id"}},
	{"inspect", {"id"}},
	{"move", {"id", "path"}},
};

static void set_positional(json_t *command, const char *key, const char *text, bool path)
{
	_cleanup_free_ char *whole = path ? realpath(text, NULL) : NULL;
	cli_set(command, key, whole ? whole : text);
}

/* KEY=VALUE, the value as JSON where it can be read as JSON. */
static bool set_member(json_t *command, const char *text)
{
	const char *equals = strchr(text, '=');
	if (!equals || equals == text)
		return false;
	_cleanup_free_ char *key = strndup(text, (size_t)(equals - text));
	json_t *value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
	if (key)
		cli_set_json(command, key, value ? value : json_string(equals + 1));
	return key != NULL;
}

/* NULL, with the mistake said, when it is wrong. */
static json_t *build(struct cli *cli, const struct cli_arguments *arguments)
{
	char name[64];
	snprintf(name, sizeof name, "torrent_%.40s", arguments->positional[0]);
	json_t *command = cli_command_new(name);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, arguments->positional[0]) != 0)
			continue;
		for (int k = 0; k + 1 < arguments->count; k++) {
			if (k >= 2 || !verbs[i].takes[k])
				goto too_many;
			set_positional(command, verbs[i].takes[k], arguments->positional[k + 1],
				verbs[i].path && k == 0);
		}
		for (int k = 0; cli_option_at(arguments, "set", k); k++)
			if (!set_member(command, cli_option_at(arguments, "set", k)))
				goto no_member;
		if (cli_flag(arguments, "as-game"))
			cli_set_json(command, "as_game", json_true());
		if (cli_flag(arguments, "data"))
			cli_set_json(command, "data", json_true());
		return command;
	}
	cli_usage_error(cli, "torrent: there is no command '%s'", arguments->positional[0]);
	json_decref(command);
	return NULL;
too_many:
	cli_usage_error(cli, "torrent %s: too many arguments", arguments->positional[0]);
	json_decref(command);
	return NULL;
no_member:
	cli_usage_error(cli, "torrent %s: --set takes KEY=VALUE", arguments->positional[0]);
	json_decref(command);
	return NULL;
}

int cli_run_torrent(struct cli *cli, const struct cli_arguments *arguments)
{
	json_t *command = build(cli, arguments);
	_cleanup_json_ json_t *result = NULL;
	if (!command)
		return CLI_USAGE;
	int code = cli_call_or_fail(cli, command, &result);
	if (code != CLI_DONE)
		return code;
	if (cli->json) {
		cli_print_json(cli, result);
		return code;
	}
	_cleanup_free_ char *text = json_dumps(result, JSON_INDENT(2));
	fprintf(cli->out, "%s\n", text ? text : "");
	return code;
}
