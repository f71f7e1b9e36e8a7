#include "peer/choice.h"

#include "base/text.h"
#include "peer/database.h"
#include "peer/events.h"
#include "peer/local.h"
#include "peer/peer.h"

#include <string.h>
#include <strings.h>

#include <utlist.h>

#define VARIANTS_MAX 64

json_t *lsp_choice_variants_json(struct lsp_peer *peer, const char *game)
{
	struct lsp_variant variants[VARIANTS_MAX];
	const struct lsp_known_game *known = lsp_database_find(peer->database, game);
	size_t count = known ? lsp_known_game_variants(known, variants, VARIANTS_MAX) : 0;
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		char hex[LSP_SHA256_HEX_SIZE];
		lsp_hash_to_hex(&variants[i].content, hex);
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:I, s:i}", "content", hex, "version",
				variants[i].version.text, "size", (json_int_t)variants[i].size,
				"holders", (int)(variants[i].ready + variants[i].partial)));
	}
	return list;
}

bool lsp_choice_anybody_has(
	const struct lsp_peer *peer, const char *game, const struct lsp_hash *content)
{
	const struct lsp_known_game *known = lsp_database_find(peer->database, game);
	const struct lsp_edition *edition;
	DL_FOREACH((known ? known->editions : NULL), edition)
	{
		if (lsp_hash_equal(&edition->content, content))
			return true;
	}
	return false;
}

static bool is_newer(const char *version, const char *than)
{
	return !than || !*than || lsp_version_compare_text(version, than) > 0;
}

/* What the user chose before, while somebody has it and it serves the purpose. */
static bool earlier_choice(struct lsp_peer *peer, const char *game, const char *newer_than,
	struct lsp_hash *ret_content)
{
	char version[LSP_VERSION_TEXT_MAX + 1] = "";
	const char *hex = json_string_value(json_object_get(peer->choices, game));
	if (!hex || lsp_hash_from_hex(hex, ret_content, NULL) < 0 ||
		!lsp_choice_anybody_has(peer, game, ret_content))
		return false;
	lsp_choice_version(peer, game, ret_content, version, sizeof version);
	return is_newer(version, newer_than);
}

/* The pin of the catalogue, else what the user chose before. */
static bool named_content(struct lsp_peer *peer, const char *game, const char *newer_than,
	struct lsp_hash *ret_content)
{
	return lsp_local_pinned_content(peer, game, ret_content) ||
	       earlier_choice(peer, game, newer_than, ret_content);
}

static int nobody(const char *game, struct lsp_error *err)
{
	return lsp_error_set(err, "peer", LSP_E_NOT_FOUND,
		"nobody here has %s; `lanspread games` lists what there is", game);
}

int lsp_choice_make(struct lsp_peer *peer, const char *game, const struct lsp_hash *asked,
	const char *newer_than, struct lsp_hash *ret_content, json_t **ret_variants,
	struct lsp_error *err)
{
	struct lsp_hash named;
	if (asked || named_content(peer, game, newer_than, &named)) {
		const struct lsp_hash *content = asked ? asked : &named;
		*ret_content = *content;
		return lsp_choice_anybody_has(peer, game, content) ? 0 : nobody(game, err);
	}
	struct lsp_variant variants[VARIANTS_MAX];
	const struct lsp_known_game *known = lsp_database_find(peer->database, game);
	size_t count = known ? lsp_known_game_variants(known, variants, VARIANTS_MAX) : 0;
	if (count == 0 || !is_newer(variants[0].version.text, newer_than))
		return nobody(game, err);
	if (count == 1) {
		*ret_content = variants[0].content;
		return 0;
	}
	json_t *list = lsp_choice_variants_json(peer, game);
	lsp_events_publish(peer->events, json_pack("{s:s, s:s, s:O}", "event", "content_variants",
						 "game", game, "variants", list));
	if (ret_variants)
		*ret_variants = json_incref(list);
	json_decref(list);
	return lsp_error_set(err, "peer", LSP_E_EXISTS,
		"%zu different contents of %s %s are here: choose one with --variant CONTENT",
		count, game, variants[0].version.text);
}

int lsp_choice_resolve(struct lsp_peer *peer, const char *game, const char *prefix,
	struct lsp_hash *ret_content, struct lsp_error *err)
{
	const struct lsp_known_game *known = lsp_database_find(peer->database, game);
	const struct lsp_edition *edition;
	const struct lsp_hash *found = NULL;
	DL_FOREACH((known ? known->editions : NULL), edition)
	{
		char hex[LSP_SHA256_HEX_SIZE];
		lsp_hash_to_hex(&edition->content, hex);
		if (lsp_hash_is_zero(&edition->content) ||
			strncasecmp(hex, prefix, strlen(prefix)) != 0)
			continue;
		if (found && !lsp_hash_equal(found, &edition->content))
			return lsp_error_set(err, "peer", LSP_E_INVALID,
				"several contents of %s begin with %s: give more digits", game,
				prefix);
		found = &edition->content;
	}
	if (found) {
		*ret_content = *found;
		return 0;
	}
	if (strlen(prefix) == 64)
		return lsp_hash_from_hex(prefix, ret_content, err);
	return lsp_error_set(err, "peer", LSP_E_NOT_FOUND,
		"nobody here has a content of %s that begins with %s; without --variant they are "
		"listed",
		game, prefix);
}

void lsp_choice_version(struct lsp_peer *peer, const char *game, const struct lsp_hash *content,
	char *out, size_t size)
{
	const struct lsp_known_game *known = lsp_database_find(peer->database, game);
	const struct lsp_edition *edition;
	DL_FOREACH((known ? known->editions : NULL), edition)
	{
		if (lsp_hash_equal(&edition->content, content)) {
			snprintf(out, size, "%s", edition->version.text);
			return;
		}
	}
}

void lsp_choice_title(struct lsp_peer *peer, const char *game, char *out, size_t size)
{
	const struct lsp_known_game *known = lsp_database_find(peer->database, game);
	const char *title = known ? lsp_known_game_title(known) : NULL;
	if (title)
		snprintf(out, size, "%s", title);
}

void lsp_choice_remember(struct lsp_peer *peer, const char *game, const struct lsp_hash *content)
{
	char hex[LSP_SHA256_HEX_SIZE];
	lsp_hash_to_hex(content, hex);
	json_object_set_new(peer->choices, game, json_string(hex));
	lsp_peer_save_json(peer, "choices.json", json_incref(peer->choices));
}
