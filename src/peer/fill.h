/*
 * Fills: chunks of an update, of which most is here already.
 *
 * Where an old version of a file has most of a chunk, only the leaves that differ are fetched:
 * first the hashes of the chunk's leaves (GetHashes, checked against the chunk's own hash), then,
 * leaf by leaf, what no local folder has (GetBlocks). A fill stands in for one request of the
 * swarm's and tells it what became of the chunk, as a fetch does.
 *
 * A peer that answers such a request with something else is asked for whole chunks from then on:
 * what it lacks may be no more than this.
 *
 * On the core loop; what touches the disk is a job.
 */
#pragma once

#include "peer/share.h"
#include "swarm/swarm.h"

struct lsp_peer;
struct lsp_session;

/* False: could not begin, nothing was done; fetch the chunk as a whole. */
bool lsp_fill_start(struct lsp_session *session, struct lsp_share *share,
	const struct lsp_swarm_action *action);
void lsp_fill_cancel(struct lsp_peer *peer, lsp_swarm_id request);
void lsp_fill_cancel_all(struct lsp_session *session);
bool lsp_fill_uses(struct lsp_peer *peer, const struct lsp_stage *stage);
