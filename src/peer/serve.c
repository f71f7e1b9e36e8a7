#include "peer/serve.h"

#include "base/log.h"
#include "peer/announce.h"
#include "peer/connect.h"
#include "peer/database.h"
#include "peer/events.h"
#include "peer/exchange.h"
#include "peer/games.h"
#include "peer/local.h"
#include "peer/peer.h"
#include "peer/serve_disk.h"
#include "peer/session_private.h"
#include "peer/share.h"
#include "peer/torrents.h"
#include "peer/upload.h"

#include <string.h>

typedef void (*serve_function)(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request);

static void serve_ping(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	struct lsp_response response = {.type = LSP_RESPONSE_PONG};
	lsp_responder_send(responder, &response);
}

static void serve_hello(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	struct lsp_response response = {.type = LSP_RESPONSE_HELLO};
	if (session->dialled || session->state != SESSION_GREETING || session->greeted) {
		lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "a Hello that is not its turn");
		return;
	}
	session->greeted = true;
	lsp_session_fill_hello(session, &response.hello);
	lsp_responder_send(responder, &response);
	lsp_session_take_hello(session, &request->hello);
}

static void serve_list_games(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	_cleanup_response_ struct lsp_response response = {.type = LSP_RESPONSE_GAMES};
	struct lsp_error err = {0};
	session->listed_early = true;
	if (!lsp_responders_have_room(session->responders))
		lsp_responder_put_off(responder);
	else if (lsp_announce_page(
			 session->peer->announce, &request->list_games, &response.games, &err) < 0)
		lsp_responder_fail(responder, &err);
	else
		lsp_responder_send(responder, &response);
}

static void serve_get_game(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	const struct lsp_game_summary *known =
		lsp_announce_find(session->peer->announce, request->get_game.id);
	if (!known) {
		struct lsp_error err = {0};
		lsp_error_set(&err, "peer", LSP_E_NOT_FOUND, "there is no game \"%s\" here",
			request->get_game.id);
		lsp_responder_fail(responder, &err);
		return;
	}
	struct lsp_game_summary summary = *known;
	struct lsp_response response = {.type = LSP_RESPONSE_GAME};
	response.game.games = (struct lsp_game_list){.items = &summary, .count = 1};
	lsp_responder_send(responder, &response);
}

static void serve_file(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	const struct lsp_get_file *file = &request->get_file;
	lsp_upload_file(session, responder, &file->content, file->id, file->path, 0, 0, true);
}

static void serve_file_range(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	const struct lsp_get_file_range *range = &request->get_file_range;
	lsp_upload_file(session, responder, &range->content, range->id, range->path, range->offset,
		range->length, false);
}

static void serve_chunks(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	lsp_upload_chunks(session, responder, &request->get_chunks);
}

static void serve_delta(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	lsp_session_take_delta(session, &request->library_delta);
	lsp_responder_ok(responder);
}

static void serve_follow(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	_cleanup_response_ struct lsp_response response = {.type = LSP_RESPONSE_HAVES};
	struct lsp_error err = {0};
	if (!lsp_responders_have_room(session->responders))
		lsp_responder_put_off(responder);
	else if (lsp_session_follow(session, &request->get_content.content, &response.haves, &err) <
		 0)
		lsp_responder_fail(responder, &err);
	else
		lsp_responder_send(responder, &response);
}

static void serve_unfollow(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	lsp_session_unfollow(session, &request->get_content.content);
	lsp_responder_ok(responder);
}

static void serve_haves(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	lsp_responder_ok(responder);
	lsp_session_take_haves(session, &request->haves);
}

static void serve_have_update(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	lsp_responder_ok(responder);
	lsp_session_take_have_update(session, &request->chunk_set);
}

static void serve_withdraw(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	lsp_responder_ok(responder);
	lsp_session_take_withdraw(session, &request->chunk_set);
}

/* Suggestions are for peers that choose by them; ours gets its hints with the bounces. */
static void serve_suggest(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	lsp_responder_ok(responder);
}

static void serve_chunk_rejected(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	struct lsp_peer *peer = session->peer;
	const struct lsp_chunk_rejected *rejected = &request->chunk_rejected;
	struct lsp_share *share = lsp_shares_find(peer->shares, &rejected->content);
	lsp_responder_ok(responder);
	if (!share || rejected->chunk >= lsp_share_manifest(share)->chunk_count)
		return;
	if (!lsp_serve_recheck(peer, share, (uint32_t)rejected->chunk))
		return;
	char id[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(&session->id, id);
	lsp_log_warning("peer", "%s says that a chunk of %s from here has a wrong hash: looking",
		session->name, lsp_share_game(share));
	lsp_events_publish(
		peer->events, json_pack("{s:s, s:s, s:s, s:s, s:i}", "event", "chunk_rejected",
				      "game", lsp_share_game(share), "peer", id, "reason",
				      "the peer says that a chunk from here has a wrong hash",
				      "chunk", (int)rejected->chunk));
}

static void serve_goodbye(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	lsp_responder_ok(responder);
	lsp_connection_close(session->connection, LSP_CLOSE_GOODBYE, request->goodbye.reason);
}

static void serve_torrent_port(
	struct lsp_session *session, struct lsp_responder *responder, struct lsp_request *request)
{
	lsp_responder_ok(responder);
	session->torrent_port = (uint16_t)request->torrent_port.port;
	lsp_torrents_peer_came(session->peer->torrents, session);
}

static const serve_function functions[LSP_REQUEST_COUNT] = {
	[LSP_REQUEST_PING] = serve_ping,
	[LSP_REQUEST_HELLO] = serve_hello,
	[LSP_REQUEST_LIST_GAMES] = serve_list_games,
	[LSP_REQUEST_GET_GAME] = serve_get_game,
	[LSP_REQUEST_GET_MANIFEST] = lsp_serve_manifest,
	[LSP_REQUEST_GET_GAME_FILE_DATA] = serve_file,
	[LSP_REQUEST_GET_GAME_FILE_CHUNK] = serve_file_range,
	[LSP_REQUEST_GET_CHUNKS] = serve_chunks,
	[LSP_REQUEST_GET_BLOCKS] = lsp_serve_blocks,
	[LSP_REQUEST_GET_HASHES] = lsp_serve_hashes,
	[LSP_REQUEST_GET_COVER] = lsp_serve_cover,
	[LSP_REQUEST_LIBRARY_DELTA] = serve_delta,
	[LSP_REQUEST_FOLLOW] = serve_follow,
	[LSP_REQUEST_UNFOLLOW] = serve_unfollow,
	[LSP_REQUEST_HAVES] = serve_haves,
	[LSP_REQUEST_HAVE_UPDATE] = serve_have_update,
	[LSP_REQUEST_SUGGEST] = serve_suggest,
	[LSP_REQUEST_CHUNK_REJECTED] = serve_chunk_rejected,
	[LSP_REQUEST_WITHDRAW] = serve_withdraw,
	[LSP_REQUEST_TORRENT_PORT] = serve_torrent_port,
	[LSP_REQUEST_GOODBYE] = serve_goodbye,
};

/*
 * What may be asked before both have said Hello. The side that answers a Hello takes it for done
 * and goes on; since streams overtake each other, its next request may be here before its answer
 * is. So the side that dialled serves lists early, and puts the rest off.
 */
enum early { EARLY_SERVE, EARLY_BUSY, EARLY_BREACH };

static enum early judge_early(const struct lsp_session *session, enum lsp_request_type type)
{
	if (type == LSP_REQUEST_HELLO || type == LSP_REQUEST_PING || type == LSP_REQUEST_GOODBYE)
		return EARLY_SERVE;
	if (session->dialled && type == LSP_REQUEST_LIST_GAMES)
		return EARLY_SERVE;
	if (session->dialled || session->challenged || session->state == SESSION_GONE)
		return EARLY_BUSY;
	return EARLY_BREACH;
}

static void serve(void *argument, struct lsp_responder *responder, struct lsp_request *request)
{
	struct lsp_session *session = argument;
	struct lsp_error err = {0};
	enum early early = session->state == SESSION_ESTABLISHED
				   ? EARLY_SERVE
				   : judge_early(session, request->type);
	switch (early) {
	case EARLY_SERVE:
		functions[request->type](session, responder, request);
		break;
	case EARLY_BUSY:
		lsp_error_set(&err, "peer", LSP_E_BUSY, "not yet");
		lsp_responder_fail(responder, &err);
		break;
	case EARLY_BREACH:
		lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "%s before Hello",
			lsp_request_name(request->type));
		break;
	}
}

static void breach(void *argument, const struct lsp_error *error)
{
	struct lsp_session *session = argument;
	lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "%s", error->message);
}

void lsp_serve_stream(struct lsp_session *session, struct lsp_stream *stream)
{
	lsp_responder_start(stream, &(struct lsp_responder_hooks){.request = serve,
					    .breach = breach,
					    .argument = session,
					    .all = &session->responders,
					    .clock = session->peer->clock});
}
