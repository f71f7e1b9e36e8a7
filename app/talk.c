#include "cli.h"

#include "wire/json.h"

#include <stdlib.h>

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

int cli_call(struct cli *cli, json_t *command, json_t **ret_result, json_t **ret_error,
	struct lsp_error *err)
{
	_cleanup_json_ json_t *owned = command;
	return lsp_control_call(cli->connection, owned, CLI_PATIENCE, ret_result, ret_error, err);
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
