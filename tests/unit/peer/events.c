/* The event hub: order, bounds, what a slow reader is told, and every way a stream ends. */
#include "peer/events.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct lsp_events *events;
	struct lanspread_stream *stream;
	int snapshots;
};

static json_t *make_snapshot(void *argument)
{
	struct fixture *f = argument;
	return json_pack("{s:s, s:i}", "event", "local_games_updated", "made", ++f->snapshots);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_int_equal(lsp_events_new(make_snapshot, f, &f->events, NULL), 0);
	assert_int_equal(lsp_event_stream_new(&f->stream, NULL), 0);
	lsp_events_attach(f->events, lsp_event_stream_ref(f->stream));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	lsp_events_free(f->events);
	lsp_event_stream_unref(f->stream);
	free(f);
	return 0;
}

static json_t *next(struct fixture *f)
{
	char *text;
	if (lsp_event_stream_next(f->stream, 0, &text, NULL) < 0)
		return NULL;
	json_t *event = json_loads(text, 0, NULL);
	assert_non_null(event);
	free(text);
	return event;
}

static void expect_event(struct fixture *f, const char *name)
{
	json_t *event = next(f);
	assert_non_null(event);
	assert_string_equal(json_string_value(json_object_get(event, "event")), name);
	json_decref(event);
}

static bool readable(struct fixture *f)
{
	struct pollfd pfd = {.fd = lsp_event_stream_fd(f->stream), .events = POLLIN};
	return poll(&pfd, 1, 0) == 1;
}

static json_t *numbered(int n)
{
	return json_pack("{s:s, s:i}", "event", "progress", "n", n);
}

static void the_first_event_is_the_snapshot(void **state)
{
	struct fixture *f = *state;
	lsp_events_publish(f->events, numbered(1));
	expect_event(f, "local_games_updated");
	expect_event(f, "progress");
	assert_null(next(f));
}

static void the_descriptor_is_readable_exactly_while_an_event_waits(void **state)
{
	struct fixture *f = *state;
	assert_true(readable(f));
	expect_event(f, "local_games_updated");
	assert_false(readable(f));
	lsp_events_publish(f->events, numbered(1));
	lsp_events_publish(f->events, numbered(2));
	expect_event(f, "progress");
	assert_true(readable(f));
	expect_event(f, "progress");
	assert_false(readable(f));
}

static void a_reader_that_falls_behind_gets_a_fresh_snapshot_in_place_of_a_gap(void **state)
{
	struct fixture *f = *state;
	lsp_events_answer(f->stream, 1, json_pack("{s:s}", "event", "answer"));
	for (int i = 0; i < LSP_EVENTS_MAX_QUEUED; i++)
		lsp_events_publish(f->events, numbered(i));
	expect_event(f, "answer"); /* an answer survives */
	json_t *event = next(f);
	assert_true(json_is_true(json_object_get(event, "resync")));
	assert_int_equal(json_integer_value(json_object_get(event, "made")), 2);
	json_decref(event);
	/* What follows the snapshot is without a gap: the very next numbers, to the last. */
	int expected = -1;
	while ((event = next(f))) {
		int n = (int)json_integer_value(json_object_get(event, "n"));
		if (expected >= 0)
			assert_int_equal(n, expected);
		expected = n + 1;
		json_decref(event);
	}
	assert_true(expected == -1 || expected == LSP_EVENTS_MAX_QUEUED);
	lsp_events_publish(f->events, numbered(7));
	expect_event(f, "progress");
}

static void a_final_event_survives_an_overflow(void **state)
{
	struct fixture *f = *state;
	lsp_events_publish_final(f->events, json_pack("{s:s}", "event", "runtime_failed"));
	for (int i = 0; i < 2 * LSP_EVENTS_MAX_QUEUED; i++)
		lsp_events_publish(f->events, numbered(i));
	expect_event(f, "runtime_failed");
}

static void large_events_are_bounded_by_bytes(void **state)
{
	struct fixture *f = *state;
	char *big = malloc(1 << 20);
	memset(big, 'x', (1 << 20) - 1);
	big[(1 << 20) - 1] = '\0';
	for (int i = 0; i < 20; i++)
		lsp_events_publish(f->events, json_pack("{s:s, s:s}", "event", "e", "t", big));
	size_t events = 0;
	json_t *event;
	while ((event = next(f))) {
		events++;
		json_decref(event);
	}
	assert_true(events <= LSP_EVENTS_MAX_BYTES / (1 << 20) + 2);
	free(big);
}

static void a_closed_hub_lets_the_reader_finish_and_then_says_closed(void **state)
{
	struct fixture *f = *state;
	lsp_events_publish(f->events, numbered(1));
	lsp_events_close(f->events);
	expect_event(f, "local_games_updated");
	expect_event(f, "progress");
	char *text;
	assert_int_equal(lsp_event_stream_next(f->stream, -1, &text, NULL), -LSP_E_CLOSED);
	assert_true(readable(f));
}

static void *read_forever(void *argument)
{
	struct fixture *f = argument;
	char *text;
	int r;
	while ((r = lsp_event_stream_next(f->stream, -1, &text, NULL)) == 0)
		free(text);
	return (void *)(intptr_t)r;
}

static void an_interrupt_wakes_a_reader_that_waits(void **state)
{
	struct fixture *f = *state;
	pthread_t reader;
	assert_int_equal(pthread_create(&reader, NULL, read_forever, f), 0);
	lsp_event_stream_interrupt(f->stream);
	void *result;
	pthread_join(reader, &result);
	assert_int_equal((int)(intptr_t)result, -LSP_E_CANCELLED);
}

static void an_abandoned_stream_is_dropped_at_the_next_event(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(lsp_events_subscribers(f->events), 1);
	lsp_event_stream_abandon(f->stream);
	lsp_events_publish(f->events, numbered(1));
	assert_int_equal(lsp_events_subscribers(f->events), 0);
}

static void an_abandoned_stream_holds_no_descriptor_though_nothing_happens(void **state)
{
	struct fixture *f = *state;
	int fd = lsp_event_stream_fd(f->stream);
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	lsp_event_stream_abandon(f->stream);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	/* What still comes for it goes nowhere, and into nobody's descriptor. */
	lsp_event_stream_interrupt(f->stream);
	lsp_events_answer(f->stream, 1, json_object());
}

static void readers_that_come_and_go_do_not_add_up_though_nothing_happens(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 100; i++) {
		struct lanspread_stream *stream;
		assert_int_equal(lsp_event_stream_new(&stream, NULL), 0);
		lsp_events_attach(f->events, lsp_event_stream_ref(stream));
		assert_int_equal(lsp_events_subscribers(f->events), 2);
		lsp_event_stream_abandon(stream);
		lsp_event_stream_unref(stream);
	}
}

static void an_answer_without_a_stream_goes_nowhere(void **state)
{
	lsp_events_answer(NULL, 1, json_object());
}

/* Answers that are left unread become short ones; each request still has one. */
static void answers_that_nobody_reads_are_bounded(void **state)
{
	struct fixture *f = *state;
	size_t size = 8u << 20, count = 20, whole = 0, busy = 0;
	char *large = malloc(size + 1);
	memset(large, 'x', size);
	large[size] = '\0';
	for (size_t i = 0; i < count; i++)
		lsp_events_answer(
			f->stream, i, json_pack("{s:s, s:s}", "event", "answer", "x", large));
	lsp_events_answer(f->stream, count, NULL); /* one that could not be made */
	json_t *event;
	while ((event = next(f))) {
		json_t *error = json_object_get(event, "error");
		if (json_object_get(event, "x"))
			whole++;
		else if (error)
			busy++;
		json_decref(event);
	}
	assert_int_equal(whole + busy, count + 1);
	assert_true(whole * size <= LSP_EVENTS_MAX_ANSWERS);
	free(large);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_first_event_is_the_snapshot),
		TEST(the_descriptor_is_readable_exactly_while_an_event_waits),
		TEST(a_reader_that_falls_behind_gets_a_fresh_snapshot_in_place_of_a_gap),
		TEST(a_final_event_survives_an_overflow),
		TEST(large_events_are_bounded_by_bytes),
		TEST(a_closed_hub_lets_the_reader_finish_and_then_says_closed),
		TEST(an_interrupt_wakes_a_reader_that_waits),
		TEST(an_abandoned_stream_is_dropped_at_the_next_event),
		TEST(an_abandoned_stream_holds_no_descriptor_though_nothing_happens),
		TEST(readers_that_come_and_go_do_not_add_up_though_nothing_happens),
		TEST(an_answer_without_a_stream_goes_nowhere),
		TEST(answers_that_nobody_reads_are_bounded),
	};
	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
