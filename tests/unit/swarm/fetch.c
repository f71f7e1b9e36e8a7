/* Whom to ask for what: chance among equals, the slow, and how much at once. */
#include "party.h"

#define SEEDS 16

static void equal_chunks_and_equal_peers_are_chosen_by_chance(void **state)
{
	uint64_t seeder = 0, few = 0, peers = 0; /* a bit for each that was first */
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct party party;
		begin_seeded(&party, seed, 0, 8);
		for (int i = 0; i < 8; i++)
			all(&party, i);
		want(&party);
		run(&party, 0);
		seeder |= UINT64_C(1) << find(&party, LSP_SWARM_REQUEST, 0)->first;
		peers |= UINT64_C(1) << find(&party, LSP_SWARM_REQUEST, 0)->peer % 64;
		end(&party);
		begin_seeded(&party, seed, 0, 1);
		has(&party, 0, 20, 15);
		want(&party);
		run(&party, 0);
		few |= UINT64_C(1) << find(&party, LSP_SWARM_REQUEST, 0)->first;
		end(&party);
	}
	assert_true(__builtin_popcountll(seeder) > SEEDS / 4);
	assert_true(__builtin_popcountll(few) > SEEDS / 4);
	assert_true(__builtin_popcountll(peers) > 3);
}

static void a_hint_is_asked_for_before_anything_else(void **state)
{
	for (uint32_t hint = 0; hint < CHUNKS; hint += 7) {
		struct party party;
		begin(&party, 0, 1);
		all(&party, 0);
		want(&party);
		run(&party, 0);
		struct lsp_swarm_action action = *find(&party, LSP_SWARM_REQUEST, 0);
		uint32_t named = action.first == hint ? hint + 1 : hint;
		lsp_swarm_bounced(
			party.swarm, action.request, LSP_SWARM_ELSEWHERE, named, party.now);
		run(&party, MS);
		assert_int_equal(find(&party, LSP_SWARM_REQUEST, 0)->first, named);
		end(&party);
	}
}

/* A game of one chunk that this peer alone has: how quick it is is known then. */
static void prove(struct party *party, int peer, uint64_t takes)
{
	lsp_swarm_id game = add_game(party, CHUNKS - 1);
	assert_int_equal(lsp_swarm_peer_has_all(party->swarm, party->peers[peer], game, NULL), 0);
	lsp_swarm_game_want(party->swarm, game, true);
	run(party, 0);
	struct lsp_swarm_action action = *find(party, LSP_SWARM_REQUEST, party->peers[peer]);
	party->now += takes;
	deliver(party, &action);
	run(party, 0);
}

/* Both have room for it all, so it is not the windows that decide. */
static void who_is_quick_is_asked_where_a_limit_lets_few_requests_go(void **state)
{
	struct party party;
	unsigned asked[2] = {0};
	struct lsp_swarm_limits limits = {.down = 5 * SIZE, .overhead = 1};
	begin(&party, 0, 2);
	prove(&party, 0, 2 * MS);
	prove(&party, 1, 150 * MS);
	all(&party, 0);
	all(&party, 1);
	lsp_swarm_set_limits(party.swarm, &limits);
	want(&party);
	for (int i = 0; i < 500; i++) {
		run(&party, 10 * MS);
		for (struct party copy = party; copy.count--;) {
			const struct lsp_swarm_action *action = &copy.actions[copy.count];
			if (action->kind != LSP_SWARM_REQUEST)
				continue;
			bool slow = action->peer == party.peers[1];
			asked[slow]++;
			party.now += slow ? 150 * MS : 2 * MS;
			deliver(&party, action);
		}
	}
	assert_true(asked[0] > 15 && asked[1] <= 1);
	end(&party);
}

static void near_the_end_nothing_is_asked_of_one_who_would_be_the_last(void **state)
{
	struct party party;
	begin(&party, 0, 2);
	prove(&party, 0, 50 * MS); /* two at once are all that its window has */
	prove(&party, 1, 4 * LSP_SECOND);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	while (status(&party).state != LSP_SWARM_COMPLETE) {
		if (status(&party).chunks_have > CHUNKS - 12)
			all(&party, 1);
		assert_null(find(&party, LSP_SWARM_REQUEST, party.peers[1]));
		struct party copy = party;
		for (size_t i = 0; i < copy.count; i++) {
			if (copy.actions[i].kind != LSP_SWARM_REQUEST)
				continue;
			party.now += 50 * MS;
			deliver(&party, &copy.actions[i]);
		}
		run(&party, MS);
	}
	end(&party);
}

/* ---- How much at once ------------------------------------------------------------------------ */

static void a_slow_line_has_sixteen_requests_in_flight(void **state)
{
	struct party party;
	begin(&party, 0, 8);
	for (int i = 0; i < 8; i++) {
		all(&party, i);
		lsp_swarm_peer_rtt(party.swarm, party.peers[i], 250 * MS);
	}
	want(&party);
	run(&party, 0);
	struct party copy = party;
	party.now += 130 * MS; /* 2 MB/s from each: four requests by its window */
	for (size_t i = 0; i < copy.count; i++)
		if (copy.actions[i].kind == LSP_SWARM_REQUEST)
			deliver(&party, &copy.actions[i]);
	run(&party, 0);
	assert_int_equal(status(&party).in_flight, LSP_SWARM_PARALLEL);
	end(&party);
}

/* 2 MB/s, as one request showed: how many of its chunks fly then? */
static uint32_t window_at(uint64_t rtt)
{
	struct party party;
	begin(&party, 0, 1);
	lsp_swarm_peer_rtt(party.swarm, party.peers[0], rtt);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	struct lsp_swarm_action action = *find(&party, LSP_SWARM_REQUEST, 0);
	party.now += 130 * MS;
	deliver(&party, &action);
	run(&party, 0);
	uint32_t in_flight = status(&party).in_flight;
	end(&party);
	return in_flight;
}

static void what_a_long_round_trip_holds_is_asked_for_too(void **state)
{
	assert_int_equal(window_at(MS), 2);              /* 165 kB: the least */
	assert_int_equal(window_at(140 * MS), 2);        /* 726 kB */
	assert_int_equal(window_at(250 * MS), 4);        /* 1169 kB */
	assert_int_equal(window_at(60 * LSP_SECOND), 4); /* taken for 250 ms */
}

/* Most of a chunk was here already, and the rest came. */
static void who_gave_the_missing_part_of_a_chunk_is_asked_for_more_at_once(void **state)
{
	struct party party;
	begin(&party, 0, 1);
	all(&party, 0);
	want(&party);
	run(&party, 0);
	assert_int_equal(status(&party).in_flight, 1);
	struct lsp_swarm_action action = *find(&party, LSP_SWARM_REQUEST, 0);
	party.now += 50 * MS;
	lsp_swarm_received(party.swarm, action.request, 20000, party.now);
	lsp_swarm_verified(party.swarm, action.request, action.first, party.now);
	run(&party, 0);
	assert_int_equal(status(&party).in_flight, 2);
	end(&party);
}

#define MANY 4000

/* A game of many chunks that all eight peers have. */
static lsp_swarm_id begin_many(struct party *party)
{
	static uint32_t sizes[MANY];
	lsp_swarm_id game;
	for (size_t i = 0; i < MANY; i++)
		sizes[i] = SIZE;
	begin(party, 0, 8);
	assert_int_equal(lsp_swarm_game_add(party->swarm, MANY, sizes, NULL, NULL, &game, NULL), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(
			lsp_swarm_peer_has_all(party->swarm, party->peers[i], game, NULL), 0);
	lsp_swarm_game_want(party->swarm, game, true);
	run(party, 0);
	return game;
}

static void the_fastest_line_has_an_end_of_requests_too(void **state)
{
	struct party party;
	struct lsp_swarm_game_status status;
	uint32_t most = 0;
	lsp_swarm_id game = begin_many(&party);
	do {
		struct party copy = party;
		party.now += MS / 10;
		for (size_t i = 0; i < copy.count; i++)
			if (copy.actions[i].kind == LSP_SWARM_REQUEST)
				deliver(&party, &copy.actions[i]);
		run(&party, 0);
		assert_int_equal(lsp_swarm_game_status(party.swarm, game, &status), 0);
		most = LSP_MAX(most, status.in_flight);
	} while (status.state != LSP_SWARM_COMPLETE);
	assert_int_equal(most, LSP_SWARM_PARALLEL_MAX);
	end(&party);
}

/* Runs for so long; what the peer is asked for comes, everybody else gives nothing. */
static unsigned pass_among_stallers(struct party *party, lsp_swarm_id honest, uint64_t time)
{
	unsigned given = 0;
	for (lsp_time until = party->now + time; party->now < until;) {
		run(party, 25 * MS);
		struct party copy = *party;
		for (size_t i = 0; i < copy.count; i++) {
			if (copy.actions[i].kind != LSP_SWARM_REQUEST ||
				copy.actions[i].peer != honest)
				continue;
			deliver(party, &copy.actions[i]);
			given++;
		}
	}
	return given;
}

static void add_holders(struct party *party, lsp_swarm_id game, int number)
{
	lsp_swarm_id peer;
	for (int i = 0; i < number; i++) {
		assert_int_equal(lsp_swarm_peer_add(party->swarm, 1000 + i, NULL, &peer, NULL), 0);
		assert_int_equal(lsp_swarm_peer_has_all(party->swarm, peer, game, NULL), 0);
	}
}

static void stallers_take_no_place_from_who_gives(void **state)
{
	struct party party;
	lsp_swarm_id game = begin_many(&party), honest;
	add_holders(&party, game, LSP_SWARM_PARALLEL_MAX + 64);
	(void)pass_among_stallers(&party, 0, 8 * LSP_SECOND);
	assert_int_equal(lsp_swarm_peer_add(party.swarm, 99, NULL, &honest, NULL), 0);
	assert_int_equal(lsp_swarm_peer_has_all(party.swarm, honest, game, NULL), 0);
	assert_true(pass_among_stallers(&party, honest, 250 * MS) >= 10);
	end(&party);
}

static void requests_at_stallers_have_an_end_however_many_there_are(void **state)
{
	struct party party;
	struct lsp_swarm_game_status status;
	struct lsp_swarm_action action;
	uint32_t most = 0;
	lsp_swarm_id game = begin_many(&party);
	add_holders(&party, game, 2 * LSP_SWARM_REQUESTS_MAX);
	for (int i = 0; i < 600; i++) {
		lsp_swarm_run(party.swarm, party.now += 100 * MS);
		while (lsp_swarm_next_action(party.swarm, &action))
			;
		assert_int_equal(lsp_swarm_game_status(party.swarm, game, &status), 0);
		most = LSP_MAX(most, status.in_flight);
	}
	check(&party);
	assert_int_equal(most, LSP_SWARM_REQUESTS_MAX);
	end(&party);
}

/* The disk hangs: what came and is not verified stays bounded, however many give. */
static void what_is_not_verified_yet_is_bounded_whatever_the_number_of_peers(void **state)
{
	struct party party;
	struct lsp_swarm_action one = {0};
	unsigned asked = 0;
	(void)begin_many(&party);
	for (int i = 0; i < 2000; i++) {
		struct party copy = party;
		for (size_t a = 0; a < copy.count; a++) {
			if (copy.actions[a].kind != LSP_SWARM_REQUEST)
				continue;
			asked++;
			one = copy.actions[a];
			lsp_swarm_received(party.swarm, one.request, one.bytes, party.now);
		}
		run(&party, MS);
	}
	assert_in_range(asked, 64, 256 + LSP_SWARM_PARALLEL_MAX);
	unsigned before = asked;
	lsp_swarm_verified(party.swarm, one.request, one.first, party.now);
	run(&party, MS);
	assert_true(count(&party, LSP_SWARM_REQUEST) > 0 || before > 256);
	end(&party);
}

/* ---- Announcements, and games ---------------------------------------------------------------- */

static void haves_are_gathered_and_none_waits_for_long(void **state)
{
	struct party party;
	unsigned rounds = 0, announced = 0;
	begin(&party, 0, 8);
	for (int i = 0; i < 8; i++)
		has(&party, i, 0, 0);
	for (uint32_t i = 0; i < 270; i++) {
		if (i < 200 && i % 5 == 0) /* one chunk each 5 ms, all apart from each other */
			lsp_swarm_game_gained(party.swarm, party.game, i / 5 * 7 % CHUNKS, 1);
		run(&party, MS);
		rounds += count(&party, LSP_SWARM_ANNOUNCE) > 0;
		for (size_t a = 0; a < party.count; a++)
			if (party.actions[a].kind == LSP_SWARM_ANNOUNCE)
				announced += party.actions[a].count;
	}
	assert_int_equal(announced, CHUNKS);
	assert_in_range(rounds, 3, CHUNKS / 3);
	end(&party);
}

static void a_download_that_begins_later_does_not_catch_up_at_the_others_cost(void **state)
{
	struct party party;
	unsigned asked[2] = {0};
	lsp_swarm_id other = begin_with_two_games(&party);
	want(&party);
	run(&party, 0);
	for (int i = 0; i < 40; i++) {
		struct party copy = party;
		if (status(&party).chunks_have > CHUNKS / 2)
			lsp_swarm_game_want(party.swarm, other, true);
		party.now += 100 * MS;
		for (size_t a = 0; a < copy.count; a++) {
			if (copy.actions[a].kind != LSP_SWARM_REQUEST)
				continue;
			asked[copy.actions[a].game == other]++;
			deliver(&party, &copy.actions[a]);
		}
		run(&party, 0);
		if (status(&party).state == LSP_SWARM_COMPLETE)
			break;
	}
	assert_in_range(asked[1], CHUNKS / 2 - 6, CHUNKS / 2 + 4);
	end(&party);
}

/* Its limit is spent while another game is fetched; then the limit is lifted. */
static void a_game_that_could_not_use_its_turns_does_not_save_them_up(void **state)
{
	struct party party;
	unsigned asked = 0, in_a_row = 0;
	bool other_again = false;
	lsp_swarm_id other = begin_with_two_games(&party);
	lsp_swarm_set_game_limits(party.swarm, party.game, 1, 0);
	want(&party);
	lsp_swarm_game_want(party.swarm, other, true);
	for (int i = 0; i < 1000 && !other_again; i++) {
		run(&party, 5 * MS);
		struct party copy = party;
		for (size_t a = 0; a < copy.count && !other_again; a++) {
			if (copy.actions[a].kind != LSP_SWARM_REQUEST)
				continue;
			bool its = copy.actions[a].game == party.game;
			other_again = asked >= 200 && !its && in_a_row;
			in_a_row += asked >= 200 && its;
			asked += !its;
			deliver(&party, &copy.actions[a]);
		}
		if (asked >= 200)
			lsp_swarm_set_game_limits(party.swarm, party.game, 0, 0);
		lsp_swarm_game_lost(party.swarm, other, 0, CHUNKS); /* there is always more */
		lsp_swarm_game_lost(party.swarm, party.game, 0, CHUNKS);
	}
	assert_true(other_again);
	assert_in_range(in_a_row, 1, 34); /* 8 MiB, of more than 50 */
	end(&party);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_chunks_and_equal_peers_are_chosen_by_chance),
		cmocka_unit_test(a_hint_is_asked_for_before_anything_else),
		cmocka_unit_test(who_is_quick_is_asked_where_a_limit_lets_few_requests_go),
		cmocka_unit_test(near_the_end_nothing_is_asked_of_one_who_would_be_the_last),
		cmocka_unit_test(a_slow_line_has_sixteen_requests_in_flight),
		cmocka_unit_test(what_a_long_round_trip_holds_is_asked_for_too),
		cmocka_unit_test(who_gave_the_missing_part_of_a_chunk_is_asked_for_more_at_once),
		cmocka_unit_test(the_fastest_line_has_an_end_of_requests_too),
		cmocka_unit_test(stallers_take_no_place_from_who_gives),
		cmocka_unit_test(requests_at_stallers_have_an_end_however_many_there_are),
		cmocka_unit_test(what_is_not_verified_yet_is_bounded_whatever_the_number_of_peers),
		cmocka_unit_test(haves_are_gathered_and_none_waits_for_long),
		cmocka_unit_test(a_download_that_begins_later_does_not_catch_up_at_the_others_cost),
		cmocka_unit_test(a_game_that_could_not_use_its_turns_does_not_save_them_up),
	};
	return cmocka_run_group_tests_name("swarm/fetch", tests, NULL, NULL);
}
