/* Uninstall and remove. */
#include "install/install.h"

#include "base/fs.h"
#include "install/transaction.h"
#include "install/tree.h"
#include "wire/path.h"

#include <string.h>

#define DOMAIN "install"

/* ---- Uninstall ---- */

static int purge_kept(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	if (strncmp(entry->name, "local.kept-", 11) != 0 || !S_ISDIR(entry->st->st_mode))
		return 0;
	return lsp_redo_aside(argument, entry->name, err);
}

/* All of it to `.lanspread/old`, where nobody looks for the user's files. */
static int purge_steps(struct lsp_transaction *transaction, struct lsp_error *err)
{
	struct lsp_redo *redo = transaction->redo;
	int r = lsp_redo_aside(redo, LSP_INSTALL_LOCAL, err);
	if (r == 0 && lsp_fs_exists_below(transaction->game_fd, LSP_RECORD_PATH))
		r = lsp_redo_aside(redo, LSP_RECORD_PATH, err);
	return r < 0 ? r : lsp_tree_list(transaction->game_fd, ".", NULL, purge_kept, redo, err);
}

static int run_uninstall(struct lsp_transaction *transaction, bool purge, struct lsp_error *err)
{
	if (!transaction->has_local)
		return lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND, "it is not installed");
	int r = purge ? purge_steps(transaction, err)
		      : lsp_transaction_swap_local(transaction, false, err);
	return r < 0 ? r : lsp_transaction_commit(transaction, err);
}

int lsp_uninstall(int game_fd, bool purge, const struct lsp_install_options *options,
	struct lsp_install_result *ret_result, struct lsp_error *err)
{
	struct lsp_transaction transaction;
	int r = lsp_transaction_begin(&transaction, game_fd, "uninstall", options, ret_result, err);
	if (r == 0)
		r = run_uninstall(&transaction, purge, err);
	if (r < 0) {
		bool pending = ret_result->pending;
		*ret_result = (struct lsp_install_result){.pending = pending};
	}
	lsp_transaction_end(&transaction);
	return r;
}

/* ---- Remove
 * ----------------------------------------------------------------------------------------------------
 */

static int remove_top(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	if (lsp_path_is_private(entry->name) || strcmp(entry->name, "version.ini") == 0)
		return 0;
	return lsp_redo_aside(argument, entry->name, err);
}

/* The folders of a path, innermost first: those that are empty then go. */
static int drop_folders(struct lsp_redo *redo, const char *path, struct lsp_error *err)
{
	_cleanup_free_ char *folder = strdup(path);
	if (!folder)
		return lsp_error_no_memory(err, DOMAIN);
	int r = 0;
	for (char *slash = strrchr(folder, '/'); r == 0 && slash; slash = strrchr(folder, '/')) {
		*slash = '\0';
		r = lsp_redo_drop_folder(redo, folder, err);
	}
	return r;
}

static int remove_paths(struct lsp_transaction *transaction, const char *const *paths, size_t count,
	struct lsp_error *err)
{
	struct lsp_redo *redo = transaction->redo;
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++)
		if (strcmp(paths[i], "version.ini") != 0 &&
			lsp_fs_exists_below(transaction->game_fd, paths[i]))
			r = lsp_redo_aside(redo, paths[i], err);
	/* From the end: what is deeper comes behind what it is in. */
	for (size_t i = count; r == 0 && i-- > 0;)
		r = drop_folders(redo, paths[i], err);
	return r;
}

static int run_remove(struct lsp_transaction *transaction, const char *const *paths, size_t count,
	struct lsp_error *err)
{
	struct lsp_redo *redo = transaction->redo;
	int r = 0;
	if (lsp_fs_exists_below(transaction->game_fd, "version.ini"))
		r = lsp_redo_aside(redo, "version.ini", err);
	if (r == 0)
		r = paths ? remove_paths(transaction, paths, count, err)
			  : lsp_tree_list(transaction->game_fd, ".", NULL, remove_top, redo, err);
	if (r == 0 && lsp_fs_exists_below(transaction->game_fd, ".lanspread/stage"))
		r = lsp_redo_aside_to(redo, ".lanspread/stage", LSP_REDO_OLD "/.stage", err);
	return r < 0 ? r : lsp_transaction_commit(transaction, err);
}

static int count_entry(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	(void)err;
	if (strcmp(entry->name, LSP_REDO_PRIVATE) != 0)
		*(size_t *)argument += 1;
	return 0;
}

/* Our own folder goes with the last file, unless it still says something. */
static bool is_empty(int game_fd, bool has_local)
{
	size_t count = has_local ? 1 : 0;
	if (lsp_tree_list(game_fd, ".", NULL, count_entry, &count, NULL) < 0 || count ||
		lsp_redo_pending(game_fd))
		return false;
	return lsp_fs_remove_tree_below(game_fd, LSP_REDO_PRIVATE, NULL) == 0;
}

int lsp_remove_download(int game_fd, const char *const *paths, size_t path_count,
	const struct lsp_install_options *options, bool *ret_empty, struct lsp_error *err)
{
	struct lsp_transaction transaction;
	struct lsp_install_result result;
	int r = lsp_transaction_begin(&transaction, game_fd, "remove", options, &result, err);
	if (r == 0)
		r = run_remove(&transaction, paths, path_count, err);
	bool has_local = transaction.has_local;
	lsp_transaction_end(&transaction);
	if (r == 0)
		*ret_empty = is_empty(game_fd, has_local);
	return r;
}
