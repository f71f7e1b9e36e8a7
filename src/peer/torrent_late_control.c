/* What a late game's download looks like, and what the user wants of it. */
#include "peer/torrent_late_private.h"

#include "peer/download.h"
#include "peer/games.h"
#include "peer/peer.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "task/operation.h"

bool lsp_torrent_late_runs(const struct lsp_torrent_late *late)
{
	return late->guard != NULL;
}

bool lsp_torrent_late_is_waiting(const struct lsp_torrent_late *late)
{
	return late->waiting;
}

bool lsp_torrent_late_is_paused(const struct lsp_torrent_late *late)
{
	return late->guard && late->paused;
}

bool lsp_torrent_late_is_whole(const struct lsp_torrent_late *late)
{
	return late->hashing || late->placing || late->left;
}

bool lsp_torrent_late_is_held(const struct lsp_torrent_late *late)
{
	return late->held;
}

const char *lsp_torrent_late_id(const struct lsp_torrent_late *late)
{
	return late->id;
}

json_t *lsp_torrent_late_progress_json(const struct lsp_torrent_late *late)
{
	return late->guard && late->progress ? json_incref(late->progress) : json_null();
}

int lsp_torrent_late_go_on(struct lsp_torrent_late *late, struct lsp_error *err)
{
	bool rested = !late->guard;
	int r = lsp_torrent_late_begin(late, err);
	if (r < 0)
		return r;
	late->trouble.code = 0;
	late->looked = late->paused = false;
	if (rested) {
		lsp_torrent_wish_set_stopped(late->peer, late->id, false);
		lsp_torrent_late_publish(late, "download_begin", NULL);
	}
	late->alone = 0;
	if (late->held && !late->astray)
		return 0; /* once it is known where its files are */
	if (late->astray) {
		lsp_torrent_promote_restore(late);
	} else if (late->left) {
		lsp_torrent_promote_again(late);
	} else if (late->id[0]) {
		lsp_torrent_late_tell(late, LSP_TORRENT_RESUME);
		lsp_torrent_late_offer_peers(late);
	}
	return 0;
}

int lsp_torrent_late_go_on_by_lan(
	struct lsp_torrent_late *late, const struct lsp_hash *content, struct lsp_error *err)
{
	bool rested = !late->guard;
	if (late->busy || late->left || late->astray)
		return lsp_error_set(err, "torrent", LSP_E_BUSY,
			"%s is just beginning, or all of it is here already: try again",
			late->game);
	int r = lsp_torrent_late_begin(late, err);
	if (r == 0)
		r = lsp_torrent_promote_to_lan(late, content, err);
	if (r < 0 && rested)
		lsp_operation_unref(TAKE_PTR(late->guard));
	if (r < 0 || !rested)
		return r;
	late->trouble.code = 0;
	lsp_torrent_wish_set_stopped(late->peer, late->id, false);
	lsp_torrent_late_publish(late, "download_begin", NULL);
	return 0;
}

void lsp_torrent_late_then_install(struct lsp_torrent_late *late)
{
	late->then_install = true;
}

bool lsp_torrent_late_pause(struct lsp_torrent_late *late, bool paused)
{
	if (!late->guard)
		return false;
	if (late->id[0] && !late->left && !late->held)
		lsp_torrent_late_tell(late, paused ? LSP_TORRENT_PAUSE : LSP_TORRENT_RESUME);
	late->paused = paused;
	lsp_games_publish_local(late->peer);
	return true;
}

bool lsp_torrent_late_cancel(struct lsp_torrent_late *late)
{
	if (!late->guard || late->placing || late->held)
		return false;
	(void)lsp_operations_cancel(late->peer->operations, late->game, LSP_CANCEL_USER, NULL);
	lsp_torrent_late_look(late);
	return true;
}

void lsp_torrent_late_end(struct lsp_peer *peer, const char *game)
{
	struct lsp_torrent_late *late = lsp_torrent_late_find(peer, game);
	if (!late || late->guard || late->busy || late->asking)
		return;
	lsp_torrent_late_tell(
		late, LSP_TORRENT_FORGET); /* of one that had left the session already */
	lsp_torrent_late_over(late, NULL);
}
