/*
 * Restoring: everything that is stored comes into the session.
 *
 * What a torrent is restored from: its resume data where they are whole; else its .torrent or
 * magnet link, and then its files are checked. Where the record is missing the selection is the
 * default one. Each of these is said.
 *
 * What its record says to be on its way (moves.c) is brought to an end first.
 *
 * A file that cannot be read just now is none of these. Its torrent stays in the store as it is,
 * which is said, and is tried again every five seconds; so is the folder that cannot be listed.
 */
#include "torrent/engine_private.h"

#include "base/log.h"
#include "base/text.h"
#include "torrent/selection.h"

#include <stdlib.h>
#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN

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

/* 1: from its resume data, which are whole; 0: they are not there, or set aside; no memory. */
static int source_from_blob(struct lsp_torrent_engine *engine, struct lsp_resume_entry *entry,
	struct lsp_shim_source **ret_source, struct lsp_error *err)
{
	struct lsp_error why = {0};
	struct lsp_shim_bytes blob = bytes_of(&entry->blob);
	if (blob.size == 0)
		return 0;
	int r = engine->shim_functions->parse(NULL, NULL, &blob, ret_source, &why);
	if (r == -LSP_E_NO_MEMORY) { /* nothing is wrong with them */
		*err = why;
		return r;
	}
	if (r == 0) {
		if (is_source_of(engine, *ret_source, entry->id))
			return 1;
		engine->shim_functions->source_free(TAKE_PTR(*ret_source));
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
	if (entry->metainfo_error.code) {
		*err = entry->metainfo_error;
		return -err->code;
	}
	int r = metainfo.size > 0 ? shim->parse(NULL, &metainfo, NULL, ret_source, err) : 1;
	if (r == 0 && is_source_of(engine, *ret_source, entry->id))
		return 0;
	if (r == -LSP_E_NO_MEMORY)
		return r;
	if (r == 0)
		shim->source_free(TAKE_PTR(*ret_source));
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

/* Until that torrent's next good write. */
static void degrade(struct lsp_torrent_engine *engine, const char *id, const char *why)
{
	char message[200];
	snprintf(message, sizeof message, "torrent %s: %s", id, why);
	lsp_engine_fail(engine, LSP_TORRENT_HEALTH_RESUME_STORE, id, message);
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
	bool had_record = entry->record.json;
	int r = source_from_blob(engine, entry, &source, err);
	bool from_blob = r == 1;
	if (r < 0)
		return r;
	r = 0;
	if (!from_blob && !had_record)
		return lsp_error_set(err, DOMAIN, LSP_E_PROTOCOL,
			"neither its resume data nor its record can be read");
	if (!from_blob)
		r = source_from_rest(engine, entry, &source, err);
	if (r == 0 && !had_record)
		r = default_record(engine, entry, source, err);
	if (r == 0 &&
		(entry->record.moving_to || entry->record.removing || entry->record.leaving)) {
		r = lsp_move_restore(engine, &entry->record, source, err);
		engine->shim_functions->source_free(source);
		return r;
	}
	if (r == 0)
		r = lsp_torrent_new(engine, &entry->record, source, &torrent, err);
	if (r < 0) {
		engine->shim_functions->source_free(source);
		return r;
	}
	torrent->stored = true;
	torrent->restored = torrent->has_blob = from_blob;
	torrent->stored_at = lsp_now(engine->clock);
	if (from_blob)
		(void)!lsp_resume_digest(
			entry->blob.data, entry->blob.size, &torrent->digest, NULL);
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
		degrade(engine, torrent->record.id, "it has no resume data, its files are checked");
	if (r < 0)
		lsp_torrent_drop(engine, torrent);
	else
		engine->tally.restored++;
	return r;
}

/* Can it be expected of another try? What is wrong with its content was said as that. */
static bool may_come(const struct lsp_resume_entry *entry, int r)
{
	return r == -LSP_E_NO_MEMORY || (r < 0 && entry->metainfo_error.code == -r);
}

/* 0: done with, whatever came of it; else it cannot be read now. */
static int restore_one(struct lsp_torrent_engine *engine, const char *id, struct lsp_error *err)
{
	struct lsp_resume_entry entry = {0};
	int r = lsp_resume_store_load(engine->store, id, &entry, err);
	if (r < 0)
		return r;
	r = restore_entry(engine, &entry, err);
	bool damaged = entry.record_damaged || entry.blob_damaged, again = may_come(&entry, r);
	lsp_resume_entry_done(&entry);
	if (again)
		return r;
	if (r < 0) {
		lsp_log_warning(DOMAIN, "torrent %s is not restored: %s", id, err->message);
		lsp_engine_emit(engine, lsp_event_error(id, lsp_code_name(-r), err->message));
	}
	if (r < 0 || damaged)
		degrade(engine, id, "a file of its in the store is damaged and was set aside");
	return 0;
}

/* ---- All of them ------------------------------------------------------------------------- */

/* The folder came late: what is here goes into it. */
static void store_what_is_here(struct lsp_torrent_engine *engine)
{
	struct lsp_torrent *torrent;
	for (torrent = engine->by_number; torrent; torrent = torrent->by_number.next) {
		torrent->record_dirty = torrent->blob_dirty = true;
		torrent->next_save = 0;
	}
}

/* The ids; nothing, and another look in a while, where the folder cannot be read. */
static void list_stored(struct lsp_torrent_engine *engine, char ***ret_ids, size_t *ret_count)
{
	struct lsp_error err = {0};
	bool is_new = !engine->store;
	int r = is_new ? lsp_resume_store_open(engine->resume_dir, &engine->store, &err) : 0;
	if (r == 0 && is_new)
		store_what_is_here(engine);
	if (r == 0)
		r = lsp_resume_store_list(engine->store, ret_ids, ret_count, &err);
	engine->unlisted = r < 0;
	if (r < 0)
		engine->next_read = lsp_time_add(lsp_now(engine->clock), LSP_STORE_PATIENCE);
	lsp_session_tell_folder(engine, r < 0 ? err.message : NULL);
}

/* One line for all of them: what keeps one from being read mostly keeps all. */
static void tell_unread(struct lsp_torrent_engine *engine, const char *id, const char *why)
{
	char message[600];
	size_t count = json_object_size(engine->unread);
	if (count == 0) {
		lsp_engine_clear(engine, LSP_TORRENT_HEALTH_RESUME_STORE, "unread");
		return;
	}
	engine->next_read = lsp_time_add(lsp_now(engine->clock), LSP_STORE_PATIENCE);
	snprintf(message, sizeof message,
		"%zu stored torrent%s cannot be read, %s left as it is and tried again every 5 s: "
		"%s: %.300s",
		count, count == 1 ? "" : "s", count == 1 ? "is" : "each is", id, why);
	lsp_engine_fail(engine, LSP_TORRENT_HEALTH_RESUME_STORE, "unread", message);
}

void lsp_restore_all(struct lsp_torrent_engine *engine)
{
	char **ids = NULL, first[LSP_TORRENT_ID_MAX + 1] = "";
	size_t count = 0;
	struct lsp_error why = {0};
	list_stored(engine, &ids, &count);
	if (!engine->unlisted)
		json_object_clear(engine->unread);
	for (size_t i = 0; i < count; i++) {
		struct lsp_error err = {0};
		/* What was removed is, though its files are still there. */
		bool done = json_object_get(engine->leftovers, ids[i]) ||
			    lsp_move_is_stored(engine, ids[i]) ||
			    json_object_get(engine->kept, ids[i]) ||
			    lsp_torrent_by_id(engine, ids[i]);
		if (!done && restore_one(engine, ids[i], &err) < 0) {
			json_object_set_new(
				engine->unread, ids[i], lsp_translate_text(err.message));
			if (!*first) {
				snprintf(first, sizeof first, "%s", ids[i]);
				why = err;
			}
		}
		free(ids[i]);
	}
	free(ids);
	if (!engine->unlisted)
		tell_unread(engine, first, why.message);
	if (engine->store)
		engine->tally.quarantined = lsp_resume_store_quarantined(engine->store);
}

int lsp_restore_open(struct lsp_torrent_engine *engine, struct lsp_error *err)
{
	char **ids = NULL;
	size_t count = 0;
	list_stored(engine, &ids, &count);
	for (size_t i = 0; i < count; i++)
		free(ids[i]);
	free(ids);
	return count > 0 ? lsp_session_open(engine, err) : 0;
}

lsp_time lsp_restore_next(const struct lsp_torrent_engine *engine)
{
	bool waits = engine->unlisted || json_object_size(engine->unread) > 0;
	return waits ? engine->next_read : LSP_TIME_NEVER;
}

int lsp_restore_due(struct lsp_torrent_engine *engine, lsp_time now, struct lsp_error *err)
{
	if (now < lsp_restore_next(engine))
		return 0;
	engine->next_read = lsp_time_add(now, LSP_STORE_PATIENCE);
	if (!engine->shim)
		return lsp_restore_open(engine, err);
	lsp_restore_all(engine);
	return 0;
}
