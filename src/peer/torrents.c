#include "peer/torrents_private.h"

#include "base/log.h"
#include "base/text.h"
#include "peer/events.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/torrent_add.h"
#include "peer/torrent_fetch.h"
#include "peer/torrent_games.h"
#include "peer/torrent_late.h"
#include "peer/torrent_place.h"
#include "peer/torrent_port.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define RESUME_FOLDER "torrent"

/* A call on its way through the engine, and back to the loop. */
struct lsp_torrents_box {
	struct lsp_torrents_box *prev, *next; /* of the open ones */
	struct lsp_torrents *owner;
	enum lsp_torrent_command command;
	struct lsp_torrent_answer answer;
	void (*done)(void *argument, struct lsp_torrent_answer *answer);
	void *argument;
	struct lsp_post post;
};

/* Whether an engine that starts has torrents of before. What cannot be read the engine tells of. */
static bool has_stored(const char *state_dir)
{
	_cleanup_free_ char *path = lsp_text_format("%s/" RESUME_FOLDER, state_dir);
	DIR *folder = path ? opendir(path) : NULL;
	bool found = false;
	for (struct dirent *entry; folder && !found && (entry = readdir(folder));)
		found = lsp_text_ends_with(entry->d_name, ".meta.json") ||
			lsp_text_ends_with(entry->d_name, ".fastresume");
	if (folder)
		closedir(folder);
	return found;
}

int lsp_torrents_new(
	struct lsp_peer *peer, struct lsp_torrents **ret_torrents, struct lsp_error *err)
{
	struct lsp_torrents *torrents = calloc(1, sizeof *torrents);
	if (!torrents || !(torrents->known = json_object())) {
		free(torrents);
		return lsp_error_no_memory(err, "peer");
	}
	torrents->peer = peer;
	torrents->configuration = lsp_peer_load_json(peer, LSP_TORRENTS_CONFIGURATION_FILE);
	torrents->has_stored = has_stored(peer->state_dir);
	*ret_torrents = torrents;
	return 0;
}

static void box_free(struct lsp_torrents_box *box)
{
	json_decref(box->answer.value);
	lsp_buffer_done(&box->answer.bytes);
	free(box);
}

void lsp_torrents_free(struct lsp_torrents *torrents)
{
	if (!torrents)
		return;
	lsp_torrent_engine_free(torrents->engine);
	struct lsp_torrents_box *box, *next;
	DL_FOREACH_SAFE(torrents->open, box, next)
	{
		DL_DELETE(torrents->open, box);
		if (box->done)
			box->done(box->argument, NULL);
		box_free(box);
	}
	json_decref(torrents->configuration);
	json_decref(torrents->listen);
	json_decref(torrents->known);
	lsp_torrent_places_free(torrents->places);
	free(torrents);
}

/* ---- Events ---- */

/* An event on its way from the engine's thread. */
struct news {
	struct lsp_peer *peer;
	json_t *event;
	struct lsp_post post;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* Members of an event that are kept for whoever asks. */
static void remember(struct lsp_torrents *torrents, const char *id, const json_t *from)
{
	static const char *const keys[] = {"state", "peers", "seeds", "download_rate",
		"upload_rate", "game", "name", "error", "done", "total"};
	json_t *known = json_object_get(torrents->known, id);
	if (!known) {
		known = json_object();
		json_object_set_new(torrents->known, id, known);
	}
	for (size_t i = 0; i < LSP_ARRAY_SIZE(keys); i++) {
		json_t *value = json_object_get(from, keys[i]);
		if (value)
			json_object_set(known, keys[i], value);
	}
}

static bool is_lasting(const char *name)
{
	static const char *const lasting[] = {"torrent_added", "torrent_removed", "torrent_state",
		"torrent_completed", "torrent_error", "torrent_session_error", "torrent_selection"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lasting); i++) {
		if (strcmp(lasting[i], name) == 0)
			return true;
	}
	return false;
}

static void take_event(void *argument)
{
	struct news *news = argument;
	struct lsp_peer *peer = news->peer;
	json_t *event = news->event;
	free(news);
	if (peer->stopping) {
		json_decref(event);
		return;
	}
	struct lsp_torrents *torrents = peer->torrents;
	const char *name = text_of(event, "event"), *id = text_of(event, "torrent");
	if (*id && strcmp(name, "torrent_removed") == 0)
		json_object_del(torrents->known, id);
	else if (*id && strcmp(name, "torrent_added") == 0)
		remember(torrents, id, json_object_get(event, "status"));
	else if (*id)
		remember(torrents, id, event);
	if (json_is_true(json_object_get(event, "session_closed")))
		torrents->seeded_session = 0;
	lsp_torrent_fetch_event(peer, name, id, event);
	if (!lsp_torrent_late_leaves(peer, id))
		lsp_torrent_games_event(peer, name, id, event);
	lsp_torrent_add_event(peer, name, id, event);
	if (strcmp(name, "torrent_settings") == 0) /* ours alone */
		json_decref(event);
	else if (is_lasting(name))
		lsp_events_publish_final(peer->events, event);
	else
		lsp_events_publish(peer->events, event);
}

/* On the engine's thread. */
static void event_came(void *argument, json_t *event)
{
	struct lsp_peer *peer = argument;
	struct news *news = calloc(1, sizeof *news);
	if (!news) {
		json_decref(event);
		return;
	}
	news->peer = peer;
	news->event = event;
	if (lsp_loop_post_node(peer->core, &news->post, take_event, news, NULL) < 0) {
		json_decref(event);
		free(news);
	}
}

const json_t *lsp_torrents_known(const struct lsp_torrents *torrents, const char *id)
{
	return json_object_get(torrents->known, id);
}

/* ---- Calls ---- */

/* A setting does not get lost because the engine begins anew just then. */
static void note_unheard(struct lsp_torrents *torrents, enum lsp_torrent_command command)
{
	torrents->mode_unheard |= command == LSP_TORRENT_CONFIGURE;
	torrents->limits_unheard |= command == LSP_TORRENT_LIMITS;
}

static void deliver(void *argument)
{
	struct lsp_torrents_box *box = argument;
	struct lsp_torrents *torrents = box->owner;
	if (torrents->peer->stopping)
		return; /* lsp_torrents_free ends it */
	DL_DELETE(torrents->open, box);
	if (box->answer.result == -LSP_E_CLOSED)
		note_unheard(torrents, box->command);
	if (box->done)
		box->done(box->argument, &box->answer);
	else if (box->answer.result < 0 && box->answer.result != -LSP_E_NOT_FOUND)
		lsp_log_warning("torrent", "%s", box->answer.error.message);
	box_free(box);
}

/* On the engine's thread. */
static void answered(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrents_box *box = argument;
	box->answer = *answer;
	answer->value = NULL;
	answer->bytes = (struct lsp_buffer){0};
	/* Refused: the loop has ended, and lsp_torrents_free finds the box among the open ones. */
	(void)!lsp_loop_post_node(box->owner->peer->core, &box->post, deliver, box, NULL);
}

static void call_done(struct lsp_torrent_call *call)
{
	json_decref(call->arguments);
	lsp_manifest_unref(call->manifest);
	lsp_buffer_done(&call->metainfo);
	lsp_bitmap_done(&call->have);
	*call = (struct lsp_torrent_call){0};
}

static int start(struct lsp_torrents *torrents, struct lsp_error *err)
{
	struct lsp_peer *peer = torrents->peer;
	if (torrents->engine)
		return 0;
	if (peer->stopping)
		return lsp_error_set(err, "torrent", LSP_E_CLOSED, "the peer is stopping");
	/* Of a start that failed: the folder may be another by now. */
	lsp_torrent_places_free(TAKE_PTR(torrents->places));
	int r = lsp_torrent_places_new(lsp_local_games_dir(peer), &torrents->places, err);
	if (r < 0)
		return r;
	_cleanup_free_ char *folder = lsp_text_format("%s/" RESUME_FOLDER, peer->state_dir);
	json_t *configuration =
		lsp_torrents_effective(lsp_torrents_mode(torrents), torrents->configuration);
	struct lsp_torrent_options options = {
		.tasks = peer->tasks,
		.supervisor = lsp_runtime_supervisor(peer->runtime),
		.resume_dir = folder,
		.configuration = configuration,
		.event = event_came,
		.event_argument = peer,
		.hold = lsp_torrent_places_hold,
		.hold_argument = torrents->places,
	};
	r = folder && configuration ? lsp_torrent_engine_start(&options, &torrents->engine, err)
				    : lsp_error_no_memory(err, "peer");
	json_decref(configuration);
	if (r == -LSP_E_INVALID)
		r = lsp_error_prefix(err, r,
			"what is configured is wrong, `lanspread torrent configure` changes it");
	if (r < 0)
		return r;
	snprintf(torrents->mode, sizeof torrents->mode, "%s", lsp_torrents_mode(torrents));
	lsp_log_info("torrent", "the torrent engine runs (%s)", torrents->mode);
	lsp_torrents_tell_limits(torrents);
	lsp_torrent_games_mode_changed(peer);
	return 0;
}

int lsp_torrents_call(struct lsp_peer *peer, struct lsp_torrent_call *call, struct lsp_error *err)
{
	struct lsp_torrents *torrents = peer->torrents;
	struct lsp_torrents_box *box = calloc(1, sizeof *box);
	int r = box ? start(torrents, err) : lsp_error_no_memory(err, "peer");
	if (r < 0) {
		free(box);
		call_done(call);
		return r;
	}
	box->owner = torrents;
	box->command = call->command;
	box->done = call->done;
	box->argument = call->argument;
	call->done = answered;
	call->argument = box;
	/* Before the call: its completion may be quicker than we are. */
	DL_APPEND(torrents->open, box);
	r = lsp_torrent_call(torrents->engine, call, err);
	if (r < 0) {
		note_unheard(torrents, box->command);
		DL_DELETE(torrents->open, box);
		free(box);
	}
	return r;
}

int lsp_torrents_ask(struct lsp_peer *peer, enum lsp_torrent_command command, const char *id,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err)
{
	struct lsp_torrent_call call = {.command = command,
		.arguments = json_pack("{s:s}", "torrent", id),
		.done = done,
		.argument = argument};
	return lsp_torrents_call(peer, &call, err);
}

void lsp_torrents_tell(struct lsp_peer *peer, enum lsp_torrent_command command, json_t *arguments)
{
	struct lsp_torrent_call call = {.command = command, .arguments = arguments};
	struct lsp_error err = {0};
	if (lsp_torrents_call(peer, &call, &err) < 0)
		lsp_log_warning("torrent", "%s", err.message);
}

int lsp_torrents_ensure(struct lsp_torrents *torrents, struct lsp_error *err)
{
	return start(torrents, err);
}

void lsp_torrents_games_moved(struct lsp_torrents *torrents)
{
	if (torrents->engine)
		lsp_torrent_places_move(
			torrents->places, torrents->peer, lsp_local_games_dir(torrents->peer));
}

bool lsp_torrents_are_running(const struct lsp_torrents *torrents)
{
	return torrents->engine != NULL;
}

bool lsp_torrents_seed_all(const struct lsp_torrents *torrents)
{
	return strcmp(lsp_torrents_mode(torrents), "lan") == 0;
}

bool lsp_torrents_keep_to_themselves(const struct lsp_torrents *torrents)
{
	const json_t *user = torrents->configuration;
	return strcmp(lsp_torrents_mode(torrents), "off") == 0 &&
	       !json_is_true(json_object_get(user, "lsd")) &&
	       !json_is_true(json_object_get(user, "dht"));
}

uint16_t lsp_torrents_port(const struct lsp_torrents *torrents, const struct sockaddr_storage *peer)
{
	return torrents ? lsp_torrent_port_for(torrents->listen, peer) : 0;
}
