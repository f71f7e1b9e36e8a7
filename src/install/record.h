/*
 * The install record: what an install put into `local/`, so that later the user's own files (saves
 * above all) can be told from the game's.
 *
 * It lies in `<game>/.lanspread/installed`: one line "lanspread installed 1", the version that was
 * installed, then for each file and symlink its path, length and time of modification, and the
 * SHA-256 of all that. It is written once, inside the transaction that makes `local/`, and never
 * changed. A record that is torn or missing makes everything in `local/` count as the user's:
 * nothing is lost, at the price of room.
 *
 * A file is the game's own if it has the length and the time that the record has for it (times are
 * compared in the steps that the filesystem can hold: exFAT rounds to two seconds once the file
 * leaves the cache). Anything else is the user's: what merely looks changed is kept, never deleted.
 * A symlink is the game's own if it points where it did.
 *
 * A record belongs to one thread at a time.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "task/cancel.h"
#include "wire/version.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define LSP_RECORD_PATH ".lanspread/installed"
#define LSP_RECORD_MAX (256u << 20) /* bytes of the file */

struct lsp_record_file {
	char *path; /* below local/ */
	uint64_t size;
	int64_t stamp; /* mtime in ns since 1970; of a symlink a hash of its text */
	bool link;
};

struct lsp_record {
	char version[LSP_VERSION_TEXT_MAX + 1]; /* "" when unknown */
	struct lsp_record_file *files;          /* sorted by path, bytes */
	size_t count, capacity;
	uint64_t bytes; /* of all files */
};

/* Zero is empty and valid. */
void lsp_record_done(struct lsp_record *record);
#define _cleanup_record_ _cleanup_(lsp_record_done)

/* The files below `path` as they are now. */
LSP_MUST_CHECK int lsp_record_scan(int dir_fd, const char *path, const char *version,
	struct lsp_cancel *token, struct lsp_record *ret_record, struct lsp_error *err);

/* Writes it, synced. */
LSP_MUST_CHECK int lsp_record_write(
	const struct lsp_record *record, int dir_fd, const char *path, struct lsp_error *err);
/* -LSP_E_NOT_FOUND; -LSP_E_CORRUPT when torn. */
LSP_MUST_CHECK int lsp_record_read(
	int dir_fd, const char *path, struct lsp_record *ret_record, struct lsp_error *err);
/* Only the version, with the checksum checked too. */
LSP_MUST_CHECK int lsp_record_read_version(int dir_fd, const char *path,
	char ret_version[LSP_VERSION_TEXT_MAX + 1], struct lsp_error *err);

/* NULL when the record has no such path. */
const struct lsp_record_file *lsp_record_find(const struct lsp_record *record, const char *path);

/* Is `name` in dir_fd, known as `path` to the record, still what was installed? */
bool lsp_record_unchanged(const struct lsp_record *record, const char *path, int dir_fd,
	const char *name, const struct stat *st);
