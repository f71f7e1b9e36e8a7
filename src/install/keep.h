/*
 * The user's own files in `local/`: finding them against the install record, and moving them where
 * they survive. Used inside a transaction (the moves are steps of its redo list) and once more when
 * the old `local/` is deleted, so that a save that was written meanwhile is not lost either.
 */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "content/redo.h"
#include "install/record.h"

#include <stdint.h>

#define LSP_KEEP_OLD_LOCAL ".lanspread/old-local"
#define LSP_KEEP_OLD_RECORD ".lanspread/old-installed"
#define LSP_KEEP_STAGED ".lanspread/install/kept" /* the folders of the kept folder to be */
#define LSP_KEEP_NAME_MAX 48

/* A free name "local.kept-<date>", with "-2" and so on behind it where that is taken. */
LSP_MUST_CHECK int lsp_keep_name(int game_fd, const struct lsp_clock *clock,
	char ret_name[LSP_KEEP_NAME_MAX], struct lsp_error *err);

struct lsp_keep {
	int game_fd;
	const struct lsp_record *record; /* of the old local/; NULL: there is none */
	const char *new_local;           /* the staged one; NULL: uninstall */
	const char *name;                /* of the kept folder, free */
	struct lsp_cancel *token;
	struct lsp_redo *redo; /* takes the steps, behind those that move local/ to OLD_LOCAL */
	uint64_t kept, moved;  /* out: files */
	bool whole;            /* out: no record, so all of local/ is kept, by one step */
	uint64_t duplicates;   /* files whose new version is the same */
};

/*
 * Looks at `local/` as it is now; makes, under the staging folder, the folders that the moves need
 * (the caller syncs them); appends the moves.
 */
LSP_MUST_CHECK int lsp_keep_plan(struct lsp_keep *keep, struct lsp_error *err);

/*
 * After the commit: what is in OLD_LOCAL and not the game's own moves to a kept folder, the rest is
 * deleted, and the old record last. Idempotent; nothing to do is success. ret_name (may be NULL):
 * the kept folder, "" if none was needed.
 */
LSP_MUST_CHECK int lsp_keep_reclaim(int game_fd, const struct lsp_clock *clock,
	char ret_name[LSP_KEEP_NAME_MAX], uint64_t *ret_kept, struct lsp_error *err);
