/*
 * Commands on their way to the peer. lanspread_send gives each a number; the answer comes back on
 * the server's one stream, in order with the events, and finds its call by that number.
 */
#include "http/internal.h"

#include "lanspread/lanspread.h"
#include "wire/json.h"

#include <stdlib.h>
#include <string.h>

struct lsp_http_call {
	struct lsp_http *http;
	struct lsp_http_call *previous, *next;
	uint64_t number;
	lsp_time deadline;
	lsp_http_answer_function answered; /* NULL: abandoned */
	void *argument;
};

static void call_free(struct lsp_http_call *call)
{
	if (call->previous)
		call->previous->next = call->next;
	else
		call->http->calls = call->next;
	if (call->next)
		call->next->previous = call->previous;
	call->http->call_count--;
	free(call);
}

static int send_command(
	struct lsp_http *http, json_t *command, uint64_t *ret_number, struct lsp_error *err)
{
	struct lanspread_error detail = {0};
	_cleanup_free_ char *text = command ? lsp_json_dump(command, JSON_COMPACT) : NULL;
	json_decref(command);
	if (!text)
		return lsp_error_no_memory(err, "http");
	int r = lanspread_send(http->peer, http->stream, text, ret_number, &detail);
	if (r < 0)
		return lsp_error_set(err, "http", -r, "%s", detail.message);
	return 0;
}

int lsp_http_call(struct lsp_http *http, json_t *command, lsp_http_answer_function answered,
	void *argument, struct lsp_http_call **ret_call, struct lsp_error *err)
{
	if (http->closing || http->call_count >= LSP_HTTP_MAX_CALLS) {
		json_decref(command);
		return lsp_error_set(err, "http", LSP_E_CLOSED,
			http->closing ? "the peer is stopping" : "too many requests are waiting");
	}
	struct lsp_http_call *call = calloc(1, sizeof *call);
	if (!call) {
		json_decref(command);
		return lsp_error_no_memory(err, "http");
	}
	int r = send_command(http, command, &call->number, err);
	if (r < 0) {
		free(call);
		return r;
	}
	call->http = http;
	call->answered = answered;
	call->argument = argument;
	call->deadline = lsp_time_add(lsp_now(http->clock), LSP_HTTP_ANSWER_SECONDS * LSP_SECOND);
	call->next = http->calls;
	if (http->calls)
		http->calls->previous = call;
	http->calls = call;
	http->call_count++;
	*ret_call = call;
	return 0;
}

void lsp_http_call_abandon(struct lsp_http_call *call)
{
	if (call)
		call->answered = NULL;
}

static void finish(struct lsp_http_call *call, bool ok, json_t *value)
{
	struct lsp_http_answer answer = {.ok = ok, .value = value};
	lsp_http_answer_function answered = call->answered;
	void *argument = call->argument;
	call_free(call);
	if (answered)
		answered(argument, &answer);
}

static void finish_with(struct lsp_http_call *call, const char *code, const char *message)
{
	json_t *error = json_pack("{s:s, s:s}", "code", code, "message", message);
	finish(call, false, error ? error : json_null());
	json_decref(error);
}

void lsp_http_call_answered(struct lsp_http *http, json_t *event)
{
	uint64_t number = (uint64_t)json_integer_value(json_object_get(event, "request"));
	bool ok = json_is_true(json_object_get(event, "ok"));
	json_t *value = json_object_get(event, ok ? "result" : "error");
	for (struct lsp_http_call *call = http->calls; call; call = call->next) {
		if (call->number == number) {
			finish(call, ok, value ? value : json_null());
			return;
		}
	}
}

void lsp_http_calls_expire(struct lsp_http *http, lsp_time now)
{
	struct lsp_http_call *next;
	for (struct lsp_http_call *call = http->calls; call; call = next) {
		next = call->next;
		if (call->deadline <= now)
			finish_with(call, "timeout", "the peer did not answer in time");
	}
}

void lsp_http_calls_fail(struct lsp_http *http, const char *code, const char *message)
{
	while (http->calls)
		finish_with(http->calls, code, message);
}

/* ---- A request's own call ---- */

void lsp_http_request_call(
	struct lsp_http_request *request, json_t *command, lsp_http_answer_function answered)
{
	struct lsp_error err = {0};
	int r = lsp_http_call(request->http, command, answered, request, &request->call, &err);
	if (r == 0) {
		if (!request->suspended)
			lsp_http_request_suspend(request);
		return;
	}
	lsp_http_reply_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, lsp_code_name(-r), "peer", "%s",
		err.message);
}

static void reply_with_answer(void *argument, const struct lsp_http_answer *answer)
{
	struct lsp_http_request *request = argument;
	request->call = NULL;
	if (answer->ok)
		lsp_http_reply_json(request, MHD_HTTP_OK, json_incref(answer->value));
	else
		lsp_http_reply_refusal(request, answer->value);
}

/* The body may not say what the path says already, nor name another command. */
static bool add_body(struct lsp_http_request *request, json_t *command)
{
	const char *key;
	json_t *value;
	json_object_foreach (request->document, key, value) {
		if (json_object_get(command, key)) {
			char where[64];
			snprintf(where, sizeof where, "body.%.48s", key);
			lsp_http_reply_error(request, MHD_HTTP_BAD_REQUEST, "invalid", where,
				"the path says what \"%.48s\" is", key);
			return false;
		}
		json_object_set(command, key, value);
	}
	return true;
}

void lsp_http_run_command(struct lsp_http_request *request)
{
	const struct lsp_http_route *route = request->route;
	json_t *command = json_pack("{s:s}", "command", route->command);
	for (size_t i = 0; i < LSP_HTTP_MAX_PARAMETERS && route->arguments[i]; i++)
		json_object_set_new(
			command, route->arguments[i], json_string(request->parameters[i]));
	if (!add_body(request, command)) {
		json_decref(command);
		return;
	}
	lsp_http_request_call(request, command, reply_with_answer);
}
