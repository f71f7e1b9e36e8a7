/*
 * What the tests of task/ share: a runtime (root token, registry, a clock that the test owns or the
 * machine's), checks that print the error, and gates: one thread waits until another came by. A
 * gate that never opens fails the test after a minute; nothing here sleeps.
 */
#pragma once

#include "task/answer.h"
#include "task/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Far enough for a machine under load, near enough to fail. */
static inline lsp_time fixture_limit(void)
{
	return lsp_time_add(lsp_now(lsp_clock_system), 60 * LSP_SECOND);
}

#define assert_ok(call)                                                                            \
	do {                                                                                       \
		struct lsp_error *e_ = &fixture_error;                                             \
		lsp_error_clear(e_);                                                               \
		int r_ = (call);                                                                   \
		if (r_ < 0)                                                                        \
			fail_msg("%s: %s (%s)", #call, e_->message, lsp_code_name(-r_));           \
	} while (0)

#define assert_code(call, code) assert_int_equal((call), -(code))

static __thread struct lsp_error fixture_error;
#define ERR (&fixture_error)

struct gate {
	struct lsp_answer answer;
};

static inline void gate_init(struct gate *gate)
{
	lsp_answer_init(&gate->answer);
}

static inline void gate_open(struct gate *gate)
{
	lsp_answer_complete(&gate->answer, 0, NULL);
}

static inline bool gate_is_open(struct gate *gate)
{
	return lsp_answer_is_complete(&gate->answer);
}

static inline void gate_await(struct gate *gate)
{
	assert_ok(lsp_answer_wait(&gate->answer, NULL, NULL, fixture_limit(), ERR));
}

/* For helper threads: no assertion there, since cmocka's belong to the test's own thread. */
static inline bool gate_pass(struct gate *gate)
{
	return lsp_answer_settle(&gate->answer, NULL) == 0;
}

struct runtime {
	struct lsp_cancel *root;
	struct lsp_tasks *tasks;
};

static inline void runtime_init(struct runtime *runtime, const struct lsp_clock *clock)
{
	assert_ok(lsp_cancel_new(NULL, &runtime->root, ERR));
	assert_ok(lsp_tasks_new(runtime->root, clock, &runtime->tasks, ERR));
}

/* Every task must have ended, or be on its way. */
static inline void runtime_done(struct runtime *runtime)
{
	assert_ok(lsp_tasks_join_all(runtime->tasks, LSP_TIME_NEVER, NULL, ERR));
	lsp_tasks_free(runtime->tasks);
	lsp_cancel_unref(runtime->root);
}
