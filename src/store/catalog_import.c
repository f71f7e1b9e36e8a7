/*
 * Both formats come down to records of cells, each a column, a text and a place to name in an
 * error. Everything happens inside one transaction: the first bad cell takes all back.
 */
#include "store/catalog_row.h"

#include "base/fs.h"
#include "base/text.h"
#include "store/csv.h"
#include "store/db.h"
#include "store/picture.h"
#include "wire/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct import {
	const char *text;
	size_t size;
	int folder; /* of the file, for covers */
	const struct lsp_catalog_snapshot *known;
	json_t *seen; /* ids of this file */
	struct lsp_catalog_import_result result;
};

/* One game of the file, half read. */
struct record {
	struct lsp_catalog_row row;
	bool is_new;
	struct lsp_catalog_cover_change cover;
	struct lsp_buffer cover_data;
};

static void record_done(struct record *record)
{
	lsp_catalog_row_done(&record->row);
	lsp_buffer_done(&record->cover_data);
}

/* Starts from what is known of that game, so that absent cells change nothing. */
static int record_begin(struct import *import, struct record *record, const char *id, size_t size,
	struct lsp_error *err)
{
	int r = lsp_catalog_row_set(&record->row, LSP_CATALOG_ID, id, size, err);
	if (r < 0)
		return r;
	const char *name = record->row.texts[LSP_CATALOG_ID];
	if (!name)
		return lsp_error_set(err, "store", LSP_E_INVALID, "the id is empty");
	if (json_object_get(import->seen, name))
		return lsp_error_set(
			err, "store", LSP_E_INVALID, "the game \"%s\" is there twice", name);
	if (json_object_set_new(import->seen, name, json_true()) < 0)
		return lsp_error_no_memory(err, "store");
	const struct lsp_catalog_entry *entry = lsp_catalog_find(import->known, name);
	record->is_new = !entry;
	return entry ? lsp_catalog_row_copy(&record->row, entry, err) : 0;
}

static int set_cover_bytes(struct record *record, struct lsp_error *err)
{
	int r = lsp_picture_check(record->cover_data.data, record->cover_data.size, err);
	if (r < 0)
		return r;
	record->cover = (struct lsp_catalog_cover_change){
		true, record->cover_data.data, record->cover_data.size};
	record->row.has_cover = true;
	return 0;
}

static int digit_of(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* RFC 4648, section 4; line ends and padding are passed over. */
static int decode_base64(const char *text, struct lsp_buffer *out, struct lsp_error *err)
{
	uint32_t bits = 0;
	unsigned count = 0;
	int r = lsp_buffer_reserve(out, strlen(text) / 4 * 3 + 3, err);
	for (; r == 0 && *text; text++) {
		if (*text == '=' || *text == '\n' || *text == '\r')
			continue;
		int digit = digit_of(*text);
		if (digit < 0)
			return lsp_error_set(
				err, "store", LSP_E_INVALID, "the picture is no base64 text");
		bits = bits << 6 | (uint32_t)digit;
		count += 6;
		if (count >= 8) {
			count -= 8;
			out->data[out->size++] = (uint8_t)(bits >> count);
		}
	}
	return r;
}

static int set_cover(
	struct import *import, struct record *record, const char *text, struct lsp_error *err)
{
	if (!*text)
		return 0;
	lsp_buffer_done(&record->cover_data);
	int r;
	if (lsp_text_starts_with(text, "data:")) {
		const char *base64 = strstr(text, ";base64,");
		if (!base64)
			return lsp_error_set(err, "store", LSP_E_INVALID,
				"a data: address must hold base64 text");
		r = decode_base64(base64 + strlen(";base64,"), &record->cover_data, err);
	} else {
		r = lsp_fs_read_file_below(
			import->folder, text, LSP_PICTURE_MAX, &record->cover_data, err);
	}
	return r < 0 ? r : set_cover_bytes(record, err);
}

static int set_cell(struct import *import, struct record *record, enum lsp_catalog_column column,
	const char *text, size_t size, struct lsp_error *err)
{
	if (size == 0 || column == LSP_CATALOG_ID)
		return 0;
	if (column == LSP_CATALOG_COVER)
		return set_cover(import, record, text, err);
	return lsp_catalog_row_set(&record->row, column, text, size, err);
}

static int record_end(
	struct import *import, struct lsp_db *db, struct record *record, struct lsp_error *err)
{
	int r = lsp_catalog_row_check(&record->row, err);
	if (r < 0)
		return r;
	struct lsp_catalog_entry entry = lsp_catalog_row_view(&record->row);
	const struct lsp_catalog_entry *old = lsp_catalog_find(import->known, entry.id);
	if (old && !record->cover.change && lsp_catalog_entry_equal(old, &entry)) {
		import->result.unchanged++;
		return 0;
	}
	if (record->is_new)
		import->result.added++;
	else
		import->result.changed++;
	return lsp_catalog_write_row(db, &record->row, &record->cover, err);
}

/* Once for each name, however many records have it. */
static void note_ignored(struct import *import, const char *name)
{
	char *list = import->result.ignored;
	size_t used = strlen(list), size = sizeof import->result.ignored, length = strlen(name);
	for (const char *at = list; length > 0 && (at = strstr(at, name)); at += length) {
		if ((at == list || at[-1] == ' ') && (at[length] == ',' || at[length] == '\0'))
			return;
	}
	if (used + length + 3 <= size)
		snprintf(list + used, size - used, "%s%s", used ? ", " : "", name);
}

/* ---- CSV ----------------------------------------------------------------------------------- */

struct header {
	size_t count;
	size_t id;
	enum lsp_catalog_column columns[LSP_CSV_FIELDS_MAX];
};

static int read_header(
	struct import *import, struct lsp_csv *csv, struct header *header, struct lsp_error *err)
{
	int r = lsp_csv_next(csv, err);
	if (r < 0)
		return r;
	bool there[LSP_CATALOG_COLUMN_COUNT + 1] = {false};
	header->count = csv->field_count;
	for (size_t i = 0; i < csv->field_count; i++) {
		const struct lsp_csv_field *field = &csv->fields[i];
		enum lsp_catalog_column column = lsp_catalog_column_find(field->text);
		if (column == LSP_CATALOG_COLUMN_COUNT)
			note_ignored(import, field->text);
		else if (there[column])
			return lsp_error_set(err, "store", LSP_E_INVALID,
				"line %zu, column %zu: the header has \"%s\" twice", field->line,
				field->column, field->text);
		there[column] = true;
		header->columns[i] = column;
		if (column == LSP_CATALOG_ID)
			header->id = i;
	}
	if (!there[LSP_CATALOG_ID])
		return lsp_error_set(err, "store", LSP_E_INVALID,
			"line %zu, column 1: the header row has no column \"id\"",
			csv->record_line);
	return 0;
}

static int at_field(const struct lsp_csv_field *field, enum lsp_catalog_column column, int r,
	struct lsp_error *err)
{
	return r < 0 ? lsp_error_prefix(err, r, "line %zu, column %zu (%s)", field->line,
			       field->column, lsp_catalog_column_name(column))
		     : r;
}

static int import_csv_record(struct import *import, struct lsp_db *db, const struct lsp_csv *csv,
	const struct header *header, struct lsp_error *err)
{
	if (csv->field_count != header->count)
		return lsp_error_set(err, "store", LSP_E_INVALID,
			"line %zu, column 1: %zu fields where the header has %zu", csv->record_line,
			csv->field_count, header->count);
	_cleanup_(record_done) struct record record = {0};
	const struct lsp_csv_field *id = &csv->fields[header->id];
	int r = record_begin(import, &record, id->text, id->size, err);
	if (r < 0)
		return at_field(id, LSP_CATALOG_ID, r, err);
	for (size_t i = 0; i < csv->field_count; i++) {
		const struct lsp_csv_field *field = &csv->fields[i];
		if (header->columns[i] == LSP_CATALOG_COLUMN_COUNT)
			continue;
		r = set_cell(import, &record, header->columns[i], field->text, field->size, err);
		if (r < 0)
			return at_field(field, header->columns[i], r, err);
	}
	r = record_end(import, db, &record, err);
	return r < 0 ? lsp_error_prefix(err, r, "line %zu", csv->record_line) : r;
}

static int import_csv(struct lsp_db *db, void *argument, struct lsp_error *err)
{
	struct import *import = argument;
	_cleanup_csv_ struct lsp_csv csv;
	lsp_csv_init(&csv, import->text, import->size);
	struct header header = {0};
	int r = read_header(import, &csv, &header, err);
	while (r >= 0 && (r = lsp_csv_next(&csv, err)) > 0)
		r = import_csv_record(import, db, &csv, &header, err);
	return r;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

/*
 * The line on which the index-th object of the list begins: objects are counted at the depth at
 * which the first one of the list stands (1 in an array, 2 below "games"). For messages only.
 */
static size_t find_line(const struct import *import, size_t index, int list_depth)
{
	size_t line = 1, seen = 0;
	int depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < import->size; i++) {
		char c = import->text[i];
		if (c == '\n')
			line++;
		if (quoted) {
			i += c == '\\';
			quoted = c != '"';
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			if (c == '{' && depth == list_depth && seen++ == index)
				return line;
			depth++;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return line;
}

/* A value as the text of a cell; NULL for null. scratch holds numbers. */
static int value_text(
	const json_t *value, char scratch[32], const char **ret_text, struct lsp_error *err)
{
	if (json_is_string(value)) {
		*ret_text = json_string_value(value);
	} else if (json_is_integer(value)) {
		snprintf(scratch, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		*ret_text = scratch;
	} else if (json_is_boolean(value)) {
		*ret_text = json_is_true(value) ? "1" : "0";
	} else if (json_is_null(value)) {
		*ret_text = "";
	} else {
		return lsp_error_set(err, "store", LSP_E_INVALID,
			"it must be a text, a whole number, true, false or null");
	}
	return 0;
}

static int set_value(struct import *import, struct record *record, enum lsp_catalog_column column,
	const json_t *value, struct lsp_error *err)
{
	char scratch[32];
	const char *text = NULL;
	int r = value_text(value, scratch, &text, err);
	return r < 0 ? r : set_cell(import, record, column, text, strlen(text), err);
}

static int import_json_object(struct import *import, struct lsp_db *db, json_t *object,
	const char **ret_key, struct lsp_error *err)
{
	*ret_key = "id";
	if (!json_is_object(object))
		return lsp_error_set(err, "store", LSP_E_INVALID, "it must be an object, {…}");
	_cleanup_(record_done) struct record record = {0};
	char scratch[32];
	const char *id = "";
	int r = value_text(json_object_get(object, "id") ?: json_null(), scratch, &id, err);
	if (r == 0)
		r = record_begin(import, &record, id, strlen(id), err);
	const char *key;
	json_t *value;
	json_object_foreach (object, key, value) {
		if (r < 0)
			return r;
		enum lsp_catalog_column column = lsp_catalog_column_find(key);
		*ret_key = key;
		if (column == LSP_CATALOG_COLUMN_COUNT)
			note_ignored(import, key);
		else
			r = set_value(import, &record, column, value, err);
	}
	if (r < 0)
		return r;
	*ret_key = NULL;
	return record_end(import, db, &record, err);
}

static int import_json_list(
	struct import *import, struct lsp_db *db, json_t *list, int depth, struct lsp_error *err)
{
	size_t index;
	json_t *object;
	json_array_foreach (list, index, object) {
		const char *key = NULL;
		int r = import_json_object(import, db, object, &key, err);
		if (r < 0)
			return key ? lsp_error_prefix(err, r, "line %zu, game %zu, column %s",
					     find_line(import, index, depth), index + 1, key)
				   : lsp_error_prefix(err, r, "line %zu, game %zu",
					     find_line(import, index, depth), index + 1);
	}
	return 0;
}

static int import_json(struct lsp_db *db, void *argument, struct lsp_error *err)
{
	struct import *import = argument;
	int r = lsp_json_check(import->text, import->size, &lsp_json_limits_local, err);
	if (r == -LSP_E_TOO_LARGE)
		return r;
	json_error_t where;
	_cleanup_json_ json_t *top =
		lsp_json_load(import->text, import->size, JSON_REJECT_DUPLICATES, &where);
	if (!top)
		return lsp_error_set(err, "store", LSP_E_PROTOCOL, "line %d, column %d: %s",
			where.line, where.column, where.text);
	if (r < 0)
		return r;
	json_t *list = json_is_array(top) ? top : json_object_get(top, "games");
	if (!json_is_array(list))
		return lsp_error_set(err, "store", LSP_E_INVALID,
			"line 1, column 1: it must be a list of games, […] or {\"games\":[…]}");
	return import_json_list(import, db, list, list == top ? 1 : 2, err);
}

/* ---- Both ---------------------------------------------------------------------------------- */

static bool looks_like_json(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (strchr(" \t\r\n\xef\xbb\xbf", text[i]) && text[i])
			continue;
		return text[i] == '[' || text[i] == '{';
	}
	return false;
}

static int open_folder_of(const char *file, int *ret_fd, struct lsp_error *err)
{
	const char *slash = strrchr(file, '/');
	_cleanup_free_ char *folder = !slash          ? strdup(".")
				      : slash == file ? strdup("/")
						      : strndup(file, (size_t)(slash - file));
	return folder ? lsp_fs_open_dir(folder, ret_fd, err) : lsp_error_no_memory(err, "store");
}

int lsp_catalog_import(struct lsp_catalog *catalog, const char *file,
	struct lsp_catalog_import_result *ret_result, struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer content = {0};
	_cleanup_close_ int folder = -1;
	int r = lsp_fs_read_file(file, LSP_CATALOG_IMPORT_MAX, &content, err);
	if (r == 0)
		r = open_folder_of(file, &folder, err);
	if (r < 0)
		return r;
	_cleanup_json_ json_t *seen = json_object();
	if (!seen)
		return lsp_error_no_memory(err, "store");
	_cleanup_catalog_snapshot_ const struct lsp_catalog_snapshot *known =
		lsp_catalog_snapshot(catalog);
	struct import import = {.text = (const char *)content.data,
		.size = content.size,
		.folder = folder,
		.known = known,
		.seen = seen};
	if (content.size >= 3 && memcmp(content.data, "\xef\xbb\xbf", 3) == 0) {
		import.text += 3;
		import.size -= 3;
	}
	bool json = looks_like_json(import.text, import.size);
	r = lsp_catalog_transaction(catalog, json ? import_json : import_csv, &import, err);
	if (r < 0)
		return lsp_error_prefix(err, r, "%s", file);
	*ret_result = import.result;
	return 0;
}
