/* Adding a torrent: its file is read from the disk, or comes with the command, or is a link. */
#include "base/fs.h"
#include "base/text.h"
#include "peer/commands.h"
#include "peer/peer.h"
#include "peer/torrent_add.h"
#include "peer/torrent_commands.h"
#include "peer/torrent_outside.h"
#include "peer/torrent_wish.h"
#include "peer/torrents.h"
#include "wire/base64.h"
#include "wire/json.h"
#include "wire/metainfo.h"
#include "wire/path.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A torrent file on its way from the disk. */
struct reading {
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_call *call;
	char *path;
	struct lsp_buffer bytes;
};

static void reading_free(struct reading *reading)
{
	lsp_buffer_done(&reading->bytes);
	free(reading->path);
	free(reading);
}

/* $XDG_DOWNLOAD_DIR, else ~/Downloads. */
static char *download_folder(void)
{
	const char *told = getenv("XDG_DOWNLOAD_DIR"), *home = getenv("HOME");
	if (told && told[0] == '/')
		return strdup(told);
	return lsp_text_format("%s/Downloads", home && *home ? home : "/root");
}

static int set_save_path(struct lsp_peer *peer, json_t *arguments, struct lsp_error *err)
{
	const char *given = json_string_value(json_object_get(arguments, "save_path"));
	_cleanup_free_ char *path = given ? strdup(given) : download_folder();
	if (!path)
		return lsp_error_no_memory(err, "peer");
	if (path[0] != '/')
		return lsp_error_set(
			err, "torrent", LSP_E_INVALID, "\"%.300s\" is not an absolute path", path);
	json_object_set_new(arguments, "save_path", json_string(path));
	return 0;
}

/* Takes the bytes over (NULL: a magnet). */
static int add_plain(struct lsp_peer *peer, struct lsp_call *call, const char *magnet,
	struct lsp_buffer *bytes, struct lsp_error *err)
{
	struct lsp_torrent_call through = {
		.command = LSP_TORRENT_ADD, .done = lsp_torrent_command_answered, .argument = call};
	json_t *arguments = lsp_torrent_command_arguments(call);
	static const char *const ours[] = {"source", "metainfo", "as_game"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(ours); i++)
		json_object_del(arguments, ours[i]);
	int r = set_save_path(peer, arguments, err);
	if (r < 0) {
		json_decref(arguments);
		return r;
	}
	if (magnet)
		json_object_set_new(arguments, "magnet", json_string(magnet));
	if (!json_object_get(arguments, "peers"))
		json_object_set_new(arguments, "lan_peers", lsp_torrents_lan_peers(peer));
	through.arguments = arguments;
	if (bytes) {
		through.metainfo = *bytes;
		*bytes = (struct lsp_buffer){0};
	}
	struct lsp_torrent_place place = {
		.path = json_string_value(json_object_get(arguments, "save_path"))};
	return lsp_torrent_call_outside(
		peer, call, &place, NULL, lsp_torrent_into_games, &through, err);
}

/* Takes the bytes over (NULL: a magnet). */
static int add_as_game(struct lsp_peer *peer, struct lsp_call *call, const char *magnet,
	struct lsp_buffer *bytes, struct lsp_error *err)
{
	_cleanup_json_ json_t *options = NULL;
	const char *game = lsp_call_text(call, "game");
	int r = lsp_torrent_wish_check(lsp_call_document(call), &options, err);
	if (r < 0)
		return r;
	return magnet ? lsp_torrent_add_magnet(peer, call, game, magnet, options, err)
		      : lsp_torrent_add_game(peer, call, game, bytes, options, err);
}

static int add_bytes(struct lsp_peer *peer, struct lsp_call *call, struct lsp_buffer *bytes,
	struct lsp_error *err)
{
	if (bytes->size == 0)
		return lsp_error_set(
			err, "torrent", LSP_E_PROTOCOL, "this is no torrent: the file is empty");
	if (lsp_call_flag(call, "as_game"))
		return add_as_game(peer, call, NULL, bytes, err);
	return add_plain(peer, call, NULL, bytes, err);
}

static void read_file(struct lsp_job *job)
{
	struct reading *reading = lsp_container_of(job, struct reading, job);
	job->result =
		lsp_fs_read_file(reading->path, LSP_METAINFO_MAX, &reading->bytes, &job->error);
}

static void file_read(struct lsp_job *job)
{
	struct reading *reading = lsp_container_of(job, struct reading, job);
	if (reading->peer->stopping) {
		reading_free(reading);
		return;
	}
	int r = job->result;
	if (r == 0)
		r = add_bytes(reading->peer, reading->call, &reading->bytes, &job->error);
	if (r < 0)
		lsp_call_fail(reading->call, &job->error);
	reading_free(reading);
}

static int add_file(
	struct lsp_peer *peer, struct lsp_call *call, const char *path, struct lsp_error *err)
{
	if (strncasecmp(path, "http", 4) == 0 && strstr(path, "://"))
		return lsp_error_set(err, "torrent", LSP_E_UNSUPPORTED,
			"torrents are not fetched from the web: download \"%.300s\" first, and add "
			"the file",
			path);
	if (path[0] != '/')
		return lsp_error_set(err, "torrent", LSP_E_INVALID,
			"\"%.300s\" is neither a magnet link nor the absolute path of a file",
			path);
	struct reading *reading = calloc(1, sizeof *reading);
	if (!reading || !(reading->path = strdup(path))) {
		free(reading);
		return lsp_error_no_memory(err, "peer");
	}
	reading->peer = peer;
	reading->call = call;
	reading->job.work = read_file;
	reading->job.done = file_read;
	int r = lsp_pool_submit(peer->disk, peer->core, &reading->job, err);
	if (r < 0)
		reading_free(reading);
	return r;
}

/* As the page sends a file. */
static int add_text(
	struct lsp_peer *peer, struct lsp_call *call, const char *text, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	size_t size = strlen(text), padding = 0;
	while (padding < 2 && padding < size && text[size - 1 - padding] == '=')
		padding++;
	size_t decoded = size / 4 * 3 - padding;
	int r = size % 4 == 0 && size ? lsp_buffer_reserve(&bytes, decoded, err)
				      : lsp_error_set(err, "torrent", LSP_E_INVALID,
						"\"metainfo\" must be a torrent file in base64");
	if (r == 0)
		r = lsp_base64_decode(text, size, bytes.data, decoded, err);
	if (r < 0)
		return r;
	bytes.size = decoded;
	return add_bytes(peer, call, &bytes, err);
}

int lsp_command_torrent_add(struct lsp_peer *peer, struct lsp_call *call, struct lsp_error *err)
{
	const char *source = lsp_call_text(call, "source");
	const char *metainfo = lsp_call_text(call, "metainfo");
	const char *game = lsp_call_text(call, "game");
	if (!source == !metainfo)
		return lsp_error_set(err, "torrent", LSP_E_INVALID,
			"a torrent is added by a magnet link, a path or its bytes: give one of "
			"them");
	if (game && lsp_game_id_check(game, strlen(game), err) < 0)
		return -err->code;
	if (metainfo)
		return add_text(peer, call, metainfo, err);
	if (strncasecmp(source, "magnet:", 7) != 0)
		return add_file(peer, call, source, err);
	if (lsp_call_flag(call, "as_game"))
		return add_as_game(peer, call, source, NULL, err);
	return add_plain(peer, call, source, NULL, err);
}
