#include "install/keep.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "install/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#define DOMAIN "install"

int lsp_keep_name(int game_fd, const struct lsp_clock *clock, char ret_name[LSP_KEEP_NAME_MAX],
	struct lsp_error *err)
{
	time_t now = (time_t)(lsp_wall(clock ? clock : lsp_clock_system) / LSP_SECOND);
	struct tm date;
	char text[24] = "undated";
	if (localtime_r(&now, &date))
		strftime(text, sizeof text, "%Y-%m-%d", &date);
	for (unsigned n = 1; n < 10000; n++) {
		char name[LSP_KEEP_NAME_MAX], number[8] = "";
		if (n > 1)
			snprintf(number, sizeof number, "-%u", n);
		snprintf(name, sizeof name, "local.kept-%s%s", text, number);
		if (!lsp_fs_exists_below(game_fd, name)) {
			memcpy(ret_name, name, sizeof name);
			return 0;
		}
	}
	return lsp_error_set(err, DOMAIN, LSP_E_EXISTS,
		"there are too many folders local.kept-%s: remove some", text);
}

/* ---- Planning ---- */

static char *join(const char *folder, const char *path)
{
	return lsp_text_format("%s/%s", folder, path);
}

/* The folders above `path` below `folder`; -LSP_E_DENIED or so where a file is in the way. */
static int make_parents(int game_fd, const char *folder, const char *path, struct lsp_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent =
		slash ? lsp_text_format("%s/%.*s", folder, (int)(slash - path), path)
		      : strdup(folder);
	if (!parent)
		return lsp_error_no_memory(err, DOMAIN);
	return lsp_fs_make_dirs_below(game_fd, parent, err);
}

static int plan_move(
	struct lsp_keep *keep, const char *path, const char *folder, struct lsp_error *err)
{
	_cleanup_free_ char *from = join(LSP_KEEP_OLD_LOCAL, path);
	_cleanup_free_ char *to = join(folder, path);
	if (!from || !to)
		return lsp_error_no_memory(err, DOMAIN);
	return lsp_redo_place(keep->redo, from, to, err);
}

static int plan_kept(struct lsp_keep *keep, const char *path, struct lsp_error *err)
{
	int r = make_parents(keep->game_fd, LSP_KEEP_STAGED, path, err);
	if (r == 0)
		r = plan_move(keep, path, keep->name, err);
	keep->kept += r == 0;
	return r;
}

/* Both files, and of the same content? Errors of reading count as "no". */
static bool is_same(struct lsp_keep *keep, const struct lsp_tree_entry *entry, const char *new_path)
{
	_cleanup_close_ int mine = -1;
	_cleanup_close_ int its = -1;
	return S_ISREG(entry->st->st_mode) &&
	       lsp_fs_open_below(entry->dir_fd, entry->name, O_RDONLY, 0, &mine, NULL) == 0 &&
	       lsp_fs_open_below(keep->game_fd, new_path, O_RDONLY, 0, &its, NULL) == 0 &&
	       lsp_tree_same_content(mine, its, keep->token, NULL) == 1;
}

/* To the trash rather than left: deleting OLD_LOCAL would take it for the user's. */
static int plan_duplicate(struct lsp_keep *keep, const char *path, struct lsp_error *err)
{
	_cleanup_free_ char *from = join(LSP_KEEP_OLD_LOCAL, path);
	_cleanup_free_ char *to =
		lsp_text_format(LSP_REDO_OLD "/same-%llu", (unsigned long long)++keep->duplicates);
	if (!from || !to)
		return lsp_error_no_memory(err, DOMAIN);
	return lsp_redo_place(keep->redo, from, to, err);
}

static int plan_file(
	struct lsp_keep *keep, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	_cleanup_free_ char *new_path = join(keep->new_local, entry->path);
	if (!new_path)
		return lsp_error_no_memory(err, DOMAIN);
	struct lsp_error local = {0};
	struct stat st;
	int r = lsp_fs_stat_below(keep->game_fd, new_path, &st, &local);
	if (r == 0)
		return is_same(keep, entry, new_path) ? plan_duplicate(keep, entry->path, err)
						      : plan_kept(keep, entry->path, err);
	/* Not there; or a file or a link stands where a folder should. */
	r = make_parents(keep->game_fd, keep->new_local, entry->path, &local);
	if (local.sys_errno == ENOTDIR || local.sys_errno == ELOOP || local.sys_errno == EEXIST)
		return plan_kept(keep, entry->path, err);
	if (r < 0) {
		if (err)
			*err = local;
		return r;
	}
	r = plan_move(keep, entry->path, "local", err);
	keep->moved += r == 0;
	return r;
}

static int plan_entry(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	struct lsp_keep *keep = argument;
	if (S_ISDIR(entry->st->st_mode) || lsp_record_unchanged(keep->record, entry->path,
						   entry->dir_fd, entry->name, entry->st))
		return 0;
	return keep->new_local ? plan_file(keep, entry, err) : plan_kept(keep, entry->path, err);
}

int lsp_keep_plan(struct lsp_keep *keep, struct lsp_error *err)
{
	if (!keep->record) {
		keep->whole = true;
		return lsp_redo_place(keep->redo, LSP_KEEP_OLD_LOCAL, keep->name, err);
	}
	return lsp_tree_walk(keep->game_fd, "local", keep->token, plan_entry, keep, err);
}

/* ---- Reclaiming ---- */

struct reclaim {
	int game_fd;
	const struct lsp_clock *clock;
	const struct lsp_record *record;
	char name[LSP_KEEP_NAME_MAX];
	uint64_t kept;
};

static int move_to_kept(struct reclaim *reclaim, const char *path, struct lsp_error *err)
{
	int r = 0;
	if (!*reclaim->name)
		r = lsp_keep_name(reclaim->game_fd, reclaim->clock, reclaim->name, err);
	if (r == 0)
		r = make_parents(reclaim->game_fd, reclaim->name, path, err);
	_cleanup_free_ char *from = join(LSP_KEEP_OLD_LOCAL, path);
	_cleanup_free_ char *to = join(reclaim->name, path);
	if (r == 0 && (!from || !to))
		r = lsp_error_no_memory(err, DOMAIN);
	if (r == 0)
		r = lsp_fs_rename_below(reclaim->game_fd, from, reclaim->game_fd, to, err);
	if (r == 0) {
		reclaim->kept++;
		lsp_log_info(DOMAIN, "kept \"%s\", written while its game was replaced", to);
	}
	return r;
}

static int reclaim_entry(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	struct reclaim *reclaim = argument;
	if (S_ISDIR(entry->st->st_mode) || lsp_record_unchanged(reclaim->record, entry->path,
						   entry->dir_fd, entry->name, entry->st))
		return 0;
	return move_to_kept(reclaim, entry->path, err);
}

static int reclaim_local(struct reclaim *reclaim, struct lsp_error *err)
{
	int r = lsp_tree_walk(
		reclaim->game_fd, LSP_KEEP_OLD_LOCAL, NULL, reclaim_entry, reclaim, err);
	/* What was moved is safe before anything is deleted. */
	if (r == 0 && reclaim->kept)
		r = lsp_fs_sync_all(reclaim->game_fd, reclaim->name, err);
	if (r == 0)
		r = lsp_fs_remove_tree_below(reclaim->game_fd, LSP_KEEP_OLD_LOCAL, err);
	/* The record goes last: without it the rest would count as the user's. */
	if (r == 0)
		r = lsp_redo_sync_folder(reclaim->game_fd, LSP_REDO_PRIVATE, err);
	return r;
}

int lsp_keep_reclaim(int game_fd, const struct lsp_clock *clock, char ret_name[LSP_KEEP_NAME_MAX],
	uint64_t *ret_kept, struct lsp_error *err)
{
	_cleanup_record_ struct lsp_record record = {0};
	struct reclaim reclaim = {game_fd, clock, &record, "", 0};
	int r = 0;
	if (lsp_fs_exists_below(game_fd, LSP_KEEP_OLD_LOCAL)) {
		r = lsp_record_read(game_fd, LSP_KEEP_OLD_RECORD, &record, err);
		if (r == -LSP_E_NOT_FOUND || r == -LSP_E_CORRUPT)
			r = 0; /* an empty record: all of it is the user's */
		if (r == 0)
			r = reclaim_local(&reclaim, err);
	}
	if (r == 0 && lsp_fs_exists_below(game_fd, LSP_KEEP_OLD_RECORD))
		r = lsp_fs_unlink_below(game_fd, LSP_KEEP_OLD_RECORD, err);
	if (ret_name)
		memcpy(ret_name, reclaim.name, sizeof reclaim.name);
	if (ret_kept)
		*ret_kept = reclaim.kept;
	return r;
}
