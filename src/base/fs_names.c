/* What changes the names of a folder: making, renaming, exchanging, removing, linking. */
#include "base/fs_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int lsp_fs_make_dirs(const char *path, bool private_, struct lsp_error *err)
{
	if (!*path)
		return lsp_error_set(err, "base", LSP_E_INVALID, "the name of a folder is empty");
	_cleanup_free_ char *copy = strdup(path);
	if (!copy)
		return lsp_error_no_memory(err, "base");
	for (char *at = copy + 1;; at++) {
		if (*at && *at != '/')
			continue;
		char saved = *at;
		*at = '\0';
		struct lsp_fs_event event = {LSP_FS_MKDIR, AT_FDCWD, -1, copy, .fd = -1};
		struct stat st;
		if (stat(copy, &st) < 0 &&
			LSP_FS_HOOKED(event, mkdir(copy, private_ ? 0700 : 0755)) < 0 &&
			errno != EEXIST)
			return lsp_error_errno(
				err, "base", errno, "cannot make folder \"%s\"", copy);
		*at = saved;
		if (!saved)
			return 0;
	}
}

int lsp_fs_make_dirs_below(int dir_fd, const char *path, struct lsp_error *err)
{
	_cleanup_free_ char *copy = strdup(path);
	if (!copy)
		return lsp_error_no_memory(err, "base");
	_cleanup_close_ int owned = -1;
	int dir = dir_fd;
	char *save = NULL;
	for (char *name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		struct lsp_fs_event event = {LSP_FS_MKDIR, dir, -1, name, .fd = -1};
		int next = lsp_fs_open_beneath(dir, name, O_PATH | O_DIRECTORY, 0);
		if (next < 0 && errno == ENOENT) {
			if (LSP_FS_HOOKED(event, mkdirat(dir, name, 0755)) < 0 && errno != EEXIST)
				return lsp_error_errno(
					err, "base", errno, "cannot make folder \"%s\"", path);
			next = lsp_fs_open_beneath(dir, name, O_PATH | O_DIRECTORY, 0);
		}
		if (next < 0)
			return lsp_fs_fail_below(err, errno, "cannot open folder", path);
		if (owned >= 0)
			close(owned);
		dir = owned = next;
	}
	return 0;
}

/* Both parents of a rename. */
struct two_places {
	int from_dir, to_dir;
	int from_owned, to_owned;
	const char *from_name, *to_name;
};

static void two_places_done(struct two_places *places)
{
	lsp_cleanup_close(&places->from_owned);
	lsp_cleanup_close(&places->to_owned);
}

static int open_two(struct two_places *p, int from_fd, const char *from, int to_fd, const char *to,
	struct lsp_error *err)
{
	int r = lsp_fs_open_parent(from_fd, from, &p->from_dir, &p->from_owned, &p->from_name, err);
	return r < 0 ? r
		     : lsp_fs_open_parent(to_fd, to, &p->to_dir, &p->to_owned, &p->to_name, err);
}

static int replace(const struct two_places *p)
{
	return renameat(p->from_dir, p->from_name, p->to_dir, p->to_name);
}

static int take_new(const struct two_places *p)
{
	struct stat st;
	if (renameat2(p->from_dir, p->from_name, p->to_dir, p->to_name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -1;
	if (fstatat(p->to_dir, p->to_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return errno == ENOENT ? replace(p) : -1;
}

static int rename_by(int (*call)(const struct two_places *places), int from_dir_fd,
	const char *from, int to_dir_fd, const char *to, struct lsp_error *err)
{
	_cleanup_(two_places_done) struct two_places p = {.from_owned = -1, .to_owned = -1};
	int r = open_two(&p, from_dir_fd, from, to_dir_fd, to, err);
	if (r < 0)
		return r;
	struct lsp_fs_event event = {
		LSP_FS_RENAME, p.from_dir, p.to_dir, p.from_name, p.to_name, -1};
	if (LSP_FS_HOOKED(event, call(&p)) < 0)
		return lsp_error_errno(
			err, "base", errno, "cannot rename \"%s\" to \"%s\"", from, to);
	return 0;
}

int lsp_fs_rename_below(
	int from_dir_fd, const char *from, int to_dir_fd, const char *to, struct lsp_error *err)
{
	return rename_by(replace, from_dir_fd, from, to_dir_fd, to, err);
}

int lsp_fs_rename_new_below(
	int from_dir_fd, const char *from, int to_dir_fd, const char *to, struct lsp_error *err)
{
	return rename_by(take_new, from_dir_fd, from, to_dir_fd, to, err);
}

int lsp_fs_exchange_below(
	int from_dir_fd, const char *from, int to_dir_fd, const char *to, struct lsp_error *err)
{
	_cleanup_(two_places_done) struct two_places p = {.from_owned = -1, .to_owned = -1};
	int r = open_two(&p, from_dir_fd, from, to_dir_fd, to, err);
	if (r < 0)
		return r;
	struct lsp_fs_event event = {
		LSP_FS_EXCHANGE, p.from_dir, p.to_dir, p.from_name, p.to_name, -1};
	if (LSP_FS_HOOKED(event,
		    renameat2(p.from_dir, p.from_name, p.to_dir, p.to_name, RENAME_EXCHANGE)) == 0)
		return 0;
	if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
		return lsp_error_set(err, "base", LSP_E_UNSUPPORTED,
			"this filesystem cannot exchange two names");
	return lsp_error_errno(err, "base", errno, "cannot exchange \"%s\" and \"%s\"", from, to);
}

static int unlink_with(int dir_fd, const char *path, enum lsp_fs_call call, struct lsp_error *err)
{
	_cleanup_close_ int owned = -1;
	int dir;
	const char *name;
	int r = lsp_fs_open_parent(dir_fd, path, &dir, &owned, &name, err);
	if (r < 0)
		return r;
	struct lsp_fs_event event = {call, dir, -1, name, .fd = -1};
	if (LSP_FS_HOOKED(event, unlinkat(dir, name, call == LSP_FS_RMDIR ? AT_REMOVEDIR : 0)) < 0)
		return lsp_error_errno(err, "base", errno, "cannot remove \"%s\"", path);
	return 0;
}

int lsp_fs_unlink_below(int dir_fd, const char *path, struct lsp_error *err)
{
	return unlink_with(dir_fd, path, LSP_FS_UNLINK, err);
}

int lsp_fs_rmdir_below(int dir_fd, const char *path, struct lsp_error *err)
{
	return unlink_with(dir_fd, path, LSP_FS_RMDIR, err);
}

static int remove_children(int dir_fd, const char *path, struct lsp_error *err);

static int remove_one(int dir_fd, const char *name, struct lsp_error *err)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT)
			return 0;
		return lsp_error_errno(err, "base", errno, "cannot look at \"%s\"", name);
	}
	if (!S_ISDIR(st.st_mode))
		return lsp_fs_unlink_below(dir_fd, name, err);
	int r = remove_children(dir_fd, name, err);
	return r < 0 ? r : lsp_fs_rmdir_below(dir_fd, name, err);
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int remove_children(int dir_fd, const char *path, struct lsp_error *err)
{
	int fd = -1;
	int r = lsp_fs_open_dir_below(dir_fd, path, &fd, err);
	if (r < 0)
		return r;
	_cleanup_(close_dir) DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return lsp_error_no_memory(err, "base");
	}
	struct dirent *entry;
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = remove_one(fd, entry->d_name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int lsp_fs_remove_tree_below(int dir_fd, const char *path, struct lsp_error *err)
{
	_cleanup_close_ int owned = -1;
	int dir;
	const char *name;
	int r = lsp_fs_open_parent(dir_fd, path, &dir, &owned, &name, err);
	if (r < 0)
		return r == -LSP_E_NOT_FOUND ? 0 : r;
	return remove_one(dir, name, err);
}

int lsp_fs_symlink_below(int dir_fd, const char *path, const char *text, struct lsp_error *err)
{
	_cleanup_close_ int owned = -1;
	int dir;
	const char *name;
	int r = lsp_fs_open_parent(dir_fd, path, &dir, &owned, &name, err);
	if (r < 0)
		return r;
	struct lsp_fs_event event = {LSP_FS_SYMLINK, dir, -1, name, text, -1};
	if (LSP_FS_HOOKED(event, symlinkat(text, dir, name)) < 0)
		return lsp_error_errno(err, "base", errno, "cannot make link \"%s\"", path);
	return 0;
}
