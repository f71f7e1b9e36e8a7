/*
 * From a list of files to a manifest: the list is written in the canonical form and that is parsed,
 * so that there is one place that knows the rules.
 */
#include "wire/bencode.h"
#include "wire/manifest_private.h"

#include <string.h>

static int compare_entries(const void *a, const void *b)
{
	const struct lsp_manifest_entry *const *x = a, *const *y = b;
	return lsp_path_compare((*x)->path, (*y)->path);
}

static int put_file(
	struct lsp_buffer *info, const struct lsp_manifest_entry *entry, struct lsp_error *err)
{
	int r = lsp_bencode_put_text(info, "", err);
	if (r == 0)
		r = lsp_bencode_begin_dict(info, err);
	if (r == 0 && entry->executable)
		r = lsp_bencode_put_text(info, "attr", err);
	if (r == 0 && entry->executable)
		r = lsp_bencode_put_text(info, "x", err);
	if (r == 0)
		r = lsp_bencode_put_text(info, "length", err);
	if (r == 0)
		r = lsp_bencode_put_integer(info, (int64_t)entry->size, err);
	if (r == 0 && entry->size)
		r = lsp_bencode_put_text(info, "pieces root", err);
	if (r == 0 && entry->size)
		r = lsp_bencode_put_string(info, entry->root.bytes, LSP_SHA256_SIZE, err);
	return r < 0 ? r : lsp_bencode_end(info, err);
}

/* Length of the folders that both paths share, with the '/' at the end. */
static size_t shared_folders(const char *a, const char *b)
{
	size_t shared = 0;
	for (size_t i = 0; a[i] && a[i] == b[i]; i++) {
		if (a[i] == '/')
			shared = i + 1;
	}
	return shared;
}

static int close_folders(struct lsp_buffer *info, const char *folders, struct lsp_error *err)
{
	int r = 0;
	for (; r == 0 && *folders; folders++)
		r = *folders == '/' ? lsp_bencode_end(info, err) : 0;
	return r;
}

/* The folders of `path` from byte `from` on, and its own entry. */
static int put_entry(struct lsp_buffer *info, const struct lsp_manifest_entry *entry, size_t from,
	struct lsp_error *err)
{
	const char *name = entry->path + from;
	for (;;) {
		const char *end = strchrnul(name, '/');
		int r = lsp_bencode_put_string(info, name, (size_t)(end - name), err);
		if (r == 0)
			r = lsp_bencode_begin_dict(info, err);
		if (r < 0)
			return r;
		if (!*end)
			break;
		name = end + 1;
	}
	int r = put_file(info, entry, err);
	return r < 0 ? r : lsp_bencode_end(info, err);
}

static int put_tree(struct lsp_buffer *info, const struct lsp_manifest_entry **sorted, size_t count,
	struct lsp_error *err)
{
	const char *before = "";
	int r = lsp_bencode_begin_dict(info, err);
	for (size_t i = 0; i < count && r == 0; i++) {
		size_t shared = shared_folders(before, sorted[i]->path);
		r = close_folders(info, before + shared, err);
		if (r == 0)
			r = put_entry(info, sorted[i], shared, err);
		before = sorted[i]->path;
	}
	if (r == 0)
		r = close_folders(info, before, err);
	return r < 0 ? r : lsp_bencode_end(info, err);
}

static int put_info(struct lsp_buffer *info, const char *name, uint64_t total,
	const struct lsp_manifest_entry **sorted, size_t count, struct lsp_error *err)
{
	int r = lsp_bencode_begin_dict(info, err);
	if (r == 0)
		r = lsp_bencode_put_text(info, "file tree", err);
	if (r == 0)
		r = put_tree(info, sorted, count, err);
	if (r == 0)
		r = lsp_bencode_put_text(info, "meta version", err);
	if (r == 0)
		r = lsp_bencode_put_integer(info, 2, err);
	if (r == 0)
		r = lsp_bencode_put_text(info, "name", err);
	if (r == 0)
		r = lsp_bencode_put_text(info, name, err);
	if (r == 0)
		r = lsp_bencode_put_text(info, "piece length", err);
	if (r == 0)
		r = lsp_bencode_put_integer(info, lsp_manifest_piece_length(total), err);
	return r < 0 ? r : lsp_bencode_end(info, err);
}

/* What the list says itself, before it is written: better words than the parser has. */
static int check_entries(const char *name, const struct lsp_manifest_entry *entries, size_t count,
	uint64_t *ret_total, struct lsp_error *err)
{
	uint64_t total = 0;
	int r = lsp_game_id_check(name, strlen(name), err);
	if (r < 0)
		return r;
	if (count == 0)
		return lsp_error_set(err, "wire", LSP_E_INVALID, "there is no file to share");
	if (count > LSP_MANIFEST_FILES_MAX)
		return lsp_error_set(err, "wire", LSP_E_TOO_LARGE,
			"more than %u files; pack them as an archive", LSP_MANIFEST_FILES_MAX);
	for (size_t i = 0; i < count; i++) {
		r = lsp_path_check(entries[i].path, strlen(entries[i].path), err);
		if (r < 0)
			return r;
		if (entries[i].size > LSP_MANIFEST_SIZE_MAX - total)
			return lsp_error_set(
				err, "wire", LSP_E_TOO_LARGE, "more than 8 TiB to share");
		total += entries[i].size;
	}
	*ret_total = total;
	return 0;
}

static int copy_layers(struct lsp_manifest_box *box, const struct lsp_manifest_entry **sorted,
	struct lsp_error *err)
{
	int r = lsp_manifest_allocate_layers(box, err);
	if (r < 0)
		return r;
	struct lsp_hash *next = box->layers;
	for (uint32_t i = 0; i < box->manifest.file_count; i++) {
		uint32_t pieces = box->files[i].chunk_count;
		if (pieces <= 1)
			continue;
		if (!sorted[i]->layer)
			return lsp_error_set(err, "wire", LSP_E_INVALID,
				"\"%s\" has no piece hashes", sorted[i]->path);
		memcpy(next, sorted[i]->layer, pieces * sizeof *next);
		next += pieces;
	}
	return lsp_manifest_check_layers(box, err);
}

int lsp_manifest_build(const char *name, const struct lsp_manifest_entry *entries, size_t count,
	const struct lsp_manifest **ret_manifest, struct lsp_error *err)
{
	uint64_t total = 0;
	int r = check_entries(name, entries, count, &total, err);
	if (r < 0)
		return r;
	_cleanup_free_ const struct lsp_manifest_entry **sorted = calloc(count, sizeof *sorted);
	if (!sorted)
		return lsp_error_no_memory(err, "wire");
	for (size_t i = 0; i < count; i++)
		sorted[i] = &entries[i];
	qsort(sorted, count, sizeof *sorted, compare_entries);
	_cleanup_buffer_ struct lsp_buffer info = {0};
	r = put_info(&info, name, total, sorted, count, err);
	if (r < 0)
		return r;
	_cleanup_(lsp_manifest_box_free_pointer) struct lsp_manifest_box *box = NULL;
	r = lsp_manifest_parse_info(info.data, info.size, &box, err);
	if (r == -LSP_E_PROTOCOL) {
		if (err)
			err->code = LSP_E_INVALID;
		return -LSP_E_INVALID;
	}
	if (r == 0)
		r = copy_layers(box, sorted, err);
	if (r < 0)
		return r;
	*ret_manifest = &TAKE_PTR(box)->manifest;
	return 0;
}
