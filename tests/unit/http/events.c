/* Event streams: what comes first, what is replayed, what a slow reader gets. */
#include "harness.h"

#include "http/limits.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct harness *of(void **state)
{
	return *state;
}

static json_t *peer_event(const char *id)
{
	return json_pack("{s:s, s:{s:s}}", "event", "peer_connected", "peer", "id", id);
}

/* The first event of a stream: the state with two games. */
static void expect_state(struct sse *sse)
{
	json_t *event = sse_next(sse);
	assert_non_null(event);
	assert_string_equal(
		json_string_value(json_object_get(event, "event")), "local_games_updated");
	assert_true(json_is_true(json_object_get(event, "state")));
	assert_int_equal(json_array_size(json_object_get(event, "games")), 2);
	assert_non_null(json_object_get(event, "operations"));
	json_decref(event);
}

static void expect_peer(struct sse *sse, const char *id)
{
	json_t *event = sse_next(sse);
	assert_non_null(event);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(event, "peer"), "id")), id);
	json_decref(event);
}

static void the_whole_state_comes_first_and_then_what_happens(void **state)
{
	struct sse sse;
	sse_open(of(state), NULL, &sse);
	expect_state(&sse);
	fake_peer_emit(of(state)->peer, peer_event("a"));
	fake_peer_emit(of(state)->peer, peer_event("b"));
	expect_peer(&sse, "a");
	expect_peer(&sse, "b");
	assert_true(sse.id[0]);
	sse_close(&sse);
}

static void the_state_names_the_operations_that_run(void **state)
{
	struct sse sse;
	_cleanup_reply_ struct reply reply = {0};
	harness_request(of(state), "POST", "/api/games/quake/download", NULL, "{}", &reply);
	sse_open(of(state), NULL, &sse);
	json_t *event = sse_next(&sse);
	json_t *operation = json_array_get(json_object_get(event, "operations"), 0);
	assert_string_equal(json_string_value(json_object_get(operation, "game")), "quake");
	assert_string_equal(
		json_string_value(json_object_get(operation, "operation")), "downloading");
	json_decref(event);
	sse_close(&sse);
}

static void who_comes_back_gets_the_state_and_what_it_missed(void **state)
{
	struct sse first, second;
	char id[64];
	sse_open(of(state), NULL, &first);
	expect_state(&first);
	fake_peer_emit(of(state)->peer, peer_event("a"));
	expect_peer(&first, "a");
	snprintf(id, sizeof id, "%s", first.id);
	fake_peer_emit(of(state)->peer, peer_event("b"));
	fake_peer_emit(of(state)->peer,
		json_pack("{s:s, s:s}", "event", "download_progress", "game", "quake"));
	fake_peer_emit(of(state)->peer, peer_event("c"));
	expect_peer(&first, "b");
	json_decref(sse_expect(&first, "download_progress")); /* "c" takes it along */
	expect_peer(&first, "c");
	sse_close(&first);
	sse_open(of(state), id, &second);
	expect_state(&second);
	expect_peer(&second, "b");
	expect_peer(&second, "c"); /* the progress in between is in the state already */
	fake_peer_emit(of(state)->peer, peer_event("d"));
	expect_peer(&second, "d");
	sse_close(&second);
}

static void an_id_of_another_run_or_of_no_event_gets_the_state_alone(void **state)
{
	static const char *const ids[] = {
		"00000000-1", "x", "", "-", "00000000-", "00000000-99999999999999999999"};
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		struct sse sse;
		fake_peer_emit(of(state)->peer, peer_event("old"));
		sse_open(of(state), ids[i], &sse);
		expect_state(&sse);
		fake_peer_emit(of(state)->peer, peer_event("new"));
		expect_peer(&sse, "new");
		sse_close(&sse);
	}
}

static void a_reader_that_falls_behind_starts_over_from_the_state(void **state)
{
	struct harness *harness = of(state);
	struct sse sse, live;
	static char filler[4096];
	memset(filler, 'x', sizeof filler - 1);
	sse_open(harness, NULL, &sse);
	expect_state(&sse);
	sse_open(harness, NULL, &live);
	expect_state(&live);
	size_t count = 2 * LSP_HTTP_MAX_EVENTS;
	for (size_t i = 0; i < count; i++) {
		fake_peer_emit(harness->peer,
			json_pack("{s:s, s:s}", "event", "warning", "message", filler));
		json_decref(sse_expect(&live, "warning")); /* so that it was sent to all */
	}
	size_t warnings = 0;
	for (bool over = false; !over;) {
		json_t *event = sse_next(&sse);
		assert_non_null(event);
		over = json_is_true(json_object_get(event, "state"));
		warnings += !over;
		json_decref(event);
	}
	assert_true(warnings < count);
	fake_peer_emit(harness->peer, peer_event("next"));
	expect_peer(&sse, "next");
	sse_close(&sse);
	sse_close(&live);
}

static void silence_is_broken_by_a_heartbeat(void **state)
{
	struct sse sse;
	sse_open(of(state), NULL, &sse);
	expect_state(&sse);
	lsp_fake_clock_advance(&of(state)->clock, LSP_HTTP_HEARTBEAT_SECONDS * LSP_SECOND);
	json_t *event = sse_next(&sse);
	assert_true(json_is_true(json_object_get(event, "heartbeat")));
	json_decref(event);
	sse_close(&sse);
}

static void emit_progress(struct harness *harness, int done)
{
	fake_peer_emit(harness->peer, json_pack("{s:s, s:s, s:i}", "event", "download_progress",
					      "game", "quake", "done", done));
}

static void expect_progress(struct sse *sse, int done)
{
	json_t *event = sse_next(sse);
	assert_non_null(event);
	assert_int_equal(json_integer_value(json_object_get(event, "done")), done);
	json_decref(event);
}

/* The server has taken all events so far, and has had a turn to send them. */
static void let_it_turn(struct harness *harness)
{
	for (int i = 0; i < 2; i++) {
		_cleanup_reply_ struct reply reply = {0};
		harness_request(harness, "GET", "/api/status", NULL, NULL, &reply);
		assert_int_equal(reply.status, 200);
	}
}

static void assert_nothing_came(const struct sse *sse)
{
	char byte;
	assert_int_equal(sse->size, 0);
	assert_int_equal(recv(sse->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
}

/* A stream on which there was silence: one progress, which goes at once, begins the gathering. */
static void open_and_begin_gathering(struct harness *harness, struct sse *sse)
{
	sse_open(harness, NULL, sse);
	expect_state(sse);
	lsp_fake_clock_advance(&harness->clock, LSP_HTTP_GATHER_MILLISECONDS * LSP_MILLISECOND);
	emit_progress(harness, 1);
	expect_progress(sse, 1);
}

static void progress_is_gathered_and_sent_at_once(void **state)
{
	struct harness *harness = of(state);
	struct sse sse;
	open_and_begin_gathering(harness, &sse);
	for (int done = 2; done <= 4; done++) {
		emit_progress(harness, done);
		let_it_turn(harness);
		assert_nothing_came(&sse);
	}
	lsp_fake_clock_advance(&harness->clock, LSP_HTTP_GATHER_MILLISECONDS * LSP_MILLISECOND);
	expect_progress(&sse, 2);
	assert_non_null(strstr(sse.buffer, "\"done\":3")); /* in the same write */
	assert_non_null(strstr(sse.buffer, "\"done\":4"));
	expect_progress(&sse, 3);
	expect_progress(&sse, 4);
	sse_close(&sse);
}

static void another_event_takes_gathered_progress_along(void **state)
{
	struct harness *harness = of(state);
	struct sse sse;
	open_and_begin_gathering(harness, &sse);
	emit_progress(harness, 2);
	let_it_turn(harness);
	assert_nothing_came(&sse);
	fake_peer_emit(harness->peer, peer_event("a"));
	expect_progress(&sse, 2);
	expect_peer(&sse, "a");
	sse_close(&sse);
}

static void gathered_progress_is_sent_before_the_stream_ends(void **state)
{
	struct sse sse;
	open_and_begin_gathering(of(state), &sse);
	emit_progress(of(state), 2);
	fake_peer_close(of(state)->peer);
	expect_progress(&sse, 2);
	assert_null(sse_next(&sse));
	sse_close(&sse);
}

/* The peer says why it stops and closes its streams: both arrive, in this order. */
static void expect_last_words(struct harness *harness, struct sse *sse)
{
	fake_peer_emit(harness->peer, json_pack("{s:s, s:s, s:s}", "event", "runtime_failed",
					      "component", "quic", "error", "gone"));
	fake_peer_close(harness->peer);
	json_decref(sse_expect(sse, "runtime_failed"));
	json_t *end = sse_next(sse);
	assert_null(end);
	sse_close(sse);
}

static void the_last_events_of_a_peer_arrive_before_the_stream_ends(void **state)
{
	struct sse sse;
	sse_open(of(state), NULL, &sse);
	expect_state(&sse);
	expect_last_words(of(state), &sse);
}

/* Everything is told to stop first; why is said then, and the streams are closed last. */
static void an_event_after_the_order_to_stop_arrives_too(void **state)
{
	struct sse sse;
	sse_open(of(state), NULL, &sse);
	expect_state(&sse);
	lsp_cancel_request(of(state)->root, LSP_CANCEL_FATAL, "quic failed");
	fake_peer_emit(of(state)->peer, peer_event("the first of the last"));
	expect_peer(&sse, "the first of the last");
	expect_last_words(of(state), &sse);
}

static void a_line_break_in_an_event_cannot_forge_another(void **state)
{
	struct sse sse;
	sse_open(of(state), NULL, &sse);
	expect_state(&sse);
	fake_peer_emit(of(state)->peer, json_pack("{s:s, s:s}", "event", "warning", "message",
						"a\n\ndata: {\"event\":\"runtime_failed\"}\n\n"));
	fake_peer_emit(of(state)->peer, peer_event("next"));
	json_decref(sse_expect(&sse, "warning"));
	expect_peer(&sse, "next");
	sse_close(&sse);
}

static void a_peer_that_fails_to_list_is_asked_again(void **state)
{
	struct harness *harness = of(state);
	struct sse sse;
	fake_peer_script(harness->peer, "list_games",
		json_pack("{s:b, s:{s:s, s:s}}", "ok", 0, "error", "code", "failed", "message",
			"no"));
	sse_open(harness, NULL, &sse);
	while (fake_peer_count(harness->peer, "list_games") == 0)
		;
	fake_peer_script(harness->peer, "list_games", NULL);
	lsp_fake_clock_advance(&harness->clock, LSP_HTTP_HEARTBEAT_SECONDS * LSP_SECOND);
	expect_state(&sse);
	sse_close(&sse);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_whole_state_comes_first_and_then_what_happens),
		TEST(the_state_names_the_operations_that_run),
		TEST(who_comes_back_gets_the_state_and_what_it_missed),
		TEST(an_id_of_another_run_or_of_no_event_gets_the_state_alone),
		TEST(a_reader_that_falls_behind_starts_over_from_the_state),
		TEST(silence_is_broken_by_a_heartbeat),
		TEST(progress_is_gathered_and_sent_at_once),
		TEST(another_event_takes_gathered_progress_along),
		TEST(gathered_progress_is_sent_before_the_stream_ends),
		TEST(the_last_events_of_a_peer_arrive_before_the_stream_ends),
		TEST(an_event_after_the_order_to_stop_arrives_too),
		TEST(a_line_break_in_an_event_cannot_forge_another),
		TEST(a_peer_that_fails_to_list_is_asked_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
