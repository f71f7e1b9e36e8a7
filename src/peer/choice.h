/*
 * Which content of a game to take.
 *
 * Peer keys cost nothing, so votes decide nothing. In order: what the user asks for now, the
 * catalogue's pin, what the user chose before, the only content there is of the newest version.
 * Several contents and no word about them is the user's to decide: the list goes to them. Choices
 * are kept in the state folder (choices.json).
 *
 * On the core loop.
 */
#pragma once

#include "base/sha256.h"

#include <jansson.h>

struct lsp_peer;

/*
 * asked NULL: by the rules. newer_than: an update, of that version: a choice of an older time does
 * not count, and a version that is not newer is none (the newest may have no known content yet:
 * its holder still hashes it); "" or NULL: any. -LSP_E_NOT_FOUND: nobody has the game, or nobody
 * the content that a pin or a choice names; -LSP_E_EXISTS: several, *ret_variants lists them (a new
 * reference), and the event content_variants went out.
 */
LSP_MUST_CHECK int lsp_choice_make(struct lsp_peer *peer, const char *game,
	const struct lsp_hash *asked, const char *newer_than, struct lsp_hash *ret_content,
	json_t **ret_variants, struct lsp_error *err);

/* The one variant of the game that begins with these hexadecimal digits. */
LSP_MUST_CHECK int lsp_choice_resolve(struct lsp_peer *peer, const char *game, const char *prefix,
	struct lsp_hash *ret_content, struct lsp_error *err);

/* The version that holders give for this content; "" when nobody says one. */
void lsp_choice_version(struct lsp_peer *peer, const char *game, const struct lsp_hash *content,
	char *out, size_t size);

/* The title that holders give the game now; as it was when none does. */
void lsp_choice_title(struct lsp_peer *peer, const char *game, char *out, size_t size);

/* Keeps the user's choice. */
void lsp_choice_remember(struct lsp_peer *peer, const char *game, const struct lsp_hash *content);

/* [{"content", "version", "size", "holders"}] of the newest version. A new reference. */
json_t *lsp_choice_variants_json(struct lsp_peer *peer, const char *game);
/* Somebody connected has that content. */
bool lsp_choice_anybody_has(
	const struct lsp_peer *peer, const char *game, const struct lsp_hash *content);
