/*
 * What other threads ask for: a queue that the library's thread takes at its next step. Holds are a
 * table of their own, for they must be in effect when lsp_library_hold returns.
 */
#include "library/library_private.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum request_kind {
	REQUEST_LOOK,
	REQUEST_RECHECK,
	REQUEST_STOP_RECHECK,
	REQUEST_LOST,
	REQUEST_DIR
};

struct lsp_library_request {
	struct lsp_library_request *next;
	enum request_kind kind;
	char *text; /* a game's id, NULL: everything; the path of a folder */
	const struct lsp_manifest *manifest;
	lsp_library_done done;
	void (*dir_done)(void *argument, int result, const struct lsp_error *err);
	void *argument;
	struct lsp_library_waiter *waiter; /* made in advance: answering cannot fail */
};

static void free_request(struct lsp_library_request *request)
{
	if (!request)
		return;
	lsp_manifest_unref(request->manifest);
	free(request->text);
	free(request->waiter);
	free(request);
}

/* ---- Holds --------------------------------------------------------------------------------- */

static struct lsp_library_hold **find_hold(struct lsp_library *library, const char *id)
{
	struct lsp_library_hold **at = &library->holds;
	while (*at && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

bool lsp_library_is_held(struct lsp_library *library, const char *id)
{
	pthread_mutex_lock(&library->lock);
	bool held = *find_hold(library, id) != NULL;
	pthread_mutex_unlock(&library->lock);
	return held;
}

int lsp_library_hold(struct lsp_library *library, const char *id, struct lsp_error *err)
{
	int r = 0;
	pthread_mutex_lock(&library->lock);
	struct lsp_library_hold **at = find_hold(library, id);
	if (*at) {
		(*at)->count++;
	} else {
		struct lsp_library_hold *hold = calloc(1, sizeof *hold + strlen(id) + 1);
		if (hold) {
			memcpy(hold->id, id, strlen(id) + 1);
			hold->count = 1;
			*at = hold;
		} else {
			r = lsp_error_no_memory(err, "library");
		}
	}
	pthread_mutex_unlock(&library->lock);
	lsp_library_wake(library); /* hashing that runs is of no use any more */
	return r;
}

/* Several may hold one game: it is let go by the last of them. */
static void let_go(struct lsp_library *library, const char *id)
{
	pthread_mutex_lock(&library->lock);
	struct lsp_library_hold **at = find_hold(library, id);
	struct lsp_library_hold *hold = *at;
	if (hold && --hold->count == 0) {
		*at = hold->next;
		free(hold);
	}
	pthread_mutex_unlock(&library->lock);
}

/* ---- Asking -------------------------------------------------------------------------------- */

void lsp_library_wake(struct lsp_library *library)
{
	uint64_t one = 1;
	(void)!write(library->wake_fd, &one, sizeof one);
}

/* The answer of a library that has stopped. */
static void refuse(struct lsp_library_request *request)
{
	struct lsp_error err = {0};
	lsp_error_set(&err, "library", LSP_E_CLOSED, "the library has stopped");
	if (request->dir_done)
		request->dir_done(request->argument, -LSP_E_CLOSED, &err);
	else if (request->done)
		request->done(request->argument);
	free_request(request);
}

static void queue(struct lsp_library *library, struct lsp_library_request *request)
{
	pthread_mutex_lock(&library->lock);
	bool closed = library->closed;
	if (!closed) {
		*library->last_request = request;
		library->last_request = &request->next;
	}
	pthread_mutex_unlock(&library->lock);
	if (closed)
		refuse(request);
	else
		lsp_library_wake(library);
}

static struct lsp_library_request *new_request(
	enum request_kind kind, const char *text, void *argument)
{
	struct lsp_library_request *request = calloc(1, sizeof *request);
	if (!request)
		return NULL;
	request->kind = kind;
	request->argument = argument;
	request->waiter = calloc(1, sizeof *request->waiter);
	request->text = text ? strdup(text) : NULL;
	if (request->waiter && (!text || request->text))
		return request;
	free_request(request);
	return NULL;
}

/* Without memory to ask: everything is looked at as soon as there is some, and the answer is now.
 */
static void ask(struct lsp_library *library, enum request_kind kind, const char *id,
	const struct lsp_manifest *manifest, lsp_library_done done, void *argument)
{
	struct lsp_library_request *request = new_request(kind, id, argument);
	if (!request) {
		pthread_mutex_lock(&library->lock);
		library->look_at_all = true;
		pthread_mutex_unlock(&library->lock);
		lsp_library_wake(library);
		if (done)
			done(argument);
		return;
	}
	request->manifest = manifest ? lsp_manifest_ref(manifest) : NULL;
	request->done = done;
	queue(library, request);
}

void lsp_library_release(struct lsp_library *library, const char *id,
	const struct lsp_manifest *manifest, lsp_library_done done, void *argument)
{
	let_go(library, id);
	ask(library, REQUEST_LOOK, id, manifest, done, argument);
}

void lsp_library_refresh(
	struct lsp_library *library, const char *id, lsp_library_done done, void *argument)
{
	ask(library, REQUEST_LOOK, id, NULL, done, argument);
}

void lsp_library_recheck(
	struct lsp_library *library, const char *id, lsp_library_done done, void *argument)
{
	ask(library, REQUEST_RECHECK, id, NULL, done, argument);
}

void lsp_library_stop_recheck(struct lsp_library *library, const char *id)
{
	ask(library, REQUEST_STOP_RECHECK, id, NULL, NULL, NULL);
}

void lsp_library_lost(struct lsp_library *library, const char *id)
{
	ask(library, REQUEST_LOST, id, NULL, NULL, NULL);
}

void lsp_library_set_games_dir(struct lsp_library *library, const char *path,
	void (*done)(void *argument, int result, const struct lsp_error *err), void *argument)
{
	struct lsp_library_request *request = new_request(REQUEST_DIR, path, argument);
	if (request) {
		request->dir_done = done;
		queue(library, request);
		return;
	}
	struct lsp_error err = {0};
	int r = lsp_error_no_memory(&err, "library");
	done(argument, r, &err);
}

void lsp_library_set_rescan_interval(struct lsp_library *library, uint64_t nanoseconds)
{
	pthread_mutex_lock(&library->lock);
	library->interval_changed |= library->rescan_interval != nanoseconds;
	library->rescan_interval = nanoseconds;
	pthread_mutex_unlock(&library->lock);
	lsp_library_wake(library);
}

/* ---- Answering ----------------------------------------------------------------------------- */

static void wait_in(struct lsp_library_waiter **list, struct lsp_library_request *request)
{
	if (!request->done)
		return;
	struct lsp_library_waiter *waiter = request->waiter;
	request->waiter = NULL;
	*waiter = (struct lsp_library_waiter){*list, request->done, request->argument};
	*list = waiter;
}

static void take_look(struct lsp_library *library, struct lsp_library_request *request)
{
	lsp_time now = lsp_library_now(library);
	if (!request->text) {
		library->list_at = now;
		wait_in(&library->list_waiters, request);
		return;
	}
	struct lsp_local_game *game = lsp_library_find_local(library, request->text);
	if (!game && library->dir)
		game = lsp_library_add_local(library, request->text);
	if (!game) {
		library->list_at = now;
		wait_in(&library->list_waiters, request);
		return;
	}
	if (request->manifest) {
		lsp_manifest_unref(game->placed);
		game->placed = request->manifest;
		request->manifest = NULL;
	}
	game->look_at = now;
	if (request->kind == REQUEST_RECHECK) {
		lsp_library_drop_job(library, game);
		game->force = true;
		game->damaged |= !request->done;
		game->hash_failed = false;
	} else if (request->kind == REQUEST_LOST) {
		game->is_known = false;
	}
	wait_in(&game->waiters, request);
}

/* The look that follows answers who waits; what was known is known again. */
static void take_stop(struct lsp_library *library, const char *id)
{
	struct lsp_local_game *game = lsp_library_find_local(library, id);
	if (!game || !game->force || game->damaged)
		return;
	lsp_library_drop_job(library, game);
	game->force = false;
	game->look_at = lsp_library_now(library);
}

static bool is_same_folder(const char *a, const char *b)
{
	struct stat x, y;
	return strcmp(a, b) == 0 || (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
					    x.st_ino == y.st_ino);
}

static void take_dir(struct lsp_library *library, struct lsp_library_request *request)
{
	struct lsp_error err = {0};
	struct lsp_games_dir *dir = NULL;
	int r = 0;
	if (!library->dir || !is_same_folder(library->dir->path, request->text)) {
		r = lsp_games_dir_open(request->text, library->holder, NULL, &dir, &err);
		if (r == 0)
			r = lsp_library_change_dir(library, dir, &err);
	}
	request->dir_done(request->argument, r, &err);
}

static struct lsp_library_request *pop(struct lsp_library *library)
{
	pthread_mutex_lock(&library->lock);
	struct lsp_library_request *request = library->first_request;
	if (request) {
		library->first_request = request->next;
		if (!library->first_request)
			library->last_request = &library->first_request;
	}
	pthread_mutex_unlock(&library->lock);
	return request;
}

static void take_wishes(struct lsp_library *library)
{
	pthread_mutex_lock(&library->lock);
	bool all = library->look_at_all, other_interval = library->interval_changed;
	uint64_t interval = library->rescan_interval;
	library->look_at_all = library->interval_changed = false;
	pthread_mutex_unlock(&library->lock);
	if (all)
		library->list_at = 0;
	if (other_interval)
		library->list_at =
			LSP_MIN(library->list_at, lsp_time_add(lsp_library_now(library), interval));
}

void lsp_library_take_requests(struct lsp_library *library)
{
	struct lsp_library_request *request;
	take_wishes(library);
	while ((request = pop(library))) {
		if (request->kind == REQUEST_DIR)
			take_dir(library, request);
		else if (request->kind == REQUEST_STOP_RECHECK)
			take_stop(library, request->text);
		else
			take_look(library, request);
		free_request(request);
	}
}

static void end_waiters(struct lsp_library_waiter **list)
{
	while (*list) {
		struct lsp_library_waiter *waiter = *list;
		*list = waiter->next;
		waiter->done(waiter->argument);
		free(waiter);
	}
}

void lsp_library_abort(struct lsp_library *library)
{
	struct lsp_library_request *request;
	lsp_cancel_request(library->token, LSP_CANCEL_RUN_COMPLETED, NULL);
	pthread_mutex_lock(&library->lock);
	library->closed = true;
	pthread_mutex_unlock(&library->lock);
	while ((request = pop(library)))
		refuse(request);
}

void lsp_library_end(struct lsp_library *library)
{
	lsp_library_abort(library);
	for (size_t i = 0; i < library->count; i++)
		end_waiters(&library->games[i]->waiters);
	end_waiters(&library->list_waiters);
	end_waiters(&library->ready);
}
