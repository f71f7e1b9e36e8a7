/*
 * The end of a download, whichever way it comes: finished, handed over to an update, failed,
 * cancelled.
 *
 * One that failed or is cancelled may still be at work: a job on the disk, the torrent engine,
 * fetches that write into its stage. Each of them is told to stop, and says when it has; the last
 * word brings the download here once more. What is verified stays in the stage for the next time.
 *
 * Then, in this order, so that whoever sees the event finds the new state: the library may look at
 * the game again, the record goes, the operation is let go of, the game is seeded by torrent and
 * announced as it is now, the list goes out, and then the event. What was to follow begins last,
 * for it takes the operation anew.
 *
 * While the peer stops nothing ends here: the record stays, and the next start goes on with it.
 */
#include "peer/download_private.h"

#include "base/log.h"
#include "peer/announce.h"
#include "peer/download_record.h"
#include "peer/events.h"
#include "peer/fetch.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/manifests.h"
#include "peer/operations.h"
#include "peer/peer.h"
#include "peer/torrent_fetch.h"
#include "peer/torrent_games.h"
#include "task/operation.h"

#include <utlist.h>

void lsp_download_free(struct lsp_download *download)
{
	if (!download)
		return;
	lsp_manifest_query_free(download->query);
	if (download->share) {
		lsp_share_drop_stage(download->share);
		lsp_share_unref(download->share);
	}
	lsp_stage_unref(download->stage);
	lsp_manifest_unref(download->manifest);
	lsp_manifest_unref(download->old);
	free(download);
}

void lsp_download_follow_up(
	struct lsp_peer *peer, const char *game, enum lsp_download_purpose purpose)
{
	struct lsp_error err = {0};
	if (purpose != LSP_DOWNLOAD_THEN_INSTALL || lsp_operations_install(peer, game, &err) == 0)
		return;
	lsp_events_publish(peer->events, json_pack("{s:s, s:s, s:o}", "event", "install_failed",
						 "game", game, "error", lsp_error_to_json(&err)));
}

void lsp_download_finish(struct lsp_download *download)
{
	struct lsp_peer *peer = download->peer;
	char game[LSP_GAME_ID_MAX + 1];
	enum lsp_download_purpose purpose = download->purpose;
	bool done = !download->failed && !download->cancelled && !download->handed_over;
	snprintf(game, sizeof game, "%s", download->game);
	if (download->held)
		lsp_local_release(peer, game, NULL, NULL, NULL);
	DL_DELETE(peer->downloads, download);
	lsp_download_records_save(peer);
	lsp_operation_unref(TAKE_PTR(download->operation));
	if (!download->handed_over)
		lsp_torrent_games_ready(peer, game);
	lsp_announce_game(peer->announce, game);
	if (!download->handed_over)
		lsp_games_publish_local(peer);
	if (download->failed)
		lsp_download_publish(download, "failed",
			json_pack("{s:o}", "error", lsp_error_to_json(&download->error)));
	else if (download->cancelled)
		lsp_download_publish(download, "failed",
			json_pack("{s:{s:s, s:s}}", "error", "code", "cancelled", "message",
				"cancelled; what is verified is kept"));
	else if (!download->handed_over)
		lsp_download_publish(download, "finished", NULL);
	lsp_download_free(download);
	if (done && !lsp_cancel_requested(peer->root))
		lsp_download_follow_up(peer, game, purpose);
}

void lsp_download_end(struct lsp_download *download)
{
	download->phase = PHASE_ENDING;
	lsp_manifest_query_free(TAKE_PTR(download->query));
	lsp_download_stop_wanting(download);
	lsp_peer_kick(download->peer);
	if (download->torrent) {
		lsp_torrent_fetch_stop(download->torrent);
		return; /* lsp_download_torrent_stopped comes */
	}
	if (download->job) {
		lsp_download_job_cancel(download->job);
		return; /* job_done comes */
	}
	if (download->stage && lsp_fetch_uses(download->peer, download->stage))
		return; /* lsp_download_fetch_ended comes */
	lsp_download_finish(download);
}

void lsp_download_fail(struct lsp_download *download, const struct lsp_error *error)
{
	if (download->phase == PHASE_ENDING)
		return;
	if (lsp_cancel_requested(download->peer->root))
		return; /* what fails now fails because the peer stops: the record stays */
	download->failed = true;
	download->error = *error;
	lsp_log_warning("peer", "download of %s failed: %s", download->game, error->message);
	lsp_download_end(download);
}

bool lsp_download_cancel(struct lsp_download *download)
{
	if (download->phase == PHASE_COMMITTING && download->purpose == LSP_DOWNLOAD_THEN_UPDATE)
		return lsp_operations_cancel(download->peer->operations, download->game,
			LSP_CANCEL_USER, NULL); /* its transaction ends it */
	if (download->phase >= PHASE_COMMITTING)
		return download->phase == PHASE_ENDING;
	download->cancelled = true;
	lsp_download_end(download);
	return true;
}
