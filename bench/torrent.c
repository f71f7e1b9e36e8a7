/*
 * What bench/torrent.py runs: one end of a transfer, by libtorrent with the engine around it or
 * alone, and an engine that has nothing to do.
 *
 *     bench-torrent make FOLDER TORRENT
 *     bench-torrent seed engine|bare LISTEN TORRENT FOLDER        says "ready"; is killed
 *     bench-torrent fetch engine|bare LISTEN TORRENT FOLDER PEER  prints {"seconds"}
 *     bench-torrent idle FOLDER TORRENTS SECONDS                  prints {"start_s", "cpu_percent"}
 *
 * Both kinds have the settings that the engine makes of its configuration, the defaults: what is
 * compared is the worker around the session.
 */
#include "torrent_bare.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "task/answer.h"
#include "task/supervisor.h"
#include "torrent/configuration.h"
#include "torrent/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct lsp_error error;

#define CHECK(call)                                                                                \
	do {                                                                                       \
		if ((call) < 0) {                                                                  \
			fprintf(stderr, "bench-torrent: %s: %s\n", #call, error.message);          \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

struct bench {
	struct lsp_cancel *root;
	struct lsp_tasks *tasks;
	struct lsp_supervisor *supervisor;
	struct lsp_torrent_engine *engine;
	struct lsp_answer completed; /* a download */
	struct lsp_answer all;       /* so many were added */
	unsigned added, wanted;
};

static void on_event(void *argument, json_t *event)
{
	struct bench *bench = argument;
	const char *name = json_string_value(json_object_get(event, "event"));
	if (strcmp(name, "torrent_completed") == 0)
		lsp_answer_complete(&bench->completed, 0, NULL);
	if (strcmp(name, "torrent_added") == 0 && ++bench->added == bench->wanted)
		lsp_answer_complete(&bench->all, 0, NULL);
	json_decref(event);
}

static void on_failed(void *argument, const char *component, const struct lsp_error *why)
{
}

static json_t *listening(const char *address)
{
	return json_pack("{s:[s]}", "listen", address);
}

static void start(struct bench *bench, const char *folder, const char *address, unsigned wanted)
{
	_cleanup_free_ char *resume = lsp_text_format("%s/resume", folder);
	struct lsp_supervisor_events events = {on_failed, NULL, NULL};
	json_t *configuration = listening(address);
	memset(bench, 0, sizeof *bench);
	bench->wanted = wanted;
	lsp_answer_init(&bench->completed);
	lsp_answer_init(&bench->all);
	CHECK(lsp_cancel_new(NULL, &bench->root, &error));
	CHECK(lsp_tasks_new(bench->root, NULL, &bench->tasks, &error));
	CHECK(lsp_supervisor_new(bench->tasks, &events, &bench->supervisor, &error));
	struct lsp_torrent_options options = {.tasks = bench->tasks,
		.supervisor = bench->supervisor,
		.resume_dir = resume,
		.configuration = configuration,
		.event = on_event,
		.event_argument = bench};
	CHECK(lsp_torrent_engine_start(&options, &bench->engine, &error));
	json_decref(configuration);
}

static void stop(struct bench *bench)
{
	lsp_cancel_request(bench->root, LSP_CANCEL_USER, NULL);
	CHECK(lsp_tasks_join_all(bench->tasks, LSP_TIME_NEVER, NULL, &error));
	lsp_torrent_engine_free(bench->engine);
	lsp_supervisor_free(bench->supervisor);
	lsp_tasks_free(bench->tasks);
	lsp_cancel_unref(bench->root);
}

struct waiting {
	struct lsp_answer answer;
	struct lsp_buffer *bytes; /* what a create gave; may be NULL */
};

static void on_done(void *argument, struct lsp_torrent_answer *answer)
{
	struct waiting *waiting = argument;
	if (waiting->bytes) {
		*waiting->bytes = answer->bytes;
		memset(&answer->bytes, 0, sizeof answer->bytes);
	}
	lsp_answer_complete(&waiting->answer, answer->result, &answer->error);
}

static void ask(struct bench *bench, enum lsp_torrent_command command, json_t *arguments,
	const struct lsp_buffer *metainfo, struct lsp_buffer *ret_bytes)
{
	struct waiting waiting = {.bytes = ret_bytes};
	struct lsp_torrent_call call = {
		.command = command, .arguments = arguments, .done = on_done, .argument = &waiting};
	lsp_answer_init(&waiting.answer);
	if (metainfo)
		CHECK(lsp_buffer_append(&call.metainfo, metainfo->data, metainfo->size, &error));
	CHECK(lsp_torrent_call(bench->engine, &call, &error));
	CHECK(lsp_answer_settle(&waiting.answer, &error));
	lsp_answer_done(&waiting.answer);
}

/* ---- A transfer -------------------------------------------------------------------------- */

static void make(const char *folder, const char *torrent)
{
	struct bench bench;
	_cleanup_buffer_ struct lsp_buffer bytes = {0};
	_cleanup_free_ char *state = lsp_text_format("%s.state", torrent);
	start(&bench, state, "127.0.0.1:0", 0);
	ask(&bench, LSP_TORRENT_CREATE, json_pack("{s:s}", "path", folder), NULL, &bytes);
	stop(&bench);
	CHECK(lsp_fs_write_file(torrent, bytes.data, bytes.size, 0644, &error));
}

void bench_seed(void)
{
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

static uint64_t with_engine(const char *address, const struct bench_end *end)
{
	struct bench bench;
	_cleanup_buffer_ struct lsp_buffer metainfo = {0};
	CHECK(lsp_fs_read_file(end->torrent, 64 << 20, &metainfo, &error));
	lsp_time begun = lsp_now(lsp_clock_system);
	start(&bench, end->folder, address, 0);
	/* A seed as a game of the library is one. */
	json_t *arguments =
		end->peer ? json_pack("{s:s, s:[s]}", "save_path", end->folder, "peers", end->peer)
			  : json_pack("{s:s, s:s, s:b}", "save_path", end->folder, "have", "all",
				    "transient", true);
	ask(&bench, LSP_TORRENT_ADD, arguments, &metainfo, NULL);
	if (!end->peer)
		bench_seed();
	CHECK(lsp_answer_settle(&bench.completed, &error));
	uint64_t took = lsp_now(lsp_clock_system) - begun;
	stop(&bench);
	return took;
}

static uint64_t alone(const char *address, const struct bench_end *end)
{
	json_t *json = listening(address);
	_cleanup_configuration_ struct lsp_configuration configuration = {0};
	CHECK(lsp_configuration_parse(json, &configuration, &error));
	json_decref(json);
	return bench_bare(configuration.settings, configuration.count, end);
}

static void transfer(const char *kind, const char *address, const struct bench_end *end)
{
	uint64_t took =
		strcmp(kind, "engine") == 0 ? with_engine(address, end) : alone(address, end);
	printf("{\"seconds\":%.4f}\n", (double)took / LSP_SECOND);
}

/* ---- Rest -------------------------------------------------------------------------------- */

static double cpu(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void wait_seconds(unsigned seconds)
{
	lsp_time now = lsp_now(lsp_clock_system);
	lsp_cancel_wait(NULL, NULL, lsp_time_add(now, seconds * LSP_SECOND));
}

/* Small seeds that are whole, each with a file of its own. */
static void store(struct bench *bench, const char *folder, unsigned torrents)
{
	_cleanup_free_ char *content = lsp_text_format("%s/content", folder);
	for (unsigned i = 0; i < torrents; i++) {
		_cleanup_free_ char *game = lsp_text_format("%s/game%u", content, i);
		_cleanup_free_ char *path = lsp_text_format("%s/data", game);
		_cleanup_buffer_ struct lsp_buffer metainfo = {0};
		CHECK(lsp_fs_make_dirs(game, false, &error));
		CHECK(lsp_fs_write_file(path, game, strlen(game), 0644, &error));
		ask(bench, LSP_TORRENT_CREATE, json_pack("{s:s}", "path", game), NULL, &metainfo);
		ask(bench, LSP_TORRENT_ADD,
			json_pack("{s:s, s:s}", "save_path", content, "have", "all"), &metainfo,
			NULL);
	}
}

static void idle(const char *folder, unsigned torrents, unsigned seconds)
{
	struct bench bench;
	lsp_log_set_level(LSP_LOG_ERROR);
	start(&bench, folder, "127.0.0.1:0", torrents);
	store(&bench, folder, torrents);
	stop(&bench);
	lsp_time begun = lsp_now(lsp_clock_system);
	start(&bench, folder, "127.0.0.1:0", torrents);
	CHECK(lsp_answer_settle(&bench.all, &error));
	double took = (double)(lsp_now(lsp_clock_system) - begun) / LSP_SECOND;
	wait_seconds(10); /* what coming up leaves to do is over by then */
	double before = cpu();
	wait_seconds(seconds);
	printf("{\"start_s\":%.3f,\"cpu_percent\":%.3f}\n", took, (cpu() - before) / seconds * 100);
	stop(&bench);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (strcmp(what, "make") == 0 && argc == 4)
		make(argv[2], argv[3]);
	else if (strcmp(what, "seed") == 0 && argc == 6)
		transfer(argv[2], argv[3], &(struct bench_end){argv[4], argv[5], NULL});
	else if (strcmp(what, "fetch") == 0 && argc == 7)
		transfer(argv[2], argv[3], &(struct bench_end){argv[4], argv[5], argv[6]});
	else if (strcmp(what, "idle") == 0 && argc == 5)
		idle(argv[2], (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]));
	else
		return fprintf(stderr, "bench-torrent make|seed|fetch|idle: see torrent.c\n"), 2;
	return 0;
}
