/*
 * Server-sent events (HTML Living Standard, 9.2).
 *
 * Every event of the peer's gets a number here and is kept, as the very bytes that go out, in a
 * ring of bounded length and size. A client is little more than a place in that ring: when its
 * socket takes bytes libmicrohttpd calls read_events, which copies what comes next, or suspends the
 * connection until there is more. So a client that reads slowly costs nothing; when the ring has
 * moved past its place, it starts over from the full state. One that does not read at all is closed
 * by the idle limit, once the kernel's small buffer for it is full.
 *
 * Waking a client costs a write to its socket, and progress is told ten times a second for each
 * game: with hundreds of clients that is felt by the download itself. So progress is gathered for
 * up to LSP_HTTP_GATHER_MILLISECONDS: the first after a silence goes at once, what follows
 * together. Any other event goes at once and takes along what waits, so the order never changes.
 *
 * What a client gets:
 *   1. the full state, as a local_games_updated event with "state": true;
 *   2. if it came back (Last-Event-ID, or ?after=) and the ring still has what it missed: the
 * missed events that tell of something done, with their numbers. The state says the rest better;
 *   3. everything that happens from then on; a heartbeat when there was silence.
 * An id is "<run>-<number>", so that one of another run of the server is not taken for ours.
 */
#include "http/internal.h"

#include "base/log.h"
#include "base/random.h"
#include "base/text.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_BLOCK (16u << 10)
#define RETRY_LINE "retry: 1000\n\n"
#define HEARTBEAT "event: heartbeat\ndata: {}\n\n"

struct kept_event {
	struct lsp_http_text *text;
	bool is_notice; /* worth telling to a client that missed it */
};

struct lsp_http_client {
	struct lsp_http *http;
	struct MHD_Connection *connection;
	struct lsp_http_client *previous, *next;
	struct lsp_http_text *current; /* what is being sent, from `offset` on */
	size_t offset;
	uint64_t position;     /* the number of the next event */
	uint64_t missed_until; /* below this number: replay, notices only */
	bool wants_state;      /* waits for the list of games */
	bool says_position;    /* the state is sent: the id that belongs to it comes next */
	bool heartbeat;
	bool suspended;
};

struct lsp_http_events {
	struct lsp_http *http;
	char run[9];
	struct kept_event ring[LSP_HTTP_MAX_EVENTS]; /* event n at n % LSP_HTTP_MAX_EVENTS */
	uint64_t first, next;                        /* what the ring has: first ≤ n < next */
	size_t bytes;
	struct lsp_http_client *clients;
	size_t client_count;
	struct lsp_http_text *heartbeat;
	lsp_time next_send; /* before it progress is gathered */
	bool gathering;     /* something waits for it */
	bool closed;
};

/* ---- Texts ---- */

struct lsp_http_text *lsp_http_text_new(const void *data, size_t size)
{
	struct lsp_http_text *text = malloc(sizeof *text + size);
	if (!text)
		return NULL;
	text->references = 1;
	text->size = size;
	memcpy(text->data, data, size);
	return text;
}

struct lsp_http_text *lsp_http_text_ref(struct lsp_http_text *text)
{
	text->references++;
	return text;
}

void lsp_http_text_unref(struct lsp_http_text *text)
{
	if (text && --text->references == 0)
		free(text);
}

/* A line break in the JSON (between its tokens: in strings it is escaped) would end the data line.
 */
static struct lsp_http_text *event_text(const char *id_line, const char *json)
{
	size_t id_length = strlen(id_line), length = strlen(json);
	struct lsp_http_text *text = malloc(sizeof *text + id_length + length + 8);
	if (!text)
		return NULL;
	char *at = text->data;
	at = mempcpy(at, id_line, id_length);
	at = mempcpy(at, "data: ", 6);
	for (size_t i = 0; i < length; i++)
		*at++ = json[i] == '\n' || json[i] == '\r' ? ' ' : json[i];
	at = mempcpy(at, "\n\n", 2);
	text->references = 1;
	text->size = (size_t)(at - text->data);
	return text;
}

struct lsp_http_text *lsp_http_text_event(const char *json)
{
	return event_text("", json);
}

/* ---- Clients ---- */

static void wake(struct lsp_http_client *client)
{
	if (!client->suspended)
		return;
	client->suspended = false;
	MHD_resume_connection(client->connection);
}

static void start_over(struct lsp_http_client *client)
{
	client->wants_state = true;
	client->position = client->missed_until = 0;
	const struct lsp_http_list *list = lsp_http_games_want(client->http->games, NULL);
	if (list)
		lsp_http_events_state_ready(client->http->events, list);
}

static void send_text(struct lsp_http_client *client, struct lsp_http_text *text)
{
	client->current = lsp_http_text_ref(text);
	client->offset = 0;
}

static void send_position(struct lsp_http_client *client)
{
	char line[48];
	const struct lsp_http_events *events = client->http->events;
	int length = snprintf(
		line, sizeof line, "id: %s-%" PRIu64 "\n\n", events->run, client->position - 1);
	client->says_position = false;
	client->current = lsp_http_text_new(line, (size_t)length);
	client->offset = 0;
}

/* The next thing to send, if there is one. */
static bool choose_next(struct lsp_http_client *client)
{
	struct lsp_http_events *events = client->http->events;
	if (client->wants_state)
		return false;
	if (client->position < events->first) {
		start_over(client);
		return client->current;
	}
	while (client->position < client->missed_until) {
		struct kept_event *event = &events->ring[client->position++ % LSP_HTTP_MAX_EVENTS];
		if (event->is_notice) {
			send_text(client, event->text);
			return true;
		}
	}
	if (client->says_position) {
		send_position(client);
		return client->current;
	}
	if (client->position < events->next) {
		send_text(client, events->ring[client->position++ % LSP_HTTP_MAX_EVENTS].text);
		client->heartbeat = false;
		return true;
	}
	if (client->heartbeat) {
		client->heartbeat = false;
		send_text(client, events->heartbeat);
		return true;
	}
	return false;
}

static ssize_t read_events(void *cls, uint64_t position, char *buffer, size_t room)
{
	struct lsp_http_client *client = cls;
	size_t used = 0;
	while (used < room && (client->current || choose_next(client))) {
		size_t left = client->current->size - client->offset;
		size_t part = LSP_MIN(left, room - used);
		memcpy(buffer + used, client->current->data + client->offset, part);
		used += part;
		client->offset += part;
		if (part == left) {
			lsp_http_text_unref(client->current);
			client->current = NULL;
		}
	}
	if (used > 0)
		return (ssize_t)used;
	if (client->http->events->closed)
		return MHD_CONTENT_READER_END_OF_STREAM;
	client->suspended = true;
	MHD_suspend_connection(client->connection);
	return 0;
}

static void client_free(void *cls)
{
	struct lsp_http_client *client = cls;
	struct lsp_http_events *events = client->http->events;
	if (client->previous)
		client->previous->next = client->next;
	else
		events->clients = client->next;
	if (client->next)
		client->next->previous = client->previous;
	events->client_count--;
	lsp_http_text_unref(client->current);
	free(client);
}

static struct lsp_http_client *client_new(struct lsp_http *http, struct MHD_Connection *connection)
{
	struct lsp_http_client *client = calloc(1, sizeof *client);
	if (!client)
		return NULL;
	client->http = http;
	client->connection = connection;
	client->wants_state = true;
	client->next = http->events->clients;
	if (client->next)
		client->next->previous = client;
	http->events->clients = client;
	http->events->client_count++;
	return client;
}

/* ---- The route ---- */

/* The number after which a client wants to go on; false if it is not of this run or gone. */
static bool parse_last_id(
	const struct lsp_http_events *events, const char *id, uint64_t *ret_number)
{
	size_t run = strlen(events->run);
	uint64_t number;
	if (!id || strncmp(id, events->run, run) != 0 || id[run] != '-')
		return false;
	if (lsp_text_to_u64(id + run + 1, &number, NULL) < 0)
		return false;
	if (number + 1 < events->first || number >= events->next)
		return false;
	*ret_number = number;
	return true;
}

static void bound_kernel_buffer(struct MHD_Connection *connection)
{
	int size = LSP_HTTP_EVENT_SEND_BUFFER;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info && setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) < 0)
		lsp_log_debug("http", "SO_SNDBUF of an event stream could not be set");
}

void lsp_http_run_events(struct lsp_http_request *request)
{
	struct lsp_http *http = request->http;
	uint64_t last;
	if (http->events->client_count >= http->event_client_limit) {
		lsp_http_reply_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "busy", "connection",
			"%u event streams are open, which is the limit", http->event_client_limit);
		lsp_http_header(request->response, MHD_HTTP_HEADER_RETRY_AFTER, "30");
		return;
	}
	struct lsp_http_client *client = client_new(http, request->connection);
	struct MHD_Response *response =
		client ? MHD_create_response_from_callback(
				 MHD_SIZE_UNKNOWN, READ_BLOCK, read_events, client, client_free)
		       : NULL;
	if (!response) {
		if (client)
			client_free(client);
		lsp_http_reply(request, 0, NULL);
		return;
	}
	const char *id =
		MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Last-Event-ID");
	if (!id)
		id = MHD_lookup_connection_value(
			request->connection, MHD_GET_ARGUMENT_KIND, "after");
	if (parse_last_id(http->events, id, &last))
		client->position = last + 1;
	bound_kernel_buffer(request->connection);
	lsp_http_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
	const struct lsp_http_list *list = lsp_http_games_want(http->games, NULL);
	if (list)
		lsp_http_events_state_ready(http->events, list);
	lsp_http_reply(request, MHD_HTTP_OK, response);
}

/* ---- The hub ---- */

int lsp_http_events_new(
	struct lsp_http *http, struct lsp_http_events **ret_events, struct lsp_error *err)
{
	uint8_t run[4];
	struct lsp_http_events *events = calloc(1, sizeof *events);
	if (!events)
		return lsp_error_no_memory(err, "http");
	events->http = http;
	events->first = events->next = 1;
	events->heartbeat = lsp_http_text_new(HEARTBEAT, sizeof HEARTBEAT - 1);
	if (!events->heartbeat) {
		free(events);
		return lsp_error_no_memory(err, "http");
	}
	lsp_random_bytes(run, sizeof run);
	lsp_text_to_hex(run, sizeof run, events->run);
	*ret_events = events;
	return 0;
}

static void drop_first(struct lsp_http_events *events)
{
	struct kept_event *event = &events->ring[events->first++ % LSP_HTTP_MAX_EVENTS];
	events->bytes -= event->text->size;
	lsp_http_text_unref(event->text);
	event->text = NULL;
}

void lsp_http_events_free(struct lsp_http_events *events)
{
	if (!events)
		return;
	while (events->first < events->next)
		drop_first(events);
	lsp_http_text_unref(events->heartbeat);
	free(events);
}

/* The full state says all that these say. */
static bool is_superseded_by_state(const char *name)
{
	return lsp_text_ends_with(name, "_progress") || lsp_text_ends_with(name, "_begin") ||
	       strcmp(name, "local_games_updated") == 0 ||
	       strcmp(name, "remote_games_updated") == 0;
}

static void wake_readers(struct lsp_http_events *events)
{
	lsp_time now = lsp_now(events->http->clock);
	events->gathering = false;
	events->next_send = lsp_time_add(now, LSP_HTTP_GATHER_MILLISECONDS * LSP_MILLISECOND);
	for (struct lsp_http_client *client = events->clients; client; client = client->next) {
		if (!client->wants_state)
			wake(client);
	}
}

static void keep_event(struct lsp_http_events *events, const char *name, const char *json)
{
	char line[48];
	snprintf(line, sizeof line, "id: %s-%" PRIu64 "\n", events->run, events->next);
	struct lsp_http_text *text = event_text(line, json);
	if (!text) {
		/* A hole would be a lie: everybody starts over from the full state. */
		while (events->first < events->next)
			drop_first(events);
		events->first = ++events->next;
	} else {
		while (events->next - events->first == LSP_HTTP_MAX_EVENTS ||
			(events->bytes + text->size > LSP_HTTP_MAX_EVENT_BYTES &&
				events->first < events->next))
			drop_first(events);
		struct kept_event *event = &events->ring[events->next++ % LSP_HTTP_MAX_EVENTS];
		event->text = text;
		event->is_notice = !is_superseded_by_state(name);
		events->bytes += text->size;
	}
}

void lsp_http_events_push(struct lsp_http_events *events, const char *name, const char *json)
{
	keep_event(events, name, json);
	if (lsp_text_ends_with(name, "_progress") &&
		lsp_now(events->http->clock) < events->next_send)
		events->gathering = true;
	else
		wake_readers(events);
}

lsp_time lsp_http_events_due(const struct lsp_http_events *events)
{
	return events->gathering ? events->next_send : LSP_TIME_NEVER;
}

void lsp_http_events_send(struct lsp_http_events *events, lsp_time now)
{
	if (now >= lsp_http_events_due(events))
		wake_readers(events);
}

uint64_t lsp_http_events_next_sequence(const struct lsp_http_events *events)
{
	return events->next;
}

static void give_state(struct lsp_http_client *client, const struct lsp_http_list *list)
{
	const struct lsp_http_events *events = client->http->events;
	bool replays = client->position >= events->first && client->position < list->sequence;
	client->wants_state = false;
	client->missed_until = list->sequence;
	if (!replays)
		client->position = list->sequence;
	client->says_position = true;
	send_text(client, list->state);
	wake(client);
}

void lsp_http_events_state_ready(struct lsp_http_events *events, const struct lsp_http_list *list)
{
	/* What the ring lost since the list was made is lost to its readers too. */
	bool usable = list && list->sequence >= events->first;
	if (list && !usable) {
		lsp_http_games_touch(events->http->games, false);
		list = lsp_http_games_want(events->http->games, NULL);
		if (!list)
			return;
	}
	for (struct lsp_http_client *client = events->clients; client; client = client->next) {
		if (client->wants_state && list)
			give_state(client, list);
	}
}

void lsp_http_events_heartbeat(struct lsp_http_events *events)
{
	bool waits = false;
	for (struct lsp_http_client *client = events->clients; client; client = client->next) {
		waits |= client->wants_state;
		client->heartbeat = true;
		if (!client->wants_state)
			wake(client);
	}
	/* The peer was asked for the state and did not give it: it is asked again. */
	const struct lsp_http_list *list =
		waits ? lsp_http_games_want(events->http->games, NULL) : NULL;
	if (list)
		lsp_http_events_state_ready(events, list);
}

void lsp_http_events_close(struct lsp_http_events *events)
{
	events->closed = true;
	events->gathering = false;
	for (struct lsp_http_client *client = events->clients; client; client = client->next)
		wake(client);
}

size_t lsp_http_events_clients(const struct lsp_http_events *events)
{
	return events->client_count;
}
