/*
 * Whom to ask for what.
 *
 * The peer comes first, then the chunk. Of the peers with room in their window the one that would
 * deliver soonest is asked (what is in flight there plus this one, over its measured rate, times a
 * little chance), for the rarest chunk that it has. Taking the chunk first would send every node to
 * the one holder of the rarest chunk at once; this way requests spread over all uplinks as evenly
 * as the peers are quick, and rare chunks still go first wherever they are.
 *
 * The window of a peer is twice what its line holds (rate × round trip, plus a little for its disk
 * and its queue); one request until it has delivered once, two at the least afterwards, so that one
 * can be served while the next one waits. Over all peers, LSP_SWARM_PARALLEL requests that make
 * progress are enough on a slow line; a fast one may have a tenth of a second's worth of bytes.
 */
#include "swarm/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PIPE_SLACK 0.040 /* seconds: the other's queue and disk */
#define PARALLEL_SECONDS 0.1
#define RATE_UNKNOWN 1e6 /* bytes a second, when nobody was measured yet */
#define FEW_USEFUL 64

static double peer_rate(const struct lsp_swarm *swarm, const struct peer *peer)
{
	double rate = peer->proven ? lsp_service_rate(&peer->service) : 0;
	if (!peer->proven)
		rate = swarm->mean_rate > 0 ? swarm->mean_rate : RATE_UNKNOWN;
	return fmax(rate, 100);
}

double peer_eta(const struct lsp_swarm *swarm, const struct peer *peer, uint64_t bytes)
{
	return (double)(peer->bytes_flying + bytes) / peer_rate(swarm, peer);
}

static uint64_t unit_size(const struct game *game)
{
	return game->bytes_total / game->units.set;
}

static bool has_room(const struct lsp_swarm *swarm, struct peer *peer, uint64_t unit)
{
	if (!peer->request_count)
		return true;
	if (peer->sluggish && swarm->request_count >= LSP_SWARM_PARALLEL_MAX)
		return false; /* what lies beyond that is one for each who is silent */
	if (!peer->proven || peer->request_count >= LSP_SWARM_PEER_REQUESTS_MAX)
		return false;
	double pipe = lsp_service_rate(&peer->service) * ((double)peer->rtt / 1e9 + PIPE_SLACK) * 2;
	uint64_t window =
		pipe < (double)LSP_SWARM_WINDOW_MAX ? (uint64_t)pipe : LSP_SWARM_WINDOW_MAX;
	peer->window = LSP_MAX(window, 2 * unit);
	return peer->bytes_flying + unit <= peer->window;
}

/* ---- Which chunk ----------------------------------------------------------------------------- */

static uint64_t word(const struct lsp_bitmap *map, size_t byte)
{
	uint64_t value = 0;
	size_t size = lsp_bitmap_bytes(map);
	if (byte < size)
		memcpy(&value, map->bytes + byte, LSP_MIN(size - byte, sizeof(value)));
	return value;
}

/* Few of what it has is of use: look at those, not at the order of everything. */
static uint32_t rarest_of_few(struct lsp_swarm *swarm, const struct source *source)
{
	const struct game *game = source->game;
	uint32_t best = UINT32_MAX, ties = 0;
	for (size_t byte = 0; byte < lsp_bitmap_bytes(&game->want); byte += 8) {
		if (!(word(&game->want, byte) & word(&source->have, byte)))
			continue;
		size_t end = LSP_MIN((byte + 8) * 8, (size_t)game->chunk_count);
		for (size_t i = byte * 8; i < end; i++) {
			if (!lsp_bitmap_get(&game->want, i) || !source_gives(source, i))
				continue;
			int order = best == UINT32_MAX
					    ? -1
					    : (int)game->holders[i] - (int)game->holders[best];
			if (order < 0)
				ties = 1;
			else if (order == 0)
				ties++;
			if (order < 0 || (order == 0 && !lsp_random_below(&swarm->random, ties)))
				best = (uint32_t)i;
		}
	}
	return best;
}

/* UINT32_MAX: it has nothing for us now. */
static uint32_t pick_chunk(struct lsp_swarm *swarm, struct source *source)
{
	struct game *game = source->game;
	if (source->hint != LSP_SWARM_NO_HINT) {
		uint32_t hint = source->hint;
		source->hint = LSP_SWARM_NO_HINT;
		if (lsp_bitmap_get(&game->want, hint) && source_gives(source, hint))
			return hint;
	}
	if (!source->all && source->useful <= FEW_USEFUL)
		return rarest_of_few(swarm, source);
	for (uint32_t i = 0; i < game->order.size; i++)
		if (source_gives(source, game->order.chunks[i]))
			return game->order.chunks[i];
	return UINT32_MAX;
}

/* ---- The request ----------------------------------------------------------------------------- */

/* Nobody else would give it: said with the request, so that it is not bounced for ever. */
static bool must_insist(const struct lsp_swarm *swarm, const struct source *source, uint32_t chunk)
{
	const struct game *game = source->game;
	if (!game->bounces[chunk])
		return false;
	if (game->bounces[chunk] >= BOUNCES_MAX)
		return true;
	for (uint32_t i = 0; i < game->source_count; i++) {
		const struct source *other = game->sources[i];
		if (other != source && source_would_give(swarm, other, chunk) &&
			!other->peer->sluggish)
			return false;
	}
	return true;
}

static bool joins(const struct source *source, uint32_t chunk)
{
	return lsp_bitmap_get(&source->game->want, chunk) && source_gives(source, chunk);
}

static void start_request(struct lsp_swarm *swarm, struct request *request)
{
	struct source *source = request->source;
	struct game *game = source->game;
	struct peer *peer = source->peer;
	for (uint32_t i = request->first; i < request->first + request->count; i++) {
		game_unwant_chunk(game, i);
		lsp_bitmap_set(&game->flying, i);
	}
	if (!peer->request_count)
		peer->progress = swarm->now;
	link_append(&game->requests, &request->in_game);
	link_append(&peer->requests, &request->in_peer);
	lsp_service_busy(&peer->service, swarm->now);
	peer->request_count++;
	peer->bytes_flying += request->bytes;
	game->request_count++;
	game->bytes_flying += request->bytes;
	game->served += request->bytes;
	swarm->request_count++;
	if (!peer->sluggish) {
		swarm->live_requests++;
		swarm->live_bytes += request->bytes;
	}
	double wire = (double)request->bytes * swarm->limits.overhead;
	lsp_bucket_take(&swarm->down, wire);
	lsp_bucket_take(&game->down, wire);
	lsp_bucket_take(&peer->guard_down, wire);
}

bool fetch_ask(struct lsp_swarm *swarm, struct source *source, uint32_t chunk)
{
	struct game *game = source->game;
	uint32_t first = chunk, end = chunk + 1;
	while (!lsp_bitmap_get(&game->units, first) && joins(source, first - 1))
		first--;
	while (end < game->chunk_count && !lsp_bitmap_get(&game->units, end) && joins(source, end))
		end++;
	/* Room for this action, and for ending all that is under way. */
	if (!actions_reserve(swarm, swarm->request_count + swarm->upload_count + 8))
		return false;
	struct request *request = calloc(1, sizeof(*request));
	if (!request || table_add(&swarm->requests, request, &request->id, NULL) < 0) {
		free(request);
		return false;
	}
	request->source = source;
	request->first = first;
	request->count = request->left = end - first;
	request->bytes = game_run_bytes(game, first, request->count);
	request->asked = request->progress = swarm->now;
	bool insist = must_insist(swarm, source, chunk);
	start_request(swarm, request);
	struct lsp_swarm_action *action =
		actions_push(swarm, LSP_SWARM_REQUEST, game, source->peer);
	action->request = request->id;
	action->first = first;
	action->count = request->count;
	action->bytes = request->bytes;
	action->insist = insist;
	return true;
}

/* ---- Which source ---------------------------------------------------------------------------- */

static void wait_for(struct lsp_swarm *swarm, struct lsp_bucket *bucket)
{
	swarm->tokens_at = LSP_MIN(swarm->tokens_at, lsp_bucket_when(bucket, 1, swarm->now));
}

static bool bucket_open(struct lsp_swarm *swarm, struct lsp_bucket *bucket)
{
	if (lsp_bucket_tokens(bucket, swarm->now) >= 1)
		return true;
	wait_for(swarm, bucket);
	return false;
}

static bool can_ask(const struct lsp_swarm *swarm, const struct source *source)
{
	return !source->dropped && source->useful && !source->resting &&
	       source->probation_end <= swarm->now && source->peer->backoff_end <= swarm->now;
}

/* The one that delivers soonest; *ret_soonest is the same among all, room or not. */
static struct source *pick_source(struct lsp_swarm *swarm, struct game *game, double *ret_soonest)
{
	uint64_t unit = unit_size(game);
	struct source *best = NULL;
	double best_score = INFINITY;
	*ret_soonest = INFINITY;
	for (uint32_t i = 0; i < game->source_count; i++) {
		struct source *source = game->sources[i];
		if (!can_ask(swarm, source))
			continue;
		double eta = peer_eta(swarm, source->peer, unit);
		*ret_soonest = fmin(*ret_soonest, eta);
		double score = eta * (0.75 + 0.5 * lsp_random_unit(&swarm->random));
		if (score >= best_score || !has_room(swarm, source->peer, unit) ||
			!bucket_open(swarm, &source->peer->guard_down))
			continue;
		best = source;
		best_score = score;
	}
	return best;
}

/* Near the end a slow peer would hold everybody up: better a place in a fast one's queue. */
static bool too_slow(
	const struct lsp_swarm *swarm, const struct source *source, uint32_t chunk, double soonest)
{
	const struct game *game = source->game;
	if (game->holders[chunk] + game->all_count < 2)
		return false;
	double rate = lsp_meter_rate(&game->rate, swarm->now);
	double rest = (double)(game->bytes_wanted + game->bytes_flying) / fmax(rate, 1000);
	return peer_eta(swarm, source->peer, game->sizes[chunk]) > soonest + rest + 0.05;
}

/* One request for this game. */
static bool ask_one(struct lsp_swarm *swarm, struct game *game)
{
	for (;;) {
		double soonest;
		struct source *source = pick_source(swarm, game, &soonest);
		if (!source)
			return false;
		uint32_t chunk = pick_chunk(swarm, source);
		if (chunk != UINT32_MAX && !too_slow(swarm, source, chunk, soonest))
			return fetch_ask(swarm, source, chunk);
		source->resting = true;
	}
}

/* ---- The round ------------------------------------------------------------------------------- */

/* As many requests as there may be, those that wait for a silent peer only in the total. */
static bool is_full(const struct lsp_swarm *swarm)
{
	return swarm->live_requests >= LSP_SWARM_PARALLEL_MAX ||
	       swarm->request_count >= LSP_SWARM_REQUESTS_MAX;
}

/* What is in flight at peers that deliver, against what may be. */
static bool enough_in_flight(const struct lsp_swarm *swarm)
{
	if (is_full(swarm) || swarm->verifying >= VERIFYING_MAX)
		return true;
	return swarm->live_requests >= LSP_SWARM_PARALLEL &&
	       (double)swarm->live_bytes >=
		       lsp_meter_rate(&swarm->rate, swarm->now) * PARALLEL_SECONDS;
}

bool fetch_wants(const struct game *game)
{
	return game->wanted && game->want.set && game->state != LSP_SWARM_FAILED;
}

/* The game that got least; one that could not use its turn does not save it up. */
static struct game *next_game(struct lsp_swarm *swarm)
{
	struct game *best = NULL;
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		struct game *game = table_at(&swarm->games, i);
		if (!game || game->dry || !fetch_wants(game))
			continue;
		if (!best || game->served < best->served)
			best = game;
	}
	return best;
}

static void forgive_debt(struct lsp_swarm *swarm, uint64_t served)
{
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		struct game *game = table_at(&swarm->games, i);
		if (game && game->dry && served > LSP_SWARM_WINDOW_MAX / 8)
			game->served = LSP_MAX(game->served, served - LSP_SWARM_WINDOW_MAX / 8);
	}
}

/*
 * Chunks that only complete holders have are what the swarm lives on, and such a holder answers
 * slowly just because everybody asks it: measured alone it would be passed over and stand idle. So
 * each always has one request of ours, whatever else is in flight.
 */
static void ask_seeders(struct lsp_swarm *swarm, struct game *game)
{
	if (!game->seeders_due)
		return;
	game->seeders_due = false;
	if (!game->all_count || game->all_count == game->source_count || !game->order.size ||
		game->holders[game->order.chunks[0]])
		return;
	for (uint32_t i = 0; i < game->source_count && !is_full(swarm); i++) {
		struct source *source = game->sources[i];
		if (!source->all || source->peer->request_count || !can_ask(swarm, source) ||
			!bucket_open(swarm, &source->peer->guard_down))
			continue;
		uint32_t chunk = pick_chunk(swarm, source);
		if (chunk == UINT32_MAX)
			source->resting = true;
		else if (!fetch_ask(swarm, source, chunk))
			return;
	}
}

void fetch_run(struct lsp_swarm *swarm)
{
	struct game *game;
	swarm->tokens_at = LSP_TIME_NEVER;
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		if (!(game = table_at(&swarm->games, i)))
			continue;
		game->dry = game->starved = false;
		if (fetch_wants(game) && !is_full(swarm) && bucket_open(swarm, &swarm->down) &&
			bucket_open(swarm, &game->down))
			ask_seeders(swarm, game);
	}
	while (!enough_in_flight(swarm) && (game = next_game(swarm))) {
		if (!bucket_open(swarm, &swarm->down))
			return;
		bool open = bucket_open(swarm, &game->down);
		if (open && ask_one(swarm, game)) {
			forgive_debt(swarm, game->served);
		} else {
			game->dry = true;
			game->starved = open;
		}
	}
}
