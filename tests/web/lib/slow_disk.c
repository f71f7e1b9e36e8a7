/*
 * A disk that can be stopped, for tests that must look at the middle of an operation: loaded in
 * front of a daemon (LD_PRELOAD), it makes renames, removals or reads below a folder "games" wait
 * while $SLOW_DISK/rename, $SLOW_DISK/unlink or $SLOW_DISK/read is there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* What an open file or folder is called, if it is below a games folder. */
static int is_game(int fd, char path[512])
{
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, path, 511);
	if (length <= 0)
		return 0;
	path[length] = '\0';
	return strstr(path, "/games/") != NULL;
}

static void wait_while(const char *what, int fd)
{
	const char *folder = getenv("SLOW_DISK");
	char gate[512], path[512];
	if (!folder || !is_game(fd, path))
		return;
	snprintf(gate, sizeof gate, "%s/%s", folder, what);
	while (access(gate, F_OK) == 0)
		usleep(10000); /* lint: the disk stands still; the test waits for events */
}

/* What tells a game from none is always read: the library is to see it. */
static void wait_to_read(int fd)
{
	char path[512];
	if (is_game(fd, path) && !strstr(path, "version.ini"))
		wait_while("read", fd);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	wait_while("rename", from_dir);
	return REAL(renameat)(from_dir, from, to_dir, to);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	wait_while("rename", from_dir);
	return REAL(renameat2)(from_dir, from, to_dir, to, flags);
}

int unlinkat(int dir, const char *name, int flags)
{
	wait_while("unlink", dir);
	return REAL(unlinkat)(dir, name, flags);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t offset)
{
	wait_to_read(fd);
	return REAL(pread64)(fd, data, size, offset);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
	wait_to_read(fd);
	return REAL(pread)(fd, data, size, offset);
}
