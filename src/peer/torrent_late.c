#include "peer/torrent_late.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "content/hasher.h"
#include "content/redo.h"
#include "content/stage.h"
#include "peer/download.h"
#include "peer/events.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/torrent_games.h"
#include "peer/torrent_kept.h"
#include "peer/torrents.h"
#include "task/operation.h"
#include "wire/path.h"

#include <string.h>

#include <utlist.h>

#define FOLDER LSP_REDO_PRIVATE "/torrent"
#define FILES FOLDER "/files"

struct lsp_torrent_late {
	struct lsp_torrent_late *prev, *next;
	struct lsp_peer *peer;
	char game[LSP_GAME_ID_MAX + 1];
	char id[LSP_SHA256_HEX_SIZE]; /* "" until the engine has it */
	struct lsp_operation *guard;
	bool moving; /* into its folder: `moved` is still to come */
	bool asking; /* whether it is whole */
	bool whole;  /* it has left the session, or is about to */
	bool ending; /* cancelled, or failed: told already */
	bool gone;   /* its torrent was removed, and not by us */
	struct lsp_buffer metainfo;
	char *kept; /* NULL: it is not, or is in the engine's store by now */

	/* The job that makes a stage of it. */
	struct lsp_job job;
	char *games_dir;
	const struct lsp_manifest *manifest;
};

static void late_free(struct lsp_torrent_late *late)
{
	lsp_operation_unref(late->guard);
	lsp_buffer_done(&late->metainfo);
	lsp_manifest_unref(late->manifest);
	free(late->games_dir);
	free(late->kept);
	free(late);
}

void lsp_torrent_late_free_all(struct lsp_peer *peer)
{
	struct lsp_torrent_late *late, *next;
	DL_FOREACH_SAFE(peer->torrent_lates, late, next)
	{
		DL_DELETE(peer->torrent_lates, late);
		late_free(late);
	}
}

static void publish(struct lsp_torrent_late *late, const char *what, json_t *members)
{
	json_t *event = json_pack("{s:s, s:s}", "event", what, "game", late->game);
	if (event && members)
		json_object_update(event, members);
	json_decref(members);
	lsp_events_publish(late->peer->events, event);
}

/* The game is free again; whoever waits learns why. */
static void finish(struct lsp_torrent_late *late, const struct lsp_error *error)
{
	struct lsp_peer *peer = late->peer;
	DL_DELETE(peer->torrent_lates, late);
	lsp_operation_unref(TAKE_PTR(late->guard));
	lsp_games_publish_local(peer);
	if (error)
		publish(late, "download_failed",
			json_pack("{s:o}", "error", lsp_error_to_json(error)));
	late_free(late);
}

static int late_new(struct lsp_peer *peer, const char *game, struct lsp_torrent_late **ret_late,
	struct lsp_error *err)
{
	struct lsp_torrent_late *late = calloc(1, sizeof *late);
	if (!late || !(late->games_dir = strdup(lsp_local_games_dir(peer)))) {
		free(late);
		return lsp_error_no_memory(err, "peer");
	}
	late->peer = peer;
	snprintf(late->game, sizeof late->game, "%s", game);
	int r = lsp_operation_begin(
		peer->operations, game, LSP_OPERATION_DOWNLOADING, peer->root, &late->guard, err);
	if (r < 0) {
		late_free(late);
		return r;
	}
	DL_APPEND(peer->torrent_lates, late);
	*ret_late = late;
	return 0;
}

/* ---- Beginning ---- */

/* Its own folder, for as long as nobody knows what it is. */
static char *folder_of(const struct lsp_torrent_late *late)
{
	return lsp_text_format("%s/%s/" FOLDER, late->games_dir, late->game);
}

/* Hands over the call that it begins with. */
static int begin(
	struct lsp_torrent_late *late, struct lsp_torrent_call *call, struct lsp_error *err)
{
	call->argument = late;
	int r = lsp_torrents_call(late->peer, call, err);
	if (r < 0)
		finish(late, NULL);
	else
		publish(late, "download_begin", NULL);
	return r;
}

static void added(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_late *late = argument;
	if (!answer)
		return;
	const char *id = json_string_value(json_object_get(answer->value, "id"));
	if (late->kept)
		lsp_torrent_kept_drop(late->peer, late->kept);
	free(TAKE_PTR(late->kept));
	if (answer->result == 0 && id)
		snprintf(late->id, sizeof late->id, "%s", id);
	else
		finish(late, &answer->error);
}

int lsp_torrent_late_start(struct lsp_peer *peer, const char *game, struct lsp_buffer *metainfo,
	const char *kept, struct lsp_error *err)
{
	struct lsp_torrent_late *late;
	int r = late_new(peer, game, &late, err);
	if (r < 0)
		return r;
	late->kept = kept ? strdup(kept) : NULL; /* without memory the next start sees to it */
	_cleanup_free_ char *folder = folder_of(late);
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_ADD,
		.arguments = json_pack("{s:s, s:s, s:s, s:o}", "save_path", folder ? folder : "",
			"root", "files", "game", game, "lan_peers", lsp_torrents_lan_peers(peer)),
		.metainfo = *metainfo,
		.done = added,
	};
	*metainfo = (struct lsp_buffer){0};
	return begin(late, &call, err);
}

/* A magnet's own is nothing at first. */
static void want_all(const struct lsp_torrent_late *late)
{
	lsp_torrents_tell(late->peer, LSP_TORRENT_SELECT,
		json_pack("{s:s, s:n}", "torrent", late->id, "exclude"));
}

static void moved(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_late *late = argument;
	if (!answer)
		return;
	late->moving = false;
	if (answer->result < 0) {
		finish(late, &answer->error);
		return;
	}
	want_all(late);
	lsp_torrents_tell(late->peer, LSP_TORRENT_ADD_PEERS,
		json_pack("{s:s, s:o}", "torrent", late->id, "lan_peers",
			lsp_torrents_lan_peers(late->peer)));
}

int lsp_torrent_late_take(
	struct lsp_peer *peer, const char *game, const char *id, struct lsp_error *err)
{
	struct lsp_torrent_late *late;
	int r = late_new(peer, game, &late, err);
	if (r < 0)
		return r;
	_cleanup_free_ char *folder = folder_of(late);
	snprintf(late->id, sizeof late->id, "%s", id);
	late->moving = true;
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_MOVE,
		.arguments =
			json_pack("{s:s, s:s}", "torrent", id, "save_path", folder ? folder : ""),
		.done = moved,
	};
	return begin(late, &call, err);
}

/* The game of "<games>/<game>/.lanspread/torrent"; false for another path. */
static bool game_of(const struct lsp_peer *peer, const char *path, char ret_game[])
{
	const char *games = lsp_local_games_dir(peer);
	size_t size = strlen(games);
	const char *end = path && strncmp(path, games, size) == 0 && path[size] == '/'
				  ? strchr(path + size + 1, '/')
				  : NULL;
	if (!end || strcmp(end, "/" FOLDER) != 0)
		return false;
	size_t length = (size_t)(end - path) - size - 1;
	if (length > LSP_GAME_ID_MAX)
		return false;
	memcpy(ret_game, path + size + 1, length);
	ret_game[length] = '\0';
	return lsp_game_id_check(ret_game, length, NULL) == 0;
}

/* The program was killed when all was done but for the engine's store. */
static bool is_taken_over(const struct lsp_peer *peer, const char *game)
{
	const struct lsp_library_game *local = lsp_local_find(peer, game);
	return lsp_download_find(peer, game) || (local && local->state == LSP_LIBRARY_READY);
}

/* A stored torrent that the engine brought back, if it is one of these. */
static void adopt(struct lsp_peer *peer, const char *id, const json_t *status)
{
	const char *path = json_string_value(json_object_get(status, "save_path"));
	char game[LSP_GAME_ID_MAX + 1];
	struct lsp_torrent_late *late;
	struct lsp_error err = {0};
	if (!game_of(peer, path, game))
		return;
	DL_FOREACH(peer->torrent_lates, late)
	{
		if (strcmp(late->game, game) == 0)
			return;
	}
	if (is_taken_over(peer, game)) {
		lsp_torrents_tell(peer, LSP_TORRENT_REMOVE, json_pack("{s:s}", "torrent", id));
	} else if (late_new(peer, game, &late, &err) < 0) {
		lsp_log_warning("torrent", "%s: %s", game, err.message);
	} else {
		snprintf(late->id, sizeof late->id, "%s", id);
		want_all(late); /* it may have been killed once it had moved */
	}
}

/* ---- All of it is here ---- */

static int replace_stage(int game, const struct lsp_manifest *manifest, struct lsp_error *err)
{
	_cleanup_stage_ struct lsp_stage *stage = NULL;
	int r = lsp_stage_remove(game, err);
	if (r == 0)
		r = lsp_stage_open(game, manifest, &stage, err);
	if (r == 0)
		r = lsp_fs_remove_tree_below(game, LSP_STAGE_FOLDER "/files", err);
	if (r == 0)
		r = lsp_fs_rename_below(game, FILES, game, LSP_STAGE_FOLDER "/files", err);
	if (r == 0)
		(void)!lsp_fs_remove_tree_below(game, FOLDER, NULL);
	return r;
}

static void make_stage(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	_cleanup_hashed_ struct lsp_hashed hashed = {0};
	_cleanup_free_ char *path = lsp_text_format("%s/%s", late->games_dir, late->game);
	_cleanup_close_ int game = -1, files = -1;
	struct lsp_error *err = &job->error;
	struct lsp_hasher_options options = {0};
	int r = path ? lsp_fs_open_dir(path, &game, err) : lsp_error_no_memory(err, "peer");
	if (r == 0)
		r = lsp_fs_open_dir_below(game, FILES, &files, err);
	if (r == 0)
		r = lsp_hasher_run(files, late->game, &options, job->token, &hashed, err);
	if (r == 0)
		r = replace_stage(game, hashed.manifest, err);
	if (r == 0 && late->metainfo.size)
		r = lsp_torrent_games_keep(late->peer, late->id, &late->metainfo, err);
	if (r == 0)
		late->manifest = lsp_manifest_ref(hashed.manifest);
	job->result = r;
}

/* The torrent is the game's own: it is seeded back. */
static void share_own(struct lsp_torrent_late *late)
{
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&late->manifest->content_id, hex);
	if (strcmp(hex, late->id) == 0)
		lsp_torrent_games_share(late->peer, late->game, &late->manifest->content_id, NULL);
}

/*
 * The engine's store forgets the torrent once what takes its place is saved: a kill before that
 * brings it back, whole as it is. If that is over, the engine hears nothing, and the next start has
 * a game where it has a torrent (see adopt).
 */
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
	if (!forgetting->peer->stopping)
		lsp_torrents_tell(forgetting->peer, LSP_TORRENT_FORGET,
			json_pack("{s:s}", "torrent", forgetting->id));
	free(forgetting);
}

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

/* It is a game, or (error) will be none. */
static void over(struct lsp_torrent_late *late, const struct lsp_error *error)
{
	forget(late);
	finish(late, error);
}

/* The download that commits what is there. */
static void stage_made(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	struct lsp_peer *peer = late->peer;
	struct lsp_error err = job->error;
	int r = job->result;
	if (peer->stopping)
		return;
	if (r == 0 && late->metainfo.size)
		r = lsp_torrent_games_add_alias(
			peer, late->game, &late->manifest->content_id, late->id, &err);
	else if (r == 0)
		share_own(late);
	if (r < 0) {
		lsp_log_warning("torrent", "%s: %s", late->game, err.message);
		over(late, &err);
		return;
	}
	struct lsp_download_options options = {
		.content = &late->manifest->content_id,
		.purpose = LSP_DOWNLOAD_ONLY,
		.engine = LSP_ENGINE_SWARM,
		.manifest = late->manifest,
	};
	lsp_operation_end(late->guard);
	r = lsp_download_start(peer, late->game, &options, NULL, &err);
	over(late, r < 0 ? &err : NULL);
}

static void removed(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_late *late = argument;
	struct lsp_error err = {0};
	if (!answer)
		return;
	late->job = (struct lsp_job){
		.work = make_stage, .done = stage_made, .token = lsp_operation_token(late->guard)};
	if (lsp_pool_submit(late->peer->disk, late->peer->core, &late->job, &err) < 0)
		over(late, &err);
}

static void exported(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_late *late = argument;
	struct lsp_error err = {0};
	if (!answer)
		return;
	/* What came by a magnet may not be able to tell its layers: then there is no alias. */
	late->metainfo = answer->bytes;
	answer->bytes = (struct lsp_buffer){0};
	struct lsp_torrent_call call = {.command = LSP_TORRENT_REMOVE,
		.arguments = json_pack("{s:s, s:b}", "torrent", late->id, "keep", 1),
		.done = removed,
		.argument = late};
	if (lsp_torrents_call(late->peer, &call, &err) < 0)
		finish(late, &err);
}

static void take_over(struct lsp_torrent_late *late)
{
	struct lsp_error err = {0};
	late->whole = true;
	if (lsp_torrents_ask(late->peer, LSP_TORRENT_EXPORT, late->id, exported, late, &err) < 0)
		finish(late, &err);
}

static void have_came(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_late *late = argument;
	if (!answer)
		return;
	late->asking = false;
	json_int_t pieces = json_integer_value(json_object_get(answer->value, "pieces"));
	json_int_t have = json_integer_value(json_object_get(answer->value, "have"));
	if (answer->result == 0 && pieces && have == pieces && !late->whole && !late->ending)
		take_over(late);
}

/* All bytes have come; whether their hashes are right, only the pieces tell. */
static void ask_whole(struct lsp_torrent_late *late)
{
	if (!late->asking)
		late->asking = lsp_torrents_ask(late->peer, LSP_TORRENT_HAVE, late->id, have_came,
				       late, NULL) == 0;
}

/* ---- Events, and the user's cancel ---- */

const char *lsp_torrent_late_game(const struct lsp_peer *peer, const char *id)
{
	const struct lsp_torrent_late *late;
	DL_FOREACH(peer->torrent_lates, late)
	{
		if (strcmp(late->id, id) == 0)
			return late->game;
	}
	return NULL;
}

static void progress(struct lsp_torrent_late *late, const json_t *event)
{
	json_t *rate = json_object_get(event, "download_rate");
	publish(late, "download_progress",
		json_pack("{s:O?, s:O?, s:O?, s:O?, s:O?, s:s, s:s}", "done",
			json_object_get(event, "done"), "total", json_object_get(event, "total"),
			"rate", rate, "eta_s", json_object_get(event, "eta_s"), "sources",
			json_object_get(event, "peers"), "phase", "downloading", "engine",
			"swarm"));
}

void lsp_torrent_late_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event)
{
	struct lsp_torrent_late *late;
	if (strcmp(name, "torrent_added") == 0)
		adopt(peer, id, json_object_get(event, "status"));
	DL_FOREACH(peer->torrent_lates, late)
	{
		if (*id && strcmp(late->id, id) == 0)
			break;
	}
	if (!late || late->whole || late->ending)
		return;
	const char *state = json_string_value(json_object_get(event, "state"));
	bool seeds = strcmp(name, "torrent_state") == 0 && state &&
		     (strcmp(state, "seeding") == 0 || strcmp(state, "completed") == 0);
	json_int_t total = json_integer_value(json_object_get(event, "total"));
	bool all = total && json_integer_value(json_object_get(event, "done")) == total;
	late->gone |= strcmp(name, "torrent_removed") == 0;
	if (strcmp(name, "torrent_progress") == 0)
		progress(late, event);
	if (seeds || all || strcmp(name, "torrent_completed") == 0)
		ask_whole(late);
}

void lsp_torrent_late_tick(struct lsp_peer *peer)
{
	struct lsp_torrent_late *late, *next;
	struct lsp_error err = {0};
	DL_FOREACH_SAFE(peer->torrent_lates, late, next)
	{
		if (!late->id[0] || late->moving || late->asking || late->whole || late->ending)
			continue;
		if (late->gone) {
			lsp_error_set(&err, "peer", LSP_E_NOT_FOUND,
				"the torrent that %s came by was removed", late->game);
			finish(late, &err);
			continue;
		}
		if (!lsp_cancel_requested(lsp_operation_token(late->guard)))
			continue;
		late->ending = true;
		lsp_torrents_tell(peer, LSP_TORRENT_REMOVE,
			json_pack("{s:s, s:b}", "torrent", late->id, "data", 1));
		lsp_error_set(&err, "peer", LSP_E_CANCELLED, "cancelled");
		finish(late, &err);
	}
}
