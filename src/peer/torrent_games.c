/*
 * Games that are seeded in place: when their torrents come into the session, and leave it. What is
 * remembered of them is torrent_games_records.c's.
 */
#include "peer/torrent_games_private.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "peer/download.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/share.h"
#include "peer/torrent_files.h"
#include "peer/torrent_settings.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "wire/json.h"
#include "wire/path.h"

#include <string.h>

#include <utlist.h>

#define TORRENT_MAX (LSP_MANIFEST_INFO_MAX + LSP_MANIFEST_LAYERS_MAX)

/* A torrent that was told to leave the session. */
struct leaving {
	struct leaving *prev, *next; /* of those that wait: they are still being added */
	struct lsp_peer *peer;
	char game[LSP_GAME_ID_MAX + 1];
	char id[LSP_SHA256_HEX_SIZE];
};

int lsp_torrent_games_new(
	struct lsp_peer *peer, struct lsp_torrent_games **ret_games, struct lsp_error *err)
{
	struct lsp_torrent_games *games = calloc(1, sizeof *games);
	if (games) {
		games->seeds = json_object();
		games->leaving = json_object();
		games->again = json_object();
		games->dropped = json_object();
	}
	if (!games || !games->seeds || !games->leaving || !games->again || !games->dropped) {
		lsp_torrent_games_free(games);
		return lsp_error_no_memory(err, "peer");
	}
	games->peer = peer;
	games->records = lsp_peer_load_json(peer, LSP_TORRENT_GAMES_FILE);
	*ret_games = games;
	peer->torrent_games = games;
	/* Without any that can be read (it may be damaged) nothing says what is wanted. */
	if (json_object_size(games->records))
		lsp_torrent_files_sweep(peer, lsp_torrent_games_is_recorded);
	return 0;
}

void lsp_torrent_games_free(struct lsp_torrent_games *games)
{
	if (!games)
		return;
	json_decref(games->records);
	json_decref(games->seeds);
	json_decref(games->leaving);
	json_decref(games->again);
	json_decref(games->dropped);
	struct leaving *leaving, *next;
	DL_FOREACH_SAFE(games->waiting, leaving, next)
	{
		DL_DELETE(games->waiting, leaving);
		free(leaving);
	}
	free(games);
}

/* Its torrents that are in the session already; those that come are added with theirs. */
static void add_trackers(struct lsp_peer *peer, const char *game, json_t *trackers)
{
	const char *id;
	json_t *of;
	json_object_foreach (peer->torrent_games->seeds, id, of) {
		if (strcmp(json_string_value(of), game) == 0)
			lsp_torrents_tell(peer, LSP_TORRENT_TRACKERS,
				json_pack("{s:s, s:O}", "torrent", id, "add", trackers));
	}
}

void lsp_torrent_games_share(
	struct lsp_peer *peer, const char *game, const struct lsp_hash *content, json_t *trackers)
{
	json_t *record = lsp_torrent_games_want(peer, game, content);
	json_object_set_new(record, "shared", json_true());
	json_object_del(record, "withheld");
	if (json_array_size(trackers)) {
		json_object_set(record, "trackers", trackers);
		lsp_torrent_settings_add_trackers(record, trackers);
		add_trackers(peer, game, trackers);
	}
	lsp_torrent_games_save(peer);
	lsp_torrent_games_ready(peer, game);
}

/* Neither shared nor, where all games are seeded, seeded as one of them. */
static bool withhold(struct lsp_peer *peer, const char *game, const char *id)
{
	struct lsp_hash content;
	bool everything = lsp_torrents_seed_all(peer->torrents);
	json_t *record = lsp_torrent_games_record(peer, game, NULL);
	if (!record && everything && lsp_hash_from_hex(id, &content, NULL) == 0)
		record = lsp_torrent_games_want(peer, game, &content);
	if (!record)
		return false;
	json_object_set_new(record, "shared", json_false());
	if (everything)
		json_object_set_new(record, "withheld", json_true());
	lsp_torrent_settings_forget(record, true, id);
	return true;
}

bool lsp_torrent_games_forget(struct lsp_peer *peer, const char *id)
{
	struct lsp_torrent_games *games = peer->torrent_games;
	const char *seeded = json_string_value(json_object_get(games->seeds, id)), *game;
	json_t *record;
	bool found =
		seeded &&
		!lsp_torrent_games_is_alias(lsp_torrent_games_record(peer, seeded, NULL), id) &&
		withhold(peer, seeded, id);
	json_object_foreach (games->records, game, record) {
		if (lsp_torrent_games_has_text(record, "content", id))
			found |= withhold(peer, game, id);
		json_t *aliases = json_object_get(record, "aliases");
		if (json_array_remove(aliases, lsp_torrent_games_find_alias(aliases, id)) == 0) {
			lsp_torrent_settings_forget(record, false, id);
			found = true;
		}
	}
	json_object_del(games->seeds, id);
	if (found) {
		json_object_set_new(games->dropped, id, json_true());
		lsp_torrent_games_save(peer);
	}
	return found;
}

/* ---- Leaving ---- */

static void count_leaving(struct lsp_peer *peer, const char *game, int more)
{
	json_t *all = peer->torrent_games->leaving;
	json_int_t count = json_integer_value(json_object_get(all, game)) + more;
	if (count > 0)
		json_object_set_new(all, game, json_integer(count));
	else
		json_object_del(all, game);
}

bool lsp_torrent_games_leaving(const struct lsp_peer *peer, const char *game)
{
	return json_object_get(peer->torrent_games->leaving, game) != NULL;
}

/* It is not there any more. Whoever waited for the last of a game goes on. */
static void has_left(struct leaving *leaving)
{
	struct lsp_peer *peer = leaving->peer;
	const char *game = leaving->game;
	count_leaving(peer, game, -1);
	if (!lsp_torrent_games_leaving(peer, game)) {
		bool again = json_object_del(peer->torrent_games->again, game) == 0;
		lsp_download_torrents_left(peer, game);
		if (again)
			lsp_torrent_games_ready(peer, game);
	}
	free(leaving);
}

static void left(void *argument, struct lsp_torrent_answer *answer)
{
	struct leaving *leaving = argument;
	if (!answer)
		free(leaving);
	else if (answer->result == -LSP_E_BUSY) /* it is still being added */
		DL_APPEND(leaving->peer->torrent_games->waiting, leaving);
	else
		has_left(leaving);
}

static void send_away(struct leaving *leaving)
{
	struct lsp_error err = {0};
	if (lsp_torrents_ask(leaving->peer, LSP_TORRENT_REMOVE, leaving->id, left, leaving, &err) ==
		0)
		return;
	lsp_log_warning("torrent", "%s", err.message);
	has_left(leaving);
}

static void leave(struct lsp_peer *peer, const char *game, const char *id)
{
	struct leaving *leaving = calloc(1, sizeof *leaving);
	if (!leaving) {
		lsp_torrents_tell(peer, LSP_TORRENT_REMOVE, json_pack("{s:s}", "torrent", id));
		return;
	}
	leaving->peer = peer;
	snprintf(leaving->game, sizeof leaving->game, "%s", game);
	snprintf(leaving->id, sizeof leaving->id, "%s", id);
	count_leaving(peer, game, 1);
	send_away(leaving);
}

/* A torrent has been added, or not: what was to leave before that does now. */
static void send_waiting_away(struct lsp_peer *peer, const char *id)
{
	struct leaving *leaving, *next;
	DL_FOREACH_SAFE(peer->torrent_games->waiting, leaving, next)
	{
		if (strcmp(leaving->id, id) != 0)
			continue;
		DL_DELETE(peer->torrent_games->waiting, leaving);
		send_away(leaving);
	}
}

/* ---- Seeding ---- */

static json_t *seed_arguments(struct lsp_peer *peer, const char *game, const char *id)
{
	const json_t *record = lsp_torrent_games_record(peer, game, NULL);
	json_t *trackers = lsp_torrent_games_trackers(peer, game);
	json_t *arguments =
		json_pack("{s:s, s:s, s:s, s:b, s:s}", "save_path", lsp_local_games_dir(peer),
			"root", game, "have", "all", "transient", 1, "game", game);
	if (arguments && json_array_size(trackers))
		json_object_set(arguments, "trackers", trackers);
	lsp_torrent_wish_apply(
		arguments, json_object_get(record, "options"), LSP_TORRENT_STAGE_SEED);
	if (arguments)
		lsp_torrent_settings_apply(
			record, !lsp_torrent_games_is_alias(record, id), id, arguments);
	return arguments;
}

static bool is_seeded(const struct lsp_torrent_games *games, const char *id)
{
	return json_object_get(games->seeds, id) != NULL;
}

/*
 * A wish to seed on its way. `mark`, the game's name, is the very value in `seeds` as long as
 * nothing withdrew the wish: what was withdrawn and wished for again has another one.
 */
struct seeding {
	struct lsp_job job; /* an alias, which is read from the disk first */
	struct lsp_peer *peer;
	json_t *mark;
	char id[LSP_SHA256_HEX_SIZE];
	char *path;
	struct lsp_buffer bytes;
};

static struct seeding *seeding_new(struct lsp_peer *peer, const char *game, const char *id)
{
	struct seeding *seeding = calloc(1, sizeof *seeding);
	json_t *mark = seeding ? json_string(game) : NULL;
	if (!mark || json_object_set(peer->torrent_games->seeds, id, mark) < 0) {
		json_decref(mark);
		free(seeding);
		return NULL;
	}
	seeding->peer = peer;
	seeding->mark = mark;
	snprintf(seeding->id, sizeof seeding->id, "%s", id);
	return seeding;
}

static void seeding_free(struct seeding *seeding)
{
	json_decref(seeding->mark);
	lsp_buffer_done(&seeding->bytes);
	free(seeding->path);
	free(seeding);
}

static bool is_wanted(const struct seeding *seeding)
{
	return json_object_get(seeding->peer->torrent_games->seeds, seeding->id) == seeding->mark;
}

/* It is not seeded, so that the next occasion tries again. */
static void not_seeded(struct seeding *seeding, const struct lsp_error *why)
{
	lsp_log_warning("torrent", "%s is not seeded as %s: %s", json_string_value(seeding->mark),
		seeding->id, why->message);
	json_object_del(seeding->peer->torrent_games->seeds, seeding->id);
}

/* It is seeded by an earlier wish, whose mark went with the session before. */
static bool stands(const struct seeding *seeding, const struct lsp_torrent_answer *answer)
{
	return answer->result == -LSP_E_EXISTS &&
	       lsp_torrent_games_has_text(
		       answer->value, "game", json_string_value(seeding->mark)) &&
	       lsp_torrent_games_has_text(
		       answer->value, "save_path", lsp_local_games_dir(seeding->peer));
}

static void seed_answered(void *argument, struct lsp_torrent_answer *answer)
{
	struct seeding *seeding = argument;
	if (answer && answer->result < 0 && is_wanted(seeding) && !stands(seeding, answer))
		not_seeded(seeding, &answer->error);
	if (answer)
		send_waiting_away(seeding->peer, seeding->id);
	seeding_free(seeding);
}

/* Hands over the call, of which only manifest or metainfo is set, and the seeding. */
static void seed(struct seeding *seeding, struct lsp_torrent_call *call)
{
	struct lsp_error err = {0};
	call->command = LSP_TORRENT_ADD;
	call->arguments =
		seed_arguments(seeding->peer, json_string_value(seeding->mark), seeding->id);
	call->done = seed_answered;
	call->argument = seeding;
	if (lsp_torrents_call(seeding->peer, call, &err) < 0) {
		not_seeded(seeding, &err);
		seeding_free(seeding);
	}
}

static void seed_own(struct lsp_peer *peer, const char *game, const struct lsp_manifest *manifest)
{
	char id[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&manifest->content_id, id);
	struct seeding *seeding =
		is_seeded(peer->torrent_games, id) ? NULL : seeding_new(peer, game, id);
	if (!seeding)
		return;
	struct lsp_torrent_call call = {.manifest = lsp_manifest_ref(manifest)};
	seed(seeding, &call);
}

/* ---- An alias, from the disk ---- */

static void load(struct lsp_job *job)
{
	struct seeding *seeding = lsp_container_of(job, struct seeding, job);
	job->result = lsp_fs_read_file(seeding->path, TORRENT_MAX, &seeding->bytes, &job->error);
}

static void loaded(struct lsp_job *job)
{
	struct seeding *seeding = lsp_container_of(job, struct seeding, job);
	bool wanted = !seeding->peer->stopping && is_wanted(seeding);
	if (wanted && job->result == 0) {
		struct lsp_torrent_call call = {.metainfo = seeding->bytes};
		seeding->bytes = (struct lsp_buffer){0};
		seed(seeding, &call);
		return;
	}
	if (wanted)
		not_seeded(seeding, &job->error);
	seeding_free(seeding);
}

static void seed_alias(struct lsp_peer *peer, const char *game, const char *id)
{
	struct lsp_error err = {0};
	char *path =
		id && !is_seeded(peer->torrent_games, id) ? lsp_torrent_files_path(peer, id) : NULL;
	struct seeding *seeding = path ? seeding_new(peer, game, id) : NULL;
	if (!seeding) {
		free(path);
		return;
	}
	seeding->job.work = load;
	seeding->job.done = loaded;
	seeding->path = path;
	if (lsp_pool_submit(peer->state_pool, peer->core, &seeding->job, &err) < 0) {
		not_seeded(seeding, &err);
		seeding_free(seeding);
	}
}

void lsp_torrent_games_ready(struct lsp_peer *peer, const char *game)
{
	struct lsp_share *share = lsp_shares_find_game(peer->shares, game);
	struct lsp_error err = {0};
	if (!share || peer->stopping)
		return;
	const struct lsp_manifest *manifest = lsp_share_manifest(share);
	json_t *record = lsp_torrent_games_record(peer, game, NULL), *alias;
	json_t *of_content = lsp_torrent_games_record(peer, game, &manifest->content_id);
	size_t index;
	if (!lsp_torrents_are_running(peer->torrents)) {
		/* Who shared or added what is here asked for it, at every start. */
		bool asked = json_is_true(json_object_get(record, "shared")) ||
			     json_array_size(json_object_get(of_content, "aliases"));
		if (asked && lsp_torrents_ensure(peer->torrents, &err) < 0)
			lsp_peer_warn(peer, "the torrent engine does not start: %s", err.message);
		return;
	}
	if (lsp_torrent_games_leaving(peer, game)) {
		json_object_set_new(peer->torrent_games->again, game, json_true());
		return;
	}
	if (json_is_true(json_object_get(record, "shared")) ||
		(lsp_torrents_seed_all(peer->torrents) &&
			!json_is_true(json_object_get(record, "withheld"))))
		seed_own(peer, game, manifest);
	json_array_foreach (json_object_get(of_content, "aliases"), index, alias)
		seed_alias(peer, game, json_string_value(alias));
}

void lsp_torrent_games_gone(struct lsp_peer *peer, const char *game)
{
	struct lsp_torrent_games *games = peer->torrent_games;
	const char *id;
	json_t *of;
	void *next;
	json_object_foreach_safe(games->seeds, next, id, of)
	{
		if (strcmp(json_string_value(of), game) != 0)
			continue;
		leave(peer, game, id);
		json_object_del(games->seeds, id);
	}
	json_object_del(games->again, game);
}

/* What was seeded only because of the setting. */
static void drop_unasked(struct lsp_peer *peer)
{
	struct lsp_torrent_games *games = peer->torrent_games;
	const char *id;
	json_t *of;
	void *next;
	json_object_foreach_safe(games->seeds, next, id, of)
	{
		json_t *record = lsp_torrent_games_record(peer, json_string_value(of), NULL);
		if (json_is_true(json_object_get(record, "shared")) ||
			lsp_torrent_games_is_alias(record, id))
			continue;
		leave(peer, json_string_value(of), id);
		json_object_del(games->seeds, id);
	}
}

void lsp_torrent_games_mode_changed(struct lsp_peer *peer)
{
	struct lsp_share *share = NULL;
	if (!peer->local || !lsp_torrents_are_running(peer->torrents))
		return;
	if (!lsp_torrents_seed_all(peer->torrents))
		drop_unasked(peer);
	while ((share = lsp_shares_next(peer->shares, share))) {
		if (lsp_share_has_source(share))
			lsp_torrent_games_ready(peer, lsp_share_game(share));
	}
}

const char *lsp_torrent_games_seeded(const struct lsp_peer *peer, const char *id)
{
	return json_string_value(json_object_get(peer->torrent_games->seeds, id));
}

/* What the engine's store would keep of another torrent. */
static void keep_settings(
	struct lsp_peer *peer, const char *game, const char *id, const json_t *event)
{
	json_t *settings = json_object_get(event, "settings");
	json_t *record = lsp_torrent_games_record(peer, game, NULL);
	struct lsp_share *share = lsp_shares_find_game(peer->shares, game);
	if (!record && share && json_object_size(settings))
		record = lsp_torrent_games_want(peer, game, &lsp_share_manifest(share)->content_id);
	if (record && lsp_torrent_settings_keep(
			      record, !lsp_torrent_games_is_alias(record, id), id, settings))
		lsp_torrent_games_save(peer);
}

/*
 * What left without our saying so is not seeded any more: a new session gets it again, what had
 * seeded enough was to go.
 */
void lsp_torrent_games_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event)
{
	const char *game = lsp_torrent_games_seeded(peer, id);
	if (!game)
		return;
	if (strcmp(name, "torrent_state") == 0 &&
		lsp_torrent_games_has_text(event, "state", "failed"))
		lsp_log_warning("torrent", "%s is not seeded any more (%s)", game, id);
	if (strcmp(name, "torrent_settings") == 0)
		keep_settings(peer, game, id, event);
	if (strcmp(name, "torrent_removed") != 0)
		return;
	if (json_is_true(json_object_get(event, "session_closed")))
		json_object_del(peer->torrent_games->seeds, id);
	else
		(void)lsp_torrent_games_forget(peer, id);
}

/* ---- The list of games ---- */

static void add_torrent(const struct lsp_peer *peer, json_t *ids, const char *id, json_int_t *peers,
	json_int_t *seeds)
{
	const json_t *known = lsp_torrents_known(peer->torrents, id);
	json_array_append_new(ids, json_string(id));
	*peers += json_integer_value(json_object_get(known, "peers"));
	*seeds += json_integer_value(json_object_get(known, "seeds"));
}

/* The content of the game that the torrent engine would have: fetched, here, or recorded. */
static void content_of(const struct lsp_peer *peer, const char *game, char out[LSP_SHA256_HEX_SIZE])
{
	struct lsp_download *download = lsp_download_find(peer, game);
	const struct lsp_hash *fetched = download ? lsp_download_content(download) : NULL;
	struct lsp_share *share = lsp_shares_find_game(peer->shares, game);
	const char *recorded = json_string_value(
		json_object_get(lsp_torrent_games_record(peer, game, NULL), "content"));
	if (fetched)
		lsp_hash_to_hex(fetched, out);
	else if (share)
		lsp_hash_to_hex(&lsp_share_manifest(share)->content_id, out);
	else
		snprintf(out, LSP_SHA256_HEX_SIZE, "%s", recorded ? recorded : "");
}

json_t *lsp_torrent_games_json(const struct lsp_peer *peer, const char *game)
{
	json_t *record = lsp_torrent_games_record(peer, game, NULL), *alias;
	char own[LSP_SHA256_HEX_SIZE];
	json_int_t peers = 0, seeds = 0;
	size_t index;
	content_of(peer, game, own);
	json_t *ids = json_array();
	if (*own && lsp_torrents_known(peer->torrents, own))
		add_torrent(peer, ids, own, &peers, &seeds);
	if (lsp_torrent_games_has_text(record, "content", own))
		json_array_foreach (json_object_get(record, "aliases"), index, alias)
			add_torrent(peer, ids, json_string_value(alias), &peers, &seeds);
	if (!json_array_size(ids)) {
		json_decref(ids);
		return NULL;
	}
	return json_pack("{s:o, s:I, s:I}", "torrents", ids, "peers", peers, "seeds", seeds);
}
