/* Fetching, one rule a test. */
#include "party.h"

static void one_source_gives_everything_and_each_chunk_is_asked_once(void **state)
{
	struct party party;
	uint32_t asked[CHUNKS] = {0};
	begin(&party, 0, 1);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	while (count(&party, LSP_SWARM_REQUEST)) {
		struct party copy = party;
		party.now += 5 * MS;
		for (size_t i = 0; i < copy.count; i++) {
			const struct lsp_swarm_action *action = &copy.actions[i];
			if (action->kind != LSP_SWARM_REQUEST)
				continue;
			for (uint32_t c = 0; c < action->count; c++)
				asked[action->first + c]++;
			deliver(&party, action);
		}
		run(&party, 0);
	}
	for (uint32_t i = 0; i < CHUNKS; i++)
		assert_int_equal(asked[i], 1);
	assert_int_equal(status(&party).state, LSP_SWARM_COMPLETE);
	assert_int_equal(status(&party).bytes_wasted, 0);
	end(&party);
}

static void nothing_is_asked_before_it_is_wanted_nor_after(void **state)
{
	struct party party;
	begin(&party, 0, 1);
	all(&party, 0);
	run(&party, 0);
	assert_int_equal(count(&party, LSP_SWARM_REQUEST), 0);
	want(&party);
	run(&party, MS);
	assert_int_equal(count(&party, LSP_SWARM_REQUEST), 1);
	lsp_swarm_game_want(party.swarm, party.game, false);
	run(&party, MS);
	assert_int_equal(count(&party, LSP_SWARM_CANCEL), 1);
	assert_int_equal(count(&party, LSP_SWARM_REQUEST), 0);
	assert_int_equal(status(&party).state, LSP_SWARM_IDLE);
	want(&party);
	run(&party, MS);
	assert_int_equal(count(&party, LSP_SWARM_REQUEST), 1);
	end(&party);
}

static void the_rarest_chunk_is_asked_first(void **state)
{
	struct party party;
	begin(&party, 0, 4);
	has(&party, 0, 0, CHUNKS - 1);
	has(&party, 1, 0, CHUNKS - 1);
	has(&party, 2, 0, CHUNKS - 1);
	has(&party, 3, 20, 20); /* the last one is only here */
	want(&party);
	run(&party, 0);
	const struct lsp_swarm_action *action = find(&party, LSP_SWARM_REQUEST, party.peers[3]);
	assert_non_null(action);
	assert_int_equal(action->first, CHUNKS - 1);
	end(&party);
}

static void an_unknown_peer_gets_one_request_and_a_fast_one_a_window(void **state)
{
	struct party party;
	struct lsp_swarm_source_status source;
	begin(&party, 0, 1);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	assert_int_equal(count(&party, LSP_SWARM_REQUEST), 1);
	struct lsp_swarm_action first = *find(&party, LSP_SWARM_REQUEST, 0);
	party.now += 2 * MS; /* 128 MB/s */
	deliver(&party, &first);
	run(&party, 0);
	assert_true(count(&party, LSP_SWARM_REQUEST) >= 8);
	assert_int_equal(
		lsp_swarm_source_status(party.swarm, party.peers[0], party.game, &source), 0);
	assert_true(source.window >= 8 << 20 && source.window <= 16 << 20);
	end(&party);
}

static void small_neighbours_go_in_one_request(void **state)
{
	struct party party;
	static uint32_t small[1000];
	lsp_swarm_id game;
	begin(&party, 0, 1);
	for (uint32_t i = 0; i < LSP_ARRAY_SIZE(small); i++)
		small[i] = 4096;
	assert_int_equal(lsp_swarm_game_add(party.swarm, LSP_ARRAY_SIZE(small), small, NULL, NULL,
				 &game, NULL),
		0);
	assert_int_equal(lsp_swarm_peer_has_all(party.swarm, party.peers[0], game, NULL), 0);
	lsp_swarm_game_want(party.swarm, game, true);
	run(&party, 0);
	const struct lsp_swarm_action *action = find(&party, LSP_SWARM_REQUEST, 0);
	assert_non_null(action);
	assert_true(action->count >= 40 || action->first + action->count == 1000);
	assert_true(action->bytes <= LSP_SWARM_RUN_BYTES);
	end(&party);
}

static void a_chunk_is_tried_three_times_at_a_peer_then_the_download_fails(void **state)
{
	struct party party;
	int tries[CHUNKS] = {0}, total = 0;
	begin(&party, CHUNKS - 1, 1);
	all(&party, 0);
	want(&party);
	for (int i = 0; i < 400 && status(&party).state != LSP_SWARM_FAILED; i++) {
		run(&party, 100 * MS);
		const struct lsp_swarm_action *action = find(&party, LSP_SWARM_REQUEST, 0);
		if (!action)
			continue;
		tries[action->first]++;
		total++;
		lsp_swarm_failed(party.swarm, action->request, LSP_SWARM_BROKEN, party.now);
	}
	assert_int_equal(tries[CHUNKS - 1], 3);
	assert_int_equal(total, 3);
	assert_int_equal(status(&party).failed_chunk, CHUNKS - 1);
	/* A new announcement makes it go on. */
	all(&party, 0);
	run(&party, 10 * LSP_SECOND);
	run(&party, 10 * LSP_SECOND);
	assert_int_equal(status(&party).state, LSP_SWARM_FETCHING);
	serve(&party);
	end(&party);
}

/* One who breaks off and one who has paused: the download does not fail, nor is the first one
 * asked on and on. */
static void a_chunk_is_tried_three_times_at_a_peer_while_another_holder_is_left(void **state)
{
	struct party party;
	int tries = 0, paused = 0;
	begin(&party, CHUNKS - 1, 2);
	all(&party, 0);
	all(&party, 1);
	want(&party);
	for (int i = 0; i < 600; i++) { /* a minute */
		run(&party, 100 * MS);
		const struct lsp_swarm_action *action = find(&party, LSP_SWARM_REQUEST, 0);
		if (!action)
			continue;
		if (action->peer == party.peers[1]) {
			paused++;
			lsp_swarm_bounced(party.swarm, action->request, LSP_SWARM_PAUSED,
				LSP_SWARM_NO_HINT, party.now);
		} else {
			tries++;
			lsp_swarm_failed(party.swarm, action->request, LSP_SWARM_BROKEN, party.now);
		}
	}
	assert_int_equal(tries, LSP_SWARM_TRIES);
	assert_true(paused > 20);
	assert_int_equal(status(&party).state, LSP_SWARM_FETCHING);
	end(&party);
}

static void another_holder_keeps_a_download_from_failing(void **state)
{
	struct party party;
	begin(&party, CHUNKS - 1, 2);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	for (int i = 0; i < 100; i++) {
		const struct lsp_swarm_action *action = find(&party, LSP_SWARM_REQUEST, 0);
		if (i == 40)
			all(&party, 1);
		if (action && action->peer == party.peers[1]) {
			deliver(&party, action);
			break;
		}
		if (action)
			lsp_swarm_failed(party.swarm, action->request, LSP_SWARM_BROKEN, party.now);
		run(&party, 200 * MS);
	}
	assert_int_equal(status(&party).state, LSP_SWARM_COMPLETE);
	end(&party);
}

static void who_sends_a_bad_chunk_is_dropped_until_it_announces_anew(void **state)
{
	struct party party;
	begin(&party, 0, 2);
	all(&party, 0);
	all(&party, 1);
	want(&party);
	run(&party, 0);
	deliver(&party, find(&party, LSP_SWARM_REQUEST, party.peers[0]));
	run(&party, MS);
	struct lsp_swarm_action action = *find(&party, LSP_SWARM_REQUEST, party.peers[0]);
	lsp_swarm_received(party.swarm, action.request, action.bytes, party.now);
	lsp_swarm_rejected(party.swarm, action.request, action.first, party.now);
	run(&party, MS);
	const struct lsp_swarm_action *dropped = find(&party, LSP_SWARM_DROPPED, 0);
	assert_non_null(dropped);
	assert_int_equal(dropped->peer, party.peers[0]);
	assert_int_equal(dropped->first, action.first);
	for (int i = 0; i < 100; i++) {
		assert_null(find(&party, LSP_SWARM_REQUEST, party.peers[0]));
		run(&party, 30 * MS);
	}
	assert_int_equal(status(&party).sources, 1);
	assert_in_range(status(&party).bytes_wasted, SIZE, 2 * SIZE); /* what was under way, too */
	all(&party, 0);
	run(&party, MS);
	assert_non_null(find(&party, LSP_SWARM_REQUEST, party.peers[0]));
	end(&party);
}

static void who_never_sent_a_good_chunk_is_not_asked_at_once_when_it_announces_anew(void **state)
{
	struct party party;
	begin(&party, 0, 1);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	struct lsp_swarm_action action = *find(&party, LSP_SWARM_REQUEST, 0);
	lsp_swarm_rejected(party.swarm, action.request, action.first, party.now);
	all(&party, 0);
	lsp_time since = party.now;
	run(&party, MS);
	while (!find(&party, LSP_SWARM_REQUEST, 0) && party.now - since < 20 * LSP_SECOND)
		run(&party, 25 * MS);
	assert_in_range(party.now - since, 5 * LSP_SECOND, 5100 * MS);
	end(&party);
}

static void a_liar_that_comes_back_stays_a_liar_for_longer_each_time(void **state)
{
	struct party party;
	lsp_time waited = 0;
	begin(&party, 0, 1);
	want(&party);
	for (int round = 0; round < 4; round++) {
		all(&party, 0);
		lsp_time since = party.now;
		run(&party, MS);
		for (int i = 0; i < 1000 && !find(&party, LSP_SWARM_REQUEST, 0); i++)
			run(&party, 100 * MS);
		const struct lsp_swarm_action *action = find(&party, LSP_SWARM_REQUEST, 0);
		assert_non_null(action);
		assert_true(round < 2 || party.now - since >= waited * 3 / 2);
		waited = party.now - since;
		lsp_swarm_received(party.swarm, action->request, action->bytes, party.now);
		lsp_swarm_rejected(party.swarm, action->request, action->first, party.now);
		/* It leaves and comes back with the same key. */
		lsp_swarm_peer_remove(party.swarm, party.peers[0]);
		assert_int_equal(
			lsp_swarm_peer_add(party.swarm, 100, NULL, &party.peers[0], NULL), 0);
	}
	end(&party);
}

static void a_false_have_costs_one_question(void **state)
{
	struct party party;
	begin(&party, CHUNKS - 1, 1);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	const struct lsp_swarm_action *action = find(&party, LSP_SWARM_REQUEST, 0);
	lsp_swarm_failed(party.swarm, action->request, LSP_SWARM_MISSING, party.now);
	for (int i = 0; i < 120; i++) {
		run(&party, 100 * MS);
		assert_int_equal(count(&party, LSP_SWARM_REQUEST), 0);
	}
	/* Nobody has it: no failure, it waits for one who does. */
	assert_int_equal(status(&party).state, LSP_SWARM_FETCHING);
	assert_true(status(&party).stalled);
	end(&party);
}

static void all_gone_is_said_once_and_it_goes_on_by_itself(void **state)
{
	struct party party;
	begin(&party, 0, 2);
	all(&party, 0);
	all(&party, 1);
	want(&party);
	run(&party, 0);
	struct lsp_swarm_action first = *find(&party, LSP_SWARM_REQUEST, 0);
	deliver(&party, &first);
	run(&party, MS);
	lsp_swarm_peer_remove(party.swarm, party.peers[0]);
	run(&party, MS);
	assert_null(find(&party, LSP_SWARM_STATE, 0));
	lsp_swarm_peer_remove(party.swarm, party.peers[1]);
	run(&party, MS);
	assert_int_equal(count(&party, LSP_SWARM_STATE), 1);
	assert_int_equal(find(&party, LSP_SWARM_STATE, 0)->state, LSP_SWARM_WAITING);
	for (int i = 0; i < 100; i++) {
		run(&party, LSP_SECOND);
		assert_int_equal(party.count, 0);
	}
	assert_int_equal(lsp_swarm_peer_add(party.swarm, 100, NULL, &party.peers[0], NULL), 0);
	all(&party, 0);
	run(&party, MS);
	assert_int_equal(find(&party, LSP_SWARM_STATE, 0)->state, LSP_SWARM_FETCHING);
	serve(&party);
	assert_int_equal(status(&party).state, LSP_SWARM_COMPLETE);
	assert_int_equal(status(&party).bytes_received, (uint64_t)CHUNKS * SIZE);
	end(&party);
}

/* Who began to fetch in between would take the game for whole. */
static void a_state_that_is_over_before_it_was_told_is_not_told(void **state)
{
	struct party party;
	begin(&party, CHUNKS - 1, 0);
	lsp_swarm_game_gained(party.swarm, party.game, CHUNKS - 1, 1);
	lsp_swarm_game_lost(party.swarm, party.game, 3, 1);
	want(&party);
	run(&party, 0);
	assert_int_equal(count(&party, LSP_SWARM_STATE), 1);
	assert_int_equal(find(&party, LSP_SWARM_STATE, 0)->state, LSP_SWARM_WAITING);
	end(&party);
}

static void gained_chunks_are_announced_as_runs_and_lost_ones_withdrawn(void **state)
{
	struct party party;
	begin(&party, 0, 1);
	lsp_swarm_game_gained(party.swarm, party.game, 3, 5);
	run(&party, MS);
	assert_int_equal(count(&party, LSP_SWARM_ANNOUNCE), 1);
	assert_int_equal(find(&party, LSP_SWARM_ANNOUNCE, 0)->first, 3);
	assert_int_equal(find(&party, LSP_SWARM_ANNOUNCE, 0)->count, 5);
	lsp_swarm_game_lost(party.swarm, party.game, 4, 1);
	run(&party, MS);
	assert_int_equal(find(&party, LSP_SWARM_WITHDRAW, 0)->first, 4);
	assert_int_equal(status(&party).chunks_have, 4);
	lsp_swarm_game_lost(party.swarm, party.game, 5, 2);
	lsp_swarm_game_lost(party.swarm, party.game, 7, 1);
	lsp_swarm_game_lost(party.swarm, party.game, 3, 1);
	run(&party, MS);
	assert_int_equal(count(&party, LSP_SWARM_WITHDRAW), 2);
	assert_int_equal(find(&party, LSP_SWARM_WITHDRAW, 0)->first, 5);
	assert_int_equal(find(&party, LSP_SWARM_WITHDRAW, 0)->count, 3);
	assert_int_equal(status(&party).chunks_have, 0);
	end(&party);
}

static void two_downloads_get_the_same(void **state)
{
	struct party party;
	uint64_t got[2] = {0};
	lsp_swarm_id other = begin_with_two_games(&party);
	want(&party);
	lsp_swarm_game_want(party.swarm, other, true);
	run(&party, 0);
	for (int round = 0; round < 6; round++) {
		struct party copy = party;
		party.now += 20 * MS;
		for (size_t i = 0; i < copy.count; i++) {
			if (copy.actions[i].kind != LSP_SWARM_REQUEST)
				continue;
			got[copy.actions[i].game == other] += copy.actions[i].bytes;
			deliver(&party, &copy.actions[i]);
		}
		run(&party, 0);
	}
	assert_true(got[0] > 0 && got[0] <= got[1] + SIZE && got[1] <= got[0] + SIZE);
	end(&party);
}

/* Answers come at once; what is asked for in ten seconds is what the limit allows. */
static double measure_down(struct party *party)
{
	uint64_t bytes = 0;
	lsp_time until = party->now + 10 * LSP_SECOND;
	run(party, 0);
	while (party->now < until) {
		struct party copy = *party;
		for (size_t i = 0; i < copy.count; i++) {
			if (copy.actions[i].kind != LSP_SWARM_REQUEST)
				continue;
			bytes += copy.actions[i].bytes;
			lsp_swarm_received(party->swarm, copy.actions[i].request,
				copy.actions[i].bytes, party->now);
			/* Not kept: there is always something to fetch. */
			lsp_swarm_failed(
				party->swarm, copy.actions[i].request, LSP_SWARM_LOCAL, party->now);
		}
		run(party, 0);
		lsp_time next = lsp_swarm_deadline(party->swarm);
		run(party, next > party->now ? next - party->now : MS);
	}
	return (double)bytes / 10;
}

/* A bucket that cannot hold a byte would never open, and be looked at again at once. */
static void a_limit_of_a_few_bytes_a_second_asks_and_then_waits(void **state)
{
	struct party party;
	struct lsp_swarm_limits limits = {.down = 4, .overhead = 1};
	begin(&party, 0, 1);
	all(&party, 0);
	want(&party);
	lsp_swarm_set_limits(party.swarm, &limits);
	for (int i = 0; i < 20 && !find(&party, LSP_SWARM_REQUEST, 0); i++) {
		run(&party, 25 * MS);
		assert_true(lsp_swarm_deadline(party.swarm) > party.now);
	}
	assert_non_null(find(&party, LSP_SWARM_REQUEST, 0));
	run(&party, MS);
	assert_true(lsp_swarm_deadline(party.swarm) > party.now);
	end(&party);
}

static void the_download_limit_paces_requests(void **state)
{
	struct party party;
	struct lsp_swarm_limits limits = {.down = 300000, .overhead = 1.0};
	begin(&party, 0, 8);
	for (int i = 0; i < 8; i++)
		all(&party, i);
	want(&party);
	lsp_swarm_set_limits(party.swarm, &limits);
	double rate = measure_down(&party);
	assert_true(rate > 270000 && rate < 330000);
	lsp_swarm_set_game_limits(party.swarm, party.game, 150000, 0);
	rate = measure_down(&party);
	assert_true(rate > 120000 && rate < 180000);
	end(&party);
}

/* What is asked for is here 5 ms later, but for chunk 0 at the first peer: that is bounced. */
struct bouncer {
	unsigned bounced, delivered;
	lsp_time bounced_at, soonest_again;
};

static void answer_all(struct party *party, struct bouncer *bouncer)
{
	struct party copy = *party;
	for (size_t i = 0; i < copy.count; i++) {
		const struct lsp_swarm_action *action = &copy.actions[i];
		if (action->kind != LSP_SWARM_REQUEST)
			continue;
		if (action->first != 0) {
			bouncer->delivered++;
			deliver(party, action);
			continue;
		}
		if (bouncer->bounced++)
			bouncer->soonest_again =
				LSP_MIN(bouncer->soonest_again, party->now - bouncer->bounced_at);
		bouncer->bounced_at = party->now;
		lsp_swarm_bounced(party->swarm, action->request, LSP_SWARM_ELSEWHERE,
			LSP_SWARM_NO_HINT, party->now);
	}
}

/* One seeder, who alone has the first chunk, and one who has the rest. */
static void begin_bounces(struct party *party, uint64_t limit)
{
	struct lsp_swarm_limits limits = {.down = limit, .overhead = 1};
	begin(party, 0, 2);
	all(party, 0);
	has(party, 1, 1, CHUNKS - 1);
	lsp_swarm_set_limits(party->swarm, &limits);
	want(party);
}

static void a_limit_is_no_reason_to_ask_for_a_bounced_chunk_again_so_soon(void **state)
{
	struct party party;
	struct bouncer bouncer = {.soonest_again = LSP_TIME_NEVER};
	begin_bounces(&party, 4 * SIZE); /* a chunk takes as long as an idle one waits */
	for (int i = 0; i < 1400; i++) { /* 7 s */
		run(&party, 5 * MS);
		answer_all(&party, &bouncer);
	}
	assert_true(bouncer.delivered > 20 && bouncer.delivered < CHUNKS - 1);
	assert_true(bouncer.bounced >= 3);
	assert_true(bouncer.soonest_again >= 1500 * MS);
	end(&party);
}

/* Once nothing else is left to ask for, with a limit or without. */
static void who_has_nothing_else_to_ask_for_tries_a_bounced_chunk_again_soon(void **state)
{
	for (uint64_t limit = 0; limit <= 100 * SIZE; limit += 100 * SIZE) {
		struct party party;
		struct bouncer bouncer = {.soonest_again = LSP_TIME_NEVER};
		begin_bounces(&party, limit);
		for (int i = 0; i < 600; i++) {
			run(&party, 5 * MS);
			answer_all(&party, &bouncer);
		}
		assert_int_equal(bouncer.delivered, CHUNKS - 1);
		assert_true(bouncer.bounced >= 5);
		end(&party);
	}
}

static void what_was_not_given_is_not_charged_to_the_limit(void **state)
{
	struct party party;
	struct bouncer bouncer = {.soonest_again = LSP_TIME_NEVER};
	begin_bounces(&party, SIZE); /* a chunk a second */
	lsp_time start = party.now;
	while (!bouncer.bounced && party.now < start + 10 * LSP_SECOND) {
		run(&party, 5 * MS);
		answer_all(&party, &bouncer);
	}
	assert_int_equal(bouncer.bounced, 1);
	unsigned before = bouncer.delivered;
	while (bouncer.delivered == before && party.now < start + 20 * LSP_SECOND) {
		run(&party, 5 * MS);
		answer_all(&party, &bouncer);
	}
	assert_true(party.now - bouncer.bounced_at < 100 * MS);
	end(&party);
}

static void a_game_whose_limit_is_spent_neither_holds_up_another_nor_is_forgotten(void **state)
{
	struct party party;
	lsp_time limited_at[3];
	unsigned limited = 0, free_since = 0;
	lsp_swarm_id other = begin_with_two_games(&party);
	lsp_swarm_set_game_limits(party.swarm, party.game, SIZE, 0); /* a chunk a second */
	want(&party);
	lsp_swarm_game_want(party.swarm, other, true);
	while (limited < 3 && party.now < 30 * LSP_SECOND) {
		run(&party, 5 * MS);
		struct party copy = party;
		for (size_t i = 0; i < copy.count; i++) {
			if (copy.actions[i].kind != LSP_SWARM_REQUEST)
				continue;
			if (copy.actions[i].game == party.game && limited < 3)
				limited_at[limited++] = party.now;
			free_since += copy.actions[i].game == other;
			deliver(&party, &copy.actions[i]);
		}
		lsp_swarm_game_lost(party.swarm, other, 0, CHUNKS); /* there is always more */
	}
	assert_int_equal(limited, 3);
	assert_true(limited_at[2] - limited_at[1] < 1100 * MS); /* on time, beside the other */
	assert_true(limited_at[1] - limited_at[0] < 1100 * MS);
	assert_true(free_since > 300);
	end(&party);
}

static void hopeless_answers_make_a_peer_rest(void **state)
{
	struct party party;
	int asked = 0;
	begin(&party, 0, 1);
	all(&party, 0);
	want(&party);
	for (int i = 0; i < 1000; i++) {
		run(&party, 10 * MS);
		const struct lsp_swarm_action *action = find(&party, LSP_SWARM_REQUEST, 0);
		if (action) {
			asked++;
			lsp_swarm_failed(party.swarm, action->request, LSP_SWARM_BROKEN, party.now);
		}
	}
	assert_true(asked > 3 && asked < 14); /* in ten seconds, and probed again to the end */
	end(&party);
}

/* The first answer of each of so many breaks off; how long until the last one is asked again? */
static uint64_t rest_among(int count, bool delivers)
{
	struct party party;
	begin(&party, 0, count);
	for (int i = 0; i < count; i++)
		all(&party, i);
	want(&party);
	run(&party, 0);
	lsp_swarm_id last = party.peers[count - 1];
	if (delivers) {
		deliver(&party, find(&party, LSP_SWARM_REQUEST, last));
		run(&party, MS);
	}
	for (int i = 0; i < count; i++) {
		lsp_swarm_id request =
			find(&party, LSP_SWARM_REQUEST, delivers ? last : party.peers[i])->request;
		lsp_swarm_failed(party.swarm, request, LSP_SWARM_BROKEN, party.now);
		if (delivers)
			break;
	}
	lsp_time since = party.now;
	run(&party, 0);
	while (!find(&party, LSP_SWARM_REQUEST, last) && party.now - since < 20 * LSP_SECOND)
		run(&party, 25 * MS);
	end(&party);
	return party.now - since;
}

static void who_breaks_off_and_gave_nothing_rests_for_longer_the_more_of_them_there_are(
	void **state)
{
	assert_true(rest_among(1, false) <= 25 * MS); /* a bad line may be all that it is */
	assert_in_range(rest_among(3, false), 200 * MS, 250 * MS);
	assert_in_range(rest_among(8, false), 700 * MS, 750 * MS);
	assert_true(rest_among(8, true) <= 25 * MS);
}

/* Bytes asked for in a second, everything coming at once, and never an end of it. */
static uint64_t asked_in_a_second(struct party *party)
{
	uint64_t asked = 0;
	for (lsp_time start = party->now; party->now - start < LSP_SECOND;) {
		run(party, 5 * MS);
		struct party copy = *party;
		for (size_t i = 0; i < copy.count; i++) {
			if (copy.actions[i].kind != LSP_SWARM_REQUEST)
				continue;
			asked += copy.actions[i].bytes;
			deliver(party, &copy.actions[i]);
		}
		lsp_swarm_game_lost(party->swarm, party->game, 0, CHUNKS);
	}
	return asked;
}

static void the_guard_of_a_path_paces_its_requests(void **state)
{
	struct party party;
	begin(&party, 0, 1);
	all(&party, 0);
	want(&party);
	lsp_swarm_peer_guard(party.swarm, party.peers[0], 2000000);
	uint64_t paced = asked_in_a_second(&party);
	assert_true(paced > 1500000 && paced < 2500000);
	lsp_swarm_peer_guard(party.swarm, party.peers[0], LSP_PING_GUARD_FREE);
	assert_true(asked_in_a_second(&party) > 10 * paced);
	end(&party);
}

static void announcements_that_make_no_sense_are_refused(void **state)
{
	struct party party;
	_cleanup_bitmap_ struct lsp_bitmap wrong = {0};
	begin(&party, 0, 1);
	assert_int_equal(lsp_bitmap_init(&wrong, CHUNKS + 1, NULL), 0);
	assert_int_equal(lsp_swarm_peer_has(party.swarm, party.peers[0], party.game, &wrong, NULL),
		-LSP_E_PROTOCOL);
	assert_int_equal(lsp_swarm_peer_gained(party.swarm, party.peers[0], party.game, 0, 1, NULL),
		-LSP_E_NOT_FOUND);
	has(&party, 0, 0, 1);
	assert_int_equal(
		lsp_swarm_peer_gained(party.swarm, party.peers[0], party.game, CHUNKS - 1, 2, NULL),
		-LSP_E_PROTOCOL);
	assert_int_equal(
		lsp_swarm_peer_gained(party.swarm, party.peers[0], party.game, 1, UINT32_MAX, NULL),
		-LSP_E_PROTOCOL);
	check(&party);
	end(&party);
}

static void what_is_gone_is_ignored(void **state)
{
	struct party party;
	begin(&party, 0, 1);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	struct lsp_swarm_action action = *find(&party, LSP_SWARM_REQUEST, 0);
	lsp_swarm_peer_remove(party.swarm, party.peers[0]);
	lsp_swarm_received(party.swarm, action.request, SIZE, party.now);
	lsp_swarm_verified(party.swarm, action.request, action.first, party.now);
	lsp_swarm_rejected(party.swarm, action.request, action.first, party.now);
	lsp_swarm_failed(party.swarm, action.request, LSP_SWARM_BROKEN, party.now);
	lsp_swarm_bounced(party.swarm, action.request, LSP_SWARM_BUSY, 0, party.now);
	lsp_swarm_upload_end(party.swarm, 99, true, party.now);
	lsp_swarm_game_remove(party.swarm, 99);
	run(&party, MS);
	assert_int_equal(status(&party).chunks_have, 0);
	lsp_swarm_game_remove(party.swarm, party.game);
	assert_null(lsp_swarm_game_have(party.swarm, party.game));
	run(&party, MS);
	end(&party);
}

static void availability_is_that_of_the_rarest_chunk_of_a_range(void **state)
{
	struct party party;
	begin(&party, 0, 3);
	all(&party, 0);
	has(&party, 1, 2, 4);
	has(&party, 2, 4, 2);
	assert_int_equal(lsp_swarm_game_availability(party.swarm, party.game, 0, 2), 1);
	assert_int_equal(lsp_swarm_game_availability(party.swarm, party.game, 2, 2), 2);
	assert_int_equal(lsp_swarm_game_availability(party.swarm, party.game, 4, 2), 3);
	assert_int_equal(lsp_swarm_game_availability(party.swarm, party.game, 2, 4), 2);
	assert_int_equal(lsp_swarm_game_availability(party.swarm, party.game, 2, 5), 1);
	assert_int_equal(lsp_swarm_game_availability(party.swarm, party.game, 2, 0), 0);
	assert_int_equal(lsp_swarm_game_availability(party.swarm, party.game, CHUNKS - 1, 2), 0);
	assert_int_equal(lsp_swarm_game_availability(party.swarm, 4711, 0, 1), 0);
	end(&party);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_source_gives_everything_and_each_chunk_is_asked_once),
		cmocka_unit_test(nothing_is_asked_before_it_is_wanted_nor_after),
		cmocka_unit_test(the_rarest_chunk_is_asked_first),
		cmocka_unit_test(an_unknown_peer_gets_one_request_and_a_fast_one_a_window),
		cmocka_unit_test(small_neighbours_go_in_one_request),
		cmocka_unit_test(a_chunk_is_tried_three_times_at_a_peer_then_the_download_fails),
		cmocka_unit_test(
			a_chunk_is_tried_three_times_at_a_peer_while_another_holder_is_left),
		cmocka_unit_test(another_holder_keeps_a_download_from_failing),
		cmocka_unit_test(who_sends_a_bad_chunk_is_dropped_until_it_announces_anew),
		cmocka_unit_test(
			who_never_sent_a_good_chunk_is_not_asked_at_once_when_it_announces_anew),
		cmocka_unit_test(a_liar_that_comes_back_stays_a_liar_for_longer_each_time),
		cmocka_unit_test(a_false_have_costs_one_question),
		cmocka_unit_test(all_gone_is_said_once_and_it_goes_on_by_itself),
		cmocka_unit_test(a_state_that_is_over_before_it_was_told_is_not_told),
		cmocka_unit_test(gained_chunks_are_announced_as_runs_and_lost_ones_withdrawn),
		cmocka_unit_test(two_downloads_get_the_same),
		cmocka_unit_test(a_limit_of_a_few_bytes_a_second_asks_and_then_waits),
		cmocka_unit_test(the_download_limit_paces_requests),
		cmocka_unit_test(a_limit_is_no_reason_to_ask_for_a_bounced_chunk_again_so_soon),
		cmocka_unit_test(who_has_nothing_else_to_ask_for_tries_a_bounced_chunk_again_soon),
		cmocka_unit_test(what_was_not_given_is_not_charged_to_the_limit),
		cmocka_unit_test(
			a_game_whose_limit_is_spent_neither_holds_up_another_nor_is_forgotten),
		cmocka_unit_test(hopeless_answers_make_a_peer_rest),
		cmocka_unit_test(
			who_breaks_off_and_gave_nothing_rests_for_longer_the_more_of_them_there_are),
		cmocka_unit_test(the_guard_of_a_path_paces_its_requests),
		cmocka_unit_test(announcements_that_make_no_sense_are_refused),
		cmocka_unit_test(what_is_gone_is_ignored),
		cmocka_unit_test(availability_is_that_of_the_rarest_chunk_of_a_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
