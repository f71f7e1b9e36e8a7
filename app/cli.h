/*
 * The command line: what a command is, what it is given, how it talks back.
 *
 * cli_commands (commands.c) is the table of all commands: name, usage, options, function. cli_main
 * finds the row, checks the arguments against it, connects to the daemon if the row says so, and
 * runs it. A command's function prints its result to cli->out, reports errors through cli_fail, and
 * returns an exit code. So every command has --help, --json and the same errors.
 *
 * One thread. A struct cli is made by main.c (or by a test, with streams and a descriptor of its
 * own) and lives as long as the program.
 */
#pragma once

#include "base/error.h"
#include "control/client.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit codes; stable. */
enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_NO_DAEMON = 3,
	CLI_DETACHED = 130, /* Ctrl-C, as shells say it: what it waited for goes on without it */
};

struct cli_option {
	const char *name;  /* without "--" */
	const char *value; /* what to call its value in the help; NULL: it takes none */
	const char *help;
};

/* A command of a command: torrent list. */
struct cli_subcommand {
	const char *names; /* several that take the same: "pause, resume" */
	const char *usage; /* as in struct cli_command */
	const char *help;
};

struct cli;
struct cli_arguments;

struct cli_command {
	const char *name;
	/*
	 * What follows the name, options that all have left out. Completion reads it too: " | " is
	 * between the ways to use it, a word in capitals is to be replaced (ID is a game, PATH and
	 * FILE are files, DIR a folder; also PEER, TORRENT, KEY, COMMAND), others stand for
	 * themselves, and "a|b" is one of them. The values of options are written alike.
	 */
	const char *usage;
	const char *summary; /* one line */
	int (*run)(struct cli *cli, const struct cli_arguments *arguments);
	const struct cli_option *options; /* NULL: only those that all commands have */
	int min, max;                     /* positional arguments */
	bool local;                       /* does not need a daemon: cli->connection is NULL */
	const char *send;                 /* for cli_run_simple: the command it sends */
	const char *takes[3]; /* for cli_run_simple: the names of its positional arguments */
	const struct cli_subcommand
		*verbs;      /* what its first argument may be; NULL: `usage` tells */
	const char *details; /* a paragraph for the help; NULL: nothing */
	/* Before any peer is asked: CLI_DONE, or the exit code of a mistake that was said. NULL: no
	 * more to check */
	int (*check)(struct cli *cli, const struct cli_arguments *arguments);
};

/* Ends with a NULL name. */
extern const struct cli_command cli_commands[];
/* NULL: there is no such command. */
const struct cli_command *cli_find_command(const char *name);
/* Has the row such an option? `add --version V` is the game's, elsewhere it is the program's. */
bool cli_has_option(const struct cli_command *command, const char *name);
/* Says so, with what it may have been. Returns CLI_USAGE. */
int cli_unknown_command(struct cli *cli, const char *name);

struct cli {
	/* immutable once cli_main runs */
	FILE *out, *errors;
	bool terminal;       /* `out` is one: progress bars */
	int columns;         /* of the terminal; 0: unknown */
	int interrupt_fd;    /* becomes readable at Ctrl-C; −1: none */
	const char *program; /* for starting ourselves */
	uint64_t patience;   /* for an event that says how an operation ended; 0: CLI_GAP */

	/* set by cli_main from the options that all commands have */
	bool json;
	const char *command;                   /* its name; NULL or empty: none */
	const struct cli_arguments *arguments; /* what was typed; NULL: not known yet */
	char *control;                         /* the socket's path */
	struct lsp_control_connection *connection;
};

/* Runs one command line; argv[0] is the program's name. Returns the exit code. */
int cli_main(struct cli *cli, int argc, char **argv);

/* ---- Arguments (arguments.c) ---- */

#define CLI_MAX_ARGUMENTS 64

struct cli_arguments {
	const struct cli_command *command;
	const char *positional[CLI_MAX_ARGUMENTS];
	int count;
	struct {
		const char *name, *value; /* value "" for a flag */
	} options[CLI_MAX_ARGUMENTS];
	int option_count;
};

/*
 * Sorts argv[0..argc) into options and the rest. "--name value" and "--name=value"; "--" ends the
 * options. Unknown options, a value too many or too few, and a wrong count of arguments are errors.
 */
LSP_MUST_CHECK int cli_parse(const struct cli_command *command, int argc, char **argv,
	struct cli_arguments *ret_arguments, struct lsp_error *err);
/* The value of the last such option; NULL: not given. */
const char *cli_option(const struct cli_arguments *arguments, const char *name);
bool cli_flag(const struct cli_arguments *arguments, const char *name);
/* The i-th value of an option that may come several times; NULL after the last. */
const char *cli_option_at(const struct cli_arguments *arguments, const char *name, int index);
/* The i-th positional argument, or NULL. */
const char *cli_positional(const struct cli_arguments *arguments, int index);

extern const struct cli_option cli_common_options[];

/* "1.5M" → 1500000 (settings.c). False for what is none. */
bool cli_parse_rate(const char *text, json_int_t *ret_rate);

#define CLI_RATES_MAX 80
/* {"up", "down"} → "up 1.5 MB/s, down unlimited" (settings.c). Returns `out`. */
const char *cli_rates(const json_t *limits, char out[CLI_RATES_MAX]);

/* ---- Talking to the daemon (talk.c) ---- */

#define CLI_PATIENCE (30 * LSP_SECOND) /* for an answer */
/* Between the halves of an install, or from the end of an operation to the event that says how. */
#define CLI_GAP (5 * LSP_SECOND)

/* {"command": name}; members are added with cli_set. Never NULL: out of memory ends the program. */
json_t *cli_command_new(const char *name);
void cli_set(json_t *command, const char *key, const char *text);   /* NULL: left out */
void cli_set_json(json_t *command, const char *key, json_t *value); /* taken over */

/*
 * Sends, waits for the answer, drops the command. As lsp_control_call; but the peer's error about
 * an argument, which it knows by its name in JSON, speaks of what the person typed.
 */
LSP_MUST_CHECK int cli_call(struct cli *cli, json_t *command, json_t **ret_result,
	json_t **ret_error, struct lsp_error *err);
/* The same with a patience of one's own, in nanoseconds; LSP_TIME_NEVER: as long as it takes. */
LSP_MUST_CHECK int cli_call_within(struct cli *cli, json_t *command, uint64_t patience,
	json_t **ret_result, json_t **ret_error, struct lsp_error *err);
/* The same, and reports a failure: CLI_DONE, or the exit code. */
int cli_call_or_fail(struct cli *cli, json_t *command, json_t **ret_result);

/* What the usage calls an argument: save_path is SAVE-PATH. Owned by the caller; NULL: no memory.
 */
char *cli_placeholder(const char *name);
/*
 * -LSP_E_NOT_FOUND, with a suggestion, if the peer's list has no such game. 0 also where the peer
 * does not answer.
 */
LSP_MUST_CHECK int cli_check_game(struct cli *cli, const char *id, struct lsp_error *err);

/* Runs a row with `send`: its positional arguments become `takes`, the result is printed as JSON.
 */
int cli_run_simple(struct cli *cli, const struct cli_arguments *arguments);

/* ---- Talking to the person (print.c) ---- */

/* One line on stderr (and, with --json, {"ok":false,"error":…} on stdout). Returns CLI_FAILED. */
int cli_fail(struct cli *cli, const struct lsp_error *err);
/* The same for a mistake on the command line, with the way to the help: CLI_USAGE. */
int cli_usage_error(struct cli *cli, const char *format, ...) LSP_PRINTF(2, 3);
/* The same for one that the command's usage answers. */
int cli_wrong_usage(struct cli *cli, const struct cli_command *command);
void cli_note(struct cli *cli, const char *format, ...) LSP_PRINTF(2, 3); /* on stderr */

/* One JSON document and a newline. */
void cli_print_json(struct cli *cli, const json_t *value);
/*
 * Prints a text that came from outside: control characters are escaped, so that no name of a game
 * or peer can draw on the terminal.
 */
void cli_print_text(FILE *file, const char *text);
/* The same as a text. The caller frees it; NULL: out of memory. */
char *cli_escaped(const char *text);

#define CLI_TABLE_MAX_COLUMNS 12

/*
 * Columns, sized by their content. Cells are copied; NULL prints as "-". Where cli_table_fit gave a
 * width that the table would not fit into, columns that say nothing are left out, the flexible one
 * is cut short, and where that does not do, the spare ones are left out in their order; what is
 * still too wide stays whole.
 */
struct cli_table {
	size_t columns, rows;
	char **cells;
	size_t room,
		flexible;  /* columns of the terminal (0: any number); which column may be cut */
	const char *spare; /* a digit for each column that a narrow terminal can do without */
};
void cli_table_init(struct cli_table *table, size_t columns);
void cli_table_fit(
	struct cli_table *table, const struct cli *cli, size_t flexible, const char *spare);
void cli_table_add(struct cli_table *table, const char *const *cells);
void cli_table_print(const struct cli_table *table, FILE *file);
void cli_table_done(struct cli_table *table);

/* ---- Reading JSON ---- */

/* A member's text; "" where it is absent or no text. */
const char *cli_text(const json_t *object, const char *key);
/* A member's number; 0 where it is absent. */
uint64_t cli_number(const json_t *object, const char *key);
