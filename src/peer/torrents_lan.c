/* Where the engine listens, and who else here has one; and what is looked at once a second. */
#include "peer/torrents_private.h"

#include "net/address.h"
#include "peer/events.h"
#include "peer/peer.h"
#include "peer/session.h"
#include "peer/torrent_fetch.h"
#include "peer/torrent_games.h"
#include "peer/torrent_late.h"
#include "peer/torrent_port.h"

#include <string.h>

#define OFFER_EVERY (2 * LSP_SECOND)

/* NULL: nowhere. */
static void take_listen(struct lsp_torrents *torrents, json_t *listen)
{
	uint16_t port = lsp_torrent_port_shown(listen);
	if (listen == torrents->listen || json_equal(listen, torrents->listen))
		return;
	json_decref(torrents->listen);
	torrents->listen = json_incref(listen);
	if (torrents->port != port)
		lsp_events_publish(torrents->peer->events,
			json_pack("{s:s, s:i}", "event", "torrent_listening", "port", (int)port));
	torrents->port = port;
	lsp_sessions_tell_torrent_port(torrents->peer);
}

static void inspected(void *argument, struct lsp_torrent_answer *answer)
{
	struct lsp_torrents *torrents = argument;
	if (!answer)
		return;
	torrents->asked_port = false;
	if (answer->result == 0)
		take_listen(torrents, json_object_get(answer->value, "listen"));
	if (!torrents->port)
		torrents->sessions = 0; /* not yet: ask again */
}

void lsp_torrents_ask_port(struct lsp_torrents *torrents)
{
	struct lsp_torrent_call call = {
		.command = LSP_TORRENT_INSPECT, .done = inspected, .argument = torrents};
	torrents->asked_port = lsp_torrents_call(torrents->peer, &call, NULL) == 0;
}

/* Only who downloads has to dial: the others wait to be found. */
static bool wants_peers(const json_t *known)
{
	const char *state = json_string_value(json_object_get(known, "state"));
	return state &&
	       (strcmp(state, "downloading") == 0 || strcmp(state, "fetching_metadata") == 0);
}

/*
 * Downloads are offered the peers of the LAN again: one dial may fail or come too early (the other
 * side was just adding the torrent), and the library gives up on a peer after a few. One that is
 * connected is left as it is.
 */
static void offer_again(struct lsp_torrents *torrents)
{
	const char *id;
	json_t *known, *peers = NULL;
	lsp_time now = lsp_peer_now(torrents->peer);
	if (now < torrents->next_offer)
		return;
	torrents->next_offer = lsp_time_add(now, OFFER_EVERY);
	json_object_foreach (torrents->known, id, known) {
		if (!wants_peers(known))
			continue;
		if (!peers)
			peers = lsp_torrents_lan_peers(torrents->peer);
		if (json_array_size(peers))
			lsp_torrents_tell(torrents->peer, LSP_TORRENT_ADD_PEERS,
				json_pack("{s:s, s:O}", "torrent", id, "lan_peers", peers));
	}
	json_decref(peers);
}

void lsp_torrents_tick(struct lsp_torrents *torrents)
{
	struct lsp_torrent_counters counters = {0};
	if (!torrents->engine)
		return;
	lsp_torrent_counters(torrents->engine, &counters);
	if (!counters.session_open) {
		torrents->sessions = 0;
		take_listen(torrents, NULL);
	} else if (!torrents->asked_port && (torrents->sessions != counters.sessions ||
						    torrents->listens != counters.listens)) {
		torrents->sessions = counters.sessions;
		torrents->listens = counters.listens;
		lsp_torrents_ask_port(torrents);
	}
	if (counters.session_open && torrents->mode_unheard)
		lsp_torrents_tell_configuration(torrents);
	if (counters.session_open && torrents->limits_unheard)
		lsp_torrents_tell_limits(torrents);
	/* A session begins with what is stored, and our games are not. */
	if (counters.session_open && torrents->seeded_session != counters.sessions) {
		torrents->seeded_session = counters.sessions;
		lsp_torrent_games_mode_changed(torrents->peer);
	}
	offer_again(torrents);
	lsp_torrent_fetch_tick(torrents->peer);
	lsp_torrent_late_tick(torrents->peer);
}

json_t *lsp_torrents_lan_peers(struct lsp_peer *peer)
{
	char address[LSP_ADDRESS_TEXT_MAX];
	json_t *list = json_array();
	for (struct lsp_session *s = peer->sessions; s; s = lsp_session_next(s)) {
		if (lsp_session_is_established(s) && lsp_session_torrent_address(s, address))
			json_array_append_new(list, json_string(address));
	}
	return list;
}

void lsp_torrents_peer_came(struct lsp_torrents *torrents, struct lsp_session *session)
{
	char address[LSP_ADDRESS_TEXT_MAX];
	const char *id;
	json_t *known;
	if (!torrents || !torrents->engine || !lsp_session_torrent_address(session, address))
		return;
	json_object_foreach (torrents->known, id, known) {
		if (wants_peers(known))
			lsp_torrents_tell(torrents->peer, LSP_TORRENT_ADD_PEERS,
				json_pack("{s:s, s:[s]}", "torrent", id, "lan_peers", address));
	}
}
