/* A folder of this process for targets that need one: in memory where that can be, gone at exit. */
#pragma once

#include "base/fs.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char fuzz_folder_path[64];

static inline void fuzz_folder_remove(void)
{
	int parent;
	if (lsp_fs_open_dir(fuzz_folder_path[1] == 'd' ? "/dev/shm" : "/tmp", &parent, NULL) < 0)
		return;
	(void)!lsp_fs_remove_tree_below(parent, strrchr(fuzz_folder_path, '/') + 1, NULL);
	close(parent);
}

/* Its descriptor, the same at each call. */
static inline int fuzz_folder(void)
{
	static int fd = -1;
	if (fd >= 0)
		return fd;
	snprintf(fuzz_folder_path, sizeof fuzz_folder_path, "%s/lanspread-fuzz-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert(mkdtemp(fuzz_folder_path) && lsp_fs_open_dir(fuzz_folder_path, &fd, NULL) == 0);
	atexit(fuzz_folder_remove);
	return fd;
}
