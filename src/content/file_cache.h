/*
 * Open descriptors, a bounded number of them, for reading: the one least recently used goes first.
 * A descriptor that is in use is never closed; with all in use, more are opened and closed right
 * after.
 *
 * Every function may be called from every thread; acquiring may open a file (and so block), outside
 * the lock.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct lsp_file_cache;

typedef int (*lsp_file_cache_open)(
	void *argument, uint32_t file, int *ret_fd, struct lsp_error *err);

LSP_MUST_CHECK int lsp_file_cache_new(unsigned max_open, lsp_file_cache_open open, void *argument,
	struct lsp_file_cache **ret_cache, struct lsp_error *err);
/* Nothing may be in use. */
void lsp_file_cache_free(struct lsp_file_cache *cache);
LSP_DEFINE_CLEANUP(struct lsp_file_cache *, lsp_file_cache_free);

/* *ret_fd is valid until lsp_file_cache_release of the same pair. */
LSP_MUST_CHECK int lsp_file_cache_acquire(
	struct lsp_file_cache *cache, uint32_t file, int *ret_fd, struct lsp_error *err);
/* The same for a file that is open already; false: it is not. Does not block. */
bool lsp_file_cache_acquire_open(struct lsp_file_cache *cache, uint32_t file, int *ret_fd);
void lsp_file_cache_release(struct lsp_file_cache *cache, uint32_t file, int fd);

/* The next acquire opens anew; what is in use is closed when it is released. */
void lsp_file_cache_drop(struct lsp_file_cache *cache, uint32_t file);
void lsp_file_cache_drop_all(struct lsp_file_cache *cache);

/* How many descriptors it holds. */
unsigned lsp_file_cache_count(struct lsp_file_cache *cache);
