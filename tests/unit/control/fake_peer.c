#include "fake_peer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 30

struct queued {
	struct queued *next;
	char *json;
};

struct lanspread_stream {
	struct lanspread *peer;
	struct lanspread_stream *next;
	struct queued *first, **last;
	int fd;
};

struct lanspread {
	pthread_mutex_t lock; /* everything below */
	pthread_cond_t changed;
	fake_handler handler;
	void *argument;
	json_t *snapshot;
	json_t *commands; /* all that came */
	struct lanspread_stream *streams;
	unsigned stream_count;
	uint64_t requests;
	struct {
		uint64_t request;
		struct lanspread_stream *stream;
	} waiting[32];
	int refuse;
	bool stopped;
};

struct lanspread *fake_new(fake_handler handler, void *argument)
{
	struct lanspread *peer = calloc(1, sizeof *peer);
	pthread_mutex_init(&peer->lock, NULL);
	pthread_cond_init(&peer->changed, NULL);
	peer->handler = handler;
	peer->argument = argument;
	peer->commands = json_array();
	peer->snapshot = json_pack(
		"{s:s, s:[], s:[]}", "event", "local_games_updated", "games", "operations");
	return peer;
}

void lanspread_free(struct lanspread *peer)
{
	if (!peer)
		return;
	fake_stop(peer);
	json_decref(peer->snapshot);
	json_decref(peer->commands);
	pthread_cond_destroy(&peer->changed);
	pthread_mutex_destroy(&peer->lock);
	free(peer);
}

/* ---- Streams; the lock is held ---- */

static void push(struct lanspread_stream *stream, const json_t *event)
{
	struct queued *queued = calloc(1, sizeof *queued);
	queued->json = json_dumps(event, JSON_COMPACT);
	*stream->last = queued;
	stream->last = &queued->next;
	eventfd_write(stream->fd, 1);
}

static void wake(struct lanspread *peer)
{
	pthread_cond_broadcast(&peer->changed);
}

static void answer(struct lanspread *peer, struct lanspread_stream *to, uint64_t request,
	struct fake_answer *said)
{
	json_t *event;
	if (said->code) {
		json_t *error = json_pack("{s:s, s:s}", "code", lanspread_code_name(said->code),
			"message", said->message ? said->message : "no");
		if (said->more)
			json_object_update(error, said->more);
		event = json_pack("{s:s, s:I, s:b, s:o}", "event", "answer", "request",
			(json_int_t)request, "ok", 0, "error", error);
	} else {
		event = json_pack("{s:s, s:I, s:b, s:o}", "event", "answer", "request",
			(json_int_t)request, "ok", 1, "result",
			said->result ? json_incref(said->result) : json_object());
	}
	for (struct lanspread_stream *stream = peer->streams; stream; stream = stream->next)
		if (stream == to)
			push(stream, event);
	json_decref(event);
	json_decref(said->result);
	json_decref(said->more);
}

/* ---- For tests ---- */

void fake_set_snapshot(struct lanspread *peer, json_t *event)
{
	pthread_mutex_lock(&peer->lock);
	json_decref(peer->snapshot);
	peer->snapshot = event;
	pthread_mutex_unlock(&peer->lock);
}

void fake_publish(struct lanspread *peer, json_t *event)
{
	pthread_mutex_lock(&peer->lock);
	for (struct lanspread_stream *stream = peer->streams; stream; stream = stream->next)
		push(stream, event);
	pthread_mutex_unlock(&peer->lock);
	json_decref(event);
}

void fake_answer_now(struct lanspread *peer, uint64_t request, struct fake_answer said)
{
	pthread_mutex_lock(&peer->lock);
	for (size_t i = 0; i < sizeof peer->waiting / sizeof peer->waiting[0]; i++)
		if (peer->waiting[i].request == request) {
			answer(peer, peer->waiting[i].stream, request, &said);
			peer->waiting[i].request = 0;
			break;
		}
	pthread_mutex_unlock(&peer->lock);
}

void fake_stop(struct lanspread *peer)
{
	pthread_mutex_lock(&peer->lock);
	peer->stopped = true;
	for (struct lanspread_stream *stream = peer->streams; stream; stream = stream->next)
		eventfd_write(stream->fd, 1);
	wake(peer);
	pthread_mutex_unlock(&peer->lock);
}

void fake_refuse_send(struct lanspread *peer, int code)
{
	pthread_mutex_lock(&peer->lock);
	peer->refuse = code;
	pthread_mutex_unlock(&peer->lock);
}

static unsigned count_commands(struct lanspread *peer, const char *name)
{
	size_t i;
	json_t *command;
	unsigned count = 0;
	json_array_foreach (peer->commands, i, command)
		count += !strcmp(json_string_value(json_object_get(command, "command")), name);
	return count;
}

static void wait_until(struct lanspread *peer,
	bool (*done)(struct lanspread *, const void *, unsigned), const void *what, unsigned count,
	const char *text)
{
	struct timespec deadline;
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&peer->lock);
	while (!done(peer, what, count))
		if (pthread_cond_timedwait(&peer->changed, &peer->lock, &deadline) == ETIMEDOUT) {
			fprintf(stderr, "waited in vain for %s\n", text);
			abort();
		}
	pthread_mutex_unlock(&peer->lock);
}

static bool has_streams(struct lanspread *peer, const void *what, unsigned count)
{
	return peer->stream_count == count;
}

static bool has_commands(struct lanspread *peer, const void *what, unsigned count)
{
	return count_commands(peer, what) >= count;
}

void fake_wait_streams(struct lanspread *peer, unsigned count)
{
	wait_until(peer, has_streams, NULL, count, "streams");
}

void fake_wait_commands(struct lanspread *peer, const char *name, unsigned count)
{
	wait_until(peer, has_commands, name, count, name);
}

json_t *fake_last_command(struct lanspread *peer, const char *name)
{
	json_t *found = NULL, *command;
	size_t i;
	pthread_mutex_lock(&peer->lock);
	json_array_foreach (peer->commands, i, command)
		if (!strcmp(json_string_value(json_object_get(command, "command")), name))
			found = command;
	json_incref(found);
	pthread_mutex_unlock(&peer->lock);
	return found;
}

/* ---- The API ---- */

static int fail(struct lanspread_error *err, int code, const char *message)
{
	if (err) {
		*err = (struct lanspread_error){.code = code};
		snprintf(err->message, sizeof err->message, "%s", message);
	}
	return -code;
}

const char *lanspread_version(void)
{
	return LANSPREAD_VERSION;
}

const char *lanspread_code_name(int code)
{
	static const char *const names[] = {"ok", "failed", "no_memory", "invalid", "protocol",
		"too_large", "not_found", "exists", "busy", "denied", "no_space", "io", "cancelled",
		"timeout", "closed", "unsupported", "corrupt"};
	return code > 0 && (size_t)code < sizeof names / sizeof *names ? names[code] : "failed";
}

int lanspread_send(struct lanspread *peer, struct lanspread_stream *stream, const char *json,
	uint64_t *ret_request, struct lanspread_error *err)
{
	struct fake_answer said = {0};
	json_t *command = json_loads(json, 0, NULL);
	pthread_mutex_lock(&peer->lock);
	if (peer->stopped || peer->refuse) {
		int code = peer->stopped ? LANSPREAD_E_CLOSED : peer->refuse;
		pthread_mutex_unlock(&peer->lock);
		json_decref(command);
		return fail(err, code, "not now");
	}
	uint64_t request = ++peer->requests;
	if (ret_request)
		*ret_request = request;
	if (!json_is_string(json_object_get(command, "command"))) {
		said = (struct fake_answer){
			.code = LANSPREAD_E_INVALID, .message = "that is no command"};
	} else {
		json_array_append(peer->commands, command);
		wake(peer);
		peer->waiting[request % 32].request = request;
		peer->waiting[request % 32].stream = stream;
		pthread_mutex_unlock(&peer->lock);
		peer->handler(peer, command, request, &said, peer->argument);
		pthread_mutex_lock(&peer->lock);
	}
	if (!said.later) {
		answer(peer, stream, request, &said);
		if (peer->waiting[request % 32].request == request)
			peer->waiting[request % 32].request = 0;
	}
	pthread_mutex_unlock(&peer->lock);
	json_decref(command);
	return 0;
}

int lanspread_subscribe(
	struct lanspread *peer, struct lanspread_stream **ret_stream, struct lanspread_error *err)
{
	struct lanspread_stream *stream = calloc(1, sizeof *stream);
	stream->peer = peer;
	stream->last = &stream->first;
	stream->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	pthread_mutex_lock(&peer->lock);
	stream->next = peer->streams;
	peer->streams = stream;
	peer->stream_count++;
	push(stream, peer->snapshot);
	if (peer->stopped)
		eventfd_write(stream->fd, 1);
	wake(peer);
	pthread_mutex_unlock(&peer->lock);
	*ret_stream = stream;
	return 0;
}

int lanspread_next_event(struct lanspread_stream *stream, int timeout_ms, char **ret_json,
	struct lanspread_error *err)
{
	struct pollfd fds = {.fd = stream->fd, .events = POLLIN};
	struct lanspread *peer = stream->peer;
	if (poll(&fds, 1, timeout_ms) <= 0)
		return fail(err, LANSPREAD_E_TIMEOUT, "no event");
	pthread_mutex_lock(&peer->lock);
	struct queued *queued = stream->first;
	if (queued) {
		eventfd_t ignored;
		eventfd_read(stream->fd, &ignored);
		stream->first = queued->next;
		if (!stream->first)
			stream->last = &stream->first;
	}
	pthread_mutex_unlock(&peer->lock);
	if (!queued)
		return fail(err, LANSPREAD_E_CLOSED, "the peer has stopped");
	*ret_json = queued->json;
	free(queued);
	return 0;
}

int lanspread_stream_fd(const struct lanspread_stream *stream)
{
	return stream->fd;
}

void lanspread_stream_free(struct lanspread_stream *stream)
{
	if (!stream)
		return;
	struct lanspread *peer = stream->peer;
	pthread_mutex_lock(&peer->lock);
	struct lanspread_stream **link = &peer->streams;
	while (*link != stream)
		link = &(*link)->next;
	*link = stream->next;
	peer->stream_count--;
	for (struct queued *queued = stream->first, *next; queued; queued = next) {
		next = queued->next;
		free(queued->json);
		free(queued);
	}
	close(stream->fd);
	free(stream);
	wake(peer);
	pthread_mutex_unlock(&peer->lock);
}

void lanspread_free_text(char *text)
{
	free(text);
}
