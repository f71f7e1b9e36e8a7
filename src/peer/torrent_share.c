/*
 * `share`: a torrent of a game, seeded where the game lies.
 *
 * The game's own v2 torrent is written from its manifest, without reading a byte of the game. A
 * hybrid one, for clients that know only v1, costs a pass of SHA-1 over all of it: the engine does
 * that, with progress, and the command is answered when it is done. Either way the .torrent lies in
 * torrents/ of the state folder, and the answer has its path and a magnet link.
 */
#include "base/text.h"
#include "net/address.h"
#include "peer/commands.h"
#include "peer/events.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/share.h"
#include "peer/torrent_files.h"
#include "peer/torrent_games.h"
#include "peer/torrents.h"
#include "store/config.h"

#include <stdlib.h>
#include <string.h>

struct sharing {
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_call *call;
	char game[LSP_GAME_ID_MAX + 1];
	const struct lsp_manifest *manifest;
	json_t *trackers; /* or NULL */
	char *path;
	char id[LSP_SHA256_HEX_SIZE]; /* of the torrent */
	char *magnet;
	struct lsp_buffer hybrid; /* the engine's .torrent, until it is kept */
};

static void sharing_free(struct sharing *sharing)
{
	if (!sharing)
		return;
	lsp_manifest_unref(sharing->manifest);
	json_decref(sharing->trackers);
	free(sharing->path);
	free(sharing->magnet);
	lsp_buffer_done(&sharing->hybrid);
	free(sharing);
}

/* Percent-encodes what is no unreserved character (RFC 3986). */
static int append_encoded(struct lsp_buffer *text, const char *from, struct lsp_error *err)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	int r = 0;
	for (; r == 0 && *from; from++)
		r = strchr(plain, *from)
			    ? lsp_buffer_append(text, from, 1, err)
			    : lsp_buffer_printf(text, err, "%%%02X", (unsigned char)*from);
	return r;
}

/* BEP 9 with the v2 hash of BEP 52 (a multihash: 0x12, 0x20, then the SHA-256). */
static int make_magnet(struct sharing *sharing, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	json_t *tracker;
	size_t index;
	int r = lsp_buffer_printf(&text, err, "magnet:?xt=urn:btmh:1220%s&dn=", sharing->id);
	if (r == 0)
		r = append_encoded(&text, sharing->game, err);
	json_array_foreach (sharing->trackers, index, tracker) {
		if (r == 0)
			r = lsp_buffer_append(&text, "&tr=", 4, err);
		if (r == 0)
			r = append_encoded(&text, json_string_value(tracker), err);
	}
	if (r == 0)
		r = lsp_buffer_append(&text, "", 1, err);
	if (r < 0)
		return r;
	sharing->magnet = (char *)TAKE_PTR(text.data);
	text = (struct lsp_buffer){0};
	return 0;
}

static void answer(struct sharing *sharing)
{
	char content[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&sharing->manifest->content_id, content);
	/* It is shared after every restart: after a kill at once, too. */
	lsp_call_answer_saved(sharing->call,
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "game", sharing->game, "content", content,
			"id", sharing->id, "magnet", sharing->magnet, "torrent", sharing->path));
}

/* What was made is of the content that the game had then: it may have another by now, or be gone.
 */
static int check_content(const struct sharing *sharing, struct lsp_error *err)
{
	struct lsp_share *share = lsp_shares_find_game(sharing->peer->shares, sharing->game);
	if (share && lsp_hash_equal(&lsp_share_manifest(share)->content_id,
			     &sharing->manifest->content_id))
		return 0;
	return lsp_error_set(err, "torrent", LSP_E_BUSY,
		"%s changed meanwhile: share it again when it is hashed", sharing->game);
}

/* ---- v2
 * --------------------------------------------------------------------------------------------------
 */

/* The .torrent with its trackers: keys of the outer dictionary in order. */
static int write_with_trackers(
	const struct sharing *sharing, struct lsp_buffer *bytes, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer plain = {0};
	size_t count = json_array_size(sharing->trackers);
	json_t *tracker;
	size_t index;
	int r = lsp_manifest_write_torrent(sharing->manifest, &plain, err);
	if (r < 0 || !count)
		return r < 0 ? r : lsp_buffer_append(bytes, plain.data, plain.size, err);
	const char *first = json_string_value(json_array_get(sharing->trackers, 0));
	r = lsp_buffer_printf(
		bytes, err, "d8:announce%zu:%s13:announce-listl", strlen(first), first);
	json_array_foreach (sharing->trackers, index, tracker) {
		const char *url = json_string_value(tracker);
		if (r == 0)
			r = lsp_buffer_printf(bytes, err, "l%zu:%se", strlen(url), url);
	}
	if (r == 0)
		r = lsp_buffer_append(bytes, "e", 1, err);
	/* "announce" and "announce-list" come before "info": the rest is as it was. */
	return r < 0 ? r : lsp_buffer_append(bytes, plain.data + 1, plain.size - 1, err);
}

static void write_torrent(struct lsp_job *job)
{
	struct sharing *sharing = lsp_container_of(job, struct sharing, job);
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	int r = write_with_trackers(sharing, &bytes, &job->error);
	if (r == 0)
		r = lsp_torrent_files_keep(sharing->peer, sharing->id, &bytes, &job->error);
	if (r == 0)
		r = make_magnet(sharing, &job->error);
	job->result = r;
}

static void torrent_written(struct lsp_job *job)
{
	struct sharing *sharing = lsp_container_of(job, struct sharing, job);
	struct lsp_peer *peer = sharing->peer;
	int r = job->result;
	if (!peer->stopping && r == 0)
		r = check_content(sharing, &job->error);
	if (!peer->stopping && r < 0) {
		lsp_call_fail(sharing->call, &job->error);
	} else if (!peer->stopping) {
		lsp_torrent_games_share(
			peer, sharing->game, &sharing->manifest->content_id, sharing->trackers);
		answer(sharing);
	}
	sharing_free(sharing);
}

/* ---- Hybrid
 * ----------------------------------------------------------------------------------------------
 */

static void keep_hybrid(struct lsp_job *job)
{
	struct sharing *sharing = lsp_container_of(job, struct sharing, job);
	job->result =
		lsp_torrent_files_keep(sharing->peer, sharing->id, &sharing->hybrid, &job->error);
}

static void hybrid_kept(struct lsp_job *job)
{
	struct sharing *sharing = lsp_container_of(job, struct sharing, job);
	struct lsp_peer *peer = sharing->peer;
	const struct lsp_hash *content = &sharing->manifest->content_id;
	int r = job->result;
	if (!peer->stopping && r == 0)
		r = check_content(sharing, &job->error);
	if (!peer->stopping && r == 0)
		r = lsp_torrent_games_add_alias(
			peer, sharing->game, content, sharing->id, &job->error);
	if (!peer->stopping && r < 0) {
		lsp_call_fail(sharing->call, &job->error);
	} else if (!peer->stopping) {
		lsp_torrent_games_share(peer, sharing->game, content, sharing->trackers);
		answer(sharing);
	}
	sharing_free(sharing);
}

static int take_hybrid(
	struct sharing *sharing, struct lsp_torrent_answer *made, struct lsp_error *err)
{
	const char *id = json_string_value(json_object_get(made->value, "info_hash_v2"));
	const char *magnet = json_string_value(json_object_get(made->value, "magnet"));
	if (!id || !magnet)
		return lsp_error_set(err, "torrent", LSP_E_FAILED, "no torrent was made");
	snprintf(sharing->id, sizeof sharing->id, "%s", id);
	free(sharing->path);
	sharing->path = lsp_torrent_files_path(sharing->peer, id);
	sharing->magnet = strdup(magnet);
	sharing->hybrid = made->bytes;
	made->bytes = (struct lsp_buffer){0};
	if (!sharing->path || !sharing->magnet)
		return lsp_error_no_memory(err, "peer");
	sharing->job.work = keep_hybrid;
	sharing->job.done = hybrid_kept;
	return lsp_pool_submit(sharing->peer->state_pool, sharing->peer->core, &sharing->job, err);
}

static void hybrid_made(void *argument, struct lsp_torrent_answer *made)
{
	struct sharing *sharing = argument;
	int r = made ? made->result : 0;
	if (made && r == 0)
		r = take_hybrid(sharing, made, &made->error);
	if (made && r == 0)
		return;
	if (made)
		lsp_call_fail(sharing->call, &made->error);
	sharing_free(sharing);
}

static int make_hybrid(struct sharing *sharing, struct lsp_error *err)
{
	struct lsp_peer *peer = sharing->peer;
	_cleanup_free_ char *folder =
		lsp_text_format("%s/%s", lsp_local_games_dir(peer), sharing->game);
	_cleanup_free_ char *job = lsp_text_format("share %s", sharing->game);
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_CREATE,
		.arguments = json_pack("{s:s, s:b, s:s, s:s}", "path", folder ? folder : "",
			"hybrid", 1, "job", job ? job : "", "name", sharing->game),
		.manifest = lsp_manifest_ref(sharing->manifest),
		.done = hybrid_made,
		.argument = sharing,
	};
	if (call.arguments && sharing->trackers)
		json_object_set(call.arguments, "trackers", sharing->trackers);
	return lsp_torrents_call(peer, &call, err);
}

/* ---- The command ---- */

static int check_trackers(json_t *trackers, struct lsp_error *err)
{
	static const char *const schemes[] = {"http://", "https://", "udp://"};
	json_t *tracker;
	size_t index;
	if (!json_is_array(trackers))
		return lsp_error_set(
			err, "torrent", LSP_E_INVALID, "\"trackers\" must be a list of addresses");
	json_array_foreach (trackers, index, tracker) {
		const char *url = json_string_value(tracker);
		bool fine = false;
		for (size_t i = 0; url && i < LSP_ARRAY_SIZE(schemes); i++)
			fine |= strncmp(url, schemes[i], strlen(schemes[i])) == 0;
		if (!fine)
			return lsp_error_set(err, "torrent", LSP_E_INVALID,
				"\"%.100s\" is no tracker: its address begins with http://, "
				"https:// or udp://",
				url ? url : "");
	}
	return 0;
}

static int sharing_new(struct lsp_peer *peer, struct lsp_call *call, struct lsp_share *share,
	struct sharing **ret_sharing, struct lsp_error *err)
{
	struct sharing *sharing = calloc(1, sizeof *sharing);
	if (!sharing)
		return lsp_error_no_memory(err, "peer");
	sharing->peer = peer;
	sharing->call = call;
	sharing->manifest = lsp_manifest_ref(lsp_share_manifest(share));
	json_t *trackers = lsp_call_json(call, "trackers");
	if (!trackers)
		trackers = lsp_torrent_games_trackers(peer, lsp_share_game(share));
	sharing->trackers = json_incref(trackers);
	snprintf(sharing->game, sizeof sharing->game, "%s", lsp_share_game(share));
	lsp_hash_to_hex(&sharing->manifest->content_id, sharing->id);
	sharing->path = lsp_torrent_files_path(peer, sharing->id);
	if (!sharing->path) {
		sharing_free(sharing);
		return lsp_error_no_memory(err, "peer");
	}
	*ret_sharing = sharing;
	return 0;
}

int lsp_command_share(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *game = lsp_call_text(call, "game");
	struct lsp_share *share = lsp_shares_find_game(peer->shares, game);
	json_t *trackers = lsp_call_json(call, "trackers");
	struct sharing *sharing = NULL;
	int r = trackers ? check_trackers(trackers, err) : 0;
	if (r < 0)
		return r;
	if (!share)
		return lsp_error_set(err, "torrent", LSP_E_NOT_FOUND,
			lsp_local_find(peer, game) ? "%s is not downloaded, or not hashed yet: try "
						     "again when it is"
						   : "%s is not downloaded here; `lanspread games` "
						     "tells what is",
			game);
	r = lsp_torrents_ensure(peer->torrents, err);
	if (r == 0)
		r = sharing_new(peer, call, share, &sharing, err);
	if (r < 0)
		return r;
	if (lsp_call_flag(call, "hybrid")) {
		r = make_hybrid(sharing, err);
	} else {
		sharing->job.work = write_torrent;
		sharing->job.done = torrent_written;
		r = lsp_pool_submit(peer->state_pool, peer->core, &sharing->job, err);
	}
	if (r < 0)
		sharing_free(sharing);
	return r;
}
