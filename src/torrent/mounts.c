#include "torrent/mounts.h"

#include "base/cleanup.h"
#include "base/real_path.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DOMAIN "torrent"

/* What is above a real path, in place: "/" above the last. */
static void go_up(char *path)
{
	char *slash = strrchr(path, '/');
	slash[slash == path] = '\0';
}

/* Of a place on which a disk is mounted when somebody looks into it: with that disk. */
static int look_into(const char *path, struct stat *ret_stat)
{
	char inside[PATH_MAX + 3];
	int size = snprintf(inside, sizeof inside, "%s/.", path);
	return size < (int)sizeof inside ? stat(inside, ret_stat) : -1;
}

char *lsp_mount_of(const char *folder)
{
	_cleanup_free_ char *real = lsp_real_path(folder);
	/* That of the root is "" there. */
	char *mount = real ? strdup(*real ? real : "/") : NULL;
	struct stat st, st_above;
	if (!mount)
		return NULL;
	while (look_into(mount, &st) < 0 && strcmp(mount, "/") != 0)
		go_up(mount);
	_cleanup_free_ char *above = strdup(mount);
	if (!above) {
		free(mount);
		return NULL;
	}
	while (strcmp(mount, "/") != 0) {
		go_up(above);
		if (stat(above, &st_above) < 0 || st_above.st_dev != st.st_dev)
			break;
		strcpy(mount, above);
	}
	return mount;
}

int lsp_mount_check(const char *mount, struct lsp_error *err)
{
	struct stat st, st_above;
	if (!mount || strcmp(mount, "/") == 0)
		return 0;
	_cleanup_free_ char *above = strdup(mount);
	if (!above)
		return lsp_error_no_memory(err, DOMAIN);
	go_up(above);
	if (look_into(mount, &st) == 0 && stat(above, &st_above) == 0 &&
		st.st_dev != st_above.st_dev)
		return 0;
	return lsp_error_set(
		err, DOMAIN, LSP_E_NOT_FOUND, "the disk of %s is not there: mount it", mount);
}
