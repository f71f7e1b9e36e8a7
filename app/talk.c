#include "cli.h"

#include "base/text.h"
#include "suggest.h"
#include "wire/json.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A command line tool without memory for a command of some bytes has nothing left to do. */
static json_t *must(json_t *value)
{
	if (!value) {
		fputs("lanspread: out of memory\n", stderr);
		exit(CLI_FAILED);
	}
	return value;
}

json_t *cli_command_new(const char *name)
{
	return must(json_pack("{s:s}", "command", name));
}

void cli_set_json(json_t *command, const char *key, json_t *value)
{
	if (json_object_set_new(command, key, must(value)) < 0)
		must(NULL);
}

void cli_set(json_t *command, const char *key, const char *text)
{
	/* What is no UTF-8 cannot be JSON; the daemon refuses the empty text with a word. */
	json_t *value = text ? json_string(text) : NULL;
	if (text)
		cli_set_json(command, key, value ? value : json_string(""));
}

/* ---- As the person typed it ---- */

/* The option with that name, or with that value: `add --id` is the argument "game". */
static const char *option_of(
	const struct cli_arguments *arguments, const char *name, const char *value)
{
	if (cli_option(arguments, name))
		return name;
	for (int i = 0; i < arguments->option_count; i++)
		if (value && *value && strcmp(arguments->options[i].value, value) == 0)
			return arguments->options[i].name;
	return NULL;
}

/* The value of the last `--set name=value`, with its name; NULL: there is none. */
static const char *set_of(const struct cli_arguments *arguments, const char *name)
{
	const char *found = NULL, *text;
	size_t length = strlen(name);
	for (int i = 0; (text = cli_option_at(arguments, "set", i)); i++)
		if (strncmp(text, name, length) == 0 && text[length] == '=')
			found = text;
	return found;
}

char *cli_placeholder(const char *name)
{
	char *copy = strdup(name);
	for (char *at = copy; at && *at; at++)
		*at = *at == '_' ? '-' : (char)toupper((unsigned char)*at);
	return copy;
}

/* What was typed for an argument of the command that was sent. NULL: out of memory. */
static char *typed(const struct cli_arguments *arguments, const json_t *command, const char *name)
{
	const char *value = json_string_value(json_object_get(command, name));
	const char *set = set_of(arguments, name), *option = option_of(arguments, name, value);
	if (set)
		return lsp_text_format("--set %s", set);
	if (option)
		return lsp_text_format("--%s %s", option, cli_option(arguments, option));
	if (value)
		return lsp_text_format("'%s'", value);
	return cli_placeholder(name); /* nothing was typed */
}

/* A message that begins with an argument's name begins with the words for it. */
static void speak_as_typed(
	const struct cli *cli, const json_t *command, const json_t *error, struct lsp_error *err)
{
	const char *name = cli_text(error, "argument");
	size_t length = strlen(name);
	if (!err || !cli->arguments || !length || err->message[0] != '"' ||
		strncmp(err->message + 1, name, length) != 0 || err->message[length + 1] != '"')
		return;
	_cleanup_free_ char *words = typed(cli->arguments, command, name);
	_cleanup_free_ char *rest = strdup(err->message + length + 2);
	if (words && rest)
		lsp_error_set(err, "app", err->code, "%s%s", words, rest);
}

int cli_check_game(struct cli *cli, const char *id, struct lsp_error *err)
{
	_cleanup_json_ json_t *command = cli_command_new("list_games"), *result = NULL;
	char text[CLI_SUGGESTION_TEXT_MAX];
	struct cli_suggestion suggestion;
	const json_t *game;
	size_t i;
	/* A peer that does not answer has other troubles than a mistyped word. */
	if (lsp_control_call(cli->connection, command, CLI_PATIENCE, &result, NULL, NULL) < 0)
		return 0;
	cli_suggestion_init(&suggestion, id);
	json_array_foreach (json_object_get(result, "games"), i, game) {
		if (strcmp(cli_text(game, "id"), id) == 0)
			return 0;
		cli_suggestion_offer(&suggestion, cli_text(game, "id"));
	}
	return lsp_error_set(err, "app", LSP_E_NOT_FOUND,
		"no game \"%s\" is known here%s; `lanspread games` lists them", id,
		cli_suggestion_text(&suggestion, "\"", "\"", text));
}

/* Does the command speak of a game that is there already, as the person typed it? */
static bool names_game(const struct cli *cli, const json_t *command)
{
	const char *game = cli_text(command, "game");
	const char *word = cli->arguments ? cli_positional(cli->arguments, 0) : NULL;
	const char *option = cli->arguments ? cli_option(cli->arguments, "game") : NULL;
	return *game &&
	       ((word && strcmp(word, game) == 0) || (option && strcmp(option, game) == 0));
}

int cli_call_within(struct cli *cli, json_t *command, uint64_t patience, json_t **ret_result,
	json_t **ret_error, struct lsp_error *err)
{
	_cleanup_json_ json_t *owned = command, *error = NULL;
	int r = lsp_control_call(cli->connection, owned, patience, ret_result, &error, err);
	if (r < 0 && error)
		speak_as_typed(cli, owned, error, err);
	if (r == -LSP_E_NOT_FOUND && error && names_game(cli, owned)) {
		int known = cli_check_game(cli, cli_text(owned, "game"), err);
		r = known < 0 ? known : r;
	}
	if (ret_error)
		*ret_error = TAKE_PTR(error);
	return r;
}

int cli_call(struct cli *cli, json_t *command, json_t **ret_result, json_t **ret_error,
	struct lsp_error *err)
{
	return cli_call_within(cli, command, CLI_PATIENCE, ret_result, ret_error, err);
}

int cli_call_or_fail(struct cli *cli, json_t *command, json_t **ret_result)
{
	struct lsp_error err = {0};
	return cli_call(cli, command, ret_result, NULL, &err) < 0 ? cli_fail(cli, &err) : CLI_DONE;
}

int cli_run_simple(struct cli *cli, const struct cli_arguments *arguments)
{
	const struct cli_command *row = arguments->command;
	json_t *command = cli_command_new(row->send);
	_cleanup_json_ json_t *result = NULL;
	for (int i = 0; i < arguments->count && row->takes[i]; i++)
		cli_set(command, row->takes[i], arguments->positional[i]);
	int code = cli_call_or_fail(cli, command, &result);
	if (code == CLI_DONE && cli->json)
		cli_print_json(cli, result);
	return code;
}
