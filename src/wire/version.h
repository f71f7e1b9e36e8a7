/*
 * version.ini: which version of a game a folder holds.
 *
 * Two forms. The whole file is the version ("20240131" or "1.2.10", spaces and line ends around it
 * are fine), or it is an ini file with a line "version=…" and perhaps "start=…", the program to
 * play (sections, comments with ';' or '#' and other keys are passed over; keys in either case).
 *
 * A version is one to eight decimal numbers with dots between, each of up to 18 digits. The order
 * is total: number by number from the left; where all that both have are equal, the one with more
 * numbers is newer (1.2 < 1.2.0 < 1.2.1); where that is equal too, spelling decides (1.02 < 1.2, by
 * bytes), so that only the same text is the same version. A date is just a large first number:
 * 20240131 is newer than 1.2.10, as when a title went over from one kind to the other.
 *
 * Pure; from every thread.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define LSP_VERSION_FILE_MAX 65536 /* bytes of version.ini */
#define LSP_VERSION_TEXT_MAX 63    /* bytes of a version */
#define LSP_VERSION_PARTS_MAX 8

struct lsp_version {
	unsigned part_count;
	uint64_t parts[LSP_VERSION_PARTS_MAX];
	char text[LSP_VERSION_TEXT_MAX + 1]; /* as it was written */
};

/* "1.2.10", exactly. -LSP_E_INVALID says what stands where a digit should be. */
LSP_MUST_CHECK int lsp_version_parse(
	const char *text, size_t size, struct lsp_version *ret_version, struct lsp_error *err);

/* < 0, 0, > 0 as a is older, the same, newer. */
int lsp_version_compare(const struct lsp_version *a, const struct lsp_version *b);
/* The same of two texts; one that is no version is older than every one that is. */
int lsp_version_compare_text(const char *a, const char *b);

struct lsp_version_file {
	struct lsp_version version;
	char *start; /* relative to local/, '/' between; NULL: none. Owned. */
};

LSP_MUST_CHECK int lsp_version_file_parse(
	const char *text, size_t size, struct lsp_version_file *ret_file, struct lsp_error *err);
void lsp_version_file_done(struct lsp_version_file *file);
#define _cleanup_version_file_ _cleanup_(lsp_version_file_done)
