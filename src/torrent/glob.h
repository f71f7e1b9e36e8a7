/*
 * Globs: how a person names files of a torrent.
 *
 * `?` is one character, `*` any run without '/', `**` any run at all, `[a-z]` and `[!a-z]` one of a
 * set (of single bytes); everything else is itself, letters of ASCII without regard to case, since
 * games come from systems that have none. A pattern without '/' is for the last name of a path, at
 * any depth; with one it is for the whole path below the torrent's folder. What matches a folder
 * takes all that is in it: `maps` and `maps/` both do.
 *
 * Matching takes time in proportion to pattern × path at most, whatever the two are.
 *
 * Pure; from every thread.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

#define LSP_GLOB_MAX 256       /* bytes of a pattern */
#define LSP_GLOB_PATH_MAX 4096 /* bytes of a path; a longer one matches nothing */

/* 1 to LSP_GLOB_MAX bytes, sets closed. -LSP_E_INVALID says what is wrong. */
LSP_MUST_CHECK int lsp_glob_check(const char *pattern, struct lsp_error *err);
/* False for a pattern that lsp_glob_check refuses. */
bool lsp_glob_matches(const char *pattern, const char *path);
