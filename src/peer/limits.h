/*
 * Limits: how much of the network this peer may use.
 *
 * The global ones are settings (limit_up, limit_down, pause_uploads) and in effect at once; those
 * of single games last until the end. Uploads are held to the limit twice: the swarm grants no more
 * payload than that, and the endpoint sends no more bytes on the wire. Downloads are held by asking
 * for less; what was asked for before still comes, so a new limit holds on the wire within two
 * seconds. A game's limits hold for every share of it, also for one that comes later.
 *
 * A watchdog compares what moved with the limits and warns, once, when they do not hold; after a
 * change it lets those two seconds pass before it measures. For all it looks at the bytes on the
 * wire, for one game at its payload and what that costs on the wire. What is over the limit (and
 * over a tolerance of 15 %) adds up from look to look, and what is below pays it back: so a small
 * breach that lasts is found too, while one chunk that comes at once, where a chunk is worth
 * seconds of the limit, is none.
 *
 * The setting ping_guard is taken over here too and is guard.h's matter: limits are what the user
 * allows, the guard is what the line stands.
 *
 * On the core loop.
 */
#pragma once

#include "base/clock.h"
#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct lsp_limits;
struct lsp_peer;
struct lsp_share;

LSP_MUST_CHECK int lsp_limits_new(
	struct lsp_peer *peer, struct lsp_limits **ret_limits, struct lsp_error *err);
void lsp_limits_free(struct lsp_limits *limits);
/* The settings changed: takes them over. */
void lsp_limits_apply(struct lsp_limits *limits);
/* Of one game; 0: none. -LSP_E_NO_MEMORY. */
LSP_MUST_CHECK int lsp_limits_set_game(struct lsp_limits *limits, const char *game, uint64_t up,
	uint64_t down, struct lsp_error *err);
/* A share came to be: its game's limits are its own. */
void lsp_limits_take_share(struct lsp_limits *limits, const struct lsp_share *share);
/* Every 100 ms; every other second the watchdog looks. */
void lsp_limits_tick(struct lsp_limits *limits);
/* The watchdog's look: the bytes on the wire since the start. The first only notes them. */
void lsp_limits_look(struct lsp_limits *limits, uint64_t sent, uint64_t received, lsp_time now);
/* {"up", "down", "games", "pause_uploads"}. */
json_t *lsp_limits_json(const struct lsp_limits *limits);
/* Does a limit not hold? For health. */
bool lsp_limits_are_stale(const struct lsp_limits *limits);
