/*
 * Answers that need the disk: manifests, leaf hashes, leaves, covers, and the second look at a
 * chunk that somebody rejected. Each reads on a disk thread into memory of a bounded size and
 * answers when it is there; the request's stream may end before, then the result is dropped.
 *
 * Called on the core loop.
 */
#pragma once

#include "peer/share.h"
#include "wire/message.h"

struct lsp_peer;
struct lsp_responder;
struct lsp_session;

void lsp_serve_manifest(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request);
void lsp_serve_hashes(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request);
void lsp_serve_blocks(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request);
void lsp_serve_cover(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request);

/*
 * Hashes the file of that chunk anew and withdraws what is wrong in it. False: not now, since one
 * runs or ended a moment ago; whoever cries wolf costs one look a minute.
 */
bool lsp_serve_recheck(struct lsp_peer *peer, struct lsp_share *share, uint32_t chunk);
