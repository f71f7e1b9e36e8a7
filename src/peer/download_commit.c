/*
 * The commit of a download: every chunk is there and verified, and becomes the game in its folder.
 *
 * First all others let go of the stage: the torrent engine, the job that syncs it, the fetches that
 * were under way when its last chunk came, and the torrents that seed an older content from the
 * folder. Each says when it has, and the commit is tried again from its beginning; for the torrents
 * alone there is a time after which it goes on without them.
 *
 * Then the library is told to keep its eyes off the game, so that it sees it as it was or as it
 * will be, and a job moves the files into place, `version.ini` last. What is written is complete
 * from there on, so it is not to be cancelled any more. The library looks, now knowing what it will
 * find; the game is shared from its folder before the download is told to have finished.
 *
 * An update goes another way: its files and `local/` change in one transaction, which belongs to
 * operations.c, and so do the words that tell of it. The download hands over its operation with the
 * stage, and is over when neither it nor who fetches from us needs the stage.
 *
 * What fails leaves the stage as it is: the next download of that content finds every chunk there.
 */
#include "peer/download_private.h"

#include "peer/fetch.h"
#include "peer/local.h"
#include "peer/operations.h"
#include "peer/peer.h"
#include "peer/torrent_fetch.h"
#include "peer/torrent_games.h"
#include "task/operation.h"

#define LEAVE_AT_MOST (2 * LSP_SECOND)

/* The update's transaction does not use the stage any more, nor do the others who fetch from us. */
static void update_staged(void *argument, bool committed)
{
	struct lsp_download *download = argument;
	if (!committed && lsp_cancel_requested(download->peer->root))
		return; /* the peer stops: the next start takes it up */
	download->handed_over = true;
	lsp_download_finish(download);
}

/* Archives and `local/` change together: install/ does it, under our guard. */
static void hand_over(struct lsp_download *download)
{
	struct lsp_error err = {0};
	download->phase = PHASE_COMMITTING;
	struct lsp_operation *guard = lsp_operation_ref(download->operation);
	if (lsp_operations_update(download->peer, guard, download->stage, download->old,
		    update_staged, download, &err) < 0)
		lsp_download_fail(download, &err);
}

/*
 * What an older content is seeded from is about to change: a torrent that is still in the session
 * would send the new bytes for the old. A session that does not answer is not waited for.
 */
static bool torrents_have_left(struct lsp_download *download)
{
	lsp_time now = lsp_peer_now(download->peer);
	if (!download->leave_by) {
		download->leave_by = lsp_time_add(now, LEAVE_AT_MOST);
		download->sending_away = true;
		lsp_torrent_games_gone(download->peer, download->game);
		download->sending_away = false;
	}
	return now >= download->leave_by ||
	       !lsp_torrent_games_leaving(download->peer, download->game);
}

void lsp_download_torrents_left(struct lsp_peer *peer, const char *game)
{
	struct lsp_download *download = lsp_download_find(peer, game);
	if (download && download->phase == PHASE_FLUSHING && !download->sending_away)
		lsp_download_commit(download);
}

void lsp_download_commit(struct lsp_download *download)
{
	struct lsp_error err = {0};
	download->phase = PHASE_FLUSHING;
	lsp_download_stop_wanting(download);
	if (download->torrent) {
		lsp_torrent_fetch_stop(download->torrent);
		return; /* called again when it has let go */
	}
	if (download->job || lsp_fetch_uses(download->peer, download->stage))
		return; /* called again when they end */
	if (!torrents_have_left(download))
		return; /* called again when they have */
	lsp_download_publish(download, "progress", lsp_download_progress_json(download));
	if (download->purpose == LSP_DOWNLOAD_THEN_UPDATE) {
		hand_over(download);
	} else if (lsp_local_hold(download->peer, download->game, &err) < 0) {
		lsp_download_fail(download, &err);
	} else {
		download->held = true;
		lsp_download_start_job(download, PHASE_COMMITTING, LSP_DOWNLOAD_JOB_COMMIT);
	}
}

bool lsp_download_commit_is_due(const struct lsp_download *download, lsp_time now)
{
	return download->phase == PHASE_FLUSHING && download->leave_by && now >= download->leave_by;
}

static void settled(void *argument)
{
	lsp_download_finish(argument);
}

void lsp_download_committed(struct lsp_download *download, const struct lsp_download_result *result)
{
	download->phase = PHASE_SETTLING;
	download->held = false;
	if (result->in_catalog)
		lsp_local_catalog_changed(download->peer);
	lsp_local_release(download->peer, download->game, download->manifest, settled, download);
}
