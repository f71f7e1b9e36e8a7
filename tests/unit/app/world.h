/*
 * The command line, whole, for tests: argv goes in; exit code, stdout and stderr come out. The
 * other side of the control socket is a double of the public API, which each test scripts.
 */
#pragma once

#include "base/cleanup.h"
#include "cli.h"
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
	bool terminal, detach, stop, full;
	int columns; /* 0: 100 */
	uint64_t patience;
};

static struct world *the_world;

static inline void publish_all(struct world *world, struct lanspread *peer)
{
	for (int i = 0; i < MANY && world->after[i]; i++) {
		fake_publish(peer, world->after[i]);
		world->after[i] = NULL;
	}
}

static inline void handle(struct lanspread *peer, const json_t *command, uint64_t request,
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

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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

/* `full`: as onto a disk without space. */
static inline int run_words(struct world *world, int argc, char **argv)
{
	free(world->out);
	free(world->errors);
	world->out = NULL;
	struct cli cli = {.out = world->full ? fopen("/dev/full", "w")
					     : open_memstream(&world->out, &world->out_size),
		.errors = open_memstream(&world->errors, &world->errors_size),
		.terminal = world->terminal,
		.columns = world->columns ? world->columns : 100,
		.interrupt_fd = world->interrupt[0],
		.program = "/bin/false",
		.patience = world->patience};
	int code = cli_main(&cli, argc, argv);
	fclose(cli.out);
	fclose(cli.errors);
	return code;
}

/* Runs "lanspread <words>"; the words are split at blanks. */
static inline int lanspread(struct world *world, const char *words)
{
	char copy[512], program[] = "lanspread", *argv[32] = {program};
	int argc = 1;
	snprintf(copy, sizeof copy, "%s", words);
	for (char *word = strtok(copy, " "); word;
		word = strtok(NULL, " ")) /* lint: a test's own text */
		argv[argc++] = word;
	return run_words(world, argc, argv);
}

static inline void says(struct world *world, const char *command, json_t *result)
{
	world->answers = command;
	json_decref(world->answer.result);
	world->answer = (struct fake_answer){.result = result};
}

static inline void refuses(
	struct world *world, const char *command, int code, const char *message, json_t *more)
{
	world->answers = command;
	json_decref(world->answer.result);
	json_decref(world->answer.more);
	world->answer = (struct fake_answer){.code = code, .message = message, .more = more};
}

static inline json_t *event(const char *name, const char *game)
{
	return json_pack("{s:s, s:s}", "event", name, "game", game);
}

static inline json_t *snapshot(const char *game, const char *operation)
{
	if (!operation)
		return json_pack(
			"{s:s, s:[], s:[]}", "event", "local_games_updated", "games", "operations");
	return json_pack("{s:s, s:[], s:[{s:s, s:s}]}", "event", "local_games_updated", "games",
		"operations", "game", game, "operation", operation);
}

static inline void add_game(
	struct world *world, const char *id, const char *availability, const char *operation)
{
	json_array_append_new(world->games,
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:i, s:n}", "id", id, "title",
			"Quake", "availability", availability, "operation", operation,
			"local_version", "20240131", "latest_version", "20240131", "size",
			(json_int_t)1500000000, "sources", 2, "progress"));
}

/* The script of a download that goes well. */
static inline void script_download(struct world *world, const char *prefix, const char *doing)
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

static inline json_t *last_line(struct world *world)
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

static inline void assert_sent(struct world *world, const char *name, const char *expected)
{
	json_t *command = fake_last_command(world->peer, name);
	assert_non_null(command);
	char *text = json_dumps(command, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(text, expected);
	free(text);
	json_decref(command);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
