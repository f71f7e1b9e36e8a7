/*
 * Ownership helpers: a variable that is declared with one of these frees what it holds when it goes
 * out of scope; TAKE hands the value on and leaves an empty variable behind.
 *
 *     _cleanup_free_ char *path = lsp_text_format("%s/%s", root, name);
 *     _cleanup_close_ int fd = -EBADF;
 *     ...
 *     *ret_path = TAKE_PTR(path);
 *
 * Every destructor in this tree takes NULL. Modules define their own with LSP_DEFINE_CLEANUP.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* `unused`: some variables exist for their end alone, and clang 14 warns of those. */
#define _cleanup_(function) __attribute__((cleanup(function), unused))

/* Defines function##_pointer(T **), for _cleanup_(function##_pointer). */
#define LSP_DEFINE_CLEANUP(type, function)                                                         \
	static inline void function##_pointer(type *value)                                         \
	{                                                                                          \
		if (*value)                                                                        \
			function(*value);                                                          \
	}                                                                                          \
	struct lsp_cleanup_needs_semicolon_##function

#define TAKE_PTR(pointer)                                                                          \
	({                                                                                         \
		typeof(pointer) *taken_from_ = &(pointer);                                         \
		typeof(pointer) taken_ = *taken_from_;                                             \
		*taken_from_ = NULL;                                                               \
		taken_;                                                                            \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *taken_from_ = &(fd);                                                          \
		int taken_ = *taken_from_;                                                         \
		*taken_from_ = -1;                                                                 \
		taken_;                                                                            \
	})

static inline void lsp_cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void lsp_cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void lsp_cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define _cleanup_free_ _cleanup_(lsp_cleanup_free)
#define _cleanup_close_ _cleanup_(lsp_cleanup_close)
#define _cleanup_fclose_ _cleanup_(lsp_cleanup_fclose)

#define LSP_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
/* Each argument is evaluated once; they may be nested (each use has names of its own). */
#define LSP_PASTE_(a, b) a##b
#define LSP_PASTE(a, b) LSP_PASTE_(a, b)
#define LSP_PICK_(a, b, operator, x, y)                                                            \
	({                                                                                         \
		typeof(a) x = (a);                                                                 \
		typeof(b) y = (b);                                                                 \
		x operator y ? x : y;                                                              \
	})
#define LSP_MIN(a, b) LSP_PICK_(a, b, <, LSP_PASTE(a_, __COUNTER__), LSP_PASTE(b_, __COUNTER__))
#define LSP_MAX(a, b) LSP_PICK_(a, b, >, LSP_PASTE(a_, __COUNTER__), LSP_PASTE(b_, __COUNTER__))
#define lsp_container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
