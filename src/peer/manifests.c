#include "peer/manifests.h"

#include "base/buffer.h"
#include "base/log.h"
#include "peer/database.h"
#include "peer/exchange.h"
#include "peer/peer.h"
#include "peer/session.h"
#include "peer/session_private.h"

#include <string.h>

#include <utlist.h>

#define ASK_AT_MOST 512 /* holders, before it is given up: as many as there are connections */
#define SILENCE (10 * LSP_SECOND) /* of a holder, then the next one is asked */

struct lsp_manifest_query {
	struct lsp_peer *peer;
	char game[LSP_GAME_ID_MAX + 1];
	struct lsp_hash content;
	lsp_manifest_callback callback; /* NULL: freed, only a job is waited for */
	void *argument;

	struct lsp_hash asked[ASK_AT_MOST];
	size_t asked_count;
	struct lsp_exchange *exchange;
	struct lsp_timer silence; /* of the holder that is being asked */
	struct lsp_buffer bytes;
	struct lsp_error error; /* of the last holder */

	struct lsp_job job;
	bool parsing, forbidden;
	const struct lsp_manifest *manifest;
};

static void ask_next(struct lsp_manifest_query *query);

static void query_free(struct lsp_manifest_query *query)
{
	lsp_timer_done(&query->silence);
	lsp_buffer_done(&query->bytes);
	lsp_manifest_unref(query->manifest);
	free(query);
}

void lsp_manifest_query_free(struct lsp_manifest_query *query)
{
	if (!query)
		return;
	if (query->exchange)
		lsp_exchange_abort(query->exchange);
	query->exchange = NULL;
	query->callback = NULL;
	if (!query->parsing)
		query_free(query);
}

static void finish(struct lsp_manifest_query *query, const struct lsp_error *error)
{
	lsp_manifest_callback callback = query->callback;
	if (callback)
		callback(query->argument, error ? NULL : query->manifest, error);
	query_free(query);
}

/* ---- Parsing, on a disk thread ---- */

static void parse(struct lsp_job *job)
{
	struct lsp_manifest_query *query = lsp_container_of(job, struct lsp_manifest_query, job);
	job->result = lsp_manifest_parse(query->bytes.data, query->bytes.size, &query->content,
		&query->manifest, &job->error);
	if (job->result < 0)
		query->forbidden = lsp_manifest_is_forbidden(
			query->bytes.data, query->bytes.size, &query->content);
	if (job->result == 0 && strcmp(query->manifest->name, query->game) != 0) {
		query->forbidden = true;
		lsp_manifest_unref(TAKE_PTR(query->manifest));
		job->result = lsp_error_set(
			&job->error, "peer", LSP_E_PROTOCOL, "the manifest is another game's");
	}
}

/* Who serves what its own announcement forbids is not spoken to any longer. */
static void drop_holder(const struct lsp_manifest_query *query, const struct lsp_error *error)
{
	struct lsp_session *session =
		lsp_session_find(query->peer, &query->asked[query->asked_count - 1]);
	if (session && error->code != LSP_E_NO_MEMORY)
		lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "manifest of %s: %s", query->game,
			error->message);
}

static void parsed(struct lsp_job *job)
{
	struct lsp_manifest_query *query = lsp_container_of(job, struct lsp_manifest_query, job);
	query->parsing = false;
	lsp_buffer_done(&query->bytes);
	if (!query->callback) {
		query_free(query);
	} else if (job->result == 0) {
		finish(query, NULL);
	} else if (query->forbidden) {
		drop_holder(query, &job->error);
		lsp_error_set(&query->error, "peer", LSP_E_DENIED, "%s is refused: %s", query->game,
			job->error.message);
		finish(query, &query->error);
	} else {
		query->error = job->error;
		drop_holder(query, &job->error);
		ask_next(query);
	}
}

/* ---- Asking ---- */

static void give_up_holder(struct lsp_manifest_query *query)
{
	lsp_exchange_abort(TAKE_PTR(query->exchange));
	ask_next(query);
}

static void keep_waiting(struct lsp_manifest_query *query)
{
	lsp_timer_start(&query->silence, lsp_peer_now(query->peer) + SILENCE);
}

static void holder_is_silent(void *argument)
{
	struct lsp_manifest_query *query = argument;
	if (!query->exchange)
		return;
	lsp_error_set(&query->error, "peer", LSP_E_TIMEOUT, "the manifest did not come in time");
	give_up_holder(query);
}

static void response_came(struct lsp_exchange *exchange, struct lsp_response *response)
{
	struct lsp_manifest_query *query = lsp_exchange_argument(exchange);
	uint64_t most = LSP_MANIFEST_INFO_MAX + LSP_MANIFEST_LAYERS_MAX + 8;
	keep_waiting(query);
	if (response->type == LSP_RESPONSE_BYTES && response->bytes.length <= most)
		return;
	lsp_error_set(&query->error, "peer", LSP_E_PROTOCOL, "no manifest came");
	give_up_holder(query);
}

static void bytes_came(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
	struct lsp_manifest_query *query = lsp_exchange_argument(exchange);
	lsp_exchange_consume(exchange, size);
	keep_waiting(query);
	if (lsp_buffer_append(&query->bytes, data, size, &query->error) < 0)
		give_up_holder(query);
}

static void answer_ended(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct lsp_manifest_query *query = lsp_exchange_argument(exchange);
	query->exchange = NULL;
	if (error) {
		query->error = *error;
		ask_next(query);
		return;
	}
	query->job.work = parse;
	query->job.done = parsed;
	query->parsing = true;
	if (lsp_pool_submit(query->peer->disk, query->peer->core, &query->job, &query->error) < 0) {
		query->parsing = false;
		finish(query, &query->error);
	}
}

static bool was_asked(const struct lsp_manifest_query *query, const struct lsp_hash *id)
{
	for (size_t i = 0; i < query->asked_count; i++) {
		if (lsp_hash_equal(&query->asked[i], id))
			return true;
	}
	return false;
}

/* A holder that was not asked yet, whole copies first. */
static struct lsp_remote_peer *next_holder(const struct lsp_manifest_query *query)
{
	const struct lsp_known_game *known = lsp_database_find(query->peer->database, query->game);
	const struct lsp_remote_game *copy;
	struct lsp_remote_peer *partial = NULL;
	DL_FOREACH2((known ? known->holders : NULL), copy, next_holder)
	{
		if (!lsp_hash_equal(&copy->content, &query->content) ||
			was_asked(query, &copy->peer->id))
			continue;
		if (copy->holding == LSP_HOLDING_READY)
			return copy->peer;
		partial = copy->peer;
	}
	return partial;
}

static const struct lsp_exchange_callbacks callbacks = {
	.response = response_came,
	.bytes = bytes_came,
	.done = answer_ended,
};

/* True when somebody was asked. */
static bool ask(struct lsp_manifest_query *query)
{
	while (query->asked_count < ASK_AT_MOST) {
		struct lsp_remote_peer *holder = next_holder(query);
		if (!holder)
			return false;
		query->asked[query->asked_count++] = holder->id;
		lsp_buffer_reset(&query->bytes);
		struct lsp_request request = {.type = LSP_REQUEST_GET_MANIFEST};
		request.get_content.content = query->content;
		if (lsp_exchange_start(lsp_session_connection(holder->session), &request,
			    &callbacks, query, &query->exchange, &query->error) == 0) {
			keep_waiting(query);
			return true;
		}
	}
	return false;
}

static void ask_next(struct lsp_manifest_query *query)
{
	if (!ask(query))
		finish(query, &query->error);
}

int lsp_manifest_query(struct lsp_peer *peer, const char *game, const struct lsp_hash *content,
	lsp_manifest_callback callback, void *argument, struct lsp_manifest_query **ret_query,
	struct lsp_error *err)
{
	struct lsp_manifest_query *query = calloc(1, sizeof *query);
	if (!query)
		return lsp_error_no_memory(err, "peer");
	query->peer = peer;
	snprintf(query->game, sizeof query->game, "%s", game);
	query->content = *content;
	query->callback = callback;
	query->argument = argument;
	int r = lsp_timer_init(&query->silence, peer->core, holder_is_silent, query, err);
	if (r < 0) {
		query_free(query);
		return r;
	}
	lsp_error_set(&query->error, "peer", LSP_E_NOT_FOUND, "nobody here has %s", game);
	if (!ask(query)) {
		if (err)
			*err = query->error;
		query_free(query);
		return -LSP_E_NOT_FOUND;
	}
	*ret_query = query;
	return 0;
}
