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

/* ---- What was logged --------------------------------------------------------------------- */

#include "base/log.h"

struct captured_log {
	pthread_mutex_t lock;
	char text[8192]; /* "<level> <component>: <message>\n"… */
};

static inline void capture_line(
	enum lsp_log_level level, const char *component, const char *message, void *argument)
{
	struct captured_log *log = argument;
	pthread_mutex_lock(&log->lock);
	size_t used = strlen(log->text);
	snprintf(log->text + used, sizeof log->text - used, "%s %s: %s\n",
		lsp_log_level_name(level), component, message);
	pthread_mutex_unlock(&log->lock);
}

static inline void capture_log(struct captured_log *log)
{
	*log = (struct captured_log){0};
	pthread_mutex_init(&log->lock, NULL);
	lsp_log_set_sink(capture_line, log);
}

/* Back to stderr; the text can be read without the lock from here on. */
static inline void release_log(struct captured_log *log)
{
	lsp_log_set_sink(NULL, NULL);
}
