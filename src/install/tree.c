#include "install/tree.h"

#include "base/buffer.h"
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define DOMAIN "install"
#define RUN ((size_t)1 << 20)

/* ---- Names of a folder ---- */

struct names {
	char **list;
	size_t count, capacity;
};

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
}

static int names_add(struct names *names, const char *name, struct lsp_error *err)
{
	if (names->count == names->capacity) {
		size_t capacity = names->capacity ? names->capacity * 2 : 32;
		char **list = reallocarray(names->list, capacity, sizeof *list);
		if (!list)
			return lsp_error_no_memory(err, DOMAIN);
		names->list = list;
		names->capacity = capacity;
	}
	char *copy = strdup(name);
	if (!copy)
		return lsp_error_no_memory(err, DOMAIN);
	names->list[names->count++] = copy;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* dir_fd stays open and the caller's. */
static int names_read(int dir_fd, struct names *names, struct lsp_error *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int r = lsp_error_errno(err, DOMAIN, errno, "cannot read a folder");
		if (fd >= 0)
			close(fd);
		return r;
	}
	int r = 0;
	struct dirent *entry;
	errno = 0;
	while (r == 0 && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = names_add(names, entry->d_name, err);
		errno = 0;
	}
	if (r == 0 && errno)
		r = lsp_error_errno(err, DOMAIN, errno, "cannot read a folder");
	closedir(dir);
	if (r == 0 && names->count)
		qsort(names->list, names->count, sizeof *names->list, compare_names);
	return r;
}

/* ---- Walking ---- */

struct walk {
	struct lsp_buffer path;
	struct lsp_cancel *token;
	lsp_tree_visit visit;
	void *argument;
	unsigned depth;
	bool flat; /* folders are not entered */
};

static int walk_folder(struct walk *walk, int dir_fd, struct lsp_error *err);

static int walk_entry(struct walk *walk, int dir_fd, const char *name, struct lsp_error *err)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT) /* removed since the folder was read */
			return 0;
		return lsp_error_errno(err, DOMAIN, errno, "cannot look at \"%s\"", name);
	}
	struct lsp_tree_entry entry = {
		dir_fd, name, (const char *)walk->path.data, &st, .leaving = false};
	int r = walk->visit(walk->argument, &entry, err);
	if (r != 0 || walk->flat || !S_ISDIR(st.st_mode))
		return r;
	if (walk->depth >= LSP_TREE_DEPTH_MAX)
		return lsp_error_set(err, DOMAIN, LSP_E_TOO_LARGE,
			"\"%s\" has more than %d folders in each other", entry.path,
			LSP_TREE_DEPTH_MAX);
	_cleanup_close_ int fd = -1;
	r = lsp_fs_open_dir_below(dir_fd, name, &fd, err);
	if (r < 0)
		return r;
	walk->depth++;
	r = walk_folder(walk, fd, err);
	walk->depth--;
	if (r != 0)
		return r;
	entry.leaving = true;
	entry.path = (const char *)walk->path.data; /* it may have moved */
	return walk->visit(walk->argument, &entry, err);
}

static int walk_folder(struct walk *walk, int dir_fd, struct lsp_error *err)
{
	_cleanup_(names_done) struct names names = {0};
	int r = names_read(dir_fd, &names, err);
	size_t base = walk->path.size;
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		r = lsp_cancel_check(walk->token, err);
		if (r == 0)
			r = lsp_buffer_printf(
				&walk->path, err, "%s%s", base ? "/" : "", names.list[i]);
		if (r == 0)
			r = lsp_buffer_append(&walk->path, "", 1, err);
		if (r == 0) {
			walk->path.size--;
			r = walk_entry(walk, dir_fd, names.list[i], err);
		}
		walk->path.size = base;
		if (walk->path.data)
			walk->path.data[base] = '\0';
	}
	return r;
}

static int walk_from(int dir_fd, const char *path, struct walk *walk, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_dir_below(dir_fd, path, &fd, err);
	if (r == 0)
		r = walk_folder(walk, fd, err);
	lsp_buffer_done(&walk->path);
	return r;
}

int lsp_tree_walk(int dir_fd, const char *path, struct lsp_cancel *token, lsp_tree_visit visit,
	void *argument, struct lsp_error *err)
{
	struct walk walk = {.token = token, .visit = visit, .argument = argument};
	return walk_from(dir_fd, path, &walk, err);
}

int lsp_tree_list(int dir_fd, const char *path, struct lsp_cancel *token, lsp_tree_visit visit,
	void *argument, struct lsp_error *err)
{
	struct walk walk = {.token = token, .visit = visit, .argument = argument, .flat = true};
	return walk_from(dir_fd, path, &walk, err);
}

/* ---- Links ---- */

int lsp_tree_read_link(int dir_fd, const char *name, char *text, size_t size, struct lsp_error *err)
{
	ssize_t got = readlinkat(dir_fd, name, text, size);
	if (got < 0)
		return lsp_error_errno(err, DOMAIN, errno, "cannot read link \"%s\"", name);
	if ((size_t)got >= size)
		return lsp_error_set(err, DOMAIN, LSP_E_TOO_LARGE, "link \"%s\" is too long", name);
	text[got] = '\0';
	return 0;
}

bool lsp_tree_link_stays_inside(const char *path, const char *text)
{
	if (!*text || *text == '/')
		return false;
	size_t above = 0;
	for (const char *at = path; *at; at++)
		above += *at == '/';
	bool named = false;
	while (*text) {
		size_t length = strcspn(text, "/");
		if (length == 2 && text[0] == '.' && text[1] == '.') {
			if (named || above-- == 0)
				return false;
		} else if (length && !(length == 1 && *text == '.')) {
			named = true;
		}
		text += length;
		text += strspn(text, "/");
	}
	return true;
}

/* ---- Copying ---- */

struct copy {
	int from, to;
	const char *name;
	struct lsp_cancel *token;
	lsp_tree_step step;
	void *argument;
	void *run;
};

static int copy_range(struct copy *copy, uint64_t at, uint64_t end, struct lsp_error *err)
{
	while (at < end) {
		size_t want = (size_t)LSP_MIN(end - at, (uint64_t)RUN), got;
		int r = lsp_cancel_check(copy->token, err);
		if (r == 0)
			r = lsp_fs_read_at(copy->from, copy->run, want, at, &got, err);
		if (r == 0 && got < want)
			r = lsp_error_set(err, DOMAIN, LSP_E_BUSY,
				"\"%s\" became shorter while it was copied", copy->name);
		if (r == 0)
			r = lsp_fs_write_at(copy->to, copy->run, got, at, copy->name, err);
		if (r == 0 && copy->step)
			r = copy->step(copy->argument, got, err);
		if (r < 0)
			return r;
		at += got;
	}
	return 0;
}

/* Where a filesystem cannot tell holes, all is data: SEEK_HOLE says the end. */
static int copy_data(struct copy *copy, uint64_t size, struct lsp_error *err)
{
	uint64_t at = 0;
	while (at < size) {
		off_t data = lseek(copy->from, (off_t)at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			data = (off_t)size;
		else if (data < 0)
			data = (off_t)at;
		off_t hole = (uint64_t)data < size ? lseek(copy->from, data, SEEK_HOLE) : data;
		uint64_t end = hole <= data || (uint64_t)hole > size ? size : (uint64_t)hole;
		int r = (uint64_t)data > at && copy->step
				? copy->step(
					  copy->argument, LSP_MIN((uint64_t)data, size) - at, err)
				: 0;
		if (r == 0 && (uint64_t)data < size)
			r = copy_range(copy, (uint64_t)data, end, err);
		if (r < 0)
			return r;
		at = end;
	}
	return lsp_fs_truncate(copy->to, size, copy->name, err);
}

int lsp_tree_copy_file(int from_fd, int to_dir_fd, const char *to, mode_t mode,
	struct lsp_cancel *token, lsp_tree_step step, void *argument, struct lsp_error *err)
{
	struct stat st;
	if (fstat(from_fd, &st) < 0)
		return lsp_error_errno(err, DOMAIN, errno, "cannot look at \"%s\"", to);
	_cleanup_close_ int fd = -1;
	int r = lsp_fs_open_below(
		to_dir_fd, to, O_WRONLY | O_CREAT | O_EXCL, mode & 0777, &fd, err);
	if (r < 0)
		return r;
	uint64_t size = (uint64_t)st.st_size;
	r = size ? lsp_fs_clone(from_fd, fd, err) : 0;
	if (r == 0 && step)
		r = step(argument, size, err);
	if (r == -LSP_E_UNSUPPORTED) {
		_cleanup_free_ void *run = malloc(RUN);
		struct copy copy = {from_fd, fd, to, token, step, argument, run};
		r = run ? copy_data(&copy, size, err) : lsp_error_no_memory(err, DOMAIN);
	}
	if (r == 0)
		r = lsp_fs_set_mtime(
			fd, st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec, to, err);
	if (r == 0)
		lsp_fs_write_back(fd, 0, size);
	return r;
}

int lsp_tree_same_content(int a_fd, int b_fd, struct lsp_cancel *token, struct lsp_error *err)
{
	struct stat a, b;
	if (fstat(a_fd, &a) < 0 || fstat(b_fd, &b) < 0)
		return lsp_error_errno(err, DOMAIN, errno, "cannot look at a file");
	if (a.st_size != b.st_size)
		return 0;
	_cleanup_free_ char *runs = malloc(2 * RUN);
	if (!runs)
		return lsp_error_no_memory(err, DOMAIN);
	for (uint64_t at = 0;; at += RUN) {
		size_t a_got, b_got;
		int r = lsp_cancel_check(token, err);
		if (r == 0)
			r = lsp_fs_read_at(a_fd, runs, RUN, at, &a_got, err);
		if (r == 0)
			r = lsp_fs_read_at(b_fd, runs + RUN, RUN, at, &b_got, err);
		if (r < 0)
			return r;
		if (a_got != b_got || memcmp(runs, runs + RUN, a_got) != 0)
			return 0;
		if (a_got < RUN)
			return 1;
	}
}
