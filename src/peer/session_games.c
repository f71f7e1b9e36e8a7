/* A session's share of the game list: listing the other's games, and taking their deltas. */
#include "base/log.h"
#include "peer/database.h"
#include "peer/download.h"
#include "peer/exchange.h"
#include "peer/games.h"
#include "peer/peer.h"
#include "peer/session_private.h"

#include <string.h>

#include <utlist.h>

#define GAMES_MAX 20000    /* of one peer: more are not taken */
#define COPIES_MAX 1000000 /* of all peers together */

static enum lsp_holding holding_of(enum lsp_game_state state)
{
	static const enum lsp_holding of[] = {
		[LSP_GAME_HASHING] = LSP_HOLDING_HASHING,
		[LSP_GAME_READY] = LSP_HOLDING_READY,
		[LSP_GAME_PARTIAL] = LSP_HOLDING_PARTIAL,
	};
	return of[state];
}

static void take_game(struct lsp_session *session, const struct lsp_game_summary *summary)
{
	struct lsp_peer *peer = session->peer;
	struct lsp_version version = {0};
	struct lsp_error err = {0};
	if (summary->version[0] &&
		lsp_version_parse(summary->version, strlen(summary->version), &version, NULL) < 0)
		return;
	const struct lsp_known_game *known = lsp_database_find(peer->database, summary->id);
	const struct lsp_remote_game *before =
		known ? lsp_database_copy_of(known, session->remote) : NULL;
	struct lsp_hash old = before ? before->said->content : (struct lsp_hash){0};
	if (!before && (session->remote->game_count >= GAMES_MAX ||
			       lsp_database_copy_count(peer->database) >= COPIES_MAX))
		return;
	if (lsp_database_set_game(peer->database, session->remote, summary->id,
		    summary->title[0] ? summary->title : NULL, &version, &summary->content,
		    summary->size, holding_of(summary->state), &err) < 0) {
		lsp_log_warning("peer", "%s of %s: %s", summary->id, session->name, err.message);
		return;
	}
	if (!lsp_hash_is_zero(&old) && !lsp_hash_equal(&old, &summary->content))
		lsp_session_source(session, &old);
	if (!lsp_hash_is_zero(&summary->content))
		lsp_session_source(session, &summary->content);
	lsp_games_remote_changed(peer, summary->id);
}

static void drop_game(struct lsp_session *session, const char *its_id)
{
	struct lsp_peer *peer = session->peer;
	char id[LSP_GAME_ID_MAX +
		1]; /* the given one may be the database's, and go with the game */
	snprintf(id, sizeof id, "%s", its_id);
	const struct lsp_known_game *known = lsp_database_find(peer->database, id);
	const struct lsp_remote_game *copy =
		known ? lsp_database_copy_of(known, session->remote) : NULL;
	if (!copy)
		return;
	struct lsp_hash content = copy->said->content;
	lsp_database_remove_game(peer->database, session->remote, id);
	if (!lsp_hash_is_zero(&content))
		lsp_session_source(session, &content);
	lsp_games_remote_changed(peer, id);
}

/* ---- Listing ---- */

static void clear_listed(struct lsp_session *session)
{
	for (size_t i = 0; i < session->listed.count; i++)
		free(session->listed.items[i]);
	free(session->listed.items);
	session->listed = (struct lsp_text_list){0};
}

void lsp_session_stop_listing(struct lsp_session *session)
{
	if (session->listing)
		lsp_exchange_abort(TAKE_PTR(session->listing));
	clear_listed(session);
}

static bool remember_listed(struct lsp_session *session, const char *id)
{
	size_t count = session->listed.count;
	if ((count & (count - 1)) == 0) {
		char **grown =
			realloc(session->listed.items, (count ? 2 * count : 1) * sizeof(*grown));
		if (!grown)
			return false;
		session->listed.items = grown;
	}
	session->listed.items[count] = strdup(id);
	if (!session->listed.items[count])
		return false;
	session->listed.count++;
	return true;
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What it had before and did not list again is gone. Ids come in order, but that is its word. */
static void drop_unlisted(struct lsp_session *session)
{
	struct lsp_text_list *listed = &session->listed;
	if (listed->count)
		qsort(listed->items, listed->count, sizeof(char *), compare_ids);
	struct lsp_remote_game *copy, *next;
	for (copy = session->remote->games; copy; copy = next) {
		next = copy->next_game;
		const char *id = copy->game->id;
		if (!listed->count ||
			!bsearch(&id, listed->items, listed->count, sizeof(char *), compare_ids))
			drop_game(session, id);
	}
}

static void ask_page(struct lsp_session *session);

static void page_came(struct lsp_exchange *exchange, struct lsp_response *response)
{
	struct lsp_session *session = lsp_exchange_argument(exchange);
	if (response->type != LSP_RESPONSE_GAMES) {
		lsp_session_refuse(session, LSP_CLOSE_PROTOCOL, "no Games in answer to ListGames");
		return;
	}
	struct lsp_games_response *page = &response->games;
	if (!session->list_after[0])
		session->listing_revision = page->revision;
	for (size_t i = 0; i < page->games.count; i++) {
		take_game(session, &page->games.items[i]);
		if (!remember_listed(session, page->games.items[i].id))
			session->list_again = true;
	}
	session->list_after[0] = '\0';
	if (page->more && page->games.count && session->listed.count < GAMES_MAX)
		snprintf(session->list_after, sizeof session->list_after, "%s",
			page->games.items[page->games.count - 1].id);
}

static void page_done(struct lsp_exchange *exchange, const struct lsp_error *error)
{
	struct lsp_session *session = lsp_exchange_argument(exchange);
	session->listing = NULL;
	if (session->state != SESSION_ESTABLISHED)
		return;
	if (error) {
		lsp_log_debug("peer", "games of %s: %s", session->name, error->message);
		clear_listed(session);
		session->list_again = true; /* with the next beat */
		return;
	}
	if (session->list_after[0]) {
		ask_page(session);
		return;
	}
	drop_unlisted(session);
	clear_listed(session);
	session->remote->revision = session->listing_revision;
	if (session->list_again)
		lsp_session_list_games(session);
}

static void ask_page(struct lsp_session *session)
{
	static const struct lsp_exchange_callbacks callbacks = {
		.response = page_came, .done = page_done};
	struct lsp_request request = {.type = LSP_REQUEST_LIST_GAMES};
	request.list_games.limit = LSP_MESSAGE_GAMES_MAX;
	snprintf(request.list_games.after, sizeof request.list_games.after, "%s",
		session->list_after);
	(void)!lsp_exchange_start(
		session->connection, &request, &callbacks, session, &session->listing, NULL);
}

void lsp_session_list_games(struct lsp_session *session)
{
	if (session->listing) {
		session->list_again = true;
		return;
	}
	session->list_again = false;
	session->list_after[0] = '\0';
	clear_listed(session);
	ask_page(session);
}

/* ---- Deltas ---- */

void lsp_session_take_delta(struct lsp_session *session, const struct lsp_library_delta *delta)
{
	if (session->listing || delta->base != session->remote->revision) {
		if (delta->revision > session->remote->revision)
			lsp_session_list_games(session);
		return;
	}
	for (size_t i = 0; i < delta->changed.count; i++)
		take_game(session, &delta->changed.items[i]);
	for (size_t i = 0; i < delta->removed.count; i++)
		drop_game(session, delta->removed.items[i]);
	session->remote->revision = delta->revision;
}
