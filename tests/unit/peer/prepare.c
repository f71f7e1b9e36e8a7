/*
 * Stages that open: hashing takes minutes, and nobody else waits for it. The linker puts the
 * opening of a stage in between (meson.build): it waits until the test says so.
 */
#include "other.h"

#include "content/hasher.h"
#include "content/stage.h"
#include "peer/handle.h"
#include "peer/peer.h"
#include "peer/runtime.h"

#include <pthread.h>
#include <stdatomic.h>

#define GAMES 6 /* more than any pool has threads */

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER; /* while it is, no stage is prepared */
static atomic_uint begun;

int __real_lsp_stage_prepare(struct lsp_stage *stage, struct lsp_cancel *token,
	lsp_stage_progress progress, void *argument, struct lsp_error *err);
int __wrap_lsp_stage_prepare(struct lsp_stage *stage, struct lsp_cancel *token,
	lsp_stage_progress progress, void *argument, struct lsp_error *err);

int __wrap_lsp_stage_prepare(struct lsp_stage *stage, struct lsp_cancel *token,
	lsp_stage_progress progress, void *argument, struct lsp_error *err)
{
	progress(argument, 300, 1000);
	atomic_fetch_add(&begun, 1);
	pthread_mutex_lock(&held);
	pthread_mutex_unlock(&held);
	return __real_lsp_stage_prepare(stage, token, progress, argument, err);
}

/* ---- The other one's games ---- */

static struct lsp_hashed theirs[GAMES];
static struct lsp_game_summary summaries[GAMES];

static void send_manifest(struct lsp_responder *responder, const struct lsp_hash *content)
{
	_cleanup_buffer_ struct lsp_buffer manifest = {0};
	for (size_t i = 0; i < GAMES; i++) {
		if (lsp_hash_equal(&theirs[i].manifest->content_id, content))
			assert_int_equal(
				lsp_manifest_serialize(theirs[i].manifest, &manifest, NULL), 0);
	}
	assert_true(manifest.size > 0);
	struct lsp_response response = {.type = LSP_RESPONSE_BYTES};
	response.bytes.length = manifest.size;
	lsp_responder_begin_bytes(responder, &response);
	void *data = manifest.data;
	size_t size = manifest.size;
	manifest = (struct lsp_buffer){0};
	(void)lsp_responder_bytes(responder, data, size, free, data);
}

static bool serve(struct other *other, struct lsp_responder *responder, struct lsp_request *request)
{
	if (request->type != LSP_REQUEST_GET_MANIFEST)
		return false;
	send_manifest(responder, &request->get_content.content);
	return true;
}

static bool is_ready(json_t *event, const void *argument)
{
	json_t *game = json_array_get(json_object_get(event, "games"), 0);
	return json_string_length(json_object_get(game, "content")) > 0;
}

static bool has_all(json_t *event, const void *argument)
{
	return json_array_size(json_object_get(event, "games")) == GAMES;
}

/* Our peer has one game to serve; the other has as many as would fill a pool, and more. */
static struct lsp_hash begin(struct other *other)
{
	struct lsp_hash ours;
	other_write(other, "ours/pak0.pak", 300000);
	other_write_text(other, "ours/version.ini", "20240101\n");
	for (size_t i = 0; i < GAMES; i++) {
		char path[64], id[16];
		snprintf(id, sizeof id, "game%zu", i);
		snprintf(path, sizeof path, "../theirs/%s/pak0.pak", id);
		other_write(other, path, 5000);
		_cleanup_free_ char *folder = lsp_text_format("%s/theirs/%s", other->folder, id);
		int fd = open(folder, O_RDONLY | O_DIRECTORY);
		assert_int_equal(lsp_hasher_run(fd, id, &(struct lsp_hasher_options){0}, NULL,
					 &theirs[i], NULL),
			0);
		close(fd);
		summaries[i] = other_summary(id);
		summaries[i].content = theirs[i].manifest->content_id;
	}
	atomic_store(&begun, 0);
	other->games = summaries;
	other->game_count = GAMES;
	other->script = serve;
	other_start_peer(other);
	json_t *event = other_await(other, "local_games_updated", is_ready, NULL);
	json_t *game = json_array_get(json_object_get(event, "games"), 0);
	assert_int_equal(
		lsp_hash_from_hex(json_string_value(json_object_get(game, "content")), &ours, NULL),
		0);
	json_decref(event);
	other_connect(other);
	json_decref(other_await(other, "remote_games_updated", has_all, NULL));
	return ours;
}

static void end(struct other *other)
{
	for (size_t i = 0; i < GAMES; i++)
		lsp_hashed_done(&theirs[i]);
}

static void get_all(struct other *other)
{
	for (size_t i = 0; i < GAMES; i++) {
		_cleanup_free_ char *command = lsp_text_format(
			"{\"command\":\"download_game_files\",\"game\":\"game%zu\"}", i);
		json_t *answer = other_ask(other, command);
		assert_true(json_is_true(json_object_get(answer, "ok")));
		json_decref(answer);
	}
}

/* ---- The tests ---- */

static void take_no_bytes(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
	lsp_exchange_consume(exchange, size);
}

/* Reads our peer's disk, by its disk pool. */
static void ask_for_hashes(struct other *other, const struct lsp_hash *content)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.bytes = take_no_bytes, .done = other_told};
	struct lsp_request request = {.type = LSP_REQUEST_GET_HASHES};
	struct lsp_exchange *exchange;
	bool done = false;
	request.get_hashes.content = *content;
	request.get_hashes.count = 1;
	assert_int_equal(lsp_exchange_start(other->side.connection, &request, &callbacks, &done,
				 &exchange, NULL),
		0);
	RUN_UNTIL(&other->loop, done);
}

/* All of them are in the pool, and as many as it has threads for have begun. Those that wait. */
static size_t waiting_of(struct other *other)
{
	struct lsp_peer *peer = lsp_runtime_peer(lsp_handle_runtime(other->peer));
	size_t queued, running;
	lsp_pool_load(peer->prepare, &queued, &running);
	return queued + running == GAMES && atomic_load(&begun) == running ? queued : 0;
}

static void others_are_served_while_every_stage_that_can_be_is_prepared(void **state)
{
	struct other *other = *state;
	pthread_mutex_lock(&held);
	struct lsp_hash ours = begin(other);
	get_all(other);
	RUN_UNTIL(&other->loop, waiting_of(other));
	ask_for_hashes(other, &ours);
	pthread_mutex_unlock(&held);
	other_stop_peer(other);
	end(other);
}

static bool is_preparing(json_t *event, const void *argument)
{
	return json_integer_value(json_object_get(event, "done")) == 300 &&
	       json_integer_value(json_object_get(event, "total")) == 1000 &&
	       strcmp(json_string_value(json_object_get(event, "phase")), "preparing") == 0;
}

static void how_far_it_is_is_told_and_one_that_waits_its_turn_can_be_cancelled(void **state)
{
	struct other *other = *state;
	pthread_mutex_lock(&held);
	begin(other);
	get_all(other);
	json_decref(other_await(other, "download_progress", is_preparing, NULL));
	RUN_UNTIL(&other->loop, waiting_of(other));
	size_t waiting = waiting_of(other);
	/* Which of them wait is chance: their manifests come in any order. Those that have a thread
	 * keep it. The end may be told before the answer. */
	for (size_t i = 0; i < GAMES; i++) {
		_cleanup_free_ char *command =
			lsp_text_format("{\"command\":\"cancel\",\"game\":\"game%zu\"}", i);
		other_send(other, command);
	}
	while (waiting--)
		other_expect(other, "download_failed");
	pthread_mutex_unlock(&held);
	other_stop_peer(other);
	end(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, other_set_up, other_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(others_are_served_while_every_stage_that_can_be_is_prepared),
		TEST(how_far_it_is_is_told_and_one_that_waits_its_turn_can_be_cancelled),
	};
	return cmocka_run_group_tests_name("peer/prepare", tests, NULL, NULL);
}
