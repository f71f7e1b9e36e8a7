/*
 * GET /api/covers/{id}: the game's own picture if the peer knows one (the catalogue's, the one in
 * the game's folder, another peer's), else a poster. Both are kept, up to a limit in bytes and for
 * some minutes, so that scrolling through thousands of games asks the peer once for each.
 */
#include "http/internal.h"

#include "http/cover.h"

#include <stdlib.h>
#include <string.h>

#define PICTURE_AGE (600 * LSP_SECOND)
#define POSTER_AGE (60 * LSP_SECOND) /* a picture may turn up any time */
#define BUCKETS 2048

struct cover {
	struct cover *newer, *older; /* by the time they were made */
	struct cover *next_in_bucket;
	struct MHD_Response *response;
	size_t size;
	lsp_time expires;
	char etag[LSP_HTTP_ETAG_SIZE];
	char game[LSP_HTTP_MAX_SEGMENT];
};

struct lsp_http_covers {
	struct cover *newest, *oldest;
	size_t bytes;
	struct cover *buckets[BUCKETS];
};

int lsp_http_covers_new(struct lsp_http_covers **ret_covers, struct lsp_error *err)
{
	struct lsp_http_covers *covers = calloc(1, sizeof *covers);
	if (!covers)
		return lsp_error_no_memory(err, "http");
	*ret_covers = covers;
	return 0;
}

static struct cover **find_link(struct lsp_http_covers *covers, const char *game)
{
	uint32_t hash = 2166136261u;
	for (const char *at = game; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619u;
	struct cover **link = &covers->buckets[hash % BUCKETS];
	while (*link && strcmp((*link)->game, game) != 0)
		link = &(*link)->next_in_bucket;
	return link;
}

static void drop(struct lsp_http_covers *covers, struct cover *cover)
{
	*find_link(covers, cover->game) = cover->next_in_bucket;
	if (cover->newer)
		cover->newer->older = cover->older;
	else
		covers->newest = cover->older;
	if (cover->older)
		cover->older->newer = cover->newer;
	else
		covers->oldest = cover->newer;
	covers->bytes -= cover->size;
	MHD_destroy_response(cover->response);
	free(cover);
}

void lsp_http_covers_free(struct lsp_http_covers *covers)
{
	if (!covers)
		return;
	while (covers->oldest)
		drop(covers, covers->oldest);
	free(covers);
}

static const struct cover *find(struct lsp_http_covers *covers, const char *game, lsp_time now)
{
	struct cover *cover = *find_link(covers, game);
	if (!cover || cover->expires > now)
		return cover;
	drop(covers, cover);
	return NULL;
}

static const struct cover *keep(struct lsp_http_covers *covers, const char *game, const char *type,
	const void *data, size_t size, lsp_time expires)
{
	struct cover **link = find_link(covers, game);
	if (*link)
		drop(covers, *link);
	struct cover *cover = calloc(1, sizeof *cover);
	struct MHD_Response *response = lsp_http_response(type, data, size);
	if (!cover || !response) {
		free(cover);
		if (response)
			MHD_destroy_response(response);
		return NULL;
	}
	cover->response = response;
	cover->size = size + sizeof *cover;
	cover->expires = expires;
	snprintf(cover->game, sizeof cover->game, "%s", game);
	lsp_http_etag(cover->etag, data, size);
	lsp_http_header(response, MHD_HTTP_HEADER_ETAG, cover->etag);
	lsp_http_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "private, max-age=60");
	lsp_http_common_headers(response);
	cover->older = covers->newest;
	if (cover->older)
		cover->older->newer = cover;
	else
		covers->oldest = cover;
	covers->newest = cover;
	*find_link(covers, game) = cover;
	covers->bytes += cover->size;
	while (covers->bytes > LSP_HTTP_MAX_COVER_CACHE && covers->oldest != cover)
		drop(covers, covers->oldest);
	return cover;
}

static void send_cover(struct lsp_http_request *request, const struct cover *cover)
{
	if (!cover) {
		lsp_http_reply(request, 0, NULL);
		return;
	}
	if (lsp_http_reply_not_modified(request, cover->etag))
		return;
	lsp_http_reply_shared(request, cover->response);
}

/* After an answer the connection is resumed, and the cover is in the cache by then. */
static void go_on(struct lsp_http_request *request, const struct cover *cover)
{
	request->waited = true;
	if (cover)
		lsp_http_request_resume(request);
	else
		lsp_http_reply(request, 0, NULL);
}

/* Draws it; the request is suspended. */
static void draw(struct lsp_http_request *request, const char *title)
{
	struct lsp_http *http = request->http;
	const char *game = request->parameters[0];
	_cleanup_buffer_ struct lsp_buffer svg = {0};
	const struct cover *cover = NULL;
	if (lsp_http_poster(game, title ? title : game, &svg, NULL) == 0)
		cover = keep(http->covers, game, "image/svg+xml", svg.data, svg.size,
			lsp_time_add(lsp_now(http->clock), POSTER_AGE));
	go_on(request, cover);
}

/* The game in a list_games answer, or NULL. */
static json_t *find_game(json_t *answer, const char *id)
{
	size_t index;
	json_t *game;
	json_array_foreach (json_object_get(answer, "games"), index, game) {
		const char *own = json_string_value(json_object_get(game, "id"));
		if (own && strcmp(own, id) == 0)
			return game;
	}
	return NULL;
}

static void list_answered(void *argument, const struct lsp_http_answer *answer)
{
	struct lsp_http_request *request = argument;
	request->call = NULL;
	if (!answer->ok) {
		lsp_http_reply_refusal(request, answer->value);
		return;
	}
	json_t *game = find_game(answer->value, request->parameters[0]);
	if (game)
		draw(request, json_string_value(json_object_get(game, "title")));
	else
		lsp_http_reply_error(request, MHD_HTTP_NOT_FOUND, "not_found", "path",
			"no such game is known here");
}

/* The picture in an answer, if it is one that a browser may be shown. */
static const char *decode_picture(const struct lsp_http_answer *answer, struct lsp_buffer *ret_data)
{
	json_t *text = answer->ok ? json_object_get(answer->value, "data") : NULL;
	if (!json_is_string(text) ||
		lsp_http_base64_decode(json_string_value(text), json_string_length(text),
			LSP_HTTP_MAX_COVER, ret_data, NULL) < 0)
		return NULL;
	return lsp_http_picture_type(ret_data->data, ret_data->size);
}

static void picture_answered(void *argument, const struct lsp_http_answer *answer)
{
	struct lsp_http_request *request = argument;
	struct lsp_http *http = request->http;
	const char *game = request->parameters[0];
	_cleanup_buffer_ struct lsp_buffer data = {0};
	request->call = NULL;
	const char *type = decode_picture(answer, &data);
	if (type) {
		go_on(request, keep(http->covers, game, type, data.data, data.size,
				       lsp_time_add(lsp_now(http->clock), PICTURE_AGE)));
		return;
	}
	/* Its title: of the list as it was served last; that may not have it yet. */
	const struct lsp_http_list *list = lsp_http_games_last(http->games);
	json_t *known = list ? find_game(list->json, game) : NULL;
	if (known)
		draw(request, json_string_value(json_object_get(known, "title")));
	else
		lsp_http_request_call(
			request, json_pack("{s:s}", "command", "list_games"), list_answered);
}

void lsp_http_run_cover(struct lsp_http_request *request)
{
	struct lsp_http *http = request->http;
	const char *game = request->parameters[0];
	const struct cover *cover = find(http->covers, game, lsp_now(http->clock));
	if (cover || request->waited)
		send_cover(request, cover);
	else
		lsp_http_request_call(request,
			json_pack("{s:s, s:s}", "command", "get_cover", "game", game),
			picture_answered);
}
