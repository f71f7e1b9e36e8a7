/*
 * A game whose content is known only once all of it is here: it comes by a v1 torrent, or by one
 * with pieces longer than a game's.
 *
 * The torrent engine downloads it into `<game>/.lanspread/torrent/files`, as one of its own stored
 * torrents, so that it goes on after a restart by itself; the game is *downloading* meanwhile.
 * When it is whole, the torrent leaves the session, the files are hashed into a manifest, they
 * become the game's stage, and a download of that content finds every chunk there and commits.
 *
 * On the core loop; hashing is a task of its own.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <jansson.h>

struct lsp_peer;

/*
 * The bytes of the .torrent are taken over. kept: as what it is kept (torrent_kept.h) until the
 * engine has stored it, or NULL.
 */
LSP_MUST_CHECK int lsp_torrent_late_start(struct lsp_peer *peer, const char *game,
	struct lsp_buffer *metainfo, const char *kept, struct lsp_error *err);
/*
 * The same for a torrent that the engine has already, by a magnet link that has its metadata and
 * downloads nothing yet ("root" must be "files"): it moves into the game's folder and goes on.
 */
LSP_MUST_CHECK int lsp_torrent_late_take(
	struct lsp_peer *peer, const char *game, const char *id, struct lsp_error *err);
/* The game that comes by this torrent, or NULL. Borrowed. */
const char *lsp_torrent_late_game(const struct lsp_peer *peer, const char *id);
/* From torrent_add.c: every event of the engine. */
void lsp_torrent_late_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event);
/* Once a second: has the user cancelled one? */
void lsp_torrent_late_tick(struct lsp_peer *peer);
/* After the loop has ended. */
void lsp_torrent_late_free_all(struct lsp_peer *peer);
