/* Commands about games: what there is, getting it, and what becomes of it. */
#include "peer/choice.h"
#include "peer/commands.h"
#include "peer/covers.h"
#include "peer/damage.h"
#include "peer/database.h"
#include "peer/download.h"
#include "peer/events.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/manifests.h"
#include "peer/operations.h"
#include "peer/peer.h"
#include "peer/play.h"
#include "peer/session.h"
#include "peer/share.h"
#include "peer/torrent_add.h"
#include "peer/torrent_games.h"
#include "peer/torrent_late.h"
#include "peer/torrents.h"
#include "task/operation.h"
#include "wire/base64.h"
#include "wire/path.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define MESSAGE_MAX (LSP_GAME_ID_MAX + 100) /* an id in a sentence */

int lsp_command_list_games(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	json_t *games = lsp_games_list_json(peer);
	if (!games)
		return lsp_error_no_memory(err, "peer");
	lsp_call_answer(call, json_pack("{s:o}", "games", games));
	return 0;
}

/* The content that the call asks for, if it does. */
static int asked_content(struct lsp_peer *peer, struct lsp_call *call, const char *game,
	struct lsp_hash *content, const struct lsp_hash **ret_asked, struct lsp_error *err)
{
	const char *prefix = lsp_call_text(call, "variant");
	*ret_asked = NULL;
	if (!prefix)
		return 0;
	int r = lsp_choice_resolve(peer, game, prefix, content, err);
	if (r == 0)
		*ret_asked = content;
	return r;
}

/* ---- get_game ---- */

struct details {
	struct lsp_peer *peer;
	struct lsp_call *call;
	char game[LSP_GAME_ID_MAX + 1];
};

static void answer_details(struct lsp_peer *peer, struct lsp_call *call, const char *game,
	const struct lsp_manifest *manifest)
{
	const struct lsp_library_game *local = lsp_local_find(peer, game);
	char version[LSP_VERSION_TEXT_MAX + 1] = "";
	json_t *result = lsp_games_files_json(manifest);
	if (local && lsp_hash_equal(&local->content, &manifest->content_id))
		snprintf(version, sizeof version, "%s", local->version);
	else
		lsp_choice_version(peer, game, &manifest->content_id, version, sizeof version);
	json_t *event = json_pack(
		"{s:s, s:s, s:s}", "event", "got_game_files", "game", game, "version", version);
	if (event && result)
		json_object_update(event, result);
	lsp_events_publish(peer->events, event);
	if (result)
		json_object_set_new(result, "game", lsp_games_json(peer, game));
	lsp_call_answer(call, result);
}

static void manifest_came(
	void *argument, const struct lsp_manifest *manifest, const struct lsp_error *error)
{
	struct details *details = argument;
	if (error)
		lsp_call_fail(details->call, error);
	else
		answer_details(details->peer, details->call, details->game, manifest);
	free(details);
}

int lsp_command_get_game(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	struct lsp_hash content;
	const struct lsp_hash *asked;
	if (!lsp_games_known(peer, game))
		return lsp_games_unknown(game, err);
	int r = asked_content(peer, call, game, &content, &asked, err);
	if (r < 0)
		return r;
	_cleanup_manifest_ const struct lsp_manifest *local = lsp_local_manifest(peer, game);
	if (local && (!asked || lsp_hash_equal(&local->content_id, asked))) {
		answer_details(peer, call, game, local);
		return 0;
	}
	json_t *variants = NULL;
	r = lsp_choice_make(peer, game, asked, NULL, &content, &variants, err);
	if (r < 0) {
		if (!variants)
			return r;
		lsp_call_fail_with(call, err, json_pack("{s:o}", "variants", variants));
		return 0;
	}
	struct details *details = calloc(1, sizeof *details);
	if (!details)
		return lsp_error_no_memory(err, "peer");
	details->peer = peer;
	details->call = call;
	snprintf(details->game, sizeof details->game, "%s", game);
	struct lsp_manifest_query *query;
	r = lsp_manifest_query(peer, game, &content, manifest_came, details, &query, err);
	if (r < 0)
		free(details);
	return r;
}

/* ---- Getting and installing ---- */

static void answer_operation(struct lsp_call *call, const char *operation, const char *message)
{
	lsp_call_answer(call, json_pack("{s:s, s:s*}", "operation", operation, "message", message));
}

static void answer_waiting(struct lsp_call *call, const char *operation)
{
	lsp_call_answer(call, json_pack("{s:s, s:s, s:b}", "operation", operation, "message",
				      "waits for somebody who has it", "waiting", 1));
}

/* The engine that the call asks for; the LAN's where it does not say. */
static int asked_engine(struct lsp_peer *peer, struct lsp_call *call, enum lsp_engine *ret_engine,
	struct lsp_error *err)
{
	const char *word = lsp_call_text(call, "engine");
	*ret_engine = LSP_ENGINE_LAN;
	int r = word ? lsp_engine_parse(word, ret_engine, err) : 0;
	if (r == 0 && *ret_engine == LSP_ENGINE_SWARM)
		r = lsp_torrents_ensure(peer->torrents, err);
	return r;
}

static int start_download(struct lsp_peer *peer, struct lsp_call *call, const char *newer_than,
	enum lsp_download_purpose purpose, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	struct lsp_hash content;
	const struct lsp_hash *asked;
	json_t *variants = NULL;
	struct lsp_download_options options = {.purpose = purpose};
	int r = asked_content(peer, call, game, &content, &asked, err);
	if (r == 0)
		r = asked_engine(peer, call, &options.engine, err);
	if (r < 0)
		return r;
	if (!asked && !*newer_than && lsp_damage_is(peer, lsp_local_find(peer, game), &content))
		asked = &content; /* what it was before its disk changed it */
	if (!asked && !lsp_database_find(peer->database, game) &&
		lsp_torrent_games_content(peer, game, &content)) {
		/* Nobody here has it, but a torrent that was added does. */
		if (purpose != LSP_DOWNLOAD_THEN_UPDATE)
			return lsp_torrent_add_again(
				peer, call, game, purpose != LSP_DOWNLOAD_ONLY, err);
		asked = &content;
		options.engine = LSP_ENGINE_SWARM;
	}
	options.content = asked;
	options.newer_than = newer_than;
	r = lsp_download_start(peer, game, &options, &variants, err);
	if (r < 0 && variants) {
		lsp_call_fail_with(call, err, json_pack("{s:o}", "variants", variants));
		return 0;
	}
	if (r < 0)
		return r;
	if (asked && lsp_call_text(call, "variant"))
		lsp_choice_remember(peer, game, asked);
	const struct lsp_download *download = lsp_download_find(peer, game);
	const char *doing = purpose == LSP_DOWNLOAD_THEN_UPDATE ? "updating" : "downloading";
	if (download && lsp_download_has_nobody(download))
		answer_waiting(call, doing);
	else
		answer_operation(call, doing, NULL);
	return 0;
}

/* What the folder holds, as far as routing goes. */
static bool is_downloaded(const struct lsp_library_game *local)
{
	return local && (local->availability == LSP_AVAILABILITY_DOWNLOADED ||
				local->availability == LSP_AVAILABILITY_INSTALLED);
}

static bool is_installed(const struct lsp_library_game *local)
{
	return local && (local->availability == LSP_AVAILABILITY_INSTALLED ||
				local->availability == LSP_AVAILABILITY_LOCAL_ONLY);
}

static bool newer_is_there(
	struct lsp_peer *peer, const char *game, const struct lsp_library_game *local)
{
	struct lsp_hash pinned;
	if (local && local->state == LSP_LIBRARY_READY &&
		lsp_local_pinned_content(peer, game, &pinned) &&
		lsp_hash_equal(&pinned, &local->content))
		return false; /* whatever others have: the catalogue says that it is this one */
	const struct lsp_known_game *known = lsp_database_find(peer->database, game);
	const struct lsp_version *newest = known ? lsp_known_game_newest(known) : NULL;
	return newest && local && lsp_version_compare_text(newest->text, local->version) > 0;
}

/* One by a torrent whose content is known late; the other engine takes what it has of it. */
static int attach_late(struct lsp_peer *peer, struct lsp_call *call, struct lsp_torrent_late *late,
	struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	struct lsp_hash content, chosen;
	const struct lsp_hash *asked;
	enum lsp_engine engine = LSP_ENGINE_SWARM;
	json_t *variants = NULL;
	int r = asked_content(peer, call, game, &content, &asked, err);
	if (r == 0 && lsp_call_text(call, "engine"))
		r = asked_engine(peer, call, &engine, err);
	if (r == 0 && engine == LSP_ENGINE_LAN)
		r = lsp_choice_make(peer, game, asked, NULL, &chosen, &variants, err);
	if (r < 0 && variants) {
		lsp_call_fail_with(call, err, json_pack("{s:o}", "variants", variants));
		return 0;
	}
	if (r == 0)
		r = engine == LSP_ENGINE_LAN ? lsp_torrent_late_go_on_by_lan(late, &chosen, err)
					     : lsp_torrent_late_go_on(late, err);
	if (r == 0)
		answer_operation(call, "downloading", "it is on its way already");
	return r;
}

/*
 * A running download is attached to, a paused one goes on, by the engine that is asked for. True:
 * the call is answered. One that ends by that is begun anew, and says why it cannot.
 */
static bool attach(struct lsp_peer *peer, struct lsp_call *call, const char *game)
{
	struct lsp_download *download = lsp_download_find(peer, game);
	struct lsp_torrent_late *late = lsp_torrent_late_find(peer, game);
	enum lsp_engine engine;
	struct lsp_error err = {0};
	if (!download && late) {
		if (attach_late(peer, call, late, &err) < 0)
			lsp_call_fail(call, &err);
		return true;
	}
	if (!download)
		return false;
	if (lsp_call_text(call, "engine") && asked_engine(peer, call, &engine, &err) < 0) {
		lsp_call_fail(call, &err);
		return true;
	}
	if (lsp_call_text(call, "engine"))
		lsp_download_set_engine(download, engine);
	if ((download = lsp_download_find(peer, game)))
		lsp_download_pause(download, false);
	if (!(download = lsp_download_find(peer, game)))
		return false;
	if (lsp_download_has_nobody(download))
		answer_waiting(call, "downloading");
	else
		answer_operation(call, "downloading", "it is on its way already");
	return true;
}

int lsp_command_download(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	const struct lsp_library_game *local = lsp_local_find(peer, game);
	if (!lsp_games_known(peer, game))
		return lsp_games_unknown(game, err);
	if (attach(peer, call, game))
		return 0;
	if (is_downloaded(local) && !lsp_call_text(call, "variant") &&
		!lsp_damage_is(peer, local, NULL)) {
		char message[MESSAGE_MAX];
		snprintf(message, sizeof message,
			"an older version is here: `lanspread update %s` gets the newest", game);
		answer_operation(call, "none",
			newer_is_there(peer, game, local) ? message : "it is here already");
		return 0;
	}
	return start_download(peer, call, "", LSP_DOWNLOAD_ONLY, err);
}

int lsp_command_install(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	const struct lsp_library_game *local = lsp_local_find(peer, game);
	if (!lsp_games_known(peer, game))
		return lsp_games_unknown(game, err);
	if (is_installed(local)) {
		char message[MESSAGE_MAX];
		snprintf(message, sizeof message,
			"it is installed already: `lanspread play %s` starts it", game);
		answer_operation(call, "none", message);
		return 0;
	}
	struct lsp_torrent_late *late = lsp_torrent_late_find(peer, game);
	if (late)
		lsp_torrent_late_then_install(late);
	if (lsp_download_then_install(peer, game) || late) {
		attach(peer, call, game);
		return 0;
	}
	if (!is_downloaded(local) || lsp_damage_is(peer, local, NULL))
		return start_download(peer, call, "", LSP_DOWNLOAD_THEN_INSTALL, err);
	int r = lsp_operations_install(peer, game, err);
	if (r == 0)
		answer_operation(call, "installing", NULL);
	return r;
}

int lsp_command_update(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	const struct lsp_library_game *local = lsp_local_find(peer, game);
	if (!lsp_games_known(peer, game))
		return lsp_games_unknown(game, err);
	if (attach(peer, call, game))
		return 0;
	if (is_downloaded(local) && !newer_is_there(peer, game, local) &&
		!lsp_call_text(call, "variant")) {
		answer_operation(call, "none", "the newest version is here already");
		return 0;
	}
	return start_download(peer, call, is_downloaded(local) ? local->version : "",
		is_installed(local) ? LSP_DOWNLOAD_THEN_UPDATE : LSP_DOWNLOAD_THEN_INSTALL, err);
}

int lsp_command_uninstall(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	if (!is_installed(lsp_local_find(peer, game)))
		return lsp_error_set(err, "peer", LSP_E_NOT_FOUND,
			"%s is not installed here; `lanspread games` tells what is", game);
	int r = lsp_operations_uninstall(peer, game, lsp_call_flag(call, "purge"), err);
	if (r == 0)
		answer_operation(call, "uninstalling", NULL);
	return r;
}

/* A torrent that goes first, with its files. */
struct removing {
	struct lsp_peer *peer;
	struct lsp_call *call;
};

static void torrent_removed(void *argument, struct lsp_torrent_answer *answer)
{
	struct removing removing = *(struct removing *)argument;
	struct lsp_error err = {0};
	free(argument);
	if (!answer)
		return;
	const char *game = lsp_call_text(removing.call, "game");
	int r = answer->result == -LSP_E_NOT_FOUND ? 0 : answer->result;
	if (r < 0)
		err = answer->error;
	else
		r = lsp_operations_remove(removing.peer, game, &err);
	if (r == 0)
		lsp_torrent_late_end(removing.peer, game);
	if (r < 0)
		lsp_call_fail(removing.call, &err);
	else
		answer_operation(removing.call, "removing", NULL);
}

/* What came of a download that stands still, and what is here of the game beside it. */
static int remove_late(struct lsp_peer *peer, struct lsp_call *call, struct lsp_torrent_late *late,
	struct lsp_error *err)
{
	struct removing *removing = malloc(sizeof *removing);
	if (!removing)
		return lsp_error_no_memory(err, "peer");
	*removing = (struct removing){.peer = peer, .call = call};
	struct lsp_torrent_call through = {.command = LSP_TORRENT_REMOVE,
		.arguments =
			json_pack("{s:s, s:b}", "torrent", lsp_torrent_late_id(late), "data", 1),
		.done = torrent_removed,
		.argument = removing};
	int r = lsp_torrents_call(peer, &through, err);
	if (r < 0)
		free(removing);
	return r;
}

int lsp_command_remove(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	struct lsp_torrent_late *late = lsp_torrent_late_find(peer, game);
	if (late && !lsp_torrent_late_runs(late))
		return remove_late(peer, call, late, err);
	if (!lsp_local_find(peer, game))
		return lsp_error_set(err, "peer", LSP_E_NOT_FOUND,
			"there is no folder of %s here; `lanspread games` tells what is", game);
	int r = lsp_operations_remove(peer, game, err);
	if (r == 0)
		answer_operation(call, "removing", NULL);
	return r;
}

int lsp_command_verify(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	if (!is_downloaded(lsp_local_find(peer, game)))
		return lsp_error_set(err, "peer", LSP_E_NOT_FOUND,
			"%s is not downloaded here; `lanspread get %s` does that", game, game);
	int r = lsp_operations_verify(peer, game, err);
	if (r == 0)
		answer_operation(call, "verifying", NULL);
	return r;
}

int lsp_command_cancel(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	struct lsp_download *download = lsp_download_find(peer, game);
	struct lsp_torrent_late *late = lsp_torrent_late_find(peer, game);
	bool cancelled =
		download ? lsp_download_cancel(download)
		: late && lsp_torrent_late_runs(late)
			? lsp_torrent_late_cancel(late)
			: lsp_operations_cancel(peer->operations, game, LSP_CANCEL_USER, NULL);
	lsp_call_answer(call, json_pack("{s:b}", "cancelled", cancelled));
	return 0;
}

static int set_paused(
	struct lsp_peer *peer, struct lsp_call *call, bool paused, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	struct lsp_download *download = lsp_download_find(peer, game);
	struct lsp_torrent_late *late = lsp_torrent_late_find(peer, game);
	if (!download && !(late && lsp_torrent_late_pause(late, paused)))
		return lsp_error_set(
			err, "peer", LSP_E_NOT_FOUND, "%s is not being downloaded", game);
	if (download)
		lsp_download_pause(download, paused);
	lsp_call_answer(call, NULL);
	return 0;
}

int lsp_command_pause(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	return set_paused(peer, call, true, err);
}

int lsp_command_resume(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	return set_paused(peer, call, false, err);
}

/* ---- Details
 * ------------------------------------------------------------------------------------------------
 */

/* What is being downloaded, else what is here. */
static struct lsp_share *share_of(struct lsp_peer *peer, const char *game)
{
	struct lsp_download *download = lsp_download_find(peer, game);
	const struct lsp_hash *content = download ? lsp_download_content(download) : NULL;
	struct lsp_share *share = content ? lsp_shares_find(peer->shares, content) : NULL;
	if (!share)
		share = lsp_shares_find_game(peer->shares, game);
	return share;
}

#define AVAILABILITY_PARTS 256

/* For each 256th how many peers have its rarest chunk. */
static json_t *availability_json(const struct lsp_peer *peer, lsp_swarm_id game, size_t chunks)
{
	json_t *list = json_array();
	for (size_t part = 0; part < AVAILABILITY_PARTS && chunks; part++) {
		size_t first = part * chunks / AVAILABILITY_PARTS;
		size_t after = (part + 1) * chunks / AVAILABILITY_PARTS;
		size_t count = after > first ? after - first : 1; /* fewer chunks than parts */
		json_array_append_new(list, json_integer(lsp_swarm_game_availability(peer->swarm,
						    game, (uint32_t)first, (uint32_t)count)));
	}
	return list;
}

int lsp_command_chunk_map(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	struct lsp_share *share = share_of(peer, game);
	lsp_swarm_id id = share ? lsp_share_swarm_game(share) : 0;
	const struct lsp_bitmap *have = id ? lsp_swarm_game_have(peer->swarm, id) : NULL;
	if (!have)
		return lsp_error_set(err, "peer", LSP_E_NOT_FOUND, "no chunk of %s is here", game);
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&lsp_share_manifest(share)->content_id, hex);
	_cleanup_free_ char *text = malloc(lsp_base64_size(lsp_bitmap_bytes(have)) + 1);
	if (!text)
		return lsp_error_no_memory(err, "peer");
	lsp_base64_encode(have->bytes, lsp_bitmap_bytes(have), text);
	lsp_call_answer(call, json_pack("{s:s, s:i, s:i, s:s, s:o}", "content", hex, "chunks",
				      (int)have->bits, "done", (int)have->set, "have", text,
				      "availability", availability_json(peer, id, have->bits)));
	return 0;
}

/* ---- Who has it
 * ------------------------------------------------------------------------------------------------
 */

static json_t *holder_json(const struct lsp_remote_game *copy)
{
	static const char *const states[] = {
		[LSP_HOLDING_HASHING] = "hashing",
		[LSP_HOLDING_PARTIAL] = "partial",
		[LSP_HOLDING_READY] = "ready",
	};
	const struct lsp_edition *said = copy->said;
	char id[LSP_SHA256_HEX_SIZE], content[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&copy->peer->id, id);
	lsp_hash_to_hex(&said->content, content);
	bool known = copy->holding != LSP_HOLDING_HASHING;
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I}", "peer", id, "name",
		lsp_session_name(copy->peer->session), "state", states[copy->holding], "version",
		said->version.text[0] ? json_string(said->version.text) : json_null(), "content",
		known ? json_string(content) : json_null(), "size", (json_int_t)said->size);
}

int lsp_command_holders(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	if (!lsp_games_known(peer, game))
		return lsp_games_unknown(game, err);
	const struct lsp_known_game *known = lsp_database_find(peer->database, game);
	const struct lsp_remote_game *copy;
	json_t *holders = json_array();
	DL_FOREACH2((known ? known->holders : NULL), copy, next_holder)
	json_array_append_new(holders, holder_json(copy));
	lsp_call_answer(call, json_pack("{s:o}", "holders", holders));
	return 0;
}

int lsp_command_play_info(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	return lsp_play_answer(peer, call, lsp_call_text(call, "game"), err);
}

int lsp_command_folder_info(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	return lsp_folder_answer(peer, call, lsp_call_text(call, "game"), err);
}

int lsp_command_get_cover(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	return lsp_cover_answer(peer, call, lsp_call_text(call, "game"), err);
}
