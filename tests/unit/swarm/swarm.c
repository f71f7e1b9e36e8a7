/* One rule of the state machine a test. The clock is a number, the other side is this file. */
#include "swarm/swarm.h"
#include "base/cleanup.h"
#include "swarm/ping_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CHUNKS 40
#define SIZE (256u << 10)
#define MS LSP_MILLISECOND

struct party {
	struct lsp_swarm *swarm;
	lsp_swarm_id game, peers[8];
	lsp_time now;
	struct lsp_swarm_action actions[1024];
	size_t count;
};

static uint32_t sizes[CHUNKS];

static lsp_swarm_id add_game(struct party *party, uint32_t here)
{
	struct lsp_bitmap have;
	lsp_swarm_id game;
	for (uint32_t i = 0; i < CHUNKS; i++)
		sizes[i] = SIZE;
	assert_int_equal(lsp_bitmap_init(&have, CHUNKS, NULL), 0);
	for (uint32_t i = 0; i < here; i++)
		lsp_bitmap_set(&have, i);
	assert_int_equal(
		lsp_swarm_game_add(party->swarm, CHUNKS, sizes, &have, NULL, &game, NULL), 0);
	lsp_bitmap_done(&have);
	return game;
}

static void begin(struct party *party, uint32_t here, int peers)
{
	memset(party, 0, sizeof(*party));
	party->now = 10 * LSP_SECOND;
	assert_int_equal(lsp_swarm_new(1, party->now, &party->swarm, NULL), 0);
	party->game = add_game(party, here);
	for (int i = 0; i < peers; i++)
		assert_int_equal(
			lsp_swarm_peer_add(party->swarm, 100 + i, NULL, &party->peers[i], NULL), 0);
}

static void check(struct party *party)
{
	char text[128] = "";
	if (!lsp_swarm_check(party->swarm, text))
		fail_msg("%s", text);
}

static void run(struct party *party, uint64_t later)
{
	party->now += later;
	lsp_swarm_run(party->swarm, party->now);
	party->count = 0;
	while (party->count < LSP_ARRAY_SIZE(party->actions) &&
		lsp_swarm_next_action(party->swarm, &party->actions[party->count]))
		party->count++;
	check(party);
}

static void end(struct party *party)
{
	lsp_swarm_free(party->swarm);
}

static size_t count(const struct party *party, enum lsp_swarm_action_kind kind)
{
	size_t found = 0;
	for (size_t i = 0; i < party->count; i++)
		found += party->actions[i].kind == kind;
	return found;
}

static const struct lsp_swarm_action *find(
	const struct party *party, enum lsp_swarm_action_kind kind, lsp_swarm_id peer)
{
	for (size_t i = 0; i < party->count; i++)
		if (party->actions[i].kind == kind && (!peer || party->actions[i].peer == peer))
			return &party->actions[i];
	return NULL;
}

static struct lsp_swarm_game_status status(const struct party *party)
{
	struct lsp_swarm_game_status result;
	assert_int_equal(lsp_swarm_game_status(party->swarm, party->game, &result), 0);
	return result;
}

static void all(struct party *party, int peer)
{
	assert_int_equal(
		lsp_swarm_peer_has_all(party->swarm, party->peers[peer], party->game, NULL), 0);
}

static void has(struct party *party, int peer, uint32_t first, uint32_t number)
{
	struct lsp_bitmap have;
	assert_int_equal(lsp_bitmap_init(&have, CHUNKS, NULL), 0);
	for (uint32_t i = first; i < first + number; i++)
		lsp_bitmap_set(&have, i);
	assert_int_equal(
		lsp_swarm_peer_has(party->swarm, party->peers[peer], party->game, &have, NULL), 0);
	lsp_bitmap_done(&have);
}

static void deliver(struct party *party, const struct lsp_swarm_action *action)
{
	lsp_swarm_received(party->swarm, action->request, action->bytes, party->now);
	for (uint32_t i = 0; i < action->count; i++)
		lsp_swarm_verified(party->swarm, action->request, action->first + i, party->now);
}

/* Everything that is asked for comes 5 ms later, until nothing is asked for any more. */
static void serve(struct party *party)
{
	for (int round = 0; round < 1000 && count(party, LSP_SWARM_REQUEST); round++) {
		struct party copy = *party;
		party->now += 5 * MS;
		for (size_t i = 0; i < copy.count; i++)
			if (copy.actions[i].kind == LSP_SWARM_REQUEST)
				deliver(party, &copy.actions[i]);
		run(party, 0);
	}
}

static void want(struct party *party)
{
	lsp_swarm_game_want(party->swarm, party->game, true);
}

/* ---- Fetching -------------------------------------------------------------------------------- */

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
	assert_int_equal(status(&party).bytes_wasted, SIZE);
	all(&party, 0);
	run(&party, MS);
	assert_non_null(find(&party, LSP_SWARM_REQUEST, party.peers[0]));
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
	end(&party);
}

static void two_downloads_get_the_same(void **state)
{
	struct party party;
	uint64_t got[2] = {0};
	begin(&party, 0, 1);
	lsp_swarm_id other = add_game(&party, 0);
	all(&party, 0);
	assert_int_equal(lsp_swarm_peer_has_all(party.swarm, party.peers[0], other, NULL), 0);
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

/* ---- Serving --------------------------------------------------------------------------------- */

static int ask(struct party *party, int peer, uint32_t chunk, bool insist, lsp_swarm_id *ret_id)
{
	return lsp_swarm_upload_add(party->swarm, party->peers[peer], party->game, chunk, 1, insist,
		NULL, party->now, ret_id, NULL);
}

static void a_seeder_gives_each_chunk_once_and_names_one_that_nobody_has(void **state)
{
	struct party party;
	lsp_swarm_id first, second, third;
	begin(&party, CHUNKS, 3);
	for (int i = 0; i < 3; i++)
		has(&party, i, 0, 0);
	assert_int_equal(ask(&party, 0, 7, false, &first), 0);
	assert_int_equal(ask(&party, 1, 7, false, &second), 0);
	run(&party, 0);
	assert_int_equal(find(&party, LSP_SWARM_UPLOAD_START, 0)->request, first);
	const struct lsp_swarm_action *bounced = find(&party, LSP_SWARM_UPLOAD_BOUNCE, 0);
	assert_int_equal(bounced->request, second);
	assert_int_equal(bounced->bounce, LSP_SWARM_ELSEWHERE);
	assert_true(bounced->hint < CHUNKS && bounced->hint != 7);
	/* Who insists is served all the same. */
	assert_int_equal(ask(&party, 2, 7, true, &third), 0);
	run(&party, MS);
	assert_int_equal(find(&party, LSP_SWARM_UPLOAD_START, 0)->request, third);
	end(&party);
}

static void a_chunk_that_was_given_and_never_announced_is_fresh_again(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	begin(&party, CHUNKS, 2);
	has(&party, 0, 0, 0);
	has(&party, 1, 0, 0);
	assert_int_equal(ask(&party, 0, 7, false, &upload), 0);
	run(&party, 0);
	lsp_swarm_upload_end(party.swarm, upload, true, party.now);
	assert_int_equal(ask(&party, 1, 7, false, &upload), 0);
	run(&party, 100 * MS);
	assert_non_null(find(&party, LSP_SWARM_UPLOAD_BOUNCE, 0));
	/* A request that waits keeps the clock going. */
	for (int i = 0; i < 200; i++)
		run(&party, 25 * MS);
	assert_int_equal(ask(&party, 1, 30, false, &upload), 0);
	run(&party, 0);
	run(&party, 300 * MS);
	assert_int_equal(ask(&party, 1, 7, false, &upload), 0);
	run(&party, 0);
	assert_non_null(find(&party, LSP_SWARM_UPLOAD_START, 0));
	end(&party);
}

static void a_bounced_request_takes_the_hint_and_asks_again_later_with_insist(void **state)
{
	struct party party;
	begin(&party, CHUNKS - 2, 1);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	struct lsp_swarm_action action = *find(&party, LSP_SWARM_REQUEST, 0);
	uint32_t other = action.first == CHUNKS - 1 ? CHUNKS - 2 : CHUNKS - 1;
	assert_false(action.insist);
	lsp_swarm_bounced(party.swarm, action.request, LSP_SWARM_ELSEWHERE, other, party.now);
	run(&party, MS);
	const struct lsp_swarm_action *again = find(&party, LSP_SWARM_REQUEST, 0);
	assert_non_null(again);
	assert_int_equal(again->first, other);
	deliver(&party, again);
	lsp_time since = party.now;
	run(&party, MS);
	for (int i = 0; i < 1000 && !find(&party, LSP_SWARM_REQUEST, 0); i++)
		run(&party, 25 * MS);
	again = find(&party, LSP_SWARM_REQUEST, 0);
	assert_non_null(again);
	assert_int_equal(again->first, action.first);
	assert_true(again->insist); /* nobody else has it */
	assert_true(party.now - since < 3 * LSP_SECOND);
	end(&party);
}

static void nobody_starves_beside_a_flooder(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	int served = 0;
	begin(&party, CHUNKS, 2);
	has(&party, 1, 0, 30); /* asks for common chunks only */
	for (int round = 0; round < 200 && served < 10; round++) {
		while (ask(&party, 0, round % CHUNKS, true, &upload) == 0)
			;
		if (!round)
			for (uint32_t i = 30; i < CHUNKS; i++)
				assert_int_equal(ask(&party, 1, i, true, &upload), 0);
		run(&party, 10 * MS);
		for (size_t i = 0; i < party.count; i++) {
			if (party.actions[i].kind != LSP_SWARM_UPLOAD_START)
				continue;
			served += party.actions[i].peer == party.peers[1];
			lsp_swarm_upload_sent(
				party.swarm, party.actions[i].request, SIZE, party.now);
			lsp_swarm_upload_end(
				party.swarm, party.actions[i].request, true, party.now);
		}
	}
	assert_int_equal(served, 10);
	assert_int_equal(ask(&party, 0, 0, true, &upload), 0);
	end(&party);
}

static void few_uploads_run_at_once_and_the_queue_of_a_peer_ends(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	begin(&party, CHUNKS, 1);
	for (int i = 0; i < LSP_SWARM_UPLOAD_QUEUE_MAX; i++)
		assert_int_equal(ask(&party, 0, i % CHUNKS, false, &upload), 0);
	assert_int_equal(ask(&party, 0, 0, false, &upload), -LSP_E_BUSY);
	run(&party, 0);
	assert_int_equal(count(&party, LSP_SWARM_UPLOAD_START), LSP_SWARM_UPLOAD_SLOTS);
	end(&party);
}

static void requests_for_what_is_not_here_are_refused(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	begin(&party, 10, 1);
	assert_int_equal(ask(&party, 0, 10, false, &upload), -LSP_E_NOT_FOUND);
	assert_int_equal(ask(&party, 0, CHUNKS, false, &upload), -LSP_E_PROTOCOL);
	assert_int_equal(lsp_swarm_upload_add(party.swarm, party.peers[0], party.game, 1,
				 UINT32_MAX, false, NULL, party.now, &upload, NULL),
		-LSP_E_PROTOCOL);
	assert_int_equal(lsp_swarm_upload_add(party.swarm, 12345, party.game, 1, 1, false, NULL,
				 party.now, &upload, NULL),
		-LSP_E_NOT_FOUND);
	end(&party);
}

static void paused_uploads_are_bounced_and_running_ones_stopped(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	struct lsp_swarm_limits limits = {.overhead = 1, .pause_uploads = true};
	begin(&party, CHUNKS, 1);
	assert_int_equal(ask(&party, 0, 1, false, &upload), 0);
	run(&party, 0);
	assert_int_equal(count(&party, LSP_SWARM_UPLOAD_START), 1);
	lsp_swarm_set_limits(party.swarm, &limits);
	assert_int_equal(ask(&party, 0, 2, false, &upload), 0);
	run(&party, MS);
	assert_int_equal(find(&party, LSP_SWARM_UPLOAD_BOUNCE, 0)->bounce, LSP_SWARM_PAUSED);
	bool stopped = false;
	for (int i = 0; i < 80 && !stopped; i++) {
		run(&party, 25 * MS);
		stopped = find(&party, LSP_SWARM_UPLOAD_STOP, 0);
	}
	assert_true(stopped);
	end(&party);
}

static void the_upload_limit_paces_grants(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	struct lsp_swarm_limits limits = {.up = 1000000, .overhead = 1.25};
	begin(&party, CHUNKS, 1);
	lsp_swarm_set_limits(party.swarm, &limits);
	assert_int_equal(ask(&party, 0, 1, false, &upload), 0);
	run(&party, 0);
	uint64_t sent = 0;
	lsp_time start = party.now, again;
	while (party.now - start < 4 * LSP_SECOND) {
		uint64_t bytes =
			lsp_swarm_upload_grant(party.swarm, upload, 16384, party.now, &again);
		sent += bytes / 2;
		lsp_swarm_upload_unused(party.swarm, upload, bytes - bytes / 2);
		lsp_swarm_upload_sent(party.swarm, upload, bytes / 2, party.now);
		if (!bytes) {
			assert_true(again > party.now && again < party.now + LSP_SECOND);
			party.now = again;
		}
	}
	assert_true(sent > 4 * 760000 && sent < 4 * 840000); /* 0.8 MB/s of payload */
	end(&party);
}

static void the_guard_of_a_path_paces_its_grants(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	lsp_time again;
	begin(&party, CHUNKS, 1);
	assert_int_equal(ask(&party, 0, 1, false, &upload), 0);
	run(&party, 0);
	assert_int_equal(
		lsp_swarm_upload_grant(party.swarm, upload, 16384, party.now, &again), 16384);
	lsp_swarm_peer_guard(party.swarm, party.peers[0], LSP_PING_GUARD_FREE, 2000000);
	uint64_t sent = 0;
	lsp_time start = party.now;
	while (party.now - start < LSP_SECOND) {
		uint64_t bytes =
			lsp_swarm_upload_grant(party.swarm, upload, 16384, party.now, &again);
		sent += bytes;
		assert_true(bytes <= 8192); /* never a burst that would make a queue */
		if (!bytes)
			party.now = again;
	}
	assert_true(sent > 1900000 && sent < 2100000);
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

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_source_gives_everything_and_each_chunk_is_asked_once),
		T(nothing_is_asked_before_it_is_wanted_nor_after),
		T(the_rarest_chunk_is_asked_first),
		T(an_unknown_peer_gets_one_request_and_a_fast_one_a_window),
		T(small_neighbours_go_in_one_request),
		T(a_chunk_is_tried_three_times_at_a_peer_then_the_download_fails),
		T(another_holder_keeps_a_download_from_failing),
		T(who_sends_a_bad_chunk_is_dropped_until_it_announces_anew),
		T(a_liar_that_comes_back_stays_a_liar_for_longer_each_time),
		T(a_false_have_costs_one_question),
		T(a_staller_loses_its_chunk_and_rests_ever_longer),
		T(at_the_end_a_chunk_moves_from_a_staller_to_one_that_delivers),
		T(a_sleep_of_a_minute_blames_nobody),
		T(all_gone_is_said_once_and_it_goes_on_by_itself),
		T(gained_chunks_are_announced_as_runs_and_lost_ones_withdrawn),
		T(two_downloads_get_the_same),
		T(the_download_limit_paces_requests),
		T(hopeless_answers_make_a_peer_rest),
		T(a_seeder_gives_each_chunk_once_and_names_one_that_nobody_has),
		T(a_chunk_that_was_given_and_never_announced_is_fresh_again),
		T(a_bounced_request_takes_the_hint_and_asks_again_later_with_insist),
		T(nobody_starves_beside_a_flooder),
		T(few_uploads_run_at_once_and_the_queue_of_a_peer_ends),
		T(requests_for_what_is_not_here_are_refused),
		T(paused_uploads_are_bounced_and_running_ones_stopped),
		T(the_upload_limit_paces_grants),
		T(the_guard_of_a_path_paces_its_grants),
		T(announcements_that_make_no_sense_are_refused),
		T(what_is_gone_is_ignored),
		T(availability_is_that_of_the_rarest_chunk_of_a_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
