/* Looking at what is installed, and recovery of all games. */
#include "install/install.h"

#include "base/fs.h"
#include "install/record.h"
#include "install/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define DOMAIN "install"

void lsp_install_look(int game_fd, struct lsp_install_state *ret_state)
{
	struct lsp_install_state state = {0};
	struct stat st;
	state.installed = lsp_fs_stat_below(game_fd, LSP_INSTALL_LOCAL, &st, NULL) == 0 &&
			  S_ISDIR(st.st_mode);
	state.pending = lsp_redo_pending(game_fd);
	state.recorded = state.installed && lsp_record_read_version(game_fd, LSP_RECORD_PATH,
						    state.version, NULL) == 0;
	*ret_state = state;
}

int lsp_install_check(int game_fd, struct lsp_cancel *token, struct lsp_error *err)
{
	_cleanup_record_ struct lsp_record record = {0};
	int r = lsp_record_read(game_fd, LSP_RECORD_PATH, &record, err);
	if (r < 0)
		return r == -LSP_E_NOT_FOUND ? 0 : r;
	_cleanup_close_ int local = -1;
	r = lsp_fs_open_dir_below(game_fd, LSP_INSTALL_LOCAL, &local, err);
	size_t missing = 0;
	const char *first = NULL;
	for (size_t i = 0; r == 0 && i < record.count; i++) {
		r = lsp_cancel_check(token, err);
		if (r == 0 && !lsp_fs_exists_below(local, record.files[i].path)) {
			first = first ? first : record.files[i].path;
			missing++;
		}
	}
	if (r == 0 && missing)
		return lsp_error_set(err, DOMAIN, LSP_E_CORRUPT,
			"%zu of %zu installed files are missing, \"%.200s\" among them: "
			"uninstall and install again",
			missing, record.count, first);
	return r;
}

/* ---- All games ---- */

struct pass {
	const struct lsp_recovery *recovery;
	bool deletes; /* the second pass */
};

static bool needs_anything(int game_fd)
{
	static const char *const signs[] = {LSP_REDO_INTENT, LSP_REDO_OLD, LSP_INSTALL_STAGING,
		".lanspread/old-local", ".lanspread/old-installed", ".lanspread/.intent.tmp"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(signs); i++)
		if (lsp_fs_exists_below(game_fd, signs[i]))
			return true;
	return false;
}

static int recover_game(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	const struct pass *pass = argument;
	const struct lsp_recovery *recovery = pass->recovery;
	(void)err;
	_cleanup_close_ int game = -1;
	struct stat st;
	/* A game's folder may be a symlink to another disk. */
	if (*entry->name == '.' || fstatat(entry->dir_fd, entry->name, &st, 0) < 0 ||
		!S_ISDIR(st.st_mode) ||
		(recovery->is_active && recovery->is_active(recovery->argument, entry->name)))
		return 0;
	game = openat(entry->dir_fd, entry->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (game < 0 || !needs_anything(game))
		return 0;
	struct lsp_error local = {0};
	struct lsp_install_result result = {0};
	struct lsp_install_options options = {.clock = recovery->clock};
	bool forward = false;
	int r = pass->deletes ? lsp_install_recover(game, &options, &result, &local)
			      : lsp_redo_recover(game, &forward, &local);
	bool say = pass->deletes ? r == 0 || !result.pending : r < 0 || forward;
	if (say && recovery->report)
		recovery->report(recovery->argument, entry->name, &local, &result);
	return 0;
}

int lsp_install_recover_all(
	int games_fd, const struct lsp_recovery *recovery, struct lsp_error *err)
{
	struct pass complete = {recovery, false}, delete = {recovery, true};
	int r = lsp_tree_list(games_fd, ".", recovery->token, recover_game, &complete, err);
	return r < 0 ? r
		     : lsp_tree_list(games_fd, ".", recovery->token, recover_game, &delete, err);
}
