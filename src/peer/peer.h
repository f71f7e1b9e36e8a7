/*
 * The peer: everything, put together.
 *
 * struct lsp_peer is what the files of this folder share; nobody else sees it. Its fields stand in
 * three groups by who may touch them. The heart is the core loop: one thread that owns the
 * connections, the database of the others' games, the swarm, the operations, the commands and the
 * events. It has no locks and never blocks; what blocks goes to the disk pool, to the library's
 * threads or to a task of its own, and comes back as a post.
 *
 * The files: runtime.c starts and stops it all and supervises the services; api.c is the public
 * door. connect.c finds and dials; session.c speaks with one peer; exchange.c is one request and
 * its answer; database.c knows the others' games; local.c watches ours; games.c shows both as one
 * list; share.c, upload.c, fetch.c and fill.c move bytes, limits.c and guard.c say how fast;
 * download.c takes a game from a wish to a folder; operations.c runs install, update and uninstall;
 * torrents.h is the torrent engine's part; command_table.c is what a client may ask.
 */
#pragma once

#include "base/clock.h"
#include "base/sha256.h"
#include "peer/block.h"
#include "peer/command.h"
#include "peer/rate.h"
#include "swarm/swarm.h"
#include "task/loop.h"
#include "task/pool.h"

#include <jansson.h>

struct lsp_announce;
struct lsp_connect;
struct lsp_cover_query;
struct lsp_damage;
struct lsp_database;
struct lsp_download;
struct lsp_events;
struct lsp_fetch;
struct lsp_fill;
struct lsp_games;
struct lsp_guards;
struct lsp_limits;
struct lsp_local;
struct lsp_operations;
struct lsp_unpacker;
struct lsp_session;
struct lsp_shares;
struct lsp_runtime;
struct lsp_torrent_fetch;
struct lsp_torrent_games;
struct lsp_torrent_late;
struct lsp_torrents;

struct lsp_peer {
	/* Immutable once started. */
	const struct lsp_clock *clock;
	struct lsp_hash id, instance;
	char *state_dir;
	lsp_time started;
	struct lsp_runtime *runtime;

	/* From every thread. */
	struct lsp_cancel *root; /* cancelled: the peer stops */
	struct lsp_tasks *tasks;
	struct lsp_loop *core;
	struct lsp_pool *disk;             /* short work: reads, writes, looks */
	struct lsp_pool *prepare;          /* long work: stages that open, second looks */
	struct lsp_pool *state_pool;       /* one thread: saves of small files, in order */
	struct lsp_operations *operations; /* who is busy with which game */
	const struct lsp_unpacker *unpacker;

	/* The core loop's alone. */
	char name[64]; /* ours; a setting */
	struct lsp_events *events;
	struct lsp_calls *calls;
	struct lsp_database *database;
	struct lsp_swarm *swarm;
	struct lsp_shares *shares;
	struct lsp_blocks *blocks;
	struct lsp_connect *connect;
	struct lsp_local *local;
	struct lsp_announce *announce;
	struct lsp_damage *damage;
	struct lsp_games *games;
	struct lsp_limits *limits;
	struct lsp_guards *guards;
	struct lsp_session *sessions; /* established and not yet */
	struct lsp_download *downloads;
	struct lsp_fetch *fetches;
	struct lsp_fill *fills;
	struct lsp_cover_query *covers; /* that other peers are asked for */
	struct lsp_torrents *torrents;
	struct lsp_torrent_games *torrent_games;
	struct lsp_torrent_fetch *torrent_fetches;
	struct lsp_torrent_late *torrent_lates;
	json_t *torrent_adds;    /* magnets that are to become games: torrent → game, or "" */
	json_t *torrent_leaving; /* torrent: as torrent_late.h says */
	json_t *torrent_wishes;  /* torrent_wish.h's */
	struct lsp_timer tick, swarm_timer;
	struct lsp_post swarm_post, count_post;
	bool swarm_posted, count_posted, stopping;
	json_t *health;  /* as it was last told */
	json_t *choices; /* game id → content id, as the user chose */
	json_t *unread;  /* documents of the state folder that could not be read: they stay */
	/* Those of which the newest save failed, a bit each (state.c): the state pool's thread's.
	 */
	uint32_t unsaved;
	uint32_t unsubmitted; /* and those of which it could not even begin */

	size_t answer_bytes;   /* in memory for answers of serve_disk.c */
	unsigned file_uploads; /* that run beside the swarm */

	uint64_t sent, received; /* payload bytes since the start */
	struct lsp_rate up_rate, down_rate;
};

static inline lsp_time lsp_peer_now(const struct lsp_peer *peer)
{
	return lsp_now(peer->clock);
}

/* The swarm has something to think about: it does so soon, once, from the loop. swarm_driver.c */
void lsp_peer_kick(struct lsp_peer *peer);

/*
 * A JSON document in the state folder: loaded whole ({} if it is not there or broken, which is said
 * in the log), saved atomically by a disk job that takes `document` over; the newest save of a file
 * wins. One that is there and could not be read is in `unread`, and is not saved: what it says is
 * not lost, and holds again from the next start on. Of one whose save fails the disk has an older
 * one, and what that refers to must not go: `unsaved`, `unsubmitted`. state.c
 */
json_t *lsp_peer_load_json(struct lsp_peer *peer, const char *name);
void lsp_peer_save_json(struct lsp_peer *peer, const char *name, json_t *document);

/* A line that a person should read: an event and a log line. */
void lsp_peer_warn(struct lsp_peer *peer, const char *format, ...) LSP_PRINTF(2, 3);
