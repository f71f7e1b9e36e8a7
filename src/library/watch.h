/*
 * File events for many folders through one inotify(7) descriptor.
 *
 * Whoever watches a folder gives it an owner, a number; events come back with that number and the
 * name that they were about, so a burst in one game is one game to look at again. Folders are
 * watched one by one (inotify does not go below); a new folder shows as an event in its parent, and
 * is watched when its owner is looked at again.
 *
 * The kernel's queue can overflow, and the number of watches has a limit for each user: both are
 * told, and are why a periodic look stays necessary. Every function may be called from every
 * thread, but lsp_watch_read by one thread at a time. Nothing blocks.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lsp_watch;

/* -LSP_E_IO when the system has none left (fs.inotify.max_user_instances). */
LSP_MUST_CHECK int lsp_watch_new(struct lsp_watch **ret_watch, struct lsp_error *err);
void lsp_watch_free(struct lsp_watch *watch);
LSP_DEFINE_CLEANUP(struct lsp_watch *, lsp_watch_free);
#define _cleanup_watch_ _cleanup_(lsp_watch_free_pointer)

/* Readable while there are events. */
int lsp_watch_fd(const struct lsp_watch *watch);

/*
 * Watches an open folder. owner: not 0. One that is watched already goes over to this owner.
 * -LSP_E_NO_SPACE when the limit is reached (fs.inotify.max_user_watches).
 */
LSP_MUST_CHECK int lsp_watch_folder(
	struct lsp_watch *watch, uint32_t owner, int dir_fd, struct lsp_error *err);
size_t lsp_watch_count(struct lsp_watch *watch);
/* Watches nothing more of this owner's; 0: nothing at all. */
void lsp_watch_forget(struct lsp_watch *watch, uint32_t owner);

/*
 * Takes all events that are there. name is "" for the folder itself. True if events were lost: then
 * anything may have changed.
 */
bool lsp_watch_read(struct lsp_watch *watch,
	void (*event)(void *argument, uint32_t owner, const char *name), void *argument);
