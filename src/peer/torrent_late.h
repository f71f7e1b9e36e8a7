/*
 * A game whose content is known only once all of it is here: it comes by a v1 torrent, or by one
 * with pieces longer than a game's.
 *
 * The torrent engine downloads it into `<game>/.lanspread/torrent/files`, as one of its own stored
 * torrents, so that it goes on after a restart by itself; the game is *downloading* meanwhile. When
 * it is whole the files are hashed into a manifest, the torrent leaves the session, its files
 * become the game's stage, and a download of that content finds every chunk there and commits.
 *
 * Like every download it can be paused, and cancelled with what it has kept: its torrent stands
 * still then, and so it does after a failure, such as a full disk. `get`, or resuming the torrent,
 * goes on with it; removing the game or the torrent ends it. It can also go on by the LAN, from who
 * has the game there: its files become the stage of that content, and what is right in them counts.
 *
 * On the core loop; hashing is a job of the disk pool.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

struct lsp_call;
struct lsp_hash;
struct lsp_peer;
struct lsp_torrent_late;

struct lsp_torrent_late_source {
	struct lsp_buffer *metainfo; /* of the .torrent; taken over */
	const char *id;              /* its v2 info-hash, or v1 where it has no v2 */
	json_t *options;             /* torrent_wish.h's, or NULL; borrowed */
	/* Answered once the engine has it, or has refused it; or NULL. */
	struct lsp_call *call;
	/* As what it is kept (torrent_kept.h) until the engine has stored it, or NULL. */
	const char *kept;
	bool then_install;
};

/* The same torrent, where it rests, goes on. After an error the call is not answered. */
LSP_MUST_CHECK int lsp_torrent_late_start(struct lsp_peer *peer, const char *game,
	const struct lsp_torrent_late_source *source, struct lsp_error *err);
/*
 * The same for a torrent that the engine has already, by a magnet link that has its metadata and
 * downloads nothing yet ("root" must be "files"): it moves into the game's folder and goes on.
 */
LSP_MUST_CHECK int lsp_torrent_late_take(
	struct lsp_peer *peer, const char *game, const char *id, struct lsp_error *err);

/* ---- What the user wants of it ---- */

/* The one of a game, or NULL. */
struct lsp_torrent_late *lsp_torrent_late_find(const struct lsp_peer *peer, const char *game);
/* Is it a download (or does it rest)? */
bool lsp_torrent_late_runs(const struct lsp_torrent_late *late);
bool lsp_torrent_late_is_paused(const struct lsp_torrent_late *late);
/* For somebody who has it. */
bool lsp_torrent_late_is_waiting(const struct lsp_torrent_late *late);
/* Is it being made a game, so that its files must be left alone? */
bool lsp_torrent_late_is_whole(const struct lsp_torrent_late *late);
/* Is it being looked at where its files are, so that it must neither fetch nor check? */
bool lsp_torrent_late_is_held(const struct lsp_torrent_late *late);
const char *lsp_torrent_late_id(const struct lsp_torrent_late *late);
/* As of a download. A new reference; null while nothing is known. */
json_t *lsp_torrent_late_progress_json(const struct lsp_torrent_late *late);

/* It goes on, whether it was paused or rests. -LSP_E_BUSY: an operation of that game runs. */
LSP_MUST_CHECK int lsp_torrent_late_go_on(struct lsp_torrent_late *late, struct lsp_error *err);
/* By the LAN, as content. It stays with the engine, and says so, if nobody gives the manifest. */
LSP_MUST_CHECK int lsp_torrent_late_go_on_by_lan(
	struct lsp_torrent_late *late, const struct lsp_hash *content, struct lsp_error *err);
void lsp_torrent_late_then_install(struct lsp_torrent_late *late);
/* False: it rests. */
bool lsp_torrent_late_pause(struct lsp_torrent_late *late, bool paused);
/* It stands still from then on. False: it does already, or it is too late. */
bool lsp_torrent_late_cancel(struct lsp_torrent_late *late);

/* One that rests is no download any more, nor will be: its torrent and its files go, or have. */
void lsp_torrent_late_end(struct lsp_peer *peer, const char *game);

/* ---- From the rest of the peer ---- */

/* The game that comes, or came halfway, by this torrent; or NULL. Borrowed. */
const char *lsp_torrent_late_game(const struct lsp_peer *peer, const char *id);
/* Is it told to leave, so that its removal says nothing of a seed that is called the same? */
bool lsp_torrent_late_leaves(const struct lsp_peer *peer, const char *id);
/* Calls for each game. */
void lsp_torrent_late_each(const struct lsp_peer *peer,
	void (*call)(void *argument, const char *game), void *argument);
/* From torrent_add.c: every event of the engine. */
void lsp_torrent_late_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event);
/* Once a second. */
void lsp_torrent_late_tick(struct lsp_peer *peer);
/* At the end: nothing is asked for any more. Then, after the loop has ended, all of it goes. */
void lsp_torrent_late_stop_all(struct lsp_peer *peer);
void lsp_torrent_late_free_all(struct lsp_peer *peer);
