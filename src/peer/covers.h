/*
 * Covers: our own (the catalogue's, the one in the game's folder), else one of a peer that has the
 * game.
 *
 * Ours is read by a disk job. A peer's is asked for from one holder after another, a few at most,
 * each with some seconds to answer; only some questions are on their way at once, the others wait
 * (a page that is scrolled asks for hundreds). What comes is a picture by its first bytes and no
 * larger than a cover may be, or it is none. Nothing is kept here: who asks may keep it.
 *
 * On the core loop.
 */
#pragma once

#include "base/error.h"

struct lsp_call;
struct lsp_peer;

/* Keeps the call and answers it later; an error: the call is still the caller's. */
LSP_MUST_CHECK int lsp_cover_answer(
	struct lsp_peer *peer, struct lsp_call *call, const char *game, struct lsp_error *err);

/* Ten times a second: who does not answer in time is given up on. */
void lsp_covers_tick(struct lsp_peer *peer);
