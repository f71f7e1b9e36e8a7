/*
 * The task registry: every thread of ours has an entry here, a token and a join point.
 *
 * A task is a thread (lsp_tasks_spawn) or an activity that a loop owns, such as a connection, a
 * request or a download (lsp_tasks_begin and lsp_task_end). Nothing outside src/task/ makes a
 * thread, and no thread is ever detached or killed in place. A task that ended is dropped from the
 * registry at once; a million short ones leave nothing behind.
 *
 * Stopping has two steps. The *token* of a task (a child of the registry's root token) asks: the
 * function finishes what it must and returns. lsp_tasks_join_all waits for all of them with one
 * deadline; whoever is still there then is *interrupted*: its token is cancelled as fatal and every
 * wait in its thread (task/wait.h) ends at once. The stragglers are named and counted in the error
 * and the program exits non-zero; joining again tells whether they have stopped since.
 *
 * A handle (struct lsp_task) is reference counted and outlives both the task and the registry; then
 * its functions do nothing. Every function may be called from every thread unless it says
 * otherwise; only lsp_task_wait, lsp_tasks_join_all and lsp_tasks_free block (and a spawn, for the
 * microseconds that an ended thread needs to be gone, when dozens of them end at once).
 */
#pragma once

#include "task/cancel.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct lsp_tasks;
struct lsp_task;

enum lsp_task_kind {
	LSP_TASK_BACKGROUND,  /* a loop that runs as long as the program, or a service */
	LSP_TASK_CONNECTION,  /* to one peer */
	LSP_TASK_RPC,         /* one request */
	LSP_TASK_MAINTENANCE, /* a job: scan, hash, install, a child process */
	LSP_TASK_FOREIGN,     /* a library's own thread, or the embedding program's */
	LSP_TASK_KIND_COUNT
};

/* "background", "connection", "rpc", "maintenance", "foreign". */
const char *lsp_task_kind_name(enum lsp_task_kind kind);

enum lsp_task_state {
	LSP_TASK_RUNNING,
	LSP_TASK_STOPPING,    /* its token is cancelled and it has not returned yet */
	LSP_TASK_INTERRUPTED, /* a straggler */
	LSP_TASK_STATE_COUNT
};

const char *lsp_task_state_name(enum lsp_task_state state);

/*
 * 0, or a negative code with *err, which is logged with the task's name (-LSP_E_CANCELLED after a
 * cancel is not). Signals are blocked in its thread. It may hold locks of its own only while it
 * does not wait.
 */
typedef int (*lsp_task_function)(struct lsp_cancel *token, void *argument, struct lsp_error *err);

#define LSP_TASK_NAME_MAX 48

/* ---- The registry ------------------------------------------------------------------------ */

/* root: the shutdown token, a reference is taken. clock: for ages and join_all; NULL: the
 * machine's. */
LSP_MUST_CHECK int lsp_tasks_new(struct lsp_cancel *root, const struct lsp_clock *clock,
	struct lsp_tasks **ret_tasks, struct lsp_error *err);

/*
 * Joins the threads that have ended and frees it. All tasks must have ended (join_all gave 0); a
 * program whose tasks have not exits without this.
 */
void lsp_tasks_free(struct lsp_tasks *tasks);
LSP_DEFINE_CLEANUP(struct lsp_tasks *, lsp_tasks_free);
#define _cleanup_tasks_ _cleanup_(lsp_tasks_free_pointer)

struct lsp_cancel *lsp_tasks_root(struct lsp_tasks *tasks);
const struct lsp_clock *lsp_tasks_clock(struct lsp_tasks *tasks);

/*
 * Runs function(token, argument) in a thread of its own, whose name is the first 15 bytes of
 * `name`. On success it runs exactly once; on an error (-LSP_E_CLOSED once join_all began;
 * -LSP_E_IO when the system has no thread left) not at all, and argument is still the caller's.
 * ret_task may be NULL; else it takes a handle to abort it by, to be unref'd.
 */
LSP_MUST_CHECK int lsp_tasks_spawn(struct lsp_tasks *tasks, const char *name,
	enum lsp_task_kind kind, lsp_task_function function, void *argument,
	struct lsp_task **ret_task, struct lsp_error *err);

/* The same with a token below `parent` (NULL: the root token), such as an operation's. */
LSP_MUST_CHECK int lsp_tasks_spawn_below(struct lsp_tasks *tasks, struct lsp_cancel *parent,
	const char *name, enum lsp_task_kind kind, lsp_task_function function, void *argument,
	struct lsp_task **ret_task, struct lsp_error *err);

/*
 * An activity that the calling thread's loop drives. The caller holds the one reference, and ends
 * it with lsp_task_end on every way out. parent: what its token is a child of (NULL: the root).
 */
LSP_MUST_CHECK int lsp_tasks_begin(struct lsp_tasks *tasks, const char *name,
	enum lsp_task_kind kind, struct lsp_cancel *parent, struct lsp_task **ret_task,
	struct lsp_error *err);

/* Ends it (result and err as a task function's) and drops the caller's reference. */
void lsp_task_end(struct lsp_task *task, int result, const struct lsp_error *err);

/*
 * Lists the calling thread, which somebody else made (main), so that the snapshot shows all
 * threads. It is never joined. lsp_task_end takes it off again, in the same thread.
 */
LSP_MUST_CHECK int lsp_tasks_adopt_current(struct lsp_tasks *tasks, const char *name,
	enum lsp_task_kind kind, struct lsp_task **ret_task, struct lsp_error *err);

/*
 * Refuses new tasks from now on, and blocks until all have ended and their threads are gone (0), or
 * until the deadline on the registry's clock: then it interrupts those that are left and gives
 * -LSP_E_TIMEOUT, with their number in *ret_stragglers (may be NULL) and their names in the
 * message. It does not wait for adopted threads, nor for the task that calls it. It cancels nobody
 * before the deadline: who shuts down cancels the root token first. It can be called again.
 */
LSP_MUST_CHECK int lsp_tasks_join_all(
	struct lsp_tasks *tasks, lsp_time deadline, size_t *ret_stragglers, struct lsp_error *err);

/* Tasks that run, without foreign and adopted threads. */
size_t lsp_tasks_count(struct lsp_tasks *tasks);

struct lsp_task_info {
	char name[LSP_TASK_NAME_MAX];
	char owner[LSP_TASK_NAME_MAX]; /* foreign: the task whose library made it; else empty */
	enum lsp_task_kind kind;
	enum lsp_task_state state;
	uint64_t age;  /* nanoseconds; 0 for a foreign thread */
	pid_t tid;     /* of its thread, or of the thread that owns the activity */
	bool activity; /* has no thread of its own */
};

/* The live tasks, oldest first, in an array that the caller frees. */
LSP_MUST_CHECK int lsp_tasks_snapshot(struct lsp_tasks *tasks, struct lsp_task_info **ret_infos,
	size_t *ret_count, struct lsp_error *err);

/*
 * The threads of this process that no registry has. A thread that a library starts inherits the
 * name of the thread that started it, which is how its owner is known; "" where no task has that
 * name. Reads /proc/self/task.
 */
LSP_MUST_CHECK int lsp_tasks_foreign(struct lsp_tasks *tasks, struct lsp_task_info **ret_infos,
	size_t *ret_count, struct lsp_error *err);

/* ---- One task ---------------------------------------------------------------------------- */

struct lsp_task *lsp_task_ref(struct lsp_task *task);
void lsp_task_unref(struct lsp_task *task);
LSP_DEFINE_CLEANUP(struct lsp_task *, lsp_task_unref);
#define _cleanup_task_ _cleanup_(lsp_task_unref_pointer)

/* The task that runs in this thread; NULL in a thread that is none. Not a new reference. */
struct lsp_task *lsp_task_current(void);

const char *lsp_task_name(const struct lsp_task *task);
/* Its token, as long as the caller holds the task. */
struct lsp_cancel *lsp_task_token(struct lsp_task *task);

/* Asks it to stop. Nothing once it has ended. */
void lsp_task_abort(struct lsp_task *task, enum lsp_cancel_kind kind, const char *text);
/* Asks, and ends every wait in its thread from now on. */
void lsp_task_interrupt(struct lsp_task *task, const char *text);

/* Blocks until it has ended; its result and error, or what ended this wait (task/wait.h). */
LSP_MUST_CHECK int lsp_task_wait(struct lsp_task *task, struct lsp_cancel *token,
	const struct lsp_clock *clock, lsp_time deadline, struct lsp_error *err);
bool lsp_task_has_ended(struct lsp_task *task);

/* The caller's storage, until `release` has been called; its fields are the registry's. */
struct lsp_task_guard {
	void (*release)(struct lsp_task_guard *guard);
	struct lsp_task_guard *next;
};

/*
 * Has guard->release called exactly once when the task ends, on whatever way: it returned, failed,
 * was cancelled, left by pthread_exit. Last in, first out, in the task's thread, before anybody who
 * waits for the task goes on. -LSP_E_CLOSED, and release is not called, if it has ended.
 */
LSP_MUST_CHECK int lsp_task_attach(
	struct lsp_task *task, struct lsp_task_guard *guard, struct lsp_error *err);
