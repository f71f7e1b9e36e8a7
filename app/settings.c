/* games-dir, catalog, config, limits, identity, stop: what a person sets. */
#include "commands.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "wire/json.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOP_PATIENCE (10 * LSP_SECOND)
#define EXIT_PATIENCE_MS 2000 /* a program that embeds a peer goes on without it */

/* A path as the daemon, which has another working directory, needs it. NULL: out of memory. */
static char *absolute(const char *path)
{
	_cleanup_free_ char *here = NULL;
	if (path[0] == '/')
		return strdup(path);
	here = getcwd(NULL, 0);
	return here ? lsp_text_format("%s/%s", here, path) : NULL;
}

static int send_path(struct cli *cli, const char *name, const char *path, json_t **ret_result)
{
	/* A script's variable that is not set would name the folder that it runs in. */
	if (!path[0])
		return cli_usage_error(cli, "%s: a path is empty", cli->command);
	_cleanup_free_ char *whole = absolute(path);
	struct lsp_error err = {0};
	if (!whole) {
		lsp_error_no_memory(&err, "app");
		return cli_fail(cli, &err);
	}
	json_t *command = cli_command_new(name);
	cli_set(command, "path", whole);
	return cli_call_or_fail(cli, command, ret_result);
}

int cli_run_games_dir(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *result = NULL;
	int code = arguments->count > 0
			   ? send_path(cli, "set_game_dir", arguments->positional[0], &result)
			   : cli_call_or_fail(cli, cli_command_new("status"), &result);
	if (code != CLI_DONE)
		return code;
	if (cli->json) {
		_cleanup_json_ json_t *document =
			json_pack("{s:s}", "games_dir", cli_text(result, "games_dir"));
		cli_print_json(cli, document);
	} else {
		cli_print_text(cli->out, cli_text(result, "games_dir"));
		fputc('\n', cli->out);
	}
	return code;
}

/* ---- The catalogue ---- */

static int show_catalog(struct cli *cli)
{
	_cleanup_json_ json_t *result = NULL;
	struct cli_table table;
	const json_t *game;
	size_t i;
	int code = cli_call_or_fail(cli, cli_command_new("catalog_show"), &result);
	if (code != CLI_DONE)
		return code;
	if (cli->json) {
		cli_print_json(cli, result);
		return code;
	}
	const char *head[] = {"ID", "TITLE", "GENRE", "PUBLISHER", "VERSION"};
	cli_table_init(&table, LSP_ARRAY_SIZE(head));
	cli_table_fit(&table, cli, 1, "432");
	cli_table_add(&table, head);
	json_array_foreach (json_object_get(result, "games"), i, game) {
		const char *cells[] = {cli_text(game, "id"), cli_text(game, "title"),
			cli_text(game, "genre"), cli_text(game, "publisher"),
			cli_text(game, "version")};
		cli_table_add(&table, cells);
	}
	cli_table_print(&table, cli->out);
	cli_table_done(&table);
	return code;
}

int cli_check_catalog(struct cli *cli, const struct cli_arguments *arguments)
{
	const char *what = arguments->positional[0];
	if ((strcmp(what, "show") == 0 && arguments->count == 1) ||
		(strcmp(what, "import") == 0 && arguments->count == 2))
		return CLI_DONE;
	return cli_wrong_usage(cli, arguments->command);
}

/* A column that is not known is most often a typing mistake. */
static void print_imported(struct cli *cli, const json_t *result)
{
	const char *ignored = cli_text(result, "ignored");
	fprintf(cli->out, "games: %llu new, %llu changed, %llu as they were\n",
		(unsigned long long)cli_number(result, "added"),
		(unsigned long long)cli_number(result, "changed"),
		(unsigned long long)cli_number(result, "unchanged"));
	if (!ignored[0])
		return;
	fputs("lanspread: not known here, and left out: ", cli->errors);
	cli_print_text(cli->errors, ignored);
	fputc('\n', cli->errors);
}

int cli_run_catalog(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *result = NULL;
	const char *what = arguments->positional[0];
	if (strcmp(what, "show") == 0)
		return show_catalog(cli);
	int code = send_path(cli, "catalog_import", arguments->positional[1], &result);
	if (code == CLI_DONE && cli->json)
		cli_print_json(cli, result);
	else if (code == CLI_DONE)
		print_imported(cli, result);
	return code;
}

/* ---- Settings ---- */

/* A setting is JSON where it can be read as JSON (true, 17, null), else a text. */
static json_t *to_value(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
	return value ? value : json_string(text);
}

static void print_value(struct cli *cli, const json_t *value)
{
	_cleanup_free_ char *text =
		json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	cli_print_text(cli->out, json_is_string(value) ? json_string_value(value)
				 : text                ? text
						       : "");
}

static bool is_listed(const json_t *list, const char *text)
{
	const json_t *item;
	size_t i;
	json_array_foreach (list, i, item) {
		const char *word = json_string_value(item);
		if (word && strcmp(word, text) == 0)
			return true;
	}
	return false;
}

/* What holds where nothing is set. */
static const char *unset_meaning(const char *key)
{
	static const char *const meanings[][2] = {{"name", "the host's name"},
		{"interface", "all usable ones"}, {"unpacker", "the one that is built in"}};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(meanings); i++)
		if (strcmp(meanings[i][0], key) == 0)
			return meanings[i][1];
	return "the default";
}

static bool is_unset(const json_t *value)
{
	return json_is_string(value) && json_string_length(value) == 0;
}

/* One value alone is for scripts; among all of them it is told where one comes from. */
static void print_settings(struct cli *cli, json_t *result, const char *key)
{
	json_t *config = json_object_get(result, "config"), *value;
	const char *name;
	if (key) {
		value = json_object_get(config, key);
		print_value(cli, value);
		fputc('\n', cli->out);
		if (is_unset(value))
			cli_note(cli, "%s is not set: %s", key, unset_meaning(key));
		return;
	}
	json_object_foreach (config, name, value) {
		cli_print_text(cli->out, name);
		fputs(" = ", cli->out);
		print_value(cli, value);
		if (is_unset(value))
			fprintf(cli->out, " (not set: %s)", unset_meaning(name));
		fputs(is_listed(json_object_get(result, "fixed"), name)
				? "  (by a flag of this run)\n"
				: "\n",
			cli->out);
	}
}

int cli_run_config(struct cli *cli, const struct cli_arguments *arguments)
{
	const char *key = cli_positional(arguments, 0), *value = cli_positional(arguments, 1);
	json_t *command = cli_command_new(value ? "config_set" : "config_get");
	_cleanup_json_ json_t *result = NULL;
	cli_set(command, "key", key);
	if (value)
		cli_set_json(command, "value", to_value(value));
	int code = cli_call_or_fail(cli, command, &result);
	if (code == CLI_DONE && cli->json)
		cli_print_json(cli, result);
	else if (code == CLI_DONE)
		print_settings(cli, result, key);
	if (code == CLI_DONE && json_is_true(json_object_get(result, "restart")))
		cli_note(cli, "%s is in effect at the peer's next start", key);
	return code;
}

/* ---- Limits ---- */

bool cli_parse_rate(const char *text, json_int_t *ret_rate)
{
	static const char units[] = "KMG";
	char *end;
	errno = 0;
	double rate = strtod(text, &end);
	if (end == text || !isdigit((unsigned char)text[0]) || errno || !isfinite(rate))
		return false;
	const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (*end && (!unit || end[1]))
		return false;
	for (int i = 0; unit && i <= unit - units; i++)
		rate *= 1000;
	if (rate > 1e15)
		return false;
	*ret_rate = (json_int_t)rate;
	return true;
}

/* CLI_DONE, or CLI_USAGE with the mistake said. */
static int check_rate(struct cli *cli, const struct cli_arguments *arguments, const char *name)
{
	const char *text = cli_option(arguments, name);
	json_int_t rate;
	return !text || cli_parse_rate(text, &rate)
		       ? CLI_DONE
		       : cli_usage_error(cli,
				 "limits: --%s %s is no rate: bytes a second, with K, M or G "
				 "after it if you like",
				 name, text);
}

static bool is_change(const struct cli_arguments *arguments)
{
	static const char *const changes[] = {"up", "down", "pause-uploads", "resume-uploads"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(changes); i++)
		if (cli_flag(arguments, changes[i]))
			return true;
	return false;
}

int cli_check_limits(struct cli *cli, const struct cli_arguments *arguments)
{
	if (cli_flag(arguments, "pause-uploads") && cli_flag(arguments, "resume-uploads"))
		return cli_usage_error(cli, "limits: --pause-uploads or --resume-uploads");
	if (!is_change(arguments) && cli_flag(arguments, "game"))
		return cli_usage_error(cli, "limits: --game %s needs --up or --down",
			cli_option(arguments, "game"));
	int code = check_rate(cli, arguments, "up");
	return code == CLI_DONE ? check_rate(cli, arguments, "down") : code;
}

static void set_rate(json_t *command, const struct cli_arguments *arguments, const char *name)
{
	const char *text = cli_option(arguments, name);
	json_int_t rate;
	if (text && cli_parse_rate(text, &rate))
		cli_set_json(command, name, json_integer(rate));
}

static json_t *limits_command(const struct cli_arguments *arguments)
{
	bool pause = cli_flag(arguments, "pause-uploads");
	json_t *command = cli_command_new(is_change(arguments) ? "set_limits" : "get_limits");
	if (pause || cli_flag(arguments, "resume-uploads"))
		cli_set_json(command, "pause_uploads", json_boolean(pause));
	cli_set(command, "game", cli_option(arguments, "game"));
	set_rate(command, arguments, "up");
	set_rate(command, arguments, "down");
	return command;
}

const char *cli_rates(const json_t *limits, char out[CLI_RATES_MAX])
{
	char up[LSP_TEXT_SIZE_MAX], down[LSP_TEXT_SIZE_MAX];
	uint64_t u = cli_number(limits, "up"), d = cli_number(limits, "down");
	snprintf(out, CLI_RATES_MAX, "up %s%s, down %s%s", u ? lsp_text_size(u, up) : "unlimited",
		u ? "/s" : "", d ? lsp_text_size(d, down) : "unlimited", d ? "/s" : "");
	return out;
}

static void print_rates(struct cli *cli, const char *name, const json_t *limits)
{
	char rates[CLI_RATES_MAX];
	cli_print_text(cli->out, name);
	fprintf(cli->out, "%s%s\n", name[0] ? ": " : "", cli_rates(limits, rates));
}

static void print_limits(struct cli *cli, json_t *limits)
{
	const char *id;
	json_t *game;
	print_rates(cli, "", limits);
	json_object_foreach (json_object_get(limits, "games"), id, game) {
		print_rates(cli, id, game);
	}
	if (json_is_true(json_object_get(limits, "pause_uploads")))
		fputs("uploads are paused\n", cli->out);
}

int cli_run_limits(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *result = NULL;
	int code = cli_call_or_fail(cli, limits_command(arguments), &result);
	if (code == CLI_DONE && cli->json)
		cli_print_json(cli, result);
	else if (code == CLI_DONE)
		print_limits(cli, result);
	return code;
}

/* ---- Identity, the end ---- */

int cli_check_identity(struct cli *cli, const struct cli_arguments *arguments)
{
	const char *what = cli_positional(arguments, 0);
	return !what || strcmp(what, "rotate") == 0 ? CLI_DONE
						    : cli_wrong_usage(cli, arguments->command);
}

int cli_run_identity(struct cli *cli, const struct cli_arguments *arguments)
{
	const char *what = cli_positional(arguments, 0);
	_cleanup_json_ json_t *result = NULL;
	int code = cli_call_or_fail(
		cli, cli_command_new(what ? "identity_rotate" : "identity"), &result);
	if (code != CLI_DONE)
		return code;
	if (cli->json) {
		cli_print_json(cli, result);
		return code;
	}
	fprintf(cli->out, "%s\n", cli_text(result, "peer_id"));
	if (json_is_true(json_object_get(result, "restart")))
		cli_note(cli, "the new id is in effect at the peer's next start");
	return code;
}

/* What starts a peer right after it must find the state folder and the ports free. */
static void wait_for_exit(const struct cli *cli, int process)
{
	struct pollfd fds[2] = {
		{.fd = process, .events = POLLIN}, {.fd = cli->interrupt_fd, .events = POLLIN}};
	if (process >= 0)
		(void)poll(fds, 2, EXIT_PATIENCE_MS);
}

int cli_run_stop(struct cli *cli, const struct cli_arguments *arguments)
{
	_cleanup_json_ json_t *result = NULL;
	struct lsp_error err = {0};
	lsp_time deadline = lsp_time_add(lsp_now(lsp_clock_system), STOP_PATIENCE);
	_cleanup_close_ int process = lsp_control_process(cli->connection);
	int r = cli_call(cli, cli_command_new("shutdown"), &result, NULL, &err);
	/* A peer in a hurry may be gone before it answered. */
	if (r < 0 && r != -LSP_E_CLOSED)
		return cli_fail(cli, &err);
	while (r != -LSP_E_CLOSED) {
		_cleanup_json_ json_t *event = NULL;
		r = lsp_control_next(cli->connection,
			lsp_time_left(lsp_now(lsp_clock_system), deadline), &event, &err);
		if (r < 0 && r != -LSP_E_CLOSED)
			return cli_fail(cli, &err);
	}
	wait_for_exit(cli, process);
	if (cli->json) {
		_cleanup_json_ json_t *document = json_pack("{s:b}", "ok", 1);
		cli_print_json(cli, document);
	} else {
		fputs("stopped\n", cli->out);
	}
	return CLI_DONE;
}
