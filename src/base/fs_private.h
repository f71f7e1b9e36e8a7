#pragma once
/*
 * What the files of the door to files share: the two hooks around a call that changes something,
 * and the walk below a folder. Every thread, no state but the hooks.
 */
#include "base/fs.h"

#include <errno.h>

/* Whether a test's hook wants this call to fail; errno is set then. */
bool lsp_fs_refused(const struct lsp_fs_event *event);
void lsp_fs_succeeded(const struct lsp_fs_event *event);
/* Whether a test's hook wants this reading to fail; errno is set then. */
bool lsp_fs_read_refused(const char *path);

/*
 * One mutating call between the two hooks; `expression` gives −1 and errno on failure. EINTR is
 * tried again, also where a test's hook gave it.
 */
#define LSP_FS_HOOKED(event, expression)                                                           \
	({                                                                                         \
		long result_;                                                                      \
		do {                                                                               \
			result_ = lsp_fs_refused(&(event)) ? -1 : (expression);                    \
		} while (result_ < 0 && errno == EINTR);                                           \
		if (result_ >= 0)                                                                  \
			lsp_fs_succeeded(&(event));                                                \
		result_;                                                                           \
	})

/*
 * A path below a folder as openat(2) would, but never out of it and never through a link. −1 and
 * errno; ELOOP, EXDEV and ENOTDIR are the refusals. O_CLOEXEC | O_NOFOLLOW are added, and without
 * O_PATH O_NOCTTY | O_NONBLOCK.
 */
int lsp_fs_open_beneath(int dir_fd, const char *path, int flags, mode_t mode);

/* A path below a folder was refused or failed. What the system says of links is no help. */
int lsp_fs_fail_below(struct lsp_error *err, int sys_errno, const char *what, const char *path);

/*
 * The directory that holds the last component of a path, and that component. *ret_dir is dir_fd
 * itself where the path has no slash, else a descriptor to close, which *ret_owned then holds too.
 */
int lsp_fs_open_parent(int dir_fd, const char *path, int *ret_dir, int *ret_owned,
	const char **ret_name, struct lsp_error *err);
