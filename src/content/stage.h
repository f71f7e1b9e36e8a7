/*
 * A download on disk.
 *
 * Below a game's folder, `.lanspread/stage/` holds it until it is whole:
 *
 *     manifest       what is being downloaded, in transport form: resuming needs nothing else
 *     files/         the files under their final names, pre-sized, filled chunk by chunk
 *     chunks         which chunks are verified: written in place, so that it survives SIGKILL; it
 *                    names the boot it belongs to, since after a power cut it proves nothing
 *     chunks.synced  which chunks were fsynced: replaced atomically, believed always
 *     kept           files that an update leaves where they are, with the stamps they had; believed
 *                    within the boot that it names, after another they are hashed again (by reuse)
 *
 * Commit moves the files into place, version.ini last, by the redo list of content/redo.h: whatever
 * happens, the folder holds the old content or the new one.
 *
 * A chunk is written by a **writer**: bytes stream in, their leaves are hashed while they pass and
 * written straight to the file, and at the end the root is compared. Nothing counts before that.
 * When two peers send the same chunk at once (endgame), the second writer collects its bytes in
 * memory and takes over if it ends first, so that nobody can overwrite what was verified.
 * Alternatively, for updates, a **fill** takes single leaves by their own hashes.
 *
 * Threads: a stage is shared; writers and fills belong to one thread at a time, of any number at
 * once. Functions that touch the disk block on it (disk threads only): all but _has, _read_now,
 * _chunks_copy, _left, _unsynced, _manifest, ref and unref of a stage that others hold. No lock is
 * held across I/O.
 *
 * Errors: -LSP_E_NO_SPACE leaves everything verified in place: make room and go on. A failed fsync
 * is final for this stage object (every later call fails in the same words): free it, and open it
 * again to go on from what is proven.
 */
#pragma once

#include "base/bitmap.h"
#include "base/error.h"
#include "wire/manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lsp_cancel;
struct lsp_stage;
struct lsp_stage_writer;
struct lsp_stage_fill;

#define LSP_STAGE_FOLDER ".lanspread/stage" /* below the game's folder */

/* ---- Open, resume ----------------------------------------------------------------------- */

/* The manifest of the download that lies in a game's folder; -LSP_E_NOT_FOUND if none does. */
LSP_MUST_CHECK int lsp_stage_find(
	int game_dir_fd, const struct lsp_manifest **ret_manifest, struct lsp_error *err);

/*
 * Opens the download of this content, or begins it; game_dir_fd is duplicated. What another content
 * left in the stage is removed. Chunks that were verified before count at
 * once; what a power cut or a damaged map made doubtful counts after lsp_stage_prepare.
 */
LSP_MUST_CHECK int lsp_stage_open(int game_dir_fd, const struct lsp_manifest *manifest,
	struct lsp_stage **ret_stage, struct lsp_error *err);

/*
 * Makes folders, pre-sizes files, and hashes what is doubtful. Call it once after open, before any
 * writer. Long after a power cut: progress gives bytes checked (may be NULL).
 */
typedef void (*lsp_stage_progress)(void *argument, uint64_t done, uint64_t total);
LSP_MUST_CHECK int lsp_stage_prepare(struct lsp_stage *stage, struct lsp_cancel *token,
	lsp_stage_progress progress, void *argument, struct lsp_error *err);

struct lsp_stage *lsp_stage_ref(struct lsp_stage *stage);
void lsp_stage_unref(struct lsp_stage *stage);
LSP_DEFINE_CLEANUP(struct lsp_stage *, lsp_stage_unref);
#define _cleanup_stage_ _cleanup_(lsp_stage_unref_pointer)

const struct lsp_manifest *lsp_stage_manifest(const struct lsp_stage *stage);
bool lsp_stage_has(struct lsp_stage *stage, uint32_t chunk);
/* All of them, into an initialised map of chunk_count bits. */
void lsp_stage_chunks_copy(struct lsp_stage *stage, struct lsp_bitmap *map);
/* Bytes and chunks that are still missing. */
void lsp_stage_left(struct lsp_stage *stage, uint64_t *ret_bytes, uint32_t *ret_chunks);
/*
 * Bytes that the disk still needs for this download. What is allocated already is not counted, nor
 * are files that `old` has as they shall be, in their place: what the folder holds, or NULL.
 */
uint64_t lsp_stage_space_needed(struct lsp_stage *stage, const struct lsp_manifest *old);

/* ---- Write ------------------------------------------------------------------------------ */

/*
 * Begins a chunk. -LSP_E_EXISTS: it is verified already. -LSP_E_BUSY: two writers, or a fill, have
 * it. -LSP_E_INVALID: no such chunk.
 */
LSP_MUST_CHECK int lsp_stage_writer_new(struct lsp_stage *stage, uint32_t chunk,
	struct lsp_stage_writer **ret_writer, struct lsp_error *err);
/*
 * The next bytes, in order. -LSP_E_PROTOCOL: more than the chunk has. -LSP_E_EXISTS: another writer
 * has finished the chunk, drop this one.
 */
LSP_MUST_CHECK int lsp_stage_writer_write(
	struct lsp_stage_writer *writer, const void *data, size_t size, struct lsp_error *err);
/*
 * 0: the chunk is verified and counts. -LSP_E_CORRUPT: the bytes are not it (blame who sent them).
 * -LSP_E_PROTOCOL: bytes are missing. -LSP_E_EXISTS as above.
 */
LSP_MUST_CHECK int lsp_stage_writer_finish(struct lsp_stage_writer *writer, struct lsp_error *err);
/* Finished or not; what was not finished never counted. */
void lsp_stage_writer_free(struct lsp_stage_writer *writer);
LSP_DEFINE_CLEANUP(struct lsp_stage_writer *, lsp_stage_writer_free);

/*
 * A chunk that somebody else wrote into the staged file (the torrent engine does): reads and hashes
 * it there. 0: it counts. -LSP_E_CORRUPT: the bytes are not it, or not yet. Other errors as of
 * lsp_stage_writer_new, and of reading.
 */
LSP_MUST_CHECK int lsp_stage_take_written(
	struct lsp_stage *stage, uint32_t chunk, struct lsp_error *err);
/*
 * The same of every chunk that is missing and whose place in its file is no hole: what was written
 * by a process that was killed before it could say so. Long where much of it is wrong.
 */
LSP_MUST_CHECK int lsp_stage_take_all_written(
	struct lsp_stage *stage, struct lsp_cancel *token, struct lsp_error *err);
/* Files that are kept where they are, of an update: bits of file_count, into an initialised map. */
void lsp_stage_kept_copy(struct lsp_stage *stage, struct lsp_bitmap *map);
/* Chunks that lie in the stage's own files (those of kept files do not), into an initialised map.
 */
void lsp_stage_staged_copy(struct lsp_stage *stage, struct lsp_bitmap *map);

/* ---- Reuse ---- */

/*
 * Takes what fits from a local folder whose content is `other` (an older version, a copy under
 * another name): whole files by root, pieces by their hashes. Every chunk is hashed here and now,
 * whatever `other` says: a disk may have changed it since. in_place says that dir_fd is the game's
 * own folder: a file there with the same path and root is then kept where it is, not copied. The
 * folder is remembered for fills.
 */
LSP_MUST_CHECK int lsp_stage_reuse(struct lsp_stage *stage, int dir_fd,
	const struct lsp_manifest *other, bool in_place, struct lsp_cancel *token,
	lsp_stage_progress progress, void *argument, struct lsp_error *err);

/* Would a fill of this chunk find anything? (Its file has a namesake in a remembered folder.) */
bool lsp_stage_may_fill(struct lsp_stage *stage, uint32_t chunk);

/*
 * Fills a chunk from its leaves' hashes, which a peer gave (GetHashes): -LSP_E_CORRUPT when they
 * are not those of the chunk. Leaves that a remembered folder has are copied at once. Other errors
 * as of lsp_stage_writer_new. If nothing is missing, finish right away.
 */
LSP_MUST_CHECK int lsp_stage_fill_new(struct lsp_stage *stage, uint32_t chunk,
	const struct lsp_hash *leaves, size_t leaf_count, struct lsp_stage_fill **ret_fill,
	struct lsp_error *err);
/* Set bits: leaves that are here. Owned by the fill. */
const struct lsp_bitmap *lsp_stage_fill_leaves(const struct lsp_stage_fill *fill);
/* One whole leaf. -LSP_E_CORRUPT: not it. */
LSP_MUST_CHECK int lsp_stage_fill_write(struct lsp_stage_fill *fill, uint32_t leaf,
	const void *data, size_t size, struct lsp_error *err);
/* 0: the chunk counts. -LSP_E_PROTOCOL: leaves are missing. */
LSP_MUST_CHECK int lsp_stage_fill_finish(struct lsp_stage_fill *fill, struct lsp_error *err);
void lsp_stage_fill_free(struct lsp_stage_fill *fill);
LSP_DEFINE_CLEANUP(struct lsp_stage_fill *, lsp_stage_fill_free);

/* ---- Read, sync, end ---- */

/* Bytes of a verified chunk, to serve while the download goes on. -LSP_E_NOT_FOUND: not verified.
 */
LSP_MUST_CHECK int lsp_stage_read(struct lsp_stage *stage, uint32_t chunk, uint64_t offset,
	void *data, size_t size, struct lsp_error *err);

/* The same without waiting for the disk: -LSP_E_BUSY when that would be needed. For a loop. */
LSP_MUST_CHECK int lsp_stage_read_now(struct lsp_stage *stage, uint32_t chunk, uint64_t offset,
	void *data, size_t size, struct lsp_error *err);

/* Bytes written since the last sync. Sync when it passes some 256 MiB, each 10 s, and at the end.
 */
uint64_t lsp_stage_unsynced(struct lsp_stage *stage);
LSP_MUST_CHECK int lsp_stage_sync(struct lsp_stage *stage, struct lsp_error *err);

/*
 * The end, in one call. -LSP_E_INVALID while chunks are missing. `old` is the content that the
 * folder held (files of it that the new one does not have are removed), or NULL. Somebody's own
 * file in the way moves to `local.kept-<date>/`. Afterwards the stage folder is gone and the stage
 * object good for nothing but to read on (from where the files are now) and unref. A crash in the
 * midst is rolled forward by lsp_redo_recover at the next start. Readers of old files keep what
 * they have open. On failure the old state is there and the commit may be tried again, unless the
 * stage is broken (see above): then recovery will complete it.
 */
LSP_MUST_CHECK int lsp_stage_commit(
	struct lsp_stage *stage, const struct lsp_manifest *old, struct lsp_error *err);

/*
 * The same in parts, for an update that installs in the same transaction: settle (all is here and
 * fsynced), add_steps (appended to the caller's list, version.ini last), and once the caller has
 * committed its list, committed (removes the stage folder). Until then the files of the new content
 * are below `.lanspread/stage/files/`, but for kept ones, which are in their place.
 */
struct lsp_redo;
LSP_MUST_CHECK int lsp_stage_settle(struct lsp_stage *stage, struct lsp_error *err);
LSP_MUST_CHECK int lsp_stage_add_steps(struct lsp_stage *stage, const struct lsp_manifest *old,
	struct lsp_redo *redo, struct lsp_error *err);
void lsp_stage_committed(struct lsp_stage *stage);

/*
 * Removes the download that lies in a game's folder, or what a crash left of one that was committed
 * (lsp_stage_find: -LSP_E_NOT_FOUND). Nothing may have it open.
 */
LSP_MUST_CHECK int lsp_stage_remove(int game_dir_fd, struct lsp_error *err);
