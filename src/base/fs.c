#include "base/fs.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>

static _Atomic(const struct lsp_fs_hooks *) hooks;

void lsp_fs_set_hooks(const struct lsp_fs_hooks *new_hooks)
{
	atomic_store(&hooks, new_hooks);
}

static bool refused(const struct lsp_fs_event *event)
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

static void succeeded(const struct lsp_fs_event *event)
{
	const struct lsp_fs_hooks *h = atomic_load(&hooks);
	if (h && h->after)
		h->after(event, h->argument);
}

/*
 * One mutating call between the two hooks; `expression` gives −1 and errno on failure. EINTR is
 * tried again, also where a test's hook gave it.
 */
#define HOOKED(event, expression)                                                                  \
	({                                                                                         \
		long result_;                                                                      \
		do {                                                                               \
			result_ = refused(&(event)) ? -1 : (expression);                           \
		} while (result_ < 0 && errno == EINTR);                                           \
		if (result_ >= 0)                                                                  \
			succeeded(&(event));                                                       \
		result_;                                                                           \
	})

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

static int open_beneath(int dir_fd, const char *path, int flags, mode_t mode)
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

/* A path below a folder was refused or failed. What the system says of links is no help. */
static int fail_below(struct lsp_error *err, int sys_errno, const char *what, const char *path)
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

static int not_regular(struct lsp_error *err, const char *path)
{
	return lsp_error_set(
		err, "base", LSP_E_DENIED, "\"%s\" is not a regular file; move it away", path);
}

/*
 * The directory that holds the last component of a path, and that component. *ret_dir is dir_fd
 * itself where the path has no slash, else a descriptor to close, which *ret_owned then holds too.
 */
static int open_parent(int dir_fd, const char *path, int *ret_dir, int *ret_owned,
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
	int fd = open_beneath(dir_fd, parent, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return fail_below(err, errno, "cannot open folder", parent);
	*ret_dir = *ret_owned = fd;
	*ret_name = slash + 1;
	return 0;
}

int lsp_fs_open_dir(const char *path, int *ret_fd, struct lsp_error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return lsp_error_errno(err, "base", errno, "cannot open folder \"%s\"", path);
	*ret_fd = fd;
	return 0;
}

int lsp_fs_open_dir_below(int dir_fd, const char *path, int *ret_fd, struct lsp_error *err)
{
	int fd = open_beneath(dir_fd, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fail_below(err, errno, "cannot open folder", path);
	*ret_fd = fd;
	return 0;
}

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
		if (stat(copy, &st) < 0 && HOOKED(event, mkdir(copy, private_ ? 0700 : 0755)) < 0 &&
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
		int next = open_beneath(dir, name, O_PATH | O_DIRECTORY, 0);
		if (next < 0 && errno == ENOENT) {
			if (HOOKED(event, mkdirat(dir, name, 0755)) < 0 && errno != EEXIST)
				return lsp_error_errno(
					err, "base", errno, "cannot make folder \"%s\"", path);
			next = open_beneath(dir, name, O_PATH | O_DIRECTORY, 0);
		}
		if (next < 0)
			return fail_below(err, errno, "cannot open folder", path);
		if (owned >= 0)
			close(owned);
		dir = owned = next;
	}
	return 0;
}

int lsp_fs_open_below(
	int dir_fd, const char *path, int flags, mode_t mode, int *ret_fd, struct lsp_error *err)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
	struct lsp_fs_event event = {LSP_FS_OPEN, dir_fd, -1, path, .fd = -1};
	_cleanup_close_ int fd = -1;
	if (!(writes && refused(&event)))
		fd = open_beneath(dir_fd, path, flags, mode);
	if (fd < 0 && (errno == ENXIO || errno == EISDIR)) /* a FIFO or socket, a folder */
		return not_regular(err, path);
	if (fd < 0)
		return fail_below(err, errno, "cannot open", path);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return lsp_error_errno(err, "base", errno, "cannot look at \"%s\"", path);
	if (!S_ISREG(st.st_mode) && !(flags & O_DIRECTORY && S_ISDIR(st.st_mode)))
		return not_regular(err, path);
	event.fd = fd;
	if (writes)
		succeeded(&event);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int lsp_fs_stat_below(int dir_fd, const char *path, struct stat *ret_stat, struct lsp_error *err)
{
	_cleanup_close_ int owned = -1;
	int dir;
	const char *name;
	int r = open_parent(dir_fd, path, &dir, &owned, &name, err);
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
	while (refused(&event))
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
	succeeded(&event);
	return 0;
}

int lsp_fs_truncate(int fd, uint64_t size, const char *name, struct lsp_error *err)
{
	struct lsp_fs_event event = {LSP_FS_TRUNCATE, -1, -1, NULL, .fd = fd, .offset = size};
	if (HOOKED(event, ftruncate(fd, (off_t)size)) < 0)
		return lsp_error_errno(err, "base", errno, "cannot size \"%s\"", name);
	return 0;
}

int lsp_fs_sync(int fd, const char *name, struct lsp_error *err)
{
	struct lsp_fs_event event = {LSP_FS_SYNC, -1, -1, NULL, .fd = fd};
	if (HOOKED(event, fsync(fd)) < 0)
		return lsp_error_errno(err, "base", errno, "cannot sync \"%s\" to the disk", name);
	return 0;
}

int lsp_fs_sync_all(int fd, const char *name, struct lsp_error *err)
{
	struct lsp_fs_event event = {LSP_FS_SYNC_ALL, -1, -1, NULL, .fd = fd};
	if (HOOKED(event, syncfs(fd)) < 0)
		return lsp_error_errno(err, "base", errno, "cannot sync \"%s\" to the disk", name);
	return 0;
}

void lsp_fs_write_back(int fd, uint64_t offset, uint64_t size)
{
	(void)sync_file_range(fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
}

int lsp_fs_sync_dir_below(int dir_fd, const char *path, struct lsp_error *err)
{
	_cleanup_close_ int fd = open_beneath(dir_fd, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return lsp_error_errno(err, "base", errno, "cannot open folder \"%s\"", path);
	return lsp_fs_sync(fd, path, err);
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
	int r = open_parent(from_fd, from, &p->from_dir, &p->from_owned, &p->from_name, err);
	return r < 0 ? r : open_parent(to_fd, to, &p->to_dir, &p->to_owned, &p->to_name, err);
}

int lsp_fs_rename_below(
	int from_dir_fd, const char *from, int to_dir_fd, const char *to, struct lsp_error *err)
{
	_cleanup_(two_places_done) struct two_places p = {.from_owned = -1, .to_owned = -1};
	int r = open_two(&p, from_dir_fd, from, to_dir_fd, to, err);
	if (r < 0)
		return r;
	struct lsp_fs_event event = {
		LSP_FS_RENAME, p.from_dir, p.to_dir, p.from_name, p.to_name, -1};
	if (HOOKED(event, renameat(p.from_dir, p.from_name, p.to_dir, p.to_name)) < 0)
		return lsp_error_errno(
			err, "base", errno, "cannot rename \"%s\" to \"%s\"", from, to);
	return 0;
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
	if (HOOKED(event,
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
	int r = open_parent(dir_fd, path, &dir, &owned, &name, err);
	if (r < 0)
		return r;
	struct lsp_fs_event event = {call, dir, -1, name, .fd = -1};
	if (HOOKED(event, unlinkat(dir, name, call == LSP_FS_RMDIR ? AT_REMOVEDIR : 0)) < 0)
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
	int r = open_parent(dir_fd, path, &dir, &owned, &name, err);
	if (r < 0)
		return r == -LSP_E_NOT_FOUND ? 0 : r;
	return remove_one(dir, name, err);
}

int lsp_fs_symlink_below(int dir_fd, const char *path, const char *text, struct lsp_error *err)
{
	_cleanup_close_ int owned = -1;
	int dir;
	const char *name;
	int r = open_parent(dir_fd, path, &dir, &owned, &name, err);
	if (r < 0)
		return r;
	struct lsp_fs_event event = {LSP_FS_SYMLINK, dir, -1, name, text, -1};
	if (HOOKED(event, symlinkat(text, dir, name)) < 0)
		return lsp_error_errno(err, "base", errno, "cannot make link \"%s\"", path);
	return 0;
}

int lsp_fs_chmod(int fd, mode_t mode, const char *name, struct lsp_error *err)
{
	struct lsp_fs_event event = {LSP_FS_CHMOD, -1, -1, NULL, .fd = fd, .offset = mode};
	if (HOOKED(event, fchmod(fd, mode)) < 0)
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
	if (HOOKED(event, futimens(fd, times)) < 0)
		return lsp_error_errno(err, "base", errno, "cannot set the time of \"%s\"", name);
	return 0;
}

int lsp_fs_clone(int from_fd, int to_fd, struct lsp_error *err)
{
	struct lsp_fs_event event = {LSP_FS_CLONE, -1, -1, NULL, .fd = to_fd};
	if (HOOKED(event, ioctl(to_fd, FICLONE, from_fd)) == 0)
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
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return lsp_error_errno(err, "base", errno, "cannot open \"%s\"", path);
	return read_whole(fd, path, limit, ret_content, err);
}

int lsp_fs_read_file_below(int dir_fd, const char *path, size_t limit,
	struct lsp_buffer *ret_content, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_below(dir_fd, path, O_RDONLY, 0, &fd, err);
	return r < 0 ? r : read_whole(fd, path, limit, ret_content, err);
}

/* The steps between the temporary name and the final one, in an open folder. */
static int replace_file(int dir, const char *name, const void *data, size_t size, mode_t mode,
	struct lsp_error *err)
{
	_cleanup_free_ char *temporary = lsp_text_format(".%s.tmp", name);
	if (!temporary)
		return lsp_error_no_memory(err, "base");
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_below(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC, mode, &fd, err);
	if (r < 0)
		return r;
	r = lsp_fs_chmod(fd, mode, name, err);
	if (r == 0)
		r = lsp_fs_write_at(fd, data, size, 0, name, err);
	if (r == 0)
		r = lsp_fs_sync(fd, name, err);
	if (r == 0)
		r = lsp_fs_rename_below(dir, temporary, dir, name, err);
	if (r < 0) {
		(void)!lsp_fs_unlink_below(dir, temporary, NULL);
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
