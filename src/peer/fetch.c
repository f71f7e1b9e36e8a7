#include "peer/fetch.h"

#include "base/log.h"
#include "peer/block.h"
#include "peer/download.h"
#include "peer/exchange.h"
#include "peer/fill.h"
#include "peer/guard.h"
#include "peer/peer.h"
#include "peer/session.h"

#include <string.h>

#include <utlist.h>

/* What became of one chunk on the disk thread. */
struct outcome {
	uint32_t chunk;
	int result; /* 0 verified, -LSP_E_CORRUPT rejected */
};

struct lsp_fetch {
	struct lsp_fetch *prev, *next; /* of the peer */
	struct lsp_peer *peer;
	struct lsp_session *session; /* NULL: it is over, only its job is waited for */
	struct lsp_share *share;
	struct lsp_stage *stage;
	lsp_swarm_id id;
	uint32_t first, count;

	struct lsp_exchange *exchange; /* NULL: answered in full, failed or aborted */
	struct lsp_block *filling;     /* the block that bytes go into */
	size_t uncounted;              /* bytes that came and nobody was told of yet */
	struct lsp_block *queue, *queue_tail;
	bool over; /* the swarm has been told the end */

	/* The job's, while it runs. */
	struct lsp_job job;
	bool working;
	struct lsp_block *batch;
	struct lsp_stage_writer *writer;
	uint32_t chunk;      /* being written */
	uint64_t chunk_left; /* of it; 0: not begun */
	bool skipping;       /* it is verified already: its bytes are passed over */
	struct outcome outcomes[LSP_SWARM_RUN_CHUNKS];
	size_t outcome_count;
};

static void kick(struct lsp_fetch *fetch);

/* ---- Counting ---- */

/* Tells of the bytes that came: once a round of the loop, not for each packet. */
static void count(struct lsp_fetch *fetch)
{
	size_t size = fetch->uncounted;
	if (!size || !fetch->session)
		return;
	fetch->uncounted = 0;
	lsp_session_count_received(fetch->session, size);
	lsp_download_count_received(fetch->share, size);
	lsp_share_traffic(fetch->share)->received += size;
	lsp_swarm_received(fetch->peer->swarm, fetch->id, size, lsp_peer_now(fetch->peer));
}

static void count_all(void *argument)
{
	struct lsp_peer *peer = argument;
	struct lsp_fetch *fetch;
	peer->count_posted = false;
	DL_FOREACH(peer->fetches, fetch)
	{
		count(fetch);
	}
}

static void count_soon(struct lsp_fetch *fetch, size_t size)
{
	struct lsp_peer *peer = fetch->peer;
	fetch->uncounted += size;
	if (!peer->count_posted)
		peer->count_posted = lsp_loop_post_node(peer->core, &peer->count_post, count_all,
					     peer, NULL) == 0;
	if (!peer->count_posted) /* the loop is closing */
		count(fetch);
}

/* ---- The end ---- */

static void give_chain(struct lsp_block *block)
{
	while (block) {
		struct lsp_block *next = block->next;
		lsp_block_give(block);
		block = next;
	}
}

static void fetch_free(struct lsp_fetch *fetch)
{
	struct lsp_peer *peer = fetch->peer;
	DL_DELETE(peer->fetches, fetch);
	give_chain(fetch->queue);
	lsp_block_give(fetch->filling);
	lsp_stage_writer_free(fetch->writer);
	lsp_stage_unref(fetch->stage);
	struct lsp_share *share = fetch->share;
	free(fetch);
	lsp_download_fetch_ended(share);
	lsp_share_unref(share);
}

/* No more bytes are wanted; frees it now, or when its job is done. */
static void stop(struct lsp_fetch *fetch)
{
	count(fetch);
	fetch->session = NULL;
	fetch->over = true;
	if (fetch->exchange) {
		lsp_exchange_abort(fetch->exchange);
		fetch->exchange = NULL;
	}
	if (!fetch->working)
		fetch_free(fetch);
}

static void fail(struct lsp_fetch *fetch, enum lsp_swarm_failure failure)
{
	if (!fetch->over)
		lsp_swarm_failed(fetch->peer->swarm, fetch->id, failure, lsp_peer_now(fetch->peer));
	lsp_peer_kick(fetch->peer);
	stop(fetch);
}

void lsp_fetch_cancel(struct lsp_peer *peer, lsp_swarm_id request)
{
	struct lsp_fetch *fetch;
	DL_FOREACH(peer->fetches, fetch)
	{
		if (fetch->id == request && fetch->session) {
			stop(fetch);
			return;
		}
	}
	lsp_fill_cancel(peer, request);
}

void lsp_fetch_cancel_all(struct lsp_session *session)
{
	struct lsp_fetch *fetch, *next;
	DL_FOREACH_SAFE(lsp_session_peer(session)->fetches, fetch, next)
	{
		if (fetch->session == session)
			stop(fetch);
	}
	lsp_fill_cancel_all(session);
}

bool lsp_fetch_uses(struct lsp_peer *peer, const struct lsp_stage *stage)
{
	struct lsp_fetch *fetch;
	DL_FOREACH(peer->fetches, fetch)
	{
		if (fetch->stage == stage)
			return true;
	}
	return lsp_fill_uses(peer, stage);
}

/* ---- On a disk thread ---- */

static void note(struct lsp_fetch *fetch, int result)
{
	if (fetch->outcome_count < LSP_ARRAY_SIZE(fetch->outcomes))
		fetch->outcomes[fetch->outcome_count++] = (struct outcome){fetch->chunk, result};
	lsp_stage_writer_free(fetch->writer);
	fetch->writer = NULL;
	fetch->skipping = false;
	fetch->chunk++;
}

static int begin_chunk(struct lsp_fetch *fetch, struct lsp_error *err)
{
	struct lsp_chunk chunk;
	lsp_manifest_chunk(lsp_stage_manifest(fetch->stage), fetch->chunk, &chunk);
	fetch->chunk_left = chunk.size;
	int r = lsp_stage_writer_new(fetch->stage, fetch->chunk, &fetch->writer, err);
	fetch->skipping = r == -LSP_E_EXISTS;
	return fetch->skipping ? 0 : r;
}

static int write_part(
	struct lsp_fetch *fetch, const uint8_t *data, size_t size, struct lsp_error *err)
{
	int r = 0;
	if (!fetch->skipping)
		r = lsp_stage_writer_write(fetch->writer, data, size, err);
	if (r == -LSP_E_EXISTS) { /* another fetch was faster */
		fetch->skipping = true;
		r = 0;
	}
	fetch->chunk_left -= size;
	if (r < 0 || fetch->chunk_left)
		return r;
	r = fetch->skipping ? 0 : lsp_stage_writer_finish(fetch->writer, err);
	if (r == -LSP_E_EXISTS)
		r = 0;
	if (r == 0 || r == -LSP_E_CORRUPT)
		note(fetch, r);
	return r;
}

static int write_block(
	struct lsp_fetch *fetch, const struct lsp_block *block, struct lsp_error *err)
{
	size_t done = 0;
	while (done < block->size) {
		int r = fetch->chunk_left ? 0 : begin_chunk(fetch, err);
		if (r < 0)
			return r;
		size_t part = LSP_MIN(block->size - done, (size_t)fetch->chunk_left);
		r = write_part(fetch, block->data + done, part, err);
		if (r < 0)
			return r;
		done += part;
	}
	return 0;
}

static void write_batch(struct lsp_job *job)
{
	struct lsp_fetch *fetch = lsp_container_of(job, struct lsp_fetch, job);
	job->result = 0;
	for (struct lsp_block *b = fetch->batch; b && job->result == 0; b = b->next)
		job->result = write_block(fetch, b, &job->error);
}

/* ---- Back on the loop ---- */

/* Tells what became of the chunks. A fetch that was cancelled meanwhile still did its work. */
static void report(struct lsp_fetch *fetch)
{
	struct lsp_swarm *swarm = fetch->peer->swarm;
	lsp_time now = lsp_peer_now(fetch->peer);
	for (size_t i = 0; i < fetch->outcome_count; i++) {
		const struct outcome *outcome = &fetch->outcomes[i];
		if (outcome->result == 0 && !fetch->over)
			lsp_swarm_verified(swarm, fetch->id, outcome->chunk, now);
		else if (outcome->result == 0 && lsp_share_swarm_game(fetch->share))
			lsp_swarm_game_gained(
				swarm, lsp_share_swarm_game(fetch->share), outcome->chunk, 1);
		else if (outcome->result < 0 && !fetch->over)
			lsp_swarm_rejected(swarm, fetch->id, outcome->chunk, now);
	}
	fetch->outcome_count = 0;
}

static bool is_complete(const struct lsp_fetch *fetch)
{
	return !fetch->exchange && !fetch->queue && !fetch->filling && !fetch->chunk_left;
}

/* Everything that was promised is written: the request is over, or its rest is missing there. */
static void complete(struct lsp_fetch *fetch)
{
	if (fetch->chunk < fetch->first + fetch->count)
		fail(fetch, LSP_SWARM_MISSING);
	else
		stop(fetch);
}

static void batch_written(struct lsp_job *job)
{
	struct lsp_fetch *fetch = lsp_container_of(job, struct lsp_fetch, job);
	fetch->working = false;
	size_t bytes = 0;
	for (struct lsp_block *b = fetch->batch; b; b = b->next)
		bytes += b->size;
	give_chain(TAKE_PTR(fetch->batch));
	if (fetch->exchange)
		lsp_exchange_consume(fetch->exchange, bytes);
	report(fetch);
	lsp_peer_kick(fetch->peer);
	if (fetch->over) {
		fetch_free(fetch);
		return;
	}
	if (job->result == -LSP_E_CORRUPT) {
		fetch->over = true; /* the swarm ended the request at the rejected chunk */
		stop(fetch);
	} else if (job->result < 0) {
		struct lsp_share *share = lsp_share_ref(fetch->share);
		struct lsp_error error = job->error;
		fail(fetch, LSP_SWARM_LOCAL);
		if (job->result != -LSP_E_BUSY)
			lsp_download_trouble(share, &error);
		lsp_share_unref(share);
	} else if (is_complete(fetch)) {
		complete(fetch);
	} else {
		kick(fetch);
	}
}

/* Sends what is queued to the disk, if nothing of this fetch is there yet. */
static void kick(struct lsp_fetch *fetch)
{
	if (fetch->working || !fetch->queue)
		return;
	fetch->batch = TAKE_PTR(fetch->queue);
	fetch->queue_tail = NULL;
	fetch->job.work = write_batch;
	fetch->job.done = batch_written;
	fetch->working = true;
	struct lsp_error err = {0};
	if (lsp_pool_submit(fetch->peer->disk, fetch->peer->core, &fetch->job, &err) < 0) {
		fetch->working = false;
		give_chain(TAKE_PTR(fetch->batch));
		fail(fetch, LSP_SWARM_LOCAL);
	}
}

/* Counted before: a chunk must not be verified before the swarm knows that its bytes are here. */
static void queue_block(struct lsp_fetch *fetch)
{
	count(fetch);
	struct lsp_block *block = TAKE_PTR(fetch->filling);
	block->next = NULL;
	if (fetch->queue_tail)
		fetch->queue_tail->next = block;
	else
		fetch->queue = block;
	fetch->queue_tail = block;
}

static void bytes_came(struct lsp_exchange *exchange, const uint8_t *data, size_t size)
{
	struct lsp_fetch *fetch = lsp_exchange_argument(exchange);
	count_soon(fetch, size);
	while (size) {
		if (!fetch->filling)
			fetch->filling = lsp_blocks_take_anyway(fetch->peer->blocks);
		if (!fetch->filling) {
			fail(fetch, LSP_SWARM_LOCAL);
			return;
		}
		struct lsp_block *block = fetch->filling;
		size_t part = LSP_MIN(size, LSP_BLOCK_SIZE - block->size);
		memcpy(block->data + block->size, data, part);
		block->size += part;
		data += part;
		size -= part;
		if (block->size == LSP_BLOCK_SIZE)
			queue_block(fetch);
	}
	kick(fetch);
}

static uint64_t run_bytes(const struct lsp_fetch *fetch, uint32_t count)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct lsp_chunk chunk;
		lsp_manifest_chunk(lsp_share_manifest(fetch->share), fetch->first + i, &chunk);
		bytes += chunk.size;
	}
	return bytes;
}

static void response_came(struct lsp_exchange *exchange, struct lsp_response *response)
{
	struct lsp_fetch *fetch = lsp_exchange_argument(exchange);
	uint64_t count = response->type == LSP_RESPONSE_BYTES ? response->bytes.count : 0;
	if (count < 1 || count > fetch->count ||
		response->bytes.length != run_bytes(fetch, (uint32_t)count)) {
		lsp_log_warning("peer", "%s answered a request for chunks with something else",
			lsp_session_name(fetch->session));
		fail(fetch, LSP_SWARM_BROKEN);
		return;
	}
}

static void bounced(struct lsp_fetch *fetch, const struct lsp_error_response *refusal)
{
	enum lsp_swarm_bounce reason = LSP_SWARM_BUSY;
	if (strcmp(refusal->bounce, "paused") == 0)
		reason = LSP_SWARM_PAUSED;
	else if (strcmp(refusal->bounce, "elsewhere") == 0)
		reason = LSP_SWARM_ELSEWHERE;
	uint32_t hint = refusal->has_hint ? (uint32_t)refusal->hint : LSP_SWARM_NO_HINT;
	lsp_swarm_bounced(fetch->peer->swarm, fetch->id, reason, hint, lsp_peer_now(fetch->peer));
	lsp_peer_kick(fetch->peer);
	fetch->over = true;
	stop(fetch);
}

static void answer_ended(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct lsp_fetch *fetch = lsp_exchange_argument(exchange);
	const struct lsp_error_response *refusal = lsp_exchange_refusal(exchange);
	fetch->exchange = NULL;
	if (refusal && refusal->code == LSP_E_BUSY) {
		bounced(fetch, refusal);
	} else if (error) {
		lsp_log_debug("peer", "chunks %u+%u of %s from %s: %s", fetch->first, fetch->count,
			lsp_share_game(fetch->share), lsp_session_name(fetch->session),
			error->message);
		fail(fetch, error->code == LSP_E_NOT_FOUND ? LSP_SWARM_MISSING : LSP_SWARM_BROKEN);
	} else {
		if (fetch->filling)
			queue_block(fetch);
		kick(fetch);
		if (!fetch->working && is_complete(fetch))
			complete(fetch);
	}
}

static const struct lsp_exchange_callbacks callbacks = {
	.response = response_came,
	.bytes = bytes_came,
	.done = answer_ended,
};

void lsp_fetch_start(
	struct lsp_session *session, struct lsp_share *share, const struct lsp_swarm_action *action)
{
	struct lsp_peer *peer = lsp_session_peer(session);
	struct lsp_stage *stage = lsp_share_stage(share);
	if (stage && action->count == 1 && lsp_session_gives_leaves(session) &&
		lsp_stage_may_fill(stage, action->first) && lsp_fill_start(session, share, action))
		return;
	struct lsp_fetch *fetch = stage ? calloc(1, sizeof *fetch) : NULL;
	if (!fetch) {
		lsp_swarm_failed(peer->swarm, action->request, LSP_SWARM_LOCAL, lsp_peer_now(peer));
		return;
	}
	fetch->peer = peer;
	fetch->session = session;
	fetch->share = lsp_share_ref(share);
	fetch->stage = lsp_stage_ref(stage);
	fetch->id = action->request;
	fetch->first = fetch->chunk = action->first;
	fetch->count = action->count;
	DL_APPEND(peer->fetches, fetch);
	struct lsp_request request = {.type = LSP_REQUEST_GET_CHUNKS};
	request.get_chunks.content = lsp_share_manifest(share)->content_id;
	request.get_chunks.first = action->first;
	request.get_chunks.count = action->count;
	request.get_chunks.insist = action->insist;
	request.get_chunks.gentle = lsp_guards_ask(peer->guards, session);
	struct lsp_error err = {0};
	if (lsp_exchange_start(lsp_session_connection(session), &request, &callbacks, fetch,
		    &fetch->exchange, &err) < 0) {
		lsp_log_debug("peer", "cannot ask %s: %s", lsp_session_name(session), err.message);
		fail(fetch, LSP_SWARM_BROKEN);
	}
}
