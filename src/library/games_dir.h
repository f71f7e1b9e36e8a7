/*
 * The games folder: may it be used, is it ours, which one is it.
 *
 * A games folder is any folder that we may write to. Below it, `.lanspread/` holds two small files:
 * `lock`, which one daemon holds while it uses the folder, and `id`, a random name by which the
 * library index knows the folder again when its disk is mounted elsewhere.
 *
 * Checking and opening block on the disk; from every thread.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "store/library_index.h"

#include <stdbool.h>
#include <stdint.h>

struct lsp_games_dir_check {
	char *path;    /* absolute, "~/" expanded, no trailing slash; owned */
	bool exists;   /* if not, it can be made */
	uint64_t free; /* bytes that may still be written there */
};

/*
 * Whether a folder will do, without changing anything: absolute or from "~/" on; a folder that can
 * be written to, or a name below one; not "/", not the state folder, nothing in it and nothing
 * around it. -LSP_E_INVALID or -LSP_E_DENIED say what is wrong.
 */
LSP_MUST_CHECK int lsp_games_dir_check(const char *path, const char *state_folder,
	struct lsp_games_dir_check *ret_check, struct lsp_error *err);
/* What of it no disk that comes back can change: -LSP_E_INVALID. */
LSP_MUST_CHECK int lsp_games_dir_check_name(
	const char *path, const char *state_folder, struct lsp_error *err);
void lsp_games_dir_check_done(struct lsp_games_dir_check *check);
#define _cleanup_games_dir_check_ _cleanup_(lsp_games_dir_check_done)

/*
 * A folder's name as a person or the settings give it, absolute, with "~/" for $HOME, becomes a
 * path that opens: no "~", no slash at the end. -LSP_E_INVALID: it is neither. The caller frees it.
 */
LSP_MUST_CHECK int lsp_games_dir_expand(const char *path, char **ret_path, struct lsp_error *err);

struct lsp_folder_lock;

/* Which folder a path led to, so that it is known again. */
struct lsp_games_dir_place {
	bool known; /* false: none was opened yet */
	uint64_t device, inode;
	char id[LSP_FOLDER_ID_SIZE];
};

struct lsp_games_dir {
	char *path; /* owned */
	struct lsp_games_dir_place place;
	struct lsp_folder_lock *lock;
};

/*
 * Locks it, and gives it an id if it has none. One that is not there is made, unless `before` (may
 * be NULL) knows a folder: what is opened then is what lsp_games_dir_find finds. Without an id it
 * is a new one even so: nobody had it open, and the system may have given its numbers to another
 * disk. -LSP_E_BUSY names who has it. An id that is there and cannot be read now is an error, and
 * stays; one that is damaged is replaced, and said.
 */
LSP_MUST_CHECK int lsp_games_dir_open(const char *path, const char *holder,
	const struct lsp_games_dir_place *before, struct lsp_games_dir **ret_dir,
	struct lsp_error *err);
/*
 * dir_fd is that folder, and somebody has removed its `.lanspread`: it gets its id back, and its
 * lock. -LSP_E_BUSY as above. Where it fails the lock may be gone (dir->lock is NULL): then this is
 * to be tried again, also when the id is there.
 */
LSP_MUST_CHECK int lsp_games_dir_renew(
	struct lsp_games_dir *dir, int dir_fd, const char *holder, struct lsp_error *err);
void lsp_games_dir_close(struct lsp_games_dir *dir);

enum lsp_games_dir_found {
	LSP_GAMES_DIR_SAME,
	LSP_GAMES_DIR_WITHOUT_ID, /* the same, but its id is not there, or is damaged */
	LSP_GAMES_DIR_OTHER,      /* another one, that holds something */
};
/*
 * Which folder does this path lead to now? An id that is there says it, wherever the disk is
 * mounted; without one it is the same if it is the same directory of the same device. Makes and
 * changes nothing. ret_fd: the folder, opened; may be NULL. -LSP_E_NOT_FOUND says that it has gone,
 * and what to do: there is nothing, or the empty folder that an unmounted disk leaves behind.
 * Other errors: it cannot be told now.
 */
LSP_MUST_CHECK int lsp_games_dir_find(const char *path, const struct lsp_games_dir_place *place,
	enum lsp_games_dir_found *ret_found, int *ret_fd, struct lsp_error *err);
LSP_DEFINE_CLEANUP(struct lsp_games_dir *, lsp_games_dir_close);
#define _cleanup_games_dir_ _cleanup_(lsp_games_dir_close_pointer)
