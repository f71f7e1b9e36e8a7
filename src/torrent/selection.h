/*
 * The selection: which files of a torrent are wanted, and how much.
 *
 * The rules are a JSON object: "include" and "exclude" (arrays of globs), "skip_fluff" (a switch),
 * "priorities" (an object from paths to "skip", "low", "normal", "high"). For a file, in this
 * order: a priority of its own decides; else what `exclude` matches is skipped; else, where there
 * is an `include`, what it does not match; else, with skip_fluff, what is on the list of fluff
 * (selection.c); all others are normal. Padding is never wanted.
 *
 * Pure; the JSON belongs to one thread at a time.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum lsp_torrent_priority { /* as libtorrent numbers them */
	LSP_TORRENT_SKIP = 0,
	LSP_TORRENT_LOW = 1,
	LSP_TORRENT_NORMAL = 4,
	LSP_TORRENT_HIGH = 7,
};

#define LSP_SELECTION_GLOBS_MAX 256
#define LSP_SELECTION_PRIORITIES_MAX 65536

/* "skip", "low", "normal", "high"; of a number between them the next lower. */
const char *lsp_selection_priority_name(uint8_t priority);

/* The rules in `object`, which may have other fields too. -LSP_E_INVALID names what is wrong. */
LSP_MUST_CHECK int lsp_selection_check(const json_t *object, struct lsp_error *err);
/* The same rules, in words that do not change: do they ask for anything but everything? */
bool lsp_selection_is_everything(const json_t *object);
/* The priority of one file. `object` passed the check. */
uint8_t lsp_selection_priority(const json_t *object, const char *path);
