/* What the engine looks like, for status and health. */
#include "peer/torrents_private.h"

void lsp_torrents_add_degraded(const struct lsp_torrents *torrents, json_t *degraded)
{
	uint32_t bits = torrents->engine ? lsp_torrent_health(torrents->engine) : 0;
	for (int i = 0; i < LSP_TORRENT_COMPONENT_COUNT; i++) {
		if (bits & UINT32_C(1) << i)
			json_array_append_new(degraded,
				json_sprintf("torrent_%s",
					lsp_torrent_component_name((enum lsp_torrent_component)i)));
	}
}

static json_t *health_json(const struct lsp_torrents *torrents)
{
	uint32_t bits = lsp_torrent_health(torrents->engine);
	json_t *list = json_array();
	for (int i = 0; i < LSP_TORRENT_COMPONENT_COUNT; i++) {
		if (bits & UINT32_C(1) << i)
			json_array_append_new(list, json_string(lsp_torrent_component_name(
							    (enum lsp_torrent_component)i)));
	}
	return json_pack("{s:s, s:o}", "state", bits ? "degraded" : "ok", "degraded", list);
}

json_t *lsp_torrents_status_json(const struct lsp_torrents *torrents)
{
	struct lsp_torrent_counters c = {0};
	if (!torrents->engine)
		return json_null();
	lsp_torrent_counters(torrents->engine, &c);
	json_t *status = json_pack("{s:s, s:b, s:i, s:o}", "mode", lsp_torrents_mode(torrents),
		"session_open", c.session_open, "port", torrents->port, "health",
		health_json(torrents));
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{"torrents", c.torrents},
		{"downloading", c.downloading},
		{"seeding", c.seeding},
		{"failed", c.failed},
		{"peers", c.peers},
		{"sent", c.sent},
		{"received", c.received},
		{"upload_rate", c.upload_rate},
		{"download_rate", c.download_rate},
		{"alerts", c.alerts},
		{"alerts_dropped", c.alerts_dropped},
		{"commands", c.commands},
		{"samples", c.samples},
		{"samples_coalesced", c.samples_coalesced},
		{"resume_saved", c.resume_saved},
		{"resume_failed", c.resume_failed},
		{"quarantined", c.quarantined},
		{"restored", c.restored},
		{"read_back", c.read_back},
		{"sessions", c.sessions},
	};
	for (size_t i = 0; status && i < LSP_ARRAY_SIZE(numbers); i++)
		json_object_set_new(
			status, numbers[i].key, json_integer((json_int_t)numbers[i].value));
	return status;
}
