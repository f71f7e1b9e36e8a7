/*
 * The built-in unpacker, seen from the daemon: one lanspread-unpack for each archive, frames over
 * its pipes, and a watchdog that asks for progress. When libarchive lacks a feature, an installed
 * unrar or unar gets the archive, as "run" of the same child, so in the same sandbox.
 */
#include "install/archive.h"

#include "base/buffer.h"
#include "base/fs.h"
#include "base/text.h"
#include "task/child.h"
#include "wire/frame.h"
#include "wire/json.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define DOMAIN "install"

/* ---- Request ---- */

static json_t *volumes_json(const struct lsp_archive *archive)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < archive->count; i++)
		if (json_array_append_new(list, json_string(archive->volumes[i]->where)) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static int encode_request(const struct lsp_unpack_request *request, const char *mode, json_t *argv,
	const char *readable, struct lsp_buffer *out, struct lsp_error *err)
{
	const struct lsp_unpack_limits *limits = request->limits;
	_cleanup_json_ json_t *json =
		json_pack("{s:s,s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:o*,s:s*}", "mode", mode, "volumes",
			volumes_json(request->archive), "bytes", (json_int_t)limits->bytes, "ratio",
			(json_int_t)limits->ratio, "ratio_free", (json_int_t)limits->ratio_free,
			"entries", (json_int_t)limits->entries, "depth", (json_int_t)limits->depth,
			"memory", (json_int_t)limits->memory, "argv", argv, "readable", readable);
	if (!json)
		return lsp_error_no_memory(err, DOMAIN);
	return lsp_frame_append_json(out, json, LSP_FRAME_MAX_LOCAL, err);
}

/* ---- Conversation ---- */

struct talk {
	const struct lsp_unpacker *unpacker;
	const struct lsp_unpack_request *request;
	struct lsp_child *child;
	struct lsp_unpack_stats stats;
	bool answered;
	struct lsp_error failure; /* code 0: done */
	uint64_t in, out;
};

static int take_progress(struct talk *talk, const json_t *progress, struct lsp_error *err)
{
	int r = lsp_json_get_u64(progress, "in", INT64_MAX, &talk->in, err);
	if (r == 0)
		r = lsp_json_get_u64(progress, "out", INT64_MAX, &talk->out, err);
	if (r == 0 && talk->request->progress)
		talk->request->progress(talk->request->argument, talk->in, talk->out);
	return r;
}

static int take_frame(struct talk *talk, const char *payload, size_t size, struct lsp_error *err)
{
	_cleanup_json_ json_t *json = NULL;
	int r = lsp_json_parse(payload, size, &lsp_json_limits_local, &json, err);
	if (r < 0)
		return r;
	const json_t *part = json_object_get(json, "progress");
	if (part)
		return take_progress(talk, part, err);
	talk->answered = true;
	part = json_object_get(json, "done");
	if (part) {
		r = lsp_json_get_u64(part, "bytes", INT64_MAX, &talk->stats.bytes, err);
		if (r == 0)
			r = lsp_json_get_u64(part, "entries", INT64_MAX, &talk->stats.entries, err);
		if (r == 0)
			r = lsp_json_get_u64(part, "skipped", INT64_MAX, &talk->stats.skipped, err);
		return r < 0 ? r : lsp_json_get_bool(part, "known", &talk->stats.known, err);
	}
	part = json_object_get(json, "error");
	uint64_t code = LSP_E_FAILED;
	const char *message = "the unpacker gave no reason";
	r = lsp_json_get_u64(part, "code", LSP_E_CODE_COUNT - 1, &code, err);
	if (r == 0)
		r = lsp_json_get_text(part, "message", 4096, &message, err);
	if (r == 0)
		lsp_error_set(
			&talk->failure, DOMAIN, code ? (int)code : LSP_E_FAILED, "%s", message);
	return r;
}

/* A child that says nothing sensible is a child that was taken over: nothing it says counts. */
static int listen_to(struct talk *talk, struct lsp_error *err)
{
	struct lsp_frame_decoder decoder;
	lsp_frame_decoder_init(&decoder, LSP_FRAME_MAX);
	uint64_t stall = talk->request->limits->stall;
	lsp_time deadline = lsp_time_add(lsp_now(lsp_clock_system), stall);
	int r = 0;
	while (r == 0) {
		char data[4096];
		size_t got, at = 0;
		r = lsp_child_read(
			talk->child, data, sizeof data, talk->request->token, deadline, &got, err);
		if (r < 0 || got == 0)
			break;
		while (r == 0 && at < got) {
			size_t used, size;
			const char *payload;
			r = lsp_frame_decoder_feed(
				&decoder, data + at, got - at, &used, &payload, &size, err);
			at += used;
			if (r == 1) {
				r = take_frame(talk, payload, size, err);
				deadline = lsp_time_add(lsp_now(lsp_clock_system), stall);
			}
		}
	}
	lsp_frame_decoder_done(&decoder);
	if (r == -LSP_E_TIMEOUT)
		return lsp_error_set(err, DOMAIN, LSP_E_TIMEOUT,
			"the unpacker made no progress for %" PRIu64
			" s and was ended; the archive "
			"may be damaged",
			stall / LSP_SECOND);
	return r;
}

static int start(struct talk *talk, const char *mode, json_t *argv, const char *readable,
	struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer out = {0};
	const struct lsp_unpack_request *request = talk->request;
	int r = encode_request(request, mode, argv, readable, &out, err);
	if (r < 0)
		return r;
	const char *child_argv[] = {talk->unpacker->helper, NULL};
	int fds[] = {request->game_fd, request->target_fd};
	struct lsp_child_options options = {.argv = child_argv,
		.input = LSP_CHILD_PIPE,
		.output = LSP_CHILD_PIPE,
		.quiet = true,
		.fds = fds,
		.fd_count = request->target_fd >= 0 ? 2 : 1,
		.token = request->token};
	r = lsp_child_start(talk->unpacker->tasks, "unpack", &options, &talk->child, err);
	if (r == 0)
		r = lsp_child_write(
			talk->child, out.data, out.size, request->token, LSP_TIME_NEVER, err);
	if (talk->child)
		lsp_child_close_input(talk->child);
	return r == -LSP_E_CLOSED ? 0 : r; /* it has ended; why, its exit tells */
}

static const char *archive_name(const struct lsp_archive *archive)
{
	return archive->volumes[0]->path;
}

static int converse(const struct lsp_unpacker *unpacker, const struct lsp_unpack_request *request,
	const char *mode, struct lsp_unpack_stats *ret_stats, struct lsp_error *err)
{
	struct talk talk = {.unpacker = unpacker, .request = request};
	int r = start(&talk, mode, NULL, NULL, err);
	if (r == 0)
		r = listen_to(&talk, err);
	if (r == 0 && talk.answered && talk.failure.code) {
		if (err)
			*err = talk.failure;
		r = -talk.failure.code;
	} else if (r == 0) {
		struct lsp_error local = {0};
		r = lsp_child_finish(talk.child, &local);
		if (r == 0 && !talk.answered)
			r = lsp_error_set(&local, DOMAIN, LSP_E_PROTOCOL, "it gave no answer");
		if (r < 0 && r != -LSP_E_CANCELLED)
			r = lsp_error_prefix(&local, r, "the unpacker failed on \"%s\"",
				archive_name(request->archive));
		if (r < 0 && err)
			*err = local;
	}
	lsp_child_free(talk.child);
	if (r == 0)
		*ret_stats = talk.stats;
	return r;
}

/* ---- The tools that may be installed ---- */

static char *find_tool(const char *path, const char *name)
{
	while (path && *path) {
		size_t length = strcspn(path, ":");
		char *full = lsp_text_format("%.*s/%s", (int)length, path, name);
		if (!full || access(full, X_OK) == 0)
			return full;
		free(full);
		path += length;
		path += *path == ':';
	}
	return NULL;
}

/* The absolute path of the first volume, if all of them lie in one folder. */
static int volume_path(const struct lsp_unpack_request *request, char **ret_file, char **ret_folder,
	struct lsp_error *err)
{
	const struct lsp_archive *archive = request->archive;
	const char *first = archive->volumes[0]->where, *slash = strrchr(first, '/');
	size_t length = slash ? (size_t)(slash - first) : 0;
	for (size_t i = 1; i < archive->count; i++) {
		const char *other = archive->volumes[i]->where, *end = strrchr(other, '/');
		if ((end ? (size_t)(end - other) : 0) != length ||
			strncmp(first, other, length) != 0)
			return lsp_error_set(err, DOMAIN, LSP_E_UNSUPPORTED,
				"the volumes of \"%s\" are not in one folder", first);
	}
	char link[64], game[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", request->game_fd);
	ssize_t got = readlink(link, game, sizeof game - 1);
	if (got <= 0)
		return lsp_error_set(
			err, DOMAIN, LSP_E_UNSUPPORTED, "the path of the archive is not known");
	game[got] = '\0';
	_cleanup_free_ char *file = lsp_text_format("%s/%s", game, first);
	_cleanup_free_ char *folder = lsp_text_format("%s/%.*s", game, (int)length, first);
	if (!file || !folder)
		return lsp_error_no_memory(err, DOMAIN);
	*ret_file = TAKE_PTR(file);
	*ret_folder = TAKE_PTR(folder);
	return 0;
}

/*
 * What the tool has read and written so far, from the kernel's books: it speaks no protocol, so
 * this is its progress, and what the watchdog and the caps look at.
 */
static bool read_books(pid_t pid, uint64_t *ret_in, uint64_t *ret_out)
{
	char path[64];
	_cleanup_buffer_ struct lsp_buffer text = {0};
	snprintf(path, sizeof path, "/proc/%d/io", (int)pid);
	return lsp_fs_read_file(path, 4096, &text, NULL) == 0 &&
	       sscanf((const char *)text.data, "rchar: %" SCNu64 " wchar: %" SCNu64, ret_in,
		       ret_out) == 2;
}

static int watch_tool(struct talk *talk, struct lsp_error *err)
{
	const struct lsp_unpack_limits *limits = talk->request->limits;
	lsp_time now = lsp_now(lsp_clock_system), stalled = lsp_time_add(now, limits->stall);
	for (;;) {
		now = lsp_now(lsp_clock_system);
		struct lsp_error local = {0};
		int r = lsp_child_wait(talk->child, talk->request->token,
			LSP_MIN(lsp_time_add(now, 100 * LSP_MILLISECOND), stalled), &local);
		if (lsp_child_exit_status(talk->child) >= 0 || r != -LSP_E_TIMEOUT) {
			if (r < 0 && err)
				*err = local;
			return r;
		}
		uint64_t in = talk->in, out = talk->out;
		now = lsp_now(lsp_clock_system);
		if (read_books(lsp_child_pid(talk->child), &in, &out) &&
			(in != talk->in || out != talk->out)) {
			talk->in = in;
			talk->out = out;
			stalled = lsp_time_add(now, limits->stall);
			if (talk->request->progress)
				talk->request->progress(talk->request->argument,
					LSP_MIN(in, talk->request->archive->size), out);
		}
		if (now >= stalled)
			return lsp_error_set(err, DOMAIN, LSP_E_TIMEOUT,
				"the unpacker made no progress for %" PRIu64 " s and was ended",
				limits->stall / LSP_SECOND);
		if (out > limits->bytes ||
			(out > limits->ratio_free &&
				out / limits->ratio > talk->request->archive->size))
			return lsp_error_set(err, DOMAIN, LSP_E_TOO_LARGE,
				"the archive unpacks to far more than its size");
	}
}

static json_t *tool_argv(const char *tool, bool is_unrar, const char *file)
{
	if (is_unrar)
		return json_pack("[s,s,s,s,s,s,s]", tool, "x", "-o+", "-p-", "-y", "--", file);
	return json_pack("[s,s,s,s,s,s,s,s]", tool, "-force-overwrite", "-no-directory", "-quiet",
		"-output-directory", ".", "--", file);
}

static int run_tool(const struct lsp_unpacker *unpacker, const struct lsp_unpack_request *request,
	const char *tool, bool is_unrar, struct lsp_unpack_stats *ret_stats, struct lsp_error *err)
{
	_cleanup_free_ char *file = NULL;
	_cleanup_free_ char *folder = NULL;
	int r = volume_path(request, &file, &folder, err);
	if (r < 0)
		return r;
	struct talk talk = {.unpacker = unpacker, .request = request};
	r = start(&talk, "run", tool_argv(tool, is_unrar, file), folder, err);
	if (r == 0)
		r = watch_tool(&talk, err);
	lsp_child_free(talk.child);
	if (r == 0)
		return lsp_unpack_check(request, ret_stats, err);
	if (r != -LSP_E_CANCELLED && r != -LSP_E_TIMEOUT && r != -LSP_E_TOO_LARGE)
		r = lsp_error_prefix(err, r, "\"%s\" could not unpack \"%s\"", tool,
			archive_name(request->archive));
	return r;
}

static bool is_final(int code)
{
	return code == 0 || code == -LSP_E_CANCELLED || code == -LSP_E_TIMEOUT ||
	       code == -LSP_E_TOO_LARGE || code == -LSP_E_DENIED;
}

/*
 * One after the other, for what is called unrar may be the free one, which cannot do more than we.
 * -LSP_E_NOT_FOUND: none is installed.
 */
static int run_tools(const struct lsp_unpacker *unpacker, const struct lsp_unpack_request *request,
	struct lsp_unpack_stats *ret_stats, struct lsp_error *err)
{
	const char *path =
		unpacker->fallback_path ? unpacker->fallback_path : "/usr/bin:/usr/local/bin";
	bool rar = request->archive->format == LSP_ARCHIVE_RAR4 ||
		   request->archive->format == LSP_ARCHIVE_RAR5;
	_cleanup_free_ char *unrar = rar ? find_tool(path, "unrar") : NULL;
	_cleanup_free_ char *unar = find_tool(path, "unar");
	int r = -LSP_E_NOT_FOUND;
	if (unrar)
		r = run_tool(unpacker, request, unrar, true, ret_stats, err);
	if (unar && !is_final(r))
		r = run_tool(unpacker, request, unar, false, ret_stats, err);
	return r;
}

/* ---- The interface ---- */

static int unpack(const struct lsp_unpacker *unpacker, const struct lsp_unpack_request *original,
	struct lsp_unpack_stats *ret_stats, struct lsp_error *err)
{
	struct lsp_unpack_request request = *original;
	if (!request.limits)
		request.limits = &lsp_unpack_limits_default;
	struct lsp_error local = {0};
	int r = request.archive->split_zip
			? lsp_error_set(&local, DOMAIN, LSP_E_UNSUPPORTED,
				  "archive \"%s\": zip in several parts",
				  archive_name(request.archive))
			: converse(unpacker, &request, "unpack", ret_stats, &local);
	if (r == -LSP_E_UNSUPPORTED && !unpacker->no_fallback) {
		struct lsp_error tool_error = {0};
		int tool = run_tools(unpacker, &request, ret_stats, &tool_error);
		if (tool == 0)
			return 0;
		if (tool != -LSP_E_NOT_FOUND) {
			local = tool_error;
			r = tool;
		}
	}
	if (r == -LSP_E_UNSUPPORTED) {
		struct lsp_error feature = local;
		lsp_error_set(&local, DOMAIN, LSP_E_UNSUPPORTED,
			"%.350s. Install the package unrar or unar and try again", feature.message);
	}
	if (r < 0 && err)
		*err = local;
	return r;
}

static int measure(const struct lsp_unpacker *unpacker, const struct lsp_unpack_request *original,
	struct lsp_unpack_stats *ret_stats, struct lsp_error *err)
{
	struct lsp_unpack_request request = *original;
	if (!request.limits)
		request.limits = &lsp_unpack_limits_default;
	request.target_fd = -1;
	if (request.archive->split_zip) {
		*ret_stats = (struct lsp_unpack_stats){.known = false};
		return 0;
	}
	return converse(unpacker, &request, "measure", ret_stats, err);
}

void lsp_unpacker_init_builtin(
	struct lsp_unpacker *unpacker, struct lsp_tasks *tasks, const char *helper)
{
	*unpacker = (struct lsp_unpacker){
		.unpack = unpack, .measure = measure, .tasks = tasks, .helper = helper};
}
