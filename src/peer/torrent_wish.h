/*
 * What was asked of a torrent that becomes a game, from `torrent add --as-game` on.
 *
 * Its options (limits, trackers, peers, …) hold through all that it goes through: while its
 * metadata come, while it is fetched, and when it is seeded where the game lies. What contradicts a
 * game is refused at once, with the reason.
 *
 * Until the game's record (torrent_games.h) has the options, they are in as-game.json of the state
 * folder, by the torrent's id; beside them whether its download stands still because it was
 * cancelled or failed, and what is being made of it when all of it is here (torrent_promote.c).
 *
 * On the core loop.
 */
#pragma once

#include "base/error.h"
#include "base/sha256.h"

#include <jansson.h>
#include <stdbool.h>

struct lsp_peer;

/* What a torrent goes through on its way to be a game. */
enum lsp_torrent_stage {
	LSP_TORRENT_STAGE_METADATA, /* a magnet link that has none yet */
	LSP_TORRENT_STAGE_FETCH,
	LSP_TORRENT_STAGE_SEED, /* in the library */
};

/*
 * The options among the arguments of `torrent add --as-game`, for the engine to take (a new
 * reference). -LSP_E_INVALID: one of them is wrong, or no game can have it.
 */
LSP_MUST_CHECK int lsp_torrent_wish_check(
	const json_t *arguments, json_t **ret_options, struct lsp_error *err);
/* Those that have a meaning at that stage join the arguments of LSP_TORRENT_ADD. NULL: none. */
void lsp_torrent_wish_apply(json_t *arguments, const json_t *options, enum lsp_torrent_stage stage);

/* The same, of those alone that mean as much to who fetches as to who seeds. */
void lsp_torrent_wish_apply_lasting(json_t *arguments, const json_t *options);
/*
 * What the user set of the torrent since then (torrent_settings of the engine) takes the place of
 * what was asked for. False if nothing is different.
 */
bool lsp_torrent_wish_note(json_t *options, const json_t *settings);
/* What a list of torrents shows of a magnet that is to become a game; nobody asked for it. */
#define LSP_TORRENT_WISH_CATEGORY "as-game"

/* ---- What is kept, by the torrent's id ---- */

/* Borrowed; NULL: none. */
json_t *lsp_torrent_wish_options(const struct lsp_peer *peer, const char *id);
/* NULL: none, and an earlier torrent's are forgotten. */
void lsp_torrent_wish_keep(struct lsp_peer *peer, const char *id, json_t *options);
/* lsp_torrent_wish_note of them. */
void lsp_torrent_wish_update(struct lsp_peer *peer, const char *id, const json_t *settings);
bool lsp_torrent_wish_stopped(const struct lsp_peer *peer, const char *id);
void lsp_torrent_wish_set_stopped(struct lsp_peer *peer, const char *id, bool stopped);
/*
 * Its files are about to become the game's stage: {"content", "to_lan", "alias", "paused"}, so that
 * a kill between that and the download's own record loses nothing. NULL: they are not. Borrowed;
 * taken over.
 */
json_t *lsp_torrent_wish_promise(const struct lsp_peer *peer, const char *id);
/* The content of it; false: there is no promise. */
bool lsp_torrent_wish_promised(
	const struct lsp_peer *peer, const char *id, struct lsp_hash *ret_content);
void lsp_torrent_wish_set_promise(struct lsp_peer *peer, const char *id, json_t *promise);
/*
 * Is the promise of that content on the disk? Blocks: on the state pool, behind the save, which on
 * a full disk fails.
 */
LSP_MUST_CHECK int lsp_torrent_wish_is_kept(const struct lsp_peer *peer, const char *id,
	const struct lsp_hash *content, struct lsp_error *err);
/* All of it. */
void lsp_torrent_wish_drop(struct lsp_peer *peer, const char *id);
