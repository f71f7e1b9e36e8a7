#include "peer/share.h"

#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct lsp_share {
	UT_hash_handle hh;        /* by content id */
	struct lsp_shares *owner; /* NULL: withdrawn */
	unsigned references;
	char game[LSP_GAME_ID_MAX + 1];
	const struct lsp_manifest *manifest;
	struct lsp_stage *stage;
	struct lsp_source *source;
	void *download;
	lsp_swarm_id swarm_game;
	lsp_time recheck_at; /* not before; NEVER: one runs */
	struct lsp_share_traffic traffic;
};

struct lsp_shares {
	struct lsp_swarm *swarm;
	struct lsp_share *by_content;
};

int lsp_shares_new(struct lsp_swarm *swarm, struct lsp_shares **ret_shares, struct lsp_error *err)
{
	struct lsp_shares *shares = calloc(1, sizeof *shares);
	if (!shares)
		return lsp_error_no_memory(err, "peer");
	shares->swarm = swarm;
	*ret_shares = shares;
	return 0;
}

struct lsp_share *lsp_share_ref(struct lsp_share *share)
{
	share->references++;
	return share;
}

void lsp_share_unref(struct lsp_share *share)
{
	if (!share || --share->references)
		return;
	lsp_stage_unref(share->stage);
	lsp_source_unref(share->source);
	lsp_manifest_unref(share->manifest);
	free(share);
}

/* Takes it out of the table and the swarm; the table's reference goes. */
static void withdraw(struct lsp_share *share)
{
	if (!share->owner)
		return;
	HASH_DEL(share->owner->by_content, share);
	lsp_swarm_game_remove(share->owner->swarm, share->swarm_game);
	share->owner = NULL;
	share->swarm_game = 0;
	share->download = NULL;
	lsp_share_unref(share);
}

void lsp_shares_free(struct lsp_shares *shares)
{
	if (!shares)
		return;
	while (shares->by_content)
		withdraw(shares->by_content);
	free(shares);
}

struct lsp_share *lsp_shares_find(const struct lsp_shares *shares, const struct lsp_hash *content)
{
	struct lsp_share *share;
	HASH_FIND(hh, shares->by_content, content->bytes, LSP_SHA256_SIZE, share);
	return share;
}

bool lsp_share_begin_recheck(struct lsp_share *share, lsp_time now)
{
	if (now < share->recheck_at)
		return false;
	share->recheck_at = LSP_TIME_NEVER;
	return true;
}

void lsp_share_end_recheck(struct lsp_share *share, lsp_time next)
{
	share->recheck_at = next;
}

struct lsp_share *lsp_shares_next(const struct lsp_shares *shares, struct lsp_share *share)
{
	return share ? share->hh.next : shares->by_content;
}

struct lsp_share *lsp_shares_find_game(const struct lsp_shares *shares, const char *game)
{
	for (struct lsp_share *s = shares->by_content; s; s = s->hh.next) {
		if (s->source && strcmp(s->game, game) == 0)
			return s;
	}
	return NULL;
}

/* Enters the game into the swarm with the chunks that `have` says (NULL: all). */
static int join_swarm(struct lsp_share *share, const struct lsp_bitmap *have, struct lsp_error *err)
{
	const struct lsp_manifest *manifest = share->manifest;
	_cleanup_free_ uint32_t *sizes = calloc(manifest->chunk_count + 1, sizeof *sizes);
	_cleanup_bitmap_ struct lsp_bitmap all = {0};
	if (!sizes)
		return lsp_error_no_memory(err, "peer");
	for (uint32_t i = 0; i < manifest->chunk_count; i++) {
		struct lsp_chunk chunk;
		lsp_manifest_chunk(manifest, i, &chunk);
		sizes[i] = chunk.size;
	}
	if (!have) {
		int r = lsp_bitmap_init(&all, manifest->chunk_count, err);
		if (r < 0)
			return r;
		lsp_bitmap_fill(&all);
		have = &all;
	}
	return lsp_swarm_game_add(share->owner->swarm, manifest->chunk_count, sizes, have, share,
		&share->swarm_game, err);
}

static int add(struct lsp_shares *shares, const char *game, const struct lsp_manifest *manifest,
	const struct lsp_bitmap *have, struct lsp_share **ret_share, struct lsp_error *err)
{
	struct lsp_share *share = calloc(1, sizeof *share);
	if (!share)
		return lsp_error_no_memory(err, "peer");
	share->owner = shares;
	share->references = 1;
	snprintf(share->game, sizeof share->game, "%s", game);
	share->manifest = lsp_manifest_ref(manifest);
	int r = join_swarm(share, have, err);
	if (r == 0) {
		HASH_ADD_KEYPTR(hh, shares->by_content, share->manifest->content_id.bytes,
			LSP_SHA256_SIZE, share);
		if (share->hh.tbl) {
			*ret_share = share;
			return 0;
		}
		lsp_swarm_game_remove(shares->swarm, share->swarm_game);
		r = lsp_error_no_memory(err, "peer");
	}
	lsp_share_unref(share);
	return r;
}

int lsp_shares_add_source(struct lsp_shares *shares, const char *game, struct lsp_source *source,
	struct lsp_share **ret_share, struct lsp_error *err)
{
	const struct lsp_manifest *manifest = lsp_source_manifest(source);
	struct lsp_share *share = lsp_shares_find(shares, &manifest->content_id);
	if (!share) {
		int r = add(shares, game, manifest, NULL, &share, err);
		if (r < 0)
			return r;
	} else {
		lsp_swarm_game_gained(shares->swarm, share->swarm_game, 0, manifest->chunk_count);
	}
	lsp_source_unref(share->source);
	share->source = lsp_source_ref(source);
	*ret_share = share;
	return 0;
}

/* The folder was read for the stage: what that lacks, the folder does not have either. */
static void doubt_source(struct lsp_share *share, const struct lsp_bitmap *have)
{
	bool wrong = false;
	for (size_t i = lsp_bitmap_next_clear(have, 0); i < have->bits;
		i = lsp_bitmap_next_clear(have, i + 1)) {
		lsp_swarm_game_lost(share->owner->swarm, share->swarm_game, (uint32_t)i, 1);
		wrong = true;
	}
	if (wrong) {
		lsp_source_unref(share->source);
		share->source = NULL;
	}
}

int lsp_shares_add_stage(struct lsp_shares *shares, const char *game, struct lsp_stage *stage,
	void *download, struct lsp_share **ret_share, struct lsp_error *err)
{
	const struct lsp_manifest *manifest = lsp_stage_manifest(stage);
	struct lsp_share *share = lsp_shares_find(shares, &manifest->content_id);
	_cleanup_bitmap_ struct lsp_bitmap have = {0};
	int r = lsp_bitmap_init(&have, manifest->chunk_count, err);
	if (r < 0)
		return r;
	lsp_stage_chunks_copy(stage, &have);
	if (!share)
		r = add(shares, game, manifest, &have, &share, err);
	else if (share->source && strcmp(share->game, game) == 0)
		doubt_source(share, &have);
	if (r < 0)
		return r;
	lsp_stage_unref(share->stage);
	share->stage = lsp_stage_ref(stage);
	share->download = download;
	*ret_share = share;
	return 0;
}

void lsp_share_drop_stage(struct lsp_share *share)
{
	lsp_stage_unref(share->stage);
	share->stage = NULL;
	share->download = NULL;
	if (!share->source)
		withdraw(share);
}

void lsp_share_drop_source(struct lsp_share *share)
{
	lsp_source_unref(share->source);
	share->source = NULL;
	if (!share->stage)
		withdraw(share);
}

const char *lsp_share_game(const struct lsp_share *share)
{
	return share->game;
}

const struct lsp_manifest *lsp_share_manifest(const struct lsp_share *share)
{
	return share->manifest;
}

lsp_swarm_id lsp_share_swarm_game(const struct lsp_share *share)
{
	return share->swarm_game;
}

bool lsp_share_has_source(const struct lsp_share *share)
{
	return share->source != NULL;
}

struct lsp_stage *lsp_share_stage(const struct lsp_share *share)
{
	return share->stage;
}

struct lsp_source *lsp_share_source(const struct lsp_share *share)
{
	return share->source;
}

struct lsp_share_traffic *lsp_share_traffic(struct lsp_share *share)
{
	return &share->traffic;
}

void *lsp_share_download(const struct lsp_share *share)
{
	return share->download;
}

void lsp_share_reader_init(struct lsp_share_reader *reader, const struct lsp_share *share)
{
	reader->stage = share->stage && !share->source ? lsp_stage_ref(share->stage) : NULL;
	reader->source = share->source ? lsp_source_ref(share->source) : NULL;
}

void lsp_share_reader_done(struct lsp_share_reader *reader)
{
	lsp_stage_unref(reader->stage);
	lsp_source_unref(reader->source);
	*reader = (struct lsp_share_reader){0};
}

int lsp_share_read_now(const struct lsp_share_reader *reader, uint32_t chunk, uint64_t offset,
	void *data, size_t size, struct lsp_error *err)
{
	if (reader->source)
		return lsp_source_read_chunk_now(reader->source, chunk, offset, data, size, err);
	if (reader->stage)
		return lsp_stage_read_now(reader->stage, chunk, offset, data, size, err);
	return lsp_error_set(err, "peer", LSP_E_NOT_FOUND, "the game is not here any more");
}

int lsp_share_read(const struct lsp_share_reader *reader, uint32_t chunk, uint64_t offset,
	void *data, size_t size, struct lsp_error *err)
{
	if (reader->source)
		return lsp_source_read_chunk(reader->source, chunk, offset, data, size, err);
	if (reader->stage)
		return lsp_stage_read(reader->stage, chunk, offset, data, size, err);
	return lsp_error_set(err, "peer", LSP_E_NOT_FOUND, "the game is not here any more");
}
