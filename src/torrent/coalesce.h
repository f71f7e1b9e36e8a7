/*
 * Progress, ten times a second for each torrent, and once more where something ends.
 *
 * One struct for each torrent. The first sample passes at once; one that comes too soon after the
 * last is kept, in place of the one kept before, and passes when its time has come or when it is
 * flushed: so the latest always arrives, and a terminal one (flush) at once. What is flushed comes
 * beside the ten: it cannot wait, for the state that it ends with is told right after it.
 *
 * Pure: the caller gives the time. One owner.
 */
#pragma once

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define LSP_PROGRESS_INTERVAL (100 * LSP_MILLISECOND)

struct lsp_progress_sample {
	int64_t done, total; /* bytes of what is wanted */
	int64_t downloaded, uploaded;
	int64_t download_rate, upload_rate; /* bytes a second */
	int32_t peers, seeds;
};

struct lsp_coalescer {
	struct lsp_progress_sample kept;
	struct lsp_progress_sample last; /* that passed */
	lsp_time next;                   /* before this nothing passes */
	bool has_kept;
	bool has_last;
	uint64_t passed, merged; /* samples */
};

/*
 * True: the sample passes now. A sample that says the same as the last one that passed does not,
 * and takes back one that is kept.
 */
bool lsp_coalescer_offer(
	struct lsp_coalescer *coalescer, const struct lsp_progress_sample *sample, lsp_time now);
/* When the kept one is due; LSP_TIME_NEVER where none is. */
lsp_time lsp_coalescer_due(const struct lsp_coalescer *coalescer);
/* The kept one, if it is due, or (`at_once`) in any case. */
bool lsp_coalescer_take(struct lsp_coalescer *coalescer, lsp_time now, bool at_once,
	struct lsp_progress_sample *ret_sample);
