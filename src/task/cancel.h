/*
 * Cancel tokens: the one way to ask something to stop.
 *
 * Tokens form a tree. Cancelling one cancels everything below it and nothing above. The first
 * reason wins and is in place before the token reads cancelled, so whoever sees "cancelled" also
 * sees why. A token never becomes uncancelled.
 *
 * A token is reference counted; a child holds its parent. Every function here may be called from
 * every thread, none blocks (lsp_cancel_wait and, briefly, lsp_cancel_unregister apart), and none
 * calls anybody while it holds a lock. A NULL token is one that is never cancelled.
 *
 * There are four ways to notice: ask (lsp_cancel_requested, lsp_cancel_check), wait
 * (lsp_cancel_wait, and every wait of task/wait.h), poll a descriptor (lsp_cancel_fd), or be called
 * (lsp_cancel_register). By the time the first callback runs the whole tree below reads cancelled.
 *
 *     int copy(struct lsp_cancel *token, struct lsp_error *err)
 *     {
 *             while (more) {
 *                     if (lsp_cancel_check(token, err) < 0)
 *                             return -LSP_E_CANCELLED;
 *                     ...
 */
#pragma once

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>

/* Why. The names are stable: they go out in JSON. */
enum lsp_cancel_kind {
	LSP_CANCEL_NONE,          /* not cancelled */
	LSP_CANCEL_USER,          /* a person: Ctrl-C, SIGTERM, `lanspread cancel` */
	LSP_CANCEL_RPC,           /* a program, over the API */
	LSP_CANCEL_RELOAD,        /* to begin again with other settings */
	LSP_CANCEL_RUN_COMPLETED, /* the work is done and what served it may go */
	LSP_CANCEL_PEERS_GONE,    /* nobody is left to download from */
	LSP_CANCEL_FATAL,         /* something broke; the text says what */
	LSP_CANCEL_KIND_COUNT
};

#define LSP_CANCEL_TEXT_MAX 240

struct lsp_cancel_reason {
	enum lsp_cancel_kind kind;
	char text[LSP_CANCEL_TEXT_MAX]; /* one line, may be empty; cut where it is too long */
};

struct lsp_cancel;

/*
 * A token below `parent` (NULL: the root of a tree of its own), with one reference, the caller's.
 * Below a cancelled parent it is born cancelled, for the parent's reason.
 */
LSP_MUST_CHECK int lsp_cancel_new(
	struct lsp_cancel *parent, struct lsp_cancel **ret_token, struct lsp_error *err);
struct lsp_cancel *lsp_cancel_ref(struct lsp_cancel *token);
void lsp_cancel_unref(struct lsp_cancel *token);
LSP_DEFINE_CLEANUP(struct lsp_cancel *, lsp_cancel_unref);
#define _cleanup_cancel_ _cleanup_(lsp_cancel_unref_pointer)

/*
 * Cancels the token and all below it, and runs their callbacks in this thread before it returns.
 * False, and nothing done, when it was cancelled already. text may be NULL.
 */
bool lsp_cancel_request(struct lsp_cancel *token, enum lsp_cancel_kind kind, const char *text);

bool lsp_cancel_requested(const struct lsp_cancel *token);

/* The reason, of kind NONE while the token is not cancelled. */
void lsp_cancel_get_reason(const struct lsp_cancel *token, struct lsp_cancel_reason *ret_reason);
enum lsp_cancel_kind lsp_cancel_reason(const struct lsp_cancel *token);

/* 0, or -LSP_E_CANCELLED with the reason as the message. */
LSP_MUST_CHECK int lsp_cancel_check(const struct lsp_cancel *token, struct lsp_error *err);

/*
 * A descriptor that polls readable once the token is cancelled. It is made at the first call, is
 * the token's own (never read or close it) and lives as long as the token.
 */
LSP_MUST_CHECK int lsp_cancel_fd(struct lsp_cancel *token, int *ret_fd, struct lsp_error *err);

/* ---- Callbacks --------------------------------------------------------------------------- */

/* The caller's storage; its fields are this module's. */
struct lsp_cancel_callback {
	void (*function)(void *argument);
	void *argument;
	struct lsp_cancel *token;                    /* a reference; NULL: not registered */
	struct lsp_cancel_callback *previous, *next; /* guarded by the token's lock */
	int state;                                   /* guarded by the token's lock */
};

/*
 * Has `function` called exactly once, when the token is cancelled, in the thread that cancels it;
 * at once and in this thread if it is cancelled already. The storage must stay until
 * lsp_cancel_unregister has returned, which every registration needs, fired or not. The function
 * may unregister itself (and free the storage). It must not block.
 */
void lsp_cancel_register(struct lsp_cancel *token, struct lsp_cancel_callback *callback,
	void (*function)(void *argument), void *argument);

/*
 * When this returns the function is not running and will not run; a run in another thread is
 * waited for, so hold no lock that the function takes. True if it has run or, called from inside
 * it, runs. Zeroed and unregistered storage is fine.
 */
bool lsp_cancel_unregister(struct lsp_cancel_callback *callback);

/* ---- Waiting ----------------------------------------------------------------------------- */

/*
 * Blocks until the token is cancelled (true) or the deadline on the clock (NULL: the machine's) has
 * passed (false): a sleep that can be ended. It also returns true when the task that runs in this
 * thread was interrupted (task/registry.h).
 */
bool lsp_cancel_wait(struct lsp_cancel *token, const struct lsp_clock *clock, lsp_time deadline);

/* "none", "user", "rpc", "reload", "run_completed", "peers_gone", "fatal". */
const char *lsp_cancel_kind_name(enum lsp_cancel_kind kind);
