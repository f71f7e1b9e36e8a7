#include "peer/fill.h"

#include "base/log.h"
#include "peer/download.h"
#include "peer/exchange.h"
#include "peer/guard.h"
#include "peer/peer.h"
#include "peer/session.h"

#include <string.h>

#include <utlist.h>

/* After an answer that failed: the next tries, of which a chunk has three, are whole chunks. */
#define LEAVES_PAUSE (10 * LSP_SECOND)

struct lsp_fill {
	struct lsp_fill *prev, *next; /* of the peer */
	struct lsp_peer *peer;
	struct lsp_session *session; /* NULL: over, only its job is waited for */
	struct lsp_share *share;
	struct lsp_stage *stage;
	lsp_swarm_id id;
	uint32_t chunk;
	struct lsp_chunk what;
	bool over; /* the swarm has been told */

	struct lsp_exchange *exchange;
	struct lsp_buffer bytes; /* of the answer */
	uint64_t expected;

	struct lsp_job job;
	bool working;
	struct lsp_stage_fill *fill;
	struct lsp_block_run *runs; /* leaves that were asked for */
	size_t run_count;
};

static void fill_free(struct lsp_fill *fill)
{
	struct lsp_share *share = fill->share;
	DL_DELETE(fill->peer->fills, fill);
	lsp_stage_fill_free(fill->fill);
	lsp_stage_unref(fill->stage);
	lsp_buffer_done(&fill->bytes);
	free(fill->runs);
	free(fill);
	lsp_download_fetch_ended(share);
	lsp_share_unref(share);
}

static void stop(struct lsp_fill *fill)
{
	fill->session = NULL;
	fill->over = true;
	if (fill->exchange)
		lsp_exchange_abort(TAKE_PTR(fill->exchange));
	if (!fill->working)
		fill_free(fill);
}

static void fail(struct lsp_fill *fill, enum lsp_swarm_failure failure)
{
	if (!fill->over)
		lsp_swarm_failed(fill->peer->swarm, fill->id, failure, lsp_peer_now(fill->peer));
	lsp_peer_kick(fill->peer);
	stop(fill);
}

/* means_it: it cannot, or does not keep to the protocol. Else it, or the way to it, has trouble. */
static void fail_of_peer(struct lsp_fill *fill, bool means_it)
{
	lsp_session_refuse_leaves(fill->session,
		means_it ? LSP_TIME_NEVER : lsp_time_add(lsp_peer_now(fill->peer), LEAVES_PAUSE));
	fail(fill, LSP_SWARM_BROKEN);
}

void lsp_fill_cancel(struct lsp_peer *peer, lsp_swarm_id request)
{
	struct lsp_fill *fill;
	DL_FOREACH(peer->fills, fill)
	{
		if (fill->id == request && fill->session) {
			stop(fill);
			return;
		}
	}
}

void lsp_fill_cancel_all(struct lsp_session *session)
{
	struct lsp_fill *fill, *next;
	DL_FOREACH_SAFE(lsp_session_peer(session)->fills, fill, next)
	{
		if (fill->session == session)
			stop(fill);
	}
}

bool lsp_fill_uses(struct lsp_peer *peer, const struct lsp_stage *stage)
{
	struct lsp_fill *fill;
	DL_FOREACH(peer->fills, fill)
	{
		if (fill->stage == stage)
			return true;
	}
	return false;
}

/* ---- What both answers share ---- */

static void response_came(struct lsp_exchange *exchange, struct lsp_response *response)
{
	struct lsp_fill *fill = lsp_exchange_argument(exchange);
	if (response->type != LSP_RESPONSE_BYTES || response->bytes.length != fill->expected) {
		lsp_log_warning("peer", "%s answered a request for leaves with something else",
			lsp_session_name(fill->session));
		fail_of_peer(fill, true);
	}
}

static void bytes_came(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
	struct lsp_fill *fill = lsp_exchange_argument(exchange);
	lsp_session_count_received(fill->session, size);
	lsp_download_count_received(fill->share, size);
	lsp_share_traffic(fill->share)->received += size;
	lsp_swarm_received(fill->peer->swarm, fill->id, size, lsp_peer_now(fill->peer));
	lsp_exchange_consume(exchange, size);
	if (lsp_buffer_append(&fill->bytes, data, size, NULL) < 0)
		fail(fill, LSP_SWARM_LOCAL);
}

static void submit(
	struct lsp_fill *fill, void (*work)(struct lsp_job *job), void (*done)(struct lsp_job *job))
{
	fill->job.work = work;
	fill->job.done = done;
	fill->working = true;
	if (lsp_pool_submit(fill->peer->disk, fill->peer->core, &fill->job, NULL) < 0) {
		fill->working = false;
		fail(fill, LSP_SWARM_LOCAL);
	}
}

/* A job came back. False: the fill is gone. */
static bool job_ended(struct lsp_fill *fill)
{
	int r = fill->job.result;
	fill->working = false;
	if (fill->over) {
		fill_free(fill);
		return false;
	}
	if (r == 0)
		return true;
	if (r == -LSP_E_EXISTS) { /* somebody else brought the chunk */
		lsp_swarm_verified(
			fill->peer->swarm, fill->id, fill->chunk, lsp_peer_now(fill->peer));
		fill->over = true;
		lsp_peer_kick(fill->peer);
		stop(fill);
	} else if (r == -LSP_E_CORRUPT || r == -LSP_E_PROTOCOL) {
		lsp_swarm_rejected(
			fill->peer->swarm, fill->id, fill->chunk, lsp_peer_now(fill->peer));
		fill->over = true;
		lsp_peer_kick(fill->peer);
		stop(fill);
	} else {
		struct lsp_share *share = lsp_share_ref(fill->share);
		struct lsp_error error = fill->job.error;
		fail(fill, LSP_SWARM_LOCAL);
		if (r != -LSP_E_BUSY)
			lsp_download_trouble(share, &error);
		lsp_share_unref(share);
	}
	return false;
}

/* ---- Leaves
 * -------------------------------------------------------------------------------------------------
 */

static size_t leaf_size(const struct lsp_fill *fill, uint32_t leaf)
{
	uint64_t begin = (uint64_t)leaf * LSP_LEAF_SIZE;
	return (size_t)LSP_MIN((uint64_t)LSP_LEAF_SIZE, fill->what.size - begin);
}

static void write_leaves(struct lsp_job *job)
{
	struct lsp_fill *fill = lsp_container_of(job, struct lsp_fill, job);
	const uint8_t *data = fill->bytes.data;
	job->result = 0;
	for (size_t i = 0; i < fill->run_count; i++) {
		const struct lsp_block_run *run = &fill->runs[i];
		for (uint32_t leaf = run->first; leaf < run->first + run->count && job->result == 0;
			leaf++) {
			size_t size = leaf_size(fill, leaf);
			job->result =
				lsp_stage_fill_write(fill->fill, leaf, data, size, &job->error);
			data += size;
		}
	}
	if (job->result == 0)
		job->result = lsp_stage_fill_finish(fill->fill, &job->error);
}

static void leaves_written(struct lsp_job *job)
{
	struct lsp_fill *fill = lsp_container_of(job, struct lsp_fill, job);
	if (!job_ended(fill))
		return;
	lsp_swarm_verified(fill->peer->swarm, fill->id, fill->chunk, lsp_peer_now(fill->peer));
	lsp_peer_kick(fill->peer);
	stop(fill);
}

/* No answer: the chunk is not there, it is to be asked for later, or the peer is at fault. */
static void refused(struct lsp_fill *fill, const struct lsp_error *error)
{
	struct lsp_peer *peer = fill->peer;
	if (error->code == LSP_E_BUSY) {
		lsp_swarm_bounced(peer->swarm, fill->id, LSP_SWARM_BUSY, LSP_SWARM_NO_HINT,
			lsp_peer_now(peer));
		lsp_peer_kick(peer);
		fill->over = true;
		stop(fill);
	} else if (error->code == LSP_E_NOT_FOUND) {
		fail(fill, LSP_SWARM_MISSING);
	} else {
		fail_of_peer(fill,
			error->code == LSP_E_UNSUPPORTED || error->code == LSP_E_INVALID ||
				error->code == LSP_E_PROTOCOL || error->code == LSP_E_TOO_LARGE);
	}
}

static void leaves_came(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct lsp_fill *fill = lsp_exchange_argument(exchange);
	fill->exchange = NULL;
	if (error)
		refused(fill, error);
	else
		submit(fill, write_leaves, leaves_written);
}

/* The leaves that are missing, as runs. */
static bool list_missing(struct lsp_fill *fill)
{
	const struct lsp_bitmap *have = lsp_stage_fill_leaves(fill->fill);
	fill->runs = calloc(fill->what.leaf_count + 1, sizeof *fill->runs);
	if (!fill->runs)
		return false;
	fill->expected = 0;
	for (size_t at = lsp_bitmap_next_clear(have, 0); at < have->bits;) {
		size_t end = lsp_bitmap_next_set(have, at);
		fill->runs[fill->run_count++] =
			(struct lsp_block_run){fill->chunk, (uint32_t)at, (uint32_t)(end - at)};
		for (size_t leaf = at; leaf < end; leaf++)
			fill->expected += leaf_size(fill, (uint32_t)leaf);
		at = lsp_bitmap_next_clear(have, end);
	}
	return true;
}

static void ask_for_leaves(struct lsp_fill *fill)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.response = response_came, .bytes = bytes_came, .done = leaves_came};
	struct lsp_request request = {.type = LSP_REQUEST_GET_BLOCKS};
	request.get_blocks.content = lsp_share_manifest(fill->share)->content_id;
	request.get_blocks.runs = fill->runs;
	request.get_blocks.run_count = fill->run_count;
	request.get_blocks.gentle =
		lsp_guards_ask(lsp_session_peer(fill->session)->guards, fill->session);
	lsp_buffer_reset(&fill->bytes);
	if (lsp_exchange_start(lsp_session_connection(fill->session), &request, &callbacks, fill,
		    &fill->exchange, NULL) < 0)
		fail_of_peer(fill, false);
}

/* ---- Their hashes ---- */

static void begin_fill(struct lsp_job *job)
{
	struct lsp_fill *fill = lsp_container_of(job, struct lsp_fill, job);
	job->result = lsp_stage_fill_new(fill->stage, fill->chunk,
		(const struct lsp_hash *)(const void *)fill->bytes.data, fill->what.leaf_count,
		&fill->fill, &job->error);
}

static void fill_begun(struct lsp_job *job)
{
	struct lsp_fill *fill = lsp_container_of(job, struct lsp_fill, job);
	if (!job_ended(fill))
		return;
	if (!list_missing(fill))
		fail(fill, LSP_SWARM_LOCAL);
	else if (!fill->run_count)
		submit(fill, write_leaves, leaves_written); /* everything was here */
	else
		ask_for_leaves(fill);
}

static void hashes_came(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct lsp_fill *fill = lsp_exchange_argument(exchange);
	fill->exchange = NULL;
	if (error)
		refused(fill, error);
	else
		submit(fill, begin_fill, fill_begun);
}

bool lsp_fill_start(
	struct lsp_session *session, struct lsp_share *share, const struct lsp_swarm_action *action)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.response = response_came, .bytes = bytes_came, .done = hashes_came};
	struct lsp_fill *fill = calloc(1, sizeof *fill);
	if (!fill)
		return false;
	fill->peer = lsp_session_peer(session);
	fill->session = session;
	fill->share = lsp_share_ref(share);
	fill->stage = lsp_stage_ref(lsp_share_stage(share));
	fill->id = action->request;
	fill->chunk = action->first;
	lsp_manifest_chunk(lsp_share_manifest(share), fill->chunk, &fill->what);
	fill->expected = (uint64_t)fill->what.leaf_count * LSP_SHA256_SIZE;
	DL_APPEND(fill->peer->fills, fill);
	struct lsp_request request = {.type = LSP_REQUEST_GET_HASHES};
	request.get_hashes.content = lsp_share_manifest(share)->content_id;
	request.get_hashes.first = fill->chunk;
	request.get_hashes.count = 1;
	if (lsp_exchange_start(lsp_session_connection(session), &request, &callbacks, fill,
		    &fill->exchange, NULL) == 0)
		return true;
	DL_DELETE(fill->peer->fills, fill);
	lsp_stage_unref(fill->stage);
	lsp_share_unref(share);
	free(fill);
	return false;
}
