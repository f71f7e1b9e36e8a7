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

#define WIRE_OVERHEAD 1.07 /* bytes on the wire per payload byte at MTU 1500 */
#define WATCH_INTERVAL (2 * LSP_SECOND)
#define TOLERANCE 1.15

struct lsp_limits {
	struct lsp_peer *peer;
	struct lsp_swarm_limits swarm;
	json_t *games; /* id → {"up", "down"} */

	/* The watchdog. */
	lsp_time watched_at;
	uint64_t sent_then, received_then;
	bool measured; /* there is a `then` to compare with */
	bool stale;
};

int lsp_limits_new(struct lsp_peer *peer, struct lsp_limits **ret_limits, struct lsp_error *err)
{
	struct lsp_limits *limits = calloc(1, sizeof *limits);
	if (!limits || !(limits->games = json_object())) {
		free(limits);
		return lsp_error_no_memory(err, "peer");
	}
	limits->peer = peer;
	limits->swarm = (struct lsp_swarm_limits){.overhead = WIRE_OVERHEAD};
	*ret_limits = limits;
	return 0;
}

void lsp_limits_free(struct lsp_limits *limits)
{
	if (!limits)
		return;
	json_decref(limits->games);
	free(limits);
}

void lsp_limits_apply(struct lsp_limits *limits)
{
	struct lsp_peer *peer = limits->peer;
	struct lsp_config *config = lsp_runtime_config(peer->runtime);
	limits->swarm.up = lsp_config_number(config, LSP_SETTING_LIMIT_UP);
	limits->swarm.down = lsp_config_number(config, LSP_SETTING_LIMIT_DOWN);
	limits->swarm.pause_uploads = lsp_config_switch(config, LSP_SETTING_PAUSE_UPLOADS);
	lsp_swarm_set_limits(peer->swarm, &limits->swarm);
	if (lsp_connect_endpoint(peer->connect))
		lsp_endpoint_set_send_limit(lsp_connect_endpoint(peer->connect), limits->swarm.up);
	lsp_guards_switch(peer->guards, lsp_config_switch(config, LSP_SETTING_PING_GUARD));
	/* What was asked for before still comes: the watchdog begins an interval later. */
	limits->watched_at = lsp_peer_now(peer);
	limits->measured = false;
	lsp_peer_kick(peer);
}

void lsp_limits_set_game(struct lsp_limits *limits, const char *game, uint64_t up, uint64_t down)
{
	struct lsp_share *share = NULL;
	if (up || down)
		json_object_set_new(limits->games, game,
			json_pack("{s:I, s:I}", "up", (json_int_t)up, "down", (json_int_t)down));
	else
		json_object_del(limits->games, game);
	while ((share = lsp_shares_next(limits->peer->shares, share))) {
		if (strcmp(lsp_share_game(share), game) == 0)
			lsp_swarm_set_game_limits(
				limits->peer->swarm, lsp_share_swarm_game(share), down, up);
	}
	lsp_peer_kick(limits->peer);
}

json_t *lsp_limits_json(const struct lsp_limits *limits)
{
	return json_pack("{s:I, s:I, s:O, s:b}", "up", (json_int_t)limits->swarm.up, "down",
		(json_int_t)limits->swarm.down, "games", limits->games, "pause_uploads",
		limits->swarm.pause_uploads);
}

bool lsp_limits_are_stale(const struct lsp_limits *limits)
{
	return limits->stale;
}

/* ---- The watchdog ---- */

static bool exceeds(uint64_t bytes, uint64_t span, uint64_t limit)
{
	double allowed = (double)limit * (double)span / (double)LSP_SECOND * TOLERANCE;
	return limit && (double)bytes > allowed + 65536;
}

void lsp_limits_look(struct lsp_limits *limits, uint64_t sent, uint64_t received, lsp_time now)
{
	if (limits->measured) {
		uint64_t span = now - limits->watched_at;
		bool up = exceeds(sent - limits->sent_then, span, limits->swarm.up);
		bool down = exceeds(received - limits->received_then, span, limits->swarm.down);
		if ((up || down) && !limits->stale)
			lsp_peer_warn(limits->peer,
				"the %s limit does not hold: more is %s than it allows",
				up ? "upload" : "download", up ? "sent" : "received");
		limits->stale = up || down;
	}
	limits->watched_at = now;
	limits->measured = true;
	limits->sent_then = sent;
	limits->received_then = received;
}

void lsp_limits_tick(struct lsp_limits *limits)
{
	struct lsp_endpoint *endpoint = lsp_connect_endpoint(limits->peer->connect);
	struct lsp_endpoint_stats stats = {0};
	lsp_time now = lsp_peer_now(limits->peer);
	if (!endpoint || now < limits->watched_at + WATCH_INTERVAL)
		return;
	lsp_endpoint_get_stats(endpoint, &stats);
	lsp_limits_look(limits, stats.sent_wire, stats.received_wire, now);
}
