/*
 * Looking: the list of games, single games, file events, and what follows.
 *
 * Looks happen in batches: what is due is scanned by this thread and, when it is much, a helper
 * (a scan is one stat(2) after the other, and two threads take half as long); the results are
 * applied by this thread alone. A game that keeps changing is looked at ever more seldom, so that
 * looking never takes more than a twentieth of the time.
 */
#include "library/library_private.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "task/registry.h"
#include "wire/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_DELAY (200 * LSP_MILLISECOND) /* from an event to the look at its game */
#define LOOK_REST (500 * LSP_MILLISECOND)   /* between two looks at one game, at least */
#define PROPER_LOOK (2 * LSP_SECOND)        /* from an assumption to the look that proves it */
#define HELPER_AT 64                        /* games in a batch that are worth a second thread */
#define ROOT_OWNER 1                        /* of the watch on the games folder itself */

/* ---- Scanning a batch ---------------------------------------------------------------------- */

struct item {
	struct lsp_local_game *game;
	int result;
	lsp_time cost;
	struct lsp_scan scan;
};

struct batch {
	struct lsp_library *library;
	struct lsp_cancel *token;
	struct item *items;
	size_t count;
	_Atomic size_t next;
	_Atomic bool watch_full;
};

struct watcher {
	struct batch *batch;
	uint32_t owner;
};

static void watch_folder(void *argument, int dir_fd, const char *path)
{
	struct watcher *watcher = argument;
	struct lsp_watch *watch = watcher->batch->library->watch;
	if (watch && lsp_watch_folder(watch, watcher->owner, dir_fd, NULL) < 0)
		watcher->batch->watch_full = true;
}

static int scan_items(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct batch *batch = argument;
	struct lsp_library *library = batch->library;
	for (size_t i; (i = batch->next++) < batch->count;) {
		struct item *item = &batch->items[i];
		struct watcher watcher = {batch, item->game->owner};
		struct lsp_scan_hooks hooks = {
			watch_folder, &watcher, library->options.installed_version};
		lsp_time begin = lsp_library_now(library);
		bool quick = library->first_list && item->game->is_known && !item->game->looked;
		item->result = lsp_scan_game(library->dir->path, item->game->id, &hooks,
			quick ? &item->game->known : NULL, batch->token, &item->scan, NULL);
		item->cost = lsp_library_now(library) - begin;
	}
	return 0;
}

static void run_batch(struct batch *batch)
{
	struct lsp_library *library = batch->library;
	struct lsp_task *helper = NULL;
	if (batch->count >= HELPER_AT && library->options.tasks)
		(void)!lsp_tasks_spawn(library->options.tasks, "library scan", LSP_TASK_MAINTENANCE,
			scan_items, batch, &helper, NULL);
	(void)!scan_items(batch->token, batch, NULL);
	if (helper) {
		/* Also when we are asked to stop: the batch is on our stack, and its token is ours.
		 */
		while (!lsp_task_has_ended(helper))
			(void)!lsp_task_wait(helper, NULL, NULL, LSP_TIME_NEVER, NULL);
		lsp_task_unref(helper);
	}
	if (batch->watch_full && !library->watch_full) {
		library->watch_full = true;
		lsp_log_warning("library",
			"not every folder can be watched for changes (see "
			"fs.inotify.max_user_watches); those show at the next look "
			"at the whole library");
	}
}

/* ---- What follows from a look -------------------------------------------------------------- */

/* When the files may be hashed: they have been left alone for `settle`, by events and by times. */
static lsp_time quiet_at(
	const struct lsp_library *library, const struct lsp_local_game *game, lsp_time now)
{
	uint64_t settle = library->options.settle;
	lsp_time at = now;
	int64_t age = (int64_t)lsp_wall(library->options.clock) - game->scan.newest_ns;
	if (age >= 0 && (uint64_t)age < settle)
		at = now + settle - (uint64_t)age;
	else if (age < 0 &&
		 age > -(int64_t)settle) /* the clocks of disk and machine differ a bit */
		at = now + settle;
	return game->quiet_since ? LSP_MAX(at, game->quiet_since + settle) : at;
}

static void plan_look(struct lsp_local_game *game, lsp_time at)
{
	game->look_at = LSP_MIN(game->look_at, at);
}

/* Known files with other times of change: they stand, and are hashed again in a while. */
static void plan_doubt(struct lsp_library *library, struct lsp_local_game *game)
{
	if (lsp_fingerprint_equal(&game->known.fingerprint, &game->scan.fingerprint))
		return;
	if (game->doubt_at == LSP_TIME_NEVER)
		game->doubt_at = lsp_library_now(library) + library->options.doubt_delay;
}

void lsp_library_plan(struct lsp_library *library, struct lsp_local_game *game)
{
	game->wants_hash = false;
	lsp_time now = lsp_library_now(library);
	if (game->scan.try_again)
		plan_look(game, now + LSP_LIBRARY_RETRY);
	if (!lsp_library_may_share(game)) {
		game->doubt_at = LSP_TIME_NEVER;
		lsp_library_drop_job(library, game);
		return;
	}
	if (lsp_library_is_ready(game)) {
		plan_doubt(library, game);
		return;
	}
	if (game->hash_failed && !game->hash_retry && !game->force &&
		lsp_fingerprint_same_files(&game->failed_print, &game->scan.fingerprint))
		return;
	game->doubt_at = LSP_TIME_NEVER;
	lsp_time at = game->force ? now : quiet_at(library, game, now);
	if (at <= now)
		game->wants_hash = true;
	else
		plan_look(game, at);
}

static void find_collisions(struct lsp_library *library);

/* A link to a disk that is away stays known: its hashes will be wanted when it is back. */
static void remove_gone(struct lsp_library *library, struct lsp_local_game *game)
{
	_cleanup_close_ int dir = -1;
	bool dangling = lsp_fs_open_dir(library->dir->path, &dir, NULL) < 0 ||
			lsp_fs_exists_below(dir, game->id);
	lsp_library_remove_local(library, game, !dangling);
	library->names_changed = true;
}

/*
 * For the quick look of the next start. Folders that changed a moment ago may change again within
 * one tick of their clock: those are not to be relied on yet.
 */
static void keep_structure(struct lsp_library *library, struct lsp_local_game *game)
{
	int64_t age = (int64_t)lsp_wall(library->options.clock) - game->scan.newest_folder_ns;
	bool young = age < (int64_t)(2 * LSP_SECOND) && age > -(int64_t)(2 * LSP_SECOND);
	uint64_t structure = young ? 0 : game->scan.structure;
	if (!lsp_library_is_ready(game) || game->known.structure == structure)
		return;
	game->known.structure = structure;
	struct lsp_error err = {0};
	if (lsp_library_index_touch(library->index, game->id, structure, &err) < 0)
		lsp_log_debug("library", "%s", err.message);
}

static void apply(struct lsp_library *library, struct item *item)
{
	struct lsp_local_game *game = item->game;
	if (item->result == -LSP_E_CANCELLED || lsp_library_is_held(library, game->id))
		return;
	if (item->result == -LSP_E_NOT_FOUND) {
		remove_gone(library, game);
		return;
	}
	lsp_time now = lsp_library_now(library);
	game->looked_at = now;
	game->look_cost = item->cost;
	if (item->result < 0 || (item->scan.try_again && game->looked)) {
		game->look_at = now + LSP_LIBRARY_RETRY; /* what was known stands meanwhile */
		return;
	}
	bool other = !game->looked ||
		     !lsp_fingerprint_same_files(&game->scan.fingerprint, &item->scan.fingerprint);
	if (other && (game->looked || !library->first_list))
		game->quiet_since = now;
	if (other && game->looked)
		lsp_library_drop_job(library, game);
	game->scan = item->scan;
	game->looked = true;
	if (game->scan.assumed)
		plan_look(game, now + PROPER_LOOK);
	else
		keep_structure(library, game);
	if (game->hash_retry) {
		game->hash_failed = false;
		game->hash_retry = false;
	}
	if (game->placed) {
		lsp_library_believe(library, game, game->placed);
		lsp_manifest_unref(game->placed);
		game->placed = NULL;
	}
	lsp_library_plan(library, game);
	/* A recheck is answered when every byte was read: by hashing.c. */
	if (!game->force || !(game->wants_hash || game->job))
		lsp_library_ready(library, &game->waiters);
}

void lsp_library_look(struct lsp_library *library, struct lsp_cancel *token)
{
	lsp_time now = lsp_library_now(library);
	if (!library->dir)
		return;
	struct batch batch = {.library = library, .token = token};
	_cleanup_free_ struct item *items = calloc(library->count + 1, sizeof *items);
	if (!items)
		return; /* they stay due */
	batch.items = items;
	for (size_t i = 0; i < library->count; i++) {
		struct lsp_local_game *game = library->games[i];
		if (game->look_at > now)
			continue;
		game->look_at = LSP_TIME_NEVER;
		if (lsp_library_is_held(library, game->id))
			lsp_library_ready(library, &game->waiters);
		else
			items[batch.count++].game = game;
	}
	if (batch.count > 0)
		run_batch(&batch);
	for (size_t i = 0; i < batch.count; i++)
		apply(library, &items[i]);
	if (!lsp_cancel_requested(token))
		library->first_list = false;
	if (library->names_changed)
		find_collisions(library);
}

/* ---- The list of games --------------------------------------------------------------------- */

static bool is_folder(int dir_fd, const struct dirent *entry)
{
	struct stat st;
	if (entry->d_type == DT_DIR)
		return true;
	if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
		return false;
	return fstatat(dir_fd, entry->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static void take_entry(struct lsp_library *library, int dir_fd, const struct dirent *entry)
{
	const char *name = entry->d_name;
	struct lsp_error detail = {0};
	if (name[0] == '.' || !is_folder(dir_fd, entry))
		return;
	struct lsp_local_game *game = NULL;
	if (lsp_game_id_check(name, strlen(name), &detail) < 0) {
		if (library->first_list)
			lsp_log_warning("library", "the folder \"%s\" cannot be a game: %s", name,
				detail.message);
		return;
	}
	game = lsp_library_find_local(library, name);
	if (!game)
		game = lsp_library_add_local(library, name);
	if (!game) {
		lsp_log_error("library", "out of memory");
		return;
	}
	game->listed = true;
	game->look_at = 0;
}

static int cannot_read(const struct lsp_library *library, int error, struct lsp_error *err)
{
	return lsp_error_errno(err, "library", error,
		"cannot read the games folder \"%s\" (is its disk there, and yours to read?)",
		library->dir->path);
}

static int read_list(struct lsp_library *library, int dir_fd, struct lsp_error *err)
{
	int copy = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	if (!dir) {
		int error = errno;
		if (copy >= 0)
			close(copy);
		return cannot_read(library, error, err);
	}
	const struct dirent *entry;
	errno = 0;
	while ((entry = readdir(dir))) {
		take_entry(library, dir_fd, entry);
		errno = 0;
	}
	int error = errno;
	closedir(dir);
	return error ? cannot_read(library, error, err) : 0;
}

struct named {
	char *key;
	struct lsp_local_game *game;
};

static int compare_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->key, y->key);
	return order ? order : strcmp(x->game->id, y->game->id);
}

/* Of folders whose names mean the same on other systems only the first one, by id, is shared. */
static void find_collisions(struct lsp_library *library)
{
	library->names_changed = false;
	_cleanup_free_ struct named *names = calloc(library->count + 1, sizeof *names);
	size_t count = 0;
	for (size_t i = 0; names && i < library->count; i++) {
		struct lsp_local_game *game = library->games[i];
		char *key = NULL;
		if (lsp_path_key(game->id, strlen(game->id), &key, NULL) == 0)
			names[count++] = (struct named){key, game};
	}
	if (count > 0)
		qsort(names, count, sizeof *names, compare_named);
	for (size_t i = 0; i < count; i++) {
		struct lsp_local_game *game = names[i].game;
		bool collides = i > 0 && strcmp(names[i - 1].key, names[i].key) == 0;
		if (collides != game->collides && game->looked)
			game->look_at = 0; /* to plan anew */
		game->collides = collides;
	}
	for (size_t i = 0; i < count; i++)
		free(names[i].key);
}

static void drop_unlisted(struct lsp_library *library)
{
	for (size_t i = library->count; i-- > 0;) {
		struct lsp_local_game *game = library->games[i];
		if (!game->listed && !lsp_library_is_held(library, game->id))
			remove_gone(library, game);
	}
}

/*
 * Another one in its place is used from now on; the one that is known keeps its id. *ret_lacks: it
 * is ours without its id, or without our lock: to give it those failed in the middle.
 */
static int open_ours(
	struct lsp_library *library, int *ret_fd, bool *ret_lacks, struct lsp_error *err)
{
	for (int i = 0; i < 2; i++) {
		_cleanup_close_ int fd = -1;
		enum lsp_games_dir_found found = LSP_GAMES_DIR_OTHER;
		int r = library->dir ? 0 : lsp_library_open_dir(library, err);
		if (r == 0)
			r = lsp_games_dir_find(library->path, &library->place, &found, &fd, err);
		if (r < 0)
			return r;
		if (found != LSP_GAMES_DIR_OTHER) {
			*ret_fd = TAKE_FD(fd);
			*ret_lacks = found == LSP_GAMES_DIR_WITHOUT_ID || !library->dir->lock;
			return 0;
		}
		lsp_library_close_dir(library);
	}
	return lsp_error_set(err, "library", LSP_E_IO,
		"the games folder \"%s\" cannot be told from others: its .lanspread/id does not "
		"stay; choose one on another filesystem with `lanspread games-dir PATH`",
		library->path);
}

static int list_games(struct lsp_library *library, int dir_fd, struct lsp_error *err)
{
	if (library->watch)
		(void)!lsp_watch_folder(library->watch, ROOT_OWNER, dir_fd, NULL);
	for (size_t i = 0; i < library->count; i++)
		library->games[i]->listed = false;
	int r = read_list(library, dir_fd, err);
	if (r < 0)
		return r;
	drop_unlisted(library);
	library->names_changed = true;
	return 0;
}

/* *ret_stays: after an error; the folder is still ours, and what is known of its games stands. */
static int list(struct lsp_library *library, bool *ret_stays, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	bool lacks = false;
	int r = open_ours(library, &fd, &lacks, err);
	if (r == 0)
		r = list_games(library, fd, err);
	*ret_stays = r == -LSP_E_NO_MEMORY || err->sys_errno == EMFILE || err->sys_errno == ENFILE;
	if (r < 0 || !lacks)
		return r;
	/* Closed, a folder that cannot be written to now would be a new one when it can. */
	r = lsp_games_dir_renew(library->dir, fd, library->holder, err);
	*ret_stays = r != -LSP_E_BUSY;
	return r;
}

void lsp_library_list(struct lsp_library *library)
{
	struct lsp_error err = {0};
	pthread_mutex_lock(&library->lock);
	uint64_t interval = library->rescan_interval;
	pthread_mutex_unlock(&library->lock);
	bool stays = false;
	int r = list(library, &stays, &err);
	lsp_time now = lsp_library_now(library);
	library->list_at = now + (r < 0 ? LSP_MIN(interval, LSP_LIBRARY_RETRY) : interval);
	if (r < 0 && library->dir && !stays)
		lsp_library_close_dir(library);
	char problem[LSP_PROBLEM_MAX + 1] = "";
	if (r < 0)
		lsp_label_clean(err.message, strlen(err.message), problem, LSP_PROBLEM_MAX);
	if (r < 0 && strcmp(library->problem, problem) != 0)
		lsp_log_error("library", "%s", err.message);
	if (library->problem[0] && !problem[0])
		lsp_log_info("library", "the games folder \"%s\" is there again", library->path);
	library->unpublished = library->unpublished || strcmp(problem, library->problem) != 0;
	snprintf(library->problem, sizeof library->problem, "%s", problem);
	lsp_library_ready(library, &library->list_waiters);
}

/* ---- File events --------------------------------------------------------------------------- */

static struct lsp_local_game *find_owner(struct lsp_library *library, uint32_t owner)
{
	for (size_t i = 0; i < library->count; i++) {
		if (library->games[i]->owner == owner)
			return library->games[i];
	}
	return NULL;
}

/* Something with that name came, went or changed in the games folder itself. */
static struct lsp_local_game *find_named(struct lsp_library *library, const char *name)
{
	struct lsp_local_game *game = lsp_library_find_local(library, name);
	if (game || !library->dir || !name[0])
		return game;
	library->names_changed = true;
	return lsp_library_add_local(library, name);
}

static bool is_removed(const struct lsp_library *library, const char *name)
{
	_cleanup_free_ char *path = lsp_text_format("%s/%s", library->path, name);
	return path && access(path, F_OK) < 0;
}

static void take_event(void *argument, uint32_t owner, const char *name)
{
	struct lsp_library *library = argument;
	lsp_time now = lsp_library_now(library);
	if (owner == ROOT_OWNER && strcmp(name, ".lanspread") == 0 && is_removed(library, name))
		library->list_at = LSP_MIN(library->list_at, now + EVENT_DELAY); /* to renew it */
	if (lsp_text_starts_with(name, ".lanspread"))
		return;
	if (owner == ROOT_OWNER && !name[0])
		library->list_at = now; /* the folder itself was moved, removed or unmounted */
	struct lsp_local_game *game =
		owner == ROOT_OWNER ? find_named(library, name) : find_owner(library, owner);
	if (!game)
		return;
	lsp_time rest = LSP_MAX(LOOK_REST, 20 * game->look_cost);
	game->quiet_since = now;
	plan_look(game, LSP_MAX(now + EVENT_DELAY, game->looked_at + rest));
}

void lsp_library_take_events(struct lsp_library *library)
{
	if (library->watch && lsp_watch_read(library->watch, take_event, library))
		library->list_at = lsp_library_now(library); /* some were lost */
}
