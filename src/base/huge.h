/*
 * Memory that all bytes of a transfer pass through, in huge pages where the system has them
 * (transparent_hugepage; else in ordinary ones). In pages of 4 KiB each page that is touched anew
 * costs a walk through the page tables, through two levels of them in a virtual machine; with many
 * programs in turn on a processor that is nearly every page, every time.
 *
 * Whole huge pages are taken: for what is large and stays. free(3) gives it back. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LSP_HUGE_PAGE ((size_t)2 << 20) /* bytes, on x86-64 and with pages of 4 KiB on ARM */

/* At least `size` bytes, not zeroed, at a multiple of LSP_HUGE_PAGE; NULL: memory is short. */
static inline void *lsp_huge_alloc(size_t size)
{
	size = (size + LSP_HUGE_PAGE - 1) / LSP_HUGE_PAGE * LSP_HUGE_PAGE;
	void *memory = aligned_alloc(LSP_HUGE_PAGE, size);
#ifdef MADV_HUGEPAGE
	if (memory)
		(void)madvise(memory, size, MADV_HUGEPAGE);
#endif
	return memory;
}
