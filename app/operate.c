/*
 * get, install, update, uninstall, remove, verify, add: commands that start an operation and,
 * unless told not to, follow it to its end. Ctrl-C leaves the operation running and says so.
 */
#include "commands.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "progress.h"
#include "wait.h"
#include "wire/json.h"

#include <stdlib.h>
#include <string.h>

/* ---- The screen ---- */

struct screen {
	struct cli *cli;
	bool drawn; /* a bar stands in the last line */
};

static void wipe(struct screen *screen)
{
	if (screen->drawn)
		fputs("\r\033[K", screen->cli->out);
	screen->drawn = false;
	fflush(screen->cli->out);
}

static void draw(struct screen *screen, const char *title, const json_t *progress)
{
	char line[CLI_PROGRESS_MAX];
	fputs("\r\033[K", screen->cli->out);
	cli_print_text(
		screen->cli->out, cli_progress_line(title, progress, screen->cli->columns, line));
	fflush(screen->cli->out);
	screen->drawn = true;
}

/* The game as it is now: a new reference, or NULL. */
static json_t *ask_for_game(struct cli *cli, const char *id)
{
	_cleanup_json_ json_t *result = NULL;
	json_t *game;
	size_t i;
	if (cli_call(cli, cli_command_new("list_games"), &result, NULL, NULL) < 0)
		return NULL;
	json_array_foreach (json_object_get(result, "games"), i, game)
		if (strcmp(cli_text(game, "id"), id) == 0)
			return json_incref(game);
	return NULL;
}

/* Once, in a line: who is waited for, and what else would do. */
static void say_waiting(struct cli *cli, const struct cli_wait *wait)
{
	_cleanup_json_ json_t *game = wait->by_torrent ? ask_for_game(cli, wait->game) : NULL;
	if (cli_number(game, "sources"))
		cli_note(cli,
			"%s: nobody gives it by BitTorrent now; it goes on by itself when somebody "
			"does, and 'lanspread %s %s --engine lan' fetches it from the peers here",
			wait->game, wait->verb->name, wait->game);
	else if (wait->unread)
		cli_note(cli,
			"%s: who has it is still reading it through; the download begins by itself "
			"after that",
			wait->game);
	else
		cli_note(cli,
			"%s: nobody here has it now; it goes on by itself when somebody comes",
			wait->game);
}

/* What an event means for the eye: a JSON line, the bar, or nothing. */
static void show(
	struct screen *screen, struct cli_wait *wait, bool was_waiting, const json_t *event)
{
	struct cli *cli = screen->cli;
	if (cli->json) {
		if (cli_wait_concerns(wait, event))
			cli_print_json(cli, event);
		return;
	}
	if (wait->waiting && !was_waiting) {
		wipe(screen);
		say_waiting(cli, wait);
	}
	if (cli->terminal && cli_wait_concerns(wait, event) &&
		lsp_text_ends_with(cli_text(event, "event"), "_progress"))
		draw(screen, wait->game, event);
}

/* ---- The end ---- */

static int report_done(struct cli *cli, const struct cli_wait *wait, json_t *game)
{
	char size[LSP_TEXT_SIZE_MAX];
	if (cli->json) {
		_cleanup_json_ json_t *document = json_pack("{s:b, s:O?}", "ok", 1, "game", game);
		if (document && wait->kept[0])
			json_object_set_new(document, "kept", json_string(wait->kept));
		cli_print_json(cli, document);
		return CLI_DONE;
	}
	const char *version = cli_text(game, "local_version");
	fprintf(cli->out, "%s: %s", wait->game, wait->verb->done);
	/* Of what is gone there is nothing more to tell: it would be what is left. */
	bool here = strcmp(wait->verb->name, "uninstall") != 0 &&
		    strcmp(wait->verb->name, "remove") != 0;
	if (here && version[0] && cli_number(game, "size"))
		fprintf(cli->out, ", version %s, %s", version,
			lsp_text_size(cli_number(game, "size"), size));
	fputc('\n', cli->out);
	if (wait->kept[0]) {
		fputs("saved files are kept in ", cli->out);
		cli_print_text(cli->out, wait->kept);
		fputc('\n', cli->out);
	}
	return CLI_DONE;
}

static int detach(struct cli *cli, const struct cli_verb *verb, const char *game)
{
	cli_note(cli,
		"%s: %s goes on without this terminal; 'lanspread games' shows it, "
		"'lanspread cancel %s' stops it",
		game, verb->doing, game);
	return CLI_DETACHED;
}

static int lost(struct cli *cli, const struct cli_wait *wait, struct lsp_error *err)
{
	if (err->code == LSP_E_CLOSED)
		lsp_error_set(err, "app", LSP_E_CLOSED,
			"the peer stopped before %s was %s; a download goes on at its next start",
			wait->game, wait->verb->done);
	return cli_fail(cli, err);
}

/*
 * It has ended: CLI_OVER with the exit code, or CLI_GOES_ON when nothing has said yet how. `last`:
 * nothing will, so the game's state must.
 */
static enum cli_verdict judge(struct cli *cli, struct cli_wait *wait, bool last, int *ret_code)
{
	if (!wait->failed && !wait->finished && !wait->resynced && !last)
		return CLI_GOES_ON;
	_cleanup_json_ json_t *game = wait->failed ? NULL : ask_for_game(cli, wait->game);
	if (wait->failed) {
		*ret_code = cli_fail(cli, &wait->error);
	} else if (wait->finished || cli_wait_reached(wait, game)) {
		*ret_code = report_done(cli, wait, game);
	} else if (!last) {
		return CLI_GOES_ON;
	} else {
		struct lsp_error err = {0};
		lsp_error_set(&err, "app", LSP_E_CANCELLED, "%s: it was stopped before it was %s",
			wait->game, wait->verb->done);
		*ret_code = cli_fail(cli, &err);
	}
	return CLI_OVER;
}

static int follow(struct cli *cli, const struct cli_verb *verb, const char *game)
{
	struct screen screen = {.cli = cli};
	struct cli_wait wait;
	lsp_time deadline = LSP_TIME_NEVER;
	int code = CLI_FAILED;
	cli_wait_init(&wait, verb, game);
	for (;;) {
		struct lsp_error err = {0};
		_cleanup_json_ json_t *event = NULL;
		enum cli_verdict verdict = CLI_OVER;
		bool was_waiting = wait.waiting;
		lsp_time now = lsp_now(lsp_clock_system);
		int r = lsp_control_next(
			cli->connection, lsp_time_left(now, deadline), &event, &err);
		if (r < 0 && r != -LSP_E_TIMEOUT) {
			wipe(&screen);
			return r == -LSP_E_CANCELLED ? detach(cli, verb, game)
						     : lost(cli, &wait, &err);
		}
		if (r == 0) {
			verdict = cli_wait_take(&wait, event);
			show(&screen, &wait, was_waiting, event);
		}
		if (!wait.ended)
			deadline = LSP_TIME_NEVER;
		else if (deadline == LSP_TIME_NEVER)
			deadline = lsp_time_add(now, cli->patience ? cli->patience : CLI_GAP);
		if (verdict == CLI_GOES_ON)
			continue;
		wipe(&screen);
		if (judge(cli, &wait, r < 0, &code) == CLI_OVER)
			return code;
	}
}

/* ---- The beginning ---- */

static int list_variants(struct cli *cli, json_t *variants, const struct lsp_error *err)
{
	struct cli_table table;
	const json_t *variant;
	size_t i;
	fprintf(cli->errors, "lanspread: ");
	cli_print_text(cli->errors, err->message);
	fprintf(cli->errors, "; choose one with --variant CONTENT\n");
	if (cli->json) {
		_cleanup_json_ json_t *document = json_pack("{s:O}", "variants", variants);
		cli_print_json(cli, document);
		return CLI_FAILED;
	}
	const char *head[] = {"CONTENT", "VERSION", "SIZE", "HOLDERS"};
	cli_table_init(&table, 4);
	cli_table_add(&table, head);
	json_array_foreach (variants, i, variant) {
		char content[17], size[LSP_TEXT_SIZE_MAX], holders[32];
		const json_t *who = json_object_get(variant, "holders");
		snprintf(content, sizeof content, "%s", cli_text(variant, "content"));
		lsp_text_size(cli_number(variant, "size"), size);
		snprintf(holders, sizeof holders, "%llu",
			(unsigned long long)(json_is_array(who) ? json_array_size(who)
								: cli_number(variant, "holders")));
		const char *cells[] = {content, cli_text(variant, "version"), size, holders};
		cli_table_add(&table, cells);
	}
	cli_table_print(&table, cli->out);
	cli_table_done(&table);
	return CLI_FAILED;
}

/* Whether what keeps the game busy is what this command would start. */
static bool runs_already(struct cli *cli, const struct cli_verb *verb, const char *id)
{
	_cleanup_json_ json_t *game = ask_for_game(cli, id);
	return strcmp(cli_text(game, "operation"), verb->doing) == 0;
}

static int nothing_to_do(struct cli *cli, const char *id, const json_t *result)
{
	const char *message = cli_text(result, "message");
	if (cli->json) {
		_cleanup_json_ json_t *game = ask_for_game(cli, id);
		_cleanup_json_ json_t *document = json_pack("{s:b, s:O?, s:s, s:s}", "ok", 1,
			"game", game, "operation", "none", "message", message);
		cli_print_json(cli, document);
		return CLI_DONE;
	}
	fprintf(cli->out, "%s: ", id);
	cli_print_text(cli->out, message[0] ? message : "there is nothing to do");
	fputc('\n', cli->out);
	return CLI_DONE;
}

/* What it is doing now; a download may have nobody to come from yet. */
static void say_started(
	struct cli *cli, const struct cli_verb *verb, const char *id, const json_t *result)
{
	struct cli_wait wait;
	if (!json_is_true(json_object_get(result, "waiting"))) {
		fprintf(cli->out, "%s: %s; 'lanspread games' shows it\n", id, verb->doing);
		return;
	}
	_cleanup_json_ json_t *game = ask_for_game(cli, id);
	cli_wait_init(&wait, verb, id);
	cli_wait_look(&wait, game);
	say_waiting(cli, &wait);
}

static int start_and_follow(
	struct cli *cli, json_t *command, const struct cli_verb *verb, const char *id, bool wait)
{
	struct lsp_error err = {0};
	_cleanup_json_ json_t *result = NULL, *error = NULL;
	int r = cli_call(cli, command, &result, &error, &err);
	json_t *variants = json_object_get(error, "variants");
	if (r < 0 && json_is_array(variants))
		return list_variants(cli, variants, &err);
	/* Ctrl-C, unless the peer itself says that it was cancelled. */
	if (r == -LSP_E_CANCELLED && !error)
		return detach(cli, verb, id);
	if (r < 0 && !(r == -LSP_E_BUSY && runs_already(cli, verb, id)))
		return cli_fail(cli, &err);
	if (r == 0 && strcmp(cli_text(result, "operation"), "none") == 0)
		return nothing_to_do(cli, id, result);
	if (wait)
		return follow(cli, verb, id);
	if (cli->json)
		cli_print_json(cli, result);
	else
		say_started(cli, verb, id, result);
	return CLI_DONE;
}

int cli_run_operation(struct cli *cli, const struct cli_arguments *arguments)
{
	const char *id = arguments->positional[0];
	json_t *command = cli_command_new(arguments->command->send);
	cli_set(command, "game", id);
	cli_set(command, "variant", cli_option(arguments, "variant"));
	cli_set(command, "engine", cli_option(arguments, "engine"));
	if (cli_flag(arguments, "purge"))
		cli_set_json(command, "purge", json_true());
	return start_and_follow(cli, command, cli_verb_find(arguments->command->name), id,
		!cli_flag(arguments, "no-wait"));
}

int cli_check_add(struct cli *cli, const struct cli_arguments *arguments)
{
	return cli_flag(arguments, "id") && cli_flag(arguments, "version")
		       ? CLI_DONE
		       : cli_usage_error(cli, "add: --id and --version are needed");
}

int cli_run_add(struct cli *cli, const struct cli_arguments *arguments)
{
	const char *id = cli_option(arguments, "id"), *version = cli_option(arguments, "version");
	/* The daemon has another working directory. */
	_cleanup_free_ char *path = realpath(arguments->positional[0], NULL);
	if (!path) {
		struct lsp_error err = {0};
		lsp_error_set(&err, "app", LSP_E_NOT_FOUND, "cannot read %s: %m",
			arguments->positional[0]);
		return cli_fail(cli, &err);
	}
	json_t *command = cli_command_new("add_game");
	cli_set(command, "path", path);
	cli_set(command, "game", id);
	cli_set(command, "title", cli_option(arguments, "title"));
	cli_set(command, "version", version);
	if (cli_flag(arguments, "pack"))
		cli_set_json(command, "pack", json_true());
	return start_and_follow(
		cli, command, cli_verb_find("add"), id, !cli_flag(arguments, "no-wait"));
}

int cli_run_cancel(struct cli *cli, const struct cli_arguments *arguments)
{
	json_t *command = cli_command_new("cancel");
	_cleanup_json_ json_t *result = NULL;
	cli_set(command, "game", arguments->positional[0]);
	int code = cli_call_or_fail(cli, command, &result);
	if (code != CLI_DONE)
		return code;
	bool cancelled = json_is_true(json_object_get(result, "cancelled"));
	struct lsp_error err = {0};
	/* Whoever mistyped must not believe that it has stopped. */
	if (!cancelled && cli_check_game(cli, arguments->positional[0], &err) < 0)
		return cli_fail(cli, &err);
	if (cli->json)
		cli_print_json(cli, result);
	else
		fprintf(cli->out, "%s: %s\n", arguments->positional[0],
			cancelled ? "cancelled; what was verified is kept"
				  : "nothing was going on");
	return CLI_DONE;
}

int cli_run_pause(struct cli *cli, const struct cli_arguments *arguments)
{
	int code = cli_run_simple(cli, arguments);
	const char *id = arguments->positional[0];
	if (code != CLI_DONE || cli->json)
		return code;
	if (strcmp(arguments->command->name, "pause") == 0) {
		fprintf(cli->out, "%s: paused\n", id);
		return code;
	}
	struct cli_wait wait;
	_cleanup_json_ json_t *game = ask_for_game(cli, id);
	cli_wait_init(&wait, cli_verb_find("get"), id);
	cli_wait_look(&wait, game);
	if (wait.waiting)
		say_waiting(cli, &wait);
	else
		fprintf(cli->out, "%s: goes on\n", id);
	return code;
}
