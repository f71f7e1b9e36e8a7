/* The table of torrents, by the shim's number and by id. */
#include "torrent/engine_private.h"

#include "base/text.h"
#include "torrent/selection.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DOMAIN LSP_TORRENT_DOMAIN

void lsp_torrent_id_of(const struct lsp_shim_info *info, char ret_id[LSP_TORRENT_ID_MAX + 1])
{
	if (info->flags & LSP_SHIM_HAS_V2)
		lsp_text_to_hex(info->v2, sizeof info->v2, ret_id);
	else
		lsp_text_to_hex(info->v1, sizeof info->v1, ret_id);
}

void lsp_torrent_take_source(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_shim_source *source)
{
	struct lsp_shim_info info;
	engine->shim_functions->source_info(source, &info);
	if (info.flags & LSP_SHIM_HAS_V1)
		lsp_text_to_hex(info.v1, sizeof info.v1, torrent->v1);
	if (info.flags & LSP_SHIM_HAS_V2)
		lsp_text_to_hex(info.v2, sizeof info.v2, torrent->v2);
	torrent->has_metadata = info.flags & LSP_SHIM_HAS_METADATA;
	torrent->is_private = info.flags & LSP_SHIM_PRIVATE;
	torrent->size = info.size;
	char *title = strdup(info.name ? info.name : "");
	if (title) {
		free(torrent->title);
		torrent->title = title;
	}
}

int lsp_torrent_new(struct lsp_torrent_engine *engine, struct lsp_record *record,
	struct lsp_shim_source *source, struct lsp_torrent **ret_torrent, struct lsp_error *err)
{
	struct lsp_torrent *torrent = calloc(1, sizeof *torrent);
	if (!torrent)
		return lsp_error_no_memory(err, DOMAIN);
	torrent->number = engine->next_number++;
	torrent->record = *record;
	memset(record, 0, sizeof *record);
	lsp_torrent_take_source(engine, torrent, source);
	torrent->state = LSP_TORRENT_QUEUED;
	torrent->ask_at = LSP_TIME_NEVER;
	torrent->status.error = torrent->error;
	HASH_ADD(by_number, engine->by_number, number, sizeof torrent->number, torrent);
	HASH_ADD_KEYPTR(
		by_id, engine->by_id, torrent->record.id, strlen(torrent->record.id), torrent);
	*ret_torrent = torrent;
	return 0;
}

void lsp_torrent_drop(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent)
{
	HASH_DELETE(by_number, engine->by_number, torrent);
	HASH_DELETE(by_id, engine->by_id, torrent);
	lsp_held_forget(engine, torrent);
	lsp_move_drop(engine, torrent);
	lsp_faults_clear_prefix(&engine->faults, torrent->record.id);
	lsp_torrent_record_done(&torrent->record);
	free(torrent->title);
	free(torrent);
}

struct lsp_torrent *lsp_torrent_by_number(struct lsp_torrent_engine *engine, uint64_t number)
{
	struct lsp_torrent *torrent;
	HASH_FIND(by_number, engine->by_number, &number, sizeof number, torrent);
	return torrent;
}

struct lsp_torrent *lsp_torrent_by_id(struct lsp_torrent_engine *engine, const char *id)
{
	struct lsp_torrent *torrent;
	HASH_FIND(by_id, engine->by_id, id, strlen(id), torrent);
	return torrent;
}

/* One of that name is stored and could not be read yet, or none is. */
static int not_here(struct lsp_torrent_engine *engine, const char *name, struct lsp_error *err)
{
	const char *id;
	json_t *why;
	json_object_foreach (engine->unread, id, why)
		if (strlen(name) >= 6 && strncasecmp(id, name, strlen(name)) == 0)
			return lsp_error_set(err, DOMAIN, LSP_E_BUSY,
				"the torrent %s is stored and cannot be read, which is tried again "
				"every 5 s: %s",
				id, json_string_value(why));
	const struct lsp_torrent *torrent = engine->by_number;
	for (; torrent; torrent = torrent->by_number.next)
		if (lsp_move_returns(torrent) && lsp_torrent_is_called(torrent, name))
			return lsp_error_set(err, DOMAIN, LSP_E_BUSY,
				"the files of torrent %s have just been moved: try again in a "
				"moment",
				torrent->record.id);
	struct lsp_move *move = lsp_move_called(engine, name);
	if (move)
		return lsp_move_refuse(engine, move, err);
	return lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND,
		"there is no torrent %.64s here; `lanspread torrent list` lists them", name);
}

bool lsp_torrent_is_called(const struct lsp_torrent *torrent, const char *name)
{
	size_t size = strlen(name);
	return size >= 6 && (strncasecmp(torrent->record.id, name, size) == 0 ||
				    strncasecmp(torrent->v1, name, size) == 0 ||
				    strncasecmp(torrent->v2, name, size) == 0);
}

int lsp_torrent_find(struct lsp_torrent_engine *engine, const char *name,
	struct lsp_torrent **ret_torrent, struct lsp_error *err)
{
	struct lsp_torrent *found = lsp_torrent_by_id(engine, name), *torrent;
	struct lsp_move *stored;
	bool exact = found;
	size_t count = exact ? 1 : lsp_moves_called(engine, name, &stored);
	for (torrent = engine->by_number; !exact && torrent; torrent = torrent->by_number.next) {
		if (torrent->removing || !lsp_torrent_is_called(torrent, name))
			continue;
		count++;
		found = torrent;
	}
	if (count > 1)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"more than one torrent begins with %.64s: give more digits", name);
	if (!found || found->removing)
		return not_here(engine, name, err);
	*ret_torrent = found;
	return 0;
}

struct lsp_torrent *lsp_torrent_same(
	struct lsp_torrent_engine *engine, const struct lsp_shim_info *info)
{
	char v1[41] = "", v2[65] = "";
	if (info->flags & LSP_SHIM_HAS_V1)
		lsp_text_to_hex(info->v1, sizeof info->v1, v1);
	if (info->flags & LSP_SHIM_HAS_V2)
		lsp_text_to_hex(info->v2, sizeof info->v2, v2);
	for (struct lsp_torrent *torrent = engine->by_number; torrent;
		torrent = torrent->by_number.next)
		if ((*v1 && strcmp(torrent->v1, v1) == 0) || (*v2 && strcmp(torrent->v2, v2) == 0))
			return torrent;
	return NULL;
}

uint32_t lsp_torrent_flags(
	const struct lsp_torrent_engine *engine, const struct lsp_torrent *torrent)
{
	const struct lsp_record *record = &torrent->record;
	return (record->paused || record->goal_met || torrent->is_unasked ? LSP_SHIM_PAUSED : 0) |
	       (record->auto_managed ? LSP_SHIM_AUTO_MANAGED : 0) |
	       (record->sequential ? LSP_SHIM_SEQUENTIAL : 0) |
	       (record->super_seeding ? LSP_SHIM_SUPER_SEEDING : 0) |
	       (record->pex && engine->configuration.pex ? 0 : LSP_SHIM_NO_PEX) |
	       (record->allocate ? LSP_SHIM_ALLOCATE : 0);
}

/* ---- The selection ----------------------------------------------------------------------- */

int lsp_torrent_priorities(struct lsp_torrent_engine *engine, const struct lsp_torrent *torrent,
	struct lsp_shim_source *source, uint8_t **ret_priorities, size_t *ret_count,
	struct lsp_error *err)
{
	struct lsp_shim_info info;
	engine->shim_functions->source_info(source, &info);
	uint8_t *priorities = malloc((size_t)info.files + 1);
	if (!priorities)
		return lsp_error_no_memory(err, DOMAIN);
	for (uint32_t i = 0; i < info.files; i++) {
		struct lsp_shim_file file;
		engine->shim_functions->source_file(source, i, &file);
		priorities[i] = file.flags & LSP_SHIM_FILE_PAD
					? LSP_TORRENT_SKIP
					: lsp_selection_priority(torrent->record.json, file.path);
	}
	*ret_priorities = priorities;
	*ret_count = info.files;
	return 0;
}

int lsp_torrent_apply_selection(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, struct lsp_error *err)
{
	const struct lsp_shim_functions *shim = engine->shim_functions;
	struct lsp_shim_source *source = NULL;
	_cleanup_free_ uint8_t *priorities = NULL;
	size_t count = 0;
	int r = shim->source(engine->shim, torrent->number, &source, err);
	if (r == 0)
		r = lsp_torrent_priorities(engine, torrent, source, &priorities, &count, err);
	if (r == 0)
		r = shim->set_priorities(engine->shim, torrent->number, priorities, count, err);
	shim->source_free(source);
	return r;
}
