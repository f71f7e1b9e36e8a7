#include "control/listen.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"
#include "control/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 128
#define LOCK_TRIES 8
#define BESIDE ".new"

/* The folder of a path and the name in it. */
static int split(const char *path, char **ret_folder, const char **ret_name, struct lsp_error *err)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == path ? strdup("/")
		       : slash       ? strndup(path, (size_t)(slash - path))
				     : strdup(".");
	if (!folder)
		return lsp_error_no_memory(err, "control");
	*ret_folder = folder;
	*ret_name = slash ? slash + 1 : path;
	return 0;
}

/* The folder of a path, opened, and the name in it. */
static int open_folder(
	const char *path, int *ret_dir_fd, const char **ret_name, struct lsp_error *err)
{
	_cleanup_free_ char *folder = NULL;
	int r = split(path, &folder, ret_name, err);
	return r < 0 ? r : lsp_fs_open_dir(folder, ret_dir_fd, err);
}

static int remove_file(const char *path, struct lsp_error *err)
{
	_cleanup_close_ int dir_fd = -1;
	const char *name;
	int r = open_folder(path, &dir_fd, &name, err);
	if (r == 0)
		r = lsp_fs_unlink_below(dir_fd, name, err);
	return r;
}

static bool same_file(int fd, const char *path)
{
	struct stat held, named;
	return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_dev == named.st_dev &&
	       held.st_ino == named.st_ino;
}

/*
 * Takes PATH.lock. Its holder removes it in the end, so the file that was locked may no longer be
 * the one that has the name: then again.
 */
static int take_lock(const char *path, int *ret_fd, struct lsp_error *err)
{
	_cleanup_free_ char *folder = NULL, *lock = lsp_text_format("%s.lock", path);
	_cleanup_close_ int dir_fd = -1;
	const char *name;
	if (!lock)
		return lsp_error_no_memory(err, "control");
	int r = split(lock, &folder, &name, err);
	if (r == 0)
		r = lsp_fs_open_dir(folder, &dir_fd, err);
	if (r < 0)
		return r;
	for (int i = 0; i < LOCK_TRIES; i++) {
		_cleanup_close_ int fd = -1;
		r = lsp_fs_open_below(dir_fd, name, O_RDWR | O_CREAT, 0600, &fd, err);
		if (r < 0)
			return r;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno == EWOULDBLOCK)
				return lsp_error_set(err, "control", LSP_E_BUSY,
					"another peer serves %s; stop it, or say --control PATH",
					path);
			return lsp_error_errno(err, "control", errno, "cannot lock %s", lock);
		}
		if (same_file(fd, lock)) {
			*ret_fd = TAKE_FD(fd);
			return 0;
		}
	}
	return lsp_error_set(
		err, "control", LSP_E_BUSY, "%s is being taken and given up by others", lock);
}

static void fill_address(struct sockaddr_un *address, const char *path)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path, path, strlen(path) + 1);
}

/* Whether somebody listens there. */
static bool answers(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	fill_address(&address, path);
	return fd >= 0 &&
	       (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN);
}

/* With the lock held: what a dead peer left goes, everything else stays. */
static int clear_the_way(const char *path, struct lsp_error *err)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : lsp_error_errno(err, "control", errno, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return lsp_error_set(err, "control", LSP_E_EXISTS,
			"%s is there and is no socket; say --control PATH", path);
	if (answers(path))
		return lsp_error_set(err, "control", LSP_E_BUSY,
			"another program serves %s; stop it, or say --control PATH", path);
	lsp_log_info("control", "replacing %s, which a peer that is gone left behind", path);
	return remove_file(path, err);
}

/* Gives the socket file beside it the name: from then on clients find it, and somebody who listens.
 */
static int publish(const char *path, struct lsp_error *err)
{
	_cleanup_close_ int dir_fd = -1;
	const char *name;
	int r = open_folder(path, &dir_fd, &name, err);
	if (r < 0)
		return r;
	_cleanup_free_ char *beside = lsp_text_format("%s" BESIDE, name);
	return beside ? lsp_fs_rename_below(dir_fd, beside, dir_fd, name, err)
		      : lsp_error_no_memory(err, "control");
}

static int bind_and_listen(const char *path, int *ret_fd, struct lsp_error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	fill_address(&address, path);
	if (fd < 0)
		return lsp_error_errno(err, "control", errno, "cannot make a socket");
	/* Linux gives the socket file the mode of the unbound socket: no moment with another one.
	 */
	if (fchmod(fd, 0600) < 0)
		return lsp_error_errno(err, "control", errno, "cannot set the mode of a socket");
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return lsp_error_errno(
			err, "control", errno, "cannot make the control socket %s", path);
	if (listen(fd, BACKLOG) < 0) {
		int r = lsp_error_errno(err, "control", errno, "cannot listen at %s", path);
		if (remove_file(path, NULL) < 0)
			lsp_log_warning("control", "%s stays behind", path);
		return r;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Made beside its place: a client between bind and listen would be told that nobody is there. */
static int listen_at(const char *path, int *ret_fd, struct lsp_error *err)
{
	_cleanup_free_ char *beside = lsp_text_format("%s" BESIDE, path);
	_cleanup_close_ int fd = -1;
	if (!beside)
		return lsp_error_no_memory(err, "control");
	if (strlen(beside) >= LSP_CONTROL_PATH_MAX) /* there is no room for another name */
		return bind_and_listen(path, ret_fd, err);
	int r = clear_the_way(beside, err);
	if (r == 0)
		r = bind_and_listen(beside, &fd, err);
	if (r < 0)
		return r;
	r = publish(path, err);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	else if (remove_file(beside, NULL) < 0)
		lsp_log_warning("control", "%s stays behind", beside);
	return r;
}

int lsp_control_socket_open(
	const char *path, struct lsp_control_socket *ret_socket, struct lsp_error *err)
{
	_cleanup_free_ char *folder = NULL, *copy = NULL;
	_cleanup_close_ int lock_fd = -1, fd = -1;
	const char *name;
	if (strlen(path) >= LSP_CONTROL_PATH_MAX)
		return lsp_error_set(
			err, "control", LSP_E_TOO_LARGE, "%s is too long for a socket", path);
	int r = split(path, &folder, &name, err);
	if (r == 0)
		r = lsp_fs_make_dirs(folder, true, err);
	if (r == 0)
		r = take_lock(path, &lock_fd, err);
	if (r == 0)
		r = clear_the_way(path, err);
	if (r < 0)
		return r;
	copy = strdup(path);
	if (!copy)
		return lsp_error_no_memory(err, "control");
	r = listen_at(path, &fd, err);
	if (r < 0)
		return r;
	*ret_socket = (struct lsp_control_socket){
		.fd = TAKE_FD(fd), .lock_fd = TAKE_FD(lock_fd), .path = TAKE_PTR(copy)};
	return 0;
}

void lsp_control_socket_close(struct lsp_control_socket *socket)
{
	if (!socket->path)
		return;
	close(socket->fd);
	struct lsp_error err = {0};
	_cleanup_free_ char *lock = lsp_text_format("%s.lock", socket->path);
	/* The lock's file goes last and while it is held: see take_lock. */
	if (remove_file(socket->path, &err) < 0 && err.code != LSP_E_NOT_FOUND)
		lsp_log_warning("control", "%s", err.message);
	if (lock && remove_file(lock, &err) < 0 && err.code != LSP_E_NOT_FOUND)
		lsp_log_warning("control", "%s", err.message);
	close(socket->lock_fd);
	free(socket->path);
	*socket = (struct lsp_control_socket){.fd = -1, .lock_fd = -1};
}
