/*
 * The ping guard on a modelled bottleneck: a line with a long queue, bulk flows paced by one guard
 * each, and a game that sends 64 packets a second through the same queue.
 */
#include "swarm/ping_guard.h"
#include "base/cleanup.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define STEP (500 * LSP_MICROSECOND)
#define SECONDS 40
#define RTT (800 * LSP_MICROSECOND)
#define BUFFER (100 * LSP_MILLISECOND)
#define FLOWS_MAX 8
#define GAME_HZ 64

struct outcome {
	double delay_p99; /* milliseconds added to the game's packets */
	double share;     /* of the line that bulk got */
	uint64_t least;   /* of a flow, bytes */
	uint64_t most;
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Late by chance: a loop's turn, and now and then a processor that was busy. */
static uint64_t noise(struct lsp_random *random)
{
	uint64_t late = lsp_random_below(random, 200 * LSP_MICROSECOND);
	return lsp_random_below(random, 50) ? late
					    : late + lsp_random_below(random, 6 * LSP_MILLISECOND);
}

/* burst: milliseconds of the line that pass at once after a pause, as a shaper lets them. */
static struct outcome run(double mbit, int flows, double burst, bool guarded, uint64_t seed)
{
	static double delays[SECONDS * GAME_HZ + 1];
	struct lsp_ping_guard guards[FLOWS_MAX];
	double line = mbit * 1e6 / 8, queue = 0, saved = 0, credit[FLOWS_MAX] = {0};
	uint64_t delivered[FLOWS_MAX] = {0};
	struct lsp_random random;
	size_t samples = 0;
	lsp_random_seed(&random, seed);
	for (int f = 0; f < flows; f++)
		lsp_ping_guard_init(&guards[f], LSP_PING_GUARD_SENDER);
	lsp_time next_game = LSP_SECOND;
	for (lsp_time now = LSP_SECOND; now < (SECONDS + 1) * LSP_SECOND; now += STEP) {
		double offered[FLOWS_MAX], sum = 0, drained = line * STEP / 1e9;
		for (int f = 0; f < flows; f++) {
			/* The second flow and so on come later, when the line is full. */
			bool here = now >= LSP_SECOND + (uint64_t)f * 2 * LSP_SECOND;
			uint64_t rate = guarded ? lsp_ping_guard_rate(&guards[f]) : UINT64_MAX;
			double most = line * 2;
			credit[f] += here ? (rate > most ? most : (double)rate) * STEP / 1e9 : 0;
			offered[f] = credit[f];
			credit[f] = 0;
			sum += offered[f];
		}
		double before = queue;
		queue += sum + (double)100 * GAME_HZ * STEP / 1e9;
		double sent = LSP_MIN(queue, drained + saved);
		saved = LSP_MIN(saved + drained - sent, line * burst / 1e3);
		queue = LSP_MIN(queue - sent, line * BUFFER / 1e9);
		uint64_t wait = (uint64_t)((before + queue) / 2 / line * 1e9);
		for (int f = 0; f < flows; f++) {
			if (sum <= 0 || offered[f] <= 0)
				continue;
			uint64_t bytes = (uint64_t)(sent * offered[f] / sum);
			delivered[f] += bytes;
			lsp_ping_guard_delivered(&guards[f], bytes);
			if (offered[f] > 100)
				lsp_ping_guard_sample(
					&guards[f], RTT + wait + noise(&random), 0, 1, now);
		}
		/* The first flow's very first samples need a packet to be there. */
		if (now >= next_game) {
			delays[samples++] = (double)wait / 1e6;
			next_game += LSP_SECOND / GAME_HZ;
		}
	}
	qsort(delays, samples, sizeof(*delays), compare);
	struct outcome outcome = {.delay_p99 = delays[samples * 99 / 100], .least = UINT64_MAX};
	double total = 0;
	for (int f = 0; f < flows; f++) {
		total += (double)delivered[f];
		outcome.least = LSP_MIN(outcome.least, delivered[f]);
		outcome.most = LSP_MAX(outcome.most, delivered[f]);
	}
	outcome.share = total / (line * SECONDS);
	printf("%5.0f Mbit/s, burst %2.0f ms, %d flow(s), guard %s: game delayed %.2f ms at p99, "
	       "bulk "
	       "has %.1f %%, least of a flow %.2f of its share\n",
		mbit, burst, flows, guarded ? "on " : "off", outcome.delay_p99, outcome.share * 100,
		(double)outcome.least * flows / total);
	return outcome;
}

static void a_game_keeps_its_ping_beside_one_flow(void **state)
{
	static const double lines[] = {20, 50, 200, 1000};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lines); i++)
		for (uint64_t seed = 1; seed <= 3; seed++) {
			struct outcome outcome = run(lines[i], 1, 0, true, seed);
			assert_true(outcome.delay_p99 <= 5);
			assert_true(outcome.share >= 0.80);
			outcome = run(lines[i], 1, 10, true, seed);
			assert_true(outcome.delay_p99 <= 5);
			assert_true(outcome.share >= 0.80);
		}
}

static void a_game_keeps_its_ping_beside_flows_that_share_the_line(void **state)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct outcome outcome = run(200, 4, 0, true, seed);
		assert_true(outcome.delay_p99 <= 5);
		assert_true(outcome.share >= 0.80);
		outcome = run(200, 8, 0, true, seed);
		assert_true(outcome.delay_p99 <= 5);
		assert_true(outcome.share >= 0.80);
		outcome = run(100, 3, 10, true, seed);
		assert_true(outcome.delay_p99 <= 5);
		assert_true(outcome.share >= 0.80);
	}
}

static void without_it_the_game_would_suffer(void **state)
{
	assert_true(run(200, 1, 0, false, 1).delay_p99 > 50);
}

static void before_the_first_sample_nothing_is_held_back(void **state)
{
	struct lsp_ping_guard guard;
	lsp_ping_guard_init(&guard, LSP_PING_GUARD_SENDER);
	assert_true(lsp_ping_guard_rate(&guard) == LSP_PING_GUARD_FREE);
}

static void a_single_late_sample_does_not_count(void **state)
{
	struct lsp_ping_guard guard;
	lsp_ping_guard_init(&guard, LSP_PING_GUARD_SENDER);
	lsp_time now = LSP_SECOND;
	for (int i = 0; i < 2000; i++, now += LSP_MILLISECOND) {
		uint64_t late = i % 10 == 9 ? 20 * LSP_MILLISECOND : 0;
		lsp_ping_guard_delivered(
			&guard, LSP_MIN(lsp_ping_guard_rate(&guard), UINT64_C(1) << 30) / 1000);
		lsp_ping_guard_sample(&guard, RTT + late, 0, 1, now);
	}
	assert_true(lsp_ping_guard_queue(&guard) == 0);
	assert_true(lsp_ping_guard_rate(&guard) > UINT64_C(100) << 20);
}

static void a_path_that_became_longer_is_believed_in_time(void **state)
{
	struct lsp_ping_guard guard;
	lsp_ping_guard_init(&guard, LSP_PING_GUARD_SENDER);
	lsp_time now = LSP_SECOND;
	for (int i = 0; i < 60000; i++, now += LSP_MILLISECOND) {
		uint64_t rtt = i < 5000 ? RTT : RTT + 20 * LSP_MILLISECOND;
		lsp_ping_guard_delivered(
			&guard, LSP_MIN(lsp_ping_guard_rate(&guard), UINT64_C(1) << 30) / 1000);
		lsp_ping_guard_sample(&guard, rtt, 0, 1, now);
	}
	assert_true(lsp_ping_guard_queue(&guard) == 0);
	assert_true(lsp_ping_guard_rate(&guard) > UINT64_C(1) << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_game_keeps_its_ping_beside_one_flow),
		cmocka_unit_test(a_game_keeps_its_ping_beside_flows_that_share_the_line),
		cmocka_unit_test(without_it_the_game_would_suffer),
		cmocka_unit_test(before_the_first_sample_nothing_is_held_back),
		cmocka_unit_test(a_single_late_sample_does_not_count),
		cmocka_unit_test(a_path_that_became_longer_is_believed_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
