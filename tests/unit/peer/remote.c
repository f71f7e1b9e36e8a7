/* A peer against another one that forgets, lies, or never answers. */
#include "other.h"

#include "peer/handle.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/runtime.h"
#include "peer/session_private.h"
#include "task/loop.h"

#include <stdatomic.h>

/* The linker puts it in between (meson.build): what was given back to the limits. */
static _Atomic uint64_t given_back;

void __real_lsp_swarm_game_unused(struct lsp_swarm *swarm, lsp_swarm_id game, uint64_t bytes);
void __wrap_lsp_swarm_game_unused(struct lsp_swarm *swarm, lsp_swarm_id game, uint64_t bytes);

void __wrap_lsp_swarm_game_unused(struct lsp_swarm *swarm, lsp_swarm_id game, uint64_t bytes)
{
	atomic_fetch_add(&given_back, bytes);
	__real_lsp_swarm_game_unused(swarm, game, bytes);
}

/* ---- Lists --------------------------------------------------------------------------------- */

static void delta(struct other *other, uint64_t base, uint64_t revision,
	struct lsp_game_summary *changed, size_t count, const char *removed)
{
	char *items[] = {(char *)(uintptr_t)removed};
	struct lsp_request request = {.type = LSP_REQUEST_LIBRARY_DELTA};
	request.library_delta.base = base;
	request.library_delta.revision = revision;
	request.library_delta.changed = (struct lsp_game_list){changed, count};
	request.library_delta.removed = (struct lsp_text_list){items, removed ? 1 : 0};
	other_tell(other, &request);
}

static bool has_removed(json_t *event, const void *argument)
{
	return json_array_size(json_object_get(event, "removed")) > 0;
}

static bool has_games(json_t *event, const void *argument)
{
	return json_array_size(json_object_get(event, "games")) > 0;
}

/* What only one peer had is gone when that peer lists anew without it. */
static void test_relisted_without(void **state)
{
	struct other *other = *state;
	struct lsp_game_summary game = other_summary("only-there");
	other->games = &game;
	other->game_count = 1;
	other_start_peer(other);
	other_connect(other);
	json_decref(other_await(other, "remote_games_updated", has_games, NULL));
	other->game_count = 0;
	other->revision = 7;
	delta(other, 6, 7, NULL, 0, NULL); /* does not fit: it lists again */
	json_decref(other_await(other, "remote_games_updated", has_removed, NULL));
}

static bool is_whole(json_t *event, const void *argument)
{
	return json_array_size(json_object_get(event, "games")) == 3;
}

/* An event tells of the games that changed, not of all that there are. */
static void test_event_of_one_game(void **state)
{
	struct other *other = *state;
	struct lsp_game_summary games[] = {
		other_summary("one"), other_summary("three"), other_summary("two")};
	other->games = games;
	other->game_count = 3;
	other_start_peer(other);
	other_connect(other);
	json_decref(other_await(other, "remote_games_updated", is_whole, NULL));
	games[1].size = 4711;
	delta(other, 1, 2, &games[1], 1, NULL);
	json_t *event = other_await(other, "remote_games_updated", NULL, NULL);
	json_t *changed = json_object_get(event, "games");
	assert_int_equal(json_array_size(changed), 1);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(changed, 0), "id")), "three");
	json_decref(event);
}

/* ---- Commands that are open when the peer stops ---------------------------------------------- */

static bool keep_manifest(
	struct other *other, struct lsp_responder *responder, struct lsp_request *request)
{
	if (request->type != LSP_REQUEST_GET_MANIFEST)
		return false;
	other->kept = responder;
	return true;
}

/* A command whose answer hangs on a peer that does not give it is answered when we stop. */
static void test_stop_with_open_command(void **state)
{
	struct other *other = *state;
	struct lsp_game_summary game = other_summary("slow");
	other->games = &game;
	other->game_count = 1;
	other->script = keep_manifest;
	other_start_peer(other);
	other_connect(other);
	json_decref(other_await(other, "remote_games_updated", has_games, NULL));
	uint64_t number = other_send(other, "{\"command\":\"get_game\",\"game\":\"slow\"}");
	RUN_UNTIL(&other->loop, other->kept);
	lanspread_shutdown(other->peer);
	json_t *answer = other_await(other, "answer", other_is_answer, &number);
	assert_true(json_is_false(json_object_get(answer, "ok")));
	json_decref(answer);
	other_stop_peer(other);
}

/* ---- Claims ---------------------------------------------------------------------------------- */

static bool is_ready(json_t *event, const void *argument)
{
	json_t *game = json_array_get(json_object_get(event, "games"), 0);
	return json_string_length(json_object_get(game, "content")) > 0;
}

/* A game on the peer's disk, hashed; its content id. */
static struct lsp_hash put_game(struct other *other, const char *id, size_t size)
{
	struct lsp_hash content;
	_cleanup_free_ char *pack = lsp_text_format("%s/pak0.pak", id);
	_cleanup_free_ char *version = lsp_text_format("%s/version.ini", id);
	other_write(other, pack, size);
	other_write_text(other, version, "20240101\n");
	other_start_peer(other);
	json_t *event = other_await(other, "local_games_updated", is_ready, NULL);
	json_t *game = json_array_get(json_object_get(event, "games"), 0);
	const char *hex = json_string_value(json_object_get(game, "content"));
	assert_int_equal(lsp_hash_from_hex(hex, &content, NULL), 0);
	json_decref(event);
	return content;
}

/* How many events of that name come before the answer to a command sent now. */
static unsigned count_events(struct other *other, const char *name)
{
	uint64_t number = other_send(other, "{\"command\":\"identity\"}");
	unsigned count = 0;
	for (;;) {
		char *text;
		assert_int_equal(lanspread_next_event(other->events, 20000, &text, NULL), 0);
		json_t *event = json_loads(text, 0, NULL);
		lanspread_free_text(text);
		const char *its = json_string_value(json_object_get(event, "event"));
		bool last = strcmp(its, "answer") == 0 && other_is_answer(event, &number);
		count += strcmp(its, name) == 0;
		json_decref(event);
		if (last)
			return count;
	}
}

/* Who says over and over that our bytes are wrong costs us one look. */
static void test_crying_wolf(void **state)
{
	struct other *other = *state;
	struct lsp_request request = {.type = LSP_REQUEST_CHUNK_REJECTED};
	request.chunk_rejected.content = put_game(other, "quake", 3000000);
	other_connect(other);
	for (int i = 0; i < 20; i++)
		other_tell(other, &request);
	assert_int_equal(count_events(other, "chunk_rejected"), 1);
}

static void expect_refusal(struct other *other, enum lsp_close_reason reason)
{
	RUN_UNTIL(&other->loop, other->side.closed);
	assert_int_equal(other->side.close.reason, reason);
	assert_true(other->side.close.by_peer);
}

static void test_chunks_that_do_not_exist(void **state)
{
	struct other *other = *state;
	struct lsp_range ranges[] = {{0, 1}, {5, 1}};
	struct lsp_request request = {.type = LSP_REQUEST_WITHDRAW};
	request.chunk_set.content = put_game(other, "quake", 100000);
	request.chunk_set.chunks = (struct lsp_ranges){ranges, 2};
	other_connect(other);
	lsp_exchange_tell(other->side.connection, &request);
	expect_refusal(other, LSP_CLOSE_PROTOCOL);
}

/* ---- Greed ----------------------------------------------------------------------------------- */

struct greed {
	unsigned begun, busy, ended;
	int code; /* of the last that ended; 0: without an error */
};

static void greed_response(struct lsp_exchange *exchange, struct lsp_response *response)
{
	struct greed *greed = lsp_exchange_argument(exchange);
	greed->begun++;
}

/* Takes nothing: what comes is never given back to the window. */
static void greed_bytes(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
}

static void greed_done(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct greed *greed = lsp_exchange_argument(exchange);
	if (error && error->code == LSP_E_BUSY) {
		greed->busy++;
		return;
	}
	greed->ended++;
	greed->code = error ? error->code : 0;
}

static void be_greedy(
	struct other *other, const struct lsp_request *request, unsigned times, struct greed *greed)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.response = greed_response, .bytes = greed_bytes, .done = greed_done};
	for (unsigned i = 0; i < times; i++) {
		struct lsp_exchange *exchange;
		assert_int_equal(lsp_exchange_start(other->side.connection, request, &callbacks,
					 greed, &exchange, NULL),
			0);
	}
}

/* Many answers asked for and none read: some are served, the rest is to come again later. */
static void test_many_leaves_at_once(void **state)
{
	struct other *other = *state;
	static struct greed greed; /* the end of the connection still counts in it */
	struct lsp_block_run runs[256];
	struct lsp_request request = {.type = LSP_REQUEST_GET_BLOCKS};
	request.get_blocks.content = put_game(other, "quake", 16 << 20);
	request.get_blocks.runs = runs;
	request.get_blocks.run_count = LSP_ARRAY_SIZE(runs);
	for (uint32_t i = 0; i < LSP_ARRAY_SIZE(runs); i++)
		runs[i] = (struct lsp_block_run){i % 128, 0, 8}; /* 32 MiB in all */
	other_connect(other);
	be_greedy(other, &request, 20, &greed);
	RUN_UNTIL(&other->loop, greed.busy >= 17);
	assert_true(greed.begun + greed.ended <= 3);
}

static void test_many_files_at_once(void **state)
{
	struct other *other = *state;
	static struct greed greed; /* the end of the connection still counts in it */
	struct lsp_request request = {.type = LSP_REQUEST_GET_GAME_FILE_DATA};
	request.get_file.content = put_game(other, "quake", 16 << 20);
	request.get_file.path = (char *)(uintptr_t) "pak0.pak";
	other_connect(other);
	be_greedy(other, &request, 100, &greed);
	RUN_UNTIL(&other->loop, greed.busy >= 84);
}

/* Files count against the limits too: none while uploads are paused, and then what was held back.
 */
static void test_a_file_waits_while_uploads_are_paused(void **state)
{
	struct other *other = *state;
	static struct greed greed; /* the end of the connection still counts in it */
	struct lsp_request file = {.type = LSP_REQUEST_GET_GAME_FILE_DATA};
	struct lsp_request hashes = {.type = LSP_REQUEST_GET_HASHES};
	file.get_file.content = put_game(other, "quake", 100000);
	file.get_file.path = (char *)(uintptr_t) "pak0.pak";
	hashes.get_hashes.content = file.get_file.content;
	hashes.get_hashes.count = 1;
	other_connect(other);
	json_decref(other_ask(other, "{\"command\":\"set_limits\",\"pause_uploads\":true}"));
	be_greedy(other, &file, 1, &greed);
	RUN_UNTIL(&other->loop, greed.begun == 1);
	be_greedy(other, &hashes, 1, &greed); /* by the same disk threads, later */
	RUN_UNTIL(&other->loop, greed.begun == 2);
	json_t *status = other_ask(other, "{\"command\":\"status\"}");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(status, "result"), "sent")), 0);
	json_decref(status);
	json_decref(other_ask(other, "{\"command\":\"set_limits\",\"pause_uploads\":false}"));
	RUN_UNTIL(&other->loop, greed.ended == 2);
}

/* The library is held, or it might see it first. */
static int cut_short(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	_cleanup_free_ char *path = lsp_text_format("%s/quake/pak0.pak", lsp_local_games_dir(peer));
	int r = lsp_local_hold(peer, "quake", err);
	return r < 0 ? r : truncate(path, 0);
}

/* They are charged in full before they are read: what then cannot be read was not sent. */
static void test_leaves_that_fail_are_not_charged(void **state)
{
	struct other *other = *state;
	static struct greed greed;            /* the end of the connection still counts in it */
	struct lsp_block_run run = {0, 0, 8}; /* 128 KiB */
	struct lsp_request request = {.type = LSP_REQUEST_GET_BLOCKS};
	request.get_blocks.content = put_game(other, "quake", 1 << 20);
	request.get_blocks.runs = &run;
	request.get_blocks.run_count = 1;
	struct lsp_peer *peer = lsp_runtime_peer(lsp_handle_runtime(other->peer));
	assert_int_equal(lsp_loop_call(peer->core, cut_short, peer, NULL, LSP_TIME_NEVER, NULL), 0);
	other_connect(other);
	/* Minutes of it, once the limit lets anything go. */
	json_decref(
		other_ask(other, "{\"command\":\"set_limits\",\"game\":\"quake\",\"up\":1000}"));
	for (unsigned asked = 1; !greed.ended; asked++) {
		be_greedy(other, &request, 1, &greed);
		RUN_UNTIL(&other->loop, greed.ended + greed.busy == asked);
	}
	assert_int_equal(greed.code, LSP_E_CORRUPT);
	unsigned busy = greed.busy;
	be_greedy(other, &request, 1, &greed);
	RUN_UNTIL(&other->loop, greed.ended + greed.busy == busy + 2);
	assert_int_equal(greed.ended, 2);
	assert_int_equal(greed.code, LSP_E_CORRUPT);
	assert_int_equal(greed.begun, 0);
}

/* Nothing of an answer is taken for as long as we wait for that. */
static int past_the_deadline(void *argument, struct lsp_error *err)
{
	struct lsp_peer *peer = argument;
	struct lsp_responder *all = peer->sessions->responders;
	(void)lsp_responders_tick(all, lsp_peer_now(peer));
	(void)lsp_responders_tick(all, lsp_peer_now(peer) + LSP_ANSWER_DEADLINE);
	return 0;
}

static void test_what_waits_when_it_is_reset_is_not_charged(void **state)
{
	struct other *other = *state;
	static struct greed greed; /* the end of the connection still counts in it */
	struct lsp_block_run runs[128];
	struct lsp_request blocks = {.type = LSP_REQUEST_GET_BLOCKS};
	struct lsp_request file = {.type = LSP_REQUEST_GET_GAME_FILE_DATA};
	blocks.get_blocks.content = put_game(other, "quake", 16 << 20);
	blocks.get_blocks.runs = runs;
	blocks.get_blocks.run_count = LSP_ARRAY_SIZE(runs);
	for (uint32_t i = 0; i < LSP_ARRAY_SIZE(runs); i++)
		runs[i] = (struct lsp_block_run){i, 0, 8};
	file.get_file.content = blocks.get_blocks.content;
	file.get_file.path = (char *)(uintptr_t) "pak0.pak";
	other_connect(other);
	struct lsp_peer *peer = lsp_runtime_peer(lsp_handle_runtime(other->peer));
	for (unsigned i = 0; i < 2; i++) {
		greed = (struct greed){0};
		atomic_store(&given_back, 0);
		be_greedy(other, i == 0 ? &blocks : &file, 1, &greed);
		/* Again and again: it may be between two blocks, and nothing waits. */
		RUN_UNTIL(&other->loop, lsp_loop_call(peer->core, past_the_deadline, peer, NULL,
						LSP_TIME_NEVER, NULL) == 0 &&
						greed.ended == 1 && atomic_load(&given_back));
		assert_in_range(atomic_load(&given_back), 1, (16 << 20) - 1);
	}
}

static void test_hashes_of_too_much(void **state)
{
	struct other *other = *state;
	static struct greed greed; /* the end of the connection still counts in it */
	struct lsp_request request = {.type = LSP_REQUEST_GET_HASHES};
	request.get_hashes.content = put_game(other, "quake", 80 << 20);
	request.get_hashes.count = 600; /* of 128 KiB */
	other_connect(other);
	be_greedy(other, &request, 1, &greed);
	RUN_UNTIL(&other->loop, greed.ended == 1);
	assert_int_equal(greed.begun, 0);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

enum { MANY = 65 };

static bool are_all_ready(json_t *event, const void *argument)
{
	size_t index, ready = 0;
	json_t *game;
	json_array_foreach (json_object_get(event, "games"), index, game)
		ready += json_string_length(json_object_get(game, "content")) > 0;
	return ready == MANY;
}

/* A peer may follow 64 contents here. */
static void test_too_many_follows(void **state)
{
	struct other *other = *state;
	struct greed greed = {0};
	for (int i = 0; i < MANY; i++) {
		char path[40];
		snprintf(path, sizeof path, "game%d/pak0.pak", i);
		other_write(other, path, 100 + (size_t)i);
		snprintf(path, sizeof path, "game%d/version.ini", i);
		other_write_text(other, path, "20240101\n");
	}
	other_start_peer(other);
	json_t *event = other_await(other, "local_games_updated", are_all_ready, NULL), *game;
	other_connect(other);
	size_t index;
	json_array_foreach (json_object_get(event, "games"), index, game) {
		struct lsp_request request = {.type = LSP_REQUEST_FOLLOW};
		const char *hex = json_string_value(json_object_get(game, "content"));
		assert_int_equal(lsp_hash_from_hex(hex, &request.get_content.content, NULL), 0);
		be_greedy(other, &request, 1, &greed);
	}
	json_decref(event);
	RUN_UNTIL(&other->loop, greed.ended + greed.busy == MANY);
	assert_int_equal(greed.busy, 1);
}

static bool list_without_end(
	struct other *other, struct lsp_responder *responder, struct lsp_request *request)
{
	if (request->type != LSP_REQUEST_LIST_GAMES)
		return false;
	const char *after = request->list_games.after;
	unsigned first = *after ? (unsigned)atoi(after + 1) + 1 : 0;
	struct lsp_game_summary *items = calloc(LSP_MESSAGE_GAMES_MAX, sizeof *items);
	for (unsigned i = 0; i < LSP_MESSAGE_GAMES_MAX; i++)
		snprintf(items[i].id, sizeof items[i].id, "g%09u", first + i);
	struct lsp_response response = {.type = LSP_RESPONSE_GAMES};
	response.games = (struct lsp_games_response){
		.revision = 1, .more = true, .games = {items, LSP_MESSAGE_GAMES_MAX}};
	lsp_responder_send(responder, &response);
	free(items);
	return true;
}

static bool is_full(json_t *event, const void *argument)
{
	json_t *games = json_object_get(event, "games");
	size_t index;
	json_t *game;
	json_array_foreach (games, index, game)
		if (strcmp(json_string_value(json_object_get(game, "id")), "g000019999") == 0)
			return true;
	return false;
}

/* Of one peer 20,000 games are taken, however many it lists. */
static void test_too_many_games(void **state)
{
	struct other *other = *state;
	other->script = list_without_end;
	other_start_peer(other);
	other_connect(other);
	json_decref(other_await(other, "remote_games_updated", is_full, NULL));
	json_t *answer = other_ask(other, "{\"command\":\"peers\"}");
	json_t *peers = json_object_get(json_object_get(answer, "result"), "peers");
	json_t *count = json_object_get(json_array_get(peers, 0), "games");
	assert_int_equal(json_integer_value(count), 20000);
	json_decref(answer);
	assert_int_equal(other->asked[LSP_REQUEST_LIST_GAMES], 40);
}

/* ---- What is said at the wrong time ---------------------------------------------------------- */

static void test_a_second_hello(void **state)
{
	struct other *other = *state;
	struct lsp_request hello = {.type = LSP_REQUEST_HELLO};
	other_start_peer(other);
	other_connect(other);
	other_hello(other, &hello.hello);
	lsp_exchange_tell(other->side.connection, &hello);
	expect_refusal(other, LSP_CLOSE_PROTOCOL);
}

static void test_a_request_before_hello(void **state)
{
	struct other *other = *state;
	struct lsp_request request = {.type = LSP_REQUEST_LIST_GAMES};
	request.list_games.limit = 1;
	other_start_peer(other);
	other_dial(other);
	lsp_exchange_tell(other->side.connection, &request);
	expect_refusal(other, LSP_CLOSE_PROTOCOL);
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* An error's message may be cut off in the middle of a letter: it is an answer all the same. */
static void test_message_that_is_cut(void **state)
{
	struct other *other = *state;
	other_start_peer(other);
	for (int shift = 0; shift < 3; shift++) {
		struct lsp_buffer json = {0};
		int r = lsp_buffer_printf(&json, NULL,
			"{\"command\":\"catalog_import\",\"path\":\"/%s", &"xyz"[shift]);
		for (int i = 0; i < 300; i++)
			r |= lsp_buffer_printf(&json, NULL, "€");
		r |= lsp_buffer_append(&json, "\"}", 3, NULL);
		assert_int_equal(r, 0);
		json_t *answer = other_ask(other, (const char *)json.data);
		assert_true(json_is_false(json_object_get(answer, "ok")));
		assert_non_null(json_object_get(json_object_get(answer, "error"), "message"));
		json_decref(answer);
		lsp_buffer_done(&json);
	}
}

/* ---- Removing -------------------------------------------------------------------------------- */

static void test_remove(void **state)
{
	struct other *other = *state;
	_cleanup_free_ char *folder = lsp_text_format("%s/games/quake", other->folder);
	(void)put_game(other, "quake", 1000);
	json_decref(other_ask(other, "{\"command\":\"remove_game\",\"game\":\"quake\"}"));
	other_expect(other, "remove_finished");
	assert_int_equal(access(folder, F_OK), -1);
}

/* ---- Downloads ------------------------------------------------------------------------------- */

static bool refuse_manifest(
	struct other *other, struct lsp_responder *responder, struct lsp_request *request)
{
	struct lsp_error err = {0};
	if (request->type != LSP_REQUEST_GET_MANIFEST)
		return false;
	lsp_error_set(&err, "other", LSP_E_BUSY, "not now");
	lsp_responder_fail(responder, &err);
	return true;
}

static void succeed(struct other *other, const char *command)
{
	json_t *answer = other_ask(other, command);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
}

static void start_with(struct other *other, struct lsp_game_summary *game, other_script script)
{
	other->games = game;
	other->game_count = 1;
	other->script = script;
	other_start_peer(other);
	other_connect(other);
	json_decref(other_await(other, "remote_games_updated", has_games, NULL));
}

/* The only holder was busy once: it is asked again. */
static void test_manifest_is_asked_for_again(void **state)
{
	struct other *other = *state;
	struct lsp_game_summary game = other_summary("busy");
	start_with(other, &game, refuse_manifest);
	succeed(other, "{\"command\":\"download_game_files\",\"game\":\"busy\"}");
	RUN_UNTIL(&other->loop, other->asked[LSP_REQUEST_GET_MANIFEST] == 2);
}

/* A holder that says nothing is given up, and asked again when there is no other. */
static void test_silent_holder(void **state)
{
	struct other *other = *state;
	struct lsp_game_summary game = other_summary("silent");
	start_with(other, &game, keep_manifest);
	succeed(other, "{\"command\":\"download_game_files\",\"game\":\"silent\"}");
	RUN_UNTIL(&other->loop, other->asked[LSP_REQUEST_GET_MANIFEST] == 2);
}

/* What became known while a download was paused counts when it goes on. */
static void test_resume_sees_what_came(void **state)
{
	struct other *other = *state;
	struct lsp_game_summary game = other_summary("later");
	game.state = LSP_GAME_HASHING;
	game.content = (struct lsp_hash){0};
	start_with(other, &game, refuse_manifest);
	succeed(other, "{\"command\":\"download_game_files\",\"game\":\"later\"}");
	succeed(other, "{\"command\":\"pause\",\"game\":\"later\"}");
	struct lsp_game_summary hashed = other_summary("later");
	delta(other, 1, 2, &hashed, 1, NULL);
	json_decref(other_await(other, "remote_games_updated", has_games, NULL));
	assert_int_equal(other->asked[LSP_REQUEST_GET_MANIFEST], 0);
	succeed(other, "{\"command\":\"resume\",\"game\":\"later\"}");
	RUN_UNTIL(&other->loop, other->asked[LSP_REQUEST_GET_MANIFEST]);
}

static json_t *records(struct other *other)
{
	_cleanup_free_ char *path = lsp_text_format("%s/state/downloads.json", other->folder);
	return json_load_file(path, 0, NULL);
}

/* A stop is no failure: what was being downloaded goes on at the next start. */
static void test_stop_keeps_downloads(void **state)
{
	struct other *other = *state;
	struct lsp_game_summary game = other_summary("slow");
	start_with(other, &game, keep_manifest);
	succeed(other, "{\"command\":\"download_game_files\",\"game\":\"slow\"}");
	RUN_UNTIL(&other->loop, other->kept);
	other_stop_peer(other);
	json_t *kept = records(other);
	assert_non_null(json_object_get(kept, "slow"));
	json_decref(kept);
}

static bool is_idle(json_t *event, const void *argument)
{
	return json_array_size(json_object_get(event, "operations")) == 0;
}

/* A crash came after the commit, before the record was dropped. */
static void test_stale_record(void **state)
{
	struct other *other = *state;
	char hex[65];
	struct lsp_hash content = put_game(other, "quake", 100000);
	lsp_hash_to_hex(&content, hex);
	other_stop_peer(other);
	_cleanup_free_ char *path = lsp_text_format("%s/state/downloads.json", other->folder);
	json_t *stale = json_pack("{s:{s:s, s:b, s:s, s:s}}", "quake", "purpose", "download",
		"paused", 0, "content", hex, "newer_than", "");
	assert_int_equal(json_dump_file(stale, path, 0), 0);
	json_decref(stale);
	other_start_peer(other);
	json_decref(other_await(other, "local_games_updated", is_idle, NULL));
	other_stop_peer(other);
	json_t *left = records(other);
	assert_int_equal(json_object_size(left), 0);
	json_decref(left);
}

/* What cannot be read is kept, not overwritten. */
static void test_damaged_record(void **state)
{
	struct other *other = *state;
	_cleanup_free_ char *folder = lsp_text_format("%s/state", other->folder);
	_cleanup_free_ char *path = lsp_text_format("%s/choices.json", folder);
	_cleanup_free_ char *damaged = lsp_text_format("%s.damaged", path);
	assert_int_equal(mkdir(folder, 0700), 0);
	other_write_text(other, "../state/choices.json", "{\"quake\": ");
	other_start_peer(other);
	assert_int_equal(access(damaged, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_relisted_without, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_event_of_one_game, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_stop_with_open_command, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_too_many_follows, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(test_too_many_games, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(test_a_second_hello, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_request_before_hello, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(test_crying_wolf, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_chunks_that_do_not_exist, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_many_leaves_at_once, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_many_files_at_once, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_file_waits_while_uploads_are_paused, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_leaves_that_fail_are_not_charged, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(test_what_waits_when_it_is_reset_is_not_charged,
			other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_hashes_of_too_much, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_message_that_is_cut, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(test_remove, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_manifest_is_asked_for_again, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(test_silent_holder, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_resume_sees_what_came, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_stop_keeps_downloads, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(test_stale_record, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(test_damaged_record, other_set_up, other_tear_down),
	};
	return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
