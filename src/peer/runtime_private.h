/* What the files of the runtime share: runtime.c, runtime_open.c, runtime_stop.c. */
#pragma once

#include "install/archive.h"
#include "net/discovery.h"
#include "peer/connect.h"
#include "peer/runtime.h"
#include "store/catalog.h"
#include "store/config.h"
#include "store/state_lock.h"
#include "task/answer.h"
#include "task/operation.h"
#include "task/supervisor.h"

#include <stdatomic.h>

struct lsp_library;

struct lsp_runtime {
	struct lsp_peer peer;

	/* Immutable once started. */
	struct lsp_folder_lock *lock;
	struct lsp_config *config; /* the core loop's, once it runs */
	struct lsp_identity *identity;
	struct lsp_catalog *catalog;
	struct lsp_library *library;
	struct lsp_pool *hash;
	struct lsp_supervisor *supervisor;
	struct lsp_unpacker unpacker;
	char *unpack_helper, *unpacker_command, *discover_helper;
	struct lsp_connect_options connect_options;
	char *listen, *interface;
	bool discovery;
	struct lsp_discovery_options discovery_options;
	char discovery_name[64]; /* what is announced: the discovery's thread reads it */
	char **hosts;            /* --peer names, NULL-terminated */

	/* The core loop's. */
	struct lsp_supervised *liveness;
	struct lsp_timer liveness_timer;
	lsp_time next_second;

	/* Written before the root token is cancelled. */
	char failed_component[LSP_TASK_NAME_MAX];
	struct lsp_error failed_error;

	_Atomic(char *) http_url;
	struct lsp_answer endpoint_closed;
	struct lsp_task_guard core_guard; /* on the core loop's task */
	atomic_bool core_gone;            /* the core loop ended though nobody asked */
	bool unjoined;                    /* a task would not end: nothing may be freed */
	struct lanspread_exit exit;
	struct lsp_answer stopped; /* complete once `exit` is there */
};

/* runtime_open.c */
LSP_MUST_CHECK int lsp_runtime_open_state(struct lsp_runtime *runtime,
	const struct lanspread_options *options, struct lsp_error *err);
LSP_MUST_CHECK int lsp_runtime_set_unpacker(struct lsp_runtime *runtime,
	const struct lanspread_options *options, struct lsp_error *err);
void lsp_runtime_take_name(struct lsp_runtime *runtime);

/* runtime.c */
int lsp_runtime_build_core(void *runtime, struct lsp_error *err);
void lsp_runtime_free_core(struct lsp_runtime *runtime);

/* runtime_stop.c */
int lsp_runtime_task(struct lsp_cancel *token, void *runtime, struct lsp_error *err);
/* Takes down what stands after a start that failed, and frees the runtime. */
void lsp_runtime_unwind(struct lsp_runtime *runtime);
/* lsp_operations_new's callback. argument: the peer. */
void lsp_runtime_operations_changed(void *peer);

/* discovery.c */
LSP_MUST_CHECK int lsp_runtime_start_discovery(struct lsp_runtime *runtime,
	const struct lanspread_options *options, struct lsp_error *err);
