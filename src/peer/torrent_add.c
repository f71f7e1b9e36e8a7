#include "peer/torrent_add.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "peer/choice.h"
#include "peer/download.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/torrent_check.h"
#include "peer/torrent_files.h"
#include "peer/torrent_games.h"
#include "peer/torrent_kept.h"
#include "peer/torrent_late.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "torrent/sha1.h"
#include "wire/metainfo.h"
#include "wire/path.h"

#include <stdlib.h>
#include <string.h>

/* ---- A torrent file ---- */

/* A torrent on its way to be a game. */
struct adding {
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_call *call;          /* NULL: nobody waits for the answer */
	char game[LSP_GAME_ID_MAX + 1]; /* "" until the torrent's name is known */
	char id[LSP_SHA256_HEX_SIZE];   /* v2 info-hash; v1 where there is no v2 */
	struct lsp_buffer bytes;
	char *path; /* from which they are to be read first, or NULL */
	bool then_install;
	json_t *options; /* torrent_wish.h's; NULL: none */
	char *kept;      /* of a magnet, until the download is on the disk; NULL: of none */
	const struct lsp_manifest *manifest; /* NULL: it is known only once all is here */
};

static void adding_free(struct adding *adding)
{
	lsp_buffer_done(&adding->bytes);
	lsp_manifest_unref(adding->manifest);
	json_decref(adding->options);
	free(adding->path);
	free(adding->kept);
	free(adding);
}

/* It is a download, or will never be one. */
static void over(struct adding *adding)
{
	if (adding->kept)
		lsp_torrent_kept_over(adding->peer, adding->kept);
	adding_free(adding);
}

static void adding_failed(struct adding *adding, const struct lsp_error *error)
{
	if (adding->call)
		lsp_call_fail(adding->call, error);
	else
		lsp_peer_warn(adding->peer, "%s%sdoes not become a game: %s", adding->game,
			*adding->game ? " " : "the torrent ", error->message);
}

static void adding_done(struct adding *adding, const char *operation, const char *message)
{
	char content[LSP_SHA256_HEX_SIZE] = "";
	if (!adding->call)
		return;
	if (adding->manifest)
		lsp_hash_to_hex(&adding->manifest->content_id, content);
	lsp_call_answer_saved(adding->call,
		json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "operation", operation, "game",
			adding->game, "content", *content ? content : NULL, "torrent",
			*adding->id ? adding->id : NULL, "message", message));
}

static int take_name(
	struct adding *adding, const struct lsp_metainfo *metainfo, struct lsp_error *err)
{
	if (!adding->game[0]) {
		if (lsp_game_id_check(metainfo->name, strlen(metainfo->name), NULL) < 0)
			return lsp_error_set(err, "torrent", LSP_E_INVALID,
				"the torrent's name is no game id: give one with --set game=ID");
		snprintf(adding->game, sizeof adding->game, "%s", metainfo->name);
	}
	return 0;
}

static int take_id(
	struct adding *adding, const struct lsp_metainfo *metainfo, struct lsp_error *err)
{
	_cleanup_(lsp_sha1_free_pointer) struct lsp_sha1 *sha = NULL;
	uint8_t hash[LSP_SHA1_SIZE];
	if (metainfo->v2) {
		lsp_hash_to_hex(&metainfo->info_v2, adding->id);
		return 0;
	}
	int r = lsp_sha1_new(&sha, err);
	if (r < 0)
		return r;
	lsp_sha1_update(sha, metainfo->info, metainfo->info_size);
	lsp_sha1_take(sha, hash);
	lsp_text_to_hex(hash, sizeof hash, adding->id);
	return 0;
}

static void parse(struct lsp_job *job)
{
	struct adding *adding = lsp_container_of(job, struct adding, job);
	_cleanup_metainfo_ struct lsp_metainfo *metainfo = NULL;
	job->result = adding->path ? lsp_fs_read_file(adding->path, LSP_METAINFO_MAX,
					     &adding->bytes, &job->error)
				   : 0;
	if (job->result == 0)
		job->result = lsp_metainfo_parse(
			adding->bytes.data, adding->bytes.size, &metainfo, &job->error);
	if (job->result == -LSP_E_PROTOCOL)
		lsp_error_prefix(&job->error, job->result, "this is no torrent");
	if (job->result == 0)
		job->result = take_name(adding, metainfo, &job->error);
	if (job->result == 0)
		job->result = lsp_torrent_check_metainfo(metainfo, adding->game, &job->error);
	if (job->result == 0)
		job->result = take_id(adding, metainfo, &job->error);
	if (job->result < 0)
		return;
	job->result = lsp_metainfo_manifest(metainfo, adding->game, &adding->manifest, &job->error);
	if (job->result == -LSP_E_UNSUPPORTED)
		job->result = 0;
}

static bool is_content_of(const struct adding *adding, const struct lsp_hash *content)
{
	return content && lsp_hash_equal(content, &adding->manifest->content_id);
}

static bool is_here(const struct adding *adding)
{
	const struct lsp_library_game *local = lsp_local_find(adding->peer, adding->game);
	return adding->manifest && local && local->state == LSP_LIBRARY_READY &&
	       is_content_of(adding, &local->content);
}

/* A download of the same content, or NULL. */
static struct lsp_download *coming(const struct adding *adding)
{
	struct lsp_download *running = lsp_download_find(adding->peer, adding->game);
	return adding->manifest && running && is_content_of(adding, lsp_download_content(running))
		       ? running
		       : NULL;
}

/* What is in the way of a download of this content. */
static int check_free(struct adding *adding, struct lsp_error *err)
{
	const struct lsp_torrent_late *late = lsp_torrent_late_find(adding->peer, adding->game);
	if (is_here(adding) || coming(adding))
		return 0;
	if (adding->manifest && late && !lsp_torrent_late_runs(late))
		return lsp_error_set(err, "torrent", LSP_E_EXISTS,
			"%s was begun by another torrent: `lanspread get %s` goes on with that, "
			"`lanspread torrent remove %.12s --data` ends it",
			adding->game, adding->game, lsp_torrent_late_id(late));
	return lsp_torrent_check_id_free(adding->peer, adding->game, err);
}

static void pause_if_asked(const struct adding *adding)
{
	struct lsp_download *download = lsp_download_find(adding->peer, adding->game);
	/* A magnet that was paused has been resumed, or it would have no metadata. */
	if (download && !adding->kept && json_is_true(json_object_get(adding->options, "paused")))
		lsp_download_pause(download, true);
}

/* As the game's torrent from now on. */
static int record_and_start(struct adding *adding, struct lsp_error *err)
{
	struct lsp_peer *peer = adding->peer;
	struct lsp_download *running = coming(adding);
	int r = lsp_torrent_games_add_alias(
		peer, adding->game, &adding->manifest->content_id, adding->id, err);
	if (r < 0)
		return r;
	lsp_torrent_games_set_options(
		peer, adding->game, &adding->manifest->content_id, adding->options);
	if (is_here(adding)) {
		lsp_torrent_games_ready(peer, adding->game);
		adding_done(adding, "none", "it is here already, and is seeded now");
		return 0;
	}
	if (running) {
		lsp_download_set_engine(running, LSP_ENGINE_SWARM);
		pause_if_asked(adding);
		adding_done(adding, "downloading", "it was on its way already");
		return 0;
	}
	struct lsp_download_options options = {
		.content = &adding->manifest->content_id,
		.purpose = adding->then_install ? LSP_DOWNLOAD_THEN_INSTALL : LSP_DOWNLOAD_ONLY,
		.engine = LSP_ENGINE_SWARM,
		.manifest = adding->manifest,
	};
	r = lsp_download_start(peer, adding->game, &options, NULL, err);
	if (r < 0)
		return r;
	lsp_choice_remember(peer, adding->game, &adding->manifest->content_id);
	pause_if_asked(adding);
	adding_done(adding, "downloading", NULL);
	return 0;
}

/*
 * Its content is known and its torrent kept: a download like any other, by the torrent engine.
 * Where that does not begin, the game is known by what it was known by before.
 */
static int begin(struct adding *adding, struct lsp_error *err)
{
	json_t *before = NULL;
	int r = check_free(adding, err);
	if (r == 0)
		r = lsp_torrent_games_change(adding->peer, adding->game, &before, err);
	if (r < 0)
		return r;
	r = record_and_start(adding, err);
	lsp_torrent_games_changed(adding->peer, adding->game, before, r == 0);
	return r;
}

static void keep(struct lsp_job *job)
{
	struct adding *adding = lsp_container_of(job, struct adding, job);
	job->result = lsp_torrent_files_keep(adding->peer, adding->id, &adding->bytes, &job->error);
}

static void kept(struct lsp_job *job)
{
	struct adding *adding = lsp_container_of(job, struct adding, job);
	int r = job->result;
	if (adding->peer->stopping) {
		adding_free(adding);
		return;
	}
	if (r == 0)
		r = begin(adding, &job->error);
	if (r < 0)
		adding_failed(adding, &job->error);
	over(adding);
}

/* Its content is not known yet: a torrent that becomes a game when all of it is here. */
static int begin_late(struct adding *adding, struct lsp_error *err)
{
	struct lsp_torrent_late_source source = {
		.metainfo = &adding->bytes,
		.id = adding->id,
		.options = adding->options,
		.call = adding->call,
		.kept = adding->kept,
		.then_install = adding->then_install,
	};
	int r = lsp_torrent_late_start(adding->peer, adding->game, &source, err);
	if (r == 0)
		free(TAKE_PTR(adding->kept)); /* the engine's store has it soon */
	return r;
}

static void parsed(struct lsp_job *job)
{
	struct adding *adding = lsp_container_of(job, struct adding, job);
	struct lsp_peer *peer = adding->peer;
	int r = job->result;
	if (peer->stopping) {
		adding_free(adding);
		return;
	}
	if (r == 0)
		r = check_free(adding, &job->error);
	if (r == 0 && adding->manifest) {
		adding->job.work = keep;
		adding->job.done = kept;
		r = lsp_pool_submit(peer->state_pool, peer->core, &adding->job, &adding->job.error);
		if (r == 0)
			return;
	} else if (r == 0) {
		r = begin_late(adding, &job->error);
	}
	if (r < 0)
		adding_failed(adding, &job->error);
	over(adding);
}

static struct adding *adding_new(
	struct lsp_peer *peer, struct lsp_call *call, const char *game, json_t *options)
{
	struct adding *adding = calloc(1, sizeof *adding);
	if (!adding)
		return NULL;
	adding->peer = peer;
	adding->call = call;
	adding->options = json_incref(options);
	if (game)
		snprintf(adding->game, sizeof adding->game, "%s", game);
	adding->job.work = parse;
	adding->job.done = parsed;
	return adding;
}

static int adding_start(struct adding *adding, struct lsp_error *err)
{
	int r = lsp_pool_submit(adding->peer->disk, adding->peer->core, &adding->job, err);
	if (r < 0)
		adding_free(adding);
	return r;
}

static int add_game(struct lsp_peer *peer, struct lsp_call *call, const char *game,
	const char *kept_as, struct lsp_buffer *metainfo, json_t *options, struct lsp_error *err)
{
	struct adding *adding = adding_new(peer, call, game, options);
	if (!adding || (kept_as && !(adding->kept = strdup(kept_as)))) {
		if (adding)
			adding_free(adding);
		return lsp_error_no_memory(err, "peer");
	}
	adding->bytes = *metainfo;
	*metainfo = (struct lsp_buffer){0};
	return adding_start(adding, err);
}

int lsp_torrent_add_again(struct lsp_peer *peer, struct lsp_call *call, const char *game,
	bool then_install, struct lsp_error *err)
{
	struct lsp_hash content;
	struct adding *adding = adding_new(peer, call, game, lsp_torrent_games_options(peer, game));
	if (!adding)
		return lsp_error_no_memory(err, "peer");
	adding->then_install = then_install;
	if (!lsp_torrent_games_content(peer, game, &content) ||
		!lsp_torrent_games_alias(peer, game, &content, &adding->path)) {
		adding_free(adding);
		return lsp_error_set(
			err, "torrent", LSP_E_NOT_FOUND, "no torrent of %s is known here", game);
	}
	return adding_start(adding, err);
}

int lsp_torrent_add_game(struct lsp_peer *peer, struct lsp_call *call, const char *game,
	struct lsp_buffer *metainfo, json_t *options, struct lsp_error *err)
{
	return add_game(peer, call, game, NULL, metainfo, options, err);
}

/* Its content is what its id says; the manifest comes from who has it. */
static int begin_content(
	struct lsp_peer *peer, const char *game, const char *kept_as, struct lsp_error *err)
{
	struct lsp_hash content;
	char id[LSP_SHA256_HEX_SIZE];
	lsp_torrent_kept_id(kept_as, id);
	struct lsp_download_options options = {.content = &content, .engine = LSP_ENGINE_SWARM};
	int r = lsp_hash_from_hex(id, &content, err);
	if (r == 0)
		lsp_torrent_games_set_options(
			peer, game, &content, lsp_torrent_wish_options(peer, id));
	const struct lsp_library_game *local = lsp_local_find(peer, game);
	if (r == 0 && local && local->state == LSP_LIBRARY_READY &&
		lsp_hash_equal(&local->content, &content))
		lsp_torrent_games_share(peer, game, &content, NULL);
	else if (r == 0 && !lsp_download_find(peer, game))
		r = lsp_download_start(peer, game, &options, NULL, err);
	lsp_torrent_kept_over(peer, kept_as);
	return r;
}

int lsp_torrent_add_kept(struct lsp_peer *peer, const char *game, const char *kept_as,
	struct lsp_buffer *metainfo, struct lsp_error *err)
{
	char id[LSP_SHA256_HEX_SIZE];
	lsp_torrent_kept_id(kept_as, id);
	return metainfo->size ? add_game(peer, NULL, game, kept_as, metainfo,
					lsp_torrent_wish_options(peer, id), err)
			      : begin_content(peer, game, kept_as, err);
}
