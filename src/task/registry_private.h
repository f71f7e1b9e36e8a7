/* The inside of the registry, shared by registry.c and thread_list.c and by nobody else. */
#pragma once

#include "task/answer.h"
#include "task/registry.h"

enum lsp_task_form { LSP_TASK_THREAD, LSP_TASK_ACTIVITY, LSP_TASK_ADOPTED };

struct lsp_task {
	/* Immutable once it is listed. */
	char name[LSP_TASK_NAME_MAX];
	enum lsp_task_kind kind;
	enum lsp_task_form form;
	struct lsp_tasks *tasks; /* valid until it has ended, and for whoever joins it */
	lsp_time since;
	struct lsp_cancel *token;
	struct lsp_cancel *interrupt; /* ends the waits of its thread */
	lsp_task_function function;
	void *argument;

	atomic_uint references;
	struct lsp_answer ended; /* its lock guards the next two */
	struct lsp_task_guard *guards;
	bool guards_closed;

	/* Of its own thread. */
	int result;
	struct lsp_error error;

	/* Guarded by the registry's lock. */
	pthread_t thread;
	pid_t tid; /* 0: its thread has not come up yet */
	bool leaving;
	bool interrupted;
	struct lsp_task *previous, *next;
};

struct lsp_tasks {
	/* Immutable. */
	struct lsp_cancel *root;
	const struct lsp_clock *clock;

	pthread_mutex_t lock;   /* guards what follows */
	pthread_cond_t started; /* a thread has written its tid */
	struct lsp_task *first, *last;
	size_t running; /* threads and activities that have not ended */
	bool joining;
	struct lsp_waiter_list joiners;
	struct lsp_task *unjoined; /* the last thread that ended */
	size_t leaving;            /* threads that ended and are not joined yet */
	pthread_cond_t left;       /* one of them was */

	struct lsp_tasks *next_registry; /* guarded by lsp_registries.lock */
};

/* Taken before the lock of a registry. */
extern struct lsp_registries {
	pthread_mutex_t lock;
	struct lsp_tasks *first;
} lsp_registries;
