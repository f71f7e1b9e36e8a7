#include "task/answer.h"

void lsp_answer_init(struct lsp_answer *answer)
{
	*answer = (struct lsp_answer){0};
	atomic_init(&answer->references, 1);
	pthread_mutex_init(&answer->lock, NULL);
}

void lsp_answer_done(struct lsp_answer *answer)
{
	pthread_mutex_destroy(&answer->lock);
}

int lsp_answer_new(struct lsp_answer **ret_answer, struct lsp_error *err)
{
	struct lsp_answer *answer = malloc(sizeof *answer);
	if (!answer)
		return lsp_error_no_memory(err, "task");
	lsp_answer_init(answer);
	*ret_answer = answer;
	return 0;
}

struct lsp_answer *lsp_answer_ref(struct lsp_answer *answer)
{
	if (answer)
		atomic_fetch_add_explicit(&answer->references, 1, memory_order_relaxed);
	return answer;
}

void lsp_answer_unref(struct lsp_answer *answer)
{
	if (!answer || atomic_fetch_sub(&answer->references, 1) != 1)
		return;
	lsp_answer_done(answer);
	free(answer);
}

bool lsp_answer_complete(struct lsp_answer *answer, int result, const struct lsp_error *error)
{
	pthread_mutex_lock(&answer->lock);
	bool first = !answer->complete;
	if (first) {
		answer->complete = true;
		answer->result = result;
		if (error)
			answer->error = *error;
		lsp_waiter_list_wake(&answer->waiting);
	}
	pthread_mutex_unlock(&answer->lock);
	return first;
}

bool lsp_answer_is_complete(struct lsp_answer *answer)
{
	pthread_mutex_lock(&answer->lock);
	bool complete = answer->complete;
	pthread_mutex_unlock(&answer->lock);
	return complete;
}

int lsp_answer_wait(struct lsp_answer *answer, struct lsp_cancel *token,
	const struct lsp_clock *clock, lsp_time deadline, struct lsp_error *err)
{
	struct lsp_waiter waiter;
	int r = 0;
	pthread_mutex_lock(&answer->lock);
	if (!answer->complete) {
		lsp_waiter_init(&waiter);
		lsp_waiter_list_add(&answer->waiting, &waiter);
		pthread_mutex_unlock(&answer->lock);
		r = lsp_waiter_wait(&waiter, token, clock, deadline, err);
		pthread_mutex_lock(&answer->lock);
		lsp_waiter_list_remove(&answer->waiting, &waiter);
		lsp_waiter_done(&waiter);
	}
	if (answer->complete) { /* it may have come while this thread gave up */
		r = answer->result;
		if (r < 0 && err)
			*err = answer->error;
	}
	pthread_mutex_unlock(&answer->lock);
	return r;
}

int lsp_answer_settle(struct lsp_answer *answer, struct lsp_error *err)
{
	struct lsp_cancel *interrupt = lsp_wait_interrupt();
	lsp_wait_set_interrupt(NULL);
	int r = lsp_answer_wait(answer, NULL, NULL, LSP_TIME_NEVER, err);
	lsp_wait_set_interrupt(interrupt);
	return r;
}
