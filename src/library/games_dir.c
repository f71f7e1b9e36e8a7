#include "library/games_dir.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "store/state_lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_FILE ".lanspread/id"
#define LOCK_FILE ".lanspread/lock"

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

/* ---- Which one it is ----------------------------------------------------------------------- */

enum id_state { ID_READ, ID_MISSING, ID_DAMAGED };

/* An error: there may be one, and it cannot be read now. */
static int read_id(int dir_fd, const char *path, enum id_state *ret_state,
	char ret_id[LSP_FOLDER_ID_SIZE], struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	uint8_t bytes[16];
	char id[LSP_FOLDER_ID_SIZE] = "";
	struct lsp_error detail = {0};
	int r = lsp_fs_read_file_below(dir_fd, ID_FILE, 100, &text, &detail);
	if (r < 0 && r != -LSP_E_NOT_FOUND && r != -LSP_E_TOO_LARGE) {
		lsp_error_set(err, "library", -r,
			"cannot read the id of the games folder \"%s\": %s (make it readable, or "
			"remove it: then the games are hashed anew)",
			path, detail.message);
		if (err)
			err->sys_errno = detail.sys_errno;
		return r;
	}
	if (r == 0)
		memcpy(id, text.data, LSP_MIN(text.size, sizeof id - 1));
	bool is_id = strlen(id) == sizeof id - 1 && lsp_text_from_hex(id, bytes, sizeof bytes);
	if (is_id)
		memcpy(ret_id, id, sizeof id);
	*ret_state = is_id ? ID_READ : r == -LSP_E_NOT_FOUND ? ID_MISSING : ID_DAMAGED;
	return 0;
}

static int compare(int dir_fd, const char *path, const struct lsp_games_dir_place *place,
	enum lsp_games_dir_found *ret_found, struct lsp_error *err)
{
	char id[LSP_FOLDER_ID_SIZE];
	enum id_state state = ID_MISSING;
	struct stat st;
	*ret_found = LSP_GAMES_DIR_OTHER;
	int r = place->known ? read_id(dir_fd, path, &state, id, err) : 0;
	if (r < 0 || !place->known)
		return r;
	if (state == ID_READ && strcmp(id, place->id) == 0)
		*ret_found = LSP_GAMES_DIR_SAME;
	else if (state != ID_READ && fstat(dir_fd, &st) == 0 && st.st_dev == place->device &&
		 st.st_ino == place->inode)
		*ret_found = LSP_GAMES_DIR_WITHOUT_ID;
	return 0;
}

static int look_for_entry(DIR *dir, const char *path, bool *ret_empty, struct lsp_error *err)
{
	const struct dirent *entry;
	do {
		errno = 0;
		entry = readdir(dir);
	} while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	if (!entry && errno)
		return lsp_error_errno(err, "library", errno, "cannot read \"%s\"", path);
	*ret_empty = !entry;
	return 0;
}

static int is_empty(int dir_fd, const char *path, bool *ret_empty, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_dir_below(dir_fd, ".", &fd, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "cannot look into \"%s\"", path);
	DIR *dir = fdopendir(fd);
	if (!dir)
		return lsp_error_errno(err, "library", errno, "cannot read \"%s\"", path);
	(void)TAKE_FD(fd); /* the DIR's now */
	r = look_for_entry(dir, path, ret_empty, err);
	closedir(dir);
	return r;
}

int lsp_games_dir_find(const char *path, const struct lsp_games_dir_place *place,
	enum lsp_games_dir_found *ret_found, int *ret_fd, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	struct lsp_error detail = {0};
	int r = lsp_fs_open_dir(path, &fd, &detail);
	if (r < 0 && r != -LSP_E_NOT_FOUND && detail.sys_errno != ENOTDIR) {
		if (err)
			*err = detail;
		return r;
	}
	enum lsp_games_dir_found found = LSP_GAMES_DIR_OTHER;
	bool gone = r < 0;
	r = gone ? 0 : compare(fd, path, place, &found, err);
	if (r == 0 && !gone && found == LSP_GAMES_DIR_OTHER)
		r = is_empty(fd, path, &gone, err);
	if (r < 0)
		return r;
	if (gone)
		return lsp_error_set(err, "library", LSP_E_NOT_FOUND,
			"the games folder \"%s\" is gone (was its disk unplugged, or the folder "
			"moved?): its games are back when it is; `lanspread games-dir PATH` "
			"chooses "
			"another",
			path);
	*ret_found = found;
	if (ret_fd)
		*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- Opening ------------------------------------------------------------------------------- */

static int write_id(const struct lsp_games_dir *dir, int dir_fd, struct lsp_error *err)
{
	char line[LSP_FOLDER_ID_SIZE + 1];
	snprintf(line, sizeof line, "%s\n", dir->place.id);
	int r = lsp_fs_write_file_below(dir_fd, ID_FILE, line, strlen(line), 0644, err);
	return r < 0 ? lsp_error_prefix(
			       err, r, "cannot write to the games folder \"%s\"", dir->path)
		     : 0;
}

/* A file that is read and is no id costs the cached hashes, not the start. */
static int read_or_make_id(struct lsp_games_dir *dir, int dir_fd, struct lsp_error *err)
{
	enum id_state state;
	int r = read_id(dir_fd, dir->path, &state, dir->place.id, err);
	if (r < 0 || state == ID_READ)
		return r;
	if (state == ID_DAMAGED)
		lsp_log_warning("library", "%s/%s is damaged; the games are hashed anew", dir->path,
			ID_FILE);
	uint8_t bytes[16];
	lsp_random_bytes(bytes, sizeof bytes);
	lsp_text_to_hex(bytes, sizeof bytes, dir->place.id);
	return write_id(dir, dir_fd, err);
}

/* Opens the folder: the one that is known, or one that may be made. */
static int open_folder(struct lsp_games_dir *dir, const struct lsp_games_dir_place *before,
	int *ret_fd, struct lsp_error *err)
{
	enum lsp_games_dir_found found;
	if (before && before->known)
		return lsp_games_dir_find(dir->path, before, &found, ret_fd, err);
	int r = lsp_fs_make_dirs(dir->path, false, err);
	return r < 0 ? r : lsp_fs_open_dir(dir->path, ret_fd, err);
}

static int take_lock(
	struct lsp_games_dir *dir, int dir_fd, const char *holder, struct lsp_error *err)
{
	return lsp_folder_lock_take_at(
		dir_fd, dir->path, LOCK_FILE, "games folder", holder, &dir->lock, err);
}

int lsp_games_dir_open(const char *path, const char *holder,
	const struct lsp_games_dir_place *before, struct lsp_games_dir **ret_dir,
	struct lsp_error *err)
{
	_cleanup_games_dir_ struct lsp_games_dir *dir = calloc(1, sizeof *dir);
	_cleanup_close_ int fd = -1;
	struct stat st;
	if (!dir)
		return lsp_error_no_memory(err, "library");
	int r = lsp_games_dir_expand(path, &dir->path, err);
	if (r == 0)
		r = open_folder(dir, before, &fd, err);
	if (r == 0 && fstat(fd, &st) < 0)
		r = lsp_error_errno(err, "library", errno, "cannot look at \"%s\"", dir->path);
	if (r == 0)
		r = take_lock(dir, fd, holder, err);
	if (r < 0)
		return r;
	r = read_or_make_id(dir, fd, err);
	dir->place.known = true;
	dir->place.device = st.st_dev;
	dir->place.inode = st.st_ino;
	if (r == 0)
		*ret_dir = TAKE_PTR(dir);
	return r;
}

int lsp_games_dir_renew(
	struct lsp_games_dir *dir, int dir_fd, const char *holder, struct lsp_error *err)
{
	/* First: where the file is still there, its lock is our own. */
	lsp_folder_lock_release(TAKE_PTR(dir->lock));
	int r = take_lock(dir, dir_fd, holder, err);
	return r < 0 ? r : write_id(dir, dir_fd, err);
}

void lsp_games_dir_close(struct lsp_games_dir *dir)
{
	if (!dir)
		return;
	lsp_folder_lock_release(dir->lock);
	free(dir->path);
	free(dir);
}
