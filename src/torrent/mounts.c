#include "torrent/mounts.h"

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/real_path.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DOMAIN "torrent"
#define TABLE_MAX ((size_t)64 << 20) /* the kernel has 100,000 mounts at most, unless told */

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

/* ---- The table --------------------------------------------------------------------------- */

static int add(struct lsp_mounts *mounts, const char *point, struct lsp_error *err)
{
	char **points = realloc(mounts->points, (mounts->count + 1) * sizeof *points);
	if (points)
		mounts->points = points;
	if (!points || !(points[mounts->count] = strdup(point)))
		return lsp_error_no_memory(err, DOMAIN);
	mounts->count++;
	return 0;
}

static bool is_octal(const char *text)
{
	return text[0] >= '0' && text[0] <= '3' && text[1] >= '0' && text[1] <= '7' &&
	       text[2] >= '0' && text[2] <= '7';
}

/*
 * The next field of a line, in place, with what the kernel writes as "\040" for a space; "": there
 * is none. getmntent(3) would cut a line that is longer than its buffer, does not tell an error of
 * reading from the end, and does not know "\043" (a '#').
 */
static const char *take_field(char **line)
{
	char *field = *line, *from = field, *to = field;
	while (*from && *from != ' ') {
		bool is_escaped = *from == '\\' && is_octal(from + 1);
		*to++ = is_escaped ? (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
					     (from[3] - '0'))
				   : *from;
		from += is_escaped ? 4 : 1;
	}
	*line = from + (*from != '\0');
	*to = '\0';
	return field;
}

int lsp_mounts_read(const char *table, struct lsp_mounts *ret_mounts, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	struct lsp_mounts mounts = {0};
	int r = lsp_fs_read_file(table, TABLE_MAX, &text, err);
	char *line = (char *)text.data, *end;
	while (r == 0 && (end = strchr(line, '\n'))) {
		*end = '\0';
		(void)take_field(&line); /* what is mounted */
		const char *point = take_field(&line);
		r = *point ? add(&mounts, point, err) : 0;
		line = end + 1;
	}
	if (r == 0 && *line)
		r = lsp_error_set(
			err, DOMAIN, LSP_E_CORRUPT, "\"%s\" ends in the middle of a line", table);
	if (r < 0)
		lsp_mounts_done(&mounts);
	else
		*ret_mounts = mounts;
	return r;
}

const char *lsp_mounts_above(const struct lsp_mounts *mounts, const char *path)
{
	const char *longest = NULL;
	size_t size_of_longest = 0;
	for (size_t i = 0; i < mounts->count; i++) {
		const char *point = mounts->points[i];
		size_t size = strlen(point);
		bool is_root = strcmp(point, "/") == 0;
		bool is_above = strncmp(path, point, size) == 0 &&
				(is_root || path[size] == '/' || path[size] == '\0');
		if (!is_above || size < size_of_longest)
			continue;
		longest = point;
		size_of_longest = size;
	}
	return longest;
}

void lsp_mounts_done(struct lsp_mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		free(mounts->points[i]);
	free(mounts->points);
	*mounts = (struct lsp_mounts){0};
}
