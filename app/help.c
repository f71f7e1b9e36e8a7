/* `help`, `--help`: the list of commands, and what one of them takes. */
#include "commands.h"

#include <string.h>

#define LEFT_WIDTH 24 /* of the column of options; what is longer has a line of its own */

static const char introduction[] =
	"lanspread turns a LAN party into one game shelf.\n\n"
	"usage: lanspread [COMMAND] [ARGUMENTS]\n\n"
	"Without a command: starts a peer if none runs here, and opens its page.\n\n";

static const char epilogue[] = "\nEvery command takes --control PATH, --json and --help.\n"
			       "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no peer runs here; "
			       "130 detached by Ctrl-C.\n";

int cli_print_help(struct cli *cli)
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

static void print_row(FILE *out, const char *left, const char *right)
{
	if (strlen(left) > LEFT_WIDTH)
		fprintf(out, "  %s\n  %-*s  %s\n", left, LEFT_WIDTH, "", right);
	else
		fprintf(out, "  %-*s  %s\n", LEFT_WIDTH, left, right);
}

static void print_verbs(FILE *out, const struct cli_subcommand *verbs)
{
	for (const struct cli_subcommand *verb = verbs; verb && verb->names; verb++) {
		char left[64];
		snprintf(left, sizeof left, "%s%s%s", verb->names, verb->usage[0] ? " " : "",
			verb->usage);
		print_row(out, left, verb->help);
	}
	if (verbs)
		fputc('\n', out);
}

/* Without those that `command` has itself, if that is given. */
static void print_options(
	FILE *out, const struct cli_option *options, const struct cli_command *command)
{
	for (const struct cli_option *option = options; option && option->name; option++) {
		char left[64];
		if (command && cli_has_option(command, option->name))
			continue;
		snprintf(left, sizeof left, "--%s%s%s", option->name, option->value ? " " : "",
			option->value ? option->value : "");
		print_row(out, left, option->help);
	}
}

int cli_print_command_help(struct cli *cli, const struct cli_command *command)
{
	fprintf(cli->out, "usage: lanspread %s%s%s\n\n%s\n\n", command->name,
		command->usage[0] ? " " : "", command->usage, command->summary);
	print_verbs(cli->out, command->verbs);
	if (command->details)
		fprintf(cli->out, "%s\n\n", command->details);
	print_options(cli->out, command->options, NULL);
	print_options(cli->out, cli_common_options, command);
	fflush(cli->out);
	return CLI_DONE;
}

int cli_run_help(struct cli *cli, const struct cli_arguments *arguments)
{
	const char *name = cli_positional(arguments, 0);
	const struct cli_command *command = name ? cli_find_command(name) : NULL;
	if (name && !command)
		return cli_unknown_command(cli, name);
	if (cli_flag(arguments, "man"))
		return cli_print_manual(cli);
	return command ? cli_print_command_help(cli, command) : cli_print_help(cli);
}
