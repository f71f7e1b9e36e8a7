/*
 * Serving: the answers to what a peer asks.
 *
 * One row of a table per request type (docs/protocol.md), each short; what takes longer (chunks, a
 * manifest, leaf hashes, a cover) goes on by itself on the disk pool and answers later. What a
 * session may not ask yet, before both have said Hello, is a breach.
 *
 * On the core loop.
 */
#pragma once

#include "net/endpoint.h"

struct lsp_session;

/* A stream that the peer opened. */
void lsp_serve_stream(struct lsp_session *session, struct lsp_stream *stream);
