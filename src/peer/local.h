/*
 * Our own games: the library and the catalogue, as the core loop sees them.
 *
 * The library scans, watches and hashes on threads of its own and reports changes; this module
 * takes them over to the core loop, keeps the newest snapshot, opens a source for each game that is
 * hashed, and tells the rest of the peer what changed (shares, announcements, the game list).
 *
 * On the core loop, but for the last two, which are for disk threads.
 */
#pragma once

#include "base/buffer.h"
#include "content/hasher.h"
#include "library/library.h"
#include "store/catalog.h"
#include "wire/manifest.h"

struct lsp_local;
struct lsp_peer;

/* The library and the catalogue stay the caller's. */
LSP_MUST_CHECK int lsp_local_new(struct lsp_peer *peer, struct lsp_library *library,
	struct lsp_catalog *catalog, struct lsp_local **ret_local, struct lsp_error *err);
void lsp_local_free(struct lsp_local *local);
/* lsp_library_options.changed, from the library's thread: the loop takes the new snapshot. */
void lsp_local_library_changed(void *peer);
/* Takes the newest snapshot now. */
void lsp_local_take_snapshot(struct lsp_local *local);

/* Now and then: games that could not be served when they became ready are tried again. */
void lsp_local_tick(struct lsp_peer *peer, lsp_time now);

const char *lsp_local_games_dir(const struct lsp_peer *peer);
struct lsp_library *lsp_local_library(const struct lsp_peer *peer);
struct lsp_catalog *lsp_local_catalog(const struct lsp_peer *peer);

/* The newest snapshots, borrowed until the loop's next round. */
const struct lsp_library_snapshot *lsp_local_snapshot(const struct lsp_peer *peer);
const struct lsp_catalog_snapshot *lsp_local_catalog_snapshot(const struct lsp_peer *peer);
/* The catalogue was written to: takes its newest snapshot. */
void lsp_local_catalog_changed(struct lsp_peer *peer);

/* The game's folder as the library knows it, or NULL. */
const struct lsp_library_game *lsp_local_find(const struct lsp_peer *peer, const char *game);
/* What the folder holds by its hashes: a new reference, or NULL. */
const struct lsp_manifest *lsp_local_manifest(const struct lsp_peer *peer, const char *game);
/* The catalogue's pin of a game's content. */
bool lsp_local_pinned_content(
	const struct lsp_peer *peer, const char *game, struct lsp_hash *ret_content);

/* An operation is about to change the game's folder: what is published of it stays until… */
LSP_MUST_CHECK int lsp_local_hold(struct lsp_peer *peer, const char *game, struct lsp_error *err);
/*
 * … it ends: that game alone is looked at, and `done` is called on the loop when the list shows
 * what was found, and what was found is shared. manifest: what the operation has put there and
 * verified, or NULL; then nothing is hashed again.
 */
void lsp_local_release(struct lsp_peer *peer, const char *game, const struct lsp_manifest *manifest,
	void (*done)(void *argument), void *argument);
/* Its content proved damaged: withdrawn, and hashed anew from the disk. done may be NULL. */
void lsp_local_recheck(
	struct lsp_peer *peer, const char *game, void (*done)(void *argument), void *argument);

/* ---- On a disk thread ---- */

/*
 * Puts a game that was added into the catalogue: title NULL: its id. cover: a picture's path, or
 * NULL. A failure is logged: the game itself is there. The loop is told with
 * lsp_local_catalog_changed.
 */
void lsp_local_add_to_catalog(struct lsp_peer *peer, const char *game, const char *title,
	const char *version, uint64_t size, const char *cover);
/*
 * The title that the others gave a game that came from them, for the time when none of them is
 * there: into the catalogue, unless that knows the game. Is it new to it? Then the loop is told
 * with lsp_local_catalog_changed. Without it the game has its id for a title: no failure.
 */
bool lsp_local_keep_title(struct lsp_peer *peer, const char *game, const char *title);
/* The game's cover, from the catalogue or its folder, and its media type. */
LSP_MUST_CHECK int lsp_local_read_cover(struct lsp_peer *peer, const char *game,
	struct lsp_buffer *ret_cover, char *ret_media, size_t media_size, struct lsp_error *err);
