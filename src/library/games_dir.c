#include "library/games_dir.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "store/state_lock.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- Checking ------------------------------------------------------------------------------ */

void lsp_games_dir_check_done(struct lsp_games_dir_check *check)
{
	free(check->path);
	*check = (struct lsp_games_dir_check){0};
}

int lsp_games_dir_expand(const char *path, char **ret_path, struct lsp_error *err)
{
	const char *home = getenv("HOME");
	char *full = NULL;
	if (path[0] == '/')
		full = strdup(path);
	else if (strncmp(path, "~/", 2) == 0 && home && home[0] == '/')
		full = lsp_text_format("%s/%s", home, path + 2);
	else
		return lsp_error_set(err, "library", LSP_E_INVALID,
			"\"%s\" is no absolute path: the games folder needs one", path);
	if (!full)
		return lsp_error_no_memory(err, "library");
	for (size_t size = strlen(full); size > 1 && full[size - 1] == '/';)
		full[--size] = '\0';
	*ret_path = full;
	return 0;
}

/* The nearest folder on the way that is there, resolved; the caller frees it. */
static char *nearest(const char *path)
{
	char *at = strdup(path);
	while (at) {
		char *real = realpath(at, NULL);
		char *slash = strrchr(at, '/');
		if (real || !slash || errno != ENOENT) {
			free(at);
			return real;
		}
		slash[slash == at ? 1 : 0] = '\0';
	}
	return NULL;
}

static bool is_inside(const char *path, const char *folder)
{
	size_t size = strlen(folder);
	return strncmp(path, folder, size) == 0 && (path[size] == '/' || !path[size] || size == 1);
}

static int refuse_overlap(const char *path, const char *real, bool exists, const char *state_folder,
	struct lsp_error *err)
{
	_cleanup_free_ char *state = realpath(state_folder, NULL);
	if (exists && strcmp(real, "/") == 0)
		return lsp_error_set(err, "library", LSP_E_INVALID,
			"\"/\" cannot be the games folder; make one of its own");
	if (state && (is_inside(real, state) || (exists && is_inside(state, real))))
		return lsp_error_set(err, "library", LSP_E_INVALID,
			"\"%s\" and the state folder \"%s\" lie in each other; choose another "
			"folder",
			path, state_folder);
	return 0;
}

static int check_writable(
	const char *path, const char *real, uint64_t *ret_free, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	struct lsp_error detail = {0};
	int r = lsp_fs_open_dir(real, &fd, &detail);
	if (r < 0)
		return lsp_error_set(err, "library",
			r == -LSP_E_DENIED ? LSP_E_DENIED : LSP_E_INVALID,
			"\"%s\" cannot be the games folder: %s", path, detail.message);
	if (access(real, R_OK | W_OK | X_OK) < 0)
		return lsp_error_errno(err, "library", errno,
			"\"%s\" cannot be the games folder: there is no writing to \"%s\"; take "
			"another, or make it yours with chown",
			path, real);
	return lsp_fs_free_space(fd, ret_free, err);
}

/* The check without the disk's part. *ret_real: what is there of it; NULL: errno says why not. */
static int check_name(const char *path, const char *state_folder, struct lsp_games_dir_check *check,
	char **ret_real, struct lsp_error *err)
{
	int r = lsp_games_dir_expand(path, &check->path, err);
	if (r < 0)
		return r;
	if (strlen(check->path) > PATH_MAX - 512)
		return lsp_error_set(err, "library", LSP_E_INVALID,
			"the path of the games folder is too long (%zu bytes): take a shorter one",
			strlen(check->path));
	struct stat st;
	check->exists = stat(check->path, &st) == 0;
	_cleanup_free_ char *real = nearest(check->path);
	r = real ? refuse_overlap(path, real, check->exists, state_folder, err) : 0;
	if (r == 0)
		*ret_real = TAKE_PTR(real);
	return r;
}

int lsp_games_dir_check_name(const char *path, const char *state_folder, struct lsp_error *err)
{
	_cleanup_games_dir_check_ struct lsp_games_dir_check check = {0};
	_cleanup_free_ char *real = NULL;
	return check_name(path, state_folder, &check, &real, err);
}

int lsp_games_dir_check(const char *path, const char *state_folder,
	struct lsp_games_dir_check *ret_check, struct lsp_error *err)
{
	_cleanup_games_dir_check_ struct lsp_games_dir_check check = {0};
	_cleanup_free_ char *real = NULL;
	int r = check_name(path, state_folder, &check, &real, err);
	if (r == 0 && !real)
		r = lsp_error_errno(
			err, "library", errno, "\"%s\" cannot be the games folder", path);
	if (r == 0)
		r = check_writable(path, real, &check.free, err);
	if (r < 0)
		return r;
	*ret_check = check;
	check = (struct lsp_games_dir_check){0};
	return 0;
}

/* ---- Opening ------------------------------------------------------------------------------- */

static bool is_id(const struct lsp_buffer *text)
{
	uint8_t bytes[16];
	char digits[LSP_FOLDER_ID_SIZE];
	if (text->size < LSP_FOLDER_ID_SIZE - 1)
		return false;
	memcpy(digits, text->data, LSP_FOLDER_ID_SIZE - 1);
	digits[LSP_FOLDER_ID_SIZE - 1] = '\0';
	return strlen(digits) == LSP_FOLDER_ID_SIZE - 1 && lsp_text_from_hex(digits, bytes, 16);
}

/* A file that is there and is no id costs the cached hashes, not the start. */
static int read_or_make_id(struct lsp_games_dir *dir, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	_cleanup_buffer_ struct lsp_buffer text = {0};
	int r = lsp_fs_open_dir(dir->path, &fd, err);
	if (r < 0)
		return r;
	r = lsp_fs_read_file_below(fd, ".lanspread/id", 100, &text, NULL);
	if (r == 0 && is_id(&text)) {
		memcpy(dir->id, text.data, LSP_FOLDER_ID_SIZE - 1);
		return 0;
	}
	if (r != -LSP_E_NOT_FOUND)
		lsp_log_warning("library", "%s/.lanspread/id is damaged; the games are hashed anew",
			dir->path);
	uint8_t bytes[16];
	char line[LSP_FOLDER_ID_SIZE + 1];
	lsp_random_bytes(bytes, sizeof bytes);
	lsp_text_to_hex(bytes, sizeof bytes, dir->id);
	snprintf(line, sizeof line, "%s\n", dir->id);
	return lsp_fs_write_file_below(fd, ".lanspread/id", line, strlen(line), 0644, err);
}

int lsp_games_dir_open(
	const char *path, const char *holder, struct lsp_games_dir **ret_dir, struct lsp_error *err)
{
	_cleanup_games_dir_ struct lsp_games_dir *dir = calloc(1, sizeof *dir);
	if (!dir)
		return lsp_error_no_memory(err, "library");
	int r = lsp_games_dir_expand(path, &dir->path, err);
	if (r == 0)
		r = lsp_fs_make_dirs(dir->path, false, err);
	if (r == 0)
		r = lsp_folder_lock_take(
			dir->path, ".lanspread/lock", "games folder", holder, &dir->lock, err);
	if (r == 0)
		r = read_or_make_id(dir, err);
	if (r == 0)
		*ret_dir = TAKE_PTR(dir);
	return r;
}

/* ---- Gone, or only emptied? ---------------------------------------------------------------- */

void lsp_games_dir_get_place(const struct lsp_games_dir *dir, struct lsp_games_dir_place *ret_place)
{
	struct stat st;
	*ret_place = (struct lsp_games_dir_place){0};
	if (stat(dir->path, &st) == 0)
		*ret_place = (struct lsp_games_dir_place){true, st.st_dev, st.st_ino};
}

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry = NULL;
	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			break;
	}
	if (dir)
		closedir(dir);
	return dir && !entry;
}

int lsp_games_dir_check_place(
	const char *path, const struct lsp_games_dir_place *place, struct lsp_error *err)
{
	struct stat st;
	_cleanup_free_ char *full = NULL;
	int r = lsp_games_dir_expand(path, &full, err);
	if (r < 0 || !place->known)
		return r;
	bool there = stat(full, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
	bool same = there && st.st_dev == place->device && st.st_ino == place->inode;
	if (there && (same || !is_empty(full)))
		return 0;
	return lsp_error_set(err, "library", LSP_E_NOT_FOUND,
		"the games folder \"%s\" is gone (was its disk unplugged, or the folder moved?): "
		"its "
		"games are back when it is; `lanspread games-dir PATH` chooses another",
		full);
}

void lsp_games_dir_close(struct lsp_games_dir *dir)
{
	if (!dir)
		return;
	lsp_folder_lock_release(dir->lock);
	free(dir->path);
	free(dir);
}
