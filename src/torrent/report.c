/* What the engine tells of its torrents. */
#include "torrent/engine_private.h"

#include "torrent/selection.h"

#include <string.h>

#define DOMAIN LSP_TORRENT_DOMAIN

static json_t *text_or_null(const char *text)
{
	return text && *text ? lsp_translate_text(text) : json_null();
}

static const char *name_of(const struct lsp_torrent *torrent)
{
	if (torrent->record.name)
		return torrent->record.name;
	return torrent->title && *torrent->title ? torrent->title : torrent->record.id;
}

const char *lsp_report_folder(const struct lsp_torrent *torrent)
{
	if (torrent->record.root)
		return torrent->record.root;
	return torrent->has_metadata ? torrent->title : NULL;
}

static json_t *time_or_null(uint64_t seconds)
{
	return seconds ? json_integer((json_int_t)seconds) : json_null();
}

json_t *lsp_report_status(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	const struct lsp_record *record = &torrent->record;
	const struct lsp_shim_status *status = &torrent->status;
	struct lsp_progress_sample sample;
	lsp_translate_sample(status, &sample);
	int64_t eta = lsp_translate_eta(&sample);
	json_t *json = json_pack("{s:s, s:o, s:o, s:o, s:s, s:o}", "id", record->id, "name",
		lsp_translate_text(name_of(torrent)), "info_hash_v1", text_or_null(torrent->v1),
		"info_hash_v2", text_or_null(torrent->v2), "state",
		lsp_torrent_state_name(torrent->state), "error", text_or_null(torrent->error));
	json_t *numbers = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:i, s:i, s:i}",
		"done", (json_int_t)status->done, "total", (json_int_t)status->wanted, "size",
		(json_int_t)torrent->size, "download_rate", (json_int_t)status->download_rate,
		"upload_rate", (json_int_t)status->upload_rate, "downloaded",
		(json_int_t)status->downloaded, "uploaded", (json_int_t)status->uploaded, "ratio",
		lsp_translate_ratio(status->uploaded, status->downloaded, (int64_t)torrent->size),
		"eta_s", eta < 0 ? json_null() : json_integer(eta), "peers", (int)status->peers,
		"seeds", (int)status->seeds, "queue_position",
		torrent->status_at ? (int)status->queue_position : -1);
	json_t *kept = json_pack(
		"{s:b, s:b, s:s, s:o, s:o, s:O, s:o, s:o, s:o, s:I, s:I, s:b, s:b, s:b, s:o}",
		"paused", record->paused, "sequential", record->sequential, "save_path",
		record->save_path, "folder", text_or_null(lsp_report_folder(torrent)), "category",
		text_or_null(record->category), "tags", record->tags ? record->tags : json_null(),
		"game", text_or_null(record->game), "added", time_or_null(record->added),
		"completed", time_or_null(record->completed), "max_download",
		(json_int_t)record->max_download, "max_upload", (json_int_t)record->max_upload,
		"private", torrent->is_private, "transient", torrent->transient, "has_metadata",
		torrent->has_metadata, "reconciled", text_or_null(torrent->reconciled));
	if (json && numbers && kept) {
		json_object_update(json, numbers);
		json_object_update(json, kept);
	} else {
		json_decref(json);
		json = NULL;
	}
	json_decref(numbers);
	json_decref(kept);
	return json;
}

/* ---- Files ------------------------------------------------------------------------------- */

struct bytes {
	uint8_t *data;
	size_t size;
};

static void keep_bytes(void *argument, const void *data, size_t size)
{
	struct bytes *bytes = argument;
	bytes->data = malloc(size + 1);
	bytes->size = bytes->data ? size : 0;
	if (bytes->data)
		memcpy(bytes->data, data, size);
}

static int64_t progress_at(const struct bytes *bytes, uint32_t index)
{
	int64_t done = 0;
	if (((size_t)index + 1) * sizeof done <= bytes->size)
		memcpy(&done, bytes->data + (size_t)index * sizeof done, sizeof done);
	return done;
}

static json_t *file_entry(const struct lsp_shim_file *file, uint32_t index, bool with_state,
	const struct bytes *progress, const struct bytes *priorities)
{
	json_t *entry = json_pack("{s:o, s:I}", "path", lsp_translate_text(file->path), "size",
		(json_int_t)file->size);
	if (!entry || !with_state)
		return entry;
	uint8_t priority = index < priorities->size ? priorities->data[index] : LSP_TORRENT_NORMAL;
	json_object_set_new(entry, "done", json_integer(progress_at(progress, index)));
	json_object_set_new(entry, "priority", json_string(lsp_selection_priority_name(priority)));
	return entry;
}

json_t *lsp_report_files(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	enum lsp_report_detail detail, struct lsp_error *err)
{
	bool with_state = detail != LSP_REPORT_NAMES;
	const struct lsp_shim_functions *shim = engine->shim_functions;
	struct lsp_shim_source *source = NULL;
	struct bytes progress = {0}, priorities = {0};
	int r = shim->source(engine->shim, torrent->number, &source, err);
	if (r == 0 && with_state)
		r = shim->file_progress(engine->shim, torrent->number, keep_bytes, &progress, err);
	if (r == 0 && detail == LSP_REPORT_STATE)
		r = shim->priorities(engine->shim, torrent->number, keep_bytes, &priorities, err);
	if (r == 0 && detail == LSP_REPORT_CHOSEN)
		r = lsp_torrent_priorities(
			engine, torrent, source, &priorities.data, &priorities.size, err);
	json_t *files = r == 0 ? json_array() : NULL;
	struct lsp_shim_info info = {0};
	if (files)
		shim->source_info(source, &info);
	for (uint32_t i = 0; files && i < info.files; i++) {
		struct lsp_shim_file file;
		shim->source_file(source, i, &file);
		if (!(file.flags & LSP_SHIM_FILE_PAD))
			json_array_append_new(
				files, file_entry(&file, i, with_state, &progress, &priorities));
	}
	shim->source_free(source);
	free(progress.data);
	free(priorities.data);
	if (r == 0 && !files)
		lsp_error_no_memory(err, DOMAIN);
	return files;
}

/* ---- Events ------------------------------------------------------------------------------ */

void lsp_report_metadata(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	json_t *files = lsp_report_files(engine, torrent, LSP_REPORT_NAMES, NULL);
	lsp_engine_emit(engine,
		json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "event", "torrent_metadata", "torrent",
			torrent->record.id, "name", lsp_translate_text(name_of(torrent)),
			"info_hash_v1", text_or_null(torrent->v1), "info_hash_v2",
			text_or_null(torrent->v2), "game", text_or_null(torrent->record.game)));
	if (files)
		lsp_engine_emit(engine, json_pack("{s:s, s:s, s:o}", "event", "torrent_files",
						"torrent", torrent->record.id, "files", files));
}

void lsp_report_state(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	enum lsp_torrent_state state =
		lsp_translate_state(&torrent->status, torrent->record.goal_met);
	/* It waits for the answer, and nobody has paused it. */
	if (torrent->is_unasked && state == LSP_TORRENT_PAUSED)
		state = LSP_TORRENT_QUEUED;
	if (torrent->state_told && state == torrent->state)
		return;
	torrent->state = state;
	if (!torrent->told)
		return;
	torrent->state_told = true;
	/* A state that ends something shows what it ended with. */
	lsp_report_flush(engine, torrent);
	lsp_engine_emit(engine, lsp_event_state(torrent->record.id, state, &torrent->status));
}

static void tell_progress(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_progress_sample *sample)
{
	engine->tally.samples++;
	lsp_engine_emit(
		engine, lsp_event_progress(torrent->record.id, sample, (int64_t)torrent->size));
}

void lsp_report_progress(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, lsp_time now)
{
	struct lsp_progress_sample sample;
	if (lsp_coalescer_take(&torrent->progress, now, false, &sample))
		tell_progress(engine, torrent, &sample);
}

void lsp_report_flush(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_progress_sample sample;
	if (lsp_coalescer_take(&torrent->progress, lsp_now(engine->clock), true, &sample))
		tell_progress(engine, torrent, &sample);
}

void lsp_report_sample(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	struct lsp_progress_sample sample;
	uint64_t merged = torrent->progress.merged;
	if (!torrent->told)
		return;
	lsp_translate_sample(&torrent->status, &sample);
	if (lsp_coalescer_offer(&torrent->progress, &sample, lsp_now(engine->clock)))
		tell_progress(engine, torrent, &sample);
	engine->tally.samples_coalesced += torrent->progress.merged - merged;
}
