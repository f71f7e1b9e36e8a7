#include "hostile.h"

#include "base/random.h"
#include "parameters.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 10

static const char *const kinds[KIND_COUNT] = {"poison", "missing", "stall", "trickle", "reset",
	"flood", "greedy", "flaky", "lure", "half", "mute", "idle", "wire"};

static bool is_crowd(const struct hostile *hostile)
{
	return hostile->kind >= HALF && hostile->kind <= IDLE;
}

void say(json_t *line)
{
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(line);
}

_Noreturn void die(const char *what, const struct lsp_error *error)
{
	fprintf(stderr, "hostile-peer: %s: %s\n", what, error ? error->message : "not understood");
	exit(2);
}

static void freed(void *argument)
{
	uv_stop(argument);
}

void leave(struct hostile *hostile)
{
	if (!hostile->endpoint)
		return;
	if (is_crowd(hostile))
		crowd_leave();
	lsp_endpoint_close_all(hostile->endpoint, LSP_CLOSE_GOODBYE, "");
	lsp_endpoint_free(TAKE_PTR(hostile->endpoint), freed, &hostile->loop);
}

/* ---- Requests of theirs ---------------------------------------------------------------------- */

static void request(void *argument, struct lsp_responder *responder, struct lsp_request *request)
{
	struct lsp_response pong = {.type = LSP_RESPONSE_PONG};
	struct lsp_response games = {.type = LSP_RESPONSE_GAMES, .games.revision = 1};
	struct victim *victim = argument;
	if (request->type == LSP_REQUEST_PING)
		lsp_responder_send(responder, &pong);
	else if (victim->hostile->kind < HALF)
		company_request(victim, responder, request);
	else if (request->type == LSP_REQUEST_LIST_GAMES)
		lsp_responder_send(responder, &games);
	else
		lsp_responder_ok(responder);
}

static void breach(void *argument, const struct lsp_error *error)
{
	fprintf(stderr, "hostile-peer: they break a rule: %s\n", error->message);
}

void serve_stream(struct lsp_connection *connection, struct lsp_stream *stream, void *argument)
{
	lsp_responder_start(stream, &(struct lsp_responder_hooks){.request = request,
					    .breach = breach,
					    .argument = lsp_connection_user(connection)});
}

/* ---- Hello ----------------------------------------------------------------------------------- */

static void hello_answered(struct lsp_exchange *exchange, struct lsp_response *response)
{
	struct victim *victim = lsp_exchange_argument(exchange);
	victim->up = true;
	if (victim->hostile->kind == WIRE) {
		rule_break(victim);
		return;
	}
	if (is_crowd(victim->hostile))
		return;
	say(json_pack("{s:s, s:s}", "event", "up", "peer", victim->address));
	company_up(victim);
}

static void hello_done(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct victim *victim = lsp_exchange_argument(exchange);
	if (error && !is_crowd(victim->hostile))
		fprintf(stderr, "hostile-peer: Hello: %s\n", error->message);
}

void greet(struct victim *victim, const struct lsp_hash *id, uint16_t port)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.response = hello_answered, .done = hello_done};
	struct hostile *hostile = victim->hostile;
	struct lsp_request hello = {.type = LSP_REQUEST_HELLO};
	struct lsp_exchange *exchange;
	struct lsp_error err = {0};
	hello.hello.version = LSP_PROTOCOL_VERSION;
	hello.hello.peer = *id;
	hello.hello.instance = hostile->instance;
	hello.hello.port = port;
	hello.hello.revision = 1;
	snprintf(hello.hello.name, sizeof hello.hello.name, "%s", hostile->name);
	if (lsp_exchange_start(victim->connection, &hello, &callbacks, victim, &exchange, &err) < 0)
		die("Hello", &err);
}

static void connected(struct lsp_connection *connection, void *argument)
{
	struct victim *victim = lsp_connection_user(connection);
	struct hostile *hostile = victim->hostile;
	hostile->begun = lsp_now(lsp_clock_system);
	if (hostile->early)
		rule_break(victim);
	else
		greet(victim, lsp_identity_peer_id(hostile->identity),
			lsp_endpoint_port(hostile->endpoint));
}

static void closed(struct lsp_connection *connection, const struct lsp_close *close, void *argument)
{
	struct victim *victim = lsp_connection_user(connection);
	victim->connection = NULL;
	victim->up = false;
	if (victim->hostile->kind == WIRE) {
		rule_result(victim->hostile, close);
		return;
	}
	say(json_pack("{s:s, s:s, s:s, s:b, s:s}", "event", "closed", "peer", victim->address,
		"reason", lsp_close_reason_name(close->reason), "by_peer", close->by_peer,
		"message", close->message));
}

static void failed(const struct lsp_error *error, void *argument)
{
	die("the sockets", error);
}

/* ---- The program ----------------------------------------------------------------------------- */

static void dial(struct hostile *hostile, const char *text)
{
	struct victim *victim = &hostile->victims[hostile->victim_count++];
	struct sockaddr_storage address;
	struct lsp_error err = {0};
	const char *colon = strrchr(text, ':');
	char host[LSP_ADDRESS_TEXT_MAX];
	if (!colon || hostile->victim_count == VICTIMS_MAX || colon - text >= (long)sizeof host)
		die(text, NULL);
	snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
	snprintf(victim->address, sizeof victim->address, "%s", text);
	victim->hostile = hostile;
	if (lsp_address_parse(host, (uint16_t)atoi(colon + 1), &address, &err) < 0)
		die(text, &err);
	victim->to = address;
	if (is_crowd(hostile)) {
		crowd_begin(hostile, hostile->count, &address);
		return;
	}
	if (lsp_endpoint_connect(
		    hostile->endpoint, &address, NULL, victim, &victim->connection, &err) < 0)
		die(text, &err);
}

static void tick(uv_timer_t *timer)
{
	struct hostile *hostile = timer->data;
	if (!hostile->endpoint)
		return;
	if (hostile->kind == WIRE)
		rule_tick(hostile);
	else if (is_crowd(hostile))
		crowd_tick(hostile);
	else
		company_tick(hostile);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct hostile *hostile = handle->data;
	if (hostile->kind < HALF)
		company_done(hostile);
	leave(hostile);
}

static void open_all(struct hostile *hostile)
{
	static const struct lsp_endpoint_callbacks callbacks = {
		.connected = connected, .closed = closed, .stream = serve_stream, .failed = failed};
	struct lsp_error err = {0};
	uv_loop_init(&hostile->loop);
	uv_timer_init(&hostile->loop, &hostile->timer);
	uv_signal_init(&hostile->loop, &hostile->signal);
	hostile->timer.data = hostile->signal.data = hostile;
	uv_timer_start(&hostile->timer, tick, TICK_MS, TICK_MS);
	uv_signal_start(&hostile->signal, on_signal, SIGTERM);
	lsp_random_bytes(&hostile->instance, sizeof hostile->instance);
	struct lsp_endpoint_options options = {.loop = &hostile->loop,
		.callbacks = &callbacks,
		.argument = hostile,
		.max_resets = UINT32_MAX};
	if (lsp_identity_new(&hostile->identity, &err) < 0)
		die("identity", &err);
	options.identity = hostile->identity;
	if (lsp_endpoint_new(&options, &hostile->endpoint, &err) < 0)
		die("endpoint", &err);
}

static void use_parameters(const char *name)
{
	if (!parameters_find(name))
		die(name, NULL);
	parameters_use(parameters_find(name), PARAMETERS_CLIENT);
}

static enum kind parse_kind(const char *word)
{
	for (int i = 0; i < KIND_COUNT; i++)
		if (strcmp(kinds[i], word) == 0)
			return (enum kind)i;
	die(word, NULL);
}

int main(int argc, char **argv)
{
	static struct hostile hostile = {.name = "hostile", .seconds = 10, .count = 100};
	int at = 2;
	if (argc < 3)
		die("usage: KIND --game ID HOST:PORT... | wire CASE HOST:PORT", NULL);
	hostile.kind = parse_kind(argv[1]);
	if (hostile.kind == WIRE) {
		hostile.rule = argv[at++];
		if (strcmp(hostile.rule, "raw") == 0 && at < argc)
			hostile.file = argv[at++];
		if (!rule_is_known(hostile.rule))
			die(hostile.rule, NULL);
	}
	open_all(&hostile);
	hostile.begun = lsp_now(lsp_clock_system);
	for (; at < argc; at++) {
		bool more = at + 1 < argc;
		if (strcmp(argv[at], "--game") == 0 && more)
			hostile.game = argv[++at];
		else if (strcmp(argv[at], "--name") == 0 && more)
			hostile.name = argv[++at];
		else if (strcmp(argv[at], "--folder") == 0 && more)
			hostile.folder = argv[++at];
		else if (strcmp(argv[at], "--seconds") == 0 && more)
			hostile.seconds = atof(argv[++at]);
		else if (strcmp(argv[at], "--count") == 0 && more)
			hostile.count = (size_t)atoi(argv[++at]);
		else if (strcmp(argv[at], "--parameters") == 0 && more)
			use_parameters(argv[++at]);
		else if (strcmp(argv[at], "--early") == 0)
			hostile.early = true;
		else
			dial(&hostile, argv[at]);
	}
	if (hostile.kind < HALF && !hostile.game)
		die("--game is missing", NULL);
	if ((hostile.kind == FLAKY || hostile.kind == LURE) && !hostile.folder)
		die("--folder is missing", NULL);
	if (hostile.kind < HALF)
		company_begin(&hostile);
	uv_run(&hostile.loop, UV_RUN_DEFAULT);
	return 0;
}
