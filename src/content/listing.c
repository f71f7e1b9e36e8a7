/* The scan: names, sizes and times of what a game's folder shares. */
#include "content/hasher.h"

#include "base/fs.h"
#include "content/executable.h"
#include "task/cancel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

void lsp_file_stamp_from(const struct stat *st, struct lsp_file_stamp *ret_stamp)
{
	*ret_stamp = (struct lsp_file_stamp){
		.size = (uint64_t)st->st_size,
		.mtime_ns = st->st_mtim.tv_sec * (int64_t)LSP_SECOND + st->st_mtim.tv_nsec,
		.ctime_ns = st->st_ctim.tv_sec * (int64_t)LSP_SECOND + st->st_ctim.tv_nsec,
	};
}

bool lsp_file_stamp_equal(const struct lsp_file_stamp *a, const struct lsp_file_stamp *b)
{
	bool changed = a->ctime_ns && b->ctime_ns && a->ctime_ns != b->ctime_ns;
	return a->size == b->size && a->mtime_ns == b->mtime_ns && !changed;
}

void lsp_listing_done(struct lsp_listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		free(listing->files[i].path);
	free(listing->files);
	*listing = (struct lsp_listing){0};
}

bool lsp_listing_equal(const struct lsp_listing *a, const struct lsp_listing *b)
{
	if (a->count != b->count || a->total_size != b->total_size)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct lsp_listing_file *x = &a->files[i], *y = &b->files[i];
		if (strcmp(x->path, y->path) != 0 || x->executable != y->executable ||
			!lsp_file_stamp_equal(&x->stamp, &y->stamp))
			return false;
	}
	return true;
}

struct walk {
	struct lsp_listing listing;
	size_t room;
	struct lsp_cancel *token;
	struct lsp_executables executables;
	char path[LSP_PATH_MAX + 1];
	size_t path_size;
	unsigned depth;
};

static void walk_done(struct walk *walk)
{
	lsp_listing_done(&walk->listing);
	lsp_executables_done(&walk->executables);
}

static int add_file(struct walk *walk, const struct stat *st, struct lsp_error *err)
{
	struct lsp_listing *listing = &walk->listing;
	if (listing->count == LSP_MANIFEST_FILES_MAX)
		return lsp_error_set(err, "content", LSP_E_TOO_LARGE,
			"more than %u files; `add --pack` makes one archive of them",
			LSP_MANIFEST_FILES_MAX);
	if (listing->count == walk->room) {
		size_t room = LSP_MAX((size_t)16, walk->room * 2);
		struct lsp_listing_file *files = reallocarray(listing->files, room, sizeof *files);
		if (!files)
			return lsp_error_no_memory(err, "content");
		listing->files = files;
		walk->room = room;
	}
	char *path = strndup(walk->path, walk->path_size);
	if (!path)
		return lsp_error_no_memory(err, "content");
	struct lsp_listing_file *file = &listing->files[listing->count++];
	*file = (struct lsp_listing_file){.path = path,
		.executable = lsp_executables_has(&walk->executables, path, st->st_mode)};
	lsp_file_stamp_from(st, &file->stamp);
	listing->total_size += file->stamp.size;
	return 0;
}

static int walk_folder(struct walk *walk, int dir_fd, const char *name, struct lsp_error *err);

static int refuse(const struct walk *walk, const char *what, struct lsp_error *err)
{
	char label[LSP_LABEL_MAX + 1];
	lsp_label_clean(walk->path, walk->path_size, label, LSP_LABEL_MAX);
	return lsp_error_set(err, "content", LSP_E_UNSUPPORTED,
		"\"%s\" is %s, which cannot be shared as it is; `add --pack` makes one archive of "
		"the folder",
		label, what);
}

/* walk->path is the entry's. */
static int visit(struct walk *walk, int dir_fd, const char *name, struct lsp_error *err)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 /* gone meanwhile: as if it had not been there */
				       : lsp_error_errno(err, "content", errno,
						 "cannot look at \"%s\"", walk->path);
	if (S_ISREG(st.st_mode))
		return add_file(walk, &st, err);
	if (S_ISDIR(st.st_mode))
		return walk_folder(walk, dir_fd, name, err);
	if (S_ISLNK(st.st_mode))
		return refuse(walk, "a symbolic link", err);
	return refuse(walk, "neither a file nor a folder", err);
}

static int visit_entry(struct walk *walk, int dir_fd, const char *name, struct lsp_error *err)
{
	if (walk->depth == 1 && lsp_path_is_private(name))
		return 0;
	size_t before = walk->path_size;
	size_t slash = before ? 1 : 0;
	size_t size = strlen(name);
	int r = lsp_path_check_name(name, size, err);
	if (r == 0 && walk->depth == 1)
		r = lsp_path_check(name, size, err);
	if (r < 0)
		return r;
	if (before + slash + size > LSP_PATH_MAX || walk->depth > LSP_PATH_DEPTH_MAX)
		return refuse(walk, "a folder with too long a path in it", err);
	if (slash)
		walk->path[walk->path_size++] = '/';
	memcpy(walk->path + walk->path_size, name, size + 1);
	walk->path_size += size;
	r = visit(walk, dir_fd, name, err);
	walk->path_size = before;
	walk->path[before] = '\0';
	return r;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* As deep as a path may be, LSP_PATH_DEPTH_MAX: the recursion is bounded. */
static int walk_folder(struct walk *walk, int dir_fd, const char *name, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_dir_below(dir_fd, name, &fd, err);
	if (r == 0)
		r = lsp_cancel_check(walk->token, err);
	if (r < 0)
		return r;
	_cleanup_(close_dir) DIR *dir = fdopendir(fd);
	if (!dir)
		return lsp_error_errno(err, "content", errno, "cannot read folder \"%s\"", name);
	int borrowed = TAKE_FD(fd); /* the DIR's now */
	walk->depth++;
	while (r == 0) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (!entry && errno)
			r = lsp_error_errno(
				err, "content", errno, "cannot read folder \"%s\"", walk->path);
		if (!entry)
			break;
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = visit_entry(walk, borrowed, entry->d_name, err);
	}
	walk->depth--;
	return r;
}

static int compare_files(const void *a, const void *b)
{
	const struct lsp_listing_file *x = a, *y = b;
	return lsp_path_compare(x->path, y->path);
}

int lsp_listing_read(int dir_fd, struct lsp_cancel *token, struct lsp_listing *ret_listing,
	struct lsp_error *err)
{
	_cleanup_(walk_done) struct walk walk = {.token = token};
	int r = lsp_executables_load(dir_fd, &walk.executables, err);
	if (r == 0)
		r = walk_folder(&walk, dir_fd, ".", err);
	if (r < 0)
		return r;
	if (walk.listing.count)
		qsort(walk.listing.files, walk.listing.count, sizeof *walk.listing.files,
			compare_files);
	*ret_listing = walk.listing;
	walk.listing = (struct lsp_listing){0};
	return 0;
}
