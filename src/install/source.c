#include "install/source.h"

#include "base/buffer.h"
#include "base/fs.h"
#include "base/text.h"
#include "install/tree.h"
#include "wire/path.h"
#include "wire/version.h"

#include <string.h>

#define DOMAIN "install"

void lsp_install_source_done(struct lsp_install_source *source)
{
	for (size_t i = 0; i < source->count; i++) {
		free(source->files[i].path);
		free(source->files[i].where);
	}
	free(source->files);
	*source = (struct lsp_install_source){0};
}

static int add(struct lsp_install_source *source, const char *path, const char *where,
	const struct stat *st, struct lsp_error *err)
{
	if (!S_ISREG(st->st_mode))
		return lsp_error_set(
			err, DOMAIN, LSP_E_DENIED, "\"%s\" is not a regular file", where);
	if (source->count == source->capacity) {
		size_t capacity = source->capacity ? source->capacity * 2 : 16;
		struct lsp_install_source_file *files =
			reallocarray(source->files, capacity, sizeof *files);
		if (!files)
			return lsp_error_no_memory(err, DOMAIN);
		source->files = files;
		source->capacity = capacity;
	}
	_cleanup_free_ char *path_copy = strdup(path);
	_cleanup_free_ char *where_copy = strdup(where);
	if (!path_copy || !where_copy)
		return lsp_error_no_memory(err, DOMAIN);
	source->files[source->count++] = (struct lsp_install_source_file){TAKE_PTR(path_copy),
		TAKE_PTR(where_copy), (uint64_t)st->st_size, (st->st_mode & 0111) != 0};
	source->size += (uint64_t)st->st_size;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct lsp_install_source_file *)a)->path,
		((const struct lsp_install_source_file *)b)->path);
}

static void finish(struct lsp_install_source *source, struct lsp_install_source *ret_source)
{
	if (source->count)
		qsort(source->files, source->count, sizeof *source->files, compare);
	*ret_source = *source;
	*source = (struct lsp_install_source){0};
}

struct top {
	struct lsp_install_source *source;
	struct lsp_cancel *token;
	const char *folder; /* the top folder that is walked now */
};

static int visit_below(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	struct top *top = argument;
	if (S_ISDIR(entry->st->st_mode))
		return 0;
	_cleanup_free_ char *path = lsp_text_format("%s/%s", top->folder, entry->path);
	if (!path)
		return lsp_error_no_memory(err, DOMAIN);
	return add(top->source, path, path, entry->st, err);
}

/* Walks the top alone: what is ours there must not be entered. */
static int visit_top(void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err)
{
	struct top *top = argument;
	if (lsp_path_is_private(entry->name))
		return 0;
	if (!S_ISDIR(entry->st->st_mode))
		return add(top->source, entry->path, entry->path, entry->st, err);
	top->folder = entry->name;
	return lsp_tree_walk(entry->dir_fd, entry->name, top->token, visit_below, top, err);
}

int lsp_install_source_read(int game_fd, struct lsp_cancel *token,
	struct lsp_install_source *ret_source, struct lsp_error *err)
{
	_cleanup_install_source_ struct lsp_install_source source = {.game_fd = game_fd};
	struct top top = {&source, token, NULL};
	int r = lsp_tree_list(game_fd, ".", token, visit_top, &top, err);
	if (r < 0)
		return r;
	finish(&source, ret_source);
	return 0;
}

int lsp_install_source_overlay(int game_fd, const char *overlay, const char *const *paths,
	size_t count, struct lsp_install_source *ret_source, struct lsp_error *err)
{
	_cleanup_install_source_ struct lsp_install_source source = {.game_fd = game_fd};
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct stat st;
		_cleanup_free_ char *there = lsp_text_format("%s/%s", overlay, paths[i]);
		if (!there)
			return lsp_error_no_memory(err, DOMAIN);
		const char *where = there;
		r = lsp_fs_stat_below(game_fd, where, &st, err);
		if (r == -LSP_E_NOT_FOUND) {
			where = paths[i];
			r = lsp_fs_stat_below(game_fd, where, &st, err);
		}
		if (r == 0)
			r = add(&source, paths[i], where, &st, err);
	}
	if (r < 0)
		return r;
	finish(&source, ret_source);
	return 0;
}

const struct lsp_install_source_file *lsp_install_source_find(
	const struct lsp_install_source *source, const char *path)
{
	struct lsp_install_source_file key = {.path = (char *)path};
	return source->count ? bsearch(&key, source->files, source->count, sizeof key, compare)
			     : NULL;
}

void lsp_install_source_version(
	const struct lsp_install_source *source, char *ret_version, size_t size)
{
	const struct lsp_install_source_file *file = lsp_install_source_find(source, "version.ini");
	_cleanup_buffer_ struct lsp_buffer text = {0};
	_cleanup_version_file_ struct lsp_version_file parsed = {0};
	snprintf(ret_version, size, "%s", "");
	if (file &&
		lsp_fs_read_file_below(
			source->game_fd, file->where, LSP_VERSION_FILE_MAX, &text, NULL) == 0 &&
		lsp_version_file_parse((const char *)text.data, text.size, &parsed, NULL) == 0)
		snprintf(ret_version, size, "%s", parsed.version.text);
}
