/*
 * The inside of moves: what moves.c, moves_live.c, moves_stored.c and removals.c share.
 *
 * A move belongs to its torrent (torrent->move) as long as the session has that, else to the list
 * of the stored ones (engine->moves). A task that is at its files borrows it: whoever owns it frees
 * it only when move->job is NULL. Until then what the task reads (the places, `known`, `deletes`,
 * `goes_on`, `stage`) does not change, and what it found is its own; the rest is the worker's.
 */
#pragma once

#include "torrent/engine_private.h"
#include "torrent/files.h"

enum lsp_move_stage {
	LSP_MOVE_PAUSES,  /* the library lets go of the files */
	LSP_MOVE_LOOKS,   /* a task: can it be? */
	LSP_MOVE_WORKS,   /* a task: the files go */
	LSP_MOVE_IS_TOLD, /* the library is, where they are */
	LSP_MOVE_LEAVES,  /* the torrent leaves the session, and is restored from its record */
};

struct lsp_move {
	struct lsp_move *prev, *next; /* of the stored ones */
	char id[LSP_TORRENT_ID_MAX + 1];
	uint64_t number;  /* that calls wait for: its torrent's, or one of its own */
	char *from, *to;  /* `to` NULL: all of it is in one place, and is deleted */
	char *from_mount; /* of their disks; NULL: not known */
	char *to_mount;
	char *folder, *game; /* its name in them, and whose game it is; may be NULL */
	struct lsp_files files;
	struct lsp_files_known *known; /* one for each */
	uint64_t expected;             /* so many are at one of the places at least */
	bool back;                     /* `to` is where they came from */
	bool deletes;                  /* what is in `to`, then what is in `from` */
	bool forgets;                  /* the torrent is forgotten once it is over */
	bool has_content;              /* some of it has come: there is a file of it */
	bool goes_on;                  /* with what was begun: nothing is taken back */
	enum lsp_move_stage stage;
	bool has_left;               /* LEAVES: the library was told so */
	unsigned unanswered;         /* looks at which the library had done it and not said so */
	struct lsp_torrent_job *job; /* NULL: none runs */
	_Atomic bool undo;           /* what is cancelled is taken back; the job asks */

	/* What a task found. */
	size_t found, others;
	struct lsp_files_moved moved;

	/* Of a stored one. */
	bool is_removed;       /* meanwhile: */
	bool removes_data;     /* with its files */
	lsp_time due;          /* when it is tried again, without a job */
	uint64_t wait;         /* the time before that */
	struct lsp_error why;  /* it could not be finished; code 0: it was not tried yet */
	struct lsp_error left; /* why not all of it is deleted; the task's */
};

/* moves.c */
LSP_MUST_CHECK int lsp_move_new(struct lsp_torrent_engine *engine, struct lsp_shim_source *source,
	const struct lsp_record *record, const char *to, struct lsp_move **ret_move,
	struct lsp_error *err);
/* The same of one that the session has. */
LSP_MUST_CHECK int lsp_move_of(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const char *to, struct lsp_move **ret_move, struct lsp_error *err);
void lsp_move_free(struct lsp_move *move);
/* Has a task do what the stage says. */
LSP_MUST_CHECK int lsp_move_start(struct lsp_torrent_engine *engine, struct lsp_move *move,
	enum lsp_move_stage stage, struct lsp_error *err);
/* The places are exchanged: it goes back. */
void lsp_move_turn(struct lsp_move *move);
/* Writes into the record that it is under way; or (is_over) that the files are in `to`. */
LSP_MUST_CHECK int lsp_move_note(struct lsp_record *record, const struct lsp_move *move,
	bool is_over, struct lsp_error *err);
/* As it was before. */
LSP_MUST_CHECK int lsp_move_note_undone(
	struct lsp_record *record, const struct lsp_move *move, struct lsp_error *err);
/* What is still at the old place, if anything is: an event, and a word to whoever moved it. */
void lsp_move_tell_left(struct lsp_torrent_engine *engine, const struct lsp_move *move);

/* moves_live.c */
/* The task of a torrent's move has ended. Takes the move. */
void lsp_move_step(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_move *move, int result, struct lsp_error *err);

/* moves_stored.c: the session does not have its torrent (any more). */
void lsp_move_store(struct lsp_torrent_engine *engine, struct lsp_move *move);
void lsp_move_stored_step(struct lsp_torrent_engine *engine, struct lsp_move *move, int result,
	struct lsp_error *err);

/* removals.c */
/* The task has looked at what is to be deleted. Takes the move. */
void lsp_removal_step(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_move *move, int result, struct lsp_error *err);
/* What was begun to be removed, and has no move any more, stays: so its record says again. */
void lsp_removal_fails(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, int result,
	const struct lsp_error *error);
