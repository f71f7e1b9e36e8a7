/* Serving, one rule a test. */
#include "party.h"

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
	assert_int_equal(ask(&party, 0, 31, false, &upload), 0); /* it is not asked by one alone */
	run(&party, 0);
	assert_int_equal(ask(&party, 1, 7, false, &upload), 0);
	run(&party, 0);
	assert_non_null(find(&party, LSP_SWARM_UPLOAD_START, party.peers[1]));
	assert_null(find(&party, LSP_SWARM_UPLOAD_BOUNCE, 0));
	end(&party);
}

/* Nothing looked at the air meanwhile. */
static void what_was_given_before_an_idle_time_is_fresh_for_who_wakes_us(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	begin(&party, CHUNKS, 2);
	has(&party, 0, 0, 0);
	has(&party, 1, 0, 0);
	assert_int_equal(ask(&party, 0, 7, false, &upload), 0);
	run(&party, 0);
	lsp_swarm_upload_end(party.swarm, upload, true, party.now);
	run(&party, 0);
	assert_int_equal(lsp_swarm_deadline(party.swarm), LSP_TIME_NEVER);
	party.now += 3 * LSP_SECOND;
	assert_int_equal(ask(&party, 0, 31, false, &upload), 0); /* it is not asked by one alone */
	assert_int_equal(ask(&party, 1, 7, false, &upload), 0);
	run(&party, 0);
	assert_null(find(&party, LSP_SWARM_UPLOAD_BOUNCE, 0));
	assert_non_null(find(&party, LSP_SWARM_UPLOAD_START, party.peers[1]));
	end(&party);
}

static size_t actions_about_uploads(struct party *party)
{
	struct lsp_swarm_action action;
	size_t found = 0;
	while (lsp_swarm_next_action(party->swarm, &action))
		found += action.kind == LSP_SWARM_UPLOAD_START ||
			 action.kind == LSP_SWARM_UPLOAD_BOUNCE ||
			 action.kind == LSP_SWARM_UPLOAD_STOP;
	return found;
}

/* Its owner may free it then: an action that was not taken yet names the owner. */
static void nothing_is_said_of_an_upload_whose_end_was_told(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	begin(&party, CHUNKS, 2);
	for (int ended = 0; ended < 2; ended++) { /* stopped, as the game goes */
		has(&party, 0, 0, 0);
		assert_int_equal(ask(&party, 0, 7, false, &upload), 0);
		run(&party, MS);
		assert_non_null(find(&party, LSP_SWARM_UPLOAD_START, 0));
		lsp_swarm_game_remove(party.swarm, party.game);
		if (ended)
			lsp_swarm_upload_end(party.swarm, upload, false, party.now);
		assert_int_equal(actions_about_uploads(&party), ended ? 0 : 1);
		party.game = add_game(&party, CHUNKS);
	}
	for (int ended = 0; ended < 2; ended++) { /* bounced */
		lsp_swarm_set_limits(party.swarm,
			&(struct lsp_swarm_limits){.overhead = 1, .pause_uploads = true});
		assert_int_equal(ask(&party, 0, 8, false, &upload), 0);
		lsp_swarm_run(party.swarm, party.now += MS);
		if (ended)
			lsp_swarm_upload_end(party.swarm, upload, false, party.now);
		assert_int_equal(actions_about_uploads(&party), ended ? 0 : 1);
	}
	end(&party);
}

/* Its owner may free it then; who waits for the end of a request or an upload hears that. */
static void a_game_that_is_removed_is_not_spoken_of(void **state)
{
	struct party party;
	struct lsp_swarm_action action;
	lsp_swarm_id upload;
	begin(&party, CHUNKS - 2, 2);
	all(&party, 0);
	has(&party, 1, 0, 0);
	want(&party);
	run(&party, MS);
	assert_non_null(find(&party, LSP_SWARM_REQUEST, 0));
	lsp_swarm_set_limits(
		party.swarm, &(struct lsp_swarm_limits){.overhead = 1, .pause_uploads = true});
	assert_int_equal(ask(&party, 1, 7, false, &upload), 0);
	lsp_swarm_run(party.swarm, party.now += MS);
	lsp_swarm_game_remove(party.swarm, party.game);
	bool bounced = false, cancelled = false;
	while (lsp_swarm_next_action(party.swarm, &action)) {
		bounced |= action.kind == LSP_SWARM_UPLOAD_BOUNCE && action.request == upload;
		cancelled |= action.kind == LSP_SWARM_CANCEL;
		assert_true(
			action.kind == LSP_SWARM_UPLOAD_BOUNCE || action.kind == LSP_SWARM_CANCEL);
		assert_null(action.game_owner);
	}
	assert_true(bounced && cancelled);
	end(&party);
}

static void who_asks_alone_is_not_sent_elsewhere(void **state)
{
	struct party party;
	lsp_swarm_id upload;
	begin(&party, CHUNKS, 2);
	has(&party, 0, 0, 30); /* … and asks for no more */
	has(&party, 1, 0, 0);
	assert_int_equal(ask(&party, 0, 35, false, &upload), 0);
	run(&party, 0);
	lsp_swarm_upload_end(party.swarm, upload, true, party.now);
	run(&party, 2 * LSP_SECOND);
	for (uint32_t chunk = 7; chunk < 10; chunk++) {
		assert_int_equal(ask(&party, 1, chunk, false, &upload), 0);
		run(&party, MS);
		assert_int_equal(find(&party, LSP_SWARM_UPLOAD_START, 0)->request, upload);
		assert_null(find(&party, LSP_SWARM_UPLOAD_BOUNCE, 0));
		lsp_swarm_upload_end(party.swarm, upload, true, party.now);
	}
	/* Back again, it is one of those who share what only we have. */
	assert_int_equal(ask(&party, 0, 36, false, &upload), 0);
	run(&party, MS);
	assert_int_equal(ask(&party, 1, 10, false, &upload), 0);
	run(&party, MS);
	assert_non_null(find(&party, LSP_SWARM_UPLOAD_BOUNCE, 0));
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
	assert_true(again->insist);                /* nobody else has it */
	assert_true(party.now - since < 400 * MS); /* there is nothing else to wait for */
	end(&party);
}

/* ---- Who is next ---- */

/* Not all is here, so nobody is sent elsewhere; the slots are taken by a third peer. */
static void begin_full(struct party *party, lsp_swarm_id *ret_running)
{
	begin(party, CHUNKS - 1, 8);
	for (uint32_t i = 0; i < LSP_SWARM_UPLOAD_SLOTS; i++)
		assert_int_equal(ask(party, 7, i, false, &ret_running[i]), 0);
	run(party, MS);
	assert_int_equal(count(party, LSP_SWARM_UPLOAD_START), LSP_SWARM_UPLOAD_SLOTS);
}

/* Both ask, the second one for `chunk`; one slot becomes free. Which of them has it? */
static int next_of_two(struct party *party, lsp_swarm_id running, uint32_t chunk)
{
	lsp_swarm_id first, second;
	assert_int_equal(ask(party, 0, 20, false, &first), 0);
	assert_int_equal(ask(party, 1, chunk, false, &second), 0);
	run(party, MS);
	assert_int_equal(count(party, LSP_SWARM_UPLOAD_START), 0);
	lsp_swarm_upload_end(party->swarm, running, true, party->now);
	run(party, MS);
	assert_int_equal(count(party, LSP_SWARM_UPLOAD_START), 1);
	return find(party, LSP_SWARM_UPLOAD_START, 0)->request == first ? 0 : 1;
}

static void who_came_first_is_served_first_unless_something_speaks_for_another(void **state)
{
	lsp_swarm_id running[LSP_SWARM_UPLOAD_SLOTS];
	struct party party;
	begin_full(&party, running); /* nothing does */
	assert_int_equal(next_of_two(&party, running[0], 21), 0);
	end(&party);
	begin_full(&party, running); /* the first one's chunk is the more common */
	for (int i = 2; i < 6; i++)
		has(&party, i, 20, 1);
	assert_int_equal(next_of_two(&party, running[0], 21), 1);
	end(&party);
	begin_full(&party, running); /* the second one has less of the game */
	has(&party, 0, 0, 10);
	has(&party, 1, 0, 5);
	assert_int_equal(next_of_two(&party, running[0], 21), 1);
	end(&party);
	begin_full(&party, running); /* the first one is being served, and got least all the same */
	lsp_swarm_upload_end(party.swarm, running[1], true, party.now);
	assert_int_equal(ask(&party, 0, 19, false, &running[1]), 0);
	run(&party, MS);
	for (int i = 0; i < 2; i++) {
		lsp_swarm_upload_end(party.swarm, running[0], true, party.now);
		assert_int_equal(ask(&party, 1, 18, false, &running[0]), 0);
		run(&party, MS);
	}
	lsp_swarm_upload_end(party.swarm, running[0], true, party.now);
	assert_int_equal(ask(&party, 7, 17, false, &running[0]), 0);
	run(&party, MS);
	assert_int_equal(next_of_two(&party, running[0], 21), 1);
	end(&party);
}

static void every_fourth_turn_is_for_who_got_least_whatever_it_asks_for(void **state)
{
	lsp_swarm_id running[LSP_SWARM_UPLOAD_SLOTS], upload;
	struct party party;
	unsigned common = 0;
	begin_full(&party, running);
	for (int i = 2; i < 6; i++)
		has(&party, i, 20, 1);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(
			ask(&party, 1, 21 + i, false, &upload), 0); /* all rare, and first */
	assert_int_equal(ask(&party, 0, 20, false, &upload), 0);
	for (uint32_t i = 0; i < 4; i++) {
		lsp_swarm_upload_end(party.swarm, running[0], true, party.now);
		run(&party, MS);
		const struct lsp_swarm_action *action = find(&party, LSP_SWARM_UPLOAD_START, 0);
		assert_non_null(action);
		running[0] = action->request;
		common += action->peer == party.peers[0];
	}
	assert_int_equal(common, 1);
	end(&party);
}

static void who_waits_long_hears_busy(void **state)
{
	lsp_swarm_id running[LSP_SWARM_UPLOAD_SLOTS], upload;
	struct party party;
	begin_full(&party, running);
	assert_int_equal(ask(&party, 0, 20, false, &upload), 0);
	lsp_time asked = party.now;
	do { /* what runs moves on, so that its slots stay taken */
		for (size_t i = 0; i < LSP_ARRAY_SIZE(running); i++)
			lsp_swarm_upload_sent(party.swarm, running[i], 1, party.now);
		run(&party, 25 * MS);
	} while (!party.count && party.now - asked < 10 * LSP_SECOND);
	const struct lsp_swarm_action *bounced = find(&party, LSP_SWARM_UPLOAD_BOUNCE, 0);
	assert_non_null(bounced);
	assert_int_equal(bounced->request, upload);
	assert_int_equal(bounced->bounce, LSP_SWARM_BUSY);
	assert_in_range(party.now - asked, 5 * LSP_SECOND, 6 * LSP_SECOND);
	end(&party);
}

/* Their receiver does not read: the slots go to others at once, and it is given up in the end. */
static void uploads_that_stand_still_hold_no_slot_and_are_stopped(void **state)
{
	lsp_swarm_id running[LSP_SWARM_UPLOAD_SLOTS], upload;
	struct party party;
	unsigned stopped = 0, stuck = LSP_SWARM_UPLOAD_SLOTS;
	begin_full(&party, running);
	lsp_time begun = party.now;
	assert_int_equal(ask(&party, 0, 20, false, &upload), 0);
	while (!find(&party, LSP_SWARM_UPLOAD_START, party.peers[0]) &&
		party.now - begun < LSP_SECOND)
		run(&party, 25 * MS);
	assert_non_null(find(&party, LSP_SWARM_UPLOAD_START, party.peers[0]));
	lsp_swarm_upload_end(party.swarm, upload, true, party.now);
	while (!stopped && party.now - begun < 30 * LSP_SECOND) {
		while (ask(&party, 7, 9, false, &upload) == 0) /* it asks on, and reads nothing */
			;
		run(&party, 25 * MS);
		stopped += count(&party, LSP_SWARM_UPLOAD_STOP);
		stuck += stopped ? 0 : count(&party, LSP_SWARM_UPLOAD_START);
	}
	assert_int_equal(stopped, LSP_SWARM_UPLOAD_SLOTS);
	assert_in_range(party.now - begun, 19 * LSP_SECOND, 22 * LSP_SECOND);
	/* Of all slots one peer takes half that way; the others are left to who reads. */
	assert_in_range(stuck, LSP_SWARM_UPLOAD_SLOTS, LSP_SWARM_UPLOAD_SLOTS_MAX / 2);
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

/* 2.5 MiB/s of late, a MiB of four uploads to come: does a fifth one start? */
static bool a_fifth_starts_at(uint64_t rtt)
{
	lsp_swarm_id running[LSP_SWARM_UPLOAD_SLOTS], upload;
	struct party party;
	begin_full(&party, running);
	lsp_swarm_peer_rtt(party.swarm, party.peers[7], rtt);
	lsp_swarm_upload_sent(party.swarm, running[0], SIZE, party.now);
	lsp_swarm_upload_end(party.swarm, running[0], true, party.now);
	assert_int_equal(ask(&party, 7, 10, false, &upload), 0);
	run(&party, MS);
	assert_int_equal(count(&party, LSP_SWARM_UPLOAD_START), 1);
	assert_int_equal(ask(&party, 0, 20, false, &upload), 0);
	run(&party, MS);
	bool starts = count(&party, LSP_SWARM_UPLOAD_START) > 0;
	end(&party);
	return starts;
}

static void more_uploads_run_at_once_where_the_round_trip_is_long(void **state)
{
	assert_false(a_fifth_starts_at(MS));
	assert_false(a_fifth_starts_at(150 * MS)); /* 922 KiB */
	assert_true(a_fifth_starts_at(200 * MS));  /* 1178 KiB */
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
		lsp_swarm_game_unused(party.swarm, party.game, bytes - bytes / 2);
		lsp_swarm_upload_sent(party.swarm, upload, bytes / 2, party.now);
		if (!bytes) {
			assert_true(again > party.now && again < party.now + LSP_SECOND);
			party.now = again;
		}
	}
	assert_true(sent > 4 * 760000 && sent < 4 * 840000); /* 0.8 MB/s of payload */
	end(&party);
}

/* Each grant wakes both ends: at any rate there are some 250 a second, not one a packet. */
static void a_limit_grants_what_is_worth_a_wake_up(void **state)
{
	static const uint64_t rates[] = {20000, 2000000, 16000000}; /* bytes a second */
	for (size_t i = 0; i < LSP_ARRAY_SIZE(rates); i++) {
		struct party party;
		lsp_swarm_id upload;
		struct lsp_swarm_limits limits = {.up = rates[i], .overhead = 1};
		begin(&party, CHUNKS, 1);
		lsp_swarm_set_limits(party.swarm, &limits);
		assert_int_equal(ask(&party, 0, 1, false, &upload), 0);
		run(&party, 0);
		uint64_t sent = 0;
		unsigned grants = 0;
		lsp_time start = party.now, again;
		while (party.now - start < LSP_SECOND) {
			uint64_t bytes = lsp_swarm_upload_grant(
				party.swarm, upload, 65536, party.now, &again);
			sent += bytes;
			grants += bytes > 0;
			party.now += 100 * LSP_MICROSECOND; /* other news keep coming */
		}
		assert_in_range(sent, rates[i] * 94 / 100, rates[i] * 106 / 100);
		assert_in_range(grants, LSP_MIN(rates[i] / 1200, UINT64_C(200)) - 1, 251);
		end(&party);
	}
}

/* Everybody takes what is granted, for so long; *running: those that were started, in and out. */
static void send_for(
	struct party *party, uint64_t time, lsp_swarm_id *running, size_t *count, size_t room)
{
	for (lsp_time until = party->now + time; party->now < until;) {
		for (size_t i = 0; i < *count; i++) {
			lsp_time again;
			uint64_t bytes = lsp_swarm_upload_grant(
				party->swarm, running[i], 16384, party->now, &again);
			lsp_swarm_upload_sent(party->swarm, running[i], bytes, party->now);
		}
		run(party, 5 * MS);
		for (size_t i = 0; i < party->count; i++) {
			assert_int_not_equal(party->actions[i].kind, LSP_SWARM_UPLOAD_STOP);
			if (party->actions[i].kind == LSP_SWARM_UPLOAD_START && *count < room)
				running[(*count)++] = party->actions[i].request;
		}
	}
}

/* What one game is not allowed to send, another does not wait for. */
static void an_upload_limit_of_one_game_does_not_hold_up_another(void **state)
{
	struct party party;
	lsp_swarm_id running[64], upload;
	size_t count = 0;
	begin(&party, CHUNKS, 8);
	lsp_swarm_id other = add_game(&party, CHUNKS);
	lsp_swarm_set_game_limits(party.swarm, party.game, 0, 20000);
	for (int i = 0; i < 7 * 4; i++)
		assert_int_equal(ask(&party, i % 7, (uint32_t)i, false, &upload), 0);
	send_for(&party, 3 * LSP_SECOND, running, &count, LSP_ARRAY_SIZE(running));
	assert_int_equal(count, LSP_SWARM_UPLOAD_SLOTS); /* and no more of the limited one */
	assert_int_equal(lsp_swarm_upload_add(party.swarm, party.peers[7], other, 0, 1, false, NULL,
				 party.now, &upload, NULL),
		0);
	send_for(&party, 5 * MS, running, &count, LSP_ARRAY_SIZE(running));
	assert_int_equal(count, LSP_SWARM_UPLOAD_SLOTS + 1);
	assert_int_equal(running[LSP_SWARM_UPLOAD_SLOTS], upload);
	end(&party);
}

/* A whole file has no place in the queue, but the limits are its too. */
static void bytes_beside_the_queue_are_held_to_the_limits(void **state)
{
	struct party party;
	struct lsp_swarm_limits limits = {.overhead = 1.25};
	lsp_time again;
	uint64_t sent = 0;
	begin(&party, CHUNKS, 1);
	struct lsp_swarm_aside aside = {party.peers[0], party.game};
	lsp_swarm_set_limits(party.swarm, &limits);
	assert_int_equal(
		lsp_swarm_aside_grant(party.swarm, &aside, 16384, party.now, &again), 16384);
	lsp_swarm_set_game_limits(party.swarm, party.game, 0, 1000000);
	lsp_time start = party.now;
	while (party.now - start < 4 * LSP_SECOND) {
		uint64_t bytes =
			lsp_swarm_aside_grant(party.swarm, &aside, 16384, party.now, &again);
		sent += bytes;
		if (!bytes) {
			assert_true(again > party.now && again < party.now + LSP_SECOND);
			party.now = again;
		}
	}
	assert_true(sent > 4 * 760000 && sent < 4 * 840000); /* 0.8 MB/s of payload */
	party.now += LSP_SECOND; /* what leaves as a whole may go into debt, once */
	assert_true(lsp_swarm_aside_admit(party.swarm, &aside, 1600000, party.now));
	party.now += LSP_SECOND;
	assert_false(lsp_swarm_aside_admit(party.swarm, &aside, 1, party.now));
	party.now += LSP_SECOND;
	assert_true(lsp_swarm_aside_admit(party.swarm, &aside, 1, party.now));
	party.now += LSP_SECOND; /* what did not leave after all is no debt */
	assert_true(lsp_swarm_aside_admit(party.swarm, &aside, 8000000, party.now));
	lsp_swarm_aside_unused(party.swarm, &aside, 8000000);
	assert_true(lsp_swarm_aside_admit(party.swarm, &aside, 1, party.now));
	limits.pause_uploads = true;
	lsp_swarm_set_limits(party.swarm, &limits);
	party.now += LSP_SECOND;
	assert_false(lsp_swarm_aside_admit(party.swarm, &aside, 1, party.now));
	assert_int_equal(lsp_swarm_aside_grant(party.swarm, &aside, 16384, party.now, &again), 0);
	assert_true(again > party.now && again <= party.now + LSP_SECOND);
	end(&party);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seeder_gives_each_chunk_once_and_names_one_that_nobody_has),
		cmocka_unit_test(a_chunk_that_was_given_and_never_announced_is_fresh_again),
		cmocka_unit_test(what_was_given_before_an_idle_time_is_fresh_for_who_wakes_us),
		cmocka_unit_test(nothing_is_said_of_an_upload_whose_end_was_told),
		cmocka_unit_test(a_game_that_is_removed_is_not_spoken_of),
		cmocka_unit_test(who_asks_alone_is_not_sent_elsewhere),
		cmocka_unit_test(a_bounced_request_takes_the_hint_and_asks_again_later_with_insist),
		cmocka_unit_test(
			who_came_first_is_served_first_unless_something_speaks_for_another),
		cmocka_unit_test(every_fourth_turn_is_for_who_got_least_whatever_it_asks_for),
		cmocka_unit_test(who_waits_long_hears_busy),
		cmocka_unit_test(uploads_that_stand_still_hold_no_slot_and_are_stopped),
		cmocka_unit_test(few_uploads_run_at_once_and_the_queue_of_a_peer_ends),
		cmocka_unit_test(more_uploads_run_at_once_where_the_round_trip_is_long),
		cmocka_unit_test(requests_for_what_is_not_here_are_refused),
		cmocka_unit_test(paused_uploads_are_bounced_and_running_ones_stopped),
		cmocka_unit_test(the_upload_limit_paces_grants),
		cmocka_unit_test(a_limit_grants_what_is_worth_a_wake_up),
		cmocka_unit_test(an_upload_limit_of_one_game_does_not_hold_up_another),
		cmocka_unit_test(bytes_beside_the_queue_are_held_to_the_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
