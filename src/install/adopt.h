/*
 * Adopting what is here already: a folder that the user renamed, copied by hand, or has under
 * another game's name costs no download.
 *
 * Files are recognised by their root (content/merkle: the same bytes have the same root, whatever
 * the name and the piece length). Candidates are folders whose manifest is known: all local games
 * of the library, as a rule; lsp_adopt_folder hashes one that is not known yet. Whatever is taken
 * is hashed again as it is copied: a wrong claim costs time, never content.
 *
 * lsp_adopt_rank is pure. The others block on the disk and are cancelled within 1 MiB.
 */
#pragma once

#include "base/error.h"
#include "content/stage.h"

#include <stddef.h>
#include <stdint.h>

struct lsp_adopt_candidate {
	int dir_fd;                          /* the folder; borrowed */
	const struct lsp_manifest *manifest; /* what is in it; borrowed */
};

struct lsp_adopt_match {
	size_t candidate; /* index */
	uint64_t bytes;   /* of the wanted content's files that it has whole */
};

/*
 * The candidates that have whole files of `wanted`, most bytes first; each wanted file counts for
 * every candidate that has it. ret_matches has room for `count`. Returns how many there are.
 * -LSP_E_NO_MEMORY is the only error.
 */
LSP_MUST_CHECK int lsp_adopt_rank(const struct lsp_manifest *wanted,
	const struct lsp_adopt_candidate *candidates, size_t count,
	struct lsp_adopt_match *ret_matches, size_t *ret_count, struct lsp_error *err);

/*
 * Fills a stage (open and prepared) from the candidates, best first, until nothing is missing. A
 * candidate that cannot be read is passed over. *ret_bytes: what the stage has gained.
 */
LSP_MUST_CHECK int lsp_adopt_run(struct lsp_stage *stage,
	const struct lsp_adopt_candidate *candidates, size_t count, struct lsp_cancel *token,
	lsp_stage_progress progress, void *argument, uint64_t *ret_bytes, struct lsp_error *err);

/*
 * The same from one folder that nobody has hashed yet. in_place: it is the stage's own game's
 * folder, and its files that are as they shall be stay where they are.
 */
LSP_MUST_CHECK int lsp_adopt_folder(struct lsp_stage *stage, int dir_fd, bool in_place,
	struct lsp_cancel *token, lsp_stage_progress progress, void *argument, uint64_t *ret_bytes,
	struct lsp_error *err);
