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
#define AT_ONCE 3       /* of them at a time */
#define PATIENCE (1 * LSP_SECOND) /* without a byte of any, then one more is asked beside them */
#define SILENCE (10 * LSP_SECOND) /* of one holder, then it is given up */

/* One holder that is being asked. */
struct ask {
	struct lsp_manifest_query *query;
	struct lsp_hash holder;
	struct lsp_exchange *exchange; /* NULL: the place is free */
	struct lsp_buffer bytes;
	lsp_time heard;
};

struct lsp_manifest_query {
	struct lsp_peer *peer;
	char game[LSP_GAME_ID_MAX + 1];
	struct lsp_hash content;
	lsp_manifest_callback callback; /* NULL: freed, only a job is waited for */
	void *argument;

	struct ask asks[AT_ONCE];
	struct lsp_hash asked[ASK_AT_MOST]; /* those that are being asked included */
	size_t asked_count;
	struct lsp_timer look;  /* at who is silent */
	struct lsp_error error; /* of the last holder */

	struct lsp_job job;
	bool parsing, forbidden;
	struct lsp_hash giver; /* of what is parsed */
	struct lsp_buffer bytes;
	const struct lsp_manifest *manifest;
};

static void go_on(struct lsp_manifest_query *query);

static void query_free(struct lsp_manifest_query *query)
{
	lsp_timer_done(&query->look);
	lsp_buffer_done(&query->bytes);
	lsp_manifest_unref(query->manifest);
	free(query);
}

/* Its exchange has ended or is not waited for. */
static void clear(struct ask *ask)
{
	if (ask->exchange)
		lsp_exchange_abort(TAKE_PTR(ask->exchange));
	lsp_buffer_done(&ask->bytes);
}

static void clear_all(struct lsp_manifest_query *query)
{
	for (size_t i = 0; i < AT_ONCE; i++)
		clear(&query->asks[i]);
}

void lsp_manifest_query_free(struct lsp_manifest_query *query)
{
	if (!query)
		return;
	clear_all(query);
	query->callback = NULL;
	if (!query->parsing)
		query_free(query);
}

static void finish(struct lsp_manifest_query *query, const struct lsp_error *error)
{
	lsp_manifest_callback callback = query->callback;
	clear_all(query);
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
	struct lsp_session *session = lsp_session_find(query->peer, &query->giver);
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
		go_on(query);
	}
}

/* Where a holder stands among those that were asked; asked_count: it was not. */
static size_t place_of(const struct lsp_manifest_query *query, const struct lsp_hash *id)
{
	size_t at = 0;
	while (at < query->asked_count && !lsp_hash_equal(&query->asked[at], id))
		at++;
	return at;
}

/* Who did not get to the end may be asked again, should this one have lied. */
static void stop_others(struct lsp_manifest_query *query)
{
	for (size_t i = 0; i < AT_ONCE; i++) {
		struct ask *ask = &query->asks[i];
		if (ask->exchange)
			query->asked[place_of(query, &ask->holder)] =
				query->asked[--query->asked_count];
		clear(ask);
	}
}

static void take(struct lsp_manifest_query *query, struct ask *ask)
{
	query->giver = ask->holder;
	query->bytes = ask->bytes;
	ask->bytes = (struct lsp_buffer){0};
	stop_others(query);
	lsp_timer_stop(&query->look);
	query->job.work = parse;
	query->job.done = parsed;
	query->parsing = true;
	if (lsp_pool_submit(query->peer->disk, query->peer->core, &query->job, &query->error) < 0) {
		query->parsing = false;
		finish(query, &query->error);
	}
}

/* ---- Asking ---- */

static void response_came(struct lsp_exchange *exchange, struct lsp_response *response)
{
	struct ask *ask = lsp_exchange_argument(exchange);
	uint64_t most = LSP_MANIFEST_INFO_MAX + LSP_MANIFEST_LAYERS_MAX + 8;
	ask->heard = lsp_peer_now(ask->query->peer);
	if (response->type == LSP_RESPONSE_BYTES && response->bytes.length <= most)
		return;
	lsp_error_set(&ask->query->error, "peer", LSP_E_PROTOCOL, "no manifest came");
	clear(ask);
	go_on(ask->query);
}

static void bytes_came(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
	struct ask *ask = lsp_exchange_argument(exchange);
	lsp_exchange_consume(exchange, size);
	ask->heard = lsp_peer_now(ask->query->peer);
	if (lsp_buffer_append(&ask->bytes, data, size, &ask->query->error) == 0)
		return;
	clear(ask);
	go_on(ask->query);
}

static void answer_ended(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct ask *ask = lsp_exchange_argument(exchange);
	struct lsp_manifest_query *query = ask->query;
	ask->exchange = NULL;
	if (!error) {
		take(query, ask);
		return;
	}
	query->error = *error;
	clear(ask);
	go_on(query);
}

/* A holder that was not asked yet, whole copies first. */
static struct lsp_remote_peer *next_holder(const struct lsp_manifest_query *query)
{
	const struct lsp_known_game *known = lsp_database_find(query->peer->database, query->game);
	const struct lsp_remote_game *copy;
	struct lsp_remote_peer *partial = NULL;
	DL_FOREACH2((known ? known->holders : NULL), copy, next_holder)
	{
		if (!lsp_hash_equal(&copy->said->content, &query->content) ||
			place_of(query, &copy->peer->id) < query->asked_count)
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

static struct ask *free_place(struct lsp_manifest_query *query)
{
	for (size_t i = 0; i < AT_ONCE; i++) {
		if (!query->asks[i].exchange)
			return &query->asks[i];
	}
	return NULL;
}

/* One more is asked, if there is one that was not. */
static void ask_one(struct lsp_manifest_query *query)
{
	struct ask *ask = free_place(query);
	struct lsp_remote_peer *holder;
	while (ask && query->asked_count < ASK_AT_MOST && (holder = next_holder(query))) {
		query->asked[query->asked_count++] = holder->id;
		ask->query = query;
		ask->holder = holder->id;
		ask->heard = lsp_peer_now(query->peer);
		struct lsp_request request = {.type = LSP_REQUEST_GET_MANIFEST};
		request.get_content.content = query->content;
		if (lsp_exchange_start(lsp_session_connection(holder->session), &request,
			    &callbacks, ask, &ask->exchange, &query->error) == 0)
			return;
	}
}

/* When the last byte of any came; 0: nobody is being asked. */
static lsp_time last_heard(const struct lsp_manifest_query *query)
{
	lsp_time last = 0;
	for (size_t i = 0; i < AT_ONCE; i++) {
		if (query->asks[i].exchange)
			last = LSP_MAX(last, query->asks[i].heard);
	}
	return last;
}

/* Asks whom it is time to ask. False: nobody is being asked, and nobody is left. */
static bool ask(struct lsp_manifest_query *query)
{
	lsp_time now = lsp_peer_now(query->peer), heard = last_heard(query);
	if (!heard || now >= heard + PATIENCE) {
		ask_one(query);
		heard = last_heard(query);
	}
	if (heard)
		lsp_timer_start(&query->look, (now < heard + PATIENCE ? heard : now) + PATIENCE);
	return heard;
}

static void go_on(struct lsp_manifest_query *query)
{
	if (!ask(query))
		finish(query, &query->error);
}

static void look(void *argument)
{
	struct lsp_manifest_query *query = argument;
	lsp_time now = lsp_peer_now(query->peer);
	for (size_t i = 0; i < AT_ONCE; i++) {
		struct ask *ask = &query->asks[i];
		if (!ask->exchange || now < ask->heard + SILENCE)
			continue;
		lsp_error_set(
			&query->error, "peer", LSP_E_TIMEOUT, "the manifest did not come in time");
		clear(ask);
	}
	go_on(query);
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
	int r = lsp_timer_init(&query->look, peer->core, look, query, err);
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
