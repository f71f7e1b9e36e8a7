/*
 * Whose turn it is, among torrents that wait to be asked about where they lie.
 *
 * One waits in its place (a path), and a place lies on a disk (whatever names that: here only texts
 * are compared). Of a place one is asked about at a time, of a disk LSP_LOOKS_OF_DISK places, and
 * no more than LSP_LOOKS_MAX of all: what lies on a disk that does not answer waits for that disk
 * alone. Places of a disk take turns, and so do disks. Whatever is done here costs the same
 * however many wait.
 *
 * Pure: the caller asks, and gives the time. One owner.
 */
#pragma once

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define LSP_LOOKS_OF_DISK 4
#define LSP_LOOKS_MAX 128
/* For a place to answer; then it is silent. */
#define LSP_LOOKS_PATIENCE (30 * LSP_SECOND)

struct lsp_look_place;

/* Of one torrent, in its struct. Of zeros it waits for nothing. */
struct lsp_look_wait {
	struct lsp_look_wait *previous, *next;
	struct lsp_look_place *place; /* NULL: it does not wait */
};

/* Of zeros it is empty. */
struct lsp_looks {
	struct lsp_look_disk *disks;    /* by name */
	struct lsp_look_disk *ready;    /* those that may have one more asked, in turn */
	struct lsp_look_place *places;  /* by path */
	struct lsp_look_place *running; /* that are asked, in the order of that */
	struct lsp_look_place *silent;  /* that were told to be (lsp_looks_take_silent) */
	size_t count;                   /* of both */
};

/*
 * It waits (and did not before). Both texts are copied. disk: of the whole place from now on, since
 * something may have been mounted there; NULL: nobody knows, and it is the one that it was, or one
 * of its own. No memory.
 */
LSP_MUST_CHECK int lsp_looks_add(struct lsp_looks *looks, struct lsp_look_wait *wait,
	const char *path, const char *disk, struct lsp_error *err);
/* It does not wait any more. Fine if it did not. */
void lsp_looks_remove(struct lsp_looks *looks, struct lsp_look_wait *wait);
/* May one be asked about now? */
bool lsp_looks_may_begin(const struct lsp_looks *looks);
/* What is silent. Its texts live until lsp_looks_end. */
struct lsp_looks_silence {
	const char *path, *disk;
	size_t waiting; /* for the disk, with those that are asked about */
};

/*
 * The next one, which does not wait any more; its place is asked from now on, until lsp_looks_end.
 * NULL: none may be asked now.
 */
struct lsp_look_wait *lsp_looks_begin(
	struct lsp_looks *looks, lsp_time now, struct lsp_look_place **ret_place);
/*
 * The place has answered. It is gone after this if nobody waits in it. True: it was the last silent
 * one of a disk.
 */
bool lsp_looks_end(struct lsp_looks *looks, struct lsp_look_place *place);
/* When the next place becomes silent; LSP_TIME_NEVER: none does. */
lsp_time lsp_looks_silent_at(const struct lsp_looks *looks);
/*
 * Takes note of those that have become silent. True: they are the first of a disk, which is told;
 * there may be more. False: there are no more.
 */
bool lsp_looks_take_silent(
	struct lsp_looks *looks, lsp_time now, struct lsp_looks_silence *ret_silence);
/* Forgets all; who still waits must not be used with it any more. */
void lsp_looks_done(struct lsp_looks *looks);
