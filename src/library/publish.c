/* From what is known inside to what everybody sees. */
#include "library/library_private.h"

#include <stdio.h>
#include <string.h>

bool lsp_library_may_share(const struct lsp_local_game *game)
{
	return game->looked && game->scan.has_version && game->scan.version[0] &&
	       !game->scan.problem[0] && !game->collides;
}

bool lsp_library_is_ready(const struct lsp_local_game *game)
{
	return lsp_library_may_share(game) && game->is_known && !game->force &&
	       lsp_fingerprint_same_files(&game->known.fingerprint, &game->scan.fingerprint);
}

static bool has_failed(const struct lsp_local_game *game)
{
	return game->hash_failed &&
	       lsp_fingerprint_same_files(&game->failed_print, &game->scan.fingerprint);
}

static enum lsp_availability availability_of(const struct lsp_scan *scan)
{
	if (scan->has_version)
		return scan->has_local ? LSP_AVAILABILITY_INSTALLED : LSP_AVAILABILITY_DOWNLOADED;
	return scan->has_local ? LSP_AVAILABILITY_LOCAL_ONLY : LSP_AVAILABILITY_NONE;
}

static void describe(const struct lsp_local_game *game, struct lsp_library_game *ret_values)
{
	const struct lsp_scan *scan = &game->scan;
	*ret_values = (struct lsp_library_game){
		.availability = availability_of(scan),
		.has_archive = scan->has_archive,
		.size = scan->size,
		.file_count = scan->file_count,
		.fingerprint = scan->fingerprint,
	};
	snprintf(ret_values->id, sizeof ret_values->id, "%s", game->id);
	snprintf(ret_values->version, sizeof ret_values->version, "%s", scan->version);
	const char *problem = game->collides     ? "another game folder has the same name but for "
						   "upper and lower case; rename one"
			      : has_failed(game) ? game->hash_problem
						 : scan->problem;
	snprintf(ret_values->problem, sizeof ret_values->problem, "%s", problem);
	if (lsp_library_is_ready(game)) {
		ret_values->state = LSP_LIBRARY_READY;
		ret_values->content = game->known.content;
		ret_values->chunk_count = game->known.chunk_count;
		ret_values->piece_length = game->known.piece_length;
	} else if (lsp_library_may_share(game) && !has_failed(game)) {
		ret_values->state = LSP_LIBRARY_HASHING;
	}
}

/* True if what is published of the game is another now. */
static int publish_game(struct lsp_local_game *game, bool *ret_changed, struct lsp_error *err)
{
	struct lsp_library_game values;
	describe(game, &values);
	if (values.state == LSP_LIBRARY_HASHING && !game->progress) {
		game->progress = lsp_library_progress_new();
		if (!game->progress)
			return lsp_error_no_memory(err, "library");
		game->progress->public.total = values.size;
	} else if (values.state != LSP_LIBRARY_HASHING && game->progress) {
		lsp_library_progress_unref(game->progress);
		game->progress = NULL;
	}
	if (game->published && !lsp_library_game_differs(game->published, &values, game->progress))
		return 0;
	const struct lsp_library_game *made = NULL;
	int r = lsp_library_game_new(&values, game->progress, &made, err);
	if (r < 0)
		return r;
	lsp_library_game_unref(game->published);
	game->published = made;
	*ret_changed = true;
	return 0;
}

static int make_snapshot(struct lsp_library *library, struct lsp_error *err)
{
	_cleanup_free_ const struct lsp_library_game **games =
		calloc(library->count + 1, sizeof *games);
	if (!games)
		return lsp_error_no_memory(err, "library");
	size_t count = 0;
	for (size_t i = 0; i < library->count; i++) {
		if (library->games[i]->published)
			games[count++] = library->games[i]->published;
	}
	const struct lsp_library_snapshot *snapshot = NULL;
	uint64_t generation = library->newest ? library->newest->generation + 1 : 1;
	int r = lsp_library_snapshot_new(generation,
		library->dir ? library->dir->path : library->path, &library->place,
		library->problem, games, count, &snapshot, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&library->lock);
	const struct lsp_library_snapshot *old = library->newest;
	library->newest = snapshot;
	memcpy(library->folder_id, library->dir ? library->dir->place.id : "",
		library->dir ? sizeof library->folder_id : 1);
	pthread_mutex_unlock(&library->lock);
	lsp_library_snapshot_unref(old);
	return 0;
}

int lsp_library_publish(struct lsp_library *library, bool always, struct lsp_error *err)
{
	bool changed = always || library->unpublished;
	for (size_t i = 0; i < library->count; i++) {
		struct lsp_local_game *game = library->games[i];
		if (!game->looked || lsp_library_is_held(library, game->id))
			continue;
		int r = publish_game(game, &changed, err);
		if (r < 0)
			return r;
	}
	if (!changed)
		return 0;
	int r = make_snapshot(library, err);
	if (r < 0)
		return r;
	library->unpublished = false;
	if (library->options.changed)
		library->options.changed(library->options.argument);
	return 0;
}
