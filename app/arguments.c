#include "cli.h"

#include "suggest.h"

#include <ctype.h>
#include <string.h>

static const struct cli_option *find(
	const struct cli_option *options, const char *name, size_t length)
{
	for (const struct cli_option *option = options; option && option->name; option++)
		if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
			return option;
	return NULL;
}

static int add_option(
	struct cli_arguments *arguments, const char *name, const char *value, struct lsp_error *err)
{
	if (arguments->option_count == CLI_MAX_ARGUMENTS)
		return lsp_error_set(err, "app", LSP_E_INVALID, "too many options");
	arguments->options[arguments->option_count].name = name;
	arguments->options[arguments->option_count++].value = value;
	return 0;
}

static void offer_options(struct cli_suggestion *suggestion, const struct cli_option *options)
{
	for (const struct cli_option *option = options; option && option->name; option++)
		cli_suggestion_offer(suggestion, option->name);
}

static int unknown_option(
	const struct cli_command *command, const char *word, size_t length, struct lsp_error *err)
{
	char name[CLI_SUGGESTION_WORD_MAX + 2], text[CLI_SUGGESTION_TEXT_MAX];
	struct cli_suggestion suggestion;
	snprintf(name, sizeof name, "%.*s", (int)length, word);
	cli_suggestion_init(&suggestion, name);
	offer_options(&suggestion, command->options);
	offer_options(&suggestion, cli_common_options);
	return lsp_error_set(err, "app", LSP_E_INVALID, "there is no option --%s%s", name,
		cli_suggestion_text(&suggestion, "--", "", text));
}

/* argv[*index] starts with "--"; moves on over a value of its own. */
static int take_option(
	struct cli_arguments *arguments, int argc, char **argv, int *index, struct lsp_error *err)
{
	const char *word = argv[*index] + 2, *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - word) : strlen(word);
	const struct cli_option *option = find(arguments->command->options, word, length);
	if (!option)
		option = find(cli_common_options, word, length);
	if (!option)
		return unknown_option(arguments->command, word, length, err);
	if (!option->value && equals)
		return lsp_error_set(
			err, "app", LSP_E_INVALID, "--%s takes no value", option->name);
	if (!option->value)
		return add_option(arguments, option->name, "", err);
	if (equals)
		return add_option(arguments, option->name, equals + 1, err);
	/* What begins with "--" is the next option; as a value it is written --name=--value. */
	if (*index + 1 >= argc || strncmp(argv[*index + 1], "--", 2) == 0)
		return lsp_error_set(
			err, "app", LSP_E_INVALID, "--%s needs %s", option->name, option->value);
	return add_option(arguments, option->name, argv[++*index], err);
}

int cli_parse(const struct cli_command *command, int argc, char **argv,
	struct cli_arguments *ret_arguments, struct lsp_error *err)
{
	struct cli_arguments arguments = {.command = command};
	bool options = true;
	for (int i = 0; i < argc; i++) {
		int r = 0;
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (options && strcmp(argv[i], "-h") == 0) {
			r = add_option(&arguments, "help", "", err);
		} else if (options && strncmp(argv[i], "--", 2) == 0) {
			r = take_option(&arguments, argc, argv, &i, err);
		} else if (options && argv[i][0] == '-' && isalpha((unsigned char)argv[i][1])) {
			r = lsp_error_set(err, "app", LSP_E_INVALID,
				"there is no option %s (what begins with a dash comes after --)",
				argv[i]);
		} else if (arguments.count < CLI_MAX_ARGUMENTS) {
			arguments.positional[arguments.count++] = argv[i];
		} else {
			r = lsp_error_set(err, "app", LSP_E_INVALID, "too many arguments");
		}
		if (r < 0)
			return r;
	}
	bool help = cli_flag(&arguments, "help");
	if (!help && arguments.count < command->min)
		return lsp_error_set(err, "app", LSP_E_INVALID, "it is 'lanspread %s %s'",
			command->name, command->usage);
	if (!help && arguments.count > command->max)
		return lsp_error_set(err, "app", LSP_E_INVALID, "'%s' is one argument too many",
			arguments.positional[command->max]);
	*ret_arguments = arguments;
	return 0;
}

const char *cli_option(const struct cli_arguments *arguments, const char *name)
{
	for (int i = arguments->option_count - 1; i >= 0; i--)
		if (strcmp(arguments->options[i].name, name) == 0)
			return arguments->options[i].value;
	return NULL;
}

bool cli_flag(const struct cli_arguments *arguments, const char *name)
{
	return cli_option(arguments, name) != NULL;
}

const char *cli_option_at(const struct cli_arguments *arguments, const char *name, int index)
{
	for (int i = 0; i < arguments->option_count; i++)
		if (strcmp(arguments->options[i].name, name) == 0 && index-- == 0)
			return arguments->options[i].value;
	return NULL;
}

const char *cli_positional(const struct cli_arguments *arguments, int index)
{
	return index < arguments->count ? arguments->positional[index] : NULL;
}
