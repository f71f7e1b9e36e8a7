#include "peer/announce.h"

#include "base/log.h"
#include "peer/games.h"
#include "peer/peer.h"
#include "peer/session.h"

#include <stdlib.h>
#include <string.h>

/* One game as it was last announced; changed since the last flush; or gone and not said yet. */
struct item {
	struct lsp_game_summary summary;
	bool changed, removed;
};

struct lsp_announce {
	struct lsp_peer *peer;
	uint64_t revision;
	struct item *items; /* by id, in the order of bytes */
	size_t count, capacity, live;
	bool dirty;
};

int lsp_announce_new(
	struct lsp_peer *peer, struct lsp_announce **ret_announce, struct lsp_error *err)
{
	struct lsp_announce *announce = calloc(1, sizeof *announce);
	if (!announce)
		return lsp_error_no_memory(err, "peer");
	announce->peer = peer;
	announce->revision = 1;
	*ret_announce = announce;
	return 0;
}

void lsp_announce_free(struct lsp_announce *announce)
{
	if (!announce)
		return;
	free(announce->items);
	free(announce);
}

uint64_t lsp_announce_revision(const struct lsp_announce *announce)
{
	return announce->revision;
}

size_t lsp_announce_count(const struct lsp_announce *announce)
{
	return announce->live;
}

/* The first item whose id is not below `id`. */
static size_t lower_bound(const struct lsp_announce *announce, const char *id)
{
	size_t low = 0, high = announce->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (strcmp(announce->items[middle].summary.id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct item *find(const struct lsp_announce *announce, const char *id)
{
	size_t at = lower_bound(announce, id);
	bool found = at < announce->count && strcmp(announce->items[at].summary.id, id) == 0;
	return found ? &announce->items[at] : NULL;
}

const struct lsp_game_summary *lsp_announce_find(
	const struct lsp_announce *announce, const char *game)
{
	const struct item *item = find(announce, game);
	return item && !item->removed ? &item->summary : NULL;
}

static struct item *insert(struct lsp_announce *announce, const char *id)
{
	if (announce->count == announce->capacity) {
		size_t capacity = announce->capacity ? 2 * announce->capacity : 64;
		struct item *grown = realloc(announce->items, capacity * sizeof(*grown));
		if (!grown)
			return NULL;
		announce->items = grown;
		announce->capacity = capacity;
	}
	size_t at = lower_bound(announce, id);
	struct item *item = &announce->items[at];
	memmove(item + 1, item, (announce->count - at) * sizeof(*item));
	announce->count++;
	memset(item, 0, sizeof *item);
	return item;
}

static bool same(const struct lsp_game_summary *a, const struct lsp_game_summary *b)
{
	return strcmp(a->title, b->title) == 0 && strcmp(a->version, b->version) == 0 &&
	       a->size == b->size && a->state == b->state && a->has_cover == b->has_cover &&
	       lsp_hash_equal(&a->content, &b->content);
}

void lsp_announce_game(struct lsp_announce *announce, const char *game)
{
	struct lsp_game_summary summary = {0};
	struct item *item = find(announce, game);
	enum lsp_games_announced is = lsp_games_summary(announce->peer, game, &summary);
	if (is == LSP_GAMES_UNCHANGED)
		return;
	if (is == LSP_GAMES_ABSENT) {
		if (!item || item->removed)
			return;
		item->removed = true;
		announce->live--;
	} else {
		if (item && !item->removed && same(&item->summary, &summary))
			return;
		bool was_live = item && !item->removed;
		if (!item)
			item = insert(announce, game);
		if (!item)
			return; /* no memory: the next change or scan says it */
		item->summary = summary;
		item->removed = false;
		announce->live += !was_live;
	}
	item->changed = true;
	announce->dirty = true;
}

/* One delta of at most LSP_MESSAGE_GAMES_MAX items, from *at on. */
static int send_delta(struct lsp_announce *announce, size_t *at, struct lsp_error *err)
{
	struct lsp_game_summary *changed = calloc(LSP_MESSAGE_GAMES_MAX, sizeof *changed);
	char **removed = calloc(LSP_MESSAGE_GAMES_MAX, sizeof *removed);
	struct lsp_request request = {.type = LSP_REQUEST_LIBRARY_DELTA};
	struct lsp_library_delta *delta = &request.library_delta;
	delta->changed.items = changed;
	delta->removed.items = removed;
	int r = changed && removed ? 0 : lsp_error_no_memory(err, "peer");
	for (; r == 0 && *at < announce->count; (*at)++) {
		struct item *item = &announce->items[*at];
		if (!item->changed)
			continue;
		if (delta->changed.count + delta->removed.count == LSP_MESSAGE_GAMES_MAX)
			break;
		if (!item->removed) {
			changed[delta->changed.count++] = item->summary;
		} else if ((removed[delta->removed.count] = strdup(item->summary.id))) {
			delta->removed.count++;
		} else {
			r = lsp_error_no_memory(err, "peer"); /* the next round tells the rest */
			break;
		}
		item->changed = false;
	}
	if (delta->changed.count + delta->removed.count > 0) {
		delta->base = announce->revision;
		delta->revision = ++announce->revision;
		lsp_sessions_tell_all(announce->peer, &request);
	}
	lsp_request_done(&request);
	return r;
}

static void drop_removed(struct lsp_announce *announce)
{
	size_t kept = 0;
	for (size_t i = 0; i < announce->count; i++) {
		if (announce->items[i].removed && !announce->items[i].changed)
			continue;
		if (kept != i)
			announce->items[kept] = announce->items[i];
		kept++;
	}
	announce->count = kept;
}

void lsp_announce_flush(struct lsp_announce *announce)
{
	struct lsp_error err = {0};
	if (!announce->dirty)
		return;
	for (size_t at = 0; at < announce->count;) {
		if (!announce->items[at].changed) {
			at++;
		} else if (send_delta(announce, &at, &err) < 0) {
			lsp_log_warning("peer", "cannot announce a change: %s", err.message);
			return;
		}
	}
	announce->dirty = false;
	drop_removed(announce);
}

int lsp_announce_page(const struct lsp_announce *announce, const struct lsp_list_games *request,
	struct lsp_games_response *ret_page, struct lsp_error *err)
{
	size_t limit = request->limit && request->limit < LSP_MESSAGE_GAMES_MAX
			       ? (size_t)request->limit
			       : LSP_MESSAGE_GAMES_MAX;
	struct lsp_game_summary *items = calloc(limit, sizeof *items);
	if (!items)
		return lsp_error_no_memory(err, "peer");
	size_t at = request->after[0] ? lower_bound(announce, request->after) : 0;
	if (at < announce->count && strcmp(announce->items[at].summary.id, request->after) == 0)
		at++;
	size_t count = 0;
	for (; at < announce->count && count < limit; at++) {
		if (!announce->items[at].removed)
			items[count++] = announce->items[at].summary;
	}
	*ret_page = (struct lsp_games_response){
		.revision = announce->revision,
		.more = at < announce->count,
		.games = {.items = items, .count = count},
	};
	return 0;
}
