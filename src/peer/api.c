/* The public door: lanspread.h, in terms of the runtime and its core loop. */
#include <lanspread/lanspread.h>

#include "base/log.h"
#include "peer/command.h"
#include "peer/events.h"
#include "peer/handle.h"
#include "peer/peer.h"
#include "peer/runtime.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_MAX 4096        /* commands that wait for the core loop */
#define COMMAND_MAX (16u << 20) /* a torrent file may be in it, in base64 */
#define OPTIONS_MAX 4096        /* what is larger is no size of the options, of whatever version */

struct lanspread {
	struct lsp_runtime *runtime;
	struct lsp_peer *peer;
	atomic_uint_least64_t requests;
	atomic_uint pending;
};

_Static_assert((int)LANSPREAD_E_CORRUPT == (int)LSP_E_CORRUPT, "the codes are the same");
_Static_assert((int)LANSPREAD_LOG_DEBUG == (int)LSP_LOG_DEBUG, "the log levels are the same");

const char *lanspread_version(void)
{
	return LANSPREAD_VERSION;
}

const char *lanspread_code_name(int code)
{
	return lsp_code_name(code < 0 ? -code : code);
}

/* The detail of an inner error for the caller; returns r. */
static int hand_out(int r, const struct lsp_error *inner, struct lanspread_error *err)
{
	if (r < 0 && err) {
		err->code = inner->code;
		err->sys_errno = inner->sys_errno;
		/* Which of our loops it was that is gone tells a program nothing. */
		snprintf(err->message, sizeof err->message, "%s",
			r == -LSP_E_CLOSED ? "the peer has stopped" : inner->message);
	}
	return r;
}

/*
 * What a program gave, in the size that this library knows. Whoever forgot the size would start
 * another peer than the one described; and a newer program's wish is refused, not passed over.
 */
static int take_options(const struct lanspread_options *options, struct lanspread_options *full,
	struct lsp_error *err)
{
	size_t size = options ? options->struct_size : sizeof *full;
	if (size <= sizeof options->struct_size || size > OPTIONS_MAX)
		return lsp_error_set(err, "peer", LSP_E_INVALID,
			"struct_size cannot be %zu: set it to sizeof(struct lanspread_options)",
			size);
	for (size_t i = sizeof *full; i < size; i++)
		if (((const char *)options)[i])
			return lsp_error_set(err, "peer", LSP_E_UNSUPPORTED,
				"an option is set that liblanspread %s does not know: it is older "
				"than the header of this program",
				LANSPREAD_VERSION);
	if (options)
		memcpy(full, options, LSP_MIN(size, sizeof *full));
	return 0;
}

int lanspread_start(const struct lanspread_options *options, struct lanspread **ret_peer,
	struct lanspread_error *err)
{
	struct lsp_error inner = {0};
	struct lanspread_options full = {0};
	struct lanspread *handle = calloc(1, sizeof *handle);
	int r = handle ? take_options(options, &full, &inner) : lsp_error_no_memory(&inner, "peer");
	if (r == 0)
		r = lsp_runtime_start(&full, &handle->runtime, &inner);
	if (r < 0) {
		free(handle);
		return hand_out(r, &inner, err);
	}
	handle->peer = lsp_runtime_peer(handle->runtime);
	*ret_peer = handle;
	return 0;
}

void lanspread_shutdown(struct lanspread *handle)
{
	lsp_runtime_stop(handle->runtime, LSP_CANCEL_USER, NULL);
}

int lanspread_wait_stopped(struct lanspread *handle, int timeout_ms,
	struct lanspread_exit *ret_exit, struct lanspread_error *err)
{
	struct lsp_error inner = {0};
	lsp_time deadline = LSP_TIME_NEVER;
	if (timeout_ms >= 0)
		deadline = lsp_now(lsp_clock_system) + (uint64_t)timeout_ms * LSP_MILLISECOND;
	return hand_out(lsp_runtime_wait(handle->runtime, deadline, ret_exit, &inner), &inner, err);
}

void lanspread_free(struct lanspread *handle)
{
	if (!handle)
		return;
	lanspread_shutdown(handle);
	lsp_runtime_free(handle->runtime);
	free(handle);
}

/* ---- Commands ---- */

struct queued {
	struct lanspread *handle;
	struct lanspread_stream *stream;
	uint64_t number;
	char json[];
};

static void run_command(void *argument)
{
	struct queued *queued = argument;
	atomic_fetch_sub(&queued->handle->pending, 1);
	lsp_calls_run(queued->handle->peer->calls, queued->stream, queued->number, queued->json);
	lsp_event_stream_unref(queued->stream);
	free(queued);
}

static int send_command(struct lanspread *handle, struct lanspread_stream *stream, const char *json,
	uint64_t *ret_request, struct lsp_error *err)
{
	size_t size = strlen(json);
	if (size > COMMAND_MAX)
		return lsp_error_set(err, "peer", LSP_E_TOO_LARGE, "a command has at most %u bytes",
			COMMAND_MAX);
	if (atomic_fetch_add(&handle->pending, 1) >= PENDING_MAX) {
		atomic_fetch_sub(&handle->pending, 1);
		return lsp_error_set(
			err, "peer", LSP_E_BUSY, "too many commands wait; try again in a moment");
	}
	struct queued *queued = malloc(sizeof *queued + size + 1);
	int r = queued ? 0 : lsp_error_no_memory(err, "peer");
	if (r == 0) {
		queued->handle = handle;
		queued->stream = stream ? lsp_event_stream_ref(stream) : NULL;
		queued->number = atomic_fetch_add(&handle->requests, 1) + 1;
		memcpy(queued->json, json, size + 1);
		uint64_t number = queued->number;
		r = lsp_loop_post(handle->peer->core, run_command, queued, err);
		if (r == 0) {
			if (ret_request)
				*ret_request = number;
			return 0;
		}
		lsp_event_stream_unref(queued->stream);
		free(queued);
	}
	atomic_fetch_sub(&handle->pending, 1);
	return r;
}

int lanspread_send(struct lanspread *handle, struct lanspread_stream *stream, const char *json,
	uint64_t *ret_request, struct lanspread_error *err)
{
	struct lsp_error inner = {0};
	return hand_out(send_command(handle, stream, json, ret_request, &inner), &inner, err);
}

/* ---- Events ---- */

struct attachment {
	struct lsp_peer *peer;
	struct lanspread_stream *stream;
};

static void attach(void *argument)
{
	struct attachment *attachment = argument;
	lsp_events_attach(attachment->peer->events, attachment->stream);
	free(attachment);
}

int lanspread_subscribe(
	struct lanspread *handle, struct lanspread_stream **ret_stream, struct lanspread_error *err)
{
	struct lsp_error inner = {0};
	struct lanspread_stream *stream = NULL;
	struct attachment *attachment = malloc(sizeof *attachment);
	int r = attachment ? lsp_event_stream_new(&stream, &inner)
			   : lsp_error_no_memory(&inner, "peer");
	if (r == 0) {
		attachment->peer = handle->peer;
		attachment->stream = lsp_event_stream_ref(stream);
		r = lsp_loop_post(handle->peer->core, attach, attachment, &inner);
		if (r == 0) {
			*ret_stream = stream;
			return 0;
		}
		lsp_event_stream_unref(stream);
		lsp_event_stream_unref(stream);
	}
	free(attachment);
	return hand_out(r, &inner, err);
}

int lanspread_next_event(struct lanspread_stream *stream, int timeout_ms, char **ret_json,
	struct lanspread_error *err)
{
	struct lsp_error inner = {0};
	return hand_out(lsp_event_stream_next(stream, timeout_ms, ret_json, &inner), &inner, err);
}

int lanspread_stream_fd(const struct lanspread_stream *stream)
{
	return lsp_event_stream_fd(stream);
}

void lanspread_stream_interrupt(struct lanspread_stream *stream)
{
	lsp_event_stream_interrupt(stream);
}

void lanspread_stream_free(struct lanspread_stream *stream)
{
	if (!stream)
		return;
	lsp_event_stream_abandon(stream);
	lsp_event_stream_unref(stream);
}

void lanspread_free_text(char *text)
{
	free(text);
}

/* ---- For the rest of the library (handle.h) ---- */

struct lsp_runtime *lsp_handle_runtime(struct lanspread *handle)
{
	return handle->runtime;
}

struct lsp_tasks *lsp_handle_tasks(struct lanspread *handle)
{
	return handle->peer->tasks;
}

const char *lsp_handle_state_dir(struct lanspread *handle)
{
	return handle->peer->state_dir;
}

void lsp_handle_set_http_url(struct lanspread *handle, const char *url)
{
	lsp_runtime_set_http_url(handle->runtime, url);
}
