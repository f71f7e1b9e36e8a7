#include "store/csv.h"

#include <string.h>

static char find_separator(const char *text, size_t size)
{
	bool quoted = false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == ',' || text[i] == ';' || text[i] == '\t'))
			return text[i];
		else if (!quoted && text[i] == '\n')
			break;
	}
	return ',';
}

void lsp_csv_init(struct lsp_csv *csv, const char *text, size_t size)
{
	*csv = (struct lsp_csv){.text = text, .size = size, .line = 1};
	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		csv->at = csv->line_start = 3;
	csv->separator = find_separator(text + csv->at, size - csv->at);
}

void lsp_csv_done(struct lsp_csv *csv)
{
	lsp_buffer_done(&csv->content);
}

static size_t column_of(const struct lsp_csv *csv)
{
	return csv->at - csv->line_start + 1;
}

static bool at_line_end(const struct lsp_csv *csv)
{
	const char *p = csv->text + csv->at;
	size_t left = csv->size - csv->at;
	return left == 0 || *p == '\n' || (left > 1 && p[0] == '\r' && p[1] == '\n');
}

static void skip_line_end(struct lsp_csv *csv)
{
	if (csv->at < csv->size && csv->text[csv->at] == '\r')
		csv->at++;
	if (csv->at < csv->size) {
		csv->at++;
		csv->line++;
		csv->line_start = csv->at;
	}
}

static int syntax_error(const struct lsp_csv *csv, const char *what, struct lsp_error *err)
{
	return lsp_error_set(err, "store", LSP_E_PROTOCOL, "line %zu, column %zu: %s", csv->line,
		column_of(csv), what);
}

static int read_quoted(struct lsp_csv *csv, struct lsp_error *err)
{
	size_t line = csv->line, column = column_of(csv);
	csv->at++;
	for (;;) {
		const char *begin = csv->text + csv->at;
		const char *quote = memchr(begin, '"', csv->size - csv->at);
		if (!quote)
			return lsp_error_set(err, "store", LSP_E_PROTOCOL,
				"line %zu, column %zu: the quote that begins here is never closed",
				line, column);
		for (const char *p = begin; p < quote; p++) {
			if (*p == '\n') {
				csv->line++;
				csv->line_start = (size_t)(p + 1 - csv->text);
			}
		}
		bool doubled = (size_t)(quote + 1 - csv->text) < csv->size && quote[1] == '"';
		int r = lsp_buffer_append(
			&csv->content, begin, (size_t)(quote - begin) + (doubled ? 1 : 0), err);
		if (r < 0)
			return r;
		csv->at = (size_t)(quote - csv->text) + (doubled ? 2 : 1);
		if (!doubled)
			break;
	}
	if (!at_line_end(csv) && csv->text[csv->at] != csv->separator)
		return syntax_error(csv, "text after a closing quote", err);
	return 0;
}

static int read_plain(struct lsp_csv *csv, struct lsp_error *err)
{
	size_t begin = csv->at;
	while (!at_line_end(csv) && csv->text[csv->at] != csv->separator) {
		if (csv->text[csv->at] == '"')
			return syntax_error(csv, "a quote inside a field without quotes", err);
		csv->at++;
	}
	return lsp_buffer_append(&csv->content, csv->text + begin, csv->at - begin, err);
}

static int read_field(struct lsp_csv *csv, struct lsp_error *err)
{
	if (csv->field_count == LSP_CSV_FIELDS_MAX)
		return syntax_error(csv, "too many fields", err);
	struct lsp_csv_field *field = &csv->fields[csv->field_count];
	field->line = csv->line;
	field->column = column_of(csv);
	size_t offset = csv->content.size;
	bool quoted = csv->at < csv->size && csv->text[csv->at] == '"';
	int r = quoted ? read_quoted(csv, err) : read_plain(csv, err);
	if (r < 0)
		return r;
	field->size = csv->content.size - offset;
	csv->offsets[csv->field_count++] = offset;
	if (memchr(csv->content.data ? (void *)(csv->content.data + offset) : "", '\0',
		    field->size))
		return lsp_error_set(err, "store", LSP_E_PROTOCOL,
			"line %zu, column %zu: the field holds a NUL byte", field->line,
			field->column);
	return lsp_buffer_append(&csv->content, "", 1, err);
}

int lsp_csv_next(struct lsp_csv *csv, struct lsp_error *err)
{
	while (csv->at < csv->size && at_line_end(csv))
		skip_line_end(csv);
	lsp_buffer_reset(&csv->content);
	csv->field_count = 0;
	csv->record_line = csv->line;
	if (csv->at >= csv->size)
		return 0;
	for (;;) {
		int r = read_field(csv, err);
		if (r < 0)
			return r;
		if (at_line_end(csv))
			break;
		csv->at++; /* the separator */
	}
	skip_line_end(csv);
	for (size_t i = 0; i < csv->field_count; i++)
		csv->fields[i].text = (const char *)csv->content.data + csv->offsets[i];
	return 1;
}
