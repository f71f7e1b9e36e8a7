/*
 * Games that fell over on the disk: their bytes changed, their names, sizes and times did not.
 *
 * Nobody wrote them, so what they are now is no other version of the game: it is neither announced
 * nor served, or the whole party would be asked to choose between the two. What a game was is
 * remembered when it stops being served, and compared when it has been hashed again. What was found
 * is kept in the state folder (damaged.json): the content that the game had, the one that it has
 * now, and the files in which they differ. It holds as long as the game has that second content;
 * `get` brings the first one back.
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

/* Is that game (NULL: no) a damaged one? ret_content (may be NULL): what it was. */
bool lsp_damage_is(const struct lsp_peer *peer, const struct lsp_library_game *game,
	struct lsp_hash *ret_content);
/* Of a damaged game: an array of {"path", "chunks": damaged ones, "of": all}. Borrowed. */
json_t *lsp_damage_files(const struct lsp_peer *peer, const char *game);
/* The same in a line, with the way out. The caller frees it; NULL: no memory. */
char *lsp_damage_text(const struct lsp_peer *peer, const char *game);
