#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void lsp_random_bytes(void *data, size_t size)
{
	uint8_t *at = data;
	while (size) {
		ssize_t got = getrandom(at, size, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			abort();
		at += got;
		size -= (size_t)got;
	}
}

/* SplitMix64, to spread a seed over the state. */
static uint64_t spread(uint64_t *x)
{
	uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void lsp_random_seed(struct lsp_random *random, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		random->state[i] = spread(&seed);
}

void lsp_random_init(struct lsp_random *random)
{
	uint64_t seed;
	lsp_random_bytes(&seed, sizeof seed);
	lsp_random_seed(random, seed);
}

static uint64_t rotate(uint64_t x, int by)
{
	return (x << by) | (x >> (64 - by));
}

/* xoshiro256** by Blackman and Vigna. */
uint64_t lsp_random_next(struct lsp_random *random)
{
	uint64_t *s = random->state;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

uint64_t lsp_random_below(struct lsp_random *random, uint64_t bound)
{
	if (!bound)
		return 0;
	uint64_t uneven = -bound % bound; /* 2^64 mod bound: the numbers that would be too many */
	uint64_t x;
	do {
		x = lsp_random_next(random);
	} while (x < uneven);
	return x % bound;
}

double lsp_random_unit(struct lsp_random *random)
{
	return (double)(lsp_random_next(random) >> 11) * 0x1p-53;
}
