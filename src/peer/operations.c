#include "peer/operations.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "content/stage.h"
#include "install/add.h"
#include "install/install.h"
#include "library/library.h"
#include "peer/announce.h"
#include "peer/damage.h"
#include "peer/events.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/share.h"
#include "peer/torrent_games.h"
#include "task/operation.h"
#include "wire/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_INTERVAL (100 * LSP_MILLISECOND)

/* One operation in its task. The task owns it while it runs; then the core loop. */
struct run {
	struct lsp_peer *peer;
	struct lsp_operation *guard;
	const char *name; /* "install": the prefix of its events */
	int (*work)(struct run *run, struct lsp_error *err);
	char game[LSP_GAME_ID_MAX + 1];
	char *games_dir;

	bool purge, pack;
	char *path, *title, *version;
	struct lsp_stage *stage;
	const struct lsp_manifest *manifest; /* what the folder holds, or NULL */
	void (*staged)(void *argument, bool committed);
	void *staged_argument;

	/* Written by the task, read on the loop after its post. */
	struct lsp_install_result result;
	bool remove_folder, committed;
	int code;
	struct lsp_error error;

	/* A verify is over when it is cancelled; the library's answer comes when it comes. */
	struct lsp_cancel_callback on_cancel;
	struct lsp_post cancel_post;
	bool cancel_posted;      /* settled once on_cancel is unregistered */
	bool given_up, answered; /* the loop's */
	json_t *damaged_files;   /* what it found, or NULL */

	/* Progress on its way to the loop. */
	lsp_time next_progress;
	atomic_bool posted;
	struct lsp_post progress_post, done_post;
	const char *phase;
	_Atomic uint64_t done, total;
};

static void run_free(struct run *run)
{
	lsp_operation_unref(run->guard);
	lsp_stage_unref(run->stage);
	lsp_manifest_unref(run->manifest);
	free(run->games_dir);
	free(run->path);
	free(run->title);
	free(run->version);
	json_decref(run->damaged_files);
	free(run);
}

static void publish(struct run *run, const char *what, json_t *members)
{
	char name[32];
	snprintf(name, sizeof name, "%s_%s", run->name, what);
	json_t *event = json_pack("{s:s, s:s}", "event", name, "game", run->game);
	if (event && members)
		json_object_update(event, members);
	json_decref(members);
	lsp_events_publish(run->peer->events, event);
}

/* ---- In the task ---- */

static void progress_came(void *argument)
{
	struct run *run = argument;
	json_t *members = json_pack("{s:I, s:I, s:s*}", "done", (json_int_t)atomic_load(&run->done),
		"total", (json_int_t)atomic_load(&run->total), "phase", run->phase);
	atomic_store(&run->posted, false); /* from here on the task writes it again */
	publish(run, "progress", members);
}

static void progress(void *argument, const char *phase, uint64_t done, uint64_t total)
{
	struct run *run = argument;
	lsp_time now = lsp_peer_now(run->peer);
	atomic_store(&run->done, done);
	atomic_store(&run->total, total);
	if (atomic_load(&run->posted) || (now < run->next_progress && done < total))
		return;
	run->phase = phase;
	run->next_progress = now + PROGRESS_INTERVAL;
	atomic_store(&run->posted, true);
	if (lsp_loop_post_node(run->peer->core, &run->progress_post, progress_came, run, NULL) < 0)
		atomic_store(&run->posted, false);
}

static int open_game(const struct run *run, int *ret_fd, struct lsp_error *err)
{
	_cleanup_free_ char *path = lsp_text_format("%s/%s", run->games_dir, run->game);
	return path ? lsp_fs_open_dir(path, ret_fd, err) : lsp_error_no_memory(err, "peer");
}

static struct lsp_install_options options_of(struct run *run)
{
	return (struct lsp_install_options){
		.unpacker = run->peer->unpacker,
		.token = lsp_operation_token(run->guard),
		.progress = progress,
		.argument = run,
	};
}

static int work_install(struct run *run, struct lsp_error *err)
{
	_cleanup_close_ int dir = -1;
	struct lsp_install_options options = options_of(run);
	int r = open_game(run, &dir, err);
	return r < 0 ? r : lsp_install(dir, &options, &run->result, err);
}

static int work_uninstall(struct run *run, struct lsp_error *err)
{
	_cleanup_close_ int dir = -1;
	struct lsp_install_options options = options_of(run);
	int r = open_game(run, &dir, err);
	return r < 0 ? r : lsp_uninstall(dir, run->purge, &options, &run->result, err);
}

/* The paths of a manifest, in an array to be freed. */
static const char **paths_of(const struct lsp_manifest *manifest)
{
	const char **paths = calloc(manifest->file_count + 1, sizeof *paths);
	for (uint32_t i = 0; paths && i < manifest->file_count; i++)
		paths[i] = manifest->files[i].path;
	return paths;
}

/* It is empty; what somebody puts there meanwhile keeps it. */
static void remove_folder(const struct run *run)
{
	_cleanup_close_ int games = -1;
	struct lsp_error err = {0};
	if (lsp_fs_open_dir(run->games_dir, &games, NULL) == 0 &&
		lsp_fs_rmdir_below(games, run->game, &err) < 0 && err.sys_errno == ENOTDIR)
		(void)!lsp_fs_unlink_below(games, run->game, NULL); /* a link to it */
}

static int work_remove(struct run *run, struct lsp_error *err)
{
	_cleanup_close_ int dir = -1;
	struct lsp_install_options options = options_of(run);
	_cleanup_free_ const char **paths = run->manifest ? paths_of(run->manifest) : NULL;
	bool empty = false;
	int r = open_game(run, &dir, err);
	if (r == -LSP_E_NOT_FOUND)
		return 0; /* it has never had a folder, or somebody was quicker */
	if (r == 0)
		r = lsp_remove_download(dir, paths, run->manifest ? run->manifest->file_count : 0,
			&options, &empty, err);
	if (r == 0 && empty)
		remove_folder(run);
	return r;
}

static int work_add(struct run *run, struct lsp_error *err)
{
	_cleanup_close_ int games = -1;
	_cleanup_(lsp_add_result_done) struct lsp_add_result result = {0};
	struct lsp_add_options options = {
		.game = run->game,
		.version = run->version,
		.pack = run->pack,
		.token = lsp_operation_token(run->guard),
		.progress = progress,
		.argument = run,
	};
	int r = lsp_fs_open_dir(run->games_dir, &games, err);
	if (r == 0)
		r = lsp_add(games, run->path, &options, &result, err);
	if (r == 0)
		lsp_local_add_to_catalog(
			run->peer, run->game, run->title, run->version, result.size, result.cover);
	return r;
}

struct steps {
	struct lsp_stage *stage;
	const struct lsp_manifest *old;
};

static int add_stage_steps(void *argument, struct lsp_redo *redo, struct lsp_error *err)
{
	struct steps *steps = argument;
	return lsp_stage_add_steps(steps->stage, steps->old, redo, err);
}

static int work_update(struct run *run, struct lsp_error *err)
{
	_cleanup_close_ int dir = -1;
	struct lsp_install_options options = options_of(run);
	const struct lsp_manifest *manifest = lsp_stage_manifest(run->stage);
	_cleanup_free_ const char **paths = paths_of(manifest);
	struct steps steps = {run->stage, run->manifest};
	struct lsp_install_update update = {
		.overlay = LSP_STAGE_FOLDER "/files",
		.paths = paths,
		.path_count = manifest->file_count,
		.add_steps = add_stage_steps,
		.argument = &steps,
	};
	int r = paths ? open_game(run, &dir, err) : lsp_error_no_memory(err, "peer");
	if (r == 0)
		r = lsp_stage_settle(run->stage, err);
	if (r == 0)
		r = lsp_install_update(dir, &update, &options, &run->result, err);
	if (r == 0) {
		run->committed = true;
		lsp_stage_committed(run->stage);
	}
	return r;
}

/* ---- Back on the loop ---- */

static void conclude(struct run *run)
{
	lsp_operation_end(run->guard);
	lsp_torrent_games_ready(run->peer, run->game);
	if (run->version)
		lsp_local_catalog_changed(run->peer);
	lsp_announce_game(run->peer->announce, run->game);
	lsp_games_publish_local(run->peer);
	if (run->code < 0) {
		lsp_log_warning("peer", "%s of %s: %s", run->name, run->game, run->error.message);
		publish(run, "failed",
			json_pack("{s:o, s:O*}", "error", lsp_error_to_json(&run->error), "files",
				run->damaged_files));
	} else {
		publish(run, "finished",
			json_pack("{s:s*, s:I}", "kept",
				run->result.kept[0] ? run->result.kept : NULL, "kept_files",
				(json_int_t)run->result.kept_files));
	}
}

static void settled(void *argument)
{
	struct run *run = argument;
	if (run->staged)
		run->staged(run->staged_argument, run->committed);
	conclude(run);
	run_free(run);
}

static void ended(void *argument)
{
	struct run *run = argument;
	lsp_local_release(run->peer, run->game,
		run->committed ? lsp_stage_manifest(run->stage) : NULL, settled, run);
}

static int task(struct lsp_cancel *token, void *argument, struct lsp_error *err)
{
	struct run *run = argument;
	run->code = run->work(run, &run->error);
	lsp_loop_post_reserved(run->peer->core, &run->done_post, ended, run);
	return 0; /* a failure is told by its event */
}

static int begin_task(struct run *run, struct lsp_error *err)
{
	struct lsp_peer *peer = run->peer;
	int r = lsp_loop_reserve(peer->core, err);
	if (r < 0)
		return r;
	bool begins = !run->stage; /* an update has begun with its download */
	r = lsp_tasks_spawn(peer->tasks, run->name, LSP_TASK_MAINTENANCE, task, run, NULL, err);
	if (r < 0)
		lsp_loop_unreserve(peer->core);
	else if (begins)
		publish(run, "begin", NULL); /* what the task says comes through this loop, later */
	return r;
}

static int start(struct run *run, enum lsp_operation_kind kind, struct lsp_error *err)
{
	struct lsp_peer *peer = run->peer;
	int r = run->games_dir ? 0 : lsp_error_no_memory(err, "peer");
	if (r == 0 && !run->guard)
		r = lsp_operation_begin(
			peer->operations, run->game, kind, peer->root, &run->guard, err);
	if (r == 0)
		r = lsp_local_hold(peer, run->game, err);
	if (r == 0) {
		r = begin_task(run, err);
		if (r < 0)
			lsp_local_release(peer, run->game, NULL, NULL, NULL);
	}
	if (r < 0)
		run_free(run);
	return r;
}

static struct run *run_new(struct lsp_peer *peer, const char *game, const char *name,
	int (*work)(struct run *run, struct lsp_error *err), struct lsp_error *err)
{
	struct run *run = calloc(1, sizeof *run);
	if (!run) {
		lsp_error_no_memory(err, "peer");
		return NULL;
	}
	run->peer = peer;
	run->name = name;
	run->work = work;
	snprintf(run->game, sizeof run->game, "%s", game);
	run->games_dir = strdup(lsp_local_games_dir(peer));
	run->manifest = lsp_local_manifest(peer, game);
	return run;
}

int lsp_operations_install(struct lsp_peer *peer, const char *game, struct lsp_error *err)
{
	struct run *run = run_new(peer, game, "install", work_install, err);
	return run ? start(run, LSP_OPERATION_INSTALLING, err) : -LSP_E_NO_MEMORY;
}

int lsp_operations_uninstall(
	struct lsp_peer *peer, const char *game, bool purge, struct lsp_error *err)
{
	struct run *run = run_new(peer, game, "uninstall", work_uninstall, err);
	if (!run)
		return -LSP_E_NO_MEMORY;
	run->purge = purge;
	return start(run, LSP_OPERATION_UNINSTALLING, err);
}

int lsp_operations_remove(struct lsp_peer *peer, const char *game, struct lsp_error *err)
{
	struct run *run = run_new(peer, game, "remove", work_remove, err);
	int r = run ? start(run, LSP_OPERATION_REMOVING, err) : -LSP_E_NO_MEMORY;
	if (r == 0)
		lsp_torrent_games_gone(peer, game);
	return r;
}

/*
 * ---- Verify: the library does the work ----
 *
 * When the verify is cancelled the operation ends at once, and the library is told to stop; it goes
 * on only with what was seen damaged, which is not shared before it was looked at. Two come for a
 * run, in any order: the library's answer, always, and the post of a cancel, if there was one. The
 * first concludes it, the last frees it.
 */

static void give_up(void *argument)
{
	struct run *run = argument;
	run->given_up = true;
	if (run->answered) {
		run_free(run);
		return;
	}
	run->code = lsp_error_set(&run->error, "peer", LSP_E_CANCELLED,
		"cancelled before all of %s was looked at", run->game);
	conclude(run);
}

/* In whichever thread cancels. */
static void verify_cancelled(void *argument)
{
	struct run *run = argument;
	run->cancel_posted = true;
	if (lsp_loop_post_node(run->peer->core, &run->cancel_post, give_up, run, NULL) < 0)
		run->cancel_posted = false;
	lsp_library_stop_recheck(lsp_local_library(run->peer), run->game);
}

static void tell_damage(struct run *run)
{
	_cleanup_free_ char *text = lsp_damage_text(run->peer, run->game);
	run->code = lsp_error_set(&run->error, "peer", LSP_E_CORRUPT, "%s",
		text ? text : "its files are damaged; get it again");
	run->damaged_files = json_incref(lsp_damage_files(run->peer, run->game));
}

static void judge(struct run *run)
{
	const struct lsp_library_game *game = lsp_local_find(run->peer, run->game);
	bool same = game && game->state == LSP_LIBRARY_READY && run->manifest &&
		    lsp_hash_equal(&game->content, &run->manifest->content_id);
	if (lsp_cancel_requested(lsp_operation_token(run->guard)))
		run->code = lsp_error_set(&run->error, "peer", LSP_E_CANCELLED,
			"cancelled before all of %s was looked at", run->game);
	else if (game && game->state == LSP_LIBRARY_HASHING)
		run->code = lsp_error_set(&run->error, "peer", LSP_E_CLOSED,
			"the library stopped before all of %s was looked at", run->game);
	else if (game && game->state == LSP_LIBRARY_NOT_SHARED)
		run->code = lsp_error_set(&run->error, "peer", LSP_E_CORRUPT,
			"%s is not as a game has to be: %s", run->game, game->problem);
	else if (lsp_damage_is(run->peer, game, NULL))
		tell_damage(run);
	else if (!same && run->manifest)
		run->code = lsp_error_set(&run->error, "peer", LSP_E_CORRUPT,
			"the files of %s are not what they were: somebody changed them; `lanspread "
			"remove %s` and get it again",
			run->game, run->game);
	conclude(run);
}

/* The last sample; the others are told by lsp_games_flush. */
static void tell_end(struct run *run)
{
	const struct lsp_library_game *game = lsp_local_find(run->peer, run->game);
	if (!game || game->state != LSP_LIBRARY_READY ||
		lsp_cancel_requested(lsp_operation_token(run->guard)))
		return;
	run->phase = "hashing";
	atomic_store(&run->done, game->size);
	atomic_store(&run->total, game->size);
	progress_came(run);
}

static void verified(void *argument)
{
	struct run *run = argument;
	lsp_cancel_unregister(&run->on_cancel);
	run->answered = true;
	if (!run->given_up) {
		tell_end(run);
		judge(run);
	}
	if (run->given_up || !run->cancel_posted)
		run_free(run);
}

int lsp_operations_verify(struct lsp_peer *peer, const char *game, struct lsp_error *err)
{
	struct run *run = run_new(peer, game, "verify", NULL, err);
	if (!run)
		return -LSP_E_NO_MEMORY;
	int r = lsp_operation_begin(
		peer->operations, game, LSP_OPERATION_VERIFYING, peer->root, &run->guard, err);
	if (r < 0) {
		run_free(run);
		return r;
	}
	publish(run, "begin", NULL);
	lsp_cancel_register(
		lsp_operation_token(run->guard), &run->on_cancel, verify_cancelled, run);
	lsp_local_recheck(peer, game, verified, run);
	return 0;
}

int lsp_operations_add(struct lsp_peer *peer, const struct lsp_operations_add_options *options,
	struct lsp_error *err)
{
	struct run *run = run_new(peer, options->game, "add", work_add, err);
	if (!run)
		return -LSP_E_NO_MEMORY;
	run->path = strdup(options->path);
	run->title = options->title ? strdup(options->title) : NULL;
	run->version = strdup(options->version);
	run->pack = options->pack;
	if (!run->path || !run->version) {
		run_free(run);
		return lsp_error_no_memory(err, "peer");
	}
	return start(run, LSP_OPERATION_ADDING, err);
}

int lsp_operations_update(struct lsp_peer *peer, struct lsp_operation *guard,
	struct lsp_stage *stage, const struct lsp_manifest *old,
	void (*staged)(void *argument, bool committed), void *argument, struct lsp_error *err)
{
	struct run *run = run_new(peer, lsp_operation_game(guard), "update", work_update, err);
	if (!run) {
		lsp_operation_unref(guard);
		return -LSP_E_NO_MEMORY;
	}
	run->guard = guard;
	lsp_manifest_unref(run->manifest);
	run->manifest = old ? lsp_manifest_ref(old) : NULL;
	run->stage = lsp_stage_ref(stage);
	run->staged = staged;
	run->staged_argument = argument;
	return start(run, LSP_OPERATION_UPDATING, err);
}

/* ---- Recovery
 * ------------------------------------------------------------------------------------------------
 */

static void recovered(void *argument, const char *game, const struct lsp_error *error,
	const struct lsp_install_result *result)
{
	if (error && error->code)
		lsp_log_error("install", "%s cannot be repaired: %s", game, error->message);
	else
		lsp_log_info("install", "%s: what was interrupted is put right%s%s", game,
			result && result->kept[0] ? ", files of yours are in " : "",
			result ? result->kept : "");
}

void lsp_operations_recover(struct lsp_peer *peer, const char *games_dir)
{
	_cleanup_close_ int dir = -1;
	struct lsp_error err = {0};
	struct lsp_recovery recovery = {.report = recovered, .token = peer->root};
	int r = lsp_fs_open_dir(games_dir, &dir, &err);
	if (r == 0)
		r = lsp_install_recover_all(dir, &recovery, &err);
	if (r < 0)
		lsp_log_warning("install", "recovery: %s", err.message);
}
