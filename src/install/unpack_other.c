/* The unpackers that are not ours (a command, a callback), the check behind them, and libarchive in
 * this process. */
#include "install/archive.h"

#include "base/buffer.h"
#include "base/fs.h"
#include "base/text.h"
#include "install/extract.h"
#include "install/tree.h"
#include "task/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#define DOMAIN "install"

/* ---- The check ---- */

struct check {
	const struct lsp_unpack_request *request;
	const struct lsp_unpack_limits *limits;
	struct lsp_unpack_stats stats;
};

static int check_file(
	struct check *check, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	if (entry->st->st_nlink > 1)
		return lsp_error_set(err, DOMAIN, LSP_E_DENIED,
			"the unpacker left a hard link, \"%s\"", entry->path);
	check->stats.bytes += (uint64_t)entry->st->st_size;
	if (check->stats.bytes > check->limits->bytes)
		return lsp_error_set(err, DOMAIN, LSP_E_TOO_LARGE,
			"the archive holds more than %llu bytes",
			(unsigned long long)check->limits->bytes);
	mode_t wanted = entry->st->st_mode & 0111 ? 0755 : 0644;
	if ((entry->st->st_mode & 07777) == wanted)
		return 0;
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_below(entry->dir_fd, entry->name, O_RDONLY, 0, &fd, err);
	return r < 0 ? r : lsp_fs_chmod(fd, wanted, entry->path, err);
}

static int check_entry(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	struct check *check = argument;
	if (entry->leaving)
		return 0;
	if (++check->stats.entries > check->limits->entries)
		return lsp_error_set(err, DOMAIN, LSP_E_TOO_LARGE,
			"the archive has more than %llu entries",
			(unsigned long long)check->limits->entries);
	if (S_ISREG(entry->st->st_mode))
		return check_file(check, entry, err);
	if (S_ISDIR(entry->st->st_mode))
		return 0;
	char text[PATH_MAX];
	if (!S_ISLNK(entry->st->st_mode)) {
		check->stats.skipped++;
		return lsp_fs_unlink_below(entry->dir_fd, entry->name, err);
	}
	int r = lsp_tree_read_link(entry->dir_fd, entry->name, text, sizeof text, err);
	if (r == 0 && !lsp_tree_link_stays_inside(entry->path, text))
		r = lsp_error_set(err, DOMAIN, LSP_E_DENIED,
			"the archive's link \"%.100s\" leads out of the game, to \"%.100s\"",
			entry->path, text);
	return r;
}

int lsp_unpack_check(const struct lsp_unpack_request *request, struct lsp_unpack_stats *ret_stats,
	struct lsp_error *err)
{
	struct check check = {.request = request,
		.limits = request->limits ? request->limits : &lsp_unpack_limits_default,
		.stats.known = true};
	int r = lsp_tree_walk(request->target_fd, ".", request->token, check_entry, &check, err);
	if (r == 0)
		*ret_stats = check.stats;
	return r;
}

/* ---- Paths for others ---- */

/* The absolute path of what lies below a descriptor. */
static int absolute_path(int fd, const char *below, char **ret_path, struct lsp_error *err)
{
	char link[64], folder[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t got = readlink(link, folder, sizeof folder - 1);
	if (got <= 0)
		return lsp_error_errno(
			err, DOMAIN, got < 0 ? errno : EIO, "cannot tell a folder's path");
	folder[got] = '\0';
	char *path = *below ? lsp_text_format("%s/%s", folder, below) : strdup(folder);
	if (!path)
		return lsp_error_no_memory(err, DOMAIN);
	*ret_path = path;
	return 0;
}

static int both_paths(const struct lsp_unpack_request *request, char **ret_archive,
	char **ret_target, struct lsp_error *err)
{
	_cleanup_free_ char *archive = NULL;
	int r = absolute_path(request->game_fd, request->archive->volumes[0]->where, &archive, err);
	if (r == 0)
		r = absolute_path(request->target_fd, "", ret_target, err);
	if (r == 0)
		*ret_archive = TAKE_PTR(archive);
	return r;
}

/* ---- A command ---- */

static int unpack_by_command(const struct lsp_unpacker *unpacker,
	const struct lsp_unpack_request *request, struct lsp_unpack_stats *ret_stats,
	struct lsp_error *err)
{
	_cleanup_free_ char *archive = NULL;
	_cleanup_free_ char *target = NULL;
	_cleanup_free_ char *words = strdup(unpacker->command);
	const char *argv[32];
	size_t count = 0;
	int r = both_paths(request, &archive, &target, err);
	if (r < 0)
		return r;
	if (!words)
		return lsp_error_no_memory(err, DOMAIN);
	char *save = NULL;
	for (char *word = strtok_r(words, " \t", &save); word && count < 28;
		word = strtok_r(NULL, " \t", &save))
		argv[count++] = word;
	if (count == 0)
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID, "the unpacker command is empty");
	argv[count++] = archive;
	argv[count++] = target;
	argv[count] = NULL;
	struct lsp_child_options options = {.argv = argv, .token = request->token};
	_cleanup_child_ struct lsp_child *child = NULL;
	r = lsp_child_start(unpacker->tasks, "unpack", &options, &child, err);
	if (r == 0)
		r = lsp_child_finish(child, err);
	if (r < 0 && r != -LSP_E_CANCELLED)
		return lsp_error_prefix(err, r, "the command \"%s\" could not unpack \"%s\"",
			unpacker->command, request->archive->volumes[0]->path);
	return r < 0 ? r : lsp_unpack_check(request, ret_stats, err);
}

void lsp_unpacker_init_command(
	struct lsp_unpacker *unpacker, struct lsp_tasks *tasks, const char *command)
{
	*unpacker = (struct lsp_unpacker){
		.unpack = unpack_by_command, .tasks = tasks, .command = command};
}

/* ---- A callback ---- */

static void set_flag(void *argument)
{
	*(volatile int *)argument = 1;
}

static int unpack_by_callback(const struct lsp_unpacker *unpacker,
	const struct lsp_unpack_request *request, struct lsp_unpack_stats *ret_stats,
	struct lsp_error *err)
{
	_cleanup_free_ char *archive = NULL;
	_cleanup_free_ char *target = NULL;
	int r = both_paths(request, &archive, &target, err);
	if (r < 0)
		return r;
	volatile int cancelled = 0;
	char message[256] = "";
	struct lsp_cancel_callback watch = {0};
	if (request->token)
		lsp_cancel_register(request->token, &watch, set_flag, (void *)&cancelled);
	int failed = unpacker->callback(
		archive, target, &cancelled, message, sizeof message, unpacker->callback_argument);
	if (request->token)
		lsp_cancel_unregister(&watch);
	r = lsp_cancel_check(request->token, err);
	if (r < 0)
		return r;
	message[sizeof message - 1] = '\0';
	if (failed)
		return lsp_error_set(err, DOMAIN, LSP_E_FAILED, "cannot unpack \"%s\": %s",
			request->archive->volumes[0]->path,
			message[0] ? message : "no reason was given");
	return lsp_unpack_check(request, ret_stats, err);
}

void lsp_unpacker_init_callback(
	struct lsp_unpacker *unpacker, lsp_unpack_callback callback, void *argument)
{
	*unpacker = (struct lsp_unpacker){
		.unpack = unpack_by_callback, .callback = callback, .callback_argument = argument};
}

/* ---- In this process ---- */

static int on_progress(
	void *argument, uint64_t in, uint64_t out, uint64_t entries, struct lsp_error *err)
{
	const struct lsp_unpack_request *request = argument;
	(void)entries;
	if (request->progress)
		request->progress(request->argument, in, out);
	return lsp_cancel_check(request->token, err);
}

static int extract_here(const struct lsp_unpack_request *request, int target_fd,
	struct lsp_unpack_stats *ret_stats, struct lsp_error *err)
{
	const struct lsp_archive *archive = request->archive;
	_cleanup_free_ struct lsp_extract_volume *volumes = calloc(archive->count, sizeof *volumes);
	if (!volumes)
		return lsp_error_no_memory(err, DOMAIN);
	size_t opened = 0;
	int r = 0;
	for (; r == 0 && opened < archive->count; opened++) {
		volumes[opened] = (struct lsp_extract_volume){-1, archive->volumes[opened]->path};
		r = lsp_fs_open_below(request->game_fd, archive->volumes[opened]->where, O_RDONLY,
			0, &volumes[opened].fd, err);
	}
	struct lsp_extract extract = {volumes, archive->count, target_fd,
		request->limits ? request->limits : &lsp_unpack_limits_default, on_progress,
		(void *)request};
	if (r == 0)
		r = lsp_extract_run(&extract, ret_stats, err);
	for (size_t i = 0; i < opened; i++)
		lsp_cleanup_close(&volumes[i].fd);
	return r;
}

static int unpack_here(const struct lsp_unpacker *unpacker,
	const struct lsp_unpack_request *request, struct lsp_unpack_stats *ret_stats,
	struct lsp_error *err)
{
	(void)unpacker;
	return extract_here(request, request->target_fd, ret_stats, err);
}

static int measure_here(const struct lsp_unpacker *unpacker,
	const struct lsp_unpack_request *request, struct lsp_unpack_stats *ret_stats,
	struct lsp_error *err)
{
	(void)unpacker;
	return extract_here(request, -1, ret_stats, err);
}

void lsp_unpacker_init_here(struct lsp_unpacker *unpacker)
{
	*unpacker = (struct lsp_unpacker){.unpack = unpack_here, .measure = measure_here};
}
