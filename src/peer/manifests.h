/*
 * Getting a manifest from whoever has it.
 *
 * A query asks holders of the content until one gives a manifest with that content id: one after
 * the other as they refuse or go, and one more beside them when all that are asked have been silent
 * for a second, for a holder may have lost its connection without our knowing. Which bytes came is
 * checked (length first, then every rule, on a disk thread since a large one takes its time), so a
 * liar costs one request. When it is the content itself that breaks a rule (a name that leads
 * outside, a size that cannot be), nobody else is asked: it is refused.
 *
 * On the core loop. The callback comes exactly once, unless the query is freed first; then not.
 */
#pragma once

#include "base/sha256.h"
#include "wire/manifest.h"

struct lsp_manifest_query;
struct lsp_peer;

/*
 * error NULL: the manifest (borrowed). LSP_E_DENIED: that content is refused, whoever has it. Else
 * nobody gave it. The query is gone when it returns.
 */
typedef void (*lsp_manifest_callback)(
	void *argument, const struct lsp_manifest *manifest, const struct lsp_error *error);

/* -LSP_E_NOT_FOUND: no connected peer announces that content. */
LSP_MUST_CHECK int lsp_manifest_query(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *content, lsp_manifest_callback callback, void *argument,
	struct lsp_manifest_query **ret_query, struct lsp_error *err);
/* NULL is allowed. */
void lsp_manifest_query_free(struct lsp_manifest_query *query);
