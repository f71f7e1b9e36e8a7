/*
 * How fast a game is hashed: lsp_hasher_run over a folder in the page cache, one thread, as the
 * library does it. Prints MB (decimal) a second of processor time, and of the clock.
 *
 * usage: bench-hashing FOLDER [RUNS]
 */
#include "base/fs.h"
#include "content/hasher.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static double processor_seconds(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
	int runs = argc > 2 ? atoi(argv[2]) : 3;
	double best = 0, best_wall = 0;
	struct lsp_error err = {0};
	struct lsp_hasher_options options = {0};
	_cleanup_close_ int dir = -1;
	if (argc < 2 || lsp_fs_open_dir(argv[1], &dir, &err) < 0) {
		fprintf(stderr, "bench-hashing FOLDER [RUNS]: %s\n", err.message);
		return 2;
	}
	for (int i = 0; i < runs; i++) {
		_cleanup_hashed_ struct lsp_hashed hashed = {0};
		double begun = processor_seconds();
		lsp_time clock = lsp_now(lsp_clock_system);
		if (lsp_hasher_run(dir, "bench", &options, NULL, &hashed, &err) < 0) {
			fprintf(stderr, "bench-hashing: %s\n", err.message);
			return 1;
		}
		double megabytes = (double)hashed.manifest->total_size / 1e6;
		double rate = megabytes / (processor_seconds() - begun);
		double wall = megabytes / ((double)(lsp_now(lsp_clock_system) - clock) / 1e9);
		best = rate > best ? rate : best;
		best_wall = wall > best_wall ? wall : best_wall;
	}
	printf("%.0f %.0f\n", best, best_wall);
	return 0;
}
