#include "peer/torrents.h"

#include "base/log.h"
#include "base/text.h"
#include "net/address.h"
#include "peer/events.h"
#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/session.h"
#include "peer/torrent_add.h"
#include "peer/torrent_fetch.h"
#include "peer/torrent_games.h"
#include "peer/torrent_late.h"
#include "peer/torrent_place.h"
#include "peer/torrent_port.h"
#include "store/config.h"
#include "wire/message.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define CONFIGURATION_FILE "torrent.json"
#define RESUME_FOLDER "torrent"
#define OFFER_EVERY (2 * LSP_SECOND)

/* A call on its way through the engine, and back to the loop. */
struct box {
	struct box *prev, *next; /* of the open ones */
	struct lsp_torrents *owner;
	enum lsp_torrent_command command;
	struct lsp_torrent_answer answer;
	void (*done)(void *argument, struct lsp_torrent_answer *answer);
	void *argument;
	struct lsp_post post;
};

struct lsp_torrents {
	struct lsp_peer *peer;
	struct lsp_torrent_engine *engine; /* NULL: not started */
	struct box *open;
	json_t *configuration; /* the user's */
	json_t *known;         /* torrent → what its events said */
	char mode[16];         /* that the engine was told of */
	uint64_t limit_up, limit_down;
	bool pause_uploads, asked_port;
	bool mode_unheard, limits_unheard; /* the engine was just failing: they are told again */
	bool has_stored;                   /* torrents, as it was at the start */
	json_t *listen;                    /* where the engine listens: ["ADDRESS:PORT"], or NULL */
	uint16_t port;                     /* of it, that is shown */
	uint64_t sessions, listens;        /* as they were when `listen` was asked for */
	uint64_t seeded_session; /* that our games were given to; 0: they are to be given */
	lsp_time next_offer;
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
	torrents->configuration = lsp_peer_load_json(peer, CONFIGURATION_FILE);
	torrents->has_stored = has_stored(peer->state_dir);
	*ret_torrents = torrents;
	return 0;
}

static void box_free(struct box *box)
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
	struct box *box, *next;
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
		"torrent_completed", "torrent_error", "torrent_session_error"};
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
	else if (*id && strcmp(name, "torrent_added") == 0) {
		remember(torrents, id, json_object_get(event, "status"));
		lsp_torrent_place_added(peer, json_object_get(event, "status"));
	} else if (*id)
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
	struct box *box = argument;
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
	struct box *box = argument;
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

static struct lsp_config *config_of(const struct lsp_torrents *torrents)
{
	return lsp_runtime_config(torrents->peer->runtime);
}

static const char *mode_of(const struct lsp_torrents *torrents)
{
	return lsp_config_text(config_of(torrents), LSP_SETTING_SWARM);
}

json_t *lsp_torrents_effective(const char *mode, json_t *user)
{
	json_t *effective = json_pack("{s:s}", "mode", mode);
	if (effective && user)
		json_object_update(effective, user);
	if (effective)
		json_object_set_new(effective, "mode", json_string(mode));
	return effective;
}

static void tell_limits(struct lsp_torrents *torrents);

static int start(struct lsp_torrents *torrents, struct lsp_error *err)
{
	struct lsp_peer *peer = torrents->peer;
	if (torrents->engine)
		return 0;
	if (peer->stopping)
		return lsp_error_set(err, "torrent", LSP_E_CLOSED, "the peer is stopping");
	_cleanup_free_ char *folder = lsp_text_format("%s/" RESUME_FOLDER, peer->state_dir);
	json_t *configuration = lsp_torrents_effective(mode_of(torrents), torrents->configuration);
	struct lsp_torrent_options options = {
		.tasks = peer->tasks,
		.supervisor = lsp_runtime_supervisor(peer->runtime),
		.resume_dir = folder,
		.configuration = configuration,
		.event = event_came,
		.event_argument = peer,
	};
	int r = folder && configuration ? lsp_torrent_engine_start(&options, &torrents->engine, err)
					: lsp_error_no_memory(err, "peer");
	json_decref(configuration);
	if (r < 0)
		return r;
	snprintf(torrents->mode, sizeof torrents->mode, "%s", mode_of(torrents));
	lsp_log_info("torrent", "the torrent engine runs (%s)", torrents->mode);
	tell_limits(torrents);
	lsp_torrent_games_mode_changed(peer);
	return 0;
}

int lsp_torrents_call(struct lsp_peer *peer, struct lsp_torrent_call *call, struct lsp_error *err)
{
	struct lsp_torrents *torrents = peer->torrents;
	struct box *box = calloc(1, sizeof *box);
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

bool lsp_torrents_are_running(const struct lsp_torrents *torrents)
{
	return torrents->engine != NULL;
}

bool lsp_torrents_seed_all(const struct lsp_torrents *torrents)
{
	return strcmp(mode_of(torrents), "lan") == 0;
}

bool lsp_torrents_keep_to_themselves(const struct lsp_torrents *torrents)
{
	const json_t *user = torrents->configuration;
	return strcmp(mode_of(torrents), "off") == 0 &&
	       !json_is_true(json_object_get(user, "lsd")) &&
	       !json_is_true(json_object_get(user, "dht"));
}

uint16_t lsp_torrents_port(const struct lsp_torrents *torrents, const struct sockaddr_storage *peer)
{
	return torrents ? lsp_torrent_port_for(torrents->listen, peer) : 0;
}

/* ---- Settings ---- */

static void tell_configuration(struct lsp_torrents *torrents)
{
	torrents->mode_unheard = false;
	snprintf(torrents->mode, sizeof torrents->mode, "%s", mode_of(torrents));
	lsp_torrents_tell(torrents->peer, LSP_TORRENT_CONFIGURE,
		json_pack("{s:o}", "configuration",
			lsp_torrents_effective(torrents->mode, torrents->configuration)));
	torrents->sessions = 0; /* it may listen elsewhere now */
}

/*
 * The limits of this peer hold for each engine by itself, those of torrents for this one alone: the
 * lower one counts.
 */
static uint64_t limit_of(
	const struct lsp_torrents *torrents, enum lsp_setting_id peer, enum lsp_setting_id torrent)
{
	uint64_t one = lsp_config_number(config_of(torrents), peer);
	uint64_t other = lsp_config_number(config_of(torrents), torrent);
	uint64_t limit = one && other ? LSP_MIN(one, other) : one + other;
	return LSP_MIN(limit, (uint64_t)INT32_MAX);
}

/* True if the engine knows others. */
static bool read_limits(struct lsp_torrents *torrents)
{
	uint64_t up = limit_of(torrents, LSP_SETTING_LIMIT_UP, LSP_SETTING_TORRENT_LIMIT_UP);
	uint64_t down = limit_of(torrents, LSP_SETTING_LIMIT_DOWN, LSP_SETTING_TORRENT_LIMIT_DOWN);
	bool pause = lsp_config_switch(config_of(torrents), LSP_SETTING_PAUSE_UPLOADS);
	bool changed = torrents->limits_unheard || up != torrents->limit_up ||
		       down != torrents->limit_down || pause != torrents->pause_uploads;
	torrents->limits_unheard = false;
	torrents->limit_up = up;
	torrents->limit_down = down;
	torrents->pause_uploads = pause;
	return changed;
}

static json_t *limit_arguments(const struct lsp_torrents *torrents)
{
	/* Nothing at all cannot be said: one byte a second is as near as it gets. */
	uint64_t up = torrents->pause_uploads ? 1 : torrents->limit_up;
	return json_pack("{s:I, s:I}", "max_upload", (json_int_t)up, "max_download",
		(json_int_t)torrents->limit_down);
}

static void tell_limits(struct lsp_torrents *torrents)
{
	if (read_limits(torrents))
		lsp_torrents_tell(torrents->peer, LSP_TORRENT_LIMITS, limit_arguments(torrents));
}

int lsp_torrents_limit(struct lsp_torrents *torrents,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err)
{
	(void)read_limits(torrents);
	struct lsp_torrent_call call = {.command = LSP_TORRENT_LIMITS,
		.arguments = limit_arguments(torrents),
		.done = done,
		.argument = argument};
	return lsp_torrents_call(torrents->peer, &call, err);
}

static void ask_port(struct lsp_torrents *torrents);

void lsp_torrents_apply(struct lsp_torrents *torrents)
{
	struct lsp_error err = {0};
	/* Our games start it when they are here, see lsp_torrent_games_ready. */
	bool wanted = strcmp(mode_of(torrents), "off") != 0 || torrents->has_stored;
	bool fresh = wanted && !torrents->engine;
	if (fresh && start(torrents, &err) < 0) {
		lsp_peer_warn(torrents->peer, "the torrent engine does not start: %s", err.message);
		return;
	}
	if (!torrents->engine)
		return;
	if (fresh)
		ask_port(torrents); /* which has the session come up: it is to be found */
	if (torrents->mode_unheard || strcmp(torrents->mode, mode_of(torrents)) != 0)
		tell_configuration(torrents);
	tell_limits(torrents);
	lsp_torrent_games_mode_changed(torrents->peer);
}

json_t *lsp_torrents_configuration(const struct lsp_torrents *torrents)
{
	return torrents->configuration;
}

int lsp_torrents_configure(struct lsp_torrents *torrents, json_t *configuration,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err)
{
	/* Two places for one setting would contradict each other, and one of them tells the
	 * outside. */
	if (json_object_get(configuration, "mode"))
		return lsp_error_set(err, "torrent", LSP_E_INVALID,
			"the mode is a setting of its own: `lanspread config swarm "
			"off|lan|internet`");
	json_t *effective = lsp_torrents_effective(mode_of(torrents), configuration);
	int r = effective ? lsp_torrent_configuration_check(effective, err)
			  : lsp_error_no_memory(err, "peer");
	if (r < 0) {
		json_decref(effective);
		return r;
	}
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_CONFIGURE,
		.arguments = json_pack("{s:o}", "configuration", effective),
		.done = done,
		.argument = argument,
	};
	/* Before the call, which may start the engine: one that was wrong shall not be in the way.
	 */
	json_t *before = torrents->configuration;
	torrents->configuration = json_incref(configuration);
	r = lsp_torrents_call(torrents->peer, &call, err);
	if (r < 0) {
		json_decref(torrents->configuration);
		torrents->configuration = before;
		return r;
	}
	json_decref(before);
	torrents->sessions = 0;
	lsp_peer_save_json(torrents->peer, CONFIGURATION_FILE, json_incref(configuration));
	return 0;
}

/* ---- The port, and who has one ---- */

/* NULL: nowhere. */
static void take_listen(struct lsp_torrents *torrents, json_t *listen)
{
	uint16_t port = lsp_torrent_port_shown(listen);
	if (listen == torrents->listen || json_equal(listen, torrents->listen))
		return;
	json_decref(torrents->listen);
	torrents->listen = json_incref(listen);
	if (torrents->port != port)
		lsp_events_publish(torrents->peer->events,
			json_pack("{s:s, s:i}", "event", "torrent_listening", "port", (int)port));
	torrents->port = port;
	lsp_sessions_tell_torrent_port(torrents->peer);
}

static void inspected(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrents *torrents = argument;
	if (!answer)
		return;
	torrents->asked_port = false;
	if (answer->result == 0)
		take_listen(torrents, json_object_get(answer->value, "listen"));
	if (!torrents->port)
		torrents->sessions = 0; /* not yet: ask again */
}

static void ask_port(struct lsp_torrents *torrents)
{
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_INSPECT, .done = inspected, .argument = torrents};
	torrents->asked_port = lsp_torrents_call(torrents->peer, &call, NULL) == 0;
}

static bool wants_peers(const json_t *known);

/*
 * Downloads are offered the peers of the LAN again: one dial may fail or come too early (the other
 * side was just adding the torrent), and the library gives up on a peer after a few. One that is
 * connected is left as it is.
 */
static void offer_again(struct lsp_torrents *torrents)
{
	const char *id;
	json_t *known, *peers = NULL;
	lsp_time now = lsp_peer_now(torrents->peer);
	if (now < torrents->next_offer)
		return;
	torrents->next_offer = lsp_time_add(now, OFFER_EVERY);
	json_object_foreach (torrents->known, id, known) {
		if (!wants_peers(known))
			continue;
		if (!peers)
			peers = lsp_torrents_lan_peers(torrents->peer);
		if (json_array_size(peers))
			lsp_torrents_tell(torrents->peer, LSP_TORRENT_ADD_PEERS,
				json_pack("{s:s, s:O}", "torrent", id, "lan_peers", peers));
	}
	json_decref(peers);
}

void lsp_torrents_tick(struct lsp_torrents *torrents)
{
	struct lsp_torrent_counters counters = {0};
	if (!torrents->engine)
		return;
	lsp_torrent_counters(torrents->engine, &counters);
	if (!counters.session_open) {
		torrents->sessions = 0;
		take_listen(torrents, NULL);
	} else if (!torrents->asked_port && (torrents->sessions != counters.sessions ||
						    torrents->listens != counters.listens)) {
		torrents->sessions = counters.sessions;
		torrents->listens = counters.listens;
		ask_port(torrents);
	}
	if (counters.session_open && torrents->mode_unheard)
		tell_configuration(torrents);
	if (counters.session_open && torrents->limits_unheard)
		tell_limits(torrents);
	/* A session begins with what is stored, and our games are not. */
	if (counters.session_open && torrents->seeded_session != counters.sessions) {
		torrents->seeded_session = counters.sessions;
		lsp_torrent_games_mode_changed(torrents->peer);
	}
	offer_again(torrents);
	lsp_torrent_fetch_tick(torrents->peer);
	lsp_torrent_late_tick(torrents->peer);
}

json_t *lsp_torrents_lan_peers(struct lsp_peer *peer)
{
	char address[LSP_ADDRESS_TEXT_MAX];
	json_t *list = json_array();
	for (struct lsp_session *s = peer->sessions; s; s = lsp_session_next(s)) {
		if (lsp_session_is_established(s) && lsp_session_torrent_address(s, address))
			json_array_append_new(list, json_string(address));
	}
	return list;
}

/* Only who downloads has to dial: the others wait to be found. */
static bool wants_peers(const json_t *known)
{
	const char *state = text_of(known, "state");
	return strcmp(state, "downloading") == 0 || strcmp(state, "fetching_metadata") == 0;
}

void lsp_torrents_peer_came(struct lsp_torrents *torrents, struct lsp_session *session)
{
	char address[LSP_ADDRESS_TEXT_MAX];
	const char *id;
	json_t *known;
	if (!torrents || !torrents->engine || !lsp_session_torrent_address(session, address))
		return;
	json_object_foreach (torrents->known, id, known) {
		if (wants_peers(known))
			lsp_torrents_tell(torrents->peer, LSP_TORRENT_ADD_PEERS,
				json_pack("{s:s, s:[s]}", "torrent", id, "lan_peers", address));
	}
}

/* ---- What it looks like ---- */

void lsp_torrents_add_degraded(const struct lsp_torrents *torrents, json_t *degraded)
{
	uint32_t bits = torrents->engine ? lsp_torrent_health(torrents->engine) : 0;
	for (int i = 0; i < LSP_TORRENT_COMPONENT_COUNT; i++) {
		if (bits & UINT32_C(1) << i)
			json_array_append_new(degraded,
				json_sprintf("torrent_%s",
					lsp_torrent_component_name((enum lsp_torrent_component)i)));
	}
}

static json_t *health_json(const struct lsp_torrents *torrents)
{
	uint32_t bits = lsp_torrent_health(torrents->engine);
	json_t *list = json_array();
	for (int i = 0; i < LSP_TORRENT_COMPONENT_COUNT; i++) {
		if (bits & UINT32_C(1) << i)
			json_array_append_new(list, json_string(lsp_torrent_component_name(
							    (enum lsp_torrent_component)i)));
	}
	return json_pack("{s:s, s:o}", "state", bits ? "degraded" : "ok", "degraded", list);
}

json_t *lsp_torrents_status_json(const struct lsp_torrents *torrents)
{
	struct lsp_torrent_counters c = {0};
	if (!torrents->engine)
		return json_null();
	lsp_torrent_counters(torrents->engine, &c);
	json_t *status =
		json_pack("{s:s, s:b, s:i, s:o}", "mode", mode_of(torrents), "session_open",
			c.session_open, "port", torrents->port, "health", health_json(torrents));
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{"torrents", c.torrents},
		{"downloading", c.downloading},
		{"seeding", c.seeding},
		{"failed", c.failed},
		{"peers", c.peers},
		{"sent", c.sent},
		{"received", c.received},
		{"upload_rate", c.upload_rate},
		{"download_rate", c.download_rate},
		{"alerts", c.alerts},
		{"alerts_dropped", c.alerts_dropped},
		{"commands", c.commands},
		{"samples", c.samples},
		{"samples_coalesced", c.samples_coalesced},
		{"resume_saved", c.resume_saved},
		{"resume_failed", c.resume_failed},
		{"quarantined", c.quarantined},
		{"restored", c.restored},
		{"read_back", c.read_back},
		{"sessions", c.sessions},
	};
	for (size_t i = 0; status && i < LSP_ARRAY_SIZE(numbers); i++)
		json_object_set_new(
			status, numbers[i].key, json_integer((json_int_t)numbers[i].value));
	return status;
}
