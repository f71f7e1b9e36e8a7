#include "library/snapshot.h"

#include <stdlib.h>
#include <string.h>

struct game_box {
	struct lsp_library_game public;
	_Atomic unsigned references;
	struct lsp_library_progress_box *progress;
};

struct snapshot_box {
	struct lsp_library_snapshot public;
	_Atomic unsigned references;
	char *games_dir;
	char *problem;
	const struct lsp_library_game **games;
};

const char *lsp_availability_name(enum lsp_availability availability)
{
	switch (availability) {
	case LSP_AVAILABILITY_DOWNLOADED:
		return "downloaded";
	case LSP_AVAILABILITY_INSTALLED:
		return "installed";
	case LSP_AVAILABILITY_LOCAL_ONLY:
		return "local_only";
	case LSP_AVAILABILITY_NONE:
		break;
	}
	return "unavailable";
}

struct lsp_library_progress_box *lsp_library_progress_new(void)
{
	struct lsp_library_progress_box *box = calloc(1, sizeof *box);
	if (box)
		box->references = 1;
	return box;
}

struct lsp_library_progress_box *lsp_library_progress_ref(struct lsp_library_progress_box *box)
{
	if (box)
		box->references++;
	return box;
}

void lsp_library_progress_unref(struct lsp_library_progress_box *box)
{
	if (box && --box->references == 0)
		free(box);
}

static struct game_box *game_box(const struct lsp_library_game *game)
{
	return lsp_container_of(game, struct game_box, public);
}

int lsp_library_game_new(const struct lsp_library_game *values,
	struct lsp_library_progress_box *progress, const struct lsp_library_game **ret_game,
	struct lsp_error *err)
{
	struct game_box *box = calloc(1, sizeof *box);
	if (!box)
		return lsp_error_no_memory(err, "library");
	box->public = *values;
	box->references = 1;
	box->progress = lsp_library_progress_ref(progress);
	box->public.progress = progress ? &progress->public : NULL;
	*ret_game = &box->public;
	return 0;
}

const struct lsp_library_game *lsp_library_game_ref(const struct lsp_library_game *game)
{
	game_box(game)->references++;
	return game;
}

void lsp_library_game_unref(const struct lsp_library_game *game)
{
	if (!game || --game_box(game)->references > 0)
		return;
	lsp_library_progress_unref(game_box(game)->progress);
	free(game_box(game));
}

bool lsp_library_game_differs(const struct lsp_library_game *game,
	const struct lsp_library_game *values, const struct lsp_library_progress_box *progress)
{
	return game->availability != values->availability || game->state != values->state ||
	       game->has_archive != values->has_archive ||
	       strcmp(game->version, values->version) != 0 ||
	       strcmp(game->problem, values->problem) != 0 || game->size != values->size ||
	       game->file_count != values->file_count ||
	       !lsp_fingerprint_same_files(&game->fingerprint, &values->fingerprint) ||
	       !lsp_hash_equal(&game->content, &values->content) ||
	       game->progress != (progress ? &progress->public : NULL);
}

static struct snapshot_box *snapshot_box(const struct lsp_library_snapshot *snapshot)
{
	return lsp_container_of(snapshot, struct snapshot_box, public);
}

int lsp_library_snapshot_new(uint64_t generation, const char *games_dir,
	const struct lsp_games_dir_place *place, const char *problem,
	const struct lsp_library_game *const *games, size_t count,
	const struct lsp_library_snapshot **ret_snapshot, struct lsp_error *err)
{
	struct snapshot_box *box = calloc(1, sizeof *box);
	if (!box)
		return lsp_error_no_memory(err, "library");
	box->references = 1;
	box->games_dir = strdup(games_dir);
	box->problem = strdup(problem);
	box->games = calloc(count + 1, sizeof *box->games);
	box->public = (struct lsp_library_snapshot){.generation = generation,
		.games_dir = box->games_dir,
		.place = *place,
		.problem = box->problem,
		.games = box->games};
	if (!box->games_dir || !box->problem || !box->games) {
		lsp_library_snapshot_unref(&box->public);
		return lsp_error_no_memory(err, "library");
	}
	for (size_t i = 0; i < count; i++)
		box->games[i] = lsp_library_game_ref(games[i]);
	box->public.count = count;
	*ret_snapshot = &box->public;
	return 0;
}

const struct lsp_library_snapshot *lsp_library_snapshot_ref(
	const struct lsp_library_snapshot *snapshot)
{
	snapshot_box(snapshot)->references++;
	return snapshot;
}

void lsp_library_snapshot_unref(const struct lsp_library_snapshot *snapshot)
{
	if (!snapshot || --snapshot_box(snapshot)->references > 0)
		return;
	struct snapshot_box *box = snapshot_box(snapshot);
	for (size_t i = 0; i < snapshot->count; i++)
		lsp_library_game_unref(box->games[i]);
	free(box->games);
	free(box->games_dir);
	free(box->problem);
	free(box);
}

const struct lsp_library_game *lsp_library_find(
	const struct lsp_library_snapshot *snapshot, const char *id)
{
	size_t low = 0, high = snapshot->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(id, snapshot->games[middle]->id);
		if (order == 0)
			return snapshot->games[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

void lsp_library_diff(const struct lsp_library_snapshot *before_snapshot,
	const struct lsp_library_snapshot *after_snapshot,
	void (*change)(void *argument, const struct lsp_library_game *before,
		const struct lsp_library_game *after),
	void *argument)
{
	size_t before_count = before_snapshot ? before_snapshot->count : 0;
	for (size_t i = 0, j = 0; i < before_count || j < after_snapshot->count;) {
		const struct lsp_library_game *before =
			i < before_count ? before_snapshot->games[i] : NULL;
		const struct lsp_library_game *after =
			j < after_snapshot->count ? after_snapshot->games[j] : NULL;
		int order = !before ? 1 : !after ? -1 : strcmp(before->id, after->id);
		if (order < 0)
			after = NULL;
		if (order > 0)
			before = NULL;
		i += order <= 0;
		j += order >= 0;
		if (before != after)
			change(argument, before, after);
	}
}
