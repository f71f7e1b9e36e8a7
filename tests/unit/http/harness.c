#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE_SECONDS 20

int harness_setup(void **state)
{
	struct lsp_error err = {0};
	struct lsp_http_options options = {.listen = "127.0.0.1:0"};
	struct harness *harness = calloc(1, sizeof *harness);
	harness->peer = fake_peer_new();
	fake_peer_put_game(harness->peer,
		json_pack("{s:s, s:s, s:s, s:I, s:i, s:s}", "id", "quake", "title", "Quake",
			"availability", "remote", "size", (json_int_t)1000000, "sources", 2,
			"latest_version", "20240131"));
	fake_peer_put_game(harness->peer, json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", "doom",
						  "title", "Doom <3>", "availability", "installed",
						  "local_version", "1.9", "latest_version", "1.9"));
	lsp_fake_clock_init(&harness->clock);
	options.clock = &harness->clock.clock;
	if (lsp_cancel_new(NULL, &harness->root, &err) < 0 ||
		lsp_tasks_new(harness->root, NULL, &harness->tasks, &err) < 0 ||
		lsp_http_start(harness->peer, harness->tasks, &options, &harness->http, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return -1;
	}
	sscanf(lsp_http_url(harness->http), "http://127.0.0.1:%u/?token=%64s", &harness->port,
		harness->token);
	*state = harness;
	return 0;
}

int harness_teardown(void **state)
{
	struct harness *harness = *state;
	lsp_http_free(harness->http);
	int r = lsp_tasks_join_all(harness->tasks, LSP_TIME_NEVER, NULL, NULL);
	lsp_tasks_free(harness->tasks);
	lsp_cancel_unref(harness->root);
	fake_peer_free(harness->peer);
	free(harness);
	return r;
}

/* ---- Requests ---- */

void reply_free(struct reply *reply)
{
	free(reply->head);
	free(reply->body);
	*reply = (struct reply){0};
}

const char *reply_header(const struct reply *reply, const char *name)
{
	static char value[1024];
	size_t length = strlen(name);
	for (const char *line = reply->head; line; line = strstr(line, "\r\n")) {
		line += line == reply->head ? 0 : 2;
		if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
			const char *start = line + length + 1 + strspn(line + length + 1, " ");
			snprintf(value, sizeof value, "%.*s", (int)strcspn(start, "\r"), start);
			return value;
		}
	}
	return NULL;
}

const char *reply_error(const struct reply *reply)
{
	static char code[64];
	json_t *json = json_loadb(reply->body, reply->size, 0, NULL);
	const char *text =
		json_string_value(json_object_get(json_object_get(json, "error"), "code"));
	snprintf(code, sizeof code, "%s", text ? text : "");
	json_decref(json);
	return code;
}

int harness_connect(const struct harness *harness)
{
	struct timeval deadline = {.tv_sec = DEADLINE_SECONDS};
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)harness->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

void harness_write(int fd, const void *data, size_t size)
{
	while (size > 0) {
		ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
		if (sent <= 0)
			return; /* refused early: the reply tells */
		data = (const char *)data + sent;
		size -= (size_t)sent;
	}
}

/* A child that ends (a game that was started) interrupts; a deadline does not look like that. */
static ssize_t receive(int fd, void *data, size_t size)
{
	ssize_t got;
	do
		got = recv(fd, data, size, 0);
	while (got < 0 && errno == EINTR);
	return got;
}

/* Reads more; false at the end of the connection. */
static bool read_more(int fd, char **buffer, size_t *size)
{
	*buffer = realloc(*buffer, *size + 65537);
	ssize_t got = receive(fd, *buffer + *size, 65536);
	if (got <= 0)
		return false;
	*size += (size_t)got;
	(*buffer)[*size] = '\0';
	return true;
}

static void unchunk(struct reply *reply)
{
	char *from = reply->body, *to = reply->body;
	for (;;) {
		char *end;
		size_t length = strtoul(from, &end, 16);
		if (length == 0)
			break;
		memmove(to, end + 2, length);
		to += length;
		from = end + 2 + length + 2;
	}
	reply->size = (size_t)(to - reply->body);
	*to = '\0';
}

static bool is_complete(const struct reply *reply, bool head, bool *ret_chunked)
{
	const char *length = reply_header(reply, "Content-Length");
	*ret_chunked = false;
	if (head || reply->status == 304)
		return true;
	if (length)
		return reply->size >= strtoul(length, NULL, 10);
	*ret_chunked = reply_header(reply, "Transfer-Encoding") != NULL;
	return *ret_chunked && reply->size >= 5 &&
	       memcmp(reply->body + reply->size - 5, "0\r\n\r\n", 5) == 0;
}

bool harness_read_reply(int fd, bool head, struct reply *reply)
{
	char *buffer = calloc(1, 1), *end;
	size_t size = 0;
	bool chunked = false, more = true;
	while (!(end = strstr(buffer, "\r\n\r\n"))) {
		if (!read_more(fd, &buffer, &size)) {
			free(buffer);
			return false;
		}
	}
	reply->head = strndup(buffer, (size_t)(end - buffer));
	reply->size = size - (size_t)(end + 4 - buffer);
	reply->body = malloc(reply->size + 1);
	memcpy(reply->body, end + 4, reply->size);
	reply->body[reply->size] = '\0';
	free(buffer);
	sscanf(reply->head, "HTTP/1.1 %u", &reply->status);
	while (!is_complete(reply, head, &chunked) && more)
		more = read_more(fd, &reply->body, &reply->size);
	if (chunked)
		unchunk(reply);
	return true;
}

void harness_raw(const struct harness *harness, const char *request, struct reply *reply)
{
	int fd = harness_connect(harness);
	harness_write(fd, request, strlen(request));
	assert_true(harness_read_reply(fd, strncmp(request, "HEAD", 4) == 0, reply));
	close(fd);
}

void harness_request(const struct harness *harness, const char *method, const char *path,
	const char *headers, const char *body, struct reply *reply)
{
	_cleanup_free_ char *request = NULL;
	bool typed = headers && strcasestr(headers, "content-type");
	assert_true(asprintf(&request,
			    "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nCookie: lanspread-%u=%s\r\n"
			    "%s%sContent-Length: %zu\r\n\r\n%s",
			    method, path, harness->port, harness->port, harness->token,
			    headers ? headers : "",
			    body && !typed ? "Content-Type: application/json\r\n" : "",
			    body ? strlen(body) : 0, body ? body : "") > 0);
	harness_raw(harness, request, reply);
}

/* ---- Event streams ---- */

void sse_open(const struct harness *harness, const char *last_id, struct sse *sse)
{
	char request[512];
	*sse = (struct sse){.fd = harness_connect(harness), .buffer = calloc(1, 1)};
	snprintf(request, sizeof request,
		"GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
		"%s%s%s\r\n",
		harness->token, last_id ? "Last-Event-ID: " : "", last_id ? last_id : "",
		last_id ? "\r\n" : "");
	harness_write(sse->fd, request, strlen(request));
	/* The head, byte by byte so that nothing of the body is taken with it. */
	char head[2048];
	size_t size = 0;
	while (size < 4 || memcmp(head + size - 4, "\r\n\r\n", 4) != 0) {
		assert_true(size < sizeof head);
		assert_int_equal(receive(sse->fd, head + size, 1), 1);
		size++;
	}
	assert_int_equal(strncmp(head, "HTTP/1.1 200", 12), 0);
}

static bool read_line(int fd, char *line, size_t size)
{
	size_t used = 0;
	while (used < 2 || memcmp(line + used - 2, "\r\n", 2) != 0) {
		if (used + 1 >= size || receive(fd, line + used, 1) != 1)
			return false;
		used++;
	}
	line[used] = '\0';
	return true;
}

static bool read_chunk(struct sse *sse)
{
	char line[64];
	if (!read_line(sse->fd, line, sizeof line))
		return false;
	size_t length = strtoul(line, NULL, 16), got = 0;
	if (length == 0)
		return false;
	sse->buffer = realloc(sse->buffer, sse->size + length + 1);
	while (got < length) {
		ssize_t part = receive(sse->fd, sse->buffer + sse->size + got, length - got);
		if (part <= 0)
			return false;
		got += (size_t)part;
	}
	sse->size += length;
	sse->buffer[sse->size] = '\0';
	return read_line(sse->fd, line, sizeof line);
}

/* One block of lines; NULL if it had no data. */
static json_t *take_block(struct sse *sse, size_t length)
{
	json_t *event = NULL;
	sse->buffer[length] = '\0';
	for (char *line = strtok(sse->buffer, "\n"); line; line = strtok(NULL, "\n")) {
		if (strncmp(line, "id: ", 4) == 0)
			snprintf(sse->id, sizeof sse->id, "%s", line + 4);
		else if (strcmp(line, "event: heartbeat") == 0)
			event = json_pack("{s:b}", "heartbeat", 1);
		else if (strncmp(line, "data: ", 6) == 0 && !event)
			event = json_loads(line + 6, 0, NULL);
	}
	sse->size -= length + 2;
	memmove(sse->buffer, sse->buffer + length + 2, sse->size + 1);
	return event;
}

json_t *sse_next(struct sse *sse)
{
	for (;;) {
		char *end = strstr(sse->buffer, "\n\n");
		if (!end) {
			if (!read_chunk(sse))
				return NULL;
			continue;
		}
		json_t *event = take_block(sse, (size_t)(end - sse->buffer));
		if (event)
			return event;
	}
}

json_t *sse_expect(struct sse *sse, const char *name)
{
	for (;;) {
		json_t *event = sse_next(sse);
		assert_non_null(event);
		const char *is = json_string_value(json_object_get(event, "event"));
		if (is && strcmp(is, name) == 0)
			return event;
		json_decref(event);
	}
}

void sse_close(struct sse *sse)
{
	close(sse->fd);
	free(sse->buffer);
	*sse = (struct sse){.fd = -1};
}
