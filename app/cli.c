/* From argv to a command's function: help, version, options that all have, the connection. */
#include "cli.h"

#include "commands.h"
#include "control/path.h"
#include "suggest.h"

#include <stdlib.h>
#include <string.h>

const struct cli_option cli_common_options[] = {
	{"control", "PATH",
		"the peer's control socket (default: $LANSPREAD_CONTROL, else the usual place)"},
	{"json", NULL, "print JSON"},
	{"help", NULL, "print this and exit"},
	{"version", NULL, "print the version and exit"},
	{NULL},
};

static int print_version(struct cli *cli)
{
	if (cli->json) {
		json_t *document = json_pack("{s:s}", "version", LANSPREAD_VERSION);
		cli_print_json(cli, document);
		json_decref(document);
	} else {
		fprintf(cli->out, "lanspread %s\n", LANSPREAD_VERSION);
	}
	return CLI_DONE;
}

bool cli_has_option(const struct cli_command *command, const char *name)
{
	for (const struct cli_option *option = command->options; option && option->name; option++)
		if (strcmp(option->name, name) == 0)
			return true;
	return false;
}

const struct cli_command *cli_find_command(const char *name)
{
	for (const struct cli_command *command = cli_commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

int cli_unknown_command(struct cli *cli, const char *name)
{
	cli->command = NULL;
	char text[CLI_SUGGESTION_TEXT_MAX];
	struct cli_suggestion suggestion;
	cli_suggestion_init(&suggestion, name);
	for (const struct cli_command *command = cli_commands; command->name; command++)
		cli_suggestion_offer(&suggestion, command->name);
	return cli_usage_error(cli, "there is no command '%s'%s", name,
		cli_suggestion_text(&suggestion, "'", "'", text));
}

/* 0, or the exit code. */
static int connect_to_daemon(struct cli *cli)
{
	struct lsp_error err = {0};
	int r = lsp_control_connect(cli->control, &cli->connection, &err);
	if (r < 0) {
		int code = cli_fail(cli, &err);
		return r == -LSP_E_NOT_FOUND ? CLI_NO_DAEMON : code;
	}
	lsp_control_interrupted_by(cli->connection, cli->interrupt_fd);
	return CLI_DONE;
}

/* A mistake, too, is told in JSON to who wants that. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

static int run_command(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
	struct cli_arguments arguments;
	struct lsp_error err = {0};
	cli->command = command->name;
	if (cli_parse(command, argc, argv, &arguments, &err) < 0) {
		if (command->name[0])
			return cli_usage_error(cli, "%s: %s", command->name, err.message);
		return cli_usage_error(cli, "%s", err.message);
	}
	cli->json = cli_flag(&arguments, "json");
	if (cli_flag(&arguments, "help"))
		return command->name[0] ? cli_print_command_help(cli, command)
					: cli_print_help(cli);
	if (cli_flag(&arguments, "version") && !cli_has_option(command, "version"))
		return print_version(cli);
	int r = lsp_control_path(cli_option(&arguments, "control"), cli_option(&arguments, "state"),
		&cli->control, &err);
	/* Who asks for help may have no home. */
	if (r < 0 && command->run != cli_run_help)
		return cli_fail(cli, &err);
	int code = command->check ? command->check(cli, &arguments) : CLI_DONE;
	if (code == CLI_DONE && !command->local)
		code = connect_to_daemon(cli);
	cli->arguments = &arguments;
	if (code == CLI_DONE)
		code = command->run(cli, &arguments);
	cli->arguments = NULL;
	return code;
}

/* What was asked for and could not be written is no success, whenever that showed. */
static int finish(struct cli *cli, int code)
{
	if ((fflush(cli->out) == 0 && !ferror(cli->out)) || code != CLI_DONE)
		return code;
	cli_note(cli,
		"lanspread: the output could not be written: its disk is full, or it is closed");
	return CLI_FAILED;
}

int cli_main(struct cli *cli, int argc, char **argv)
{
	/* No command, or options alone: the row without a name. */
	static const struct cli_command bare = {
		.name = "", .usage = "", .summary = "", .run = cli_run_bare, .local = true};
	const struct cli_command *command = &bare;
	cli->json = wants_json(argc - 1, argv + 1);
	bool completes = argc > 1 && strcmp(argv[1], "--complete") == 0;
	if (argc > 1 && argv[1][0] != '-') {
		command = cli_find_command(argv[1]);
		if (!command)
			return cli_unknown_command(cli, argv[1]);
		argc--;
		argv++;
	}
	int code = completes ? cli_complete(cli, argc - 2, argv + 2)
			     : run_command(cli, command, argc - 1, argv + 1);
	lsp_control_disconnect(cli->connection);
	cli->connection = NULL;
	free(cli->control);
	cli->control = NULL;
	return finish(cli, code);
}
