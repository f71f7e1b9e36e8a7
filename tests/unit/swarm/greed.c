/* Who takes more than it gives on, and what that costs it. */
#include "party.h"

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

/* Starts of the first and of the second peer; all that starts is over at once, so much of each
 * sent. */
static void serve_started(struct party *party, uint64_t bytes, unsigned *started)
{
	run(party, 10 * MS);
	for (size_t i = 0; i < party->count; i++) {
		const struct lsp_swarm_action *action = &party->actions[i];
		if (action->kind != LSP_SWARM_UPLOAD_START)
			continue;
		started[action->peer == party->peers[1]]++;
		lsp_swarm_upload_sent(party->swarm, action->request, bytes, party->now);
		lsp_swarm_upload_end(party->swarm, action->request, true, party->now);
	}
}

/* A flooder keeps its queue full; then comes one who asks for one chunk after the other. */
static void who_takes_and_does_not_tell_has_one_slot_while_others_ask(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	unsigned alone[2] = {0}, beside[2] = {0}, after[2] = {0};
	begin(&party, CHUNKS, 2);
	has(&party, 1, 0, 0);
	for (uint32_t i = 0; i < 100; i++) {
		while (ask(&party, 0, i % CHUNKS, true, &upload) == 0)
			;
		bool together = i >= 10 && i < 10 + CHUNKS;
		if (together)
			assert_int_equal(ask(&party, 1, i - 10, true, &upload), 0);
		serve_started(&party, SIZE, i < 10 ? alone : together ? beside : after);
		if (i == 9 + CHUNKS)
			party.now += LSP_SECOND;
	}
	assert_int_equal(beside[1], CHUNKS); /* each of its requests at once */
	/* Every sixteenth turn is for anybody. */
	assert_in_range(beside[0], CHUNKS * 9 / 10, CHUNKS * 13 / 10);
	assert_true(alone[0] >= 10 * LSP_SWARM_UPLOAD_SLOTS);
	assert_true(after[0] >= (90 - CHUNKS) * LSP_SWARM_UPLOAD_SLOTS); /* none is left idle */
	end(&party);
}

/* Both always have requests that wait; four slots, none of which is known to be quick. */
static void serve_both(struct party *party, unsigned turns, unsigned *started)
{
	lsp_swarm_id upload;
	for (unsigned i = 0; i < turns / LSP_SWARM_UPLOAD_SLOTS; i++) {
		for (int peer = 0; peer < 2; peer++)
			for (int n = 0; n < LSP_SWARM_UPLOAD_SLOTS; n++)
				assert_int_equal(ask(party, peer, 0, true, &upload), 0);
		serve_started(party, 0, started);
	}
	assert_int_equal(started[0] + started[1], turns);
}

static void every_sixteenth_turn_is_for_who_took_too_much_too(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	unsigned alone[2] = {0}, started[2] = {0};
	begin(&party, CHUNKS, 2);
	has(&party, 1, 0, 0);
	while (alone[0] <= (4u << 20) / SIZE) { /* and announced nothing */
		assert_int_equal(ask(&party, 0, 0, true, &upload), 0);
		serve_started(&party, SIZE, alone);
	}
	party.now += 10 * LSP_SECOND; /* how quick that was is forgotten */
	serve_both(&party, 32, started);
	assert_int_equal(started[0], 2);
	end(&party);
}

/* Of 32 turns that both wait for, how many the first peer has: its half, or those for anybody. */
static bool is_behind(struct party *party)
{
	unsigned started[2] = {0};
	party->now += 10 * LSP_SECOND; /* how quick the last ones were is forgotten */
	serve_both(party, 32, started);
	unsigned its = started[0], all;
	assert_true(its == 2 || its > 8);
	do { /* what still waits */
		all = started[0] + started[1];
		serve_started(party, 0, started);
	} while (started[0] + started[1] > all);
	return its == 2;
}

/* One chunk after the other, each announced as it came, if it tells. */
static void take(struct party *party, uint32_t count, bool tells)
{
	lsp_swarm_id upload;
	unsigned started[2] = {0};
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(ask(party, 0, i % CHUNKS, true, &upload), 0);
		serve_started(party, SIZE, started);
		if (tells)
			assert_int_equal(lsp_swarm_peer_gained(party->swarm, party->peers[0],
						 party->game, i % CHUNKS, 1, NULL),
				0);
	}
	assert_int_equal(started[0], count);
}

enum withdrawal { LOSES, SAYS_IT_HAS_NONE, WITHDRAWS, LEAVES, WITHDRAWALS };

static void lose(struct party *party, enum withdrawal how)
{
	if (how == LOSES)
		assert_int_equal(lsp_swarm_peer_lost(party->swarm, party->peers[0], party->game, 0,
					 CHUNKS, NULL),
			0);
	if (how == WITHDRAWS)
		lsp_swarm_peer_withdrew(party->swarm, party->peers[0], party->game);
	if (how == LEAVES) {
		lsp_swarm_peer_remove(party->swarm, party->peers[0]);
		assert_int_equal(
			lsp_swarm_peer_add(party->swarm, 100, NULL, &party->peers[0], NULL), 0);
	}
	if (how != LOSES)
		has(party, 0, 0, 0);
}

/* It deleted the game, or its copy proved damaged. */
static void who_lost_what_it_told_of_fetches_it_again_like_anybody_else(void **state)
{
	for (enum withdrawal how = LOSES; how < WITHDRAWALS; how++) {
		struct party party;
		begin(&party, CHUNKS, 2);
		has(&party, 0, 0, 0);
		has(&party, 1, 0, 0);
		take(&party, CHUNKS, true);
		assert_false(is_behind(&party));
		lose(&party, how);
		take(&party, CHUNKS, true);
		assert_false(is_behind(&party));
		/* Again and again it is not: that would be a way round the rule … */
		lose(&party, how);
		take(&party, CHUNKS, true);
		assert_true(is_behind(&party));
		/* … but it is forgiven in time. */
		lose(&party, how);
		party.now += 600 * LSP_SECOND;
		take(&party, CHUNKS / 4, true);
		assert_false(is_behind(&party));
		end(&party);
	}
}

static void what_was_never_told_of_is_not_forgiven_when_the_game_is_withdrawn(void **state)
{
	for (enum withdrawal how = LOSES; how < WITHDRAWALS; how++) {
		struct party party;
		begin(&party, CHUNKS, 2);
		has(&party, 0, 0, 0);
		has(&party, 1, 0, 0);
		take(&party, 3, false);
		assert_false(is_behind(&party));
		lose(&party, how);
		take(&party, 3, false);
		assert_true(is_behind(&party));
		end(&party);
	}
}

static void what_may_be_untold_grows_with_what_is_told(void **state)
{
	struct party party;
	begin(&party, CHUNKS, 2);
	has(&party, 0, 0, 0);
	has(&party, 1, 0, 0);
	take(&party, 4, false);
	assert_false(is_behind(&party));
	take(&party, 1, false);
	assert_true(is_behind(&party));
	assert_int_equal(
		lsp_swarm_peer_gained(party.swarm, party.peers[0], party.game, 0, 2, NULL), 0);
	take(&party, 2 + 4 + 2 * 4 - 5, false);
	assert_false(is_behind(&party));
	take(&party, 1, false);
	assert_true(is_behind(&party));
	end(&party);
}

static void who_asks_and_does_not_read_is_behind_until_it_reads(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	begin(&party, CHUNKS, 2);
	has(&party, 0, 0, 0);
	has(&party, 1, 0, 0);
	assert_int_equal(ask(&party, 0, 0, true, &upload), 0);
	run(&party, MS);
	run(&party, 300 * MS);
	assert_true(is_behind(&party));
	lsp_swarm_upload_sent(party.swarm, upload, SIZE, party.now);
	lsp_swarm_upload_end(party.swarm, upload, true, party.now);
	assert_false(is_behind(&party));
	end(&party);
}

/* One stream stands still, maybe for good; the peer takes what comes on another. */
static void who_reads_one_of_two_uploads_is_not_behind(void **state)
{
	struct party party;
	lsp_swarm_id uploads[2];
	begin(&party, CHUNKS, 2);
	has(&party, 0, 0, 0);
	has(&party, 1, 0, 0);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(ask(&party, 0, i, true, &uploads[i]), 0);
	run(&party, MS);
	unsigned started[2] = {0};
	for (int i = 0; i < 40; i++) { /* a second */
		lsp_swarm_upload_sent(party.swarm, uploads[1], 1, party.now);
		run(&party, 25 * MS);
	}
	lsp_swarm_upload_end(party.swarm, uploads[1], true, party.now);
	serve_both(&party, 32, started);
	assert_true(started[0] > 8);
	end(&party);
}

static void slots_that_nobody_reads_from_are_soon_given_to_another(void **state)
{
	struct party party;
	lsp_swarm_id another, upload;
	size_t running = 0;
	begin(&party, CHUNKS, 8);
	assert_int_equal(lsp_swarm_peer_add(party.swarm, 200, NULL, &another, NULL), 0);
	for (int i = 0; i < 400 && running < LSP_SWARM_UPLOAD_SLOTS_MAX; i++) {
		for (int peer = 0; peer < 8; peer++)
			(void)!ask(&party, peer, 0, true, &upload);
		run(&party, 25 * MS);
		running += count(&party, LSP_SWARM_UPLOAD_START);
	}
	assert_int_equal(running, LSP_SWARM_UPLOAD_SLOTS_MAX);
	assert_int_equal(lsp_swarm_upload_add(party.swarm, another, party.game, 1, 1, true, NULL,
				 party.now, &upload, NULL),
		0);
	lsp_time since = party.now;
	while (!find(&party, LSP_SWARM_UPLOAD_START, another) && party.now - since < 4 * LSP_SECOND)
		run(&party, 25 * MS);
	assert_true(party.now - since <= 1100 * MS);
	end(&party);
}

static void a_stranger_that_comes_back_is_no_new_one(void **state)
{
	struct party party;
	begin(&party, CHUNKS, 2);
	has(&party, 1, 0, 0);
	take(&party, (4u << 20) / SIZE + 1, false);
	assert_true(is_behind(&party));
	lsp_swarm_peer_remove(party.swarm, party.peers[0]);
	assert_int_equal(lsp_swarm_peer_add(party.swarm, 100, NULL, &party.peers[0], NULL), 0);
	assert_true(is_behind(&party));
	end(&party);
}

/* A quarter of so little is nothing, and an answer that broke off counts, too. */
static void of_a_tiny_game_a_chunk_may_be_sent_more_than_once(void **state)
{
	for (uint32_t size = 1; size <= 5; size++) {
		struct party party;
		begin(&party, CHUNKS, 2);
		lsp_swarm_game_remove(party.swarm, party.game);
		assert_int_equal(
			lsp_swarm_game_add(party.swarm, 1, &size, NULL, NULL, &party.game, NULL),
			0);
		lsp_swarm_game_gained(party.swarm, party.game, 0, 1);
		for (int peer = 0; peer < 2; peer++) {
			struct lsp_bitmap none;
			assert_int_equal(lsp_bitmap_init(&none, 1, NULL), 0);
			assert_int_equal(lsp_swarm_peer_has(party.swarm, party.peers[peer],
						 party.game, &none, NULL),
				0);
			lsp_bitmap_done(&none);
		}
		lsp_swarm_id upload;
		unsigned started[2] = {0};
		for (int i = 0; i < 3; i++) {
			assert_int_equal(ask(&party, 0, 0, true, &upload), 0);
			serve_started(&party, size, started);
		}
		assert_false(is_behind(&party));
		end(&party);
	}
}

static void who_was_away_does_not_come_back_with_all_that_he_missed(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	unsigned alone[2] = {0}, started[2] = {0};
	begin(&party, CHUNKS, 2);
	while (alone[0] < 13 * LSP_SWARM_UPLOAD_SLOTS) { /* whole rounds: the last goes by peer */
		assert_int_equal(ask(&party, 0, 0, true, &upload), 0);
		serve_started(&party, 0, alone);
	}
	serve_both(&party, 32, started);
	assert_in_range(started[1], 15, 17);
	end(&party);
}

/* ---- Beside the queue --------------------------------------------------------------------------
 */

#define FLOODERS 6
#define GRANT 65536u

/* Files that flooders take beside a downloader, whose requests come too seldom to be seen often. */
static void a_crowd_that_takes_files_has_one_turn_while_others_ask(void **state)
{
	struct party party;
	struct lsp_swarm_aside files[FLOODERS];
	lsp_swarm_id upload;
	lsp_time again;
	uint64_t taken[FLOODERS] = {0};
	begin(&party, CHUNKS, FLOODERS + 1);
	has(&party, FLOODERS, 0, 0);
	for (int i = 0; i < FLOODERS; i++) {
		files[i] = (struct lsp_swarm_aside){party.peers[i], party.game};
		for (uint64_t had = 0; had < 8 * SIZE; had += GRANT) /* no one else is there */
			assert_int_equal(lsp_swarm_aside_grant(
						 party.swarm, &files[i], GRANT, party.now, &again),
				GRANT);
		party.now += 2 * LSP_SECOND;
	}
	assert_int_equal(ask(&party, FLOODERS, 0, true, &upload), 0);
	for (int round = 0; round < 2 * FLOODERS * 17; round++) { /* two turns of each */
		unsigned served = 0;
		lsp_swarm_upload_sent(party.swarm, upload, 1, party.now);
		for (int i = 0; i < FLOODERS; i++) {
			run(&party, 40 * MS);
			uint64_t bytes = lsp_swarm_aside_grant(
				party.swarm, &files[i], GRANT, party.now, &again);
			served += bytes > 0;
			taken[i] += bytes;
			assert_true(bytes || again == party.now + 250 * MS);
		}
		assert_true(served <= 1);
	}
	for (int i = 0; i < FLOODERS; i++) /* and each of them has it */
		assert_true(taken[i] >= 16 * GRANT);
	end(&party);
}

/* Leaves, each answer as a whole: the next goes when it is over, or has taken too long. */
static void a_crowd_that_takes_leaves_has_one_answer_while_others_ask(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	begin(&party, CHUNKS, 3);
	struct lsp_swarm_aside first = {party.peers[0], party.game},
			       second = {party.peers[1], party.game};
	has(&party, 2, 0, 0);
	assert_int_equal(ask(&party, 2, 0, true, &upload), 0);
	/* As much as a stranger may take, at once. */
	assert_true(lsp_swarm_aside_admit(party.swarm, &first, 16 * SIZE, party.now));
	assert_false(lsp_swarm_aside_admit(party.swarm, &second, 16 * SIZE, party.now));
	lsp_swarm_aside_end(party.swarm, &first);
	assert_true(lsp_swarm_aside_admit(party.swarm, &second, 16 * SIZE, party.now));
	assert_false(lsp_swarm_aside_admit(party.swarm, &first, 1, party.now));
	party.now += 9 * LSP_SECOND; /* it is not read */
	assert_int_equal(ask(&party, 2, 1, true, &upload), 0);
	assert_true(lsp_swarm_aside_admit(party.swarm, &first, 1, party.now));
	assert_false(lsp_swarm_aside_admit(party.swarm, &second, 1, party.now));
	end(&party);
}

static void who_asks_beside_the_queue_alone_has_all_of_it(void **state)
{
	struct party party;
	begin(&party, CHUNKS, 2);
	struct lsp_swarm_aside answers[8];
	for (int i = 0; i < 8; i++) {
		answers[i] = (struct lsp_swarm_aside){party.peers[0], party.game};
		assert_true(
			lsp_swarm_aside_admit(party.swarm, &answers[i], CHUNKS * SIZE, party.now));
	}
	end(&party);
}

/* A crowd of flooders, another who downloads, and one who updates by leaves and tells of it. */
static void who_updates_and_tells_of_it_waits_for_nobody(void **state)
{
	struct party party;
	struct lsp_swarm_aside flood[2], leaves[4];
	lsp_swarm_id upload;
	begin(&party, CHUNKS, 4);
	has(&party, 2, 0, 0);
	has(&party, 3, 0, 0);
	for (int i = 0; i < 2; i++)
		flood[i] = (struct lsp_swarm_aside){party.peers[i], party.game};
	assert_int_equal(ask(&party, 3, 0, true, &upload), 0);
	for (uint32_t chunk = 0; chunk < CHUNKS; chunk += 4) {
		for (int i = 0; i < 2; i++)
			(void)!lsp_swarm_aside_admit(party.swarm, &flood[i], 16 * SIZE, party.now);
		for (uint32_t i = 0; i < 4; i++) {
			leaves[i] = (struct lsp_swarm_aside){party.peers[2], party.game};
			assert_true(
				lsp_swarm_aside_admit(party.swarm, &leaves[i], SIZE, party.now));
		}
		run(&party, 25 * MS);
		for (uint32_t i = 0; i < 4; i++) {
			lsp_swarm_aside_end(party.swarm, &leaves[i]);
			assert_int_equal(lsp_swarm_peer_gained(party.swarm, party.peers[2],
						 party.game, chunk + i, 1, NULL),
				0);
		}
	}
	end(&party);
}

static void what_was_taken_beside_the_queue_counts_in_it(void **state)
{
	for (int left = 0; left < 2; left++) {
		struct party party;
		begin(&party, CHUNKS, 2);
		has(&party, 0, 0, 0);
		has(&party, 1, 0, 0);
		struct lsp_swarm_aside aside = {party.peers[0], party.game};
		assert_true(lsp_swarm_aside_admit(party.swarm, &aside, 5 * SIZE, party.now));
		if (left) /* it broke off */
			lsp_swarm_aside_unused(party.swarm, &aside, 4 * SIZE);
		lsp_swarm_aside_end(party.swarm, &aside);
		assert_int_equal(is_behind(&party), !left);
		end(&party);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_starves_beside_a_flooder),
		cmocka_unit_test(who_takes_and_does_not_tell_has_one_slot_while_others_ask),
		cmocka_unit_test(every_sixteenth_turn_is_for_who_took_too_much_too),
		cmocka_unit_test(who_lost_what_it_told_of_fetches_it_again_like_anybody_else),
		cmocka_unit_test(what_was_never_told_of_is_not_forgiven_when_the_game_is_withdrawn),
		cmocka_unit_test(what_may_be_untold_grows_with_what_is_told),
		cmocka_unit_test(who_asks_and_does_not_read_is_behind_until_it_reads),
		cmocka_unit_test(who_reads_one_of_two_uploads_is_not_behind),
		cmocka_unit_test(slots_that_nobody_reads_from_are_soon_given_to_another),
		cmocka_unit_test(a_stranger_that_comes_back_is_no_new_one),
		cmocka_unit_test(of_a_tiny_game_a_chunk_may_be_sent_more_than_once),
		cmocka_unit_test(who_was_away_does_not_come_back_with_all_that_he_missed),
		cmocka_unit_test(a_crowd_that_takes_files_has_one_turn_while_others_ask),
		cmocka_unit_test(a_crowd_that_takes_leaves_has_one_answer_while_others_ask),
		cmocka_unit_test(who_asks_beside_the_queue_alone_has_all_of_it),
		cmocka_unit_test(who_updates_and_tells_of_it_waits_for_nobody),
		cmocka_unit_test(what_was_taken_beside_the_queue_counts_in_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
