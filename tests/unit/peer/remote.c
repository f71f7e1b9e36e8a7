/* A peer against another one that forgets, lies, or never answers. */
#include "other.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_relisted_without, other_set_up, other_tear_down),
		cmocka_unit_test_setup_teardown(
			test_stop_with_open_command, other_set_up, other_tear_down),
	};
	return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
