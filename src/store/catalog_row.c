#include "store/catalog_row.h"

#include "base/text.h"
#include "wire/path.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

static const char *const names[LSP_CATALOG_COLUMN_COUNT] = {
	[LSP_CATALOG_ID] = "id",
	[LSP_CATALOG_TITLE] = "title",
	[LSP_CATALOG_KEY] = "key",
	[LSP_CATALOG_RELEASE] = "release",
	[LSP_CATALOG_PUBLISHER] = "publisher",
	[LSP_CATALOG_GENRE] = "genre",
	[LSP_CATALOG_VERSION] = "version",
	[LSP_CATALOG_README_DE] = "readme_de",
	[LSP_CATALOG_README_EN] = "readme_en",
	[LSP_CATALOG_README_FR] = "readme_fr",
	[LSP_CATALOG_SIZE] = "size",
	[LSP_CATALOG_MAX_PLAYERS] = "max_players",
	[LSP_CATALOG_MASTER_REQUIRED] = "master_required",
	[LSP_CATALOG_CONTENT] = "content",
	[LSP_CATALOG_COVER] = "cover",
};

const char *lsp_catalog_column_name(enum lsp_catalog_column column)
{
	return names[column];
}

enum lsp_catalog_column lsp_catalog_column_find(const char *name)
{
	for (int i = 0; i < LSP_CATALOG_COLUMN_COUNT; i++) {
		if (strcasecmp(name, names[i]) == 0)
			return (enum lsp_catalog_column)i;
	}
	return LSP_CATALOG_COLUMN_COUNT;
}

void lsp_catalog_row_done(struct lsp_catalog_row *row)
{
	for (int i = 0; i < LSP_CATALOG_TEXT_COUNT; i++)
		free(row->texts[i]);
	*row = (struct lsp_catalog_row){0};
}

struct lsp_catalog_entry lsp_catalog_row_view(const struct lsp_catalog_row *row)
{
	return (struct lsp_catalog_entry){
		.id = row->texts[LSP_CATALOG_ID],
		.title = row->texts[LSP_CATALOG_TITLE],
		.key = row->texts[LSP_CATALOG_KEY],
		.release = row->texts[LSP_CATALOG_RELEASE],
		.publisher = row->texts[LSP_CATALOG_PUBLISHER],
		.genre = row->texts[LSP_CATALOG_GENRE],
		.version = row->texts[LSP_CATALOG_VERSION],
		.readme_de = row->texts[LSP_CATALOG_README_DE],
		.readme_en = row->texts[LSP_CATALOG_README_EN],
		.readme_fr = row->texts[LSP_CATALOG_README_FR],
		.size = row->size,
		.max_players = row->max_players,
		.master_required = row->master_required,
		.has_content = row->has_content,
		.content = row->content,
		.has_cover = row->has_cover,
	};
}

int lsp_catalog_row_copy(
	struct lsp_catalog_row *row, const struct lsp_catalog_entry *entry, struct lsp_error *err)
{
	const char *const texts[LSP_CATALOG_TEXT_COUNT] = {entry->id, entry->title, entry->key,
		entry->release, entry->publisher, entry->genre, entry->version, entry->readme_de,
		entry->readme_en, entry->readme_fr};
	_cleanup_catalog_row_ struct lsp_catalog_row copy = {.size = entry->size,
		.max_players = entry->max_players,
		.master_required = entry->master_required,
		.has_content = entry->has_content,
		.content = entry->content,
		.has_cover = entry->has_cover};
	for (int i = 0; i < LSP_CATALOG_TEXT_COUNT; i++) {
		if (!texts[i])
			continue;
		int r = lsp_catalog_row_set(
			&copy, (enum lsp_catalog_column)i, texts[i], strlen(texts[i]), err);
		if (r < 0)
			return lsp_error_prefix(err, r, "%s", names[i]);
	}
	lsp_catalog_row_done(row);
	*row = copy;
	copy = (struct lsp_catalog_row){0};
	return 0;
}

/* ---- Cells --------------------------------------------------------------------------------- */

static bool is_utf8(const char *text, size_t size)
{
	while (size > 0) {
		utf8proc_int32_t character;
		utf8proc_ssize_t n = utf8proc_iterate(
			(const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &character);
		if (n <= 0 || character == 0)
			return false;
		text += n;
		size -= (size_t)n;
	}
	return true;
}

static int set_text(struct lsp_catalog_row *row, enum lsp_catalog_column column, const char *text,
	size_t size, struct lsp_error *err)
{
	bool readme = column >= LSP_CATALOG_README_DE;
	size_t max = readme ? LSP_CATALOG_TEXT_MAX : LSP_CATALOG_SHORT_MAX;
	if (size > max)
		return lsp_error_set(err, "store", LSP_E_INVALID,
			"it has %zu bytes, more than the %zu it may have", size, max);
	if (!is_utf8(text, size))
		return lsp_error_set(err, "store", LSP_E_INVALID, "it is not valid UTF-8");
	if (column == LSP_CATALOG_ID && size > 0) {
		int r = lsp_game_id_check(text, size, err);
		if (r < 0)
			return r;
	}
	char *copy = NULL;
	if (size > 0 && !(copy = strndup(text, size)))
		return lsp_error_no_memory(err, "store");
	free(row->texts[column]);
	row->texts[column] = copy;
	return 0;
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret_value, struct lsp_error *err)
{
	uint64_t value = 0;
	if (*text && (lsp_text_to_u64(text, &value, NULL) < 0 || value > max))
		return lsp_error_set(err, "store", LSP_E_INVALID,
			"\"%.40s\" is no whole number from 0 to %llu", text,
			(unsigned long long)max);
	*ret_value = value;
	return 0;
}

static int parse_yes_no(const char *text, bool *ret_value, struct lsp_error *err)
{
	static const char *const no[] = {"", "0", "false", "no"};
	static const char *const yes[] = {"1", "true", "yes"};
	for (size_t i = 0; i < LSP_ARRAY_SIZE(no); i++) {
		if (strcasecmp(text, no[i]) == 0) {
			*ret_value = false;
			return 0;
		}
	}
	for (size_t i = 0; i < LSP_ARRAY_SIZE(yes); i++) {
		if (strcasecmp(text, yes[i]) == 0) {
			*ret_value = true;
			return 0;
		}
	}
	return lsp_error_set(err, "store", LSP_E_INVALID,
		"\"%.40s\" is none of 1, 0, true, false, yes, no", text);
}

static int set_content(struct lsp_catalog_row *row, const char *text, struct lsp_error *err)
{
	struct lsp_hash hash = {0};
	if (*text && lsp_hash_from_hex(text, &hash, NULL) < 0)
		return lsp_error_set(err, "store", LSP_E_INVALID,
			"\"%.80s\" is no content id (64 hexadecimal digits)", text);
	row->has_content = *text != '\0';
	row->content = hash;
	return 0;
}

int lsp_catalog_row_set(struct lsp_catalog_row *row, enum lsp_catalog_column column,
	const char *text, size_t size, struct lsp_error *err)
{
	if (column < LSP_CATALOG_TEXT_COUNT)
		return set_text(row, column, text, size, err);
	char cell[128];
	if (size >= sizeof cell || memchr(text, '\0', size))
		return lsp_error_set(err, "store", LSP_E_INVALID, "it is too long");
	memcpy(cell, text, size);
	cell[size] = '\0';
	uint64_t number = 0;
	int r;
	switch (column) {
	case LSP_CATALOG_SIZE:
		return parse_number(cell, INT64_MAX, &row->size, err);
	case LSP_CATALOG_MAX_PLAYERS:
		r = parse_number(cell, 1000000, &number, err);
		if (r == 0)
			row->max_players = (uint32_t)number;
		return r;
	case LSP_CATALOG_MASTER_REQUIRED:
		return parse_yes_no(cell, &row->master_required, err);
	default:
		return set_content(row, cell, err);
	}
}

int lsp_catalog_row_check(const struct lsp_catalog_row *row, struct lsp_error *err)
{
	for (int i = LSP_CATALOG_ID; i <= LSP_CATALOG_TITLE; i++) {
		if (!row->texts[i])
			return lsp_error_set(
				err, "store", LSP_E_INVALID, "the column %s is empty", names[i]);
	}
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool lsp_catalog_entry_equal(const struct lsp_catalog_entry *a, const struct lsp_catalog_entry *b)
{
	return same_text(a->id, b->id) && same_text(a->title, b->title) &&
	       same_text(a->key, b->key) && same_text(a->release, b->release) &&
	       same_text(a->publisher, b->publisher) && same_text(a->genre, b->genre) &&
	       same_text(a->version, b->version) && same_text(a->readme_de, b->readme_de) &&
	       same_text(a->readme_en, b->readme_en) && same_text(a->readme_fr, b->readme_fr) &&
	       a->size == b->size && a->max_players == b->max_players &&
	       a->master_required == b->master_required && a->has_content == b->has_content &&
	       lsp_hash_equal(&a->content, &b->content) && a->has_cover == b->has_cover;
}

/* ---- Layers -------------------------------------------------------------------------------- */

int lsp_catalog_layer_new(struct lsp_catalog_layer **ret_layer, struct lsp_error *err)
{
	struct lsp_catalog_layer *layer = calloc(1, sizeof *layer);
	if (!layer)
		return lsp_error_no_memory(err, "store");
	layer->references = 1;
	*ret_layer = layer;
	return 0;
}

struct lsp_catalog_layer *lsp_catalog_layer_ref(struct lsp_catalog_layer *layer)
{
	layer->references++;
	return layer;
}

void lsp_catalog_layer_unref(struct lsp_catalog_layer *layer)
{
	if (!layer || --layer->references > 0)
		return;
	for (size_t i = 0; i < layer->count; i++)
		lsp_catalog_row_done(&layer->rows[i]);
	free(layer->rows);
	free(layer->entries);
	free(layer);
}

int lsp_catalog_layer_add(
	struct lsp_catalog_layer *layer, struct lsp_catalog_row *row, struct lsp_error *err)
{
	if (layer->count == LSP_CATALOG_ENTRIES_MAX)
		return lsp_error_set(err, "store", LSP_E_TOO_LARGE,
			"a catalogue may have at most %d games", LSP_CATALOG_ENTRIES_MAX);
	if (layer->count == layer->capacity) {
		size_t capacity = layer->capacity ? layer->capacity * 2 : 64;
		struct lsp_catalog_row *rows =
			reallocarray(layer->rows, capacity, sizeof *layer->rows);
		if (!rows)
			return lsp_error_no_memory(err, "store");
		layer->rows = rows;
		layer->capacity = capacity;
	}
	layer->rows[layer->count++] = *row;
	*row = (struct lsp_catalog_row){0};
	return 0;
}

static int compare_rows(const void *a, const void *b)
{
	const struct lsp_catalog_row *left = a, *right = b;
	return strcmp(left->texts[LSP_CATALOG_ID], right->texts[LSP_CATALOG_ID]);
}

int lsp_catalog_layer_seal(struct lsp_catalog_layer *layer, struct lsp_error *err)
{
	layer->entries = calloc(layer->count + 1, sizeof *layer->entries);
	if (!layer->entries)
		return lsp_error_no_memory(err, "store");
	if (layer->count > 0)
		qsort(layer->rows, layer->count, sizeof *layer->rows, compare_rows);
	for (size_t i = 0; i < layer->count; i++) {
		if (i > 0 && compare_rows(&layer->rows[i - 1], &layer->rows[i]) == 0)
			return lsp_error_set(err, "store", LSP_E_INVALID,
				"the game \"%s\" is there twice",
				layer->rows[i].texts[LSP_CATALOG_ID]);
		layer->entries[i] = lsp_catalog_row_view(&layer->rows[i]);
	}
	return 0;
}

/* ---- From SQLite --------------------------------------------------------------------------- */

static bool has_column(sqlite3 *sqlite, const char *column)
{
	return sqlite3_table_column_metadata(
		       sqlite, NULL, "games", column, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK;
}

/* "SELECT id, title, NULL, …": our columns in our order. */
static int select_columns(
	sqlite3 *sqlite, const char *name, struct lsp_buffer *sql, struct lsp_error *err)
{
	int r = lsp_buffer_printf(sql, err, "SELECT ");
	for (int i = 0; r == 0 && i < LSP_CATALOG_COLUMN_COUNT; i++) {
		bool there = has_column(sqlite, names[i]);
		if (!there && i <= LSP_CATALOG_TITLE)
			return lsp_error_set(err, "store", LSP_E_PROTOCOL,
				"the catalogue %s has no table \"games\" with a column \"%s\"",
				name, names[i]);
		const char *comma = i > 0 ? ", " : "";
		if (there && i == LSP_CATALOG_COVER)
			r = lsp_buffer_printf(sql, err, "%sifnull(length(cover), -1)", comma);
		else
			r = lsp_buffer_printf(sql, err, "%s%s", comma, there ? names[i] : "NULL");
	}
	return r < 0 ? r : lsp_buffer_printf(sql, err, " FROM games ORDER BY id");
}

static int read_row(sqlite3_stmt *statement, const char *name, size_t number,
	struct lsp_catalog_row *row, struct lsp_error *err)
{
	int r = 0, i = 0;
	for (; r == 0 && i < LSP_CATALOG_COVER; i++) {
		const char *text = (const char *)sqlite3_column_text(statement, i);
		if (text)
			r = lsp_catalog_row_set(row, (enum lsp_catalog_column)i, text,
				(size_t)sqlite3_column_bytes(statement, i), err);
	}
	if (r < 0)
		return lsp_error_prefix(err, r, "the catalogue %s, row %zu by id, column %s", name,
			number, names[i - 1]);
	row->has_cover = sqlite3_column_int64(statement, LSP_CATALOG_COVER) > 0;
	r = lsp_catalog_row_check(row, err);
	return r < 0 ? lsp_error_prefix(err, r, "the catalogue %s, row %zu by id", name, number)
		     : r;
}

static int read_rows(sqlite3 *sqlite, sqlite3_stmt *statement, const char *name,
	struct lsp_catalog_layer *layer, struct lsp_error *err)
{
	int result;
	while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
		_cleanup_catalog_row_ struct lsp_catalog_row row = {0};
		int r = read_row(statement, name, layer->count + 1, &row, err);
		if (r == 0)
			r = lsp_catalog_layer_add(layer, &row, err);
		if (r < 0)
			return r;
	}
	if (result == SQLITE_DONE)
		return lsp_catalog_layer_seal(layer, err);
	return lsp_error_set(err, "store", LSP_E_PROTOCOL, "cannot read the catalogue %s: %s", name,
		sqlite3_errmsg(sqlite));
}

int lsp_catalog_layer_read(sqlite3 *sqlite, const char *name, struct lsp_catalog_layer **ret_layer,
	struct lsp_error *err)
{
	_cleanup_buffer_ struct lsp_buffer sql = {0};
	_cleanup_catalog_layer_ struct lsp_catalog_layer *layer = NULL;
	int r = lsp_catalog_layer_new(&layer, err);
	if (r == 0)
		r = select_columns(sqlite, name, &sql, err);
	if (r < 0)
		return r;
	sqlite3_stmt *statement = NULL;
	if (sqlite3_prepare_v2(sqlite, (const char *)sql.data, (int)sql.size, &statement, NULL) !=
		SQLITE_OK)
		return lsp_error_set(err, "store", LSP_E_PROTOCOL,
			"cannot read the catalogue %s: %s", name, sqlite3_errmsg(sqlite));
	r = read_rows(sqlite, statement, name, layer, err);
	sqlite3_finalize(statement);
	if (r == 0)
		*ret_layer = TAKE_PTR(layer);
	return r;
}
