/*
 * The manual page, lanspread(1), out of the table of commands; the build installs what
 * `lanspread help --man` prints. In the man macros, which both groff and mandoc read.
 */
#include "commands.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The day of the build; one that shall be repeatable says which in $SOURCE_DATE_EPOCH. */
static void print_title(FILE *out)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	time_t seconds = epoch && epoch[0] ? (time_t)strtoll(epoch, NULL, 10)
					   : (time_t)(lsp_wall(lsp_clock_system) / LSP_SECOND);
	struct tm day;
	char text[16] = "1970-01-01";
	if (gmtime_r(&seconds, &day))
		strftime(text, sizeof text, "%Y-%m-%d", &day);
	fprintf(out, ".TH LANSPREAD 1 %s \"lanspread %s\" \"User Commands\"\n", text,
		LANSPREAD_VERSION);
}

/* A text as it is: no dash becomes a hyphen, no dot at a line's begin a request. */
static void print_plain(FILE *out, const char *text)
{
	if (text[0] == '.' || text[0] == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		switch (*text) {
		case '-':
			fputs("\\-", out);
			break;
		case '\\':
			fputs("\\e", out);
			break;
		case '\'':
			fputs("\\(aq", out);
			break;
		case '`':
			fputs("\\(ga", out);
			break;
		case '~':
			fputs("\\(ti", out);
			break;
		case '^':
			fputs("\\(ha", out);
			break;
		default:
			fputc(*text, out);
		}
	}
}

/* An entry of a list: what is typed in bold, what is to be replaced in italics. */
static void print_entry(
	FILE *out, const char *before, const char *name, const char *value, const char *help)
{
	fputs(".TP\n\\fB", out);
	print_plain(out, before);
	print_plain(out, name);
	fputs("\\fR", out);
	if (value && value[0]) {
		fputs(" \\fI", out);
		print_plain(out, value);
		fputs("\\fR", out);
	}
	fputc('\n', out);
	print_plain(out, help);
	fputc('\n', out);
}

static void print_options(FILE *out, const struct cli_option *options)
{
	for (const struct cli_option *option = options; option && option->name; option++)
		print_entry(out, "--", option->name, option->value, option->help);
}

static void print_command(FILE *out, const struct cli_command *command)
{
	print_entry(out, "", command->name, command->usage, command->summary);
	if (!command->verbs && !command->options)
		return;
	fputs(".RS\n", out);
	for (const struct cli_subcommand *verb = command->verbs; verb && verb->names; verb++)
		print_entry(out, "", verb->names, verb->usage, verb->help);
	if (command->details) {
		fputs(".PP\n", out);
		print_plain(out, command->details);
		fputc('\n', out);
	}
	print_options(out, command->options);
	fputs(".RE\n", out);
}

static const char description[] =
	".SH NAME\n"
	"lanspread \\- turn a LAN party into one game shelf\n"
	".SH SYNOPSIS\n"
	"\\fBlanspread\\fR [\\fICOMMAND\\fR] [\\fIARGUMENTS\\fR]\n"
	".SH DESCRIPTION\n"
	"Everybody\\(aqs games appear. Pick one, and it comes from everyone who has it at once,\n"
	"verified, and installs itself. No server, no internet, no account.\n"
	".PP\n"
	"Without a command, it starts a peer if none runs here, and opens its page.\n"
	".SH COMMANDS\n";

static const char rest[] =
	".SH EXIT STATUS\n"
	".TP\n\\fB0\\fR\nIt is done.\n"
	".TP\n\\fB1\\fR\nIt failed; one line on standard error says why.\n"
	".TP\n\\fB2\\fR\nWrong usage.\n"
	".TP\n\\fB3\\fR\nNo peer runs here.\n"
	".TP\n\\fB130\\fR\nDetached by Ctrl\\-C; what it waited for goes on.\n"
	".SH ENVIRONMENT\n"
	".TP\n\\fBLANSPREAD_CONTROL\\fR\nThe peer\\(aqs control socket, unless \\-\\-control "
	"says.\n"
	".TP\n\\fBXDG_RUNTIME_DIR\\fR\nWhere that is else, in \\fIlanspread/control.sock\\fR.\n"
	".TP\n\\fBXDG_STATE_HOME\\fR\nWhere keys, settings and caches are, in \\fIlanspread\\fR;\n"
	"\\fI\\(ti/.local/state\\fR if it is not set.\n"
	".SH EXAMPLES\n"
	".TP\n\\fBlanspread run\\fR\nA peer in the foreground; prints its addresses and its page.\n"
	".TP\n\\fBlanspread install quake\\fR\nDownloads it from all who have it, verifies, "
	"installs.\n"
	".TP\n\\fBlanspread add \\(ti/Games/mine \\-\\-id mine \\-\\-title Mine \\-\\-version "
	"1.0\\fR\n"
	"Shares a game of your own.\n";

int cli_print_manual(struct cli *cli)
{
	print_title(cli->out);
	fputs(description, cli->out);
	for (const struct cli_command *command = cli_commands; command->name; command++)
		print_command(cli->out, command);
	fputs(".SH OPTIONS\nEvery command takes these.\n", cli->out);
	print_options(cli->out, cli_common_options);
	fputs(rest, cli->out);
	return CLI_DONE;
}
