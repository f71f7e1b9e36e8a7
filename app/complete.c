/*
 * What a shell offers when its user presses Tab. The scripts in data/ hand over the words that
 * stand there and print what comes back: what can be completed is known here alone, from the table
 * of commands and from the peer. Nothing that a peer calls its games gets into a shell's line if it
 * could do anything there: such names are left out.
 */
#include "commands.h"

#include "base/cleanup.h"
#include "control/path.h"
#include "wire/json.h"

#include <ctype.h>
#include <string.h>

/* Nobody waits for Tab: not to be let in by a peer that hangs, nor for its answer. */
#define CONNECT_PATIENCE (200 * LSP_MILLISECOND)
#define PATIENCE (500 * LSP_MILLISECOND)
#define WORD_MAX 128

struct completion {
	struct cli *cli;
	const struct cli_command *command;
	const char *word;   /* to be completed */
	const char *before; /* what stands before it and stays: "--engine=" */
	const char *control, *state;
	const char *positional[CLI_MAX_ARGUMENTS];
	int count;
	bool options_ended;
	bool silent; /* the peer did not answer: it is asked no more */
};

/* ---- Candidates ---- */

static void offer(struct completion *completion, const char *candidate, const char *meaning)
{
	FILE *out = completion->cli->out;
	if (strncmp(candidate, completion->word, strlen(completion->word)) != 0)
		return;
	fprintf(out, "%s%s\t", completion->before ? completion->before : "", candidate);
	cli_print_text(out, meaning);
	fputc('\n', out);
}

/* A name that came from outside. */
static void offer_foreign(struct completion *completion, const char *name, const char *meaning)
{
	_cleanup_free_ char *plain = cli_escaped(name);
	if (plain && name[0] && name[0] != '-' && name[0] != ':' && strcmp(plain, name) == 0)
		offer(completion, name, meaning);
}

static void offer_options(struct completion *completion, const struct cli_option *options)
{
	for (const struct cli_option *option = options; option && option->name; option++) {
		char text[WORD_MAX];
		if (options == cli_common_options &&
			cli_has_option(completion->command, option->name))
			continue;
		snprintf(text, sizeof text, "--%s", option->name);
		offer(completion, text, option->help);
	}
}

static void offer_commands(struct completion *completion)
{
	for (const struct cli_command *command = cli_commands; command->name; command++)
		offer(completion, command->name, command->summary);
}

/* ---- What the peer knows ---- */

static bool connected(struct completion *completion)
{
	struct cli *cli = completion->cli;
	if (cli->connection)
		return true;
	if (!cli->control &&
		lsp_control_path(completion->control, completion->state, &cli->control, NULL) < 0)
		return false;
	return lsp_control_connect_within(cli->control, CONNECT_PATIENCE, &cli->connection, NULL) ==
	       0;
}

/* The answer of the peer that is meant; NULL where there is none. A new reference. */
static json_t *ask(struct completion *completion, const char *name)
{
	struct cli *cli = completion->cli;
	_cleanup_json_ json_t *command = cli_command_new(name);
	json_t *result = NULL;
	if (completion->silent || !connected(completion)) {
		completion->silent = true;
		return NULL;
	}
	lsp_control_interrupted_by(cli->connection, cli->interrupt_fd);
	completion->silent = lsp_control_call(cli->connection, command, PATIENCE, &result, NULL,
				     NULL) == -LSP_E_TIMEOUT;
	return result;
}

static void offer_list(
	struct completion *completion, const char *command, const char *list, const char *meaning)
{
	_cleanup_json_ json_t *result = ask(completion, command);
	const json_t *item;
	size_t i;
	json_array_foreach (json_object_get(result, list), i, item) {
		if (!cli_is_only_known(item))
			offer_foreign(completion, cli_text(item, "id"), cli_text(item, meaning));
	}
}

static void offer_settings(struct completion *completion)
{
	_cleanup_json_ json_t *result = ask(completion, "config_get");
	const char *key;
	json_t *value;
	json_object_foreach (json_object_get(result, "config"), key, value) {
		offer_foreign(completion, key, "");
	}
}

/* ---- What the usage says ---- */

static bool is_placeholder(const char *word)
{
	return isupper((unsigned char)word[0]) != 0;
}

static void offer_kind(struct completion *completion, const char *word)
{
	if (!is_placeholder(word))
		offer(completion, word, "");
	else if (strcmp(word, "PATH") == 0 || strcmp(word, "FILE") == 0)
		fputs(":files\n", completion->cli->out);
	else if (strcmp(word, "DIR") == 0)
		fputs(":folders\n", completion->cli->out);
	else if (strcmp(word, "ID") == 0)
		offer_list(completion, "list_games", "games", "title");
	else if (strcmp(word, "PEER") == 0)
		offer_list(completion, "peers", "peers", "name");
	else if (strcmp(word, "TORRENT") == 0)
		offer_list(completion, "torrent_list", "torrents", "name");
	else if (strcmp(word, "KEY") == 0)
		offer_settings(completion);
	else if (strcmp(word, "COMMAND") == 0)
		offer_commands(completion);
}

/* "lan|swarm": each of them. */
static void offer_kinds(struct completion *completion, const char *value)
{
	char word[WORD_MAX];
	while (*value) {
		size_t size = strcspn(value, "|");
		snprintf(word, sizeof word, "%.*s", (int)size, value);
		offer_kind(completion, word);
		value += size + (value[size] == '|');
	}
}

/* The next word of a usage without its brackets. False at the end of what has a place. */
static bool next_word(const char **usage, char word[WORD_MAX])
{
	*usage += strspn(*usage, " ");
	size_t size = strcspn(*usage, " "), from = strspn(*usage, "["), to = size;
	while (to > from && strchr("].", (*usage)[to - 1]))
		to--;
	snprintf(word, WORD_MAX, "%.*s", (int)(to - from), *usage + from);
	*usage += size;
	return word[0] && word[0] != '-' && strcmp(word, "OPTIONS") != 0;
}

/* One way to use it, if what stands there already is that. */
static void offer_way(
	struct completion *completion, const char *usage, const char *const *typed, int count)
{
	char word[WORD_MAX];
	for (int i = 0; next_word(&usage, word); i++) {
		if (i == count) {
			offer_kinds(completion, word);
			return;
		}
		if (!is_placeholder(word) && strcmp(word, typed[i]) != 0)
			return;
	}
}

static void offer_usage(
	struct completion *completion, const char *usage, const char *const *typed, int count)
{
	static const char between[] = " | ";
	char way[WORD_MAX];
	for (const char *end; usage; usage = end ? end + strlen(between) : NULL) {
		end = strstr(usage, between);
		size_t size = end ? (size_t)(end - usage) : strlen(usage);
		snprintf(way, sizeof way, "%.*s", (int)size, usage);
		offer_way(completion, way, typed, count);
	}
}

/* The verbs themselves, or what follows the one that stands there. */
static void offer_verbs(struct completion *completion)
{
	for (const struct cli_subcommand *verb = completion->command->verbs; verb->names; verb++) {
		const char *at = verb->names;
		while (*at) {
			char name[WORD_MAX];
			size_t size = strcspn(at, ",");
			snprintf(name, sizeof name, "%.*s", (int)size, at);
			at += size + strspn(at + size, ", ");
			if (completion->count == 0)
				offer(completion, name, verb->help);
			else if (strcmp(name, completion->positional[0]) == 0)
				offer_usage(completion, verb->usage, completion->positional + 1,
					completion->count - 1);
		}
	}
}

/* ---- What stands there ---- */

static const struct cli_option *find_option(
	const struct completion *completion, const char *word, size_t size)
{
	const struct cli_option *lists[] = {completion->command->options, cli_common_options};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lists); i++)
		for (const struct cli_option *option = lists[i]; option && option->name; option++)
			if (strlen(option->name) == size && memcmp(option->name, word, size) == 0)
				return option;
	return NULL;
}

/* Which option's value is the last word, NULL: none; the words before it are sorted. */
static const struct cli_option *read_words(struct completion *completion, int argc, char **argv)
{
	for (int i = 0; i < argc - 1; i++) {
		const char *word = argv[i], *equals = strchr(word, '=');
		if (completion->options_ended || strncmp(word, "--", 2) != 0) {
			if (completion->count < CLI_MAX_ARGUMENTS)
				completion->positional[completion->count++] = word;
			continue;
		}
		completion->options_ended = strcmp(word, "--") == 0;
		size_t size = (equals ? (size_t)(equals - word) : strlen(word)) - 2;
		const struct cli_option *option = find_option(completion, word + 2, size);
		if (!option || !option->value)
			continue;
		if (!equals && i + 1 == argc - 1)
			return option;
		const char *value = equals ? equals + 1 : argv[++i];
		if (strcmp(option->name, "control") == 0)
			completion->control = value;
		else if (strcmp(option->name, "state") == 0)
			completion->state = value;
	}
	return NULL;
}

/* --name=VALUE, begun. */
static void offer_value_behind(struct completion *completion, const char *equals)
{
	const char *word = completion->word;
	size_t size = (size_t)(equals - word) + 1;
	const struct cli_option *option = find_option(completion, word + 2, size - 3);
	_cleanup_free_ char *before = strndup(word, size);
	if (!option || !option->value || !before)
		return;
	completion->before = before;
	completion->word = equals + 1;
	offer_kinds(completion, option->value);
	completion->before = NULL;
}

static void complete_arguments(struct completion *completion, int argc, char **argv)
{
	const struct cli_option *option = read_words(completion, argc, argv);
	const char *word = completion->word, *equals = strchr(word, '=');
	bool dashed = word[0] == '-' && !completion->options_ended;
	if (option) {
		offer_kinds(completion, option->value);
	} else if (dashed && equals && strncmp(word, "--", 2) == 0) {
		offer_value_behind(completion, equals);
	} else if (dashed) {
		offer_options(completion, completion->command->options);
		offer_options(completion, cli_common_options);
	} else if (completion->command->verbs) {
		offer_verbs(completion);
	} else {
		offer_usage(completion, completion->command->usage, completion->positional,
			completion->count);
	}
}

int cli_complete(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command bare = {.name = "", .usage = "COMMAND"};
	struct completion completion = {.cli = cli, .command = &bare};
	if (argc < 1)
		return CLI_DONE;
	completion.word = argv[argc - 1];
	if (argc > 1 && argv[0][0] != '-') {
		completion.command = cli_find_command(argv[0]);
		argc--;
		argv++;
	} else if (argc > 1) {
		/* After options there is no command any more. */
		static const struct cli_command opened = {.name = "", .usage = ""};
		completion.command = &opened;
	}
	if (completion.command)
		complete_arguments(&completion, argc, argv);
	return CLI_DONE;
}
