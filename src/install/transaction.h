/*
 * What install, update, uninstall and remove have in common: how one begins (recovery, an empty
 * staging folder), how its redo list is committed, and how it ends (leftovers deleted). Internal to
 * install/; see install.h for threads and blocking.
 */
#pragma once

#include "install/install.h"
#include "install/keep.h"

#define LSP_STAGED_LOCAL LSP_INSTALL_STAGING "/local"
#define LSP_STAGED_RECORD LSP_INSTALL_STAGING "/installed"

struct lsp_transaction {
	int game_fd;
	const struct lsp_install_options *options;
	struct lsp_install_result *result;
	struct lsp_redo *redo;
	struct lsp_record old_record; /* of `local/` */
	bool has_record;
	bool has_local;
	bool committed;
};

/* Recovers, clears the staging folder, looks at what is there. Always followed by _end. */
LSP_MUST_CHECK int lsp_transaction_begin(struct lsp_transaction *transaction, int game_fd,
	const char *purpose, const struct lsp_install_options *options,
	struct lsp_install_result *ret_result, struct lsp_error *err);

/*
 * Appends the steps that put `local/` (if any) and its record aside, place the staged ones
 * (new_local false: there are none), and move the user's files; the folders that this needs are
 * made in the staging folder.
 */
LSP_MUST_CHECK int lsp_transaction_swap_local(
	struct lsp_transaction *transaction, bool new_local, struct lsp_error *err);

/* Syncs what is staged and commits. */
LSP_MUST_CHECK int lsp_transaction_commit(
	struct lsp_transaction *transaction, struct lsp_error *err);

/* Deletes what is left over (a failure is logged and left to recovery) and frees. */
void lsp_transaction_end(struct lsp_transaction *transaction);

void lsp_transaction_progress(const struct lsp_transaction *transaction, const char *phase,
	uint64_t done, uint64_t total);
