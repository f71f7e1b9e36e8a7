#include "base/fs_private.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

static _Atomic(const struct lsp_fs_hooks *) hooks;

void lsp_fs_set_hooks(const struct lsp_fs_hooks *new_hooks)
{
	atomic_store(&hooks, new_hooks);
}

bool lsp_fs_refused(const struct lsp_fs_event *event)
{
	const struct lsp_fs_hooks *h = atomic_load(&hooks);
	int sys_errno = h && h->before ? h->before(event, h->argument) : 0;
	if (sys_errno)
		errno = sys_errno;
	return sys_errno != 0;
}

/* How much of `size` one call may move. */
static size_t per_call(size_t size)
{
	const struct lsp_fs_hooks *h = atomic_load(&hooks);
	return h && h->at_most && h->at_most < size ? h->at_most : size;
}

void lsp_fs_succeeded(const struct lsp_fs_event *event)
{
	const struct lsp_fs_hooks *h = atomic_load(&hooks);
	if (h && h->after)
		h->after(event, h->argument);
}

bool lsp_fs_read_refused(const char *path)
{
	const struct lsp_fs_hooks *h = atomic_load(&hooks);
	int sys_errno = h && h->before_read ? h->before_read(path, h->argument) : 0;
	if (sys_errno)
		errno = sys_errno;
	return sys_errno != 0;
}

static int not_regular(struct lsp_error *err, const char *path)
{
	return lsp_error_set(
		err, "base", LSP_E_DENIED, "\"%s\" is not a regular file; move it away", path);
}

int lsp_fs_open_dir(const char *path, int *ret_fd, struct lsp_error *err)
{
	int fd = lsp_fs_read_refused(path) ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return lsp_error_errno(err, "base", errno, "cannot open folder \"%s\"", path);
	*ret_fd = fd;
	return 0;
}

int lsp_fs_open_dir_below(int dir_fd, const char *path, int *ret_fd, struct lsp_error *err)
{
	int fd = lsp_fs_read_refused(path)
			 ? -1
			 : lsp_fs_open_beneath(dir_fd, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return lsp_fs_fail_below(err, errno, "cannot open folder", path);
	*ret_fd = fd;
	return 0;
}

int lsp_fs_open_below(
	int dir_fd, const char *path, int flags, mode_t mode, int *ret_fd, struct lsp_error *err)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
	struct lsp_fs_event event = {LSP_FS_OPEN, dir_fd, -1, path, .fd = -1};
	_cleanup_close_ int fd = -1;
	if (!(writes && lsp_fs_refused(&event)))
		fd = lsp_fs_open_beneath(dir_fd, path, flags, mode);
	if (fd < 0 && (errno == ENXIO || errno == EISDIR)) /* a FIFO or socket, a folder */
		return not_regular(err, path);
	if (fd < 0)
		return lsp_fs_fail_below(err, errno, "cannot open", path);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return lsp_error_errno(err, "base", errno, "cannot look at \"%s\"", path);
	if (!S_ISREG(st.st_mode) && !(flags & O_DIRECTORY && S_ISDIR(st.st_mode)))
		return not_regular(err, path);
	event.fd = fd;
	if (writes)
		lsp_fs_succeeded(&event);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int lsp_fs_stat_below(int dir_fd, const char *path, struct stat *ret_stat, struct lsp_error *err)
{
	_cleanup_close_ int owned = -1;
	int dir;
	const char *name;
	int r = lsp_fs_open_parent(dir_fd, path, &dir, &owned, &name, err);
	if (r < 0)
		return r;
	if (fstatat(dir, name, ret_stat, AT_SYMLINK_NOFOLLOW) < 0)
		return lsp_error_errno(err, "base", errno, "cannot look at \"%s\"", path);
	return 0;
}

bool lsp_fs_exists_below(int dir_fd, const char *path)
{
	struct stat st;
	return lsp_fs_stat_below(dir_fd, path, &st, NULL) == 0;
}

int lsp_fs_read_at(
	int fd, void *data, size_t size, uint64_t offset, size_t *ret_read, struct lsp_error *err)
{
	size_t done = 0;
	while (done < size) {
		ssize_t got = pread(
			fd, (char *)data + done, per_call(size - done), (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return lsp_error_errno(err, "base", errno, "cannot read");
		if (got == 0)
			break;
		done += (size_t)got;
	}
	*ret_read = done;
	return 0;
}

static bool is_memory(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

int lsp_fs_read_cached(int fd, void *data, size_t size, uint64_t offset, struct lsp_error *err)
{
	struct iovec vector = {data, size};
	ssize_t got = preadv2(fd, &vector, 1, (off_t)offset, RWF_NOWAIT);
	if (got < 0 && errno == EOPNOTSUPP && is_memory(fd))
		got = pread(fd, data, size, (off_t)offset);
	if (got < 0 || (size_t)got < size)
		return lsp_error_set(err, "base", LSP_E_BUSY, "the disk would be waited for");
	return 0;
}

int lsp_fs_write_at(int fd, const void *data, size_t size, uint64_t offset, const char *name,
	struct lsp_error *err)
{
	struct lsp_fs_event event = {LSP_FS_WRITE, -1, -1, NULL, NULL, fd, offset, data, size};
	while (lsp_fs_refused(&event))
		if (errno != EINTR)
			return lsp_error_errno(err, "base", errno, "cannot write \"%s\"", name);
	size_t done = 0;
	while (done < size) {
		ssize_t put = pwrite(fd, (const char *)data + done, per_call(size - done),
			(off_t)(offset + done));
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return lsp_error_errno(
				err, "base", put < 0 ? errno : EIO, "cannot write \"%s\"", name);
		done += (size_t)put;
	}
	lsp_fs_succeeded(&event);
	return 0;
}

int lsp_fs_truncate(int fd, uint64_t size, const char *name, struct lsp_error *err)
{
	struct lsp_fs_event event = {LSP_FS_TRUNCATE, -1, -1, NULL, .fd = fd, .offset = size};
	if (LSP_FS_HOOKED(event, ftruncate(fd, (off_t)size)) < 0)
		return lsp_error_errno(err, "base", errno, "cannot size \"%s\"", name);
	return 0;
}

int lsp_fs_sync(int fd, const char *name, struct lsp_error *err)
{
	struct lsp_fs_event event = {LSP_FS_SYNC, -1, -1, NULL, .fd = fd};
	if (LSP_FS_HOOKED(event, fsync(fd)) < 0)
		return lsp_error_errno(err, "base", errno, "cannot sync \"%s\" to the disk", name);
	return 0;
}

int lsp_fs_sync_all(int fd, const char *name, struct lsp_error *err)
{
	struct lsp_fs_event event = {LSP_FS_SYNC_ALL, -1, -1, NULL, .fd = fd};
	if (LSP_FS_HOOKED(event, syncfs(fd)) < 0)
		return lsp_error_errno(err, "base", errno, "cannot sync \"%s\" to the disk", name);
	return 0;
}

void lsp_fs_write_back(int fd, uint64_t offset, uint64_t size)
{
	(void)sync_file_range(fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
}

int lsp_fs_sync_dir_below(int dir_fd, const char *path, struct lsp_error *err)
{
	_cleanup_close_ int fd = lsp_fs_open_beneath(dir_fd, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return lsp_error_errno(err, "base", errno, "cannot open folder \"%s\"", path);
	return lsp_fs_sync(fd, path, err);
}

int lsp_fs_chmod(int fd, mode_t mode, const char *name, struct lsp_error *err)
{
	struct lsp_fs_event event = {LSP_FS_CHMOD, -1, -1, NULL, .fd = fd, .offset = mode};
	if (LSP_FS_HOOKED(event, fchmod(fd, mode)) < 0)
		return lsp_error_errno(err, "base", errno, "cannot set the mode of \"%s\"", name);
	return 0;
}

int lsp_fs_set_mtime(int fd, int64_t mtime_ns, const char *name, struct lsp_error *err)
{
	struct lsp_fs_event event = {
		LSP_FS_TIMES, -1, -1, NULL, .fd = fd, .offset = (uint64_t)mtime_ns};
	int64_t seconds = mtime_ns / 1000000000, rest = mtime_ns % 1000000000;
	if (rest < 0) {
		rest += 1000000000;
		seconds--;
	}
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {seconds, rest}};
	if (LSP_FS_HOOKED(event, futimens(fd, times)) < 0)
		return lsp_error_errno(err, "base", errno, "cannot set the time of \"%s\"", name);
	return 0;
}

int lsp_fs_clone(int from_fd, int to_fd, struct lsp_error *err)
{
	struct lsp_fs_event event = {LSP_FS_CLONE, -1, -1, NULL, .fd = to_fd};
	if (LSP_FS_HOOKED(event, ioctl(to_fd, FICLONE, from_fd)) == 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == EINVAL || errno == EXDEV || errno == ENOTTY)
		return lsp_error_set(
			err, "base", LSP_E_UNSUPPORTED, "this filesystem cannot share blocks");
	return lsp_error_errno(err, "base", errno, "cannot clone a file");
}

int lsp_fs_free_space(int fd, uint64_t *ret_bytes, struct lsp_error *err)
{
	struct statvfs vfs;
	if (fstatvfs(fd, &vfs) < 0)
		return lsp_error_errno(err, "base", errno, "cannot ask for the free space");
	*ret_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return 0;
}
