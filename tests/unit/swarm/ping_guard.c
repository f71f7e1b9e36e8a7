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
#include <string.h>

#include <cmocka.h>

#define STEP (500 * LSP_MICROSECOND)
#define SECONDS 40
#define RTT (800 * LSP_MICROSECOND)
#define BUFFER (100 * LSP_MILLISECOND)
#define FLOWS_MAX 8
#define SMALLEST 100 /* bytes that a flow sends at once */
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
			offered[f] = credit[f] < SMALLEST ? 0 : credit[f];
			credit[f] -= offered[f];
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
			lsp_ping_guard_delivered(&guards[f], bytes, now);
			if (offered[f] >= SMALLEST)
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

/* ---- The first second ------------------------------------------------------------------------ */

#define PACKET 1450
#define FINE (100 * LSP_MICROSECOND)
#define LOOK (5 * LSP_MILLISECOND)
#define STARTERS_MAX 20
#define ON_THE_WAY 1024

/* A sender whose packets come back as round trips when they have passed the queue and the path. */
struct starter {
	struct lsp_ping_guard guard;
	double credit;
	struct {
		lsp_time back;
		uint64_t round_trip;
	} packets[ON_THE_WAY];
	unsigned first, last;
};

struct beginning {
	unsigned late;    /* of the game's 64 packets, by more than 5 ms */
	double most;      /* milliseconds */
	lsp_time reached; /* when 50 ms had 80 % of the line */
};

static void look(struct starter *s, struct lsp_random *random, lsp_time now)
{
	uint64_t least = UINT64_MAX, bytes = 0;
	unsigned count = 0;
	for (; s->first != s->last && s->packets[s->first % ON_THE_WAY].back <= now; s->first++) {
		uint64_t measured = s->packets[s->first % ON_THE_WAY].round_trip + noise(random);
		least = LSP_MIN(least, measured);
		bytes += PACKET;
		count++;
	}
	lsp_ping_guard_delivered(&s->guard, bytes, now);
	if (count)
		lsp_ping_guard_sample(&s->guard, least, 0, count, now);
}

static struct beginning begin(double mbit, int count, double burst, uint64_t seed)
{
	static struct starter starters[STARTERS_MAX];
	struct beginning beginning = {0};
	struct lsp_random random;
	double line = mbit * 1e6 / 8, bucket = line * burst / 1e3, saved = bucket, queue = 0;
	double through = 0;
	lsp_random_seed(&random, seed);
	memset(starters, 0, sizeof starters);
	for (int i = 0; i < count; i++)
		lsp_ping_guard_init(&starters[i].guard, LSP_PING_GUARD_SENDER);
	lsp_time game = LSP_SECOND;
	for (lsp_time now = LSP_SECOND; now < 3 * LSP_SECOND; now += FINE) {
		for (int i = 0; i < count; i++) {
			struct starter *s = &starters[i];
			double rate = (double)lsp_ping_guard_rate(&s->guard);
			s->credit += LSP_MIN(rate, line * 2) * FINE / 1e9;
			for (; s->credit >= PACKET; s->credit -= PACKET) {
				queue += PACKET;
				double wait = queue > saved ? (queue - saved) / line * 1e9 : 0;
				unsigned place = s->last++ % ON_THE_WAY;
				s->packets[place].round_trip = RTT + (uint64_t)wait;
				s->packets[place].back = now + s->packets[place].round_trip;
			}
			if (now % LOOK == 0)
				look(s, &random, now);
		}
		double passed = LSP_MIN(queue, saved + line * FINE / 1e9);
		saved = LSP_MIN(bucket, saved + line * FINE / 1e9 - passed);
		queue -= passed;
		through += passed;
		double wait = queue > saved ? (queue - saved) / line * 1e3 : 0;
		if (now < 2 * LSP_SECOND && now >= game) {
			beginning.late += wait > 5;
			beginning.most = LSP_MAX(beginning.most, wait);
			game += LSP_SECOND / GAME_HZ;
		}
		if ((now + FINE) % (50 * LSP_MILLISECOND) == 0) {
			if (!beginning.reached && through >= line * 0.05 * 0.8)
				beginning.reached = now + FINE - LSP_SECOND;
			through = 0;
		}
	}
	return beginning;
}

static void a_game_keeps_its_ping_while_bulk_begins(void **state)
{
	static const struct {
		double mbit, burst;
		int flows;
	} lines[] = {{20, 0, 1}, {100, 0, 1}, {100, 10, 1}, {100, 10, 3}, {1000, 0, 1},
		{1000, 10, 3}, {1000, 0, 20}};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(lines); i++) {
		unsigned late = 0;
		for (uint64_t seed = 1; seed <= 10; seed++) {
			struct beginning got =
				begin(lines[i].mbit, lines[i].flows, lines[i].burst, seed);
			printf("%5.0f Mbit/s, burst %2.0f ms, %2d flow(s), first second: game "
			       "delayed by %.2f ms at most, bulk has 80 %% after %.2f s\n",
				lines[i].mbit, lines[i].burst, lines[i].flows, got.most,
				(double)got.reached / 1e9);
			assert_true(got.reached && got.reached <= 1300 * LSP_MILLISECOND);
			late += got.late;
		}
		assert_true(late <= 2); /* of 640 */
	}
}

static void a_sender_begins_carefully_and_a_receiver_leaves_that_to_it(void **state)
{
	struct lsp_ping_guard guard;
	lsp_ping_guard_init(&guard, LSP_PING_GUARD_SENDER);
	assert_in_range(lsp_ping_guard_rate(&guard), 1, 1 << 20);
	lsp_ping_guard_init(&guard, LSP_PING_GUARD_RECEIVER);
	lsp_time now = LSP_SECOND;
	for (int i = 0; i < 1000; i++, now += 5 * LSP_MILLISECOND) {
		lsp_ping_guard_delivered(&guard, 50000, now);
		lsp_ping_guard_sample(&guard, RTT, 0, 1, now);
		assert_true(lsp_ping_guard_rate(&guard) == LSP_PING_GUARD_FREE);
	}
	for (int i = 0; i < 50; i++, now += 5 * LSP_MILLISECOND) { /* its sender does not guard */
		lsp_ping_guard_delivered(&guard, 50000, now);
		lsp_ping_guard_sample(&guard, RTT + 30 * LSP_MILLISECOND, 0, 1, now);
	}
	assert_in_range(lsp_ping_guard_rate(&guard), 1, 10000000);
}

static void after_a_rest_it_begins_carefully_again(void **state)
{
	struct lsp_ping_guard guard;
	lsp_ping_guard_init(&guard, LSP_PING_GUARD_SENDER);
	uint64_t first = lsp_ping_guard_rate(&guard);
	lsp_time now = LSP_SECOND;
	for (int i = 0; i < 2000; i++, now += LSP_MILLISECOND) {
		lsp_ping_guard_delivered(
			&guard, LSP_MIN(lsp_ping_guard_rate(&guard), 1u << 27) / 1000, now);
		lsp_ping_guard_sample(&guard, RTT, 0, 1, now);
	}
	uint64_t reached = lsp_ping_guard_rate(&guard);
	assert_true(reached > UINT64_C(50) << 20);
	lsp_ping_guard_move(&guard, now + LSP_SECOND); /* between two requests */
	assert_true(lsp_ping_guard_rate(&guard) == reached);
	for (int i = 0; i < 3000; i++, now += LSP_MILLISECOND) /* no witness, but bytes: no rest */
		lsp_ping_guard_delivered(&guard, reached / 1000, now);
	lsp_ping_guard_move(&guard, now);
	assert_true(lsp_ping_guard_rate(&guard) == reached);
	lsp_ping_guard_move(&guard, now + 5 * LSP_SECOND);
	assert_true(lsp_ping_guard_rate(&guard) == first);
}

static void a_single_late_sample_does_not_count(void **state)
{
	struct lsp_ping_guard guard;
	lsp_ping_guard_init(&guard, LSP_PING_GUARD_SENDER);
	lsp_time now = LSP_SECOND;
	for (int i = 0; i < 2000; i++, now += LSP_MILLISECOND) {
		uint64_t late = i % 10 == 9 ? 20 * LSP_MILLISECOND : 0;
		lsp_ping_guard_delivered(&guard,
			LSP_MIN(lsp_ping_guard_rate(&guard), UINT64_C(1) << 30) / 1000, now);
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
		lsp_ping_guard_delivered(&guard,
			LSP_MIN(lsp_ping_guard_rate(&guard), UINT64_C(1) << 30) / 1000, now);
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
		cmocka_unit_test(a_game_keeps_its_ping_while_bulk_begins),
		cmocka_unit_test(a_sender_begins_carefully_and_a_receiver_leaves_that_to_it),
		cmocka_unit_test(after_a_rest_it_begins_carefully_again),
		cmocka_unit_test(a_single_late_sample_does_not_count),
		cmocka_unit_test(a_path_that_became_longer_is_believed_in_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
