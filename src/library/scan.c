#include "library/scan.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "task/cancel.h"
#include "wire/path.h"
#include "wire/version.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/vfs.h>

#define ENTRIES_SIZE 65536 /* bytes of directory that are read at a time */

/* ---- Fingerprints -------------------------------------------------------------------------- */

/*
 * A sum of one number per file, for which each file's are mixed well. It tells apart what happens
 * by itself; who wants two folders to look alike on purpose gains nothing, since what is announced
 * is what was hashed, and who receives verifies.
 */
struct lanes {
	uint64_t a, b;
};

static uint64_t mix(uint64_t x, uint64_t y)
{
	unsigned __int128 product = (unsigned __int128)(x ^ UINT64_C(0x9e3779b97f4a7c15)) *
				    (y ^ UINT64_C(0xd6e8feb86659fd93));
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static struct lanes mix_text(struct lanes seed, const char *text, size_t size)
{
	seed.a ^= size;
	for (; size > 0;) {
		uint64_t word = 0;
		size_t n = size < sizeof word ? size : sizeof word;
		memcpy(&word, text, n);
		seed.a = mix(seed.a, word);
		seed.b = mix(seed.b ^ word, UINT64_C(0xa0761d6478bd642f));
		text += n;
		size -= n;
	}
	return seed;
}

static struct lanes mix_folder(const char *path, size_t size)
{
	struct lanes seed = {1, 2};
	return mix_text(seed, path, size);
}

static void add_file(struct lsp_fingerprint *print, struct lanes folder, const char *name,
	const struct lsp_file_stamp *stamp, unsigned kind)
{
	struct lanes file = mix_text(folder, name, strlen(name));
	uint64_t mtime = (uint64_t)stamp->mtime_ns;
	print->files[0] += mix(mix(file.a, stamp->size), mtime ^ kind);
	print->files[1] += mix(mix(file.b, mtime), stamp->size ^ (uint64_t)kind << 56);
	if (stamp->ctime_ns)
		print->changes += mix(file.a ^ file.b, (uint64_t)stamp->ctime_ns);
}

enum { KIND_FILE, KIND_EXECUTABLE, KIND_ODD };

void lsp_scan_fingerprint(
	const struct lsp_listing *listing, bool use_changes, struct lsp_fingerprint *ret_print)
{
	struct lsp_fingerprint print = {0};
	for (size_t i = 0; i < listing->count; i++) {
		const struct lsp_listing_file *file = &listing->files[i];
		struct lsp_file_stamp stamp = file->stamp;
		const char *slash = strrchr(file->path, '/');
		struct lanes folder =
			mix_folder(file->path, slash ? (size_t)(slash - file->path) : 0);
		if (!use_changes)
			stamp.ctime_ns = 0;
		add_file(&print, folder, slash ? slash + 1 : file->path, &stamp,
			file->executable ? KIND_EXECUTABLE : KIND_FILE);
	}
	*ret_print = print;
}

/* Others make the time of change up, or set it anew at every mount. */
bool lsp_scan_has_changes(int dir_fd)
{
	static const unsigned long good[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
		TMPFS_MAGIC, F2FS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, 0x2fc12fc1 /* ZFS */,
		0xca451a4e /* bcachefs */};
	struct statfs fs;
	if (fstatfs(dir_fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < LSP_ARRAY_SIZE(good); i++) {
		if ((unsigned long)fs.f_type == good[i])
			return true;
	}
	return false;
}

/* ---- The walk ------------------------------------------------------------------------------ */

struct walk {
	int top;
	const struct lsp_scan_hooks *hooks;
	struct lsp_cancel *token;
	struct lsp_scan scan;
	bool use_changes;
	bool quick;     /* files are not looked at */
	bool doubtful;  /* something is there that a quick look cannot tell */
	char **pending; /* folders still to be read, relative paths; owned */
	size_t pending_count, pending_room;
	char *entries;
};

static void walk_done(struct walk *walk)
{
	for (size_t i = 0; i < walk->pending_count; i++)
		free(walk->pending[i]);
	free(walk->pending);
	free(walk->entries);
	if (walk->top >= 0)
		close(walk->top);
}

/* The first problem is the one that is told. */
static void note_problem(struct walk *walk, bool try_again, const char *format, ...)
	LSP_PRINTF(3, 4);
static void note_problem(struct walk *walk, bool try_again, const char *format, ...)
{
	if (walk->scan.problem[0])
		return;
	char text[1600];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	lsp_label_clean(text, strlen(text), walk->scan.problem, LSP_PROBLEM_MAX);
	walk->scan.try_again = try_again;
}

/* Want of something that others may give back. */
static bool may_pass(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == EINTR;
}

static int push(struct walk *walk, const char *parent, const char *name, struct lsp_error *err)
{
	if (walk->pending_count == walk->pending_room) {
		size_t room = walk->pending_room ? walk->pending_room * 2 : 32;
		char **pending = reallocarray(walk->pending, room, sizeof *pending);
		if (!pending)
			return lsp_error_no_memory(err, "library");
		walk->pending = pending;
		walk->pending_room = room;
	}
	char *path = *parent ? lsp_text_format("%s/%s", parent, name) : strdup(name);
	if (!path)
		return lsp_error_no_memory(err, "library");
	walk->pending[walk->pending_count++] = path;
	return 0;
}

static bool is_archive(const char *name)
{
	static const char *const ends[] = {".eti", ".rar", ".zip", ".7z", ".tar", ".tgz", ".txz",
		".tzst", ".tbz2", ".tar.gz", ".tar.xz", ".tar.zst", ".tar.bz2", ".tar.lz4"};
	size_t size = strlen(name);
	for (size_t i = 0; i < LSP_ARRAY_SIZE(ends); i++) {
		size_t end = strlen(ends[i]);
		if (size > end && strcasecmp(name + size - end, ends[i]) == 0)
			return true;
	}
	return false;
}

/* The names at the top tell what kind of thing the game is. */
static void note_name(struct walk *walk, const char *path, const char *name)
{
	if (*path)
		return;
	if (strcmp(name, "version.ini") == 0)
		walk->scan.has_version = true;
	if (is_archive(name))
		walk->scan.has_archive = true;
}

static void take_file(struct walk *walk, const char *path, struct lanes folder, const char *name,
	const struct stat *st)
{
	struct lsp_scan *scan = &walk->scan;
	struct lsp_file_stamp stamp;
	lsp_file_stamp_from(st, &stamp);
	scan->newest_ns = LSP_MAX(scan->newest_ns, stamp.mtime_ns);
	if (walk->use_changes)
		scan->newest_ns = LSP_MAX(scan->newest_ns, stamp.ctime_ns);
	else
		stamp.ctime_ns = 0;
	bool regular = S_ISREG(st->st_mode);
	add_file(&scan->fingerprint, folder, name, &stamp,
		!regular                ? KIND_ODD
		: st->st_mode & S_IXUSR ? KIND_EXECUTABLE
					: KIND_FILE);
	if (!regular) {
		note_problem(walk, false,
			"\"%s%s%s\" is %s, which cannot be shared as it is; `add --pack` makes one "
			"archive of the folder",
			path, *path ? "/" : "", name,
			S_ISLNK(st->st_mode) ? "a symbolic link" : "neither a file nor a folder");
		return;
	}
	scan->size += stamp.size;
	scan->file_count++;
	note_name(walk, path, name);
}

/* Without stat(2): what kind of entry it is, the directory says. */
static int visit_quickly(
	struct walk *walk, const char *path, const struct dirent64 *entry, struct lsp_error *err)
{
	const char *name = entry->d_name;
	bool folder = entry->d_type == DT_DIR;
	if (!*path && lsp_path_is_private(name)) {
		walk->scan.has_local =
			walk->scan.has_local || (folder && strcmp(name, "local") == 0);
		walk->doubtful = walk->doubtful || entry->d_type == DT_UNKNOWN;
		return 0;
	}
	if (folder && strlen(path) + strlen(name) + 1 <= LSP_PATH_MAX)
		return push(walk, path, name, err);
	if (entry->d_type != DT_REG)
		walk->doubtful = true;
	walk->scan.file_count++;
	note_name(walk, path, name);
	return 0;
}

static int visit(struct walk *walk, int dir_fd, const char *path, struct lanes folder,
	const char *name, struct lsp_error *err)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			note_problem(walk, may_pass(errno), "cannot look at \"%s/%s\": %s", path,
				name, strerror(errno));
		return 0;
	}
	bool private = !*path && lsp_path_is_private(name);
	if (private) {
		if (S_ISDIR(st.st_mode) && strcmp(name, "local") == 0)
			walk->scan.has_local = true;
		return 0;
	}
	if (!S_ISDIR(st.st_mode)) {
		take_file(walk, path, folder, name, &st);
		return 0;
	}
	if (strlen(path) + strlen(name) + 1 > LSP_PATH_MAX) {
		note_problem(walk, false, "the path of \"%s/%s\" is too long", path, name);
		return 0;
	}
	return push(walk, path, name, err);
}

static int read_entries(struct walk *walk, int dir_fd, const char *path, struct lsp_error *err)
{
	struct lanes folder = mix_folder(path, strlen(path));
	for (;;) {
		ssize_t got = getdents64(dir_fd, walk->entries, ENTRIES_SIZE);
		if (got < 0 && errno != ENOENT)
			note_problem(walk, may_pass(errno), "cannot read \"%s\": %s", path,
				strerror(errno));
		if (got <= 0)
			return 0;
		int r = lsp_cancel_check(walk->token, err);
		for (ssize_t at = 0; r == 0 && at < got;) {
			struct dirent64 *entry = (struct dirent64 *)(walk->entries + at);
			at += entry->d_reclen;
			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
				continue;
			r = walk->quick ? visit_quickly(walk, path, entry, err)
					: visit(walk, dir_fd, path, folder, entry->d_name, err);
		}
		if (r < 0)
			return r;
	}
}

/* Before its entries are read: what comes later makes another time. */
static void sum_folder(struct walk *walk, int fd, const char *path)
{
	struct stat st;
	struct lsp_file_stamp stamp = {0};
	if (fstat(fd, &st) < 0)
		walk->doubtful = true;
	else
		lsp_file_stamp_from(&st, &stamp);
	struct lanes folder = mix_folder(path, strlen(path));
	walk->scan.structure += mix(folder.a, (uint64_t)stamp.mtime_ns) +
				(walk->use_changes ? mix(folder.b, (uint64_t)stamp.ctime_ns) : 0);
	int64_t newest = LSP_MAX(stamp.mtime_ns, stamp.ctime_ns);
	walk->scan.newest_folder_ns = LSP_MAX(walk->scan.newest_folder_ns, newest);
}

static int read_folder(struct walk *walk, const char *path, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	struct lsp_error detail = {0};
	int r = lsp_fs_open_dir_below(walk->top, *path ? path : ".", &fd, &detail);
	if (r == -LSP_E_NOT_FOUND)
		return 0; /* gone meanwhile: as if it had not been there */
	if (r < 0) {
		note_problem(walk, may_pass(detail.sys_errno), "%s", detail.message);
		return 0;
	}
	if (walk->hooks)
		walk->hooks->folder(walk->hooks->argument, fd, *path ? path : ".");
	sum_folder(walk, fd, path);
	return read_entries(walk, fd, path, err);
}

static void read_version(struct walk *walk)
{
	_cleanup_buffer_ struct lsp_buffer text = {0};
	_cleanup_version_file_ struct lsp_version_file file = {0};
	struct lsp_error detail = {0};
	int r = lsp_fs_read_file_below(
		walk->top, "version.ini", LSP_VERSION_FILE_MAX, &text, &detail);
	if (r == 0)
		r = lsp_version_file_parse((const char *)text.data, text.size, &file, &detail);
	if (r < 0)
		note_problem(walk, may_pass(detail.sys_errno), "%s", detail.message);
	else
		snprintf(walk->scan.version, sizeof walk->scan.version, "%s", file.version.text);
}

static int walk_all(struct walk *walk, struct lsp_error *err)
{
	int r = push(walk, "", "", err);
	while (r == 0 && walk->pending_count > 0) {
		_cleanup_free_ char *path = walk->pending[--walk->pending_count];
		r = read_folder(walk, path, err);
		if (walk->scan.file_count > LSP_MANIFEST_FILES_MAX) {
			note_problem(walk, false,
				"more than %u files; `add --pack` makes one archive "
				"of them",
				LSP_MANIFEST_FILES_MAX);
			break;
		}
	}
	return r;
}

/* 1: the folders are those of the last time, and so, we assume, is what is in them. */
static int look_quickly(
	struct walk *walk, const struct lsp_index_game *known, struct lsp_error *err)
{
	walk->quick = true;
	int r = walk_all(walk, err);
	walk->quick = false;
	if (r < 0)
		return r;
	struct lsp_scan *scan = &walk->scan;
	scan->structure = scan->structure ?: 1;
	bool same = !walk->doubtful && !scan->problem[0] && scan->has_version &&
		    scan->structure == known->structure && scan->file_count == known->file_count;
	if (!same) {
		*scan = (struct lsp_scan){0};
		return 0;
	}
	scan->assumed = true;
	scan->fingerprint = known->fingerprint;
	scan->size = known->size;
	snprintf(scan->version, sizeof scan->version, "%s", known->version);
	return 1;
}

int lsp_scan_game(const char *games_dir, const char *id, const struct lsp_scan_hooks *hooks,
	const struct lsp_index_game *known, struct lsp_cancel *token, struct lsp_scan *ret_scan,
	struct lsp_error *err)
{
	_cleanup_(walk_done) struct walk walk = {.top = -1, .hooks = hooks, .token = token};
	_cleanup_free_ char *path = lsp_text_format("%s/%s", games_dir, id);
	walk.entries = malloc(ENTRIES_SIZE);
	if (!path || !walk.entries)
		return lsp_error_no_memory(err, "library");
	struct lsp_error detail = {0};
	int r = lsp_fs_open_dir(path, &walk.top, &detail);
	if (r == -LSP_E_NOT_FOUND || (r < 0 && detail.sys_errno == ENOTDIR))
		return lsp_error_set(
			err, "library", LSP_E_NOT_FOUND, "there is no folder \"%s\"", path);
	if (r < 0) {
		note_problem(&walk, may_pass(detail.sys_errno), "%s", detail.message);
		*ret_scan = walk.scan;
		return 0;
	}
	walk.use_changes = lsp_scan_has_changes(walk.top);
	r = known && known->structure ? look_quickly(&walk, known, err) : 0;
	if (r == 0) {
		r = walk_all(&walk, err);
		walk.scan.structure = walk.scan.structure ?: 1;
		if (r == 0 && walk.scan.has_version)
			read_version(&walk);
		else if (r == 0 && walk.scan.has_local && hooks && hooks->installed_version)
			hooks->installed_version(walk.top, walk.scan.version);
	}
	if (r < 0)
		return r;
	*ret_scan = walk.scan;
	return 0;
}
