/*
 * The end of a download, from the last chunk to a game that is shared from its folder: a real peer,
 * and another one that the test plays, which has the game and sees what it is told.
 *
 * The linker puts six functions of ours in between (meson.build): a step can be made to fail, to
 * wait, or to be counted.
 */
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
static pthread_mutex_t hash_lock = PTHREAD_MUTEX_INITIALIZER; /* held: no folder is hashed */
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

static int open_at(const char *folder, const char *path)
{
	_cleanup_free_ char *whole = lsp_text_format("%s/%s", folder, path);
	int fd = open(whole, O_RDONLY);
	assert_true(fd >= 0);
	return fd;
}

static void free_answer(void *argument)
{
	free(argument);
}

static void send_bytes(struct lsp_responder *responder, void *data, size_t size, uint64_t count)
{
	struct lsp_response response = {.type = LSP_RESPONSE_BYTES};
	response.bytes.length = size;
	response.bytes.count = count;
	lsp_responder_begin_bytes(responder, &response);
	(void)lsp_responder_bytes(responder, data, size, free_answer, data);
}

/* The bytes of a chunk as they shall be; their number. */
static size_t read_chunk(uint64_t index, uint8_t *data)
{
	struct lsp_chunk chunk;
	lsp_manifest_chunk(theirs.manifest, (uint32_t)index, &chunk);
	int fd = openat(their_folder, theirs.manifest->files[chunk.file].path, O_RDONLY);
	assert_int_equal(pread(fd, data, chunk.size, (off_t)chunk.offset), chunk.size);
	close(fd);
	return chunk.size;
}

static void send_chunks(struct lsp_responder *responder, const struct lsp_get_chunks *request)
{
	uint8_t *data = malloc(PAK_SIZE + 100);
	size_t size = 0;
	for (uint64_t i = 0; i < request->count; i++)
		size += read_chunk(request->first + i, data + size);
	send_bytes(responder, data, size, request->count);
}

/* Of a chunk whose bytes are here: that is all that is asked for. */
static void send_hashes(struct lsp_responder *responder, const struct lsp_get_hashes *request)
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
static void send_blocks(struct lsp_responder *responder, const struct lsp_get_blocks *request)
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

static void send_manifest(struct lsp_responder *responder)
{
	struct lsp_buffer manifest = {0};
	assert_int_equal(lsp_manifest_serialize(theirs.manifest, &manifest, NULL), 0);
	send_bytes(responder, manifest.data, manifest.size, 0);
}

static bool serve_game(
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

static bool has_games(json_t *event, const void *argument)
{
	return json_array_size(json_object_get(event, "games")) > 0;
}

/* Two peers, of which the other has the game; as one that still fetches it, so that it is followed.
 */
static int begin(void **state)
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

static int end(void **state)
{
	int r = other_tear_down(state);
	lsp_hashed_done(&theirs);
	close(their_folder);
	return r;
}

static void get(struct other *other)
{
	_cleanup_free_ char *command = lsp_text_format(
		"{\"command\":\"download_game_files\",\"game\":\"" GAME "\",\"variant\":\"%s\"}",
		hex);
	json_t *answer = other_ask(other, command);
	if (!json_is_true(json_object_get(answer, "ok")))
		fail_msg("%s", json_dumps(answer, 0));
	json_decref(answer);
}

static void expect_the_game(struct other *other)
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
static void await_source(struct other *other)
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

static void taken_bytes(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
	struct taking *taking = lsp_exchange_argument(exchange);
	assert_true(taking->bytes + size <= sizeof taking->data);
	memcpy(taking->data + taking->bytes, data, size);
	taking->bytes += size;
	lsp_exchange_consume(exchange, size);
}

static void taken(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct taking *taking = lsp_exchange_argument(exchange);
	taking->done = true;
	if (error)
		taking->error = *error;
}

/* The chunk comes, and is what it shall be. */
static void take_chunk(struct other *other, uint32_t index)
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

/* ---- The tests ---- */

static bool told_ready(void)
{
	return told && states[(told - 1) % LSP_ARRAY_SIZE(states)] == LSP_GAME_READY;
}

/* From partial to whole in one word; who fetches from us is served all along. */
static void a_game_that_is_whole_is_not_withdrawn_first(void **state)
{
	struct other *other = *state;
	pthread_mutex_lock(&source_lock);
	get(other);
	await_source(other);
	RUN_UNTIL(&other->loop, told);
	for (uint32_t i = 0; i < theirs.manifest->chunk_count; i++)
		take_chunk(other, i); /* the files are in their places, and not shared from there */
	pthread_mutex_unlock(&source_lock);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	for (uint32_t i = 0; i < theirs.manifest->chunk_count; i++)
		take_chunk(other, i);
	for (unsigned i = 0; i + 1 < told; i++) /* once more where its title is told on the way */
		assert_int_equal(states[i], LSP_GAME_PARTIAL);
	assert_in_range(told, 2, LSP_ARRAY_SIZE(states));
	assert_int_equal(removed, 0);
	assert_int_equal(other->asked[LSP_REQUEST_WITHDRAW], 0);
	assert_int_equal(other->asked[LSP_REQUEST_FOLLOW], 1);
	expect_the_game(other);
}

/* The first chunk is not here any more, as when it was found damaged. */
static int lose_a_chunk(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	lsp_swarm_game_lost(peer->swarm, lsp_share_swarm_game(share), 0, 1);
	lsp_peer_kick(peer);
	return 0;
}

static int state_in_swarm(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	struct lsp_swarm_game_status status = {0};
	assert_int_equal(
		lsp_swarm_game_status(peer->swarm, lsp_share_swarm_game(share), &status), 0);
	return (int)status.state;
}

static int is_held(void *argument, struct lsp_error *err)
{
	return lsp_library_is_held(lsp_local_library(argument), GAME);
}

static int on_the_loop(struct other *other, lsp_loop_function function)
{
	struct lsp_peer *peer = lsp_runtime_peer(lsp_handle_runtime(other->peer));
	return lsp_loop_call(peer->core, function, peer, NULL, LSP_TIME_NEVER, NULL);
}

static void what_is_lost_after_a_download_is_fetched_when_it_is_asked_for(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	assert_int_equal(on_the_loop(other, lose_a_chunk), 0);
	RUN_UNTIL(&other->loop, other->asked[LSP_REQUEST_WITHDRAW]);
	assert_int_equal(on_the_loop(other, state_in_swarm), LSP_SWARM_IDLE);
	assert_int_equal(fetches_without_stage, 0);
	get(other);
	other_expect(other, "download_finished");
	assert_int_equal(on_the_loop(other, state_in_swarm), LSP_SWARM_COMPLETE);
	assert_int_equal(fetches_without_stage, 0);
	expect_the_game(other);
}

static void a_commit_that_cannot_start_says_so_and_can_be_tried_again(void **state)
{
	struct other *other = *state;
	commits_to_refuse = 1;
	get(other);
	json_t *failed = other_await(other, "download_failed", NULL, NULL);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(failed, "error"), "message")),
		"no room for another job");
	json_decref(failed);
	assert_false(on_the_loop(other, is_held));
	unsigned asked = other->asked[LSP_REQUEST_GET_CHUNKS];
	get(other);
	other_expect(other, "download_finished");
	assert_int_equal(other->asked[LSP_REQUEST_GET_CHUNKS], asked);
	assert_int_equal(commits, 2);
	expect_the_game(other);
}

static void a_title_is_kept_when_nobody_is_there_who_gave_it(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	other_disconnect(other);
	other_stop_peer(other);
	other_start_peer(other);
	json_t *answer = other_ask(other, "{\"command\":\"list_games\"}");
	const json_t *games = json_object_get(json_object_get(answer, "result"), "games"), *game;
	const char *title = NULL;
	size_t index;
	json_array_foreach (games, index, game)
		if (strcmp(json_string_value(json_object_get(game, "id")), GAME) == 0)
			title = json_string_value(json_object_get(game, "title"));
	assert_string_equal(title, TITLE);
	json_decref(answer);
}

static void a_commit_begins_once_though_the_torrents_leave_at_once(void **state)
{
	struct other *other = *state;
	torrents_leave_at_once = true;
	get(other);
	other_expect(other, "download_finished");
	json_decref(other_ask(other, "{\"command\":\"status\"}"));
	assert_int_equal(commits, 1);
	expect_the_game(other);
}

/* As a disk does it: the times stay. */
static void write_pak(const char *games, off_t at, const void *bytes, size_t size)
{
	_cleanup_free_ char *path = lsp_text_format("%s/" GAME "/pak0.pak", games);
	struct stat before;
	int fd = open(path, O_WRONLY);
	assert_int_equal(fstat(fd, &before), 0);
	assert_int_equal(pwrite(fd, bytes, size, at), size);
	assert_int_equal(futimens(fd, (struct timespec[]){before.st_atim, before.st_mtim}), 0);
	close(fd);
}

/* The library is held, or it may look in between. */
static int damage_a_leaf(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	assert_int_equal(lsp_local_hold(peer, GAME, err), 0);
	write_pak(lsp_local_games_dir(peer), 200000, "fell over", 9);
	lsp_local_release(peer, GAME, NULL, NULL, NULL);
	return 0;
}

static int is_going_on_after_a_tick(void *argument, struct lsp_error *err)
{
	lsp_download_tick(argument);
	return lsp_download_find(argument, GAME) != NULL;
}

/* One that is here is asked for again; its manifest is asked for, and nobody gives it. */
static void get_again(struct other *other)
{
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	keep_manifest_request = library_is_silent = true;
	get(other);
	RUN_UNTIL(&other->loop, other->kept);
}

/* The library still believes what it has read once: who asks again wants it looked at. */
static void a_game_that_is_asked_for_again_is_looked_at_however_long_its_manifest_takes(
	void **state)
{
	struct other *other = *state;
	get_again(other);
	assert_true(on_the_loop(other, is_going_on_after_a_tick));
	assert_int_equal(on_the_loop(other, damage_a_leaf), 0);
	send_manifest(TAKE_PTR(other->kept));
	other_expect(other, "download_finished");
	expect_the_game(other);
}

/* What the library believes at the next start is what it believed before. */
static void a_game_that_fell_over_is_mended_though_a_restart_comes_in_between(void **state)
{
	struct other *other = *state;
	_cleanup_free_ char *games = lsp_text_format("%s/games", other->folder);
	get_again(other);
	other_disconnect(other);
	other_stop_peer(other);
	library_is_silent = false;
	write_pak(games, 200000, "fell over", 9); /* now: it would be seen before, sometimes */
	other_start_peer(other);
	assert_true(on_the_loop(other, is_going_on_after_a_tick));
	other_connect(other); /* its manifest need not be given again, and is not */
	other_expect(other, "download_finished");
	expect_the_game(other);
}

/* The same where the folder is hashed only after the start: again nobody need give its manifest. */
static void one_that_proves_whole_after_a_restart_waits_for_nobody(void **state)
{
	struct other *other = *state;
	_cleanup_free_ char *index = lsp_text_format("%s/state/library.db", other->folder);
	get_again(other);
	other_disconnect(other);
	other_stop_peer(other);
	library_is_silent = false;
	assert_int_equal(unlink(index), 0);
	other_start_peer(other);
	other_expect(other, "download_finished");
	expect_the_game(other);
}

static void one_that_is_here_needs_nobody_to_give_its_manifest(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	assert_int_equal(on_the_loop(other, damage_a_leaf), 0);
	get(other);
	other_expect(other, "download_finished");
	assert_int_equal(other->asked[LSP_REQUEST_GET_MANIFEST], 1);
	expect_the_game(other);
}

static bool is_hashing(json_t *event, const void *argument)
{
	json_t *game = json_array_get(json_object_get(event, "games"), 0);
	const char *its = json_string_value(json_object_get(game, "operation"));
	return its && strcmp(its, "hashing") == 0;
}

/* The library did not know it when it was asked for, and knows it while he keeps its manifest. */
static void who_keeps_a_manifest_is_not_waited_for_once_the_library_knows_it(void **state)
{
	struct other *other = *state;
	_cleanup_free_ char *index = lsp_text_format("%s/state/library.db", other->folder);
	get(other);
	other_expect(other, "download_finished");
	other_disconnect(other);
	other_stop_peer(other);
	assert_int_equal(unlink(index), 0);
	pthread_mutex_lock(&hash_lock);
	other_start_peer(other);
	json_decref(other_await(other, "local_games_updated", is_hashing, NULL));
	other_connect(other);
	json_decref(other_await(other, "remote_games_updated", has_games, NULL));
	keep_manifest_request = true;
	get(other);
	RUN_UNTIL(&other->loop, other->kept);
	assert_int_equal(queries_given_up, 0);
	pthread_mutex_unlock(&hash_lock);
	other_expect(other, "download_finished");
	assert_int_equal(queries_given_up, 1); /* and not, in its time, ended */
	expect_the_game(other);
}

static void who_answers_no_hashes_is_asked_for_the_whole_chunk(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	assert_int_equal(on_the_loop(other, damage_a_leaf), 0);
	hashes_refused_with = LSP_E_UNSUPPORTED;
	unsigned chunks = other->asked[LSP_REQUEST_GET_CHUNKS];
	get(other);
	other_expect(other, "download_finished");
	assert_int_equal(other->asked[LSP_REQUEST_GET_HASHES], 1);
	assert_int_equal(other->asked[LSP_REQUEST_GET_CHUNKS], chunks + 1);
	/* What proved damaged on the way was not ours to give any more. */
	RUN_UNTIL(&other->loop, other->asked[LSP_REQUEST_WITHDRAW]);
	expect_the_game(other);
}

static int bytes_for_the_swarm(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	struct lsp_swarm_game_status status = {0};
	assert_int_equal(
		lsp_swarm_game_status(peer->swarm, lsp_share_swarm_game(share), &status), 0);
	assert_int_equal(status.bytes_wasted, 0);
	return (int)status.bytes_received;
}

/* The swarm keeps the download limits, and takes who gives nothing for stalled. */
static void what_comes_leaf_by_leaf_counts_for_the_swarm_too(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	int whole = on_the_loop(other, bytes_for_the_swarm);
	assert_int_equal(on_the_loop(other, damage_a_leaf), 0);
	get(other);
	other_expect(other, "download_finished");
	assert_int_equal(other->asked[LSP_REQUEST_GET_BLOCKS], 1);
	assert_int_equal(on_the_loop(other, bytes_for_the_swarm) - whole,
		LSP_LEAF_SIZE + LSP_PIECE_LENGTH_MIN / LSP_LEAF_SIZE * LSP_SHA256_SIZE);
	expect_the_game(other);
}

/* Nothing is written where it was: that would be another disk. */
static void a_games_folder_that_is_gone_is_not_made_anew(void **state)
{
	struct other *other = *state;
	_cleanup_free_ char *games = lsp_text_format("%s/games", other->folder);
	_cleanup_free_ char *away = lsp_text_format("%s/away", other->folder);
	for (int mount_point = 0; mount_point < 2; mount_point++) {
		assert_int_equal(rename(games, away), 0);
		if (mount_point)
			assert_int_equal(mkdir(games, 0755), 0);
		get(other);
		json_t *failed = other_await(other, "download_failed", NULL, NULL);
		assert_non_null(strstr(json_string_value(json_object_get(
					       json_object_get(failed, "error"), "message")),
			"is gone"));
		json_decref(failed);
		assert_int_equal(rmdir(games), mount_point ? 0 : -1);
		assert_int_equal(rename(away, games), 0);
	}
	get(other);
	other_expect(other, "download_finished");
	expect_the_game(other);
}

/* Somebody cleans up below a peer that runs: rm -r games/.lanspread. */
static void a_games_folder_whose_own_files_are_removed_is_still_there(void **state)
{
	struct other *other = *state;
	int games = open_at(other->folder, "games");
	assert_int_equal(lsp_fs_remove_tree_below(games, ".lanspread", NULL), 0);
	get(other);
	other_expect(other, "download_finished");
	expect_the_game(other);
	close(games);
}

static int is_served(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	return share && lsp_share_has_source(share);
}

static int an_hour_later(void *argument, struct lsp_error *err)
{
	lsp_local_tick(argument, lsp_peer_now(argument) + 3600 * LSP_SECOND);
	return 0;
}

static void a_game_whose_files_could_not_be_opened_is_served_later(void **state)
{
	struct other *other = *state;
	atomic_store(&sources_to_refuse, 1);
	get(other);
	other_expect(other, "download_finished");
	assert_false(on_the_loop(other, is_served));
	assert_int_equal(on_the_loop(other, an_hour_later), 0);
	RUN_UNTIL(&other->loop, on_the_loop(other, is_served) && told_ready());
	for (uint32_t i = 0; i < theirs.manifest->chunk_count; i++)
		take_chunk(other, i);
}

/* A chunk is withdrawn for what the disk gave once; the next time it reads as it shall. */
static int read_wrongly_once(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	uint32_t first = lsp_manifest_find(theirs.manifest, "pak0.pak")->first_chunk;
	struct lsp_bitmap wrong = {0};
	uint8_t chunk[LSP_PIECE_LENGTH_MIN];
	assert_int_equal(lsp_bitmap_init(&wrong, theirs.manifest->chunk_count, NULL), 0);
	read_chunk(first, chunk);
	write_pak(lsp_local_games_dir(peer), 0, "fell over", 9);
	assert_int_equal(lsp_source_recheck(lsp_share_source(share), first, NULL, &wrong, NULL), 0);
	assert_int_equal(wrong.set, 1);
	lsp_bitmap_done(&wrong);
	write_pak(lsp_local_games_dir(peer), 0, chunk, 9);
	lsp_swarm_game_lost(peer->swarm, lsp_share_swarm_game(share), first, 1);
	lsp_local_recheck(peer, GAME, NULL, NULL);
	return 0;
}

static int is_whole(void *argument, struct lsp_error *err)
{
	uint32_t first = lsp_manifest_find(theirs.manifest, "pak0.pak")->first_chunk;
	struct lsp_peer *peer = argument;
	struct lsp_share *share = lsp_shares_find(peer->shares, &theirs.manifest->content_id);
	return share && lsp_share_has_source(share) &&
	       lsp_source_has(lsp_share_source(share), first);
}

static void what_was_withdrawn_and_proves_right_is_served_again(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	assert_true(on_the_loop(other, is_whole));
	assert_int_equal(on_the_loop(other, read_wrongly_once), 0);
	RUN_UNTIL(&other->loop, on_the_loop(other, is_whole));
	for (uint32_t i = 0; i < theirs.manifest->chunk_count; i++)
		take_chunk(other, i);
}

static int gives_leaves(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	assert_non_null(peer->sessions);
	return lsp_session_gives_leaves(peer->sessions);
}

static int after_the_pause(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	lsp_time until = peer->sessions->leaves_from;
	assert_true(until > lsp_peer_now(peer) && until <= lsp_peer_now(peer) + 10 * LSP_SECOND);
	peer->sessions->leaves_from = 0; /* as if it had passed */
	return lsp_session_gives_leaves(peer->sessions);
}

/* A disk that failed once says nothing about the next request. */
static void who_fails_to_give_hashes_is_asked_for_them_again_later(void **state)
{
	struct other *other = *state;
	get(other);
	other_expect(other, "download_finished");
	RUN_UNTIL(&other->loop, told_ready());
	for (int i = 0; i < 2; i++) {
		assert_int_equal(on_the_loop(other, damage_a_leaf), 0);
		hashes_refused_with = i == 0 ? LSP_E_IO : LSP_E_UNSUPPORTED;
		get(other);
		other_expect(other, "download_finished");
		assert_int_equal(other->asked[LSP_REQUEST_GET_HASHES], i + 1);
		assert_false(on_the_loop(other, gives_leaves));
		if (i == 0)
			assert_true(on_the_loop(other, after_the_pause));
		expect_the_game(other);
	}
	assert_false(on_the_loop(other, gives_leaves));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(a_game_that_is_whole_is_not_withdrawn_first),
		TEST(what_is_lost_after_a_download_is_fetched_when_it_is_asked_for),
		TEST(a_commit_that_cannot_start_says_so_and_can_be_tried_again),
		TEST(a_game_that_is_asked_for_again_is_looked_at_however_long_its_manifest_takes),
		TEST(a_game_that_fell_over_is_mended_though_a_restart_comes_in_between),
		TEST(one_that_proves_whole_after_a_restart_waits_for_nobody),
		TEST(one_that_is_here_needs_nobody_to_give_its_manifest),
		TEST(who_keeps_a_manifest_is_not_waited_for_once_the_library_knows_it),
		TEST(who_answers_no_hashes_is_asked_for_the_whole_chunk),
		TEST(who_fails_to_give_hashes_is_asked_for_them_again_later),
		TEST(what_comes_leaf_by_leaf_counts_for_the_swarm_too),
		TEST(a_games_folder_that_is_gone_is_not_made_anew),
		TEST(a_games_folder_whose_own_files_are_removed_is_still_there),
		TEST(a_game_whose_files_could_not_be_opened_is_served_later),
		TEST(what_was_withdrawn_and_proves_right_is_served_again),
		TEST(a_title_is_kept_when_nobody_is_there_who_gave_it),
		TEST(a_commit_begins_once_though_the_torrents_leave_at_once),
	};
	return cmocka_run_group_tests_name("peer/commit", tests, NULL, NULL);
}
