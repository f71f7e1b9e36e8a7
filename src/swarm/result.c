/* What became of our requests. Every way out of a request is request_end. */
#include "swarm/internal.h"

#include <stdlib.h>

#define BUSY_REST (150 * LSP_MILLISECOND)
#define PAUSED_REST (2 * LSP_SECOND)

static bool is_done(const struct request *request, uint32_t index)
{
	return request->done[index / 64] >> (index % 64) & 1;
}

/* The bytes that were still to come will not, or all came. */
static void leave_line(struct lsp_swarm *swarm, struct request *request)
{
	struct peer *peer = request->source->peer;
	struct game *game = request->source->game;
	uint64_t rest = request->bytes - request->received;
	if (request->arrived)
		return;
	request->arrived = true;
	peer->bytes_flying -= rest;
	game->bytes_flying -= rest;
	peer->request_count--;
	swarm->request_count--;
	if (!peer->sluggish) {
		swarm->live_requests--;
		swarm->live_bytes -= rest;
	}
	swarm->verifying++;
	link_remove(&request->in_peer);
	if (!peer->request_count)
		lsp_service_idle(&peer->service, swarm->now);
}

static void count_try(struct source *source, uint32_t chunk)
{
	if (!source->tries)
		source->tries = calloc(source->game->chunk_count, 1);
	if (source->tries && source->tries[chunk] < LSP_SWARM_TRIES)
		source->tries[chunk]++;
}

/* What was charged to the limits and will not come. Of what we cancel some is on its way. */
static void refund(struct lsp_swarm *swarm, const struct request *request)
{
	double wire = (double)(request->bytes - request->received) * swarm->limits.overhead;
	lsp_bucket_take(&swarm->down, -wire);
	lsp_bucket_take(&request->source->game->down, -wire);
	lsp_bucket_take(&request->source->peer->guard_down, -wire);
}

void request_end(
	struct lsp_swarm *swarm, struct request *request, enum request_end how, bool cancel)
{
	struct source *source = request->source;
	struct game *game = source->game;
	uint64_t kept = 0;
	if (!cancel)
		refund(swarm, request);
	leave_line(swarm, request);
	for (uint32_t i = 0; i < request->count; i++) {
		uint32_t chunk = request->first + i;
		if (is_done(request, i)) {
			kept += game->sizes[chunk];
			continue;
		}
		lsp_bitmap_clear(&game->flying, chunk);
		game_want_chunk(game, chunk);
		if (how == REQUEST_TRY)
			count_try(source, chunk);
	}
	if (request->received > kept)
		game->bytes_wasted += request->received - kept;
	if (cancel && !actions_take_back(swarm, request->id)) {
		struct lsp_swarm_action *action =
			actions_push(swarm, LSP_SWARM_CANCEL, game, source->peer);
		if (action)
			action->request = request->id;
	} else if (!cancel) {
		actions_take_back(swarm, request->id);
	}
	swarm->verifying--;
	game->request_count--;
	link_remove(&request->in_game);
	table_remove(&swarm->requests, request->id);
	free(request);
	source->resting = false;
	game->seeders_due = true;
	swarm->fetch_due = true;
}

void lsp_swarm_received(struct lsp_swarm *swarm, lsp_swarm_id id, uint64_t bytes, lsp_time now)
{
	swarm_clock(swarm, now);
	struct request *request = table_get(&swarm->requests, id);
	if (!request || request->arrived || !bytes)
		return;
	struct source *source = request->source;
	struct peer *peer = source->peer;
	struct game *game = source->game;
	bytes = LSP_MIN(bytes, request->bytes - request->received);
	lsp_service_add(&peer->service, bytes, swarm->now);
	lsp_meter_add(&swarm->rate, bytes, swarm->now);
	lsp_meter_add(&game->rate, bytes, swarm->now);
	game->bytes_received += bytes;
	source->bytes_received += bytes;
	request->received += bytes;
	peer_sluggish(swarm, peer, false);
	peer->bytes_flying -= bytes;
	game->bytes_flying -= bytes;
	if (!peer->sluggish)
		swarm->live_bytes -= bytes;
	request->progress = peer->progress = game->progress = swarm->now;
	if (request->received == request->bytes) {
		leave_line(swarm, request);
		game->seeders_due = true;
		peer->proven = true;
	}
	swarm->fetch_due = true;
}

static void trust(struct lsp_swarm *swarm, struct peer *peer)
{
	peer->delivered = true;
	swarm->suspect_count -= peer->suspect;
	peer->suspect = false;
}

void lsp_swarm_verified(struct lsp_swarm *swarm, lsp_swarm_id id, uint32_t chunk, lsp_time now)
{
	swarm_clock(swarm, now);
	struct request *request = table_get(&swarm->requests, id);
	if (!request || chunk < request->first || chunk - request->first >= request->count ||
		is_done(request, chunk - request->first))
		return;
	struct game *game = request->source->game;
	struct peer *peer = request->source->peer;
	uint32_t index = chunk - request->first;
	request->done[index / 64] |= UINT64_C(1) << (index % 64);
	lsp_bitmap_clear(&game->flying, chunk);
	lsp_bitmap_set(&game->have, chunk);
	game->bytes_have += game->sizes[chunk];
	game->bounces[chunk] = 0;
	if (!game->news.set)
		game->news_due = LSP_MAX(game->news_due, swarm->now);
	lsp_bitmap_set(&game->news, chunk);
	upload_chunk_changed(game, chunk);
	peer->retry_after = BACKOFF_FIRST;
	peer->failures = 0;
	trust(swarm, peer);
	request->left--;
	if (!request->left) {
		/* Of an update less comes than was asked for. */
		peer->proven |= request->received > 0;
		request_end(swarm, request, REQUEST_NOBODY, false);
	}
	game_state(swarm, game);
	swarm->fetch_due = true;
}

void lsp_swarm_rejected(struct lsp_swarm *swarm, lsp_swarm_id id, uint32_t chunk, lsp_time now)
{
	swarm_clock(swarm, now);
	struct request *request = table_get(&swarm->requests, id);
	if (!request)
		return;
	struct source *source = request->source;
	request_end(swarm, request, REQUEST_TRY, true);
	source_drop(swarm, source, chunk);
}

/*
 * Those that break off and never gave us a chunk: the more of them there are, the less is any of
 * them likely to be honest on a bad line, and together they would cost as much as they are.
 */
static uint64_t rest_of_a_suspect(struct lsp_swarm *swarm, struct peer *peer)
{
	if (peer->delivered)
		return 0;
	swarm->suspect_count += !peer->suspect;
	peer->suspect = true;
	return FAILURE_REST * (swarm->suspect_count - 1) << LSP_MIN(peer->failures - 1, 9u);
}

/* One that fails now and then is only tried elsewhere; one that does nothing else gets less and
 * less. */
static void rest_after_failure(
	struct lsp_swarm *swarm, struct peer *peer, enum lsp_swarm_failure failure)
{
	uint64_t rest = 0;
	if (++peer->failures > FAILURES_FREE)
		rest = FAILURE_REST << LSP_MIN(peer->failures - FAILURES_FREE, 9u);
	if (failure == LSP_SWARM_BROKEN)
		rest = LSP_MAX(rest, rest_of_a_suspect(swarm, peer));
	rest = LSP_MIN(rest, BACKOFF_MAX);
	peer->backoff_end = LSP_MAX(peer->backoff_end, swarm->now + rest);
}

void lsp_swarm_failed(
	struct lsp_swarm *swarm, lsp_swarm_id id, enum lsp_swarm_failure failure, lsp_time now)
{
	swarm_clock(swarm, now);
	struct request *request = table_get(&swarm->requests, id);
	if (!request)
		return;
	struct source *source = request->source;
	uint32_t lacking = request->first;
	while (lacking < request->first + request->count - 1 &&
		is_done(request, lacking - request->first))
		lacking++;
	request_end(
		swarm, request, failure == LSP_SWARM_BROKEN ? REQUEST_TRY : REQUEST_NOBODY, false);
	if (failure == LSP_SWARM_MISSING)
		source_lost_chunk(swarm, source, lacking);
	if (failure != LSP_SWARM_LOCAL)
		rest_after_failure(swarm, source->peer, failure);
	else
		source->peer->backoff_end =
			LSP_MAX(source->peer->backoff_end, swarm->now + BACKOFF_FIRST);
}

void lsp_swarm_bounced(struct lsp_swarm *swarm, lsp_swarm_id id, enum lsp_swarm_bounce reason,
	uint32_t hint, lsp_time now)
{
	swarm_clock(swarm, now);
	struct request *request = table_get(&swarm->requests, id);
	if (!request)
		return;
	struct source *source = request->source;
	struct game *game = source->game;
	struct peer *peer = source->peer;
	peer->progress = swarm->now;
	peer_sluggish(swarm, peer, false);
	if (reason == LSP_SWARM_ELSEWHERE) {
		if (!source->bounced.bits &&
			lsp_bitmap_init(&source->bounced, game->chunk_count, NULL) < 0)
			peer->backoff_end = swarm->now + BUSY_REST;
		source->bounced_at = swarm->now;
		for (uint32_t i = 0; i < request->count && source->bounced.bits; i++) {
			uint32_t chunk = request->first + i;
			lsp_bitmap_set(&source->bounced, chunk);
			game->bounces[chunk] = LSP_MIN(game->bounces[chunk] + 1, 255);
		}
		source->hint = hint < game->chunk_count ? hint : LSP_SWARM_NO_HINT;
	} else {
		uint64_t rest = reason == LSP_SWARM_BUSY ? BUSY_REST : PAUSED_REST;
		peer->backoff_end = LSP_MAX(peer->backoff_end, swarm->now + rest);
	}
	request_end(swarm, request, REQUEST_NOBODY, false);
}
