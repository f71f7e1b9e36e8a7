/*
 * The inside of the engine: what its files share.
 *
 * engine.c is the face: the queue of calls and what other threads may read. worker.c is the task:
 * it waits, and hands what came to the others. session.c opens, saves and closes, restore.c brings
 * in what is stored, held.c asks where that lies; alerts.c takes what the library says, lost.c
 * makes up for what it could not say; moves*.c have files on their way, removals.c has torrents go;
 * torrents.c is the table of torrents; report.c makes JSON of them; limits.c keeps caps and goals;
 * commands*.c are the commands, create.c those that take long and have a task of their own.
 */
#pragma once

#include "task/registry.h"
#include "task/supervisor.h"
#include "torrent/configuration.h"
#include "torrent/engine.h"
#include "torrent/faults.h"
#include "torrent/looks.h"
#include "torrent/record.h"
#include "torrent/resume.h"
#include "torrent/shim.h"
#include "torrent/translate.h"
#include "torrent/watchdog.h"

#include <pthread.h>
#include <uthash.h>

#define LSP_TORRENT_DOMAIN "torrent"

#define LSP_TICK_ACTIVE (100 * LSP_MILLISECOND)
#define LSP_TICK_IDLE LSP_SECOND
/* How long a torrent has been active is stored as often, where nothing else has changed. */
#define LSP_ACTIVE_INTERVAL (15 * 60 * LSP_SECOND)
/* After the DHT was turned on: by then it knows its first nodes. */
#define LSP_LOOK_AGAIN (5 * LSP_SECOND)
/*
 * How long a call waits for the library to do what it was told. What takes the disk longer (to
 * move a large game, to delete it) is waited for as long as the library says that it is at it.
 */
#define LSP_CALL_PATIENCE (60 * LSP_SECOND)
/* Between two tries of what the store could not do: write, remove, read. */
#define LSP_STORE_PATIENCE (5 * LSP_SECOND)

/* ---- Torrents ---------------------------------------------------------------------------- */

struct lsp_torrent {
	uint64_t number; /* the shim's name for it */
	struct lsp_record record;
	char v1[41], v2[65]; /* hexadecimal; empty: not known */
	char *title;         /* of the metadata or the magnet */
	uint64_t size;
	bool has_metadata, is_private;
	bool transient; /* never stored */
	bool restored;  /* from the store, in this session */
	bool stored;    /* as that, with resume data or without */
	bool added;     /* the session has it */
	bool told;      /* its torrent_added went out: other events of it may follow */
	bool removing, remove_data;
	bool keep_stored;         /* the store keeps it when it is removed */
	bool remove_waits;        /* until its move has ended; `removing` is set */
	bool is_removed_by_goal;  /* of seeding, not by a command */
	bool cannot_be_deleted;   /* by its goal: it could not be, which was told */
	bool may_be_absent;       /* its files, when it is removed with them */
	bool is_still;            /* paused, and the library has let go of its files */
	bool is_unasked;          /* stands still until it is known where it lies: held.c */
	bool is_asked;            /* a task is at that */
	struct lsp_look_wait ask; /* for its turn; or it waits for a time: */
	struct lsp_torrent *ask_previous, *ask_next; /* with others */
	lsp_time ask_at;        /* that time; LSP_TIME_NEVER: it waits for none */
	uint64_t ask_wait;      /* the time before that; 0: the first */
	struct lsp_move *move;  /* its files are on their way: moves.c; NULL: they are not */
	bool was_removed;       /* REMOVED came, DELETED has not */
	lsp_time gone_by;       /* alerts were lost: DELETED is waited for until then; 0: they were
				   not */
	bool is_present;        /* the session has it, as it says after a loss */
	char store_error[256];  /* why the store still has it, once it was removed */
	bool was_checked;       /* its files were hashed, which is not saved yet */
	bool has_place;         /* `place` is to be told once it is added */
	int32_t place;          /* in the queue */
	bool fresh_selection;   /* waits for its metadata to be told root and priorities */
	const char *reconciled; /* its selection: why; told once it is added, until the next one */

	bool record_dirty, blob_dirty, saving, save_again;
	bool has_blob;          /* the store has resume data of it */
	struct lsp_hash digest; /* of those (lsp_resume_digest); of zeros: not known */
	lsp_time stored_at;     /* when the store got them */
	/* Bits 1 << part: written, and on the disk, but not in their places yet. */
	unsigned staged, settled;
	bool nothing_new; /* what is staged says the same as what is stored */
	lsp_time next_save;

	/* The last; its texts are NULL but for error. Of what is stored, until there is one: what a
	 * lsp_shim_progress has. */
	struct lsp_shim_status status;
	lsp_time status_at; /* 0: none yet */
	char error[256];
	enum lsp_torrent_state state;
	bool state_told;
	struct lsp_coalescer progress;
	struct lsp_watchdog download_watchdog, upload_watchdog;
	int64_t counted_download, counted_upload; /* of the session's payload, in the sums */

	UT_hash_handle by_number, by_id;
};

/* ---- Calls ------------------------------------------------------------------------------- */

/* One call, from its beginning to its end. */
struct lsp_call {
	struct lsp_torrent_call call;
	struct lsp_torrent_answer answer;
	struct lsp_call *next;
	uint64_t number; /* the torrent that it waits for */
	uint64_t waits;  /* bits 1 << alert type that end the wait */
	lsp_time deadline;
	char left[512]; /* a message: what its move left at the old place; empty: nothing */
};

/* A task beside the worker's, for a call that takes long. */
struct lsp_torrent_job {
	struct lsp_torrent_engine *engine;
	/* NULL: it was answered, while no worker was there; or the job is our own. */
	struct lsp_call *call;
	bool is_own;                  /* `finish` follows on a worker, whatever came of it */
	struct lsp_torrent_job *next; /* of those that have ended; guarded by the lock */
	struct lsp_torrent_job *running_next; /* the worker's: of those that have not */
	char name[64];         /* of a create, by which it is cancelled; may be empty */
	struct lsp_task *task; /* to abort it by */
	int result;
	struct lsp_error error;
	_Atomic uint64_t done, total; /* bytes; the task's */
	uint64_t told;                /* the worker's: what of `done` went out */
	lsp_time next_wake;           /* the task's */
	/* On the task's thread; 0 or a negative code. */
	int (*work)(struct lsp_torrent_job *job, struct lsp_cancel *token, struct lsp_error *err);
	/*
	 * After it, as a handler of a command: on the worker; where no worker is there, and
	 * `finish` wants nothing of one, on the task's thread.
	 */
	int (*finish)(struct lsp_torrent_job *job, struct lsp_error *err);
	bool needs_worker;
	void *argument;
	void (*free_argument)(void *argument);
};

/* ---- The engine -------------------------------------------------------------------------- */

struct lsp_torrent_engine {
	/* Immutable. */
	struct lsp_tasks *tasks;
	struct lsp_supervisor *supervisor;
	const struct lsp_clock *clock;
	const struct lsp_shim_functions *shim_functions;
	lsp_torrent_event_function event;
	void *event_argument;
	int (*hold)(void *argument, const char *id, const char *path, const char *name,
		struct lsp_error *err);
	void *hold_argument;
	uint64_t save_interval; /* where none is configured */
	uint64_t shutdown_deadline;
	char *resume_dir;
	int wake_fd; /* an eventfd: alerts, calls or jobs are there */

	pthread_mutex_t lock; /* guards the next six */
	struct lsp_call *calls, **calls_end;
	size_t call_count;
	bool accepting; /* a worker is there to take calls */
	struct lsp_torrent_job *finished_jobs;
	uint32_t degraded;
	struct lsp_torrent_counters counters;

	/* The worker's. */
	struct lsp_resume_store *store;
	struct lsp_configuration configuration;
	uint32_t base_download, base_upload;           /* limits for all, by command */
	uint32_t effective_download, effective_upload; /* as the session has them */
	bool is_brisk;                                 /* the session ticks often, for a limit */
	struct lsp_watchdog download_watchdog, upload_watchdog;
	struct lsp_faults faults;
	struct lsp_shim *shim; /* NULL: no session */
	struct lsp_torrent *by_number, *by_id;
	uint64_t next_number;
	struct lsp_call *waiting;
	struct lsp_torrent_job *running_jobs;
	json_t *listening;        /* "address:port" → true for TCP */
	json_t *lan_peers;        /* array */
	char listen_wanted[1024]; /* as the session was told last */
	struct lsp_random random;
	lsp_time next_tick, next_second;
	lsp_time next_look;   /* around, by a DHT that was turned on; 0: none is due */
	bool wake_taken;      /* by lsp_session_await: it may have been for the worker */
	bool alerts_lost;     /* what they told of is not made up for yet */
	bool listen_lost;     /* nor where it listens, of which they told */
	lsp_time next_listen; /* when it is to tell that again, if need be */
	bool broken;          /* the session told so */
	struct lsp_error broken_error;
	size_t saves_outstanding;
	lsp_time save_deadline; /* while it closes: after it nothing is written; 0: it does not */
	json_t *kept;           /* id → true: removed, and kept in the store until it is told */
	json_t *leftovers;      /* id → true: removed, and still in the store */
	lsp_time next_leftover; /* when they are tried again */
	struct lsp_move *moves; /* of stored torrents that the session does not have: moves.c */
	json_t *unread;         /* id → why: stored, and could not be read yet */
	bool unlisted;          /* nor could the store's folder */
	lsp_time next_read;     /* when they are tried again */
	struct lsp_looks looks; /* held.c: whose turn it is to be asked about */
	struct lsp_torrent *asked_later;   /* those that wait for theirs, */
	lsp_time next_ask;                 /* when the next of them does */
	int64_t counted_read_back;         /* of this session, in the sum */
	bool counts_told;                  /* since somebody asked */
	struct lsp_torrent_counters tally; /* copied to `counters` */
};

/* engine.c */
void lsp_engine_emit(struct lsp_torrent_engine *engine, json_t *event);
void lsp_engine_wake(struct lsp_torrent_engine *engine);
/* Tells of a change of the health, if it is one; publishes it and the counters. */
void lsp_engine_publish(struct lsp_torrent_engine *engine);
void lsp_engine_fail(struct lsp_torrent_engine *engine, enum lsp_torrent_component component,
	const char *key, const char *message);
void lsp_engine_clear(
	struct lsp_torrent_engine *engine, enum lsp_torrent_component component, const char *key);
/* Tells its answer and frees it: exactly once. From any thread. */
void lsp_call_answer_and_free(struct lsp_call *call, int result, const struct lsp_error *err);
/* The same on the worker, which counts it. */
void lsp_torrent_call_end(struct lsp_torrent_engine *engine, struct lsp_call *call, int result,
	struct lsp_error *err);
/* All that wait in the queue, taken off it. */
struct lsp_call *lsp_engine_take_calls(struct lsp_torrent_engine *engine);
struct lsp_torrent_job *lsp_engine_take_jobs(struct lsp_torrent_engine *engine);
void lsp_job_free(struct lsp_torrent_job *job);
/* create.c: tells how far the jobs are. */
void lsp_jobs_report(struct lsp_torrent_engine *engine);

/* worker.c */
int lsp_torrent_worker(struct lsp_cancel *token, void *argument, struct lsp_error *err);

/* session.c */
int lsp_session_open(struct lsp_torrent_engine *engine, struct lsp_error *err);
/* The same for a call: where it does not come up the worker fails, and says so to the others. */
int lsp_session_require(struct lsp_torrent_engine *engine, struct lsp_error *err);
/* Saves what must be saved, waits for it until the deadline, and closes. NULL session is fine. */
void lsp_session_close(struct lsp_torrent_engine *engine, lsp_time deadline);
/* Adds the torrent to the session with this source, which is taken. Alerts tell the rest. */
int lsp_session_add(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_shim_source *source, const struct lsp_shim_add *options, struct lsp_error *err);
/* The session's resume data of it, soon; again if it is being saved just now. */
void lsp_session_save(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
void lsp_session_save_due(struct lsp_torrent_engine *engine, lsp_time now);
/* The answer to a save may be among alerts that were lost: once more. */
void lsp_session_save_lost(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
/* No save is due later than the interval, which may be another than before, wants it. */
void lsp_session_hasten_saves(struct lsp_torrent_engine *engine);
void lsp_session_on_saved(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert);
/* A file of it could not be written: said once, and tried again in five seconds. */
void lsp_session_store_failed(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_error *error);
/* How the store's folder as a whole fares: listed, or a torrent's files removed. NULL: well. */
void lsp_session_tell_folder(struct lsp_torrent_engine *engine, const char *failure);
/*
 * The store forgets one that was removed. What it cannot is tried again every five seconds, is said
 * in the health until then, and is not restored by a new session.
 */
LSP_MUST_CHECK int lsp_session_forget(
	struct lsp_torrent_engine *engine, const char *id, struct lsp_error *err);
void lsp_session_forget_due(struct lsp_torrent_engine *engine, lsp_time now);
/* It is here again: the store keeps it. */
void lsp_session_remember(struct lsp_torrent_engine *engine, const char *id);
/* The record, now. */
void lsp_session_write_record(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
/*
 * Every torrent is told of by DHT and LSD now, which the library would do within minutes; when they
 * were turned on, and once more when the DHT has found its first nodes.
 */
void lsp_session_look_around(struct lsp_torrent_engine *engine);
void lsp_session_look_if_due(struct lsp_torrent_engine *engine, lsp_time now);
/*
 * Waits on alerts, at most until the deadline. False at the deadline. What else wakes the engine
 * meanwhile (a call, a job that ended) waits for the worker, which is woken once more.
 */
bool lsp_session_await(struct lsp_torrent_engine *engine, lsp_time deadline);
int lsp_session_configure(struct lsp_torrent_engine *engine, struct lsp_error *err);

/* restore.c */
/* What is stored and not here yet. What cannot be read is said and tried again. */
void lsp_restore_all(struct lsp_torrent_engine *engine);
/* Opens the session if anything is stored: an empty store does not want one. */
int lsp_restore_open(struct lsp_torrent_engine *engine, struct lsp_error *err);
/* When what could not be read is tried again; LSP_TIME_NEVER: all of it was. */
lsp_time lsp_restore_next(const struct lsp_torrent_engine *engine);
int lsp_restore_due(struct lsp_torrent_engine *engine, lsp_time now, struct lsp_error *err);

/* held.c */
/* A stored one that is about to be added: does it stand still until it was asked where it lies? */
void lsp_held_begin(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
/* The session has it, or its files have come to rest: it is asked soon, if it is to be. */
void lsp_held_ask(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
/* It is asked about no more: a command has decided, or it goes. */
void lsp_held_forget(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
/* Asks about those whose time has come, and when that is next. */
void lsp_held_due(struct lsp_torrent_engine *engine, lsp_time now);
lsp_time lsp_held_next(const struct lsp_torrent_engine *engine);
/* The library has it go on, and from then on nothing is asked about it. */
LSP_MUST_CHECK int lsp_torrent_run(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, struct lsp_error *err);
/* Nothing keeps it any more: it runs, unless its record or where it lies is against that. */
void lsp_torrent_goes_on(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);

/* moves_live.c */
/* It has metadata and no move. MOVED or MOVE_FAILED end the calls that wait for it. */
int lsp_move_begin(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, const char *path,
	struct lsp_error *err);
void lsp_move_on_paused(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
/* The library was told of the new place, and has answered. */
void lsp_move_on_told(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
/* The library does not take the new place. True: the torrent leaves the session instead. */
bool lsp_move_on_refused(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	const struct lsp_shim_alert *alert);
/* Does it leave the session only to be restored from its record? */
bool lsp_move_returns(const struct lsp_torrent *torrent);
/* It has left. Drops the torrent, and restores it; its calls go on waiting. */
void lsp_move_on_left(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
/* Is it a removal, which looks at what it would delete? */
bool lsp_move_deletes(const struct lsp_move *move);
/* Is it at its files, before the library is told? */
bool lsp_move_is_at_it(const struct lsp_move *move);
/* Once a second: an answer that the library threw away is not waited for. */
void lsp_moves_look(struct lsp_torrent_engine *engine);
/* Has it taken back, if that still can be; its torrent is removed then. */
void lsp_move_stop(struct lsp_move *move);
/* The session's end: a task that is at it goes on. */
void lsp_move_drop(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);

/* moves_stored.c */
/* What a record says to be on its way, moving or being deleted, is finished before it is added. */
int lsp_move_restore(struct lsp_torrent_engine *engine, const struct lsp_record *record,
	struct lsp_shim_source *source, struct lsp_error *err);

bool lsp_move_is_stored(const struct lsp_torrent_engine *engine, const char *id);
/* How many stored ones have a torrent whose id is or begins so, and the first of them, or NULL. */
size_t lsp_moves_called(
	const struct lsp_torrent_engine *engine, const char *name, struct lsp_move **ret_first);
struct lsp_move *lsp_move_called(const struct lsp_torrent_engine *engine, const char *name);
uint64_t lsp_move_number(const struct lsp_move *move);
/* Is a task at its files, for the calls that wait for this number? */
bool lsp_moves_work_at(const struct lsp_torrent_engine *engine, uint64_t number);
/* Why its torrent is not there; has it tried again now. Negative. */
int lsp_move_refuse(
	struct lsp_torrent_engine *engine, struct lsp_move *move, struct lsp_error *err);
/* {"id", "save_path", "moving_to", "folder", "game"} */
json_t *lsp_move_json(const struct lsp_move *move);
/* Its torrent is removed: the calls of its number are told when it is. It may be gone after this.
 */
LSP_MUST_CHECK int lsp_move_remove(
	struct lsp_torrent_engine *engine, struct lsp_move *move, bool data, struct lsp_error *err);
/* When one that could not be finished is tried again; LSP_TIME_NEVER: there is none. */
lsp_time lsp_moves_next(const struct lsp_torrent_engine *engine);
void lsp_moves_retry(struct lsp_torrent_engine *engine, lsp_time now);
void lsp_moves_free(struct lsp_torrent_engine *engine);

/* torrents.c */
/* Takes over the record. The hashes, the name and the size are the source's. */
int lsp_torrent_new(struct lsp_torrent_engine *engine, struct lsp_record *record,
	struct lsp_shim_source *source, struct lsp_torrent **ret_torrent, struct lsp_error *err);
void lsp_torrent_drop(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
struct lsp_torrent *lsp_torrent_by_number(struct lsp_torrent_engine *engine, uint64_t number);
/* By the whole id. */
struct lsp_torrent *lsp_torrent_by_id(struct lsp_torrent_engine *engine, const char *id);
/* Is that its id or info-hash, or a beginning of one? */
bool lsp_torrent_is_called(const struct lsp_torrent *torrent, const char *name);
/* By id, info-hash or prefix. -LSP_E_NOT_FOUND, -LSP_E_INVALID (more than one). */
int lsp_torrent_find(struct lsp_torrent_engine *engine, const char *name,
	struct lsp_torrent **ret_torrent, struct lsp_error *err);
/* One that has any of the hashes of the source; NULL. */
struct lsp_torrent *lsp_torrent_same(
	struct lsp_torrent_engine *engine, const struct lsp_shim_info *info);
void lsp_torrent_take_source(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	struct lsp_shim_source *source);
/* The id that a torrent of these hashes gets. */
void lsp_torrent_id_of(const struct lsp_shim_info *info, char ret_id[LSP_TORRENT_ID_MAX + 1]);
/* A byte for each file, padding too; the caller frees it. */
int lsp_torrent_priorities(struct lsp_torrent_engine *engine, const struct lsp_torrent *torrent,
	struct lsp_shim_source *source, uint8_t **ret_priorities, size_t *ret_count,
	struct lsp_error *err);
/* Puts the record's selection (and root) into effect in the session. */
int lsp_torrent_apply_selection(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, struct lsp_error *err);
uint32_t lsp_torrent_flags(
	const struct lsp_torrent_engine *engine, const struct lsp_torrent *torrent);

/* report.c */
/* Its name below save_path; NULL: the metadata tell. */
const char *lsp_report_folder(const struct lsp_torrent *torrent);
json_t *lsp_report_status(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
enum lsp_report_detail {
	LSP_REPORT_NAMES, /* and sizes */
	LSP_REPORT_STATE, /* and what is here, and wanted */
	LSP_REPORT_CHOSEN /* the same just after a choice, which libtorrent has yet to take over */
};
json_t *lsp_report_files(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent,
	enum lsp_report_detail detail, struct lsp_error *err);
void lsp_report_metadata(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
void lsp_report_state(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
void lsp_report_progress(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, lsp_time now);
/* torrent->status is new: its sample, now or a little later. */
void lsp_report_sample(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
/* The last sample, now. */
void lsp_report_flush(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);

/* alerts.c */
/* Asks the session for its state, and waits for it. */
void lsp_torrent_refresh(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
/* The same of all torrents, with one question. */
void lsp_torrents_refresh(struct lsp_torrent_engine *engine);
void lsp_alerts_drain(struct lsp_torrent_engine *engine);
/* All that wait, without a look at whether some were lost. */
void lsp_alerts_pop(struct lsp_torrent_engine *engine);
/* As if the library had said it. The torrent may be gone after this. */
void lsp_alert_take(struct lsp_torrent_engine *engine, const struct lsp_shim_alert *alert);
/* What DELETE_FAILED means to a person. The code, negative. */
int lsp_torrent_undeleted(const struct lsp_torrent *torrent, const struct lsp_shim_alert *alert,
	struct lsp_error *err);

/* lost.c */
/* After alerts were lost: every torrent and every wait is brought to what the session has. */
void lsp_lost_recover(struct lsp_torrent_engine *engine);
/* Once a second: gives up what cannot be known any more, and has told again what can. */
void lsp_lost_expire(struct lsp_torrent_engine *engine, lsp_time now);

/* limits.c */
void lsp_torrent_limits_apply(struct lsp_torrent_engine *engine, bool again);
void lsp_torrent_limits_look(struct lsp_torrent_engine *engine, lsp_time now);
void lsp_goals_look(struct lsp_torrent_engine *engine, lsp_time now);
/* By how much a count of the session's has grown, which starts anew with each session. */
uint64_t lsp_torrent_grown(int64_t now, int64_t *counted);
void lsp_torrent_limits_count(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent);
/* Tells the session the limits of the record, reads them back and watches them. */
int lsp_torrent_limits_of_torrent(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, struct lsp_error *err);
/* The same of one that the session was given with its limits. */
int lsp_torrent_limits_watch(
	struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, struct lsp_error *err);

/* commands.c and its like: 0 done (the answer is filled in), 1 it waits, or a negative code. */
typedef int (*lsp_torrent_call_handler)(
	struct lsp_torrent_engine *engine, struct lsp_call *call, struct lsp_error *err);
void lsp_torrent_call_begin(struct lsp_torrent_engine *engine, struct lsp_call *call);
/* Ends those that this alert is the end of. */
void lsp_calls_on_alert(struct lsp_torrent_engine *engine, const struct lsp_shim_alert *alert);
void lsp_calls_expire(struct lsp_torrent_engine *engine, lsp_time now);
/* One that waits for this alert about that torrent; NULL. */
const struct lsp_call *lsp_calls_waiting(
	struct lsp_torrent_engine *engine, uint64_t number, enum lsp_shim_alert_type type);
/* Those that wait for a torrent of that name, which goes on with what it does. How many. */
size_t lsp_calls_cancel(struct lsp_torrent_engine *engine, const char *torrent);
void lsp_calls_fail_all(struct lsp_torrent_engine *engine, const struct lsp_error *error);
int lsp_torrent_call_wait_for(
	struct lsp_torrent_engine *engine, struct lsp_call *call, uint64_t number, uint64_t alerts);
/* Ends all that wait for that number: a removal so, others with the error or as too late. How many.
 */
size_t lsp_calls_end(struct lsp_torrent_engine *engine, uint64_t number, int result,
	const struct lsp_error *error);
/* The moves of that number that succeed have this to say (a message) of the old place. */
void lsp_calls_tell_left(struct lsp_torrent_engine *engine, uint64_t number, const char *left);
/* What waited for that number waits for another: its torrent is being added anew. */
void lsp_calls_follow(struct lsp_torrent_engine *engine, uint64_t number, uint64_t to);
/* The torrent that the arguments name. */
int lsp_torrent_call_torrent(struct lsp_torrent_engine *engine, struct lsp_call *call,
	struct lsp_torrent **ret_torrent, struct lsp_error *err);
/* Arguments: absent leaves *value as it is; wrong is -LSP_E_INVALID, missing too if required. */
int lsp_torrent_call_text(const struct lsp_call *call, const char *key, bool required,
	const char **value, struct lsp_error *err);
int lsp_torrent_call_switch(
	const struct lsp_call *call, const char *key, bool *value, struct lsp_error *err);
int lsp_torrent_call_number(const struct lsp_call *call, const char *key, uint64_t max,
	uint64_t *value, bool *ret_given, struct lsp_error *err);
/*
 * A list of URLs, or (trackers) of URLs and tiers of them; absent and null are fine. Web seeds are
 * of http and https, trackers of udp too.
 */
int lsp_torrent_call_urls(
	const struct lsp_call *call, const char *key, bool trackers, struct lsp_error *err);
/* A list of at most 1024 "address:port"; absent and null are fine. */
int lsp_torrent_call_peers(const struct lsp_call *call, const char *key, struct lsp_error *err);
int lsp_job_start(struct lsp_torrent_engine *engine, struct lsp_call *call, const char *name,
	bool needs_worker,
	int (*work)(struct lsp_torrent_job *, struct lsp_cancel *, struct lsp_error *),
	int (*finish)(struct lsp_torrent_job *, struct lsp_error *), void *argument,
	void (*free_argument)(void *), struct lsp_error *err);
/* Ends those that have ended; `why`: no session is there, nor will be soon. */
void lsp_jobs_finish(struct lsp_torrent_engine *engine, const struct lsp_error *why);
/* removals.c: removes it, for a call or on our own account. */
int lsp_remove_begin(struct lsp_torrent_engine *engine, struct lsp_torrent *torrent, bool data,
	struct lsp_error *err);

#define LSP_COMMAND(name)                                                                          \
	int lsp_torrent_command_##name(                                                            \
		struct lsp_torrent_engine *engine, struct lsp_call *call, struct lsp_error *err)

LSP_COMMAND(add);
LSP_COMMAND(create);
LSP_COMMAND(cancel);
LSP_COMMAND(remove);
LSP_COMMAND(pause);
LSP_COMMAND(resume);
LSP_COMMAND(sequential);
LSP_COMMAND(limits);
LSP_COMMAND(select);
LSP_COMMAND(options);
LSP_COMMAND(trackers);
LSP_COMMAND(web_seeds);
LSP_COMMAND(reannounce);
LSP_COMMAND(recheck);
LSP_COMMAND(move);
LSP_COMMAND(deadline);
LSP_COMMAND(peers);
LSP_COMMAND(add_peers);
LSP_COMMAND(inspect);
LSP_COMMAND(configure);
LSP_COMMAND(list);
LSP_COMMAND(files);
LSP_COMMAND(have);
LSP_COMMAND(export);
LSP_COMMAND(restart);
LSP_COMMAND(forget);
