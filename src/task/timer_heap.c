#include "task/timer_heap.h"

#include <assert.h>

int lsp_timer_heap_grow(struct lsp_timer_heap *heap, struct lsp_error *err)
{
	if (heap->known + 2 > heap->capacity) {
		size_t wanted = LSP_MAX(2 * heap->capacity, (size_t)16);
		struct lsp_timer **list = reallocarray(heap->list, wanted, sizeof(*list));
		if (!list)
			return lsp_error_no_memory(err, "task");
		heap->list = list;
		heap->capacity = wanted;
	}
	heap->known++;
	return 0;
}

void lsp_timer_heap_done(struct lsp_timer_heap *heap)
{
	free(heap->list);
	*heap = (struct lsp_timer_heap){0};
}

static void put(struct lsp_timer_heap *heap, size_t index, struct lsp_timer *timer)
{
	heap->list[index] = timer;
	timer->index = index;
}

static void rise(struct lsp_timer_heap *heap, size_t index, struct lsp_timer *timer)
{
	while (index > 1 && heap->list[index / 2]->when > timer->when) {
		put(heap, index, heap->list[index / 2]);
		index /= 2;
	}
	put(heap, index, timer);
}

static void sink(struct lsp_timer_heap *heap, size_t index, struct lsp_timer *timer)
{
	for (;;) {
		size_t child = 2 * index;
		if (child < heap->count && heap->list[child + 1]->when < heap->list[child]->when)
			child++;
		if (child > heap->count || heap->list[child]->when >= timer->when)
			break;
		put(heap, index, heap->list[child]);
		index = child;
	}
	put(heap, index, timer);
}

void lsp_timer_heap_add(struct lsp_timer_heap *heap, struct lsp_timer *timer)
{
	assert(heap->count < heap->known && heap->count + 1 < heap->capacity);
	rise(heap, ++heap->count, timer);
}

void lsp_timer_heap_remove(struct lsp_timer_heap *heap, struct lsp_timer *timer)
{
	size_t index = timer->index;
	struct lsp_timer *last = heap->list[heap->count--];
	timer->index = 0;
	if (last == timer)
		return;
	if (index > 1 && heap->list[index / 2]->when > last->when)
		rise(heap, index, last);
	else
		sink(heap, index, last);
}
