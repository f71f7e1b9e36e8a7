/*
 * The command line, whole: argv goes in; exit code, stdout and stderr come out. The other side of
 * the control socket is a double of the public API, which each test scripts.
 */
#include "cli.h"
#include "base/cleanup.h"
#include "control/server.h"
#include "fake_peer.h"
#include "task/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 30

static struct lsp_error err;

#define assert_ok(call)                                                                            \
	do {                                                                                       \
		lsp_error_clear(&err);                                                             \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, err.message);                                    \
	} while (0)

struct world {
	char folder[64], path[96];
	struct lsp_cancel *token;
	struct lsp_tasks *tasks;
	struct lanspread *peer;
	/* What the double says, set by the test. */
	struct fake_answer answer;
	const char *answers; /* to which command; others get {} */
	json_t *games;
	json_t *after[MANY]; /* published after the answer, in order */
	/* What came out. */
	char *out, *errors;
	size_t out_size, errors_size;
	int interrupt[2];
	bool terminal, detach, stop;
	uint64_t patience;
};

static struct world *the_world;

static void publish_all(struct world *world, struct lanspread *peer)
{
	for (int i = 0; i < MANY && world->after[i]; i++) {
		fake_publish(peer, world->after[i]);
		world->after[i] = NULL;
	}
}

static void handle(struct lanspread *peer, const json_t *command, uint64_t request,
	struct fake_answer *answer, void *argument)
{
	struct world *world = argument;
	const char *name = json_string_value(json_object_get(command, "command"));
	if (!strcmp(name, "list_games")) {
		answer->result = json_pack("{s:O}", "games", world->games);
		return;
	}
	if (world->answers && !strcmp(name, world->answers)) {
		*answer = world->answer;
		answer->result = json_incref(world->answer.result);
		answer->more = json_incref(world->answer.more);
		publish_all(world, peer);
		if (world->detach && write(world->interrupt[1], "x", 1) != 1)
			abort();
		if (world->stop)
			fake_stop(peer);
	}
	if (!strcmp(name, "shutdown"))
		fake_stop(peer);
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof *world);
	struct lsp_control_options options = {.path = world->path};
	snprintf(world->folder, sizeof world->folder, "/tmp/lanspread-cli-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof world->path, "%s/control.sock", world->folder);
	assert_ok(lsp_cancel_new(NULL, &world->token, &err));
	assert_ok(lsp_tasks_new(world->token, NULL, &world->tasks, &err));
	world->peer = fake_new(handle, world);
	world->games = json_array();
	assert_int_equal(pipe(world->interrupt), 0);
	assert_ok(lsp_control_start(world->peer, world->tasks, &options, &err));
	setenv("HOME", world->folder, 1);
	setenv("LANSPREAD_CONTROL", world->path, 1);
	unsetenv("DISPLAY");
	unsetenv("WAYLAND_DISPLAY");
	*state = the_world = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	char command[128];
	fake_stop(world->peer);
	lsp_cancel_request(world->token, LSP_CANCEL_USER, NULL);
	assert_ok(lsp_tasks_join_all(
		world->tasks, lsp_now(lsp_clock_system) + 30 * LSP_SECOND, NULL, &err));
	lsp_tasks_free(world->tasks);
	lsp_cancel_unref(world->token);
	lanspread_free(world->peer);
	json_decref(world->games);
	json_decref(world->answer.result);
	json_decref(world->answer.more);
	free(world->out);
	free(world->errors);
	close(world->interrupt[0]);
	close(world->interrupt[1]);
	snprintf(command, sizeof command, "rm -rf %s", world->folder);
	assert_int_equal(system(command), 0);
	free(world);
	return 0;
}

/* Runs "lanspread <words>"; the words are split at blanks. */
static int lanspread(struct world *world, const char *words)
{
	char copy[512], program[] = "lanspread", *argv[32] = {program};
	int argc = 1;
	free(world->out);
	free(world->errors);
	struct cli cli = {.out = open_memstream(&world->out, &world->out_size),
		.errors = open_memstream(&world->errors, &world->errors_size),
		.terminal = world->terminal,
		.columns = 100,
		.interrupt_fd = world->interrupt[0],
		.program = "/bin/false",
		.patience = world->patience};
	snprintf(copy, sizeof copy, "%s", words);
	for (char *word = strtok(copy, " "); word;
		word = strtok(NULL, " ")) /* lint: a test's own text */
		argv[argc++] = word;
	int code = cli_main(&cli, argc, argv);
	fclose(cli.out);
	fclose(cli.errors);
	return code;
}

static void says(struct world *world, const char *command, json_t *result)
{
	world->answers = command;
	json_decref(world->answer.result);
	world->answer = (struct fake_answer){.result = result};
}

static void refuses(
	struct world *world, const char *command, int code, const char *message, json_t *more)
{
	world->answers = command;
	json_decref(world->answer.result);
	world->answer = (struct fake_answer){.code = code, .message = message, .more = more};
}

static json_t *event(const char *name, const char *game)
{
	return json_pack("{s:s, s:s}", "event", name, "game", game);
}

static json_t *snapshot(const char *game, const char *operation)
{
	if (!operation)
		return json_pack(
			"{s:s, s:[], s:[]}", "event", "local_games_updated", "games", "operations");
	return json_pack("{s:s, s:[], s:[{s:s, s:s}]}", "event", "local_games_updated", "games",
		"operations", "game", game, "operation", operation);
}

static void add_game(
	struct world *world, const char *id, const char *availability, const char *operation)
{
	json_array_append_new(world->games,
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:n}", "id", id, "title",
			"Quake", "availability", availability, "operation", operation,
			"local_version", "20240131", "latest_version", "20240131", "size",
			(json_int_t)1500000000, "sources", 2, "progress"));
}

/* The script of a download that goes well. */
static void script_download(struct world *world, const char *prefix, const char *doing)
{
	char name[64];
	int n = 0;
	world->after[n++] = snapshot("quake", doing);
	snprintf(name, sizeof name, "%s_begin", prefix);
	world->after[n++] = event(name, "quake");
	snprintf(name, sizeof name, "%s_progress", prefix);
	json_t *progress = event(name, "quake");
	json_object_update_new(
		progress, json_pack("{s:i, s:i, s:i, s:i, s:i}", "done", 500, "total", 1000, "rate",
				  100, "eta_s", 5, "sources", 2));
	world->after[n++] = progress;
	snprintf(name, sizeof name, "%s_finished", prefix);
	world->after[n++] = event(name, "quake");
	world->after[n++] = snapshot(NULL, NULL);
}

static json_t *last_line(struct world *world)
{
	char *copy = strdup(world->out), *end = copy + strlen(copy);
	while (end > copy && end[-1] == '\n')
		*--end = '\0';
	char *start = strrchr(copy, '\n');
	json_t *value = json_loads(start ? start + 1 : copy, 0, NULL);
	free(copy);
	assert_non_null(value);
	return value;
}

static void assert_sent(struct world *world, const char *name, const char *expected)
{
	json_t *command = fake_last_command(world->peer, name);
	assert_non_null(command);
	char *text = json_dumps(command, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text, expected);
	free(text);
	json_decref(command);
}

/* ---- The edge
 * ------------------------------------------------------------------------------------ */

static void help_and_version_need_no_peer(void **state)
{
	struct world *world = *state;
	setenv("LANSPREAD_CONTROL", "/nonexistent/socket", 1);
	for (const struct cli_command *command = cli_commands; command->name; command++) {
		char words[64];
		assert_int_equal(lanspread(world, "--help"), CLI_DONE);
		assert_non_null(strstr(world->out, command->name));
		snprintf(words, sizeof words, "%s --help", command->name);
		assert_int_equal(lanspread(world, words), CLI_DONE);
		assert_non_null(strstr(world->out, command->summary));
		assert_non_null(strstr(world->out, "--json"));
		snprintf(words, sizeof words, "%s --version", command->name);
		if (command->min == 0) {
			assert_int_equal(lanspread(world, words), CLI_DONE);
			assert_non_null(strstr(world->out, LANSPREAD_VERSION));
		}
		snprintf(words, sizeof words, "help %s", command->name);
		assert_int_equal(lanspread(world, words), CLI_DONE);
	}
	assert_int_equal(lanspread(world, "--version"), CLI_DONE);
	assert_non_null(strstr(world->out, LANSPREAD_VERSION));
}

static void wrong_usage_is_exit_2_and_one_line(void **state)
{
	struct world *world = *state;
	static const char *const lines[] = {"fly", "games now", "get", "get a b", "get a --variant",
		"status --loud", "status --json=1", "peers remember x", "limits --up fast",
		"limits --up -5", "limits --pause-uploads --resume-uploads", "catalog",
		"catalog import", "catalog eat x", "identity steal", "add . --id x", "torrent fly",
		"torrent list --set nothing", "torrent pause a b", "--games"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lines); i++) {
		assert_int_equal(lanspread(world, lines[i]), CLI_USAGE);
		assert_string_equal(world->out, "");
		assert_ptr_equal(
			strchr(world->errors, '\n'), world->errors + world->errors_size - 1);
		assert_ptr_equal(strstr(world->errors, "lanspread: "), world->errors);
	}
}

static void no_peer_is_exit_3(void **state)
{
	struct world *world = *state;
	static const char *const lines[] = {
		"status", "games", "get quake", "watch", "stop", "open"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lines); i++) {
		char words[128];
		snprintf(words, sizeof words, "%s --control %s/nobody", lines[i], world->folder);
		assert_int_equal(lanspread(world, words), CLI_NO_DAEMON);
		assert_non_null(strstr(world->errors, "no peer is running"));
	}
}

static void an_error_is_one_line_on_stderr_and_a_document_in_json(void **state)
{
	struct world *world = *state;
	refuses(world, "status", LANSPREAD_E_IO, "the disk \033[31m is \u202egone", NULL);
	assert_int_equal(lanspread(world, "status"), CLI_FAILED);
	assert_string_equal(world->errors, "lanspread: the disk \\u001b[31m is \\u202egone\n");
	assert_int_equal(lanspread(world, "status --json"), CLI_FAILED);
	json_t *document = last_line(world);
	assert_false(json_is_true(json_object_get(document, "ok")));
	assert_string_equal(cli_text(json_object_get(document, "error"), "code"), "io");
	json_decref(document);
}

/* ---- Looking
 * ------------------------------------------------------------------------------------- */

static void games_are_a_table_or_the_peers_own_document(void **state)
{
	struct world *world = *state;
	add_game(world, "quake", "remote", "none");
	add_game(world, "\033]0;evil\007", "downloaded", "verifying");
	assert_int_equal(lanspread(world, "games"), CLI_DONE);
	assert_non_null(strstr(world->out, "quake"));
	assert_non_null(strstr(world->out, "1.5 GB"));
	assert_null(strchr(world->out, '\033'));
	assert_int_equal(lanspread(world, "games --json"), CLI_DONE);
	json_t *document = last_line(world);
	assert_true(json_equal(json_object_get(document, "games"), world->games));
	json_decref(document);
}

static void status_peers_and_tasks_show_what_the_peer_says(void **state)
{
	struct world *world = *state;
	says(world, "status",
		json_pack("{s:s, s:s, s:[s,s], s:{s:s, s:[s]}, s:[{s:s, s:s, s:i, s:s}], s:i}",
			"name", "box", "peer_id", "ab12", "listen", "10.0.0.1:47777", "[::1]:47777",
			"health", "state", "degraded", "degraded", "discovery", "services", "name",
			"discovery", "state", "restarting", "restarts", 3, "error", "avahi died",
			"uptime_s", 65));
	assert_int_equal(lanspread(world, "status"), CLI_DONE);
	assert_non_null(strstr(world->out, "10.0.0.1:47777, [::1]:47777"));
	assert_non_null(strstr(world->out, "degraded: discovery"));
	assert_non_null(strstr(world->out, "avahi died"));
	assert_non_null(strstr(world->out, "1:05"));
	says(world, "peers",
		json_pack("{s:[{s:s, s:s, s:s, s:b, s:i}]}", "peers", "id", "ab12", "name", "box",
			"address", "10.0.0.2:47777", "connected", 1, "games", 7));
	assert_int_equal(lanspread(world, "peers"), CLI_DONE);
	assert_non_null(strstr(world->out, "10.0.0.2:47777  yes"));
	assert_int_equal(lanspread(world, "peers forget ab"), CLI_DONE);
	assert_sent(world, "peers_forget", "{\"command\":\"peers_forget\",\"peer\":\"ab\"}");
	says(world, "tasks",
		json_pack("{s:[{s:s, s:s, s:i, s:i, s:s}]}", "tasks", "name", "core", "kind",
			"background loop", "age_s", 3, "tid", 99, "state", "running"));
	assert_int_equal(lanspread(world, "tasks"), CLI_DONE);
	assert_non_null(strstr(world->out, "background loop"));
}

static void watch_prints_one_event_a_line_until_the_peer_stops(void **state)
{
	struct world *world = *state;
	world->answers = "nothing";
	fake_set_snapshot(world->peer, snapshot("quake", "downloading"));
	/* What happened before it came is in the snapshot, not among its events. */
	fake_publish(world->peer, event("early", "quake"));
	fake_stop(world->peer);
	assert_int_equal(lanspread(world, "watch --json"), CLI_DONE);
	assert_non_null(strstr(world->out, "{\"event\":\"local_games_updated\""));
	assert_null(strstr(world->out, "early"));
	assert_non_null(strstr(world->errors, "the peer has stopped"));
}

/* ---- Operations
 * ---------------------------------------------------------------------------------- */

static void get_returns_when_the_guard_is_released(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	script_download(world, "download", "downloading");
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake --variant ab12 --engine lan"), CLI_DONE);
	assert_string_equal(world->out, "quake: downloaded, version 20240131, 1.5 GB\n");
	assert_sent(world, "download_game_files",
		"{\"command\":\"download_game_files\",\"engine\":\"lan\",\"game\":\"quake\","
		"\"variant\":\"ab12\"}");
}

static void get_in_json_prints_events_and_the_result_last(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	script_download(world, "download", "downloading");
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake --json"), CLI_DONE);
	assert_ptr_equal(strstr(world->out, "{\"event\":\"download_begin\""), world->out);
	json_t *document = last_line(world);
	assert_true(json_is_true(json_object_get(document, "ok")));
	assert_string_equal(
		cli_text(json_object_get(document, "game"), "availability"), "downloaded");
	json_decref(document);
}

static void a_terminal_gets_a_bar_and_loses_it_at_the_end(void **state)
{
	struct world *world = *state;
	world->terminal = true;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	script_download(world, "download", "downloading");
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
	assert_non_null(strstr(world->out, "[###"));
	assert_non_null(strstr(world->out, " 50 %"));
	assert_non_null(strstr(world->out, "0:05 left  from 2"));
	assert_non_null(strstr(world->out, "\r\033[Kquake: downloaded"));
}

static void a_failure_is_exit_1_with_its_reason(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->after[1] = json_pack("{s:s, s:s, s:{s:s, s:s}}", "event", "download_failed", "game",
		"quake", "error", "code", "no_space", "message", "3 GB needed, 1 GB free");
	world->after[2] = snapshot(NULL, NULL);
	assert_int_equal(lanspread(world, "get quake"), CLI_FAILED);
	assert_string_equal(world->errors, "lanspread: 3 GB needed, 1 GB free\n");
}

static void other_games_events_do_not_end_a_wait(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot(NULL, NULL); /* of before: the operation is not in it yet */
	world->after[1] = snapshot("quake", "downloading");
	world->after[2] = json_pack("{s:s, s:s, s:{s:s}}", "event", "download_failed", "game",
		"doom", "error", "code", "io");
	world->after[3] = snapshot("quake", "downloading");
	world->after[4] = event("download_finished", "quake");
	world->after[5] = snapshot("doom", "downloading");
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
}

static void a_game_that_is_being_hashed_is_not_taken_for_the_download(void **state)
{
	struct world *world = *state;
	fake_set_snapshot(world->peer, snapshot("quake", "hashing"));
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot(NULL, NULL);
	world->after[1] = snapshot("quake", "downloading");
	world->after[2] = event("download_finished", "quake");
	world->after[3] = snapshot("quake", "hashing");
	add_game(world, "quake", "downloaded", "hashing");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
}

static void the_list_may_come_before_the_event_that_says_how(void **state)
{
	struct world *world = *state;
	says(world, "install_game", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->after[1] = snapshot(NULL, NULL);
	world->after[2] = event("download_finished", "quake");
	world->after[3] = event("install_begin", "quake");
	world->after[4] = snapshot("quake", "installing");
	world->after[5] = snapshot(NULL, NULL);
	world->after[6] = event("install_finished", "quake");
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "install quake"), CLI_DONE);
}

static void a_lost_stretch_of_events_is_made_good_by_the_games_state(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	json_t *resync = snapshot(NULL, NULL);
	json_object_set_new(resync, "resync", json_true());
	world->after[0] = resync;
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
}

static void a_cancelled_download_is_a_failure_for_who_waits(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->patience = 1;
	world->after[1] = snapshot(NULL, NULL); /* nothing says how it went: its state does, soon */
	add_game(world, "quake", "remote", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "stopped before"));
}

static void install_waits_through_both_halves(void **state)
{
	struct world *world = *state;
	says(world, "install_game", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->after[1] = event("download_finished", "quake");
	world->after[2] = snapshot(NULL, NULL); /* the moment between them */
	world->after[3] = snapshot("quake", "installing");
	world->after[4] = event("install_begin", "quake");
	world->after[5] = event("install_finished", "quake");
	world->after[6] = snapshot(NULL, NULL);
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "install quake"), CLI_DONE);
	assert_non_null(strstr(world->out, "quake: installed"));
}

static void install_fails_when_its_download_fails(void **state)
{
	struct world *world = *state;
	says(world, "install_game", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->after[1] = json_pack("{s:s, s:s, s:{s:s, s:s}}", "event", "download_failed", "game",
		"quake", "error", "code", "corrupt", "message", "no good copy");
	world->after[2] = snapshot(NULL, NULL);
	assert_int_equal(lanspread(world, "install quake"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "no good copy"));
}

static void uninstall_says_where_saves_were_kept(void **state)
{
	struct world *world = *state;
	says(world, "uninstall_game", json_pack("{s:s}", "operation", "uninstalling"));
	world->after[0] = snapshot("quake", "uninstalling");
	world->after[1] = event("uninstall_finished", "quake");
	json_object_set_new(world->after[1], "kept", json_string("/g/quake/local.kept-20240131"));
	world->after[2] = snapshot(NULL, NULL);
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "uninstall quake --purge"), CLI_DONE);
	assert_non_null(strstr(world->out, "saved files are kept in /g/quake/local.kept-20240131"));
	assert_sent(world, "uninstall_game",
		"{\"command\":\"uninstall_game\",\"game\":\"quake\",\"purge\":true}");
}

static void nothing_to_do_is_done(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files",
		json_pack("{s:s, s:s}", "operation", "none", "message",
			"quake 20230101 is here; 'lanspread update quake' fetches 20240131"));
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
	assert_non_null(strstr(world->out, "lanspread update quake"));
	assert_int_equal(lanspread(world, "get quake --json"), CLI_DONE);
	json_t *document = last_line(world);
	assert_string_equal(cli_text(document, "operation"), "none");
	json_decref(document);
}

static void an_unknown_game_is_exit_1(void **state)
{
	struct world *world = *state;
	refuses(world, "download_game_files", LANSPREAD_E_NOT_FOUND, "nobody knows a game 'quack'",
		NULL);
	assert_int_equal(lanspread(world, "get quack"), CLI_FAILED);
	assert_string_equal(world->errors, "lanspread: nobody knows a game 'quack'\n");
}

static void several_variants_are_listed_for_a_choice(void **state)
{
	struct world *world = *state;
	refuses(world, "download_game_files", LANSPREAD_E_EXISTS, "quake has 2 contents",
		json_pack("{s:[{s:s, s:s, s:i, s:i}, {s:s, s:s, s:i, s:i}]}", "variants", "content",
			"aaaabbbbccccddddeeee", "version", "1", "size", 1000, "holders", 3,
			"content", "11112222333344445555", "version", "1", "size", 2000, "holders",
			1));
	assert_int_equal(lanspread(world, "get quake"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "--variant"));
	assert_non_null(strstr(world->out, "aaaabbbbccccdddd"));
	assert_int_equal(lanspread(world, "get quake --json"), CLI_FAILED);
	json_t *document = last_line(world);
	assert_int_equal(json_array_size(json_object_get(document, "variants")), 2);
	json_decref(document);
}

static void get_attaches_to_a_running_download(void **state)
{
	struct world *world = *state;
	fake_set_snapshot(world->peer, snapshot("quake", "downloading"));
	refuses(world, "download_game_files", LANSPREAD_E_BUSY, "quake is being downloaded", NULL);
	add_game(world, "quake", "remote", "downloading");
	world->after[0] = event("download_finished", "quake");
	world->after[1] = snapshot(NULL, NULL);
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
	/* Busy with something else is an error. */
	refuses(world, "install_game", LANSPREAD_E_BUSY, "quake is being downloaded", NULL);
	assert_int_equal(lanspread(world, "install quake"), CLI_FAILED);
}

static void no_wait_returns_at_once(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	assert_int_equal(lanspread(world, "get quake --no-wait"), CLI_DONE);
	assert_non_null(strstr(world->out, "downloading"));
	assert_int_equal(lanspread(world, "get quake --no-wait --json"), CLI_DONE);
	json_t *document = last_line(world);
	assert_string_equal(cli_text(document, "operation"), "downloading");
	json_decref(document);
}

static void ctrl_c_detaches_and_says_how_to_look_and_cancel(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->detach = true;
	assert_int_equal(lanspread(world, "get quake"), CLI_DETACHED);
	assert_non_null(strstr(world->errors, "'lanspread games' shows it"));
	assert_non_null(strstr(world->errors, "'lanspread cancel quake' stops it"));
	assert_null(fake_last_command(world->peer, "cancel"));
}

static void waiting_for_a_source_is_said_once(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->after[1] = event("download_all_peers_gone", "quake");
	world->after[2] = event("download_all_peers_gone", "quake");
	world->after[3] = event("download_progress", "quake");
	world->after[4] = event("download_finished", "quake");
	world->after[5] = snapshot(NULL, NULL);
	add_game(world, "quake", "downloaded", "none");
	assert_int_equal(lanspread(world, "get quake"), CLI_DONE);
	char *first = strstr(world->errors, "nobody here has it now");
	assert_non_null(first);
	assert_null(strstr(first + 1, "nobody here has it now"));
}

static void a_peer_that_stops_under_a_wait_is_exit_1(void **state)
{
	struct world *world = *state;
	says(world, "download_game_files", json_pack("{s:s}", "operation", "downloading"));
	world->after[0] = snapshot("quake", "downloading");
	world->stop = true;
	assert_int_equal(lanspread(world, "get quake"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "goes on at its next start"));
}

static void add_sends_an_absolute_path(void **state)
{
	struct world *world = *state;
	char expected[256];
	says(world, "add_game", json_pack("{s:s}", "operation", "adding"));
	assert_int_equal(chdir(world->folder), 0);
	assert_int_equal(
		lanspread(world, "add . --id mine --title Mine --version 1.0 --pack --no-wait"),
		CLI_DONE);
	snprintf(expected, sizeof expected,
		"{\"command\":\"add_game\",\"game\":\"mine\",\"pack\":true,\"path\":\"%s\","
		"\"title\":\"Mine\",\"version\":\"1.0\"}",
		world->folder);
	assert_sent(world, "add_game", expected);
	assert_int_equal(lanspread(world, "add nowhere --id mine --version 1"), CLI_FAILED);
	assert_int_equal(chdir("/"), 0);
}

/* ---- Settings
 * ------------------------------------------------------------------------------------ */

static void limits_are_sent_in_bytes(void **state)
{
	struct world *world = *state;
	says(world, "set_limits", json_pack("{s:i, s:i}", "up", 1500000, "down", 0));
	assert_int_equal(lanspread(world, "limits --up 1.5M --down 0 --game quake"), CLI_DONE);
	assert_sent(world, "set_limits",
		"{\"command\":\"set_limits\",\"down\":0,\"game\":\"quake\",\"up\":1500000}");
	assert_non_null(strstr(world->out, "up 1.5 MB/s, down unlimited"));
	assert_int_equal(lanspread(world, "limits --pause-uploads"), CLI_DONE);
	assert_sent(world, "set_limits", "{\"command\":\"set_limits\",\"pause_uploads\":true}");
	assert_int_equal(lanspread(world, "limits"), CLI_DONE);
	assert_sent(world, "get_limits", "{\"command\":\"get_limits\"}");
}

static void settings_keep_their_types(void **state)
{
	struct world *world = *state;
	says(world, "config_set", json_pack("{s:{s:s}}", "config", "name", "box 17"));
	assert_int_equal(lanspread(world, "config name box"), CLI_DONE);
	assert_sent(world, "config_set",
		"{\"command\":\"config_set\",\"key\":\"name\",\"value\":\"box\"}");
	assert_string_equal(world->out, "box 17\n");
	assert_int_equal(lanspread(world, "config discovery false"), CLI_DONE);
	assert_sent(world, "config_set",
		"{\"command\":\"config_set\",\"key\":\"discovery\",\"value\":false}");
	assert_int_equal(lanspread(world, "config"), CLI_DONE);
	assert_sent(world, "config_get", "{\"command\":\"config_get\"}");
}

static void folders_and_files_are_named_absolutely(void **state)
{
	struct world *world = *state;
	char expected[256];
	assert_int_equal(chdir(world->folder), 0);
	says(world, "set_game_dir", json_pack("{s:s}", "games_dir", "/g"));
	assert_int_equal(lanspread(world, "games-dir new/place"), CLI_DONE);
	snprintf(expected, sizeof expected,
		"{\"command\":\"set_game_dir\",\"path\":\"%s/new/place\"}", world->folder);
	assert_sent(world, "set_game_dir", expected);
	assert_string_equal(world->out, "/g\n");
	says(world, "catalog_import", json_pack("{s:i}", "imported", 12));
	assert_int_equal(lanspread(world, "catalog import /tmp/games.csv"), CLI_DONE);
	assert_string_equal(world->out, "12 games\n");
	assert_int_equal(chdir("/"), 0);
}

static void a_new_identity_says_when_it_counts(void **state)
{
	struct world *world = *state;
	says(world, "identity_rotate", json_pack("{s:s, s:b}", "peer_id", "cd34", "restart", 1));
	assert_int_equal(lanspread(world, "identity rotate"), CLI_DONE);
	assert_string_equal(world->out, "cd34\n");
	assert_non_null(strstr(world->errors, "next start"));
}

static void stop_returns_when_the_peer_is_gone(void **state)
{
	struct world *world = *state;
	assert_int_equal(lanspread(world, "stop"), CLI_DONE);
	assert_string_equal(world->out, "stopped\n");
}

static void torrent_commands_pass_through(void **state)
{
	struct world *world = *state;
	says(world, "torrent_add", json_pack("{s:s}", "id", "t1"));
	assert_int_equal(
		lanspread(
			world, "torrent add magnet:?xt=1 --as-game --set paused=true --set name=x"),
		CLI_DONE);
	assert_sent(world, "torrent_add",
		"{\"as_game\":true,\"command\":\"torrent_add\",\"name\":\"x\",\"paused\":true,"
		"\"source\":\"magnet:?xt=1\"}");
}

static void open_puts_the_token_behind_the_address(void **state)
{
	struct world *world = *state;
	char path[128];
	snprintf(path, sizeof path, "%s/page.token", world->folder);
	FILE *file = fopen(path, "w");
	fputs("secret\n", file);
	fclose(file);
	says(world, "status",
		json_pack("{s:s, s:s}", "http", "http://127.0.0.1:47777/", "state_dir",
			world->folder));
	assert_int_equal(lanspread(world, "open --json"), CLI_DONE);
	json_t *document = last_line(world);
	assert_string_equal(cli_text(document, "page"), "http://127.0.0.1:47777/?token=secret");
	json_decref(document);
	/* Without a command, where a peer runs: the same. */
	assert_int_equal(lanspread(world, "--json"), CLI_DONE);
	says(world, "status", json_pack("{s:n, s:s}", "http", "state_dir", world->folder));
	assert_int_equal(lanspread(world, "open"), CLI_FAILED);
}

static void bare_says_where_the_log_is_when_no_peer_starts(void **state)
{
	struct world *world = *state;
	char words[128];
	unsetenv("XDG_STATE_HOME");
	snprintf(words, sizeof words, "--control %s/nobody", world->folder);
	assert_int_equal(lanspread(world, words), CLI_FAILED);
	assert_non_null(strstr(world->errors, "lanspread.log"));
	assert_non_null(strstr(world->errors, "did not start"));
}

static void play_reports_what_it_cannot_start(void **state)
{
	struct world *world = *state;
	says(world, "play_info",
		json_pack("{s:[s], s:s, s:s}", "argv", "/nonexistent/game", "cwd", "/", "kind",
			"program"));
	assert_int_equal(lanspread(world, "play quake"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "/nonexistent/game"));
	says(world, "play_info",
		json_pack("{s:[], s:s, s:s}", "argv", "cwd", "/g", "kind", "folder"));
	assert_int_equal(lanspread(world, "play quake"), CLI_FAILED);
	assert_non_null(strstr(world->errors, "/g"));
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(help_and_version_need_no_peer),
		WORLD_TEST(wrong_usage_is_exit_2_and_one_line),
		WORLD_TEST(no_peer_is_exit_3),
		WORLD_TEST(an_error_is_one_line_on_stderr_and_a_document_in_json),
		WORLD_TEST(games_are_a_table_or_the_peers_own_document),
		WORLD_TEST(status_peers_and_tasks_show_what_the_peer_says),
		WORLD_TEST(watch_prints_one_event_a_line_until_the_peer_stops),
		WORLD_TEST(get_returns_when_the_guard_is_released),
		WORLD_TEST(get_in_json_prints_events_and_the_result_last),
		WORLD_TEST(a_terminal_gets_a_bar_and_loses_it_at_the_end),
		WORLD_TEST(a_failure_is_exit_1_with_its_reason),
		WORLD_TEST(other_games_events_do_not_end_a_wait),
		WORLD_TEST(a_game_that_is_being_hashed_is_not_taken_for_the_download),
		WORLD_TEST(the_list_may_come_before_the_event_that_says_how),
		WORLD_TEST(a_lost_stretch_of_events_is_made_good_by_the_games_state),
		WORLD_TEST(a_cancelled_download_is_a_failure_for_who_waits),
		WORLD_TEST(install_waits_through_both_halves),
		WORLD_TEST(install_fails_when_its_download_fails),
		WORLD_TEST(uninstall_says_where_saves_were_kept),
		WORLD_TEST(nothing_to_do_is_done),
		WORLD_TEST(an_unknown_game_is_exit_1),
		WORLD_TEST(several_variants_are_listed_for_a_choice),
		WORLD_TEST(get_attaches_to_a_running_download),
		WORLD_TEST(no_wait_returns_at_once),
		WORLD_TEST(ctrl_c_detaches_and_says_how_to_look_and_cancel),
		WORLD_TEST(waiting_for_a_source_is_said_once),
		WORLD_TEST(a_peer_that_stops_under_a_wait_is_exit_1),
		WORLD_TEST(add_sends_an_absolute_path),
		WORLD_TEST(limits_are_sent_in_bytes),
		WORLD_TEST(settings_keep_their_types),
		WORLD_TEST(folders_and_files_are_named_absolutely),
		WORLD_TEST(a_new_identity_says_when_it_counts),
		WORLD_TEST(stop_returns_when_the_peer_is_gone),
		WORLD_TEST(torrent_commands_pass_through),
		WORLD_TEST(open_puts_the_token_behind_the_address),
		WORLD_TEST(bare_says_where_the_log_is_when_no_peer_starts),
		WORLD_TEST(play_reports_what_it_cannot_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
