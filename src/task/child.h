/*
 * A child process as a task: what is risky (archives, multicast DNS) runs in a process of its own,
 * and this is how a plain task thread drives one.
 *
 * Each child has a watcher, a registered thread that starts it, waits for its end and reaps it. The
 * watcher enforces the two limits even when nobody is in a call here: when the token is cancelled
 * or the deadline passes, the child's whole process group gets SIGTERM, and SIGKILL after the grace
 * time. A child never outlives the daemon: the kernel kills it when the watcher's thread is gone,
 * however the daemon died (PR_SET_PDEATHSIG).
 *
 * The child gets: its own process group, default signals and an empty signal mask, the three
 * standard descriptors as asked for, the descriptors that were passed (as 3, 4, …), and no other.
 * What it says on stderr is logged line by line under its name, and the last line is part of the
 * error when it fails.
 *
 * One thread at a time reads and one writes. lsp_child_read and lsp_child_write block; the token
 * and the deadline given to them end that call, the child's own end the child (and so the call).
 * Every other function may be called from every thread.
 *
 *     struct lsp_child_options options = {.argv = argv, .output = LSP_CHILD_PIPE, .token = token};
 *     int r = lsp_child_start(tasks, "unpack", &options, &child, err);
 *     while (r == 0 && (r = lsp_child_read_line(child, token, LSP_TIME_NEVER, &line, err)) > 0)
 *             ...
 *     if (r == 0)
 *             r = lsp_child_finish(child, err);
 */
#pragma once

#include "task/registry.h"

#include "base/buffer.h"

struct lsp_child;

enum lsp_child_stream {
	LSP_CHILD_NULL = 0, /* /dev/null */
	LSP_CHILD_PIPE,     /* to be read or written here */
	LSP_CHILD_INHERIT,  /* the daemon's own */
};

#define LSP_CHILD_GRACE (500 * LSP_MILLISECOND)
#define LSP_CHILD_FDS_MAX 8
/* A longer line is an error of the child (-LSP_E_TOO_LARGE). */
#define LSP_CHILD_LINE_MAX (1u << 20)

struct lsp_child_options {
	const char *const *argv;        /* argv[0] is a path, or a name that PATH knows */
	const char *const *environment; /* NULL: the daemon's */
	enum lsp_child_stream input;
	enum lsp_child_stream output;
	bool quiet;     /* stderr is not logged (its last line still is in the error) */
	const int *fds; /* become 3, 4, …; at most LSP_CHILD_FDS_MAX */
	size_t fd_count;
	struct lsp_cancel *token; /* its cancel ends the child; NULL: the registry's root */
	lsp_time deadline;        /* by the registry's clock; 0: none */
	uint64_t grace;           /* between SIGTERM and SIGKILL; 0: LSP_CHILD_GRACE */
};

/*
 * Blocks until the child runs or the reason why it cannot is known (-LSP_E_NOT_FOUND: no such
 * program). The options and what they point to are needed only until it returns.
 */
LSP_MUST_CHECK int lsp_child_start(struct lsp_tasks *tasks, const char *name,
	const struct lsp_child_options *options, struct lsp_child **ret_child,
	struct lsp_error *err);

/*
 * Drops the handle and closes its pipes; a child that still runs is killed (SIGKILL). Does not
 * wait: the watcher reaps it, and join_all waits for the watcher.
 */
void lsp_child_free(struct lsp_child *child);
LSP_DEFINE_CLEANUP(struct lsp_child *, lsp_child_free);
#define _cleanup_child_ _cleanup_(lsp_child_free_pointer)

/* Its process id, for messages; it may be gone already. */
pid_t lsp_child_pid(const struct lsp_child *child);

/* SIGTERM now, SIGKILL after the grace time. */
void lsp_child_terminate(struct lsp_child *child);

/*
 * At least one byte, at most `size`; *ret_read 0 at the end of its output. -LSP_E_CANCELLED,
 * -LSP_E_TIMEOUT: this call was ended, the child was not.
 */
LSP_MUST_CHECK int lsp_child_read(struct lsp_child *child, void *data, size_t size,
	struct lsp_cancel *token, lsp_time deadline, size_t *ret_read, struct lsp_error *err);
/* Exactly `size` bytes: 1. The end of its output before the first: 0; in the midst: PROTOCOL. */
LSP_MUST_CHECK int lsp_child_read_all(struct lsp_child *child, void *data, size_t size,
	struct lsp_cancel *token, lsp_time deadline, struct lsp_error *err);
/*
 * The next line without its line feed: 1, and *ret_line until the next read. 0 at the end (a last
 * line without a line feed counts). Do not mix with the two above.
 */
LSP_MUST_CHECK int lsp_child_read_line(struct lsp_child *child, struct lsp_cancel *token,
	lsp_time deadline, const char **ret_line, struct lsp_error *err);
/* All of it. -LSP_E_CLOSED when the child reads no more. */
LSP_MUST_CHECK int lsp_child_write(struct lsp_child *child, const void *data, size_t size,
	struct lsp_cancel *token, lsp_time deadline, struct lsp_error *err);
/* The child sees the end of its input. */
void lsp_child_close_input(struct lsp_child *child);

/*
 * Waits until the child has ended: 0 when it exited with 0. Else a clear error: FAILED with its
 * exit status or signal and its last line on stderr, CANCELLED with the token's reason, TIMEOUT
 * when its deadline ended it.
 */
LSP_MUST_CHECK int lsp_child_finish(struct lsp_child *child, struct lsp_error *err);
/* The same, given up at a deadline (the registry's clock) or when the token is cancelled. */
LSP_MUST_CHECK int lsp_child_wait(struct lsp_child *child, struct lsp_cancel *token,
	lsp_time deadline, struct lsp_error *err);
/* Once it has ended: the exit status, or 128 + the signal; −1 before. */
int lsp_child_exit_status(struct lsp_child *child);
