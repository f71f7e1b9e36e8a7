#include "peer/database.h"

#include <string.h>

#include <utlist.h>

/* Out of memory inside the hash table must be an error, not an exit. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct table_entry {
	UT_hash_handle hh;
	struct lsp_known_game *game;
};

struct lsp_database {
	struct table_entry *games; /* by id */
	size_t copy_count;
};

int lsp_database_new(struct lsp_database **ret_database, struct lsp_error *err)
{
	struct lsp_database *database = calloc(1, sizeof *database);
	if (!database)
		return lsp_error_no_memory(err, "peer");
	*ret_database = database;
	return 0;
}

void lsp_database_free(struct lsp_database *database)
{
	/* Games go with the last of their holders; peers are removed by their sessions first. */
	free(database);
}

int lsp_database_add_peer(struct lsp_database *database, const struct lsp_hash *id, void *session,
	struct lsp_remote_peer **ret_peer, struct lsp_error *err)
{
	struct lsp_remote_peer *peer = calloc(1, sizeof *peer);
	if (!peer)
		return lsp_error_no_memory(err, "peer");
	peer->id = *id;
	peer->session = session;
	*ret_peer = peer;
	return 0;
}

/* ---- Games ---- */

static struct lsp_known_game *find(const struct lsp_database *database, const char *id)
{
	struct table_entry *entry;
	HASH_FIND(hh, database->games, id, strlen(id), entry);
	return entry ? entry->game : NULL;
}

const struct lsp_known_game *lsp_database_find(const struct lsp_database *database, const char *id)
{
	return find(database, id);
}

const struct lsp_known_game *lsp_database_next(
	const struct lsp_database *database, const struct lsp_known_game *game)
{
	struct table_entry *entry =
		game ? ((struct table_entry *)game->handle)->hh.next : database->games;
	return entry ? entry->game : NULL;
}

size_t lsp_database_game_count(const struct lsp_database *database)
{
	return HASH_COUNT(database->games);
}

size_t lsp_database_copy_count(const struct lsp_database *database)
{
	return database->copy_count;
}

static struct lsp_known_game *find_or_add(struct lsp_database *database, const char *id)
{
	struct lsp_known_game *game = find(database, id);
	if (game)
		return game;
	size_t length = strlen(id);
	game = calloc(1, sizeof *game + length + 1);
	struct table_entry *entry = calloc(1, sizeof *entry);
	if (game && entry) {
		memcpy(game->id, id, length + 1);
		game->handle = entry;
		entry->game = game;
		HASH_ADD_KEYPTR(hh, database->games, game->id, length, entry);
		if (entry->hh.tbl)
			return game;
	}
	free(game);
	free(entry);
	return NULL;
}

static void drop_game_if_unheld(struct lsp_database *database, struct lsp_known_game *game)
{
	if (game->holders)
		return;
	struct table_entry *entry = game->handle;
	HASH_DEL(database->games, entry);
	free(entry);
	free(game);
}

/* ---- Editions ---- */

static bool says(const struct lsp_edition *edition, const char *title,
	const struct lsp_version *version, const struct lsp_hash *content, uint64_t size)
{
	return edition->size == size && lsp_hash_equal(&edition->content, content) &&
	       strcmp(edition->version.text, version->text) == 0 && !edition->title == !title &&
	       (!title || strcmp(edition->title, title) == 0);
}

/* NULL: no memory. */
static struct lsp_edition *find_or_add_edition(struct lsp_known_game *game, const char *title,
	const struct lsp_version *version, const struct lsp_hash *content, uint64_t size)
{
	struct lsp_edition *edition;
	DL_FOREACH(game->editions, edition)
	{
		if (says(edition, title, version, content, size))
			return edition;
	}
	edition = calloc(1, sizeof *edition);
	char *own_title = title ? strdup(title) : NULL;
	if (!edition || (title && !own_title)) {
		free(edition);
		free(own_title);
		return NULL;
	}
	edition->version = *version;
	edition->content = *content;
	edition->size = size;
	edition->title = own_title;
	DL_APPEND(game->editions, edition);
	return edition;
}

static bool is_held(const struct lsp_edition *edition)
{
	for (size_t i = 0; i < LSP_HOLDING_COUNT; i++) {
		if (edition->holders[i])
			return true;
	}
	return false;
}

static void drop_edition_if_unheld(struct lsp_known_game *game, struct lsp_edition *edition)
{
	if (!edition || is_held(edition))
		return;
	DL_DELETE(game->editions, edition);
	free(edition->title);
	free(edition);
}

/* The copy is what it said until now no more; edition NULL: it is nothing. */
static void say(struct lsp_remote_game *copy, struct lsp_edition *edition, enum lsp_holding holding)
{
	struct lsp_edition *before = copy->said;
	if (before)
		before->holders[copy->holding]--;
	if (edition)
		edition->holders[holding]++;
	copy->said = edition;
	copy->holding = holding;
	drop_edition_if_unheld(copy->game, before);
}

/* ---- Copies ---- */

/* Where a game stands in the peer's index, or would. */
static size_t place_of(const struct lsp_remote_peer *peer, const struct lsp_known_game *game)
{
	size_t low = 0, high = peer->game_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if ((uintptr_t)peer->index[middle].game < (uintptr_t)game)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct lsp_remote_game *copy_of(
	const struct lsp_known_game *game, const struct lsp_remote_peer *peer)
{
	size_t place = place_of(peer, game);
	return place < peer->game_count && peer->index[place].game == game ? peer->index[place].copy
									   : NULL;
}

static bool enter(struct lsp_remote_peer *peer, struct lsp_remote_game *copy)
{
	size_t place = place_of(peer, copy->game);
	if (peer->game_count == peer->index_room) {
		size_t room = peer->index_room ? 2 * peer->index_room : 16;
		struct lsp_remote_entry *grown = realloc(peer->index, room * sizeof *grown);
		if (!grown)
			return false;
		peer->index = grown;
		peer->index_room = room;
	}
	memmove(&peer->index[place + 1], &peer->index[place],
		(peer->game_count - place) * sizeof *peer->index);
	peer->index[place] = (struct lsp_remote_entry){copy->game, copy};
	peer->game_count++;
	return true;
}

static void leave(struct lsp_remote_peer *peer, const struct lsp_remote_game *copy)
{
	size_t place = place_of(peer, copy->game);
	peer->game_count--;
	memmove(&peer->index[place], &peer->index[place + 1],
		(peer->game_count - place) * sizeof *peer->index);
}

const struct lsp_remote_game *lsp_database_copy_of(
	const struct lsp_known_game *game, const struct lsp_remote_peer *peer)
{
	return copy_of(game, peer);
}

static struct lsp_remote_game *add_copy(
	struct lsp_database *database, struct lsp_known_game *game, struct lsp_remote_peer *peer)
{
	struct lsp_remote_game *copy = calloc(1, sizeof *copy);
	if (!copy)
		return NULL;
	copy->game = game;
	copy->peer = peer;
	if (!enter(peer, copy)) {
		free(copy);
		return NULL;
	}
	DL_APPEND2(game->holders, copy, previous_holder, next_holder);
	DL_APPEND2(peer->games, copy, previous_game, next_game);
	game->holder_count++;
	database->copy_count++;
	return copy;
}

static void drop_copy(struct lsp_database *database, struct lsp_remote_game *copy)
{
	struct lsp_known_game *game = copy->game;
	DL_DELETE2(game->holders, copy, previous_holder, next_holder);
	DL_DELETE2(copy->peer->games, copy, previous_game, next_game);
	leave(copy->peer, copy);
	say(copy, NULL, copy->holding);
	game->holder_count--;
	database->copy_count--;
	free(copy);
	drop_game_if_unheld(database, game);
}

int lsp_database_set_game(struct lsp_database *database, struct lsp_remote_peer *peer,
	const char *id, const char *title, const struct lsp_version *version,
	const struct lsp_hash *content, uint64_t size, enum lsp_holding holding,
	struct lsp_error *err)
{
	struct lsp_known_game *game = find_or_add(database, id);
	struct lsp_edition *edition =
		game ? find_or_add_edition(game, title, version, content, size) : NULL;
	struct lsp_remote_game *copy = edition ? copy_of(game, peer) : NULL;
	if (edition && !copy)
		copy = add_copy(database, game, peer);
	if (!copy) {
		if (edition)
			drop_edition_if_unheld(game, edition);
		if (game)
			drop_game_if_unheld(database, game);
		return lsp_error_no_memory(err, "peer");
	}
	say(copy, edition, lsp_hash_is_zero(content) ? LSP_HOLDING_HASHING : holding);
	return 0;
}

bool lsp_database_remove_game(
	struct lsp_database *database, struct lsp_remote_peer *peer, const char *id)
{
	struct lsp_known_game *game = find(database, id);
	struct lsp_remote_game *copy = game ? copy_of(game, peer) : NULL;
	if (copy)
		drop_copy(database, copy);
	return copy != NULL;
}

void lsp_database_clear_games(struct lsp_database *database, struct lsp_remote_peer *peer)
{
	while (peer->game_count) /* from the end: nothing has to move up */
		drop_copy(database, peer->index[peer->game_count - 1].copy);
}

void lsp_database_remove_peer(struct lsp_database *database, struct lsp_remote_peer *peer)
{
	if (!peer)
		return;
	lsp_database_clear_games(database, peer);
	free(peer->index);
	free(peer);
}

/* ---- Questions ---- */

static size_t holders_with_content(const struct lsp_edition *edition)
{
	return edition->holders[LSP_HOLDING_PARTIAL] + edition->holders[LSP_HOLDING_READY];
}

static bool is_newer(const struct lsp_edition *edition, const struct lsp_edition *than)
{
	return !than || lsp_version_compare(&edition->version, &than->version) > 0;
}

/* with_content: among those whose content is known. */
static const struct lsp_edition *newest(const struct lsp_known_game *game, bool with_content)
{
	const struct lsp_edition *best = NULL, *edition;
	DL_FOREACH(game->editions, edition)
	{
		if ((!with_content || holders_with_content(edition)) && is_newer(edition, best))
			best = edition;
	}
	return best;
}

const struct lsp_version *lsp_known_game_newest(const struct lsp_known_game *game)
{
	const struct lsp_edition *best = newest(game, false);
	return best ? &best->version : NULL;
}

uint64_t lsp_known_game_size(const struct lsp_known_game *game)
{
	const struct lsp_edition *best = newest(game, false);
	return best ? best->size : 0;
}

const char *lsp_known_game_title(const struct lsp_known_game *game)
{
	const struct lsp_edition *best = NULL, *edition;
	DL_FOREACH(game->editions, edition)
	{
		if (edition->title && is_newer(edition, best))
			best = edition;
	}
	return best ? best->title : NULL;
}

static int by_holders(const void *left, const void *right)
{
	const struct lsp_variant *a = left, *b = right;
	if (a->ready != b->ready)
		return a->ready > b->ready ? -1 : 1;
	if (a->partial != b->partial)
		return a->partial > b->partial ? -1 : 1;
	return memcmp(a->content.bytes, b->content.bytes, LSP_SHA256_SIZE);
}

size_t lsp_known_game_variants(
	const struct lsp_known_game *game, struct lsp_variant *ret_variants, size_t room)
{
	const struct lsp_edition *best = newest(game, true), *edition;
	size_t count = 0;
	if (!best)
		return 0;
	DL_FOREACH(game->editions, edition)
	{
		if (!holders_with_content(edition) ||
			lsp_version_compare(&edition->version, &best->version) != 0)
			continue;
		size_t i = 0;
		while (i < count && !lsp_hash_equal(&ret_variants[i].content, &edition->content))
			i++;
		if (i == room)
			continue;
		if (i == count)
			ret_variants[count++] = (struct lsp_variant){
				.content = edition->content,
				.version = edition->version,
				.size = edition->size,
			};
		ret_variants[i].ready += edition->holders[LSP_HOLDING_READY];
		ret_variants[i].partial += edition->holders[LSP_HOLDING_PARTIAL];
	}
	qsort(ret_variants, count, sizeof *ret_variants, by_holders);
	return count;
}
