/*
 * Life, the action queue, peers, limits and the turn of the crank. What was decided lives in the
 * other files: order (rarity), source (who has what), fetch (whom to ask), moves (what does not go
 * well), result (what became of a request), queue and upload (whom to serve).
 */
#include "swarm/internal.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_BURST (50 * LSP_MILLISECOND)
#define GUARD_BURST (2 * LSP_MILLISECOND)
#define ACTIONS_FIRST 64

int lsp_swarm_new(uint64_t seed, lsp_time now, struct lsp_swarm **ret_swarm, struct lsp_error *err)
{
	struct lsp_swarm *swarm = calloc(1, sizeof(*swarm));
	if (!swarm)
		return lsp_error_no_memory(err, "swarm");
	lsp_random_seed(&swarm->random, seed);
	link_init(&swarm->waiting);
	link_init(&swarm->running);
	swarm->limits.overhead = 1;
	swarm->now = now;
	swarm->last_run = now;
	swarm->housekeeping = LSP_TIME_NEVER;
	swarm->asleep = true;
	swarm->tokens_at = LSP_TIME_NEVER;
	if (!actions_reserve(swarm, ACTIONS_FIRST)) {
		lsp_swarm_free(swarm);
		return lsp_error_no_memory(err, "swarm");
	}
	*ret_swarm = swarm;
	return 0;
}

void lsp_swarm_free(struct lsp_swarm *swarm)
{
	if (!swarm)
		return;
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		struct game *game = table_at(&swarm->games, i);
		if (game)
			lsp_swarm_game_remove(swarm, game->id);
	}
	for (uint32_t i = 0; i < swarm->peers.size; i++) {
		struct peer *peer = table_at(&swarm->peers, i);
		if (peer)
			lsp_swarm_peer_remove(swarm, peer->id);
	}
	table_done(&swarm->games);
	table_done(&swarm->peers);
	table_done(&swarm->requests);
	table_done(&swarm->uploads);
	free(swarm->actions);
	free(swarm);
}

/* ---- Actions: a ring ------------------------------------------------------------------------- */

bool actions_reserve(struct lsp_swarm *swarm, size_t extra)
{
	size_t needed = swarm->action_count + extra;
	if (needed <= swarm->action_capacity)
		return true;
	size_t capacity = swarm->action_capacity ? swarm->action_capacity : ACTIONS_FIRST;
	while (capacity < needed)
		capacity *= 2;
	struct lsp_swarm_action *actions = calloc(capacity, sizeof(*actions));
	if (!actions)
		return false;
	for (size_t i = 0; i < swarm->action_count; i++)
		actions[i] = swarm->actions[(swarm->action_first + i) % swarm->action_capacity];
	free(swarm->actions);
	swarm->actions = actions;
	swarm->action_first = 0;
	swarm->action_capacity = capacity;
	return true;
}

struct lsp_swarm_action *actions_push(struct lsp_swarm *swarm, enum lsp_swarm_action_kind kind,
	struct game *game, struct peer *peer)
{
	if (!actions_reserve(swarm, 1))
		return NULL;
	struct lsp_swarm_action *action =
		&swarm->actions[(swarm->action_first + swarm->action_count++) %
				swarm->action_capacity];
	*action = (struct lsp_swarm_action){.kind = kind, .hint = LSP_SWARM_NO_HINT};
	if (game) {
		action->game = game->id;
		action->game_owner = game->owner;
	}
	if (peer) {
		action->peer = peer->id;
		action->peer_owner = peer->owner;
	}
	return action;
}

struct lsp_swarm_action *actions_last(struct lsp_swarm *swarm)
{
	size_t last = swarm->action_first + swarm->action_count - 1;
	return swarm->action_count ? &swarm->actions[last % swarm->action_capacity] : NULL;
}

struct lsp_swarm_action *actions_state(struct lsp_swarm *swarm, struct game *game)
{
	for (size_t i = 0; i < swarm->action_count; i++) {
		struct lsp_swarm_action *action =
			&swarm->actions[(swarm->action_first + i) % swarm->action_capacity];
		if (action->kind == LSP_SWARM_STATE && action->game == game->id)
			return action;
	}
	return actions_push(swarm, LSP_SWARM_STATE, game, NULL);
}

/* Of requests and uploads that are over: who waits for that hears it when the game is gone, too. */
static bool outlives_its_game(const struct lsp_swarm_action *action)
{
	return action->kind == LSP_SWARM_CANCEL || action->kind == LSP_SWARM_UPLOAD_BOUNCE ||
	       action->kind == LSP_SWARM_UPLOAD_STOP;
}

/* Takes back what is about that game or that peer; 0: about none. The rest stays in order. */
static void actions_filter(struct lsp_swarm *swarm, lsp_swarm_id game, lsp_swarm_id peer)
{
	size_t kept = 0;
	for (size_t i = 0; i < swarm->action_count; i++) {
		struct lsp_swarm_action *action =
			&swarm->actions[(swarm->action_first + i) % swarm->action_capacity];
		if (peer && action->peer == peer)
			continue;
		if (game && action->game == game) {
			if (!outlives_its_game(action))
				continue;
			action->game_owner = NULL;
		}
		swarm->actions[(swarm->action_first + kept++) % swarm->action_capacity] = *action;
	}
	swarm->action_count = kept;
}

void actions_withdraw(struct lsp_swarm *swarm, lsp_swarm_id game, lsp_swarm_id peer)
{
	actions_filter(swarm, game, peer);
}

bool actions_take_back(struct lsp_swarm *swarm, lsp_swarm_id request)
{
	size_t kept = 0, count = swarm->action_count;
	for (size_t i = 0; i < count; i++) {
		struct lsp_swarm_action *action =
			&swarm->actions[(swarm->action_first + i) % swarm->action_capacity];
		if (action->kind == LSP_SWARM_REQUEST && action->request == request)
			continue;
		swarm->actions[(swarm->action_first + kept++) % swarm->action_capacity] = *action;
	}
	swarm->action_count = kept;
	return kept < count;
}

bool lsp_swarm_next_action(struct lsp_swarm *swarm, struct lsp_swarm_action *ret_action)
{
	if (!swarm->action_count)
		return false;
	*ret_action = swarm->actions[swarm->action_first];
	swarm->action_first = (swarm->action_first + 1) % swarm->action_capacity;
	swarm->action_count--;
	return true;
}

/* ---- Peers ----------------------------------------------------------------------------------- */

int lsp_swarm_peer_add(struct lsp_swarm *swarm, uint64_t key, void *owner, lsp_swarm_id *ret_peer,
	struct lsp_error *err)
{
	if (swarm->peer_count >= LSP_SWARM_PEERS_MAX)
		return lsp_error_set(err, "swarm", LSP_E_TOO_LARGE, "more than %d peers at once",
			LSP_SWARM_PEERS_MAX);
	struct peer *peer = calloc(1, sizeof(*peer));
	if (!peer)
		return lsp_error_no_memory(err, "swarm");
	int status = table_add(&swarm->peers, peer, &peer->id, err);
	if (status < 0) {
		free(peer);
		return status;
	}
	peer->key = key;
	peer->owner = owner;
	peer->rtt = LSP_MILLISECOND;
	peer->progress = swarm->now;
	peer->retry_after = BACKOFF_FIRST;
	link_init(&peer->requests);
	greed_meet(swarm, peer);
	swarm->peer_count++;
	*ret_peer = peer->id;
	return 0;
}

void lsp_swarm_peer_remove(struct lsp_swarm *swarm, lsp_swarm_id id)
{
	struct peer *peer = table_get(&swarm->peers, id);
	if (!peer)
		return;
	actions_withdraw(swarm, 0, id);
	for (uint32_t i = 0; i < swarm->uploads.size; i++) {
		struct upload *upload = table_at(&swarm->uploads, i);
		if (upload && upload->peer == peer)
			upload_free(swarm, upload);
	}
	while (peer->sources) {
		greed_close(swarm, peer->sources);
		source_free(swarm, peer->sources);
	}
	greed_part(swarm, peer);
	swarm->suspect_count -= peer->suspect;
	table_remove(&swarm->peers, id);
	free(peer);
	swarm->peer_count--;
	swarm->fetch_due = swarm->upload_due = true;
}

void lsp_swarm_peer_rtt(struct lsp_swarm *swarm, lsp_swarm_id id, uint64_t smoothed)
{
	struct peer *peer = table_get(&swarm->peers, id);
	if (peer)
		peer->rtt = LSP_MIN(smoothed, 250 * LSP_MILLISECOND);
}

static void guard_set(struct lsp_swarm *swarm, struct lsp_bucket *bucket, uint64_t rate)
{
	rate = rate == LSP_PING_GUARD_FREE ? 0 : LSP_MAX(rate, UINT64_C(1));
	if (rate != bucket->rate)
		lsp_bucket_set(bucket, rate, GUARD_BURST, swarm->now);
}

void lsp_swarm_peer_guard(struct lsp_swarm *swarm, lsp_swarm_id id, uint64_t down)
{
	struct peer *peer = table_get(&swarm->peers, id);
	if (peer)
		guard_set(swarm, &peer->guard_down, down);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

void lsp_swarm_set_limits(struct lsp_swarm *swarm, const struct lsp_swarm_limits *limits)
{
	if (limits->pause_uploads && !swarm->limits.pause_uploads)
		swarm->paused_at = swarm->now;
	swarm->limits = *limits;
	if (!(limits->overhead >= 1))
		swarm->limits.overhead = 1;
	lsp_bucket_set(&swarm->down, limits->down, LIMIT_BURST, swarm->now);
	lsp_bucket_set(&swarm->up, limits->up, LIMIT_BURST, swarm->now);
	swarm->fetch_due = swarm->upload_due = true;
}

void lsp_swarm_set_game_limits(struct lsp_swarm *swarm, lsp_swarm_id id, uint64_t down, uint64_t up)
{
	struct game *game = table_get(&swarm->games, id);
	if (!game)
		return;
	swarm->limited_games += !!up - !!game->up.rate;
	lsp_bucket_set(&game->down, down, LIMIT_BURST, swarm->now);
	lsp_bucket_set(&game->up, up, LIMIT_BURST, swarm->now);
	swarm->fetch_due = swarm->upload_due = true;
}

/* ---- The crank ------------------------------------------------------------------------------- */

void swarm_clock(struct lsp_swarm *swarm, lsp_time now)
{
	if (now > swarm->now)
		swarm->now = now;
}

/* What moved on while nothing was looked at did so just now: it is not put into the future. */
static void give_back(const struct lsp_swarm *swarm, lsp_time *since, uint64_t gap)
{
	*since = LSP_MAX(*since, LSP_MIN(*since + gap, swarm->now));
}

/* We slept (a closed lid, a stopped process): every deadline that ran meanwhile gets the time back.
 */
static void forgive_gap(struct lsp_swarm *swarm, uint64_t gap)
{
	for (uint32_t i = 0; i < swarm->peers.size; i++) {
		struct peer *peer = table_at(&swarm->peers, i);
		if (!peer)
			continue;
		give_back(swarm, &peer->progress, gap);
		if (peer->service.at)
			give_back(swarm, &peer->service.at, gap);
	}
	for (uint32_t i = 0; i < swarm->requests.size; i++) {
		struct request *request = table_at(&swarm->requests, i);
		if (!request)
			continue;
		give_back(swarm, &request->asked, gap);
		give_back(swarm, &request->progress, gap);
	}
	for (uint32_t i = 0; i < swarm->uploads.size; i++) {
		struct upload *upload = table_at(&swarm->uploads, i);
		if (upload)
			give_back(swarm, &upload->progress, gap);
	}
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		struct game *game = table_at(&swarm->games, i);
		if (game)
			give_back(swarm, &game->progress, gap);
	}
}

static bool has_news(const struct lsp_swarm *swarm)
{
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		const struct game *game = table_at(&swarm->games, i);
		if (game && game->news.set)
			return true;
	}
	return false;
}

static bool wants_any(const struct lsp_swarm *swarm)
{
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		const struct game *game = table_at(&swarm->games, i);
		if (game && fetch_wants(game))
			return true;
	}
	return false;
}

/* When what only time changes is to be looked at. What is told comes with a run of its own. */
static lsp_time next_look(const struct lsp_swarm *swarm)
{
	lsp_time soon = swarm->looked + HOUSEKEEPING;
	if (swarm->request_count || swarm->waiting_count || swarm->running_count || has_news(swarm))
		return soon;
	if (!wants_any(swarm))
		return LSP_TIME_NEVER;
	if (swarm->now < swarm->stirred + SETTLING)
		return soon;
	return LSP_MAX(fetch_wakes(swarm), soon);
}

/* Everything that is looked at from time to time. */
static void look(struct lsp_swarm *swarm)
{
	if (swarm->fetch_due)
		swarm->stirred = swarm->now;
	if (swarm->asleep) {
		air_clear(swarm);
		swarm->looked = swarm->now;
	}
	if (swarm->now < swarm->housekeeping)
		return;
	fetch_watch(swarm);
	upload_watch(swarm);
	swarm->looked = swarm->now;
}

void lsp_swarm_run(struct lsp_swarm *swarm, lsp_time now)
{
	swarm_clock(swarm, now);
	now = swarm->now;
	if (!swarm->asleep && now - swarm->last_run > CLOCK_GAP)
		forgive_gap(swarm, now - swarm->last_run);
	swarm->last_run = now;
	look(swarm);
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		struct game *game = table_at(&swarm->games, i);
		if (game && game->news.set && now >= game->news_due)
			game_news(swarm, game, now);
	}
	if (swarm->fetch_due || now >= swarm->tokens_at) {
		swarm->fetch_due = false;
		fetch_run(swarm);
	}
	if (swarm->upload_due) {
		swarm->upload_due = false;
		upload_run(swarm);
	}
	swarm->housekeeping = next_look(swarm);
	swarm->asleep = swarm->housekeeping > swarm->looked + HOUSEKEEPING;
}

lsp_time lsp_swarm_deadline(const struct lsp_swarm *swarm)
{
	if (swarm->fetch_due || swarm->upload_due || swarm->action_count)
		return swarm->now;
	lsp_time deadline = LSP_MIN(swarm->housekeeping, swarm->tokens_at);
	for (uint32_t i = 0; i < swarm->games.size; i++) {
		const struct game *game = table_at(&swarm->games, i);
		if (game && game->news.set)
			deadline = LSP_MIN(deadline, game->news_due);
	}
	return deadline;
}
