#include "torrent/files.h"

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DOMAIN "torrent"
#define BLOCK ((size_t)1 << 20)

int lsp_files_append(struct lsp_files *files, const char *path, struct lsp_error *err)
{
	if (files->count == files->room) {
		size_t room = files->room ? files->room * 2 : 64;
		char **more = realloc(files->paths, room * sizeof *more);
		if (!more)
			return lsp_error_no_memory(err, DOMAIN);
		files->paths = more;
		files->room = room;
	}
	char *copy = strdup(path);
	if (!copy)
		return lsp_error_no_memory(err, DOMAIN);
	files->paths[files->count++] = copy;
	return 0;
}

void lsp_files_done(struct lsp_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->paths[i]);
	free(files->paths);
	memset(files, 0, sizeof *files);
}

/* 1: it is there, 0: it is not. */
static int look(int folder, const char *path, struct stat *ret_stat, struct lsp_error *err)
{
	int r = lsp_fs_stat_below(folder, path, ret_stat, err);
	return r == 0 ? 1 : r == -LSP_E_NOT_FOUND ? 0 : r;
}

/* −1 for one that is missing. */
static int open_if_there(const char *folder, int *ret_fd, struct lsp_error *err)
{
	*ret_fd = -1;
	int r = lsp_fs_open_dir(folder, ret_fd, err);
	return r == -LSP_E_NOT_FOUND ? 0 : r;
}

static bool is_same_folder(int one, int other)
{
	struct stat a, b;
	return one >= 0 && other >= 0 && fstat(one, &a) == 0 && fstat(other, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* ---- What is where ----------------------------------------------------------------------- */

int lsp_files_count_either(const struct lsp_files *files, const char *one, const char *other,
	size_t *ret_count, struct lsp_error *err)
{
	_cleanup_close_ int first = -1, second = -1;
	size_t count = 0;
	struct stat st;
	int r = open_if_there(one, &first, err);
	if (r == 0)
		r = other ? open_if_there(other, &second, err) : 0;
	for (size_t i = 0; r >= 0 && i < files->count; i++) {
		r = first < 0 ? 0 : look(first, files->paths[i], &st, err);
		if (r == 0 && second >= 0)
			r = look(second, files->paths[i], &st, err);
		count += r == 1;
	}
	if (r < 0)
		return r;
	*ret_count = count;
	return 0;
}

int lsp_files_count(
	const struct lsp_files *files, const char *folder, size_t *ret_count, struct lsp_error *err)
{
	return lsp_files_count_either(files, folder, NULL, ret_count, err);
}

int lsp_files_check_free(
	const struct lsp_files *files, const char *from, const char *folder, struct lsp_error *err)
{
	_cleanup_close_ int old = -1, fd = -1;
	struct stat st;
	int r = open_if_there(from, &old, err);
	if (r == 0)
		r = open_if_there(folder, &fd, err);
	if (r < 0 || fd < 0 || is_same_folder(old, fd))
		return r;
	for (size_t i = 0; r == 0 && i < files->count; i++) {
		r = look(fd, files->paths[i], &st, err);
		if (r == 1)
			r = lsp_error_set(err, DOMAIN, LSP_E_EXISTS,
				"%s/%s is there already: take another folder, or put it elsewhere "
				"first",
				folder, files->paths[i]);
	}
	return r;
}

/* ---- One file ---------------------------------------------------------------------------- */

enum state {
	STAYS,   /* it is at neither place, or needs no more */
	RENAMED, /* by this call */
	COPIED,  /* by this call; it is still at the old place */
	FOUND    /* at both, and the same: by a call before this one */
};

/* What every filesystem keeps of a file, FAT to two seconds; whoever writes to it changes it. */
struct version {
	int64_t size, modified; /* bytes, seconds */
};

struct moving {
	const struct lsp_files_move *move;
	struct lsp_cancel *token;
	int from, to;
	uint8_t *states, *block, *other; /* two blocks */
	struct version *before;          /* of each at the old place, when it was looked at */
	const char *made;                /* the folder that was made last, of a path of the files */
};

static size_t parent_size(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) : 0;
}

static bool has_same_parent(const char *one, const char *other)
{
	size_t size = parent_size(one);
	return size == parent_size(other) && memcmp(one, other, size) == 0;
}

static int make_parent(struct moving *moving, int folder, const char *path, struct lsp_error *err)
{
	size_t size = parent_size(path);
	if (size == 0 || (moving->made && has_same_parent(moving->made, path)))
		return 0;
	_cleanup_free_ char *parent = strndup(path, size);
	int r = parent ? lsp_fs_make_dirs_below(folder, parent, err)
		       : lsp_error_no_memory(err, DOMAIN);
	moving->made = r == 0 ? path : NULL;
	return r;
}

#define LINK_MAX_SIZE 4096

static int read_link(
	int root, const char *path, char ret_text[LINK_MAX_SIZE], struct lsp_error *err)
{
	_cleanup_close_ int folder = -1;
	size_t above = parent_size(path);
	_cleanup_free_ char *parent = strndup(path, above);
	if (!parent)
		return lsp_error_no_memory(err, DOMAIN);
	int r = lsp_fs_open_dir_below(root, *parent ? parent : ".", &folder, err);
	if (r < 0)
		return r;
	ssize_t size = readlinkat(folder, path + above + (above > 0), ret_text, LINK_MAX_SIZE - 1);
	if (size < 0)
		return lsp_error_errno(err, DOMAIN, errno, "cannot read the link \"%s\"", path);
	ret_text[size] = '\0';
	return 0;
}

/* 1: they lead to the same, 0: to others. */
static int compare_links(const struct moving *moving, const char *path, struct lsp_error *err)
{
	char old[LINK_MAX_SIZE], new[LINK_MAX_SIZE];
	int r = read_link(moving->from, path, old, err);
	if (r == 0)
		r = read_link(moving->to, path, new, err);
	return r < 0 ? r : strcmp(old, new) == 0;
}

/* 1: the same bytes, 0: others. */
static int compare(struct moving *moving, const char *path, struct lsp_error *err)
{
	_cleanup_close_ int from = -1, to = -1;
	uint64_t at = 0;
	int r = lsp_fs_open_below(moving->from, path, O_RDONLY, 0, &from, err);
	if (r == 0)
		r = lsp_fs_open_below(moving->to, path, O_RDONLY, 0, &to, err);
	while (r == 0) {
		size_t one = 0, other = 0;
		r = lsp_cancel_check(moving->token, err);
		if (r == 0)
			r = lsp_fs_read_at(from, moving->block, BLOCK, at, &one, err);
		if (r == 0)
			r = lsp_fs_read_at(to, moving->other, BLOCK, at, &other, err);
		if (r < 0)
			break;
		if (one != other || memcmp(moving->block, moving->other, one) != 0)
			return 0;
		if (one < BLOCK)
			return 1;
		at += one;
	}
	return r;
}

/* What is no data (a sparse file's holes) stays none. */
static int copy_data(struct moving *moving, int from, int to, uint64_t size, const char *path,
	struct lsp_error *err)
{
	uint64_t at = 0;
	int r = 0;
	while (r == 0 && at < size) {
		off_t data = lseek(from, (off_t)at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break; /* a hole up to the end */
		off_t hole = data < 0 ? (off_t)size : lseek(from, data, SEEK_HOLE);
		at = data < 0 ? at : (uint64_t)data;
		uint64_t end = hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
		while (r == 0 && at < end) {
			size_t got = 0;
			r = lsp_cancel_check(moving->token, err);
			if (r == 0)
				r = lsp_fs_read_at(from, moving->block,
					(size_t)LSP_MIN((uint64_t)BLOCK, end - at), at, &got, err);
			if (r == 0 && got == 0)
				r = lsp_error_set(err, DOMAIN, LSP_E_IO,
					"\"%s\" became shorter while it was copied", path);
			if (r == 0)
				r = lsp_fs_write_at(to, moving->block, got, at, path, err);
			at += got;
		}
	}
	return r == 0 ? lsp_fs_truncate(to, size, path, err) : r;
}

static int copy_into(struct moving *moving, const char *path, const struct stat *st,
	const char *aside, struct lsp_error *err)
{
	_cleanup_close_ int from = -1, to = -1;
	int r = lsp_fs_open_below(moving->from, path, O_RDONLY, 0, &from, err);
	if (r == 0)
		r = lsp_fs_open_below(moving->to, aside, O_WRONLY | O_CREAT | O_EXCL,
			st->st_mode & 0777, &to, err);
	if (r < 0)
		return r;
	r = lsp_fs_clone(from, to, err);
	if (r == -LSP_E_UNSUPPORTED)
		r = copy_data(moving, from, to, (uint64_t)st->st_size, path, err);
	/* What some filesystems do not take is no reason not to be there. */
	if (r == 0 &&
		lsp_fs_set_mtime(to, (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
			path, NULL) < 0)
		lsp_log_debug(DOMAIN, "\"%s\" has a new time of modification", path);
	/* Else the name that it gets may outlast a power cut that its content does not. */
	return r == 0 ? lsp_fs_sync(to, path, err) : r;
}

/* The name of what is being copied into the folder of that file; the caller frees it. */
static char *name_aside(const struct lsp_files *files, const char *path)
{
	return lsp_text_format("%.*s%s.lanspread-%s", (int)parent_size(path), path,
		parent_size(path) ? "/" : "", files->mark);
}

/* Under a name of its own, until it is whole. */
static int copy_file(
	struct moving *moving, const char *path, const struct stat *st, struct lsp_error *err)
{
	_cleanup_free_ char *aside = name_aside(moving->move->files, path);
	if (!aside)
		return lsp_error_no_memory(err, DOMAIN);
	int r = lsp_fs_unlink_below(moving->to, aside, err); /* a kill left it */
	if (r < 0 && r != -LSP_E_NOT_FOUND)
		return r;
	r = copy_into(moving, path, st, aside, err);
	if (r == 0)
		r = lsp_fs_rename_new_below(moving->to, aside, moving->to, path, err);
	if (r < 0)
		(void)!lsp_fs_unlink_below(moving->to, aside, NULL);
	return r;
}

static int copy_link(struct moving *moving, const char *path, struct lsp_error *err)
{
	char text[LINK_MAX_SIZE];
	int r = read_link(moving->from, path, text, err);
	return r < 0 ? r : lsp_fs_symlink_below(moving->to, path, text, err);
}

static int other_is_there(struct moving *moving, const char *path, struct lsp_error *err)
{
	return lsp_error_set(err, DOMAIN, LSP_E_EXISTS,
		"another file has the name %.200s/%.300s: put it, or the torrent's %.200s/%.300s, "
		"elsewhere",
		moving->move->to, path, moving->move->from, path);
}

static void identify(uint64_t ret_file[5], const struct stat *st)
{
	const uint64_t file[5] = {st->st_dev, st->st_ino, (uint64_t)st->st_size,
		(uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec,
		(uint64_t)st->st_ctim.tv_sec * 1000000000 + (uint64_t)st->st_ctim.tv_nsec};
	memcpy(ret_file, file, sizeof file);
}

/* The same, but what was compared before and has not changed is not read again. */
static int compare_once(struct moving *moving, size_t index, const struct stat *old,
	const struct stat *new, struct lsp_error *err)
{
	struct lsp_files_known now = {.is_known = true}, *known = moving->move->known;
	identify(now.files[0], old);
	identify(now.files[1], new);
	if (known && known[index].is_known &&
		memcmp(known[index].files, now.files, sizeof now.files) == 0)
		return known[index].alike;
	int r = compare(moving, moving->move->files->paths[index], err);
	now.alike = r == 1;
	if (r >= 0 && known)
		known[index] = now;
	return r;
}

/* It is at both places. 1: they are the same; 0: they are not, or one file by whatever links. */
static int are_alike(struct moving *moving, size_t index, const struct stat *old,
	const struct stat *new, struct lsp_error *err)
{
	if (S_ISLNK(old->st_mode) && S_ISLNK(new->st_mode))
		return compare_links(moving, moving->move->files->paths[index], err);
	if (S_ISREG(old->st_mode) && S_ISREG(new->st_mode) && old->st_size == new->st_size)
		return compare_once(moving, index, old, new, err);
	return 0;
}

static bool is_one_file(const struct stat *old, const struct stat *new)
{
	return old->st_dev == new->st_dev && old->st_ino == new->st_ino;
}

/* It is at both places: by a kill between its copy and the end of its original, or another's. */
static int meet(struct moving *moving, size_t index, const struct stat *old, const struct stat *new,
	struct lsp_error *err)
{
	if (is_one_file(old, new))
		return 0;
	int r = are_alike(moving, index, old, new, err);
	if (r < 0)
		return r;
	if (r == 0)
		return other_is_there(moving, moving->move->files->paths[index], err);
	moving->states[index] = FOUND;
	return 0;
}

static int move_one(struct moving *moving, size_t index, struct lsp_error *err)
{
	const char *path = moving->move->files->paths[index];
	struct stat old, new;
	int r = look(moving->from, path, &old, err);
	if (r <= 0)
		return r;
	moving->before[index] = (struct version){old.st_size, old.st_mtim.tv_sec};
	r = look(moving->to, path, &new, err);
	if (r != 0)
		return r < 0 ? r : meet(moving, index, &old, &new, err);
	r = make_parent(moving, moving->to, path, err);
	if (r < 0)
		return r;
	struct lsp_error why = {0};
	r = lsp_fs_rename_new_below(moving->from, path, moving->to, path, &why);
	enum state state = RENAMED;
	if (r < 0 && why.sys_errno == EXDEV) {
		state = COPIED;
		r = S_ISLNK(old.st_mode) ? copy_link(moving, path, &why)
					 : copy_file(moving, path, &old, &why);
	}
	if (r == -LSP_E_EXISTS)
		return other_is_there(moving, path, err);
	if (r < 0 && err)
		*err = why;
	if (r == 0)
		moving->states[index] = (uint8_t)state;
	return r;
}

/* ---- All of them ------------------------------------------------------------------------- */

/* It may have been by a call before this one. */
static bool is_removed(int folder, const char *path)
{
	int r = lsp_fs_rmdir_below(folder, path, NULL);
	return r == 0 || r == -LSP_E_NOT_FOUND;
}

/* Half a copy that a kill left, and the folders of the files that nothing is in any more. */
static void prune(const struct lsp_files *files, int folder)
{
	const char *before = NULL;
	for (size_t i = files->count; i-- > 0;) {
		const char *path = files->paths[i];
		if (before && has_same_parent(before, path))
			continue;
		before = path;
		_cleanup_free_ char *aside = name_aside(files, path);
		if (aside)
			(void)!lsp_fs_unlink_below(folder, aside, NULL);
		_cleanup_free_ char *parent = strndup(path, parent_size(path));
		while (parent && *parent && is_removed(folder, parent))
			parent[parent_size(parent)] = '\0';
	}
}

/* The token is not asked: what was begun is to be whole again. */
static void undo(struct moving *moving, struct lsp_files_moved *moved)
{
	const struct lsp_files *files = moving->move->files;
	moving->made = NULL;
	for (size_t i = 0; i < files->count; i++) {
		const char *path = files->paths[i];
		struct lsp_error err = {0};
		int r = 0;
		if (moving->states[i] == RENAMED) {
			r = make_parent(moving, moving->from, path, &err);
			if (r == 0)
				r = lsp_fs_rename_new_below(
					moving->to, path, moving->from, path, &err);
		} else if (moving->states[i] == COPIED) {
			r = lsp_fs_unlink_below(moving->to, path, &err);
		}
		if (r < 0) {
			lsp_log_warning(DOMAIN, "\"%s\" stays in %s: %s", path, moving->move->to,
				err.message);
			moved->is_split |= moving->states[i] == RENAMED;
			moved->left = err;
		}
	}
	prune(files, moving->to);
}

/* What somebody wrote to it after it was copied is in no copy: that is kept. */
static int delete_original(struct moving *moving, size_t index, struct lsp_error *err)
{
	const char *path = moving->move->files->paths[index];
	const struct version *before = &moving->before[index];
	struct stat st;
	int r = look(moving->from, path, &st, err);
	if (r <= 0)
		return r;
	if (st.st_size != before->size || llabs(st.st_mtim.tv_sec - before->modified) > 2)
		return lsp_error_set(err, DOMAIN, LSP_E_EXISTS,
			"\"%s\" was changed there while it was moved", path);
	return lsp_fs_unlink_below(moving->from, path, err);
}

/* All are at the new place, and the disk has them: what was copied goes from the old one. */
static void let_go(struct moving *moving, struct lsp_files_moved *moved)
{
	const struct lsp_files *files = moving->move->files;
	for (size_t i = 0; i < files->count; i++) {
		struct lsp_error err = {0};
		if (moving->states[i] != COPIED && moving->states[i] != FOUND)
			continue;
		int r = delete_original(moving, i, &err);
		if (r < 0 && r != -LSP_E_NOT_FOUND && !moved->left.code)
			moved->left = err;
	}
	prune(files, moving->from);
}

static bool is_undone(const struct lsp_files_move *move, int r)
{
	return r == -LSP_E_CANCELLED ? move->undo_cancelled && *move->undo_cancelled : move->undo;
}

static int move_all(struct moving *moving, struct lsp_files_moved *moved, struct lsp_error *err)
{
	const struct lsp_files *files = moving->move->files;
	bool any = false;
	int r = 0;
	for (size_t i = 0; r == 0 && i < files->count; i++) {
		r = lsp_cancel_check(moving->token, err);
		if (r == 0)
			r = move_one(moving, i, err);
		any |= moving->states[i] != STAYS;
	}
	if (r == 0 && any)
		r = lsp_fs_sync_all(moving->to, moving->move->to, err);
	if (r == 0)
		let_go(moving, moved);
	else if (is_undone(moving->move, r))
		undo(moving, moved);
	else
		moved->is_split = true;
	return r;
}

/* The two folders, and room for what is compared. */
static int moving_init(struct moving *moving, const struct lsp_files_move *move,
	struct lsp_cancel *token, struct lsp_error *err)
{
	*moving = (struct moving){.move = move,
		.token = token,
		.from = -1,
		.to = -1,
		.states = calloc(move->files->count + 1, 1),
		.before = calloc(move->files->count + 1, sizeof *moving->before),
		.block = malloc(2 * BLOCK)};
	if (!moving->states || !moving->before || !moving->block)
		return lsp_error_no_memory(err, DOMAIN);
	moving->other = moving->block + BLOCK;
	return open_if_there(move->from, &moving->from, err);
}

static void moving_done(struct moving *moving)
{
	free(moving->states);
	free(moving->before);
	free(moving->block);
	if (moving->from >= 0)
		close(moving->from);
	if (moving->to >= 0)
		close(moving->to);
}

int lsp_files_move(const struct lsp_files_move *move, struct lsp_cancel *token,
	struct lsp_files_moved *ret_moved, struct lsp_error *err)
{
	struct moving moving;
	*ret_moved = (struct lsp_files_moved){0};
	int r = moving_init(&moving, move, token, err);
	if (r == 0 && !move->to_is_there)
		r = lsp_fs_make_dirs(move->to, false, err);
	if (r == 0)
		r = lsp_fs_open_dir(move->to, &moving.to, err);
	if (r == -LSP_E_NOT_FOUND)
		r = lsp_error_set(err, DOMAIN, LSP_E_NOT_FOUND,
			"%s is not there any more: is a disk not mounted?", move->to);
	if (r == 0 && moving.from >= 0 && !is_same_folder(moving.from, moving.to))
		r = move_all(&moving, ret_moved, err);
	moving_done(&moving);
	return r;
}

static int delete_moved(struct moving *moving, size_t index, size_t *others, struct lsp_error *err)
{
	const char *path = moving->move->files->paths[index];
	struct stat old, new;
	int r = look(moving->to, path, &new, err);
	if (r <= 0)
		return r;
	r = moving->from < 0 ? 0 : look(moving->from, path, &old, err);
	if (r == 1)
		r = is_one_file(&old, &new) ? 0 : are_alike(moving, index, &old, &new, err);
	else if (r == 0)
		r = 1; /* it was moved */
	if (r == 0)
		*others += 1;
	return r == 1 ? lsp_fs_unlink_below(moving->to, path, err) : r;
}

int lsp_files_delete_moved(const struct lsp_files_move *move, struct lsp_cancel *token,
	size_t *ret_others, struct lsp_error *err)
{
	struct moving moving;
	struct lsp_error first = {0};
	*ret_others = 0;
	int r = moving_init(&moving, move, token, err);
	if (r == 0)
		r = open_if_there(move->to, &moving.to, err);
	bool is_apart = r == 0 && moving.to >= 0 && !is_same_folder(moving.from, moving.to);
	for (size_t i = 0; is_apart && i < move->files->count; i++) {
		struct lsp_error why = {0};
		if ((r = lsp_cancel_check(token, err)) < 0)
			break;
		if (delete_moved(&moving, i, ret_others, &why) < 0 && !first.code)
			first = why;
	}
	if (is_apart && r == 0)
		prune(move->files, moving.to);
	moving_done(&moving);
	if (r == 0 && first.code && err)
		*err = first;
	return r < 0 ? r : -first.code;
}

int lsp_files_delete(const struct lsp_files *files, const char *folder, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	struct lsp_error first = {0};
	int r = open_if_there(folder, &fd, err);
	if (r < 0 || fd < 0)
		return r;
	for (size_t i = 0; i < files->count; i++) {
		struct lsp_error why = {0};
		r = lsp_fs_unlink_below(fd, files->paths[i], &why);
		if (r < 0 && r != -LSP_E_NOT_FOUND && !first.code)
			first = why;
	}
	prune(files, fd);
	if (first.code && err)
		*err = first;
	return -first.code;
}
