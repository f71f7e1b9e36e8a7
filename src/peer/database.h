/*
 * The peer database: what the others have.
 *
 * For every connected peer the games it announces, and for every game who holds which version and
 * content. It is fed by the sessions (a library in pages, then deltas) and asked by the game list
 * ("who has it, what is newest") and by downloads ("who holds this content").
 *
 * Nothing in it is believed: a version, a size, a title are what a peer says of itself, used to
 * show and to choose, never to verify. What a game is, the content id tells, and its bytes prove
 * it.
 *
 * Owned by the core loop; pure, no I/O. Pointers that it hands out live until the peer or game is
 * next changed.
 */
#pragma once

#include "base/sha256.h"
#include "wire/version.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far a holder is with a game that it announces. */
enum lsp_holding {
	LSP_HOLDING_HASHING, /* has files, its content id is not known yet */
	LSP_HOLDING_PARTIAL, /* downloads it, serves what it has verified */
	LSP_HOLDING_READY,   /* has all of it */
	LSP_HOLDING_COUNT
};

/*
 * What is said of a copy of a game. Whoever says the same shares it: a thousand peers have a game,
 * and hardly more than one version of it, so questions about a game look at these.
 */
struct lsp_edition {
	struct lsp_edition *next, *prev; /* of the game, in the order in which they came up */
	struct lsp_version version;
	struct lsp_hash content; /* zero while hashing */
	uint64_t size;           /* bytes */
	char *title;             /* or NULL */
	size_t holders[LSP_HOLDING_COUNT];
};

/* One peer's copy of one game. */
struct lsp_remote_game {
	struct lsp_remote_peer *peer;
	struct lsp_known_game *game;
	struct lsp_remote_game *next_holder, *previous_holder; /* of the same game */
	struct lsp_remote_game *next_game, *previous_game;     /* of the same peer */

	enum lsp_holding holding;
	struct lsp_edition *said;
};

/* Of a peer's index. */
struct lsp_remote_entry {
	const struct lsp_known_game *game;
	struct lsp_remote_game *copy;
};

/* A game that at least one peer has. */
struct lsp_known_game {
	struct lsp_remote_game *holders;
	size_t holder_count;
	struct lsp_edition *editions;
	void *handle; /* the hash table's */
	char id[];
};

struct lsp_remote_peer {
	struct lsp_hash id;
	void *session;     /* whoever speaks with it; not touched here */
	uint64_t revision; /* of its library, as far as it is known here */
	size_t game_count;
	struct lsp_remote_game *games;
	/* The same, in the order of the games' addresses: a game may have a thousand holders. */
	struct lsp_remote_entry *index;
	size_t index_room;
};

/* One content of one version of a game, and how many hold it. */
struct lsp_variant {
	struct lsp_hash content;
	struct lsp_version version;
	uint64_t size;
	size_t ready, partial;
};

struct lsp_database;

LSP_MUST_CHECK int lsp_database_new(struct lsp_database **ret_database, struct lsp_error *err);
void lsp_database_free(struct lsp_database *database);

/* A peer that connected; the database keeps it until it is removed. */
LSP_MUST_CHECK int lsp_database_add_peer(struct lsp_database *database, const struct lsp_hash *id,
	void *session, struct lsp_remote_peer **ret_peer, struct lsp_error *err);
/* With all its games. */
void lsp_database_remove_peer(struct lsp_database *database, struct lsp_remote_peer *peer);

/* What a peer says of a game; title may be NULL. It takes the place of what it said before. */
LSP_MUST_CHECK int lsp_database_set_game(struct lsp_database *database,
	struct lsp_remote_peer *peer, const char *id, const char *title,
	const struct lsp_version *version, const struct lsp_hash *content, uint64_t size,
	enum lsp_holding holding, struct lsp_error *err);
/* True if it had it. */
bool lsp_database_remove_game(
	struct lsp_database *database, struct lsp_remote_peer *peer, const char *id);
void lsp_database_clear_games(struct lsp_database *database, struct lsp_remote_peer *peer);

/* NULL when nobody has it. */
const struct lsp_known_game *lsp_database_find(const struct lsp_database *database, const char *id);
/* Every game, in no order: starts with NULL, ends with NULL. */
const struct lsp_known_game *lsp_database_next(
	const struct lsp_database *database, const struct lsp_known_game *game);
size_t lsp_database_game_count(const struct lsp_database *database);
/* How many copies all peers have of all games. */
size_t lsp_database_copy_count(const struct lsp_database *database);

/* The peer's copy of a game, or NULL. */
const struct lsp_remote_game *lsp_database_copy_of(
	const struct lsp_known_game *game, const struct lsp_remote_peer *peer);

/* The newest version that anybody has (hashing included); NULL when no holder has one. */
const struct lsp_version *lsp_known_game_newest(const struct lsp_known_game *game);

/*
 * The contents of the newest version that has a known content, most holders first (ties by content
 * id), up to `room` of them; returns how many there are.
 */
size_t lsp_known_game_variants(
	const struct lsp_known_game *game, struct lsp_variant *ret_variants, size_t room);

/* A title that a holder gives: the one of the newest version; NULL when none says one. */
const char *lsp_known_game_title(const struct lsp_known_game *game);
/* The size that a holder of the newest version gives, in bytes; 0: none does. */
uint64_t lsp_known_game_size(const struct lsp_known_game *game);
