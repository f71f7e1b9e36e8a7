#include "install/adopt.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "content/hasher.h"

#include <string.h>

#define DOMAIN "install"

static int compare_roots(const void *a, const void *b)
{
	return memcmp((*(const struct lsp_manifest_file *const *)a)->root.bytes,
		(*(const struct lsp_manifest_file *const *)b)->root.bytes, LSP_SHA256_SIZE);
}

static int compare_matches(const void *a_pointer, const void *b_pointer)
{
	const struct lsp_adopt_match *a = a_pointer, *b = b_pointer;
	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	return a->candidate < b->candidate ? -1 : 1;
}

/* The files of a manifest that have bytes, sorted by root. */
static int sort_files(const struct lsp_manifest *manifest,
	const struct lsp_manifest_file ***ret_files, size_t *ret_count, struct lsp_error *err)
{
	const struct lsp_manifest_file **files =
		calloc((size_t)manifest->file_count + 1, sizeof *files);
	if (!files)
		return lsp_error_no_memory(err, DOMAIN);
	size_t count = 0;
	for (uint32_t i = 0; i < manifest->file_count; i++)
		if (manifest->files[i].size)
			files[count++] = &manifest->files[i];
	qsort(files, count, sizeof *files, compare_roots);
	*ret_files = files;
	*ret_count = count;
	return 0;
}

/* Bytes of `wanted` whose root is also in `other`; a merge of two sorted lists. */
static uint64_t overlap(const struct lsp_manifest_file *const *wanted, size_t wanted_count,
	const struct lsp_manifest_file *const *other, size_t other_count)
{
	uint64_t bytes = 0;
	size_t at = 0;
	for (size_t i = 0; i < wanted_count; i++) {
		while (at < other_count && compare_roots(&other[at], &wanted[i]) < 0)
			at++;
		if (at < other_count && other[at]->size == wanted[i]->size &&
			compare_roots(&other[at], &wanted[i]) == 0)
			bytes += wanted[i]->size;
	}
	return bytes;
}

int lsp_adopt_rank(const struct lsp_manifest *wanted, const struct lsp_adopt_candidate *candidates,
	size_t count, struct lsp_adopt_match *ret_matches, size_t *ret_count, struct lsp_error *err)
{
	_cleanup_free_ const struct lsp_manifest_file **files = NULL;
	size_t file_count, found = 0;
	int r = sort_files(wanted, &files, &file_count, err);
	for (size_t i = 0; r == 0 && i < count; i++) {
		_cleanup_free_ const struct lsp_manifest_file **others = NULL;
		size_t other_count;
		r = sort_files(candidates[i].manifest, &others, &other_count, err);
		uint64_t bytes = r == 0 ? overlap(files, file_count, others, other_count) : 0;
		if (bytes)
			ret_matches[found++] = (struct lsp_adopt_match){i, bytes};
	}
	if (r < 0)
		return r;
	qsort(ret_matches, found, sizeof *ret_matches, compare_matches);
	*ret_count = found;
	return 0;
}

static uint64_t left(struct lsp_stage *stage)
{
	uint64_t bytes;
	uint32_t chunks;
	lsp_stage_left(stage, &bytes, &chunks);
	return bytes;
}

int lsp_adopt_run(struct lsp_stage *stage, const struct lsp_adopt_candidate *candidates,
	size_t count, struct lsp_cancel *token, lsp_stage_progress progress, void *argument,
	uint64_t *ret_bytes, struct lsp_error *err)
{
	_cleanup_free_ struct lsp_adopt_match *matches = calloc(count + 1, sizeof *matches);
	uint64_t before = left(stage);
	size_t found;
	if (!matches)
		return lsp_error_no_memory(err, DOMAIN);
	int r = lsp_adopt_rank(lsp_stage_manifest(stage), candidates, count, matches, &found, err);
	for (size_t i = 0; r == 0 && i < found && left(stage); i++) {
		const struct lsp_adopt_candidate *candidate = &candidates[matches[i].candidate];
		struct lsp_error local = {0};
		r = lsp_stage_reuse(stage, candidate->dir_fd, candidate->manifest, false, token,
			progress, argument, &local);
		if (r == -LSP_E_CANCELLED || r == -LSP_E_NO_SPACE || r == -LSP_E_NO_MEMORY) {
			if (err)
				*err = local;
			return r;
		}
		if (r < 0)
			lsp_log_info(DOMAIN, "cannot adopt from \"%s\": %s",
				candidate->manifest->name, local.message);
		r = 0;
	}
	if (r == 0)
		*ret_bytes = before - left(stage);
	return r;
}

int lsp_adopt_folder(struct lsp_stage *stage, int dir_fd, bool in_place, struct lsp_cancel *token,
	lsp_stage_progress progress, void *argument, uint64_t *ret_bytes, struct lsp_error *err)
{
	_cleanup_hashed_ struct lsp_hashed hashed = {0};
	struct lsp_hasher_options options = {.progress = progress, .progress_argument = argument};
	uint64_t before = left(stage);
	int r = lsp_hasher_run(
		dir_fd, lsp_stage_manifest(stage)->name, &options, token, &hashed, err);
	if (r == 0)
		r = lsp_stage_reuse(
			stage, dir_fd, hashed.manifest, in_place, token, progress, argument, err);
	if (r == 0)
		*ret_bytes = before - left(stage);
	return r;
}
