#include "content/stage_private.h"

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
