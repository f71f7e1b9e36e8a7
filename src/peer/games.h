/*
 * The game list: catalogue, our folders and the others' games as one.
 *
 * Nothing is stored here but what was last told: every answer is made from the catalogue's
 * snapshot, the library's, the database and the table of operations. Changes gather for a moment
 * and go out as local_games_updated (the whole local side, with the authoritative operations) and
 * remote_games_updated (what changed of the rest).
 *
 * On the core loop.
 */
#pragma once

#include "wire/manifest.h"
#include "wire/message.h"

#include <jansson.h>

struct lsp_games;
struct lsp_peer;
struct lsp_remote_peer;

LSP_MUST_CHECK int lsp_games_new(
	struct lsp_peer *peer, struct lsp_games **ret_games, struct lsp_error *err);
void lsp_games_free(struct lsp_games *games);

/* The Game object of docs/api.md; NULL for an id that nobody knows. A new reference. */
json_t *lsp_games_json(struct lsp_peer *peer, const char *game);
/* Is it in the catalogue, here, or with a peer? */
bool lsp_games_known(const struct lsp_peer *peer, const char *game);
/* -LSP_E_NOT_FOUND, with what to say of a game that is not known. */
int lsp_games_unknown(const char *game, struct lsp_error *err);
/* All of them, ordered by id. A new reference. */
json_t *lsp_games_list_json(struct lsp_peer *peer);
/* {"content", "files", "size"} of a manifest. */
json_t *lsp_games_files_json(const struct lsp_manifest *manifest);
/* The local_games_updated event: also the snapshot of every event stream. */
json_t *lsp_games_snapshot(void *peer);

/* The local side or the operations changed: an event goes out with the next flush. */
void lsp_games_local_changed(struct lsp_peer *peer);
/* Right now: what is told next must find clients that know. */
void lsp_games_publish_local(struct lsp_peer *peer);
void lsp_games_remote_changed(struct lsp_peer *peer, const char *game);
/* A peer is gone, with all that it had; takes it out of the database. */
void lsp_games_peer_gone(struct lsp_peer *peer, struct lsp_remote_peer *remote);
void lsp_games_flush(struct lsp_peer *peer);

enum lsp_games_announced {
	LSP_GAMES_ABSENT,    /* not ours to announce */
	LSP_GAMES_ANNOUNCED, /* as *ret_summary says */
	LSP_GAMES_UNCHANGED, /* an operation runs: what was said stays said */
};
/* What to tell the others of our copy of a game. */
enum lsp_games_announced lsp_games_summary(
	struct lsp_peer *peer, const char *game, struct lsp_game_summary *ret_summary);
