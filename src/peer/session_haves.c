/* A session's share of the swarm: who has which chunks, told and heard. */
#include "base/log.h"
#include "peer/database.h"
#include "peer/download.h"
#include "peer/events.h"
#include "peer/exchange.h"
#include "peer/peer.h"
#include "peer/session_private.h"
#include "peer/share.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define FOLLOWS_MAX 64 /* contents that one peer may follow here */
#define PENDING_RANGES_MAX 512

/* ---- Theirs ---- */

/* How the session's peer holds what is shared here, by its own account. */
static const struct lsp_remote_game *copy_of(
	const struct lsp_session *session, const struct lsp_share *share)
{
	const struct lsp_known_game *known =
		lsp_database_find(session->peer->database, lsp_share_game(share));
	const struct lsp_remote_game *copy =
		known && session->remote ? lsp_database_copy_of(known, session->remote) : NULL;
	const struct lsp_hash *content = &lsp_share_manifest(share)->content_id;
	return copy && lsp_hash_equal(&copy->said->content, content) ? copy : NULL;
}

static void haves_came(struct lsp_exchange *exchange, struct lsp_response *response)
{
	struct lsp_session *session = lsp_exchange_argument(exchange);
	if (response->type == LSP_RESPONSE_HAVES)
		lsp_session_take_haves(session, &response->haves);
}

static void haves_done(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct lsp_session *session = lsp_exchange_argument(exchange);
	if (error)
		lsp_log_debug("peer", "haves of %s: %s", session->name, error->message);
}

static void follow(struct lsp_session *session, const struct lsp_hash *content)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.response = haves_came, .done = haves_done};
	struct lsp_request request = {.type = LSP_REQUEST_FOLLOW};
	struct lsp_exchange *exchange;
	request.get_content.content = *content;
	(void)!lsp_exchange_start(
		session->connection, &request, &callbacks, session, &exchange, NULL);
}

void lsp_session_source(struct lsp_session *session, const struct lsp_hash *content)
{
	struct lsp_peer *peer = session->peer;
	struct lsp_share *share = lsp_shares_find(peer->shares, content);
	if (!share || session->state != SESSION_ESTABLISHED)
		return;
	const struct lsp_remote_game *copy = copy_of(session, share);
	lsp_swarm_id game = lsp_share_swarm_game(share);
	if (!copy)
		lsp_swarm_peer_withdrew(peer->swarm, session->swarm_peer, game);
	else if (copy->holding == LSP_HOLDING_READY)
		(void)!lsp_swarm_peer_has_all(peer->swarm, session->swarm_peer, game, NULL);
	else if (copy->holding == LSP_HOLDING_PARTIAL)
		follow(session, content);
	lsp_peer_kick(peer);
}

void lsp_sessions_offer_share(struct lsp_peer *peer, struct lsp_share *share)
{
	struct lsp_session *session;
	DL_FOREACH(peer->sessions, session)
	{
		if (copy_of(session, share))
			lsp_session_source(session, &lsp_share_manifest(share)->content_id);
	}
}

static void breach(struct lsp_session *session, int r, const struct lsp_error *err)
{
	if (r == -LSP_E_PROTOCOL)
		lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "%s", err->message);
}

void lsp_session_take_haves(struct lsp_session *session, const struct lsp_haves *haves)
{
	struct lsp_peer *peer = session->peer;
	struct lsp_share *share = lsp_shares_find(peer->shares, &haves->content);
	struct lsp_error err = {0};
	if (!share)
		return;
	lsp_swarm_id game = lsp_share_swarm_game(share);
	int r = haves->all ? lsp_swarm_peer_has_all(peer->swarm, session->swarm_peer, game, &err)
			   : lsp_swarm_peer_has(
				     peer->swarm, session->swarm_peer, game, &haves->chunks, &err);
	breach(session, r, &err);
	lsp_peer_kick(peer);
}

void lsp_session_take_have_update(struct lsp_session *session, const struct lsp_chunk_set *update)
{
	struct lsp_peer *peer = session->peer;
	struct lsp_share *share = lsp_shares_find(peer->shares, &update->content);
	struct lsp_error err = {0};
	if (!share)
		return;
	if (!lsp_ranges_fit(&update->chunks, lsp_share_manifest(share)->chunk_count)) {
		lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "it has chunks that do not exist");
		return;
	}
	int r = 0;
	for (size_t i = 0; i < update->chunks.count && r != -LSP_E_PROTOCOL; i++)
		r = lsp_swarm_peer_gained(peer->swarm, session->swarm_peer,
			lsp_share_swarm_game(share), (uint32_t)update->chunks.items[i].first,
			(uint32_t)update->chunks.items[i].count, &err);
	breach(session, r, &err);
	lsp_peer_kick(peer);
}

void lsp_session_take_withdraw(struct lsp_session *session, const struct lsp_chunk_set *set)
{
	struct lsp_peer *peer = session->peer;
	struct lsp_share *share = lsp_shares_find(peer->shares, &set->content);
	struct lsp_error err = {0};
	if (!share)
		return;
	if (!lsp_ranges_fit(&set->chunks, lsp_share_manifest(share)->chunk_count)) {
		lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "it lost chunks that do not exist");
		return;
	}
	lsp_swarm_id game = lsp_share_swarm_game(share);
	if (!set->chunks.count)
		lsp_swarm_peer_withdrew(peer->swarm, session->swarm_peer, game);
	int r = 0;
	for (size_t i = 0; i < set->chunks.count && r != -LSP_E_PROTOCOL; i++)
		r = lsp_swarm_peer_lost(peer->swarm, session->swarm_peer, game,
			(uint32_t)set->chunks.items[i].first, (uint32_t)set->chunks.items[i].count,
			&err);
	breach(session, r, &err);
	lsp_peer_kick(peer);
}

/* ---- Ours ---- */

static struct lsp_follow *find_follow(
	const struct lsp_session *session, const struct lsp_hash *content)
{
	struct lsp_follow *f;
	DL_FOREACH(session->follows, f)
	{
		if (lsp_hash_equal(&f->content, content))
			return f;
	}
	return NULL;
}

static int fill_haves(struct lsp_peer *peer, const struct lsp_share *share,
	struct lsp_haves *ret_haves, struct lsp_error *err)
{
	const struct lsp_bitmap *have =
		lsp_swarm_game_have(peer->swarm, lsp_share_swarm_game(share));
	struct lsp_haves haves = {.content = lsp_share_manifest(share)->content_id};
	haves.all = !have || lsp_bitmap_full(have);
	if (!haves.all) {
		int r = lsp_bitmap_init(&haves.chunks, have->bits, err);
		if (r == 0)
			r = lsp_bitmap_load(
				&haves.chunks, have->bytes, lsp_bitmap_bytes(have), err);
		if (r < 0) {
			lsp_bitmap_done(&haves.chunks);
			return r;
		}
	}
	*ret_haves = haves;
	return 0;
}

int lsp_session_follow(struct lsp_session *session, const struct lsp_hash *content,
	struct lsp_haves *ret_haves, struct lsp_error *err)
{
	struct lsp_share *share = lsp_shares_find(session->peer->shares, content);
	if (!share)
		return lsp_error_set(err, "peer", LSP_E_NOT_FOUND, "that content is not here");
	if (!find_follow(session, content)) {
		struct lsp_follow *f =
			session->follow_count < FOLLOWS_MAX ? calloc(1, sizeof *f) : NULL;
		if (!f)
			return lsp_error_set(err, "peer", LSP_E_BUSY, "it follows too many");
		f->content = *content;
		DL_APPEND(session->follows, f);
		session->follow_count++;
	}
	return fill_haves(session->peer, share, ret_haves, err);
}

static void drop_follow(struct lsp_session *session, struct lsp_follow *f)
{
	DL_DELETE(session->follows, f);
	session->follow_count--;
	lsp_ranges_done(&f->pending);
	free(f);
}

void lsp_session_unfollow(struct lsp_session *session, const struct lsp_hash *content)
{
	struct lsp_follow *f = find_follow(session, content);
	if (f)
		drop_follow(session, f);
}

void lsp_session_drop_follows(struct lsp_session *session)
{
	while (session->follows)
		drop_follow(session, session->follows);
}

/* Joins a range to those that wait; false when there is no room. */
static bool add_pending(struct lsp_follow *f, uint64_t first, uint64_t count)
{
	struct lsp_ranges *ranges = &f->pending;
	for (size_t i = ranges->count; i-- > 0 && ranges->count - i <= 8;) {
		struct lsp_range *r = &ranges->items[i];
		if (r->first + r->count == first) {
			r->count += count;
			return true;
		}
		if (first + count == r->first) {
			r->first = first;
			r->count += count;
			return true;
		}
	}
	if (ranges->count == PENDING_RANGES_MAX)
		return false;
	if (!ranges->items)
		ranges->items = calloc(PENDING_RANGES_MAX, sizeof *ranges->items);
	if (!ranges->items)
		return false;
	ranges->items[ranges->count++] = (struct lsp_range){first, count};
	return true;
}

/* What was told last: mostly everybody is told the same. */
struct news {
	struct lsp_buffer frame; /* empty: nothing yet */
	struct lsp_hash content;
	struct lsp_ranges chunks; /* a follow's */
};

static bool is_same(const struct news *news, const struct lsp_follow *f)
{
	const struct lsp_ranges *ours = &news->chunks, *theirs = &f->pending;
	return news->frame.size && ours->count == theirs->count &&
	       lsp_hash_equal(&news->content, &f->content) &&
	       memcmp(ours->items, theirs->items, ours->count * sizeof *ours->items) == 0;
}

static void encode_news(struct news *news, const struct lsp_follow *f)
{
	struct lsp_request request = {.type = LSP_REQUEST_HAVE_UPDATE};
	struct lsp_error err = {0};
	request.chunk_set.content = news->content = f->content;
	request.chunk_set.chunks = news->chunks = f->pending;
	news->frame.size = 0;
	if (lsp_request_append(&request, &news->frame, &err) < 0)
		lsp_log_debug("peer", "cannot tell of chunks: %s", err.message);
}

static void tell_news(struct lsp_session *session, struct lsp_follow *f, struct news *news)
{
	if (!f->pending.count)
		return;
	if (!is_same(news, f))
		encode_news(news, f);
	if (news->frame.size)
		lsp_exchange_tell_frame(session->connection, &news->frame);
	f->pending.count = 0; /* the ranges themselves stay there for `news` */
}

static void flush_follow(struct lsp_session *session, struct lsp_follow *f)
{
	struct news news = {0};
	tell_news(session, f, &news);
	lsp_buffer_done(&news.frame);
}

void lsp_sessions_flush_haves(struct lsp_peer *peer)
{
	struct lsp_session *session;
	struct news news = {0};
	DL_FOREACH(peer->sessions, session)
	{
		struct lsp_follow *f;
		DL_FOREACH(session->follows, f)
		tell_news(session, f, &news);
	}
	lsp_buffer_done(&news.frame);
}

void lsp_sessions_announce_chunks(
	struct lsp_peer *peer, struct lsp_share *share, uint32_t first, uint32_t count, bool gained)
{
	const struct lsp_hash *content = &lsp_share_manifest(share)->content_id;
	struct lsp_session *session;
	DL_FOREACH(peer->sessions, session)
	{
		struct lsp_follow *f = find_follow(session, content);
		if (gained) {
			if (f && !add_pending(f, first, count)) {
				flush_follow(session, f);
				(void)!add_pending(f, first, count);
			}
		} else if (session->state == SESSION_ESTABLISHED) {
			struct lsp_range range = {first, count};
			struct lsp_request request = {.type = LSP_REQUEST_WITHDRAW};
			request.chunk_set.content = *content;
			request.chunk_set.chunks = (struct lsp_ranges){&range, 1};
			if (f)
				flush_follow(session, f); /* gained again, it is told once more */
			lsp_exchange_tell(session->connection, &request);
		}
	}
}

void lsp_sessions_tell_all(struct lsp_peer *peer, const struct lsp_request *request)
{
	struct lsp_session *session;
	DL_FOREACH(peer->sessions, session)
	{
		if (session->state == SESSION_ESTABLISHED ||
			(session->state == SESSION_GREETING && session->listed_early))
			lsp_exchange_tell(session->connection, request);
	}
}

void lsp_session_reject_chunk(struct lsp_session *session, struct lsp_share *share, uint32_t chunk)
{
	struct lsp_peer *peer = session->peer;
	struct lsp_request request = {.type = LSP_REQUEST_CHUNK_REJECTED};
	char id[LSP_SHA256_HEX_SIZE];
	request.chunk_rejected.content = lsp_share_manifest(share)->content_id;
	request.chunk_rejected.chunk = chunk;
	lsp_exchange_tell(session->connection, &request);
	lsp_hash_to_hex(&session->id, id);
	lsp_log_warning("peer", "%s sent a chunk of %s with a wrong hash", session->name,
		lsp_share_game(share));
	lsp_events_publish(peer->events,
		json_pack("{s:s, s:s, s:s, s:s, s:i}", "event", "chunk_rejected", "game",
			lsp_share_game(share), "peer", id, "reason",
			"its bytes do not have the hash of the content", "chunk", (int)chunk));
}
