/* What does not go as it should: stallers, tricklers, the end of a download, a sleep. */
#include "party.h"

static void a_staller_loses_its_chunk_and_rests_ever_longer(void **state)
{
	struct party party;
	lsp_time asked[4];
	int n = 0;
	begin(&party, CHUNKS - 1, 1);
	all(&party, 0);
	want(&party);
	for (int i = 0; i < 4000 && n < 4; i++) {
		run(&party, 20 * MS);
		if (find(&party, LSP_SWARM_REQUEST, 0))
			asked[n++] = party.now;
	}
	assert_int_equal(n, 4);
	assert_true(asked[1] - asked[0] > 5 * LSP_SECOND);
	assert_true(asked[2] - asked[1] > asked[1] - asked[0]);
	assert_true(asked[3] - asked[2] > asked[2] - asked[1]);
	assert_int_equal(status(&party).state, LSP_SWARM_FETCHING); /* never failed for that */
	end(&party);
}

/* `bytes` of the request every 100 ms, until it is taken back or the time is over. */
static bool trickle(struct party *party, lsp_swarm_id request, uint64_t bytes, uint64_t time)
{
	for (lsp_time until = party->now + time; party->now < until;) {
		lsp_swarm_received(party->swarm, request, bytes, party->now);
		run(party, 100 * MS);
		if (count(party, LSP_SWARM_CANCEL))
			return true;
	}
	return false;
}

static void a_trickler_is_kept_until_another_has_the_chunk_then_rests_and_is_probed(void **state)
{
	struct party party;
	begin(&party, CHUNKS - 1, 2);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	lsp_swarm_id request = find(&party, LSP_SWARM_REQUEST, party.peers[0])->request;
	assert_false(trickle(&party, request, 100, 20 * LSP_SECOND)); /* better than nothing */
	all(&party, 1);
	assert_true(trickle(&party, request, 100, 200 * MS));
	assert_int_equal(find(&party, LSP_SWARM_CANCEL, 0)->request, request);
	assert_non_null(find(&party, LSP_SWARM_REQUEST, party.peers[1]));
	lsp_time since = party.now;
	lsp_swarm_peer_remove(party.swarm, party.peers[1]);
	while (!find(&party, LSP_SWARM_REQUEST, party.peers[0]) &&
		party.now - since < 10 * LSP_SECOND)
		run(&party, 25 * MS);
	assert_in_range(party.now - since, LSP_SECOND, LSP_SECOND + 50 * MS);
	end(&party);
}

/* It will not be asked for a while: then slow bytes are better than none. */
static void a_trickler_is_kept_while_the_other_holder_is_on_probation(void **state)
{
	struct party party;
	begin(&party, CHUNKS - 1, 2);
	want(&party);
	all(&party, 1);
	run(&party, MS);
	struct lsp_swarm_action action = *find(&party, LSP_SWARM_REQUEST, party.peers[1]);
	lsp_swarm_rejected(party.swarm, action.request, action.first, party.now);
	all(&party, 0);
	run(&party, MS);
	lsp_swarm_id request = find(&party, LSP_SWARM_REQUEST, party.peers[0])->request;
	assert_false(trickle(&party, request, 100, 11 * LSP_SECOND));
	all(&party, 1);
	assert_false(trickle(&party, request, 100, 4500 * MS));
	assert_true(trickle(&party, request, 100, LSP_SECOND));
	end(&party);
}

/* Not yet 10 s, or 6 kB/s. */
static void who_is_merely_slow_is_no_trickler(void **state)
{
	static const struct {
		uint64_t bytes, time;
	} cases[] = {{100, 9 * LSP_SECOND}, {600, 30 * LSP_SECOND}};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(cases); i++) {
		struct party party;
		begin(&party, CHUNKS - 1, 2);
		all(&party, 0);
		want(&party);
		run(&party, 0);
		lsp_swarm_id request = find(&party, LSP_SWARM_REQUEST, 0)->request;
		all(&party, 1);
		assert_false(trickle(&party, request, cases[i].bytes, cases[i].time));
		end(&party);
	}
}

static void at_the_end_a_chunk_moves_from_a_staller_to_one_that_delivers(void **state)
{
	struct party party;
	lsp_time began;
	begin(&party, 0, 2);
	all(&party, 0);
	all(&party, 1);
	want(&party);
	run(&party, 0);
	began = party.now;
	for (int i = 0; i < 2000 && status(&party).state != LSP_SWARM_COMPLETE; i++) {
		struct party copy = party;
		for (size_t a = 0; a < copy.count; a++)
			if (copy.actions[a].kind == LSP_SWARM_REQUEST &&
				copy.actions[a].peer == party.peers[1])
				deliver(&party, &copy.actions[a]);
		run(&party, 5 * MS);
	}
	assert_int_equal(status(&party).state, LSP_SWARM_COMPLETE);
	assert_true(party.now - began < 3 * LSP_SECOND);
	assert_int_equal(status(&party).bytes_wasted, 0);
	end(&party);
}

static void a_sleep_of_a_minute_blames_nobody(void **state)
{
	struct party party;
	struct lsp_swarm_source_status source;
	begin(&party, 0, 2);
	all(&party, 0);
	all(&party, 1);
	want(&party);
	run(&party, 0);
	run(&party, 25 * MS);
	run(&party, 60 * LSP_SECOND);
	assert_int_equal(count(&party, LSP_SWARM_CANCEL), 0);
	assert_int_equal(count(&party, LSP_SWARM_DROPPED), 0);
	assert_int_equal(
		lsp_swarm_source_status(party.swarm, party.peers[0], party.game, &source), 0);
	assert_int_equal(source.in_flight, 1);
	end(&party);
}

/* Bytes came as it woke up, before it thought: the peer has no minute more for that. */
static void who_stalls_after_a_sleep_is_noticed_as_soon_as_ever(void **state)
{
	struct party party;
	begin(&party, 0, 1);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	struct lsp_swarm_action action = *find(&party, LSP_SWARM_REQUEST, 0);
	run(&party, 25 * MS);
	party.now += 60 * LSP_SECOND;
	lsp_swarm_received(party.swarm, action.request, 1000, party.now);
	lsp_time woke = party.now;
	run(&party, 0);
	while (!find(&party, LSP_SWARM_CANCEL, 0) && party.now - woke < 20 * LSP_SECOND)
		run(&party, 25 * MS);
	assert_in_range(party.now - woke, 4 * LSP_SECOND, 5 * LSP_SECOND);
	end(&party);
}

/* ---- Sleep ----------------------------------------------------------------------------------- */

/* Runs when it is due and not before, until it asks for something; how often it woke. */
static unsigned sleep_until_it_asks(struct party *party, uint64_t time)
{
	unsigned woken = 0;
	lsp_time until = party->now + time;
	while (lsp_swarm_deadline(party->swarm) <= until) {
		lsp_time due = lsp_swarm_deadline(party->swarm);
		run(party, due > party->now ? due - party->now : 0);
		woken++;
		if (find(party, LSP_SWARM_REQUEST, 0))
			return woken;
	}
	party->now = until;
	return woken;
}

#define FEW_WAKES 20 /* what changed is looked at for a moment */

static void who_has_nobody_to_ask_sleeps_until_a_source_comes(void **state)
{
	struct party party;
	begin(&party, 0, 2);
	want(&party);
	assert_in_range(sleep_until_it_asks(&party, 60 * LSP_SECOND), 1, FEW_WAKES);
	has(&party, 0, 0, 0);
	assert_in_range(sleep_until_it_asks(&party, 60 * LSP_SECOND), 1, FEW_WAKES);
	assert_int_equal(lsp_swarm_deadline(party.swarm), LSP_TIME_NEVER);
	assert_int_equal(
		lsp_swarm_peer_gained(party.swarm, party.peers[0], party.game, 3, 1, NULL), 0);
	assert_int_equal(sleep_until_it_asks(&party, LSP_SECOND), 1);
	assert_int_equal(find(&party, LSP_SWARM_REQUEST, 0)->first, 3);
	end(&party);
}

static void who_waits_for_a_rest_sleeps_until_it_ends(void **state)
{
	struct party party;
	begin(&party, 0, 1);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	lsp_time since = party.now;
	lsp_swarm_bounced(party.swarm, find(&party, LSP_SWARM_REQUEST, 0)->request,
		LSP_SWARM_PAUSED, 0, party.now);
	assert_in_range(sleep_until_it_asks(&party, 60 * LSP_SECOND), 1, FEW_WAKES);
	assert_int_equal(party.now, since + 2 * LSP_SECOND);
	/* Who sent a bad chunk and never a good one, and says once more that it has them. */
	lsp_swarm_rejected(party.swarm, find(&party, LSP_SWARM_REQUEST, 0)->request,
		find(&party, LSP_SWARM_REQUEST, 0)->first, party.now);
	all(&party, 0);
	since = party.now;
	assert_in_range(sleep_until_it_asks(&party, 60 * LSP_SECOND), 1, FEW_WAKES);
	assert_int_equal(party.now, since + 5 * LSP_SECOND);
	end(&party);
}

static void who_waits_for_a_limit_sleeps_until_it_lets_something_through(void **state)
{
	struct party party;
	struct lsp_swarm_limits limits = {.down = SIZE / 20, .overhead = 1};
	begin(&party, 0, 1);
	all(&party, 0);
	lsp_swarm_set_limits(party.swarm, &limits);
	want(&party);
	(void)sleep_until_it_asks(&party, LSP_SECOND);
	lsp_time since = party.now;
	struct lsp_swarm_action action = *find(&party, LSP_SWARM_REQUEST, 0);
	deliver(&party, &action);
	assert_in_range(sleep_until_it_asks(&party, 60 * LSP_SECOND), 1, FEW_WAKES);
	assert_in_range(party.now - since, 19 * LSP_SECOND, 21 * LSP_SECOND);
	end(&party);
}

/* A sleep of ours is no standstill of the process: nobody gets time back for it. */
static void who_stalls_after_we_waited_is_noticed_as_soon_as_ever(void **state)
{
	struct party party;
	begin(&party, 0, 1);
	want(&party);
	(void)sleep_until_it_asks(&party, 60 * LSP_SECOND);
	all(&party, 0);
	assert_int_equal(sleep_until_it_asks(&party, LSP_SECOND), 1);
	lsp_time since = party.now;
	while (!count(&party, LSP_SWARM_CANCEL) && party.now - since < 20 * LSP_SECOND)
		run(&party, 25 * MS);
	assert_in_range(party.now - since, 10 * LSP_SECOND, 10 * LSP_SECOND + 100 * MS);
	end(&party);
}

static void a_download_that_cannot_end_fails_although_nothing_happens_any_more(void **state)
{
	struct party party;
	begin(&party, CHUNKS - 1, 1);
	all(&party, 0);
	want(&party);
	(void)sleep_until_it_asks(&party, LSP_SECOND);
	for (int i = 0; i < LSP_SWARM_TRIES; i++) {
		assert_non_null(find(&party, LSP_SWARM_REQUEST, 0));
		lsp_swarm_failed(party.swarm, find(&party, LSP_SWARM_REQUEST, 0)->request,
			LSP_SWARM_BROKEN, party.now);
		(void)sleep_until_it_asks(&party, 10 * LSP_SECOND);
	}
	assert_int_equal(status(&party).state, LSP_SWARM_FAILED);
	assert_int_equal(lsp_swarm_deadline(party.swarm), LSP_TIME_NEVER);
	end(&party);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_staller_loses_its_chunk_and_rests_ever_longer),
		cmocka_unit_test(
			a_trickler_is_kept_until_another_has_the_chunk_then_rests_and_is_probed),
		cmocka_unit_test(a_trickler_is_kept_while_the_other_holder_is_on_probation),
		cmocka_unit_test(who_is_merely_slow_is_no_trickler),
		cmocka_unit_test(at_the_end_a_chunk_moves_from_a_staller_to_one_that_delivers),
		cmocka_unit_test(a_sleep_of_a_minute_blames_nobody),
		cmocka_unit_test(who_stalls_after_a_sleep_is_noticed_as_soon_as_ever),
		cmocka_unit_test(who_has_nobody_to_ask_sleeps_until_a_source_comes),
		cmocka_unit_test(who_waits_for_a_rest_sleeps_until_it_ends),
		cmocka_unit_test(who_waits_for_a_limit_sleeps_until_it_lets_something_through),
		cmocka_unit_test(who_stalls_after_we_waited_is_noticed_as_soon_as_ever),
		cmocka_unit_test(
			a_download_that_cannot_end_fails_although_nothing_happens_any_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
