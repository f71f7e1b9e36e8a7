/*
 * Commands of the torrent engine. Most go through as they are; what is more: a game is not harmed
 * through its torrent, the configuration is kept. Adding is torrent_command_add.c's.
 */
#include "peer/torrent_commands.h"

#include "base/text.h"
#include "peer/commands.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/share.h"
#include "peer/torrent_fetch.h"
#include "peer/torrent_games.h"
#include "peer/torrent_late.h"
#include "peer/torrent_outside.h"
#include "peer/torrents.h"
#include "store/config.h"
#include "wire/base64.h"
#include "wire/json.h"

#include <stdlib.h>
#include <string.h>

/* ---- Through ---- */

static void set_base64(json_t *object, const char *key, const struct lsp_buffer *bytes)
{
	_cleanup_free_ char *text = malloc(lsp_base64_size(bytes->size) + 1);
	if (!text)
		return;
	lsp_base64_encode(bytes->data, bytes->size, text);
	json_object_set_new(object, key, json_string(text));
}

/* The engine's answer as the call's. Bytes are the member `bytes`. */
static void pass_answer(struct lsp_call *call, struct lsp_torrent_answer *answer, const char *bytes)
{
	if (answer->result < 0) {
		json_t *more = answer->value ? json_pack("{s:O}", "status", answer->value) : NULL;
		lsp_call_fail_with(call, &answer->error, more);
		return;
	}
	json_t *value = answer->value ? TAKE_PTR(answer->value) : json_object();
	if (value && bytes && answer->bytes.size)
		set_base64(value, bytes, &answer->bytes);
	lsp_call_answer(call, value);
}

void lsp_torrent_command_answered(void *argument, struct lsp_torrent_answer *answer)
{
	if (answer)
		pass_answer(argument, answer, NULL);
}

/* For what changed something that we keep ourselves. */
static void answered_and_kept(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_call *call = argument;
	if (answer && answer->result < 0)
		pass_answer(call, answer, NULL);
	else if (answer)
		lsp_call_answer_saved(
			call, answer->value ? TAKE_PTR(answer->value) : json_object());
}

static void have_answered(void *argument, struct lsp_torrent_answer *answer)
{
	if (answer)
		pass_answer(argument, answer, "bits");
}

static void metainfo_answered(void *argument, struct lsp_torrent_answer *answer)
{
	if (answer)
		pass_answer(argument, answer, "metainfo");
}

json_t *lsp_torrent_command_arguments(const struct lsp_call *call)
{
	json_t *arguments = json_copy(lsp_call_document(call));
	json_object_del(arguments, "command");
	return arguments;
}

static enum lsp_torrent_command command_of(const struct lsp_call *call)
{
	return lsp_torrent_command_from_name(lsp_call_command(call) + strlen("torrent_"));
}

/* ---- Of one torrent ---- */

static const char among_games[] = "its files are in the games folder by now: `lanspread remove` "
				  "deletes a game, and `lanspread "
				  "torrent remove` without --data ends the torrent";

/*
 * Does the engine take one torrent's files, change which it has, or stand still? Then games are to
 * be spared.
 */
static bool touches_files(const struct lsp_call *call)
{
	enum lsp_torrent_command command = command_of(call);
	return command == LSP_TORRENT_PAUSE || command == LSP_TORRENT_REMOVE ||
	       command == LSP_TORRENT_MOVE || command == LSP_TORRENT_SELECT ||
	       command == LSP_TORRENT_OPTIONS || command == LSP_TORRENT_RECHECK ||
	       command == LSP_TORRENT_RESUME;
}

/* Are the torrent's files deleted, now or once it has seeded enough? */
static bool deletes(const struct lsp_call *call)
{
	enum lsp_torrent_command command = command_of(call);
	return (command == LSP_TORRENT_REMOVE && lsp_call_flag(call, "data")) ||
	       (command == LSP_TORRENT_OPTIONS && lsp_call_flag(call, "seed_remove_data"));
}

/* Does libtorrent write into the torrent's files thereafter, or delete them? */
static bool writes_or_deletes(const struct lsp_call *call)
{
	enum lsp_torrent_command command = command_of(call);
	return command == LSP_TORRENT_RESUME || command == LSP_TORRENT_RECHECK || deletes(call);
}

/* The game that is downloaded by it, or NULL. */
static const char *download_by(const struct lsp_peer *peer, const char *id)
{
	const char *game = lsp_torrent_fetch_game(peer, id);
	return game ? game : lsp_torrent_late_game(peer, id);
}

static struct lsp_torrent_late *late_of(const struct lsp_peer *peer, const char *id)
{
	const char *game = lsp_torrent_late_game(peer, id);
	return game ? lsp_torrent_late_find(peer, game) : NULL;
}

/* A download that was cancelled, or failed, and may go on. */
static bool rests(const struct lsp_peer *peer, const char *id)
{
	const struct lsp_torrent_late *late = late_of(peer, id);
	return late && !lsp_torrent_late_runs(late);
}

static bool is_whole(const struct lsp_peer *peer, const char *id)
{
	const struct lsp_torrent_late *late = late_of(peer, id);
	return late && (lsp_torrent_late_is_whole(late) || lsp_torrent_late_is_held(late));
}

static bool is_held(const struct lsp_peer *peer, const char *id)
{
	const struct lsp_torrent_late *late = late_of(peer, id);
	return late && lsp_torrent_late_is_held(late);
}

/* Such a one has its files where the game's download put them. */
static bool is_of_a_game(const struct lsp_peer *peer, const char *id, const json_t *status)
{
	return json_is_string(json_object_get(status, "game")) ||
	       lsp_torrent_games_seeded(peer, id) || download_by(peer, id);
}

/* What would take a game's files from under it is refused. */
static int spare_games(
	struct lsp_peer *peer, struct lsp_call *call, const json_t *status, struct lsp_error *err)
{
	const char *id = json_string_value(json_object_get(status, "id"));
	enum lsp_torrent_command command = command_of(call);
	bool harms = command == LSP_TORRENT_MOVE || deletes(call);
	const char *game = download_by(peer, id);
	if (game && (harms || command == LSP_TORRENT_REMOVE || command == LSP_TORRENT_SELECT) &&
		!(command == LSP_TORRENT_REMOVE && rests(peer, id)))
		return lsp_error_set(err, "torrent", LSP_E_BUSY,
			rests(peer, id)
				? "it is the download of %s, which stands still: "
				  "`lanspread get %s` goes on with it, and `lanspread "
				  "torrent remove` ends it"
				: "it is the download of %s: `lanspread cancel %s` stops it",
			game, game);
	if (lsp_torrent_fetch_game(peer, id) && command == LSP_TORRENT_PAUSE)
		return lsp_error_set(err, "torrent", LSP_E_BUSY,
			"it is the download of %s: `lanspread pause %s` pauses it", game, game);
	if (game && command == LSP_TORRENT_RESUME && is_held(peer, id) && !rests(peer, id))
		return lsp_error_set(err, "torrent", LSP_E_BUSY,
			"it is being looked at how far %s had become a game: try again", game);
	if (game && command == LSP_TORRENT_RECHECK && is_whole(peer, id))
		return lsp_error_set(err, "torrent", LSP_E_BUSY,
			"it is becoming the game %s: `lanspread verify %s` checks its files then",
			game, game);
	/* Only games are not stored: one that was just forgotten still has its game's files. */
	game = lsp_torrent_games_seeded(peer, id);
	if (!game && json_is_true(json_object_get(status, "transient")))
		game = json_string_value(json_object_get(status, "game"));
	/* What is found wrong would be fetched, into the library. */
	if (game && command == LSP_TORRENT_RECHECK)
		return lsp_error_set(err, "torrent", LSP_E_DENIED,
			"its files are those of the game %s: `lanspread verify %s` checks them",
			game, game);
	if (game && harms && command == LSP_TORRENT_MOVE)
		return lsp_error_set(err, "torrent", LSP_E_DENIED,
			"its files are those of the game %s, and stay in the games folder; "
			"`lanspread remove %s` deletes them",
			game, game);
	if (game && harms)
		return lsp_error_set(err, "torrent", LSP_E_DENIED,
			"its files are those of the game %s: `lanspread remove %s` deletes them",
			game, game);
	return 0;
}

/* A command that waits for the engine to say which torrent is meant. */
struct resolving {
	struct lsp_peer *peer;
	struct lsp_call *call;
};

/* status: what the engine says of the torrent that is meant. */
static int pass_on(
	struct lsp_peer *peer, struct lsp_call *call, const json_t *status, struct lsp_error *err)
{
	const char *id = json_string_value(json_object_get(status, "id"));
	struct lsp_torrent_call through = {
		.command = command_of(call), .done = answered_and_kept, .argument = call};
	int r = id ? spare_games(peer, call, status, err) : lsp_error_no_memory(err, "peer");
	if (r == 0 && through.command == LSP_TORRENT_RESUME && rests(peer, id))
		r = lsp_torrent_late_go_on(late_of(peer, id), err);
	if (r < 0)
		return r;
	if (through.command == LSP_TORRENT_RESUME && is_held(peer, id)) {
		lsp_call_answer_saved(call, json_object()); /* what it goes on with is seen first */
		return 0;
	}
	through.arguments = lsp_torrent_command_arguments(call);
	json_object_set_new(through.arguments, "torrent", json_string(id));
	struct lsp_torrent_place place = {
		.path = json_string_value(json_object_get(status, "save_path")),
		.name = json_string_value(json_object_get(status, "folder"))};
	if (command_of(call) == LSP_TORRENT_MOVE && *lsp_call_text(call, "save_path") == '/') {
		place.path = lsp_call_text(call, "save_path");
		return lsp_torrent_call_outside(
			peer, call, &place, NULL, lsp_torrent_into_games, &through, err);
	}
	if (place.path && writes_or_deletes(call) && !is_of_a_game(peer, id, status))
		return lsp_torrent_call_outside(
			peer, call, &place, NULL, among_games, &through, err);
	r = lsp_torrents_call(peer, &through, err);
	if (r == 0 && command_of(call) == LSP_TORRENT_REMOVE)
		(void)lsp_torrent_games_forget(peer, id);
	return r;
}

/*
 * What a move that cannot be finished has in two places, as the engine says (lsp_move_json): it is
 * forgotten, or deleted in both.
 */
static int remove_stuck(
	struct lsp_peer *peer, struct lsp_call *call, const json_t *move, struct lsp_error *err)
{
	const char *id = json_string_value(json_object_get(move, "id"));
	struct lsp_torrent_call through = {
		.command = LSP_TORRENT_REMOVE, .done = answered_and_kept, .argument = call};
	int r = spare_games(peer, call, move, err);
	if (r < 0)
		return r;
	through.arguments = lsp_torrent_command_arguments(call);
	json_object_set_new(through.arguments, "torrent", json_string(id));
	struct lsp_torrent_place place = {
		.path = json_string_value(json_object_get(move, "save_path")),
		.name = json_string_value(json_object_get(move, "folder"))};
	if (deletes(call))
		return lsp_torrent_call_outside(peer, call, &place,
			json_string_value(json_object_get(move, "moving_to")), among_games,
			&through, err);
	return lsp_torrents_call(peer, &through, err);
}

static void resolved(void *argument, struct lsp_torrent_answer *answer)
{
	struct resolving resolving = *(struct resolving *)argument;
	struct lsp_error err = {0};
	free(argument);
	if (!answer)
		return;
	json_t *found = json_array_get(json_object_get(answer->value, "torrents"), 0);
	int r = answer->result;
	bool is_stuck = r == -LSP_E_BUSY && json_object_get(answer->value, "id");
	if (is_stuck && command_of(resolving.call) == LSP_TORRENT_REMOVE)
		r = remove_stuck(resolving.peer, resolving.call, answer->value, &err);
	else if (r < 0)
		err = answer->error;
	else
		r = pass_on(resolving.peer, resolving.call, found, &err);
	if (r < 0)
		lsp_call_fail(resolving.call, &err);
}

/*
 * A torrent has many names: its id, both info-hashes, the beginning of each. The engine alone knows
 * them all, so it is asked first; what is judged, and then done, is done to the id that it said.
 */
static int resolve(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	struct resolving *resolving = malloc(sizeof *resolving);
	if (!resolving)
		return lsp_error_no_memory(err, "peer");
	*resolving = (struct resolving){.peer = peer, .call = call};
	int r = lsp_torrents_ask(
		peer, LSP_TORRENT_LIST, lsp_call_text(call, "torrent"), resolved, resolving, err);
	if (r < 0)
		free(resolving);
	return r;
}

/* ---- Of all torrents together ---- */

static json_t *limits_json(const struct lsp_config *config)
{
	return json_pack("{s:I, s:I}", "max_download",
		(json_int_t)lsp_config_number(config, LSP_SETTING_TORRENT_LIMIT_DOWN), "max_upload",
		(json_int_t)lsp_config_number(config, LSP_SETTING_TORRENT_LIMIT_UP));
}

/* Answered with what was asked for; in effect may be a lower one of elsewhere. */
struct limiting {
	struct lsp_peer *peer;
	struct lsp_call *call;
};

static void limited(void *argument, struct lsp_torrent_answer *answer)
{
	struct limiting limiting = *(struct limiting *)argument;
	free(argument);
	if (!answer)
		return;
	if (answer->result < 0)
		lsp_call_fail(limiting.call, &answer->error);
	else
		lsp_call_answer(
			limiting.call, limits_json(lsp_runtime_config(limiting.peer->runtime)));
}

/* They are settings, and so are kept. */
static int limit_all(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	static const struct {
		const char *key;
		enum lsp_setting_id id;
	} limits[] = {{"max_download", LSP_SETTING_TORRENT_LIMIT_DOWN},
		{"max_upload", LSP_SETTING_TORRENT_LIMIT_UP}};
	struct lsp_config *config = lsp_runtime_config(peer->runtime);
	struct limiting *limiting;
	int r = 0;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(limits); i++)
		if (lsp_call_number(call, limits[i].key, 0) > INT32_MAX)
			return lsp_error_set(err, "torrent", LSP_E_INVALID,
				"%s must be a whole number from 0 to %d", limits[i].key, INT32_MAX);
	for (size_t i = 0; r == 0 && i < LSP_ARRAY_SIZE(limits); i++) {
		json_t *value = lsp_call_json(call, limits[i].key);
		r = value ? lsp_config_set_json(config, limits[i].id, value, err) : 0;
	}
	if (r < 0)
		return r;
	if (!(limiting = malloc(sizeof *limiting)))
		return lsp_error_no_memory(err, "peer");
	*limiting = (struct limiting){.peer = peer, .call = call};
	r = lsp_torrents_limit(peer->torrents, limited, limiting, err);
	if (r < 0)
		free(limiting);
	return r;
}

/* Of a game's torrent it is kept by us (torrent_settings.h). */
static bool sets_something(enum lsp_torrent_command command)
{
	return command == LSP_TORRENT_LIMITS || command == LSP_TORRENT_TRACKERS ||
	       command == LSP_TORRENT_WEB_SEEDS || command == LSP_TORRENT_SEQUENTIAL;
}

int lsp_command_torrent(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	struct lsp_torrent_call through = {.command = command_of(call),
		.done = lsp_torrent_command_answered,
		.argument = call};
	if (touches_files(call))
		return resolve(peer, call, err);
	if (through.command == LSP_TORRENT_LIMITS && !lsp_call_text(call, "torrent"))
		return limit_all(peer, call, err);
	if (sets_something(through.command))
		through.done = answered_and_kept;
	if (through.command == LSP_TORRENT_HAVE)
		through.done = have_answered;
	else if (through.command == LSP_TORRENT_EXPORT)
		through.done = metainfo_answered;
	through.arguments = lsp_torrent_command_arguments(call);
	return lsp_torrents_call(peer, &through, err);
}

/* Listing does not start what nobody asked for: the page does it every second. */
int lsp_command_torrent_list(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	if (!lsp_torrents_are_running(peer->torrents))
		return lsp_error_set(err, "torrent", LSP_E_CLOSED,
			"the torrent engine is off: `lanspread config swarm lan` (or internet) "
			"turns it on, and so does adding a torrent");
	return lsp_command_torrent(peer, call, err);
}

/* ---- Making, configuring ---- */

int lsp_command_torrent_create(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	struct lsp_torrent_call through = {
		.command = LSP_TORRENT_CREATE, .done = metainfo_answered, .argument = call};
	if (!game == !lsp_call_text(call, "path"))
		return lsp_error_set(err, "torrent", LSP_E_INVALID,
			"a torrent is made of a path or of a game: give one of them");
	struct lsp_share *share = game ? lsp_shares_find_game(peer->shares, game) : NULL;
	if (game && !share)
		return lsp_error_set(
			err, "torrent", LSP_E_NOT_FOUND, "%s is not here, or not hashed yet", game);
	through.arguments = lsp_torrent_command_arguments(call);
	if (share) {
		_cleanup_free_ char *folder =
			lsp_text_format("%s/%s", lsp_local_games_dir(peer), game);
		through.manifest = lsp_manifest_ref(lsp_share_manifest(share));
		json_object_del(through.arguments, "game");
		json_object_set_new(through.arguments, "path", json_string(folder ? folder : ""));
	}
	return lsp_torrents_call(peer, &through, err);
}

int lsp_command_torrent_configure(
	struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	json_t *configuration = lsp_call_json(call, "configuration");
	if (!configuration) {
		lsp_call_answer(call, json_pack("{s:O}", "configuration",
					      lsp_torrents_configuration(peer->torrents)));
		return 0;
	}
	if (!json_is_object(configuration))
		return lsp_error_set(
			err, "torrent", LSP_E_INVALID, "\"configuration\" must be an object");
	return lsp_torrents_configure(peer->torrents, configuration, answered_and_kept, call, err);
}
