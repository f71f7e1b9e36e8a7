/*
 * The .torrent of a magnet link that becomes a game, between the engine's store and a download.
 *
 * The engine cannot have one torrent twice: the magnet leaves the session, and with it the store,
 * before the game's download begins. The program may be killed between the two. So what the magnet
 * brought is written first, as torrents/magnets/<id>[.<game>].torrent of the state folder (empty
 * where the id alone says what to get), and goes when the download is on the disk. What lies there
 * at the start becomes a game then.
 *
 * On the core loop, unless it says otherwise.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "base/sha256.h"

#include <jansson.h>
#include <stdbool.h>

struct lsp_peer;

/* The folder, which is the magnets' save_path too. The caller frees it; NULL: no memory. */
char *lsp_torrent_kept_folder(const struct lsp_peer *peer);
/* What it is called there. game "": the torrent's name will tell. As above. */
char *lsp_torrent_kept_name(const char *id, const char *game);
/* The torrent's id in such a name. */
void lsp_torrent_kept_id(const char *name, char ret_id[LSP_SHA256_HEX_SIZE]);
/* Blocks on the disk: on a thread of a pool. */
LSP_MUST_CHECK int lsp_torrent_kept_write(const struct lsp_peer *peer, const char *name,
	const struct lsp_buffer *metainfo, struct lsp_error *err);
/* It goes once all that was to be saved until now is on the disk. */
void lsp_torrent_kept_drop(struct lsp_peer *peer, const char *name);
/* And with it what was asked of it: both are where they belong. */
void lsp_torrent_kept_over(struct lsp_peer *peer, const char *name);
/* At the start, after the downloads were taken up again. */
void lsp_torrent_kept_restore(struct lsp_peer *peer);
