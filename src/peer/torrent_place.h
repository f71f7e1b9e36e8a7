/*
 * Where torrents have their files: anywhere but in the games folder.
 *
 * What libtorrent writes it writes past every rule of the library, and what it deletes is gone. So
 * a torrent that is not a game's own has no place that is the games folder, is in it, or would be
 * it under the torrent's name. That is looked at when one is added or moved; and, since the games
 * folder may move too, when it is restored, resumed, checked, or deleted with its files, and of all
 * of them when the games folder does move.
 *
 * Paths are compared as the system resolves them, by whatever links and "..", which may wait for a
 * disk: a thread of the disk pool looks, the answer comes on the core loop. What is restored the
 * engine asks about on its own thread, before it is added: there is no moment at which it writes.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "peer/peer.h"

struct lsp_torrent_place {
	const char *path; /* absolute: in which the torrent's folder is */
	const char *name; /* of that folder, or one file; NULL: the metainfo has it */
	/* Parsed for the name; until the answer it is the caller's to keep. NULL or empty: of a
	 * magnet nobody knows the name yet, so it may be any. */
	const struct lsp_buffer *metainfo;
};

/*
 * 0: it is outside. 1: it is not. -LSP_E_CANCELLED: the peer ends; only what is the argument's own
 * is to be freed. Else it could not be told, and error says why.
 */
typedef void (*lsp_torrent_place_callback)(void *argument, int result, struct lsp_error *error);

/* Copies the texts. After a failure there is no callback. */
int lsp_torrent_place_look(struct lsp_peer *peer, const struct lsp_torrent_place *place,
	lsp_torrent_place_callback done, void *argument, struct lsp_error *err);

/* ---- What lies there by now ---- */

/* Where the games folder is, for the engine's thread as well: a copy behind a lock. */
struct lsp_torrent_places;
LSP_MUST_CHECK int lsp_torrent_places_new(
	const char *games, struct lsp_torrent_places **ret_places, struct lsp_error *err);
void lsp_torrent_places_free(struct lsp_torrent_places *places);
/*
 * As the engine's `hold`, with the places: 1 if it has come to lie in the games folder or its path
 * is none, and err says why; -LSP_E_NO_MEMORY: that cannot be told now. From any thread; blocks on
 * the disk.
 */
int lsp_torrent_places_hold(
	void *places, const char *id, const char *path, const char *name, struct lsp_error *err);
/* The games folder is elsewhere: those that lie there now are paused, and said. */
void lsp_torrent_places_move(
	struct lsp_torrent_places *places, struct lsp_peer *peer, const char *games);
