/*
 * Games that fell over on the disk: their bytes changed, their names, sizes and times did not.
 *
 * Nobody wrote them, so what they are now is no other version of the game: it is neither announced
 * nor served, or the whole party would be asked to choose between the two. What a game was is
 * remembered when it stops being served, and compared when it has been hashed again. What was found
 * is kept in the state folder (damaged.json): the content that the game had, the one that it has
 * now, the files in which they differ, and the fingerprint of its files (names, sizes, times).
 *
 * That holds for as long as the fingerprint does, whatever else falls over meanwhile. It ends when
 * the first content is back, when the fingerprint is another (somebody wrote or touched a file: it
 * is their own work again), and when an operation of ours has put a content there: `get` brings the
 * first one back. A record without a fingerprint holds for nothing.
 *
 * Everything is the core loop's.
 */
#pragma once

#include "library/library.h"
#include "wire/manifest.h"

#include <jansson.h>

struct lsp_damage;
struct lsp_peer;

LSP_MUST_CHECK int lsp_damage_new(
	struct lsp_peer *peer, struct lsp_damage **ret_damage, struct lsp_error *err);
void lsp_damage_free(struct lsp_damage *damage);

/* A game was served with these files, and is not any more. */
void lsp_damage_was(struct lsp_peer *peer, const struct lsp_library_game *game,
	const struct lsp_manifest *manifest);
/*
 * A game is ready with these files. True: its disk made them what they are, and they are not to be
 * served.
 */
bool lsp_damage_found(struct lsp_peer *peer, const struct lsp_library_game *game,
	const struct lsp_manifest *manifest);

/*
 * An operation has put a verified content there: it is what it shall be. True: it was a damaged
 * game until now.
 */
bool lsp_damage_end(struct lsp_peer *peer, const char *game);

/* Is that game (NULL: no) a damaged one? ret_content (may be NULL): what it was. */
bool lsp_damage_is(const struct lsp_peer *peer, const struct lsp_library_game *game,
	struct lsp_hash *ret_content);
/*
 * Of a damaged game: an array of {"path", "chunks": damaged ones, "of": all}. Borrowed. What fell
 * over after a restart of ours is not among them, for the first content's hashes are not kept.
 */
json_t *lsp_damage_files(const struct lsp_peer *peer, const char *game);
/* The same in a line, with the way out. The caller frees it; NULL: no memory. */
char *lsp_damage_text(const struct lsp_peer *peer, const char *game);
