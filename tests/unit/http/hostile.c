/* What strangers, other sites and broken programs send. */
#include "harness.h"

#include "base/cleanup.h"
#include "http/limits.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct harness *of(void **state)
{
	return *state;
}

static unsigned status_of(void **state, const char *format, ...)
{
	_cleanup_reply_ struct reply reply = {0};
	_cleanup_free_ char *request = NULL;
	va_list arguments;
	va_start(arguments, format);
	assert_true(vasprintf(&request, format, arguments) > 0);
	va_end(arguments);
	harness_raw(of(state), request, &reply);
	return reply.status;
}

static void without_a_token_there_is_nothing(void **state)
{
	static const char *const paths[] = {"/", "/api/games", "/api/games/quake", "/api/status",
		"/api/events", "/api/covers/quake", "/metrics", "/api/config", "/?token=0000"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(paths); i++)
		assert_int_equal(
			status_of(state, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", paths[i]),
			401);
	assert_int_equal(status_of(state, "POST /api/games/quake/install HTTP/1.1\r\n"
					  "Host: localhost\r\nContent-Type: application/json\r\n"
					  "Content-Length: 2\r\n\r\n{}"),
		401);
	assert_int_equal(status_of(state, "GET /api/games HTTP/1.1\r\nHost: localhost\r\n"
					  "Authorization: Bearer wrong\r\n\r\n"),
		401);
	assert_int_equal(fake_peer_count(of(state)->peer, "install_game"), 0);
}

static void a_foreign_host_is_refused_even_with_the_token(void **state)
{
	static const char *const lines[] = {
		"Host: evil.example\r\n", "Host: 192.168.0.9\r\n", "Host:\r\n", ""};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lines); i++) {
		unsigned status = status_of(state,
			"GET /api/games HTTP/1.1\r\n%sAuthorization: Bearer %s\r\n\r\n", lines[i],
			of(state)->token);
		/* Without any Host the library may say 400 first. */
		assert_true(status == 403 || (!lines[i][0] && status == 400));
	}
}

static void another_origin_is_refused(void **state)
{
	_cleanup_reply_ struct reply post = {0}, get = {0}, site = {0}, own = {0};
	char origin[64];
	harness_request(of(state), "POST", "/api/games/quake/install",
		"Origin: http://evil.example\r\n", "{}", &post);
	assert_int_equal(post.status, 403);
	harness_request(of(state), "GET", "/api/games", "Origin: null\r\n", NULL, &get);
	assert_int_equal(get.status, 403);
	harness_request(
		of(state), "GET", "/api/games", "Sec-Fetch-Site: cross-site\r\n", NULL, &site);
	assert_int_equal(site.status, 403);
	assert_int_equal(fake_peer_count(of(state)->peer, "install_game"), 0);
	snprintf(origin, sizeof origin, "Origin: http://127.0.0.1:%u\r\n", of(state)->port);
	harness_request(of(state), "POST", "/api/games/quake/install", origin, "{}", &own);
	assert_int_equal(own.status, 200);
}

static void a_form_cannot_change_anything(void **state)
{
	static const struct {
		const char *header;
		unsigned status;
	} table[] = {
		{"Content-Type: application/x-www-form-urlencoded\r\n", 403},
		{"Content-Type: multipart/form-data; boundary=x\r\n", 403},
		{"Content-Type: text/plain\r\n", 403},
		{"Content-Type: application/xml\r\n", 415},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(table); i++) {
		_cleanup_reply_ struct reply reply = {0};
		harness_request(of(state), "POST", "/api/games/quake/install", table[i].header,
			"{\"a\":1}", &reply);
		assert_int_equal(reply.status, table[i].status);
	}
	_cleanup_reply_ struct reply bare = {0};
	harness_request(of(state), "POST", "/api/games/quake/install", NULL, NULL, &bare);
	assert_int_equal(bare.status, 403);
	assert_int_equal(fake_peer_count(of(state)->peer, "install_game"), 0);
}

static void get_never_changes_anything(void **state)
{
	static const char *const paths[] = {"/api/games/quake/install", "/api/games/quake/cancel",
		"/api/limits?up=1", "/api/games-dir", "/api/games/quake/play",
		"/api/games/quake/open-folder", "/api/games-dir/check", "/api/config/name"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(paths); i++) {
		_cleanup_reply_ struct reply reply = {0};
		harness_request(of(state), "GET", paths[i], NULL, NULL, &reply);
		assert_true(reply.status == 405 || strstr(paths[i], "limits"));
		if (reply.status == 405)
			assert_non_null(reply_header(&reply, "Allow"));
	}
	assert_int_equal(fake_peer_count(of(state)->peer, "install_game"), 0);
	assert_int_equal(fake_peer_count(of(state)->peer, "set_limits"), 0);
	assert_int_equal(fake_peer_count(of(state)->peer, "play_info"), 0);
	assert_int_equal(fake_peer_count(of(state)->peer, "folder_info"), 0);
}

static void paths_that_try_to_climb_lead_nowhere(void **state)
{
	static const char *const paths[] = {"/api/games/..%2fstatus", "/..%2f..%2fetc%2fpasswd",
		"/assets/..%2findex.html", "/api/covers/..%2f..%2fx", "/api/covers/%2e%2e",
		"/api/games/%00", "/assets/%", "//api/games", "/api/games/a%2fb", "/nothing"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(paths); i++) {
		_cleanup_reply_ struct reply reply = {0};
		harness_request(of(state), "GET", paths[i], NULL, NULL, &reply);
		assert_int_equal(reply.status, 404);
		assert_string_equal(reply_error(&reply), "not_found");
	}
}

static void broken_bodies_are_told_where(void **state)
{
	static const char *const bodies[] = {"{", "[]", "1", "\"x\"", "null", "{\"a\":1,\"a\":2}",
		"{\"a\":1e999}", "{\"a\":\"\\u0000\"}", "{}x", "{\"a\":\xff}"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(bodies); i++) {
		_cleanup_reply_ struct reply reply = {0};
		harness_request(
			of(state), "POST", "/api/games/quake/install", NULL, bodies[i], &reply);
		assert_int_equal(reply.status, 400);
		assert_string_equal(reply_error(&reply), "invalid");
		assert_non_null(strstr(reply.body, "\"where\":\"body"));
	}
	assert_int_equal(fake_peer_count(of(state)->peer, "install_game"), 0);
}

static void deep_and_large_bodies_are_refused(void **state)
{
	_cleanup_reply_ struct reply deep = {0}, large = {0};
	char nested[200] = "{\"a\":";
	size_t used = strlen(nested);
	memset(nested + used, '[', 60);
	memset(nested + used + 60, ']', 60);
	strcpy(nested + used + 120, "}");
	harness_request(of(state), "POST", "/api/games/quake/install", NULL, nested, &deep);
	assert_int_equal(deep.status, 400);
	static char body[LSP_HTTP_MAX_BODY + 2];
	memset(body, ' ', sizeof body - 1);
	harness_request(of(state), "POST", "/api/games/quake/install", NULL, body, &large);
	assert_int_equal(large.status, 413);
	assert_string_equal(reply_error(&large), "too_large");
}

/* By its Content-Length, before a byte of it came. */
static void only_a_torrent_file_may_be_large(void **state)
{
	static const struct {
		const char *path;
		unsigned size;
	} cases[] = {
		{"/api/torrents", LSP_HTTP_MAX_TORRENT_BODY + 1},
		{"/api/torrents/aa/pause", LSP_HTTP_MAX_BODY + 1},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		_cleanup_reply_ struct reply reply = {0};
		char head[512];
		int fd = harness_connect(of(state));
		snprintf(head, sizeof head,
			"POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
			"Content-Type: application/json\r\nContent-Length: %u\r\n\r\n",
			cases[i].path, of(state)->token, cases[i].size);
		harness_write(fd, head, strlen(head));
		assert_true(harness_read_reply(fd, false, &reply));
		assert_int_equal(reply.status, 413);
		assert_string_equal(reply_error(&reply), "too_large");
		close(fd);
	}
	_cleanup_reply_ struct reply reply = {0};
	_cleanup_free_ char *body = malloc(LSP_HTTP_MAX_TORRENT_BODY + 1);
	memset(body, ' ', LSP_HTTP_MAX_TORRENT_BODY);
	body[0] = '{';
	memcpy(body + LSP_HTTP_MAX_TORRENT_BODY - 1, "}", 2);
	harness_request(of(state), "POST", "/api/torrents", NULL, body, &reply);
	assert_int_equal(reply.status, 200);
	assert_int_equal(fake_peer_count(of(state)->peer, "torrent_add"), 1);
}

static void a_chunked_body_is_bounded_too(void **state)
{
	_cleanup_reply_ struct reply reply = {0};
	char head[512];
	static char chunk[1 << 14];
	int fd = harness_connect(of(state));
	snprintf(head, sizeof head,
		"POST /api/games/quake/install HTTP/1.1\r\nHost: localhost\r\nAuthorization: "
		"Bearer "
		"%s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
		of(state)->token);
	harness_write(fd, head, strlen(head));
	memset(chunk, ' ', sizeof chunk);
	for (size_t sent = 0; sent <= 4 * LSP_HTTP_MAX_BODY; sent += sizeof chunk) {
		harness_write(fd, "4000\r\n", 6);
		harness_write(fd, chunk, sizeof chunk);
		harness_write(fd, "\r\n", 2);
	}
	harness_write(fd, "0\r\n\r\n", 5);
	assert_true(harness_read_reply(fd, false, &reply));
	assert_int_equal(reply.status, 413);
	close(fd);
}

static void a_megabyte_of_headers_is_refused(void **state)
{
	_cleanup_reply_ struct reply reply = {0};
	static char header[1 << 20];
	memset(header, 'a', sizeof header);
	int fd = harness_connect(of(state));
	harness_write(fd, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ", 37);
	harness_write(fd, header, sizeof header);
	harness_write(fd, "\r\n\r\n", 4);
	/* The refusal, unless the reset that follows it was faster. */
	if (harness_read_reply(fd, false, &reply))
		assert_true(reply.status >= 400 && reply.status < 500);
	close(fd);
	assert_int_equal(
		status_of(state, "GET /api/games HTTP/1.1\r\nHost: localhost\r\n\r\n"), 401);
}

static void what_is_no_http_harms_nobody(void **state)
{
	static const char *const junk[] = {"\r\n\r\n\r\n", "\x16\x03\x01\x02\x00\x01",
		"GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(junk); i++) {
		int fd = harness_connect(of(state));
		harness_write(fd, junk[i], strlen(junk[i]));
		close(fd);
	}
	assert_int_equal(
		status_of(state, "GET /api/games HTTP/1.1\r\nHost: localhost\r\n\r\n"), 401);
}

static size_t resident_kilobytes(void)
{
	size_t total = 0, resident = 0;
	_cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%zu %zu", &total, &resident), 2);
	return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* As many as the server takes of 1,000 that never read, while others are served. */
static void a_thousand_event_clients_that_never_read_are_bounded(void **state)
{
	struct harness *harness = of(state);
	struct rlimit limit;
	static int fds[1000];
	char request[512];
	static char filler[8192];
	memset(filler, 'x', sizeof filler - 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	size_t wanted = LSP_MIN((size_t)1000, (size_t)limit.rlim_cur / 4);
	size_t before = resident_kilobytes();
	snprintf(request, sizeof request,
		"GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
		harness->token);
	for (size_t i = 0; i < wanted; i++) {
		fds[i] = harness_connect(harness);
		harness_write(fds[i], request, strlen(request));
	}
	struct sse live;
	sse_open(harness, NULL, &live);
	for (int i = 0; i < 500; i++) {
		fake_peer_emit(harness->peer,
			json_pack("{s:s, s:s}", "event", "warning", "message", filler));
		json_decref(sse_expect(&live, "warning"));
	}
	size_t grown = resident_kilobytes() - before;
	print_message("%zu silent event clients: %zu KiB more\n", wanted, grown);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_true(grown < 100 * 1024);
#endif
	assert_int_equal(status_of(state,
				 "GET /api/games HTTP/1.1\r\nHost: localhost\r\n"
				 "Authorization: Bearer %s\r\n\r\n",
				 harness->token),
		200);
	sse_close(&live);
	for (size_t i = 0; i < wanted; i++)
		close(fds[i]);
}

static void more_event_clients_than_allowed_are_told_so(void **state)
{
	struct rlimit old, small;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	small = old;
	small.rlim_cur = 40; /* the server takes half: 20 connections, 16 of them for events */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	struct harness *harness;
	assert_int_equal(harness_setup((void **)&harness), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	struct sse streams[16];
	for (size_t i = 0; i < 16; i++) {
		sse_open(harness, NULL, &streams[i]);
		json_decref(sse_expect(&streams[i], "local_games_updated"));
	}
	_cleanup_reply_ struct reply reply = {0};
	harness_request(harness, "GET", "/api/events", NULL, NULL, &reply);
	assert_int_equal(reply.status, 503);
	assert_string_equal(reply_error(&reply), "busy");
	for (size_t i = 0; i < 16; i++)
		sse_close(&streams[i]);
	assert_int_equal(harness_teardown((void **)&harness), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_token_there_is_nothing),
		TEST(a_foreign_host_is_refused_even_with_the_token),
		TEST(another_origin_is_refused),
		TEST(a_form_cannot_change_anything),
		TEST(get_never_changes_anything),
		TEST(paths_that_try_to_climb_lead_nowhere),
		TEST(broken_bodies_are_told_where),
		TEST(deep_and_large_bodies_are_refused),
		TEST(only_a_torrent_file_may_be_large),
		TEST(a_chunked_body_is_bounded_too),
		TEST(a_megabyte_of_headers_is_refused),
		TEST(what_is_no_http_harms_nobody),
		TEST(a_thousand_event_clients_that_never_read_are_bounded),
		cmocka_unit_test(more_event_clients_than_allowed_are_told_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
