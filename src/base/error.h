/*
 * Errors.
 *
 * A function that can fail returns int: 0, or the negative of an lsp_code. Its last parameter is a
 * struct lsp_error that takes the detail, for a person: what failed, on what, what to do. NULL is
 * allowed there and drops the detail. On failure every other output is left as it was.
 *
 * An lsp_error is a plain value on the caller's stack: it owns nothing, may be copied, needs no
 * clean-up and belongs to one thread at a time.
 *
 *     int r = lsp_fs_read_file(path, 4096, &text, err);
 *     if (r < 0)
 *             return lsp_error_prefix(err, r, "version.ini of %s", id);
 *
 * Internal bugs assert. What comes from outside (a peer, a disk, a user) never does.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#define LSP_MUST_CHECK __attribute__((warn_unused_result))
#define LSP_PRINTF(string, first) __attribute__((__format__(__printf__, string, first)))

/* What kind of failure it was: what a program may branch on. A function returns the negative. */
enum lsp_code {
	LSP_OK = 0,
	LSP_E_FAILED = 1,  /* anything without a code of its own */
	LSP_E_NO_MEMORY,   /* an allocation failed */
	LSP_E_INVALID,     /* an argument or a command is wrong */
	LSP_E_PROTOCOL,    /* a peer, a file or a child broke the format */
	LSP_E_TOO_LARGE,   /* over a limit that is documented */
	LSP_E_NOT_FOUND,   /* no such game, peer, file, torrent */
	LSP_E_EXISTS,      /* there already */
	LSP_E_BUSY,        /* an operation or another process holds it */
	LSP_E_DENIED,      /* no permission, or a path that leads outside */
	LSP_E_NO_SPACE,    /* the disk is full */
	LSP_E_IO,          /* any other failure of the operating system; sys_errno is set */
	LSP_E_CANCELLED,   /* its token was cancelled */
	LSP_E_TIMEOUT,     /* its deadline passed */
	LSP_E_CLOSED,      /* the thing it talks to was shut down */
	LSP_E_UNSUPPORTED, /* known, but not here (a feature, a format, a platform) */
	LSP_E_CORRUPT,     /* content does not have the hash it should have */
	LSP_E_CODE_COUNT
};

/* Where it came from, for logs: the folder of src/ whose code set it. A static string. */
struct lsp_error {
	const char *domain;
	int code;      /* an enum lsp_code, positive */
	int sys_errno; /* errno where the operating system said no, else 0 */
	char message[512];
};

/*
 * Fills *err (NULL: nothing) and returns -code. The message is one line without a final full stop.
 * Of a message that is too long the middle is left out: what it begins and ends with stays.
 */
int lsp_error_set(struct lsp_error *err, const char *domain, int code, const char *format, ...)
	LSP_PRINTF(4, 5);

/*
 * The same for a failed system call: appends ": " and the text of sys_errno, and derives the code
 * from it (ENOSPC and EDQUOT: NO_SPACE; ENOENT: NOT_FOUND; EEXIST: EXISTS; EACCES, EPERM, EXDEV
 * (from openat2), ELOOP and ENOTDIR (a link or a file where a folder should be): DENIED; ENOMEM:
 * NO_MEMORY; anything else: IO).
 */
int lsp_error_errno(struct lsp_error *err, const char *domain, int sys_errno, const char *format,
	...) LSP_PRINTF(4, 5);

/* "Out of memory", without allocating. Returns -LSP_E_NO_MEMORY. */
int lsp_error_no_memory(struct lsp_error *err, const char *domain);

/*
 * Hands a failure on with "<text>: " before its message: returns `r`, what the function that failed
 * returned (below 0), also where err is NULL; in *err the code becomes that of `r`.
 */
int lsp_error_prefix(struct lsp_error *err, int r, const char *format, ...) LSP_PRINTF(3, 4);

/* Back to the state without an error. */
void lsp_error_clear(struct lsp_error *err);

/* The code's stable name for JSON, such as "not_found"; "failed" for a number that is none. */
const char *lsp_code_name(int code);
