/* What the engine is told of the settings: the mode, the configuration, the limits. */
#include "peer/torrents_private.h"

#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/torrent_games.h"
#include "store/config.h"

#include <string.h>

static struct lsp_config *config_of(const struct lsp_torrents *torrents)
{
	return lsp_runtime_config(torrents->peer->runtime);
}

const char *lsp_torrents_mode(const struct lsp_torrents *torrents)
{
	return lsp_config_text(config_of(torrents), LSP_SETTING_SWARM);
}

json_t *lsp_torrents_effective(const char *mode, json_t *user)
{
	json_t *effective = json_pack("{s:s}", "mode", mode);
	if (effective && user)
		json_object_update(effective, user);
	if (effective)
		json_object_set_new(effective, "mode", json_string(mode));
	return effective;
}

void lsp_torrents_tell_configuration(struct lsp_torrents *torrents)
{
	torrents->mode_unheard = false;
	snprintf(torrents->mode, sizeof torrents->mode, "%s", lsp_torrents_mode(torrents));
	lsp_torrents_tell(torrents->peer, LSP_TORRENT_CONFIGURE,
		json_pack("{s:o}", "configuration",
			lsp_torrents_effective(torrents->mode, torrents->configuration)));
	torrents->sessions = 0; /* it may listen elsewhere now */
}

/*
 * The limits of this peer hold for each engine by itself, those of torrents for this one alone: the
 * lower one counts.
 */
static uint64_t limit_of(
	const struct lsp_torrents *torrents, enum lsp_setting_id peer, enum lsp_setting_id torrent)
{
	uint64_t one = lsp_config_number(config_of(torrents), peer);
	uint64_t other = lsp_config_number(config_of(torrents), torrent);
	uint64_t limit = one && other ? LSP_MIN(one, other) : one + other;
	return LSP_MIN(limit, (uint64_t)INT32_MAX);
}

/* True if the engine knows others. */
static bool read_limits(struct lsp_torrents *torrents)
{
	uint64_t up = limit_of(torrents, LSP_SETTING_LIMIT_UP, LSP_SETTING_TORRENT_LIMIT_UP);
	uint64_t down = limit_of(torrents, LSP_SETTING_LIMIT_DOWN, LSP_SETTING_TORRENT_LIMIT_DOWN);
	bool pause = lsp_config_switch(config_of(torrents), LSP_SETTING_PAUSE_UPLOADS);
	bool changed = torrents->limits_unheard || up != torrents->limit_up ||
		       down != torrents->limit_down || pause != torrents->pause_uploads;
	torrents->limits_unheard = false;
	torrents->limit_up = up;
	torrents->limit_down = down;
	torrents->pause_uploads = pause;
	return changed;
}

static json_t *limit_arguments(const struct lsp_torrents *torrents)
{
	/* Nothing at all cannot be said: one byte a second is as near as it gets. */
	uint64_t up = torrents->pause_uploads ? 1 : torrents->limit_up;
	return json_pack("{s:I, s:I}", "max_upload", (json_int_t)up, "max_download",
		(json_int_t)torrents->limit_down);
}

void lsp_torrents_tell_limits(struct lsp_torrents *torrents)
{
	if (read_limits(torrents))
		lsp_torrents_tell(torrents->peer, LSP_TORRENT_LIMITS, limit_arguments(torrents));
}

int lsp_torrents_limit(struct lsp_torrents *torrents,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err)
{
	(void)read_limits(torrents);
	struct lsp_torrent_call call = {.command = LSP_TORRENT_LIMITS,
		.arguments = limit_arguments(torrents),
		.done = done,
		.argument = argument};
	return lsp_torrents_call(torrents->peer, &call, err);
}

void lsp_torrents_apply(struct lsp_torrents *torrents)
{
	struct lsp_error err = {0};
	/* Our games start it when they are here, see lsp_torrent_games_ready. */
	bool wanted = strcmp(lsp_torrents_mode(torrents), "off") != 0 || torrents->has_stored;
	bool fresh = wanted && !torrents->engine;
	if (fresh && lsp_torrents_ensure(torrents, &err) < 0) {
		lsp_peer_warn(torrents->peer, "the torrent engine does not start: %s", err.message);
		return;
	}
	if (!torrents->engine)
		return;
	if (fresh)
		lsp_torrents_ask_port(
			torrents); /* which has the session come up: it is to be found */
	if (torrents->mode_unheard || strcmp(torrents->mode, lsp_torrents_mode(torrents)) != 0)
		lsp_torrents_tell_configuration(torrents);
	lsp_torrents_tell_limits(torrents);
	lsp_torrent_games_mode_changed(torrents->peer);
}

json_t *lsp_torrents_configuration(const struct lsp_torrents *torrents)
{
	return torrents->configuration;
}

int lsp_torrents_configure(struct lsp_torrents *torrents, json_t *configuration,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err)
{
	/* Two places for one setting would contradict each other, and one of them tells the
	 * outside. */
	if (json_object_get(configuration, "mode"))
		return lsp_error_set(err, "torrent", LSP_E_INVALID,
			"the mode is a setting of its own: `lanspread config swarm "
			"off|lan|internet`");
	json_t *effective = lsp_torrents_effective(lsp_torrents_mode(torrents), configuration);
	int r = effective ? lsp_torrent_configuration_check(effective, err)
			  : lsp_error_no_memory(err, "peer");
	if (r < 0) {
		json_decref(effective);
		return r;
	}
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_CONFIGURE,
		.arguments = json_pack("{s:o}", "configuration", effective),
		.done = done,
		.argument = argument,
	};
	/* Before the call, which may start the engine: one that was wrong shall not be in the way.
	 */
	json_t *before = torrents->configuration;
	torrents->configuration = json_incref(configuration);
	r = lsp_torrents_call(torrents->peer, &call, err);
	if (r < 0) {
		json_decref(torrents->configuration);
		torrents->configuration = before;
		return r;
	}
	json_decref(before);
	torrents->sessions = 0;
	lsp_peer_save_json(
		torrents->peer, LSP_TORRENTS_CONFIGURATION_FILE, json_incref(configuration));
	return 0;
}
