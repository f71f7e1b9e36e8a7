/*
 * The .torrent files that the peer keeps for its games: torrents/<id>.torrent of the state folder,
 * and what a magnet link brought (torrent_kept.h), in a folder below that.
 *
 * One is written before what refers to it is saved (a game's record, or the promise of one that is
 * about to be a game), and goes after the record is saved that did: so a kill between the two
 * leaves a file too many, never one too few. The next start deletes that. Nor does one go while
 * such a save has failed, for the disk has an older record then. All of it is done by the one
 * thread of the state pool, so none goes that was written anew meanwhile.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>

#define LSP_TORRENT_FILES_FOLDER "torrents"

struct lsp_peer;

/* Where the .torrent of `id` is kept. The caller frees it; NULL: no memory, or it is no id. */
char *lsp_torrent_files_path(const struct lsp_peer *peer, const char *id);
/*
 * Writes it there. Blocks on the disk: on the state pool, and before lsp_torrent_games_add_alias,
 * so that a path that is told has its file.
 */
LSP_MUST_CHECK int lsp_torrent_files_keep(const struct lsp_peer *peer, const char *id,
	const struct lsp_buffer *metainfo, struct lsp_error *err);
/*
 * Deletes a file of that folder (below the state folder), behind all saves of now; on the disk when
 * lsp_call_answer_saved answers. Absent is fine, trouble is logged.
 */
void lsp_torrent_file_drop(struct lsp_peer *peer, const char *folder, const char *name);
/* The same of torrents/<id>.torrent. An id that leads elsewhere is none. */
void lsp_torrent_files_drop(struct lsp_peer *peer, const char *id);
/*
 * Deletes every file there that is not wanted, and what a kill left of one that was being written;
 * folders stay. At the start, before any is written; blocks on the disk.
 */
void lsp_torrent_files_sweep(
	struct lsp_peer *peer, bool (*is_wanted)(struct lsp_peer *peer, const char *id));
