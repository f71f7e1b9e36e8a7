/*
 * Is there room? Asked before a download, an install and an update, so that nothing fails at 90 %
 * for what could be known at 0 %. What lies on the disk already (a part of a download, blocks that
 * a reflink shares) is not counted twice. Blocks on the disk; measuring archives runs the unpacker.
 */
#pragma once

#include "base/error.h"
#include "install/archive.h"

#include <stdbool.h>
#include <stdint.h>

struct lsp_space {
	uint64_t needed; /* bytes more than now */
	uint64_t free;   /* what this user may still write there */
	bool known;      /* false: a compressed tar; `needed` is then a lower bound */
};

/* What installing the files of a source would take. The archives may be none. */
LSP_MUST_CHECK int lsp_space_for_install(const struct lsp_install_source *source,
	const struct lsp_archives *archives, const struct lsp_unpacker *unpacker,
	const struct lsp_unpack_limits *limits, struct lsp_cancel *token,
	struct lsp_space *ret_space, struct lsp_error *err);

/*
 * -LSP_E_NO_SPACE when needed > free, in words that name both: "installing needs 4.2 GB
 * (4200000000 bytes) more, but only 1.0 GB (1000000000 bytes) are free: make room and try again".
 * doing: "installing", "downloading". For a download, `needed` is lsp_stage_space_needed.
 */
LSP_MUST_CHECK int lsp_space_check(
	const struct lsp_space *space, const char *doing, struct lsp_error *err);
/* Both in one: asks the filesystem of fd. */
LSP_MUST_CHECK int lsp_space_check_at(
	int fd, uint64_t needed, const char *doing, struct lsp_error *err);

/* Can files in this folder share blocks (reflink)? Tries it with a small file below `folder`. */
bool lsp_space_can_share(int dir_fd, const char *folder);
