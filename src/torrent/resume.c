#include "torrent/resume.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN "torrent"

struct lsp_resume_store {
	int dir_fd;
	char *path;
	uint64_t quarantined;
};

static const char *const suffixes[] = {".fastresume", ".meta.json", ".torrent"};

#define NAME_MAX_HERE (LSP_TORRENT_ID_MAX + 32)

static void name_of(char *out, const char *id, enum lsp_resume_part part)
{
	snprintf(out, NAME_MAX_HERE, "%.64s%s", id, suffixes[part]);
}

int lsp_resume_store_open(
	const char *path, struct lsp_resume_store **ret_store, struct lsp_error *err)
{
	int dir_fd = -1;
	int r = lsp_fs_make_dirs(path, true, err);
	if (r == 0)
		r = lsp_fs_open_dir(path, &dir_fd, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "the folder of the torrents' state");
	struct lsp_resume_store *store = calloc(1, sizeof *store);
	char *copy = strdup(path);
	if (!store || !copy) {
		free(store);
		free(copy);
		close(dir_fd);
		return lsp_error_no_memory(err, DOMAIN);
	}
	store->dir_fd = dir_fd;
	store->path = copy;
	*ret_store = store;
	return 0;
}

void lsp_resume_store_free(struct lsp_resume_store *store)
{
	if (!store)
		return;
	close(store->dir_fd);
	free(store->path);
	free(store);
}

/* ---- Listing ----------------------------------------------------------------------------- */

struct listed {
	char id[LSP_TORRENT_ID_MAX + 1];
	uint64_t order, added;
};

/* The id in a file's name; false for a name of another kind. */
static bool id_of(const char *name, char id[LSP_TORRENT_ID_MAX + 1])
{
	for (unsigned part = 0; part < LSP_ARRAY_SIZE(suffixes); part++) {
		if (part == LSP_RESUME_METAINFO || !lsp_text_ends_with(name, suffixes[part]))
			continue;
		size_t size = strlen(name) - strlen(suffixes[part]);
		if (size > LSP_TORRENT_ID_MAX)
			return false;
		memcpy(id, name, size);
		id[size] = '\0';
		return lsp_torrent_id_is_valid(id);
	}
	return false;
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(((const struct listed *)a)->id, ((const struct listed *)b)->id);
}

static int compare_order(const void *a, const void *b)
{
	const struct listed *first = a, *second = b;
	if (first->order != second->order)
		return first->order < second->order ? -1 : 1;
	if (first->added != second->added)
		return first->added < second->added ? -1 : 1;
	return compare_ids(a, b);
}

static int list_folder(struct lsp_resume_store *store, struct listed **ret_all, size_t *ret_count,
	struct lsp_error *err)
{
	int fd = -1;
	int r = lsp_fs_open_dir_below(store->dir_fd, ".", &fd, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "cannot list %s", store->path);
	DIR *dir = fdopendir(fd);
	if (!dir) {
		r = lsp_error_errno(err, DOMAIN, errno, "cannot list %s", store->path);
		close(fd);
		return r;
	}
	struct listed *all = NULL;
	size_t count = 0, room = 0;
	const struct dirent *entry;
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		char id[LSP_TORRENT_ID_MAX + 1];
		if (!id_of(entry->d_name, id))
			continue;
		if (count == room) {
			room = room ? room * 2 : 64;
			struct listed *more = realloc(all, room * sizeof *all);
			if (!more) {
				r = lsp_error_no_memory(err, DOMAIN);
				break;
			}
			all = more;
		}
		memset(&all[count], 0, sizeof all[count]);
		strcpy(all[count++].id, id);
	}
	if (r == 0 && errno)
		r = lsp_error_errno(err, DOMAIN, errno, "cannot list %s", store->path);
	closedir(dir);
	if (r < 0) {
		free(all);
		return r;
	}
	*ret_all = all;
	*ret_count = count;
	return 0;
}

/* Both halves are there: one of the two goes. */
static size_t drop_doubles(struct listed *all, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (i == 0 || strcmp(all[i].id, all[i - 1].id) != 0)
			all[kept++] = all[i];
	return kept;
}

/* Its place, without a word about what is wrong with it: loading it comes later. */
static void look_at_order(struct lsp_resume_store *store, struct listed *listed)
{
	char name[NAME_MAX_HERE];
	_cleanup_buffer_ struct lsp_buffer text = {0};
	struct lsp_record record;
	listed->order = listed->added = UINT64_MAX;
	name_of(name, listed->id, LSP_RESUME_RECORD);
	if (lsp_fs_read_file_below(store->dir_fd, name, LSP_RECORD_SIZE_MAX, &text, NULL) < 0 ||
		lsp_torrent_record_decode(text.data, text.size, listed->id, &record, NULL) < 0)
		return;
	const json_t *order = json_object_get(record.json, "queue");
	if (json_is_integer(order) && json_integer_value(order) >= 0)
		listed->order = (uint64_t)json_integer_value(order);
	listed->added = record.added;
	lsp_torrent_record_done(&record);
}

int lsp_resume_store_list(
	struct lsp_resume_store *store, char ***ret_ids, size_t *ret_count, struct lsp_error *err)
{
	_cleanup_free_ struct listed *all = NULL;
	size_t count = 0;
	int r = list_folder(store, &all, &count, err);
	if (r < 0)
		return r;
	if (count > 0)
		qsort(all, count, sizeof *all, compare_ids);
	count = drop_doubles(all, count);
	for (size_t i = 0; i < count; i++)
		look_at_order(store, &all[i]);
	if (count > 0)
		qsort(all, count, sizeof *all, compare_order);
	char **ids = calloc(count + 1, sizeof *ids);
	for (size_t i = 0; ids && i < count; i++) {
		ids[i] = strdup(all[i].id);
		if (!ids[i]) {
			while (i > 0)
				free(ids[--i]);
			free(ids);
			ids = NULL;
		}
	}
	if (!ids)
		return lsp_error_no_memory(err, DOMAIN);
	*ret_ids = ids;
	*ret_count = count;
	return 0;
}

/* ---- Loading ----------------------------------------------------------------------------- */

void lsp_resume_store_quarantine(struct lsp_resume_store *store, const char *id,
	enum lsp_resume_part part, const char *reason)
{
	char name[NAME_MAX_HERE], aside[NAME_MAX_HERE + 16];
	struct lsp_error err = {0};
	name_of(name, id, part);
	snprintf(aside, sizeof aside, "%s.damaged", name);
	store->quarantined++;
	if (lsp_fs_rename_below(store->dir_fd, name, store->dir_fd, aside, &err) < 0)
		lsp_log_warning(DOMAIN, "%s cannot be read (%s), nor set aside: %s", name, reason,
			err.message);
	else
		lsp_log_warning(DOMAIN, "%s cannot be read and is now %s: %s", name, aside, reason);
}

/* A part as it is read: its content, or what is wrong with that. */
struct part {
	struct lsp_buffer content;
	bool found;
	struct lsp_error damage; /* code 0: none */
};

/*
 * Absent is no error and no content. What is too large, or no file at all but a folder or a link,
 * is not ours; all else that goes wrong may be right the next time.
 */
static int read_part(struct lsp_resume_store *store, const char *id, enum lsp_resume_part which,
	struct part *part, struct lsp_error *err)
{
	char name[NAME_MAX_HERE];
	struct lsp_error why = {0};
	size_t limit = which == LSP_RESUME_RECORD ? LSP_RECORD_SIZE_MAX : LSP_RESUME_BLOB_MAX;
	name_of(name, id, which);
	int r = lsp_fs_read_file_below(store->dir_fd, name, limit, &part->content, &why);
	part->found = r == 0;
	if (r == 0 && part->content.size == 0)
		lsp_error_set(&part->damage, DOMAIN, LSP_E_PROTOCOL, "it is empty");
	if (r == 0 || r == -LSP_E_NOT_FOUND)
		return 0;
	if (r == -LSP_E_TOO_LARGE ||
		(r == -LSP_E_DENIED && (why.sys_errno == 0 || why.sys_errno == ELOOP))) {
		part->damage = why;
		return 0;
	}
	if (err)
		*err = why;
	return r;
}

static int decode_record(
	const struct part *part, struct lsp_resume_entry *entry, struct lsp_error *ret_damage)
{
	if (!part->found || part->damage.code)
		return 0;
	int r = lsp_torrent_record_decode(
		part->content.data, part->content.size, entry->id, &entry->record, ret_damage);
	return r == -LSP_E_NO_MEMORY ? r : 0;
}

/* Nothing is set aside before all was read: who comes again must find it as it was. */
static int read_entry(struct lsp_resume_store *store, struct lsp_resume_entry *entry,
	struct part parts[LSP_RESUME_PARTS], struct lsp_error *err)
{
	struct lsp_error why = {0};
	int r = read_part(store, entry->id, LSP_RESUME_RECORD, &parts[LSP_RESUME_RECORD], err);
	if (r == 0)
		r = read_part(store, entry->id, LSP_RESUME_BLOB, &parts[LSP_RESUME_BLOB], err);
	if (r == 0)
		r = decode_record(&parts[LSP_RESUME_RECORD], entry, &why);
	if (r < 0) {
		if (err && why.code)
			*err = why;
		return r;
	}
	if (why.code)
		parts[LSP_RESUME_RECORD].damage = why;
	(void)!read_part(store, entry->id, LSP_RESUME_METAINFO, &parts[LSP_RESUME_METAINFO],
		&entry->metainfo_error);
	return 0;
}

int lsp_resume_store_load(struct lsp_resume_store *store, const char *id,
	struct lsp_resume_entry *ret_entry, struct lsp_error *err)
{
	struct lsp_resume_entry entry = {0};
	struct part parts[LSP_RESUME_PARTS] = {0};
	snprintf(entry.id, sizeof entry.id, "%s", id);
	int r = read_entry(store, &entry, parts, err);
	for (unsigned i = 0; r == 0 && i < LSP_RESUME_PARTS; i++)
		if (parts[i].damage.code)
			lsp_resume_store_quarantine(store, id, i, parts[i].damage.message);
	entry.record_damaged = parts[LSP_RESUME_RECORD].damage.code;
	entry.blob_damaged = parts[LSP_RESUME_BLOB].damage.code;
	entry.blob = parts[LSP_RESUME_BLOB].content;
	entry.metainfo = parts[LSP_RESUME_METAINFO].content;
	lsp_buffer_done(&parts[LSP_RESUME_RECORD].content);
	if (r < 0) {
		lsp_resume_entry_done(&entry);
		return r;
	}
	*ret_entry = entry;
	return 0;
}

void lsp_resume_entry_done(struct lsp_resume_entry *entry)
{
	lsp_torrent_record_done(&entry->record);
	lsp_buffer_done(&entry->blob);
	lsp_buffer_done(&entry->metainfo);
}

/* ---- Comparing --------------------------------------------------------------------------- */

/* The first of these from `at` on, behind its name; NULL: there is none. */
static const char *next_clock(const char *at, const char *end)
{
	static const char *const clocks[] = {
		"11:active_timei", "13:finished_timei", "12:seeding_timei"};
	const char *first = NULL;
	for (unsigned i = 0; i < LSP_ARRAY_SIZE(clocks); i++) {
		size_t size = strlen(clocks[i]);
		const char *found = memmem(at, (size_t)(end - at), clocks[i], size);
		if (found && (!first || found + size < first))
			first = found + size;
	}
	return first;
}

int lsp_resume_digest(
	const void *data, size_t size, struct lsp_hash *ret_digest, struct lsp_error *err)
{
	const char *at = data, *end = at + size, *clock;
	struct lsp_sha256 *sha = NULL;
	int r = lsp_sha256_new(&sha, err);
	if (r < 0)
		return r;
	while ((clock = next_clock(at, end))) {
		lsp_sha256_update(sha, at, (size_t)(clock - at));
		while (clock < end && *clock >= '0' && *clock <= '9')
			clock++;
		at = clock;
	}
	lsp_sha256_update(sha, at, (size_t)(end - at));
	lsp_sha256_take(sha, ret_digest);
	lsp_sha256_free(sha);
	return 0;
}

/* ---- Writing ----------------------------------------------------------------------------- */

int lsp_resume_store_write(struct lsp_resume_store *store, const char *id,
	enum lsp_resume_part part, const void *data, size_t size, struct lsp_error *err)
{
	char name[NAME_MAX_HERE];
	name_of(name, id, part);
	return lsp_fs_write_file_below(store->dir_fd, name, data, size, 0600, err);
}

int lsp_resume_store_stage(struct lsp_resume_store *store, const char *id,
	enum lsp_resume_part part, const void *data, size_t size, struct lsp_error *err)
{
	char name[NAME_MAX_HERE];
	name_of(name, id, part);
	return lsp_fs_stage_file(store->dir_fd, name, data, size, 0600, err);
}

int lsp_resume_store_stage_record(
	struct lsp_resume_store *store, const struct lsp_record *record, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	int r = lsp_torrent_record_encode(record, &text, err);
	return r < 0 ? r
		     : lsp_resume_store_stage(
			       store, record->id, LSP_RESUME_RECORD, text.data, text.size, err);
}

int lsp_resume_store_settle(struct lsp_resume_store *store, const char *id,
	enum lsp_resume_part part, struct lsp_error *err)
{
	char name[NAME_MAX_HERE];
	name_of(name, id, part);
	return lsp_fs_settle_file(store->dir_fd, name, err);
}

int lsp_resume_store_commit(struct lsp_resume_store *store, const char *id,
	enum lsp_resume_part part, struct lsp_error *err)
{
	char name[NAME_MAX_HERE];
	name_of(name, id, part);
	return lsp_fs_commit_file(store->dir_fd, name, err);
}

int lsp_resume_store_sync(struct lsp_resume_store *store, struct lsp_error *err)
{
	return lsp_fs_sync_dir_below(store->dir_fd, ".", err);
}

int lsp_resume_store_write_record(
	struct lsp_resume_store *store, const struct lsp_record *record, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	int r = lsp_torrent_record_encode(record, &text, err);
	return r < 0 ? r
		     : lsp_resume_store_write(
			       store, record->id, LSP_RESUME_RECORD, text.data, text.size, err);
}

int lsp_resume_store_remove(struct lsp_resume_store *store, const char *id, struct lsp_error *err)
{
	/* Cut short after the first, what is left has no pieces and is checked; a blob that is left
	 * alone would come back with a selection that nobody made. */
	static const enum lsp_resume_part order[] = {
		LSP_RESUME_BLOB, LSP_RESUME_RECORD, LSP_RESUME_METAINFO};
	for (unsigned i = 0; i < LSP_ARRAY_SIZE(order); i++) {
		char name[NAME_MAX_HERE];
		name_of(name, id, order[i]);
		lsp_fs_drop_file(store->dir_fd, name); /* which a kill may have left */
		int r = lsp_fs_unlink_below(store->dir_fd, name, err);
		if (r < 0 && r != -LSP_E_NOT_FOUND)
			return r;
	}
	return lsp_fs_sync_dir_below(store->dir_fd, ".", err);
}

uint64_t lsp_resume_store_quarantined(const struct lsp_resume_store *store)
{
	return store->quarantined;
}
