/*
 * One daemon per folder.
 *
 * A lock is an advisory flock(2) on a file in the folder (the state folder's `lock`, the games
 * folder's `.lanspread/lock`), with the holder's process id and name in it for those who come
 * second. The kernel lets go of it when its holder dies, however that happens, so it is never
 * stale; the file itself stays.
 *
 * A folder that cannot be locked (read-only, or a network filesystem without locks) is a clear
 * error, not a daemon without a lock. Called while starting; blocks on the disk, never on the
 * holder. A lock belongs to whoever took it.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

struct lsp_folder_lock;

/*
 * folder: exists. file: relative to it; folders on the way are made. what: for messages, "state
 * folder". holder: what to write for others, one line, such as the daemon's name.
 * -LSP_E_BUSY: "the state folder … is in use by process 4711 (kitchen)".
 */
LSP_MUST_CHECK int lsp_folder_lock_take(const char *folder, const char *file, const char *what,
	const char *holder, struct lsp_folder_lock **ret_lock, struct lsp_error *err);
/* The same of a folder that is open; its name is for messages. */
LSP_MUST_CHECK int lsp_folder_lock_take_at(int dir_fd, const char *folder, const char *file,
	const char *what, const char *holder, struct lsp_folder_lock **ret_lock,
	struct lsp_error *err);
void lsp_folder_lock_release(struct lsp_folder_lock *lock);
LSP_DEFINE_CLEANUP(struct lsp_folder_lock *, lsp_folder_lock_release);
#define _cleanup_folder_lock_ _cleanup_(lsp_folder_lock_release_pointer)
