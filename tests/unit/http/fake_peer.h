/*
 * A peer that is not there: the functions of include/lanspread/lanspread.h that src/http calls,
 * over a small model of games, peers and operations that moves only when it is told to. For unit
 * tests, which script its answers, and for the tests of the page, which play whole evenings with
 * it.
 *
 * Every function may be called from every thread.
 */
#pragma once

#include "lanspread/lanspread.h"

#include <jansson.h>
#include <stdbool.h>

struct lanspread *fake_peer_new(void);
/* Ends the streams first if that was not done. */
void fake_peer_free(struct lanspread *peer);

/* Replaces or adds one; members that are missing get what a game has at rest. Takes the reference.
 */
void fake_peer_put_game(struct lanspread *peer, json_t *game);
/* `count` games with many titles, states, genres. */
void fake_peer_fill(struct lanspread *peer, size_t count);
/* Merges members into a game and tells the clients. Takes the reference. */
void fake_peer_change_game(struct lanspread *peer, const char *id, json_t *members);
/* A member of status, config or limits: "name", "health", … Takes the reference. */
void fake_peer_set_status(struct lanspread *peer, const char *key, json_t *value);
/* What `peers` answers. Takes the reference. */
void fake_peer_set_peers(struct lanspread *peer, json_t *peers);

/*
 * From now on this command gets this answer: {"ok":true,"result":…} or {"ok":false,"error":…}; NULL
 * takes the script away. Takes the reference.
 */
void fake_peer_script(struct lanspread *peer, const char *command, json_t *answer);
/* From now on this command gets no answer. */
void fake_peer_hold(struct lanspread *peer, const char *command);
/* lanspread_send fails with BUSY. */
void fake_peer_set_full(struct lanspread *peer, bool full);

/* How often a command came, and the last document it came in (a new reference, or NULL). */
size_t fake_peer_count(struct lanspread *peer, const char *command);
json_t *fake_peer_last(struct lanspread *peer, const char *command);

/* Sends an event to every stream. Takes the reference. */
void fake_peer_emit(struct lanspread *peer, json_t *event);
/* Lets operations get on by so many bytes each; says how many still run. */
size_t fake_peer_advance(struct lanspread *peer, json_int_t bytes);
/* The stream ends, as when a peer stops. */
void fake_peer_close(struct lanspread *peer);
