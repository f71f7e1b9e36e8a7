#include "torrent_engine.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "task/answer.h"
#include "task/supervisor.h"
#include "torrent/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

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

static void start(struct bench *bench, const char *resume, unsigned wanted)
{
	memset(bench, 0, sizeof *bench);
	bench->wanted = wanted;
	lsp_answer_init(&bench->completed);
	lsp_answer_init(&bench->all);
	struct lsp_supervisor_events events = {on_failed, NULL, NULL};
	json_t *configuration = json_pack("{s:[s]}", "listen", "127.0.0.1:0");
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
	json_t *value;
	struct lsp_buffer bytes;
};

static void on_done(void *argument, struct lsp_torrent_answer *answer)
{
	struct waiting *waiting = argument;
	waiting->value = TAKE_PTR(answer->value);
	waiting->bytes = answer->bytes;
	memset(&answer->bytes, 0, sizeof answer->bytes);
	lsp_answer_complete(&waiting->answer, answer->result, &answer->error);
}

static json_t *ask(struct bench *bench, enum lsp_torrent_command command, json_t *arguments,
	const void *metainfo, size_t size, struct lsp_buffer *ret_bytes)
{
	struct waiting waiting = {0};
	struct lsp_torrent_call call = {
		.command = command, .arguments = arguments, .done = on_done, .argument = &waiting};
	lsp_answer_init(&waiting.answer);
	if (size)
		CHECK(lsp_buffer_append(&call.metainfo, metainfo, size, &error));
	CHECK(lsp_torrent_call(bench->engine, &call, &error));
	CHECK(lsp_answer_settle(&waiting.answer, &error));
	lsp_answer_done(&waiting.answer);
	if (ret_bytes)
		*ret_bytes = waiting.bytes;
	else
		lsp_buffer_done(&waiting.bytes);
	return waiting.value;
}

void bench_engine_transfer(const char *folder, const void *metainfo, size_t size)
{
	struct bench seed, leech;
	_cleanup_free_ char *from = lsp_text_format("%s/from", folder);
	_cleanup_free_ char *to = lsp_text_format("%s/to", folder);
	_cleanup_free_ char *seed_resume = lsp_text_format("%s/to/resume-seed", folder);
	_cleanup_free_ char *leech_resume = lsp_text_format("%s/to/resume-leech", folder);
	start(&seed, seed_resume, 1);
	start(&leech, leech_resume, 1);
	json_decref(ask(&seed, LSP_TORRENT_ADD,
		json_pack("{s:s, s:s}", "save_path", from, "have", "all"), metainfo, size, NULL));
	json_t *inspected = ask(&seed, LSP_TORRENT_INSPECT, NULL, NULL, 0, NULL);
	json_t *address = json_array_get(json_object_get(inspected, "listen"), 0);
	json_decref(ask(&leech, LSP_TORRENT_ADD,
		json_pack("{s:s, s:[O]}", "save_path", to, "peers", address), metainfo, size,
		NULL));
	json_decref(inspected);
	CHECK(lsp_answer_settle(&leech.completed, &error));
	stop(&leech);
	stop(&seed);
}

static double cpu(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Small seeds that are whole, each with a file of its own. */
static void store(struct bench *bench, const char *folder, unsigned torrents)
{
	for (unsigned i = 0; i < torrents; i++) {
		_cleanup_free_ char *path = lsp_text_format("%s/content/game%u/data", folder, i);
		_cleanup_free_ char *game = lsp_text_format("%s/content/game%u", folder, i);
		CHECK(lsp_fs_make_dirs(game, false, &error));
		CHECK(lsp_fs_write_file(path, game, strlen(game), 0644, &error));
		_cleanup_buffer_ struct lsp_buffer metainfo = {0};
		_cleanup_free_ char *content = lsp_text_format("%s/content", folder);
		json_decref(ask(bench, LSP_TORRENT_CREATE, json_pack("{s:s}", "path", game), NULL,
			0, &metainfo));
		json_decref(ask(bench, LSP_TORRENT_ADD,
			json_pack("{s:s, s:s}", "save_path", content, "have", "all"), metainfo.data,
			metainfo.size, NULL));
	}
}

void bench_engine_idle(const char *folder, unsigned torrents, unsigned seconds)
{
	struct bench bench;
	_cleanup_free_ char *resume = lsp_text_format("%s/resume", folder);
	lsp_log_set_level(LSP_LOG_ERROR);
	start(&bench, resume, torrents);
	store(&bench, folder, torrents);
	stop(&bench);
	lsp_time begun = lsp_now(lsp_clock_system);
	start(&bench, resume, torrents);
	CHECK(lsp_answer_settle(&bench.all, &error));
	double took = (double)(lsp_now(lsp_clock_system) - begun) / 1e9;
	lsp_time now = lsp_now(lsp_clock_system);
	/* What coming up leaves to do is over by then. */
	lsp_cancel_wait(NULL, NULL, lsp_time_add(now, 10 * LSP_SECOND));
	double before = cpu();
	now = lsp_now(lsp_clock_system);
	lsp_cancel_wait(NULL, NULL, lsp_time_add(now, seconds * LSP_SECOND));
	double used = cpu() - before;
	printf("{\"bench\":\"idle\",\"torrents\":%u,\"start_s\":%.2f,\"cpu_percent\":%.2f}\n",
		torrents, took, used / seconds * 100);
	stop(&bench);
}
