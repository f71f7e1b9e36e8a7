/*
 * The .torrent files that the peer keeps for its games: torrents/<id>.torrent of the state folder,
 * and what a magnet link brought (torrent_kept.h), in a folder below that.
 *
 * One goes when nothing refers to it any more: after the record is saved that did, so that a kill
 * between the two leaves a file too many, never one too few. The next start deletes that.
 */
#pragma once

#include <stdbool.h>

#define LSP_TORRENT_FILES_FOLDER "torrents"

struct lsp_peer;

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
