/*
 * The inside of torrent_games.h: torrent_games.c (who is seeded, and leaves) and
 * torrent_games_records.c (what is remembered, in swarm.json) share it.
 *
 * On the core loop. Records are borrowed: they hold until the next change of their game's.
 */
#pragma once

#include "peer/torrent_games.h"

#define LSP_TORRENT_GAMES_FILE "swarm.json"

struct leaving; /* torrent_games.c: a torrent that was told to leave the session */

struct lsp_torrent_games {
	struct lsp_peer *peer;
	json_t *records;  /* game → {"content", "shared", "withheld", "trackers", "options",
			     "settings", "aliases": [id]} */
	json_t *seeds;    /* torrent → game: what the engine was told to seed */
	json_t *leaving;  /* game → how many of its torrents are on their way out */
	json_t *again;    /* game: is to be seeded once they are */
	json_t *dropped;  /* torrent: a record referred to it until now, see lsp_torrent_games_save
			   */
	unsigned changes; /* that are under way: no file goes before their end */
	struct leaving *waiting;
};

bool lsp_torrent_games_has_text(const json_t *object, const char *key, const char *text);
/* Where it is among them, or their count. */
size_t lsp_torrent_games_find_alias(const json_t *aliases, const char *id);
bool lsp_torrent_games_is_alias(const json_t *record, const char *id);
/*
 * Does a record refer to the .torrent of this id, or will one (torrent_promote.c)? Where one could
 * not be read nobody knows.
 */
bool lsp_torrent_games_is_recorded(struct lsp_peer *peer, const char *id);
/* The record of a game, of that content (NULL: of any); NULL: there is none. */
json_t *lsp_torrent_games_record(
	const struct lsp_peer *peer, const char *game, const struct lsp_hash *content);
/*
 * The same, made where there is none; NULL: no memory. Of another content only the aliases are not
 * its own any more: who shared a game shares the next version of it.
 */
json_t *lsp_torrent_games_want(
	struct lsp_peer *peer, const char *game, const struct lsp_hash *content);
/* The records. The files that none of them refers to any more (`dropped`) go behind that. */
void lsp_torrent_games_save(struct lsp_peer *peer);
