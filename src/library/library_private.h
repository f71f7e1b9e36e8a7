/* The library from the inside: what its files share. All of it is the library's own thread's. */
#pragma once

#include "library/library.h"
#include "library/snapshot.h"
#include "library/watch.h"
#include "task/pool.h"

#include <pthread.h>

#define LSP_LIBRARY_RETRY (10 * LSP_SECOND) /* after trouble that may pass by itself */
#define LSP_LIBRARY_JOBS 2                  /* games that are hashed at a time */

struct lsp_library_waiter {
	struct lsp_library_waiter *next;
	lsp_library_done done;
	void *argument;
};

struct lsp_hash_job;

/* A folder in the games folder. */
struct lsp_local_game {
	char id[LSP_GAME_ID_MAX + 1];
	uint32_t owner; /* of its watches; never given to another */
	bool listed;    /* while listing: it is still there */
	bool collides;  /* with the name of another game folder */

	struct lsp_scan scan; /* the last look */
	bool looked;
	lsp_time look_at; /* when to look again; NEVER */
	lsp_time looked_at;
	lsp_time look_cost;   /* how long it took */
	lsp_time quiet_since; /* the last event or difference; 0: never one */

	struct lsp_index_game known; /* what was hashed last */
	bool is_known;
	bool wants_hash;   /* quiet, not known: as soon as there is a thread */
	bool force;        /* every byte anew */
	bool damaged;      /* and nobody may stop that: damage was seen */
	lsp_time doubt_at; /* when to hash again what is READY; NEVER */
	struct lsp_hash_job *job;
	char hash_problem[LSP_PROBLEM_MAX +
			  1]; /* why the files of failed_print could not be hashed */
	struct lsp_fingerprint failed_print;
	bool hash_failed;
	bool hash_retry; /* the trouble may pass: try at the next look */

	const struct lsp_manifest *placed; /* by an operation; to be believed at the next look */
	struct lsp_library_waiter *waiters;
	struct lsp_library_progress_box *progress;
	const struct lsp_library_game *published; /* NULL: not in the snapshot */
};

struct lsp_library_hold {
	struct lsp_library_hold *next;
	unsigned count;
	char id[];
};

struct lsp_library_request;

struct lsp_library {
	/* immutable */
	struct lsp_library_options options; /* with the defaults filled in; texts are not used */
	char *state_dir;
	char *holder;
	struct lsp_cancel *token; /* of all hashing */
	int wake_fd;

	/* the library's thread's */
	char *path;                       /* the games folder as it is wanted */
	struct lsp_games_dir *dir;        /* NULL: it cannot be used now */
	struct lsp_games_dir_place place; /* where it was the last time */
	struct lsp_library_index *index;
	struct lsp_watch *watch;       /* NULL: none to be had */
	bool watch_full;               /* said once */
	struct lsp_local_game **games; /* by id */
	size_t count, room;
	struct lsp_index_game *loaded; /* what the index had, by id */
	size_t loaded_count;
	uint32_t next_owner;
	unsigned jobs;
	lsp_time list_at;
	bool first_list;    /* none was made of this folder yet */
	bool names_changed; /* collisions are to be looked for again */
	char problem[LSP_PROBLEM_MAX + 1];
	struct lsp_library_waiter *list_waiters;
	struct lsp_library_waiter *ready; /* to be called when the next snapshot is out */
	bool unpublished;                 /* something may look different */

	pthread_mutex_t lock; /* all below */
	const struct lsp_library_snapshot *newest;
	char folder_id[LSP_FOLDER_ID_SIZE]; /* of the folder that newest shows */
	struct lsp_library_hold *holds;
	struct lsp_library_request *first_request, **last_request;
	struct lsp_hash_job *finished;
	unsigned jobs_out; /* with the pool or in `finished` */
	pthread_cond_t job_finished;
	uint64_t rescan_interval;
	bool look_at_all, interval_changed;
	bool closed; /* nobody takes requests any more: they are answered at once */
};

static inline lsp_time lsp_library_now(const struct lsp_library *library)
{
	return lsp_now(library->options.clock);
}

/* From every thread. */
void lsp_library_wake(struct lsp_library *library);
bool lsp_library_is_held(struct lsp_library *library, const char *id);

/* ---- library.c ----------------------------------------------------------------------------- */

struct lsp_local_game *lsp_library_find_local(struct lsp_library *library, const char *id);
/* A new one, known as the index knows it; NULL: out of memory. */
struct lsp_local_game *lsp_library_add_local(struct lsp_library *library, const char *id);
/* Takes it out, job, watches and all. forget: out of the index too. */
void lsp_library_remove_local(
	struct lsp_library *library, struct lsp_local_game *game, bool forget);
/* Moves a list of waiters to those that the next snapshot calls. */
void lsp_library_ready(struct lsp_library *library, struct lsp_library_waiter **waiters);
LSP_MUST_CHECK int lsp_library_open_dir(struct lsp_library *library, struct lsp_error *err);
/* Uses this one from now on, which it takes over, and shows what is in it. On an error it is
 * closed, and all is as it was. */
LSP_MUST_CHECK int lsp_library_change_dir(
	struct lsp_library *library, struct lsp_games_dir *dir, struct lsp_error *err);
/* The games folder is not ours any more; its games are gone from the list. */
void lsp_library_close_dir(struct lsp_library *library);

/* ---- publish.c ----------------------------------------------------------------------------- */

bool lsp_library_may_share(const struct lsp_local_game *game);
bool lsp_library_is_ready(const struct lsp_local_game *game);
/* Makes a new snapshot if anything looks different; always the first time. */
LSP_MUST_CHECK int lsp_library_publish(
	struct lsp_library *library, bool always, struct lsp_error *err);

/* ---- look.c -------------------------------------------------------------------------------- */

/* Reads the games folder: new games, gone games; all are to be looked at. */
void lsp_library_list(struct lsp_library *library);
/* Looks at every game that is due. */
void lsp_library_look(struct lsp_library *library, struct lsp_cancel *token);
/* Takes the file events that are there. */
void lsp_library_take_events(struct lsp_library *library);
/* Plans what follows from what is known of a game now: nothing, a look, hashing. */
void lsp_library_plan(struct lsp_library *library, struct lsp_local_game *game);

/* ---- hashing.c ----------------------------------------------------------------------------- */

/* Gives games that want it to the pool, small ones first. */
void lsp_library_start_jobs(struct lsp_library *library);
void lsp_library_take_jobs(struct lsp_library *library);
/* The game has no use for it any more; it ends soon. */
void lsp_library_drop_job(struct lsp_library *library, struct lsp_local_game *game);
/* Believes a manifest for the files that are there, if they are its files. */
void lsp_library_believe(struct lsp_library *library, struct lsp_local_game *game,
	const struct lsp_manifest *manifest);
/* Waits until no job is out any more; their results are dropped. */
void lsp_library_end_jobs(struct lsp_library *library);

/* ---- requests.c ---------------------------------------------------------------------------- */

/* The index has lost the game's manifest: hash it again. From every thread. */
void lsp_library_lost(struct lsp_library *library, const char *id);
void lsp_library_take_requests(struct lsp_library *library);
/* Calls whoever still waits for an answer. */
