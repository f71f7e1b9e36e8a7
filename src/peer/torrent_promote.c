/*
 * From a torrent's files to a game's stage.
 *
 * The files are hashed while the torrent seeds: until then nothing of it is changed, and a cancel
 * or a failure leaves a torrent that is whole. Then what is left of another stage goes, what
 * is about to happen is saved, the torrent leaves the session but not the engine's store, its files
 * become the stage by one rename, and the download of that content begins. Only when that is saved
 * does the store forget the torrent. So whenever the program is killed, either the torrent has the
 * files, or the promise says what the stage is.
 *
 * The same way a torrent that is not whole goes on by the LAN, with the manifest of who has it
 * there.
 */
#include "peer/torrent_late_private.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "content/hasher.h"
#include "content/stage.h"
#include "peer/download.h"
#include "peer/local.h"
#include "peer/manifests.h"
#include "peer/peer.h"
#include "peer/torrent_files.h"
#include "peer/torrent_games.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "task/operation.h"

#include <errno.h>
#include <string.h>

/* ---- The end of a step ---- */

/* It stays a torrent. What a new session puts right is no trouble: it is tried again. */
static void stumble(struct lsp_torrent_late *late, const struct lsp_error *error)
{
	late->busy = late->hashing = late->placing = late->to_lan = false;
	lsp_buffer_done(&late->metainfo);
	lsp_manifest_unref(TAKE_PTR(late->manifest));
	if (error && error->code != LSP_E_CLOSED && error->code != LSP_E_CANCELLED)
		late->trouble = *error;
	lsp_torrent_late_look(late);
}

static void work_begins(struct lsp_torrent_late *late)
{
	late->busy = true;
	late->hashed = 0;
}

/* ---- Forgetting ---- */

struct forgetting {
	struct lsp_job job;
	struct lsp_peer *peer;
	char id[LSP_SHA256_HEX_SIZE];
};

static void pass(struct lsp_job *job)
{
}

static void saved(struct lsp_job *job)
{
	struct forgetting *forgetting = lsp_container_of(job, struct forgetting, job);
	struct lsp_peer *peer = forgetting->peer;
	if (!peer->stopping) {
		lsp_torrents_tell(
			peer, LSP_TORRENT_FORGET, json_pack("{s:s}", "torrent", forgetting->id));
		lsp_torrent_wish_drop(peer, forgetting->id);
	}
	free(forgetting);
}

/*
 * Once what takes its place is saved. If the engine does not hear it any more, the next start has a
 * game where it has a torrent (see adopt).
 */
static void forget(struct lsp_torrent_late *late)
{
	struct forgetting *forgetting = calloc(1, sizeof *forgetting);
	if (!forgetting)
		return;
	forgetting->peer = late->peer;
	snprintf(forgetting->id, sizeof forgetting->id, "%s", late->id);
	forgetting->job = (struct lsp_job){.work = pass, .done = saved};
	/* One thread, in order: behind the saves. */
	if (lsp_pool_submit(late->peer->state_pool, late->peer->core, &forgetting->job, NULL) < 0)
		free(forgetting);
}

/* ---- The download ---- */

static bool is_promised(const json_t *promise, const char *key)
{
	return json_is_true(json_object_get(promise, key));
}

/* The game has this torrent, and what was asked of it. */
static int record(struct lsp_torrent_late *late, const struct lsp_hash *content, bool alias,
	struct lsp_error *err)
{
	struct lsp_peer *peer = late->peer;
	json_t *options = lsp_torrent_wish_options(peer, late->id);
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(content, hex);
	if (alias) {
		int r = lsp_torrent_games_add_alias(peer, late->game, content, late->id, err);
		if (r < 0)
			return r;
	} else if (strcmp(hex, late->id) == 0) {
		lsp_torrent_games_share(peer, late->game, content, NULL);
	}
	lsp_torrent_games_set_options(peer, late->game, content, options);
	return 0;
}

/* By the LAN it is another torrent: what is told to trackers was asked of this one alone. */
static void keep_options(struct lsp_torrent_late *late, const struct lsp_hash *content)
{
	static const char *const others[] = {"trackers", "trackers_set", "web_seeds"};
	json_t *options = json_copy(lsp_torrent_wish_options(late->peer, late->id));
	for (size_t i = 0; i < LSP_ARRAY_SIZE(others); i++)
		json_object_del(options, others[i]);
	lsp_torrent_games_set_options(late->peer, late->game, content, options);
	json_decref(options);
}

/*
 * The stage is there: a download like any other commits it, or goes on with it. 0: it has taken
 * over. Else the promise stands, and so does what the engine's store has.
 */
static int begin_download(
	struct lsp_torrent_late *late, const struct lsp_hash *content, struct lsp_error *err)
{
	struct lsp_peer *peer = late->peer;
	json_t *promise = lsp_torrent_wish_promise(peer, late->id);
	bool to_lan = is_promised(promise, "to_lan");
	struct lsp_download_options options = {
		.content = content,
		.purpose = late->then_install ? LSP_DOWNLOAD_THEN_INSTALL : LSP_DOWNLOAD_ONLY,
		.engine = LSP_ENGINE_SWARM, /* its files are looked at, which this engine wrote */
		.manifest = late->manifest,
	};
	int r = to_lan ? 0 : record(late, content, is_promised(promise, "alias"), err);
	lsp_operation_end(late->guard);
	if (r == 0)
		r = lsp_download_start(peer, late->game, &options, NULL, err);
	if (r < 0)
		return r;
	if (to_lan) {
		keep_options(late, content);
		lsp_download_set_engine(lsp_download_find(peer, late->game), LSP_ENGINE_LAN);
	}
	forget(late);
	late->id[0] = '\0'; /* until then the promise stands */
	lsp_torrent_late_over(late, NULL);
	return 0;
}

/* ---- The rename ---- */

static int open_game(const struct lsp_torrent_late *late, int *ret_fd, struct lsp_error *err)
{
	_cleanup_free_ char *path = lsp_text_format("%s/%s", late->games_dir, late->game);
	return path ? lsp_fs_open_dir(path, ret_fd, err) : lsp_error_no_memory(err, "peer");
}

/*
 * Only that says that something is not there. ENOTDIR does not: a link is where a folder should be,
 * and what it leads to nobody has looked at.
 */
static bool is_absence(const struct lsp_error *error)
{
	return error->sys_errno == ENOENT;
}

static int is_there(int game, const char *path, bool *ret_there, struct lsp_error *err)
{
	struct stat status;
	struct lsp_error why = {0};
	int r = lsp_fs_stat_below(game, path, &status, &why);
	if (r < 0 && !is_absence(&why)) {
		*err = why;
		return r;
	}
	*ret_there = r == 0;
	return 0;
}

/* Where they are not the torrent's any more, an earlier try has made them the stage. */
static void place(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	_cleanup_stage_ struct lsp_stage *stage = NULL;
	_cleanup_close_ int game = -1;
	struct lsp_error *err = &job->error;
	bool there = false;
	int r = open_game(late, &game, err);
	if (r == 0)
		r = is_there(game, LSP_TORRENT_LATE_FILES, &there, err);
	if (r == 0 && there)
		r = lsp_stage_remove(game, err);
	if (r == 0)
		r = lsp_stage_open(game, late->manifest, &stage, err);
	if (r == 0 && there)
		r = lsp_fs_remove_tree_below(game, LSP_STAGE_FOLDER "/files", err);
	if (r == 0 && there)
		r = lsp_fs_rename_below(
			game, LSP_TORRENT_LATE_FILES, game, LSP_STAGE_FOLDER "/files", err);
	if (r == 0)
		(void)!lsp_fs_remove_tree_below(game, LSP_TORRENT_LATE_FOLDER, NULL);
	job->result = r;
}

static void placed(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	struct lsp_error err = job->error;
	int r = job->result;
	if (late->peer->stopping)
		return;
	if (r == 0) {
		struct lsp_hash content = late->manifest->content_id;
		r = begin_download(late, &content, &err);
	}
	if (r == 0)
		return;
	/* The store still has it: it is tried again when it is wanted, or at the next start. */
	late->busy = late->placing = false;
	late->trouble = err;
	lsp_torrent_late_look(late);
}

void lsp_torrent_promote_again(struct lsp_torrent_late *late)
{
	if (late->busy)
		return;
	late->busy = late->placing = true;
	late->job = (struct lsp_job){.work = place, .done = placed};
	if (lsp_pool_submit(late->peer->disk, late->peer->core, &late->job, &late->trouble) < 0) {
		late->busy = late->placing = false;
		lsp_torrent_late_look(late);
	}
}

/* ---- Out of the session ---- */

/* It stays in the session. */
static void break_promise(struct lsp_torrent_late *late, const struct lsp_error *error)
{
	lsp_torrent_wish_set_promise(late->peer, late->id, NULL);
	if (!late->paused)
		lsp_torrent_late_tell(late, LSP_TORRENT_RESUME);
	stumble(late, error);
}

/*
 * Where the session breaks meanwhile, nobody knows whether it was still in it: the next session is
 * asked, with each tick.
 */
static void not_removed(struct lsp_torrent_late *late, const struct lsp_error *error)
{
	if (!late->leaves)
		lsp_log_info("torrent", "%s becomes a game once its torrent has left: %s",
			late->game, error->message);
	late->leaves = true;
}

static void removed(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_late *late = argument;
	if (!answer)
		return;
	late->leaving = false;
	if (answer->result < 0 && answer->result != -LSP_E_NOT_FOUND) {
		not_removed(late, &answer->error);
		return;
	}
	late->left = true;
	late->leaves = late->busy = false;
	lsp_torrent_promote_again(late);
}

void lsp_torrent_promote_leave(struct lsp_torrent_late *late)
{
	struct lsp_error err = {0};
	if (late->leaving)
		return;
	/* In the store, too: brought back, it must not begin to fetch what it does not find. */
	struct lsp_torrent_call pause = {
		.command = LSP_TORRENT_PAUSE, .arguments = json_pack("{s:s}", "torrent", late->id)};
	struct lsp_torrent_call call = {.command = LSP_TORRENT_REMOVE,
		.arguments = json_pack("{s:s, s:b}", "torrent", late->id, "keep", 1),
		.done = removed,
		.argument = late};
	int r = lsp_torrents_call(late->peer, &pause, &err);
	if (r == 0)
		r = lsp_torrents_call(late->peer, &call, &err);
	else
		json_decref(call.arguments);
	late->leaving = r == 0;
	if (r < 0)
		not_removed(late, &err);
}

/* A kill would have it fetched again: what cannot be kept is not begun. */
static void check_promise(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	job->result = lsp_torrent_wish_is_kept(
		late->peer, late->id, &late->manifest->content_id, &job->error);
}

static void promised(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	struct lsp_error err = job->error;
	if (late->peer->stopping)
		return;
	if (job->result < 0)
		break_promise(late, &err);
	else
		lsp_torrent_promote_leave(late);
}

static void save_promise(struct lsp_torrent_late *late)
{
	char hex[LSP_SHA256_HEX_SIZE];
	struct lsp_error err = {0};
	lsp_hash_to_hex(&late->manifest->content_id, hex);
	lsp_torrent_wish_set_promise(late->peer, late->id,
		json_pack("{s:s, s:b, s:b, s:b}", "content", hex, "to_lan", late->to_lan, "alias",
			late->metainfo.size > 0, "paused", late->paused));
	late->job = (struct lsp_job){.work = check_promise, .done = promised};
	/* One thread, in order: behind the save. */
	if (lsp_pool_submit(late->peer->state_pool, late->peer->core, &late->job, &err) < 0)
		break_promise(late, &err);
}

/* What the promise refers to is there first. */
static void keep(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	job->result = lsp_torrent_files_keep(late->peer, late->id, &late->metainfo, &job->error);
}

static void kept(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	struct lsp_error err = job->error;
	if (late->peer->stopping)
		return;
	if (job->result < 0)
		stumble(late, &err);
	else
		save_promise(late);
}

/* Once there is a promise, a stage is one that was made for it. */
static void clear_stage(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	_cleanup_close_ int game = -1;
	job->result = open_game(late, &game, &job->error);
	if (job->result == 0)
		job->result = lsp_stage_remove(game, &job->error);
}

static void stage_is_cleared(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	struct lsp_error err = job->error;
	if (late->peer->stopping)
		return;
	int r = job->result;
	if (r == 0 && !late->metainfo.size) {
		save_promise(late);
		return;
	}
	if (r == 0) {
		late->job = (struct lsp_job){.work = keep, .done = kept};
		r = lsp_pool_submit(late->peer->state_pool, late->peer->core, &late->job, &err);
	}
	if (r < 0)
		stumble(late, &err);
}

/* From here on it is too late to cancel. */
static void promise(struct lsp_torrent_late *late)
{
	struct lsp_error err = {0};
	late->hashing = false;
	late->placing = true;
	late->job = (struct lsp_job){.work = clear_stage, .done = stage_is_cleared};
	if (lsp_pool_submit(late->peer->disk, late->peer->core, &late->job, &err) < 0)
		stumble(late, &err);
}

/* ---- All of it is here ---- */

static void count_hashed(void *argument, uint64_t done, uint64_t total)
{
	struct lsp_torrent_late *late = argument;
	atomic_store(&late->hashed, done);
}

static void hash(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	_cleanup_hashed_ struct lsp_hashed hashed = {0};
	_cleanup_close_ int game = -1, files = -1;
	struct lsp_error *err = &job->error;
	struct lsp_hasher_options options = {.progress = count_hashed, .progress_argument = late};
	int r = open_game(late, &game, err);
	if (r == 0)
		r = lsp_fs_open_dir_below(game, LSP_TORRENT_LATE_FILES, &files, err);
	if (r == 0)
		r = lsp_hasher_run(files, late->game, &options, job->token, &hashed, err);
	if (r == 0)
		late->manifest = lsp_manifest_ref(hashed.manifest);
	job->result = r;
}

/* Somebody may have put another game there meanwhile, which nothing is to be laid over. */
static int check_free(const struct lsp_torrent_late *late, struct lsp_error *err)
{
	const struct lsp_library_game *local = lsp_local_find(late->peer, late->game);
	if (!local || local->state == LSP_LIBRARY_NOT_SHARED ||
		lsp_hash_equal(&local->content, &late->manifest->content_id))
		return 0;
	return lsp_error_set(err, "torrent", LSP_E_EXISTS,
		"there is a game \"%s\" here by now, with another content, which stays: `lanspread "
		"torrent remove %.12s --data` ends the torrent's",
		late->game, late->id);
}

static void is_hashed(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	struct lsp_error err = job->error;
	int r = job->result;
	if (late->peer->stopping)
		return;
	if (r == 0 && lsp_cancel_requested(lsp_operation_token(late->guard)))
		r = lsp_error_set(&err, "peer", LSP_E_CANCELLED, "cancelled");
	if (r == 0)
		r = check_free(late, &err);
	if (r < 0)
		stumble(late, &err);
	else
		promise(late);
}

static void exported(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_late *late = argument;
	struct lsp_error err = {0};
	if (!answer)
		return;
	if (answer->result < 0) {
		stumble(late, &answer->error);
		return;
	}
	/* What came by a magnet may not be able to tell its layers: then there is no alias. */
	late->metainfo = answer->bytes;
	answer->bytes = (struct lsp_buffer){0};
	late->job = (struct lsp_job){
		.work = hash, .done = is_hashed, .token = lsp_operation_token(late->guard)};
	if (lsp_pool_submit(late->peer->disk, late->peer->core, &late->job, &err) < 0)
		stumble(late, &err);
}

void lsp_torrent_promote(struct lsp_torrent_late *late)
{
	struct lsp_error err = {0};
	work_begins(late);
	late->hashing = true;
	if (lsp_torrents_ask(late->peer, LSP_TORRENT_EXPORT, late->id, exported, late, &err) < 0)
		stumble(late, &err);
}

/* ---- By the LAN ---- */

static void manifest_came(
	void *argument, const struct lsp_manifest *manifest, const struct lsp_error *error)
{
	struct lsp_torrent_late *late = argument;
	late->query = NULL;
	if (error) {
		lsp_peer_warn(
			late->peer, "%s does not go on by the LAN: %s", late->game, error->message);
		stumble(late, NULL);
		return;
	}
	if (lsp_cancel_requested(lsp_operation_token(late->guard))) {
		stumble(late, NULL);
		return;
	}
	late->manifest = lsp_manifest_ref(manifest);
	promise(late);
}

int lsp_torrent_promote_to_lan(
	struct lsp_torrent_late *late, const struct lsp_hash *content, struct lsp_error *err)
{
	int r = lsp_manifest_query(
		late->peer, late->game, content, manifest_came, late, &late->query, err);
	if (r == 0) {
		work_begins(late);
		late->to_lan = true;
	}
	return r;
}

/* ---- After a kill ---- */

#define NO_STAGE 1

/* Where the torrent has files now says nothing: the engine makes the empty ones anew. */
static int find_stage(int game, const struct lsp_manifest **ret_manifest, struct lsp_error *err)
{
	struct lsp_error why = {0};
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
	int r = lsp_stage_find(game, &manifest, &why);
	if (r == 0)
		r = lsp_fs_rmdir_below(game, LSP_STAGE_FOLDER "/files", &why);
	if (r == -LSP_E_EXISTS) { /* it stays, since it holds something */
		*ret_manifest = TAKE_PTR(manifest);
		return 0;
	}
	if (r == 0 || is_absence(&why))
		return NO_STAGE;
	*err = why;
	return r;
}

static void find(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	_cleanup_close_ int game = -1;
	job->result = open_game(late, &game, &job->error);
	if (job->result == 0)
		job->result = find_stage(game, &late->manifest, &job->error);
	else if (is_absence(&job->error))
		job->result = NO_STAGE;
}

/* It stands still, and the promise stands, until it is wanted; or the next start looks again. */
static void stray(struct lsp_torrent_late *late)
{
	lsp_manifest_unref(TAKE_PTR(late->manifest));
	late->astray = true;
	if (!late->guard && late->trouble.code)
		lsp_log_warning(
			"torrent", "%s stands still: %s", late->game, late->trouble.message);
	lsp_torrent_late_look(late);
}

/* Its files are the stage: what the engine has of it is nothing any more. */
static void become_download(struct lsp_torrent_late *late)
{
	struct lsp_peer *peer = late->peer;
	struct lsp_hash content = late->manifest->content_id;
	char game[sizeof late->game], id[sizeof late->id];
	memcpy(game, late->game, sizeof game);
	memcpy(id, late->id, sizeof id);
	if (begin_download(late, &content, &late->trouble) < 0)
		stray(late);
	else
		lsp_torrent_late_let_go(peer, game, id);
}

static void found(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	struct lsp_peer *peer = late->peer;
	struct lsp_hash content;
	if (peer->stopping)
		return;
	late->busy = false;
	if (job->result < 0) {
		late->trouble = job->error;
		stray(late);
		return;
	}
	if (job->result == 0 && lsp_torrent_wish_promised(peer, late->id, &content) &&
		lsp_hash_equal(&content, &late->manifest->content_id)) {
		if (late->guard)
			become_download(late);
		else
			stray(late);
		return;
	}
	late->held = late->astray = false;
	lsp_manifest_unref(TAKE_PTR(late->manifest));
	lsp_torrent_wish_set_promise(peer, late->id, NULL);
	if (late->guard && !late->paused)
		lsp_torrent_late_tell(late, LSP_TORRENT_RESUME);
	lsp_torrent_late_look(late);
}

void lsp_torrent_promote_restore(struct lsp_torrent_late *late)
{
	/* It is so already if the engine heard it. */
	lsp_torrent_late_tell(late, LSP_TORRENT_PAUSE);
	if (!late->astray)
		late->paused =
			is_promised(lsp_torrent_wish_promise(late->peer, late->id), "paused");
	late->busy = late->held = true;
	late->job = (struct lsp_job){.work = find, .done = found};
	if (lsp_pool_submit(late->peer->disk, late->peer->core, &late->job, &late->trouble) == 0)
		return;
	late->busy = false;
	stray(late);
}
