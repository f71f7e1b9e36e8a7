/*
 * A real peer, started as a program would, and another one that the test plays: an endpoint on the
 * test's own loop, which says what a script says. What no honest peer would say, it can say.
 */
#pragma once

#include "../net/pair.h"

#include "base/fs.h"
#include "base/text.h"
#include "peer/exchange.h"
#include "wire/message.h"

#include <lanspread/lanspread.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHER_FUNCTION __attribute__((unused)) static

struct other;

/* Answers a request, or keeps the responder for later; false: the usual answer. */
typedef bool (*other_script)(
	struct other *other, struct lsp_responder *responder, struct lsp_request *request);

struct other {
	char folder[40];
	struct lanspread *peer;
	struct lanspread_stream *events;
	const char *const *peers; /* that it is told of, as by --peer; NULL: none */

	uv_loop_t loop;
	struct side side;
	other_script script;
	unsigned asked[LSP_REQUEST_COUNT];
	const struct lsp_game_summary *games; /* what ListGames answers */
	size_t game_count;
	uint64_t revision;
	struct lsp_responder *kept;
};

/* ---- Files --------------------------------------------------------------------------------- */

OTHER_FUNCTION void other_write(struct other *other, const char *path, size_t size)
{
	_cleanup_free_ char *whole = lsp_text_format("%s/games/%s", other->folder, path);
	assert_non_null(whole);
	for (char *slash = strchr(whole + strlen(other->folder) + 1, '/'); slash;
		slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(whole, 0755);
		*slash = '/';
	}
	FILE *file = fopen(whole, "w");
	assert_non_null(file);
	for (size_t i = 0; i < size; i++)
		fputc((int)(i * 7 + (i >> 12)), file);
	assert_int_equal(fclose(file), 0);
}

OTHER_FUNCTION void other_write_text(struct other *other, const char *path, const char *text)
{
	_cleanup_free_ char *whole = lsp_text_format("%s/games/%s", other->folder, path);
	FILE *file = fopen(whole, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* ---- The peer ------------------------------------------------------------------------------ */

static void other_no_log(
	enum lanspread_log_level level, const char *component, const char *message, void *argument)
{
	if (getenv("TEST_LOG"))
		fprintf(stderr, "%s: %s\n", component, message);
}

OTHER_FUNCTION void other_begin(struct other *other)
{
	*other = (struct other){.revision = 1};
	strcpy(other->folder, "/tmp/lanspread-other-XXXXXX");
	assert_non_null(mkdtemp(other->folder));
	_cleanup_free_ char *games = lsp_text_format("%s/games", other->folder);
	assert_int_equal(mkdir(games, 0755), 0);
}

OTHER_FUNCTION void other_start_peer(struct other *other)
{
	_cleanup_free_ char *games = lsp_text_format("%s/games", other->folder);
	_cleanup_free_ char *state = lsp_text_format("%s/state", other->folder);
	struct lanspread_error err;
	struct lanspread_options options = {
		.struct_size = sizeof options,
		.games_dir = games,
		.state_dir = state,
		.listen = "127.0.0.1:0",
		.no_discovery = 1,
		.peers = other->peers,
		.log_sink = other_no_log,
		.log_level = LANSPREAD_LOG_DEBUG,
		.log_level_set = 1,
	};
	if (lanspread_start(&options, &other->peer, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(lanspread_subscribe(other->peer, &other->events, &err), 0);
}

OTHER_FUNCTION void other_stop_peer(struct other *other)
{
	struct lanspread_exit exit;
	lanspread_shutdown(other->peer);
	assert_int_equal(lanspread_wait_stopped(other->peer, 20000, &exit, NULL), 0);
	if (exit.exit_code)
		fail_msg("the peer did not stop in time: %s", exit.message);
	lanspread_stream_free(other->events);
	lanspread_free(other->peer);
	other->peer = NULL;
}

/* The next event of that name that satisfies `accept` (NULL: any); a new reference. */
OTHER_FUNCTION json_t *other_await(struct other *other, const char *name,
	bool (*accept)(json_t *event, const void *argument), const void *argument)
{
	lsp_time deadline = lsp_now(lsp_clock_system) + TEST_DEADLINE;
	while (lsp_now(lsp_clock_system) < deadline) {
		char *text = NULL;
		uv_run(&other->loop, UV_RUN_NOWAIT);
		if (lanspread_next_event(other->events, 5, &text, NULL) < 0)
			continue;
		json_t *event = json_loads(text, 0, NULL);
		lanspread_free_text(text);
		if (strcmp(json_string_value(json_object_get(event, "event")), name) == 0 &&
			(!accept || accept(event, argument)))
			return event;
		json_decref(event);
	}
	fail_msg("no event %s came", name);
	return NULL;
}

OTHER_FUNCTION void other_expect(struct other *other, const char *name)
{
	json_decref(other_await(other, name, NULL, NULL));
}

OTHER_FUNCTION uint64_t other_send(struct other *other, const char *json)
{
	uint64_t request = 0;
	assert_int_equal(lanspread_send(other->peer, other->events, json, &request, NULL), 0);
	return request;
}

static bool other_is_answer(json_t *event, const void *number)
{
	return (uint64_t)json_integer_value(json_object_get(event, "request")) ==
	       *(const uint64_t *)number;
}

/* The answer to a command; a new reference. */
OTHER_FUNCTION json_t *other_ask(struct other *other, const char *json)
{
	uint64_t number = other_send(other, json);
	return other_await(other, "answer", other_is_answer, &number);
}

OTHER_FUNCTION uint16_t other_peer_port(struct other *other)
{
	json_t *answer = other_ask(other, "{\"command\":\"status\"}");
	json_t *result = json_object_get(answer, "result");
	const char *listen =
		json_string_value(json_array_get(json_object_get(result, "listen"), 0));
	assert_non_null(listen);
	uint16_t port = (uint16_t)strtoul(strrchr(listen, ':') + 1, NULL, 10);
	json_decref(answer);
	return port;
}

/* ---- The other one ------------------------------------------------------------------------- */

static void other_hello(struct other *other, struct lsp_hello *hello)
{
	*hello = (struct lsp_hello){.version = LSP_PROTOCOL_VERSION};
	hello->peer = *lsp_endpoint_peer_id(other->side.endpoint);
	memset(hello->instance.bytes, 0x5a, sizeof hello->instance.bytes);
	strcpy(hello->name, "other");
	hello->port = lsp_endpoint_port(other->side.endpoint);
	hello->revision = other->revision;
	hello->games = other->game_count;
}

static void other_serve(
	void *argument, struct lsp_responder *responder, struct lsp_request *request)
{
	struct other *other = argument;
	struct lsp_response response = {.type = LSP_RESPONSE_OK};
	other->asked[request->type]++;
	if (other->script && other->script(other, responder, request))
		return;
	if (request->type == LSP_REQUEST_PING) {
		response.type = LSP_RESPONSE_PONG;
	} else if (request->type == LSP_REQUEST_LIST_GAMES) {
		response.type = LSP_RESPONSE_GAMES;
		response.games.revision = other->revision;
		response.games.games.items = (struct lsp_game_summary *)(uintptr_t)other->games;
		response.games.games.count = other->game_count;
	}
	lsp_responder_send(responder, &response);
}

static void other_breach(void *argument, const struct lsp_error *error)
{
	fail_msg("the peer broke a rule: %s", error->message);
}

static void other_stream(
	struct lsp_connection *connection, struct lsp_stream *stream, void *argument)
{
	struct side *side = argument;
	lsp_responder_start(
		stream, &(struct lsp_responder_hooks){.request = other_serve,
				.breach = other_breach,
				.argument = lsp_container_of(side, struct other, side)});
}

static void other_told(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	bool *done = lsp_exchange_argument(exchange);
	if (error)
		fail_msg("%s", error->message);
	*done = true;
}

/* Asks, and waits for an answer that is no Error. */
OTHER_FUNCTION void other_tell(struct other *other, const struct lsp_request *request)
{
	static const struct lsp_exchange_callbacks callbacks = {.done = other_told};
	struct lsp_exchange *exchange;
	bool done = false;
	assert_int_equal(lsp_exchange_start(other->side.connection, request, &callbacks, &done,
				 &exchange, NULL),
		0);
	RUN_UNTIL(&other->loop, done);
}

OTHER_FUNCTION void other_dial(struct other *other)
{
	static const struct lsp_endpoint_callbacks callbacks = {
		.connected = side_connected, .closed = side_closed, .stream = other_stream};
	uint16_t port = other_peer_port(other);
	unsigned before = other->side.connected;
	struct sockaddr_storage address = loopback(AF_INET, port);
	struct lsp_connection *connection;
	assert_int_equal(lsp_identity_new(&other->side.identity, NULL), 0);
	struct lsp_endpoint_options options = {
		.loop = &other->loop,
		.identity = other->side.identity,
		.callbacks = &callbacks,
		.argument = &other->side,
	};
	assert_int_equal(lsp_endpoint_new(&options, &other->side.endpoint, NULL), 0);
	assert_int_equal(
		lsp_endpoint_connect(other->side.endpoint, &address, NULL, NULL, &connection, NULL),
		0);
	RUN_UNTIL(&other->loop, other->side.connected > before);
}

/* Dials the peer and says Hello. */
OTHER_FUNCTION void other_connect(struct other *other)
{
	unsigned listed = other->asked[LSP_REQUEST_LIST_GAMES];
	other_dial(other);
	struct lsp_request hello = {.type = LSP_REQUEST_HELLO};
	other_hello(other, &hello.hello);
	other_tell(other, &hello);
	RUN_UNTIL(&other->loop, other->asked[LSP_REQUEST_LIST_GAMES] > listed);
}

OTHER_FUNCTION void other_disconnect(struct other *other)
{
	if (other->side.endpoint)
		side_close(&other->side, &other->loop);
}

OTHER_FUNCTION int other_set_up(void **state)
{
	struct other *other = calloc(1, sizeof *other);
	other_begin(other);
	assert_int_equal(uv_loop_init(&other->loop), 0);
	*state = other;
	return 0;
}

OTHER_FUNCTION int other_tear_down(void **state)
{
	struct other *other = *state;
	if (other->peer)
		other_stop_peer(other);
	other_disconnect(other);
	uv_run(&other->loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&other->loop), 0);
	int tmp = open("/tmp", O_PATH | O_DIRECTORY);
	assert_int_equal(lsp_fs_remove_tree_below(tmp, other->folder + strlen("/tmp/"), NULL), 0);
	close(tmp);
	free(other);
	return 0;
}

/* A summary with a content that nobody can have. */
OTHER_FUNCTION struct lsp_game_summary other_summary(const char *id)
{
	struct lsp_game_summary summary = {.size = 100000, .state = LSP_GAME_READY};
	snprintf(summary.id, sizeof summary.id, "%s", id);
	snprintf(summary.title, sizeof summary.title, "%s", id);
	snprintf(summary.version, sizeof summary.version, "20240101");
	memset(summary.content.bytes, 0xab, sizeof summary.content.bytes);
	return summary;
}
