/*
 * Whom a manifest is asked of, and when: with stand-ins for the holders, the timers and the disk.
 * The clock is the test's.
 */
#include "peer/manifests.h"

#include "peer/database.h"
#include "peer/exchange.h"
#include "peer/peer.h"
#include "peer/session_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HOLDERS = 6 };

struct lsp_exchange {
	const struct lsp_exchange_callbacks *callbacks;
	void *argument;
	bool over;
};

static struct lsp_fake_clock clock_;
static struct lsp_peer peer;
static struct lsp_session sessions[HOLDERS]; /* one a holder; its place is its name */
static struct lsp_remote_peer *remotes[HOLDERS];
static struct lsp_exchange exchanges[HOLDERS];
static unsigned asked[HOLDERS];
static bool unreachable[HOLDERS];
static struct lsp_timer *timer;
static unsigned refused, answers;
static struct lsp_error answer;
static const struct lsp_manifest *got;
static const struct lsp_hash content = {{7}};
static struct lsp_manifest manifest = {.name = "quake"};

/* ---- Stand-ins ---- */

static size_t place_of(const struct lsp_connection *connection)
{
	return (size_t)((const char *)connection - (const char *)sessions) / sizeof *sessions;
}

struct lsp_connection *lsp_session_connection(const struct lsp_session *session)
{
	return (struct lsp_connection *)(uintptr_t)session;
}

struct lsp_session *lsp_session_find(const struct lsp_peer *its, const struct lsp_hash *id)
{
	return &sessions[id->bytes[0]];
}

void lsp_session_refuse(
	struct lsp_session *session, enum lsp_close_reason reason, const char *format, ...)
{
	refused++;
}

int lsp_exchange_start(struct lsp_connection *connection, const struct lsp_request *request,
	const struct lsp_exchange_callbacks *callbacks, void *argument,
	struct lsp_exchange **ret_exchange, struct lsp_error *err)
{
	size_t i = place_of(connection);
	assert_int_equal(request->type, LSP_REQUEST_GET_MANIFEST);
	if (unreachable[i])
		return lsp_error_set(err, "test", LSP_E_CLOSED, "it is gone");
	asked[i]++;
	exchanges[i] = (struct lsp_exchange){callbacks, argument, false};
	*ret_exchange = &exchanges[i];
	return 0;
}

void lsp_exchange_abort(struct lsp_exchange *exchange)
{
	assert_false(exchange->over);
	exchange->over = true;
}

void *lsp_exchange_argument(const struct lsp_exchange *exchange)
{
	return exchange->argument;
}

void lsp_exchange_consume(struct lsp_exchange *exchange, size_t size)
{
}

int lsp_timer_init(struct lsp_timer *its, struct lsp_loop *loop, void (*function)(void *argument),
	void *argument, struct lsp_error *err)
{
	*its = (struct lsp_timer){.function = function, .argument = argument};
	timer = its;
	return 0;
}

void lsp_timer_start(struct lsp_timer *its, lsp_time when)
{
	its->when = when;
	its->index = 1;
}

void lsp_timer_stop(struct lsp_timer *its)
{
	its->index = 0;
}

void lsp_timer_done(struct lsp_timer *its)
{
	its->index = 0;
	timer = NULL;
}

int lsp_pool_submit(
	struct lsp_pool *pool, struct lsp_loop *loop, struct lsp_job *job, struct lsp_error *err)
{
	job->work(job);
	job->done(job);
	return 0;
}

/* "good", "other": somebody else's bytes, "evil": the content's own, and against the rules. */
int lsp_manifest_parse(const void *data, size_t size, const struct lsp_hash *expected,
	const struct lsp_manifest **ret_manifest, struct lsp_error *err)
{
	if (size != 4 || memcmp(data, "good", 4) != 0)
		return lsp_error_set(err, "test", LSP_E_CORRUPT, "it is another");
	*ret_manifest = &manifest;
	return 0;
}

bool lsp_manifest_is_forbidden(const void *data, size_t size, const struct lsp_hash *its)
{
	return size == 4 && memcmp(data, "evil", 4) == 0;
}

void lsp_manifest_unref(const struct lsp_manifest *its)
{
}

/* ---- The party ---- */

static int begin(void **state)
{
	static const struct lsp_version version = {.part_count = 1, .parts = {1}, .text = "1"};
	lsp_fake_clock_init(&clock_);
	lsp_fake_clock_advance(&clock_, LSP_SECOND);
	peer = (struct lsp_peer){.clock = &clock_.clock};
	memset(asked, 0, sizeof asked);
	memset(unreachable, 0, sizeof unreachable);
	refused = answers = 0;
	got = NULL;
	assert_int_equal(lsp_database_new(&peer.database, NULL), 0);
	for (uint8_t i = 0; i < HOLDERS; i++) {
		struct lsp_hash id = {{i}};
		assert_int_equal(
			lsp_database_add_peer(peer.database, &id, &sessions[i], &remotes[i], NULL),
			0);
		assert_int_equal(lsp_database_set_game(peer.database, remotes[i], "quake", NULL,
					 &version, &content, 1000, LSP_HOLDING_READY, NULL),
			0);
	}
	return 0;
}

static int end(void **state)
{
	assert_null(timer); /* every query has ended */
	for (int i = 0; i < HOLDERS; i++)
		lsp_database_remove_peer(peer.database, remotes[i]);
	lsp_database_free(peer.database);
	return 0;
}

static void came(void *argument, const struct lsp_manifest *its, const struct lsp_error *error)
{
	got = its;
	answer = error ? *error : (struct lsp_error){0};
	answers++;
}

static struct lsp_manifest_query *start(void)
{
	struct lsp_manifest_query *query = NULL;
	assert_int_equal(lsp_manifest_query(&peer, "quake", &content, came, NULL, &query, NULL), 0);
	return query;
}

static void pass(uint64_t time)
{
	for (uint64_t i = 0; i < time; i += 50 * LSP_MILLISECOND) {
		lsp_fake_clock_advance(&clock_, 50 * LSP_MILLISECOND);
		if (timer && timer->index && timer->when <= lsp_peer_now(&peer)) {
			timer->index = 0;
			timer->function(timer->argument);
		}
	}
}

/* How many are being asked. */
static unsigned open_now(void)
{
	unsigned open = 0;
	for (int i = 0; i < HOLDERS; i++)
		open += asked[i] && !exchanges[i].over;
	return open;
}

static void say(int holder, const char *bytes)
{
	struct lsp_exchange *exchange = &exchanges[holder];
	struct lsp_response response = {.type = LSP_RESPONSE_BYTES, .bytes.length = 4};
	assert_true(asked[holder] && !exchange->over);
	exchange->callbacks->response(exchange, &response);
	exchange->callbacks->bytes(exchange, (const uint8_t *)bytes, strlen(bytes));
}

static void finish(int holder)
{
	exchanges[holder].over = true;
	exchanges[holder].callbacks->done(&exchanges[holder], NULL);
}

static void break_off(int holder)
{
	struct lsp_error err = {0};
	lsp_error_set(&err, "test", LSP_E_CLOSED, "the connection is gone");
	exchanges[holder].over = true;
	exchanges[holder].callbacks->done(&exchanges[holder], &err);
}

static void the_first_holder_is_asked_and_nobody_else_while_it_speaks(void **state)
{
	(void)start();
	pass(900 * LSP_MILLISECOND);
	say(0, "go");
	pass(900 * LSP_MILLISECOND);
	assert_int_equal(asked[1], 0);
	exchanges[0].callbacks->bytes(&exchanges[0], (const uint8_t *)"od", 2);
	pass(900 * LSP_MILLISECOND);
	finish(0);
	assert_int_equal(asked[1], 0);
	assert_int_equal(answers, 1);
	assert_ptr_equal(got, &manifest);
}

static void when_the_connection_is_gone_another_is_asked_at_once(void **state)
{
	(void)start();
	break_off(0);
	assert_int_equal(asked[1], 1);
	unreachable[2] = true;
	break_off(1);
	assert_int_equal(asked[2], 0);
	assert_int_equal(asked[3], 1);
	say(3, "good");
	finish(3);
	assert_ptr_equal(got, &manifest);
}

static void a_second_is_asked_beside_one_that_is_silent_for_a_second(void **state)
{
	(void)start();
	pass(950 * LSP_MILLISECOND);
	assert_int_equal(asked[1], 0);
	pass(100 * LSP_MILLISECOND);
	assert_int_equal(asked[1], 1);
	assert_int_equal(open_now(), 2);
	say(1, "good");
	finish(1);
	assert_int_equal(answers, 1);
	assert_ptr_equal(got, &manifest);
	assert_int_equal(open_now(), 0); /* the silent one is not waited for */
}

static void the_silent_one_may_still_be_first(void **state)
{
	(void)start();
	pass(1100 * LSP_MILLISECOND);
	assert_int_equal(open_now(), 2);
	say(0, "good");
	finish(0);
	assert_int_equal(answers, 1);
	assert_ptr_equal(got, &manifest);
	assert_int_equal(open_now(), 0);
}

static void three_are_asked_at_a_time_and_each_is_given_up_after_ten_seconds(void **state)
{
	struct lsp_manifest_query *query = start();
	pass(9500 * LSP_MILLISECOND);
	assert_int_equal(open_now(), 3);
	assert_int_equal(asked[3], 0);
	pass(1600 * LSP_MILLISECOND);
	assert_int_equal(asked[3], 1);
	assert_int_equal(open_now(), 3);
	pass(60 * LSP_SECOND);
	assert_int_equal(answers, 1);
	assert_null(got);
	assert_int_equal(answer.code, LSP_E_TIMEOUT);
	for (int i = 0; i < HOLDERS; i++)
		assert_int_equal(asked[i], 1);
	(void)query;
}

static void who_was_left_for_a_liar_is_asked_again(void **state)
{
	(void)start();
	pass(1100 * LSP_MILLISECOND);
	say(1, "liar");
	finish(1);
	assert_int_equal(refused, 1);
	assert_int_equal(asked[0], 2);
	assert_int_equal(open_now(), 1);
	say(0, "good");
	finish(0);
	assert_ptr_equal(got, &manifest);
}

static void a_content_that_breaks_a_rule_is_asked_of_nobody_else(void **state)
{
	(void)start();
	pass(1100 * LSP_MILLISECOND);
	say(0, "evil");
	finish(0);
	assert_int_equal(answers, 1);
	assert_int_equal(answer.code, LSP_E_DENIED);
	assert_int_equal(open_now(), 0);
	assert_int_equal(asked[2], 0);
}

static void a_query_that_is_freed_asks_nobody_and_says_nothing(void **state)
{
	struct lsp_manifest_query *query = start();
	pass(1100 * LSP_MILLISECOND);
	lsp_manifest_query_free(query);
	assert_int_equal(open_now(), 0);
	assert_int_equal(answers, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(the_first_holder_is_asked_and_nobody_else_while_it_speaks),
		TEST(when_the_connection_is_gone_another_is_asked_at_once),
		TEST(a_second_is_asked_beside_one_that_is_silent_for_a_second),
		TEST(the_silent_one_may_still_be_first),
		TEST(three_are_asked_at_a_time_and_each_is_given_up_after_ten_seconds),
		TEST(who_was_left_for_a_liar_is_asked_again),
		TEST(a_content_that_breaks_a_rule_is_asked_of_nobody_else),
		TEST(a_query_that_is_freed_asks_nobody_and_says_nothing),
	};
	return cmocka_run_group_tests_name("peer/manifests", tests, NULL, NULL);
}
