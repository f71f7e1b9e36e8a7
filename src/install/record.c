#include "install/record.h"

#include "base/buffer.h"
#include "base/fs.h"
#include "base/sha256.h"
#include "install/tree.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define DOMAIN "install"
static const char magic[] = "lanspread installed 1\n";

void lsp_record_done(struct lsp_record *record)
{
	for (size_t i = 0; i < record->count; i++)
		free(record->files[i].path);
	free(record->files);
	*record = (struct lsp_record){0};
}

static int add(struct lsp_record *record, const char *path, uint64_t size, int64_t stamp, bool link,
	struct lsp_error *err)
{
	if (record->count == record->capacity) {
		size_t capacity = record->capacity ? record->capacity * 2 : 64;
		struct lsp_record_file *files =
			reallocarray(record->files, capacity, sizeof *files);
		if (!files)
			return lsp_error_no_memory(err, DOMAIN);
		record->files = files;
		record->capacity = capacity;
	}
	char *copy = strdup(path);
	if (!copy)
		return lsp_error_no_memory(err, DOMAIN);
	record->files[record->count++] = (struct lsp_record_file){copy, size, stamp, link};
	record->bytes += link ? 0 : size;
	return 0;
}

static int compare_files(const void *a, const void *b)
{
	return strcmp(((const struct lsp_record_file *)a)->path,
		((const struct lsp_record_file *)b)->path);
}

/* ---- What a file is now ---- */

static int64_t file_stamp(const struct stat *st)
{
	return (int64_t)((uint64_t)st->st_mtim.tv_sec * UINT64_C(1000000000) +
			 (uint64_t)st->st_mtim.tv_nsec);
}

static bool link_stamp(int dir_fd, const char *name, int64_t *ret_stamp)
{
	char text[PATH_MAX];
	if (lsp_tree_read_link(dir_fd, name, text, sizeof text, NULL) < 0)
		return false;
	struct lsp_hash hash;
	lsp_sha256(&hash, text, strlen(text));
	memcpy(ret_stamp, hash.bytes, sizeof *ret_stamp);
	return true;
}

/* Is `now` the time `then`, as a filesystem of coarser steps would give it back? */
static bool same_time(int64_t now, int64_t then)
{
	static const int64_t steps[] = {1, 100, 10000000, 1000000000, 2000000000};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(steps); i++) {
		int64_t rest = then % steps[i];
		if (now == then - (rest < 0 ? rest + steps[i] : rest))
			return true;
	}
	return false;
}

bool lsp_record_unchanged(const struct lsp_record *record, const char *path, int dir_fd,
	const char *name, const struct stat *st)
{
	const struct lsp_record_file *file = lsp_record_find(record, path);
	if (!file)
		return false;
	int64_t stamp;
	if (file->link)
		return S_ISLNK(st->st_mode) && link_stamp(dir_fd, name, &stamp) &&
		       stamp == file->stamp;
	return S_ISREG(st->st_mode) && (uint64_t)st->st_size == file->size &&
	       same_time(file_stamp(st), file->stamp);
}

const struct lsp_record_file *lsp_record_find(const struct lsp_record *record, const char *path)
{
	struct lsp_record_file key = {.path = (char *)path};
	return record->count
		       ? bsearch(&key, record->files, record->count, sizeof key, compare_files)
		       : NULL;
}

static int scan_entry(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	struct lsp_record *record = argument;
	if (S_ISREG(entry->st->st_mode))
		return add(record, entry->path, (uint64_t)entry->st->st_size, file_stamp(entry->st),
			false, err);
	int64_t stamp;
	if (S_ISLNK(entry->st->st_mode) && link_stamp(entry->dir_fd, entry->name, &stamp))
		return add(record, entry->path, (uint64_t)entry->st->st_size, stamp, true, err);
	return 0;
}

int lsp_record_scan(int dir_fd, const char *path, const char *version, struct lsp_cancel *token,
	struct lsp_record *ret_record, struct lsp_error *err)
{
	_cleanup_record_ struct lsp_record record = {0};
	snprintf(record.version, sizeof record.version, "%s", version);
	int r = lsp_tree_walk(dir_fd, path, token, scan_entry, &record, err);
	if (r < 0)
		return r;
	if (record.count)
		qsort(record.files, record.count, sizeof *record.files, compare_files);
	*ret_record = record;
	record = (struct lsp_record){0};
	return 0;
}

/* ---- The file ---- */

int lsp_record_write(
	const struct lsp_record *record, int dir_fd, const char *path, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer out = {0};
	int r = lsp_buffer_printf(&out, err, "%s%s\n", magic, record->version);
	for (size_t i = 0; r == 0 && i < record->count; i++) {
		const struct lsp_record_file *file = &record->files[i];
		r = lsp_buffer_printf(&out, err, "%c %" PRIu64 " %" PRId64 " ",
			file->link ? 'l' : 'f', file->size, file->stamp);
		if (r == 0)
			r = lsp_buffer_append(&out, file->path, strlen(file->path) + 1, err);
	}
	if (r < 0)
		return r;
	struct lsp_hash hash;
	lsp_sha256(&hash, out.data, out.size);
	r = lsp_buffer_append(&out, &hash, sizeof hash, err);
	if (r == 0 && out.size > LSP_RECORD_MAX)
		r = lsp_error_set(
			err, DOMAIN, LSP_E_TOO_LARGE, "too many files (%zu)", record->count);
	return r < 0 ? r : lsp_fs_write_file_below(dir_fd, path, out.data, out.size, 0644, err);
}

static int torn(const char *path, struct lsp_error *err)
{
	return lsp_error_set(
		err, DOMAIN, LSP_E_CORRUPT, "the install record \"%s\" is damaged", path);
}

/* Reads and checks; *ret_body is behind the version's line and *ret_end before the hash. */
static int load(int dir_fd, const char *path, struct lsp_buffer *content,
	char ret_version[LSP_VERSION_TEXT_MAX + 1], const char **ret_body, const char **ret_end,
	struct lsp_error *err)
{
	int r = lsp_fs_read_file_below(dir_fd, path, LSP_RECORD_MAX, content, err);
	if (r < 0)
		return r;
	struct lsp_hash hash;
	size_t head = sizeof magic - 1;
	if (content->size < head + 1 + sizeof hash || memcmp(content->data, magic, head) != 0)
		return torn(path, err);
	size_t size = content->size - sizeof hash;
	lsp_sha256(&hash, content->data, size);
	if (memcmp(&hash, content->data + size, sizeof hash) != 0)
		return torn(path, err);
	const char *version = (const char *)content->data + head;
	const char *line_end = memchr(version, '\n', size - head);
	if (!line_end || line_end - version > LSP_VERSION_TEXT_MAX)
		return torn(path, err);
	memcpy(ret_version, version, (size_t)(line_end - version));
	ret_version[line_end - version] = '\0';
	*ret_body = line_end + 1;
	*ret_end = (const char *)content->data + size;
	return 0;
}

int lsp_record_read(
	int dir_fd, const char *path, struct lsp_record *ret_record, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	_cleanup_record_ struct lsp_record record = {0};
	const char *at, *end;
	int r = load(dir_fd, path, &content, record.version, &at, &end, err);
	while (r == 0 && at < end) {
		const char *nul = memchr(at, '\0', (size_t)(end - at));
		char kind;
		uint64_t size;
		int64_t stamp;
		int used = 0;
		if (!nul ||
			sscanf(at, "%c %" SCNu64 " %" SCNd64 "%n", &kind, &size, &stamp, &used) !=
				3 ||
			at[used] != ' ')
			return torn(path, err);
		r = add(&record, at + used + 1, size, stamp, kind == 'l', err);
		at = nul + 1;
	}
	if (r < 0)
		return r;
	*ret_record = record;
	record = (struct lsp_record){0};
	return 0;
}

int lsp_record_read_version(int dir_fd, const char *path,
	char ret_version[LSP_VERSION_TEXT_MAX + 1], struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	const char *body, *end;
	return load(dir_fd, path, &content, ret_version, &body, &end, err);
}
