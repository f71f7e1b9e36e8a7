/* Commands about the peer itself: who is there, how it is, what it may do. */
#include "base/log.h"
#include "base/text.h"
#include "net/address.h"
#include "net/identity.h"
#include "net/interface.h"
#include "peer/announce.h"
#include "peer/commands.h"
#include "peer/connect.h"
#include "peer/database.h"
#include "peer/events.h"
#include "peer/games.h"
#include "peer/health.h"
#include "peer/limits.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/session.h"
#include "peer/torrents.h"
#include "store/config.h"
#include "task/operation.h"
#include "task/supervisor.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- Peers ---- */

int lsp_command_peers(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	json_t *peers = json_array();
	for (struct lsp_session *s = peer->sessions; s; s = lsp_session_next(s)) {
		if (lsp_session_is_established(s))
			json_array_append_new(peers, lsp_session_json(s));
	}
	lsp_call_answer(call, json_pack("{s:o}", "peers", peers));
	return 0;
}

/* Takes an id that begins with the prefix; an error when it is the second one. */
static int match(const char *prefix, const struct lsp_hash *id, struct lsp_hash *match_id,
	bool *found, struct lsp_error *err)
{
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(id, hex);
	if (strncasecmp(hex, prefix, strlen(prefix)) != 0)
		return 0;
	if (*found && !lsp_hash_equal(match_id, id))
		return lsp_error_set(err, "peer", LSP_E_INVALID,
			"several ids begin with \"%s\": give more of it", prefix);
	*found = true;
	*match_id = *id;
	return 0;
}

/* Of those who are connected and of those whom we dial. */
int lsp_command_peers_forget(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *prefix = lsp_call_text(call, "peer");
	struct lsp_hash id = {0};
	const struct lsp_hash *known;
	bool found = false;
	int r = 0;
	for (struct lsp_session *s = peer->sessions; s && r == 0; s = lsp_session_next(s))
		r = match(prefix, lsp_session_id(s), &id, &found, err);
	for (size_t i = 0; r == 0 && (known = lsp_connect_known(peer->connect, i)); i++)
		r = match(prefix, known, &id, &found, err);
	if (r < 0)
		return r;
	if (!found || !lsp_connect_forget(peer->connect, &id))
		return lsp_error_set(err, "peer", LSP_E_NOT_FOUND,
			"no peer whose id begins with \"%s\" is known; `lanspread peers` lists "
			"them",
			prefix);
	lsp_call_answer(call, NULL);
	return 0;
}

/* ---- Status
 * -----------------------------------------------------------------------------------------------
 */

static void append_address(json_t *list, const struct sockaddr_storage *address, uint16_t port)
{
	struct sockaddr_storage whole = *address;
	char text[LSP_ADDRESS_TEXT_MAX];
	lsp_address_set_port(&whole, port);
	json_array_append_new(list, json_string(lsp_address_format(&whole, text)));
}

/* Where others reach us: the one address that was asked for, else every one of what is used. */
static json_t *listen_json(const struct lsp_peer *peer)
{
	struct lsp_endpoint *endpoint = lsp_connect_endpoint(peer->connect);
	const struct sockaddr_storage *only = lsp_connect_listen(peer->connect);
	_cleanup_interfaces_ struct lsp_interfaces interfaces = {0};
	json_t *list = json_array();
	if (!endpoint)
		return list;
	uint16_t port = lsp_endpoint_port(endpoint);
	if (only)
		append_address(list, only, port);
	else if (lsp_interfaces_read(lsp_connect_interface(peer->connect), &interfaces, NULL) ==
		 0) {
		for (size_t i = 0; i < interfaces.count; i++)
			append_address(list, &interfaces.items[i].address, port);
	}
	if (!json_array_size(list))
		json_array_append_new(list, json_sprintf("127.0.0.1:%u", port));
	return list;
}

static json_t *services_json(const struct lsp_peer *peer)
{
	struct lsp_supervised_info *infos = NULL;
	size_t count = 0;
	json_t *list = json_array();
	if (lsp_supervisor_snapshot(lsp_runtime_supervisor(peer->runtime), &infos, &count, NULL) <
		0)
		return list;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:i, s:o}", "name", infos[i].name, "state",
				      lsp_supervised_state_name(infos[i].state), "restarts",
				      (int)infos[i].restarts, "error",
				      infos[i].error.code ? json_string(infos[i].error.message)
							  : json_null()));
	free(infos);
	return list;
}

static json_t *operations_list(const struct lsp_peer *peer)
{
	struct lsp_operation_info *infos = NULL;
	size_t count = 0;
	json_t *list = json_array();
	if (lsp_operations_snapshot(peer->operations, &infos, &count, NULL) < 0)
		return list;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "game", infos[i].game, "operation",
				      lsp_operation_kind_name(infos[i].kind)));
	free(infos);
	return list;
}

static size_t count_peers(const struct lsp_peer *peer)
{
	size_t count = 0;
	for (struct lsp_session *s = peer->sessions; s; s = lsp_session_next(s))
		count += lsp_session_is_established(s);
	return count;
}

int lsp_command_status(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	char id[LSP_SHA256_HEX_SIZE];
	lsp_time now = lsp_peer_now(peer);
	const char *http = lsp_runtime_http_url(peer->runtime);
	lsp_hash_to_hex(&peer->id, id);
	json_t *status = json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:o, s:o}", "version",
		LANSPREAD_VERSION, "peer_id", id, "name", peer->name, "listen", listen_json(peer),
		"http", http ? json_string(http) : json_null(), "games_dir",
		lsp_local_games_dir(peer), "state_dir", peer->state_dir, "health",
		lsp_health_json(peer), "services", services_json(peer));
	if (!status)
		return lsp_error_no_memory(err, "peer");
	json_object_update_new(
		status, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "sent",
				(json_int_t)peer->sent, "received", (json_int_t)peer->received,
				"up_rate", (json_int_t)lsp_rate_get(&peer->up_rate, now),
				"down_rate", (json_int_t)lsp_rate_get(&peer->down_rate, now),
				"peers", (json_int_t)count_peers(peer), "games",
				(json_int_t)lsp_local_snapshot(peer)->count, "uptime_s",
				(json_int_t)((now - peer->started) / LSP_SECOND), "operations",
				operations_list(peer), "limits", lsp_limits_json(peer->limits)));
	const char *problem = lsp_local_snapshot(peer)->problem;
	json_object_set_new(
		status, "games_dir_problem", problem[0] ? json_string(problem) : json_null());
	json_object_set_new(status, "torrent", lsp_torrents_status_json(peer->torrents));
	lsp_call_answer(call, status);
	return 0;
}

static void append_tasks(json_t *list, const struct lsp_task_info *infos, size_t count)
{
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:f, s:i, s:s, s:s}", "name", infos[i].name, "kind",
				lsp_task_kind_name(infos[i].kind), "age_s",
				(double)infos[i].age / (double)LSP_SECOND, "tid",
				infos[i].activity ? 0 : (int)infos[i].tid, "state",
				lsp_task_state_name(infos[i].state), "owner", infos[i].owner));
}

int lsp_command_tasks(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	struct lsp_task_info *own = NULL, *foreign = NULL;
	size_t own_count = 0, foreign_count = 0;
	int r = lsp_tasks_snapshot(peer->tasks, &own, &own_count, err);
	if (r == 0)
		r = lsp_tasks_foreign(peer->tasks, &foreign, &foreign_count, err);
	if (r == 0) {
		json_t *list = json_array();
		append_tasks(list, own, own_count);
		append_tasks(list, foreign, foreign_count);
		lsp_call_answer(call, json_pack("{s:o}", "tasks", list));
	}
	free(own);
	free(foreign);
	return r;
}

/* ---- Settings
 * ------------------------------------------------------------------------------------------------
 */

static int set_number(struct lsp_config *config, enum lsp_setting_id id,
	const struct lsp_call *call, const char *name, struct lsp_error *err)
{
	json_t *value = lsp_call_json(call, name);
	return value ? lsp_config_set_json(config, id, value, err) : 0;
}

/* A rate that is not given stays. A game that is gone may lose the limits that it had. */
static int set_game_limits(
	struct lsp_peer *peer, const struct lsp_call *call, const char *game, struct lsp_error *err)
{
	json_t *limits = lsp_limits_json(peer->limits);
	json_t *now = json_object_get(json_object_get(limits, "games"), game);
	uint64_t up = (uint64_t)json_integer_value(json_object_get(now, "up"));
	uint64_t down = (uint64_t)json_integer_value(json_object_get(now, "down"));
	bool had = now != NULL;
	json_decref(limits);
	if (!had && !lsp_games_known(peer, game))
		return lsp_games_unknown(game, err);
	return lsp_limits_set_game(peer->limits, game, lsp_call_number(call, "up", up),
		lsp_call_number(call, "down", down), err);
}

int lsp_command_set_limits(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	struct lsp_config *config = lsp_runtime_config(peer->runtime);
	const char *game = lsp_call_text(call, "game");
	int r = 0;
	if (game) {
		r = set_game_limits(peer, call, game, err);
	} else {
		r = set_number(config, LSP_SETTING_LIMIT_UP, call, "up", err);
		if (r == 0)
			r = set_number(config, LSP_SETTING_LIMIT_DOWN, call, "down", err);
	}
	if (r == 0)
		r = set_number(config, LSP_SETTING_PAUSE_UPLOADS, call, "pause_uploads", err);
	if (r < 0)
		return r;
	lsp_limits_apply(peer->limits);
	lsp_torrents_apply(peer->torrents);
	lsp_call_answer(call, lsp_limits_json(peer->limits));
	return 0;
}

int lsp_command_get_limits(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	lsp_call_answer(call, lsp_limits_json(peer->limits));
	return 0;
}

/* restart: what was changed is in effect at the next start. */
static void answer_config(
	struct lsp_peer *peer, struct lsp_call *call, const char *key, bool restart)
{
	struct lsp_config *config = lsp_runtime_config(peer->runtime);
	json_t *values = lsp_config_values(config);
	if (key) {
		json_t *one = json_pack("{s:O}", key, json_object_get(values, key));
		json_decref(values);
		values = one;
	}
	lsp_call_answer(
		call, json_pack("{s:o, s:o, s:o*}", "config", values, "fixed",
			      lsp_config_fixed(config), "restart", restart ? json_true() : NULL));
}

int lsp_command_config_get(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *key = lsp_call_text(call, "key");
	enum lsp_setting_id id;
	int r = key ? lsp_setting_find(key, &id, err) : 0;
	if (r < 0)
		return r;
	answer_config(peer, call, key, false);
	return 0;
}

int lsp_command_config_set(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *key = lsp_call_text(call, "key");
	json_t *value = lsp_call_json(call, "value");
	enum lsp_setting_id id;
	int r = lsp_setting_find(key, &id, err);
	if (r == 0 && id == LSP_SETTING_GAMES_DIR)
		return lsp_error_set(err, "peer", LSP_E_INVALID,
			"the games folder is set with `lanspread games-dir PATH`");
	if (r == 0 && json_is_string(value))
		r = lsp_config_set(
			lsp_runtime_config(peer->runtime), id, json_string_value(value), err);
	else if (r == 0)
		r = lsp_config_set_json(lsp_runtime_config(peer->runtime), id, value, err);
	if (r < 0)
		return r;
	lsp_runtime_settings_changed(peer->runtime, UINT32_C(1) << id);
	answer_config(peer, call, key, lsp_settings[id].at_start);
	return 0;
}

/* ---- Identity and the end ---- */

int lsp_command_identity(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	char id[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&peer->id, id);
	lsp_call_answer(call, json_pack("{s:s, s:s}", "peer_id", id, "name", peer->name));
	return 0;
}

int lsp_command_identity_rotate(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	_cleanup_identity_ struct lsp_identity *identity = NULL;
	char id[LSP_SHA256_HEX_SIZE];
	int r = lsp_identity_rotate(peer->state_dir, &identity, err);
	if (r < 0)
		return r;
	lsp_hash_to_hex(lsp_identity_peer_id(identity), id);
	lsp_call_answer(call, json_pack("{s:s, s:b}", "peer_id", id, "restart", 1));
	return 0;
}

int lsp_command_shutdown(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	lsp_call_answer(call, NULL);
	lsp_runtime_stop(peer->runtime, LSP_CANCEL_RPC, "a client asked for it");
	return 0;
}
