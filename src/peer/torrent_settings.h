/*
 * What the user set of the torrents that a game is seeded by: paused, limits, trackers, goals.
 *
 * The engine's store has no torrents of games: they are added anew in every session. So the game's
 * record (torrent_games.c) keeps what the engine says was set, and each add is told it again. That
 * of the game's own torrent, whose id is its content, holds for the next content too; that of
 * another torrent goes with it.
 *
 * Functions over the record, on the core loop.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* `own`: it is the game's own torrent. False if that is what the record has already. */
bool lsp_torrent_settings_keep(json_t *record, bool own, const char *id, json_t *settings);
/* Borrowed; NULL: nothing was set of it. */
json_t *lsp_torrent_settings_of(const json_t *record, bool own, const char *id);
/* Into the arguments of an add. */
void lsp_torrent_settings_apply(const json_t *record, bool own, const char *id, json_t *arguments);
void lsp_torrent_settings_forget(json_t *record, bool own, const char *id);
/* All but those of the game's own torrent. */
void lsp_torrent_settings_forget_others(json_t *record);
/* Where trackers were set one by one, these are some more ([url]). */
void lsp_torrent_settings_add_trackers(json_t *record, json_t *trackers);
