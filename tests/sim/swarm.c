/*
 * The swarm at work: each scenario prints what it took beside what it could not beat, and asserts.
 *
 *     swarm [--long] [SCENARIO …]
 *
 * The short form runs all but `two-hundred` and `crowd`; --long runs everything with more seeds.
 */
#include "sim.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MIB (1024.0 * 1024.0)
#define LAN (100 * LSP_MICROSECOND) /* half of a path's one-way delay */

static bool long_form;

static double cpu(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* One seeder, n that want it, equal lines. The bound is one copy over one line, without framing. */
static double party(uint32_t n, double mbit, double mib, uint64_t seed, double limit)
{
	struct sim sim;
	double began = cpu();
	sim_init(&sim, seed, n + 1);
	if (n > 100) { /* coarser, to be done in seconds */
		sim.run_delay = 500 * LSP_MICROSECOND;
		sim.quantum = 32 << 10;
	}
	sim_game(&sim, (uint64_t)(mib * MIB));
	for (uint32_t i = 0; i <= n; i++)
		sim_node(&sim, i, SIM_HONEST, mbit * MBIT, mbit * MBIT, LAN, i ? 0 : 1);
	for (uint32_t i = 0; i <= n; i++)
		sim_join(&sim, i);
	double bound = mib * MIB / (mbit * MBIT);
	bool done = sim_run(&sim, 1000 * LSP_SECOND);
	double time = sim_last_done(&sim, 0), waste = sim_waste(&sim);
	double seeded = (double)sim.nodes[0].sent / (mib * MIB);
	double first = time;
	for (uint32_t i = 1; i <= n; i++)
		first = LSP_MIN(first, (double)(sim.nodes[i].done[0] - LSP_SECOND) / 1e9);
	printf("1+%-3u %4.0f Mbit/s %5.0f MiB %4u chunks  seed %2llu: %7.2f s / %6.2f s = %.3f "
	       "(first %.3f)"
	       "  seeder sent %.3f x, waste %.2f %%, %.1f s of CPU, %llu events\n",
		n, mbit, mib, sim.chunk_count[0], (unsigned long long)seed, time, bound,
		time / bound, first / bound, seeded, waste * 100, cpu() - began,
		(unsigned long long)sim.events);
	sim_assert(done, "not everybody finished");
	sim_assert(time / bound <= limit, "%.3f is over %.3f", time / bound, limit);
	sim_assert(waste <= 0.01, "waste of %.2f %%", waste * 100);
	for (uint32_t i = 0; i <= n; i++)
		sim_assert(!sim.nodes[i].dropped_honest, "an honest peer was dropped");
	sim_done(&sim);
	return time / bound;
}

static void eight(void)
{
	for (uint64_t seed = 1; seed <= (long_form ? 10 : 3); seed++)
		party(8, 200, 512, seed, 1.15);
}

static void twenty(void)
{
	for (uint64_t seed = 1; seed <= (long_form ? 10 : 3); seed++)
		party(20, 100, 128, seed, 1.25);
}

static void two_hundred(void)
{
	for (uint64_t seed = 1; seed <= (long_form ? 5 : 1); seed++)
		party(200, 100, 128, seed, 1.25);
}

/* ---- Unequal sources ------------------------------------------------------------------------- */

/* Every other chunk from each: the slow one decides. */
static double round_robin(double bytes, double fast, double slow)
{
	return LSP_MAX(bytes / 2 / fast, bytes / 2 / slow);
}

static void two_sources(double fast_fails, double slow_fails, uint64_t seed)
{
	struct sim sim;
	double fast = 500 * MBIT, slow = 50 * MBIT, bytes = 512 * MIB;
	sim_init(&sim, seed, 3);
	sim_game(&sim, (uint64_t)bytes);
	sim_node(&sim, 0, SIM_HONEST, fast, fast, LAN, 1);
	sim_node(&sim, 1, SIM_HONEST, slow, slow, LAN, 1);
	sim_node(&sim, 2, SIM_HONEST, 1000 * MBIT, 1000 * MBIT, LAN, 0);
	sim.nodes[0].fail = fast_fails;
	sim.nodes[1].fail = slow_fails;
	for (uint32_t i = 0; i < 3; i++)
		sim_join(&sim, i);
	bool done = sim_run(&sim, 1000 * LSP_SECOND);
	double bound = bytes / (fast + slow); /* as if neither failed */
	double time = sim_last_done(&sim, 0), plain = round_robin(bytes, fast, slow);
	printf("500 + 50 Mbit/s, %s fails a tenth, seed %llu: %.2f s / %.2f s = %.3f;"
	       " round-robin %.2f s = %.3f; waste %.2f %%\n",
		fast_fails > 0   ? "fast"
		: slow_fails > 0 ? "slow"
				 : "none",
		(unsigned long long)seed, time, bound, time / bound, plain, plain / bound,
		sim_waste(&sim) * 100);
	sim_assert(done && time / bound <= 1.15, "unequal sources: %.3f", time / bound);
	sim_assert(!sim.nodes[2].dropped_honest && !sim.nodes[2].states_failed,
		"an honest source was given up");
	sim_done(&sim);
}

static void unequal(void)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		two_sources(0, 0, seed);
		two_sources(0.1, 0, seed);
		two_sources(0, 0.1, seed);
	}
}

/* ---- Late comer ------------------------------------------------------------------------------ */

static void late_comer(void)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct sim sim;
		double line = 200 * MBIT, bytes = 512 * MIB;
		sim_init(&sim, seed, 10);
		sim_game(&sim, (uint64_t)bytes);
		for (uint32_t i = 0; i < 10; i++)
			sim_node(&sim, i, SIM_HONEST, line, line, LAN, i ? 0 : 1);
		for (uint32_t i = 0; i < 9; i++)
			sim_join(&sim, i);
		double bound = bytes * SIM_OVERHEAD / line;
		sim_run_to(&sim, LSP_SECOND + (uint64_t)(bound / 2 * 1e9));
		lsp_time joined = sim.now;
		sim_join(&sim, 9);
		bool done = sim_run(&sim, 1000 * LSP_SECOND);
		double time = (double)(sim.nodes[9].done[0] - joined) / 1e9;
		double others = 0;
		for (uint32_t i = 1; i < 9; i++)
			others = LSP_MAX(others, (double)(sim.nodes[i].done[0] - LSP_SECOND) / 1e9);
		printf("late comer at half time, seed %llu: %.2f s, its own line takes %.2f s ="
		       " %.3f; the others %.3f\n",
			(unsigned long long)seed, time, bound, time / bound, others / bound);
		sim_assert(done && time / bound <= 1.15, "late comer: %.3f", time / bound);
		sim_done(&sim);
	}
}

/* ---- Hostile company ------------------------------------------------------------------------- */

/* `kinds` in turn; the time may be `limit` times the bound. Returns how often liars were dropped.
 */
static uint32_t hostile_party(const char *what, const enum sim_kind *kinds, size_t kind_count,
	uint32_t honest, uint32_t hostile, uint64_t seed, double limit)
{
	struct sim sim;
	double line = 200 * MBIT, bytes = 128 * MIB;
	uint32_t dropped = 0;
	sim_init(&sim, seed, honest + hostile);
	sim_game(&sim, (uint64_t)bytes);
	for (uint32_t i = 0; i < honest + hostile; i++)
		sim_node(&sim, i, i < honest ? SIM_HONEST : kinds[(i - honest) % kind_count], line,
			line, LAN, i ? 0 : 1);
	for (uint32_t i = 0; i < honest + hostile; i++)
		sim_join(&sim, i);
	bool done = sim_run(&sim, 1000 * LSP_SECOND);
	double bound = bytes / line, time = sim_last_done(&sim, 0);
	uint64_t blamed = 0;
	uint32_t failed = 0;
	for (uint32_t i = 0; i < honest; i++) {
		blamed += sim.nodes[i].dropped_honest;
		dropped += sim.nodes[i].dropped_hostile;
		failed += sim.nodes[i].states_failed;
	}
	printf("%u %s of %u, seed %llu: %.2f s / %.2f s = %.2f; liars dropped %u times, honest"
	       " ones never; waste %.1f %%\n",
		hostile, what, honest + hostile, (unsigned long long)seed, time, bound,
		time / bound, dropped, sim_waste(&sim) * 100);
	sim_assert(done, "hostile company: not everybody finished");
	sim_assert(!blamed && !failed, "an honest peer was dropped, or a download failed");
	sim_assert(time / bound <= limit, "%s: %.2f is over %.2f", what, time / bound, limit);
	sim_done(&sim);
	return dropped;
}

static void hostile(void)
{
	static const enum sim_kind kinds[] = {SIM_POISONER, SIM_STALLER, SIM_CLAIMER, SIM_TRICKLER,
		SIM_RESETTER, SIM_FLOODER, SIM_PRETENDER, SIM_RELAPSER};
	for (uint64_t seed = 1; seed <= (long_form ? 5 : 2); seed++) {
		for (uint32_t honest = 2; honest <= 5; honest += 3) /* 5 of 6 sources; 45 of 50 */
			sim_assert(hostile_party("hostile", kinds, LSP_ARRAY_SIZE(kinds), honest,
					   honest == 2 ? 5 : 45, seed, 2.5),
				"no liar was dropped");
	}
	/* Each kind alone: what stops one is not what stops another. */
	static const struct {
		const char *what;
		enum sim_kind kind;
		double few, many;
	} crowds[] = {
		{"poisoners", SIM_POISONER, 1.15, 1.5},
		{"stallers", SIM_STALLER, 1.15, 1.5},
		{"claimers", SIM_CLAIMER, 1.15, 1.5},
		{"tricklers", SIM_TRICKLER, 1.15, 1.7},
		{"resetters", SIM_RESETTER, 1.15, 1.7},
		{"pretenders", SIM_PRETENDER, 1.15, 1.5},
		{"relapsers", SIM_RELAPSER, 1.15, 1.5},
		{"drippers", SIM_DRIPPER, 1.15, 1.6},
		{"bouncers", SIM_BOUNCER, 1.15, 1.9},
		/* What they may have before they wait: some chunks of each. */
		{"flooders", SIM_FLOODER, 1.25, 1.8},
		{"mutes", SIM_MUTE, 1.25, 2.3},
		{"takers", SIM_TAKER, 1.25, 1.8},
	};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(crowds); i++) {
		hostile_party(crowds[i].what, &crowds[i].kind, 1, 2, 5, 1, crowds[i].few);
		hostile_party(crowds[i].what, &crowds[i].kind, 1, 5, 45, 1, crowds[i].many);
	}
}

/* ---- Two downloads --------------------------------------------------------------------------- */

static void two_games(void)
{
	struct sim sim;
	double line = 200 * MBIT;
	sim_init(&sim, 1, 4);
	sim_game(&sim, 128 << 20);
	sim_game(&sim, 128 << 20);
	for (uint32_t i = 0; i < 4; i++)
		sim_node(&sim, i, SIM_HONEST, line, line, LAN, i ? 1 : 0);
	for (uint32_t i = 0; i < 4; i++)
		sim_join(&sim, i);
	sim_run_to(&sim, 6 * LSP_SECOND);
	struct lsp_swarm_game_status a, b;
	sim_assert(!lsp_swarm_game_status(sim.nodes[0].swarm, sim.nodes[0].games[0], &a) &&
			   !lsp_swarm_game_status(sim.nodes[0].swarm, sim.nodes[0].games[1], &b),
		"status");
	double share = (double)a.bytes_have / (double)(a.bytes_have + b.bytes_have);
	bool done = sim_run(&sim, 100 * LSP_SECOND);
	double bound = (256 << 20) / line,
	       time = LSP_MAX(sim_last_done(&sim, 0), sim_last_done(&sim, 1));
	printf("two downloads at once: shares %.3f and %.3f after 5 s; both done after %.3f x\n",
		share, 1 - share, time / bound);
	sim_assert(done && time / bound < 1.15, "two downloads: %.3f", time / bound);
	sim_assert(share > 0.45 && share < 0.55, "two downloads: not fair");
	sim_done(&sim);
}

/* ---- Churn ----------------------------------------------------------------------------------- */

static void churn(void)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct sim sim;
		double line = 100 * MBIT, bytes = 128 * MIB;
		uint32_t count = 40;
		sim_init(&sim, seed, count);
		sim_game(&sim, (uint64_t)bytes);
		for (uint32_t i = 0; i < count; i++) {
			sim_node(&sim, i, SIM_HONEST, line, line, LAN, i ? 0 : 1);
			lsp_time from = LSP_SECOND + lsp_random_below(&sim.random, 8 * LSP_SECOND);
			sim_join_at(&sim, i, i ? from : LSP_SECOND);
			if (i % 4 ==
				3) /* a quarter leaves in the middle, half of those come back */
				sim_leave_at(&sim, i,
					from + LSP_SECOND +
						lsp_random_below(&sim.random, 5 * LSP_SECOND));
			if (i % 8 == 7)
				sim_join_at(&sim, i, from + 7 * LSP_SECOND);
			if (i % 8 == 5) /* and some machines stand still for a while */
				sim_stop_at(&sim, i, from + 2 * LSP_SECOND, from + 5 * LSP_SECOND);
		}
		sim_run_to(&sim, 17 * LSP_SECOND);
		bool done = sim_run(&sim, 1000 * LSP_SECOND);
		uint32_t here = 0;
		for (uint32_t i = 0; i < count; i++) {
			here += sim.nodes[i].here;
			sim_assert(
				!sim.nodes[i].dropped_honest, "churn: an honest peer was dropped");
			sim_assert(!sim.nodes[i].states_failed, "churn: a download failed");
		}
		printf("churn, 40 nodes, 10 leave, 5 come back, 5 stand still, seed %llu: the last"
		       " of %u after %.2f s (one line: %.2f s), waste %.2f %%\n",
			(unsigned long long)seed, here, sim_last_done(&sim, 0), bytes / line,
			sim_waste(&sim) * 100);
		sim_assert(done, "churn: not everybody finished");
		sim_assert(sim_waste(&sim) < 0.03, "churn: waste");
		sim_done(&sim);
	}
}

/* ---- All of it at once ----------------------------------------------------------------------- */

#define CROWD_COMES (2 * LSP_SECOND) /* within so long */
#define CROWD_AWAY (3 * LSP_SECOND)

/* Of four lines one is slow, one is fast, and one is far. */
static void crowd_node(struct sim *sim, uint32_t i, enum sim_kind kind)
{
	double line = (i % 4 == 1 ? 50 : i % 4 == 2 ? 200 : 100) * MBIT;
	uint64_t delay = LSP_MILLISECOND * (i % 4 == 3 ? 5 : 1) / 10;
	sim_node(sim, i, kind, line, line, delay, i ? 0 : 1);
}

/* Of ten one leaves, one leaves and comes back, one stands still. */
static void crowd_life(struct sim *sim, uint32_t i)
{
	lsp_time from = LSP_SECOND + (i ? lsp_random_below(&sim->random, CROWD_COMES) : 0);
	lsp_time middle = from + LSP_SECOND + lsp_random_below(&sim->random, 4 * LSP_SECOND);
	sim_join_at(sim, i, from);
	if (i % 10 == 7 || i % 10 == 8)
		sim_leave_at(sim, i, middle);
	if (i % 10 == 8)
		sim_join_at(sim, i, middle + CROWD_AWAY);
	if (i % 10 == 9)
		sim_stop_at(sim, i, middle, middle + CROWD_AWAY);
}

/* Two hundred on unequal lines: most come and some go, and a fifth is hostile, five of each kind.
 */
static void crowd(void)
{
	static const enum sim_kind kinds[] = {SIM_POISONER, SIM_STALLER, SIM_CLAIMER, SIM_TRICKLER,
		SIM_RESETTER, SIM_FLOODER, SIM_PRETENDER, SIM_RELAPSER};
	enum { HONEST = 160, HOSTILE = 40 };
	for (uint64_t seed = 1; seed <= (long_form ? 3 : 1); seed++) {
		struct sim sim;
		double began = cpu(), bytes = 64 * MIB;
		/* The slowest line's of who comes last and is away once. */
		double bound = bytes / (50 * MBIT) + (CROWD_COMES + CROWD_AWAY) / 1e9;
		uint32_t here = 0, dropped = 0;
		sim_init(&sim, seed, HONEST + HOSTILE);
		sim.run_delay = 500 * LSP_MICROSECOND;
		sim.quantum = 32 << 10;
		sim_game(&sim, (uint64_t)bytes);
		for (uint32_t i = 0; i < HONEST + HOSTILE; i++)
			crowd_node(&sim, i,
				i < HONEST ? SIM_HONEST : kinds[i % LSP_ARRAY_SIZE(kinds)]);
		for (uint32_t i = 0; i < HONEST; i++)
			crowd_life(&sim, i);
		for (uint32_t i = HONEST; i < HONEST + HOSTILE; i++)
			sim_join(&sim, i);
		sim_run_to(&sim, 12 * LSP_SECOND);
		bool done = sim_run(&sim, 1000 * LSP_SECOND);
		for (uint32_t i = 0; i < HONEST; i++) {
			here += sim.nodes[i].here;
			dropped += sim.nodes[i].dropped_hostile;
			sim_assert(!sim.nodes[i].dropped_honest && !sim.nodes[i].states_failed,
				"crowd: an honest peer was dropped, or a download failed");
		}
		double last = sim_last_done(&sim, 0);
		printf("crowd: %u honest who come and go, %u hostile, seed %llu: the last of %u "
		       "after %.2f s / %.2f s = %.2f, liars dropped %u times, waste "
		       "%.2f %%, %.1f s of CPU\n",
			HONEST, HOSTILE, (unsigned long long)seed, here, last, bound, last / bound,
			dropped, sim_waste(&sim) * 100, cpu() - began);
		sim_assert(
			done && dropped, "crowd: not everybody finished, or no liar was dropped");
		sim_assert(last / bound < 1.25, "crowd: %.2f is over 1.25", last / bound);
		sim_assert(sim_waste(&sim) < 0.1, "crowd: waste");
		sim_done(&sim);
	}
}

/* ---- All gone, and back ---------------------------------------------------------------------- */

static void all_gone(void)
{
	struct sim sim;
	double line = 100 * MBIT;
	sim_init(&sim, 1, 2);
	sim_game(&sim, 64 << 20);
	sim_node(&sim, 0, SIM_HONEST, line, line, LAN, 1);
	sim_node(&sim, 1, SIM_HONEST, line, line, LAN, 0);
	sim_join(&sim, 0);
	sim_join(&sim, 1);
	sim_run_to(&sim, 4 * LSP_SECOND);
	uint64_t kept = sim.nodes[1].kept;
	uint32_t waited = sim.nodes[1].states_waiting;
	sim_leave(&sim, 0);
	sim_run_to(&sim, 60 * LSP_SECOND);
	sim_assert(sim.nodes[1].states_waiting == waited + 1, "all gone: not said exactly once");
	sim_assert(!sim.nodes[1].states_failed, "all gone: a download failed");
	uint64_t received = sim.nodes[1].received;
	sim_join(&sim, 0);
	bool done = sim_run(&sim, 100 * LSP_SECOND);
	uint64_t again = sim.nodes[1].received - received;
	printf("all gone after %.1f of 64 MiB, back a minute later: %.1f MiB fetched then\n",
		(double)kept / MIB, (double)again / MIB);
	sim_assert(done, "all gone: it did not go on");
	sim_assert(kept > 20 << 20 && again <= (64u << 20) - kept, "all gone: fetched too much");
	sim_done(&sim);
}

/* A lid closed for a minute: nobody is blamed, and it goes on. */
static void stopped(void)
{
	struct sim sim;
	double line = 100 * MBIT;
	sim_init(&sim, 1, 6);
	sim_game(&sim, 64 << 20);
	for (uint32_t i = 0; i < 6; i++)
		sim_node(&sim, i, SIM_HONEST, line, line, LAN, i < 2 ? 1 : 0);
	for (uint32_t i = 0; i < 6; i++)
		sim_join(&sim, i);
	sim_stop_at(&sim, 5, 3 * LSP_SECOND, 63 * LSP_SECOND);
	bool done = sim_run(&sim, 200 * LSP_SECOND);
	double after = (double)(sim.nodes[5].done[0] - 63 * LSP_SECOND) / 1e9;
	printf("stopped for 60 s: done %.2f s after it went on\n", after);
	sim_assert(done && after < 20, "stopped: it did not go on");
	for (uint32_t i = 0; i < 6; i++)
		sim_assert(!sim.nodes[i].dropped_honest && !sim.nodes[i].states_failed,
			"stopped: somebody was blamed");
	sim_done(&sim);
}

static void small_files(void)
{
	struct sim sim;
	double line = 1000 * MBIT, bytes = 20000 * 4096.0;
	sim_init(&sim, 1, 4);
	sim_game_files(&sim, 20000, 4096);
	for (uint32_t i = 0; i < 4; i++)
		sim_node(&sim, i, SIM_HONEST, line, line, LAN, i ? 0 : 1);
	for (uint32_t i = 0; i < 4; i++)
		sim_join(&sim, i);
	bool done = sim_run(&sim, 100 * LSP_SECOND);
	double time = sim_last_done(&sim, 0), bound = bytes / line;
	printf("20,000 files of 4 KiB, 1+3 at 1 Gbit/s: %.2f s / %.2f s = %.3f, %llu messages\n",
		time, bound, time / bound, (unsigned long long)sim.messages);
	sim_assert(done && time / bound < 1.5, "small files: %.3f", time / bound);
	sim_done(&sim);
}

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{"eight", eight},
	{"twenty", twenty},
	{"two-hundred", two_hundred},
	{"unequal", unequal},
	{"late-comer", late_comer},
	{"hostile", hostile},
	{"two-games", two_games},
	{"churn", churn},
	{"crowd", crowd},
	{"all-gone", all_gone},
	{"stopped", stopped},
	{"small-files", small_files},
};

int main(int argc, char **argv)
{
	int first =
		1; /* the large ones take as long as all the others and run when they are named */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "--long")) {
		long_form = true;
		first = 2;
	}
	for (size_t i = 0; i < LSP_ARRAY_SIZE(scenarios); i++) {
		bool large = scenarios[i].run == two_hundred || scenarios[i].run == crowd;
		bool wanted = argc <= first && (long_form || !large);
		for (int a = first; a < argc; a++)
			wanted |= !strcmp(argv[a], scenarios[i].name);
		if (wanted)
			scenarios[i].run();
	}
	return 0;
}
