#include "cli.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

int cli_fail(struct cli *cli, const struct lsp_error *err)
{
	fputs("lanspread: ", cli->errors);
	cli_print_text(cli->errors, err->message);
	fputc('\n', cli->errors);
	if (cli->json) {
		json_t *document = json_pack("{s:b, s:{s:s, s:s%}}", "ok", 0, "error", "code",
			lsp_code_name(err->code), "message", err->message, strlen(err->message));
		if (!document) /* a path in it that is no UTF-8 */
			document = json_pack("{s:b, s:{s:s, s:s}}", "ok", 0, "error", "code",
				lsp_code_name(err->code), "message", "see stderr");
		cli_print_json(cli, document);
		json_decref(document);
	}
	return CLI_FAILED;
}

int cli_usage_error(struct cli *cli, const char *format, ...)
{
	struct lsp_error err = {0};
	char message[sizeof err.message];
	va_list list;
	va_start(list, format);
	vsnprintf(message, sizeof message, format, list);
	va_end(list);
	lsp_error_set(&err, "app", LSP_E_INVALID, "%s; see 'lanspread%s%s --help'", message,
		cli->command && cli->command[0] ? " " : "", cli->command ? cli->command : "");
	(void)cli_fail(cli, &err);
	return CLI_USAGE;
}

int cli_wrong_usage(struct cli *cli, const struct cli_command *command)
{
	return cli_usage_error(
		cli, "%s: it is 'lanspread %s %s'", command->name, command->name, command->usage);
}

void cli_note(struct cli *cli, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vfprintf(cli->errors, format, list);
	fputc('\n', cli->errors);
	va_end(list);
}

void cli_print_json(struct cli *cli, const json_t *value)
{
	/* What peers put into names may steer a terminal: there all but ASCII is escaped. */
	size_t ascii = cli->terminal ? JSON_ENSURE_ASCII : 0;
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | ascii);
	if (text)
		fprintf(cli->out, "%s\n", text);
	fflush(cli->out);
	free(text);
}

/* Characters that could draw, move or turn around: controls, bidi marks, line separators. */
static bool is_harmless(utf8proc_int32_t point)
{
	switch (utf8proc_category(point)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return false;
	default:
		return true;
	}
}

void cli_print_text(FILE *file, const char *text)
{
	const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
	utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(text);
	while (left > 0) {
		utf8proc_int32_t point;
		utf8proc_ssize_t size = utf8proc_iterate(at, left, &point);
		if (size <= 0) {
			fprintf(file, "\\x%02x", *at);
			size = 1;
		} else if (is_harmless(point)) {
			fwrite(at, 1, (size_t)size, file);
		} else {
			fprintf(file, "\\u%04x", (unsigned)point);
		}
		at += size;
		left -= size;
	}
}

char *cli_escaped(const char *text)
{
	char *out = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&out, &size);
	if (!file)
		return NULL;
	cli_print_text(file, text);
	fclose(file);
	return out;
}

/* ---- Tables ---- */

void cli_table_init(struct cli_table *table, size_t columns)
{
	*table = (struct cli_table){.columns = columns};
}

void cli_table_fit(
	struct cli_table *table, const struct cli *cli, size_t flexible, const char *spare)
{
	table->room = cli->terminal && cli->columns > 0 ? (size_t)cli->columns : 0;
	table->flexible = flexible;
	table->spare = spare;
}

void cli_table_add(struct cli_table *table, const char *const *cells)
{
	char **grown = realloc(table->cells, (table->rows + 1) * table->columns * sizeof *grown);
	if (!grown)
		return;
	table->cells = grown;
	for (size_t i = 0; i < table->columns; i++)
		table->cells[table->rows * table->columns + i] =
			cli_escaped(cells[i] && cells[i][0] ? cells[i] : "-");
	table->rows++;
}

/* Columns that a text takes on a terminal. */
static size_t width_of(const char *text)
{
	size_t width = 0;
	utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(text);
	while (left > 0) {
		utf8proc_int32_t point;
		utf8proc_ssize_t size =
			utf8proc_iterate((const utf8proc_uint8_t *)text, left, &point);
		if (size <= 0)
			break;
		width += (size_t)utf8proc_charwidth(point);
		text += size;
		left -= size;
	}
	return width;
}

static const char *cell_at(const struct cli_table *table, size_t row, size_t column)
{
	const char *cell = table->cells[row * table->columns + column];
	return cell ? cell : "-";
}

static size_t column_width(const struct cli_table *table, size_t column)
{
	size_t widest = 0;
	for (size_t row = 0; row < table->rows; row++) {
		size_t width = width_of(cell_at(table, row, column));
		widest = width > widest ? width : widest;
	}
	return widest;
}

#define CLI_TABLE_GAP 2
#define CLI_TABLE_FLEXIBLE_MIN 8

/* Nothing below its heading but "-". */
static bool says_nothing(const struct cli_table *table, size_t column)
{
	for (size_t row = 1; row < table->rows; row++)
		if (strcmp(cell_at(table, row, column), "-") != 0)
			return false;
	return table->rows > 1;
}

static size_t total_width(const struct cli_table *table, const size_t *widths)
{
	size_t total = 0;
	for (size_t column = 0; column < table->columns; column++)
		total += widths[column] ? widths[column] + CLI_TABLE_GAP : 0;
	return total > CLI_TABLE_GAP ? total - CLI_TABLE_GAP : 0;
}

/* By how much the flexible column can be cut. */
static size_t slack(const struct cli_table *table, const size_t *widths)
{
	size_t width = widths[table->flexible];
	return width > CLI_TABLE_FLEXIBLE_MIN ? width - CLI_TABLE_FLEXIBLE_MIN : 0;
}

/* The width of each column; 0: it is left out. */
static void choose_widths(const struct cli_table *table, size_t *widths)
{
	for (size_t column = 0; column < table->columns; column++)
		widths[column] = column_width(table, column);
	if (!table->room)
		return;
	for (size_t column = 0; column < table->columns; column++)
		if (total_width(table, widths) > table->room && says_nothing(table, column))
			widths[column] = 0;
	for (const char *spare = table->spare; spare && *spare; spare++)
		if (total_width(table, widths) - slack(table, widths) > table->room)
			widths[*spare - '0'] = 0;
	size_t total = total_width(table, widths);
	if (total > table->room)
		widths[table->flexible] -= LSP_MIN(total - table->room, slack(table, widths));
}

/* As much of it as `width` columns hold. Returns how many it took. */
static size_t print_cell(FILE *file, const char *cell, size_t width)
{
	size_t whole = width_of(cell), used = 0;
	utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(cell);
	if (whole <= width) {
		fputs(cell, file);
		return whole;
	}
	while (left > 0) {
		utf8proc_int32_t point;
		utf8proc_ssize_t size =
			utf8proc_iterate((const utf8proc_uint8_t *)cell, left, &point);
		size_t next = size > 0 ? (size_t)utf8proc_charwidth(point) : 0;
		if (size <= 0 || used + next + 1 > width)
			break;
		fwrite(cell, 1, (size_t)size, file);
		used += next;
		cell += size;
		left -= size;
	}
	fputs("…", file);
	return used + 1;
}

void cli_table_print(const struct cli_table *table, FILE *file)
{
	size_t widths[CLI_TABLE_MAX_COLUMNS] = {0}, last = 0;
	choose_widths(table, widths);
	for (size_t column = 0; column < table->columns; column++)
		last = widths[column] ? column : last;
	for (size_t row = 0; row < table->rows; row++) {
		for (size_t column = 0; column <= last && table->columns; column++) {
			if (!widths[column])
				continue;
			size_t used = print_cell(file, cell_at(table, row, column), widths[column]);
			if (column < last)
				fprintf(file, "%*s", (int)(widths[column] - used) + CLI_TABLE_GAP,
					"");
		}
		fputc('\n', file);
	}
	fflush(file);
}

void cli_table_done(struct cli_table *table)
{
	for (size_t i = 0; i < table->rows * table->columns; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct cli_table){0};
}

/* ---- JSON ---- */

const char *cli_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

uint64_t cli_number(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));
	return number > 0 ? (uint64_t)number : 0;
}
