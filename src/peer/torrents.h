/*
 * The torrent engine as a part of this peer.
 *
 * The engine (torrent/engine.h) runs as the service "torrent". It is started when the setting
 * `swarm` is lan or internet, else by the first command that needs it: without being asked for,
 * nothing of it runs. What it tells (completions, events) comes on its own thread and is posted
 * from there to the core loop, where everything here lives.
 *
 * The setting gives its configuration: off and lan keep to this LAN (DHT, UPnP and NAT-PMP off; lan
 * turns local service discovery on), internet turns them all on. Over that lies what the user
 * configured by `torrent configure`, which is kept in torrent.json of the state folder. A change of
 * either is in effect within two seconds; one that the engine does not hear, because it has just
 * failed, is told again once it is back.
 *
 * Where the engine listens, the other peers learn from Hello and TorrentPort; who has such a port
 * is offered to it as a peer, so that a swarm in the hall needs no tracker.
 *
 * The files: torrents.c starts it and talks to it, torrents_settings.c tells it the settings,
 * torrents_lan.c offers it the peers here, torrents_status.c shows it; torrent_port.c says where to
 * find it; torrent_commands.c is what a client may ask; torrent_games.c seeds our games and knows
 * which torrents are which game; torrent_fetch.c gets the chunks of a game's download;
 * torrent_add.c makes a game of somebody's torrent, of which torrent_kept.c and torrent_wish.c
 * survive a kill; torrent_late.c downloads those whose content is not known before, of which
 * torrent_promote.c makes games; torrent_share.c makes a torrent of a game; torrent_place.c keeps
 * all others out of the games folder.
 */
#pragma once

#include "torrent/engine.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct lsp_peer;
struct lsp_session;
struct lsp_torrents;

LSP_MUST_CHECK int lsp_torrents_new(
	struct lsp_peer *peer, struct lsp_torrents **ret_torrents, struct lsp_error *err);
/* After the tasks were joined. Calls that were never answered end here. */
void lsp_torrents_free(struct lsp_torrents *torrents);

/* Starts the engine if the setting wants it, and tells it what the settings say now. */
void lsp_torrents_apply(struct lsp_torrents *torrents);
/* Once a second. */
void lsp_torrents_tick(struct lsp_torrents *torrents);

/*
 * Hands a call to the engine, starting it if need be. 0: `done` of the call comes on the core loop,
 * exactly once. Its answer is NULL when the peer stops before the engine answered: then it frees
 * what is its own and touches nothing else. An error: it does not come. Either way what the call
 * holds is taken over.
 */
LSP_MUST_CHECK int lsp_torrents_call(
	struct lsp_peer *peer, struct lsp_torrent_call *call, struct lsp_error *err);
/* The same of a command that needs the torrent's id alone. */
LSP_MUST_CHECK int lsp_torrents_ask(struct lsp_peer *peer, enum lsp_torrent_command command,
	const char *id, void (*done)(void *argument, struct lsp_torrent_answer *answer),
	void *argument, struct lsp_error *err);
/* The same with arguments alone and nobody who waits: a failure is logged. Takes `arguments`. */
void lsp_torrents_tell(struct lsp_peer *peer, enum lsp_torrent_command command, json_t *arguments);

/* Starts the engine if it does not run yet: somebody asked for it. */
LSP_MUST_CHECK int lsp_torrents_ensure(struct lsp_torrents *torrents, struct lsp_error *err);
/* The games folder is elsewhere now. */
void lsp_torrents_games_moved(struct lsp_torrents *torrents);
bool lsp_torrents_are_running(const struct lsp_torrents *torrents);
/* Does the setting say that our games are seeded without being asked? */
bool lsp_torrents_seed_all(const struct lsp_torrents *torrents);
/* Is nobody asked (by LSD or DHT) who else there is? */
bool lsp_torrents_keep_to_themselves(const struct lsp_torrents *torrents);
/*
 * Where the engine listens (TCP) for a peer that is connected from there (torrent_port.h); 0: it
 * does not. torrents may be NULL.
 */
uint16_t lsp_torrents_port(
	const struct lsp_torrents *torrents, const struct sockaddr_storage *peer);

/* ---- Peers of the LAN ---- */

/* A session is up, or tells another port. */
void lsp_torrents_peer_came(struct lsp_torrents *torrents, struct lsp_session *session);
/* ["address:port"] of everybody here who has a torrent engine. A new reference. */
json_t *lsp_torrents_lan_peers(struct lsp_peer *peer);

/* ---- Configuration ---- */

/* What the user configured, {} for nothing. Borrowed. */
json_t *lsp_torrents_configuration(const struct lsp_torrents *torrents);
/*
 * Checks, keeps and applies it. 0: `done` comes as of a call. -LSP_E_INVALID names the key. Takes a
 * reference of its own.
 */
LSP_MUST_CHECK int lsp_torrents_configure(struct lsp_torrents *torrents, json_t *configuration,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err);
/* The configuration that the engine gets: the mode's with the user's above. A new reference. */
json_t *lsp_torrents_effective(const char *mode, json_t *user);

/* ---- Limits ---- */

/*
 * Tells the engine, starting it if need be, the limits for all torrents together as the settings
 * have them now. 0: `done` comes as of a call, once they are in effect.
 */
LSP_MUST_CHECK int lsp_torrents_limit(struct lsp_torrents *torrents,
	void (*done)(void *argument, struct lsp_torrent_answer *answer), void *argument,
	struct lsp_error *err);

/* ---- For status, health and the list of games ---- */

/* The "torrent" member of Status; null while the engine does not run. A new reference. */
json_t *lsp_torrents_status_json(const struct lsp_torrents *torrents);
/* Appends "torrent_…" for every component of it that is degraded. */
void lsp_torrents_add_degraded(const struct lsp_torrents *torrents, json_t *degraded);
/*
 * What is known of a torrent by its events: {"state", "peers", "seeds", "download_rate",
 * "upload_rate", "game"}, or NULL. Borrowed until the loop's next round.
 */
const json_t *lsp_torrents_known(const struct lsp_torrents *torrents, const char *id);
