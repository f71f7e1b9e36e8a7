/*
 * Getting a game's chunks by the torrent engine, into the same stage.
 *
 * A download (download.h) that uses this engine has one fetch while it fetches. The torrent (the
 * content's own, or the alias that the user added) lies in the stage's files/, with the chunks that
 * are there already taken for granted. What the engine says it has is looked at once a second: each
 * such chunk is hashed where it lies before it counts, as one that came from a peer is; so the
 * stage, its map of chunks and the peers that fetch from it know no difference, and a download may
 * go on by the other engine with every chunk that counted, and after a kill.
 *
 * Stopping takes what came last, removes the torrent from the session, and tells the download when
 * nobody writes to the stage any more.
 *
 * On the core loop; hashing is a job of the disk pool.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct lsp_download;
struct lsp_peer;
struct lsp_share;
struct lsp_torrent_fetch;

/*
 * share: with the stage of the download. What goes wrong later comes as lsp_download_trouble, then
 * it is still to be stopped.
 */
LSP_MUST_CHECK int lsp_torrent_fetch_start(struct lsp_peer *peer, struct lsp_download *download,
	struct lsp_share *share, struct lsp_torrent_fetch **ret_fetch, struct lsp_error *err);
/*
 * Ends it: lsp_download_torrent_stopped comes, later, once, and it is gone then. Again: nothing
 * happens.
 */
void lsp_torrent_fetch_stop(struct lsp_torrent_fetch *fetch);
/* After the loop has ended. */
void lsp_torrent_fetch_free_all(struct lsp_peer *peer);

/* The game whose download uses this torrent, or NULL. */
const char *lsp_torrent_fetch_game(const struct lsp_peer *peer, const char *id);
/* Peers that the torrent has, and payload bytes a second. */
uint64_t lsp_torrent_fetch_peers(const struct lsp_torrent_fetch *fetch);
uint64_t lsp_torrent_fetch_rate(const struct lsp_torrent_fetch *fetch);

/* From torrents.c: every event of the engine; once a second. */
void lsp_torrent_fetch_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event);
void lsp_torrent_fetch_tick(struct lsp_peer *peer);
