/*
 * Which engine fetches the chunks of a download: the swarm of the peers here, or the torrent
 * engine, or none while it is paused.
 *
 * Both write into the one stage, and never at once: the other has let go of it before the first
 * begins. The torrent engine says when it has (lsp_download_torrent_stopped); of the fetches from
 * the LAN the next tick sees that the last has ended. What is verified is kept from one to the
 * other.
 */
#include "peer/download_private.h"

#include "base/log.h"
#include "peer/download_record.h"
#include "peer/fetch.h"
#include "peer/games.h"
#include "peer/peer.h"
#include "peer/torrent_fetch.h"

static void log_engine(const struct lsp_download *download)
{
	struct lsp_swarm_game_status status = {0};
	(void)!lsp_swarm_game_status(
		download->peer->swarm, lsp_share_swarm_game(download->share), &status);
	lsp_log_info("peer", "%s is fetched by the %s engine: %llu of %llu bytes are verified",
		download->game, lsp_engine_name(download->engine),
		(unsigned long long)status.bytes_have, (unsigned long long)status.bytes_total);
}

void lsp_download_drive_engines(struct lsp_download *download)
{
	struct lsp_peer *peer = download->peer;
	struct lsp_error err = {0};
	if (download->phase != PHASE_FETCHING)
		return;
	bool by_torrent = download->engine == LSP_ENGINE_SWARM && !download->paused;
	bool by_lan = download->engine == LSP_ENGINE_LAN && !download->paused && !download->torrent;
	if (by_lan != download->lan_wants) {
		download->lan_wants = by_lan;
		if (by_lan)
			log_engine(download);
		lsp_swarm_game_want(peer->swarm, lsp_share_swarm_game(download->share), by_lan);
		lsp_peer_kick(peer);
	}
	if (!by_torrent && download->torrent) {
		lsp_torrent_fetch_stop(download->torrent);
	} else if (by_torrent && !download->torrent && !lsp_fetch_uses(peer, download->stage)) {
		log_engine(download);
		if (lsp_torrent_fetch_start(
			    peer, download, download->share, &download->torrent, &err) < 0)
			lsp_download_fail(download, &err);
	}
}

void lsp_download_stop_wanting(struct lsp_download *download)
{
	download->lan_wants = false;
	if (download->share && lsp_share_swarm_game(download->share))
		lsp_swarm_game_want(
			download->peer->swarm, lsp_share_swarm_game(download->share), false);
}

void lsp_download_pause(struct lsp_download *download, bool paused)
{
	if (download->paused == paused)
		return;
	struct lsp_peer *peer = download->peer;
	char game[LSP_GAME_ID_MAX + 1];
	snprintf(game, sizeof game, "%s", download->game);
	download->paused = paused;
	lsp_download_drive_engines(download); /* may end it */
	lsp_peer_kick(peer);
	lsp_download_records_save(peer);
	lsp_games_publish_local(peer);
	lsp_download_sources_changed(peer, game); /* while it was paused; may end it too */
}

void lsp_download_set_engine(struct lsp_download *download, enum lsp_engine engine)
{
	if (download->engine == engine)
		return;
	struct lsp_peer *peer = download->peer;
	download->engine = engine;
	lsp_download_drive_engines(download); /* may end it */
	lsp_download_records_save(peer);
	lsp_games_publish_local(peer);
}
