/*
 * The library: which games lie in the games folder, in which state, with which content.
 *
 * It is a thread (lsp_library_run, a supervised service) that looks at the games folder, watches
 * it, and has games hashed on a pool. What it knows it publishes as snapshots: immutable, counted,
 * safe on every thread. `changed` is called after each new one.
 *
 * How a game becomes ready: a look takes names, sizes and times. If the files are those of the last
 * time (store/library_index.h), the content is known at once. Otherwise the game is published as
 * hashing straight away, and hashed once its folder has been quiet for `settle`: a folder that is
 * being copied in is looked at, not hashed over and over. A change withdraws the content at once;
 * only a change of nothing but inode times (chmod, a restored time of modification) lets it stand,
 * and has it hashed again after `doubt_delay`: what is wrong is withdrawn then, and whoever
 * downloads it verifies in any case.
 *
 * Looks are caused by file events, by lsp_library_refresh, and every `rescan_interval` as the
 * safety net. A game with an active operation is held (lsp_library_hold): until it is released,
 * what is published of it stays as it was, whatever happens in its folder.
 *
 * Trouble with one game (an unreadable folder, a FIFO in it, a version.ini that does not parse) is
 * its `problem` and nobody else's. Trouble with the games folder itself is the snapshot's.
 *
 * Threads: hold, release, refresh, recheck, stop_recheck, snapshot and the functions under
 * "Content" may be called from every thread. Callbacks run on the library's thread, must not block
 * and may call any of these. lsp_library_scan and lsp_library_step belong to the thread that runs
 * it.
 */
#pragma once

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "content/hasher.h"
#include "library/games_dir.h"
#include "library/scan.h"
#include "store/hash_cache.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lsp_cancel;
struct lsp_loop;
struct lsp_pool;
struct lsp_source;
struct lsp_tasks;

/* ---- What is published ---- */

enum lsp_library_state {
	LSP_LIBRARY_NOT_SHARED, /* nothing to share: no version.ini, or a problem */
	LSP_LIBRARY_HASHING,    /* waits for quiet, waits for a thread, or is being hashed */
	LSP_LIBRARY_READY,      /* content is known */
};

enum lsp_availability {
	LSP_AVAILABILITY_NONE,       /* a folder that is no game yet */
	LSP_AVAILABILITY_DOWNLOADED, /* version.ini is there */
	LSP_AVAILABILITY_INSTALLED,  /* and local/ */
	LSP_AVAILABILITY_LOCAL_ONLY, /* local/ alone */
};

/* "downloaded", "installed", "local_only"; "unavailable" for none. */
const char *lsp_availability_name(enum lsp_availability availability);

/* Moves while a game is being hashed; read it whenever you like. */
struct lsp_library_progress {
	_Atomic uint64_t done; /* bytes */
	_Atomic uint64_t total;
};

/* Immutable. */
struct lsp_library_game {
	char id[LSP_GAME_ID_MAX + 1];
	enum lsp_availability availability;
	enum lsp_library_state state;
	bool has_archive;                       /* there is something to unpack */
	char version[LSP_VERSION_TEXT_MAX + 1]; /* "" if it is not known */
	char problem[LSP_PROBLEM_MAX + 1];      /* one line for people; "" for none */
	uint64_t size;                          /* bytes that are or would be shared */
	uint32_t file_count;
	struct lsp_fingerprint fingerprint;

	/* READY: */
	struct lsp_hash content;
	uint32_t chunk_count;
	uint32_t piece_length;

	/* HASHING, else NULL; it lives as long as this game does. */
	const struct lsp_library_progress *progress;
};

/* Immutable and counted. */
struct lsp_library_snapshot {
	uint64_t generation; /* grows by one with each */
	const char *games_dir;
	struct lsp_games_dir_place place; /* which folder that is, or was when it was there */
	const char *problem;              /* with the games folder; "" for none */
	size_t count;
	const struct lsp_library_game *const *games; /* by id, strcmp order */
};

const struct lsp_library_snapshot *lsp_library_snapshot_ref(
	const struct lsp_library_snapshot *snapshot);
void lsp_library_snapshot_unref(const struct lsp_library_snapshot *snapshot);
LSP_DEFINE_CLEANUP(const struct lsp_library_snapshot *, lsp_library_snapshot_unref);
#define _cleanup_library_snapshot_ _cleanup_(lsp_library_snapshot_unref_pointer)

/* NULL if there is none. O(log n). */
const struct lsp_library_game *lsp_library_find(
	const struct lsp_library_snapshot *snapshot, const char *id);

/*
 * Calls for each game that is not the same in both, by id: before or after is NULL for one that
 * came or went. before_snapshot may be NULL (everything came).
 */
void lsp_library_diff(const struct lsp_library_snapshot *before_snapshot,
	const struct lsp_library_snapshot *after_snapshot,
	void (*change)(void *argument, const struct lsp_library_game *before,
		const struct lsp_library_game *after),
	void *argument);

/* ---- The library --------------------------------------------------------------------------- */

struct lsp_library_options {
	const char *games_dir;         /* absolute or from "~/" on; made if it is not there */
	const char *state_dir;         /* exists and is locked */
	const char *holder;            /* who we are, for the lock of the games folder */
	const struct lsp_clock *clock; /* NULL: the machine's */

	/* Where hashing runs, with its ends reported through the loop. pool NULL: in
	 * lsp_library_step itself. */
	struct lsp_pool *pool;
	struct lsp_loop *loop;
	struct lsp_tasks *tasks; /* a helper for large scans is spawned there; NULL: none */

	uint64_t rescan_interval; /* ns; 0: 300 s */
	uint64_t settle;          /* ns; 0: 2 s */
	uint64_t doubt_delay;     /* ns; 0: 60 s */
	bool no_events;           /* do without file events */

	/* The version of what is in a game's `local/`, for one without a version.ini: "" if that is
	 * not known. Called by the scanning threads; may be NULL. */
	void (*installed_version)(int game_fd, char ret_version[LSP_VERSION_TEXT_MAX + 1]);

	void (*changed)(void *argument); /* there is a newer snapshot; may be NULL */
	void *argument;
};

struct lsp_library;

/*
 * Opens the index and the games folder. One that cannot be used now (an unplugged disk) is told in
 * the snapshot, and tried again at every rescan; only one that another daemon holds is an error
 * here (-LSP_E_BUSY), and an index that cannot be written.
 */
LSP_MUST_CHECK int lsp_library_new(const struct lsp_library_options *options,
	struct lsp_library **ret_library, struct lsp_error *err);
/* After lsp_library_run has returned, and not on the loop: waits for hashing that still runs. */
void lsp_library_free(struct lsp_library *library);
LSP_DEFINE_CLEANUP(struct lsp_library *, lsp_library_free);
#define _cleanup_library_ _cleanup_(lsp_library_free_pointer)

/*
 * Has hashing that runs or waits stop soon, and requests answered at once from now on, unmet. For a
 * shutdown; from every thread.
 */
void lsp_library_abort(struct lsp_library *library);
/*
 * The same, and answers what waits for a game to be looked at or hashed. For the thread that ran
 * the library when nobody will run it any more; lsp_library_run and lsp_library_serve do it after a
 * cancel.
 */
void lsp_library_end(struct lsp_library *library);

/*
 * The quick scan of everything, on the calling thread, before lsp_library_run. An error (told in
 * the snapshot too) is that of the games folder; the library can be run all the same.
 */
LSP_MUST_CHECK int lsp_library_scan(
	struct lsp_library *library, struct lsp_cancel *token, struct lsp_error *err);

/* The service: returns 0 after a cancel, or an error when it cannot go on. argument: the library.
 */
LSP_MUST_CHECK int lsp_library_run(struct lsp_cancel *token, void *argument, struct lsp_error *err);
/*
 * What is left when lsp_library_run has failed: the same without file events, which must go on,
 * since operations wait for their game to be looked at. It has no error to end with: where it
 * cannot wait it tries again a second later. 0 after a cancel.
 */
LSP_MUST_CHECK int lsp_library_serve(
	struct lsp_cancel *token, void *argument, struct lsp_error *err);

/*
 * What lsp_library_run does between its waits, for tests and for loops of one's own: takes what
 * happened, does what is due, and gives the time (of the clock) at which it wants to be called
 * next.
 */
lsp_time lsp_library_step(struct lsp_library *library, struct lsp_cancel *token);

/* The newest; never NULL. The caller unrefs it. */
const struct lsp_library_snapshot *lsp_library_snapshot(struct lsp_library *library);

/* ---- Operations ---------------------------------------------------------------------------- */

/*
 * From now on the game is left alone and its published state stays. Holds count. It need not exist.
 * -LSP_E_NO_MEMORY.
 */
LSP_MUST_CHECK int lsp_library_hold(
	struct lsp_library *library, const char *id, struct lsp_error *err);

/* Called once, when the newest snapshot shows what was found. Also when the library stops first. */
typedef void (*lsp_library_done)(void *argument);

/*
 * Ends a hold (the last one lets go) and looks at the game at once. manifest: what an operation has
 * just put there and verified, or NULL; if the files are those, nothing is hashed again. done may
 * be NULL.
 */
void lsp_library_release(struct lsp_library *library, const char *id,
	const struct lsp_manifest *manifest, lsp_library_done done, void *argument);
/* Looks at the game at once (NULL: at everything, the list of games too). */
void lsp_library_refresh(
	struct lsp_library *library, const char *id, lsp_library_done done, void *argument);
/* Withdraws the content and hashes every byte anew, whatever the cache says. */
void lsp_library_recheck(
	struct lsp_library *library, const char *id, lsp_library_done done, void *argument);
/*
 * Ends the rechecks that were asked for with a `done` before the last byte was read: they are
 * answered, and the game is again what it was. One without a `done` goes on: nobody waits for it,
 * it was asked for because damage was seen.
 */
void lsp_library_stop_recheck(struct lsp_library *library, const char *id);

/*
 * Uses another games folder. done gets 0, or the error, and then the old one is still in use. The
 * caller sees to it that no operation runs. The same folder again is 0 and changes nothing.
 */
void lsp_library_set_games_dir(struct lsp_library *library, const char *path,
	void (*done)(void *argument, int result, const struct lsp_error *err), void *argument);
/* The next rescan comes by it, unless it is due before that. */
void lsp_library_set_rescan_interval(struct lsp_library *library, uint64_t nanoseconds);

/* ---- Content: these block on the disk ------------------------------------------------------ */

/* The manifest of a game that is READY. -LSP_E_NOT_FOUND when it is not, or not any more. */
LSP_MUST_CHECK int lsp_library_manifest(struct lsp_library *library, const char *id,
	const struct lsp_manifest **ret_manifest, struct lsp_error *err);

/*
 * What serves that content: the folder's files as they are now, which must be those that were
 * hashed
 * (-LSP_E_CORRUPT: they are not any more; a look at the game is under way). max_open: descriptors.
 */
LSP_MUST_CHECK int lsp_library_source(struct lsp_library *library, const char *id,
	unsigned max_open, struct lsp_source **ret_source, struct lsp_error *err);

/* cover.png, .jpg, .jpeg, .webp or .gif in the game's folder, checked. -LSP_E_NOT_FOUND. */
LSP_MUST_CHECK int lsp_library_cover(struct lsp_library *library, const char *id,
	struct lsp_buffer *ret_cover, struct lsp_error *err);
