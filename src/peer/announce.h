/*
 * What we tell the others of our games: a list to who asks, a delta when something changed.
 *
 * Changes gather for a moment (a scan touches many games at once) and go out as one delta, or as
 * several when they do not fit a frame. Each delta moves the revision on by one and names the one
 * before, so that whoever missed one lists anew. A game is announced as its files stand: whole,
 * being hashed, or in part while it downloads. While an operation runs on it, what was announced
 * before stays announced.
 *
 * On the core loop.
 */
#pragma once

#include "wire/message.h"

struct lsp_announce;
struct lsp_peer;

LSP_MUST_CHECK int lsp_announce_new(
	struct lsp_peer *peer, struct lsp_announce **ret_announce, struct lsp_error *err);
void lsp_announce_free(struct lsp_announce *announce);

/* The game may have changed: looks, and if so the next flush tells. */
void lsp_announce_game(struct lsp_announce *announce, const char *game);
/* Tells everybody what gathered. */
void lsp_announce_flush(struct lsp_announce *announce);

uint64_t lsp_announce_revision(const struct lsp_announce *announce);
size_t lsp_announce_count(const struct lsp_announce *announce);
/* Answers ListGames: games above `after` in the order of bytes. The caller frees the response. */
LSP_MUST_CHECK int lsp_announce_page(const struct lsp_announce *announce,
	const struct lsp_list_games *request, struct lsp_games_response *ret_page,
	struct lsp_error *err);
/* What is announced of one game, or NULL. */
const struct lsp_game_summary *lsp_announce_find(
	const struct lsp_announce *announce, const char *game);
