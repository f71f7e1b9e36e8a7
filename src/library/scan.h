/*
 * The quick look at one game's folder: names, sizes, times and version.ini, no hashing.
 *
 * What is found is summed up in a fingerprint, so that nothing need be kept of the single files:
 * two looks with the same fingerprint saw the same files (names, sizes, times of modification,
 * modes). The sums do not depend on the order in which a directory gives its entries. `changes`
 * sums the inodes' times of change apart, where the filesystem has ones that mean something: with
 * equal files and other changes somebody may have restored a time of modification, or has just run
 * chmod.
 *
 * The quickest look takes no more than the folders: if they are those of the last time, by their
 * times, no name in them came or went, and the files are assumed to be the same. A file that was
 * written in place meanwhile is missed by it, so it only serves to have a start quick; a proper
 * look comes soon after.
 *
 * A folder is walked below its own descriptor and symlinks in it are not followed; the game's
 * folder itself may be one. Two descriptors are open at a time, however deep it goes. Blocks on the
 * disk; from every thread; returns soon after its token is cancelled.
 */
#pragma once

#include "base/error.h"
#include "content/hasher.h"
#include "store/library_index.h"

#include <stdbool.h>
#include <stdint.h>

struct lsp_cancel;

#define LSP_PROBLEM_MAX 255 /* bytes of a line that says what is wrong with a folder */

struct lsp_scan {
	struct lsp_fingerprint fingerprint;
	uint64_t structure;       /* a sum over the folders and their times; never 0 */
	bool assumed;             /* the files were not looked at */
	int64_t newest_folder_ns; /* the latest of the folders' times */
	uint64_t size;            /* bytes of what would be shared */
	uint32_t file_count;
	int64_t newest_ns; /* the latest time of change or modification; wall clock */
	bool has_version;  /* there is a file version.ini: it was downloaded or copied whole */
	bool has_local;    /* there is a folder local: it is installed */
	bool has_archive;  /* there is an archive to unpack */
	/* What version.ini says, "" when it is wrong; without one, what is installed. */
	char version[LSP_VERSION_TEXT_MAX + 1];
	char problem[LSP_PROBLEM_MAX + 1]; /* what keeps it from being shared; "" for nothing */
	bool try_again; /* the problem may pass by itself (no descriptor was left) */
};

struct lsp_scan_hooks {
	/* Called for every folder before it is read, to watch it; path is relative, "." for the
	 * top. */
	void (*folder)(void *argument, int dir_fd, const char *path);
	void *argument;
	/* The version of what is installed, "" if that is not known; may be NULL. */
	void (*installed_version)(int game_fd, char ret_version[LSP_VERSION_TEXT_MAX + 1]);
};

/*
 * Looks at <games_dir>/<id>. -LSP_E_NOT_FOUND when there is no such folder, -LSP_E_CANCELLED; all
 * else is told in the result's problem. hooks may be NULL. known: what the last look found, if the
 * quickest look will do; NULL: a proper one. A quick look that finds another structure goes on to
 * be a proper one.
 */
LSP_MUST_CHECK int lsp_scan_game(const char *games_dir, const char *id,
	const struct lsp_scan_hooks *hooks, const struct lsp_index_game *known,
	struct lsp_cancel *token, struct lsp_scan *ret_scan, struct lsp_error *err);

/* The fingerprint of a listing, equal to a scan's of the same files. */
void lsp_scan_fingerprint(
	const struct lsp_listing *listing, bool use_changes, struct lsp_fingerprint *ret_print);

/* Does the filesystem of a directory have times of change that mean something? */
bool lsp_scan_has_changes(int dir_fd);

static inline bool lsp_fingerprint_same_files(
	const struct lsp_fingerprint *a, const struct lsp_fingerprint *b)
{
	return a->files[0] == b->files[0] && a->files[1] == b->files[1];
}

/* Same files and, where both know it, no inode touched. */
static inline bool lsp_fingerprint_equal(
	const struct lsp_fingerprint *a, const struct lsp_fingerprint *b)
{
	return lsp_fingerprint_same_files(a, b) &&
	       (a->changes == b->changes || !a->changes || !b->changes);
}
