/*
 * The server's life: bind and read the token in the caller's thread, then one task that sleeps in
 * poll(2) on libmicrohttpd's epoll set, the peer's events and its cancel token.
 */
#include "http/http.h"
#include "http/internal.h"
#include "http/listen.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "lanspread/lanspread.h"
#include "task/registry.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define EVENTS_PER_TURN 256
#define LONGEST_SLEEP (LSP_SECOND / 2)

/* ---- The peer's events ---- */

/*
 * The name of an event, which its writer puts first: most events pass through here as text, and
 * only answers and the odd stranger are parsed.
 */
static bool name_at_start(const char *json, char name[64])
{
	static const char start[] = "{\"event\":\"";
	if (strncmp(json, start, sizeof start - 1) != 0)
		return false;
	json += sizeof start - 1;
	size_t length = strcspn(json, "\"\\");
	if (json[length] != '"' || length >= 64)
		return false;
	memcpy(name, json, length);
	name[length] = '\0';
	return true;
}

static void take_answer(struct lsp_http *http, const char *json)
{
	json_t *event = json_loads(json, 0, NULL);
	if (event)
		lsp_http_call_answered(http, event);
	json_decref(event);
}

static void take_event(struct lsp_http *http, const char *json)
{
	char name[64] = "";
	if (!name_at_start(json, name)) {
		json_t *event = json_loads(json, 0, NULL);
		const char *text = json_string_value(json_object_get(event, "event"));
		snprintf(name, sizeof name, "%s", text ? text : "");
		json_decref(event);
	}
	if (strcmp(name, "answer") == 0) {
		take_answer(http, json);
		return;
	}
	lsp_http_games_touch(http->games, lsp_text_ends_with(name, "_progress"));
	lsp_http_events_push(http->events, name, json);
}

/* False at the end of the stream. */
static bool drain_events(struct lsp_http *http)
{
	for (int i = 0; i < EVENTS_PER_TURN; i++) {
		char *json = NULL;
		int r = lanspread_next_event(http->stream, 0, &json, NULL);
		if (r == -LANSPREAD_E_TIMEOUT)
			return true;
		if (r < 0)
			return false;
		take_event(http, json);
		lanspread_free_text(json);
	}
	return true;
}

/* ---- libmicrohttpd ---- */

/* Paths are decoded by segment (path.c); a query here is plain ASCII. */
static size_t leave_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
	return strlen(text);
}

static void log_line(void *cls, const char *format, va_list arguments)
{
	char line[256];
	vsnprintf(line, sizeof line, format, arguments);
	lsp_log_debug("http", "%s", line);
}

static unsigned connection_limit(void)
{
	struct rlimit limit;
	unsigned most = LSP_HTTP_MAX_CONNECTIONS;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 2 < most)
		most = (unsigned)limit.rlim_cur / 2;
	return most;
}

static int start_daemon(struct lsp_http *http, struct lsp_error *err)
{
	unsigned limit = connection_limit();
	unsigned of_address =
		http->names.loopback ? limit : LSP_MIN(limit, LSP_HTTP_MAX_CONNECTIONS_OF_ADDRESS);
	http->event_client_limit = limit * LSP_HTTP_EVENT_CLIENT_SHARE / 100;
	http->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
		lsp_http_on_request, http, MHD_OPTION_EXTERNAL_LOGGER, log_line, NULL,
		MHD_OPTION_LISTEN_SOCKET, http->listen_fd, MHD_OPTION_CONNECTION_LIMIT, limit,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, of_address, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)LSP_HTTP_IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)LSP_HTTP_CONNECTION_MEMORY, MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes,
		NULL, MHD_OPTION_NOTIFY_COMPLETED, lsp_http_on_completed, http, MHD_OPTION_END);
	if (!http->daemon)
		return lsp_error_set(err, "http", LSP_E_FAILED, "the HTTP server did not start");
	http->listen_fd = -1;
	return 0;
}

static int epoll_of(struct MHD_Daemon *daemon)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	return info ? info->epoll_fd : -1;
}

static void run_daemon(struct lsp_http *http)
{
	if (MHD_run(http->daemon) != MHD_YES)
		lsp_log_warning("http", "the HTTP server could not take a turn");
}

/* ---- The task ---- */

static void heartbeat(struct lsp_http *http, lsp_time now)
{
	if (now < http->next_heartbeat)
		return;
	http->next_heartbeat = lsp_time_add(now, LSP_HTTP_HEARTBEAT_SECONDS * LSP_SECOND);
	lsp_http_events_heartbeat(http->events);
}

static int milliseconds_to_sleep(struct lsp_http *http)
{
	MHD_UNSIGNED_LONG_LONG wanted;
	int most = (int)(LONGEST_SLEEP / LSP_MILLISECOND);
	lsp_time due = lsp_http_events_due(http->events), now = lsp_now(http->clock);
	if (due <= now)
		return 0;
	if (due != LSP_TIME_NEVER)
		most = LSP_MIN(most, (int)((due - now) / LSP_MILLISECOND + 1));
	if (MHD_get_timeout(http->daemon, &wanted) != MHD_YES)
		return most;
	return wanted < (unsigned)most ? (int)wanted : most;
}

static int serve(struct lsp_http *http, struct lsp_cancel *token, struct lsp_error *err)
{
	int token_fd;
	int r = lsp_cancel_fd(token, &token_fd, err);
	if (r < 0)
		return r;
	struct pollfd fds[] = {
		{.fd = token_fd, .events = POLLIN},
		{.fd = lanspread_stream_fd(http->stream), .events = POLLIN},
		{.fd = epoll_of(http->daemon), .events = POLLIN},
	};
	for (;;) {
		if (poll(fds, LSP_ARRAY_SIZE(fds), milliseconds_to_sleep(http)) < 0 &&
			errno != EINTR)
			return lsp_error_errno(err, "http", errno, "poll");
		lsp_time now = lsp_now(http->clock);
		bool more = drain_events(http);
		lsp_http_calls_expire(http, now);
		heartbeat(http, now);
		lsp_http_events_send(http->events, now);
		run_daemon(http);
		if (!more || lsp_cancel_requested(token))
			return 0;
	}
}

/*
 * A peer that stops closes its streams behind its last event, which says why: that one goes out
 * too. When the page alone is closed its stream stays open, and there is nothing to wait for.
 */
static void take_last_events(struct lsp_http *http)
{
	const struct lsp_clock *machine = lsp_clock_system;
	lsp_time deadline =
		lsp_time_add(lsp_now(machine), LSP_HTTP_LAST_EVENTS_MILLISECONDS * LSP_MILLISECOND);
	while (!atomic_load(&http->closed_alone) && drain_events(http) &&
		lsp_now(machine) < deadline) {
		struct pollfd fds[] = {
			{.fd = lanspread_stream_fd(http->stream), .events = POLLIN},
			{.fd = epoll_of(http->daemon), .events = POLLIN},
		};
		if (poll(fds, LSP_ARRAY_SIZE(fds), LSP_MIN(milliseconds_to_sleep(http), 20)) < 0 &&
			errno != EINTR)
			return;
		lsp_http_events_send(http->events, lsp_now(http->clock));
		run_daemon(http);
	}
}

/* Lets the last events leave: whoever reads gets the end of its stream, and we go when all have. */
static void flush(struct lsp_http *http)
{
	const struct lsp_clock *machine = lsp_clock_system;
	lsp_time deadline =
		lsp_time_add(lsp_now(machine), LSP_HTTP_FLUSH_MILLISECONDS * LSP_MILLISECOND);
	struct pollfd fd = {.fd = epoll_of(http->daemon), .events = POLLIN};
	http->closing = true;
	lsp_http_calls_fail(http, "closed", "the peer is stopping");
	lsp_http_events_close(http->events);
	MHD_socket listening = MHD_quiesce_daemon(http->daemon);
	run_daemon(http);
	while (lsp_http_events_clients(http->events) > 0 && lsp_now(machine) < deadline) {
		int sleep = LSP_MIN(milliseconds_to_sleep(http), 20);
		if (poll(&fd, 1, sleep) < 0 && errno != EINTR)
			break;
		run_daemon(http);
	}
	if (listening != MHD_INVALID_SOCKET)
		close(listening);
}

static void release(struct lsp_http *http)
{
	if (http->daemon)
		MHD_stop_daemon(http->daemon);
	http->daemon = NULL;
	lsp_http_events_free(http->events);
	lsp_http_games_free(http->games);
	lsp_http_covers_free(http->covers);
	lanspread_stream_free(http->stream);
	http->stream = NULL;
	http->events = NULL;
	http->games = NULL;
	http->covers = NULL;
}

static int run_task(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct lsp_http *http = argument;
	http->next_heartbeat =
		lsp_time_add(lsp_now(http->clock), LSP_HTTP_HEARTBEAT_SECONDS * LSP_SECOND);
	int r = serve(http, token, err);
	if (r == 0)
		take_last_events(http); /* else the peer goes on, and says no last word */
	flush(http);
	release(http);
	return r;
}

/* ---- Start and stop ---- */

static int make_token(struct lsp_http *http, const char *file, struct lsp_error *err)
{
	uint8_t bytes[(LSP_HTTP_TOKEN_HEX_SIZE - 1) / 2];
	_cleanup_buffer_ struct lsp_buffer old = {0};
	if (file && lsp_fs_read_file(file, LSP_HTTP_TOKEN_HEX_SIZE, &old, NULL) == 0 &&
		old.size == LSP_HTTP_TOKEN_HEX_SIZE - 1 &&
		lsp_text_from_hex((const char *)old.data, bytes, sizeof bytes)) {
		lsp_text_to_hex(bytes, sizeof bytes, http->token);
		return 0;
	}
	lsp_random_bytes(bytes, sizeof bytes);
	lsp_text_to_hex(bytes, sizeof bytes, http->token);
	if (!file)
		return 0;
	return lsp_fs_write_file(file, http->token, LSP_HTTP_TOKEN_HEX_SIZE - 1, 0600, err);
}

static int set_up_socket(struct lsp_http *http, const char *listen, struct lsp_error *err)
{
	union lsp_http_address address;
	char name[96];
	int r = lsp_http_address_parse(listen, &address, err);
	if (r == 0)
		r = lsp_http_listen(&address, listen == NULL, &http->listen_fd, err);
	if (r < 0)
		return r;
	lsp_http_address_text(&address, name, sizeof name);
	http->names.loopback = lsp_http_address_is_loopback(&address.any);
	if (gethostname(http->host_name, sizeof http->host_name - 1) == 0)
		http->names.host_name = http->host_name;
	snprintf(http->address, sizeof http->address, "http://%.80s/", name);
	snprintf(http->cookie_name, sizeof http->cookie_name, "lanspread-%u",
		lsp_http_address_port(&address));
	return 0;
}

static int set_up(
	struct lsp_http *http, const struct lsp_http_options *options, struct lsp_error *err)
{
	struct lanspread_error detail = {0};
	int r = set_up_socket(http, options->listen, err);
	if (r == 0)
		r = make_token(http, options->token_file, err);
	if (r == 0)
		r = lsp_http_games_new(http, &http->games, err);
	if (r == 0)
		r = lsp_http_events_new(http, &http->events, err);
	if (r == 0)
		r = lsp_http_covers_new(&http->covers, err);
	if (r == 0)
		r = start_daemon(http, err);
	if (r < 0)
		return r;
	snprintf(http->url, sizeof http->url, "%s?token=%s", http->address, http->token);
	r = lanspread_subscribe(http->peer, &http->stream, &detail);
	if (r < 0)
		return lsp_error_set(err, "http", -r, "%s", detail.message);
	return 0;
}

int lsp_http_start(struct lanspread *peer, struct lsp_tasks *tasks,
	const struct lsp_http_options *options, struct lsp_http **ret_http, struct lsp_error *err)
{
	_cleanup_(lsp_http_free_pointer) struct lsp_http *http = calloc(1, sizeof *http);
	if (!http)
		return lsp_error_no_memory(err, "http");
	http->listen_fd = -1;
	http->peer = peer;
	http->clock = options->clock ? options->clock : lsp_clock_system;
	int r = set_up(http, options, err);
	if (r == 0)
		r = lsp_tasks_spawn(
			tasks, "http", LSP_TASK_BACKGROUND, run_task, http, &http->task, err);
	if (r < 0)
		return r;
	*ret_http = TAKE_PTR(http);
	return 0;
}

const char *lsp_http_url(const struct lsp_http *http)
{
	return http->url;
}

const char *lsp_http_address(const struct lsp_http *http)
{
	return http->address;
}

bool lsp_http_is_loopback(const struct lsp_http *http)
{
	return http->names.loopback;
}

void lsp_http_stop(struct lsp_http *http)
{
	atomic_store(&http->closed_alone, true);
	lsp_task_abort(http->task, LSP_CANCEL_RUN_COMPLETED, "the page is closed");
}

void lsp_http_join(struct lsp_http *http)
{
	int r = lsp_task_wait(http->task, NULL, NULL, LSP_TIME_NEVER, NULL);
	if (r < 0)
		lsp_log_debug("http", "the task ended with %s", lsp_code_name(-r));
}

void lsp_http_free(struct lsp_http *http)
{
	if (!http)
		return;
	if (http->task) {
		lsp_http_stop(http);
		lsp_http_join(http);
		lsp_task_unref(http->task);
	} else {
		release(http);
		if (http->listen_fd >= 0)
			close(http->listen_fd);
	}
	free(http);
}
