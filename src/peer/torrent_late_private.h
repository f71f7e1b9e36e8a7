/*
 * A late game's download: its life (torrent_late.c), what the engine says of it
 * (torrent_late_events.c), what the user wants of it (torrent_late_control.c), and its end as a
 * game (torrent_promote.c).
 */
#pragma once

#include "peer/torrent_late.h"

#include "base/sha256.h"
#include "content/redo.h"
#include "task/pool.h"
#include "torrent/engine.h"
#include "wire/manifest.h"
#include "wire/path.h"

#include <stdatomic.h>

struct lsp_call;
struct lsp_manifest_query;
struct lsp_operation;

/* Below the game's folder: the torrent's save_path, and what it has there. */
#define LSP_TORRENT_LATE_FOLDER LSP_REDO_PRIVATE "/torrent"
#define LSP_TORRENT_LATE_FILES LSP_TORRENT_LATE_FOLDER "/files"

struct lsp_torrent_late {
	struct lsp_torrent_late *prev, *next;
	struct lsp_peer *peer;
	char game[LSP_GAME_ID_MAX + 1];
	char id[LSP_SHA256_HEX_SIZE]; /* "" until the engine has it */
	char *games_dir;
	struct lsp_operation *guard; /* NULL: it rests, cancelled or failed, until it is wanted */
	bool then_install;

	/* Until the engine has it. */
	struct lsp_call *call; /* of who adds it, or NULL */
	json_t *options;       /* what was asked of it, or NULL */
	char *kept;            /* as what (torrent_kept.h), or NULL */

	bool busy;      /* a step is to be answered before anything else is done with it */
	bool asking;    /* whether it is whole */
	bool seeds;     /* all bytes have come */
	bool paused;    /* by the user */
	bool held;      /* by us, until it is known where its files are */
	bool astray;    /* held, and that is to be looked at when it is wanted again */
	bool gone;      /* its torrent was removed, and not by us */
	bool waiting;   /* for somebody who has it */
	unsigned alone; /* ticks without a peer */
	json_t *progress;
	struct lsp_error trouble; /* code 0: none */
	bool looked;              /* whether it is that the disk is full */

	/* The promotion. */
	bool hashing, placing, left, to_lan;
	bool leaving; /* the session is told to let it go; `leaves`: it is to be told again */
	bool leaves;
	struct lsp_buffer metainfo;
	const struct lsp_manifest *manifest;
	struct lsp_manifest_query *query;
	struct lsp_job job;
	_Atomic uint64_t hashed;
};

/* In the list, of no game yet. */
LSP_MUST_CHECK int lsp_torrent_late_new(struct lsp_peer *peer, const char *game, const char *id,
	struct lsp_torrent_late **ret_late, struct lsp_error *err);
/* One that did not begin. */
void lsp_torrent_late_drop(struct lsp_torrent_late *late);
/* The one of a torrent, or NULL. */
struct lsp_torrent_late *lsp_torrent_late_by_id(const struct lsp_peer *peer, const char *id);
/* A magnet's own selection is nothing at first. */
void lsp_torrent_late_want_all(const struct lsp_torrent_late *late);
/* For somebody who has it. */
void lsp_torrent_late_set_waiting(struct lsp_torrent_late *late, bool waiting);
/* The game is its from now on. -LSP_E_BUSY: it is another operation's. */
LSP_MUST_CHECK int lsp_torrent_late_begin(struct lsp_torrent_late *late, struct lsp_error *err);
/* An event of the game. Takes the members; NULL: none. */
void lsp_torrent_late_publish(struct lsp_torrent_late *late, const char *what, json_t *members);
/* A command to the engine that takes no more than the torrent. */
void lsp_torrent_late_tell(struct lsp_torrent_late *late, enum lsp_torrent_command command);
/* Who it was told of, and who is here, to the engine. */
void lsp_torrent_late_offer_peers(struct lsp_torrent_late *late);
/*
 * One whose game is on its way, or here, without it: it leaves the engine with what it has, which
 * is nobody's, and what the game is seeded by may take its place.
 */
void lsp_torrent_late_let_go(struct lsp_peer *peer, const char *game, const char *id);
/* A step has ended: what waited for that is done now. It may be gone then. */
void lsp_torrent_late_look(struct lsp_torrent_late *late);
/* It is a game, or (error) will be none: it is gone. */
void lsp_torrent_late_over(struct lsp_torrent_late *late, const struct lsp_error *error);
void lsp_torrent_late_progress(struct lsp_torrent_late *late, json_t *progress);

/* All of it is here. */
void lsp_torrent_promote(struct lsp_torrent_late *late);
/* It is to leave the session, which could not say that it did: once more. */
void lsp_torrent_promote_leave(struct lsp_torrent_late *late);
/* It has left the session, and is no stage yet: once more. */
void lsp_torrent_promote_again(struct lsp_torrent_late *late);
/* It goes on as a download from the peers here, of that content, with what it has. */
LSP_MUST_CHECK int lsp_torrent_promote_to_lan(
	struct lsp_torrent_late *late, const struct lsp_hash *content, struct lsp_error *err);
/*
 * It was restored, and may have become a stage before the program was killed. Where that cannot be
 * told it goes astray: neither fetched nor forgotten, and looked at again when it is wanted.
 */
void lsp_torrent_promote_restore(struct lsp_torrent_late *late);
