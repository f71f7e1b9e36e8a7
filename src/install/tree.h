/*
 * Walking and copying trees of files, below a directory descriptor. A walk never follows a symlink
 * and never leaves the tree. Everything blocks on the disk, in the calling thread; a token is
 * looked at before each entry and within each MiB of a copy.
 */
#pragma once

#include "base/error.h"
#include "task/cancel.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Deeper trees are refused (TOO_LARGE): each level holds a descriptor. */
#define LSP_TREE_DEPTH_MAX 128

struct lsp_tree_entry {
	int dir_fd;       /* of the folder that holds it */
	const char *name; /* in that folder */
	const char *path; /* from the start of the walk, '/' between */
	const struct stat *st;
	bool leaving; /* a folder comes twice: before what is in it, and after, with this set */
};

/* Not 0 ends the walk with that. */
typedef int (*lsp_tree_visit)(
	void *argument, const struct lsp_tree_entry *entry, struct lsp_error *err);

/* Everything below `path` ("." for dir_fd itself), folder by folder, names in byte order. */
LSP_MUST_CHECK int lsp_tree_walk(int dir_fd, const char *path, struct lsp_cancel *token,
	lsp_tree_visit visit, void *argument, struct lsp_error *err);

/* The same for one folder alone: what is in it is visited once and not entered. */
LSP_MUST_CHECK int lsp_tree_list(int dir_fd, const char *path, struct lsp_cancel *token,
	lsp_tree_visit visit, void *argument, struct lsp_error *err);

/*
 * The text of a symlink, NUL-terminated, at most size − 1 bytes; -LSP_E_TOO_LARGE beyond.
 */
LSP_MUST_CHECK int lsp_tree_read_link(
	int dir_fd, const char *name, char *text, size_t size, struct lsp_error *err);

/*
 * May a symlink at `path` (relative to a root) have this text? It may, if following it from its own
 * place can never leave the root: relative, ".." only at its beginning and no more of them than
 * `path` has folders above it. (".." behind a name is refused, since that name may be a link too.)
 */
bool lsp_tree_link_stays_inside(const char *path, const char *text);

typedef int (*lsp_tree_step)(void *argument, uint64_t bytes, struct lsp_error *err);

/*
 * Copies an open file to a new one below, with its time of modification: shares blocks where the
 * filesystem can (reflink), else copies, holes as holes. Never a hard link. mode is the new file's.
 * `step` (may be NULL) is told of each run of bytes and stops with a negative code. On failure a
 * part of the file may be there.
 */
LSP_MUST_CHECK int lsp_tree_copy_file(int from_fd, int to_dir_fd, const char *to, mode_t mode,
	struct lsp_cancel *token, lsp_tree_step step, void *argument, struct lsp_error *err);

/* Same length and bytes? 1, 0 or an error. */
LSP_MUST_CHECK int lsp_tree_same_content(
	int a_fd, int b_fd, struct lsp_cancel *token, struct lsp_error *err);
