/* Small files, read and replaced as a whole. */
#include "base/fs_private.h"
#include "base/text.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int read_whole(int fd, const char *path, size_t limit, struct lsp_buffer *ret_content,
	struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	for (;;) {
		int r = lsp_buffer_reserve(&content, 4096, err);
		if (r < 0)
			return r;
		size_t room = content.capacity - content.size - 1, got;
		r = lsp_fs_read_at(fd, content.data + content.size, room, content.size, &got, err);
		if (r < 0)
			return lsp_error_prefix(err, r, "\"%s\"", path);
		content.size += got;
		if (content.size > limit)
			return lsp_error_set(err, "base", LSP_E_TOO_LARGE,
				"\"%s\" is larger than %zu bytes", path, limit);
		if (got < room)
			break;
	}
	content.data[content.size] = '\0';
	lsp_buffer_done(ret_content);
	*ret_content = content;
	content = (struct lsp_buffer){0};
	return 0;
}

int lsp_fs_read_file(
	const char *path, size_t limit, struct lsp_buffer *ret_content, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	if (!lsp_fs_read_refused(path))
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return lsp_error_errno(err, "base", errno, "cannot open \"%s\"", path);
	return read_whole(fd, path, limit, ret_content, err);
}

int lsp_fs_read_file_below(int dir_fd, const char *path, size_t limit,
	struct lsp_buffer *ret_content, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	if (lsp_fs_read_refused(path))
		return lsp_fs_fail_below(err, errno, "cannot open", path);
	int r = lsp_fs_open_below(dir_fd, path, O_RDONLY, 0, &fd, err);
	return r < 0 ? r : read_whole(fd, path, limit, ret_content, err);
}

/* ---- Replaced ---------------------------------------------------------------------------- */

#define TEMPORARY_MAX (NAME_MAX + 8)

static int temporary_of(const char *name, char temporary[TEMPORARY_MAX], struct lsp_error *err)
{
	int size = snprintf(temporary, TEMPORARY_MAX, ".%s.tmp", name);
	return size < TEMPORARY_MAX ? 0
				    : lsp_error_set(err, "base", LSP_E_INVALID,
					      "\"%.100s…\" is too long a name", name);
}

void lsp_fs_drop_file(int dir_fd, const char *name)
{
	char temporary[TEMPORARY_MAX];
	if (temporary_of(name, temporary, NULL) == 0)
		(void)!lsp_fs_unlink_below(dir_fd, temporary, NULL);
}

/* The temporary file, whole and open. On an error it is gone. */
static int stage(int dir, const char *name, const void *data, size_t size, mode_t mode, int *ret_fd,
	struct lsp_error *err)
{
	char temporary[TEMPORARY_MAX];
	_cleanup_close_ int fd = -1;
	int r = temporary_of(name, temporary, err);
	if (r == 0)
		r = lsp_fs_open_below(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC, mode, &fd, err);
	if (r < 0)
		return r;
	r = lsp_fs_chmod(fd, mode, name, err);
	if (r == 0)
		r = lsp_fs_write_at(fd, data, size, 0, name, err);
	if (r < 0) {
		lsp_fs_drop_file(dir, name);
		return r;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int lsp_fs_stage_file(int dir_fd, const char *name, const void *data, size_t size, mode_t mode,
	struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = stage(dir_fd, name, data, size, mode, &fd, err);
	if (r == 0)
		lsp_fs_write_back(fd, 0, size);
	return r;
}

int lsp_fs_settle_file(int dir_fd, const char *name, struct lsp_error *err)
{
	char temporary[TEMPORARY_MAX];
	_cleanup_close_ int fd = -1;
	int r = temporary_of(name, temporary, err);
	if (r == 0)
		r = lsp_fs_open_below(dir_fd, temporary, O_RDONLY, 0, &fd, err);
	return r < 0 ? r : lsp_fs_sync(fd, name, err);
}

int lsp_fs_commit_file(int dir_fd, const char *name, struct lsp_error *err)
{
	char temporary[TEMPORARY_MAX];
	int r = temporary_of(name, temporary, err);
	return r < 0 ? r : lsp_fs_rename_below(dir_fd, temporary, dir_fd, name, err);
}

/* The steps between the temporary name and the final one, in an open folder. */
static int replace_file(int dir, const char *name, const void *data, size_t size, mode_t mode,
	struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = stage(dir, name, data, size, mode, &fd, err);
	if (r < 0)
		return r;
	r = lsp_fs_sync(fd, name, err);
	if (r == 0)
		r = lsp_fs_commit_file(dir, name, err);
	if (r < 0) {
		lsp_fs_drop_file(dir, name);
		return r;
	}
	return lsp_fs_sync_dir_below(dir, ".", err);
}

int lsp_fs_write_file_below(int dir_fd, const char *path, const void *data, size_t size,
	mode_t mode, struct lsp_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	if (!parent)
		return lsp_error_no_memory(err, "base");
	_cleanup_close_ int dir = -1;
	int r = lsp_fs_open_dir_below(dir_fd, parent, &dir, err);
	return r < 0 ? r : replace_file(dir, slash ? slash + 1 : path, data, size, mode, err);
}

int lsp_fs_write_file(
	const char *path, const void *data, size_t size, mode_t mode, struct lsp_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = !slash          ? strdup(".")
				      : slash == path ? strdup("/")
						      : strndup(path, (size_t)(slash - path));
	if (!parent)
		return lsp_error_no_memory(err, "base");
	_cleanup_close_ int dir = -1;
	int r = lsp_fs_open_dir(parent, &dir, err);
	return r < 0 ? r : replace_file(dir, slash ? slash + 1 : path, data, size, mode, err);
}
