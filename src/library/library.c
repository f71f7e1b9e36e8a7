#include "library/library_private.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "task/cancel.h"
#include "task/wait.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* ---- Games --------------------------------------------------------------------------------- */

/* Where a game is in the list, or would be. */
static size_t find_place(const struct lsp_library *library, const char *id, bool *ret_found)
{
	size_t low = 0, high = library->count;
	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(id, library->games[middle]->id);
		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct lsp_local_game *lsp_library_find_local(struct lsp_library *library, const char *id)
{
	bool found;
	size_t at = find_place(library, id, &found);
	return found ? library->games[at] : NULL;
}

static int compare_id(const void *id, const void *game)
{
	return strcmp(id, ((const struct lsp_index_game *)game)->id);
}

static struct lsp_index_game *find_loaded(struct lsp_library *library, const char *id)
{
	if (library->loaded_count == 0)
		return NULL;
	return bsearch(
		id, library->loaded, library->loaded_count, sizeof *library->loaded, compare_id);
}

struct lsp_local_game *lsp_library_add_local(struct lsp_library *library, const char *id)
{
	if (lsp_game_id_check(id, strlen(id), NULL) < 0)
		return NULL;
	if (library->count == library->room) {
		size_t room = library->room ? library->room * 2 : 64;
		struct lsp_local_game **games = reallocarray(library->games, room, sizeof *games);
		if (!games)
			return NULL;
		library->games = games;
		library->room = room;
	}
	struct lsp_local_game *game = calloc(1, sizeof *game);
	if (!game)
		return NULL;
	snprintf(game->id, sizeof game->id, "%s", id);
	game->owner = library->next_owner++;
	game->look_at = game->doubt_at = LSP_TIME_NEVER;
	const struct lsp_index_game *known = find_loaded(library, id);
	if (known && known->file_count > 0) {
		game->known = *known;
		game->is_known = true;
	}
	bool found;
	size_t at = find_place(library, id, &found);
	memmove(library->games + at + 1, library->games + at,
		(library->count - at) * sizeof *library->games);
	library->games[at] = game;
	library->count++;
	return game;
}

static void free_local(struct lsp_library *library, struct lsp_local_game *game)
{
	lsp_library_drop_job(library, game);
	lsp_library_ready(library, &game->waiters);
	lsp_manifest_unref(game->placed);
	lsp_library_progress_unref(game->progress);
	if (game->published)
		library->unpublished = true;
	lsp_library_game_unref(game->published);
	free(game);
}

/* For when it comes back: what is known goes where a new game looks for it. */
static void remember_known(struct lsp_library *library, const struct lsp_local_game *game,
	struct lsp_index_game *loaded)
{
	if (!loaded) {
		struct lsp_index_game *more = reallocarray(
			library->loaded, library->loaded_count + 1, sizeof *library->loaded);
		if (!more)
			return; /* then it is found by the cache of its files */
		library->loaded = more;
		size_t at = library->loaded_count++;
		for (; at > 0 && strcmp(more[at - 1].id, game->id) > 0; at--)
			more[at] = more[at - 1];
		loaded = &more[at];
	}
	*loaded = game->known;
}

void lsp_library_remove_local(struct lsp_library *library, struct lsp_local_game *game, bool forget)
{
	struct lsp_error err = {0};
	if (forget && lsp_library_index_remove(library->index, game->id, &err) < 0)
		lsp_log_warning("library", "%s", err.message);
	struct lsp_index_game *loaded = find_loaded(library, game->id);
	if (loaded && forget)
		loaded->file_count = 0;
	else if (!forget && game->is_known)
		remember_known(library, game, loaded);
	bool found;
	size_t at = find_place(library, game->id, &found);
	library->count--;
	memmove(library->games + at, library->games + at + 1,
		(library->count - at) * sizeof *library->games);
	if (library->watch)
		lsp_watch_forget(library->watch, game->owner);
	free_local(library, game);
}

void lsp_library_ready(struct lsp_library *library, struct lsp_library_waiter **waiters)
{
	while (*waiters) {
		struct lsp_library_waiter *waiter = *waiters;
		*waiters = waiter->next;
		waiter->next = library->ready;
		library->ready = waiter;
	}
}

/* ---- The games folder ---------------------------------------------------------------------- */

static lsp_time show(struct lsp_library *library);

/* What the index has of that folder, which it speaks of from now on. */
static int load_index(struct lsp_library *library, const struct lsp_games_dir *dir,
	struct lsp_index_game **ret_games, size_t *ret_count, struct lsp_error *err)
{
	int r = 0;
	for (int i = 0; i < 2; i++) { /* damage is healed by the second call */
		r = lsp_library_index_use(library->index, dir->place.id, err);
		if (r == 0)
			r = lsp_library_index_load(library->index, ret_games, ret_count, err);
		if (r != -LSP_E_CORRUPT)
			break;
	}
	return r;
}

int lsp_library_open_dir(struct lsp_library *library, struct lsp_error *err)
{
	/* A folder that went away is not made anew: its games would be taken for deleted. */
	int r = lsp_games_dir_open(
		library->path, library->holder, &library->place, &library->dir, err);
	if (r < 0)
		return r;
	library->place = library->dir->place;
	r = load_index(library, library->dir, &library->loaded, &library->loaded_count, err);
	if (r < 0) {
		lsp_games_dir_close(library->dir);
		library->dir = NULL;
		return r;
	}
	library->first_list = true;
	library->unpublished = true; /* its place is told too */
	return 0;
}

int lsp_library_change_dir(
	struct lsp_library *library, struct lsp_games_dir *dir, struct lsp_error *err)
{
	_cleanup_free_ char *path = strdup(dir->path);
	_cleanup_free_ struct lsp_index_game *loaded = NULL;
	size_t count = 0;
	int r = path ? load_index(library, dir, &loaded, &count, err)
		     : lsp_error_no_memory(err, "library");
	if (r < 0) {
		/* Where that fails too it is tried again by what is stored next. */
		if (library->dir)
			(void)!lsp_library_index_use(library->index, library->dir->place.id, NULL);
		lsp_games_dir_close(dir);
		return r;
	}
	lsp_library_close_dir(library);
	if (library->watch)
		lsp_watch_forget(library->watch, 0);
	free(library->path);
	library->path = TAKE_PTR(path);
	library->loaded = TAKE_PTR(loaded);
	library->loaded_count = count;
	library->dir = dir;
	library->place = dir->place;
	library->first_list = true;
	lsp_library_list(library);
	lsp_library_look(library, NULL);
	(void)show(library);
	return 0;
}

void lsp_library_close_dir(struct lsp_library *library)
{
	while (library->count > 0)
		free_local(library, library->games[--library->count]);
	free(library->loaded);
	library->loaded = NULL;
	library->loaded_count = 0;
	lsp_games_dir_close(library->dir);
	library->dir = NULL;
	library->unpublished = true;
}

/* ---- Beginning and end --------------------------------------------------------------------- */

static int set_up(struct lsp_library *library, const struct lsp_library_options *options,
	struct lsp_error *err)
{
	library->options = *options;
	struct lsp_library_options *o = &library->options;
	o->clock = o->clock ?: lsp_clock_system;
	o->settle = o->settle ?: 2 * LSP_SECOND;
	o->doubt_delay = o->doubt_delay ?: 60 * LSP_SECOND;
	library->rescan_interval = o->rescan_interval ?: 300 * LSP_SECOND;
	library->next_owner = 16;
	library->last_request = &library->first_request;
	library->state_dir = strdup(options->state_dir);
	library->holder = strdup(options->holder ?: "");
	if (!library->state_dir || !library->holder)
		return lsp_error_no_memory(err, "library");
	/* Now, so that it is a path to everybody also while the folder cannot be opened. */
	int r = lsp_games_dir_expand(options->games_dir, &library->path, err);
	if (r < 0)
		return r;
	library->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (library->wake_fd < 0)
		return lsp_error_errno(err, "library", errno, "cannot make an eventfd");
	return lsp_cancel_new(NULL, &library->token, err);
}

static void set_up_watch(struct lsp_library *library)
{
	struct lsp_error err = {0};
	if (library->options.no_events || lsp_watch_new(&library->watch, &err) == 0)
		return;
	lsp_log_warning(
		"library", "%s; changes show at the next look at the whole library", err.message);
}

int lsp_library_new(const struct lsp_library_options *options, struct lsp_library **ret_library,
	struct lsp_error *err)
{
	_cleanup_library_ struct lsp_library *library = calloc(1, sizeof *library);
	if (!library)
		return lsp_error_no_memory(err, "library");
	pthread_mutex_init(&library->lock, NULL);
	pthread_cond_init(&library->job_finished, NULL);
	library->wake_fd = -1;
	int r = set_up(library, options, err);
	if (r == 0)
		r = lsp_library_index_open(library->state_dir, &library->index, err);
	if (r < 0)
		return r;
	set_up_watch(library);
	struct lsp_error detail = {0};
	r = lsp_library_open_dir(library, &detail);
	if (r == -LSP_E_BUSY) {
		if (err)
			*err = detail;
		return r;
	}
	if (r < 0)
		lsp_label_clean(
			detail.message, strlen(detail.message), library->problem, LSP_PROBLEM_MAX);
	void (*changed)(void *) = library->options.changed;
	library->options.changed = NULL; /* nobody is there yet to be told */
	r = lsp_library_publish(library, true, err);
	library->options.changed = changed;
	if (r < 0)
		return r;
	*ret_library = TAKE_PTR(library);
	return 0;
}

void lsp_library_free(struct lsp_library *library)
{
	if (!library)
		return;
	if (library->token)
		lsp_library_end_jobs(library);
	lsp_library_close_dir(library);
	if (library->token)
		lsp_library_end(library);
	while (library->holds) {
		struct lsp_library_hold *hold = library->holds;
		library->holds = hold->next;
		free(hold);
	}
	lsp_library_index_close(library->index);
	lsp_watch_free(library->watch);
	lsp_cancel_unref(library->token);
	lsp_library_snapshot_unref(library->newest);
	if (library->wake_fd >= 0)
		close(library->wake_fd);
	pthread_cond_destroy(&library->job_finished);
	pthread_mutex_destroy(&library->lock);
	free(library->games);
	free(library->path);
	free(library->state_dir);
	free(library->holder);
	free(library);
}

const struct lsp_library_snapshot *lsp_library_snapshot(struct lsp_library *library)
{
	pthread_mutex_lock(&library->lock);
	const struct lsp_library_snapshot *newest = lsp_library_snapshot_ref(library->newest);
	pthread_mutex_unlock(&library->lock);
	return newest;
}

/* ---- Running
 * -----------------------------------------------------------------------------------------------
 */

static void call_ready(struct lsp_library *library)
{
	struct lsp_library_waiter *waiters = library->ready;
	library->ready = NULL;
	while (waiters) {
		struct lsp_library_waiter *waiter = waiters;
		waiters = waiter->next;
		waiter->done(waiter->argument);
		free(waiter);
	}
}

static lsp_time next_time(struct lsp_library *library)
{
	lsp_time next = library->list_at;
	for (size_t i = 0; i < library->count; i++) {
		const struct lsp_local_game *game = library->games[i];
		next = LSP_MIN(next, game->look_at);
		/* What waits for a thread is woken by the end of a job. */
		if (!game->job && library->jobs < LSP_LIBRARY_JOBS)
			next = LSP_MIN(next, game->doubt_at);
	}
	return next;
}

/* Publishes, and calls those who waited for it. */
static lsp_time show(struct lsp_library *library)
{
	struct lsp_error err = {0};
	if (lsp_library_publish(library, false, &err) < 0) {
		lsp_log_error("library", "%s", err.message);
		library->unpublished = true;
		return lsp_library_now(library) + LSP_SECOND;
	}
	call_ready(library);
	return LSP_TIME_NEVER;
}

lsp_time lsp_library_step(struct lsp_library *library, struct lsp_cancel *token)
{
	lsp_library_take_requests(library);
	lsp_library_take_jobs(library);
	lsp_library_take_events(library);
	if (library->list_at <= lsp_library_now(library))
		lsp_library_list(library);
	lsp_library_look(library, token);
	lsp_time again = show(library); /* "hashing" is seen before hashing begins */
	lsp_library_start_jobs(library);
	if (!library->options.pool) {
		lsp_library_take_jobs(library);
		again = LSP_MIN(again, show(library));
	}
	return LSP_MIN(again, next_time(library));
}

int lsp_library_scan(struct lsp_library *library, struct lsp_cancel *token, struct lsp_error *err)
{
	lsp_library_list(library);
	lsp_library_look(library, token);
	(void)show(library);
	if (lsp_cancel_requested(token))
		return lsp_cancel_check(token, err);
	if (library->problem[0])
		return lsp_error_set(err, "library", LSP_E_IO, "%s", library->problem);
	return 0;
}

static void clear_wake(struct lsp_library *library)
{
	uint64_t count;
	(void)!read(library->wake_fd, &count, sizeof count);
}

static int step_and_wait(
	struct lsp_library *library, struct lsp_cancel *token, struct lsp_error *err)
{
	clear_wake(library);
	lsp_time next = lsp_library_step(library, token);
	struct pollfd fds[2] = {{.fd = library->wake_fd, .events = POLLIN}};
	size_t count = 1;
	if (library->watch)
		fds[count++] =
			(struct pollfd){.fd = lsp_watch_fd(library->watch), .events = POLLIN};
	int r = lsp_wait_poll(fds, count, token, library->options.clock, next, err);
	return r > 0 || r == -LSP_E_TIMEOUT ? 0 : r;
}

int lsp_library_run(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct lsp_library *library = argument;
	int r = 0;
	while (r == 0 && !lsp_cancel_requested(token))
		r = step_and_wait(library, token, err);
	if (r < 0 && !lsp_cancel_requested(token))
		return r;
	lsp_library_end(library);
	return 0;
}

int lsp_library_serve(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct lsp_library *library = argument;
	struct lsp_error passing = {0};
	lsp_watch_free(TAKE_PTR(library->watch));
	while (!lsp_cancel_requested(token)) {
		if (step_and_wait(library, token, &passing) < 0)
			lsp_cancel_wait(token, library->options.clock,
				lsp_time_add(lsp_now(library->options.clock), LSP_SECOND));
	}
	lsp_library_end(library);
	return 0;
}
