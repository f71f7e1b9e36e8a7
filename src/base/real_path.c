#include "base/real_path.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* One name more, resolved if it exists. */
static char *enter(const char *folder, const char *name, size_t size)
{
	char *path = lsp_text_format("%s/%.*s", folder, (int)size, name);
	char *real = path ? realpath(path, NULL) : NULL;
	if (!real)
		return path;
	free(path);
	if (strcmp(real, "/") == 0)
		real[0] = '\0';
	return real;
}

char *lsp_real_path(const char *path)
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
		real = enter(folder, path, size);
	}
	return real;
}

bool lsp_real_path_is_below(const char *path, const char *folder)
{
	size_t size = strlen(folder);
	return strncmp(path, folder, size) == 0 && (!path[size] || path[size] == '/');
}
