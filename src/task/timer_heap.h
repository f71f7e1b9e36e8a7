/*
 * The timers of one loop in order of time: a binary heap of pointers. Room for every timer is made
 * when it is initialised, so that starting one cannot fail. One thread.
 */
#pragma once

#include "task/loop.h"

struct lsp_timer_heap {
	struct lsp_timer **list; /* from 1 to count */
	size_t count;            /* that are on */
	size_t known;            /* that were initialised and not done */
	size_t capacity;
};

LSP_MUST_CHECK int lsp_timer_heap_grow(struct lsp_timer_heap *heap, struct lsp_error *err);
void lsp_timer_heap_done(struct lsp_timer_heap *heap);
void lsp_timer_heap_add(struct lsp_timer_heap *heap, struct lsp_timer *timer);
void lsp_timer_heap_remove(struct lsp_timer_heap *heap, struct lsp_timer *timer);

/* The earliest; NULL if none is on. */
static inline struct lsp_timer *lsp_timer_heap_first(const struct lsp_timer_heap *heap)
{
	return heap->count ? heap->list[1] : NULL;
}
