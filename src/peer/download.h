/*
 * Downloads: from "get this game" to a finished game folder.
 *
 * A download goes through phases: choose a content (wait while nobody has the game), get its
 * manifest, open its stage on the disk (reuse what is here, check the space), fetch chunks as the
 * swarm decides, commit, let the library look. All sources gone is no failure: the download waits
 * and goes on by itself when one comes; so does one that was interrupted, at the next start, from a
 * small record in the state folder. Pausing stops the fetching; cancelling ends the download and
 * keeps what was verified in the stage, for the next one.
 *
 * One download a game; it holds the game's operation from start to end and lets go of it on every
 * way out. Blocking steps run on pools with the download's token.
 *
 * All on the core loop.
 */
#pragma once

#include "base/sha256.h"
#include "peer/share.h"

#include <jansson.h>

struct lsp_download;
struct lsp_peer;

/* What a download is for: decides the name of the operation and what follows. */
enum lsp_download_purpose {
	LSP_DOWNLOAD_ONLY,
	LSP_DOWNLOAD_THEN_INSTALL,
	LSP_DOWNLOAD_THEN_UPDATE, /* the operation is "updating" all the way */
};

/* Which engine gets the chunks. One at a time; it may be changed while the download runs. */
enum lsp_engine {
	LSP_ENGINE_LAN,   /* from the peers, over QUIC */
	LSP_ENGINE_SWARM, /* by the torrent engine */
};
/* "lan", "swarm". */
const char *lsp_engine_name(enum lsp_engine engine);
/* -LSP_E_INVALID for another word. */
LSP_MUST_CHECK int lsp_engine_parse(
	const char *word, enum lsp_engine *ret_engine, struct lsp_error *err);

struct lsp_download_options {
	const struct lsp_hash *content; /* the variant that is asked for; NULL: by the rules */
	enum lsp_download_purpose purpose;
	enum lsp_engine engine;
	const struct lsp_manifest *manifest; /* where it is known already, of `content`; or NULL */
	const char *newer_than; /* the version that an update leaves behind; NULL or "": none */
};

/*
 * Starts one. content: the variant that the user chose, NULL: by the rules (catalogue's pin,
 * earlier choice, the only one). newer_than: the version that an update leaves behind, else "": it
 * waits until the content of a newer one is known. -LSP_E_BUSY: an operation of that game runs;
 * -LSP_E_EXISTS: several variants (*ret_variants gets the list, a new reference); nothing is
 * started then.
 */
LSP_MUST_CHECK int lsp_download_start(struct lsp_peer *peer, const char *game,
	const struct lsp_download_options *options, json_t **ret_variants, struct lsp_error *err);

/* A download that runs is to be followed by an install. False: none runs. */
bool lsp_download_then_install(struct lsp_peer *peer, const char *game);

struct lsp_download *lsp_download_find(const struct lsp_peer *peer, const char *game);
/* Ends it; what is verified stays in the stage. False: too late, it is being committed. */
bool lsp_download_cancel(struct lsp_download *download);
void lsp_download_pause(struct lsp_download *download, bool paused);
/* It goes on by the other engine, with every chunk that is verified. */
void lsp_download_set_engine(struct lsp_download *download, enum lsp_engine engine);
/* Those of a peer are a list from peer->downloads on, to NULL. */
struct lsp_download *lsp_download_next(const struct lsp_download *download);
const char *lsp_download_game(const struct lsp_download *download);
enum lsp_engine lsp_download_engine(const struct lsp_download *download);

/* At the start: what was unfinished goes on. At the end: everything stops, records stay. */
void lsp_download_restore(struct lsp_peer *peer);
void lsp_download_stop_all(struct lsp_peer *peer);
/* Frees them, once the loop has nothing left to run. */
void lsp_download_free_all(struct lsp_peer *peer);
/* Ten times a second while there are any: progress, and who waits for a source. */
void lsp_download_tick(struct lsp_peer *peer);
/* Somebody announced, changed or withdrew a game. */
void lsp_download_sources_changed(struct lsp_peer *peer, const char *game);

/* ---- For games.c ---- */

/* The version that its holders give; "" while none is known. */
const char *lsp_download_version(const struct lsp_download *download);
bool lsp_download_is_waiting(const struct lsp_download *download);
/* The same, also where that is about to be found out: there is nobody to come from. */
bool lsp_download_has_nobody(const struct lsp_download *download);
bool lsp_download_is_paused(const struct lsp_download *download);
/* The content it fetches; NULL while none is chosen. */
const struct lsp_hash *lsp_download_content(const struct lsp_download *download);
/* The folder held this very content when it began, and what is damaged of it is fetched. */
bool lsp_download_mends(const struct lsp_download *download);
json_t *lsp_download_progress_json(const struct lsp_download *download);

/* ---- From the swarm and the fetches ---- */

/* LSP_SWARM_STATE of its game. */
void lsp_download_swarm_state(struct lsp_download *download, enum lsp_swarm_state state);
/* Payload bytes came for this share; a fetch of it ended; the disk failed under one. */
void lsp_download_count_received(struct lsp_share *share, size_t bytes);
void lsp_download_fetch_ended(struct lsp_share *share);
void lsp_download_trouble(struct lsp_share *share, const struct lsp_error *error);

/* ---- From torrent_games.c ---- */

/* All torrents that seeded the game have left the session. */
void lsp_download_torrents_left(struct lsp_peer *peer, const char *game);

/* ---- From torrent_fetch.c ---- */

/* Nobody is there, or to be known, who gives its torrent; or somebody is. */
void lsp_download_torrent_alone(struct lsp_download *download, bool alone);
/* Its fetch has ended and is gone. */
void lsp_download_torrent_stopped(struct lsp_download *download);
