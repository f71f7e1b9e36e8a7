/* How to start a game, and how to show its folder: an answer that needs the disk. */
#pragma once

#include "base/error.h"

struct lsp_call;
struct lsp_peer;

/* Keeps the call and answers it later; an error: the call is still the caller's. */
LSP_MUST_CHECK int lsp_play_answer(
	struct lsp_peer *peer, struct lsp_call *call, const char *game, struct lsp_error *err);
LSP_MUST_CHECK int lsp_folder_answer(
	struct lsp_peer *peer, struct lsp_call *call, const char *game, struct lsp_error *err);
