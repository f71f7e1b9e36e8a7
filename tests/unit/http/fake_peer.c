#include "fake_peer.h"

#include "fake_model.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct node {
	struct node *next;
	char *text;
};

struct lanspread_stream {
	struct lanspread *peer;
	struct lanspread_stream *next;
	struct node *first, **last;
	int fd;
	bool closed;
};

struct lanspread {
	pthread_mutex_t lock; /* guards everything here */
	struct fake_model model;
	struct lanspread_stream *streams;
	json_t *scripts, *counts, *lasts;
	uint64_t next_request;
	bool full, closed;
};

/* ---- Streams: the lock is held ---- */

static void put(struct lanspread_stream *stream, const json_t *event)
{
	uint64_t one = 1;
	struct node *node = calloc(1, sizeof *node);
	node->text = json_dumps(event, JSON_COMPACT);
	*stream->last = node;
	stream->last = &node->next;
	if (write(stream->fd, &one, sizeof one) != sizeof one)
		abort();
}

static void emit(void *argument, json_t *event)
{
	struct lanspread *peer = argument;
	for (struct lanspread_stream *stream = peer->streams; stream; stream = stream->next)
		put(stream, event);
	json_decref(event);
}

/* ---- The double ---- */

struct lanspread *fake_peer_new(void)
{
	struct lanspread *peer = calloc(1, sizeof *peer);
	pthread_mutex_init(&peer->lock, NULL);
	fake_model_init(&peer->model, emit, peer);
	peer->scripts = json_object();
	peer->counts = json_object();
	peer->lasts = json_object();
	return peer;
}

void fake_peer_free(struct lanspread *peer)
{
	while (peer->streams)
		lanspread_stream_free(peer->streams);
	fake_model_done(&peer->model);
	json_decref(peer->scripts);
	json_decref(peer->counts);
	json_decref(peer->lasts);
	pthread_mutex_destroy(&peer->lock);
	free(peer);
}

#define LOCKED(peer, ...)                                                                          \
	do {                                                                                       \
		pthread_mutex_lock(&(peer)->lock);                                                 \
		__VA_ARGS__;                                                                       \
		pthread_mutex_unlock(&(peer)->lock);                                               \
	} while (0)

void fake_peer_put_game(struct lanspread *peer, json_t *game)
{
	LOCKED(peer, fake_model_put(&peer->model, game));
}

void fake_peer_fill(struct lanspread *peer, size_t count)
{
	LOCKED(peer, fake_model_fill(&peer->model, count));
}

void fake_peer_change_game(struct lanspread *peer, const char *id, json_t *members)
{
	LOCKED(peer, fake_model_change(&peer->model, id, members));
}

void fake_peer_set_status(struct lanspread *peer, const char *key, json_t *value)
{
	LOCKED(peer, json_object_set_new(peer->model.status, key, value));
}

void fake_peer_set_peers(struct lanspread *peer, json_t *peers)
{
	LOCKED(peer, json_decref(peer->model.peers); peer->model.peers = peers);
}

void fake_peer_script(struct lanspread *peer, const char *command, json_t *answer)
{
	if (answer)
		LOCKED(peer, json_object_set_new(peer->scripts, command, answer));
	else
		LOCKED(peer, json_object_del(peer->scripts, command));
}

void fake_peer_hold(struct lanspread *peer, const char *command)
{
	fake_peer_script(peer, command, json_null());
}

void fake_peer_set_full(struct lanspread *peer, bool full)
{
	LOCKED(peer, peer->full = full);
}

size_t fake_peer_count(struct lanspread *peer, const char *command)
{
	json_int_t count;
	LOCKED(peer, count = json_integer_value(json_object_get(peer->counts, command)));
	return (size_t)count;
}

json_t *fake_peer_last(struct lanspread *peer, const char *command)
{
	json_t *last;
	LOCKED(peer, last = json_deep_copy(json_object_get(peer->lasts, command)));
	return last;
}

void fake_peer_emit(struct lanspread *peer, json_t *event)
{
	LOCKED(peer, emit(peer, event));
}

size_t fake_peer_advance(struct lanspread *peer, json_int_t bytes)
{
	size_t left;
	LOCKED(peer, left = fake_model_advance(&peer->model, bytes));
	return left;
}

void fake_peer_close(struct lanspread *peer)
{
	uint64_t one = 1;
	pthread_mutex_lock(&peer->lock);
	peer->closed = true;
	for (struct lanspread_stream *stream = peer->streams; stream; stream = stream->next) {
		stream->closed = true;
		if (write(stream->fd, &one, sizeof one) != sizeof one)
			abort();
	}
	pthread_mutex_unlock(&peer->lock);
}

/* ---- The public API ---- */

static json_t *answer_to(struct lanspread *peer, const char *name, json_t *command)
{
	json_t *script = json_object_get(peer->scripts, name);
	if (script)
		return json_is_null(script) ? NULL : json_deep_copy(script);
	return fake_model_run(&peer->model, name, command);
}

int lanspread_send(struct lanspread *peer, struct lanspread_stream *stream, const char *json,
	uint64_t *ret_request, struct lanspread_error *err)
{
	pthread_mutex_lock(&peer->lock);
	if (peer->closed || peer->full) {
		int code = peer->closed ? LANSPREAD_E_CLOSED : LANSPREAD_E_BUSY;
		pthread_mutex_unlock(&peer->lock);
		*err = (struct lanspread_error){.code = code, .message = "the queue is full"};
		return -code;
	}
	json_t *command = json_loads(json, 0, NULL);
	const char *name = json_string_value(json_object_get(command, "command"));
	json_int_t count = json_integer_value(json_object_get(peer->counts, name));
	json_object_set_new(peer->counts, name, json_integer(count + 1));
	json_object_set(peer->lasts, name, command);
	*ret_request = ++peer->next_request;
	json_t *answer = answer_to(peer, name, command);
	if (answer) {
		json_t *event = json_pack(
			"{s:s, s:I}", "event", "answer", "request", (json_int_t)*ret_request);
		json_object_update(event, answer);
		put(stream, event);
		json_decref(event);
		json_decref(answer);
	}
	json_decref(command);
	pthread_mutex_unlock(&peer->lock);
	return 0;
}

int lanspread_subscribe(
	struct lanspread *peer, struct lanspread_stream **ret_stream, struct lanspread_error *err)
{
	struct lanspread_stream *stream = calloc(1, sizeof *stream);
	stream->peer = peer;
	stream->last = &stream->first;
	stream->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_lock(&peer->lock);
	stream->next = peer->streams;
	peer->streams = stream;
	json_t *state = fake_model_state(&peer->model);
	put(stream, state);
	json_decref(state);
	pthread_mutex_unlock(&peer->lock);
	*ret_stream = stream;
	return 0;
}

int lanspread_next_event(struct lanspread_stream *stream, int timeout_ms, char **ret_json,
	struct lanspread_error *err)
{
	uint64_t ignored;
	int r = -LANSPREAD_E_TIMEOUT;
	pthread_mutex_lock(&stream->peer->lock);
	struct node *node = stream->first;
	if (node) {
		stream->first = node->next;
		if (!stream->first)
			stream->last = &stream->first;
		*ret_json = node->text;
		free(node);
		r = 0;
	} else if (stream->closed) {
		r = -LANSPREAD_E_CLOSED;
	} else if (read(stream->fd, &ignored, sizeof ignored) < 0) {
		r = -LANSPREAD_E_TIMEOUT;
	}
	pthread_mutex_unlock(&stream->peer->lock);
	return r;
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
	pthread_mutex_unlock(&peer->lock);
	while (stream->first) {
		struct node *node = stream->first;
		stream->first = node->next;
		free(node->text);
		free(node);
	}
	close(stream->fd);
	free(stream);
}

void lanspread_free_text(char *text)
{
	free(text);
}
