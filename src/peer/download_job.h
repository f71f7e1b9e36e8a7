/*
 * The steps of a download that block on the disk, each as a job of a pool.
 *
 *   FIND    is there a stage of this content? Then its manifest is there as well; else a torrent
 *           of it may be kept, which tells it too.
 *   OPEN    the game's folder is made, the stage opened, the space checked, what is doubtful is
 *           hashed, and so is what the folder holds if the library has not come to that yet; what
 *           fits of it is reused. That may take minutes, so it has a pool of its own, and tells
 *           how far it is: uploads and the other downloads wait for the disk pool.
 *   SYNC    what was written goes to the disk.
 *   COMMIT  everything moves into place.
 *
 * A job owns copies or references of what it needs, so that its download may be cancelled
 * meanwhile; lsp_download_job_done is always called, on the core loop, exactly once.
 */
#pragma once

#include "content/stage.h"

struct lsp_cancel;
struct lsp_download;
struct lsp_download_job;
struct lsp_peer;

enum lsp_download_job_kind {
	LSP_DOWNLOAD_JOB_FIND,
	LSP_DOWNLOAD_JOB_OPEN,
	LSP_DOWNLOAD_JOB_SYNC,
	LSP_DOWNLOAD_JOB_COMMIT,
};

struct lsp_download_task {
	enum lsp_download_job_kind kind;
	const char *game;
	const struct lsp_hash *content;
	const struct lsp_manifest *manifest; /* NULL for FIND */
	const struct lsp_manifest *local;    /* COMMIT: what the folder holds; NULL: nothing */
	struct lsp_stage *stage;             /* for SYNC and COMMIT */
	const char *torrent;                 /* for FIND: the path of a .torrent, or NULL */
	bool in_library;   /* for FIND: the library's manifest of the game will do, too */
	const char *title; /* COMMIT: as its holders call it; "": not known */
	bool take_written; /* for OPEN: the torrent engine may have written more than the map says
			    */
};

struct lsp_download_result {
	enum lsp_download_job_kind kind;
	int code;
	struct lsp_error error;
	const struct lsp_manifest *manifest; /* FIND: found; a reference */
	const struct lsp_manifest *local;    /* OPEN: what the folder holds, or NULL; a reference */
	struct lsp_stage *stage;             /* OPEN: a reference */
	bool in_catalog;                     /* COMMIT: its title has come into the catalogue */
};

LSP_MUST_CHECK int lsp_download_job_start(struct lsp_peer *peer, struct lsp_download *download,
	const struct lsp_download_task *task, struct lsp_cancel *token,
	struct lsp_download_job **ret_job, struct lsp_error *err);
/* It ends soon; its result will be -LSP_E_CANCELLED, or what it came to. */
void lsp_download_job_cancel(struct lsp_download_job *job);
/*
 * How far an OPEN is with what it looks at: bytes of the pass that runs (what the folder holds,
 * what is doubtful, what can be reused). False: nothing is looked at yet.
 */
bool lsp_download_job_progress(
	const struct lsp_download_job *job, uint64_t *ret_done, uint64_t *ret_total);

/* download.c: takes what it wants out of the result; the rest is freed. */
void lsp_download_job_done(struct lsp_download *download, struct lsp_download_result *result);
