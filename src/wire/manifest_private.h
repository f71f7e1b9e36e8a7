/*
 * How a manifest lies in memory; for manifest.c and manifest_parse.c alone. One box, filled by its
 * maker before anyone else sees it, never changed afterwards but for `refs`.
 */
#pragma once

#include "wire/manifest.h"

#include <stdatomic.h>

struct lsp_manifest_box {
	struct lsp_manifest manifest;
	_Atomic unsigned refs;
	struct lsp_manifest_file *files;
	char *paths; /* all paths, each with its NUL */
	uint8_t *info;
	struct lsp_hash *layers; /* of the files of more than one piece, in order */
	size_t layer_count;
};

/* Takes nothing; copies info. Everything but the layers is checked and filled in. */
LSP_MUST_CHECK int lsp_manifest_parse_info(
	const void *info, size_t size, struct lsp_manifest_box **ret_box, struct lsp_error *err);

/* Allocates the layers and points the files at them; the caller then fills box->layers. */
LSP_MUST_CHECK int lsp_manifest_allocate_layers(
	struct lsp_manifest_box *box, struct lsp_error *err);
/* Layers against roots. */
LSP_MUST_CHECK int lsp_manifest_check_layers(
	const struct lsp_manifest_box *box, struct lsp_error *err);

void lsp_manifest_box_free(struct lsp_manifest_box *box);
LSP_DEFINE_CLEANUP(struct lsp_manifest_box *, lsp_manifest_box_free);
