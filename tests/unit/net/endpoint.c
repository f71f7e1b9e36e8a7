#include "pair.h"

static void each_side_proves_its_key_and_both_know_who_dialled(void **state)
{
	int families[] = {AF_INET, AF_INET6};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(families); i++) {
		struct pair pair;
		pair_open(&pair);
		pair_connect(&pair, families[i]);
		assert_true(lsp_hash_equal(lsp_connection_peer_id(pair.a.connection),
			lsp_identity_peer_id(pair.b.identity)));
		assert_true(lsp_hash_equal(lsp_connection_peer_id(pair.b.connection),
			lsp_identity_peer_id(pair.a.identity)));
		assert_true(lsp_connection_is_outgoing(pair.a.connection));
		assert_false(lsp_connection_is_outgoing(pair.b.connection));
		assert_int_equal(lsp_address_port(lsp_connection_address(pair.b.connection)),
			lsp_endpoint_port(pair.a.endpoint));
		pair_close(&pair);
	}
}

static void a_key_other_than_the_expected_one_is_refused_and_both_read_why(void **state)
{
	struct pair pair;
	struct lsp_hash other;
	lsp_sha256(&other, "somebody else", 13);
	pair_open(&pair);
	(void)dial(&pair.a, lsp_endpoint_port(pair.b.endpoint), AF_INET, &other);
	RUN_UNTIL(&pair.loop, pair.a.closed && pair.b.closed);
	assert_int_equal(pair.a.close.reason, LSP_CLOSE_IDENTITY);
	assert_false(pair.a.close.by_peer);
	assert_int_equal(pair.a.connected, 0);
	assert_non_null(strstr(pair.a.message, "expected peer"));
	assert_int_equal(pair.b.close.reason, LSP_CLOSE_IDENTITY);
	assert_true(pair.b.close.by_peer);
	assert_non_null(strstr(pair.b.message, "expected peer"));
	pair_close(&pair);
}

static void the_expected_key_is_taken(void **state)
{
	struct pair pair;
	pair_open(&pair);
	(void)dial(&pair.a, lsp_endpoint_port(pair.b.endpoint), AF_INET,
		lsp_identity_peer_id(pair.b.identity));
	RUN_UNTIL(&pair.loop, pair.a.connection && pair.b.connection);
	pair_close(&pair);
}

static void our_own_address_and_a_clone_are_told_apart(void **state)
{
	struct pair pair;
	memset(&pair, 0, sizeof pair);
	struct lsp_endpoint_options options = {0};
	assert_int_equal(uv_loop_init(&pair.loop), 0);
	side_open(&pair.a, &pair.loop, options);
	pair.b.identity = lsp_identity_ref(pair.a.identity);
	side_open(&pair.b, &pair.loop, options);
	(void)dial(&pair.a, lsp_endpoint_port(pair.a.endpoint), AF_INET, NULL);
	RUN_UNTIL(&pair.loop, pair.a.closed == 1);
	assert_int_equal(pair.a.close.reason, LSP_CLOSE_SELF);
	(void)dial(&pair.a, lsp_endpoint_port(pair.b.endpoint), AF_INET, NULL);
	RUN_UNTIL(&pair.loop, pair.a.closed == 2);
	assert_int_equal(pair.a.close.reason, LSP_CLOSE_CLONE);
	assert_non_null(strstr(pair.a.message, "identity rotate"));
	assert_int_equal(pair.a.connected + pair.b.connected, 0);
	pair_close(&pair);
}

static void a_close_says_why_and_comes_once(void **state)
{
	struct pair pair;
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	lsp_connection_close(pair.a.connection, LSP_CLOSE_BUSY, "zu viele G\xc3\xa4ste\n\x1b[2J");
	assert_int_equal(pair.a.closed, 0); /* never from inside */
	lsp_connection_close(pair.a.connection, LSP_CLOSE_GOODBYE, "again");
	RUN_UNTIL(&pair.loop, pair.a.closed && pair.b.closed);
	assert_int_equal(pair.b.close.reason, LSP_CLOSE_BUSY);
	assert_true(pair.b.close.by_peer);
	assert_string_equal(pair.b.message, "zu viele G\xc3\xa4ste??[2J");
	assert_int_equal(pair.a.close.reason, LSP_CLOSE_BUSY);
	assert_false(pair.a.close.by_peer);
	pair_close(&pair);
	assert_int_equal(pair.a.closed, 1);
	assert_int_equal(pair.b.closed, 1);
}

static void close_all_says_goodbye_before_it_returns(void **state)
{
	struct pair pair;
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	lsp_endpoint_close_all(pair.a.endpoint, LSP_CLOSE_GOODBYE, "shutting down");
	/* a's loop does not run any more; b hears of it all the same. */
	side_close(&pair.a, &pair.loop);
	RUN_UNTIL(&pair.loop, pair.b.closed);
	assert_int_equal(pair.b.close.reason, LSP_CLOSE_GOODBYE);
	assert_true(pair.b.close.by_peer);
	assert_string_equal(pair.b.message, "shutting down");
	assert_int_equal(pair.a.closed, 1);
	pair_close(&pair);
}

static void a_peer_that_falls_silent_is_lost(void **state)
{
	struct pair pair;
	struct lsp_endpoint_options options = {
		.idle_timeout = 60 * LSP_MILLISECOND, .keep_alive = 20 * LSP_MILLISECOND};
	pair_open_with(&pair, options, options);
	pair_connect(&pair, AF_INET);
	lsp_connection_abandon(pair.b.connection, "gone without a word");
	RUN_UNTIL(&pair.loop, pair.a.closed && pair.b.closed);
	assert_int_equal(pair.b.close.reason, LSP_CLOSE_LOST);
	assert_int_equal(pair.a.close.reason, LSP_CLOSE_LOST);
	assert_false(pair.a.close.by_peer);
	pair_close(&pair);
}

static void keep_alive_keeps_an_idle_connection(void **state)
{
	struct pair pair;
	struct lsp_endpoint_options options = {
		.idle_timeout = 2 * LSP_SECOND, .keep_alive = 50 * LSP_MILLISECOND};
	pair_open_with(&pair, options, options);
	pair_connect(&pair, AF_INET);
	lsp_time end = lsp_now(lsp_clock_system) + 4 * LSP_SECOND;
	RUN_UNTIL(&pair.loop, lsp_now(lsp_clock_system) > end);
	assert_int_equal(pair.a.closed + pair.b.closed, 0);
	pair_close(&pair);
}

static void nobody_there_is_no_answer(void **state)
{
	struct pair pair;
	struct lsp_endpoint_options options = {.handshake_timeout = 100 * LSP_MILLISECOND};
	pair_open_with(&pair, options, options);
	uint16_t port = lsp_endpoint_port(pair.b.endpoint);
	side_close(&pair.b, &pair.loop);
	(void)dial(&pair.a, port, AF_INET, NULL);
	RUN_UNTIL(&pair.loop, pair.a.closed);
	assert_int_equal(pair.a.close.reason, LSP_CLOSE_NO_ANSWER);
	pair_close(&pair);
}

static void a_peer_that_was_started_anew_says_so_at_once(void **state)
{
	struct pair pair;
	pair_open(&pair);
	pair_connect(&pair, AF_INET);
	/* b forgets, as after a crash: same key, same port, no connection. */
	struct sockaddr_storage any = loopback(AF_INET, lsp_endpoint_port(pair.b.endpoint));
	struct lsp_identity *identity = lsp_identity_ref(pair.b.identity);
	lsp_connection_abandon(pair.b.connection, "crash");
	RUN_UNTIL(&pair.loop, pair.b.closed);
	side_close(&pair.b, &pair.loop);
	pair.b.identity = identity;
	side_open(&pair.b, &pair.loop, (struct lsp_endpoint_options){.listen = &any});
	RUN_UNTIL(&pair.loop, pair.a.closed);
	assert_int_equal(pair.a.close.reason, LSP_CLOSE_LOST);
	/* By its word, that is, and not since nothing came for a while. */
	assert_non_null(strstr(pair.a.message, "anew"));
	pair_close(&pair);
}

static void retry_proves_the_address_first(void **state)
{
	struct pair pair;
	pair_open_with(&pair, (struct lsp_endpoint_options){0},
		(struct lsp_endpoint_options){.always_retry = true});
	pair_connect(&pair, AF_INET);
	struct lsp_endpoint_stats stats;
	lsp_endpoint_get_stats(pair.b.endpoint, &stats);
	assert_int_equal(stats.retries, 1);
	pair_close(&pair);
}

static void beyond_the_limit_of_connections_a_peer_is_told_busy(void **state)
{
	struct pair pair;
	pair_open_with(&pair, (struct lsp_endpoint_options){0},
		(struct lsp_endpoint_options){.max_connections = 1});
	pair_connect(&pair, AF_INET);
	(void)dial(&pair.a, lsp_endpoint_port(pair.b.endpoint), AF_INET, NULL);
	RUN_UNTIL(&pair.loop, pair.a.closed);
	assert_int_equal(pair.a.close.reason, LSP_CLOSE_BUSY);
	assert_int_equal(pair.b.closed, 0);
	struct sockaddr_storage address = loopback(AF_INET, lsp_endpoint_port(pair.a.endpoint));
	struct lsp_connection *connection;
	assert_int_equal(
		lsp_endpoint_connect(pair.b.endpoint, &address, NULL, NULL, &connection, NULL),
		-LSP_E_BUSY);
	pair_close(&pair);
}

static void a_taken_port_is_refused_with_a_way_out(void **state)
{
	struct pair pair;
	pair_open(&pair);
	struct lsp_error err = {0};
	struct lsp_endpoint *second;
	struct lsp_endpoint_options options = {.loop = &pair.loop,
		.identity = pair.a.identity,
		.callbacks = &side_callbacks,
		.port = lsp_endpoint_port(pair.a.endpoint)};
	assert_int_equal(lsp_endpoint_new(&options, &second, &err), -LSP_E_BUSY);
	assert_non_null(strstr(err.message, "--listen"));
	options.port = 0;
	options.interface = "no-such-if0";
	assert_int_equal(lsp_endpoint_new(&options, &second, &err), -LSP_E_NOT_FOUND);
	pair_close(&pair);
}

static void addresses_that_are_no_peer_are_not_dialled(void **state)
{
	struct pair pair;
	pair_open(&pair);
	static const char *const hosts[] = {
		"0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1"};
	struct sockaddr_storage address;
	struct lsp_connection *connection;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(hosts); i++) {
		assert_int_equal(lsp_address_parse(hosts[i], 4000, &address, NULL), 0);
		assert_int_equal(lsp_endpoint_connect(
					 pair.a.endpoint, &address, NULL, NULL, &connection, NULL),
			-LSP_E_INVALID);
	}
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_side_proves_its_key_and_both_know_who_dialled),
		cmocka_unit_test(a_key_other_than_the_expected_one_is_refused_and_both_read_why),
		cmocka_unit_test(the_expected_key_is_taken),
		cmocka_unit_test(our_own_address_and_a_clone_are_told_apart),
		cmocka_unit_test(a_close_says_why_and_comes_once),
		cmocka_unit_test(close_all_says_goodbye_before_it_returns),
		cmocka_unit_test(a_peer_that_falls_silent_is_lost),
		cmocka_unit_test(keep_alive_keeps_an_idle_connection),
		cmocka_unit_test(nobody_there_is_no_answer),
		cmocka_unit_test(a_peer_that_was_started_anew_says_so_at_once),
		cmocka_unit_test(retry_proves_the_address_first),
		cmocka_unit_test(beyond_the_limit_of_connections_a_peer_is_told_busy),
		cmocka_unit_test(a_taken_port_is_refused_with_a_way_out),
		cmocka_unit_test(addresses_that_are_no_peer_are_not_dialled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
