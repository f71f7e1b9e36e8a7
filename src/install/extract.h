/*
 * Taking one archive apart with libarchive, into a folder and nowhere else. This is what runs
 * inside lanspread-unpack; nothing in here knows of processes or sandboxes.
 *
 * What an archive may do: make regular files, folders, and symlinks that cannot lead out
 * (lsp_tree_link_stays_inside), made last, so that no file is ever written through one. What it may
 * not: names that lead up or to the root, control characters, more folders in each other, entries
 * or bytes than the caps; each is an error that names the entry. Hard links become copies. Devices,
 * FIFOs, sockets, owners, set-id bits, extended attributes and ACLs are left out. Names are UTF-8
 * in NFC; old zip names are read as code page 437. Holes that the archive knows of stay holes. On a
 * filesystem without case, two entries whose names differ by case alone are an error.
 *
 * Blocks; one thread; setlocale(LC_CTYPE, "C.UTF-8") or the like must be in effect.
 */
#pragma once

#include "base/error.h"
#include "install/archive.h"

struct lsp_extract_volume {
	int fd;           /* borrowed, seekable */
	const char *name; /* for messages */
};

/* Called often. Not 0 ends the work with that code. */
typedef int (*lsp_extract_progress)(
	void *argument, uint64_t in, uint64_t out, uint64_t entries, struct lsp_error *err);

struct lsp_extract {
	const struct lsp_extract_volume *volumes;
	size_t volume_count;
	int target_fd; /* −1: only measure, by headers */
	const struct lsp_unpack_limits *limits;
	lsp_extract_progress progress; /* NULL: none */
	void *argument;
};

/* Errors as of lsp_unpack_function, but for the watchdog. */
LSP_MUST_CHECK int lsp_extract_run(const struct lsp_extract *extract,
	struct lsp_unpack_stats *ret_stats, struct lsp_error *err);
