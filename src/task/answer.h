/*
 * An answer: one completion that somebody waits for.
 *
 * Exactly one completion counts, the first; later ones are told so. Any number of threads may wait,
 * each with its own token and deadline; one that gives up leaves the answer to the others. An
 * answer that several parties hold is reference counted; one inside another struct is used with
 * init and done, and then its owner sees to it that it outlives its completion.
 */
#pragma once

#include "task/wait.h"

#include <stdatomic.h>

struct lsp_answer {
	atomic_uint references;
	pthread_mutex_t lock; /* guards what follows */
	struct lsp_waiter_list waiting;
	bool complete;
	int result;
	struct lsp_error error;
};

void lsp_answer_init(struct lsp_answer *answer);
void lsp_answer_done(struct lsp_answer *answer);

LSP_MUST_CHECK int lsp_answer_new(struct lsp_answer **ret_answer, struct lsp_error *err);
struct lsp_answer *lsp_answer_ref(struct lsp_answer *answer);
void lsp_answer_unref(struct lsp_answer *answer);
LSP_DEFINE_CLEANUP(struct lsp_answer *, lsp_answer_unref);
#define _cleanup_answer_ _cleanup_(lsp_answer_unref_pointer)

/* result: 0 or a negative code, then with the error. False when it was complete already. */
bool lsp_answer_complete(struct lsp_answer *answer, int result, const struct lsp_error *error);
bool lsp_answer_is_complete(struct lsp_answer *answer);

/* The result and its error; or -LSP_E_CANCELLED or -LSP_E_TIMEOUT of this wait. */
LSP_MUST_CHECK int lsp_answer_wait(struct lsp_answer *answer, struct lsp_cancel *token,
	const struct lsp_clock *clock, lsp_time deadline, struct lsp_error *err);

/*
 * The result, however long it takes and whoever is cancelled or interrupted: for a completion that
 * is certain to come soon, where the caller's stack must stay until it came.
 */
LSP_MUST_CHECK int lsp_answer_settle(struct lsp_answer *answer, struct lsp_error *err);
