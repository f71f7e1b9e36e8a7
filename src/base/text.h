/* Small helpers for C strings. Pure; NULL from an allocating one means out of memory. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The caller frees it. */
char *lsp_text_format(const char *format, ...) LSP_PRINTF(1, 2);

bool lsp_text_starts_with(const char *text, const char *prefix);
bool lsp_text_ends_with(const char *text, const char *suffix);

/* ret_hex takes 2 × size digits and a NUL. */
void lsp_text_to_hex(const uint8_t *data, size_t size, char *ret_hex);
/* Reads exactly 2 × size digits of either case; false when one is none. */
bool lsp_text_from_hex(const char *hex, uint8_t *ret_data, size_t size);

/* A whole decimal number from 0 to 2^64 − 1 and nothing else. */
LSP_MUST_CHECK int lsp_text_to_u64(const char *text, uint64_t *ret_value, struct lsp_error *err);

/* "17 bytes", "1.4 MB", "30.0 GB": decimal units, for people. Returns out. */
#define LSP_TEXT_SIZE_MAX 32
const char *lsp_text_size(uint64_t bytes, char out[LSP_TEXT_SIZE_MAX]);
