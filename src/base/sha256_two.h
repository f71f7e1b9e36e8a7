/*
 * Two SHA-256 hashes at the price of little more than one.
 *
 * A processor with SHA instructions waits for each of them longer than it needs to start the next:
 * two independent messages, woven into one stream of instructions, keep it busy (measured: 1.85
 * times the speed of one after the other; three are slower again). That is how files are hashed,
 * leaf by leaf. Elsewhere it is two calls of lsp_sha256.
 *
 * Pure; from every thread.
 */
#pragma once

#include "base/sha256.h"

#include <stdbool.h>

/* Of two runs of bytes of the same size. */
void lsp_sha256_two(
	struct lsp_hash ret_hashes[2], const void *first, const void *second, size_t size);

/* Does this processor have the instructions? For tests and benchmarks. */
bool lsp_sha256_two_is_fast(void);
