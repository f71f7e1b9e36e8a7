/*
 * What peers say to each other: requests and responses as tagged values, and their JSON.
 *
 * A request opens a stream of its own and gets one response frame on it; Bytes is followed by raw
 * bytes until the stream ends. In JSON they look as serde writes tagged enums: "Ping", or
 * {"GetGame":{"id":"…"}}. Unknown fields are ignored; fields that are not `required` in
 * docs/protocol.md may be absent or null. An unknown request decodes to -LSP_E_UNSUPPORTED, a
 * broken one to -LSP_E_PROTOCOL: both are answered by an Error frame (the second may cost the
 * connection).
 *
 * Most requests ask. Some tell, and are answered by "Ok": LibraryDelta, Haves, HaveUpdate, Suggest,
 * ChunkRejected, Withdraw, Goodbye. Who asked to Follow a content is told of chunks as the other
 * side verifies them, coalesced, until Unfollow or the end of the connection.
 *
 * A value owns what its pointers point to: free it with lsp_request_done or lsp_response_done,
 * which take a zeroed one too. Decoding checks every limit and every name (game ids, paths,
 * versions), so that what comes out can be used; labels for people (title, name, message, reason)
 * are cleaned instead of refused. Whether chunk numbers exist is for the holder of the manifest to
 * check (lsp_ranges_fit). Encoding needs values that decode again; it fails with -LSP_E_INVALID
 * otherwise.
 *
 * Pure; a value belongs to one thread at a time.
 */
#pragma once

#include "base/bitmap.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/sha256.h"
#include "wire/path.h"
#include "wire/version.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LSP_PROTOCOL_VERSION 1

/* Limits; docs/protocol.md has them all in one table. */
#define LSP_MESSAGE_BYTES_MAX (UINT64_C(64) << 20) /* raw bytes asked for by one request */
#define LSP_MESSAGE_HASHES_MAX (UINT64_C(4) << 20) /* raw bytes of hashes by one request */
#define LSP_MESSAGE_COVER_MAX (UINT64_C(2) << 20)
#define LSP_MESSAGE_GAMES_MAX 500   /* summaries in one Games or LibraryDelta */
#define LSP_MESSAGE_RANGES_MAX 4096 /* ranges of chunks in one message */
#define LSP_MESSAGE_BLOCKS_MAX 1024 /* runs of leaves in one GetBlocks */
#define LSP_MESSAGE_FEATURES_MAX 32
#define LSP_MESSAGE_CHUNKS_MAX (UINT64_C(1) << 22) /* chunks in one content */
#define LSP_PEER_NAME_MAX 63
#define LSP_WORD_MAX 31 /* bytes of a feature, an error's code, a media type */

/* Numbers first to first + count − 1. */
struct lsp_range {
	uint64_t first;
	uint64_t count; /* at least 1 */
};

struct lsp_ranges {
	struct lsp_range *items; /* owned */
	size_t count;
};

/* Are all numbers below `end`, and no more of them than that? */
bool lsp_ranges_fit(const struct lsp_ranges *ranges, uint64_t end);
/* The set bits of a map as ranges, at most max of them; *ret_next is where to go on (bits: all). */
LSP_MUST_CHECK int lsp_ranges_from_bitmap(const struct lsp_bitmap *map, size_t from, size_t max,
	struct lsp_ranges *ret_ranges, size_t *ret_next, struct lsp_error *err);
void lsp_ranges_done(struct lsp_ranges *ranges);

/* A run of 16 KiB leaves within one chunk. The last leaf of a chunk may be short. */
struct lsp_block_run {
	uint32_t chunk;
	uint32_t first; /* leaf within the chunk */
	uint32_t count; /* at least 1 */
};

enum lsp_game_state {
	LSP_GAME_HASHING, /* names and sizes are known, the content id is not yet */
	LSP_GAME_READY,   /* all of it is here and served */
	LSP_GAME_PARTIAL, /* being downloaded: verified chunks are served (Follow tells which) */
};

/* A game as its holder announces it. */
struct lsp_game_summary {
	char id[LSP_GAME_ID_MAX + 1];
	char title[LSP_LABEL_MAX + 1];          /* may be empty */
	char version[LSP_VERSION_TEXT_MAX + 1]; /* empty: not known */
	uint64_t size;                          /* bytes of content */
	struct lsp_hash content;                /* all zero: not known yet */
	enum lsp_game_state state;
	bool has_cover;
};

struct lsp_game_list {
	struct lsp_game_summary *items; /* owned */
	size_t count;
};

struct lsp_text_list {
	char **items; /* owned, each too */
	size_t count;
};

enum lsp_request_type {
	LSP_REQUEST_PING,
	LSP_REQUEST_HELLO,
	LSP_REQUEST_LIST_GAMES,
	LSP_REQUEST_GET_GAME,
	LSP_REQUEST_GET_MANIFEST,
	LSP_REQUEST_GET_GAME_FILE_DATA,
	LSP_REQUEST_GET_GAME_FILE_CHUNK,
	LSP_REQUEST_GET_CHUNKS,
	LSP_REQUEST_GET_BLOCKS,
	LSP_REQUEST_GET_HASHES,
	LSP_REQUEST_GET_COVER,
	LSP_REQUEST_LIBRARY_DELTA,
	LSP_REQUEST_FOLLOW,
	LSP_REQUEST_UNFOLLOW,
	LSP_REQUEST_HAVES,
	LSP_REQUEST_HAVE_UPDATE,
	LSP_REQUEST_SUGGEST,
	LSP_REQUEST_CHUNK_REJECTED,
	LSP_REQUEST_WITHDRAW,
	LSP_REQUEST_TORRENT_PORT,
	LSP_REQUEST_GOODBYE,
	LSP_REQUEST_COUNT
};

enum lsp_response_type {
	LSP_RESPONSE_OK,
	LSP_RESPONSE_PONG,
	LSP_RESPONSE_ERROR,
	LSP_RESPONSE_HELLO,
	LSP_RESPONSE_GAMES,
	LSP_RESPONSE_GAME,
	LSP_RESPONSE_HAVES,
	LSP_RESPONSE_BYTES,
	LSP_RESPONSE_COUNT
};

/* The first request on a connection, by the side that dialled; the response is the other's. */
struct lsp_hello {
	uint64_t version;         /* LSP_PROTOCOL_VERSION */
	struct lsp_hash peer;     /* must be what the handshake showed */
	struct lsp_hash instance; /* random at each start: two instances, one key: a cloned disk */
	char name[LSP_PEER_NAME_MAX + 1];
	uint64_t port;                 /* UDP, where the sender listens; 0 to 65535 */
	struct lsp_text_list features; /* words; unknown ones are ignored */
	uint64_t revision;             /* of the sender's library; grows within one instance */
	uint64_t games;                /* how many it would list */
	uint64_t torrent_port;         /* TCP, where its torrent engine listens; 0: it does not */
};

struct lsp_torrent_port { /* what Hello said has changed */
	uint64_t port;
};

struct lsp_list_games {
	char after[LSP_GAME_ID_MAX + 1]; /* ids above this one, by bytes; empty: from the start */
	uint64_t limit;                  /* 1 to LSP_MESSAGE_GAMES_MAX; absent: that */
};

struct lsp_get_game {
	char id[LSP_GAME_ID_MAX + 1];
};

struct lsp_get_content { /* GetManifest, Follow, Unfollow */
	struct lsp_hash content;
};

/* A whole file of a game, by content or (whatever content the holder has) by id. */
struct lsp_get_file {
	struct lsp_hash content; /* all zero: by id */
	char id[LSP_GAME_ID_MAX + 1];
	char *path; /* owned */
};

struct lsp_get_file_range {
	struct lsp_hash content; /* as above */
	char id[LSP_GAME_ID_MAX + 1];
	char *path; /* owned */
	uint64_t offset;
	uint64_t length; /* 1 to LSP_MESSAGE_BYTES_MAX; beyond the file's end is an error */
};

/*
 * `count` chunks from `first` on, back to back, LSP_MESSAGE_BYTES_MAX at most. A holder that lacks
 * some of them, or would rather give less, answers with those it has up to the first it lacks
 * (Bytes.count says how many); if it lacks the first, with an Error.
 */
struct lsp_get_chunks {
	struct lsp_hash content;
	uint64_t first;
	uint64_t count;
	bool insist; /* nobody else would give it: a bounce of "elsewhere" is of no use */
	bool gentle; /* the asker shares its line with something that minds a delay: no queue there
		      */
};

/* Leaves, back to back in the order they are asked for; all or an Error. For updates. */
struct lsp_get_blocks {
	struct lsp_hash content;
	struct lsp_block_run *runs; /* owned */
	size_t run_count;
	bool gentle; /* as for chunks */
};

/* The leaf hashes of `count` chunks from `first` on, back to back, 32 bytes a leaf. */
struct lsp_get_hashes {
	struct lsp_hash content;
	uint64_t first;
	uint64_t count;
};

/*
 * The sender's library went from revision `base` to `revision`. A receiver that is not at `base`
 * lists anew. A delta too long for a frame goes out as several, each from the one before.
 */
struct lsp_library_delta {
	uint64_t base;
	uint64_t revision;
	struct lsp_game_list changed;
	struct lsp_text_list removed; /* game ids */
};

/* Everything the sender has of a content. Request: again, as a push; response: to Follow. */
struct lsp_haves {
	struct lsp_hash content;
	bool all;
	struct lsp_bitmap chunks; /* all the content's chunks; empty when `all` */
};

struct lsp_chunk_set { /* HaveUpdate, Suggest, Withdraw */
	struct lsp_hash content;
	struct lsp_ranges chunks; /* Withdraw: none means the whole content */
};

/* "What you sent as this chunk has another hash." */
struct lsp_chunk_rejected {
	struct lsp_hash content;
	uint64_t chunk;
};

struct lsp_goodbye {
	char reason[LSP_LABEL_MAX + 1];
};

struct lsp_request {
	enum lsp_request_type type;
	union {
		struct lsp_hello hello;
		struct lsp_list_games list_games;
		struct lsp_get_game get_game; /* GetGame, GetCover */
		struct lsp_get_content get_content;
		struct lsp_get_file get_file;
		struct lsp_get_file_range get_file_range;
		struct lsp_get_chunks get_chunks;
		struct lsp_get_blocks get_blocks;
		struct lsp_get_hashes get_hashes;
		struct lsp_library_delta library_delta;
		struct lsp_haves haves;
		struct lsp_chunk_set chunk_set;
		struct lsp_chunk_rejected chunk_rejected;
		struct lsp_torrent_port torrent_port;
		struct lsp_goodbye goodbye;
	};
};

struct lsp_error_response {
	int code; /* an enum lsp_code; FAILED for a word that we do not know */
	char message[LSP_LABEL_MAX + 1];
	uint64_t retry_ms; /* busy: not before this; 0: does not say */
	/*
	 * To GetChunks, with code busy: the chunk is not refused for good. "elsewhere": it was
	 * given to somebody else already, ask there; "queue": too many requests wait; "paused":
	 * uploads are. Empty: no bounce. A hint names a chunk that this peer would give now, which
	 * nobody has yet.
	 */
	char bounce[LSP_WORD_MAX + 1];
	bool has_hint;
	uint64_t hint;
};

struct lsp_games_response {
	uint64_t revision; /* of the library, when this page was made */
	bool more;         /* list on after the last id */
	struct lsp_game_list games;
};

struct lsp_game_response {
	struct lsp_game_list games; /* exactly one */
};

struct lsp_bytes_response {
	uint64_t length;              /* of what follows, exactly */
	uint64_t count;               /* GetChunks: chunks in it; else 0 */
	char media[LSP_WORD_MAX + 1]; /* GetCover: "image/png", …; else empty */
};

struct lsp_response {
	enum lsp_response_type type;
	union {
		struct lsp_error_response error;
		struct lsp_hello hello;
		struct lsp_games_response games;
		struct lsp_game_response game;
		struct lsp_haves haves;
		struct lsp_bytes_response bytes;
	};
};

void lsp_request_done(struct lsp_request *request);
void lsp_response_done(struct lsp_response *response);
#define _cleanup_request_ _cleanup_(lsp_request_done)
#define _cleanup_response_ _cleanup_(lsp_response_done)

/* The tag on the wire: "GetGame". */
const char *lsp_request_name(enum lsp_request_type type);
const char *lsp_response_name(enum lsp_response_type type);

/* From the payload of a frame. */
LSP_MUST_CHECK int lsp_request_decode(
	const char *text, size_t size, struct lsp_request *ret_request, struct lsp_error *err);
LSP_MUST_CHECK int lsp_response_decode(
	const char *text, size_t size, struct lsp_response *ret_response, struct lsp_error *err);

/* Appends a whole frame. */
LSP_MUST_CHECK int lsp_request_append(
	const struct lsp_request *request, struct lsp_buffer *buffer, struct lsp_error *err);
LSP_MUST_CHECK int lsp_response_append(
	const struct lsp_response *response, struct lsp_buffer *buffer, struct lsp_error *err);

/* The Error frame for a failure of ours. */
LSP_MUST_CHECK int lsp_response_append_error(
	const struct lsp_error *failure, struct lsp_buffer *buffer, struct lsp_error *err);
