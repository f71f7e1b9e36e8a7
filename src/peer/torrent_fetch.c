#include "peer/torrent_fetch.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "peer/download.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/piece_map.h"
#include "peer/share.h"
#include "peer/torrent_games.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "wire/metainfo.h"

#include <string.h>

#include <utlist.h>

#define TAKE_AT_MOST 512 /* chunks that one job hashes */
#define PAUSE_AT_MOST (3 * LSP_SECOND)
#define ALONE_AFTER (3 * LSP_SECOND) /* a dial, or an answer of a tracker, takes less */
#define DOUBTS_MAX 20 /* looks in a row that found a chunk which the engine has and we do not */

struct lsp_torrent_fetch {
	struct lsp_torrent_fetch *prev, *next;
	struct lsp_peer *peer;
	struct lsp_download *download;
	struct lsp_share *share;
	struct lsp_stage *stage;
	const struct lsp_manifest *manifest;

	char *alias_path;             /* NULL: the content's own torrent */
	struct lsp_buffer metainfo;   /* of the alias */
	uint32_t piece_length;        /* of the torrent */
	char id[LSP_SHA256_HEX_SIZE]; /* as the engine calls it; "" until it is added */

	bool busy;     /* a call or job of the beginning or the end runs */
	bool asking;   /* for what it has */
	bool look_now; /* something happened that is worth a look */
	bool stopping, pausing, paused, final_look, removed, final_take, finishing;
	lsp_time pause_until;
	struct lsp_post post;
	struct lsp_error trouble;
	uint64_t peers, rate;
	lsp_time alone_at; /* who has no peer from then on waits for one, and that is told */

	/* The job that takes what was written. */
	struct lsp_job job;
	bool job_runs;
	struct lsp_bitmap wanted; /* chunks that it looks at */
	struct lsp_bitmap taken;  /* and those that proved right */
	unsigned doubts;
};

static void go_on_stopping(struct lsp_torrent_fetch *fetch);

static void fetch_free(struct lsp_torrent_fetch *fetch)
{
	lsp_buffer_done(&fetch->metainfo);
	lsp_bitmap_done(&fetch->wanted);
	lsp_bitmap_done(&fetch->taken);
	lsp_stage_unref(fetch->stage);
	lsp_manifest_unref(fetch->manifest);
	lsp_share_unref(fetch->share);
	free(fetch->alias_path);
	free(fetch);
}

void lsp_torrent_fetch_free_all(struct lsp_peer *peer)
{
	struct lsp_torrent_fetch *fetch, *next;
	DL_FOREACH_SAFE(peer->torrent_fetches, fetch, next)
	{
		DL_DELETE(peer->torrent_fetches, fetch);
		fetch_free(fetch);
	}
}

/* The download learns of it once, and stops the fetch. */
static void fail(struct lsp_torrent_fetch *fetch, const struct lsp_error *error)
{
	if (fetch->stopping || fetch->trouble.code)
		return;
	fetch->trouble = *error;
	lsp_download_trouble(fetch->share, error);
}

/* ---- Into the session ---- */

/* Files that an update leaves in their place do not lie in the stage: they are not wanted. */
static json_t *skipped_files(const struct lsp_torrent_fetch *fetch, struct lsp_error *err)
{
	_cleanup_bitmap_ struct lsp_bitmap kept = {0};
	json_t *priorities = json_object();
	if (lsp_bitmap_init(&kept, fetch->manifest->file_count, err) < 0)
		return priorities;
	lsp_stage_kept_copy(fetch->stage, &kept);
	for (size_t i = lsp_bitmap_next_set(&kept, 0); i < kept.bits;
		i = lsp_bitmap_next_set(&kept, i + 1))
		json_object_set_new(
			priorities, fetch->manifest->files[i].path, json_string("skip"));
	return priorities;
}

/* What lies in the stage's own files, in pieces of the torrent. */
static int fill_have(
	struct lsp_torrent_fetch *fetch, struct lsp_bitmap *ret_have, struct lsp_error *err)
{
	_cleanup_bitmap_ struct lsp_bitmap chunks = {0};
	int r = lsp_bitmap_init(&chunks, fetch->manifest->chunk_count, err);
	if (r == 0)
		r = lsp_bitmap_init(
			ret_have, lsp_piece_count(fetch->manifest, fetch->piece_length), err);
	if (r < 0)
		return r;
	lsp_stage_staged_copy(fetch->stage, &chunks);
	lsp_pieces_from_chunks(fetch->manifest, fetch->piece_length, &chunks, ret_have);
	return 0;
}

static json_t *add_arguments(struct lsp_torrent_fetch *fetch, struct lsp_error *err)
{
	struct lsp_peer *peer = fetch->peer;
	const char *game = lsp_share_game(fetch->share);
	_cleanup_free_ char *folder =
		lsp_text_format("%s/%s/" LSP_STAGE_FOLDER, lsp_local_games_dir(peer), game);
	json_t *trackers = lsp_torrent_games_trackers(peer, game);
	json_t *arguments = json_pack("{s:s, s:s, s:s, s:b, s:s, s:o, s:o}", "save_path",
		folder ? folder : "", "root", "files", "have", "bitmap", "transient", 1, "game",
		game, "lan_peers", lsp_torrents_lan_peers(peer), "priorities",
		skipped_files(fetch, err));
	if (arguments && json_array_size(trackers))
		json_object_set(arguments, "trackers", trackers);
	lsp_torrent_games_fetch_options(peer, game, !fetch->alias_path, arguments);
	return arguments;
}

/* Where nobody can be known, nobody need be waited for to say so. */
static bool may_know_somebody(const struct lsp_torrent_fetch *fetch)
{
	struct lsp_peer *peer = fetch->peer;
	json_t *here = lsp_torrents_lan_peers(peer);
	bool any = json_array_size(here) > 0;
	json_decref(here);
	return any || !lsp_torrents_keep_to_themselves(peer->torrents) ||
	       json_array_size(lsp_torrent_games_trackers(peer, lsp_share_game(fetch->share))) > 0;
}

static void tell_whether_alone(struct lsp_torrent_fetch *fetch)
{
	bool alone =
		fetch->id[0] && fetch->peers == 0 && lsp_peer_now(fetch->peer) >= fetch->alone_at;
	if (!fetch->stopping)
		lsp_download_torrent_alone(fetch->download, alone);
}

static void added(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_fetch *fetch = argument;
	struct lsp_error err = {0};
	if (!answer)
		return;
	fetch->busy = false;
	if (answer->result == 0) {
		const char *id = json_string_value(json_object_get(answer->value, "id"));
		snprintf(fetch->id, sizeof fetch->id, "%s", id ? id : "");
		fetch->alone_at = lsp_time_add(
			lsp_peer_now(fetch->peer), may_know_somebody(fetch) ? ALONE_AFTER : 0);
		tell_whether_alone(fetch);
	} else if (answer->result == -LSP_E_EXISTS) {
		lsp_error_set(&err, "torrent", LSP_E_EXISTS,
			"the torrent of %s is in the torrent engine already, for another place: "
			"`lanspread torrent remove` it, or get the game by the other engine",
			lsp_share_game(fetch->share));
		fail(fetch, &err);
	} else {
		fail(fetch, &answer->error);
	}
	if (fetch->stopping)
		go_on_stopping(fetch);
}

static void add(struct lsp_torrent_fetch *fetch)
{
	struct lsp_error err = {0};
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_ADD, .done = added, .argument = fetch};
	int r = fill_have(fetch, &call.have, &err);
	if (r == 0 && fetch->alias_path)
		r = lsp_buffer_append(
			&call.metainfo, fetch->metainfo.data, fetch->metainfo.size, &err);
	if (r == 0) {
		call.arguments = add_arguments(fetch, &err);
		call.manifest = fetch->alias_path ? NULL : lsp_manifest_ref(fetch->manifest);
		fetch->busy = true;
		r = lsp_torrents_call(fetch->peer, &call, &err);
	} else {
		lsp_bitmap_done(&call.have);
	}
	if (r < 0) {
		fetch->busy = false;
		fail(fetch, &err);
	}
}

/* ---- The alias, from the disk ---- */

static void read_alias(struct lsp_job *job)
{
	struct lsp_torrent_fetch *fetch = lsp_container_of(job, struct lsp_torrent_fetch, job);
	_cleanup_metainfo_ struct lsp_metainfo *metainfo = NULL;
	job->result = lsp_fs_read_file(
		fetch->alias_path, LSP_METAINFO_MAX, &fetch->metainfo, &job->error);
	if (job->result == 0)
		job->result = lsp_metainfo_parse(
			fetch->metainfo.data, fetch->metainfo.size, &metainfo, &job->error);
	if (job->result == 0 && !lsp_metainfo_is(metainfo, fetch->manifest))
		job->result = lsp_error_set(&job->error, "torrent", LSP_E_CORRUPT,
			"the files of \"%s\" are not those of the game", fetch->alias_path);
	if (job->result == 0)
		fetch->piece_length = metainfo->piece_length;
}

static void alias_read(struct lsp_job *job)
{
	struct lsp_torrent_fetch *fetch = lsp_container_of(job, struct lsp_torrent_fetch, job);
	fetch->job_runs = fetch->busy = false;
	if (fetch->stopping)
		go_on_stopping(fetch);
	else if (job->result < 0)
		fail(fetch, &job->error);
	else
		add(fetch);
}

static int submit(struct lsp_torrent_fetch *fetch, void (*work)(struct lsp_job *job),
	void (*done)(struct lsp_job *job), struct lsp_error *err)
{
	fetch->job = (struct lsp_job){.work = work, .done = done};
	int r = lsp_pool_submit(fetch->peer->disk, fetch->peer->core, &fetch->job, err);
	fetch->job_runs = r == 0;
	return r;
}

int lsp_torrent_fetch_start(struct lsp_peer *peer, struct lsp_download *download,
	struct lsp_share *share, struct lsp_torrent_fetch **ret_fetch, struct lsp_error *err)
{
	struct lsp_torrent_fetch *fetch = calloc(1, sizeof *fetch);
	if (!fetch)
		return lsp_error_no_memory(err, "peer");
	fetch->peer = peer;
	fetch->download = download;
	fetch->share = lsp_share_ref(share);
	fetch->stage = lsp_stage_ref(lsp_share_stage(share));
	fetch->manifest = lsp_manifest_ref(lsp_share_manifest(share));
	fetch->piece_length = fetch->manifest->piece_length;
	(void)lsp_torrent_games_alias(
		peer, lsp_share_game(share), &fetch->manifest->content_id, &fetch->alias_path);
	int r = lsp_bitmap_init(&fetch->wanted, fetch->manifest->chunk_count, err);
	if (r == 0)
		r = lsp_bitmap_init(&fetch->taken, fetch->manifest->chunk_count, err);
	if (r == 0 && fetch->alias_path)
		r = submit(fetch, read_alias, alias_read, err);
	if (r < 0) {
		fetch_free(fetch);
		return r;
	}
	DL_APPEND(peer->torrent_fetches, fetch);
	*ret_fetch = fetch;
	if (fetch->alias_path)
		fetch->busy = true;
	else
		add(fetch);
	return 0;
}

/* ---- Taking what was written ---- */

static void take(struct lsp_job *job)
{
	struct lsp_torrent_fetch *fetch = lsp_container_of(job, struct lsp_torrent_fetch, job);
	const struct lsp_bitmap *wanted = &fetch->wanted;
	for (size_t i = lsp_bitmap_next_set(wanted, 0); i < wanted->bits;
		i = lsp_bitmap_next_set(wanted, i + 1)) {
		struct lsp_error err = {0};
		int r = lsp_stage_take_written(fetch->stage, (uint32_t)i, &err);
		if (r == 0 || r == -LSP_E_EXISTS) {
			lsp_bitmap_set(&fetch->taken, i);
		} else if (r != -LSP_E_CORRUPT && r != -LSP_E_BUSY) {
			job->result = r;
			job->error = err;
			return;
		}
	}
}

/* The chunks that proved right count: for the swarm, whoever follows, and the progress. */
static void count_taken(struct lsp_torrent_fetch *fetch)
{
	lsp_swarm_id game = lsp_share_swarm_game(fetch->share);
	for (size_t i = lsp_bitmap_next_set(&fetch->taken, 0); i < fetch->taken.bits;
		i = lsp_bitmap_next_set(&fetch->taken, i + 1)) {
		struct lsp_chunk chunk;
		lsp_manifest_chunk(fetch->manifest, (uint32_t)i, &chunk);
		if (game)
			lsp_swarm_game_gained(fetch->peer->swarm, game, (uint32_t)i, 1);
		lsp_download_count_received(fetch->share, chunk.size);
	}
	lsp_peer_kick(fetch->peer);
}

static void clear(struct lsp_bitmap *map)
{
	memset(map->bytes, 0, lsp_bitmap_bytes(map));
	map->set = 0;
}

static void took(struct lsp_job *job)
{
	struct lsp_torrent_fetch *fetch = lsp_container_of(job, struct lsp_torrent_fetch, job);
	struct lsp_error err = job->error;
	fetch->job_runs = false;
	if (fetch->peer->stopping)
		return;
	size_t missed = fetch->wanted.set - fetch->taken.set;
	fetch->doubts = missed && !fetch->taken.set ? fetch->doubts + 1 : 0;
	count_taken(fetch);
	clear(&fetch->wanted);
	clear(&fetch->taken);
	if (job->result < 0) {
		fail(fetch, &err);
	} else if (fetch->doubts >= DOUBTS_MAX) {
		lsp_error_set(&err, "torrent", LSP_E_CORRUPT,
			"what the torrent engine wrote of %s is not what it says: is the disk all "
			"right?",
			lsp_share_game(fetch->share));
		fail(fetch, &err);
	}
	if (fetch->stopping)
		go_on_stopping(fetch);
}

/* Which of these chunks do not count yet? */
static void want_missing(struct lsp_torrent_fetch *fetch, const struct lsp_bitmap *chunks)
{
	for (size_t i = lsp_bitmap_next_set(chunks, 0);
		i < chunks->bits && (fetch->stopping || fetch->wanted.set < TAKE_AT_MOST);
		i = lsp_bitmap_next_set(chunks, i + 1)) {
		if (!lsp_stage_has(fetch->stage, (uint32_t)i))
			lsp_bitmap_set(&fetch->wanted, i);
	}
	fetch->look_now |= fetch->wanted.set == TAKE_AT_MOST;
}

static int take_bitmap(
	struct lsp_torrent_fetch *fetch, const struct lsp_buffer *bytes, struct lsp_error *err)
{
	_cleanup_bitmap_ struct lsp_bitmap pieces = {0}, chunks = {0};
	int r = lsp_bitmap_init(
		&pieces, lsp_piece_count(fetch->manifest, fetch->piece_length), err);
	if (r == 0)
		r = lsp_bitmap_init(&chunks, fetch->manifest->chunk_count, err);
	if (r == 0)
		r = lsp_bitmap_load(&pieces, bytes->data, bytes->size, err);
	if (r < 0)
		return r;
	lsp_chunks_from_pieces(fetch->manifest, fetch->piece_length, &pieces, &chunks);
	want_missing(fetch, &chunks);
	/* At the end, only once the engine has let go of the files: all is written then. */
	return fetch->wanted.set && !fetch->stopping ? submit(fetch, take, took, err) : 0;
}

static void have_came(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_fetch *fetch = argument;
	struct lsp_error err = {0};
	if (!answer)
		return;
	fetch->asking = false;
	if (answer->result == -LSP_E_NOT_FOUND && !fetch->stopping) {
		/* The session broke and is a new one: in with it again. */
		fetch->id[0] = '\0';
		add(fetch);
	} else if (answer->result == 0 && !fetch->job_runs &&
		   take_bitmap(fetch, &answer->bytes, &err) < 0) {
		fail(fetch, &err);
	}
	if (fetch->stopping)
		go_on_stopping(fetch);
}

static bool ask(struct lsp_torrent_fetch *fetch)
{
	fetch->look_now = false;
	fetch->asking = lsp_torrents_ask(fetch->peer, LSP_TORRENT_HAVE, fetch->id, have_came, fetch,
				NULL) == 0;
	return fetch->asking;
}

static bool can_look(const struct lsp_torrent_fetch *fetch)
{
	return fetch->id[0] && !fetch->busy && !fetch->asking && !fetch->job_runs &&
	       !fetch->stopping && !fetch->trouble.code;
}

void lsp_torrent_fetch_tick(struct lsp_peer *peer)
{
	struct lsp_torrent_fetch *fetch;
	DL_FOREACH(peer->torrent_fetches, fetch)
	{
		if (can_look(fetch))
			ask(fetch);
		else if (fetch->pausing)
			go_on_stopping(fetch);
		tell_whether_alone(fetch);
	}
}

static uint64_t number_in(const json_t *event, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(event, key));
}

static void torrent_error(struct lsp_torrent_fetch *fetch, const json_t *event)
{
	const char *code = json_string_value(json_object_get(event, "code"));
	const char *message = json_string_value(json_object_get(event, "message"));
	struct lsp_error err = {0};
	bool space = code && strcmp(code, "no_space") == 0;
	/* What a new session puts right is no failure of the download. */
	if (code && strcmp(code, "closed") == 0)
		return;
	lsp_error_set(&err, "torrent", space ? LSP_E_NO_SPACE : LSP_E_IO, "%s",
		message ? message : "the torrent engine failed");
	fail(fetch, &err);
}

void lsp_torrent_fetch_event(
	struct lsp_peer *peer, const char *name, const char *id, const json_t *event)
{
	struct lsp_torrent_fetch *fetch;
	DL_FOREACH(peer->torrent_fetches, fetch)
	{
		if (*id && strcmp(fetch->id, id) == 0)
			break;
	}
	if (!fetch)
		return;
	if (strcmp(name, "torrent_progress") == 0) {
		uint64_t peers = number_in(event, "peers");
		if (fetch->peers > 0 && peers == 0)
			fetch->alone_at = lsp_time_add(lsp_peer_now(fetch->peer), ALONE_AFTER);
		fetch->peers = peers;
		fetch->rate = number_in(event, "download_rate");
		tell_whether_alone(fetch);
	} else if (strcmp(name, "torrent_error") == 0) {
		torrent_error(fetch, event);
	} else if (strcmp(name, "torrent_settings") == 0) {
		lsp_torrent_games_note_settings(peer, lsp_share_game(fetch->share),
			&fetch->manifest->content_id, id, json_object_get(event, "settings"));
	} else if ((strcmp(name, "torrent_completed") == 0 || strcmp(name, "torrent_state") == 0) &&
		   can_look(fetch)) {
		ask(fetch);
	}
}

const char *lsp_torrent_fetch_game(const struct lsp_peer *peer, const char *id)
{
	const struct lsp_torrent_fetch *fetch;
	DL_FOREACH(peer->torrent_fetches, fetch)
	{
		if (strcmp(fetch->id, id) == 0)
			return lsp_share_game(fetch->share);
	}
	return NULL;
}

uint64_t lsp_torrent_fetch_peers(const struct lsp_torrent_fetch *fetch)
{
	return fetch->peers;
}

uint64_t lsp_torrent_fetch_rate(const struct lsp_torrent_fetch *fetch)
{
	return fetch->rate;
}

/* ---- The end ---- */

static void finish(void *argument)
{
	struct lsp_torrent_fetch *fetch = argument;
	struct lsp_download *download = fetch->download;
	if (fetch->peer->stopping)
		return; /* lsp_torrent_fetch_free_all comes */
	DL_DELETE(fetch->peer->torrent_fetches, fetch);
	fetch_free(fetch);
	lsp_download_torrent_stopped(download);
}

static void paused(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_fetch *fetch = argument;
	if (!answer)
		return;
	fetch->pausing = false;
	go_on_stopping(fetch);
}

/* Once it stands still, what it wrote is on the disk and what it has does not change any more. */
static bool pause_torrent(struct lsp_torrent_fetch *fetch)
{
	fetch->paused = true;
	fetch->pause_until = lsp_time_add(lsp_peer_now(fetch->peer), PAUSE_AT_MOST);
	fetch->pausing = lsp_torrents_ask(fetch->peer, LSP_TORRENT_PAUSE, fetch->id, paused, fetch,
				 NULL) == 0;
	return fetch->pausing;
}

static void removed(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrent_fetch *fetch = argument;
	if (!answer)
		return;
	fetch->busy = false;
	fetch->removed = true;
	go_on_stopping(fetch);
}

static bool remove_torrent(struct lsp_torrent_fetch *fetch)
{
	fetch->busy = lsp_torrents_ask(fetch->peer, LSP_TORRENT_REMOVE, fetch->id, removed, fetch,
			      NULL) == 0;
	return fetch->busy;
}

/* A library that says nothing of a pause is not waited for; the removal answers that call too. */
static bool waits_for_pause(const struct lsp_torrent_fetch *fetch)
{
	return fetch->pausing && (fetch->removed || lsp_peer_now(fetch->peer) < fetch->pause_until);
}

/*
 * One step at a time: the torrent stands still, what it has is asked for, it goes, what it wrote is
 * taken.
 */
static void go_on_stopping(struct lsp_torrent_fetch *fetch)
{
	uint64_t left;
	uint32_t chunks;
	if (fetch->busy || fetch->asking || fetch->job_runs || fetch->finishing ||
		fetch->peer->stopping || waits_for_pause(fetch))
		return;
	lsp_stage_left(fetch->stage, &left, &chunks);
	bool writes = fetch->id[0] && !fetch->removed && chunks;
	if (writes && !fetch->paused && pause_torrent(fetch))
		return;
	if (writes && !fetch->final_look && !fetch->trouble.code) {
		fetch->final_look = true;
		if (ask(fetch))
			return;
	}
	if (fetch->id[0] && !fetch->removed && remove_torrent(fetch))
		return;
	if (fetch->wanted.set && !fetch->final_take) {
		fetch->final_take = true;
		if (submit(fetch, take, took, NULL) == 0)
			return;
	}
	/* Not from here: whoever stops it, or learns of its trouble, still holds it. */
	fetch->finishing =
		lsp_loop_post_node(fetch->peer->core, &fetch->post, finish, fetch, NULL) == 0;
}

void lsp_torrent_fetch_stop(struct lsp_torrent_fetch *fetch)
{
	if (fetch->stopping)
		return;
	fetch->stopping = true;
	go_on_stopping(fetch);
}
