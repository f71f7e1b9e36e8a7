/*
 * Random events, seeded: whatever comes in whatever order, the machine stays whole (lsp_swarm_check
 * after every step), and when the storm is over and one honest holder is there, the download ends.
 */
#include "base/random.h"
#include "base/cleanup.h"
#include "swarm/swarm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PEERS 6
#define PENDING 512
#define STEPS 3000

struct pending {
	lsp_swarm_id id, game;
	uint32_t first, count, done;
	uint64_t bytes;
};

struct storm {
	struct lsp_random random;
	struct lsp_swarm *swarm;
	lsp_time now;
	uint32_t chunks;
	uint32_t sizes[300];
	lsp_swarm_id games[2], peers[PEERS];
	struct pending pending[PENDING], uploads[PENDING];
	size_t pending_count, upload_count;
};

static uint32_t below(struct storm *storm, uint32_t bound)
{
	return (uint32_t)lsp_random_below(&storm->random, bound);
}

static void forget(struct pending *list, size_t *count, lsp_swarm_id id)
{
	for (size_t i = 0; i < *count; i++)
		if (list[i].id == id)
			list[i--] = list[--*count];
}

static void take_actions(struct storm *storm)
{
	struct lsp_swarm_action action;
	while (lsp_swarm_next_action(storm->swarm, &action)) {
		struct pending entry = {.id = action.request,
			.game = action.game,
			.first = action.first,
			.count = action.count,
			.bytes = action.bytes};
		if (action.kind == LSP_SWARM_REQUEST) {
			assert_true(storm->pending_count < PENDING);
			storm->pending[storm->pending_count++] = entry;
		} else if (action.kind == LSP_SWARM_CANCEL) {
			forget(storm->pending, &storm->pending_count, action.request);
		} else if (action.kind == LSP_SWARM_UPLOAD_START) {
			assert_true(storm->upload_count < PENDING);
			storm->uploads[storm->upload_count++] = entry;
		} else if (action.kind == LSP_SWARM_UPLOAD_STOP) {
			forget(storm->uploads, &storm->upload_count, action.request);
		}
	}
}

static void announce(struct storm *storm, uint32_t peer, lsp_swarm_id game)
{
	_cleanup_bitmap_ struct lsp_bitmap have = {0};
	assert_int_equal(lsp_bitmap_init(&have, storm->chunks, NULL), 0);
	uint32_t share = below(storm, 5);
	for (uint32_t i = 0; i < storm->chunks; i++)
		if (below(storm, 4) < share)
			lsp_bitmap_set(&have, i);
	(void)!lsp_swarm_peer_has(storm->swarm, storm->peers[peer], game, &have, NULL);
}

static void peer_event(struct storm *storm)
{
	uint32_t peer = below(storm, PEERS), first = below(storm, storm->chunks + 2);
	uint32_t count = below(storm, 20);
	lsp_swarm_id game = storm->games[below(storm, 2)];
	switch (below(storm, 12)) {
	case 0:
		lsp_swarm_peer_remove(storm->swarm, storm->peers[peer]);
		assert_int_equal(
			lsp_swarm_peer_add(storm->swarm, peer % 4, NULL, &storm->peers[peer], NULL),
			0);
		break;
	case 1:
		(void)!lsp_swarm_peer_has_all(storm->swarm, storm->peers[peer], game, NULL);
		break;
	case 2:
		announce(storm, peer, game);
		break;
	case 3:
		(void)!lsp_swarm_peer_lost(
			storm->swarm, storm->peers[peer], game, first, count, NULL);
		break;
	case 4:
		lsp_swarm_peer_withdrew(storm->swarm, storm->peers[peer], game);
		break;
	case 5:
		lsp_swarm_peer_rtt(storm->swarm, storm->peers[peer], below(storm, 1000000000));
		break;
	case 6:
		lsp_swarm_peer_guard(
			storm->swarm, storm->peers[peer], 1000 + below(storm, 100000000));
		break;
	default:
		(void)!lsp_swarm_peer_gained(
			storm->swarm, storm->peers[peer], game, first, count, NULL);
	}
}

static void deliver(struct storm *storm, size_t index, bool whole)
{
	struct pending *entry = &storm->pending[index];
	lsp_swarm_received(storm->swarm, entry->id,
		whole ? entry->bytes : below(storm, (uint32_t)entry->bytes + 100), storm->now);
	if (!whole && below(storm, 2))
		return;
	while (entry->done < entry->count)
		lsp_swarm_verified(
			storm->swarm, entry->id, entry->first + entry->done++, storm->now);
	*entry = storm->pending[--storm->pending_count];
}

static void request_event(struct storm *storm)
{
	if (!storm->pending_count)
		return;
	size_t index = below(storm, (uint32_t)storm->pending_count);
	struct pending entry = storm->pending[index];
	switch (below(storm, 12)) {
	case 0:
		lsp_swarm_rejected(storm->swarm, entry.id, entry.first, storm->now);
		break;
	case 1:
		lsp_swarm_failed(storm->swarm, entry.id, below(storm, 3), storm->now);
		break;
	case 2:
		lsp_swarm_bounced(storm->swarm, entry.id, below(storm, 3),
			below(storm, storm->chunks * 2), storm->now);
		break;
	default:
		deliver(storm, index, false);
		return;
	}
	forget(storm->pending, &storm->pending_count, entry.id);
}

static void upload_event(struct storm *storm)
{
	lsp_swarm_id id;
	lsp_time again;
	if (storm->upload_count && below(storm, 2)) {
		struct pending entry = storm->uploads[below(storm, (uint32_t)storm->upload_count)];
		uint64_t bytes = lsp_swarm_upload_grant(
			storm->swarm, entry.id, below(storm, 100000), storm->now, &again);
		lsp_swarm_upload_sent(storm->swarm, entry.id, bytes, storm->now);
		if (below(storm, 2)) {
			lsp_swarm_upload_end(storm->swarm, entry.id, below(storm, 2), storm->now);
			forget(storm->uploads, &storm->upload_count, entry.id);
		}
		return;
	}
	(void)!lsp_swarm_upload_add(storm->swarm, storm->peers[below(storm, PEERS)],
		storm->games[below(storm, 2)], below(storm, storm->chunks), 1 + below(storm, 3),
		below(storm, 2), NULL, storm->now, &id, NULL);
}

static void own_event(struct storm *storm)
{
	uint32_t which = below(storm, 2), first = below(storm, storm->chunks);
	struct lsp_swarm_limits limits = {.down = below(storm, 3) * 1000000,
		.up = below(storm, 3) * 1000000,
		.overhead = 1.05,
		.pause_uploads = !below(storm, 4)};
	switch (below(storm, 6)) {
	case 0:
		lsp_swarm_game_want(storm->swarm, storm->games[which], below(storm, 3));
		break;
	case 1:
		lsp_swarm_game_gained(storm->swarm, storm->games[which], first, below(storm, 5));
		break;
	case 2:
		lsp_swarm_game_lost(storm->swarm, storm->games[which], first, below(storm, 5));
		break;
	case 3:
		lsp_swarm_set_limits(storm->swarm, &limits);
		break;
	case 4:
		lsp_swarm_set_game_limits(storm->swarm, storm->games[which],
			below(storm, 2) * 1000000, below(storm, 2) * 1000000);
		break;
	default:
		if (below(storm, 10))
			break;
		lsp_swarm_game_remove(storm->swarm, storm->games[which]);
		assert_int_equal(lsp_swarm_game_add(storm->swarm, storm->chunks, storm->sizes, NULL,
					 NULL, &storm->games[which], NULL),
			0);
	}
}

static void check(struct storm *storm)
{
	char text[128] = "";
	if (!lsp_swarm_check(storm->swarm, text))
		fail_msg("%s", text);
}

static void step(struct storm *storm)
{
	static const uint32_t jumps[] = {0, 1, 10, 30, 300, 3000, 40000};
	uint32_t kind = below(storm, 10);
	if (kind < 2)
		peer_event(storm);
	else if (kind < 6)
		request_event(storm);
	else if (kind < 8)
		upload_event(storm);
	else if (kind == 8 && !below(storm, 5))
		own_event(storm);
	storm->now += jumps[below(storm, below(storm, 8) ? 4 : 7)] * LSP_MILLISECOND;
	lsp_swarm_run(storm->swarm, storm->now);
	if (below(storm, 8))
		take_actions(storm);
	check(storm);
}

/* The storm is over: peers that answer come in, and the download must end. */
static void calm(struct storm *storm)
{
	struct lsp_swarm_limits free_limits = {.overhead = 1};
	struct lsp_swarm_game_status status;
	lsp_swarm_id honest;
	lsp_swarm_set_limits(storm->swarm, &free_limits);
	for (uint32_t i = 0; i < PEERS; i++)
		lsp_swarm_peer_guard(storm->swarm, storm->peers[i], UINT64_MAX);
	assert_int_equal(lsp_swarm_peer_add(storm->swarm, 77, NULL, &honest, NULL), 0);
	for (int which = 0; which < 2; which++) {
		lsp_swarm_set_game_limits(storm->swarm, storm->games[which], 0, 0);
		lsp_swarm_game_want(storm->swarm, storm->games[which], true);
		assert_int_equal(
			lsp_swarm_peer_has_all(storm->swarm, honest, storm->games[which], NULL), 0);
	}
	/* The others stall for good; only the honest one's requests are answered. */
	for (size_t i = 0; i < storm->pending_count; i++)
		lsp_swarm_failed(storm->swarm, storm->pending[i].id, LSP_SWARM_LOCAL, storm->now);
	storm->pending_count = 0;
	for (int round = 0; round < 20000; round++) {
		struct lsp_swarm_action action;
		storm->now += 10 * LSP_MILLISECOND;
		lsp_swarm_run(storm->swarm, storm->now);
		for (size_t i = 0; i < storm->pending_count;)
			deliver(storm, i, true);
		while (lsp_swarm_next_action(storm->swarm, &action)) {
			if (action.kind != LSP_SWARM_REQUEST || action.peer != honest)
				continue;
			storm->pending[storm->pending_count++] =
				(struct pending){.id = action.request,
					.first = action.first,
					.count = action.count,
					.bytes = action.bytes};
		}
		int complete = 0;
		for (int which = 0; which < 2; which++) {
			assert_int_equal(
				lsp_swarm_game_status(storm->swarm, storm->games[which], &status),
				0);
			complete += status.state == LSP_SWARM_COMPLETE;
		}
		if (complete == 2)
			return;
	}
	fail_msg("a download is stuck beside an honest holder");
}

static void weather(uint64_t seed)
{
	struct storm *storm = calloc(1, sizeof(*storm));
	assert_non_null(storm);
	lsp_random_seed(&storm->random, seed);
	storm->now = LSP_SECOND;
	storm->chunks = 1 + below(storm, 300);
	bool small = below(storm, 2);
	for (uint32_t i = 0; i < storm->chunks; i++)
		storm->sizes[i] = small ? 1 + below(storm, 20000) : 131072;
	assert_int_equal(lsp_swarm_new(seed, storm->now, &storm->swarm, NULL), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(lsp_swarm_game_add(storm->swarm, storm->chunks, storm->sizes, NULL,
					 NULL, &storm->games[i], NULL),
			0);
	for (int i = 0; i < PEERS; i++)
		assert_int_equal(
			lsp_swarm_peer_add(storm->swarm, i, NULL, &storm->peers[i], NULL), 0);
	lsp_swarm_game_want(storm->swarm, storm->games[0], true);
	for (int i = 0; i < STEPS; i++)
		step(storm);
	calm(storm);
	check(storm);
	lsp_swarm_free(storm->swarm);
	free(storm);
}

static void any_sequence_of_events_leaves_it_whole_and_able_to_finish(void **state)
{
	for (uint64_t seed = 1; seed <= 30; seed++)
		weather(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_sequence_of_events_leaves_it_whole_and_able_to_finish),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
