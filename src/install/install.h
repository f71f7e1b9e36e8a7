/*
 * Install, update, uninstall, remove: what turns a downloaded game into one that can be played, and
 * back.
 *
 * Each is one transaction. Everything new is prepared in `<game>/.lanspread/install/` and synced;
 * then one redo list (content/redo.h) of a few renames decides. After a crash at any instruction,
 * or a power cut on ext4, xfs or btrfs, lsp_install_recover finds the old state or completes the
 * new one. docs/install.md has the steps and the layout.
 *
 *   install    archives (or a copy of plain files) become `local/`
 *   update     the same beside the old `local/`, which it replaces; in the same list, what the
 *              caller adds: the new archives and version.ini of a download that is complete
 *   uninstall  `local/` goes
 *   remove     the download goes (version.ini, archives, files); `local/` stays
 *
 * The user's own files in `local/`, added or changed since the install record was written, survive
 * update and uninstall: an update moves them into the new `local/`, or, where the new version has a
 * file of that name and other content, to `local.kept-<date>/`; an uninstall moves all of them
 * there. A `local/` without a readable record counts as the user's as a whole.
 *
 * On failure the old state is there, and the message says what to do. Only when the disk refuses
 * even to undo (it went read-only in the midst of the renames) is the rest left to the next
 * recovery; result->pending says so. What could not be deleted afterwards is deleted at the next
 * recovery and is no failure.
 *
 * The functions block for as long as unpacking takes, in the calling task's thread. They return
 * -LSP_E_CANCELLED soon after their token is cancelled, until the renames begin. One operation per
 * game at a time: the caller holds the game's guard (task/operation.h). Progress is called in the
 * calling thread, up to 20 times a second and more for small files; throttling is the caller's.
 */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "content/redo.h"
#include "install/archive.h"
#include "task/cancel.h"
#include "wire/version.h"

#include <stdbool.h>
#include <stdint.h>

#define LSP_INSTALL_LOCAL "local"
#define LSP_INSTALL_STAGING ".lanspread/install"

/* phase: "checking", "unpacking", "copying", "syncing", "finishing"; bytes. Static text. */
typedef void (*lsp_install_progress)(
	void *argument, const char *phase, uint64_t done, uint64_t total);

struct lsp_install_options {
	const struct lsp_unpacker *unpacker;
	const struct lsp_unpack_limits *limits; /* NULL: the default */
	struct lsp_cancel *token;               /* NULL: never cancelled */
	lsp_install_progress progress;          /* NULL: none */
	void *argument;
	const struct lsp_clock *clock; /* whose wall time dates kept folders; NULL: system's */
};

struct lsp_install_result {
	char kept[48]; /* "local.kept-2026-01-31", relative to the game; "" if nothing was kept */
	uint64_t kept_files;  /* in there now because of this operation */
	uint64_t moved_files; /* of the user's, moved into the new local/ */
	uint64_t skipped;     /* entries of archives left out (devices) */
	bool pending;         /* see above */
};

/*
 * From the files in the game's folder. -LSP_E_EXISTS when `local/` is there. result is always set.
 */
LSP_MUST_CHECK int lsp_install(int game_fd, const struct lsp_install_options *options,
	struct lsp_install_result *ret_result, struct lsp_error *err);

/* What an update installs from, when a new download lies in the stage, whole and synced. */
struct lsp_install_update {
	const char *overlay;      /* where new files are, e.g. ".lanspread/stage/files" */
	const char *const *paths; /* of all files of the new content */
	size_t path_count;
	/*
	 * Appends the steps that move the download into place, version.ini last. They come behind
	 * those of `local/`.
	 */
	int (*add_steps)(void *argument, struct lsp_redo *redo, struct lsp_error *err);
	void *argument;
};

/*
 * Installs beside `local/` (if any) and replaces it. update NULL: from the files in the game's
 * folder, as they are.
 */
LSP_MUST_CHECK int lsp_install_update(int game_fd, const struct lsp_install_update *update,
	const struct lsp_install_options *options, struct lsp_install_result *ret_result,
	struct lsp_error *err);

/* -LSP_E_NOT_FOUND when it is not installed. purge: the user's files and `local.kept-*` go too. */
LSP_MUST_CHECK int lsp_uninstall(int game_fd, bool purge, const struct lsp_install_options *options,
	struct lsp_install_result *ret_result, struct lsp_error *err);

/*
 * Deletes the download, a complete one and one in the stage (nobody may have it open). paths (with
 * path_count): only these files, those of the manifest, so that what the user put beside them
 * stays; NULL: everything that is not ours. *ret_empty: nothing is left, and the caller may remove
 * the folder.
 */
LSP_MUST_CHECK int lsp_remove_download(int game_fd, const char *const *paths, size_t path_count,
	const struct lsp_install_options *options, bool *ret_empty, struct lsp_error *err);

/* ---- State ---- */

struct lsp_install_state {
	bool installed;                         /* there is a `local/` */
	bool recorded;                          /* and a record of what was put into it */
	bool pending;                           /* an interrupted transaction waits for recovery */
	char version[LSP_VERSION_TEXT_MAX + 1]; /* of `local/`; "" if unknown */
};

/* Cheap: a few stats and, if recorded, one read. */
void lsp_install_look(int game_fd, struct lsp_install_state *ret_state);

/*
 * Compares `local/` with its record: -LSP_E_CORRUPT names the first file of the game's that is
 * missing, and how many are; files that were changed count as the user's. For filesystems on which
 * a power cut can tear what was renamed (exFAT, NTFS through FUSE). 0 without a record.
 */
LSP_MUST_CHECK int lsp_install_check(int game_fd, struct lsp_cancel *token, struct lsp_error *err);

/* ---- Recovery ---- */

/*
 * Completes or drops what was interrupted in one game's folder, and deletes what is left over. A
 * download in the stage is kept. -LSP_E_CORRUPT as of lsp_redo_recover. Idempotent; every operation
 * above begins with it.
 */
LSP_MUST_CHECK int lsp_install_recover(int game_fd, const struct lsp_install_options *options,
	struct lsp_install_result *ret_result, struct lsp_error *err);

struct lsp_recovery {
	/* Has this game an active operation? Then it is passed over. NULL: none has. */
	bool (*is_active)(void *argument, const char *game);
	/* Told of each game that something was done for (code 0) or could not be (its error). */
	void (*report)(void *argument, const char *game, const struct lsp_error *error,
		const struct lsp_install_result *result);
	void *argument;
	struct lsp_cancel *token;
	const struct lsp_clock *clock;
};

/*
 * Every game in the games folder. First all interrupted transactions are completed (renames alone:
 * well under a second), so that every state is true; then leftovers are deleted, which may take
 * longer. A game that cannot be recovered is reported and does not stop the others.
 */
LSP_MUST_CHECK int lsp_install_recover_all(
	int games_fd, const struct lsp_recovery *recovery, struct lsp_error *err);
