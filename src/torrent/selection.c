#include "torrent/selection.h"

#include "torrent/glob.h"

#include <string.h>

#define DOMAIN "torrent"

/* What comes along with a game and is no part of it. */
static const char *const fluff[] = {"*.url", "*.lnk", "*.nfo", "*.diz", "*.sfv", "thumbs.db",
	"desktop.ini", ".DS_Store", "__MACOSX", "sample/**", "**/sample/**", "proof/**"};

static const struct {
	const char *name;
	uint8_t priority;
} names[] = {{"high", LSP_TORRENT_HIGH}, {"normal", LSP_TORRENT_NORMAL}, {"low", LSP_TORRENT_LOW},
	{"skip", LSP_TORRENT_SKIP}};

const char *lsp_selection_priority_name(uint8_t priority)
{
	unsigned i = 0;
	while (names[i].priority > priority)
		i++;
	return names[i].name;
}

/* The number of a name; −1 for a word that is none. */
static int priority_of(const json_t *value)
{
	const char *text = json_string_value(value);
	for (unsigned i = 0; text && i < sizeof names / sizeof names[0]; i++)
		if (strcmp(names[i].name, text) == 0)
			return names[i].priority;
	return -1;
}

static int check_globs(const json_t *object, const char *key, struct lsp_error *err)
{
	const json_t *globs = json_object_get(object, key);
	if (!globs || json_is_null(globs))
		return 0;
	if (!json_is_array(globs) || json_array_size(globs) > LSP_SELECTION_GLOBS_MAX)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"%s is a list of at most %d patterns", key, LSP_SELECTION_GLOBS_MAX);
	size_t i;
	json_t *glob;
	json_array_foreach (globs, i, glob) {
		if (!json_is_string(glob))
			return lsp_error_set(
				err, DOMAIN, LSP_E_INVALID, "%s is a list of texts", key);
		int r = lsp_glob_check(json_string_value(glob), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_priorities(const json_t *object, struct lsp_error *err)
{
	json_t *priorities = json_object_get(object, "priorities");
	if (!priorities || json_is_null(priorities))
		return 0;
	if (!json_is_object(priorities) ||
		json_object_size(priorities) > LSP_SELECTION_PRIORITIES_MAX)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"priorities is an object from paths to skip, low, normal or high");
	const char *path;
	json_t *value;
	json_object_foreach (priorities, path, value) {
		if (priority_of(value) < 0)
			return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
				"the priority of %.200s is none of skip, low, normal, high", path);
	}
	return 0;
}

int lsp_selection_check(const json_t *object, struct lsp_error *err)
{
	int r = check_globs(object, "include", err);
	if (r == 0)
		r = check_globs(object, "exclude", err);
	if (r == 0)
		r = check_priorities(object, err);
	const json_t *skip = json_object_get(object, "skip_fluff");
	if (r == 0 && skip && !json_is_boolean(skip) && !json_is_null(skip))
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID, "skip_fluff is true or false");
	return r;
}

bool lsp_selection_is_everything(const json_t *object)
{
	return json_array_size(json_object_get(object, "include")) == 0 &&
	       json_array_size(json_object_get(object, "exclude")) == 0 &&
	       json_object_size(json_object_get(object, "priorities")) == 0 &&
	       !json_is_true(json_object_get(object, "skip_fluff"));
}

static bool any_matches(const json_t *globs, const char *path)
{
	size_t i;
	json_t *glob;
	json_array_foreach (globs, i, glob) {
		if (lsp_glob_matches(json_string_value(glob), path))
			return true;
	}
	return false;
}

static bool is_fluff(const char *path)
{
	for (unsigned i = 0; i < sizeof fluff / sizeof fluff[0]; i++)
		if (lsp_glob_matches(fluff[i], path))
			return true;
	return false;
}

uint8_t lsp_selection_priority(const json_t *object, const char *path)
{
	int own = priority_of(json_object_get(json_object_get(object, "priorities"), path));
	if (own >= 0)
		return (uint8_t)own;
	if (any_matches(json_object_get(object, "exclude"), path))
		return LSP_TORRENT_SKIP;
	const json_t *include = json_object_get(object, "include");
	if (json_array_size(include) > 0)
		return any_matches(include, path) ? LSP_TORRENT_NORMAL : LSP_TORRENT_SKIP;
	if (json_is_true(json_object_get(object, "skip_fluff")) && is_fluff(path))
		return LSP_TORRENT_SKIP;
	return LSP_TORRENT_NORMAL;
}
