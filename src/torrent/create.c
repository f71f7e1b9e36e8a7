/* Creating a torrent, which takes as long as reading does and so has a task of its own. */
#include "torrent/engine_private.h"

#include "base/text.h"
#include "torrent/author.h"

#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN

/* The arguments are the call's, which outlives the job. */
struct creating {
	struct lsp_author author;
	struct lsp_buffer metainfo;
	struct lsp_torrent_job *job;
};

static void free_creating(void *argument)
{
	struct creating *creating = argument;
	lsp_buffer_done(&creating->metainfo);
	free(creating);
}

/* At most ten times a second the worker is woken to tell of it. */
static void on_progress(void *argument, uint64_t done, uint64_t total)
{
	struct lsp_torrent_job *job = ((struct creating *)argument)->job;
	lsp_time now = lsp_now(job->engine->clock);
	job->total = total;
	job->done = done;
	if (now < job->next_wake && done < total)
		return;
	job->next_wake = lsp_time_add(now, LSP_PROGRESS_INTERVAL);
	lsp_engine_wake(job->engine);
}

void lsp_jobs_report(struct lsp_torrent_engine *engine)
{
	for (struct lsp_torrent_job *job = engine->running_jobs; job; job = job->running_next) {
		uint64_t done = job->done, total = job->total;
		if (!*job->name || done == job->told)
			continue;
		job->told = done;
		lsp_engine_emit(engine,
			json_pack("{s:s, s:o, s:I, s:I}", "event", "torrent_create_progress", "job",
				lsp_translate_text(job->name), "done", (json_int_t)done, "total",
				(json_int_t)total));
	}
}

static int create_work(struct lsp_torrent_job *job, struct lsp_cancel *token, struct lsp_error *err)
{
	struct creating *creating = job->argument;
	creating->job = job;
	return lsp_author_run(&creating->author, token, &creating->metainfo, err);
}

static void append_text(void *argument, const void *data, size_t size)
{
	if (lsp_buffer_append(argument, data, size, NULL) == 0)
		(void)!lsp_buffer_append(argument, "", 1, NULL);
}

static json_t *hash_or_null(const struct lsp_shim_info *info, uint32_t flag)
{
	char hex[65];
	if (!(info->flags & flag))
		return json_null();
	if (flag == LSP_SHIM_HAS_V1)
		lsp_text_to_hex(info->v1, sizeof info->v1, hex);
	else
		lsp_text_to_hex(info->v2, sizeof info->v2, hex);
	return json_string(hex);
}

static uint32_t count_files(
	const struct lsp_shim_functions *shim, struct lsp_shim_source *source, uint32_t all)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < all; i++) {
		struct lsp_shim_file file;
		shim->source_file(source, i, &file);
		count += !(file.flags & LSP_SHIM_FILE_PAD);
	}
	return count;
}

/* The library reads it again: what we made is one, and its hashes are the library's. */
static int create_finish(struct lsp_torrent_job *job, struct lsp_error *err)
{
	const struct lsp_shim_functions *shim = job->engine->shim_functions;
	struct creating *creating = job->argument;
	struct lsp_torrent_answer *answer = &job->call->answer;
	struct lsp_shim_source *source = NULL;
	struct lsp_shim_info info;
	_cleanup_buffer_ struct lsp_buffer magnet = {0};
	struct lsp_shim_bytes metainfo = {creating->metainfo.data, creating->metainfo.size};
	int r = shim->parse(NULL, &metainfo, NULL, &source, err);
	if (r == 0)
		r = shim->source_magnet(source, append_text, &magnet, err);
	if (r < 0) {
		shim->source_free(source);
		return r;
	}
	shim->source_info(source, &info);
	answer->value = json_pack("{s:o, s:o, s:o, s:I, s:i, s:o}", "info_hash_v1",
		hash_or_null(&info, LSP_SHIM_HAS_V1), "info_hash_v2",
		hash_or_null(&info, LSP_SHIM_HAS_V2), "name", lsp_translate_text(info.name), "size",
		(json_int_t)info.size, "files", (int)count_files(shim, source, info.files),
		"magnet", lsp_translate_text(magnet.data ? (const char *)magnet.data : ""));
	answer->bytes = creating->metainfo;
	memset(&creating->metainfo, 0, sizeof creating->metainfo);
	shim->source_free(source);
	return answer->value ? 0 : lsp_error_no_memory(err, DOMAIN);
}

static int read_urls(const struct lsp_call *call, const char *key, bool trackers,
	const json_t **ret_list, struct lsp_error *err)
{
	const json_t *list = json_object_get(call->call.arguments, key);
	*ret_list = json_is_null(list) ? NULL : list;
	return lsp_torrent_call_urls(call, key, trackers, err);
}

static int read_author(
	const struct lsp_call *call, struct lsp_author *author, struct lsp_error *err)
{
	uint64_t length = 0;
	bool given;
	author->manifest = call->call.manifest;
	int r = lsp_torrent_call_text(call, "path", !author->manifest, &author->path, err);
	if (r == 0)
		r = lsp_torrent_call_text(call, "name", false, &author->name, err);
	if (r == 0)
		r = lsp_torrent_call_text(call, "source", false, &author->source, err);
	if (r == 0)
		r = lsp_torrent_call_text(call, "comment", false, &author->comment, err);
	if (r == 0)
		r = lsp_torrent_call_switch(call, "hybrid", &author->hybrid, err);
	if (r == 0)
		r = lsp_torrent_call_switch(call, "private", &author->is_private, err);
	if (r == 0)
		r = lsp_torrent_call_number(call, "piece_length", UINT32_MAX, &length, &given, err);
	if (r == 0)
		r = read_urls(call, "trackers", true, &author->trackers, err);
	if (r == 0)
		r = read_urls(call, "web_seeds", false, &author->web_seeds, err);
	author->piece_length = author->manifest ? 0 : (uint32_t)length;
	if (r == 0 && author->path && author->path[0] != '/')
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID, "path must be an absolute path");
	return r;
}

LSP_COMMAND(create)
{
	struct creating *creating = calloc(1, sizeof *creating);
	const char *name = NULL;
	if (!creating)
		return lsp_error_no_memory(err, DOMAIN);
	int r = read_author(call, &creating->author, err);
	if (r == 0)
		r = lsp_torrent_call_text(call, "job", false, &name, err);
	if (r < 0) {
		free_creating(creating);
		return r;
	}
	creating->author.created = (int64_t)(lsp_wall(engine->clock) / LSP_SECOND);
	creating->author.progress = on_progress;
	creating->author.argument = creating;
	return lsp_job_start(engine, call, name, false, create_work, create_finish, creating,
		free_creating, err);
}

LSP_COMMAND(cancel)
{
	const char *name = NULL, *torrent = NULL;
	int r = lsp_torrent_call_text(call, "torrent", false, &torrent, err);
	if (r == 0)
		r = lsp_torrent_call_text(call, "job", !torrent, &name, err);
	if (r < 0)
		return r;
	if (torrent && lsp_calls_cancel(engine, torrent) > 0)
		return 0;
	if (torrent)
		return lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND,
			"nobody waits for the torrent %.64s", torrent);
	for (struct lsp_torrent_job *job = engine->running_jobs; job; job = job->running_next)
		if (*job->name && strcmp(job->name, name) == 0) {
			lsp_task_abort(job->task, LSP_CANCEL_USER, "the creation was cancelled");
			return 0;
		}
	return lsp_error_set(
		err, DOMAIN, LSP_E_NOT_FOUND, "there is no creation called %.64s", name);
}
