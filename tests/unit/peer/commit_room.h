/*
 * A download and its end, for several programs of tests: a real peer, and another one that the test
 * plays, which has the game and sees what it is told.
 *
 * The linker puts six functions of ours in between (meson.build): a step can be made to fail, to
 * wait, or to be counted.
 */
#pragma once

#include "other.h"

#include "content/hasher.h"
#include "library/library_private.h"
#include "peer/download.h"
#include "peer/download_job.h"
#include "peer/fetch.h"
#include "peer/handle.h"
#include "peer/local.h"
#include "peer/manifests.h"
#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/session_private.h"
#include "peer/torrent_games.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* ---- In between ---- */

static unsigned commits, commits_to_refuse, fetches_without_stage;
static bool torrents_leave_at_once;
static bool keep_manifest_request, library_is_silent;
static atomic_uint queries_given_up;
static pthread_mutex_t hash_lock = PTHREAD_MUTEX_INITIALIZER;   /* held: no folder is hashed */
static int hashes_refused_with;                                 /* 0: they are given */
static pthread_mutex_t source_lock = PTHREAD_MUTEX_INITIALIZER; /* held: sources wait for it */
static atomic_uint sources_asked, sources_to_refuse;

int __real_lsp_download_job_start(struct lsp_peer *peer, struct lsp_download *download,
	const struct lsp_download_task *task, struct lsp_cancel *token,
	struct lsp_download_job **ret_job, struct lsp_error *err);
int __wrap_lsp_download_job_start(struct lsp_peer *peer, struct lsp_download *download,
	const struct lsp_download_task *task, struct lsp_cancel *token,
	struct lsp_download_job **ret_job, struct lsp_error *err);
int __real_lsp_hasher_run(int dir_fd, const char *name, const struct lsp_hasher_options *options,
	struct lsp_cancel *token, struct lsp_hashed *ret_hashed, struct lsp_error *err);
int __wrap_lsp_hasher_run(int dir_fd, const char *name, const struct lsp_hasher_options *options,
	struct lsp_cancel *token, struct lsp_hashed *ret_hashed, struct lsp_error *err);
void __real_lsp_manifest_query_free(struct lsp_manifest_query *query);
void __wrap_lsp_manifest_query_free(struct lsp_manifest_query *query);
void __real_lsp_torrent_games_gone(struct lsp_peer *peer, const char *game);
void __wrap_lsp_torrent_games_gone(struct lsp_peer *peer, const char *game);
int __real_lsp_library_source(struct lsp_library *library, const char *id, unsigned max_open,
	struct lsp_source **ret_source, struct lsp_error *err);
int __wrap_lsp_library_source(struct lsp_library *library, const char *id, unsigned max_open,
	struct lsp_source **ret_source, struct lsp_error *err);
void __real_lsp_fetch_start(struct lsp_session *session, struct lsp_share *share,
	const struct lsp_swarm_action *action);
void __wrap_lsp_fetch_start(struct lsp_session *session, struct lsp_share *share,
	const struct lsp_swarm_action *action);

int __wrap_lsp_download_job_start(struct lsp_peer *peer, struct lsp_download *download,
	const struct lsp_download_task *task, struct lsp_cancel *token,
	struct lsp_download_job **ret_job, struct lsp_error *err)
{
	struct lsp_download_task its = *task;
	bool refuse = task->kind == LSP_DOWNLOAD_JOB_COMMIT && commits_to_refuse;
	commits += task->kind == LSP_DOWNLOAD_JOB_COMMIT;
	its.in_library = task->in_library && !library_is_silent;
	if (!refuse)
		return __real_lsp_download_job_start(peer, download, &its, token, ret_job, err);
	commits_to_refuse--;
	return lsp_error_set(err, "test", LSP_E_NO_MEMORY, "no room for another job");
}

int __wrap_lsp_hasher_run(int dir_fd, const char *name, const struct lsp_hasher_options *options,
	struct lsp_cancel *token, struct lsp_hashed *ret_hashed, struct lsp_error *err)
{
	pthread_mutex_lock(&hash_lock);
	pthread_mutex_unlock(&hash_lock);
	return __real_lsp_hasher_run(dir_fd, name, options, token, ret_hashed, err);
}

/* Of one that has ended by itself nobody has anything to give up. */
void __wrap_lsp_manifest_query_free(struct lsp_manifest_query *query)
{
	queries_given_up += query != NULL;
	__real_lsp_manifest_query_free(query);
}

/* As when the engine cannot be asked: there is nothing to wait for, and that is said at once. */
void __wrap_lsp_torrent_games_gone(struct lsp_peer *peer, const char *game)
{
	__real_lsp_torrent_games_gone(peer, game);
	if (torrents_leave_at_once)
		lsp_download_torrents_left(peer, game);
}

int __wrap_lsp_library_source(struct lsp_library *library, const char *id, unsigned max_open,
	struct lsp_source **ret_source, struct lsp_error *err)
{
	atomic_fetch_add(&sources_asked, 1);
	pthread_mutex_lock(&source_lock);
	pthread_mutex_unlock(&source_lock);
	if (atomic_load(&sources_to_refuse)) {
		atomic_fetch_sub(&sources_to_refuse, 1);
		return lsp_error_set(err, "test", LSP_E_IO, "no descriptor is left");
	}
	return __real_lsp_library_source(library, id, max_open, ret_source, err);
}

void __wrap_lsp_fetch_start(
	struct lsp_session *session, struct lsp_share *share, const struct lsp_swarm_action *action)
{
	fetches_without_stage += !lsp_share_stage(share);
	__real_lsp_fetch_start(session, share, action);
}

/* ---- The other one's game ---- */

#define GAME "quake"
#define TITLE "Quake, as they call it"
#define PAK_SIZE 1000000

static struct lsp_hashed theirs;
static char hex[LSP_SHA256_HEX_SIZE]; /* its content id */
static int their_folder = -1;

/* What it was told of ours. */
static enum lsp_game_state states[16];
static unsigned told, removed;

OTHER_FUNCTION int open_at(const char *folder, const char *path)
{
	_cleanup_free_ char *whole = lsp_text_format("%s/%s", folder, path);
	int fd = open(whole, O_RDONLY);
	assert_true(fd >= 0);
	return fd;
}

OTHER_FUNCTION void free_answer(void *argument)
{
	free(argument);
}

OTHER_FUNCTION void send_bytes(
	struct lsp_responder *responder, void *data, size_t size, uint64_t count)
{
	struct lsp_response response = {.type = LSP_RESPONSE_BYTES};
	response.bytes.length = size;
	response.bytes.count = count;
	lsp_responder_begin_bytes(responder, &response);
	(void)lsp_responder_bytes(responder, data, size, free_answer, data);
}

/* The bytes of a chunk as they shall be; their number. */
OTHER_FUNCTION size_t read_chunk(uint64_t index, uint8_t *data)
{
	struct lsp_chunk chunk;
	lsp_manifest_chunk(theirs.manifest, (uint32_t)index, &chunk);
	int fd = openat(their_folder, theirs.manifest->files[chunk.file].path, O_RDONLY);
	assert_int_equal(pread(fd, data, chunk.size, (off_t)chunk.offset), chunk.size);
	close(fd);
	return chunk.size;
}

OTHER_FUNCTION void send_chunks(
	struct lsp_responder *responder, const struct lsp_get_chunks *request)
{
	uint8_t *data = malloc(PAK_SIZE + 100);
	size_t size = 0;
	for (uint64_t i = 0; i < request->count; i++)
		size += read_chunk(request->first + i, data + size);
	send_bytes(responder, data, size, request->count);
}

/* Of a chunk whose bytes are here: that is all that is asked for. */
OTHER_FUNCTION void send_hashes(
	struct lsp_responder *responder, const struct lsp_get_hashes *request)
{
	uint8_t chunk[LSP_PIECE_LENGTH_MIN];
	size_t size = read_chunk(request->first, chunk), count = 0;
	if (hashes_refused_with) {
		struct lsp_error err = {0};
		lsp_error_set(&err, "test", hashes_refused_with, "no hashes here");
		lsp_responder_fail(responder, &err);
		return;
	}
	struct lsp_hash *hashes = calloc(sizeof chunk / LSP_LEAF_SIZE, sizeof *hashes);
	assert_int_equal(request->count, 1);
	for (size_t at = 0; at < size; at += LSP_LEAF_SIZE)
		lsp_sha256(&hashes[count++], chunk + at, LSP_MIN(size - at, (size_t)LSP_LEAF_SIZE));
	send_bytes(responder, hashes, count * sizeof *hashes, 0);
}

/* Leaves of one run. */
OTHER_FUNCTION void send_blocks(
	struct lsp_responder *responder, const struct lsp_get_blocks *request)
{
	const struct lsp_block_run *run = request->runs;
	uint8_t chunk[LSP_PIECE_LENGTH_MIN];
	size_t begin = run->first * LSP_LEAF_SIZE, size = read_chunk(run->chunk, chunk);
	assert_int_equal(request->run_count, 1);
	size = LSP_MIN(size - begin, (size_t)run->count * LSP_LEAF_SIZE);
	uint8_t *leaves = malloc(size);
	memcpy(leaves, chunk + begin, size);
	send_bytes(responder, leaves, size, 0);
}

OTHER_FUNCTION void send_manifest(struct lsp_responder *responder)
{
	struct lsp_buffer manifest = {0};
	assert_int_equal(lsp_manifest_serialize(theirs.manifest, &manifest, NULL), 0);
	send_bytes(responder, manifest.data, manifest.size, 0);
}

OTHER_FUNCTION bool serve_game(
	struct other *other, struct lsp_responder *responder, struct lsp_request *request)
{
	struct lsp_response haves = {.type = LSP_RESPONSE_HAVES};
	switch (request->type) {
	case LSP_REQUEST_GET_MANIFEST:
		if (keep_manifest_request)
			other->kept = responder;
		else
			send_manifest(responder);
		return true;
	case LSP_REQUEST_FOLLOW:
		haves.haves.content = theirs.manifest->content_id;
		haves.haves.all = true;
		lsp_responder_send(responder, &haves);
		return true;
	case LSP_REQUEST_GET_CHUNKS:
		send_chunks(responder, &request->get_chunks);
		return true;
	case LSP_REQUEST_GET_HASHES:
		send_hashes(responder, &request->get_hashes);
		return true;
	case LSP_REQUEST_GET_BLOCKS:
		send_blocks(responder, &request->get_blocks);
		return true;
	case LSP_REQUEST_LIBRARY_DELTA:
		removed += request->library_delta.removed.count > 0;
		for (size_t i = 0; i < request->library_delta.changed.count; i++)
			states[told++ % LSP_ARRAY_SIZE(states)] =
				request->library_delta.changed.items[i].state;
		return false;
	default:
		return false;
	}
}

OTHER_FUNCTION bool has_games(json_t *event, const void *argument)
{
	return json_array_size(json_object_get(event, "games")) > 0;
}

/* Two peers, of which the other has the game; as one that still fetches it, so that it is followed.
 */
OTHER_FUNCTION int begin(void **state)
{
	static struct lsp_game_summary game;
	assert_int_equal(other_set_up(state), 0);
	struct other *other = *state;
	commits = commits_to_refuse = fetches_without_stage = told = removed = 0;
	queries_given_up = 0;
	torrents_leave_at_once = keep_manifest_request = library_is_silent = false;
	hashes_refused_with = 0;
	atomic_store(&sources_asked, 0);
	atomic_store(&sources_to_refuse, 0);
	other_write(other, "../theirs/" GAME "/pak0.pak", PAK_SIZE);
	other_write_text(other, "../theirs/" GAME "/version.ini", "20240101\n");
	their_folder = open_at(other->folder, "theirs/" GAME);
	assert_int_equal(lsp_hasher_run(their_folder, GAME, &(struct lsp_hasher_options){0}, NULL,
				 &theirs, NULL),
		0);
	lsp_hash_to_hex(&theirs.manifest->content_id, hex);
	game = other_summary(GAME);
	game.state = LSP_GAME_PARTIAL;
	game.content = theirs.manifest->content_id;
	snprintf(game.title, sizeof game.title, TITLE);
	other->games = &game;
	other->game_count = 1;
	other->script = serve_game;
	other_start_peer(other);
	other_connect(other);
	json_decref(other_await(other, "remote_games_updated", has_games, NULL));
	return 0;
}

OTHER_FUNCTION int end(void **state)
{
	int r = other_tear_down(state);
	lsp_hashed_done(&theirs);
	close(their_folder);
	return r;
}

OTHER_FUNCTION void get(struct other *other)
{
	_cleanup_free_ char *command = lsp_text_format(
		"{\"command\":\"download_game_files\",\"game\":\"" GAME "\",\"variant\":\"%s\"}",
		hex);
	json_t *answer = other_ask(other, command);
	if (!json_is_true(json_object_get(answer, "ok")))
		fail_msg("%s", json_dumps(answer, 0));
	json_decref(answer);
}

OTHER_FUNCTION void expect_the_game(struct other *other)
{
	int fd = open_at(other->folder, "games/" GAME "/pak0.pak");
	uint8_t ours[4096], its[4096];
	int their_fd = openat(their_folder, "pak0.pak", O_RDONLY);
	ssize_t size;
	while ((size = read(fd, ours, sizeof ours)) > 0) {
		assert_int_equal(read(their_fd, its, sizeof its), size);
		assert_memory_equal(ours, its, (size_t)size);
	}
	assert_int_equal(read(their_fd, its, sizeof its), 0);
	close(fd);
	close(their_fd);
}

/* Until the files are in their places, and are to be shared from there. */
OTHER_FUNCTION void await_source(struct other *other)
{
	while (!atomic_load(&sources_asked)) {
		char *text = NULL;
		uv_run(&other->loop, UV_RUN_NOWAIT);
		if (lanspread_next_event(other->events, 5, &text, NULL) == 0)
			lanspread_free_text(text);
	}
}

/* ---- What the other one fetches from us ---- */

struct taking {
	size_t bytes;
	bool done;
	struct lsp_error error;
	uint8_t data[LSP_PIECE_LENGTH_MIN];
};

OTHER_FUNCTION void taken_bytes(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
	struct taking *taking = lsp_exchange_argument(exchange);
	assert_true(taking->bytes + size <= sizeof taking->data);
	memcpy(taking->data + taking->bytes, data, size);
	taking->bytes += size;
	lsp_exchange_consume(exchange, size);
}

OTHER_FUNCTION void taken(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct taking *taking = lsp_exchange_argument(exchange);
	taking->done = true;
	if (error)
		taking->error = *error;
}

/* The chunk comes, and is what it shall be. */
OTHER_FUNCTION void take_chunk(struct other *other, uint32_t index)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.bytes = taken_bytes, .done = taken};
	static struct taking taking;
	struct lsp_request request = {.type = LSP_REQUEST_GET_CHUNKS};
	struct lsp_exchange *exchange;
	uint8_t its[LSP_PIECE_LENGTH_MIN];
	taking = (struct taking){0};
	request.get_chunks.content = theirs.manifest->content_id;
	request.get_chunks.first = index;
	request.get_chunks.count = 1;
	assert_int_equal(lsp_exchange_start(other->side.connection, &request, &callbacks, &taking,
				 &exchange, NULL),
		0);
	RUN_UNTIL(&other->loop, taking.done);
	if (taking.error.code)
		fail_msg("%s", taking.error.message);
	assert_int_equal(taking.bytes, read_chunk(index, its));
	assert_memory_equal(taking.data, its, taking.bytes);
}

OTHER_FUNCTION bool told_ready(void)
{
	return told && states[(told - 1) % LSP_ARRAY_SIZE(states)] == LSP_GAME_READY;
}

OTHER_FUNCTION int on_the_loop(struct other *other, lsp_loop_function function)
{
	struct lsp_peer *peer = lsp_runtime_peer(lsp_handle_runtime(other->peer));
	return lsp_loop_call(peer->core, function, peer, NULL, LSP_TIME_NEVER, NULL);
}

/* As a disk does it: the times stay. */
OTHER_FUNCTION void write_pak(const char *games, off_t at, const void *bytes, size_t size)
{
	_cleanup_free_ char *path = lsp_text_format("%s/" GAME "/pak0.pak", games);
	struct stat before;
	int fd = open(path, O_WRONLY);
	assert_int_equal(fstat(fd, &before), 0);
	assert_int_equal(pwrite(fd, bytes, size, at), size);
	assert_int_equal(futimens(fd, (struct timespec[]){before.st_atim, before.st_mtim}), 0);
	close(fd);
}
