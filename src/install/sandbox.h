/*
 * The sandbox of lanspread-unpack: what a process gives up before it looks at an archive.
 *
 *  - Landlock, where the kernel has it: files below one folder can be made and written, nothing
 * else on the disk can be opened (a tool that is not ours may also read and run what is in /usr and
 *    its kin, and read the archive's folder); no TCP; no signals and no abstract sockets outside.
 *  - seccomp: the built-in unpacker may make the fifty-odd system calls that reading, writing and
 *    memory need; a tool that is not ours may make all but those that reach beyond its files
 *    (sockets, ptrace, mounts, namespaces, keys, devices, kernel modules and so on).
 *  - limits: address space, length of a file, descriptors, no core dump; no new privileges ever.
 *
 * A tool that needs more than that is told what it wants to know rather than given it: unar on
 * Debian 13 would write into /tmp what the environment can say as well (app/lanspread-unpack.c).
 *
 * There is no way back, and threads that were started before are not covered: call it in a process
 * with one thread.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct lsp_sandbox {
	int target_fd;        /* the folder that may be written; −1: none */
	bool foreign;         /* a tool that is not ours will be run */
	const char *readable; /* foreign: one more folder to read; NULL: none */
	uint64_t memory;      /* bytes of address space; 0: no limit */
	uint64_t file_size;   /* of a single file; 0: no limit */
};

/* *ret_landlock: the kernel's version of Landlock, 0 where it has none (the rest holds then). */
LSP_MUST_CHECK int lsp_sandbox_enter(
	const struct lsp_sandbox *sandbox, int *ret_landlock, struct lsp_error *err);
