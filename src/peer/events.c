#include "peer/events.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/json.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

/* One event as text, shared by the streams that have it queued. */
struct text {
	atomic_uint references;
	size_t size;
	char data[];
};

struct entry {
	struct text *text;
	bool keep; /* an answer or a final event: survives an overflow */
};

struct lanspread_stream {
	atomic_uint references;
	/* An eventfd: readable while there is something to say. −1 once abandoned, by then nobody
	 * reads; else it stays as it is. */
	int fd;

	pthread_mutex_t lock; /* guards all below */
	struct entry *ring;
	size_t capacity, head, count, bytes;
	bool closed, interrupted, abandoned;
	bool lagging; /* something was dropped and no snapshot stands in for it yet */
};

struct lsp_events {
	lsp_events_snapshot_function snapshot;
	void *argument;
	struct lanspread_stream **streams;
	size_t count, capacity;
};

static void text_unref(struct text *text)
{
	if (text && atomic_fetch_sub(&text->references, 1) == 1)
		free(text);
}

static struct text *text_of(json_t *event)
{
	char *dumped = lsp_json_dump(event, JSON_COMPACT);
	if (!dumped)
		return NULL;
	size_t size = strlen(dumped);
	struct text *text = malloc(sizeof *text + size + 1);
	if (text) {
		atomic_init(&text->references, 1);
		text->size = size;
		memcpy(text->data, dumped, size + 1);
	}
	free(dumped);
	return text;
}

/* ---- The stream ---- */

int lsp_event_stream_new(struct lanspread_stream **ret_stream, struct lsp_error *err)
{
	_cleanup_free_ struct lanspread_stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return lsp_error_no_memory(err, "peer");
	stream->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stream->fd < 0)
		return lsp_error_errno(err, "peer", errno, "cannot make an event stream");
	atomic_init(&stream->references, 1);
	pthread_mutex_init(&stream->lock, NULL);
	*ret_stream = TAKE_PTR(stream);
	return 0;
}

struct lanspread_stream *lsp_event_stream_ref(struct lanspread_stream *stream)
{
	atomic_fetch_add(&stream->references, 1);
	return stream;
}

static struct entry *entry_at(struct lanspread_stream *stream, size_t index)
{
	return &stream->ring[(stream->head + index) % stream->capacity];
}

/* Drops what is queued: all of it, or all that may go. */
static void drop_queued(struct lanspread_stream *stream, bool all)
{
	size_t kept = 0;
	for (size_t i = 0; i < stream->count; i++) {
		struct entry entry = *entry_at(stream, i);
		if (entry.keep && !all) {
			*entry_at(stream, kept++) = entry;
			continue;
		}
		stream->bytes -= entry.text->size;
		text_unref(entry.text);
	}
	stream->count = kept;
}

void lsp_event_stream_unref(struct lanspread_stream *stream)
{
	if (!stream || atomic_fetch_sub(&stream->references, 1) != 1)
		return;
	drop_queued(stream, true);
	free(stream->ring);
	if (stream->fd >= 0)
		close(stream->fd);
	pthread_mutex_destroy(&stream->lock);
	free(stream);
}

/* The lock is held. */
static void wake(struct lanspread_stream *stream)
{
	uint64_t one = 1;
	if (stream->fd >= 0)
		(void)!write(stream->fd, &one, sizeof one);
}

static bool grow(struct lanspread_stream *stream)
{
	size_t capacity = stream->capacity ? 2 * stream->capacity : 16;
	struct entry *ring = malloc(capacity * sizeof *ring);
	if (!ring)
		return false;
	for (size_t i = 0; i < stream->count; i++)
		ring[i] = *entry_at(stream, i);
	free(stream->ring);
	stream->ring = ring;
	stream->capacity = capacity;
	stream->head = 0;
	return true;
}

/* Queues one more; the lock is held. False when there is no room or memory for it. */
static bool push_locked(struct lanspread_stream *stream, struct text *text, bool keep)
{
	bool full = stream->count >= LSP_EVENTS_MAX_QUEUED ||
		    stream->bytes + text->size > LSP_EVENTS_MAX_BYTES;
	if (full && !keep && stream->count)
		return false;
	if (stream->count == stream->capacity && !grow(stream))
		return false;
	atomic_fetch_add(&text->references, 1);
	*entry_at(stream, stream->count) = (struct entry){text, keep};
	stream->count++;
	stream->bytes += text->size;
	wake(stream);
	return true;
}

/* What a push came to. */
enum pushed { PUSHED, LAGGING, GONE };

static enum pushed push(struct lanspread_stream *stream, struct text *text, bool keep)
{
	pthread_mutex_lock(&stream->lock);
	enum pushed result = PUSHED;
	if (stream->abandoned || stream->closed) {
		result = GONE;
	} else if (stream->lagging && !keep) {
		result = LAGGING;
	} else if (!text || !push_locked(stream, text, keep)) {
		drop_queued(stream, false);
		stream->lagging = true;
		result = LAGGING;
		if (text && keep)
			(void)push_locked(stream, text, keep); /* it needs no memory now */
	}
	pthread_mutex_unlock(&stream->lock);
	return result;
}

/* A snapshot in place of what was dropped, if anything was. */
static void push_resync(struct lanspread_stream *stream, struct text *snapshot)
{
	pthread_mutex_lock(&stream->lock);
	if (stream->lagging && push_locked(stream, snapshot, false))
		stream->lagging = false;
	pthread_mutex_unlock(&stream->lock);
}

static char *take_locked(struct lanspread_stream *stream)
{
	struct entry *entry = entry_at(stream, 0);
	char *copy = strdup(entry->text->data);
	if (!copy)
		return NULL;
	stream->bytes -= entry->text->size;
	text_unref(entry->text);
	stream->head = (stream->head + 1) % stream->capacity;
	stream->count--;
	return copy;
}

/* Makes the descriptor tell the truth again; the lock is held. */
static void settle_fd(struct lanspread_stream *stream)
{
	uint64_t count;
	if (!stream->count && !stream->closed && !stream->interrupted)
		(void)!read(stream->fd, &count, sizeof count);
}

static int try_next(struct lanspread_stream *stream, char **ret_text, struct lsp_error *err)
{
	int r;
	pthread_mutex_lock(&stream->lock);
	if (stream->interrupted) {
		r = lsp_error_set(err, "peer", LSP_E_CANCELLED, "the event stream was interrupted");
	} else if (stream->count) {
		char *text = take_locked(stream);
		r = text ? 0 : lsp_error_no_memory(err, "peer");
		if (text)
			*ret_text = text;
	} else if (stream->closed) {
		r = lsp_error_set(err, "peer", LSP_E_CLOSED, "the peer has stopped");
	} else {
		r = lsp_error_set(err, "peer", LSP_E_TIMEOUT, "no event in time");
	}
	settle_fd(stream);
	pthread_mutex_unlock(&stream->lock);
	return r;
}

int lsp_event_stream_next(
	struct lanspread_stream *stream, int timeout_ms, char **ret_text, struct lsp_error *err)
{
	lsp_time deadline = LSP_TIME_NEVER;
	if (timeout_ms >= 0)
		deadline = lsp_now(lsp_clock_system) + (uint64_t)timeout_ms * LSP_MILLISECOND;
	for (;;) {
		int r = try_next(stream, ret_text, err);
		if (r != -LSP_E_TIMEOUT)
			return r;
		uint64_t left = lsp_time_left(lsp_now(lsp_clock_system), deadline);
		if (!left)
			return r;
		uint64_t wait_ms = (left + LSP_MILLISECOND - 1) / LSP_MILLISECOND;
		struct pollfd pfd = {.fd = stream->fd, .events = POLLIN};
		if (poll(&pfd, 1, timeout_ms < 0 ? -1 : (int)wait_ms) < 0 && errno != EINTR)
			return lsp_error_errno(err, "peer", errno, "cannot wait for an event");
	}
}

int lsp_event_stream_fd(const struct lanspread_stream *stream)
{
	return stream->fd;
}

void lsp_event_stream_interrupt(struct lanspread_stream *stream)
{
	pthread_mutex_lock(&stream->lock);
	stream->interrupted = true;
	wake(stream);
	pthread_mutex_unlock(&stream->lock);
}

void lsp_event_stream_abandon(struct lanspread_stream *stream)
{
	pthread_mutex_lock(&stream->lock);
	stream->abandoned = true;
	drop_queued(stream, true);
	/* The hub may hold the stream for long: its descriptor is somebody else's by then. */
	close(TAKE_FD(stream->fd));
	pthread_mutex_unlock(&stream->lock);
}

void lsp_event_stream_close(struct lanspread_stream *stream)
{
	pthread_mutex_lock(&stream->lock);
	stream->closed = true;
	wake(stream);
	pthread_mutex_unlock(&stream->lock);
}

/* ---- The hub ---- */

int lsp_events_new(lsp_events_snapshot_function snapshot, void *argument,
	struct lsp_events **ret_events, struct lsp_error *err)
{
	struct lsp_events *events = calloc(1, sizeof *events);
	if (!events)
		return lsp_error_no_memory(err, "peer");
	events->snapshot = snapshot;
	events->argument = argument;
	*ret_events = events;
	return 0;
}

void lsp_events_close(struct lsp_events *events)
{
	for (size_t i = 0; i < events->count; i++) {
		lsp_event_stream_close(events->streams[i]);
		lsp_event_stream_unref(events->streams[i]);
	}
	events->count = 0;
}

void lsp_events_free(struct lsp_events *events)
{
	if (!events)
		return;
	lsp_events_close(events);
	free(events->streams);
	free(events);
}

size_t lsp_events_subscribers(const struct lsp_events *events)
{
	return events->count;
}

static struct text *snapshot_text(struct lsp_events *events, bool resync)
{
	json_t *event = events->snapshot(events->argument);
	if (!event)
		return NULL;
	if (resync)
		json_object_set_new(event, "resync", json_true());
	struct text *text = text_of(event);
	json_decref(event);
	return text;
}

static bool is_abandoned(struct lanspread_stream *stream)
{
	pthread_mutex_lock(&stream->lock);
	bool abandoned = stream->abandoned;
	pthread_mutex_unlock(&stream->lock);
	return abandoned;
}

/* Where nothing happens no event drops them: readers that come and go must not add up. */
static void drop_abandoned(struct lsp_events *events)
{
	for (size_t i = 0; i < events->count;) {
		if (is_abandoned(events->streams[i])) {
			lsp_event_stream_unref(events->streams[i]);
			events->streams[i] = events->streams[--events->count];
		} else {
			i++;
		}
	}
}

void lsp_events_attach(struct lsp_events *events, struct lanspread_stream *stream)
{
	drop_abandoned(events);
	if (events->count == events->capacity) {
		size_t capacity = events->capacity ? 2 * events->capacity : 8;
		struct lanspread_stream **grown =
			realloc(events->streams, capacity * sizeof(*grown));
		if (!grown) {
			lsp_event_stream_close(stream);
			lsp_event_stream_unref(stream);
			return;
		}
		events->streams = grown;
		events->capacity = capacity;
	}
	events->streams[events->count++] = stream;
	struct text *text = snapshot_text(events, false);
	push(stream, text, false);
	text_unref(text);
}

/* Gives every stream that lags a fresh snapshot, made once. */
static void resync(struct lsp_events *events)
{
	struct text *snapshot = snapshot_text(events, true);
	if (!snapshot)
		return; /* no memory now: the next event tries again */
	for (size_t i = 0; i < events->count; i++)
		push_resync(events->streams[i], snapshot);
	text_unref(snapshot);
}

static void publish(struct lsp_events *events, json_t *event, bool keep)
{
	struct text *text = event ? text_of(event) : NULL;
	json_decref(event);
	bool lagging = false;
	for (size_t i = 0; i < events->count;) {
		enum pushed pushed = push(events->streams[i], text, keep);
		if (pushed == GONE) {
			lsp_event_stream_unref(events->streams[i]);
			events->streams[i] = events->streams[--events->count];
			continue;
		}
		lagging |= pushed == LAGGING;
		i++;
	}
	text_unref(text);
	if (lagging)
		resync(events);
}

void lsp_events_publish(struct lsp_events *events, json_t *event)
{
	publish(events, event, false);
}

void lsp_events_publish_final(struct lsp_events *events, json_t *event)
{
	publish(events, event, true);
}

/* Without a JSON library, which may be what has failed. */
static struct text *failure_text(uint64_t request, const char *code, const char *message)
{
	enum { ROOM = 250 };
	struct text *text = malloc(sizeof *text + ROOM);
	if (!text)
		return NULL;
	atomic_init(&text->references, 1);
	text->size = (size_t)snprintf(text->data, ROOM,
		"{\"event\":\"answer\",\"request\":%llu,\"ok\":false,\"error\":{\"code\":\"%s\","
		"\"message\":\"%s\"}}",
		(unsigned long long)request, code, message);
	return text;
}

static bool is_unread(struct lanspread_stream *stream, size_t more)
{
	pthread_mutex_lock(&stream->lock);
	bool unread = stream->count && stream->bytes + more > LSP_EVENTS_MAX_ANSWERS;
	pthread_mutex_unlock(&stream->lock);
	return unread;
}

void lsp_events_answer(struct lanspread_stream *stream, uint64_t request, json_t *event)
{
	struct text *text = stream && event ? text_of(event) : NULL;
	json_decref(event);
	if (!stream)
		return;
	if (text && is_unread(stream, text->size)) {
		text_unref(text);
		text = failure_text(request, "busy", "too many answers wait to be read");
	} else if (!text) {
		text = failure_text(request, "failed", "the answer could not be made");
	}
	push(stream, text, true);
	text_unref(text);
}
