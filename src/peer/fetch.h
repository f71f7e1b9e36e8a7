/*
 * Fetches: chunks on their way from a connection to the stage of a download.
 *
 * A fetch is one request of the swarm's: a run of chunks from one peer. Bytes are gathered in
 * blocks on the core loop; full blocks go to a disk thread, which hashes the leaves, writes them to
 * the staged file and checks each chunk at its end. The stream's window is opened again only for
 * bytes that are on their way out of memory, so a slow disk slows its senders down and nothing
 * piles up. A fetch has one job on the disk at a time (a chunk's bytes are written in order);
 * several fetches keep several disk threads and cores busy.
 *
 * An update that has most of a chunk already takes the other way (fill): the hashes of the chunk's
 * leaves first, then only the leaves that are missing.
 *
 * All on the core loop but for the jobs. A fetch ends by itself and tells the swarm what became of
 * each chunk; trouble that is ours (a full disk) goes to the download, which stops.
 */
#pragma once

#include "peer/share.h"
#include "swarm/swarm.h"

struct lsp_fetch;
struct lsp_session;

/* Asks for what the action says. What goes wrong at once is told to the swarm. */
void lsp_fetch_start(struct lsp_session *session, struct lsp_share *share,
	const struct lsp_swarm_action *action);
/* The fetch with that request id, if it still runs: no more bytes of it are wanted. */
void lsp_fetch_cancel(struct lsp_peer *peer, lsp_swarm_id request);
/* The session ends: every fetch from it is over (the swarm knows already). */
void lsp_fetch_cancel_all(struct lsp_session *session);
/* True while a fetch (or its last job) still uses this stage: its disk must not be let go of yet.
 */
bool lsp_fetch_uses(struct lsp_peer *peer, const struct lsp_stage *stage);
