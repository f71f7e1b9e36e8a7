/*
 * A pattern is read into tokens, and all places in it that a path may have reached are followed at
 * once, byte by byte: no backtracking, so no pattern is slow.
 */
#include "torrent/glob.h"

#include <stdint.h>
#include <string.h>

#define DOMAIN "torrent"

enum kind { LITERAL, ONE, RUN, ANY, SET };

struct token {
	enum kind kind;
	uint8_t byte;
	uint8_t set[32];
};

struct glob {
	struct token tokens[LSP_GLOB_MAX];
	size_t count;
	bool whole_path;
};

static uint8_t lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

static void add_to_set(struct token *token, uint8_t byte)
{
	token->set[byte / 8] |= (uint8_t)(1u << (byte % 8));
}

static bool in_set(const struct token *token, uint8_t byte)
{
	return token->set[byte / 8] & (1u << (byte % 8));
}

/* From the '[' on; the first byte after the ']', NULL where there is none. */
static const char *read_set(const char *at, struct token *token)
{
	token->kind = SET;
	at++;
	bool not_these = *at == '!' || *at == '^';
	at += not_these;
	bool first = true;
	for (; *at && (*at != ']' || first); first = false) {
		uint8_t from = (uint8_t)*at++;
		uint8_t to = from;
		if (*at == '-' && at[1] && at[1] != ']') {
			to = (uint8_t)at[1];
			at += 2;
		}
		for (unsigned byte = from; byte <= to; byte++)
			add_to_set(token, lower((uint8_t)byte));
	}
	if (*at != ']')
		return NULL;
	for (unsigned i = 0; not_these && i < sizeof token->set; i++)
		token->set[i] = (uint8_t)~token->set[i];
	return at + 1;
}

static int compile(const char *pattern, struct glob *glob, struct lsp_error *err)
{
	memset(glob, 0, sizeof *glob);
	size_t size = strlen(pattern);
	if (size == 0 || size > LSP_GLOB_MAX)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"a pattern for files has 1 to %d bytes", LSP_GLOB_MAX);
	while (size > 1 && pattern[size - 1] == '/')
		size--;
	glob->whole_path = memchr(pattern, '/', size) != NULL;
	const char *end = pattern + size;
	const char *at = pattern[0] == '/' && size > 1 ? pattern + 1 : pattern;
	while (at < end) {
		struct token *token = &glob->tokens[glob->count++];
		if (*at == '[') {
			at = read_set(at, token);
			if (!at)
				return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
					"the pattern \"%s\" has a [ without a ]", pattern);
			continue;
		}
		token->byte = lower((uint8_t)*at);
		token->kind = *at == '?' ? ONE : *at == '*' ? RUN : LITERAL;
		if (*at == '*' && at + 1 < end && at[1] == '*') {
			token->kind = ANY;
			at++;
		}
		at++;
	}
	return 0;
}

int lsp_glob_check(const char *pattern, struct lsp_error *err)
{
	struct glob glob;
	return compile(pattern, &glob, err);
}

/*
 * Marks a place, and those that runs of nothing lead to from it: whatever is marked has them marked
 * too, so that one byte of a path costs no more than the pattern is long.
 */
static void reach(const struct glob *glob, bool *places, size_t place)
{
	for (; !places[place]; place++) {
		places[place] = true;
		if (place == glob->count)
			return;
		enum kind kind = glob->tokens[place].kind;
		if (kind != RUN && kind != ANY)
			return;
		/* `**` + '/' is also no folder at all. */
		if (kind == ANY && place + 1 < glob->count &&
			glob->tokens[place + 1].kind == LITERAL &&
			glob->tokens[place + 1].byte == '/' && place + 2 <= glob->count)
			reach(glob, places, place + 2);
	}
}

static bool takes(const struct token *token, uint8_t byte)
{
	switch (token->kind) {
	case LITERAL:
		return token->byte == lower(byte);
	case SET:
		return byte != '/' && in_set(token, lower(byte));
	case ANY:
		return true;
	default:
		return byte != '/';
	}
}

/* One byte of the path. */
static void step(const struct glob *glob, const bool *from, bool *to, uint8_t byte)
{
	memset(to, 0, (glob->count + 1) * sizeof *to);
	bool continues = (byte & 0xC0) == 0x80; /* of a character of UTF-8 */
	for (size_t i = 0; i <= glob->count; i++) {
		if (!from[i])
			continue;
		if (continues && i > 0 && glob->tokens[i - 1].kind == ONE)
			reach(glob, to, i);
		if (i == glob->count || !takes(&glob->tokens[i], byte))
			continue;
		bool stays = glob->tokens[i].kind == RUN || glob->tokens[i].kind == ANY;
		reach(glob, to, stays ? i : i + 1);
	}
}

/* Does it match all of the text, or up to a '/' (a folder)? */
static bool matches_text(const struct glob *glob, const char *text)
{
	bool places[2][LSP_GLOB_MAX + 1] = {{false}};
	unsigned now = 0;
	reach(glob, places[0], 0);
	for (const char *at = text; *at; at++) {
		if (*at == '/' && at != text && places[now][glob->count])
			return true;
		step(glob, places[now], places[!now], (uint8_t)*at);
		now = !now;
	}
	return places[now][glob->count];
}

bool lsp_glob_matches(const char *pattern, const char *path)
{
	struct glob glob;
	if (strlen(path) > LSP_GLOB_PATH_MAX || compile(pattern, &glob, NULL) < 0)
		return false;
	if (glob.whole_path)
		return matches_text(&glob, path);
	for (const char *name = path; name; name = strchr(name, '/')) {
		name += *name == '/';
		if (matches_text(&glob, name))
			return true;
	}
	return false;
}
