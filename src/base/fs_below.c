#include "base/fs_private.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * openat2(2) where the kernel has it. Otherwise (before 5.6, or a sandbox that hides it) the path
 * is walked one component at a time with O_NOFOLLOW, which refuses the same things.
 */
static int walk_beneath(int dir_fd, const char *path, int flags, mode_t mode)
{
	_cleanup_close_ int at = -1;
	int dir = dir_fd;
	if (*path == '/') {
		errno = EXDEV;
		return -1;
	}
	for (;;) {
		while (*path == '/')
			path++;
		const char *slash = strchrnul(path, '/');
		size_t length = (size_t)(slash - path);
		char name[256];
		if (length >= sizeof name) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, length);
		name[length] = '\0';
		if (strcmp(name, "..") == 0) {
			errno = EXDEV;
			return -1;
		}
		const char *rest = slash;
		while (*rest == '/')
			rest++;
		if (!*rest)
			return openat(dir, length ? name : ".", flags | O_NOFOLLOW, mode);
		int next = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -1;
		if (at >= 0)
			close(at);
		dir = at = next;
		path = rest;
	}
}

int lsp_fs_open_beneath(int dir_fd, const char *path, int flags, mode_t mode)
{
	static atomic_bool missing;
	flags |= O_CLOEXEC | O_NOFOLLOW;
	if (!(flags & O_PATH)) /* openat2 takes nothing else beside it */
		flags |= O_NOCTTY | O_NONBLOCK;
	if (!atomic_load_explicit(&missing, memory_order_relaxed)) {
		struct open_how how = {
			.flags = (uint64_t)flags,
			.mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
			.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
		};
		int fd;
		do {
			fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
		} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
		if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
			return fd;
		if (errno == ENOSYS)
			atomic_store_explicit(&missing, true, memory_order_relaxed);
	}
	return walk_beneath(dir_fd, path, flags, mode);
}

int lsp_fs_fail_below(struct lsp_error *err, int sys_errno, const char *what, const char *path)
{
	const char *why = NULL;
	if (sys_errno == ELOOP)
		why = "it is a symbolic link, or behind one, which is not followed here; put the "
		      "file or folder itself in its place";
	else if (sys_errno == EXDEV)
		why = "it leads out of the folder";
	else if (sys_errno == ENOTDIR)
		why = "a link or a file is where a folder should be; move it away";
	if (!why)
		return lsp_error_errno(err, "base", sys_errno, "%s \"%s\"", what, path);
	int r = lsp_error_set(err, "base", LSP_E_DENIED, "%s \"%s\": %s", what, path, why);
	if (err)
		err->sys_errno = sys_errno;
	return r;
}

int lsp_fs_open_parent(int dir_fd, const char *path, int *ret_dir, int *ret_owned,
	const char **ret_name, struct lsp_error *err)
{
	const char *slash = strrchr(path, '/');
	if (!slash) {
		*ret_dir = dir_fd;
		*ret_name = path;
		return 0;
	}
	_cleanup_free_ char *parent = strndup(path, (size_t)(slash - path));
	if (!parent)
		return lsp_error_no_memory(err, "base");
	int fd = lsp_fs_open_beneath(dir_fd, parent, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return lsp_fs_fail_below(err, errno, "cannot open folder", parent);
	*ret_dir = *ret_owned = fd;
	*ret_name = slash + 1;
	return 0;
}
