#include "peer/covers.h"

#include "base/buffer.h"
#include "peer/command.h"
#include "peer/database.h"
#include "peer/exchange.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/session.h"
#include "store/catalog.h"
#include "store/picture.h"
#include "wire/base64.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define HOLDERS_AT_MOST 3
#define HOLDER_PATIENCE (3 * LSP_SECOND)
#define ASKED_AT_ONCE 8

struct lsp_cover_query {
	struct lsp_cover_query *prev, *next; /* in peer->covers once others are to be asked */
	struct lsp_job job;
	struct lsp_peer *peer;
	struct lsp_call *call;
	char game[LSP_GAME_ID_MAX + 1];
	const char *source;
	struct lsp_buffer picture;

	struct lsp_hash asked[HOLDERS_AT_MOST];
	size_t asked_count;
	struct lsp_exchange *exchange; /* NULL: waits for its turn */
	lsp_time deadline;
};

static void ask_in_turn(struct lsp_peer *peer);

/* ---- The answer
 * ------------------------------------------------------------------------------------------------
 */

static void query_free(struct lsp_cover_query *query)
{
	lsp_buffer_done(&query->picture);
	free(query);
}

static json_t *cover_json(const struct lsp_cover_query *query)
{
	const struct lsp_buffer *picture = &query->picture;
	_cleanup_free_ char *text = malloc(lsp_base64_size(picture->size) + 1);
	if (!text)
		return NULL;
	lsp_base64_encode(picture->data, picture->size, text);
	return json_pack("{s:s, s:s, s:s}", "type",
		lsp_picture_type(lsp_picture_kind(picture->data, picture->size)), "data", text,
		"source", query->source);
}

static void succeed(struct lsp_cover_query *query)
{
	lsp_call_answer(query->call, cover_json(query));
	query_free(query);
}

/* One that was in the list is over. */
static void leave(struct lsp_cover_query *query)
{
	DL_DELETE(query->peer->covers, query);
}

static void give_up(struct lsp_cover_query *query)
{
	struct lsp_error err = {0};
	lsp_error_set(&err, "peer", LSP_E_NOT_FOUND, "nobody here has a cover of %s", query->game);
	leave(query);
	lsp_call_fail(query->call, &err);
	query_free(query);
}

/* ---- From another peer
 * ------------------------------------------------------------------------------------------------
 */

static bool was_asked(const struct lsp_cover_query *query, const struct lsp_hash *id)
{
	for (size_t i = 0; i < query->asked_count; i++) {
		if (lsp_hash_equal(&query->asked[i], id))
			return true;
	}
	return false;
}

static struct lsp_remote_peer *next_holder(const struct lsp_cover_query *query)
{
	const struct lsp_known_game *known = lsp_database_find(query->peer->database, query->game);
	const struct lsp_remote_game *copy;
	DL_FOREACH2((known ? known->holders : NULL), copy, next_holder)
	{
		if (!was_asked(query, &copy->peer->id))
			return copy->peer;
	}
	return NULL;
}

static void holder_failed(struct lsp_cover_query *query)
{
	query->exchange = NULL;
	lsp_buffer_reset(&query->picture);
	ask_in_turn(query->peer);
}

static void response_came(struct lsp_exchange *exchange, struct lsp_response *response)
{
	struct lsp_cover_query *query = lsp_exchange_argument(exchange);
	if (response->type == LSP_RESPONSE_BYTES && response->bytes.length <= LSP_PICTURE_MAX)
		return;
	lsp_exchange_abort(exchange);
	holder_failed(query);
}

static void bytes_came(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
	struct lsp_cover_query *query = lsp_exchange_argument(exchange);
	lsp_exchange_consume(exchange, size);
	if (lsp_buffer_append(&query->picture, data, size, NULL) == 0)
		return;
	lsp_exchange_abort(exchange);
	holder_failed(query);
}

static void answer_ended(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct lsp_cover_query *query = lsp_exchange_argument(exchange);
	struct lsp_peer *peer = query->peer;
	if (error || lsp_picture_check(query->picture.data, query->picture.size, NULL) < 0) {
		holder_failed(query);
		return;
	}
	leave(query);
	query->source = "peer";
	succeed(query);
	ask_in_turn(peer);
}

/* True when a holder is asked now. */
static bool ask_holder(struct lsp_cover_query *query)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.response = response_came,
		.bytes = bytes_came,
		.done = answer_ended,
	};
	while (query->asked_count < HOLDERS_AT_MOST) {
		struct lsp_remote_peer *holder = next_holder(query);
		if (!holder)
			return false;
		query->asked[query->asked_count++] = holder->id;
		struct lsp_request request = {.type = LSP_REQUEST_GET_COVER};
		snprintf(request.get_game.id, sizeof request.get_game.id, "%s", query->game);
		if (lsp_exchange_start(lsp_session_connection(holder->session), &request,
			    &callbacks, query, &query->exchange, NULL) == 0) {
			query->deadline = lsp_time_add(lsp_peer_now(query->peer), HOLDER_PATIENCE);
			return true;
		}
	}
	return false;
}

/* The oldest that wait are asked for, as many as may be; those without a holder left are over. */
static void ask_in_turn(struct lsp_peer *peer)
{
	struct lsp_cover_query *query, *next;
	size_t running = 0;
	DL_FOREACH(peer->covers, query)
	running += query->exchange != NULL;
	DL_FOREACH_SAFE(peer->covers, query, next)
	{
		if (running >= ASKED_AT_ONCE)
			return;
		if (query->exchange)
			continue;
		if (ask_holder(query))
			running++;
		else
			give_up(query);
	}
}

void lsp_covers_tick(struct lsp_peer *peer)
{
	lsp_time now = lsp_peer_now(peer);
	struct lsp_cover_query *query;
	bool late = false;
	DL_FOREACH(peer->covers, query)
	{
		if (!query->exchange || now < query->deadline)
			continue;
		lsp_exchange_abort(query->exchange);
		query->exchange = NULL;
		lsp_buffer_reset(&query->picture);
		late = true;
	}
	if (late)
		ask_in_turn(peer);
}

/* ---- Our own
 * ------------------------------------------------------------------------------------------------
 */

/* On a disk thread. */
static void read_own(struct lsp_job *job)
{
	struct lsp_cover_query *query = lsp_container_of(job, struct lsp_cover_query, job);
	struct lsp_peer *peer = query->peer;
	query->source = "catalog";
	job->result = lsp_catalog_cover(
		lsp_local_catalog(peer), query->game, &query->picture, &job->error);
	if (job->result == 0)
		return;
	query->source = "folder";
	job->result = lsp_library_cover(
		lsp_local_library(peer), query->game, &query->picture, &job->error);
}

static void own_was_read(struct lsp_job *job)
{
	struct lsp_cover_query *query = lsp_container_of(job, struct lsp_cover_query, job);
	struct lsp_peer *peer = query->peer;
	if (job->result == 0) {
		succeed(query);
		return;
	}
	lsp_buffer_reset(&query->picture);
	DL_APPEND(peer->covers, query);
	ask_in_turn(peer);
}

int lsp_cover_answer(
	struct lsp_peer *peer, struct lsp_call *call, const char *game, struct lsp_error *err)
{
	struct lsp_cover_query *query = calloc(1, sizeof *query);
	if (!query)
		return lsp_error_no_memory(err, "peer");
	query->peer = peer;
	query->call = call;
	query->job.work = read_own;
	query->job.done = own_was_read;
	snprintf(query->game, sizeof query->game, "%s", game);
	int r = lsp_pool_submit(peer->disk, peer->core, &query->job, err);
	if (r < 0)
		query_free(query);
	return r;
}
