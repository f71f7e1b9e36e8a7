/*
 * Where a path leads, also where it does not exist yet.
 *
 * Two paths that look different may be the same folder: by a symbolic link, by "..", by a doubled
 * slash. realpath() says so of what exists; this one resolves what exists of a path and appends the
 * rest, so that a folder can be judged before it is made.
 *
 * Blocks on the disk. From any thread.
 */
#pragma once

#include <stdbool.h>

/* Of an absolute path; without a slash at its end ("" is the root). The caller frees it. NULL: no
 * memory, or the path is longer than the system takes (PATH_MAX). */
char *lsp_real_path(const char *path);
/* Is a real path this real folder, or in it? */
bool lsp_real_path_is_below(const char *path, const char *folder);
