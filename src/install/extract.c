#include "install/extract.h"

#include "base/buffer.h"
#include "base/fs.h"
#include "base/text.h"
#include "install/extract_name.h"
#include "install/rar.h"
#include "install/tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#define DOMAIN "install"
/* Small enough to stay in the nearest caches: a third less CPU than 256 KiB. */
#define READ_SIZE ((size_t)64 << 10)
/* Rarely: starting it costs this thread the time that the final sync saves. */
#define WRITE_BACK_SIZE (UINT64_C(64) << 20)

/* A symlink that waits for the end. */
struct link {
	char *path, *text;
};

struct run {
	const struct lsp_extract *extract;
	struct lsp_unpack_stats stats;
	uint64_t in_total; /* bytes of all volumes */
	uint64_t in;       /* consumed */
	char *buffer;      /* READ_SIZE */
	int failed;        /* the code that a callback below libarchive ended with */
	struct lsp_error *err;
	struct archive *archive;
	const char *current; /* the volume that is read, for messages */
	char *parent;        /* the folder that parent_fd is */
	int parent_fd;
	struct link *links;
	size_t link_count, link_capacity;
};

/* What libarchive is given for each volume. */
struct reader {
	struct run *run;
	const struct lsp_extract_volume *volume;
	uint64_t at, size;
};

static int report(struct run *run)
{
	const struct lsp_extract *e = run->extract;
	if (run->failed == 0 && e->progress)
		run->failed = e->progress(
			e->argument, run->in, run->stats.bytes, run->stats.entries, run->err);
	return run->failed;
}

/* ---- Reading, below libarchive ---- */

static la_ssize_t read_volume(struct archive *a, void *pointer, const void **ret_data)
{
	struct reader *reader = pointer;
	struct run *run = reader->run;
	size_t got = 0;
	if (run->failed == 0)
		run->failed = lsp_fs_read_at(
			reader->volume->fd, run->buffer, READ_SIZE, reader->at, &got, run->err);
	run->current = reader->volume->name;
	reader->at += got;
	run->in += got;
	if (report(run) < 0) {
		archive_set_error(a, ECANCELED, "stopped");
		return ARCHIVE_FATAL;
	}
	*ret_data = run->buffer;
	return (la_ssize_t)got;
}

static la_int64_t skip_volume(struct archive *a, void *pointer, la_int64_t request)
{
	(void)a;
	struct reader *reader = pointer;
	uint64_t left = reader->at < reader->size ? reader->size - reader->at : 0;
	uint64_t step = LSP_MIN(request > 0 ? (uint64_t)request : 0, left);
	reader->at += step;
	reader->run->in += step;
	return (la_int64_t)step;
}

static la_int64_t seek_volume(struct archive *a, void *pointer, la_int64_t offset, int whence)
{
	(void)a;
	struct reader *reader = pointer;
	int64_t base = whence == SEEK_SET   ? 0
		       : whence == SEEK_CUR ? (int64_t)reader->at
					    : (int64_t)reader->size;
	if (offset < -base)
		return ARCHIVE_FATAL;
	reader->at = (uint64_t)(base + offset);
	return base + offset;
}

static int switch_volume(struct archive *a, void *from, void *to)
{
	(void)a;
	(void)from;
	struct reader *reader = to;
	reader->at = 0;
	return ARCHIVE_OK;
}

/* ---- Errors of libarchive ---- */

/* Words in its messages that mean "well-formed, but not with me". */
static bool is_unsupported(const char *text)
{
	static const char *const words[] = {"unsupported", "not supported", "unavailable",
		"no support", "window size", "dictionary"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(words); i++)
		if (strcasestr(text, words[i]))
			return true;
	return false;
}

static int archive_failure(struct run *run, const char *entry)
{
	if (run->failed < 0)
		return run->failed;
	const char *text = archive_error_string(run->archive);
	text = text ? text : "it is damaged";
	const char *volume = run->current ? run->current : run->extract->volumes[0].name;
	int code = strcasestr(text, "encrypt") || strcasestr(text, "passphrase") ? LSP_E_DENIED
		   : archive_errno(run->archive) == ENOMEM                       ? LSP_E_NO_MEMORY
		   : is_unsupported(text)                                        ? LSP_E_UNSUPPORTED
										 : LSP_E_CORRUPT;
	return lsp_error_set(run->err, DOMAIN, code, "archive \"%s\"%s%.100s%s: %s", volume,
		entry ? ", entry \"" : "", entry ? entry : "", entry ? "\"" : "",
		code == LSP_E_DENIED ? "it is encrypted, and there is no password for it" : text);
}

/* ---- Folders
 * -----------------------------------------------------------------------------------------------
 */

/* Opens the folder of a path, made if needed, and gives the last name. Archives come folder by
 * folder, so the last one is kept open. */
static int enter_parent(struct run *run, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	*ret_name = slash ? slash + 1 : path;
	if (run->parent && strlen(run->parent) == length && memcmp(run->parent, path, length) == 0)
		return 0;
	_cleanup_free_ char *parent = strndup(path, length);
	if (!parent)
		return lsp_error_no_memory(run->err, DOMAIN);
	int target = run->extract->target_fd, fd = -1;
	int r = length ? lsp_fs_make_dirs_below(target, parent, run->err) : 0;
	if (r == 0)
		r = lsp_fs_open_dir_below(target, length ? parent : ".", &fd, run->err);
	if (r < 0)
		return r;
	lsp_cleanup_close(&run->parent_fd);
	free(run->parent);
	run->parent_fd = fd;
	run->parent = TAKE_PTR(parent);
	return 0;
}

static void forget_parent(struct run *run)
{
	lsp_cleanup_close(&run->parent_fd);
	run->parent_fd = -1;
	free(run->parent);
	run->parent = NULL;
}

/* ---- Files
 * --------------------------------------------------------------------------------------------------
 */

/* Is there a name of exactly these bytes? (On a filesystem without case stat(2) does not tell.) */
static bool exact_name(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		lsp_cleanup_close(&fd);
		return false;
	}
	bool found = false;
	struct dirent *entry;
	while (!found && (entry = readdir(dir)))
		found = strcmp(entry->d_name, name) == 0;
	closedir(dir);
	return found;
}

static int create_file(struct run *run, const char *path, mode_t mode, int *ret_fd)
{
	const char *name;
	int r = enter_parent(run, path, &name);
	if (r < 0)
		return r;
	int flags = O_RDWR | O_CREAT | O_EXCL;
	r = lsp_fs_open_below(run->parent_fd, name, flags, mode, ret_fd, run->err);
	if (r != -LSP_E_EXISTS)
		return r;
	if (!exact_name(run->parent_fd, name))
		return lsp_error_set(run->err, DOMAIN, LSP_E_DENIED,
			"the archive has entries whose names are the same for this filesystem, "
			"such as \"%.150s\"",
			path);
	r = lsp_fs_unlink_below(run->parent_fd, name, run->err);
	return r < 0 ? r : lsp_fs_open_below(run->parent_fd, name, flags, mode, ret_fd, run->err);
}

static int check_caps(struct run *run, uint64_t more, const char *path)
{
	const struct lsp_unpack_limits *limits = run->extract->limits;
	uint64_t out = run->stats.bytes + more;
	if (out < more || out > limits->bytes)
		return lsp_error_set(run->err, DOMAIN, LSP_E_TOO_LARGE,
			"the archive holds more than %llu bytes (at \"%.150s\")",
			(unsigned long long)limits->bytes, path);
	if (out > limits->ratio_free && out / limits->ratio > run->in_total)
		return lsp_error_set(run->err, DOMAIN, LSP_E_TOO_LARGE,
			"the archive unpacks to more than %llu times its size (at \"%.150s\")",
			(unsigned long long)limits->ratio, path);
	return 0;
}

static int write_blocks(struct run *run, const char *path, int fd, uint64_t *ret_end)
{
	uint64_t end = 0, written_back = 0;
	for (;;) {
		const void *data;
		size_t size;
		la_int64_t offset;
		int got = archive_read_data_block(run->archive, &data, &size, &offset);
		if (got == ARCHIVE_EOF)
			break;
		if (got == ARCHIVE_RETRY)
			continue;
		if (got != ARCHIVE_OK)
			return archive_failure(run, path);
		if (offset < 0 || (uint64_t)offset < end)
			return lsp_error_set(run->err, DOMAIN, LSP_E_CORRUPT,
				"the archive's entry \"%.150s\" overlaps itself", path);
		int r = check_caps(run, (uint64_t)offset + size - end, path);
		if (r == 0)
			r = lsp_fs_write_at(fd, data, size, (uint64_t)offset, path, run->err);
		if (r < 0)
			return r;
		run->stats.bytes += (uint64_t)offset + size - end;
		end = (uint64_t)offset + size;
		if (end - written_back >= WRITE_BACK_SIZE) {
			lsp_fs_write_back(fd, written_back, end - written_back);
			written_back = end;
		}
		if (report(run) < 0)
			return run->failed;
	}
	*ret_end = end;
	return 0;
}

static int64_t entry_mtime(struct archive_entry *entry)
{
	int64_t seconds = (int64_t)archive_entry_mtime(entry);
	if (seconds < -INT64_C(2000000000) || seconds > INT64_C(9000000000))
		return 0;
	return seconds * 1000000000 + archive_entry_mtime_nsec(entry) % 1000000000;
}

static int extract_file(struct run *run, struct archive_entry *entry, const char *path)
{
	int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
	int r = size < 0 ? -LSP_E_CORRUPT : check_caps(run, (uint64_t)size, path);
	if (r == -LSP_E_CORRUPT)
		return lsp_error_set(run->err, DOMAIN, LSP_E_CORRUPT,
			"the archive's entry \"%.150s\" has a length below zero", path);
	_cleanup_close_ int fd = -1;
	mode_t mode = archive_entry_perm(entry) & 0111 ? 0755 : 0644;
	if (r == 0)
		r = create_file(run, path, mode, &fd);
	uint64_t end = 0;
	if (r == 0)
		r = write_blocks(run, path, fd, &end);
	if (r == 0 && archive_entry_size_is_set(entry) && (uint64_t)size != end) {
		if ((uint64_t)size < end)
			return lsp_error_set(run->err, DOMAIN, LSP_E_CORRUPT,
				"the archive's entry \"%.150s\" is longer than it says", path);
		/* Sparse at its end; a short one would have failed its checksum above. */
		r = lsp_fs_truncate(fd, (uint64_t)size, path, run->err);
		run->stats.bytes += (uint64_t)size - end;
	}
	if (r == 0 && archive_entry_mtime_is_set(entry))
		r = lsp_fs_set_mtime(fd, entry_mtime(entry), path, run->err);
	return r;
}

/* A hard link becomes a copy: a game that writes one name must not change another. */
static int extract_hard_link(struct run *run, const char *path, const char *raw_target)
{
	_cleanup_free_ char *target = NULL;
	_cleanup_close_ int from = -1;
	struct stat st;
	int target_fd = run->extract->target_fd;
	int r = lsp_extract_clean_name(raw_target, run->extract->limits->depth, &target, run->err);
	if (r == 0)
		r = lsp_fs_open_below(target_fd, target, O_RDONLY, 0, &from, run->err);
	if (r == 0 && strcmp(target, path) == 0)
		return 0;
	if (r == 0 && fstat(from, &st) < 0)
		r = lsp_error_errno(run->err, DOMAIN, errno, "cannot look at \"%s\"", target);
	if (r == 0)
		r = check_caps(run, (uint64_t)st.st_size, path);
	const char *name;
	if (r == 0)
		r = enter_parent(run, path, &name);
	if (r == 0 && lsp_fs_exists_below(run->parent_fd, name))
		r = lsp_fs_unlink_below(run->parent_fd, name, run->err);
	if (r == 0)
		r = lsp_tree_copy_file(from, run->parent_fd, name, st.st_mode & 0111 ? 0755 : 0644,
			NULL, NULL, NULL, run->err);
	if (r == 0)
		run->stats.bytes += (uint64_t)st.st_size;
	return r;
}

/* ---- Links
 * -----------------------------------------------------------------------------------------------------
 */

static int remember_link(struct run *run, const char *path, const char *text)
{
	if (!lsp_tree_link_stays_inside(path, text))
		return lsp_error_set(run->err, DOMAIN, LSP_E_DENIED,
			"the archive's link \"%.100s\" leads out of the game, to \"%.100s\"", path,
			text);
	if (run->link_count == run->link_capacity) {
		size_t capacity = run->link_capacity ? run->link_capacity * 2 : 16;
		struct link *links = reallocarray(run->links, capacity, sizeof *links);
		if (!links)
			return lsp_error_no_memory(run->err, DOMAIN);
		run->links = links;
		run->link_capacity = capacity;
	}
	struct link link = {strdup(path), strdup(text)};
	if (!link.path || !link.text) {
		free(link.path);
		free(link.text);
		return lsp_error_no_memory(run->err, DOMAIN);
	}
	run->links[run->link_count++] = link;
	return 0;
}

static int make_links(struct run *run)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < run->link_count; i++) {
		const struct link *link = &run->links[i];
		const char *name;
		struct stat st;
		r = enter_parent(run, link->path, &name);
		/* An earlier archive's file gives way; a folder or this one's own does not. */
		if (r == 0 && lsp_fs_stat_below(run->parent_fd, name, &st, NULL) == 0) {
			if (S_ISDIR(st.st_mode))
				return lsp_error_set(run->err, DOMAIN, LSP_E_DENIED,
					"the archive has \"%.150s\" both as a link and a folder",
					link->path);
			r = lsp_fs_unlink_below(run->parent_fd, name, run->err);
		}
		if (r == 0)
			r = lsp_fs_symlink_below(run->parent_fd, name, link->text, run->err);
	}
	return r;
}

/* ---- Entries
 * ---------------------------------------------------------------------------------------------------
 */

static int extract_entry(struct run *run, struct archive_entry *entry, const char *path)
{
	const char *hard = archive_entry_hardlink(entry);
	if (hard)
		return extract_hard_link(run, path, hard);
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		return extract_file(run, entry, path);
	case AE_IFDIR:
		if (run->parent && strcmp(run->parent, path) == 0)
			return 0;
		return lsp_fs_make_dirs_below(run->extract->target_fd, path, run->err);
	case AE_IFLNK: {
		const char *text = archive_entry_symlink_utf8(entry);
		if (!text)
			text = archive_entry_symlink(entry);
		return remember_link(run, path, text ? text : "");
	}
	default:
		run->stats.skipped++;
		return 0;
	}
}

static int handle_entry(struct run *run, struct archive_entry *entry)
{
	const struct lsp_unpack_limits *limits = run->extract->limits;
	const char *raw = archive_entry_pathname_utf8(entry);
	if (!raw)
		raw = archive_entry_pathname(entry);
	if (!raw || !*raw)
		return lsp_error_set(run->err, DOMAIN, LSP_E_CORRUPT,
			"archive \"%s\" has an entry without a name",
			run->extract->volumes[0].name);
	if (++run->stats.entries > limits->entries)
		return lsp_error_set(run->err, DOMAIN, LSP_E_TOO_LARGE,
			"the archive has more than %llu entries",
			(unsigned long long)limits->entries);
	_cleanup_free_ char *path = NULL;
	int r = lsp_extract_clean_name(raw, limits->depth, &path, run->err);
	if (r == 0 && archive_entry_is_encrypted(entry))
		r = lsp_error_set(run->err, DOMAIN, LSP_E_DENIED,
			"archive \"%s\", entry \"%.100s\": it is encrypted, and there is no "
			"password for it",
			run->extract->volumes[0].name, path);
	if (r < 0)
		return r;
	if (run->extract->target_fd >= 0)
		return *path ? extract_entry(run, entry, path) : 0;
	if (!archive_entry_size_is_set(entry))
		run->stats.known = false;
	else if (archive_entry_size(entry) > 0)
		run->stats.bytes += (uint64_t)archive_entry_size(entry);
	return 0;
}

/*
 * A tar that was cut between two entries ends like a whole one, but for the blocks of zeros at its
 * end. A compressed one says by itself that it was cut.
 */
static int check_end_of_tar(struct run *run)
{
	static const char zeros[512];
	char last[sizeof zeros];
	struct archive *a = run->archive;
	const struct lsp_extract *e = run->extract;
	const struct lsp_extract_volume *volume = &e->volumes[e->volume_count - 1];
	int64_t end = archive_filter_bytes(a, 0);
	size_t got = 0;
	if ((archive_format(a) & ARCHIVE_FORMAT_BASE_MASK) != ARCHIVE_FORMAT_TAR ||
		archive_filter_count(a) > 1 || e->volume_count > 1 || end < (int64_t)sizeof last)
		return 0;
	int r = lsp_fs_read_at(
		volume->fd, last, sizeof last, (uint64_t)end - sizeof last, &got, run->err);
	if (r < 0 || (got == sizeof last && memcmp(last, zeros, sizeof last) == 0))
		return r;
	return lsp_error_set(run->err, DOMAIN, LSP_E_CORRUPT,
		"archive \"%s\": it is cut off, its end is missing", volume->name);
}

static int handle_entries(struct run *run)
{
	for (;;) {
		struct archive_entry *entry;
		int got = archive_read_next_header(run->archive, &entry);
		if (got == ARCHIVE_EOF)
			break;
		if (got == ARCHIVE_RETRY)
			continue;
		if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
			return archive_failure(run, NULL);
		int r = handle_entry(run, entry);
		if (r == 0)
			r = report(run);
		if (r < 0)
			return r;
		/* A compressed tar has no way to skip: measuring it is unpacking it. */
		if (run->extract->target_fd < 0 && archive_filter_count(run->archive) > 1) {
			run->stats.known = false;
			break;
		}
	}
	forget_parent(run);
	int r = check_end_of_tar(run);
	return r < 0 ? r : make_links(run);
}

/* ---- Opening
 * ------------------------------------------------------------------------------------------------------
 */

/* What libarchive would put in words that help nobody. */
static int check_rar(struct run *run, size_t index)
{
	const struct lsp_extract_volume *volume = &run->extract->volumes[index];
	struct lsp_rar_facts facts;
	lsp_rar_look(volume->fd, run->extract->limits->entries + 8, &facts);
	if (facts.encrypted)
		return lsp_error_set(run->err, DOMAIN, LSP_E_DENIED,
			"archive \"%s\"%s%s%s: it is encrypted, and there is no password for it",
			volume->name, *facts.encrypted_name ? ", entry \"" : "",
			facts.encrypted_name, *facts.encrypted_name ? "\"" : "");
	if (facts.incomplete)
		return lsp_error_set(run->err, DOMAIN, LSP_E_CORRUPT,
			"archive \"%s\": it is cut off or damaged, its end is missing",
			volume->name);
	if (index == 0 && facts.later_volume)
		return lsp_error_set(run->err, DOMAIN, LSP_E_NOT_FOUND,
			"archive \"%s\" is a later part of an archive whose first part is missing",
			volume->name);
	if (index + 1 == run->extract->volume_count && facts.more_volumes)
		return lsp_error_set(run->err, DOMAIN, LSP_E_NOT_FOUND,
			"archive \"%s\" goes on in another part, which is missing", volume->name);
	return 0;
}

static int open_archive(struct run *run, struct reader *readers)
{
	struct archive *a = run->archive;
	archive_read_support_format_rar(a);
	archive_read_support_format_rar5(a);
	archive_read_support_format_zip(a);
	archive_read_support_format_7zip(a);
	archive_read_support_format_tar(a);
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_lz4(a);
	archive_read_set_read_callback(a, read_volume);
	archive_read_set_skip_callback(a, skip_volume);
	archive_read_set_seek_callback(a, seek_volume);
	archive_read_set_switch_callback(a, switch_volume);
	for (size_t i = 0; i < run->extract->volume_count; i++) {
		const struct lsp_extract_volume *volume = &run->extract->volumes[i];
		struct stat st;
		if (fstat(volume->fd, &st) < 0)
			return lsp_error_errno(
				run->err, DOMAIN, errno, "cannot look at \"%s\"", volume->name);
		int r = check_rar(run, i);
		if (r < 0)
			return r;
		readers[i] = (struct reader){run, volume, 0, (uint64_t)st.st_size};
		run->in_total += (uint64_t)st.st_size;
		if (archive_read_append_callback_data(a, &readers[i]) != ARCHIVE_OK)
			return lsp_error_no_memory(run->err, DOMAIN);
	}
	if (archive_read_open1(a) != ARCHIVE_OK)
		return archive_failure(run, NULL);
	return 0;
}

static void run_done(struct run *run)
{
	if (run->archive)
		archive_read_free(run->archive);
	forget_parent(run);
	for (size_t i = 0; i < run->link_count; i++) {
		free(run->links[i].path);
		free(run->links[i].text);
	}
	free(run->links);
	free(run->buffer);
}

int lsp_extract_run(const struct lsp_extract *extract, struct lsp_unpack_stats *ret_stats,
	struct lsp_error *err)
{
	struct lsp_error local = {0};
	struct run run = {.extract = extract, .err = &local, .parent_fd = -1, .stats.known = true};
	_cleanup_free_ struct reader *readers = calloc(extract->volume_count, sizeof *readers);
	run.buffer = malloc(READ_SIZE);
	run.archive = archive_read_new();
	int r = readers && run.buffer && run.archive ? open_archive(&run, readers)
						     : lsp_error_no_memory(&local, DOMAIN);
	if (r == 0)
		r = handle_entries(&run);
	if (r == 0)
		*ret_stats = run.stats;
	else if (err)
		*err = local;
	run_done(&run);
	return r;
}
