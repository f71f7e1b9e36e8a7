/*
 * Uploads: chunks that others ask for, on their way from the disk to the connection.
 *
 * A request for chunks waits in the swarm's queue, which decides when it starts, or that it is
 * bounced. A running upload reads what is in memory (the page cache) in slices just before they are
 * sent, and has a disk thread read the rest ahead; either goes to the stream, which gives the block
 * back when the other side has acknowledged it: nothing is copied in between. At most two blocks of
 * an upload wait to be sent, and no more is read than the swarm grants (limits, fairness), so a
 * peer that never reads costs two blocks until its stream times out.
 *
 * An upload belongs to the core loop; it ends by itself when its stream ends.
 */
#pragma once

#include "peer/exchange.h"
#include "swarm/swarm.h"

/* The low-water mark of the endpoint's streams (bytes) that suits how uploads read. */
#define LSP_UPLOAD_LOW_WATER (64u << 10)

struct lsp_peer;
struct lsp_session;
struct lsp_upload;

/* A GetChunks request. The responder is answered, now or later. */
void lsp_upload_chunks(struct lsp_session *session, struct lsp_responder *responder,
	const struct lsp_get_chunks *request);
/* A file or a range of one (GetGameFileData, GetGameFileChunk), without the swarm's rarity rules.
 */
void lsp_upload_file(struct lsp_session *session, struct lsp_responder *responder,
	const struct lsp_hash *content, const char *game, const char *path, uint64_t offset,
	uint64_t length, bool whole);

/* The swarm's decisions about an upload (LSP_SWARM_UPLOAD_…). */
void lsp_upload_act(struct lsp_upload *upload, const struct lsp_swarm_action *action);
