/*
 * Whom to serve next.
 *
 * Requests wait in one queue. Few run at once, since a chunk is worth nothing to the others until
 * all of it is there: two that are sent one after the other spread sooner than two side by side.
 * How few: LSP_SWARM_UPLOAD_SLOTS, or what the line takes in 60 ms and two round trips; receivers
 * that do not keep up do not count. A game with an upload limit of its own has slots of its own, so
 * that the others' requests do not wait for what it is not allowed to send.
 *
 * A chunk is *fresh* while we hold it, no partial peer announced it, and it is not in the air
 * (being sent, or sent and not yet announced: AIR_LIFE later it is fresh again, so a peer that
 * takes and never tells holds up nothing for long). A complete holder with fresh chunks bounces
 * requests for others, and names a fresh one instead: so each chunk leaves it once before any
 * leaves twice, which is what makes the swarm as fast as its seeder's line. Who asks with `insist`
 * is not bounced, nor is who asks alone: a chunk that nobody takes but he would wait in vain.
 *
 * The order among those that wait: peers with less under way first, then the rarest chunk, then who
 * got least, then who came first. Every fourth turn looks only at who got least. The greedy, who
 * take and do not tell (greed.c), come after all others, and have one slot together while others
 * ask.
 */
#include "swarm/internal.h"

#include <stdlib.h>
#include <string.h>

#define PIPE_SECONDS 0.060
#define AIR_CHECK (250 * LSP_MILLISECOND)
#define PEER_STUCK_MAX 4 /* uploads that a peer may let stand still */

/* ---- Fresh chunks ---------------------------------------------------------------------------- */

static bool is_fresh(const struct game *game, uint32_t chunk)
{
	return game->fresh_at[chunk] != UINT32_MAX;
}

void upload_chunk_changed(struct game *game, uint32_t chunk)
{
	if (!game->fresh)
		return;
	bool fresh =
		lsp_bitmap_get(&game->have, chunk) && !game->holders[chunk] && !game->given[chunk];
	if (fresh == is_fresh(game, chunk))
		return;
	if (fresh) {
		game->fresh_at[chunk] = game->fresh_count;
		game->fresh[game->fresh_count++] = chunk;
	} else {
		uint32_t place = game->fresh_at[chunk], last = game->fresh[--game->fresh_count];
		game->fresh[place] = last;
		game->fresh_at[last] = place;
		game->fresh_at[chunk] = UINT32_MAX;
	}
}

static int find_fresh(struct game *game)
{
	uint32_t *fresh = calloc(game->chunk_count, sizeof(*fresh));
	uint32_t *fresh_at = malloc(game->chunk_count * sizeof(*fresh_at));
	if (!fresh || !fresh_at) {
		free(fresh);
		free(fresh_at);
		return -LSP_E_NO_MEMORY;
	}
	memset(fresh_at, 0xff, game->chunk_count * sizeof(*fresh_at));
	game->fresh = fresh;
	game->fresh_at = fresh_at;
	for (uint32_t i = 0; i < game->chunk_count; i++)
		upload_chunk_changed(game, i);
	return 0;
}

int fresh_init(struct game *game, struct lsp_error *err)
{
	if (!game->given)
		game->given = calloc(game->chunk_count, sizeof(*game->given));
	if (!game->given || (!game->fresh && lsp_bitmap_full(&game->have) && find_fresh(game) < 0))
		return lsp_error_no_memory(err, "swarm");
	return 0;
}

/* What was sent and never announced is fresh again. */
static void clear_air(struct lsp_swarm *swarm, struct game *game)
{
	if (!game->given || swarm->now < game->air_check)
		return;
	game->air_check = swarm->now + AIR_CHECK;
	for (uint32_t i = 0; i < game->chunk_count; i++)
		if (game->given[i] && game->given[i] <= swarm->now) {
			game->given[i] = 0;
			upload_chunk_changed(game, i);
		}
}

/* ---- Bounces --------------------------------------------------------------------------------- */

static void bounce(
	struct lsp_swarm *swarm, struct upload *upload, enum lsp_swarm_bounce reason, uint32_t hint)
{
	struct lsp_swarm_action *action =
		actions_push(swarm, LSP_SWARM_UPLOAD_BOUNCE, upload->game, upload->peer);
	if (!action)
		return; /* it waits on */
	action->request = upload->id;
	action->upload_owner = upload->owner;
	action->first = upload->first;
	action->count = upload->count;
	action->bounce = reason;
	action->hint = hint;
	upload_free(swarm, upload);
}

/* Does any chunk of the run have nobody else? */
static bool brings_something_new(const struct upload *upload)
{
	for (uint32_t i = upload->first; i < upload->first + upload->count; i++)
		if (is_fresh(upload->game, i))
			return true;
	return false;
}

/* Does anybody else take chunks from us? A peer that is gone, or has paused, does not. */
static bool others_ask(const struct lsp_swarm *swarm, const struct upload *upload)
{
	const struct game *game = upload->game;
	const struct peer *peer = upload->peer;
	lsp_time last = game->asker == peer->id ? game->asked_else : game->asked;
	return swarm->upload_count > peer->uploads_waiting + peer->uploads_running ||
	       (last && swarm->now - LSP_MIN(last, swarm->now) < ASKING);
}

static bool belongs_elsewhere(const struct lsp_swarm *swarm, const struct upload *upload)
{
	const struct game *game = upload->game;
	return !upload->insist && game->fresh_count && lsp_bitmap_full(&game->have) &&
	       game->source_count - game->all_count > 1 && !brings_something_new(upload) &&
	       others_ask(swarm, upload);
}

/* Only a complete holder with fresh chunks bounces, and whoever paused. */
static bool may_bounce(const struct lsp_swarm *swarm)
{
	for (uint32_t i = 0; i < swarm->games.size && !swarm->limits.pause_uploads; i++) {
		const struct game *game = table_at(&swarm->games, i);
		if (game && game->fresh_count && lsp_bitmap_full(&game->have))
			return true;
	}
	return swarm->limits.pause_uploads;
}

static void bounce_some(struct lsp_swarm *swarm)
{
	if (!swarm->waiting_count || !may_bounce(swarm))
		return;
	link_each(&swarm->waiting, link)
	{
		struct upload *upload = lsp_container_of(link, struct upload, link);
		struct game *game = upload->game;
		if (swarm->limits.pause_uploads) {
			bounce(swarm, upload, LSP_SWARM_PAUSED, LSP_SWARM_NO_HINT);
		} else if (belongs_elsewhere(swarm, upload)) {
			uint32_t hint = game->fresh[game->fresh_turn++ % game->fresh_count];
			bounce(swarm, upload, LSP_SWARM_ELSEWHERE, hint);
		}
	}
}

/* ---- The queue ------------------------------------------------------------------------------- */

static bool is_sluggish(const struct lsp_swarm *swarm, const struct upload *upload)
{
	return swarm->now - LSP_MIN(upload->progress, swarm->now) > UPLOAD_SLUGGISH;
}

/* A game with a limit of its own goes at its own pace, and must not hold up the others. */
static const struct game *slots_of(const struct game *game)
{
	return game->up.rate ? game : NULL;
}

/* Among the slots of that game; NULL: those of all games without a limit. */
static bool slot_is_free(const struct lsp_swarm *swarm, const struct game *owner)
{
	const struct lsp_meter *rate = owner ? &owner->upload_rate : &swarm->upload_rate;
	uint32_t running = 0;
	uint64_t rest = 0, rtt = 0;
	if (swarm->running_count >= LSP_SWARM_UPLOAD_SLOTS_MAX)
		return false;
	link_each((struct link *)&swarm->running, link)
	{
		const struct upload *upload = lsp_container_of(link, struct upload, link);
		if (slots_of(upload->game) != owner || is_sluggish(swarm, upload))
			continue;
		running++;
		rtt = LSP_MAX(rtt, upload->peer->rtt);
		rest += upload->bytes - LSP_MIN(upload->sent, upload->bytes);
	}
	return running < LSP_SWARM_UPLOAD_SLOTS ||
	       (double)rest <
		       lsp_meter_rate(rate, swarm->now) * (PIPE_SECONDS + 2 * (double)rtt / 1e9);
}

/* How far its asker is, as it says. */
static size_t chunks_of(const struct upload *upload)
{
	const struct source *source = source_find(upload->game, upload->peer);
	return source ? source->have.set : 0;
}

/*
 * How rare, in doublings. What a quarter of the swarm has is common and all alike: otherwise one
 * who is behind, and asks for what most have, would stay behind for good.
 */
static uint32_t rarity(const struct upload *upload)
{
	const struct game *game = upload->game;
	uint32_t holders = game->holders[upload->first] + !!game->given[upload->first];
	uint32_t rank = 0;
	if (holders > game->source_count / 4)
		holders = LSP_MAX(game->source_count / 4, 1u);
	while (holders >> rank)
		rank++;
	return rank;
}

static bool goes_before(const struct upload *a, const struct upload *b, bool by_peer)
{
	if (!by_peer) {
		if (a->peer->uploads_running != b->peer->uploads_running)
			return a->peer->uploads_running < b->peer->uploads_running;
		uint32_t rank_a = rarity(a), rank_b = rarity(b);
		if (rank_a != rank_b)
			return rank_a < rank_b;
		if (a->game == b->game && chunks_of(a) != chunks_of(b))
			return chunks_of(a) < chunks_of(b);
	}
	if (a->peer->upload_served != b->peer->upload_served)
		return a->peer->upload_served < b->peer->upload_served;
	return a->sequence < b->sequence;
}

/*
 * While others ask, the greedy have one slot together: a place behind the others would not do.
 * Whose chunks come slowly asks for few at a time, and finds the other slots taken.
 */
static bool greedy_wait(const struct lsp_swarm *swarm)
{
	if (!swarm->modest_asked || swarm->now - swarm->modest_asked > ASKING)
		return false;
	link_each((struct link *)&swarm->running, link)
	{
		const struct upload *upload = lsp_container_of(link, struct upload, link);
		if (upload_is_greedy(upload) && !is_sluggish(swarm, upload))
			return true;
	}
	return false;
}

/* The next one that has a slot. */
static struct upload *pick(const struct lsp_swarm *swarm)
{
	struct upload *best = NULL;
	const struct game *owner = NULL; /* of the slots that were looked at last */
	bool common = slot_is_free(swarm, NULL), owned = false;
	bool by_peer = swarm->turn % 4 == 3;
	bool best_greedy = false, forgive = swarm->turn % 16 == 15;
	bool narrow = !forgive && greedy_wait(swarm);
	link_each((struct link *)&swarm->waiting, link)
	{
		struct upload *upload = lsp_container_of(link, struct upload, link);
		const struct game *its = slots_of(upload->game);
		if (its && its != owner) {
			owner = its;
			owned = slot_is_free(swarm, its);
		}
		if (!(its ? owned : common))
			continue;
		bool greedy = !forgive && upload_is_greedy(upload);
		if (greedy && narrow && upload->peer->id != swarm->modest)
			continue;
		if (upload->peer->uploads_running >= PEER_STUCK_MAX &&
			swarm->running_count >= LSP_SWARM_UPLOAD_SLOTS_MAX / 2)
			continue;
		if (best && (greedy != best_greedy ? greedy : !goes_before(upload, best, by_peer)))
			continue;
		best = upload;
		best_greedy = greedy;
	}
	return best;
}

static bool start(struct lsp_swarm *swarm, struct upload *upload)
{
	struct lsp_swarm_action *action =
		actions_push(swarm, LSP_SWARM_UPLOAD_START, upload->game, upload->peer);
	if (!action)
		return false;
	action->request = upload->id;
	action->upload_owner = upload->owner;
	action->first = upload->first;
	action->count = upload->count;
	action->bytes = upload->bytes;
	link_remove(&upload->link);
	link_append(&swarm->running, &upload->link);
	swarm->waiting_count--;
	swarm->running_count++;
	upload->peer->uploads_waiting--;
	upload->peer->uploads_running++;
	upload->peer->upload_served += upload->bytes;
	upload->running = true;
	upload->started = upload->progress = swarm->now;
	for (uint32_t i = upload->first; i < upload->first + upload->count; i++) {
		upload->game->given[i] = LSP_TIME_NEVER;
		upload_chunk_changed(upload->game, i);
	}
	swarm->turn++;
	return true;
}

void upload_run(struct lsp_swarm *swarm)
{
	struct upload *upload;
	bounce_some(swarm);
	while (swarm->waiting_count && (swarm->limited_games || slot_is_free(swarm, NULL)) &&
		(upload = pick(swarm))) {
		if (!start(swarm, upload))
			return;
		bounce_some(swarm);
	}
}

void air_clear(struct lsp_swarm *swarm)
{
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		struct game *game = table_at(&swarm->games, i);
		if (game)
			clear_air(swarm, game);
	}
}

void upload_watch(struct lsp_swarm *swarm)
{
	bool paused = swarm->limits.pause_uploads && swarm->now - swarm->paused_at > PAUSE_PATIENCE;
	bool full = swarm->waiting_count && swarm->running_count >= LSP_SWARM_UPLOAD_SLOTS_MAX;
	uint64_t patience = full ? UPLOAD_STUCK : UPLOAD_STALL;
	link_each(&swarm->running, link)
	{
		struct upload *upload = lsp_container_of(link, struct upload, link);
		uint64_t quiet = swarm->now - LSP_MIN(upload->progress, swarm->now);
		upload->peer->stuck |= is_sluggish(swarm, upload) &&
				       swarm->now - upload->peer->took > UPLOAD_SLUGGISH;
		if (paused || quiet > patience)
			upload_stop(swarm, upload);
	}
	link_each(&swarm->waiting, link)
	{
		struct upload *upload = lsp_container_of(link, struct upload, link);
		if (swarm->now - LSP_MIN(upload->asked, swarm->now) > QUEUE_PATIENCE)
			bounce(swarm, upload, LSP_SWARM_BUSY, LSP_SWARM_NO_HINT);
	}
	air_clear(swarm);
	if (swarm->waiting_count)
		swarm->upload_due = true;
}
