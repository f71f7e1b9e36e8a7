/*
 * A magnet link that is to become a game: its metadata come first, and not one byte of payload.
 * What they are is kept (torrent_kept.h) before the torrent leaves the engine, and then goes the
 * way of a file; where they do not tell the content, the torrent stays, and moves into the game's
 * folder (torrent_late.h).
 */
#include "peer/torrent_add.h"

#include "base/log.h"
#include "peer/choice.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/torrent_check.h"
#include "peer/torrent_kept.h"
#include "peer/torrent_late.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "wire/path.h"

#include <stdlib.h>
#include <string.h>

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
		lsp_torrent_kept_over(peer, magnet->kept); /* it was removed meanwhile */
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
		r = lsp_torrent_check_listed(
			magnet->game, json_object_get(answer->value, "files"), &err);
	if (r == 0 && !is_here_already(magnet))
		r = lsp_torrent_check_id_free(magnet->peer, magnet->game, &err);
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
