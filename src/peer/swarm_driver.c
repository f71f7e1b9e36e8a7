/*
 * Drives the swarm's state machine: lets it think when something happened or its deadline came, and
 * does what it says. Thinking is put off to the end of the loop's round, so that a burst of events
 * costs one thought.
 */
#include "peer/swarm_driver.h"
#include "base/log.h"
#include "peer/download.h"
#include "peer/events.h"
#include "peer/fetch.h"
#include "peer/peer.h"
#include "peer/session.h"
#include "peer/share.h"
#include "peer/upload.h"

static void act(struct lsp_peer *peer, const struct lsp_swarm_action *action)
{
	struct lsp_share *share = action->game_owner;
	struct lsp_session *session = action->peer_owner;
	switch (action->kind) {
	case LSP_SWARM_REQUEST:
		lsp_fetch_start(session, share, action);
		break;
	case LSP_SWARM_CANCEL:
		lsp_fetch_cancel(peer, action->request);
		break;
	case LSP_SWARM_ANNOUNCE:
	case LSP_SWARM_WITHDRAW:
		lsp_sessions_announce_chunks(peer, share, action->first, action->count,
			action->kind == LSP_SWARM_ANNOUNCE);
		break;
	case LSP_SWARM_UPLOAD_START:
	case LSP_SWARM_UPLOAD_BOUNCE:
	case LSP_SWARM_UPLOAD_STOP:
		lsp_upload_act(action->upload_owner, action);
		break;
	case LSP_SWARM_DROPPED:
		lsp_session_reject_chunk(session, share, action->first);
		break;
	case LSP_SWARM_STATE:
		if (lsp_share_download(share))
			lsp_download_swarm_state(lsp_share_download(share), action->state);
		break;
	}
}

static void think(void *argument)
{
	struct lsp_peer *peer = argument;
	peer->swarm_posted = false;
	if (peer->stopping)
		return;
	struct lsp_swarm_action action;
	bool news = false;
	lsp_swarm_run(peer->swarm, lsp_peer_now(peer));
	while (lsp_swarm_next_action(peer->swarm, &action)) {
		news |= action.kind == LSP_SWARM_ANNOUNCE;
		act(peer, &action);
	}
	if (news)
		lsp_sessions_flush_haves(peer);
	lsp_timer_start(&peer->swarm_timer, lsp_swarm_deadline(peer->swarm));
}

void lsp_peer_kick(struct lsp_peer *peer)
{
	if (peer->swarm_posted || peer->stopping)
		return;
	peer->swarm_posted =
		lsp_loop_post_node(peer->core, &peer->swarm_post, think, peer, NULL) == 0;
}

static void deadline(void *argument)
{
	lsp_peer_kick(argument);
}

int lsp_swarm_driver_init(struct lsp_peer *peer, struct lsp_error *err)
{
	return lsp_timer_init(&peer->swarm_timer, peer->core, deadline, peer, err);
}
