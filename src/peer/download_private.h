/*
 * A download from the inside. download.c brings it from one phase to the next, download_engines.c
 * has its chunks fetched, download_commit.c makes a game of them, download_end.c lets go of all it
 * held, and download_view.c tells how it is.
 *
 * Most of what is done to a download may end it, and then it may be gone on return; that is said of
 * each.
 */
#pragma once

#include "base/clock.h"
#include "peer/download.h"
#include "peer/download_job.h"
#include "peer/rate.h"
#include "wire/message.h"
#include "wire/path.h"
#include "wire/version.h"

struct lsp_manifest_query;
struct lsp_operation;
struct lsp_torrent_fetch;

enum phase {
	PHASE_CHOOSING,   /* no content yet: nobody has the game */
	PHASE_MANIFEST,   /* asks for it */
	PHASE_OPENING,    /* a job opens the stage */
	PHASE_FETCHING,   /* the swarm has it */
	PHASE_FLUSHING,   /* all is verified; the last fetches let go of the stage */
	PHASE_COMMITTING, /* a job moves it into place */
	PHASE_SETTLING,   /* the library looks at the game */
	PHASE_ENDING,     /* cancelled or failed; a job is still waited for */
};

struct lsp_download {
	struct lsp_download *prev, *next;
	struct lsp_peer *peer;
	char game[LSP_GAME_ID_MAX + 1];
	enum lsp_download_purpose purpose;
	enum phase phase;
	struct lsp_operation *operation;

	bool has_content, paused, begun, waiting;
	bool restored;            /* begun before the last start of the peer */
	bool manifest_from_stage; /* the stage's own manifest was looked for */
	/*
	 * It was asked for although the library knew the content to be here, or was still looking:
	 * only what the folder is found to hold counts.
	 */
	bool check_folder;
	bool asked_library; /* for the manifest, since it knows the content */
	struct lsp_hash content;
	char newer_than[LSP_VERSION_TEXT_MAX + 1]; /* an update's old version, else "" */
	char version[LSP_VERSION_TEXT_MAX + 1];
	char title[LSP_LABEL_MAX + 1]; /* as a holder calls it, or called it last; "": none did */
	const struct lsp_manifest *manifest;
	const struct lsp_manifest *old; /* what the folder holds, NULL: nothing; once it is open */
	struct lsp_manifest_query *query;
	lsp_time ask_at; /* for the manifest, once all have failed to give it */
	struct lsp_stage *stage;
	struct lsp_share *share; /* a reference while fetching */
	struct lsp_download_job *job;
	enum lsp_engine engine;
	bool lan_wants; /* the swarm was told to fetch */
	struct lsp_torrent_fetch *torrent;
	lsp_time leave_by; /* 0: the game's torrents were not sent away yet */
	bool held;         /* the library keeps its eyes off the game, for the commit */
	bool sending_away; /* they are just being told, and may be gone before that returns */

	/* Progress. */
	struct lsp_rate rate;
	lsp_time next_progress, last_sync;
	uint64_t last_looked_at; /* bytes, by the job that opens the stage */
	bool dirty;

	/* How it ends. */
	bool cancelled, failed;
	bool handed_over; /* an update: operations.c tells the rest */
	struct lsp_error error;
};

/* ---- download.c ---- */

/* An event of it, "download_…" or "update_…". Takes the members; NULL: none. */
void lsp_download_publish(const struct lsp_download *download, const char *what, json_t *members);
/* lsp_download_job_done comes. One that cannot be started fails the download, which may be gone. */
void lsp_download_start_job(
	struct lsp_download *download, enum phase phase, enum lsp_download_job_kind kind);

/* ---- download_engines.c ---- */

/* Whichever engine is to fetch does, as things stand now. It may be gone. */
void lsp_download_drive_engines(struct lsp_download *download);
/* Nothing is fetched any more: what proves damaged from now on is not this download's to mend. */
void lsp_download_stop_wanting(struct lsp_download *download);

/* ---- download_commit.c ---- */

/*
 * All of it is verified: as soon as nothing else uses the stage it moves into place. To be called
 * again whenever one of those that do has ended. It may be gone.
 */
void lsp_download_commit(struct lsp_download *download);
/* Those who seeded the game were waited for long enough: lsp_download_commit is to be called. */
bool lsp_download_commit_is_due(const struct lsp_download *download, lsp_time now);
/* The job that moved it into place has: the library looks, and then it has finished. */
void lsp_download_committed(
	struct lsp_download *download, const struct lsp_download_result *result);

/* ---- download_end.c ---- */

/*
 * It ends as it is marked, cancelled or failed, as soon as nothing is at work for it. To be called
 * again whenever one of those that are has ended. It may be gone.
 */
void lsp_download_end(struct lsp_download *download);
/* The same of one that failed. Not while the peer stops: it goes on at the next start. */
void lsp_download_fail(struct lsp_download *download, const struct lsp_error *error);
/* Everything is let go of, and the events of its end go out. It is gone. */
void lsp_download_finish(struct lsp_download *download);
/* What follows a finished download, once its own operation is over. */
void lsp_download_follow_up(
	struct lsp_peer *peer, const char *game, enum lsp_download_purpose purpose);
/* What it owns, without a word; not its operation. NULL is fine. */
void lsp_download_free(struct lsp_download *download);

/* ---- download_view.c ---- */

/* True: there is progress that nobody was told of; from now on it counts as told. */
bool lsp_download_take_progress(struct lsp_download *download);
/* Its record is older than the game's folder: a kill came between the two. */
bool lsp_download_content_is_here(
	const struct lsp_peer *peer, const char *game, const struct lsp_hash *content);
/*
 * The same, where the folder had to be hashed first: nobody need give a manifest any more. Never of
 * one that somebody asked for since: the folder may have changed under the library's eyes.
 */
bool lsp_download_is_committed(const struct lsp_download *download);
/*
 * Of one that is to look at the folder: now the library can give its manifest, whether or not
 * somebody else is being asked, who may keep it to himself. Until the library was asked.
 */
bool lsp_download_can_be_checked(const struct lsp_download *download);
