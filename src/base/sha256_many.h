/*
 * Many SHA-256 hashes of runs of the same size, which is what a tree of leaves needs, as fast as
 * this processor has them:
 *
 * - libIPSec_MB hashes sixteen at a time by AVX-512, eight by AVX2, one word of each in a register
 *   (not built in: no);
 * - two at a time by the SHA instructions (base/sha256_two.h);
 * - one after the other by GnuTLS.
 *
 * The first beats the second only with AVX-512 and enough runs at hand, since empty lanes cost as
 * much as full ones (docs/decisions/0005). It is compared with GnuTLS before its first use; each
 * thread that hashes keeps one manager of the library, until it ends.
 *
 * From every thread.
 */
#pragma once

#include "base/sha256.h"

#include <stdbool.h>

/* Of `count` runs of `size` bytes, one behind the other in memory. */
void lsp_sha256_many(struct lsp_hash *ret_hashes, const void *data, size_t size, size_t count);

/* For tests and benchmarks: how many runs must be at hand for the library's lanes; 0: never. */
size_t lsp_sha256_many_least(void);
