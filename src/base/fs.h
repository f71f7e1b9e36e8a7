/*
 * The one door to files.
 *
 * Everything that changes a disk goes through here, and nothing else in src/ calls open(2) for
 * writing, rename(2), unlink(2) and their kin. That buys three things:
 *
 *  - Names that came from outside cannot lead out. A relative path is walked below a directory
 *    descriptor with openat2(2) and RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS; the directory itself was
 *    opened by its owner's own path and may be a symlink.
 *  - Faults can be injected. A test sets lsp_fs_hooks and is asked before every mutating call,
 *    whether it shall fail and with which errno; and told of every call that succeeded, which is
 *    the operation log that the power-cut tests replay.
 *  - EINTR and short writes are handled once.
 *
 * Paths "below" (a directory descriptor and a relative path with '/' and no "..") are for
 * everything inside a game's folder; plain paths are for the user's own (state folder, roots).
 * Every function may be called from every thread and may block on the disk.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* ---- Hooks, for tests -------------------------------------------------------------------- */

enum lsp_fs_call {
	LSP_FS_OPEN,     /* for writing, or with creation */
	LSP_FS_WRITE,    /* offset, size, data */
	LSP_FS_TRUNCATE, /* size in `offset` */
	LSP_FS_SYNC,     /* of a file or a directory */
	LSP_FS_MKDIR,
	LSP_FS_RENAME,   /* path → target */
	LSP_FS_EXCHANGE, /* path ↔ target */
	LSP_FS_UNLINK,
	LSP_FS_RMDIR,
	LSP_FS_SYMLINK, /* path → text in `target` */
	LSP_FS_CHMOD,
	LSP_FS_CLONE,    /* reflink of a whole file */
	LSP_FS_SYNC_ALL, /* of the whole filesystem that fd is on */
	LSP_FS_TIMES,    /* mtime, nanoseconds since 1970, in `offset` */
};

struct lsp_fs_event {
	enum lsp_fs_call call;
	int dir_fd; /* what `path` is relative to; AT_FDCWD; for fd-only calls −1 */
	int target_dir_fd;
	const char *path; /* NULL for calls on a descriptor */
	const char *target;
	int fd; /* the descriptor that is written, synced, cut; after OPEN the new one */
	uint64_t offset;
	const void *data;
	size_t size;
};

struct lsp_fs_hooks {
	/* Before the call; not 0: it does not happen and fails with that errno (EINTR: again). */
	int (*before)(const struct lsp_fs_event *event, void *argument);
	/* After a call that succeeded. */
	void (*after)(const struct lsp_fs_event *event, void *argument);
	/*
	 * Before a folder is opened or a whole small file is read; not 0: that fails with this
	 * errno. path is as the caller gave it, relative to its folder or not.
	 */
	int (*before_read)(const char *path, void *argument);
	void *argument;
	/* One read(2) or write(2) moves at most so many bytes: short ones. 0: no limit. */
	size_t at_most;
};

/* Process-wide; NULL: none. Set before threads start. */
void lsp_fs_set_hooks(const struct lsp_fs_hooks *hooks);

/* ---- Directories ------------------------------------------------------------------------- */

/* Opens a directory by the user's own path (symlinks are followed). The caller closes it. */
LSP_MUST_CHECK int lsp_fs_open_dir(const char *path, int *ret_fd, struct lsp_error *err);
/* The same below another. */
LSP_MUST_CHECK int lsp_fs_open_dir_below(
	int dir_fd, const char *path, int *ret_fd, struct lsp_error *err);
/* mkdir -p of the user's own path, mode 0755 (private: 0700) less umask. */
LSP_MUST_CHECK int lsp_fs_make_dirs(const char *path, bool private_, struct lsp_error *err);
/* mkdir -p below; no component may be a symlink. One that is there already is fine. */
LSP_MUST_CHECK int lsp_fs_make_dirs_below(int dir_fd, const char *path, struct lsp_error *err);
/* Removes a file or a whole tree below; never follows a symlink. Absent is fine. */
LSP_MUST_CHECK int lsp_fs_remove_tree_below(int dir_fd, const char *path, struct lsp_error *err);

/* ---- Files ------------------------------------------------------------------------------- */

/*
 * open(2) below a directory. flags as there, O_CLOEXEC | O_NOFOLLOW | O_NOCTTY added, and
 * O_NONBLOCK so that a FIFO in place of a file never blocks. What is no regular file gives
 * -LSP_E_DENIED (O_DIRECTORY opens a directory). mode is for O_CREAT.
 */
LSP_MUST_CHECK int lsp_fs_open_below(
	int dir_fd, const char *path, int flags, mode_t mode, int *ret_fd, struct lsp_error *err);
/* lstat(2) below. -LSP_E_NOT_FOUND when it is not there. */
LSP_MUST_CHECK int lsp_fs_stat_below(
	int dir_fd, const char *path, struct stat *ret_stat, struct lsp_error *err);
bool lsp_fs_exists_below(int dir_fd, const char *path);

/* Up to `size` bytes at offset; less only at the end of the file. */
LSP_MUST_CHECK int lsp_fs_read_at(
	int fd, void *data, size_t size, uint64_t offset, size_t *ret_read, struct lsp_error *err);
/*
 * The same, but only if all of them are in memory, so that a loop may ask: -LSP_E_BUSY when the
 * disk would be waited for, or the filesystem cannot tell. (preadv2 with RWF_NOWAIT; tmpfs does not
 * know that, and is memory.)
 */
LSP_MUST_CHECK int lsp_fs_read_cached(
	int fd, void *data, size_t size, uint64_t offset, struct lsp_error *err);
/* All of them or an error. `name` is for the message. */
LSP_MUST_CHECK int lsp_fs_write_at(int fd, const void *data, size_t size, uint64_t offset,
	const char *name, struct lsp_error *err);
LSP_MUST_CHECK int lsp_fs_truncate(int fd, uint64_t size, const char *name, struct lsp_error *err);
/* fsync(2). A failed one must not be tried again: the pages are gone. */
LSP_MUST_CHECK int lsp_fs_sync(int fd, const char *name, struct lsp_error *err);
/*
 * syncfs(2): everything that was written to the filesystem of fd, by whomever. For thousands of new
 * files it takes one flush where fsync of each takes thousands.
 */
LSP_MUST_CHECK int lsp_fs_sync_all(int fd, const char *name, struct lsp_error *err);
/* Starts to write this range back and does not wait: a hint, so that a later sync is short. */
void lsp_fs_write_back(int fd, uint64_t offset, uint64_t size);
/* fsync of the directory `path` below dir_fd ("." for itself). */
LSP_MUST_CHECK int lsp_fs_sync_dir_below(int dir_fd, const char *path, struct lsp_error *err);

/* rename(2) between two places below; what stands at the target is replaced. */
LSP_MUST_CHECK int lsp_fs_rename_below(
	int from_dir_fd, const char *from, int to_dir_fd, const char *to, struct lsp_error *err);
/*
 * The same, but never in place of anything: -LSP_E_EXISTS. Where the filesystem cannot do that at
 * once (some over FUSE or a network) it is looked at first. To another filesystem:
 * err->sys_errno is EXDEV.
 */
LSP_MUST_CHECK int lsp_fs_rename_new_below(
	int from_dir_fd, const char *from, int to_dir_fd, const char *to, struct lsp_error *err);
/* RENAME_EXCHANGE; -LSP_E_UNSUPPORTED where the filesystem does not have it. */
LSP_MUST_CHECK int lsp_fs_exchange_below(
	int from_dir_fd, const char *from, int to_dir_fd, const char *to, struct lsp_error *err);
LSP_MUST_CHECK int lsp_fs_unlink_below(int dir_fd, const char *path, struct lsp_error *err);
LSP_MUST_CHECK int lsp_fs_rmdir_below(int dir_fd, const char *path, struct lsp_error *err);
LSP_MUST_CHECK int lsp_fs_symlink_below(
	int dir_fd, const char *path, const char *text, struct lsp_error *err);
LSP_MUST_CHECK int lsp_fs_chmod(int fd, mode_t mode, const char *name, struct lsp_error *err);
/* Sets the time of modification, in nanoseconds since 1970. */
LSP_MUST_CHECK int lsp_fs_set_mtime(
	int fd, int64_t mtime_ns, const char *name, struct lsp_error *err);
/* Reflink of the whole of from_fd into the empty to_fd; -LSP_E_UNSUPPORTED where there is none. */
LSP_MUST_CHECK int lsp_fs_clone(int from_fd, int to_fd, struct lsp_error *err);

/* Bytes that this user may still write on the filesystem of fd. */
LSP_MUST_CHECK int lsp_fs_free_space(int fd, uint64_t *ret_bytes, struct lsp_error *err);

/* ---- Whole small files, by the user's own path or below ---------------------------------- */

/* The content with a NUL after it (not counted). -LSP_E_TOO_LARGE above `limit` bytes. */
LSP_MUST_CHECK int lsp_fs_read_file(
	const char *path, size_t limit, struct lsp_buffer *ret_content, struct lsp_error *err);
LSP_MUST_CHECK int lsp_fs_read_file_below(int dir_fd, const char *path, size_t limit,
	struct lsp_buffer *ret_content, struct lsp_error *err);
/*
 * Old content or new, whatever happens: a temporary file beside it (".<name>.tmp"), fsync, rename,
 * fsync of the directory. mode is the new file's.
 */
LSP_MUST_CHECK int lsp_fs_write_file(
	const char *path, const void *data, size_t size, mode_t mode, struct lsp_error *err);
LSP_MUST_CHECK int lsp_fs_write_file_below(int dir_fd, const char *path, const void *data,
	size_t size, mode_t mode, struct lsp_error *err);
/*
 * The same in steps, for many files of one folder: the disk is waited for about once, where each
 * for itself waits twice. First all are staged, which waits for nothing; then all are settled
 * (fsync), all committed (rename), or dropped; then lsp_fs_sync_dir_below. What is neither is
 * replaced when its name is staged again. name: without a slash.
 */
LSP_MUST_CHECK int lsp_fs_stage_file(int dir_fd, const char *name, const void *data, size_t size,
	mode_t mode, struct lsp_error *err);
LSP_MUST_CHECK int lsp_fs_settle_file(int dir_fd, const char *name, struct lsp_error *err);
LSP_MUST_CHECK int lsp_fs_commit_file(int dir_fd, const char *name, struct lsp_error *err);
void lsp_fs_drop_file(int dir_fd, const char *name);
