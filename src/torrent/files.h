/*
 * A torrent's files on the disk: to be moved to another folder, or deleted, without the library.
 *
 * A move outlasts a kill at any moment, and is done again until it is whole. What makes that safe:
 * no file ever stands half at its place (a copy is made under a name of its own, synced and then
 * renamed, which holds for a power cut too), none
 * is ever put in place of another (RENAME_NOREPLACE), and one is only deleted where the same bytes
 * stand at the other place: one that somebody wrote to after it was copied stays. So after a kill
 * every file is whole at one of the two places or at both, and the same move again finishes what
 * the first began, or (with the places exchanged) takes it back.
 *
 * Paths are below the folder; no part of one may be a symbolic link. Functions block on the disk.
 * From any thread.
 */
#pragma once

#include "base/error.h"
#include "task/cancel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lsp_files {
	char **paths;
	size_t count, room;
	char mark[17]; /* of the torrent: in the name of what is being copied */
};

/* Copies the path. */
LSP_MUST_CHECK int lsp_files_append(
	struct lsp_files *files, const char *path, struct lsp_error *err);
void lsp_files_done(struct lsp_files *files);

/* How many of them are in the folder, which may be missing itself. */
LSP_MUST_CHECK int lsp_files_count(const struct lsp_files *files, const char *folder,
	size_t *ret_count, struct lsp_error *err);
/* How many of them are in one folder or the other (NULL: there is no other). */
LSP_MUST_CHECK int lsp_files_count_either(const struct lsp_files *files, const char *one,
	const char *other, size_t *ret_count, struct lsp_error *err);
/* -LSP_E_EXISTS, and which: one of them is in that folder, which is not `from`. */
LSP_MUST_CHECK int lsp_files_check_free(
	const struct lsp_files *files, const char *from, const char *folder, struct lsp_error *err);

/* What was compared at the two places, to be known as long as neither file changes; of zeros: none.
 */
struct lsp_files_known {
	uint64_t files[2][5];
	bool alike, is_known;
};

struct lsp_files_move {
	const struct lsp_files *files;
	const char *from, *to; /* absolute */
	bool to_is_there;      /* it was; else it is made where it is missing */
	struct lsp_files_known
		*known; /* one for each file, for the next try; NULL: nothing is kept */
	/*
	 * What this call has done is taken back when it fails; and, if *undo_cancelled says so by
	 * then (NULL: no), when it is cancelled. Else it stays, for the next to go on with.
	 */
	bool undo;
	const _Atomic bool *undo_cancelled;
};

struct lsp_files_moved {
	bool is_split;         /* after a failure: what is at the new place is not at the old one */
	struct lsp_error left; /* code 0, or why a file is still at the other place too: the old
				  one, after a failure the new one */
};

/*
 * Moves those that are there; none is fine. -LSP_E_EXISTS: another file has the name of one.
 * ret_moved is filled in either way.
 */
LSP_MUST_CHECK int lsp_files_move(const struct lsp_files_move *move, struct lsp_cancel *token,
	struct lsp_files_moved *ret_moved, struct lsp_error *err);

/*
 * Deletes in `to` what a move (of which from, to and known count) brought there: what is not in
 * `from`, or is the same there. What else has the name of one stays, and is counted. All that can
 * be deleted is; the error is the first.
 */
LSP_MUST_CHECK int lsp_files_delete_moved(const struct lsp_files_move *move,
	struct lsp_cancel *token, size_t *ret_others, struct lsp_error *err);
/* Deletes those that are there, and the folders of theirs that are empty then. All that can be
 * deleted is; the error is the first. */
LSP_MUST_CHECK int lsp_files_delete(
	const struct lsp_files *files, const char *folder, struct lsp_error *err);
