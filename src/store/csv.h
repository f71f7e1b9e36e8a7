/*
 * Comma-separated values (RFC 4180), read record by record from a text in memory, with the place of
 * every field for error messages. A field in quotes may hold commas, line ends and doubled quotes.
 * Separator: ',' or ';' or a tab, whichever comes first in the first record outside quotes. Line
 * ends are LF or CRLF; a byte-order mark at the start is passed over; empty lines are too.
 * One owner, one thread. Pure.
 */
#pragma once

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define LSP_CSV_FIELDS_MAX 256

struct lsp_csv_field {
	const char *text; /* NUL-terminated; valid until the next record is read */
	size_t size;
	size_t column; /* of its first character, in bytes, from 1 */
	size_t line;   /* where it begins, from 1 */
};

struct lsp_csv {
	const char *text;
	size_t size;
	size_t at;
	size_t line;
	size_t line_start;
	char separator;
	struct lsp_buffer content; /* the record's fields, unquoted, each with a NUL */
	size_t offsets[LSP_CSV_FIELDS_MAX];
	struct lsp_csv_field fields[LSP_CSV_FIELDS_MAX];
	size_t field_count;
	size_t record_line; /* where the record begins */
};

/* The text must outlive it. */
void lsp_csv_init(struct lsp_csv *csv, const char *text, size_t size);
void lsp_csv_done(struct lsp_csv *csv);
#define _cleanup_csv_ _cleanup_(lsp_csv_done)

/* 1: a record is in fields; 0: the end. -LSP_E_PROTOCOL names line and column. */
LSP_MUST_CHECK int lsp_csv_next(struct lsp_csv *csv, struct lsp_error *err);
