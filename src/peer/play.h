/* Answers about a single game that need the disk: how to start it, and its cover. */
#pragma once

#include "base/error.h"

struct lsp_call;
struct lsp_peer;

/* Keep the call and answer it later; an error: the call is still the caller's. */
LSP_MUST_CHECK int lsp_play_answer(
	struct lsp_peer *peer, struct lsp_call *call, const char *game, struct lsp_error *err);
LSP_MUST_CHECK int lsp_cover_answer(
	struct lsp_peer *peer, struct lsp_call *call, const char *game, struct lsp_error *err);
