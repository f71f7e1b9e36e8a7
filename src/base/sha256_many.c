#include "base/sha256_many.h"

#include "base/sha256_two.h"

#include <pthread.h>

static void hash_by_two(struct lsp_hash *ret_hashes, const uint8_t *data, size_t size, size_t count)
{
	size_t i = 0;
	for (; i + 2 <= count; i += 2)
		lsp_sha256_two(&ret_hashes[i], data + i * size, data + (i + 1) * size, size);
	if (i < count)
		lsp_sha256(&ret_hashes[i], data + i * size, size);
}

#ifdef HAVE_IPSEC_MB

#include "base/ipsec_mb.h"

#define WIDEST 16
/* The library counts blocks of a job in 16 bits. */
#define SIZE_MAX_OF_JOB ((size_t)32 << 10)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t managers; /* each thread's */
static size_t lanes, least;    /* set once; least 0: not used */

static void add_job(IMB_MGR *manager, struct lsp_hash *ret_hash, const uint8_t *data, size_t size)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
	job->cipher_mode = IMB_CIPHER_NULL;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->chain_order = IMB_ORDER_HASH_CIPHER;
	job->hash_alg = IMB_AUTH_SHA_256;
	job->src = data;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = size;
	job->auth_tag_output = ret_hash->bytes;
	job->auth_tag_output_len_in_bytes = LSP_SHA256_SIZE;
}

/* False: the library would not, and hashes may be missing. */
static bool hash_by_jobs(IMB_MGR *manager, struct lsp_hash *ret_hashes, const uint8_t *data,
	size_t size, size_t count)
{
	const IMB_JOB *done;
	size_t completed = 0;
	for (size_t i = 0; i < count; i++) {
		add_job(manager, &ret_hashes[i], data + i * size, size);
		done = IMB_SUBMIT_JOB(manager);
		completed += done && done->status == IMB_STATUS_COMPLETED;
	}
	while ((done = IMB_FLUSH_JOB(manager)))
		completed += done->status == IMB_STATUS_COMPLETED;
	return completed == count;
}

/* Does it agree with GnuTLS? The sizes go over the borders of a block and of its padding. */
static bool agrees(IMB_MGR *manager)
{
	static const size_t sizes[] = {1, 55, 56, 63, 64, 119, 128, 300};
	uint8_t data[WIDEST * 300];
	struct lsp_hash ours[WIDEST], theirs;
	bool same = true;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 31 ^ i >> 8);
	for (size_t n = 0; n < LSP_ARRAY_SIZE(sizes); n++) {
		same &= hash_by_jobs(manager, ours, data, sizes[n], WIDEST);
		for (size_t i = 0; same && i < WIDEST; i++) {
			lsp_sha256(&theirs, data + i * sizes[n], sizes[n]);
			same = lsp_hash_equal(&ours[i], &theirs);
		}
	}
	return same;
}

static void free_manager(void *manager)
{
	free_mb_mgr(manager);
}

/* Measured with runs of 16 KiB (docs/decisions/0005). */
static void choose(uint64_t features)
{
	bool wide = (features & IMB_FEATURE_AVX512_SKX) == IMB_FEATURE_AVX512_SKX;
	lanes = wide ? 16 : 8;
	if (wide)
		least = lsp_sha256_two_is_fast() ? 10 : 3;
	else
		least = lsp_sha256_two_is_fast() ? 0 : 3;
}

static void open_library(void)
{
	IMB_MGR *manager = lsp_ipsec_mb_new(IMB_FEATURE_AVX2);
	if (!manager)
		return;
	if (agrees(manager) && pthread_key_create(&managers, free_manager) == 0)
		choose(manager->features);
	free_mb_mgr(manager);
}

/* This thread's; NULL: memory is short. */
static IMB_MGR *take_manager(void)
{
	IMB_MGR *manager = pthread_getspecific(managers);
	if (manager)
		return manager;
	manager = lsp_ipsec_mb_new(IMB_FEATURE_AVX2);
	if (!manager || pthread_setspecific(managers, manager) == 0)
		return manager;
	free_mb_mgr(manager);
	return NULL;
}

/* How many of the first it hashed: what does not fill its lanes well enough is left. */
static size_t hash_by_library(
	struct lsp_hash *ret_hashes, const uint8_t *data, size_t size, size_t count)
{
	pthread_once(&once, open_library);
	if (!least || count < least || size > SIZE_MAX_OF_JOB)
		return 0;
	size_t rest = count % lanes < least ? count % lanes : 0;
	IMB_MGR *manager = take_manager();
	if (manager && hash_by_jobs(manager, ret_hashes, data, size, count - rest))
		return count - rest;
	return 0;
}

size_t lsp_sha256_many_least(void)
{
	pthread_once(&once, open_library);
	return least;
}

#else

static size_t hash_by_library(
	struct lsp_hash *ret_hashes, const uint8_t *data, size_t size, size_t count)
{
	return 0;
}

size_t lsp_sha256_many_least(void)
{
	return 0;
}

#endif

void lsp_sha256_many(struct lsp_hash *ret_hashes, const void *data, size_t size, size_t count)
{
	const uint8_t *bytes = data;
	size_t done = hash_by_library(ret_hashes, bytes, size, count);
	hash_by_two(ret_hashes + done, bytes + done * size, size, count - done);
}
