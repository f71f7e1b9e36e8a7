#include "torrent/metainfo.h"

#include "base/bitmap.h"
#include "wire/bencode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A writer that remembers its first failure. */
struct writer {
	struct lsp_buffer *to;
	struct lsp_error *err;
	int result;
};

static void text(struct writer *writer, const char *value)
{
	if (writer->result == 0)
		writer->result = lsp_bencode_put_text(writer->to, value, writer->err);
}

static void bytes(struct writer *writer, const void *data, size_t size)
{
	if (writer->result == 0)
		writer->result = lsp_bencode_put_string(writer->to, data, size, writer->err);
}

static void integer(struct writer *writer, int64_t value)
{
	if (writer->result == 0)
		writer->result = lsp_bencode_put_integer(writer->to, value, writer->err);
}

static void begin_dict(struct writer *writer)
{
	if (writer->result == 0)
		writer->result = lsp_bencode_begin_dict(writer->to, writer->err);
}

static void begin_list(struct writer *writer)
{
	if (writer->result == 0)
		writer->result = lsp_bencode_begin_list(writer->to, writer->err);
}

static void end(struct writer *writer)
{
	if (writer->result == 0)
		writer->result = lsp_bencode_end(writer->to, writer->err);
}

static void raw(struct writer *writer, const void *data, size_t size)
{
	if (writer->result == 0)
		writer->result = lsp_buffer_append(writer->to, data, size, writer->err);
}

/* ---- The v2 half ------------------------------------------------------------------------- */

static void tree_leaf(struct writer *writer, const struct lsp_metainfo_file *file)
{
	begin_dict(writer);
	text(writer, "");
	begin_dict(writer);
	if (file->executable) {
		text(writer, "attr");
		text(writer, "x");
	}
	text(writer, "length");
	integer(writer, (int64_t)file->size);
	if (file->size > 0) {
		text(writer, "pieces root");
		bytes(writer, file->root.bytes, sizeof file->root.bytes);
	}
	end(writer);
	end(writer);
}

/* Bytes of the folders that both paths share, with the '/' at the end. */
static size_t shared(const char *a, const char *b)
{
	size_t size = 0;
	for (size_t i = 0; a && a[i] && a[i] == b[i]; i++)
		if (a[i] == '/')
			size = i + 1;
	return size;
}

static void close_folders(struct writer *writer, const char *rest)
{
	for (; *rest; rest++)
		if (*rest == '/')
			end(writer);
}

static void file_tree(struct writer *writer, const struct lsp_metainfo *metainfo)
{
	const char *before = NULL;
	begin_dict(writer);
	for (size_t i = 0; i < metainfo->file_count; i++) {
		const char *path = metainfo->files[i].path;
		size_t at = shared(before, path);
		if (before)
			close_folders(writer, before + at);
		for (const char *slash; (slash = strchr(path + at, '/'));
			at = (size_t)(slash - path) + 1) {
			bytes(writer, path + at, (size_t)(slash - path) - at);
			begin_dict(writer);
		}
		text(writer, path + at);
		tree_leaf(writer, &metainfo->files[i]);
		before = path;
	}
	if (before)
		close_folders(writer, before);
	end(writer);
}

static int compare_roots(const void *a, const void *b)
{
	const struct lsp_metainfo_file *const *first = a, *const *second = b;
	return memcmp((*first)->root.bytes, (*second)->root.bytes, LSP_SHA256_SIZE);
}

static void piece_layers(struct writer *writer, const struct lsp_metainfo *metainfo)
{
	const struct lsp_metainfo_file **files = calloc(metainfo->file_count + 1, sizeof *files);
	size_t count = 0;
	if (!files) {
		writer->result = lsp_error_no_memory(writer->err, "torrent");
		return;
	}
	for (size_t i = 0; i < metainfo->file_count; i++)
		if (metainfo->files[i].size > metainfo->piece_length)
			files[count++] = &metainfo->files[i];
	qsort(files, count, sizeof *files, compare_roots);
	begin_dict(writer);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && compare_roots(&files[i], &files[i - 1]) == 0)
			continue; /* the same content twice */
		uint64_t pieces =
			(files[i]->size + metainfo->piece_length - 1) / metainfo->piece_length;
		bytes(writer, files[i]->root.bytes, LSP_SHA256_SIZE);
		bytes(writer, files[i]->layer, (size_t)pieces * LSP_SHA256_SIZE);
	}
	end(writer);
	free(files);
}

/* ---- The v1 half ------------------------------------------------------------------------- */

static void path_list(struct writer *writer, const char *path)
{
	begin_list(writer);
	for (const char *slash; (slash = strchr(path, '/')); path = slash + 1)
		bytes(writer, path, (size_t)(slash - path));
	text(writer, path);
	end(writer);
}

static void v1_file(struct writer *writer, const char *attr, uint64_t size, const char *path)
{
	begin_dict(writer);
	if (attr) {
		text(writer, "attr");
		text(writer, attr);
	}
	text(writer, "length");
	integer(writer, (int64_t)size);
	text(writer, "path");
	path_list(writer, path);
	end(writer);
}

/*
 * BEP 47 recommends .pad/LENGTH. Clients that do not know padding (rtorrent 0.9) refuse a torrent
 * with one path twice: the second of a length has the number of its file too.
 */
static void v1_padding(
	struct writer *writer, uint32_t length, size_t number, struct lsp_bitmap *lengths)
{
	char path[64];
	if (lsp_bitmap_set(lengths, length))
		snprintf(path, sizeof path, ".pad/%u", length);
	else
		snprintf(path, sizeof path, ".pad/%u.%zu", length, number);
	v1_file(writer, "p", length, path);
}

static void v1_files(struct writer *writer, const struct lsp_metainfo *metainfo)
{
	_cleanup_bitmap_ struct lsp_bitmap lengths = {0};
	text(writer, "files");
	begin_list(writer);
	if (writer->result == 0)
		writer->result = lsp_bitmap_init(&lengths, metainfo->piece_length, writer->err);
	for (size_t i = 0; writer->result == 0 && i < metainfo->file_count; i++) {
		const struct lsp_metainfo_file *file = &metainfo->files[i];
		uint32_t over = (uint32_t)(file->size % metainfo->piece_length);
		v1_file(writer, file->executable ? "x" : NULL, file->size, file->path);
		if (over > 0 && i + 1 < metainfo->file_count)
			v1_padding(writer, metainfo->piece_length - over, i, &lengths);
	}
	end(writer);
}

/* ---- All of it --------------------------------------------------------------------------- */

uint64_t lsp_metainfo_pieces(const struct lsp_metainfo *metainfo)
{
	uint64_t pieces = 0;
	for (size_t i = 0; i < metainfo->file_count; i++)
		pieces += (metainfo->files[i].size + metainfo->piece_length - 1) /
			  metainfo->piece_length;
	return pieces;
}

static void info(struct writer *writer, const struct lsp_metainfo *metainfo)
{
	begin_dict(writer);
	text(writer, "file tree");
	file_tree(writer, metainfo);
	if (metainfo->sha1s && !metainfo->single)
		v1_files(writer, metainfo);
	if (metainfo->sha1s && metainfo->single) {
		text(writer, "length");
		integer(writer, (int64_t)metainfo->files[0].size);
	}
	text(writer, "meta version");
	integer(writer, 2);
	text(writer, "name");
	text(writer, metainfo->name);
	text(writer, "piece length");
	integer(writer, metainfo->piece_length);
	if (metainfo->sha1s) {
		text(writer, "pieces");
		bytes(writer, metainfo->sha1s, metainfo->sha1_count * 20);
	}
	if (metainfo->is_private) {
		text(writer, "private");
		integer(writer, 1);
	}
	if (metainfo->source) {
		text(writer, "source");
		text(writer, metainfo->source);
	}
	end(writer);
}

static const char *first_tracker(const json_t *trackers)
{
	const json_t *first = json_array_get(trackers, 0);
	return json_string_value(json_is_array(first) ? json_array_get(first, 0) : first);
}

static void trackers(struct writer *writer, const json_t *list)
{
	const char *first = first_tracker(list);
	if (!first)
		return;
	text(writer, "announce");
	text(writer, first);
	text(writer, "announce-list");
	begin_list(writer);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *tier = json_array_get(list, i);
		begin_list(writer);
		if (json_is_string(tier))
			text(writer, json_string_value(tier));
		for (size_t k = 0; k < json_array_size(tier); k++)
			text(writer, json_string_value(json_array_get(tier, k)));
		end(writer);
	}
	end(writer);
}

static void url_list(struct writer *writer, const json_t *seeds)
{
	if (json_array_size(seeds) == 0)
		return;
	text(writer, "url-list");
	begin_list(writer);
	for (size_t i = 0; i < json_array_size(seeds); i++)
		text(writer, json_string_value(json_array_get(seeds, i)));
	end(writer);
}

int lsp_metainfo_write(
	const struct lsp_metainfo *metainfo, struct lsp_buffer *buffer, struct lsp_error *err)
{
	struct writer writer = {.to = buffer, .err = err};
	begin_dict(&writer);
	trackers(&writer, metainfo->trackers);
	if (metainfo->comment) {
		text(&writer, "comment");
		text(&writer, metainfo->comment);
	}
	text(&writer, "created by");
	text(&writer, "lanspread " LANSPREAD_VERSION);
	if (metainfo->created > 0) {
		text(&writer, "creation date");
		integer(&writer, metainfo->created);
	}
	text(&writer, "info");
	if (metainfo->info)
		raw(&writer, metainfo->info, metainfo->info_size);
	else
		info(&writer, metainfo);
	text(&writer, "piece layers");
	piece_layers(&writer, metainfo);
	url_list(&writer, metainfo->web_seeds);
	end(&writer);
	return writer.result;
}
