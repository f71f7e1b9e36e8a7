/*
 * hostile-peer: a peer that lies, for tests.
 *
 *     hostile-peer KIND --game ID [--name NAME] [--folder FOLDER] HOST:PORT...
 *     hostile-peer half|mute|idle --count N HOST:PORT
 *     hostile-peer wire CASE [--early] [--seconds S] [--parameters NAME] HOST:PORT
 *
 * The first form is company in a swarm. It dials every address, copies the announcement of a game
 * and its manifest from whoever has it, claims the whole game to everybody (a flooder and a greedy
 * one claim nothing) and then behaves as its kind says: poison (wrong bytes), missing ("I don't
 * have that"), stall (no answer), trickle (100 bytes a second), reset (half an answer), flood (asks
 * everybody for every chunk, 64 at a time, again and again), greedy (the same, and never reads),
 * flaky (an honest source of the game's files in --folder but for every tenth answer, which it
 * breaks off half way), lure (announces a game of its own, whose manifest is the file --folder and
 * may say anything).
 *
 * The second is a crowd of connections that do nothing; crowd.c says which.
 *
 * The third form breaks one rule of the wire towards one peer and tells what came of it; wire.c
 * has the table of cases. --early: before Hello. --parameters: with such a handshake
 * (parameters.c).
 *
 * Each line on stdout is a JSON object with "event": up, claimed, asked (the first request for
 * chunks from there), closed, done; of a crowd "crowd" with its counts, twice a second; for `wire`
 * one line "result". SIGTERM ends it in peace.
 *
 * main.c dials and greets; swarm.c is the company; wire.c the broken rules, forge.c and
 * parameters.c those of them that are below streams. One thread, one loop.
 */
#pragma once

#include "net/endpoint_private.h"
#include "peer/exchange.h"
#include "wire/manifest.h"

#include <jansson.h>

#define VICTIMS_MAX 64

struct hostile;

enum kind {
	POISON,
	MISSING,
	STALL,
	TRICKLE,
	RESET,
	FLOOD,
	GREEDY,
	FLAKY,
	LURE,
	HALF,
	MUTE,
	IDLE,
	WIRE,
	KIND_COUNT
};

/* A peer that we dialled. */
struct victim {
	struct hostile *hostile;
	struct lsp_connection *connection; /* NULL: closed */
	char address[LSP_ADDRESS_TEXT_MAX];
	struct sockaddr_storage to;
	bool up; /* Hello was said and answered */
	bool claimed, asked;
	bool listing;       /* a GetGame of ours is under way */
	unsigned in_flight; /* of a flooder's requests */
};

struct hostile {
	enum kind kind;
	const char *name, *game, *folder;
	size_t count; /* of a crowd */
	uv_loop_t loop;
	uv_timer_t timer;
	uv_signal_t signal;
	struct lsp_endpoint *endpoint;
	struct lsp_identity *identity;
	struct lsp_hash instance;
	struct victim victims[VICTIMS_MAX];
	size_t victim_count;

	/* Company. */
	struct lsp_game_summary summary; /* content all zero: not copied yet */
	struct lsp_buffer transport;     /* the manifest as it came */
	const struct lsp_manifest *manifest;
	struct lsp_exchange *fetching;
	struct trickle *trickles;
	uint64_t turn, asked, sent, received;

	/* Broken rules. */
	const char *rule, *file;
	bool early;
	double seconds;
	lsp_time begun;
	struct lsp_stream *stream;
	struct lsp_buffer slow; /* left to be written, a byte a second */
	size_t slow_at;
	unsigned streams_left;
	struct lsp_stream *opened[256];
	size_t opened_count;
	char answer[32];
	uint64_t forged;   /* frames */
	uint64_t answered; /* bytes */
	bool whole;        /* the answer has ended */
};

/* Prints a line; takes the reference. */
void say(json_t *line);
_Noreturn void die(const char *what, const struct lsp_error *error);
/* Ends the program after goodbyes. */
void leave(struct hostile *hostile);
/* Says Hello under that key. */
void greet(struct victim *victim, const struct lsp_hash *id, uint16_t port);
/* Answers what the other side asks; the connection's user is a struct victim. */
void serve_stream(struct lsp_connection *connection, struct lsp_stream *stream, void *argument);

/* swarm.c */
void company_begin(struct hostile *hostile); /* before anybody is dialled */
void company_up(struct victim *victim);
void company_tick(struct hostile *hostile); /* every 10 ms */
void company_request(
	struct victim *victim, struct lsp_responder *responder, const struct lsp_request *request);
void company_done(struct hostile *hostile);

/* wire.c */
bool rule_is_known(const char *rule);
void rule_break(struct victim *victim);
void rule_tick(struct hostile *hostile); /* every 10 ms */
/* Its connection is over, or the time is (close NULL): says the result. */
void rule_result(struct hostile *hostile, const struct lsp_close *close);

/* crowd.c */
void crowd_begin(struct hostile *hostile, size_t count, const struct sockaddr_storage *to);
void crowd_tick(struct hostile *hostile); /* every 10 ms */
void crowd_leave(void);

/* forge.c */
enum flood { FLOOD_CIDS, FLOOD_RETIRED_CIDS, FLOOD_CHALLENGES, FLOOD_GAPS };
/* The connection of this endpoint has keys. */
void forge_begin(const struct lsp_endpoint *endpoint, const struct sockaddr_storage *to);
/* A burst of packets full of such frames; how many frames there were so far. */
uint64_t forge_flood(enum flood flood);
