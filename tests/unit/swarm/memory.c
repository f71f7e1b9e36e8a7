/* The n-th allocation fails, for every n: an error or a request less, and all stays whole. */
#include "base/bitmap.h"
#include "swarm/swarm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define CHUNKS 60

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static long left = -1; /* allocations until the one that fails; below 0: none does */
static bool failed;

static bool fails(void)
{
	if (left < 0 || left-- > 0)
		return false;
	failed = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails() ? NULL : __real_realloc(memory, size);
}

struct party {
	struct lsp_swarm *swarm;
	lsp_swarm_id game, peers[3];
	lsp_time now;
	int round;
};

static void check(struct party *party)
{
	char text[128] = "";
	if (!lsp_swarm_check(party->swarm, text))
		fail_msg("%s", text);
}

static void answer(struct party *party, const struct lsp_swarm_action *action)
{
	switch (party->round++ % 6) {
	case 0:
		lsp_swarm_failed(party->swarm, action->request, LSP_SWARM_BROKEN, party->now);
		break;
	case 1:
		lsp_swarm_failed(party->swarm, action->request, LSP_SWARM_MISSING, party->now);
		break;
	case 2:
		lsp_swarm_bounced(
			party->swarm, action->request, LSP_SWARM_ELSEWHERE, 5, party->now);
		break;
	default:
		lsp_swarm_received(party->swarm, action->request, action->bytes, party->now);
		for (uint32_t i = 0; i < action->count; i++)
			lsp_swarm_verified(
				party->swarm, action->request, action->first + i, party->now);
	}
}

static void turn(struct party *party)
{
	struct lsp_swarm_action action;
	party->now += 50 * LSP_MILLISECOND;
	lsp_swarm_run(party->swarm, party->now);
	while (lsp_swarm_next_action(party->swarm, &action))
		if (action.kind == LSP_SWARM_REQUEST)
			answer(party, &action);
	check(party);
}

static int set_up(struct party *party, const uint32_t *sizes, const struct lsp_bitmap *some)
{
	int status = lsp_swarm_new(1, party->now, &party->swarm, NULL);
	if (status < 0)
		return status;
	status = lsp_swarm_game_add(party->swarm, CHUNKS, sizes, NULL, NULL, &party->game, NULL);
	for (int i = 0; i < 3 && status == 0; i++)
		status = lsp_swarm_peer_add(party->swarm, i, NULL, &party->peers[i], NULL);
	if (status == 0)
		status = lsp_swarm_peer_has_all(party->swarm, party->peers[0], party->game, NULL);
	if (status == 0)
		status = lsp_swarm_peer_has(party->swarm, party->peers[1], party->game, some, NULL);
	return status;
}

/* A little of everything. */
static void live(const uint32_t *sizes, const struct lsp_bitmap *some)
{
	struct party party = {.now = LSP_SECOND};
	lsp_swarm_id upload;
	int status = set_up(&party, sizes, some);
	if (status == 0) {
		lsp_swarm_game_want(party.swarm, party.game, true);
		for (int i = 0; i < 60; i++)
			turn(&party);
		for (uint32_t i = 0; i < CHUNKS; i++)
			(void)!lsp_swarm_upload_add(party.swarm, party.peers[2], party.game, i, 1,
				true, NULL, party.now, &upload, NULL);
		(void)!lsp_swarm_peer_lost(party.swarm, party.peers[0], party.game, 3, 2, NULL);
		turn(&party);
		lsp_swarm_game_lost(party.swarm, party.game, 0, 4);
		turn(&party);
		lsp_swarm_peer_remove(party.swarm, party.peers[0]);
		turn(&party);
	} else {
		assert_int_equal(status, -LSP_E_NO_MEMORY);
		if (party.swarm)
			check(&party);
	}
	lsp_swarm_free(party.swarm);
}

static void any_allocation_may_fail(void **state)
{
	uint32_t sizes[CHUNKS];
	struct lsp_bitmap some;
	long n = 0;
	for (uint32_t i = 0; i < CHUNKS; i++)
		sizes[i] = 150000;
	assert_int_equal(lsp_bitmap_init(&some, CHUNKS, NULL), 0);
	for (uint32_t i = 0; i < CHUNKS; i += 2)
		lsp_bitmap_set(&some, i);
	do {
		failed = false;
		left = n++;
		live(sizes, &some);
		left = -1;
	} while (failed);
	assert_true(n > 50);
	lsp_bitmap_done(&some);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
