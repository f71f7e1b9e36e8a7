/*
 * The dialer: whom to connect to, at which address, and when to try again.
 *
 * It knows candidates: a peer id with the addresses under which it was announced, or an address
 * that the user gave (whose id may be unknown until the handshake). It gives out attempts and is
 * told how they went. Rules:
 *
 *  - Both ends of a pair would dial at the same moment. The one with the smaller id dials at once,
 *    the other waits LSP_DIALER_POLITENESS and dials if it still has no connection.
 *  - The addresses of a peer are announced one after the other. Unless the first is of the best
 *    rank (0) it is dialled LSP_DIALER_RESOLUTION_DELAY later, when the others are there too (RFC
 *    8305, section 3): the connection stays where it was made.
 *  - Addresses are tried in the order of their rank (lower is better), each for itself, so that one
 *    dead interface does not hide a live one: the next is tried right after a failure or a refusal,
 *    and while there is no answer yet LSP_DIALER_ATTEMPT_DELAY later (RFC 8305, section 5). One of
 *    a worse kind of interface waits longer, for a first packet that was lost is repeated after a
 *    second (RFC 9002, section 6.2.2), and the connection stays where it was made. The first that
 *    comes to be ends the others.
 *  - After all addresses failed the candidate waits: 1 s, doubled to at most 15 s, with a little
 *    jitter. A new address, or the announcement coming again, tries at once.
 *  - An address where somebody said no (another key, ourselves) rests for LSP_DIALER_REFUSED_WAIT;
 *    the other addresses do not.
 *  - A candidate that no announcement holds any more is kept while it is connected, and for
 *    LSP_DIALER_MEMORY after: an avahi that died, or a forged goodbye, must not lose a peer.
 *    One that the user gave is kept for good.
 *  - There are at most LSP_DIALER_MAX candidates with LSP_DIALER_MAX_ADDRESSES addresses each: a
 *    flood of announcements pushes out the ones that never answered, never a connected one.
 *
 * A pure state machine: no sockets, no clock of its own. Owned by the core loop.
 */
#pragma once

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/sha256.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define LSP_DIALER_POLITENESS (LSP_SECOND)
#define LSP_DIALER_RESOLUTION_DELAY (100 * LSP_MILLISECOND)
#define LSP_DIALER_ATTEMPT_DELAY (250 * LSP_MILLISECOND)
#define LSP_DIALER_WORSE_ATTEMPT_DELAY (LSP_SECOND)
#define LSP_DIALER_REFUSED_WAIT (20 * LSP_SECOND)
#define LSP_DIALER_MEMORY (120 * LSP_SECOND)
#define LSP_DIALER_MAX 1024
#define LSP_DIALER_MAX_ADDRESSES 8

struct lsp_dialer;

LSP_MUST_CHECK int lsp_dialer_new(const struct lsp_hash *own_id, uint64_t seed,
	struct lsp_dialer **ret_dialer, struct lsp_error *err);
void lsp_dialer_free(struct lsp_dialer *dialer);

/*
 * An announcement was seen (again). A full table of better ones: ignored. Our own id at an address
 * that is not ours is dialled as well: only the handshake can tell a clone from a forgery.
 */
void lsp_dialer_found(struct lsp_dialer *dialer, const struct lsp_hash *id,
	const struct sockaddr_storage *address, unsigned rank, lsp_time now);
/* An announcement is gone (NULL: all addresses of that peer). A connection is not touched. */
void lsp_dialer_lost(struct lsp_dialer *dialer, const struct lsp_hash *id,
	const struct sockaddr_storage *address, lsp_time now);
/* The user's own wish. id NULL: whoever answers there. The same address twice is one. */
void lsp_dialer_manual(struct lsp_dialer *dialer, const struct lsp_hash *id,
	const struct sockaddr_storage *address, lsp_time now);

struct lsp_dial {
	uint64_t attempt;   /* for lsp_dialer_result; never 0 */
	uint64_t candidate; /* the same for all attempts to reach one peer */
	bool has_id;
	struct lsp_hash id; /* to be checked in the handshake, if has_id */
	struct sockaddr_storage address;
};

/* The next attempt that is due; false: none now. It counts as running until its result. */
bool lsp_dialer_next(struct lsp_dialer *dialer, lsp_time now, struct lsp_dial *ret_dial);
/* When lsp_dialer_next will have something; LSP_TIME_NEVER: nothing as things stand. */
lsp_time lsp_dialer_wake(const struct lsp_dialer *dialer);

enum lsp_dial_result {
	/* The handshake is done: the candidate's other attempts are over, and to be ended. Nothing
	 * is dialled until lsp_dialer_connected or _disconnected, which comes with the id once both
	 * have said Hello, or have not. */
	LSP_DIAL_CONNECTED,
	LSP_DIAL_FAILED,  /* no answer, or lost on the way */
	LSP_DIAL_REFUSED, /* an answer that says no (wrong id, ourselves): not there for a while */
};
/* Of an attempt that is over already: nothing. */
void lsp_dialer_result(
	struct lsp_dialer *dialer, uint64_t attempt, enum lsp_dial_result result, lsp_time now);
/*
 * Before the result of one that was refused: is it news to the user that this one answers there?
 * Once for all addresses of a candidate, until they have rested.
 */
bool lsp_dialer_is_news(
	struct lsp_dialer *dialer, uint64_t attempt, const struct lsp_hash *who, lsp_time now);

/* A connection with that peer is up, whoever dialled. Its address is remembered. */
void lsp_dialer_connected(struct lsp_dialer *dialer, const struct lsp_hash *id,
	const struct sockaddr_storage *address, lsp_time now);
/*
 * The last connection with it is gone. goodbye: it left; it is tried again only when it is
 * announced anew (or was given by the user, at leisure).
 */
void lsp_dialer_disconnected(
	struct lsp_dialer *dialer, const struct lsp_hash *id, bool goodbye, lsp_time now);

/*
 * Forgets a peer. True if it was known. Of one that the user gave without an id, what was learned
 * is forgotten: whoever answers at that address is trusted anew.
 */
bool lsp_dialer_forget(struct lsp_dialer *dialer, const struct lsp_hash *id, lsp_time now);
/* The ids of candidates, by index from 0 on; NULL after the last. Valid until the next change. */
const struct lsp_hash *lsp_dialer_known(const struct lsp_dialer *dialer, size_t index);
/* The id that was found at an address that the user gave without one, of the candidate that an
 * attempt is for; NULL: the id was given or announced, or is not known. */
const struct lsp_hash *lsp_dialer_learned(const struct lsp_dialer *dialer, uint64_t attempt);

/*
 * The best ranked address under which that peer was found and which means the same on every
 * interface: not a link-local one, whose zone is lost on the way through other libraries.
 */
bool lsp_dialer_global_address(const struct lsp_dialer *dialer, const struct lsp_hash *id,
	struct sockaddr_storage *ret_address);

size_t lsp_dialer_count(const struct lsp_dialer *dialer);
