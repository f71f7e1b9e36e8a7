#include "peer/health.h"

#include "base/log.h"
#include "peer/events.h"
#include "peer/limits.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/torrents.h"
#include "task/supervisor.h"

#include <stdlib.h>

/* Names of services that do not run; true if a Required one failed. */
static bool add_services(const struct lsp_peer *peer, json_t *degraded)
{
	struct lsp_supervised_info *infos = NULL;
	size_t count = 0;
	bool failed = false;
	if (lsp_supervisor_snapshot(lsp_runtime_supervisor(peer->runtime), &infos, &count, NULL) <
		0)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (infos[i].state == LSP_SUPERVISED_RUNNING ||
			infos[i].state == LSP_SUPERVISED_STOPPED)
			continue;
		json_array_append_new(degraded, json_string(infos[i].name));
		failed |= infos[i].policy == LSP_POLICY_REQUIRED;
	}
	free(infos);
	return failed;
}

json_t *lsp_health_json(struct lsp_peer *peer)
{
	json_t *degraded = json_array();
	bool failed = add_services(peer, degraded);
	lsp_torrents_add_degraded(peer->torrents, degraded);
	if (lsp_limits_are_stale(peer->limits))
		json_array_append_new(degraded, json_string("limits"));
	if (lsp_local_snapshot(peer)->problem[0])
		json_array_append_new(degraded, json_string("games_dir"));
	const char *state = failed ? "failed" : json_array_size(degraded) ? "degraded" : "ok";
	return json_pack("{s:s, s:o}", "state", state, "degraded", degraded);
}

void lsp_health_check(struct lsp_peer *peer)
{
	json_t *health = lsp_health_json(peer);
	if (!health)
		return;
	if (peer->health && json_equal(peer->health, health)) {
		json_decref(health);
		return;
	}
	bool first = !peer->health;
	json_decref(peer->health);
	peer->health = health;
	if (first)
		return;
	json_t *event = json_copy(health);
	json_object_set_new(event, "event", json_string("health_changed"));
	lsp_events_publish(peer->events, event);
}
