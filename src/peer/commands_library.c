/* Commands about the library: its folder, adding games, the catalogue. */
#include "base/log.h"
#include "install/add.h"
#include "peer/commands.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/operations.h"
#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/share.h"
#include "peer/torrents.h"
#include "store/config.h"
#include "task/operation.h"

#include <stdlib.h>
#include <string.h>

/* ---- The games folder ---- */

/* A change of the folder on its way through the library's thread. */
struct change {
	struct lsp_peer *peer;
	struct lsp_call *call;
	struct lsp_post post;
	int result;
	struct lsp_error error;
};

static void folder_changed(void *argument)
{
	struct change *change = argument;
	struct lsp_peer *peer = change->peer;
	struct lsp_error err = {0};
	lsp_local_take_snapshot(peer->local);
	if (change->result < 0) {
		lsp_call_fail(change->call, &change->error);
	} else if (lsp_config_set(lsp_runtime_config(peer->runtime), LSP_SETTING_GAMES_DIR,
			   lsp_local_games_dir(peer), &err) < 0) {
		lsp_call_fail(change->call, &err);
	} else {
		lsp_torrents_games_moved(peer->torrents);
		lsp_games_publish_local(peer);
		lsp_call_answer(
			change->call, json_pack("{s:s}", "games_dir", lsp_local_games_dir(peer)));
	}
	free(change);
}

static void folder_set(void *argument, int result, const struct lsp_error *error)
{
	struct change *change = argument;
	change->result = result;
	if (result < 0)
		change->error = *error;
	lsp_loop_post_reserved(change->peer->core, &change->post, folder_changed, change);
}

static int check_change(struct lsp_peer *peer, const char *path, struct lsp_error *err)
{
	bool same = strcmp(path, lsp_local_games_dir(peer)) == 0;
	if (!same && lsp_config_is_fixed(lsp_runtime_config(peer->runtime), LSP_SETTING_GAMES_DIR))
		return lsp_error_set(err, "peer", LSP_E_BUSY,
			"the games folder is fixed by the flag --games of this run");
	if (!same && lsp_operations_blocking(peer->operations))
		return lsp_error_set(err, "peer", LSP_E_BUSY,
			"the games folder cannot change while operations run: wait for them or "
			"cancel them");
	return 0;
}

static int change_folder(
	struct lsp_peer *peer, struct lsp_call *call, const char *path, struct lsp_error *err)
{
	int r = check_change(peer, path, err);
	if (r < 0)
		return r;
	struct change *change = calloc(1, sizeof *change);
	if (!change)
		return lsp_error_no_memory(err, "peer");
	r = lsp_loop_reserve(peer->core, err);
	if (r < 0) {
		free(change);
		return r;
	}
	change->peer = peer;
	change->call = call;
	lsp_library_set_games_dir(lsp_local_library(peer), path, folder_set, change);
	return 0;
}

/* A look at a folder, on a disk thread: it may be on a server that does not answer. */
struct look {
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_call *call;
	char *path;
	bool change; /* if all is well with it */
	struct lsp_games_dir_check check;
};

static void look_free(struct look *look)
{
	lsp_games_dir_check_done(&look->check);
	free(look->path);
	free(look);
}

static void look_at_folder(struct lsp_job *job)
{
	struct look *look = lsp_container_of(job, struct look, job);
	job->result =
		lsp_games_dir_check(look->path, look->peer->state_dir, &look->check, &job->error);
}

static void looked_at(struct lsp_job *job)
{
	struct look *look = lsp_container_of(job, struct look, job);
	const struct lsp_games_dir_check *check = &look->check;
	int r = job->result;
	if (r == 0 && look->change)
		r = change_folder(look->peer, look->call, check->path, &job->error);
	else if (r == 0)
		lsp_call_answer(
			look->call, json_pack("{s:s, s:b, s:I}", "path", check->path, "exists",
					    check->exists, "free", (json_int_t)check->free));
	if (r < 0)
		lsp_call_fail(look->call, &job->error);
	look_free(look);
}

static int begin_look(
	struct lsp_peer *peer, struct lsp_call *call, bool change, struct lsp_error *err)
{
	struct look *look = calloc(1, sizeof *look);
	if (!look || !(look->path = strdup(lsp_call_text(call, "path")))) {
		free(look);
		return lsp_error_no_memory(err, "peer");
	}
	look->peer = peer;
	look->call = call;
	look->change = change;
	look->job.work = look_at_folder;
	look->job.done = looked_at;
	int r = lsp_pool_submit(peer->disk, peer->core, &look->job, err);
	if (r < 0)
		look_free(look);
	return r;
}

int lsp_command_set_game_dir(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	return begin_look(peer, call, true, err);
}

int lsp_command_check_game_dir(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	return begin_look(peer, call, false, err);
}

/* ---- Adding
 * -------------------------------------------------------------------------------------------------
 */

int lsp_command_add_game(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	struct lsp_operations_add_options options = {
		.path = lsp_call_text(call, "path"),
		.game = lsp_call_text(call, "game"),
		.title = lsp_call_text(call, "title"),
		.version = lsp_call_text(call, "version"),
		.pack = lsp_call_flag(call, "pack"),
	};
	struct lsp_version version;
	if (options.path[0] != '/')
		return lsp_error_set(
			err, "peer", LSP_E_INVALID, "\"%s\" is not an absolute path", options.path);
	if (lsp_local_find(peer, options.game) &&
		lsp_local_find(peer, options.game)->availability != LSP_AVAILABILITY_NONE)
		return lsp_error_set(err, "peer", LSP_E_EXISTS,
			"there is a game \"%s\" already: `lanspread remove %s` first, or take "
			"another id",
			options.game, options.game);
	int r = lsp_version_parse(options.version, strlen(options.version), &version, err);
	if (r == 0)
		r = lsp_operations_add(peer, &options, err);
	if (r == 0)
		lsp_call_answer(call, json_pack("{s:s}", "operation", "adding"));
	return r;
}

/* ---- The catalogue ---- */

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

static json_t *entry_json(const struct lsp_catalog_entry *entry)
{
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&entry->content, hex);
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:i, s:b, s:b, "
			 "s:o}",
		"id", entry->id, "title", text_or_null(entry->title), "key",
		text_or_null(entry->key), "release", text_or_null(entry->release), "publisher",
		text_or_null(entry->publisher), "genre", text_or_null(entry->genre), "version",
		text_or_null(entry->version), "readme_de", text_or_null(entry->readme_de),
		"readme_en", text_or_null(entry->readme_en), "readme_fr",
		text_or_null(entry->readme_fr), "size", (json_int_t)entry->size, "max_players",
		(int)entry->max_players, "master_required", entry->master_required, "cover",
		entry->has_cover, "content", text_or_null(entry->has_content ? hex : NULL));
}

int lsp_command_catalog_show(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const struct lsp_catalog_snapshot *catalog = lsp_local_catalog_snapshot(peer);
	const char *game = lsp_call_text(call, "game");
	json_t *games = json_array();
	for (size_t i = 0; i < catalog->count; i++) {
		if (!game || strcmp(game, catalog->entries[i]->id) == 0)
			json_array_append_new(games, entry_json(catalog->entries[i]));
	}
	if (game && !json_array_size(games)) {
		json_decref(games);
		return lsp_error_set(err, "peer", LSP_E_NOT_FOUND,
			"\"%s\" is not in the catalogue; `lanspread catalog show` lists it", game);
	}
	lsp_call_answer(call, json_pack("{s:o}", "games", games));
	return 0;
}

/* An import or a put, on the thread that saves. */
struct import {
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_call *call;
	char *path;
	struct lsp_catalog_import_result result;
};

static void run_import(struct lsp_job *job)
{
	struct import *import = lsp_container_of(job, struct import, job);
	job->result = lsp_catalog_import(
		lsp_local_catalog(import->peer), import->path, &import->result, &job->error);
}

static void imported(struct lsp_job *job)
{
	struct import *import = lsp_container_of(job, struct import, job);
	if (job->result < 0) {
		lsp_call_fail(import->call, &job->error);
	} else {
		lsp_local_catalog_changed(import->peer);
		lsp_call_answer(import->call,
			json_pack("{s:i, s:i, s:i, s:i, s:s}", "imported",
				(int)(import->result.added + import->result.changed), "added",
				(int)import->result.added, "changed", (int)import->result.changed,
				"unchanged", (int)import->result.unchanged, "ignored",
				import->result.ignored));
	}
	free(import->path);
	free(import);
}

int lsp_command_catalog_import(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	struct import *import = calloc(1, sizeof *import);
	if (!import || !(import->path = strdup(lsp_call_text(call, "path")))) {
		free(import);
		return lsp_error_no_memory(err, "peer");
	}
	import->peer = peer;
	import->call = call;
	import->job.work = run_import;
	import->job.done = imported;
	int r = lsp_pool_submit(peer->state_pool, peer->core, &import->job, err);
	if (r < 0) {
		free(import->path);
		free(import);
	}
	return r;
}
