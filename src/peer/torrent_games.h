/*
 * Which torrents are which game, and seeding games in place.
 *
 * A game's content id is the info-hash of its own v2 torrent. Other torrents of the same files
 * (hybrid ones, those of other makers) are its aliases. What a user shared or added is remembered
 * in swarm.json of the state folder, by game: its content, whether it was shared, trackers, what
 * was set of its torrents (torrent_settings.h), and the aliases, whose .torrent files lie in
 * torrents/ beside it. Who shares a game shares its next content too; aliases are of one content.
 *
 * A game that the library vouches for is seeded where it lies, every piece taken for granted and
 * none read: all games while the setting `swarm` is lan, but those whose torrent the user removed,
 * else those that were shared or came from a torrent. Before an operation changes a game's files,
 * and when the library notices a change, its torrents leave the session; they come back when the
 * content is known again. So seeding is in nobody's way, and never sends what is not the content.
 *
 * On the core loop.
 */
#pragma once

#include "base/buffer.h"
#include "base/sha256.h"

#include <jansson.h>
#include <stdbool.h>

struct lsp_peer;
struct lsp_torrent_games;

LSP_MUST_CHECK int lsp_torrent_games_new(
	struct lsp_peer *peer, struct lsp_torrent_games **ret_games, struct lsp_error *err);
void lsp_torrent_games_free(struct lsp_torrent_games *games);

/* ---- What the library has ---- */

/*
 * Its content is here and vouched for (again). Does nothing for what is seeded already; starts the
 * engine where it does not run yet and the game was shared, or came by a torrent.
 */
void lsp_torrent_games_ready(struct lsp_peer *peer, const char *game);
/*
 * Its content is not there any more, or an operation is about to change it. Its torrents leave the
 * session; who must not write before they have is told by lsp_download_torrents_left.
 */
void lsp_torrent_games_gone(struct lsp_peer *peer, const char *game);
/* Are some still on their way out? */
bool lsp_torrent_games_leaving(const struct lsp_peer *peer, const char *game);
/* The setting changed, or the engine has just been started. */
void lsp_torrent_games_mode_changed(struct lsp_peer *peer);
/* From torrents.c: every event of the engine. */
void lsp_torrent_games_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event);

/* The game that is seeded by this torrent, or NULL. Borrowed. */
const char *lsp_torrent_games_seeded(const struct lsp_peer *peer, const char *id);

/* ---- What is remembered ---- */

/* The user wants it to be seeded, and told to these trackers ([url], or NULL: as before). */
void lsp_torrent_games_share(
	struct lsp_peer *peer, const char *game, const struct lsp_hash *content, json_t *trackers);
/*
 * From the first to the second, on one turn of the loop: what is recorded of the game meanwhile
 * stands, or is as before, with its .torrent files. `before` is handed on from the one to the
 * other.
 */
LSP_MUST_CHECK int lsp_torrent_games_change(
	struct lsp_peer *peer, const char *game, json_t **ret_before, struct lsp_error *err);
void lsp_torrent_games_changed(
	struct lsp_peer *peer, const char *game, json_t *before, bool stands);
/*
 * The torrent `id`, which is kept, has the files of this content. A record of another content of
 * the game goes.
 */
LSP_MUST_CHECK int lsp_torrent_games_add_alias(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const char *id, struct lsp_error *err);
/* A torrent that the user removed: it is not seeded again until it is shared. True if it was a
 * game's. */
bool lsp_torrent_games_forget(struct lsp_peer *peer, const char *id);

/* Is that torrent recorded as one of that content of the game: as its own, or as an alias? */
bool lsp_torrent_games_has(const struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const char *id);

/* The content that a torrent which the user added says the game has. */
bool lsp_torrent_games_content(
	const struct lsp_peer *peer, const char *game, struct lsp_hash *ret_content);
/*
 * The torrent to fetch that content by, and the path of its .torrent file: the alias that was added
 * last. NULL: there is none, its own v2 torrent is it. The caller frees *ret_path.
 */
const char *lsp_torrent_games_alias(const struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, char **ret_path);
/*
 * What was asked of its torrent when that was added (torrent_wish.h), for the time from its
 * download on. Empty: what there is stays.
 */
void lsp_torrent_games_set_options(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const json_t *options);
/*
 * What was asked, and set, of the torrent by which it is fetched (`own`: its own, else its alias
 * that was added last), into the arguments of an add.
 */
void lsp_torrent_games_fetch_options(
	const struct lsp_peer *peer, const char *game, bool own, json_t *arguments);
/* What the engine says was set of that torrent, which fetches this content of the game. */
void lsp_torrent_games_note_settings(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, const char *id, const json_t *settings);
/* Borrowed; NULL: nothing. Trackers are not among them. */
json_t *lsp_torrent_games_options(const struct lsp_peer *peer, const char *game);
/* Trackers of it, or NULL. Borrowed. */
json_t *lsp_torrent_games_trackers(const struct lsp_peer *peer, const char *game);

/* {"torrents": [id], "peers", "seeds"} for the Game object; NULL: no torrent is it. A new
 * reference. */
json_t *lsp_torrent_games_json(const struct lsp_peer *peer, const char *game);
/* The games that torrents say there are: calls for each id. */
void lsp_torrent_games_each(const struct lsp_peer *peer,
	void (*call)(void *argument, const char *game), void *argument);
