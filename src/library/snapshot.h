/*
 * Games and snapshots as objects that are counted: what library.h publishes, from the inside.
 * Making one is the library's thread; counting is everybody's.
 */
#pragma once

#include "library/library.h"

/* Counted by the games that show it and by the job that moves it. */
struct lsp_library_progress_box {
	struct lsp_library_progress public;
	_Atomic unsigned references;
};

struct lsp_library_progress_box *lsp_library_progress_new(void);
struct lsp_library_progress_box *lsp_library_progress_ref(struct lsp_library_progress_box *box);
void lsp_library_progress_unref(struct lsp_library_progress_box *box);

/* A copy of the values, with a reference of its own to the progress (may be NULL). */
LSP_MUST_CHECK int lsp_library_game_new(const struct lsp_library_game *values,
	struct lsp_library_progress_box *progress, const struct lsp_library_game **ret_game,
	struct lsp_error *err);
const struct lsp_library_game *lsp_library_game_ref(const struct lsp_library_game *game);
void lsp_library_game_unref(const struct lsp_library_game *game);
/* Would these values look different to anybody? */
bool lsp_library_game_differs(const struct lsp_library_game *game,
	const struct lsp_library_game *values, const struct lsp_library_progress_box *progress);

/* games: sorted by id; a reference of each is taken. */
LSP_MUST_CHECK int lsp_library_snapshot_new(uint64_t generation, const char *games_dir,
	const struct lsp_games_dir_place *place, const char *problem,
	const struct lsp_library_game *const *games, size_t count,
	const struct lsp_library_snapshot **ret_snapshot, struct lsp_error *err);
