/* What the engine says of late games: those that it brings back, and what becomes of each. */
#include "peer/torrent_late_private.h"

#include "base/log.h"
#include "base/text.h"
#include "peer/download.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/torrent_games.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "task/operation.h"

#include <string.h>

#include <utlist.h>

#define ALONE_AFTER 3 /* ticks: a dial, or an answer of a tracker, takes less */

/* ---- What comes back ---- */

/* The game of "<games>/<game>/.lanspread/torrent"; false for another path. */
static bool game_of(const struct lsp_peer *peer, const char *path, char ret_game[])
{
	const char *games = lsp_local_games_dir(peer);
	size_t size = strlen(games);
	const char *end = path && strncmp(path, games, size) == 0 && path[size] == '/'
				  ? strchr(path + size + 1, '/')
				  : NULL;
	if (!end || strcmp(end, "/" LSP_TORRENT_LATE_FOLDER) != 0)
		return false;
	size_t length = (size_t)(end - path) - size - 1;
	if (length > LSP_GAME_ID_MAX)
		return false;
	memcpy(ret_game, path + size + 1, length);
	ret_game[length] = '\0';
	return lsp_game_id_check(ret_game, length, NULL) == 0;
}

/* Is that content what the torrent became, or was to become? */
static bool is_of(const struct lsp_peer *peer, const char *game, const char *id,
	const struct lsp_hash *content)
{
	struct lsp_hash promised;
	return (lsp_torrent_wish_promised(peer, id, &promised) &&
		       lsp_hash_equal(&promised, content)) ||
	       lsp_torrent_games_has(peer, game, content, id);
}

/*
 * The program was killed when all was done but for the engine's store: the very content is here or
 * is coming. Another version that somebody put there is none of the torrent's.
 */
static bool is_taken_over(const struct lsp_peer *peer, const char *game, const char *id)
{
	const struct lsp_library_game *local = lsp_local_find(peer, game);
	struct lsp_download *download = lsp_download_find(peer, game);
	const struct lsp_hash *coming = download ? lsp_download_content(download) : NULL;
	return (coming && is_of(peer, game, id, coming)) ||
	       (local && local->state == LSP_LIBRARY_READY &&
		       is_of(peer, game, id, &local->content));
}

static bool is_state(const json_t *of, const char *state)
{
	const char *text = json_string_value(json_object_get(of, "state"));
	return text && strcmp(text, state) == 0;
}

static bool has_come(const json_t *of)
{
	return is_state(of, "seeding") || is_state(of, "completed");
}

static void take_up(struct lsp_peer *peer, const char *game, const char *id, const json_t *status)
{
	struct lsp_torrent_late *late;
	struct lsp_error err = {0};
	int r = lsp_torrent_late_new(peer, game, id, &late, &err);
	bool stopped = lsp_torrent_wish_stopped(peer, id);
	if (r == 0 && !stopped && (r = lsp_torrent_late_begin(late, &err)) < 0)
		lsp_torrent_late_drop(late);
	if (r < 0) {
		lsp_log_warning("torrent", "%s: %s", game, err.message);
		lsp_torrents_tell(peer, LSP_TORRENT_PAUSE, json_pack("{s:s}", "torrent", id));
		return;
	}
	late->paused = json_is_true(json_object_get(status, "paused"));
	late->seeds = has_come(status);
	if (stopped && !late->paused)
		lsp_torrent_late_tell(late, LSP_TORRENT_PAUSE);
	lsp_torrent_late_want_all(late); /* it may have been killed once it had moved */
	if (lsp_torrent_wish_promise(peer, id))
		lsp_torrent_promote_restore(late);
	else
		lsp_torrent_late_look(late);
}

/* A stored torrent that the engine brought back, if it is one of these. */
static void adopt(struct lsp_peer *peer, const char *id, const json_t *status)
{
	const char *path = json_string_value(json_object_get(status, "save_path"));
	char game[LSP_GAME_ID_MAX + 1];
	if (!game_of(peer, path, game))
		return;
	struct lsp_torrent_late *late = lsp_torrent_late_find(peer, game);
	if (late && strcmp(late->id, id) == 0)
		late->seeds |= has_come(status); /* another session */
	else if (!late && is_taken_over(peer, game, id)) {
		lsp_torrent_wish_drop(peer, id);
		lsp_torrent_late_let_go(peer, game, id);
	} else if (!late) {
		take_up(peer, game, id, status);
	}
}

/* ---- Events ---- */

void lsp_torrent_late_progress(struct lsp_torrent_late *late, json_t *progress)
{
	json_decref(late->progress);
	late->progress = progress;
	lsp_torrent_late_publish(late, "download_progress", json_incref(progress));
}

static void count(struct lsp_torrent_late *late, const json_t *event)
{
	if (json_integer_value(json_object_get(event, "peers")) > 0) {
		late->alone = 0;
		lsp_torrent_late_set_waiting(late, false);
	}
	if (late->guard && !late->hashing)
		lsp_torrent_late_progress(
			late, json_pack("{s:O?, s:O?, s:O?, s:O?, s:O?, s:s, s:s}", "done",
				      json_object_get(event, "done"), "total",
				      json_object_get(event, "total"), "rate",
				      json_object_get(event, "download_rate"), "eta_s",
				      json_object_get(event, "eta_s"), "sources",
				      json_object_get(event, "peers"), "phase", "downloading",
				      "engine", "swarm"));
}

/* What a new session puts right, or a look at the files, is no failure of the download. */
static void take_error(struct lsp_torrent_late *late, const char *code, const json_t *message)
{
	bool space = code && strcmp(code, "no_space") == 0;
	const char *text = json_string_value(message);
	if (late->trouble.code || (code && !space && strcmp(code, "io") != 0))
		return;
	lsp_error_set(&late->trouble, "torrent", space ? LSP_E_NO_SPACE : LSP_E_IO, "%s",
		text ? text : "the torrent engine failed");
}

static void take_state(struct lsp_torrent_late *late, const json_t *event)
{
	bool paused = is_state(event, "paused");
	if (is_state(event, "failed"))
		take_error(late, NULL, json_object_get(event, "error"));
	late->seeds |= has_come(event);
	if (paused != late->paused && !late->held) {
		late->paused = paused;
		lsp_games_publish_local(late->peer);
	}
}

void lsp_torrent_late_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event)
{
	if (strcmp(name, "torrent_added") == 0)
		adopt(peer, id, json_object_get(event, "status"));
	struct lsp_torrent_late *late = lsp_torrent_late_by_id(peer, id);
	if (late && strcmp(name, "torrent_settings") == 0)
		lsp_torrent_wish_update(peer, id, json_object_get(event, "settings"));
	if (!late || late->placing || late->left)
		return;
	json_int_t total = json_integer_value(json_object_get(event, "total"));
	if (strcmp(name, "torrent_removed") == 0) {
		late->gone = true;
	} else if (strcmp(name, "torrent_progress") == 0) {
		late->seeds |= total && json_integer_value(json_object_get(event, "done")) == total;
		count(late, event);
	} else if (strcmp(name, "torrent_state") == 0) {
		take_state(late, event);
	} else if (strcmp(name, "torrent_error") == 0) {
		if (json_object_get(event, "component"))
			return; /* of its store, or of what a move left: the torrent goes on */
		take_error(late, json_string_value(json_object_get(event, "code")),
			json_object_get(event, "message"));
	} else if (strcmp(name, "torrent_completed") == 0) {
		late->seeds = true;
	} else {
		return;
	}
	lsp_torrent_late_look(late);
}

static json_int_t known(const struct lsp_torrent_late *late, const char *key)
{
	return json_integer_value(json_object_get(late->progress, key));
}

static void tell_hashed(struct lsp_torrent_late *late)
{
	json_int_t total = known(late, "total"), done = (json_int_t)atomic_load(&late->hashed);
	lsp_torrent_late_progress(
		late, json_pack("{s:I, s:I, s:i, s:n, s:i, s:s, s:s}", "done", LSP_MIN(done, total),
			      "total", total, "rate", 0, "eta_s", "sources", 0, "phase", "hashing",
			      "engine", "swarm"));
}

/* Who did not answer may do so by now. */
static void be_alone(struct lsp_torrent_late *late)
{
	if (late->guard && ++late->alone % ALONE_AFTER == 0) {
		lsp_torrent_late_set_waiting(late, true);
		lsp_torrent_late_offer_peers(late);
	}
}

void lsp_torrent_late_tick(struct lsp_peer *peer)
{
	struct lsp_torrent_late *late, *next;
	DL_FOREACH_SAFE(peer->torrent_lates, late, next)
	{
		if (late->hashing)
			tell_hashed(late);
		if (late->leaves)
			lsp_torrent_promote_leave(late);
		if (late->seeds || late->paused || late->busy)
			lsp_torrent_late_set_waiting(late, false);
		else if (known(late, "sources") == 0)
			be_alone(late);
		lsp_torrent_late_look(late);
	}
}
