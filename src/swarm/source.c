/* Who announced what: the sources of a game, their chunks, and who lied. */
#include "swarm/internal.h"

#include <stdlib.h>
#include <string.h>

struct source *source_find(const struct game *game, const struct peer *peer)
{
	for (struct source *at = peer->sources; at; at = at->next)
		if (at->game == game)
			return at;
	return NULL;
}

bool source_gives(const struct source *source, uint32_t chunk)
{
	return source_has(source, chunk) && !source->dropped &&
	       !lsp_bitmap_get(&source->bounced, chunk) &&
	       (!source->tries || source->tries[chunk] < LSP_SWARM_TRIES);
}

bool source_would_give(const struct lsp_swarm *swarm, const struct source *source, uint32_t chunk)
{
	return source_gives(source, chunk) && source->probation_end <= swarm->now &&
	       source->peer->backoff_end <= swarm->now;
}

/* ---- The record of liars: a ring, the oldest forgotten --------------------------------------- */

static struct liar *liar_find(const struct lsp_swarm *swarm, uint64_t key)
{
	for (uint32_t i = 0; i < swarm->liar_count; i++)
		if (swarm->liars[i].key == key)
			return (struct liar *)&swarm->liars[i];
	return NULL;
}

uint32_t liar_count(const struct lsp_swarm *swarm, uint64_t key)
{
	const struct liar *liar = liar_find(swarm, key);
	return liar ? liar->rejected : 0;
}

void liar_note(struct lsp_swarm *swarm, uint64_t key)
{
	struct liar *liar = liar_find(swarm, key);
	if (!liar) {
		liar = &swarm->liars[swarm->liar_next];
		swarm->liar_next = (swarm->liar_next + 1) % LIARS_MAX;
		swarm->liar_count = LSP_MIN(swarm->liar_count + 1, (uint32_t)LIARS_MAX);
		*liar = (struct liar){.key = key};
	}
	liar->rejected++;
}

/* ---- Chunks of a source ---------------------------------------------------------------------- */

/* One more or fewer partial source holds it. */
static void holders_change(struct game *game, uint32_t chunk, bool up)
{
	if (up)
		lsp_order_up(&game->order, chunk);
	else
		lsp_order_down(&game->order, chunk);
	upload_chunk_changed(game, chunk);
}

static bool gain_chunk(struct source *source, uint32_t chunk)
{
	struct game *game = source->game;
	if (source->all || !lsp_bitmap_set(&source->have, chunk))
		return false;
	holders_change(game, chunk, true);
	source->bytes_announced += game->sizes[chunk];
	source->resting = false;
	source->useful += lsp_bitmap_get(&game->want, chunk);
	return true;
}

static bool lose_chunk(struct source *source, uint32_t chunk)
{
	struct game *game = source->game;
	if (source->all || !lsp_bitmap_clear(&source->have, chunk))
		return false;
	holders_change(game, chunk, false);
	source->bytes_announced -= game->sizes[chunk];
	source->useful -= lsp_bitmap_get(&game->want, chunk);
	return true;
}

/* From "all of it" to a map of all of it, so that single chunks can go. */
static int make_partial(struct source *source, struct lsp_error *err)
{
	struct game *game = source->game;
	int status = lsp_bitmap_init(&source->have, game->chunk_count, err);
	if (status < 0)
		return status;
	source->all = false;
	source->useful = 0;
	game->all_count--;
	for (uint32_t i = 0; i < game->chunk_count; i++)
		gain_chunk(source, i);
	return 0;
}

static void forget_chunks(struct source *source)
{
	struct game *game = source->game;
	if (source->all)
		game->all_count--;
	else
		for (size_t i = 0; (i = lsp_bitmap_next_set(&source->have, i)) < source->have.bits;
			i++)
			lose_chunk(source, i);
	source->all = false;
	source->useful = 0;
	lsp_bitmap_done(&source->have);
}

void source_lost_chunk(struct lsp_swarm *swarm, struct source *source, uint32_t chunk)
{
	if (source->all && make_partial(source, NULL) < 0) {
		/* No memory for the map: as good as a chunk that was tried in vain. */
		if (source->tries)
			source->tries[chunk] = LSP_SWARM_TRIES;
		return;
	}
	lose_chunk(source, chunk);
	greed_settle(swarm, source);
	swarm->fetch_due = true;
}

/* ---- Announcements --------------------------------------------------------------------------- */

static struct source *source_new(struct lsp_swarm *swarm, struct game *game, struct peer *peer)
{
	if (game->source_count == game->source_capacity) {
		uint32_t capacity = game->source_capacity ? game->source_capacity * 2 : 8;
		struct source **sources = realloc(game->sources, capacity * sizeof(*sources));
		if (!sources)
			return NULL;
		game->sources = sources;
		game->source_capacity = capacity;
	}
	if (lsp_order_reserve(&game->order, game->source_count + 1, NULL) < 0)
		return NULL;
	struct source *source = calloc(1, sizeof(*source));
	if (!source)
		return NULL;
	source->peer = peer;
	source->game = game;
	source->hint = LSP_SWARM_NO_HINT;
	source->rejected = liar_count(swarm, peer->key);
	source->dropped = source->rejected > 0; /* it did not get better by going away */
	source->index = game->source_count;
	game->sources[game->source_count++] = source;
	source->next = peer->sources;
	peer->sources = source;
	greed_open(swarm, source);
	return source;
}

void source_free(struct lsp_swarm *swarm, struct source *source)
{
	struct game *game = source->game;
	struct peer *peer = source->peer;
	link_each(&game->requests, link)
	{
		struct request *request = lsp_container_of(link, struct request, in_game);
		if (request->source == source)
			request_end(swarm, request, REQUEST_NOBODY, false);
	}
	forget_chunks(source);
	game->sources[source->index] = game->sources[--game->source_count];
	game->sources[source->index]->index = source->index;
	for (struct source **at = &peer->sources; *at; at = &(*at)->next)
		if (*at == source) {
			*at = source->next;
			break;
		}
	lsp_bitmap_done(&source->bounced);
	free(source->tries);
	free(source);
	game_state(swarm, game);
}

static void lift(struct lsp_swarm *swarm, struct source *source)
{
	struct game *game = source->game;
	/* The first bad chunk is forgiven at once (a flipped bit) to one that gave good ones; who
	 * goes on waits ever longer. */
	uint32_t bad = source->rejected + !source->peer->delivered;
	if (source->dropped && bad > 1)
		source->probation_end = swarm->now + (PROBATION_FIRST << LSP_MIN(bad - 2, 8u));
	source->dropped = false;
	game->seeders_due = true;
	free(source->tries);
	source->tries = NULL;
	lsp_bitmap_done(&source->bounced);
	source->resting = false;
	if (game->state == LSP_SWARM_FAILED)
		game->state = LSP_SWARM_IDLE; /* game_state says what it is now */
	game_state(swarm, game);
	swarm->fetch_due = true;
}

static int announce(struct lsp_swarm *swarm, lsp_swarm_id peer_id, lsp_swarm_id game_id,
	const struct lsp_bitmap *have, struct lsp_error *err)
{
	struct peer *peer = table_get(&swarm->peers, peer_id);
	struct game *game = table_get(&swarm->games, game_id);
	if (!peer || !game)
		return lsp_error_set(err, "swarm", LSP_E_NOT_FOUND, "no such peer or game");
	if (have && have->bits != game->chunk_count)
		return lsp_error_set(err, "swarm", LSP_E_PROTOCOL,
			"a map of %zu chunks for a game of %u", have->bits, game->chunk_count);
	_cleanup_bitmap_ struct lsp_bitmap map = {0};
	bool all = !have || lsp_bitmap_full(have);
	if (!all && lsp_bitmap_init(&map, game->chunk_count, NULL) < 0)
		return lsp_error_no_memory(err, "swarm");
	struct source *source = source_find(game, peer);
	if (!source && !(source = source_new(swarm, game, peer)))
		return lsp_error_no_memory(err, "swarm");
	forget_chunks(source);
	source->all = all;
	if (all) {
		game->all_count++;
		source->useful = game->want.set;
	} else {
		source->have = map;
		map = (struct lsp_bitmap){0};
		for (size_t i = 0; (i = lsp_bitmap_next_set(have, i)) < have->bits; i++)
			gain_chunk(source, i);
	}
	greed_settle(swarm, source);
	lift(swarm, source);
	swarm->upload_due = true;
	return 0;
}

int lsp_swarm_peer_has_all(
	struct lsp_swarm *swarm, lsp_swarm_id peer, lsp_swarm_id game, struct lsp_error *err)
{
	return announce(swarm, peer, game, NULL, err);
}

int lsp_swarm_peer_has(struct lsp_swarm *swarm, lsp_swarm_id peer, lsp_swarm_id game,
	const struct lsp_bitmap *have, struct lsp_error *err)
{
	return announce(swarm, peer, game, have, err);
}

/* The source of an update of a run of chunks; NULL with *ret_status set when it makes no sense. */
static struct source *updated(struct lsp_swarm *swarm, lsp_swarm_id peer_id, lsp_swarm_id game_id,
	uint32_t first, uint32_t count, int *ret_status, struct lsp_error *err)
{
	struct peer *peer = table_get(&swarm->peers, peer_id);
	struct game *game = table_get(&swarm->games, game_id);
	struct source *source = peer && game ? source_find(game, peer) : NULL;
	if (!source)
		*ret_status = lsp_error_set(err, "swarm", LSP_E_NOT_FOUND,
			"an update on a game that this peer did not announce");
	else if (first >= game->chunk_count || !count || count > game->chunk_count - first)
		*ret_status = lsp_error_set(err, "swarm", LSP_E_PROTOCOL,
			"chunks %u + %u of a game of %u", first, count, game->chunk_count);
	else
		return source;
	return NULL;
}

int lsp_swarm_peer_gained(struct lsp_swarm *swarm, lsp_swarm_id peer, lsp_swarm_id game,
	uint32_t first, uint32_t count, struct lsp_error *err)
{
	int status = 0;
	struct source *source = updated(swarm, peer, game, first, count, &status, err);
	if (!source)
		return status;
	bool revived = false;
	for (uint32_t i = first; i < first + count; i++) {
		gain_chunk(source, i);
		if (source->tries && source->tries[i] >= LSP_SWARM_TRIES) {
			source->tries[i] = 0;
			revived = true;
		}
	}
	greed_settle(swarm, source);
	if (source->game->state == LSP_SWARM_FAILED && !source->dropped) {
		source->game->state = LSP_SWARM_IDLE;
		revived = true;
	}
	if (revived)
		game_state(swarm, source->game);
	swarm->fetch_due = true;
	return 0;
}

int lsp_swarm_peer_lost(struct lsp_swarm *swarm, lsp_swarm_id peer, lsp_swarm_id game,
	uint32_t first, uint32_t count, struct lsp_error *err)
{
	int status = 0;
	struct source *source = updated(swarm, peer, game, first, count, &status, err);
	if (!source)
		return status;
	if (source->all && (status = make_partial(source, err)) < 0)
		return status;
	for (uint32_t i = first; i < first + count; i++)
		lose_chunk(source, i);
	greed_settle(swarm, source);
	swarm->fetch_due = true;
	return 0;
}

void lsp_swarm_peer_withdrew(struct lsp_swarm *swarm, lsp_swarm_id peer_id, lsp_swarm_id game_id)
{
	struct peer *peer = table_get(&swarm->peers, peer_id);
	struct game *game = table_get(&swarm->games, game_id);
	struct source *source = peer && game ? source_find(game, peer) : NULL;
	if (!source)
		return;
	link_each(&game->requests, link)
	{
		struct request *request = lsp_container_of(link, struct request, in_game);
		if (request->source == source)
			request_end(swarm, request, REQUEST_NOBODY, true);
	}
	greed_close(swarm, source);
	source_free(swarm, source);
	swarm->fetch_due = true;
}

void source_drop(struct lsp_swarm *swarm, struct source *source, uint32_t chunk)
{
	struct game *game = source->game;
	link_each(&game->requests, link)
	{
		struct request *request = lsp_container_of(link, struct request, in_game);
		if (request->source == source)
			request_end(swarm, request, REQUEST_NOBODY, true);
	}
	liar_note(swarm, source->peer->key);
	source->rejected = liar_count(swarm, source->peer->key);
	source->dropped = true;
	struct lsp_swarm_action *action =
		actions_push(swarm, LSP_SWARM_DROPPED, game, source->peer);
	if (action) {
		action->first = chunk;
		action->count = 1;
	}
	swarm->fetch_due = true;
}

int lsp_swarm_source_status(const struct lsp_swarm *swarm, lsp_swarm_id peer_id,
	lsp_swarm_id game_id, struct lsp_swarm_source_status *ret_status)
{
	const struct peer *peer = table_get(&swarm->peers, peer_id);
	const struct game *game = table_get(&swarm->games, game_id);
	const struct source *source = peer && game ? source_find(game, peer) : NULL;
	if (!source)
		return -LSP_E_NOT_FOUND;
	*ret_status = (struct lsp_swarm_source_status){
		.chunks = source->all ? game->chunk_count : source->have.set,
		.in_flight = peer->request_count,
		.window = peer->window,
		.rate = (uint64_t)lsp_service_rate(&peer->service),
		.bytes_received = source->bytes_received,
		.bytes_sent = source->bytes_sent,
		.rejected = source->rejected,
		.dropped = source->dropped,
	};
	return 0;
}
