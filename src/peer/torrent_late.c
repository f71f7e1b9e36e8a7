#include "peer/torrent_late_private.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "peer/command.h"
#include "peer/download.h"
#include "peer/events.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/manifests.h"
#include "peer/peer.h"
#include "peer/torrent_games.h"
#include "peer/torrent_kept.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "task/operation.h"

#include <string.h>

#include <utlist.h>

static void late_free(struct lsp_torrent_late *late)
{
	lsp_operation_unref(late->guard);
	lsp_buffer_done(&late->metainfo);
	lsp_manifest_unref(late->manifest);
	json_decref(late->options);
	json_decref(late->progress);
	free(late->games_dir);
	free(late->kept);
	free(late);
}

void lsp_torrent_late_stop_all(struct lsp_peer *peer)
{
	struct lsp_torrent_late *late;
	DL_FOREACH(peer->torrent_lates, late)
	{
		lsp_manifest_query_free(TAKE_PTR(late->query));
	}
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

void lsp_torrent_late_publish(struct lsp_torrent_late *late, const char *what, json_t *members)
{
	json_t *event = json_pack("{s:s, s:s}", "event", what, "game", late->game);
	if (event && members)
		json_object_update(event, members);
	json_decref(members);
	lsp_events_publish(late->peer->events, event);
}

static void publish_failed(struct lsp_torrent_late *late, const struct lsp_error *error)
{
	lsp_torrent_late_publish(
		late, "download_failed", json_pack("{s:o}", "error", lsp_error_to_json(error)));
}

void lsp_torrent_late_tell(struct lsp_torrent_late *late, enum lsp_torrent_command command)
{
	lsp_torrents_tell(late->peer, command, json_pack("{s:s}", "torrent", late->id));
}

/* Who it was told of joins who is here. */
void lsp_torrent_late_offer_peers(struct lsp_torrent_late *late)
{
	json_t *asked = json_object_get(lsp_torrent_wish_options(late->peer, late->id), "peers");
	if (asked)
		lsp_torrents_tell(late->peer, LSP_TORRENT_ADD_PEERS,
			json_pack("{s:s, s:O}", "torrent", late->id, "peers", asked));
	lsp_torrents_tell(late->peer, LSP_TORRENT_ADD_PEERS,
		json_pack("{s:s, s:o}", "torrent", late->id, "lan_peers",
			lsp_torrents_lan_peers(late->peer)));
}

void lsp_torrent_late_set_waiting(struct lsp_torrent_late *late, bool waiting)
{
	if (late->waiting == waiting || !late->guard)
		return;
	late->waiting = waiting;
	lsp_operation_set_waiting(late->guard, waiting);
	if (waiting)
		lsp_torrent_late_publish(
			late, "download_all_peers_gone", json_pack("{s:s}", "engine", "swarm"));
	else
		lsp_games_publish_local(late->peer);
}

/* ---- Life ---- */

int lsp_torrent_late_new(struct lsp_peer *peer, const char *game, const char *id,
	struct lsp_torrent_late **ret_late, struct lsp_error *err)
{
	struct lsp_torrent_late *late = calloc(1, sizeof *late);
	if (!late || !(late->games_dir = strdup(lsp_local_games_dir(peer)))) {
		free(late);
		return lsp_error_no_memory(err, "peer");
	}
	late->peer = peer;
	snprintf(late->game, sizeof late->game, "%s", game);
	snprintf(late->id, sizeof late->id, "%s", id);
	DL_APPEND(peer->torrent_lates, late);
	*ret_late = late;
	return 0;
}

void lsp_torrent_late_drop(struct lsp_torrent_late *late)
{
	DL_DELETE(late->peer->torrent_lates, late);
	late_free(late);
}

/* The game is its from now on. */
int lsp_torrent_late_begin(struct lsp_torrent_late *late, struct lsp_error *err)
{
	struct lsp_peer *peer = late->peer;
	return late->guard ? 0
			   : lsp_operation_begin(peer->operations, late->game,
				     LSP_OPERATION_DOWNLOADING, peer->root, &late->guard, err);
}

void lsp_torrent_late_over(struct lsp_torrent_late *late, const struct lsp_error *error)
{
	struct lsp_peer *peer = late->peer;
	if (late->id[0])
		lsp_torrent_wish_drop(peer, late->id);
	DL_DELETE(peer->torrent_lates, late);
	lsp_operation_unref(TAKE_PTR(late->guard));
	lsp_games_publish_local(peer);
	if (error)
		publish_failed(late, error);
	late_free(late);
}

/* The game is free again, whoever waits learns why, and the torrent waits to be wanted. */
static void rest(struct lsp_torrent_late *late, const struct lsp_error *error)
{
	struct lsp_peer *peer = late->peer;
	lsp_torrent_wish_set_stopped(peer, late->id, true);
	if (!late->left)
		lsp_torrent_late_tell(late, LSP_TORRENT_PAUSE);
	lsp_torrent_late_set_waiting(late, false);
	lsp_operation_unref(TAKE_PTR(late->guard));
	lsp_games_publish_local(peer);
	publish_failed(late, error);
}

#define FULL (UINT64_C(1) << 20) /* bytes that are free of a disk that is full */

/* The library maps files: of a full disk it may know no more than that a page cannot be had. */
static void look_at_disk(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	_cleanup_close_ int games = -1;
	uint64_t bytes = 0;
	int r = lsp_fs_open_dir(late->games_dir, &games, &job->error);
	if (r == 0)
		r = lsp_fs_free_space(games, &bytes, &job->error);
	job->result = r < 0 ? r : bytes < FULL;
}

static void disk_looked_at(struct lsp_job *job)
{
	struct lsp_torrent_late *late = lsp_container_of(job, struct lsp_torrent_late, job);
	if (late->peer->stopping)
		return;
	late->busy = false;
	late->looked = true;
	if (job->result == 1)
		late->trouble.code = LSP_E_NO_SPACE;
	lsp_torrent_late_look(late);
}

/* True: it is looked at. */
static bool doubts(struct lsp_torrent_late *late)
{
	if (late->trouble.code != LSP_E_IO || late->looked)
		return false;
	late->job = (struct lsp_job){.work = look_at_disk, .done = disk_looked_at};
	late->busy = lsp_pool_submit(late->peer->disk, late->peer->core, &late->job, NULL) == 0;
	return late->busy;
}

static void fail(struct lsp_torrent_late *late)
{
	struct lsp_error *trouble = &late->trouble, err = {0};
	lsp_log_warning("torrent", "download of %s failed: %s", late->game, trouble->message);
	if (trouble->code == LSP_E_NO_SPACE)
		lsp_error_set(&err, "torrent", LSP_E_NO_SPACE,
			"no space to download %s: make room, and `lanspread get %s` goes on with "
			"what is there (%.300s)",
			late->game, late->game, trouble->message);
	else
		lsp_error_set(
			&err, "torrent", trouble->code, "%s: %.400s", late->game, trouble->message);
	rest(late, &err);
}

static void ask_whole(struct lsp_torrent_late *late);

void lsp_torrent_late_look(struct lsp_torrent_late *late)
{
	struct lsp_error err = {0};
	/* While the peer stops everything fails: the next start goes on with it. */
	if (late->busy || late->asking || lsp_cancel_requested(late->peer->root))
		return;
	if (late->gone) {
		lsp_error_set(&err, "peer", LSP_E_NOT_FOUND,
			"the torrent that %s came by was removed", late->game);
		lsp_torrent_late_over(late, late->guard ? &err : NULL);
	} else if (!late->guard) {
		return;
	} else if (lsp_cancel_requested(lsp_operation_token(late->guard))) {
		lsp_error_set(&err, "peer", LSP_E_CANCELLED, "cancelled; what is verified is kept");
		rest(late, &err);
	} else if (late->trouble.code) {
		if (!doubts(late))
			fail(late);
	} else if (late->seeds) {
		ask_whole(late);
	}
}

/* ---- Beginning ---- */

/* Its own folder, for as long as nobody knows what it is. */
static char *folder_of(const struct lsp_torrent_late *late)
{
	return lsp_text_format("%s/%s/" LSP_TORRENT_LATE_FOLDER, late->games_dir, late->game);
}

static void answer(struct lsp_torrent_late *late)
{
	if (late->call) /* what was asked of it outlasts a kill from now on */
		lsp_call_answer_saved(TAKE_PTR(late->call),
			json_pack("{s:s, s:s, s:s, s:s}", "operation", "downloading", "game",
				late->game, "torrent", late->id, "message",
				"its content is known once all of it is here"));
}

/* It will be no download. */
static void refuse(struct lsp_torrent_late *late, const struct lsp_torrent_answer *answer)
{
	struct lsp_error err = answer->error;
	if (answer->result == -LSP_E_EXISTS)
		lsp_error_set(&err, "torrent", LSP_E_EXISTS,
			"the torrent %s is here already, and not as a game: `lanspread torrent "
			"remove` it first",
			late->id);
	struct lsp_call *call = TAKE_PTR(late->call);
	late->id[0] = '\0'; /* another's may be called so */
	lsp_torrent_late_over(late, call ? NULL : &err);
	if (call)
		lsp_call_fail(call, &err);
}

static void added(void *argument, struct lsp_torrent_answer *with)
{
	struct lsp_torrent_late *late = argument;
	if (!with)
		return;
	const char *id = json_string_value(json_object_get(with->value, "id"));
	char kept_id[LSP_SHA256_HEX_SIZE];
	late->busy = false;
	if (late->kept) {
		lsp_torrent_kept_id(late->kept, kept_id);
		lsp_torrent_kept_drop(late->peer, late->kept);
		lsp_torrent_wish_drop(late->peer, kept_id);
	}
	free(TAKE_PTR(late->kept));
	if (with->result < 0 || !id) {
		refuse(late, with);
		return;
	}
	snprintf(late->id, sizeof late->id, "%s", id);
	lsp_torrent_wish_keep(late->peer, late->id, late->options);
	lsp_torrent_late_publish(late, "download_begin", NULL);
	answer(late);
	lsp_torrent_late_look(late);
}

/* One of this game rests. */
static int start_again(struct lsp_torrent_late *late, const struct lsp_torrent_late_source *source,
	struct lsp_error *err)
{
	if (strcmp(late->id, source->id) != 0)
		return lsp_error_set(err, "torrent", LSP_E_EXISTS,
			"%s was begun by another torrent: `lanspread get %s` goes on with that, "
			"`lanspread torrent remove %.12s --data` ends it",
			late->game, late->game, late->id);
	int r = lsp_torrent_late_go_on(late, err);
	if (r < 0)
		return r;
	if (source->kept)
		lsp_torrent_kept_drop(late->peer, source->kept);
	late->call = source->call;
	answer(late);
	return 0;
}

int lsp_torrent_late_start(struct lsp_peer *peer, const char *game,
	const struct lsp_torrent_late_source *source, struct lsp_error *err)
{
	struct lsp_torrent_late *late = lsp_torrent_late_find(peer, game);
	if (late && !late->guard)
		return start_again(late, source, err);
	int r = lsp_torrent_late_new(peer, game, source->id, &late, err);
	if (r == 0 && (r = lsp_torrent_late_begin(late, err)) < 0)
		lsp_torrent_late_drop(late);
	if (r < 0)
		return r;
	late->then_install = source->then_install;
	late->kept = source->kept ? strdup(source->kept) : NULL; /* or the next start sees to it */
	late->options = json_deep_copy(source->options);
	if (source->kept) /* of a magnet, which was resumed, or it would have no metadata */
		json_object_del(late->options, "paused");
	late->paused = json_is_true(json_object_get(late->options, "paused"));
	late->busy = true;
	_cleanup_free_ char *folder = folder_of(late);
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_ADD,
		.arguments = json_pack("{s:s, s:s, s:s, s:o}", "save_path", folder ? folder : "",
			"root", "files", "game", game, "lan_peers", lsp_torrents_lan_peers(peer)),
		.metainfo = *source->metainfo,
		.done = added,
		.argument = late,
	};
	lsp_torrent_wish_apply(call.arguments, late->options, LSP_TORRENT_STAGE_FETCH);
	*source->metainfo = (struct lsp_buffer){0};
	r = lsp_torrents_call(peer, &call, err);
	if (r < 0)
		lsp_torrent_late_drop(late);
	else
		late->call = source->call;
	return r;
}

/* A magnet's own is nothing at first. */
void lsp_torrent_late_want_all(const struct lsp_torrent_late *late)
{
	lsp_torrents_tell(late->peer, LSP_TORRENT_SELECT,
		json_pack("{s:s, s:n}", "torrent", late->id, "exclude"));
}

/* What it had as a magnet gives way to what was asked of it. */
static void set_category(const struct lsp_torrent_late *late)
{
	json_t *category =
		json_object_get(lsp_torrent_wish_options(late->peer, late->id), "category");
	lsp_torrents_tell(late->peer, LSP_TORRENT_OPTIONS,
		json_pack("{s:s, s:O?}", "torrent", late->id, "category",
			category ? category : json_null()));
}

static void moved(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_late *late = argument;
	if (!answer)
		return;
	late->busy = false;
	if (answer->result < 0) { /* where it is there is none of it yet */
		if (answer->result != -LSP_E_CLOSED)
			lsp_torrent_late_tell(late, LSP_TORRENT_REMOVE);
		lsp_torrent_late_over(late, &answer->error);
		return;
	}
	lsp_torrent_late_want_all(late);
	set_category(late);
	lsp_torrent_late_offer_peers(late);
	lsp_torrent_late_look(late);
}

int lsp_torrent_late_take(
	struct lsp_peer *peer, const char *game, const char *id, struct lsp_error *err)
{
	struct lsp_torrent_late *late = lsp_torrent_late_find(peer, game);
	if (late && !late->guard)
		return lsp_error_set(err, "torrent", LSP_E_EXISTS,
			"%s was begun by another torrent: `lanspread get %s` goes on with that",
			game, game);
	int r = lsp_torrent_late_new(peer, game, id, &late, err);
	if (r < 0)
		return r;
	_cleanup_free_ char *folder = folder_of(late);
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_MOVE,
		.arguments =
			json_pack("{s:s, s:s}", "torrent", id, "save_path", folder ? folder : ""),
		.done = moved,
		.argument = late,
	};
	r = lsp_torrent_late_begin(late, err);
	if (r == 0)
		r = lsp_torrents_call(peer, &call, err);
	else
		json_decref(call.arguments);
	if (r < 0) {
		lsp_torrent_late_drop(late);
		return r;
	}
	late->busy = true;
	lsp_torrent_late_publish(late, "download_begin", NULL);
	return 0;
}

/* ---- Letting go ---- */

struct letting_go {
	struct lsp_peer *peer;
	char game[LSP_GAME_ID_MAX + 1];
	char id[LSP_SHA256_HEX_SIZE];
};

static void let_go(void *argument, struct lsp_torrent_answer *answer)
{
	struct letting_go *letting = argument;
	if (answer) {
		json_object_del(letting->peer->torrent_leaving, letting->id);
		lsp_torrent_games_ready(letting->peer, letting->game);
	}
	free(letting);
}

void lsp_torrent_late_let_go(struct lsp_peer *peer, const char *game, const char *id)
{
	struct letting_go *letting = calloc(1, sizeof *letting);
	struct lsp_error err = {0};
	if (!letting)
		return; /* the next start does it */
	letting->peer = peer;
	snprintf(letting->game, sizeof letting->game, "%s", game);
	snprintf(letting->id, sizeof letting->id, "%s", id);
	json_object_set_new(peer->torrent_leaving, id, json_true());
	struct lsp_torrent_call call = {.command = LSP_TORRENT_REMOVE,
		.arguments = json_pack("{s:s, s:b, s:b}", "torrent", id, "data", 1, "absent", 1),
		.done = let_go,
		.argument = letting};
	if (lsp_torrents_call(peer, &call, &err) == 0)
		return;
	lsp_log_warning("torrent", "%s", err.message);
	json_object_del(peer->torrent_leaving, id);
	free(letting);
}

bool lsp_torrent_late_leaves(const struct lsp_peer *peer, const char *id)
{
	return json_object_get(peer->torrent_leaving, id) != NULL;
}

/* ---- All of it is here ---- */

static void have_came(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_late *late = argument;
	if (!answer)
		return;
	late->asking = false;
	if (answer->result < 0)
		return; /* the next tick asks again */
	json_int_t pieces = json_integer_value(json_object_get(answer->value, "pieces"));
	json_int_t have = json_integer_value(json_object_get(answer->value, "have"));
	bool whole = pieces && have == pieces;
	late->seeds &= whole;
	if (whole && late->guard && !late->busy &&
		!lsp_cancel_requested(lsp_operation_token(late->guard)))
		lsp_torrent_promote(late);
	else
		lsp_torrent_late_look(late);
}

/* All bytes have come; whether their hashes are right, only the pieces tell. */
static void ask_whole(struct lsp_torrent_late *late)
{
	late->asking = lsp_torrents_ask(
			       late->peer, LSP_TORRENT_HAVE, late->id, have_came, late, NULL) == 0;
}

/* ---- Which one ---- */

struct lsp_torrent_late *lsp_torrent_late_find(const struct lsp_peer *peer, const char *game)
{
	struct lsp_torrent_late *late;
	DL_FOREACH(peer->torrent_lates, late)
	{
		if (strcmp(late->game, game) == 0)
			return late;
	}
	return NULL;
}

struct lsp_torrent_late *lsp_torrent_late_by_id(const struct lsp_peer *peer, const char *id)
{
	struct lsp_torrent_late *late;
	DL_FOREACH(peer->torrent_lates, late)
	{
		if (*id && strcmp(late->id, id) == 0)
			return late;
	}
	return NULL;
}

const char *lsp_torrent_late_game(const struct lsp_peer *peer, const char *id)
{
	const struct lsp_torrent_late *late = lsp_torrent_late_by_id(peer, id);
	return late ? late->game : NULL;
}

void lsp_torrent_late_each(
	const struct lsp_peer *peer, void (*call)(void *argument, const char *game), void *argument)
{
	const struct lsp_torrent_late *late;
	DL_FOREACH(peer->torrent_lates, late)
	{
		call(argument, late->game);
	}
}
