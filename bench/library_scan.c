/*
 * How long the library takes to look at a games folder, beside find(1) over the same tree.
 *
 *     bench-library-scan FOLDER [GAMES [FOLDERS [FILES]]]
 *
 * makes GAMES games (1,000) of FOLDERS folders (10) with FILES files each (20) below FOLDER, unless
 * they are there, and measures, in one run: find and the scan with what they read in no cache (if
 * we may drop the caches), both with everything in memory, the scan of a start that knows all
 * contents, and what hashing it all takes. Ratios count; figures of two runs on a shared machine do
 * not.
 */
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "library/library.h"
#include "task/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS 7

struct bench {
	char games[1000], state[1000];
	unsigned game_count, folder_count, file_count;
	struct lsp_tasks *tasks;
};

static void fail(const char *what, const struct lsp_error *err)
{
	fprintf(stderr, "bench-library-scan: %s: %s\n", what, err ? err->message : strerror(errno));
	exit(1);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return; /* made by an earlier run */
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(path, NULL);
	close(fd);
}

static void make_folder(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		fail(path, NULL);
}

static void make_game(const struct bench *bench, unsigned game)
{
	char path[1200];
	snprintf(path, sizeof path, "%s/game-%04u", bench->games, game);
	make_folder(path);
	for (unsigned folder = 0; folder < bench->folder_count; folder++) {
		snprintf(path, sizeof path, "%s/game-%04u/data-%u", bench->games, game, folder);
		make_folder(path);
		for (unsigned file = folder ? 0 : 1; file < bench->file_count; file++) {
			snprintf(path, sizeof path, "%s/game-%04u/data-%u/file-%03u.dat",
				bench->games, game, folder, file);
			put(path, path + strlen(bench->games));
		}
	}
	snprintf(path, sizeof path, "%s/game-%04u/version.ini", bench->games, game);
	put(path, "20240131\n");
}

static double seconds_of(lsp_time begin)
{
	return (double)(lsp_now(lsp_clock_system) - begin) / LSP_SECOND;
}

static double run_find(const struct bench *bench)
{
	lsp_time begin = lsp_now(lsp_clock_system);
	pid_t child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		execlp("find", "find", bench->games, (char *)NULL);
		_exit(127);
	}
	int status = 1;
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		fail("find", NULL);
	return seconds_of(begin);
}

static struct lsp_library *open_library(const struct bench *bench)
{
	struct lsp_library_options options = {.games_dir = bench->games,
		.state_dir = bench->state,
		.holder = "bench",
		.tasks = bench->tasks};
	struct lsp_library *library = NULL;
	struct lsp_error err = {0};
	if (lsp_library_new(&options, &library, &err) < 0)
		fail("library", &err);
	return library;
}

/* The scan as a start makes it, the opening of the index included; how many games are ready. */
static double run_scan(const struct bench *bench, size_t *ret_ready)
{
	struct lsp_error err = {0};
	lsp_time begin = lsp_now(lsp_clock_system);
	struct lsp_library *library = open_library(bench);
	if (lsp_library_scan(library, NULL, &err) < 0)
		fail("scan", &err);
	double seconds = seconds_of(begin);
	const struct lsp_library_snapshot *all = lsp_library_snapshot(library);
	if (all->count != bench->game_count)
		fail("the scan found another number of games", NULL);
	*ret_ready = 0;
	for (size_t i = 0; i < all->count; i++)
		*ret_ready += all->games[i]->state == LSP_LIBRARY_READY;
	lsp_library_snapshot_unref(all);
	lsp_library_free(library);
	return seconds;
}

/* A look at everything by a library that runs, as the safety net makes one. */
static double run_rescan(struct lsp_library *library)
{
	lsp_time begin = lsp_now(lsp_clock_system);
	lsp_library_refresh(library, NULL, NULL, NULL);
	lsp_library_step(library, NULL);
	return seconds_of(begin);
}

static void hash_all(const struct bench *bench)
{
	struct lsp_library *library = open_library(bench);
	lsp_time begin = lsp_now(lsp_clock_system);
	for (size_t ready = 0; ready < bench->game_count;) {
		lsp_library_step(library, NULL);
		const struct lsp_library_snapshot *all = lsp_library_snapshot(library);
		ready = 0;
		for (size_t i = 0; i < all->count; i++)
			ready += all->games[i]->state == LSP_LIBRARY_READY;
		lsp_library_snapshot_unref(all);
	}
	printf("  hashing all of it, one thread        %8.3f s\n", seconds_of(begin));
	/* A look after the folders came to rest lets the next start assume what is in them. */
	struct timespec rest = {3, 0};
	nanosleep(&rest, NULL);
	double best = 1e9;
	for (int i = 0; i < RUNS; i++) {
		double seconds = run_rescan(library);
		best = seconds < best ? seconds : best;
	}
	printf("  a look at all by a running library   %8.3f s (best)\n", best);
	lsp_library_free(library);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double report(const char *name, double *samples)
{
	qsort(samples, RUNS, sizeof *samples, compare_doubles);
	printf("  %-36s %8.3f s (best %.3f)\n", name, samples[RUNS / 2], samples[0]);
	return samples[RUNS / 2];
}

static int drop_caches(void)
{
	sync();
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	int done = fd >= 0 && write(fd, "3", 1) == 1;
	if (fd >= 0)
		close(fd);
	return done;
}

static void measure(const struct bench *bench)
{
	double find[RUNS], scan[RUNS];
	size_t ready;
	if (drop_caches()) {
		double cold_find = run_find(bench);
		drop_caches();
		double cold_scan = run_scan(bench, &ready);
		printf("  find, cold                           %8.3f s\n", cold_find);
		printf("  scan, cold, nothing known            %8.3f s  %.2f x find\n", cold_scan,
			cold_scan / cold_find);
	}
	hash_all(bench);
	for (int i = 0; i < RUNS; i++) { /* by turns: what disturbs one disturbs the other */
		find[i] = run_find(bench);
		scan[i] = run_scan(bench, &ready);
		if (ready != bench->game_count)
			fail("not every game was known again", NULL);
	}
	double by_find = report("find, warm", find);
	double by_scan = report("scan at a start, warm, all ready", scan);
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	printf("  warm scan / find                     %8.2f\n", by_scan / by_find);
	printf("  most memory                          %8ld MB\n", usage.ru_maxrss / 1000);
}

int main(int argc, char **argv)
{
	struct bench bench = {.game_count = argc > 2 ? (unsigned)atoi(argv[2]) : 1000,
		.folder_count = argc > 3 ? (unsigned)atoi(argv[3]) : 10,
		.file_count = argc > 4 ? (unsigned)atoi(argv[4]) : 20};
	if (argc < 2 || argv[1][0] != '/') {
		fprintf(stderr, "usage: bench-library-scan /FOLDER [GAMES [FOLDERS [FILES]]]\n");
		return 2;
	}
	lsp_log_set_level(LSP_LOG_WARNING);
	snprintf(bench.games, sizeof bench.games, "%s/games", argv[1]);
	snprintf(bench.state, sizeof bench.state, "%s/state", argv[1]);
	struct lsp_error err = {0};
	struct lsp_cancel *root = NULL;
	if (lsp_fs_make_dirs(bench.games, false, &err) < 0 ||
		lsp_fs_make_dirs(bench.state, true, &err) < 0 ||
		lsp_cancel_new(NULL, &root, &err) < 0 ||
		lsp_tasks_new(root, NULL, &bench.tasks, &err) < 0)
		fail(argv[1], &err);
	for (unsigned i = 0; i < bench.game_count; i++)
		make_game(&bench, i);
	printf("%u games, %u files in each:\n", bench.game_count,
		bench.folder_count * bench.file_count);
	measure(&bench);
	if (lsp_tasks_join_all(bench.tasks, LSP_TIME_NEVER, NULL, &err) < 0)
		fail("threads", &err);
	lsp_tasks_free(bench.tasks);
	lsp_cancel_unref(root);
	return 0;
}
