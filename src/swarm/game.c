/* The games of a node: which chunks are here, which are wanted, and what is said about both. */
#include "swarm/internal.h"

#include <stdlib.h>
#include <string.h>

#define NEWS_LEAST (25 * LSP_MILLISECOND)
#define NEWS_PER_SOURCE (8 * LSP_MILLISECOND)
#define NEWS_PER_CHUNK (2 * LSP_MILLISECOND) /* the first ones are news to all: at once */
#define NEWS_MOST (200 * LSP_MILLISECOND)
#define STALLED (10 * LSP_SECOND)

static void game_free(struct game *game)
{
	if (!game)
		return;
	free(game->sizes);
	free(game->holders);
	free(game->bounces);
	free(game->sources);
	free(game->given);
	free(game->fresh);
	free(game->fresh_at);
	lsp_bitmap_done(&game->have);
	lsp_bitmap_done(&game->want);
	lsp_bitmap_done(&game->flying);
	lsp_bitmap_done(&game->units);
	lsp_bitmap_done(&game->news);
	lsp_order_done(&game->order);
	free(game);
}
LSP_DEFINE_CLEANUP(struct game *, game_free);

static int allocate(struct game *game, const uint32_t *sizes, uint64_t seed, struct lsp_error *err)
{
	uint32_t count = game->chunk_count;
	game->sizes = malloc(count * sizeof(*sizes));
	game->holders = calloc(count, sizeof(*game->holders));
	game->bounces = calloc(count, 1);
	if (!game->sizes || !game->holders || !game->bounces)
		return lsp_error_no_memory(err, "swarm");
	memcpy(game->sizes, sizes, count * sizeof(*sizes));
	int status;
	if ((status = lsp_bitmap_init(&game->have, count, err)) < 0 ||
		(status = lsp_bitmap_init(&game->want, count, err)) < 0 ||
		(status = lsp_bitmap_init(&game->flying, count, err)) < 0 ||
		(status = lsp_bitmap_init(&game->units, count, err)) < 0 ||
		(status = lsp_bitmap_init(&game->news, count, err)) < 0)
		return status;
	return lsp_order_init(&game->order, count, game->holders, seed, err);
}

/* Small neighbours travel together. The groups follow from the sizes alone, so that every node has
 * the same ones and a seeder that hands each out once hands each chunk out once. */
static void mark_units(struct game *game)
{
	uint64_t bytes = 0;
	uint32_t chunks = 0;
	for (uint32_t i = 0; i < game->chunk_count; i++) {
		if (!i || bytes + game->sizes[i] > LSP_SWARM_RUN_BYTES ||
			chunks >= LSP_SWARM_RUN_CHUNKS) {
			lsp_bitmap_set(&game->units, i);
			bytes = chunks = 0;
		}
		bytes += game->sizes[i];
		chunks++;
	}
}

int lsp_swarm_game_add(struct lsp_swarm *swarm, uint32_t chunk_count, const uint32_t *sizes,
	const struct lsp_bitmap *have, void *owner, lsp_swarm_id *ret_game, struct lsp_error *err)
{
	if (!chunk_count || chunk_count > LSP_SWARM_CHUNKS_MAX ||
		(have && have->bits != chunk_count))
		return lsp_error_set(err, "swarm", LSP_E_INVALID,
			"a game of %u chunks cannot be shared", chunk_count);
	for (uint32_t i = 0; i < chunk_count; i++)
		if (!sizes[i])
			return lsp_error_set(err, "swarm", LSP_E_INVALID, "chunk %u is empty", i);
	_cleanup_(game_free_pointer) struct game *game = calloc(1, sizeof(*game));
	if (!game)
		return lsp_error_no_memory(err, "swarm");
	game->chunk_count = chunk_count;
	game->owner = owner;
	link_init(&game->requests);
	int status = allocate(game, sizes, lsp_random_next(&swarm->random), err);
	if (status < 0)
		return status;
	mark_units(game);
	for (uint32_t i = 0; i < chunk_count; i++) {
		game->bytes_total += sizes[i];
		if (have && lsp_bitmap_get(have, i)) {
			lsp_bitmap_set(&game->have, i);
			game->bytes_have += sizes[i];
		} else {
			game_want_chunk(game, i);
		}
	}
	status = table_add(&swarm->games, game, &game->id, err);
	if (status < 0)
		return status;
	swarm->game_count++;
	*ret_game = game->id;
	TAKE_PTR(game);
	return 0;
}

void lsp_swarm_game_remove(struct lsp_swarm *swarm, lsp_swarm_id id)
{
	struct game *game = table_get(&swarm->games, id);
	if (!game)
		return;
	game->wanted = false;
	game->owner = NULL; /* the requests and uploads that end now have owners of their own */
	actions_withdraw(swarm, id, 0);
	link_each(&game->requests, link) request_end(
		swarm, lsp_container_of(link, struct request, in_game), REQUEST_NOBODY, true);
	for (uint32_t i = 0; i < swarm->uploads.size; i++) {
		struct upload *upload = table_at(&swarm->uploads, i);
		if (upload && upload->game == game)
			upload_stop(swarm, upload);
	}
	while (game->source_count)
		source_free(swarm, game->sources[game->source_count - 1]);
	actions_withdraw(swarm, id, 0); /* its states, as the sources went */
	table_remove(&swarm->games, id);
	swarm->game_count--;
	swarm->limited_games -= !!game->up.rate;
	game_free(game);
	swarm->fetch_due = swarm->upload_due = true;
}

/* ---- The sets -------------------------------------------------------------------------------- */

uint64_t game_run_bytes(const struct game *game, uint32_t first, uint32_t count)
{
	uint64_t bytes = 0;
	for (uint32_t i = first; i < first + count; i++)
		bytes += game->sizes[i];
	return bytes;
}

static void useful_change(struct game *game, uint32_t chunk, int by)
{
	for (uint32_t i = 0; i < game->source_count; i++)
		if (source_has(game->sources[i], chunk))
			game->sources[i]->useful += by;
}

void game_want_chunk(struct game *game, uint32_t chunk)
{
	lsp_bitmap_set(&game->want, chunk);
	game->bytes_wanted += game->sizes[chunk];
	lsp_order_add(&game->order, chunk);
	useful_change(game, chunk, 1);
}

void game_unwant_chunk(struct game *game, uint32_t chunk)
{
	lsp_bitmap_clear(&game->want, chunk);
	game->bytes_wanted -= game->sizes[chunk];
	lsp_order_remove(&game->order, chunk);
	useful_change(game, chunk, -1);
}

/* Ends the request that this chunk is in, whosever fault it is not. */
static void land(struct lsp_swarm *swarm, struct game *game, uint32_t chunk)
{
	link_each(&game->requests, link)
	{
		struct request *request = lsp_container_of(link, struct request, in_game);
		if (chunk >= request->first && chunk - request->first < request->count) {
			request_end(swarm, request, REQUEST_NOBODY, true);
			return;
		}
	}
}

void lsp_swarm_game_gained(struct lsp_swarm *swarm, lsp_swarm_id id, uint32_t first, uint32_t count)
{
	struct game *game = table_get(&swarm->games, id);
	if (!game || first >= game->chunk_count)
		return;
	count = LSP_MIN(count, game->chunk_count - first);
	for (uint32_t i = first; i < first + count; i++) {
		if (lsp_bitmap_get(&game->have, i))
			continue;
		if (lsp_bitmap_get(&game->flying, i))
			land(swarm, game, i);
		game_unwant_chunk(game, i);
		lsp_bitmap_set(&game->have, i);
		game->bytes_have += game->sizes[i];
		upload_chunk_changed(game, i);
		if (!game->news.set)
			game->news_due = LSP_MAX(game->news_due, swarm->now);
		lsp_bitmap_set(&game->news, i);
	}
	game_state(swarm, game);
	swarm->fetch_due = true;
}

static void stop_uploads(struct lsp_swarm *swarm, struct game *game, uint32_t chunk)
{
	for (uint32_t i = 0; i < swarm->uploads.size; i++) {
		struct upload *upload = table_at(&swarm->uploads, i);
		if (!upload || upload->game != game || chunk < upload->first ||
			chunk - upload->first >= upload->count)
			continue;
		upload_stop(swarm, upload);
	}
}

/* As runs: each is a message to everybody. */
static void say_lost(struct lsp_swarm *swarm, struct game *game, uint32_t chunk)
{
	struct lsp_swarm_action *action = actions_last(swarm);
	if (action && action->kind == LSP_SWARM_WITHDRAW && action->game == game->id &&
		action->first + action->count == chunk) {
		action->count++;
		return;
	}
	action = actions_push(swarm, LSP_SWARM_WITHDRAW, game, NULL);
	if (action) {
		action->first = chunk;
		action->count = 1;
	}
}

void lsp_swarm_game_lost(struct lsp_swarm *swarm, lsp_swarm_id id, uint32_t first, uint32_t count)
{
	struct game *game = table_get(&swarm->games, id);
	if (!game || first >= game->chunk_count)
		return;
	count = LSP_MIN(count, game->chunk_count - first);
	for (uint32_t i = first; i < first + count; i++) {
		if (!lsp_bitmap_get(&game->have, i))
			continue;
		stop_uploads(swarm, game, i);
		lsp_bitmap_clear(&game->have, i);
		lsp_bitmap_clear(&game->news, i);
		game->bytes_have -= game->sizes[i];
		game_want_chunk(game, i);
		upload_chunk_changed(game, i);
		say_lost(swarm, game, i);
	}
	game_state(swarm, game);
	swarm->fetch_due = true;
}

void lsp_swarm_game_want(struct lsp_swarm *swarm, lsp_swarm_id id, bool wanted)
{
	struct game *game = table_get(&swarm->games, id);
	if (!game)
		return;
	if (wanted && (!game->wanted || game->state == LSP_SWARM_FAILED)) {
		uint64_t least = UINT64_MAX;
		for (uint32_t i = 0; i < swarm->games.size; i++) {
			const struct game *other = table_at(&swarm->games, i);
			if (other && other != game && other->wanted && other->want.set)
				least = LSP_MIN(least, other->served);
		}
		game->served = least == UINT64_MAX ? 0 : least;
		game->progress = swarm->now;
		for (uint32_t i = 0; i < game->source_count; i++) {
			free(game->sources[i]->tries);
			game->sources[i]->tries = NULL;
		}
		if (game->state == LSP_SWARM_FAILED)
			game->state = LSP_SWARM_IDLE;
	}
	game->wanted = wanted;
	if (!wanted)
		link_each(&game->requests, link) request_end(swarm,
			lsp_container_of(link, struct request, in_game), REQUEST_NOBODY, true);
	game_state(swarm, game);
	swarm->fetch_due = true;
}

/* ---- What is said ---------------------------------------------------------------------------- */

void game_state(struct lsp_swarm *swarm, struct game *game)
{
	enum lsp_swarm_state state = LSP_SWARM_FETCHING;
	if (lsp_bitmap_full(&game->have))
		state = LSP_SWARM_COMPLETE;
	else if (!game->wanted)
		state = LSP_SWARM_IDLE;
	else if (game->state == LSP_SWARM_FAILED && !game->request_count)
		state = LSP_SWARM_FAILED;
	else if (!game->source_count)
		state = LSP_SWARM_WAITING;
	if (state != game->state)
		game_enter_state(swarm, game, state);
}

void game_enter_state(struct lsp_swarm *swarm, struct game *game, enum lsp_swarm_state state)
{
	game->state = state;
	struct lsp_swarm_action *action = actions_state(swarm, game);
	if (action) {
		action->state = state;
		action->first = game->failed_chunk;
	}
}

/* Announces what was gained, as runs, and says when the next may go: the more listen, the later. */
void game_news(struct lsp_swarm *swarm, struct game *game, lsp_time now)
{
	for (size_t first = 0;
		(first = lsp_bitmap_next_set(&game->news, first)) < game->news.bits;) {
		size_t end = lsp_bitmap_next_clear(&game->news, first);
		struct lsp_swarm_action *action =
			actions_push(swarm, LSP_SWARM_ANNOUNCE, game, NULL);
		if (!action)
			break; /* stays news: said the next time */
		action->first = (uint32_t)first;
		action->count = (uint32_t)(end - first);
		for (size_t i = first; i < end; i++)
			lsp_bitmap_clear(&game->news, i);
		first = end;
	}
	uint64_t wait = LSP_MAX(NEWS_LEAST, game->source_count * NEWS_PER_SOURCE);
	wait = LSP_MIN(wait, game->have.set * NEWS_PER_CHUNK);
	game->news_due = now + LSP_MIN(wait, NEWS_MOST);
}

int lsp_swarm_game_status(
	const struct lsp_swarm *swarm, lsp_swarm_id id, struct lsp_swarm_game_status *ret_status)
{
	const struct game *game = table_get(&swarm->games, id);
	if (!game)
		return -LSP_E_NOT_FOUND;
	uint32_t dropped = 0;
	for (uint32_t i = 0; i < game->source_count; i++)
		dropped += game->sources[i]->dropped;
	*ret_status = (struct lsp_swarm_game_status){
		.state = game->state,
		.chunks_have = game->have.set,
		.chunks_total = game->chunk_count,
		.sources = game->source_count - dropped,
		.in_flight = game->flying.set,
		.stalled = game->state == LSP_SWARM_FETCHING &&
			   swarm->now - LSP_MIN(game->progress, swarm->now) > STALLED,
		.bytes_have = game->bytes_have,
		.bytes_total = game->bytes_total,
		.bytes_received = game->bytes_received,
		.bytes_wasted = game->bytes_wasted,
		.rate = (uint64_t)lsp_meter_rate(&game->rate, swarm->now),
		.upload_rate = (uint64_t)lsp_meter_rate(&game->upload_rate, swarm->now),
		.failed_chunk = game->failed_chunk,
	};
	return 0;
}

const struct lsp_bitmap *lsp_swarm_game_have(const struct lsp_swarm *swarm, lsp_swarm_id id)
{
	const struct game *game = table_get(&swarm->games, id);
	return game ? &game->have : NULL;
}

uint32_t lsp_swarm_game_availability(
	const struct lsp_swarm *swarm, lsp_swarm_id id, uint32_t first, uint32_t count)
{
	const struct game *game = table_get(&swarm->games, id);
	if (!game || first >= game->chunk_count || count > game->chunk_count - first)
		return 0;
	uint32_t least = UINT16_MAX;
	for (uint32_t i = first; i < first + count; i++)
		least = LSP_MIN(least, game->holders[i]);
	return count ? least + game->all_count : 0;
}
