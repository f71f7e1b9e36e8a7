/*
 * The redo list: how several renames in a game's folder become one.
 *
 * Whoever changes what a game folder means (a download that is complete, an install, an update, an
 * uninstall) first prepares everything under `<game>/.lanspread/`, synced, where nobody looks. Then
 * it lists the renames that remain, in a lsp_redo, and commits the list:
 *
 *   1. the list is written to `.lanspread/intent`: a temporary file, fsync, rename, fsync of the
 *      folder. From here on the new state is decided. A torn or altered intent does not have its
 *      checksum and counts as not there; nothing was moved then.
 *   2. the steps are executed in order. Where the kind of step changes, and at a barrier, every
 *      folder that was touched is synced first, so that no disk can do the later before the
 * earlier.
 *   3. the folders are synced and the intent is removed, synced too.
 *
 * After a crash anywhere, lsp_redo_recover executes the list again. Each step knows whether it has
 * been done: "aside" is done when its target is there, "place" when its source is gone. That holds
 * because nothing that was set aside is removed before the intent is gone: lsp_redo_clean does
 * that.
 *
 * An error in the middle of a commit (no space for a directory block, no permission) undoes the
 * steps that were done, and removes the intent: the old state. Where even that fails (the disk went
 * read-only) the intent stays, *ret_pending is true, and the next recovery completes the list: what
 * the steps name under `.lanspread/` must then be left alone.
 *
 * All paths are relative to the game's folder, with '/' between names, and may hold any byte but
 * NUL. A lsp_redo belongs to one thread; one commit or recovery per game at a time (the caller
 * holds the game's guard). Everything blocks on the disk; nothing can be cancelled once committing,
 * and nothing in here depends on the size of the files.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define LSP_REDO_PRIVATE ".lanspread"
#define LSP_REDO_INTENT LSP_REDO_PRIVATE "/intent"
#define LSP_REDO_OLD LSP_REDO_PRIVATE "/old"

/* An intent larger than this is not read back; a commit of one is refused (TOO_LARGE). */
#define LSP_REDO_INTENT_MAX (256u << 20)

struct lsp_redo;

/* `purpose` ("download", "install") is for messages; copied. */
LSP_MUST_CHECK int lsp_redo_new(
	const char *purpose, struct lsp_redo **ret_redo, struct lsp_error *err);
void lsp_redo_free(struct lsp_redo *redo);
LSP_DEFINE_CLEANUP(struct lsp_redo *, lsp_redo_free);

/* ---- Steps. Each appends one ---- */

/* `path`, which must be there, moves to `.lanspread/old/<path>`. */
LSP_MUST_CHECK int lsp_redo_aside(struct lsp_redo *redo, const char *path, struct lsp_error *err);
/* The same to a place of the caller's own, which must be free and which lsp_redo_clean leaves. */
LSP_MUST_CHECK int lsp_redo_aside_to(
	struct lsp_redo *redo, const char *path, const char *to, struct lsp_error *err);
/* `from`, prepared, becomes `to`, which must be free by then; its parent must be there by then. */
LSP_MUST_CHECK int lsp_redo_place(
	struct lsp_redo *redo, const char *from, const char *to, struct lsp_error *err);
/* mkdir; parents first. One that is there is fine. */
LSP_MUST_CHECK int lsp_redo_make_folder(
	struct lsp_redo *redo, const char *path, struct lsp_error *err);
/* rmdir of a folder that is empty by then; one that is not, or not there, is left. */
LSP_MUST_CHECK int lsp_redo_drop_folder(
	struct lsp_redo *redo, const char *path, struct lsp_error *err);
/* Everything before it is on the disk before anything after it starts. Put it before version.ini.
 */
LSP_MUST_CHECK int lsp_redo_barrier(struct lsp_redo *redo, struct lsp_error *err);

/* All steps of another list, which stays as it is. */
LSP_MUST_CHECK int lsp_redo_append(
	struct lsp_redo *redo, const struct lsp_redo *more, struct lsp_error *err);

size_t lsp_redo_count(const struct lsp_redo *redo);

/* ---- Commit and recovery ---- */

/*
 * Commits. First makes `.lanspread/` if needed and empties `.lanspread/old`. -LSP_E_BUSY when an
 * older intent is still there: recover first. On success everything is on the disk, and what was
 * set aside waits for lsp_redo_clean. ret_pending (may be NULL) is set on success and on failure.
 */
LSP_MUST_CHECK int lsp_redo_commit(
	struct lsp_redo *redo, int game_fd, bool *ret_pending, struct lsp_error *err);

/* True if the folder has an intent, torn or not, or if that cannot be told now. */
bool lsp_redo_pending(int game_fd);

/*
 * Completes what a crash interrupted. *ret_forward (may be NULL): a list was completed. No intent:
 * success. A torn one is removed. -LSP_E_CORRUPT, naming the path, if something that the list
 * places is neither at its source nor at its target: the intent stays, and the caller shows the
 * problem. Does not clean.
 */
LSP_MUST_CHECK int lsp_redo_recover(int game_fd, bool *ret_forward, struct lsp_error *err);

/* Removes `.lanspread/old` and what a torn write left, once no intent is there (else -LSP_E_BUSY).
 */
LSP_MUST_CHECK int lsp_redo_clean(int game_fd, struct lsp_error *err);

/*
 * fsync of a folder below, for which an answer "this filesystem has no such thing" (EINVAL,
 * ENOTSUP: some FUSE drivers) and a folder that is gone are fine.
 */
LSP_MUST_CHECK int lsp_redo_sync_folder(int game_fd, const char *path, struct lsp_error *err);
