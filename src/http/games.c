/*
 * The list of games, as it is served. With thousands of games it is the one big document of the
 * API, and every page asks for it: so it is asked of the peer once per change, made into bytes
 * once, and those are shared by all replies and event streams. Who needs a list while it is stale
 * waits for the one answer that is on its way; the peer's stream is in order, so what an answer
 * does not say comes as an event after it.
 */
#include "http/internal.h"

#include "base/log.h"
#include "wire/json.h"

#include <stdlib.h>
#include <string.h>

#define PROGRESS_AGE LSP_SECOND

struct lsp_http_games {
	struct lsp_http *http;
	struct lsp_http_list *list; /* NULL before the first answer */
	bool stale;
	bool progress_stale;
	lsp_time made;
	struct lsp_http_call *call;
	struct lsp_http_request *waiting;
};

static void list_free(struct lsp_http_list *list)
{
	if (!list)
		return;
	json_decref(list->json);
	lsp_http_text_unref(list->state);
	if (list->response)
		MHD_destroy_response(list->response);
	free(list);
}

LSP_DEFINE_CLEANUP(struct lsp_http_list *, list_free);

/* The operations that the list itself tells of: the authoritative set. */
static json_t *operations_of(json_t *games)
{
	json_t *operations = json_array();
	size_t index;
	json_t *game;
	json_array_foreach (games, index, game) {
		const char *operation = json_string_value(json_object_get(game, "operation"));
		if (!operation || strcmp(operation, "none") == 0)
			continue;
		json_array_append_new(
			operations, json_pack("{s:O, s:s}", "game", json_object_get(game, "id"),
					    "operation", operation));
	}
	return operations;
}

/* {"event":"local_games_updated","state":true,"operations":[…],"games":[…]} without a second dump.
 */
static struct lsp_http_text *state_text(json_t *json, const char *body)
{
	json_t *operations = operations_of(json_object_get(json, "games"));
	_cleanup_free_ char *set = operations ? lsp_json_dump(operations, JSON_COMPACT) : NULL;
	json_decref(operations);
	if (!set)
		return NULL;
	_cleanup_buffer_ struct lsp_buffer text = {0};
	if (lsp_buffer_printf(&text, NULL,
		    "{\"event\":\"local_games_updated\",\"state\":true,\"operations\":%s%s", set,
		    body[1] == '}' ? "" : ",") < 0 ||
		lsp_buffer_append(&text, body + 1, strlen(body + 1) + 1, NULL) < 0)
		return NULL;
	return lsp_http_text_event((const char *)text.data);
}

static struct lsp_http_list *list_new(json_t *json, uint64_t sequence)
{
	_cleanup_free_ char *body = lsp_json_dump(json, JSON_COMPACT);
	_cleanup_(list_free_pointer) struct lsp_http_list *list = calloc(1, sizeof *list);
	if (!list || !body)
		return NULL;
	size_t size = strlen(body);
	list->json = json_incref(json);
	list->sequence = sequence;
	list->state = state_text(json, body);
	list->response = lsp_http_response("application/json", body, size);
	if (!list->state || !list->response)
		return NULL;
	lsp_http_etag(list->etag, body, size);
	lsp_http_header(list->response, MHD_HTTP_HEADER_ETAG, list->etag);
	lsp_http_header(list->response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	lsp_http_common_headers(list->response);
	return TAKE_PTR(list);
}

static void resume_waiting(struct lsp_http_games *games, const struct lsp_http_answer *answer)
{
	while (games->waiting) {
		struct lsp_http_request *request = games->waiting;
		games->waiting = request->next_waiting;
		request->waiting = false;
		request->waited = true;
		if (answer->ok)
			lsp_http_request_resume(request);
		else
			lsp_http_reply_refusal(request, answer->value);
	}
}

static void list_answered(void *argument, const struct lsp_http_answer *answer)
{
	struct lsp_http_games *games = argument;
	games->call = NULL;
	struct lsp_http_answer result = *answer;
	if (result.ok) {
		struct lsp_http_list *list =
			list_new(result.value, lsp_http_events_next_sequence(games->http->events));
		if (list) {
			list_free(games->list);
			games->list = list;
			games->stale = games->progress_stale = false;
			games->made = lsp_now(games->http->clock);
		}
		result.ok = list != NULL;
	}
	if (!result.ok)
		lsp_log_warning("http", "the list of games could not be had");
	resume_waiting(games, &result);
	lsp_http_events_state_ready(games->http->events, result.ok ? games->list : NULL);
}

int lsp_http_games_new(
	struct lsp_http *http, struct lsp_http_games **ret_games, struct lsp_error *err)
{
	struct lsp_http_games *games = calloc(1, sizeof *games);
	if (!games)
		return lsp_error_no_memory(err, "http");
	games->http = http;
	games->stale = true;
	*ret_games = games;
	return 0;
}

void lsp_http_games_free(struct lsp_http_games *games)
{
	if (!games)
		return;
	list_free(games->list);
	free(games);
}

void lsp_http_games_touch(struct lsp_http_games *games, bool progress_only)
{
	if (progress_only)
		games->progress_stale = true;
	else
		games->stale = true;
}

static bool is_fresh(const struct lsp_http_games *games)
{
	if (!games->list || games->stale)
		return false;
	return !games->progress_stale ||
	       lsp_now(games->http->clock) < lsp_time_add(games->made, PROGRESS_AGE);
}

const struct lsp_http_list *lsp_http_games_want(
	struct lsp_http_games *games, struct lsp_http_request *waiter)
{
	struct lsp_error err = {0};
	if (is_fresh(games))
		return games->list;
	if (!games->call && lsp_http_call(games->http, json_pack("{s:s}", "command", "list_games"),
				    list_answered, games, &games->call, &err) < 0) {
		if (waiter)
			lsp_http_reply_error(waiter, MHD_HTTP_SERVICE_UNAVAILABLE,
				lsp_code_name(err.code), "peer", "%s", err.message);
		return NULL;
	}
	if (waiter) {
		waiter->waiting = true;
		waiter->next_waiting = games->waiting;
		games->waiting = waiter;
		lsp_http_request_suspend(waiter);
	}
	return NULL;
}

const struct lsp_http_list *lsp_http_games_last(const struct lsp_http_games *games)
{
	return games->list;
}

void lsp_http_games_forget(struct lsp_http_games *games, struct lsp_http_request *waiter)
{
	if (!waiter->waiting)
		return;
	struct lsp_http_request **link = &games->waiting;
	while (*link && *link != waiter)
		link = &(*link)->next_waiting;
	if (*link)
		*link = waiter->next_waiting;
	waiter->waiting = false;
}

void lsp_http_run_games(struct lsp_http_request *request)
{
	struct lsp_http_games *games = request->http->games;
	/* After a wait the list may be a moment old already: that is no reason to wait again. */
	const struct lsp_http_list *list =
		request->waited ? games->list : lsp_http_games_want(games, request);
	if (!list || lsp_http_reply_not_modified(request, list->etag))
		return;
	lsp_http_reply_shared(request, list->response);
}
