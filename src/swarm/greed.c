/*
 * Who takes more than it gives on.
 *
 * Each source has an account: what its peer had from us of the game, beside what it tells the
 * others that it has. What it told of and then lost (a game that was deleted, a copy that proved
 * damaged) is forgiven, so that it may fetch that anew like anybody else; but no more than the game
 * once, and once more in PARDON_TIME: else one who announces, withdraws and takes again would never
 * be behind the others. For the same reason an account outlives its source for so long.
 *
 * Bytes that leave beside the queue (files, leaves) are part of the account, and the greedy have
 * one turn together there, too, while others ask: else a crowd of them would take as many parts of
 * the line as they are.
 */
#include "swarm/internal.h"

#include <math.h>

#define PARDON_TIME (600 * LSP_SECOND)
/*
 * Bytes that a peer may have had and not announced: a few requests' worth and some times what it
 * told of, and an eighth of the game at most, within these. So who tells nothing has little, and
 * who tells is soon allowed all that a fast line holds.
 */
#define UNTOLD_LEAST (UINT64_C(16) << 20)
#define UNTOLD_MOST (UINT64_C(256) << 20)
#define FIRST_REQUESTS 4
#define FIRST_LEAST (UINT64_C(512) << 10)
#define FIRST_MOST (UINT64_C(4) << 20) /* who did not even say that it has the game */
#define UNTOLD_PER_TOLD 4
/* Beyond the whole game: a quarter, at the least this. A small game may be sent a few times. */
#define AGAIN_LEAST (UINT64_C(4) << 20)
/* How long the turn of one of the greedy beside the queue is: so long, and what its bytes take. */
#define ASIDE_TURN (4 * LSP_SECOND)
#define ASIDE_RATE (1 << 20) /* bytes a second */

/* ---- Accounts of who is gone: a ring, the oldest forgotten -------------------------------------
 */

static struct closed_account *closed_find(struct lsp_swarm *swarm, uint64_t key, lsp_swarm_id game)
{
	for (uint32_t i = 0; i < swarm->closed_count; i++)
		if (swarm->closed[i].key == key && swarm->closed[i].game == game)
			return &swarm->closed[i];
	return NULL;
}

static void closed_keep(
	struct lsp_swarm *swarm, uint64_t key, lsp_swarm_id game, const struct account *account)
{
	struct closed_account *closed = closed_find(swarm, key, game);
	if (!closed && !account->taken && account->pardon.tokens >= account->pardon.burst)
		return; /* as good as none */
	if (!closed) {
		closed = &swarm->closed[swarm->closed_next];
		swarm->closed_next = (swarm->closed_next + 1) % ACCOUNTS_MAX;
		swarm->closed_count = LSP_MIN(swarm->closed_count + 1, (uint32_t)ACCOUNTS_MAX);
	}
	*closed = (struct closed_account){key, game, swarm->now, *account};
}

/* Whether there was one that is not too old. */
static bool closed_restore(
	struct lsp_swarm *swarm, uint64_t key, lsp_swarm_id game, struct account *ret_account)
{
	const struct closed_account *closed = closed_find(swarm, key, game);
	if (!closed || swarm->now - closed->at > PARDON_TIME)
		return false;
	*ret_account = closed->account;
	return true;
}

/* ---- The account of a source -------------------------------------------------------------------
 */

static uint64_t told_by(const struct source *source)
{
	return source->all ? source->game->bytes_total : source->bytes_announced;
}

static void settle(struct account *account, uint64_t told, lsp_time now)
{
	if (told < account->told)
		account->withdrawn =
			LSP_MIN(account->withdrawn + account->told - told, account->taken);
	account->told = told;
	double tokens = fmin(lsp_bucket_tokens(&account->pardon, now), 1e18);
	uint64_t pardon = LSP_MIN(account->withdrawn, (uint64_t)fmax(tokens, 0));
	lsp_bucket_take(&account->pardon, (double)pardon);
	account->withdrawn -= pardon;
	account->taken -= pardon;
}

void greed_settle(const struct lsp_swarm *swarm, struct source *source)
{
	settle(&source->account, told_by(source), swarm->now);
}

void greed_open(struct lsp_swarm *swarm, struct source *source)
{
	struct account *account = &source->account;
	uint64_t rate = source->game->bytes_total / (PARDON_TIME / LSP_SECOND) + 1;
	if (closed_restore(swarm, source->peer->key, source->game->id, account))
		return;
	lsp_bucket_set(&account->pardon, rate, PARDON_TIME, swarm->now);
	lsp_bucket_take(&account->pardon, -account->pardon.burst); /* the game once, at first */
}

void greed_close(struct lsp_swarm *swarm, struct source *source)
{
	greed_settle(swarm, source);
	settle(&source->account, 0, swarm->now);
	closed_keep(swarm, source->peer->key, source->game->id, &source->account);
}

/* ---- Of who announced nothing ------------------------------------------------------------------
 */

void greed_meet(struct lsp_swarm *swarm, struct peer *peer)
{
	struct account account;
	if (closed_restore(swarm, peer->key, 0, &account))
		peer->stray_sent = account.taken;
}

void greed_part(struct lsp_swarm *swarm, const struct peer *peer)
{
	closed_keep(swarm, peer->key, 0, &(struct account){.taken = peer->stray_sent});
}

/* ---- Greed -------------------------------------------------------------------------------------
 */

void greed_sent(const struct lsp_swarm *swarm, const struct upload *upload, uint64_t bytes)
{
	struct source *source = source_find(upload->game, upload->peer);
	upload->peer->stuck = false;
	upload->peer->took = swarm->now;
	if (!source) {
		upload->peer->stray_sent += bytes;
		return;
	}
	source->bytes_sent += bytes;
	source->account.taken += bytes;
	greed_settle(swarm, source);
}

/*
 * Does it take what it does not tell the others of, or has it had the whole game from us, and more?
 * Then whoever has not goes first, and before one that asks and does not read, until it does. Who
 * downloads says so before it asks, and tells of each chunk soon after it has it; what is still on
 * its way, or being verified, is allowed for. bytes: what it asks for as a whole, which must not be
 * more than that either.
 */
static bool is_greedy(const struct game *game, const struct peer *peer, uint64_t bytes)
{
	const struct source *source = source_find(game, peer);
	if (peer->stuck)
		return true;
	uint64_t first =
		LSP_MAX(FIRST_REQUESTS * (game->bytes_total / game->units.set), FIRST_LEAST);
	if (!source)
		return LSP_MAX(peer->stray_sent, bytes) > LSP_MIN(first, FIRST_MOST);
	uint64_t untold = LSP_MIN(LSP_MAX(game->bytes_total / 8, UNTOLD_LEAST), UNTOLD_MOST);
	untold = LSP_MIN(untold, first + UNTOLD_PER_TOLD * told_by(source));
	uint64_t most = game->bytes_total + LSP_MAX(game->bytes_total / 4, AGAIN_LEAST);
	return LSP_MAX(source->account.taken, bytes) > LSP_MIN(told_by(source) + untold, most);
}

bool upload_is_greedy(const struct upload *upload)
{
	return is_greedy(upload->game, upload->peer, 0);
}

/* ---- Beside the queue --------------------------------------------------------------------------
 */

/* What its peer took, by the account; NULL: one of them is gone. */
static uint64_t *taken_by(const struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside,
	struct source **ret_source)
{
	struct peer *peer = table_get(&swarm->peers, aside->peer);
	struct game *game = table_get(&swarm->games, aside->game);
	*ret_source = peer && game ? source_find(game, peer) : NULL;
	if (*ret_source)
		return &(*ret_source)->account.taken;
	return peer && game ? &peer->stray_sent : NULL;
}

void greed_took_aside(
	const struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside, uint64_t bytes)
{
	struct source *source;
	uint64_t *taken = taken_by(swarm, aside, &source);
	if (taken)
		*taken += bytes;
}

void lsp_swarm_aside_unused(
	struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside, uint64_t bytes)
{
	struct source *source;
	uint64_t *taken = taken_by(swarm, aside, &source);
	if (taken)
		*taken -= LSP_MIN(bytes, *taken);
	if (source) /* a part of it */
		source->account.withdrawn = LSP_MIN(source->account.withdrawn, *taken);
	lsp_swarm_game_unused(swarm, aside->game, bytes);
}

void lsp_swarm_aside_end(struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside)
{
	if (swarm->aside == aside)
		swarm->aside = NULL;
}

void greed_note_modest(struct lsp_swarm *swarm, struct peer *peer)
{
	swarm->modest = peer->id;
	swarm->modest_asked = peer->modest_asked = swarm->now;
}

/* Does another who is not greedy wait for what we send, whether he asked just now or not? */
static bool others_ask(const struct lsp_swarm *swarm, const struct peer *peer)
{
	link_each((struct link *)&swarm->running, link)
	{
		const struct upload *upload = lsp_container_of(link, struct upload, link);
		if (upload->peer != peer && !upload_is_greedy(upload))
			return true;
	}
	if (!swarm->modest_asked || swarm->now - swarm->modest_asked > ASKING)
		return false;
	for (uint32_t i = 0; i < swarm->peers.size; i++) {
		const struct peer *other = table_at(&swarm->peers, i);
		if (other && other != peer && other->modest_asked &&
			swarm->now - other->modest_asked <= ASKING)
			return true;
	}
	return false;
}

/*
 * A turn has an end, so that one who does not read keeps it from the others for so long only. Whose
 * turn ended rests before it takes the next: one who waits then looks in between.
 */
bool greed_holds_back(struct lsp_swarm *swarm, const struct lsp_swarm_aside *aside, uint64_t bytes)
{
	struct peer *peer = table_get(&swarm->peers, aside->peer);
	const struct game *game = table_get(&swarm->games, aside->game);
	if (!peer || !game)
		return false;
	struct source *source = source_find(game, peer);
	if (source)
		greed_settle(swarm, source);
	if (!is_greedy(game, peer, bytes)) {
		greed_note_modest(swarm, peer);
		return false;
	}
	if (!others_ask(swarm, peer))
		return false;
	if (swarm->aside && swarm->now < swarm->aside_end)
		return swarm->aside != aside;
	bool had_it = swarm->aside == aside;
	swarm->aside = had_it ? NULL : aside;
	swarm->aside_end = lsp_time_add(
		swarm->now, ASIDE_TURN + (uint64_t)((double)bytes * LSP_SECOND / ASIDE_RATE));
	return had_it;
}
