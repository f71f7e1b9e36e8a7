#include "base/real_path.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 40 /* one after the other, as the system has it */

static char *resolve(const char *path, unsigned links);

/* Where a link leads whose target does not exist; NULL: it is no link. */
static char *follow(const char *folder, const char *path, unsigned links)
{
	char target[PATH_MAX];
	ssize_t size = readlink(path, target, sizeof target);
	if (size <= 0 || size == sizeof target || links == 0)
		return NULL;
	target[size] = '\0';
	_cleanup_free_ char *whole =
		lsp_text_format("%s/%s", target[0] == '/' ? "" : folder, target);
	return whole ? resolve(whole, links - 1) : NULL;
}

/* One name more, resolved if it exists. */
static char *enter(const char *folder, const char *name, size_t size, unsigned links)
{
	char *path = lsp_text_format("%s/%.*s", folder, (int)size, name);
	char *real = path ? realpath(path, NULL) : NULL;
	if (path && !real)
		real = follow(folder, path, links);
	if (!real)
		return path;
	free(path);
	if (strcmp(real, "/") == 0)
		real[0] = '\0';
	return real;
}

static char *resolve(const char *path, unsigned links)
{
	if (strlen(path) >= PATH_MAX)
		return NULL;
	char *real = strdup("");
	for (size_t size; real && *path; path += size + (path[size] == '/')) {
		size = strcspn(path, "/");
		if (size == 0 || (size == 1 && path[0] == '.'))
			continue;
		if (size == 2 && strncmp(path, "..", 2) == 0) {
			char *last = strrchr(real, '/');
			if (last)
				*last = '\0';
			continue;
		}
		_cleanup_free_ char *folder = real;
		real = enter(folder, path, size, links);
	}
	return real;
}

char *lsp_real_path(const char *path)
{
	return resolve(path, LINKS_MAX);
}

bool lsp_real_path_is_below(const char *path, const char *folder)
{
	size_t size = strlen(folder);
	return strncmp(path, folder, size) == 0 && (!path[size] || path[size] == '/');
}
