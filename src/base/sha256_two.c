/*
 * FIPS 180-4 over the x86 SHA extensions. Each round instruction does two rounds on half of the
 * state: `feba` and `hgdc` name the words that the two registers hold, from the highest down, as
 * SHA256RNDS2 wants them. The message schedule keeps four registers of four words and replaces the
 * oldest at each step. Every step is done for both lanes before the next.
 */
#include "base/sha256_two.h"

#include <string.h>

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define BLOCK 64
#define LANES 2

/* FIPS 180-4, 4.2.2 and 5.3.3. */
static const uint32_t constants[64] __attribute__((aligned(16))) = {
	0x428a2f98,
	0x71374491,
	0xb5c0fbcf,
	0xe9b5dba5,
	0x3956c25b,
	0x59f111f1,
	0x923f82a4,
	0xab1c5ed5,
	0xd807aa98,
	0x12835b01,
	0x243185be,
	0x550c7dc3,
	0x72be5d74,
	0x80deb1fe,
	0x9bdc06a7,
	0xc19bf174,
	0xe49b69c1,
	0xefbe4786,
	0x0fc19dc6,
	0x240ca1cc,
	0x2de92c6f,
	0x4a7484aa,
	0x5cb0a9dc,
	0x76f988da,
	0x983e5152,
	0xa831c66d,
	0xb00327c8,
	0xbf597fc7,
	0xc6e00bf3,
	0xd5a79147,
	0x06ca6351,
	0x14292967,
	0x27b70a85,
	0x2e1b2138,
	0x4d2c6dfc,
	0x53380d13,
	0x650a7354,
	0x766a0abb,
	0x81c2c92e,
	0x92722c85,
	0xa2bfe8a1,
	0xa81a664b,
	0xc24b8b70,
	0xc76c51a3,
	0xd192e819,
	0xd6990624,
	0xf40e3585,
	0x106aa070,
	0x19a4c116,
	0x1e376c08,
	0x2748774c,
	0x34b0bcb5,
	0x391c0cb3,
	0x4ed8aa4a,
	0x5b9cca4f,
	0x682e6ff3,
	0x748f82ee,
	0x78a5636f,
	0x84c87814,
	0x8cc70208,
	0x90befffa,
	0xa4506ceb,
	0xbef9a3f7,
	0xc67178f2,
};

struct lanes {
	__m128i feba[LANES];
	__m128i hgdc[LANES];
};

#define SHA_TARGET __attribute__((target("sha,ssse3,sse4.1")))

/* Words 4n to 4n + 3 of the schedule, in place of the oldest four. */
SHA_TARGET static inline __m128i next_words(__m128i words[4], int n)
{
	__m128i *oldest = &words[n & 3];
	__m128i newest = words[(n + 3) & 3];
	__m128i sum = _mm_sha256msg1_epu32(*oldest, words[(n + 1) & 3]);
	sum = _mm_add_epi32(sum, _mm_alignr_epi8(newest, words[(n + 2) & 3], 4));
	*oldest = _mm_sha256msg2_epu32(sum, newest);
	return *oldest;
}

/* One block of each lane; the inputs move on. */
SHA_TARGET static inline void hash_block(struct lanes *lanes, const uint8_t *data[LANES])
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	struct lanes before = *lanes;
	__m128i words[LANES][4];
#pragma GCC unroll 16
	for (int n = 0; n < 16; n++) {
		__m128i constant = _mm_load_si128((const __m128i *)(const void *)&constants[4 * n]);
#pragma GCC unroll 2
		for (int lane = 0; lane < LANES; lane++) {
			__m128i w;
			if (n < 4) {
				w = _mm_loadu_si128(
					(const __m128i *)(const void *)(data[lane] + 16 * n));
				w = words[lane][n] = _mm_shuffle_epi8(w, big_endian);
			} else {
				w = next_words(words[lane], n);
			}
			w = _mm_add_epi32(w, constant);
			lanes->hgdc[lane] =
				_mm_sha256rnds2_epu32(lanes->hgdc[lane], lanes->feba[lane], w);
			w = _mm_shuffle_epi32(w, 0x0e);
			lanes->feba[lane] =
				_mm_sha256rnds2_epu32(lanes->feba[lane], lanes->hgdc[lane], w);
		}
	}
	for (int lane = 0; lane < LANES; lane++) {
		lanes->feba[lane] = _mm_add_epi32(lanes->feba[lane], before.feba[lane]);
		lanes->hgdc[lane] = _mm_add_epi32(lanes->hgdc[lane], before.hgdc[lane]);
		data[lane] += BLOCK;
	}
}

/* a to h, in the order of the instructions, and back. */
SHA_TARGET static void start(struct lanes *lanes)
{
	for (int lane = 0; lane < LANES; lane++) {
		lanes->feba[lane] =
			_mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c);
		lanes->hgdc[lane] =
			_mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19);
	}
}

SHA_TARGET static void take(const struct lanes *lanes, struct lsp_hash hashes[LANES])
{
	for (int lane = 0; lane < LANES; lane++) {
		uint32_t abef[4], cdgh[4];
		_mm_storeu_si128((__m128i *)(void *)abef, lanes->feba[lane]);
		_mm_storeu_si128((__m128i *)(void *)cdgh, lanes->hgdc[lane]);
		const uint32_t words[8] = {
			abef[3], abef[2], cdgh[3], cdgh[2], abef[1], abef[0], cdgh[1], cdgh[0]};
		for (int i = 0; i < 8; i++) {
			uint32_t word = __builtin_bswap32(words[i]);
			memcpy(hashes[lane].bytes + 4 * i, &word, 4);
		}
	}
}

SHA_TARGET static void hash_two(
	struct lsp_hash ret_hashes[LANES], const void *first, const void *second, size_t size)
{
	struct lanes lanes;
	const uint8_t *data[LANES] = {first, second};
	start(&lanes);
	for (size_t left = size / BLOCK; left; left--)
		hash_block(&lanes, data);
	/* What is left, a one bit, zeros, and the length in bits: one block or two. */
	uint8_t tails[LANES][2 * BLOCK] = {0};
	size_t rest = size % BLOCK;
	size_t tail_size = rest + 9 > BLOCK ? 2 * BLOCK : BLOCK;
	uint64_t bits = __builtin_bswap64((uint64_t)size * 8);
	for (int lane = 0; lane < LANES; lane++) {
		memcpy(tails[lane], data[lane], rest);
		tails[lane][rest] = 0x80;
		memcpy(tails[lane] + tail_size - 8, &bits, 8);
		data[lane] = tails[lane];
	}
	for (size_t left = tail_size / BLOCK; left; left--)
		hash_block(&lanes, data);
	take(&lanes, ret_hashes);
}

/* CPUID leaf 1: SSSE3 and SSE4.1; leaf 7: SHA. */
static bool has_instructions(void)
{
	unsigned a, b, c, d;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_SHA;
}

bool lsp_sha256_two_is_fast(void)
{
	static _Atomic int known; /* 0: not asked yet, 1: no, 2: yes */
	if (!known)
		known = has_instructions() ? 2 : 1;
	return known == 2;
}

#else

bool lsp_sha256_two_is_fast(void)
{
	return false;
}

#endif

void lsp_sha256_two(
	struct lsp_hash ret_hashes[2], const void *first, const void *second, size_t size)
{
#if defined(__x86_64__)
	if (lsp_sha256_two_is_fast()) {
		hash_two(ret_hashes, first, second, size);
		return;
	}
#endif
	lsp_sha256(&ret_hashes[0], first, size);
	lsp_sha256(&ret_hashes[1], second, size);
}
