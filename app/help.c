/* `help`, `--help`: the list of commands, and what one of them takes. */
#include "commands.h"

#include <string.h>

#define WRAPPED_MIN 20 /* where less than that is left, the terminal breaks the lines */
#define NARROW_WIDTH 4
#define LEFT_WIDTH 24 /* of the column of options; what is longer has a line of its own */

/*
 * A text of ours and the end of its line, on a terminal in lines that break between two words. It
 * begins in the column `indent`, and so do the further lines.
 */
static void print_wrapped(struct cli *cli, size_t indent, const char *text)
{
	size_t room = cli->terminal ? (size_t)LSP_MAX(cli->columns, 0) : 0, column = indent;
	while (*text) {
		size_t size = strcspn(text, " ");
		bool fits = room < indent + WRAPPED_MIN || column + 1 + size <= room;
		if (column > indent && !fits) {
			fprintf(cli->out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', cli->out);
			column++;
		}
		fwrite(text, 1, size, cli->out);
		column += size;
		text += size + strspn(text + size, " ");
	}
	fputc('\n', cli->out);
}

/* Where the terminal is too narrow for two columns, the right one comes below the left one. */
static void print_row(struct cli *cli, int width, const char *left, const char *right)
{
	if (cli->terminal && cli->columns > 0 && cli->columns < width + 4 + WRAPPED_MIN)
		width = NARROW_WIDTH;
	if (strlen(left) > (size_t)width)
		fprintf(cli->out, "  %s\n%*s", left, width + 4, "");
	else
		fprintf(cli->out, "  %-*s  ", width, left);
	print_wrapped(cli, (size_t)width + 4, right);
}

int cli_print_help(struct cli *cli)
{
	int width = 0;
	print_wrapped(cli, 0, "lanspread turns a LAN party into one game shelf.");
	fputs("\nusage: lanspread [COMMAND] [ARGUMENTS]\n\n", cli->out);
	print_wrapped(
		cli, 0, "Without a command: starts a peer if none runs here, and opens its page.");
	fputc('\n', cli->out);
	for (const struct cli_command *command = cli_commands; command->name; command++)
		width = LSP_MAX(width, (int)strlen(command->name));
	for (const struct cli_command *command = cli_commands; command->name; command++)
		print_row(cli, width, command->name, command->summary);
	fputc('\n', cli->out);
	print_wrapped(cli, 0, "Every command takes --control PATH, --json and --help.");
	print_wrapped(cli, 0,
		"Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no peer runs here; 130 detached by "
		"Ctrl-C.");
	return CLI_DONE;
}

static void print_verbs(struct cli *cli, const struct cli_subcommand *verbs)
{
	for (const struct cli_subcommand *verb = verbs; verb && verb->names; verb++) {
		char left[64];
		snprintf(left, sizeof left, "%s%s%s", verb->names, verb->usage[0] ? " " : "",
			verb->usage);
		print_row(cli, LEFT_WIDTH, left, verb->help);
	}
	if (verbs)
		fputc('\n', cli->out);
}

/* Without those that `command` has itself, if that is given. */
static void print_options(
	struct cli *cli, const struct cli_option *options, const struct cli_command *command)
{
	for (const struct cli_option *option = options; option && option->name; option++) {
		char left[64];
		if (command && cli_has_option(command, option->name))
			continue;
		snprintf(left, sizeof left, "--%s%s%s", option->name, option->value ? " " : "",
			option->value ? option->value : "");
		print_row(cli, LEFT_WIDTH, left, option->help);
	}
}

int cli_print_command_help(struct cli *cli, const struct cli_command *command)
{
	fprintf(cli->out, "usage: lanspread %s%s%s\n\n", command->name,
		command->usage[0] ? " " : "", command->usage);
	print_wrapped(cli, 0, command->summary);
	fputc('\n', cli->out);
	print_verbs(cli, command->verbs);
	if (command->details) {
		print_wrapped(cli, 0, command->details);
		fputc('\n', cli->out);
	}
	print_options(cli, command->options, NULL);
	print_options(cli, cli_common_options, command);
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
