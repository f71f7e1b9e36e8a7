/*
 * Archives: which files of a game are one, and what takes them apart.
 *
 * Recognised by content, never by name alone: an `*.eti` is whatever its first bytes say (RAR as a
 * rule, but a zip, 7z or tar will do). Volumes of one archive (`x.part1.rar`, `x.rar` and `x.r00`,
 * `x.7z.001`) are put together by their names; one that is missing in between is an error that
 * names it.
 *
 * The **unpacker** is an interface of one function. There are four: the built-in one, libarchive in
 * the sandboxed child `lanspread-unpack`, with an installed unrar or unar in the same sandbox for
 * what libarchive refuses (unpack_child.c); a command of the user's (--unpacker); a callback of the
 * program that embeds us; and, for tests, libarchive in this very process. What the middle two
 * leave behind is checked afterwards (no links that lead out, no devices, no set-user-id bits, the
 * caps).
 *
 * An unpacker runs in the calling thread and blocks; cancelling the token ends it within
 * milliseconds (a callback: as soon as it looks). A struct lsp_unpacker is constant once set up and
 * may be shared by threads.
 */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "install/source.h"
#include "task/cancel.h"

#include <stdbool.h>
#include <stdint.h>

enum lsp_archive_format {
	LSP_ARCHIVE_NONE,
	LSP_ARCHIVE_RAR4,
	LSP_ARCHIVE_RAR5,
	LSP_ARCHIVE_ZIP,
	LSP_ARCHIVE_7Z,
	LSP_ARCHIVE_TAR,
	LSP_ARCHIVE_COMPRESSED, /* gzip, bzip2, xz, zstd, lz4 around a tar, one hopes */
};

/* Looks at the first bytes. Never fails: what cannot be read is none. */
enum lsp_archive_format lsp_archive_sniff(int fd);
/* "RAR", "zip" and so on. */
const char *lsp_archive_format_name(enum lsp_archive_format format);

/* One archive: its volumes in order. */
struct lsp_archive {
	const struct lsp_install_source_file **volumes; /* owned array of borrowed files */
	size_t count;
	enum lsp_archive_format format;
	uint64_t size;  /* of all volumes */
	bool split_zip; /* x.z01 … x.zip: only some tools can */
};

struct lsp_archives {
	struct lsp_archive *list; /* in the order in which they are unpacked: by name */
	size_t count;
	uint64_t size;
};

void lsp_archives_done(struct lsp_archives *archives);
#define _cleanup_archives_ _cleanup_(lsp_archives_done)

/*
 * What of a game's content is to be unpacked. Its `*.eti` files, if it has any at its top; else, if
 * there is nothing else at its top but archives (by name and content) and small companions
 * (version.ini, readme and such, pictures, start.sh) and no folder, those archives. An empty list
 * means: a game of plain files. -LSP_E_NOT_FOUND names a volume that is missing, -LSP_E_PROTOCOL an
 * `*.eti` that is no archive. The source must outlive the list.
 */
LSP_MUST_CHECK int lsp_archives_find(const struct lsp_install_source *source,
	struct lsp_archives *ret_archives, struct lsp_error *err);

/* ---- Caps ---- */

struct lsp_unpack_limits {
	uint64_t bytes; /* that may come out */
	uint64_t ratio; /* out per byte in, once more than ratio_free came out */
	uint64_t ratio_free;
	uint64_t entries;
	uint32_t depth;  /* folders in each other */
	uint64_t memory; /* address space of the child */
	uint64_t stall;  /* ns without progress after which the child is killed */
};

/* 16 TiB, 1,000 : 1 beyond 1 GiB, a million entries, 64 deep, 4 GiB, 60 s. */
extern const struct lsp_unpack_limits lsp_unpack_limits_default;

/* ---- Unpackers ---- */

struct lsp_unpack_stats {
	uint64_t bytes; /* that came out */
	uint64_t entries;
	uint64_t skipped; /* devices, FIFOs, sockets */
	bool known;       /* of lsp_unpacker.measure: bytes and entries are true */
};

/* Bytes of the archive consumed and bytes written so far, at most 20 times a second. */
typedef void (*lsp_unpack_progress)(void *argument, uint64_t in, uint64_t out);

struct lsp_unpack_request {
	const struct lsp_archive *archive;
	int game_fd;   /* what the volumes' `where` is relative to */
	int target_fd; /* an existing folder; nothing is written elsewhere */
	const struct lsp_unpack_limits *limits; /* NULL: the default */
	struct lsp_cancel *token;
	lsp_unpack_progress progress; /* NULL: none */
	void *argument;
};

struct lsp_tasks;
struct lsp_unpacker;
/*
 * Unpacks one archive. Files that an earlier archive left there give way. On failure the folder
 * holds some part. -LSP_E_CORRUPT: damaged or truncated; -LSP_E_DENIED: encrypted, or hostile;
 * -LSP_E_TOO_LARGE: a cap; -LSP_E_UNSUPPORTED: names the feature and the package that helps;
 * -LSP_E_TIMEOUT: the watchdog; -LSP_E_NO_MEMORY: in the child; -LSP_E_NO_SPACE.
 */
typedef int (*lsp_unpack_function)(const struct lsp_unpacker *unpacker,
	const struct lsp_unpack_request *request, struct lsp_unpack_stats *ret_stats,
	struct lsp_error *err);

/*
 * What an unpacker of somebody else's left behind, made fit: set-id bits go, and what is no file,
 * folder or symlink; the caps are checked, and a symlink that leads out, or a file with a second
 * name (a hard link) elsewhere, is -LSP_E_DENIED.
 */
LSP_MUST_CHECK int lsp_unpack_check(const struct lsp_unpack_request *request,
	struct lsp_unpack_stats *ret_stats, struct lsp_error *err);

/* As lanspread_unpack_callback in lanspread.h. */
typedef int (*lsp_unpack_callback)(const char *archive, const char *target,
	const volatile int *cancelled, char *message, size_t message_size, void *argument);

/* Plain data; the strings are the owner's and outlive it. */
struct lsp_unpacker {
	lsp_unpack_function unpack;
	/* What would come out, without writing (NULL: unknown). known is false where only unpacking
	 * could tell (a compressed tar). */
	lsp_unpack_function measure;
	struct lsp_tasks *tasks; /* built-in, command: where the child is registered */
	const char *helper;      /* built-in: path of lanspread-unpack */
	const char *command;     /* command: "CMD", run as CMD ARCHIVE TARGET */
	lsp_unpack_callback callback;
	void *callback_argument;
	bool no_fallback;          /* built-in: never look for unrar or unar */
	const char *fallback_path; /* where to look for them; NULL: /usr/bin:/usr/local/bin */
};

/* The built-in one. helper: the path of lanspread-unpack. */
void lsp_unpacker_init_builtin(
	struct lsp_unpacker *unpacker, struct lsp_tasks *tasks, const char *helper);
/* `--unpacker CMD`: split at spaces; archive and target follow as two more arguments. Run in no
 * sandbox, as its user asked for it; its last line on stderr is the error's text. */
void lsp_unpacker_init_command(
	struct lsp_unpacker *unpacker, struct lsp_tasks *tasks, const char *command);
void lsp_unpacker_init_callback(
	struct lsp_unpacker *unpacker, lsp_unpack_callback callback, void *argument);
/* libarchive in this process, without a sandbox: for the crash tests, which follow one thread. */
void lsp_unpacker_init_here(struct lsp_unpacker *unpacker);
