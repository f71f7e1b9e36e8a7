/*
 * Making a game of somebody's torrent.
 *
 * A torrent that carries a version.ini becomes a game of the library: its files are fetched into
 * the game's stage by the torrent engine, verified, and committed like those of every download. A
 * v2 or hybrid torrent tells its content at once, so that it is one game with what the peers here
 * announce, and its torrent an alias. One that tells it only once all is here (v1, or pieces longer
 * than a game's) is downloaded into the game's private folder first, hashed there, and then goes
 * the same way. A magnet link first fetches its metadata and not one byte of payload; that survives
 * a restart.
 *
 * On the core loop; files are parsed and hashed on the disk pool.
 */
#pragma once

#include "base/buffer.h"
#include "peer/command.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * The bytes of a .torrent (taken over): the call is answered later, unless an error is returned.
 * game NULL: the torrent's name is the id. options: torrent_wish.h's, borrowed.
 */
LSP_MUST_CHECK int lsp_torrent_add_game(struct lsp_peer *peer, struct lsp_call *call,
	const char *game, struct lsp_buffer *metainfo, json_t *options, struct lsp_error *err);
LSP_MUST_CHECK int lsp_torrent_add_magnet(struct lsp_peer *peer, struct lsp_call *call,
	const char *game, const char *magnet, json_t *options, struct lsp_error *err);

/* The torrent that is known of a game which is not here any more: once more. */
LSP_MUST_CHECK int lsp_torrent_add_again(struct lsp_peer *peer, struct lsp_call *call,
	const char *game, bool then_install, struct lsp_error *err);

/*
 * The same of what a magnet brought, which is kept as `kept` (torrent_kept.h) until the download is
 * on the disk. game "": as NULL above. No bytes: a peer here has the content that its id names.
 */
LSP_MUST_CHECK int lsp_torrent_add_kept(struct lsp_peer *peer, const char *game, const char *kept,
	struct lsp_buffer *metainfo, struct lsp_error *err);
/* Is that status one of a magnet that is to become a game? */
bool lsp_torrent_add_is_magnet(const struct lsp_peer *peer, const json_t *status);

/* From torrents.c: every event of the engine. */
void lsp_torrent_add_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event);
