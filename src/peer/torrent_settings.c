#include "peer/torrent_settings.h"

#include <string.h>

#define OWN "own" /* in place of an id */
#define OF "of"   /* the id that a goal was met by */

static const char *key_of(bool own, const char *id)
{
	return own ? OWN : id;
}

bool lsp_torrent_settings_keep(json_t *record, bool own, const char *id, json_t *settings)
{
	json_t *all = json_object_get(record, "settings");
	const char *key = key_of(own, id);
	json_t *before = json_object_get(all, key), *now = json_copy(settings);
	if (!now)
		return false;
	json_object_set_new(now, OF, json_string(id));
	bool nothing = json_object_size(settings) == 0;
	if ((nothing && !before) || json_equal(before, now)) {
		json_decref(now);
		return false;
	}
	if (!all) {
		all = json_object();
		json_object_set_new(record, "settings", all);
	}
	return json_object_set_new(all, key, now) == 0;
}

json_t *lsp_torrent_settings_of(const json_t *record, bool own, const char *id)
{
	return json_object_get(json_object_get(record, "settings"), key_of(own, id));
}

void lsp_torrent_settings_apply(const json_t *record, bool own, const char *id, json_t *arguments)
{
	json_t *settings = lsp_torrent_settings_of(record, own, id);
	const char *of = json_string_value(json_object_get(settings, OF));
	if (!settings || json_object_update(arguments, settings) < 0)
		return;
	json_object_del(arguments, OF);
	if (!of || strcmp(of, id) != 0) /* another content has not been seeded at all */
		json_object_del(arguments, "goal_met");
}

void lsp_torrent_settings_forget(json_t *record, bool own, const char *id)
{
	json_object_del(json_object_get(record, "settings"), key_of(own, id));
}

void lsp_torrent_settings_forget_others(json_t *record)
{
	json_t *all = json_object_get(record, "settings"), *settings;
	const char *key;
	void *next;
	json_object_foreach_safe(all, next, key, settings)
	{
		if (strcmp(key, OWN) != 0)
			json_object_del(all, key);
	}
}

static bool has(const json_t *list, const json_t *url)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *tier = json_array_get(list, i);
		if (json_equal(tier, url) || (json_is_array(tier) && has(tier, url)))
			return true;
	}
	return false;
}

void lsp_torrent_settings_add_trackers(json_t *record, json_t *trackers)
{
	const char *key;
	json_t *settings, *url;
	size_t i;
	json_object_foreach (json_object_get(record, "settings"), key, settings) {
		json_t *list = json_object_get(settings, "trackers");
		json_array_foreach (trackers, i, url) {
			if (list && !has(list, url))
				json_array_append(list, url);
		}
	}
}
