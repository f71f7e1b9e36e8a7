/*
 * What does not go as it should, looked at every 25 ms: peers that give nothing, chunks that wait
 * at a slow peer when nothing else is left to ask for, and downloads that cannot end.
 *
 * A peer that gives no byte is blamed for nothing: its requests are taken back and it rests, twice
 * as long each time, then gets one request to show itself. So a stopped laptop, a full queue and a
 * staller are treated alike, and only the last one stays at the bottom. The same goes for one that
 * trickles, as soon as somebody else has the chunk.
 *
 * The end: when nothing is left to ask for, a chunk that waits at a slow peer is taken from it and
 * given to one that would be done in a third of the time. It is moved, never asked for twice.
 */
#include "swarm/internal.h"

#include <math.h>

#define MOVE_FACTOR 3.0
#define MOVE_SLACK 0.25 /* seconds */
#define CHECK_FAILED (250 * LSP_MILLISECOND)

void peer_sluggish(struct lsp_swarm *swarm, struct peer *peer, bool sluggish)
{
	if (sluggish == peer->sluggish || (peer->slow && !sluggish))
		return;
	peer->sluggish = sluggish;
	swarm->live_requests += sluggish ? -peer->request_count : peer->request_count;
	swarm->live_bytes += sluggish ? -peer->bytes_flying : peer->bytes_flying;
}

void peer_backoff(struct lsp_swarm *swarm, struct peer *peer)
{
	peer->backoff_end = swarm->now + peer->retry_after;
	peer->retry_after = LSP_MIN(peer->retry_after * 2, BACKOFF_MAX);
	peer->proven = false;
	link_each(&peer->requests, link) request_end(
		swarm, lsp_container_of(link, struct request, in_peer), REQUEST_NOBODY, true);
	peer->service = (struct lsp_service){0};
	peer->slow = false;
}

static bool others_give(const struct lsp_swarm *swarm, const struct request *request)
{
	const struct game *game = request->source->game;
	for (uint32_t i = 0; i < game->source_count; i++) {
		const struct source *other = game->sources[i];
		if (other != request->source && source_would_give(swarm, other, request->first))
			return true;
	}
	return false;
}

static bool trickles(const struct lsp_swarm *swarm, const struct peer *peer)
{
	if (peer->requests.next == &peer->requests)
		return false;
	const struct request *oldest =
		lsp_container_of(peer->requests.next, struct request, in_peer);
	return swarm->now - oldest->asked > TRICKLE_AFTER && oldest->received &&
	       lsp_service_rate(&peer->service) < TRICKLE_RATE && others_give(swarm, oldest);
}

/* With bytes under way, four seconds of nothing are a stall; a queue may take longer. */
static uint64_t patience(const struct peer *peer)
{
	const struct request *oldest =
		lsp_container_of(peer->requests.next, struct request, in_peer);
	return (oldest->received ? STALL_STARTED : STALL_WAITING) + 4 * peer->rtt;
}

/*
 * So little of all that comes that a place among those that make progress is wasted on it: else as
 * many as have all the places, each giving a drop in time, would keep everybody else from being
 * asked.
 */
static bool gives_next_to_nothing(const struct lsp_swarm *swarm, const struct peer *peer)
{
	double since = (double)(SLOW_AFTER + 2 * peer->rtt) / 1e9;
	return !peer->proven && peer->service.seconds > since &&
	       lsp_service_rate(&peer->service) <
		       lsp_meter_rate(&swarm->rate, swarm->now) / SLUGGISH_PART;
}

static void watch_peer(struct lsp_swarm *swarm, struct peer *peer)
{
	if (!peer->request_count)
		return;
	lsp_service_add(&peer->service, 0, swarm->now);
	uint64_t quiet = swarm->now - LSP_MIN(peer->progress, swarm->now);
	peer->slow = gives_next_to_nothing(swarm, peer);
	bool sluggish = peer->slow || quiet > SLUGGISH + 2 * peer->rtt;
	if (quiet > patience(peer) || trickles(swarm, peer)) {
		peer_backoff(swarm, peer);
	} else if (sluggish && !peer->sluggish) {
		peer_sluggish(swarm, peer, true);
		swarm->fetch_due = true;
	}
}

/* ---- The end of a download ------------------------------------------------------------------- */

static struct source *faster(struct lsp_swarm *swarm, const struct request *request)
{
	const struct game *game = request->source->game;
	struct peer *slow = request->source->peer;
	double quiet = (double)(swarm->now - LSP_MIN(slow->progress, swarm->now)) / 1e9;
	double left = (double)(request->bytes - request->received) /
		      fmax(lsp_service_rate(&slow->service), 100);
	/* Nothing came at all: it will take as long again, at the least. */
	if (!request->received)
		left = fmax(peer_eta(swarm, slow, 0), 2 * quiet);
	struct source *best = NULL;
	double best_eta = (left - MOVE_SLACK) / MOVE_FACTOR;
	for (uint32_t i = 0; i < game->source_count; i++) {
		struct source *other = game->sources[i];
		struct peer *peer = other->peer;
		if (other == request->source || peer->sluggish || peer->request_count > 1 ||
			!peer->proven || !source_would_give(swarm, other, request->first))
			continue;
		double eta = peer_eta(swarm, peer, request->bytes);
		if (eta < best_eta) {
			best = other;
			best_eta = eta;
		}
	}
	return best;
}

/* One move a round is enough: the next one sees what this one did. */
static void move_one(struct lsp_swarm *swarm, struct game *game)
{
	link_each(&game->requests, link)
	{
		struct request *request = lsp_container_of(link, struct request, in_game);
		if (request->arrived)
			continue;
		struct source *to = faster(swarm, request);
		if (!to)
			continue;
		uint32_t chunk = request->first;
		request_end(swarm, request, REQUEST_NOBODY, true);
		if (lsp_bitmap_get(&game->want, chunk))
			(void)fetch_ask(swarm, to, chunk);
		return;
	}
}

/* ---- A download that cannot end -------------------------------------------------------------- */

/* The chunk has holders, and none of them is left to try. */
static bool is_hopeless(const struct game *game, uint32_t chunk)
{
	bool held = false;
	for (uint32_t i = 0; i < game->source_count; i++) {
		const struct source *source = game->sources[i];
		if (!source_has(source, chunk))
			continue;
		held = true;
		if (!source->dropped && (!source->tries || source->tries[chunk] < LSP_SWARM_TRIES))
			return false;
	}
	return held;
}

static void check_failed(struct lsp_swarm *swarm, struct game *game)
{
	if (swarm->now < game->check_failed || game->state != LSP_SWARM_FETCHING)
		return;
	game->check_failed = swarm->now + CHECK_FAILED;
	for (uint32_t i = 0; i < game->order.size; i++) {
		uint32_t chunk = game->order.chunks[i];
		if (!is_hopeless(game, chunk))
			continue;
		game->failed_chunk = chunk;
		game_enter_state(swarm, game, LSP_SWARM_FAILED);
		return;
	}
}

static void watch_game(struct lsp_swarm *swarm, struct game *game)
{
	/* Who is only held back by a limit has no reason to ask again so soon. */
	bool idle = !game->request_count && game->starved;
	uint64_t bounce_life = idle ? BOUNCE_IDLE : BOUNCE_LIFE;
	for (uint32_t i = 0; i < game->source_count; i++) {
		struct source *source = game->sources[i];
		source->resting = false;
		if (source->bounced.set && source->bounced_at + bounce_life <= swarm->now)
			lsp_bitmap_done(&source->bounced);
	}
	game->seeders_due = true;
	if (!game->wanted)
		return;
	if (!game->want.set && game->request_count)
		move_one(swarm, game);
	if (game->want.set && !game->request_count)
		check_failed(swarm, game);
}

/* ---- Sleep ----------------------------------------------------------------------------------- */

static bool gives_anything(const struct source *source)
{
	const struct game *game = source->game;
	for (uint32_t i = 0; i < game->order.size; i++)
		if (source_gives(source, game->order.chunks[i]))
			return true;
	return false;
}

/* Of what is asked for in vain now: when does its time come? */
static lsp_time source_wakes(const struct lsp_swarm *swarm, const struct source *source)
{
	lsp_time rest = LSP_MAX(source->probation_end, source->peer->backoff_end);
	if (source->dropped || !source->useful)
		return LSP_TIME_NEVER;
	if (rest > swarm->now)
		return rest;
	return source->bounced.set || gives_anything(source) ? swarm->now : LSP_TIME_NEVER;
}

lsp_time fetch_wakes(const struct lsp_swarm *swarm)
{
	lsp_time wakes = LSP_TIME_NEVER;
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		const struct game *game = table_at(&swarm->games, i);
		/* Whom nobody keeps waiting waits for a limit: that is `tokens_at`. */
		if (!game || !fetch_wants(game) || !game->starved)
			continue;
		for (uint32_t s = 0; s < game->source_count && wakes > swarm->now; s++)
			wakes = LSP_MIN(wakes, source_wakes(swarm, game->sources[s]));
	}
	return wakes;
}

static void measure_mean(struct lsp_swarm *swarm)
{
	double sum = 0;
	uint32_t count = 0;
	for (uint32_t i = 0; i < swarm->peers.size; i++) {
		const struct peer *peer = table_at(&swarm->peers, i);
		if (!peer || !peer->proven)
			continue;
		sum += lsp_service_rate(&peer->service);
		count++;
	}
	swarm->mean_rate = count ? sum / count : 0;
}

void fetch_watch(struct lsp_swarm *swarm)
{
	for (uint32_t i = 0; i < swarm->peers.size; i++) {
		struct peer *peer = table_at(&swarm->peers, i);
		if (peer)
			watch_peer(swarm, peer);
	}
	measure_mean(swarm);
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		struct game *game = table_at(&swarm->games, i);
		if (game)
			watch_game(swarm, game);
	}
	swarm->fetch_due = true;
}
