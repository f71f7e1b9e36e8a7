/*
 * Torrents that are a text: "torrent:ID:FILE:FILE…", their .torrent and their resume data alike.
 *
 * Pure.
 */
#pragma once

#include "torrent/shim.h"

#define FAKE_FILE_SIZE (1 << 20)

struct lsp_shim_source {
	char id[65];
	char text[512];
	char files[8][64];
	unsigned file_count;
	long long done; /* of resume data */
};

int fake_parse(const char *magnet, const struct lsp_shim_bytes *metainfo,
	const struct lsp_shim_bytes *resume, struct lsp_shim_source **ret_source,
	struct lsp_error *err);
void fake_source_free(struct lsp_shim_source *source);
void fake_source_info(const struct lsp_shim_source *source, struct lsp_shim_info *ret_info);
void fake_source_file(
	struct lsp_shim_source *source, uint32_t index, struct lsp_shim_file *ret_file);
int fake_source_places(struct lsp_shim_source *source, const char *root,
	void (*each)(void *argument, const char *path), void *argument, struct lsp_error *err);
int fake_source_bytes(struct lsp_shim_source *source, lsp_shim_take_bytes take, void *argument,
	struct lsp_error *err);
int fake_source_priorities(struct lsp_shim_source *source, lsp_shim_take_bytes take, void *argument,
	struct lsp_error *err);
int fake_source_progress(struct lsp_shim_source *source, const uint8_t *priorities, size_t count,
	struct lsp_shim_progress *ret_progress, struct lsp_error *err);
