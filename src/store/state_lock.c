#include "store/state_lock.h"

#include "base/buffer.h"
#include "base/fs.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

struct lsp_folder_lock {
	int fd;
};

/* "process 4711 (kitchen)" from what the holder wrote; "another process" if it did not yet. */
static void describe_holder(int fd, char *out, size_t size)
{
	char text[256];
	size_t got = 0;
	if (lsp_fs_read_at(fd, text, sizeof text - 1, 0, &got, NULL) < 0)
		got = 0;
	text[got] = '\0';
	char *name = NULL;
	unsigned long pid = strtoul(text, &name, 10);
	if (pid == 0) {
		snprintf(out, size, "another process");
		return;
	}
	name += strspn(name, " ");
	name[strcspn(name, "\n")] = '\0';
	if (*name)
		snprintf(out, size, "process %lu (%s)", pid, name);
	else
		snprintf(out, size, "process %lu", pid);
}

static int refuse(int fd, int error, const char *folder, const char *what, struct lsp_error *err)
{
	if (error == EWOULDBLOCK) {
		char holder[320];
		describe_holder(fd, holder, sizeof holder);
		return lsp_error_set(err, "store", LSP_E_BUSY,
			"the %s \"%s\" is in use by %s; stop it or choose another folder", what,
			folder, holder);
	}
	if (error == ENOLCK || error == EOPNOTSUPP || error == ENOSYS || error == EINVAL)
		return lsp_error_set(err, "store", LSP_E_UNSUPPORTED,
			"the %s \"%s\" is on a filesystem without locks; choose one on a local "
			"disk",
			what, folder);
	return lsp_error_errno(err, "store", error, "cannot lock the %s \"%s\"", what, folder);
}

static int open_lock_file(int dir, const char *folder, const char *file, const char *what,
	int *ret_fd, struct lsp_error *err)
{
	int r = 0;
	const char *slash = strrchr(file, '/');
	if (slash) {
		_cleanup_free_ char *parent = strndup(file, (size_t)(slash - file));
		if (!parent)
			return lsp_error_no_memory(err, "store");
		r = lsp_fs_make_dirs_below(dir, parent, err);
	}
	if (r == 0)
		r = lsp_fs_open_below(dir, file, O_RDWR | O_CREAT, 0644, ret_fd, err);
	return r < 0 ? lsp_error_prefix(err, r, "cannot write to the %s \"%s\"", what, folder) : r;
}

static int write_holder(int fd, const char *holder, struct lsp_error *err)
{
	_cleanup_free_ char *line = lsp_text_format("%ld %s\n", (long)getpid(), holder);
	if (!line)
		return lsp_error_no_memory(err, "store");
	int r = lsp_fs_truncate(fd, 0, "lock", err);
	return r < 0 ? r : lsp_fs_write_at(fd, line, strlen(line), 0, "lock", err);
}

int lsp_folder_lock_take(const char *folder, const char *file, const char *what, const char *holder,
	struct lsp_folder_lock **ret_lock, struct lsp_error *err)
{
	_cleanup_close_ int dir = -1;
	int r = lsp_fs_open_dir(folder, &dir, err);
	return r < 0 ? r : lsp_folder_lock_take_at(dir, folder, file, what, holder, ret_lock, err);
}

int lsp_folder_lock_take_at(int dir_fd, const char *folder, const char *file, const char *what,
	const char *holder, struct lsp_folder_lock **ret_lock, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = open_lock_file(dir_fd, folder, file, what, &fd, err);
	if (r < 0)
		return r;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EINTR)
			return refuse(fd, errno, folder, what, err);
	}
	r = write_holder(fd, holder, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "the %s \"%s\"", what, folder);
	struct lsp_folder_lock *lock = malloc(sizeof *lock);
	if (!lock)
		return lsp_error_no_memory(err, "store");
	lock->fd = TAKE_FD(fd);
	*ret_lock = lock;
	return 0;
}

void lsp_folder_lock_release(struct lsp_folder_lock *lock)
{
	if (!lock)
		return;
	close(lock->fd);
	free(lock);
}
