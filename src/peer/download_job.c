#include "peer/download_job.h"

#include "base/fs.h"
#include "base/text.h"
#include "content/hasher.h"
#include "install/adopt.h"
#include "install/space.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/share.h"
#include "wire/message.h"
#include "wire/metainfo.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>

/* Another game of this machine. */
struct other {
	char game[LSP_GAME_ID_MAX + 1];
	const struct lsp_manifest *manifest;
};

struct lsp_download_job {
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_download *download;
	struct lsp_cancel *token; /* a child of the operation's */
	char *games_dir;
	struct lsp_games_dir_place place;  /* which folder that is */
	char problem[LSP_PROBLEM_MAX + 1]; /* with that, as the library knows; "": none */
	char game[LSP_GAME_ID_MAX + 1];
	struct lsp_hash content;
	const struct lsp_manifest *manifest;
	const struct lsp_manifest *local; /* what the folder holds now, or NULL */
	bool unknown_files;               /* the folder holds files that are no game yet */
	bool unserved;                    /* it holds a game whose manifest is still to be found */
	struct other *others;             /* other games here, for what they have in common */
	size_t other_count;
	struct lsp_stage *stage;
	char *torrent;
	char title[LSP_LABEL_MAX + 1];
	bool take_written, in_library;
	_Atomic uint64_t looked_at, to_look_at; /* of an OPEN: bytes of the pass that runs */
	struct lsp_download_result result;
};

static void job_free(struct lsp_download_job *job)
{
	for (size_t i = 0; i < job->other_count; i++)
		lsp_manifest_unref(job->others[i].manifest);
	free(job->others);
	lsp_manifest_unref(job->manifest);
	lsp_manifest_unref(job->local);
	lsp_manifest_unref(job->result.manifest);
	lsp_manifest_unref(job->result.local);
	lsp_stage_unref(job->stage);
	lsp_stage_unref(job->result.stage);
	lsp_cancel_unref(job->token);
	free(job->games_dir);
	free(job->torrent);
	free(job);
}

/* One that went away is not made anew: what is in its place is another disk. */
static int check_games_dir(const struct lsp_download_job *job, struct lsp_error *err)
{
	enum lsp_games_dir_found found = LSP_GAMES_DIR_OTHER;
	int r = lsp_games_dir_find(job->games_dir, &job->place, &found, NULL, err);
	if (r == 0 && found != LSP_GAMES_DIR_OTHER)
		return 0;
	if (r < 0 && r != -LSP_E_NOT_FOUND)
		return r;
	if (job->problem[0])
		return lsp_error_set(err, "peer", LSP_E_IO, "%s", job->problem);
	return lsp_error_set(err, "peer", LSP_E_NOT_FOUND,
		"the games folder \"%s\" is gone (was its disk unplugged, or the folder moved?): "
		"bring it back, or choose another with `lanspread games-dir PATH`, and get %s "
		"again",
		job->games_dir, job->game);
}

/* The game's folder, which may be a symlink of the user's to another disk. */
static int open_game_dir(
	const struct lsp_download_job *job, bool make, int *ret_fd, struct lsp_error *err)
{
	_cleanup_free_ char *path = lsp_text_format("%s/%s", job->games_dir, job->game);
	if (!path)
		return lsp_error_no_memory(err, "peer");
	int r = make ? check_games_dir(job, err) : 0;
	if (r == 0 && make)
		r = lsp_fs_make_dirs(path, false, err);
	return r < 0 ? r : lsp_fs_open_dir(path, ret_fd, err);
}

/* The manifest that a kept torrent tells, if it is of this content. Failing is no harm. */
static void find_in_torrent(struct lsp_download_job *job)
{
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	_cleanup_metainfo_ struct lsp_metainfo *metainfo = NULL;
	_cleanup_manifest_ const struct lsp_manifest *manifest = NULL;
	if (job->torrent && lsp_fs_read_file(job->torrent, LSP_METAINFO_MAX, &bytes, NULL) == 0 &&
		lsp_metainfo_parse(bytes.data, bytes.size, &metainfo, NULL) == 0 &&
		lsp_metainfo_manifest(metainfo, job->game, &manifest, NULL) == 0 &&
		lsp_hash_equal(&manifest->content_id, &job->content))
		job->result.manifest = TAKE_PTR(manifest);
}

/* Of a game that is to be looked at: nobody need give what is known. Failing is no harm. */
static void find_in_library(struct lsp_download_job *job)
{
	_cleanup_manifest_ const struct lsp_manifest *known = NULL;
	if (lsp_library_manifest(lsp_local_library(job->peer), job->game, &known, NULL) == 0 &&
		lsp_hash_equal(&known->content_id, &job->content))
		job->result.manifest = TAKE_PTR(known);
}

static int find(struct lsp_download_job *job, struct lsp_error *err)
{
	_cleanup_close_ int dir = -1;
	int r = open_game_dir(job, false, &dir, err);
	_cleanup_manifest_ const struct lsp_manifest *found = NULL;
	if (r == 0)
		r = lsp_stage_find(dir, &found, err);
	if (r == 0 && lsp_hash_equal(&found->content_id, &job->content))
		job->result.manifest = TAKE_PTR(found);
	else
		find_in_torrent(job);
	if (!job->result.manifest && job->in_library)
		find_in_library(job);
	return 0; /* not found, or not readable: then it is asked for */
}

static void note_progress(void *argument, uint64_t done, uint64_t total)
{
	struct lsp_download_job *job = argument;
	atomic_store(&job->looked_at, done);
	atomic_store(&job->to_look_at, total);
}

bool lsp_download_job_progress(
	const struct lsp_download_job *job, uint64_t *ret_done, uint64_t *ret_total)
{
	uint64_t total = atomic_load(&job->to_look_at), done = atomic_load(&job->looked_at);
	*ret_done = LSP_MIN(done, total); /* a pass may have begun between the two */
	*ret_total = total;
	return total > 0;
}

/* Takes from the other games here what is the same, the most promising first. Failing is no harm.
 */
static void adopt(struct lsp_download_job *job, int dir, struct lsp_stage *stage)
{
	size_t count = job->other_count, matches = 0;
	_cleanup_free_ struct lsp_adopt_candidate *candidates =
		calloc(count + 1, sizeof *candidates);
	_cleanup_free_ struct lsp_adopt_match *found = calloc(count + 1, sizeof *found);
	uint64_t gained = 0;
	if (job->unknown_files)
		(void)!lsp_adopt_folder(
			stage, dir, true, job->token, note_progress, job, &gained, NULL);
	if (!candidates || !found)
		return;
	for (size_t i = 0; i < count; i++)
		candidates[i] = (struct lsp_adopt_candidate){-1, job->others[i].manifest};
	if (lsp_adopt_rank(job->manifest, candidates, count, found, &matches, NULL) < 0)
		return;
	for (size_t i = 0; i < matches; i++) {
		struct other *other = &job->others[found[i].candidate];
		_cleanup_free_ char *path = lsp_text_format("%s/%s", job->games_dir, other->game);
		_cleanup_close_ int fd = -1;
		if (!path || lsp_fs_open_dir(path, &fd, NULL) < 0)
			continue;
		struct lsp_adopt_candidate one = {fd, other->manifest};
		(void)!lsp_adopt_run(stage, &one, 1, job->token, note_progress, job, &gained, NULL);
	}
}

/*
 * before: nothing was copied yet. Files that did not change stay in their place; all else takes
 * room, wherever it comes from, unless blocks can be shared. Afterwards the stage itself tells.
 */
static int check_space(const struct lsp_download_job *job, int dir, struct lsp_stage *stage,
	bool before, struct lsp_error *err)
{
	uint64_t needed = lsp_stage_space_needed(stage, before ? job->local : NULL);
	uint64_t free_bytes = 0;
	int r = lsp_fs_free_space(dir, &free_bytes, err);
	if (r < 0 || needed <= free_bytes)
		return r;
	if (before && (job->unknown_files || lsp_space_can_share(dir, LSP_STAGE_FOLDER)))
		return 0;
	char a[LSP_TEXT_SIZE_MAX], b[LSP_TEXT_SIZE_MAX];
	return lsp_error_set(err, "peer", LSP_E_NO_SPACE,
		"no space to download %s: %s (%llu bytes) needed, %s (%llu bytes) free; make room "
		"and get it again, what is there already is kept",
		job->game, lsp_text_size(needed, a), (unsigned long long)needed,
		lsp_text_size(free_bytes, b), (unsigned long long)free_bytes);
}

/*
 * The manifest of a game that is not served yet: we have just started, it was just copied in, or
 * its index is lost. Without it its files would be somebody's own and in the way.
 */
static int find_local(struct lsp_download_job *job, int dir)
{
	_cleanup_hashed_ struct lsp_hashed hashed = {0};
	struct lsp_hasher_options options = {.progress = note_progress, .progress_argument = job};
	if (lsp_library_manifest(lsp_local_library(job->peer), job->game, &job->local, NULL) == 0)
		return 0;
	int r = lsp_hasher_run(dir, job->game, &options, job->token, &hashed, NULL);
	if (r == 0)
		job->local = lsp_manifest_ref(hashed.manifest);
	return r == -LSP_E_CANCELLED ? r : 0;
}

static int open_stage(struct lsp_download_job *job, struct lsp_error *err)
{
	_cleanup_close_ int dir = -1;
	_cleanup_stage_ struct lsp_stage *stage = NULL;
	int r = open_game_dir(job, true, &dir, err);
	if (r == 0 && job->unserved)
		r = find_local(job, dir);
	if (r == 0)
		r = lsp_stage_open(dir, job->manifest, &stage, err);
	if (r == 0)
		r = lsp_stage_prepare(stage, job->token, note_progress, job, err);
	if (r == 0)
		r = check_space(job, dir, stage, true, err);
	if (r == 0 && job->local)
		r = lsp_stage_reuse(
			stage, dir, job->local, true, job->token, note_progress, job, err);
	if (r == 0 && job->take_written)
		r = lsp_stage_take_all_written(stage, job->token, err);
	if (r == 0)
		adopt(job, dir, stage);
	if (r == 0)
		r = check_space(job, dir, stage, false, err);
	if (r == 0) {
		job->result.stage = TAKE_PTR(stage);
		job->result.local = job->local ? lsp_manifest_ref(job->local) : NULL;
	}
	return r;
}

static void work(struct lsp_job *base)
{
	struct lsp_download_job *job = lsp_container_of(base, struct lsp_download_job, job);
	struct lsp_error *err = &base->error;
	switch (job->result.kind) {
	case LSP_DOWNLOAD_JOB_FIND:
		base->result = find(job, err);
		break;
	case LSP_DOWNLOAD_JOB_OPEN:
		base->result = open_stage(job, err);
		break;
	case LSP_DOWNLOAD_JOB_SYNC:
		base->result = lsp_stage_sync(job->stage, err);
		break;
	case LSP_DOWNLOAD_JOB_COMMIT:
		base->result = lsp_stage_commit(job->stage, job->local, err);
		if (base->result == 0)
			job->result.in_catalog =
				lsp_local_keep_title(job->peer, job->game, job->title);
		break;
	}
}

static void done(struct lsp_job *base)
{
	struct lsp_download_job *job = lsp_container_of(base, struct lsp_download_job, job);
	job->result.code = base->result;
	job->result.error = base->error;
	lsp_download_job_done(job->download, &job->result);
	job_free(job);
}

/* The other games here, so that a renamed or copied one costs no download. */
static void list_others(struct lsp_download_job *job, struct lsp_peer *peer)
{
	size_t room = lsp_local_snapshot(peer)->count + 1;
	struct lsp_share *share = NULL;
	const struct lsp_library_game *game = lsp_local_find(peer, job->game);
	job->unknown_files = game && game->state == LSP_LIBRARY_NOT_SHARED && game->file_count;
	job->unserved = game && game->state != LSP_LIBRARY_NOT_SHARED && !job->local;
	job->others = calloc(room, sizeof *job->others);
	while (job->others && job->other_count < room &&
		(share = lsp_shares_next(peer->shares, share))) {
		if (!lsp_share_has_source(share) || strcmp(lsp_share_game(share), job->game) == 0)
			continue;
		struct other *other = &job->others[job->other_count++];
		snprintf(other->game, sizeof other->game, "%s", lsp_share_game(share));
		other->manifest = lsp_manifest_ref(lsp_share_manifest(share));
	}
}

int lsp_download_job_start(struct lsp_peer *peer, struct lsp_download *download,
	const struct lsp_download_task *task, struct lsp_cancel *token,
	struct lsp_download_job **ret_job, struct lsp_error *err)
{
	struct lsp_download_job *job = calloc(1, sizeof *job);
	if (!job)
		return lsp_error_no_memory(err, "peer");
	job->peer = peer;
	job->download = download;
	job->games_dir = strdup(lsp_local_games_dir(peer));
	snprintf(job->game, sizeof job->game, "%s", task->game);
	job->place = lsp_local_snapshot(peer)->place;
	snprintf(job->problem, sizeof job->problem, "%s", lsp_local_snapshot(peer)->problem);
	job->content = *task->content;
	job->manifest = task->manifest ? lsp_manifest_ref(task->manifest) : NULL;
	job->local =
		task->local ? lsp_manifest_ref(task->local) : lsp_local_manifest(peer, task->game);
	job->stage = task->stage ? lsp_stage_ref(task->stage) : NULL;
	job->torrent = task->torrent ? strdup(task->torrent) : NULL;
	snprintf(job->title, sizeof job->title, "%s", task->title);
	job->take_written = task->take_written;
	job->in_library = task->in_library;
	job->result.kind = task->kind;
	if (task->kind == LSP_DOWNLOAD_JOB_OPEN)
		list_others(job, peer);
	job->job.work = work;
	job->job.done = done;
	int r = job->games_dir ? lsp_cancel_new(token, &job->token, err)
			       : lsp_error_no_memory(err, "peer");
	if (r == 0) {
		job->job.token = job->token;
		r = lsp_pool_submit(
			task->kind == LSP_DOWNLOAD_JOB_OPEN ? peer->prepare : peer->disk,
			peer->core, &job->job, err);
	}
	if (r < 0) {
		job_free(job);
		return r;
	}
	*ret_job = job;
	return 0;
}

void lsp_download_job_cancel(struct lsp_download_job *job)
{
	lsp_cancel_request(job->token, LSP_CANCEL_USER, "the download was cancelled");
}
