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

struct lsp_games_dir {
	char *path; /* owned */
	char id[LSP_FOLDER_ID_SIZE];
	struct lsp_folder_lock *lock;
};

/* Makes it if it is not there, locks it, and gives it an id if it has none. -LSP_E_BUSY names who
 * has it. */
LSP_MUST_CHECK int lsp_games_dir_open(const char *path, const char *holder,
	struct lsp_games_dir **ret_dir, struct lsp_error *err);
void lsp_games_dir_close(struct lsp_games_dir *dir);

/*
 * Which folder a path led to: an empty one in its place is what an unmounted disk leaves behind,
 * unless it is the very same.
 */
struct lsp_games_dir_place {
	bool known;
	uint64_t device, inode;
};
void lsp_games_dir_get_place(
	const struct lsp_games_dir *dir, struct lsp_games_dir_place *ret_place);
/*
 * Is the folder that was there before, or another one that holds anything, at this path? Makes and
 * changes nothing. -LSP_E_NOT_FOUND says that it has gone, and what to do.
 */
LSP_MUST_CHECK int lsp_games_dir_check_place(
	const char *path, const struct lsp_games_dir_place *place, struct lsp_error *err);
LSP_DEFINE_CLEANUP(struct lsp_games_dir *, lsp_games_dir_close);
#define _cleanup_games_dir_ _cleanup_(lsp_games_dir_close_pointer)
