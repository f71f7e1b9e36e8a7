/*
 * The session's life: open with everything that is stored, save while it runs, save all and close.
 *
 * What a torrent is restored from: its resume data where they are whole; else its .torrent or
 * magnet link, and then its files are checked. Where the record is missing the selection is the
 * default one. Each of these is said.
 */
#include "torrent/engine_private.h"

#include "base/log.h"
#include "base/text.h"
#include "task/wait.h"
#include "torrent/selection.h"

#include <stdlib.h>
#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN

/* ---- Adding ------------------------------------------------------------------------------ */

/* The texts of a JSON array, which must be texts; the caller frees the array alone. */
static const char **texts_of(const json_t *list, uint64_t *ret_count)
{
	size_t count = json_array_size(list);
	const char **texts = calloc(count + 1, sizeof *texts);
	for (size_t i = 0; texts && i < count; i++)
		texts[i] = json_string_value(json_array_get(list, i));
	*ret_count = texts ? count : 0;
	return texts;
}

/* What every way of adding has in common: the record's fields. */
static void fill_add(const struct lsp_torrent_engine *engine, const struct lsp_torrent *torrent,
	struct lsp_shim_add *add)
{
	const struct lsp_record *record = &torrent->record;
	add->torrent = torrent->number;
	add->save_path = record->save_path;
	add->root = record->root;
	add->name = record->name;
	add->flags |= lsp_torrent_flags(engine, torrent);
	add->max_download = (int32_t)record->max_download;
	add->max_upload = (int32_t)record->max_upload;
	add->max_connections = (int32_t)record->max_connections;
	add->max_uploads = (int32_t)record->max_uploads;
	add->replace_trackers = record->trackers_set;
}

/* Nanoseconds between two saves of one torrent. */
static uint64_t save_interval(const struct lsp_torrent_engine *engine)
{
	uint64_t wanted = engine->configuration.save_interval;
	return wanted ? wanted : engine->save_interval;
}

int lsp_session_add(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_shim_source *source, const struct lsp_shim_add *options, struct lsp_error *err)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	const struct lsp_record *record = &torrent->record;
	struct lsp_shim_add add = *options;
	_cleanup_free_ uint8_t *priorities = NULL;
	_cleanup_free_ const char **urls = NULL, **seeds = NULL, **peers = NULL;
	_cleanup_free_ int32_t *tiers = NULL;
	size_t count = 0, priority_count = 0;
	bool everything = lsp_selection_is_everything(record->json);
	fill_add(engine, torrent, &add);
	int r = lsp_torrent_record_flatten(record->trackers, &urls, &tiers, &count, err);
	if (r == 0 && torrent->has_metadata && !everything && !add.priorities)
		r = lsp_torrent_priorities(
			engine, torrent, source, &priorities, &priority_count, err);
	if (r < 0) {
		shim->source_free(source);
		return r;
	}
	if (priorities) {
		add.priorities = priorities;
		add.priority_count = priority_count;
	}
	/* Nothing is written before the metadata came and what it means was said. */
	torrent->fresh_selection = !torrent->has_metadata && (!everything || record->root);
	if (torrent->fresh_selection)
		add.flags |= LSP_SHIM_SKIP_BY_DEFAULT;
	seeds = texts_of(record->web_seeds, &add.web_seeds.count);
	add.web_seeds.text = seeds;
	/* A private torrent's peers come from its tracker alone (BEP 27). */
	if (add.peers.count == 0 && !torrent->is_private) {
		peers = texts_of(engine->lan_peers, &add.peers.count);
		add.peers.text = peers;
	}
	/* Resume data have the trackers already. */
	if (!torrent->restored || record->trackers_set)
		add.trackers = (struct lsp_shim_texts){.text = urls, .tier = tiers, .count = count};
	else
		add.web_seeds.count = 0;
	lsp_time now = lsp_now(engine->clock);
	torrent->next_save = lsp_time_add(
		now, lsp_random_below(&engine->random, save_interval(engine)) + LSP_SECOND);
	engine->next_tick = now;
	return shim->add(engine->shim, source, &add, err);
}

/* ---- Restoring --------------------------------------------------------------------------- */

static struct lsp_shim_bytes bytes_of(const struct lsp_buffer *buffer)
{
	return (struct lsp_shim_bytes){buffer->data, buffer->size};
}

/* Whose resume data these are. */
static bool is_source_of(
	struct lsp_torrent_engine *engine, struct lsp_shim_source *source, const char *id)
{
	struct lsp_shim_info info;
	char v1[41] = "", v2[65] = "";
	engine->shim_functions->source_info(source, &info);
	if (info.flags & LSP_SHIM_HAS_V1)
		lsp_text_to_hex(info.v1, sizeof info.v1, v1);
	if (info.flags & LSP_SHIM_HAS_V2)
		lsp_text_to_hex(info.v2, sizeof info.v2, v2);
	return strcmp(v1, id) == 0 || strcmp(v2, id) == 0;
}

/* 1: from its resume data, which are whole. */
static int source_from_blob(struct lsp_torrent_engine *engine, struct lsp_resume_entry *entry,
	struct lsp_shim_source **ret_source)
{
	struct lsp_error why = {0};
	struct lsp_shim_bytes blob = bytes_of(&entry->blob);
	if (blob.size == 0)
		return 0;
	if (engine->shim_functions->parse(NULL, NULL, &blob, ret_source, &why) == 0) {
		if (is_source_of(engine, *ret_source, entry->id))
			return 1;
		engine->shim_functions->source_free(*ret_source);
		lsp_error_set(&why, DOMAIN, LSP_E_PROTOCOL, "it belongs to another torrent");
	}
	entry->blob_damaged = true;
	lsp_resume_store_quarantine(engine->store, entry->id, LSP_RESUME_BLOB, why.message);
	return 0;
}

/* Without resume data: the .torrent, the magnet link, or at least the info-hash. */
static int source_from_rest(struct lsp_torrent_engine *engine, struct lsp_resume_entry *entry,
	struct lsp_shim_source **ret_source, struct lsp_error *err)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	struct lsp_shim_bytes metainfo = bytes_of(&entry->metainfo);
	char link[128];
	if (metainfo.size > 0 && shim->parse(NULL, &metainfo, NULL, ret_source, err) == 0) {
		if (is_source_of(engine, *ret_source, entry->id))
			return 0;
		shim->source_free(*ret_source);
	}
	if (metainfo.size > 0)
		lsp_resume_store_quarantine(
			engine->store, entry->id, LSP_RESUME_METAINFO, "it is not this torrent's");
	if (entry->record.magnet)
		return shim->parse(entry->record.magnet, NULL, NULL, ret_source, err);
	snprintf(link, sizeof link, "magnet:?xt=urn:%s%s",
		strlen(entry->id) == 64 ? "btmh:1220" : "btih:", entry->id);
	return shim->parse(link, NULL, NULL, ret_source, err);
}

struct compared {
	const struct lsp_shim_functions *shim;
	struct lsp_shim_source *source;
	const uint8_t *wanted;
	size_t count;
	bool differs;
};

static void compare_priorities(void *argument, const void *data, size_t size)
{
	struct compared *compared = argument;
	const uint8_t *stored = data;
	for (size_t i = 0; i < compared->count; i++) {
		uint8_t there = i < size ? stored[i] : LSP_TORRENT_NORMAL;
		struct lsp_shim_file file;
		if (there == compared->wanted[i])
			continue;
		/* Of padding, which nobody wants, the first resume data of a torrent say nothing.
		 */
		compared->shim->source_file(compared->source, (uint32_t)i, &file);
		compared->differs |= !(file.flags & LSP_SHIM_FILE_PAD);
	}
}

/* Does the session's own memory of the selection agree with ours? Ours wins. */
static int reconcile(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_shim_source *source, bool had_record, uint8_t **ret_priorities,
	size_t *ret_count, struct lsp_error *err)
{
	if (!torrent->has_metadata)
		return 0;
	int r = lsp_torrent_priorities(engine, torrent, source, ret_priorities, ret_count, err);
	if (r < 0)
		return r;
	struct compared compared = {.shim = engine->shim_functions,
		.source = source,
		.wanted = *ret_priorities,
		.count = *ret_count};
	r = engine->shim_functions->source_priorities(source, compare_priorities, &compared, err);
	if (r == 0 && had_record && compared.differs)
		torrent->reconciled = "the stored selection differed from the resume data: the "
				      "stored one is in effect";
	if (!compared.differs) { /* the resume data say the same */
		free(*ret_priorities);
		*ret_priorities = NULL;
		*ret_count = 0;
	}
	return r;
}

/* A record for resume data that have none: everything is selected. */
static int default_record(struct lsp_torrent_engine *engine, struct lsp_resume_entry *entry,
	struct lsp_shim_source *source, struct lsp_error *err)
{
	struct lsp_shim_info info;
	engine->shim_functions->source_info(source, &info);
	json_t *arguments = json_pack("{s:s}", "save_path", info.save_path);
	int r = lsp_torrent_record_new(entry->id, NULL, arguments,
		lsp_wall(engine->clock) / LSP_SECOND, &entry->record, err);
	json_decref(arguments);
	return r;
}

static int restore_entry(
	struct lsp_torrent_engine *engine, struct lsp_resume_entry *entry, struct lsp_error *err)
{
	struct lsp_shim_source *source = NULL;
	struct lsp_torrent *torrent = NULL;
	bool had_record = entry->record.json, from_blob = source_from_blob(engine, entry, &source);
	int r = 0;
	if (!from_blob && !had_record)
		return lsp_error_set(err, DOMAIN, LSP_E_PROTOCOL,
			"neither its resume data nor its record can be read");
	if (!from_blob)
		r = source_from_rest(engine, entry, &source, err);
	if (r == 0 && !had_record)
		r = default_record(engine, entry, source, err);
	if (r == 0)
		r = lsp_torrent_new(engine, &entry->record, source, &torrent, err);
	if (r < 0) {
		engine->shim_functions->source_free(source);
		return r;
	}
	torrent->stored = true;
	torrent->restored = from_blob;
	torrent->record_dirty = !had_record;
	torrent->blob_dirty = !from_blob;
	if (!had_record)
		torrent->reconciled = "the stored selection is missing: everything is selected";
	struct lsp_shim_add add = {.flags = from_blob ? 0 : LSP_SHIM_CHECK};
	_cleanup_free_ uint8_t *priorities = NULL;
	size_t count = 0;
	if (from_blob)
		r = reconcile(engine, torrent, source, had_record, &priorities, &count, err);
	add.priorities = priorities;
	add.priority_count = count;
	if (r == 0)
		r = lsp_session_add(engine, torrent, source, &add, err);
	else
		engine->shim_functions->source_free(source);
	if (!from_blob)
		lsp_engine_fail(engine, LSP_TORRENT_HEALTH_RESUME_STORE, torrent->record.id,
			"a torrent has no resume data, its files are checked");
	if (r < 0)
		lsp_torrent_drop(engine, torrent);
	else
		engine->tally.restored++;
	return r;
}

static void restore_one(struct lsp_torrent_engine *engine, const char *id)
{
	struct lsp_resume_entry entry = {0};
	struct lsp_error err = {0};
	int r = lsp_resume_store_load(engine->store, id, &entry, &err);
	if (r == 0)
		r = restore_entry(engine, &entry, &err);
	bool damaged = entry.record_damaged || entry.blob_damaged;
	lsp_resume_entry_done(&entry);
	if (r < 0) {
		lsp_log_warning(DOMAIN, "torrent %s is not restored: %s", id, err.message);
		lsp_engine_emit(engine, lsp_event_error(id, lsp_code_name(-r), err.message));
	}
	if (r < 0 || damaged)
		lsp_engine_fail(engine, LSP_TORRENT_HEALTH_RESUME_STORE, id,
			"a file of the store is damaged and was set aside");
}

static void restore_all(struct lsp_torrent_engine *engine)
{
	char **ids = NULL;
	size_t count = 0;
	struct lsp_error err = {0};
	if (engine->store) {
		int r = lsp_resume_store_list(engine->store, &ids, &count, &err);
		lsp_session_tell_folder(engine, r < 0 ? err.message : NULL);
	}
	for (size_t i = 0; i < count; i++) {
		/* What was removed is, though its files are still there. */
		bool gone = json_object_get(engine->leftovers, ids[i]) ||
			    json_object_get(engine->kept, ids[i]);
		if (!gone)
			restore_one(engine, ids[i]);
		free(ids[i]);
	}
	free(ids);
	if (engine->store)
		engine->tally.quarantined = lsp_resume_store_quarantined(engine->store);
}

/* ---- Opening ----------------------------------------------------------------------------- */

static void on_notify(void *argument)
{
	lsp_engine_wake(argument);
}

/* What is configured beside the plain settings. */
static int configure_rest(struct lsp_torrent_engine *engine, struct lsp_error *err)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	const struct lsp_configuration *configuration = &engine->configuration;
	int r = shim->set_ip_filter(engine->shim, (const char *const(*)[2])configuration->ranges,
		configuration->range_count, err);
	if (r == 0)
		r = shim->limit_lan(engine->shim, configuration->limit_lan, err);
	for (size_t i = 0; r == 0 && i < json_array_size(configuration->dht_nodes); i++) {
		char host[256];
		const char *node = json_string_value(json_array_get(configuration->dht_nodes, i));
		const char *colon = strrchr(node, ':');
		snprintf(host, sizeof host, "%.*s", (int)(colon - node), node);
		r = shim->add_dht_node(
			engine->shim, host, (uint32_t)strtoul(colon + 1, NULL, 10), err);
	}
	return r;
}

/* The library tells where it listens when that changes, and then only: what it told stays true. */
static void note_listen(struct lsp_torrent_engine *engine)
{
	const struct lsp_configuration *configuration = &engine->configuration;
	const char *wanted = "";
	for (size_t i = 0; i < configuration->count; i++)
		if (strcmp(configuration->settings[i].name, "listen_interfaces") == 0)
			wanted = configuration->settings[i].text;
	if (strcmp(engine->listen_wanted, wanted) != 0)
		json_object_clear(engine->listening);
	snprintf(engine->listen_wanted, sizeof engine->listen_wanted, "%s", wanted);
}

void lsp_session_look_around(struct lsp_torrent_engine *engine)
{
	struct lsp_torrent *torrent;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next)
		if (torrent->added && !torrent->removing)
			(void)!engine->shim_functions->look_around(
				engine->shim, torrent->number, NULL);
}

void lsp_session_look_if_due(struct lsp_torrent_engine *engine, lsp_time now)
{
	if (!engine->next_look || now < engine->next_look)
		return;
	engine->next_look = 0;
	lsp_session_look_around(engine);
}

int lsp_session_configure(struct lsp_torrent_engine *engine, struct lsp_error *err)
{
	note_listen(engine);
	int r = engine->shim_functions->apply(
		engine->shim, engine->configuration.settings, engine->configuration.count, err);
	if (r == 0)
		r = configure_rest(engine, err);
	if (r == 0)
		lsp_torrent_limits_apply(engine, true);
	return r;
}

int lsp_session_open(struct lsp_torrent_engine *engine, struct lsp_error *err)
{
	if (engine->shim)
		return 0;
	int r = engine->shim_functions->open(engine->configuration.settings,
		engine->configuration.count, on_notify, engine, &engine->shim, err);
	if (r < 0)
		return r;
	note_listen(engine);
	r = configure_rest(engine, err);
	if (r < 0) {
		engine->shim_functions->close(TAKE_PTR(engine->shim));
		return r;
	}
	engine->tally.sessions++;
	engine->tally.session_open = true;
	engine->counted_read_back = 0;
	engine->is_brisk = false;
	engine->next_tick = engine->next_second = lsp_now(engine->clock);
	lsp_torrent_limits_apply(engine, true);
	lsp_engine_clear(engine, LSP_TORRENT_HEALTH_SESSION, "session");
	restore_all(engine);
	lsp_engine_publish(engine);
	return 0;
}

int lsp_session_require(struct lsp_torrent_engine *engine, struct lsp_error *err)
{
	struct lsp_error why = {0};
	if (lsp_session_open(engine, &why) == 0)
		return 0;
	engine->broken = true;
	engine->broken_error = why;
	return lsp_error_set(err, DOMAIN, LSP_E_CLOSED,
		"the torrent engine is not available: %.300s", why.message);
}

/* ---- Saving ------------------------------------------------------------------------------ */

void lsp_session_tell_folder(struct lsp_torrent_engine *engine, const char *failure)
{
	if (failure)
		lsp_engine_fail(engine, LSP_TORRENT_HEALTH_RESUME_STORE, "folder", failure);
	else
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_RESUME_STORE, "folder");
}

void lsp_session_store_failed(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_error *error)
{
	engine->tally.resume_failed++;
	torrent->next_save = lsp_time_add(lsp_now(engine->clock), 5 * LSP_SECOND);
	if (!lsp_faults_has(&engine->faults, LSP_TORRENT_HEALTH_RESUME_STORE, torrent->record.id))
		lsp_engine_emit(engine, lsp_event_error(torrent->record.id,
						lsp_code_name(error->code), error->message));
	lsp_engine_fail(
		engine, LSP_TORRENT_HEALTH_RESUME_STORE, torrent->record.id, error->message);
}

static void leftover_key(const char *id, char key[LSP_FAULT_KEY_MAX])
{
	/* Not as those of a torrent begin, which go with it. */
	snprintf(key, LSP_FAULT_KEY_MAX, "removed %s", id);
}

int lsp_session_forget(struct lsp_torrent_engine *engine, const char *id, struct lsp_error *err)
{
	char key[LSP_FAULT_KEY_MAX], message[600];
	struct lsp_error why = {0};
	if (lsp_resume_store_remove(engine->store, id, &why) == 0) {
		lsp_session_remember(engine, id);
		lsp_session_tell_folder(engine, NULL);
		return 0;
	}
	engine->tally.resume_failed++;
	engine->next_leftover = lsp_time_add(lsp_now(engine->clock), 5 * LSP_SECOND);
	json_object_set_new(engine->leftovers, id, json_true());
	leftover_key(id, key);
	snprintf(message, sizeof message, "torrent %s is removed, but not from the disk: %.300s",
		id, why.message);
	lsp_engine_fail(engine, LSP_TORRENT_HEALTH_RESUME_STORE, key, message);
	if (err)
		*err = why;
	return -why.code;
}

void lsp_session_remember(struct lsp_torrent_engine *engine, const char *id)
{
	char key[LSP_FAULT_KEY_MAX];
	json_object_del(engine->kept, id);
	leftover_key(id, key); /* the id may be the list's own, and go with it */
	if (json_object_del(engine->leftovers, id) == 0)
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_RESUME_STORE, key);
}

static void forget_leftovers(struct lsp_torrent_engine *engine)
{
	const char *id;
	json_t *value;
	void *next;
	json_object_foreach_safe(engine->leftovers, next, id, value)
	{
		(void)!lsp_session_forget(engine, id, NULL);
	}
}

void lsp_session_forget_due(struct lsp_torrent_engine *engine, lsp_time now)
{
	if (json_object_size(engine->leftovers) && now >= engine->next_leftover)
		forget_leftovers(engine);
}

void lsp_session_write_record(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_error err = {0};
	torrent->record_dirty = true;
	if (torrent->transient || !engine->store)
		return;
	if (lsp_resume_store_write_record(engine->store, &torrent->record, &err) < 0) {
		lsp_session_store_failed(engine, torrent, &err);
		return;
	}
	torrent->record_dirty = false;
	engine->tally.resume_saved++;
	lsp_session_tell_folder(engine, NULL);
	if (!torrent->blob_dirty)
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_RESUME_STORE, torrent->record.id);
}

static void ask_to_save(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, bool if_modified)
{
	struct lsp_error err = {0};
	lsp_time now = lsp_now(engine->clock);
	torrent->next_save = lsp_time_add(now, save_interval(engine));
	if (engine->shim_functions->save_resume(
		    engine->shim, torrent->number, if_modified && !torrent->blob_dirty, &err) < 0)
		return;
	torrent->saving = true;
	engine->saves_outstanding++;
}

void lsp_session_save(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	if (torrent->transient || !torrent->added || torrent->removing || !engine->store)
		return;
	if (torrent->saving)
		torrent->save_again = true;
	else /* at the end only what changed: every torrent pauses then */
		ask_to_save(engine, torrent, engine->save_deadline != 0);
}

void lsp_session_save_due(struct lsp_torrent_engine *engine, lsp_time now)
{
	struct lsp_torrent *torrent;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next) {
		if (torrent->transient || !torrent->added || torrent->removing ||
			now < torrent->next_save || !engine->store)
			continue;
		if (torrent->record_dirty)
			lsp_session_write_record(engine, torrent);
		if (!torrent->saving)
			ask_to_save(engine, torrent, true);
	}
}

void lsp_session_hasten_saves(struct lsp_torrent_engine *engine)
{
	lsp_time latest = lsp_time_add(lsp_now(engine->clock), save_interval(engine));
	struct lsp_torrent *torrent;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next)
		if (torrent->next_save > latest)
			torrent->next_save = latest;
}

/* The place in the queue is stored with the record, which libtorrent's resume data do not have. */
static void note_queue(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	const json_t *stored = json_object_get(torrent->record.json, "queue");
	json_int_t before = stored ? json_integer_value(stored) : -1;
	if (torrent->status_at == 0 || torrent->status.queue_position == before)
		return;
	json_t *place = torrent->status.queue_position >= 0
				? json_integer(torrent->status.queue_position)
				: NULL;
	if (lsp_torrent_record_set(&torrent->record, "queue", place, NULL) == 0)
		torrent->record_dirty = true;
}

/* It closes, and its time is over: what was stored before stands. */
static bool is_too_late(const struct lsp_torrent_engine *engine)
{
	return engine->save_deadline && lsp_now(engine->clock) >= engine->save_deadline;
}

static void write_blob(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert)
{
	struct lsp_error err = {0};
	if (torrent->removing && !torrent->keep_stored)
		return; /* its files go */
	if (is_too_late(engine)) {
		engine->unsaved++;
		return;
	}
	note_queue(engine, torrent);
	if (lsp_resume_store_write(engine->store, torrent->record.id, LSP_RESUME_BLOB,
		    alert->data.data, alert->data.size, &err) < 0) {
		torrent->blob_dirty = true;
		lsp_session_store_failed(engine, torrent, &err);
		return;
	}
	torrent->blob_dirty = false;
	engine->tally.resume_saved++;
	lsp_session_tell_folder(engine, NULL);
	if (torrent->record_dirty)
		lsp_session_write_record(engine, torrent);
	else
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_RESUME_STORE, torrent->record.id);
}

void lsp_session_on_saved(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert)
{
	if (torrent->saving && engine->saves_outstanding > 0)
		engine->saves_outstanding--;
	torrent->saving = false;
	if (alert->type == LSP_SHIM_ALERT_RESUME_DATA) {
		write_blob(engine, torrent, alert);
	} else if (alert->number == 0 && !torrent->removing) {
		struct lsp_error err = {0};
		lsp_error_set(&err, DOMAIN, LSP_E_FAILED, "no resume data: %.300s", alert->error);
		torrent->blob_dirty = true;
		lsp_session_store_failed(engine, torrent, &err);
	}
	if (torrent->save_again && !torrent->removing && !is_too_late(engine)) {
		torrent->save_again = false;
		ask_to_save(engine, torrent, engine->save_deadline != 0);
	}
}

/* ---- Closing ----------------------------------------------------------------------------- */

bool lsp_session_await(struct lsp_torrent_engine *engine, lsp_time deadline)
{
	struct pollfd fd = {.fd = engine->wake_fd, .events = POLLIN};
	uint64_t count;
	int r = lsp_wait_poll(&fd, 1, NULL, engine->clock, deadline, NULL);
	if (r > 0) {
		r = (int)read(engine->wake_fd, &count, sizeof count);
		engine->wake_taken = true;
	}
	lsp_alerts_drain(engine);
	return r >= 0 || lsp_now(engine->clock) < deadline;
}

static void save_all(struct lsp_torrent_engine *engine, lsp_time deadline)
{
	struct lsp_torrent *torrent;
	struct lsp_error err = {0};
	engine->save_deadline = deadline;
	engine->unsaved = 0;
	if (engine->shim_functions->halt(engine->shim, &err) < 0)
		lsp_log_warning(DOMAIN, "%s", err.message);
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next) {
		if (torrent->transient || !torrent->added || torrent->removing || !engine->store)
			continue;
		if (torrent->record_dirty && !is_too_late(engine))
			lsp_session_write_record(engine, torrent);
		if (torrent->saving)
			torrent->save_again = true;
		else
			ask_to_save(engine, torrent, true);
	}
	/* What waits already wakes nobody. */
	lsp_alerts_drain(engine);
	while (engine->saves_outstanding > 0)
		if (!lsp_session_await(engine, deadline) || lsp_now(engine->clock) >= deadline)
			break;
	engine->unsaved += engine->saves_outstanding;
	engine->save_deadline = 0;
	if (engine->unsaved > 0)
		lsp_log_warning(DOMAIN,
			"%zu torrents were not saved in time: what came for them since they last "
			"were is fetched again",
			engine->unsaved);
}

void lsp_session_close(struct lsp_torrent_engine *engine, lsp_time deadline)
{
	struct lsp_torrent *torrent, *next;
	if (engine->shim && !engine->broken)
		save_all(engine, deadline);
	engine->shim_functions->close(TAKE_PTR(engine->shim));
	for (torrent = engine->by_number; torrent; torrent = next) {
		next = torrent->by_number.next;
		/* One that was on its way out does not come back. */
		if (torrent->removing && torrent->keep_stored)
			json_object_set_new(engine->kept, torrent->record.id, json_true());
		else if (torrent->removing && !torrent->transient && engine->store)
			(void)!lsp_session_forget(engine, torrent->record.id, NULL);
		if (torrent->transient)
			lsp_engine_emit(
				engine, json_pack("{s:s, s:s, s:b, s:b}", "event",
						"torrent_removed", "torrent", torrent->record.id,
						"data", 0, "session_closed", 1));
		lsp_torrent_drop(engine, torrent);
	}
	forget_leftovers(engine);
	json_object_clear(engine->listening);
	lsp_faults_clear(&engine->faults, LSP_TORRENT_HEALTH_NETWORK, "listen");
	lsp_faults_clear(&engine->faults, LSP_TORRENT_HEALTH_NETWORK, "port_map");
	engine->saves_outstanding = 0;
	engine->tally.session_open = false;
	engine->tally.torrents = engine->tally.downloading = engine->tally.seeding = 0;
	engine->tally.peers = engine->tally.upload_rate = engine->tally.download_rate = 0;
}
