/* The torrent engine as a part of this peer: what its files (torrents*.c) share. */
#pragma once

#include "peer/torrents.h"

#include "base/clock.h"

struct lsp_torrent_places;
struct lsp_torrents_box;

#define LSP_TORRENTS_CONFIGURATION_FILE "torrent.json"

struct lsp_torrents {
	struct lsp_peer *peer;
	struct lsp_torrent_engine *engine; /* NULL: not started */
	struct lsp_torrent_places *places; /* from the first start on */
	struct lsp_torrents_box *open;     /* calls that are not answered yet */
	json_t *configuration;             /* the user's */
	json_t *known;                     /* torrent → what its events said */
	char mode[16];                     /* that the engine was told of */
	uint64_t limit_up, limit_down;
	bool pause_uploads, asked_port;
	bool mode_unheard, limits_unheard; /* the engine was just failing: they are told again */
	bool has_stored;                   /* torrents, as it was at the start */
	json_t *listen;                    /* where the engine listens: ["ADDRESS:PORT"], or NULL */
	uint16_t port;                     /* of it, that is shown */
	uint64_t sessions, listens;        /* as they were when `listen` was asked for */
	uint64_t seeded_session; /* that our games were given to; 0: they are to be given */
	lsp_time next_offer;
};

/* torrents_settings.c */
/* The setting `swarm`. */
const char *lsp_torrents_mode(const struct lsp_torrents *torrents);
void lsp_torrents_tell_configuration(struct lsp_torrents *torrents);
/* If they are others than the engine was told. */
void lsp_torrents_tell_limits(struct lsp_torrents *torrents);

/* torrents_lan.c */
/* Has the engine say where it listens. */
void lsp_torrents_ask_port(struct lsp_torrents *torrents);
