/*
 * The event hub: everything a peer tells its clients goes through here, once, in order.
 *
 * The core loop publishes; each subscriber reads a stream of its own, on any thread. An event is
 * turned into text once and shared by all streams. A stream is bounded (LSP_EVENTS_MAX_QUEUED
 * events, LSP_EVENTS_MAX_BYTES bytes): a reader that falls behind loses what is queued but for
 * answers and events that end something for good (runtime_failed), and gets a fresh snapshot with
 * "resync": true in its place. So what a client shows is always the truth or older truth, never a
 * mix with a hole in it.
 *
 * The first event of a stream is the snapshot, which the owner of the state makes when asked
 * (lsp_events_snapshot_function, on the core loop).
 *
 * struct lanspread_stream is the public handle. It is shared by its reader and the hub and goes
 * when both have let go. Its queue is guarded by its own lock, which is held for a few
 * instructions, never across I/O.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lanspread_stream;
struct lsp_events;

#define LSP_EVENTS_MAX_QUEUED 4096
#define LSP_EVENTS_MAX_BYTES (8u << 20)
/* Beyond so many bytes that its reader leaves unread, an answer becomes "busy". */
#define LSP_EVENTS_MAX_ANSWERS (64u << 20)

/* Gives the whole state as one event object (a new reference), NULL when out of memory. */
typedef json_t *(*lsp_events_snapshot_function)(void *argument);

/* ---- The hub: all of it on the core loop ---- */

LSP_MUST_CHECK int lsp_events_new(lsp_events_snapshot_function snapshot, void *argument,
	struct lsp_events **ret_events, struct lsp_error *err);
/* Streams that are still attached are closed. */
void lsp_events_free(struct lsp_events *events);

/* Takes one reference of the stream over and sends it the snapshot. */
void lsp_events_attach(struct lsp_events *events, struct lanspread_stream *stream);

/*
 * Sends the event to every stream and drops the caller's reference. An event that could not be
 * made (NULL, out of memory) marks the streams for a resync.
 */
void lsp_events_publish(struct lsp_events *events, json_t *event);
/* The same, for an event that must not be dropped from a full queue. */
void lsp_events_publish_final(struct lsp_events *events, json_t *event);
/*
 * The answer to that request, to one stream (NULL: nobody): never dropped. Takes the reference of
 * `event`; one that could not be made, or that finds too much unread, becomes a failure.
 */
void lsp_events_answer(struct lanspread_stream *stream, uint64_t request, json_t *event);

size_t lsp_events_subscribers(const struct lsp_events *events);
/* No more events: readers get what is queued, then -LSP_E_CLOSED. */
void lsp_events_close(struct lsp_events *events);

/* ---- The stream: any thread ---- */

LSP_MUST_CHECK int lsp_event_stream_new(
	struct lanspread_stream **ret_stream, struct lsp_error *err);
struct lanspread_stream *lsp_event_stream_ref(struct lanspread_stream *stream);
void lsp_event_stream_unref(struct lanspread_stream *stream);
/* As lanspread_next_event, with a text to free(). */
LSP_MUST_CHECK int lsp_event_stream_next(
	struct lanspread_stream *stream, int timeout_ms, char **ret_text, struct lsp_error *err);
int lsp_event_stream_fd(const struct lanspread_stream *stream);
void lsp_event_stream_interrupt(struct lanspread_stream *stream);
/*
 * The reader will not come back: nothing is queued any more, and its descriptor is closed at once.
 * The hub lets go of it with the next event or the next reader.
 */
void lsp_event_stream_abandon(struct lanspread_stream *stream);
/* Ends a stream that never was attached. */
void lsp_event_stream_close(struct lanspread_stream *stream);
