#include "install/transaction.h"

#include "base/fs.h"
#include "base/log.h"

#include <string.h>

#define DOMAIN "install"

void lsp_transaction_progress(
	const struct lsp_transaction *transaction, const char *phase, uint64_t done, uint64_t total)
{
	const struct lsp_install_options *options = transaction->options;
	if (options->progress)
		options->progress(options->argument, phase, done, total);
}

/* ---- Recovery of one game ---- */

/* What an interrupted or finished transaction left. Nothing in here is anybody's any more. */
static int delete_leftovers(int game_fd, const struct lsp_clock *clock,
	struct lsp_install_result *result, struct lsp_error *err)
{
	char name[LSP_KEEP_NAME_MAX] = "";
	uint64_t kept = 0;
	int r = lsp_keep_reclaim(game_fd, clock, name, &kept, err);
	if (*name) {
		memcpy(result->kept, name, sizeof name);
		result->kept_files += kept;
	}
	if (r == 0)
		r = lsp_redo_clean(game_fd, err);
	if (r == 0)
		r = lsp_fs_remove_tree_below(game_fd, LSP_INSTALL_STAGING, err);
	return r;
}

int lsp_install_recover(int game_fd, const struct lsp_install_options *options,
	struct lsp_install_result *ret_result, struct lsp_error *err)
{
	*ret_result = (struct lsp_install_result){0};
	if (!lsp_fs_exists_below(game_fd, LSP_REDO_PRIVATE))
		return 0;
	int r = lsp_redo_recover(game_fd, NULL, err);
	if (r < 0) {
		ret_result->pending = true;
		return r;
	}
	return delete_leftovers(game_fd, options ? options->clock : NULL, ret_result, err);
}

/* ---- Begin and end ---- */

static int look(struct lsp_transaction *transaction, struct lsp_error *err)
{
	struct stat st;
	int r = lsp_fs_stat_below(transaction->game_fd, LSP_INSTALL_LOCAL, &st, err);
	if (r == -LSP_E_NOT_FOUND)
		return 0;
	if (r == 0 && !S_ISDIR(st.st_mode))
		r = lsp_error_set(err, DOMAIN, LSP_E_DENIED,
			"\"local\" in the game's folder is not a folder: move it away");
	if (r < 0)
		return r;
	transaction->has_local = true;
	r = lsp_record_read(transaction->game_fd, LSP_RECORD_PATH, &transaction->old_record, err);
	transaction->has_record = r == 0;
	return r == -LSP_E_NOT_FOUND || r == -LSP_E_CORRUPT ? 0 : r;
}

int lsp_transaction_begin(struct lsp_transaction *transaction, int game_fd, const char *purpose,
	const struct lsp_install_options *options, struct lsp_install_result *ret_result,
	struct lsp_error *err)
{
	*transaction = (struct lsp_transaction){
		.game_fd = game_fd, .options = options, .result = ret_result};
	struct lsp_install_result recovered;
	int r = lsp_install_recover(game_fd, options, &recovered, err);
	*ret_result = (struct lsp_install_result){.pending = recovered.pending};
	if (r == 0)
		r = lsp_cancel_check(options->token, err);
	if (r == 0)
		r = lsp_redo_new(purpose, &transaction->redo, err);
	if (r == 0)
		r = lsp_fs_make_dirs_below(game_fd, LSP_INSTALL_STAGING, err);
	return r < 0 ? r : look(transaction, err);
}

void lsp_transaction_end(struct lsp_transaction *transaction)
{
	struct lsp_error err = {0};
	struct lsp_install_result late = {0};
	if (transaction->redo && !transaction->result->pending &&
		!lsp_redo_pending(transaction->game_fd)) {
		if (delete_leftovers(
			    transaction->game_fd, transaction->options->clock, &late, &err) < 0)
			lsp_log_warning(
				DOMAIN, "left to be deleted at the next start: %s", err.message);
		transaction->result->kept_files += late.kept_files;
		if (*late.kept && !*transaction->result->kept)
			memcpy(transaction->result->kept, late.kept, sizeof late.kept);
	}
	lsp_redo_free(transaction->redo);
	lsp_record_done(&transaction->old_record);
}

/* ---- Steps ---- */

static int put_old_aside(struct lsp_transaction *transaction, struct lsp_error *err)
{
	struct lsp_redo *redo = transaction->redo;
	int r = lsp_redo_aside_to(redo, LSP_INSTALL_LOCAL, LSP_KEEP_OLD_LOCAL, err);
	if (r == 0 && transaction->has_record)
		return lsp_redo_aside_to(redo, LSP_RECORD_PATH, LSP_KEEP_OLD_RECORD, err);
	/* A torn record goes too; a new one needs its place. */
	if (r == 0 && lsp_fs_exists_below(transaction->game_fd, LSP_RECORD_PATH))
		r = lsp_redo_aside(redo, LSP_RECORD_PATH, err);
	return r;
}

static int keep_files(struct lsp_transaction *transaction, struct lsp_redo *moves, bool new_local,
	const char *name, struct lsp_error *err)
{
	struct lsp_keep keep = {
		.game_fd = transaction->game_fd,
		.record = transaction->has_record ? &transaction->old_record : NULL,
		.new_local = new_local ? LSP_STAGED_LOCAL : NULL,
		.name = name,
		.token = transaction->options->token,
		.redo = moves,
	};
	int r = lsp_keep_plan(&keep, err);
	if (r < 0)
		return r;
	transaction->result->kept_files = keep.kept;
	transaction->result->moved_files = keep.moved;
	if (keep.kept || keep.whole)
		snprintf(transaction->result->kept, sizeof transaction->result->kept, "%s", name);
	return 0;
}

int lsp_transaction_swap_local(
	struct lsp_transaction *transaction, bool new_local, struct lsp_error *err)
{
	struct lsp_redo *redo = transaction->redo;
	_cleanup_(lsp_redo_free_pointer) struct lsp_redo *moves = NULL;
	char name[LSP_KEEP_NAME_MAX];
	int r = lsp_redo_new("moves", &moves, err);
	if (r == 0 && transaction->has_local)
		r = put_old_aside(transaction, err);
	if (r == 0 && transaction->has_local)
		r = lsp_keep_name(transaction->game_fd, transaction->options->clock, name, err);
	if (r == 0 && transaction->has_local)
		r = keep_files(transaction, moves, new_local, name, err);
	if (r == 0 && new_local)
		r = lsp_redo_place(redo, LSP_STAGED_LOCAL, LSP_INSTALL_LOCAL, err);
	if (r == 0 && new_local)
		r = lsp_redo_place(redo, LSP_STAGED_RECORD, LSP_RECORD_PATH, err);
	if (r == 0 && lsp_fs_exists_below(transaction->game_fd, LSP_KEEP_STAGED))
		r = lsp_redo_place(redo, LSP_KEEP_STAGED, name, err);
	return r < 0 ? r : lsp_redo_append(redo, moves, err);
}

int lsp_transaction_commit(struct lsp_transaction *transaction, struct lsp_error *err)
{
	lsp_transaction_progress(transaction, "syncing", 0, 0);
	int r = lsp_fs_sync_all(transaction->game_fd, "the prepared files", err);
	if (r == 0)
		r = lsp_cancel_check(transaction->options->token, err);
	if (r < 0)
		return r;
	lsp_transaction_progress(transaction, "finishing", 0, 0);
	r = lsp_redo_commit(
		transaction->redo, transaction->game_fd, &transaction->result->pending, err);
	if (r < 0 && transaction->result->pending && err) {
		struct lsp_error why = *err;
		lsp_error_set(err, why.domain, why.code,
			"%.380s; it will be completed when the disk can be written again",
			why.message);
		err->sys_errno = why.sys_errno;
	}
	transaction->committed = r == 0;
	return r;
}
