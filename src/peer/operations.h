/*
 * Operations on our own games: install, update, uninstall, remove, verify, add.
 *
 * Each is a task of its own that runs the blocking code of install/ under the game's guard, with
 * the guard's token; progress is posted to the core loop, at most ten times a second. The end comes
 * in one order: the task has ended and its result is posted, only that game is looked at again, the
 * guard goes, the list goes out, then the event that tells how it ended. So whoever sees the event
 * finds the new state.
 *
 * On the core loop. An accepted operation answers for itself in events.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct lsp_manifest;
struct lsp_operation;
struct lsp_peer;
struct lsp_stage;

/* Each: 0 when it began; -LSP_E_BUSY when the game has an operation; or why it cannot be. */
LSP_MUST_CHECK int lsp_operations_install(
	struct lsp_peer *peer, const char *game, struct lsp_error *err);
LSP_MUST_CHECK int lsp_operations_uninstall(
	struct lsp_peer *peer, const char *game, bool purge, struct lsp_error *err);
LSP_MUST_CHECK int lsp_operations_remove(
	struct lsp_peer *peer, const char *game, struct lsp_error *err);
LSP_MUST_CHECK int lsp_operations_verify(
	struct lsp_peer *peer, const char *game, struct lsp_error *err);

struct lsp_operations_add_options {
	const char *path; /* absolute: a folder or an archive */
	const char *game;
	const char *title; /* NULL: none */
	const char *version;
	bool pack;
};
LSP_MUST_CHECK int lsp_operations_add(struct lsp_peer *peer,
	const struct lsp_operations_add_options *options, struct lsp_error *err);

/*
 * The second half of an update: the stage holds the new content, whole; archives and `local/`
 * change in one transaction. Takes the guard of the download over, on success and on failure.
 * `staged`, with `argument`, is called when the stage is not used any more and what it held is
 * shared from the game's folder.
 */
LSP_MUST_CHECK int lsp_operations_update(struct lsp_peer *peer, struct lsp_operation *guard,
	struct lsp_stage *stage, const struct lsp_manifest *old,
	void (*staged)(void *argument, bool committed), void *argument, struct lsp_error *err);

/* In every folder of the games folder: what a crash interrupted is completed or undone. Blocks: for
 * the start, before the first scan. */
void lsp_operations_recover(struct lsp_peer *peer, const char *games_dir);
