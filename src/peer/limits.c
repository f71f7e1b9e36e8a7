#include "peer/limits.h"

#include "base/log.h"
#include "base/text.h"
#include "peer/connect.h"
#include "peer/guard.h"
#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/share.h"
#include "store/config.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define WIRE_OVERHEAD 1.07 /* bytes on the wire per payload byte at MTU 1500 */
#define WATCH_INTERVAL (2 * LSP_SECOND)
#define TOLERANCE 1.15
#define SLACK 65536.0 /* bytes beyond the limit that are no breach: what a bucket holds */

struct rates {
	uint64_t up, down; /* bytes a second on the wire; 0: no limit */
};

/* One direction of what the watchdog watches. */
struct watched {
	uint64_t then; /* wire bytes at the last look */
	double over;   /* bytes beyond the limit, less what later looks left of it */
	bool stale;    /* the limit does not hold */
};

struct watch {
	lsp_time at;   /* the last look */
	bool measured; /* there is a `then` to compare with */
	struct watched up, down;
};

struct game_limits {
	struct game_limits *prev, *next;
	char game[LSP_GAME_ID_MAX + 1];
	struct rates rates;
	struct watch watch;
};

struct lsp_limits {
	struct lsp_peer *peer;
	struct lsp_swarm_limits swarm;
	struct game_limits *games;
	struct watch watch;
};

int lsp_limits_new(struct lsp_peer *peer, struct lsp_limits **ret_limits, struct lsp_error *err)
{
	struct lsp_limits *limits = calloc(1, sizeof *limits);
	if (!limits)
		return lsp_error_no_memory(err, "peer");
	limits->peer = peer;
	limits->swarm = (struct lsp_swarm_limits){.overhead = WIRE_OVERHEAD};
	*ret_limits = limits;
	return 0;
}

void lsp_limits_free(struct lsp_limits *limits)
{
	struct game_limits *game, *next;
	if (!limits)
		return;
	DL_FOREACH_SAFE(limits->games, game, next) free(game);
	free(limits);
}

/*
 * What was asked for before still comes: the watchdog begins an interval later. Of a limit that is
 * another one now nobody knows yet that it does not hold.
 */
static void watch_anew(
	struct watch *watch, const struct rates *before, const struct rates *limit, lsp_time now)
{
	watch->at = now;
	watch->measured = false;
	watch->up.over = watch->down.over = 0;
	watch->up.stale &= limit->up == before->up;
	watch->down.stale &= limit->down == before->down;
}

void lsp_limits_apply(struct lsp_limits *limits)
{
	struct lsp_peer *peer = limits->peer;
	struct lsp_config *config = lsp_runtime_config(peer->runtime);
	struct rates before = {limits->swarm.up, limits->swarm.down};
	limits->swarm.up = lsp_config_number(config, LSP_SETTING_LIMIT_UP);
	limits->swarm.down = lsp_config_number(config, LSP_SETTING_LIMIT_DOWN);
	limits->swarm.pause_uploads = lsp_config_switch(config, LSP_SETTING_PAUSE_UPLOADS);
	lsp_swarm_set_limits(peer->swarm, &limits->swarm);
	if (lsp_connect_endpoint(peer->connect))
		lsp_endpoint_set_send_limit(lsp_connect_endpoint(peer->connect), limits->swarm.up);
	lsp_guards_switch(peer->guards, lsp_config_switch(config, LSP_SETTING_PING_GUARD));
	watch_anew(&limits->watch, &before, &(struct rates){limits->swarm.up, limits->swarm.down},
		lsp_peer_now(peer));
	lsp_peer_kick(peer);
}

/* ---- Of one game ----------------------------------------------------------------------------- */

static struct game_limits *find(const struct lsp_limits *limits, const char *game)
{
	struct game_limits *found;
	DL_FOREACH(limits->games, found)
	{
		if (strcmp(found->game, game) == 0)
			break;
	}
	return found;
}

void lsp_limits_take_share(struct lsp_limits *limits, const struct lsp_share *share)
{
	const struct game_limits *game = find(limits, lsp_share_game(share));
	if (game)
		lsp_swarm_set_game_limits(limits->peer->swarm, lsp_share_swarm_game(share),
			game->rates.down, game->rates.up);
}

static struct lsp_share *next_share_of(
	const struct lsp_limits *limits, const char *game, struct lsp_share *share)
{
	while ((share = lsp_shares_next(limits->peer->shares, share))) {
		if (!game || strcmp(lsp_share_game(share), game) == 0)
			break;
	}
	return share;
}

int lsp_limits_set_game(struct lsp_limits *limits, const char *id, uint64_t up, uint64_t down,
	struct lsp_error *err)
{
	struct lsp_share *share = NULL;
	struct game_limits *game = find(limits, id);
	if (!game) {
		game = calloc(1, sizeof *game);
		if (!game)
			return lsp_error_no_memory(err, "peer");
		snprintf(game->game, sizeof game->game, "%s", id);
		DL_APPEND(limits->games, game);
	}
	struct rates before = game->rates;
	game->rates = (struct rates){up, down};
	watch_anew(&game->watch, &before, &game->rates, lsp_peer_now(limits->peer));
	while ((share = next_share_of(limits, id, share)))
		lsp_limits_take_share(limits, share);
	if (!up && !down) {
		DL_DELETE(limits->games, game);
		free(game);
	}
	lsp_peer_kick(limits->peer);
	return 0;
}

json_t *lsp_limits_json(const struct lsp_limits *limits)
{
	const struct game_limits *game;
	json_t *games = json_object();
	DL_FOREACH(limits->games, game)
	json_object_set_new(games, game->game,
		json_pack("{s:I, s:I}", "up", (json_int_t)game->rates.up, "down",
			(json_int_t)game->rates.down));
	return json_pack("{s:I, s:I, s:o, s:b}", "up", (json_int_t)limits->swarm.up, "down",
		(json_int_t)limits->swarm.down, "games", games, "pause_uploads",
		limits->swarm.pause_uploads);
}

/* ---- The watchdog ---------------------------------------------------------------------------- */

static bool is_stale(const struct watch *watch)
{
	return watch->up.stale || watch->down.stale;
}

bool lsp_limits_are_stale(const struct lsp_limits *limits)
{
	const struct game_limits *game;
	DL_FOREACH(limits->games, game)
	{
		if (is_stale(&game->watch))
			return true;
	}
	return is_stale(&limits->watch);
}

/* True: the limit held before, and does not any more. span: nanoseconds since the last look. */
static bool breaks(
	struct watched *watched, uint64_t total, uint64_t limit, uint64_t span, double slack)
{
	bool before = watched->stale;
	double allowed = (double)limit * (double)span / (double)LSP_SECOND * TOLERANCE;
	double over = watched->over + (double)(total - LSP_MIN(watched->then, total)) - allowed;
	watched->stale = limit && over > slack;
	/* What is long over is not to be paid back in full. */
	watched->over = limit ? LSP_MIN(LSP_MAX(over, 0), slack + 1) : 0;
	return watched->stale && !before;
}

static void warn(const struct lsp_limits *limits, const char *game, bool up)
{
	lsp_peer_warn(limits->peer, "the %s limit%s%s does not hold: more is %s than it allows",
		up ? "upload" : "download", game ? " of " : "", game ? game : "",
		up ? "sent" : "received");
}

/* What one request may bring at once: the limit is kept by asking for less, chunk by chunk. */
static double slack_of_requests(const struct lsp_limits *limits, const char *game)
{
	uint64_t most = LSP_SWARM_RUN_BYTES;
	struct lsp_share *share = NULL;
	while ((share = next_share_of(limits, game, share)))
		most = LSP_MAX(most, (uint64_t)lsp_share_manifest(share)->piece_length);
	return (double)most * WIRE_OVERHEAD + SLACK;
}

/* game: NULL for all together. moved: wire bytes so far. */
static void look(const struct lsp_limits *limits, struct watch *watch, const char *game,
	struct rates limit, struct rates moved, lsp_time now)
{
	uint64_t span = now - watch->at;
	if (watch->measured) {
		double slack = slack_of_requests(limits, game);
		if (breaks(&watch->up, moved.up, limit.up, span, game ? slack : SLACK))
			warn(limits, game, true);
		if (breaks(&watch->down, moved.down, limit.down, span, slack))
			warn(limits, game, false);
	}
	watch->at = now;
	watch->measured = true;
	watch->up.then = moved.up;
	watch->down.then = moved.down;
}

static void look_at_game(const struct lsp_limits *limits, struct game_limits *game, lsp_time now)
{
	struct lsp_share_traffic moved = {0};
	struct lsp_share *share = NULL;
	if (now < game->watch.at + WATCH_INTERVAL)
		return;
	while ((share = next_share_of(limits, game->game, share))) {
		moved.sent += lsp_share_traffic(share)->sent;
		moved.received += lsp_share_traffic(share)->received;
	}
	look(limits, &game->watch, game->game, game->rates,
		(struct rates){(uint64_t)((double)moved.sent * WIRE_OVERHEAD),
			(uint64_t)((double)moved.received * WIRE_OVERHEAD)},
		now);
}

void lsp_limits_look(struct lsp_limits *limits, uint64_t sent, uint64_t received, lsp_time now)
{
	look(limits, &limits->watch, NULL, (struct rates){limits->swarm.up, limits->swarm.down},
		(struct rates){sent, received}, now);
}

void lsp_limits_tick(struct lsp_limits *limits)
{
	struct lsp_endpoint *endpoint = lsp_connect_endpoint(limits->peer->connect);
	struct lsp_endpoint_stats stats = {0};
	lsp_time now = lsp_peer_now(limits->peer);
	struct game_limits *game;
	DL_FOREACH(limits->games, game) look_at_game(limits, game, now);
	if (!endpoint || now < limits->watch.at + WATCH_INTERVAL)
		return;
	lsp_endpoint_get_stats(endpoint, &stats);
	lsp_limits_look(limits, stats.sent_wire, stats.received_wire, now);
}
