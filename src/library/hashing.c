/*
 * Hashing: one job a game, on the pool.
 *
 * A job has everything it needs: the path, a table of the hashes that are known, a token. What it
 * finds out on the way it puts into a second table, `fresh`, which the library's thread takes from
 * time to time and stores: a crash in the middle of a hundred gigabytes costs the last file or two.
 * When it has ended it goes back to the library's thread, which alone decides what it is good for.
 */
#include "library/library_private.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "task/cancel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRESH_BYTES (UINT64_C(256) << 20) /* hashed since the last store */

struct lsp_hash_job {
	struct lsp_job job;
	struct lsp_hash_job *next; /* in the library's list of finished ones */
	struct lsp_library *library;
	struct lsp_cancel *token;
	char id[LSP_GAME_ID_MAX + 1];
	char folder_id[LSP_FOLDER_ID_SIZE]; /* of the games folder */
	char *path;
	bool force;
	lsp_time begun;
	struct lsp_library_progress_box *progress; /* NULL: nobody looks */

	struct lsp_file_hashes hashes; /* what is known; the worker's while it runs */
	struct lsp_hashed hashed;
	struct lsp_fingerprint fingerprint; /* of what was hashed */

	pthread_mutex_t lock; /* fresh, fresh_bytes */
	struct lsp_file_hashes fresh;
	uint64_t fresh_bytes;
};

static void free_job(struct lsp_hash_job *job)
{
	if (!job)
		return;
	lsp_file_hashes_done(&job->hashes);
	lsp_file_hashes_done(&job->fresh);
	lsp_hashed_done(&job->hashed);
	lsp_library_progress_unref(job->progress);
	lsp_cancel_unref(job->token);
	pthread_mutex_destroy(&job->lock);
	free(job->path);
	free(job);
}

/* ---- On the pool --------------------------------------------------------------------------- */

static int look_up(void *argument, const char *path, const struct lsp_file_stamp *stamp,
	uint32_t piece_length, struct lsp_hash *ret_root, struct lsp_hash *ret_layer)
{
	struct lsp_hash_job *job = argument;
	if (job->force)
		return 0;
	const struct lsp_file_hash *known = lsp_file_hashes_find(
		&job->hashes, path, stamp->size, stamp->mtime_ns, stamp->ctime_ns);
	if (!known)
		return 0;
	if (stamp->size > piece_length) {
		if (known->piece_length != piece_length)
			return 0;
		memcpy(ret_layer, known->layer, known->layer_count * sizeof *ret_layer);
	}
	*ret_root = known->root;
	return 1;
}

static void remember(void *argument, const char *path, const struct lsp_file_stamp *stamp,
	uint32_t piece_length, const struct lsp_hash *root, const struct lsp_hash *layer,
	size_t layer_count)
{
	struct lsp_hash_job *job = argument;
	struct lsp_file_hash file = {.path = path,
		.size = stamp->size,
		.mtime_ns = stamp->mtime_ns,
		.ctime_ns = stamp->ctime_ns,
		.root = *root,
		.piece_length = layer_count > 0 ? piece_length : 0,
		.layer_count = (uint32_t)layer_count,
		.layer = layer,
		.used = true};
	/* Without memory for it the file is hashed again next time. */
	(void)!lsp_file_hashes_add(&job->hashes, &file, NULL);
	pthread_mutex_lock(&job->lock);
	(void)!lsp_file_hashes_add(&job->fresh, &file, NULL);
	job->fresh_bytes += stamp->size;
	bool wake = job->fresh_bytes >= FRESH_BYTES;
	pthread_mutex_unlock(&job->lock);
	if (wake)
		lsp_library_wake(job->library);
}

static void report(void *argument, uint64_t done, uint64_t total)
{
	struct lsp_hash_job *job = argument;
	if (job->progress) {
		job->progress->public.total = total;
		job->progress->public.done = done;
	}
}

static int hash(struct lsp_hash_job *job, struct lsp_error *err)
{
	_cleanup_close_ int dir = -1;
	int r = lsp_fs_open_dir(job->path, &dir, err);
	if (r < 0)
		return r;
	struct lsp_hash_cache_hooks cache = {look_up, remember, job};
	struct lsp_hasher_options options = {.cache = &cache,
		.progress = report,
		.progress_argument = job,
		.clock = job->library->options.clock};
	r = lsp_hasher_run(dir, job->id, &options, job->token, &job->hashed, err);
	if (r == 0)
		lsp_scan_fingerprint(
			&job->hashed.listing, lsp_scan_has_changes(dir), &job->fingerprint);
	return r;
}

static void work(struct lsp_job *base)
{
	struct lsp_hash_job *job = lsp_container_of(base, struct lsp_hash_job, job);
	base->result = hash(job, &base->error);
}

static void done(struct lsp_job *base)
{
	struct lsp_hash_job *job = lsp_container_of(base, struct lsp_hash_job, job);
	struct lsp_library *library = job->library;
	pthread_mutex_lock(&library->lock);
	job->next = library->finished;
	library->finished = job;
	pthread_cond_broadcast(&library->job_finished);
	/* Under the lock: once it is let go the library may be freed. */
	lsp_library_wake(library);
	pthread_mutex_unlock(&library->lock);
}

/* ---- Starting ------------------------------------------------------------------------------ */

/* The hashes that are known; without them (a damaged cache) everything is hashed. */
static void load_hashes(struct lsp_library *library, struct lsp_hash_job *job)
{
	struct lsp_error err = {0};
	for (int i = 0; i < 2; i++) { /* damage is healed by the second call */
		int r = lsp_hash_cache_load(library->index, job->id, &job->hashes, &err);
		if (r == 0)
			return;
		if (r != -LSP_E_CORRUPT)
			break;
	}
	lsp_log_warning("library", "%s", err.message);
}

static int new_job(struct lsp_library *library, struct lsp_local_game *game,
	struct lsp_hash_job **ret_job, struct lsp_error *err)
{
	struct lsp_hash_job *job = calloc(1, sizeof *job);
	if (!job)
		return lsp_error_no_memory(err, "library");
	pthread_mutex_init(&job->lock, NULL);
	job->library = library;
	snprintf(job->id, sizeof job->id, "%s", game->id);
	snprintf(job->folder_id, sizeof job->folder_id, "%s", library->dir->place.id);
	job->force = game->force;
	job->begun = lsp_library_now(library);
	job->progress = lsp_library_progress_ref(game->progress);
	job->path = lsp_text_format("%s/%s", library->dir->path, game->id);
	int r = job->path ? lsp_cancel_new(library->token, &job->token, err)
			  : lsp_error_no_memory(err, "library");
	if (r < 0) {
		free_job(job);
		return r;
	}
	load_hashes(library, job);
	job->job.work = work;
	job->job.done = done;
	job->job.token = job->token;
	*ret_job = job;
	return 0;
}

static int start_job(
	struct lsp_library *library, struct lsp_local_game *game, struct lsp_error *err)
{
	struct lsp_hash_job *job = NULL;
	int r = new_job(library, game, &job, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&library->lock);
	library->jobs_out++;
	pthread_mutex_unlock(&library->lock);
	if (library->options.pool) {
		r = lsp_pool_submit(library->options.pool, library->options.loop, &job->job, err);
	} else {
		work(&job->job);
		done(&job->job);
	}
	if (r < 0) {
		pthread_mutex_lock(&library->lock);
		library->jobs_out--;
		pthread_mutex_unlock(&library->lock);
		free_job(job);
		return r;
	}
	game->job = job;
	game->wants_hash = false;
	library->jobs++;
	return 0;
}

static struct lsp_local_game *smallest_waiting(struct lsp_library *library)
{
	struct lsp_local_game *best = NULL;
	lsp_time now = lsp_library_now(library);
	for (size_t i = 0; i < library->count; i++) {
		struct lsp_local_game *game = library->games[i];
		bool wants =
			game->wants_hash || (game->doubt_at <= now && lsp_library_is_ready(game));
		if (!wants || game->job || lsp_library_is_held(library, game->id))
			continue;
		if (!best || game->scan.size < best->scan.size)
			best = game;
	}
	return best;
}

void lsp_library_start_jobs(struct lsp_library *library)
{
	struct lsp_local_game *game;
	while (library->dir && library->jobs < LSP_LIBRARY_JOBS &&
		!lsp_cancel_requested(library->token) && (game = smallest_waiting(library))) {
		struct lsp_error err = {0};
		if (start_job(library, game, &err) < 0) {
			/* A full pool, no memory: what was planned is planned again a little later.
			 */
			lsp_log_debug(
				"library", "cannot hash \"%s\" now: %s", game->id, err.message);
			lsp_time later = lsp_library_now(library) + LSP_SECOND;
			game->wants_hash = false;
			if (game->doubt_at != LSP_TIME_NEVER)
				game->doubt_at = later;
			game->look_at = LSP_MIN(game->look_at, later);
			return;
		}
	}
}

void lsp_library_drop_job(struct lsp_library *library, struct lsp_local_game *game)
{
	if (!game->job)
		return;
	lsp_cancel_request(game->job->token, LSP_CANCEL_RELOAD, "the files changed");
	game->job = NULL;
}

/* ---- Taking the results -------------------------------------------------------------------- */

static void store_fresh(struct lsp_library *library, struct lsp_hash_job *job)
{
	struct lsp_file_hashes fresh;
	pthread_mutex_lock(&job->lock);
	fresh = job->fresh;
	job->fresh = (struct lsp_file_hashes){0};
	job->fresh_bytes = 0;
	pthread_mutex_unlock(&job->lock);
	struct lsp_error err = {0};
	bool same = library->dir && strcmp(library->dir->place.id, job->folder_id) == 0;
	if (same && fresh.count > 0 &&
		lsp_hash_cache_add(library->index, job->id, &fresh, &err) < 0)
		lsp_log_warning("library", "%s", err.message);
	lsp_file_hashes_done(&fresh);
}

static void describe_content(const struct lsp_local_game *game, const struct lsp_manifest *manifest,
	const struct lsp_fingerprint *fingerprint, struct lsp_index_game *ret_known)
{
	*ret_known = (struct lsp_index_game){.fingerprint = *fingerprint,
		.content = manifest->content_id,
		.size = manifest->total_size,
		.file_count = manifest->file_count,
		.chunk_count = manifest->chunk_count,
		.piece_length = manifest->piece_length};
	snprintf(ret_known->id, sizeof ret_known->id, "%s", game->id);
	snprintf(ret_known->version, sizeof ret_known->version, "%s", game->scan.version);
}

/* Keeps content and manifest. The game is ready even if the disk is full; a start hashes again. */
static void know(struct lsp_library *library, struct lsp_local_game *game,
	const struct lsp_manifest *manifest, const struct lsp_fingerprint *fingerprint)
{
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	struct lsp_error err = {0};
	describe_content(game, manifest, fingerprint, &game->known);
	game->is_known = true;
	game->force = false;
	game->damaged = false;
	game->hash_failed = false;
	int r = lsp_manifest_serialize(manifest, &bytes, &err);
	for (int i = 0; r == 0 && i < 2; i++) {
		r = lsp_library_index_put(
			library->index, &game->known, bytes.data, bytes.size, &err);
		if (r == -LSP_E_CORRUPT && i == 0)
			r = 0; /* the second call heals */
		else
			break;
	}
	if (r < 0)
		lsp_log_warning("library", "\"%s\" is hashed again at the next start: %s", game->id,
			err.message);
}

static void take_success(
	struct lsp_library *library, struct lsp_local_game *game, struct lsp_hash_job *job)
{
	struct lsp_error err = {0};
	lsp_time now = lsp_library_now(library);
	if (lsp_hash_cache_store(library->index, job->id, &job->hashes, true, &err) < 0)
		lsp_log_warning("library", "%s", err.message);
	lsp_log_info("library", "\"%s\" is hashed: %u files, %llu bytes, %llu of them read",
		game->id, job->hashed.manifest->file_count,
		(unsigned long long)job->hashed.manifest->total_size,
		(unsigned long long)job->hashed.bytes_read);
	know(library, game, job->hashed.manifest, &job->fingerprint);
	lsp_library_ready(library, &game->waiters);
	game->doubt_at = LSP_TIME_NEVER;
	if (!lsp_fingerprint_same_files(&job->fingerprint, &game->scan.fingerprint))
		game->look_at = now; /* it changed before it was hashed */
	else
		lsp_library_plan(library, game);
	if (job->hashed.settles_at) {
		uint64_t wall = lsp_wall(library->options.clock);
		uint64_t wait = job->hashed.settles_at > wall ? job->hashed.settles_at - wall : 0;
		game->doubt_at = now + LSP_MIN(wait, library->options.settle);
	}
}

static void take_failure(
	struct lsp_library *library, struct lsp_local_game *game, struct lsp_hash_job *job)
{
	lsp_time now = lsp_library_now(library);
	int error = job->job.error.sys_errno;
	game->doubt_at = LSP_TIME_NEVER;
	if (job->job.result == -LSP_E_CANCELLED || job->job.result == -LSP_E_NOT_FOUND) {
		game->look_at = now;
		return;
	}
	if (job->job.result == -LSP_E_BUSY) { /* it does not stop changing */
		game->quiet_since = now;
		game->look_at = now + library->options.settle;
		return;
	}
	char problem[LSP_PROBLEM_MAX + 1];
	lsp_label_clean(
		job->job.error.message, strlen(job->job.error.message), problem, LSP_PROBLEM_MAX);
	lsp_log_warning("library", "\"%s\" cannot be shared: %s", game->id, problem);
	snprintf(game->hash_problem, sizeof game->hash_problem, "%s", problem);
	game->failed_print = game->scan.fingerprint;
	game->hash_failed = true;
	game->is_known = false;
	game->force = false;
	game->damaged = false;
	lsp_library_ready(library, &game->waiters);
	game->hash_retry = error != 0 || job->job.result == -LSP_E_NO_MEMORY;
	if (game->hash_retry)
		game->look_at = LSP_MIN(game->look_at, now + LSP_LIBRARY_RETRY);
}

static void take_job(struct lsp_library *library, struct lsp_hash_job *job)
{
	library->jobs--;
	struct lsp_local_game *game = lsp_library_find_local(library, job->id);
	bool wanted = game && game->job == job && !lsp_library_is_held(library, game->id);
	if (game && game->job == job)
		game->job = NULL; /* held: an operation has the game now, and its end will look */
	if (!wanted || job->job.result != 0)
		store_fresh(library, job); /* what was read need not be read again */
	if (wanted && job->job.result == 0)
		take_success(library, game, job);
	else if (wanted)
		take_failure(library, game, job);
	free_job(job);
	pthread_mutex_lock(&library->lock);
	library->jobs_out--;
	pthread_mutex_unlock(&library->lock);
}

static struct lsp_hash_job *pop_finished(struct lsp_library *library)
{
	pthread_mutex_lock(&library->lock);
	struct lsp_hash_job *job = library->finished;
	if (job)
		library->finished = job->next;
	pthread_mutex_unlock(&library->lock);
	return job;
}

void lsp_library_take_jobs(struct lsp_library *library)
{
	struct lsp_hash_job *job;
	while ((job = pop_finished(library)))
		take_job(library, job);
	for (size_t i = 0; i < library->count; i++) {
		job = library->games[i]->job;
		if (!job)
			continue;
		if (lsp_library_is_held(library, job->id)) {
			lsp_library_drop_job(library, library->games[i]);
			continue;
		}
		pthread_mutex_lock(&job->lock);
		bool full = job->fresh_bytes >= FRESH_BYTES;
		pthread_mutex_unlock(&job->lock);
		if (full)
			store_fresh(library, job);
	}
}

void lsp_library_end_jobs(struct lsp_library *library)
{
	lsp_cancel_request(library->token, LSP_CANCEL_RUN_COMPLETED, NULL);
	pthread_mutex_lock(&library->lock);
	while (library->jobs_out > 0) {
		struct lsp_hash_job *job = library->finished;
		if (!job) {
			pthread_cond_wait(&library->job_finished, &library->lock);
			continue;
		}
		library->finished = job->next;
		library->jobs_out--;
		pthread_mutex_unlock(&library->lock);
		store_fresh(library, job);
		struct lsp_local_game *game = lsp_library_find_local(library, job->id);
		if (game && game->job == job)
			game->job = NULL; /* the game is let go after this */
		free_job(job);
		pthread_mutex_lock(&library->lock);
	}
	pthread_mutex_unlock(&library->lock);
}

/* ---- A manifest that an operation vouches for ---------------------------------------------- */

static bool is_listing_of(const struct lsp_listing *listing, const struct lsp_manifest *manifest)
{
	if (listing->count != manifest->file_count)
		return false;
	for (size_t i = 0; i < listing->count; i++) {
		const struct lsp_listing_file *have = &listing->files[i];
		const struct lsp_manifest_file *want = &manifest->files[i];
		if (strcmp(have->path, want->path) != 0 || have->stamp.size != want->size ||
			have->executable != want->executable)
			return false;
	}
	return true;
}

static int store_files(struct lsp_library *library, const char *id,
	const struct lsp_listing *listing, const struct lsp_manifest *manifest, bool use_changes,
	struct lsp_error *err)
{
	_cleanup_file_hashes_ struct lsp_file_hashes hashes = {0};
	int r = 0;
	for (size_t i = 0; r == 0 && i < listing->count; i++) {
		const struct lsp_file_stamp *stamp = &listing->files[i].stamp;
		const struct lsp_manifest_file *file = &manifest->files[i];
		bool layered = file->chunk_count > 1;
		struct lsp_file_hash hash = {.path = file->path,
			.size = file->size,
			.mtime_ns = stamp->mtime_ns,
			.ctime_ns = use_changes ? stamp->ctime_ns : 0,
			.root = file->root,
			.piece_length = layered ? manifest->piece_length : 0,
			.layer_count = layered ? file->chunk_count : 0,
			.layer = file->layer,
			.used = true};
		if (file->size > 0)
			r = lsp_file_hashes_add(&hashes, &hash, err);
	}
	return r < 0 ? r : lsp_hash_cache_store(library->index, id, &hashes, true, err);
}

void lsp_library_believe(struct lsp_library *library, struct lsp_local_game *game,
	const struct lsp_manifest *manifest)
{
	_cleanup_close_ int dir = -1;
	_cleanup_free_ char *path = lsp_text_format("%s/%s", library->dir->path, game->id);
	_cleanup_listing_ struct lsp_listing listing = {0};
	struct lsp_error err = {0};
	int r = path ? lsp_fs_open_dir(path, &dir, &err) : -LSP_E_NO_MEMORY;
	if (r == 0)
		r = lsp_listing_read(dir, NULL, &listing, &err);
	if (r < 0 || !is_listing_of(&listing, manifest) || strcmp(manifest->name, game->id) != 0)
		return; /* then it is hashed */
	bool use_changes = lsp_scan_has_changes(dir);
	struct lsp_fingerprint fingerprint;
	lsp_scan_fingerprint(&listing, use_changes, &fingerprint);
	r = store_files(library, game->id, &listing, manifest, use_changes, &err);
	if (r < 0)
		lsp_log_warning("library", "%s", err.message);
	know(library, game, manifest, &fingerprint);
	game->doubt_at = LSP_TIME_NEVER;
}
