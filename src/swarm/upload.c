/* Others' requests from arrival to end, and how fast their bytes may go. */
#include "swarm/internal.h"

#include <math.h>
#include <stdlib.h>

#define GRANT_LEAST 1200      /* bytes: a packet's worth; less is not worth the call */
#define GRANT_TIME 0.004      /* seconds of a limit that go at once: each grant wakes both ends */
#define PAUSE_LOOK LSP_SECOND /* whether what limits hold back goes on */
#define ASIDE_LOOK (250 * LSP_MILLISECOND) /* whether it is the turn of one of the greedy */

/* Somebody who was away does not come back with everything he missed. */
static void catch_up(struct lsp_swarm *swarm, struct peer *peer)
{
	uint64_t least = UINT64_MAX;
	if (peer->uploads_waiting || peer->uploads_running)
		return;
	for (uint32_t i = 0; i < swarm->peers.size; i++) {
		const struct peer *other = table_at(&swarm->peers, i);
		if (other && (other->uploads_waiting || other->uploads_running))
			least = LSP_MIN(least, other->upload_served);
	}
	if (least != UINT64_MAX)
		peer->upload_served = LSP_MAX(peer->upload_served, least);
}

static void note_asker(struct game *game, const struct peer *peer, lsp_time now)
{
	if (game->asker != peer->id)
		game->asked_else = game->asked;
	game->asker = peer->id;
	game->asked = now;
}

static int check_run(const struct game *game, uint32_t first, uint32_t count, struct lsp_error *err)
{
	if (first >= game->chunk_count || !count || count > game->chunk_count - first ||
		count > LSP_SWARM_RUN_CHUNKS)
		return lsp_error_set(err, "swarm", LSP_E_PROTOCOL,
			"a request for chunks %u + %u of a game of %u", first, count,
			game->chunk_count);
	for (uint32_t i = first; i < first + count; i++)
		if (!lsp_bitmap_get(&game->have, i))
			return lsp_error_set(
				err, "swarm", LSP_E_NOT_FOUND, "chunk %u is not here", i);
	return 0;
}

int lsp_swarm_upload_add(struct lsp_swarm *swarm, lsp_swarm_id peer_id, lsp_swarm_id game_id,
	uint32_t first, uint32_t count, bool insist, void *owner, lsp_time now,
	lsp_swarm_id *ret_upload, struct lsp_error *err)
{
	swarm_clock(swarm, now);
	struct peer *peer = table_get(&swarm->peers, peer_id);
	struct game *game = table_get(&swarm->games, game_id);
	if (!peer || !game)
		return lsp_error_set(err, "swarm", LSP_E_NOT_FOUND, "no such peer or game");
	int status = check_run(game, first, count, err);
	if (status < 0 || (status = fresh_init(game, err)) < 0)
		return status;
	if (peer->uploads_waiting >= LSP_SWARM_UPLOAD_QUEUE_MAX)
		return lsp_error_set(err, "swarm", LSP_E_BUSY, "%d requests wait already",
			LSP_SWARM_UPLOAD_QUEUE_MAX);
	struct upload *upload = calloc(1, sizeof(*upload));
	if (!upload || !actions_reserve(swarm, swarm->request_count + swarm->upload_count + 8) ||
		table_add(&swarm->uploads, upload, &upload->id, NULL) < 0) {
		free(upload);
		return lsp_error_no_memory(err, "swarm");
	}
	catch_up(swarm, peer);
	upload->peer = peer;
	upload->game = game;
	upload->first = first;
	upload->count = count;
	upload->bytes = game_run_bytes(game, first, count);
	upload->sequence = swarm->sequence++;
	upload->asked = swarm->now;
	upload->insist = insist;
	upload->owner = owner;
	link_append(&swarm->waiting, &upload->link);
	note_asker(game, peer, swarm->now);
	struct source *source = source_find(game, peer);
	if (source)
		greed_settle(swarm, source);
	if (!upload_is_greedy(upload))
		greed_note_modest(swarm, peer);
	peer->uploads_waiting++;
	swarm->waiting_count++;
	swarm->upload_count++;
	swarm->upload_due = true;
	*ret_upload = upload->id;
	return 0;
}

void upload_free(struct lsp_swarm *swarm, struct upload *upload)
{
	if (upload->running) {
		upload->peer->uploads_running--;
		swarm->running_count--;
		for (uint32_t i = upload->first; i < upload->first + upload->count; i++) {
			/* In the air until it is announced; what did not arrive is not. */
			upload->game->given[i] =
				upload->sent >= upload->bytes ? swarm->now + AIR_LIFE : 0;
			upload_chunk_changed(upload->game, i);
		}
	} else {
		upload->peer->uploads_waiting--;
		swarm->waiting_count--;
	}
	link_remove(&upload->link);
	table_remove(&swarm->uploads, upload->id);
	free(upload);
	swarm->upload_count--;
	swarm->upload_due = true;
}

void upload_stop(struct lsp_swarm *swarm, struct upload *upload)
{
	struct lsp_swarm_action *action =
		actions_push(swarm, LSP_SWARM_UPLOAD_STOP, upload->game, upload->peer);
	if (action) {
		action->request = upload->id;
		action->upload_owner = upload->owner;
	}
	upload_free(swarm, upload);
}

void lsp_swarm_upload_sent(struct lsp_swarm *swarm, lsp_swarm_id id, uint64_t bytes, lsp_time now)
{
	swarm_clock(swarm, now);
	struct upload *upload = table_get(&swarm->uploads, id);
	if (!upload || !upload->running || !bytes)
		return;
	upload->sent += bytes;
	upload->progress = swarm->now;
	lsp_meter_add(&swarm->upload_rate, bytes, swarm->now);
	lsp_meter_add(&upload->game->upload_rate, bytes, swarm->now);
	greed_sent(swarm, upload, bytes);
	swarm->upload_due = true;
}

static bool is_about_upload(const struct lsp_swarm_action *action, lsp_swarm_id id)
{
	return (action->kind == LSP_SWARM_UPLOAD_START || action->kind == LSP_SWARM_UPLOAD_BOUNCE ||
		       action->kind == LSP_SWARM_UPLOAD_STOP) &&
	       action->request == id;
}

/* An action about it that was not taken yet would speak of what its owner has freed. */
static void withdraw_actions(struct lsp_swarm *swarm, lsp_swarm_id id)
{
	size_t kept = 0, count = swarm->action_count;
	for (size_t i = 0; i < count; i++) {
		struct lsp_swarm_action *action =
			&swarm->actions[(swarm->action_first + i) % swarm->action_capacity];
		if (is_about_upload(action, id))
			continue;
		swarm->actions[(swarm->action_first + kept++) % swarm->action_capacity] = *action;
	}
	swarm->action_count = kept;
}

void lsp_swarm_upload_end(struct lsp_swarm *swarm, lsp_swarm_id id, bool complete, lsp_time now)
{
	swarm_clock(swarm, now);
	withdraw_actions(swarm, id); /* also of one that was stopped or bounced already */
	struct upload *upload = table_get(&swarm->uploads, id);
	if (!upload)
		return;
	if (!complete)
		upload->sent = 0;
	else
		upload->sent = upload->bytes;
	upload_free(swarm, upload);
}

/* ---- Grants ---------------------------------------------------------------------------------- */

/* What the bucket has, in payload bytes; when it has too little, *again moves to when it has. */
static double bucket_grant(
	struct lsp_bucket *bucket, double least, double overhead, lsp_time now, lsp_time *again)
{
	double tokens = lsp_bucket_tokens(bucket, now) / overhead;
	if (tokens < fmin(least, bucket->rate ? bucket->burst / overhead : least)) {
		*again = LSP_MAX(*again, lsp_bucket_when(bucket, least * overhead, now));
		return 0;
	}
	return fmax(tokens, 1);
}

/* Given back if less than 0. */
static void charge(struct lsp_swarm *swarm, struct game *game, double bytes)
{
	double wire = bytes * swarm->limits.overhead;
	lsp_bucket_take(&swarm->up, wire);
	lsp_bucket_take(&game->up, wire);
}

/*
 * The least that is worth a grant, in bytes on the wire. What leaves by the packet leaves in as
 * many wake-ups, system calls and acknowledgements as there are packets, and the connection's
 * window stays where a new one begins.
 */
static double least_grant(const struct lsp_swarm *swarm, const struct game *game)
{
	uint64_t rate = swarm->up.rate ? swarm->up.rate : game->up.rate;
	if (game->up.rate)
		rate = LSP_MIN(rate, game->up.rate);
	return fmax(GRANT_LEAST, GRANT_TIME * (double)rate);
}

/* What the limits let go of `want` bytes of a game; 0: more at *ret_again. */
static uint64_t grant_of(
	struct lsp_swarm *swarm, struct game *game, uint64_t want, lsp_time *ret_again)
{
	struct lsp_bucket *buckets[] = {&swarm->up, &game->up};
	double overhead = swarm->limits.overhead;
	double grant = (double)want, least = fmin(grant, least_grant(swarm, game) / overhead);
	lsp_time again = swarm->now;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(buckets); i++)
		grant = fmin(grant, bucket_grant(buckets[i], least, overhead, swarm->now, &again));
	if (grant < 1) {
		/* After a debt that may be long; until then what limits there are may change. */
		*ret_again = LSP_MIN(again, lsp_time_add(swarm->now, PAUSE_LOOK));
		return 0;
	}
	charge(swarm, game, (double)(uint64_t)grant);
	return (uint64_t)grant;
}

uint64_t lsp_swarm_upload_grant(
	struct lsp_swarm *swarm, lsp_swarm_id id, uint64_t want, lsp_time now, lsp_time *ret_again)
{
	swarm_clock(swarm, now);
	struct upload *upload = table_get(&swarm->uploads, id);
	*ret_again = LSP_TIME_NEVER;
	if (!upload || !upload->running || !want)
		return 0;
	uint64_t bytes = grant_of(swarm, upload->game, want, ret_again);
	if (!bytes) /* it is we who wait, not its reader */
		upload->progress = LSP_MAX(upload->progress, *ret_again);
	return bytes;
}

uint64_t lsp_swarm_aside_grant(struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside,
	uint64_t want, lsp_time now, lsp_time *ret_again)
{
	swarm_clock(swarm, now);
	struct game *game = table_get(&swarm->games, aside->game);
	*ret_again = lsp_time_add(swarm->now, PAUSE_LOOK);
	if (!want || swarm->limits.pause_uploads)
		return 0;
	if (!game)
		return want;
	if (greed_holds_back(swarm, aside, want)) {
		*ret_again = lsp_time_add(swarm->now, ASIDE_LOOK);
		return 0;
	}
	uint64_t bytes = grant_of(swarm, game, want, ret_again);
	greed_took_aside(swarm, aside, bytes);
	return bytes;
}

bool lsp_swarm_aside_admit(
	struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside, uint64_t bytes, lsp_time now)
{
	swarm_clock(swarm, now);
	struct game *game = table_get(&swarm->games, aside->game);
	if (swarm->limits.pause_uploads ||
		(game && lsp_bucket_when(&game->up, 1, swarm->now) > swarm->now) ||
		greed_holds_back(swarm, aside, bytes))
		return false;
	if (game)
		charge(swarm, game, (double)bytes);
	greed_took_aside(swarm, aside, bytes);
	return true;
}

void lsp_swarm_game_unused(struct lsp_swarm *swarm, lsp_swarm_id id, uint64_t bytes)
{
	struct game *game = table_get(&swarm->games, id);
	if (game)
		charge(swarm, game, -(double)bytes);
}
