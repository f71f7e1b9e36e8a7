/* Install and update: filling the staging folder, and the swap. */
#include "install/install.h"

#include "base/fs.h"
#include "base/text.h"
#include "install/source.h"
#include "install/space.h"
#include "install/transaction.h"
#include "install/tree.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define DOMAIN "install"

/* ---- Archives ---- */

struct unpacking {
	const struct lsp_transaction *transaction;
	uint64_t before; /* bytes of the archives that are done */
	uint64_t total;
};

static void on_unpack_progress(void *argument, uint64_t in, uint64_t out)
{
	const struct unpacking *unpacking = argument;
	(void)out;
	lsp_transaction_progress(unpacking->transaction, "unpacking",
		LSP_MIN(unpacking->before + in, unpacking->total), unpacking->total);
}

static int unpack_all(struct lsp_transaction *transaction, const struct lsp_archives *archives,
	struct lsp_error *err)
{
	const struct lsp_install_options *options = transaction->options;
	_cleanup_close_ int target = -1;
	int r = lsp_fs_open_dir_below(transaction->game_fd, LSP_STAGED_LOCAL, &target, err);
	struct unpacking unpacking = {transaction, 0, archives->size};
	for (size_t i = 0; r == 0 && i < archives->count; i++) {
		struct lsp_unpack_stats stats = {0};
		struct lsp_unpack_request request = {&archives->list[i], transaction->game_fd,
			target, options->limits, options->token, on_unpack_progress, &unpacking};
		r = options->unpacker->unpack(options->unpacker, &request, &stats, err);
		if (r == 0) {
			transaction->result->skipped += stats.skipped;
			unpacking.before += archives->list[i].size;
			on_unpack_progress(&unpacking, 0, 0);
		}
	}
	return r;
}

/* ---- Plain files ---- */

struct copying {
	const struct lsp_transaction *transaction;
	uint64_t done, total;
};

static int on_copied(void *argument, uint64_t bytes, struct lsp_error *err)
{
	struct copying *copying = argument;
	copying->done += bytes;
	lsp_transaction_progress(copying->transaction, "copying", copying->done, copying->total);
	return lsp_cancel_check(copying->transaction->options->token, err);
}

static int copy_one(struct lsp_transaction *transaction, const struct lsp_install_source_file *file,
	int target, struct copying *copying, struct lsp_error *err)
{
	const char *slash = strrchr(file->path, '/');
	int r = 0;
	if (slash) {
		_cleanup_free_ char *parent = strndup(file->path, (size_t)(slash - file->path));
		if (!parent)
			return lsp_error_no_memory(err, DOMAIN);
		r = lsp_fs_make_dirs_below(target, parent, err);
	}
	_cleanup_close_ int from = -1;
	if (r == 0)
		r = lsp_fs_open_below(transaction->game_fd, file->where, O_RDONLY, 0, &from, err);
	if (r == 0)
		r = lsp_tree_copy_file(from, target, file->path, file->executable ? 0755 : 0644,
			transaction->options->token, on_copied, copying, err);
	return r;
}

static int copy_all(struct lsp_transaction *transaction, const struct lsp_install_source *source,
	struct lsp_error *err)
{
	_cleanup_close_ int target = -1;
	int r = lsp_fs_open_dir_below(transaction->game_fd, LSP_STAGED_LOCAL, &target, err);
	struct copying copying = {transaction, 0, source->size};
	size_t copied = 0;
	for (size_t i = 0; r == 0 && i < source->count; i++) {
		if (strcmp(source->files[i].path, "version.ini") == 0)
			continue;
		r = copy_one(transaction, &source->files[i], target, &copying, err);
		copied++;
	}
	if (r == 0 && copied == 0)
		r = lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND,
			"there is nothing to install: no archive and no file but version.ini");
	return r;
}

/* ---- Filling the staging folder ---- */

static int check_space(struct lsp_transaction *transaction, const struct lsp_install_source *source,
	const struct lsp_archives *archives, struct lsp_error *err)
{
	const struct lsp_install_options *options = transaction->options;
	struct lsp_space space;
	lsp_transaction_progress(transaction, "checking", 0, 0);
	int r = lsp_space_for_install(
		source, archives, options->unpacker, options->limits, options->token, &space, err);
	if (r == 0 && archives->count == 0 && space.needed > space.free &&
		lsp_space_can_share(transaction->game_fd, LSP_INSTALL_STAGING))
		return 0;
	return r < 0 ? r : lsp_space_check(&space, "installing", err);
}

static int fill(struct lsp_transaction *transaction, const struct lsp_install_source *source,
	struct lsp_error *err)
{
	_cleanup_archives_ struct lsp_archives archives = {0};
	int r = lsp_archives_find(source, &archives, err);
	if (r == 0)
		r = check_space(transaction, source, &archives, err);
	if (r == 0)
		r = lsp_fs_make_dirs_below(transaction->game_fd, LSP_STAGED_LOCAL, err);
	if (r == 0)
		r = archives.count ? unpack_all(transaction, &archives, err)
				   : copy_all(transaction, source, err);
	if (r < 0)
		return r;
	_cleanup_record_ struct lsp_record record = {0};
	char version[LSP_VERSION_TEXT_MAX + 1];
	lsp_install_source_version(source, version, sizeof version);
	r = lsp_record_scan(transaction->game_fd, LSP_STAGED_LOCAL, version,
		transaction->options->token, &record, err);
	return r < 0 ? r : lsp_record_write(&record, transaction->game_fd, LSP_STAGED_RECORD, err);
}

/* ---- Entry points
 * -------------------------------------------------------------------------------------------------
 */

static int run(struct lsp_transaction *transaction, const struct lsp_install_update *update,
	bool replace, struct lsp_error *err)
{
	if (transaction->has_local && !replace)
		return lsp_error_set(err, DOMAIN, LSP_E_EXISTS, "it is installed already");
	_cleanup_install_source_ struct lsp_install_source source = {0};
	int r = update ? lsp_install_source_overlay(transaction->game_fd, update->overlay,
				 update->paths, update->path_count, &source, err)
		       : lsp_install_source_read(
				 transaction->game_fd, transaction->options->token, &source, err);
	if (r == 0)
		r = fill(transaction, &source, err);
	if (r == 0)
		r = lsp_transaction_swap_local(transaction, true, err);
	if (r == 0 && update && update->add_steps)
		r = update->add_steps(update->argument, transaction->redo, err);
	return r < 0 ? r : lsp_transaction_commit(transaction, err);
}

static int install(int game_fd, const char *purpose, const struct lsp_install_update *update,
	bool replace, const struct lsp_install_options *options,
	struct lsp_install_result *ret_result, struct lsp_error *err)
{
	struct lsp_transaction transaction;
	int r = lsp_transaction_begin(&transaction, game_fd, purpose, options, ret_result, err);
	if (r == 0)
		r = run(&transaction, update, replace, err);
	if (r < 0) {
		bool pending = ret_result->pending;
		*ret_result = (struct lsp_install_result){.pending = pending};
	}
	lsp_transaction_end(&transaction);
	return r;
}

int lsp_install(int game_fd, const struct lsp_install_options *options,
	struct lsp_install_result *ret_result, struct lsp_error *err)
{
	return install(game_fd, "install", NULL, false, options, ret_result, err);
}

int lsp_install_update(int game_fd, const struct lsp_install_update *update,
	const struct lsp_install_options *options, struct lsp_install_result *ret_result,
	struct lsp_error *err)
{
	return install(game_fd, "update", update, true, options, ret_result, err);
}
