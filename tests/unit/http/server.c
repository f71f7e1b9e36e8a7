/* Requests and their replies: routes, commands, caches. */
#include "harness.h"

#include "base/cleanup.h"
#include "base/fs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct harness *of(void **state)
{
	return *state;
}

static json_t *parse(const struct reply *reply)
{
	json_t *json = json_loadb(reply->body, reply->size, 0, NULL);
	assert_non_null(json);
	return json;
}

static void the_start_link_gives_the_page_and_a_cookie(void **state)
{
	_cleanup_reply_ struct reply reply = {0};
	char request[256];
	snprintf(request, sizeof request, "GET /?token=%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
		of(state)->token);
	harness_raw(of(state), request, &reply);
	assert_int_equal(reply.status, 200);
	const char *cookie = reply_header(&reply, "Set-Cookie");
	assert_non_null(strstr(cookie, of(state)->token));
	assert_non_null(strstr(cookie, "; HttpOnly"));
	assert_non_null(strstr(cookie, "; SameSite=Strict"));
	assert_non_null(
		strstr(reply_header(&reply, "Content-Security-Policy"), "default-src 'none'"));
	assert_string_equal(reply_header(&reply, "X-Content-Type-Options"), "nosniff");
	assert_non_null(strstr(reply.body, "<html"));
}

static void the_page_has_a_validator(void **state)
{
	_cleanup_reply_ struct reply reply = {0}, again = {0};
	char header[128];
	harness_request(of(state), "GET", "/", NULL, NULL, &reply);
	assert_int_equal(reply.status, 200);
	snprintf(header, sizeof header, "If-None-Match: \"x\", W/%s\r\n",
		reply_header(&reply, "ETag"));
	harness_request(of(state), "GET", "/", header, NULL, &again);
	assert_int_equal(again.status, 304);
	assert_int_equal(again.size, 0);
}

static void the_list_of_games_is_asked_for_once_until_something_happens(void **state)
{
	struct harness *harness = of(state);
	_cleanup_reply_ struct reply first = {0}, second = {0}, third = {0}, fourth = {0};
	char header[128];
	harness_request(harness, "GET", "/api/games", NULL, NULL, &first);
	assert_int_equal(first.status, 200);
	json_t *json = parse(&first);
	assert_int_equal(json_array_size(json_object_get(json, "games")), 2);
	json_decref(json);
	harness_request(harness, "GET", "/api/games", NULL, NULL, &second);
	assert_string_equal(first.body, second.body);
	assert_int_equal(fake_peer_count(harness->peer, "list_games"), 1);
	snprintf(header, sizeof header, "If-None-Match: %s\r\n", reply_header(&second, "ETag"));
	harness_request(harness, "GET", "/api/games", header, NULL, &third);
	assert_int_equal(third.status, 304);
	fake_peer_change_game(harness->peer, "quake", json_pack("{s:i}", "sources", 9));
	harness_request(harness, "GET", "/api/games", header, NULL, &fourth);
	assert_int_equal(fourth.status, 200);
	assert_int_equal(fake_peer_count(harness->peer, "list_games"), 2);
}

static void progress_alone_makes_the_list_stale_after_a_second(void **state)
{
	struct harness *harness = of(state);
	struct reply replies[4] = {0};
	harness_request(harness, "POST", "/api/games/quake/download", NULL, "{}", &replies[0]);
	harness_request(harness, "GET", "/api/games", NULL, NULL, &replies[1]);
	size_t before = fake_peer_count(harness->peer, "list_games");
	fake_peer_advance(harness->peer, 1000);
	harness_request(harness, "GET", "/api/games", NULL, NULL, &replies[2]);
	assert_int_equal(fake_peer_count(harness->peer, "list_games"), before);
	lsp_fake_clock_advance(&harness->clock, LSP_SECOND);
	harness_request(harness, "GET", "/api/games", NULL, NULL, &replies[3]);
	assert_int_equal(fake_peer_count(harness->peer, "list_games"), before + 1);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(replies); i++)
		reply_free(&replies[i]);
}

static void a_post_becomes_a_command_with_the_path_and_the_body_in_it(void **state)
{
	_cleanup_reply_ struct reply reply = {0};
	harness_request(of(state), "POST", "/api/games/quake/install", NULL,
		"{\"variant\":\"aaaa0000\"}", &reply);
	assert_int_equal(reply.status, 200);
	json_t *sent = fake_peer_last(of(state)->peer, "install_game");
	assert_string_equal(json_string_value(json_object_get(sent, "game")), "quake");
	assert_string_equal(json_string_value(json_object_get(sent, "variant")), "aaaa0000");
	json_decref(sent);
	json_t *answer = parse(&reply);
	assert_string_equal(json_string_value(json_object_get(answer, "operation")), "installing");
	json_decref(answer);
}

static void a_body_may_not_contradict_the_path_or_name_a_command(void **state)
{
	_cleanup_reply_ struct reply reply = {0}, other = {0};
	harness_request(
		of(state), "POST", "/api/games/quake/install", NULL, "{\"game\":\"doom\"}", &reply);
	assert_int_equal(reply.status, 400);
	assert_non_null(strstr(reply.body, "body.game"));
	harness_request(of(state), "POST", "/api/games/quake/install", NULL,
		"{\"command\":\"shutdown\"}", &other);
	assert_int_equal(other.status, 400);
	assert_int_equal(fake_peer_count(of(state)->peer, "install_game"), 0);
	assert_int_equal(fake_peer_count(of(state)->peer, "shutdown"), 0);
}

static void a_refusal_keeps_its_code_its_words_and_its_choices(void **state)
{
	_cleanup_reply_ struct reply reply = {0}, missing = {0};
	fake_peer_change_game(of(state)->peer, "quake", json_pack("{s:i}", "variants", 2));
	harness_request(of(state), "POST", "/api/games/quake/download", NULL, "{}", &reply);
	assert_int_equal(reply.status, 409);
	assert_string_equal(reply_error(&reply), "exists");
	json_t *json = parse(&reply);
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(json, "error"), "variants")), 2);
	json_decref(json);
	harness_request(of(state), "GET", "/api/games/nothing", NULL, NULL, &missing);
	assert_int_equal(missing.status, 404);
	assert_non_null(strstr(missing.body, "\"where\""));
}

static void every_code_has_its_status(void **state)
{
	static const struct {
		const char *code;
		unsigned status;
	} table[] = {{"invalid", 400}, {"denied", 403}, {"not_found", 404}, {"busy", 409},
		{"exists", 409}, {"too_large", 413}, {"failed", 500}, {"io", 500}, {"corrupt", 500},
		{"unsupported", 501}, {"closed", 503}, {"timeout", 504}, {"no_space", 507}};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(table); i++) {
		_cleanup_reply_ struct reply reply = {0};
		fake_peer_script(of(state)->peer, "tasks",
			json_pack("{s:b, s:{s:s, s:s}}", "ok", 0, "error", "code", table[i].code,
				"message", "no"));
		harness_request(of(state), "GET", "/api/tasks", NULL, NULL, &reply);
		assert_int_equal(reply.status, table[i].status);
		assert_string_equal(reply_error(&reply), table[i].code);
	}
}

static void a_peer_that_does_not_answer_in_time_is_said_so(void **state)
{
	struct harness *harness = of(state);
	_cleanup_reply_ struct reply reply = {0};
	char request[512];
	fake_peer_hold(harness->peer, "tasks");
	int fd = harness_connect(harness);
	snprintf(request, sizeof request,
		"GET /api/tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
		harness->token);
	harness_write(fd, request, strlen(request));
	while (fake_peer_count(harness->peer, "tasks") == 0)
		; /* the request is on its way; the clock is ours */
	lsp_fake_clock_advance(&harness->clock, 60 * LSP_SECOND);
	assert_true(harness_read_reply(fd, false, &reply));
	assert_int_equal(reply.status, 504);
	assert_string_equal(reply_error(&reply), "timeout");
	close(fd);
}

static void a_full_queue_is_said_so(void **state)
{
	_cleanup_reply_ struct reply reply = {0}, games = {0};
	fake_peer_set_full(of(state)->peer, true);
	harness_request(of(state), "GET", "/api/peers", NULL, NULL, &reply);
	assert_int_equal(reply.status, 503);
	assert_string_equal(reply_error(&reply), "busy");
	harness_request(of(state), "GET", "/api/games", NULL, NULL, &games);
	assert_int_equal(games.status, 503);
}

static void a_cover_is_drawn_where_there_is_none(void **state)
{
	_cleanup_reply_ struct reply reply = {0}, again = {0}, unknown = {0};
	harness_request(of(state), "GET", "/api/covers/doom", NULL, NULL, &reply);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply_header(&reply, "Content-Type"), "image/svg+xml");
	assert_string_equal(reply_header(&reply, "X-Content-Type-Options"), "nosniff");
	assert_non_null(strstr(reply.body, "Doom &lt;3"));
	harness_request(of(state), "GET", "/api/covers/doom", NULL, NULL, &again);
	assert_int_equal(fake_peer_count(of(state)->peer, "get_cover"), 1);
	harness_request(of(state), "GET", "/api/covers/nothing", NULL, NULL, &unknown);
	assert_int_equal(unknown.status, 404);
}

static void script_cover(struct harness *harness, const char *type, const char *data)
{
	fake_peer_script(harness->peer, "get_cover",
		json_pack("{s:b, s:{s:s, s:s}}", "ok", 1, "result", "type", type, "data", data));
}

static void a_cover_is_what_its_bytes_say(void **state)
{
	_cleanup_reply_ struct reply reply = {0}, cached = {0}, lie = {0};
	char header[128];
	script_cover(of(state), "text/html", "iVBORw0KGgoAAAA=");
	harness_request(of(state), "GET", "/api/covers/quake", NULL, NULL, &reply);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply_header(&reply, "Content-Type"), "image/png");
	assert_int_equal(reply.size, 11);
	snprintf(header, sizeof header, "If-None-Match: %s\r\n", reply_header(&reply, "ETag"));
	harness_request(of(state), "GET", "/api/covers/quake", header, NULL, &cached);
	assert_int_equal(cached.status, 304);
	script_cover(
		of(state), "image/png", "PHN2Zz48L3N2Zz4="); /* an SVG that claims to be a PNG */
	harness_request(of(state), "GET", "/api/covers/doom", NULL, NULL, &lie);
	assert_string_equal(reply_header(&lie, "Content-Type"), "image/svg+xml");
	assert_non_null(strstr(lie.body, "Doom"));
}

static void head_is_get_without_a_body(void **state)
{
	_cleanup_reply_ struct reply reply = {0};
	harness_request(of(state), "HEAD", "/api/games", NULL, NULL, &reply);
	assert_int_equal(reply.status, 200);
	assert_int_equal(reply.size, 0);
}

static void play_starts_what_the_peer_says(void **state)
{
	struct harness *harness = of(state);
	_cleanup_reply_ struct reply reply = {0}, missing = {0};
	char folder[] = "/tmp/lanspread-play-XXXXXX", pipe_path[64], got[8] = {0};
	assert_non_null(mkdtemp(folder));
	snprintf(pipe_path, sizeof pipe_path, "%s/pipe", folder);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	/* Open on both ends: the game does not wait for us if the test fails before it reads. */
	_cleanup_close_ int pipe_fd = open(pipe_path, O_RDWR | O_CLOEXEC);
	assert_true(pipe_fd >= 0);
	fake_peer_script(harness->peer, "play_info",
		json_pack("{s:b, s:{s:[s,s,s], s:s, s:s}}", "ok", 1, "result", "argv", "sh", "-c",
			"printf played > pipe", "cwd", folder, "kind", "program"));
	harness_request(harness, "POST", "/api/games/doom/play", NULL, "{}", &reply);
	assert_int_equal(reply.status, 200);
	assert_int_equal(read(pipe_fd, got, 6), 6); /* waits for the game */
	assert_string_equal(got, "played");
	unlink(pipe_path);
	rmdir(folder);
	fake_peer_script(harness->peer, "play_info",
		json_pack("{s:b, s:{s:[s], s:s, s:s}}", "ok", 1, "result", "argv",
			"/nonexistent/game", "cwd", "/", "kind", "program"));
	harness_request(harness, "POST", "/api/games/doom/play", NULL, "{}", &missing);
	assert_int_equal(missing.status, 500);
	assert_non_null(strstr(missing.body, "No such file"));
}

static void metrics_are_prometheus_text(void **state)
{
	_cleanup_reply_ struct reply reply = {0};
	fake_peer_set_status(of(state)->peer, "health",
		json_pack("{s:s, s:[s]}", "state", "degraded", "degraded", "disc\"overy"));
	fake_peer_set_status(of(state)->peer, "torrent",
		json_pack("{s:i, s:i, s:b, s:s}", "torrents", 4, "sent", 7, "session_open", true,
			"health", "ok"));
	harness_request(of(state), "GET", "/metrics", NULL, NULL, &reply);
	assert_int_equal(reply.status, 200);
	assert_non_null(strstr(reply_header(&reply, "Content-Type"), "version=0.0.4"));
	assert_non_null(strstr(reply.body, "\nlanspread_sent_bytes_total 1000\n"));
	assert_non_null(strstr(reply.body, "\nlanspread_games 2\n"));
	assert_non_null(strstr(reply.body, "\nlanspread_healthy 0\n"));
	assert_non_null(strstr(reply.body, "lanspread_degraded{component=\"disc\\\"overy\"} 1\n"));
	assert_non_null(strstr(reply.body, "\nlanspread_torrent_torrents 4\n"));
	assert_non_null(strstr(reply.body, "\nlanspread_torrent_session_open 1\n"));
	/* Each says what it is, and has its unit and its kind in its name. */
	assert_non_null(strstr(reply.body,
		"\n# HELP lanspread_torrent_sent_bytes_total Payload sent to peers.\n"
		"# TYPE lanspread_torrent_sent_bytes_total counter\n"
		"lanspread_torrent_sent_bytes_total 7\n"));
	assert_non_null(strstr(reply.body, "\nlanspread_torrent_healthy 1\n"));
	assert_non_null(strstr(reply.body, "lanspread_operations{operation=\"downloading\"} 0\n"));
}

static void a_token_file_keeps_the_token(void **state)
{
	struct harness *harness = of(state);
	char folder[] = "/tmp/lanspread-http-XXXXXX", file[64], url[256];
	struct stat status;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof file, "%s/token", folder);
	struct lsp_http_options options = {.listen = "127.0.0.1:0", .token_file = file};
	struct lsp_http *http;
	assert_int_equal(lsp_http_start(harness->peer, harness->tasks, &options, &http, NULL), 0);
	snprintf(url, sizeof url, "%s", strchr(lsp_http_url(http), '?'));
	assert_true(lsp_http_is_loopback(http));
	lsp_http_free(http);
	assert_int_equal(stat(file, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(lsp_http_start(harness->peer, harness->tasks, &options, &http, NULL), 0);
	assert_string_equal(url, strchr(lsp_http_url(http), '?'));
	lsp_http_free(http);
	unlink(file);
	rmdir(folder);
}

static void a_file_of_the_page_that_is_not_there_is_404(void **state)
{
	_cleanup_reply_ struct reply reply = {0};
	harness_request(of(state), "GET", "/assets/nothing.js", NULL, NULL, &reply);
	assert_int_equal(reply.status, 404);
}

static void a_server_that_is_stopped_answers_what_it_has(void **state)
{
	struct harness *harness = of(state);
	_cleanup_reply_ struct reply reply = {0};
	char request[512];
	fake_peer_hold(harness->peer, "tasks");
	int fd = harness_connect(harness);
	snprintf(request, sizeof request,
		"GET /api/tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
		harness->token);
	harness_write(fd, request, strlen(request));
	while (fake_peer_count(harness->peer, "tasks") == 0)
		;
	lsp_http_stop(harness->http);
	assert_true(harness_read_reply(fd, false, &reply));
	assert_int_equal(reply.status, 503);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_start_link_gives_the_page_and_a_cookie),
		TEST(the_page_has_a_validator),
		TEST(the_list_of_games_is_asked_for_once_until_something_happens),
		TEST(progress_alone_makes_the_list_stale_after_a_second),
		TEST(a_post_becomes_a_command_with_the_path_and_the_body_in_it),
		TEST(a_body_may_not_contradict_the_path_or_name_a_command),
		TEST(a_refusal_keeps_its_code_its_words_and_its_choices),
		TEST(every_code_has_its_status),
		TEST(a_peer_that_does_not_answer_in_time_is_said_so),
		TEST(a_full_queue_is_said_so),
		TEST(a_cover_is_drawn_where_there_is_none),
		TEST(a_cover_is_what_its_bytes_say),
		TEST(head_is_get_without_a_body),
		TEST(play_starts_what_the_peer_says),
		TEST(metrics_are_prometheus_text),
		TEST(a_token_file_keeps_the_token),
		TEST(a_file_of_the_page_that_is_not_there_is_404),
		TEST(a_server_that_is_stopped_answers_what_it_has),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
