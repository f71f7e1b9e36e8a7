#include "peer/torrent_add.h"

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
#include "peer/torrents.h"
#include "wire/metainfo.h"
#include "wire/path.h"

#include <stdlib.h>
#include <string.h>

/* How the engine's store remembers a magnet that is to become a game. */
#define CATEGORY "as-game"

/* ---- A torrent file ---- */

/* A torrent on its way to be a game. */
struct adding {
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_call *call;          /* NULL: nobody waits for the answer */
	char game[LSP_GAME_ID_MAX + 1]; /* "" until the torrent's name is known */
	char id[LSP_SHA256_HEX_SIZE];   /* v2 info-hash; "" for v1 */
	struct lsp_buffer bytes;
	char *kept; /* of a magnet, until the download is on the disk; NULL: of none */
	const struct lsp_manifest *manifest; /* NULL: it is known only once all is here */
};

static void adding_free(struct adding *adding)
{
	lsp_buffer_done(&adding->bytes);
	lsp_manifest_unref(adding->manifest);
	free(adding->kept);
	free(adding);
}

/* It is a download, or will never be one. */
static void over(struct adding *adding)
{
	if (adding->kept)
		lsp_torrent_kept_drop(adding->peer, adding->kept);
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
	lsp_call_answer(adding->call,
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

static void parse(struct lsp_job *job)
{
	struct adding *adding = lsp_container_of(job, struct adding, job);
	_cleanup_metainfo_ struct lsp_metainfo *metainfo = NULL;
	job->result =
		lsp_metainfo_parse(adding->bytes.data, adding->bytes.size, &metainfo, &job->error);
	if (job->result == -LSP_E_PROTOCOL)
		lsp_error_prefix(&job->error, job->result, "this is no torrent");
	if (job->result == 0)
		job->result = take_name(adding, metainfo, &job->error);
	if (job->result == 0)
		job->result = check_paths(metainfo, &job->error);
	if (job->result < 0)
		return;
	if (metainfo->v2)
		lsp_hash_to_hex(&metainfo->info_v2, adding->id);
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
	const struct lsp_library_game *local = lsp_local_find(adding->peer, adding->game);
	if (is_here(adding) || coming(adding))
		return 0;
	if (local && local->availability != LSP_AVAILABILITY_NONE &&
		local->availability != LSP_AVAILABILITY_LOCAL_ONLY)
		return lsp_error_set(err, "torrent", LSP_E_EXISTS,
			"there is a game \"%s\" here with another content: `lanspread remove %s` "
			"first, or give another id with --set game=ID",
			adding->game, adding->game);
	return 0;
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
	if (is_here(adding)) {
		lsp_torrent_games_ready(peer, adding->game);
		adding_done(adding, "none", "it is here already, and is seeded now");
		return 0;
	}
	if (running) {
		lsp_download_set_engine(running, LSP_ENGINE_SWARM);
		adding_done(adding, "downloading", "it was on its way already");
		return 0;
	}
	struct lsp_download_options options = {
		.content = &adding->manifest->content_id,
		.purpose = LSP_DOWNLOAD_ONLY,
		.engine = LSP_ENGINE_SWARM,
		.manifest = adding->manifest,
	};
	r = lsp_download_start(peer, adding->game, &options, NULL, err);
	if (r < 0) {
		(void)lsp_torrent_games_forget(peer, adding->id);
		return r;
	}
	lsp_choice_remember(peer, adding->game, &adding->manifest->content_id);
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
	int r = lsp_torrent_late_start(
		adding->peer, adding->game, &adding->bytes, adding->kept, err);
	if (r < 0)
		return r;
	free(TAKE_PTR(adding->kept)); /* the engine's store has it soon */
	adding_done(adding, "downloading", "its content is known once all of it is here");
	return 0;
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

static int add_game(struct lsp_peer *peer, struct lsp_call *call, const char *game,
	const char *kept_as, struct lsp_buffer *metainfo, struct lsp_error *err)
{
	struct adding *adding = calloc(1, sizeof *adding);
	if (!adding || (kept_as && !(adding->kept = strdup(kept_as)))) {
		free(adding);
		return lsp_error_no_memory(err, "peer");
	}
	adding->peer = peer;
	adding->call = call;
	adding->bytes = *metainfo;
	*metainfo = (struct lsp_buffer){0};
	if (game)
		snprintf(adding->game, sizeof adding->game, "%s", game);
	adding->job.work = parse;
	adding->job.done = parsed;
	int r = lsp_pool_submit(peer->disk, peer->core, &adding->job, err);
	if (r < 0)
		adding_free(adding);
	return r;
}

int lsp_torrent_add_game(struct lsp_peer *peer, struct lsp_call *call, const char *game,
	struct lsp_buffer *metainfo, struct lsp_error *err)
{
	return add_game(peer, call, game, NULL, metainfo, err);
}

/* Its content is what its id says; the manifest comes from who has it. */
static int begin_content(
	struct lsp_peer *peer, const char *game, const char *kept_as, struct lsp_error *err)
{
	struct lsp_hash content;
	char id[LSP_SHA256_HEX_SIZE];
	snprintf(id, sizeof id, "%.64s", kept_as);
	struct lsp_download_options options = {.content = &content, .engine = LSP_ENGINE_SWARM};
	int r = lsp_hash_from_hex(id, &content, err);
	if (r == 0 && !lsp_download_find(peer, game))
		r = lsp_download_start(peer, game, &options, NULL, err);
	lsp_torrent_kept_drop(peer, kept_as);
	return r;
}

int lsp_torrent_add_kept(struct lsp_peer *peer, const char *game, const char *kept_as,
	struct lsp_buffer *metainfo, struct lsp_error *err)
{
	return metainfo->size ? add_game(peer, NULL, game, kept_as, metainfo, err)
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
	char *kept; /* as what they are kept */
};

static void magnet_free(struct magnet *magnet)
{
	lsp_buffer_done(&magnet->bytes);
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

static void magnet_added(void *argument, struct lsp_torrent_answer *answer)
{
	struct magnet *magnet = argument;
	if (!answer) {
		magnet_free(magnet);
		return;
	}
	if (answer->result < 0) {
		lsp_call_fail(magnet->call, &answer->error);
	} else {
		const char *id = json_string_value(json_object_get(answer->value, "id"));
		lsp_call_answer(
			magnet->call, json_pack("{s:s, s:s, s:s*, s:s}", "operation",
					      "fetching_metadata", "torrent", id ? id : "", "game",
					      *magnet->game ? magnet->game : NULL, "message",
					      "it becomes a game once its metadata is here"));
	}
	magnet_free(magnet);
}

int lsp_torrent_add_magnet(struct lsp_peer *peer, struct lsp_call *call, const char *game,
	const char *link, struct lsp_error *err)
{
	struct magnet *magnet = magnet_new(peer, game, NULL);
	_cleanup_free_ char *folder = lsp_torrent_kept_folder(peer);
	if (!magnet || !folder) {
		free(magnet);
		return lsp_error_no_memory(err, "peer");
	}
	magnet->call = call;
	struct lsp_torrent_call through = {
		.command = LSP_TORRENT_ADD,
		.arguments = json_pack("{s:s, s:s, s:s, s:[s], s:o, s:s, s:s}", "magnet", link,
			"save_path", folder, "root", "files", "exclude", "**", "peers",
			lsp_torrents_lan_peers(peer), "category", CATEGORY, "game",
			game ? game : ""),
		.done = magnet_added,
		.argument = magnet,
	};
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

static void magnet_over(struct magnet *magnet, const struct lsp_error *error)
{
	if (error)
		lsp_peer_warn(magnet->peer, "the torrent %s does not become a game: %s", magnet->id,
			error->message);
	json_object_del(magnet->peer->torrent_adds, magnet->id);
	magnet_free(magnet);
}

static bool has_version(json_t *files)
{
	json_t *file;
	size_t index;
	json_array_foreach (files, index, file) {
		const char *path = json_string_value(json_object_get(file, "path"));
		if (path && strcmp(path, "version.ini") == 0)
			return true;
	}
	return false;
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
		lsp_torrent_kept_drop(peer, magnet->kept); /* it was removed meanwhile */
		magnet_free(magnet);
	} else {
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

/* Has somebody here the very content? Then the manifest comes from there. */
static bool is_known(const struct magnet *magnet)
{
	struct lsp_hash content, chosen;
	struct lsp_error err = {0};
	return lsp_hash_from_hex(magnet->id, &content, NULL) == 0 &&
	       lsp_choice_make(magnet->peer, magnet->game, &content, NULL, &chosen, NULL, &err) ==
		       0;
}

static void files_came(void *argument, struct lsp_torrent_answer *answer)
{
	struct magnet *magnet = argument;
	struct lsp_error err = {0};
	if (!answer) {
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
	int r = answer->result;
	if (r < 0)
		err = answer->error;
	else if (!magnet->game[0])
		r = lsp_error_set(&err, "torrent", LSP_E_INVALID,
			"its name is no game id: give one with --set game=ID");
	else if (!has_version(json_object_get(answer->value, "files")))
		r = lsp_error_set(&err, "torrent", LSP_E_INVALID, "it carries no version.ini");
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
	const char *category = json_string_value(json_object_get(status, "category"));
	const char *path = json_string_value(json_object_get(status, "save_path"));
	_cleanup_free_ char *folder = lsp_torrent_kept_folder(peer);
	return category && path && folder && strcmp(category, CATEGORY) == 0 &&
	       strcmp(path, folder) == 0;
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
		/* By us, and then this is told already; or by the user, who does not want it. */
		json_object_del(peer->torrent_adds, id);
		return;
	}
	if (strcmp(name, "torrent_metadata") != 0 && strcmp(name, "torrent_added") != 0)
		return;
	struct magnet *magnet = magnet_new(peer, game, id);
	if (magnet)
		ask_magnet(magnet, LSP_TORRENT_EXPORT, exported);
}
