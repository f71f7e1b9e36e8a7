/*
 * Randomness, of two kinds. lsp_random_bytes is for keys, tokens and ids: the kernel's generator,
 * from every thread. An lsp_random is a small seeded generator for choices that a test must be able
 * to repeat (ties, jitter, simulations): no secret comes from it; one owner, one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Cannot fail: aborts if the kernel gives no randomness (getrandom(2) does not, once it is up). */
void lsp_random_bytes(void *data, size_t size);

struct lsp_random {
	uint64_t state[4];
};

/* The same seed gives the same numbers, on every machine. */
void lsp_random_seed(struct lsp_random *random, uint64_t seed);
/* Seeds it from the kernel. */
void lsp_random_init(struct lsp_random *random);
uint64_t lsp_random_next(struct lsp_random *random);
/* 0 to bound − 1, evenly; 0 for a bound of 0. */
uint64_t lsp_random_below(struct lsp_random *random, uint64_t bound);
/* 0 ≤ x < 1. */
double lsp_random_unit(struct lsp_random *random);
