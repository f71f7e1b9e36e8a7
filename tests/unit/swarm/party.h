/*
 * What the tests of the state machine share: one node, up to eight peers, a clock that is a number.
 * The other side is the test itself. Each function is used by one of them at least.
 */
#pragma once

#include "base/cleanup.h"
#include "swarm/ping_guard.h"
#include "swarm/swarm.h"

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

static inline lsp_swarm_id add_game(struct party *party, uint32_t here)
{
	uint32_t sizes[CHUNKS];
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

static inline void begin_seeded(struct party *party, uint64_t seed, uint32_t here, int peers)
{
	memset(party, 0, sizeof(*party));
	party->now = 10 * LSP_SECOND;
	assert_int_equal(lsp_swarm_new(seed, party->now, &party->swarm, NULL), 0);
	party->game = add_game(party, here);
	for (int i = 0; i < peers; i++)
		assert_int_equal(
			lsp_swarm_peer_add(party->swarm, 100 + i, NULL, &party->peers[i], NULL), 0);
}

static inline void begin(struct party *party, uint32_t here, int peers)
{
	begin_seeded(party, 1, here, peers);
}

static inline void check(struct party *party)
{
	char text[128] = "";
	if (!lsp_swarm_check(party->swarm, text))
		fail_msg("%s", text);
}

static inline void run(struct party *party, uint64_t later)
{
	party->now += later;
	lsp_swarm_run(party->swarm, party->now);
	party->count = 0;
	while (party->count < LSP_ARRAY_SIZE(party->actions) &&
		lsp_swarm_next_action(party->swarm, &party->actions[party->count]))
		party->count++;
	check(party);
}

static inline void end(struct party *party)
{
	lsp_swarm_free(party->swarm);
}

static inline size_t count(const struct party *party, enum lsp_swarm_action_kind kind)
{
	size_t found = 0;
	for (size_t i = 0; i < party->count; i++)
		found += party->actions[i].kind == kind;
	return found;
}

static inline const struct lsp_swarm_action *find(
	const struct party *party, enum lsp_swarm_action_kind kind, lsp_swarm_id peer)
{
	for (size_t i = 0; i < party->count; i++)
		if (party->actions[i].kind == kind && (!peer || party->actions[i].peer == peer))
			return &party->actions[i];
	return NULL;
}

static inline struct lsp_swarm_game_status status(const struct party *party)
{
	struct lsp_swarm_game_status result;
	assert_int_equal(lsp_swarm_game_status(party->swarm, party->game, &result), 0);
	return result;
}

static inline void all(struct party *party, int peer)
{
	assert_int_equal(
		lsp_swarm_peer_has_all(party->swarm, party->peers[peer], party->game, NULL), 0);
}

static inline void has(struct party *party, int peer, uint32_t first, uint32_t number)
{
	struct lsp_bitmap have;
	assert_int_equal(lsp_bitmap_init(&have, CHUNKS, NULL), 0);
	for (uint32_t i = first; i < first + number; i++)
		lsp_bitmap_set(&have, i);
	assert_int_equal(
		lsp_swarm_peer_has(party->swarm, party->peers[peer], party->game, &have, NULL), 0);
	lsp_bitmap_done(&have);
}

static inline void deliver(struct party *party, const struct lsp_swarm_action *action)
{
	lsp_swarm_received(party->swarm, action->request, action->bytes, party->now);
	for (uint32_t i = 0; i < action->count; i++)
		lsp_swarm_verified(party->swarm, action->request, action->first + i, party->now);
}

/* Everything that is asked for comes 5 ms later, until nothing is asked for any more. */
static inline void serve(struct party *party)
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

static inline int ask(
	struct party *party, int peer, uint32_t chunk, bool insist, lsp_swarm_id *ret_id)
{
	return lsp_swarm_upload_add(party->swarm, party->peers[peer], party->game, chunk, 1, insist,
		NULL, party->now, ret_id, NULL);
}

static inline void want(struct party *party)
{
	lsp_swarm_game_want(party->swarm, party->game, true);
}

/* One peer that has all of two games; the second one. */
static inline lsp_swarm_id begin_with_two_games(struct party *party)
{
	begin(party, 0, 1);
	lsp_swarm_id other = add_game(party, 0);
	all(party, 0);
	assert_int_equal(lsp_swarm_peer_has_all(party->swarm, party->peers[0], other, NULL), 0);
	return other;
}
