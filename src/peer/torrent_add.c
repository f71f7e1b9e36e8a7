#include "peer/torrent_add.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "peer/choice.h"
#include "peer/download.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/peer.h"
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

/* What a magnet brought, and what was asked of it, is where it belongs. */
static void drop_kept(struct lsp_peer *peer, const char *kept)
{
	char id[LSP_SHA256_HEX_SIZE];
	lsp_torrent_kept_id(kept, id);
	lsp_torrent_kept_drop(peer, kept);
	lsp_torrent_wish_drop(peer, id);
}

/* It is a download, or will never be one. */
static void over(struct adding *adding)
{
	if (adding->kept)
		drop_kept(adding->peer, adding->kept);
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
	if (metainfo->single || !lsp_metainfo_find(metainfo, "version.ini"))
		return lsp_error_set(err, "torrent", LSP_E_INVALID,
			"\"%s\" carries no version.ini, so it is no game: add it without --as-game",
			metainfo->name);
	return 0;
}

/* Before a byte of it is fetched: one whose content is known late would fail at its end. */
static int check_paths(const struct lsp_metainfo *metainfo, struct lsp_error *err)
{
	for (size_t i = 0; i < metainfo->file_count; i++) {
		const struct lsp_metainfo_file *file = &metainfo->files[i];
		int r = lsp_path_check(file->path, strlen(file->path), err);
		if (r < 0)
			return lsp_error_prefix(err, r, "no game may have the torrent's files");
		if (file->symlink)
			return lsp_error_set(err, "torrent", LSP_E_INVALID,
				"\"%.300s\" is a symbolic link, which no game may have",
				file->path);
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
		job->result = check_paths(metainfo, &job->error);
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

static int check_id_free(const struct lsp_peer *peer, const char *game, struct lsp_error *err)
{
	const struct lsp_library_game *local = lsp_local_find(peer, game);
	if (local && local->availability != LSP_AVAILABILITY_NONE &&
		local->availability != LSP_AVAILABILITY_LOCAL_ONLY)
		return lsp_error_set(err, "torrent", LSP_E_EXISTS,
			"there is a game \"%s\" here with another content: `lanspread remove %s` "
			"first, or give another id with --set game=ID",
			game, game);
	return 0;
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
	return check_id_free(adding->peer, adding->game, err);
}

static void pause_if_asked(const struct adding *adding)
{
	struct lsp_download *download = lsp_download_find(adding->peer, adding->game);
	/* A magnet that was paused has been resumed, or it would have no metadata. */
	if (download && !adding->kept && json_is_true(json_object_get(adding->options, "paused")))
		lsp_download_pause(download, true);
}

/* Its content is known and its torrent kept: a download like any other, by the torrent engine. */
static int begin(struct adding *adding, struct lsp_error *err)
{
	struct lsp_peer *peer = adding->peer;
	struct lsp_download *running = coming(adding);
	int r = check_free(adding, err);
	if (r == 0)
		r = lsp_torrent_games_add_alias(
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
	if (r < 0) {
		(void)lsp_torrent_games_forget(peer, adding->id);
		return r;
	}
	lsp_choice_remember(peer, adding->game, &adding->manifest->content_id);
	pause_if_asked(adding);
	adding_done(adding, "downloading", NULL);
	return 0;
}

static void keep(struct lsp_job *job)
{
	struct adding *adding = lsp_container_of(job, struct adding, job);
	job->result = lsp_torrent_games_keep(adding->peer, adding->id, &adding->bytes, &job->error);
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
		r = lsp_pool_submit(peer->disk, peer->core, &adding->job, &adding->job.error);
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
	drop_kept(peer, kept_as);
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

/* ---- A magnet link ---- */

/* One whose metadata is fetched, on one of its steps. */
struct magnet {
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_call *call;
	char game[LSP_GAME_ID_MAX + 1];
	char id[LSP_SHA256_HEX_SIZE];
	struct lsp_buffer bytes;
	json_t *options; /* until the engine has it; or NULL */
	char *kept;      /* as what the bytes are kept */
};

static void magnet_free(struct magnet *magnet)
{
	lsp_buffer_done(&magnet->bytes);
	json_decref(magnet->options);
	free(magnet->kept);
	free(magnet);
}

static struct magnet *magnet_new(struct lsp_peer *peer, const char *game, const char *id)
{
	struct magnet *magnet = calloc(1, sizeof *magnet);
	if (!magnet)
		return NULL;
	magnet->peer = peer;
	snprintf(magnet->game, sizeof magnet->game, "%s", game ? game : "");
	snprintf(magnet->id, sizeof magnet->id, "%s", id ? id : "");
	return magnet;
}

/* It is here, and is a game's download: which goes on. */
static bool goes_on(struct magnet *magnet, const char *id)
{
	const char *game = lsp_torrent_late_game(magnet->peer, id);
	struct lsp_torrent_late *late = game ? lsp_torrent_late_find(magnet->peer, game) : NULL;
	struct lsp_error err = {0};
	if (!late)
		return false;
	if (lsp_torrent_late_go_on(late, &err) < 0)
		lsp_call_fail(magnet->call, &err);
	else
		lsp_call_answer(magnet->call,
			json_pack("{s:s, s:s, s:s, s:s}", "operation", "downloading", "game", game,
				"torrent", id, "message", "it was on its way already"));
	return true;
}

static void magnet_added(void *argument, struct lsp_torrent_answer *answer)
{
	struct magnet *magnet = argument;
	if (!answer) {
		magnet_free(magnet);
		return;
	}
	const char *id = json_string_value(json_object_get(answer->value, "id"));
	if (answer->result == -LSP_E_EXISTS && id && goes_on(magnet, id)) {
		magnet_free(magnet);
		return;
	}
	if (answer->result < 0) {
		lsp_call_fail(magnet->call, &answer->error);
	} else {
		lsp_torrent_wish_keep(magnet->peer, id ? id : "", magnet->options);
		lsp_call_answer_saved(
			magnet->call, json_pack("{s:s, s:s, s:s*, s:s}", "operation",
					      "fetching_metadata", "torrent", id ? id : "", "game",
					      *magnet->game ? magnet->game : NULL, "message",
					      "it becomes a game once its metadata is here"));
	}
	magnet_free(magnet);
}

int lsp_torrent_add_magnet(struct lsp_peer *peer, struct lsp_call *call, const char *game,
	const char *link, json_t *options, struct lsp_error *err)
{
	struct magnet *magnet = magnet_new(peer, game, NULL);
	_cleanup_free_ char *folder = lsp_torrent_kept_folder(peer);
	if (!magnet || !folder) {
		free(magnet);
		return lsp_error_no_memory(err, "peer");
	}
	magnet->call = call;
	magnet->options = json_incref(options);
	struct lsp_torrent_call through = {
		.command = LSP_TORRENT_ADD,
		.arguments = json_pack("{s:s, s:s, s:s, s:[s], s:o, s:s, s:s}", "magnet", link,
			"save_path", folder, "root", "files", "exclude", "**", "peers",
			lsp_torrents_lan_peers(peer), "category", LSP_TORRENT_WISH_CATEGORY, "game",
			game ? game : ""),
		.done = magnet_added,
		.argument = magnet,
	};
	lsp_torrent_wish_apply(through.arguments, options, LSP_TORRENT_STAGE_METADATA);
	int r = lsp_torrents_call(peer, &through, err);
	if (r < 0)
		magnet_free(magnet);
	return r;
}

/* Where it cannot be asked, it is at the next start again. */
static void ask_magnet(struct magnet *magnet, enum lsp_torrent_command command,
	void (*done)(void *argument, struct lsp_torrent_answer *answer))
{
	if (lsp_torrents_ask(magnet->peer, command, magnet->id, done, magnet, NULL) < 0)
		magnet_free(magnet);
}

static void magnet_removed(void *argument, struct lsp_torrent_answer *answer)
{
	struct magnet *magnet = argument;
	struct lsp_error err = {0};
	if (answer) {
		json_object_del(magnet->peer->torrent_adds, magnet->id);
		if (lsp_torrent_add_kept(
			    magnet->peer, magnet->game, magnet->kept, &magnet->bytes, &err) < 0)
			lsp_peer_warn(magnet->peer, "the torrent %s does not become a game: %s",
				magnet->id, err.message);
	}
	magnet_free(magnet);
}

/* ---- Metadata without its piece layers: the content is not known by it ---- */

/* One that is to be no game goes: there is none of it yet, and it may be added again. */
static void magnet_over(struct magnet *magnet, const struct lsp_error *error)
{
	if (error) {
		lsp_peer_warn(magnet->peer, "the torrent %s does not become a game: %s", magnet->id,
			error->message);
		lsp_torrent_wish_drop(magnet->peer, magnet->id);
		lsp_torrents_tell(magnet->peer, LSP_TORRENT_REMOVE,
			json_pack("{s:s}", "torrent", magnet->id));
	}
	json_object_del(magnet->peer->torrent_adds, magnet->id);
	magnet_free(magnet);
}

static int check_files(json_t *files, struct lsp_error *err)
{
	json_t *file;
	size_t index;
	bool has_version = false;
	json_array_foreach (files, index, file) {
		const char *path = json_string_value(json_object_get(file, "path"));
		int r = lsp_path_check(path ? path : "", path ? strlen(path) : 0, err);
		if (r < 0)
			return lsp_error_prefix(err, r, "no game may have the torrent's files");
		has_version |= strcmp(path, "version.ini") == 0;
	}
	return has_version
		       ? 0
		       : lsp_error_set(err, "torrent", LSP_E_INVALID, "it carries no version.ini");
}

static void write_kept(struct lsp_job *job)
{
	struct magnet *magnet = lsp_container_of(job, struct magnet, job);
	job->result =
		lsp_torrent_kept_write(magnet->peer, magnet->kept, &magnet->bytes, &job->error);
}

/* Now it may leave the session, and with it the engine's store. */
static void kept_written(struct lsp_job *job)
{
	struct magnet *magnet = lsp_container_of(job, struct magnet, job);
	struct lsp_peer *peer = magnet->peer;
	if (peer->stopping) {
		magnet_free(magnet);
	} else if (job->result < 0) {
		magnet_over(magnet, &job->error);
	} else if (!json_object_get(peer->torrent_adds, magnet->id)) {
		drop_kept(peer, magnet->kept); /* it was removed meanwhile */
		magnet_free(magnet);
	} else {
		/* By us, which says nothing of what the user wants. */
		json_object_set_new(peer->torrent_adds, magnet->id, json_null());
		ask_magnet(magnet, LSP_TORRENT_REMOVE, magnet_removed);
	}
}

static void keep_magnet(struct magnet *magnet)
{
	struct lsp_error err = {0};
	magnet->kept = lsp_torrent_kept_name(magnet->id, magnet->game);
	magnet->job.work = write_kept;
	magnet->job.done = kept_written;
	int r = magnet->kept ? lsp_pool_submit(magnet->peer->state_pool, magnet->peer->core,
				       &magnet->job, &err)
			     : lsp_error_no_memory(&err, "peer");
	if (r < 0)
		magnet_over(magnet, &err);
}

static bool is_here_already(const struct magnet *magnet)
{
	const struct lsp_library_game *local = lsp_local_find(magnet->peer, magnet->game);
	struct lsp_hash content;
	return local && local->state == LSP_LIBRARY_READY &&
	       lsp_hash_from_hex(magnet->id, &content, NULL) == 0 &&
	       lsp_hash_equal(&local->content, &content);
}

/* Has somebody here the very content, or have we? Then the manifest comes from there. */
static bool is_known(const struct magnet *magnet)
{
	struct lsp_hash content, chosen;
	struct lsp_error err = {0};
	if (is_here_already(magnet))
		return true;
	return lsp_hash_from_hex(magnet->id, &content, NULL) == 0 &&
	       lsp_choice_make(magnet->peer, magnet->game, &content, NULL, &chosen, NULL, &err) ==
		       0;
}

static void files_came(void *argument, struct lsp_torrent_answer *answer)
{
	struct magnet *magnet = argument;
	struct lsp_error err = {0};
	/* Two events may have asked, and the other's answer came first. */
	if (!answer || !json_object_get(magnet->peer->torrent_adds, magnet->id)) {
		magnet_free(magnet);
		return;
	}
	if (answer->result == 0 && !json_array_size(json_object_get(answer->value, "files"))) {
		magnet_free(magnet); /* no metadata yet */
		return;
	}
	const char *name = json_string_value(
		json_object_get(lsp_torrents_known(magnet->peer->torrents, magnet->id), "name"));
	if (!magnet->game[0] && name && lsp_game_id_check(name, strlen(name), NULL) == 0)
		snprintf(magnet->game, sizeof magnet->game, "%s", name);
	if (answer->result < 0) { /* the next session, or start, asks again */
		lsp_log_warning("torrent", "%s", answer->error.message);
		magnet_free(magnet);
		return;
	}
	int r = 0;
	if (!magnet->game[0])
		r = lsp_error_set(&err, "torrent", LSP_E_INVALID,
			"its name is no game id: give one with --set game=ID");
	else
		r = check_files(json_object_get(answer->value, "files"), &err);
	if (r == 0 && !is_here_already(magnet))
		r = check_id_free(magnet->peer, magnet->game, &err);
	if (r == 0 && is_known(magnet)) {
		keep_magnet(magnet); /* its id says all */
		return;
	}
	if (r == 0)
		r = lsp_torrent_late_take(magnet->peer, magnet->game, magnet->id, &err);
	magnet_over(magnet, r < 0 ? &err : NULL);
}

/* The metadata is here: the torrent has done its part. */
static void exported(void *argument, struct lsp_torrent_answer *answer)
{
	struct magnet *magnet = argument;
	if (!answer || answer->result < 0 ||
		!json_object_get(magnet->peer->torrent_adds, magnet->id)) {
		magnet_free(magnet);
		return;
	}
	if (!answer->bytes.size) { /* its layers are missing, or all of it */
		ask_magnet(magnet, LSP_TORRENT_FILES, files_came);
		return;
	}
	magnet->bytes = answer->bytes;
	answer->bytes = (struct lsp_buffer){0};
	keep_magnet(magnet);
}

bool lsp_torrent_add_is_magnet(const struct lsp_peer *peer, const json_t *status)
{
	const char *path = json_string_value(json_object_get(status, "save_path"));
	_cleanup_free_ char *folder = lsp_torrent_kept_folder(peer);
	/* Its category it may have lost, or somebody changed it. */
	return path && folder && strcmp(path, folder) == 0;
}

/* Also after a restart: what waits for its metadata is in the engine's store, and nowhere else. */
static void recognise(struct lsp_peer *peer, const char *id, const json_t *status)
{
	const char *game = json_string_value(json_object_get(status, "game"));
	if (lsp_torrent_add_is_magnet(peer, status))
		json_object_set_new(peer->torrent_adds, id, json_string(game ? game : ""));
}

void lsp_torrent_add_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event)
{
	lsp_torrent_late_event(peer, name, id, event);
	if (strcmp(name, "torrent_added") == 0)
		recognise(peer, id, json_object_get(event, "status"));
	const char *game = json_string_value(json_object_get(peer->torrent_adds, id));
	if (!game)
		return;
	if (strcmp(name, "torrent_removed") == 0) {
		json_object_del(peer->torrent_adds, id);
		lsp_torrent_wish_drop(peer, id);
		return;
	}
	if (strcmp(name, "torrent_settings") == 0)
		lsp_torrent_wish_update(peer, id, json_object_get(event, "settings"));
	if (strcmp(name, "torrent_metadata") != 0 && strcmp(name, "torrent_added") != 0)
		return;
	struct magnet *magnet = magnet_new(peer, game, id);
	if (magnet)
		ask_magnet(magnet, LSP_TORRENT_EXPORT, exported);
}
