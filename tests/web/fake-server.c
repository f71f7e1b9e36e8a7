/*
 * The page's server over a fake peer, for the tests of the page: what happens is told on standard
 * input, one JSON object a line, and said back on standard output once it has happened.
 *
 *   {"put": Game} {"fill": N} {"change": id, "with": {…}} {"advance": bytes} {"emit": event}
 *   {"status": key, "value": …} {"peers": […]} {"script": command, "answer": …} {"hold": command}
 *   {"restart": milliseconds}   the server goes, and comes back after that time on the same port
 *   {"quit": true}
 *
 * usage: fake-server PORT [TOKEN-FILE], or fake-server --routes for the table of routes
 */
#include "fake_peer.h"

#include "base/cleanup.h"
#include "http/http.h"
#include "http/internal.h"
#include "task/registry.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake {
	struct lanspread *peer;
	struct lsp_cancel *root;
	struct lsp_tasks *tasks;
	struct lsp_http *http;
	const char *token_file;
	char listen[32];
};

static void start(struct fake *fake)
{
	struct lsp_error err = {0};
	struct lsp_http_options options = {.listen = fake->listen, .token_file = fake->token_file};
	if (lsp_http_start(fake->peer, fake->tasks, &options, &fake->http, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	/* The port that it got is the one that it comes back on. */
	const char *address = lsp_http_address(fake->http) + strlen("http://");
	snprintf(fake->listen, sizeof fake->listen, "%.*s", (int)strcspn(address, "/"), address);
}

static void restart(struct fake *fake, json_int_t milliseconds)
{
	lsp_http_free(fake->http);
	poll(NULL, 0, (int)milliseconds); /* it is away for so long: that is the point */
	start(fake);
}

static const char *text(json_t *line, const char *key)
{
	return json_string_value(json_object_get(line, key));
}

static json_t *take(json_t *line, const char *key)
{
	return json_deep_copy(json_object_get(line, key));
}

static void obey(struct fake *fake, json_t *line)
{
	struct lanspread *peer = fake->peer;
	if (json_object_get(line, "put"))
		fake_peer_put_game(peer, take(line, "put"));
	if (json_object_get(line, "fill"))
		fake_peer_fill(peer, (size_t)json_integer_value(json_object_get(line, "fill")));
	if (text(line, "change"))
		fake_peer_change_game(peer, text(line, "change"), take(line, "with"));
	if (json_object_get(line, "advance"))
		fake_peer_advance(peer, json_integer_value(json_object_get(line, "advance")));
	if (json_object_get(line, "emit"))
		fake_peer_emit(peer, take(line, "emit"));
	if (text(line, "status"))
		fake_peer_set_status(peer, text(line, "status"), take(line, "value"));
	if (json_object_get(line, "peers"))
		fake_peer_set_peers(peer, take(line, "peers"));
	if (text(line, "script"))
		fake_peer_script(peer, text(line, "script"), take(line, "answer"));
	if (text(line, "hold"))
		fake_peer_hold(peer, text(line, "hold"));
	if (json_object_get(line, "restart"))
		restart(fake, json_integer_value(json_object_get(line, "restart")));
}

static int print_routes(void)
{
	for (const struct lsp_http_route *route = lsp_http_routes; route->method; route++)
		printf("%s %s\n", route->method, route->pattern);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--routes") == 0)
		return print_routes();
	struct fake fake = {.peer = fake_peer_new(), .token_file = argc > 2 ? argv[2] : NULL};
	struct lsp_error err = {0};
	snprintf(fake.listen, sizeof fake.listen, "127.0.0.1:%s", argc > 1 ? argv[1] : "0");
	if (lsp_cancel_new(NULL, &fake.root, &err) < 0 ||
		lsp_tasks_new(fake.root, NULL, &fake.tasks, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	start(&fake);
	printf("%s\n", lsp_http_url(fake.http));
	fflush(stdout);
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	while (getline(&line, &size, stdin) > 0) {
		json_t *json = json_loads(line, 0, NULL);
		bool quit = json_object_get(json, "quit") != NULL;
		obey(&fake, json);
		printf("%s\n", json ? "done" : "what?");
		fflush(stdout);
		json_decref(json);
		if (quit)
			break;
	}
	lsp_http_free(fake.http);
	int r = lsp_tasks_join_all(fake.tasks, LSP_TIME_NEVER, NULL, NULL);
	lsp_tasks_free(fake.tasks);
	lsp_cancel_unref(fake.root);
	fake_peer_free(fake.peer);
	return r < 0;
}
