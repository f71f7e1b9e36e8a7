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

static const char introduction[] =
	"lanspread turns a LAN party into one game shelf.\n\n"
	"usage: lanspread [COMMAND] [ARGUMENTS]\n\n"
	"Without a command: starts a peer if none runs here, and opens its page.\n\n";

static const char epilogue[] = "\nEvery command takes --control PATH, --json and --help.\n"
			       "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no peer runs here; "
			       "130 detached by Ctrl-C.\n";

static int print_help(struct cli *cli)
{
	struct cli_table table;
	fputs(introduction, cli->out);
	cli_table_init(&table, 3);
	for (const struct cli_command *command = cli_commands; command->name; command++) {
		const char *cells[] = {" ", command->name, command->summary};
		cli_table_add(&table, cells);
	}
	cli_table_print(&table, cli->out);
	cli_table_done(&table);
	fputs(epilogue, cli->out);
	return CLI_DONE;
}

static void print_options(FILE *out, const struct cli_option *options)
{
	for (const struct cli_option *option = options; option && option->name; option++) {
		char left[64];
		snprintf(left, sizeof left, "--%s%s%s", option->name, option->value ? " " : "",
			option->value ? option->value : "");
		fprintf(out, "  %-24s  %s\n", left, option->help);
	}
}

static int print_command_help(struct cli *cli, const struct cli_command *command)
{
	fprintf(cli->out, "usage: lanspread %s%s%s\n\n%s\n\n", command->name,
		command->usage[0] ? " " : "", command->usage, command->summary);
	if (command->details)
		fprintf(cli->out, "%s\n", command->details);
	print_options(cli->out, command->options);
	print_options(cli->out, cli_common_options);
	fflush(cli->out);
	return CLI_DONE;
}

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

/* `add --version V` is the game's. */
static bool has_own_version(const struct cli_command *command)
{
	for (const struct cli_option *option = command->options; option && option->name; option++)
		if (strcmp(option->name, "version") == 0)
			return true;
	return false;
}

static const struct cli_command *find_command(const char *name)
{
	for (const struct cli_command *command = cli_commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

static int unknown_command(struct cli *cli, const char *name)
{
	char text[CLI_SUGGESTION_TEXT_MAX];
	struct cli_suggestion suggestion;
	cli_suggestion_init(&suggestion, name);
	for (const struct cli_command *command = cli_commands; command->name; command++)
		cli_suggestion_offer(&suggestion, command->name);
	return cli_usage_error(cli, "there is no command '%s'%s", name,
		cli_suggestion_text(&suggestion, "'", "'", text));
}

/* `help`, `help COMMAND`. */
static int run_help(struct cli *cli, const char *name)
{
	const struct cli_command *command = name && name[0] != '-' ? find_command(name) : NULL;
	if (command)
		return print_command_help(cli, command);
	return name && name[0] != '-' ? unknown_command(cli, name) : print_help(cli);
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
		return command->name[0] ? print_command_help(cli, command) : print_help(cli);
	if (cli_flag(&arguments, "version") && !has_own_version(command))
		return print_version(cli);
	int r = lsp_control_path(cli_option(&arguments, "control"), cli_option(&arguments, "state"),
		&cli->control, &err);
	if (r < 0)
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
	if (argc > 1 && argv[1][0] != '-') {
		if (strcmp(argv[1], "help") == 0)
			return finish(cli, run_help(cli, argc > 2 ? argv[2] : NULL));
		command = find_command(argv[1]);
		if (!command)
			return unknown_command(cli, argv[1]);
		argc--;
		argv++;
	}
	int code = run_command(cli, command, argc - 1, argv + 1);
	lsp_control_disconnect(cli->connection);
	cli->connection = NULL;
	free(cli->control);
	cli->control = NULL;
	return finish(cli, code);
}
