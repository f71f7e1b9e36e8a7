/*
 * How much of anything a client may have or send. Every number is in docs/api.yaml too, and has a
 * test in tests/unit/http.
 */
#pragma once

/* Connections at once; half of the process's descriptors if that is less (server.c). */
#define LSP_HTTP_MAX_CONNECTIONS 1280
/* From one address, where the page is not on loopback alone. */
#define LSP_HTTP_MAX_CONNECTIONS_OF_ADDRESS 128u
/* Part of them that may be event streams, in percent: the others stay for requests. */
#define LSP_HTTP_EVENT_CLIENT_SHARE 80
/* Memory for one connection's headers and buffers, bytes; a longer header is refused with 431. */
#define LSP_HTTP_CONNECTION_MEMORY (24u << 10)
/* A request's body, bytes; 413 above. */
#define LSP_HTTP_MAX_BODY (64u << 10)
/* The same where a torrent file may be in it, in base64: files of up to 11 MiB, and less than a
 * command may have. */
#define LSP_HTTP_MAX_TORRENT_BODY (15u << 20)
/* Nesting of a body's JSON. */
#define LSP_HTTP_MAX_DEPTH 16
/* A connection on which nothing moves is closed after so many seconds. */
#define LSP_HTTP_IDLE_SECONDS 30
/* The peer must answer a command within this time; 504 then. */
#define LSP_HTTP_ANSWER_SECONDS 20
/* Commands without an answer; 503 above. */
#define LSP_HTTP_MAX_CALLS 512
/* Silence on an event stream is broken after so many seconds. */
#define LSP_HTTP_HEARTBEAT_SECONDS 15
/* An event that tells of progress alone may wait so long for others, so that an event stream is
 * written to once for all of them. */
#define LSP_HTTP_GATHER_MILLISECONDS 200
/* Events that are kept for replay: so many, and so many bytes of them. */
#define LSP_HTTP_MAX_EVENTS 2048
#define LSP_HTTP_MAX_EVENT_BYTES (16u << 20)
/* What the kernel may queue for one event stream, bytes. */
#define LSP_HTTP_EVENT_SEND_BUFFER (128 << 10)
/* One cover, bytes; and all that are cached. */
#define LSP_HTTP_MAX_COVER (2u << 20)
#define LSP_HTTP_MAX_COVER_CACHE (32u << 20)
/* How long a peer that stops may take to say its last event and close the stream, milliseconds. */
#define LSP_HTTP_LAST_EVENTS_MILLISECONDS 1200
/* At the end: how long the last events may take to leave, milliseconds. */
#define LSP_HTTP_FLUSH_MILLISECONDS 500
