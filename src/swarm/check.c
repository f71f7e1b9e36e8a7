/* Recounts everything from scratch; for tests. */
#include "swarm/internal.h"

#include <stdio.h>

#define LSP_CHECK_TEXT 128
#define must(condition, ...)                                                                       \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			snprintf(text, LSP_CHECK_TEXT, __VA_ARGS__);                               \
			return false;                                                              \
		}                                                                                  \
	} while (0)

static bool check_order(const struct game *game, char *text)
{
	const struct lsp_order *order = &game->order;
	must(order->size == game->want.set, "order has %u, want %zu", order->size, game->want.set);
	for (uint32_t i = 0; i < order->size; i++) {
		uint32_t chunk = order->chunks[i];
		must(order->places[chunk] == i, "chunk %u is not where it thinks", chunk);
		must(lsp_bitmap_get(&game->want, chunk), "chunk %u in order, not wanted", chunk);
		must(!i || game->holders[order->chunks[i - 1]] <= game->holders[chunk],
			"order broken at %u", i);
	}
	return true;
}

static bool check_chunks(const struct game *game, char *text)
{
	uint64_t have = 0, want = 0;
	for (uint32_t i = 0; i < game->chunk_count; i++) {
		int sets = lsp_bitmap_get(&game->have, i) + lsp_bitmap_get(&game->want, i) +
			   lsp_bitmap_get(&game->flying, i);
		must(sets == 1, "chunk %u is in %d sets", i, sets);
		uint32_t holders = 0;
		for (uint32_t s = 0; s < game->source_count; s++)
			holders += !game->sources[s]->all &&
				   lsp_bitmap_get(&game->sources[s]->have, i);
		must(holders == game->holders[i], "chunk %u: %u holders, noted %u", i, holders,
			game->holders[i]);
		have += lsp_bitmap_get(&game->have, i) ? game->sizes[i] : 0;
		want += lsp_bitmap_get(&game->want, i) ? game->sizes[i] : 0;
		if (!game->fresh)
			continue;
		bool fresh = lsp_bitmap_get(&game->have, i) && !holders && !game->given[i];
		must(fresh == (game->fresh_at[i] != UINT32_MAX), "chunk %u: fresh is wrong", i);
	}
	must(have == game->bytes_have && want == game->bytes_wanted, "bytes do not add up");
	return true;
}

static bool check_sources(const struct game *game, char *text)
{
	uint32_t all = 0;
	for (uint32_t s = 0; s < game->source_count; s++) {
		const struct source *source = game->sources[s];
		uint32_t useful = 0;
		uint64_t announced = 0;
		all += source->all;
		must(source->index == s && source->game == game, "source %u is misplaced", s);
		for (uint32_t i = 0; i < game->chunk_count; i++) {
			useful += lsp_bitmap_get(&game->want, i) && source_has(source, i);
			if (!source->all && lsp_bitmap_get(&source->have, i))
				announced += game->sizes[i];
		}
		must(announced == source->bytes_announced, "source %u: bytes announced", s);
		must(source->account.withdrawn <= source->account.taken,
			"source %u: more is to be forgiven than it took", s);
		must(useful == source->useful, "source %u: useful %u, noted %u", s, useful,
			source->useful);
	}
	must(all == game->all_count, "complete sources: %u, noted %u", all, game->all_count);
	return true;
}

static bool check_requests(const struct game *game, char *text)
{
	uint32_t count = 0, chunks = 0;
	uint64_t flying = 0;
	link_each((struct link *)&game->requests, link)
	{
		const struct request *request = lsp_container_of(link, struct request, in_game);
		uint32_t left = 0;
		count++;
		for (uint32_t i = 0; i < request->count; i++) {
			if (request->done[i / 64] >> (i % 64) & 1)
				continue;
			left++;
			must(lsp_bitmap_get(&game->flying, request->first + i),
				"chunk %u of a request does not fly", request->first + i);
		}
		must(left == request->left && left, "a request has %u left, noted %u", left,
			request->left);
		must(request->received <= request->bytes, "a request got too much");
		chunks += left;
		if (!request->arrived)
			flying += request->bytes - request->received;
	}
	must(count == game->request_count, "%u requests, noted %u", count, game->request_count);
	/* Equal counts and every one flies: no chunk is in two requests. */
	must(chunks == game->flying.set, "%u chunks fly, noted %zu", chunks, game->flying.set);
	must(flying == game->bytes_flying, "bytes in flight do not add up");
	return true;
}

static bool check_peer(const struct peer *peer, char *text)
{
	uint64_t flying = 0;
	uint32_t count = 0;
	link_each((struct link *)&peer->requests, link)
	{
		const struct request *request = lsp_container_of(link, struct request, in_peer);
		flying += request->bytes - request->received;
		count++;
	}
	must(flying == peer->bytes_flying && count == peer->request_count,
		"a peer's requests do not add up");
	must(count <= LSP_SWARM_PEER_REQUESTS_MAX, "%u requests at one peer", count);
	must(count <= 1 || flying <= LSP_MAX(LSP_SWARM_WINDOW_MAX, peer->window) + (4u << 20),
		"a peer's window is overdrawn");
	must(peer->uploads_waiting <= LSP_SWARM_UPLOAD_QUEUE_MAX, "too many uploads wait");
	return true;
}

bool lsp_swarm_check(const struct lsp_swarm *swarm, char ret_text[LSP_CHECK_TEXT])
{
	char *text = ret_text;
	uint32_t requests = 0, live = 0, suspects = 0;
	uint64_t live_bytes = 0;
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		const struct game *game = table_at(&swarm->games, i);
		if (game && !(check_order(game, text) && check_chunks(game, text) &&
				    check_sources(game, text) && check_requests(game, text)))
			return false;
	}
	for (uint32_t i = 0; i < swarm->peers.size; i++) {
		const struct peer *peer = table_at(&swarm->peers, i);
		if (!peer)
			continue;
		if (!check_peer(peer, text))
			return false;
		requests += peer->request_count;
		suspects += peer->suspect;
		live += peer->sluggish ? 0 : peer->request_count;
		live_bytes += peer->sluggish ? 0 : peer->bytes_flying;
	}
	must(live == swarm->live_requests && live_bytes == swarm->live_bytes,
		"%u live requests, noted %u", live, swarm->live_requests);
	must(suspects == swarm->suspect_count, "%u suspects, noted %u", suspects,
		swarm->suspect_count);
	must(requests == swarm->request_count, "%u requests, noted %u", requests,
		swarm->request_count);
	must(requests <= LSP_SWARM_REQUESTS_MAX + 1, "%u requests at once", requests);
	must(swarm->running_count <= LSP_SWARM_UPLOAD_SLOTS_MAX, "too many uploads run");
	return true;
}
