#include "base/cleanup.h"
#include "base/fs.h"
#include "content/stage_private.h"
#include "task/cancel.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static struct lsp_stage_claim *find(struct lsp_stage *stage, uint32_t chunk)
{
	struct lsp_stage_claim *claim = stage->claims;
	while (claim && claim->chunk != chunk)
		claim = claim->next;
	return claim;
}

static int take_locked(struct lsp_stage *stage, uint32_t chunk, bool may_follow,
	struct lsp_stage_claim **fresh, bool *ret_owner, struct lsp_error *err)
{
	if (lsp_bitmap_get(&stage->done, chunk))
		return lsp_error_set(
			err, "content", LSP_E_EXISTS, "chunk %u is here already", chunk);
	struct lsp_stage_claim *claim = find(stage, chunk);
	if (!claim) {
		claim = TAKE_PTR(*fresh);
		claim->chunk = chunk;
		claim->next = stage->claims;
		stage->claims = claim;
	}
	bool free_for_owner = !claim->owned && !claim->revoked;
	if (!free_for_owner && (!may_follow || claim->second))
		return lsp_error_set(
			err, "content", LSP_E_BUSY, "chunk %u is being written", chunk);
	*ret_owner = free_for_owner;
	if (free_for_owner)
		claim->owned = true;
	else
		claim->second = true;
	return 0;
}

int lsp_stage_claim_take(struct lsp_stage *stage, uint32_t chunk, bool may_follow, bool *ret_owner,
	struct lsp_error *err)
{
	if (chunk >= stage->manifest->chunk_count)
		return lsp_error_set(err, "content", LSP_E_INVALID, "there is no chunk %u", chunk);
	_cleanup_free_ struct lsp_stage_claim *fresh = calloc(1, sizeof *fresh);
	if (!fresh)
		return lsp_error_no_memory(err, "content");
	pthread_mutex_lock(&stage->lock);
	int r = take_locked(stage, chunk, may_follow, &fresh, ret_owner, err);
	pthread_mutex_unlock(&stage->lock);
	return r;
}

void lsp_stage_claim_release(struct lsp_stage *stage, uint32_t chunk, bool owner)
{
	pthread_mutex_lock(&stage->lock);
	struct lsp_stage_claim **at = &stage->claims;
	while (*at && (*at)->chunk != chunk)
		at = &(*at)->next;
	struct lsp_stage_claim *claim = *at;
	if (claim && owner)
		claim->owned = false;
	if (claim && !owner)
		claim->second = claim->revoked = false;
	if (claim && !claim->owned && !claim->second)
		*at = claim->next;
	else
		claim = NULL;
	pthread_mutex_unlock(&stage->lock);
	free(claim);
}

bool lsp_stage_claim_begin_write(struct lsp_stage *stage, uint32_t chunk)
{
	pthread_mutex_lock(&stage->lock);
	struct lsp_stage_claim *claim = find(stage, chunk);
	bool may = claim && !claim->revoked && !lsp_bitmap_get(&stage->done, chunk);
	if (may)
		claim->writing = true;
	pthread_mutex_unlock(&stage->lock);
	return may;
}

void lsp_stage_claim_end_write(struct lsp_stage *stage, uint32_t chunk)
{
	pthread_mutex_lock(&stage->lock);
	find(stage, chunk)->writing = false;
	pthread_cond_broadcast(&stage->write_ended);
	pthread_mutex_unlock(&stage->lock);
}

bool lsp_stage_claim_revoke(struct lsp_stage *stage, uint32_t chunk)
{
	pthread_mutex_lock(&stage->lock);
	bool may = !lsp_bitmap_get(&stage->done, chunk);
	struct lsp_stage_claim *claim = find(stage, chunk);
	if (may) {
		claim->revoked = true;
		while (claim->writing)
			pthread_cond_wait(&stage->write_ended, &stage->lock);
		may = !lsp_bitmap_get(&stage->done, chunk);
	}
	pthread_mutex_unlock(&stage->lock);
	return may;
}

/* ---- What somebody else wrote ---- */

static int check_written(struct lsp_stage *stage, uint32_t chunk, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	struct lsp_chunk c;
	lsp_manifest_chunk(stage->manifest, chunk, &c);
	int r = lsp_stage_open_file(stage, c.file, &fd, err);
	if (r == 0)
		r = lsp_hasher_check_chunk(fd, &c, err);
	if (r < 0)
		return r;
	/* Whoever made it may not have known its mode; a disk without modes is met at the commit.
	 */
	const struct lsp_manifest_file *file = &stage->manifest->files[c.file];
	(void)!lsp_fs_chmod(fd, file->executable ? 0755 : 0644, file->path, NULL);
	lsp_stage_wrote(stage, c.file, c.size);
	return lsp_stage_mark(stage, chunk, err);
}

int lsp_stage_take_written(struct lsp_stage *stage, uint32_t chunk, struct lsp_error *err)
{
	bool owner;
	int r = lsp_stage_check(stage, err);
	if (r == 0)
		r = lsp_stage_claim_take(stage, chunk, false, &owner, err);
	if (r < 0)
		return r;
	r = check_written(stage, chunk, err);
	lsp_stage_claim_release(stage, chunk, true);
	return r;
}

/* Is there anything but a hole? Where the filesystem does not tell, there may be. */
static bool has_bytes(int fd, const struct lsp_chunk *chunk)
{
	off_t at = lseek(fd, (off_t)chunk->offset, SEEK_DATA);
	if (at < 0)
		return errno != ENXIO;
	return (uint64_t)at < chunk->offset + chunk->size;
}

static int take_file(struct lsp_stage *stage, const struct lsp_manifest_file *file,
	struct lsp_cancel *token, struct lsp_error *err)
{
	_cleanup_close_ int fd = -1;
	uint32_t chunk = file->first_chunk, end = file->first_chunk + file->chunk_count;
	while (chunk < end && lsp_stage_has(stage, chunk))
		chunk++;
	if (chunk == end ||
		lsp_fs_open_below(stage->files_fd, file->path, O_RDONLY, 0, &fd, NULL) < 0)
		return 0;
	for (; chunk < end; chunk++) {
		struct lsp_chunk c;
		struct lsp_error why = {0};
		int r = lsp_cancel_check(token, err);
		if (r < 0)
			return r;
		lsp_manifest_chunk(stage->manifest, chunk, &c);
		if (lsp_stage_has(stage, chunk) || !has_bytes(fd, &c))
			continue;
		r = lsp_stage_take_written(stage, chunk, &why);
		if (r < 0 && r != -LSP_E_CORRUPT && r != -LSP_E_EXISTS && r != -LSP_E_BUSY) {
			if (err)
				*err = why;
			return r;
		}
	}
	return 0;
}

int lsp_stage_take_all_written(
	struct lsp_stage *stage, struct lsp_cancel *token, struct lsp_error *err)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < stage->manifest->file_count; i++)
		r = take_file(stage, &stage->manifest->files[i], token, err);
	return r;
}
