/*
 * The active operations: which game is being downloaded, installed, updated, uninstalled or hashed.
 *
 * This table is the authority. Every snapshot of it that goes out (with each LocalGamesUpdated)
 * replaces what a client believed, so no spinner outlives its operation. A game has at most one
 * operation; it has a token of its own, below the parent that was given.
 *
 * An operation is tracked by a guard, struct lsp_operation, and is off the table when the guard is
 * ended, on whatever way: lsp_operation_end, the last lsp_operation_unref (_cleanup_operation_), or
 * the end of the task that it was attached to, be it by success, error, cancel, a killed child or a
 * thread that left early. Ending twice is fine: the first counts.
 *
 * Every function may be called from every thread and none blocks. `changed` is called after each
 * begin, end and change of `waiting`, without a lock, in the thread that made it; what it finds in
 * a snapshot is at least as new as the change that it was called for.
 */
#pragma once

#include "task/registry.h"

struct lsp_operations;
struct lsp_operation;

enum lsp_operation_kind {
	LSP_OPERATION_NONE,
	LSP_OPERATION_HASHING,
	LSP_OPERATION_DOWNLOADING,
	LSP_OPERATION_INSTALLING,
	LSP_OPERATION_UPDATING,
	LSP_OPERATION_UNINSTALLING,
	LSP_OPERATION_REMOVING,  /* the download is deleted */
	LSP_OPERATION_VERIFYING, /* hashed again */
	LSP_OPERATION_ADDING,    /* made of a folder or an archive of the user's */
	LSP_OPERATION_KIND_COUNT
};

/* "none", "hashing", "downloading", "installing", … "adding". */
const char *lsp_operation_kind_name(enum lsp_operation_kind kind);

#define LSP_OPERATION_GAME_MAX 128 /* bytes of a game id, with the NUL */

/* changed may be NULL. */
LSP_MUST_CHECK int lsp_operations_new(void (*changed)(void *argument), void *argument,
	struct lsp_operations **ret_operations, struct lsp_error *err);
/* Guards that are still held stay valid; the callback is not called any more. */
void lsp_operations_free(struct lsp_operations *operations);
LSP_DEFINE_CLEANUP(struct lsp_operations *, lsp_operations_free);
#define _cleanup_operations_ _cleanup_(lsp_operations_free_pointer)

/*
 * Puts the game on the table. -LSP_E_BUSY when it has an operation ("doom is being downloaded"),
 * -LSP_E_INVALID for an empty or over-long id. The caller gets one reference.
 */
LSP_MUST_CHECK int lsp_operation_begin(struct lsp_operations *operations, const char *game,
	enum lsp_operation_kind kind, struct lsp_cancel *parent,
	struct lsp_operation **ret_operation, struct lsp_error *err);

struct lsp_operation *lsp_operation_ref(struct lsp_operation *operation);
/* The last reference ends it. */
void lsp_operation_unref(struct lsp_operation *operation);
LSP_DEFINE_CLEANUP(struct lsp_operation *, lsp_operation_unref);
#define _cleanup_operation_ _cleanup_(lsp_operation_unref_pointer)

/* Off the table. True if this call did it. */
bool lsp_operation_end(struct lsp_operation *operation);

/*
 * Ends it when the task ends. Takes a reference of its own. -LSP_E_CLOSED (and the operation is
 * ended) if the task has ended already, -LSP_E_EXISTS if it was attached before.
 */
LSP_MUST_CHECK int lsp_operation_attach(
	struct lsp_operation *operation, struct lsp_task *task, struct lsp_error *err);

const char *lsp_operation_game(const struct lsp_operation *operation);
enum lsp_operation_kind lsp_operation_kind(const struct lsp_operation *operation);
/* As long as the caller holds the operation. */
struct lsp_cancel *lsp_operation_token(struct lsp_operation *operation);

/* A download that has nobody left to download from goes on by itself later, and blocks nothing. */
void lsp_operation_set_waiting(struct lsp_operation *operation, bool waiting);

/* The operation of a game, LSP_OPERATION_NONE if it has none. */
enum lsp_operation_kind lsp_operations_of(struct lsp_operations *operations, const char *game);

/* Cancels the operation of a game; false if it has none. It ends when its guard does. */
bool lsp_operations_cancel(struct lsp_operations *operations, const char *game,
	enum lsp_cancel_kind kind, const char *text);

/* How many block a change of the games folder: all but the waiting and the hashing ones. */
size_t lsp_operations_blocking(struct lsp_operations *operations);

struct lsp_operation_info {
	char game[LSP_OPERATION_GAME_MAX];
	enum lsp_operation_kind kind;
	bool waiting;
	bool cancelled; /* and on its way out */
};

/* The table, in the order of the beginnings, in an array that the caller frees. */
LSP_MUST_CHECK int lsp_operations_snapshot(struct lsp_operations *operations,
	struct lsp_operation_info **ret_infos, size_t *ret_count, struct lsp_error *err);
