#include "torrent/coalesce.h"

#include <string.h>

static bool same(const struct lsp_progress_sample *a, const struct lsp_progress_sample *b)
{
	return a->done == b->done && a->total == b->total && a->downloaded == b->downloaded &&
	       a->uploaded == b->uploaded && a->download_rate == b->download_rate &&
	       a->upload_rate == b->upload_rate && a->peers == b->peers && a->seeds == b->seeds;
}

static void pass(
	struct lsp_coalescer *coalescer, const struct lsp_progress_sample *sample, lsp_time now)
{
	coalescer->last = *sample;
	coalescer->has_last = true;
	coalescer->has_kept = false;
	coalescer->next = lsp_time_add(now, LSP_PROGRESS_INTERVAL);
	coalescer->passed++;
}

bool lsp_coalescer_offer(
	struct lsp_coalescer *coalescer, const struct lsp_progress_sample *sample, lsp_time now)
{
	coalescer->merged += coalescer->has_kept;
	if (coalescer->has_last && same(&coalescer->last, sample)) {
		coalescer->has_kept = false;
		return false;
	}
	if (coalescer->has_last && now < coalescer->next) {
		coalescer->kept = *sample;
		coalescer->has_kept = true;
		return false;
	}
	pass(coalescer, sample, now);
	return true;
}

lsp_time lsp_coalescer_due(const struct lsp_coalescer *coalescer)
{
	return coalescer->has_kept ? coalescer->next : LSP_TIME_NEVER;
}

bool lsp_coalescer_take(struct lsp_coalescer *coalescer, lsp_time now, bool at_once,
	struct lsp_progress_sample *ret_sample)
{
	if (!coalescer->has_kept || (!at_once && now < coalescer->next))
		return false;
	*ret_sample = coalescer->kept;
	pass(coalescer, ret_sample, now);
	return true;
}
