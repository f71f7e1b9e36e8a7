#include "install/add.h"

#include "base/fs.h"
#include "base/text.h"
#include "install/pack.h"
#include "install/space.h"
#include "install/tree.h"
#include "wire/path.h"
#include "wire/version.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#define DOMAIN "install"
#define STAGED LSP_INSTALL_STAGING "/add"

struct add {
	const struct lsp_add_options *options;
	struct lsp_add_result result;
	const char *source;
	int from_fd; /* the folder, or the archive's file */
	int game_fd;
	struct stat games; /* the folder of the whole library */
	bool is_folder;
	bool has_links;
	uint64_t bytes; /* of the original */
	uint64_t done;
};

void lsp_add_result_done(struct lsp_add_result *result)
{
	free(result->cover);
	*result = (struct lsp_add_result){0};
}

static void progress(const struct add *add, const char *phase, uint64_t done, uint64_t total)
{
	if (add->options->progress)
		add->options->progress(add->options->argument, phase, done, total);
}

static int on_bytes(void *argument, uint64_t bytes, struct lsp_error *err)
{
	struct add *add = argument;
	(void)err;
	add->done += bytes;
	progress(add, add->result.packed ? "packing" : "copying", add->done, add->bytes);
	return 0;
}

/* ---- Looking ---- */

static bool is_cover(const char *name)
{
	static const char *const stems[] = {"cover", "folder", "poster", "boxart", "icon"};
	static const char *const extensions[] = {".jpg", ".jpeg", ".png", ".webp"};
	for (size_t s = 0; s < LSP_ARRAY_SIZE(stems); s++)
		for (size_t e = 0; e < LSP_ARRAY_SIZE(extensions); e++) {
			size_t length = strlen(stems[s]);
			if (strncasecmp(name, stems[s], length) == 0 &&
				strcasecmp(name + length, extensions[e]) == 0)
				return true;
		}
	return false;
}

/* A library that becomes a game of its own would be copied into itself. */
static bool is_library(const struct add *add, const struct stat *st)
{
	return st->st_dev == add->games.st_dev && st->st_ino == add->games.st_ino;
}

static int holds_library(const struct add *add, struct lsp_error *err)
{
	return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
		"the games folder is in \"%s\": give the folder of one game", add->source);
}

static int look_at(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	struct add *add = argument;
	mode_t mode = entry->st->st_mode;
	bool top = !strchr(entry->path, '/');
	if (entry->leaving || (top && strcmp(entry->name, "version.ini") == 0))
		return 0;
	if (S_ISLNK(mode)) {
		add->has_links = true;
		return 0;
	}
	if (is_library(add, entry->st))
		return holds_library(add, err);
	if (!S_ISREG(mode) && !S_ISDIR(mode))
		return lsp_error_set(err, DOMAIN, LSP_E_DENIED,
			"\"%s\" is neither a file nor a folder: remove it first", entry->path);
	if (S_ISREG(mode)) {
		add->bytes += (uint64_t)entry->st->st_size;
		add->result.files++;
	}
	if (top && S_ISREG(mode) && !add->result.cover && is_cover(entry->name)) {
		add->result.cover = lsp_text_format("%s/%s", add->source, entry->name);
		if (!add->result.cover)
			return lsp_error_no_memory(err, DOMAIN);
	}
	return 0;
}

/* Names matter only when the files themselves are shared; a folder may turn out to be packed. */
static int check_name(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	(void)argument;
	if (entry->leaving)
		return 0;
	int r = lsp_path_check(entry->path, strlen(entry->path), err);
	if (r < 0)
		return lsp_error_prefix(err, r,
			"other systems cannot have the name \"%.100s\"; --pack puts the folder "
			"into "
			"one archive",
			entry->path);
	return 0;
}

static int look(struct add *add, struct lsp_error *err)
{
	progress(add, "looking", 0, 0);
	if (!add->is_folder) {
		struct stat st;
		if (lsp_archive_sniff(add->from_fd) == LSP_ARCHIVE_NONE)
			return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
				"\"%s\" is neither a folder nor an archive that is known (RAR, "
				"zip, "
				"7z, tar)",
				add->source);
		if (fstat(add->from_fd, &st) < 0)
			return lsp_error_errno(
				err, DOMAIN, errno, "cannot look at \"%s\"", add->source);
		add->bytes = (uint64_t)st.st_size;
		add->result.files = 1;
		return 0;
	}
	int r = lsp_tree_walk(add->from_fd, ".", add->options->token, look_at, add, err);
	if (r == 0 && add->result.files == 0)
		r = lsp_error_set(err, DOMAIN, LSP_E_INVALID, "\"%s\" has no files", add->source);
	add->result.packed = add->options->pack || add->has_links;
	if (r == 0 && !add->result.packed)
		r = lsp_tree_walk(add->from_fd, ".", add->options->token, check_name, add, err);
	return r;
}

/* ---- Preparing ---- */

static int copy_entry(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	struct add *add = argument;
	_cleanup_close_ int from = -1;
	_cleanup_free_ char *to = lsp_text_format(STAGED "/%s", entry->path);
	if (entry->leaving || strcmp(entry->path, "version.ini") == 0)
		return 0;
	if (!to)
		return lsp_error_no_memory(err, DOMAIN);
	if (S_ISDIR(entry->st->st_mode)) /* made with the first file in it: no empty ones */
		return 0;
	char *slash = strrchr(to, '/');
	*slash = '\0';
	int r = lsp_fs_make_dirs_below(add->game_fd, to, err);
	*slash = '/';
	if (r == 0)
		r = lsp_fs_open_below(entry->dir_fd, entry->name, O_RDONLY, 0, &from, err);
	if (r == 0)
		r = lsp_tree_copy_file(from, add->game_fd, to,
			entry->st->st_mode & 0111 ? 0755 : 0644, add->options->token, on_bytes, add,
			err);
	return r;
}

static int prepare_archive(struct add *add, struct lsp_error *err)
{
	const char *slash = strrchr(add->source, '/');
	const char *name = slash ? slash + 1 : add->source;
	int r = lsp_path_check(name, strlen(name), err);
	_cleanup_free_ char *to = lsp_text_format(STAGED "/%s", name);
	if (r == 0 && !to)
		r = lsp_error_no_memory(err, DOMAIN);
	return r < 0 ? r
		     : lsp_tree_copy_file(add->from_fd, add->game_fd, to, 0644, add->options->token,
			       on_bytes, add, err);
}

static int prepare_packed(struct add *add, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *to = lsp_text_format(STAGED "/%s.tar", add->options->game);
	uint64_t size;
	if (!to)
		return lsp_error_no_memory(err, DOMAIN);
	int r = lsp_fs_open_below(add->game_fd, to, O_WRONLY | O_CREAT | O_EXCL, 0644, &fd, err);
	if (r == 0)
		r = lsp_pack_folder(
			add->from_fd, fd, add->options->token, on_bytes, add, &size, err);
	if (r == 0)
		add->bytes = size;
	return r;
}

static int prepare(struct add *add, struct lsp_error *err)
{
	int r = lsp_fs_make_dirs_below(add->game_fd, STAGED, err);
	bool shares = r == 0 && !add->result.packed && lsp_space_can_share(add->game_fd, STAGED);
	if (r == 0 && !shares)
		r = lsp_space_check_at(add->game_fd, add->bytes, "adding the game", err);
	if (r < 0)
		return r;
	r = !add->is_folder ? prepare_archive(add, err)
	    : add->result.packed
		    ? prepare_packed(add, err)
		    : lsp_tree_walk(add->from_fd, ".", add->options->token, copy_entry, add, err);
	_cleanup_free_ char *version = lsp_text_format("%s\n", add->options->version);
	if (r == 0 && !version)
		r = lsp_error_no_memory(err, DOMAIN);
	if (r == 0)
		r = lsp_fs_write_file_below(
			add->game_fd, STAGED "/version.ini", version, strlen(version), 0644, err);
	if (r == 0)
		add->result.size = add->bytes + strlen(version);
	return r;
}

/* ---- Moving into place ---- */

static int place_top(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	if (strcmp(entry->name, "version.ini") == 0)
		return 0;
	_cleanup_free_ char *from = lsp_text_format(STAGED "/%s", entry->name);
	if (!from)
		return lsp_error_no_memory(err, DOMAIN);
	return lsp_redo_place(argument, from, entry->name, err);
}

static int commit(struct add *add, bool *ret_pending, struct lsp_error *err)
{
	_cleanup_(lsp_redo_free_pointer) struct lsp_redo *redo = NULL;
	progress(add, "syncing", 0, 0);
	int r = lsp_fs_sync_all(add->game_fd, "the prepared files", err);
	if (r == 0)
		r = lsp_redo_new("add", &redo, err);
	if (r == 0)
		r = lsp_tree_list(add->game_fd, STAGED, NULL, place_top, redo, err);
	if (r == 0)
		r = lsp_redo_barrier(redo, err);
	if (r == 0)
		r = lsp_redo_place(redo, STAGED "/version.ini", "version.ini", err);
	if (r == 0)
		r = lsp_cancel_check(add->options->token, err);
	return r < 0 ? r : lsp_redo_commit(redo, add->game_fd, ret_pending, err);
}

static int refuse_content(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	const struct add *add = argument;
	if (lsp_path_is_private(entry->name))
		return 0;
	return lsp_error_set(err, DOMAIN, LSP_E_EXISTS,
		"the game \"%s\" is in the library already (\"%s\"): remove it first, or use "
		"another id",
		add->options->game, entry->name);
}

static int run(struct add *add, struct lsp_error *err)
{
	struct lsp_install_result recovered;
	struct lsp_install_options options = {.token = add->options->token};
	bool pending = false;
	int r = lsp_install_recover(add->game_fd, &options, &recovered, err);
	if (r == 0)
		r = lsp_tree_list(add->game_fd, ".", NULL, refuse_content, add, err);
	if (r == 0)
		r = prepare(add, err);
	if (r == 0)
		r = commit(add, &pending, err);
	if (!pending) /* leftovers; a failure is the next recovery's */
		(void)!lsp_install_recover(add->game_fd, &options, &recovered, NULL);
	return r;
}

static int open_source(struct add *add, struct lsp_error *err)
{
	struct stat st;
	add->from_fd = open(add->source, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (add->from_fd < 0 || fstat(add->from_fd, &st) < 0)
		return lsp_error_errno(err, DOMAIN, errno, "cannot open \"%s\"", add->source);
	add->is_folder = S_ISDIR(st.st_mode);
	if (!add->is_folder && !S_ISREG(st.st_mode))
		return lsp_error_set(err, DOMAIN, LSP_E_INVALID,
			"\"%s\" is neither a folder nor a file", add->source);
	return is_library(add, &st) ? holds_library(add, err) : 0;
}

static int open_game(struct add *add, int games_fd, bool *ret_made, struct lsp_error *err)
{
	struct stat st;
	*ret_made = fstatat(games_fd, add->options->game, &st, 0) < 0;
	int r = *ret_made ? lsp_fs_make_dirs_below(games_fd, add->options->game, err) : 0;
	if (r < 0)
		return r;
	/* As everywhere, a game's folder may be a symlink to another disk. */
	add->game_fd = openat(games_fd, add->options->game, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (add->game_fd < 0)
		return lsp_error_errno(
			err, DOMAIN, errno, "cannot open folder \"%s\"", add->options->game);
	return 0;
}

static void remove_made(int games_fd, const struct add *add)
{
	if (add->game_fd >= 0 && !lsp_redo_pending(add->game_fd))
		(void)!lsp_fs_remove_tree_below(add->game_fd, LSP_REDO_PRIVATE, NULL);
	(void)!lsp_fs_rmdir_below(games_fd, add->options->game, NULL);
}

int lsp_add(int games_fd, const char *source, const struct lsp_add_options *options,
	struct lsp_add_result *ret_result, struct lsp_error *err)
{
	struct add add = {.options = options, .source = source, .from_fd = -1, .game_fd = -1};
	struct lsp_version version;
	bool made = false;
	int r = lsp_game_id_check(options->game, strlen(options->game), err);
	if (r == 0)
		r = lsp_version_parse(options->version, strlen(options->version), &version, err);
	if (r == 0 && fstat(games_fd, &add.games) < 0)
		r = lsp_error_errno(err, DOMAIN, errno, "cannot look at the games folder");
	if (r == 0)
		r = open_source(&add, err);
	if (r == 0)
		r = look(&add, err);
	if (r == 0)
		r = open_game(&add, games_fd, &made, err);
	if (r == 0)
		r = run(&add, err);
	if (r < 0 && made)
		remove_made(games_fd, &add);
	lsp_cleanup_close(&add.from_fd);
	lsp_cleanup_close(&add.game_fd);
	if (r == 0)
		*ret_result = add.result;
	else
		lsp_add_result_done(&add.result);
	return r;
}
