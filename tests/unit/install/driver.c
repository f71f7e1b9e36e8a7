/*
 * One operation on one game's folder, in one thread and one process: what the crash tests kill, and
 * what the filesystem tests run.
 *
 *     install-driver install|update|uninstall|purge|remove|recover|look GAME_DIR
 *
 * update takes the new content from .lanspread/stage/files, all of it, and moves it into place as a
 * download would. Archives are unpacked in this process. The date is 2026-01-31 for ever. Exit 0,
 * or 1 with the error on stderr. With LANSPREAD_OPERATION_LOG=FILE every mutating call that
 * succeeded is written there, one JSON object a line: what powercut.py replays. With
 * LANSPREAD_KILL_AT=N the process kills itself before mutating call N (the first is 1).
 */
#include "base/fs.h"
#include "base/text.h"
#include "install/install.h"
#include "install/tree.h"

#include <locale.h>
#include <signal.h>
#include <string.h>

#define STAGE ".lanspread/stage/files"

static uint64_t fixed_wall(const struct lsp_clock *clock)
{
	(void)clock;
	return UINT64_C(1769860800) * LSP_SECOND;
}

/* ---- The operation log ---- */

static const char *const call_names[] = {"open", "write", "truncate", "sync", "mkdir", "rename",
	"exchange", "unlink", "rmdir", "symlink", "chmod", "clone", "sync_all", "times"};

static void print_path(FILE *log, const char *key, int fd, const char *below)
{
	char link[64], path[4096];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t got = readlink(link, path, sizeof path - 1);
	if (got > 0)
		fprintf(log, ", \"%s\": \"%.*s%s%s\"", key, (int)got, path, below ? "/" : "",
			below ? below : "");
}

static void record(const struct lsp_fs_event *event, void *argument)
{
	FILE *log = argument;
	fprintf(log, "{\"call\": \"%s\"", call_names[event->call]);
	if (event->path)
		print_path(log, "path", event->dir_fd, event->path);
	else
		print_path(log, "path", event->fd, NULL);
	if (event->call == LSP_FS_SYMLINK)
		fprintf(log, ", \"text\": \"%s\"", event->target);
	else if (event->target)
		print_path(log, "target", event->target_dir_fd, event->target);
	struct stat st;
	if (event->call == LSP_FS_OPEN && fstat(event->fd, &st) == 0)
		fprintf(log, ", \"size\": %lld, \"mode\": %d", (long long)st.st_size,
			(int)(st.st_mode & 0777));
	fprintf(log, ", \"offset\": %lld, \"data\": \"", (long long)event->offset);
	for (size_t i = 0; event->data && i < event->size; i++)
		fprintf(log, "%02x", ((const unsigned char *)event->data)[i]);
	fputs("\"}\n", log);
}

static uint64_t kill_at, calls;

static int maybe_die(const struct lsp_fs_event *event, void *argument)
{
	(void)event;
	(void)argument;
	if (++calls == kill_at)
		raise(SIGKILL);
	return 0;
}

static void start_log(void)
{
	static struct lsp_fs_hooks hooks = {maybe_die, NULL, NULL};
	const char *path = getenv("LANSPREAD_OPERATION_LOG"), *at = getenv("LANSPREAD_KILL_AT");
	hooks.argument = path ? fopen(path, "we") : NULL;
	if (hooks.argument)
		hooks.after = record;
	if (at && lsp_text_to_u64(at, &kill_at, NULL) < 0)
		exit(2);
	lsp_fs_set_hooks(&hooks);
}

/* ---- Operations ---- */

static struct lsp_unpacker unpacker;
static struct lsp_clock dated;
static struct lsp_install_options options = {.unpacker = &unpacker, .clock = &dated};

struct paths {
	char *list[64];
	size_t count;
	int game;
};

static int add_path(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	struct paths *paths = argument;
	if (S_ISDIR(entry->st->st_mode))
		return 0;
	if (paths->count == LSP_ARRAY_SIZE(paths->list) ||
		!(paths->list[paths->count] = strdup(entry->path)))
		return lsp_error_no_memory(err, "driver");
	paths->count++;
	return 0;
}

/* Flat contents only, which is enough for five files. */
static int add_steps(void *argument, struct lsp_redo *redo, struct lsp_error *err)
{
	struct paths *paths = argument;
	int r = 0;
	for (size_t i = 0; r == 0 && i < paths->count; i++)
		if (lsp_fs_exists_below(paths->game, paths->list[i]))
			r = lsp_redo_aside(redo, paths->list[i], err);
	for (int last = 0; last < 2; last++) {
		for (size_t i = 0; r == 0 && i < paths->count; i++) {
			_cleanup_free_ char *from = lsp_text_format(STAGE "/%s", paths->list[i]);
			if ((strcmp(paths->list[i], "version.ini") == 0) == last)
				r = lsp_redo_place(redo, from, paths->list[i], err);
		}
		if (r == 0 && !last)
			r = lsp_redo_barrier(redo, err);
	}
	return r;
}

static int update(int game, struct lsp_install_result *result, struct lsp_error *err)
{
	struct paths paths = {.game = game};
	struct lsp_install_result recovered;
	int r = lsp_install_recover(game, &options, &recovered, err);
	if (r == 0 && lsp_fs_exists_below(game, STAGE "/version.ini"))
		r = lsp_tree_walk(game, STAGE, NULL, add_path, &paths, err);
	struct lsp_install_update update = {
		STAGE, (const char *const *)paths.list, paths.count, add_steps, &paths};
	if (r == 0)
		r = lsp_install_update(game, paths.count ? &update : NULL, &options, result, err);
	for (size_t i = 0; i < paths.count; i++)
		free(paths.list[i]);
	return r;
}

static int operate(
	const char *what, int game, struct lsp_install_result *result, struct lsp_error *err)
{
	bool empty;
	if (strcmp(what, "install") == 0)
		return lsp_install(game, &options, result, err);
	if (strcmp(what, "update") == 0)
		return update(game, result, err);
	if (strcmp(what, "uninstall") == 0 || strcmp(what, "purge") == 0)
		return lsp_uninstall(game, *what == 'p', &options, result, err);
	if (strcmp(what, "remove") == 0)
		return lsp_remove_download(game, NULL, 0, &options, &empty, err);
	if (strcmp(what, "recover") == 0)
		return lsp_install_recover(game, &options, result, err);
	if (strcmp(what, "check") == 0)
		return lsp_install_check(game, NULL, err);
	return lsp_error_set(err, "driver", LSP_E_INVALID, "no such operation");
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	setlocale(LC_CTYPE, "C.UTF-8");
	dated = *lsp_clock_system;
	dated.wall = fixed_wall;
	lsp_unpacker_init_here(&unpacker);
	start_log();
	struct lsp_error err = {0};
	struct lsp_install_result result = {0};
	_cleanup_close_ int game = -1;
	int r = lsp_fs_open_dir(argv[2], &game, &err);
	if (r == 0)
		r = operate(argv[1], game, &result, &err);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", lsp_code_name(-r), err.message);
	return r < 0;
}
