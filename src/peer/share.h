/*
 * Shares: every content that this peer can serve, whole or in part.
 *
 * A share ties together what belongs to one content id: its manifest, where its bytes are (a source
 * over a finished game's folder, or the stage of a download), its place in the swarm, and the
 * sessions that follow it. A download begins as a share with a stage and ends as one with a source;
 * the swarm sees the same game all along, so uploads go on while it turns from one into the other.
 *
 * A share is counted: an upload that reads on a disk thread holds it. It is withdrawn when the game
 * is removed or changes; what was announced is then refused cleanly ("not found").
 *
 * All on the core loop, but for lsp_share_read and lsp_share_leaves, which block on the disk.
 */
#pragma once

#include "base/bitmap.h"
#include "base/clock.h"
#include "content/source.h"
#include "content/stage.h"
#include "swarm/swarm.h"
#include "wire/manifest.h"

#include <stdbool.h>

struct lsp_peer;
struct lsp_session;
struct lsp_share;
struct lsp_shares;

LSP_MUST_CHECK int lsp_shares_new(
	struct lsp_swarm *swarm, struct lsp_shares **ret_shares, struct lsp_error *err);
/* Every share is withdrawn first. */
void lsp_shares_free(struct lsp_shares *shares);

/*
 * A finished game: the share of its content gets this source (a reference is taken), or comes into
 * being with it. `game` is its id.
 */
LSP_MUST_CHECK int lsp_shares_add_source(struct lsp_shares *shares, const char *game,
	struct lsp_source *source, struct lsp_share **ret_share, struct lsp_error *err);
/*
 * A download: the share of its content gets this stage. What the stage has verified counts: where
 * the same game was served from its folder, and the stage found chunks of it damaged, these are
 * withdrawn and the folder is no source any more.
 */
LSP_MUST_CHECK int lsp_shares_add_stage(struct lsp_shares *shares, const char *game,
	struct lsp_stage *stage, void *download, struct lsp_share **ret_share,
	struct lsp_error *err);
/* The stage is gone; without a source the share is withdrawn. */
void lsp_share_drop_stage(struct lsp_share *share);
void lsp_share_drop_source(struct lsp_share *share);

struct lsp_share *lsp_shares_find(const struct lsp_shares *shares, const struct lsp_hash *content);
/* The share that serves a game's finished content; NULL: none. */
struct lsp_share *lsp_shares_find_game(const struct lsp_shares *shares, const char *game);
/* Each in turn, from NULL to NULL. */
struct lsp_share *lsp_shares_next(const struct lsp_shares *shares, struct lsp_share *share);

struct lsp_share *lsp_share_ref(struct lsp_share *share);
void lsp_share_unref(struct lsp_share *share);

const char *lsp_share_game(const struct lsp_share *share);
const struct lsp_manifest *lsp_share_manifest(const struct lsp_share *share);
lsp_swarm_id lsp_share_swarm_game(const struct lsp_share *share); /* 0: withdrawn */
bool lsp_share_has_source(const struct lsp_share *share);
struct lsp_stage *lsp_share_stage(const struct lsp_share *share);   /* borrowed, or NULL */
struct lsp_source *lsp_share_source(const struct lsp_share *share); /* borrowed, or NULL */
void *lsp_share_download(const struct lsp_share *share);

/* Payload bytes of it, both ways, since the share came to be: who moves them counts them. */
struct lsp_share_traffic {
	uint64_t sent, received;
};
struct lsp_share_traffic *lsp_share_traffic(struct lsp_share *share);

/* A second look at what it serves: one at a time, the next not before the time given at its end. */
LSP_MUST_CHECK bool lsp_share_begin_recheck(struct lsp_share *share, lsp_time now);
void lsp_share_end_recheck(struct lsp_share *share, lsp_time next);

/*
 * Where to read: a stage or a source, referenced, so that a disk thread may use it while the share
 * changes. Give it back with lsp_share_reader_done, from any thread.
 */
struct lsp_share_reader {
	struct lsp_stage *stage;
	struct lsp_source *source;
};
void lsp_share_reader_init(struct lsp_share_reader *reader, const struct lsp_share *share);
void lsp_share_reader_done(struct lsp_share_reader *reader);
/* Bytes of a verified chunk. On a disk thread; with _now on a loop, -LSP_E_BUSY: not in memory. */
LSP_MUST_CHECK int lsp_share_read(const struct lsp_share_reader *reader, uint32_t chunk,
	uint64_t offset, void *data, size_t size, struct lsp_error *err);
LSP_MUST_CHECK int lsp_share_read_now(const struct lsp_share_reader *reader, uint32_t chunk,
	uint64_t offset, void *data, size_t size, struct lsp_error *err);
