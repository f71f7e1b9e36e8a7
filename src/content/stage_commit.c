/*
 * From the stage into the game's folder, as one redo list:
 *
 *     aside   everything that a new file replaces, and files of the old content that the new one
 *             does not have; the old version.ini first of all; the stage's own manifest, so that a
 *             crash right after does not find a download that is over
 *     make    folders that files go into one by one
 *     place   files, or a whole folder at once where the game's folder has none of that name
 *     drop    folders of the old content that are empty now
 *     place   version.ini, behind a barrier
 *
 * A file that stands where a new one belongs and is of neither content is somebody's own: it moves
 * to `local.kept-<date>/`, and is never removed.
 */
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "content/executable.h"
#include "content/redo.h"
#include "content/stage_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char version_ini[] = "version.ini";

struct commit {
	struct lsp_stage *stage;
	const struct lsp_manifest *manifest;
	const struct lsp_manifest *old; /* may be NULL */
	struct lsp_redo *redo;
	char kept_folder[40];            /* "local.kept-2026-01-31"; empty until needed */
	char placed[LSP_PATH_MAX + 2];   /* a folder that moves as a whole, with '/'; empty: none */
	char stranger[LSP_PATH_MAX + 2]; /* a file put aside where a folder must be, with '/' */
	char absent[LSP_PATH_MAX + 2];   /* a folder that the game's folder has not, with '/' */
};

static bool is_kept(struct commit *commit, uint32_t file)
{
	pthread_mutex_lock(&commit->stage->lock);
	bool kept = lsp_bitmap_get(&commit->stage->kept, file);
	pthread_mutex_unlock(&commit->stage->lock);
	return kept;
}

static bool is_version(const char *path)
{
	return strcmp(path, version_ini) == 0;
}

/* ---- What goes ---- */

/* A folder for what is somebody's own, with a name that is free. */
static int make_kept_folder(struct commit *commit, struct lsp_error *err)
{
	if (*commit->kept_folder)
		return 0;
	time_t now = (time_t)(lsp_wall(lsp_clock_system) / LSP_SECOND);
	struct tm local;
	char date[16] = "undated";
	if (localtime_r(&now, &local))
		strftime(date, sizeof date, "%Y-%m-%d", &local);
	for (unsigned i = 1; i < 1000; i++) {
		char number[8] = "";
		if (i > 1)
			snprintf(number, sizeof number, "-%u", i);
		snprintf(commit->kept_folder, sizeof commit->kept_folder, "local.kept-%s%s", date,
			number);
		if (!lsp_fs_exists_below(commit->stage->game_fd, commit->kept_folder))
			return lsp_redo_make_folder(commit->redo, commit->kept_folder, err);
	}
	return lsp_error_set(err, "content", LSP_E_EXISTS,
		"there are too many folders local.kept-%s: remove some", date);
}

/* Makes the folders of `path` below `below` (NULL: the game's folder), parents first. */
static int make_folders(
	struct commit *commit, const char *below, const char *path, struct lsp_error *err)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		_cleanup_free_ char *folder =
			below ? lsp_text_format("%s/%.*s", below, (int)(slash - path), path)
			      : lsp_text_format("%.*s", (int)(slash - path), path);
		if (!folder)
			return lsp_error_no_memory(err, "content");
		int r = lsp_fs_exists_below(commit->stage->game_fd, folder)
				? 0
				: lsp_redo_make_folder(commit->redo, folder, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Somebody's own file, in the way of one of ours. */
static int put_aside_foreign(struct commit *commit, const char *path, struct lsp_error *err)
{
	int r = make_kept_folder(commit, err);
	if (r == 0)
		r = make_folders(commit, commit->kept_folder, path, err);
	if (r < 0)
		return r;
	_cleanup_free_ char *to = lsp_text_format("%s/%s", commit->kept_folder, path);
	if (!to)
		return lsp_error_no_memory(err, "content");
	lsp_log_info("content", "\"%s\" is in the way of the download: kept as \"%s\"", path, to);
	return lsp_redo_aside_to(commit->redo, path, to, err);
}

/* lstat of a place in the game's folder; a file where a folder would have to be is nothing there.
 */
static int look(struct commit *commit, const char *path, struct stat *st, struct lsp_error *err)
{
	struct lsp_error why = {0};
	int r = lsp_fs_stat_below(commit->stage->game_fd, path, st, &why);
	if (r < 0 && (why.sys_errno == ENOTDIR || why.sys_errno == ELOOP))
		r = -LSP_E_NOT_FOUND;
	if (r < 0 && err)
		*err = why;
	return r;
}

/* What stands at `path`, if it is a file (or anything but a folder). */
static int clear_place(struct commit *commit, const char *path, struct lsp_error *err)
{
	struct stat st;
	int r = look(commit, path, &st, err);
	if (r == -LSP_E_NOT_FOUND)
		return 0;
	if (r < 0)
		return r;
	const struct lsp_manifest_file *known =
		commit->old ? lsp_manifest_find(commit->old, path) : NULL;
	if (S_ISDIR(st.st_mode))
		return 0; /* dropped below, if its files go */
	bool ours = known && S_ISREG(st.st_mode) && (uint64_t)st.st_size == known->size;
	return ours ? lsp_redo_aside(commit->redo, path, err)
		    : put_aside_foreign(commit, path, err);
}

/* Is the path below a folder that is not there? Files come sorted, so the last such one tells. */
static bool is_absent(const struct commit *commit, const char *path)
{
	return *commit->absent && lsp_text_starts_with(path, commit->absent);
}

/* A file of ours where the new content needs a folder is one of `old`, or in the way. */
static int clear_folders(struct commit *commit, const char *path, struct lsp_error *err)
{
	if (*commit->stranger && lsp_text_starts_with(path, commit->stranger))
		return 0;
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		char folder[LSP_PATH_MAX + 1];
		struct stat st;
		snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
		int r = lsp_fs_stat_below(commit->stage->game_fd, folder, &st, NULL);
		if (r == -LSP_E_NOT_FOUND)
			snprintf(commit->absent, sizeof commit->absent, "%s/", folder);
		if (r < 0)
			return 0;
		if (S_ISDIR(st.st_mode))
			continue;
		if (commit->old && lsp_manifest_find(commit->old, folder))
			return 0; /* remove_old has it */
		snprintf(commit->stranger, sizeof commit->stranger, "%s/", folder);
		return put_aside_foreign(commit, folder, err);
	}
	return 0;
}

static int remove_old(struct commit *commit, struct lsp_error *err)
{
	for (uint32_t i = 0; commit->old && i < commit->old->file_count; i++) {
		const char *path = commit->old->files[i].path;
		if (is_version(path) || lsp_manifest_find(commit->manifest, path) ||
			!lsp_fs_exists_below(commit->stage->game_fd, path))
			continue;
		int r = lsp_redo_aside(commit->redo, path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_old_aside(struct commit *commit, struct lsp_error *err)
{
	const struct lsp_manifest_file *version = lsp_manifest_find(commit->manifest, version_ini);
	bool version_kept =
		version && is_kept(commit, (uint32_t)(version - commit->manifest->files));
	int r = version_kept ? 0 : clear_place(commit, version_ini, err);
	if (r == 0)
		r = lsp_redo_aside(commit->redo, LSP_STAGE_FOLDER "/" LSP_STAGE_MANIFEST, err);
	if (r == 0)
		r = remove_old(commit, err);
	for (uint32_t i = 0; r == 0 && i < commit->manifest->file_count; i++) {
		const char *path = commit->manifest->files[i].path;
		if (is_version(path) || is_absent(commit, path) || is_kept(commit, i))
			continue;
		r = clear_folders(commit, path, err);
		if (r == 0 && !is_absent(commit, path))
			r = clear_place(commit, path, err);
	}
	return r;
}

/* ---- What comes ---- */

static int place(struct commit *commit, const char *path, struct lsp_error *err)
{
	_cleanup_free_ char *from =
		lsp_text_format(LSP_STAGE_FOLDER "/" LSP_STAGE_FILES "/%s", path);
	if (!from)
		return lsp_error_no_memory(err, "content");
	return lsp_redo_place(commit->redo, from, path, err);
}

/* Is the path below the folder that already moves as a whole? */
static bool is_placed(const struct commit *commit, const char *path)
{
	return *commit->placed && lsp_text_starts_with(path, commit->placed);
}

/*
 * The first folder on the path that the game's folder does not have moves as a whole: nothing can
 * be kept in it.
 */
static int place_folder(
	struct commit *commit, const char *path, bool *ret_placed, struct lsp_error *err)
{
	*ret_placed = false;
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		char folder[LSP_PATH_MAX + 2];
		struct stat st;
		snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
		int r = look(commit, folder, &st, err);
		if (r == 0 && S_ISDIR(st.st_mode))
			continue;
		if (r < 0 && r != -LSP_E_NOT_FOUND)
			return r;
		*ret_placed = true;
		snprintf(commit->placed, sizeof commit->placed, "%.*s/", (int)(slash - path), path);
		return place(commit, folder, err);
	}
	return 0;
}

static int place_new(struct commit *commit, struct lsp_error *err)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < commit->manifest->file_count; i++) {
		const char *path = commit->manifest->files[i].path;
		bool placed = false;
		if (is_version(path) || is_kept(commit, i) || is_placed(commit, path))
			continue;
		r = place_folder(commit, path, &placed, err);
		if (r == 0 && !placed)
			r = place(commit, path, err);
	}
	return r;
}

/* Does a file of the manifest lie below this folder? */
static bool has_folder(const struct lsp_manifest *manifest, const char *folder)
{
	char prefix[LSP_PATH_MAX + 2];
	snprintf(prefix, sizeof prefix, "%s/", folder);
	uint32_t low = 0, high = manifest->file_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (lsp_path_compare(manifest->files[middle].path, prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < manifest->file_count &&
	       lsp_text_starts_with(manifest->files[low].path, prefix);
}

/* Folders that only the old content has, innermost first; those with something in them stay. */
static int drop_old_folders(struct commit *commit, struct lsp_error *err)
{
	for (uint32_t i = 0; commit->old && i < commit->old->file_count; i++) {
		_cleanup_free_ char *path = strdup(commit->old->files[i].path);
		if (!path)
			return lsp_error_no_memory(err, "content");
		if (lsp_manifest_find(commit->manifest, path))
			continue;
		for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
			*slash = '\0';
			if (has_folder(commit->manifest, path))
				break;
			int r = lsp_redo_drop_folder(commit->redo, path, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int place_version(struct commit *commit, struct lsp_error *err)
{
	const struct lsp_manifest_file *version = lsp_manifest_find(commit->manifest, version_ini);
	if (!version || is_kept(commit, (uint32_t)(version - commit->manifest->files)))
		return 0;
	int r = lsp_redo_barrier(commit->redo, err);
	return r < 0 ? r : place(commit, version_ini, err);
}

/* ---- All of it
 * ------------------------------------------------------------------------------------------------
 */

/* A kept file that changed since: its chunks are missing after all. */
static int check_kept(struct commit *commit, struct lsp_error *err)
{
	for (uint32_t i = 0; i < commit->manifest->file_count; i++) {
		if (is_kept(commit, i) && !lsp_stage_is_kept(commit->stage, i))
			return lsp_error_set(err, "content", LSP_E_CORRUPT,
				"\"%s\" was changed during the update: start it again",
				commit->manifest->files[i].path);
	}
	return 0;
}

/*
 * What moves as a whole holds our files and nothing else. *ret_modes: the disk shows which of them
 * are executable.
 */
static int check_staged(struct commit *commit, bool *ret_modes, struct lsp_error *err)
{
	_cleanup_listing_ struct lsp_listing listing = {0};
	int r = lsp_listing_read(commit->stage->files_fd, NULL, &listing, err);
	if (r < 0)
		return r;
	bool modes = true;
	for (size_t i = 0; i < listing.count; i++) {
		const struct lsp_manifest_file *file =
			lsp_manifest_find(commit->manifest, listing.files[i].path);
		if (!file || file->size != listing.files[i].stamp.size)
			return lsp_error_set(err, "content", LSP_E_CORRUPT,
				"\"%s\" in the stage is not of the download: remove it there and "
				"get the game again",
				listing.files[i].path);
		modes &= file->executable == listing.files[i].executable;
	}
	*ret_modes = modes;
	return 0;
}

/* Where modes do not tell, a list does; it stays where one was needed before. */
static int note_executables(struct commit *commit, bool modes, struct lsp_error *err)
{
	int game_fd = commit->stage->game_fd;
	if (modes && !lsp_fs_exists_below(game_fd, LSP_EXECUTABLE_LIST))
		return 0;
	return lsp_executables_write(game_fd, commit->manifest, err);
}

static int check_complete(struct lsp_stage *stage, struct lsp_error *err)
{
	uint64_t bytes;
	uint32_t chunks;
	lsp_stage_left(stage, &bytes, &chunks);
	if (chunks)
		return lsp_error_set(err, "content", LSP_E_INVALID,
			"the download is not complete: %u chunks are missing", chunks);
	return 0;
}

int lsp_stage_settle(struct lsp_stage *stage, struct lsp_error *err)
{
	struct commit commit = {.stage = stage, .manifest = stage->manifest};
	bool modes = true;
	int r = lsp_stage_check(stage, err);
	if (r == 0)
		r = check_complete(stage, err);
	if (r == 0)
		r = check_kept(&commit, err);
	if (r == 0)
		r = check_staged(&commit, &modes, err);
	if (r == 0)
		r = note_executables(&commit, modes, err);
	return r < 0 ? r : lsp_stage_sync_all(stage, err);
}

int lsp_stage_add_steps(struct lsp_stage *stage, const struct lsp_manifest *old,
	struct lsp_redo *redo, struct lsp_error *err)
{
	struct commit commit = {
		.stage = stage, .manifest = stage->manifest, .old = old, .redo = redo};
	int r = put_old_aside(&commit, err);
	if (r == 0)
		r = drop_old_folders(&commit, err);
	if (r == 0)
		r = place_new(&commit, err);
	if (r == 0)
		r = place_version(&commit, err);
	pthread_mutex_lock(&stage->lock);
	stage->moving = r == 0;
	pthread_mutex_unlock(&stage->lock);
	return r;
}

void lsp_stage_committed(struct lsp_stage *stage)
{
	struct lsp_error why = {0};
	lsp_file_cache_drop_all(stage->readers);
	if (lsp_stage_remove(stage->game_fd, &why) < 0)
		lsp_log_warning("content", "cleaning up after a download: %s", why.message);
}

int lsp_stage_commit(struct lsp_stage *stage, const struct lsp_manifest *old, struct lsp_error *err)
{
	_cleanup_(lsp_redo_free_pointer) struct lsp_redo *redo = NULL;
	struct lsp_error why = {0};
	bool pending = false;
	int r = lsp_stage_settle(stage, err);
	if (r == 0)
		r = lsp_redo_new("download", &redo, err);
	if (r == 0)
		r = lsp_stage_add_steps(stage, old, redo, err);
	if (r < 0)
		return r;
	r = lsp_redo_commit(redo, stage->game_fd, &pending, &why);
	if (r < 0 && err)
		*err = why;
	if (r < 0 && pending)
		return lsp_stage_break(stage, &why);
	if (r < 0)
		return r;
	/* The new state is there. What is left over is only rubbish, which the next start removes.
	 */
	if (lsp_redo_clean(stage->game_fd, &why) < 0)
		lsp_log_warning("content", "cleaning up after a download: %s", why.message);
	lsp_stage_committed(stage);
	return 0;
}
