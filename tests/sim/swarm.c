/*
 * The swarm at work: each scenario prints what it took beside what it could not beat, and asserts.
 *
 *     swarm [--long] [SCENARIO …]
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
	sim_game(&sim, (uint64_t)(mib * MIB));
	for (uint32_t i = 0; i <= n; i++)
		sim_node(&sim, i, SIM_HONEST, mbit * MBIT, mbit * MBIT, LAN, i ? 0 : 1);
	for (uint32_t i = 0; i <= n; i++)
		sim_join(&sim, i);
	double bound = mib * MIB / (mbit * MBIT);
	bool done = sim_run(&sim, 1000 * LSP_SECOND);
	double time = sim_last_done(&sim, 0), waste = sim_waste(&sim);
	double seeded = (double)sim.nodes[0].sent / (mib * MIB);
	printf("1+%-3u %4.0f Mbit/s %5.0f MiB %4u chunks  seed %2llu: %7.2f s / %6.2f s = %.3f"
	       "  seeder sent %.3f x, waste %.2f %%, %.1f s of CPU, %llu events\n",
		n, mbit, mib, sim.chunk_count[0], (unsigned long long)seed, time, bound,
		time / bound, seeded, waste * 100, cpu() - began, (unsigned long long)sim.events);
	sim_assert(done, "not everybody finished");
	sim_assert(time / bound <= limit, "%.3f is over %.3f", time / bound, limit);
	sim_assert(waste <= 0.01, "waste of %.2f %%", waste * 100);
	sim_assert(sim_twice(&sim) == 0, "a chunk was fetched twice");
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

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{"eight", eight},
	{"twenty", twenty},
	{"two-hundred", two_hundred},
};

int main(int argc, char **argv)
{
	int first = 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "--long")) {
		long_form = true;
		first = 2;
	}
	for (size_t i = 0; i < LSP_ARRAY_SIZE(scenarios); i++) {
		bool wanted = argc <= first;
		for (int a = first; a < argc; a++)
			wanted |= !strcmp(argv[a], scenarios[i].name);
		if (wanted)
			scenarios[i].run();
	}
	return 0;
}
