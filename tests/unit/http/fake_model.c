#include "fake_model.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static json_t *ok(json_t *result)
{
	return json_pack("{s:b, s:o}", "ok", 1, "result", result);
}

static json_t *refuse(const char *code, const char *message)
{
	return json_pack("{s:b, s:{s:s, s:s}}", "ok", 0, "error", "code", code, "message", message);
}

/* ---- Games ---- */

void fake_model_init(
	struct fake_model *model, void (*emit)(void *argument, json_t *event), void *argument)
{
	model->games = json_object();
	model->peers = json_array();
	model->torrents = json_array();
	model->config = json_pack("{s:s, s:s, s:s, s:s}", "games_dir", "/tmp", "name", "here",
		"interface", "", "swarm", "off");
	model->limits =
		json_pack("{s:i, s:i, s:{}, s:b}", "up", 0, "down", 0, "games", "pause_uploads", 0);
	model->status =
		json_pack("{s:s, s:s, s:s, s:[s], s:s, s:{s:s, s:[]}, s:[], s:I, s:I, s:i, s:i, "
			  "s:i, s:s}",
			"version", "0.1.0", "peer_id", "77777777aaaaaaaa", "name", "here", "listen",
			"127.0.0.1:47777", "games_dir", "/tmp", "health", "state", "ok", "degraded",
			"services", "sent", (json_int_t)1000, "received", (json_int_t)2000,
			"up_rate", 0, "down_rate", 0, "uptime_s", 60, "state_dir", "/tmp");
	model->emit = emit;
	model->argument = argument;
}

void fake_model_done(struct fake_model *model)
{
	json_decref(model->games);
	json_decref(model->peers);
	json_decref(model->torrents);
	json_decref(model->config);
	json_decref(model->limits);
	json_decref(model->status);
}

void fake_model_put(struct fake_model *model, json_t *game)
{
	json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:n, s:n, s:n, s:n, s:I, s:i, s:i}",
		"id", text_of(game, "id"), "title", text_of(game, "id"), "availability", "remote",
		"operation", "none", "waiting", 0, "paused", 0, "progress", "local_version",
		"latest_version", "content", "size", (json_int_t)0, "sources", 0, "variants", 1);
	json_object_update(row, game);
	json_object_set_new(model->games, text_of(game, "id"), row);
	json_decref(game);
}

void fake_model_fill(struct fake_model *model, size_t count)
{
	static const char *const first[] = {"Iron", "Neon", "Crystal", "Shadow", "Solar", "Frozen",
		"Golden", "Silent", "Turbo", "Lost", "Hidden", "Mega", "Astral", "Pixel", "Rogue",
		"Storm"};
	static const char *const second[] = {"Harvest", "Circuit", "Legends", "Frontier", "Racers",
		"Dungeon", "Tactics", "Odyssey", "Arena", "Kingdom", "Drift", "Protocol", "Siege",
		"Runner", "Colony", "Empire", "Brawl"};
	static const char *const genres[] = {
		"Shooter", "Strategy", "Racing", "Role-playing", "Puzzle", "Sports"};
	static const char *const states[] = {
		"remote", "remote", "remote", "downloaded", "installed", "unavailable"};
	for (size_t i = 0; i < count; i++) {
		char id[40], title[80];
		const char *state = states[i * 7 % 6];
		bool local = strcmp(state, "installed") == 0 || strcmp(state, "downloaded") == 0;
		snprintf(id, sizeof id, "game-%05zu", i);
		snprintf(title, sizeof title, "%s %s %zu", first[i * 5 % 16], second[i * 3 % 17],
			i / 16 + 1);
		fake_model_put(model,
			json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:I, s:i, s:s, s:i, s:s, s:s}", "id",
				id, "title", title, "availability", state, "local_version",
				local ? (i % 9 ? "20240131" : "20230501") : NULL, "latest_version",
				strcmp(state, "unavailable") ? "20240131" : NULL, "size",
				(json_int_t)(50 + i * 37 % 30000) * 1000000, "sources",
				strcmp(state, "unavailable") ? (int)(1 + i % 5) : 0, "genre",
				genres[i % 6], "max_players", (int)(1 << i % 6), "release",
				i % 2 ? "2004" : "2019", "publisher", "Nobody"));
	}
}

static json_t *operations_of(struct fake_model *model)
{
	const char *id;
	json_t *game, *list = json_array();
	json_object_foreach (model->games, id, game) {
		if (strcmp(text_of(game, "operation"), "none") != 0)
			json_array_append_new(list, json_pack("{s:s, s:s}", "game", id, "operation",
							    text_of(game, "operation")));
	}
	return list;
}

json_t *fake_model_state(struct fake_model *model)
{
	const char *id;
	json_t *game, *list = json_array();
	json_object_foreach (model->games, id, game) {
		if (strcmp(text_of(game, "operation"), "none") != 0 ||
			!json_is_null(json_object_get(game, "local_version")))
			json_array_append_new(list, json_deep_copy(game));
	}
	return json_pack("{s:s, s:o, s:o}", "event", "local_games_updated", "games", list,
		"operations", operations_of(model));
}

static void tell(struct fake_model *model, json_t *event)
{
	model->emit(model->argument, event);
}

static void tell_state(struct fake_model *model)
{
	tell(model, fake_model_state(model));
}

void fake_model_change(struct fake_model *model, const char *id, json_t *members)
{
	json_t *game = json_object_get(model->games, id);
	if (game) {
		json_object_update(game, members);
		tell(model, json_pack("{s:s, s:[O], s:[]}", "event", "remote_games_updated",
				    "games", game, "removed"));
		tell_state(model);
	}
	json_decref(members);
}

/* ---- Operations ---- */

struct kind {
	const char *command, *operation, *stem;
};

static const struct kind kinds[] = {
	{"download_game_files", "downloading", "download"},
	{"install_game", "installing", "install"},
	{"update_game", "updating", "update"},
	{"uninstall_game", "uninstalling", "uninstall"},
	{"remove_game", "removing", "remove"},
	{"verify_game", "verifying", "verify"},
};

static const struct kind *kind_by(const char *word)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strcmp(kinds[i].command, word) == 0 || strcmp(kinds[i].operation, word) == 0)
			return &kinds[i];
	}
	return NULL;
}

static void tell_step(struct fake_model *model, const struct kind *kind, const char *step,
	const char *id, json_t *more)
{
	char name[64];
	snprintf(name, sizeof name, "%s_%s", kind->stem, step);
	json_t *event = json_pack("{s:s, s:s}", "event", name, "game", id);
	if (more) {
		json_object_update(event, more);
		json_decref(more);
	}
	tell(model, event);
}

static json_t *progress_of(json_int_t done, json_int_t total)
{
	return json_pack("{s:I, s:I, s:i, s:I, s:i, s:s}", "done", done, "total", total, "rate",
		112000000, "eta_s", (total - done) / 112000000 + 1, "sources", 3, "phase", "");
}

static json_t *begin(struct fake_model *model, const struct kind *kind, json_t *command)
{
	const char *id = text_of(command, "game");
	json_t *game = json_object_get(model->games, id);
	if (!game)
		return refuse("not_found", "there is no such game");
	if (strcmp(text_of(game, "operation"), "none") != 0)
		return refuse("busy", "an operation runs on this game already");
	if (json_integer_value(json_object_get(game, "variants")) > 1 &&
		!json_object_get(command, "variant")) {
		json_t *answer = refuse("exists", "there are several contents of this version");
		json_object_set_new(json_object_get(answer, "error"), "variants",
			json_pack("[{s:s, s:s, s:I, s:i}, {s:s, s:s, s:I, s:i}]", "content",
				"aaaa000011112222", "version", "20240131", "size",
				(json_int_t)4100000000, "holders", 3, "content", "bbbb000011112222",
				"version", "20240131", "size", (json_int_t)4000000000, "holders",
				1));
		return answer;
	}
	json_object_set_new(game, "operation", json_string(kind->operation));
	json_object_set_new(game, "progress",
		progress_of(0, json_integer_value(json_object_get(game, "size"))));
	tell_step(model, kind, "begin", id, NULL);
	tell_state(model);
	return ok(json_pack("{s:s, s:s}", "operation", kind->operation, "message", ""));
}

static void end(json_t *game, const struct kind *kind)
{
	const char *stem = kind->stem;
	if (strcmp(stem, "download") == 0)
		json_object_set_new(game, "availability", json_string("downloaded"));
	if (strcmp(stem, "install") == 0 || strcmp(stem, "update") == 0)
		json_object_set_new(game, "availability", json_string("installed"));
	if (strcmp(stem, "uninstall") == 0)
		json_object_set_new(game, "availability", json_string("downloaded"));
	if (strcmp(stem, "remove") == 0) {
		json_object_set_new(game, "availability", json_string("remote"));
		json_object_set_new(game, "local_version", json_null());
	} else if (strcmp(stem, "verify") != 0 && strcmp(stem, "uninstall") != 0) {
		json_object_set(game, "local_version", json_object_get(game, "latest_version"));
	}
	json_object_set_new(game, "operation", json_string("none"));
	json_object_set_new(game, "progress", json_null());
}

static bool stands_still(const json_t *game)
{
	return json_is_true(json_object_get(game, "paused")) ||
	       json_is_true(json_object_get(game, "waiting"));
}

size_t fake_model_advance(struct fake_model *model, json_int_t bytes)
{
	size_t running = 0;
	const char *id;
	json_t *game;
	json_object_foreach (model->games, id, game) {
		const struct kind *kind = kind_by(text_of(game, "operation"));
		if (!kind)
			continue;
		running++;
		if (stands_still(game))
			continue;
		json_t *progress = json_object_get(game, "progress");
		json_int_t total = json_integer_value(json_object_get(progress, "total"));
		json_int_t done = json_integer_value(json_object_get(progress, "done")) + bytes;
		done = done > total ? total : done;
		json_object_set_new(game, "progress", progress_of(done, total));
		tell_step(model, kind, "progress", id, progress_of(done, total));
		if (done < total)
			continue;
		end(game, kind);
		tell_step(model, kind, "finished", id, NULL);
		tell_state(model);
	}
	return running;
}

static json_t *cancel(struct fake_model *model, json_t *command)
{
	json_t *game = json_object_get(model->games, text_of(command, "game"));
	const struct kind *kind = kind_by(text_of(game, "operation"));
	if (kind) {
		json_object_set_new(game, "operation", json_string("none"));
		json_object_set_new(game, "progress", json_null());
		json_object_set_new(game, "paused", json_false());
		json_object_set_new(game, "waiting", json_false());
		tell_step(model, kind, "failed", text_of(command, "game"),
			json_pack("{s:{s:s, s:s}}", "error", "code", "cancelled", "message",
				"the user cancelled it"));
		tell_state(model);
	}
	return ok(json_pack("{s:b}", "cancelled", kind != NULL));
}

static json_t *set_paused(struct fake_model *model, json_t *command, bool paused)
{
	json_t *game = json_object_get(model->games, text_of(command, "game"));
	if (!game)
		return refuse("not_found", "there is no such game");
	json_object_set_new(game, "paused", json_boolean(paused));
	tell_state(model);
	return ok(json_object());
}

/* ---- Everything else ---- */

static json_t *get_game(struct fake_model *model, json_t *command)
{
	json_t *game = json_object_get(model->games, text_of(command, "game"));
	if (!game)
		return refuse("not_found", "there is no such game");
	return ok(json_pack("{s:O, s:[{s:s, s:I}, {s:s, s:i}]}", "game", game, "files", "path",
		"game.eti", "size", json_integer_value(json_object_get(game, "size")), "path",
		"version.ini", "size", 9));
}

static json_t *list_games(struct fake_model *model)
{
	const char *id;
	json_t *game, *list = json_array();
	json_object_foreach (model->games, id, game)
		json_array_append(list, game);
	return ok(json_pack("{s:o}", "games", list));
}

static json_t *status(struct fake_model *model)
{
	json_t *document = json_deep_copy(model->status);
	json_object_set_new(
		document, "peers", json_integer((json_int_t)json_array_size(model->peers)));
	json_object_set_new(
		document, "games", json_integer((json_int_t)json_object_size(model->games)));
	json_object_set_new(document, "operations", operations_of(model));
	json_object_set(document, "limits", model->limits);
	return ok(document);
}

static json_t *chunk_map(struct fake_model *model, json_t *command)
{
	json_t *game = json_object_get(model->games, text_of(command, "game"));
	json_t *progress = json_object_get(game, "progress");
	json_int_t total = json_integer_value(json_object_get(progress, "total"));
	json_int_t done = json_integer_value(json_object_get(progress, "done"));
	size_t filled = total ? (size_t)(done * 64 / total) * 4 : 0; /* of 256 base64 digits */
	char have[257];
	for (size_t i = 0; i < 256; i++)
		have[i] = i < filled ? '/' : i % 9 == 0 && done ? 'g' : 'A';
	have[256] = '\0';
	json_t *availability = json_array();
	for (int i = 0; i < 256; i++)
		json_array_append_new(availability, json_integer(1 + i * 7 / 64 % 4));
	return ok(json_pack("{s:s, s:i, s:I, s:s, s:o}", "content", "aaaa", "chunks", 1536, "done",
		total ? done * 1536 / total : 0, "have", have, "availability", availability));
}

/* Everybody who is there has the newest version. */
static json_t *holders(struct fake_model *model, json_t *command)
{
	json_t *game = json_object_get(model->games, text_of(command, "game"));
	json_t *list = json_array(), *peer;
	size_t i;
	json_array_foreach (model->peers, i, peer) {
		if (json_is_true(json_object_get(peer, "connected")))
			json_array_append_new(
				list, json_pack("{s:O, s:O, s:s, s:O?, s:s, s:O?}", "peer",
					      json_object_get(peer, "id"), "name",
					      json_object_get(peer, "name"), "state",
					      i % 2 ? "partial" : "ready", "version",
					      json_object_get(game, "latest_version"), "content",
					      "aaaa", "size", json_object_get(game, "size")));
	}
	return ok(json_pack("{s:o}", "holders", list));
}

static json_t *config(struct fake_model *model)
{
	return ok(json_pack("{s:O, s:[]}", "config", model->config, "fixed"));
}

static json_t *check_dir(json_t *command)
{
	struct stat status;
	const char *path = text_of(command, "path");
	if (path[0] != '/')
		return refuse("invalid", "the games folder must be an absolute path");
	if (stat(path, &status) < 0)
		return refuse("not_found", "there is no such folder");
	return ok(json_pack(
		"{s:s, s:b, s:I}", "path", path, "exists", 1, "free", (json_int_t)123000000000));
}

static json_t *settings(struct fake_model *model, const char *name, json_t *command)
{
	if (strcmp(name, "config_set") == 0) {
		json_object_set(
			model->config, text_of(command, "key"), json_object_get(command, "value"));
		return config(model);
	}
	if (strcmp(name, "config_get") == 0)
		return config(model);
	if (strcmp(name, "set_game_dir") == 0) {
		json_t *answer = check_dir(command);
		if (json_is_true(json_object_get(answer, "ok")))
			json_object_set(
				model->config, "games_dir", json_object_get(command, "path"));
		return answer;
	}
	if (strcmp(name, "check_game_dir") == 0)
		return check_dir(command);
	if (strcmp(name, "set_limits") == 0) {
		json_object_update(model->limits, command);
		json_object_del(model->limits, "command");
	}
	return ok(json_incref(model->limits));
}

json_t *fake_model_run(struct fake_model *model, const char *name, json_t *command)
{
	const struct kind *kind = kind_by(name);
	if (kind)
		return begin(model, kind, command);
	if (strcmp(name, "list_games") == 0)
		return list_games(model);
	if (strcmp(name, "get_game") == 0)
		return get_game(model, command);
	if (strcmp(name, "cancel") == 0)
		return cancel(model, command);
	if (strcmp(name, "pause") == 0 || strcmp(name, "resume") == 0)
		return set_paused(model, command, name[0] == 'p');
	if (strcmp(name, "peers") == 0)
		return ok(json_pack("{s:O}", "peers", model->peers));
	if (strcmp(name, "status") == 0)
		return status(model);
	if (strcmp(name, "tasks") == 0)
		return ok(json_pack("{s:[{s:s, s:s, s:i, s:i}]}", "tasks", "name", "core", "kind",
			"background loop", "age_s", 60, "tid", 7));
	if (strcmp(name, "chunk_map") == 0)
		return chunk_map(model, command);
	if (strcmp(name, "holders") == 0)
		return holders(model, command);
	if (strcmp(name, "torrent_list") == 0)
		return ok(json_pack("{s:O}", "torrents", model->torrents));
	if (strncmp(name, "torrent_", 8) == 0)
		return ok(json_object());
	if (strcmp(name, "get_cover") == 0)
		return refuse("not_found", "there is no cover");
	if (strcmp(name, "share") == 0)
		return ok(json_pack("{s:s, s:s}", "magnet", "magnet:?xt=urn:btmh:1220aa", "torrent",
			"/tmp/a.torrent"));
	if (strcmp(name, "play_info") == 0 || strcmp(name, "folder_info") == 0)
		return ok(json_pack(
			"{s:[s], s:s, s:s}", "argv", "true", "cwd", "/", "kind", "program"));
	if (strncmp(name, "config", 6) == 0 || strstr(name, "limits") || strstr(name, "game_dir"))
		return settings(model, name, command);
	if (strcmp(name, "peers_forget") == 0)
		return ok(json_object());
	if (strcmp(name, "add_game") == 0)
		return ok(json_pack("{s:s, s:s}", "operation", "adding", "message", ""));
	return refuse("invalid", "there is no such command");
}
