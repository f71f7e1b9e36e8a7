#include "torrent/record.h"

#include "base/cleanup.h"
#include "torrent/selection.h"
#include "wire/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN "torrent"

bool lsp_torrent_id_is_valid(const char *id)
{
	size_t size = strspn(id, "0123456789abcdef");
	return id[size] == '\0' && (size == 40 || size == 64);
}

/* ---- Reading ----------------------------------------------------------------------------- */

static int wrong(struct lsp_error *err, const char *key, const char *wanted)
{
	return lsp_error_set(err, DOMAIN, LSP_E_INVALID, "%s must be %s", key, wanted);
}

static int get_text(const json_t *json, const char *key, const char **value, struct lsp_error *err)
{
	const json_t *field = json_object_get(json, key);
	*value = NULL;
	if (!field || json_is_null(field))
		return 0;
	const char *text = json_string_value(field);
	if (!text || strlen(text) > LSP_RECORD_TEXT_MAX ||
		strlen(text) != json_string_length(field))
		return wrong(err, key, "a text of at most 4096 bytes");
	if (*text)
		*value = text;
	return 0;
}

static int get_bool(const json_t *json, const char *key, bool *value, struct lsp_error *err)
{
	const json_t *field = json_object_get(json, key);
	if (!field || json_is_null(field))
		return 0;
	if (!json_is_boolean(field))
		return wrong(err, key, "true or false");
	*value = json_is_true(field);
	return 0;
}

static int get_number(
	const json_t *json, const char *key, uint64_t max, uint64_t *value, struct lsp_error *err)
{
	const json_t *field = json_object_get(json, key);
	if (!field || json_is_null(field))
		return 0;
	json_int_t number = json_integer_value(field);
	if (!json_is_integer(field) || number < 0 || (uint64_t)number > max)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"%s must be a whole number from 0 to %llu", key, (unsigned long long)max);
	*value = (uint64_t)number;
	return 0;
}

static int get_rate(const json_t *json, const char *key, uint32_t *value, struct lsp_error *err)
{
	uint64_t number = 0;
	int r = get_number(json, key, INT32_MAX, &number, err);
	*value = (uint32_t)number;
	return r;
}

static bool is_url(const json_t *value)
{
	const char *text = json_string_value(value);
	return text && *text && strlen(text) <= LSP_RECORD_TEXT_MAX &&
	       strlen(text) == json_string_length(value);
}

/* A list of texts, or (tiers) of texts and lists of texts. */
static int get_list(const json_t *json, const char *key, bool tiers, const json_t **value,
	struct lsp_error *err)
{
	const json_t *list = json_object_get(json, key);
	*value = NULL;
	if (!list || json_is_null(list))
		return 0;
	size_t count = 0;
	bool fine = json_is_array(list);
	for (size_t i = 0; fine && i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		if (tiers && json_is_array(entry)) {
			for (size_t k = 0; fine && k < json_array_size(entry); k++, count++)
				fine = is_url(json_array_get(entry, k));
		} else {
			fine = is_url(entry);
			count++;
		}
	}
	if (!fine || count > LSP_RECORD_LIST_MAX)
		return wrong(err, key, "a list of at most 256 texts");
	*value = list;
	return 0;
}

static int get_id(const json_t *json, struct lsp_record *record, struct lsp_error *err)
{
	int r = get_text(json, "id", &record->id, err);
	if (r == 0 && (!record->id || !lsp_torrent_id_is_valid(record->id)))
		return wrong(err, "id", "an info-hash of 40 or 64 digits");
	return r;
}

static int get_paths(const json_t *json, struct lsp_record *record, struct lsp_error *err)
{
	int r = get_text(json, "save_path", &record->save_path, err);
	if (r == 0 && !record->save_path)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID, "save_path is missing");
	if (r == 0 && record->save_path[0] != '/')
		return wrong(err, "save_path", "an absolute path");
	if (r == 0)
		r = get_text(json, "moving_to", &record->moving_to, err);
	if (r == 0 && record->moving_to && record->moving_to[0] != '/')
		return wrong(err, "moving_to", "an absolute path");
	if (r == 0)
		r = get_text(json, "save_mount", &record->save_mount, err);
	if (r == 0)
		r = get_text(json, "moving_mount", &record->moving_mount, err);
	if (r == 0 && ((record->save_mount && record->save_mount[0] != '/') ||
			      (record->moving_mount && record->moving_mount[0] != '/')))
		return wrong(err, "save_mount and moving_mount", "absolute paths");
	if (r == 0)
		r = get_text(json, "root", &record->root, err);
	if (r == 0 && record->root &&
		(strchr(record->root, '/') || strcmp(record->root, ".") == 0 ||
			strcmp(record->root, "..") == 0))
		return wrong(err, "root", "the name of a folder");
	return r;
}

static int get_storage(const json_t *json, struct lsp_record *record, struct lsp_error *err)
{
	const char *storage;
	int r = get_text(json, "storage", &storage, err);
	if (r < 0)
		return r;
	record->allocate = storage && strcmp(storage, "allocate") == 0;
	if (storage && !record->allocate && strcmp(storage, "sparse") != 0)
		return wrong(err, "storage", "sparse or allocate");
	return 0;
}

static int get_ratio(const json_t *json, struct lsp_record *record, struct lsp_error *err)
{
	const json_t *field = json_object_get(json, "seed_ratio");
	if (!field || json_is_null(field))
		return 0;
	record->seed_ratio = json_number_value(field);
	if (!json_is_number(field) || !(record->seed_ratio >= 0 && record->seed_ratio <= 1e6))
		return wrong(err, "seed_ratio", "a number from 0 to 1000000");
	return 0;
}

static int get_texts(const json_t *json, struct lsp_record *record, struct lsp_error *err)
{
	int r = get_text(json, "magnet", &record->magnet, err);
	if (r == 0)
		r = get_text(json, "name", &record->name, err);
	if (r == 0)
		r = get_text(json, "category", &record->category, err);
	if (r == 0)
		r = get_text(json, "game", &record->game, err);
	if (r == 0)
		r = get_list(json, "tags", false, &record->tags, err);
	if (r == 0)
		r = get_list(json, "trackers", true, &record->trackers, err);
	if (r == 0)
		r = get_list(json, "web_seeds", false, &record->web_seeds, err);
	return r;
}

static int get_switches(const json_t *json, struct lsp_record *record, struct lsp_error *err)
{
	const struct {
		const char *key;
		bool *value;
	} switches[] = {{"paused", &record->paused}, {"sequential", &record->sequential},
		{"auto_managed", &record->auto_managed}, {"pex", &record->pex},
		{"super_seeding", &record->super_seeding}, {"seed_remove", &record->seed_remove},
		{"seed_remove_data", &record->seed_remove_data}, {"goal_met", &record->goal_met},
		{"trackers_set", &record->trackers_set}, {"removing", &record->removing},
		{"leaving", &record->leaving}, {"moving_back", &record->moving_back}};
	record->auto_managed = record->pex = true;
	int r = 0;
	for (unsigned i = 0; r == 0 && i < LSP_ARRAY_SIZE(switches); i++)
		r = get_bool(json, switches[i].key, switches[i].value, err);
	return r;
}

static int get_numbers(const json_t *json, struct lsp_record *record, struct lsp_error *err)
{
	int r = get_rate(json, "max_download", &record->max_download, err);
	if (r == 0)
		r = get_rate(json, "max_upload", &record->max_upload, err);
	if (r == 0)
		r = get_rate(json, "max_connections", &record->max_connections, err);
	if (r == 0)
		r = get_rate(json, "max_uploads", &record->max_uploads, err);
	if (r == 0)
		r = get_number(json, "seed_time", UINT32_MAX, &record->seed_time, err);
	if (r == 0)
		r = get_number(json, "moving_files", UINT32_MAX, &record->moving_files, err);
	if (r == 0)
		r = get_number(json, "added", INT64_MAX, &record->added, err);
	if (r == 0)
		r = get_number(json, "completed", INT64_MAX, &record->completed, err);
	if (r == 0)
		r = get_ratio(json, record, err);
	return r;
}

int lsp_torrent_record_parse(json_t *json, struct lsp_record *ret_record, struct lsp_error *err)
{
	struct lsp_record record = {.json = json};
	if (!json_is_object(json))
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID, "a record is an object");
	uint64_t version = LSP_RECORD_VERSION;
	int r = get_number(json, "version", UINT32_MAX, &version, err);
	if (r == 0 && version != LSP_RECORD_VERSION)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"the record is of version %llu, this program knows %d",
			(unsigned long long)version, LSP_RECORD_VERSION);
	if (r == 0)
		r = get_id(json, &record, err);
	if (r == 0)
		r = get_paths(json, &record, err);
	if (r == 0)
		r = get_storage(json, &record, err);
	if (r == 0)
		r = get_texts(json, &record, err);
	if (r == 0)
		r = get_switches(json, &record, err);
	if (r == 0)
		r = get_numbers(json, &record, err);
	if (r == 0)
		r = lsp_selection_check(json, err);
	if (r == 0)
		*ret_record = record;
	return r;
}

/* For a file of up to 16 MiB of our own: as many values as its priorities may have. */
static const struct lsp_json_limits limits = {.size = LSP_RECORD_SIZE_MAX,
	.values = 2 * LSP_SELECTION_PRIORITIES_MAX,
	.containers = 4096,
	.depth = 8};

int lsp_torrent_record_decode(const void *data, size_t size, const char *id,
	struct lsp_record *ret_record, struct lsp_error *err)
{
	_cleanup_json_ json_t *json = NULL;
	struct lsp_record record;
	int r = lsp_json_parse(data, size, &limits, &json, err);
	if (r == 0)
		r = lsp_torrent_record_parse(json, &record, err);
	if (r == -LSP_E_NO_MEMORY)
		return r;
	if (r == 0 && strcmp(record.id, id) != 0)
		r = lsp_error_set(
			err, DOMAIN, LSP_E_PROTOCOL, "it is the record of another torrent");
	if (r < 0) {
		if (err)
			err->code = LSP_E_PROTOCOL;
		return -LSP_E_PROTOCOL;
	}
	json = NULL;
	*ret_record = record;
	return 0;
}

void lsp_torrent_record_done(struct lsp_record *record)
{
	json_decref(record->json);
	memset(record, 0, sizeof *record);
}

int lsp_torrent_record_encode(
	const struct lsp_record *record, struct lsp_buffer *buffer, struct lsp_error *err)
{
	int r = lsp_json_append(record->json, buffer, err);
	return r < 0 ? r : lsp_buffer_append(buffer, "\n", 1, err);
}

/* ---- Making and changing ----------------------------------------------------------------- */

static const char *const argument_keys[] = {"name", "save_path", "root", "category", "tags", "game",
	"paused", "sequential", "storage", "auto_managed", "pex", "super_seeding", "include",
	"exclude", "skip_fluff", "priorities", "trackers", "web_seeds", "max_download",
	"max_upload", "max_connections", "max_uploads", "seed_ratio", "seed_time", "seed_remove",
	"seed_remove_data", "trackers_set", "goal_met", NULL};

/* Of a torrent that somebody else keeps: what was set of it, but not which files are wanted. */
static const char *const setting_keys[] = {"name", "category", "tags", "paused", "sequential",
	"auto_managed", "pex", "super_seeding", "web_seeds", "max_download", "max_upload",
	"max_connections", "max_uploads", "seed_ratio", "seed_time", "seed_remove",
	"seed_remove_data", "trackers_set", "goal_met", NULL};

/* Copies into `json`; −1 out of memory. */
static int copy_fields(json_t *json, const json_t *from, const char *const *keys)
{
	for (; *keys; keys++) {
		json_t *value = json_object_get(from, *keys);
		if (!value)
			continue;
		if (json_is_null(value))
			json_object_del(json, *keys);
		else if (json_object_set_new(json, *keys, json_deep_copy(value)) < 0)
			return -1;
	}
	return 0;
}

/* Takes over `json` in any case. */
static int replace(struct lsp_record *record, json_t *json, struct lsp_error *err)
{
	struct lsp_record changed;
	int r = lsp_torrent_record_parse(json, &changed, err);
	if (r < 0) {
		json_decref(json);
		return r;
	}
	json_decref(record->json);
	*record = changed;
	return 0;
}

int lsp_torrent_record_new(const char *id, const char *magnet, const json_t *arguments,
	uint64_t added, struct lsp_record *ret_record, struct lsp_error *err)
{
	struct lsp_record record = {0};
	json_t *json = json_pack("{s:i, s:s, s:s*, s:I}", "version", LSP_RECORD_VERSION, "id", id,
		"magnet", magnet, "added", (json_int_t)added);
	if (!json || copy_fields(json, arguments, argument_keys) < 0) {
		json_decref(json);
		return lsp_error_set(
			err, DOMAIN, LSP_E_INVALID, "the torrent's name or link is no valid UTF-8");
	}
	int r = replace(&record, json, err);
	if (r == 0)
		*ret_record = record;
	return r;
}

json_t *lsp_torrent_record_settings(const struct lsp_record *record)
{
	static const char *const trackers[] = {"trackers", NULL};
	json_t *settings = json_object();
	if (!settings || copy_fields(settings, record->json, setting_keys) < 0 ||
		(record->trackers_set && copy_fields(settings, record->json, trackers) < 0)) {
		json_decref(settings);
		return NULL;
	}
	return settings;
}

int lsp_torrent_record_merge(struct lsp_record *record, const json_t *changes,
	const char *const *keys, struct lsp_error *err)
{
	json_t *json = json_copy(record->json);
	if (!json || copy_fields(json, changes, keys) < 0) {
		json_decref(json);
		return lsp_error_no_memory(err, DOMAIN);
	}
	return replace(record, json, err);
}

int lsp_torrent_record_set(
	struct lsp_record *record, const char *key, json_t *value, struct lsp_error *err)
{
	json_t *json = json_copy(record->json);
	if (json && !value)
		json_object_del(json, key);
	if (!json || (value && json_object_set_new(json, key, value) < 0)) {
		json_decref(json);
		return lsp_error_no_memory(err, DOMAIN);
	}
	return replace(record, json, err);
}

void lsp_torrent_record_clear(struct lsp_record *record, const char *const *keys)
{
	for (; *keys; keys++)
		json_object_del(record->json, *keys);
	int r = lsp_torrent_record_parse(record->json, record, NULL);
	assert(r == 0); /* what was fine is so without what may be absent */
	(void)r;
}

/* ---- Trackers ---------------------------------------------------------------------------- */

static bool has_url(const json_t *list, const char *url)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		const char *text = json_string_value(entry);
		if (text ? strcmp(text, url) == 0 : has_url(entry, url))
			return true;
	}
	return false;
}

bool lsp_torrent_record_has_tracker(const struct lsp_record *record, const char *url)
{
	return has_url(record->trackers, url);
}

int lsp_torrent_record_flatten(const json_t *trackers, const char ***ret_urls, int32_t **ret_tiers,
	size_t *ret_count, struct lsp_error *err)
{
	const char **urls = calloc(LSP_RECORD_LIST_MAX, sizeof *urls);
	int32_t *tiers = calloc(LSP_RECORD_LIST_MAX, sizeof *tiers);
	if (!urls || !tiers) {
		free(urls);
		free(tiers);
		return lsp_error_no_memory(err, DOMAIN);
	}
	size_t count = 0;
	for (size_t i = 0; i < json_array_size(trackers); i++) {
		const json_t *entry = json_array_get(trackers, i);
		size_t tier_size = json_is_array(entry) ? json_array_size(entry) : 1;
		for (size_t k = 0; k < tier_size && count < LSP_RECORD_LIST_MAX; k++) {
			const json_t *url = json_is_array(entry) ? json_array_get(entry, k) : entry;
			urls[count] = json_string_value(url);
			tiers[count++] = (int32_t)(i < 255 ? i : 255);
		}
	}
	*ret_urls = urls;
	*ret_tiers = tiers;
	*ret_count = count;
	return 0;
}
